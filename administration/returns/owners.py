"""
Who looks after what waits for a person. Until somebody is named it is the case officers, or else the office-holder.

    NotAssigned   there is nothing of that name, or that person may not act on it
"""

from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.cases import appointments
from administration.cases.models import Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.returns.models import Assignment

POWER = "returns.evidence"


class NotAssigned(Refused):
    """It stays with whoever had it."""


@transaction.atomic
def assign(case: Case, matter: str, thing: str, *, owner: User, by: User, at: datetime) -> Assignment:
    """From now on this person looks after it. The record says who had it when."""
    appointments.require(case, by, POWER, at=at)
    if not there_is(case, matter, thing):
        raise NotAssigned(_("There is nothing called %(thing)s here that could wait for somebody.") % {"thing": thing})
    if owner not in able(case, at=at):
        raise NotAssigned(_("%(user)s may not act on it in this case. Name somebody of the office.") % {"user": owner.username})
    made = Assignment.objects.create(case=case, matter=matter, thing=thing, owner=owner, by=by, at=at)
    log.append(
        case, "exception.assigned", subject=(matter, thing), by=by, at=at,
        body={"matter": matter, "thing": thing, "owner": owner.username},
    )  # fmt: skip
    return made


def able(case: Case, *, at: datetime) -> list[User]:
    """Who can be named: everybody in office with the power to act on evidence."""
    live = appointments.live(case, at=at).filter(powers__contains=[POWER]).select_related("user").order_by("user__username")
    return list(dict.fromkeys(one.user for one in live))


def there_is(case: Case, matter: str, thing: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT there_is_a_matter(%s, %s, %s)", [case.pk, matter, thing])
        return bool(cursor.fetchone()[0])


def of(case: Case, *, at: datetime) -> dict[tuple[str, str], User]:
    """Whose each thing is, by the newest word on it, as far as that person is still in office."""
    newest = Assignment.objects.filter(case=case).order_by("matter", "thing", "-pk").distinct("matter", "thing").select_related("owner")
    in_office = set(able(case, at=at))
    return {(row.matter, row.thing): row.owner for row in newest if row.owner in in_office}
