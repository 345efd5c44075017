"""The sample package: the same bytes for the same seed, true to its own manifest, and dirty only where it says so."""

import csv
import io
import json
import tracemalloc
import unicodedata
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from administration import amounts
from administration.ledger import package
from administration.office import sample
from administration.office.sample import codecs, dirt, handover
from administration.rails import accounts, addresses

ACCOUNTS = 1_500


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    sample.write(folder, accounts=ACCOUNTS, seed=11)
    return folder


@pytest.fixture(scope="module")
def dirty(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dirty")
    sample.write(folder, accounts=ACCOUNTS, seed=11, dirty=0.05)
    return folder


def rows(folder: Path, table: package.Table) -> list[dict[str, str]]:
    with open(folder / table.file, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def assets(folder: Path) -> dict[str, package.AssetFacts]:
    return {asset.code: asset for asset in package.read_manifest(folder).assets}


# --- the same seed, the same bytes -----------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(clean, tmp_path):
    sample.write(tmp_path / "again", accounts=ACCOUNTS, seed=11)
    sample.write(tmp_path / "other", accounts=ACCOUNTS, seed=12)

    assert content(tmp_path / "again") == content(clean)
    assert content(tmp_path / "other")["customers.csv"] != content(clean)["customers.csv"]


def test_an_account_is_the_same_however_many_are_made(clean, tmp_path, monkeypatch):
    monkeypatch.setattr(handover, "BLOCK", 7)
    sample.write(tmp_path, accounts=100, seed=11)

    for table in (package.CUSTOMERS, package.ACCOUNTS, package.BALANCES, package.WITHDRAWAL_ADDRESSES):
        few = (tmp_path / table.file).read_bytes()
        assert (clean / table.file).read_bytes().startswith(few)


def test_the_bytes_are_those_of_the_day_this_was_written(tmp_path):
    """Whoever changes the sample on purpose changes these; whoever changes it by accident learns it here."""
    figures = sample.write(tmp_path, accounts=50, seed=1)

    assert figures["manifest_sha256"] == "745cdce87ec3c36c377a4841b7a3256373b6953796a7fe0221623cbff52b69dd"


def test_memory_does_not_grow_with_the_accounts(tmp_path, monkeypatch):
    monkeypatch.setattr(handover, "BLOCK", 100)
    sample.write(tmp_path / "warm", accounts=100, seed=1)  # tables and imports are made once
    peaks = []
    for count in (300, 1_500):
        tracemalloc.start()
        sample.write(tmp_path / str(count), accounts=count, seed=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < peaks[0] * 1.3


def test_a_folder_in_use_is_refused(clean, tmp_path):
    before = content(clean)

    with pytest.raises(handover.FolderInUse, match="not empty"):
        sample.write(clean, accounts=1, seed=1)

    assert content(clean) == before


def test_one_account_is_enough(tmp_path):
    sample.write(tmp_path, accounts=1, seed=3)

    assert package.check_files(tmp_path, package.read_manifest(tmp_path)) == []


# --- true to its manifest --------------------------------------------------------------------------------------


def test_the_files_are_as_the_manifest_states_them(clean, dirty):
    for folder in (clean, dirty):
        manifest = package.read_manifest(folder)

        assert package.check_files(folder, manifest) == []
        for facts in manifest.files:
            if facts.name in package.BY_FILE:
                text = (folder / facts.name).read_bytes()
                assert text.endswith(b"\n") and b"\r" not in text and not text.startswith(b"\xef")
                assert text.count(b"\n") == facts.rows + 1
                assert text.decode().split("\n")[0] == ",".join(package.BY_FILE[facts.name].header)


def test_every_control_total_is_the_sum_of_its_balances(clean):
    manifest, sums, count = package.read_manifest(clean), Counter(), Counter()
    for row in rows(clean, package.BALANCES):
        key = row["asset"], row["product"]
        sums[key] += amounts.parse(row["amount"], manifest.asset(row["asset"]).scale)
        count[key] += 1

    declared = {(total.asset, total.product): total for total in manifest.control_totals}
    assert {key: total.declared for key, total in declared.items() if total.accounts} == dict(sums)
    assert {key: total.accounts for key, total in declared.items() if total.accounts} == dict(count)
    assert {total.asset for total in manifest.control_totals} == set(assets(clean))


def test_there_are_twelve_assets_of_scales_from_zero_to_eighteen(clean):
    found = assets(clean)

    assert len(found) == 12
    assert {"JPY", "BTC", "ETH", "XRP", "JPYC"} <= set(found)
    assert (found["JPY"].scale, found["BTC"].scale, found["XRP"].scale, found["ETH"].scale) == (0, 8, 6, 18)
    assert found["ETH"].payable_step == 10**9


# --- as an exchange's ledger is --------------------------------------------------------------------------------


def faults_of(folder: Path) -> set[tuple[str, int | None, str]]:
    """
    What a strict reader of its own finds: file, row as a spreadsheet shows it, column.

    Written apart from whatever the take-over does, so that the two can be compared.
    """
    found: set[tuple[str, int | None, str]] = set()
    known = assets(folder)
    there = {name: {row[name] for row in rows(folder, table)} for name, table in (
        ("account_id", package.ACCOUNTS), ("customer_id", package.CUSTOMERS)
    )}  # fmt: skip
    for table in package.TABLES:
        seen = set()
        with open(folder / table.file, encoding="utf-8", newline="") as file:
            read = list(csv.reader(file))
        for number, fields in enumerate(read[1:], start=2):
            if len(fields) != len(table.header):
                found.add((table.file, number, ""))
                continue
            row = dict(zip(table.header, fields, strict=True))
            for column in table.columns:
                if not column_is_good(column, row, known):
                    found.add((table.file, number, column.name))
            for name, of in (("account_id", package.ACCOUNTS), ("customer_id", package.CUSTOMERS)):
                if name in row and table is not of and row[name] not in there[name]:
                    found.add((table.file, number, name))
            if table.file == "bank_accounts.csv" and row["kind"] in package.BANK_ACCOUNT_KINDS:
                for remark in accounts.check(*fields[1:]).errors:
                    named = {"unknown_bank": "bank_code", "number_form": "number"}.get(remark.code, "branch_code")
                    found.add((table.file, number, named))
            if table.file == "withdrawal_addresses.csv" and row["asset"] in known:
                judged = addresses.check(row["asset"], row["network"], row["address"], row["memo"])
                found |= {(table.file, number, "address") for remark in judged.errors}
            key = tuple(row[name] for name in table.key)
            if key in seen:
                found.add((table.file, number, table.key[-1]))
            seen.add(key)
    return found


def column_is_good(column: package.Column, row: dict[str, str], known: dict[str, package.AssetFacts]) -> bool:
    text = row[column.name]
    if not text.strip():
        return not column.required
    if column.name == "asset":
        return text in known
    try:
        if column.type is package.Type.AMOUNT and row["asset"] in known:
            amounts.parse(text, known[row["asset"]].scale)
        elif column.type is package.Type.DATE:
            return package.parse_date(text) <= date(2026, 9, 30)
        elif column.type is package.Type.INSTANT:
            package.parse_instant(text)
    except ValueError:
        return False
    if column.name == "phone" and not text.startswith("+"):
        return False
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Co") or letter == "\ufffd" for letter in text):
        return False
    return len(text) <= column.length_max and (column.type is not package.Type.ENUM or text in column.choices)


def test_a_clean_package_has_no_fault_in_any_row(clean):
    assert faults_of(clean) == set()


def test_a_dirty_package_is_wrong_exactly_where_it_says(dirty):
    told = json.loads((dirty / handover.DIRTY).read_text("utf-8"))

    assert {fault["kind"] for fault in told} == dirt.KINDS
    by_row = {(fault["file"], fault["row"], fault["column"]) for fault in told if fault["row"]}
    assert faults_of(dirty) == by_row
    assert 0.02 * ACCOUNTS * 8 < len(told) < 0.08 * ACCOUNTS * 10


def test_a_dirty_package_has_one_control_total_off_by_one_unit(clean, dirty):
    told = json.loads((dirty / handover.DIRTY).read_text("utf-8"))
    (place,) = [fault["column"] for fault in told if fault["file"] == package.MANIFEST]

    right, wrong = package.read_manifest(clean).control_totals, package.read_manifest(dirty).control_totals
    differ = [n for n, (a, b) in enumerate(zip(right, wrong, strict=True)) if a != b]
    assert place == f"control_totals[{differ[0]}].declared"
    assert len(differ) == 1
    assert wrong[differ[0]].declared - right[differ[0]].declared == 1


def test_every_account_belongs_to_a_customer_and_everything_to_an_account(clean):
    customers = {row["customer_id"] for row in rows(clean, package.CUSTOMERS)}
    account_rows = rows(clean, package.ACCOUNTS)
    ids = {row["account_id"] for row in account_rows}

    assert len(account_rows) == ACCOUNTS == len(ids)
    assert {row["customer_id"] for row in account_rows} == customers
    for table in (package.BALANCES, package.BANK_ACCOUNTS, package.WITHDRAWAL_ADDRESSES, package.HOLDS):
        assert {row["account_id"] for row in rows(clean, table)} <= ids


def test_who_has_yen_has_a_bank_account_and_most_who_have_coins_an_address(clean):
    banks = {row["account_id"] for row in rows(clean, package.BANK_ACCOUNTS)}
    listed = {(row["account_id"], row["asset"]) for row in rows(clean, package.WITHDRAWAL_ADDRESSES)}
    coins = set()
    for row in rows(clean, package.BALANCES):
        if row["asset"] == "JPY":
            assert row["account_id"] in banks
        else:
            coins.add((row["account_id"], row["asset"]))

    assert listed <= coins
    assert 0.95 < len(listed) / len(coins) < 0.99


def test_people_are_as_people_are(clean):
    customers = rows(clean, package.CUSTOMERS)
    by_kind = Counter(row["entity_type"] for row in customers)
    foreign = [row for row in customers if row["nationality"] != "JP"]
    per_customer = Counter(row["customer_id"] for row in rows(clean, package.ACCOUNTS))
    persons = defaultdict(list)
    for row in customers:
        persons[row["kana"], row["birth_or_founding_date"], row["phone"]].append(row)

    assert 0.01 < by_kind["corporate"] / len(customers) < 0.05
    assert 0.04 < len(foreign) / len(customers) < 0.09
    assert 0.01 < sum(count > 1 for count in per_customer.values()) / len(customers) < 0.03
    assert any(len(same) > 1 for same in persons.values())  # registered twice
    assert any("髙" in row["name"] or "﨑" in row["name"] for row in customers)
    for row in customers:
        corporate = row["entity_type"] == "corporate"
        assert bool(row["corporate_number"]) == corporate
        assert (
            row["email"]
            .rsplit("@")[1]
            .endswith(("example.com", "example.net", "example.org", "example.jp", "example.co.jp"))
        )
        assert package.parse_date(row["birth_or_founding_date"]) < date(2026, 9, 30)
        if corporate:
            assert row["corporate_number"] == codecs.corporate_number(int(row["corporate_number"][1:]))
            assert accounts._legal_form(row["name"]) != row["name"]


def test_balances_have_a_long_tail_a_few_huge_ones_and_some_below_zero(clean):
    found = [
        int(row["amount"])
        for row in rows(clean, package.BALANCES)
        if row["asset"] == "JPY" and row["product"] == "spot"
    ]
    ordered = sorted(found)
    products = Counter(row["product"] for row in rows(clean, package.BALANCES))

    assert ordered[-1] > 100 * ordered[len(ordered) // 2]
    assert sum(0 < amount < 1_000 for amount in found) > len(found) // 20
    assert 0 < sum(amount < 0 for amount in found) < len(found) // 50
    assert set(products) == {"spot", "pending_withdrawal", "lending"}


def test_exactly_two_assets_fall_short_and_one_holding_is_unproved(clean):
    known = assets(clean)
    owed, held = Counter(), Counter()
    for row in rows(clean, package.BALANCES):
        owed[row["asset"]] += max(0, amounts.parse(row["amount"], known[row["asset"]].scale))
    wallets = rows(clean, package.WALLETS)
    for row in wallets:
        if row["access"] == "proved" and row["tag"] != "own":
            held[row["asset"]] += amounts.parse(row["amount"], known[row["asset"]].scale)

    assert {code for code in known if held[code] < owed[code]} == {"BTC", "XRP"}
    assert held["BTC"] == owed["BTC"] * 92 // 100
    assert held["XRP"] == owed["XRP"] * 97 // 100
    assert all(owed[code] <= held[code] <= owed[code] * 104 // 100 for code in known if code not in ("BTC", "XRP"))
    assert [row["place_id"] for row in wallets if row["access"] != "proved"] == ["BTC-OLD-1"]
    assert all(bool(row["proof"]) == (row["access"] == "proved") for row in wallets)


def test_every_holding_names_a_paper_that_is_there(clean):
    papers = {facts.name: facts.sha256 for facts in package.read_manifest(clean).files if facts.rows is None}

    assert {row["evidence_file"]: row["evidence_sha256"] for row in rows(clean, package.WALLETS)} == papers


def test_addresses_are_everybodys_own(clean):
    own = [
        row["address"]
        for row in rows(clean, package.WITHDRAWAL_ADDRESSES)
        if row["network"] in ("bitcoin", "xrpl") and not row["memo"]
    ]
    assert len(set(own)) == len(own)
    kinds = Counter(addresses.check("BTC", "bitcoin", address).kind for address in own if address[0] in "13b")
    assert set(kinds) == {"p2pkh", "p2sh", "p2wpkh", "p2tr"}


# --- the command -----------------------------------------------------------------------------------------------


def test_the_command_says_what_it_wrote(tmp_path):
    out = io.StringIO()

    call_command("sample_handover", str(tmp_path / "new"), "--accounts", "20", "--json", stdout=out)

    told = json.loads(out.getvalue())
    assert told["ok"] and told["rows"]["accounts.csv"] == 20
    assert package.read_manifest(tmp_path / "new").sha256 == told["manifest_sha256"]


@pytest.mark.parametrize(("arguments", "code"), [(["--accounts", "0"], 2), (["--dirty", "2"], 2), ([], 1)])
def test_the_command_refuses_with_the_right_code(tmp_path, arguments, code):
    (tmp_path / "something").write_text("here")

    with pytest.raises(CommandError) as refused:
        call_command("sample_handover", str(tmp_path), *arguments)

    assert refused.value.returncode == code
