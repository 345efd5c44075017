"""What customers gave on the portal: who looks at it, on which paper it is proved, and what speaks against it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from administration.cases import appointments, archive
from administration.cases.models import Case
from administration.office import dashboard, readable, words
from administration.office.entering import PaperField, offer
from administration.office.pages.acting import Effect
from administration.office.pages.base import page, url
from administration.office.pages.claiming import VERIFY
from administration.office.pages.directing import LABELS, OfDestination
from administration.office.pages.lists import Column, ListPage
from administration.office.templatetags.office import jst
from administration.people.models import User
from administration.rails import accounts
from claims.destinations import proving
from claims.destinations.models import Destination, DestinationState, Origin
from claims.portal import sending

CHECK_WITHIN = timedelta(days=7)


@page("destinations/", name="destinations", menu="claims", icon="where_to_vote", order=30)
class Waiting(ListPage):
    title = lazy("Destinations to check")
    template = "office/claiming/destinations.html"
    power = VERIFY
    empty = lazy("Nothing waits: every destination that a customer gave on the portal was looked at.")

    def rows(self) -> Any:
        return proving.waiting(self.case).select_related("claim", "asset")

    def columns(self) -> list[Column]:
        return [
            Column(_("Given on"), lambda row: jst(row.proposed_at), link=lambda row: self.url("destination-prove", pk=row.pk)),
            Column(_("Claim"), lambda row: row.claim.number, link=lambda row: self.url("claim", number=row.claim.number)),
            Column(_("Asset"), lambda row: row.asset.code),
            Column(_("Version"), lambda row: f"{row.version}", numeric=True),
            Column(_("Network"), lambda row: words.of(words.NETWORKS, row.network)),
        ]


    def context(self, **kwargs: Any) -> dict[str, Any]:
        unsent = [
            {**one, "why": what_is_wrong(one["problem"]), "link": self.url("claim", number=one["number"]), "since": jst(one["queued_at"]), "until": jst(one["expires_at"])}
            for one in sending.unsent(self.case)
        ]
        return super().context(**kwargs) | {"unsent": unsent}


def what_is_wrong(problem: str) -> str:
    if problem == sending.NO_ADDRESS:
        return _("The customer has no e-mail address.")
    if problem == sending.NOT_AN_ADDRESS:
        return _("The customer's e-mail address is not one.")
    if problem:
        return _("The mail server did not take it (%(error)s).") % {"error": problem}
    return _("It was begun, and nobody knows whether it went out.")


class Proving(forms.Form):
    how = forms.ChoiceField(label=lazy("What shows that it is the customer's"))
    evidence = PaperField(label=lazy("The paper that shows it"))

    def __init__(self, *args: Any, row: Destination, **options: Any) -> None:
        super().__init__(*args, **options)
        offer(self, "how", [(how.value, how.label) for how in proving.ways(row)])


@page("destinations/<int:pk>/prove/", name="destination-prove")
class Prove(OfDestination):
    title = lazy("Check a destination that a customer gave")
    form_class = Proving
    intro = lazy(
        "The customer said on the portal where returns go. Compare it with a paper of theirs. You cannot change it: if it is not the "
        "customer's, take it out of use, and the customer gives another one."
    )

    def row(self) -> Destination:
        row = self.destination()
        if row.origin != Origin.CLAIMANT_SESSION:
            raise Http404
        if row.state != DestinationState.PROPOSED:
            raise proving.NotProved(_("This destination waits for no proof any more. Reload it and look again."))
        return row

    def form_arguments(self) -> dict[str, Any]:
        return {"row": self.row()}

    def effect(self, data: dict[str, Any]) -> Effect:
        row = self.row()
        figures = [(_("Claim"), row.claim.number), (_("Asset"), row.asset.code), (_("Version"), f"{row.version}"), (_("Network"), words.of(words.NETWORKS, row.network))]
        figures += [(LABELS[name], f"{row.details[name]}") for name in LABELS if row.details.get(name)]
        person = row.claim.claimant.identity
        figures += [
            (_("Customer"), " ".join(filter(None, (person.name, person.kana, person.romaji)))),
            (_("What shows that it is the customer's"), str(proving.How(data["how"]).label)),
            (_("Waiting time"), _("%(n)s hours") % {"n": self.case.cooling_off_hours}),
        ]
        return Effect(
            _("This destination for %(asset)s of claim %(claim)s counts as proved. Returns go there after the waiting time; the customer is told and can still stop it.")
            % {"asset": row.asset.code, "claim": row.claim},
            _("It is proved"),
            figures=figures, warnings=list(against(row)), content_sha256=data["evidence"].sha256, moves_value=True,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        evidence = archive.keep(data["evidence"].read())
        return proving.prove(self.row(), how=data["how"], evidence=evidence, by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("Proved. The waiting time has begun, and the customer is told."), self.url("claim", number=result.claim.number)

    def back(self) -> str:
        return self.url("destinations")


def against(row: Destination) -> Iterable[str]:
    """What whoever proves it should know first."""
    holder, person = row.details.get("holder_kana", ""), row.claim.claimant.identity
    if holder and bare(holder) not in {bare(name) for name in (person.kana, person.romaji, person.name)}:
        yield _("The account's holder is not written like the customer.")
    others = Destination.objects.filter(case=row.case, fingerprint=row.fingerprint).exclude(claim=row.claim).values("claim").distinct().count()
    if others:
        yield ngettext("%(count)s other claim has the same destination.", "%(count)s other claims have the same destination.", others) % {"count": others}
    if Destination.objects.filter(claim=row.claim, asset=row.asset, state=DestinationState.USABLE).exists():
        yield _("Another destination is in use for this; it is replaced when the waiting time is over.")


def bare(name: str) -> str:
    """A name as a bank file has it, without spaces; nothing where it cannot be written so."""
    try:
        return accounts.party_name(name).replace(" ", "")
    except accounts.NotKana:
        return ""


@dashboard.waiting
def to_check(case: Case, user: User, at: datetime) -> Iterable[dashboard.Item]:
    """What customers gave and nobody looked at yet."""
    if not appointments.may(case, user, VERIFY, at=at):
        return
    rows = proving.waiting(case)
    first = rows.first()
    if first is None:
        return
    number = rows.order_by()[: dashboard.COUNT_MAX].count()
    yield dashboard.Item(
        case,
        _("Destination"),
        ngettext("%(count)s destination that a customer gave waits to be checked", "%(count)s destinations that customers gave wait to be checked", number)
        % {"count": dashboard.many(number)},
        url(case, "destinations"),
        due=(first.proposed_at + CHECK_WITHIN).astimezone(readable.JST).date(),
    )


@dashboard.waiting
def not_warned(case: Case, user: User, at: datetime) -> Iterable[dashboard.Item]:
    """Customers who do not know that somebody gave a new place for their returns."""
    if not appointments.may(case, user, VERIFY, at=at):
        return
    unsent = sending.unsent(case)
    if unsent:
        yield dashboard.Item(
            case,
            _("Destination"),
            ngettext("%(count)s warning about a new destination did not reach its customer", "%(count)s warnings about new destinations did not reach their customers", len(unsent))
            % {"count": dashboard.many(len(unsent))},
            url(case, "destinations"),
            due=unsent[-1]["queued_at"].astimezone(readable.JST).date(),
        )
