"""
The end of an inspection: do the rows add up to what the exchange's other books say?

A difference is only called one where every row can be read; where rows cannot, it is said that nothing was compared.
"""

# ruff: noqa: S608 - statements are put together from names of our own tables, never from what is read

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection

from administration import amounts
from administration.ledger import package
from administration.ledger.findings import QUARANTINE, REFUSE, STAGED, WARN, Findings, Found, Report, Total
from administration.ledger.package import Table
from administration.ledger.staging import TABLES, Package

WORK_MEM = "40MB"  # for checks of the whole: balances are grouped and joined in memory; a hash may take twice that

SCALES = "unnest(%s::text[], %s::int[]) AS assets(asset, places)"


def scales(this: Package) -> list[Any]:
    return [[asset.code for asset in this.manifest.assets], [asset.scale for asset in this.manifest.assets]]


def later_ones(this: Package, table: Table) -> tuple[str, list[Any]]:
    """The rows whose key stood in an earlier row, and that row. An asset nobody knows makes no key."""
    key = ", ".join(map(connection.ops.quote_name, table.key))
    params: list[Any] = [this.key]
    known = ""
    if "asset" in table.key:
        known = "AND asset = ANY(%s)"
        params.append([asset.code for asset in this.manifest.assets])
    return (
        f"""SELECT "row", shown FROM (
            SELECT "row", row_number() OVER same AS nth, first_value("row") OVER same AS shown
            FROM {TABLES[table.file]} WHERE intake = %s {known} WINDOW same AS (PARTITION BY {key} ORDER BY "row")
        ) keyed WHERE nth > 1""",
        params,
    )


def conclude(this: Package) -> Report:
    """Compare with the control totals, and say everything that was found."""
    sums = _sums(this)
    Findings(this.key).add([*_compare(this, sums), *_negatives(this, sums)])
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT kind, severity, file, "row", "column", reason, remedy, rows FROM {STAGED} WHERE intake = %s
                ORDER BY array_position(ARRAY['refuse', 'quarantine', 'warn'], severity),
                         array_position(%s::text[], file), "row" NULLS LAST, "column", kind""",
            [this.key, [package.MANIFEST, *TABLES]],
        )
        findings = tuple(Found(*row) for row in cursor.fetchall())
        cursor.execute("SELECT count(*) FROM ledger_staging_accounts WHERE intake = %s", [this.key])
        (accounts,) = cursor.fetchone()
    places = {asset.code: asset.scale for asset in this.manifest.assets}
    totals = tuple(
        Total(
            asset, product,
            declared=total.declared if total else None,
            declared_accounts=total.accounts if total else None,
            source=total.source if total else "none",
            computed=sums[asset, product].units if (asset, product) in sums else 0,
            computed_accounts=sums[asset, product].rows if (asset, product) in sums else 0,
        )
        for asset, product, total in _pairs(this, sums)
        if asset in places
    )  # fmt: skip
    return Report(accounts, sum(one.rows for one in sums.values()), totals, findings)


@dataclass(frozen=True)
class _Sum:
    """What the rows of one asset and product add up to; `rest` is what of it no row can be read for."""

    rows: int
    unreadable: int
    units: int
    negative: int
    first_negative: int | None


def _sums(this: Package) -> dict[tuple[str, str], _Sum]:
    """Per asset and product, duplicates counted once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEM])
        cursor.execute(
            f"SELECT EXISTS (SELECT FROM {STAGED} WHERE intake = %s AND kind = 'duplicate_balance')", [this.key]
        )
        (doubled,) = cursor.fetchone()
        later, params = later_ones(this, package.BALANCES) if doubled else ("", [])
        without = f'AND "row" NOT IN (SELECT "row" FROM ({later}) later)' if doubled else ""
        cursor.execute(
            f"""SELECT asset, product, count(*), count(*) FILTER (WHERE amount IS NULL OR scale(trim_scale(amount)) > places),
                       trunc(coalesce(sum(amount), 0) * ('1e' || coalesce(places, 0))::numeric)::text,
                       count(*) FILTER (WHERE amount < 0), min("row") FILTER (WHERE amount < 0)
                FROM ledger_staging_balances LEFT JOIN {SCALES} USING (asset)
                WHERE intake = %s {without} GROUP BY asset, product, places""",
            [*scales(this), this.key, *params],
        )
        return {
            (asset, product): _Sum(rows, unreadable, int(units), negative, first)
            for asset, product, rows, unreadable, units, negative, first in cursor.fetchall()
        }


def _pairs(this: Package, sums: dict[tuple[str, str], _Sum]) -> list[tuple[str, str, package.ControlTotal | None]]:
    """Every asset and product that is declared or has rows, the declared ones first."""
    declared = [(total.asset, total.product, total) for total in this.manifest.control_totals]
    named = {(asset, product) for asset, product, _ in declared}
    return [*declared, *((asset, product, None) for asset, product in sorted(sums) if (asset, product) not in named)]


def _compare(this: Package, sums: dict[tuple[str, str], _Sum]) -> Iterator[Found]:
    """Differences that nothing found so far explains. Where rows cannot be read, there is nothing to compare."""
    places = {asset.code: asset.scale for asset in this.manifest.assets}
    astray = any(asset not in places or product not in package.PRODUCTS for asset, product in sums) or (not this.aside and unread(this, package.BALANCES))
    severity = QUARANTINE if this.suspend else REFUSE
    for place, total in enumerate(this.manifest.control_totals):
        there = sums.get((total.asset, total.product), _Sum(0, 0, 0, 0, None))
        difference = total.declared - there.units
        lacking = total.accounts - there.rows
        if there.unreadable or (astray and lacking > 0 and difference):
            yield Found(
                "control_total_not_compared", WARN, package.MANIFEST, None, f"control_totals[{place}].declared",
                f"{total.asset} {total.product}: rows of it cannot be read or placed, so its total was not compared.",
                "Mend those rows and look again.", rows=max(there.unreadable, lacking),
            )  # fmt: skip
        elif difference:
            scale = places[total.asset]
            kind = "control_total_off_by_one" if abs(difference) == 1 else "control_total_differs"
            yield Found(
                kind, severity, package.MANIFEST, None, f"control_totals[{place}].declared",
                f"{total.asset} {total.product}: {amounts.show(total.declared, scale)} is declared ({total.source}), the "
                f"rows add up to {amounts.show(there.units, scale)}: a difference of {amounts.show(difference, scale)}.",
                "Find the rows that are missing or too many, or the mistake in the total.",
            )  # fmt: skip
        elif lacking:
            yield Found(
                "control_count_differs", severity, package.MANIFEST, None, f"control_totals[{place}].accounts",
                f"{total.asset} {total.product}: {total.accounts} balances are declared, there are {there.rows}.",
                "Find the rows that are missing or too many, or the mistake in the count.",
            )  # fmt: skip
    for asset, product, declared in _pairs(this, sums):
        if declared is None and asset in places and product in package.PRODUCTS:
            yield Found(
                "no_control_total", WARN, package.MANIFEST, None, "control_totals",
                f"Nothing is declared for {asset} {product}; its rows stand unchecked.", "Ask for a total from another book.",
            )  # fmt: skip


UNREAD = (
    "blank_row", "ragged_row", "unreadable_row", "not_utf8", "header", "byte_order_mark", "line_ending", "my_number", "not_converted",
)  # fmt: skip


def unread(this: Package, table: Table) -> bool:
    """Whether rows of a table could not be read at all, and so are missing from every sum and every comparison."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT FROM {STAGED} WHERE intake = %s AND file = %s AND kind = ANY(%s))",
            [this.key, table.file, list(UNREAD)],
        )
        return bool(cursor.fetchone()[0])


def _negatives(this: Package, sums: dict[tuple[str, str], _Sum]) -> Iterator[Found]:
    many = sum(one.negative for one in sums.values())
    if many:
        yield Found(
            "negative_balance", WARN, package.BALANCES.file,
            min(one.first_negative for one in sums.values() if one.first_negative is not None), "amount",
            f"{many} balances are negative: the customer owes the exchange.",
            "Say at acceptance what becomes of them. Nobody else's share is lowered by them unless so decided.", rows=many,
        )  # fmt: skip
