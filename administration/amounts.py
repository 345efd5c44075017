"""
Amounts of value: whole counts of an asset's smallest unit, always `int`.

`scale` is the number of decimal places of the ledger (yen 0, bitcoin 8, ether 18). Decimal text exists
only at the edges: parse() on the way in, show() on the way out. Nothing here rounds silently.
"""

import re
from collections.abc import Callable, Generator, Mapping

# Digits are ASCII only: full-width digits, exponents, NaN, signs other than "-" are not amounts.
_AMOUNT = re.compile(r"(-?)([0-9]{1,78})(?:\.([0-9]{1,36}))?", re.ASCII)


class BadAmount(ValueError):
    """The text is not an amount at this scale. The message says why."""


def parse(text: str, scale: int) -> int:
    """
    Whole units of the decimal `text` at `scale` places: parse("1.5", 8) is 150000000.

    Raises BadAmount for anything but plain ASCII decimal text, and for more decimal places than the
    scale holds (trailing zeros excepted), because dropping them would lose a customer's money silently.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise BadAmount(f"{text!r} is not a plain decimal number.")
    sign, whole, fraction = match[1], match[2], (match[3] or "").rstrip("0")
    if len(fraction) > scale:
        raise BadAmount(f"{text!r} has {len(fraction)} decimal places; this asset has {scale}.")
    units = int(whole + fraction.ljust(scale, "0"))
    return -units if sign else units


def show(units: int, scale: int) -> str:
    """Exact decimal text of `units` with all `scale` places: show(150000000, 8) is "1.50000000"."""
    sign, digits = ("-" if units < 0 else ""), str(abs(units)).rjust(scale + 1, "0")
    return sign + (f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits)


def floor_to_step(units: int, step: int) -> int:
    """The largest multiple of `step` that is not above `units`: what a rail can pay of it."""
    return units - units % step


def cumulative_share(weight: int, *, pool: int, total: int) -> int:
    """
    What one claim line has earned of `pool` so far, rounded down.

    All three are whole units of one asset; `total` is the sum of all weights. While `total` stands it
    never falls as `pool` grows, so a later round asks nothing back.
    """
    return weight * pool // total


def raise_to_share(weight: int, *, pool: int, total: int, given: int) -> int:
    """What one line gets in an interim round: its cumulative share less what it was given, never negative."""
    return max(0, cumulative_share(weight, pool=pool, total=total) - given)


def effective_pool(lines: Mapping[str, tuple[int, int]], *, pool: int) -> int:
    """
    The largest whole number P′ up to the pool and the claims for which all raises fit in what is left.

    `lines` maps a line's number to (weight, given). `pool` is everything ever put aside for these lines, what
    was given included. P′ is the pool, or the sum of weights if that is less, unless some lines hold more
    than their share (a late admission, a lowered claim): then the others catch up only as far as the pool allows.
    """
    total = sum(weight for weight, _ in lines.values())
    left = pool - sum(given for _, given in lines.values())
    search = fit(cap=min(pool, total), left=left, total=total)
    try:
        candidate = next(search)
        while True:
            raises = [(w, w * candidate // total - g) for w, g in lines.values()]
            candidate = search.send((sum(r for _, r in raises if r > 0), sum(w for w, r in raises if r > 0)))
    except StopIteration as found:
        return int(found.value)


def fit(*, cap: int, left: int, total: int) -> Generator[int, tuple[int, int], int]:
    """
    Search the largest P′ from 0 to `cap` whose raises sum up to no more than `left`.

    Yields a candidate and is sent what its raises need and the weights of the lines it raises; who asks
    computes these, in Python or in the database. Without rounding the need is convex and piecewise linear in P′, so
    Newton's step from above lands at or near the answer; bisection bounds the number of questions.
    """
    low, high = 0, cap + 1  # low always fits: nothing is raised at 0; high never does
    if cap <= 0 or left < 0:
        return 0
    candidate, stride, since_halved, width = cap, 1, 0, high - low
    while True:
        needed, weights = yield candidate
        fits = needed <= left
        low, high = (candidate, high) if fits else (low, candidate)
        if high - low <= 1:
            return low
        since_halved = since_halved + 1 if 2 * (high - low) > width else 0
        if since_halved == 0:
            width = high - low
        guess = candidate + (left - needed) * total // weights if weights else low
        if since_halved > 3:
            guess, since_halved, width = (low + high) // 2, 0, high - low
        elif not low < guess < high or guess == candidate:
            guess = low + stride if fits else high - stride
            stride *= 2
        candidate = min(max(guess, low + 1), high - 1)


def largest_remainder(
    lines: Mapping[str, tuple[int, int]], *, pool: int, tie: Callable[[str], bytes]
) -> dict[str, int]:
    """
    Cumulative shares of a final round: rounded down, then one unit more for the largest remainders while any is left.

    `lines` is as in effective_pool. Among equal remainders the smaller tie(number) comes first. A line that holds
    more than its share keeps that and takes no part.
    """
    total = sum(weight for weight, _ in lines.values())
    shared = effective_pool(lines, pool=pool)
    shares = {number: weight * shared // total if total else 0 for number, (weight, _) in lines.items()}
    left = pool - sum(max(shares[number], given) for number, (_, given) in lines.items())
    waiting = [
        (-(weight * shared % total), tie(number), number)
        for number, (weight, given) in lines.items()
        if total and weight * shared % total and shares[number] >= given
    ]
    for _, _, number in sorted(waiting)[: max(0, left)]:
        shares[number] += 1
    return shares
