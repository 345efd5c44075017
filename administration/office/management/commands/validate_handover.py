"""What a living exchange can run every night: is this package such that an administrator could take it over?"""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from administration.ledger import validating
from administration.office import readiness
from administration.office.command import ActCommand
from administration.office.management.commands.take_over import report_object, sentence


class Command(ActCommand):
    help = "Check a handover package as take_over would, without a case. Nothing is kept."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", metavar="DIR", help=_("the folder of the package"))
        parser.add_argument("--html", metavar="FILE", default="", help=_("write a report of one page there, in both languages"))

    def run(self, **options: Any) -> dict[str, Any]:
        started = time.monotonic()
        found = validating.validate(Path(options["directory"]))
        if options["html"]:
            Path(options["html"]).write_text(readiness.html(found), "utf-8")
        refused = found.report.refused
        state = "refused" if refused else "valid"
        report = report_object(found.report.as_json(), ok=not refused, state=state, since=started)
        return report | found.as_json() | {"sentence": readiness.verdict(found)}

    def sentence(self, result: dict[str, Any]) -> str:
        return f"{sentence(result)}\n{result['sentence']}"
