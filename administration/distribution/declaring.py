"""
Declaring an approved run: positions and books take on what it says, in chunks of claim lines.

A line gets what was approved, but never more than its claim covers at that moment: a decision may have
lowered it since the signatures. From a lowered claim the part above its share is taken back, as far as it has
not left the house. Whatever stops a declaration, another job goes on where it stopped: no line is given anything twice.

    NotStopped      the declaration of the run did not fail, so there is nothing to go on with
"""

from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.cases import appointments, approvals
from administration.cases.models import ApprovalRequest
from administration.distribution import runs
from administration.distribution.models import Run, RunState
from administration.errors import Refused
from administration.people.models import User
from administration.record import covers, log
from administration.work import jobs
from administration.work.jobs import Progress
from administration.work.models import Job, JobState
from claims.register import positions

DECLARE = "distribution.declare"
COVER = "distribution.declared"
COVERED = """
SELECT a.code::text AS asset, c.number::text AS claim, l.claim_class::text AS class, e.amount::text AS amount
FROM distribution_entitlement e
JOIN register_claimline l ON l.id = e.claim_line_id
JOIN register_claim c ON c.id = l.claim_id
JOIN books_asset a ON a.id = e.asset_id
WHERE e.run_id = %(run)s::bigint AND e.amount > 0
ORDER BY a.code COLLATE "C", c.number COLLATE "C", l.claim_class COLLATE "C"
"""

# The next lines of each pass; every table is told where they begin, or each chunk would read it from its first row. First
# what lowered claims hold too much goes back, as far as it is still here, for others
# may be given just that; then everyone gets what was approved, capped by what their claim covers now.
PASSES = ("withdraw", "declare")
OF_PASS = {"withdraw": "e.given > greatest(e.kept, e.cumulative)", "declare": "e.amount > 0"}
NEXT = """
SELECT e.claim_line_id FROM distribution_entitlement e
WHERE e.run_id = %(run)s AND e.claim_line_id > %(after)s AND {of_pass} ORDER BY e.claim_line_id LIMIT %(chunk)s"""
CHUNK = {
    "withdraw": f"""
SELECT e.claim_line_id, greatest(0, p.given - greatest(
    e.kept, e.cumulative, p.scheduled + p.in_flight + p.settled + p.deposited))
FROM distribution_entitlement e
JOIN register_position p ON p.claim_line_id = e.claim_line_id AND p.claim_line_id > %(after)s
WHERE e.run_id = %(run)s AND e.claim_line_id > %(after)s AND {OF_PASS["withdraw"]}
ORDER BY e.claim_line_id LIMIT %(chunk)s""",  # noqa: S608 - constants above
    "declare": f"""
SELECT e.claim_line_id, least(e.amount, greatest(0, l.admitted + l.converted_in - l.converted_out - p.given))
FROM distribution_entitlement e
JOIN register_claimline l ON l.id = e.claim_line_id AND l.id > %(after)s
JOIN register_position p ON p.claim_line_id = e.claim_line_id AND p.claim_line_id > %(after)s
WHERE e.run_id = %(run)s AND e.claim_line_id > %(after)s AND {OF_PASS["declare"]}
ORDER BY e.claim_line_id LIMIT %(chunk)s""",  # noqa: S608 - constants above
}


class NotStopped(Refused):
    """A declaration is gone on with only after it failed."""


def after(request: ApprovalRequest, by: User, at: datetime) -> Job:
    """After the last signature: the run is approved, and its declaration begins."""
    run = Run.objects.select_related("case").get(pk=request.object_id)
    moved = Run.objects.filter(pk=run.pk, state=RunState.COMPUTED).update(state=RunState.APPROVED)
    if moved != 1:
        raise runs.NotComputed(
            _("Run %(run)s is %(state)s. Only a computed run can be approved.")
            % {"run": run.number, "state": run.get_state_display().lower()}
        )
    return begin(run, at=at)


def begin(run: Run, *, at: datetime) -> Job:
    return jobs.start(run.case, DECLARE, run.pk, total=run.entitlement_count, params={"at": at.isoformat()})


def resumed(request: ApprovalRequest, by: User, at: datetime) -> Job | None:
    """The successor stands by the run: its declaration goes on where it stopped."""
    run = Run.objects.select_related("case").get(pk=request.object_id)
    return begin(run, at=at) if run.state == RunState.APPROVED else None


def failed(run: Run) -> Job | None:
    """The job that failed to declare an approved run, while no other goes on."""
    newest = Job.objects.filter(kind=DECLARE, subject_id=run.pk).order_by("-pk").first()
    stopped = run.state == RunState.APPROVED and newest is not None and newest.state == JobState.FAILED
    return newest if stopped else None


@transaction.atomic
def go_on(run: Run, *, by: User, at: datetime) -> Job:
    """Go on with a declaration that failed, once what stood in its way is mended: from where it stopped."""
    appointments.require(run.case, by, "distribution.plan", at=at)
    run = Run.objects.select_for_update(of=("self",), no_key=True).select_related("case").get(pk=run.pk)
    stopped = failed(run)  # after the lock: of two who press at once, one finds the other's job
    if stopped is None:
        raise NotStopped(
            _("There is no failed declaration of run %(run)s to go on with. Reload it and look again.") % {"run": run.number}
        )
    approvals.require(run.case, runs.ACT, run.pk, content_sha256=runs.content(run.pk), at=at)
    job = begin(run, at=at)
    log.append(
        run.case, "run.declaring_resumed", subject=run, by=by, at=at, body={"run": run.number, "error": stopped.error}
    )  # fmt: skip
    return job


@transaction.atomic
def declined(request: ApprovalRequest, by: User, at: datetime) -> None:
    """The successor does not: what was declared stands, the rest is not declared any more."""
    run = Run.objects.select_related("case").get(pk=request.object_id)
    if run.state != RunState.APPROVED:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT distribution_moved_lines(%s)", [run.pk])
        (moved,) = cursor.fetchone()
    state = RunState.DECLARED if moved else RunState.WITHDRAWN
    Run.objects.filter(pk=run.pk, state=RunState.APPROVED).update(state=state)
    log.append(run.case, f"run.{state}", subject=run, by=by, at=at, body={"run": run.number, "declined": "yes"})


def is_live(run_id: int) -> bool:
    """Could the approved run still move something?"""
    return Run.objects.filter(pk=run_id, state=RunState.APPROVED).exists()


def find(text: str) -> int | None:
    """The run a person means by "2027-031-R2"."""
    reference, dash, number = text.rpartition("-R")
    if not dash or not number.isdecimal():
        return None
    return Run.objects.filter(case__reference=reference, number=int(number)).values_list("pk", flat=True).first()


def step(job: Job) -> Progress:
    """Declare the next lines; one transaction with the job's cursor. The last step closes the run."""
    run = Run.objects.select_related("case", "computed_by").get(pk=job.subject_id)
    at = datetime.fromisoformat(job.params["at"])
    if run.state != RunState.APPROVED:
        return Progress(job.cursor, job.done, "declared", True, {"run": run.number, "state": run.state})
    approvals.require(run.case, runs.ACT, run.pk, content_sha256=runs.content(run.pk), at=at)
    came = job if job.cursor else jobs.before(job) or job
    kind, chunk, after_line = (came.cursor or "withdraw:0:0").split(":")
    given = {"run": run.pk, "after": int(after_line), "chunk": positions.ROWS_MAX}
    lines = []
    with connection.cursor() as cursor:
        cursor.execute(NEXT.format(of_pass=OF_PASS[kind]), given)
        if found := [line for (line,) in cursor.fetchall()]:
            # Positions first, figures after: whoever decides or schedules one of these lines was before us, or waits for us.
            positions.lock(found)
            cursor.execute(CHUNK[kind], given)
            lines = cursor.fetchall()
    if lines:
        rows = [(line, int(units)) for line, units in lines if units > 0]
        if rows:
            key, subject = f"{kind}:{run.pk}:{chunk}", ("run", run.pk)
            positions.move(run.case, kind, key=key, rows=rows, subject=subject, by=None, at=at)
        return Progress(f"{kind}:{int(chunk) + 1}:{lines[-1][0]}", came.done + len(lines), kind)
    if kind != PASSES[-1]:
        return Progress("declare:0:0", came.done, "declare")
    _close(run, at=at)
    return Progress(came.cursor, came.done, "declared", True, {"run": run.number, "state": run.state}, total=came.done)


# What the books took on: where claims were lowered meanwhile it is less than the run says.
MOVED = """
SELECT e.kind, a.code, sum(p.amount)
FROM books_entry e
JOIN books_posting p ON p.entry_id = e.id AND p.side = 'D'
JOIN books_asset a ON a.id = p.asset_id
WHERE e.case_id = %s AND e.kind IN ('declare', 'withdraw') AND e.subject_kind = 'run' AND e.subject_id = %s
GROUP BY e.kind, a.code ORDER BY e.kind, a.code
"""


def _close(run: Run, *, at: datetime) -> None:
    Run.objects.filter(pk=run.pk, state=RunState.APPROVED).update(state=RunState.DECLARED)
    run.refresh_from_db()
    moved: dict[str, dict[str, int]] = {kind: {} for kind in PASSES}
    with connection.cursor() as cursor:
        cursor.execute(MOVED, [run.case_id, str(run.pk)])
        for kind, asset, units in cursor.fetchall():
            moved[kind][asset] = int(units)
    log.append(
        run.case, "run.declared", subject=run, by=None, at=at,
        body={"run": run.number, "outputs_root": bytes(run.outputs_root or b"").hex(), **moved},
        covers=covers.cover(COVER, run=run.pk),
    )  # fmt: skip
