"""
A bank's file that was found not paid, or refused, and that the bank has debited after all.

Two people correct it by the debit's line, the whole file at once: what still waits of it was paid, and settles where it
was; what went out again meanwhile was paid twice, and is a receivable of the estate, return by return.

    NotDebited   the file cannot be corrected, or not yet
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.utils.translation import gettext as _

from administration.books import books
from administration.books.models import Asset
from administration.cases.models import Case
from administration.errors import Refused
from administration.fields import db_now, numbers
from administration.people.models import User
from administration.rails.zengin.returned import Finding
from administration.record import covers, log
from administration.returns import statements
from administration.returns.models import (
    AttemptState,
    Correction,
    EvidenceLine,
    Overpayment,
    ReturnState,
    Submission,
    SubmissionState,
)
from claims.register import positions

STEP = (SubmissionState.DEAD.value, SubmissionState.ACCEPTED.value)
WAITING = (ReturnState.SCHEDULED, ReturnState.HELD)


class NotDebited(Refused):
    """The file stays as it is."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One return of the file: its attempt there, and where the return is now."""

    attempt: int
    row: int
    reference: str
    line: int
    asset: int
    amount: int
    state: str
    elsewhere: bool  # another attempt holds it


# In the order in which every act takes its locks: positions are held before.
OF_THE_FILE = """
SELECT t.id, r.id, r.reference, r.claim_line_id, r.asset_id, r.amount, r.state,
    EXISTS (SELECT FROM returns_attempt h WHERE h.holds_return_id = r.id)
FROM returns_attempt t JOIN returns_assetreturn r ON r.id = t.asset_return_id
WHERE t.batch_id = %s AND t.part = %s AND t.state IN ('dead', 'refused') ORDER BY r.id {lock}
"""
UNHELD = "UPDATE returns_assetreturn SET state = 'scheduled', held_by_gate = '' WHERE id = ANY (%s::bigint[]) AND state = 'held'"
FOLLOW = """
INSERT INTO returns_correction (case_id, machine, object_id, from_state, to_state, finding, reason, evidence_sha256, by_id, at, under_id)
SELECT c.case_id, n.machine, n.id, n.from_state, 'settled', '', c.reason, c.evidence_sha256, c.by_id, c.at, c.id
FROM returns_correction c CROSS JOIN (
    SELECT 'attempt' AS machine, t.id, t.state AS from_state FROM returns_attempt t WHERE t.id = ANY (%(attempts)s::bigint[])
    UNION ALL SELECT 'return', r.id, 'scheduled' FROM returns_assetreturn r WHERE r.id = ANY (%(rows)s::bigint[])) n
WHERE c.id = %(under)s
"""
MATCH = """
INSERT INTO returns_match (line_id, attempt_id, amount, by_id)
SELECT %(line)s, t.id, r.amount, %(by)s FROM returns_attempt t JOIN returns_assetreturn r ON r.id = t.asset_return_id
WHERE t.id = ANY (%(attempts)s::bigint[]) ORDER BY t.id RETURNING id
"""
SETTLED = """
UPDATE returns_attempt SET state = 'settled', holds_return_id = asset_return_id
WHERE id = ANY (%s::bigint[]) AND state IN ('dead', 'refused')
"""
# Back to where the file sent it: the destination may have been given another version since.
WHERE_IT_WENT = """
UPDATE returns_assetreturn r SET state = 'settled', batch_id = %(batch)s, part = %(part)s, destination_id = w.destination
FROM (
    SELECT DISTINCT ON (r.id) r.id, d.id AS destination
    FROM returns_manifest m CROSS JOIN LATERAL jsonb_array_elements(m.body::jsonb -> 'items') i
    JOIN returns_assetreturn r ON r.id = ANY (%(rows)s::bigint[]) AND r.reference = i ->> 'reference'
    JOIN register_claimline l ON l.id = r.claim_line_id
    JOIN destinations_destination d ON d.claim_id = l.claim_id AND d.asset_id = r.asset_id
        AND d.fingerprint = decode(i ->> 'destination', 'hex')
    WHERE m.batch_id = %(batch)s ORDER BY r.id, d.version DESC
) w
WHERE w.id = r.id AND r.state = 'scheduled'
"""


def line_of(part: Submission) -> EvidenceLine | None:
    """The debit that waits for an answer and may be of this dead file."""
    lines = EvidenceLine.objects.filter(case=part.batch.case, problem=Finding.DEAD_DEBITED.value).select_related("evidence__case")
    return next((line for line in lines.order_by("pk") if part.rail_key in statements.candidates(line)), None)


def refuse_unless_debited(part: Submission) -> EvidenceLine:
    """The debit that two people can correct it by; or why nobody can now."""
    line = line_of(part) if part.batch.rail == statements.CODE and part.state == SubmissionState.DEAD else None
    if line is None:
        raise NotDebited(_("No line of a bank's statement says that %(part)s was debited after all.") % {"part": part.rail_key})
    tried = _tried(part)
    if sum(one.amount for one in tried) != line.amount:
        raise NotDebited(
            _("The debit is not the sum of what did not settle in %(part)s. Ask the bank what it paid.") % {"part": part.rail_key}
        )
    batched = [one.reference for one in tried if one.state == ReturnState.BATCHED and not one.elsewhere]
    if batched:
        raise NotDebited(
            _("%(return)s is in a batch that has not left. Void the batches that hold returns of %(part)s, then correct.")
            % {"return": batched[0], "part": part.rail_key}
        )
    of_one = Correction.objects.filter(
        machine="attempt", object_id__in=[one.attempt for one in tried], applied_at__isnull=True, rejected_at__isnull=True
    )
    if of_one.exists():
        raise NotDebited(
            _("A correction of one return of %(part)s waits for signatures. Have it signed or turned down first.")
            % {"part": part.rail_key}
        )
    return line


def correct(made: Correction, *, by: User, at: datetime) -> int:
    """With the last signature: the file was paid. Gives how many parts it corrected: one, or none if it was taken up."""
    part = Submission.objects.select_related("batch__case").get(pk=made.object_id)
    case = part.batch.case
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('returns.evidence', %s))", [case.pk])
    positions.lock(sorted({one.line for one in _tried(part)}))
    tried = _tried(part, lock=True)
    part.refresh_from_db(fields=["state"])
    line = refuse_unless_debited(part)
    waiting = [one for one in tried if one.state in WAITING and not one.elsewhere]
    paid_twice = [one for one in tried if one not in waiting]
    with connection.cursor() as cursor:
        cursor.execute("SELECT submission_step(ARRAY[%s]::bigint[], %s, %s)", [part.pk, *STEP])
        moved = int(cursor.fetchone()[0])
    if waiting:
        _settle(made, part, line, waiting, by=by, at=at)
    for one in paid_twice:
        _owed_back(made, line, one, by=by, at=at)
    EvidenceLine.objects.filter(pk=line.pk).update(problem="overpaid" if paid_twice else "")
    with connection.cursor() as cursor:
        cursor.execute("SELECT submission_step(ARRAY[%s]::bigint[], 'accepted', 'final')", [part.pk])
    log.append(
        case, "submission.debited_after_all", subject=("submission", part.rail_key), by=by, at=at,
        body={"part": part.rail_key, "line": bytes(line.fingerprint).hex(), "settled": len(waiting), "overpaid": len(paid_twice)},
    )  # fmt: skip
    return moved


def _tried(part: Submission, *, lock: bool = False) -> list[Tried]:
    with connection.cursor() as cursor:
        cursor.execute(OF_THE_FILE.format(lock="FOR NO KEY UPDATE OF r" if lock else ""), [part.batch_id, part.part])
        return [
            Tried(attempt, row, reference, line, asset, int(amount), state, elsewhere)
            for attempt, row, reference, line, asset, amount, state, elsewhere in cursor.fetchall()
        ]


def _settle(made: Correction, part: Submission, line: EvidenceLine, waiting: Sequence[Tried], *, by: User, at: datetime) -> None:
    """Attempts, returns, positions with the books, in bulk; each step rests on the signatures under the file's correction."""
    attempts, rows = numbers(one.attempt for one in waiting), numbers(one.row for one in waiting)
    case = part.batch.case
    with connection.cursor() as cursor:
        cursor.execute(UNHELD, [rows])
        cursor.execute(FOLLOW, {"attempts": attempts, "rows": rows, "under": made.pk})
        cursor.execute(MATCH, {"line": line.pk, "attempts": attempts, "by": made.by_id})
        matches = [row[0] for row in cursor.fetchall()]
        cursor.execute(SETTLED, [attempts])
        cursor.execute(WHERE_IT_WENT, {"batch": part.batch_id, "part": part.part, "rows": rows})
        if cursor.rowcount != len(waiting):
            raise RuntimeError(f"{len(waiting) - cursor.rowcount} returns of {part.rail_key} are not where its manifest sent them.")
    sums: dict[int, int] = {}
    for one in waiting:
        sums[one.line] = sums.get(one.line, 0) + one.amount
    pairs = sorted(sums.items())
    for start in range(0, len(pairs), positions.ROWS_MAX):
        for kind in ("take", "settle"):
            positions.move(
                case, kind, key=f"correct:{made.pk}:{kind}" + (f":{start}" if start else ""),
                rows=pairs[start : start + positions.ROWS_MAX], subject=("submission", part.rail_key), by=made.by, at=at,
            )  # fmt: skip
    applied(case, matches, by=by, at=at)


def applied(case: Case, matches: Sequence[int], *, by: User, at: datetime) -> None:
    """These matches, which a correction made, count from now on; the record speaks for them as for any."""
    applied_at = db_now()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE returns_match SET applied_at = %s WHERE id = ANY (%s::bigint[])", [applied_at, numbers(matches)])
    cover = covers.cover(
        "returns.applied", case=case.reference, first=min(matches), last=max(matches), applied_at=applied_at.isoformat()
    )
    log.append(case, "evidence.applied", subject=case, by=by, at=at, covers=cover, body={AttemptState.SETTLED.value: len(matches)})


def _owed_back(made: Correction, line: EvidenceLine, one: Tried, *, by: User, at: datetime) -> None:
    """It went out again meanwhile, or was taken back: what the file paid is to be recovered."""
    asset = Asset.objects.get(pk=one.asset)
    row = Overpayment.objects.create(
        case=made.case, asset_return_id=one.row, attempt_id=one.attempt, line=line, asset=asset, amount=one.amount, at=at
    )
    books.post(
        made.case, "overpay", idem_key=f"overpay:{bytes(line.fingerprint).hex()}:{one.reference}", lines=[(asset, one.amount)],
        subject=row, by=by, at=at,
    )  # fmt: skip
    log.append(
        made.case, "overpayment.found", subject=row, by=by, at=at,
        body={
            "reference": one.reference, "asset": asset.code, "amount": one.amount, "line": bytes(line.fingerprint).hex(),
        },
    )  # fmt: skip
