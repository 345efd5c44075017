"""
Export: from an approved batch to the exact bytes of every part, with an attempt for each return in it.

From here on the money may move, so the attempts hold their returns and the amounts are in flight before a single
byte leaves the house.

    NotExported   the batch cannot be exported now
    NotSent       nothing can be sent, or declined, like that
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from administration.cases import appointments, approvals, orders, stops
from administration.cases.models import ApprovalRequest
from administration.errors import Refused
from administration.people.models import User
from administration.rails.interface import CarriedRail, Item, Prepared, Rail
from administration.record import covers, log
from administration.returns import batches, halfway, limits, parts, planning, quarantine, routes, sending, steering
from administration.returns.models import (
    AssetReturn,
    AttemptState,
    Batch,
    BatchState,
    ConflictKey,
    ReturnState,
    Submission,
    SubmissionState,
)
from administration.work import jobs
from administration.work.jobs import Progress
from administration.work.models import Job
from claims.register import positions, tie_out

JOB = halfway.JOB
CHUNK = 5_000  # returns of one transaction of the export
NAMED = 10  # how many returns a refusal names


class NotExported(Refused):
    """The batch cannot be exported now."""


class NotSent(Refused):
    """Nothing was sent, or declined."""


@dataclass(frozen=True, slots=True)
class Row:
    """One return of a part, with everything its payment says."""

    pk: int
    line: int
    part: int
    reference: str
    asset: str
    scale: int
    amount: int
    details: dict[str, str]
    closed: list[str]


PARTS = """
SELECT r.id, r.claim_line_id, r.part, r.reference, a.code, a.scale, r.amount, d.details, g.closed
FROM returns_gates g
JOIN returns_assetreturn r ON r.id = g.return_id
JOIN books_asset a ON a.id = r.asset_id
JOIN destinations_destination d ON d.id = r.destination_id
WHERE g.batch_id = %s AND g.part BETWEEN %s AND %s AND g.state = 'batched'
ORDER BY r.part, r.reference
"""

ATTEMPTS = """
INSERT INTO returns_attempt (asset_return_id, batch_id, part, state, holds_return_id, reason_code)
SELECT r.id, r.batch_id, r.part, 'pending', r.id, ''
FROM returns_assetreturn r WHERE r.batch_id = %s AND r.part BETWEEN %s AND %s AND r.state = 'batched' ORDER BY r.id
"""

SHUT = """
SELECT reference, closed[1] FROM returns_gates
WHERE batch_id = %s AND state = 'batched' AND cardinality(closed) > 0 ORDER BY reference LIMIT %s
"""


@transaction.atomic
def export(batch: Batch, *, by: User, at: datetime, submit: bool = False) -> Job:
    """
    Start making the submissions of an approved batch. Gates, orders and stops are looked at again for every return.

    On a rail of single requests, what may not go is held and the rest goes; a file goes whole or not at all. With
    `submit`, sending follows.
    """
    case = batch.case
    appointments.require(case, by, "returns.export", at=at)
    stops.check(case, batch.rail)
    batch = Batch.objects.select_for_update(no_key=True, of=("self",)).select_related("case", "order").get(pk=batch.pk)
    rail = routes.rail(batch.rail)
    if batch.state != BatchState.APPROVED:
        raise NotExported(
            _("%(batch)s is %(state)s. Only an approved batch can be exported.")
            % {"batch": batch, "state": batch.get_state_display().lower()}
        )
    require_approval(batch, at=at)
    steering.refuse_if_paused(batch.round)
    steering.refuse_before_the_canary(batch)
    tie_out.require(case, batches.assets_of(batch))
    _require_version(batch, rail)
    if rail.needs_export:
        refuse_if_shut(batch)
    if not Job.objects.filter(kind=JOB, subject_id=batch.pk, state="waiting").exists():
        log.append(case, "batch.export_begun", subject=batch, by=by, at=at, body={"reference": batch.reference})
    params = {"by": by.pk, "at": at.isoformat(), "submit": submit and rail.can_submit}
    return jobs.start(case, JOB, batch.pk, total=batch.items, params=params)


def _require_version(batch: Batch, rail: Rail) -> None:
    """What was signed was made for this version of the rail: its account, its limits."""
    if rail.version != batch.rail_version:
        raise NotExported(
            _("%(batch)s was frozen for version %(old)s of rail %(rail)s, which is now %(new)s. Void it and freeze again.")
            % {"batch": batch, "old": batch.rail_version, "rail": batch.rail, "new": rail.version}
        )


def require_approval(batch: Batch, *, at: datetime) -> None:
    """The signatures under exactly this manifest stand, and so do the orders behind them."""
    if batch.manifest_sha256 is None:
        raise NotExported(_("%(batch)s is not frozen.") % {"batch": batch})
    approvals.require(batch.case, batches.ACT, batch.pk, content_sha256=bytes(batch.manifest_sha256), at=at)
    if batch.order:
        orders.require(batch.order, at)


def refuse_if_shut(batch: Batch) -> None:
    """A file goes whole: one closed gate refuses it, by name."""
    names = _shut(batch)
    if names:
        raise NotExported(
            _("%(batch)s cannot be exported: a gate has closed on %(names)s. Void it and freeze again without them.")
            % {"batch": batch, "names": names}
        )


def _shut(batch: Batch) -> str:
    """The first returns of the batch on which a gate is closed, with the gate."""
    with connection.cursor() as cursor:
        cursor.execute(SHUT, [batch.pk, NAMED + 1])
        shut = cursor.fetchall()
    return ", ".join(f"{reference} ({gate})" for reference, gate in shut[:NAMED]) + ("…" if len(shut) > NAMED else "")


def step(job: Job) -> Progress:
    """The next parts, as many as fit in a chunk; a file rail's all at once. The cursor is the last part made."""
    at = datetime.fromisoformat(job.params["at"])
    by = User.objects.get(pk=job.params["by"])
    planning.rows_are_near()
    case = Batch.objects.select_related("case").get(pk=job.subject_id).case
    stops.check(case, None)
    batch = (
        Batch.objects.select_for_update(no_key=True, of=("self",)).select_related("case", "order").get(pk=job.subject_id)
    )
    stops.check(case, batch.rail)
    if batch.state != BatchState.APPROVED:
        raise NotExported(
            _("%(batch)s became %(state)s during its export.")
            % {"batch": batch, "state": batch.get_state_display().lower()}
        )
    require_approval(batch, at=at)
    rail = routes.rail(batch.rail)
    steering.refuse_if_paused(batch.round)
    _require_version(batch, rail)
    if rail.needs_export:  # a file goes whole, so nothing of it is made yet
        refuse_if_shut(batch)
    done, part = job.done, int(job.cursor or "0")
    if not job.cursor:  # an earlier export of this batch may have been stopped half-way: what it made stands
        part, done = batch.submissions.aggregate(last=Max("part"))["last"] or 0, batch.attempts.count()
    together = max(1, CHUNK // rail.max_items)
    while part < batch.parts:
        last = min(part + together, batch.parts)
        done += _make(batch, part + 1, last, rail, by=by, at=at)
        part = last
        if not rail.needs_export:
            break
    if part < batch.parts:
        return Progress(str(part), done, "preparing parts")

    with connection.cursor() as cursor:
        cursor.execute("SELECT returns_look_at_statistics('attempt')")
    cover = covers.cover("returns.attempts", batch=batch.reference)
    digest = hashlib.sha256()
    for sha256 in batch.submissions.order_by("part", "version").values_list("payload_sha256", flat=True).iterator():
        digest.update(bytes(sha256))
    held = batch.items - cover.count
    Batch.objects.filter(pk=batch.pk, state=BatchState.APPROVED).update(
        state=BatchState.EXPORTED, artifact_sha256=digest.digest()
    )
    log.append(
        case, "batch.exported", subject=batch, by=by, at=at, covers=cover,
        body={"reference": batch.reference, "parts": batch.parts, "held": held, "artifact_sha256": digest.hexdigest()},
    )  # fmt: skip
    if job.params.get("submit") and cover.count:
        jobs.start(case, sending.JOB, batch.pk, total=cover.count, params={"by": by.pk})
    totals = {asset: str(units) for asset, units in cover.sums.items()}
    return Progress(
        str(part), batch.items, "exported", finished=True,
        result={"batch": batch.reference, "count": cover.count, "held": held, "totals": totals},
    )  # fmt: skip


def _make(batch: Batch, first: int, last: int, rail: Rail, *, by: User, at: datetime) -> int:
    """These parts: hold what may not go, attempts for the rest, the amounts in flight, the exact bytes, their keys."""
    with connection.cursor() as cursor:
        cursor.execute(PARTS, [batch.pk, first, last])
        rows = [
            Row(pk, line, part, ref, asset, scale, int(amount), _mapping(details), closed)
            for pk, line, part, ref, asset, scale, amount, details, closed in cursor
        ]
        shut: dict[str, list[int]] = {}
        for row in rows:
            if row.closed:
                shut.setdefault(row.closed[0], []).append(row.pk)
        for gate, keys in shut.items():
            AssetReturn.objects.filter(pk__in=keys, state=ReturnState.BATCHED).update(
                state=ReturnState.HELD, held_by_gate=gate, batch=None, part=None
            )
        rows = [row for row in rows if not row.closed]
        if not rows:
            return 0
        cursor.execute(ATTEMPTS, [batch.pk, first, last])
        if cursor.rowcount != len(rows):
            raise NotExported(
                _("Parts %(first)s to %(last)s of %(batch)s changed meanwhile.") % {"first": first, "last": last, "batch": batch}
            )
    _take(batch, first, rows, by=by, at=at)
    made: list[Submission] = []
    keys_of_parts: list[ConflictKey] = []
    for part, items in _by_part(rows).items():
        prepared = _prepared(batch, rail, part, items, at=at)
        payload = prepared.payload
        made.append(
            Submission(
                batch=batch, part=part, rail_key=prepared.key, payload=payload, payload_sha256=hashlib.sha256(payload).digest(),
                items=len(items),
            )
        )  # fmt: skip
        keys_of_parts += [ConflictKey(key=name, batch=batch, part=part) for name in prepared.conflict_keys]
    Submission.objects.bulk_create(made)
    ConflictKey.objects.bulk_create(keys_of_parts)
    return len(rows)


def _take(batch: Batch, first: int, rows: Sequence[Row], *, by: User, at: datetime) -> None:
    """In flight from here on. Positions before books: so all of them are held still where one move cannot take them all."""
    moves = _by_line(rows)
    if len(moves) > 1:
        positions.lock(row.line for row in rows)
    for number, rows_of_move in enumerate(moves):
        positions.move(
            batch.case, "take", key=f"take:{batch.reference}:{first}" + (f":{number}" if number else ""), rows=rows_of_move,
            subject=("batch", batch.reference), by=by, at=at,
        )  # fmt: skip


def _by_part(rows: Sequence[Row]) -> dict[int, list[Item]]:
    found: dict[int, list[Item]] = {}
    for row in rows:
        item = Item(row.reference, row.asset, row.amount, row.scale, row.details)
        found.setdefault(row.part, []).append(item)
    return found


def _prepared(batch: Batch, rail: Rail, part: int, items: list[Item], *, at: datetime) -> Prepared:
    """What the rail made of one part, looked at: just these returns, under just this key."""
    prepared = parts.prepare(batch, rail, part, items, at=at)
    totals: dict[str, int] = {}
    for item in items:
        totals[item.asset] = totals.get(item.asset, 0) + item.amount
    if prepared.count != len(items) or dict(prepared.totals) != totals or prepared.key != parts.key_of(batch, part):
        raise NotExported(
            _("Rail %(rail)s prepared part %(part)s of %(batch)s otherwise than asked. Nothing was exported.")
            % {"rail": rail.code, "part": part, "batch": batch}
        )
    return prepared


def _by_line(rows: Sequence[Row]) -> list[list[tuple[int, int]]]:
    """(claim line, units) in slices a move can take; two returns of one line together."""
    sums: dict[int, int] = {}
    for row in rows:
        sums[row.line] = sums.get(row.line, 0) + row.amount
    pairs = sorted(sums.items())
    return [pairs[start : start + positions.ROWS_MAX] for start in range(0, len(pairs), positions.ROWS_MAX)]


def _mapping(details: Any) -> dict[str, str]:
    found = json.loads(details) if isinstance(details, str) else details
    return {str(name): str(value) for name, value in found.items()}


# --- sending, signing, declining ------------------------------------------------------------------


@transaction.atomic
def submit(batch: Batch, *, by: User, at: datetime) -> Job:
    """Start, or take up again, the sending of an exported batch. One code path sends: the job's."""
    appointments.require(batch.case, by, "returns.export", at=at)
    stops.check(batch.case, batch.rail)
    batch = Batch.objects.select_related("case", "order", "round").get(pk=batch.pk)
    steering.refuse_if_paused(batch.round)
    if batch.state not in (BatchState.EXPORTED, BatchState.SETTLING):
        raise NotSent(
            _("%(batch)s is %(state)s. Only an exported batch is sent.")
            % {"batch": batch, "state": batch.get_state_display().lower()}
        )
    if not routes.rail(batch.rail).can_submit:
        raise NotSent(
            _("Rail %(rail)s sends nothing itself: a person carries its files. Then import what comes back.")
            % {"rail": batch.rail}
        )
    require_approval(batch, at=at)
    return jobs.start(batch.case, sending.JOB, batch.pk, total=batch.attempts.count(), params={"by": by.pk})


@transaction.atomic
def carry_out(batch: Batch, *, by: User, at: datetime) -> int:
    """
    A person takes an exported batch's files out of the house: from here on they may be paid.

    Written down before the files are, so that nothing is outside of which the rows know nothing. Again: nothing new.
    """
    appointments.require(batch.case, by, "returns.export", at=at)
    stops.check(batch.case, batch.rail)
    quarantine.refuse_unless_home()
    batch = Batch.objects.select_for_update(no_key=True, of=("self",)).select_related("case", "order").get(pk=batch.pk)
    if not isinstance(routes.rail(batch.rail), CarriedRail):
        raise NotSent(_("Rail %(rail)s sends its parts itself. Nobody carries them.") % {"rail": batch.rail})
    inside = list(batch.submissions.filter(state=SubmissionState.PREPARED).order_by("part").values_list("pk", flat=True))
    if not inside:
        return 0
    require_approval(batch, at=at)
    steering.refuse_if_paused(batch.round)
    if batch.value_date and batch.value_date < timezone.localdate(at):
        raise NotSent(
            _("The value date of %(batch)s, %(date)s, is past. Decline it: its returns are scheduled again.")
            % {"batch": batch, "date": batch.value_date}
        )
    names = _shut(batch)  # days may lie between the export and this
    if names:
        raise NotSent(
            _("%(batch)s does not leave the house: since its export a gate has closed on %(names)s. Decline it: its returns are scheduled again, and what may not go is held.")
            % {"batch": batch, "names": names}
        )
    stepped = _carry(inside)
    if not stepped:
        for why in limits.never_fit(batch).values():
            raise limits.NeverFits(_("%(why)s Have two people sign a wider limit, or decline it.") % {"why": why})
        raise NotSent(_("The next file of %(batch)s would go over a limit of its rail. Carry it later.") % {"batch": batch})
    log.append(
        batch.case, "batch.carried_out", subject=batch, by=by, at=at, body={"reference": batch.reference, "parts": stepped}
    )
    return stepped


def _carry(inside: list[int]) -> int:
    """One part after the other, as far as the rail's limits go: each counts for the next."""
    stepped = 0
    with connection.cursor() as cursor:
        for part in inside:
            cursor.execute("SELECT part_goes_over_a_limit(%s)", [part])
            if cursor.fetchone()[0]:
                break
            cursor.execute("SELECT submission_step(ARRAY[%s]::bigint[], 'prepared', 'exported')", [part])
            stepped += int(cursor.fetchone()[0])
    return stepped


def import_signed(submission: Submission, signed: bytes, *, by: User, at: datetime) -> None:
    """Take signed bytes back, after checking that they do what was approved and nothing else."""
    appointments.require(submission.batch.case, by, "returns.export", at=at)
    rail = routes.rail(submission.batch.rail)
    if not rail.needs_export:
        raise NotSent(
            _("Rail %(rail)s needs no signature from outside; there is nothing to import.") % {"rail": rail.code}
        )
    raise NotSent(_("No rail of this version takes signed files yet."))


@transaction.atomic
def decline(batch: Batch, *, reason: str, by: User | None, at: datetime) -> int:
    """
    Give up the parts of an exported batch that were never sent; their returns are scheduled again.

    What may have left the house is not declined but awaits its evidence.
    """
    if by is not None:
        appointments.require(batch.case, by, "returns.export", at=at)
    batch = Batch.objects.select_for_update(no_key=True, of=("self",)).select_related("case").get(pk=batch.pk)
    unsent = list(batch.submissions.filter(state=SubmissionState.PREPARED, tries=0).values_list("pk", "part"))
    if not unsent:
        raise NotSent(_("Every part of %(batch)s has left the house, or may have.") % {"batch": batch})
    with connection.cursor() as cursor:
        cursor.execute("SELECT submission_step(%s, 'prepared', 'dead')", [[pk for pk, _part in unsent]])
        (stepped,) = cursor.fetchone()
    if stepped != len(unsent):
        raise NotSent(_("A part of %(batch)s is being sent at this moment. Stop the rail, then decline.") % {"batch": batch})
    count = 0
    for _pk, part in unsent:
        count += sending.let_go(batch, part, AttemptState.DEAD, reason="declined", by=by, at=at)
    log.append(
        batch.case, "batch.declined", subject=batch, by=by, at=at,
        body={"reference": batch.reference, "parts": [part for _pk, part in unsent], "returns": count, "reason": reason},
    )  # fmt: skip
    return count


def resumed(request: ApprovalRequest, by: User, at: datetime) -> Job | None:
    """The successor has taken up a live batch: what was being exported or sent goes on."""
    batch = Batch.objects.select_related("case").get(pk=request.object_id)
    last = Job.objects.filter(subject_id=batch.pk, kind__in=[JOB, sending.JOB]).order_by("-pk").first()
    if last is None:
        return None
    if batch.state == BatchState.APPROVED:
        return jobs.start(batch.case, JOB, batch.pk, total=batch.items, params={**last.params, "by": by.pk})
    if batch.state in (BatchState.EXPORTED, BatchState.SETTLING):
        return jobs.start(batch.case, sending.JOB, batch.pk, total=batch.attempts.count(), params={"by": by.pk})
    return None


def declined(request: ApprovalRequest, by: User, at: datetime) -> None:
    """The successor does not want a live batch: what has not left the house is given up."""
    batch = Batch.objects.select_related("case").get(pk=request.object_id)
    if halfway.is_one(batch):
        halfway.give_up(batch, reason=request.reason, by=by, at=at)
    elif batch.state == BatchState.APPROVED:
        batches.give_up(batch, reason=request.reason, by=by, at=at)
    elif batch.state != BatchState.APPROVED and batch.submissions.filter(state=SubmissionState.PREPARED, tries=0).exists():
        decline(batch, reason=request.reason, by=None, at=at)
