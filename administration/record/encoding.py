"""
The canonical encoding of an event, and its leaf. Pure: the same rules stand in the first migration as SQL.

A frame is the length of a text in four bytes, most significant first, then the text in UTF-8; an absent text has
the length FF FF FF FF and nothing after it. The leaf of an event is SHA-256 of, in this order:

    a zero byte
    the frame of "henkan-event/1"
    its number, at and recorded_at, each in eight bytes, signed, most significant first
    the frames of its case reference, kind, subject kind, subject id, by, and body

Instants are microseconds since 2000-01-01 00:00 UTC, as PostgreSQL counts them. The body is JSON with sorted keys,
no spaces and no escapes but those JSON demands; whole numbers in it are strings.
Test vectors: tests/record/vectors.json.
"""

import datetime
import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

FORMAT = "henkan-event/1"
ABSENT = b"\xff\xff\xff\xff"
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
Y2000 = 946_684_800_000_000  # microseconds from 1970 to 2000
MICROSECOND = datetime.timedelta(microseconds=1)


def frame(text: str | None) -> bytes:
    if text is None:
        return ABSENT
    data = text.encode()
    return len(data).to_bytes(4) + data


def frames(texts: Iterable[str | None]) -> bytes:
    return b"".join(map(frame, texts))


def unframe(data: bytes) -> list[str | None]:
    """The texts that frames() put together."""
    texts: list[str | None] = []
    at, end = 0, len(data)
    while at < end:
        length = int.from_bytes(data[at : at + 4])
        at += 4
        if length == 0xFFFFFFFF:
            texts.append(None)
            continue
        texts.append(data[at : at + length].decode())
        at += length
    if at != end:
        raise ValueError("The last frame is longer than what is there.")
    return texts


def micros(instant: datetime.datetime) -> str:
    """Whole microseconds since 1970 in UTC. A naive instant is refused: it names no moment."""
    if instant.tzinfo is None:
        raise TypeError(f"{instant!r} has no time zone.")
    return str((instant - EPOCH) // MICROSECOND)


def canonical(body: Mapping[str, Any]) -> str:
    """The body as canonical JSON. Whole numbers become strings; floats are refused."""
    return json.dumps(_plain(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"A key of an event's body is a text, not {key!r}.")
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    raise TypeError(f"An event's body holds texts, whole numbers, lists and mappings, not {type(value).__name__}.")


def encoded(
    *,
    case_reference: str,
    number: int,
    kind: str,
    subject_kind: str,
    subject_id: str,
    by: str,
    at: str,
    recorded_at: str,
    body: str,
) -> bytes:
    """What the leaf is the hash of; `at` and `recorded_at` are micros()."""
    fixed = struct.pack(">qqq", number, int(at) - Y2000, int(recorded_at) - Y2000)
    return PREFIX + fixed + frames((case_reference, kind, subject_kind, subject_id, by, body))


def leaf(**fields: Any) -> bytes:
    """SHA-256 of the event's canonical encoding."""
    return hashlib.sha256(encoded(**fields)).digest()


PREFIX = b"\x00" + frame(FORMAT)
