"""What the tail of returns tells the lower rooms at the start: its approvals and what its events cover."""

from django.db import connection
from django.utils.translation import gettext as _

from administration.cases import approvals
from administration.cases.models import Case
from administration.record import covers, verify
from administration.returns import (
    after_cutoff,
    apart,
    closing,
    depositing,
    explaining,
    failures,
    forfeiting,
    overpayments,
    sales,
)
from administration.returns.models import (
    DepositFiling,
    Explanation,
    ForcedSale,
    Forfeiture,
    LateReturn,
    Recovery,
    Release,
    Residue,
)

LINE = """
FROM {rows} d JOIN {head} f ON f.id = d.{key} JOIN cases_case k ON k.id = f.case_id
JOIN register_claimline l ON l.id = d.{line} JOIN register_claim c ON c.id = l.claim_id JOIN books_asset a ON a.id = l.asset_id
WHERE k.reference = %(case)s AND f.number = %({name})s::integer
ORDER BY c.number COLLATE "C", a.code COLLATE "C", l.claim_class COLLATE "C"
"""
DEPOSITS = LINE.format(rows="returns_courtdeposit", head="returns_depositfiling", key="filing_id", line="claim_line_id", name="filing")
SHARES = LINE.format(rows="returns_saleshare", head="returns_forcedsale", key="sale_id", line="claim_line_id", name="sale")
SOLD = LINE.format(rows="returns_saleshare", head="returns_forcedsale", key="sale_id", line="into_line_id", name="sale")
FORFEITED = LINE.format(
    rows="returns_forfeitedline", head="returns_forfeiture", key="forfeiture_id", line="claim_line_id", name="forfeiture"
)
LATE = """
SELECT c.number::text AS claim, 'after_cutoff'::text AS class, a.code::text AS asset, d.amount::text AS amount
FROM returns_latereturnline d JOIN returns_latereturn f ON f.id = d.late_return_id JOIN cases_case k ON k.id = f.case_id
JOIN register_claim c ON c.ledger_account_id = d.ledger_account_id AND c.kind = 'scheduled' JOIN books_asset a ON a.id = d.asset_id
WHERE k.reference = %(case)s AND f.number = %(late_return)s::integer
ORDER BY c.number COLLATE "C", a.code COLLATE "C"
"""  # the account's claim is there before its line
COLUMNS = "SELECT c.number::text AS claim, l.claim_class::text AS class, a.code::text AS asset, "

COVERS = {
    depositing.COVER: COLUMNS + "d.amount::text AS amount" + DEPOSITS,
    depositing.DEPOSITED: COLUMNS + "d.amount::text AS amount, d.number, d.deposited_on::text AS deposited_on" + DEPOSITS,
    sales.COVER: COLUMNS + "d.quantity::text AS amount" + SHARES,
    sales.SHARED: COLUMNS + "d.proceeds::text AS amount, d.quantity::text AS quantity" + SOLD,
    forfeiting.COVER: COLUMNS + "d.amount::text AS amount" + FORFEITED,
    after_cutoff.COVER: LATE,
}


def register() -> None:
    for name, sql in COVERS.items():
        covers.register(name, sql)
    approvals.register(
        depositing.ACT, content=apart.content(depositing.ACT), precondition=depositing.precondition, after=depositing.signed,
        rejected=apart.rejected(DepositFiling), live=apart.is_live(DepositFiling), find=depositing.find,
    )  # fmt: skip
    approvals.register(
        sales.ACT, content=apart.content(sales.ACT), precondition=sales.precondition, after=sales.signed,
        rejected=apart.rejected(ForcedSale), live=apart.is_live(ForcedSale), find=sales.find,
    )  # fmt: skip
    approvals.register(
        closing.ACT, content=apart.content(closing.ACT), precondition=closing.precondition, after=closing.signed,
        rejected=apart.rejected(Residue), live=apart.is_live(Residue),
    )  # fmt: skip
    approvals.register(
        forfeiting.ACT, content=apart.content(forfeiting.ACT), precondition=forfeiting.precondition, after=forfeiting.signed,
        rejected=apart.rejected(Forfeiture),
    )  # fmt: skip
    approvals.register(
        after_cutoff.ACT, content=apart.content(after_cutoff.ACT), precondition=after_cutoff.precondition, after=after_cutoff.signed,
        rejected=apart.rejected(LateReturn), find=after_cutoff.find,
    )  # fmt: skip
    approvals.register(
        overpayments.WRITE_OFF, content=apart.content(overpayments.WRITE_OFF), after=overpayments.written_off,
        rejected=apart.rejected(Recovery),
    )  # fmt: skip
    approvals.register(
        explaining.ACT, content=apart.content(explaining.ACT), after=explaining.signed, rejected=apart.rejected(Explanation)
    )
    approvals.register(
        failures.ACT, content=apart.content(failures.ACT), after=failures.released, rejected=apart.rejected(Release)
    )
    for act, after in ((depositing.ACT, depositing.given_up), (sales.ACT, sales.given_up), (closing.ACT, closing.given_up)):
        approvals.register(act + apart.BACK, content=apart.content(act + apart.BACK), after=after)
    verify.register_derivation("returns.tail", derive)


# What was deposited for a line is what the Bureau's receipts say; what was recovered is Σ of the recoveries.
DEPOSITED = """
SELECT c.number, a.code FROM register_position p
JOIN register_claimline l ON l.id = p.claim_line_id JOIN register_claim c ON c.id = l.claim_id JOIN books_asset a ON a.id = l.asset_id
LEFT JOIN (
    SELECT d.claim_line_id, sum(d.amount) AS amount FROM returns_courtdeposit d JOIN returns_depositfiling f ON f.id = d.filing_id
    WHERE f.state = 'done' AND d.case_id = %(case)s GROUP BY 1
) d ON d.claim_line_id = p.claim_line_id
WHERE p.case_id = %(case)s AND (p.deposited > 0 OR d.amount IS NOT NULL) AND p.deposited IS DISTINCT FROM coalesce(d.amount, 0)
ORDER BY c.number, a.code LIMIT 1
"""
RECOVERED = """
SELECT r.reference, a.code FROM returns_overpayment v
JOIN books_asset a ON a.id = v.asset_id JOIN returns_evidenceline r ON r.id = v.line_id
WHERE v.case_id = %(case)s AND v.recovered <> coalesce(
    (SELECT sum(y.amount) FROM returns_recovery y WHERE y.overpayment_id = v.id AND y.state = 'done'), 0)
ORDER BY r.reference LIMIT 1
"""


# A line that was let go by an explanation was so as two people signed it; what they said that left is a receivable.
EXPLAINED = """
SELECT coalesce(nullif(l.reference, ''), e.name), l.asset_code FROM returns_evidenceline l JOIN returns_evidence e ON e.id = l.evidence_id
LEFT JOIN returns_explanation x ON x.line_id = l.id AND x.state = 'done'
LEFT JOIN returns_overpayment v ON v.line_id = l.id
WHERE l.case_id = %(case)s AND l.problem <> '' AND (l.problem = 'explained' OR x.id IS NOT NULL) AND NOT coalesce(
    (x.kind = 'paid') = (l.problem = 'overpaid') AND (x.kind IN ('paid', 'taken')) = (v.id IS NOT NULL)
    AND EXISTS (
        SELECT FROM cases_approvalrequest q WHERE q.act = 'returns.explain' AND q.object_id = x.id AND q.case_id = l.case_id
          AND q.state IN ('granted', 'suspended') AND q.content_sha256 = tail_content('returns.explain', x.id)), false)
ORDER BY l.id LIMIT 1
"""

# A line of what came in after the cut-off says what the entries say, and what two people signed; and is given in full.
LATE_LINES = """
SELECT c.number, a.code FROM register_claimline l JOIN register_claim c ON c.id = l.claim_id JOIN books_asset a ON a.id = l.asset_id
LEFT JOIN ledger_after_cutoff(%(case)s) n ON n.ledger_account_id = c.ledger_account_id AND n.asset_id = l.asset_id
LEFT JOIN returns_latereturnline h ON h.claim_line_id = l.id LEFT JOIN returns_latereturn f ON f.id = h.late_return_id
JOIN register_position p ON p.claim_line_id = l.id
WHERE l.case_id = %(case)s AND l.claim_class = 'after_cutoff' AND l.recorded > 0 AND (
    l.recorded = n.net AND l.recorded = h.amount AND f.state = 'done' AND p.given = l.recorded + l.converted_in - l.converted_out
) IS NOT TRUE
ORDER BY c.number, a.code LIMIT 1
"""


def derive(case: Case) -> str | None:
    """What of the tail does not follow from its rows: the first, as a sentence, or None."""
    with connection.cursor() as cursor:
        for sql, sentence in (
            (DEPOSITED, _("what was deposited for claim %(what)s in %(asset)s is not what the receipts say.")),
            (RECOVERED, _("what was recovered of return %(what)s in %(asset)s is not what its recoveries say.")),
            (EXPLAINED, _("the line of evidence on %(what)s in %(asset)s was not explained as two people signed it.")),
            (LATE_LINES, _("what claim %(what)s received after the cut-off in %(asset)s is not what the entries say, or was not signed.")),
        ):
            cursor.execute(sql, {"case": case.pk})
            if row := cursor.fetchone():
                return sentence % {"what": row[0], "asset": row[1]}
    return None
