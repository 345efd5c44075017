"""
Reading the tables of a package into staging, a stretch at a time, as they stand.

A stretch goes in by one COPY: while the database takes one block of it, the next is looked at. Only where the database
cannot read one is it taken apart, record by record.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection, transaction
from psycopg.copy import QueuedLibpqWriter

from administration.ledger import beside, destinations, package, reading
from administration.ledger.beside import Looked
from administration.ledger.findings import REFUSE, STAGED, WARN, Findings, Found, from_faults
from administration.ledger.package import Manifest, Table, Type
from administration.ledger.reading import Block, Values

BLOCK_BYTES = 1024 * 1024  # looked at in one go
STRETCH_BYTES = 16 * BLOCK_BYTES  # read by one step
SCRATCH = 0  # the number of a package that is only validated: no intake has it
TABLES = {table.file: f"ledger_staging_{table.file.removesuffix('.csv')}" for table in package.BY_FILE.values()}


@dataclass(frozen=True)
class Package:
    """A package as it lies in a folder, the number its staged rows carry, and what the case knows already."""

    key: int
    directory: Path
    manifest: Manifest
    suspend: bool = False  # differences are to go into named suspense, not to refuse the package
    aside: bool = False  # rows may be set aside: what they make the totals differ by is a difference, not a riddle
    known: dict[str, int] = field(default_factory=dict)  # the scales of the assets the case has
    cutoff_at: datetime | None = None  # the case's

    @property
    def total(self) -> int:
        """Rows to read, for progress."""
        return sum(file.rows or 0 for file in self.manifest.files)


def read(this: Package, state: dict[str, Any]) -> bool:
    """Read the next block; `state` says where that begins: table, byte and row. True when all tables are read."""
    table = this.manifest.tables[state["table"]]
    path = this.directory / table.file
    if not state["offset"]:
        faults, state["offset"] = reading.header_faults(path, table)
        if faults:
            Findings(this.key).add(from_faults(faults))
            return _next_table(this, state)
    ended = None
    try:
        with transaction.atomic():
            ended = _stage_stretch(this, table, state)
    except psycopg.DataError:  # a day such as 30 February: the form of a date, and none
        ended = _stage_blocks(this, table, state)
    if ended is None:
        return False
    if not ended:
        Findings(this.key).add(from_faults([reading.unreadable_end(table, state["row"])]))
    else:
        _count_rows(this, table, state["row"] - 2)
    return _next_table(this, state)


def _next_table(this: Package, state: dict[str, Any]) -> bool:
    state.update(table=state["table"] + 1, offset=0, row=2)
    return bool(state["table"] == len(this.manifest.tables))


def _stretch(this: Package, table: Table, state: dict[str, Any]) -> Iterator[Looked]:
    """The next pieces of a table, about as many as one step reads."""
    return beside.looked(
        this.directory / table.file, table, key=this.key, offset=state["offset"], row=state["row"],
        until=state["offset"] + STRETCH_BYTES, size=BLOCK_BYTES,
    )  # fmt: skip


def _stage_stretch(this: Package, table: Table, state: dict[str, Any]) -> bool | None:
    """
    Copy the next stretch into staging as it stands: True when the table ended, False when it cannot be read on.

    `state` moves on once all of it is there.
    """
    found: list[Found] = []
    odd: list[tuple[int, Values]] = []
    faulty: set[int | None] = set()
    ended: bool | None = None
    at, rows = state["offset"], 0
    with connection.cursor() as cursor, cursor.copy(_copy_sql(table), writer=QueuedLibpqWriter(cursor.cursor)) as copy:
        try:
            for looked in _stretch(this, table, state):
                if looked.lines is not None:
                    copy.write(looked.lines)
                if (block := looked.block) is not None:
                    copy.write(_lines(this, _with_problems(block.records, looked.good, table, found)))
                    odd += block.odd
                    faulty.update(fault.row for fault in block.faults)
                    found += from_faults(block.faults)
                at, rows = looked.end, rows + looked.rows
                ended = True if looked.ended else None
        except reading.Unreadable:
            ended = False
    if odd:
        _copy(this, table, _spelled(odd, table, faulty, found))
    Findings(this.key).add(found)
    state.update(offset=at, row=state["row"] + rows, done=state["done"] + rows)
    return ended


def _stage_blocks(this: Package, table: Table, state: dict[str, Any]) -> bool | None:
    """The same block by block, with those taken apart that the database cannot read."""
    ended = None
    path, until = this.directory / table.file, state["offset"] + STRETCH_BYTES
    try:
        for block in reading.blocks(path, table, offset=state["offset"], row=state["row"], size=BLOCK_BYTES):
            _stage(this, table, block)
            state.update(offset=block.offset, row=block.row, done=state["done"] + block.rows)
            ended = True if block.ended else None
            if block.offset >= until:
                break
    except reading.Unreadable:
        ended = False
    return ended


def _stage(this: Package, table: Table, block: Block) -> None:
    """Copy a block into staging as it stands; take it apart only if the database cannot read it."""
    found: list[Found] = []
    checked = table.file in destinations.PROBLEMS
    good = destinations.plainly_good(table.file, [record for _row, record in block.records]) if checked else None
    records = list(_with_problems(block.records, good, table, found))
    try:
        with transaction.atomic():
            _copy(this, table, records)
    except psycopg.DataError:
        odd = []
        found.clear()  # looked at again, row by row
        for row, record in block.records:
            faults, values = reading.diagnose(table, row, record)
            block.faults += faults
            if values is not None:
                odd.append((row, values))
        block.odd = sorted(odd + block.odd, key=lambda pair: pair[0])
    if block.odd:
        _copy(this, table, _spelled(block.odd, table, {fault.row for fault in block.faults}, found))
    Findings(this.key).add([*found, *from_faults(block.faults)])


def _copy(this: Package, table: Table, records: Iterable[tuple[int, str]]) -> None:
    with connection.cursor() as cursor, cursor.copy(_copy_sql(table)) as copy:
        copy.write(_lines(this, records))


def _copy_sql(table: Table) -> str:
    names = ["intake", "row", *table.header, *(["problem"] if table.file in destinations.PROBLEMS else [])]
    texts = [column.name for column in table.columns if _is_text(column)]
    return (
        f"COPY {TABLES[table.file]} ({', '.join(map(_quoted, names))}) FROM STDIN"
        f" (FORMAT csv, FORCE_NOT_NULL ({', '.join(map(_quoted, texts))}))"
    )


def _lines(this: Package, records: Iterable[tuple[int, str]]) -> bytes:
    key = this.key
    return "".join([f"{key},{row},{record}\n" for row, record in records]).encode()


def _with_problems(
    records: Sequence[tuple[int, str]], good: Sequence[bool] | None, table: Table, found: list[Found]
) -> Iterator[tuple[int, str]]:
    """The records, those of destinations with what is wrong with them as a last field. Which are plainly `good` is known."""
    if good is None:
        yield from records
        return
    problem_of = destinations.PROBLEMS[table.file]
    for (row, record), plainly_good in zip(records, good, strict=True):
        if plainly_good:
            yield row, f"{record},"
            continue
        fields = reading.split(record)
        problem = problem_of(fields)
        if problem is not None:
            found.append(_finding(table, row, problem))
        yield row, _remarked(table, fields, record, problem)


def _finding(table: Table, row: int, problem: destinations.Problem) -> Found:
    kind, column, reason = problem
    return Found(kind, WARN, table.file, row, column, reason, "Nothing to do: the customer will be asked.")


def _remarked(table: Table, fields: Sequence[str | None], record: str, problem: destinations.Problem | None, other: str = "") -> str:
    """The record with what is wrong with its destination as a last field, or `other`. Somebody's key is never kept."""
    if problem is None:
        return f"{record},{other}"
    if destinations.is_secret(problem):
        place = table.header.index("address")
        record = reading.line([*fields[:place], "", *fields[place + 1 :]])
    return f"{record},{reading.line([problem[2]])}"


def _spelled(odd: Sequence[tuple[int, Values]], table: Table, faulty: set[int | None], found: list[Found]) -> Iterator[tuple[int, str]]:
    """Rows that were read field by field; of a faulty one the destination says nothing more, but somebody's key goes all the same."""
    instants = [place for place, column in enumerate(table.columns) if column.type is Type.INSTANT]
    problem_of = destinations.PROBLEMS.get(table.file)
    for row, values in odd:
        for place in instants:
            text = values[place]
            values[place] = package.parse_instant(text).isoformat() if text else None
        if problem_of is None:
            yield row, reading.line(values)
            continue
        problem = problem_of([text or "" for text in values])
        if row in faulty:
            yield row, _remarked(table, values, reading.line(values), problem if destinations.is_secret(problem) else None, "not checked")
            continue
        if problem is not None:
            found.append(_finding(table, row, problem))
        yield row, _remarked(table, values, reading.line(values), problem)


def _is_text(column: package.Column) -> bool:
    return column.type in (Type.TEXT, Type.ENUM, Type.SHA256)


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _count_rows(this: Package, table: Table, rows: int) -> None:
    place, facts = next((n, file) for n, file in enumerate(this.manifest.files) if file.name == table.file)
    if facts.rows != rows:
        Findings(this.key).add([
            Found(
                "row_count", REFUSE, package.MANIFEST, None, f"files[{place}].rows",
                f"The manifest says {facts.rows} rows; {table.file} has {rows}.", "Count again, or make the package again.",
            )
        ])  # fmt: skip


def analyze(this: Package) -> None:
    """Tell the planner what was read. Staging belongs to the owner, temporary tables to us."""
    with connection.cursor() as cursor:
        if this.key == SCRATCH:
            cursor.execute(f"ANALYZE {', '.join(TABLES.values())}")
        else:
            cursor.execute("SELECT ledger_analyze_staging()")


def begin(this: int) -> None:
    """Say that the staging of an intake is begun."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO ledger_staging_begun (intake) VALUES (%s) ON CONFLICT DO NOTHING", [this])


def is_lost(this: int) -> bool:
    """Whether the server fell since the staging of an intake was begun: what is not logged is empty then."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT NOT EXISTS (SELECT FROM ledger_staging_begun WHERE intake = %s)", [this])
        return bool(cursor.fetchone()[0])


def clear(this: int) -> None:
    """Empty the staging of an intake."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_clear_staging(%s)", [this])


def scratch() -> None:
    """Temporary tables that hide the staging until the transaction ends: what is only validated leaves nothing."""
    with connection.cursor() as cursor:
        for name in [*TABLES.values(), STAGED]:
            cursor.execute(f"CREATE TEMPORARY TABLE {name} (LIKE public.{name}) ON COMMIT DROP")
