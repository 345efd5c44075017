"""Scope: grounds, ranks, appeals. Insiders rank apart; nobody decides an appeal against their own decision."""

from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, InternalError, ProgrammingError

from administration.books.models import Asset
from administration.cases import approvals
from administration.cases.models import ApprovalRequest, Case
from administration.ledger import adjustments, scope
from administration.ledger.models import LedgerAccount, ScopeAppeal, ScopeDecision
from administration.ledger.scope import NotAppealed, NotDecided
from administration.people.models import User
from administration.record.models import Event
from claims.register import corrections, schedule
from claims.register.models import ClaimLine
from tests.cast import NOON, Cast
from tests.ledger.helpers import accepted, counts, work
from tests.ledger.spoiling import BASE, CORPUS, read, spoil
from tests.ledger.test_entries import FIAT, LATE, books
from tests.office.pressing import did, press, said
from tests.office.test_pages import signed_in


@pytest.fixture
def ledger(secured: Case, cast: Cast) -> Case:
    accepted(secured, cast, Path(BASE))
    return secured


def account(case: Case, ref: str) -> LedgerAccount:
    return LedgerAccount.objects.get(case=case, account_ref=ref)


def lines(case: Case, ref: str) -> dict[tuple[str, str], tuple[int, int]]:
    """(asset, class) → what stands, what waits."""
    return {
        (line.asset.code, line.claim_class): (line.admitted, line.disputed)
        for line in ClaimLine.objects.filter(case=case, claim__ledger_account__account_ref=ref).select_related("asset")
    }


def test_insiders_and_house_accounts_rank_apart_and_their_silence_admits_nothing(ledger: Case, cast: Cast):
    scope.decide(account(ledger, "A2"), in_scope=True, rank="insider", ground="Director until 2026", by=cast.goto, at=NOON)
    scope.decide(account(ledger, "A6"), in_scope=True, rank="house", ground="The exchange's own", by=cast.goto, at=NOON)

    work(schedule.schedule(ledger, by=cast.goto, at=NOON))

    assert lines(ledger, "A2") == {
        ("BTC", "own_insider"): (0, 132_272), ("JPY", "own_insider"): (0, 4258), ("XRP", "own_insider"): (0, 18_127_706),
    }  # fmt: skip
    assert lines(ledger, "A6") == {("XRP", "own_insider"): (0, 11_590_106)}
    assert lines(ledger, "A4")[("JPY", "trust_beneficiary")] == (16_779, 0)  # customers stay where they are


def test_a_rank_decided_later_moves_the_lines_of_the_claim(ledger: Case, cast: Cast):
    work(schedule.schedule(ledger, by=cast.goto, at=NOON))
    scope.decide(account(ledger, "A2"), in_scope=True, rank="insider", ground="Director", by=cast.goto, at=NOON)

    assert corrections.follow(ledger, by=cast.goto, at=NOON) == 6

    found = lines(ledger, "A2")
    assert found[("JPY", "trust_beneficiary")] == (0, 0)
    assert sum(found[("JPY", "own_insider")]) == 4258
    assert corrections.follow(ledger, by=cast.goto, at=NOON) == 0


def test_each_product_has_its_class_and_lent_coins_have_no_preferential_right(ledger: Case, cast: Cast):
    work(schedule.schedule(ledger, by=cast.goto, at=NOON))

    assert lines(ledger, "A3") == {
        ("ETH", "lending_unsecured"): (0, 341_268_889_363_677_848), ("JPY", "trust_beneficiary"): (119_786, 0),
    }  # fmt: skip
    assert lines(ledger, "A5") == {("JPY", "trust_beneficiary"): (5071, 0)}  # with the withdrawal that had not left


def test_an_appeal_is_taken_down_and_decided_by_another_person(ledger: Case, cast: Cast):
    made = scope.decide(account(ledger, "A2"), in_scope=False, ground="Own trading", by=cast.goto, at=NOON)
    scope.appeal(made, ground="It was my savings.", evidence=b"letter", by=cast.goto, at=NOON)
    assert scope.state(made) == "lodged"

    with pytest.raises(NotAppealed, match="Ask somebody else"):
        scope.decide_appeal(made, outcome="dismissed", ground="No", by=cast.goto, at=NOON)
    scope.decide_appeal(made, outcome="upheld", ground="Bank statements", by=cast.baba, at=NOON)

    assert scope.state(made) == "upheld"
    newest = scope.newest(made)
    assert (newest.in_scope, newest.decided_by, newest.ground) == (True, cast.baba, "Bank statements")
    assert Event.objects.filter(kind="ledger.scope_appeal").count() == 2
    with pytest.raises(NotAppealed):
        scope.decide_appeal(made, outcome="dismissed", ground="Again", by=cast.aoki, at=NOON)
    with pytest.raises(NotAppealed):
        scope.appeal(made, ground="Again", by=cast.goto, at=NOON)


def test_a_dismissed_appeal_changes_no_decision(ledger: Case, cast: Cast):
    made = scope.decide(account(ledger, "A2"), in_scope=True, rank="insider", ground="Director", by=cast.goto, at=NOON)
    scope.appeal(made, ground="I resigned.", by=cast.goto, at=NOON)
    scope.decide_appeal(made, outcome="dismissed", ground="The register says otherwise.", by=cast.baba, at=NOON)

    assert scope.newest(made) == made
    assert ScopeDecision.objects.count() == 1


def test_an_appeal_against_a_rank_that_is_upheld_makes_a_customer_of_the_insider(ledger: Case, cast: Cast):
    made = scope.decide(account(ledger, "A2"), in_scope=True, rank="insider", ground="Director", by=cast.goto, at=NOON)
    scope.appeal(made, ground="Another person of that name.", by=cast.goto, at=NOON)
    scope.decide_appeal(made, outcome="upheld", ground="Birth dates differ.", by=cast.baba, at=NOON)

    assert (scope.newest(made).in_scope, scope.newest(made).rank) == (True, "customer")


def test_what_makes_no_decision_is_refused(ledger: Case, cast: Cast):
    before = counts()

    for wrong in ({"ground": " "}, {"ground": "x", "rank": "friend"}, {"ground": "x", "product": "futures"}):
        with pytest.raises(NotDecided):
            scope.decide(account(ledger, "A2"), in_scope=True, by=cast.goto, at=NOON, **wrong)  # type: ignore[arg-type]
    assert counts() == before


# --- negative balances ------------------------------------------------------------------------


@pytest.fixture
def owing(secured: Case, cast: Cast, tmp_path: Path) -> Case:
    """A1 owes 250 yen, kept as it is to be decided; the same customer has A7."""
    case = read(CORPUS / "balances" / "negative.toml")
    accepted(secured, cast, spoil(case, tmp_path / "package"), negative_policy="keep")
    return secured


def propose(case: Case, cast: Cast, ref: str, amount: int, reason: str) -> ApprovalRequest:
    yen = Asset.objects.get(case=case, code="JPY")
    return adjustments.adjust(
        account(case, ref), asset=yen, product="spot", amount=amount, reason=reason, note="1 yen for 1 yen", by=cast.goto, at=NOON
    )


def sign(request: ApprovalRequest, cast: Cast) -> None:
    for signer in (cast.baba, cast.aoki):
        request.refresh_from_db()
        if request.state == "open":
            approvals.sign(request, by=signer, at=NOON)


def correct(case: Case, cast: Cast, ref: str, amount: int, reason: str) -> None:
    sign(propose(case, cast, ref, amount, reason), cast)


def standing(case: Case, *refs: str) -> list[int]:
    yen = Asset.objects.get(case=case, code="JPY")
    return [adjustments.standing(account(case, ref), yen, "spot") for ref in refs]


def test_a_negative_balance_is_made_good_or_netted_by_signed_decisions(owing: Case, cast: Cast):
    correct(owing, cast, "A1", 100, "negative_cured")
    correct(owing, cast, "A7", -150, "negative_netted")
    correct(owing, cast, "A1", 150, "negative_netted")

    assert standing(owing, "A1", "A7") == [0, 2937]
    work(schedule.schedule(owing, by=cast.goto, at=NOON))  # nothing is negative any more
    assert lines(owing, "A7")[("JPY", "trust_beneficiary")] == (2937, 0)


@pytest.mark.parametrize("reason", ["negative_cured", "negative_netted"])
def test_what_two_proposed_side_by_side_is_made_good_once(owing: Case, cast: Cast, reason: str):
    """Each was right when it was proposed; with both the customer would have a claim that nobody owes."""
    first, second = (propose(owing, cast, "A1", 250, "negative_cured"), propose(owing, cast, "A1", 250, reason))
    sign(first, cast)

    with pytest.raises(adjustments.NotAdjusted, match="up to nothing"):
        sign(second, cast)
    assert standing(owing, "A1") == [0]


def test_no_more_is_netted_than_is_there_when_it_is_signed(owing: Case, cast: Cast):
    first, second = (propose(owing, cast, "A7", -2000, "negative_netted") for _twice in range(2))
    sign(first, cast)

    with pytest.raises(adjustments.NotAdjusted, match="has it"):
        sign(second, cast)


def test_the_halves_of_a_netting_are_signed_in_either_order(owing: Case, cast: Cast):
    taken, given = propose(owing, cast, "A7", -250, "negative_netted"), propose(owing, cast, "A1", 250, "negative_netted")
    sign(given, cast)
    sign(taken, cast)

    assert standing(owing, "A1", "A7") == [0, 2837]


@pytest.mark.parametrize(
    ("ref", "amount", "reason"),
    [("A1", 251, "negative_cured"), ("A2", 1, "negative_cured"), ("A2", -1, "negative_netted"), ("A7", -1, "negative_cured"), ("A7", -3088, "negative_netted")],
)  # fmt: skip
def test_what_is_not_negative_is_not_made_good(owing: Case, cast: Cast, ref: str, amount: int, reason: str):
    before = counts()

    with pytest.raises(adjustments.NotAdjusted):
        correct(owing, cast, ref, amount, reason)
    assert counts() == before


APPEAL = """INSERT INTO ledger_scopeappeal (case_id, decision_id, state, ground, by_id, at)
            SELECT case_id, id, '{state}', 'x', {by}, now() FROM ledger_scopedecision"""
MISUSE = {
    "ended before it was lodged": (APPEAL.format(state="dismissed", by="decided_by_id + 0"), "appeal_ends_only_once_lodged"),
    "changed": ("UPDATE ledger_scopeappeal SET ground = 'y'", "permission denied|append only"),
    "taken out": ("DELETE FROM ledger_scopeappeal", "permission denied|append only"),
}


@pytest.mark.parametrize("misuse", MISUSE)
def test_the_database_refuses_an_appeal_out_of_order(ledger: Case, cast: Cast, as_role: Any, misuse: str):
    scope.decide(account(ledger, "A2"), in_scope=False, ground="Own trading", by=cast.goto, at=NOON)
    sql, match = MISUSE[misuse]

    with pytest.raises((IntegrityError, InternalError, ProgrammingError), match=match), as_role("henkan_app") as cursor:
        cursor.execute(sql)


def test_the_database_refuses_who_decided_as_judge_of_the_appeal_and_a_second_end(ledger: Case, cast: Cast, as_role: Any):
    made = scope.decide(account(ledger, "A2"), in_scope=False, ground="Own trading", by=cast.goto, at=NOON)
    scope.appeal(made, ground="No.", by=cast.goto, at=NOON)

    with pytest.raises(IntegrityError, match="appeal_is_decided_by_another_person"), as_role("henkan_app") as cursor:
        cursor.execute(APPEAL.format(state="dismissed", by="decided_by_id"))
    scope.decide_appeal(made, outcome="dismissed", ground="No.", by=cast.baba, at=NOON)
    with pytest.raises(IntegrityError, match="appeal_ends_once"), as_role("henkan_app") as cursor:
        cursor.execute(APPEAL.format(state="upheld", by=str(cast.aoki.pk)))
    assert ScopeAppeal.objects.count() == 2


# --- pages ------------------------------------------------------------------------------------


@pytest.fixture
def staff(cast: Cast) -> Cast:
    User.objects.filter(pk__in=[cast.baba.pk, cast.goto.pk]).update(is_staff=True)
    return cast


def test_scope_and_its_appeal_by_pages(ledger: Case, staff: Cast):
    base, goto, baba = "/admin/case/T-1/", signed_in(staff.goto), signed_in(staff.baba)
    did(goto, f"{base}corrections/scope/", account="A2", product="", in_scope="yes", rank="insider", ground="Director until 2026")
    made = ScopeDecision.objects.get()
    appeal = f"{base}corrections/scope/{made.pk}/appeal/"
    did(goto, appeal, ground="Another person of that name.")

    answer = press(goto, appeal, outcome="upheld", ground="Birth dates differ.")
    assert answer.status_code == 409 and "Ask somebody else" in said(answer)
    did(baba, appeal, outcome="upheld", ground="Birth dates differ.")

    assert (made.rank, scope.state(made), scope.newest(made).rank) == ("insider", "upheld", "customer")
    page = goto.get(f"{base}corrections/").content.decode()
    assert "appeal upheld" in page and "insider" in page
    assert "appealed against before" in said(press(goto, appeal, ground="Once more."))
    assert goto.get(f"{base}corrections/scope/999999/appeal/").status_code == 404


def test_the_page_around_the_cut_off_shows_what_is_returned_in_full(secured: Case, staff: Cast, tmp_path: Path):
    client, address = signed_in(staff.goto), "/admin/case/T-1/around-cutoff/"
    assert "no books of entries were delivered" in client.get(address).content.decode()

    fiat = [*FIAT, ["F8", "A3", LATE, "deposit", "JPY", "5000", "", ""], ["F9", "A99", LATE, "deposit", "JPY", "700", "", ""]]
    accepted(secured, staff, books(tmp_path / "package", fiat=fiat))

    page = client.get(address).content.decode()
    assert "5,000" in page and "A99 (not in the list of accounts)" in page and "fiat_ledger.csv:9" in page
