"""The form of a handover package: what HANDOVER.md promises, and what of a manifest or a file is refused."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from administration.ledger import package, reading
from administration.ledger.package import PackageRefused
from administration.office import sample

HANDOVER = Path(package.__file__).with_name("HANDOVER.md")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    sample.write(folder, accounts=5, seed=1)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "package")
    return tmp_path / "package"


def test_the_page_for_those_who_make_packages_says_what_the_machine_reads():
    page = HANDOVER.read_text("utf-8")

    for table in package.BY_FILE.values():
        section = page.split(f"### {table.file}")[1].split("###")[0]
        told = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
        assert [row[0].strip("|` ") for row in told] == list(table.header)
        assert [row[1] for row in told] == [column.type.value for column in table.columns]
        assert [row[2] for row in told] == ["no" if column.required else "may be empty" for column in table.columns]
        assert f"Key: {', '.join(table.key)}." in section
        for row, column in zip(told, table.columns, strict=True):
            assert all(choice in row[3] for choice in column.choices)


def test_a_good_package_is_read(folder):
    manifest = package.read_manifest(folder)

    assert manifest.cutoff_at.isoformat() == "2026-09-30T15:00:00+09:00"
    assert manifest.asset("BTC").scale == 8
    assert manifest.asset("LUNC") is None
    assert package.check_files(folder, manifest) == []


# --- the manifest ----------------------------------------------------------------------------------------------


def change(folder, path, value):
    """Set one field of the manifest; `path` is its names and places. An ellipsis takes the field out."""
    file = folder / package.MANIFEST
    manifest = json.loads(file.read_text("utf-8"))
    place = manifest
    for name in path[:-1]:
        place = place[name]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    file.write_text(json.dumps(manifest), "utf-8")


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (["format"], "other", "format"),
        (["version"], 2, "format"),
        (["version"], True, "format"),
        (["cutoff_at"], "2026-09-30T15:00:00", "cutoff_at"),
        (["cutoff_at"], "2026-02-30T15:00:00+09:00", "cutoff_at"),
        (["cutoff_at"], ..., "cutoff_at"),
        (["more"], 1, "more"),
        (["case"], [], "case"),
        (["case", "exchange_name"], " ", "case.exchange_name"),
        (["case", "court"], ..., "case.court"),
        (["assets"], [], "assets"),
        (["assets", 1, "code"], "btc", "assets[1].code"),
        (["assets", 1, "code"], "JPY", "assets"),
        (["assets", 1, "scale"], 19, "assets[1].scale"),
        (["assets", 1, "scale"], "8", "assets[1].scale"),
        (["assets", 1, "scale"], True, "assets[1].scale"),
        (["assets", 1, "payable_step"], "0", "assets[1].payable_step"),
        (["assets", 1, "payable_step"], 1, "assets[1].payable_step"),
        (["assets", 1, "kind"], "share", "assets[1].kind"),
        (["files", 0, "name"], "../customers.csv", "files[0].name"),
        (["files", 0, "name"], "evidence/../../etc/passwd", "files[0].name"),
        (["files", 0, "name"], "/etc/passwd", "files[0].name"),
        (["files", 0, "name"], "accounts.csv", "files"),
        (["files", 0, "sha256"], "AB", "files[0].sha256"),
        (["files", 0, "bytes"], -1, "files[0].bytes"),
        (["files", 0, "rows"], None, "files[0].rows"),
        (["files", 8, "rows"], 3, "files[8].rows"),
        (["files", 0], ..., "files"),
        (["control_totals", 0, "asset"], "ZZZ", "control_totals[0].asset"),
        (["control_totals", 0, "declared"], "1.5", "control_totals[0].declared"),
        (["control_totals", 0, "declared"], "NaN", "control_totals[0].declared"),
        (["control_totals", 0, "declared"], 5, "control_totals[0].declared"),
        (["control_totals", 0, "product"], "futures", "control_totals[0].product"),
        (["control_totals", 0, "source"], "", "control_totals[0].source"),
        (["control_totals", 1], {"asset": "JPY", "product": "spot", "declared": "1", "accounts": 1, "source": "x"}, "control_totals"),
    ],
)  # fmt: skip
def test_a_wrong_manifest_is_refused_with_the_field_named(folder, path, value, field):
    change(folder, path, value)

    with pytest.raises(PackageRefused) as refused:
        package.read_manifest(folder)

    assert field in {fault.column for fault in refused.value.faults}
    assert all(fault.file == package.MANIFEST and fault.reason and fault.remedy for fault in refused.value.faults)


def test_every_fault_of_a_manifest_is_told_at_once(folder):
    change(folder, ["assets", 1, "scale"], 99)
    change(folder, ["case", "exchange_name"], "")
    change(folder, ["control_totals", 0, "declared"], "1e3")

    with pytest.raises(PackageRefused, match="And 2 more") as refused:
        package.read_manifest(folder)

    assert {fault.column for fault in refused.value.faults} == {
        "assets[1].scale",
        "case.exchange_name",
        "control_totals[0].declared",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xef\xbb\xbf{}",
        b"{\xff}",
        b'{"version": 1.0}',
        b'{"version": NaN}',
        b'{"version": 1, "version": 1}',
        b"[" * 100_000,
        b'{"version": ' + b"9" * 5_000 + b"}",
    ],
)
def test_what_is_not_plain_json_is_refused(content):
    with pytest.raises(PackageRefused) as refused:
        package.parse_manifest(content)

    assert refused.value.faults[0].file == package.MANIFEST


# --- the files -------------------------------------------------------------------------------------------------


def kinds(folder):
    return [(fault.kind, fault.file) for fault in package.check_files(folder, package.read_manifest(folder))]


def test_a_changed_file_is_found_by_its_hash(folder):
    with open(folder / "balances.csv", "ab") as file:
        file.write(b"\n")

    assert kinds(folder) == [("wrong_hash", "balances.csv")]


def test_a_missing_file_is_found(folder):
    (folder / "holds.csv").unlink()
    (folder / "evidence" / "BTC-HOT-1.txt").unlink()

    assert sorted(kinds(folder)) == [("missing_file", "evidence/BTC-HOT-1.txt"), ("missing_file", "holds.csv")]


def test_a_file_nobody_listed_is_found(folder):
    (folder / "extra.csv").write_text("x")
    (folder / "evidence" / "extra.pdf").write_text("x")

    assert kinds(folder) == [("unlisted_file", "evidence/extra.pdf"), ("unlisted_file", "extra.csv")]


@pytest.mark.parametrize("name", ["balances.csv", "evidence/BTC-HOT-1.txt"])
def test_a_link_or_a_pipe_is_no_file_of_a_package(folder, name):
    elsewhere = folder.parent / "elsewhere"
    shutil.move(folder / name, elsewhere)
    (folder / name).symlink_to(elsewhere)
    assert kinds(folder) == [("missing_file", name)]

    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert kinds(folder) == [("missing_file", name)]


def test_a_folder_without_a_manifest_is_no_package(tmp_path):
    with pytest.raises(PackageRefused) as refused:
        package.read_manifest(tmp_path)

    assert refused.value.faults[0].kind == "missing_file"


def test_days_and_instants_are_read_in_one_form_only():
    assert package.parse_date("2026-09-30").day == 30
    assert package.parse_instant("2026-09-30T15:00:00Z").utcoffset() is not None
    for text in (
        "20260930",
        "2026-9-30",
        "2026-02-29",
        "令和8年9月30日",
        "２０２６-09-30",
        "2026-W40-1",
        "2026-09-30 ",
    ):
        with pytest.raises(ValueError, match=r"is not a|must be in|out of range"):
            package.parse_date(text)
    for text in ("2026-09-30", "2026-09-30T15:00:00", "2026-09-30 15:00:00+09:00", "2026-09-30T24:00:00+09:00"):
        with pytest.raises(ValueError, match=r"is not a|must be in|out of range"):
            package.parse_instant(text)


def test_an_instant_that_stands_for_never_or_nobody_knows_is_none():
    """Nothing here can be counted from it: it has no Japanese time, or the database has it and Python has not."""
    wallets = package.BY_FILE["wallets.csv"]
    place = [column.type for column in wallets.columns].index(package.Type.INSTANT)
    form = re.compile(reading._field_form(wallets.columns[place]))
    for text in ("9999-12-31T23:59:59Z", "9000-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00", "1899-12-31T00:00:00Z", "0001-01-01T00:00:00+09:00"):
        assert not form.fullmatch(text), text
        with pytest.raises(package.NoYear):
            package.parse_instant(text)
    for text in ("1900-01-01T00:00:00+09:00", "8999-12-31T23:59:59-09:00", "2026-09-30T15:00:00Z"):
        assert form.fullmatch(text), text
        assert package.parse_instant(text).year in package.YEARS
