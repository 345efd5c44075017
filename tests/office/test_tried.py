"""A look refuses what its press would refuse, by the act's own sentence; and a look that succeeds has done nothing."""

from administration.cases import stops
from administration.fields import db_now
from administration.record.models import Event
from tests.office.estate import _estate, aoki_at, estate, goto_at  # noqa: F401  fixtures


def test_what_the_press_would_refuse_is_refused_at_the_look(goto_at):  # noqa: F811
    world = goto_at.world
    world.scheduled()
    (row, *_others) = world.returns()
    before = Event.objects.count()

    declared = goto_at.see("runs/1/approve/").content.decode()
    assert "Only a computed run can be approved" in declared and 'value="do"' not in declared
    entered = goto_at.look(f"returns/{row.reference}/release/", rail="rehearsal", reason="it was looked at")
    assert entered.status_code == 409 and "No failure keeps" in entered.content.decode()
    assert "it was looked at" in entered.content.decode()  # what was entered stays in the form
    assert Event.objects.count() == before


def test_a_look_that_tried_its_act_left_nothing_of_it(goto_at, aoki_at):  # noqa: F811
    world = goto_at.world
    stop = stops.stop(world.case, rail="rehearsal", reason="the bank asks", by=world.goto, at=db_now())
    before = Event.objects.count()

    assert 'value="do"' not in goto_at.see(f"stops/{stop.pk}/resume/").content.decode()  # who prepares does not resume
    for _twice in range(2):
        assert "Resume sending" in aoki_at.see(f"stops/{stop.pk}/resume/").content.decode()
    assert not stop.lifts.exists() and Event.objects.count() == before
    aoki_at.do(f"stops/{stop.pk}/resume/")
    assert [lift.by for lift in stop.lifts.all()] == [world.people.aoki]
