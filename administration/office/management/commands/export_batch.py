"""
Export an approved batch: its files and manifest to a directory, then, where the rail takes it, send it.

A bank's or custodian's files are then out of the house: somebody uploads them.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from administration.errors import Refused
from administration.office.command import ActCommand
from administration.rails.interface import CarriedRail
from administration.returns import carrying, routes, submissions
from administration.returns.models import Batch, BatchState


class Command(ActCommand):
    help = __doc__
    default_user = "goto"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("batch")
        parser.add_argument("directory", type=Path)
        parser.add_argument("--no-submit", action="store_true", help=_("write the files only; send nothing"))

    def run(self, **options: Any) -> dict[str, Any]:
        actor = self.actor()
        batch = Batch.objects.select_related("case", "order").filter(reference=options["batch"]).first()
        if batch is None:
            raise Refused(_("There is no batch %(batch)s. Look at its reference and try again.") % {"batch": options["batch"]})
        carrying.refuse_unless_usable(options["directory"])
        if batch.state == BatchState.APPROVED:
            self.wait(submissions.export(batch, by=actor, at=self.now()))
            batch.refresh_from_db()
        if batch.state not in (BatchState.EXPORTED, BatchState.SETTLING, BatchState.CLOSED):
            submissions.export(batch, by=actor, at=self.now())  # refuses, and says why
        if isinstance(routes.rail(batch.rail), CarriedRail):
            submissions.carry_out(batch, by=actor, at=self.now())
        files = carrying.write(batch, options["directory"])
        sends = routes.rail(batch.rail).can_submit and not options["no_submit"]
        if sends and batch.state == BatchState.EXPORTED:
            self.wait(submissions.submit(batch, by=actor, at=self.now()))
            batch.refresh_from_db()
        totals = {code: int(units) for code, units in batch.totals.items()}
        result = self.outcome(
            batch.reference, batch.state, count=batch.attempts.count(), totals=totals, content_sha256=batch.manifest_sha256
        )
        result["files"] = files
        return result
