"""What somebody who was killed left in the archive goes with the next sweep; what a row speaks for stays."""

import io
import os
import shutil
import time
from pathlib import Path

from django.conf import settings

from administration.cases.models import Case
from administration.ledger import conversions, deliveries, leftovers, takeover
from administration.ledger.deliveries import folder_of
from administration.ledger.tasks import sweep
from config.celery import app
from tests.cast import NOON, Cast
from tests.ledger.helpers import work
from tests.ledger.test_deliveries import delivered, kept


def long_ago(folder: Path) -> Path:
    os.utime(folder, (time.time() - 25 * 3600,) * 2)
    return folder


def test_the_beat_sweeps():
    assert app.conf.beat_schedule["ledger.sweep"]["task"] == sweep.name


def test_a_delivery_whose_destruction_was_killed_after_its_commit_is_destroyed_by_the_sweep(secured: Case, cast: Cast, clean_package: Path):
    delivery = delivered(secured, cast, clean_package)
    intake = takeover.outcome(work(conversions.take_in_package(delivery, by=cast.goto, at=NOON)))
    takeover.cancel(intake, by=cast.goto, at=NOON, reason="My Number")
    deliveries.destroy(delivery, reason="My Number", by=cast.goto, at=NOON)  # and the process is gone before its files are
    assert kept(secured)

    sweep()

    assert kept(secured) == []


def test_a_file_whose_row_was_never_committed_goes_and_the_others_stay(secured: Case, cast: Cast):
    delivery = deliveries.begin(secured, deliverer="the officer", by=cast.goto, at=NOON)
    deliveries.add(delivery, name="a.csv", source=io.BytesIO(b"a"), by=cast.goto, at=NOON)
    deliveries.announce(delivery, name="b.csv", size=9, by=cast.goto, at=NOON)
    before = kept(secured)
    (folder_of(delivery.directory) / "999999").write_bytes(b"a member of an archive, unpacked by somebody who was killed")

    leftovers.sweep()

    assert kept(secured) == before and len(before) == 2


def test_a_database_that_was_restored_removes_nothing_that_it_does_not_know(secured: Case, cast: Cast):
    leftovers.sweep()
    (folder_of("") / leftovers.MARK).write_text("another cluster/1/00000001")
    newer = folder_of("") / str(secured.pk) / "handover" / "taken over after the backup"
    newer.mkdir(parents=True)
    long_ago(newer)

    leftovers.sweep()
    assert newer.is_dir()

    (folder_of("") / leftovers.MARK).unlink()  # somebody has looked
    leftovers.sweep()
    assert not newer.exists()


def test_a_folder_that_no_row_speaks_for_goes_after_a_day_and_every_other_stays(secured: Case, cast: Cast, clean_package: Path):
    delivery = delivered(secured, cast, clean_package)
    intake = takeover.outcome(work(conversions.take_in_package(delivery, by=cast.goto, at=NOON)))
    takeover.cancel(intake, by=cast.goto, at=NOON, reason="A newer backup.")  # its row stays, and its files as received
    before = kept(secured)
    here = Path(settings.ARCHIVE_DIR) / str(secured.pk)
    for room in leftovers.ROOMS:
        for name, at in (("0" * 16, long_ago), ("1" * 16, Path)):
            (here / room / name).mkdir(parents=True)
            (here / room / name / "left").write_bytes(b"left")
            at(here / room / name)
    for row in (delivery, intake):
        long_ago(folder_of(row.directory))

    leftovers.sweep()

    assert set(kept(secured)) == {*before, *(f"{room}/{'1' * 16}/left" for room in leftovers.ROOMS)}
    for room in leftovers.ROOMS:
        shutil.rmtree(here / room / ("1" * 16))


def test_the_folder_of_a_conversion_stays_while_it_is_waited_for(secured: Case, cast: Cast, foreign):
    job = conversions.convert(*foreign, by=cast.goto, at=NOON)
    folder = folder_of(job.params["folder"])
    folder.mkdir(parents=True)
    (folder / "row").write_bytes(b"row")
    long_ago(folder)

    leftovers.sweep()
    assert (folder / "row").exists()

    conversions.give_up(job, by=cast.goto, at=NOON)  # and the process is gone before its files are
    leftovers.sweep()
    assert not folder.exists()
