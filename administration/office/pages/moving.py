"""A book that moves to another exchange: announced, chosen, counted; and the persons' file of a handover."""

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.cases import orders
from administration.cases.models import CourtOrder
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import CasePage, page
from administration.office.pages.batching import attachment
from administration.office.pages.returning import assets_of, batch_of
from administration.office.pages.showing import Button, Section, ShowPage, day, link, who
from administration.office.pages.working import KINDS
from administration.rails.transferee import Transferee
from administration.returns import moving
from administration.returns.models import Batch, BookMove, Terms
from claims.register.models import Claim

KINDS["returns.move_book"] = lazy("Giving destinations at the other exchange")
LATEST = 50


@page("moves/", name="moves", menu="returns", icon="move_up", order=70)
class MovesPage(ShowPage):
    """Every move of the case's book."""

    title = lazy("Moves to another exchange")

    def sentence(self) -> Any:
        return _("Customers' accounts can move to another exchange, by a contract and an order, for whoever consents or does not opt out.")

    def buttons(self) -> list[Button]:
        return [self.button(_("Announce a move"), "move-announce", "returns.schedule", main=True)]

    def sections(self) -> list[Section]:
        return [
            Section(
                head=[_("Move"), _("Other exchange"), _("Terms"), _("Customers choose until"), _("State")],
                rows=[
                    [link(self.url("move", number=row.number), row.number), row.transferee, row.get_terms_display(), day(row.choose_by),
                     _("counted") if row.closed_at else _("customers choose")]
                    for row in self.case.book_moves.order_by("-number")
                ],
                empty=_("None yet."),
            )
        ]  # fmt: skip


def move_of(page_: CasePage) -> BookMove:
    found = page_.case.book_moves.select_related("case", "order", "by").filter(number=page_.kwargs["number"]).first()
    if found is None:
        raise Http404
    return found


@page("moves/<int:number>/", name="move")
class MovePage(ShowPage):
    """One move: its terms, how many move so far, and the latest words."""

    title = lazy("Move to another exchange")
    move: BookMove

    def prepare(self, **kwargs: Any) -> None:
        self.move = move_of(self)

    def sentence(self) -> Any:
        words = {"to": self.move.transferee, "until": day(self.move.choose_by)}
        if self.move.closed_at:
            return _("The accounts of those who move go to %(to)s. Schedule a round: what goes there has its own rail.") % words
        return _("The accounts are to move to %(to)s. Customers choose until %(until)s.") % words

    def figures(self) -> list[tuple[Any, Any]]:
        found = moving.counted(self.move)
        return [
            (_("Terms"), self.move.get_terms_display()), (_("Assets"), ", ".join(self.move.assets)), (_("Order"), self.move.order.number),
            (_("Move"), f"{found['moving']:,}"), (_("Of them by their own word"), f"{found['said_so']:,}"),
            (_("Stay"), f"{found['staying']:,}"), (_("Opted out"), f"{found['opted_out']:,}"),
            (_("Announced"), f"{self.instant(self.move.at)} · {who(self.move.by)}"), (_("Counted"), self.instant(self.move.closed_at)),
        ]  # fmt: skip

    def buttons(self) -> list[Button]:
        if self.move.closed_at:
            return [self.button(_("Schedule a round"), "round-schedule", "returns.schedule", main=True)]
        number = self.move.number
        return [
            self.button(_("Write down a customer's word"), "move-choose", "claims.schedule", main=True, number=number),
            self.button(_("Count the words"), "move-close", "returns.schedule", number=number),
        ]

    def sections(self) -> list[Section]:
        rows = self.move.choices.select_related("claim", "by").order_by("-pk")[:LATEST]
        return [
            Section(
                _("The latest words"), "", [_("Claim"), _("Word"), _("Written down"), _("By")],
                [[row.claim.number, _("moves") if row.moves else _("stays"), self.instant(row.at), who(row.by)] for row in rows],
                empty=_("None yet."),
            )
        ]  # fmt: skip


class AnnounceForm(forms.Form):
    """To whom, by what, on which terms, which assets, until when."""

    transferee = forms.CharField(label=lazy("The other exchange"), max_length=200)
    terms = forms.ChoiceField(label=lazy("Terms"), choices=Terms.choices)
    choose_by = forms.DateField(label=lazy("Customers choose until"), widget=forms.DateInput(attrs={"type": "date"}))
    contract = forms.FileField(label=lazy("The contract, signed"))

    def __init__(self, *args: Any, codes: list[str], standing: list[CourtOrder], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["assets"] = forms.MultipleChoiceField(
            label=_("Assets that move"), choices=[(code, code) for code in codes], widget=forms.CheckboxSelectMultiple
        )
        self.fields["order"] = forms.TypedChoiceField(
            label=_("Order it rests on"), coerce=int, choices=[(order.pk, f"{order.number} · {order.issuer}") for order in standing]
        )


@page("moves/announce/", name="move-announce")
class AnnounceMove(ActPage):
    """moving.announce"""

    title = lazy("Announce a move")
    power = "returns.schedule"
    form_class = AnnounceForm
    intro = lazy("The move rests on an order that permits it and on the contract with the other exchange. Customers hear of it by notice.")

    def form_arguments(self) -> dict[str, Any]:
        permitted = self.case.orders.filter(permits__contains=[moving.PERMITS]).order_by("-pk")
        return {"codes": list(assets_of(self.case)), "standing": [order for order in permitted if orders.stands(order, self.at)]}

    def effect(self, data: dict[str, Any]) -> Effect:
        return Effect(
            sentence=_("The accounts of this case are announced to move to %(to)s.") % {"to": data["transferee"]},
            button=_("Announce the move"),
            figures=[
                (_("Terms"), str(dict(Terms.choices)[data["terms"]])), (_("Customers choose until"), day(data["choose_by"])),
                (_("Assets"), ", ".join(data["assets"])),
            ],
            content_sha256=data["contract"].sha256,
            order=self.order(data),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return moving.announce(
            self.case, transferee=data["transferee"], terms=data["terms"], choose_by=data["choose_by"], assets=data["assets"],
            order=self.order(data), contract=data["contract"].read(), by=self.user, at=self.at,
        )  # fmt: skip

    def done(self, result: Any) -> tuple[str, str]:
        return _("The move is announced. Write down what customers say."), self.url("move", number=result.number)

    def back(self) -> str:
        return self.url("moves")

    def order(self, data: dict[str, Any]) -> CourtOrder:
        found = self.case.orders.filter(pk=data["order"]).first()
        if found is None:
            raise Http404
        return found


class ChoiceForm(forms.Form):
    claim = forms.CharField(label=lazy("Claim"), max_length=60)
    moves = forms.TypedChoiceField(
        label=lazy("The customer's word"), coerce=lambda text: text == "yes", empty_value=None,
        choices=[("yes", lazy("moves: consents, or takes an opt-out back")), ("no", lazy("stays: opts out"))],
    )  # fmt: skip
    paper = forms.FileField(label=lazy("The signed paper"))


class OfMove(ActPage):
    """An act on one move of the case."""

    def form_arguments(self) -> dict[str, Any]:
        move_of(self)
        return {}

    def back(self) -> str:
        return self.url("move", number=self.kwargs["number"])


@page("moves/<int:number>/choose/", name="move-choose")
class ChooseMove(OfMove):
    """moving.choose"""

    title = lazy("Write down a customer's word")
    power = "claims.schedule"
    form_class = ChoiceForm

    def effect(self, data: dict[str, Any]) -> Effect:
        claim, move = self.claim(data), move_of(self)
        words = {"claim": claim.number, "to": move.transferee}
        return Effect(
            sentence=_("Claim %(claim)s moves to %(to)s.") % words if data["moves"] else _("Claim %(claim)s stays; it does not move to %(to)s.") % words,
            button=_("Write it down"),
            figures=[(_("Claim"), claim.number), (_("Customers choose until"), day(move.choose_by))],
            content_sha256=data["paper"].sha256,
        )

    def act(self, data: dict[str, Any]) -> Any:
        return moving.choose(
            move_of(self), self.claim(data), moves=data["moves"], paper=data["paper"].read(), by=self.user, at=self.at
        )

    def claim(self, data: dict[str, Any]) -> Claim:
        found = self.case.claims.filter(number=data["claim"].strip()).first()
        if found is None:
            raise moving.NotMoved(_("There is no claim %(claim)s in this case.") % {"claim": data["claim"]})
        return found


@page("moves/<int:number>/close/", name="move-close")
class CloseMove(OfMove):
    """moving.close"""

    title = lazy("Count the words")
    power = "returns.schedule"

    def effect(self, data: dict[str, Any]) -> Effect:
        move = move_of(self)
        found = moving.counted(move)
        return Effect(
            sentence=_("%(count)s customers move to %(to)s: each gets a destination there, which cools off as any does.")
            % {"count": f"{found['moving']:,}", "to": move.transferee},
            button=_("Count the words"),
            figures=[
                (_("Move"), f"{found['moving']:,}"), (_("Of them by their own word"), f"{found['said_so']:,}"),
                (_("Stay"), f"{found['staying']:,}"), (_("Customers choose until"), day(move.choose_by)),
            ],
            order=move.order,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return moving.close(move_of(self), by=self.user, at=self.at)


class HandoverForm(forms.Form):
    reason = forms.CharField(label=lazy("To whom it is handed over, and how"), max_length=500, widget=forms.TextInput)


@page("batches/<str:batch>/identities/<int:part>/", name="batch-identities")
class IdentitiesFile(CasePage):
    """moving.hand_over_identities: the persons of one book. Asked for with its reason, and given once for each asking."""

    title = lazy("The persons' file of a book")
    power = "returns.export"
    template = "office/act.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.batch()
        return self.shown(HandoverForm())

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        batch, form = self.batch(), HandoverForm(request.POST)
        if not form.is_valid():
            return self.shown(form, status=400)
        name, content = moving.hand_over_identities(
            batch, self.kwargs["part"], reason=form.cleaned_data["reason"], by=self.user, at=self.at
        )
        return attachment(content, name, "application/json")

    def batch(self) -> Batch:
        found = batch_of(self.case, self.kwargs["batch"])
        if found.rail != Transferee.code:
            raise Http404
        return found

    def shown(self, form: forms.Form, *, status: int = 200) -> HttpResponse:
        intro = _("It holds personal data of every customer in the book. Hand it over sealed, to the other exchange only. "
                  "Every time it is made, the record says by whom and why.")  # fmt: skip
        return self.show({"form": form, "intro": intro, "button": _("Hand the file over"), "trouble": status != 200}, status=status)
