"""
Reasons not to pay a claim for now: placed and lifted by people, each with a reason and a next look.

    NotHeld  the hold cannot be placed or lifted like that
"""

from datetime import date, datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from administration.cases import appointments
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from claims.register.models import Claim, Hold

KINDS = ("attachment", "dispute", "sanctions", "deceased", "str", "police", "order")
CONFIDENTIAL = ("str", "police", "order")  # telling the customer of these can be an offence


class NotHeld(Refused):
    """A hold needs a known kind, a reason and a date; it is lifted once, for a reason."""


@transaction.atomic
def place(claim: Claim, kind: str, *, reason: str, next_look: date, by: User, at: datetime) -> Hold:
    """Pay nothing on this claim until the hold is lifted. Somebody looks at it again on `next_look`."""
    appointments.require(claim.case, by, "claims.decide", at=at)
    if kind not in KINDS:
        raise NotHeld(_("There is no kind of hold “%(kind)s”. The kinds are: %(kinds)s.") % {
            "kind": kind, "kinds": ", ".join(KINDS)})  # fmt: skip
    if not reason.strip() or next_look < timezone.localdate(at):
        raise NotHeld(_("A hold needs a reason, and a date to come on which somebody looks at it again."))
    made = Hold.objects.create(
        claim=claim,
        kind=kind,
        confidential=kind in CONFIDENTIAL,
        reason=reason,
        next_look=next_look,
        placed_by=by,
        placed_at=at,
    )
    log.append(claim.case, "claim.held", subject=made, by=by, at=at, body=_said(made, reason))
    return made


@transaction.atomic
def lift(hold: Hold, *, reason: str, by: User, at: datetime) -> None:
    """The reason not to pay is gone."""
    case = hold.claim.case
    appointments.require(case, by, "claims.decide", at=at)
    if not reason.strip():
        raise NotHeld(_("Say why the hold is lifted."))
    moved = Hold.objects.filter(pk=hold.pk, lifted_at__isnull=True).update(
        lifted_at=at, lifted_by=by, lift_reason=reason
    )
    if moved != 1:
        raise NotHeld(_("This hold was lifted before. Nothing was changed."))
    hold.refresh_from_db()
    log.append(case, "claim.hold_lifted", subject=hold, by=by, at=at, body=_said(hold, reason))


def _said(hold: Hold, reason: str) -> dict[str, str]:
    """What the record says: it is read by more people than may know of a confidential hold."""
    if hold.confidential:
        return {"claim": hold.claim.number, "kind": "confidential"}
    return {"claim": hold.claim.number, "kind": hold.kind, "reason": reason}
