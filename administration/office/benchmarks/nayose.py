"""
Name aggregation over invented customers of whom it is known who is whom: what it finds, what it gets wrong, how long it takes.

No ratios of two times here: what is found is measured against what is known, and the time against three minutes for
200,000 customers. A pair counts as found if it is itself proposed; that others lead from one to the other is not enough.
"""

import resource
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, connections, transaction

from administration.cases.models import Appointment, AppointmentKind, Case
from administration.fields import db_now
from administration.ledger import nayose
from administration.ledger.models import Intake, IntakeState, SourceFile
from administration.office.benchmarks import scratch
from administration.office.benchmarks.record import a_case
from administration.office.sample.doubles import Invented, Registered
from administration.people.models import User
from administration.work import jobs

SEED = 1
RECALL = 0.995
SECONDS, CUSTOMERS = 180, 200_000  # three minutes for so many
GROWTH_MB = 150  # what a run may add to the memory of its process, however many customers
REVIEWED = 3.0  # pairs of strangers a person has to look at, for each true pair

COLUMNS = (
    "case_id", "customer_ref", "entity_type", "name", "kana", "romaji", "birth_or_founding_date", "nationality",
    "residence_country", "postcode", "address", "address_kana", "phone", "email", "corporate_number", "kyc_status", "language",
    "file_id", '"row"',
)  # fmt: skip
# Pairs proposed and linked, against who is who: bench_truth holds the person of each customer.
PROPOSED = """
SELECT count(*) FILTER (WHERE a.person = b.person), count(*) FILTER (WHERE a.person <> b.person),
       count(*) FILTER (WHERE automatic AND (x.birth_or_founding_date IS NULL
                                             OR x.birth_or_founding_date IS DISTINCT FROM y.birth_or_founding_date))
FROM ledger_personpair p
JOIN ledger_aggregation n ON n.id = p.aggregation_id AND n.case_id = %s
JOIN bench_truth a ON a.identity = p.one_id JOIN bench_truth b ON b.identity = p.other_id
JOIN ledger_identity x ON x.id = p.one_id JOIN ledger_identity y ON y.id = p.other_id
"""
KNOWN = "SELECT coalesce(sum(n * (n - 1) / 2), 0) FROM (SELECT count(*) AS n FROM bench_truth GROUP BY person) persons"
MERGED = """
SELECT count(*) FROM (
    SELECT person_id FROM ledger_person_of(%s) now JOIN bench_truth t ON t.identity = now.identity_id
    GROUP BY person_id HAVING count(DISTINCT t.person) > 1
) persons
"""


@dataclass(frozen=True)
class Found:
    """What a run found of what is known."""

    customers: int
    known: int  # true pairs
    proposed: int  # of them
    strangers: int  # proposed pairs of two persons
    wrong: int  # persons into whom a machine linked two
    undated: int  # automatic pairs without one known date
    linked: int
    seconds: float
    growth_mb: float


def run(rows: int, repeat: int) -> list[dict[str, Any]]:
    with scratch():
        found = [measured(*prepared(rows, seed), rows) for seed in range(SEED, SEED + repeat)]
    known = sum(one.known for one in found)
    recalls = [one.proposed / max(one.known, 1) for one in found]
    seconds = sorted(one.seconds for one in found)
    allowed = max(30.0, SECONDS * rows / CUSTOMERS)
    middle = seconds[len(seconds) // 2]
    speed = int(rows / middle)

    def line(subject: str, bound: str, ratios: list[float], target: float, *, ok: bool) -> dict[str, Any]:
        ratios = sorted(ratios)
        return {
            "subject": subject, "bound": bound, "ratio": round(ratios[len(ratios) // 2], 5),
            "spread": [round(ratios[0], 5), round(ratios[-1], 5)], "target": target, "ok": ok, "rows_per_second": speed,
        }  # fmt: skip

    return [
        line("pairs proposed", f"{known} true pairs known", recalls, RECALL, ok=min(recalls) >= RECALL),
        line("persons a machine merged wrongly", "1", [one.wrong for one in found], 0, ok=not any(one.wrong for one in found)),
        line("links without one known date", "1", [one.undated for one in found], 0, ok=not any(one.undated for one in found)),
        line(
            "pairs of strangers to review", "each true pair", [one.strangers / max(one.known, 1) for one in found], REVIEWED,
            ok=all(one.strangers <= REVIEWED * one.known for one in found),
        ),
        line(f"{middle:.1f} s", f"{allowed:.0f} s", [one / allowed for one in seconds], 1.0, ok=middle <= allowed),
        line(
            f"memory grown by {max(one.growth_mb for one in found):.0f} MB", f"{GROWTH_MB} MB",
            [one.growth_mb / GROWTH_MB for one in found], 1.0, ok=max(one.growth_mb for one in found) <= GROWTH_MB,
        ),
    ]  # fmt: skip


def prepared(rows: int, seed: int) -> tuple[Case, User]:
    """A case with an accepted ledger of invented customers, and somebody who may aggregate them."""
    at = db_now()
    case = a_case(seed, at)
    user, _made = User.objects.get_or_create(username="bench")
    Appointment.objects.create(
        case=case, user=user, kind=AppointmentKind.CASE_OFFICER, authority="-", instrument="-", instrument_sha256=bytes(32),
        from_at=at, powers=["ledger.take_over"],
    )  # fmt: skip
    intake = Intake.objects.create(
        case=case, manifest={}, package_sha256=bytes(32), directory="", cutoff_at=at, received_by=user, received_at=at
    )
    file = SourceFile.objects.create(
        case=case, intake=intake, name="customers.csv", sha256=bytes(32), bytes=1, rows=rows, received_at=at
    )
    register(case, file, Invented(seed).customers(rows))
    with connections["owner"].cursor() as owner:  # how a ledger is accepted is not what is measured
        owner.execute("ALTER TABLE ledger_intake DISABLE TRIGGER intake_moves")
        owner.execute("UPDATE ledger_intake SET state = %s WHERE id = %s", [IntakeState.ACCEPTED, intake.pk])
        owner.execute("ALTER TABLE ledger_intake ENABLE TRIGGER intake_moves")
        owner.execute("ANALYZE ledger_identity")
    return case, user


def register(case: Case, file: SourceFile, customers: Iterator[Registered]) -> None:
    """Write customers down as the acceptance would, and who they are into bench_truth."""
    persons = array("q")
    with transaction.atomic(), connection.cursor() as cursor:
        with cursor.copy(f"COPY ledger_identity ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for n, one in enumerate(customers, start=1):
                persons.append(one.person)
                copy.write_row((
                    case.pk, f"K{n:08d}", one.entity_type, one.name, one.kana, one.romaji, one.born, one.nationality, "JP",
                    one.postcode, one.address, "", one.phone, one.email, one.corporate_number, "verified", "ja", file.pk, n + 1,
                ))  # fmt: skip
        cursor.execute("CREATE TEMPORARY TABLE IF NOT EXISTS bench_truth (identity bigint PRIMARY KEY, person bigint NOT NULL)")
        cursor.execute("TRUNCATE bench_truth")
        cursor.execute(
            """INSERT INTO bench_truth SELECT i.id, t.person FROM unnest(%s::bigint[]) WITH ORDINALITY t (person, n)
               JOIN ledger_identity i ON i.case_id = %s AND i."row" = t.n + 1""",
            [persons.tolist(), case.pk],
        )
        cursor.execute("ANALYZE bench_truth")


def measured(case: Case, user: User, rows: int) -> Found:
    """One run, and what came of it."""
    before, began = _peak_mb(), time.perf_counter()
    job = jobs.wait(nayose.run(case, by=user, at=db_now()))
    seconds, growth = time.perf_counter() - began, _peak_mb() - before
    with connection.cursor() as cursor:
        cursor.execute(KNOWN)
        (known,) = cursor.fetchone()
        cursor.execute(PROPOSED, [case.pk])
        proposed, strangers, undated = cursor.fetchone()
        cursor.execute(MERGED, [case.pk])
        (wrong,) = cursor.fetchone()
    assert job.result is not None
    return Found(rows, int(known), proposed, strangers, wrong, undated, job.result["linked"], seconds, growth)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
