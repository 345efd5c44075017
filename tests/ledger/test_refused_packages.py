"""What is wrong with a package is said with file, row, column, reason and remedy; and the database is unchanged."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils.translation import override

from administration import wording
from administration.cases.models import Case
from administration.ledger import findings, inspection, package, takeover
from administration.ledger.package import PackageRefused
from administration.ledger.takeover import HandoverRefused
from tests.cast import Cast
from tests.ledger.helpers import counts, edit, inspected, manifest_of, rewrite, sample, write_manifest


def refused(case: Case, cast: Cast, folder: Path) -> list[dict[str, Any]]:
    """Take it over, and see that it is refused, that nothing changed, and that a validation finds the very same."""
    before = counts()
    with pytest.raises(PackageRefused) as trouble:
        inspected(case, cast, folder)
    assert counts() == before

    report = inspection.validate(folder, cutoff_at=case.cutoff_at)
    assert report.refused
    assert counts() == before
    if isinstance(trouble.value, HandoverRefused):
        assert trouble.value.report["findings"] == report.as_json()["findings"]
    else:
        assert findings.from_faults(trouble.value.faults) == report.findings
    return [found for found in report.as_json()["findings"] if found["severity"] == "refuse"]


def wrong(folder: Path) -> list[dict[str, Any]]:
    """What a validation finds wrong with it: the same, as the seven show."""
    report = inspection.validate(folder)
    assert report.refused
    return [found for found in report.as_json()["findings"] if found["severity"] == "refuse"]


def places(findings: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    with override("ja"):
        unsaid = {found[part] for found in findings for part in ("reason", "remedy") if wording.said(found[part]) == found[part]}
    assert not unsaid, f"Put these into administration/ledger/sentences_of_packages.py: {unsaid}"
    return [(found["kind"], found["file"], found["row"], found["column"]) for found in findings]


def row_of(folder: Path, file: str, text: str) -> int:
    lines = (folder / file).read_text().split("\n")
    return next(number for number, line in enumerate(lines, start=1) if text in line)


# --- the seven --------------------------------------------------------------------------------


def test_a_file_that_is_not_what_the_manifest_says_is_refused(secured: Case, cast: Cast, folder: Path):
    text = (folder / "balances.csv").read_text()
    (folder / "balances.csv").write_text(text.replace(",spot,", ",lending,", 1))

    assert places(refused(secured, cast, folder)) == [("wrong_hash", "balances.csv", None, "")]


def test_a_missing_file_is_refused(secured: Case, cast: Cast, folder: Path):
    (folder / "accounts.csv").unlink()

    assert places(refused(secured, cast, folder)) == [("missing_file", "accounts.csv", None, "")]


def test_an_account_that_stands_twice_is_refused(secured: Case, cast: Cast, folder: Path):
    lines = (folder / "accounts.csv").read_text().split("\n")
    rewrite(folder, "accounts.csv", "\n".join([*lines[:5], lines[2], *lines[5:]]))

    (found,) = refused(secured, cast, folder)
    assert places([found]) == [("duplicate_account", "accounts.csv", 6, "account_id")]
    assert "Row 3" in found["reason"]


def test_an_asset_that_nobody_listed_is_refused_and_not_guessed(secured: Case, cast: Cast, folder: Path):
    row = row_of(folder, "balances.csv", ",BTC,spot,")
    edit(folder, "balances.csv", row, asset="ВТС")  # Cyrillic

    assert places(refused(secured, cast, folder)) == [("unknown_asset", "balances.csv", row, "asset")]


NUMBERS = [
    ("NaN", "not_a_number"), ("Infinity", "not_a_number"), ("-inf", "not_a_number"), ("", "not_a_number"),
    ("1,234.5", "not_a_number"), ("1_000", "not_a_number"), ("0x1F", "not_a_number"), ("+5", "not_a_number"),
    (" 5", "not_a_number"), ("5.", "not_a_number"), (".5", "not_a_number"), ("△1000", "not_a_number"),
    ("(1000)", "not_a_number"), ("1000-", "not_a_number"), ("¥5", "not_a_number"), ("--5", "not_a_number"),
    ("1" * 60, "not_a_number"), ("1.2E+05", "exponent"), ("1e400", "exponent"), ("１２３", "full_width_digits"),
    ("１，２３４", "not_a_number"),
]  # fmt: skip


def test_what_is_not_a_plain_number_is_refused(secured: Case, cast: Cast, folder: Path):
    expected = []
    for row, (text, kind) in enumerate(NUMBERS, start=5):
        edit(folder, "balances.csv", row, amount=text)
        expected.append((kind, "balances.csv", row, "amount"))

    assert places(refused(secured, cast, folder)) == expected


def test_more_decimals_than_the_asset_has_are_refused_and_not_rounded(secured: Case, cast: Cast, folder: Path):
    rows = {asset: row_of(folder, "balances.csv", f",{asset},spot,") for asset in ("JPY", "BTC", "ETH")}
    for asset, amount in (("JPY", "1.5"), ("BTC", "0.123456789"), ("ETH", "0." + "0" * 18 + "1")):
        edit(folder, "balances.csv", rows[asset], amount=amount)

    assert places(refused(secured, cast, folder)) == [
        ("too_many_decimals", "balances.csv", row, "amount") for row in sorted(rows.values())
    ]


@pytest.mark.parametrize(("asset", "units"), [("JPY", 1), ("ETH", -1)])
def test_a_control_total_off_by_one_unit_is_refused(secured: Case, cast: Cast, folder: Path, asset: str, units: int):
    from administration import amounts

    facts = manifest_of(folder)
    scale = next(entry["scale"] for entry in facts["assets"] if entry["code"] == asset)
    place = next(
        n for n, total in enumerate(facts["control_totals"]) if (total["asset"], total["product"]) == (asset, "spot")
    )
    total = facts["control_totals"][place]
    total["declared"] = amounts.show(amounts.parse(total["declared"], scale) + units, scale)
    write_manifest(folder, facts)

    (found,) = refused(secured, cast, folder)
    assert places([found]) == [("control_total_off_by_one", "manifest.json", None, f"control_totals[{place}].declared")]
    assert amounts.show(units, scale) in found["reason"]


# --- more -------------------------------------------------------------------------------------


def test_trailing_zeros_are_no_decimals(secured: Case, cast: Cast, folder: Path):
    row = row_of(folder, "balances.csv", ",JPY,spot,")
    whole = (folder / "balances.csv").read_text().split("\n")[row - 1].split(",")[3]
    edit(folder, "balances.csv", row, amount=f"{whole}.000")

    assert inspected(secured, cast, folder).state == "inspected"


def test_a_count_that_is_off_is_refused_even_if_the_sum_fits(folder: Path, db: None):
    facts = manifest_of(folder)
    facts["control_totals"][0]["accounts"] += 1
    write_manifest(folder, facts)

    assert places(wrong(folder)) == [("control_count_differs", "manifest.json", None, "control_totals[0].accounts")]


def test_a_row_count_that_is_off_is_refused(folder: Path, db: None):
    facts = manifest_of(folder)
    place = next(n for n, file in enumerate(facts["files"]) if file["name"] == "accounts.csv")
    facts["files"][place]["rows"] -= 1
    write_manifest(folder, facts)

    assert places(wrong(folder)) == [("row_count", "manifest.json", None, f"files[{place}].rows")]


def test_a_day_that_is_none_is_refused(folder: Path, db: None):
    days = ("令和7年9月30日", "2026/09/30", "2026-02-30", "30/09/26", "46295", "", "2026-9-30", "0000-01-01")
    for row, day in enumerate(days, start=4):
        edit(folder, "accounts.csv", row, opened_on=day)

    assert places(wrong(folder)) == [("bad_date", "accounts.csv", row, "opened_on") for row in range(4, 4 + len(days))]


def test_a_column_with_individual_numbers_is_refused_before_a_row_is_read(folder: Path, db: None):
    lines = (folder / "customers.csv").read_text().split("\n")
    text = "\n".join([lines[0] + ",個人番号", *[line + ",123456789012" for line in lines[1:] if line]]) + "\n"
    rewrite(folder, "customers.csv", text)

    found = wrong(folder)
    assert ("my_number", "customers.csv", 1, "個人番号") in places(found)
    assert "123456789012" not in json.dumps(found)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda text: "\ufeff" + text, "byte_order_mark"),
        (lambda text: text.replace("\n", "\r\n"), "line_ending"),
        (lambda text: text.replace(",", ";"), "header"),
        (lambda text: text.split("\n", 1)[1], "header"),
        (lambda text: text.replace("opened_on", "opening_date"), "header"),
    ],
)
def test_a_table_of_another_form_is_refused_at_its_header(folder: Path, db: None, change: Any, kind: str):
    rewrite(folder, "accounts.csv", change((folder / "accounts.csv").read_text()))

    assert (kind, "accounts.csv", 1) in [place[:3] for place in places(wrong(folder))]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("A1,C1,own,active", "ragged_row"),
        ("A1,C1,own,active,2020-01-01,", "ragged_row"),
        ("", "blank_row"),
        ('A1,"C1"x,own,active,2020-01-01', "unreadable_row"),
    ],
)
def test_a_row_that_is_no_row_is_refused_with_its_number(folder: Path, db: None, line: str, kind: str):
    lines = (folder / "accounts.csv").read_text().split("\n")
    rewrite(folder, "accounts.csv", "\n".join([*lines[:7], line, *lines[7:]]))

    assert places(wrong(folder)) == [(kind, "accounts.csv", 8, "")]


def test_a_quote_never_closed_is_refused(folder: Path, db: None):
    lines = (folder / "accounts.csv").read_text().split("\n")
    lines[9] = lines[9].replace(",own,", ',"own,')
    rewrite(folder, "accounts.csv", "\n".join(lines))

    kinds = {place[:3] for place in places(wrong(folder))}
    assert ("unreadable_row", "accounts.csv", 10) in kinds or ("ragged_row", "accounts.csv", 10) in kinds


def test_bytes_that_are_not_utf_8_are_refused_with_row_and_byte(folder: Path, db: None):
    content = (folder / "customers.csv").read_bytes().split(b"\n")
    content[3] = content[3].replace(b"@", b"\x83\x41@", 1)
    (folder / "customers.csv").write_bytes(b"\n".join(content))
    import hashlib

    facts = manifest_of(folder)
    entry = next(file for file in facts["files"] if file["name"] == "customers.csv")
    whole = (folder / "customers.csv").read_bytes()
    entry.update(sha256=hashlib.sha256(whole).hexdigest(), bytes=len(whole))
    write_manifest(folder, facts)

    found = wrong(folder)
    assert ("not_utf8", "customers.csv", 4, "") in places(found)
    assert "byte" in found[0]["reason"]


FAULTS = [
    ("accounts.csv", {"customer_id": "C99999999"}, "unknown_customer", "customer_id"),
    ("accounts.csv", {"capacity": "OWN"}, "unknown_value", "capacity"),
    ("customers.csv", {"name": ""}, "empty", "name"),
    ("customers.csv", {"nationality": "JPN"}, "too_long", "nationality"),
    ("customers.csv", {"address": "a\x07b"}, "control_character", "address"),
    ("balances.csv", {"account_id": "X1"}, "unknown_account", "account_id"),
    ("bank_accounts.csv", {"account_id": "X1"}, "unknown_account", "account_id"),
    ("withdrawal_addresses.csv", {"asset": "LUNC"}, "unknown_asset", "asset"),
    ("wallets.csv", {"amount": "-1"}, "negative_holding", "amount"),
    ("wallets.csv", {"evidence_file": "evidence/none.txt"}, "evidence_missing", "evidence_file"),
    ("wallets.csv", {"evidence_sha256": "0" * 64}, "evidence_hash", "evidence_sha256"),
    ("wallets.csv", {"as_of": "2026-09-30 15:00"}, "bad_instant", "as_of"),
    ("prices.csv", {"jpy_den": "0"}, "not_a_number", "jpy_den"),
    ("prices.csv", {"asset": "ZZZ"}, "unknown_asset", "asset"),
]  # fmt: skip


def test_each_fault_is_named_where_it_is(folder: Path, db: None):
    expected = set()
    for row, (file, fields, kind, column) in enumerate(FAULTS, start=3):
        row = row - 10 if file == "prices.csv" else row
        edit(folder, file, row, **fields)
        expected.add((kind, file, row, column))

    assert set(places(wrong(folder))) == expected


def test_a_scale_that_differs_from_the_cases_is_refused(secured: Case, cast: Cast, assets: Any, folder: Path):
    facts = manifest_of(folder)
    next(entry for entry in facts["assets"] if entry["code"] == "BTC")["scale"] = 9
    write_manifest(folder, facts)

    before = counts()
    with pytest.raises(HandoverRefused) as trouble:
        inspected(secured, cast, folder)
    assert [fault.kind for fault in trouble.value.faults] == ["asset_scale"]
    assert counts() == before


def test_a_link_in_a_package_is_refused(secured: Case, cast: Cast, folder: Path, tmp_path: Path):
    (folder / "accounts.csv").rename(tmp_path / "elsewhere.csv")
    (folder / "accounts.csv").symlink_to(tmp_path / "elsewhere.csv")

    assert places(wrong(folder)) == [("missing_file", "accounts.csv", None, "")]


def test_a_folder_without_a_manifest_is_refused(secured: Case, cast: Cast, tmp_path: Path):
    assert places(refused(secured, cast, tmp_path)) == [("missing_file", "manifest.json", None, "")]


def test_names_with_commas_quotes_and_line_ends_come_through(secured: Case, cast: Cast, folder: Path):
    from administration.ledger.models import Identity
    from tests.ledger.helpers import accepted

    lines = (folder / "customers.csv").read_text().split("\n")
    fields = lines[2].split(",")
    odd = 'O\'Brien, "Bob"\nof 髙﨑'
    fields[2] = '"' + odd.replace('"', '""') + '"'
    lines[2] = ",".join(fields)
    text = "\n".join(lines)
    rewrite(folder, "customers.csv", text)
    facts = manifest_of(folder)
    next(file for file in facts["files"] if file["name"] == "customers.csv")["rows"] -= 1  # one line end is in a name
    write_manifest(folder, facts)
    accepted(secured, cast, folder)

    assert Identity.objects.filter(name=odd).count() == 1
    assert list(Identity.objects.order_by("row").values_list("row", flat=True)) == list(
        range(2, Identity.objects.count() + 2)
    )


def test_wrong_destinations_only_warn_and_are_marked(secured: Case, cast: Cast, folder: Path):
    from administration.ledger.models import Finding, HandedOverDestination
    from tests.ledger.helpers import accepted

    edit(folder, "bank_accounts.csv", 5, branch_code="000", bank_code="0001")
    bitcoin = row_of(folder, "withdrawal_addresses.csv", ",BTC,bitcoin,")
    edit(folder, "withdrawal_addresses.csv", bitcoin, address="bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5")
    intake = accepted(secured, cast, folder)

    assert {(f.kind, f.file, f.row, f.column) for f in Finding.objects.filter(intake=intake)} >= {
        ("unknown_branch", "bank_accounts.csv", 5, "branch_code"),
        ("bad_checksum", "withdrawal_addresses.csv", bitcoin, "address"),
    }
    wrong = HandedOverDestination.objects.filter(valid=False)
    assert {(row.file.name, row.row) for row in wrong} == {
        ("bank_accounts.csv", 5), ("withdrawal_addresses.csv", bitcoin)
    }  # fmt: skip
    assert all(row.problem for row in wrong)


def test_a_key_pasted_instead_of_an_address_is_not_stored(secured: Case, cast: Cast, folder: Path):
    from administration.ledger.models import HandedOverDestination
    from tests.ledger.helpers import accepted

    key = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"
    row = row_of(folder, "withdrawal_addresses.csv", ",BTC,bitcoin,")
    edit(folder, "withdrawal_addresses.csv", row, address=key)
    accepted(secured, cast, folder)

    (wrong,) = HandedOverDestination.objects.filter(valid=False)
    assert wrong.details["address"] == ""
    assert key not in wrong.problem


def test_many_faults_of_one_kind_are_listed_up_to_a_limit_and_then_counted(
    secured: Case, cast: Cast, folder: Path, monkeypatch: pytest.MonkeyPatch
):  # fmt: skip
    monkeypatch.setattr(findings, "LISTED_MAX", 10)
    text = (folder / "balances.csv").read_text()
    many = text.count(",JPY,")
    rewrite(folder, "balances.csv", text.replace(",JPY,", ",YEN,"))

    found = [f for f in refused(secured, cast, folder) if f["kind"] == "unknown_asset"]
    assert len(found) == 11
    assert sum(f["rows"] for f in found) == many


# --- dirty packages ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_fault_put_into_a_package_is_found_and_none_is_invented(
    secured: Case, cast: Cast, tmp_path: Path, seed: int
):
    folder = sample(tmp_path / "dirty", accounts=400, seed=seed, dirty=0.02)
    done = {
        (dirt["kind"], dirt["file"], dirt["row"], dirt["column"])
        for dirt in json.loads((folder / "dirty.json").read_text())
    }
    assert len(done) > 20

    before = counts()
    with pytest.raises(HandoverRefused) as trouble:
        inspected(secured, cast, folder)
    assert counts() == before

    report = trouble.value.report
    said = [
        found for found in report["findings"] if found["kind"] not in ("negative_balance", "control_total_not_compared")
    ]
    found = {(f["kind"], f["file"], f["row"], f["column"]) for f in said}
    # A total can only be compared where every row of it can be read; where not, the report says that it was not.
    not_compared = {f["column"] for f in report["findings"] if f["kind"] == "control_total_not_compared"}
    missed = done - found
    assert {place for place in missed if place[1] != package.MANIFEST or place[3] not in not_compared} == set()
    assert found - done == set()


# --- by command -------------------------------------------------------------------------------


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = 0
    try:
        call_command(*arguments, "--json")
    except SystemExit as end:
        code = int(end.code or 0)
    return code, json.loads(capsys.readouterr().out)


def test_the_command_takes_over_and_asks_for_acceptance(
    secured: Case, cast: Cast, clean_package: Path, capsys: pytest.CaptureFixture[str]
):  # fmt: skip
    code, said = run("take_over", "T-1", str(clean_package), capsys=capsys)

    assert (code, said["ok"], said["state"], said["accounts"]) == (0, True, "inspected", 60)
    assert said["intake"] and said["quarantined"] == []
    assert {"seconds", "balances", "findings"} <= set(said)
    assert all(total["declared"] == total["computed"] for total in said["control_totals"])


def test_the_command_takes_another_package_instead_if_it_is_told_why(
    secured: Case, cast: Cast, clean_package: Path, capsys: pytest.CaptureFixture[str]
):
    _, first = run("take_over", "T-1", str(clean_package), capsys=capsys)
    with pytest.raises(CommandError, match="Cancel that one first"):
        call_command("take_over", "T-1", str(clean_package))

    code, second = run("take_over", "T-1", str(clean_package), "--instead", "a newer backup", capsys=capsys)
    assert (code, second["state"]) == (0, "inspected")
    assert takeover.Intake.objects.get(pk=first["intake"]).state == "cancelled"


def test_a_dry_run_and_a_validation_find_the_same_and_change_nothing(
    secured: Case, cast: Cast, folder: Path, capsys: pytest.CaptureFixture[str]
):  # fmt: skip
    edit(folder, "balances.csv", 4, amount="NaN")
    before = counts()

    dry, tried = run("take_over", "T-1", str(folder), "--dry-run", capsys=capsys)
    real, taken = run("take_over", "T-1", str(folder), capsys=capsys)
    alone, validated = run("validate_handover", str(folder), capsys=capsys)

    assert (dry, real, alone) == (1, 1, 1)
    assert tried["findings"] == taken["findings"] == validated["findings"]
    assert taken["findings"][0]["row"] == 4
    assert counts() == before


def test_a_good_package_is_valid_without_a_case(db: None, clean_package: Path, capsys: pytest.CaptureFixture[str]):
    before = counts()
    code, said = run("validate_handover", str(clean_package), capsys=capsys)

    assert (code, said["ok"], said["intake"], said["state"]) == (0, True, None, "valid")
    assert counts() == before


def test_a_difference_that_is_to_be_suspended_is_shown_as_quarantined(
    secured: Case, cast: Cast, folder: Path, capsys: pytest.CaptureFixture[str]
):  # fmt: skip
    facts = manifest_of(folder)
    facts["control_totals"][0]["declared"] = str(int(facts["control_totals"][0]["declared"]) + 7)
    write_manifest(folder, facts)

    code, said = run("take_over", "T-1", str(folder), "--differences", "suspend", capsys=capsys)
    assert (code, said["state"]) == (0, "inspected")
    assert said["quarantined"] == [{"asset": "JPY", "product": "spot", "rows": 0, "amount": "7"}]
    assert takeover.Intake.objects.get().state == "inspected"
