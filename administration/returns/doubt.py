"""
Doubt that no machine can end: a part went out, or may have, on a rail that can be asked nothing.

Evidence that it was paid settles it as any evidence does. That it was not paid is a person's finding, from a statement
that covers the whole time in which it could have been: two people sign it, bound to that paper, and the part is dead.

    StillInDoubt   it is too early to say, or the rail has spoken
"""

import json
from datetime import datetime

from django.db import connection
from django.utils.translation import gettext as _

from administration.cases import archive
from administration.errors import Refused
from administration.fields import db_now
from administration.people.models import User
from administration.rails.interface import Observation, ObservationKind
from administration.record import covers, log
from administration.returns import evidence, settlement, statements
from administration.returns.models import (
    Attempt,
    AttemptState,
    Correction,
    Evidence,
    EvidenceLine,
    Submission,
    SubmissionState,
)

STEP = (SubmissionState.UNKNOWN.value, SubmissionState.DEAD.value)

MATCHES = """
INSERT INTO returns_match (line_id, attempt_id, amount)
SELECT l.id, t.id, l.amount FROM returns_evidenceline l
JOIN returns_assetreturn r ON r.case_id = l.case_id AND r.reference = l.reference
JOIN returns_attempt t ON t.holds_return_id = r.id
WHERE l.evidence_id = %s AND t.batch_id = %s AND t.part = %s ORDER BY l.id
RETURNING id, attempt_id
"""


class StillInDoubt(Refused):
    """Nobody can say yet that a part was not paid."""


def refuse_unless_in_doubt(part: Submission, *, at: datetime) -> None:
    """The outcome is unknown, its quiet period is over by the database's clock, and no line speaks of the part."""
    if part.state != SubmissionState.UNKNOWN:
        raise StillInDoubt(
            _("The outcome of %(part)s is not unknown (%(state)s). Nothing is to be declared.")
            % {"part": part.rail_key, "state": part.get_state_display().lower()}
        )
    if part.lease_until and part.lease_until > db_now():
        raise StillInDoubt(
            _("%(part)s may still be on its way until %(at)s. Look at the statement after that.")
            % {"part": part.rail_key, "at": part.lease_until.isoformat(timespec="seconds")}
        )
    if part.batch.rail == statements.CODE and statements.speak_of(part):
        raise StillInDoubt(
            _("A line of the bank's statement has the sum of %(part)s, or brings back one of its returns. Settle; then "
              "decide the line if it waits for an answer. Not paid can only be what no line speaks of.")
            % {"part": part.rail_key}
        )  # fmt: skip
    if EvidenceLine.objects.filter(case=part.batch.case, part=part.rail_key).exists():
        raise StillInDoubt(_("The rail has spoken of %(part)s. Settle; its evidence decides.") % {"part": part.rail_key})


def declare_dead(made: Correction, *, by: User, at: datetime) -> int:
    """
    With the last signature: the finding becomes evidence, the attempts let go of their returns, the part is dead.

    Gives 0 when the part was taken up meanwhile; the caller then undoes everything.
    """
    part = Submission.objects.select_related("batch__case").get(pk=made.object_id)
    batch, case = part.batch, part.batch.case
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('returns.evidence', %s))", [case.pk])
    part.refresh_from_db(fields=["state", "lease_until"])
    refuse_unless_in_doubt(part, at=at)
    attempts = list(
        Attempt.objects.filter(batch=batch, part=part.part, state__in=[AttemptState.PENDING, AttemptState.UNKNOWN])
        .select_related("asset_return__asset")
        .order_by("asset_return__reference")
    )
    paper = {
        "part": part.rail_key, "finding": "not paid", "reason": made.reason, "correction": str(made.pk),
        "paper_sha256": bytes(made.evidence_sha256).hex(),
        "returns": [attempt.asset_return.reference for attempt in attempts],
    }  # fmt: skip
    data = json.dumps(paper, ensure_ascii=False, sort_keys=True).encode()
    sha256 = archive.keep(data)
    lines = [
        Observation(
            line_ref=f"declared/{made.pk}/{number}", kind=ObservationKind.DEAD, asset=attempt.asset_return.asset.code,
            amount=attempt.asset_return.amount, at=at, reference=attempt.asset_return.reference, part=part.rail_key,
            reason="found not paid",
        )
        for number, attempt in enumerate(attempts, start=1)
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('returns_evidence', 'id'))")
        (evidence_id,) = cursor.fetchone()
        cursor.execute(evidence.INSERT, [evidence_id, case.pk, evidence.as_json(batch.rail, enumerate(lines, start=1))])
        received = Evidence.objects.create(
            pk=evidence_id, case=case, rail=batch.rail, name=f"{part.rail_key}: found not paid", sha256=sha256,
            bytes=len(data), lines_count=len(lines), received_by=made.by, received_at=at,
        )  # fmt: skip
        cursor.execute(MATCHES, [evidence_id, batch.pk, part.part])
        matches = dict(cursor.fetchall())
        cursor.execute("SELECT submission_step(ARRAY[%s]::bigint[], %s, %s)", [part.pk, *STEP])
        moved = int(cursor.fetchone()[0])
    if matches:
        settlement.let_go(case, matches, by=by, at=at)
    cover = covers.cover("returns.evidence", case=case.reference, sha256=sha256.hex())
    log.append(
        case, "evidence.received", subject=received, by=by, at=at, covers=cover,
        body={
            "name": received.name, "rail": batch.rail, "sha256": sha256.hex(), "bytes": len(data), "new_lines": len(lines)
        },
    )  # fmt: skip
    return moved
