"""
Owed and held, per asset, side by side and frozen.

    NotAccepted  the ledger is not accepted yet: nobody knows what is owed
"""

from datetime import datetime
from fractions import Fraction
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.cases import appointments
from administration.cases.models import Case
from administration.custody import holdings
from administration.custody.models import Reconciliation
from administration.errors import Refused
from administration.ledger.models import Intake, IntakeState
from administration.people.models import User
from administration.record import covers, log

COVER = "custody.reconciliation"


class NotAccepted(Refused):
    """What is owed is known from an accepted ledger only."""


# Each place counts once, with its newest holding: proved and the customers', or one of the others.
STATE = """
INSERT INTO custody_reconciliation (
    case_id, number, asset_id, ledger, adjustments, after_cutoff, owed, held_proved, held_other, difference, by_id, at
)
SELECT a.case_id, n.number, a.id, l.sum, d.sum, late.sum, l.sum + d.sum + late.sum, h.proved, h.other,
       h.proved - l.sum - d.sum - late.sum, %(by)s, %(at)s
FROM books_asset a
CROSS JOIN (
    SELECT coalesce(max(number), 0) + 1 AS number FROM custody_reconciliation WHERE case_id = %(case)s
) n
JOIN (
    SELECT a.id, coalesce(b.sum, 0) AS sum
    FROM books_asset a
    LEFT JOIN (SELECT asset_id, sum(amount) FROM ledger_ledgerbalance WHERE case_id = %(case)s GROUP BY 1) b
        ON b.asset_id = a.id
) l ON l.id = a.id
JOIN (
    SELECT a.id, coalesce(b.sum, 0) AS sum
    FROM books_asset a
    LEFT JOIN (SELECT asset_id, sum(amount) FROM ledger_adjustment WHERE case_id = %(case)s GROUP BY 1) b
        ON b.asset_id = a.id
) d ON d.id = a.id
JOIN (
    SELECT a.id, coalesce(b.sum, 0) AS sum
    FROM books_asset a
    LEFT JOIN (
        SELECT asset_id, sum(net) FROM ledger_after_cutoff(%(case)s) WHERE net > 0 AND why <> 'house' GROUP BY 1
    ) b ON b.asset_id = a.id
) late ON late.id = a.id
JOIN (
    SELECT a.id,
           coalesce(sum(s.amount) FILTER (WHERE s.pooled), 0) AS proved,
           coalesce(sum(s.amount) FILTER (WHERE NOT s.pooled), 0) AS other
    FROM books_asset a
    LEFT JOIN (
        SELECT DISTINCT ON (h.place_id) h.asset_id, h.amount,
               h.access = 'proved' AND p.tag IN ('segregated', 'guarantee') AS pooled
        FROM custody_holding h JOIN custody_holdingplace p ON p.id = h.place_id
        WHERE h.case_id = %(case)s
        ORDER BY h.place_id, h.as_of DESC
    ) s ON s.asset_id = a.id
    GROUP BY 1
) h ON h.id = a.id
WHERE a.case_id = %(case)s
RETURNING number
"""

STATED = """
SELECT r.number::text, a.code AS asset, r.ledger::text, r.adjustments::text, r.after_cutoff::text, r.owed::text AS amount,
       r.held_proved::text, r.held_other::text, r.difference::text
FROM custody_reconciliation r
JOIN books_asset a ON a.id = r.asset_id
JOIN cases_case c ON c.id = r.case_id
WHERE c.reference = %(case)s AND r.number = %(number)s::integer
ORDER BY a.code COLLATE "C"
"""


@transaction.atomic
def run(case: Case, *, by: User, at: datetime) -> list[Reconciliation]:
    """State what is owed (ledger, adjustments, and what came in after the cut-off), what is held, and the difference, of every asset of the case."""
    appointments.require(case, by, holdings.POWER, at=at)
    if not Intake.objects.filter(case=case, state=IntakeState.ACCEPTED).exists():
        raise NotAccepted(
            _("The ledger of case %(case)s is not accepted, so nobody knows what is owed. Take it over first.")
            % {"case": case}
        )
    holdings.one_at_a_time(case)
    with connection.cursor() as cursor:
        cursor.execute(STATE, {"case": case.pk, "by": by.pk, "at": at})
        made = cursor.fetchone()
    if made is None:
        return []
    (number,) = made
    rows = stated(case, number)
    totals = {
        row.asset.code: {"owed": str(row.owed), "held": str(row.held_proved), "difference": str(row.difference)}
        for row in rows
    }
    log.append(
        case, "reconciliation.run", subject=("reconciliation", number), by=by, at=at,
        body={"number": number, "totals": totals}, covers=cover(case, number),
    )  # fmt: skip
    return rows


def stated(case: Case, number: int) -> list[Reconciliation]:
    """The rows of one reconciliation, by asset."""
    rows = Reconciliation.objects.filter(case=case, number=number)
    return list(rows.select_related("asset").order_by("asset__code"))


def newest(case: Case) -> list[Reconciliation]:
    """The rows of the last reconciliation; none if there was none."""
    last = Reconciliation.objects.filter(case=case).order_by("-number").first()
    return stated(case, last.number) if last else []


def cover(case: Case, number: int) -> covers.Cover:
    """What one reconciliation says, hashed."""
    return covers.cover(COVER, case=case.reference, number=number)


def coverage(row: Reconciliation) -> str:
    """How much of what is owed is held and proved, as an exact fraction: “97/100”; empty where nothing is owed."""
    return str(Fraction(row.held_proved, row.owed)) if row.owed > 0 else ""


def account(case: Case) -> dict[str, Any]:
    """What a successor is told of it: the last reconciliation, and what is held now at how many places."""
    rows = newest(case)
    return {
        "places": str(holdings.newest(case).count()),
        "reconciliation": str(rows[0].number) if rows else "",
        "assets": {
            row.asset.code: {
                "owed": str(row.owed),
                "held": str(row.held_proved),
                "held_other": str(row.held_other),
                "difference": str(row.difference),
            }
            for row in rows
        },
    }
