"""Measure one section of the system against its bound."""

from argparse import ArgumentParser
from importlib import import_module
from typing import Any

from django.utils.translation import gettext as _

from administration.office import benchmarks
from administration.office.command import ActCommand


class Command(ActCommand):
    """Exit code 1 if a figure misses its target by more than a quarter."""

    help = "Measure a section against a bound timed in the same run, interleaved; the median counts."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("section", choices=sorted(benchmarks.SECTIONS))
        parser.add_argument("--rows", type=int, default=benchmarks.ROWS)
        parser.add_argument("--repeat", type=int, default=benchmarks.REPEAT)

    def run(self, **options: Any) -> dict[str, Any]:
        section = import_module(benchmarks.SECTIONS[options["section"]])
        results = section.run(options["rows"], options["repeat"])
        return {
            "ok": all(line["ok"] for line in results),
            "section": options["section"],
            "rows": options["rows"],
            "results": results,
        }

    def sentence(self, result: dict[str, Any]) -> str:
        line = _("%(subject)s: %(ratio)s × %(bound)s (%(low)s to %(high)s), target %(target)s, %(speed)s rows/s: %(verdict)s")
        return "\n".join(
            line
            % {
                **found,
                "low": found["spread"][0],
                "high": found["spread"][1],
                "speed": f"{found['rows_per_second']:,}",
                "verdict": _("ok") if found["ok"] else _("missed"),
            }
            for found in result["results"]
        )
