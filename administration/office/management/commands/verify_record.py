"""Verify the record of a case: events, heads, what events cover, what follows from them."""

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _

from administration.office.command import ActCommand
from administration.record import verify


class Command(ActCommand):
    """Exit code 1 if anything does not fit; the first that does not is named."""

    help = "Verify a case's record against its rows, its signed heads and the head log."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case")

    def run(self, **options: Any) -> dict[str, Any]:
        return verify.verify(self.case(options["case"]))

    def sentence(self, result: dict[str, Any]) -> str:
        if result["ok"]:
            return _("%(events)s events and %(heads)s heads fit.") % result
        return str(result["first_bad"])
