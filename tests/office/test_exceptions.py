"""What waits for a person can be given to one: on its page, by those who may, to somebody in office; the record keeps who had it."""

import pytest
from django.db import IntegrityError, InternalError, ProgrammingError, connection, transaction

from administration.fields import db_now
from administration.record.models import Event
from administration.returns import owners
from administration.returns.models import Assignment
from tests.office.estate import NO_ANSWER, _estate, aoki_at, estate, goto_at, sent  # noqa: F401

REFUSED = (IntegrityError, InternalError, ProgrammingError)
RAW = "INSERT INTO returns_assignment (case_id, matter, thing, owner_id, by_id, at) VALUES (%s, %s, %s, %s, %s, now())"


def test_a_part_in_doubt_is_given_to_a_person_and_then_to_another(goto_at, aoki_at):  # noqa: F811
    part = sent(goto_at.world.exported(), NO_ANSWER)
    address = f"exceptions/part/{part.rail_key}/assign/"
    assert goto_at.at(address) in goto_at.see("exceptions/").content.decode()

    goto_at.do(address, owner="aoki")
    aoki_at.do(address, owner="goto")

    assert list(Assignment.objects.order_by("pk").values_list("thing", "owner__username", "by__username")) == [
        (part.rail_key, "aoki", "goto"), (part.rail_key, "goto", "aoki")
    ]  # fmt: skip
    assert owners.of(goto_at.world.case, at=db_now()) == {("part", part.rail_key): goto_at.user}
    told = Event.objects.filter(kind="exception.assigned").order_by("number")
    assert [event.subject_id for event in told] == [part.rail_key] * 2


def test_the_queue_names_the_person(goto_at):  # noqa: F811
    part = sent(goto_at.world.exported(), NO_ANSWER)
    aoki = goto_at.world.people.aoki
    owners.assign(goto_at.world.case, "part", part.rail_key, owner=aoki, by=goto_at.user, at=db_now())

    kinds = goto_at.see("exceptions/").context["kinds"]

    [waiting] = next(found for key, _heading, found in kinds if key == "unknown")
    assert waiting.owner == (aoki.first_name or "aoki")


def test_only_somebody_in_office_who_may_act_is_named_and_only_for_what_is_there(goto_at):  # noqa: F811
    world = goto_at.world
    part = sent(world.exported(), NO_ANSWER)

    for owner in (world.people.chiba, world.people.fujii):  # the auditor, and nobody of this case
        with pytest.raises(owners.NotAssigned, match="may not act on it"):
            owners.assign(world.case, "part", part.rail_key, owner=owner, by=world.goto, at=db_now())
    for matter, thing in (("part", "no such part"), ("line", "7777777"), ("line", "x"), ("return", "R1"), ("overpayment", "x"), ("gate", "")):
        with pytest.raises(owners.NotAssigned, match="nothing called"):
            owners.assign(world.case, matter, thing, owner=world.goto, by=world.goto, at=db_now())
    assert goto_at.see("exceptions/part/no-such-part/assign/").status_code == 404
    assert not Assignment.objects.exists()


def test_the_database_refuses_the_same_and_changes_none(goto_at):  # noqa: F811
    world = goto_at.world
    part = sent(world.exported(), NO_ANSWER)
    case, goto, chiba = world.case.pk, world.goto.pk, world.people.chiba.pk
    owners.assign(world.case, "part", part.rail_key, owner=world.goto, by=world.goto, at=db_now())

    for promise, sql, params in (
        ("assignment_is_of_a_thing_of_its_case", RAW, [case, "part", "another", goto, goto]),
        ("assignment_is_of_a_thing_of_its_case", RAW, [case, "case", "1", goto, goto]),
        ("assignment_is_to_somebody_who_may_act", RAW, [case, "part", part.rail_key, chiba, goto]),
        ("permission denied", "UPDATE returns_assignment SET owner_id = %s", [chiba]),
        ("permission denied", "DELETE FROM returns_assignment", []),
    ):
        with pytest.raises(REFUSED, match=promise):
            by_the_application(sql, params)


def by_the_application(sql, params):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE henkan_app")
        cursor.execute(sql, params)
