"""
The other end of the rehearsal rail: a small payment service with a memory that outlives it.

    POST /payments                    {"key", "items": [{"reference", "asset", "amount", …}]}
        201 accepted · 200 known (same key, same bytes) · 409 same key, other bytes · 400 wrong, with a sentence
    GET  /statement?after=N&limit=M   JSON lines, each with its line_ref (a number that counts up)
    GET  /truth/summary               what was really paid: the judge of a rehearsal

The truth file is written and synced before any answer, one record a line; a torn last line was never answered and is
dropped. What becomes of an item depends on the seed and its reference alone, so a disturbed rehearsal ends as an
undisturbed one does. Replies may be lost or late; what was booked stays booked.
"""

import argparse
import fcntl
import http.server
import json
import os
import re
import socketserver
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

BODY_MAX = 4 * 1024 * 1024
ITEMS_MAX = 500
LIMIT_MAX = 5_000
REASONS = ("no such account", "name differs from the account", "account closed", "credits stopped")
_AMOUNT = re.compile(r"[1-9][0-9]{0,77}", re.ASCII)
_TEXTS = ("reference", "asset", "amount")


@dataclass(frozen=True, slots=True)
class Habits:
    """How the rail behaves, in parts per million; `late_seconds` is how late a late reply is."""

    seed: str
    refuse: int = 10_000
    come_back: int = 10_000
    lose: int = 0
    late: int = 0
    late_seconds: float = 10.0

    def fate(self, reference: str) -> tuple[str, str]:
        """What becomes of an item, for ever: settled, refused or returned, and why."""
        draw = sha256(f"{self.seed}\n{reference}".encode()).digest()
        luck, reason = int.from_bytes(draw[:8], "big") % 1_000_000, REASONS[draw[8] % len(REASONS)]
        if luck < self.refuse:
            return "refused", reason
        if luck < self.refuse + self.come_back:
            return "returned", reason
        return "settled", ""


class Wrong(Exception):
    """A request that cannot be booked. `status` 400: it makes no sense; 409: its key means something else."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.code, self.reason = status, code, reason


@dataclass(slots=True)
class Truth:
    """Everything that was booked, in memory and in the truth file. All under one lock."""

    path: Path
    habits: Habits
    lock: threading.Lock = field(default_factory=threading.Lock)
    bodies: dict[str, str] = field(default_factory=dict)  # key → sha256 of its body
    lines: list[dict[str, str]] = field(default_factory=list)  # the statement; line_ref is the place, from 1
    coming_back: list[int] = field(default_factory=list)  # places of settled lines that will come back
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

    def book(self, content: bytes) -> tuple[str, str]:
        """Book a request under its key for ever; ("accepted" or "known", our reference of it)."""
        key, items = _request(content)
        body = sha256(content).hexdigest()
        with self.lock:
            self.requests += 1
            known = self.bodies.get(key)
            if known == body:
                return "known", f"RH-{body[:16]}"
            if known is not None:
                raise Wrong(409, "key_reused", f"The key {key} was used for another request. Use a new key.")
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._write({"key": key, "body": body, "lines": [self._line(key, item, now) for item in items]})
        return "accepted", f"RH-{body[:16]}"

    def statement(self, after: int, limit: int) -> list[dict[str, str]]:
        """Lines after `after`. Whoever asks on has read the lines before: what comes back of these does so now."""
        with self.lock:
            due = [place for place in self.coming_back if place <= after]
            if due:
                now = datetime.now(UTC).isoformat(timespec="milliseconds")
                back = []
                for place in due:
                    line = self.lines[place - 1]
                    back.append(
                        {**line, "kind": "returned", "at": now, "reason": self.habits.fate(line["reference"])[1]}
                    )
                self._write(
                    {"back": due, "lines": [{k: v for k, v in line.items() if k != "line_ref"} for line in back]}
                )
            return self.lines[after : after + limit]

    def summary(self) -> dict[str, object]:
        """What really happened, per asset and in all; `paid_twice` names the references paid and not returned twice."""
        with self.lock:
            paid: dict[str, int] = {}
            assets: dict[str, dict[str, int]] = {}
            count = {"settled": 0, "refused": 0, "returned": 0}
            for line in self.lines:
                kind = line["kind"]
                count[kind] += 1
                sums = assets.setdefault(line["asset"], {"settled": 0, "refused": 0, "returned": 0})
                sums[kind] += int(line["amount"])
                paid[line["reference"]] = paid.get(line["reference"], 0) + (
                    1 if kind == "settled" else -1 if kind == "returned" else 0
                )
            return {
                "keys": len(self.bodies),
                "requests": self.requests,
                "lines": len(self.lines),
                **count,
                "to_come_back": len(self.coming_back),
                "paid_twice": sorted(reference for reference, times in paid.items() if times > 1),
                "assets": {
                    asset: {
                        **{kind: str(units) for kind, units in sums.items()},
                        "net": str(sums["settled"] - sums["returned"]),
                    }
                    for asset, sums in sorted(assets.items())
                },
            }

    def _line(self, key: str, item: dict[str, Any], now: str) -> dict[str, str]:
        fate, reason = self.habits.fate(item["reference"])
        return {
            "reference": item["reference"],
            "key": key,
            "kind": "refused" if fate == "refused" else "settled",
            "asset": item["asset"],
            "amount": item["amount"],
            "at": now,
            "reason": reason if fate == "refused" else "",
        }

    def _write(self, record: dict[str, Any]) -> None:
        """On disk first, then in memory: what we answer for is never lost."""
        content = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        while content:
            content = content[os.write(self._file, content) :]
        os.fsync(self._file)
        self._remember(record)

    def _remember(self, record: dict[str, Any]) -> None:
        if "key" in record:
            self.bodies[record["key"]] = record["body"]
        else:
            back = set(record["back"])
            self.coming_back = [place for place in self.coming_back if place not in back]
        for line in record["lines"]:
            self.lines.append({"line_ref": str(len(self.lines) + 1), **line})
            if line["kind"] == "settled" and self.habits.fate(line["reference"])[0] == "returned":
                self.coming_back.append(len(self.lines))


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


class Handler(http.server.BaseHTTPRequestHandler):
    """One request; HTTP/1.0, so that a closed connection is the end of an answer."""

    server: "Server"
    timeout = 30

    def do_POST(self) -> None:
        if urlsplit(self.path).path != "/payments":
            return self._answer(404, {"code": "not_found", "reason": "There is nothing here."})
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > BODY_MAX:
            return self._answer(
                400, {"code": "length", "reason": f"Say how long the body is; at most {BODY_MAX} bytes."}
            )
        content = self.rfile.read(int(length))
        if len(content) < int(length):
            return None  # the caller died while sending: nothing was asked
        try:
            status, reference = self.server.truth.book(content)
        except Wrong as wrong:
            return self._answer(wrong.status, {"code": wrong.code, "reason": wrong.reason})
        if self.server.luck("lose"):
            self.close_connection = True
            return None
        if self.server.luck("late"):
            time.sleep(self.server.truth.habits.late_seconds)
        return self._answer(201 if status == "accepted" else 200, {"status": status, "reference": reference})

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/truth/summary":
            return self._answer(200, self.server.truth.summary())
        if parts.path != "/statement":
            return self._answer(404, {"code": "not_found", "reason": "There is nothing here."})
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        after, limit = asked.get("after", "0"), asked.get("limit", "1000")
        if not (re.fullmatch(r"\d{1,12}", after, re.ASCII) and re.fullmatch(r"\d{1,6}", limit, re.ASCII)):
            return self._answer(400, {"code": "query", "reason": "after and limit are whole numbers."})
        lines = self.server.truth.statement(int(after), min(max(int(limit), 1), LIMIT_MAX))
        body = b"".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for line in lines)
        return self._send(200, "application/jsonl", body)

    def _answer(self, status: int, value: dict[str, object]) -> None:
        self._send(status, "application/json", json.dumps(value, ensure_ascii=False).encode())

    def _send(self, status: int, media_type: str, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the caller is gone; what was booked is booked

    def address_string(self) -> str:
        return "rehearsal"

    def log_message(self, *args: Any) -> None:
        """Quiet: the truth file is the log."""


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens on a unix socket, one thread a request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, socket_path: str, truth: Truth) -> None:
        super().__init__(socket_path, Handler)
        self.truth = truth
        self._count = 0
        self._count_lock = threading.Lock()

    def luck(self, what: str) -> bool:
        """Whether this reply is lost or late. By the number of the request: no two runs need agree on it."""
        per_million: int = getattr(self.truth.habits, what)
        with self._count_lock:
            self._count += 1
            draw = sha256(f"{self.truth.habits.seed}\n{what}\n{os.getpid()}\n{self._count}".encode()).digest()
        return int.from_bytes(draw[:8], "big") % 1_000_000 < per_million

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def _share(text: str) -> int:
    """A rate between 0 and 1 in parts per million."""
    rate = float(text)
    if not 0 <= rate <= 1:
        raise argparse.ArgumentTypeError("a rate lies between 0 and 1")
    return round(rate * 1_000_000)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m administration.rails.rehearsal", description=__doc__.split("\n")[1]
    )
    parser.add_argument("--socket", required=True, help="unix socket to listen on")
    parser.add_argument("--truth", required=True, type=Path, help="the truth file; kept across restarts")
    parser.add_argument("--seed", required=True)
    parser.add_argument("--lose", type=_share, default=0, metavar="RATE", help="replies lost after booking")
    parser.add_argument("--late", type=_share, default=0, metavar="RATE", help="replies late after booking")
    parser.add_argument("--late-seconds", type=float, default=10.0)
    parser.add_argument("--refuse", type=_share, default=10_000, metavar="RATE", help="items refused (0.01)")
    parser.add_argument(
        "--return", type=_share, default=10_000, metavar="RATE", dest="come_back", help="items that come back (0.01)"
    )
    asked = parser.parse_args(arguments)
    habits = Habits(asked.seed, asked.refuse, asked.come_back, asked.lose, asked.late, asked.late_seconds)
    truth = Truth(asked.truth, habits)
    try:
        truth.open()
    except BlockingIOError:
        parser.error(f"another process keeps {asked.truth}. Stop it first.")
    Path(asked.socket).unlink(missing_ok=True)
    os.umask(0o077)
    server = Server(asked.socket, truth)
    print(json.dumps({"listening": asked.socket, "keys": len(truth.bodies)}), flush=True)
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        return 0
    finally:
        server.server_close()
    return 0
