"""
Sending: the one code path that calls a rail.

Each part is claimed in one transaction (state submitting, fence + 1, a lease), the rail is called outside any
transaction, and the outcome is written down under the fence. Killed before the claim: nothing happened. Killed after
it: the lease lapses, the outcome is unknown, and the rail's class says what may be done about it. A timeout is not a
failure: doubt is always unknown, and only evidence, or the rail's own answer to the same key, ends it.

    RailSilent   the rail has not answered for too long; parts are unknown
"""

import dataclasses
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery import current_app
from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from kombu.exceptions import OperationalError as BrokerError

from administration.cases import approvals, stops
from administration.errors import Refused
from administration.fields import db_now
from administration.people.models import User
from administration.rails.interface import Accepted, AlreadyKnown, Outcome, Rail, RailClass, RailDown, Rejected, Unknown
from administration.record import log
from administration.returns import batches, evidence, limits, quarantine, routes
from administration.returns.models import (
    Attempt,
    AttemptState,
    Batch,
    BatchState,
    ReturnState,
    Submission,
    SubmissionState,
)
from administration.work import jobs
from administration.work.jobs import Progress
from administration.work.models import Job, JobState
from claims.register import positions

logger = logging.getLogger(__name__)

JOB = "returns.submit"
TASK = "returns.send"
LEASE_SECONDS = 20  # of one part; well above the longest call
CALL_SECONDS = 10  # a rail answers within this, or its answer is doubt
HELPERS = 2  # workers rung for besides the one that has the job
TRIES_MAX = 7  # calls without a usable answer before a person is told
STEP_SECONDS = 2.0
PAUSES = (1, 2, 4, 8, 16, 30)  # seconds between calls of one part whose outcome is unknown


class RailSilent(Refused):
    """The rail has not answered for too long. Nothing is lost: the parts stay unknown until it does."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One part in our hands: ours to send while the lease lasts, ours to write down under the fence."""

    pk: int
    part: int
    fence: int
    rail_key: str
    payload: bytes


# --- the job ------------------------------------------------------------------------------------


def step(job: Job) -> Progress:
    """
    Send for about two seconds. Not one transaction: each part makes its own, and any number of workers may send.

    The rows are the truth; the job only says whether something is left.
    """
    batch = Batch.objects.select_related("case", "order").get(pk=job.subject_id)
    rail = routes.rail(batch.rail)
    if not job.cursor:
        _ring_helpers(batch.pk)
    lapse(batch, rail)
    until = time.monotonic() + STEP_SECONDS
    went = send_one(batch, rail)
    while went and time.monotonic() < until and send_one(batch, rail):
        pass
    open_parts, resting, sent, worst = _left(batch)
    if not open_parts and not resting:
        _all_out(batch)
        return Progress("sent", sent, "sent", finished=True, result={"batch": batch.reference, "count": sent})
    if rail.rail_class == RailClass.R3 and not open_parts:
        raise RailSilent(
            _("%(count)d parts of %(batch)s have an unknown outcome. This rail cannot be asked: look at its statement.")
            % {"count": resting, "batch": batch}
        )
    if worst >= TRIES_MAX:
        raise RailSilent(
            ngettext(
                "Rail %(rail)s does not answer: %(count)d part of %(batch)s is unknown after %(tries)d calls. "
                "Nothing is lost; it is called again with the same key until it answers.",
                "Rail %(rail)s does not answer: %(count)d parts of %(batch)s are unknown after %(tries)d calls. "
                "Nothing is lost; it is called again with the same key until it answers.",
                resting,
            )
            % {"rail": batch.rail, "count": resting, "batch": batch, "tries": worst}
        )
    if open_parts and waits_for_its_time(batch):
        return Progress("sending", sent, "waiting for its time", rests=True)
    if open_parts and not went and _waits_for_a_limit(batch):
        return Progress("sending", sent, "waiting for a limit", rests=True)
    time.sleep(0.05 if open_parts else 0.25)
    return Progress("sending", sent, "waiting for the rail" if resting else "sending", rests=not open_parts)


def waits_for_its_time(batch: Batch) -> bool:
    """The hours of its rail are over, or its round is paused: nothing of it is claimed before."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT batch_waits_for_its_time(%s)", [batch.pk])
        return bool(cursor.fetchone()[0])


def _waits_for_a_limit(batch: Batch) -> bool:
    """What is left to be sent would go over a limit of its rail now. Refused where all of it always would."""
    inside = [SubmissionState.PREPARED, SubmissionState.SIGNED]
    left = list(batch.submissions.filter(state__in=inside).order_by("part").values_list("pk", "part"))
    if not left:
        return False
    never = limits.never_fit(batch)
    others = batch.submissions.filter(state__in=[SubmissionState.SUBMITTING, SubmissionState.UNKNOWN])
    if all(part in never for _pk, part in left) and not others.exists():
        raise limits.NeverFits(_("%(why)s Have two people sign a wider limit, or decline it.") % {"why": never[left[0][1]]})
    with connection.cursor() as cursor:
        cursor.execute("SELECT part_goes_over_a_limit(%s)", [left[0][0]])
        return bool(cursor.fetchone()[0])


def due() -> list[int]:
    """Batches whose sending had begun, is not done and is not being done: their job is started again."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT b.id FROM returns_batch b
            WHERE b.state IN ('exported', 'settling')
              AND EXISTS (SELECT FROM work_job j WHERE j.kind = %(job)s AND j.subject_id = b.id)
              AND NOT EXISTS (SELECT FROM work_job j WHERE j.kind = %(job)s AND j.subject_id = b.id AND j.state = 'waiting')
              AND NOT EXISTS (
                  SELECT FROM cases_stop s WHERE s.case_id = b.case_id AND s.lifted_at IS NULL AND s.rail IN ('', b.rail))
              AND EXISTS (
                  SELECT FROM returns_submission s LEFT JOIN parts_above_a_limit(b.id) a ON a.part = s.part
                  WHERE s.batch_id = b.id AND (
                      s.state IN ('prepared', 'signed') AND a.part IS NULL
                      OR s.state IN ('submitting', 'unknown') AND coalesce(s.lease_until, '-infinity') < clock_timestamp()))
            ORDER BY b.id LIMIT 20
            """,
            {"job": JOB},
        )
        return [row[0] for row in cursor.fetchall()]


def take_up_again(batch_id: int) -> None:
    """Start the sending of a batch again after a stop was lifted or the rail was silent, as its approval still stands."""
    batch = Batch.objects.select_related("case", "order").get(pk=batch_id)
    if not stands(batch, db_now()):
        return
    if routes.rail(batch.rail).rail_class == RailClass.R3 and not batch.submissions.filter(
        state__in=[SubmissionState.PREPARED, SubmissionState.SIGNED]
    ):
        return  # what is left of it is in doubt: people decide
    last = Job.objects.filter(kind=JOB, subject_id=batch.pk).order_by("-pk").first()
    jobs.start(batch.case, JOB, batch.pk, total=batch.attempts.count(), params=last.params if last else {})


def help_send(batch_id: int, *, seconds: float = 45.0) -> None:
    """Another worker's hands: send parts of a batch while there are any."""
    batch = Batch.objects.select_related("case", "order").get(pk=batch_id)
    rail = routes.rail(batch.rail)
    until = time.monotonic() + seconds
    try:
        while send_one(batch, rail) and time.monotonic() < until:
            pass
    except Refused as refusal:
        logger.info("Sending of %s pauses: %s", batch, refusal)


# --- one part -----------------------------------------------------------------------------------


def send_one(batch: Batch, rail: Rail, *, point: Callable[[str], None] = lambda name: None) -> bool:
    """Claim one part, call the rail once, write down what came of it. False when there was none to send."""
    point("before claim")
    claim = take(batch, rail)
    point("after claim")
    if claim is None:
        return False
    if not may_go(claim):
        logger.warning("%s was not sent: stopped, taken over, or too little of its lease was left.", claim.rail_key)
        return True  # it lapses, and is sent under the next lease
    outcome = rail.submit(claim.payload, claim.rail_key)
    point("after call")
    record(batch, claim, outcome, rail)
    point("after record")
    return True


def take(batch: Batch, rail: Rail) -> Claim | None:
    """
    In one transaction: nothing stops it, its approval stands, and the part is ours.

    A stop waits for this transaction, so once it is made nothing more passes; what is already on its way ends in a
    known state.
    """
    quarantine.refuse_unless_home()
    if rail.rail_class == RailClass.R2:  # what was never sent goes first: the rail is asked once only rest is left
        claim = _claim(batch, None)
        if claim is not None:
            return claim
    return _claim(batch, _may_send_again(batch, rail))


def _claim(batch: Batch, before: datetime | None) -> Claim | None:
    with transaction.atomic():
        stops.check(batch.case, batch.rail)
        with connection.cursor() as cursor:
            cursor.execute("SELECT statement_timestamp()")
            (now,) = cursor.fetchone()
            require_standing(batch, now)
            cursor.execute("SELECT id, part, fence FROM submission_claim(%s, %s, %s)", [batch.pk, LEASE_SECONDS, before])
            row = cursor.fetchone()
        if row is None:
            return None
        pk, part, fence = row
        key, payload = Submission.objects.values_list("rail_key", "payload").get(pk=pk)
    return Claim(pk, part, fence, key, bytes(payload))


def may_go(claim: Claim) -> bool:
    """
    The last look before the call, by the database's clock: still ours, time enough for a call, nothing stopped.

    A worker that slept between its claim and this line sends nothing; a stop is effective here, not at the next claim.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT submission_may_go(%s, %s, %s)", [claim.pk, claim.fence, CALL_SECONDS])
        return bool(cursor.fetchone()[0])


def _may_send_again(batch: Batch, rail: Rail) -> datetime | None:
    """
    Up to which instant a part whose outcome is unknown may have rested to be sent again; None: not at all.

    R1 and R4: the same bytes under the same key do no harm. R2: only what the rail, asked after the quiet period,
    does not know. R3: never by machine.
    """
    if rail.rail_class in (RailClass.R1, RailClass.R4):
        return db_now()
    if rail.rail_class == RailClass.R2 and rail.can_observe:
        asked_at = db_now()
        resting = batch.submissions.filter(state=SubmissionState.UNKNOWN, lease_until__lte=asked_at)
        if resting.exists():
            try:
                evidence.observe_now(batch.case, batch.rail)
            except RailDown as silence:
                logger.info("%s", silence)
                return None  # not asked: nothing is sent again, everything else is
            evidence.accept_what_was_seen(batch.case)
            return asked_at
    return None


def record(batch: Batch, claim: Claim, outcome: Outcome, rail: Rail) -> None:
    """Write the outcome down under the fence. A worker that lost its lease meanwhile writes nothing and goes on."""
    state, pause = SubmissionState.UNKNOWN, _pause(claim.fence, rail)
    if isinstance(outcome, Accepted | AlreadyKnown):
        state = SubmissionState.ACCEPTED
    elif isinstance(outcome, Rejected) and outcome.permanent:
        state = SubmissionState.REFUSED
    answer = {"outcome": type(outcome).__name__.lower(), **{k: _plain(v) for k, v in dataclasses.asdict(outcome).items()}}
    if isinstance(outcome, Unknown) and outcome.mismatch:
        stop_on_mismatch(batch, claim.rail_key, outcome.reason)
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT submission_record(%s, %s, %s, %s::jsonb, %s)",
                    [claim.pk, claim.fence, state, json.dumps(answer), pause],
                )
            at = db_now()
            if state == SubmissionState.REFUSED:
                let_go(batch, claim.part, AttemptState.REFUSED, reason=str(answer.get("code", "")), by=None, at=at)
            if state == SubmissionState.UNKNOWN and rail.rail_class == RailClass.R3:
                doubt_attempts(batch, [claim.part])
            log.append(
                batch.case, f"submission.{state}", subject=("submission", claim.rail_key), by=None, at=at,
                body={"batch": batch.reference, "part": claim.part, "fence": claim.fence, "answer": answer},
            )  # fmt: skip
    except OperationalError as trouble:
        if "stale fence" not in str(trouble):
            raise
        logger.warning("%s was taken over while it was being sent; the later worker's word counts.", claim.rail_key)


@transaction.atomic
def stop_on_mismatch(batch: Batch, rail_key: str, reason: str) -> None:
    """The rail holds something else under our key than what we sent: nothing more leaves on it until people have looked."""
    if batch.case.stops.filter(rail__in=["", batch.rail], lifted_at__isnull=True).exists():
        return
    at = db_now()
    said = gettext_noop("%(part)s: the rail holds something else under our key than what we sent (%(reason)s).")
    made = stops.put(batch.case, reason=said, words={"part": rail_key, "reason": reason}, by=None, at=at, rail=batch.rail)
    log.append(batch.case, "stop.made", subject=made, by=None, at=at, body={"rail": batch.rail, "reason": made.reason})


@transaction.atomic
def lapse(batch: Batch, rail: Rail) -> int:
    """
    Parts whose worker was killed, or sleeps past its lease: their outcome is unknown, by the database's clock.

    The last call under a lease may have begun just before it ended, so the quiet period counts from that end.
    """
    quiet = 0 if rail.rail_class == RailClass.R1 else int(rail.quiet_period.total_seconds()) + 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT part, rail_key, fence FROM submission_lapse(%s, %s) ORDER BY part", [batch.pk, quiet])
        lapsed = cursor.fetchall()
    if not lapsed:
        return 0
    if rail.rail_class == RailClass.R3:
        doubt_attempts(batch, [part for part, _key, _fence in lapsed])
    log.append(
        batch.case, "submission.lapsed", subject=batch, by=None, at=db_now(),
        body={"batch": batch.reference, "parts": [{"key": key, "fence": fence} for _part, key, fence in lapsed]},
    )  # fmt: skip
    return len(lapsed)


def lapse_all() -> int:
    """The janitor's round: every lease that lapsed, whatever stops its batch and whether or not a job stands behind it."""
    batches_in_hand = Batch.objects.filter(submissions__state=SubmissionState.SUBMITTING).distinct().select_related("case")
    return sum(lapse(batch, routes.rail(batch.rail)) for batch in batches_in_hand)


def doubt_attempts(batch: Batch, parts: list[int]) -> None:
    """On a rail that can be asked nothing, what became of these parts' returns is for people to find out."""
    Attempt.objects.filter(batch=batch, part__in=parts, state=AttemptState.PENDING).update(state=AttemptState.UNKNOWN)


LET_GO = """
WITH gone AS (
    UPDATE returns_attempt SET state = %(state)s, holds_return_id = NULL, reason_code = %(reason)s
    WHERE batch_id = %(batch)s AND part = %(part)s AND state IN ('pending', 'unknown')
    RETURNING asset_return_id
)
SELECT r.id, r.claim_line_id, r.amount FROM returns_assetreturn r JOIN gone g ON g.asset_return_id = r.id
"""


def let_go(batch: Batch, part: int, state: str, *, reason: str, by: User | None, at: datetime) -> int:
    """A whole part was refused or is dead: its attempts let go of their returns, which are scheduled again."""
    with connection.cursor() as cursor:
        cursor.execute(LET_GO, {"state": state, "reason": reason, "batch": batch.pk, "part": part})
        rows = cursor.fetchall()
        cursor.execute(
            """UPDATE returns_assetreturn SET state = %s, batch_id = NULL, part = NULL, tries = tries + 1
               WHERE id = ANY (%s) AND state = %s""",
            [ReturnState.SCHEDULED, [row[0] for row in rows], ReturnState.BATCHED],
        )
    sums: dict[int, int] = {}
    for _pk, line, amount in rows:
        sums[line] = sums.get(line, 0) + int(amount)
    pairs = sorted(sums.items())
    for start in range(0, len(pairs), positions.ROWS_MAX):
        positions.move(
            batch.case, "void", key=f"void:{batch.reference}:{part}" + (f":{start}" if start else ""),
            rows=pairs[start : start + positions.ROWS_MAX], subject=("batch", batch.reference), by=by, at=at,
        )  # fmt: skip
    return len(rows)


def require_standing(batch: Batch, at: datetime) -> None:
    """The approval of the batch, or the successor's word on it, stands at this instant."""
    assert batch.manifest_sha256 is not None
    approvals.require(batch.case, batches.ACT, batch.pk, content_sha256=bytes(batch.manifest_sha256), at=at)


def stands(batch: Batch, at: datetime) -> bool:
    """Whether anything of the batch may still be sent. A successor may have turned it down."""
    try:
        require_standing(batch, at)
    except Refused:
        return False
    return True


def _pause(fence: int, rail: Rail) -> int:
    """How long an unknown outcome rests: longer each time; never shorter than the rail's quiet period where that counts."""
    pause = PAUSES[min(fence, len(PAUSES)) - 1]
    return pause if rail.rail_class == RailClass.R1 else max(pause, int(rail.quiet_period.total_seconds()) + 1)


def _left(batch: Batch) -> tuple[int, int, int, int]:
    """Parts not yet sent or being sent, parts that are unknown, returns that are out, the most calls of an unknown part."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FILTER (WHERE state IN ('prepared', 'signed', 'submitting')),
                      count(*) FILTER (WHERE state = 'unknown'),
                      coalesce(sum(items) FILTER (WHERE state NOT IN ('prepared', 'signed', 'submitting', 'unknown')), 0),
                      coalesce(max(tries) FILTER (WHERE state = 'unknown'), 0)
               FROM returns_submission WHERE batch_id = %s""",
            [batch.pk],
        )
        open_parts, resting, sent, worst = cursor.fetchone()
    return int(open_parts), int(resting), int(sent), int(worst)


@transaction.atomic
def _all_out(batch: Batch) -> None:
    """Every part has left the house and was answered for: the batch settles."""
    moved = Batch.objects.filter(pk=batch.pk, state=BatchState.EXPORTED).update(state=BatchState.SETTLING)
    if moved:
        log.append(
            batch.case, "batch.submitted", subject=batch, by=None, at=db_now(), body={"reference": batch.reference}
        )


def _ring_helpers(batch_id: int) -> None:
    """More hands, if there are any. Nobody need hear this: the job sends alone as well."""
    try:
        for _n in range(HELPERS):
            current_app.send_task(TASK, args=[batch_id], expires=60, retry=False)
    except (BrokerError, OSError) as trouble:
        logger.warning("The doorbell did not ring for %s (%s).", batch_id, trouble)


def is_being_sent(batch: Batch) -> bool:
    return Job.objects.filter(kind=JOB, subject_id=batch.pk, state=JobState.WAITING).exists()


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool) else str(value)


