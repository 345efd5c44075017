"""What was found wrong with a package, each with its place, reason and remedy; and the report they make up."""

# ruff: noqa: S608 - statements are put together from names of our own tables, never from what is read

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.db import connection

from administration.ledger.package import Fault, Table
from administration.ledger.reading import REMARKS

REFUSE, QUARANTINE, WARN = "refuse", "quarantine", "warn"
ASIDE, REMARK = "aside", "remark"  # what can be decided about a kind of finding that would refuse (setting_aside.py)
LISTED_MAX = 10_000  # faults of one kind in one column that are listed one by one; the rest is counted
STAGED = "ledger_staging_findings"


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
    """Faults of the manifest, the files or their rows as findings: each refuses the package, but for what is a remark."""
    return tuple(
        Found(f.kind, WARN if f.kind in REMARKS else REFUSE, f.file, f.row, f.column, f.reason, f.remedy) for f in faults
    )


def grouped(report: Report) -> list[Found]:
    """The first of each kind of finding in each column, with how many rows it stands for."""
    first: dict[tuple[str, str, str], Found] = {}
    rows: Counter[tuple[str, str, str]] = Counter()
    for found in report.findings:
        group = (found.kind, found.file, found.column)
        first.setdefault(group, found)
        rows[group] += found.rows
    return [Found(**{**asdict(found), "rows": rows[group]}) for group, found in first.items()]


Which = tuple[str, str, str]  # file, column, kind


@dataclass
class Ahead:
    """
    What a check looks for and does not find, as somebody saw who only looked: then nobody need look again.

    Who only looks writes nothing down: what there is to be found is found by the check itself.
    """

    only_looking: bool
    nothing: set[Which] = field(default_factory=set)


_ahead: ContextVar[Ahead | None] = ContextVar("ahead", default=None)


@contextmanager
def looking(ahead: Ahead) -> Iterator[None]:
    """Look ahead, or with what was seen so."""
    before = _ahead.set(ahead)
    try:
        yield
    finally:
        _ahead.reset(before)


def is_nothing(which: Which) -> bool:
    """Whether it is known that there is nothing of this."""
    ahead = _ahead.get()
    return ahead is not None and not ahead.only_looking and which in ahead.nothing


def found_nothing(which: Which) -> None:
    """Say that there is nothing of this."""
    ahead = _ahead.get()
    if ahead is not None and ahead.only_looking:
        ahead.nothing.add(which)


class Findings:
    """Writes down what is found: one row a fault up to LISTED_MAX of its kind in its column, then a count."""

    def __init__(self, key: int) -> None:
        self.key = key
        with connection.cursor() as cursor:
            cursor.execute("SELECT outcomes FROM ledger_intake WHERE id = %s", [key])
            row = cursor.fetchone()
        decided = row[0] if row else {}
        decided = json.loads(decided) if isinstance(decided, str) else decided
        self.outcomes: dict[str, str] = {kind: one["outcome"] for kind, one in decided.items()}

    def _weighed(self, found: Found) -> Found:
        """With the weight that somebody's decision gives it."""
        outcome = self.outcomes.get(found.kind) if found.severity == REFUSE else None
        return replace(found, severity=QUARANTINE if outcome == ASIDE else WARN) if outcome else found

    def _only_looking(self) -> bool:
        ahead = _ahead.get()
        return ahead is not None and ahead.only_looking

    def _set_aside(self, rows: Sequence[tuple[str, int, str, str]]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(
                """INSERT INTO ledger_staging_aside (intake, file, "row", kind, reason) VALUES (%s, %s, %s, %s, %s)
                   ON CONFLICT DO NOTHING""",
                [(self.key, *row) for row in rows],
            )

    def add(self, found: Iterable[Found]) -> None:
        found = list(map(self._weighed, found))
        if not found or self._only_looking():
            return
        aside = [(one.file, one.row, one.kind, one.reason) for one in found if one.row and self.outcomes.get(one.kind) == ASIDE]
        if aside:
            self._set_aside(aside)
        with connection.cursor() as cursor:
            cursor.execute(
                f'SELECT kind, file, "column", count(*) FROM {STAGED} WHERE intake = %s GROUP BY 1, 2, 3', [self.key]
            )
            listed = Counter({(kind, file, column): many for kind, file, column, many in cursor.fetchall()})
            rows: list[Found] = []
            more: dict[tuple[str, str, str], tuple[Found, int]] = {}
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
                f"INSERT INTO {STAGED} VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [(self.key, f.kind, f.severity, f.file, f.row, f.column, f.reason, f.remedy, f.rows) for f in rows],
            )

    def add_rows(
        self, table: Table, column: str, kind: str, sql: str, params: Sequence[Any], *, reason: str, remedy: str,
        severity: str = REFUSE,
    ) -> int:  # fmt: skip
        """
        One finding for each row that `sql` selects, as ("row", shown); `reason` may name %s. How many there were.

        Where a field was refused already, what follows from that is not said again.
        """
        which = (table.file, column, kind)
        if is_nothing(which):
            return 0
        with connection.cursor() as cursor:
            cursor.execute(
                f"""SELECT count(*) OVER (), "row", shown FROM ({sql}) bad WHERE NOT EXISTS (
                        SELECT FROM {STAGED} said WHERE said.intake = %s AND said.file = %s AND said."column" = %s
                        AND said."row" = bad."row" AND said.severity <> '{WARN}')
                    ORDER BY "row" LIMIT {LISTED_MAX}""",
                [*params, self.key, table.file, column],
            )
            bad = cursor.fetchall()
        if not bad:
            found_nothing(which)
            return 0
        many = int(bad[0][0])
        if self._only_looking():
            return many
        if many > len(bad) and severity == REFUSE and self.outcomes.get(kind) == ASIDE:  # those that are not listed too
            with connection.cursor() as cursor:
                cursor.execute(
                    f"""INSERT INTO ledger_staging_aside (intake, file, "row", kind, reason)
                        SELECT %s, %s, "row", %s, %s FROM ({sql}) bad WHERE "row" IS NOT NULL ON CONFLICT DO NOTHING""",
                    [self.key, table.file, kind, reason.replace("%s", "…"), *params],
                )
        found = [
            Found(kind, severity, table.file, row, column, reason % shown if "%s" in reason else reason, remedy)
            for _, row, shown in bad
        ]
        if many > len(found):
            found.append(
                Found(
                    kind,
                    severity,
                    table.file,
                    None,
                    column,
                    f"And {many - len(found)} more rows.",
                    remedy,
                    many - len(found),
                )
            )
        self.add(found)
        return many
