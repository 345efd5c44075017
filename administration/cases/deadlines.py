"""
Dates by which something must be done, computed by rule, with provenance.

Counting follows Civil Code arts. 138-143: the first day is not counted unless the period begins at midnight;
weeks, months and years go by the calendar; the period ends with its last day, and if courts are closed that
day, with the next open one. A deadline is replaced by a new row, never overwritten.

    NotComputed   the rule cannot be read, or the deadline cannot be replaced like that
"""

import calendar
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import cast

import holidays
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from administration.cases import appointments, profiles
from administration.cases.models import Case, CourtOrder, Deadline
from administration.errors import Refused
from administration.people.models import User
from administration.record import log

PERIOD = re.compile(r"P(?P<number>[1-9][0-9]{0,3})(?P<unit>[DWMY])")
SATURDAY = 5


class NotComputed(Refused):
    """A period that is none, or a deadline that cannot be replaced like that."""


# --- the calendar -----------------------------------------------------------------------------


@cache
def _public_holidays(year: int) -> frozenset[date]:
    """Japan's public holidays, substitute and in-between days included."""
    days = holidays.country_holidays("JP", years=year)
    return frozenset(cast("Collection[date]", days.keys()))


def is_open(day: date, closed: Collection[str] = ()) -> bool:
    """Is it a day on which a period can end? `closed` are days of the year such as "12-29"."""
    return day.weekday() < SATURDAY and day not in _public_holidays(day.year) and day.strftime("%m-%d") not in closed


def next_open(day: date, closed: Collection[str] = ()) -> date:
    """That day, or the first one after it on which a period can end."""
    while not is_open(day, closed):
        day += timedelta(days=1)
    return day


# --- the count --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Computed:
    """A due date and the rule in words that gave it."""

    due_date: date
    rule: str


def compute(
    period: str, counted_from: date, *, what: str = "", from_midnight: bool = False, closed: Collection[str] = ()
) -> Computed:
    """
    The last day of a period such as "P4W" or "P1M" that something on `counted_from` sets off.

    A publication in the gazette has effect from the next midnight (Bankruptcy Act art. 10(2)), so that the next
    day counts as the first: the same end as when the day of the publication is not counted.
    """
    read = PERIOD.fullmatch(period)
    if not read:
        raise NotComputed(
            _("“%(period)s” is no period. Write a number of days, weeks, months or years: P14D, P4W, P1M, P1Y.")
            % {"period": period}
        )
    number, unit = int(read["number"]), read["unit"]
    first = counted_from if from_midnight else counted_from + timedelta(days=1)
    if unit in "DW":
        last = first + timedelta(days=number * (7 if unit == "W" else 1) - 1)
    else:
        last = _end_of_months(first, number * (12 if unit == "Y" else 1))
    due = next_open(last, closed)
    words = [period, f"from {what or THE_EVENT} on {counted_from.isoformat()}"]
    words.append("first day counted" if from_midnight else "first day not counted")
    words.append(f"ends {last.isoformat()}" + (f", not open, moved to {due.isoformat()}" if due != last else ""))
    return Computed(due, "; ".join(words))


# How a rule was kept: data in one wording. Pages say it in the reader's language.
KEPT_RULE = re.compile(
    r"(?P<period>P[0-9]+[DWMY]); from (?P<what>.+) on (?P<counted_from>\d{4}-\d\d-\d\d); "
    r"first day (?P<not_counted>not )?counted; ends (?P<ends>\d{4}-\d\d-\d\d)(?:, not open, moved to (?P<moved>\d{4}-\d\d-\d\d))?"
)
THE_EVENT = "the event"  # where nobody said what it was
TO_BE_CONFIRMED = "(to be confirmed)"  # after a law's article whose period counsel has not checked


def _end_of_months(first: date, months: int) -> date:
    """The day before the corresponding one; where the last month has none, its last day (Civil Code art. 143(2))."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    month += 1
    length = calendar.monthrange(year, month)[1]
    if first.day > length:
        return date(year, month, length)
    return date(year, month, first.day) - timedelta(days=1)


# --- the act ----------------------------------------------------------------------------------


def current(case: Case) -> QuerySet[Deadline]:
    """The deadlines that hold, the next one first."""
    return case.deadlines.filter(superseded_by__isnull=True).order_by("due_date", "pk")


@transaction.atomic
def set(  # noqa: A001  deadlines.set is what the office says
    case: Case,
    kind: str,
    *,
    counted_from: date,
    counted_from_what: str = "",
    period: str = "",
    provenance: str = "",
    order: CourtOrder | None = None,
    supersedes: Deadline | None = None,
    from_midnight: bool = False,
    by: User,
    at: datetime,
) -> Deadline:
    """Compute a deadline and write it down. Without a period, the profile's rule of that kind."""
    appointments.require(case, by, "deadlines.set", at=at)
    return enter(
        case, kind, counted_from=counted_from, counted_from_what=counted_from_what, period=period,
        provenance=provenance, order=order, supersedes=supersedes, from_midnight=from_midnight, by=by,
        operator=False, at=at,
    )  # fmt: skip


def enter(
    case: Case,
    kind: str,
    *,
    counted_from: date,
    counted_from_what: str,
    period: str,
    provenance: str,
    order: CourtOrder | None,
    supersedes: Deadline | None,
    from_midnight: bool,
    by: User,
    operator: bool,
    at: datetime,
) -> Deadline:
    """The row and its event. `operator`: at the opening of the case, in the name of `by`."""
    if not period:
        rule = profiles.deadline_rule(case, kind)
        period, counted_from_what = rule.period, counted_from_what or rule.counted_from
        provenance = provenance or rule.law + ("" if rule.confirmed else f" {TO_BE_CONFIRMED}")
    if order is not None and order.case_id != case.pk:
        raise NotComputed(_("Order %(order)s is of another case.") % {"order": order})
    if not (provenance or order):
        raise NotComputed(_("Say where the period is laid down: the article, or the order."))
    computed = compute(
        period, counted_from, what=counted_from_what, from_midnight=from_midnight,
        closed=profiles.proceeding_of(case).closed_days,
    )  # fmt: skip
    if supersedes is not None:
        _require_replaceable(supersedes, case, kind)
    deadline = Deadline.objects.create(
        case=case, kind=kind, rule=computed.rule, counted_from=counted_from, counted_from_what=counted_from_what,
        due_date=computed.due_date, provenance=provenance or str(order), order=order, supersedes=supersedes, by=by,
        at=at,
    )  # fmt: skip
    log.append(
        case,
        "deadline.set",
        subject=deadline,
        by=None if operator else by,
        at=at,
        body={
            "kind": kind,
            "rule": computed.rule,
            "due_date": computed.due_date.isoformat(),
            "provenance": deadline.provenance,
            "supersedes": supersedes.pk if supersedes else "",
        },
    )
    return deadline


def _require_replaceable(supersedes: Deadline, case: Case, kind: str) -> None:
    if supersedes.case_id != case.pk or supersedes.kind != kind:
        raise NotComputed(_("A deadline replaces one of its own kind in its own case."))
    if Deadline.objects.filter(supersedes=supersedes).exists():
        raise NotComputed(
            _("That deadline “%(kind)s” was replaced already. Reload and replace the newest one.") % {"kind": kind}
        )
