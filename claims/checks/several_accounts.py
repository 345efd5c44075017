"""Claims of one customer with several accounts: each stands alone, and the law may ask to see them together."""

from django.utils.translation import ngettext

from claims.checks.checks import Check

CHECK = Check(
    name="several_accounts",
    sql="""
        SELECT c.number FROM register_claim c
        WHERE c.case_id = %(case)s AND c.kind = 'scheduled' AND c.claimant_id IN (
            SELECT claimant_id FROM register_claim WHERE case_id = %(case)s AND kind = 'scheduled'
            GROUP BY claimant_id HAVING count(*) > 1
        )
    """,
    sentence=lambda count: (
        ngettext(
            "%(count)d claim is of a customer with several accounts.",
            "%(count)d claims are of customers with several accounts.",
            count,
        )
        % {"count": count}
    ),
)
