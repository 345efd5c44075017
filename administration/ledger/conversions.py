"""
From a delivery to an inspected package: mappings are saved, files converted by a job, and the package received as its own.

    NotConverted   the conversion cannot begin, or the mapping not be saved

What cannot be converted is refused with every reason; nothing but the delivery itself is kept then.
"""

import json
import os
import secrets
import shutil
import tempfile
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from administration.books.models import Asset
from administration.cases import appointments, securing
from administration.cases.models import Case
from administration.errors import Refused
from administration.ledger import (
    archives,
    arriving,
    converting,
    deliveries,
    inspection,
    mapping,
    package,
    setting_aside,
    takeover,
)
from administration.ledger.converting import Conversion
from administration.ledger.delivered import Delivery, DeliveryState, LedgerMapping
from administration.ledger.deliveries import CONVERT, POWER
from administration.ledger.findings import Report, from_faults
from administration.ledger.formats import NotRead
from administration.ledger.models import Differences, Intake
from administration.ledger.origins import Origins
from administration.ledger.package import Fault
from administration.people.models import User
from administration.record import log
from administration.work import jobs
from administration.work.models import Job, JobState


class NotConverted(Refused):
    """The conversion cannot begin, or the mapping not be saved."""


@transaction.atomic
def save_mapping(case: Case, text: str, *, by: User, at: datetime) -> LedgerMapping:
    """Save a mapping as the case's next version. The newest one again is no new version."""
    appointments.require(case, by, POWER, at=at)
    mapping.read(text)
    Case.objects.select_for_update().get(pk=case.pk)
    newest = LedgerMapping.objects.filter(case=case).order_by("-version").first()
    if newest is not None and newest.text == text:
        return newest
    version = (LedgerMapping.objects.filter(case=case).aggregate(Max("version"))["version__max"] or 0) + 1
    row = LedgerMapping.objects.create(case=case, version=version, text=text, sha256=sha256(text.encode()).digest(), by=by, at=at)
    log.append(case, "ledger.mapping_saved", subject=row, by=by, at=at,
               body={"version": version, "sha256": bytes(row.sha256).hex()})  # fmt: skip
    return row


@transaction.atomic
def convert(
    delivery: Delivery, chosen: LedgerMapping, *, by: User, at: datetime, differences: str = Differences.REFUSE,
    outcomes: dict[str, Any] | None = None,
) -> Job:  # fmt: skip
    """Begin to convert a delivery; what comes of it is received and inspected by the same job."""
    row = _to_be_read(delivery, by, at)
    if chosen.case_id != row.case_id:
        raise NotConverted(_("The mapping is another case's."))
    if row.state == DeliveryState.ARRIVING:
        deliveries.complete(row, by=by, at=at)
    decided = setting_aside.checked(outcomes)
    kept = Path(str(row.case_id)) / "conversion" / secrets.token_hex(8)
    params = {
        "by": by.pk, "at": at.isoformat(), "mapping": chosen.pk, "differences": Differences(differences), "outcomes": decided,
        "folder": str(kept), "scales": {asset.code: asset.scale for asset in mapping.read(chosen.text).assets},
    }  # fmt: skip
    return jobs.start(row.case, CONVERT, row.pk, params=params)


def _to_be_read(delivery: Delivery, by: User, at: datetime) -> Delivery:
    """The delivery, locked to the commit: whole, not destroyed, and the only one of its case that becomes a package now."""
    row = Delivery.objects.select_for_update(of=("self",)).select_related("case").get(pk=delivery.pk)
    appointments.require(row.case, by, POWER, at=at)
    securing.require_completed(row.case)
    takeover.refuse_second_intake(row.case)
    require_files(row)
    deliveries.require_whole(row)
    if Job.objects.filter(case=row.case, kind=CONVERT, state=JobState.WAITING).exists():
        raise NotConverted(_("A delivery of this case is being converted. Wait until that has ended."))
    return row


def require_files(delivery: Delivery) -> None:
    """Of a destroyed delivery there is nothing to read."""
    if delivery.state == DeliveryState.DESTROYED:
        raise NotConverted(_("The files of this delivery were destroyed."))


@transaction.atomic
def give_up(job: Job, *, by: User, at: datetime) -> None:
    """Give a conversion up while it runs. Nothing of it remains; the delivery stays as it was received."""
    if job.case is None:
        raise NotConverted(_("There is no conversion here to give up."))
    appointments.require(job.case, by, POWER, at=at)
    running = Job.objects.select_for_update(of=("self",)).filter(pk=job.pk, kind=CONVERT, state=JobState.WAITING).first()
    if running is None:  # it ended while we waited for its chunk
        raise NotConverted(_("This conversion has ended. Look at what came of it."))
    folder = arriving.archive_of(running.params["folder"])
    running.delete()  # a worker on it finds its lease gone, and writes nothing more: see _hold
    transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True))  # killed before it: the sweep does it


def step(job: Job) -> jobs.Progress:
    """One step: look at the files, convert some rows, or make the package of all and begin to inspect it."""
    row = Delivery.objects.select_related("case").get(pk=job.subject_id)
    chosen = LedgerMapping.objects.get(pk=job.params["mapping"])
    conversion = Conversion(mapping.read(chosen.text), deliveries.files_to_convert(row), arriving.archive_of(job.params["folder"]))
    if not job.cursor:
        faults = conversion.check()
        if faults:
            return _refused(job, conversion, faults)
        _hold(job)
        return jobs.Progress(json.dumps(conversion.begin()), 0, "converting", total=conversion.rows_about())
    state = json.loads(job.cursor)
    try:
        ended = conversion.step(state, before_writing=lambda: _hold(job))
    except NotRead as wrong:
        return _refused(job, conversion, [converting.fault_of(wrong)])
    if not ended:
        phase = conversion.tasks[state["task"]].file.name
        return jobs.Progress(json.dumps(state), state["done"], phase, total=max(job.total, state["done"]))
    _hold(job)
    manifest = conversion.finish(state, case_facts(row.case), delivery=row.pk)
    intake = _received(job, row, chosen, manifest)
    by = User.objects.get(pk=job.params["by"])
    takeover.inspect(intake, by=by, at=datetime.fromisoformat(job.params["at"]))
    return jobs.Progress(
        "", state["done"], "converted", finished=True, result={"refused": False, "intake": intake.pk, "rows": state["rows"]}, total=state["done"]
    )


def _hold(job: Job) -> None:
    """From here to the commit nobody else can take this job: what is written to files is written by one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT fence FROM work_job WHERE id = %s AND state = 'waiting' FOR UPDATE", [job.pk])
        found = cursor.fetchone()
    if found is None or found[0] != job.fence:
        raise jobs.LostLease


def _refused(job: Job, conversion: Conversion, faults: list[Fault]) -> jobs.Progress:
    shutil.rmtree(conversion.folder, ignore_errors=True)
    report = Report(0, 0, (), from_faults(faults))
    return jobs.Progress("", job.done, "concluded", finished=True, result={"refused": True, "delivery": job.subject_id, **report.as_json()})


def _received(job: Job, row: Delivery, chosen: LedgerMapping, manifest: package.Manifest) -> Intake:
    """The converted package is the case's: made here, and hashed as it lies."""
    folder = arriving.archive_of(job.params["folder"]) / converting.PACKAGE
    return Intake.objects.create(
        case=row.case, manifest=json.loads((folder / package.MANIFEST).read_bytes()),
        package_sha256=arriving.whole_of(manifest), directory=str(Path(job.params["folder"]) / converting.PACKAGE),
        cutoff_at=manifest.cutoff_at, differences=Differences(job.params["differences"]), outcomes=job.params["outcomes"],
        delivery=row, mapping=chosen, received_by_id=job.params["by"], received_at=row.received_at,
    )  # fmt: skip


def outcome(job: Job) -> Job:
    """The inspection that an ended conversion began, or HandoverRefused with everything that stands in the way."""
    result = job.result or {}
    if not result.get("refused"):
        return Job.objects.get(kind=takeover.INSPECT, subject_id=result["intake"])
    Job.objects.filter(pk=job.pk).delete()
    raise takeover.HandoverRefused(takeover.faults_of(result), result)


def obstacles(delivery: Delivery, chosen: LedgerMapping) -> list[Fault]:
    """What would refuse the conversion before its first row."""
    return Conversion(mapping.read(chosen.text), deliveries.files_to_convert(delivery), Path()).check()


def tasks(delivery: Delivery, chosen: mapping.Mapping) -> list[converting.Task]:
    """Which file is read by which part of the mapping."""
    return Conversion(chosen, deliveries.files_to_convert(delivery), Path()).tasks


def case_facts(case: Case) -> dict[str, str]:
    """What the manifest says of the proceeding, as the case knows it."""
    return {"court": case.court, "case_number": case.court_number, "proceeding": case.proceeding, "trigger": case.trigger}


# --- a package in the agreed form, delivered as files ---------------------------------------------


def is_package(delivery: Delivery) -> bool:
    """Whether the files are a handover package already, so that there is nothing to map."""
    return any(file.name.rsplit("/", 1)[-1] == package.MANIFEST for file in delivery.files.filter(sha256__isnull=False))


@transaction.atomic
def take_in_package(delivery: Delivery, *, by: User, at: datetime, **options: Any) -> Job:
    """Receive a delivery that is a handover package, and begin to inspect it. From here on nothing more comes to it."""
    row = _to_be_read(delivery, by, at)
    beside = arriving.archive_of(Path(str(row.case_id)) / "look")  # links left here by somebody who was killed are swept
    beside.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=beside) as made:
        folder = Path(made)
        files = deliveries.files_to_convert(row)
        manifest = next(file.name for file in files if file.name.rsplit("/", 1)[-1] == package.MANIFEST)
        above = manifest.removesuffix(package.MANIFEST)
        for file in files:
            name = file.name.removeprefix(above)
            if not file.name.startswith(above) or name.count("/") > 1 or not all(map(archives.is_name, name.split("/"))):
                raise NotConverted(_("“%(name)s” lies beside the package, not in it.") % {"name": file.name})
            (folder / name).parent.mkdir(exist_ok=True)
            os.link(file.path, folder / name)
        intake = takeover.receive(row.case, folder, by=by, at=at, delivery=row, **options)
    try:
        begun = takeover.inspect(intake, by=by, at=at)
        if row.state == DeliveryState.ARRIVING:
            deliveries.complete(row, by=by, at=at)  # last: from its event to the commit the case's record waits
        return begun
    except BaseException:
        shutil.rmtree(arriving.archive_of(intake.directory), ignore_errors=True)
        raise


@transaction.atomic
def again(report: Job, *, outcomes: dict[str, Any], by: User, at: datetime) -> Job:
    """Read the files of a refused delivery again, with what was decided of the findings. Then only does the report go."""
    held = Job.objects.select_for_update(of=("self",)).filter(pk=report.pk, result__refused=True).first()
    if held is None or not held.params.get("delivery"):
        raise takeover.NotInspected(_("This report was put aside before."))
    delivery = Delivery.objects.get(pk=held.params["delivery"], case=held.case_id)
    differences = held.params.get("differences", Differences.REFUSE)
    if held.params.get("mapping"):
        chosen = LedgerMapping.objects.get(pk=held.params["mapping"], case=held.case_id)
        begun = convert(delivery, chosen, by=by, at=at, differences=differences, outcomes=outcomes)
    else:
        begun = take_in_package(delivery, by=by, at=at, differences=differences, outcomes=outcomes)
    takeover.forget(held, by=by, at=at)
    return begun


# --- a look that keeps nothing --------------------------------------------------------------------


def look(case: Case, directory: Path, text: str, *, by: User, at: datetime, suspend: bool) -> Report:
    """Receive, convert and inspect a directory of delivered files, and keep nothing of it."""
    chosen = mapping.read(text)
    folders = []
    try:
        with transaction.atomic():
            delivery = deliveries.from_directory(case, directory, deliverer=chosen.exchange["name"], by=by, at=at)
            folders = [deliveries.folder_of(delivery.directory), arriving.archive_of(Path(str(case.pk)) / "look" / secrets.token_hex(8))]
            conversion = Conversion(chosen, deliveries.files_to_convert(delivery), folders[1])
            report = _looked(conversion, case, suspend=suspend)
            transaction.set_rollback(True)
            return report
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _looked(conversion: Conversion, case: Case, *, suspend: bool) -> Report:
    faults = conversion.check()
    if not faults:
        try:
            conversion.whole(case_facts(case))
        except NotRead as wrong:
            faults = [converting.fault_of(wrong)]
    if faults:
        return Report(0, 0, (), from_faults(faults))
    known = dict(Asset.objects.filter(case=case).values_list("code", "scale"))
    report = inspection.validate(conversion.package, known=known, cutoff_at=case.cutoff_at, suspend=suspend)
    origins = Origins.of(conversion.package)
    return origins.report(report) if origins else report
