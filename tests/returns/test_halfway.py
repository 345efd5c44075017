"""A batch whose export stopped half-way is ended: it goes on, or it is given up whole, and nothing of it ever leaves."""

import pytest
from django.db import IntegrityError, InternalError, ProgrammingError, connection, transaction

from administration.cases import approvals, succession
from administration.cases.appointments import NotEmpowered
from administration.fields import db_now
from administration.rails.rehearsal import Rehearsal
from administration.returns import batches, halfway, sending, settlement, submissions
from administration.returns.models import AssetReturn, Attempt, Batch, ConflictKey, Submission
from administration.work import jobs
from administration.work.jobs import JobFailed
from claims.register import tie_out
from claims.register.models import Position
from tests.returns.test_sending import succeed
from tests.returns.world import build, done

REFUSED = (IntegrityError, InternalError, ProgrammingError)


@pytest.fixture
def half(world, monkeypatch):
    """Two of four parts are made, then the worker is killed."""
    monkeypatch.setattr(Rehearsal, "max_items", 3)
    monkeypatch.setattr(submissions, "CHUNK", 6)
    monkeypatch.setattr(sending, "HELPERS", 0)
    batch = world.approved()
    job = submissions.export(batch, by=world.goto, at=db_now())
    one_chunk(job)
    assert batch.submissions.count() == 2
    return batch, job


def one_chunk(job):
    """What a worker does before it is killed: one chunk, committed with its cursor."""
    taken = jobs._take(job.pk)
    jobs._chunk(taken)
    jobs._let_go(taken)


def void(world, batch, by=None):
    return halfway.void(batch, reason="the rail is another version", by=by or world.goto, at=db_now())


def test_a_half_exported_batch_is_given_up_whole_and_its_returns_go_out_in_another(world, half):
    batch, job = half

    void(world, batch)

    batch.refresh_from_db()
    assert batch.state == "voided"
    assert set(Submission.objects.values_list("state", flat=True)) == {"dead"}
    assert set(Attempt.objects.values_list("state", "holds_return_id")) == {("dead", None)}
    assert set(AssetReturn.objects.values_list("state", "batch")) == {("scheduled", None)}
    assert not ConflictKey.objects.filter(released_at=None).exists()
    assert not Position.objects.exclude(in_flight=0).exists()
    with pytest.raises(JobFailed, match="became voided"):
        done(job)
    tie_out.require(world.case)
    again = world.exported()
    assert (again.items, again.submissions.count()) == (12, 4)
    done(settlement.settle(world.case, by=world.goto, at=db_now()))
    world.proves()


def test_a_rail_that_became_another_version_makes_no_further_part_and_the_batch_can_be_voided(world, half, monkeypatch):
    batch, job = half
    monkeypatch.setattr(Rehearsal, "version", "2")

    with pytest.raises(JobFailed, match="Void it and freeze again"):
        done(job)
    with pytest.raises(submissions.NotExported, match="Void it and freeze again"):
        submissions.export(batch, by=world.goto, at=db_now())
    assert batch.submissions.count() == 2
    assert void(world, batch).state == "voided"
    assert world.exported().rail_version == "2"


def test_an_export_that_can_go_on_goes_on(world, half):
    batch, job = half
    done(job)
    assert batch.submissions.count() == 4
    batch.refresh_from_db()
    with pytest.raises(batches.NotVoided):
        void(world, batch)


def test_only_who_may_make_batches_gives_one_up_and_only_a_half_exported_one(world, half):
    batch, _job = half
    with pytest.raises(NotEmpowered):
        void(world, batch, by=world.people.fujii)
    void(world, batch)
    with pytest.raises(batches.NotVoided, match="is voided"):
        void(world, batch)
    frozen = world.frozen()
    with pytest.raises(batches.NotVoided, match="is frozen"):
        void(world, frozen)


def test_the_database_voids_nothing_of_which_a_part_may_still_go(world, half):
    batch, _job = half
    for act in (
        lambda: Batch.objects.filter(pk=batch.pk).update(state="voided"),
        lambda: by_the_application("UPDATE returns_batch SET state = 'voided' WHERE id = %s", batch.pk),
    ):
        with pytest.raises(REFUSED, match="batch_is_voided_before_anything_leaves"), transaction.atomic():
            act()
    with pytest.raises(REFUSED, match="return_agrees_with_its_attempt_and_batch"), transaction.atomic():
        AssetReturn.objects.filter(attempts=None).update(state="scheduled", batch=None, part=None)
    batch.refresh_from_db()
    assert batch.state == "approved"


def test_the_database_voids_nothing_of_which_a_part_was_ever_outside(world, half, as_superuser):
    batch, _job = half
    parts = list(batch.submissions.values_list("pk", flat=True))
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_submission SET state = 'dead', sent_at = now() WHERE id = ANY (%s)", [parts])
        cursor.execute("UPDATE returns_attempt SET state = 'dead', holds_return_id = NULL")
    with pytest.raises(REFUSED, match="batch_is_voided_before_anything_leaves"), transaction.atomic():
        Batch.objects.filter(pk=batch.pk).update(state="voided")


def by_the_application(sql, *params):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE henkan_app")
        cursor.execute(sql, params)


def test_a_successor_who_does_not_want_a_half_exported_batch_ends_it(committed, as_superuser, monkeypatch, tmp_path, settings):
    settings.ARCHIVE_DIR = str(tmp_path / "archive")
    world = build(as_superuser)
    monkeypatch.setattr(Rehearsal, "max_items", 3)
    monkeypatch.setattr(submissions, "CHUNK", 6)
    batch = world.approved()
    job = submissions.export(batch, by=world.goto, at=db_now())
    one_chunk(job)
    hara = succeed(world)
    succession.accept(world.case, by=hara, at=db_now(), reservations="a batch was half exported")
    with pytest.raises(JobFailed):
        done(job)
    asked = succession.resume(world.case, "returns.batch", batch.pk, by=world.goto, at=db_now())

    approvals.reject(asked, by=hara, at=db_now(), reason="I look at everything anew")

    batch.refresh_from_db()
    assert batch.state == "voided"
    assert set(AssetReturn.objects.values_list("state", "batch")) == {("scheduled", None)}
    tie_out.require(world.case)
    world.proves()
