"""Open a case by its appointing instrument, written down in a TOML file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from administration.cases import opening, profiles
from administration.office.command import ActCommand


class Command(ActCommand):
    help = "Open a case from a TOML file; administration/cases/example_case.toml shows what it says."

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--password", help="of the sign-ins made for a sample case")

    def run(self, **options: Any) -> dict[str, Any]:
        case = opening.open_from(options["file"], at=self.now(), password=options["password"])
        made = self.outcome(case, case.state, count=case.appointments.count())
        return {
            **made,
            "office": {
                f"{row.kind}:{row.user.username}": row.user.shown_name
                for row in case.appointments.select_related("user").order_by("pk")
            },
            "title": profiles.proceeding_of(case).title(),
            "deadlines": {row.kind: row.due_date.isoformat() for row in case.deadlines.order_by("due_date")},
            "securing": [row.item for row in case.securing_items.filter(done_at__isnull=True).order_by("pk")],
        }
