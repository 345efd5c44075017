"""
The office's web process in a storm, as browsers meet it: pages are looked at in both languages while workers die, the stop
button is pressed on the page, signatures are given on it, captured, and sent again.

An answer of 500 counts against the house, unless its database was just taken away.
"""

import html
import http.client
import random
import re
import threading
import time
from collections import Counter
from typing import Any
from urllib.parse import urlencode

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import DatabaseError, connection

from administration.cases.models import ApprovalRequest, Signature
from administration.people.models import User
from tests.returns.world import World
from tests.storm.plant import Plant

FORGERY = "storm" * 6 + "xx"  # 32 characters: what a browser got as its token, and sends back
FIGURE = re.compile(r'<span class="key (\w+)".*?<dd>([\d,]+)', re.DOTALL)
WORDS = {"en": "Returns board", "ja": "返還"}
LOOKS_EVERY = 1.2


class Away(Exception):
    """Nobody answers there: the process was killed, and is being started again."""


class Browser:
    """One person's session. It is made by rows: passwords and codes are tested elsewhere."""

    def __init__(self, plant: Plant, user: User) -> None:
        self.plant = plant
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        self.cookies = f"{settings.SESSION_COOKIE_NAME}={session.session_key}; {settings.CSRF_COOKIE_NAME}={FORGERY}"

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None, *, language: str = "en") -> tuple[int, str]:
        talk = http.client.HTTPConnection("127.0.0.1", self.plant.web_port, timeout=15)
        try:
            talk.request(
                method, path, urlencode(fields or {}) if method == "POST" else None,
                {"Cookie": self.cookies, "Accept-Language": language, "X-CSRFToken": FORGERY,
                 "Content-Type": "application/x-www-form-urlencoded", **({"X-Watching": "1"} if "?live" in path else {})},
            )  # fmt: skip
            answer = talk.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as gone:
            raise Away(repr(gone)) from None
        finally:
            talk.close()


def let_in(world: World) -> None:
    """The cast may use the office's pages."""
    for user in (world.people.aoki, world.people.baba, world.people.goto):
        user.is_staff = True
        user.save(update_fields=["is_staff"])
        Authenticator.objects.get_or_create(user=user, type=Authenticator.Type.TOTP, defaults={"data": {"secret": "x"}})


class Visitors:
    """Goto looks at pages all the time; Baba signs and stops on them when asked to."""

    def __init__(self, plant: Plant, world: World, *, seed: int) -> None:
        self.plant, self.world = plant, world
        self.rng = random.Random(seed)
        self.goto, self.baba = Browser(plant, world.goto), Browser(plant, world.people.baba)
        self.count: Counter[str] = Counter()
        self.troubles: list[str] = []
        self.captured: list[tuple[int, str, dict[str, str]]] = []  # request, address, what was sent
        self.over = threading.Event()

    def address(self, rest: str) -> str:
        return f"/admin/case/{self.world.case.reference}/{rest}"

    # --- looking

    def watch(self) -> None:
        try:
            while not self.over.wait(LOOKS_EVERY * self.plant.slow):
                self.look()
        finally:
            connection.close()

    def look(self) -> None:
        language = self.rng.choice(["en", "ja"])
        drawn = self.rng.random()
        rest = "board/" if drawn < 0.5 else "board/?live" if drawn < 0.7 else "exceptions/"
        if drawn > 0.85:
            rest = f"returns/{self.a_return()}/"
        page = self.ask(self.goto, "GET", self.address(rest), language=language)
        if page and rest == "board/" and WORDS[language] not in page:
            self.troubles.append(f"the board does not speak {language}")

    def a_return(self) -> str:
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT reference FROM returns_assetreturn WHERE id >= (SELECT max(id) FROM returns_assetreturn) * %s LIMIT 1",
                    [self.rng.random()],
                )
                return str((cursor.fetchone() or ["R0000000000"])[0])
        except DatabaseError:
            connection.close()
            return "R0000000000"

    def ask(self, who: Browser, method: str, path: str, fields: dict[str, str] | None = None, *, language: str = "en") -> str:
        """The page, or nothing if it did not come. Writes down what must not happen."""
        began = time.monotonic()
        try:
            status, page = who.ask(method, path, fields, language=language)
        except Away:
            self.count["away"] += 1
            return ""
        self.count[f"{status // 100}xx"] += 1
        if status >= 500 and not self.plant.was_hurt(began, time.monotonic()):
            self.troubles.append(f"{method} {path} was answered {status} though its database was there")
        if status in (200, 302):
            return page or "done"
        return ""

    # --- pressing

    def stop(self, rail: str) -> bool:
        """Press STOP on the page. True when the page has said that it is stopped."""
        return bool(self.ask(self.baba, "POST", self.address("stop/"), {"rail": rail, "reason": "a doubt"}))

    def sign(self, request: ApprovalRequest) -> bool:
        """Look at the approval's page, type the end of the hash, sign."""
        address = self.address(f"approvals/{request.pk}/")
        shown = re.search(r'name="shown" value="([^"]+)"', self.ask(self.baba, "GET", address))
        if shown is None:
            return False
        fields = {
            "stage": "do", "shown": html.unescape(shown[1]), "decision": "sign",
            "code": bytes(request.content_sha256).hex()[-4:],
        }  # fmt: skip
        if not self.ask(self.baba, "POST", address, fields):
            return False
        self.captured.append((request.pk, address, fields))
        self.count["signed on the page"] += 1
        return True

    def press_again(self, most: int = 10) -> None:
        """Captured requests, byte for byte, and once more with a page freshly looked at."""
        for pk, address, fields in self.rng.sample(self.captured, min(most, len(self.captured))):
            before = signatures(pk)
            self.ask(self.baba, "POST", address, fields)
            self.count["requests sent again"] += 1
            if signatures(pk) != before:
                self.troubles.append(f"a request sent again signed {pk} a second time")

    # --- the end

    def board_at_the_end(self) -> dict[str, int] | None:
        """What the board shows, once it has had two seconds to notice."""
        time.sleep(2)
        for _try in range(20):
            page = self.ask(self.goto, "GET", self.address("board/?live"))
            if page:
                return {stage: int(count.replace(",", "")) for stage, count in FIGURE.findall(page)}
            time.sleep(0.5)
        return None


def signatures(request: int) -> Any:
    return list(Signature.objects.filter(request=request).order_by("pk").values_list("pk", flat=True))
