"""
Balances put together anew from the exchange's books of entries, where a package carries them.

The entries up to the cut-off, trades with both their sides and the fee, must add up to what balances.csv says of each
account and asset, all products together. What was booked after the cut-off is in no balance: it is kept by itself, to be
returned in full to whom it belongs, and stays out of every pool. Every entry of the last five days is kept beside it, for
these are the days an auditor asks about.
"""

# ruff: noqa: S608 - statements are put together from names of our own tables, never from what is read

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection

from administration.cases.models import Case
from administration.ledger import package
from administration.ledger.control_totals import unread
from administration.ledger.findings import WARN, Findings, Found
from administration.ledger.kept_entries import KeptEntry
from administration.ledger.models import Intake
from administration.ledger.package import Table
from administration.ledger.staging import TABLES, Package

DAYS = 5  # before the cut-off

# What each table says of accounts: source, row, leg of the row, number, account, instant, kind, asset, amount.
_LEGS = {
    package.FIAT_LEDGER.file: """SELECT 'fiat_ledger.csv' AS file, "row", 0 AS leg, entry_id AS number, account_id, "at", kind, asset, amount
        FROM ledger_staging_fiat_ledger WHERE intake = {intake}""",
    package.CRYPTO_LEDGER.file: """SELECT 'crypto_ledger.csv', "row", 0, entry_id, account_id, "at", kind, asset, amount
        FROM ledger_staging_crypto_ledger WHERE intake = {intake}""",
    package.TRADES.file: """SELECT 'trades.csv', t."row", leg.leg, t.trade_id, t.account_id, t."at", leg.kind, leg.asset, leg.amount
        FROM ledger_staging_trades t CROSS JOIN LATERAL (VALUES
            (0, 'trade', t.asset, t.quantity), (1, 'trade', t.against, t.paid), (2, 'fee', t.fee_asset, -t.fee)
        ) leg (leg, kind, asset, amount) WHERE t.intake = {intake} AND leg.asset <> '' AND leg.amount IS NOT NULL""",
}


def _legs(this: Package, intake: str = "%s") -> str:
    return " UNION ALL ".join(_LEGS[table.file].format(intake=intake) for table in _books(this))


def _books(this: Package) -> list[Table]:
    return [table for table in this.manifest.tables if table.file in _LEGS]


def look(this: Package) -> None:
    """Say what was booked around the cut-off, and whose accounts nobody lists."""
    books = _books(this)
    findings = Findings(this.key)
    for table in books:
        findings.add_rows(
            table, "account_id", "account_only_in_entries",
            f"""SELECT min("row") AS "row", account_id || ' (' || count(*) || ')' AS shown FROM {TABLES[table.file]} e
                WHERE intake = %s AND NOT EXISTS (
                    SELECT FROM ledger_staging_accounts a WHERE a.intake = e.intake AND a.account_id = e.account_id)
                GROUP BY account_id""",
            [this.key], severity=WARN, reason="No account %s is listed, and it has entries.",
            remedy="Search for the customer: somebody may be missing from the list.",
        )  # fmt: skip
        findings.add_rows(
            table, "at", "entry_after_cutoff",
            f"""SELECT "row", to_char("at" AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD HH24:MI:SS') AS shown
                FROM {TABLES[table.file]} WHERE intake = %s AND "at" > %s""",
            [this.key, this.manifest.cutoff_at], severity=WARN,
            reason="Booked at %s (Japan), after the cut-off: it is in no balance.",
            remedy="Nothing to do here: what came in is kept apart, to be returned in full.",
        )  # fmt: skip
    findings.add(_near(this, books))


def compare(this: Package) -> None:
    """Say where entries and balances differ; of rows that were set aside, nothing is added up."""
    books = _books(this)
    if not books:
        return
    findings = Findings(this.key)
    if any(unread(this, table) for table in (*books, package.BALANCES)):
        findings.add([Found(
            "entries_not_compared", WARN, package.BALANCES.file, None, "amount",
            "Rows of the entries or balances cannot be read, so balances were not put together anew.",
            "Mend those rows and look again.",
        )])  # fmt: skip
        return
    findings.add_rows(
        package.BALANCES, "amount", "balance_differs_from_entries", _differences(this),
        [this.key, _compared(this), *[this.key] * len(books), this.manifest.cutoff_at, _compared(this)], severity=WARN,
        reason="%s.",
        remedy="Find the entry that is missing or too much. The balance stands until a correction is signed.",
    )  # fmt: skip


def _compared(this: Package) -> list[str]:
    """Assets whose book is there: yen cannot be put together from the book of coins."""
    there = {table.file for table in _books(this)}
    return [
        asset.code
        for asset in this.manifest.assets
        if (package.FIAT_LEDGER if asset.kind == "fiat" else package.CRYPTO_LEDGER).file in there
    ]


def _differences(this: Package) -> str:
    return f"""
        SELECT b."row", format('%%s %%s: the entries add up to %%s, the balances to %%s', coalesce(b.account_id, e.account_id),
            coalesce(b.asset, e.asset), trim_scale(coalesce(e.amount, 0)), trim_scale(coalesce(b.amount, 0))) AS shown
        FROM (SELECT account_id, asset, sum(amount) AS amount, min("row") AS "row" FROM ledger_staging_balances
              WHERE intake = %s AND asset = ANY(%s) GROUP BY 1, 2) b
        FULL JOIN (SELECT account_id, asset, sum(amount) AS amount FROM ({_legs(this)}) legs
              WHERE "at" <= %s AND asset = ANY(%s) GROUP BY 1, 2) e USING (account_id, asset)
        WHERE coalesce(b.amount, 0) <> coalesce(e.amount, 0)"""


def _near(this: Package, books: list[Table]) -> Iterator[Found]:
    for table in books:
        with connection.cursor() as cursor:
            cursor.execute(
                f"""SELECT count(*), min("row") FROM {TABLES[table.file]}
                    WHERE intake = %s AND "at" <= %s AND "at" > %s - make_interval(days => %s)""",
                [this.key, this.manifest.cutoff_at, this.manifest.cutoff_at, DAYS],
            )
            many, first = cursor.fetchone()
        if many:
            yield Found(
                "entry_near_cutoff", WARN, table.file, first, "at",
                f"{many} entries are of the last {DAYS} days before the cut-off.",
                "They are listed for whoever audits these days.", rows=many,
            )  # fmt: skip


def keep(intake: Intake, this: Package) -> int:
    """Keep the entries after the cut-off and of the last days before it; how many they are. At acceptance."""
    if not _books(this):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO ledger_keptentry (case_id, intake_id, ledger_account_id, account_ref, number, kind, asset_id, amount,
                    "at", after_cutoff, file_id, "row", leg)
                SELECT %(case)s, %(intake)s, account.id, legs.account_id, legs.number, legs.kind, asset.id,
                    (legs.amount * ('1e' || asset.scale)::numeric)::numeric(78,0), legs."at", legs."at" > %(cutoff)s,
                    source.id, legs."row", legs.leg
                FROM ({_legs(this, "%(intake)s")}) legs
                JOIN books_asset asset ON asset.case_id = %(case)s AND asset.code = legs.asset
                JOIN ledger_sourcefile source ON source.intake_id = %(intake)s AND source.name = legs.file
                LEFT JOIN ledger_ledgeraccount account ON account.case_id = %(case)s AND account.account_ref = legs.account_id
                WHERE legs."at" > %(cutoff)s - make_interval(days => %(days)s) AND legs.amount <> 0
                ORDER BY source.id, legs."row", legs.leg""",
            {"case": intake.case_id, "intake": intake.pk, "cutoff": intake.cutoff_at, "days": DAYS},
        )
        return int(cursor.rowcount)


NETS = """
SELECT n.account_ref, n.ledger_account_id, asset.code, n.net::text, n.why
FROM ledger_after_cutoff(%s) n JOIN books_asset asset ON asset.id = n.asset_id ORDER BY 1, 3
"""


@dataclass(frozen=True)
class Net:
    """What one account gained of one asset after the cut-off. `why` says why it is not returned as it is; empty: it is owed."""

    account_ref: str
    account_id: int | None
    asset: str
    units: int
    why: str  # nothing_left, not_listed, house, insider


def after_cutoff(case: Case) -> list[Net]:
    """What came after the cut-off, per account and asset. In no balance and in no pool."""
    with connection.cursor() as cursor:
        cursor.execute(NETS, [case.pk])
        return [Net(ref, pk, code, int(units), why) for ref, pk, code, units, why in cursor.fetchall()]


def strangers(case: Case) -> list[str]:
    """Accounts that have entries kept and that no list of the package names."""
    rows = KeptEntry.objects.filter(case=case, ledger_account__isnull=True)
    return list(rows.order_by("account_ref").values_list("account_ref", flat=True).distinct())
