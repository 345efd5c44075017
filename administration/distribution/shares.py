"""
The share rule as SQL over all lines at once: whole numbers in PostgreSQL's numeric, exact at any size.

The rule itself stands in administration/amounts.py; tests hold the two equal. Every statement reads the same
lines, `LINES`: what shares, with its weight w, its disputed quantity d, what it was given g and what of that
it keeps k (all of it, unless its claim was lowered since: then only what is on its way or arrived).

With T = Σ(w + d) and P′ of the pool, a line's cumulative share is floor(w · P′ / T): div() of numeric divides
exactly and drops the rest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

RANGE = 50_000  # claim lines of one INSERT: each range joins in memory, in order of the key

# %(shares)s: one row for each asset and class that shares.
SHARES = """unnest(
    %(assets)s::bigint[], %(classes)s::text[], %(reserves)s::boolean[], %(earlier)s::bigint[], %(pools)s::numeric[],
    %(totals)s::numeric[]
) AS s (asset_id, claim_class, reserve, earlier, pool, total)"""

# What a line was given and keeps, by what happened in the case before.
NOTHING_YET = "0::numeric AS given, 0::numeric AS kept"  # no run was declared: positions need not be read
KEEPS_ALL = "p.given, p.given AS kept"
# A claim below what it was in the last declared run has been lowered by a decision since.
KEEPS = """p.given, CASE WHEN e.weight > l.admitted + l.converted_in - l.converted_out
            THEN least(p.given, p.scheduled + p.in_flight + p.settled + p.deposited) ELSE p.given END AS kept"""
POSITION = """
    JOIN register_position p ON p.claim_line_id = l.id"""
EARLIER = """
    LEFT JOIN distribution_entitlement e ON e.run_id = s.earlier AND e.claim_line_id = l.id"""
IN_RANGE = " AND l.id > %(after)s AND l.id <= %(until)s"
POSITION_IN_RANGE = " AND p.claim_line_id > %(after)s AND p.claim_line_id <= %(until)s"


class Before(Enum):
    """What happened in the case before this run."""

    NOTHING = "nothing was given yet"
    GIVEN = "something was given, by no run of this room's"
    DECLARED = "an earlier run was declared"


def lines(*, before: Before, ranged: bool = False) -> str:
    """The lines that share. `ranged`: only those of an id range."""
    given = {Before.NOTHING: NOTHING_YET, Before.GIVEN: KEEPS_ALL, Before.DECLARED: KEEPS}[before]
    position = "" if before is Before.NOTHING else POSITION
    return f"""
    SELECT l.id, l.asset_id, s.pool, s.total,
           greatest(0, l.admitted + l.converted_in - l.converted_out) AS weight,
           CASE WHEN s.reserve THEN l.disputed ELSE 0 END AS disputed, {given}
    FROM register_claimline l
    JOIN {SHARES} ON s.asset_id = l.asset_id AND s.claim_class = l.claim_class{position}{
        EARLIER if before is Before.DECLARED else ""
    }
    WHERE l.case_id = %(case)s{IN_RANGE if ranged else ""}{POSITION_IN_RANGE if ranged and position else ""}"""  # noqa: S608 - of our own texts only


def totals(*, before: Before) -> str:
    """Per asset: how many lines share, T, what they were given, what they keep, and whether anything is disputed."""
    return f"""
SELECT asset_id, count(*), sum(weight + disputed), sum(given), sum(kept), sum(disputed)
FROM ({lines(before=before)}) l GROUP BY asset_id"""  # noqa: S608 - of our own texts only


def needed(*, before: Before) -> str:
    """Per asset: what the raises at a candidate P′ add up to, and the weight of the lines that are raised."""
    return f"""
SELECT asset_id, sum(greatest(share - kept, 0)), coalesce(sum(weight + disputed) FILTER (WHERE share > kept), 0)
FROM (SELECT *, div((weight + disputed) * pool, total) AS share FROM ({lines(before=before)}) l OFFSET 0) l
GROUP BY asset_id"""  # noqa: S608 - of our own texts only


INTO = """INSERT INTO distribution_entitlement
    (run_id, claim_line_id, asset_id, weight, disputed, given, kept, cumulative, amount)"""


def entitle(*, before: Before) -> str:
    """Write what each line of a range is given: its share rounded down, or what it keeps, less what it was given."""
    amount = "share" if before is Before.NOTHING else "greatest(0, greatest(kept, share) - given)"
    return _summed(
        f"""{INTO}
SELECT %(run)s, id, asset_id, weight, disputed, given, kept, share, {amount}
FROM (SELECT *, div(weight * pool, total) AS share FROM ({lines(before=before, ranged=True)}) l OFFSET 0) l""",  # noqa: S608 - of our own texts only
        before,
    )


def entitle_by_largest_remainder(*, before: Before) -> str:
    """
    As above for a final round: the units that rounding down would leave go one by one to the largest remainders.

    %(left)s: the units there are to give for each asset. The remainder at which they end is found by sorting numbers;
    only among equals of that one do ties go by SHA-256 of the inputs' hash and the line's number.
    """
    tie = " || ".join(map(framed, ("%(inputs)s::text", "c.number", "a.code", "cl.claim_class")))
    return _summed(
        f"""{INTO}
SELECT %(run)s, id, asset_id, weight, disputed, given, kept, share, greatest(0, greatest(kept, share) - given)
FROM (
    WITH base AS MATERIALIZED (
        SELECT l.*, weight * pool - down * total AS rest,
               weight * pool - down * total > 0 AND down >= kept AS raised
        FROM (SELECT *, div(weight * pool, total) AS down FROM ({lines(before=before)}) l OFFSET 0) l
    ), cut AS (
        SELECT r.asset_id, r.rest, x.units - r.above AS units
        FROM (
            SELECT asset_id, rest, row_number() OVER larger AS n, rank() OVER larger - 1 AS above
            FROM base WHERE raised WINDOW larger AS (PARTITION BY asset_id ORDER BY rest DESC)
        ) r
        JOIN unnest(%(left_assets)s::bigint[], %(left)s::numeric[]) AS x (asset_id, units)
            ON x.asset_id = r.asset_id AND x.units = r.n
    ), tied AS (
        SELECT b.id, row_number() OVER (PARTITION BY b.asset_id ORDER BY sha256({tie})) AS n
        FROM base b
        JOIN cut ON cut.asset_id = b.asset_id AND cut.rest = b.rest
        JOIN register_claimline cl ON cl.id = b.id
        JOIN register_claim c ON c.id = cl.claim_id
        JOIN books_asset a ON a.id = b.asset_id
        WHERE b.raised
    )
    SELECT b.*, down + CASE WHEN raised AND (b.rest > cut.rest OR tied.n <= cut.units) THEN 1 ELSE 0 END AS share
    FROM base b LEFT JOIN cut ON cut.asset_id = b.asset_id LEFT JOIN tied ON tied.id = b.id
    OFFSET 0
) l
ORDER BY id""",  # noqa: S608 - of our own texts only
        before,
    )


def _summed(insert: str, before: Before) -> str:
    """
    The same INSERT, answering per asset what was written: lines, weights, given, kept, given now, taken back, raised.

    Taken back is what lowered claims hold above their share; raised is what shares come to above what is kept.
    """
    sums = """sum(given), sum(kept), sum(amount), sum(greatest(given - greatest(kept, cumulative), 0)),
       sum(greatest(cumulative - kept, 0))"""
    if before is Before.NOTHING:
        sums = "0, 0, sum(amount), 0, sum(amount)"
    return f"""
WITH written AS ({insert} RETURNING asset_id, weight, disputed, given, kept, cumulative, amount)
SELECT asset_id, count(*), sum(weight + disputed), {sums} FROM written GROUP BY asset_id"""  # noqa: S608 - of our own texts only


# Per asset, what is set aside for quantities in dispute: their shares as if admitted, above what their lines get.
RESERVED = """
SELECT e.asset_id,
       sum(greatest(div((weight + disputed) * s.pool, s.total) - kept, 0) - greatest(cumulative - kept, 0))
FROM distribution_entitlement e
JOIN unnest(%(asset)s::bigint[], %(pool)s::numeric[], %(total)s::numeric[]) AS s (asset_id, pool, total)
    ON s.asset_id = e.asset_id
WHERE e.run_id = %(run)s AND e.disputed > 0 GROUP BY e.asset_id"""


def framed(text: str) -> str:
    """frame() of the record, written out: the planner does not inline the function, and a million calls are felt."""
    return f"int4send(octet_length({text})) || convert_to({text}, 'UTF8')"


@dataclass
class Shared:
    """One asset as these statements see it: who shares, and the figures as they become known."""

    asset_id: int
    classes: tuple[str, ...]
    reserve: bool
    earlier: int | None = None  # the last declared run this asset was in
    lines: int = 0
    total: int = 0  # T
    given: int = 0
    kept: int = 0
    disputed: int = 0
    pool: int = 0  # everything ever put aside
    effective: int = 0  # P′


def parameters(case_id: int, shared: Iterable[Shared], **more: Any) -> dict[str, Any]:
    """What the statements ask for: one row for each asset and class."""
    rows = [(one, name) for one in shared for name in one.classes]
    return {
        "case": case_id,
        "assets": [one.asset_id for one, _ in rows],
        "classes": [name for _, name in rows],
        "reserves": [one.reserve for one, _ in rows],
        "earlier": [one.earlier for one, _ in rows],
        "pools": [one.effective for one, _ in rows],
        "totals": [max(1, one.total) for one, _ in rows],  # T = 0: nobody claims anything, and P′ is 0
        **more,
    }
