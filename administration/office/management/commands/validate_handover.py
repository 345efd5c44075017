"""What a living exchange can run every night: is this package such that an administrator could take it over?"""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from administration.ledger import inspection
from administration.office.command import ActCommand
from administration.office.management.commands.take_over import report_object, sentence


class Command(ActCommand):
    help = "Check a handover package as take_over would, without a case. Nothing is kept."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", metavar="DIR", help=_("the folder of the package"))

    def run(self, **options: Any) -> dict[str, Any]:
        started = time.monotonic()
        report = inspection.validate(Path(options["directory"]))
        state = "refused" if report.refused else "valid"
        return report_object(report.as_json(), ok=not report.refused, state=state, since=started)

    def sentence(self, result: dict[str, Any]) -> str:
        return sentence(result)
