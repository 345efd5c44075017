"""The register derived anew, for whoever verifies the record: lines from decisions, decisions from events, sums from entries."""

from django.db import connection
from django.utils.translation import gettext as _

from administration.cases.models import Case
from claims.register.tie_out import tie_out

# A line stands as its newest decision says; a rule admits what is recorded within scope, or nothing.
LINES = """
SELECT c.number, s.code
FROM register_claimline l
JOIN register_claim c ON c.id = l.claim_id
JOIN books_asset s ON s.id = l.asset_id
JOIN register_position p ON p.claim_line_id = l.id
JOIN register_decision d ON d.id = l.decision_id
LEFT JOIN (
    SELECT claim_line_id, max(id) AS newest FROM register_decision
    WHERE case_id = %(case)s AND claim_line_id IS NOT NULL GROUP BY 1
) n ON n.claim_line_id = l.id
WHERE l.case_id = %(case)s AND (
    coalesce(n.newest, l.decision_id) <> l.decision_id
    OR (d.claim_line_id IS NULL) <> (n.newest IS NULL)
    OR d.claim_line_id IS NOT NULL AND (l.admitted, l.rejected) IS DISTINCT FROM (d.admitted, d.rejected)
    OR d.claim_line_id IS NULL AND (l.rejected <> 0 OR l.admitted NOT IN (0, l.recorded + l.corrected - l.out_of_scope))
    OR l.excess <> greatest(0, p.given + l.converted_out - l.admitted - l.converted_in)
)
ORDER BY c.number, s.code LIMIT 1
"""

# What was decided is what the record says was decided.
DECISIONS = """
SELECT c.number, s.code
FROM register_decision d
JOIN register_claimline l ON l.id = d.claim_line_id
JOIN register_claim c ON c.id = l.claim_id
JOIN books_asset s ON s.id = l.asset_id
LEFT JOIN (
    SELECT subject_id, body::jsonb AS body FROM record_event WHERE case_id = %(case)s AND kind = 'claim.decided'
) e ON e.subject_id = d.id::text
WHERE d.case_id = %(case)s AND (
    e.subject_id IS NULL
    OR (e.body ->> 'claim', e.body ->> 'asset', e.body ->> 'class', e.body ->> 'admitted', e.body ->> 'rejected')
        IS DISTINCT FROM (c.number::text, s.code::text, l.claim_class::text, d.admitted::text, d.rejected::text)
)
ORDER BY d.id LIMIT 1
"""


def derive(case: Case) -> str | None:
    """What of the register does not follow from its decisions, events and entries: the first, as a sentence, or None."""
    with connection.cursor() as cursor:
        for sql, sentence in (
            (LINES, _("claim %(claim)s does not stand in %(asset)s as it was decided.")),
            (DECISIONS, _("a decision of claim %(claim)s in %(asset)s is not the one that was recorded.")),
        ):
            cursor.execute(sql, {"case": case.pk})
            if row := cursor.fetchone():
                return sentence % {"claim": row[0], "asset": row[1]}
    statements = tie_out(case)
    for row in (*statements["assets"], *statements["claims"]):
        if row["difference"] != "0":
            return _("%(asset)s does not tie, by %(difference)s units.") % {
                "asset": row["code"],
                "difference": row["difference"],
            }
    return None
