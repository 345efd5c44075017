"""What every operator's command shares: who acts, on which case, and how the outcome is said."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from administration.cases.models import Case
from administration.errors import Refused
from administration.fields import db_now
from administration.people.models import User
from administration.work import jobs
from administration.work.models import Job


class ActCommand(BaseCommand):
    """
    A thin face: reads its arguments, makes one call into an act, says what came of it.

    `run()` does the work and returns the object printed with --json. Exit codes: 0 done, 1 refused
    (one line on standard error), 2 usage.
    """

    default_user = ""  # on the sample case, who acts when --as is not given

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help=_("print one JSON object on standard output"))
        parser.add_argument("--as", dest="user", default="", help=_("the sign-in of the person who acts"))
        self.arguments(parser)

    def arguments(self, parser: ArgumentParser) -> None:
        """The command's own arguments."""

    def run(self, *args: Any, **options: Any) -> dict[str, Any]:
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        self.json, self.user_name = options["json"], options["user"]
        try:
            result = self.run(**options)
        except Refused as refusal:
            raise CommandError(str(refusal), returncode=1) from refusal
        print(json.dumps(result, ensure_ascii=False) if self.json else self.sentence(result), file=self.stdout)
        if result.get("ok") is False:
            sys.exit(1)

    def sentence(self, result: dict[str, Any]) -> str:
        """The outcome for a person; by default one `name: value` a line."""
        return "\n".join(f"{name}: {value}" for name, value in result.items())

    def case(self, reference: str) -> Case:
        try:
            return Case.objects.get(reference=reference)
        except Case.DoesNotExist:
            raise Refused(_("There is no case %(reference)s. Look at its reference and try again.") % {
                "reference": reference}) from None

    def actor(self) -> User:
        """Who acts: --as, or on a sample case the command's usual person."""
        name = self.user_name or self.default_user
        try:
            return User.objects.get(username=name)
        except User.DoesNotExist:
            raise Refused(_("Nobody signs in as “%(name)s”. Say who acts with --as.") % {"name": name}) from None

    def wait(self, job: Job) -> Job:
        """Wait for a job with a progress bar on standard error."""
        if not sys.stderr.isatty():
            return jobs.wait(job)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        with Bar(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=Console(stderr=True),
        ) as bar:
            shown = bar.add_task(job.kind, total=None)
            return jobs.wait(
                job,
                progress=lambda row: bar.update(
                    shown, completed=row.done, total=row.total or None, description=f"{row.kind} {row.phase}"
                ),
            )

    def outcome(
        self, obj: Any, state: str, *, count: int = 0, totals: dict[str, int] | None = None,
        content_sha256: bytes | memoryview | None = None, awaiting: list[str] | None = None,
    ) -> dict[str, Any]:
        """The object of most commands; amounts are strings of whole units."""
        return {
            "ok": True,
            "object": str(obj),
            "state": state,
            "content_sha256": bytes(content_sha256).hex() if content_sha256 else None,
            "awaiting": awaiting or [],
            "count": count,
            "totals": {code: str(units) for code, units in (totals or {}).items()},
        }

    now = staticmethod(db_now)
