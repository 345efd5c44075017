"""
How many sign for an act, and whether the office-holder must be among them.

The profile says it for the proceeding; a case may ask for more, never for less. The database knows the
floor below which nothing goes.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from administration.cases import appointments, profiles
from administration.cases.models import Case, PolicyOverride
from administration.errors import Refused
from administration.people.models import User
from administration.record import log


class NotStricter(Refused):
    """A case's own policy may only ask for more than what holds already."""


@dataclass(frozen=True)
class Policy:
    """`signers` people besides the preparer; with `office_holder`, every joint one or any single one among them."""

    signers: int
    office_holder: bool


def of(case: Case, act: str) -> Policy:
    """The strictest of the profile's policy and the case's own."""
    signers, office_holder = profiles.approval(case, act)
    for own in case.policies.filter(act=act):
        signers, office_holder = max(signers, own.signers), office_holder or own.office_holder
    return Policy(signers, office_holder)


@transaction.atomic
def ask_more(case: Case, act: str, *, signers: int, office_holder: bool, by: User, at: datetime) -> Policy:
    """Ask for more signatures for one act of this case. Requests made before keep the policy they were made under."""
    appointments.require(case, by, "cases.policy", at=at)
    now = of(case, act)
    if signers < now.signers or (now.office_holder and not office_holder) or now == Policy(signers, office_holder):
        raise NotStricter(
            _("This needs %(signers)s signatures in case %(case)s already; a case may only ask for more.")
            % {"signers": now.signers, "case": case}
        )
    row = PolicyOverride.objects.create(case=case, act=act, signers=signers, office_holder=office_holder, by=by, at=at)
    log.append(
        case,
        "policy.made_stricter",
        subject=row,
        by=by,
        at=at,
        body={"act": act, "signers": signers, "office_holder": "yes" if office_holder else "no"},
    )
    return Policy(signers, office_holder)
