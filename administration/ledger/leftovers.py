"""
What somebody who was killed between a commit and its files left in the archive: found by the rows, and removed.

Files are written before their rows are committed, and removed after. So there may be files without rows for a while,
and never rows without files; a delivery that the record calls destroyed is destroyed by the next sweep at the latest.
"""

import logging
import shutil
import time
from pathlib import Path

from django.db import connection, transaction

from administration.ledger import deliveries
from administration.ledger.delivered import Delivery, DeliveryState
from administration.ledger.models import Intake
from administration.work.models import Job, JobState

logger = logging.getLogger(__name__)

MARK = "swept_by"  # in the archive: which database it is swept by
AFTER_SECONDS = 24 * 3600  # longer than any transaction that writes a folder before its row is seen
ROOMS = ("delivery", "conversion", "handover", "look")  # below the folder of a case


def sweep() -> None:
    """Remove what no row speaks for."""
    for delivery in Delivery.objects.filter(state=DeliveryState.DESTROYED):
        deliveries.remove_what_is_destroyed(delivery)
    if not _knows_the_archive():
        logger.warning(
            "Nothing that no row speaks for is removed from the archive: this database was restored, copied or failed over, and may"
            " not know what was received since. Remove the file %s once somebody has looked.", deliveries.folder_of("") / MARK,
        )  # fmt: skip
        return
    for delivery in Delivery.objects.exclude(state=DeliveryState.DESTROYED):
        _files_without_rows(delivery)
    _folders_without_rows()


def _knows_the_archive() -> bool:
    """Whether this very database has swept the archive before, or is the first to. An older copy knows too few rows."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT database_identity()")
        me = str(cursor.fetchone()[0])
    mark = deliveries.folder_of("") / MARK
    if not mark.exists():
        mark.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark.write_text(me)
    return mark.read_text() == me


@transaction.atomic
def _files_without_rows(delivery: Delivery) -> None:
    """Whoever adds a file holds the delivery; while we hold it, each file here has its row or never will."""
    row = Delivery.objects.select_for_update(skip_locked=True).filter(pk=delivery.pk).first()
    folder = deliveries.folder_of(delivery.directory)
    if row is None or not folder.is_dir():
        return
    known = {str(pk) for pk in row.files.values_list("pk", flat=True)}
    for path in folder.iterdir():
        if path.name not in known:
            path.unlink(missing_ok=True)


def _folders_without_rows() -> None:
    before = time.time() - AFTER_SECONDS
    old = [path for room in ROOMS for path in deliveries.folder_of("").glob(f"*/{room}/*") if path.is_dir() and path.stat().st_mtime < before]
    if not old:
        return
    # In this order: a conversion that ends between the two is in the second.
    running = Job.objects.filter(kind=deliveries.CONVERT, state=JobState.WAITING).values_list("params__folder", flat=True)
    known = {*running, *Delivery.objects.values_list("directory", flat=True)}
    for directory, mapping in Intake.objects.values_list("directory", "mapping"):
        known.add(str(Path(directory).parent) if mapping else directory)
    for path in old:
        if str(path.relative_to(deliveries.folder_of(""))) not in known:
            shutil.rmtree(path, ignore_errors=True)
