"""
A mapping: how the files of one exchange become the tables of a handover package. Written once per case, in TOML.

    read(text) → Mapping, or BadMapping with every fault, each with its place in the text

Every delivered column must be mapped or ignored, every delivered file used or ignored: nothing is dropped silently.
MAPPING.md beside this file says the same for people; `mappings/` has three examples. Pure: knows no file and no database.
"""

import fnmatch
import hashlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from administration import amounts, wording
from administration.errors import Refused
from administration.ledger import encodings, formats, grammars, my_number, package
from administration.ledger.formats import Layout
from administration.ledger.package import Column, Table, Type

FORMAT, VERSION = "henkan-mapping", 1
BYTES_MAX = 1 << 20
SIGNS = ("delimiter", "quote")  # some files part their fields by a control character
TABLES = {table.file.removesuffix(".csv"): table for table in package.BY_FILE.values()}


class Fault(NamedTuple):
    """One thing wrong with a mapping, in one wording; whoever reads it reads it in their language."""

    place: str  # in the text, by its own names
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {wording.said(self.sentence)}"


class BadMapping(Refused):
    """The mapping cannot be used; every fault is in `faults`."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(*faults)

    def __str__(self) -> str:
        more = len(self.faults) - 1
        return f"{self.faults[0]} {wording.said(f'And {more} more.')}" if more else str(self.faults[0])


@dataclass(frozen=True, slots=True)
class Fill:
    """How one column of the package is filled."""

    column: Column
    sources: tuple[str, ...] = ()  # columns of the delivered file; several are joined
    join: str = ""
    constant: str | None = None
    values: dict[str, str] = field(default_factory=dict)
    empty: str | None = None  # what stands for an empty field
    number: grammars.Number | None = None
    days: tuple[str, ...] = ()
    offset: str = ""
    cut: str = ""  # "time": only the day of an instant is taken
    full_width: bool = False
    texts: tuple[str, ...] = ()
    zero_pad: int = 0


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """Rows that are no rows of the table: a line of totals, a balance of nothing. They are counted and said."""

    column: str
    values: frozenset[str]
    why: str


@dataclass(frozen=True, slots=True)
class Part:
    """What one delivered file gives to one table."""

    table: Table
    fills: tuple[Fill, ...]
    leave_out: tuple[LeaveOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of delivered file, and the tables its rows go to."""

    file: str  # a name, or a pattern of names: balances_*.csv
    layout: Layout
    parts: tuple[Part, ...]
    ignore: frozenset[str]  # columns nobody needs

    def takes(self, name: str) -> bool:
        return fnmatch.fnmatchcase(name, self.file)

    @property
    def used(self) -> frozenset[str]:
        """The columns that are mapped."""
        named = {name for part in self.parts for fill in part.fills for name in fill.sources}
        return frozenset(named | {rule.column for part in self.parts for rule in part.leave_out})


@dataclass(frozen=True, slots=True)
class Mapping:
    name: str
    exchange: dict[str, str]
    cutoff_at: str
    assets: tuple[package.AssetFacts, ...]
    symbols: dict[str, str]  # as delivered → code
    control_totals: tuple[dict[str, Any], ...]
    sources: tuple[Source, ...]
    evidence: tuple[tuple[str, str], ...]  # pattern of delivered names, and the name in the package ("": its own)
    ignore_files: tuple[str, ...]
    sha256: str

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that come of it: those every package has, and the books of entries it fills."""
        filled = {part.table.file for source in self.sources for part in source.parts}
        return package.TABLES + tuple(table for table in package.ENTRIES if table.file in filled)

    def sources_of(self, name: str) -> list[Source]:
        return [source for source in self.sources if source.takes(name)]

    def paper(self, name: str) -> str | None:
        """Under which name a delivered paper is kept in the package; None if it is none."""
        own = re.sub(r"[^A-Za-z0-9._-]", "_", name.rsplit("/", 1)[-1]).lstrip("._-")[:100]
        for pattern, kept in self.evidence:
            if fnmatch.fnmatchcase(name, pattern):
                return f"{package.EVIDENCE}/{kept or own or 'paper'}"
        return None

    def ignores(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.ignore_files)


def read(text: str) -> Mapping:
    """The mapping in this text. Raises BadMapping with every fault found."""
    try:
        content = text.encode()
    except UnicodeEncodeError:  # a lone surrogate: half a character
        raise BadMapping([Fault("mapping", "“text” has control characters. Take them out.")]) from None
    if len(content) > BYTES_MAX:
        raise BadMapping([Fault("mapping", "it is larger than a megabyte: it holds rows that belong elsewhere.")])
    try:
        top = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as wrong:
        raise BadMapping([Fault("mapping", f"this is not TOML: {wrong}.")]) from None
    reader = _Reader()
    mapping = reader.mapping(top, hashlib.sha256(content).hexdigest())
    if reader.faults:
        raise BadMapping(reader.faults)
    return mapping


class _Reader:
    """Walks the TOML and writes down what is wrong, without stopping at the first fault."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, place: str, sentence: str) -> None:
        self.faults.append(Fault(place, sentence))

    # --- plain values ---------------------------------------------------------------------------

    def only(self, value: Any, names: str, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.fault(place, "this is not a table.")
            return {}
        for name in value:
            if name not in names.split():
                self.fault(place, f"“{name}” is not known here. Known: {', '.join(names.split())}.")
        return value

    def text(self, value: dict[str, Any], name: str, place: str, default: str | None = None) -> str:
        found = value.get(name, default)
        if not isinstance(found, str):
            self.fault(place, f"“{name}” must be a text." if name in value else f"“{name}” is missing.")
            return ""
        if name not in SIGNS and package.UNWRITABLE.search(found):
            self.fault(place, f"“{name}” has control characters. Take them out.")
            return ""
        return found

    def texts(self, value: dict[str, Any], name: str, place: str) -> tuple[str, ...]:
        found = value.get(name, [])
        found = [found] if isinstance(found, str) else found
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            self.fault(place, f"“{name}” must be a list of texts.")
            return ()
        if any(map(package.UNWRITABLE.search, found)):
            self.fault(place, f"“{name}” has control characters. Take them out.")
            return ()
        return tuple(found)

    def whole(self, value: dict[str, Any], name: str, place: str, default: int, most: int) -> int:
        found = value.get(name, default)
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= most:
            self.fault(place, f"“{name}” must be a whole number from 0 to {most}.")
            return default
        return found

    def flag(self, value: dict[str, Any], name: str, place: str) -> bool:
        found = value.get(name, False)
        if not isinstance(found, bool):
            self.fault(place, f"“{name}” must be true or false.")
        return found is True

    def list_of(self, value: dict[str, Any], name: str, place: str = "") -> Iterator[tuple[str, Any]]:
        found = value.get(name, [])
        if not isinstance(found, list):
            self.fault(place or name, f"“{name}” must be a list of tables: [[{name}]].")
            return
        for number, entry in enumerate(found, start=1):
            yield f"{place + ' ' if place else ''}{name} {number}", entry

    # --- the whole ------------------------------------------------------------------------------

    def mapping(self, top: dict[str, Any], sha256: str) -> Mapping:
        self.only(top, "format version name exchange cutoff_at assets control_totals sources evidence ignore_files", "mapping")
        if top.get("format") != FORMAT or top.get("version") != VERSION:
            self.fault("format", f'write format = "{FORMAT}" and version = {VERSION}.')
        cutoff = self.text(top, "cutoff_at", "mapping")
        try:
            package.parse_instant(cutoff)
        except ValueError:
            self.fault("cutoff_at", "write an instant with its offset, like 2026-09-30T15:00:00+09:00.")
        exchange = self.only(top.get("exchange", {}), "name name_en registration_number representative", "exchange")
        facts = {key: self.text(exchange, key, "exchange") for key in ("name", "registration_number", "representative")}
        facts["name_en"] = self.text(exchange, "name_en", "exchange", facts["name"])
        assets, symbols = self.assets(top)
        sources = tuple(self.source(entry, place, symbols) for place, entry in self.list_of(top, "sources"))
        if not sources:
            self.fault("sources", "name at least one delivered file.")
        evidence = []
        for place, entry in self.list_of(top, "evidence"):
            row = self.only(entry, "file as", place)
            kept = self.text(row, "as", place, "")
            if kept and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", kept, re.ASCII):
                self.fault(place, 'say under which plain ASCII name the paper is kept: as = "balance-certificate.pdf".')
            evidence.append((self.text(row, "file", place), kept))
        return Mapping(
            self.text(top, "name", "mapping"), facts, cutoff, assets, symbols, self.control_totals(top, assets), sources, tuple(evidence),
            self.texts(top, "ignore_files", "mapping"), sha256,
        )  # fmt: skip

    def assets(self, top: dict[str, Any]) -> tuple[tuple[package.AssetFacts, ...], dict[str, str]]:
        found: list[package.AssetFacts] = []
        symbols: dict[str, str] = {}
        for place, entry in self.list_of(top, "assets"):
            row = self.only(entry, "code name scale payable_step network kind symbols", place)
            code = self.text(row, "code", place)
            if not re.fullmatch(r"[A-Z0-9]{2,16}", code, re.ASCII):
                self.fault(place, "“code” must be 2 to 16 capital letters and digits.")
            kind = self.text(row, "kind", place)
            if kind not in package.ASSET_KINDS:
                self.fault(place, f"“kind” must be one of {', '.join(package.ASSET_KINDS)}.")
            scale = self.whole(row, "scale", place, 0, package.SCALE_MAX)
            if "scale" not in row:
                self.fault(place, "“scale” is missing: how many decimal places the ledger keeps.")
            step = str(row.get("payable_step", "1"))
            if not re.fullmatch(r"[1-9][0-9]{0,76}", step, re.ASCII):
                self.fault(place, "“payable_step” must be a whole number of smallest units.")
                step = "1"
            found.append(package.AssetFacts(
                code, self.text(row, "name", place, code), scale, int(step), self.text(row, "network", place), kind
            ))  # fmt: skip
            for symbol in self.texts(row, "symbols", place) or (code,):
                if symbols.setdefault(symbol, code) != code:
                    self.fault(place, f"“{symbol}” stands for {symbols[symbol]} already. One symbol means one asset.")
        if len({asset.code for asset in found}) != len(found):
            self.fault("assets", "an asset stands twice.")
        if not found:
            self.fault("assets", "list the assets with their symbols. Codes are never guessed.")
        return tuple(found), symbols

    def control_totals(self, top: dict[str, Any], assets: tuple[package.AssetFacts, ...]) -> tuple[dict[str, Any], ...]:
        scales, found = {asset.code: asset.scale for asset in assets}, []
        for place, entry in self.list_of(top, "control_totals"):
            row = self.only(entry, "asset product declared accounts source declared_by", place)
            code, declared = self.text(row, "asset", place), self.text(row, "declared", place)
            if code not in scales:
                self.fault(place, f"{code} is not among the assets.")
            else:
                try:
                    amounts.parse(declared, scales[code])
                except amounts.BadAmount as wrong:
                    self.fault(place, str(wrong))
            if row.get("product") not in package.PRODUCTS:
                self.fault(place, f"“product” must be one of {', '.join(package.PRODUCTS)}.")
            found.append({
                "asset": code, "product": row.get("product"), "declared": declared,
                "accounts": self.whole(row, "accounts", place, 0, 2**53), "source": self.text(row, "source", place),
            })  # fmt: skip
        return tuple(found)

    # --- one delivered file ---------------------------------------------------------------------

    def source(self, entry: Any, place: str, symbols: dict[str, str]) -> Source:
        row = self.only(
            entry, "file format encoding delimiter quote line_end header sheet formulas ignore tables", place
        )
        file = self.text(row, "file", place)
        place = f"{place} ({file})" if file else place
        form = self.text(row, "format", place, formats.CSV)
        if form not in formats.FORMATS:
            self.fault(place, f"“format” must be one of {', '.join(formats.FORMATS)}.")
        encoding = encodings.named(self.text(row, "encoding", place, "utf-8" if form != formats.CSV else None))
        if encoding is None and isinstance(row.get("encoding"), str):
            self.fault(place, f"“encoding” must be one of {', '.join(encodings.ENCODINGS)}.")
        delimiter, quote = self.text(row, "delimiter", place, ","), self.text(row, "quote", place, '"')
        if len(delimiter) != 1 or len(quote) > 1:
            self.fault(place, "“delimiter” is one sign, “quote” one or none.")
        newline = self.text(row, "line_end", place, "LF")
        if newline not in formats.NEWLINES:
            self.fault(place, "“line_end” must be LF (CR LF too) or CR.")
        layout = Layout(
            form, encoding or "utf-8", delimiter[:1] or ",", quote[:1], newline if newline in formats.NEWLINES else "LF",
            max(1, self.whole(row, "header", place, 1, 1000)), self.text(row, "sheet", place, ""), self.flag(row, "formulas", place),
        )  # fmt: skip
        parts = tuple(filter(None, (self.part(one, where, symbols) for where, one in self.list_of(row, "tables", place))))
        if not parts:
            self.fault(place, "no table of the package is made of this file. If nobody needs it, put it under ignore_files.")
        source = Source(file, layout, parts, frozenset(self.texts(row, "ignore", place)))
        for name in sorted(source.used | source.ignore):
            if my_number.is_name(name):
                self.fault(place, f"“{name}” carries individual numbers (My Number), which the law forbids us to hold. "
                                  "Have the file made again without it, and destroy this copy.")  # fmt: skip
        for name in sorted(source.used & source.ignore):
            self.fault(place, f"“{name}” is mapped and ignored.")
        return source

    def part(self, entry: Any, place: str, symbols: dict[str, str]) -> Part | None:
        row = self.only(entry, "table columns leave_out", place)
        table = TABLES.get(self.text(row, "table", place))
        if table is None:
            self.fault(place, f"“table” must be one of {', '.join(TABLES)}.")
            return None
        place = f"{place} ({row['table']})"
        columns = row.get("columns", {})
        if not isinstance(columns, dict):
            self.fault(place, "“columns” must be a table.")
            return None
        for name in columns:
            if name not in table.header:
                self.fault(place, f"“{name}” is not a column of {table.file}. Its columns: {', '.join(table.header)}.")
        fills = []
        for column in table.columns:
            if column.name in columns:
                fills.append(self.fill(columns[column.name], column, f"{place} {column.name}", symbols))
            elif column.name == "evidence_sha256":
                continue  # taken from the paper itself
            elif column.required:
                self.fault(place, f"{column.name} must be given: name a column, or a constant.")
            else:
                fills.append(Fill(column, constant=""))
        rules = []
        for where, one in self.list_of(row, "leave_out", place):
            rule = self.only(one, "column in why", where)
            rules.append(LeaveOut(self.text(rule, "column", where), frozenset(self.texts(rule, "in", where)), self.text(rule, "why", where)))
            if not rules[-1].why.strip():
                self.fault(where, "say why these rows are left out.")
        return Part(table, tuple(fills), tuple(rules))

    def fill(self, given: Any, column: Column, place: str, symbols: dict[str, str]) -> Fill:
        if isinstance(given, str):
            given = {"column": given}
        row = self.only(given, "column columns join constant values empty number date offset cut full_width text zero_pad", place)
        named = self.texts(row, "columns", place) or self.texts(row, "column", place)
        constant = self.text(row, "constant", place) if "constant" in row else None
        if (constant is None) == (not named):
            self.fault(place, "give either a column or a constant.")
        if constant is not None and column.name == "asset" and constant not in symbols.values():
            self.fault(place, f"{constant} is not among the assets.")
        values = row.get("values", {})
        if not isinstance(values, dict) or not all(isinstance(one, str) for one in values.values()):
            self.fault(place, "“values” must say for each text what it means.")
            values = {}
        if column.choices:
            for meaning in [*values.values(), *([constant] if constant else [])]:
                if meaning not in column.choices:
                    self.fault(place, f"“{meaning}” is not one of {', '.join(column.choices)}.")
        days = self.texts(row, "date", place)
        if any(one not in grammars.DAY_GRAMMARS for one in days):
            self.fault(place, f"“date” must be among {', '.join(grammars.DAY_GRAMMARS)}.")
        if {"day first", "month first"} <= set(days):
            self.fault(place, "day first and month first together are ambiguous.")
        texts = self.texts(row, "text", place)
        if any(one not in grammars.TEXTS for one in texts):
            self.fault(place, f"“text” must be among {', '.join(grammars.TEXTS)}.")
        offset = self.text(row, "offset", place, "")
        if offset and not re.fullmatch(r"[+-]\d\d:\d\d|Z", offset, re.ASCII):
            self.fault(place, "“offset” must be like +09:00.")
        return Fill(
            column, named, self.text(row, "join", place, ""), constant, values, self.text(row, "empty", place) if "empty" in row else None,
            self.number(row.get("number"), column, f"{place} number"), days or ("iso",), offset, self.text(row, "cut", place, ""),
            self.flag(row, "full_width", place), texts, self.whole(row, "zero_pad", place, 0, 40),
        )  # fmt: skip

    def number(self, given: Any, column: Column, place: str) -> grammars.Number | None:
        if column.type is not Type.AMOUNT and column.type is not Type.INT:
            if given is not None:
                self.fault(place, "this column holds no number.")
            return None
        row = self.only(given or {}, "decimal thousands negative full_width around minor_units", place)
        decimal, thousands = self.text(row, "decimal", place, "."), self.text(row, "thousands", place, "")
        if decimal not in (".", ",") or len(thousands) > 1 or thousands == decimal or thousands.isalnum():
            self.fault(place, "“decimal” is . or , and “thousands” another single sign, or none.")
        negative = self.texts(row, "negative", place)
        if any(one not in grammars.NEGATIVES for one in negative):
            self.fault(place, f"“negative” must be among {', '.join(grammars.NEGATIVES)}.")
        if self.flag(row, "minor_units", place) and column.name != "amount":
            self.fault(place, "whole smallest units are read in the column “amount” only.")
        return grammars.Number(
            decimal, thousands, negative, self.flag(row, "full_width", place), self.texts(row, "around", place),
            self.flag(row, "minor_units", place),
        )  # fmt: skip
