"""
The portal: one claim's status against a JSON view that never changes, on the same server through the same middleware;
and whether a stranger can tell by the clock that a claim code exists.

Every page is one statement. The status is measured as data and as the page a person reads.
"""

import csv
import http.client
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.db import connection, connections

from administration.fields import db_now
from administration.office import demo
from administration.office import sample as handover
from administration.office.benchmarks import Stopwatch, result, rounds, scratch
from claims.portal import codes, entering
from claims.register.models import Claim

ACCOUNTS = 400
CLIENTS = 4
REQUESTS = 400  # of each kind and client in a round
TRIES = 300  # of a known and of an unknown claim code
SAME_WITHIN = 5.0  # milliseconds
TARGET = round(1 / 0.35, 2)  # time a request, as a multiple of the static view's
PAGE_TARGET = 20.0  # the page in words has no target of its own: this is to notice when it becomes slow
BOUND = "static JSON view"
STEPS_DONE = 6  # up to batches that are frozen and approved
COOKIE = "portal_session"
HEADER = "X-Bench-Address"  # each try from another place, so that no throttle is measured
OPEN = """
INSERT INTO portal_session (token_sha256, claimant_id, claim_id, opened_at, seen_at, expires_at)
SELECT %s, claimant_id, id, now(), now(), now() + interval '8 hours' FROM register_claim WHERE id = %s
"""


def run(rows: int, repeat: int) -> list[dict[str, Any]]:
    """`rows` bounds the requests of a kind in a round, and the tries; a million means as many as the targets speak of."""
    requests, tries = max(1, min(rows // CLIENTS, REQUESTS)), max(1, min(rows, TRIES))
    with scratch() as folder:
        handover.write(folder / "package", accounts=ACCOUNTS, seed=1)
        way = demo.Way(ACCOUNTS, 1, package=folder / "package")
        for _name, step in demo.STEPS[:STEPS_DONE]:
            step(way)
        claim = Claim.objects.filter(case=way.case, lines__position__scheduled__gt=0).order_by("number")[10]
        token = _session(claim)
        with (codes.issue(way.case, claims=[claim.pk], by=demo.user("goto"), at=db_now())).open(newline="") as file:
            code = next(csv.DictReader(file))["code"]
        with _served() as port:
            cookie = {"Cookie": f"{COOKIE}={token}"}
            asked = {
                BOUND: ("/static.json", {}),
                "claim status": (f"/en/claims/{claim.number}/data.json", cookie),
                "claim page": (f"/ja/claims/{claim.number}/", cookie),
            }
            for path, headers in asked.values():
                _many(port, path, headers, 5)

            def one(watch: Stopwatch) -> None:
                for name, (path, headers) in asked.items():
                    with watch.time(name):
                        _many(port, path, headers, requests)

            watch = rounds(repeat, one)
            found = [
                result(watch, name, bound=BOUND, target=target, rows=requests * CLIENTS)
                for name, target in (("claim status", TARGET), ("claim page", PAGE_TARGET))
            ]
            return [*found, _by_the_clock(port, code, claim, tries)]


# --- requests a second ------------------------------------------------------------------------


def _many(port: int, path: str, headers: dict[str, str], requests: int) -> None:
    """So many requests from each client, each on one connection that stays open."""
    troubles: list[BaseException] = []

    def client() -> None:
        try:
            _ask(port, path, headers, requests)
        except (OSError, AssertionError) as trouble:
            troubles.append(trouble)

    threads = [Thread(target=client) for _n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]


def _ask(port: int, path: str, headers: dict[str, str], requests: int) -> None:
    """By hand: a client of the library would cost more than the server."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *(f"{name}: {value}" for name, value in headers.items())]
    question = ("\r\n".join(lines) + "\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as there:
        there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _n in range(requests):
            there.sendall(question)
            head, _, body = _read_head(there)
            assert head.startswith(b"HTTP/1.1 200"), head
            left = int(re.search(rb"(?i)content-length: (\d+)", head)[1]) - len(body)  # type: ignore[index]
            while left > 0:
                left -= len(there.recv(65536))


def _read_head(there: socket.socket) -> tuple[bytes, bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += there.recv(65536)
    return data.partition(b"\r\n\r\n")


# --- no oracle --------------------------------------------------------------------------------


def _by_the_clock(port: int, code: str, claim: Claim, tries: int) -> dict[str, Any]:
    """A known code with its own date, one with a wrong date and an unknown code, in turn; the medians lie close."""
    born = claim.claimant.identity.birth_or_founding_date
    assert born is not None
    there = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    there.request("GET", "/en/find/")
    page = there.getresponse()
    cookie, text = page.headers["Set-Cookie"].partition(";")[0], page.read().decode()
    form = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)
    assert form is not None
    kinds: dict[str, Callable[[int], tuple[str, int]]] = {
        "known": lambda n: (code, born.year),
        "wrong date": lambda n: (code, born.year - 1),
        "unknown": lambda n: (f"{n:016d}", born.year),
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    seen: set[tuple[int, int, str]] = set()
    for n in range(tries):
        for kind, typed in kinds.items():
            claim_code, year = typed(n)
            fields = {
                "csrfmiddlewaretoken": form[1], "code": claim_code, "year": str(year), "month": str(born.month),
                "day": str(born.day), "channel": "email",
            }  # fmt: skip
            headers = {
                "Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded", HEADER: f"10.{n // 250}.{n % 250}.{len(taken[kind]) % 250}",
                "Origin": f"http://127.0.0.1:{port}",
            }  # fmt: skip
            began = time.perf_counter()
            there.request("POST", "/en/find/", urlencode(fields), headers)
            answer = there.getresponse()
            body = answer.read()
            taken[kind].append((time.perf_counter() - began) * 1000)
            seen.add((answer.status, len(body), answer.headers["Location"] or ""))
    medians = {kind: statistics.median(times) for kind, times in taken.items()}
    apart = max(medians.values()) - min(medians.values())
    return {
        "subject": "unknown claim code (ms apart)",
        "bound": "known claim code",
        "ratio": round(apart, 2),
        "spread": [round(min(medians.values()), 2), round(max(medians.values()), 2)],
        "target": SAME_WITHIN,
        "ok": apart <= SAME_WITHIN and seen == {(302, 0, "/en/find/code/")},
        "rows_per_second": int(tries / (sum(taken["known"]) / 1000)),
    }


# --- around it --------------------------------------------------------------------------------


def _session(claim: Claim) -> str:
    """A session by rows, as the owner: the office's role opens none."""
    token = entering.new_token()
    with connections["owner"].cursor() as cursor:
        cursor.execute(OPEN, [entering.token_hash(token), claim.pk])
    return token


@contextmanager
def _served() -> Iterator[int]:
    """The portal's process on the scratch database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    there = urlsplit(os.environ["DATABASE_URL"])
    url = urlunsplit((there.scheme, there.netloc, "/" + connection.settings_dict["NAME"], there.query, ""))
    process = subprocess.Popen(
        [
            sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
            "--workers", "1", "--blocking-threads", str(CLIENTS), "--no-access-log", "--log-level", "warning",
            "administration.office.benchmarks.portal_server:application",
        ],
        cwd=settings.PROJECT,
        env={
            **os.environ, "DATABASE_URL": url, "HENKAN_ROLE": "henkan_portal", "NO_BOOTSTRAP": "1", "HENKAN_PROXY_HEADER": HEADER,
            "HENKAN_LOG_LEVEL": "ERROR", "HENKAN_SECRET_KEY": settings.SECRET_KEY,
        },
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                _ask(port, "/healthz", {}, 1)
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()
