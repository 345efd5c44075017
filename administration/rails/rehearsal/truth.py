"""
What the rehearsal rail remembers: a truth file that is written and synced before any answer, one record a line.

A torn last line was never answered and is dropped. Each of the three desks keeps books of its own: r1 honours a key for
ever, r2 and r3 pay whatever is posted, as often as it is posted. What becomes of an item depends on the seed, its
reference and how often it was sent before, so a disturbed rehearsal ends as an undisturbed one does.

Records: {"key", "body", "lines", "to"} a request was booked, that is: paid (with "hidden" until when a statement does not
show it); {"shown"} it came onto the statement; {"back", "lines"} what came back; {"again"} lines said once more; {"day"}
so many simulated days have passed. All but the last name their "desk", r1 where they name none.
"""

import fcntl
import json
import os
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

DESKS = ("r1", "r2", "r3")
ITEMS_MAX = 500
REASONS = ("no such account", "name differs from the account", "account closed", "credits stopped")
_AMOUNT = re.compile(r"[1-9][0-9]{0,77}", re.ASCII)
_TEXTS = ("reference", "asset", "amount")

Line = dict[str, str]


@dataclass(frozen=True, slots=True)
class Habits:
    """How the rail behaves. Rates are parts per million."""

    seed: str
    refuse: int = 10_000  # items that are refused
    come_back: int = 10_000  # items that are paid and come back
    lose: int = 0  # replies lost after booking
    late: int = 0  # replies late after booking, by `late_seconds`
    late_seconds: float = 10.0
    drop: int = 0  # requests lost before booking
    fail: int = 0  # answers 500 after booking
    hide: int = 0  # bookings that a question does not find for up to `hide_seconds`: "not found", and paid
    hide_seconds: float = 0.0
    repeat: int = 0  # statement lines that are said twice
    deaf: int = 0  # questions that are answered 503
    return_days: int = 0  # what comes back does so after up to so many simulated days; 0: once its line was read
    delay: float = 0.0  # seconds every payment takes

    def fate(self, reference: str, before: int = 0) -> tuple[str, str]:
        """What becomes of an item, for ever: settled, refused or returned, and why. `before`: sendings before this."""
        draw = self._draw(reference if not before else f"{reference}\n{before}")
        luck, reason = int.from_bytes(draw[:8], "big") % 1_000_000, REASONS[draw[8] % len(REASONS)]
        if luck < self.refuse:
            return "refused", reason
        if luck < self.refuse + self.come_back:
            return "returned", reason
        return "settled", ""

    def days_away(self, reference: str) -> int:
        """After how many simulated days an item comes back that does."""
        return 1 + self._draw(reference)[9] % self.return_days if self.return_days else 0

    def luck(self, what: str, number: int) -> bool:
        """Whether something befalls request or line `number`."""
        rate: int = getattr(self, what)
        return rate > 0 and int.from_bytes(self._draw(f"{what}\n{number}")[:8], "big") % 1_000_000 < rate

    def share(self, what: str, number: int) -> float:
        """A number from 0 to 1 of request `number`."""
        return int.from_bytes(self._draw(f"share\n{what}\n{number}")[:8], "big") / 2**64

    def _draw(self, text: str) -> bytes:
        return sha256(f"{self.seed}\n{text}".encode()).digest()


class Wrong(Exception):
    """A request that cannot be booked. `status` 400: it makes no sense; 409: its key means something else."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.code, self.reason = status, code, reason


@dataclass(slots=True)
class Desk:
    """The books of one way to pay."""

    name: str
    bodies: dict[str, str] = field(default_factory=dict)  # key → sha256 of its body, the first one
    sent: dict[str, list[str]] = field(default_factory=dict)  # reference → the keys that carried it
    paid: list[Line] = field(default_factory=list)  # everything that happened, in the order in which it did
    hidden: dict[int, tuple[float, list[Line]]] = field(default_factory=dict)  # booking → until when, its lines
    lines: list[Line] = field(default_factory=list)  # the statement; line_ref is the place of the first saying
    coming_back: dict[int, int] = field(default_factory=dict)  # place of a settled line → simulated day
    fates: dict[int, str] = field(default_factory=dict)  # place of such a line → why
    bookings: int = 0

    def say(self, line: Line) -> int:
        """Put a line onto the statement; gives its place."""
        self.lines.append({"line_ref": str(len(self.lines) + 1), **line})
        return len(self.lines)


@dataclass(slots=True)
class Truth:
    """Everything that was booked, in memory and in the truth file. All under one lock."""

    path: Path
    habits: Habits
    lock: threading.Lock = field(default_factory=threading.Lock)
    desks: dict[str, Desk] = field(default_factory=lambda: {name: Desk(name) for name in DESKS})
    day: int = 0
    requests: int = 0
    _file: int = -1

    def open(self) -> None:
        """Read what an earlier process booked; drop a torn last line; go on where it stopped."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # one truth, one process: gone with it
        whole = 0
        with open(self.path, "rb") as file:
            for record in file:
                if not record.endswith(b"\n"):
                    break
                self._remember(json.loads(record))
                whole += len(record)
        os.ftruncate(self._file, whole)

    @property
    def keys(self) -> int:
        return sum(len(desk.bodies) for desk in self.desks.values())

    # -- what is asked of it

    def book(self, content: bytes, desk_name: str = "r1") -> tuple[str, str]:
        """Book a request; ("accepted" or "known", our reference of it). Only desk r1 knows a key again."""
        key, items = _request(content)
        body = sha256(content).hexdigest()
        desk = self.desks[desk_name]
        with self.lock:
            self.requests += 1
            known = desk.bodies.get(key)
            if desk.name == "r1" and known == body:
                return "known", f"RH-{body[:16]}"
            if known is not None and known != body:
                raise Wrong(409, "key_reused", f"The key {key} was used for another request. Use a new key.")
            now = self._now()
            record: dict[str, Any] = {"desk": desk.name, "key": key, "body": body}
            lines, record["to"] = [], []
            for item in items:
                lines.append(self._line(desk, key, item, now))
                record["to"].append([item["destination"], item.get("memo", "")])
            record["lines"] = lines
            number = desk.bookings + 1
            if self.habits.luck("hide", number * len(DESKS) + DESKS.index(desk.name)):
                record["hidden"] = round(time.time() + self.habits.hide_seconds * self.habits.share(desk.name, number), 3)
            self._write(record)
        return "accepted", f"RH-{body[:16]}"

    def statement(self, after: int, limit: int, desk_name: str = "r1") -> list[Line]:
        """Lines after `after`. What comes back does so now if its day has come and its settlement was read."""
        desk = self.desks[desk_name]
        with self.lock:
            self._show(desk, time.time())
            due = [place for place, day in desk.coming_back.items() if place <= after and day <= self.day]
            if due:
                back = []
                for place in due:
                    line = {name: text for name, text in desk.lines[place - 1].items() if name != "line_ref"}
                    back.append({**line, "kind": "returned", "at": self._now(), "reason": desk.fates[place]})
                self._write({"desk": desk.name, "back": due, "lines": back})
            return desk.lines[after : after + limit]

    def pass_days(self, days: int) -> int:
        """So many simulated days go by; what is still hidden comes to light with the first."""
        with self.lock:
            for desk in self.desks.values():
                self._show(desk, float("inf"))
            self._write({"day": self.day + days})
            return self.day

    def summary(self, desk_name: str | None = None) -> dict[str, object]:
        """What really happened, per asset and in all; `paid_twice` names the references paid and not returned twice."""
        with self.lock:
            desks = [self.desks[desk_name]] if desk_name else list(self.desks.values())
            paid: dict[str, int] = {}
            assets: dict[str, dict[str, int]] = {}
            count = {"settled": 0, "refused": 0, "returned": 0}
            for line in (line for desk in desks for line in desk.paid):
                kind = line["kind"]
                count[kind] += 1
                sums = assets.setdefault(line["asset"], {"settled": 0, "refused": 0, "returned": 0})
                sums[kind] += int(line["amount"])
                paid[line["reference"]] = paid.get(line["reference"], 0) + (
                    1 if kind == "settled" else -1 if kind == "returned" else 0
                )
            return {
                "keys": sum(len(desk.bodies) for desk in desks),
                "requests": self.requests,
                "lines": sum(len(desk.lines) for desk in desks),
                **count,
                "to_come_back": sum(len(desk.coming_back) for desk in desks),
                "hidden": sum(len(desk.hidden) for desk in desks),
                "day": self.day,
                "paid_twice": sorted(reference for reference, times in paid.items() if times > 1),
                "assets": {
                    asset: {
                        **{kind: str(units) for kind, units in sums.items()},
                        "net": str(sums["settled"] - sums["returned"]),
                    }
                    for asset, sums in sorted(assets.items())
                },
            }

    # -- how it happens

    def _now(self) -> str:
        return (datetime.now(UTC) + timedelta(days=self.day)).isoformat(timespec="milliseconds")

    def _line(self, desk: Desk, key: str, item: dict[str, Any], now: str) -> Line:
        fate, reason = self.habits.fate(item["reference"], _before(desk, item["reference"], key))
        return {
            "reference": item["reference"],
            "key": key,
            "kind": "refused" if fate == "refused" else "settled",
            "asset": item["asset"],
            "amount": item["amount"],
            "at": now,
            "reason": reason if fate == "refused" else "",
        }

    def _show(self, desk: Desk, until: float) -> None:
        due = sorted(number for number, (shown_at, _lines) in desk.hidden.items() if shown_at <= until)
        if due:
            self._write({"desk": desk.name, "shown": due})

    def _write(self, record: dict[str, Any]) -> None:
        """On disk first, then in memory: what we answer for is never lost."""
        content = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        while content:
            content = content[os.write(self._file, content) :]
        os.fsync(self._file)
        self._remember(record)

    def _remember(self, record: dict[str, Any]) -> None:
        if "day" in record:
            self.day = record["day"]
            return
        desk = self.desks[record.get("desk", "r1")]
        if "shown" in record:
            for number in record["shown"]:
                self._put(desk, desk.hidden.pop(number)[1])
        elif "back" in record:
            for place in record["back"]:
                del desk.coming_back[place], desk.fates[place]
            desk.paid.extend(record["lines"])
            for line in record["lines"]:
                desk.say(line)
        else:
            desk.bookings += 1
            desk.bodies.setdefault(record["key"], record["body"])
            for line in record["lines"]:
                keys = desk.sent.setdefault(line["reference"], [])
                if record["key"] not in keys:
                    keys.append(record["key"])
            desk.paid.extend(record["lines"])
            if "hidden" in record:
                desk.hidden[desk.bookings] = record["hidden"], record["lines"]
            else:
                self._put(desk, record["lines"])

    def _put(self, desk: Desk, lines: list[Line]) -> None:
        """Onto the statement, some of them twice; what will come back is noted."""
        for line in lines:
            place = desk.say(line)
            fate, reason = self.habits.fate(line["reference"], _before(desk, line["reference"], line["key"]))
            if line["kind"] == "settled" and fate == "returned":
                desk.coming_back[place] = self.day + self.habits.days_away(line["reference"])
                desk.fates[place] = reason
            if self.habits.luck("repeat", place * len(DESKS) + DESKS.index(desk.name)):
                desk.lines.append(desk.lines[place - 1])  # the same notice once more, under its own line_ref


def _before(desk: Desk, reference: str, key: str) -> int:
    """How many other requests carried this reference before the one under `key`."""
    keys = desk.sent.get(reference, [])
    return keys.index(key) if key in keys else len(keys)


def _request(content: bytes) -> tuple[str, list[dict[str, Any]]]:
    """The key and items of a request, or Wrong with a sentence."""
    try:
        request = json.loads(content)
    except (ValueError, RecursionError):
        raise Wrong(400, "not_json", "The body is not JSON.") from None
    if not isinstance(request, dict) or not isinstance(request.get("key"), str) or not request["key"]:
        raise Wrong(400, "no_key", "The body has no key.")
    items = request.get("items")
    if not isinstance(items, list) or not 1 <= len(items) <= ITEMS_MAX:
        raise Wrong(400, "items", f"The body has no list of 1 to {ITEMS_MAX} items.")
    try:
        json.dumps(request, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Wrong(400, "not_text", "The body contains half a character (a lone surrogate).") from None
    seen = set()
    for number, item in enumerate(items):
        if not isinstance(item, dict) or not all(isinstance(item.get(name), str) and item[name] for name in _TEXTS):
            raise Wrong(400, "item", f"Item {number} lacks a reference, an asset or an amount, as texts.")
        if not _AMOUNT.fullmatch(item["amount"]):
            raise Wrong(400, "amount", f"Item {number}: {item['amount']!r} is not a number of whole units above zero.")
        if not isinstance(item.get("destination"), dict) or not item["destination"]:
            raise Wrong(400, "destination", f"Item {number} has no destination.")
        if item["reference"] in seen:
            raise Wrong(400, "twice", f"Item {number}: {item['reference']} stands in this request twice.")
        seen.add(item["reference"])
    return request["key"], items
