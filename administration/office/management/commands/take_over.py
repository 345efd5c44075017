"""Step 2: take over the exchange's customer ledger from a handover package."""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from administration.books.models import Asset
from administration.cases import appointments
from administration.cases.models import Case
from administration.ledger import conversions, deliveries, inspection, mapping, takeover
from administration.ledger.findings import Report, from_faults
from administration.ledger.models import Differences, Intake, IntakeState, NegativePolicy
from administration.ledger.package import PackageRefused
from administration.office.command import ActCommand
from administration.people.models import User
from administration.work.jobs import JobFailed
from administration.work.models import Job


class Command(ActCommand):
    help = (
        "Receive a handover package, inspect it, and ask a second person to accept it. What is wrong is refused whole."
    )
    default_user = "goto"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("case", metavar="CASE", help=_("the case's reference"))
        parser.add_argument("directory", metavar="DIR", help=_("the folder of the package, or of the exchange's own files"))
        parser.add_argument(
            "--mapping", type=Path, metavar="FILE.toml", help=_("how the exchange's own files become a package; see MAPPING.md")
        )  # fmt: skip
        parser.add_argument(
            "--set-aside", default="", metavar="KINDS", help=_("kinds of findings, with commas: their rows are set aside, and their totals into suspense")
        )  # fmt: skip
        parser.add_argument("--because", default="", metavar="WHY", help=_("why rows are set aside; it is part of what is signed"))
        parser.add_argument("--deliverer", default="", metavar="WHO", help=_("who delivers the files; the exchange if not said"))
        parser.add_argument("--dry-run", action="store_true", help=_("only look; keep nothing"))
        parser.add_argument(
            "--differences", choices=Differences.values, default=Differences.REFUSE,
            help=_("what a control total that is off shall do; suspend: keep the package, to put it into named suspense"),
        )  # fmt: skip
        parser.add_argument(
            "--negative", choices=NegativePolicy.values, default=NegativePolicy.EXCLUDE,
            help=_("what becomes of negative balances"),
        )  # fmt: skip
        parser.add_argument("--remark", default="", metavar="WORDS", help=_("what is to be said of the findings; it is part of what is signed"))
        parser.add_argument(
            "--instead", default="", metavar="REASON", help=_("give up the package that is there, for this reason")
        )

    def run(self, **options: Any) -> dict[str, Any]:
        started = time.monotonic()
        case, by, directory = self.case(options["case"]), self.actor(), Path(options["directory"])
        suspend = options["differences"] == Differences.SUSPEND
        text = options["mapping"].read_text() if options["mapping"] else None
        outcomes = {kind: {"outcome": "aside", "remark": options["because"]} for kind in filter(None, options["set_aside"].split(","))}
        if options["dry_run"]:
            appointments.require(case, by, takeover.POWER, at=self.now())
            if text is not None:
                report = conversions.look(case, directory, text, by=by, at=self.now(), suspend=suspend)
            else:
                known = dict(Asset.objects.filter(case=case).values_list("code", "scale"))
                report = inspection.validate(directory, known=known, cutoff_at=case.cutoff_at, suspend=suspend)
            return report_object(report.as_json(), ok=not report.refused, state="dry run", since=started)
        if options["instead"]:
            for waiting in case.intakes.exclude(state__in=[IntakeState.ACCEPTED, IntakeState.CANCELLED]):
                takeover.cancel(waiting, by=by, at=self.now(), reason=options["instead"])
        try:
            if text is not None:
                job = self.converted(case, directory, text, options["deliverer"], options["differences"], outcomes, by=by)
            else:
                intake = takeover.receive(case, directory, by=by, at=self.now(), differences=options["differences"], outcomes=outcomes)
                job = self.inspected(intake, takeover.inspect(intake, by=by, at=self.now()), by=by)
            intake = takeover.outcome(job)
        except takeover.HandoverRefused as refused:
            return report_object(dict(refused.report), ok=False, state="refused", since=started)
        except PackageRefused as refused:
            report = Report(0, 0, (), from_faults(refused.faults))
            return report_object(report.as_json(), ok=False, state="refused", since=started)
        found = report_object(dict(job.result or {}), ok=True, state=intake.state, since=started) | {
            "intake": intake.pk
        }
        if any(total.difference for total in intake.control_totals.all()):
            return found
        request = takeover.accept(intake, by=by, at=self.now(), negative_policy=options["negative"], remark=options["remark"])
        return found | {"object": str(intake), "content_sha256": bytes(request.content_sha256).hex()}

    def inspected(self, intake: Intake, job: Job, *, by: User) -> Job:
        try:
            return self.wait(job)
        except JobFailed:
            takeover.cancel(intake, by=by, at=self.now(), reason="")  # nothing was read to its end, nothing remains
            raise

    def converted(self, case: Case, directory: Path, text: str, deliverer: str, differences: str, outcomes: dict[str, Any], *, by: User) -> Job:
        """Receive the exchange's own files, convert them, and begin to inspect what came of them."""
        chosen = conversions.save_mapping(case, text, by=by, at=self.now())
        who = deliverer or mapping.read(text).exchange["name"]
        delivery = deliveries.from_directory(case, directory, deliverer=who, by=by, at=self.now())
        job = self.wait(conversions.convert(delivery, chosen, by=by, at=self.now(), differences=differences, outcomes=outcomes))
        inspection_job = conversions.outcome(job)
        return self.inspected(Intake.objects.get(pk=inspection_job.subject_id), inspection_job, by=by)

    def sentence(self, result: dict[str, Any]) -> str:
        return sentence(result)


def report_object(report: dict[str, Any], *, ok: bool, state: str, since: float) -> dict[str, Any]:
    """The object that `take_over` and `validate_handover` print."""
    return {
        "ok": ok,
        "accounts": report["accounts"],
        "balances": report["balances"],
        "seconds": round(time.monotonic() - since, 2),
        "control_totals": report["control_totals"],
        "intake": None,
        "state": state,
        "findings": report["findings"],
        "quarantined": [
            {
                "asset": total["asset"],
                "product": total["product"],
                "rows": abs((total["declared_accounts"] or 0) - total["computed_accounts"]),
                "amount": str(int(total["declared"]) - int(total["computed"])),
            }
            for total in report["control_totals"]
            if ok and total["declared"] is not None and total["declared"] != total["computed"]
        ],
    }


def sentence(result: dict[str, Any]) -> str:
    """For a person: how it ended, then what was found, each with its place and what to do."""
    lines = [
        ngettext("%(accounts)s account, %(balances)s balances: %(state)s.", "%(accounts)s accounts, %(balances)s balances: %(state)s.", result["accounts"])
        % {"accounts": f"{result['accounts']:,}", "balances": f"{result['balances']:,}", "state": result["state"]}
    ]  # fmt: skip
    for found in result["findings"]:
        row = f":{found['row']}" if found["row"] else ""
        column = f" {found['column']}" if found["column"] else ""
        lines.append(f"{found['severity']} {found['file']}{row}{column}: {found['reason']} {found['remedy']}")
    if "object" in result:
        lines.append(_("%(object)s waits for acceptance by another person.") % {"object": result["object"]})
    return "\n".join(lines)
