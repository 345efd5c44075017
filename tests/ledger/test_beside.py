"""The second process that looks at destinations says what the first would say, and nobody misses it when it is gone."""

import os
import signal
from pathlib import Path

import pytest

from administration.ledger import beside, destinations
from tests.ledger.helpers import sample

FILES = ("bank_accounts.csv", "withdrawal_addresses.csv")
LARGE = beside.WORTH_IT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample(tmp_path_factory.mktemp("beside") / "package", accounts=200, dirty=0.2)


@pytest.fixture(autouse=True)
def nobody_beside(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(beside, "_ended", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    yield
    beside._gone()


def lines(folder: Path, file: str) -> list[str]:
    return (folder / file).read_text("utf-8").split("\n")[1:-1]


def is_right(folder: Path, file: str) -> bool:
    rows = lines(folder, file)
    alone = destinations.plainly_good(file, rows)
    assert 0 < sum(alone) < len(alone)
    return beside.plainly_good(file, rows, bytes_of_file=LARGE) == alone


@pytest.mark.parametrize("file", FILES)
def test_two_say_what_one_would_say(folder: Path, file: str):
    assert is_right(folder, file)
    assert beside._process is not None and beside._process.poll() is None


@pytest.mark.parametrize("file", FILES)
def test_what_is_plainly_good_has_no_problem(folder: Path, file: str):
    problem_of = destinations.PROBLEMS[file]
    for line, good in zip(rows := lines(folder, file), destinations.plainly_good(file, rows), strict=True):
        assert not good or problem_of(line.split(",")) is None


def test_when_the_second_is_killed_the_first_does_it_all_and_starts_another(folder: Path):
    assert is_right(folder, FILES[0])
    assert beside._process is not None
    os.kill(beside._process.pid, signal.SIGKILL)
    beside._process.wait()

    assert is_right(folder, FILES[1])
    assert is_right(folder, FILES[1])
    assert beside._process is not None and beside._process.poll() is None


def test_one_that_never_lives_is_not_started_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(beside.sys, "executable", "/bin/false")
    for _ in range(beside.ENDS_MAX + 3):
        assert is_right(folder, FILES[0])
    assert beside._ended == beside.ENDS_MAX


def test_for_a_small_file_nobody_is_started(folder: Path):
    beside.plainly_good(FILES[0], lines(folder, FILES[0]), bytes_of_file=LARGE - 1)
    assert beside._process is None
