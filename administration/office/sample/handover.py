"""Write the package: tables as they are made, then holdings, prices, evidence, and the manifest last."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import BinaryIO

from administration import amounts
from administration.errors import Refused
from administration.ledger import package
from administration.office.sample import holdings
from administration.office.sample.assets import ASSETS
from administration.office.sample.book import Block, Book
from administration.office.sample.dirt import Soiler

CUTOFF_AT = "2026-09-30T15:00:00+09:00"
DIRTY = "dirty.json"
BLOCK = 2_000  # accounts made at a time: what is in memory

CASE = {
    "exchange_name": holdings.EXCHANGE,
    "exchange_name_en": "Asagiri Exchange K.K.",
    "registration_number": "関東財務局長 第99999号（架空）",
    "representative": "朝霧　太郎",
    "court": "東京地方裁判所民事第20部",
    "case_number": "令和8年（再）第9999号",
    "proceeding": "civil_rehabilitation",
    "trigger": "INSOLVENCY_PETITION",
}

IN_THE_BOOKS = {
    "spot": "現物残高", "pending_withdrawal": "出金未了", "open_order": "注文拘束", "margin": "証拠金", "staking": "ステーキング",
    "lending": "貸借",
}  # fmt: skip


class FolderInUse(Refused):
    """A package is only written into an empty folder."""


class _TableFile:
    """One CSV file on its way to disk: hashed and counted as it is written."""

    def __init__(self, directory: Path, table: package.Table) -> None:
        self.table = table
        self.rows = 0
        self.bytes = 0
        self._digest = sha256()
        self._file: BinaryIO = (directory / table.file).open("xb")  # closed by close()
        self._write(",".join(table.header) + "\n")

    def add(self, lines: list[str], soiler: Soiler | None = None) -> None:
        if soiler:
            lines = soiler.soil(self.table, lines, self.rows + 2)
        if lines:
            self.rows += len(lines)
            self._write("\n".join(lines) + "\n")

    def _write(self, text: str) -> None:
        content = text.encode()
        self.bytes += len(content)
        self._digest.update(content)
        self._file.write(content)

    def close(self) -> dict[str, object]:
        """What the manifest says of this file."""
        self._file.close()
        return {"name": self.table.file, "sha256": self._digest.hexdigest(), "bytes": self.bytes, "rows": self.rows}


def write(
    directory: str | Path,
    *,
    accounts: int,
    seed: int,
    dirty: float = 0.0,
    progress: Callable[[int], None] | None = None,
) -> dict[str, object]:
    """
    Write a handover package of `accounts` accounts into the empty folder `directory`; what was written, in figures.

    The same seed gives the same bytes, on any machine and any day. `dirty` is the share of rows to put faults into;
    they are listed in dirty.json beside the package. `progress` is called with the accounts made so far.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FolderInUse(f"{directory} is not empty. Name a new or an empty folder.")
    (directory / package.EVIDENCE).mkdir()

    book = Book(seed)
    soiler = Soiler(seed, round(dirty * 1_000_000)) if dirty else None
    files = {table.file: _TableFile(directory, table) for table in package.TABLES}
    done = 0
    while done < accounts:
        size = min(BLOCK, accounts - done)
        _add(files, book.block(size), soiler)
        done += size
        if progress:
            progress(done)

    places = list(holdings.found(book.totals.owed, Random(f"henkan holdings {seed}")))
    files["wallets.csv"].add([place.line(CUTOFF_AT) for place in places])
    files["prices.csv"].add([_price(asset.code, asset.price) for asset in ASSETS])
    listed = [files[table.file].close() for table in package.TABLES]
    listed += [_evidence(directory, place) for place in places]

    manifest = {
        "format": package.FORMAT,
        "version": package.VERSION,
        "case": CASE,
        "cutoff_at": CUTOFF_AT,
        "assets": [
            {
                "code": asset.code,
                "name": asset.name,
                "scale": asset.scale,
                "payable_step": str(asset.payable_step),
                "network": asset.network,
                "kind": asset.kind,
            }
            for asset in ASSETS
        ],
        "files": listed,
        "control_totals": _control_totals(book, soiler),
    }
    _write_json(directory / package.MANIFEST, manifest)
    if soiler:
        _write_json(directory / DIRTY, [dirt.as_json() for dirt in soiler.done])
    return {
        "directory": str(directory),
        "accounts": accounts,
        "rows": {table.file: files[table.file].rows for table in package.TABLES},
        "bytes": sum(file.bytes for file in files.values()),
        "totals": {asset.code: str(_total(book, asset.code)) for asset in ASSETS},
        "owed": {asset.code: str(book.totals.owed.get(asset.code, 0)) for asset in ASSETS},
        "faults": len(soiler.done) if soiler else 0,
        "manifest_sha256": sha256((directory / package.MANIFEST).read_bytes()).hexdigest(),
    }


def _add(files: dict[str, _TableFile], block: Block, soiler: Soiler | None) -> None:
    files["customers.csv"].add(block.customers, soiler)
    files["accounts.csv"].add(block.accounts, soiler)
    files["balances.csv"].add(block.balances, soiler)
    files["bank_accounts.csv"].add(block.bank_accounts, soiler)
    files["withdrawal_addresses.csv"].add(block.withdrawal_addresses, soiler)
    files["holds.csv"].add(block.holds, soiler)


def _total(book: Book, asset: str) -> int:
    return sum(line[0] for (code, _), line in book.totals.by_product.items() if code == asset)


def _price(asset: str, thousandths: int) -> str:
    return f"{asset},{thousandths},1000,{CUTOFF_AT},見本のための架空の価格"


def _evidence(directory: Path, place: holdings.Place) -> dict[str, object]:
    content = place.evidence(CUTOFF_AT)
    (directory / place.evidence_file).write_bytes(content)
    return {
        "name": place.evidence_file,
        "sha256": sha256(content).hexdigest(),
        "bytes": len(content),
        "rows": None,
    }


def _control_totals(book: Book, soiler: Soiler | None) -> list[dict[str, object]]:
    lines = [
        (asset, product, *book.totals.by_product.get((asset.code, product), (0, 0)))
        for asset in ASSETS
        for product in package.PRODUCTS
        if product == "spot" or (asset.code, product) in book.totals.by_product
    ]
    declared = [units for _, _, units, _ in lines]
    if soiler:
        soiler.control_total(declared)
    return [
        {
            "asset": asset.code,
            "product": product,
            "declared": amounts.show(units, asset.scale),
            "accounts": rows,
            "source": f"基準時の総勘定元帳 利用者預り {asset.code} {IN_THE_BOOKS[product]}",
        }
        for (asset, product, _, rows), units in zip(lines, declared, strict=True)
    ]


def _write_json(path: Path, value: object) -> None:
    """Written whole or not at all: a package without its manifest is no package."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")
    part.replace(path)
