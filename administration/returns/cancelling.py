"""
A round taken back: everything of it that waits in no batch, set-based, chunk by chunk; and planned anew.

    NotCancelled   nothing of the round was taken back
"""

from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.cases import appointments
from administration.errors import Refused
from administration.people.models import User
from administration.record import covers, log
from administration.returns import rounds, steering, unexplained
from administration.returns.models import Cancellation, ReturnState, Round
from administration.work import jobs
from administration.work.jobs import Progress
from administration.work.models import Job
from claims.register import positions

JOB = "returns.cancel"
CHUNK = 5_000
ANEW = "anew"  # the cursor when everything is taken back


class NotCancelled(Refused):
    """The round is as it was."""


NEXT = """
SELECT id, claim_line_id FROM returns_assetreturn
WHERE round_id = %(round)s AND case_id = %(case)s AND id > %(after)s AND state IN ('scheduled', 'held')
  AND claim_line_id NOT IN (SELECT p.claim_line_id FROM returns_said_paid p)  -- said since: it stays and can be corrected
ORDER BY id LIMIT %(chunk)s
"""
TAKE_BACK = """
WITH waiting AS (
    SELECT id FROM returns_assetreturn WHERE id = ANY (%(ids)s) AND state IN ('scheduled', 'held') ORDER BY id FOR NO KEY UPDATE
)
UPDATE returns_assetreturn r SET state = 'cancelled', cancellation_id = %(cancellation)s
FROM waiting WHERE r.id = waiting.id
RETURNING r.claim_line_id, r.amount
"""


@transaction.atomic
def cancel(
    current: Round, *, reason: str, by: User, at: datetime, anew: dict[str, Any] | None = None
) -> Job:
    """
    Take back everything of the round that waits in no batch: the amounts stay with their claims.

    `anew` is a plan for a new round of the same run, as rounds.schedule takes it: it is scheduled when the last one is
    taken back.
    """
    case = steering.held_still(current)
    appointments.require(case, by, "returns.schedule", at=at)
    if not reason.strip():
        raise NotCancelled(_("Say why round %(round)s is taken back.") % {"round": current.number})
    if current.scheduled_at is None:
        raise NotCancelled(_("Round %(round)s is not scheduled to its end. Wait until it is.") % {"round": current.number})
    waiting = current.returns.filter(state__in=[ReturnState.SCHEDULED, ReturnState.HELD]).count()
    made = current.cancellations.filter(done_at__isnull=True).first()  # one that failed before its end goes on
    if not waiting and made is None:
        raise NotCancelled(_("Nothing of round %(round)s waits in no batch.") % {"round": current.number})
    said_paid = unexplained.why_not_the_round(current) if made is None else ""
    if said_paid:
        raise NotCancelled(said_paid)
    if made is None:
        plan = rounds.as_plan(case, anew, at=at) if anew is not None else None
        made = Cancellation.objects.create(round=current, reason=reason, anew=plan, by=by, at=at)
        log.append(
            case, "round.cancelling", subject=current, by=by, at=at,
            body={"number": current.number, "reason": reason, "anew": "yes" if plan else "no"},
        )  # fmt: skip
    return jobs.start(case, JOB, made.pk, total=waiting, params={"by": by.pk, "at": at.isoformat()})


def step(job: Job) -> Progress:
    """
    The next returns in the order of their rows: their positions with them, in one transaction with the cursor.

    Positions are locked first, as a decision that lowers a claim does; what was decided meanwhile is left as it is.
    """
    made = Cancellation.objects.select_related("round__case", "round__run", "by").get(pk=job.subject_id)
    current, case, by = made.round, made.round.case, made.by
    at = datetime.fromisoformat(job.params["at"])
    if job.cursor == ANEW:
        return _plan_anew(job, made, at=at)
    with connection.cursor() as cursor:
        cursor.execute(
            NEXT, {"case": case.pk, "round": current.pk, "after": int(job.cursor or "0"), "chunk": CHUNK}
        )
        rows = cursor.fetchall()
        positions.lock(line for _pk, line in rows)
        cursor.execute(TAKE_BACK, {"cancellation": made.pk, "ids": [pk for pk, _line in rows]})
        taken = cursor.fetchall()
    if taken:
        sums: dict[int, int] = {}
        for line, amount in taken:
            sums[line] = sums.get(line, 0) + int(amount)
        positions.move(
            case, "unschedule", key=f"cancel:{made.pk}:{rows[0][0]}-{rows[-1][0]}", rows=sorted(sums.items()),
            subject=("round", current.number), by=by, at=at,
        )  # fmt: skip
    done = job.done + len(taken)
    if len(rows) == CHUNK:
        return Progress(str(rows[-1][0]), done, "taking back")

    Cancellation.objects.filter(pk=made.pk, done_at__isnull=True).update(done_at=at)
    cover = covers.cover("returns.cancelled", cancellation=made.pk)
    log.append(
        case, "round.cancelled", subject=current, by=by, at=at, covers=cover,
        body={"number": current.number, "reason": made.reason},
    )  # fmt: skip
    if made.anew is not None:
        return Progress(ANEW, done, "taken back")
    return Progress(ANEW, done, "taken back", finished=True, result=_result(made, cover))


def _plan_anew(job: Job, made: Cancellation, *, at: datetime) -> Progress:
    """
    What was taken back is scheduled again, in a transaction of its own.

    Scheduling takes the case's lock, which comes before those of positions; and where it is refused, what was taken back
    stays taken back, and the round is planned by hand.
    """
    assert made.anew is not None
    current = made.round
    result = _result(made, covers.cover("returns.cancelled", cancellation=made.pk))
    result["job"] = rounds.schedule(current.case, current.run, by=made.by, at=at, **rounds.from_plan(made.anew)).pk
    return Progress(ANEW, job.done, "taken back", finished=True, result=result)


def _result(made: Cancellation, cover: covers.Cover) -> dict[str, Any]:
    sums = {asset: str(units) for asset, units in cover.sums.items()}
    return {"round": made.round.number, "count": cover.count, "totals": sums}
