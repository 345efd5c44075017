"""What is held: places with their newest statement and proof, and what came to them or left."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.books.models import Asset
from administration.cases.models import CourtOrder
from administration.custody import holdings, movements
from administration.custody.models import COMING, GOING, POOLED, Access, HoldingPlace, Movement, MovementKind
from administration.ledger.models import HandedOverPlace, Intake, IntakeState
from administration.office import readable, words
from administration.office.entering import AmountField, InstantField, OfCase, OneOf, PaperField, WordsField, offer
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import page
from administration.office.pages.lists import Column, ListPage
from administration.office.pages.papers import paper
from administration.office.pages.showing import Button, Section, ShowPage, figure, tag, who
from administration.office.templatetags.office import amount, jst

POWER = holdings.POWER
PLACES_SHOWN = 500


@page("holdings/", name="holdings", menu="held", icon="account_balance_wallet", order=1)
class HoldingsPage(ShowPage):
    title = lazy("What is held")

    def prepare(self, **kwargs: Any) -> None:
        self.newest = list(holdings.newest(self.case).select_related("place", "asset", "by")[: PLACES_SHOWN + 1])
        self.accepted = Intake.objects.filter(case=self.case, state=IntakeState.ACCEPTED).exists()

    def sentence(self) -> Any:
        if not self.newest:
            return _("Nothing is recorded yet. Record what the handover package says is held, each place with its paper.")
        return _("Each place counts with its newest statement. Only what is proved and the customers' can be shared out.")

    def buttons(self) -> list[Button]:
        return [
            self.button(_("Record what the package says"), "holdings-handover", POWER, main=not self.newest)
            if self.accepted
            else Button(_("Record what the package says"), why_not=_("first take over the ledger")),
            self.button(_("Record a holding"), "holding-record", POWER),
            self.button(_("Movements"), "movements"),
            self.button(_("Reconciliation"), "reconciliation", main=bool(self.newest)),
        ]

    def sections(self) -> list[Section]:
        sums: dict[str, dict[str, int]] = {}
        assets: dict[str, Asset] = {}
        for row in self.newest:
            key = row.access if row.place.tag in POOLED else "own"
            assets[row.asset.code] = row.asset
            per = sums.setdefault(row.asset.code, {})
            per[key] = per.get(key, 0) + row.amount
        kinds = [*Access.values, "own"]
        heads = [_("Asset"), *(words.of(words.ACCESS, kind) for kind in Access.values), words.of(words.TAGS, "own")]
        by_asset = Section(
            _("Per asset, by whether we can move it"), head=heads,
            rows=[[code, *(figure(sums[code].get(kind, 0), assets[code]) for kind in kinds)] for code in sorted(sums)],
            numeric=frozenset(range(1, len(heads))),
        )  # fmt: skip
        places = Section(
            _("Places"),
            "" if len(self.newest) <= PLACES_SHOWN else _("The first %(n)s places.") % {"n": PLACES_SHOWN},
            head=[_("Place"), _("Amount"), _("Access"), _("Whose"), _("Kind"), _("As of"), _("How it was proved"), _("Evidence"), _("Recorded by")],
            rows=[
                [
                    row.place.locator, amount(row.amount, row.asset), tag(words.of(words.ACCESS, row.access)),
                    words.of(words.TAGS, row.place.tag), words.of(words.PLACES, row.place.kind), jst(row.as_of), row.proof or "–",
                    paper(self, row.evidence_sha256, row.evidence_name), who(row.by),
                ]
                for row in self.newest[:PLACES_SHOWN]
            ],
            numeric=frozenset({1}), apart=True,
        )  # fmt: skip
        return [by_asset, places] if self.newest else []


# --- recording ------------------------------------------------------------------------------------


class Holding(OfCase):
    asset = OneOf(Asset.objects.none(), label=lazy("Asset"))
    amount = AmountField(label=lazy("Amount"))
    kind = forms.ChoiceField(label=lazy("Kind of place"), choices=words.choices(words.PLACES))
    network = forms.CharField(label=lazy("Network"), required=False, help_text=lazy("bitcoin, ethereum, bank … Empty: the asset's own."))
    locator = forms.CharField(label=lazy("Where"), help_text=lazy("Address, account number, or trust contract."))
    temperature = forms.ChoiceField(label=lazy("Connected to a network"), choices=words.choices(words.TEMPERATURES), required=False)
    tag = forms.ChoiceField(label=lazy("Whose it is meant to be"), choices=words.choices(words.TAGS))
    controller = forms.CharField(label=lazy("Who controls it"), required=False)
    custodian = forms.CharField(label=lazy("Custodian"), required=False)
    as_of = InstantField(label=lazy("As of"))
    access = forms.ChoiceField(label=lazy("Access"), choices=words.choices(words.ACCESS))
    proof = forms.CharField(
        label=lazy("How control was proved"), required=False, help_text=lazy("A signed message, a test transfer, the trust bank's certificate.")
    )
    evidence = PaperField(label=lazy("Evidence"))

    def prepare(self) -> None:
        offer(self, "asset", Asset.objects.filter(case=self.case).order_by("code"))

    def clean(self) -> dict[str, Any]:
        super().clean()
        self.cleaned_data["units"] = self.units("amount", self.cleaned_data.get("asset"))
        return self.cleaned_data


@page("holdings/record/", name="holding-record")
class RecordHolding(ActPage):
    title = lazy("Record a holding")
    power = POWER
    form_class = Holding
    intro = lazy("What was there at one instant, by which paper, and whether we can move it. It stays as recorded; a later statement follows it.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        asset, counts = data["asset"], data["access"] == Access.PROVED and data["tag"] in POOLED
        known = HoldingPlace.objects.filter(
            case=self.case, asset=asset, network=data["network"] or asset.network, locator=data["locator"]
        ).first()
        before = holdings.newest(self.case).filter(place=known).first() if known else None
        return Effect(
            _("%(amount)s at %(place)s are recorded.") % {"amount": readable.money(data["units"], asset), "place": data["locator"]},
            _("Record the holding"),
            figures=[
                (_("Counts in the customers' pool"), _("yes") if counts else _("no")),
                (_("Whose"), words.of(words.TAGS, data["tag"])),
                (_("Access"), words.of(words.ACCESS, data["access"])),
                (_("As of"), jst(data["as_of"])),
                (_("Before at this place"), readable.money(before.amount, asset) if before else _("the place is new")),
            ],
            warnings=[]
            if not (before and before.amount != data["units"])
            else [_("The place held another amount before. Explain the difference by a movement.")],
            content_sha256=data["evidence"].sha256,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return holdings.record(
            self.case, asset=data["asset"], kind=data["kind"], network=data["network"] or data["asset"].network,
            locator=data["locator"], temperature=data["temperature"], tag=data["tag"], controller=data["controller"],
            custodian=data["custodian"], amount=data["units"], as_of=data["as_of"], access=data["access"],
            proof=data["proof"], evidence=data["evidence"].read(), evidence_name=data["evidence"].name, by=self.user, at=self.at,
        )  # fmt: skip

    def back(self) -> str:
        return self.url("holdings")


@page("holdings/handover/", name="holdings-handover")
class FromHandover(ActPage):
    title = lazy("Record what the package says is held")
    power = POWER

    def effect(self, data: dict[str, Any]) -> Effect:
        intake = Intake.objects.filter(case=self.case, state=IntakeState.ACCEPTED).first()
        places = list(HandedOverPlace.objects.filter(intake=intake).select_related("asset").order_by("row")) if intake else []
        recorded = holdings.newest(self.case).count()
        return Effect(
            _("%(n)s places of the handover package are recorded, each with its paper from the package.") % {"n": f"{len(places):,}"},
            _("Record them"),
            figures=[(_("Places in the package"), f"{len(places):,}"), (_("Places recorded so far"), f"{recorded:,}")],
            tables=[
                Table(
                    _("Places"), [_("Place"), _("Whose"), _("Amount"), _("Access"), _("Evidence")],
                    [
                        [row.details.get("address", "–"), words.of(words.TAGS, row.details.get("tag", "")), readable.money(row.amount, row.asset),
                         words.of(words.ACCESS, row.details.get("access", "")), row.details.get("evidence_file", "–")]
                        for row in places[:100]
                    ],
                    numeric=frozenset({2}),
                )
            ],
            content_sha256=bytes(intake.package_sha256).hex() if intake else "",
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return holdings.from_handover(self.case, by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("%(n)s places are recorded with their papers.") % {"n": f"{len(result):,}"}, self.url("holdings")


# --- movements ------------------------------------------------------------------------------------


@page("movements/", name="movements", menu="held", icon="swap_horiz", order=10)
class MovementsPage(ListPage):
    title = lazy("Movements")
    newest_first = True
    empty = lazy("Nothing came or went, besides returns to customers.")
    template = "office/holding/movements.html"

    def rows(self) -> Any:
        return Movement.objects.filter(case=self.case).select_related("place__asset", "by", "order")

    def columns(self) -> list[Column]:
        return [
            Column(_("When"), lambda row: jst(row.at)),
            Column(_("Place"), lambda row: row.place.locator),
            Column(_("What"), lambda row: words.of(words.MOVEMENTS, row.kind)),
            Column(_("Amount"), lambda row: amount(row.amount, row.place.asset), numeric=True),
            Column(_("Why"), lambda row: row.reason),
            Column(_("Order"), lambda row: row.order or "–"),
            Column(_("Evidence"), lambda row: paper(self, row.evidence_sha256, row.evidence_name)),
            Column(_("Recorded by"), lambda row: who(row.by)),
        ]

    def context(self, **kwargs: Any) -> dict[str, Any]:
        record = self.url("movement-record") if self.may(POWER) else ""
        return super().context(**kwargs) | {"buttons": [Button(_("Record a movement"), record, main=True)]}


def placed(place: HoldingPlace) -> str:
    return f"{place.asset.code} · {place.locator}"


class Moving(OfCase):
    place = OneOf(HoldingPlace.objects.none(), named=placed, label=lazy("Place"))
    kind = forms.ChoiceField(label=lazy("Kind"), choices=words.choices(words.MOVEMENTS, MovementKind.values))
    amount = AmountField(label=lazy("Amount"), help_text=lazy("Above zero. Only for a transfer between places, below zero at the place it left."))
    reason = WordsField(label=lazy("Why"))
    order = OneOf(CourtOrder.objects.none(), label=lazy("By order"), required=False)
    evidence = PaperField(label=lazy("Evidence"))

    def prepare(self) -> None:
        places = HoldingPlace.objects.filter(case=self.case).select_related("asset")
        offer(self, "place", places.order_by("asset__code", "locator"))
        offer(self, "order", self.case.orders.order_by("-issued_date", "-pk"))

    def clean(self) -> dict[str, Any]:
        super().clean()
        place, kind = self.cleaned_data.get("place"), self.cleaned_data.get("kind")
        units = self.units("amount", place.asset if place else None)
        if units is not None and units < 0 and kind in (*COMING, *GOING):
            self.add_error("amount", _("Write the amount without a sign: what happened says whether it came or went."))
        self.cleaned_data["units"] = -units if units is not None and kind in GOING else units
        return self.cleaned_data


@page("movements/record/", name="movement-record")
class RecordMovement(ActPage):
    title = lazy("Record a movement")
    tried = True
    power = POWER
    form_class = Moving
    intro = lazy("What came to a place or left it, other than returns to customers, with the paper that says so.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        place = data["place"]
        newest = holdings.newest(self.case).filter(place=place).first()
        return Effect(
            _("%(amount)s at %(place)s: %(what)s.")
            % {"amount": readable.money(data["units"], place.asset), "place": place.locator, "what": words.of(words.MOVEMENTS, data["kind"])},
            _("Record the movement"),
            figures=[
                (_("Stated there last"), readable.money(newest.amount, place.asset) if newest else "–"),
                (_("Whose"), words.of(words.TAGS, place.tag)),
                (_("Why"), data["reason"]),
            ],
            content_sha256=data["evidence"].sha256, order=data["order"], moves_value=data["units"] < 0,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return movements.record(
            data["place"], kind=data["kind"], amount=data["units"], reason=data["reason"], evidence=data["evidence"].read(),
            evidence_name=data["evidence"].name, order=data["order"], by=self.user, at=self.at,
        )  # fmt: skip

    def back(self) -> str:
        return self.url("movements")
