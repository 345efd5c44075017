"""Doubt, by the class of the rail: who waits, who asks, who decides."""

import json

import pytest
from django.db import connection, transaction

from administration.cases import approvals, stops
from administration.cases.models import ApprovalRequest, Stop
from administration.fields import db_now
from administration.rails.interface import Accepted, Unknown
from administration.rails.rehearsal import Rehearsal, RehearsalR2, RehearsalR3
from administration.record import verify
from administration.returns import (
    batches,
    corrections,
    doubt,
    evidence,
    gates,
    rounds,
    routes,
    sending,
    settlement,
    submissions,
    tasks,
)
from administration.returns.models import AssetReturn, Attempt, Correction, ReturnState, Submission
from administration.work.jobs import JobFailed
from claims.register import tie_out
from tests.rehearsing import rehearsal  # noqa: F401
from tests.returns.world import done, sign


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sending, "HELPERS", 0)
    monkeypatch.setattr(sending, "PAUSES", (0,))
    monkeypatch.setattr(Rehearsal, "max_items", 4)


def exported(world, rail, limit=4):
    """A batch on that rail."""
    done(rounds.schedule(world.case, world.run, rails={"*": rail}, by=world.goto, at=db_now()))
    current = world.case.rounds.latest("number")
    batch = batches.draft(world.case, current, rail, by=world.goto, at=db_now(), limit=limit)
    batches.freeze(batch, by=world.goto, at=db_now())
    world.approve(batch)
    done(submissions.export(batch, by=world.goto, at=db_now()))
    batch.refresh_from_db()
    return batch


def long_ago(as_superuser):
    """Every lease and quiet period is over."""
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_submission SET lease_until = lease_until - interval '1 day'")


def rail_says_paid(world, row, batch):
    said = {
        "line_ref": "1", "reference": row.reference, "key": f"{batch.reference}/1", "kind": "settled",
        "asset": row.asset.code, "amount": str(row.amount), "at": "2026-11-20T10:00:00+09:00",
    }  # fmt: skip
    data = json.dumps(said).encode() + b"\n"
    evidence.receive(world.case, "rehearsal-r3", name="day", data=data, by=world.goto, at=db_now())


def answers(monkeypatch, rail, *outcomes):
    called, left = [], list(outcomes)

    def submit(self, content, key):
        called.append(key)
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(rail, "submit", submit)
    return called


def test_a_rail_that_can_be_asked_is_not_called_again_before_its_quiet_period_is_over(world, monkeypatch, as_superuser):
    called = answers(monkeypatch, RehearsalR2, Unknown("timeout"), Accepted())
    monkeypatch.setattr(RehearsalR2, "observe", lambda self, cursor: ((), cursor))
    batch = exported(world, "rehearsal-r2")
    rail = routes.rail("rehearsal-r2")

    assert sending.send_one(batch, rail)
    assert not sending.send_one(batch, rail)
    part = Submission.objects.get()
    assert part.state == "unknown"
    assert (part.lease_until - db_now()).total_seconds() > 9  # ten, as settings say
    long_ago(as_superuser)
    assert sending.send_one(batch, rail)
    assert len(called) == 2


def test_a_killed_worker_s_part_rests_a_whole_quiet_period_after_its_lease(world, monkeypatch, as_superuser):
    answers(monkeypatch, RehearsalR2, Accepted())
    monkeypatch.setattr(RehearsalR2, "observe", lambda self, cursor: ((), cursor))
    batch = exported(world, "rehearsal-r2")
    rail = routes.rail("rehearsal-r2")
    claim = sending.take(batch, rail)
    before = Submission.objects.get().lease_until
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_submission SET lease_until = clock_timestamp() - interval '1 second'")

    tasks.tick()

    part = Submission.objects.get()
    assert part.state == "unknown"
    assert 8 < (part.lease_until - db_now()).total_seconds() < 11
    assert before is not None
    assert not sending.may_go(claim)  # whoever slept with it sends nothing any more


def test_says_not_found_and_then_pays_the_quiet_period_bears_it(world, rehearsal, as_superuser):  # noqa: F811
    rehearsal.kill()
    rehearsal.start("--refuse", "0", "--return", "0", "--lose", "1", "--hide", "1", "--hide-seconds", "0.0")
    batch = exported(world, "rehearsal-r2")
    rail = routes.rail("rehearsal-r2")
    sending.send_one(batch, rail)
    assert Submission.objects.get().state == "unknown"
    long_ago(as_superuser)
    sending.send_one(batch, rail)

    assert Submission.objects.get().state == "accepted"
    assert (rehearsal.summary()["requests"], rehearsal.summary()["paid_twice"]) == (1, [])


def test_a_rail_that_is_silent_when_asked_is_not_called_again(world, monkeypatch, as_superuser):
    called = answers(monkeypatch, RehearsalR2, Unknown("timeout"))
    batch = exported(world, "rehearsal-r2", limit=8)
    rail = routes.rail("rehearsal-r2")
    sending.send_one(batch, rail)
    long_ago(as_superuser)

    sending.send_one(batch, rail)  # nobody listens at the socket: the part in doubt rests, the other goes

    assert called == [f"{batch.reference}/1", f"{batch.reference}/2"]


# --- people decide --------------------------------------------------------------------------------


@pytest.fixture
def in_doubt(world, monkeypatch):
    called = answers(monkeypatch, RehearsalR3, Unknown("timeout"))
    batch = exported(world, "rehearsal-r3")
    sending.send_one(batch, routes.rail("rehearsal-r3"))
    return batch, called


def propose(world, **changes):
    part = Submission.objects.get()
    words = {"reason": "not on the statement", "evidence": b"the statement of the day", "by": world.goto, **changes}
    return corrections.find(world.case, part, "not_paid", at=db_now(), **words)


def test_on_a_rail_that_cannot_be_asked_a_killed_worker_s_part_is_for_people(world, monkeypatch, as_superuser):
    called = answers(monkeypatch, RehearsalR3, Accepted())
    batch = exported(world, "rehearsal-r3", limit=8)
    sending.take(batch, routes.rail("rehearsal-r3"))
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_submission SET lease_until = clock_timestamp() - interval '1 day' WHERE fence > 0")

    tasks.tick()
    done_or_said(batch, world)

    assert called == [f"{batch.reference}/2"]  # the other part goes on
    assert Attempt.objects.filter(part=1, state="unknown").count() == 4


def done_or_said(batch, world):
    try:
        done(submissions.submit(batch, by=world.goto, at=db_now()))
    except JobFailed as said:
        assert "look at its statement" in str(said)  # noqa: PT017


def test_two_people_declare_a_part_unpaid_and_its_returns_go_out_again(world, in_doubt, as_superuser):
    batch, called = in_doubt
    long_ago(as_superuser)
    asked = propose(world)

    sign(asked, world.people.aoki)
    assert Submission.objects.get().state == "unknown"
    sign(asked, world.people.baba)

    assert Submission.objects.get().state == "dead"
    assert set(Attempt.objects.values_list("state", "holds_return_id")) == {("dead", None)}
    assert AssetReturn.objects.filter(state=ReturnState.SCHEDULED, tries=1).count() == 4
    assert Correction.objects.get().applied_at is not None
    assert len(called) == 1
    tie_out.require(world.case)
    assert verify.verify(world.case)["first_bad"] is None
    done(settlement.settle(world.case, by=world.goto, at=db_now()))
    batch.refresh_from_db()
    assert batch.state == "closed"


def test_nobody_declares_a_part_unpaid_before_its_quiet_period_is_over_or_alone(world, in_doubt, as_superuser):
    with pytest.raises(doubt.StillInDoubt, match="may still be on its way"):
        propose(world)
    long_ago(as_superuser)
    asked = propose(world)
    with pytest.raises(approvals.Unsigned):
        sign(asked, world.goto)
    assert Submission.objects.get().state == "unknown"


def test_what_the_rail_has_spoken_of_is_not_declared_unpaid(world, in_doubt, as_superuser):
    batch, _called = in_doubt
    long_ago(as_superuser)
    asked = propose(world)
    sign(asked, world.people.aoki)
    row = world.returns(state="batched")[0]
    rail_says_paid(world, row, batch)

    with pytest.raises(doubt.StillInDoubt, match="has spoken"), transaction.atomic():
        sign(asked, world.people.baba)
    assert Submission.objects.get().state == "unknown"
    assert ApprovalRequest.objects.get(pk=asked.pk).state == "open"


def test_the_rail_that_pays_after_it_was_found_unpaid_is_not_paid_again(world, in_doubt, as_superuser):
    """Says nothing, is declared unpaid, and pays after all: the return is held until two people have looked."""
    batch, _called = in_doubt
    long_ago(as_superuser)
    asked = propose(world)
    for user in (world.people.aoki, world.people.baba):
        sign(asked, user)
    row = world.returns(state="scheduled", tries=1)[0]
    rail_says_paid(world, row, batch)
    done(settlement.settle(world.case, by=world.goto, at=db_now()))

    assert gates.closed([row.pk])[row.pk] == ["evidence"]
    again = batches.draft(world.case, world.case.rounds.latest("number"), "rehearsal-r3", by=world.goto, at=db_now())
    assert again.items == 12 - 1


# --- stopping -------------------------------------------------------------------------------------


def test_a_stop_reaches_what_was_claimed_and_not_called_yet(world, monkeypatch):
    called = answers(monkeypatch, Rehearsal, Accepted())
    batch = world.exported()
    rail = routes.rail("rehearsal")
    claim = sending.take(batch, rail)
    assert sending.may_go(claim)

    stops.stop(world.case, reason="a doubt", by=world.people.baba, at=db_now())

    assert not sending.may_go(claim)
    assert called == []


def test_a_key_that_stands_for_something_else_at_the_rail_stops_it(world, monkeypatch):
    answers(monkeypatch, Rehearsal, Unknown("the key stands for other bytes", mismatch=True))
    batch = world.exported()
    sending.send_one(batch, routes.rail("rehearsal"))

    stop = Stop.objects.get()
    assert (stop.rail, stop.by) == ("rehearsal", None)
    with pytest.raises(stops.Stopped):
        sending.send_one(batch, routes.rail("rehearsal"))


def test_two_rails_of_one_case_are_read_each_by_its_own_job(world):
    first = evidence.observe(world.case, "rehearsal", by=world.goto, at=db_now())
    second = evidence.observe(world.case, "rehearsal-r2", by=world.goto, at=db_now())
    assert first.pk != second.pk
    assert connection.is_usable()
