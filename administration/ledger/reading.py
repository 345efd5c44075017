"""
Reading the tables of a handover package: blocks of records, what each must look like, and what is wrong with it.

Nothing is repaired and nothing is rounded. A record that has the form of its table is passed on as it is; only a
record that has not is taken apart, field by field, to say what is wrong. Knows no database.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from administration.errors import Refused
from administration.ledger import package, unconverted
from administration.ledger.package import Column, Fault, Table, Type

BLOCK_BYTES = 2 * 1024 * 1024  # read at a time: what is in memory
RECORD_BYTES_MAX = 1024 * 1024
DIGITS_MAX = 40  # whole digits of an amount: far more than there are units of anything

# Days that are days, but for 29 February: the database finds those, at the price of reading the block again.
_DATE = r"(?!0000|[0-9]{4}-(?:02-3|(?:0[469]|11)-31))[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_YEAR = r"(?=19|[2-8])"  # package.YEARS
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_AMOUNT = rf"-?[0-9]{{1,{DIGITS_MAX}}}(?:\.[0-9]{{1,36}})?"
_EXPONENT = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?[eE][+-]?[0-9]+", re.ASCII)
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF0D, 0xFF1A) if code != 0xFF0F}  # digits, point and minus
_PLAIN_AMOUNT = re.compile(_AMOUNT, re.ASCII)
_PLAIN_INT = re.compile(rf"[0-9]{{1,{DIGITS_MAX}}}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

# What nobody can see, or what another program has left: directions, joiners, the mark of a lost character, letters of
# private use. Variation selectors are not among them: names are written with them.
HIDDEN = "\x80-\x9f\u00ad\u034f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffd\ue000-\uf8ff"
_HIDDEN = re.compile(f"[{HIDDEN}]")
REMARKS = frozenset({"hidden_character", "unusual_form"})  # kinds that are only remarked on: the text is taken as it is

Values = list[str | None]


class Unreadable(Refused):
    """The file cannot be read on as a table; its faults say from where."""


@dataclass(slots=True)
class Block:
    """
    Some records of a table, in order: `(row, text)` as they stand, for those that have their table's form.

    `odd` holds the records that have not: their values as far as they could be read, None where they could not.
    """

    records: list[tuple[int, str]]
    odd: list[tuple[int, Values]]
    faults: list[Fault]
    offset: int  # where the next block begins
    row: int  # the row of its first record
    ended: bool
    rows: int = field(default=0)  # records of this block, unreadable ones included


def header_faults(path: Path, table: Table) -> tuple[list[Fault], int]:
    """What is wrong with the first line, and where the records begin."""
    with open(path, "rb") as file:
        line = file.readline(RECORD_BYTES_MAX)
    raw = line.rstrip(b"\n")
    try:
        text = raw.decode()
    except UnicodeDecodeError as wrong:
        return [_not_utf8(table, 1, wrong.start)], len(line)
    if text.startswith("\ufeff"):
        return [
            _in_header(table, "byte_order_mark", "The file begins with a byte order mark.", "Write UTF-8 without it.")
        ], 0
    if "\r" in text:
        ends = "CR LF" if text.endswith("\r") and text.count("\r") == 1 else "CR"
        return [_in_header(table, "line_ending", f"Lines end in {ends}.", "End lines in LF alone.")], 0
    try:
        names = next(csv.reader([text], strict=True), [])
    except csv.Error:
        names = [text]
    forbidden = [name for name in names if _squeezed(name) in _forbidden()]
    if forbidden:
        return [
            Fault(
                "my_number",
                table.file,
                f"The column {forbidden[0]} carries individual numbers, which the law forbids us to hold.",
                "Make the package again without that column, and destroy this copy.",
                column=forbidden[0],
                row=1,
            )
        ], 0
    if tuple(names) != table.header:
        wrong_name = next((name for name in names if name not in table.header), "")
        missing = next((name for name in table.header if name not in names), "")
        what = (
            f"The column {missing} is missing." if missing
            else f"The column {wrong_name[:60]!r} is not part of this table." if wrong_name
            else "The columns are not in the order of the format, or one stands twice."
        )  # fmt: skip
        return [
            Fault(
                "header",
                table.file,
                what,
                f"Write exactly: {','.join(table.header)}.",
                column=missing or wrong_name[:60],
                row=1,
            )
        ], 0
    return [], len(line)


def _squeezed(name: str) -> str:
    """A column's name however it is spelled: マイナンバー, My-Number, ＭＹ ＮＵＭＢＥＲ."""
    return re.sub(r"[\s_\-・]", "", unicodedata.normalize("NFKC", name).casefold())


@cache
def _forbidden() -> frozenset[str]:
    return frozenset(map(_squeezed, package.FORBIDDEN_COLUMNS))


@dataclass(slots=True)
class Piece:
    """Whole records of a table as they lie in its file: from byte `begin` to byte `end`."""

    content: bytes
    begin: int
    end: int
    ended: bool  # the file ends here


def pieces(path: Path, *, offset: int, size: int = BLOCK_BYTES) -> Iterator[Piece]:
    """The file from byte `offset`, cut into whole records, about `size` bytes at a time."""
    with open(path, "rb") as file:
        file.seek(offset)
        ended = False
        rest = b""
        while not ended:
            chunk = file.read(size)
            ended = len(chunk) < size
            content, rest = _cut(rest + chunk, ended)
            if not content and not ended:
                if len(rest) > size + RECORD_BYTES_MAX:
                    raise Unreadable(f"{path.name}: from byte {offset + 1} on no record ends within a megabyte.")
                continue
            yield Piece(content, offset, offset + len(content), ended)
            offset += len(content)


def block_of(piece: Piece, table: Table, row: int, lines: list[str]) -> Block:
    """The records of a piece, of which the first is `row`: `lines`, if all of it is plain; else what is wrong with which."""
    block = Block([], [], [], piece.end, row, piece.ended)
    if lines:
        block.records, block.rows = list(enumerate(lines, row)), len(lines)
    else:
        matches = _form(table).fullmatch
        for number, record in enumerate(_records(piece.content, table, row, block), start=row):
            if record is None:
                continue
            if matches(record):
                block.records.append((number, record))
            else:
                faults, values = diagnose(table, number, record)
                block.faults += faults
                if values is not None:
                    block.odd.append((number, values))
    block.row = row + block.rows
    return block


def blocks(path: Path, table: Table, *, offset: int, row: int, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """The records from byte `offset`, of which the first is `row`, in blocks of about `size` bytes."""
    for piece in pieces(path, offset=offset, size=size):
        block = block_of(piece, table, row, plain_lines(piece.content, table))
        row = block.row
        yield block


def unreadable_end(table: Table, row: int) -> Fault:
    """A quote was opened and never closed, or a line goes on for ever."""
    return Fault(
        "unreadable_row", table.file, "From here on no record ends: a quote is never closed, or the line never ends.",
        "Look at the quotes of this row.", row=row,
    )  # fmt: skip


def _cut(content: bytes, ended: bool) -> tuple[bytes, bytes]:
    """Up to the end of the last whole record, and what comes after it."""
    if ended:
        return content, b""
    cut = content.rfind(b"\n") + 1
    while cut and content.count(b'"', 0, cut) % 2:  # that line end is inside a quoted field
        cut = content.rfind(b"\n", 0, cut - 1) + 1
    return content[:cut], content[cut:]


def _records(content: bytes, table: Table, row: int, block: Block) -> Iterator[str | None]:
    """One text per record, None for one that is not UTF-8. A record may have line ends inside quotes."""
    if not content:
        return
    lines = content.removesuffix(b"\n").split(b"\n")
    quoted = b'"' in content
    if quoted:
        lines = _joined(lines)
    block.rows = len(lines)
    try:
        yield from [line.decode() for line in lines] if quoted else content.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        for number, line in enumerate(lines, start=row):
            try:
                yield line.decode()
            except UnicodeDecodeError as wrong:
                block.faults.append(_not_utf8(table, number, wrong.start))
                yield None


def plain_lines(content: bytes, table: Table) -> list[str]:
    """The records, if each is a line and plainly has its table's form: all of them looked at in one go. None if any has not."""
    if not content.endswith(b"\n"):
        return []
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return []
    return text[:-1].split("\n") if _forms(table).fullmatch(text) else []


@cache
def _forms(table: Table) -> re.Pattern[str]:
    """Records of a table, one a line. Possessive: what was matched is never looked at again."""
    return re.compile(f"(?:{','.join(_field_form(column, a_line=True) for column in table.columns)}\n)*+")


def _joined(lines: list[bytes]) -> list[bytes]:
    """Lines put together again where a line end stands inside quotes."""
    out: list[bytes] = []
    open_ = False
    for line in lines:
        if open_:
            out[-1] += b"\n" + line
        else:
            out.append(line)
        if line.count(b'"') % 2:
            open_ = not open_
    return out


@cache
def _form(table: Table) -> re.Pattern[str]:
    """What a whole record of this table looks like. Linear to match: no field can hold its own separator."""
    return re.compile(",".join(_field_form(column) for column in table.columns))


def _field_form(column: Column, *, a_line: bool = False) -> str:
    """What a field looks like. `a_line`: without the line ends that may stand inside quotes."""
    if column.type is Type.TEXT:
        least = 1 if column.required else 0
        bounds = f"{{{least},{column.length_max}}}"
        if column.form:
            return f'(?:{column.form}|"{column.form}"){"" if column.required else "?"}'
        if column.plain:
            form = rf'[^\s",\x00-\x1f\x7f{HIDDEN}]{bounds}'
            return f'(?:{form}|"{form}")'
        seen = rf"\x7f{HIDDEN}"
        first = r"(?![^\S\n]*(?:,|\n|$))" if column.required else ""
        hidden = r"\x00-\x08" + (r"\n" if a_line else "") + rf"\x0b\x0c\x0e-\x1f{seen}"
        return rf'(?:{first}[^",\x00-\x1f{seen}]{bounds}|"(?:[^"{hidden}]|""){bounds}")'
    form = {
        Type.AMOUNT: _AMOUNT,
        Type.DATE: _DATE,
        Type.INT: rf"[0-9]{{1,{DIGITS_MAX}}}",
        Type.SHA256: "[0-9a-f]{64}",
        Type.INSTANT: rf"{_YEAR}{_DATE}T{_TIME}:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])",
        Type.ENUM: "(?:" + "|".join(map(re.escape, column.choices)) + ")",
    }[column.type]
    return form if column.required else f"(?:{form})?"


def split(record: str) -> list[str]:
    """The fields of one record that has the form of its table."""
    return next(csv.reader(io.StringIO(record, newline=""))) if '"' in record else record.split(",")


def diagnose(table: Table, row: int, record: str) -> tuple[list[Fault], Values | None]:
    """What is wrong with a record, field by field, and its values as far as they can be read."""
    if not record.strip():
        return [Fault("blank_row", table.file, "The row is blank.", "Leave it out.", row=row)], None
    try:
        parsed = list(csv.reader(io.StringIO(record, newline=""), strict=True))
    except csv.Error as wrong:
        return [
            Fault(
                "unreadable_row",
                table.file,
                f"The row cannot be read: {wrong}.",
                "Quote fields as in RFC 4180.",
                row=row,
            )
        ], None
    fields = parsed[0] if len(parsed) == 1 else []
    if len(fields) != len(table.columns):
        if len(fields) == 1 and (left := unconverted.read(fields[0])):
            return [Fault(left[0], table.file, left[1], left[2], row=row)], None
        return [
            Fault(
                "ragged_row", table.file, f"The row has {len(fields)} fields; the header has {len(table.columns)}.",
                "Write one field for each column; quote fields that contain a comma.", row=row,
            )
        ], None  # fmt: skip
    faults: list[Fault] = []
    values: Values = []
    for column, text in zip(table.columns, fields, strict=True):
        wrong_here = _wrong(column, text)
        if wrong_here:
            kind, reason, remedy = wrong_here
            faults.append(Fault(kind, table.file, reason, remedy, column=column.name, row=row))
        typed = column.type not in (Type.TEXT, Type.ENUM, Type.SHA256)
        values.append(None if typed and (wrong_here or not text) else text.replace("\x00", ""))
    return faults, values


def _wrong(column: Column, text: str) -> tuple[str, str, str] | None:
    """What is wrong with one field: kind, reason, remedy."""
    if not text and not column.required:
        return None
    if left := unconverted.read(text):
        return left
    shown = repr(text[:60])
    match column.type:
        case Type.TEXT:
            if not text or (column.required and not text.strip()):
                return "empty", "The field is empty; this column must be given.", "Give it."
            if len(text) > column.length_max:
                return (
                    "too_long",
                    f"The text has {len(text)} characters; {column.length_max} are allowed.",
                    "Shorten it.",
                )
            if _CONTROL.search(text):
                return "control_character", "The text contains control characters.", "Take them out."
            return _odd_text(column, text)
        case Type.ENUM:
            if text not in column.choices:
                return "unknown_value", f"{shown} is not known.", f"Write one of {', '.join(column.choices)}."
        case Type.SHA256:
            if not _SHA256.fullmatch(text):
                return "not_a_hash", f"{shown} is not 64 lower-case hex digits.", "Write the SHA-256 of the file."
        case Type.DATE:
            try:
                package.parse_date(text)
            except ValueError:
                return "bad_date", f"{shown} is not a day like 2026-09-30.", "Write year, month and day, with hyphens."
        case Type.INSTANT:
            try:
                package.parse_instant(text)
            except package.NoYear as wrong:
                return "bad_instant", str(wrong), package.WHEN_IT_WAS
            except ValueError:
                return (
                    "bad_instant", f"{shown} is not an instant like 2026-09-30T15:00:00+09:00.",
                    "Write it with its offset.",
                )  # fmt: skip
        case Type.INT:
            if not _PLAIN_INT.fullmatch(text):
                return "not_a_number", f"{shown} is not a whole number.", "Write ASCII digits only."
        case Type.AMOUNT:
            return _wrong_amount(text, shown)
    return None


def _odd_text(column: Column, text: str) -> tuple[str, str, str] | None:
    """What is remarkable about a text that can be read; only in a number of the exchange's own it is a fault."""
    hidden = _HIDDEN.search(text)
    if column.plain and (hidden or any(letter.isspace() for letter in text)):
        shown = "".join(letter if letter.isprintable() and letter != " " else f"<{ord(letter):04X}>" for letter in text[:60])
        return "not_plain", f"The number {shown} has spaces or characters nobody can see.", "Write it without them."
    if hidden:
        return (
            "hidden_character",
            f"The text contains U+{ord(hidden[0]):04X}, which cannot be seen or was left by a failed conversion.",
            "Nothing to do here: it is kept as it is, and shown. Look at the exchange's own screen for what was meant.",
        )
    if column.form and not re.fullmatch(column.form, text):
        return (
            "unusual_form",
            f"{text[:60]!r} is not as this column is usually written ({column.meaning or column.name}).",
            "Nothing to do here: it is kept as it is, and the customer will be asked.",
        )
    return None


def _wrong_amount(text: str, shown: str) -> tuple[str, str, str] | None:
    if _PLAIN_AMOUNT.fullmatch(text):
        return None
    if _EXPONENT.fullmatch(text):
        return "exponent", f"{shown} is written with an exponent.", "Write all digits: a spreadsheet has shortened it."
    if not text.isascii() and _PLAIN_AMOUNT.fullmatch(text.translate(_FULL_WIDTH)):
        return "full_width_digits", f"{shown} is not written in ASCII digits.", "Write 0 to 9 in half width."
    return (
        "not_a_number",
        f"{shown} is not a plain decimal number.",
        "Write digits, and one point if there are decimals.",
    )


def line(values: Values) -> str:
    """Values as a CSV record again; None is an empty field without quotes."""
    out = io.StringIO()  # what is quoted depends on the end of line: an empty one leaves line ends in a field bare
    csv.writer(out, lineterminator="\r\n").writerow(["" if value is None else value for value in values])
    return out.getvalue().removesuffix("\r\n")


def _not_utf8(table: Table, row: int, offset: int) -> Fault:
    return Fault(
        "not_utf8", table.file, f"The row is not UTF-8 at its byte {offset + 1}.", "Write the file in UTF-8.", row=row
    )


def _in_header(table: Table, kind: str, reason: str, remedy: str) -> Fault:
    return Fault(kind, table.file, reason, remedy, row=1)
