"""What becomes of findings that would refuse a package: rows are set aside, or accepted with a remark, by two signatures."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.ledger import conversions, setting_aside, takeover
from administration.ledger.delivered import RowSetAside
from administration.ledger.findings import ASIDE, REFUSE, REMARK
from administration.ledger.models import Intake
from administration.office import words
from administration.office.entering import WordsField
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import page
from administration.office.pages.lists import Column, ListPage
from administration.office.pages.taking_over import POWER, grouped, scales_of, shown
from administration.work.models import Job


def decidable(job: Job | None) -> list[Any]:
    """The groups of findings of a refused report that a decision could deal with."""
    if job is None or job.kind != takeover.INSPECT or not job.params.get("delivery"):
        return []
    refusing = [one for one in (job.result or {}).get("findings", []) if one["severity"] == REFUSE]
    kinds = setting_aside.ASIDE_KINDS | setting_aside.REMARK_KINDS
    by_kind: dict[str, Any] = {}
    for group in grouped(refusing):
        if group.kind in kinds:
            by_kind.setdefault(group.kind, []).append(group)
    return list(by_kind.items())


class Deciding(forms.Form):
    """For each kind of finding: refuse, set aside, or accept with a remark; and why."""

    def __init__(self, *args: Any, groups: list[Any], **options: Any) -> None:
        super().__init__(*args, **options)
        for kind, found in groups:
            rows = sum(group.rows for group in found)
            choices = [("", _("It refuses the package"))]
            if kind in setting_aside.ASIDE_KINDS:
                choices.append((ASIDE, _("Set these rows aside")))
            if kind in setting_aside.REMARK_KINDS:
                choices.append((REMARK, _("Accept with a remark")))
            label = _("%(kind)s: %(rows)s rows") % {"kind": words.of(words.FINDINGS, kind), "rows": f"{rows:,}"}
            self.fields[f"outcome_{kind}"] = forms.ChoiceField(label=label, choices=choices, required=False)
            self.fields[f"remark_{kind}"] = WordsField(label=_("Why"), required=False)

    def clean(self) -> dict[str, Any]:
        super().clean()
        outcomes = {
            name.removeprefix("outcome_"): {"outcome": value, "remark": self.cleaned_data.get(name.replace("outcome_", "remark_", 1), "")}
            for name, value in self.cleaned_data.items()
            if name.startswith("outcome_") and value
        }
        if not outcomes:
            raise ValidationError(_("Choose for at least one kind what becomes of it."))
        self.cleaned_data["outcomes"] = setting_aside.checked(outcomes)
        return self.cleaned_data


@page("takeover/outcomes/", name="takeover-outcomes")
class DecideOutcomes(ActPage):
    title = lazy("What becomes of the findings")
    power = POWER
    form_class = Deciding
    intro = lazy(
        "Rows set aside are not taken into the ledger, and whatever hangs on them is not either. Each stays named, and what is missing "
        "from the control totals goes into named suspense. Your reasons are part of what is signed."
    )  # fmt: skip

    def report(self) -> Job:
        job = takeover.refused(self.case)
        if job is None or not decidable(job):
            raise takeover.NotInspected(_("There is no report here with findings that could be decided."))
        return job

    def form_arguments(self) -> dict[str, Any]:
        return {"groups": decidable(self.report())}

    def effect(self, data: dict[str, Any]) -> Effect:
        said = [
            [words.of(words.FINDINGS, kind), _("Set these rows aside") if one["outcome"] == ASIDE else _("Accept with a remark"), one["remark"]]
            for kind, one in data["outcomes"].items()
        ]
        return Effect(
            _("The same files are inspected again. Nothing is in the case until the differences are in named suspense and a second person has accepted it."),
            _("Inspect again"), tables=[Table(_("What becomes of the findings"), [_("Kind"), _("Outcome"), _("Why")], said)],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return conversions.again(self.report(), outcomes=data["outcomes"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("Begun; this page follows the work."), self.url("takeover")

    def back(self) -> str:
        return self.url("takeover")


@page("takeover/set-aside/", name="takeover-set-aside")
class RowsSetAside(ListPage):
    """Every row that was set aside, with where it came from."""

    title = lazy("Rows set aside")
    power = POWER
    empty = lazy("No row was set aside.")

    def rows(self) -> Any:
        intake = Intake.objects.filter(case=self.case).exclude(state="cancelled").first()
        return RowSetAside.objects.filter(intake=intake).select_related("intake")

    def columns(self) -> list[Column]:
        return [
            Column(_("Stands in"), lambda row: row.origin or f"{row.file}:{row.row}"),
            Column(_("Kind"), lambda row: words.of(words.FINDINGS, row.kind)),
            Column(_("Account"), lambda row: row.account_ref or "–"),
            Column(_("Product"), lambda row: words.of(words.PRODUCTS, row.product) if row.product else "–"),
            Column(_("Amount"), lambda row: shown(row.amount, row.asset_code, scales_of(row.intake.manifest)), numeric=True),
        ]


def outcomes_table(intake: Intake) -> Table:
    """For who accepts: what was decided, why, and how many rows it took."""
    rows = [
        [
            words.of(words.FINDINGS, kind), _("Set these rows aside") if one["outcome"] == ASIDE else _("Accept with a remark"),
            f"{intake.set_aside.filter(kind=kind).count():,}" if one["outcome"] == ASIDE else "–", one["remark"],
        ]
        for kind, one in intake.outcomes.items()
    ]  # fmt: skip
    hanging = intake.set_aside.filter(kind=setting_aside.PARENT).count()
    if hanging:
        rows.append([words.of(words.FINDINGS, setting_aside.PARENT), "–", f"{hanging:,}", "–"])
    return Table(_("What became of the findings"), [_("Kind"), _("Outcome"), _("Rows"), _("Why")], rows, numeric=frozenset({2}))

