"""Claims stay one per account; who is one person groups them, now or as a run froze it."""

import pytest
from django.db import IntegrityError

from administration.cases.models import Case
from administration.distribution import plans
from administration.distribution.models import Run
from administration.ledger import persons
from claims.register import groups
from claims.register.models import Claim
from tests.cast import NOON
from tests.distribution.conftest import PLAN


@pytest.fixture
def claims(scheduled: Case) -> list[Claim]:
    return list(Claim.objects.filter(case=scheduled).order_by("number"))


def test_a_person_is_one_group_and_everybody_else_one_each(scheduled, claims, goto):
    one, other, third = claims
    ids = [claim.pk for claim in claims]
    alone = groups.of(scheduled, ids)
    assert len(set(alone.values())) == 3

    person = persons.merge(
        scheduled, [one.claimant.identity, third.claimant.identity], reason="one passport", by=goto, at=NOON
    )

    grouped = groups.of(scheduled, ids)
    assert grouped == {one.pk: person.pk, third.pk: person.pk, other.pk: alone[other.pk]}
    assert groups.together(scheduled, [third.pk]) == {person.pk: [one.pk, third.pk]}
    assert groups.of(scheduled, [other.pk]) == {other.pk: alone[other.pk]}
    assert Claim.objects.filter(case=scheduled).count() == 3  # one per account, as before


def a_run(case: Case, goto: object, number: int) -> Run:
    """Its row as the room writes it; what it shares is another matter."""
    plan = plans.draft(case, PLAN.replace("In kind", f"In kind {number}"), by=goto, at=NOON)
    run = Run.objects.create(case=case, plan=plan, number=number, kind="interim", computed_by=goto)
    run.refresh_from_db()
    return run


def test_a_run_keeps_who_was_whom_when_it_began(scheduled, claims, goto, as_role):
    one, _other, third = (claim.claimant.identity for claim in claims)
    person = persons.merge(scheduled, [one, third], reason="one passport", by=goto, at=NOON)
    run = a_run(scheduled, goto, 1)

    persons.split(person, [third], reason="two passports", by=goto, at=NOON)
    later = a_run(scheduled, goto, 2)

    ids = [claim.pk for claim in claims]
    assert len(set(groups.of(scheduled, ids, as_of=run.grouping).values())) == 2
    assert len(set(groups.of(scheduled, ids, as_of=later.grouping).values())) == 3
    assert bytes(run.grouping.sha256) != bytes(later.grouping.sha256)
    for grouping in (later.grouping_id, None):
        with pytest.raises(IntegrityError, match="run_keeps_the_grouping_it_began_with"), as_role("henkan_owner") as cursor:
            cursor.execute("UPDATE distribution_run SET grouping_id = %s WHERE id = %s", [grouping, run.pk])


def test_nobody_chooses_the_grouping_of_a_run(scheduled, claims, goto):
    one, _other, third = (claim.claimant.identity for claim in claims)
    before = persons.freeze(scheduled)
    persons.merge(scheduled, [one, third], reason="one passport", by=goto, at=NOON)
    plan = plans.draft(scheduled, PLAN, by=goto, at=NOON)

    run = Run.objects.create(case=scheduled, plan=plan, number=1, kind="interim", computed_by=goto, grouping=before)

    run.refresh_from_db()
    assert run.grouping == persons.freeze(scheduled) != before
