"""What is looked at once more before anything leaves the house, and whose evidence a line of a shared rail is."""

import datetime

import pytest

from administration.fields import db_now
from administration.rails.interface import Observation, ObservationKind
from administration.rails.rehearsal import Rehearsal, RehearsalR2
from administration.record import covers
from administration.returns import cancelling, evidence, rounds, routes, sending, submissions
from administration.returns.models import Cancellation, EvidenceLine, Submission
from administration.work.jobs import JobFailed
from claims.register import holds
from tests.cast import open_sample_case
from tests.returns.test_doubt import answers, exported, long_ago
from tests.returns.test_zengin_way import banks, frozen, house  # noqa: F401
from tests.returns.world import done

NEXT_LOOK = datetime.date(2099, 1, 1)


@pytest.fixture
def file(world, house):  # noqa: F811
    """A bank file, signed and not exported yet."""
    banks(world)
    return world.approve(frozen(world))


def test_what_was_held_after_the_export_is_not_carried_out(world, file):
    done(submissions.export(file, by=world.goto, at=db_now()))
    claim = file.returns.first().claim_line.claim
    holds.place(claim, "attachment", reason="two orders", next_look=NEXT_LOOK, by=world.goto, at=db_now())

    with pytest.raises(submissions.NotSent, match="since its export a gate has closed on R"):
        submissions.carry_out(file, by=world.goto, at=db_now())
    assert set(file.submissions.values_list("state", flat=True)) == {"prepared"}
    assert submissions.decline(file, reason="a hold", by=world.goto, at=db_now()) == file.items


def test_a_file_is_not_made_for_a_rail_that_changed_while_its_export_waited(world, file, as_superuser):
    job = submissions.export(file, by=world.goto, at=db_now())
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_batch SET rail_version = 'another'")

    with pytest.raises(JobFailed, match="was frozen for version another"):
        done(job)
    assert not file.submissions.exists()


def test_a_rail_is_asked_about_what_rests_only_when_nothing_new_is_left_to_send(world, monkeypatch, as_superuser):
    monkeypatch.setattr(RehearsalR2, "max_items", 2)
    batch = exported(world, "rehearsal-r2")
    rail = routes.rail("rehearsal-r2")
    answers(monkeypatch, RehearsalR2, sending.Unknown("timeout"))
    sending.send_one(batch, rail)
    long_ago(as_superuser)
    asked = []
    monkeypatch.setattr(evidence, "observe_now", lambda case, code: asked.append(code))

    while batch.submissions.filter(state="prepared").exists():
        assert sending.take(batch, rail) is not None
    assert not asked

    assert sending.take(batch, rail) is not None
    assert asked == ["rehearsal-r2"]


def test_a_line_about_the_part_of_another_case_is_no_evidence_of_this_one(world, monkeypatch):
    """References are a case's own: R0000000018 may stand in several, and one rail may carry them all."""
    part = Submission.objects.filter(batch=world.exported()).first().rail_key
    seen = Observation(
        line_ref="1", kind=ObservationKind.SETTLED, asset="BTC", amount=1, at=db_now(), reference="R0000000018", part=part, raw="{}"
    )
    pages = {"": ((seen,), "1"), "1": ((), "1")}
    monkeypatch.setattr(Rehearsal, "observe", lambda self, cursor: pages[cursor])
    other = open_sample_case("T-2")

    assert evidence.observe_now(other, "rehearsal") == 0
    assert not EvidenceLine.objects.filter(case=other).exists()
    assert evidence.take_page(world.case, "rehearsal", "") == (1, "1")


def test_a_round_stays_taken_back_where_its_new_plan_is_refused(world, monkeypatch):
    current = world.scheduled()
    job = cancelling.cancel(current, reason="x", by=world.goto, at=db_now(), anew={"rails": {"*": "rehearsal"}})
    inner = rounds.schedule

    def refuse(*_arguments, **_more):
        raise rounds.NotScheduled("Not now.")

    monkeypatch.setattr(rounds, "schedule", refuse)
    with pytest.raises(JobFailed, match="Not now"):
        done(job)

    assert set(current.returns.values_list("state", flat=True)) == {"cancelled"}
    assert Cancellation.objects.get().done_at is not None
    done(inner(world.case, world.run, by=world.goto, at=db_now()))
    assert world.case.rounds.latest("number").returns.count() == current.returns.count()


def test_taking_a_round_back_goes_on_after_it_failed_even_where_nothing_waits_any_more(world, monkeypatch):
    current = world.scheduled()
    monkeypatch.setattr(cancelling, "CHUNK", current.returns.count())
    inner = covers.cover

    def refuse(*_arguments, **_more):
        raise cancelling.NotCancelled("The disk was full.")

    monkeypatch.setattr(covers, "cover", refuse)
    with pytest.raises(JobFailed, match="disk"):
        done(cancelling.cancel(current, reason="x", by=world.goto, at=db_now()))
    assert set(current.returns.values_list("state", flat=True)) == {"cancelled"}

    monkeypatch.setattr(covers, "cover", inner)
    done(cancelling.cancel(current, reason="again", by=world.goto, at=db_now()))
    assert Cancellation.objects.get().done_at is not None
