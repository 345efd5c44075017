"""
Amounts of value: whole counts of an asset's smallest unit, always `int`.

`scale` is the number of decimal places of the ledger (yen 0, bitcoin 8, ether 18). Decimal text exists
only at the edges: parse() on the way in, show() on the way out. Nothing here rounds silently.
"""

import re
from collections.abc import Mapping

# Digits are ASCII only: full-width digits, exponents, NaN, signs other than "-" are not amounts.
_AMOUNT = re.compile(r"(-?)([0-9]{1,60})(?:\.([0-9]{1,36}))?", re.ASCII)


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
    The largest whole number P′ ≤ `pool` for which the raises of all lines fit in what is left.

    `lines` maps a line's number to (weight, given). `pool` is everything ever put aside for these lines, what was given
    included. P′ equals `pool` unless some lines already hold more than their share (a late admission, or
    a lowered claim): then the others catch up only as far as the pool allows.
    """
    total = sum(weight for weight, _ in lines.values())
    left = pool - sum(given for _, given in lines.values())
    if total == 0 or left <= 0:
        return 0

    def needed(candidate: int) -> int:
        return sum(raise_to_share(w, pool=candidate, total=total, given=g) for w, g in lines.values())

    low, high = 0, pool
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if needed(middle) <= left else (low, middle - 1)
    return low
