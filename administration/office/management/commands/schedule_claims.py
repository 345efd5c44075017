"""`schedule_claims CASE`: one claim for each account of the accepted ledger; later, claims follow its corrections."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.utils.translation import ngettext

from administration.office.command import ActCommand
from claims.checks import checks
from claims.register import corrections, schedule


class Command(ActCommand):
    help = "Make one claim for each account of the accepted ledger, and say what the checks find."
    default_user = "goto"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case", metavar="CASE", help="the case's reference")

    def run(self, *, case: str, **options: Any) -> dict[str, Any]:
        found = self.case(case)
        by = self.actor()
        job = self.wait(schedule.schedule(found, by=by, at=self.now()))
        if changed := corrections.follow(found, by=by, at=self.now()):
            said = ngettext(
                "%(count)d line followed a correction of the ledger.",
                "%(count)d lines followed corrections of the ledger.",
                changed,
            )
            print(said % {"count": changed}, file=sys.stderr)
        for finding in checks.run(found):
            if finding.count:
                print(f"{finding.sentence} ({', '.join(finding.examples)})", file=sys.stderr)
        result = job.result or {}
        totals = {code: int(units) for code, units in result.get("totals", {}).items()}
        return self.outcome(found, "scheduled", count=int(result.get("claims", 0)), totals=totals)
