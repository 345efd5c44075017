"""Files that a person carries out of the house: the payloads of a batch and its manifest, whole or not there at all."""

import os
from pathlib import Path

from django.utils.translation import gettext as _

from administration.errors import Refused
from administration.rails.interface import CarriedRail
from administration.returns import routes
from administration.returns.models import Batch, Manifest, SubmissionState


class NotWritten(Refused):
    """The files cannot be written there."""


def refuse_unless_usable(directory: Path) -> None:
    """Look before anything is exported that the files will find their place."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as trouble:
        raise NotWritten(_("%(directory)s cannot be made: %(trouble)s") % {"directory": directory, "trouble": trouble}) from None
    if not os.access(directory, os.W_OK):
        raise NotWritten(_("%(directory)s cannot be written to. Choose another directory.") % {"directory": directory})


def write(batch: Batch, directory: Path) -> int:
    """The manifest and one file for each part. Killed half-way: what has its name is whole; writing again gives the same."""
    body = Manifest.objects.values_list("body", flat=True).get(batch=batch)
    _put(directory / f"{batch.reference}.manifest.json", body.encode())
    count = 1
    del body
    rail = routes.rail(batch.rail)
    parts = batch.submissions.order_by("part", "version")
    if isinstance(rail, CarriedRail):  # what was not carried out stays inside
        parts = parts.exclude(state=SubmissionState.PREPARED)
    rows = parts.values_list("part", "version", "rail_key", "payload")
    for part, version, key, payload in rows.iterator(chunk_size=20):
        if isinstance(rail, CarriedRail):
            for file in rail.carried(key, bytes(payload)):
                _put(directory / file.name, file.content)
                count += 1
            continue
        name = f"{batch.reference}-{part:05d}" + (f"-v{version}" if version > 1 else "")
        _put(directory / f"{name}.payload", bytes(payload))
        count += 1
    if os.name == "posix":
        folder = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return count


def _put(path: Path, content: bytes) -> None:
    half = path.with_name(f".{path.name}.part")
    with half.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
