"""
A customer's way in a real browser, from the recorded balance to the money that came, or came back.

Doi walks without JavaScript, in both languages, on a desktop and on a phone; axe then looks at each kind of page. What
the pages say is what `why` and `tie_out` say.
"""

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core import mail
from playwright.sync_api import Browser, Page, sync_playwright

from administration.fields import db_now
from administration.office import demo
from administration.office import sample as handover
from administration.returns import gates
from administration.returns.models import AssetReturn
from claims.portal import entering, standing
from claims.register import tie_out
from claims.register.models import Claim
from tests.portal.conftest import as_portal, code_sent, letter, running_portal, signed_in

ACCOUNTS = 40
SIZES = [(1366, 900), (360, 640)]
GRAVE = {"serious", "critical"}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the browser's loop runs in this thread; nothing of ours is async
        yield (browser := playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"]))
        browser.close()


@pytest.fixture
def way(committed, rehearsal, tmp_path):
    handover.write(tmp_path / "package", accounts=ACCOUNTS, seed=11)
    return demo.Way(ACCOUNTS, 11, package=tmp_path / "package")


def fits(page: Page) -> None:
    """Nothing to be scrolled sideways, and the language is said."""
    wide = page.viewport_size["width"]
    assert page.locator("body").bounding_box()["width"] <= wide
    assert page.locator("html").get_attribute("lang") in page.url


class Doi:
    """Signs in by letter, date and mail, and reads."""

    def __init__(self, way: demo.Way, chromium: Browser, address: str) -> None:
        claims = Claim.objects.filter(
            case=way.case, claimant__identity__entity_type="individual", confirmed_at=None, claimant__identity__kyc_status="verified"
        ).exclude(claimant__identity__email="")  # fmt: skip
        self.claim = next(claim for claim in claims.order_by("number") if claim.lines.count() >= 2)
        self.way, self.chromium, self.address = way, chromium, address

    def sign_in(self, page: Page) -> None:
        born = self.claim.claimant.identity.birth_or_founding_date
        page.locator("main a.button").first.click()
        page.locator("main button.button").click()
        assert page.locator("[role=alert] a").count() == 2
        self.look(page)
        page.fill("#id_code", letter(self.claim, self.way_world()))
        for field, value in (("year", born.year), ("month", born.month), ("day", born.day)):
            page.fill(f"#id_{field}", str(value))
        page.locator("main button.button").click()
        mail.outbox.clear()
        page.fill("#id_code", code_sent())
        page.locator("main button.button").click()
        assert page.url.endswith(f"/claims/{self.claim.number}/")

    def way_world(self):
        return type("World", (), {"goto": demo.user("goto")})

    def look(self, page: Page) -> None:
        fits(page)

    def reads(self, language: str, size: tuple[int, int] = SIZES[1]) -> Page:
        """The claim's page, in a browser that runs scripts: ours has none, and axe is one."""
        context = self.chromium.new_context(viewport={"width": size[0], "height": size[1]}, bypass_csp=True)
        context.add_cookies([{"name": "portal_session", "value": signed_in(self.claim), "url": self.address}])
        page = context.new_page()
        page.goto(f"{self.address}/{language}/claims/{self.claim.number}/")
        fits(page)
        return page


def grave(page: Page) -> list[str]:
    return [f"{page.url} {found['id']}" for found in Axe().run(page).response["violations"] if found["impact"] in GRAVE]


def test_doi_sees_each_stage_and_every_figure_agrees(way, chromium, server, committed):
    for _name, step in demo.STEPS[:4]:
        step(way)
    with running_portal(committed.database_url) as port:
        address = f"http://127.0.0.1:{port}"
        doi = Doi(way, chromium, address)

        # Recorded: she comes in without any script, in both languages, on both sizes; once she confirms.
        for language, word in (("en", "Recorded balance"), ("ja", "記録上の残高")):
            for width, height in SIZES:
                context = chromium.new_context(viewport={"width": width, "height": height}, java_script_enabled=False)
                page = context.new_page()
                page.goto(f"{address}/{language}/")
                doi.look(page)
                doi.sign_in(page)
                assert page.locator("h1 .tag").inner_text() == word
                doi.look(page)
                page.locator(".line .links a").first.click()
                doi.look(page)
                page.go_back()
                page.locator(".line .links a").nth(1).click()
                page.fill("#id_claimed", "x")
                page.locator("main button.button").click()
                assert page.title().startswith({"en": "Error:", "ja": "エラー"}[language])
                doi.look(page)
                page.goto(f"{address}/{language}/claims/{doi.claim.number}/confirm/")
                doi.look(page)
                if page.locator("main button.button").count():
                    page.locator("main button.button").click()
                context.close()
        doi.claim.refresh_from_db()
        assert doi.claim.confirmed_how == "portal"

        # Every kind of page, judged by axe.
        found = []
        for language in ("en", "ja"):
            page = doi.reads(language)
            found += grave(page)
            own = f"{address}/{language}/claims/{doi.claim.number}"
            line = page.locator(".line .links a").first.get_attribute("href")
            for path in (f"{address}/{language}/", f"{address}/{language}/find/", own + "/confirm/", address + line, address + line + "dispute/",
                         f"{own}/destinations/{doi.claim.lines.first().asset.code}/code/", f"{address}/{language}/nowhere/"):  # fmt: skip
                page.goto(path)
                found += grave(page)
            page.goto(f"{address}/{language}/find/")
            page.locator("main button.button").click()
            found += grave(page)
            page.context.close()
        assert found == []

        # Approved, sent, and the way back: the page, `why` and both statements say the same.
        stages = set()
        for step in demo.STEPS[4:8]:
            step[1](way)
            page = doi.reads("en")
            stages.add(page.locator("h1 .tag").inner_text())
            page.context.close()
            if step[0] == "plan":  # approved, and no round yet
                agrees_with_why_and_tie_out(way)
        assert "Approved" in stages and stages & {"Sent", "Presumed arrived"}
        agrees_with_why_and_tie_out(way)

        back = AssetReturn.objects.filter(case=way.case, state="returned").select_related("claim_line__claim").first()
        if back is not None:
            doi.claim = back.claim_line.claim
            for language, words in (("en", "Came back to us"), ("ja", "当方に戻りました")):
                page = doi.reads(language)
                assert words in page.locator(".steps .back").inner_text()
                assert back.reference in page.content()
                assert grave(page) == []
                page.context.close()

        # What is published of the round is what was computed.
        page = chromium.new_page()
        page.goto(f"{address}/en/")
        assert bytes(way.run.outputs_root).hex() == re.sub(r"\s", "", page.locator(".panel p.hash").first.inner_text())
        page.close()


def agrees_with_why_and_tie_out(way: demo.Way) -> None:
    """Every claim as its own session sees it: reasons as the office's `why`, sums as the statement of claims."""
    sums: dict[str, dict[str, int]] = {}
    for claim in Claim.objects.filter(case=way.case).order_by("number"):
        token = signed_in(claim)
        with as_portal():
            facts = entering.claim(token, claim.number)
        found = standing.of(facts)
        answers = gates.of_claim(claim, at=db_now())
        assert [line.asset for line in found.lines] == [answer.asset for answer in answers]
        for line, answer in zip(found.lines, answers, strict=True):
            said = gates.for_customers(answer)
            if line.reason.code != "settled" and line.stage is not standing.Stage.PRESUMED:
                iso = line.reason.until.isoformat() if line.reason.until else ""
                assert (line.reason.sentence.replace(standing.readable.day(line.reason.until), iso), iso) == (
                    said["sentence"], said["next_date"],
                )  # fmt: skip
            row = sums.setdefault(line.asset, {})
            for name in ("admitted", "disputed", "rejected", "out_of_scope", "settled", "deposited", "in_flight", "excess"):
                row[name] = row.get(name, 0) + line.units(name)
            row["recorded"] = row.get("recorded", 0) + line.claimed
            moved = sum(line.units(name) for name in ("in_flight", "settled", "deposited"))
            row["entitled"] = row.get("entitled", 0) + line.units("given") - moved
    statement = {row["code"]: row for row in tie_out.tie_out(way.case)["claims"]}
    for code, row in sums.items():
        assert {name: str(value) for name, value in row.items()} == {name: statement[code][name] for name in row}
