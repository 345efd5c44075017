"""Destinations are written by a second session while the first writes balances: all of them, once, whoever stops when."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from administration.cases import approvals
from administration.ledger import acceptance, sessions, takeover
from administration.ledger.models import Intake, IntakeState
from administration.ledger.sessions import Meanwhile
from administration.record import covers
from administration.work import jobs
from administration.work.models import Job, JobState
from tests.cast import NOON, gather, open_sample_case
from tests.ledger.helpers import inspected, secure, work
from tests.ledger.killing import STATE
from tests.ledger.test_laid_aside import keys


@pytest.fixture
def signed(committed: Any, clean_package: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Job]:
    """An acceptance that is signed and not begun, in a database whose commits are commits."""
    monkeypatch.setattr(acceptance, "WORTH_TWO", 1)
    monkeypatch.setattr(sessions, "are_worth_it", lambda: True)
    monkeypatch.setattr(acceptance, "ROWS", 25)

    def one(reference: str = "T-1") -> Job:
        case = open_sample_case(reference)
        cast = gather(case)
        secure(case, cast)
        intake = inspected(case, cast, clean_package)
        approvals.sign(takeover.accept(intake, by=cast.goto, at=NOON), by=cast.baba, at=NOON)
        return Job.objects.get(kind=takeover.ACCEPT, subject_id=intake.pk)

    return one


Alone = Callable[[], dict[str, list[str]]]


def state(job: Job) -> dict[str, list[str]]:
    with connection.cursor() as cursor:
        found = {}
        for name, sql in STATE.items():
            if name != "files":
                cursor.execute(f"SELECT (x.*)::text FROM ({sql}) x ORDER BY 1", [job.case_id])
                found[name] = [one for (one,) in cursor.fetchall()]
        return found


def chunks(job: Job, part: int) -> Job:
    """A job done up to the first step of that part."""
    taken = jobs._take(job.pk)
    assert taken is not None
    while acceptance.begin(taken)["stage"] == "assets" or acceptance.begin(taken)["part"] < part:
        jobs._chunk(taken)
    jobs._let_go(taken)
    return taken


@pytest.fixture
def alone(signed: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, list[str]]]:
    """What one session alone makes of it, in another case of the same database."""

    def one() -> dict[str, list[str]]:
        with monkeypatch.context() as patched:
            patched.setattr(acceptance, "WORTH_TWO", 1 << 40)
            return state(work(signed("T-9")))

    return one


def test_two_sessions_write_what_one_would_write(alone: Alone, signed: Callable[[str], Job]):
    job = work(signed("T-1"))

    assert {**state(job), "events": []} == {**alone(), "events": []}
    assert job.done == job.total
    assert Intake.objects.get(pk=job.subject_id).state == IntakeState.ACCEPTED


def test_keys_laid_aside_by_two_sessions_stand_as_before(signed: Callable[..., Job]):
    before = keys()
    work(signed())
    assert keys() == before


def test_what_the_second_session_wrote_is_not_written_again_when_the_first_was_undone(
    alone: Alone, signed: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch
):
    job = chunks(signed("T-1"), acceptance.BALANCES_PART)
    with transaction.atomic(), monkeypatch.context() as patched:
        patched.setattr(Meanwhile, "__exit__", lambda self, *_trouble: self._thread.join())  # however quick the first is
        acceptance.step(job)
        transaction.set_rollback(True)  # as if the worker were killed before it committed
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger_ledgerbalance WHERE case_id = %s", [job.case_id])
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT count(*) FROM ledger_handedoverdestination WHERE case_id = %s", [job.case_id])
        assert cursor.fetchone()[0] > 0

    job = work(job)

    undisturbed = alone()
    assert state(job)["destinations"] == undisturbed["destinations"]
    assert state(job)["balances"] == undisturbed["balances"]
    assert job.done == job.total


def test_what_the_second_session_cannot_do_the_first_does(
    alone: Alone, signed: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch
):
    def fails(*_args: object) -> None:
        raise RuntimeError("no more connections")

    monkeypatch.setattr(acceptance, "_beside", fails)
    job = work(signed("T-1"))

    assert job.state == JobState.DONE
    assert state(job)["destinations"] == alone()["destinations"]


def test_a_worker_that_was_paused_writes_nothing_after_the_ledger_is_accepted(signed: Callable[..., Job]):
    job = chunks(signed(), acceptance.BALANCES_PART)
    late = acceptance.work_of(job)
    job = work(job)
    before = state(job)

    with Meanwhile(lambda other: acceptance._beside(late, other)):
        pass
    acceptance._beside(late, Meanwhile(lambda _other: None))

    assert state(job) == before


def test_a_cover_that_another_session_took_of_other_rows_is_taken_again(signed: Callable[..., Job], monkeypatch: pytest.MonkeyPatch):
    taken: list[covers.Cover] = []
    whole = covers.cover

    def cover(name: str, **params: object) -> covers.Cover:
        found = whole(name, **params)
        if name == acceptance.BALANCES:
            taken.append(found)
            if len(taken) == 1:
                return covers.Cover(name, found.params, found.count - 1, "00" * 32, found.sums)
        return found

    monkeypatch.setattr(covers, "cover", cover)
    job = work(signed())

    assert len(taken) == 2
    with connection.cursor() as cursor:
        cursor.execute("SELECT body::jsonb #>> '{cover,sha256}' FROM record_event WHERE case_id = %s AND kind = 'ledger.accepted'", [job.case_id])
        assert cursor.fetchone() == (taken[1].sha256,)
