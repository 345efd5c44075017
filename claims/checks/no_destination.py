"""Claims with something admitted in an asset and nowhere to return it."""

from django.utils.translation import ngettext

from claims.checks.checks import Check

CHECK = Check(
    name="no_destination",
    sql="""
        SELECT DISTINCT c.number
        FROM register_claimline l JOIN register_claim c ON c.id = l.claim_id
        WHERE l.case_id = %(case)s AND l.admitted > 0 AND NOT EXISTS (
            SELECT FROM destinations_destination d
            WHERE d.claim_id = l.claim_id AND d.asset_id = l.asset_id AND d.state <> 'revoked'
        )
    """,
    sentence=lambda count: (
        ngettext(
            "%(count)d claim has an asset without any destination: its customer must name one.",
            "%(count)d claims have an asset without any destination: their customers must name one.",
            count,
        )
        % {"count": count}
    ),
)
