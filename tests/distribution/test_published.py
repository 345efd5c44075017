"""Figures published of real returns, where an in-kind engine can honestly express them."""

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from administration.amounts import parse
from claims.register import review, schedule
from tests.cast import NOON
from tests.distribution.conftest import PLAN, amounts

FOUND = tomllib.loads((Path(__file__).parent.parent / "data" / "published_cases.toml").read_text(encoding="utf-8"))
CASES = {case["id"]: case for case in FOUND["case"]}
BTC = 10**8


def held_back(num: int, den: int) -> str:
    return PLAN + f'holdback = {{ num = {num}, den = {den}, reason = "published" }}\n'


@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL", "OTHER", "USD"])
def test_genesis_recovery_in_kind_per_coin(open_estate, coin):
    """Each coin by itself: the rate is what is there of it over what is claimed of it."""
    case = CASES["genesis-in-kind"]
    claim, back = (parse(text, 8) for text in case["example"][coin])
    others = 999_937 * BTC
    rate = Decimal(case["rates_percent"][coin]) / 100
    there = int((claim + others) * rate)
    assert there == (claim + others) * rate
    run = open_estate({"BTC": claim}, {"BTC": others}, BTC=there).compute()
    assert amounts(run, "BTC")[0] == back


def test_bitfinex_the_same_haircut_on_every_asset(open_estate):
    case = CASES["bitfinex-generalised-loss"]
    claim, back = (parse(text, 8) for text in case["example"])
    haircut = int(Decimal(case["haircut_percent"]) * 1000)
    estate = open_estate({"BTC": claim, "ETH": claim}, {"BTC": 7 * claim}, BTC=8 * claim, ETH=claim)
    run = estate.compute(held_back(haircut, 100_000))
    assert amounts(run, "BTC") == [back, 7 * back]
    assert amounts(run, "ETH") == [back]


def test_gemini_coin_for_coin_in_two_steps(open_estate):
    steps = [int(percent) for percent in CASES["gemini-two-steps"]["steps_percent"]]
    claim = 123_456_789
    estate = open_estate({"BTC": claim}, {"BTC": 900 * BTC}, BTC=claim + 900 * BTC)
    estate.round(held_back(100 - steps[0], 100))
    assert estate.given("BTC")[0] == claim * steps[0] // 100
    estate.round()
    assert estate.given("BTC") == [claim, 900 * BTC]


@pytest.mark.parametrize("name", ["5A", "5B", "6A", "7"])
def test_ftx_cumulative_rounds_and_a_claim_first_allowed_in_round_two(open_estate, name):
    """
    Rounds to a target of the whole; a claim decided after the first catches up in one payment.

    Class 7 was promised 120 %: above the claim there is nothing to give in kind, so it stops at 100.
    """
    targets = [min(100, int(percent)) for percent in CASES["ftx-cumulative"]["targets"][name]]
    unreserved = "reserve_disputed = true\n"
    estate = open_estate({"BTC": 100 * BTC}, {"BTC": 100 * BTC}, BTC=300 * BTC)
    dispute = schedule.dispute(estate.line(2, "BTC"), 200 * BTC, ground="more", by=estate.by, at=NOON)
    for number, percent in enumerate(targets):
        plan = PLAN + unreserved
        if percent < 100:
            plan += f'holdback = {{ num = {100 - percent}, den = 100, reason = "later rounds" }}\n'
        estate.round(plan)
        late = 100 * percent * BTC // 100 * (1 if number == 0 else 2)
        assert estate.given("BTC") == [100 * percent * BTC // 100, late]
        if number == 0:
            review.decide(dispute, 200 * BTC, reason_code="as_claimed", by=estate.by, at=NOON)


def test_ftx_japan_held_more_than_it_owed_and_nobody_gets_more_than_their_claim(open_estate):
    case = CASES["ftx-japan-coverage"]
    row = {asset["code"]: asset for asset in case["asset"]}
    owed, held = (parse(row["BTC"][key], 8) for key in ("owed", "held"))
    yen_owed, yen_held = (int(row["JPY"][key]) for key in ("owed", "held"))
    half = owed // 3
    estate = open_estate({"BTC": half, "JPY": yen_owed - 1}, {"BTC": owed - half, "JPY": 1}, BTC=held, JPY=yen_held)
    run = estate.compute()
    assert amounts(run, "BTC") == [half, owed - half]
    assert run.pools.get(asset__code="BTC").left == parse(row["BTC"]["difference"], 8)
    assert run.pools.get(asset__code="JPY").left == int(row["JPY"]["difference"])


def test_yen_in_trust_is_paid_by_the_rule_of_the_trust(open_estate):
    """min(claim, floor(principal × claim / required)); what is above stays with the settlor."""
    case = CASES["trust-exercise"]
    principal, required = int(case["principal"]), int(case["required"])
    claim, pays = map(int, case["example"])
    run = open_estate({"JPY": claim}, {"JPY": required - claim}, JPY=principal).compute()
    assert amounts(run, "JPY") == [pays, principal - pays]


def test_costs_cut_every_entitlement_by_the_same_factor(open_estate):
    """Client money: costs c on a pool P leave everyone 1 - c/P."""
    estate = open_estate({"JPY": 700_000}, {"JPY": 200_000}, {"JPY": 100_000}, JPY=1_000_000)
    assert amounts(estate.compute(held_back(1, 20)), "JPY") == [665_000, 190_000, 95_000]
