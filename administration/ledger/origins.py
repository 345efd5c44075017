"""
Where each row of a converted table came from: file, line and bytes as delivered.

Beside a converted package lies, for each table, one record of sixteen bytes a row: first byte, how many, line, and by which of
the mapping's tables it was made, where several are made of one file. So any row is found by one seek, however long the table is.
`origins.json` says which delivered file the rows of a table come from.
"""

import json
import os
import re
import struct
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from administration.ledger.findings import Found, Report
from administration.ledger.package import BY_FILE, MANIFEST

RECORD = struct.Struct("<QII")
PART = 48  # the bits of the first number above this are the part; no file has so many bytes
POSITIONS, FACTS = "positions", "origins.json"
MAPPING = "mapping"  # where the manifest of a converted package comes from
SHOWN_MAX = 4096  # bytes of a row that are shown


@dataclass(frozen=True, slots=True)
class Origin:
    """One row as it was delivered. Without bytes (`length` 0) `line` is the row of a sheet or a Parquet file."""

    file: str
    sheet: str
    line: int
    offset: int
    length: int

    def __str__(self) -> str:
        where = f"{self.file} [{self.sheet}]" if self.sheet else self.file
        return f"{where}:{self.line}"


@dataclass(frozen=True)
class Stretch:
    """
    Rows of a table that come from one delivered file, from `first` on; which of its columns each column was filled with.

    A wide sheet gives a balance for each of its coins: then several parts of the mapping fill the same rows in turn.
    """

    first: int
    file: str
    sheet: str
    columns: dict[str, str]
    part: int = 0  # among those that make this table of this file


def record(part: int, offset: int, length: int, line: int) -> bytes:
    return RECORD.pack(part << PART | (offset if length else 0), length, line)


class Origins:
    """The origins of a converted package, below the folder that the conversion made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def of(package_folder: Path) -> "Origins | None":
        """The origins of the package in this folder, if it was converted."""
        folder = package_folder.parent
        return Origins(folder) if (folder / FACTS).is_file() else None

    @cached_property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / FACTS).read_text())
        return found

    @cached_property
    def _stretches(self) -> dict[str, list[Stretch]]:
        return {table: [Stretch(**one) for one in stretches] for table, stretches in self.facts["tables"].items()}

    @cached_property
    def _firsts(self) -> dict[str, list[int]]:
        return {table: [one.first for one in stretches] for table, stretches in self._stretches.items()}

    def _found(self, table: str, row: int) -> tuple[Stretch, Origin] | None:
        place = bisect_right(self._firsts.get(table, []), row) - 1
        if place < 0 or row < 2:
            return None
        with (self.folder / POSITIONS / f"{table}.at").open("rb") as file:
            if (row - 1) * RECORD.size > os.fstat(file.fileno()).st_size:
                return None
            file.seek((row - 2) * RECORD.size)
            start, length, line = RECORD.unpack(file.read(RECORD.size))
        stretches = self._stretches[table]
        stretch = stretches[place - stretches[place].part + (start >> PART)]  # its parts stand one after the other
        return stretch, Origin(stretch.file, stretch.sheet, line, start & (1 << PART) - 1, length)

    def row(self, table: str, row: int) -> Origin | None:
        """Where row `row` of a table (the header is row 1) was delivered."""
        found = self._found(table, row)
        return found[1] if found else None

    def files_of(self, table: str) -> str:
        """The delivered files that a table was made of."""
        return ", ".join(dict.fromkeys(one.file for one in self._stretches.get(table, [])))

    def report(self, report: Report) -> Report:
        """What was found, in terms of what was delivered, with what the conversion itself has to say."""
        remarks = [Found(**one) for one in self.facts["remarks"]]
        return replace(report, findings=(*self.translated(report.findings), *remarks))

    def translated(self, findings: Iterable[Found]) -> tuple[Found, ...]:
        """Findings in terms of what was delivered: its files, lines and columns."""
        return tuple(map(self._translated, findings))

    def _translated(self, found: Found) -> Found:
        if found.file not in BY_FILE:
            return found if found.file != MANIFEST else replace(found, file=MAPPING)
        table, reason = found.file, found.reason
        there = self._found(table, found.row) if found.row else None
        stretch = there[0] if there else next(iter(self._stretches.get(table, [])), None)
        if stretch is None:
            return found
        earlier = re.match(r"Row (\d+) has the same ", reason)
        if earlier and (origin := self.row(table, int(earlier[1]))):
            reason = f"Line {origin.line} of {origin.file} has the same " + reason[earlier.end() :]
        for name in BY_FILE:
            if name in reason and self.files_of(name):
                reason = reason.replace(name, self.files_of(name))
        file = stretch.file if not stretch.sheet else f"{stretch.file} [{stretch.sheet}]"
        column = stretch.columns.get(found.column) or found.column
        return replace(found, file=file, row=there[1].line if there else None, column=column, reason=reason)


def facts_of(tables: dict[str, list[Stretch]], **others: Any) -> str:
    """What origins.json holds."""
    return json.dumps(
        {"tables": {name: [asdict(one) for one in stretches] for name, stretches in tables.items()}, **others},
        ensure_ascii=False, indent=1, sort_keys=True,
    )  # fmt: skip
