"""
What a rail says that it paid and nobody has explained yet: it is not taken away from under whoever explains it.

A return that is cancelled can be corrected no more, and its line's amount would go out again under another reference.
"""

from collections.abc import Iterable

from django.db import connection
from django.utils.translation import gettext as _

from administration.cases.models import Case
from administration.fields import numbers
from administration.returns.models import Round

OF_LINES = """
SELECT p.reference, c.number
FROM returns_said_paid p
JOIN register_claimline l ON l.id = p.claim_line_id
JOIN register_claim c ON c.id = l.claim_id
WHERE p.case_id = %s AND p.claim_line_id = ANY (%s::bigint[]) ORDER BY p.reference LIMIT 1
"""

# OFFSET 0: looked up for each of the few, where a join might read every return.
OF_ROUND = """
SELECT p.claim_line_id
FROM returns_said_paid p
WHERE p.case_id = %s AND EXISTS (
    SELECT FROM returns_assetreturn r
    WHERE r.claim_line_id = p.claim_line_id AND r.round_id = %s AND r.state IN ('scheduled', 'held') OFFSET 0)
ORDER BY p.reference LIMIT 1
"""


def why_not(case: Case, claim_lines: Iterable[int]) -> str:
    """Why nothing of these claim lines may be taken back or set apart; empty: nothing speaks against it."""
    with connection.cursor() as cursor:
        cursor.execute(OF_LINES, [case.pk, numbers(claim_lines)])
        found = cursor.fetchone()
    if found is None:
        return ""
    return _(
        "The rail says that it paid return %(return)s of claim %(claim)s, and nobody has explained that yet. Have two people "
        "correct its attempt by that line of evidence, or explain the line, then look again."
    ) % {"return": found[0], "claim": found[1]}


def why_not_the_round(current: Round) -> str:
    """The same for everything of a round that waits in no batch."""
    with connection.cursor() as cursor:
        cursor.execute(OF_ROUND, [current.case_id, current.pk])
        return why_not(current.case, [int(pk) for (pk,) in cursor.fetchall()])
