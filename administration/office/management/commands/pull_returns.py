"""Pull the return log of a case for an auditor."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from administration.audit import pulls
from administration.office.command import ActCommand


class Command(ActCommand):
    """The pull is kept in the archive; with --out a copy is handed out."""

    help = "Pull every return of a case, with its population statement and, as JSONL, all it takes to verify it."
    default_user = "chiba"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case")
        parser.add_argument("--format", choices=pulls.FORMATS, required=True)
        parser.add_argument("--out", type=Path)

    def run(self, **options: Any) -> dict[str, Any]:
        case = self.case(options["case"])
        pull = pulls.make(case, format=options["format"], out=options["out"], by=self.actor(), at=self.now())
        returns = pull.population["returns"]
        totals: dict[str, int] = {}
        for line in returns["sums"]:
            totals[line["asset"]] = totals.get(line["asset"], 0) + int(line["amount"])
        path = options["out"] / pull.file_name if options["out"] else pulls.path_of(pull)
        return {
            **self.outcome(pull, "made", count=int(returns["count"]), totals=totals, content_sha256=pull.sha256),
            "file": str(path),
        }
