"""Schedule a round of returns after the newest declared run."""

from argparse import ArgumentParser
from datetime import date
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
        parser.add_argument(
            "--rail", action="append", metavar="ASSET=RAIL", default=[],
            help=_("which rail carries an asset; * speaks for all others. Without it, the rehearsal"),
        )
        parser.add_argument("--value-date", type=date.fromisoformat, help=_("the first day on which bank files move money"))
        parser.add_argument("--canary", type=int, default=0, metavar="N", help=_("how many returns go first on each rail"))
        for name, words in (
            ("--minimum", _("least of an asset for a person; less is carried to the next round")),
            ("--large-from", _("from where on a return of an asset goes in the large lane")),
        ):
            parser.add_argument(name, action="append", metavar="ASSET=UNITS", default=[], help=words)
        parser.add_argument("--run", type=int, help=_("the number of the run; the newest declared one if not given"))

    def run(self, **options: Any) -> dict[str, Any]:
        case = self.case(options["case"])
        runs = case.runs.filter(state=RunState.DECLARED).order_by("-number")
        run = (runs.filter(number=options["run"]) if options["run"] else runs).first()
        if run is None:
            raise Refused(_("Case %(case)s has no declared run. Compute one and have it approved.") % {"case": case})
        rails = dict(self._pair(text) for text in options["rail"]) or None
        started = rounds.schedule(
            case, run, by=self.actor(), at=self.now(), rails=rails, value_date=options["value_date"], canary=options["canary"],
            minimums=dict(self._units(text) for text in options["minimum"]),
            large_from=dict(self._units(text) for text in options["large_from"]),
        )  # fmt: skip
        job = self.wait(started)
        result = job.result or {}
        totals = {code: int(units) for code, units in result.get("totals", {}).items()}
        return self.outcome(
            f"{case.reference} round {result.get('round')}", "scheduled", count=result.get("count", 0), totals=totals
        )

    def _units(self, text: str) -> tuple[str, int]:
        asset, _equals, units = text.partition("=")
        if not (asset and units.isascii() and units.isdecimal()):
            raise Refused(_("%(text)s names no asset and whole units. Write ASSET=UNITS.") % {"text": text})
        return asset, int(units)

    def _pair(self, text: str) -> tuple[str, str]:
        asset, equals, rail = text.partition("=")
        if not (asset and equals and rail):
            raise Refused(_("%(text)s names no asset and rail. Write ASSET=RAIL.") % {"text": text})
        return asset, rail
