"""
The counts on the returns board: from rows, all in one snapshot, and never dearer than what they are worth.

What is counted again each second takes milliseconds at a hundred thousand returns. In a house of millions each figure
is kept for a while that grows with what it costs, and says how old it is.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import connection
from django.utils import timezone

from administration.cases.models import Case
from administration.fields import db_now
from administration.record.models import Counter, Event
from claims.register import tie_out

T = TypeVar("T")
SHARE = 10  # a figure that takes t to count is kept for at least SHARE · t: at most a tenth of a core goes into it
TIE_SECONDS = 5.0  # both statements are proved anew at most so often
EVENTS_MAX = 3_000  # events of settling read for the chart
MINUTES = 30

# Every return once: waiting and done by its own state, what is batched by the state of its part.
COUNTS = """
WITH parts AS (
    SELECT s.batch_id, s.part, s.state FROM returns_submission s JOIN returns_batch b ON b.id = s.batch_id
    WHERE b.case_id = %(case)s AND b.state IN ('approved', 'exported', 'settling') AND NOT EXISTS (
        SELECT FROM returns_submission n WHERE n.batch_id = s.batch_id AND n.part = s.part AND n.version > s.version)
)
SELECT r.rail, CASE
        WHEN r.state = 'batched' AND p.state = 'unknown' THEN 'unknown'
        WHEN r.state = 'batched' AND p.state IS NOT NULL AND p.state <> 'prepared' THEN 'sent'
        WHEN r.state = 'batched' THEN 'ready'
        ELSE r.state END AS stage, count(*)
FROM returns_assetreturn r LEFT JOIN parts p ON r.state = 'batched' AND p.batch_id = r.batch_id AND p.part = r.part
WHERE r.case_id = %(case)s GROUP BY 1, 2
"""

RATES = """
SELECT b.rail, coalesce(sum(s.items), 0), extract(epoch FROM clock_timestamp() - min(s.sent_at))
FROM returns_submission s JOIN returns_batch b ON b.id = s.batch_id
WHERE b.case_id = %(case)s AND b.state IN ('exported', 'settling', 'closed')
  AND s.sent_at > clock_timestamp() - interval '60 seconds' GROUP BY 1
"""

OLDEST = """
SELECT b.rail, min(s.sent_at) FROM returns_submission s JOIN returns_batch b ON b.id = s.batch_id
WHERE b.case_id = %(case)s AND b.state IN ('exported', 'settling') AND s.state = 'unknown' GROUP BY 1
"""

# The books alone: what came in and is still here, and to whom it is set aside.
BALANCES = """
SELECT a.asset_id, sum(CASE WHEN a.side = 'D' THEN b.debits - b.credits ELSE 0 END),
    sum(CASE WHEN a.side = 'C' THEN b.credits - b.debits ELSE 0 END),
    sum(CASE WHEN a.kind = 'in_flight' THEN b.credits - b.debits ELSE 0 END),
    sum(CASE WHEN a.kind = 'entitled' THEN b.credits - b.debits ELSE 0 END)
FROM books_balance b JOIN books_account a ON a.id = b.account_id WHERE a.case_id = %s GROUP BY 1
"""

WAITING = ("scheduled", "ready")


@dataclass(frozen=True)
class Rail:
    """One rail's returns by stage, how fast they leave now, and since when an outcome is unknown."""

    code: str
    stages: dict[str, int]
    rate: float = 0.0  # returns a second, over the last minute
    oldest_unknown: datetime | None = None

    @property
    def total(self) -> int:
        return sum(count for stage, count in self.stages.items() if stage != "cancelled")

    def count(self, *stages: str) -> int:
        return sum(self.stages.get(stage, 0) for stage in stages)

    @property
    def seconds_left(self) -> float | None:
        """Until everything that is approved has left; None while nothing moves."""
        left = self.count("ready")
        return left / self.rate if left and self.rate > 0 else None


@dataclass(frozen=True)
class Counts:
    rails: list[Rail]
    at: datetime
    took: float  # seconds


@dataclass(frozen=True)
class Tied:
    """Both statements of every asset at one instant."""

    differences: list[tuple[str, str, int]]  # asset, which statement, difference
    ok: bool
    at: datetime
    took: float


@dataclass
class _Kept:
    value: Any = None
    until: float = 0.0
    busy: bool = field(default=False)


_kept: dict[tuple[str, int], _Kept] = {}


def fresh_or_kept(name: str, case: Case, count: Callable[[], T], *, at_least: float = 0.0) -> T:
    """What was counted a moment ago, or count again if it is older than it may be. Each web process keeps its own."""
    slot = _kept.setdefault((name, case.pk), _Kept())
    began = time.monotonic()
    if slot.value is None or (began >= slot.until and not slot.busy):
        slot.busy = True
        try:
            slot.value = count()
        finally:
            slot.busy = False
        ended = time.monotonic()
        slot.until = ended + max(at_least, SHARE * (ended - began) - 1.0)
    found: T = slot.value
    return found


def forget() -> None:
    """Count everything anew: for tests."""
    _kept.clear()


def counts(case: Case) -> Counts:
    return fresh_or_kept("counts", case, lambda: _counts(case))


def tied(case: Case) -> Tied:
    return fresh_or_kept("tied", case, lambda: _tied(case), at_least=TIE_SECONDS)


def _counts(case: Case) -> Counts:
    began = time.monotonic()
    stages: dict[str, dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, {"case": case.pk})
        for rail, stage, count in cursor.fetchall():
            stages.setdefault(rail, {})[stage] = count
        cursor.execute(RATES, {"case": case.pk})
        rates = {rail: float(items) / max(float(span or 1), 1.0) for rail, items, span in cursor.fetchall()}
        cursor.execute(OLDEST, {"case": case.pk})
        oldest = dict(cursor.fetchall())
    rails = [Rail(code, stages[code], rates.get(code, 0.0), oldest.get(code)) for code in sorted(stages)]
    return Counts(rails, db_now(), time.monotonic() - began)


def _tied(case: Case) -> Tied:
    began = time.monotonic()
    found = tie_out.tie_out(case)
    differences = [
        (row["code"], name, int(row["difference"])) for name in ("assets", "claims") for row in found[name]
    ]
    return Tied(differences, bool(found["ok"]), db_now(), time.monotonic() - began)


def balances(case: Case) -> dict[int, tuple[int, int, int]]:
    """By asset: what is there less what it is set aside for (0), in flight, entitled. A handful of rows."""
    with connection.cursor() as cursor:
        cursor.execute(BALANCES, [case.pk])
        return {asset: (int(there) - int(aside), int(flying), int(owed)) for asset, there, aside, flying, owed in cursor.fetchall()}


def settled_by_minute(case: Case, *, now: datetime, minutes: int = MINUTES) -> list[tuple[datetime, int, int]]:
    """
    (minute, settled, came back or refused) of the last minutes, from the record: one event speaks for up to 5,000.
    """
    first = now.replace(second=0, microsecond=0) - timedelta(minutes=minutes - 1)
    found = {first + timedelta(minutes=n): [0, 0] for n in range(minutes)}
    last = Counter.objects.filter(case_id=case.pk).values_list("last", flat=True).first() or 0
    events = Event.objects.filter(
        case_id=case.pk, number__gt=last - EVENTS_MAX, kind="evidence.applied", recorded_at__gte=first
    ).values_list("recorded_at", "body")
    for recorded_at, body in events:
        slot = found.get(recorded_at.replace(second=0, microsecond=0))
        if slot is not None:
            told = json.loads(body)
            slot[0] += int(told.get("settled", 0))
            slot[1] += sum(int(told.get(kind, 0)) for kind in ("refused", "dead", "returned"))
    return [(timezone.localtime(minute), settled, back) for minute, (settled, back) in sorted(found.items())]
