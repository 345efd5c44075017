"""Claim codes, and the file of letters for the printer."""

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _

from administration.errors import Refused
from administration.office.command import ActCommand
from claims.portal import codes
from claims.register.models import Claim


class Command(ActCommand):
    """The codes stand in the printed letters and nowhere else: the database keeps their hashes."""

    help = "Make a claim code for every claim that has none, and one file of letters for the printer."
    default_user = "goto"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case")
        parser.add_argument("--claim", action="append", default=[], help=_("a new letter for this claim; its older code ends"))

    def run(self, **options: Any) -> dict[str, Any]:
        case = self.case(options["case"])
        claims = None
        if options["claim"]:
            claims = list(Claim.objects.filter(case=case, number__in=options["claim"]).values_list("pk", flat=True))
            if len(claims) != len(set(options["claim"])):
                raise Refused(_("Not all of these claims are of case %(case)s. Look at their numbers.") % {"case": case})
        path = codes.issue(case, claims=claims, by=self.actor(), at=self.now())
        with path.open("rb") as file:
            letters = sum(1 for _line in file) - 1
        return {**self.outcome(case, "printed", count=letters), "file": str(path)}
