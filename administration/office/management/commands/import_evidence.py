"""Take in a rail's statement from a file; or, with --ask, read it from the rail itself."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from administration.errors import Refused
from administration.office.command import ActCommand
from administration.returns import evidence


class Command(ActCommand):
    help = __doc__
    default_user = "goto"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case")
        parser.add_argument("file", type=Path, nargs="?")
        parser.add_argument("--ask", action="store_true", help=_("ask the rail for its statement instead of reading a file"))
        parser.add_argument("--rail", default="rehearsal")

    def run(self, **options: Any) -> dict[str, Any]:
        case, actor = self.case(options["case"]), self.actor()
        if options["ask"]:
            job = self.wait(evidence.observe(case, options["rail"], by=actor, at=self.now()))
            return self.outcome(f"{options['rail']} statement", "received", count=(job.result or {}).get("count", 0))
        path: Path | None = options["file"]
        if path is None or not path.is_file():
            raise Refused(_("There is no file %(file)s. Give the statement's path, or --ask.") % {"file": path or ""})
        made = evidence.receive(case, options["rail"], name=path.name, data=path, by=actor, at=self.now())
        return self.outcome(made.name, "received", count=made.lines_count, content_sha256=made.sha256)
