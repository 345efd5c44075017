"""Claims of different people that name the same bank account or address: a mule, a family, or a mistake."""

from django.utils.translation import ngettext

from claims.checks.checks import Check

CHECK = Check(
    name="shared_destination",
    sql="""
        SELECT DISTINCT c.number
        FROM (
            SELECT d.fingerprint FROM destinations_destination d JOIN register_claim c ON c.id = d.claim_id
            WHERE d.case_id = %(case)s AND d.state <> 'revoked'
            GROUP BY d.fingerprint HAVING min(c.claimant_id) <> max(c.claimant_id)
        ) shared
        JOIN destinations_destination d ON d.fingerprint = shared.fingerprint AND d.case_id = %(case)s AND d.state <> 'revoked'
        JOIN register_claim c ON c.id = d.claim_id
    """,
    sentence=lambda count: (
        ngettext(
            "%(count)d claim names a destination that another customer names too: look before anything is returned there.",
            "%(count)d claims name a destination that another customer names too: look before anything is returned there.",
            count,
        )
        % {"count": count}
    ),
)
