"""`compute CASE PLAN.toml [--what-if]`: step 5, what a plan gives each claim line."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from administration.distribution import plans, runs
from administration.distribution.models import Run
from administration.errors import Refused
from administration.office.command import ActCommand


class Command(ActCommand):
    help = _("Compute a plan over the claims as they are; with --what-if, leave nothing behind.")
    default_user = "goto"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case")
        parser.add_argument(
            "plan", type=Path, help=_("a plan in TOML; see administration/distribution/example_plan.toml")
        )
        parser.add_argument(
            "--what-if", action="store_true", help=_("show what it would give, and leave nothing behind")
        )

    def run(self, **options: Any) -> dict[str, Any]:
        case, by, at = self.case(options["case"]), self.actor(), self.now()
        try:
            body = options["plan"].read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(_("The plan cannot be read: %(error)s.") % {"error": error}) from error
        if options["what_if"]:
            with runs.what_if(case, body, by=by, at=at) as run:
                return runs.described(run)
        job = self.wait(runs.compute(plans.draft(case, body, by=by, at=at), by=by, at=at))
        return runs.described(Run.objects.get(pk=job.subject_id))
