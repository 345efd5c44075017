"""Answers that only a person can give: which file or return a bank's line speaks of, and whether a failed return goes on."""

from typing import Any

from django import forms
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import wording
from administration.cases.models import ApprovalRequest, Case
from administration.office import readable
from administration.office.entering import OfCase, WordsField, offer
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import page
from administration.office.pages.returning import place_of, rail_choices, rail_name, return_of
from administration.office.pages.what_is_signed import describes
from administration.rails.zengin.returned import Finding
from administration.returns import failures, fees, matching, routes, statements
from administration.returns.models import AssetReturn, EvidenceLine, Release, Submission

EVIDENCE = "returns.evidence"
DECIDABLE = (Finding.AMBIGUOUS.value, Finding.CORRECTION.value, fees.PROBLEM)


class Choosing(OfCase):
    answer = forms.ChoiceField(label=lazy("It speaks of"), widget=forms.RadioSelect)


@page("evidence/lines/<int:pk>/decide/", name="evidence-line-decide")
class DecideLine(ActPage):
    """statements.decide, or fees.decide where a bank kept a fee"""

    title = lazy("Which one is it?")
    power = EVIDENCE
    form_class = Choosing
    intro = lazy("The house found more than one that it can be. Ask the bank first; then choose.")

    def line(self) -> EvidenceLine:
        found = EvidenceLine.objects.filter(case=self.case, pk=self.kwargs["pk"]).select_related("evidence__case").first()
        if found is None:
            raise Http404
        return found

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def form(self, data: Any = None, files: Any = None) -> Any:
        line = self.line()
        if line.problem not in DECIDABLE:
            raise statements.NotDecided(_("This line does not wait for such an answer. Reload it and look again."))
        made = super().form(data, files)
        offer(made, "answer", [(code, self.named(code)) for code in statements.candidates(line)])  # type: ignore[arg-type]
        return made

    def named(self, code: str) -> str:
        """A return with its claim and amount; a part with its count."""
        row = AssetReturn.objects.filter(case=self.case, reference=code).select_related("asset", "claim_line__claim").first()
        if row is not None:
            return f"{code} · {row.claim_line.claim.number} · {readable.money(row.amount, row.asset)}"
        part = Submission.objects.filter(batch__case=self.case, rail_key=code).defer("payload").first()
        if part is None:
            return code
        count = _("%(count)s returns") % {"count": f"{part.items:,}"}
        return f"{code} · {count}"

    def effect(self, data: dict[str, Any]) -> Effect:
        line = self.line()
        figures = [(_("Line"), place_of(line)), (_("Why it waits"), matching.sentence(line)), (_("It speaks of"), self.named(data["answer"]))]
        if line.problem == fees.PROBLEM:
            row = AssetReturn.objects.select_related("asset").get(case=self.case, reference=data["answer"])
            return Effect(
                _("%(return)s came back; the bank kept %(fee)s, which the estate bears. The claim is owed the whole amount again.")
                % {"return": row.reference, "fee": readable.money(row.amount - line.amount, row.asset)},
                _("Decide"), figures=figures, warnings=[_("Whether the customer bears the fee instead is to be confirmed for the proceeding.")],
                moves_value=True,
            )  # fmt: skip
        return Effect(_("The line is matched to %(answer)s. The next settling applies it.") % {"answer": data["answer"]}, _("Decide"), figures=figures)

    def act(self, data: dict[str, Any]) -> Any:
        line = self.line()
        if line.problem == fees.PROBLEM:
            return fees.decide(line, data["answer"], by=self.user, at=self.at)
        return statements.decide(line, data["answer"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("Decided. Press “Settle” to apply it."), self.back()

    def back(self) -> str:
        return self.url("evidence-line", pk=self.kwargs["pk"])


class Releasing(OfCase):
    rail = forms.ChoiceField(label=lazy("Rail"))
    reason = WordsField(label=lazy("Why the next try will go better"), max_length=1000)

    def prepare(self) -> None:
        offer(self, "rail", rail_choices(routes.codes()))


@page("returns/<str:return_reference>/release/", name="return-release")
class ReleaseReturn(ActPage):
    """failures.propose"""

    title = lazy("Release a return after a failure")
    tried = True
    power = EVIDENCE
    form_class = Releasing
    intro = lazy("The last try failed in a way that people decide on. Two other people let it go on, on the same rail or another.")

    def form_arguments(self) -> dict[str, Any]:
        self.row = return_of(self.case, self.kwargs["return_reference"])
        return {"case": self.case, "initial": {"rail": self.row.rail}}

    def effect(self, data: dict[str, Any]) -> Effect:
        return Effect(
            _("%(return)s may go out again on %(rail)s, once two people have signed.") % {"return": self.row.reference, "rail": rail_name(data["rail"])},
            _("Ask two people to release it"), figures=[*figures_of(self.row), (_("Reason"), data["reason"])],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        row = return_of(self.case, self.kwargs["return_reference"])
        return failures.propose(row, rail=data["rail"], reason=data["reason"], by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("return", return_reference=self.kwargs["return_reference"])


def figures_of(row: AssetReturn) -> list[tuple[Any, Any]]:
    """The return, and how it failed."""
    attempt = row.attempts.select_related("batch").order_by("-pk").first()
    reason = failures.of(attempt) if attempt else None
    found = [(_("Claim"), row.claim_line.claim.number), (_("Amount"), readable.money(row.amount, row.asset)), (_("Tries"), row.tries)]
    if attempt and reason:
        what, step = failures.in_words(reason.code)
        if attempt.reason_code:
            what = _("%(what)s (the rail's words: “%(said)s”)") % {"what": what, "said": wording.said(attempt.reason_code)}
        found += [
            (_("It failed"), what), (_("What follows"), f"{reason.get_policy_display()} · {step}"),
            (_("Failed on"), rail_name(attempt.batch.rail)),
        ]  # fmt: skip
    return found


@describes(failures.ACT)
def what_is_released(request: ApprovalRequest, case: Case) -> Effect:
    made = Release.objects.filter(pk=request.object_id, asset_return__case=case).select_related("asset_return", "by").first()
    if made is None:
        raise Http404
    row = return_of(case, made.asset_return.reference)
    return Effect(
        _("Release %(return)s: it may go out again on %(rail)s.") % {"return": row.reference, "rail": rail_name(made.rail)}, _("Sign"),
        figures=[*figures_of(row), (_("Reason"), made.reason)], content_sha256=bytes(request.content_sha256).hex(), moves_value=True,
    )  # fmt: skip
