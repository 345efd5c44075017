"""
What a custodian answers: for each of our references, whether it was accepted, settled, refused, returned or is unknown.

JSON or CSV, read strictly: a file with one wrong row is refused whole. It names the key and the content hash of the
manifest it answers. A reference stands in it once.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from administration.rails.custodian import manifest
from administration.rails.custodian.manifest import Wrong
from administration.rails.interface import Item, Observation, ObservationKind

FORMAT = "henkan-custodian-results/1"
COLUMNS = ("key", "content_sha256", "reference", "status", "asset", "units", "at", "txid", "reason")
KINDS = {
    "accepted": ObservationKind.SEEN,
    "unknown": ObservationKind.SEEN,  # the custodian does not know itself: decides nothing
    "settled": ObservationKind.SETTLED,
    "refused": ObservationKind.REFUSED,
    "returned": ObservationKind.RETURNED,
}
CELL_MAX = 400
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]*")


@dataclass(frozen=True, slots=True)
class Result:
    """One row: what the custodian says of one of our references."""

    row: int
    key: str
    content_sha256: str
    reference: str
    status: str
    asset: str
    units: int
    at: datetime
    txid: str
    reason: str

    def observation(self) -> Observation:
        """As evidence: the custodian's word, until a chain says so too."""
        said = [self.reason] if self.reason else []
        if self.status == "unknown":
            said.insert(0, "unknown to the custodian")
        if self.txid:
            said.append(f"{self.txid} by the custodian's word")
        return Observation(
            line_ref=f"{self.key}/{self.reference}/{self.status}", kind=KINDS[self.status], asset=self.asset,
            amount=self.units, at=self.at, reference=self.reference, part=self.key, reason="; ".join(said),
            raw=manifest.canonical(self.as_row()).decode(),
        )  # fmt: skip

    def as_row(self) -> dict[str, str]:
        return {
            "key": self.key, "content_sha256": self.content_sha256, "reference": self.reference, "status": self.status,
            "asset": self.asset, "units": str(self.units), "at": self.at.isoformat(), "txid": self.txid,
            "reason": self.reason,
        }  # fmt: skip


def read(content: bytes) -> tuple[Result, ...]:
    """Every row of a result file. Raises Wrong, naming the row."""
    rows = _of_json(content) if content.lstrip()[:1] == b"{" else _of_csv(content)
    found: list[Result] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        result = _result(number, row)
        if result.reference in seen:
            raise Wrong(
                f"Row {number}: {result.reference} stands in row {seen[result.reference]} already. Once is enough."
            )
        seen[result.reference] = number
        found.append(result)
    if not found:
        raise Wrong("There is no result in it.")
    if len({(result.key, result.content_sha256) for result in found}) > 1:
        raise Wrong("It answers more than one manifest. One file answers one.")
    return tuple(found)


def refuse_unless_of(asked: bytes, results: tuple[Result, ...]) -> None:
    """The results answer this manifest: its hash, its references, their amounts. Raises Wrong, naming the row."""
    key, digest, items = manifest.read(asked)
    wanted: Mapping[str, Item] = {item.reference: item for item in items}
    for result in results:
        where = f"Row {result.row}:"
        if (result.key, result.content_sha256) != (key, digest):
            raise Wrong(f"{where} it answers {result.key} ({result.content_sha256[:12]}…), not {key} ({digest[:12]}…).")
        item = wanted.get(result.reference)
        if item is None:
            raise Wrong(f"{where} {result.reference} is not in {key}. Nobody was asked to pay it there.")
        if (item.asset, item.amount) != (result.asset, result.units):
            raise Wrong(
                f"{where} {result.reference} was to be paid {item.amount} units of {item.asset}, "
                f"not {result.units} of {result.asset}."
            )


def write(results: tuple[Result, ...], *, as_csv: bool = False) -> bytes:
    """The results as a file: for custodians' programmers, and for tests."""
    if not as_csv:
        head = {"format": FORMAT, "key": results[0].key, "content_sha256": results[0].content_sha256}
        rows = [{name: text for name, text in one.as_row().items() if name not in head} for one in results]
        return manifest.canonical({**head, "results": rows})
    target = io.StringIO()
    writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in results:
        row = one.as_row()
        writer.writerow([manifest.safe(row[name]) for name in COLUMNS])
    return target.getvalue().encode()


def _of_json(content: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    said = manifest.parsed(content)
    if said.get("format") != FORMAT or set(said) != {"format", "key", "content_sha256", "results"}:
        raise Wrong(f"It is no {FORMAT}: format, key, content_sha256 and results.")
    if not isinstance(said["results"], list):
        raise Wrong("Its results are no list.")
    for number, row in enumerate(said["results"], start=1):
        if not isinstance(row, dict):
            raise Wrong(f"Row {number}: it is no object.")
        yield number, {"key": said["key"], "content_sha256": said["content_sha256"], **row}


def _of_csv(content: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    if len(content) > manifest.SIZE_MAX:
        raise Wrong(f"It is larger than {manifest.SIZE_MAX // 2**20} MB.")
    try:
        text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise Wrong(f"It is no UTF-8: byte {wrong.start} cannot be read.") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader):
            if number == 0:
                if tuple(cells) != COLUMNS:
                    raise Wrong(f"Its columns are not {', '.join(COLUMNS)}.")
                continue
            if len(cells) != len(COLUMNS):
                raise Wrong(f"Row {number}: {len(cells)} cells; {len(COLUMNS)} are wanted.")
            yield number, dict(zip(COLUMNS, map(manifest.plain, cells), strict=True))
    except csv.Error as wrong:
        raise Wrong(f"Row {number + 1}: it is no CSV ({wrong}).") from None


def _result(number: int, row: Mapping[str, Any]) -> Result:
    def wrong(reason: str) -> Wrong:
        return Wrong(f"Row {number}: {reason}")

    if set(row) != set(COLUMNS):
        strange = min(set(row) ^ set(COLUMNS))
        raise wrong(f"look at {json.dumps(strange)[:80]}: a result has {', '.join(COLUMNS[2:])}.")
    for name, value in row.items():
        if not isinstance(value, str) or len(value) > CELL_MAX or not _PRINTABLE.fullmatch(value):
            raise wrong(f"{name} is no plain text of at most {CELL_MAX} characters.")
    if not manifest.KEY.fullmatch(row["key"]) or not _SHA256.fullmatch(row["content_sha256"]):
        raise wrong("it does not name the key and the content hash of a manifest.")
    if not manifest.KEY.fullmatch(row["reference"]):
        raise wrong(f"{row['reference']!r} is no reference.")
    if row["status"] not in KINDS:
        raise wrong(f"{row['status']!r} is none of {', '.join(KINDS)}.")
    if not row["asset"] or not manifest.UNITS.fullmatch(row["units"]):
        raise wrong(f"{row['units']!r} units of {row['asset']!r} are no amount: a text of whole units, more than none.")
    if row["status"] == "refused" and not row["reason"]:
        raise wrong("it is refused without a reason.")
    try:
        at = datetime.fromisoformat(row["at"])
    except ValueError:
        raise wrong(f"{row['at']!r} is no instant.") from None
    if at.tzinfo is None:
        raise wrong(f"{row['at']} has no offset from UTC.")
    return Result(
        number, row["key"], row["content_sha256"], row["reference"], row["status"], row["asset"], int(row["units"]), at,
        row["txid"], row["reason"],
    )  # fmt: skip
