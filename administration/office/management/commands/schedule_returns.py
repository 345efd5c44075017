"""Schedule a round of returns after the newest declared run."""

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _

from administration.distribution.models import RunState
from administration.errors import Refused
from administration.office.command import ActCommand
from administration.returns import rounds


class Command(ActCommand):
    help = __doc__
    default_user = "goto"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case")
        parser.add_argument("--run", type=int, help=_("the number of the run; the newest declared one if not given"))

    def run(self, **options: Any) -> dict[str, Any]:
        case = self.case(options["case"])
        runs = case.runs.filter(state=RunState.DECLARED).order_by("-number")
        run = (runs.filter(number=options["run"]) if options["run"] else runs).first()
        if run is None:
            raise Refused(_("Case %(case)s has no declared run. Compute one and have it approved.") % {"case": case})
        job = self.wait(rounds.schedule(case, run, by=self.actor(), at=self.now()))
        result = job.result or {}
        totals = {code: int(units) for code, units in result.get("totals", {}).items()}
        return self.outcome(
            f"{case.reference} round {result.get('round')}", "scheduled", count=result.get("count", 0), totals=totals
        )
