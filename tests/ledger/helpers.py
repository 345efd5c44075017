"""What the tests of the ledger share: a secured case, a package, and the way through the acts."""

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

from django.db import connection

from administration.cases import approvals, securing
from administration.cases.models import Case
from administration.ledger import package, takeover
from administration.ledger.models import Differences, Intake
from administration.office.sample import handover
from administration.work import jobs
from administration.work.models import Job
from tests.cast import NOON, Cast


def secure(case: Case, cast: Cast) -> None:
    """The checklist ticked to the end."""
    securing.list_items(case)
    for item in securing.ITEMS:
        securing.do(case, item, owner=cast.goto, evidence=b"done", evidence_name="done.txt", by=cast.goto, at=NOON)
    securing.complete(case, by=cast.goto, at=NOON)


def sample(folder: Path, *, accounts: int = 60, seed: int = 7, dirty: float = 0.0) -> Path:
    handover.write(folder, accounts=accounts, seed=seed, dirty=dirty)
    return folder


def work(job: Job) -> Job:
    """Do a job's chunks here, as a worker would."""
    job.refresh_from_db()
    while job.state == "waiting":
        jobs.advance(job.pk, seconds=60)
        job.refresh_from_db()
    assert job.state == "done", job.error
    return job


def inspected(case: Case, cast: Cast, folder: Path, *, differences: str = Differences.REFUSE, outcomes: Any = None) -> Intake:
    intake = takeover.receive(case, folder, by=cast.goto, at=NOON, differences=differences, outcomes=outcomes)
    return takeover.outcome(work(takeover.inspect(intake, by=cast.goto, at=NOON)))


def accepted(case: Case, cast: Cast, folder: Path, *, outcomes: Any = None, **options: Any) -> Intake:
    intake = inspected(case, cast, folder, outcomes=outcomes)
    request = takeover.accept(intake, by=cast.goto, at=NOON, **options)
    approvals.sign(request, by=cast.baba, at=NOON)
    work(Job.objects.get(kind=takeover.ACCEPT, subject_id=intake.pk))
    intake.refresh_from_db()
    return intake


def counts() -> dict[str, int]:
    """How many rows every table of the database has."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE henkan_owner")  # some tables are nobody else's to read
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        tables = [name for (name,) in cursor.fetchall()]
        cursor.execute(" UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in tables))
        found = dict(cursor.fetchall())
        cursor.execute("SET LOCAL ROLE henkan_app")
        return found


def edit(folder: Path, file: str, row: int, **fields: str) -> None:
    """Change fields of one row, and the manifest's hash with it: a fault in the rows, not in the transport."""
    table = package.BY_FILE[file]
    lines = (folder / file).read_text().split("\n")
    values = next(csv.reader([lines[row - 1]]))
    for name, value in fields.items():
        values[table.header.index(name)] = value
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(values)
    lines[row - 1] = out.getvalue().removesuffix("\r\n")
    rewrite(folder, file, "\n".join(lines))


def rewrite(folder: Path, file: str, text: str) -> None:
    (folder / file).write_text(text)
    facts = manifest_of(folder)
    for entry in facts["files"]:
        if entry["name"] == file:
            content = (folder / file).read_bytes()
            entry.update(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
            if entry["rows"] is not None:
                entry["rows"] = text.rstrip("\n").count("\n")
    write_manifest(folder, facts)


def manifest_of(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / package.MANIFEST).read_text())
    return facts


def write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    (folder / package.MANIFEST).write_text(json.dumps(facts, ensure_ascii=False))
