"""The record: append, seal, verify; against a plain insert of the same rows into a table without any constraint."""

from dataclasses import dataclass
from typing import Any

from django.db import connection, connections, transaction

from administration.fields import db_now
from administration.office.benchmarks import Stopwatch, result, rounds, scratch
from administration.record import heads, verify

TOGETHER = 5_000  # events a call of record_append_many

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


@dataclass(frozen=True)
class BenchCase:
    pk: int

    @property
    def reference(self) -> str:
        return f"B-{self.pk}"


def run(rows: int, repeat: int) -> list[dict[str, Any]]:
    with scratch():
        at = db_now()
        with connections["owner"].cursor() as owner:
            owner.execute(ROWS, [rows])
            owner.execute("VACUUM ANALYZE bench_rows")
        cases = (BenchCase(number) for number in range(1, repeat + 1))

        def one(watch: Stopwatch) -> None:
            case = next(cases)
            with connections["owner"].cursor() as owner:
                owner.execute("TRUNCATE bench_plain")
                with watch.time("plain insert"):
                    owner.execute(PLAIN, [at])
            with watch.time("append"), transaction.atomic(), connection.cursor() as cursor:
                for first in range(0, rows, TOGETHER):
                    cursor.execute(APPEND, [case.pk, case.reference, at, first, first + TOGETHER])
            with watch.time("seal"):
                heads.seal(case, at=at)
            with watch.time("verify"):
                found = verify.verify(case)
            assert found["ok"] and found["events"] == rows, found  # noqa: PT018 -- a wrong answer has no speed

        watch = rounds(repeat, one)
    return [
        result(watch, "append", bound="plain insert", target=4.0, rows=rows, rows_per_second=100_000),
        result(
            watch,
            "append + seal",
            bound="plain insert",
            parts=["append", "seal"],
            target=4.0,
            rows=rows,
            rows_per_second=100_000,
        ),
        result(watch, "verify", bound="plain insert", target=1.5, rows=rows),
    ]
