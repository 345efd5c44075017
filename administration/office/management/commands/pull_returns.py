"""Pull the return log of a case for an auditor."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from administration.audit import pulls
from administration.office.command import ActCommand


class Command(ActCommand):
    """The pull is kept in the archive; with --out a copy is handed out."""

    help = "Pull every return of a case, with its population statement and, as JSONL, all it takes to verify it."
    default_user = "chiba"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case")
        parser.add_argument("--format", choices=pulls.FORMATS)
        parser.add_argument("--out", type=Path)
        parser.add_argument("--again", type=int, metavar="NUMBER", help=_("the same pull again, from the archive"))

    def run(self, **options: Any) -> dict[str, Any]:
        case, out, by, at = self.case(options["case"]), options["out"], self.actor(), self.now()
        if options["again"]:
            pull = case.pulls.filter(number=options["again"]).first()
            if pull is None or out is None:
                raise CommandError(_("--again names a pull of the case, and --out says where it goes."), returncode=2)
            pulls.hand_out_again(pull, out=out, by=by, at=at)
        elif options["format"]:
            pull = pulls.make(case, format=options["format"], out=out, by=by, at=at)
        else:
            raise CommandError(_("Say which pull with --format or --again."), returncode=2)
        returns = pull.population["returns"]
        totals: dict[str, int] = {}
        for line in returns["sums"]:
            totals[line["asset"]] = totals.get(line["asset"], 0) + int(line["amount"])
        path = out / pull.file_name if out else pulls.path_of(pull)
        return {
            **self.outcome(pull, "made", count=int(returns["count"]), totals=totals, content_sha256=pull.sha256),
            "file": str(path),
        }
