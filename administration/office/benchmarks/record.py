"""
The record: append, seal, verify; against a plain insert of the same rows into a table without any constraint.

Acts append and a worker seals beside them, so append + seal is timed from the first event to the head over the last.
"""

import threading
from datetime import datetime
from typing import Any

from django.db import connection, connections, transaction

from administration.cases.models import Case
from administration.fields import db_now
from administration.office.benchmarks import Stopwatch, result, rounds, scratch
from administration.record import heads, verify

TOGETHER = 5_000  # events a call of record_append_many
COMMIT = 100_000  # events a transaction, where a worker seals beside

ROWS = """
CREATE UNLOGGED TABLE bench_rows AS SELECT n, n::text AS subject_id, format(
    '{"amount":"%%s","asset":"BTC","reference":"R%%s"}', n::bigint * 7919, lpad(n::text, 12, '0')) AS body
FROM generate_series(1, %s) n;
ALTER TABLE bench_rows ADD PRIMARY KEY (n);
CREATE TABLE bench_plain (LIKE record_event)
"""
PLAIN = """
INSERT INTO bench_plain (case_id, case_reference, number, kind, subject_kind, subject_id, by, at, recorded_at, body)
SELECT 1, 'B-1', n, 'attempt.settled', 'attempt', subject_id, 'aoki', %s, clock_timestamp(), body FROM bench_rows
"""
APPEND = """
SELECT record_append_many(%s, %s, 'attempt.settled', 'attempt', array_agg(subject_id), 'aoki', %s, array_agg(body))
FROM (SELECT subject_id, body FROM bench_rows WHERE n > %s AND n <= %s ORDER BY n) rows
"""


def run(rows: int, repeat: int) -> list[dict[str, Any]]:
    with scratch():
        at = db_now()
        with connections["owner"].cursor() as owner:
            owner.execute(ROWS, [rows])
            owner.execute("VACUUM ANALYZE bench_rows")
        cases = (a_case(number, at) for number in range(1, 2 * repeat + 1))

        def one(watch: Stopwatch) -> None:
            alone, case = next(cases), next(cases)
            with connections["owner"].cursor() as owner:
                owner.execute("TRUNCATE bench_plain")
                with watch.time("plain insert"):
                    owner.execute(PLAIN, [at])
            with watch.time("append"), transaction.atomic():
                append(alone, 0, rows, at)
            with watch.time("append + seal"):
                append_and_seal(case, rows, at)
            with watch.time("verify"):
                found = verify.verify(case)
            if not found["ok"] or found["events"] != rows:
                raise AssertionError(found)  # a wrong answer has no speed

        watch = rounds(repeat, one)
    return [
        result(watch, "append", bound="plain insert", target=4.0, rows=rows, rows_per_second=100_000),
        result(
            watch,
            "append + seal",
            bound="plain insert",
            target=4.0,
            rows=rows,
            rows_per_second=100_000,
        ),
        result(watch, "verify", bound="plain insert", target=1.5, rows=rows),
    ]


def a_case(number: int, at: datetime) -> Case:
    return Case.objects.create(
        reference=f"B-{number}", name="Benchmark", regime="JP-PSA-2020", proceeding="bankruptcy", trigger="", cutoff_at=at,
        is_sample=True, salt=bytes(32), opened_at=at,
    )  # fmt: skip


def append(case: Case, first: int, last: int, at: datetime) -> None:
    with connection.cursor() as cursor:
        for start in range(first, last, TOGETHER):
            cursor.execute(APPEND, [case.pk, case.reference, at, start, min(start + TOGETHER, last)])


def append_and_seal(case: Case, rows: int, at: datetime) -> None:
    committed, finished = threading.Event(), threading.Event()

    def seal() -> None:
        try:
            while not finished.is_set():
                committed.wait()
                committed.clear()
                heads.seal(case, at=at)
        finally:
            connections.close_all()

    sealer = threading.Thread(target=seal)
    sealer.start()
    try:
        for first in range(0, rows, COMMIT):
            with transaction.atomic():
                append(case, first, min(first + COMMIT, rows), at)
            committed.set()
    finally:
        finished.set()
        committed.set()
        sealer.join()
    heads.seal(case, at=at)
