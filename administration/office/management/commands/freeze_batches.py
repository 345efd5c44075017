"""Draft and freeze batches of everything in the newest round that is free to go, and ask for their approval."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from administration.cases import approvals
from administration.errors import Refused
from administration.office.command import ActCommand
from administration.returns import batches
from administration.returns.models import BatchState


class Command(ActCommand):
    help = __doc__
    default_user = "goto"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case")
        parser.add_argument("--limit", type=int, help=_("how many returns a batch may hold"))
        parser.add_argument(
            "--value-date", type=date.fromisoformat, help=_("the day on which bank files move money; the first one if not given")
        )

    def run(self, **options: Any) -> dict[str, Any]:
        case, actor = self.case(options["case"]), self.actor()
        current = case.rounds.filter(scheduled_at__isnull=False).order_by("-number").first()
        if current is None:
            raise Refused(_("Case %(case)s has no scheduled round. Schedule returns first.") % {"case": case})
        # A draft that an earlier, interrupted call left behind comes first.
        left = current.batches.filter(state=BatchState.DRAFT, prepared_by=actor).order_by("pk")
        frozen = [batches.freeze(batch, by=actor, at=self.now()) for batch in left]
        for rail in current.returns.exclude(rail="").order_by("rail").values_list("rail", flat=True).distinct():
            batches.hold(case, current, rail, by=actor, at=self.now())
            while True:
                try:
                    made = batches.draft(
                        case, current, rail, by=actor, at=self.now(), limit=options["limit"], value_date=options["value_date"]
                    )
                except batches.NothingToBatch:
                    break
                frozen.append(batches.freeze(made, by=actor, at=self.now()))
        rows = {row.pk: row for row in current.batches.filter(pk__in=[request.object_id for request in frozen])}
        if not rows:
            raise batches.NothingToBatch(
                _("No return of round %(round)s has every gate open. “why CLAIM” says what is missing.")
                % {"round": current.number}
            )
        totals: dict[str, int] = {}
        for row in rows.values():
            for code, units in row.totals.items():
                totals[code] = totals.get(code, 0) + int(units)
        first = next(iter(rows.values()))
        result = self.outcome(
            first.reference, BatchState.FROZEN, count=sum(row.items for row in rows.values()), totals=totals,
            content_sha256=first.manifest_sha256, awaiting=approvals.awaiting(frozen[0], at=self.now()),
        )  # fmt: skip
        result["batches"] = [
            {
                "object": rows[request.object_id].reference,
                "request": request.pk,
                "count": rows[request.object_id].items,
                "content_sha256": bytes(request.content_sha256).hex(),
            }
            for request in frozen
        ]
        return result
