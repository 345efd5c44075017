"""
Settlement: what matched evidence says is applied once, attempts, returns, positions and books together.

settled: the amount leaves what is in flight for good. refused, dead: it is scheduled again. returned: it is owed
again, its destination is blocked, and a new return needs a look at the destination. Then what is finished closes, and
both statements must tie; where they do not, the asset's rails stop.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Max
from django.utils.translation import gettext_noop

from administration.cases import appointments, stops
from administration.cases.models import Case
from administration.fields import numbers
from administration.people.models import User
from administration.record import covers, log
from administration.returns import evidence, failures, matching, planning, unanswered
from administration.returns.models import Batch, BatchState, EvidenceLine, Match
from administration.work import jobs
from administration.work.jobs import Progress
from administration.work.models import Job
from claims.register import positions, tie_out

JOB = "returns.settle"
CHUNK = 5_000


@transaction.atomic
def settle(case: Case, *, by: User, at: datetime) -> Job:
    """Match what is new and apply what is matched. Again while it lasts: the same job."""
    appointments.require(case, by, "returns.evidence", at=at)
    return jobs.start(case, JOB, case.pk, params={"by": by.pk, "at": at.isoformat()})


def step(job: Job) -> Progress:
    """One chunk of lines or of matches, or the closing. The cursor: nothing yet, match:LINE, apply:MATCH, close, tie."""
    case = Case.objects.get(pk=job.subject_id)
    by, at = User.objects.get(pk=job.params["by"]), datetime.fromisoformat(job.params["at"])
    phase, _colon, after = job.cursor.partition(":")
    planning.rows_are_near()
    # What has done something ends its chunk, as its locks are held until the commit; what found nothing to do goes on.
    if not phase:
        _look_at_statistics("evidenceline")
        if evidence.accept_what_was_seen(case):
            return Progress("match:0", job.done, "matching evidence")
        phase, after = "match", "0"
    if phase == "match":
        found = matching.chunk(case, int(after), by=by, at=at)
        if found.seen == matching.CHUNK:
            return Progress(f"match:{found.last}", job.done, "matching evidence")
        if after != "0" or found.matched:
            _look_at_statistics("match")
        if found.seen:
            return Progress("apply:0", job.done, "matching evidence")
        phase, after = "apply", "0"
    if phase == "apply":
        applied = apply(case, int(after), by=by, at=at)
        if applied.looked_at:
            following = f"apply:{applied.last}" if applied.looked_at == CHUNK else "close"
            return Progress(following, job.done + applied.count, "settling")
        phase = "close"
    if phase == "close":
        unanswered.doubt(case, at=at)
        close(case, by=by, at=at)
        return Progress("tie", job.done, "closing")
    ties = tie_or_stop(case, at=at)
    return Progress(
        "tie", job.done, "settled", finished=True, result={"count": job.done, "queued": queue_of(case), "ties": ties}
    )


def _look_at_statistics(of: str) -> None:
    """The planner must know how much evidence and how many matches there are before it joins them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT returns_look_at_statistics(%s)", [of])


# --- applying -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Applied:
    """How many matches were looked at, how many applied, and the last one."""

    looked_at: int
    count: int
    last: int


NEXT = """
SELECT m.id, e.kind, m.attempt_id, e.id, e.reference = '' AND e.kind = 'settled'
FROM returns_match m JOIN returns_evidenceline e ON e.id = m.line_id
WHERE e.case_id = %s AND m.id > %s AND m.applied_at IS NULL AND e.problem = ''
ORDER BY m.id LIMIT %s
"""

# What came back of a bank file before its debit was seen waits, passed over by the chunks; it goes with the debit.
WAITED = """
SELECT m.id, e.kind, m.attempt_id, e.id, false
FROM returns_match m JOIN returns_evidenceline e ON e.id = m.line_id
WHERE m.attempt_id = ANY (%s::bigint[]) AND m.id < %s AND m.applied_at IS NULL AND e.kind = 'returned' AND e.problem = ''
ORDER BY m.id
"""

# A rail's answer to a part may be coming in at this moment: from here on it waits.
HOLD_STILL = "SELECT id, state FROM attempts_held_still(%s::bigint[])"

# Positions come before the books. Where several moves follow one another, all of their positions come before the first.
POSITIONS_FIRST = """
SELECT positions_lock(coalesce(array_agg(DISTINCT r.claim_line_id), '{}'))
FROM returns_attempt t JOIN returns_assetreturn r ON r.id = t.asset_return_id WHERE t.id = ANY (%s::bigint[])
"""

# What settles: attempts first, then their returns. One row back for each return. Attempts are named by their ids: by
# their states the planner would look for them in the whole table, as its statistics are older than this very run.
SETTLE = """
WITH moved AS (
    UPDATE returns_attempt t SET state = 'settled' FROM returns_match m
    WHERE m.id = ANY (%(matches)s::bigint[]) AND t.id = m.attempt_id AND t.id = ANY (%(attempts)s::bigint[])
      AND t.state IN ('pending', 'unknown')
    RETURNING t.asset_return_id
)
SELECT r.id, r.claim_line_id, r.amount FROM returns_assetreturn r JOIN moved ON moved.asset_return_id = r.id
"""

LET_GO = """
WITH moved AS (
    UPDATE returns_attempt t SET state = e.kind, holds_return_id = NULL, reason_code = e.reason
    FROM returns_match m JOIN returns_evidenceline e ON e.id = m.line_id
    WHERE m.id = ANY (%(matches)s::bigint[]) AND t.id = m.attempt_id AND t.id = ANY (%(attempts)s::bigint[]) AND t.state = ANY (%(open)s)
    RETURNING t.asset_return_id
)
SELECT r.id, r.claim_line_id, r.amount FROM returns_assetreturn r JOIN moved ON moved.asset_return_id = r.id
"""

RETURNS_SETTLED = "UPDATE returns_assetreturn SET state = 'settled' WHERE id = ANY (%s::bigint[]) AND state = 'batched'"
RETURNS_AGAIN = """
UPDATE returns_assetreturn SET state = 'scheduled', batch_id = NULL, part = NULL, tries = tries + 1
WHERE id = ANY (%s::bigint[]) AND state = 'batched'
"""
APPLIED = "UPDATE returns_match SET applied_at = %s WHERE id = ANY (%s::bigint[])"
RETURNS_CAME_BACK = "UPDATE returns_assetreturn SET state = 'returned' WHERE id = ANY (%s::bigint[]) AND state = 'settled'"

BLOCK = """
UPDATE destinations_destination d SET state = 'revoked', revoked_at = %(at)s,
    revoke_reason = 'a return to it came back: ' || b.reason
FROM (
    SELECT r.destination_id, min(coalesce(nullif(e.reason, ''), 'no reason given')) AS reason
    FROM returns_match m
    JOIN returns_evidenceline e ON e.id = m.line_id
    JOIN returns_attempt t ON t.id = m.attempt_id
    JOIN returns_assetreturn r ON r.id = t.asset_return_id
    WHERE m.id = ANY (%(matches)s) GROUP BY r.destination_id
) b
WHERE d.id = b.destination_id AND d.state <> 'revoked'
"""


def apply(case: Case, after: int, *, by: User | None, at: datetime) -> Applied:
    """The next matches that were not applied, in the caller's transaction: everything about them, or nothing."""
    with connection.cursor() as cursor:
        cursor.execute(NEXT, [case.pk, after, CHUNK])
        found = cursor.fetchall()
        if not found:
            return Applied(0, 0, after)
        looked_at, last = len(found), found[-1][0]
        of_files = [attempt for _match, _kind, attempt, _line, of_file in found if of_file]
        if of_files:
            cursor.execute(WAITED, [numbers(of_files), found[0][0]])
            found += cursor.fetchall()
        attempts = {match: attempt for match, _kind, attempt, _line, _of_file in found}
        cursor.execute(HOLD_STILL, [numbers(sorted(set(attempts.values())))])
        states = dict(cursor.fetchall())
    of_kind, late = _sorted(found, states)
    # Named by what is applied, as that is applied once; what waits is looked at again and again.
    matches = [match for keys in of_kind.values() for match in keys]
    first, final = min(matches, default=0), max(matches, default=0)
    span = f"{first}-{final}"
    settled = of_kind.get("settled", [])
    let_go = of_kind.get("refused", []) + of_kind.get("dead", [])
    came_back = of_kind.get("returned", [])

    if sum(map(bool, (settled, let_go, came_back))) > 1:
        with connection.cursor() as cursor:
            cursor.execute(POSITIONS_FIRST, [numbers(states)])
    count = _move(case, settled, attempts, SETTLE, RETURNS_SETTLED, "settle", span, by=by, at=at)
    count += _move(
        case, let_go, attempts, LET_GO, RETURNS_AGAIN, "void", span, by=by, at=at, open_states=["pending", "unknown"]
    )
    if let_go:
        failures.block(let_go, at=at)
    if came_back:
        count += _move(
            case, came_back, attempts, LET_GO, RETURNS_CAME_BACK, "bounce", span, by=by, at=at, open_states=["settled"]
        )
        with connection.cursor() as cursor:
            cursor.execute(BLOCK, {"matches": came_back, "at": at})
    if count != len(matches):
        raise RuntimeError(f"{len(matches) - count} matches of {span} were not applied.")
    if late:
        EvidenceLine.objects.filter(pk__in=late).update(problem="contradicts")
    if not matches:
        return Applied(looked_at, 0, last)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (applied_at,) = cursor.fetchone()
        cursor.execute(APPLIED, [applied_at, numbers(matches)])
    _finish_parts(matches)
    cover = covers.cover(
        "returns.applied", case=case.reference, first=first, last=final, applied_at=applied_at.isoformat()
    )
    log.append(
        case, "evidence.applied", subject=case, by=by, at=at, covers=cover,
        body={kind: len(keys) for kind, keys in of_kind.items()},
    )  # fmt: skip
    return Applied(looked_at, count, last)


def apply_found(case: Case, attempts: dict[int, int], *, paid: bool, by: User | None, at: datetime) -> None:
    """Apply these matches (match → attempt), which are what two people found, in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(POSITIONS_FIRST, [numbers(sorted(set(attempts.values())))])
    every = sorted(attempts)
    for start in range(0, len(every), CHUNK):
        matches = every[start : start + CHUNK]
        span = f"{matches[0]}-{matches[-1]}"
        if paid:
            count = _move(case, matches, attempts, SETTLE, RETURNS_SETTLED, "settle", span, by=by, at=at)
        else:
            count = _move(
                case, matches, attempts, LET_GO, RETURNS_AGAIN, "void", span, by=by, at=at, open_states=["pending", "unknown"]
            )
        if count != len(matches):
            raise RuntimeError(f"{len(matches) - count} matches of {span} were not applied.")
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            (applied_at,) = cursor.fetchone()
            cursor.execute(APPLIED, [applied_at, numbers(matches)])
        cover = covers.cover(
            "returns.applied", case=case.reference, first=matches[0], last=matches[-1], applied_at=applied_at.isoformat()
        )
        kind = "settled" if paid else "dead"
        log.append(case, "evidence.applied", subject=case, by=by, at=at, covers=cover, body={kind: len(matches)})


def _sorted(found: list[tuple[int, str, int, int, bool]], states: dict[int, str]) -> tuple[dict[str, list[int]], list[int]]:
    """
    The matches of each kind that can be applied, and the lines of those that cannot any more.

    Between matching and now the rail's answer to a whole part may have ended an attempt: a person looks at the line.
    What came back of an attempt that is still open is in neither: it waits for the settlement that it undoes.
    """
    of_kind: dict[str, list[int]] = {}
    late: list[int] = []
    for match, kind, attempt, line, _of_file in sorted(found, key=lambda row: row[1] == "returned"):
        state = states[attempt]
        if (state in ("pending", "unknown") and kind in ("settled", "refused", "dead")) or (state, kind) == ("settled", "returned"):
            states[attempt] = kind
            of_kind.setdefault(kind, []).append(match)
        elif kind != "returned" or state not in ("pending", "unknown"):
            late.append(line)
    return of_kind, late


def _move(
    case: Case,
    matches: list[int],
    attempts: dict[int, int],
    attempts_sql: str,
    returns_sql: str,
    kind: str,
    span: str,
    *,
    by: User | None,
    at: datetime,
    open_states: list[str] | None = None,
) -> int:
    """Attempts, then returns, then positions with the books, for the matches of one kind."""
    if not matches:
        return 0
    with connection.cursor() as cursor:
        of_these = numbers(attempts[match] for match in matches)
        wanted = {"matches": numbers(matches), "attempts": of_these, "open": open_states}
        cursor.execute(attempts_sql, wanted)
        rows = cursor.fetchall()
        cursor.execute(returns_sql, [numbers(row[0] for row in rows)])
        if cursor.rowcount != len(rows):
            raise RuntimeError(f"{len(rows) - cursor.rowcount} returns of {kind}:{span} are not as their attempts say.")
    sums: dict[int, int] = {}
    for _pk, line, amount in rows:
        sums[line] = sums.get(line, 0) + int(amount)
    if sums:
        positions.move(
            case, kind, key=f"{kind}:{span}", rows=sorted(sums.items()), subject=("evidence", span), by=by, at=at
        )
    return len(rows)


def _finish_parts(matches: list[int]) -> None:
    """Parts that are spoken of were accepted; those of which nothing is open any more are final."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH parts AS (
                SELECT DISTINCT t.batch_id, t.part FROM returns_match m JOIN returns_attempt t ON t.id = m.attempt_id
                WHERE m.id = ANY (%s::bigint[])
            )
            SELECT coalesce(array_agg(s.id), '{}') FROM returns_submission s
            JOIN parts p ON p.batch_id = s.batch_id AND p.part = s.part
            """,
            [numbers(matches)],
        )
        (parts,) = cursor.fetchone()
        for state in ("exported", "unknown"):
            cursor.execute("SELECT submission_step(%s, %s, 'accepted')", [parts, state])
        cursor.execute(
            """
            SELECT submission_step(coalesce(array_agg(s.id), '{}'), 'accepted', 'final') FROM returns_submission s
            WHERE s.id = ANY (%s) AND s.state = 'accepted' AND NOT EXISTS (
                SELECT FROM returns_attempt t
                WHERE t.batch_id = s.batch_id AND t.part = s.part AND t.state IN ('pending', 'unknown'))
            """,
            [parts],
        )


# --- closing ------------------------------------------------------------------------------------

# A statement may be quicker than the answer to the call: such a part was spoken of to the end before it was accepted.
SPOKEN_OF = """
SELECT submission_step(coalesce(array_agg(s.id), '{}'), 'accepted', 'final')
FROM returns_submission s JOIN returns_batch b ON b.id = s.batch_id
WHERE b.case_id = %s AND b.state IN ('exported', 'settling') AND s.state = 'accepted' AND NOT EXISTS (
    SELECT FROM returns_attempt t
    WHERE t.batch_id = s.batch_id AND t.part = s.part AND t.state IN ('pending', 'unknown'))
"""

OUT = """
UPDATE returns_batch b SET state = 'settling'
WHERE b.case_id = %s AND b.state = 'exported' AND NOT EXISTS (
    SELECT FROM returns_submission s
    WHERE s.batch_id = b.id AND s.state IN ('prepared', 'exported', 'signed', 'submitting', 'unknown'))
"""

DONE = """
SELECT b.id FROM returns_batch b
WHERE b.case_id = %s AND b.state = 'settling'
  AND NOT EXISTS (SELECT FROM returns_submission s WHERE s.batch_id = b.id AND s.state NOT IN ('final', 'refused', 'dead'))
  AND NOT EXISTS (SELECT FROM returns_attempt t WHERE t.batch_id = b.id AND t.state IN ('pending', 'unknown'))
ORDER BY b.id
"""


def close(case: Case, *, by: User | None, at: datetime) -> None:
    """Close the batches of which nothing is open."""
    with connection.cursor() as cursor:
        cursor.execute(SPOKEN_OF, [case.pk])
        cursor.execute("SELECT FROM returns_batch WHERE case_id = %s ORDER BY id FOR NO KEY UPDATE", [case.pk])
        cursor.execute(OUT, [case.pk])
        cursor.execute(DONE, [case.pk])
        done = [row[0] for row in cursor.fetchall()]
    for batch in Batch.objects.filter(pk__in=done).order_by("pk"):
        Batch.objects.filter(pk=batch.pk, state=BatchState.SETTLING).update(state=BatchState.CLOSED)
        batch.conflict_keys.filter(released_at__isnull=True).update(released_at=at)
        last = Match.objects.filter(attempt__batch=batch).aggregate(last=Max("pk"))["last"] or 0
        cover = covers.cover("returns.outcome", batch=batch.reference, last=last)
        log.append(
            case, "batch.closed", subject=batch, by=by, at=at, body={"reference": batch.reference}, covers=cover
        )


def tie_or_stop(case: Case, *, at: datetime) -> bool:
    """
    After every batch both statements must tie; a difference stops the rails of its asset, loudly.

    In a transaction of its own: stopping takes the case's lock, which comes before those of batches.
    """
    found = tie_out.tie_out(case)
    off = [row["code"] for row in (*found["assets"], *found["claims"]) if row["difference"] != "0"]
    if not off:
        return True
    rails = case.returns.filter(asset__code__in=off).values_list("rail", flat=True).distinct()
    reason, words = gettext_noop("%(assets)s does not tie."), {"assets": ", ".join(sorted(set(off)))}
    for rail in sorted(rails):
        if case.stops.filter(rail__in=["", rail], lifted_at__isnull=True).exists():
            continue
        made = stops.put(case, reason=reason, words=words, by=None, at=at, rail=rail)
        log.append(case, "stop.made", subject=made, by=None, at=at, body={"rail": rail, "reason": made.reason})
    return False


def queue_of(case: Case) -> int:
    """How many lines of evidence wait for a person."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM returns_evidenceline WHERE case_id = %s AND problem <> '' AND problem <> 'explained'", [case.pk]
        )
        (many,) = cursor.fetchone()
    return int(many)
