"""The books derived anew from their postings, for whoever verifies the record: nothing stored is believed."""

from django.db import connection
from django.utils.translation import gettext as _

from administration.cases.models import Case

# An entry's body is the hash of what was posted: a changed amount, account or kind no longer fits it.
ENTRIES = """
SELECT e.idem_key
FROM books_entry e
JOIN books_entrykind k ON k.kind = e.kind
LEFT JOIN (
    SELECT p.entry_id, count(*) AS lines,
           array_agg(p.asset_id ORDER BY p.asset_id) FILTER (WHERE p.side = 'D') AS assets,
           array_agg(p.amount ORDER BY p.asset_id) FILTER (WHERE p.side = 'D') AS amounts,
           array_agg(p.amount ORDER BY p.asset_id) FILTER (WHERE p.side = 'C') AS credited,
           max(a.ref) AS ref, min(a.kind) FILTER (WHERE p.side = 'D') AS debit, min(a.kind) FILTER (WHERE p.side = 'C') AS credit
    FROM books_posting p JOIN books_account a ON a.id = p.account_id GROUP BY p.entry_id
) p ON p.entry_id = e.id
WHERE e.case_id = %s AND (
    p.entry_id IS NULL OR p.lines <> e.n_lines OR p.amounts IS DISTINCT FROM p.credited
    OR (p.debit, p.credit) IS DISTINCT FROM (k.debit::text, k.credit::text)
    OR e.body_sha256 IS DISTINCT FROM books_body(e.kind, p.ref, e.subject_kind, e.subject_id, p.assets, p.amounts)
)
ORDER BY e.id LIMIT 1
"""

BALANCES = """
SELECT s.code, a.kind, b.debits, b.credits, coalesce(p.debits, 0), coalesce(p.credits, 0)
FROM books_account a
JOIN books_asset s ON s.id = a.asset_id
JOIN books_balance b ON b.account_id = a.id
LEFT JOIN (
    SELECT account_id, coalesce(sum(amount) FILTER (WHERE side = 'D'), 0) AS debits,
           coalesce(sum(amount) FILTER (WHERE side = 'C'), 0) AS credits
    FROM books_posting GROUP BY account_id
) p ON p.account_id = a.id
WHERE a.case_id = %s AND (b.debits, b.credits) IS DISTINCT FROM (coalesce(p.debits, 0), coalesce(p.credits, 0))
ORDER BY s.code, a.kind LIMIT 1
"""


def derive(case: Case) -> str | None:
    """What of the books does not follow from the postings: the first, as a sentence, or None."""
    with connection.cursor() as cursor:
        cursor.execute(ENTRIES, [case.pk])
        if row := cursor.fetchone():
            return _("entry “%(key)s” is not what was posted.") % {"key": row[0]}
        cursor.execute(BALANCES, [case.pk])
        if row := cursor.fetchone():
            return _("account %(kind)s in %(asset)s does not have the balance of its postings.") % {
                "asset": row[0],
                "kind": row[1],
            }
    return None
