"""
How fast, against a bound measured in the same run.

A machine is noisy, so absolute times are no results: every round times the bound and the subjects one after
the other, the figure is the median over the rounds of subject / bound, and the spread stands beside it. A section is a
module here with `run(rows, repeat) -> list[dict]`; it works in a scratch database that is dropped afterwards.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.utils.translation import gettext as _

from administration.errors import Refused

SECTIONS = {
    "record": "administration.office.benchmarks.record",
    "returns": "administration.office.benchmarks.returns",
    "distribution": "administration.office.benchmarks.distribution",
    "portal": "administration.office.benchmarks.portal",
    "export": "administration.office.benchmarks.export",
    "takeover": "administration.office.benchmarks.takeover",
    "nayose": "administration.office.benchmarks.nayose",
}
ROWS = 1_000_000
REPEAT = 5
TOLERANCE = 1.25  # a margin under 25 % is noise


class NoScratch(Refused):
    """The login may not make a database to work in."""


@dataclass
class Stopwatch:
    """Seconds by name, one list entry a round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds.setdefault(name, []).append(time.perf_counter() - began)


def rounds(repeat: int, one: Callable[[Stopwatch], None]) -> Stopwatch:
    """`one` times the bound and every subject once; it is called `repeat` times."""
    watch = Stopwatch()
    for _number in range(repeat):
        one(watch)
    return watch


def result(
    watch: Stopwatch,
    subject: str,
    *,
    bound: str,
    target: float,
    rows: int,
    rows_per_second: int = 0,
) -> dict[str, Any]:
    """One line of the answer. `rows_per_second` is a floor beside the ratio."""
    taken = watch.seconds[subject]
    ratios = [took / least for took, least in zip(taken, watch.seconds[bound], strict=True)]
    ratio = statistics.median(ratios)
    speed = int(rows / statistics.median(taken))
    return {
        "subject": subject,
        "bound": bound,
        "ratio": round(ratio, 2),
        "spread": [round(min(ratios), 2), round(max(ratios), 2)],
        "target": target,
        "ok": ratio <= target * TOLERANCE and speed >= rows_per_second,
        "rows_per_second": speed,
    }


@contextmanager
def scratch() -> Iterator[Path]:
    """A migrated database of this run alone, and a directory for its files. Events cannot be deleted; this can."""
    params = connections["owner"].get_connection_params()
    ours = ("cursor_factory", "context", "prepare_threshold", "autocommit", "options")
    login = {name: value for name, value in params.items() if name not in ours}
    before = {alias: connections[alias].settings_dict["NAME"] for alias in ("default", "owner")}
    name = f"henkan_bench_{time.time_ns()}"
    with psycopg.connect(**login, autocommit=True) as server, TemporaryDirectory(prefix="henkan-bench-") as directory:
        try:
            server.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER builtin LOCALE 'C.UTF-8'".encode()
            )
        except psycopg.errors.InsufficientPrivilege:
            raise NoScratch(
                _("A benchmark works in a database of its own and this login may not make one. Give it CREATEDB.")
            ) from None
        kept = settings.HEAD_LOG_FILE, settings.ARCHIVE_DIR
        settings.HEAD_LOG_FILE, settings.ARCHIVE_DIR = f"{directory}/heads.log", f"{directory}/archive"
        try:
            _point_at(dict.fromkeys(before, name))
            call_command("migrate", verbosity=0)
            yield Path(directory)
        finally:
            settings.HEAD_LOG_FILE, settings.ARCHIVE_DIR = kept
            _point_at(before)
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def _point_at(names: dict[str, Any]) -> None:
    for alias, name in names.items():
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = name
        connections.settings[alias]["NAME"] = name
