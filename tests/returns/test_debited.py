"""A bank file that was found not paid and debited after all: two people correct the whole of it, by the debit's line."""

import pytest
from django.db import IntegrityError, InternalError, ProgrammingError, connection, transaction
from django.db.models import F

from administration.fields import db_now
from administration.returns import batches, corrections, debited, rounds, submissions
from administration.returns.models import (
    AssetReturn,
    Attempt,
    Correction,
    EvidenceLine,
    Overpayment,
    ReturnState,
    Submission,
)
from claims.register import tie_out
from claims.register.models import Position
from tests.returns.test_zengin_order import declared_dead, settle, undebited, zengin_is_stopped  # noqa: F401
from tests.returns.test_zengin_way import house, out, problems, told, yen  # noqa: F401
from tests.returns.world import done, sign

REFUSED = (IntegrityError, InternalError, ProgrammingError)


@pytest.fixture
def dead(world, undebited):  # noqa: F811
    """A file that two people found not paid. Nothing of it went out again."""
    declared_dead(world)
    settle(world)
    return undebited


def part():
    return Submission.objects.earliest("pk")


def ask(world):
    return corrections.propose(
        world.case, part(), "accepted", reason="the bank's letter", evidence=b"letter", by=world.goto, at=db_now()
    )


def corrected(world):
    asked = ask(world)
    for user in (world.people.aoki, world.people.baba):
        sign(asked, user)


def again(world, batch, limit=None):
    """Its returns go out a second time, in another file."""
    second = batches.draft(world.case, world.case.rounds.get(), "zengin", by=world.goto, at=db_now(), limit=limit)
    batches.freeze(second, by=world.goto, at=db_now())
    second.refresh_from_db()
    world.approve(second)
    done(submissions.export(second, by=world.goto, at=db_now()))
    submissions.carry_out(second, by=world.goto, at=db_now())
    second.refresh_from_db()
    return second


def test_a_file_that_was_paid_after_all_settles_whole(world, dead):
    assert dead.refresh_from_db() is None and dead.state == "closed"
    told(world, [out(dead)], batch=dead, name="later.txt")
    assert problems(world) == ["dead_file_debited"] and zengin_is_stopped(world)
    asked = ask(world)
    sign(asked, world.people.aoki)
    assert set(yen(world).values()) == {"scheduled"}
    sign(asked, world.people.baba)

    assert set(yen(world).values()) == {"settled"}
    assert set(Attempt.objects.values_list("state", flat=True)) == {"settled"}
    assert part().state == "final" and problems(world) == []
    assert not Correction.objects.filter(applied_at=None).exists()
    assert Correction.objects.filter(under__isnull=False).count() == 8
    lines = AssetReturn.objects.filter(asset__code="JPY").values("claim_line")
    assert set(Position.objects.filter(claim_line__in=lines).values_list("scheduled", "in_flight", "settled")) == {(0, 0, 1000)}
    settle(world)
    tie_out.require(world.case)
    world.proves()
    assert zengin_is_stopped(world)  # two people resume it, as always


def test_what_is_held_by_then_settles_with_it(world, dead):
    told(world, [out(dead)], batch=dead, name="later.txt")
    world.case.returns.filter(asset__code="JPY").update(state=ReturnState.HELD, held_by_gate="dispute")

    corrected(world)

    assert set(yen(world).values()) == {"settled"}
    tie_out.require(world.case)


def test_what_went_out_again_meanwhile_was_paid_twice_and_is_to_be_recovered(world, dead):
    first = world.returns(asset__code="JPY")[0]
    rounds.cancel(first, reason="x", by=world.goto, at=db_now())
    second = again(world, dead)
    assert second.items == 3
    told(world, [out(second, 3000)], batch=second, name="second.txt")
    told(world, [out(dead)], batch=dead, name="first.txt")
    assert problems(world) == ["dead_file_debited"]

    corrected(world)

    assert Overpayment.objects.count() == 4
    assert sum(Overpayment.objects.values_list("amount", flat=True)) == 4000
    assert sorted(yen(world).values()) == ["cancelled", "settled", "settled", "settled"]
    assert problems(world) == ["overpaid"]
    tie_out.require(world.case)
    world.proves()


def test_of_a_file_half_of_which_went_out_again_one_half_settles_and_the_other_is_to_be_recovered(world, dead):
    second = again(world, dead, limit=2)
    told(world, [out(second, 2000)], batch=second, name="second.txt")
    told(world, [out(dead)], batch=dead, name="first.txt")

    corrected(world)

    assert set(yen(world).values()) == {"settled"}
    assert Overpayment.objects.count() == 2
    assert problems(world) == ["overpaid"]
    assert EvidenceLine.objects.get(problem="overpaid").matches.count() == 2
    tie_out.require(world.case)
    world.proves()


def test_a_batch_that_has_not_left_is_voided_first(world, dead):
    second = batches.draft(world.case, world.case.rounds.get(), "zengin", by=world.goto, at=db_now())
    told(world, [out(dead)], batch=dead, name="later.txt")

    with pytest.raises(debited.NotDebited, match="Void the batches"):
        ask(world)
    batches.void(second, reason="the file was debited", by=world.goto, at=db_now())
    corrected(world)
    assert set(yen(world).values()) == {"settled"}


def test_no_file_is_corrected_without_its_debit(world, dead):
    with pytest.raises(debited.NotDebited, match="No line of a bank's statement"):
        ask(world)
    told(world, [out(dead, 3999)], batch=dead, name="later.txt")
    with pytest.raises(debited.NotDebited, match="No line of a bank's statement"):
        ask(world)


def test_the_database_takes_no_step_of_it_that_two_people_have_not_signed(world, dead):
    told(world, [out(dead)], batch=dead, name="later.txt")
    asked = ask(world)
    sign(asked, world.people.aoki)

    for sql in (
        "SELECT submission_step(ARRAY(SELECT id FROM returns_submission), 'dead', 'accepted')",
        "UPDATE returns_attempt SET state = 'settled', holds_return_id = asset_return_id",
        "UPDATE returns_assetreturn SET state = 'settled' WHERE state = 'scheduled'",
    ):
        with pytest.raises(REFUSED, match=r"step_needs_two_people|batched_return_|attempt_moves_by_evidence"), transaction.atomic():
            by_the_application(sql)
    with pytest.raises(IntegrityError, match="correction_follows_its_attempt"), transaction.atomic():
        under(world, asked, "return", world.returns(asset__code="BTC")[0].pk, "scheduled", "settled")
    with pytest.raises(IntegrityError, match="correction_follows_its_attempt"), transaction.atomic():
        under(world, asked, "attempt", Attempt.objects.earliest("pk").pk, "settled", "pending")
    under(world, asked, "attempt", Attempt.objects.earliest("pk").pk, "dead", "settled")
    with pytest.raises(REFUSED, match=r"step_needs_two_people|attempt_moves_by_evidence"), transaction.atomic():
        Attempt.objects.filter(pk=Attempt.objects.earliest("pk").pk).update(state="settled", holds_return_id=F("asset_return"))
    assert set(yen(world).values()) == {"scheduled"}


def under(world, asked, machine, thing, before, after):
    made = Correction.objects.get(pk=asked.object_id)
    return Correction.objects.create(
        case=world.case, machine=machine, object_id=thing, from_state=before, to_state=after, reason="x",
        evidence_sha256=bytes(made.evidence_sha256), by=world.goto, at=db_now(), under=made,
    )  # fmt: skip


def by_the_application(sql):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE henkan_app")
        cursor.execute(sql)
