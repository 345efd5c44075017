"""Name aggregation by the office's pages: a run, pairs side by side, one decision after the other, and taking it back."""

from dataclasses import replace

import pytest

from administration.ledger.models import Aggregation, PairDecision, Person, PersonPair
from tests.ledger.nayose import SHOTA, accepted_ledger_of, aggregate, who_is_whom
from tests.office.pressing import did, look, press, said, work
from tests.office.test_pages import signed_in

AGAIN = replace(SHOTA, name="髙﨑翔太", kana="ﾀｶｻｷ ｼﾖｳﾀ", email="")
UNDATED = replace(SHOTA, born=None, address="千代田区丸の内一丁目２番３号　コーポ青葉101", phone="")
NAMESAKE = replace(SHOTA, person=2, phone="", email="", postcode="530-0001", address="大阪市北区梅田9-8-7")
BASE = "/admin/case/T-1/persons/"


@pytest.fixture
def goto_at(case, goto):
    accepted_ledger_of(case, [SHOTA, AGAIN, UNDATED, NAMESAKE], by=goto)
    return signed_in(goto)


@pytest.fixture
def aggregated(case, goto, goto_at):
    aggregate(case, by=goto)
    return goto_at


def text(answer) -> str:
    assert answer.status_code == 200, said(answer)
    return answer.content.decode()


def test_the_run_is_begun_on_its_page_and_followed(case, goto_at):
    assert "Nobody has looked yet" in text(goto_at.get(BASE))

    address = did(goto_at, f"{BASE}run/")
    assert "/jobs/" in address
    assert "reading names" not in text(goto_at.get(address))
    work(case)

    page = text(goto_at.get(BASE))
    assert "Pairs wait for a person" in page and "Review the pairs" in page
    assert Aggregation.objects.get().linked == 2


def test_pairs_are_decided_one_after_the_other(case, aggregated):
    """Four pairs wait: the machine linked the first two customers only."""
    assert len(aggregated.get(f"{BASE}review/").context["lines"]) == PersonPair.objects.count() - 1
    first = PersonPair.objects.filter(level="strong").order_by("place")[0]
    page = text(aggregated.get(f"{BASE}pairs/{first.pk}/"))
    assert "data-key=" in page

    onward = did(aggregated, f"{BASE}pairs/{first.pk}/apart/", ground="asked", reason="He never had an account in Osaka.")
    assert PairDecision.objects.get().reason == "the customer was asked: He never had an account in Osaka."
    assert onward.startswith(f"{BASE}pairs/") and onward != f"{BASE}pairs/{first.pk}/"
    assert "Decided to be two persons" in text(aggregated.get(f"{BASE}pairs/{first.pk}/"))

    decided = 1
    while onward.startswith(f"{BASE}pairs/"):
        pair = PersonPair.objects.get(pk=onward.rstrip("/").rsplit("/", 1)[1])
        act = "apart" if "K00000004" in (pair.one.customer_ref, pair.other.customer_ref) else "same"
        onward = did(aggregated, f"{onward}{act}/", ground="papers", reason="")
        decided += 1
        assert decided < 9

    assert onward == BASE
    assert who_is_whom(case) == {"K00000001": 1, "K00000002": 1, "K00000003": 1}
    assert "Every pair that was proposed is decided" in text(aggregated.get(BASE))
    assert "No pair waits" in text(aggregated.get(f"{BASE}review/"))


def test_differences_are_marked_in_words_and_not_by_colour_alone(case, aggregated):
    pair = PersonPair.objects.get(one__customer_ref="K00000001", other__customer_ref="K00000003")
    lines = {str(line.label): line for line in aggregated.get(f"{BASE}pairs/{pair.pk}/").context["lines"]}
    assert {label: line.mark for label, line in lines.items() if line.mark} == {
        "Kind of customer": "same", "Name": "same", "Reading (kana)": "same", "Date of birth or founding": "lacks",
        "Telephone": "lacks", "E-mail": "same", "Postcode": "same", "Postal address": "alike", "Nationality": "same",
        "Country of residence": "same",
    }  # fmt: skip
    pair = PersonPair.objects.get(one__customer_ref="K00000001", other__customer_ref="K00000002")
    page = aggregated.get(f"{BASE}pairs/{pair.pk}/")
    lines = {str(line.label): line.mark for line in page.context["lines"]}
    assert (lines["Name"], lines["Reading (kana)"], lines["E-mail"]) == ("alike", "alike", "lacks")
    assert "the same, written differently" in text(page) and "These are one person now (P1)" in text(page)


def test_a_decision_in_other_words_needs_them(case, aggregated):
    pair = PersonPair.objects.filter(level="review")[0]
    answer = look(aggregated, f"{BASE}pairs/{pair.pk}/same/", ground="other", reason=" ")
    assert answer.status_code == 400 and "Say why" in answer.content.decode()


def test_a_person_is_looked_at_and_taken_apart(case, aggregated):
    assert "P1" in text(aggregated.get(f"{BASE}list/"))
    page = text(aggregated.get(f"{BASE}1/"))
    assert "2 customers of the ledger are this one person" in page and "K00000002" in page
    members = Person.objects.get(number=1).links.values_list("identity", flat=True)

    everybody = press(aggregated, f"{BASE}1/split/", customers=[str(pk) for pk in members[:1]], reason="two passports")
    assert everybody.status_code == 302

    assert who_is_whom(case) == {"K00000001": 2, "K00000002": 1}
    assert "two passports" in text(aggregated.get(f"{BASE}2/"))
    assert "No two customers are one person" in text(aggregated.get(f"{BASE}list/"))
    all_of_it = look(aggregated, f"{BASE}2/split/", customers=[str(members[0])], reason="x")
    assert all_of_it.status_code == 409 and "leave at least one" in said(all_of_it)


def test_customers_nobody_proposed_are_made_one_person_by_their_numbers(case, aggregated):
    unknown = look(aggregated, f"{BASE}merge/", customers="K00000001\nK9", reason="x")
    assert unknown.status_code == 400 and "K9" in unknown.content.decode()
    address = did(aggregated, f"{BASE}merge/", customers="K00000002\nK00000004", reason="one passport")
    assert address == f"{BASE}1/"
    assert who_is_whom(case) == {"K00000001": 1, "K00000002": 1, "K00000004": 1}


def test_names_are_shown_to_who_decides_only(case, aggregated, chiba):
    auditor = signed_in(chiba)
    assert auditor.get(BASE).status_code == 200  # how many, not who
    for path in ("review/", "list/", "1/", "merge/", f"pairs/{PersonPair.objects.first().pk}/"):
        assert auditor.get(f"{BASE}{path}").status_code == 403
