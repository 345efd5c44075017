"""A real web server before a database of its own, and a real browser: Debian's Chromium."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

PROJECT = Path(__file__).parents[2]
ACCOUNTS, SEED, REFERENCE = 40, 7, "WALK-1"
READY_MAX = 240  # seconds; a busy machine imports slowly
GRAVE = {"serious", "critical"}
WATCH_CSP = """
document.addEventListener("securitypolicyviolation", function (event) {
  console.error("CSP: " + event.violatedDirective + " " + event.blockedURI);
});
"""


def chromium() -> str:
    """Where the browser is; no browser is downloaded."""
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name) if name else None
        if found:
            return found
    pytest.fail(
        "The tests in tests/browser need a browser. On Debian and Ubuntu: apt-get install -y chromium fonts-noto-cjk; "
        "elsewhere set CHROMIUM to the path of a Chromium or Chrome.",
        pytrace=False,
    )


# --- the house ----------------------------------------------------------------------------------


@dataclass
class House:
    """The office, running, with a sample case whose run waits for signatures."""

    url: str
    reference: str
    inside: Callable[[], AbstractContextManager[None]]  # the house's database, for this process
    passwords: dict[str, str] = field(default_factory=dict)

    def sign_in(self, page: Page, name: str) -> None:
        """By password and the code of the authenticator, as a person does."""
        page.goto(f"{self.url}/admin/")
        page.fill("input[name=login]", name)
        page.fill("input[name=password]", self.passwords[name])
        page.locator("form.entry button[type=submit]").click()
        page.fill("input[name=code]", self.code(name))
        page.locator("form.entry button[type=submit]").first.click()
        page.wait_for_url(f"{self.url}/admin/")

    def code(self, name: str) -> str:
        from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

        from administration.office import demo
        from administration.office.models import Remembered
        from administration.people.models import User

        with self.inside():
            Remembered.objects.all().delete()  # a code counts once, and the tests sign in more often than it changes
            return format_hotp_value(hotp_value(demo.key_of(User.objects.get(username=name)), int(time.time()) // 30))


@pytest.fixture(scope="session")
def house(
    server: Any, django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """One for all tests of the browser: what one test changes, the next one must not rest on."""
    from django.db import connections

    name = server.clone()

    @contextlib.contextmanager
    def inside() -> Iterator[None]:
        before = connections["default"].settings_dict["NAME"]
        with django_db_blocker.unblock():
            server.point_at(name)
            try:
                yield
            finally:
                server.point_at(before)

    with inside():
        passwords = furnish(tmp_path_factory.mktemp("package"))
    port = free_port()
    log = tmp_path_factory.mktemp("web") / "office.log"
    with log.open("wb") as out:
        web = subprocess.Popen(
            [
                sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
                "--workers", "1", "--blocking-threads", "2", "--no-access-log", "config.wsgi:application",
            ],
            env={**os.environ, "DATABASE_URL": server.url(name), "NO_BOOTSTRAP": "1", "HENKAN_ROLE": "henkan_app"},
            cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/healthz", web, log)
        yield House(url, REFERENCE, inside, passwords)
    finally:
        web.terminate()
        try:
            web.wait(timeout=30)
        except subprocess.TimeoutExpired:
            web.kill()
            web.wait()
        with django_db_blocker.unblock():
            server.drop(name)


def furnish(directory: Path) -> dict[str, str]:
    """The sample case up to a computed run, and sign-ins with authenticators."""
    from administration.fields import db_now
    from administration.office import demo
    from administration.office import sample as handover
    from administration.people.models import User
    from administration.record import heads

    handover.write(directory / "package", accounts=ACCOUNTS, seed=SEED)
    way = demo.Way(ACCOUNTS, SEED, reference=REFERENCE, package=directory / "package")
    for _name, step in demo.STEPS[:4]:
        step(way)
    plan = demo.plans.draft(way.case, demo.PLAN.read_text(), by=demo.user("goto"), at=db_now())
    demo.done(demo.runs.compute(plan, by=demo.user("goto"), at=db_now()))
    heads.seal(way.case, at=db_now())
    passwords = {}
    for name in demo.CAST:
        user = User.objects.get(username=name)
        passwords[name] = f"a password of {name} in the tests"
        user.set_password(passwords[name])
        user.save(update_fields=["password"])
        demo.key_of(user)
    return passwords


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, web: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_MAX
    while time.monotonic() < deadline and web.poll() is None:
        with contextlib.suppress(URLError, OSError), build_opener(ProxyHandler({})).open(url, timeout=5) as answer:
            if answer.read() == b"ok\n":
                return
        time.sleep(0.2)
    pytest.fail(f"The web server did not start: {log.read_text()[-2000:]}", pytrace=False)


# --- the browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """
    One for the tests of a module. While it runs, its event loop lives in this thread; Django would refuse to be
    called beside it, although nothing here is asynchronous.
    """
    path = chromium()
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
            found = playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            yield found
            found.close()
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@dataclass
class Reader:
    """Somebody in front of the browser, and everything it complained of."""

    page: Page
    complaints: list[str]

    def looks(self) -> None:
        """What stands on the page now can be used by anybody, is not wider than the screen, and is by the rules."""
        found = Axe().run(self.page)
        grave = [
            f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes']][:3]}"
            for one in found.response["violations"]
            if one["impact"] in GRAVE
        ]
        assert grave == [], self.page.url
        wider = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{self.page.url} is {wider} px wider than the screen"
        assert self.complaints == [], self.page.url


@pytest.fixture
def reader(browser: Browser) -> Iterator[Callable[..., Reader]]:
    """`reader(language="ja", width=360)`: a fresh session of somebody who reads that language on such a screen."""
    contexts = []

    def one(*, language: str = "en", width: int = 1366, javascript: bool = True) -> Reader:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            java_script_enabled=javascript,
            locale="ja-JP" if language == "ja" else "en-GB",
            timezone_id="America/New_York",  # what is shown is Japan's time wherever it is read
        )
        contexts.append(context)
        if javascript:
            context.add_init_script(WATCH_CSP)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return Reader(page, complaints)

    yield one
    for context in contexts:
        context.close()
