"""
Hours of a rail: from when to when it sends, in Japan's time, on bank days or on every day.

The first hours of a rail are put by one person, as they only narrow it; other hours are signed by two. The days on
which banks are closed are written down with them, so that the database itself knows.

    NotHours   hours that cannot be, or that two people must sign
"""

from datetime import date, datetime, time

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from administration.cases import appointments
from administration.cases.models import ApprovalRequest, Case
from administration.errors import Refused
from administration.people.models import User
from administration.rails.zengin import bank_days
from administration.record import log
from administration.returns import pace, routes
from administration.returns.models import ClosedDay, PaceChange, RailWindow

YEARS_AHEAD = 3


class NotHours(Refused):
    """The rail's hours are as they were."""


@transaction.atomic
def put(
    case: Case, rail_code: str, *, opens: time, closes: time, bank_days_only: bool, by: User, at: datetime
) -> RailWindow:
    """Let a rail that sent at any hour send in these only."""
    appointments.require(case, by, "returns.stop", at=at)
    wanted = _checked(case, rail_code, opens, closes, bank_days_only)
    if in_force(case, rail_code) is not None:
        raise NotHours(_("Rail %(rail)s keeps hours already. Two people must sign others: ask them.") % {"rail": rail_code})
    return _make(wanted, None, by=by, at=at)


@transaction.atomic
def ask(
    case: Case, rail_code: str, *, opens: time, closes: time, bank_days_only: bool, reason: str, by: User, at: datetime
) -> ApprovalRequest:
    """Ask two people for other hours. Until they have signed, the hours are as they were."""
    appointments.require(case, by, "returns.stop", at=at)
    wanted = _checked(case, rail_code, opens, closes, bank_days_only)
    if in_force(case, rail_code) is None:
        raise NotHours(_("Rail %(rail)s keeps no hours yet. They can be put at once, by one person.") % {"rail": rail_code})
    return pace.ask(case, rail_code, _body(wanted), reason=reason, by=by, at=at)


def widened(change: PaceChange, said: dict[str, str], *, by: User, at: datetime) -> RailWindow:
    """With the last signature."""
    opens, closes = time.fromisoformat(said["opens"]), time.fromisoformat(said["closes"])
    wanted = _checked(change.case, said["rail"], opens, closes, said["bank_days"] == "yes")
    return _make(wanted, change, by=change.by, at=at)


def in_force(case: Case, rail_code: str) -> RailWindow | None:
    return case.rail_windows.filter(rail=rail_code).order_by("-pk").first()


def opens_at(case: Case, rail_code: str, at: datetime) -> datetime | None:
    """When a rail next sends; None: now, as far as its hours go."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rail_opens_at(%s, %s, %s)", [case.pk, rail_code, at])
        (found,) = cursor.fetchone()
    return found if found is None else timezone.localtime(found)


def in_words(window: RailWindow) -> str:
    """Hours as a person reads them."""
    said = _("%(opens)s to %(closes)s, on bank days") if window.bank_days else _("%(opens)s to %(closes)s, every day")
    return said % {"opens": f"{window.opens:%H:%M}", "closes": f"{window.closes:%H:%M}"}


def keep_calendar(today: date) -> int:
    """Write down the weekdays on which banks are closed, this year and the next ones. Returns how many were new."""
    days = [
        ClosedDay(day=day, why=why)
        for year in range(today.year, today.year + YEARS_AHEAD)
        for day, why in bank_days.closed_weekdays(year)
    ]
    before = ClosedDay.objects.count()
    ClosedDay.objects.bulk_create(days, ignore_conflicts=True)
    return ClosedDay.objects.count() - before


def _checked(case: Case, rail_code: str, opens: time, closes: time, bank_days_only: bool) -> RailWindow:
    routes.rail(rail_code)
    if opens >= closes or opens.second or closes.second or opens.microsecond or closes.microsecond:
        raise NotHours(_("A rail opens before it closes, on the same day, by whole minutes."))
    return RailWindow(case=case, rail=rail_code, opens=opens, closes=closes, bank_days=bank_days_only)


def _body(wanted: RailWindow) -> dict[str, str]:
    return {
        "bank_days": "yes" if wanted.bank_days else "no", "closes": f"{wanted.closes:%H:%M}", "kind": "window",
        "opens": f"{wanted.opens:%H:%M}", "rail": wanted.rail,
    }  # fmt: skip


def _make(wanted: RailWindow, change: PaceChange | None, *, by: User, at: datetime) -> RailWindow:
    keep_calendar(timezone.localdate(at))
    wanted.by, wanted.at, wanted.change = by, at, change
    wanted.save(force_insert=True)
    log.append(
        wanted.case, "rail.hours_set", subject=wanted, by=by, at=at,
        body={**_body(wanted), "change": str(change.pk) if change else ""},
    )  # fmt: skip
    return wanted
