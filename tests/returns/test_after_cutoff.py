"""What came in after the cut-off goes back in full, to who paid it in, outside every pool, and by two signatures."""

import pytest
from django.db import DatabaseError, connection, transaction

from administration.audit import henkan_verify, pulls
from administration.cases import approvals
from administration.cases.models import ApprovalRequest
from administration.distribution import computing
from administration.fields import db_now
from administration.ledger import entries
from administration.ledger.models import ScopeDecision
from administration.rails.interface import Accepted
from administration.rails.rehearsal import Rehearsal
from administration.record import verify
from administration.record.models import Event
from administration.returns import after_cutoff, closing, forfeiting, gates, sales, submissions
from administration.returns.after_cutoff import NotReturned
from administration.returns.models import AssetReturn, LateReturn, LateReturnLine, ReturnState, TailState
from claims.register import positions, review, schedule, tie_out
from claims.register.models import Claim, ClaimClass, ClaimLine, Dispute, Position
from tests.returns.late import came_in
from tests.returns.test_evidence import line as told
from tests.returns.test_evidence import receive, settle
from tests.returns.test_misuse import app, owner  # noqa: F401  fixtures
from tests.returns.test_tail import an_order, approve, claims_of, kept, refused, silence, ties
from tests.returns.world import done, sign, tampering

COIN = 10**8


@pytest.fixture
def late(world):
    """The first account got 3,000 yen and net 0.15 BTC; the second lost yen and got a coin; A99 is on no list."""
    came_in(
        world.case, ("A0001", "JPY", 3000), ("A0001", "BTC", 20_000_000), ("A0001", "BTC", -5_000_000, "withdrawal"),
        ("A0002", "BTC", COIN, "trade"), ("A0002", "JPY", -700, "trade"), ("A0003", "JPY", 40), ("A0003", "JPY", -40, "withdrawal"),
        ("A99", "JPY", 800),
    )  # fmt: skip
    return world


def propose(world, codes=None, **change):
    assets = None if codes is None else [world.assets[code] for code in codes]
    said = {"facts": "銀行と取引所の記録を確認した。", "by": world.goto, "at": db_now()}
    return after_cutoff.propose(world.case, assets, **{**said, **change})


def lines(world):
    found = ClaimLine.objects.filter(case=world.case, claim_class=ClaimClass.AFTER_CUTOFF, recorded__gt=0)
    return list(found.select_related("claim__ledger_account", "asset", "position").order_by("claim__number", "asset__code"))


def decide_scope(world, account, rank, product=""):
    with tampering():
        ScopeDecision.objects.create(
            case=world.case, ledger_account=account, product=product, in_scope=True, rank=rank, ground="x", decided_by=world.goto, at=db_now()
        )


def free(world):
    """What a run of this case would find to share."""
    return {world.case.assets.get(pk=pk).code: units for pk, units in computing.free(world.run).items()}


# --- returning it -------------------------------------------------------------------------------------


def test_it_goes_the_whole_way_from_the_entries_to_the_depositor(late, monkeypatch, settings, tmp_path):
    world, settings.ARCHIVE_DIR = late, str(tmp_path)
    request = propose(world)
    assert LateReturn.objects.get().state == TailState.PROPOSED and not lines(world)
    before = ties(world)
    approve(world, request)

    assert LateReturn.objects.get().state == TailState.DONE
    assert [(one.claim.ledger_account.account_ref, one.asset.code, one.recorded, one.admitted, one.position.given) for one in lines(world)] == [
        ("A0001", "BTC", 15_000_000, 15_000_000, 15_000_000), ("A0001", "JPY", 3000, 3000, 3000), ("A0002", "BTC", COIN, COIN, COIN),
    ]  # fmt: skip
    after = ties(world)
    for code, units in (("JPY", 3000), ("BTC", COIN + 15_000_000), ("ETH", 0)):
        assert int(before[code]["free"]) - int(after[code]["free"]) == int(after[code]["entitled"]) - int(before[code]["entitled"]) == units
    said = Event.objects.filter(kind="late_return.carried_out").get()
    assert '"amount"' not in said.body and "115000000" in said.body and "3000" in said.body
    assert verify.verify(world.case)["ok"]

    world.scheduled()
    made = AssetReturn.objects.filter(claim_line__in=lines(world))
    assert sorted(made.values_list("asset__code", "amount")) == [("BTC", 15_000_000), ("BTC", COIN), ("JPY", 3000)]
    monkeypatch.setattr(Rehearsal, "submit", lambda self, content, key: Accepted("RH-1"))
    done(submissions.submit(world.exported(), by=world.goto, at=db_now()))
    receive(world, *(told(row, ref=n) for n, row in enumerate(world.returns(), start=1)))
    settle(world)
    assert set(made.values_list("state", flat=True)) == {ReturnState.SETTLED}
    assert [one.position.settled for one in lines(world)] == [15_000_000, 3000, COIN]
    ties(world)
    assert verify.verify(world.case)["ok"]
    pull = pulls.make(world.case, format="jsonl", by=world.people.chiba, at=db_now())
    assert henkan_verify.verify(pulls.path_of(pull))["returns"] == 15


def test_each_account_gets_what_came_in_less_what_went_out_and_who_gets_nothing_is_listed_with_the_reason(late):
    accounts = {account.account_ref: account for account in late.case.ledger_accounts.all()}
    came_in(late.case, ("A0003", "BTC", 7), ("A0004", "BTC", 9))
    decide_scope(late, accounts["A0003"], "house")
    decide_scope(late, accounts["A0004"], "insider", product="spot")  # entries name no product

    assert [(one.account_ref, one.asset, one.units, one.why) for one in entries.after_cutoff(late.case)] == [
        ("A0001", "BTC", 15_000_000, ""), ("A0001", "JPY", 3000, ""), ("A0002", "BTC", COIN, ""), ("A0002", "JPY", -700, "nothing_left"),
        ("A0003", "BTC", 7, "house"), ("A0003", "JPY", 0, "nothing_left"), ("A0004", "BTC", 9, "insider"), ("A99", "JPY", 800, "not_listed"),
    ]  # fmt: skip
    approve(late, propose(late))
    assert {one.claim.ledger_account.account_ref for one in lines(late)} == {"A0001", "A0002"}


def test_no_pool_has_it_before_it_is_returned_or_after(late):
    # 800 yen of an account that nobody lists stay apart too; what went out again is nobody's.
    had = {"JPY": 4000 - 3000 - 800, "BTC": 8 * COIN - COIN - 15_000_000, "ETH": 12 * 10**18 + 28}

    assert free(late) == had
    approve(late, propose(late))
    assert free(late) == had


def test_many_depositors_are_given_theirs_in_chunks_by_one_act(late, monkeypatch):
    monkeypatch.setattr(positions, "ROWS_MAX", 1)
    approve(late, propose(late))

    assert all(one.position.given == one.recorded for one in lines(late)) and len(lines(late)) == 3
    assert LateReturn.objects.get().state == TailState.DONE
    ties(late)


def test_it_is_returned_once(late):
    approve(late, propose(late))
    before = Event.objects.count()

    with pytest.raises(NotReturned, match="waits to be returned"):
        propose(late)
    assert Event.objects.count() == before


def test_what_is_asked_for_once_is_not_asked_for_again_until_it_is_decided(late):
    request = propose(late, ["JPY"])
    with pytest.raises(NotReturned, match="L1 waits for signatures"):
        propose(late)
    propose(late, ["BTC"])

    approvals.reject(request, by=late.people.aoki, at=db_now(), reason="look again")
    assert LateReturn.objects.get(number=1).state == TailState.GIVEN_UP
    approve(late, propose(late, ["JPY"]))
    assert [one.asset.code for one in lines(late)] == ["JPY"]


def test_more_than_is_there_is_refused_with_what_is_short_and_another_asset_goes_without_it(late):
    came_in(late.case, ("A0004", "JPY", 100_000))
    with pytest.raises(NotReturned, match=r"103000 JPY came in after the cut-off, and 4000 are free in the books: 99000 are short"):
        propose(late)
    assert not LateReturn.objects.exists()

    approve(late, propose(late, ["BTC"]))
    assert {one.asset.code for one in lines(late)} == {"BTC"}


def test_claims_come_first(late):
    with tampering() as cursor:
        cursor.execute("UPDATE register_claim SET kind = 'lodged' WHERE ledger_account_id = (SELECT min(ledger_account_id) FROM register_claim)")
    with pytest.raises(NotReturned, match="Claims are not made yet for 2 of these accounts"):
        propose(late)


def test_whose_account_it_is_is_looked_at_again_before_the_last_signature(late):
    request = propose(late)
    decide_scope(late, late.case.ledger_accounts.get(account_ref="A0002"), "house")
    sign(request, late.people.aoki)

    with pytest.raises(NotReturned, match="is not any more what was proposed"):
        sign(request, late.people.baba)
    assert not lines(late)


def test_whoever_signs_is_told_of_accounts_that_lost_something_else_and_of_what_is_not_proved(late):
    propose(late)
    made = LateReturn.objects.get()

    numbers = [claim.number for claim in claims_of(late)]
    assert after_cutoff.largest(made) == [(numbers[0], "JPY", 3000), (numbers[1], "BTC", COIN), (numbers[0], "BTC", 15_000_000)]
    first, *held = after_cutoff.warnings(made)
    assert "1 of these accounts lost another asset" in first
    assert [words.split(" was last")[0] for words in held] == ["What is held of BTC", "What is held of JPY"]
    assert after_cutoff.made_of(made) == [
        ("BTC", "deposit", 1, 20_000_000), ("BTC", "trade", 1, COIN), ("BTC", "withdrawal", 1, -5_000_000), ("JPY", "deposit", 1, 3000),
    ]  # fmt: skip


# --- what becomes of the line --------------------------------------------------------------------------


def test_the_line_says_why_it_is_where_it_is(late):
    approve(late, propose(late))
    claim = Claim.objects.get(ledger_account__account_ref="A0001", case=late.case)

    said = gates.of_claim(claim, at=db_now())[0]
    assert (said.asset, said.gate, said.owner, said.next_act) == ("BTC", "given", "office", "Schedule the round")
    assert "came in after the cut-off: it is returned to you in full" in said.customer


def test_nobody_disputes_or_decides_what_the_exchange_booked(late):
    approve(late, propose(late))
    line = lines(late)[0]

    with pytest.raises(schedule.NotADispute, match="returned as the exchange booked it"):
        schedule.dispute(line, 1, ground="more", by=late.goto, at=db_now())
    with pytest.raises(review.NotDecided, match="there is nothing to decide"):
        review.decide_line(line, 0, reason_code="no_evidence", by=late.goto, at=db_now())
    assert not Dispute.objects.exists()


def test_what_nobody_claims_of_it_never_goes_to_the_others(late):
    approve(late, propose(late))
    claims = claims_of(late)
    silence(late, claims)

    assert not set(lines(late)) & set(forfeiting.lines_of(late.case, claims))
    assert forfeiting.lines_of(late.case, claims)


def test_money_goes_back_before_coins_that_came_in_are_sold(late):
    approve(late, propose(late, ["BTC"]))
    claims = claims_of(late)[:1]
    silence(late, claims)
    said = {"ground": "unreachable", "facts": "x", "claims": claims, "order": an_order(late, sales.PERMITS)}

    with pytest.raises(sales.NotSold, match="JPY that came in after the cut-off waits to be returned"):
        sales.propose(late.case, late.assets["BTC"], late.assets["JPY"], **said, by=late.goto, at=db_now())
    approve(late, propose(late, ["JPY"]))
    approve(late, sales.propose(late.case, late.assets["BTC"], late.assets["JPY"], **said, by=late.goto, at=db_now()))
    sale = late.case.forced_sales.get()
    sales.sold(sale, gross=100_000, fees=0, venue="X", sold_at=db_now(), paper=b"p", by=late.goto, at=db_now())
    ties(late)
    assert verify.verify(late.case)["ok"]


def test_there_is_no_residue_while_it_waits(late):
    assert "What came in after the cut-off is not returned yet: BTC, JPY." in closing.what_stands_in_the_way(late.case)
    approve(late, propose(late))
    assert not any("cut-off" in words for words in closing.what_stands_in_the_way(late.case))
    left = {asset.code: units for asset, units in closing.left_over(late.case).items()}
    assert left["JPY"] == 4000 - 3000 - 800  # nobody lists A99: its 800 yen are somebody's, and no residue


# --- what the database itself refuses --------------------------------------------------------------------

LINE = """INSERT INTO register_claimline (case_id, claim_id, asset_id, claim_class, recorded, out_of_scope, admitted, lodged, disputed,
    rejected, converted_in, converted_out, excess, decision_id)
    SELECT case_id, claim_id, asset_id, 'after_cutoff', {amount}, 0, {amount}, 0, 0, 0, 0, 0, 0, decision_id FROM register_claimline
    WHERE claim_class <> 'after_cutoff' AND asset_id = (SELECT id FROM books_asset WHERE code = 'BTC') ORDER BY claim_id LIMIT 1"""
PROPOSED = """INSERT INTO returns_latereturnline (late_return_id, ledger_account_id, asset_id, amount)
    SELECT f.id, a.id, s.id, {amount} FROM returns_latereturn f, ledger_ledgeraccount a, books_asset s
    WHERE a.account_ref = '{account}' AND s.code = '{asset}'"""


def test_the_database_takes_what_the_entries_say_and_nothing_else(late, app, owner):  # noqa: F811
    with tampering():
        made = LateReturn.objects.create(case=late.case, number=1, facts="x", by=late.goto, at=db_now())
    for account, asset, amount in (("A0001", "BTC", 15_000_001), ("A0001", "BTC", 1), ("A0002", "JPY", 700), ("A0003", "JPY", 40), ("A0004", "BTC", 1)):
        app("late_return_line_is_what_came_in", PROPOSED.format(account=account, asset=asset, amount=amount))
    app("late_return_line_is_positive", PROPOSED.format(account="A0001", asset="BTC", amount=0))
    for amount in (15_000_000, 1):
        app("claim_line_after_cutoff_is_signed", LINE.format(amount=amount))
    app("tail_is_signed_by_two", "UPDATE returns_latereturn SET state = 'approved'")
    app("tail_step_is_listed", "UPDATE returns_latereturn SET state = 'done'")
    owner("tail_is_as_proposed", "UPDATE returns_latereturn SET facts = 'y'")
    refused("tail_begins_proposed", LateReturn.objects.create, case=late.case, number=2, facts="x", state="done", by=late.goto, at=db_now())
    refused("late_return_says_what_was_looked_at", LateReturn.objects.create, case=late.case, number=2, facts="", by=late.goto, at=db_now())
    assert not made.lines.exists()


def test_the_database_keeps_what_was_signed(late, app, owner):  # noqa: F811
    request = propose(late)
    app("permission denied", "UPDATE returns_latereturnline SET amount = 1")
    owner("late_return_line_is_claimed_once", "UPDATE returns_latereturnline SET amount = 1")
    app("late_return_line_is_claimed_once", "UPDATE returns_latereturnline SET claim_line_id = (SELECT min(id) FROM register_claimline) WHERE id = (SELECT min(id) FROM returns_latereturnline)")
    approve(late, request)
    for table in ("returns_latereturn", "returns_latereturnline"):
        owner("append only", f"DELETE FROM {table}")
        owner("append only", f"TRUNCATE {table} CASCADE")
    owner("late_return_line_is_claimed_once", "UPDATE returns_latereturnline SET claim_line_id = NULL")
    app("late_return_names_an_account_once", PROPOSED.format(account="A0001", asset="BTC", amount=15_000_000))
    app("late_return_line_is_what_came_in", PROPOSED.format(account="A0004", asset="BTC", amount=1))
    app("claim_line_after_cutoff_is_signed|claim_line_is_listed_once", LINE.format(amount=15_000_000))
    for change in ("admitted = admitted - 1, rejected = 1", "lodged = 1, disputed = 1", "corrected = 1, admitted = admitted + 1"):
        app("claim_line_keeps_what_was_recorded", f"UPDATE register_claimline SET {change} WHERE claim_class = 'after_cutoff'")
    [one] = lines(late)[:1]
    not_taken_back = "what_came_after_the_cut_off_is_not_taken_back"
    for kind, subject, rule in (
        ("declare", "case", "nothing_is_given_above_what_is_admitted"), ("withdraw", "case", not_taken_back),
        ("withdraw", "forcedsale", not_taken_back),  # there is no such sale
    ):  # fmt: skip
        with pytest.raises(DatabaseError, match=rule), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT positions_move(%s, %s, 'more', ARRAY[%s]::bigint[], ARRAY[1]::numeric[], %s, '1', 'goto', now())",
                [late.case.pk, kind, one.pk, subject],
            )


def test_the_same_is_not_claimed_twice_by_two_that_were_signed(late):
    with tampering():
        second = LateReturn.objects.create(case=late.case, number=2, facts="x", state="approved", by=late.goto, at=db_now())
        LateReturnLine.objects.create(
            late_return=second, ledger_account=late.case.ledger_accounts.get(account_ref="A0001"), asset=late.assets["JPY"], amount=3000
        )
    approve(late, propose(late))
    taken = next(one for one in lines(late) if one.asset.code == "JPY")
    refused("late_return_line|unique", LateReturnLine.objects.filter(late_return=second).update, claim_line=taken)


def test_a_return_that_does_not_give_in_full_does_not_commit(late):
    request = propose(late)
    with tampering() as cursor:
        cursor.execute("UPDATE cases_approvalrequest SET state = 'granted' WHERE id = %s", [request.pk])
    LateReturn.objects.update(state="approved")
    refused("late_return_is_given_in_full", LateReturn.objects.update, state="done")


def test_the_verifier_names_a_line_that_the_entries_do_not_say(late):
    approve(late, propose(late))
    with tampering() as cursor:
        cursor.execute("UPDATE ledger_keptentry SET amount = amount + 1 WHERE asset_id = %s AND amount > 0", [late.assets["BTC"].pk])
    found = verify.verify(late.case)
    assert not found["ok"]
    assert not tie_out.tie_out(late.case)["ok"]


def test_an_approval_binds_to_exactly_what_was_looked_at(late):
    request = propose(late, ["JPY"])
    LateReturnLine.objects.create(
        late_return=LateReturn.objects.get(), ledger_account=late.case.ledger_accounts.get(account_ref="A0001"), asset=late.assets["BTC"],
        amount=15_000_000,
    )  # fmt: skip
    sign(request, late.people.aoki)
    assert ApprovalRequest.objects.get(pk=request.pk).state == "stale"
    assert not Position.objects.filter(claim_line__claim_class="after_cutoff").exists()
    kept()
