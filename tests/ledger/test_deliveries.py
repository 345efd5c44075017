"""What an exchange delivered: closed before it is read, gone when it is destroyed, and no file without its row."""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction

from administration.cases.appointments import NotEmpowered
from administration.cases.models import Case
from administration.ledger import conversions, deliveries, takeover
from administration.ledger.delivered import DeliveredFile, Delivery
from administration.ledger.deliveries import NotDelivered
from administration.ledger.models import Intake, SourceFile
from administration.record.models import Event
from administration.work import jobs
from administration.work.models import Job
from tests.cast import NOON, Cast
from tests.ledger.helpers import edit, work


def kept(case: Case) -> list[str]:
    """The files that lie in the archive of a case."""
    folder = Path(settings.ARCHIVE_DIR) / str(case.pk)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name != ".receiving")


def delivered(case: Case, cast: Cast, folder: Path) -> Delivery:
    """A delivery that is still arriving, with every file below a folder in it."""
    delivery = deliveries.begin(case, deliverer="the officer", by=cast.goto, at=NOON)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as source:
                deliveries.add(delivery, name=path.relative_to(folder).as_posix(), source=source, by=cast.goto, at=NOON)
    return delivery


def a_chunk_of(job: Job) -> None:
    """What a worker does who is killed after its first chunk."""
    taken = jobs._take(job.pk)
    assert taken is not None
    jobs._chunk(taken)
    jobs._let_go(taken)


# --- destroying -------------------------------------------------------------------------------


def test_destroying_a_delivery_destroys_the_package_that_was_made_of_it(
    secured: Case, cast: Cast, foreign: Any, django_capture_on_commit_callbacks: Any
):  # fmt: skip
    delivery, chosen = foreign
    intake = takeover.outcome(work(conversions.outcome(work(conversions.convert(delivery, chosen, by=cast.goto, at=NOON)))))
    takeover.cancel(intake, by=cast.goto, at=NOON, reason="A column of My Number.")
    assert any("conversion/" in name for name in kept(secured))

    with django_capture_on_commit_callbacks(execute=True):
        deliveries.destroy(delivery, reason="My Number", by=cast.goto, at=NOON)

    assert kept(secured) == []
    assert Event.objects.filter(kind="ledger.delivery_destroyed").count() == 1 and delivery.files.exists()


def test_destroying_a_delivery_destroys_the_copy_that_was_taken_in_of_it(
    secured: Case, cast: Cast, clean_package: Path, django_capture_on_commit_callbacks: Any
):  # fmt: skip
    delivery = delivered(secured, cast, clean_package)
    intake = takeover.outcome(work(conversions.take_in_package(delivery, by=cast.goto, at=NOON)))
    takeover.cancel(intake, by=cast.goto, at=NOON, reason="A column of My Number.")
    assert any("handover/" in name for name in kept(secured))

    with django_capture_on_commit_callbacks(execute=True):
        deliveries.destroy(delivery, reason="My Number", by=cast.goto, at=NOON)

    assert kept(secured) == []


def test_destroying_a_delivery_destroys_what_a_failed_conversion_left(
    secured: Case, cast: Cast, foreign: Any, django_capture_on_commit_callbacks: Any
):  # fmt: skip
    delivery, chosen = foreign
    job = conversions.convert(delivery, chosen, by=cast.goto, at=NOON)
    a_chunk_of(job)
    Job.objects.filter(pk=job.pk).update(state="failed", finished_at=NOON, error="the disk was full")
    assert any("conversion/" in name for name in kept(secured))

    with django_capture_on_commit_callbacks(execute=True):
        deliveries.destroy(delivery, reason="My Number", by=cast.goto, at=NOON)

    assert kept(secured) == []


# --- a delivery that is a package ---------------------------------------------------------------


def test_a_package_that_was_delivered_is_closed_when_it_is_taken_in(secured: Case, cast: Cast, clean_package: Path):
    delivery = delivered(secured, cast, clean_package)
    conversions.take_in_package(delivery, by=cast.goto, at=NOON)

    delivery.refresh_from_db()
    assert delivery.state == "complete"
    assert json.loads(Event.objects.get(kind="ledger.delivered").body)["files"].keys() == {file.name for file in delivery.files.all()}
    with pytest.raises(NotDelivered, match="closed"):
        deliveries.add(delivery, name="late.csv", source=io.BytesIO(b"late"), by=cast.goto, at=NOON)
    work(Job.objects.get(kind=takeover.INSPECT))
    assert not SourceFile.objects.filter(name__endswith="late.csv").exists()


def test_a_package_is_not_taken_in_while_a_file_of_it_is_still_to_come(secured: Case, cast: Cast, clean_package: Path):
    delivery = delivered(secured, cast, clean_package)
    deliveries.announce(delivery, name="evidence/more.pdf", size=9, by=cast.goto, at=NOON)
    before = kept(secured)

    with pytest.raises(NotDelivered, match="Not all files"):
        conversions.take_in_package(delivery, by=cast.goto, at=NOON)

    delivery.refresh_from_db()
    assert (delivery.state, Intake.objects.count(), kept(secured)) == ("arriving", 0, before)


def test_a_package_at_fault_leaves_its_delivery_open_for_what_is_missing(secured: Case, cast: Cast, folder: Path):
    (folder / "accounts.csv").unlink()
    delivery = delivered(secured, cast, folder)
    before = kept(secured)

    with pytest.raises(takeover.package.PackageRefused):
        conversions.take_in_package(delivery, by=cast.goto, at=NOON)

    delivery.refresh_from_db()
    assert (delivery.state, kept(secured)) == ("arriving", before)
    assert not Event.objects.filter(kind="ledger.delivered").exists()


def test_nothing_is_taken_in_of_a_destroyed_delivery(secured: Case, cast: Cast, clean_package: Path):
    delivery = delivered(secured, cast, clean_package)
    deliveries.destroy(delivery, reason="another's data", by=cast.goto, at=NOON)

    with pytest.raises(conversions.NotConverted, match="destroyed"):
        conversions.take_in_package(delivery, by=cast.goto, at=NOON)
    assert not Intake.objects.exists()


def test_no_package_is_taken_in_while_another_delivery_becomes_one(secured: Case, cast: Cast, foreign: Any, clean_package: Path):
    conversions.convert(*foreign, by=cast.goto, at=NOON)
    delivery = delivered(secured, cast, clean_package)

    with pytest.raises(conversions.NotConverted, match="is being converted"):
        conversions.take_in_package(delivery, by=cast.goto, at=NOON)
    assert not Intake.objects.exists()


# --- no file without its row ----------------------------------------------------------------------


def bomb() -> bytes:
    """Packed small, unpacked more than may come out of it; the first member is fit to be kept."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.csv", "a,b\n1,2\n")
        archive.writestr("bad.csv", "a,b\n1,2\n")
    content = bytearray(out.getvalue())
    place = content.index(b"a,b\n") if b"a,b\n" in content else content.index(b"bad.csv") + len(b"bad.csv")
    content[place] ^= 0xFF  # the second member cannot be unpacked
    return bytes(content)


ARCHIVES = {"whole.zip": bomb(), "notes.gz": gzip.compress(b"x" * 2_000_000)[:-9]}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_refused_while_it_is_unpacked_leaves_no_file(secured: Case, cast: Cast, name: str):
    delivery = deliveries.begin(secured, deliverer="the officer", by=cast.goto, at=NOON)

    with pytest.raises(NotDelivered):
        deliveries.add(delivery, name=name, source=io.BytesIO(ARCHIVES[name]), by=cast.goto, at=NOON)

    assert (kept(secured), DeliveredFile.objects.count()) == ([], 0)


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_came_in_pieces_and_is_refused_keeps_its_own_bytes_only(secured: Case, cast: Cast, name: str):
    content = ARCHIVES[name]
    delivery = deliveries.begin(secured, deliverer="the officer", by=cast.goto, at=NOON)
    file = deliveries.announce(delivery, name=name, size=len(content), by=cast.goto, at=NOON)
    deliveries.append(file, offset=0, piece=content, piece_sha256="", by=cast.goto, at=NOON)
    before = kept(secured)

    for _again in range(2):
        with pytest.raises(NotDelivered):
            deliveries.finish(file, by=cast.goto, at=NOON)
        assert (kept(secured), DeliveredFile.objects.count()) == (before, 1)


def test_a_file_that_breaks_off_on_its_way_leaves_none(secured: Case, cast: Cast):
    def broken() -> Any:
        yield b"half"
        raise ConnectionResetError

    delivery = deliveries.begin(secured, deliverer="the officer", by=cast.goto, at=NOON)
    with pytest.raises(ConnectionResetError):
        deliveries.add(delivery, name="a.csv", source=broken(), by=cast.goto, at=NOON)

    assert kept(secured) == []


# --- again, and given up --------------------------------------------------------------------------


ASIDE = {"full_width_digits": {"outcome": "aside", "remark": "The last officer wrote that nobody knows what it meant."}}


def refused(case: Case, cast: Cast, folder: Path) -> tuple[Delivery, Job]:
    edit(folder, "balances.csv", 2, amount="１００")
    delivery = delivered(case, cast, folder)
    report = work(conversions.take_in_package(delivery, by=cast.goto, at=NOON))
    assert report.result["refused"]
    return delivery, report


def test_the_report_of_a_refused_package_goes_when_its_files_are_read_again(secured: Case, cast: Cast, folder: Path):
    delivery, report = refused(secured, cast, folder)

    begun = conversions.again(report, outcomes=ASIDE, by=cast.goto, at=NOON)

    assert not Job.objects.filter(pk=report.pk).exists()
    assert takeover.outcome(work(begun)).set_aside.count() == 1
    assert Event.objects.filter(kind="ledger.delivered", subject_id=str(delivery.pk)).count() == 1


def test_the_report_stays_when_its_files_cannot_be_read_again(secured: Case, cast: Cast, folder: Path):
    delivery, report = refused(secured, cast, folder)
    deliveries.destroy(delivery, reason="another's data", by=cast.goto, at=NOON)

    with pytest.raises(conversions.NotConverted, match="destroyed"):
        conversions.again(report, outcomes=ASIDE, by=cast.goto, at=NOON)
    assert takeover.refused(secured) == report


def test_a_running_conversion_is_given_up_and_leaves_its_delivery_only(
    secured: Case, cast: Cast, foreign: Any, django_capture_on_commit_callbacks: Any
):  # fmt: skip
    delivery, chosen = foreign
    before = kept(secured)
    job = conversions.convert(delivery, chosen, by=cast.goto, at=NOON)
    a_chunk_of(job)
    assert kept(secured) != before
    with pytest.raises(NotEmpowered):
        conversions.give_up(job, by=cast.chiba, at=NOON)

    with django_capture_on_commit_callbacks(execute=True):
        conversions.give_up(job, by=cast.goto, at=NOON)

    assert (kept(secured), Job.objects.count()) == (before, 0)
    with pytest.raises(conversions.NotConverted, match="has ended"):
        conversions.give_up(job, by=cast.goto, at=NOON)
    deliveries.destroy(delivery, reason="My Number", by=cast.goto, at=NOON)


def test_a_worker_on_a_conversion_given_up_writes_nothing_more(
    secured: Case, cast: Cast, foreign: Any, django_capture_on_commit_callbacks: Any
):  # fmt: skip
    job = conversions.convert(*foreign, by=cast.goto, at=NOON)
    before = kept(secured)
    a_chunk_of(job)
    job.refresh_from_db()
    assert job.cursor
    first = Job.objects.get(pk=job.pk)
    first.cursor = ""
    with django_capture_on_commit_callbacks(execute=True):
        conversions.give_up(job, by=cast.goto, at=NOON)

    for held in (job, first):
        with pytest.raises(jobs.LostLease), transaction.atomic():
            conversions.step(held)
    assert kept(secured) == before
