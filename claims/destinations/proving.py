"""
Destinations a customer gave on the portal, proved by the office on evidence.

    NotProved   it waits for no proof, or nothing shows that it is the customer's
"""

from datetime import datetime
from typing import Any

from django.db import connection, models, transaction
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from administration.cases import appointments
from administration.cases.models import Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from claims.destinations.models import Destination, DestinationState, Origin


class NotProved(Refused):
    """The destination was not proved."""


class How(models.TextChoices):
    """What shows that an account or address is the customer's."""

    PASSBOOK = "passbook", pgettext_lazy("proof of a destination", "copy of the passbook or card")
    NAME_CHECK = "name_check", pgettext_lazy("proof of a destination", "the bank confirmed the holder's name")
    SIGNED_MESSAGE = "signed_message", pgettext_lazy("proof of a destination", "message signed with the address's key")
    PROVIDER = "provider", pgettext_lazy("proof of a destination", "statement of the provider that holds the address")
    TEST_PAYMENT = "test_payment", pgettext_lazy("proof of a destination", "the customer named the amount of a test payment")


OF_A_BANK = (How.PASSBOOK, How.NAME_CHECK, How.TEST_PAYMENT)
OF_AN_ADDRESS = (How.SIGNED_MESSAGE, How.PROVIDER, How.TEST_PAYMENT)

PROVE = """
UPDATE destinations_destination
SET state = 'cooling', proved_at = %(at)s, proved_by_id = %(by)s, proof_sha256 = %(evidence)s,
    usable_from = clock_timestamp() + make_interval(hours => %(hours)s)
WHERE id = %(destination)s AND origin = 'claimant' AND state = 'proposed'
"""


def ways(destination: Destination) -> tuple[How, ...]:
    """What can show that this destination is the customer's."""
    return OF_A_BANK if destination.network == "bank" else OF_AN_ADDRESS


@transaction.atomic
def prove(destination: Destination, *, how: str, evidence: bytes, by: User, at: datetime) -> Destination:
    """
    What the customer gave is theirs: `evidence` is the SHA-256 of the paper that shows it. It begins to cool off.

    The office never says where returns go; it only says that what the customer said is proved.
    """
    case = destination.case
    appointments.require(case, by, "destinations.verify", at=at)
    if destination.origin != Origin.CLAIMANT_SESSION:
        raise NotProved(
            _("The customer did not give this destination on the portal. One from paper wants a second key, one handed over an order.")
        )
    if how not in ways(destination):
        raise NotProved(_("That cannot show that this destination is the customer's. Choose one of the ways for its network."))
    given: dict[str, Any] = {"at": at, "by": by.pk, "evidence": evidence, "destination": destination.pk, "hours": case.cooling_off_hours}
    with connection.cursor() as cursor:
        cursor.execute(PROVE, given)
        if cursor.rowcount != 1:
            raise NotProved(_("This destination waits for no proof any more. Reload it and look again."))
    destination.refresh_from_db()
    body = {
        "claim": destination.claim.number, "asset": destination.asset.code, "version": destination.version,
        "fingerprint": bytes(destination.fingerprint).hex(), "how": how, "evidence_sha256": evidence.hex(),
    }  # fmt: skip
    log.append(case, "destination.proved", subject=destination, by=by, at=at, body=body)
    return destination


def waiting(case: Case) -> models.QuerySet[Destination]:
    """What customers gave and nobody looked at yet, the oldest first."""
    return Destination.objects.filter(case=case, origin=Origin.CLAIMANT_SESSION, state=DestinationState.PROPOSED).order_by("pk")
