"""The share rules, against plain arithmetic, at every size a ledger can hold."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from administration import amounts

HUGE = 10**60
weights = st.one_of(st.integers(0, 9), st.integers(0, 10**6), st.integers(0, HUGE))
books = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), weights, min_size=1, max_size=8)
# Lines as (weight, given): what was given need not be below the claim, for a claim may have been lowered.
ledgers = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3),
    st.tuples(st.one_of(st.integers(0, 20), st.integers(0, HUGE)), st.one_of(st.integers(0, 9), st.integers(0, HUGE))),
    min_size=1,
    max_size=8,
)


def tie(number: str) -> bytes:
    return hashlib.sha256(number.encode()).digest()


def needed(lines: dict[str, tuple[int, int]], candidate: int) -> int:
    total = sum(weight for weight, _ in lines.values())
    return sum(max(0, weight * candidate // total - given) for weight, given in lines.values()) if total else 0


# --- text -------------------------------------------------------------------------------------


@given(st.integers(-HUGE, HUGE), st.integers(0, 36))
def test_what_is_shown_parses_to_the_same_units(units, scale):
    assert amounts.parse(amounts.show(units, scale), scale) == units


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "+1", "1e5", "1.", ".5", "NaN", "inf", "1,000", "１２", "0x1", "1_0", "--1", "1.2.3"]
)
def test_text_that_is_not_plain_decimal_is_refused(text):
    with pytest.raises(amounts.BadAmount, match="plain decimal"):
        amounts.parse(text, 8)


def test_a_decimal_place_too_many_is_refused_and_never_rounded():
    with pytest.raises(amounts.BadAmount, match="has 9 decimal places; this asset has 8"):
        amounts.parse("0.123456789", 8)
    assert amounts.parse("0.1234567800", 8) == 12345678


@given(st.integers(0, HUGE), st.integers(1, 10**20))
def test_what_a_rail_pays_is_the_largest_multiple_of_its_step(units, step):
    paid = amounts.floor_to_step(units, step)
    assert paid % step == 0
    assert 0 <= units - paid < step


# --- shares -----------------------------------------------------------------------------------


@given(books, st.integers(0, HUGE))
def test_cumulative_shares_never_sum_above_the_pool(lines, pool):
    total = sum(lines.values())
    if total:
        assert sum(amounts.cumulative_share(w, pool=pool, total=total) for w in lines.values()) <= pool


@given(st.integers(0, HUGE), st.integers(0, HUGE), st.integers(0, HUGE), st.integers(1, HUGE))
def test_a_cumulative_share_never_falls_when_the_pool_grows(weight, pool, more, rest):
    total = weight + rest
    earlier = amounts.cumulative_share(weight, pool=pool, total=total)
    assert amounts.cumulative_share(weight, pool=pool + more, total=total) >= earlier


@given(books, st.lists(st.integers(0, HUGE), min_size=1, max_size=6))
def test_rounds_add_up_to_the_last_cumulative_share_whatever_the_rounds_between(lines, steps):
    total = sum(lines.values())
    if not total:
        return
    given_so_far = dict.fromkeys(lines, 0)
    pool = 0
    for step in steps:
        pool += step
        for number, weight in lines.items():
            given_so_far[number] += amounts.raise_to_share(weight, pool=pool, total=total, given=given_so_far[number])
    assert given_so_far == {n: amounts.cumulative_share(w, pool=pool, total=total) for n, w in lines.items()}


def test_largest_remainder_would_make_a_round_go_backwards_so_interim_rounds_round_down():
    lines = {"a": (6, 0), "b": (6, 0), "c": (2, 0)}
    assert sorted(amounts.largest_remainder(lines, pool=10, tie=tie).values()) == [2, 4, 4]
    assert sorted(amounts.largest_remainder(lines, pool=11, tie=tie).values()) == [1, 5, 5]


# --- the effective pool -----------------------------------------------------------------------


@given(ledgers, st.one_of(st.integers(0, 50), st.integers(0, 8 * HUGE)))
def test_the_effective_pool_is_the_largest_whose_raises_fit(lines, free):
    total, spent = sum(w for w, _ in lines.values()), sum(g for _, g in lines.values())
    pool = spent + free
    found = amounts.effective_pool(lines, pool=pool)

    assert 0 <= found <= min(pool, total)
    assert needed(lines, found) <= free
    if found < min(pool, total):
        assert needed(lines, found + 1) > free


@given(books, st.integers(0, 8 * HUGE))
def test_without_earlier_rounds_the_effective_pool_is_the_pool_or_all_that_is_claimed(lines, pool):
    found = amounts.effective_pool({number: (weight, 0) for number, weight in lines.items()}, pool=pool)
    assert found == min(pool, sum(lines.values()))


@given(ledgers, st.integers(0, HUGE))
def test_nobody_falls_below_what_they_were_given_and_the_raises_fit(lines, free):
    total = sum(w for w, _ in lines.values())
    pool = free + sum(g for _, g in lines.values())
    found = amounts.effective_pool(lines, pool=pool)
    after = {n: g + amounts.raise_to_share(w, pool=found, total=total or 1, given=g) for n, (w, g) in lines.items()}

    assert all(after[number] >= given for number, (_, given) in lines.items())
    assert sum(after.values()) <= pool
    assert all(after[n] <= max(w, g) for n, (w, g) in lines.items())


@given(ledgers, st.integers(0, HUGE), st.randoms())
def test_the_order_of_lines_changes_nothing(lines, free, random):
    pool = free + sum(g for _, g in lines.values())
    shuffled = list(lines.items())
    random.shuffle(shuffled)
    assert amounts.effective_pool(dict(shuffled), pool=pool) == amounts.effective_pool(lines, pool=pool)
    assert amounts.largest_remainder(dict(shuffled), pool=pool, tie=tie) == amounts.largest_remainder(
        lines, pool=pool, tie=tie
    )


def test_a_line_admitted_late_catches_up_in_one_round_if_the_pool_allows():
    """Two lines of 100 got 30 each of 60; a third of 100 comes; 90 more arrive: everyone stands at 50."""
    lines = {"a": (100, 30), "b": (100, 30), "late": (100, 0)}
    shared = amounts.effective_pool(lines, pool=150)
    assert shared == 150
    assert [amounts.raise_to_share(w, pool=shared, total=300, given=g) for w, g in lines.values()] == [20, 20, 50]


def test_a_line_admitted_late_gets_all_of_what_is_left_when_the_others_hold_more_than_their_share():
    lines = {"a": (100, 60), "b": (100, 60), "late": (100, 0)}
    shared = amounts.effective_pool(lines, pool=150)
    assert [amounts.raise_to_share(w, pool=shared, total=300, given=g) for w, g in lines.values()] == [0, 0, 30]


@given(ledgers, st.integers(0, HUGE))
def test_the_search_asks_few_questions(lines, free):
    """Each question is a pass over all lines in the database."""
    total = sum(w for w, _ in lines.values())
    search = amounts.fit(cap=min(free + sum(g for _, g in lines.values()), total), left=free, total=total)
    asked, answer = 0, None
    try:
        while True:
            candidate = search.send(answer)
            asked += 1
            raised = [(w, w * candidate // total - g) for w, g in lines.values()]
            answer = (sum(r for _, r in raised if r > 0), sum(w for w, r in raised if r > 0))
    except StopIteration:
        assert asked <= 60


# --- the final round --------------------------------------------------------------------------


@given(books, st.integers(0, 8 * HUGE))
def test_a_final_round_gives_out_every_unit_of_the_pool_that_is_claimed(lines, pool):
    total = sum(lines.values())
    shares = amounts.largest_remainder({n: (w, 0) for n, w in lines.items()}, pool=pool, tie=tie)
    assert sum(shares.values()) == min(pool, total)
    for number, weight in lines.items():
        exact = weight * min(pool, total) // total if total else 0
        assert shares[number] in (exact, exact + 1)
        assert shares[number] <= weight


@given(ledgers, st.integers(0, HUGE))
def test_a_final_round_stays_in_the_pool_and_takes_from_nobody(lines, free):
    pool = free + sum(g for _, g in lines.values())
    shares = amounts.largest_remainder(lines, pool=pool, tie=tie)
    assert sum(max(shares[n], g) for n, (_, g) in lines.items()) <= pool
    assert all(shares[n] <= w for n, (w, _) in lines.items())


def test_equal_remainders_are_ranked_by_their_tie_and_by_nothing_else():
    lines = dict.fromkeys("abcdef", (1, 0))
    shares = amounts.largest_remainder(lines, pool=2, tie=tie)
    assert {name for name, share in shares.items() if share} == set(sorted("abcdef", key=tie)[:2])
