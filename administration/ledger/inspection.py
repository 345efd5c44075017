"""
Looking at a handover package, step by step: read its tables into staging, check them set-based, conclude.

The same steps serve a package received into a case (a job does one step a chunk) and one that is only validated
(all steps at once on temporary tables of the same names, which leave nothing behind). Form is checked while reading;
what rows have to do with each other is checked in the database.
"""

# ruff: noqa: S608 - statements are put together from names of our own tables, never from what is read

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from django.db import connection, transaction

from administration.ledger import entries, package, remarks, sessions, setting_aside, staging
from administration.ledger.control_totals import SCALES, WORK_MEM, conclude, later_ones, scales, unread
from administration.ledger.findings import (
    REFUSE,
    WARN,
    Ahead,
    Findings,
    Found,
    Report,
    Which,
    found_nothing,
    from_faults,
    is_nothing,
    looking,
)
from administration.ledger.package import Table
from administration.ledger.sessions import Meanwhile
from administration.ledger.staging import SCRATCH, TABLES, Package

WORTH_TWO = 20_000  # rows from which on a second session pays

# --- the steps --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """Where the next step begins, how many rows are read, and what is being done."""

    cursor: str
    done: int
    phase: str
    finished: bool = False


def step(this: Package, cursor: str) -> Step:
    """Do the next step. Undone as a whole if the transaction around it is, and then done again; the first, if the server fell."""
    if this.key != SCRATCH and (not cursor or staging.is_lost(this.key)):
        cursor = ""
        staging.begin(this.key)
    state = json.loads(cursor or '{"table": 0, "offset": 0, "row": 2, "done": 0, "check": -1}')
    if state["check"] < 0:
        phase = this.manifest.tables[state["table"]].file
        if staging.read(this, state):
            state["check"] = 0
        return Step(json.dumps(state), state["done"], phase)
    phase, check = _CHECKS[state["check"]]
    with connection.cursor() as query:
        query.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEM])
    known = Ahead(only_looking=False, nothing={tuple(which) for which in state.get("nothing", {}).pop(phase, ())})
    later = _AHEAD.get(phase, ()) if _worth_two(this) else ()
    with Meanwhile(partial(_look_ahead, this, later)) if later else nullcontext() as other, looking(known):
        check(this)
    if other and other.result:
        state.setdefault("nothing", {}).update(other.result)
    state["check"] += 1
    return Step(json.dumps(state), state["done"], phase, finished=state["check"] == len(_CHECKS))


def _worth_two(this: Package) -> bool:
    return this.key != SCRATCH and this.total >= WORTH_TWO and sessions.are_worth_it()


def _look_ahead(this: Package, phases: Sequence[str], _other: object) -> dict[str, list[Which]]:
    """What later checks will look for and not find: seen by a second session, which writes nothing."""
    seen = {}
    with transaction.atomic():
        with connection.cursor() as query:
            query.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEM])
        for phase in phases:
            ahead = Ahead(only_looking=True)
            with looking(ahead):
                dict(_CHECKS)[phase](this)
            seen[phase] = sorted(ahead.nothing)
    return seen


def all_read(cursor: str) -> bool:
    """Whether every table is in staging."""
    return bool(json.loads(cursor)["check"] >= 0)


# --- what rows have to do with each other -----------------------------------------------------


def _duplicates(this: Package, table: Table, kind: str) -> None:
    """No two rows share the table's key; the later one is at fault. Hashes first: equal rows have equal hashes."""
    if is_nothing((table.file, table.key[-1], kind)):
        return
    staging, key = TABLES[table.file], [connection.ops.quote_name(name) for name in table.key]
    hashed = "0"
    for name in key:
        text = f"{name}::text" if name == '"at"' else name
        hashed = f"hashtextextended({text}, {hashed})"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT FROM {staging} WHERE intake = %s GROUP BY {hashed} HAVING count(*) > 1)", [this.key]
        )
        if not cursor.fetchone()[0]:
            found_nothing((table.file, table.key[-1], kind))
            return
    Findings(this.key).add_rows(
        table, table.key[-1], kind, *later_ones(this, table),
        reason="Row %s has the same " + ", ".join(table.key) + ".", remedy="Leave one of the rows out.",
    )  # fmt: skip


def _unknown(this: Package, table: Table, column: str, kind: str, parent: Table, parent_column: str) -> None:
    """Every `column` names a row of `parent`. Where rows of that cannot be read, nothing is said of those that do not."""
    orphans = f"""SELECT "row", {column} AS shown FROM {TABLES[table.file]} child WHERE intake = %s AND NOT EXISTS (
        SELECT FROM {TABLES[parent.file]} parent
        WHERE parent.intake = child.intake AND parent.{parent_column} = child.{column})"""
    findings = Findings(this.key)
    if unread(this, parent):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM ({orphans}) orphans", [this.key])
            (many,) = cursor.fetchone()
        if many:
            findings.add([
                Found(
                    "reference_not_compared", WARN, table.file, None, column,
                    f"{many} rows name what no readable row of {parent.file} has; rows of it cannot be read.",
                    "Mend those rows and look again.", rows=many,
                )
            ])  # fmt: skip
        return
    findings.add_rows(
        table, column, kind, orphans, [this.key],
        reason=f"There is no %s in {parent.file}.", remedy=f"Add it there, or correct the {column}.",
    )  # fmt: skip


def _unknown_asset(this: Package, table: Table, column: str = "asset") -> None:
    codes = [asset.code for asset in this.manifest.assets]
    Findings(this.key).add_rows(
        table, column, "unknown_asset",
        f"SELECT \"row\", {column} AS shown FROM {TABLES[table.file]} WHERE intake = %s AND {column} <> ALL(%s) AND {column} <> ''",
        [this.key, codes], reason="The asset %s is not in the manifest.",
        remedy="List the asset in the manifest, or write the code listed there. Codes are never guessed.",
    )  # fmt: skip


def _too_many_decimals(this: Package, table: Table, amount: str = "amount", asset: str = "asset") -> None:
    Findings(this.key).add_rows(
        table, amount, "too_many_decimals",
        f"""SELECT "row", {amount} || ' of ' || assets.asset AS shown FROM {TABLES[table.file]} staged
            JOIN {SCALES} ON assets.asset = staged.{asset} WHERE intake = %s AND scale(trim_scale({amount})) > places""",
        [*scales(this), this.key], reason="%s has more decimal places than the asset.",
        remedy="Write the amount as the ledger has it. Nothing is rounded here.",
    )  # fmt: skip


def _half_a_fee(this: Package) -> None:
    """A fee in no asset would be left out of the balance that is put together from the entries."""
    for given, missing in (("fee", "fee_asset"), ("fee_asset", "fee")):
        there = {"fee": "fee IS NOT NULL", "fee_asset": "fee_asset <> ''"}
        Findings(this.key).add_rows(
            package.TRADES, missing, "empty",
            f"""SELECT "row", {given}::text AS shown FROM {TABLES[package.TRADES.file]}
                WHERE intake = %s AND {there[given]} AND NOT ({there[missing]})""",
            [this.key], reason="There is a fee (%s), and only half of it is said.", remedy="Give fee and fee_asset, or neither.",
        )  # fmt: skip


def _check_customers(this: Package) -> None:
    _duplicates(this, package.CUSTOMERS, "duplicate_customer")


def _check_accounts(this: Package) -> None:
    _duplicates(this, package.ACCOUNTS, "duplicate_account")
    _unknown(this, package.ACCOUNTS, "customer_id", "unknown_customer", package.CUSTOMERS, "customer_id")


def _check_balances(this: Package) -> None:
    _duplicates(this, package.BALANCES, "duplicate_balance")
    _unknown(this, package.BALANCES, "account_id", "unknown_account", package.ACCOUNTS, "account_id")
    _unknown_asset(this, package.BALANCES)
    _too_many_decimals(this, package.BALANCES)
    Findings(this.key).add_rows(
        package.PRICES, "asset", "no_price",
        """SELECT NULL::bigint AS "row", asset AS shown FROM ledger_staging_balances WHERE intake = %s AND asset = ANY(%s)
           AND asset NOT IN (SELECT asset FROM ledger_staging_prices WHERE intake = %s) GROUP BY asset""",
        [this.key, [asset.code for asset in this.manifest.assets], this.key], severity=WARN,
        reason="There is no price of %s, which customers hold.", remedy="Ask for it: what is paid in money needs a price.",
    )  # fmt: skip


def _check_destinations(this: Package) -> None:
    for table in (package.BANK_ACCOUNTS, package.WITHDRAWAL_ADDRESSES):
        _duplicates(this, table, "duplicate_row")
        _unknown(this, table, "account_id", "unknown_account", package.ACCOUNTS, "account_id")
    _unknown_asset(this, package.WITHDRAWAL_ADDRESSES)
    if this.manifest.asset("JPY") is None:
        Findings(this.key).add_rows(
            package.BANK_ACCOUNTS, "bank_code", "unknown_asset",
            'SELECT "row", NULL::text AS shown FROM ledger_staging_bank_accounts WHERE intake = %s', [this.key],
            reason="The manifest lists no yen (JPY) that could go there.", remedy="List JPY, or leave the rows out.",
        )  # fmt: skip


def _check_the_rest(this: Package) -> None:
    for table in (package.HOLDS, package.WALLETS, package.PRICES):
        _duplicates(this, table, "duplicate_row")
    _unknown(this, package.HOLDS, "account_id", "unknown_account", package.ACCOUNTS, "account_id")
    _unknown_asset(this, package.WALLETS)
    _unknown_asset(this, package.PRICES)
    _too_many_decimals(this, package.WALLETS)
    findings = Findings(this.key)
    findings.add_rows(
        package.WALLETS, "amount", "negative_holding",
        'SELECT "row", amount::text AS shown FROM ledger_staging_wallets WHERE intake = %s AND amount < 0', [this.key],
        reason="%s cannot be held.", remedy="Write what was there, or leave the place out.",
    )  # fmt: skip
    evidence = {file.name: file.sha256 for file in this.manifest.files if file.rows is None}
    findings.add_rows(
        package.WALLETS, "evidence_file", "evidence_missing",
        """SELECT "row", evidence_file AS shown FROM ledger_staging_wallets WHERE intake = %s
           AND evidence_file <> ALL(%s)""",
        [this.key, list(evidence)], reason="There is no %s in the package.", remedy="Add the paper, or name the right one.",
    )  # fmt: skip
    findings.add_rows(
        package.WALLETS, "evidence_sha256", "evidence_hash",
        """SELECT "row", evidence_file AS shown FROM ledger_staging_wallets
           JOIN unnest(%s::text[], %s::text[]) AS papers(name, sha256) ON name = evidence_file
           WHERE intake = %s AND evidence_sha256 <> sha256""",
        [list(evidence), list(evidence.values()), this.key],
        reason="%s has another SHA-256 in the manifest.", remedy="Find out which paper is meant.",
    )  # fmt: skip
    findings.add_rows(
        package.WALLETS, "proof", "proof_missing",
        "SELECT \"row\", access AS shown FROM ledger_staging_wallets WHERE intake = %s AND access <> 'unproved' AND proof = ''",
        [this.key], reason="Access is called %s, and nothing says how that was shown.",
        remedy="Say how control was shown, or write unproved.",
    )  # fmt: skip
    findings.add_rows(
        package.PRICES, "jpy_den", "not_a_number",
        'SELECT "row", jpy_den::text AS shown FROM ledger_staging_prices WHERE intake = %s AND jpy_den = 0', [this.key],
        reason="A price cannot be divided by %s.", remedy="Write jpy_num / jpy_den as two whole numbers.",
    )  # fmt: skip


def _check_entries(this: Package) -> None:
    """The books of entries, where the package carries them: each row by itself, then around the cut-off."""
    for table in this.manifest.tables[len(package.TABLES) :]:
        _duplicates(this, table, "duplicate_row")
        _unknown_asset(this, table)
        if table is package.TRADES:
            for amount, asset in (("quantity", "asset"), ("paid", "against"), ("fee", "fee_asset")):
                _too_many_decimals(this, table, amount, asset)
            _unknown_asset(this, table, "against")
            _unknown_asset(this, table, "fee_asset")
            _half_a_fee(this)
        else:
            _too_many_decimals(this, table)
            _too_many_decimals(this, table, "balance")
    entries.look(this)


def _check_against_case(this: Package) -> None:
    findings = []
    for place, asset in enumerate(this.manifest.assets):
        known = this.known.get(asset.code)
        if known is not None and known != asset.scale:
            findings.append(
                Found(
                    "asset_scale", REFUSE, package.MANIFEST, None, f"assets[{place}].scale",
                    f"{asset.code} has {asset.scale} decimal places here and {known} in the case.",
                    "A scale never changes. Find out which is meant.",
                )
            )  # fmt: skip
    if this.cutoff_at is not None and this.cutoff_at != this.manifest.cutoff_at:
        findings.append(
            Found(
                "other_cutoff", WARN, package.MANIFEST, None, "cutoff_at",
                f"The balances stand at {this.manifest.cutoff_at.isoformat()}; the case's cut-off is "
                f"{this.cutoff_at.isoformat()}.",
                "See that what happened in between is treated as after the event.",
            )
        )  # fmt: skip
    Findings(this.key).add(findings)


_CHECKS: tuple[tuple[str, Callable[[Package], None]], ...] = (
    ("what was read", staging.analyze),
    ("customers", _check_customers),
    ("accounts", _check_accounts),
    ("balances", _check_balances),
    ("destinations", _check_destinations),
    ("wallets, holds, prices", _check_the_rest),
    ("entries", _check_entries),
    ("the case", _check_against_case),
    ("what is unlikely", remarks.look),
    ("rows set aside", setting_aside.apply),
    ("entries and balances", entries.compare),
)


# What a second session looks at while a check is done. These checks depend on no finding of the checks before them.
_AHEAD = {"accounts": ("destinations",), "balances": ("what is unlikely",)}


# --- without a case ---------------------------------------------------------------------------


def validate(
    directory: Path, *, known: dict[str, int] | None = None, cutoff_at: datetime | None = None, suspend: bool = False,
    also: Callable[[Package], None] | None = None,
) -> Report:  # fmt: skip
    """
    Look at a whole package and leave no trace of it. The same checks as those of a package that is received.

    `also` may look at its tables once they are read and checked.
    """
    try:
        manifest = package.read_manifest(directory)
    except package.PackageRefused as refused:
        return Report(0, 0, (), from_faults(refused.faults))
    faults = package.check_files(directory, manifest)
    if faults:
        return Report(0, 0, (), from_faults(faults))
    this = Package(SCRATCH, directory, manifest, suspend=suspend, known=known or {}, cutoff_at=cutoff_at)
    with transaction.atomic():
        staging.scratch()
        at = step(this, "")
        while not at.finished:
            at = step(this, at.cursor)
        report = conclude(this)
        if also:
            also(this)
        transaction.set_rollback(True)
    return report
