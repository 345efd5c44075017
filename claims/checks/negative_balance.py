"""Accounts that owed the exchange something, whatever was done about it: their customers may be asked to pay."""

from django.utils.translation import ngettext

from claims.checks.checks import Check

CHECK = Check(
    name="negative_balance",
    sql="""
        SELECT DISTINCT c.number
        FROM ledger_ledgerbalance b
        JOIN register_claim c ON c.ledger_account_id = b.ledger_account_id AND c.kind = 'scheduled'
        WHERE b.case_id = %(case)s AND b.amount < 0
    """,
    sentence=lambda count: (
        ngettext(
            "%(count)d account has a negative balance in the exchange's ledger: it was excluded from its claim.",
            "%(count)d accounts have a negative balance in the exchange's ledger: they were excluded from their claims.",
            count,
        )
        % {"count": count}
    ),
)
