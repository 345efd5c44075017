"""Seal the record: sign the root of all events so far, and let the signed head leave the database at once."""

import fcntl
import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.errors import Refused
from administration.record import keys, merkle, stream
from administration.record.encoding import frames, micros
from administration.record.models import Counter, Head

FORMAT = "henkan-head/1"
AT_ONCE = 1 << 18  # events sealed in one transaction: bounds memory
KEPT_TOGETHER = 1 << 12  # leaves in one row
TAIL = 1 << 16

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('record seal', %s))"
KEEP = "COPY record_leaves (case_id, first, hashes) FROM STDIN (FORMAT BINARY)"


class HasRecord(Protocol):
    """A case, as far as the record knows it."""

    @property
    def pk(self) -> Any: ...

    @property
    def reference(self) -> str: ...


class NoHeadLog(Refused):
    """A head must leave the database as soon as it is signed; there is nowhere for it to go."""


def seal(case: HasRecord, *, at: datetime) -> Head | None:
    """
    Sign a head over all committed events of the case. None if there is nothing new since the last.

    Opens transactions of its own: a head signed within an act that is then rolled back would speak of
    events that never were.
    """
    key = keys.signing_key()
    log = log_file()
    sealed = None
    while head := _seal_some(case, key, at):
        sealed = head
        _write(log, case)
    return sealed


def _seal_some(case: HasRecord, key: Ed25519PrivateKey, at: datetime) -> Head | None:
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(LOCK, [case.pk])
        previous = latest(case)
        counter = Counter.objects.filter(case_id=case.pk).first()
        size = previous.size if previous else 0
        if counter is None or counter.last == size:
            return None
        frontier = merkle.Frontier.load(size, bytes(previous.frontier)) if previous else merkle.Frontier()
        last = min(counter.last, size + AT_ONCE)
        kept = bytearray()
        for leaves in stream.leaves(case.pk, size + 1, last):
            frontier.extend(leaves)
            kept += b"".join(leaves)
        if frontier.size != last:
            raise Refused(
                _("Events are missing between %(first)s and %(last)s of case %(case)s. Run verify_record and see.")
                % {"first": size + 1, "last": last, "case": case.reference}
            )
        with cursor.copy(KEEP) as copy:
            copy.set_types(["int8", "int8", "bytea"])
            for at_leaf in range(0, last - size, KEPT_TOGETHER):
                block = kept[at_leaf * merkle.WIDTH : (at_leaf + KEPT_TOGETHER) * merkle.WIDTH]
                copy.write_row((case.pk, size + 1 + at_leaf, bytes(block)))
        public_key = keys.public_bytes(key)
        head = Head(
            case_id=case.pk,
            case_reference=case.reference,
            size=last,
            root=frontier.root(),
            frontier=frontier.dump(),
            signed_at=at,
            key_id=keys.key_id(public_key),
            public_key=public_key,
        )
        head.signature = key.sign(signed_text(head))
        head.save(force_insert=True)
    return head


def latest(case: HasRecord) -> Head | None:
    return Head.objects.filter(case_id=case.pk).order_by("-size").first()


def signed_text(head: Head) -> bytes:
    """What the signature is over."""
    return frames((FORMAT, head.case_reference, str(head.size), bytes(head.root).hex(), micros(head.signed_at)))


def is_signed(head: Head) -> bool:
    return keys.key_id(bytes(head.public_key)) == head.key_id and keys.is_signed(
        bytes(head.public_key), bytes(head.signature), signed_text(head)
    )


def as_json(head: Head) -> dict[str, str]:
    """A head as it leaves the database: in the head log, in pulls, on court papers."""
    return {
        "format": FORMAT,
        "case": head.case_reference,
        "size": str(head.size),
        "root": bytes(head.root).hex(),
        "signed_at": micros(head.signed_at),
        "key_id": head.key_id,
        "public_key": bytes(head.public_key).hex(),
        "signature": bytes(head.signature).hex(),
    }


# --- the head log -----------------------------------------------------------------------------


def log_file() -> Path:
    if not settings.HEAD_LOG_FILE:
        raise NoHeadLog(
            _("Nothing was sealed: HEAD_LOG_FILE is not set. Name a file that the database's host cannot rewrite.")
        )
    return Path(settings.HEAD_LOG_FILE)


def logged(case: HasRecord) -> Iterator[dict[str, str]]:
    """The heads of one case in the head log, as they were written."""
    path = log_file()
    if path.exists():
        with path.open(encoding="utf-8") as file:
            yield from (line for line in map(_read, file) if line.get("case") == case.reference)


def _read(line: str) -> dict[str, str]:
    """A torn last line (the machine died while writing it) is no head; the next seal writes it whole."""
    try:
        head = json.loads(line)
    except ValueError:
        return {}
    return head if isinstance(head, dict) else {}


def _write(path: Path, case: HasRecord) -> None:
    """
    Append the heads of the case that the log does not hold yet: the newest, and any that a crash kept back.

    The heads are committed by now, so the log never speaks of what was rolled back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = file.seek(0, os.SEEK_END)
        known = _last_size(path, case, end)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                file.write(b"\n")
        for head in Head.objects.filter(case_id=case.pk, size__gt=known).order_by("size").iterator():
            file.write(json.dumps(as_json(head), separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _last_size(path: Path, case: HasRecord, end: int) -> int:
    """The size of the last head of this case in the log. Usually it stands near the end."""
    with path.open("rb") as file:
        file.seek(max(0, end - TAIL))
        sizes = _sizes(file.read().decode(errors="replace").splitlines(), case)
    if not sizes and end > TAIL:
        return max((int(head["size"]) for head in logged(case)), default=0)
    return max(sizes, default=0)


def last_logged(case: HasRecord) -> dict[str, str] | None:
    """The newest head of one case in the log, as it was written there; read from the log's end."""
    path = log_file()
    if not path.exists():
        return None
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - TAIL))
        near = [head for head in map(_read, file.read().decode(errors="replace").splitlines()) if head.get("case") == case.reference]
    if not near and end > TAIL:
        near = list(logged(case))
    return max(near, key=lambda head: int(head["size"]), default=None)


def _sizes(lines: list[str], case: HasRecord) -> list[int]:
    return [int(head["size"]) for head in map(_read, lines) if head.get("case") == case.reference]
