"""
From cooling to usable, by the database's clock; and out of use again.

    NotLive  the version is revoked already
"""

from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from administration.cases import appointments
from administration.cases.models import Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from claims.destinations.models import Destination, DestinationState


class NotLive(Refused):
    """A revoked version stays revoked; a new one must be proposed."""


# Of each claim and asset, the newest version that is usable or has cooled off. What it replaces goes first.
NEWEST = """
    SELECT claim_id, asset_id, max(version) AS version FROM destinations_destination
    WHERE case_id = %(case)s AND (state = 'usable' OR state = 'cooling' AND usable_from <= clock_timestamp())
    GROUP BY claim_id, asset_id
"""
REPLACE = f"""
UPDATE destinations_destination old
SET state = 'revoked', revoked_at = %(at)s, revoke_reason = 'replaced by version ' || newest.version
FROM ({NEWEST}) newest
WHERE old.claim_id = newest.claim_id AND old.asset_id = newest.asset_id AND old.version < newest.version
  AND old.state IN ('cooling', 'usable')
"""  # noqa: S608 - of our own texts only
RELEASE = f"""
UPDATE destinations_destination d SET state = 'usable'
FROM ({NEWEST}) newest
WHERE d.claim_id = newest.claim_id AND d.asset_id = newest.asset_id AND d.version = newest.version
  AND d.state = 'cooling' AND d.usable_from <= clock_timestamp()
"""  # noqa: S608 - of our own texts only
DUE = (
    "SELECT EXISTS (SELECT FROM destinations_destination WHERE state = 'cooling' AND usable_from <= clock_timestamp())"
)

CASES_DUE = """
SELECT DISTINCT d.case_id FROM destinations_destination d JOIN cases_case k ON k.id = d.case_id
WHERE d.state = 'cooling' AND d.usable_from <= clock_timestamp() AND k.state = 'open'
"""


def due() -> list[int]:
    """The open cases in which something has cooled off and is not usable yet."""
    with connection.cursor() as cursor:
        cursor.execute(CASES_DUE)
        return [row[0] for row in cursor.fetchall()]


@transaction.atomic
def release(case: Case, *, by: User | None = None, at: datetime) -> int:
    """Make usable what has cooled off. Returns how many; nothing is recorded when there are none."""
    with connection.cursor() as cursor:
        cursor.execute(DUE)
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute("SELECT destinations_analyze()")
        cursor.execute(REPLACE, {"case": case.pk, "at": at})
        replaced = int(cursor.rowcount)
        cursor.execute(RELEASE, {"case": case.pk})
        released = int(cursor.rowcount)
    if released or replaced:
        body = {"usable": released, "replaced": replaced}
        log.append(case, "destinations.cooled_off", subject=case, by=by, at=at, body=body)
    return released


@transaction.atomic
def revoke(destination: Destination, *, reason: str, by: User | None, at: datetime) -> None:
    """
    Take a version out of use: the customer vetoed it, or money sent there came back.

    `by` is None when the system acts on evidence (a bounce). A person needs the power to verify.
    """
    case = destination.case
    if by is not None:
        appointments.require(case, by, "destinations.verify", at=at)
    if not reason.strip():
        raise NotLive(_("Say why this destination is revoked."))
    moved = Destination.objects.filter(~Q(state=DestinationState.REVOKED), pk=destination.pk).update(
        state=DestinationState.REVOKED, revoked_at=at, revoke_reason=reason
    )
    if moved != 1:
        raise NotLive(_("This destination was revoked before. Nothing was changed."))
    destination.refresh_from_db()
    body = {
        "claim": destination.claim.number,
        "asset": destination.asset.code,
        "version": destination.version,
        "reason": reason,
    }
    log.append(case, "destination.revoked", subject=destination, by=by, at=at, body=body)
