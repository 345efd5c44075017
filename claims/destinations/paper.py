"""
Destinations a customer names on signed paper, keyed by two people independently.

    NotPayable   the rails could not pay there
    NotTheSame   the second person read something else on the paper
    SamePerson   the first person keyed it again
"""

from collections.abc import Mapping
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from administration import wording
from administration.books.models import Asset
from administration.cases import appointments
from administration.errors import Refused
from administration.people.models import User
from administration.rails import accounts, addresses
from administration.record import log
from claims.destinations.models import Destination, Origin
from claims.register.models import Claim

PROVE = """
UPDATE destinations_destination
SET state = 'cooling', proved_at = %(at)s, second_keyed_by_id = %(by)s,
    usable_from = clock_timestamp() + make_interval(hours => %(hours)s)
WHERE id = %(destination)s AND origin = 'paper' AND state = 'proposed'
"""


class NotPayable(Refused):
    """No rail could pay there; the message says what is wrong."""


class NotTheSame(Refused):
    """Two people read two different things on one paper."""


class SamePerson(Refused):
    """The second key is another person's."""


@transaction.atomic
def propose(
    claim: Claim, asset: Asset, *, network: str, details: Mapping[str, str], evidence: bytes, by: User, at: datetime
) -> Destination:
    """Key in what the paper says. `evidence` is the SHA-256 of its scan. It waits for a second person."""
    appointments.require(claim.case, by, "destinations.verify", at=at)
    payable = _payable(asset, network, details)
    Claim.objects.select_for_update(no_key=True).get(pk=claim.pk)  # one version after the other
    last = Destination.objects.filter(claim=claim, asset=asset).aggregate(last=Max("version"))["last"] or 0
    made = Destination.objects.create(
        case=claim.case, claim=claim, asset=asset, version=last + 1, network=network, details=payable,
        fingerprint=fingerprint(network, payable), origin=Origin.PAPER, keyed_by=by, proposed_at=at,
    )  # fmt: skip
    body = {"claim": claim.number, "asset": asset.code, "version": made.version, "evidence_sha256": evidence.hex()}
    log.append(claim.case, "destination.proposed", subject=made, by=by, at=at, body=body)
    return made


@transaction.atomic
def second_key(
    destination: Destination, *, network: str, details: Mapping[str, str], by: User, at: datetime
) -> Destination:
    """Another person keys in the same paper without seeing the first one's text. If both agree, it begins to cool off."""
    case = destination.case
    appointments.require(case, by, "destinations.verify", at=at)
    if by.pk == destination.keyed_by_id:
        raise SamePerson(_("You keyed this destination yourself. Ask somebody else to read the paper."))
    theirs = fingerprint(network, _payable(destination.asset, network, details))
    if theirs != bytes(destination.fingerprint):
        raise NotTheSame(
            _("This is not what the first person read. Look at the paper together; if the first was wrong, revoke it.")
        )
    with connection.cursor() as cursor:
        cursor.execute(PROVE, {"at": at, "by": by.pk, "destination": destination.pk, "hours": case.cooling_off_hours})
        if cursor.rowcount != 1:
            raise NotTheSame(_("This destination waits for no second key any more. Reload it and look again."))
    destination.refresh_from_db()
    body = {
        "claim": destination.claim.number, "asset": destination.asset.code, "version": destination.version,
        "fingerprint": theirs.hex(),
    }  # fmt: skip
    log.append(case, "destination.proved", subject=destination, by=by, at=at, body=body)
    return destination


def fingerprint(network: str, details: Mapping[str, str]) -> bytes:
    """The database's own."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT destination_fingerprint(%s, jsonb_object(%s::text[], %s::text[]))",
            [network, list(details.keys()), list(details.values())],
        )
        return bytes(cursor.fetchone()[0])


def _payable(asset: Asset, network: str, details: Mapping[str, str]) -> dict[str, str]:
    """The details in the one spelling we keep, or a refusal with what is wrong."""
    if asset.network == "bank":
        names = ("bank_code", "branch_code", "kind", "number", "holder_kana")
        check = accounts.check(*(details.get(name, "") for name in names))
    else:
        check = addresses.check(asset.code, network, details.get("address", ""), details.get("memo", ""))
    if not check.ok:
        raise NotPayable(
            _("Nothing could be paid there: %(why)s Ask the customer.")
            % {"why": " ".join(wording.said(str(error)) for error in check.errors)}
        )
    return dict(check.normalized)
