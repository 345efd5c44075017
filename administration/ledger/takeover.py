"""
Taking over the exchange's customer ledger: receive the package, inspect it, accept it with a second person.

    NotReceived        the package cannot be received now
    HandoverRefused    the package is at fault; every fault is in it, and nothing of it is kept
    NotInspected       the intake is not where it would have to be for this act
    Unexplained        a control total differs and nobody has said why

A refused package leaves no row and no file. What is accepted never changes again: corrections are adjustments.
"""

import json
import re
import secrets
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from administration import amounts
from administration.books.models import Asset
from administration.cases import appointments, approvals, securing
from administration.cases.models import ApprovalRequest, Case
from administration.errors import Refused
from administration.ledger import arriving, audited, inspection, package, setting_aside, staging
from administration.ledger.arriving import NotReceived, archive_of
from administration.ledger.control_totals import conclude
from administration.ledger.delivered import Delivery
from administration.ledger.deliveries import CONVERT
from administration.ledger.findings import REFUSE, STAGED, Report, grouped
from administration.ledger.models import (
    ControlTotal,
    Differences,
    Finding,
    Intake,
    IntakeState,
    NegativePolicy,
    SourceFile,
)
from administration.ledger.origins import Origins
from administration.ledger.package import Fault
from administration.people.models import User
from administration.record import log
from administration.work import jobs
from administration.work.models import Job, JobState

POWER = "ledger.take_over"
INSPECT, ACCEPT, SUSPENSE = "ledger.inspect", "ledger.accept", "ledger.suspense"
DELIVERED = "delivered/"  # before the names of files as the exchange delivered them, beside those made of them
CONCLUDE = "conclude"  # the cursor of an inspection's last step


class HandoverRefused(package.PackageRefused):
    """The package is at fault. `report` is what the inspection found, if it came that far; nothing is kept."""

    def __init__(self, faults: list[Fault], report: Mapping[str, Any]) -> None:
        super().__init__(faults)
        self.report = report


class NotInspected(Refused):
    """The intake is not where it would have to be for this act."""


class Unexplained(Refused):
    """A control total differs from the rows, and the difference is neither explained nor in named suspense."""


# --- receive ----------------------------------------------------------------------------------


def receive(
    case: Case, directory: Path | str, *, by: User, at: datetime, differences: str = Differences.REFUSE,
    outcomes: Mapping[str, Any] | None = None, delivery: Delivery | None = None,
) -> Intake:  # fmt: skip
    """
    Receive a package: its files are copied as they are, hashed on the way, and held against its manifest.

    `differences` says what a control total that is off shall do: refuse the package, or go into named suspense.
    """
    appointments.require(case, by, POWER, at=at)
    securing.require_completed(case)
    refuse_second_intake(case)
    decided = setting_aside.checked(outcomes)
    with arriving.alone(case) as folder:
        name = secrets.token_hex(8)
        coming, archive = folder / f"{arriving.ARRIVING}{name}", folder / name
        try:
            manifest, package_sha256 = arriving.copy(Path(directory), coming)
            coming.rename(archive)
            with transaction.atomic():
                return Intake.objects.create(
                    case=case,
                    manifest=json.loads((archive / package.MANIFEST).read_bytes()),
                    package_sha256=package_sha256,
                    directory=str(archive.relative_to(archive_of(""))),
                    cutoff_at=manifest.cutoff_at,
                    differences=Differences(differences),
                    outcomes=decided,
                    delivery=delivery,
                    received_by=by,
                    received_at=at,
                )
        except BaseException as trouble:
            shutil.rmtree(coming, ignore_errors=True)
            shutil.rmtree(archive, ignore_errors=True)
            if isinstance(trouble, IntegrityError):
                refuse_second_intake(case)
            raise


def refuse_second_intake(case: Case) -> None:
    live = Intake.objects.filter(case=case).exclude(state=IntakeState.CANCELLED).first()
    if live is not None:
        raise NotReceived(
            _("Case %(case)s has a package already (%(intake)s, %(state)s). Cancel that one first.")
            % {"case": case, "intake": live, "state": live.get_state_display().lower()}
            if live.state != IntakeState.ACCEPTED
            else _("The ledger of case %(case)s is accepted. It is corrected by adjustments, not by another package.")
            % {"case": case}
        )


# --- inspect ----------------------------------------------------------------------------------


@transaction.atomic
def inspect(intake: Intake, *, by: User, at: datetime) -> Job:
    """Begin to inspect a received package. The job's result says what was found; see `outcome`."""
    appointments.require(intake.case, by, POWER, at=at)
    moved = Intake.objects.filter(pk=intake.pk, state=IntakeState.RECEIVED).update(state=IntakeState.INSPECTING)
    if moved != 1:
        raise NotInspected(_("%(intake)s is inspected already. Reload it and look again.") % {"intake": intake})
    scales = {asset["code"]: asset["scale"] for asset in intake.manifest["assets"]}  # a refused package leaves no other trace
    params = {"by": by.pk, "at": at.isoformat(), "scales": scales, "differences": intake.differences, "outcomes": intake.outcomes,
              "delivery": intake.delivery_id, "mapping": intake.mapping_id}  # fmt: skip
    return jobs.start(intake.case, INSPECT, intake.pk, total=_rows_of(intake), params=params)


def take_in(case: Case, directory: Path | str, *, by: User, at: datetime, **options: Any) -> Job:
    """Receive a package and begin to inspect it."""
    return inspect(receive(case, directory, by=by, at=at, **options), by=by, at=at)


def inspection_step(job: Job) -> jobs.Progress:
    """One step of the inspection; the last one keeps what was found, or removes every trace of a refused package."""
    intake = Intake.objects.select_related("case", "delivery", "mapping").filter(pk=job.subject_id).first()
    if intake is None:
        raise NotInspected(_("The package was cancelled while it was inspected."))
    this = staged(intake)
    if job.cursor != CONCLUDE or staging.is_lost(intake.pk):
        did = inspection.step(this, job.cursor if job.cursor != CONCLUDE else "")
        return jobs.Progress(CONCLUDE if did.finished else did.cursor, did.done, did.phase)
    report = conclude(this)
    origins = Origins.of(this.directory)
    if origins is not None:
        report = origins.report(report)
    if report.refused:
        _discard(intake)
    else:
        by, at = User.objects.get(pk=job.params["by"]), datetime.fromisoformat(job.params["at"])
        _keep(intake, this, report, by=by, at=at)
    result = {"refused": report.refused, "intake": intake.pk, **report.as_json()}
    return jobs.Progress(CONCLUDE, job.done, "concluded", finished=True, result=result)


def staged(intake: Intake) -> staging.Package:
    """The received package as the inspection reads it."""
    archive = archive_of(intake.directory)
    return staging.Package(
        intake.pk,
        archive,
        package.read_manifest(archive),
        suspend=intake.differences == Differences.SUSPEND or setting_aside.any_aside(intake.outcomes),
        aside=setting_aside.any_aside(intake.outcomes),
        known=dict(Asset.objects.filter(case=intake.case).values_list("code", "scale")),
        cutoff_at=intake.case.cutoff_at,
    )


def _keep(intake: Intake, this: staging.Package, report: Report, *, by: User, at: datetime) -> None:
    manifest = this.manifest
    files = [(file.name, file.sha256, file.bytes, file.rows) for file in manifest.files]
    size = (this.directory / package.MANIFEST).stat().st_size
    files.append((package.MANIFEST, manifest.sha256, size, None))
    SourceFile.objects.bulk_create(
        SourceFile(
            case=intake.case, intake=intake, name=name, sha256=bytes.fromhex(digest), bytes=size, rows=rows,
            deliverer=manifest.case.exchange_name, received_at=intake.received_at,
        )
        for name, digest, size, rows in files
    )  # fmt: skip
    delivered = intake.delivery.files.order_by("name") if intake.delivery else []
    SourceFile.objects.bulk_create(
        SourceFile(
            case=intake.case, intake=intake, name=f"{DELIVERED}{file.name}", sha256=file.sha256, bytes=file.bytes,
            deliverer=intake.delivery.deliverer if intake.delivery else "", received_at=file.received_at,
        )
        for file in delivered
    )  # fmt: skip
    aside = setting_aside.keep(intake.pk, this)
    ControlTotal.objects.bulk_create(
        ControlTotal(
            intake=intake, asset_code=total.asset, product=total.product, declared=total.declared,
            declared_accounts=total.declared_accounts, source=total.source, computed=total.computed,
            computed_accounts=total.computed_accounts,
            aside=aside.get((total.asset, total.product), (0, 0))[0], aside_rows=aside.get((total.asset, total.product), (0, 0))[1],
        )
        for total in report.totals
    )  # fmt: skip
    Finding.objects.bulk_create(Finding(intake=intake, **vars(found)) for found in grouped(report))
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {STAGED} WHERE intake = %s", [intake.pk])  # noqa: S608 - our own table
    Intake.objects.filter(pk=intake.pk).update(
        state=IntakeState.INSPECTED, accounts=report.accounts, balances=report.balances
    )
    log.append(
        intake.case,
        "ledger.inspected",
        subject=intake,
        by=by,
        at=at,
        body={
            "package_sha256": bytes(intake.package_sha256).hex(),
            "files": {name: digest for name, digest, _size, _rows in files},
            "received_at": intake.received_at.isoformat(),
            "accounts": report.accounts,
            "balances": report.balances,
            "findings": len(report.findings),
            **({"mapping_sha256": bytes(intake.mapping.sha256).hex()} if intake.mapping else {}),
        },
    )


def outcome(job: Job) -> Intake:
    """
    The intake that an ended inspection leaves, or HandoverRefused.

    Of a refused package the job's row was the last trace; it goes now that somebody has read it.
    """
    result = job.result or {}
    if not result.get("refused"):
        return Intake.objects.get(pk=job.subject_id)
    Job.objects.filter(pk=job.pk).delete()
    raise HandoverRefused(faults_of(result), result)


def faults_of(result: Mapping[str, Any]) -> list[Fault]:
    """What refuses a package, of a job's result."""
    return [
        Fault(found["kind"], found["file"], found["reason"], found["remedy"], found["column"], found["row"])
        for found in result["findings"]
        if found["severity"] == REFUSE
    ]


def refused(case: Case) -> Job | None:
    """The inspection of the package that was refused last, while nobody has put its report aside."""
    newest = Job.objects.filter(case=case, kind__in=(INSPECT, CONVERT)).order_by("-pk").first()
    return newest if newest is not None and (newest.result or {}).get("refused") else None


@transaction.atomic
def forget(job: Job, *, by: User, at: datetime) -> None:
    """Put the report of a refused package aside: somebody has read it. Then nothing of the package is left."""
    if job.case is None:
        raise NotInspected(_("This is not the report of a refused package."))
    appointments.require(job.case, by, POWER, at=at)
    gone, _rows = Job.objects.filter(pk=job.pk, kind__in=(INSPECT, CONVERT), result__refused=True).delete()
    if not gone:
        raise NotInspected(_("This report was put aside before."))


@transaction.atomic
def cancel(intake: Intake, *, by: User, at: datetime, reason: str) -> None:
    """Give a package up. Before it was inspected nothing remains of it; afterwards the row stays, and says why."""
    appointments.require(intake.case, by, POWER, at=at)
    row = Intake.objects.select_for_update().select_related("case").get(pk=intake.pk)
    if row.state in (IntakeState.RECEIVED, IntakeState.INSPECTING):
        Job.objects.filter(kind=INSPECT, subject_id=row.pk).delete()  # a worker on it finds its lease gone
        _discard(row)
        return
    if not reason.strip():
        raise NotInspected(_("Say why the package is given up."))
    moved = Intake.objects.filter(pk=row.pk, state=IntakeState.INSPECTED).update(state=IntakeState.CANCELLED)
    if moved != 1:
        raise NotInspected(_("%(intake)s cannot be cancelled any more.") % {"intake": row})
    staging.clear(row.pk)
    log.append(row.case, "ledger.cancelled", subject=row, by=by, at=at, body={"reason": reason})


def _discard(intake: Intake) -> None:
    """Leave nothing of a package that was not inspected to its end."""
    staging.clear(intake.pk)
    pk, archive = intake.pk, archive_of(intake.directory)
    if intake.mapping_id:
        archive = archive.parent  # what a conversion made, with the origins of its rows
    Intake.objects.filter(pk=pk).delete()
    transaction.on_commit(lambda: shutil.rmtree(archive, ignore_errors=True))


# --- what nobody can explain ------------------------------------------------------------------


@transaction.atomic
def put_into_suspense(total: ControlTotal, *, name: str, by: User, at: datetime) -> ApprovalRequest:
    """Ask two people, the office-holder among them, to put the unexplained rest of one control total under a name."""
    row = ControlTotal.objects.select_for_update(of=("self",)).select_related("intake__case").get(pk=total.pk)
    case = row.intake.case
    appointments.require(case, by, POWER, at=at)
    if row.intake.state != IntakeState.INSPECTED or not row.difference:
        raise NotInspected(_("There is no unexplained difference in %(total)s to put away now.") % {"total": row})
    if not name.strip():
        raise NotInspected(_("A suspense has a name under which it is looked for later. Give it one."))
    ControlTotal.objects.filter(pk=row.pk).update(suspense_name=name)
    content = suspense_content(row.pk)
    return approvals.request(row, case=case, act=SUSPENSE, content_sha256=content, by=by, at=at)


def suspense_content(pk: int) -> bytes:
    """The hash of what two people sign: which difference, how much, under which name."""
    total = ControlTotal.objects.select_related("intake").get(pk=pk)
    return _hash_of({
        "package_sha256": bytes(total.intake.package_sha256).hex(),
        "total": _total_as_signed(total),
        "difference": str(total.difference),
    })  # fmt: skip


def suspense_may_follow(request: ApprovalRequest) -> None:
    """Only while the package is inspected and not yet being accepted."""
    total = ControlTotal.objects.select_related("intake").get(pk=request.object_id)
    if total.intake.state != IntakeState.INSPECTED:
        raise NotInspected(_("%(intake)s is not waiting for acceptance any more.") % {"intake": total.intake})


def suspense_signed(request: ApprovalRequest, by: User, at: datetime) -> None:
    """Follows the last signature."""
    total = (
        ControlTotal.objects.select_for_update(of=("self",)).select_related("intake__case").get(pk=request.object_id)
    )
    difference = total.difference
    ControlTotal.objects.filter(pk=total.pk).update(suspense=difference)
    log.append(
        total.intake.case, "ledger.difference_suspended", subject=total.intake, by=by, at=at,
        body={"asset": total.asset_code, "product": total.product, "amount": difference, "name": total.suspense_name},
    )  # fmt: skip


# --- accept -----------------------------------------------------------------------------------


@transaction.atomic
def accept(
    intake: Intake, *, by: User, at: datetime, negative_policy: str = NegativePolicy.EXCLUDE, remark: str = ""
) -> ApprovalRequest:
    """
    Ask another person to accept the ledger as it was inspected.

    `negative_policy` says what becomes of negative balances, `remark` what is to be said of the findings; both are part
    of what is signed. The rows are written by a job that the last signature starts.
    """
    row = Intake.objects.select_for_update(of=("self",)).select_related("case").get(pk=intake.pk)
    appointments.require(row.case, by, POWER, at=at)
    _require_inspected(row)
    _require_explained(row)
    Intake.objects.filter(pk=row.pk).update(negative_policy=NegativePolicy(negative_policy), remark=remark.strip())
    content = acceptance_content(row.pk)
    Intake.objects.filter(pk=row.pk).update(content_sha256=content)
    return approvals.request(row, case=row.case, act=ACCEPT, content_sha256=content, by=by, at=at)


def acceptance_content(pk: int) -> bytes:
    """The hash of what is accepted: every file, every count, every control total, and what becomes of negatives."""
    intake = Intake.objects.get(pk=pk)
    return _hash_of({
        "package_sha256": bytes(intake.package_sha256).hex(),
        "cutoff_at": intake.cutoff_at.astimezone(UTC).isoformat(),
        "files": [
            [file.name, bytes(file.sha256).hex(), file.bytes, file.rows] for file in intake.files.order_by("name")
        ],
        "accounts": intake.accounts,
        "balances": intake.balances,
        "control_totals": [
            _total_as_signed(total) for total in intake.control_totals.order_by("asset_code", "product")
        ],
        "negative_policy": intake.negative_policy,
        "mapping_sha256": bytes(intake.mapping.sha256).hex() if intake.mapping else None,
        "outcomes": intake.outcomes,
        "remark": intake.remark,
        "audited": audited.as_signed(intake),
    })  # fmt: skip


def acceptance_may_follow(request: ApprovalRequest) -> None:
    """Looked at again before the last signature: minutes or days have passed."""
    intake = Intake.objects.get(pk=request.object_id)
    _require_inspected(intake)
    _require_explained(intake)


def acceptance_signed(request: ApprovalRequest, by: User, at: datetime) -> Job:
    """Follows the last signature: from here on a job writes the ledger."""
    intake = Intake.objects.select_related("case").get(pk=request.object_id)
    moved = Intake.objects.filter(pk=intake.pk, state=IntakeState.INSPECTED).update(state=IntakeState.ACCEPTING)
    if moved != 1:
        raise NotInspected(_("%(intake)s is not waiting for acceptance any more.") % {"intake": intake})
    params = {"by": by.pk, "prepared_by": request.prepared_by_id, "at": at.isoformat()}
    return jobs.start(intake.case, ACCEPT, intake.pk, total=_rows_of(intake), params=params)


@transaction.atomic
def go_on(intake: Intake, *, by: User, at: datetime) -> Job:
    """Go on with a signed acceptance whose job failed, once what stood in its way is mended: from where it stopped."""
    appointments.require(intake.case, by, POWER, at=at)
    failed = Job.objects.filter(kind=ACCEPT, subject_id=intake.pk).order_by("-pk").first()
    row = Intake.objects.select_for_update(of=("self",)).select_related("case").get(pk=intake.pk)
    if row.state != IntakeState.ACCEPTING or failed is None or failed.state != JobState.FAILED:
        raise NotInspected(_("There is no failed acceptance of %(intake)s to go on with.") % {"intake": row})
    job = jobs.start(row.case, ACCEPT, row.pk, total=_rows_of(row), params=failed.params)
    log.append(row.case, "ledger.acceptance_resumed", subject=row, by=by, at=at, body={"error": failed.error})
    return job


def _rows_of(intake: Intake) -> int:
    return sum(file["rows"] or 0 for file in intake.manifest["files"])


def find(text: str) -> int | None:
    """The intake a person means by “intake 3”."""
    named = re.fullmatch(r"intake (\d+)", text)
    return int(named[1]) if named and Intake.objects.filter(pk=named[1]).exists() else None


def _require_inspected(intake: Intake) -> None:
    if intake.state != IntakeState.INSPECTED:
        raise NotInspected(
            _("%(intake)s is %(state)s. Only an inspected package can be accepted.")
            % {"intake": intake, "state": intake.get_state_display().lower()}
        )


def _require_explained(intake: Intake) -> None:
    for total in intake.control_totals.order_by("pk"):
        if total.difference:
            scale = next(asset["scale"] for asset in intake.manifest["assets"] if asset["code"] == total.asset_code)
            raise Unexplained(
                _(
                    "%(total)s differs from its control total by %(difference)s. Explain it, or put it into named suspense."
                )
                % {"total": total, "difference": amounts.show(total.difference, scale)}
            )


def _total_as_signed(total: ControlTotal) -> dict[str, Any]:
    return {
        "asset": total.asset_code,
        "product": total.product,
        "declared": None if total.declared is None else str(total.declared),
        "declared_accounts": total.declared_accounts,
        "source": total.source,
        "computed": str(total.computed),
        "computed_accounts": total.computed_accounts,
        "suspense": str(total.suspense),
        "suspense_name": total.suspense_name,
        "aside": str(total.aside),
        "aside_rows": total.aside_rows,
    }


def _hash_of(content: dict[str, Any]) -> bytes:
    """SHA-256 of the content as canonical JSON."""
    return sha256(json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()).digest()
