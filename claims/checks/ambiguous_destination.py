"""Claims for which the exchange's files name several destinations of one asset: no order can say which is right."""

from django.utils.translation import ngettext

from claims.checks.checks import Check

CHECK = Check(
    name="ambiguous_destination",
    sql="""
        SELECT DISTINCT c.number FROM (
            SELECT claim_id FROM destinations_destination
            WHERE case_id = %(case)s AND origin = 'handover' AND state = 'proposed'
            GROUP BY claim_id, asset_id HAVING count(*) > 1
        ) d JOIN register_claim c ON c.id = d.claim_id
    """,
    sentence=lambda count: (
        ngettext(
            "%(count)d claim has several destinations of one asset in the exchange's files: its customer must choose.",
            "%(count)d claims have several destinations of one asset in the exchange's files: their customers must choose.",
            count,
        )
        % {"count": count}
    ),
)
