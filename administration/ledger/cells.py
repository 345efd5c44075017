"""
A look at every cell of a workbook's sheet before any is taken: is there a formula, or an error?

What a sheet shows of a formula was computed elsewhere, or not at all; an error is read as nothing, and nothing may mean “no
balance”. Elements are told by their local names, as the reader of the values tells them, whatever their prefix and the order
of their attributes. The sheet goes through a piece at a time; it may declare no document type, and so no entities.

Most sheets have none of the bytes that any spelling of a formula or an error needs: they are not taken apart at all.
"""

import re
from typing import IO, NamedTuple
from xml.parsers import expat

PIECE = 1 << 18
FORMULA, ERROR, DECLARES = "formula", "cell_error", "declares"
NEEDED = (b"<f", b":f", b'"e"', b"'e'", b"&#", b"<!D", b"\0")  # of an f, of t="e"; a reference, a declaration, UTF-16
_ROW = re.compile("[0-9]+", re.ASCII)


class Wrong(NamedTuple):
    """What no value may be taken from: a formula or an error, or a sheet that declares a document type."""

    kind: str
    cell: str = ""  # as a spreadsheet names it
    row: int = 0


class _Seen(Exception):
    """Ends the look at the first."""


def first_wrong(sheet: IO[bytes], *, formulas: bool) -> Wrong | None:
    """The first cell with an error or, unless `formulas` may be taken, a formula. Raises ExpatError for what is no XML."""
    if not _may_have_one(sheet):
        return None
    sheet.seek(0)
    look = _Look(formulas)
    parser = look.parser()
    try:
        while piece := sheet.read(PIECE):
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except _Seen:
        return look.wrong
    return None


def _may_have_one(sheet: IO[bytes]) -> bool:
    rest = b""
    while piece := sheet.read(PIECE):
        content = rest + piece
        if any(one in content for one in NEEDED):
            return True
        rest = content[-2:]
    return False


class _Look:
    """Where the parser stands. Rows and columns are counted on where a row or a cell does not say its place."""

    def __init__(self, formulas: bool) -> None:
        self.formulas, self.wrong = formulas, Wrong("")
        self.row, self.column, self.place, self.inside = 0, 0, "", False

    def parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate()
        parser.ordered_attributes = True
        parser.StartElementHandler, parser.EndElementHandler, parser.StartDoctypeDeclHandler = self.start, self.end, self.declares
        return parser

    def start(self, name: str, attributes: list[str]) -> None:
        if ":" in name:
            name = name.rpartition(":")[2]
        if name == "c":
            self.inside, self.place, self.column = True, "", self.column + 1
            error = False
            for n in range(0, len(attributes), 2):
                if attributes[n] == "r":
                    self.place = attributes[n + 1]
                elif attributes[n] == "t":
                    error = attributes[n + 1] == "e"
            if error:
                self.seen(ERROR)
        elif name == "f":
            if self.inside and not self.formulas:
                self.seen(FORMULA)
        elif name == "row":
            self.row, self.column = self.row + 1, 0
            for n in range(0, len(attributes), 2):
                if attributes[n] == "r" and attributes[n + 1].isdecimal():
                    self.row = int(attributes[n + 1])

    def end(self, name: str) -> None:
        if name == "c" or name.endswith(":c"):
            self.inside = False

    def seen(self, kind: str) -> None:
        cell = self.place or f"{_letters(self.column)}{self.row}"
        row = _ROW.search(cell)
        self.wrong = Wrong(kind, cell[:20], int(row[0][:9]) if row else self.row)
        raise _Seen

    def declares(self, *_names: object) -> None:
        self.wrong = Wrong(DECLARES)
        raise _Seen


def _letters(column: int) -> str:
    """The 1st column is A, the 27th AA."""
    name = ""
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name
