"""
Taking over a ledger: a whole handover package, received, inspected, accepted; against bare COPY of the same bytes.

The bound is what this machine can do at best: every CSV file of the package by one COPY into one text table without any
constraint. The subject is everything `take_over` and the last signature do: files copied and hashed, every field checked,
control totals compared, rows written under their keys, and the event that covers every balance. `--rows` counts accounts;
there are about four balances each. Every round has a database of its own, for a ledger is taken over once.
"""

import csv
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connections

from administration import amounts
from administration.books.models import Asset
from administration.cases import approvals
from administration.cases.models import Case
from administration.fields import db_now
from administration.ledger import package, takeover
from administration.ledger.models import Identity, Intake, IntakeState, LedgerAccount, LedgerBalance, SourceFile
from administration.ledger.sessions import Meanwhile
from administration.office import sample
from administration.office.benchmarks import Stopwatch, result, rounds, scratch
from administration.office.demo import Way
from administration.people.models import User
from administration.work import jobs
from administration.work.models import Job, JobState

PIECE = 1 << 20
BY_HAND = 1_000  # rows written one by one
WHOLE, BALANCES = "bare COPY of all files", "bare COPY of balances.csv"
FASTER = 300  # than row by row, at least


def run(rows: int, repeat: int) -> list[dict[str, Any]]:
    balances = 0
    memory = 0

    def one(watch: Stopwatch) -> None:
        nonlocal balances, memory
        with scratch() as directory:
            folder = directory / "package"
            sample.write(folder, accounts=rows, seed=1)
            way = Way(rows, 1, reference="B-1", package=folder)
            way.secure()
            bare(folder, watch, WHOLE, [table.file for table in package.TABLES])
            bare(folder, watch, BALANCES, [package.BALANCES.file])
            by_hand(folder, watch)
            intake = take_over(way.case, folder, watch)
            balances = intake.balances
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    watch = rounds(repeat, one)
    own = result(watch, "balances", bound=BALANCES, target=5.0, rows=balances)
    by_row = result(watch, "row by row", bound="one row of ours", target=FASTER, rows=BY_HAND)
    return [
        result(watch, "whole package", bound=WHOLE, target=6.0, rows=balances) | {"peak_rss_mb": memory, "phases": phases(watch)},
        own,
        by_row | {"ok": by_row["ratio"] * 1.25 >= FASTER},  # the one that should be large
    ]  # fmt: skip


def phases(watch: Stopwatch) -> dict[str, float]:
    """Seconds of the last round, by what was done."""
    return {name: round(taken[-1], 2) for name, taken in watch.seconds.items() if ":" in name}


def bare(folder: Path, watch: Stopwatch, name: str, files: list[str]) -> None:
    """Each line of the files into one column of one table."""
    with connections["owner"].cursor() as owner:
        owner.execute("DROP TABLE IF EXISTS bench_text")
        owner.execute("CREATE TABLE bench_text (line text)")
        with watch.time(name):
            for file in files:
                # No byte of a text is one of these, so a line is a field.
                with (
                    owner.copy("COPY bench_text FROM STDIN (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')") as copy,
                    (folder / file).open("rb") as source,
                ):
                    while piece := source.read(PIECE):
                        copy.write(piece)
        owner.execute("DROP TABLE bench_text")


def take_over(case: Case, folder: Path, watch: Stopwatch) -> Intake:
    """The whole step 2, and what of it the balances cost."""
    by, second = User.objects.get(username="goto"), User.objects.get(username="baba")
    first = len(watch.seconds.get("whole package", []))
    with watch.time("whole package"):
        with watch.time("receive: files copied and hashed"):
            intake = takeover.receive(case, folder, by=by, at=db_now())
        with timed(takeover.INSPECT, "inspect", watch, first):
            finished(takeover.inspect(intake, by=by, at=db_now()))
        intake.refresh_from_db()
        request = takeover.accept(intake, by=by, at=db_now())
        with timed(takeover.ACCEPT, "accept", watch, first):
            approvals.sign(request, by=second, at=db_now())
            finished(Job.objects.get(kind=takeover.ACCEPT, subject_id=intake.pk))
    intake.refresh_from_db()
    if intake.state != IntakeState.ACCEPTED or LedgerBalance.objects.filter(case=case).count() != intake.balances:
        raise AssertionError(intake.state)  # a wrong answer has no speed
    mine = [taken[-1] for name, taken in watch.seconds.items() if name.endswith((": balances.csv", ": balances"))]
    watch.seconds.setdefault("balances", []).append(sum(mine))
    watch.seconds.setdefault("one row of ours", []).append(watch.seconds["balances"][-1] / intake.balances)
    return intake


@contextmanager
def timed(kind: str, what: str, watch: Stopwatch, first: int) -> Iterator[None]:
    """
    Seconds of a job's steps by the phase they say they are in.

    Waiting for what a second session did meanwhile is a phase of its own: so `balances` holds what balances took beside it.
    """
    step, atomic = jobs._steps[kind]  # noqa: SLF001 - what is registered is timed, not a copy of it
    waited = 0.0

    def add(phase: str, seconds: float) -> None:
        taken = watch.seconds.setdefault(f"{what}: {phase}", [])
        taken += [0.0] * (first + 1 - len(taken))
        taken[first] += seconds

    def stepping(job: Job) -> jobs.Progress:
        nonlocal waited
        began, part, waited = time.perf_counter(), _part(job), 0.0
        progress = step(job)
        add(part or progress.phase, time.perf_counter() - began - waited)
        if waited:
            add("waited for what a second session did beside", waited)
        return progress

    def end(other: Meanwhile[Any], *trouble: object) -> None:
        nonlocal waited
        began = time.perf_counter()
        ended(other, *trouble)
        waited += time.perf_counter() - began

    ended = Meanwhile.__exit__
    jobs._steps[kind] = stepping, atomic  # noqa: SLF001
    Meanwhile.__exit__ = end  # type: ignore[method-assign]
    try:
        yield
    finally:
        jobs._steps[kind] = step, atomic  # noqa: SLF001
        Meanwhile.__exit__ = ended  # type: ignore[method-assign]


def _part(job: Job) -> str:
    """The table whose rows an acceptance writes now."""
    from administration.ledger import acceptance

    if job.kind != takeover.ACCEPT:
        return ""
    state = acceptance.begin(job)
    return acceptance.PARTS[state["part"]].table.file if state["stage"] == "rows" else state["stage"]


def finished(job: Job, advance: Callable[..., bool] = jobs.advance) -> None:
    """Do a job to its end here."""
    while Job.objects.get(pk=job.pk).state == JobState.WAITING:
        advance(job.pk, seconds=600.0)
    job.refresh_from_db()
    if job.state != JobState.DONE:
        raise AssertionError(job.error)


def by_hand(folder: Path, watch: Stopwatch) -> None:
    """As a program would that reads a row, looks up what it names, and saves it."""
    by, at = User.objects.get(username="goto"), db_now()
    case = Case.objects.create(
        reference="B-2", name="Benchmark", regime="JP-PSA-2020", proceeding="bankruptcy", trigger="", cutoff_at=at,
        is_sample=True, salt=bytes(32), opened_at=at,
    )  # fmt: skip
    intake = Intake.objects.create(
        case=case, manifest={}, package_sha256=bytes(32), directory="", cutoff_at=at, received_by=by, received_at=at
    )
    file = SourceFile.objects.create(case=case, intake=intake, name="balances.csv", sha256=bytes(32), bytes=1, received_at=at)
    scales = {asset.code: asset.scale for asset in package.read_manifest(folder).assets}
    for code, scale in scales.items():
        Asset.objects.create(case=case, code=code, scale=scale, kind="coin", network="bitcoin")
    with (folder / package.BALANCES.file).open(encoding="utf-8", newline="") as source:
        rows = [row for _number, row in zip(range(BY_HAND), csv.DictReader(source), strict=False)]
    for number, account in enumerate(dict.fromkeys(row["account_id"] for row in rows), start=2):
        identity = Identity.objects.create(case=case, customer_ref=account, entity_type="individual", name="x", file=file, row=number)
        LedgerAccount.objects.create(
            case=case, intake=intake, account_ref=account, identity=identity, capacity="own", status="active", file=file, row=number
        )
    began = time.perf_counter()
    for number, row in enumerate(rows, start=2):
        LedgerBalance.objects.create(
            case=case, ledger_account=LedgerAccount.objects.get(case=case, account_ref=row["account_id"]),
            asset=Asset.objects.get(case=case, code=row["asset"]), product=row["product"],
            amount=amounts.parse(row["amount"], scales[row["asset"]]), file=file, row=number,
        )  # fmt: skip
    watch.seconds.setdefault("row by row", []).append((time.perf_counter() - began) / len(rows))
