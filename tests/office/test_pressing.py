"""Many press the same button at once: it is done once, everybody else reads a sentence, and nobody a stack trace."""

import pytest
from django.db import connection

from administration.cases import securing
from administration.cases.models import SecuringItem
from administration.record.models import Event
from administration.returns.models import AssetReturn, ReturnState
from tests.at_once import at_once
from tests.cast import gather, open_sample_case
from tests.office.pressing import look, paper, press, shown
from tests.office.test_pages import signed_in
from tests.returns.world import build

TIMES = 50


@pytest.fixture
def pressed_case(committed):
    case = open_sample_case()
    people = gather(case)
    securing.list_items(case)
    return case, people


def answers(results):
    """Status of each press; an exception is a failure of the test."""
    for one in results:
        assert not isinstance(one, Exception), one
    return sorted(one.status_code for one in results)


def test_fifty_presses_of_one_shown_effect_do_it_once(pressed_case):
    case, people = pressed_case
    address = f"/admin/case/{case.reference}/securing/keys/"
    first = signed_in(people.goto)
    send = shown(look(first, address, owner=str(people.goto.pk), evidence=paper()))
    sessions = [signed_in(people.goto) for _n in range(TIMES)]

    results = at_once(*(lambda client=client: client.post(address, send) for client in sessions))

    assert SecuringItem.objects.filter(case=case, done_at__isnull=False).count() == 1
    assert Event.objects.filter(kind="securing.done").count() == 1
    statuses = answers(results)
    assert statuses.count(500) == 0 and set(statuses) <= {302, 409}
    done = [one for one in results if one.status_code == 302]
    assert done and {one["Location"] for one in done} == {f"/admin/case/{case.reference}/securing/"}
    for one in results:
        if one.status_code == 409:
            assert one.context.get("refusal") or one.context.get("sentence") or one.context.get("changed") is not None


def test_fifty_people_who_each_looked_do_it_once(pressed_case):
    case, people = pressed_case
    address = f"/admin/case/{case.reference}/securing/image/"
    sessions = [signed_in(people.goto) for _n in range(TIMES)]
    sends = [shown(look(client, address, owner=str(people.goto.pk), evidence=paper())) for client in sessions]

    results = at_once(*(lambda pair=pair: pair[0].post(address, pair[1]) for pair in zip(sessions, sends, strict=True)))

    statuses = answers(results)
    assert statuses == [302] + [409] * (TIMES - 1)
    assert Event.objects.filter(kind="securing.done").count() == 1
    sentences = [one.context["refusal"] for one in results if one.status_code == 409]
    assert all("is done already and stays as it is" in sentence for sentence in sentences)


def test_a_replayed_press_changes_nothing(pressed_case):
    case, people = pressed_case
    client, address = signed_in(people.goto), f"/admin/case/{case.reference}/securing/email/"
    send = shown(look(client, address, owner=str(people.goto.pk), evidence=paper()))
    assert client.post(address, send).status_code == 302
    events = Event.objects.count()

    again = client.post(address, send)

    assert again.status_code == 302 and Event.objects.count() == events
    stolen = signed_in(people.aoki).post(address, send)  # somebody else's effect, with somebody else's paper
    assert stolen.status_code in (400, 409) and Event.objects.count() == events
    assert press(client, address, owner=str(people.goto.pk), evidence=paper()).status_code == 409
    connection.close()


def test_two_administrators_press_fifty_times_at_once_and_a_batch_is_voided_once(committed, as_superuser):
    world = build(as_superuser)
    world.scheduled()
    batch = world.frozen()
    people = [signed_in(user) for user in (world.people.aoki, world.goto)]
    sessions = [people[n % 2] for n in range(TIMES)]
    for path, entered, kind in (
        (f"batches/{batch.reference}/void/", {"reason": "made anew"}, "batch.voided"),
    ):
        address = f"/admin/case/{world.case.reference}/{path}"
        presses = [(client, address, shown(look(client, address, **entered))) for client in sessions]
        results = at_once(*(lambda press=press: press[0].post(*press[1:]) for press in presses))

        assert answers(results) == [302] + [409] * (TIMES - 1), kind
        assert Event.objects.filter(kind=kind).count() == 1
        for one in results:
            if one.status_code == 409:
                said = one.context.get("refusal") or one.context.get("sentence") or one.context.get("changed") is not None
                assert said, kind
    assert not AssetReturn.objects.exclude(state=ReturnState.SCHEDULED).exists()


def test_whom_the_database_lets_wait_for_good_reads_a_sentence_and_did_nothing(pressed_case, monkeypatch):
    """Two acts that lock the same rows in two orders: the database ends one of them. That is no fault of the house."""
    case, people = pressed_case
    client, address = signed_in(people.goto), f"/admin/case/{case.reference}/securing/keys/"
    send = shown(look(client, address, owner=str(people.goto.pk), evidence=paper()))

    def ended(*_arguments, **_more):
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END $$")

    with monkeypatch.context() as circle:
        circle.setattr(securing, "do", ended)
        answer = client.post(address, send)

    assert answer.status_code == 409 and "Nothing of yours was done" in answer.context["sentence"]
    assert not SecuringItem.objects.filter(case=case, done_at__isnull=False).exists()
    assert press(client, address, owner=str(people.goto.pk), evidence=paper()).status_code == 302
