"""
Opening a case, and taking it from one proceeding to another.

    NotOpened      the case cannot be opened like that
    NotConverted   it does not go to that proceeding
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db import transaction
from django.utils.translation import gettext as _

from administration.cases import appointments, deadlines, orders, profiles, securing
from administration.cases.models import AppointmentKind, Case, CaseState, Conversion, CourtOrder
from administration.errors import Refused
from administration.people.models import User
from administration.record import log

LEAST_COOLING_OFF = 24


class NotOpened(Refused):
    """The case cannot be opened like that."""


class NotConverted(Refused):
    """The case does not go to that proceeding."""


@dataclass(frozen=True)
class Appointed:
    """One appointment by the appointing instrument. Without powers: the office's default."""

    user: User
    kind: str
    authority: str
    instrument: str
    instrument_sha256: bytes
    powers: list[str] | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    joint: bool = False


@dataclass(frozen=True)
class Ordered:
    """One order known at the opening."""

    number: str
    issuer: str
    issued_date: date
    scan: bytes
    scan_name: str
    permits: Sequence[str] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    served_date: date | None = None
    final: bool = False


@dataclass(frozen=True)
class Due:
    """One deadline known at the opening; without a period, the profile's rule of its kind."""

    kind: str
    counted_from: date
    counted_from_what: str = ""
    period: str = ""
    provenance: str = ""
    order: str = ""  # the number of one of the orders


@transaction.atomic
def open_case(
    *,
    reference: str,
    name: str,
    regime: str,
    proceeding: str,
    trigger: str,
    cutoff_at: datetime,
    appointed: Sequence[Appointed],
    court: str = "",
    court_number: str = "",
    cooling_off_hours: int = 72,
    is_sample: bool = False,
    ordered: Sequence[Ordered] = (),
    due: Sequence[Due] = (),
    by: User | None = None,
    at: datetime,
) -> Case:
    """
    Open a case by its appointing instrument: nobody holds an office in it yet.

    The operator does it (`by` is None), or somebody who holds the office or prepares in another case. From here on
    appointments are the office-holder's to record, and securing comes before the ledger.
    """
    if by is not None:
        appointments.require_opening(by, at=at)
    require_openable(reference, regime, proceeding, trigger, cutoff_at, cooling_off_hours, is_sample, at)
    office = [one for one in appointed if one.kind == AppointmentKind.OFFICE_HOLDER]
    if not office:
        raise NotOpened(_("A case opens with its office-holder. Add the appointment that names one."))
    case = Case.objects.create(
        reference=reference, name=name, regime=regime, proceeding=proceeding, trigger=trigger, court=court,
        court_number=court_number, cutoff_at=cutoff_at, cooling_off_hours=cooling_off_hours, is_sample=is_sample,
        salt=_salt(reference, is_sample), opened_at=at,
    )  # fmt: skip
    securing.list_items(case)
    log.append(
        case,
        "case.opened",
        subject=case,
        by=by,
        at=at,
        body={
            "by_operator": "no" if by else "yes",
            "name": name,
            "regime": regime,
            "proceeding": proceeding,
            "trigger": trigger,
            "court": court,
            "court_number": court_number,
            "cutoff_at": cutoff_at.isoformat(),
            "cooling_off_hours": cooling_off_hours,
            "sample": "yes" if is_sample else "no",
        },
    )
    for one in [*office, *(one for one in appointed if one not in office)]:
        appointments.record(
            case, user=one.user, kind=one.kind, authority=one.authority, instrument=one.instrument,
            instrument_sha256=one.instrument_sha256, powers=one.powers, from_at=one.from_at or at, to_at=one.to_at,
            joint=one.joint, by=None, at=at,
        )  # fmt: skip
    first = office[0].user
    for row in ordered:
        orders.enter(
            case, number=row.number, issuer=row.issuer, issued_date=row.issued_date, scan=row.scan,
            scan_name=row.scan_name, permits=row.permits, limits=row.limits, served_date=row.served_date,
            final=row.final, by=first, operator=True, at=at,
        )  # fmt: skip
    for day in due:
        deadlines.enter(
            case, day.kind, counted_from=day.counted_from, counted_from_what=day.counted_from_what, period=day.period,
            provenance=day.provenance, order=case.orders.get(number=day.order) if day.order else None,
            supersedes=None, from_midnight=False, by=first, operator=True, at=at,
        )  # fmt: skip
    return case


def require_openable(
    reference: str,
    regime: str,
    proceeding: str,
    trigger: str,
    cutoff_at: datetime,
    cooling_off_hours: int,
    is_sample: bool,
    at: datetime,
) -> None:
    """Refuse what cannot be opened: a reference used, a cut-off to come, a law that does not hold or knows no such trigger."""
    if Case.objects.filter(reference=reference).exists():
        raise NotOpened(_("Case %(case)s is open already. Give the new one another reference.") % {"case": reference})
    if cutoff_at > at:
        raise NotOpened(
            _("The cut-off %(cutoff)s is still to come. A case opens when balances can be taken over as of it.")
            % {"cutoff": cutoff_at.isoformat()}
        )
    law = profiles.load(regime, cutoff_at.date())
    profiles.proceeding(proceeding, cutoff_at.date())
    if law.since is None and not is_sample:
        profiles.need_of(law, "in_force_from")
    if trigger not in law.triggers:
        raise NotOpened(
            _("%(regime)s knows no trigger “%(trigger)s”. It knows: %(triggers)s.")
            % {"regime": regime, "trigger": trigger, "triggers": ", ".join(law.triggers)}
        )
    if not is_sample and cooling_off_hours < LEAST_COOLING_OFF:
        raise NotOpened(
            _("Destinations cool off for %(hours)s hours at least; less is for sample cases.")
            % {"hours": LEAST_COOLING_OFF}
        )


def _salt(reference: str, is_sample: bool) -> bytes:
    """Secret and new for a real case. Of a sample, always the same: two runs must give the same bytes."""
    if is_sample:
        return hashlib.sha256(f"the salt of sample case {reference}".encode()).digest()
    return secrets.token_bytes(32)


@transaction.atomic
def convert(case: Case, *, to: str, order: CourtOrder, by: User, at: datetime) -> Conversion:
    """Take the case to another proceeding by the court's order, as from rehabilitation to bankruptcy."""
    appointments.require(case, by, "cases.convert", at=at)
    orders.require(order, at)
    if order.case_id != case.pk or "cases.convert" not in order.permits:
        raise NotConverted(
            _("Order %(order)s does not permit “cases.convert” in case %(case)s. Register the order that does.")
            % {"order": order, "case": case}
        )
    case.refresh_from_db()
    if case.state != CaseState.OPEN or to == case.proceeding:
        raise NotConverted(
            _("Case %(case)s is %(state)s and stands in “%(proceeding)s” already.")
            % {"case": case, "state": case.get_state_display().lower(), "proceeding": case.proceeding}
        )
    profiles.proceeding(to, at.date())
    made = Conversion.objects.create(
        case=case, from_proceeding=case.proceeding, to_proceeding=to, order=order, by=by, at=at
    )
    moved = Case.objects.filter(pk=case.pk, proceeding=made.from_proceeding).update(proceeding=to)
    if moved != 1:
        raise NotConverted(_("Case %(case)s was converted meanwhile. Reload it and look again.") % {"case": case})
    case.proceeding = to
    log.append(
        case,
        "case.converted",
        subject=made,
        by=by,
        at=at,
        body={"from": made.from_proceeding, "to": to, "order": order.number},
    )
    return made
