"""
Matching: which attempt a line of evidence speaks of.

Only what is beyond doubt is matched by machine: our reference, the same asset and amount, and exactly one attempt that
the line can mean. Everything else is queued for a person with the reason, and changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy, gettext_noop, override

from administration.books.models import Asset
from administration.cases import appointments, stops
from administration.cases.models import Case, Stop
from administration.fields import numbers
from administration.people.models import User
from administration.record import log
from administration.returns import overpayments, statements
from administration.returns.models import EXPLAINED, AssetReturn, Attempt, EvidenceLine, Overpayment

CHUNK = 5_000

# Why a line waits for a person. The codes stand in the rows.
PROBLEMS: dict[str, str | Promise] = {
    "no_such_return": gettext_lazy("No return of this case has that reference."),
    "other_amount": gettext_lazy("The amount or the asset is not that of the return. Nothing was applied."),
    "not_sent": gettext_lazy("The rail speaks of a part that we have not sent. Stop the rail and look into it."),
    "no_attempt": gettext_lazy("The return was never tried in the part that the line names."),
    "settled_twice": gettext_lazy("The attempt is settled already: the rail may have paid twice. Recover the second payment."),
    "contradicts": gettext_lazy("The line contradicts what the rail said before. Two people decide."),
    "paid_after_refusal": gettext_lazy(
        "The rail paid what it had refused, or what we took for dead. Two people correct the attempt."
    ),
    "overpaid": gettext_lazy("Paid although another attempt holds the return: recorded as an over-payment, to be recovered."),
    "nothing_to_return": gettext_lazy("Money is said to come back from an attempt that has not settled."),
    "ambiguous": gettext_lazy("The bank's line may speak of more than one file or return. Choose which."),
    "fee_kept": gettext_lazy("Less came back than was sent: somebody kept a fee. Look which return it is."),
    "debited_twice": gettext_lazy("The bank has debited a file a second time. Recover the second debit."),
    "dead_file_debited": statements.DEAD_FILE_DEBITED,
    "unknown_debit": gettext_lazy("The bank's debit is of no file that we sent: a fee, or something to look into."),
    "unknown_credit": gettext_lazy("The bank's credit brings back no return that we know: find out whose it is."),
    "correction": gettext_lazy("The bank corrects a booking of its own. Look what it means."),
    EXPLAINED: gettext_lazy("Two people explained it; nothing of it waits any more."),
}


# What means that money moved otherwise than approved: its rail stops at once, two people resume it.
ALARMING = ("other_amount", "not_sent", "settled_twice", "overpaid", "debited_twice", "dead_file_debited")


@dataclass(frozen=True, slots=True)
class Found:
    """What one look at new evidence brought: matches, lines queued for a person, and where it ended."""

    seen: int
    matched: int
    queued: int
    last: int


DECIDING = ("settled", "refused", "dead")

NEW = """
SELECT e.id, e.kind FROM returns_evidenceline e
WHERE e.case_id = %(case)s AND e.id > %(after)s AND e.problem = '' AND e.kind <> 'seen'
  AND NOT EXISTS (SELECT FROM returns_match m WHERE m.line_id = e.id AND m.line_id > %(after)s)
ORDER BY e.id LIMIT %(chunk)s
"""

# The candidates of each line: the attempt of the part it names, or, where the rail names no part, the attempt that
# holds the return. Materialized: found from the lines, never from the attempts' states. OFFSET 0, here and below: looked
# up for each; as a join, each chunk would read every part, or every match, that there ever was.
CANDIDATES = """
candidates AS MATERIALIZED (
    SELECT e.id AS line_id, e.kind, e.amount, t.id AS attempt_id, t.state
    FROM returns_evidenceline e
    JOIN returns_assetreturn r ON r.case_id = e.case_id AND r.reference = e.reference AND r.amount = e.amount
    JOIN books_asset a ON a.id = r.asset_id AND a.code = e.asset_code
    JOIN returns_attempt t ON t.asset_return_id = r.id
    WHERE e.id = ANY (%(lines)s::bigint[])
      AND EXISTS (
          SELECT FROM returns_submission s
          WHERE s.batch_id = t.batch_id AND s.part = t.part AND s.state <> 'prepared'
            AND (e.part = s.rail_key OR e.part = '' AND t.holds_return_id = r.id)
          OFFSET 0
      )
)
"""

# First what decides an attempt that is still open; of several lines only the first, and none after an earlier one.
DECIDE = f"""
WITH {CANDIDATES}, first AS (
    SELECT DISTINCT ON (c.attempt_id) c.line_id, c.attempt_id, c.amount
    FROM candidates c
    WHERE c.kind IN ('settled', 'refused', 'dead') AND c.state IN ('pending', 'unknown')
      AND NOT EXISTS (
          SELECT FROM returns_match m JOIN returns_evidenceline d ON d.id = m.line_id
          WHERE m.attempt_id = c.attempt_id AND d.kind IN ('settled', 'refused', 'dead') OFFSET 0)
    ORDER BY c.attempt_id, c.line_id
)
INSERT INTO returns_match (line_id, attempt_id, amount) SELECT line_id, attempt_id, amount FROM first ORDER BY line_id
"""  # noqa: S608 - CANDIDATES is a constant above

# Then what came back of what is settled, or about to be.
COME_BACK = f"""
WITH {CANDIDATES}, first AS (
    SELECT DISTINCT ON (c.attempt_id) c.line_id, c.attempt_id, c.amount
    FROM candidates c
    WHERE c.kind = 'returned' AND c.state IN ('pending', 'unknown', 'settled')
      AND EXISTS (
          SELECT FROM returns_match m JOIN returns_evidenceline d ON d.id = m.line_id
          WHERE m.attempt_id = c.attempt_id AND d.kind = 'settled' OFFSET 0)
      AND NOT EXISTS (
          SELECT FROM returns_match m JOIN returns_evidenceline d ON d.id = m.line_id
          WHERE m.attempt_id = c.attempt_id AND d.kind = 'returned' OFFSET 0)
    ORDER BY c.attempt_id, c.line_id
)
INSERT INTO returns_match (line_id, attempt_id, amount) SELECT line_id, attempt_id, amount FROM first ORDER BY line_id
"""  # noqa: S608 - CANDIDATES is a constant above

QUEUE = """
UPDATE returns_evidenceline e SET problem = p.problem
FROM (
    SELECT l.id, CASE
        WHEN r.id IS NULL THEN 'no_such_return'
        WHEN r.amount <> l.amount OR a.code <> l.asset_code THEN 'other_amount'
        WHEN s.state = 'prepared' THEN 'not_sent'
        WHEN t.id IS NULL THEN 'no_attempt'
        -- The rail says at last, and for the first time, what two people had found: nothing is left to decide.
        WHEN EXISTS (
            SELECT FROM returns_match m JOIN returns_evidenceline d ON d.id = m.line_id
            JOIN returns_evidence v ON v.id = d.evidence_id
            WHERE m.attempt_id = t.id AND m.applied_at IS NOT NULL AND v.correction_id IS NOT NULL
              AND (d.kind, t.state, l.kind) IN (('settled', 'settled', 'settled'), ('dead', 'dead', 'refused'), ('dead', 'dead', 'dead'))
        ) AND NOT EXISTS (
            SELECT FROM returns_evidenceline o JOIN returns_evidence v ON v.id = o.evidence_id
            WHERE o.case_id = l.case_id AND o.reference = l.reference AND o.part = l.part AND o.kind = l.kind
              AND v.correction_id IS NULL AND o.id < l.id) THEN ''
        WHEN l.kind = 'settled' AND (t.state = 'settled' OR EXISTS (
            SELECT FROM returns_match m JOIN returns_evidenceline d ON d.id = m.line_id
            WHERE m.attempt_id = t.id AND d.kind = 'settled' AND t.state IN ('pending', 'unknown'))) THEN 'settled_twice'
        -- Not yet: the settlement that it undoes may still come.
        WHEN l.kind = 'returned' AND t.state IN ('pending', 'unknown') THEN ''
        WHEN l.kind = 'settled' AND t.state IN ('refused', 'dead', 'returned') AND EXISTS (
            SELECT FROM returns_attempt h WHERE h.holds_return_id = r.id) THEN 'overpaid'
        WHEN l.kind = 'settled' AND t.state IN ('refused', 'dead') THEN 'paid_after_refusal'
        WHEN l.kind = 'returned' THEN 'nothing_to_return'
        ELSE 'contradicts'
    END AS problem
    FROM returns_evidenceline l
    LEFT JOIN returns_assetreturn r ON r.case_id = l.case_id AND r.reference = l.reference
    LEFT JOIN books_asset a ON a.id = r.asset_id
    LEFT JOIN returns_submission s ON s.rail_key = l.part AND l.part <> ''
    LEFT JOIN LATERAL (
        SELECT t.id, t.state FROM returns_attempt t
        WHERE t.asset_return_id = r.id AND (l.part = '' OR t.batch_id = s.batch_id AND t.part = s.part)
        ORDER BY t.id DESC LIMIT 1
    ) t ON true
    WHERE l.id = ANY (%(lines)s::bigint[]) AND NOT EXISTS (SELECT FROM returns_match m WHERE m.line_id = l.id)
) p
WHERE e.id = p.id AND p.problem <> ''
RETURNING e.id, e.problem
"""


@transaction.atomic
def run(case: Case, *, by: User | None, at: datetime) -> Found:
    """Match everything new in a case. Doing it again changes nothing."""
    if by is not None:
        appointments.require(case, by, "returns.evidence", at=at)
    seen = matched = queued = last = 0
    while True:
        found = chunk(case, last, by=by, at=at)
        seen, matched, queued = seen + found.seen, matched + found.matched, queued + found.queued
        if not found.seen:
            return Found(seen, matched, queued, last)
        last = found.last


def chunk(case: Case, after: int, *, by: User | None, at: datetime) -> Found:
    """The next lines that are neither matched nor queued, in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(NEW, {"case": case.pk, "after": after, "chunk": CHUNK})
        kinds: dict[int, str] = dict(cursor.fetchall())
        lines = list(kinds)
        if not lines:
            return Found(0, 0, 0, after)
        of_banks = statements.take(case, lines)
        matched, queued, rest = of_banks.matched, list(of_banks.queued), {"lines": numbers(of_banks.rest)}
        # Most chunks are settlements only, and all of them fit: then the first statement is all.
        decided = 0
        for of, sql in ((DECIDING, DECIDE), (("returned",), COME_BACK)):
            if any(kinds[line] in of for line in of_banks.rest):
                cursor.execute(sql, rest)
                decided += cursor.rowcount
        matched += decided
        if decided < len(of_banks.rest):
            cursor.execute(QUEUE, rest)
            queued += cursor.fetchall()
    if queued:
        # In the order in which every act takes its locks: the case's stops, the books, the record.
        made = _stop_if_alarming(case, [line for line, problem in queued if problem in ALARMING], at=at)
        overpaid = _overpayments(case, [line for line, problem in queued if problem == "overpaid"], by=by, at=at)
        for stop in made:
            body = {"rail": stop.rail, "reason": stop.reason}
            log.append(case, "stop.made", subject=stop, by=None, at=at, body=body)
        for row in overpaid:
            overpayments.tell_found(row, by=by, at=at)
        counts: dict[str, int] = {}
        for _line, problem in queued:
            counts[problem] = counts.get(problem, 0) + 1
        log.append(case, "evidence.queued", subject=case, by=by, at=at, body={"problems": counts})
    return Found(len(lines), matched, len(queued), lines[-1])


def _overpayments(case: Case, lines: list[int], *, by: User | None, at: datetime) -> list[Overpayment]:
    """More left the estate than was owed: a receivable, line by line."""
    found: list[Overpayment] = []
    if not lines:
        return found
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT l.id, r.id, t.id, r.asset_id
               FROM returns_evidenceline l
               JOIN returns_assetreturn r ON r.case_id = l.case_id AND r.reference = l.reference
               JOIN LATERAL (
                   SELECT t.id FROM returns_attempt t
                   LEFT JOIN returns_submission s ON s.batch_id = t.batch_id AND s.part = t.part
                   WHERE t.asset_return_id = r.id AND t.holds_return_id IS NULL AND (l.part = '' OR s.rail_key = l.part)
                   ORDER BY t.id DESC LIMIT 1
               ) t ON true
               WHERE l.id = ANY (%s)""",
            [lines],
        )
        rows = cursor.fetchall()
    for line, owed, attempt, asset in rows:
        found.append(
            overpayments.found(
                case, EvidenceLine.objects.get(pk=line), Asset.objects.get(pk=asset), AssetReturn.objects.get(pk=owed),
                Attempt.objects.get(pk=attempt), by=by, at=at,
            )
        )  # fmt: skip
    return found


def _stop_if_alarming(case: Case, lines: list[int], *, at: datetime) -> list[Stop]:
    """Stop the rails on which something moved that should not have, unless they are stopped already."""
    made: list[Stop] = []
    first = EvidenceLine.objects.filter(pk__in=lines).select_related("evidence").order_by("pk").first()
    if first is None:
        return made
    for rail in sorted(set(EvidenceLine.objects.filter(pk__in=lines).values_list("evidence__rail", flat=True))):
        if case.stops.filter(rail__in=["", rail], lifted_at__isnull=True).exists():
            continue
        words = {
            "name": first.evidence.name, "line": first.line, "problem": {"sentence": _in_english(first), "words": {}},
        }  # fmt: skip
        made.append(stops.put(case, reason=gettext_noop("%(name)s, line %(line)s: %(problem)s"), words=words, by=None, at=at, rail=rail))
    return made


def _in_english(line: EvidenceLine) -> str:
    with override("en"):
        return sentence(line)


def sentence(line: EvidenceLine) -> str:
    """Why this line waits for a person."""
    return str(PROBLEMS.get(line.problem, line.problem))
