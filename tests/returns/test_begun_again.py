"""A round whose scheduling failed once is begun again and ends as if nothing had happened."""

import pytest
from django.db import transaction

from administration.fields import db_now
from administration.record import verify
from administration.record.models import Event
from administration.returns import rounds
from administration.returns.models import AssetReturn
from administration.work.jobs import JobFailed
from claims.register import positions, tie_out
from tests.returns.test_pace import scheduled


def fail_in_the_second_chunk(monkeypatch):
    """Once: whoever begins again comes through."""
    inner, chunks = positions.move, []

    def fails(*arguments, **more):
        chunks.append(more["key"])
        if len(chunks) == 2:
            raise rounds.NotScheduled("The disk was full.")
        return inner(*arguments, **more)

    monkeypatch.setattr(positions, "move", fails)


def as_it_is(world):
    """What the last round came to, without the numbers of its rows."""
    current = world.case.rounds.latest("number")
    rows = current.returns.order_by("reference").values_list("reference", "claim_line", "amount", "state")
    return list(rows), list(current.carried.order_by("claim_line").values_list("claim_line", "amount"))


@pytest.mark.parametrize("least", [1_500, 900])
def test_a_round_that_carries_goes_on_after_its_job_failed_as_if_it_had_not(world, as_superuser, monkeypatch, least):
    """One person's two claims reach the minimum together, also where the one was scheduled before the failure."""
    first, second = world.case.claims.order_by("number")[:2]
    with as_superuser() as cursor:
        cursor.execute("UPDATE register_claim SET claimant_id = %s WHERE id = %s", [first.claimant_id, second.pk])
    monkeypatch.setattr(rounds, "CHUNK", 4)
    before = transaction.savepoint()
    scheduled(world, minimums={"JPY": least})
    undisturbed = as_it_is(world)
    transaction.savepoint_rollback(before)
    fail_in_the_second_chunk(monkeypatch)
    with pytest.raises(JobFailed, match="disk"):
        scheduled(world, minimums={"JPY": least})
    assert world.case.rounds.latest("number").returns.count() == 4

    scheduled(world, minimums={"JPY": least})

    assert as_it_is(world) == undisturbed
    assert world.case.rounds.count() == 1
    assert Event.objects.filter(kind="round.carried_forward").count() == 1
    tie_out.require(world.case)
    assert verify.verify(world.case)["first_bad"] is None


def test_a_line_gets_no_second_return_in_a_round_that_is_begun_again(world, monkeypatch):
    """What was taken back meanwhile is free again, and waits for the next round as it would have."""
    monkeypatch.setattr(rounds, "CHUNK", 4)
    fail_in_the_second_chunk(monkeypatch)
    with pytest.raises(JobFailed, match="disk"):
        scheduled(world)
    rounds.cancel(AssetReturn.objects.order_by("reference")[0], reason="x", by=world.goto, at=db_now())

    current = scheduled(world)

    assert sorted(current.returns.values_list("state", flat=True)) == ["cancelled"] + ["scheduled"] * 11
    assert scheduled(world).returns.count() == 1
    tie_out.require(world.case)
