"""Where returns go: destinations relied on by order, keyed from paper by two people, cooled off, taken out of use."""

from typing import Any

from django import forms
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.books.models import Asset
from administration.cases import archive, orders
from administration.cases.models import CourtOrder
from administration.office import words
from administration.office.entering import OfCase, OneOf, PaperField, Reason, offer
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import page
from administration.office.pages.claiming import VERIFY
from administration.office.pages.deciding import OfClaim
from claims.destinations import cooling, handover, paper
from claims.destinations.models import Destination, DestinationState, Origin


class ByOrder(OfCase):
    order = OneOf(CourtOrder.objects.none(), label=lazy("By order"), help_text=lazy("Registered as one that permits to rely on the exchange's files."))

    def prepare(self) -> None:
        offer(self, "order", self.case.orders.filter(permits__contains=[handover.PERMIT]).order_by("-issued_date", "-pk"))


@page("destinations-by-order/", name="destinations-order")
class RelyOnHandover(ActPage):
    title = lazy("Rely on destinations handed over")
    power = VERIFY
    form_class = ByOrder
    intro = lazy(
        "Every destination from the exchange's files that is the only one known for its claim and asset counts as proved, by a court's order. "
        "Where the files name several, the customer is asked."
    )

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        orders.require(data["order"], self.at)
        waiting = Destination.objects.filter(case=self.case, origin=Origin.HANDOVER, state=DestinationState.PROPOSED).exists()
        return Effect(
            _("Destinations from the exchange's files are relied on for the whole case. Each can be used after the waiting time."),
            _("Rely on them"),
            figures=[
                (_("Waiting time"), _("%(n)s hours") % {"n": self.case.cooling_off_hours}),
                (_("Some are proposed"), _("yes") if waiting else _("no")),
            ],
            order=data["order"], moves_value=True,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return handover.verify_by_order(self.case, data["order"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("%(n)s destinations are proved and in their waiting time.") % {"n": f"{result:,}"}, self.url("claims")


@page("destinations-release/", name="destinations-release")
class ReleaseCooled(ActPage):
    title = lazy("Release what has cooled off")
    power = VERIFY

    def effect(self, data: dict[str, Any]) -> Effect:
        return Effect(
            _("Destinations whose waiting time is over become usable. The clock does this by itself too; nothing is shortened."),
            _("Release them"),
            figures=[(_("Waiting time"), _("%(n)s hours") % {"n": self.case.cooling_off_hours})],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return cooling.release(self.case, by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("%(n)s destinations became usable.") % {"n": f"{result:,}"}, self.url("claims")


# --- from paper -----------------------------------------------------------------------------------

BANK = ("bank_code", "branch_code", "kind", "number", "holder_kana")
ADDRESS = ("network", "address", "memo")


class Keyed(forms.Form):
    """What a paper says, as one person reads it."""

    network = forms.CharField(label=lazy("Network"), required=False, help_text=lazy("For coins: as the paper names it. Empty: the asset's own."))
    address = forms.CharField(label=lazy("Address"), required=False)
    memo = forms.CharField(label=lazy("Memo or tag"), required=False)
    bank_code = forms.CharField(label=lazy("Bank code"), required=False, max_length=4)
    branch_code = forms.CharField(label=lazy("Branch code"), required=False, max_length=3)
    kind = forms.ChoiceField(
        label=lazy("Kind of account"), required=False, choices=[("", "–"), *words.choices(words.ACCOUNTS)]
    )
    number = forms.CharField(label=lazy("Account number"), required=False, max_length=7)
    holder_kana = forms.CharField(label=lazy("Holder, in kana"), required=False)

    def said(self, asset: Asset) -> tuple[str, dict[str, str]]:
        names = BANK if asset.network == "bank" else ADDRESS
        details = {name: self.cleaned_data.get(name) or "" for name in names}
        network = asset.network if asset.network == "bank" else details["network"] or asset.network
        return network, details


class Proposing(Keyed):
    asset = OneOf(Asset.objects.none(), label=lazy("Asset"))
    evidence = PaperField(label=lazy("Scan of the signed paper"))

    field_order = ("asset", *BANK, *ADDRESS, "evidence")

    def __init__(self, *args: Any, assets: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        offer(self, "asset", assets)

    def clean(self) -> dict[str, Any]:
        super().clean()
        asset = self.cleaned_data.get("asset")
        if asset is not None:
            self.cleaned_data["said"] = self.said(asset)
        return self.cleaned_data


@page("claims/<str:number>/destination/", name="destination-propose")
class ProposeDestination(OfClaim):
    title = lazy("Destination on paper")
    power = VERIFY
    form_class = Proposing
    intro = lazy("Key in what the signed paper says: a bank account for yen, an address for coins. A second person keys in the same paper without seeing this.")

    def form_arguments(self) -> dict[str, Any]:
        self.claim()
        return {"assets": Asset.objects.filter(case=self.case).order_by("code")}

    def effect(self, data: dict[str, Any]) -> Effect:
        network, details = data["said"]
        return Effect(
            _("A destination for %(asset)s of claim %(claim)s is proposed. It waits for a second person's key.")
            % {"asset": data["asset"].code, "claim": self.claim()},
            _("Propose the destination"),
            figures=[(_("Network"), words.of(words.NETWORKS, network)), *((LABELS[name], value) for name, value in details.items() if value and name != "network")],
            content_sha256=data["evidence"].sha256,
        )

    def act(self, data: dict[str, Any]) -> Any:
        network, details = data["said"]
        return paper.propose(
            self.claim(), data["asset"], network=network, details=details, evidence=archive.keep(data["evidence"].read()),
            by=self.user, at=self.at,
        )  # fmt: skip


LABELS: words.Words = {name: Keyed.base_fields[name].label for name in (*BANK, *ADDRESS)}


class OfDestination(ActPage):
    """An act on one destination of the case."""

    power = VERIFY

    def destination(self) -> Destination:
        found = Destination.objects.select_related("claim", "asset", "case")
        return get_object_or_404(found, case=self.case, pk=self.kwargs["pk"])

    def form_arguments(self) -> dict[str, Any]:
        self.destination()
        return {}

    def about(self) -> str:
        row = self.destination()
        claim = _("Claim %(number)s") % {"number": row.claim.number}
        return f"{claim} · {row.asset.code}"

    def back(self) -> str:
        return self.url("claim", number=self.destination().claim.number)


class SecondKey(Keyed):
    field_order = (*BANK, *ADDRESS)


@page("destinations/<int:pk>/second-key/", name="destination-second")
class KeySecond(OfDestination):
    title = lazy("Second key of a destination")
    form_class = SecondKey
    intro = lazy("Key in what the paper says. What the first person read is not shown; if both agree, the waiting time begins.")

    def effect(self, data: dict[str, Any]) -> Effect:
        row = self.destination()
        return Effect(
            _("You read the paper of claim %(claim)s like this. If the first person read the same, the waiting time begins.") % {"claim": row.claim},
            _("Give the second key"),
            figures=[(LABELS[name], data[name]) for name in (*BANK, *ADDRESS) if data.get(name)],
            moves_value=True,
        )

    def act(self, data: dict[str, Any]) -> Any:
        row = self.destination()
        names = BANK if row.asset.network == "bank" else ADDRESS
        details = {name: data.get(name) or "" for name in names}
        network = row.asset.network if names == BANK else details["network"] or row.asset.network
        return paper.second_key(row, network=network, details=details, by=self.user, at=self.at)


@page("destinations/<int:pk>/revoke/", name="destination-revoke")
class RevokeDestination(OfDestination):
    title = lazy("Take a destination out of use")
    form_class = Reason

    def effect(self, data: dict[str, Any]) -> Effect:
        row = self.destination()
        return Effect(
            _("Nothing goes to this destination any more. The customer gives another one.") if row.state != DestinationState.REVOKED
            else _("This destination is out of use already."),
            _("Take it out of use"),
            figures=[
                (_("Claim"), row.claim.number), (_("Asset"), row.asset.code), (_("Version"), f"{row.version}"),
                (_("State"), words.of(words.DESTINATIONS, row.state)), (_("Why"), data["reason"]),
            ],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return cooling.revoke(self.destination(), reason=data["reason"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("The destination is out of use."), self.back()
