"""The office in a real browser: sign in, look, sign, reject; both languages, a desk and a phone."""

import re

import pytest

# What a page in Japanese does not show: a sentence in English, or a code where a word belongs.
LEFT_OVER = re.compile(r"\b[a-z]{2,}(?: [a-z]{2,}){2,}|\b[a-z]+(?:_[a-z]+)+\b(?!\.)")
AS_GIVEN = {"interim return in kind", "pip install cryptography"}  # a plan's name, a command
SCREENS = [("en", 1366), ("en", 360), ("ja", 1366), ("ja", 360)]


def ask(house):
    """Goto asks for the signatures of the run; its number."""
    from administration.cases.models import ApprovalRequest
    from administration.distribution import runs
    from administration.distribution.models import Run
    from administration.fields import db_now
    from administration.people.models import User

    with house.inside():
        ApprovalRequest.objects.filter(act=runs.ACT, state="open").update(state="rejected", decided_at=db_now())
        goto = User.objects.get(username="goto")
        return runs.request_approval(Run.objects.latest("number"), by=goto, at=db_now()).pk


def state_of(house, pk):
    from administration.cases.models import ApprovalRequest

    with house.inside():
        row = ApprovalRequest.objects.get(pk=pk)
        return row.state, row.reason, [signature.signer.username for signature in row.signatures.all()]


@pytest.mark.parametrize(("language", "width"), SCREENS)
def test_the_office_signs_in_looks_signs_and_rejects(house, reader, language, width):
    asked = ask(house)
    first = reader(language=language, width=width)
    first.page.goto(f"{house.url}/admin/")
    first.looks()
    house.sign_in(first.page, "baba")
    assert first.page.locator("html").get_attribute("lang") == language
    first.looks()

    first.page.locator(f"a[href$='/approvals/{asked}/']").first.click()  # one click from My Work
    first.looks()
    hash_shown = re.sub(r"\s", "", first.page.locator("code.whole").inner_text())
    first.page.fill("#code", "none")
    first.page.locator("button[value=sign]").click()
    assert first.page.locator("[role=alert]").count() == 1  # the hash was not looked at
    assert state_of(house, asked) == ("open", "", [])
    first.complaints.clear()  # the browser says that a form was answered with 400
    first.page.fill("#code", hash_shown[-4:])
    first.page.locator("button[value=sign]").click()
    first.looks()
    assert state_of(house, asked) == ("open", "", ["baba"])

    second = reader(language=language, width=width)
    house.sign_in(second.page, "aoki")
    second.page.goto(f"{house.url}/admin/case/{house.reference}/")
    second.looks()
    second.page.locator(f"a[href$='/approvals/{asked}/']").first.click()
    sign, reject = second.page.locator("button[value=sign]"), second.page.locator("button[value=reject]")
    assert reject.bounding_box()["height"] >= sign.bounding_box()["height"]  # rejecting is as large as signing
    second.page.fill("#reason", "The reserve is too small. 留保が足りません。")
    reject.click()
    second.looks()
    assert state_of(house, asked) == ("rejected", "The reserve is too small. 留保が足りません。", ["baba"])


@pytest.mark.parametrize(("language", "width"), [("en", 1366), ("ja", 360)])
def test_every_page_of_the_menu_can_be_used_by_anybody(house, reader, language, width):
    office = reader(language=language, width=width)
    house.sign_in(office.page, "aoki")
    office.page.goto(f"{house.url}/admin/case/{house.reference}/")
    addresses = office.page.eval_on_selector_all("#nav-sidebar-apps a", "links => links.map(link => link.href)")
    assert len(addresses) > 10

    for address in dict.fromkeys(addresses):
        answer = office.page.goto(address)
        assert answer is not None and answer.status == 200, address
        office.looks()
        if language == "ja" and not address.endswith("/record/"):  # the record has its codes in a column of their own
            assert set(LEFT_OVER.findall(office.page.inner_text(".office"))) <= AS_GIVEN, address


def test_the_queue_of_claims_is_worked_by_keys_that_can_be_turned_off(house, reader):
    office = reader()
    house.sign_in(office.page, "goto")
    office.page.goto(f"{house.url}/admin/case/{house.reference}/claims/?state=unconfirmed")
    office.page.locator("#keys summary").click()
    office.looks()
    chosen, keyboard = office.page.locator("#claims-list input:checked"), office.page.keyboard

    def at():
        return office.page.evaluate("document.activeElement.textContent")

    for key in "jjxjkkx":  # to the second, select it, on and back to the first, select that
        keyboard.press(key)
    first = at()
    assert chosen.count() == 2
    office.page.fill("[name=q]", "")
    keyboard.type("jx")  # what is typed into a field is no command
    assert office.page.input_value("[name=q]") == "jx" and chosen.count() == 2

    office.page.uncheck("#keys-on")
    office.page.reload()
    keyboard.press("j")
    assert at() != first and chosen.count() == 0  # turned off, and still so on the next page
    office.page.locator("#keys summary").click()
    office.page.check("#keys-on")
    office.page.locator("#claims-list tbody a").first.focus()
    for key in "xjx":
        keyboard.press(key)
    with office.page.expect_navigation():
        keyboard.press("a")
    assert office.page.url.count("claim=") == 2
    office.looks()

    office.page.go_back()
    keyboard.press("?")
    assert office.page.locator("#keys dl").is_visible()
    office.page.locator("#claims-list tbody a").first.focus()
    claim = at()
    with office.page.expect_navigation():
        keyboard.press("d")  # to its one line, or to where it is asked which
    assert f"/claims/{claim}/" in office.page.url


def test_without_javascript_the_office_can_be_read(house, reader):
    office = reader(javascript=False)
    house.sign_in(office.page, "baba")
    office.page.goto(f"{house.url}/admin/case/{house.reference}/")

    assert office.page.get_by_role("heading", name="Owed and held").is_visible()


def test_the_language_is_one_press_away_and_stays(house, reader):
    office = reader()
    house.sign_in(office.page, "goto")
    office.page.get_by_role("button", name="日本語").click()

    assert office.page.locator("html").get_attribute("lang") == "ja"
    office.page.goto(f"{house.url}/admin/case/{house.reference}/")
    assert office.page.locator("h1").inner_text() == "事件の概況"


def test_whoever_signs_out_is_out(house, reader):
    office = reader()
    house.sign_in(office.page, "goto")
    office.page.locator("button.sign-out").click()

    assert "/accounts/login/" in office.page.url
    office.page.goto(f"{house.url}/admin/case/{house.reference}/")
    assert "/accounts/login/" in office.page.url
