"""
Reading delivered files as rows of texts, each with the line and the bytes it stands in: CSV in its kinds, XLSX, Parquet.

What is in memory is a block, not the file; only a workbook is read whole, within a limit. Nothing is evaluated, repaired
or rounded: a number that a spreadsheet keeps as a binary fraction is passed on as such a fault (unconverted.py).

    NotRead   the file cannot be read, or not on: kind, line, byte, reason and remedy
"""

import csv
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree
from xml.parsers import expat

import pyarrow
import python_calamine
from pyarrow import parquet

from administration.errors import Refused
from administration.ledger import archives, cells, encodings
from administration.ledger.unconverted import mark

CSV, XLSX, PARQUET = "csv", "xlsx", "parquet"
FORMATS = (CSV, XLSX, PARQUET)
BLOCK = 1 << 20
LINE_BYTES_MAX = 1 << 20
COLUMNS_MAX = 2_000
WORKBOOK_BYTES_MAX = 256 * 2**20  # unpacked: a workbook is read whole
RATIO_MAX = 100  # unpacked to packed, of an archive larger than a few megabytes
PARTS_MAX = 1_000
BATCH = 20_000  # rows of a Parquet file in memory
SURE_DIGITS = 15  # a decimal of so many digits goes through a binary fraction and comes back

NEWLINES = {"LF": "\n", "CR": "\r"}

Row = tuple[list[str], int, int, int]  # values, line, first byte, bytes


class NotRead(Refused):
    """The file cannot be read, or not further than this."""

    def __init__(self, kind: str, reason: str, remedy: str, *, line: int | None = None, offset: int | None = None) -> None:
        super().__init__(f"{reason} {remedy}")
        self.kind, self.reason, self.remedy, self.line, self.offset = kind, reason, remedy, line, offset
        self.file = ""  # whoever knows the file's name says it


@dataclass(frozen=True, slots=True)
class Layout:
    """How one delivered file is to be read."""

    format: str = CSV
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    newline: str = "LF"  # CR LF is one too
    header: int = 1  # the row with the column names
    sheet: str = ""  # of a workbook; empty: its only one
    formulas: bool = False  # whether the values that formulas last had may be taken


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next row begins: its byte (or, without lines, its number) and its line."""

    offset: int
    line: int


def format_of(path: Path, name: str) -> str:
    """By its first bytes; the name decides nothing."""
    with path.open("rb") as file:
        first = file.read(4)
    if first == b"PAR1":
        return PARQUET
    return XLSX if first == b"PK\x03\x04" and name.lower().endswith((".xlsx", ".xlsm")) else CSV


def header(path: Path, layout: Layout) -> tuple[list[str], Place]:
    """The names of the columns, and where the rows begin."""
    if layout.format == PARQUET:
        return _parquet(path).schema_arrow.names, Place(0, 1)
    start = encodings.without_mark(path, layout.encoding) if layout.format == CSV else 0
    found = rows(path, layout, Place(start, 1))
    for values, line, offset, length in found:
        if line >= layout.header:
            names = [name.strip(" \u3000") for name in values]
            while names and not names[-1]:
                names.pop()  # separators at the end of each line, or empty columns at the right of a sheet
            if len(names) > COLUMNS_MAX:
                raise NotRead("header", f"The row has {len(names)} columns.", "Find out what this file is.", line=line)
            following = next(found, None)
            return names, Place(following[2], following[1]) if following else Place(offset + length, line + 1)
    raise NotRead("header", "The file has no row with column names.", "Say in the mapping which row it is.", line=layout.header)


def rows(path: Path, layout: Layout, at: Place) -> Iterator[Row]:
    """The rows from a place on. A row that cannot be read is one field that says so (unconverted.py)."""
    if layout.format == XLSX:
        return _sheet_rows(path, layout, at)
    if layout.format == PARQUET:
        return _parquet_rows(path, at)
    return _text_rows(path, layout, at)


# --- text -------------------------------------------------------------------------------------


class _Lines:
    """The lines of a text file, counting bytes and lines as they are taken."""

    def __init__(self, file: BinaryIO, layout: Layout, at: Place) -> None:
        self.codec = encodings.ENCODINGS[layout.encoding][0]
        self.end, self.number = at.offset, at.line
        self.newline = NEWLINES[layout.newline]
        self.file = file
        file.seek(at.offset)
        self.pairs: Generator[tuple[str, int], None, None] = self._wide() if self.codec.startswith("utf-16") else self._narrow()

    def __iter__(self) -> Iterator[str]:
        for text, size in self.pairs:
            self.end += size
            self.number += 1
            yield text

    def _narrow(self) -> Generator[tuple[str, int], None, None]:
        """Encodings in which a line end is one byte that stands in no other sign."""
        mark, at, rest = self.newline.encode(), self.end, b""
        while True:
            block = self.file.read(BLOCK)
            content = rest + block
            if block:
                cut = content.rfind(mark) + 1
                content, rest = content[:cut], content[cut:]
                if len(rest) > LINE_BYTES_MAX:
                    raise NotRead("endless_line", "No line ends within a megabyte.", "Find out what this file is.",
                                  line=self.number, offset=at)  # fmt: skip
            if content:
                text = self._decoded(content, at)
                raws = content.split(mark)
                last = len(raws) - 1
                for n, (line, raw) in enumerate(zip(text.split(self.newline), raws, strict=True)):
                    if n < last:
                        yield line + "\n", len(raw) + 1
                    elif raw:
                        yield line, len(raw)
                at += len(content)
            if not block:
                return

    def _decoded(self, content: bytes, at: int) -> str:
        try:
            text = content.decode(self.codec)
            if self.codec == "cp932":
                encodings.check_cp932(text, at)
        except UnicodeDecodeError as wrong:
            raise self._undecodable(content, at, at + wrong.start) from None
        except encodings.Undecodable as wrong:
            raise self._undecodable(content, at, wrong.offset) from None
        return text

    def _undecodable(self, content: bytes, at: int, offset: int) -> NotRead:
        line = self.number + content[: offset - at].count(self.newline.encode())
        return NotRead(
            "undecodable", f"Byte {offset} of the file (hex {content[offset - at]:02x}) has no meaning in {self.codec}.",
            "Look at the candidates and confirm another encoding, or ask for the file again.", line=line, offset=offset,
        )  # fmt: skip

    def _wide(self) -> Generator[tuple[str, int], None, None]:
        rest = ""
        try:
            for text in encodings.decoded(self.file, self.codec):
                lines = (rest + text).split(self.newline)
                rest = lines.pop()
                if len(rest) > LINE_BYTES_MAX:
                    raise NotRead("endless_line", "No line ends within a megabyte.", "Find out what this file is.", line=self.number)
                for line in lines:
                    yield line + "\n", len(line.encode(self.codec)) + 2
        except encodings.Undecodable as wrong:
            raise NotRead(
                "undecodable", f"Byte {wrong.offset} of the file (hex {wrong.byte:02x}) has no meaning in {self.codec}.",
                "Look at the candidates and confirm another encoding, or ask for the file again.", offset=wrong.offset,
            ) from None  # fmt: skip
        if rest:
            yield rest, len(rest.encode(self.codec))


def _text_rows(path: Path, layout: Layout, at: Place) -> Iterator[Row]:
    with path.open("rb") as file:
        lines = _Lines(file, layout, at)
        if layout.quote:
            reader = csv.reader(iter(lines), delimiter=layout.delimiter, quotechar=layout.quote, strict=True)
        else:
            reader = csv.reader(iter(lines), delimiter=layout.delimiter, quoting=csv.QUOTE_NONE)
        try:
            while True:
                line, offset = lines.number, lines.end
                try:
                    values = next(reader)
                except StopIteration:
                    return
                except csv.Error as wrong:
                    if lines.number - line > 1:
                        raise NotRead(
                            "unreadable_row", "From here on no row ends: a quote is never closed, or stands in the middle of a text.",
                            "Look at the quotes of this row, or say in the mapping that the file has none.", line=line, offset=offset,
                        ) from None  # fmt: skip
                    yield [mark("unreadable_row", str(wrong))], line, offset, lines.end - offset
                    continue
                yield values, line, offset, lines.end - offset
        finally:
            lines.pairs.close()  # it knows the lines that know it: let go of both at once


# --- workbooks --------------------------------------------------------------------------------


def sheets(path: Path) -> list[str]:
    """The sheets of a workbook, hidden ones too."""
    return list(_sheet_parts(path))


def _sheet_rows(path: Path, layout: Layout, at: Place) -> Iterator[Row]:
    parts = _sheet_parts(path)
    name = layout.sheet or next(iter(parts))
    if name not in parts or (not layout.sheet and len(parts) > 1):
        raise NotRead("no_such_sheet", f"The workbook has the sheets {', '.join(parts)}.", "Name the one that is meant.")
    if at.line <= 1:
        _look_at_cells(path, parts[name], formulas=layout.formulas)
    try:
        sheet = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_name(name)
        for number, row in enumerate(sheet.iter_rows(), start=1):
            if number >= at.line:
                yield [_cell(cell) for cell in row], number, number, 0
    except (python_calamine.CalamineError, python_calamine.PasswordError) as wrong:
        raise NotRead("unreadable_file", f"The workbook cannot be read: {wrong}.", "Ask for it again, or for CSV.") from None


def _sheet_parts(path: Path) -> dict[str, str]:
    """The name of each sheet and the part of the workbook that holds it, after looking whether it is fit to be unpacked."""
    with _workbook(path) as book:
        entries = book.infolist()
        size, packed = sum(one.file_size for one in entries), sum(one.compress_size for one in entries)
        if len(entries) > PARTS_MAX or size > WORKBOOK_BYTES_MAX or (size > 2**24 and size > RATIO_MAX * max(1, packed)):
            raise NotRead("too_large", f"Unpacked, the workbook has {size >> 20} MB.", "Ask for CSV or Parquet.")
        if any(one.flag_bits & 1 for one in entries):
            raise NotRead("unreadable_file", "The workbook is encrypted.", "Ask for it without a password.")
        if len({one.filename.lower() for one in entries}) != len(entries):
            raise NotRead("unreadable_file", "Parts of the workbook stand twice under one name.", "Find out who made it.")
        relations = {one.get("Id"): one.get("Target", "") for one in _xml(book, "xl/_rels/workbook.xml.rels")}
        found = {}
        for one in _xml(book, "xl/workbook.xml").iter("{http://schemas.openxmlformats.org/spreadsheetml/2006/main}sheet"):
            target = relations.get(one.get("{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"), "")
            if one.get("name", "") in found:
                raise NotRead("unreadable_file", "Parts of the workbook stand twice under one name.", "Find out who made it.")
            found[one.get("name", "")] = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    if not found:
        raise NotRead("no_such_sheet", "The workbook has no sheet.", "Find out what this file is.")
    return found


def _xml(book: zipfile.ZipFile, part: str) -> ElementTree.Element:
    content = book.read(part)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise NotRead("unreadable_file", "The workbook declares entities of its own.", "Find out who made it.")
    return ElementTree.fromstring(content)  # noqa: S314 - no entities: looked at above


def _look_at_cells(path: Path, part: str, *, formulas: bool) -> None:
    """Refuse a sheet with formulas or error values: what they show was computed elsewhere, or not at all."""
    at = path.stat()
    wrong = _first_wrong(path, part, formulas, (at.st_ino, at.st_size, at.st_mtime_ns))
    if wrong is None:
        return
    if wrong.kind == cells.DECLARES:
        raise NotRead("unreadable_file", "The workbook declares entities of its own.", "Find out who made it.")
    error = wrong.kind == cells.ERROR
    raise NotRead(
        wrong.kind,
        f"Cell {wrong.cell} shows an error." if error else f"Cell {wrong.cell} holds a formula; formulas are never computed here.",
        "Ask for the value." if error else "Ask for values only, or declare in the mapping that the last ones may be taken.",
        line=wrong.row,
    )


@lru_cache(maxsize=64)  # each step of a conversion begins with the header, and so with this look
def _first_wrong(path: Path, part: str, formulas: bool, _file: tuple[int, int, int]) -> cells.Wrong | None:
    with _workbook(path) as book, book.open(part) as sheet:
        return cells.first_wrong(sheet, formulas=formulas)


@contextmanager
def _workbook(path: Path) -> Iterator[zipfile.ZipFile]:
    """A workbook to read parts of; damage of any kind is a sentence."""
    try:
        with archives.reading(), zipfile.ZipFile(path) as book:
            yield book
    except (archives.Damaged, ElementTree.ParseError, expat.ExpatError) as wrong:
        raise NotRead("unreadable_file", f"This is not a workbook that can be read: {wrong}.", "Ask for it again, or for CSV.") from None


def _cell(value: Any) -> str:
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return _exact(value)
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds") if not value.microsecond else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _exact(value: float) -> str:
    """The decimal that was typed, where one can be meant; more than fifteen digits cannot have come through unharmed."""
    decimal = Decimal(repr(value)).normalize()
    if not decimal.is_finite() or len(decimal.as_tuple().digits) > SURE_DIGITS + (decimal == decimal.to_integral_value() and abs(value) < 2**53):
        return mark("inexact_number", repr(value))
    text = format(decimal, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


# --- Parquet ----------------------------------------------------------------------------------


def _parquet(path: Path) -> Any:
    try:
        return parquet.ParquetFile(path, memory_map=False, pre_buffer=False)
    except (pyarrow.ArrowException, OSError) as wrong:
        raise NotRead("unreadable_file", f"This is not a Parquet file that can be read: {wrong}.", "Ask for it again.") from None


def floats(path: Path) -> frozenset[str]:
    """The columns that are binary fractions: never amounts."""
    return frozenset(one.name for one in _parquet(path).schema_arrow if pyarrow.types.is_floating(one.type))


def nested(path: Path) -> frozenset[str]:
    """The columns that hold no single values."""
    kinds = pyarrow.types
    return frozenset(
        one.name for one in _parquet(path).schema_arrow
        if kinds.is_nested(one.type) or kinds.is_binary(one.type) or kinds.is_large_binary(one.type) or kinds.is_duration(one.type)
    )  # fmt: skip


def row_count(path: Path) -> int:
    return int(_parquet(path).metadata.num_rows)


def _parquet_rows(path: Path, at: Place) -> Iterator[Row]:
    file = _parquet(path)
    meta, first = file.metadata, 0
    groups: list[int] = []
    skip = at.offset
    for group in range(meta.num_row_groups):
        many = meta.row_group(group).num_rows
        if first + many > at.offset:
            if not groups:
                skip = at.offset - first
            groups.append(group)
        first += many
    number = at.offset - skip
    if not groups:
        return
    try:
        for batch in file.iter_batches(batch_size=BATCH, row_groups=groups):
            if number + batch.num_rows <= at.offset:
                number += batch.num_rows
                continue
            columns = [_texts(column) for column in batch.columns]
            for values in zip(*columns, strict=True):
                if number >= at.offset:
                    yield list(values), number + 1, number, 0
                number += 1
    except (pyarrow.ArrowException, OSError) as wrong:
        raise NotRead("unreadable_file", f"The Parquet file cannot be read on: {wrong}.", "Ask for it again.", line=number + 1) from None


def _texts(column: Any) -> list[str]:
    """A column as texts: decimals with all their places, days and instants in ISO form, nothing rounded."""
    if pyarrow.types.is_timestamp(column.type):
        column = column.cast(pyarrow.timestamp("us", column.type.tz))  # refuses what would be cut off
    return [_value(value) for value in column.to_pylist()]


def _value(value: Any) -> str:
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return mark("inexact_number", repr(value))
    return _cell(value)
