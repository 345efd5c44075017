"""Owed and held, per asset, to the unit."""

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from administration.cases import succession
from administration.cases.appointments import NotEmpowered
from administration.custody import reconciliation
from administration.custody.models import Reconciliation
from administration.ledger.models import ScopeDecision
from administration.record import covers
from administration.record.models import Event
from tests.cast import CUTOFF, NOON
from tests.factories import adjusted
from tests.returns.late import came_in
from tests.returns.world import tampering


@pytest.fixture
def owed(case, assets, ledger, accept, aoki):
    """The accepted ledger, its one negative balance brought to nothing."""
    accept()
    adjusted(
        case=case, ledger_account=ledger[2], asset=assets["JPY"], product="spot", amount=200,
        reason="negative_balance_excluded", decided_by=aoki, at=NOON,
    )  # fmt: skip
    return case


@pytest.fixture
def held(hold):
    later = CUTOFF + timedelta(days=1)
    hold("BTC", 3_0000_0000, locator="cold")
    hold("BTC", 1_0000_0000, locator="guarantee", tag="guarantee")
    hold("BTC", 7, locator="own", tag="own")
    hold("BTC", 20, locator="old", access="unproved", proof="")
    hold("BTC", 500, locator="stolen")
    hold("BTC", 400, locator="stolen", as_of=later, access="lost", proof="")
    hold("JPY", 1400, locator="trust", kind="trust", network="bank")
    hold("JPY", 1500, locator="trust", kind="trust", network="bank", as_of=later)


def test_owed_is_the_ledger_and_its_adjustments_and_held_is_what_is_proved_now(owed, held, goto):
    rows = {row.asset.code: row for row in reconciliation.run(owed, by=goto, at=NOON)}

    jpy, btc, eth = rows["JPY"], rows["BTC"], rows["ETH"]
    assert (jpy.ledger, jpy.adjustments, jpy.owed, jpy.held_proved, jpy.difference) == (1300, 200, 1500, 1500, 0)
    assert (btc.owed, btc.held_proved, btc.held_other) == (5_0000_0001, 4_0000_0000, 427)
    assert btc.difference == -1_0000_0001
    assert (eth.owed, eth.held_proved, eth.difference) == (3 * 10**18, 0, -3 * 10**18)


def test_what_came_in_after_the_cut_off_is_owed_too_but_not_the_exchanges_own(owed, held, goto):
    came_in(owed, ("A0001", "JPY", 30), ("A0001", "JPY", -10), ("A0002", "JPY", -5), ("A99", "JPY", 4), ("A0003", "JPY", 9))
    with tampering():
        account = owed.ledger_accounts.get(account_ref="A0003")
        ScopeDecision.objects.create(case=owed, ledger_account=account, product="", in_scope=True, rank="house", ground="x", at=NOON)
    [jpy] = [row for row in reconciliation.run(owed, by=goto, at=NOON) if row.asset.code == "JPY"]
    assert (jpy.ledger, jpy.adjustments, jpy.after_cutoff, jpy.owed, jpy.difference) == (1300, 200, 24, 1524, -24)


def test_coverage_is_an_exact_fraction(owed, held, goto):
    rows = reconciliation.run(owed, by=goto, at=NOON)

    assert [reconciliation.coverage(row) for row in rows] == ["400000000/500000001", "0", "1"]


def test_reconciliations_are_numbered_and_earlier_ones_stay(owed, hold, goto):
    reconciliation.run(owed, by=goto, at=NOON)
    hold("JPY", 1500, locator="trust", kind="trust", network="bank")
    reconciliation.run(owed, by=goto, at=NOON)

    told = Reconciliation.objects.filter(asset__code="JPY").order_by("number")
    assert [(row.number, row.held_proved) for row in told] == [(1, 0), (2, 1500)]
    assert [row.number for row in reconciliation.newest(owed)] == [2, 2, 2]


def test_the_event_says_the_totals_and_covers_the_rows(owed, held, goto):
    reconciliation.run(owed, by=goto, at=NOON)

    body = json.loads(Event.objects.get(kind="reconciliation.run").body)
    assert body["totals"]["BTC"] == {"owed": "500000001", "held": "400000000", "difference": "-100000001"}
    assert body["cover"]["sha256"] == covers.cover(reconciliation.COVER, case="T-1", number=1).sha256
    assert body["cover"]["sums"] == {"BTC": "500000001", "ETH": "3000000000000000000", "JPY": "1500"}


def test_without_an_accepted_ledger_nobody_knows_what_is_owed(case, ledger, goto):
    with pytest.raises(reconciliation.NotAccepted):
        reconciliation.run(case, by=goto, at=NOON)


def test_a_stranger_reconciles_nothing(owed, fujii):
    with pytest.raises(NotEmpowered):
        reconciliation.run(owed, by=fujii, at=NOON)


def test_a_successor_is_told_of_it(owed, held, goto):
    reconciliation.run(owed, by=goto, at=NOON)

    told = succession.account_of(owed, at=NOON)["custody"]
    assert told["places"] == "6" and told["reconciliation"] == "1"
    assert told["assets"]["BTC"] == {
        "owed": "500000001", "held": "400000000", "held_other": "427", "difference": "-100000001"
    }  # fmt: skip


def test_the_command_prints_the_figures(owed, held):
    out = io.StringIO()
    call_command("reconcile", "T-1", "--json", stdout=out)

    said = json.loads(out.getvalue())
    assert said["ok"] and said["object"] == "reconciliation 1" and said["state"] == "short"
    assert said["totals"] == {"BTC": "400000000", "ETH": "0", "JPY": "1500"}
    assert said["assets"][0]["coverage"] == "400000000/500000001"
    assert said["content_sha256"] == reconciliation.cover(owed, 1).sha256


def test_the_command_prints_a_table_for_a_person(owed, held):
    out = io.StringIO()
    call_command("reconcile", "T-1", "--as", "aoki", stdout=out)

    btc = next(line for line in out.getvalue().splitlines() if line.startswith("BTC"))
    assert btc.split() == ["BTC", "5.00000001", "4.00000000", "-1.00000001"]


def test_the_command_refuses_with_one_line(case, cast):
    with pytest.raises(CommandError, match="is not accepted") as refusal:
        call_command("reconcile", "T-1", stdout=io.StringIO())

    assert refusal.value.returncode == 1
