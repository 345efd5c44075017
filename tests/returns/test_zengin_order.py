"""Bank lines in any order: what came back waits for the debit it undoes, and a dead file's debit is noticed."""

from datetime import timedelta

import pytest

from administration.fields import db_now
from administration.rails.zengin import Zengin
from administration.record import verify
from administration.returns import evidence, fees, settlement, statements
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
from tests.returns.world import done


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
