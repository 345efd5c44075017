"""Write a realistic handover package of an invented exchange."""

import json
import resource
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from administration.errors import Refused
from administration.office import sample


class Command(BaseCommand):
    help = "Writes a realistic handover package (version 1) into an empty folder. The same seed gives the same bytes."
    requires_system_checks: list[str] = []  # it needs no database

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", help="a new or an empty folder")
        parser.add_argument("--accounts", type=int, default=2_000, metavar="N")
        parser.add_argument("--seed", type=int, default=1, metavar="S")
        parser.add_argument(
            "--dirty", type=float, default=0.0, metavar="RATE", help="share of rows to put faults into, 0 to 1"
        )
        parser.add_argument("--json", action="store_true", help="one object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["accounts"] < 1 or not 0 <= options["dirty"] <= 1:
            raise CommandError("--accounts is at least 1, and --dirty is between 0 and 1.", returncode=2)
        started = time.monotonic()
        try:
            figures = sample.write(
                options["directory"],
                accounts=options["accounts"],
                seed=options["seed"],
                dirty=options["dirty"],
                progress=self._progress if self.stderr.isatty() else None,
            )
        except Refused as refused:
            if options["json"]:
                self.stdout.write(json.dumps({"ok": False, "reason": str(refused)}, ensure_ascii=False))
            raise CommandError(str(refused)) from None

        seconds = round(time.monotonic() - started, 2)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        if options["json"]:
            self.stdout.write(
                json.dumps({"ok": True, **figures, "seconds": seconds, "peak_rss_mb": peak}, ensure_ascii=False)
            )
        else:
            self.stdout.write(f"{options['accounts']:,} accounts in {figures['directory']} ({seconds} s, {peak} MB).")
            if figures["faults"]:
                self.stdout.write(f"{figures['faults']:,} faults, listed in dirty.json.")

    def _progress(self, done: int) -> None:
        self.stderr.write(f"\r{done:,} accounts", ending="")
