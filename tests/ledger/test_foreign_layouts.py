"""Three exchanges' own files through their mappings: what comes out equals the package they were written from, row by row."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db.models import Count, Sum

from administration.cases import approvals
from administration.cases.models import ApprovalRequest, Case
from administration.ledger import deliveries, mapping, package, takeover
from administration.ledger.converting import Conversion, Delivered
from administration.ledger.delivered import DeliveredFile, LedgerMapping
from administration.ledger.models import Identity, Intake, LedgerBalance, SourceFile
from administration.ledger.origins import Origins
from administration.record.models import Event
from administration.work.models import Job
from tests.cast import NOON, Cast
from tests.ledger import layouts
from tests.ledger.helpers import counts, work

NOWHERE = {"court": "", "case_number": "", "proceeding": "", "trigger": ""}


@pytest.fixture(scope="module")
def source(clean_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return layouts.for_cp932(clean_package, tmp_path_factory.mktemp("source") / "package")


@pytest.fixture(scope="module", params=["kumo", "minato", "hoshi"])
def layout(request, source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, layouts.write(source, tmp_path_factory.mktemp(request.param) / "files", request.param)


def delivered(folder: Path, unpacked: Path) -> list[Delivered]:
    """The files as a delivery would offer them to a conversion; gzip is unpacked."""
    import gzip

    unpacked.mkdir(exist_ok=True)
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.endswith(".gz"):
            (unpacked / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
            found.append(Delivered(name.removesuffix(".gz"), unpacked / path.stem))
        elif path.is_file():
            found.append(Delivered(name, path))
    return found


def comparable(folder: Path, name: str) -> list[dict[str, object]]:
    rows = [dict(row) for row in layouts.table(folder, name)]
    return sorted(
        ({**row, "amount": Decimal(row["amount"])} if "amount" in row else row for row in rows), key=lambda row: sorted(row.items(), key=str)
    )


def test_what_is_converted_is_what_was_delivered(layout, source: Path, tmp_path: Path):
    name, folder = layout
    conversion = Conversion(
        mapping.read(layouts.mapping_text(name, source)), delivered(folder, tmp_path / "plain"), tmp_path / "made"
    )

    assert conversion.check() == []
    manifest = conversion.whole(NOWHERE)

    assert package.check_files(conversion.package, manifest) == []
    for table in package.TABLES:
        stem = table.file.removesuffix(".csv")
        assert comparable(conversion.package, stem) == comparable(source, stem), table.file


def test_a_conversion_in_small_steps_killed_between_them_makes_the_same_bytes(layout, source: Path, tmp_path: Path):
    name, folder = layout
    chosen, files = mapping.read(layouts.mapping_text(name, source)), delivered(folder, tmp_path / "plain")
    whole, stepped = Conversion(chosen, files, tmp_path / "whole"), Conversion(chosen, files, tmp_path / "stepped")
    whole.whole(NOWHERE)

    state, ended = json.loads(json.dumps(stepped.begin())), False
    while not ended:
        lost = json.loads(json.dumps(state))
        stepped.step(lost, most=50)  # written, and then the worker is gone before its state was kept
        ended = stepped.step(state, most=37)
        state = json.loads(json.dumps(state))
    stepped.finish(state, NOWHERE)

    for path in sorted(whole.folder.rglob("*")):
        if path.is_file():
            assert (stepped.folder / path.relative_to(whole.folder)).read_bytes() == path.read_bytes(), path.name


def test_every_row_leads_back_to_its_line_and_its_bytes(source: Path, tmp_path: Path):
    folder = layouts.write(source, tmp_path / "files", "kumo")
    conversion = Conversion(mapping.read(layouts.mapping_text("kumo", source)), delivered(folder, tmp_path), tmp_path / "made")
    conversion.whole(NOWHERE)
    origins = Origins(conversion.folder)

    rows = layouts.table(conversion.package, "balances")
    files = set()
    for number, row in enumerate(rows, start=2):
        origin = origins.row("balances.csv", number)
        content = (folder / origin.file).read_bytes()
        text = content[origin.offset : origin.offset + origin.length]
        files.add(origin.file)
        assert content[: origin.offset].count(b"\n") + 1 == origin.line
        assert text.decode("cp932").split(";")[0] == row["account_id"] and text.endswith(b"\r\n") and text.count(b"\n") == 1
    assert files == {"zandaka_1.csv", "zandaka_2.csv"}
    assert origins.row("balances.csv", len(rows) + 2) is None


def test_a_name_in_cp932_comes_back_byte_by_byte(source: Path, tmp_path: Path):
    folder = layouts.write(source, tmp_path / "files", "kumo")
    conversion = Conversion(mapping.read(layouts.mapping_text("kumo", source)), delivered(folder, tmp_path), tmp_path / "made")
    conversion.whole(NOWHERE)
    origins = Origins(conversion.folder)

    number, row = next((n, row) for n, row in enumerate(layouts.table(conversion.package, "customers"), 2) if "髙﨑①㈱" in row["name"])
    origin = origins.row("customers.csv", number)
    there = (folder / "kokyaku.csv").read_bytes()[origin.offset : origin.offset + origin.length]

    assert row["name"].encode("cp932") in there


def test_a_foreign_ledger_is_taken_over_by_command(secured: Case, cast: Cast, source: Path, tmp_path: Path, capsys):
    folder = layouts.write(source, tmp_path / "files", "kumo")
    (tmp_path / "kumo.toml").write_text(layouts.mapping_text("kumo", source))
    before = counts()

    call_command("take_over", "T-1", str(folder), "--mapping", str(tmp_path / "kumo.toml"), "--json", "--dry-run")
    looked = json.loads(capsys.readouterr().out)
    assert looked["ok"] and looked["accounts"] == 60 and counts() == before
    assert not (Path(settings.ARCHIVE_DIR) / str(secured.pk) / "look").exists() or not list((Path(settings.ARCHIVE_DIR) / str(secured.pk) / "look").iterdir())

    call_command("take_over", "T-1", str(folder), "--mapping", str(tmp_path / "kumo.toml"), "--json")
    found = json.loads(capsys.readouterr().out)
    intake = Intake.objects.get()
    assert found["ok"] and found["state"] == "inspected" and found["intake"] == intake.pk
    assert bytes(intake.mapping.sha256) == bytes(LedgerMapping.objects.get(version=1).sha256)
    assert {one["kind"] for one in found["findings"]} >= {"rows_left_out"}

    approvals.sign(ApprovalRequest.objects.get(), by=cast.baba, at=NOON)
    work(Job.objects.get(kind=takeover.ACCEPT))
    there = {
        (row["asset__code"], row["product"]): (row["units"], row["rows"])
        for row in LedgerBalance.objects.values("asset__code", "product").annotate(units=Sum("amount"), rows=Count("id"))
    }
    for total in package.read_manifest(source).control_totals:
        assert there.get((total.asset, total.product), (0, 0)) == (total.declared, total.accounts)
    assert Identity.objects.filter(name__contains="髙﨑①㈱").exists()
    kept = SourceFile.objects.get(name="delivered/kokyaku.csv")
    file = DeliveredFile.objects.get(name="kokyaku.csv")
    assert bytes(kept.sha256) == bytes(file.sha256) and deliveries.path_of(file).read_bytes() == (folder / "kokyaku.csv").read_bytes()
    assert set(Event.objects.values_list("kind", flat=True)) >= {"ledger.mapping_saved", "ledger.delivered", "ledger.accepted"}
