"""
Jobs: long work in chunks that any worker resumes and that, done twice, changes nothing.

Whoever takes a job raises its fence and holds a session lock on it. A killed worker's connection
closes, the lock is free, and the next worker takes the job at once. A worker that only paused keeps
the lock; its job is taken when the lease has lapsed, and the fence rolls its late chunk back.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _

from administration.cases.models import Case
from administration.errors import Refused
from administration.fields import ClockTimestamp
from administration.work import bell
from administration.work.models import Job, JobState

log = logging.getLogger(__name__)

LEASE_SECONDS = 300  # longer than any chunk: a paused worker's job is taken only after this
TRIES_MAX = 5
LOCK_CLASS = 0x48454E4B  # "HENK": our class of advisory locks


@dataclass(frozen=True, slots=True)
class Progress:
    """
    What a chunk reports: where the next one begins, how many rows are done, and whether that was all.

    `rests`: nothing can be done at this moment (a rail's quiet period lasts). The worker turns to other work, and the
    job is rung for again by the beat.
    """

    cursor: str
    done: int
    phase: str = ""
    finished: bool = False
    result: dict[str, Any] | None = None
    total: int | None = None
    rests: bool = False


Step = Callable[[Job], Progress]
_steps: dict[str, tuple[Step, bool]] = {}


class JobFailed(Refused):
    """A job ended without doing its work; its error says why."""


class LostLease(Exception):
    """Another worker took the job over while this one paused; its chunk was rolled back."""


def register(kind: str, step: Step, *, atomic: bool = True) -> None:
    """
    Say which step does the chunks of a kind of job. Called in AppConfig.ready().

    With `atomic` the step and the cursor commit together. Without it the step makes its own
    transactions (it calls out of the house) and must bear being done again from the same cursor.
    """
    _steps[kind] = (step, atomic)


@transaction.atomic
def start(
    case: Case | None, kind: str, subject_id: int, *, total: int = 0, params: dict[str, Any] | None = None
) -> Job:
    """Start a job, or find the one already waiting for this subject, and ring for it on commit."""
    if kind not in _steps:
        raise LookupError(f"No step is registered for jobs of kind {kind!r}.")
    job: Job | None = None
    while job is None:  # the one that was waiting may have ended between the two statements: then there is room for a new one
        Job.objects.bulk_create(
            [Job(case=case, kind=kind, subject_id=subject_id, total=total, params=params or {})], ignore_conflicts=True
        )
        job = Job.objects.filter(kind=kind, subject_id=subject_id, state=JobState.WAITING).first()
    bell.ring(job.pk)
    return job


def before(job: Job) -> Job | None:
    """
    The newest earlier job of this kind and subject that came anywhere: where a new one goes on after a failure.

    One that failed in its first chunk came nowhere; where it had begun, the one before it says.
    """
    earlier = Job.objects.filter(kind=job.kind, subject_id=job.subject_id, pk__lt=job.pk).exclude(cursor="")
    return earlier.order_by("-pk").first()


def advance(job_id: int, *, seconds: float = 60.0) -> bool:
    """Do chunks of a job for about so long. False when there was nothing to take: it ended, or another has it."""
    job = _take(job_id)
    if job is None:
        return False
    until = time.monotonic() + seconds  # how long we stay, not when anything is due
    rests = False
    try:
        while job.state == JobState.WAITING and not rests and time.monotonic() < until:
            rests = _chunk(job)
    except LostLease:
        log.warning("Job %s was taken over by another worker; this chunk was rolled back.", job_id)
    finally:
        _let_go(job)
    if job.state == JobState.WAITING and not rests:
        bell.ring(job.pk)
    return True


def wait(job: Job, *, progress: Callable[[Job], None] | None = None, work_too: bool = True) -> Job:
    """
    Wait until a job is done, working on it when no worker does. Raises JobFailed with the job's own sentence.

    `progress` is called with the fresh row several times a second. With `work_too` false only workers work.
    """
    work_too = work_too and settings.WORK_WHILE_WAITING
    left_at: str | None = None  # where we took it up last, if we had it last
    while True:
        job.refresh_from_db()
        if progress is not None:
            progress(job)
        if job.state == JobState.FAILED:
            raise JobFailed(job.error)
        if job.state == JobState.DONE:
            return job
        # Nobody came for it a moment ago, and it moves: there is no need to see again whether somebody comes.
        if work_too and (left_at not in (None, job.cursor) or _is_quiet(job.pk)):
            left_at = job.cursor if advance(job.pk, seconds=2.0) else None
        else:
            left_at = None
            time.sleep(0.05)


def due() -> list[int]:
    """Waiting jobs that nobody has touched for a moment: to ring for."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id FROM work_job WHERE state = 'waiting'
               AND coalesce(beat_at, started_at) < clock_timestamp() - interval '1 second' ORDER BY id LIMIT 100"""
        )
        return [row[0] for row in cursor.fetchall()]


def _is_quiet(job_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(beat_at, started_at) < clock_timestamp() - make_interval(secs => %s)"
            " FROM work_job WHERE id = %s",
            [settings.WORK_QUIET_SECONDS, job_id],
        )
        row = cursor.fetchone()
    return bool(row and row[0])


def _take(job_id: int) -> Job | None:
    """Take a waiting job if its last worker is gone (its lock is free) or its lease has lapsed; raise its fence."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, _lock_number(job_id)])
        (locked,) = cursor.fetchone()
        cursor.execute(
            """UPDATE work_job SET fence = fence + 1, beat_at = clock_timestamp(),
                      lease_until = clock_timestamp() + make_interval(secs => %s)
               WHERE id = %s AND state = 'waiting'
                 AND (%s OR coalesce(lease_until, started_at + make_interval(secs => %s)) < clock_timestamp())
               RETURNING id""",
            [LEASE_SECONDS, job_id, locked, LEASE_SECONDS],
        )
        taken = cursor.fetchone() is not None
        if locked and not taken:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_CLASS, _lock_number(job_id)])
    return Job.objects.get(pk=job_id) if taken else None


def _chunk(job: Job) -> bool:
    """
    One chunk, committed with its cursor; a refusal ends the job, anything else is tried again a few times.

    True when the job rests.
    """
    step, atomic = _steps[job.kind]
    try:
        if atomic:
            with transaction.atomic():
                progress = step(job)
                _advance_to(job, progress)
        else:
            progress = step(job)
            _advance_to(job, progress)
        return progress.rests
    except Refused as refusal:
        _fail(job, str(refusal))
    except LostLease:
        raise
    except Exception as trouble:  # whatever it is, the chunk was rolled back: try again, then say so and stop
        if isinstance(trouble, DatabaseError) and not connection.is_usable():
            raise
        log.exception("A chunk of job %s (%s) failed.", job.pk, job.kind)
        if job.tries + 1 >= TRIES_MAX:
            _fail(job, _("%(kind)s failed %(tries)d times: %(trouble)s") % {
                "kind": job.kind, "tries": TRIES_MAX, "trouble": f"{type(trouble).__name__}: {trouble}"})
            return False
        job.tries += 1
        _guarded(job, tries=job.tries, error=str(trouble))
        time.sleep(0.2 * job.tries)
    return False


def _advance_to(job: Job, progress: Progress) -> None:
    job.cursor, job.done, job.phase, job.tries = progress.cursor, progress.done, progress.phase, 0
    if progress.total is not None:
        job.total = progress.total
    changes: dict[str, Any] = {}
    if progress.finished:
        job.state = JobState.DONE
        changes = {"state": JobState.DONE, "finished_at": ClockTimestamp(), "result": progress.result}
    _guarded(job, cursor=job.cursor, done=job.done, total=job.total, phase=job.phase, tries=0, **changes)


def _fail(job: Job, error: str) -> None:
    _guarded(job, state=JobState.FAILED, error=error, finished_at=ClockTimestamp())
    job.state, job.error = JobState.FAILED, error


def _guarded(job: Job, **changes: Any) -> None:
    """Change the job's row only while the fence is still ours."""
    lease = RawSQL("clock_timestamp() + make_interval(secs => %s)", [LEASE_SECONDS])
    ours = Job.objects.filter(pk=job.pk, fence=job.fence, state=JobState.WAITING)
    if ours.update(beat_at=ClockTimestamp(), lease_until=lease, **changes) != 1:
        raise LostLease


def _let_go(job: Job) -> None:
    """
    Free the lock, then the lease. If the connection is gone, so is the lock.

    In the other order somebody could take the job by its empty lease without the lock, and lose it to a third.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_CLASS, _lock_number(job.pk)])
        Job.objects.filter(pk=job.pk, fence=job.fence).update(lease_until=None)
    except DatabaseError:
        log.warning("Job %s was let go by losing its connection.", job.pk)


def _lock_number(job_id: int) -> int:
    return job_id % 2**31
