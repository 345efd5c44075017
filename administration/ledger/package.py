"""
Handover package, version 1: what a failed exchange's ledger looks like when it is handed over.

One folder: `manifest.json`, CSV files with the tables below, and `evidence/` with the papers that the wallets
refer to. HANDOVER.md beside this file says the same for those who must produce it; a test holds the two
together. This module knows the form only. It reads no rows into memory and knows no database.

    read_manifest(directory) → Manifest, or PackageRefused with every fault of the manifest
    check_files(directory, manifest) → faults: missing, unexpected, of another size or hash
"""

import contextlib
import hashlib
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from administration import amounts, wording
from administration.errors import Refused
from administration.ledger.tables import (
    ACCESS,
    ACCOUNT_STATUSES,
    ACCOUNTS,
    ASSET_KINDS,
    BALANCES,
    BANK_ACCOUNT_KINDS,
    BANK_ACCOUNTS,
    BY_FILE,
    CAPACITIES,
    CRYPTO_LEDGER,
    CUSTOMERS,
    ENTITY_TYPES,
    ENTRIES,
    ENTRY_KINDS,
    FIAT_LEDGER,
    FORBIDDEN_COLUMNS,
    HOLD_KINDS,
    HOLDS,
    KYC_STATUSES,
    LANGUAGES,
    PLACE_KINDS,
    PRICES,
    PRODUCTS,
    TABLES,
    TAGS,
    TEMPERATURES,
    TRADES,
    WALLETS,
    WITHDRAWAL_ADDRESSES,
    Column,
    Table,
    Type,
)

__all__ = [  # the tables too: whoever reads a package reads one module
    "ACCESS",
    "ACCOUNTS",
    "ACCOUNT_STATUSES",
    "ASSET_KINDS",
    "BALANCES",
    "BANK_ACCOUNTS",
    "BANK_ACCOUNT_KINDS",
    "BY_FILE",
    "CAPACITIES",
    "CRYPTO_LEDGER",
    "CUSTOMERS",
    "ENTITY_TYPES",
    "ENTRIES",
    "ENTRY_KINDS",
    "EVIDENCE",
    "FIAT_LEDGER",
    "FORBIDDEN_COLUMNS",
    "FORMAT",
    "HOLDS",
    "HOLD_KINDS",
    "IGNORED",
    "KYC_STATUSES",
    "LANGUAGES",
    "MANIFEST",
    "MANIFEST_BYTES_MAX",
    "MAY_BE_EMPTY",
    "PLACE_KINDS",
    "PRICES",
    "PRODUCTS",
    "SCALE_MAX",
    "TABLES",
    "TAGS",
    "TEMPERATURES",
    "TRADES",
    "VERSION",
    "WALLETS",
    "WITHDRAWAL_ADDRESSES",
    "AssetFacts",
    "CaseFacts",
    "Column",
    "ControlTotal",
    "Fault",
    "FileFacts",
    "Manifest",
    "PackageRefused",
    "Table",
    "Type",
    "check_files",
    "manifest_bytes",
    "parse_date",
    "parse_instant",
    "parse_manifest",
    "read_manifest",
]

FORMAT = "henkan-handover"
VERSION = 1
MANIFEST = "manifest.json"
EVIDENCE = "evidence"

MAY_BE_EMPTY = frozenset({"court", "case_number", "proceeding", "trigger"})  # of the case: a living exchange has none

MANIFEST_BYTES_MAX = 16 * 1024 * 1024
SCALE_MAX = 18


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a package: where, why, and what whoever made it should do."""

    kind: str
    file: str
    reason: str
    remedy: str
    column: str = ""  # or, in the manifest, the field: assets[3].scale
    row: int | None = None  # as a spreadsheet shows it: the header is row 1

    def __str__(self) -> str:
        """In the reader's language; what is kept of it is in one wording."""
        where = " ".join(filter(None, [self.file, _("row %(row)s") % {"row": self.row} if self.row else "", self.column]))
        return f"{where}: {wording.said(self.reason)} {wording.said(self.remedy)}"


class PackageRefused(Refused):
    """The package cannot be received as it is. Nothing was changed."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(*self.faults)

    def __str__(self) -> str:
        more = len(self.faults) - 1
        return f"{self.faults[0]} {wording.said(f'And {more} more.')}" if more else str(self.faults[0])


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """Which exchange, and before which court if any."""

    exchange_name: str
    exchange_name_en: str
    registration_number: str
    representative: str
    court: str
    case_number: str
    proceeding: str
    trigger: str


@dataclass(frozen=True, slots=True)
class AssetFacts:
    code: str
    name: str
    scale: int
    payable_step: int
    network: str
    kind: str


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file of the package; `rows` counts data rows of a CSV file without its header, None for evidence."""

    name: str
    sha256: str
    bytes: int
    rows: int | None


@dataclass(frozen=True, slots=True)
class ControlTotal:
    """What the exchange's own books say the balances of one asset and product add up to."""

    asset: str
    product: str
    declared: int
    accounts: int
    source: str


@dataclass(frozen=True, slots=True)
class Manifest:
    case: CaseFacts
    cutoff_at: datetime
    assets: tuple[AssetFacts, ...]
    files: tuple[FileFacts, ...]
    control_totals: tuple[ControlTotal, ...]
    sha256: str

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of this package, in the order in which they are read."""
        listed = {file.name for file in self.files}
        return TABLES + tuple(table for table in ENTRIES if table.file in listed)

    def asset(self, code: str) -> AssetFacts | None:
        return next((asset for asset in self.assets if asset.code == code), None)


# ---------------------------------------------------------------------------------------------------------
# Reading the manifest: every fault is collected, each with the field it is about.

_CODE = re.compile(r"[A-Z0-9]{2,16}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WHOLE = re.compile(r"[1-9][0-9]{0,76}", re.ASCII)
_EVIDENCE_NAME = re.compile(rf"{EVIDENCE}/[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
WHEN_IT_WAS = "Write when it was: a year like 9999 says no more than that nobody knows."
YEARS = range(1900, 9000)  # of an instant: 9999 stands for “never”, 1 for “unknown”, and neither can be counted from in Japan
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # nobody can write it down, the database least of all
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class NoYear(ValueError):
    """An instant in a year that nothing here happened in."""


def parse_instant(text: str) -> datetime:
    """An instant with its offset: 2026-09-30T15:00:00+09:00. Raises ValueError for anything else, a year 9999 included."""
    if not _INSTANT.fullmatch(text):
        raise ValueError(f"{text!r} is not an instant like 2026-09-30T15:00:00+09:00, with its offset.")
    found = datetime.fromisoformat(text)
    if found.year not in YEARS:
        raise NoYear(f"{text!r} is in no year from {YEARS[0]} to {YEARS[-1]}.")
    return found


def parse_date(text: str) -> date:
    """A day: 2026-09-30. Raises ValueError for anything else, two-digit years and 令和 included."""
    if not _DATE.fullmatch(text):
        raise ValueError(f"{text!r} is not a date like 2026-09-30.")
    return date.fromisoformat(text)


class _Reader:
    """Walks a parsed manifest and writes down what is wrong, without stopping at the first fault."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, field: str, reason: str, remedy: str, kind: str = "manifest") -> None:
        self.faults.append(Fault(kind, MANIFEST, reason, remedy, column=field))

    def fields(self, value: Any, names: Iterable[str], field: str) -> dict[str, Any]:
        """An object with exactly these fields."""
        names = tuple(names)
        prefix = f"{field}." if field else ""
        if not isinstance(value, dict):
            self.fault(field or "(whole)", "This is not an object.", f"Give an object with {', '.join(names)}.")
            return {}
        for name in names:
            if name not in value:
                self.fault(prefix + name, "This field is missing.", "Add it.")
        for name in value:
            if name not in names:
                self.fault(prefix + UNWRITABLE.sub("\ufffd", str(name)), "This field is not part of version 1.", "Leave it out.")
        return value

    def text(self, value: dict[str, Any], name: str, field: str, *, empty: bool = False) -> str:
        if name not in value:
            return ""
        found = value[name]
        if not isinstance(found, str) or (not found.strip() and not empty):
            self.fault(f"{field}.{name}" if field else name, "This is not a text.", "Write it as a JSON string.")
            return ""
        if UNWRITABLE.search(found):
            self.fault(f"{field}.{name}" if field else name, "The text contains control characters.", "Take them out.")
            return ""
        return found

    def match(self, value: dict[str, Any], name: str, field: str, form: re.Pattern[str], what: str) -> str:
        found = self.text(value, name, field)
        if found and not form.fullmatch(found):
            self.fault(f"{field}.{name}", f"{found!r} is not {what}.", f"Write {what}.")
            return ""
        return found

    def choice(self, value: dict[str, Any], name: str, field: str, choices: tuple[str, ...]) -> str:
        found = self.text(value, name, field)
        if found and found not in choices:
            self.fault(f"{field}.{name}", f"{found!r} is not known.", f"Write one of {', '.join(choices)}.")
        return found

    def count(self, value: dict[str, Any], name: str, field: str, most: int = 2**53) -> int:
        if name not in value:
            return 0
        found = value[name]
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= most:
            self.fault(f"{field}.{name}", "This is not a whole number in range.", f"Write 0 to {most}.")
            return 0
        return found

    def rows(self, value: Any, field: str, *, empty: bool = False) -> Iterator[tuple[str, Any]]:
        if not isinstance(value, list) or not (value or empty):
            self.fault(field, "This is not a list with entries.", "List them.")
            return
        for number, entry in enumerate(value):
            yield f"{field}[{number}]", entry


def read_manifest(directory: Path) -> Manifest:
    """The manifest of the package in `directory`. Raises PackageRefused with every fault found."""
    return parse_manifest(manifest_bytes(directory))


def parse_manifest(content: bytes) -> Manifest:
    """The manifest in these bytes. Raises PackageRefused with every fault found."""
    reader = _Reader()
    top = reader.fields(
        _strict_json(content),
        ("format", "version", "case", "cutoff_at", "assets", "files", "control_totals"),
        "",
    )
    if top.get("format") != FORMAT or top.get("version") != VERSION or isinstance(top.get("version"), bool):
        reader.fault("format", f"This is not {FORMAT} version {VERSION}.", "Make the package in that format.")
    if not top:
        raise PackageRefused(reader.faults)
    case = _case(reader, top["case"]) if "case" in top else CaseFacts(*[""] * len(CaseFacts.__dataclass_fields__))
    cutoff_at = _cutoff(reader, top)
    assets = tuple(_asset(reader, entry, field) for field, entry in reader.rows(top.get("assets"), "assets"))
    _distinct(reader, "assets", [asset.code for asset in assets])
    files = tuple(_file(reader, entry, field) for field, entry in reader.rows(top.get("files"), "files"))
    _distinct(reader, "files", [file.name for file in files])
    for name in sorted({table.file for table in TABLES} - {file.name for file in files}):
        reader.fault("files", f"{name} is not listed.", "Add the file, with only its header if there are no rows.")
    wrong = {fault.column for fault in reader.faults}
    scales = {
        asset.code: None if f"assets[{number}].scale" in wrong else asset.scale for number, asset in enumerate(assets)
    }
    control_totals = tuple(
        _control_total(reader, entry, field, scales)
        for field, entry in reader.rows(top.get("control_totals"), "control_totals", empty=True)  # nobody may be left who can say
    )
    _distinct(reader, "control_totals", [f"{total.asset} {total.product}" for total in control_totals])

    if reader.faults or cutoff_at is None:
        raise PackageRefused(reader.faults)
    return Manifest(case, cutoff_at, assets, files, control_totals, hashlib.sha256(content).hexdigest())


def manifest_bytes(directory: Path) -> bytes:
    """The bytes of the manifest as they are. Raises PackageRefused if there is none to read."""
    path = directory / MANIFEST
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError("not a file")
            content = file.read(MANIFEST_BYTES_MAX + 1)
    except OSError:
        raise PackageRefused(
            [
                Fault(
                    "missing_file",
                    MANIFEST,
                    "There is no such file to read.",
                    f"Name the folder that holds {MANIFEST}.",
                )
            ]
        ) from None
    if len(content) > MANIFEST_BYTES_MAX:
        raise PackageRefused(
            [Fault("manifest", MANIFEST, "The file is larger than 16 MB.", "A manifest holds no rows; move them out.")]
        )
    return content


def _strict_json(content: bytes) -> Any:
    """JSON as we allow it: UTF-8 without BOM, no duplicate names, no floats, no NaN."""

    def no_float(text: str) -> Any:
        raise ValueError(f"the number {text} is not whole; amounts are written as text")

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for name, value in pairs:
            if name in seen:
                raise ValueError(f"the name {name!r} stands twice in one object")
            seen[name] = value
        return seen

    try:
        text = content.decode("utf-8")
        if text.startswith("\ufeff"):
            raise ValueError("the file begins with a byte order mark")
        return json.loads(text, object_pairs_hook=no_duplicates, parse_float=no_float, parse_constant=no_float)
    except (ValueError, RecursionError) as wrong:
        raise PackageRefused(
            [Fault("manifest", MANIFEST, f"This is not the JSON we read: {wrong}.", "Write plain UTF-8 JSON.")]
        ) from None


def _case(reader: _Reader, value: Any) -> CaseFacts:
    names = tuple(CaseFacts.__dataclass_fields__)
    found = reader.fields(value, names, "case")
    return CaseFacts(**{name: reader.text(found, name, "case", empty=name in MAY_BE_EMPTY) for name in names})


def _cutoff(reader: _Reader, top: dict[str, Any]) -> datetime | None:
    text = reader.text(top, "cutoff_at", "")
    try:
        return parse_instant(text) if text else None
    except ValueError as wrong:
        reader.fault("cutoff_at", str(wrong), WHEN_IT_WAS if isinstance(wrong, NoYear) else "Write the instant with its offset.")
        return None


def _asset(reader: _Reader, value: Any, field: str) -> AssetFacts:
    found = reader.fields(value, AssetFacts.__dataclass_fields__, field)
    step = reader.match(found, "payable_step", field, _WHOLE, "a whole number of units, as text")
    return AssetFacts(
        code=reader.match(found, "code", field, _CODE, "2 to 16 capital letters and digits"),
        name=reader.text(found, "name", field),
        scale=reader.count(found, "scale", field, SCALE_MAX),
        payable_step=int(step or "1"),
        network=reader.text(found, "network", field),
        kind=reader.choice(found, "kind", field, ASSET_KINDS),
    )


def _file(reader: _Reader, value: Any, field: str) -> FileFacts:
    found = reader.fields(value, FileFacts.__dataclass_fields__, field)
    name = reader.text(found, "name", field)
    is_table = name in BY_FILE
    if name and not is_table and not _EVIDENCE_NAME.fullmatch(name):
        reader.fault(
            f"{field}.name",
            f"{name!r} is neither a table of this format nor a plain name below {EVIDENCE}/.",
            "Leave it out, or rename it.",
        )
    if not is_table and found.get("rows", None) is not None:
        reader.fault(f"{field}.rows", "Evidence has no rows.", "Write null.")
    return FileFacts(
        name=name,
        sha256=reader.match(found, "sha256", field, _SHA256, "64 lower-case hex digits"),
        bytes=reader.count(found, "bytes", field),
        rows=reader.count(found, "rows", field) if is_table else None,
    )


def _control_total(reader: _Reader, value: Any, field: str, scales: dict[str, int | None]) -> ControlTotal:
    found = reader.fields(value, ControlTotal.__dataclass_fields__, field)
    asset, declared = reader.text(found, "asset", field), 0
    if asset and asset not in scales and scales:
        reader.fault(f"{field}.asset", f"{asset!r} is not among the assets.", "Name a listed asset.")
    elif (text := reader.text(found, "declared", field)) and (scale := scales.get(asset)) is not None:
        try:
            declared = amounts.parse(text, scale)
        except amounts.BadAmount as wrong:
            reader.fault(f"{field}.declared", str(wrong), "Write plain decimal text at the asset's scale.")
    return ControlTotal(
        asset=asset,
        product=reader.choice(found, "product", field, PRODUCTS),
        declared=declared,
        accounts=reader.count(found, "accounts", field),
        source=reader.text(found, "source", field),
    )


def _distinct(reader: _Reader, field: str, names: list[str]) -> None:
    for name in sorted(name for name, times in Counter(names).items() if name and times > 1):
        reader.fault(field, f"{name} stands twice.", "List it once.")


# ---------------------------------------------------------------------------------------------------------
# The files against the manifest.


def check_files(
    directory: Path,
    manifest: Manifest,
    *,
    into: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Fault]:
    """
    What is missing, unlisted, or not of the size and hash the manifest states. Reads every byte once.

    Links and anything that is not a plain file are refused: a package carries its own bytes. With `into`, each file
    is copied there on the way, so that what was hashed is what is kept.
    """
    faults: list[Fault] = []
    for facts in manifest.files:
        try:
            found = _hash_of(directory / facts.name, into / facts.name if into else None, progress)
        except OSError:
            faults.append(
                Fault(
                    "missing_file",
                    facts.name,
                    "The manifest lists this file; it is not here as a plain file.",
                    "Add it.",
                )
            )
            continue
        if found != (facts.sha256, facts.bytes):
            faults.append(
                Fault(
                    "wrong_hash",
                    facts.name,
                    f"Its SHA-256 is {found[0]} over {found[1]} bytes; "
                    f"the manifest says {facts.sha256} over {facts.bytes}.",
                    "It was changed after the manifest was made: ask for the package again.",
                )
            )
    listed = {MANIFEST, *(facts.name for facts in manifest.files)}
    faults.extend(
        Fault("unlisted_file", name, "The manifest does not list this file.", "Remove it, or list it.")
        for name in sorted(_names(directory) - listed - IGNORED)
    )
    return faults


# Written by the sample generator beside a package with faults; never part of it.
IGNORED = frozenset({"dirty.json"})


def _hash_of(path: Path, copy: Path | None, progress: Callable[[int], None] | None) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with contextlib.ExitStack() as files:
        file = files.enter_context(os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb"))
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("not a plain file")
        kept = files.enter_context(open(copy, "xb", opener=_private)) if copy else None
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
            if kept:
                kept.write(chunk)
            if progress:
                progress(size)
        if kept:
            kept.flush()
            os.fsync(kept.fileno())
    return digest.hexdigest(), size


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _names(directory: Path) -> set[str]:
    names = set()
    for entry in os.scandir(directory):
        if entry.name == EVIDENCE and entry.is_dir(follow_symlinks=False):
            names |= {f"{EVIDENCE}/{below.name}" for below in os.scandir(entry.path)}
        else:
            names.add(entry.name)
    return names
