"""Who is one person: decided with a reason, reversible, frozen for a run; and what the database refuses of it."""

import json
from dataclasses import replace

import pytest
from django.db import DatabaseError, IntegrityError, connection

from administration.cases.appointments import NotEmpowered
from administration.ledger import persons
from administration.ledger.models import Aggregation, Grouping, PairDecision, Person, PersonLink
from administration.record.models import Event
from tests.cast import NOON, open_sample_case
from tests.ledger.nayose import SHOTA, accepted_ledger_of, aggregate, who_is_whom

AGAIN = replace(SHOTA, email="")
UNDATED = replace(SHOTA, born=None)
OTHER = replace(SHOTA, person=2, name="伊藤 花", kana="イトウ ハナ", phone="+817011112222", email="hana@example.com", address="大阪市北区梅田9-8-7")


@pytest.fixture
def customers(case, goto):
    """Two whom a machine would link, one without a date, and somebody else."""
    return accepted_ledger_of(case, [SHOTA, AGAIN, UNDATED, OTHER], by=goto)


def body(kind):
    return json.loads(Event.objects.filter(kind=kind).latest("number").body)


def test_customers_are_made_one_person_and_taken_apart_again_with_a_reason(case, customers, goto):
    one, again, undated, other = customers

    person = persons.merge(case, [one, undated], reason="one passport", by=goto, at=NOON)
    persons.merge(case, [undated, again], reason="one passport, three accounts", by=goto, at=NOON)
    assert who_is_whom(case) == {"K00000001": 1, "K00000002": 1, "K00000003": 1}
    assert body("persons.merged")["customers"] == ["K00000001", "K00000002", "K00000003"]

    made = persons.split(person, [undated], reason="two birth certificates", by=goto, at=NOON)
    assert who_is_whom(case) == {"K00000001": 1, "K00000002": 1, "K00000003": 2}
    assert body("persons.split")["stay"] == ["K00000001", "K00000002"]

    with pytest.raises(persons.NotMerged, match="two birth certificates"):
        persons.merge(case, [made.links.get().identity, one], reason="after all", by=goto, at=NOON)
    persons.merge(case, [undated, one], reason="the certificate was a forgery", by=goto, at=NOON, overrule=True)

    assert set(who_is_whom(case).values()) == {1}
    assert PersonLink.objects.filter(identity=undated).count() == 3  # nothing was edited
    assert sorted(body("persons.merged")["overruled"]) == [["K00000001", "K00000003"], ["K00000002", "K00000003"]]
    assert other.customer_ref not in who_is_whom(case)


def test_two_are_decided_to_be_the_same_or_not(case, customers, goto):
    one, again, _undated, other = customers

    persons.keep_apart(one, other, reason="another sex", by=goto, at=NOON)
    assert [found.decision.reason for found in persons.conflicts([one.pk, other.pk])] == ["another sex"]
    person = persons.same(other, one, reason="the sex was a slip", by=goto, at=NOON)  # the newest decision counts
    assert persons.conflicts([one.pk, other.pk]) == []
    persons.same(one, other, reason="seen once more", by=goto, at=NOON)

    assert who_is_whom(case) == {"K00000001": 1, "K00000004": 1}
    assert body("persons.confirmed")["person"] == str(person.number)
    with pytest.raises(persons.NotDecided, match="Take one of them out"):
        persons.keep_apart(one, other, reason="no", by=goto, at=NOON)
    assert persons.decision(other.pk, one.pk).same
    assert persons.decision(again.pk, one.pk) is None


def test_what_cannot_be_decided_is_refused_with_a_sentence(case, customers, goto, fujii):
    one, again, undated, _other = customers
    elsewhere = open_sample_case("T-2")
    with pytest.raises(NotEmpowered):
        persons.merge(case, [one, again], reason="x", by=fujii, at=NOON)
    for reason, chosen, sentence in (
        (" ", [one, again], "Say why"),
        ("x", [one], "two customers"),
        ("x", [one, one], "two customers"),
    ):
        with pytest.raises(persons.NotMerged, match=sentence):
            persons.merge(case, chosen, reason=reason, by=goto, at=NOON)
    with pytest.raises(persons.NotDecided, match="Choose two"):
        persons.same(one, one, reason="x", by=goto, at=NOON)
    person = persons.merge(case, [one, again], reason="x", by=goto, at=NOON)
    with pytest.raises(persons.NotMerged, match="one person already"):
        persons.merge(case, [one, again], reason="x", by=goto, at=NOON)
    for leaving in ([undated], [one, again], []):
        with pytest.raises(persons.NotSplit, match="leave at least one"):
            persons.split(person, leaving, reason="x", by=goto, at=NOON)
    with pytest.raises(NotEmpowered):
        persons.merge(elsewhere, [one, again], reason="x", by=goto, at=NOON)


# --- frozen -----------------------------------------------------------------------------------


def test_a_frozen_grouping_says_for_ever_who_was_whom(case, customers, goto):
    one, again, undated, _other = customers
    nobody = persons.freeze(case)
    assert (nobody.as_of, nobody.persons, nobody.customers) == (0, 0, 0)
    person = persons.merge(case, [one, again], reason="x", by=goto, at=NOON)

    frozen = persons.freeze(case)
    assert persons.freeze(case) == frozen
    persons.split(person, [again], reason="y", by=goto, at=NOON)
    persons.merge(case, [one, undated], reason="z", by=goto, at=NOON)

    assert (frozen.persons, frozen.customers) == (1, 2)
    assert persons.current(case, [one.pk, again.pk], as_of=frozen) == {one.pk: person.pk, again.pk: person.pk}
    assert persons.current(case, [one.pk], as_of=nobody) == {}
    assert persons.current(case, [again.pk]) != persons.current(case, [again.pk], as_of=frozen)
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_grouping_sha256(%s, %s)", [case.pk, frozen.as_of])
        assert bytes(cursor.fetchone()[0]) == bytes(frozen.sha256)
    assert bytes(persons.freeze(case).sha256) != bytes(frozen.sha256)


# --- what the database refuses ----------------------------------------------------------------

LINK = """
INSERT INTO ledger_personlink (case_id, identity_id, person_id, follows_id, level, aggregation_id, reason, by_id, at)
VALUES (%(case)s, %(identity)s, %(person)s, %(follows)s, %(level)s, %(run)s, %(reason)s, %(by)s, now())
"""


@pytest.fixture
def link(case, customers, goto, as_role):
    """Call it: a link as the application would write it past its acts. The first two customers are person 1, by a run."""
    run = aggregate(case, by=goto)
    assert who_is_whom(case) == {"K00000001": 1, "K00000002": 1}
    person = Person.objects.get()
    plain = {"case": case.pk, "identity": customers[2].pk, "person": person.pk, "follows": None, "reason": "", "by": None}

    def write(**changed):
        with as_role("henkan_app") as cursor:
            cursor.execute(LINK, plain | {"level": "exact", "run": run.pk} | changed)

    return write


def decided(goto, **more):
    return {"level": "decided", "run": None, "reason": "x", "by": goto.pk} | more


def test_no_machine_links_without_the_same_date(case, customers, goto, link, assets, db):
    with pytest.raises(IntegrityError, match="no_machine_links_without_the_same_birth_or_founding_date"):
        link()  # no date
    persons.merge(case, [customers[0], customers[2]], reason="x", by=goto, at=NOON)
    with pytest.raises(IntegrityError, match="no_machine_links_without_the_same_birth_or_founding_date"):
        link(identity=customers[3].pk)  # its own date is known, and that of somebody who is this person is not
    other = persons._new_person(case, NOON)
    link(identity=customers[3].pk, person=other.pk)  # alone, and dated
    assert PersonLink.objects.filter(person=other).count() == 1


def test_no_machine_links_whom_a_person_kept_apart(case, customers, goto, link):
    PairDecision.objects.create(case=case, one=customers[0], other=customers[3], same=False, reason="x", by=goto, at=NOON)
    with pytest.raises(IntegrityError, match="no_machine_links_whom_a_person_kept_apart"):
        link(identity=customers[3].pk)
    PairDecision.objects.create(case=case, one=customers[0], other=customers[3], same=True, reason="x", by=goto, at=NOON)
    link(identity=customers[3].pk)


def test_one_link_of_a_customer_counts(case, customers, goto, link):
    first = PersonLink.objects.get(identity=customers[0])
    person = persons._new_person(case, NOON).pk
    for changed, message in (
        ({"identity": customers[0].pk}, "customer_has_one_first_link"),
        (decided(goto, identity=customers[0].pk), "customer_has_one_first_link"),
        (decided(goto, identity=customers[1].pk, follows=first.pk, person=person), "link_is_of_its_case_and_follows"),
        (decided(goto, identity=customers[0].pk, follows=first.pk), "link_is_of_its_case_and_follows"),  # changes nothing
        ({"identity": customers[0].pk, "follows": first.pk, "person": person}, "link_is_sure_and_first_or_decided"),
        (decided(goto, reason=""), "link_is_sure_and_first_or_decided"),
        ({"level": "review"}, "link_is_sure_and_first_or_decided"),
        ({"level": "decided", "reason": "x"}, "link_is_sure_and_first_or_decided"),
        (decided(goto, level="exact"), "link_is_sure_and_first_or_decided"),
    ):
        with pytest.raises(IntegrityError, match=message):
            link(**changed)
    link(**decided(goto, identity=customers[0].pk, follows=first.pk, person=person))
    with pytest.raises(IntegrityError, match="follows_id"):
        link(**decided(goto, identity=customers[0].pk, follows=first.pk, person=person))


def test_links_stay_in_their_case(customers, goto, link):
    elsewhere = open_sample_case("T-2")
    with pytest.raises(IntegrityError, match="link_is_of_its_case"):
        link(**decided(goto, case=elsewhere.pk))
    with pytest.raises(IntegrityError, match="link_is_of_its_case"):
        link(**decided(goto, person=persons._new_person(elsewhere, NOON).pk))
    with pytest.raises(IntegrityError, match="pair_decision_is_of_its_case"):
        PairDecision.objects.create(
            case=elsewhere, one=customers[0], other=customers[1], same=False, reason="x", by=goto, at=NOON
        )


def test_a_frozen_grouping_gains_no_link(case, customers, goto, link, as_role):
    persons.freeze(case)
    with connection.cursor() as cursor:  # numbers are not given out in the order in which transactions end
        cursor.execute("SELECT as_of FROM ledger_grouping")
        (as_of,) = cursor.fetchone()
    with pytest.raises(DatabaseError, match="frozen_grouping_gains_no_link"), as_role("henkan_app") as cursor:
        cursor.execute(LINK.replace("(case_id", "(id, case_id").replace("(%(case)s", f"({as_of - 9}, %(case)s"), {
            "case": case.pk, "identity": customers[2].pk, "person": Person.objects.get().pk, "follows": None,
            **decided(goto),
        })  # fmt: skip
    with pytest.raises(DatabaseError, match="permission denied"), as_role("henkan_app") as cursor:
        cursor.execute("INSERT INTO ledger_grouping (case_id, as_of, persons, customers, sha256, at) VALUES (1, 9, 0, 0, '', now())")


@pytest.mark.parametrize("table", ["person", "personlink", "personpair", "pairdecision", "grouping"])
def test_what_was_said_of_persons_is_never_edited(customers, table, as_owner, as_role):
    for statement in (f"UPDATE ledger_{table} SET id = id", f"DELETE FROM ledger_{table}", f"TRUNCATE ledger_{table} CASCADE"):
        with pytest.raises(DatabaseError, match="append only"), as_owner() as cursor:
            cursor.execute(statement)
        with pytest.raises(DatabaseError, match="permission denied"), as_role("henkan_app") as cursor:
            cursor.execute(statement)


def test_a_run_proposes_while_it_runs_over_an_accepted_ledger_and_stands_as_it_ended(case, customers, goto, link, as_role):
    run = Aggregation.objects.get()
    pair = """INSERT INTO ledger_personpair (aggregation_id, one_id, other_id, level, score, place, agrees, against, automatic)
              VALUES (%s, %s, %s, %s, 1, 99, '', '', true)"""
    with pytest.raises(IntegrityError, match="pairs_come_from_a_run_while_it_runs"), as_role("henkan_app") as cursor:
        cursor.execute(pair, [run.pk, customers[0].pk, customers[3].pk, "exact"])
    for changed in ("state = 'running'", "linked = 9", "rules = 'nayose/0'"):
        with pytest.raises(IntegrityError, match="aggregation_stands_as_it_ended"), as_role("henkan_app") as cursor:
            cursor.execute(f"UPDATE ledger_aggregation SET {changed}")
    with pytest.raises(DatabaseError, match="append only"), as_role("henkan_owner") as cursor:
        cursor.execute("DELETE FROM ledger_aggregation")
    second = Aggregation.objects.create(case=case, number=2, rules="x", started_by=goto, started_at=NOON)
    with pytest.raises(IntegrityError, match="only_sure_pairs_are_automatic"), as_role("henkan_app") as cursor:
        cursor.execute(pair, [second.pk, customers[0].pk, customers[3].pk, "review"])
    with pytest.raises(IntegrityError, match="one_aggregation_of_a_case_runs_at_a_time"), as_role("henkan_app") as cursor:
        cursor.execute("INSERT INTO ledger_aggregation (case_id, number, rules, state, started_by_id, started_at, customers, pairs, linked, crowded) SELECT case_id, 3, rules, 'running', started_by_id, now(), 0, 0, 0, 0 FROM ledger_aggregation LIMIT 1")
    elsewhere = open_sample_case("T-2")
    with pytest.raises(IntegrityError, match="names_are_aggregated_over_an_accepted_ledger"):
        Aggregation.objects.create(case=elsewhere, number=1, rules="x", started_by=goto, started_at=NOON)


def test_a_frozen_grouping_is_bound_to_its_case(case, customers):
    assert persons.freeze(case).case_id == case.pk
    assert Grouping.objects.count() == 1
