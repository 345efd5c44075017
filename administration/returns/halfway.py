"""
A batch whose export stopped half-way: some of its parts are made, the others are not, and nothing of it was ever sent.

As a rule its export goes on from where it stopped. Where it cannot (the rail is another version by now, the successor does
not want it), the batch is given up whole: what was made is dead, every return is scheduled again.
"""

from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.cases import appointments
from administration.fields import numbers
from administration.people.models import User
from administration.record import log
from administration.returns import batches
from administration.returns.models import Batch, BatchState
from administration.work.models import Job, JobState
from claims.register import positions

JOB = "returns.export"

PARTS = "SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM returns_submission WHERE batch_id = %s"

LET_GO = """
WITH gone AS (
    UPDATE returns_attempt SET state = 'dead', holds_return_id = NULL, reason_code = 'declined'
    WHERE batch_id = %s AND state = 'pending' RETURNING asset_return_id
)
SELECT r.id, r.claim_line_id, r.amount FROM returns_assetreturn r JOIN gone g ON g.asset_return_id = r.id
"""

AGAIN = """
UPDATE returns_assetreturn SET state = 'scheduled', batch_id = NULL, part = NULL,
    tries = tries + CASE WHEN id = ANY (%s::bigint[]) THEN 1 ELSE 0 END
WHERE batch_id = %s AND state = 'batched'
"""


@transaction.atomic
def void(batch: Batch, *, reason: str, by: User, at: datetime) -> Batch:
    """Give up a batch whose export stopped half-way. Everything in it is scheduled again."""
    appointments.require(batch.case, by, "returns.batch", at=at)
    return give_up(batch, reason=reason, by=by, at=at)


def is_one(batch: Batch) -> bool:
    """Something of it is made, and it is not exported."""
    return batch.state == BatchState.APPROVED and batch.attempts.exists()


def goes_on(batch: Batch) -> bool:
    """Its export is still at work, or waits for a worker."""
    return Job.objects.filter(kind=JOB, subject_id=batch.pk, state=JobState.WAITING).exists()


def give_up(batch: Batch, *, reason: str, by: User, at: datetime) -> Batch:
    """The rows of voiding, and the event. An export that still runs waits for this, and then finds no approved batch."""
    batch = Batch.objects.select_for_update(no_key=True, of=("self",)).select_related("case").get(pk=batch.pk)
    if not is_one(batch):
        raise batches.NotVoided(
            _("%(batch)s is %(state)s: what has begun to leave the house cannot be voided. Wait for its evidence.")
            % {"batch": batch, "state": batch.get_state_display().lower()}
        )
    with connection.cursor() as cursor:
        cursor.execute(PARTS, [batch.pk])
        (made,) = cursor.fetchone()
        cursor.execute("SELECT submission_step(%s::bigint[], 'prepared', 'dead')", [numbers(made)])
        cursor.execute(LET_GO, [batch.pk])
        rows = cursor.fetchall()
    _free(batch, [(line, int(amount)) for _pk, line, amount in rows], by=by, at=at)
    Batch.objects.filter(pk=batch.pk, state=BatchState.APPROVED).update(state=BatchState.VOIDED)
    with connection.cursor() as cursor:
        cursor.execute(AGAIN, [numbers(row[0] for row in rows), batch.pk])
        again = int(cursor.rowcount)
    batch.conflict_keys.filter(released_at__isnull=True).update(released_at=at)
    batch.refresh_from_db()
    log.append(
        batch.case, "batch.voided", subject=batch, by=by, at=at,
        body={"reference": batch.reference, "reason": reason, "parts_made": len(made), "tried": len(rows), "returns": again},
    )  # fmt: skip
    return batch


def _free(batch: Batch, rows: list[tuple[int, int]], *, by: User, at: datetime) -> None:
    """What counted as on its way is owed again. Positions before the books: all are held still before the first move."""
    sums: dict[int, int] = {}
    for line, amount in rows:
        sums[line] = sums.get(line, 0) + amount
    pairs = sorted(sums.items())
    positions.lock(line for line, _amount in pairs)
    for start in range(0, len(pairs), positions.ROWS_MAX):
        positions.move(
            batch.case, "void", key=f"void:{batch.reference}:whole" + (f":{start}" if start else ""),
            rows=pairs[start : start + positions.ROWS_MAX], subject=("batch", batch.reference), by=by, at=at,
        )  # fmt: skip
