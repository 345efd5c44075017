"""What a line of evidence was that nothing else ends: proposed here with its paper, signed by two, and listed."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.books.models import Entry
from administration.cases.models import ApprovalRequest, Case
from administration.office import readable
from administration.office.entering import OfCase, OneOf, PaperField, WordsField, offer
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import page
from administration.office.pages.evidencing import LINE_KINDS, money_of
from administration.office.pages.lists import Column, Filter
from administration.office.pages.returning import ButtonList, assets_of, place_of
from administration.office.pages.what_is_signed import describes
from administration.returns import explaining, matching
from administration.returns.models import (
    AssetReturn,
    EvidenceLine,
    Explanation,
    ExplanationKind,
    Overpayment,
    Submission,
    SubmissionState,
    TailState,
)

EVIDENCE = "returns.evidence"
BOOKINGS: dict[str, Any] = {  # kinds of entry by which value comes in or leaves, beside returns
    "receipt": lazy("receipt"), "receipt_suspense": lazy("receipt, nobody knows whose"), "cost": lazy("fee or cost"),
    "cost_free": lazy("fee or cost"), "recover": lazy("over-payment paid back"), "deposit": lazy("deposit with the Bureau"),
    "conversion_in": lazy("what a sale brought"), "conversion_out": lazy("coins sold"), "dispose": lazy("residue handed over"),
}  # fmt: skip


def line_of(case: Case, pk: int) -> EvidenceLine:
    found = EvidenceLine.objects.filter(case=case, pk=pk).select_related("evidence__case").first()
    if found is None:
        raise Http404
    return found


def named(entry: Entry) -> str:
    """A booking, so that it is found again in the books."""
    kind = BOOKINGS.get(entry.kind_id, entry.kind_id)
    return f"{kind} · {readable.instant(entry.at, get_language() or 'en')} · {entry.by or '–'} · {entry.idem_key}"


class Explaining(OfCase):
    kind = forms.ChoiceField(label=lazy("What was it?"), widget=forms.RadioSelect)
    entry = OneOf(
        Entry.objects.none(), label=lazy("The booking"), required=False, named=named,
        help_text=lazy("Only where it is in the books already: by exactly this amount."),
    )  # fmt: skip
    reason = WordsField(label=lazy("What happened, and how you know"), max_length=2000)
    paper = PaperField(label=lazy("The paper that shows it"))


@page("evidence/lines/<int:pk>/explain/", name="evidence-line-explain")
class ExplainLine(ActPage):
    """explaining.propose"""

    title = lazy("Explain a line of evidence")
    power = EVIDENCE
    form_class = Explaining
    intro = lazy(
        "For a line that neither a match, nor a correction, nor an answer ends. You say what it was and give the paper; two other "
        "people sign it. Ask the rail or the bank in writing first."
    )

    def line(self) -> EvidenceLine:
        return line_of(self.case, self.kwargs["pk"])

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def about(self) -> str:
        line = self.line()
        return f"{place_of(line)} · {money_of(assets_of(self.case), line.asset_code, line.amount)}"

    def facts(self) -> list[tuple[Any, Any]]:
        return figures_of(self.line(), self.case)

    def form(self, data: Any = None, files: Any = None) -> Any:
        line = self.line()
        possible = explaining.kinds(line)
        if not possible:
            raise explaining.NotExplained(_("This line waits for no explanation any more. Reload it and look again."))
        made: Any = super().form(data, files)
        offer(made, "kind", [(kind.value, kind.label) for kind in possible])
        if ExplanationKind.BOOKED in possible:
            offer(made, "entry", explaining.bookings(line))
        else:
            del made.fields["entry"]
        return made

    def effect(self, data: dict[str, Any]) -> Effect:
        line, kind = self.line(), ExplanationKind(data["kind"])
        entry = data.get("entry")
        explaining.refuse_unless_possible(line, kind, entry)
        return Effect(
            _("Two other people are asked to say of this line: %(what)s.") % {"what": kind.label},
            _("Ask two people to sign the explanation"),
            figures=[
                *figures_of(line, self.case), *([(_("The booking"), named(entry))] if entry else []), (_("Reason"), data["reason"]),
                (_("Paper, SHA-256"), data["paper"].sha256),
            ],
            tables=tables_of(line, kind), warnings=warnings_of(line, kind),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return explaining.propose(
            self.line(), data["kind"], reason=data["reason"], paper=data["paper"].read(), entry=data.get("entry"),
            by=self.user, at=self.at,
        )  # fmt: skip

    def back(self) -> str:
        return self.url("evidence-line", pk=self.kwargs["pk"])


def figures_of(line: EvidenceLine, case: Case) -> list[tuple[Any, Any]]:
    """What the line says, and of what."""
    found = [
        (_("Line"), place_of(line)), (_("Says"), LINE_KINDS.get(line.kind, line.kind)),
        (_("Amount"), money_of(assets_of(case), line.asset_code, line.amount)), (_("Reference"), line.reference or "–"),
        (_("Why it waits"), matching.sentence(line)),
    ]  # fmt: skip
    row = explaining.return_of(line)
    if row is not None:
        money = readable.money(row.amount, row.asset)
        found += [(_("Claim"), row.claim_line.claim.number), (_("Return is now"), f"{row.get_state_display()} · {money}")]
    return found


def tables_of(line: EvidenceLine, kind: ExplanationKind) -> list[Table]:
    """What of the claim waits, and what becomes of it by the signatures."""
    row = explaining.return_of(line)
    if row is None:
        return []
    waiting = AssetReturn.objects.filter(claim_line=row.claim_line_id, state__in=explaining.WAITING).select_related("asset").order_by("pk")
    paid = kind == ExplanationKind.PAID
    cancelled, counts = explaining.against_the_claim(line, row) if paid else ([], 0)
    gone = {one.pk for one in cancelled}
    rows = [
        [one.reference, readable.money(one.amount, one.asset), _("cancelled: the rest rides with the next round") if one.pk in gone else _("goes out once no gate is closed")]
        for one in waiting[:10]
    ]
    if paid:
        money = readable.money(counts, row.asset) if counts else "0"
        rows.append([_("Counts against the claim at once"), money, _("the rest of the line is still to come back")])
    return [Table(_("What of this claim waits, and what becomes of it"), [_("Return"), _("Amount"), _("What follows")], rows, frozenset({1}))]


def warnings_of(line: EvidenceLine, kind: ExplanationKind) -> list[Any]:
    found = [explaining.MEANS[kind]]
    if line.reference and kind in (ExplanationKind.PAID, ExplanationKind.TAKEN):
        others = Overpayment.objects.filter(case=line.case_id, line__reference=line.reference).exclude(line=line)
        found += [
            _("An over-payment of %(amount)s is recorded for %(return)s already, from another line. See that it is not the same payment.")
            % {"amount": readable.money(other.amount, other.asset), "return": other.reference}
            for other in others.select_related("asset", "asset_return", "line").order_by("pk")
        ]
    if line.problem == "not_sent" and Submission.objects.filter(rail_key=line.part, state=SubmissionState.PREPARED).exists():
        found.append(_("Part %(part)s has not been sent by us and goes out once the rail is resumed.") % {"part": line.part})
    return found


@describes(explaining.ACT)
def what_is_explained(request: ApprovalRequest, case: Case) -> Effect:
    made = Explanation.objects.filter(pk=request.object_id, case=case).select_related("line__evidence", "by", "entry").first()
    if made is None:
        raise Http404
    kind = ExplanationKind(made.kind)
    open_still = made.state == TailState.PROPOSED
    return Effect(
        _("Say of this line: %(what)s.") % {"what": kind.label}, _("Sign: this is what it was"),
        figures=[
            *figures_of(made.line, case), *([(_("The booking"), named(made.entry))] if made.entry else []),
            (_("Proposed by"), made.by.first_name or made.by.username), (_("Reason"), made.reason),
            (_("Paper, SHA-256"), bytes(made.paper_sha256).hex()),
        ],
        tables=tables_of(made.line, kind) if open_still else [], warnings=warnings_of(made.line, kind),
        content_sha256=bytes(request.content_sha256).hex(), moves_value=True,
    )  # fmt: skip


@page("explanations/", name="explanations")
class Explanations(ButtonList):
    """Every explanation asked for, and whether two people gave it."""

    title = lazy("Explanations")
    intro = lazy("What lines of evidence were that nothing else ended. Each is signed by two people. Propose one on the page of a line.")
    newest_first = True

    def rows(self) -> QuerySet[Any]:
        return explaining.of_case(self.case)

    def filters(self) -> list[Filter]:
        return [Filter("kind", _("What was it?"), list(ExplanationKind.choices), lambda rows, value: rows.filter(kind=value))]

    def columns(self) -> list[Column]:
        language, assets = get_language() or "en", assets_of(self.case)
        asked = {row.object_id: row.pk for row in self.case.approvals.filter(act=explaining.ACT).order_by("pk").only("pk", "object_id")}
        return [
            Column(_("No."), lambda row: row.pk, link=lambda row: self.url("approval", pk=asked[row.pk]) if row.pk in asked else ""),
            Column(_("Line"), lambda row: place_of(row.line), link=lambda row: self.url("evidence-line", pk=row.line_id)),
            Column(_("Amount"), lambda row: money_of(assets, row.line.asset_code, row.line.amount), numeric=True),
            Column(_("What was it?"), lambda row: row.get_kind_display()),
            Column(_("Reason"), lambda row: row.reason),
            Column(_("Proposed by"), lambda row: row.by.first_name or row.by.username),
            Column(_("At"), lambda row: readable.instant(row.at, language)),
            Column(_("State"), lambda row: row.get_state_display()),
        ]
