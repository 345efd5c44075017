"""The auditor in a real browser: scope, pull with counts first, compare, verify, collect a token and use it."""

import datetime
import json
import os
import re
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import pytest

SHOTS = os.environ.get("AUDITOR_SHOTS", "")  # a directory: pictures for whoever wants to look


def picture(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize(("language", "width"), [("en", 1366), ("ja", 360)])
def test_an_auditor_pulls_compares_verifies_and_reads_by_a_program(house, reader, language, width):
    tag, base = f"{language}-{width}", f"{house.url}/admin/case/{house.reference}/auditing/"
    chiba = reader(language=language, width=width)
    page = chiba.page
    house.sign_in(page, "chiba")
    page.goto(base)
    chiba.looks()
    picture(page, f"{tag}-home")

    page.goto(base + "pull/")
    chiba.looks()
    page.select_option("[name=of]", "whole")
    page.locator("form.entry button[type=submit]").click()
    chiba.looks()
    picture(page, f"{tag}-effect")
    page.locator("form.press button[type=submit]").click()
    page.wait_for_url(re.compile(r"/auditing/pulls/\d+/$"))
    chiba.looks()
    picture(page, f"{tag}-pull")
    with page.expect_download() as waiting:
        page.locator("a[href$='/file']").click()
    with Path(waiting.value.path()).open(encoding="utf-8") as file:
        assert json.loads(file.readline())["case"] == house.reference

    page.goto(base + "compare/")
    page.locator("form.entry button[type=submit]").click()
    chiba.looks()
    assert page.locator(".notice.good").count() == 1
    picture(page, f"{tag}-compare")

    page.goto(base + "tokens/")
    chiba.looks()
    number = issue(house)
    page.goto(f"{base}tokens/{number}/collect/")
    page.locator("form.entry button[type=submit]").click()
    chiba.looks()
    secret = re.search(r"henkan_[\w-]{43}", page.content())[0]
    picture(page, f"{tag}-collect")
    asked = Request(f"{house.url}/api/v1/return-events?limit=3", headers={"Authorization": f"Bearer {secret}"})
    with build_opener(ProxyHandler({})).open(asked, timeout=60) as answer:
        assert [row["number"] for row in json.load(answer)["results"]] == ["1", "2", "3"]
    page.goto(base + "tokens/")
    chiba.looks()
    picture(page, f"{tag}-tokens")


def test_the_description_of_the_api_opens_without_anything_from_elsewhere(house, reader):
    anybody = reader()
    elsewhere = []
    anybody.page.on("request", lambda request: elsewhere.append(request.url) if not request.url.startswith((house.url, "data:")) else None)
    anybody.page.goto(f"{house.url}/api/docs/")
    anybody.page.wait_for_selector("text=return-events", timeout=60_000)
    picture(anybody.page, "docs")
    assert elsewhere == []
    assert [said for said in anybody.complaints if "CSP" in said or "Content Security" in said] == []


def issue(house):
    from administration.audit import tokens
    from administration.cases.models import Appointment
    from administration.fields import db_now
    from administration.people.models import User

    with house.inside():
        held = Appointment.objects.get(case__reference=house.reference, user__username="chiba")
        return tokens.issue(
            held.case, appointment=held, purpose="annual audit 年次監査", expires_at=db_now() + datetime.timedelta(days=90),
            by=User.objects.get(username="aoki"), at=db_now(),
        ).number  # fmt: skip
