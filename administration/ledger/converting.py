"""
Converting delivered files into the tables of a handover package, exactly and traceably, a stretch of rows at a time.

    check     are all files and all columns accounted for? may we read them at all?
    step      convert the next rows; what was written beyond the last known state is cut off first
    finish    evidence, manifest, origins

The state is small and says everything, so that a killed conversion goes on where its last state was kept. Knows no database.
"""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from administration.ledger import formats, my_number, origins, package
from administration.ledger.findings import WARN, Found
from administration.ledger.formats import NotRead, Place
from administration.ledger.mapping import Mapping, Source
from administration.ledger.origins import Stretch
from administration.ledger.package import Fault
from administration.ledger.rowmaking import RowMaker
from administration.ledger.unconverted import MARK, mark

STEP_ROWS = 40_000
PACKAGE = "package"

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivered:
    """A file as received, under the name it was delivered with, and the encoding a person confirmed ('' if nobody did)."""

    name: str
    path: Path
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """One delivered file as one source of the mapping reads it."""

    source: Source
    file: Delivered


class Conversion:
    """One delivery through one mapping into one folder."""

    def __init__(self, mapping: Mapping, files: list[Delivered], folder: Path) -> None:
        self.mapping, self.files, self.folder = mapping, files, folder
        self.package = folder / PACKAGE

    @cached_property
    def tasks(self) -> list[Task]:
        ordered = sorted(self.files, key=lambda file: file.name)
        return [Task(source, file) for source in self.mapping.sources for file in ordered if source.takes(file.name)]

    @cached_property
    def papers_delivered(self) -> list[Delivered]:
        return [file for file in self.files if self.mapping.paper(file.name) and not self.mapping.sources_of(file.name)]

    @cached_property
    def papers(self) -> dict[str, tuple[str, str]]:
        """Under both its names, the name in the package and the hash of each paper."""
        found = {}
        for paper in self.papers_delivered:
            kept = str(self.mapping.paper(paper.name))
            with paper.path.open("rb") as file:
                found[kept] = found[paper.name] = (kept, hashlib.file_digest(file, "sha256").hexdigest())
        return found

    # --- may it begin? ---------------------------------------------------------------------------

    def check(self) -> list[Fault]:
        """What stands in the way of the whole: files or columns nobody accounted for, encodings, individual numbers."""
        faults = list(self._files_unaccounted())
        for task in self.tasks:
            faults += self._task_faults(task)
        return faults

    def _files_unaccounted(self) -> Iterator[Fault]:
        for file in self.files:
            known = self.mapping.sources_of(file.name) or self.mapping.paper(file.name) or self.mapping.ignores(file.name)
            if not known:
                yield Fault(
                    "unmapped_file", file.name, "The mapping does not say what becomes of this file.",
                    "Map it, or list it under ignore_files: nothing is dropped silently.",
                )  # fmt: skip
        names = {file.name for file in self.files}
        for source in self.mapping.sources:
            if not any(source.takes(name) for name in names):
                yield Fault("missing_file", source.file, "The mapping names this file; it was not delivered.", "Ask for it.")
        kept = [self.mapping.paper(file.name) for file in self.papers_delivered]
        for name in sorted({str(name) for name in kept if kept.count(name) > 1}):
            yield Fault("unlisted_file", name, "Two papers would be kept under this name.", "Give each its own name in the mapping.")

    def _task_faults(self, task: Task) -> Iterator[Fault]:
        name, layout, source = task.file.name, task.source.layout, task.source
        if layout.format == formats.CSV and task.file.encoding and task.file.encoding != layout.encoding:
            yield Fault(
                "other_encoding", name, f"{task.file.encoding} was confirmed for this file; the mapping says {layout.encoding}.",
                "Confirm the encoding again, or correct the mapping.",
            )  # fmt: skip
            return
        try:
            names, _place = formats.header(task.file.path, layout)
        except NotRead as wrong:
            yield fault_of(wrong, name)
            return
        for column in names:
            if my_number.is_name(column):
                yield my_number_fault(name, column, layout.header)
        for column in sorted({column for column in names if names.count(column) > 1}):
            yield Fault("header", name, f"The column “{column}” stands twice.", "Ask for the file with distinct names.", column, layout.header)
        for column in sorted(source.used - set(names)):
            yield Fault("missing_column", name, f"There is no column “{column}”.", "Correct the mapping, or find the right file.", column, layout.header)
        for column in names:
            if column not in source.used and column not in source.ignore:
                yield Fault(
                    "unmapped_column", name, f"The mapping does not say what becomes of the column “{column}”.",
                    "Map it, or list it under ignore: nothing is dropped silently.", column, layout.header,
                )  # fmt: skip
        if layout.format == formats.PARQUET:
            yield from self._parquet_faults(task)

    def _parquet_faults(self, task: Task) -> Iterator[Fault]:
        floats, nested = formats.floats(task.file.path), formats.nested(task.file.path)
        for part in task.source.parts:
            for fill in part.fills:
                for column in fill.sources:
                    if column in nested or (column in floats and fill.number is not None):
                        yield Fault(
                            "inexact_column" if column in floats else "nested_column", task.file.name,
                            "The column holds binary fractions: which decimals were meant cannot be known."
                            if column in floats else "The column holds no single values.",
                            "Ask for it as decimals or as text.", column,
                        )  # fmt: skip

    def rows_about(self) -> int:
        """About how many rows there are to read: for progress."""
        many = 0
        for task in self.tasks:
            if task.source.layout.format == formats.PARQUET:
                many += formats.row_count(task.file.path)
            elif task.source.layout.format == formats.CSV:
                with task.file.path.open("rb") as file:
                    while piece := file.read(1 << 22):
                        many += piece.count(b"\n")
        return many

    # --- converting ------------------------------------------------------------------------------

    def begin(self) -> State:
        """Empty tables, and the state before the first row."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.package / package.EVIDENCE).mkdir(parents=True, mode=0o700)
        (self.folder / origins.POSITIONS).mkdir(mode=0o700)
        sizes = {}
        for table in self.mapping.tables:
            content = (",".join(table.header) + "\n").encode()
            (self.package / table.file).write_bytes(content)
            (self.folder / origins.POSITIONS / f"{table.file}.at").touch()
            sizes[table.file] = len(content)
        return {
            "task": 0, "offset": -1, "line": 0, "done": 0, "of_task": 0, "watch": {}, "sizes": sizes, "rows": dict.fromkeys(sizes, 0),
            "stretches": {name: [] for name in sizes}, "left_out": {},
        }  # fmt: skip

    def step(self, state: State, *, before_writing: Callable[[], None] = lambda: None, most: int = STEP_ROWS) -> bool:
        """Convert the next rows; True when all are. Raises NotRead for what ends the conversion."""
        if state["task"] == len(self.tasks):
            return True
        chunk = _Chunk(self, self.tasks[state["task"]], state)
        chunk.run(most)
        before_writing()
        chunk.write()
        return bool(state["task"] == len(self.tasks))

    def finish(self, state: State, case: dict[str, str], **facts: Any) -> package.Manifest:
        """Evidence and manifest, once all rows are converted; every file is hashed as it lies there."""
        for paper in self.papers_delivered:
            shutil.copyfile(paper.path, self.package / str(self.mapping.paper(paper.name)))
        listed: list[dict[str, Any]] = []
        for name in [*(table.file for table in self.mapping.tables), *sorted({kept for kept, _sha256 in self.papers.values()})]:
            path = self.package / name
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            listed.append({"name": name, "sha256": digest, "bytes": path.stat().st_size, "rows": state["rows"].get(name)})
        exchange = self.mapping.exchange
        content = {
            "format": package.FORMAT, "version": package.VERSION,
            "case": {
                "exchange_name": exchange["name"], "exchange_name_en": exchange["name_en"],
                "registration_number": exchange["registration_number"], "representative": exchange["representative"], **case,
            },
            "cutoff_at": self.mapping.cutoff_at,
            "assets": [{**asdict(asset), "payable_step": str(asset.payable_step)} for asset in self.mapping.assets],
            "files": listed, "control_totals": list(self.mapping.control_totals),
        }  # fmt: skip
        _write(self.package / package.MANIFEST, json.dumps(content, ensure_ascii=False, indent=1).encode())
        stretches = {table: [Stretch(**one) for one in found] for table, found in state["stretches"].items()}
        remarks = [asdict(one) for one in self.remarks(state)]
        _write(self.folder / origins.FACTS, origins.facts_of(stretches, mapping=self.mapping.sha256, remarks=remarks, **facts).encode())
        return package.read_manifest(self.package)

    def remarks(self, state: State) -> list[Found]:
        """What was left out by the mapping's own rules: counted, never silent."""
        return [
            Found("rows_left_out", WARN, one["file"], one["line"], one["column"], one["why"], "See that these are no rows of the ledger.", one["rows"])
            for one in state["left_out"].values()
        ]  # fmt: skip

    def whole(self, case: dict[str, str]) -> package.Manifest:
        """All at once, for a look that keeps nothing. Raises NotRead."""
        state = self.begin()
        while not self.step(state):
            pass
        return self.finish(state, case)


class _Chunk:
    """The next rows of one task, made in memory and then written."""

    def __init__(self, conversion: Conversion, task: Task, state: State) -> None:
        self.conversion, self.task, self.state = conversion, task, state
        tables = [part.table.file for part in task.source.parts]
        self.parts = [tables[:n].count(table) for n, table in enumerate(tables)]
        self.texts = {part.table.file: io.StringIO() for part in task.source.parts}
        self.writers = {name: csv.writer(text, lineterminator="\n") for name, text in self.texts.items()}
        self.positions: dict[str, list[bytes]] = {name: [] for name in self.texts}
        self.watch = my_number.Watch(state["watch"])

    def run(self, most: int) -> None:
        state, source, path = self.state, self.task.source, self.task.file.path
        try:
            self.names, start = formats.header(path, source.layout)
            fresh = state["offset"] < 0
            place = start if fresh else Place(state["offset"], state["line"])
            makers = [RowMaker(part, self.names, self.conversion.mapping, self.conversion.papers) for part in source.parts]
            if fresh:
                self._begin_stretches(makers)
            many = 0
            for values, line, offset, length in formats.rows(path, source.layout, place):
                if many == most:
                    state.update(offset=offset, line=line, done=state["done"] + many, of_task=state["of_task"] + many)
                    return
                many += 1
                self._row(makers, values, line, offset, length, state["of_task"] + many)
        except NotRead as wrong:
            wrong.file = self.task.file.name
            raise
        state.update(task=state["task"] + 1, offset=-1, line=0, done=state["done"] + many, of_task=0, watch={})

    def _begin_stretches(self, makers: list[RowMaker]) -> None:
        layout = self.task.source.layout
        for maker, part in zip(makers, self.parts, strict=True):
            rows = self.state["rows"][maker.table.file]
            found: list[dict[str, Any]] = self.state["stretches"][maker.table.file]
            found.append(asdict(Stretch(rows + 2, self.task.file.name, layout.sheet, maker.columns, part)))

    def _row(self, makers: list[RowMaker], values: list[str], line: int, offset: int, length: int, nth: int) -> None:
        names = self.names
        if len(values) != len(names):
            if len(values) > len(names) and not any(values[len(names) :]):
                values = values[: len(names)]
            elif not any(values):
                return self._left_out("", line, "Blank rows.")
            else:
                unreadable = len(values) == 1 and values[0].startswith(MARK)
                field = values[0] if unreadable else mark("ragged_row", f"{len(values)} of {len(names)}")
                return self._put(makers[0].table.file, 0, [field], line, offset, length)
        elif not any(values):
            return self._left_out("", line, "Blank rows.")
        if nth <= self.watch.FIRST or not nth % self.watch.EVERY:
            self.watch.look(names, values)
        if self.watch.seen and (column := self.watch.caught()):
            fault = my_number_fault("", column, line)
            raise NotRead(fault.kind, fault.reason, fault.remedy, line=line)
        for maker, part in zip(makers, self.parts, strict=True):
            rule = maker.leaves_out(values)
            if rule is not None:
                self._left_out(rule.column, line, rule.why)
            else:
                self._put(maker.table.file, part, maker.row(values), line, offset, length)
        return None

    def _put(self, table: str, part: int, fields: list[str], line: int, offset: int, length: int) -> None:
        self.writers[table].writerow(fields)
        self.positions[table].append(origins.record(part, offset, length, line))

    def _left_out(self, column: str, line: int, why: str) -> None:
        key = f"{self.task.file.name}\0{column}\0{why}"
        one = self.state["left_out"].setdefault(
            key, {"file": self.task.file.name, "column": column, "why": why, "line": line, "rows": 0}
        )
        one["rows"] += 1

    def write(self) -> None:
        """Behind what the last state knows of; whatever stands there already was written by a step that did not count."""
        for name, text in self.texts.items():
            content = text.getvalue().encode("utf-8", "surrogatepass")
            many, rows = len(self.positions[name]), self.state["rows"][name]
            _append(self.conversion.package / name, self.state["sizes"][name], content)
            _append(self.conversion.folder / origins.POSITIONS / f"{name}.at", rows * origins.RECORD.size, b"".join(self.positions[name]))
            self.state["sizes"][name] += len(content)
            self.state["rows"][name] = rows + many


def _append(path: Path, size: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.truncate(size)
        file.seek(size)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def my_number_fault(file: str, column: str, row: int) -> Fault:
    return Fault(
        "my_number", file, f"The column “{column}” carries individual numbers (My Number), which the law forbids us to hold.",
        "Have the file made again without it, and destroy this copy.", column, row,
    )  # fmt: skip


def fault_of(wrong: NotRead, file: str = "") -> Fault:
    return Fault(wrong.kind, file or wrong.file, wrong.reason, wrong.remedy, row=wrong.line)
