"""
Records of fixed width, by the tables in layout.json: written exactly, read strictly.

A figure stands right, after zeros; a text stands left, before spaces. What does not fit, or may not stand there, is a
fault with its line, its column in the record and its reason.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from administration.rails.zengin import kana
from administration.rails.zengin.kana import Characters

_FIGURES = re.compile(rb"[0-9]+")
NAMED = 5  # faults that one sentence names


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in one place. Lines and columns count from 1; 0 is the whole line or the whole file."""

    line: int
    column: int
    reason: str
    of: str = ""  # the return that the line is made of, where one is

    def __str__(self) -> str:
        where = f"Line {self.line}" if self.line else "The file"
        if self.of:
            where += f" ({self.of})"
        return f"{where} column {self.column}: {self.reason}" if self.column else f"{where}: {self.reason}"


class Wrong(Exception):
    """A record or file is not what its layout says. Inside this package only: each face has its own refusal."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(sentence(self.faults))


def sentence(faults: tuple[Fault, ...]) -> str:
    """The faults in words, the first few of many."""
    more = f" And {len(faults) - NAMED} more." if len(faults) > NAMED else ""
    return " ".join(map(str, faults[:NAMED])) + more


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record: where it stands and what it may hold."""

    name: str
    ja: str
    figures: bool
    offset: int
    length: int
    always: str | None = None
    characters: Characters | None = None  # None of a text: spaces only
    may_be_blank: bool = False

    @property
    def column(self) -> int:
        return self.offset + 1

    def __str__(self) -> str:
        return f"{self.name.replace('_', ' ')} ({self.ja})"


@dataclass(frozen=True, slots=True)
class Record:
    """One kind of record: its fields in order, which fill it without a gap."""

    name: str
    length: int
    fields: tuple[Field, ...]

    @property
    def mark(self) -> str:
        """The first character of each such record."""
        return self.fields[0].always or ""

    def write(self, line: int, values: Mapping[str, str | int]) -> bytes:
        """The record's bytes. Raises Wrong for every value that does not fit."""
        faults: list[Fault] = []
        content = bytearray()
        for field in self.fields:
            value = field.always if field.always is not None else values.get(field.name, "")
            content += _written(field, value, line, faults)
        if faults:
            raise Wrong(faults)
        return bytes(content)

    def read(self, line: int, content: bytes) -> dict[str, str]:
        """The values by name: figures with their zeros, texts without the spaces after them. Raises Wrong."""
        faults: list[Fault] = []
        if len(content) != self.length:
            raise Wrong([Fault(line, 0, f"{len(content)} bytes; a record has {self.length}.")])
        values = {
            field.name: _read(field, content[field.offset : field.offset + field.length], line, faults)
            for field in self.fields
        }
        if faults:
            raise Wrong(faults)
        return values


def _written(field: Field, value: str | int, line: int, faults: list[Fault]) -> bytes:
    size = field.length
    if field.figures:
        text = str(value)
        if text == "" and field.may_be_blank:
            return b" " * size
        if not re.fullmatch(r"[0-9]+", text, re.ASCII):
            faults.append(Fault(line, field.column, f"{field} is {text!r}, which is no figure."))
        elif len(text) > size:
            faults.append(Fault(line, field.column, f"{field} is {text}, which has more than {size} digits."))
        return text.encode("ascii", "ignore").rjust(size, b"0")
    text = str(value)
    if field.characters is None:
        return b" " * size
    strange = kana.look(text, field.characters)
    faults += _strange(field, strange, line)
    if len(text) > size:
        reason = f"{field} is {text!r}, which has {len(text)} characters; {size} fit."
        faults.append(Fault(line, field.offset + size + 1, reason))
    if text != text.strip(" "):
        faults.append(Fault(line, field.column, f"{field} begins or ends with a space."))
    return b" " * size if strange else kana.encode(text).ljust(size)


def _read(field: Field, content: bytes, line: int, faults: list[Fault]) -> str:
    blank = not content.strip(b" ")
    if field.figures:
        if blank and field.may_be_blank:
            return ""
        if not _FIGURES.fullmatch(content):
            at = next(place for place, byte in enumerate(content) if not 0x30 <= byte <= 0x39)
            faults.append(Fault(line, field.column + at, f"{field} has {_shown(content[at])} where a digit stands."))
            return ""
        text = content.decode("ascii")
        if field.always is not None and text != field.always:
            faults.append(Fault(line, field.column, f"{field} is {text}; here it is always {field.always}."))
        return text
    if field.characters is None:
        for place, byte in enumerate(content):
            if byte != 0x20:
                faults.append(Fault(line, field.column + place, f"{field} has {_shown(byte)}; only spaces stand here."))
                break
        return ""
    text, unknown = kana.decode(content)
    faults += _strange(field, unknown or kana.look(text, field.characters), line)
    return text.rstrip(" ")


def _strange(field: Field, found: Iterable[kana.Strange], line: int) -> list[Fault]:
    return [Fault(line, field.offset + one.column, f"{field} has {one.character!r}, {one.reason}.") for one in found]


def _shown(byte: int) -> str:
    return repr(chr(byte)) if 0x20 <= byte < 0x7F else f"byte {byte:02X}"


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of file: how long its records are, and which there are."""

    length: int
    records: Mapping[str, Record]

    def __getitem__(self, name: str) -> Record:
        return self.records[name]


@cache
def layout(name: str) -> Layout:
    """A kind of file by its name in layout.json: transfers or statement."""
    data: dict[str, Any] = json.loads((Path(__file__).parent / "layout.json").read_text("utf-8"))[name]
    length = int(data["length"])
    records = {kind: Record(kind, length, tuple(_field(row) for row in rows)) for kind, rows in data["records"].items()}
    if "in_place_of_customer_codes" in data:
        edi, plain = _field(data["in_place_of_customer_codes"]), records["transfer"]
        first = next(place for place, field in enumerate(plain.fields) if field.offset == edi.offset)
        fields = (*plain.fields[:first], edi, *plain.fields[first + 2 :])
        records["transfer_edi"] = replace(plain, name="transfer_edi", fields=fields)
    for record in records.values():
        end = 0
        for field in record.fields:
            assert field.offset == end, f"{name}/{record.name}: a gap before {field.name}"
            end += field.length
        assert end == length, f"{name}/{record.name}: {end} bytes"
    return Layout(length, records)


def _field(row: Mapping[str, Any]) -> Field:
    characters = row.get("characters")
    return Field(
        row["name"], row["ja"], row["kind"] == "N", row["offset"], row["length"], row.get("always"),
        Characters(characters) if characters else None, row.get("may_be_blank", False),
    )  # fmt: skip


def lines(content: bytes, length: int) -> Iterator[tuple[int, bytes]]:
    """
    The records of a file, numbered from 1: ended by CR LF, LF or CR, or by nothing at all, with or without a mark of
    the file's end. One way throughout: a file that mixes them was cut or joined. Raises Wrong.
    """
    if content.endswith(b"\x1a"):
        content = content[:-1]
    if not content:
        raise Wrong([Fault(0, 0, "It is empty.")])
    end = next((mark for mark in (b"\r\n", b"\n", b"\r") if content[length : length + len(mark)] == mark), b"")
    if not end:
        if len(content) % length:
            number = len(content) // length + 1
            raise Wrong([Fault(number, 0, f"{len(content) % length} bytes; a record has {length}.")])
        for number, start in enumerate(range(0, len(content), length), start=1):
            yield number, content[start : start + length]
        return
    parts = content.split(end)
    if parts[-1] == b"":
        parts.pop()
    for number, part in enumerate(parts, start=1):
        if len(part) != length:
            raise Wrong([Fault(number, 0, f"{len(part)} bytes; a record has {length}.")])
        yield number, part
