"""Two cases whose customers have letters, and a portal process of its own: its role, its port, its cookies."""

import csv
import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.core import mail
from django.db import connection, connections

from administration.fields import db_now
from claims.portal import codes, entering, sending
from claims.register.models import Claim
from tests.returns.world import build, found, tampering

ROOT = Path(__file__).parent.parent.parent
BORN = date(1965, 4, 27)
KNOWN = """
UPDATE ledger_identity SET birth_or_founding_date = %s, email = 'k' || id || '@example.com', language = 'en', postcode = '100-0001'
"""
OPEN = """
INSERT INTO portal_session (token_sha256, claimant_id, claim_id, opened_at, seen_at, expires_at, fresh_until)
SELECT %s, c.claimant_id, c.id, now() - interval '1 hour', now() - make_interval(mins => %s), now() + make_interval(mins => %s),
       CASE WHEN %s THEN now() + interval '5 minutes' END
FROM register_claim c WHERE c.number = %s
"""


@pytest.fixture(scope="session")
def _portal_database(server, django_db_setup, django_db_blocker) -> Iterator[str]:
    """Cases T-1 and T-2, built once for this room."""
    with django_db_blocker.unblock():
        before = connections["default"].settings_dict["NAME"]
        name = server.clone()
        server.point_at(name)
        build(claims_count=24)
        build(reference="T-2", claims_count=2)
        with tampering() as cursor:
            cursor.execute(KNOWN, [BORN])
        server.point_at(before)
    yield name
    with django_db_blocker.unblock():
        server.drop(name)


@pytest.fixture
def committed_estate(server, _portal_database, django_db_blocker):
    """The estate with real commits: a test uses claims that no other test uses."""
    with django_db_blocker.unblock():
        before = connections["default"].settings_dict["NAME"]
        server.point_at(_portal_database)
        try:
            yield found()
        finally:
            server.point_at(before)


@pytest.fixture
def estate(committed_estate, db):
    """The estate, all changes rolled back."""
    return committed_estate


def claim(number: int, case: str = "T-1") -> Claim:
    """The n-th claim of a case, from 1."""
    return Claim.objects.filter(case__reference=case).order_by("number")[number - 1]


def signed_in(of: Claim, *, idle: int = 0, left: int = 60, fresh: bool = False) -> str:
    """A session's token, as if the claimant had come in: by rows, past all rules."""
    token = entering.new_token()
    with tampering() as cursor:
        cursor.execute(OPEN, [entering.token_hash(token), idle, left, fresh, of.number])
    return token


def letter(of: Claim, world) -> str:
    """A fresh claim code."""
    path = codes.issue(of.case, claims=[of.pk], by=world.goto, at=db_now())
    with path.open(newline="") as file:
        return next(csv.DictReader(file))["code"]


@contextmanager
def as_portal() -> Iterator[None]:
    """This connection in the portal's role."""
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE henkan_portal")
        try:
            yield
        finally:
            cursor.execute("SET ROLE henkan_app")


# --- a portal, running ------------------------------------------------------------------------


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: str

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


@dataclass
class Browser:
    """As much of a browser as a form needs: cookies, the form's own token, no JavaScript."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> Answer:
        return self._ask("GET", path, None)

    def post(self, path: str, *, token: str | None = None, **fields: str) -> Answer:
        """Fill in and send the form on that page."""
        if token is None:
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(path).body)[1]
        return self._ask("POST", path, urlencode({"csrfmiddlewaretoken": token, **fields}))

    def sign_in(self, session: str) -> "Browser":
        self.cookies["portal_session"] = session
        return self

    def _ask(self, method: str, path: str, body: str | None) -> Answer:
        there = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), "Origin": f"http://127.0.0.1:{self.port}"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        there.request(method, path, body, headers)
        answer = there.getresponse()
        given = Answer(answer.status, answer.getheaders(), answer.read().decode())
        there.close()
        for name, value in given.headers:
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return given


@contextmanager
def running_portal(url: str) -> Iterator[int]:
    """The portal's process on a free port, in its own role."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
            "--workers", "1", "--blocking-threads", "8", "--no-access-log", "--log-level", "warning", "config.wsgi:application",
        ],
        cwd=ROOT, env={**os.environ, "DATABASE_URL": url, "HENKAN_ROLE": "henkan_portal", "NO_BOOTSTRAP": "1", "HENKAN_LOG_LEVEL": "ERROR"},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                if Browser(port).get("/healthz").status == 200:
                    break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def portal_port(server, _portal_database) -> Iterator[int]:
    with running_portal(server.url(_portal_database)) as port:
        yield port


@pytest.fixture
def browser(portal_port, committed_estate) -> Browser:
    """A new browser before the running portal, and the estate it shows."""
    return Browser(portal_port)


def code_sent() -> str:
    """Send what waits; the code in the newest mail."""
    sending.send_waiting()
    digits = re.findall(r"\b(\d{4}) (\d{4})\b", mail.outbox[-1].body)
    return "".join(digits[0])
