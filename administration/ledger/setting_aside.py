"""
Rows that are not taken into the ledger, and findings that are accepted with a remark: by outcome, signed by two people.

An outcome is chosen for a kind of finding before the inspection; what nobody chose one for refuses the package. A row set
aside stays named, with what hangs on it: its difference to the control total goes into named suspense, so totals tie.

    NotAnOutcome   this kind of finding cannot be dealt with so, or nobody says why
"""

# ruff: noqa: S608 - statements are put together from names of our own tables, never from what is read

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from administration.errors import Refused
from administration.ledger import package
from administration.ledger.delivered import RowSetAside
from administration.ledger.findings import ASIDE, REMARK
from administration.ledger.origins import Origins
from administration.ledger.package import Table
from administration.ledger.staging import SCRATCH, TABLES, Package

# Faults of one row, which the rest of the ledger can do without. What concerns a whole file is never among them.
ASIDE_KINDS = frozenset({
    "bad_date", "bad_instant", "era_does_not_fit", "not_a_number", "negative_not_declared", "full_width_digits", "exponent",
    "inexact_number", "unknown_value", "too_wide", "cell_error", "too_long", "empty", "control_character", "not_a_hash",
    "ragged_row", "blank_row", "not_utf8", "too_many_decimals", "unknown_asset", "unknown_account", "unknown_customer",
    "duplicate_customer", "duplicate_account", "duplicate_balance", "duplicate_row", "negative_holding", "evidence_missing",
    "evidence_hash", "proof_missing", "not_plain", "bad_form",
})  # fmt: skip
REMARK_KINDS = frozenset({"control_count_differs"})
PARENT = "parent_set_aside"
BATCH = 5_000


class NotAnOutcome(Refused):
    """This kind of finding cannot be dealt with so, or nobody says why."""


def checked(outcomes: Mapping[str, Any] | None) -> dict[str, dict[str, str]]:
    """The outcomes as they are kept: kind → what becomes of it, and why."""
    found = {}
    for kind, one in (outcomes or {}).items():
        outcome, remark = str(one.get("outcome", "")), str(one.get("remark", "")).strip()
        if kind not in {ASIDE: ASIDE_KINDS, REMARK: REMARK_KINDS}.get(outcome, ()):
            raise NotAnOutcome(_("Findings of the kind “%(kind)s” cannot be dealt with so: they refuse the package.") % {"kind": kind})
        if not remark:
            raise NotAnOutcome(_("Say why, for each kind: it is part of what is signed."))
        found[kind] = {"outcome": outcome, "remark": remark}
    return found


def any_aside(outcomes: Mapping[str, Any]) -> bool:
    return any(one["outcome"] == ASIDE for one in outcomes.values())


def apply(this: Package) -> None:
    """Take the rows that are to be set aside out of staging, and with them what hangs on them."""
    if this.key == SCRATCH:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM ledger_staging_aside WHERE intake = %s)", [this.key])
        if not cursor.fetchone()[0]:
            return
        _remember_amounts(cursor, this.key)
        _take_out(cursor, this.key, package.CUSTOMERS)
        _orphans(cursor, this.key, package.ACCOUNTS, package.CUSTOMERS, "customer_id", "The customer of this account was set aside.")
        _remember_amounts(cursor, this.key)
        _take_out(cursor, this.key, package.ACCOUNTS)
        for table in (package.BALANCES, package.BANK_ACCOUNTS, package.WITHDRAWAL_ADDRESSES, package.HOLDS):
            _orphans(cursor, this.key, table, package.ACCOUNTS, "account_id", "The account of this row was set aside.")
        _remember_amounts(cursor, this.key)
        for table in this.manifest.tables:
            _take_out(cursor, this.key, table)


def _take_out(cursor: Any, key: int, table: Table) -> None:
    cursor.execute(
        f"""DELETE FROM {TABLES[table.file]} staged USING ledger_staging_aside aside
            WHERE staged.intake = %s AND aside.intake = staged.intake AND aside.file = %s AND aside."row" = staged."row" """,
        [key, table.file],
    )


def _orphans(cursor: Any, key: int, table: Table, parent: Table, column: str, reason: str) -> None:
    cursor.execute(
        f"""INSERT INTO ledger_staging_aside (intake, file, "row", kind, reason)
            SELECT intake, %s, "row", '{PARENT}', %s FROM {TABLES[table.file]} child WHERE intake = %s AND NOT EXISTS (
                SELECT FROM {TABLES[parent.file]} parent WHERE parent.intake = child.intake AND parent.{column} = child.{column})
            ON CONFLICT DO NOTHING""",
        [table.file, reason, key],
    )


def _remember_amounts(cursor: Any, key: int) -> None:
    """What a balance says that is set aside, and of which account."""
    cursor.execute(
        """UPDATE ledger_staging_aside aside SET account_id = staged.account_id, asset = staged.asset, product = staged.product,
               amount = staged.amount
           FROM ledger_staging_balances staged WHERE aside.intake = %s AND staged.intake = aside.intake AND aside.file = %s
           AND aside."row" = staged."row" """,
        [key, package.BALANCES.file],
    )
    cursor.execute(
        """UPDATE ledger_staging_aside aside SET account_id = staged.account_id FROM ledger_staging_accounts staged
           WHERE aside.intake = %s AND staged.intake = aside.intake AND aside.file = %s AND aside."row" = staged."row" """,
        [key, package.ACCOUNTS.file],
    )


def keep(intake_id: int, this: Package) -> dict[tuple[str, str], tuple[int, int]]:
    """Name every row set aside for good; per asset and product: what they say where it can be read, and how many they are."""
    places = {asset.code: asset.scale for asset in this.manifest.assets}
    origins = Origins.of(Path(this.directory))
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT file, "row", kind, reason, coalesce(account_id, ''), coalesce(asset, ''), coalesce(product, ''), amount::text
               FROM ledger_staging_aside WHERE intake = %s ORDER BY array_position(%s::text[], file), "row" """,
            [this.key, list(TABLES)],
        )
        while found := cursor.fetchmany(BATCH):
            rows = []
            for file, row, kind, reason, account, asset, product, amount in found:
                units = _units(amount, places.get(asset))
                rows.append(RowSetAside(
                    intake_id=intake_id, file=file, row=row, kind=kind, reason=reason, account_ref=account, asset_code=asset, product=product,
                    amount=units, origin=str((origins and origins.row(file, row)) or ""),
                ))  # fmt: skip
                if file == package.BALANCES.file:
                    sum_, many = sums.get((asset, product), (0, 0))
                    sums[asset, product] = (sum_ + (units or 0), many + 1)
            RowSetAside.objects.bulk_create(rows)
    return sums


def _units(amount: str | None, scale: int | None) -> int | None:
    if amount is None or scale is None:
        return None
    sign, digits = ("-", amount[1:]) if amount.startswith("-") else ("", amount)
    whole, _point, rest = digits.partition(".")
    rest = rest.rstrip("0")
    return None if len(rest) > scale else int(sign + whole + rest.ljust(scale, "0"))


def again(intake_id: int) -> None:
    """Take the same rows out of a staging that was read again."""
    with connection.cursor() as cursor:
        for file, staging in TABLES.items():
            cursor.execute(
                f"""DELETE FROM {staging} staged USING ledger_rowsetaside aside
                    WHERE staged.intake = %s AND aside.intake_id = staged.intake AND aside.file = %s AND aside."row" = staged."row" """,
                [intake_id, file],
            )


def between(intake_id: int, file: str, after: int, upto: int) -> int:
    """How many rows of a range are set aside."""
    return RowSetAside.objects.filter(intake_id=intake_id, file=file, row__gt=after, row__lte=upto).count()
