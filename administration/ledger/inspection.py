"""
Looking at a handover package, step by step: read its tables into staging, check them set-based, conclude.

The same steps serve a package received into a case (a job does one step a chunk) and one that is only validated
(all steps at once on temporary tables of the same names, which leave nothing behind). Form is checked while reading;
what rows have to do with each other is checked in the database.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection, transaction

from administration import amounts
from administration.errors import Refused
from administration.ledger import destinations, package, reading
from administration.ledger.package import Fault, Manifest, Table, Type
from administration.ledger.reading import Block, Values

LISTED_MAX = 1_000  # faults of one kind in one column that are listed one by one; the rest is counted
BLOCK_BYTES = 4 * 1024 * 1024
WORK_MEM = "128MB"  # for the checks: a customer's balances are grouped and joined in memory

SCRATCH = 0  # the number of a package that is only validated: no intake has it

REFUSE, QUARANTINE, WARN = "refuse", "quarantine", "warn"

STAGING = {table.file: f"ledger_staging_{table.file.removesuffix('.csv')}" for table in package.TABLES}
FINDINGS = "ledger_staging_findings"


@dataclass(frozen=True)
class Package:
    """A package as it lies in a folder, the number its staged rows carry, and what the case knows already."""

    key: int
    directory: Path
    manifest: Manifest
    suspend: bool = False  # differences are to go into named suspense, not to refuse the package
    scales: dict[str, int] = field(default_factory=dict)  # of the assets the case has
    cutoff_at: datetime | None = None  # the case's

    @property
    def total(self) -> int:
        """Rows to read, for progress."""
        return sum(file.rows or 0 for file in self.manifest.files)


@dataclass(frozen=True)
class Step:
    """Where the next step begins, how many rows are read, and what is being done."""

    cursor: str
    done: int
    phase: str
    finished: bool = False


@dataclass(frozen=True)
class Found:
    """One thing found: a fault with its weight. `rows` counts those it stands for."""

    kind: str
    severity: str
    file: str
    row: int | None
    column: str
    reason: str
    remedy: str
    rows: int = 1


@dataclass(frozen=True)
class Total:
    """One control total beside what the rows add up to, in whole units."""

    asset: str
    product: str
    declared: int | None
    declared_accounts: int | None
    source: str
    computed: int
    computed_accounts: int


@dataclass(frozen=True)
class Report:
    """What came of the inspection."""

    accounts: int
    balances: int
    totals: tuple[Total, ...]
    findings: tuple[Found, ...]

    @property
    def refused(self) -> bool:
        return any(found.severity == REFUSE for found in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Amounts are texts of whole units."""
        return {
            "accounts": self.accounts,
            "balances": self.balances,
            "control_totals": [
                {
                    **asdict(total),
                    "declared": None if total.declared is None else str(total.declared),
                    "computed": str(total.computed),
                }
                for total in self.totals
            ],
            "findings": [asdict(found) for found in self.findings],
        }


def from_faults(faults: Iterable[Fault]) -> tuple[Found, ...]:
    """Faults of the manifest or the files as findings: each refuses the package."""
    return tuple(Found(f.kind, REFUSE, f.file, f.row, f.column, f.reason, f.remedy) for f in faults)


# --- the steps --------------------------------------------------------------------------------

BEGIN = json.dumps({"phase": "read", "table": 0, "offset": 0, "row": 2, "done": 0})


def step(this: Package, cursor: str) -> Step:
    """Do the next step. Undone as a whole if the transaction around it is, and then done again."""
    state = json.loads(cursor or BEGIN)
    if state["phase"] == "read":
        return _read(this, state)
    return _check(this, state)


def all_read(cursor: str) -> bool:
    """Whether every table is in staging."""
    return bool(json.loads(cursor)["phase"] == "check")


def _step(state: dict[str, Any], phase: str, *, finished: bool = False) -> Step:
    return Step(json.dumps(state), state["done"], phase, finished)


def _read(this: Package, state: dict[str, Any]) -> Step:
    table = package.TABLES[state["table"]]
    path = this.directory / table.file
    if not state["offset"]:
        faults, state["offset"] = reading.header_faults(path, table)
        if faults:
            _Findings(this).add(from_faults(faults))
            return _next_table(state, table)
    try:
        block = next(reading.blocks(path, table, offset=state["offset"], row=state["row"], size=BLOCK_BYTES))
    except reading.Unreadable:
        _Findings(this).add(from_faults([reading.unreadable_end(table, state["row"])]))
        return _next_table(state, table)
    _stage(this, table, block)
    state.update(offset=block.offset, row=block.row, done=state["done"] + block.rows)
    if block.ended:
        _count_rows(this, table, block.row - 2)
        return _next_table(state, table)
    return _step(state, table.file)


def _next_table(state: dict[str, Any], table: Table) -> Step:
    state.update(table=state["table"] + 1, offset=0, row=2)
    if state["table"] == len(package.TABLES):
        state.update(phase="check", check=0)
    return _step(state, table.file)


def _check(this: Package, state: dict[str, Any]) -> Step:
    name, check = _CHECKS[state["check"]]
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEM])
    check(this)
    state["check"] += 1
    return _step(state, name, finished=state["check"] == len(_CHECKS))


# --- staging ----------------------------------------------------------------------------------


def _stage(this: Package, table: Table, block: Block) -> None:
    """Copy a block into staging as it stands; take it apart only if the database cannot read it."""
    findings = _Findings(this)
    problem = destinations.PROBLEMS.get(table.file)
    records: Iterable[tuple[int, str]] = block.records
    if problem is not None:
        records = list(_checked(block.records, table, findings))
    try:
        with transaction.atomic():
            _copy(this, table, records)
    except psycopg.DataError:  # a day such as 30 February: the form of a date, and none
        records, odd = [], []
        for row, record in block.records:
            faults, values = reading.diagnose(table, row, record)
            block.faults += faults
            if values is not None:
                odd.append((row, values))
        block.odd = sorted(odd + block.odd, key=lambda pair: pair[0])
    if block.odd:
        _copy(this, table, _spelled(block.odd, table, checked=problem is not None))
    findings.add(from_faults(block.faults))


def _copy(this: Package, table: Table, records: Iterable[tuple[int, str]]) -> None:
    names = ["intake", "row", *table.header, *(["problem"] if table.file in destinations.PROBLEMS else [])]
    texts = [column.name for column in table.columns if _is_text(column)]
    sql = (
        f"COPY {STAGING[table.file]} ({', '.join(map(_quoted, names))}) FROM STDIN"
        f" (FORMAT csv, FORCE_NOT_NULL ({', '.join(map(_quoted, texts))}))"
    )
    key = this.key
    with connection.cursor() as cursor, cursor.copy(sql) as copy:
        copy.write("".join([f"{key},{row},{record}\n" for row, record in records]).encode())


def _checked(
    records: Sequence[tuple[int, str]], table: Table, findings: "_Findings"
) -> Iterator[tuple[int, str]]:
    """The records with what is wrong with their destination as a last field."""
    problem_of = destinations.PROBLEMS[table.file]
    found = []
    for row, record in records:
        fields = reading.split(record)
        problem = problem_of(fields)
        if problem is None:
            yield row, f"{record},"
            continue
        kind, column, reason = problem
        found.append(Found(kind, WARN, table.file, row, column, reason, "Nothing to do: the customer will be asked."))
        if destinations.is_secret(problem):
            place = table.header.index("address")
            record = reading.line([*fields[:place], "", *fields[place + 1 :]])
        yield row, f"{record},{reading.line([reason])}"
    findings.add(found)


def _spelled(odd: Sequence[tuple[int, Values]], table: Table, *, checked: bool) -> Iterator[tuple[int, str]]:
    instants = [place for place, column in enumerate(table.columns) if column.type is Type.INSTANT]
    for row, values in odd:
        for place in instants:
            text = values[place]
            values[place] = package.parse_instant(text).isoformat() if text else None
        yield row, reading.line(values) + (",not checked" if checked else "")


def _is_text(column: package.Column) -> bool:
    return column.type in (Type.TEXT, Type.ENUM, Type.SHA256)


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _count_rows(this: Package, table: Table, rows: int) -> None:
    place, facts = next((n, file) for n, file in enumerate(this.manifest.files) if file.name == table.file)
    if facts.rows != rows:
        _Findings(this).add([
            Found(
                "row_count", REFUSE, package.MANIFEST, None, f"files[{place}].rows",
                f"The manifest says {facts.rows} rows; {table.file} has {rows}.", "Count again, or make the package again.",
            )
        ])  # fmt: skip


class _Findings:
    """Writes down what is found: one row a fault up to LISTED_MAX of its kind in its column, then a count."""

    def __init__(self, this: Package) -> None:
        self.key = this.key

    def add(self, found: Iterable[Found]) -> None:
        found = list(found)
        if not found:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                f'SELECT kind, file, "column", count(*) FROM {FINDINGS} WHERE intake = %s GROUP BY 1, 2, 3', [self.key]
            )
            listed = Counter({(kind, file, column): many for kind, file, column, many in cursor.fetchall()})
            rows, more = [], {}
            for one in found:
                group = (one.kind, one.file, one.column)
                listed[group] += 1
                if listed[group] <= LISTED_MAX:
                    rows.append(one)
                else:
                    first, many = more.get(group, (one, 0))
                    more[group] = (first, many + one.rows)
            rows += [Found(**{**asdict(first), "rows": many}) for first, many in more.values()]
            cursor.executemany(
                f"INSERT INTO {FINDINGS} VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [(self.key, f.kind, f.severity, f.file, f.row, f.column, f.reason, f.remedy, f.rows) for f in rows],
            )

    def add_rows(
        self, table: Table, column: str, kind: str, sql: str, params: Sequence[Any], *, reason: str, remedy: str,
        severity: str = REFUSE,
    ) -> int:  # fmt: skip
        """One finding for each row that `sql` selects, as ("row", shown); `reason` may name %s. How many there were."""
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT count(*) OVER (), "row", shown FROM ({sql}) bad ORDER BY "row" LIMIT {LISTED_MAX}', params)
            bad = cursor.fetchall()
        if not bad:
            return 0
        many = int(bad[0][0])
        found = [
            Found(kind, severity, table.file, row, column, reason % shown if "%s" in reason else reason, remedy)
            for _, row, shown in bad
        ]
        if many > len(found):
            found.append(Found(kind, severity, table.file, None, column, f"And {many - len(found)} more rows.", remedy, many - len(found)))
        self.add(found)
        return many


# --- what rows have to do with each other -----------------------------------------------------


def _duplicates(this: Package, table: Table, kind: str) -> None:
    """No two rows share the table's key; the later one is at fault. Hashes first: equal rows have equal hashes."""
    staging, key = STAGING[table.file], [_quoted(name) for name in table.key]
    hashed = "0"
    for name in key:
        text = f"{name}::text" if name == '"at"' else name
        hashed = f"hashtextextended({text}, {hashed})"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT FROM {staging} WHERE intake = %s GROUP BY {hashed} HAVING count(*) > 1)", [this.key]
        )
        if not cursor.fetchone()[0]:
            return
    _Findings(this).add_rows(
        table, table.key[-1], kind, _later_ones(table), [this.key],
        reason="Row %s has the same " + ", ".join(table.key) + ".", remedy="Leave one of the rows out.",
    )  # fmt: skip


def _later_ones(table: Table) -> str:
    """The rows whose key stood in an earlier row, and that row."""
    key = ", ".join(map(_quoted, table.key))
    return f"""
        SELECT "row", shown FROM (
            SELECT "row", row_number() OVER same AS nth, first_value("row") OVER same AS shown
            FROM {STAGING[table.file]} WHERE intake = %s WINDOW same AS (PARTITION BY {key} ORDER BY "row")
        ) keyed WHERE nth > 1"""


def _unknown(this: Package, table: Table, column: str, kind: str, parent: Table, parent_column: str) -> None:
    """Every `column` names a row of `parent`."""
    _Findings(this).add_rows(
        table, column, kind,
        f"""SELECT "row", {column} AS shown FROM {STAGING[table.file]} child WHERE intake = %s AND NOT EXISTS (
            SELECT FROM {STAGING[parent.file]} parent
            WHERE parent.intake = child.intake AND parent.{parent_column} = child.{column})""",
        [this.key], reason=f"There is no %s in {parent.file}.", remedy=f"Add it there, or correct the {column}.",
    )  # fmt: skip


def _unknown_asset(this: Package, table: Table) -> None:
    codes = [asset.code for asset in this.manifest.assets]
    _Findings(this).add_rows(
        table, "asset", "unknown_asset",
        f'SELECT "row", asset AS shown FROM {STAGING[table.file]} WHERE intake = %s AND asset <> ALL(%s)',
        [this.key, codes], reason="The asset %s is not in the manifest.",
        remedy="List the asset in the manifest, or write the code listed there. Codes are never guessed.",
    )  # fmt: skip


def _too_many_decimals(this: Package, table: Table) -> None:
    _Findings(this).add_rows(
        table, "amount", "too_many_decimals",
        f"""SELECT "row", amount || ' of ' || asset AS shown FROM {STAGING[table.file]} JOIN {_SCALES} USING (asset)
            WHERE intake = %s AND scale(trim_scale(amount)) > places""",
        [*_scales(this), this.key], reason="%s has more decimal places than the asset.",
        remedy="Write the amount as the ledger has it. Nothing is rounded here.",
    )  # fmt: skip


_SCALES = "unnest(%s::text[], %s::int[]) AS assets(asset, places)"


def _scales(this: Package) -> list[Any]:
    return [[asset.code for asset in this.manifest.assets], [asset.scale for asset in this.manifest.assets]]


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


def _check_destinations(this: Package) -> None:
    for table in (package.BANK_ACCOUNTS, package.WITHDRAWAL_ADDRESSES):
        _duplicates(this, table, "duplicate_row")
        _unknown(this, table, "account_id", "unknown_account", package.ACCOUNTS, "account_id")
    _unknown_asset(this, package.WITHDRAWAL_ADDRESSES)
    if this.manifest.asset("JPY") is None:
        _Findings(this).add_rows(
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
    findings = _Findings(this)
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


def _check_against_case(this: Package) -> None:
    findings = []
    for place, asset in enumerate(this.manifest.assets):
        known = this.scales.get(asset.code)
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
    _Findings(this).add(findings)


def _analyze(this: Package) -> None:
    """Tell the planner what was read. Staging belongs to the owner, temporary tables to us."""
    with connection.cursor() as cursor:
        if this.key == SCRATCH:
            cursor.execute(f"ANALYZE {', '.join(STAGING.values())}")
        else:
            cursor.execute("SELECT ledger_analyze_staging()")


_CHECKS = (
    ("what was read", _analyze),
    ("customers", _check_customers),
    ("accounts", _check_accounts),
    ("balances", _check_balances),
    ("destinations", _check_destinations),
    ("wallets, holds, prices", _check_the_rest),
    ("the case", _check_against_case),
)


# --- the end of it ----------------------------------------------------------------------------


def conclude(this: Package) -> Report:
    """Compare with the control totals, and say everything that was found."""
    sums = _sums(this)
    _Findings(this).add([*_compare(this, sums), *_negatives(this, sums)])
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT kind, severity, file, "row", "column", reason, remedy, rows FROM {FINDINGS} WHERE intake = %s
                ORDER BY array_position(ARRAY['refuse', 'quarantine', 'warn'], severity),
                         array_position(%s::text[], file), "row" NULLS LAST, "column", kind""",
            [this.key, [package.MANIFEST, *STAGING]],
        )
        findings = tuple(Found(*row) for row in cursor.fetchall())
        cursor.execute("SELECT count(*) FROM ledger_staging_accounts WHERE intake = %s", [this.key])
        (accounts,) = cursor.fetchone()
    scales = {asset.code: asset.scale for asset in this.manifest.assets}
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
        if asset in scales
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
            f"SELECT EXISTS (SELECT FROM {FINDINGS} WHERE intake = %s AND kind = 'duplicate_balance')", [this.key]
        )
        (doubled,) = cursor.fetchone()
        without = f'AND "row" NOT IN (SELECT "row" FROM ({_later_ones(package.BALANCES)}) later)' if doubled else ""
        cursor.execute(
            f"""SELECT asset, product, count(*), count(*) FILTER (WHERE amount IS NULL OR scale(trim_scale(amount)) > places),
                       trunc(coalesce(sum(amount), 0) * ('1e' || coalesce(places, 0))::numeric)::text,
                       count(*) FILTER (WHERE amount < 0), min("row") FILTER (WHERE amount < 0)
                FROM ledger_staging_balances LEFT JOIN {_SCALES} USING (asset)
                WHERE intake = %s {without} GROUP BY asset, product, places""",
            [*_scales(this), this.key, *([this.key] if doubled else [])],
        )
        return {
            (asset, product): _Sum(rows, unreadable, int(units), negative, first)
            for asset, product, rows, unreadable, units, negative, first in cursor.fetchall()
        }


def _pairs(
    this: Package, sums: dict[tuple[str, str], _Sum]
) -> list[tuple[str, str, package.ControlTotal | None]]:
    """Every asset and product that is declared or has rows, the declared ones first."""
    declared = [(total.asset, total.product, total) for total in this.manifest.control_totals]
    named = {(asset, product) for asset, product, _ in declared}
    return [*declared, *((asset, product, None) for asset, product in sorted(sums) if (asset, product) not in named)]


def _compare(this: Package, sums: dict[tuple[str, str], _Sum]) -> Iterator[Found]:
    """Differences that nothing found so far explains. Where rows cannot be read, there is nothing to compare."""
    scales = {asset.code: asset.scale for asset in this.manifest.assets}
    astray = any(asset not in scales or product not in package.PRODUCTS for asset, product in sums) or _unread(this)
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
            scale = scales[total.asset]
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
        if declared is None and asset in scales:
            yield Found(
                "no_control_total", WARN, package.MANIFEST, None, "control_totals",
                f"Nothing is declared for {asset} {product}; its rows stand unchecked.", "Ask for a total from another book.",
            )  # fmt: skip


def _unread(this: Package) -> bool:
    """Whether balances could not be read at all, and so are missing from every sum."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT EXISTS (SELECT FROM {FINDINGS} WHERE intake = %s AND file = %s AND kind IN (
                'blank_row', 'ragged_row', 'unreadable_row', 'not_utf8', 'header', 'byte_order_mark', 'line_ending', 'my_number'))""",
            [this.key, package.BALANCES.file],
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


# --- without a case ---------------------------------------------------------------------------


class NotValidated(Refused):
    """The folder could not be looked at."""


def scratch() -> None:
    """Temporary tables that hide the staging until the transaction ends: what is only validated leaves nothing."""
    with connection.cursor() as cursor:
        for name in [*STAGING.values(), FINDINGS]:
            cursor.execute(f"CREATE TEMPORARY TABLE {name} (LIKE public.{name}) ON COMMIT DROP")


def validate(
    directory: Path, *, scales: dict[str, int] | None = None, cutoff_at: datetime | None = None, suspend: bool = False
) -> Report:
    """Look at a whole package and leave no trace of it. The same checks as those of a package that is received."""
    try:
        manifest = package.read_manifest(directory)
    except package.PackageRefused as refused:
        return Report(0, 0, (), from_faults(refused.faults))
    faults = package.check_files(directory, manifest)
    if faults:
        return Report(0, 0, (), from_faults(faults))
    this = Package(SCRATCH, directory, manifest, suspend=suspend, scales=scales or {}, cutoff_at=cutoff_at)
    with transaction.atomic():
        scratch()
        at = step(this, "")
        while not at.finished:
            at = step(this, at.cursor)
        report = conclude(this)
        transaction.set_rollback(True)
    return report
