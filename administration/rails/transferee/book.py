"""
The book that another exchange takes over: one neutral JSON, customer by customer, and the same as a CSV for people.

The JSON is canonical: the same items in any order are the same bytes. It carries no personal data: a customer is named
by their claim's number, under which the identity file of the same handover names the person. Its content hash is over
everything else in it, so that an acknowledgement can say what it answers.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from typing import Any

from administration.rails.interface import Item
from administration.rails.papers import UNITS, Wrong, canonical, parsed, safe, with_point

FORMAT = "henkan-book-transfer/1"
COLUMNS = ("customer", "reference", "asset", "amount", "units", "scale", "key", "content_sha256")


def customer_of(item: Item) -> str:
    """Whose entry it is: the number under which the other exchange knows the person."""
    return str(item.destination.get("address", ""))


def in_order(items: Sequence[Item]) -> list[Item]:
    """Customer by customer, each one's entries by their references."""
    return sorted(items, key=lambda item: (customer_of(item), item.reference))


def write(key: str, items: Sequence[Item]) -> bytes:
    """The book as JSON."""
    totals: dict[str, int] = {}
    for item in items:
        totals[item.asset] = totals.get(item.asset, 0) + item.amount
    customers = [
        {
            "customer": customer,
            "entries": [
                {
                    "reference": item.reference, "asset": item.asset, "amount": with_point(item.amount, item.scale),
                    "units": str(item.amount), "scale": str(item.scale),
                }
                for item in of_one
            ],
        }
        for customer, of_one in groupby(in_order(items), key=customer_of)
    ]  # fmt: skip
    said: dict[str, Any] = {
        "format": FORMAT, "key": key, "customers": str(len(customers)), "entries": str(len(items)),
        "totals": {asset: str(units) for asset, units in totals.items()}, "book": customers,
    }  # fmt: skip
    return canonical({**said, "content_sha256": sha256(canonical(said)).hexdigest()})


def read(content: bytes) -> tuple[str, str, tuple[Item, ...]]:
    """Key, content hash and items of a book whose hash, counts and sums come out. Raises Wrong."""
    said = parsed(content)
    if said.get("format") != FORMAT:
        raise Wrong(f"It is no {FORMAT}.")
    digest = said.pop("content_sha256", None)
    if digest != sha256(canonical(said)).hexdigest():
        raise Wrong("Its content hash is not that of its content: it was changed.")
    try:
        items = tuple(_item(row["customer"], entry) for row in said["book"] for entry in row["entries"])
        again = write(str(said["key"]), items)
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise Wrong(f"It lacks something, or says it in another way ({wrong!r}).") from None
    if again != content:
        raise Wrong("It is not spelled as books are, or its counts and sums do not come out.")
    return str(said["key"]), str(digest), items


def _item(customer: str, entry: Mapping[str, Any]) -> Item:
    if not UNITS.fullmatch(entry["units"]) or not re.fullmatch(r"[0-9]{1,2}", entry["scale"], re.ASCII):
        raise ValueError("amounts are texts of whole units")
    to = {"network": "transferee", "address": customer, "memo": ""}
    return Item(entry["reference"], entry["asset"], int(entry["units"]), int(entry["scale"]), to)


def as_csv(content: bytes) -> bytes:
    """The book as CSV: UTF-8 with its mark, a row an entry, written so that a spreadsheet leaves every cell as it is."""
    key, digest, items = read(content)
    target = io.StringIO()
    writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for item in items:
        row = (
            customer_of(item), item.reference, item.asset, with_point(item.amount, item.scale), str(item.amount),
            str(item.scale), key, digest,
        )  # fmt: skip
        writer.writerow([safe(cell) for cell in row])
    return b"\xef\xbb\xbf" + target.getvalue().encode()
