"""
Which claims are one person's, so that caps, minimums, notices and payments count a person once.

Claims stay one per account. A group is a number: of a person, or (below zero) of a customer who is nobody's double. What a
distribution run rests on is as frozen: give its `run.grouping`.
"""

from collections.abc import Iterable

from django.db import connection

from administration.cases.models import Case
from administration.ledger.models import Grouping

NOW = 2**63 - 1


def of(case: Case, claim_ids: Iterable[int], *, as_of: Grouping | None = None) -> dict[int, int]:
    """Claim → group, for these claims. Set-based work joins register_claim_groups(case, as_of) instead."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT claim_id, group_key FROM register_claim_groups(%s, %s) WHERE claim_id = ANY(%s)",
            [case.pk, as_of.as_of if as_of else NOW, list(claim_ids)],
        )
        return dict(cursor.fetchall())


def together(case: Case, claim_ids: Iterable[int], *, as_of: Grouping | None = None) -> dict[int, list[int]]:
    """Group → all claims of that person in the case, for the persons of these claims."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH groups AS MATERIALIZED (SELECT * FROM register_claim_groups(%s, %s))
               SELECT group_key, array_agg(claim_id ORDER BY claim_id) FROM groups
               WHERE group_key IN (SELECT group_key FROM groups WHERE claim_id = ANY(%s)) GROUP BY group_key""",
            [case.pk, as_of.as_of if as_of else NOW, list(claim_ids)],
        )
        return {key: list(claims) for key, claims in cursor.fetchall()}
