"""What the return engine tells the lower rooms at the start: its jobs, approvals, covers, and its account of the state."""

from typing import Any

from django.db import connection

from administration.cases import approvals
from administration.cases.models import Case
from administration.record import covers
from administration.returns import (
    batches,
    cancelling,
    corrections,
    evidence,
    hours,
    limits,
    moving,
    pace,
    rounds,
    routes,
    sending,
    settlement,
    submissions,
)
from administration.returns.models import LimitKind
from administration.work import jobs
from claims.register import review

# Rows in natural keys only, of what never changes any more.
ROUND = """
SELECT r.reference, c.number AS claim, l.claim_class, a.code AS asset, r.amount::text AS amount
FROM returns_assetreturn r
JOIN returns_round o ON o.id = r.round_id JOIN cases_case k ON k.id = o.case_id
JOIN register_claimline l ON l.id = r.claim_line_id JOIN register_claim c ON c.id = l.claim_id
JOIN books_asset a ON a.id = r.asset_id
WHERE k.reference = %(case)s AND o.number = %(round)s::integer AND r.after_id IS NULL
ORDER BY r.reference COLLATE "C"
"""

CARRIED = """
SELECT c.number AS claim, l.claim_class, a.code AS asset, k.amount::text AS amount
FROM returns_carried k
JOIN returns_round o ON o.id = k.round_id JOIN cases_case e ON e.id = o.case_id
JOIN register_claimline l ON l.id = k.claim_line_id JOIN register_claim c ON c.id = l.claim_id
JOIN books_asset a ON a.id = k.asset_id
WHERE e.reference = %(case)s AND o.number = %(round)s::integer
ORDER BY c.number COLLATE "C", a.code COLLATE "C", l.claim_class COLLATE "C"
"""

CANCELLED = """
SELECT r.reference, a.code AS asset, r.amount::text AS amount
FROM returns_assetreturn r JOIN books_asset a ON a.id = r.asset_id
WHERE r.cancellation_id = %(cancellation)s::bigint
ORDER BY r.reference COLLATE "C"
"""

BATCH = """
SELECT i ->> 'reference' AS reference, i ->> 'claim' AS claim, i ->> 'asset' AS asset, i ->> 'amount' AS amount,
       i ->> 'network' AS network, i ->> 'destination' AS destination, i ->> 'part' AS part
FROM returns_batch b JOIN returns_manifest m ON m.batch_id = b.id
CROSS JOIN LATERAL jsonb_array_elements(m.body::jsonb -> 'items') AS i
WHERE b.reference = %(batch)s
ORDER BY reference COLLATE "C"
"""

ATTEMPTS = """
SELECT r.reference, t.part::text AS part, a.code AS asset, r.amount::text AS amount
FROM returns_attempt t
JOIN returns_batch b ON b.id = t.batch_id JOIN returns_assetreturn r ON r.id = t.asset_return_id
JOIN books_asset a ON a.id = r.asset_id
WHERE b.reference = %(batch)s
ORDER BY r.reference COLLATE "C"
"""

EVIDENCE = """
SELECT l.line::text AS line, encode(l.fingerprint, 'hex') AS fingerprint, l.kind, l.reference, l.part, l.asset_code AS asset,
       l.amount::text AS amount, micros(l.at) AS at, l.reason
FROM returns_evidence e JOIN cases_case k ON k.id = e.case_id JOIN returns_evidenceline l ON l.evidence_id = e.id
WHERE k.reference = %(case)s AND e.sha256 = decode(%(sha256)s, 'hex')
ORDER BY l.line
"""

# The chunk first: planned the other way round, every chunk would read all lines of the case. (coalesce: the planner takes
# an instant that it has never seen for a rare one, and would look up every row of thousands in five tables.)
APPLIED = """
WITH applied AS MATERIALIZED (
    SELECT line_id, attempt_id, amount FROM returns_match
    WHERE id BETWEEN %(first)s::bigint AND %(last)s::bigint AND coalesce(applied_at = %(applied_at)s::timestamptz, false)
)
SELECT r.reference, l.kind, encode(l.fingerprint, 'hex') AS fingerprint, b.reference AS batch, a.code AS asset,
       m.amount::text AS amount
FROM applied m
JOIN returns_evidenceline l ON l.id = m.line_id
JOIN returns_attempt t ON t.id = m.attempt_id JOIN returns_batch b ON b.id = t.batch_id
JOIN returns_assetreturn r ON r.id = t.asset_return_id JOIN books_asset a ON a.id = r.asset_id
WHERE l.case_id = (SELECT id FROM cases_case WHERE reference = %(case)s)
ORDER BY r.reference COLLATE "C", l.kind, fingerprint
"""

# By the evidence that was applied to it: what became of a batch later (money that comes back, a correction) is told later.
OUTCOME = """
SELECT r.reference, l.kind, a.code AS asset, m.amount::text AS amount
FROM returns_batch b JOIN returns_attempt t ON t.batch_id = b.id
JOIN returns_match m ON m.attempt_id = t.id JOIN returns_evidenceline l ON l.id = m.line_id
JOIN returns_assetreturn r ON r.id = t.asset_return_id JOIN books_asset a ON a.id = r.asset_id
WHERE b.reference = %(batch)s AND l.kind <> 'returned' AND m.id <= %(last)s::bigint
ORDER BY r.reference COLLATE "C", l.kind
"""


def register() -> None:
    for name, sql in (
        ("returns.round", ROUND),
        ("returns.carried", CARRIED),
        ("returns.cancelled", CANCELLED),
        (moving.COVER, moving.DESTINATIONS),
        ("returns.batch", BATCH),
        ("returns.attempts", ATTEMPTS),
        ("returns.evidence", EVIDENCE),
        ("returns.applied", APPLIED),
        ("returns.outcome", OUTCOME),
    ):
        covers.register(name, sql)
    jobs.register(rounds.JOB, rounds.step)
    jobs.register(submissions.JOB, submissions.step)
    jobs.register(sending.JOB, sending.step, atomic=False)
    for code in routes.codes():
        jobs.register(evidence.job_of(code), evidence.step, atomic=False)
    jobs.register(settlement.JOB, settlement.step)
    approvals.register(
        batches.ACT,
        content=batches.content,
        precondition=batches.ready_to_approve,
        after=batches.approved,
        rejected=batches.rejected,
        live=batches.can_still_move,
        find=batches.find,
        resumed=submissions.resumed,
        declined=submissions.declined,
    )
    review.register_follower(rounds.follow_decision)
    jobs.register(cancelling.JOB, cancelling.step)
    jobs.register(moving.JOB, moving.step)
    approvals.register(pace.ACT, content=pace.content, after=pace.signed)
    pace.register(tuple(LimitKind.values), limits.widened)
    pace.register(("window",), hours.widened)
    approvals.register(
        corrections.ACT, content=corrections.content, after=corrections.signed, rejected=corrections.rejected
    )
    _give_account()
    from administration.returns import tail_registrations

    tail_registrations.register()


def _give_account() -> None:
    """What a successor finds of returns: frozen into the account of the state."""
    try:
        from administration.cases import succession
    except ImportError:
        return
    succession.register_account("returns", account)


def account(case: Case) -> dict[str, Any]:
    """Batches with their states and sums; returns by state and asset; parts by state."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT reference, state, rail, items::text, totals::text, encode(manifest_sha256, 'hex')
               FROM returns_batch WHERE case_id = %s ORDER BY reference""",
            [case.pk],
        )
        found = [
            dict(zip(("reference", "state", "rail", "items", "totals", "manifest_sha256"), row, strict=True))
            for row in cursor.fetchall()
        ]
        cursor.execute(
            """SELECT r.state, a.code, count(*)::text, sum(r.amount)::text
               FROM returns_assetreturn r JOIN books_asset a ON a.id = r.asset_id
               WHERE r.case_id = %s GROUP BY r.state, a.code ORDER BY r.state, a.code""",
            [case.pk],
        )
        returns = [dict(zip(("state", "asset", "count", "amount"), row, strict=True)) for row in cursor.fetchall()]
        cursor.execute(
            """SELECT b.reference, s.state, count(*)::text, sum(s.items)::text
               FROM returns_submission s JOIN returns_batch b ON b.id = s.batch_id
               WHERE b.case_id = %s GROUP BY b.reference, s.state ORDER BY b.reference, s.state""",
            [case.pk],
        )
        parts = [dict(zip(("batch", "state", "parts", "returns"), row, strict=True)) for row in cursor.fetchall()]
    return {"batches": found, "returns": returns, "parts": parts}
