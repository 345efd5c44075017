"""Limits of a rail: what would go over waits, by the database's clock."""

import pytest
from django.db import ProgrammingError, connection

from administration.cases.appointments import NotEmpowered
from administration.fields import db_now
from administration.rails.rehearsal import Rehearsal
from administration.returns import limits, routes, sending
from administration.returns.models import RailLimit, Submission
from tests.rehearsing import rehearsal  # noqa: F401


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
