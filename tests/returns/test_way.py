"""From a scheduled round to closed batches, against the real simulator: the judge is its own truth."""

import pytest

from administration.fields import db_now
from administration.record import verify
from administration.record.models import Event
from administration.returns import evidence, rounds, sending, settlement, submissions
from administration.returns.models import (
    AssetReturn,
    Attempt,
    AttemptState,
    BatchState,
    ConflictKey,
    Evidence,
    EvidenceLine,
    Match,
    ReturnState,
    Submission,
    SubmissionState,
)
from claims.destinations.models import Destination
from claims.register import tie_out
from claims.register.models import Position
from tests.rehearsing import rehearsal  # noqa: F401
from tests.returns.world import build, done


@pytest.fixture
def world(committed, as_superuser, rehearsal):  # noqa: F811
    return build(as_superuser, claims_count=40)


@pytest.fixture
def rail(rehearsal):  # noqa: F811
    """The simulator, started anew with habits of its own."""

    def start(*arguments):
        rehearsal.kill()
        rehearsal.start(*arguments)
        return rehearsal

    return start


def send(world, batch):
    return done(submissions.submit(batch, by=world.goto, at=db_now()))


def settle(world):
    done(evidence.observe(world.case, "rehearsal", by=world.goto, at=db_now()))
    return done(settlement.settle(world.case, by=world.goto, at=db_now()))


def net(rehearsal, asset):  # noqa: F811
    return int(rehearsal.summary()["assets"][asset]["net"])


def test_what_settles_is_settled_once_everywhere(world, rail):
    simulator = rail("--refuse", "0", "--return", "0")
    batch = world.exported()
    assert Attempt.objects.filter(state=AttemptState.PENDING).count() == batch.items == 120
    assert Position.objects.filter(in_flight__gt=0).count() == 120
    send(world, batch)
    assert not Submission.objects.exclude(state=SubmissionState.ACCEPTED).exists()

    job = settle(world)

    assert job.result == {"count": 120, "queued": 0, "ties": True}
    assert AssetReturn.objects.filter(state=ReturnState.SETTLED).count() == 120
    batch.refresh_from_db()
    assert batch.state == BatchState.CLOSED
    assert not ConflictKey.objects.filter(released_at=None).exists()
    assert Submission.objects.get().state == SubmissionState.FINAL
    assert simulator.summary()["paid_twice"] == []
    assert verify.verify(world.case)["first_bad"] is None
    assert net(simulator, "BTC") == 40 * 2 * 10**8 == sum(p.settled for p in Position.objects.filter(asset__code="BTC"))
    tie_out.require(world.case)


def test_a_refused_return_is_scheduled_again_and_needs_a_newly_approved_batch(world, rail):
    simulator = rail("--refuse", "0.2", "--return", "0")
    batch = world.exported()
    send(world, batch)
    settle(world)

    refused = simulator.summary()["refused"]
    assert refused > 5
    rows = AssetReturn.objects.filter(tries=1)
    assert rows.filter(state=ReturnState.SCHEDULED).count() == refused == Attempt.objects.filter(state=AttemptState.REFUSED, holds_return_id=None).count()
    assert set(rows.values_list("tries", "batch")) == {(1, None)}
    batch.refresh_from_db()
    assert batch.state == BatchState.CLOSED
    tie_out.require(world.case)

    second = world.exported()
    assert second.items == refused
    assert Attempt.objects.filter(asset_return__in=rows).count() == 2 * refused
    send(world, second)
    settle(world)
    assert simulator.summary()["paid_twice"] == []
    tie_out.require(world.case)


def test_what_came_back_is_owed_again_and_its_destination_blocked(world, rail):
    simulator = rail("--refuse", "0", "--return", "0.2")
    send(world, world.exported())
    settle(world)

    back = AssetReturn.objects.filter(state=ReturnState.RETURNED)
    assert back.count() == simulator.summary()["returned"] > 5
    assert set(Destination.objects.filter(returns__in=back).values_list("state", flat=True)) == {"revoked"}
    assert not Attempt.objects.filter(state=AttemptState.RETURNED).exclude(holds_return_id=None).exists()
    assert all(p.settled == 0 for p in Position.objects.filter(claim_line__returns__in=back))
    tie_out.require(world.case)

    assert verify.verify(world.case)["first_bad"] is None
    first = back.first()
    with pytest.raises(rounds.NotScheduled, match="no other usable destination"):
        rounds.schedule_again(first, by=world.goto, at=db_now())
    claim = first.claim_line.claim
    world.give_destinations([claim.pk], version=2, asset=first.asset.code)
    again = rounds.schedule_again(first, by=world.goto, at=db_now())
    assert (again.after, again.amount, again.destination.version) == (first, first.amount, 2)
    world.proves()
    with pytest.raises(rounds.NotScheduled, match="followed by"):
        rounds.schedule_again(first, by=world.goto, at=db_now())


def test_lost_replies_are_unknown_and_sent_again_under_the_same_key(world, rail, monkeypatch):
    from administration.rails.rehearsal import Rehearsal

    monkeypatch.setattr(Rehearsal, "max_items", 10)
    monkeypatch.setattr(sending, "PAUSES", (0,))
    simulator = rail("--refuse", "0", "--return", "0", "--lose", "0.4")
    batch = world.exported()
    assert batch.parts == 12
    send(world, batch)

    assert Submission.objects.filter(tries__gt=1).exists()
    assert not Submission.objects.exclude(state=SubmissionState.ACCEPTED).exists()
    assert Event.objects.filter(kind="submission.unknown").count() == simulator.summary()["requests"] - 12
    settle(world)
    assert simulator.summary()["paid_twice"] == []
    assert AssetReturn.objects.filter(state=ReturnState.SETTLED).count() == 120


def test_evidence_twice_and_settling_twice_change_nothing(world, rail, tmp_path):
    simulator = rail("--refuse", "0.1", "--return", "0.1")
    send(world, world.exported())
    settle(world)
    before = (Match.objects.count(), EvidenceLine.objects.count(), list(Position.objects.order_by("pk").values()))
    events = Event.objects.count()

    pages = evidence.routes.rail("rehearsal").observe("")[0]
    whole = "".join(line.raw + "\n" for line in pages).encode()
    overlapping = "".join(line.raw + "\n" for line in pages[:50]).encode()
    for name, data in (("again.jsonl", whole), ("part.jsonl", overlapping)):
        evidence.receive(world.case, "rehearsal", name=name, data=data, by=world.goto, at=db_now())
        evidence.receive(world.case, "rehearsal", name=name, data=data, by=world.goto, at=db_now())
    settle(world)

    assert before == (
        Match.objects.count(), EvidenceLine.objects.count(), list(Position.objects.order_by("pk").values())
    )  # fmt: skip
    assert Event.objects.count() == events + Evidence.objects.filter(name__contains=".jsonl").count()
    assert simulator.summary()["paid_twice"] == []


def test_a_page_that_a_person_imported_before_does_not_stop_the_reading(world, rail, monkeypatch):
    monkeypatch.setattr(evidence.routes, "PAGE", 50)
    rail("--refuse", "0.1", "--return", "0.1")
    send(world, world.exported())
    first = evidence.routes.rail("rehearsal").observe("")[0]
    data = "".join(line.raw + "\n" for line in first).encode()
    evidence.receive(world.case, "rehearsal", name="first page", data=data, by=world.goto, at=db_now())

    settle(world)

    assert Match.objects.count() >= 120
    assert not Attempt.objects.filter(state=AttemptState.PENDING).exists()
