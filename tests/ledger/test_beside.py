"""The second process that looks at a file says what the first would say, and nobody misses it when it is gone."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from administration.ledger import beside, destinations, package, reading
from administration.ledger.beside import Looked
from tests.ledger.helpers import sample

FILES = ("customers.csv", "balances.csv", "bank_accounts.csv", "withdrawal_addresses.csv")
SIZE = 4096


@pytest.fixture(scope="module", params=[0.0, 0.02], ids=["clean", "dirty"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample(tmp_path_factory.mktemp("beside") / "package", accounts=300, dirty=request.param)


@pytest.fixture(autouse=True)
def nobody_beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(beside, "_ended", 0)
    monkeypatch.setattr(beside, "WORTH_IT", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    yield
    beside._gone()


def looked(folder: Path, file: str, *, until: int = 1 << 40) -> Iterator[Looked]:
    table = package.BY_FILE[file]
    begin = len((folder / file).read_bytes().split(b"\n")[0]) + 1
    return beside.looked(folder / file, table, key=7, offset=begin, row=2, until=until, size=SIZE)


def alone(folder: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> list[Looked]:
    with monkeypatch.context() as patched:
        patched.setattr(os, "cpu_count", lambda: 1)
        return list(looked(folder, file))


@pytest.mark.parametrize("file", FILES)
def test_two_say_what_one_would_say(folder: Path, file: str, monkeypatch: pytest.MonkeyPatch):
    found = list(looked(folder, file))

    assert found == alone(folder, file, monkeypatch)
    assert len(found) > 3
    assert found[-1].ended
    assert found[-1].end == (folder / file).stat().st_size
    assert beside._process is not None
    assert beside._process.poll() is None


@pytest.mark.parametrize("file", FILES)
def test_what_goes_into_staging_at_once_is_every_record_with_its_row(folder: Path, file: str):
    row = 2
    records = (folder / file).read_text("utf-8").split("\n")
    end = "," if file in destinations.PROBLEMS else ""
    for one in looked(folder, file):
        if one.lines is not None:
            assert one.lines.decode().split("\n")[:-1] == [f"7,{n},{records[n - 1]}{end}" for n in range(row, row + one.rows)]
        row += one.rows


@pytest.mark.parametrize("file", sorted(destinations.PROBLEMS))
def test_what_is_plainly_good_has_no_problem(folder: Path, file: str):
    problem_of = destinations.PROBLEMS[file]
    for one in looked(folder, file):
        records = [record for _row, record in one.block.records] if one.block else []
        for record, good in zip(records, one.good or [], strict=True):
            assert not good or problem_of(reading.split(record)) is None


def test_rows_are_numbered_as_a_spreadsheet_does_after_a_line_end_inside_quotes(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    lines = (folder / "customers.csv").read_text("utf-8").split("\n")
    fields = next(line for line in lines[1:] if line.count('"') == 0 and line.count(",") == 15).split(",")
    fields[9] = '"1-2-3\nMinato"'
    (tmp_path / "customers.csv").write_text("\n".join([lines[0], ",".join(fields), *lines[1:]]), "utf-8")

    found = list(looked(tmp_path, "customers.csv"))

    assert found == alone(tmp_path, "customers.csv", monkeypatch)
    assert sum(one.rows for one in found) == len(lines) - 1


def test_whoever_gives_up_half_way_is_not_given_its_answers_later(folder: Path, monkeypatch: pytest.MonkeyPatch):
    assert next(looked(folder, "balances.csv")).rows  # and no more of it

    assert list(looked(folder, "customers.csv")) == alone(folder, "customers.csv", monkeypatch)


def test_one_step_reads_up_to_where_it_is_told(folder: Path):
    found = list(looked(folder, "balances.csv", until=2 * SIZE))
    assert found[-1].end >= 2 * SIZE
    assert not found[-1].ended
    assert all(one.end < 2 * SIZE for one in found[:-1])


def test_when_the_second_is_killed_the_first_does_it_all_and_starts_another(folder: Path, monkeypatch: pytest.MonkeyPatch):
    list(looked(folder, FILES[0]))
    assert beside._process is not None
    os.kill(beside._process.pid, signal.SIGKILL)
    beside._process.wait()

    for _ in range(2):
        assert list(looked(folder, FILES[1])) == alone(folder, FILES[1], monkeypatch)
    assert beside._process is not None
    assert beside._process.poll() is None


def test_one_that_never_lives_is_not_started_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(beside.sys, "executable", "/bin/false")
    for _ in range(beside.ENDS_MAX + 3):
        assert list(looked(folder, FILES[0])) == alone(folder, FILES[0], monkeypatch)
    assert beside._ended == beside.ENDS_MAX


def test_for_a_small_file_nobody_is_started(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(beside, "WORTH_IT", 1 << 30)
    list(looked(folder, FILES[0]))
    assert beside._process is None


def test_two_who_read_at_once_do_not_mix_their_answers(folder: Path, monkeypatch: pytest.MonkeyPatch):
    one, other = looked(folder, "balances.csv"), looked(folder, "customers.csv")
    first = [next(one), next(other)]

    assert [first[0], *one] == alone(folder, "balances.csv", monkeypatch)
    assert [first[1], *other] == alone(folder, "customers.csv", monkeypatch)
