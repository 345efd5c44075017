"""The return engine under fire: workers, servers and the rail are killed while it carries returns; judged from outside."""

import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from config.stack import PROJECT


class Command(BaseCommand):
    """Exit code 1 when an invariant breaks; with --seed-bug, when nothing caught the bug."""

    help = "Carry returns through a storm on servers of its own, judged by the rail simulator's own record."
    requires_system_checks = []  # of this process, which only starts the storm's own

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--returns", type=int, default=2_000)
        parser.add_argument("--kills", type=int, default=50, help="workers killed outright; other faults in proportion")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--seed-bug", default="", metavar="NAME", help="seed one bug, which the judge must catch")
        parser.add_argument("--list-seed-bugs", action="store_true", help="name them and stop")
        parser.add_argument("--keep", action="store_true", help="keep the logs and say where they are")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        if find_spec("tests.storm") is None:
            raise CommandError(_("The storm lives in tests/storm, which this installation does not have."), returncode=1)
        names: dict[str, str] = import_module("tests.storm.bugs").NAMES
        if options["list_seed_bugs"]:
            print("\n".join(f"{name}: {what}" for name, what in names.items()), file=sys.stdout)
            return
        if options["seed_bug"] and options["seed_bug"] not in names:
            raise CommandError(
                _("There is no seeded bug “%(name)s”. --list-seed-bugs names them.") % {"name": options["seed_bug"]},
                returncode=2,
            )
        if options["returns"] < 3 or options["kills"] < 0:
            raise CommandError(_("A storm needs at least three returns, and no less than no kills."), returncode=2)
        command = [sys.executable, "-W", "ignore", "-m", "tests.storm"]
        for name in ("returns", "kills", "seed"):
            command += [f"--{name}", str(options[name])]
        command += ["--seed-bug", options["seed_bug"]] if options["seed_bug"] else []
        command += [f"--{name}" for name in ("keep", "json") if options[name]]
        # Servers of its own: nothing of those that this process knows may leak into it.
        env = {name: value for name, value in os.environ.items() if name not in OURS}
        sys.exit(subprocess.run(command, cwd=PROJECT, env=env, check=False).returncode)


OURS = (
    "DATABASE_URL", "REDIS_URL", "REHEARSAL_URL", "HENKAN_STATE_DIR", "HENKAN_EMBEDDED", "HENKAN_ROLE", "ARCHIVE_DIR",
    "HEAD_KEY_FILE", "HEAD_LOG_FILE", "REHEARSAL_QUIET_SECONDS",
)  # fmt: skip
