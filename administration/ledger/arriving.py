"""
How a package comes into the archive: its files copied as they are, hashed on the way, and held against its manifest.

    NotReceived   the package cannot be received now
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from administration.cases.models import Case
from administration.errors import Refused
from administration.ledger import package

ARRIVING = "arriving-"  # before the name of a folder that is not copied whole yet


class NotReceived(Refused):
    """The package cannot be received now."""


@contextmanager
def alone(case: Case) -> Iterator[Path]:
    """The folder of a case's packages, for one who receives at a time. What somebody who was killed left half copied goes."""
    folder = archive_of(Path(str(case.pk)) / "handover")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(folder / ".receiving", "a", opener=_private) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReceived(
                _("A package of case %(case)s is being received at this moment. Wait until it is there.") % {"case": case}
            ) from None
        for left in folder.glob(f"{ARRIVING}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield folder


def archive_of(kept: Path | str) -> Path:
    """Where a package's files as received are kept."""
    return Path(settings.ARCHIVE_DIR) / kept


def copy(source: Path, archive: Path) -> tuple[package.Manifest, bytes]:
    """Copy the manifest and every file it lists, hashing what is written. Raises PackageRefused for any fault."""
    content = package.manifest_bytes(source)
    manifest = package.parse_manifest(content)
    archive.mkdir(parents=True, mode=0o700)
    (archive / package.EVIDENCE).mkdir(mode=0o700)
    with open(archive / package.MANIFEST, "xb", opener=_private) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    faults = package.check_files(source, manifest, into=archive)
    if faults:
        raise package.PackageRefused(faults)
    for folder in (archive / package.EVIDENCE, archive):
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    return manifest, whole_of(manifest)


def whole_of(manifest: package.Manifest) -> bytes:
    """The hash of a package: over the sorted names and hashes of all its files."""
    hashes = {package.MANIFEST: manifest.sha256, **{file.name: file.sha256 for file in manifest.files}}
    whole = "".join(f"{name}\0{digest}\n" for name, digest in sorted(hashes.items()))
    return sha256(whole.encode()).digest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
