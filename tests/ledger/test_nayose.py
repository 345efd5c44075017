"""A run of the name aggregation: what it finds, what it links by itself, and that it survives whoever does it."""

import json
from dataclasses import replace

import pytest
from django.db import connection

from administration.cases.appointments import NotEmpowered
from administration.ledger import nayose, persons
from administration.ledger.models import Aggregation, Person, PersonLink, PersonPair
from administration.office.benchmarks import nayose as benchmark
from administration.office.sample.doubles import Invented
from administration.record import verify
from administration.record.models import Event
from administration.work import jobs
from administration.work.models import Job
from tests.cast import NOON
from tests.ledger.helpers import work
from tests.ledger.nayose import SHOTA, accepted_ledger_of, aggregate, past_the_triggers, who_is_whom

CUSTOMERS = 2_000
AGAIN = replace(SHOTA, name="髙﨑翔太", kana="ﾀｶｻｷ ｼﾖｳﾀ", phone="090-1234-5678", email="")
UNDATED = replace(SHOTA, born=None)
STRANGER = replace(
    SHOTA, person=2, phone="+817011112222", email="other@example.com", postcode="530-0001", address="大阪府大阪市北区梅田9-8-7"
)


def known(case) -> tuple[int, int, int, int, int]:
    """True pairs; of them proposed; pairs of strangers proposed; automatic without a date; persons merged wrongly."""
    with connection.cursor() as cursor:
        cursor.execute(benchmark.KNOWN)
        (pairs,) = cursor.fetchone()
        cursor.execute(benchmark.PROPOSED, [case.pk])
        proposed, strangers, undated = cursor.fetchone()
        cursor.execute(benchmark.MERGED, [case.pk])
        (wrong,) = cursor.fetchone()
    return int(pairs), proposed, strangers, undated, wrong


def pairs_of(run: Aggregation) -> list[tuple]:
    return list(
        PersonPair.objects.filter(aggregation=run).order_by("place")
        .values_list("place", "one__customer_ref", "other__customer_ref", "level", "score", "agrees", "against", "automatic")
    )  # fmt: skip


def workshop() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM ledger_folded) + (SELECT count(*) FROM ledger_filed)")
        return cursor.fetchone()[0]


def test_known_doubles_are_found_nobody_is_merged_wrongly_and_no_date_is_guessed(case, goto):
    accepted_ledger_of(case, Invented(3).customers(CUSTOMERS), by=goto)

    run = aggregate(case, by=goto)

    pairs, proposed, strangers, undated, wrong = known(case)
    assert pairs > 80
    assert proposed >= benchmark.RECALL * pairs
    assert (undated, wrong) == (0, 0)
    assert strangers < 2 * pairs  # what a person has to look at stays bearable
    assert run.linked == PersonLink.objects.filter(case=case).count() > pairs
    assert run.pairs == PersonPair.objects.filter(aggregation=run).count()
    assert set(Person.objects.filter(case=case).values_list("number", flat=True)) == set(
        range(1, Person.objects.filter(case=case).count() + 1)
    )
    assert json.loads(Event.objects.get(kind="persons.aggregated").body)["cover"]["count"] == str(run.linked)
    assert verify.verify(case)["ok"]
    assert workshop() == 0  # personal data does not lie about


def test_a_run_that_dies_anywhere_goes_on_and_finds_the_same(case, goto, monkeypatch):
    """Every step by another worker; twice the server falls, and with it the workshop."""
    accepted_ledger_of(case, Invented(4).customers(600), by=goto)
    undisturbed = pairs_of(aggregate(case, by=goto))
    monkeypatch.setattr(nayose, "ROWS", 100)
    job = nayose.run(case, by=goto, at=NOON)

    fallen, steps = {"folding": False, "comparing": False}, 0
    while job.state == "waiting":
        jobs.advance(job.pk, seconds=0.001)
        job.refresh_from_db()
        before = job.cursor
        steps += 1
        if steps < 60 and fallen.get(job.phase) is False and job.cursor.split(":")[1] != "0":
            fallen[job.phase] = True
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM ledger_folded")
                cursor.execute("DELETE FROM ledger_filed")
        assert steps < 200, before

    assert all(fallen.values())
    assert steps > 20
    assert pairs_of(Aggregation.objects.get(pk=job.subject_id)) == undisturbed


def test_a_key_that_crowds_share_likens_nobody_and_is_counted(case, goto, monkeypatch):
    monkeypatch.setattr(nayose, "CROWD", 4)
    crowd = [
        replace(SHOTA, kana=f"{word} {word}", name="", born=None, email="", address="", postcode="")
        for word in ("アオキ", "ババ", "ゴトウ", "チバ", "ドイ")
    ]
    accepted_ledger_of(case, [*crowd, replace(crowd[0], email="a@b.jp"), replace(crowd[0], email="a@b.jp")], by=goto)

    run = aggregate(case, by=goto)

    assert run.crowded >= 1  # the telephone
    assert pairs_of(run)[0][1:3] == ("K00000006", "K00000007")  # the e-mail still does


def test_only_what_nobody_would_dispute_is_linked(case, goto):
    accepted_ledger_of(case, [SHOTA, AGAIN, UNDATED, STRANGER], by=goto)

    run = aggregate(case, by=goto)

    assert who_is_whom(case) == {"K00000001": 1, "K00000002": 1}
    assert [(one, other, level, automatic) for _p, one, other, level, _s, _a, _g, automatic in pairs_of(run)] == [
        ("K00000001", "K00000004", "strong", False),
        ("K00000002", "K00000004", "strong", False),
        ("K00000001", "K00000003", "review", False),
        ("K00000002", "K00000003", "review", False),
        ("K00000001", "K00000002", "exact", True),  # last: nobody needs to look
    ]


def test_two_whom_only_a_third_joins_are_left_to_people(case, goto):
    """Ichiro and Ichiro are written differently; a third account in kana alone is as like the one as the other."""
    one = replace(SHOTA, name="高橋一郎", kana="ﾀｶﾊｼ ｲﾁﾛｳ", phone="090-1234-5678", email="")
    between = replace(one, name="タカハシ イチロウ", email="ichiro@example.com")
    other = replace(one, name="高橋市郎", phone="", email="ichiro@example.com")
    accepted_ledger_of(case, [one, between, other], by=goto)

    run = aggregate(case, by=goto)

    joined = {(a, b) for _p, a, b, _l, _s, _a, _g, automatic in pairs_of(run) if automatic}
    assert {("K00000001", "K00000002"), ("K00000002", "K00000003")} <= joined
    assert ("K00000001", "K00000003") not in joined
    assert run.linked == 0
    assert who_is_whom(case) == {}


def test_another_run_changes_nothing_that_a_person_decided(case, goto):
    one, again, undated, _stranger = accepted_ledger_of(case, [SHOTA, AGAIN, UNDATED, STRANGER], by=goto)
    aggregate(case, by=goto)
    first = Person.objects.get()
    persons.split(first, [again], reason="they showed two passports", by=goto, at=NOON)
    persons.merge(case, [one, undated], reason="the same passport", by=goto, at=NOON)
    before = who_is_whom(case)

    second = aggregate(case, by=goto)

    assert (second.number, second.linked) == (2, 0)
    assert who_is_whom(case) == before == {"K00000001": 1, "K00000002": 2, "K00000003": 1}


def test_who_was_kept_apart_before_the_first_run_is_not_linked_by_it(case, goto):
    one, again, *_rest = accepted_ledger_of(case, [SHOTA, AGAIN, replace(AGAIN, email="x@y.jp")], by=goto)
    persons.keep_apart(one, again, reason="father and son", by=goto, at=NOON)

    run = aggregate(case, by=goto)

    assert run.linked == 0  # not even the third, who might be either
    assert who_is_whom(case) == {}


def test_a_double_that_comes_later_joins_the_person_that_stands(case, goto):
    accepted_ledger_of(case, [SHOTA, AGAIN, replace(AGAIN, email="x@y.jp")], by=goto)
    links = PersonLink.objects
    aggregate(case, by=goto)

    with past_the_triggers() as cursor:  # as if the third had not been found the first time
        cursor.execute("DELETE FROM ledger_personlink WHERE id = %s", [links.order_by("-pk")[0].pk])

    aggregate(case, by=goto)

    assert set(who_is_whom(case).values()) == {1}
    assert len(who_is_whom(case)) == 3


def test_names_are_aggregated_by_who_may_over_an_accepted_ledger_one_run_at_a_time(case, goto, fujii):
    with pytest.raises(nayose.NotAggregated, match="not accepted yet"):
        nayose.run(case, by=goto, at=NOON)
    accepted_ledger_of(case, [SHOTA, AGAIN], by=goto)
    with pytest.raises(NotEmpowered):
        nayose.run(case, by=fujii, at=NOON)
    job = nayose.run(case, by=goto, at=NOON)
    with pytest.raises(nayose.NotAggregated, match="under way"):
        nayose.run(case, by=goto, at=NOON)

    Job.objects.filter(pk=job.pk).update(state="failed", error="a disk was full", finished_at=NOON)
    work(nayose.run(case, by=goto, at=NOON))

    assert list(Aggregation.objects.order_by("number").values_list("number", "state")) == [(1, "abandoned"), (2, "done")]
    assert who_is_whom(case) == {"K00000001": 1, "K00000002": 1}
