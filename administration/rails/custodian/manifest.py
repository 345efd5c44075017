"""
What a custodian is asked to pay: one neutral JSON, and the same as a CSV for people and spreadsheets.

The JSON is canonical: the same items in any order are the same bytes. Its content hash is over everything else in it, so
that results can say what they answer. Amounts are texts of whole units, with their scale and with a point beside them.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from administration.rails.interface import Item

FORMAT = "henkan-custodian-manifest/1"
ADDRESS = ("network", "address", "memo")
BANK = ("bank_code", "branch_code", "kind", "number", "holder_kana")
COLUMNS = ("reference", "asset", "amount", "units", "scale", *ADDRESS, *BANK, "note", "key", "content_sha256")
SIZE_MAX = 64 * 1024 * 1024
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,119}", re.ASCII)
UNITS = re.compile(r"[1-9][0-9]{0,77}", re.ASCII)
_EXCEL_TAKES = re.compile(r"[=+\-@\t\r']|0[0-9]|[0-9]{12}")  # for a formula, or for a number whose digits it eats


class Wrong(Exception):
    """A file is not what it should be. Inside this package only: each face has its own refusal."""


def canonical(value: Any) -> bytes:
    """JSON with one spelling: sorted names, no spaces, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def with_point(units: int, scale: int) -> str:
    """Whole units as people write them: 12345 at scale 2 is 123.45, always with all its places."""
    whole, rest = divmod(units, 10**scale)
    return f"{whole}.{rest:0{scale}d}" if scale else str(whole)


def write(key: str, items: Sequence[Item]) -> bytes:
    """The manifest as JSON."""
    totals: dict[str, int] = {}
    for item in items:
        totals[item.asset] = totals.get(item.asset, 0) + item.amount
    said: dict[str, Any] = {
        "format": FORMAT,
        "key": key,
        "count": str(len(items)),
        "totals": {asset: str(units) for asset, units in totals.items()},
        "items": [
            {
                "reference": item.reference,
                "asset": item.asset,
                "amount": with_point(item.amount, item.scale),
                "units": str(item.amount),
                "scale": str(item.scale),
                "destination": {name: str(value) for name, value in item.destination.items()},
                "note": item.memo,
            }
            for item in sorted(items, key=lambda item: item.reference)
        ],
    }
    return canonical({**said, "content_sha256": sha256(canonical(said)).hexdigest()})


def read(content: bytes) -> tuple[str, str, tuple[Item, ...]]:
    """Key, content hash and items of a manifest whose hash, count and sums come out. Raises Wrong."""
    said = parsed(content)
    if said.get("format") != FORMAT:
        raise Wrong(f"It is no {FORMAT}.")
    digest = said.pop("content_sha256", None)
    try:
        whole = digest == sha256(canonical(said)).hexdigest()
        items = tuple(_item(row) for row in said["items"]) if whole else ()
        again = write(str(said["key"]), items) if whole else b""
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise Wrong(f"It lacks something, or says it in another way ({wrong!r}).") from None
    if not whole:
        raise Wrong("Its content hash is not that of its content: it was changed.")
    if again != content:
        raise Wrong("It is not spelled as manifests are, or its counts and sums do not come out.")
    return str(said["key"]), str(digest), items


def _item(row: Mapping[str, Any]) -> Item:
    if not UNITS.fullmatch(row["units"]) or not re.fullmatch(r"[0-9]{1,2}", row["scale"], re.ASCII):
        raise ValueError("amounts are texts of whole units")
    return Item(row["reference"], row["asset"], int(row["units"]), int(row["scale"]), row["destination"], row["note"])


def parsed(content: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8 without a name twice. Raises Wrong."""
    if len(content) > SIZE_MAX:
        raise Wrong(f"It is larger than {SIZE_MAX // 2**20} MB.")
    try:
        said = json.loads(
            content.decode("utf-8"), object_pairs_hook=_once, parse_float=_no_float, parse_constant=_no_float
        )
    except (ValueError, RecursionError) as wrong:
        raise Wrong(f"It is no JSON in UTF-8: {str(wrong)[:200]}.") from None
    if not isinstance(said, dict):
        raise Wrong("It is no JSON object.")
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands in it twice")
    return found


def _no_float(text: str) -> Any:
    raise ValueError(f"{text} is a number with a point; amounts are texts of whole units")


# --- the same for people ------------------------------------------------------------------------------------------


def as_csv(manifest: bytes) -> bytes:
    """The manifest as CSV: UTF-8 with its mark, a row an item, written so that a spreadsheet leaves every cell as it is."""
    key, digest, items = read(manifest)
    target = io.StringIO()
    writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for item in items:
        row = {
            "reference": item.reference, "asset": item.asset, "amount": with_point(item.amount, item.scale),
            "units": str(item.amount), "scale": str(item.scale), "note": item.memo, "key": key, "content_sha256": digest,
            **item.destination,
        }  # fmt: skip
        writer.writerow([safe(row.get(name, "")) for name in COLUMNS])
    return b"\xef\xbb\xbf" + target.getvalue().encode()


def safe(cell: str) -> str:
    """A cell that a spreadsheet takes for text: with an apostrophe where it would make a formula or eat digits."""
    return f"'{cell}" if _EXCEL_TAKES.match(cell) else cell


def plain(cell: str) -> str:
    """The cell as it was meant."""
    return cell[1:] if cell.startswith("'") and _EXCEL_TAKES.match(cell[1:]) else cell
