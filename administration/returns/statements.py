"""
Bank statements: the debit of a file's exact sum settles all of it, a later credit may bring one transfer back.

The lines name neither part nor reference, so they are matched here and not by `matching`'s SQL: the rail's own matcher
(pure) says what is beyond doubt, and everything else waits for a person, with its candidates. A file whose debit never
came is in doubt once nothing can be on its way any more.

    NotDecided   a person's answer that the line does not bear
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, override

from administration.books.models import Asset
from administration.cases import appointments, archive, stops
from administration.cases.models import Case
from administration.errors import Refused
from administration.people.models import User
from administration.rails.interface import Observation
from administration.rails.zengin import YEN, Zengin, bank_of
from administration.rails.zengin.returned import COMES_BACK, Finding, Found, Sent, SentFile, match
from administration.rails.zengin.statements import CORRECTION, Movement
from administration.record import log
from administration.returns import routes
from administration.returns.models import EXPLAINED, AssetReturn, Evidence, EvidenceLine, Submission, SubmissionState

CODE = Zengin.code
DEAD = (SubmissionState.DEAD, SubmissionState.REFUSED)
# Its returns may be on their way a second time: whoever finds this stops the rail.
DEAD_FILE_DEBITED = gettext_lazy(
    "The bank has debited a file that was refused or declared not paid. Its returns must not go out again."
)


class NotDecided(Refused):
    """The line cannot be said to speak of that."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Lines of bank statements: how many were matched, which wait for a person and why; `rest` are not ours."""

    matched: int
    queued: list[tuple[int, str]]
    rest: list[int]


# Only where the bank speaks of a file as a whole, or of nothing we know: neither reference nor part.
LINES = """
SELECT l.id, l.line, e.sha256 FROM returns_evidenceline l JOIN returns_evidence e ON e.id = l.evidence_id
WHERE l.id = ANY (%s) AND e.rail = %s AND l.reference = '' AND l.part = ''
ORDER BY l.id
"""

# The files of the case that may have left, with what is matched to them already.
FILES = """
SELECT s.id, s.batch_id, s.part, s.rail_key, s.state, s.sent_at, b.value_date, sum(r.amount) AS total,
    (SELECT min(l.at) FROM returns_attempt t JOIN returns_match m ON m.attempt_id = t.id
     JOIN returns_evidenceline l ON l.id = m.line_id
     WHERE t.batch_id = s.batch_id AND t.part = s.part AND l.kind = 'settled') AS debited_at
FROM returns_submission s
JOIN returns_batch b ON b.id = s.batch_id
JOIN returns_attempt a ON a.batch_id = s.batch_id AND a.part = s.part
JOIN returns_assetreturn r ON r.id = a.asset_return_id
WHERE b.case_id = %s AND b.rail = %s AND b.value_date BETWEEN %s AND %s
GROUP BY s.id, b.value_date
ORDER BY s.rail_key
"""

CAME_BACK = """
SELECT DISTINCT r.reference FROM returns_attempt t
JOIN returns_assetreturn r ON r.id = t.asset_return_id
JOIN returns_match m ON m.attempt_id = t.id JOIN returns_evidenceline l ON l.id = m.line_id
WHERE t.batch_id = %s AND t.part = %s AND l.kind = 'returned'
"""

SETTLES = """
INSERT INTO returns_match (line_id, attempt_id, amount, by_id)
SELECT %(line)s, t.id, r.amount, %(by)s
FROM returns_submission s
JOIN returns_attempt t ON t.batch_id = s.batch_id AND t.part = s.part
JOIN returns_assetreturn r ON r.id = t.asset_return_id
WHERE s.rail_key = %(part)s AND t.state IN ('pending', 'unknown')
ORDER BY t.id
"""

BRINGS_BACK = """
INSERT INTO returns_match (line_id, attempt_id, amount, by_id)
SELECT %(line)s, t.id, r.amount, %(by)s
FROM returns_submission s
JOIN returns_attempt t ON t.batch_id = s.batch_id AND t.part = s.part
JOIN returns_assetreturn r ON r.id = t.asset_return_id
WHERE s.rail_key = %(part)s AND r.reference = %(reference)s AND t.state IN ('pending', 'unknown', 'settled')
"""

UNDEBITED = """
SELECT s.id, s.batch_id, s.part, s.rail_key FROM returns_submission s JOIN returns_batch b ON b.id = s.batch_id
WHERE b.case_id = %s AND b.rail = %s AND s.state = 'exported' AND b.value_date < %s
  AND NOT EXISTS (
      SELECT FROM returns_attempt t JOIN returns_match m ON m.attempt_id = t.id
      JOIN returns_evidenceline l ON l.id = m.line_id
      WHERE t.batch_id = s.batch_id AND t.part = s.part AND l.kind <> 'returned')
"""


# --- receiving ------------------------------------------------------------------------------------


def in_units(case: Case, rail_code: str, lines: Sequence[Observation]) -> tuple[Observation, ...]:
    """A bank counts yen; the case may keep its yen with places after the point."""
    scale = _scale(case) if rail_code == CODE else 0
    return tuple(replace(line, amount=line.amount * 10**scale) for line in lines) if scale else tuple(lines)


# --- matching -------------------------------------------------------------------------------------


def take(case: Case, lines: list[int]) -> Taken:
    """Match what is beyond doubt of these lines of evidence, in the caller's transaction."""
    ours = _movements(lines) if Evidence.objects.filter(case=case, rail=CODE).exists() else []
    if not ours:
        return Taken(0, [], lines)
    mine = {pk for pk, _movement in ours}
    matched, queued = 0, []
    said = _found(case, ours)
    for pk, found in said:  # debits first, whatever the order of the lines: matches are applied in theirs
        if found.finding is Finding.FILE:
            matched += _settles(pk, found.part, None)
    for pk, found in said:
        if found.finding is Finding.FILE:
            continue
        if found.finding is Finding.RETURNED:
            matched += _brings_back(pk, found.part, found.reference, None)
        elif found.finding is not Finding.WAITS:
            queued.append((pk, found.finding.value))
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE returns_evidenceline l SET problem = p.problem
               FROM unnest(%s::bigint[], %s::text[]) AS p (id, problem) WHERE l.id = p.id""",
            [[pk for pk, _problem in queued], [problem for _pk, problem in queued]],
        )
    return Taken(matched, queued, [pk for pk in lines if pk not in mine])


def candidates(line: EvidenceLine) -> tuple[str, ...]:
    """What the line may speak of: parts for money that left, references for money that came."""
    ours = _movements([line.pk])
    return next((found.candidates for _pk, found in _found(line.evidence.case, ours)), ()) if ours else ()


@transaction.atomic
def decide(line: EvidenceLine, answer: str, *, by: User, at: datetime) -> None:
    """A person says which part a debit pays, or which return a credit brings back. Only a candidate can be."""
    case = line.evidence.case
    appointments.require(case, by, "returns.evidence", at=at)
    line = EvidenceLine.objects.select_for_update(no_key=True, of=("self",)).select_related("evidence__case").get(pk=line.pk)
    if line.problem not in (Finding.AMBIGUOUS, Finding.CORRECTION) or line.matches.exists():
        raise NotDecided(_("This line does not wait for such an answer. Reload it and look again."))
    ours = _movements([line.pk])
    found = _found(case, ours)[0][1] if ours else None
    if found is None or found.movement.sort == CORRECTION or answer not in found.candidates:
        raise NotDecided(
            _("%(answer)s is not what this line can speak of. Choose one of %(candidates)s.")
            % {"answer": answer, "candidates": ", ".join(found.candidates if found else ()) or "–"}
        )
    if found.movement.out and _is_dead(answer):
        _is_of_a_dead_file(line, answer, by=by, at=at)
        return
    if found.movement.out:
        many = _settles(line.pk, answer, by)
    else:
        many = _brings_back(line.pk, _part_of(case, answer), answer, by)
    if not many:
        raise NotDecided(_("%(answer)s is not open any more. Reload it and look again.") % {"answer": answer})
    EvidenceLine.objects.filter(pk=line.pk).update(problem="")
    log.append(
        case, "evidence.decided", subject=line.evidence, by=by, at=at,
        body={"line": line.line, "answer": answer, "returns": many},
    )  # fmt: skip


def _is_dead(part: str) -> bool:
    return Submission.objects.filter(rail_key=part, state__in=DEAD).exists()


def _is_of_a_dead_file(line: EvidenceLine, part: str, *, by: User, at: datetime) -> None:
    """A person found that a debit paid a file that was declared not paid: the line stays in the queue, the rail stops."""
    case = line.evidence.case
    EvidenceLine.objects.filter(pk=line.pk).update(problem=Finding.DEAD_DEBITED.value)
    if not case.stops.filter(rail__in=["", CODE], lifted_at__isnull=True).exists():
        reason = gettext_noop("%(name)s, line %(line)s: %(problem)s")
        with override("en"):
            problem = {"sentence": str(DEAD_FILE_DEBITED), "words": {}}
        words = {"name": line.evidence.name, "line": line.line, "problem": problem}
        made = stops.put(case, reason=reason, words=words, by=None, at=at, rail=CODE)
        log.append(case, "stop.made", subject=made, by=None, at=at, body={"rail": made.rail, "reason": made.reason})
    log.append(
        case, "evidence.decided", subject=line.evidence, by=by, at=at, body={"line": line.line, "answer": part, "returns": 0}
    )


def speak_of(part: Submission) -> bool:
    """
    Whether a bank's line speaks of a file, or may: what is matched to it, a debit of its sum that nobody has settled or
    explained, a credit that waits for its debit.
    """
    case = part.batch.case
    if EvidenceLine.objects.filter(matches__attempt__batch=part.batch, matches__attempt__part=part.part).exists():
        return True
    open_lines = EvidenceLine.objects.filter(case=case, evidence__rail=CODE, part="", reference="", matches__isnull=True)
    open_lines = open_lines.exclude(problem=EXPLAINED)
    ours = _movements(list(open_lines.values_list("pk", flat=True)))
    if not ours:
        return False
    waits = {reference for _pk, one in _found(case, ours) if one.finding is Finding.WAITS for reference in one.candidates}
    if waits and AssetReturn.objects.filter(reference__in=waits, case=case, batch=part.batch, part=part.part).exists():
        return True
    total = sum(AssetReturn.objects.filter(attempts__batch=part.batch, attempts__part=part.part).values_list("amount", flat=True))
    day = part.batch.value_date
    file = SentFile(part.rail_key, day, (Sent("", int(total) // 10 ** _scale(case), ""),)) if day else None
    debits = [movement for _pk, movement in ours if movement.out]
    return file is not None and any(part.rail_key in (*one.candidates, one.part) for one in match(debits, [file]))


def doubt_undebited(case: Case, *, at: datetime) -> list[str]:
    """Files that left, and whose debit never came while it could: what became of them is for people to find out."""
    rail_code, quiet = CODE, Zengin.quiet_period
    with connection.cursor() as cursor:
        cursor.execute(UNDEBITED, [case.pk, rail_code, timezone.localdate(at) - quiet])
        rows = cursor.fetchall()
        if not rows:
            return []
        cursor.execute("SELECT submission_step(%s, 'exported', 'unknown')", [[row[0] for row in rows]])
        cursor.execute(
            """UPDATE returns_attempt t SET state = 'unknown' FROM unnest(%s::bigint[], %s::integer[]) AS n (batch, part)
               WHERE t.batch_id = n.batch AND t.part = n.part AND t.state = 'pending'""",
            [[row[1] for row in rows], [row[2] for row in rows]],
        )
    return [row[3] for row in rows]


def _movements(lines: list[int]) -> list[tuple[int, Movement]]:
    """The lines that are of a bank's statement, read again from the files as received."""
    with connection.cursor() as cursor:
        cursor.execute(LINES, [lines, CODE])
        rows = cursor.fetchall()
    files: dict[bytes, tuple[Movement, ...]] = {}
    found = []
    for pk, line, sha256 in rows:
        digest = bytes(sha256)
        if digest not in files:
            files[digest] = _rail().movements(archive.path_of(digest).read_bytes())
        found.append((pk, files[digest][line - 1]))
    return found


def _found(case: Case, ours: list[tuple[int, Movement]]) -> list[tuple[int, Found]]:
    days = [movement.booked_on for _pk, movement in ours]
    files = _files(case, min(days) - COMES_BACK, max(days) + COMES_BACK, returns=any(not one.out for _pk, one in ours))
    said = match([movement for _pk, movement in ours], files)
    return [(pk, found) for (pk, _movement), found in zip(ours, said, strict=True)]


def _files(case: Case, first: date, last: date, *, returns: bool) -> list[SentFile]:
    """Every file of the case that may have left for the bank; its transfers only where a credit may bring one back."""
    with connection.cursor() as cursor:
        cursor.execute(FILES, [case.pk, CODE, first, last])
        rows = cursor.fetchall()
    scale = _scale(case)
    found = []
    for pk, batch, part, key, state, sent_at, day, total, debited_at in rows:
        dead = state in DEAD
        if state == SubmissionState.PREPARED or (dead and sent_at is None):  # never left the house
            continue
        transfers: tuple[Sent, ...] = (Sent("", int(total) // 10**scale, ""),)
        if returns and not dead:
            with connection.cursor() as cursor:
                cursor.execute(CAME_BACK, [batch, part])
                back = {row[0] for row in cursor}
            transfers = _transfers(pk, back)
        debited_on = timezone.localdate(debited_at) if debited_at else None
        found.append(SentFile(key, day, transfers, debited_on, dead))
    return found


def _transfers(submission: int, back: set[str]) -> tuple[Sent, ...]:
    """What a file paid, read from its exact bytes."""
    payload = Submission.objects.values_list("payload", flat=True).get(pk=submission)
    return tuple(
        Sent(reference, transfer.amount, transfer.payee, bank_of(transfer.bank_code), reference in back)
        for reference, transfer in _rail().references(bytes(payload))
    )


def _part_of(case: Case, reference: str) -> str:
    """The key of the part in which a return was settled."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT s.rail_key FROM returns_assetreturn r
               JOIN returns_attempt t ON t.holds_return_id = r.id
               JOIN returns_submission s ON s.batch_id = t.batch_id AND s.part = t.part
               WHERE r.case_id = %s AND r.reference = %s""",
            [case.pk, reference],
        )
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def _settles(line: int, part: str, by: User | None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(SETTLES, {"line": line, "part": part, "by": by.pk if by else None})
        return int(cursor.rowcount)


def _brings_back(line: int, part: str, reference: str, by: User | None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            BRINGS_BACK, {"line": line, "part": part, "reference": reference, "by": by.pk if by else None}
        )
        return int(cursor.rowcount)


def _scale(case: Case) -> int:
    return Asset.objects.filter(case=case, code=YEN).values_list("scale", flat=True).first() or 0


def _rail() -> Zengin:
    rail = routes.rail(CODE)
    assert isinstance(rail, Zengin)
    return rail
