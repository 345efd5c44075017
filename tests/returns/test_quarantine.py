"""Restored from an older backup, the engine pays nothing until the rails were read and two people have said so."""

import json

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, connections, transaction

from administration.cases import stops
from administration.cases.models import Stop
from administration.fields import db_now
from administration.rails.rehearsal import Rehearsal
from administration.record import heads
from administration.record.models import Event
from administration.returns import evidence, quarantine, routes, sending, settlement, submissions, tasks
from administration.returns.models import AssetReturn, Attempt, Home, ReturnState, Submission
from claims.register import tie_out
from tests.rehearsing import rehearsal  # noqa: F401
from tests.returns.test_killed import short_leases  # noqa: F401
from tests.returns.world import build, done, found


@pytest.fixture
def world(committed, as_superuser, rehearsal, monkeypatch):  # noqa: F811
    monkeypatch.setattr(Rehearsal, "max_items", 2)
    rehearsal.kill()
    rehearsal.start("--refuse", "0", "--return", "0")
    return build(as_superuser)


class Backup:
    """A copy of the database as it is now, to go back to: it has another number, as a restored dump has."""

    def __init__(self, server):
        self.server, self.before = server, connections["default"].settings_dict["NAME"]
        self.name = f"{self.before}_backup"
        server.leave()
        server.execute(f"CREATE DATABASE {self.name} TEMPLATE {self.before}")

    def restore(self):
        self.server.point_at(self.name)

    def drop(self):
        self.server.point_at(self.before)
        self.server.drop(self.name)


@pytest.fixture
def backup(server, world):
    made = []

    def take():
        made.append(Backup(server))
        return made[0]

    yield take
    for one in made:
        one.drop()


def lift_all(world):
    for stop in Stop.objects.filter(lifted_at=None):
        for user in (world.people.aoki, world.people.baba):
            stops.lift(stop, by=user, at=db_now())


def test_what_was_sent_after_the_backup_is_neither_forgotten_nor_paid_again(world, rehearsal, backup):  # noqa: F811
    batch = world.exported()
    sending.send_one(batch, routes.rail("rehearsal"))
    old = backup()
    done(submissions.submit(batch, by=world.goto, at=db_now()))
    assert rehearsal.summary()["keys"] == 6

    old.restore()
    world = found()
    assert Submission.objects.filter(state="prepared").count() == 5
    tasks.tick()

    stop = Stop.objects.get()
    assert (stop.rail, stop.by) == ("", None)
    assert "Quarantine" in stop.reason
    assert Submission.objects.filter(state="prepared").count() == 0  # they may have been sent since
    assert Submission.objects.filter(state="accepted").count() == 6  # and the rail, which was asked, says so
    with pytest.raises(stops.Stopped):
        submissions.submit(batch, by=world.goto, at=db_now())
    stops.lift(stop, by=world.people.baba, at=db_now())
    with pytest.raises(stops.Stopped):
        submissions.submit(batch, by=world.goto, at=db_now())

    stops.lift(stop, by=world.people.aoki, at=db_now())
    done(settlement.settle(world.case, by=world.goto, at=db_now()))
    assert AssetReturn.objects.filter(state=ReturnState.SETTLED).count() == 12
    assert (rehearsal.summary()["keys"], rehearsal.summary()["paid_twice"]) == (6, [])
    tie_out.require(world.case)
    assert Event.objects.filter(kind="quarantine.entered").count() == 1


def test_what_the_rail_knows_and_we_do_not_is_listed_and_holds_its_returns_back(world, rehearsal, backup):  # noqa: F811
    first = world.exported(limit=2)
    sending.send_one(first, routes.rail("rehearsal"))
    old = backup()
    second = world.exported(limit=4)
    done(submissions.submit(second, by=world.goto, at=db_now()))

    old.restore()
    world = found()
    tasks.tick()

    known = quarantine.unknown_to_us(world.case)
    assert {line.part for line in known} == {f"{second.reference}/1", f"{second.reference}/2"}
    assert {line.problem for line in known} == {"no_attempt"}
    assert sum(line.amount for line in known if line.asset == "JPY") > 0
    lift_all(world)
    batch = world.drafted()
    assert batch.items == 6  # of ten that wait, four are paid as far as the rail knows
    assert AssetReturn.objects.filter(state=ReturnState.HELD, held_by_gate="evidence").count() == 4


def test_nothing_is_claimed_in_another_database_whoever_asks(world, backup):
    batch = world.exported()
    sending.send_one(batch, routes.rail("rehearsal"))
    old = backup()
    old.restore()

    other = pytest.raises(IntegrityError, match="submission_is_not_sent_from_another_database")
    with other, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM submission_claim(%s, 20, NULL)", [batch.pk])
    with pytest.raises(quarantine.NotAtHome):
        sending.send_one(batch, routes.rail("rehearsal"))
    assert Stop.objects.count() == 1
    with pytest.raises((quarantine.NotAtHome, stops.Stopped)):
        sending.send_one(batch, routes.rail("rehearsal"))
    assert Stop.objects.count() == 1  # one move, one quarantine


def test_lifting_the_stops_is_not_enough_before_the_rails_were_read(world, rehearsal, backup):  # noqa: F811
    batch = world.exported()
    sending.send_one(batch, routes.rail("rehearsal"))
    old = backup()
    old.restore()
    world = found()
    rehearsal.kill()
    tasks.tick()
    assert Home.objects.latest("pk").compared_at is None

    lift_all(world)
    with pytest.raises(quarantine.NotAtHome):
        sending.send_one(batch, routes.rail("rehearsal"))

    rehearsal.start("--refuse", "0", "--return", "0")
    tasks.tick()
    assert Home.objects.latest("pk").compared_at is not None
    lift_all(world)
    done(submissions.submit(batch, by=world.goto, at=db_now()))
    assert (rehearsal.summary()["keys"], rehearsal.summary()["paid_twice"]) == (6, [])


def test_a_head_that_speaks_of_more_events_than_there_are_means_quarantine(world):
    batch = world.exported()
    sending.send_one(batch, routes.rail("rehearsal"))
    assert not quarantine.look()
    heads.seal(world.case, at=db_now())
    with open(settings.HEAD_LOG_FILE) as log:
        head = json.loads(log.readlines()[-1])
    with open(settings.HEAD_LOG_FILE, "a") as log:
        log.write(json.dumps({**head, "size": str(int(head["size"]) + 7)}) + "\n")
    quarantine._looked.clear()  # as at the start of the server

    tasks.tick()

    assert "signed head" in Stop.objects.get().reason
    with pytest.raises((quarantine.NotAtHome, stops.Stopped)):
        sending.send_one(batch, routes.rail("rehearsal"))


def test_a_backup_from_before_anything_was_sent_is_found_out_by_its_heads(world):
    """It knows of no home yet: what left the house since is told by the head log alone."""
    batch = world.exported()
    assert not Home.objects.exists()
    heads.seal(world.case, at=db_now())
    with open(settings.HEAD_LOG_FILE) as log:
        head = json.loads(log.readlines()[-1])
    with open(settings.HEAD_LOG_FILE, "a") as log:
        log.write(json.dumps({**head, "size": str(int(head["size"]) + 7)}) + "\n")

    with pytest.raises(quarantine.NotAtHome):
        sending.send_one(batch, routes.rail("rehearsal"))
    for _n in range(2):  # other processes look too: one move, one quarantine
        quarantine._looked.clear()
        tasks.tick()

    assert Stop.objects.count() == 1
    assert Home.objects.get().previous == "unknown"
    assert not Submission.objects.filter(state="prepared").exists()


def test_in_its_own_database_nothing_is_stopped(world):
    batch = world.exported()
    sending.send_one(batch, routes.rail("rehearsal"))
    tasks.tick()
    tasks.tick()

    assert not Stop.objects.exists()
    assert Home.objects.get().previous == ""
    assert evidence.cursor_of(world.case, "rehearsal") == ""
    assert Attempt.objects.count() == 12
