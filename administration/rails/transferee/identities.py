"""
Who the customers of a book are: the file of persons that goes with a handover, and with it only.

Every field that the other exchange needs to open an account, and no other; in the order of the customers' numbers; the
same rows are the same bytes. It names the book it belongs to by key and content hash.
"""

import csv
import io
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from administration.rails.papers import canonical, safe

FORMAT = "henkan-book-identities/1"
FIELDS = (
    "customer", "entity_type", "name", "kana", "romaji", "birth_or_founding_date", "nationality", "residence_country",
    "postcode", "address", "phone", "email", "corporate_number", "kyc_status", "language",
)  # fmt: skip


def write(key: str, content_sha256: str, people: Iterable[dict[str, str]]) -> bytes:
    """The file as JSON; `people` have FIELDS, as texts."""
    rows = sorted(({name: person.get(name, "") for name in FIELDS} for person in people), key=lambda row: row["customer"])
    said: dict[str, Any] = {
        "format": FORMAT, "key": key, "book_sha256": content_sha256, "people": str(len(rows)), "customers": rows,
    }  # fmt: skip
    return canonical({**said, "content_sha256": sha256(canonical(said)).hexdigest()})


def as_csv(rows: Iterable[dict[str, str]]) -> bytes:
    """The same rows for people and spreadsheets."""
    target = io.StringIO()
    writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(FIELDS)
    for row in rows:
        writer.writerow([safe(row.get(name, "")) for name in FIELDS])
    return b"\xef\xbb\xbf" + target.getvalue().encode()
