"""Step 2 of the way: receive, inspect, accept."""

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import Count, Sum

from administration import amounts
from administration.books.models import Asset
from administration.cases import approvals, securing
from administration.cases.appointments import NotEmpowered
from administration.cases.models import ApprovalRequest, Case
from administration.ledger import acceptance, arriving, findings, package, staging, takeover
from administration.ledger.arriving import NotReceived
from administration.ledger.models import (
    Adjustment,
    ControlTotal,
    Finding,
    HandedOverDestination,
    HandedOverHold,
    HandedOverPlace,
    HandedOverPrice,
    Identity,
    Intake,
    IntakeState,
    LedgerAccount,
    LedgerBalance,
    SourceFile,
)
from administration.ledger.takeover import HandoverRefused, NotInspected, Unexplained
from administration.record.models import Event
from administration.work import jobs
from administration.work.models import Job
from tests.cast import NOON, Cast, gather, open_sample_case
from tests.ledger.helpers import accepted, counts, edit, inspected, manifest_of, secure, work, write_manifest


def staged_rows() -> int:
    with connection.cursor() as cursor:
        total = 0
        for name in [*staging.TABLES.values(), findings.STAGED]:
            cursor.execute(f"SELECT count(*) FROM {name}")
            total += cursor.fetchone()[0]
    return total


def test_a_ledger_is_received_inspected_and_accepted_by_another_person(secured: Case, cast: Cast, clean_package: Path):
    intake = inspected(secured, cast, clean_package)
    assert (intake.state, intake.accounts) == (IntakeState.INSPECTED, 60)
    assert not LedgerAccount.objects.exists()

    request = takeover.accept(intake, by=cast.goto, at=NOON)
    approvals.sign(request, by=cast.baba, at=NOON)
    work(Job.objects.get(kind=takeover.ACCEPT))

    intake.refresh_from_db()
    rows = {file.name: file.rows for file in package.read_manifest(clean_package).files}
    assert intake.state == IntakeState.ACCEPTED
    assert bytes(intake.content_sha256) == bytes(request.content_sha256)
    assert Identity.objects.count() == rows["customers.csv"]
    assert LedgerAccount.objects.count() == rows["accounts.csv"] == 60
    assert LedgerBalance.objects.count() == rows["balances.csv"]
    assert HandedOverDestination.objects.count() == rows["bank_accounts.csv"] + rows["withdrawal_addresses.csv"]
    assert HandedOverHold.objects.count() == rows["holds.csv"]
    assert HandedOverPrice.objects.count() == rows["prices.csv"]
    assert HandedOverPlace.objects.count() == rows["wallets.csv"]
    assert staged_rows() == 0
    event = Event.objects.get(kind="ledger.accepted")
    assert (event.by, event.subject_id) == ("baba", str(intake.pk))


def test_what_is_accepted_adds_up_to_the_control_totals_of_the_package(secured: Case, cast: Cast, clean_package: Path):
    accepted(secured, cast, clean_package)

    there = {
        (row["asset__code"], row["product"]): (row["units"], row["rows"])
        for row in LedgerBalance.objects.values("asset__code", "product").annotate(
            units=Sum("amount"), rows=Count("id")
        )
    }
    for total in package.read_manifest(clean_package).control_totals:
        assert there.get((total.asset, total.product), (0, 0)) == (total.declared, total.accounts)


def test_every_row_knows_the_file_and_the_row_it_came_from(secured: Case, cast: Cast, clean_package: Path):
    accepted(secured, cast, clean_package)

    lines = (clean_package / "balances.csv").read_text().split("\n")
    scales = {asset.code: asset.scale for asset in Asset.objects.all()}
    for balance in LedgerBalance.objects.select_related("ledger_account", "asset", "file").order_by("row")[:50]:
        account, asset, product, amount = lines[balance.row - 1].split(",")
        assert balance.file.name == "balances.csv"
        assert (balance.ledger_account.account_ref, balance.asset.code, balance.product) == (account, asset, product)
        assert balance.amount == amounts.parse(amount, scales[asset])


def test_names_keep_the_characters_they_were_registered_in(secured: Case, cast: Cast, clean_package: Path):
    accepted(secured, cast, clean_package)

    with open(clean_package / "customers.csv", newline="") as file:
        delivered = {row["customer_id"]: row for row in csv.DictReader(file)}
    for identity in Identity.objects.all():
        row = delivered[identity.customer_ref]
        assert (identity.name, identity.kana, identity.address) == (row["name"], row["kana"], row["address"])


def test_the_files_are_kept_as_received_with_their_hashes(secured: Case, cast: Cast, clean_package: Path):
    intake = inspected(secured, cast, clean_package)

    kept = Path(settings.ARCHIVE_DIR) / intake.directory
    files = SourceFile.objects.filter(intake=intake)
    assert files.count() == len(package.read_manifest(clean_package).files) + 1  # the manifest itself
    for file in files:
        content = (kept / file.name).read_bytes()
        assert content == (clean_package / file.name).read_bytes()
        assert (hashlib.sha256(content).digest(), len(content)) == (bytes(file.sha256), file.bytes)


def test_valid_bank_accounts_and_addresses_are_marked_so(secured: Case, cast: Cast, clean_package: Path):
    accepted(secured, cast, clean_package)

    assert not HandedOverDestination.objects.filter(valid=False).exists()
    bank = HandedOverDestination.objects.filter(network="bank").first()
    assert set(bank.details) == {"bank_code", "branch_code", "kind", "number", "holder_kana"}
    address = HandedOverDestination.objects.filter(network="bitcoin").first()
    assert set(address.details) == {"network", "address", "memo"}


def test_each_negative_balance_is_brought_to_nothing_by_one_recorded_decision(
    secured: Case, cast: Cast, folder: Path
):  # fmt: skip
    row = next(
        n for n, line in enumerate((folder / "balances.csv").read_text().split("\n"), start=1) if ",JPY,spot," in line
    )
    before = int((folder / "balances.csv").read_text().split("\n")[row - 1].split(",")[3])
    edit(folder, "balances.csv", row, amount="-250")
    facts = manifest_of(folder)
    total = next(t for t in facts["control_totals"] if (t["asset"], t["product"]) == ("JPY", "spot"))
    total["declared"] = str(int(total["declared"]) - before - 250)
    write_manifest(folder, facts)
    accepted(secured, cast, folder)

    negative = LedgerBalance.objects.filter(amount__lt=0)
    made = {(a.ledger_account_id, a.asset_id, a.product): a.amount for a in Adjustment.objects.all()}
    assert made == {(b.ledger_account_id, b.asset_id, b.product): -b.amount for b in negative}
    assert 250 in made.values()
    assert Event.objects.filter(kind="ledger.negatives_excluded", by="goto").count() == 1


def test_negative_balances_stay_when_the_case_says_so(secured: Case, cast: Cast, clean_package: Path):
    accepted(secured, cast, clean_package, negative_policy="keep")

    assert not Adjustment.objects.exists()


def test_the_ledger_is_not_taken_over_before_the_exchange_is_secured(case: Case, cast: Cast, clean_package: Path):
    with pytest.raises(securing.NotSecured):
        takeover.receive(case, clean_package, by=cast.goto, at=NOON)

    assert not Intake.objects.exists()


@pytest.mark.parametrize("name", ["chiba", "fujii"])
def test_only_somebody_with_the_power_takes_over(secured: Case, cast: Cast, clean_package: Path, name: str):
    with pytest.raises(NotEmpowered):
        takeover.receive(secured, clean_package, by=getattr(cast, name), at=NOON)

    assert not Intake.objects.exists()


def test_a_case_has_one_package_at_a_time(secured: Case, cast: Cast, clean_package: Path):
    takeover.receive(secured, clean_package, by=cast.goto, at=NOON)

    with pytest.raises(NotReceived, match="has a package already"):
        takeover.receive(secured, clean_package, by=cast.goto, at=NOON)
    assert Intake.objects.count() == 1


def test_an_accepted_ledger_is_not_taken_over_again(secured: Case, cast: Cast, clean_package: Path):
    accepted(secured, cast, clean_package)

    with pytest.raises(NotReceived, match="corrected by adjustments"):
        takeover.receive(secured, clean_package, by=cast.goto, at=NOON)


def test_who_prepared_the_acceptance_does_not_sign_it(secured: Case, cast: Cast, clean_package: Path):
    request = takeover.accept(inspected(secured, cast, clean_package), by=cast.goto, at=NOON)

    with pytest.raises(approvals.Unsigned):
        approvals.sign(request, by=cast.goto, at=NOON)
    assert not Job.objects.filter(kind=takeover.ACCEPT).exists()


def test_an_acceptance_is_asked_for_by_somebody_with_the_power(secured: Case, cast: Cast, clean_package: Path):
    intake = inspected(secured, cast, clean_package)

    with pytest.raises(NotEmpowered):
        takeover.accept(intake, by=cast.chiba, at=NOON)
    assert not ApprovalRequest.objects.exists()


# --- giving up --------------------------------------------------------------------------------


def test_a_package_cancelled_before_its_inspection_leaves_nothing(secured: Case, cast: Cast, clean_package: Path):
    before = counts()
    intake = takeover.receive(secured, clean_package, by=cast.goto, at=NOON)
    takeover.inspect(intake, by=cast.goto, at=NOON)

    takeover.cancel(intake, by=cast.goto, at=NOON, reason="")
    assert counts() == before


def test_an_inspected_package_is_cancelled_with_a_reason_and_another_may_come(
    secured: Case, cast: Cast, clean_package: Path
):  # fmt: skip
    intake = inspected(secured, cast, clean_package)
    with pytest.raises(NotInspected):
        takeover.cancel(intake, by=cast.goto, at=NOON, reason=" ")

    takeover.cancel(intake, by=cast.goto, at=NOON, reason="The exchange found a newer backup.")
    assert staged_rows() == 0
    assert Event.objects.filter(kind="ledger.cancelled").count() == 1
    assert accepted(secured, cast, clean_package).state == IntakeState.ACCEPTED


def test_the_approval_of_a_cancelled_package_comes_to_nothing(secured: Case, cast: Cast, clean_package: Path):
    intake = inspected(secured, cast, clean_package)
    request = takeover.accept(intake, by=cast.goto, at=NOON)
    takeover.cancel(intake, by=cast.goto, at=NOON, reason="A newer backup.")

    with pytest.raises(NotInspected):
        approvals.sign(request, by=cast.baba, at=NOON)
    assert not LedgerAccount.objects.exists()


# --- what nobody can explain ------------------------------------------------------------------


def off_by(folder: Path, units: int) -> None:
    facts = manifest_of(folder)
    total = next(t for t in facts["control_totals"] if (t["asset"], t["product"]) == ("JPY", "spot"))
    total["declared"] = str(int(total["declared"]) + units)
    write_manifest(folder, facts)


def test_an_unexplained_difference_is_accepted_only_in_named_suspense_signed_by_two(
    secured: Case, cast: Cast, folder: Path
):  # fmt: skip
    off_by(folder, 1)
    intake = inspected(secured, cast, folder, differences="suspend")
    assert Finding.objects.get(severity="quarantine").kind == "control_total_off_by_one"
    with pytest.raises(Unexplained):
        takeover.accept(intake, by=cast.goto, at=NOON)

    total = ControlTotal.objects.get(intake=intake, asset_code="JPY", product="spot")
    request = takeover.put_into_suspense(total, name="one yen nobody can explain", by=cast.goto, at=NOON)
    approvals.sign(request, by=cast.baba, at=NOON)
    total.refresh_from_db()
    assert total.suspense == 0  # one signature is not enough
    approvals.sign(request, by=cast.aoki, at=NOON)
    total.refresh_from_db()
    assert (total.suspense, total.suspense_name) == (1, "one yen nobody can explain")

    request = takeover.accept(intake, by=cast.goto, at=NOON)
    approvals.sign(request, by=cast.baba, at=NOON)
    work(Job.objects.get(kind=takeover.ACCEPT))
    intake.refresh_from_db()
    assert intake.state == IntakeState.ACCEPTED


def test_nothing_is_put_into_suspense_where_everything_fits(secured: Case, cast: Cast, clean_package: Path):
    intake = inspected(secured, cast, clean_package)

    with pytest.raises(NotInspected):
        takeover.put_into_suspense(intake.control_totals.first(), name="nothing", by=cast.goto, at=NOON)


# --- killed in the middle ---------------------------------------------------------------------


class Killed(BaseException):
    """As if the process had died: nothing catches it."""


def by_natural_key(case: Case) -> dict[str, list[tuple[object, ...]]]:
    """Everything the take-over of a case left, without ids and times."""
    account, asset = "ledger_account__account_ref", "asset__code"
    wanted = {
        Identity: ("customer_ref", "name", "birth_or_founding_date", "file__name", "row"),
        LedgerAccount: ("account_ref", "identity__customer_ref", "status", "file__name", "row"),
        LedgerBalance: (account, asset, "product", "amount", "file__name", "row"),
        HandedOverDestination: (account, asset, "network", "details", "valid", "file__name", "row"),
        HandedOverHold: (account, "kind", "since", "reference", "row"),
        HandedOverPrice: (asset, "num", "den", "quoted_at"),
        HandedOverPlace: (asset, "details", "amount", "row"),
        Adjustment: (account, asset, "product", "amount", "reason"),
        Asset: ("code", "scale", "payable_step"),
        SourceFile: ("name", "sha256", "bytes", "rows"),
        ControlTotal: ("asset_code", "product", "declared", "computed", "suspense"),
        Finding: ("kind", "file", "row", "column", "rows"),
    }
    found = {}
    for model, fields in wanted.items():
        owner = "intake__case" if model in (ControlTotal, Finding) else "case"
        found[model.__name__] = sorted(model.objects.filter(**{owner: case}).values_list(*fields), key=repr)
    events = Event.objects.filter(case_id=case.pk, kind__startswith="ledger.").order_by("number")
    found["events"] = [(e.kind, e.by, e.body.replace(case.reference, "CASE")) for e in events]
    return found


def dies(step: Callable[[Job], jobs.Progress], killed: list[str]) -> Callable[[Job], jobs.Progress]:
    """Every third call dies after its work and before its commit, every fifth before its work."""
    calls = 0

    def dying(job: Job) -> jobs.Progress:
        nonlocal calls
        calls += 1
        if calls % 5 == 0:
            killed.append(job.cursor)
            raise Killed
        progress = step(job)
        if calls % 3 == 0:
            killed.append(job.cursor)
            raise Killed
        return progress

    return dying


def take_over_whatever_happens(case: Case, cast: Cast, folder: Path) -> None:
    def work_through(job: Job) -> Job:
        job.refresh_from_db()
        while job.state == "waiting":
            try:
                jobs.advance(job.pk, seconds=60)
            except Killed:
                connection.close()
            job.refresh_from_db()
        assert job.state == "done", job.error
        return job

    intake = takeover.receive(case, folder, by=cast.goto, at=NOON)
    intake = takeover.outcome(work_through(takeover.inspect(intake, by=cast.goto, at=NOON)))
    request = takeover.accept(intake, by=cast.goto, at=NOON)
    approvals.sign(request, by=cast.baba, at=NOON)
    work_through(Job.objects.get(kind=takeover.ACCEPT, subject_id=intake.pk))


def test_killed_within_and_between_steps_it_ends_as_if_undisturbed(
    committed: object, clean_package: Path, monkeypatch: pytest.MonkeyPatch
):  # fmt: skip
    cases = [open_sample_case("KILLED OFTEN"), open_sample_case("NEVER KILLED")]
    casts = [gather(case) for case in cases]
    for case, cast in zip(cases, casts, strict=True):
        secure(case, cast)
    monkeypatch.setattr(staging, "BLOCK_BYTES", 1_500)
    monkeypatch.setattr(acceptance, "ROWS", 30)

    killed: list[str] = []
    with monkeypatch.context() as dying:
        dying.setitem(jobs._steps, takeover.INSPECT, (dies(takeover.inspection_step, killed), True))
        dying.setitem(jobs._steps, takeover.ACCEPT, (dies(acceptance.step, killed), True))
        take_over_whatever_happens(cases[0], casts[0], clean_package)
    take_over_whatever_happens(cases[1], casts[1], clean_package)

    assert len(killed) > 20
    assert by_natural_key(cases[0]) == by_natural_key(cases[1])


def test_a_server_that_lost_the_staging_has_the_files_read_again(
    secured: Case, cast: Cast, clean_package: Path, monkeypatch: pytest.MonkeyPatch, as_owner
):  # fmt: skip
    monkeypatch.setattr(acceptance, "ROWS", 30)
    intake = inspected(secured, cast, clean_package)
    approvals.sign(takeover.accept(intake, by=cast.goto, at=NOON), by=cast.baba, at=NOON)
    job = Job.objects.get(kind=takeover.ACCEPT)
    taken = jobs._take(job.pk)
    for _ in range(5):
        jobs._chunk(taken)
    jobs._let_go(taken)
    with as_owner() as cursor:
        cursor.execute("TRUNCATE " + ", ".join(staging.TABLES.values()))

    work(job)
    intake.refresh_from_db()
    assert intake.state == IntakeState.ACCEPTED
    assert LedgerBalance.objects.count() == intake.balances


@pytest.mark.parametrize("steps", [1, 4, 9, 12, 19])
def test_a_server_that_fell_while_a_package_was_inspected_refuses_nothing(
    secured: Case, cast: Cast, clean_package: Path, as_owner, steps: int
):  # fmt: skip
    intake = takeover.receive(secured, clean_package, by=cast.goto, at=NOON)
    job = jobs._take(takeover.inspect(intake, by=cast.goto, at=NOON).pk)
    for _ in range(steps):
        if job.state == "waiting" and job.cursor != takeover.CONCLUDE:
            jobs._chunk(job)
    jobs._let_go(job)
    fall(as_owner)

    intake = takeover.outcome(work(job))
    assert (intake.state, intake.accounts) == (IntakeState.INSPECTED, 60)


def test_a_server_that_falls_again_and_again_only_makes_the_acceptance_longer(
    secured: Case, cast: Cast, clean_package: Path, monkeypatch: pytest.MonkeyPatch, as_owner
):  # fmt: skip
    monkeypatch.setattr(acceptance, "ROWS", 30)
    intake = inspected(secured, cast, clean_package)
    approvals.sign(takeover.accept(intake, by=cast.goto, at=NOON), by=cast.baba, at=NOON)
    job = Job.objects.get(kind=takeover.ACCEPT)
    for steps in (3, 6, 14, 2):
        taken = jobs._take(job.pk)
        for _ in range(steps):
            jobs._chunk(taken)
        jobs._let_go(taken)
        fall(as_owner)

    work(job)
    intake.refresh_from_db()
    assert intake.state == IntakeState.ACCEPTED
    assert LedgerBalance.objects.count() == intake.balances


def fall(as_owner) -> None:
    """What a crash of the server does to tables that are not logged."""
    with as_owner() as cursor:
        cursor.execute("TRUNCATE ledger_staging_begun, ledger_staging_aside, " + ", ".join([*staging.TABLES.values(), findings.STAGED]))


def test_an_acceptance_that_failed_goes_on_where_it_stopped_once_the_archive_is_mended(
    secured: Case, cast: Cast, folder: Path, monkeypatch: pytest.MonkeyPatch, as_owner
):
    monkeypatch.setattr(acceptance, "ROWS", 30)
    intake = inspected(secured, cast, folder)
    approvals.sign(takeover.accept(intake, by=cast.goto, at=NOON), by=cast.baba, at=NOON)
    job = jobs._take(Job.objects.get(kind=takeover.ACCEPT).pk)
    for _ in range(5):
        jobs._chunk(job)
    jobs._let_go(job)
    with as_owner() as cursor:
        cursor.execute("TRUNCATE " + ", ".join(staging.TABLES.values()))
    kept = arriving.archive_of(intake.directory) / "balances.csv"
    content = kept.read_bytes()
    kept.write_bytes(content[:-20])
    jobs.advance(job.pk)
    with pytest.raises(jobs.JobFailed, match="not what was signed"):
        jobs.wait(job)
    with pytest.raises(NotEmpowered):
        takeover.go_on(intake, by=cast.chiba, at=NOON)
    too_early = takeover.go_on(intake, by=cast.goto, at=NOON)  # nothing was mended
    jobs.advance(too_early.pk)
    with pytest.raises(jobs.JobFailed, match="not what was signed"):
        jobs.wait(too_early)

    kept.write_bytes(content)
    work(takeover.go_on(intake, by=cast.goto, at=NOON))
    intake.refresh_from_db()
    assert intake.state == IntakeState.ACCEPTED
    assert LedgerBalance.objects.count() == intake.balances
    with pytest.raises(NotInspected):
        takeover.go_on(intake, by=cast.goto, at=NOON)


def test_nothing_of_a_package_can_be_read_by_others_on_the_machine(secured: Case, cast: Cast, clean_package: Path):
    intake = inspected(secured, cast, clean_package)

    kept = arriving.archive_of(intake.directory)
    assert kept.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept.rglob("*"))


def test_a_refused_package_says_so_in_its_first_fault(secured: Case, cast: Cast, folder: Path):
    off_by(folder, 1)

    with pytest.raises(HandoverRefused, match=r"manifest\.json"):
        inspected(secured, cast, folder)


def test_a_refused_package_leaves_no_file(committed: object, folder: Path):
    case = open_sample_case()
    cast = gather(case)
    secure(case, cast)
    before = set(Path(settings.ARCHIVE_DIR).rglob("*.csv"))
    off_by(folder, 1)

    with pytest.raises(HandoverRefused):
        inspected(case, cast, folder)
    assert set(Path(settings.ARCHIVE_DIR).rglob("*.csv")) == before
