"""How a round goes out: limits and hours that two people widen, lanes, the first few first, pauses, taking back."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from administration.cases.appointments import NotEmpowered
from administration.cases.models import AppointmentKind, ApprovalRequest
from administration.fields import db_now
from administration.ledger import persons
from administration.rails.zengin import bank_days
from administration.record import verify
from administration.record.models import Event
from administration.returns import (
    batches,
    cancelling,
    evidence,
    hours,
    limits,
    pace,
    rounds,
    routes,
    sending,
    settlement,
    steering,
    submissions,
)
from administration.returns.models import (
    AssetReturn,
    Carried,
    ClosedDay,
    EvidenceLine,
    LimitKind,
    RailWindow,
    ReturnState,
)
from administration.work import jobs
from administration.work.models import Job
from claims.register import tie_out
from claims.register.models import Position
from tests.api.conftest import appoint
from tests.rehearsing import rehearsal  # noqa: F401
from tests.returns.world import done, sign

JST = ZoneInfo("Asia/Tokyo")
R = "rehearsal"


def scheduled(world, **plan):
    done(rounds.schedule(world.case, world.run, by=world.goto, at=db_now(), **plan))
    return world.case.rounds.latest("number")


def draft(world, **wanted):
    return batches.draft(world.case, world.case.rounds.latest("number"), R, by=world.goto, at=db_now(), **wanted)


def frozen(world, **wanted):
    batch = draft(world, **wanted)
    batches.freeze(batch, by=world.goto, at=db_now())
    batch.refresh_from_db()
    return batch


def signed(world, act=pace.ACT):
    request = ApprovalRequest.objects.filter(act=act, state="open").latest("pk")
    for user in (world.people.aoki, world.people.baba):
        sign(request, user)


def refused(world, sql, *params, match):
    with pytest.raises(IntegrityError, match=match), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, params)


def send_all(batch):
    while sending.send_one(batch, routes.rail(R)):
        pass


# --- limits ---------------------------------------------------------------------------------------


def test_a_wider_limit_holds_once_two_people_have_signed_it(world):
    goto, baba = world.goto, world.people.baba
    limits.put(world.case, R, seconds=60, at_most=5_000, by=baba, at=db_now())
    with pytest.raises(limits.NotALimit, match="Two people"):
        limits.put(world.case, R, seconds=60, at_most=6_000, by=baba, at=db_now())
    with pytest.raises(limits.NotALimit, match="put at once"):
        limits.ask(world.case, R, seconds=60, at_most=5_000, reason="x", by=goto, at=db_now())
    with pytest.raises(pace.NotAsked, match="Say why"):
        limits.ask(world.case, R, seconds=60, at_most=6_000, reason=" ", by=goto, at=db_now())

    limits.ask(world.case, R, seconds=60, at_most=6_000, reason="the first day went well", by=goto, at=db_now())
    assert [row.at_most for row in limits.in_force(world.case)] == [5_000]
    signed(world)

    (held,) = limits.in_force(world.case)
    assert (held.at_most, held.change.reason) == (6_000, "the first day went well")
    limits.put(world.case, R, seconds=60, at_most=5_500, by=baba, at=db_now())
    assert [row.at_most for row in limits.in_force(world.case)] == [5_500]


def test_the_database_itself_refuses_a_wider_limit_that_nobody_signed(world):
    case, baba = world.case, world.people.baba
    limits.put(case, R, seconds=60, at_most=5_000, by=baba, at=db_now())
    hours.put(case, R, opens=time(9), closes=time(15), bank_days_only=True, by=baba, at=db_now())
    limits.ask(case, R, seconds=60, at_most=6_000, reason="why not", by=world.goto, at=db_now())
    change = pace.PaceChange.objects.get()
    insert = (
        "INSERT INTO returns_raillimit (case_id, rail, kind, seconds, at_most, change_id, by_id, at)"
        " VALUES (%s, 'rehearsal', 'rate', 60, %s, %s, %s, now())"
    )
    widened = "rail_is_widened_by_two_people"
    refused(world, insert, case.pk, 6_000, None, baba.pk, match=widened)
    refused(world, insert, case.pk, 6_000, change.pk, baba.pk, match=widened)  # asked, not signed
    signed(world)
    refused(world, insert, case.pk, 7_000, change.pk, baba.pk, match=widened)  # not what was signed
    refused(world, insert, case.pk, 6_000, change.pk, baba.pk, match="pace_change_makes_one_limit")  # twice
    refused(
        world,
        "INSERT INTO returns_railwindow (case_id, rail, opens, closes, bank_days, by_id, at)"
        " VALUES (%s, 'rehearsal', '00:00', '23:59', false, %s, now())",
        case.pk, baba.pk, match=widened,
    )  # fmt: skip


def test_fewer_returns_see_each_other_than_the_rail_could_carry(world):
    limits.put(world.case, R, kind=LimitKind.PART, at_most=3, by=world.people.baba, at=db_now())
    scheduled(world)

    batch = draft(world)

    assert (batch.items, batch.parts) == (12, 4)


def test_a_batch_above_a_sum_has_one_signature_more(world):
    limits.put(
        world.case, R, kind=LimitKind.SIGN, asset=world.assets["JPY"], at_most=3_500, by=world.people.baba, at=db_now()
    )
    scheduled(world)
    batch = frozen(world)
    request = ApprovalRequest.objects.get(act=batches.ACT)
    assert request.signers == 3

    signed(world, batches.ACT)
    batch.refresh_from_db()
    assert batch.state == "frozen"

    sign(request, appoint(world, "third", AppointmentKind.APPROVER).user)
    batch.refresh_from_db()
    assert batch.state == "approved"


def test_a_batch_that_became_large_after_its_request_is_frozen_anew(world):
    scheduled(world)
    batch = frozen(world)
    jpy = world.assets["JPY"]
    limits.put(world.case, R, kind=LimitKind.SIGN, asset=jpy, at_most=3_500, by=world.people.baba, at=db_now())

    with pytest.raises(batches.NotADraft, match="one person"):
        signed(world, batches.ACT)
    batches.void(batch, reason="made anew", by=world.goto, at=db_now())
    assert frozen(world).prepared_by == world.goto
    assert ApprovalRequest.objects.filter(act=batches.ACT).latest("pk").signers == 3


# --- hours ----------------------------------------------------------------------------------------


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=JST)


def test_hours_are_kept_on_bank_days_of_japan_by_the_database(world):
    hours.put(world.case, R, opens=time(9), closes=time(15), bank_days_only=True, by=world.people.baba, at=db_now())
    for asked, opens in (
        ("2026-11-24T09:00", None),  # a Tuesday
        ("2026-11-24T14:59:59", None),
        ("2026-11-24T08:59:59", "2026-11-24T09:00"),
        ("2026-11-24T15:00", "2026-11-25T09:00"),
        ("2026-11-20T16:00", "2026-11-24T09:00"),  # Friday; Monday is Labour Thanksgiving Day
        ("2026-12-30T15:00", "2027-01-04T09:00"),  # the banks' new year's rest
        ("2027-04-28T20:00", "2027-04-30T09:00"),  # Showa Day
    ):
        found = hours.opens_at(world.case, R, at(asked))
        assert found == (at(opens) if opens else None), asked
    assert {day for day, _why in bank_days.closed_weekdays(2027)} <= set(ClosedDay.objects.values_list("day", flat=True))


def test_nothing_is_sent_outside_the_hours_and_the_job_rests_until_they_come(world, rehearsal):  # noqa: F811
    now = db_now().astimezone(JST)
    opens = time(0, 1) if now.hour >= 12 else time(23, 58)  # far from now, either way
    hours.put(world.case, R, opens=opens, closes=time(opens.hour, opens.minute + 1), bank_days_only=False,
              by=world.people.baba, at=db_now())  # fmt: skip
    batch = world.exported()

    assert sending.take(batch, routes.rail(R)) is None
    assert sending.waits_for_its_time(batch)
    job = submissions.submit(batch, by=world.goto, at=db_now())
    assert jobs.advance(job.pk, seconds=5)
    job.refresh_from_db()
    assert (job.state, job.phase) == ("waiting", "waiting for its time")

    hours.ask(world.case, R, opens=time(0), closes=time(23, 59), bank_days_only=False, reason="tonight", by=world.goto, at=db_now())
    assert RailWindow.objects.count() == 1
    signed(world)
    assert sending.take(batch, routes.rail(R)) is not None or hours.opens_at(world.case, R, db_now())


def test_hours_are_put_by_whoever_may_stop_and_make_sense(world):
    case, baba = world.case, world.people.baba
    with pytest.raises(hours.NotHours, match="opens before it closes"):
        hours.put(case, R, opens=time(15), closes=time(9), bank_days_only=True, by=baba, at=db_now())
    with pytest.raises(hours.NotHours, match="at once"):
        hours.ask(case, R, opens=time(9), closes=time(15), bank_days_only=True, reason="x", by=baba, at=db_now())
    with pytest.raises(NotEmpowered):
        hours.put(case, R, opens=time(9), closes=time(15), bank_days_only=True, by=world.people.fujii, at=db_now())
    made = hours.put(case, R, opens=time(9), closes=time(15), bank_days_only=True, by=baba, at=db_now())
    assert hours.in_words(made) == "09:00 to 15:00, on bank days"
    with pytest.raises(hours.NotHours, match="Two people"):
        hours.put(case, R, opens=time(10), closes=time(15), bank_days_only=True, by=baba, at=db_now())


# --- the round --------------------------------------------------------------------------------------


def test_the_value_date_is_a_day_on_which_banks_are_open(world):
    today = db_now().astimezone(JST).date()
    closed = next(day for n in range(1, 9) if not bank_days.is_open(day := today + timedelta(days=n)))
    for day, said in (
        (closed, f"Banks are closed on {closed}.*next open day is {bank_days.next_open(closed)}"),
        (today - timedelta(days=1), "past"),
        (today + timedelta(days=400), "more than 370 days ahead"),
    ):
        with pytest.raises(rounds.NotScheduled, match=said):
            scheduled(world, value_date=day)

    day = bank_days.after(today, 3)
    assert scheduled(world, value_date=day).value_date == day


def test_without_a_wish_the_value_date_is_the_first_open_day(world):
    assert scheduled(world).value_date == bank_days.next_open(db_now().astimezone(JST).date())


def test_what_was_decided_after_the_record_date_waits_for_the_next_round(world, as_superuser):
    late = world.case.claims.order_by("number").last()
    with as_superuser() as cursor:
        cursor.execute("UPDATE register_decision SET at = at - interval '2 days'")
        cursor.execute("UPDATE register_claim SET recorded_at = recorded_at - interval '2 days' WHERE id <> %s", [late.pk])

    with pytest.raises(rounds.NotScheduled, match="not come yet"):
        scheduled(world, record_at=db_now() + timedelta(days=1))
    current = scheduled(world, record_at=db_now() - timedelta(days=1))

    assert current.returns.count() == 9
    assert not current.returns.filter(claim_line__claim=late).exists()
    assert scheduled(world).returns.count() == 3


def test_what_a_person_would_get_too_little_of_is_carried_to_the_next_round(world, as_superuser):
    """Two claims of one person: together they reach the minimum that neither reaches alone."""
    first, second = world.case.claims.order_by("number")[:2]
    with as_superuser() as cursor:
        cursor.execute("UPDATE register_claim SET claimant_id = %s WHERE id = %s", [first.claimant_id, second.pk])

    current = scheduled(world, minimums={"JPY": 1_500})

    jpy = current.returns.filter(asset__code="JPY")
    assert {row.claim_line.claim_id for row in jpy} == {first.pk, second.pk}
    assert current.returns.exclude(asset__code="JPY").count() == 8
    assert list(Carried.objects.values_list("amount", flat=True)) == [1_000, 1_000]
    assert Event.objects.filter(kind="round.carried_forward").count() == 1
    assert Job.objects.get(kind=rounds.JOB).result["carried"] == 2
    assert set(Position.objects.filter(claim_line__carried__isnull=False).values_list("scheduled", flat=True)) == {0}
    following = scheduled(world)
    assert following.returns.count() == 2
    tie_out.require(world.case)
    assert verify.verify(world.case)["first_bad"] is None


def test_what_is_carried_is_said_at_the_beginning_of_its_round_only(world):
    current = scheduled(world)
    line = AssetReturn.objects.first().claim_line
    refused(
        world, "INSERT INTO returns_carried (round_id, claim_line_id, asset_id, amount) VALUES (%s, %s, %s, 1)",
        current.pk, line.pk, line.asset_id, match="carried_is_said_at_the_beginning",
    )  # fmt: skip


def test_a_rail_may_be_named_for_what_goes_to_a_network(world):
    current = scheduled(world, rails={"*@bitcoin": "rehearsal-r2", "BTC": "custodian", "*": R})
    assert set(current.returns.values_list("asset__code", "rail")) == {("BTC", "rehearsal-r2"), ("ETH", R), ("JPY", R)}


def test_small_and_large_returns_go_in_lanes_of_their_own(world, as_superuser):
    scheduled(world, large_from={"JPY": 1_000, "BTC": 10**18})

    small, large = draft(world), draft(world)

    assert (small.lane, small.items, large.lane, large.items) == ("small", 8, "large", 4)
    assert set(large.totals) == {"JPY"}
    batches.freeze(large, by=world.goto, at=db_now())
    assert '"policy":{"lane":"large"}' in large.manifest.body
    with pytest.raises(batches.NothingToBatch, match="no lane"):
        draft(world, lane="middle")


# --- the first few ----------------------------------------------------------------------------------


def settled(world):
    done(evidence.observe(world.case, R, by=world.goto, at=db_now()))
    done(settlement.settle(world.case, by=world.goto, at=db_now()))


def test_the_others_follow_once_the_first_few_arrived_and_a_person_says_so(world, rehearsal, monkeypatch):  # noqa: F811
    scheduled(world, canary=3)
    first, others = frozen(world), frozen(world)
    assert (first.canary, first.items, others.canary, others.items) == (True, 3, False, 9)
    for batch in (first, others):
        world.approve(batch)

    with pytest.raises(steering.NotSteered, match="first 3 returns"):
        submissions.export(others, by=world.goto, at=db_now())
    attempt = "INSERT INTO returns_attempt (asset_return_id, batch_id, part, state, holds_return_id, reason_code)" \
        " SELECT id, batch_id, part, 'pending', id, '' FROM returns_assetreturn WHERE batch_id = %s"  # fmt: skip
    refused(world, attempt, others.pk, match="attempt_waits_for_the_canary")
    with pytest.raises(steering.NotSteered, match="have not arrived"):
        steering.go_on(first, by=world.goto, at=db_now())
    go = "INSERT INTO returns_goahead (round_id, rail, canary_id, note, by_id, at) VALUES (%s, 'rehearsal', %s, '', %s, now())"
    refused(world, go, first.round_id, first.pk, world.goto.pk, match="canary_arrived")

    done(submissions.export(first, by=world.goto, at=db_now()))
    send_all(first)
    settled(world)
    first.refresh_from_db()
    assert first.state == "closed"
    steering.go_on(first, by=world.goto, at=db_now())

    done(submissions.export(others, by=world.goto, at=db_now()))
    others.refresh_from_db()
    assert others.state == "exported"
    with pytest.raises(steering.NotSteered, match="follow on this rail already"):
        steering.go_on(first, by=world.goto, at=db_now())


@pytest.mark.parametrize(("problem", "wants"), [("unknown_debit", "speak of no return"), ("contradicts", "Explain them first")])
def test_what_a_bank_does_besides_is_named_before_the_others_follow(world, rehearsal, problem, wants):  # noqa: F811
    """A fee is on nearly every statement, and no act takes its line off the queue; a word about it does for the first few."""
    scheduled(world, canary=3)
    first = world.approve(frozen(world))
    done(submissions.export(first, by=world.goto, at=db_now()))
    send_all(first)
    settled(world)
    EvidenceLine.objects.filter(pk=EvidenceLine.objects.first().pk).update(problem=problem)
    first.refresh_from_db()

    with pytest.raises(steering.NotSteered, match=wants):
        steering.go_on(first, by=world.goto, at=db_now())
    if problem in steering.OF_NO_RETURN:
        assert steering.go_on(first, note="440 yen: the bank's fee for the file", by=world.goto, at=db_now())


def test_first_few_that_did_not_all_arrive_want_a_word_before_the_others_follow(world, rehearsal):  # noqa: F811
    rehearsal.kill()
    rehearsal.start("--refuse", "0.5", "--return", "0", "--seed", "3")
    scheduled(world, canary=6)
    first = world.approve(frozen(world))
    done(submissions.export(first, by=world.goto, at=db_now()))
    send_all(first)
    settled(world)
    first.refresh_from_db()
    said = steering.findings(first)
    assert said["lost"] and said["settled"] and not said["open"]

    with pytest.raises(steering.NotSteered, match="did not arrive"):
        steering.go_on(first, by=world.goto, at=db_now())
    steering.go_on(first, note="three accounts were closed", by=world.goto, at=db_now())

    assert Event.objects.get(kind="round.went_on").body.count("three accounts were closed") == 1


# --- pause, taking back, a new plan --------------------------------------------------------------------


def test_a_paused_round_sends_nothing_and_goes_on_where_it_was(world, rehearsal):  # noqa: F811
    current = scheduled(world)
    batch = world.approved(limit=6)
    done(submissions.export(batch, by=world.goto, at=db_now()))

    steering.pause(current, reason="the bank asks", by=world.goto, at=db_now())

    assert sending.take(batch, routes.rail(R)) is None
    row = AssetReturn.objects.filter(state=ReturnState.SCHEDULED).first()
    with connection.cursor() as cursor:
        cursor.execute("SELECT closed FROM returns_gates WHERE return_id = %s", [row.pk])
        assert cursor.fetchone()[0] == ["stop"]
    for act in (lambda: draft(world), lambda: submissions.submit(batch, by=world.goto, at=db_now())):
        with pytest.raises(steering.NotSteered, match="the bank asks"):
            act()
    with pytest.raises(steering.NotSteered, match="paused already"):
        steering.pause(current, reason="again", by=world.goto, at=db_now())

    steering.resume(current, by=world.goto, at=db_now())
    with pytest.raises(steering.NotSteered, match="not paused"):
        steering.resume(current, by=world.goto, at=db_now())
    assert draft(world).items == 6
    assert sending.take(batch, routes.rail(R)) is not None


def test_what_waits_of_a_round_is_taken_back_and_scheduled_by_another_plan(world, monkeypatch):
    monkeypatch.setattr(cancelling, "CHUNK", 4)
    current = scheduled(world)
    batch = world.frozen(limit=2)
    with pytest.raises(cancelling.NotCancelled, match="Say why"):
        cancelling.cancel(current, reason="", by=world.goto, at=db_now())

    job = cancelling.cancel(
        current, reason="another rail for coins", by=world.goto, at=db_now(),
        anew={"rails": {"BTC": "custodian", "*": R}, "canary": 2},
    )  # fmt: skip
    cancelling.step(job)
    assert current.returns.filter(state="cancelled").count() == 4
    world.proves()  # half taken back
    job = done(job)
    done(Job.objects.get(pk=job.result["job"]))

    assert job.result["count"] == 10
    states = {row.reference: row.state for row in current.returns.all()}
    assert sorted(states.values()) == ["batched"] * 2 + ["cancelled"] * 10
    anew = world.case.rounds.latest("number")
    assert (anew.number, anew.canary, anew.returns.count()) == (2, 2, 10)
    assert set(anew.returns.filter(asset__code="BTC").values_list("rail", flat=True)) == {"custodian"}
    assert batch.returns.count() == 2
    tie_out.require(world.case)
    world.proves()
    refused(
        world, "UPDATE returns_assetreturn SET cancellation_id = NULL WHERE state = 'cancelled'",
        match="return_is_cancelled_with_its_round",
    )  # fmt: skip
    with pytest.raises(cancelling.NotCancelled, match="Nothing of round"):
        cancelling.cancel(current, reason="again", by=world.goto, at=db_now())


def test_whoever_may_not_schedule_steers_nothing(world):
    current = scheduled(world)
    for act in (
        lambda by: steering.pause(current, reason="x", by=by, at=db_now()),
        lambda by: cancelling.cancel(current, reason="x", by=by, at=db_now()),
    ):
        with pytest.raises(NotEmpowered):
            act(world.people.chiba)


def test_rows_of_pace_are_kept_as_written(world, as_role):
    limits.put(world.case, R, seconds=60, at_most=5_000, by=world.people.baba, at=db_now())
    tables = (
        "pacechange", "raillimit", "railwindow", "closedday", "roundpause", "goahead", "carried", "screening", "movechoice",
        "sanctionslist", "sanctionedname", "cancellation", "bookmove",
    )  # fmt: skip
    for table in tables:
        for sql in (f"DELETE FROM returns_{table}", f"TRUNCATE returns_{table} CASCADE"):
            with pytest.raises(DatabaseError, match=r"append only|permission denied"), as_role("henkan_app") as cursor:
                cursor.execute(sql)


def test_customers_whom_the_name_aggregation_found_to_be_one_person_reach_the_minimum_together(world):
    first, second = (claim.claimant.identity for claim in world.case.claims.order_by("number")[:2])
    persons.merge(world.case, [first, second], reason="the same passport", by=world.goto, at=db_now())

    current = scheduled(world, minimums={"JPY": 1_500})

    jpy = current.returns.filter(asset__code="JPY")
    assert {row.claim_line.claim.claimant.identity_id for row in jpy} == {first.pk, second.pk}
    assert Carried.objects.count() == 2
