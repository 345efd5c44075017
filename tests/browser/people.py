"""The cast at their browsers: what they see they read off the page, what they do they press on it."""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 120  # seconds for what workers do; this machine may be busy


class Person:
    """One person's browser window, signed in to the office."""

    def __init__(self, browser: Browser, office: str, name: str, password: str, code: Any, *, language: str = "en", width: int = 1366):
        self.name, self.office = name, office.rstrip("/")
        context = browser.new_context(viewport={"width": width, "height": 900}, locale=language, accept_downloads=True)
        context.set_default_timeout(30_000)
        self.page: Page = context.new_page()
        self.trouble: list[str] = []  # what the browser itself complained of
        self.page.on("console", lambda said: self.trouble.append(said.text) if said.type == "error" and "409" not in said.text else None)
        # The skin's own script looks for its own kind of field beside each chosen file; ours has none, and nothing is lost.
        known = "reading 'setAttribute'"
        self.page.on("pageerror", lambda error: None if known in str(error) else self.trouble.append(str(error)))
        self.page.goto(f"{self.office}/admin/")
        self.page.fill("input[name=login]", name)
        self.page.fill("input[name=password]", password)
        self.press("form:has(input[name=password]) button:not([form])")
        self.page.fill("input[name=code]", code(name))
        self.press("form:has(input[name=code]) button:not([form])")

    def press(self, selector: str) -> None:
        """Press a button that leads to a page."""
        with self.page.expect_navigation():
            self.page.locator(selector).last.click()

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
        self.press("form.press button.button")
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
        """Where a job's page has come up: until the job has ended."""
        until = time.monotonic() + PATIENCE
        while self.page.locator("#job").count():
            state = self.page.locator("#job").get_attribute("data-state")
            assert state != "failed", self.words()
            if state == "done":
                break
            assert time.monotonic() < until, self.words()
            time.sleep(0.3)
        return self.words()

    def until(self, address: str, sentence: str) -> str:
        """Look at a page again and again until it says a sentence."""
        until = time.monotonic() + PATIENCE
        while sentence not in (words := self.see(address)):
            assert time.monotonic() < until, f"{address} never said “{sentence}”:\n{words[:2000]}"
            time.sleep(0.5)
        return words


class House:
    """Everything running, as `up` starts it on a bare machine."""

    def __init__(self, state: Path, *, accounts: int, port: int) -> None:
        import os

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

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=PROJECT, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stderr[-2000:]}"
        return done.stdout

    def code(self, name: str) -> str:
        """What the person's authenticator app shows now; asked late enough that it is not used twice."""
        found = re.search(r"\b(\d{6})\b", self.command("code", name))
        assert found
        return found[1]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.log.close()
