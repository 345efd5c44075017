"""
Killed for real, at every statement the engine makes: a forked child does the work and sends itself SIGKILL.

Whatever died, going on ends as an undisturbed run does, and the simulator's own truth is the judge of what was paid.
"""

import os
import signal

import pytest
from django.db import connection, connections

from administration.fields import db_now
from administration.record.models import Event
from administration.returns import evidence, rounds, sending, settlement, submissions
from administration.returns.models import AssetReturn, Attempt, AttemptState, Batch, BatchState, ReturnState, Submission
from claims.register import tie_out
from claims.register.models import Position
from tests.rehearsing import rehearsal  # noqa: F401
from tests.returns.world import build, done

STRIDE = 3  # kill at every third statement; with 1 every one is hit


@pytest.fixture
def world(committed, as_superuser, rehearsal):  # noqa: F811
    rehearsal.kill()
    rehearsal.start("--refuse", "0.15", "--return", "0.15", "--lose", "0.2")
    return build(as_superuser, claims_count=6)


@pytest.fixture(autouse=True)
def short_leases(monkeypatch):
    monkeypatch.setattr(sending, "LEASE_SECONDS", 1)
    monkeypatch.setattr(sending, "CALL_SECONDS", 0)
    monkeypatch.setattr(sending, "PAUSES", (0,))
    monkeypatch.setattr(sending, "TRIES_MAX", 1000)
    monkeypatch.setattr(sending, "HELPERS", 0)


def in_a_child(work, *, kill_at):
    """Fork, do the work, and die by SIGKILL before statement number `kill_at`. True when it got through alive."""
    connections.close_all()
    child = os.fork()
    if child:
        _pid, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed by itself"
        return not os.WIFSIGNALED(status)
    code = 3
    try:
        made = 0

        def count(execute, sql, params, many, context):
            nonlocal made
            made += 1
            if made == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(count):
            work()
        code = 0
    finally:
        os._exit(code)


def killed_everywhere(work):
    """Do the work again and again, killed a little later each time, until it gets through."""
    kills, kill_at = 0, 2
    while not in_a_child(work, kill_at=kill_at):
        kills, kill_at = kills + 1, kill_at + STRIDE
        assert kills < 400
    return kills


def test_killed_at_every_statement_of_the_way_everything_is_returned_once(world, rehearsal):  # noqa: F811
    by = world.goto

    def schedule():
        if not world.case.rounds.filter(scheduled_at__isnull=False).exists():
            done(rounds.schedule(world.case, world.run, by=by, at=db_now()))

    assert killed_everywhere(schedule) > 5
    assert AssetReturn.objects.count() == 18
    batch = world.approved()

    def export():
        if Batch.objects.get().state == BatchState.APPROVED:
            done(submissions.export(batch, by=by, at=db_now()))

    assert killed_everywhere(export) > 5
    assert Attempt.objects.count() == 18

    def submit():
        if Batch.objects.get().state == BatchState.EXPORTED:
            done(submissions.submit(batch, by=by, at=db_now()))

    assert killed_everywhere(submit) > 3

    def observe():
        done(evidence.observe(world.case, "rehearsal", by=by, at=db_now()))

    def settle():
        done(settlement.settle(world.case, by=by, at=db_now()))

    killed_everywhere(observe)
    assert killed_everywhere(settle) > 5
    observe()
    settle()

    truth = rehearsal.summary()
    assert truth["paid_twice"] == []
    for line in (line for record in rehearsal.paid() if "key" in record for line in record["lines"]):
        row = AssetReturn.objects.get(reference=line["reference"])
        assert (line["asset"], int(line["amount"])) == (row.asset.code, row.amount)
    count = {state: AssetReturn.objects.filter(state=state).count() for state in ReturnState}
    assert count[ReturnState.SCHEDULED] == truth["refused"]
    assert count[ReturnState.RETURNED] == truth["returned"]
    assert count[ReturnState.SETTLED] == truth["settled"] - truth["returned"]
    assert not Attempt.objects.filter(state__in=[AttemptState.PENDING, AttemptState.UNKNOWN]).exists()
    assert Batch.objects.get().state == BatchState.CLOSED
    assert not Position.objects.filter(in_flight__gt=0).exists()
    tie_out.require(world.case)
    numbers = list(Event.objects.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("point", ["before claim", "after claim", "after call", "after record"])
def test_killed_around_the_call_a_part_is_paid_once(world, rehearsal, point):  # noqa: F811
    batch = world.exported()

    def die(name):
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    rail = evidence.routes.rail("rehearsal")
    assert not in_a_child(lambda: sending.send_one(batch, rail, point=die), kill_at=0)
    state = Submission.objects.get().state
    assert state in {"before claim": ["prepared"], "after record": ["accepted", "unknown"]}.get(point, ["submitting"])

    done(submissions.submit(batch, by=world.goto, at=db_now()))

    assert Submission.objects.get().state == "accepted"
    assert rehearsal.summary()["keys"] == 1
    assert rehearsal.summary()["paid_twice"] == []


def test_a_worker_that_slept_past_its_lease_writes_nothing(world, rehearsal):  # noqa: F811
    batch = world.exported()
    rail = evidence.routes.rail("rehearsal")
    sleeper = sending.take(batch, rail)
    outcome = rail.submit(sleeper.payload, sleeper.rail_key)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(1.1)")

    done(submissions.submit(batch, by=world.goto, at=db_now()))
    answered = Submission.objects.get()
    sending.record(batch, sleeper, outcome, rail)

    assert Submission.objects.get().answer == answered.answer
    assert Submission.objects.get().fence > sleeper.fence
    assert rehearsal.summary()["paid_twice"] == []
