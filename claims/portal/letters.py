"""One letter by hand, for the sample case: a person can sign in with what it says."""

import csv
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _

from administration.cases.models import Case
from administration.errors import Refused
from administration.people.models import User
from claims.portal import codes
from claims.register.models import Claim


class NoLetter(Refused):
    """Letters are read out on the embedded sample only, and only if a claim fits."""


def sample_letter(case: Case, *, by: User, at: datetime) -> list[str]:
    """
    A fresh letter to one customer of the sample case, as lines to print: Doi, if the sample has one, or somebody like her.

    Only on the embedded stack and in a sample case: elsewhere a claim code is seen by the printer and the customer.
    """
    if not (settings.EMBEDDED and case.is_sample):
        raise NoLetter(_("Letters are read out on the embedded sample only."))
    persons = (
        Claim.objects.filter(
            case=case, claimant__identity__entity_type="individual", claimant__identity__birth_or_founding_date__isnull=False,
            claimant__identity__kyc_status="verified", confirmed_at__isnull=True, holds__isnull=True, lines__admitted__gt=0,
        )
        .exclude(claimant__identity__email="")
        .distinct()
    )  # fmt: skip
    found = persons.filter(claimant__identity__romaji__istartswith="DOI").order_by("number").first()
    found = found or persons.filter(lines__asset__code="JPY").order_by("number").first() or persons.order_by("number").first()
    if found is None:
        raise NoLetter(_("No claim of the sample case fits a letter."))
    path = codes.issue(case, claims=[found.pk], by=by, at=at)
    with path.open(encoding="utf-8", newline="") as file:
        code = next(csv.DictReader(file))["code"]
    path.unlink()  # read out here, so there is nothing to print
    identity = found.claimant.identity
    return [
        _("Claim of %(name)s (%(number)s)") % {"name": identity.name, "number": found.number},
        _("Claim code: %(code)s") % {"code": code},
        _("Date of birth: %(date)s") % {"date": identity.birth_or_founding_date},
        _("The second code comes by e-mail; here each mail is a file in %(folder)s") % {"folder": settings.EMAIL_FILE_PATH},
    ]
