"""
Who is one person with whom: decided by people with a reason, on top of what a run of the name aggregation linked.

    NotMerged   these customers cannot be made one person like that
    NotSplit    these customers cannot be taken out of that person
    NotDecided  a decision about two customers needs a reason, and two customers of the case

A person is a row; a customer's link to it is a row that only a later link supersedes. So every merge and every split can be
taken back, and who was one person at any moment can be read again: `freeze` keeps that moment for a distribution run.
Claims stay one per account: being one person counts for caps, minimums, notices and payments only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from administration.cases import appointments
from administration.cases.models import Case
from administration.errors import Refused
from administration.ledger import nayose
from administration.ledger.models import Grouping, Identity, PairDecision, Person, PersonLink
from administration.people.models import User
from administration.record import log

POWER = "claims.decide"
TOGETHER = 200  # customers one act may make one person, or take out of one


class NotMerged(Refused):
    """These customers cannot be made one person like that."""


class NotSplit(Refused):
    """These customers cannot be taken out of that person."""


class NotDecided(Refused):
    """A decision about two customers needs a reason, and two customers of the case."""


@dataclass(frozen=True)
class Conflict:
    """Two customers about whom a person decided that they are not one."""

    one: Identity
    other: Identity
    decision: PairDecision


# --- acts -------------------------------------------------------------------------------------


@transaction.atomic
def merge(
    case: Case, identities: Sequence[Identity], *, reason: str, by: User, at: datetime, overrule: bool = False
) -> Person:
    """
    These customers, and whoever is one person with any of them already, are one person.

    If two of them were decided to be two persons, only `overrule` changes that; the old decision stays in the record.
    """
    appointments.require(case, by, POWER, at=at)
    chosen = _of_case(case, identities)
    if len(chosen) < 2:
        raise NotMerged(_("Choose two customers at least."))
    _require_reason(reason, NotMerged)
    nayose.in_turn(case)
    return _merge(case, chosen, reason=reason, by=by, at=at, overrule=overrule)


@transaction.atomic
def same(
    one: Identity, other: Identity, *, reason: str, by: User, at: datetime, overrule: bool = False
) -> Person:
    """Decide that two customers are one person, whatever was decided about these two before."""
    case = one.case
    first, second = _pair(case, one, other, reason, by=by, at=at)
    nayose.in_turn(case)
    PairDecision.objects.create(case=case, one=first, other=second, same=True, reason=reason, by=by, at=at)
    now = current(case, [first.pk, second.pk])
    if len(now) == 2 and len(set(now.values())) == 1:
        person = Person.objects.get(pk=now[first.pk])
        log.append(
            case, "persons.confirmed", subject=person, by=by, at=at,
            body={"person": person.number, "customers": [first.customer_ref, second.customer_ref], "reason": reason},
        )  # fmt: skip
        return person
    return _merge(case, [first, second], reason=reason, by=by, at=at, overrule=overrule)


@transaction.atomic
def keep_apart(one: Identity, other: Identity, *, reason: str, by: User, at: datetime) -> PairDecision:
    """Decide that two customers are not one person. No run links them again; who is one person already is split first."""
    case = one.case
    first, second = _pair(case, one, other, reason, by=by, at=at)
    nayose.in_turn(case)
    now = current(case, [first.pk, second.pk])
    if len(now) == 2 and len(set(now.values())) == 1:
        raise NotDecided(
            _("Customers %(one)s and %(other)s are one person now (%(person)s). Take one of them out of it first.")
            % {"one": first.customer_ref, "other": second.customer_ref, "person": Person.objects.get(pk=now[first.pk])}
        )
    made = PairDecision.objects.create(case=case, one=first, other=second, same=False, reason=reason, by=by, at=at)
    log.append(
        case, "persons.kept_apart", subject=made, by=by, at=at,
        body={"customers": [first.customer_ref, second.customer_ref], "reason": reason},
    )  # fmt: skip
    return made


@transaction.atomic
def split(person: Person, identities: Sequence[Identity], *, reason: str, by: User, at: datetime) -> Person:
    """Take these customers out of a person; they are another one from here. Each is kept apart from who stays."""
    case = person.case
    appointments.require(case, by, POWER, at=at)
    chosen = _of_case(case, identities)
    _require_reason(reason, NotSplit)
    nayose.in_turn(case)
    members = {link.identity_id: link for link in live_links(case).filter(person=person).select_related("identity")}
    leaving = [identity for identity in chosen if identity.pk in members]
    staying = [link.identity for pk, link in members.items() if pk not in {identity.pk for identity in leaving}]
    if len(leaving) != len(chosen) or not leaving or not staying:
        raise NotSplit(
            _("Choose customers who are person %(person)s now, and leave at least one. Reload it and look again.") % {"person": person}
        )
    made = _new_person(case, at)
    _link([(identity, members[identity.pk]) for identity in leaving], made, reason=reason, by=by, at=at)
    PairDecision.objects.bulk_create(
        PairDecision(case=case, one=min(a, b, key=_pk), other=max(a, b, key=_pk), same=False, reason=reason, by=by, at=at)
        for a in leaving
        for b in staying
    )
    log.append(
        case, "persons.split", subject=made, by=by, at=at,
        body={
            "person": made.number, "out_of": person.number, "customers": sorted(i.customer_ref for i in leaving),
            "stay": sorted(i.customer_ref for i in staying), "reason": reason,
        },
    )  # fmt: skip
    return made


def freeze(case: Case) -> Grouping:
    """Freeze who is one person with whom now. The same until something changes; nothing is ever added to it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT ledger_freeze_groups(%s)", [case.pk])
        (pk,) = cursor.fetchone()
    return Grouping.objects.get(pk=pk)


# --- what stands ------------------------------------------------------------------------------


def live_links(case: Case) -> Any:
    """Each linked customer's link that counts."""
    return PersonLink.objects.filter(case=case, followed_by__isnull=True)


def current(case: Case, identities: Iterable[int], *, as_of: Grouping | None = None) -> dict[int, int]:
    """Customer → person, of these customers (ids), now or as frozen. Who is linked to nobody is not in it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT identity_id, person_id FROM ledger_person_of(%s, %s) WHERE identity_id = ANY(%s)",
            [case.pk, as_of.as_of if as_of else 2**63 - 1, list(identities)],
        )
        return dict(cursor.fetchall())


def conflicts(identities: Iterable[int]) -> list[Conflict]:
    """Pairs among these customers (ids) about whom the newest decision is that they are not one person."""
    among = list(identities)
    newest = (
        PairDecision.objects.filter(one__in=among, other__in=among)
        .order_by("one_id", "other_id", "-pk").distinct("one_id", "other_id").select_related("one", "other", "by")
    )  # fmt: skip
    return [Conflict(found.one, found.other, found) for found in newest if not found.same]


def decision(one_id: int, other_id: int) -> PairDecision | None:
    """The newest decision about two customers."""
    first, second = sorted((one_id, other_id))
    return PairDecision.objects.filter(one=first, other=second).select_related("by").order_by("-pk").first()


# --- how --------------------------------------------------------------------------------------


def _merge(
    case: Case, chosen: Sequence[Identity], *, reason: str, by: User, at: datetime, overrule: bool
) -> Person:
    now = current(case, [identity.pk for identity in chosen])
    links = {
        link.identity_id: link for link in live_links(case).filter(person__in=set(now.values())).select_related("identity")
    }
    everybody = {**{link.identity_id: link.identity for link in links.values()}, **{one.pk: one for one in chosen}}
    if len(everybody) > TOGETHER:
        raise NotMerged(
            _("That would be %(count)s customers at once; at most %(most)s are merged in one act.")
            % {"count": len(everybody), "most": TOGETHER}
        )
    if len(now) == len(chosen) and len(set(now.values())) == 1:
        raise NotMerged(_("These customers are one person already. Nothing was changed."))
    apart = conflicts(everybody)
    if apart and not overrule:
        raise NotMerged(
            _("Customers %(one)s and %(other)s were decided to be two persons: %(reason)s. Overrule that, or leave one of them out.")
            % {"one": apart[0].one.customer_ref, "other": apart[0].other.customer_ref, "reason": apart[0].decision.reason}
        )
    PairDecision.objects.bulk_create(
        PairDecision(case=case, one=found.one, other=found.other, same=True, reason=reason, by=by, at=at) for found in apart
    )
    stays = min(set(now.values()), default=None)
    person = Person.objects.get(pk=stays) if stays is not None else _new_person(case, at)
    moving = [
        (identity, links.get(pk)) for pk, identity in sorted(everybody.items()) if pk not in links or links[pk].person_id != person.pk
    ]
    _link(moving, person, reason=reason, by=by, at=at)
    log.append(
        case, "persons.merged", subject=person, by=by, at=at,
        body={
            "person": person.number, "customers": sorted(one.customer_ref for one in everybody.values()), "reason": reason,
            "overruled": [[found.one.customer_ref, found.other.customer_ref] for found in apart],
        },
    )  # fmt: skip
    return person


def _link(
    moving: Iterable[tuple[Identity, PersonLink | None]], person: Person, *, reason: str, by: User, at: datetime
) -> None:
    PersonLink.objects.bulk_create(
        PersonLink(
            case_id=person.case_id, identity=identity, person=person, follows=before, level="decided", reason=reason, by=by, at=at
        )
        for identity, before in moving
    )


def _new_person(case: Case, at: datetime) -> Person:
    newest = Person.objects.filter(case=case).aggregate(Max("number"))["number__max"] or 0
    return Person.objects.create(case=case, number=newest + 1, at=at)


def _of_case(case: Case, identities: Sequence[Identity]) -> list[Identity]:
    wanted = {identity.pk for identity in identities}
    found = list(Identity.objects.filter(case=case, pk__in=wanted).order_by("pk"))
    if len(found) != len(wanted):
        raise NotDecided(_("Not all of these customers are in case %(case)s.") % {"case": case})
    return found


def _pair(
    case: Case, one: Identity, other: Identity, reason: str, *, by: User, at: datetime
) -> tuple[Identity, Identity]:
    appointments.require(case, by, POWER, at=at)
    _require_reason(reason, NotDecided)
    found = _of_case(case, [one, other])
    if len(found) != 2:
        raise NotDecided(_("Choose two customers."))
    return found[0], found[1]


def _require_reason(reason: str, refused: type[Refused]) -> None:
    if not reason.strip():
        raise refused(_("Say why. The reason stays in the record."))


def _pk(identity: Identity) -> int:
    return identity.pk
