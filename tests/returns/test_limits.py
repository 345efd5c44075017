"""Limits of a rail: what would go over waits, by the database's clock."""

import pytest
from django.db import ProgrammingError, connection

from administration.cases.appointments import NotEmpowered
from administration.fields import db_now
from administration.rails.interface import Unknown
from administration.rails.rehearsal import Rehearsal
from administration.returns import batches, limits, routes, sending, submissions
from administration.returns.models import RailLimit, Submission
from administration.work.jobs import JobFailed
from tests.rehearsing import rehearsal  # noqa: F401
from tests.returns.world import done, sign


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(Rehearsal, "max_items", 2)


def send_all(batch):
    rail = routes.rail("rehearsal")
    count = 0
    while sending.send_one(batch, rail):
        count += 1
    return count


def an_hour_later(as_superuser):
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_submission SET sent_at = sent_at - interval '1 hour'")


def test_no_more_returns_leave_within_its_time_than_a_rail_is_allowed(world, rehearsal, as_superuser):  # noqa: F811
    limits.put(world.case, "rehearsal", seconds=3600, at_most=5, by=world.people.baba, at=db_now())
    batch = world.exported()

    assert send_all(batch) == 2  # two parts of two returns; a third would make six
    assert send_all(batch) == 0
    an_hour_later(as_superuser)
    assert send_all(batch) == 2


def test_no_more_of_an_asset_leaves_than_a_rail_is_allowed(world, rehearsal):  # noqa: F811
    limits.put(
        world.case, "rehearsal", seconds=3600, at_most=2_500, asset=world.assets["JPY"], by=world.people.baba, at=db_now()
    )
    batch = world.exported()

    send_all(batch)

    sent = Submission.objects.exclude(state="prepared").values_list("part", flat=True)
    out = [row for row in world.returns() if row.part in set(sent) and row.asset.code == "JPY"]
    assert [row.amount for row in out] == [1000, 1000]


def never_fitting(world):
    """An exported batch, and then a limit that no part with yen fits under."""
    batch = world.exported()
    limits.put(
        world.case, "rehearsal", seconds=3600, at_most=999, asset=world.assets["JPY"], by=world.people.baba, at=db_now()
    )
    return batch


def test_a_part_that_never_fits_holds_up_no_other(world, rehearsal):  # noqa: F811
    batch = never_fitting(world)

    send_all(batch)

    with_yen = {row.part for row in world.returns() if row.asset.code == "JPY"}
    left = Submission.objects.filter(batch=batch, state="prepared").values_list("part", flat=True)
    assert set(left) == with_yen
    assert Submission.objects.filter(batch=batch, state="accepted").exists()


def test_what_never_fits_is_said_once_and_goes_when_two_people_widen_the_limit(world, rehearsal):  # noqa: F811
    batch = never_fitting(world)
    job = submissions.submit(batch, by=world.goto, at=db_now())

    with pytest.raises(JobFailed, match=r"holds 1000 JPY, and rehearsal lets through 999 JPY at a time"):
        done(job)
    assert batch.pk not in sending.due()  # nobody tries it again and again

    asked = limits.ask(
        world.case, "rehearsal", seconds=3600, at_most=100_000, asset=world.assets["JPY"], reason="one customer has as much",
        by=world.goto, at=db_now(),
    )  # fmt: skip
    sign(asked, world.people.aoki)
    assert batch.pk not in sending.due()
    sign(asked, world.people.baba)
    assert batch.pk in sending.due()


def test_what_is_in_doubt_does_not_wait_behind_a_limit(world, rehearsal, as_superuser):  # noqa: F811
    batch, rail = world.exported(), routes.rail("rehearsal")
    first = sending.take(batch, rail)
    sending.record(batch, first, Unknown("no answer"), rail)
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_submission SET lease_until = now() WHERE id = %s", [first.pk])
    limits.put(
        world.case, "rehearsal", seconds=3600, at_most=999, asset=world.assets["JPY"], by=world.people.baba, at=db_now()
    )

    again = sending.take(batch, rail)  # before the second part, which has yen in it

    assert (again.part, again.fence) == (first.part, first.fence + 1)


def test_a_batch_with_a_part_that_would_wait_for_ever_is_not_frozen(world):
    limits.put(
        world.case, "rehearsal", seconds=3600, at_most=999, asset=world.assets["JPY"], by=world.people.baba, at=db_now()
    )
    batch = world.drafted()
    with pytest.raises(limits.NeverFits, match="two people sign a wider limit"):
        batches.freeze(batch, by=world.goto, at=db_now())


def test_the_newest_limit_counts(world, rehearsal):  # noqa: F811
    for at_most in (100, 4):
        limits.put(world.case, "rehearsal", seconds=60, at_most=at_most, by=world.people.baba, at=db_now())
    assert send_all(world.exported()) == 2
    assert "at most 4 " in limits.in_words(RailLimit.objects.latest("pk"))


def test_a_limit_lets_whole_parts_through_and_is_set_by_whoever_may_stop(world):
    with pytest.raises(limits.NotALimit, match="for ever"):
        limits.put(world.case, "rehearsal", seconds=60, at_most=1, by=world.people.baba, at=db_now())
    with pytest.raises(limits.NotALimit, match="stop the rail"):
        limits.put(world.case, "rehearsal", seconds=60, at_most=0, by=world.people.baba, at=db_now())
    with pytest.raises(NotEmpowered):
        limits.put(world.case, "rehearsal", seconds=60, at_most=10, by=world.people.fujii, at=db_now())


def test_a_limit_is_never_edited(world, as_role):
    limits.put(world.case, "rehearsal", seconds=60, at_most=10, by=world.people.baba, at=db_now())
    with pytest.raises(ProgrammingError), as_role("henkan_app") as cursor:
        cursor.execute("UPDATE returns_raillimit SET at_most = 1000")
    assert connection.is_usable()
