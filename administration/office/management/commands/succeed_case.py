"""The operator's way to a successor, when not two approvers are left to sign."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from administration.cases import opening
from administration.office.command import ActCommand


class Command(ActCommand):
    help = "Replace the office-holder by a registered order, from a TOML file; refused while two approvers are left."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def run(self, **options: Any) -> dict[str, Any]:
        made = opening.succeed_from(options["file"], at=self.now())
        return {
            **self.outcome(
                made.case, "stopped", content_sha256=made.account_sha256, awaiting=[made.successor.username]
            ),
            "predecessor": made.predecessor.username,
            "successor": made.successor.username,
            "by_operator": made.by_operator,
        }
