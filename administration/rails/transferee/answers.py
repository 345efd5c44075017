"""
What the other exchange answers, customer by customer: received, acknowledged, rejected, or returned later.

JSON or CSV, read strictly: a file with one wrong row is refused whole. It names the key and the content hash of the book
it answers, and restates every entry of each customer it speaks of: a customer is taken over whole, or not at all.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from administration.rails.interface import Item, Observation, ObservationKind
from administration.rails.papers import KEY, PRINTABLE, SHA256, SIZE_MAX, UNITS, Wrong, canonical, parsed, plain, safe
from administration.rails.transferee import book

FORMAT = "henkan-book-acknowledgement/1"
COLUMNS = ("key", "content_sha256", "customer", "status", "at", "account", "reason", "reference", "asset", "units")
OF_CUSTOMER = COLUMNS[2:7]
KINDS = {
    "received": ObservationKind.SEEN,
    "acknowledged": ObservationKind.SETTLED,  # credited to an account of theirs
    "rejected": ObservationKind.REFUSED,
    "returned": ObservationKind.RETURNED,
}
WHY = ("rejected", "returned")  # these say why
CELL_MAX = 400


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a customer, restated."""

    reference: str
    asset: str
    units: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of one customer, with every entry that it concerns."""

    row: int
    key: str
    content_sha256: str
    customer: str
    status: str
    at: datetime
    account: str  # theirs, where they have opened one
    reason: str
    entries: tuple[Entry, ...]

    def observations(self) -> tuple[Observation, ...]:
        """As evidence: the other exchange's word on each entry."""
        said = "; ".join(word for word in (self.reason, f"account {self.account}" if self.account else "") if word)
        return tuple(
            Observation(
                line_ref=f"{self.key}/{self.customer}/{entry.reference}/{self.status}", kind=KINDS[self.status],
                asset=entry.asset, amount=entry.units, at=self.at, reference=entry.reference, part=self.key, reason=said,
                raw=canonical({**self.head(), "reference": entry.reference}).decode(),
            )
            for entry in self.entries
        )  # fmt: skip

    def head(self) -> dict[str, str]:
        return {
            "customer": self.customer, "status": self.status, "at": self.at.isoformat(), "account": self.account,
            "reason": self.reason,
        }  # fmt: skip


def read(content: bytes) -> tuple[Answer, ...]:
    """Every customer of an acknowledgement. Raises Wrong, naming the row."""
    rows = _of_json(content) if content.lstrip()[:1] == b"{" else _of_csv(content)
    found: list[Answer] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        answer = _answer(number, row)
        if answer.customer in seen:
            raise Wrong(
                f"Row {number}: {answer.customer} stands in row {seen[answer.customer]} already. Once is enough."
            )
        seen[answer.customer] = number
        found.append(answer)
    if not found:
        raise Wrong("There is no customer in it.")
    if len({(answer.key, answer.content_sha256) for answer in found}) > 1:
        raise Wrong("It answers more than one book. One file answers one.")
    return tuple(found)


def refuse_unless_of(asked: bytes, answers: tuple[Answer, ...]) -> None:
    """They answer this book: its hash, its customers, each with all their entries. Raises Wrong, naming the row."""
    key, digest, items = book.read(asked)
    wanted: dict[str, list[Item]] = {}
    for item in items:
        wanted.setdefault(book.customer_of(item), []).append(item)
    for answer in answers:
        where = f"Row {answer.row}:"
        if (answer.key, answer.content_sha256) != (key, digest):
            raise Wrong(f"{where} it answers {answer.key} ({answer.content_sha256[:12]}…), not {key} ({digest[:12]}…).")
        if answer.customer not in wanted:
            raise Wrong(f"{where} {answer.customer} is not in {key}. Nobody was asked to take them over.")
        moved = {item.reference: (item.asset, item.amount) for item in wanted[answer.customer]}
        for entry in answer.entries:
            if entry.reference not in moved:
                raise Wrong(f"{where} {entry.reference} is no entry of {answer.customer}.")
            asset, units = moved.pop(entry.reference)
            if (asset, units) != (entry.asset, entry.units):
                raise Wrong(f"{where} {entry.reference} moves {units} units of {asset}, not {entry.units} of {entry.asset}.")
        if moved:
            raise Wrong(f"{where} {min(moved)} of {answer.customer} is missing: a customer is taken over whole, or not at all.")


def write(answers: Sequence[Answer], *, as_csv: bool = False) -> bytes:
    """The answers as a file: for the other exchange's programmers, and for tests."""
    if not as_csv:
        rows = [
            {
                **answer.head(),
                "entries": [
                    {"reference": entry.reference, "asset": entry.asset, "units": str(entry.units)} for entry in answer.entries
                ],
            }
            for answer in answers
        ]
        head = {"format": FORMAT, "key": answers[0].key, "content_sha256": answers[0].content_sha256}
        return canonical({**head, "answers": rows})
    target = io.StringIO()
    writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for answer in answers:
        for entry in answer.entries:
            row = (answer.key, answer.content_sha256, *answer.head().values(), entry.reference, entry.asset, str(entry.units))
            writer.writerow([safe(cell) for cell in row])
    return target.getvalue().encode()


def _of_json(content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    said = parsed(content)
    if said.get("format") != FORMAT or set(said) != {"format", "key", "content_sha256", "answers"}:
        raise Wrong(f"It is no {FORMAT}: format, key, content_sha256 and answers.")
    if not isinstance(said["answers"], list):
        raise Wrong("Its answers are no list.")
    for number, row in enumerate(said["answers"], start=1):
        if not isinstance(row, dict):
            raise Wrong(f"Row {number}: it is no object.")
        yield number, {"key": said["key"], "content_sha256": said["content_sha256"], **row}


def _of_csv(content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of one customer stand together and say the same of the customer."""
    if len(content) > SIZE_MAX:
        raise Wrong(f"It is larger than {SIZE_MAX // 2**20} MB.")
    try:
        text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise Wrong(f"It is no UTF-8: byte {wrong.start} cannot be read.") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    first = 0
    current: dict[str, Any] = {}
    number = 0
    try:
        for number, cells in enumerate(reader):
            if number == 0:
                if tuple(cells) != COLUMNS:
                    raise Wrong(f"Its columns are not {', '.join(COLUMNS)}.")
                continue
            if len(cells) != len(COLUMNS):
                raise Wrong(f"Row {number}: {len(cells)} cells; {len(COLUMNS)} are wanted.")
            row: dict[str, Any] = dict(zip(COLUMNS, map(plain, cells), strict=True))
            entry = {name: row.pop(name) for name in ("reference", "asset", "units")}
            if current and row["customer"] == current["customer"]:
                if {**current, "entries": None} != {**row, "entries": None}:
                    raise Wrong(f"Row {number}: it says of {row['customer']} what row {first} does not.")
                current["entries"].append(entry)
                continue
            if current:
                yield first, current
            first, current = number, {**row, "entries": [entry]}
    except csv.Error as wrong:
        raise Wrong(f"Row {number + 1}: it is no CSV ({wrong}).") from None
    if current:
        yield first, current


def _answer(number: int, row: Mapping[str, Any]) -> Answer:
    def wrong(reason: str) -> Wrong:
        return Wrong(f"Row {number}: {reason}")

    if set(row) != {*COLUMNS[:7], "entries"} or not isinstance(row["entries"], list) or not row["entries"]:
        raise wrong(f"an answer has {', '.join(OF_CUSTOMER)} and its entries.")
    for name in COLUMNS[:7]:
        value = row[name]
        if not isinstance(value, str) or len(value) > CELL_MAX or not PRINTABLE.fullmatch(value):
            raise wrong(f"{name} is no plain text of at most {CELL_MAX} characters.")
    if not KEY.fullmatch(row["key"]) or not SHA256.fullmatch(row["content_sha256"]):
        raise wrong("it does not name the key and the content hash of a book.")
    if not KEY.fullmatch(row["customer"]):
        raise wrong(f"{row['customer']!r} is no customer.")
    if row["status"] not in KINDS:
        raise wrong(f"{row['status']!r} is none of {', '.join(KINDS)}.")
    if row["status"] in WHY and not row["reason"]:
        raise wrong(f"it is {row['status']} without a reason.")
    try:
        at = datetime.fromisoformat(row["at"])
    except ValueError:
        raise wrong(f"{row['at']!r} is no instant.") from None
    if at.tzinfo is None:
        raise wrong(f"{row['at']} has no offset from UTC.")
    entries = tuple(_entry(number, entry) for entry in row["entries"])
    if len({entry.reference for entry in entries}) < len(entries):
        raise wrong("an entry stands in it twice.")
    return Answer(
        number, row["key"], row["content_sha256"], row["customer"], row["status"], at, row["account"], row["reason"], entries
    )


def _entry(number: int, row: Any) -> Entry:
    fits = isinstance(row, dict) and set(row) == {"reference", "asset", "units"}
    if not fits or not all(isinstance(value, str) and len(value) <= CELL_MAX for value in row.values()):
        raise Wrong(f"Row {number}: an entry has reference, asset and units.")
    if not KEY.fullmatch(row["reference"]) or not KEY.fullmatch(row["asset"]) or not UNITS.fullmatch(row["units"]):
        raise Wrong(f"Row {number}: {row['units']!r} units of {row['asset']!r} under {row['reference']!r} are no entry.")
    return Entry(row["reference"], row["asset"], int(row["units"]))
