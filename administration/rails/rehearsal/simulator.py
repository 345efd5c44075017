"""
The other end of the rehearsal rail: a small payment service with a memory that outlives it.

Three desks: /r1 (also without a name) honours a key for ever; /r2 pays whatever is posted, but its statement names our
key; /r3 pays whatever is posted, and its statement is a file that a person fetches.

    POST /r2/payments                    {"key", "items": [{"reference", "asset", "amount", …}]}
        201 accepted · 200 known (r1: same key, same bytes) · 409 same key, other bytes · 400 wrong, with a sentence
    GET  /r2/statement?after=N&limit=M   JSON lines; the header Next says where the following page begins
    POST /days?pass=N                    so many simulated days go by
    GET  /truth/summary                  what was really paid: the judge of a rehearsal

Replies may be lost or late, bookings hidden from questions for a while, lines said twice; what was booked stays booked.
"""

import argparse
import http.server
import json
import os
import re
import socketserver
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from administration.rails.rehearsal.truth import DESKS, Habits, Truth, Wrong

BODY_MAX = 4 * 1024 * 1024
LIMIT_MAX = 5_000

__all__ = ["Habits", "Truth", "Wrong", "main"]


class Handler(http.server.BaseHTTPRequestHandler):
    """One request; HTTP/1.0, so that a closed connection is the end of an answer."""

    server: "Server"
    timeout = 30

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/days":
            return self._pass_days(parts.query)
        desk, path = _desk(parts.path)
        if path != "/payments":
            return self._answer(404, {"code": "not_found", "reason": "There is nothing here."})
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > BODY_MAX:
            return self._answer(
                400, {"code": "length", "reason": f"Say how long the body is; at most {BODY_MAX} bytes."}
            )
        content = self.rfile.read(int(length))
        if len(content) < int(length):
            return None  # the caller died while sending: nothing was asked
        if self.server.luck("drop"):
            self.close_connection = True
            return None
        habits = self.server.truth.habits
        if habits.delay:
            time.sleep(habits.delay)
        try:
            status, reference = self.server.truth.book(content, desk)
        except Wrong as wrong:
            return self._answer(wrong.status, {"code": wrong.code, "reason": wrong.reason})
        if self.server.luck("lose"):
            self.close_connection = True
            return None
        if self.server.luck("fail"):
            return self._answer(500, {"code": "trouble", "reason": "Something went wrong, after it was booked."})
        if self.server.luck("late"):
            time.sleep(habits.late_seconds)
        return self._answer(201 if status == "accepted" else 200, {"status": status, "reference": reference})

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/truth/summary":
            return self._answer(200, self.server.truth.summary())
        desk, path = _desk(parts.path)
        if path != "/statement":
            return self._answer(404, {"code": "not_found", "reason": "There is nothing here."})
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        after, limit = asked.get("after", "0"), asked.get("limit", "1000")
        if not (re.fullmatch(r"\d{1,12}", after, re.ASCII) and re.fullmatch(r"\d{1,6}", limit, re.ASCII)):
            return self._answer(400, {"code": "query", "reason": "after and limit are whole numbers."})
        if self.server.luck("deaf"):
            return self._answer(503, {"code": "busy", "reason": "Ask again later."})
        lines = self.server.truth.statement(int(after), min(max(int(limit), 1), LIMIT_MAX), desk)
        body = b"".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for line in lines)
        return self._send(200, "application/jsonl", body, {"Next": str(int(after) + len(lines))})

    def _pass_days(self, query: str) -> None:
        days = parse_qs(query).get("pass", [""])[-1]
        if not re.fullmatch(r"[1-9]\d{0,3}", days, re.ASCII):
            return self._answer(400, {"code": "query", "reason": "pass is a whole number of days, 1 to 9999."})
        return self._answer(200, {"day": self.server.truth.pass_days(int(days))})

    def _answer(self, status: int, value: dict[str, object]) -> None:
        self._send(status, "application/json", json.dumps(value, ensure_ascii=False).encode(), {})

    def _send(self, status: int, media_type: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the caller is gone; what was booked is booked

    def address_string(self) -> str:
        return "rehearsal"

    def log_message(self, *args: Any) -> None:
        """Quiet: the truth file is the log."""


def _desk(path: str) -> tuple[str, str]:
    """("r2", "/payments") of "/r2/payments"; no desk named is r1."""
    first, slash, rest = path.removeprefix("/").partition("/")
    return (first, slash + rest) if first in DESKS else ("r1", path)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens on a unix socket, one thread a request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, socket_path: str, truth: Truth) -> None:
        super().__init__(socket_path, Handler)
        self.truth = truth
        self._count = os.getpid() << 32  # no two processes of one rehearsal draw alike
        self._count_lock = threading.Lock()

    def luck(self, what: str) -> bool:
        """Whether this befalls the request. By its number: no two runs need agree on it."""
        with self._count_lock:
            self._count += 1
            number = self._count
        return self.truth.habits.luck(what, number)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def _share(text: str) -> int:
    """A rate between 0 and 1 in parts per million."""
    rate = float(text)
    if not 0 <= rate <= 1:
        raise argparse.ArgumentTypeError("a rate lies between 0 and 1")
    return round(rate * 1_000_000)


RATES = {
    "lose": "replies lost after booking",
    "late": "replies late after booking",
    "drop": "requests lost before booking",
    "fail": "answers 500 after booking",
    "hide": "bookings that a question does not find for a while",
    "repeat": "statement lines said twice",
    "deaf": "questions answered 503",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m administration.rails.rehearsal", description=__doc__.split("\n")[1]
    )
    parser.add_argument("--socket", required=True, help="unix socket to listen on")
    parser.add_argument("--truth", required=True, type=Path, help="the truth file; kept across restarts")
    parser.add_argument("--seed", required=True)
    for name, what in RATES.items():
        parser.add_argument(f"--{name}", type=_share, default=0, metavar="RATE", help=what)
    parser.add_argument("--late-seconds", type=float, default=10.0)
    parser.add_argument("--hide-seconds", type=float, default=0.0)
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="that every payment takes")
    parser.add_argument("--return-days", type=int, default=0, help="what comes back does so after up to so many days")
    parser.add_argument("--refuse", type=_share, default=10_000, metavar="RATE", help="items refused (0.01)")
    parser.add_argument(
        "--return", type=_share, default=10_000, metavar="RATE", dest="come_back", help="items that come back (0.01)"
    )
    asked = vars(parser.parse_args(arguments))
    socket_path, path = asked.pop("socket"), asked.pop("truth")
    truth = Truth(path, Habits(**asked))
    try:
        truth.open()
    except BlockingIOError:
        parser.error(f"another process keeps {path}. Stop it first.")
    Path(socket_path).unlink(missing_ok=True)
    os.umask(0o077)
    server = Server(socket_path, truth)
    print(json.dumps({"listening": socket_path, "keys": truth.keys}), flush=True)
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        return 0
    finally:
        server.server_close()
    return 0
