"""Bank lines in any order: what came back waits for the debit it undoes, and a dead file's debit is noticed."""

from datetime import timedelta

import pytest
from django.db import transaction

from administration.cases import stops
from administration.fields import db_now
from administration.rails.zengin import Zengin
from administration.record import verify
from administration.returns import (
    batches,
    corrections,
    doubt,
    evidence,
    explaining,
    fees,
    matching,
    quarantine,
    settlement,
    statements,
    submissions,
)
from administration.returns.models import Attempt, EvidenceLine, Match, Submission
from claims.register import tie_out
from claims.register.models import Position
from tests.rails import zengin_bank as bank
from tests.returns.test_zengin_way import (  # noqa: F401  a fixture
    NAMES,
    back,
    banks,
    carried,
    house,
    out,
    problems,
    told,
    yen,
)
from tests.returns.world import done, sign


def received(world, rows, *, batch, name):
    """The bank's statement arrives, and is not settled yet."""
    data = bank.statement(rows, first=batch.value_date, last=batch.value_date + timedelta(days=20))
    evidence.receive(world.case, "zengin", name=name, data=data, by=world.goto, at=db_now())


def settle(world, **late):
    return done(settlement.settle(world.case, by=world.goto, at=db_now() + timedelta(**late)))


# --- what came back waits for its debit ----------------------------------------------------------------------


def all_is_as_if_told_in_order(world):
    assert list(yen(world).values()) == ["returned", "settled", "settled", "settled"]
    assert problems(world) == []
    assert not Match.objects.filter(applied_at=None).exists()
    assert (Match.objects.count(), Submission.objects.get().state) == (5, "final")
    tie_out.require(world.case)
    assert verify.verify(world.case)["first_bad"] is None


def test_tuesdays_statement_before_mondays_settled_once(world, house, tmp_path):  # noqa: F811
    banks(world)
    batch = carried(world, tmp_path)
    received(world, [back(batch, NAMES[0])], batch=batch, name="tuesday.txt")
    received(world, [out(batch)], batch=batch, name="monday.txt")

    settle(world)

    all_is_as_if_told_in_order(world)


def test_tuesdays_statement_settled_before_mondays_arrives(world, house, tmp_path):  # noqa: F811
    banks(world)
    batch = carried(world, tmp_path)
    told(world, [back(batch, NAMES[0])], batch=batch, name="tuesday.txt")
    assert problems(world) == [] and not Match.objects.exists()

    told(world, [out(batch)], batch=batch, name="monday.txt")

    all_is_as_if_told_in_order(world)


def test_one_statement_that_lists_the_credit_above_the_debit_of_the_same_day(world, house, tmp_path):  # noqa: F811
    banks(world)
    batch = carried(world, tmp_path)
    same_day = bank.movement(1000, out=False, day=batch.value_date, remitter=NAMES[0], narrative="ﾌﾘｺﾐﾓﾄﾞｼ")

    told(world, [same_day, out(batch)], batch=batch)

    all_is_as_if_told_in_order(world)


@pytest.mark.parametrize("chunk", [5_000, 2, 1])
def test_a_credit_decided_by_a_person_before_the_debit_is_applied_with_it(
    world, house, tmp_path, monkeypatch, chunk  # noqa: F811
):  # fmt: skip
    monkeypatch.setattr(settlement, "CHUNK", chunk)
    banks(world)
    batch = carried(world, tmp_path)
    references = list(yen(world))
    told(world, [back(batch, NAMES[2], inquiry=2), back(batch, NAMES[2], inquiry=3)], batch=batch, name="tuesday.txt")
    assert problems(world) == ["ambiguous"] * 2
    for line, reference in zip(EvidenceLine.objects.order_by("pk"), references[2:], strict=True):
        statements.decide(line, reference, by=world.goto, at=db_now())

    settle(world)
    assert problems(world) == [] and set(yen(world).values()) == {"batched"}
    assert Match.objects.filter(applied_at=None).count() == 2  # they wait, as often as anybody settles
    settle(world)

    told(world, [out(batch)], batch=batch, name="monday.txt")

    assert list(yen(world).values()) == ["settled", "settled", "returned", "returned"]
    assert problems(world) == [] and not Match.objects.filter(applied_at=None).exists()
    tie_out.require(world.case)
    assert verify.verify(world.case)["first_bad"] is None
    assert settle(world).result["count"] == 0


def test_a_fee_decided_before_the_debit_is_booked_once_and_its_return_bounces(world, house, tmp_path):  # noqa: F811
    banks(world)
    batch = carried(world, tmp_path)
    told(world, [back(batch, NAMES[0], 340)], batch=batch, name="tuesday.txt")
    row = world.returns(asset__code="JPY")[0]
    assert fees.decide(EvidenceLine.objects.get(), row.reference, by=world.goto, at=db_now()) == 660
    settle(world)
    assert problems(world) == []

    told(world, [out(batch)], batch=batch, name="monday.txt")

    assert (yen(world)[row.reference], problems(world)) == ("returned", [])
    assert Position.objects.get(claim_line=row.claim_line).settled == 0
    found = tie_out.tie_out(world.case)
    [statement] = [one for one in found["assets"] if one["code"] == "JPY"]
    assert (found["ok"], statement["bounced"], statement["costs"]) == (True, "1000", "660")


def test_a_file_whose_credit_waits_for_a_debit_that_never_comes_is_in_doubt_and_seen(world, house, tmp_path):  # noqa: F811
    banks(world)
    batch = carried(world, tmp_path)
    told(world, [back(batch, NAMES[0], 340)], batch=batch, name="tuesday.txt")
    row = world.returns(asset__code="JPY")[0]
    fees.decide(EvidenceLine.objects.get(), row.reference, by=world.goto, at=db_now())

    settle(world, days=(batch.value_date - db_now().date() + Zengin.quiet_period).days + 2)

    assert Submission.objects.get().state == "unknown"  # among the exceptions
    assert set(Attempt.objects.values_list("state", flat=True)) == {"unknown"}
    told(world, [out(batch)], batch=batch, name="at last.txt")
    assert (yen(world)[row.reference], problems(world)) == ("returned", [])


# --- a file found not paid, and debited after all ------------------------------------------------------------


@pytest.fixture
def undebited(world, house, tmp_path):  # noqa: F811
    """A file that left, whose debit did not come while it could."""
    banks(world)
    batch = carried(world, tmp_path)
    settle(world, days=(batch.value_date - db_now().date() + Zengin.quiet_period).days + 2)
    assert Submission.objects.get().state == "unknown"
    return batch


def not_paid(world):
    return corrections.find(
        world.case, Submission.objects.get(), "not_paid", reason="not on the statement", evidence=b"the paper", by=world.goto,
        at=db_now(),
    )  # fmt: skip


def declared_dead(world):
    asked = not_paid(world)
    for user in (world.people.aoki, world.people.baba):
        sign(asked, user)
    assert Submission.objects.get().state == "dead"
    assert set(yen(world).values()) == {"scheduled"}


def zengin_is_stopped(world):
    return world.case.stops.filter(rail="zengin", lifted_at__isnull=True).exists()


@pytest.mark.parametrize("settled", [False, True])
def test_the_last_signature_under_not_paid_is_refused_once_a_debit_of_its_sum_is_there(world, undebited, settled):
    asked = not_paid(world)
    sign(asked, world.people.aoki)
    received(world, [out(undebited)], batch=undebited, name="later.txt")
    if settled:
        matching.run(world.case, by=world.goto, at=db_now())

    with pytest.raises(doubt.StillInDoubt, match=r"has the sum of .* Settle"), transaction.atomic():
        sign(asked, world.people.baba)

    settle(world)
    assert Submission.objects.get().state == "final" and set(yen(world).values()) == {"settled"}


def test_not_paid_is_refused_while_a_credit_waits_for_the_debit(world, undebited):
    received(world, [back(undebited, NAMES[0])], batch=undebited, name="tuesday.txt")
    settle(world)

    with pytest.raises(doubt.StillInDoubt, match="brings back one of its returns"):
        not_paid(world)


def test_what_is_of_another_sum_or_of_other_days_does_not_keep_a_file_in_doubt(world, undebited):
    received(world, [out(undebited, 880), bank.movement(4000, out=False, day=undebited.value_date)], batch=undebited, name="x.txt")
    far = bank.movement(4000, out=True, day=undebited.value_date + timedelta(days=15))
    received(world, [far], batch=undebited, name="y.txt")

    declared_dead(world)


def test_the_debit_of_a_file_found_not_paid_stops_the_rail_before_it_goes_out_again(world, undebited):
    declared_dead(world)

    told(world, [out(undebited)], batch=undebited, name="later.txt")

    assert problems(world) == ["dead_file_debited"]
    assert zengin_is_stopped(world)
    assert [line.problem for line in quarantine.unknown_to_us(world.case)] == ["dead_file_debited"]
    assert matching.sentence(EvidenceLine.objects.get(problem="dead_file_debited")).startswith("The bank has debited a file")
    with pytest.raises(stops.Stopped):
        stops.check(world.case, "zengin")
    assert set(yen(world).values()) == {"scheduled"}


def test_the_debit_that_the_bank_took_back_is_explained(world, undebited):
    declared_dead(world)
    told(world, [out(undebited)], batch=undebited, name="later.txt")
    waiting = EvidenceLine.objects.get(problem="dead_file_debited")

    asked = explaining.propose(
        waiting, "nothing_moved", reason="the bank took it back", paper=b"letter", by=world.goto, at=db_now()
    )
    for user in (world.people.aoki, world.people.baba):
        sign(asked, user)

    assert problems(world) == ["explained"]
    assert set(yen(world).values()) == {"scheduled"}
    world.proves()


def test_a_debit_that_may_be_of_a_dead_file_or_of_the_one_that_followed_it_waits_for_a_person(world, undebited, tmp_path):
    declared_dead(world)
    again = batches.draft(world.case, world.case.rounds.get(), "zengin", by=world.goto, at=db_now())
    batches.freeze(again, by=world.goto, at=db_now())
    again.refresh_from_db()
    world.approve(again)
    done(submissions.export(again, by=world.goto, at=db_now()))
    submissions.carry_out(again, by=world.goto, at=db_now())
    told(world, [out(again), out(again, inquiry=2)], batch=again, name="later.txt")
    assert problems(world) == ["ambiguous"] * 2 and not zengin_is_stopped(world)
    dead, alive = Submission.objects.order_by("pk").values_list("rail_key", flat=True)
    first, second = EvidenceLine.objects.filter(problem="ambiguous").order_by("pk")
    assert statements.candidates(first) == (dead, alive)

    statements.decide(first, dead, by=world.goto, at=db_now())
    assert zengin_is_stopped(world)
    statements.decide(second, alive, by=world.goto, at=db_now())
    settle(world)

    assert problems(world) == ["dead_file_debited"]
    assert set(yen(world).values()) == {"settled"}
    assert verify.verify(world.case)["first_bad"] is None
