"""Limits, hours, pauses, the first few, carried files, a book that moves, the sanctions list: as pages."""

import datetime
import zipfile
from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from administration.cases.models import ApprovalRequest
from administration.fields import db_now
from administration.returns import batches, hours, limits, moving, rounds, submissions
from administration.returns.models import (
    AssetReturn,
    BookMove,
    GoAhead,
    RailLimit,
    RailWindow,
    ReturnState,
    RoundPause,
    Screening,
)
from administration.work.models import Job
from claims.destinations import cooling
from claims.register.models import Hold
from tests.office.estate import _estate, aoki_at, estate, goto_at  # noqa: F401
from tests.returns.test_moving import an_order
from tests.returns.world import done, sign

LIMIT = {"rail": "rehearsal", "kind": "rate", "asset": "", "seconds": "3600", "reason": ""}


def paper(content=b"paper"):
    return SimpleUploadedFile("paper.pdf", content)


def test_a_limit_is_put_at_once_and_a_wider_one_waits_for_two_people(goto_at):  # noqa: F811
    world = goto_at.world
    assert goto_at.do("limits/change/", **LIMIT, at_most="5,000").status_code == 302
    assert RailLimit.objects.get().at_most == 5_000

    page = goto_at.look("limits/change/", **{**LIMIT, "reason": "it went well"}, at_most="6000").content.decode()
    assert "Two people are asked" in page and "5,000 returns" in page
    answer = goto_at.do("limits/change/", **{**LIMIT, "reason": "it went well"}, at_most="6000")

    request = ApprovalRequest.objects.get(act="returns.pace")
    assert answer["Location"] == goto_at.at(f"approvals/{request.pk}/")
    shown = goto_at.see(f"approvals/{request.pk}/").content.decode()
    assert "it went well" in shown and "5,000 returns" in shown and "6,000 returns" in shown
    for user in (world.people.aoki, world.people.baba):
        sign(request, user)
    assert [row.at_most for row in limits.in_force(world.case)] == [6_000]
    page = goto_at.see("limits/").content.decode()
    assert "6,000 returns" in page and "by two people" in page


def test_hours_are_set_and_shown_with_when_the_rail_sends_again(goto_at):  # noqa: F811
    goto_at.do("limits/hours/", rail="rehearsal", opens="00:00", closes="00:01", bank_days="on", reason="")

    assert RailWindow.objects.get().bank_days
    page = goto_at.see("limits/").content.decode()
    assert "00:00 to 00:01, on bank days" in page
    if hours.opens_at(goto_at.world.case, "rehearsal", db_now()):
        assert "it sends again from" in page


def test_a_round_is_scheduled_with_its_value_date_minimums_lanes_and_first_few(goto_at):  # noqa: F811
    world = goto_at.world
    entered = {"run": str(world.run.pk), "rail_JPY": "rehearsal", "rail_BTC": "rehearsal", "rail_ETH": "rehearsal"}
    refused = goto_at.look("rounds/schedule/", **entered, value_date="2020-01-01")
    assert refused.status_code == 409 and "is past" in refused.content.decode()
    assert goto_at.look("rounds/schedule/", **entered, minimum_JPY="1.5").status_code == 400

    plan = {"minimum_JPY": "1500", "large_BTC": "1", "canary": "2"}
    page = goto_at.look("rounds/schedule/", **entered, **plan).content.decode()
    assert "1,500 JPY" in page and "Go first on each rail" in page
    goto_at.do("rounds/schedule/", **entered, **plan)
    done(Job.objects.get(kind=rounds.JOB))

    current = world.case.rounds.get()
    assert (current.minimums, current.large_from, current.canary) == ({"JPY": "1500"}, {"BTC": "100000000"}, 2)
    page = goto_at.see("rounds/1/").content.decode()
    assert "below the least for a person" in page and "4,000" in page
    draft = {"round": "1", "rail": "rehearsal", "limit": "", "order": "", "lane": ""}
    assert "2 returns of round 1" in goto_at.look("draft/", **draft).content.decode()
    goto_at.do("draft/", **draft)
    batch = world.case.batches.get()
    assert (batch.lane, batch.canary, batch.items) == ("small", True, 2)
    assert "goes first" in goto_at.see("rounds/1/").content.decode()


def test_a_round_is_paused_resumed_and_taken_back_anew(goto_at):  # noqa: F811
    world = goto_at.world
    world.scheduled()
    goto_at.do("rounds/1/pause/", reason="the bank asks")
    assert "the bank asks" in goto_at.see("rounds/1/").content.decode()
    goto_at.do("rounds/1/resume/")
    assert RoundPause.objects.get().resumed_by == world.goto

    rails = {"rail_JPY": "rehearsal", "rail_BTC": "custodian", "rail_ETH": "rehearsal", "value_date": ""}
    answer = goto_at.do("rounds/1/cancel/", reason="another rail", anew="on", **rails)
    job = done(Job.objects.get(kind="returns.cancel"))
    done(Job.objects.get(pk=job.result["job"]))

    assert answer["Location"] == goto_at.at(f"jobs/{job.pk}/")
    assert AssetReturn.objects.filter(state=ReturnState.CANCELLED).count() == 12
    assert AssetReturn.objects.filter(rail="custodian", state=ReturnState.SCHEDULED).count() == 4


def test_the_others_follow_by_a_press_that_says_what_became_of_the_first(goto_at, as_superuser):  # noqa: F811
    world = goto_at.world
    done(rounds.schedule(world.case, world.run, by=world.goto, at=db_now(), canary=2))
    first, others = world.approved(), world.approved()
    assert "must arrive and be reconciled" in goto_at.see(f"batches/{others.reference}/").content.decode()
    done(submissions.export(first, by=world.goto, at=db_now()))
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_attempt SET state = 'settled'")
        cursor.execute("UPDATE returns_batch SET state = 'closed' WHERE id = %s", [first.pk])
        cursor.execute("UPDATE returns_assetreturn SET state = 'settled' WHERE batch_id = %s", [first.pk])

    page = goto_at.see(f"batches/{first.reference}/").content.decode()
    assert "Arrived: 2" in page and "Let the others follow" in page
    shown = goto_at.look(f"batches/{first.reference}/go-on/", note="")
    assert "may leave on" in shown.content.decode()
    answer = goto_at.client.post(
        goto_at.at(f"batches/{first.reference}/go-on/"), {"stage": "do", "shown": shown.context["shown"], "note": ""}
    )
    # Rows were tampered with, so the statements may not tie: then that is what is said.
    assert answer.status_code == 302 or b"tie" in answer.content
    assert GoAhead.objects.exists() == (answer.status_code == 302)


@pytest.fixture
def moved(goto_at, as_superuser):  # noqa: F811
    """A book carried to another exchange by its pages."""
    world = goto_at.world
    order = an_order(world)
    until = (db_now().date() + datetime.timedelta(days=2)).isoformat()
    goto_at.do(
        "moves/announce/", transferee="SBI VC Trade", terms="opt_out", choose_by=until, assets=["BTC", "ETH"], order=str(order.pk),
        contract=paper(),
    )  # fmt: skip
    claim = world.case.claims.order_by("number").last()
    goto_at.do("moves/1/choose/", claim=claim.number, moves="no", paper=paper())
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_bookmove SET choose_by = current_date - 2")
    goto_at.do("moves/1/close/")
    done(Job.objects.get(kind=moving.JOB))
    cooling.release(world.case, at=db_now())
    done(rounds.schedule(world.case, world.run, by=world.goto, at=db_now()))
    batch = batches.draft(world.case, world.case.rounds.get(), "transferee", by=world.goto, at=db_now())
    batches.freeze(batch, by=world.goto, at=db_now())
    world.approve(batch)
    done(submissions.export(batch, by=world.goto, at=db_now()))
    return batch


def test_a_book_moves_from_its_announcement_to_the_files_in_ones_hands(goto_at, moved):  # noqa: F811
    assert BookMove.objects.get().closed_at and "SBI VC Trade" in goto_at.see("moves/").content.decode()
    assert "stays" in goto_at.see("moves/1/").content.decode()
    where = f"batches/{moved.reference}/"
    assert goto_at.see(f"{where}files.zip").status_code == 404
    assert "Carry the files out" in goto_at.see(where).content.decode()

    answer = goto_at.do(f"{where}carry/")

    assert answer["Location"] == goto_at.at(where)
    archive = zipfile.ZipFile(BytesIO(goto_at.see(f"{where}files.zip").content))
    assert archive.namelist() == [f"{moved.reference}-1.json", f"{moved.reference}-1.csv"]
    assert archive.read(f"{moved.reference}-1.json") == bytes(moved.submissions.get().payload)
    assert goto_at.client.post(goto_at.at(f"{where}identities/1/"), {"reason": ""}).status_code == 400
    file = goto_at.client.post(goto_at.at(f"{where}identities/1/"), {"reason": "to Ito, sealed"})
    assert file.status_code == 200 and file.json()["people"] == "3"
    assert "personal data" in goto_at.see(f"{where}identities/1/").content.decode()


def test_the_sanctions_list_is_received_and_everybody_screened(goto_at):  # noqa: F811
    world = goto_at.world
    world.scheduled()
    name = world.case.claimants.order_by("pk").first().identity.name
    page = goto_at.see("screening/").content.decode()
    assert "No list was received" in page

    goto_at.do("screening/receive/", version="2026-11-20", file=paper(f"name,born_on\r\n{name},\r\n".encode()))
    assert "Not everybody was screened" in goto_at.see("screening/").content.decode()
    goto_at.do("screening/screen/")

    assert Screening.objects.get().hits >= 1
    assert Hold.objects.filter(kind="sanctions").count() >= 1
    assert "Everybody was screened under version 2026-11-20" in goto_at.see("screening/").content.decode()
