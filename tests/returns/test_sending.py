"""Sending: nothing passes a stop, a suspended approval, or another worker's lease; doubt is never failure."""

import threading

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from administration.cases import approvals, orders, stops, succession
from administration.cases.models import Appointment, AppointmentKind
from administration.fields import db_now
from administration.people.models import User
from administration.rails.interface import Accepted, RailClass, Rejected, Unknown
from administration.rails.rehearsal import Rehearsal
from administration.returns import evidence, routes, sending, settlement, submissions, tasks
from administration.returns.models import AssetReturn, Attempt, AttemptState, BatchState, ReturnState, Submission
from administration.work import jobs
from administration.work.models import Job, JobState
from claims.register import tie_out
from tests.cast import LONG_AGO, sha
from tests.rehearsing import rehearsal  # noqa: F401
from tests.returns.world import build, done


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sending, "HELPERS", 0)
    monkeypatch.setattr(sending, "PAUSES", (0,))
    monkeypatch.setattr(Rehearsal, "max_items", 2)


def answers(monkeypatch, *outcomes):
    """The rail answers so, the last one for ever. Returns the keys it was called with."""
    called, left = [], list(outcomes)

    def submit(self, content, key):
        called.append(key)
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(Rehearsal, "submit", submit)
    return called


def submit(world, batch):
    return done(submissions.submit(batch, by=world.goto, at=db_now()))


# --- outcomes -------------------------------------------------------------------------------------------


def test_an_accepted_part_is_accepted_and_settles_nothing(world, monkeypatch):
    answers(monkeypatch, Accepted("RH-1"))
    batch = world.exported()
    submit(world, batch)

    assert set(Submission.objects.values_list("state", flat=True)) == {"accepted"}
    assert set(AssetReturn.objects.values_list("state", flat=True)) == {"batched"}
    batch.refresh_from_db()
    assert batch.state == BatchState.SETTLING


def test_a_refused_part_gives_its_returns_back(world, monkeypatch):
    answers(monkeypatch, Rejected("closed", "no such account"), Accepted())
    batch = world.exported()
    submit(world, batch)

    assert sorted(Submission.objects.values_list("state", flat=True)) == ["accepted"] * 5 + ["refused"]
    assert Attempt.objects.filter(state=AttemptState.REFUSED, reason_code="closed", holds_return_id=None).count() == 2
    assert AssetReturn.objects.filter(state=ReturnState.SCHEDULED, tries=1).count() == 2
    tie_out.require(world.case)


def test_doubt_is_unknown_and_the_same_bytes_go_again_under_the_same_key(world, monkeypatch):
    called = answers(monkeypatch, Unknown("timeout"), Accepted())
    batch = world.exported(limit=2)
    submit(world, batch)

    assert called == ["T-1-B01-001/1", "T-1-B01-001/1"]
    part = Submission.objects.get()
    assert (part.state, part.fence, part.tries) == ("accepted", 2, 2)
    assert Attempt.objects.filter(state=AttemptState.PENDING).count() == 2


def test_a_silent_rail_is_said_and_nothing_is_lost(world, monkeypatch):
    answers(monkeypatch, Unknown("no connection"))
    monkeypatch.setattr(sending, "TRIES_MAX", 3)
    batch = world.exported(limit=2)
    job = submissions.submit(batch, by=world.goto, at=db_now())
    jobs.advance(job.pk)

    with pytest.raises(jobs.JobFailed, match=r"does not answer: 1 part of T-1-B01-001 is unknown after \d+ calls"):
        jobs.wait(job)
    answers(monkeypatch, Accepted())
    assert sending.due() == [batch.pk]
    tasks.tick()
    done(Job.objects.get(kind=sending.JOB, state=JobState.WAITING))
    assert Submission.objects.get().state == "accepted"


def test_a_part_of_which_the_statement_spoke_before_its_answer_was_written_down_is_final_and_its_batch_closes(world, monkeypatch):
    batch = world.exported(limit=2)
    said = "".join(
        f'{{"line_ref":"{n}","reference":"{row.reference}","key":"T-1-B01-001/1","kind":"settled","asset":"{row.asset.code}",'
        f'"amount":"{row.amount}","at":"2026-11-20T10:00:00+09:00"}}\n'
        for n, row in enumerate(world.returns(state="batched"), start=1)
    )

    def settled_meanwhile(self, content, key):
        evidence.receive(world.case, "rehearsal", name="quick", data=said.encode(), by=world.goto, at=db_now())
        done(settlement.settle(world.case, by=world.goto, at=db_now()))
        return Accepted()

    monkeypatch.setattr(Rehearsal, "submit", settled_meanwhile)
    submit(world, batch)
    assert (Submission.objects.get().state, AssetReturn.objects.filter(state="settled").count()) == ("accepted", 2)

    done(settlement.settle(world.case, by=world.goto, at=db_now()))

    batch.refresh_from_db()
    assert (Submission.objects.get().state, batch.state) == ("final", BatchState.CLOSED)


def test_what_cannot_be_asked_is_never_sent_again_by_machine(world, monkeypatch):
    called = answers(monkeypatch, Unknown("timeout"))
    monkeypatch.setattr(Rehearsal, "rail_class", RailClass.R3)
    batch = world.exported(limit=2)
    job = submissions.submit(batch, by=world.goto, at=db_now())
    jobs.advance(job.pk)

    with pytest.raises(jobs.JobFailed, match="look at its statement"):
        jobs.wait(job)
    assert len(called) == 1
    assert set(Attempt.objects.values_list("state", flat=True)) == {"unknown"}
    sending.take_up_again(batch.pk)
    assert not Job.objects.filter(kind=sending.JOB, state=JobState.WAITING).exists()


@pytest.mark.parametrize("known", [True, False])
def test_what_can_be_asked_is_sent_again_only_if_the_rail_does_not_know_it(world, monkeypatch, known):
    called = answers(monkeypatch, Unknown("timeout"), Accepted())
    monkeypatch.setattr(Rehearsal, "rail_class", RailClass.R2)
    monkeypatch.setattr(sending, "_pause", lambda fence, rail: 0)
    batch = world.exported(limit=2)
    rows = world.returns(state="batched")
    said = [
        Rehearsal("").read(
            b'{"line_ref":"%d","reference":"%s","key":"T-1-B01-001/1","kind":"settled","asset":"%s","amount":"%d",'
            b'"at":"2026-11-20T10:00:00+09:00"}' % (n, row.reference.encode(), row.asset.code.encode(), row.amount)
        )[0]
        for n, row in enumerate(rows, start=1)
    ]
    monkeypatch.setattr(
        Rehearsal, "observe", lambda self, cursor: (tuple(said), "2") if known and not cursor else ((), cursor)
    )
    submit(world, batch)

    assert len(called) == (1 if known else 2)
    assert Submission.objects.get().state == "accepted"


# --- stops ----------------------------------------------------------------------------------------------


def test_nothing_leaves_once_somebody_has_stopped_the_rail(world, monkeypatch):
    called = answers(monkeypatch, Accepted())
    batch = world.exported()
    rail = routes.rail("rehearsal")
    sending.send_one(batch, rail)
    stops.stop(world.case, reason="a doubt", rail="rehearsal", by=world.people.baba, at=db_now())

    with pytest.raises(stops.Stopped):
        sending.send_one(batch, rail)
    with pytest.raises(stops.Stopped):
        submissions.submit(batch, by=world.goto, at=db_now())
    assert len(called) == 1
    assert sending.due() == []


def test_sending_goes_on_by_itself_once_two_people_have_lifted_the_stop(world, monkeypatch):
    called = answers(monkeypatch, Accepted())
    batch = world.exported()
    job = submissions.submit(batch, by=world.goto, at=db_now())
    stop = stops.stop(world.case, reason="a doubt", by=world.people.baba, at=db_now())
    jobs.advance(job.pk)
    job.refresh_from_db()
    assert (job.state, called) == (JobState.FAILED, [])

    stops.lift(stop, by=world.people.baba, at=db_now())
    assert sending.due() == []
    stops.lift(stop, by=world.people.aoki, at=db_now())
    assert sending.due() == [batch.pk]
    tasks.tick()
    done(Job.objects.get(kind=sending.JOB, state=JobState.WAITING))
    assert len(called) == 6


def test_an_export_that_was_stopped_half_way_goes_on_where_it_was(world, monkeypatch):
    monkeypatch.setattr(Rehearsal, "max_items", 2)
    monkeypatch.setattr(submissions, "CHUNK", 2)
    batch = world.approved()
    job = submissions.export(batch, by=world.goto, at=db_now())
    (first,) = Job.objects.filter(pk=job.pk)
    with transaction.atomic():
        jobs._advance_to(jobs._take(first.pk), submissions.step(first))  # one part of six
    stop = stops.stop(world.case, reason="a doubt", by=world.people.baba, at=db_now())
    jobs.advance(job.pk)
    job.refresh_from_db()
    assert (job.state, Submission.objects.count()) == (JobState.FAILED, 1)

    for user in (world.people.baba, world.people.aoki):
        stops.lift(stop, by=user, at=db_now())
    done(submissions.export(batch, by=world.goto, at=db_now()))

    assert Submission.objects.count() == 6
    assert Attempt.objects.count() == batch.items == 12
    assert tie_out.tie_out(world.case)["ok"]


def test_a_stop_takes_effect_before_it_returns(committed, as_superuser, monkeypatch):
    """However busy the senders are: no call begins after stop() has returned."""
    world = build(as_superuser, claims_count=20)
    stopped = threading.Event()
    late = []

    def slow(self, content, key):
        if stopped.is_set():
            late.append(key)
        return Accepted()

    batch = world.exported()
    monkeypatch.setattr(Rehearsal, "submit", lambda self, content, key: (slow(self, content, key)))
    rail = routes.rail("rehearsal")

    def send():
        try:
            while sending.send_one(batch, rail):
                pass
        except stops.Stopped:
            pass
        finally:
            connection.close()

    senders = [threading.Thread(target=send) for _n in range(3)]
    for sender in senders:
        sender.start()
    while not Submission.objects.filter(state="accepted").exists():
        pass
    stops.stop(world.case, reason="a doubt", by=world.people.baba, at=db_now())
    already = Submission.objects.filter(state__in=["submitting", "accepted"]).count()
    for sender in senders:
        sender.join()

    assert Submission.objects.filter(state="accepted").count() <= already
    assert Submission.objects.filter(state="prepared").count() == batch.parts - already > 0


# --- succession -----------------------------------------------------------------------------------------


@pytest.fixture
def half_sent(committed, as_superuser, rehearsal):  # noqa: F811
    """Six parts, two of them sent, when the office passes on from Aoki to Hara by order of the court."""
    rehearsal.kill()
    rehearsal.start("--refuse", "0", "--return", "0")
    world = build(as_superuser)
    batch = world.exported()
    submissions.submit(batch, by=world.goto, at=db_now())
    for _n in range(2):
        sending.send_one(batch, routes.rail("rehearsal"))
    return world, batch, rehearsal


def succeed(world):
    hara = User.objects.create(username="hara", first_name="Hara")
    ito = User.objects.create(username="ito", first_name="Ito")
    Appointment.objects.create(
        case=world.case, user=ito, kind=AppointmentKind.APPROVER, authority="court", instrument="order", from_at=LONG_AGO,
        instrument_sha256=sha("ito"), powers=["returns.stop"], granted_by=world.people.aoki,
    )  # fmt: skip
    order = orders.register(
        world.case, number="S-1", issuer="Tokyo District Court", issued_date=LONG_AGO.date(), scan=b"appointing order",
        scan_name="s.pdf", permits=["cases.succeed"], served_date=LONG_AGO.date(), by=world.people.aoki, at=db_now(),
    )  # fmt: skip
    asked = succession.propose(
        world.case, order=order, predecessor=world.people.aoki, successor=hara, by=world.goto, at=db_now()
    )
    for user in (world.people.baba, ito):
        approvals.sign(asked, by=user, at=db_now())
    return hara


def test_succession_in_the_middle_of_a_batch_stops_it_until_the_successor_takes_it_up(half_sent):
    world, batch, simulator = half_sent
    job = Job.objects.get(kind=sending.JOB)
    hara = succeed(world)

    jobs.advance(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.FAILED
    succession.accept(world.case, by=hara, at=db_now(), reservations="two parts were out")
    tasks.tick()  # the stop is gone, but nobody has taken the batch up yet
    assert not Job.objects.filter(kind=sending.JOB, state=JobState.WAITING).exists()
    with pytest.raises(approvals.NotApproved):
        submissions.submit(batch, by=world.goto, at=db_now())
    assert simulator.summary()["keys"] == 2

    asked = succession.resume(world.case, "returns.batch", batch.pk, by=world.goto, at=db_now())
    assert asked.content_sha256 == batch.manifest_sha256
    for user in (hara, world.people.baba):
        approvals.sign(asked, by=user, at=db_now())
    done(Job.objects.get(kind=sending.JOB, state=JobState.WAITING))
    done(evidence.observe(world.case, "rehearsal", by=world.goto, at=db_now()))
    done(settlement.settle(world.case, by=world.goto, at=db_now()))

    assert (simulator.summary()["keys"], simulator.summary()["paid_twice"]) == (6, [])
    assert AssetReturn.objects.filter(state=ReturnState.SETTLED).count() == 12
    tie_out.require(world.case)
    world.proves()


def test_a_batch_the_successor_declines_goes_dead_where_it_was_not_sent(half_sent):
    world, batch, simulator = half_sent
    hara = succeed(world)
    succession.accept(world.case, by=hara, at=db_now())
    asked = succession.resume(world.case, "returns.batch", batch.pk, by=world.goto, at=db_now())

    approvals.reject(asked, by=hara, at=db_now(), reason="I look at everything anew")

    assert sorted(Submission.objects.values_list("state", flat=True)) == ["accepted"] * 2 + ["dead"] * 4
    assert AssetReturn.objects.filter(state=ReturnState.SCHEDULED, batch=None).count() == 8
    done(evidence.observe(world.case, "rehearsal", by=world.goto, at=db_now()))
    done(settlement.settle(world.case, by=world.goto, at=db_now()))
    batch.refresh_from_db()
    assert batch.state == BatchState.CLOSED
    assert AssetReturn.objects.filter(state=ReturnState.SETTLED).count() == 4
    assert simulator.summary()["paid_twice"] == []
    tie_out.require(world.case)
    world.proves()


def test_the_account_of_the_state_names_batches_and_sums(half_sent):
    world, batch, _simulator = half_sent
    succeed(world)
    account = world.case.successions.get().account["returns"]
    assert account["batches"][0]["reference"] == batch.reference
    assert account["parts"] == [
        {"batch": batch.reference, "state": "accepted", "parts": "2", "returns": "4"},
        {"batch": batch.reference, "state": "prepared", "parts": "4", "returns": "8"},
    ]


# --- by command -----------------------------------------------------------------------------------------


def test_the_commands_carry_a_round_from_schedule_to_settled(committed, as_superuser, rehearsal, tmp_path, capsys):  # noqa: F811
    import json

    world = build(as_superuser, claims_count=3)

    def run(name, *args):
        call_command(name, *args, "--json")
        return json.loads(capsys.readouterr().out)

    scheduled = run("schedule_returns", "T-1")
    assert (scheduled["state"], scheduled["count"], scheduled["totals"]["JPY"]) == ("scheduled", 9, "3000")
    frozen = run("freeze_batches", "T-1")
    assert (frozen["object"], frozen["state"], frozen["awaiting"]) == ("T-1-B01-001", "frozen", ["aoki", "baba"])
    world.approve(world.case.batches.get())
    sent = run("export_batch", "T-1-B01-001", str(tmp_path / "out"))
    assert (sent["state"], sent["count"], sent["files"]) == ("settling", 9, 6)
    assert len(list((tmp_path / "out").glob("*.payload"))) == 5
    assert run("import_evidence", "T-1", "--ask")["count"] >= 9
    settled = run("settle", "T-1")
    assert (settled["ok"], settled["queued"]) == (True, 0)
    assert run("export_batch", "T-1-B01-001", str(tmp_path / "out"))["files"] == 6
