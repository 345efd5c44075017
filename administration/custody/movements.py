"""
What came to a place or left it, other than returns to customers.

    NotAMovement  a movement like that cannot be
"""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from administration.books import books
from administration.cases import appointments, archive, orders
from administration.cases.models import CourtOrder
from administration.custody import holdings
from administration.custody.models import COMING, GOING, POOLED, Access, HoldingPlace, Movement, MovementKind
from administration.errors import Refused
from administration.people.models import User
from administration.record import log

# What the books post; a sweep changes no sum.
ENTRIES = {kind.value: "receipt" for kind in COMING} | {kind.value: "cost_free" for kind in GOING}


class NotAMovement(Refused):
    """A movement like that cannot be."""


@transaction.atomic
def record(
    place: HoldingPlace,
    *,
    kind: str,
    amount: int,
    reason: str,
    evidence: bytes,
    evidence_name: str,
    order: CourtOrder | None = None,
    by: User,
    at: datetime,
) -> Movement:
    """
    Record that so much came (above zero) or went (below), and post it to the books.

    A sweep between places of the case is recorded at each of them and posts nothing; nor does what happens
    at a place of the exchange's own.
    """
    case = place.case
    appointments.require(case, by, holdings.POWER, at=at)
    holdings.one_at_a_time(case)
    _check(place, kind, amount, reason, evidence, evidence_name)
    if order is not None:
        if order.case_id != case.pk:
            raise NotAMovement(
                _("Order %(order)s is of another case than %(case)s.") % {"order": order, "case": case}
            )
        orders.require(order, at)
    movement = Movement.objects.create(
        case=case, place=place, kind=kind, amount=amount, reason=reason, evidence_name=evidence_name,
        evidence_sha256=archive.keep(evidence), order=order, by=by, at=at,
    )  # fmt: skip
    entry = ENTRIES.get(str(kind))
    if entry and place.tag in POOLED:
        books.post(
            case, entry, idem_key=f"movement:{movement.pk}", lines=[(place.asset, abs(amount))], subject=movement,
            by=by, at=at,
        )  # fmt: skip
    log.append(
        case,
        "movement.recorded",
        subject=movement,
        by=by,
        at=at,
        body={
            "asset": place.asset.code,
            "network": place.network,
            "locator": place.locator,
            "kind": str(kind),
            "amount": amount,
            "reason": reason,
            "order": order.number if order else "",
            "evidence_name": evidence_name,
            "evidence_sha256": bytes(movement.evidence_sha256).hex(),
        },
    )
    return movement


def _check(place: HoldingPlace, kind: str, amount: int, reason: str, evidence: bytes, evidence_name: str) -> None:
    if kind not in MovementKind.values:
        raise NotAMovement(
            _("“%(word)s” is not one of: %(words)s.") % {"word": kind, "words": ", ".join(MovementKind.values)}
        )
    if not evidence or not evidence_name:
        raise holdings.NotEvidenced(_("A movement at %(place)s needs a paper that says so, with a name.") % {"place": place})
    if not reason.strip():
        raise NotAMovement(_("Say why it moved: what came to %(place)s or left it, and for what.") % {"place": place})
    if not books.whole(amount) or (kind in COMING and amount < 0) or (kind in GOING and amount > 0):
        raise NotAMovement(
            _("What comes is above zero and what goes is below; %(amount)s is not how a %(kind)s is written.")
            % {"amount": amount, "kind": kind}
        )
    if (
        place.tag in POOLED
        and kind != MovementKind.SWEEP
        and not place.holdings.filter(access=Access.PROVED).exists()
    ):
        raise NotAMovement(
            _(
                "Nothing is proved at %(place)s yet. Record its proved holding first: "
                "it counts everything that is there, this movement included."
            )
            % {"place": place}
        )
