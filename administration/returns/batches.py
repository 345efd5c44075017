"""
Batches: returns grouped for one rail, frozen under a manifest, approved by its hash.

    NotADraft       only a draft can be frozen
    NothingToBatch  no return has every gate open
    NotVoided       what has begun to leave the house cannot be voided
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.books.models import Asset
from administration.cases import appointments, approvals, orders, stops
from administration.cases.models import ApprovalRequest, Case, CourtOrder
from administration.errors import Refused
from administration.people.models import User
from administration.record import covers, log
from administration.returns import limits, parts, planning, routes, steering
from administration.returns.models import Batch, BatchState, ReturnState, Round
from claims.register import tie_out

ACT = "returns.batch"
ITEMS_MAX = 200_000  # returns of one batch: what two people can be asked to sign at once


class NotADraft(Refused):
    """Only a draft batch can be frozen."""


class NothingToBatch(Refused):
    """No scheduled return has every gate open."""


class NotVoided(Refused):
    """Only a batch of which nothing has begun to leave the house can be voided."""


# Gates are dear and rows are cheap: the next so many that wait are found by their rows alone, and their gates looked at.
NEXT = """
SELECT count(*), max(reference), count(*) FILTER (WHERE state = 'held') FROM (
    SELECT reference, state FROM returns_assetreturn
    WHERE case_id = %(case)s AND round_id = %(round)s AND rail = %(rail)s AND state IN ('scheduled', 'held')
      AND reference > %(after)s {lane}
    ORDER BY reference LIMIT %(next)s) s
"""

# A gate that only the customer's destination closes leaves a return scheduled; any other holds it back by name.
REOPEN = """
UPDATE returns_assetreturn r SET state = 'scheduled', held_by_gate = ''
FROM returns_gates g
WHERE g.return_id = r.id AND r.state = 'held' AND g.state = 'held' AND g.round_id = %(round)s AND g.rail = %(rail)s
  AND g.case_id = %(case)s AND g.reference > %(after)s AND g.reference <= %(through)s
  AND (cardinality(g.closed) = 0 OR g.closed[1] = 'destination')
"""

# In the order of their references: those that may go fill the parts, the others are held or stay.
DRAFT = """
WITH g AS MATERIALIZED (
    SELECT return_id, usable_destination_id AS destination, closed,
        CASE WHEN cardinality(closed) = 0
            THEN %(taken)s + count(*) FILTER (WHERE cardinality(closed) = 0) OVER (ORDER BY reference) END AS n
    FROM returns_gates WHERE round_id = %(round)s AND rail = %(rail)s AND state = 'scheduled'
      AND case_id = %(case)s AND reference > %(after)s AND reference <= %(through)s {lane}
), changed AS (
UPDATE returns_assetreturn r SET
    state = CASE WHEN g.n <= %(limit)s THEN 'batched' WHEN g.closed[1] <> 'destination' THEN 'held' ELSE 'scheduled' END,
    batch_id = CASE WHEN g.n <= %(limit)s THEN %(batch)s::bigint END,
    part = CASE WHEN g.n <= %(limit)s THEN (g.n - 1) / %(part)s + 1 END,
    destination_id = coalesce(g.destination, r.destination_id),
    held_by_gate = CASE WHEN g.closed[1] <> 'destination' THEN g.closed[1] ELSE '' END
FROM g
WHERE r.id = g.return_id AND r.state = 'scheduled' AND (
    g.n <= %(limit)s OR g.closed[1] <> 'destination'
    OR g.destination IS NOT NULL AND r.destination_id IS DISTINCT FROM g.destination
)
RETURNING r.state
)
SELECT count(*), count(*) FILTER (WHERE state = 'batched') FROM changed
"""

# The same without doing it: what would be taken by asset, what would not by its first closed gate.
WOULD = """
SELECT a.code, coalesce(g.closed[1], ''), count(*), sum(g.amount) FROM (
    SELECT asset_id, amount, closed, count(*) FILTER (WHERE cardinality(closed) = 0) OVER (ORDER BY reference) AS n
    FROM returns_gates WHERE round_id = %(round)s AND rail = %(rail)s AND state IN ('scheduled', 'held')
      AND case_id = %(case)s AND reference > %(after)s AND reference <= %(through)s {lane}
) g JOIN books_asset a ON a.id = g.asset_id
WHERE cardinality(g.closed) > 0 OR g.n + %(taken)s <= %(limit)s
GROUP BY 1, 2
"""

# A return is in the large lane from its asset's threshold on.
LANE = """
AND (amount >= coalesce((%(large_from)s::jsonb ->> asset_id::text)::numeric, 'Infinity')) = (%(lane)s = 'large')
"""
ANY_SMALL = """
SELECT EXISTS (
    SELECT FROM returns_assetreturn r
    WHERE r.case_id = %(case)s AND r.round_id = %(round)s AND r.rail = %(rail)s AND r.state = 'scheduled'
      AND r.amount < coalesce((%(large_from)s::jsonb ->> r.asset_id::text)::numeric, 'Infinity'))
"""
LANES = ("", "small", "large")
LAST = "~"  # behind every reference

COUNT = """
SELECT count(*), coalesce(max(part), 0) FROM returns_assetreturn WHERE batch_id = %s AND state = 'batched'
"""

TOTALS = """
SELECT coalesce(jsonb_object_agg(code, total::text), '{}') FROM (
    SELECT a.code, sum(r.amount) AS total FROM returns_assetreturn r JOIN books_asset a ON a.id = r.asset_id
    WHERE r.batch_id = %s AND r.state = 'batched' GROUP BY a.code) s
"""

MANIFEST = """
INSERT INTO returns_manifest (batch_id, body, sha256)
SELECT %(batch)s, body, sha256(convert_to(body, 'UTF8')) FROM (SELECT batch_manifest(%(batch)s) AS body OFFSET 0) m
RETURNING sha256
"""


@transaction.atomic
def draft(
    case: Case,
    current: Round,
    rail_code: str,
    *,
    by: User,
    at: datetime,
    limit: int | None = None,
    order: CourtOrder | None = None,
    value_date: date | None = None,
    lane: str = "",
) -> Batch:
    """
    Group what is scheduled and free to go, up to `limit`, in the order of references.

    Files move money on `value_date`; without one, on the first day on which they can. Where the round has lanes a batch
    is of one `lane`; without one, of the small returns while there are any. The first batch of a round that sends a few
    first holds those few.

    Returns with a closed gate are held under its name; those that only lack a destination stay scheduled. Nobody looks at
    those behind the last one that was taken.
    """
    appointments.require(case, by, "returns.batch", at=at)
    stops.check(case, rail_code)
    rail = routes.rail(rail_code)
    current = Round.objects.select_for_update(no_key=True, of=("self",)).get(pk=current.pk)
    if current.case_id != case.pk or current.scheduled_at is None:
        raise NothingToBatch(
            _("Round %(round)s is not scheduled to its end. Wait until it is.") % {"round": current.number}
        )
    steering.refuse_if_paused(current)
    if order is not None:
        orders.require(order, at)
    params = of_lane(current, rail.code, lane)
    canary = steering.wants_canary(current, rail.code)
    limit = min(limit or ITEMS_MAX, ITEMS_MAX, current.canary if canary else ITEMS_MAX)
    number = current.batches.count() + 1
    batch = Batch.objects.create(
        case=case, reference=f"{case.reference}-B{current.number:02d}-{number:03d}", rail=rail.code,
        rail_version=rail.version, round=current, order=order, prepared_by=by, drafted_at=at,
        value_date=parts.value_date(current, rail, value_date, at=at), lane=params["lane"], canary=canary,
    )  # fmt: skip
    planning.rows_are_near()
    params |= {"batch": batch.pk, "part": limits.items_max(case, rail), "limit": limit}
    _fill(params)
    parts.arrange(batch, rail)
    _count(batch)
    if not batch.items:
        # Rolled back with everything else, held returns included: freeze_batches says which gates are closed.
        raise NothingToBatch(
            _("No return of round %(round)s on rail %(rail)s has every gate open. “why CLAIM” says what is missing.")
            % {"round": current.number, "rail": rail.code}
        )
    log.append(
        case, "batch.drafted", subject=batch, by=by, at=at,
        body={
            "reference": batch.reference, "rail": batch.rail, "items": batch.items, "totals": batch.totals,
            "lane": batch.lane, "canary": "yes" if canary else "no",
        },
    )  # fmt: skip
    return batch


@transaction.atomic
def hold(case: Case, current: Round, rail_code: str, *, by: User, at: datetime) -> int:
    """Hold what has a closed gate under its name, and let go what has none any more, without drafting a batch."""
    appointments.require(case, by, "returns.batch", at=at)
    stops.check(case, rail_code)  # a stop is nobody's hold, and neither is a pause
    steering.refuse_if_paused(current)
    params: dict[str, Any] = {
        "case": case.pk, "round": current.pk, "rail": rail_code, "batch": None, "part": 1, "limit": 0, "taken": 0,
        "after": "", "through": LAST,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(REOPEN, params)
        changed = int(cursor.rowcount)
        cursor.execute(DRAFT.format(lane=""), params)
        changed += int(cursor.fetchone()[0])
    if changed:
        log.append(
            case, "round.gates_looked_at", subject=current, by=by, at=at,
            body={"number": current.number, "rail": rail_code, "changed": changed},
        )  # fmt: skip
    return changed


@transaction.atomic
def freeze(batch: Batch, *, by: User, at: datetime) -> ApprovalRequest:
    """Freeze a draft: its manifest is built and hashed, and its approval asked for. Nothing in it changes any more."""
    case = batch.case
    appointments.require(case, by, "returns.batch", at=at)
    batch = _locked(batch)
    if batch.state != BatchState.DRAFT:
        raise NotADraft(_("%(batch)s is no longer a draft. Reload it and look again.") % {"batch": batch})
    if batch.prepared_by_id != by.pk:
        raise NotADraft(
            _("%(batch)s was drafted by %(user)s, who freezes it or voids it.")
            % {"batch": batch, "user": batch.prepared_by.username}
        )
    _count(batch)
    tie_out.require(case, assets_of(batch))
    limits.refuse_what_never_fits(batch)
    parts.refuse_unless_writable(batch, routes.rail(batch.rail), at=at)
    with connection.cursor() as cursor:
        cursor.execute(MANIFEST, {"batch": batch.pk})
        (sha256,) = cursor.fetchone()
    Batch.objects.filter(pk=batch.pk, state=BatchState.DRAFT).update(
        state=BatchState.FROZEN, manifest_sha256=sha256, frozen_at=at
    )
    batch.refresh_from_db()
    asked = approvals.request(
        batch, case=case, act=ACT, content_sha256=bytes(sha256), by=by, at=at, order=batch.order,
        more=1 if limits.is_large(batch) else 0,
    )  # fmt: skip
    cover = covers.cover("returns.batch", batch=batch.reference)
    log.append(
        case, "batch.frozen", subject=batch, by=by, at=at,
        body={"reference": batch.reference, "manifest_sha256": bytes(sha256).hex()}, covers=cover,
    )  # fmt: skip
    return asked


@transaction.atomic
def void(batch: Batch, *, reason: str, by: User, at: datetime) -> Batch:
    """Give up a batch of which nothing has left the house: its returns are scheduled again."""
    appointments.require(batch.case, by, "returns.batch", at=at)
    return give_up(batch, reason=reason, by=by, at=at)


def give_up(batch: Batch, *, reason: str, by: User, at: datetime) -> Batch:
    """The rows of voiding, and the event."""
    batch = _locked(batch)
    open_states = (BatchState.DRAFT, BatchState.FROZEN, BatchState.APPROVED)
    if batch.state not in open_states or batch.attempts.exists():
        raise NotVoided(
            _("%(batch)s is %(state)s: what has begun to leave the house cannot be voided. Wait for its evidence.")
            % {"batch": batch, "state": batch.get_state_display().lower()}
        )
    Batch.objects.filter(pk=batch.pk, state__in=open_states).update(state=BatchState.VOIDED)
    batch.returns.filter(state=ReturnState.BATCHED).update(state=ReturnState.SCHEDULED, batch=None, part=None)
    batch.conflict_keys.filter(released_at__isnull=True).update(released_at=at)
    batch.refresh_from_db()
    log.append(
        batch.case, "batch.voided", subject=batch, by=by, at=at, body={"reference": batch.reference, "reason": reason}
    )
    return batch


# --- approval -----------------------------------------------------------------------------------


def content(batch_id: int) -> bytes:
    """The hash of what the batch says, from its rows as they are now: any tampering shows."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT batch_content(%s)", [batch_id])
        (sha256,) = cursor.fetchone()
    return bytes(sha256)


def ready_to_approve(request: ApprovalRequest) -> None:
    """Before the last signature: the statements tie, the order stands, the batch is what it was."""
    batch = Batch.objects.select_related("case", "order").get(pk=request.object_id)
    if request.act == ACT and batch.state != BatchState.FROZEN:
        raise NotADraft(
            _("%(batch)s is %(state)s; only a frozen batch can be approved.")
            % {"batch": batch, "state": batch.get_state_display().lower()}
        )
    if request.act == ACT and request.signers < 3 and limits.is_large(batch):
        raise NotADraft(
            _("%(batch)s is above the limit of what the usual signatures carry. Void it and freeze it again: one person "
              "more signs then.") % {"batch": batch}
        )  # fmt: skip
    tie_out.require(batch.case, assets_of(batch))
    if batch.order:
        orders.require(batch.order, request.requested_at)


def approved(request: ApprovalRequest, by: User, at: datetime) -> None:
    """With the last signature, in its transaction."""
    batch = Batch.objects.get(pk=request.object_id)
    moved = Batch.objects.filter(pk=batch.pk, state=BatchState.FROZEN).update(state=BatchState.APPROVED)
    if moved != 1:
        raise NotADraft(_("%(batch)s is not frozen any more. Reload it and look again.") % {"batch": batch})
    log.append(
        batch.case, "batch.approved", subject=batch, by=by, at=at,
        body={"reference": batch.reference, "manifest_sha256": bytes(request.content_sha256).hex()},
    )  # fmt: skip


def rejected(request: ApprovalRequest, by: User, at: datetime) -> None:
    """A rejected batch cannot be mended, only made anew: its returns are scheduled again."""
    batch = Batch.objects.get(pk=request.object_id)
    if batch.state == BatchState.FROZEN:
        give_up(batch, reason=request.reason, by=by, at=at)


def can_still_move(batch_id: int) -> bool:
    """Could something of this batch still leave the house?"""
    batch = Batch.objects.get(pk=batch_id)
    if batch.state == BatchState.APPROVED:
        return True
    return batch.submissions.filter(
        state__in=["prepared", "exported", "signed", "submitting", "unknown"]
    ).exists()


def assets_of(batch: Batch) -> list[Asset]:
    """A difference in one asset stops the batches that carry it, not the whole case."""
    return list(Asset.objects.filter(case=batch.case, code__in=batch.totals))


def find(text: str) -> int | None:
    return Batch.objects.filter(reference=text).values_list("pk", flat=True).first()


def of_lane(current: Round, rail: str, lane: str) -> dict[str, Any]:
    """What DRAFT is asked with: the lane wanted, or the one whose turn it is."""
    if lane not in LANES or (lane and not current.large_from):
        raise NothingToBatch(_("Round %(round)s has no lane “%(lane)s”.") % {"round": current.number, "lane": lane})
    assets = dict(Asset.objects.filter(case=current.case_id).values_list("code", "pk"))
    large_from = {str(assets[code]): units for code, units in current.large_from.items()}
    params: dict[str, Any] = {
        "case": current.case_id, "round": current.pk, "rail": rail, "lane": lane, "large_from": json.dumps(large_from)
    }
    if current.large_from and not lane:
        with connection.cursor() as cursor:
            cursor.execute(ANY_SMALL, params)
            (small,) = cursor.fetchone()
        params["lane"] = "small" if small else "large"
    return params


def would_take(params: dict[str, Any]) -> tuple[list[tuple[str, int, int]], list[tuple[str, int]]]:
    """What a draft would take now, as (asset, returns, units), and what it would look at in vain, as (gate, returns)."""
    took: dict[str, tuple[int, int]] = {}
    closed: Counter[str] = Counter()
    lane = LANE if params["lane"] else ""
    with connection.cursor() as cursor:
        for step in _steps(cursor, params, lane, lambda: sum(count for count, _units in took.values())):
            cursor.execute(WOULD.format(lane=lane), step)
            for code, gate, count, units in cursor.fetchall():
                if gate:
                    closed[gate] += count
                else:
                    before = took.get(code, (0, 0))
                    took[code] = before[0] + count, before[1] + int(units)
    return [(code, *took[code]) for code in sorted(took)], closed.most_common()


def _fill(params: dict[str, Any]) -> None:
    """Put returns into a batch until it is full or none is left."""
    taken: list[int] = []
    lane = LANE if params["lane"] else ""
    with connection.cursor() as cursor:
        for step in _steps(cursor, params, lane, lambda: sum(taken)):
            if step["held"]:
                cursor.execute(REOPEN, step)
            cursor.execute(DRAFT.format(lane=lane), step)
            taken.append(cursor.fetchone()[1])
        cursor.execute("SELECT returns_look_at_statistics('assetreturn')")


def _steps(cursor: Any, params: dict[str, Any], lane: str, taken: Callable[[], int]) -> Iterator[dict[str, Any]]:
    """
    Stretches of what waits, so that the gates of few more are looked at than are taken.

    So many as are missing, and a tenth of those looked at before: where many gates are closed the stretches become longer.
    """
    seen, after = 0, ""
    while taken() < params["limit"]:
        step = {**params, "after": after, "next": params["limit"] - taken() + seen // 10, "taken": taken()}
        cursor.execute(NEXT.format(lane=lane), step)
        count, through, held = cursor.fetchone()
        if not count:
            return
        yield {**step, "through": through, "held": held}
        seen, after = seen + count, through


def _count(batch: Batch) -> None:
    """How many returns, parts and units of each asset the draft holds."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [batch.pk])
        batch.items, batch.parts = cursor.fetchone()
        cursor.execute(TOTALS, [batch.pk])
        (batch.totals,) = cursor.fetchone()
    if isinstance(batch.totals, str):
        batch.totals = json.loads(batch.totals)
    Batch.objects.filter(pk=batch.pk, state=BatchState.DRAFT).update(
        items=batch.items, parts=batch.parts, totals=batch.totals
    )


def _locked(batch: Batch) -> Batch:
    return Batch.objects.select_for_update(no_key=True, of=("self",)).select_related("case", "order", "prepared_by").get(pk=batch.pk)
