"""Everything, running: on the embedded stack, or on the servers the environment names."""

import json
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from administration.errors import Refused
from administration.office.household import Household, PeakMemory, free_port
from config import stack

SAMPLE_ACCOUNTS = 500
CHECK_ACCOUNTS = 2_000


class Command(BaseCommand):
    help = "Start everything with a sample case. With --check: carry it through all nine steps, verify, and exit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--accounts", type=int, help="accounts of the sample case")
        parser.add_argument("--seed", type=int, default=1, help="seed of the sample case and of the rehearsal rail")
        parser.add_argument("--check", action="store_true", help="carry a case through all nine steps, verify, and exit")
        parser.add_argument("--json", action="store_true", help="with --check: one JSON object on standard output")
        parser.add_argument("--port", type=int, help="the office's port (8000, or the next free one)")
        parser.add_argument("--portal-port", type=int, help="the portal's port (8001, or the next free one)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            ok = self.up(**options)
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        if not ok:
            sys.exit(1)

    def up(self, **options: Any) -> bool:
        if not settings.REDIS_URL:
            raise Refused(_("DATABASE_URL is set and REDIS_URL is not. Set both, or neither for the embedded stack."))
        office_port = free_port(options["port"], first=8000)
        portal_port = free_port(options["portal_port"], first=8001)
        if not settings.EMBEDDED:
            call_command("migrate", verbosity=0)

        household = Household(
            settings.STATE_DIR / "logs",
            office_port=office_port,
            portal_port=portal_port,
            rehearsal=(settings.REHEARSAL_URL, settings.STATE_DIR / "rehearsal-truth.jsonl", options["seed"]),
        )
        with stack.terminable(), PeakMemory(household.sessions) as memory:
            try:
                household.start()
                urls = f"http://127.0.0.1:{office_port}/", f"http://127.0.0.1:{portal_port}/"
                self.write_down(*urls)
                if options["check"]:
                    return self.carry_through(memory, household, **options)
                self.greet(*urls, options["accounts"] or SAMPLE_ACCOUNTS, options["seed"])
                self.stay(household)
                return True
            except KeyboardInterrupt:
                return not options["check"]
            finally:
                with stack.uninterrupted():
                    self.say("Stopping …")
                    household.stop()

    def carry_through(self, memory: PeakMemory, household: Household, **options: Any) -> bool:
        """All nine steps in this process and the workers; one object on standard output."""
        from administration.office import demo

        result: dict[str, Any] = demo.check(
            accounts=options["accounts"] or CHECK_ACCOUNTS, seed=options["seed"], progress=self.say
        )
        memory.look()
        result["peak_rss_mb"] = memory.megabytes
        ended = [member.name for member in household.members if member.has_ended]
        if ended:
            self.say(f"These processes ended before their time: {', '.join(ended)}.")
            result["ok"] = False
        print(json.dumps(result, ensure_ascii=False, indent=None if options["json"] else 1), file=sys.stdout)
        return bool(result["ok"])

    def greet(self, office_url: str, portal_url: str, accounts: int, seed: int) -> None:
        from administration.office import demo

        if settings.EMBEDDED:  # nobody's real database gets a sample case
            demo.sample(accounts, seed=seed, progress=self.say)
        lines = ["", f"Office: {office_url}", f"Portal: {portal_url}"]
        if settings.EMBEDDED:
            lines += ["Sign-ins:", *(f"  {sign_in}" for sign_in in demo.sign_ins())]
            lines += ["  After the password: the code of the key in any authenticator app, or `python3 manage.py code aoki`"]
            lines += ["Portal, as a customer would:", *(f"  {line}" for line in demo.letter())]
        print("\n".join([*lines, f"Logs:   {settings.STATE_DIR / 'logs'}", "Ctrl-C stops everything.", ""]), file=sys.stdout)
        sys.stdout.flush()

    def stay(self, household: Household) -> None:
        while True:
            time.sleep(1)
            for name in household.restart_the_dead():
                self.say(f"The {name} ended and is started again; its log says why.")

    def write_down(self, office_url: str, portal_url: str) -> None:
        found = stack.running_in(settings.STATE_DIR)
        if found:
            stack.write_down(settings.STATE_DIR, {**found, "office_url": office_url, "portal_url": portal_url})

    def say(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)
