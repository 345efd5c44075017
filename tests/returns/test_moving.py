"""A book moves to another exchange: announced, chosen, counted, carried, acknowledged customer by customer."""

import dataclasses
import datetime
import json

import pytest

from administration.cases.appointments import NotEmpowered
from administration.cases.models import CourtOrder, OrderStanding
from administration.cases.orders import NotInForce
from administration.fields import db_now
from administration.rails.transferee import Transferee, answers, book
from administration.record import verify
from administration.record.models import Event
from administration.returns import (
    batches,
    carrying,
    corrections,
    evidence,
    moving,
    rounds,
    settlement,
    submissions,
    tasks,
)
from administration.returns.models import AssetReturn, BookMove, EvidenceLine
from claims.destinations import cooling
from claims.destinations.models import Destination
from claims.register import tie_out
from tests.cast import LONG_AGO, sha
from tests.returns.world import done, sign


def an_order(world, permits=(moving.PERMITS,), standing="in_force", number="7"):
    order = CourtOrder.objects.create(
        case=world.case, number=number, issuer="court", issued_date=datetime.date(2026, 10, 5), scan_name="o.pdf",
        scan_sha256=sha(number), permits=list(permits), served_date=datetime.date(2026, 10, 6), registered_by=world.goto,
        registered_at=LONG_AGO,
    )  # fmt: skip
    OrderStanding.objects.create(order=order, standing=standing, since=LONG_AGO, evidence_sha256=sha("s"), by=world.goto)
    return order


def announced(world, terms="opt_out", assets=("BTC", "ETH"), **changed):
    wanted = {
        "transferee": "SBI VC Trade", "terms": terms, "choose_by": db_now().date() + datetime.timedelta(days=1),
        "assets": assets, "contract": b"contract", **changed,
    }  # fmt: skip
    order = wanted.pop("order", None) or an_order(world)
    return moving.announce(world.case, order=order, by=world.goto, at=db_now(), **wanted)


def claims_of(world):
    return list(world.case.claims.order_by("number"))


def choose(world, move, claim, moves):
    return moving.choose(move, claim, moves=moves, paper=b"signed paper", by=world.goto, at=db_now())


def closed(world, move, as_superuser):
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_bookmove SET choose_by = current_date - 2")
    job = done(moving.close(BookMove.objects.get(pk=move.pk), by=world.goto, at=db_now()))
    cooling.release(world.case, at=db_now())
    return job


def test_a_move_rests_on_an_order_a_contract_and_a_day_to_come(world):
    other = an_order(world, permits=("cases.convert",), number="8")
    stayed = an_order(world, standing="stayed", number="9")
    for changed, why in (
        ({"order": other}, "permits"),
        ({"transferee": " "}, "to which exchange"),
        ({"assets": ("DOGE",)}, "which assets"),
        ({"contract": b""}, "by which contract"),
        ({"terms": "silence"}, "on which terms"),
        ({"choose_by": datetime.date(2020, 1, 1)}, "is past"),
    ):
        with pytest.raises(moving.NotMoved, match=why):
            announced(world, **{"order": an_order(world, number=f"x{why}"), **changed})
    with pytest.raises(NotInForce):
        announced(world, order=stayed)
    with pytest.raises(NotEmpowered):
        moving.announce(
            world.case, transferee="X", terms="consent", choose_by=db_now().date(), assets=["BTC"],
            order=an_order(world, number="10"), contract=b"c", by=world.people.fujii, at=db_now(),
        )  # fmt: skip
    assert not BookMove.objects.exists()


@pytest.mark.parametrize(("terms", "silent"), [("opt_out", True), ("consent", False)])
def test_the_newest_word_counts_and_silence_means_what_the_terms_say(world, as_superuser, terms, silent):
    move = announced(world, terms)
    first, second, third, _fourth = claims_of(world)
    choose(world, move, first, True)
    choose(world, move, second, True)
    choose(world, move, second, False)
    choose(world, move, third, False)

    assert moving.counted(move) == {"moving": 1 + silent, "said_so": 1, "staying": 3 - silent, "opted_out": 2}
    with pytest.raises(moving.NotMoved, match="Customers choose until"):
        moving.close(move, by=world.goto, at=db_now())
    job = closed(world, move, as_superuser)

    to_them = Destination.objects.filter(network="transferee", state="usable")
    assert {row.claim_id for row in to_them} == {claim.pk for n, claim in enumerate(claims_of(world)) if n == 0 or (n == 3 and silent)}
    assert job.result["count"] == to_them.count() == 2 * (1 + silent)
    with pytest.raises(moving.NotMoved, match="last day to choose was"):
        choose(world, BookMove.objects.get(), third, True)
    with pytest.raises(moving.NotMoved, match="counted already"):
        moving.close(BookMove.objects.get(), by=world.goto, at=db_now())


@pytest.fixture
def carried(world, as_superuser, tmp_path):
    """The book of all who do not opt out, carried out; yen and the others' coins wait on the rehearsal rail."""
    move = announced(world)
    choose(world, move, claims_of(world)[3], False)
    closed(world, move, as_superuser)
    done(rounds.schedule(world.case, world.run, by=world.goto, at=db_now(), rails={"*": "rehearsal"}))
    batch = batches.draft(world.case, world.case.rounds.get(), "transferee", by=world.goto, at=db_now())
    batches.freeze(batch, by=world.goto, at=db_now())
    world.approve(batch)
    done(submissions.export(batch, by=world.goto, at=db_now()))
    submissions.carry_out(batch, by=world.goto, at=db_now())
    batch.refresh_from_db()
    carrying.write(batch, tmp_path)
    return batch


def answer(world, content):
    evidence.receive(world.case, "transferee", name="ack.json", data=content, by=world.goto, at=db_now())
    return done(settlement.settle(world.case, by=world.goto, at=db_now()))


def said(asked, customer, status, reason=""):
    key, digest, items = book.read(asked)
    entries = tuple(answers.Entry(one.reference, one.asset, one.amount) for one in items if book.customer_of(one) == customer)
    return answers.Answer(0, key, digest, customer, status, db_now(), "", reason, entries)


def test_the_book_goes_out_and_each_customer_is_acknowledged_or_comes_back(world, carried, tmp_path):
    (asked,) = (path.read_bytes() for path in tmp_path.glob("*[0-9].json"))
    first, second, third, fourth = (claim.number for claim in claims_of(world))
    assert [row["customer"] for row in json.loads(asked)["book"]] == [first, second, third]
    assert carried.items == 6 and set(carried.totals) == {"BTC", "ETH"}
    assert AssetReturn.objects.filter(rail="rehearsal").count() == 6  # yen of all, coins of the one who stays

    stranger = dataclasses.replace(said(asked, first, "acknowledged"), customer=fourth)
    with pytest.raises(evidence.NotReceived, match="is not in"):
        answer(world, answers.write([stranger]))
    answer(world, answers.write([said(asked, first, "acknowledged"), said(asked, second, "rejected", "under age"),
                                 said(asked, third, "received")]))  # fmt: skip

    def states(number):
        return set(AssetReturn.objects.filter(claim_line__claim__number=number, rail="transferee").values_list("state", flat=True))

    assert (states(first), states(second), states(third)) == ({"settled"}, {"scheduled"}, {"batched"})
    tie_out.require(world.case)
    job = answer(world, answers.write([said(asked, third, "acknowledged")]))
    assert job.result["ties"]
    answer(world, answers.write([said(asked, third, "returned", "the account was closed")]))
    assert states(third) == {"returned"}
    assert not EvidenceLine.objects.exclude(problem="").exists()
    assert Destination.objects.filter(network="transferee", state="revoked", claim__number=third).count() == 2
    carried.refresh_from_db()
    assert carried.state == "closed"
    tie_out.require(world.case)
    assert verify.verify(world.case)["first_bad"] is None


def test_a_book_that_nobody_acknowledges_is_in_doubt_and_two_people_end_it(world, carried, as_superuser):
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_submission SET sent_at = sent_at - %s", [Transferee().quiet_period * 2])

    tasks.tick()

    part = carried.submissions.get()
    assert part.state == "unknown"
    asked = corrections.find(
        world.case, part, "not_paid", reason="they never opened it", evidence=b"their letter", by=world.goto, at=db_now()
    )
    for user in (world.people.aoki, world.people.baba):
        sign(asked, user)
    assert set(AssetReturn.objects.filter(rail="transferee").values_list("state", flat=True)) == {"scheduled"}
    tie_out.require(world.case)


def test_the_persons_file_goes_with_a_book_only_and_every_making_of_it_is_in_the_record(world, carried, tmp_path):
    with pytest.raises(moving.NotMoved, match="to whom"):
        moving.hand_over_identities(carried, 1, reason="", by=world.goto, at=db_now())
    name, content = moving.hand_over_identities(carried, 1, reason="to Ito of SBI, on a sealed disk", by=world.goto, at=db_now())

    spoken = json.loads(content)
    (asked,) = (path.read_bytes() for path in tmp_path.glob("*[0-9].json"))
    assert name == f"{carried.reference}-1-identities.json"
    assert (spoken["people"], spoken["book_sha256"]) == ("3", json.loads(asked)["content_sha256"])
    assert [row["customer"] for row in spoken["customers"]] == [claim.number for claim in claims_of(world)[:3]]
    assert all(row["name"] for row in spoken["customers"])
    body = Event.objects.get(kind="move.identities_handed_over").body
    assert "sealed disk" in body and spoken["content_sha256"] in body and spoken["customers"][0]["name"] not in body
    with pytest.raises(moving.NotMoved, match="no book"):
        moving.hand_over_identities(carried, 2, reason="x", by=world.goto, at=db_now())
    with pytest.raises(NotEmpowered):
        moving.hand_over_identities(carried, 1, reason="x", by=world.people.chiba, at=db_now())


def test_what_goes_to_the_other_exchange_goes_on_no_other_rail(world, as_superuser):
    move = announced(world)
    closed(world, move, as_superuser)
    done(rounds.schedule(world.case, world.run, by=world.goto, at=db_now(), rails={"*": "rehearsal"}))

    assert set(AssetReturn.objects.values_list("rail", "asset__code")) == {
        ("transferee", "BTC"), ("transferee", "ETH"), ("rehearsal", "JPY")
    }  # fmt: skip
    AssetReturn.objects.update(rail="rehearsal")
    batch = batches.draft(world.case, world.case.rounds.get(), "rehearsal", by=world.goto, at=db_now())

    assert set(batch.totals) == {"JPY"}
    assert set(AssetReturn.objects.filter(state="held").values_list("held_by_gate", flat=True)) == {"rail"}
