"""Balances put together anew from the exchange's books; what came after the cut-off is kept apart, in no balance."""

import csv
import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, InternalError, ProgrammingError

from administration.cases.models import Case
from administration.ledger import entries, inspection, package
from administration.ledger.kept_entries import KeptEntry
from administration.ledger.models import LedgerBalance
from tests.cast import Cast
from tests.ledger.helpers import accepted, counts
from tests.ledger.spoiling import BASE

BEFORE, LATE, NEAR = "2024-05-01T10:00:00+09:00", "2026-09-30T15:00:01+09:00", "2026-09-28T10:00:00+09:00"
FIAT = [
    ["F1", "A1", BEFORE, "deposit", "JPY", "1300345", "", ""],
    ["F2", "A2", BEFORE, "deposit", "JPY", "4258", "", ""],
    ["F3", "A3", BEFORE, "deposit", "JPY", "200000", "", ""],
    ["F4", "A3", BEFORE, "withdrawal", "JPY", "-80214", "119786", "bank 1"],
    ["F5", "A4", BEFORE, "deposit", "JPY", "16779", "", ""],
    ["F6", "A5", BEFORE, "deposit", "JPY", "5071", "", "a thousand of it waits to be paid out"],
    ["F7", "A7", "2026-09-30T15:00:00+09:00", "deposit", "JPY", "3087", "", "at the cut-off is before it"],
]
CRYPTO = [
    ["K1", "A1", BEFORE, "deposit", "BTC", "0.40100001", "", "", "", "the exchange"],
    ["K2", "A1", BEFORE, "deposit", "ETH", "1.000000000000000001", "", "", "", ""],
    ["K3", "A2", BEFORE, "deposit", "BTC", "0.00132272", "", "", "", ""],
    ["K4", "A2", BEFORE, "deposit", "XRP", "18.127706", "", "", "", ""],
    ["K5", "A3", BEFORE, "deposit", "ETH", "0.341268889363677848", "", "", "", ""],
    ["K6", "A4", BEFORE, "deposit", "USDC", "15.042517", "", "", "", ""],
    ["K7", "A6", BEFORE, "deposit", "XRP", "11.590106", "", "", "", ""],
    ["K8", "A7", BEFORE, "deposit", "BTC", "0.00292671", "", "", "", ""],
]
TRADES = [["T1", "A1", NEAR, "BTC", "0.1", "JPY", "-100000", "BTC", "0.001"]]


def books(folder: Path, **changed: list[list[str]]) -> Path:
    """The good package with its books of entries."""
    shutil.copytree(BASE, folder)
    facts = json.loads((folder / package.MANIFEST).read_text("utf-8"))
    for table, rows in (
        (package.FIAT_LEDGER, changed.get("fiat", FIAT)), (package.CRYPTO_LEDGER, changed.get("crypto", CRYPTO)),
        (package.TRADES, changed.get("trades", TRADES)),
    ):  # fmt: skip
        if rows is None:
            continue
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([table.header, *rows])
        content = out.getvalue().encode()
        (folder / table.file).write_bytes(content)
        facts["files"].append({
            "name": table.file, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "rows": len(rows),
        })  # fmt: skip
    (folder / package.MANIFEST).write_text(json.dumps(facts, ensure_ascii=False), "utf-8")
    return folder


def found(folder: Path) -> list[tuple[Any, ...]]:
    report = inspection.validate(folder)
    return [(one.severity, one.kind, one.file, one.row, one.column) for one in report.findings]


NEARLY = [
    ("warn", "entry_near_cutoff", "fiat_ledger.csv", 8, "at"),
    ("warn", "entry_near_cutoff", "trades.csv", 2, "at"),
]


def test_entries_that_add_up_to_the_balances_say_nothing(db: None, tmp_path: Path):
    assert found(books(tmp_path / "package")) == NEARLY


def test_an_account_whose_entries_do_not_add_up_is_told_with_both_figures(db: None, tmp_path: Path):
    less = [row if row[0] != "F5" else [*row[:5], "16778", "", ""] for row in FIAT]
    folder = books(tmp_path / "package", fiat=less, crypto=[row for row in CRYPTO if row[0] != "K7"])

    report = inspection.validate(folder)
    differ = {one.row: one.reason for one in report.findings if one.kind == "balance_differs_from_entries"}
    assert differ == {
        10: "A4 JPY: the entries add up to 16778, the balances to 16779.",
        14: "A6 XRP: the entries add up to 0, the balances to 11.590106.",
    }
    assert not report.refused


def test_a_book_that_is_not_there_is_not_compared(db: None, tmp_path: Path):
    folder = books(tmp_path / "package", crypto=None)  # type: ignore[arg-type]

    kinds = {one[1] for one in found(folder)}
    assert "balance_differs_from_entries" not in kinds  # the yen side of the trade fits, and coins are not looked at


def test_faults_of_entries_are_told_where_they_are(db: None, tmp_path: Path):
    fiat = [list(row) for row in FIAT]
    fiat[0][4], fiat[1][5], fiat[2][2], fiat[3][3] = "YEN", "4258.5", "2024-05-01", "gift"
    folder = books(tmp_path / "package", fiat=fiat, crypto=[*CRYPTO, CRYPTO[0]], trades=[["T1", "A1", NEAR, "BTC", "0.123456789", "EUR", "1", "ZZZ", "1"]])  # fmt: skip

    assert {one for one in found(folder) if one[0] == "refuse"} == {
        ("refuse", "unknown_asset", "fiat_ledger.csv", 2, "asset"),
        ("refuse", "too_many_decimals", "fiat_ledger.csv", 3, "amount"),
        ("refuse", "bad_instant", "fiat_ledger.csv", 4, "at"),
        ("refuse", "unknown_value", "fiat_ledger.csv", 5, "kind"),
        ("refuse", "duplicate_row", "crypto_ledger.csv", 10, "entry_id"),
        ("refuse", "too_many_decimals", "trades.csv", 2, "quantity"),
        ("refuse", "unknown_asset", "trades.csv", 2, "against"),
        ("refuse", "unknown_asset", "trades.csv", 2, "fee_asset"),
    }


def test_half_a_fee_is_refused(db: None, tmp_path: Path):
    trade = ["T1", "A1", NEAR, "BTC", "0.1", "JPY", "-100000"]
    folder = books(tmp_path / "package", trades=[[*trade, "", "0.001"], ["T2", *trade[1:], "BTC", ""]])

    assert {one for one in found(folder) if one[0] == "refuse"} == {
        ("refuse", "empty", "trades.csv", 2, "fee_asset"), ("refuse", "empty", "trades.csv", 3, "fee"),
    }  # fmt: skip


@pytest.fixture
def late(secured: Case, cast: Cast, tmp_path: Path) -> Case:
    """A ledger taken over with deposits after the cut-off, one of them of an account that nobody lists."""
    fiat = [*FIAT, ["F8", "A3", LATE, "deposit", "JPY", "5000", "", ""], ["F9", "A99", LATE, "deposit", "JPY", "700", "", ""]]
    crypto = [*CRYPTO, ["K9", "A3", LATE, "deposit", "BTC", "0.2", "", "", "", ""], ["K10", "A3", LATE, "withdrawal", "BTC", "-0.05", "", "", "", ""]]  # fmt: skip
    accepted(secured, cast, books(tmp_path / "package", fiat=fiat, crypto=crypto))
    return secured


def test_what_came_after_the_cut_off_is_kept_for_its_depositor_and_is_in_no_balance(late: Case):
    assert [(one.account_ref, one.asset, one.units, one.why) for one in entries.after_cutoff(late)] == [
        ("A3", "BTC", 15_000_000, ""), ("A3", "JPY", 5000, ""), ("A99", "JPY", 700, "not_listed"),
    ]  # fmt: skip
    assert entries.strangers(late) == ["A99"]
    assert sum(LedgerBalance.objects.filter(case=late, asset__code="JPY").values_list("amount", flat=True)) == 1_349_326
    near = KeptEntry.objects.filter(case=late, after_cutoff=False).order_by("number", "leg")
    assert [(row.number, row.kind, row.asset.code, row.amount) for row in near] == [
        ("F7", "deposit", "JPY", 3087), ("T1", "trade", "BTC", 10_000_000), ("T1", "trade", "JPY", -100_000), ("T1", "fee", "BTC", -100_000),
    ]  # fmt: skip


def test_an_entry_set_aside_is_in_no_sum_and_comes_back_to_nobody(secured: Case, cast: Cast, tmp_path: Path):
    """The same deposit stands twice in the book: once after the cut-off, and once before it."""
    fiat = [*FIAT, ["F8", "A3", LATE, "deposit", "JPY", "5000", "", ""], ["F8", "A3", LATE, "deposit", "JPY", "5000", "", ""], FIAT[1]]
    folder = books(tmp_path / "package", fiat=fiat)
    decided = {"duplicate_row": {"outcome": "aside", "remark": "The exchange's book repeats a line."}}

    accepted(secured, cast, folder, outcomes=decided)

    assert [(one.account_ref, one.asset, one.units) for one in entries.after_cutoff(secured)] == [("A3", "JPY", 5000)]
    assert "balance_differs_from_entries" not in {one.kind for one in secured.intakes.get().findings.all()}


def test_each_is_listed_and_the_account_nobody_lists_is_searched_for(db: None, tmp_path: Path):
    fiat = [*FIAT, ["F8", "A99", LATE, "deposit", "JPY", "700", "", ""]]

    said = found(books(tmp_path / "package", fiat=fiat))
    assert ("warn", "entry_after_cutoff", "fiat_ledger.csv", 9, "at") in said
    assert ("warn", "account_only_in_entries", "fiat_ledger.csv", 9, "account_id") in said
    assert not [one for one in said if one[1] == "balance_differs_from_entries"]


MISUSE = {
    "changed": "UPDATE ledger_keptentry SET amount = 1",
    "taken out": "DELETE FROM ledger_keptentry",
    "added later": """INSERT INTO ledger_keptentry (case_id, intake_id, ledger_account_id, account_ref, number, kind, asset_id, amount,
        at, after_cutoff, file_id, row, leg) SELECT case_id, intake_id, ledger_account_id, account_ref, 'X', kind, asset_id, amount, at,
        after_cutoff, file_id, 9999, leg FROM ledger_keptentry LIMIT 1""",
    "called early": """INSERT INTO ledger_keptentry (case_id, intake_id, ledger_account_id, account_ref, number, kind, asset_id, amount,
        at, after_cutoff, file_id, row, leg) SELECT case_id, intake_id, ledger_account_id, account_ref, 'X', kind, asset_id, amount, at,
        NOT after_cutoff, file_id, 9999, leg FROM ledger_keptentry LIMIT 1""",
}


@pytest.mark.parametrize("misuse", MISUSE)
def test_the_database_refuses_to_change_what_was_kept(late: Case, as_role: Any, misuse: str):
    before = counts()

    with pytest.raises((IntegrityError, InternalError, ProgrammingError)), as_role("henkan_app") as cursor:
        cursor.execute(MISUSE[misuse])
    assert counts() == before
