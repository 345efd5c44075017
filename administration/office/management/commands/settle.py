"""Match new evidence, apply what is matched to positions and books, close what is finished."""

from argparse import ArgumentParser
from typing import Any

from django.db.models import Sum

from administration.office.command import ActCommand
from administration.returns import settlement
from administration.returns.models import ReturnState


class Command(ActCommand):
    help = __doc__
    default_user = "goto"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case")

    def run(self, **options: Any) -> dict[str, Any]:
        case = self.case(options["case"])
        job = self.wait(settlement.settle(case, by=self.actor(), at=self.now()))
        done = job.result or {}
        sums = case.returns.filter(state=ReturnState.SETTLED).values_list("asset__code").annotate(total=Sum("amount"))
        result = self.outcome(
            case.reference, "settled" if done.get("ties") else "does not tie", count=done.get("count", 0),
            totals={code: int(total) for code, total in sums},
        )  # fmt: skip
        result["queued"] = done.get("queued", 0)
        result["ok"] = bool(done.get("ties"))
        return result
