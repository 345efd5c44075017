"""A look at what a mapping makes of a delivery: the first rows of each file, field by field, with what is wrong in them; and a draft to begin with."""

import csv
import io
import json
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from django.utils.translation import gettext as _

from administration.ledger import encodings, formats, mapping, reading
from administration.ledger.converting import Conversion, Delivered, fault_of
from administration.ledger.formats import Layout, NotRead
from administration.ledger.package import Fault
from administration.ledger.rowmaking import RowMaker
from administration.ledger.unconverted import MARK, mark
from administration.ledger.unconverted import read as unconverted

ROWS = 20
DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Cell:
    text: str
    wrong: str = ""  # what is wrong with it


@dataclass(frozen=True)
class Line:
    line: int  # in the delivered file
    cells: list[Cell]
    wrong: str = ""  # with the whole row
    left_out: str = ""  # why it is no row of the table


@dataclass(frozen=True)
class Sample:
    """The first rows of one delivered file in one table of the package."""

    file: str
    table: str
    head: list[str]
    from_columns: list[str]
    lines: list[Line]


@dataclass
class Preview:
    faults: list[mapping.Fault] = field(default_factory=list)  # of the mapping itself
    obstacles: list[Fault] = field(default_factory=list)  # between the mapping and these files
    samples: list[Sample] = field(default_factory=list)


def look(text: str, conversion_of: list[Delivered]) -> Preview:
    """What the mapping in this text makes of the first rows of these files."""
    try:
        chosen = mapping.read(text)
    except mapping.BadMapping as wrong:
        return Preview(faults=list(wrong.faults))
    conversion = Conversion(chosen, conversion_of, Path())  # only looked at: nothing is written
    shown = Preview(obstacles=conversion.check())
    if any(one.kind == "my_number" for one in shown.obstacles):
        return shown  # nothing of such a file is shown
    for task in conversion.tasks:
        try:
            names, place = formats.header(task.file.path, task.source.layout)
            if task.source.used - set(names):
                continue
            taken = list(islice(formats.rows(task.file.path, task.source.layout, place), ROWS))
        except NotRead as wrong:
            fault = fault_of(wrong, task.file.name)
            if str(fault) not in map(str, shown.obstacles):
                shown.obstacles.append(fault)
            continue
        for part in task.source.parts:
            maker = RowMaker(part, names, chosen, conversion.papers)
            lines = [_line(maker, names, values, line) for values, line, _offset, _length in taken if any(values)]
            shown.samples.append(Sample(
                task.file.name, part.table.file, list(part.table.header), [maker.columns.get(name, "") for name in part.table.header], lines
            ))  # fmt: skip
    return shown


def _line(maker: RowMaker, names: list[str], values: list[str], line: int) -> Line:
    values = values[: len(names)] if not any(values[len(names) :]) else values
    if len(values) != len(names):
        told = unconverted(values[0]) if values[0].startswith(MARK) else unconverted(mark("ragged_row", f"{len(values)} of {len(names)}"))
        return Line(line, [], wrong=told[1] if told else "")
    rule = maker.leaves_out(values)
    if rule is not None:
        return Line(line, [], left_out=rule.why)
    made = maker.row(values)
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(made)
    faults, _values = reading.diagnose(maker.table, line, out.getvalue())
    wrong = {fault.column: f"{fault.reason} {fault.remedy}" for fault in faults if fault.kind not in reading.REMARKS}
    if "asset" in maker.table.header and made[maker.table.header.index("asset")].startswith("?"):
        wrong["asset"] = "No asset has this symbol. Say in the mapping which it is. Codes are never guessed."
    return Line(line, [Cell(_bare(text), wrong.get(name, "")) for name, text in zip(maker.table.header, made, strict=True)])


def _bare(text: str) -> str:
    """The field as it was delivered, where it could not be converted."""
    return text.rpartition(MARK)[2] if text.startswith(MARK) else text


# --- a draft --------------------------------------------------------------------------------------


def draft(files: list[Delivered], *, exchange: str, cutoff_at: str) -> str:
    """A mapping to begin with: every file with its form and its columns, none of them mapped. Nothing is guessed."""
    lines = [
        f'format = "{mapping.FORMAT}"', f"version = {mapping.VERSION}", f"name = {_quoted(exchange)}", f"cutoff_at = {_quoted(cutoff_at)}",
        "ignore_files = []", "", "[exchange]", f"name = {_quoted(exchange)}", 'registration_number = ""', 'representative = ""', "",
        "[[assets]]", 'code = "JPY"', 'name = "Japanese yen"', "scale = 0", 'network = "bank"', 'kind = "fiat"', 'symbols = ["JPY"]', "",
        _("# What another book says the balances add up to. Leave it out where nobody can say."),
        "# [[control_totals]]", '# asset = "JPY"', '# product = "spot"', '# declared = "0"', "# accounts = 0", '# source = "auditor"',
    ]  # fmt: skip
    for file in files:
        lines += ["", *_source(file)]
    return "\n".join(lines) + "\n"


def _source(file: Delivered) -> list[str]:
    form = formats.format_of(file.path, file.name)
    lines = ["[[sources]]", f"file = {_quoted(file.name)}"]
    layout = Layout(form, encoding=file.encoding or "utf-8")
    if form == formats.CSV:
        if not file.encoding:
            return [*lines, '# encoding = "" # ' + _("look at the candidates and confirm one; then the columns can be listed here")]
        delimiter = sniffed(file)
        layout = Layout(form, encoding=file.encoding, delimiter=delimiter)
        lines += [f"encoding = {_quoted(file.encoding)}", f"delimiter = {_quoted(delimiter)}"]
    else:
        lines.append(f"format = {_quoted(form)}")
    try:
        if form == formats.XLSX:
            sheet = formats.sheets(file.path)[0]
            layout = Layout(form, sheet=sheet)
            lines.append(f"sheet = {_quoted(sheet)}")
        names = formats.header(file.path, layout)[0]
    except NotRead as wrong:
        return [*lines, f"# {wrong}".replace("\n", " ")]
    tables = ", ".join(mapping.TABLES)
    return [
        *lines, "ignore = [", *(f"  {_quoted(name)}," for name in names), "]",
        "# [[sources.tables]] # " + _("of these: %(tables)s") % {"tables": tables},
        '# table = "customers"', "# [sources.tables.columns]", '# customer_id = "…"',
    ]  # fmt: skip


def sniffed(file: Delivered) -> str:
    """The separator that the first lines have most of; a person sees it in the preview."""
    codec, _mark = encodings.ENCODINGS[file.encoding or "utf-8"]
    with file.path.open("rb") as opened:
        text = opened.read(1 << 16).decode(codec, "ignore")  # to count separators, nothing else
    lines = text.split("\n")[:20]
    return max(DELIMITERS, key=lambda sign: sum(line.count(sign) for line in lines))


def _quoted(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
