"""
The population statement of a pull: as-of head and instant, definition, first and last number, gaps, counts and sums.

It is made in the same look at the database as the lines it speaks of.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext as _

from administration.audit import lines
from administration.audit.filters import Filter, Period
from administration.audit.models import PullOf
from administration.cases.models import Case
from administration.errors import Refused
from administration.record import heads
from administration.record.encoding import micros
from administration.record.models import Head

SCHEMAS = {PullOf.WHOLE: "henkan-pull/1", PullOf.RETURNS: "henkan-returns/1", PullOf.EVENTS: "henkan-events/1"}
DEFINITIONS = {
    PullOf.WHOLE: "Every asset return ever scheduled in the case, whatever its state, ordered by reference.",
    PullOf.RETURNS: "Every asset return ever scheduled in the case, whatever its state, ordered by reference.",
    PullOf.EVENTS: "Every event of the case's record, refused attempts included, ordered by number.",
}
TRIES = 5
SIZES = """
SELECT c.last, (SELECT max(size) FROM record_head WHERE case_id = c.case_id) FROM record_counter c WHERE c.case_id = %s
"""


class NoRecord(Refused):
    """There is nothing to pull yet."""


@contextmanager
def look(case: Case, database: BaseDatabaseWrapper, *, at: datetime) -> Iterator[tuple[Head, int]]:
    """
    One instant of the database: the newest head and how many events there are.

    What happened is sealed first, so that no event is newer than the head, if the office lets us. Inside
    somebody's transaction all reads see what that sees.
    """
    outermost = not database.in_atomic_block
    for left in reversed(range(TRIES)):
        heads.seal(case, at=at)
        with database.cursor() as cursor:
            if outermost:
                cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            try:
                cursor.execute(SIZES, [case.pk])
                last, size = cursor.fetchone() or (0, None)
                if size is None:
                    raise NoRecord(_("Case %(case)s has no record yet.") % {"case": case})
                if last == size or not left:
                    yield Head.objects.get(case_id=case.pk, size=size), last
                    return
            finally:
                if outermost and database.connection is not None and not database.connection.closed:
                    cursor.execute("ROLLBACK")
    raise AssertionError


def state(
    case: Case,
    database: BaseDatabaseWrapper,
    of: str,
    *,
    head: Head,
    size: int,
    chosen: Filter,
    period: Period,
    at: datetime,
) -> dict[str, Any]:
    """The statement, as it stands in the pull."""
    said: dict[str, Any] = {
        "type": "population",
        "schema": SCHEMAS[PullOf(of)],
        "case": case.reference,
        "as_of": micros(at),
        "head": heads.as_json(head),
        "definition": DEFINITIONS[PullOf(of)],
        "period": period.stated(),
        "filter": chosen.stated(),
        "events": {"first": "1", "last": str(size), "gaps": "none", "unsealed": str(size - head.size)},
    }
    if of == PullOf.EVENTS:
        said["events"] = count_events(case, database, size=size, chosen=chosen, period=period) | {
            "unsealed": str(size - head.size)
        }
    else:
        said["returns"] = count_returns(case, database, chosen=chosen, period=period)
    return said


def count_returns(case: Case, database: BaseDatabaseWrapper, *, chosen: Filter, period: Period) -> dict[str, Any]:
    """Counts and sums per asset and state, the first and the last reference, and whether numbers between are missing."""
    (where, params), (inside, bounds) = chosen.of_returns(), period.of_returns()
    with database.cursor() as cursor:
        cursor.execute(lines.returns_sums([*where, *inside]), {"case": case.pk, **params, **bounds})
        found = cursor.fetchall()
    count = sum(row[2] for row in found)
    last = max((row[5] for row in found), default=None)
    if where or inside:
        gaps = "numbers left out by the filter or the period"
    else:
        missing = int(last[1:10]) - count if last else 0
        gaps = f"{missing} numbers are not used" if missing else "none"
    return {
        "count": str(count),
        "first": min((row[4] for row in found), default=None),
        "last": last,
        "gaps": gaps,
        "sums": [
            {"asset": asset, "state": state, "count": str(many), "amount": str(int(amount))}
            for asset, state, many, amount, _first, _last in found
        ],
    }


def count_events(
    case: Case, database: BaseDatabaseWrapper, *, size: int, chosen: Filter, period: Period
) -> dict[str, Any]:
    """Counts per kind, the first and the last number, and that there is no gap between."""
    (where, params), (inside, bounds) = chosen.of_events(), period.of_events()
    with database.cursor() as cursor:
        cursor.execute(lines.events_counts([*where, *inside]), {"case": case.pk, "size": size, **params, **bounds})
        found = cursor.fetchall()
    count = sum(row[1] for row in found)
    first, last = min((row[2] for row in found), default=0), max((row[3] for row in found), default=0)
    missing = last - first + 1 - count if found else 0
    return {
        "count": str(count),
        "first": str(first) if found else None,
        "last": str(last) if found else None,
        "gaps": "none"
        if not missing
        else ("numbers left out by the filter" if chosen.kind else f"{missing} are missing"),
        "kinds": {kind: str(many) for kind, many, _first, _last in found},
    }
