"""The ledger beside the exchange's last audited accounts: entered before acceptance, seen by whoever signs."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import amounts, wording
from administration.ledger import audited, takeover
from administration.ledger.models import Intake, IntakeState
from administration.office.entering import DayField, PaperField, WordsField, offer
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import page
from administration.office.pages.showing import day
from administration.office.pages.taking_over import AUDITED, POWER, audited_rows, scales_of, shown


class Tying(forms.Form):
    asset = forms.ChoiceField(label=lazy("Asset"))
    as_of = DayField(label=lazy("Audited as of"))
    amount = forms.CharField(label=lazy("Owed to customers by the audited accounts"), help_text=lazy("All products of the asset together."))
    auditor = forms.CharField(label=lazy("Auditor"), max_length=200)
    paper = PaperField(label=lazy("The page of the audited accounts"))
    explanation = WordsField(
        label=lazy("What lies between them and the ledger"), required=False, max_length=4_000,
        help_text=lazy("Needed where the two differ: what came and went since, or what nobody can say."),
    )  # fmt: skip

    def __init__(self, *args: Any, scales: dict[str, int], **options: Any) -> None:
        super().__init__(*args, **options)
        self.scales = scales
        offer(self, "asset", [(code, code) for code in sorted(scales)])

    def clean(self) -> dict[str, Any]:
        super().clean()
        text, code = self.cleaned_data.get("amount"), self.cleaned_data.get("asset")
        if text and code:
            try:
                self.cleaned_data["units"] = amounts.parse(text.replace(",", "").strip(), self.scales[code])
            except amounts.BadAmount as wrong:
                raise ValidationError({"amount": wording.said(str(wrong))}) from None
        return self.cleaned_data


@page("takeover/audited/", name="takeover-audited")
class TieToAuditedAccounts(ActPage):
    title = lazy("Tie to the last audited accounts")
    power = POWER
    form_class = Tying
    intro = lazy("For each asset: what the last audited accounts say customers were owed. It stands beside the ledger and is signed with it.")

    def intake(self) -> Intake:
        found = Intake.objects.filter(case=self.case, state=IntakeState.INSPECTED).select_related("case").first()
        if found is None:
            raise takeover.NotInspected(_("There is no inspected package that waits for acceptance."))
        return found

    def form_arguments(self) -> dict[str, Any]:
        return {"scales": scales_of(self.intake().manifest)}

    def effect(self, data: dict[str, Any]) -> Effect:
        intake, code = self.intake(), data["asset"]
        scales, there = scales_of(intake.manifest), audited.in_ledger(intake, data["asset"])
        return Effect(
            _("The ledger's %(asset)s stands beside the audited accounts from now on, and is signed with them.") % {"asset": code},
            _("Write it down"),
            figures=[
                (_("Audited as of"), day(data["as_of"])),
                (_("Auditor"), data["auditor"]),
                (_("Owed to customers by the audited accounts"), shown(data["units"], code, scales)),
                (_("Rows add up to"), shown(there, code, scales)),
                (_("Difference"), shown(there - data["units"], code, scales)),
                (_("What lies between them and the ledger"), data["explanation"] or "–"),
            ],
            content_sha256=bytes(intake.package_sha256).hex(),
        )

    def act(self, data: dict[str, Any]) -> Any:
        return audited.tie(
            self.intake(), asset_code=data["asset"], as_of=data["as_of"], audited=data["units"], auditor=data["auditor"],
            explanation=data["explanation"], paper=data["paper"].read(), by=self.user, at=self.at,
        )

    def back(self) -> str:
        return self.url("takeover")


def audited_tables(intake: Intake) -> list[Table]:
    """For who prepares and who signs; none where nothing was tied."""
    rows = audited_rows(intake)
    return [Table(_("Beside the last audited accounts"), list(AUDITED), rows, numeric=frozenset({1, 2, 3}))] if rows else []
