"""The benchmark command: what it prints. How fast it is gates nothing here."""

import contextlib
import json

import pytest
from django.core.management import call_command
from django.db import connection

from administration.office import benchmarks
from administration.record.models import Event


def test_a_ratio_is_the_median_over_interleaved_rounds():
    watch = benchmarks.Stopwatch({"bound": [1.0, 2.0, 1.0], "subject": [2.0, 4.4, 9.0]})
    line = benchmarks.result(watch, "subject", bound="bound", target=2.0, rows=100, rows_per_second=20)
    assert line == {
        "subject": "subject", "bound": "bound", "ratio": 2.2, "spread": [2.0, 9.0], "target": 2.0, "ok": True,
        "rows_per_second": 22,
    }  # fmt: skip
    assert not benchmarks.result(watch, "subject", bound="bound", target=1.7, rows=100)["ok"]
    assert not benchmarks.result(watch, "subject", bound="bound", target=2.0, rows=100, rows_per_second=30)["ok"]


def test_the_record_is_measured_in_a_scratch_database(committed, capsys):
    with contextlib.suppress(SystemExit):  # too slow for so few rows is no matter here
        call_command("bench", "record", "--rows", "300", "--repeat", "1", "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["section"], found["rows"]) == ("record", 300)
    assert [line["subject"] for line in found["results"]] == ["append", "append + seal", "verify"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database(), count(*) FROM pg_database WHERE datname LIKE 'henkan_bench%%'", [])
        assert cursor.fetchone() == (committed.name, 0)
    assert not Event.objects.exists()


def test_an_unknown_section_is_a_usage_error():
    with pytest.raises(Exception, match="invalid choice"):
        call_command("bench", "everything")
