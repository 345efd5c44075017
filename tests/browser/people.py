"""The cast at their browsers: what they see they read off the page, what they do they press on it."""

import base64
import hmac
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 120  # seconds for what workers do; this machine may be busy
# A job's own page, or a page that follows the job of what it shows: the state of that job, if there is one.
FOLLOWED = "() => document.querySelector('#job, #live[data-state]')?.dataset.state"


class Person:
    """One person's browser window, signed in to the office."""

    def __init__(self, browser: Browser, office: str, name: str, password: str, code: Any, *, language: str = "en", width: int = 1366):
        self.name, self.office = name, office.rstrip("/")
        context = browser.new_context(viewport={"width": width, "height": 900}, locale=language, accept_downloads=True)
        context.set_default_timeout(30_000)
        self.page: Page = context.new_page()
        self.trouble: list[str] = []  # what the browser itself complained of
        self.page.on("console", lambda said: self.trouble.append(said.text) if said.type == "error" and "409" not in said.text else None)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.goto(f"{self.office}/admin/")
        self.page.fill("input[name=login]", name)
        self.page.fill("input[name=password]", password)
        self.press("form:has(input[name=password]) button:not([form])")
        self.page.fill("input[name=code]", code(name))
        self.press("form:has(input[name=code]) button:not([form])")

    def press(self, selector: str) -> int:
        """Press a button that leads to a page; the status of its answer."""
        with self.page.expect_navigation() as led:
            self.page.locator(selector).last.click()
        return led.value.status

    def see(self, address: str) -> str:
        """Open a page; its words."""
        answer = self.page.goto(self.address(address))
        assert answer is not None and answer.status == 200, f"{address}: {answer and answer.status}"
        return self.words()

    def address(self, address: str) -> str:
        return address if address.startswith("http") else f"{self.office}{address}"

    def words(self) -> str:
        return self.page.inner_text(".office")

    def fill(self, fields: dict[str, Any]) -> None:
        for name, value in fields.items():
            field = self.page.locator(f".entry [name='{name}']")
            kind = field.first.evaluate("one => one.type || one.tagName.toLowerCase()")
            if kind in ("checkbox", "radio") and isinstance(value, (list, str)):
                for one in [value] if isinstance(value, str) else value:
                    self.page.locator(f".entry [name='{name}'][value='{one}']").check()
            elif kind == "checkbox":
                field.set_checked(bool(value))
            elif kind == "file":
                field.set_input_files(value)
            elif kind.startswith("select"):
                field.select_option(**value) if isinstance(value, dict) else field.select_option(value)
            else:
                field.fill(str(value))

    def look(self, address: str, **fields: Any) -> str:
        """An act's effect in words, as its page says it before anything is done."""
        words = self.see(address)
        if fields or self.page.locator(".entry").count():
            self.fill(fields)
            look = ".entry button[type=submit]"
            # A page with several buttons says which of them only looks.
            only_looks = self.page.locator(f"{look}[value=look], {look}:not([name])")
            assert only_looks.count(), f"{address} has no button to look at the effect:\n{words[:1500]}"
            with self.page.expect_navigation():
                only_looks.last.click()
            words = self.words()
        assert self.page.locator("form.press").count(), f"{address} shows no effect:\n{words[:1500]}"
        return words

    def act(self, address: str, **fields: Any) -> str:
        """Look, then do; wait for the work that it begins. The words of where it led."""
        self.look(address, **fields)
        status = self.press("form.press button.button")
        assert status == 200, f"{address} was refused ({status}):\n{self.words()[:1500]}"
        return self.wait()

    def sign(self, address: str) -> str:
        """Sign the request of this address, typing the end of the hash as it stands on the page."""
        words = self.see(address)
        if self.page.locator("#code").count():
            whole = self.page.inner_text("code.whole")
            self.page.fill("#code", re.sub(r"\s", "", whole)[-4:])
        self.press("button[name=decision][value=sign]")
        self.wait()
        led = self.page.inner_text("body")
        assert "Signed" in led or "Done" in led, f"{words[:500]}\n{led[:800]}"
        return led

    def wait(self) -> str:
        """Where a page that follows work has come up: until the work has ended."""
        until = time.monotonic() + PATIENCE
        while (state := self.page.evaluate(FOLLOWED)) == "waiting":
            assert time.monotonic() < until, self.words()
            time.sleep(0.3)
        assert state != "failed", self.words()
        return self.words()

    def until(self, address: str, sentence: str) -> str:
        """Look at a page again and again until it says a sentence."""
        until = time.monotonic() + PATIENCE
        while sentence not in (words := self.see(address)):
            assert time.monotonic() < until, f"{address} never said “{sentence}”:\n{words[:2000]}"
            time.sleep(0.5)
        return words


class Customer:
    """A customer before the portal, on a phone."""

    def __init__(self, browser: Browser, house: "House", *, language: str = "en", width: int = 360):
        self.house, self.language = house, language
        context = browser.new_context(viewport={"width": width, "height": 640}, locale=language)
        context.set_default_timeout(30_000)
        self.page = context.new_page()
        self.trouble: list[str] = []
        self.page.on("console", lambda said: self.trouble.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))

    def sign_in(self, *, code: str, born: str, mail: str) -> str:
        """By the code of the letter, the date, and the code that comes by mail; where that leads."""
        self.page.goto(f"{self.house.portal.rstrip('/')}/{self.language}/find/")
        year, month, day = born.split("-")
        for field, value in (("code", code), ("year", year), ("month", month), ("day", day)):
            self.page.fill(f"#id_{field}", value)
        self.press()
        self.page.fill("#id_code", self.house.mailed_code(mail))
        self.press()
        self.home = self.page.url
        return self.home

    def press(self) -> None:
        with self.page.expect_navigation():
            self.page.locator("main button.button").click()

    def looks(self, asset: str) -> dict[str, Any]:
        """What the claim's page says now of one asset, and of the whole: nothing of it wider than the phone."""
        self.page.goto(self.home)
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{self.page.url} is {wide} px wider than the phone"
        heading = self.page.locator("h3", has_text=re.compile(rf"^\s*{asset}\b"))
        line = self.page.locator(".line").filter(has=heading)
        return {
            "stage": line.locator(".tag").inner_text(),
            "amounts": line.locator("dd").all_inner_texts(),
            "steps": [step.split("\n")[0] for step in self.page.locator(".steps li.done .step-name").all_inner_texts()],
            "says": self.page.inner_text("main"),
        }

    def data(self) -> dict[str, Any]:
        """All of it as data, in the same session."""
        answer = self.page.request.get(f"{self.home}data.json")
        assert answer.ok
        return answer.json()


class House:
    """Everything running, as `up` starts it on a bare machine."""

    def __init__(self, state: Path, *, accounts: int, port: int) -> None:
        self.mail = state / "mail"
        env = {**os.environ, "HENKAN_STATE_DIR": str(state), "NO_BOOTSTRAP": "1", "PYTHONUNBUFFERED": "1"}
        for name in ("DATABASE_URL", "REDIS_URL", "ARCHIVE_DIR", "HEAD_KEY_FILE", "HEAD_LOG_FILE", "HENKAN_WORK_QUIET_SECONDS", "REHEARSAL_URL"):
            env.pop(name, None)
        self.env = env
        self.log = (state.parent / "up.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--accounts", str(accounts), "--port", str(port), "--portal-port", str(port + 1)],
            cwd=PROJECT, env=env, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )  # fmt: skip
        self.said: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if "Ctrl-C" in line:
                break
        else:
            self.log.seek(0)
            said = "\n".join([*self.said, self.log.read()[-3000:]])
            self.stop()
            raise AssertionError(said)
        self.office = self._after("Office:")
        self.portal = self._after("Portal:")

    def _after(self, word: str) -> str:
        return next(line.split(word, 1)[1].strip() for line in self.said if word in line)

    def password(self, name: str) -> str:
        said = next(line for line in self.said if re.search(rf"\b{name}\b.*password", line))
        found = re.search(rf"{name}\b.*?password (\S+)", said)
        assert found
        return found[1]

    def command(self, *words: str) -> Callable[[], str]:
        """Begin a command beside what people do meanwhile; calling what is given waits for what it says."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", *words], cwd=PROJECT, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

        def said() -> str:
            out, trouble = process.communicate()
            assert process.returncode == 0, f"{words}: {trouble[-2000:]}"
            return out

        return said

    def code(self, name: str) -> str:
        """What the person's authenticator app shows now (RFC 6238), from the key that `up` printed."""
        said = next(line for line in self.said if re.search(rf"\b{name}\b.*authenticator key", line))
        key = base64.b32decode(said.rsplit(None, 1)[1] + "=" * (-len(said.rsplit(None, 1)[1]) % 8))
        digest = hmac.digest(key, int(time.time() // 30).to_bytes(8, "big"), "sha1")
        at = digest[-1] & 15
        return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06d}"

    def mailed_code(self, address: str) -> str:
        """The eight digits in the mail that came to this address; on the embedded stack each mail is a file."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for file in sorted(self.mail.glob("*"), key=lambda file: file.stat().st_mtime, reverse=True):
                text = file.read_text(encoding="utf-8", errors="replace")
                found = re.search(r"\b(\d{4}) (\d{4})\b", text)
                if f"To: {address}" in text and found:
                    return found[1] + found[2]
            time.sleep(0.2)
        raise AssertionError(f"No code was mailed to {address}.")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.log.close()
