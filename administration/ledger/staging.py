"""
Reading the tables of a package into staging, a block at a time, as they stand.

A block goes in by one COPY. Only where the database cannot read it is it taken apart, record by record.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection, transaction

from administration.ledger import destinations, package, reading
from administration.ledger.findings import REFUSE, STAGED, WARN, Findings, Found, from_faults
from administration.ledger.package import Manifest, Table, Type
from administration.ledger.reading import Block, Values

BLOCK_BYTES = 4 * 1024 * 1024
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
    try:
        block = next(reading.blocks(path, table, offset=state["offset"], row=state["row"], size=BLOCK_BYTES))
    except reading.Unreadable:
        Findings(this.key).add(from_faults([reading.unreadable_end(table, state["row"])]))
        return _next_table(this, state)
    _stage(this, table, block)
    state.update(offset=block.offset, row=block.row, done=state["done"] + block.rows)
    if not block.ended:
        return False
    _count_rows(this, table, block.row - 2)
    return _next_table(this, state)


def _next_table(this: Package, state: dict[str, Any]) -> bool:
    state.update(table=state["table"] + 1, offset=0, row=2)
    return bool(state["table"] == len(this.manifest.tables))


def _stage(this: Package, table: Table, block: Block) -> None:
    """Copy a block into staging as it stands; take it apart only if the database cannot read it."""
    findings = Findings(this.key)
    problem = destinations.PROBLEMS.get(table.file)
    records: Iterable[tuple[int, str]] = block.records
    if problem is not None:
        records = list(_checked(block.records, table, findings))
    try:
        with transaction.atomic():
            _copy(this, table, records)
    except psycopg.DataError:  # a day such as 30 February: the form of a date, and none
        records, odd = [], []
        for row, record in block.records:
            faults, values = reading.diagnose(table, row, record)
            block.faults += faults
            if values is not None:
                odd.append((row, values))
        block.odd = sorted(odd + block.odd, key=lambda pair: pair[0])
    if block.odd:
        _copy(this, table, _spelled(block.odd, table, checked=problem is not None))
    findings.add(from_faults(block.faults))


def _copy(this: Package, table: Table, records: Iterable[tuple[int, str]]) -> None:
    names = ["intake", "row", *table.header, *(["problem"] if table.file in destinations.PROBLEMS else [])]
    texts = [column.name for column in table.columns if _is_text(column)]
    sql = (
        f"COPY {TABLES[table.file]} ({', '.join(map(_quoted, names))}) FROM STDIN"
        f" (FORMAT csv, FORCE_NOT_NULL ({', '.join(map(_quoted, texts))}))"
    )
    key = this.key
    with connection.cursor() as cursor, cursor.copy(sql) as copy:
        copy.write("".join([f"{key},{row},{record}\n" for row, record in records]).encode())


def _checked(records: Sequence[tuple[int, str]], table: Table, findings: Findings) -> Iterator[tuple[int, str]]:
    """The records with what is wrong with their destination as a last field."""
    problem_of = destinations.PROBLEMS[table.file]
    found = []
    for row, record in records:
        fields = reading.split(record)
        problem = problem_of(fields)
        if problem is None:
            yield row, f"{record},"
            continue
        kind, column, reason = problem
        found.append(Found(kind, WARN, table.file, row, column, reason, "Nothing to do: the customer will be asked."))
        if destinations.is_secret(problem):
            place = table.header.index("address")
            record = reading.line([*fields[:place], "", *fields[place + 1 :]])
        yield row, f"{record},{reading.line([reason])}"
    findings.add(found)


def _spelled(odd: Sequence[tuple[int, Values]], table: Table, *, checked: bool) -> Iterator[tuple[int, str]]:
    instants = [place for place, column in enumerate(table.columns) if column.type is Type.INSTANT]
    for row, values in odd:
        for place in instants:
            text = values[place]
            values[place] = package.parse_instant(text).isoformat() if text else None
        yield row, reading.line(values) + (",not checked" if checked else "")


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


def clear(this: int) -> None:
    """Empty the staging of an intake."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_clear_staging(%s)", [this])


def scratch() -> None:
    """Temporary tables that hide the staging until the transaction ends: what is only validated leaves nothing."""
    with connection.cursor() as cursor:
        for name in [*TABLES.values(), STAGED]:
            cursor.execute(f"CREATE TEMPORARY TABLE {name} (LIKE public.{name}) ON COMMIT DROP")
