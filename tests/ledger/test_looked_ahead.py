"""A second session looks ahead for what later checks would find: what is found is the same, and nothing is looked for twice."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from administration.ledger import findings, inspection, package, sessions, takeover
from administration.ledger.findings import Ahead, Findings, looking
from administration.work.models import Job
from tests.cast import NOON, gather, open_sample_case
from tests.ledger.helpers import edit, sample, secure, work


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "WORTH_TWO", 1)
    monkeypatch.setattr(sessions, "are_worth_it", lambda: True)


def inspected(folder: Path, reference: str) -> Job:
    case = open_sample_case(reference)
    cast = gather(case)
    secure(case, cast)
    return work(takeover.inspect(takeover.receive(case, folder, by=cast.goto, at=NOON), by=cast.goto, at=NOON))


def said(job: Job) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (job.result or {})["findings"]
    return found


@pytest.mark.parametrize("dirty", [0.0, 0.05])
def test_two_sessions_find_what_one_finds(committed: Any, two: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dirty: float):
    folder = sample(tmp_path / "package", accounts=400, dirty=dirty)
    (folder / "dirty.json").unlink(missing_ok=True)
    found = said(inspected(folder, "T-1"))
    monkeypatch.setattr(inspection, "WORTH_TWO", 1 << 40)

    assert found == said(inspected(folder, "T-2"))
    assert bool(dirty) == any(one["severity"] == "refuse" for one in found)


@pytest.mark.parametrize(
    ("file", "fields", "kind"),
    [
        ("bank_accounts.csv", {"account_id": "A99999999"}, "unknown_account"),
        ("withdrawal_addresses.csv", {"asset": "ZZZ"}, "unknown_asset"),
        ("withdrawal_addresses.csv", {"whitelisted_on": "2031-01-01"}, "future_date"),
    ],
)
def test_what_is_looked_for_ahead_is_found(committed: Any, two: None, folder: Path, file: str, fields: dict[str, str], kind: str):
    edit(folder, file, 5, **fields)
    assert (kind, 5) in {(one["kind"], one["row"]) for one in said(inspected(folder, "T-1")) if one["file"] == file}


def test_of_what_there_is_nothing_is_looked_for_once(committed: Any, two: None, folder: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[str, bool]] = []
    whole = Findings.add_rows

    def add_rows(self: Findings, table: package.Table, column: str, kind: str, *args: Any, **options: Any) -> int:
        ahead = findings._ahead.get()
        if ahead is None or ahead.only_looking or (table.file, column, kind) not in ahead.nothing:
            asked.append((f"{table.file} {column} {kind}", bool(ahead and ahead.only_looking)))
        return whole(self, table, column, kind, *args, **options)

    monkeypatch.setattr(Findings, "add_rows", add_rows)
    inspected(folder, "T-1")

    ahead = [what for what, looked in asked if looked]
    assert "customers.csv corporate_number corporate_number_digit" in ahead
    assert "withdrawal_addresses.csv asset unknown_asset" in ahead
    assert "withdrawal_addresses.csv asset unknown_asset" not in [what for what, looked in asked if not looked]


def test_who_only_looks_writes_nothing_down(db: None):
    one = findings.Found("odd", "refuse", "balances.csv", 2, "amount", "It is odd.", "Mend it.")
    with looking(Ahead(only_looking=True)):
        Findings(1).add([one])
        many = Findings(1).add_rows(package.BALANCES, "amount", "odd", 'SELECT 2 AS "row", \'x\' AS shown', [], reason="%s", remedy="Mend it.")

    assert many == 1
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {findings.STAGED}")
        assert cursor.fetchone() == (0,)
