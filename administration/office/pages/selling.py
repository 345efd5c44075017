"""Forced sales: whose coins, what two people sign, and what the sale brought each claim."""

from typing import Any

from django import forms
from django.db.models import Sum
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.books.models import Asset
from administration.cases.models import ApprovalRequest, Case, CourtOrder
from administration.office import readable
from administration.office.entering import AmountField, InstantField, OfCase, OneOf, PaperField, WordsField, offer
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import page
from administration.office.pages.depositing import BATCH, ClaimsField, Why, back_button, claims_named, request_of
from administration.office.pages.papers import paper
from administration.office.pages.showing import Button, Section, ShowPage, link, tag, who
from administration.office.pages.what_is_signed import describes
from administration.office.templatetags.office import amount, jst
from administration.returns import apart, sales
from administration.returns.models import ForcedSale, TailState

EVIDENCE = "returns.evidence"
SHOWN = 200
GROUNDS: dict[str, Any] = {
    sales.UNREACHABLE: lazy("The customers are unreachable, and an order permits it"),
    sales.MONEY_ONLY: lazy("The proceeding pays money only"),
}
UNCONFIRMED = lazy("Whether and when coins of a customer may be sold is to be confirmed by counsel. The law sets no instant for the price.")


def sale_of(case: Case, pk: int) -> ForcedSale:
    found = ForcedSale.objects.filter(case=case, pk=pk).select_related("case", "asset", "into", "order", "by").first()
    if found is None:
        raise Http404
    return found


def price_of(sale: ForcedSale) -> str:
    """What one whole coin brought, before fees, rounded down to the unit of the money."""
    gross, quantity = sales.price(sale)
    return readable.money(gross * 10**sale.asset.scale // quantity, sale.into) if quantity and gross else "–"


@page("sales/", name="sales", menu="returns", icon="sell", order=62)
class SalesPage(ShowPage):
    title = lazy("Forced sales")

    def sentence(self) -> Any:
        return _("Coins become money where the proceeding or a deposit takes money only. Each claim keeps the price it got.")

    def buttons(self) -> list[Button]:
        return [self.button(_("Propose a sale"), "sale-propose", BATCH, main=True)]

    def sections(self) -> list[Section]:
        rows = [
            [link(self.url("sale", pk=sale.pk), sale), tag(sale.get_state_display()), str(GROUNDS.get(sale.ground, sale.ground)),
             amount(int(sale.coins or 0), sale.asset), amount(sale.gross, sale.into) if sale.gross else "–",
             sale.venue or "–", who(sale.by), jst(sale.at)]
            for sale in self.case.forced_sales.select_related("asset", "into", "by").annotate(coins=Sum("shares__quantity")).order_by("-number")[:SHOWN]
        ]  # fmt: skip
        head = [_("Sale"), _("State"), _("Ground"), _("Coins"), _("Brought"), _("Venue"), _("Prepared by"), _("When")]
        return [Section(_("Sales"), head=head, rows=rows, numeric=frozenset({3, 4}), empty=_("Nothing was sold."))]


@page("sales/<int:pk>/", name="sale")
class SalePage(ShowPage):
    title = lazy("A forced sale")

    def prepare(self, **kwargs: Any) -> None:
        self.sale = sale_of(self.case, kwargs["pk"])

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return super().context(**kwargs) | {"title": _("Sale %(sale)s") % {"sale": self.sale}}

    def notices(self) -> list[tuple[str, Any]]:
        return [("warning", UNCONFIRMED)]

    def figures(self) -> list[tuple[Any, Any]]:
        sale = self.sale
        return [
            (_("State"), sale.get_state_display()), (_("Ground"), str(GROUNDS.get(sale.ground, sale.ground))), (_("Facts"), sale.facts),
            (_("Order"), sale.order.number if sale.order else "–"),
            (_("Coins"), readable.money(sum(sale.shares.values_list("quantity", flat=True)), sale.asset)),
            (_("Brought"), readable.money(sale.gross, sale.into) if sale.gross else "–"),
            (_("Fees"), readable.money(sale.fees or 0, sale.into) if sale.gross else "–"),
            (_("Price of 1 %(asset)s before fees") % {"asset": sale.asset.code}, price_of(sale)),
            (_("Venue"), sale.venue or "–"), (_("Sold"), jst(sale.sold_at) if sale.sold_at else "–"),
            (_("The venue's paper"), paper(self, sale.evidence_sha256, _("paper")) if sale.evidence_sha256 else "–"),
        ]  # fmt: skip

    def buttons(self) -> list[Button]:
        request = request_of(self.case, sales.ACT, self.sale.pk)
        found = [Button(_("Signatures"), self.url("approval", pk=request.pk))] if request else []
        if self.sale.state == TailState.APPROVED:
            found.append(self.button(_("They were sold"), "sale-sold", EVIDENCE, pk=self.sale.pk, main=True))
        return [*found, *back_button(self, self.sale, "sale-back")]

    def sections(self) -> list[Section]:
        rows = [
            [link(self.url("claim", number=one.claim_line.claim.number), one.claim_line.claim.number), amount(one.quantity, self.sale.asset),
             amount(one.proceeds, self.sale.into) if one.proceeds is not None else "–"]
            for one in self.sale.shares.select_related("claim_line__claim").order_by("claim_line__claim__number", "pk")[:SHOWN]
        ]  # fmt: skip
        return [Section(_("Whose coins, and what they brought after fees"), head=[_("Claim"), _("Coins"), _("Brought")], rows=rows, numeric=frozenset({1, 2}))]


class Proposing(OfCase):
    asset = OneOf(Asset.objects.none(), label=lazy("Coins"))
    into = OneOf(Asset.objects.none(), label=lazy("Into"))
    ground = forms.ChoiceField(label=lazy("Ground"), choices=list(GROUNDS.items()))
    claims = ClaimsField(label=lazy("Claims"), help_text=lazy("Their numbers, one a line. Everything they have of it is sold."))
    facts = WordsField(label=lazy("Why, and why now"), max_length=2000)
    order = OneOf(CourtOrder.objects.none(), label=lazy("Order"), required=False)

    def prepare(self) -> None:
        assets = Asset.objects.filter(case=self.case).order_by("code")
        offer(self, "asset", assets.exclude(kind="fiat"))
        offer(self, "into", assets.filter(kind="fiat"))
        offer(self, "order", self.case.orders.order_by("-issued_date"))

    def clean_claims(self) -> Any:
        return claims_named(self, self.cleaned_data["claims"])


@page("sales/propose/", name="sale-propose")
class ProposeSale(ActPage):
    """sales.propose"""

    title = lazy("Propose a forced sale")
    tried = True
    power = BATCH
    form_class = Proposing
    intro = lazy("Two other people sign whose coins and how many. Somebody sells them outside this house; the venue's paper carries the sale out.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        amounts = sales.lines_of(self.case, data["asset"], data["claims"], data["ground"])
        return Effect(
            _("%(coins)s of %(count)s lines of claims are sold, once two people have signed.")
            % {"coins": readable.money(sum(amounts.values()), data["asset"]), "count": f"{len(amounts):,}"},
            _("Ask two people to sign the sale"),
            figures=[(_("Ground"), str(GROUNDS[data["ground"]])), (_("Into"), data["into"].code), (_("Facts"), data["facts"])],
            tables=[
                Table(
                    _("The first ten"), [_("Claim"), _("Coins")],
                    [[line.claim.number, readable.money(units, data["asset"])] for line, units in list(amounts.items())[:10]], frozenset({1}),
                )
            ],
            warnings=[UNCONFIRMED], order=data.get("order"),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return sales.propose(
            self.case, data["asset"], data["into"], ground=data["ground"], facts=data["facts"], claims=data["claims"], order=data.get("order"),
            by=self.user, at=self.at,
        )  # fmt: skip

    def back(self) -> str:
        return self.url("sales")


def effect_of(sale: ForcedSale, sentence: Any, sha256: str, warnings: list[Any]) -> Effect:
    shares = list(sale.shares.select_related("claim_line__claim").order_by("-quantity", "pk"))
    return Effect(
        sentence, _("Sign"),
        figures=[
            (_("Coins"), readable.money(sum(share.quantity for share in shares), sale.asset)), (_("Lines"), f"{len(shares):,}"), (_("Into"), sale.into.code),
            (_("Ground"), str(GROUNDS.get(sale.ground, sale.ground))), (_("Facts"), sale.facts),
        ],
        tables=[
            Table(
                _("The largest ten"), [_("Claim"), _("Coins")],
                [[share.claim_line.claim.number, readable.money(share.quantity, sale.asset)] for share in shares[:10]], frozenset({1}),
            )
        ],
        warnings=[UNCONFIRMED, *warnings], content_sha256=sha256, order=sale.order, moves_value=True,
    )  # fmt: skip


@describes(sales.ACT)
def what_is_sold(request: ApprovalRequest, case: Case) -> Effect:
    sale = sale_of(case, request.object_id)
    return effect_of(sale, _("Approve sale %(sale)s: these coins are sold for money.") % {"sale": sale}, bytes(request.content_sha256).hex(), [])


@describes(sales.ACT + apart.BACK)
def what_sale_is_given_up(request: ApprovalRequest, case: Case) -> Effect:
    sale = sale_of(case, request.object_id)
    return effect_of(
        sale, _("Give sale %(sale)s up: the coins are the claims' again.") % {"sale": sale}, bytes(request.content_sha256).hex(),
        [_("You say with your signature that the coins were not sold.")],
    )  # fmt: skip


class OfSale(ActPage):
    def object(self) -> ForcedSale:
        return sale_of(self.case, self.kwargs["pk"])

    def form_arguments(self) -> dict[str, Any]:
        self.object()
        return {}

    def about(self) -> str:
        return _("Sale %(number)s") % {"number": self.object()}

    def back(self) -> str:
        return self.url("sale", pk=self.kwargs["pk"])


class Selling(OfCase):
    gross = AmountField(label=lazy("What they brought, before fees"))
    fees = AmountField(label=lazy("Fees of the venue"))
    venue = forms.CharField(label=lazy("Venue"), max_length=200)
    sold_at = InstantField(label=lazy("Sold"))
    paper = PaperField(label=lazy("The venue's paper"), help_text=lazy("Its list of trades, with times and prices."))


@page("sales/<int:pk>/sold/", name="sale-sold")
class Sold(OfSale):
    """sales.sold"""

    title = lazy("The coins were sold")
    power = EVIDENCE
    form_class = Selling

    def form_arguments(self) -> dict[str, Any]:
        self.object()
        return {"case": self.case}

    def units(self, data: dict[str, Any], sale: ForcedSale) -> tuple[int, int]:
        form = Selling({"gross": data["gross"], "fees": data["fees"]}, case=self.case)
        form.is_valid()
        gross, fees = form.units("gross", sale.into), form.units("fees", sale.into)
        if gross is None or fees is None:
            raise sales.NotSold(_("Give what they brought and the fees as plain amounts of %(asset)s.") % {"asset": sale.into.code})
        return gross, fees

    def effect(self, data: dict[str, Any]) -> Effect:
        sale = self.object()
        gross, fees = self.units(data, sale)
        if gross <= fees:
            raise sales.NotSold(_("A sale says where and when it was made, what it brought, the fees within that, and the venue's paper."))
        shares = sales.shares_of(sale, gross - fees)
        named = {share.pk: share for share in sale.shares.select_related("claim_line__claim")}
        rows = [[named[pk].claim_line.claim.number, readable.money(named[pk].quantity, sale.asset), readable.money(units, sale.into)]
                for pk, units in sorted(shares.items(), key=lambda one: -one[1])[:10]]  # fmt: skip
        return Effect(
            _("%(net)s are shared among %(count)s lines of claims, to the last unit.")
            % {"net": readable.money(gross - fees, sale.into), "count": f"{len(shares):,}"},
            _("Record the sale"),
            figures=[(_("Brought"), readable.money(gross, sale.into)), (_("Fees"), readable.money(fees, sale.into)), (_("Venue"), data["venue"]),
                     (_("Sold"), jst(data["sold_at"])), (_("Paper, SHA-256"), data["paper"].sha256)],
            tables=[Table(_("The largest ten"), [_("Claim"), _("Coins"), _("Brought")], rows, frozenset({1, 2}))],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        sale = self.object()
        gross, fees = self.units(data, sale)
        return sales.sold(
            sale, gross=gross, fees=fees, venue=data["venue"], sold_at=data["sold_at"], paper=data["paper"].read(), by=self.user, at=self.at
        )


@page("sales/<int:pk>/give-up/", name="sale-back")
class GiveSaleUp(OfSale):
    title = lazy("Give a sale up")
    power = BATCH
    form_class = Why

    def effect(self, data: dict[str, Any]) -> Effect:
        sale = self.object()
        return Effect(
            _("Two people are asked to give sale %(sale)s up.") % {"sale": sale}, _("Ask two people"), figures=[(_("Reason"), data["reason"])]
        )

    def act(self, data: dict[str, Any]) -> Any:
        return apart.ask_back(self.object(), sales.ACT, reason=data["reason"], by=self.user, at=self.at)
