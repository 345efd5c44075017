"""Say where a claim stands, why, and whose move it is."""

from argparse import ArgumentParser
from typing import Any

from administration.office.command import ActCommand
from administration.returns import gates


class Command(ActCommand):
    help = __doc__

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("claim")

    def run(self, **options: Any) -> dict[str, Any]:
        return gates.why(options["claim"], at=self.now())

    def sentence(self, result: dict[str, Any]) -> str:
        lines = [
            f"{line['asset']:>8}  {line['office_sentence']}"
            + (f" [{line['owner']}: {line['next_act']}" + (f", {line['next_date']}" if line["next_date"] else "") + "]")
            for line in result["lines"]
        ]
        return "\n".join([result["claim"], *lines, result["customer_sentence"]])
