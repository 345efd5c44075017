"""
What follows from the approved manifests and the evidence, derived anew and compared with the returns as they stand.

Registered with the record's verification: somebody who changes a row with the triggers off leaves the record as it
was, and then the row no longer follows from it.
"""

from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.record import verify

# Each manifest was frozen by an event; its hash is in the event's body.
MANIFEST = """
SELECT b.reference FROM returns_batch b
LEFT JOIN returns_manifest m ON m.batch_id = b.id
LEFT JOIN LATERAL (
    SELECT e.body::jsonb ->> 'manifest_sha256' AS sha256 FROM record_event e
    WHERE e.case_id = b.case_id AND e.kind = 'batch.frozen' AND e.subject_id = b.id::text ORDER BY e.number LIMIT 1
) e ON true
WHERE b.case_id = %(case)s AND b.state <> 'draft' AND (b.state <> 'voided' OR m.batch_id IS NOT NULL)
  AND (e.sha256 IS DISTINCT FROM encode(sha256(convert_to(m.body, 'UTF8')), 'hex')
       OR e.sha256 IS DISTINCT FROM encode(b.manifest_sha256, 'hex'))
ORDER BY b.reference LIMIT 1
"""

# A return that went out, or is about to, is what its batch's manifest says.
RETURN = """
WITH said AS MATERIALIZED (
    SELECT m.batch_id, i ->> 'reference' AS reference, i ->> 'amount' AS amount, i ->> 'asset' AS asset,
           i ->> 'claim' AS claim, i ->> 'destination' AS destination, i ->> 'part' AS part
    FROM returns_manifest m JOIN returns_batch b ON b.id = m.batch_id
    CROSS JOIN LATERAL jsonb_array_elements(m.body::jsonb -> 'items') i
    WHERE b.case_id = %(case)s
)
SELECT r.reference, b.reference FROM returns_assetreturn r
JOIN returns_batch b ON b.id = r.batch_id AND b.state <> 'draft'
JOIN books_asset a ON a.id = r.asset_id
JOIN register_claimline l ON l.id = r.claim_line_id JOIN register_claim c ON c.id = l.claim_id
LEFT JOIN destinations_destination d ON d.id = r.destination_id
LEFT JOIN said s ON s.batch_id = b.id AND s.reference = r.reference
WHERE r.case_id = %(case)s AND (s.amount, s.asset, s.claim, s.destination, s.part)
    IS DISTINCT FROM (r.amount::text, a.code, c.number, encode(d.fingerprint, 'hex'), r.part::text)
ORDER BY r.reference LIMIT 1
"""

# Settled means: one attempt settled, and one line of evidence of exactly its amount was applied to it. A bank's line names
# no return: what is matched to it, or was paid twice by it, comes to exactly its amount (the debit of a whole file, a
# credit somebody recognised).
SETTLED = """
WITH unnamed AS MATERIALIZED (
    SELECT e.id, sum(m.amount) + coalesce((
        SELECT sum(v.amount) FROM returns_overpayment v WHERE v.line_id = e.id), 0) = e.amount AS spent
    FROM returns_evidenceline e JOIN returns_match m ON m.line_id = e.id
    WHERE e.case_id = %(case)s AND e.reference = '' GROUP BY e.id
), applied AS MATERIALIZED (
    SELECT m.attempt_id,
           count(*) FILTER (WHERE e.kind = 'settled') AS settled, count(*) FILTER (WHERE e.kind = 'returned') AS returned,
           bool_and(m.amount = r.amount AND coalesce(u.spent, e.amount = r.amount AND e.reference = r.reference)) AS equal
    FROM returns_match m JOIN returns_evidenceline e ON e.id = m.line_id LEFT JOIN unnamed u ON u.id = e.id
    JOIN returns_attempt t ON t.id = m.attempt_id JOIN returns_assetreturn r ON r.id = t.asset_return_id
    WHERE e.case_id = %(case)s AND m.applied_at IS NOT NULL GROUP BY m.attempt_id
), tried AS MATERIALIZED (
    SELECT t.asset_return_id, count(*) FILTER (WHERE t.state = 'settled') AS settled,
           count(*) FILTER (WHERE t.state = 'returned') AS returned,
           bool_and(
               coalesce(a.equal, true)
               AND coalesce(a.settled, 0) = CASE WHEN t.state IN ('settled', 'returned') THEN 1 ELSE 0 END
               AND coalesce(a.returned, 0) = CASE WHEN t.state = 'returned' THEN 1 ELSE 0 END
           ) AS told
    FROM returns_attempt t LEFT JOIN applied a ON a.attempt_id = t.id
    JOIN returns_assetreturn r ON r.id = t.asset_return_id
    WHERE r.case_id = %(case)s GROUP BY t.asset_return_id
)
SELECT r.reference, r.state FROM returns_assetreturn r LEFT JOIN tried t ON t.asset_return_id = r.id
WHERE r.case_id = %(case)s AND (
    NOT coalesce(t.told, true)
    OR coalesce(t.settled, 0) <> CASE WHEN r.state = 'settled' THEN 1 ELSE 0 END
    OR r.state = 'returned' AND coalesce(t.returned, 0) = 0
)
ORDER BY r.reference LIMIT 1
"""

# That something was never paid, and whatever else people found, rests on a correction that was signed and taken.
FOUND = """
SELECT e.name FROM returns_evidence e LEFT JOIN returns_correction c ON c.id = e.correction_id
WHERE e.case_id = %(case)s
  AND (e.correction_id IS NOT NULL
       OR e.id IN (SELECT l.evidence_id FROM returns_evidenceline l WHERE l.case_id = %(case)s AND l.kind = 'dead'))
  AND NOT EXISTS (
      SELECT FROM cases_approvalrequest q
      WHERE q.case_id = e.case_id AND q.act = 'returns.correct' AND q.object_id = c.id AND q.state IN ('granted', 'suspended')
        AND q.content_sha256 = correction_sha256(c) AND c.finding <> '' AND c.applied_at IS NOT NULL)
ORDER BY e.id LIMIT 1
"""

# What is granted, or was until a succession, was signed by those its event names, by as many as it and its act need.
GRANTED = """
WITH granted AS MATERIALIZED (
    SELECT e.subject_id, e.body::jsonb AS body FROM record_event e
    WHERE e.case_id = %(case)s AND e.kind = 'approval.granted'
), signed AS MATERIALIZED (
    SELECT s.request_id, count(*) AS many, bool_or(a.kind = 'office_holder') AS holder, jsonb_agg(u.username) AS people
    FROM cases_signature s JOIN cases_appointment a ON a.id = s.appointment_id JOIN people_user u ON u.id = s.signer_id
    WHERE s.case_id = %(case)s AND a.user_id = s.signer_id AND s.signer_id <> s.prepared_by_id GROUP BY s.request_id
)
SELECT q.id::text, q.act FROM cases_approvalrequest q
LEFT JOIN signed s ON s.request_id = q.id LEFT JOIN granted g ON g.subject_id = q.id::text
WHERE q.case_id = %(case)s AND q.state IN ('granted', 'suspended') AND NOT coalesce(
    s.many >= greatest(q.signers, cases_signers_at_least(q.act))
    AND (s.holder OR NOT q.office_holder AND NOT cases_needs_the_office_holder(q.act))
    AND g.body ->> 'content_sha256' = encode(q.content_sha256, 'hex')
    AND g.body -> 'signers' @> s.people AND s.people @> (g.body -> 'signers'), false)
ORDER BY q.id LIMIT 1
"""

# Attempts are made at an export, which needs the approval; a succession may have suspended it since.
TRIED = """
SELECT b.reference FROM returns_batch b
LEFT JOIN cases_approvalrequest q ON q.case_id = b.case_id AND q.act = 'returns.batch' AND q.object_id = b.id
    AND q.content_sha256 = b.manifest_sha256 AND q.state IN ('granted', 'suspended')
WHERE b.case_id = %(case)s AND q.id IS NULL AND EXISTS (SELECT FROM returns_attempt t WHERE t.batch_id = b.id)
ORDER BY b.reference LIMIT 1
"""


def register() -> None:
    verify.register_derivation("returns", returns)
    verify.register_derivation("approvals", approvals)


def returns(case: Any) -> str | None:
    """The first batch or return that does not follow from what was approved and what the evidence says."""
    if row := _first(MANIFEST, case):
        return _("the manifest of batch %(batch)s is not the one that was frozen") % {"batch": row[0]}
    if row := _first(RETURN, case):
        return _("return %(return)s is not what the manifest of batch %(batch)s says") % {"return": row[0], "batch": row[1]}
    if row := _first(SETTLED, case):
        return _("return %(return)s is %(state)s, which its attempts and the evidence applied to them do not say") % {
            "return": row[0], "state": row[1],
        }  # fmt: skip
    if row := _first(FOUND, case):
        return _("the evidence “%(name)s” is what people found, and no two of them have signed it") % {"name": row[0]}
    return None


def approvals(case: Any) -> str | None:
    """The first approval, or batch of which something was tried, that lacks its signatures."""
    if row := _first(GRANTED, case):
        return _("request %(request)s (%(act)s) is approved without the signatures it needs") % {
            "request": row[0], "act": row[1],
        }  # fmt: skip
    if row := _first(TRIED, case):
        return _("batch %(batch)s was tried without its approval") % {"batch": row[0]}
    return None


def _first(sql: str, case: Any) -> tuple[str, ...] | None:
    with transaction.atomic(), connection.cursor() as cursor:
        # Nothing is known of the size of what a manifest says, and LIMIT 1 makes the planner hope: hash, do not loop.
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(sql, {"case": case.pk})
        row: tuple[str, ...] | None = cursor.fetchone()
        cursor.execute("SET LOCAL enable_nestloop = on")
    return row
