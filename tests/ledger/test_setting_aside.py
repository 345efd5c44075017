"""Rows set aside by a signed outcome: named, in no sum but their own, and the totals still tie to the unit."""

import shutil
from pathlib import Path

import pytest
from django.db import connection

from administration import amounts
from administration.cases import approvals
from administration.cases.models import ApprovalRequest, Case
from administration.ledger import arriving, conversions, deliveries, package, setting_aside, takeover
from administration.ledger.delivered import RowSetAside
from administration.ledger.models import ControlTotal, Identity, LedgerAccount, LedgerBalance
from administration.ledger.staging import TABLES
from administration.work import jobs
from administration.work.models import Job
from tests.cast import NOON, Cast
from tests.ledger import layouts
from tests.ledger.helpers import edit, work

BECAUSE = "The exchange's last officer confirmed by letter that nobody can say what these rows meant."


def outcomes(*kinds: str) -> dict[str, dict[str, str]]:
    return {kind: {"outcome": "aside", "remark": BECAUSE} for kind in kinds}


def spoiled(folder: Path) -> list[dict[str, str]]:
    """Five balances with faults, a customer with another; what the rows that go held."""
    rows = layouts.table(folder, "balances")
    gone = [rows[0], rows[1], rows[2], rows[3]]
    edit(folder, "balances.csv", 2, amount="１００")
    edit(folder, "balances.csv", 3, asset="ВТС")
    edit(folder, "balances.csv", 4, amount=rows[2]["amount"] + "0000000000000000001")
    edit(folder, "balances.csv", 5, account_id="A99999999")
    edit(folder, "customers.csv", 12, birth_or_founding_date="1987-02-30")
    lost = layouts.table(folder, "customers")[10]["customer_id"]
    accounts = [row["account_id"] for row in layouts.table(folder, "accounts") if row["customer_id"] == lost]
    return gone + [row for row in rows[4:] if row["account_id"] in accounts]


def test_what_is_set_aside_is_named_and_the_rest_ties_to_the_unit(secured: Case, cast: Cast, folder: Path):
    gone = spoiled(folder)
    kinds = ("full_width_digits", "unknown_asset", "too_many_decimals", "unknown_account", "bad_date")
    job = work(takeover.inspect(takeover.receive(secured, folder, by=cast.goto, at=NOON), by=cast.goto, at=NOON))
    assert {one["kind"] for one in job.result["findings"] if one["severity"] == "refuse"} >= set(kinds)
    with pytest.raises(takeover.HandoverRefused):
        takeover.outcome(job)

    intake = takeover.receive(secured, folder, by=cast.goto, at=NOON, outcomes=outcomes(*kinds))
    intake = takeover.outcome(work(takeover.inspect(intake, by=cast.goto, at=NOON)))

    rows = list(RowSetAside.objects.filter(intake=intake, file="balances.csv").order_by("row"))
    assert len(rows) == len(gone)
    assert {row.kind for row in rows} == {*kinds[:4], setting_aside.PARENT}
    assert RowSetAside.objects.get(file="customers.csv").kind == "bad_date"
    manifest = package.read_manifest(folder)
    scales = {asset.code: asset.scale for asset in manifest.assets}
    for total in intake.control_totals.all():
        missing = sum(
            amounts.parse(row["amount"], scales[row["asset"]]) for row in gone if (row["asset"], row["product"]) == (total.asset_code, total.product)
        )
        assert total.declared - total.computed == missing, total
    with pytest.raises(takeover.Unexplained):
        takeover.accept(intake, by=cast.goto, at=NOON)

    for total in intake.control_totals.all():
        if total.difference:
            request = takeover.put_into_suspense(total, name="rows set aside at take-over", by=cast.goto, at=NOON)
            for signer in (cast.aoki, cast.baba):
                approvals.sign(request, by=signer, at=NOON)
    request = takeover.accept(intake, by=cast.goto, at=NOON)
    approvals.sign(request, by=cast.baba, at=NOON)
    job = Job.objects.get(kind=takeover.ACCEPT)
    with connection.cursor() as cursor:  # the server crashed: staging is read again, without the rows set aside
        cursor.execute(f"DELETE FROM {TABLES['customers.csv']}")
    work(job)

    intake.refresh_from_db()
    assert intake.state == "accepted"
    counted = {file.name: file.rows for file in manifest.files}
    assert LedgerBalance.objects.count() == counted["balances.csv"] - len(rows)
    assert Identity.objects.count() == counted["customers.csv"] - 1
    assert LedgerAccount.objects.count() == intake.accounts == counted["accounts.csv"] - RowSetAside.objects.filter(file="accounts.csv").count()
    assert all(total.declared == total.computed + total.suspense for total in ControlTotal.objects.all())


def test_a_day_that_never_was_spoils_no_other_address_and_keeps_nobodys_key(secured: Case, cast: Cast, folder: Path):
    """29 February 2023 looks like a date; the database says that it is none, and the rows beside it are read one by one."""
    edit(folder, "withdrawal_addresses.csv", 2, whitelisted_on="2023-02-29")
    edit(folder, "withdrawal_addresses.csv", 3, address="abandon " * 11 + "about")
    edit(folder, "withdrawal_addresses.csv", 4, whitelisted_on="2023-02-29", address="abandon " * 11 + "about")

    intake = takeover.receive(secured, folder, by=cast.goto, at=NOON, outcomes=outcomes("bad_date"))
    intake = takeover.outcome(work(takeover.inspect(intake, by=cast.goto, at=NOON)))

    with connection.cursor() as cursor:
        cursor.execute(f'SELECT "row", address, problem FROM {TABLES["withdrawal_addresses.csv"]} ORDER BY "row"')
        staged = {row: (address, problem) for row, address, problem in cursor.fetchall()}
    assert not {2, 4} & set(staged)
    assert staged[3][0] == "" and staged[3][1]
    assert {problem for row, (_address, problem) in staged.items() if row > 4} == {None}
    assert set(RowSetAside.objects.filter(intake=intake).values_list("row", "kind")) == {(2, "bad_date"), (4, "bad_date")}
    assert list(intake.findings.filter(kind="secret").values_list("rows", flat=True)) == [1]


def test_an_outcome_needs_a_remark_and_a_kind_that_concerns_rows(secured: Case, cast: Cast, folder: Path):
    for wrong in ({"row_count": {"outcome": "aside", "remark": BECAUSE}}, {"bad_date": {"outcome": "aside", "remark": " "}},
                  {"bad_date": {"outcome": "remark", "remark": BECAUSE}}, {"bad_date": {"outcome": "drop", "remark": BECAUSE}}):  # fmt: skip
        with pytest.raises(setting_aside.NotAnOutcome):
            takeover.receive(secured, folder, by=cast.goto, at=NOON, outcomes=wrong)


def test_what_is_signed_says_what_was_set_aside_and_why(secured: Case, cast: Cast, folder: Path):
    spoiled(folder)
    kinds = ("full_width_digits", "unknown_asset", "too_many_decimals", "unknown_account", "bad_date")
    intake = takeover.receive(secured, folder, by=cast.goto, at=NOON, outcomes=outcomes(*kinds))
    intake = takeover.outcome(work(takeover.inspect(intake, by=cast.goto, at=NOON)))
    before = takeover.acceptance_content(intake.pk)

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL ROLE henkan_owner")
        cursor.execute("ALTER TABLE ledger_intake DISABLE TRIGGER intake_moves")
        cursor.execute("UPDATE ledger_intake SET outcomes = '{}' WHERE id = %s", [intake.pk])
        cursor.execute("ALTER TABLE ledger_intake ENABLE TRIGGER intake_moves")

    assert takeover.acceptance_content(intake.pk) != before


def test_findings_of_a_conversion_name_the_delivered_file_and_line(secured: Case, cast: Cast, clean_package: Path, tmp_path: Path):
    source = layouts.for_cp932(clean_package, tmp_path / "source")
    folder = layouts.write(source, tmp_path / "files", "kumo")
    lines = (folder / "zandaka_2.csv").read_bytes().decode("cp932").split("\r\n")
    lines[6] = ";".join([*lines[6].split(";")[:2], "１２３", lines[6].split(";")[3]])
    lines[8] = lines[8].replace(lines[8].split(";")[1], "ВТС".translate(str.maketrans("ВТС", "BTC")))  # a symbol nobody declared
    lines[10] = "broken"
    (folder / "zandaka_2.csv").write_bytes("\r\n".join(lines).encode("cp932"))
    people = (folder / "kokyaku.csv").read_bytes().decode("cp932").split("\r\n")
    fields = people[3].split(";")
    fields[5] = "平成31年5月1日"
    people[3] = ";".join(fields)
    (folder / "kokyaku.csv").write_bytes("\r\n".join(people).encode("cp932"))
    chosen = conversions.save_mapping(secured, layouts.mapping_text("kumo", source), by=cast.goto, at=NOON)
    delivery = deliveries.from_directory(secured, folder, deliverer="somebody", by=cast.goto, at=NOON)

    job = conversions.outcome(work(conversions.convert(delivery, chosen, by=cast.goto, at=NOON)))
    found = {(one["kind"], one["file"], one["row"], one["column"]) for one in work(job).result["findings"] if one["severity"] == "refuse"}

    assert found == {
        ("full_width_digits", "zandaka_2.csv", 7, "残高"), ("unknown_asset", "zandaka_2.csv", 9, "銘柄"),
        ("ragged_row", "zandaka_2.csv", 11, ""), ("era_does_not_fit", "kokyaku.csv", 4, "生年月日・設立日"),
    }  # fmt: skip
    with pytest.raises(takeover.HandoverRefused):
        takeover.outcome(job)
    decided = outcomes("full_width_digits", "unknown_asset", "ragged_row", "era_does_not_fit")
    job = conversions.outcome(work(conversions.convert(delivery, chosen, by=cast.goto, at=NOON, outcomes=decided)))
    takeover.outcome(work(job))
    assert set(RowSetAside.objects.exclude(kind=setting_aside.PARENT).values_list("origin", flat=True)) == {
        "zandaka_2.csv:7", "zandaka_2.csv:9", "zandaka_2.csv:11", "kokyaku.csv:4",
    }  # fmt: skip


def test_what_stands_in_the_way_of_a_conversion_is_refused_whole(secured: Case, cast: Cast, clean_package: Path, tmp_path: Path):
    source = layouts.for_cp932(clean_package, tmp_path / "source")
    folder = layouts.write(source, tmp_path / "files", "kumo")
    (folder / "extra.csv").write_text("a;b\n")
    content = (folder / "kouza.csv").read_bytes()
    (folder / "kouza.csv").write_bytes(content[:300] + b"\x81\x20" + content[300:])
    header, rest = (folder / "furikomi.csv").read_bytes().split(b"\r\n", 1)
    (folder / "furikomi.csv").write_bytes(header + ";マイナンバー".encode("cp932") + b"\r\n" + rest.replace(b"\r\n", b";\r\n"))
    chosen = conversions.save_mapping(secured, layouts.mapping_text("kumo", source), by=cast.goto, at=NOON)
    delivery = deliveries.from_directory(secured, folder, deliverer="somebody", by=cast.goto, at=NOON)

    job = work(conversions.convert(delivery, chosen, by=cast.goto, at=NOON))

    kinds = {(one["kind"], one["file"]) for one in job.result["findings"]}
    assert kinds >= {("unmapped_file", "extra.csv"), ("my_number", "furikomi.csv"), ("undecodable", "kouza.csv")}
    undecodable = next(one for one in job.result["findings"] if one["kind"] == "undecodable")
    assert "Byte 300 " in undecodable["reason"]
    with pytest.raises(takeover.HandoverRefused):
        conversions.outcome(job)
    assert not list((arriving.archive_of(str(secured.pk)) / "conversion").glob("*"))
    deliveries.destroy(delivery, reason="It carries individual numbers.", by=cast.goto, at=NOON)
    delivery.refresh_from_db()
    assert delivery.state == "destroyed" and delivery.files.filter(sha256__isnull=False).exists()


def test_a_delivery_that_is_a_package_is_taken_in_as_it_is(secured: Case, cast: Cast, clean_package: Path, tmp_path: Path):
    packed = shutil.make_archive(str(tmp_path / "package"), "zip", clean_package)
    delivery = deliveries.begin(secured, deliverer="somebody", by=cast.goto, at=NOON)
    with open(packed, "rb") as source:
        deliveries.add(delivery, name="package.zip", source=source, by=cast.goto, at=NOON)

    assert conversions.is_package(delivery)
    intake = takeover.outcome(work(conversions.take_in_package(delivery, by=cast.goto, at=NOON)))

    assert (intake.state, intake.delivery_id) == ("inspected", delivery.pk)
    assert not ApprovalRequest.objects.exists() and jobs.due() is not None
