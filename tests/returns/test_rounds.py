"""Scheduling."""

import pytest
from django.db import connection

from administration.cases.appointments import NotEmpowered
from administration.fields import db_now
from administration.record.models import Event
from administration.returns import references, rounds
from administration.returns.models import AssetReturn, ReturnState
from claims.register import review, tie_out
from claims.register.models import Position
from tests.returns.world import done


def test_each_line_gets_one_return_of_what_a_rail_can_pay(world):
    world.scheduled()

    rows = AssetReturn.objects.values_list("asset__code", "amount", "state", "rail")
    assert sorted(set(rows)) == [
        ("BTC", 2 * 10**8, "scheduled", "rehearsal"),
        ("ETH", 3 * 10**18, "scheduled", "rehearsal"),
        ("JPY", 1000, "scheduled", "rehearsal"),
    ]
    assert AssetReturn.objects.count() == 12
    assert Position.objects.get(claim_line=AssetReturn.objects.filter(asset__code="ETH")[0].claim_line).scheduled == 3 * 10**18
    tie_out.require(world.case)


def test_references_follow_the_order_of_claims_and_assets(world):
    world.scheduled()

    rows = AssetReturn.objects.order_by("reference").values_list("reference", "claim_line__claim__number", "asset__code")
    assert [row[1:] for row in rows] == sorted(row[1:] for row in rows)
    assert rows[0][0] == references.make(1)


def test_a_round_that_was_interrupted_gives_the_same_references(world, monkeypatch):
    monkeypatch.setattr(rounds, "CHUNK", 5)
    world.scheduled()

    rows = AssetReturn.objects.order_by("pk").values_list("reference", flat=True)
    assert list(rows) == [references.make(n) for n in range(1, 13)]


def test_one_event_covers_the_round(world):
    world.scheduled()

    event = Event.objects.get(kind="round.scheduled")
    assert '"count":"12"' in event.body
    assert f'"ETH":"{12 * 10**18}"' in event.body


def test_scheduling_is_for_those_with_the_power(world):
    with pytest.raises(NotEmpowered):
        rounds.schedule(world.case, world.run, by=world.people.fujii, at=db_now())
    assert not AssetReturn.objects.exists()


def test_nothing_is_scheduled_twice(world):
    world.scheduled()

    with pytest.raises(rounds.NotScheduled, match="Nothing is left"):
        rounds.schedule(world.case, world.run, by=world.goto, at=db_now())


def test_a_run_that_is_not_declared_schedules_nothing(world, as_superuser):
    with as_superuser() as cursor:
        cursor.execute("UPDATE distribution_run SET state = 'approved'")
    world.run.refresh_from_db()

    with pytest.raises(rounds.NotScheduled, match="not declared"):
        rounds.schedule(world.case, world.run, by=world.goto, at=db_now())


def test_a_cancelled_return_gives_its_amount_to_a_later_round(world):
    world.scheduled()
    first = world.returns()[0]

    rounds.cancel(first, reason="decision lowered", by=world.goto, at=db_now())

    assert first.state == ReturnState.CANCELLED
    done(rounds.schedule(world.case, world.run, by=world.goto, at=db_now()))
    assert AssetReturn.objects.filter(claim_line=first.claim_line, round__number=2).get().amount == first.amount
    tie_out.require(world.case)
    world.proves()


@pytest.mark.django_db
def test_the_database_and_python_make_the_same_references():
    numbers = [0, 1, 9, 10, 19, 4711, 123_456_789, 999_999_999]
    with connection.cursor() as cursor:
        cursor.execute("SELECT n, return_reference(n) FROM unnest(%s::bigint[]) AS n", [numbers])
        assert all(references.make(n) == reference for n, reference in cursor.fetchall())


@pytest.mark.parametrize("place", range(1, 11))
def test_a_misread_digit_of_a_reference_is_noticed(place):
    reference = references.make(204_613_957)
    wrong = reference[:place] + str((int(reference[place]) + 1) % 10) + reference[place + 1 :]

    with pytest.raises(references.NoSuchReference):
        references.number_of(wrong)
    assert references.number_of(reference) == 204_613_957


# --- what a lowered claim does --------------------------------------------------------------------------


def lower(world, line):
    review.decide_line(line, line.admitted // 2, reason_code="error_of_the_exchange", reason="x", by=world.goto, at=db_now())


def test_a_lowered_decision_cancels_what_is_scheduled(world):
    world.scheduled()
    row = world.returns()[0]

    lower(world, row.claim_line)

    row.refresh_from_db()
    assert row.state == ReturnState.CANCELLED
    assert AssetReturn.objects.exclude(state=ReturnState.SCHEDULED).count() == 1
    tie_out.require(world.case)
    done(rounds.schedule(world.case, world.run, by=world.goto, at=db_now()))
    again = AssetReturn.objects.get(round__number=2)
    assert (again.claim_line, again.amount) == (row.claim_line, row.amount // 2)
    world.proves()


def test_a_lowered_decision_voids_the_batch_that_has_not_left(world):
    batch = world.approved()
    row = world.returns()[0]

    lower(world, row.claim_line)

    batch.refresh_from_db()
    row.refresh_from_db()
    assert (batch.state, row.state) == ("voided", "cancelled")
    assert {other.state for other in world.returns() if other != row} == {"scheduled"}


def test_what_has_left_before_the_decision_awaits_its_evidence(world):
    batch = world.exported()
    row = world.returns()[0]

    lower(world, row.claim_line)

    batch.refresh_from_db()
    row.refresh_from_db()
    assert (batch.state, row.state) == ("exported", "batched")
    tie_out.require(world.case)
