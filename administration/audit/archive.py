"""Where pulls are kept: a file appears whole or not at all, and is on the disk before anybody is told."""

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from administration.audit.models import Pull
from administration.cases.models import Case
from administration.errors import Refused

BUFFER = 256 * 1024


class NotPulled(Refused):
    """The pull was not made, or is not there; the message says why."""


def directory() -> Path:
    if not settings.ARCHIVE_DIR:
        raise NotPulled(_("Nothing was pulled: ARCHIVE_DIR is not set. Name the directory where pulls are kept."))
    pulls = Path(settings.ARCHIVE_DIR) / "pulls"
    pulls.mkdir(parents=True, exist_ok=True, mode=0o700)
    return pulls


def path_of(pull: Pull) -> Path:
    """Where the archive keeps the pull's file."""
    return Path(settings.ARCHIVE_DIR) / "pulls" / pull.file_name


def population_file(path: Path) -> Path:
    return path.with_suffix(".population.json")


def name_of(case: Case, number: int, form: str) -> str:
    reference = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in case.reference)
    return f"{reference}-pull-{number:04d}.{form}"


@contextlib.contextmanager
def half() -> Iterator[Path]:
    """A file that is being written; what is left of it at the end is thrown away."""
    path = directory() / f".{secrets.token_hex(8)}"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def keep(pull: Pull, written: Path) -> None:
    """The written file becomes the pull's; the population of a CSV or Parquet stands beside it."""
    assert pull.sha256 is not None
    path = path_of(pull)
    if pull.format != "jsonl":
        stated = {**pull.population, "file": pull.file_name, "sha256": bytes(pull.sha256).hex()}
        _put(population_file(path), json.dumps(stated, ensure_ascii=False, indent=1) + "\n")
    written.replace(path)
    _sync(path.parent)


def checked(pull: Pull) -> Path:
    """The pull's file if it is, byte for byte, what was recorded."""
    path = path_of(pull)
    if pull.sha256 is None:
        raise NotPulled(_("%(file)s was broken off before its end. Pull again.") % {"file": pull.file_name})
    if not path.exists():
        raise NotPulled(_("The archive has no %(file)s any more. Restore it from its copy.") % {"file": pull.file_name})
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").digest() != bytes(pull.sha256):
            raise NotPulled(
                _("%(file)s in the archive is not the file that was pulled. Restore it from its copy.")
                % {"file": pull.file_name}
            )
    return path


def copy_to(pull: Pull, out: Path) -> None:
    """A copy for the auditor. It appears whole or not at all."""
    source = path_of(pull)
    out.mkdir(parents=True, exist_ok=True)
    for path in (source, population_file(source)):
        if path.exists():
            unfinished = out / f".{path.name}.{secrets.token_hex(4)}"
            with unfinished.open("xb") as copy:
                for piece in pieces(path):
                    copy.write(piece)
                copy.flush()
                os.fsync(copy.fileno())
            unfinished.replace(out / path.name)
    _sync(out)


def pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(BUFFER):
            yield piece


class Output:
    """A file, its hash, length and lines, written in large pieces."""

    def __init__(self, path: Path) -> None:
        self._file, self._digest, self._buffer = path.open("wb"), hashlib.sha256(), bytearray()
        self.lines = self.bytes = 0

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, *_error: Any) -> None:
        self._file.close()

    def line(self, value: dict[str, Any]) -> None:
        self._buffer += json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self.lines += 1

    def take(self, messages: Iterator[Any]) -> Iterator[bytes]:
        """COPY's messages into the file; each piece that was written is given back as well."""
        buffer, lines = self._buffer, 0
        for data in messages:
            buffer += data
            lines += 1
            if len(buffer) >= BUFFER:
                yield self.flush()
        self.lines += lines

    def flush(self) -> bytes:
        piece = bytes(self._buffer)
        self._file.write(piece)
        self._digest.update(piece)
        self.bytes += len(piece)
        self._buffer.clear()
        return piece

    def finish(self) -> tuple[bytes, int]:
        """Everything is on the disk: its SHA-256 and its length."""
        self.flush()
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._digest.digest(), self.bytes


def _put(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with unfinished.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
