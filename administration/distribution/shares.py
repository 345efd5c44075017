"""
The share rule as SQL over all lines at once: whole numbers in PostgreSQL's numeric, exact at any size.

The rule itself stands in administration/amounts.py; tests hold the two equal. Every statement reads the same
lines, functions of the first migration: what shares, with its weight w, its disputed quantity d, what it was given g and
what of that it keeps k (all of it, unless its claim was lowered since: then only what is on its way or arrived).

With T = Σ(w + d) and P′ of the pool, a line's cumulative share is floor(w · P′ / T): div() of numeric divides
exactly and drops the rest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Before(Enum):
    """What happened in the case before this run; each has its function of lines."""

    NOTHING = "first"  # nothing was given yet
    GIVEN = "given"  # something was given, by no run of this room's
    DECLARED = "later"  # an earlier run was declared


ARGUMENTS = """%(assets)s::bigint[], %(classes)s::text[], %(reserves)s::boolean[], %(earlier)s::bigint[],
    %(pools)s::numeric[], %(totals)s::numeric[]"""


def lines(*, before: Before) -> str:
    """The lines that share: id, claim_id, asset_id, claim_class, pool, total, weight, disputed, given, kept."""
    return f"distribution_lines_{before.value}(%(case)s, {ARGUMENTS}) l"


def totals(*, before: Before) -> str:
    """Per asset: how many lines share, T, what they were given, what they keep, and whether anything is disputed."""
    before_now = "0, 0" if before is Before.NOTHING else "sum(given), sum(kept)"
    return f"""
SELECT asset_id, count(*), sum(weight) + coalesce(sum(disputed) FILTER (WHERE disputed <> 0), 0), {before_now},
       coalesce(sum(disputed) FILTER (WHERE disputed <> 0), 0)
FROM {lines(before=before)} GROUP BY asset_id"""  # noqa: S608 - of our own texts only


def needed(*, before: Before) -> str:
    """Per asset: what the raises at a candidate P′ add up to, and the weight of the lines that are raised."""
    return f"""
SELECT asset_id, sum(greatest(share - kept, 0)), coalesce(sum(weight + disputed) FILTER (WHERE share > kept), 0)
FROM (SELECT *, div((weight + disputed) * pool, total) AS share FROM {lines(before=before)} OFFSET 0) l
GROUP BY asset_id"""  # noqa: S608 - of our own texts only


# --- largest remainder ------------------------------------------------------------------------

# The units that rounding down leaves go one by one to the largest remainders. Sorting a million remainders is slow, and
# only one is looked for: the one at which the units end. So they are counted in slots of T / SLOTS first, and then only
# those in the slot where the units end are sorted.
SLOTS = 1000


def slots(*, before: Before) -> str:
    """Per asset and slot: what the raises add up to, and how many lines stand to get one unit more."""
    part = f"div(weight * (pool * {SLOTS}), total)"  # of P', in parts of SLOTS: its last digits are the slot
    if before is Before.NOTHING:  # nothing is kept: what all lines of a slot raise follows from the sum of their parts
        return f"""
SELECT asset_id, slot, div(parts - n * slot, {SLOTS}), n FROM (
    SELECT asset_id, mod({part}, {SLOTS})::int AS slot, sum({part}) AS parts, count(*) AS n
    FROM {lines(before=before)} GROUP BY 1, 2
) l"""  # noqa: S608 - of our own texts only
    return f"""
SELECT asset_id, mod(part, {SLOTS})::int, sum(greatest(div(part, {SLOTS}) - kept, 0)),
       count(*) FILTER (WHERE div(part, {SLOTS}) >= kept)
FROM (SELECT asset_id, kept, {part} AS part FROM {lines(before=before)} OFFSET 0) l
GROUP BY 1, 2"""  # noqa: S608 - of our own texts only


def cuts(*, before: Before) -> str:
    """
    Per asset: the remainder at which the units end, how many of them are left for it, and the lines that have it.

    %(cut_assets)s, %(low)s, %(high)s, %(units)s: remainders of the slot (low ≤ rest < high) and the units that reach it.
    """
    rest = "mod(l.weight * l.pool, l.total)"
    and_not_above = "" if before is Before.NOTHING else " AND (l.kept = 0 OR div(l.weight * l.pool, l.total) >= l.kept)"
    return f"""
SELECT asset_id, rest, units - passed, CASE WHEN n > units - passed THEN ids ELSE '{{}}' END
FROM (
    SELECT *, sum(n) OVER (PARTITION BY asset_id ORDER BY rest DESC) - n AS passed
    FROM (
        SELECT l.asset_id, x.units, {rest} AS rest, count(*) AS n, array_agg(l.id) AS ids
        FROM {lines(before=before)}
        JOIN unnest(%(cut_assets)s::bigint[], %(low)s::numeric[], %(high)s::numeric[], %(units)s::bigint[])
            AS x (asset_id, low, high, units) ON x.asset_id = l.asset_id
        WHERE numrange(greatest(x.low, 1), x.high) @> {rest}{and_not_above}
        GROUP BY 1, 2, 3
    ) r
) r
WHERE passed < units AND passed + n >= units"""  # noqa: S608 - of our own texts only


def chosen() -> str:
    """Of lines with equal remainders, those that get one unit more: the smallest by SHA-256 of inputs' hash and line."""
    tie = " || ".join(map(framed, ("%(inputs)s::text", "c.number", "a.code", "l.claim_class")))
    return f"""
SELECT id FROM (
    SELECT l.id, x.units, row_number() OVER (PARTITION BY l.asset_id ORDER BY sha256({tie})) AS n
    FROM unnest(%(tied)s::bigint[]) AS tied (id)
    JOIN register_claimline l ON l.id = tied.id
    JOIN register_claim c ON c.id = l.claim_id
    JOIN books_asset a ON a.id = l.asset_id
    JOIN unnest(%(tied_assets)s::bigint[], %(tied_units)s::bigint[]) AS x (asset_id, units) ON x.asset_id = l.asset_id
) l WHERE n <= units"""  # noqa: S608 - of our own texts only


def framed(text: str) -> str:
    """frame() of the record, written out: the planner does not inline the function, and a million calls are felt."""
    return f"int4send(octet_length({text})) || convert_to({text}, 'UTF8')"


# --- what is written --------------------------------------------------------------------------

ENTITLE = f"SELECT distribution_entitle(%(run)s, %(before)s, {ARGUMENTS}, %(lifts)s::numeric[], %(chosen)s::bigint[])"


def written(*, before: Before) -> str:
    """
    Per asset, what was written: given now, taken back, raised.

    Taken back is what lowered claims hold above their share; raised is what shares come to above what is kept. That the
    lines, their weights and what they were given are those that the totals were made of, the closing checks.
    """
    sums = "sum(greatest(given - greatest(kept, cumulative), 0)), sum(greatest(cumulative - kept, 0))"
    if before is Before.NOTHING:
        sums = "0, sum(amount)"
    return f"""
SELECT asset_id, sum(amount), {sums}
FROM distribution_entitlement WHERE run_id = %(run)s GROUP BY asset_id"""  # noqa: S608 - of our own texts only


# Per asset, what is set aside for quantities in dispute: their shares as if admitted, above what their lines get.
RESERVED = """
SELECT e.asset_id,
       sum(greatest(div((weight + disputed) * s.pool, s.total) - kept, 0) - greatest(cumulative - kept, 0))
FROM distribution_entitlement e
JOIN unnest(%(asset)s::bigint[], %(pool)s::numeric[], %(total)s::numeric[]) AS s (asset_id, pool, total)
    ON s.asset_id = e.asset_id
WHERE e.run_id = %(run)s AND e.disputed > 0 GROUP BY e.asset_id"""


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
    lift: int = 0  # what carries the largest remainders over the next whole number, in parts of 1/T


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
