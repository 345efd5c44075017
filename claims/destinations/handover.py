"""
Destinations from the exchange's files: proposed with the claims, proved by an order.

    NotPermitted  the order does not permit it, or is of another case
"""

from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.cases import appointments, orders
from administration.cases.models import Case, CourtOrder
from administration.errors import Refused
from administration.people.models import User
from administration.record import covers, log

PERMIT = "destinations.verify_handover"


class NotPermitted(Refused):
    """The order named does not permit to rely on the exchange's files."""


# Those the rails could pay. What does not pass their checks stays where it was handed over, as evidence.
PROPOSE = """
INSERT INTO destinations_destination (
    case_id, claim_id, asset_id, version, network, details, fingerprint, origin, state, proposed_at, revoke_reason
)
SELECT %(case)s, h.claim_id, h.asset_id,
       coalesce(known.version, 0) + row_number() OVER (PARTITION BY h.claim_id, h.asset_id ORDER BY h.row, h.id),
       h.network, h.details, h.fingerprint, 'handover', 'proposed', %(at)s, ''
FROM (
    SELECT c.id AS claim_id, h.asset_id, h.row, h.id, h.network, h.details,
           destination_fingerprint(h.network, h.details) AS fingerprint
    FROM ledger_handedoverdestination h
    JOIN register_claim c ON c.ledger_account_id = h.ledger_account_id AND c.kind = 'scheduled'
    WHERE h.valid AND h.case_id = %(case)s AND h.ledger_account_id > %(after)s AND h.ledger_account_id <= %(last)s
) h
LEFT JOIN (
    SELECT d.claim_id, d.asset_id, max(d.version) AS version,
           array_agg(d.fingerprint) FILTER (WHERE d.origin = 'handover') AS fingerprints
    FROM destinations_destination d
    WHERE d.claim_id BETWEEN  -- of these claims, by the index; others in between do not matter
        -- + 0: by their accounts. For a bare min() all claims might be walked from the first, and these are the last.
        (SELECT min(id + 0) FROM register_claim WHERE ledger_account_id > %(after)s AND ledger_account_id <= %(last)s)
        AND (SELECT max(id + 0) FROM register_claim WHERE ledger_account_id > %(after)s AND ledger_account_id <= %(last)s)
    GROUP BY 1, 2
) known ON known.claim_id = h.claim_id AND known.asset_id = h.asset_id
WHERE known.fingerprints IS NULL OR h.fingerprint <> ALL (known.fingerprints)
ORDER BY h.claim_id, h.asset_id, h.row, h.id
"""


def propose(case: Case, after: int, last: int, at: datetime) -> None:
    """Propose what the files say for a stretch of accounts. Follows `claims.register.schedule`, in its chunk."""
    with connection.cursor() as cursor:
        cursor.execute(PROPOSE, {"case": case.pk, "after": after, "last": last, "at": at})


# Where the files name several for one asset, nobody knows which is right: those wait for the customer.
PROVE = """
UPDATE destinations_destination d
SET state = 'cooling', proved_at = %(at)s, order_id = %(order)s,
    usable_from = clock_timestamp() + make_interval(hours => %(hours)s)
WHERE d.case_id = %(case)s AND d.origin = 'handover' AND d.state = 'proposed' AND NOT EXISTS (
    SELECT FROM destinations_destination e
    WHERE e.claim_id = d.claim_id AND e.asset_id = d.asset_id AND e.id <> d.id AND e.state <> 'revoked'
)
"""

VERIFIED = """
SELECT c.number AS claim, a.code AS asset_code, d.version::text, d.network, encode(d.fingerprint, 'hex') AS fingerprint
FROM destinations_destination d
JOIN register_claim c ON c.id = d.claim_id
JOIN books_asset a ON a.id = d.asset_id
WHERE d.order_id = %(order)s::bigint AND d.origin = 'handover' AND d.proved_at = %(at)s::timestamptz
ORDER BY c.number COLLATE "C", a.code COLLATE "C", d.version
"""
COVER = "destinations.verified"


@transaction.atomic
def verify_by_order(case: Case, order: CourtOrder, *, by: User, at: datetime) -> int:
    """
    Rely on the exchange's files by a court's order: every proposed destination that is the only one known for
    its claim and asset is proved and begins to cool off. Returns how many.
    """
    appointments.require(case, by, "destinations.verify", at=at)
    if order.case_id != case.pk or PERMIT not in order.permits:
        raise NotPermitted(
            _(
                "Order %(order)s does not permit to rely on destinations handed over in case %(case)s. Name the one that does."
            )
            % {"order": order, "case": case}
        )
    orders.require(order, at)
    given: dict[str, Any] = {"case": case.pk, "order": order.pk, "at": at, "hours": case.cooling_off_hours}
    with connection.cursor() as cursor:
        cursor.execute("SELECT destinations_analyze()")
        cursor.execute(PROVE, given)
        proved = int(cursor.rowcount)
    covered = covers.cover(COVER, order=order.pk, at=at.isoformat())
    body = {"order": order.number, "proved": proved, "cooling_off_hours": case.cooling_off_hours}
    log.append(case, "destinations.verified", subject=order, by=by, at=at, body=body, covers=covered)
    return proved
