"""Name aggregation in a real browser: pairs side by side, decided by keys, on a desk and on a phone, in both languages."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

REFERENCE = "NAYOSE-1"
SCREENS = [("en", 1366), ("ja", 360), *([("ja", 1366), ("en", 360)] if os.environ.get("SCREENSHOTS") else [])]


@pytest.fixture(scope="module")
def pairs(house):
    """Customers of an accepted ledger, after a run; how many pairs wait."""
    from administration.ledger.models import PersonPair
    from administration.office.sample.doubles import Invented
    from tests.cast import gather, open_sample_case
    from tests.ledger.nayose import SHOTA, accepted_ledger_of, aggregate

    likes = [
        replace(SHOTA, name="髙﨑翔太", kana="ﾀｶｻｷ ｼﾖｳﾀ", born=None, phone="", address="千代田区丸の内一丁目２番３号　コーポ青葉101"),
        replace(SHOTA, person=2, name="高崎 祥太", phone="", email="shota@example.net", postcode="530-0001", address="大阪市北区梅田9-8-7"),
        replace(SHOTA, email="s.takasaki@example.org"),
    ]
    with house.inside():
        case = open_sample_case(REFERENCE)
        people = gather(case)
        accepted_ledger_of(case, [SHOTA, *likes, *Invented(7).customers(150)], by=people.goto)
        run = aggregate(case, by=people.goto)
        return list(PersonPair.objects.filter(aggregation=run).order_by("place").values_list("pk", "level", "automatic"))


def shot(reader, name, language, width):
    """A picture for who asks for one."""
    folder = os.environ.get("SCREENSHOTS", "")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        reader.page.screenshot(path=f"{folder}/{name}-{language}-{width}.png", full_page=True)


@pytest.mark.parametrize(("language", "width"), SCREENS)
def test_every_page_of_persons_can_be_used_by_anybody(house, reader, pairs, language, width):
    office, base = reader(language=language, width=width), f"{house.url}/admin/case/{REFERENCE}/persons/"
    house.sign_in(office.page, "goto")
    waiting = [pk for pk, _level, automatic in pairs if not automatic]
    linked = next(pk for pk, _level, automatic in pairs if automatic)
    for path in (
        "", "run/", "review/", "list/", "1/", "1/split/", "merge/", f"pairs/{waiting[0]}/", f"pairs/{waiting[-1]}/",
        f"pairs/{linked}/", f"pairs/{waiting[0]}/same/", f"pairs/{waiting[0]}/apart/",
    ):  # fmt: skip
        answer = office.page.goto(base + path)
        assert answer is not None and answer.status == 200, path
        assert office.page.locator("html").get_attribute("lang") == language
        shot(office, path.strip("/").replace("/", "-") or "overview", language, width)
        office.looks()


def test_pairs_are_decided_by_keys_one_after_the_other(house, reader, pairs):
    office = reader()
    page, base = office.page, f"{house.url}/admin/case/{REFERENCE}/persons/"
    house.sign_in(page, "goto")
    page.goto(base)
    page.get_by_text("Review the pairs").click()
    page.wait_for_url("**/pairs/*/")
    first = page.url

    page.keyboard.press("j")
    page.wait_for_url(lambda address: address != first and "/pairs/" in address)
    page.goto(first)
    page.keyboard.press("s")
    page.wait_for_url("**/same/")
    page.locator("form.entry button[type=submit]").click()
    shot(office, "same-effect", "en", 1366)
    office.looks()
    page.locator("form.press button[type=submit]").click()
    page.wait_for_url(lambda address: "/pairs/" in address and not address.endswith("/same/") and address != first)
    page.keyboard.press("d")
    page.wait_for_url("**/apart/")
    page.locator("form.entry button[type=submit]").click()
    page.locator("form.press button[type=submit]").click()
    page.wait_for_url(lambda address: "/apart/" not in address)

    page.uncheck("#keys-on")
    before = page.url
    page.keyboard.press("j")
    page.wait_for_timeout(200)
    assert page.url == before
    page.check("#keys-on")
    page.goto(first)
    assert "one person now" in page.inner_text(".office")
