"""
What a custodian is asked to pay: one neutral JSON, and the same as a CSV for people and spreadsheets.

The JSON is canonical: the same items in any order are the same bytes. Its content hash is over everything else in it, so
that results can say what they answer. Amounts are texts of whole units, with their scale and with a point beside them.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from administration.rails.interface import Item
from administration.rails.papers import KEY, SIZE_MAX, UNITS, Wrong, canonical, parsed, plain, safe, with_point

__all__ = ["KEY", "SIZE_MAX", "UNITS", "Wrong", "canonical", "parsed", "plain", "safe", "with_point"]

FORMAT = "henkan-custodian-manifest/1"
ADDRESS = ("network", "address", "memo")
BANK = ("bank_code", "branch_code", "kind", "number", "holder_kana")
COLUMNS = ("reference", "asset", "amount", "units", "scale", *ADDRESS, *BANK, "note", "key", "content_sha256")


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
