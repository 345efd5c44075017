"""Over-payments one by one: asking for them, what came back, what is netted, and what is written off by approval."""

from typing import Any

from django import forms
from django.db.models import F, QuerySet
from django.http import Http404
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.cases.models import ApprovalRequest, Case
from administration.office import readable, words
from administration.office.entering import AmountField, OfCase, OneOf, PaperField, WordsField, offer
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import page
from administration.office.pages.lists import Column, Filter
from administration.office.pages.papers import paper
from administration.office.pages.returning import ButtonList, place_of
from administration.office.pages.showing import Button, Section, ShowPage, link, tag, who
from administration.office.pages.what_is_signed import describes
from administration.office.templatetags.office import amount, jst
from administration.returns import overpayments
from administration.returns.models import EvidenceLine, Overpayment, Recovery, RecoveryKind, TailState
from claims.notices import notices
from claims.register.models import Claim, ClaimLine

EVIDENCE, SCHEDULE, BATCH, NOTICES = "returns.evidence", "returns.schedule", "returns.batch", "claims.schedule"


def overpayment_of(case: Case, pk: int) -> Overpayment:
    rows = Overpayment.objects.select_related("case", "asset", "line__evidence", "asset_return__claim_line__claim__claimant__identity")
    found = rows.filter(case=case, pk=pk).first()
    if found is None:
        raise Http404
    return found


def claim_of(row: Overpayment) -> Claim:
    """The claim whose return was paid too much; nothing is here of one that no claimant received."""
    if row.asset_return is None:
        raise Http404
    return row.asset_return.claim_line.claim


def named(row: Overpayment) -> list[tuple[Any, Any]]:
    """Whose it was."""
    if row.asset_return is None:
        return [(_("Reference"), row.reference or "–")]
    return [(_("Return"), row.reference), (_("Claim"), claim_of(row).number)]


@page("overpayments/", name="overpayments")
class OverpaymentsPage(ButtonList):
    """More left the estate than was owed: what is still to come back."""

    title = lazy("Over-payments")
    intro = lazy("Each is a receivable of the estate until it is recovered, netted in a later round, or written off by approval.")
    newest_first = True

    def rows(self) -> QuerySet[Any]:
        return self.case.overpayments.select_related("asset", "asset_return__claim_line__claim", "line__evidence")

    def filters(self) -> list[Filter]:
        return [Filter("open", _("State"), [("open", _("still open"))], lambda rows, _value: rows.filter(recovered__lt=F("amount")))]

    def columns(self) -> list[Column]:
        language = get_language() or "en"
        return [
            Column(_("Return"), lambda row: row.reference or "–", link=lambda row: self.url("overpayment", pk=row.pk)),
            Column(_("Claim"), lambda row: row.asset_return.claim_line.claim.number if row.asset_return else "–"),
            Column(_("Amount"), lambda row: readable.money(row.amount, row.asset), numeric=True),
            Column(_("Recovered"), lambda row: readable.money(row.recovered, row.asset), numeric=True),
            Column(_("Found"), lambda row: readable.instant(row.at, language)),
            Column(_("Line"), lambda row: place_of(row.line), link=lambda row: self.url("evidence-line", pk=row.line_id)),
        ]  # fmt: skip


@page("overpayments/<int:pk>/", name="overpayment")
class OverpaymentPage(ShowPage):
    title = lazy("An over-payment")

    def prepare(self, **kwargs: Any) -> None:
        self.row = overpayment_of(self.case, kwargs["pk"])

    def sentence(self) -> Any:
        words = {"open": readable.money(self.row.open, self.row.asset), "return": self.row.reference}
        if self.row.asset_return is None:
            return _("%(open)s are still to come back to the estate, from whoever took them: no claimant of this case did.") % words
        return _("%(open)s of return %(return)s are still to come back to the estate.") % words

    def figures(self) -> list[tuple[Any, Any]]:
        row = self.row.asset_return
        found = [
            (_("Return"), link(self.url("return", return_reference=row.reference), row.reference)),
            (_("Claim"), link(self.url("claim", number=row.claim_line.claim.number), row.claim_line.claim.number)),
        ] if row else []  # fmt: skip
        return [
            *found,
            (_("Paid too much"), readable.money(self.row.amount, self.row.asset)),
            (_("Recovered"), readable.money(self.row.recovered, self.row.asset)),
            (_("Found"), jst(self.row.at)),
            (_("The line that says so"), link(self.url("evidence-line", pk=self.row.line_id), place_of(self.row.line))),
            (_("Asked for"), _("%(count)s times") % {"count": overpayments.asked(self.row)}),
        ]

    def buttons(self) -> list[Button]:
        if not self.row.open:
            return []
        own = {"pk": self.row.pk}
        of_claim = [
            self.button(_("Ask for it"), "overpayment-ask", NOTICES, **own), self.button(_("Net it"), "overpayment-net", SCHEDULE, **own),
        ] if self.row.asset_return else []  # fmt: skip
        return [
            self.button(_("It came back"), "overpayment-refund", EVIDENCE, main=True, **own),
            *of_claim,
            self.button(_("Write it off"), "overpayment-write-off", BATCH, **own),
        ]

    def sections(self) -> list[Section]:
        rows = [
            [one.get_kind_display(), amount(one.amount, self.row.asset), tag(one.get_state_display()),
             one.claim_line.claim.number if one.claim_line else one.reason or "–", who(one.by), jst(one.at),
             paper(self, one.evidence_sha256, _("paper")) if one.evidence_sha256 else "–"]
            for one in self.row.recoveries.select_related("by", "claim_line__claim").order_by("pk")
        ]  # fmt: skip
        head = [_("How"), _("Amount"), _("State"), _("With, or why"), _("By"), _("When"), _("Paper")]
        return [Section(_("Refunded, netted or written off"), head=head, rows=rows, numeric=frozenset({1}), empty=_("Nothing came back yet."))]


class OnOverpayment(ActPage):
    def object(self) -> Overpayment:
        return overpayment_of(self.case, self.kwargs["pk"])

    def form_arguments(self) -> dict[str, Any]:
        self.row = self.object()
        return {"case": self.case}

    def back(self) -> str:
        return self.url("overpayment", pk=self.kwargs["pk"])

    def figures(self, row: Overpayment) -> list[tuple[Any, Any]]:
        return [*named(row), (_("Still open"), readable.money(row.open, row.asset))]

    def units(self, form_data: dict[str, Any], row: Overpayment) -> int:
        """The amount entered; all that is open where nothing was entered."""
        asking = Sized({"amount": form_data.get("amount", "")}, case=self.case)
        asking.is_valid()
        units = asking.units("amount", row.asset)
        if asking.errors:
            raise overpayments.NotRecovered(" ".join(str(one) for one in asking.errors.get("amount", [])))
        return row.open if units is None else units


class Asking(OfCase):
    channel = forms.ChoiceField(label=lazy("Channel"), choices=words.choices(words.CHANNELS, notices.CHANNELS))


@page("overpayments/<int:pk>/ask/", name="overpayment-ask")
class AskRefund(OnOverpayment):
    """overpayments.ask_refund"""

    title = lazy("Ask for an over-payment")
    power = NOTICES
    form_class = Asking
    intro = lazy("A notice to the claimant, by its number. It holds no amounts and no link.")

    def effect(self, data: dict[str, Any]) -> Effect:
        row = self.object()
        title, text = overpayments.letter(row)
        return Effect(
            _("The claimant of %(claim)s is asked to pay back.") % {"claim": claim_of(row).number},
            _("Issue the notice"), figures=[*self.figures(row), (_("Channel"), words.of(words.CHANNELS, data["channel"])), (_("Title"), title), (_("Text"), text)],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return overpayments.ask_refund(self.object(), channel=data["channel"], by=self.user, at=self.at)


class Sized(OfCase):
    amount = AmountField(label=lazy("Amount"), required=False, help_text=lazy("Empty: all that is still open."))


class Returned(Sized):
    reason = WordsField(label=lazy("Remark"), required=False, max_length=1000)
    paper = PaperField(label=lazy("The paper that shows it"))


@page("overpayments/<int:pk>/refund/", name="overpayment-refund")
class TakeRefund(OnOverpayment):
    """overpayments.refunded"""

    title = lazy("An over-payment came back")
    power = EVIDENCE
    form_class = Returned

    def effect(self, data: dict[str, Any]) -> Effect:
        row = self.object()
        return Effect(
            _("%(amount)s came back to the estate.") % {"amount": readable.money(self.units(data, row), row.asset)}, _("Take it in"),
            figures=[*self.figures(row), (_("Paper, SHA-256"), data["paper"].sha256)],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        row = self.object()
        return overpayments.refunded(row, self.units(data, row), paper=data["paper"].read(), reason=data["reason"], by=self.user, at=self.at)


class Netting(Sized):
    line = OneOf(ClaimLine.objects.none(), label=lazy("With what"), named=lambda one: f"{one.claim.number} · {one.asset.code} · {one.get_claim_class_display()}")


@page("overpayments/<int:pk>/net/", name="overpayment-net")
class NetOverpayment(OnOverpayment):
    """overpayments.net"""

    title = lazy("Net an over-payment")
    power = SCHEDULE
    form_class = Netting
    intro = lazy("What the same person is still owed in this asset, and is in no return yet, is set off. Scheduling the next round does this by itself. Whether it may be set off is to be confirmed for the proceeding.")

    def form(self, data: Any = None, files: Any = None) -> Any:
        made = super().form(data, files)
        row = self.row
        claimant = claim_of(row).claimant_id
        offer(made, "line", ClaimLine.objects.filter(case=self.case, claim__claimant=claimant, asset=row.asset).select_related("claim", "asset"))  # type: ignore[arg-type]
        return made

    def effect(self, data: dict[str, Any]) -> Effect:
        row = self.object()
        return Effect(
            _("%(amount)s of it are set off against claim %(claim)s.")
            % {"amount": readable.money(self.units(data, row), row.asset), "claim": data["line"].claim.number},
            _("Net it"), figures=self.figures(row), moves_value=True,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        row = self.object()
        return overpayments.net(row, data["line"], self.units(data, row), by=self.user, at=self.at)


class WritingOff(Sized):
    reason = WordsField(label=lazy("Why it cannot be recovered"), max_length=1000)
    paper = PaperField(label=lazy("The paper that shows it"))


@page("overpayments/<int:pk>/write-off/", name="overpayment-write-off")
class WriteOff(OnOverpayment):
    """overpayments.write_off"""

    title = lazy("Write an over-payment off")
    power = BATCH
    form_class = WritingOff
    intro = lazy("What is free of the asset bears it: everybody gets a little less. Two other people sign.")

    def effect(self, data: dict[str, Any]) -> Effect:
        row = self.object()
        return Effect(
            _("%(amount)s are given up, once two people have signed.") % {"amount": readable.money(self.units(data, row), row.asset)},
            _("Ask two people to sign"),
            figures=[*self.figures(row), (_("Reason"), data["reason"]), (_("Paper, SHA-256"), data["paper"].sha256)],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        row = self.object()
        return overpayments.write_off(row, self.units(data, row), reason=data["reason"], paper=data["paper"].read(), by=self.user, at=self.at)


@describes(overpayments.WRITE_OFF)
def what_is_written_off(request: ApprovalRequest, case: Case) -> Effect:
    made = Recovery.objects.filter(pk=request.object_id, kind=RecoveryKind.WRITE_OFF, overpayment__case=case).select_related("by").first()
    if made is None:
        raise Http404
    row = overpayment_of(case, made.overpayment_id)
    return Effect(
        _("%(amount)s of an over-payment are given up; what is free of the asset bears it.") % {"amount": readable.money(made.amount, row.asset)},
        _("Sign"),
        figures=[
            *named(row), (_("Still open"), readable.money(row.open, row.asset)), (_("Asked for"), _("%(count)s times") % {"count": overpayments.asked(row)}),
            (_("Reason"), made.reason), (_("Paper, SHA-256"), bytes(made.evidence_sha256 or b"").hex()),
        ],
        content_sha256=bytes(request.content_sha256).hex(), moves_value=made.state == TailState.PROPOSED,
    )  # fmt: skip


@page("evidence/lines/<int:pk>/recognise/", name="line-recognise")
class Recognise(ActPage):
    """overpayments.recognise"""

    title = lazy("Paid a second time")
    power = EVIDENCE

    def line(self) -> EvidenceLine:
        found = EvidenceLine.objects.filter(case=self.case, pk=self.kwargs["pk"]).select_related("evidence__case").first()
        if found is None:
            raise Http404
        return found

    def effect(self, data: dict[str, Any]) -> Effect:
        line = self.line()
        if line.problem != overpayments.PAID_TWICE:
            raise overpayments.NotRecovered(_("This line does not say that a settled return was paid a second time. Reload it and look again."))
        return Effect(
            _("The second payment of %(return)s becomes a receivable of the estate.") % {"return": line.reference}, _("Record the over-payment"),
            figures=[(_("Line"), place_of(line)), (_("Reference"), line.reference)],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        self.made = overpayments.recognise(self.line(), by=self.user, at=self.at)
        return self.made

    def done(self, result: Any) -> tuple[str, str]:
        return _("Recorded as an over-payment."), self.url("overpayment", pk=result.pk)

    def back(self) -> str:
        return self.url("evidence-line", pk=self.kwargs["pk"])
