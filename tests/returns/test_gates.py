"""What stands between a return and its going out, in one list for everybody."""

import datetime
import json

import pytest
from django.core.management import call_command

from administration.cases import stops
from administration.cases.models import CourtOrder, OrderStanding
from administration.fields import db_now
from administration.returns import batches, evidence, gates, matching
from administration.returns.models import AssetReturn, ReturnState
from claims.register.models import Hold
from tests.cast import LONG_AGO, sha
from tests.returns.test_batches import hold


@pytest.fixture
def first(world):
    world.scheduled()
    return world.returns()[0]


def closed(row):
    return gates.closed([row.pk])[row.pk]


def rail_says_paid(world, row):
    """A line that nothing of ours explains: no attempt was made yet."""
    said = {
        "line_ref": "1", "reference": row.reference, "key": "X/1", "kind": "settled", "asset": row.asset.code,
        "amount": str(row.amount), "at": "2026-11-20T10:00:00+09:00",
    }  # fmt: skip
    data = json.dumps(said).encode() + b"\n"
    evidence.receive(world.case, "rehearsal", name="said", data=data, by=world.goto, at=db_now())
    matching.run(world.case, by=world.goto, at=db_now())


def test_what_the_rail_says_it_paid_is_not_paid_again_before_that_is_explained(first, world):
    rail_says_paid(world, first)

    assert closed(first) == ["evidence"]
    batch = world.drafted()
    assert batch.items == 11
    assert AssetReturn.objects.get(pk=first.pk).held_by_gate == "evidence"


def test_a_return_with_nothing_against_it_is_free_to_go(first):
    assert closed(first) == []


def test_the_database_closes_gates_in_the_order_of_the_list(first, world, as_superuser):
    claim = first.claim_line.claim
    hold(world, claim, kind="sanctions")
    hold(world, claim, kind="dispute")
    hold(world, claim, kind="attachment")
    hold(world, claim, kind="deceased")
    stops.stop(world.case, reason="a doubt", by=world.people.baba, at=db_now())
    rail_says_paid(world, first)
    with as_superuser() as cursor:
        cursor.execute("UPDATE ledger_identity SET kyc_status = 'unverified'")
        cursor.execute("UPDATE destinations_destination SET state = 'revoked', revoked_at = now(), revoke_reason = 'x'")
        cursor.execute("UPDATE books_asset SET payable_step = 7 * 10^30")
        cursor.execute("UPDATE distribution_run SET state = 'withdrawn'")
        cursor.execute("UPDATE returns_assetreturn SET rail = ''")

    codes = [gate.code for gate in gates.GATES if gate.code not in ("tax", "order", "failure")]
    assert closed(first) == codes
    assert [gate.code for gate in gates.GATES] == [
        "identity", "sanctions", "tax", "destination", "hold", "lien", "dispute", "evidence", "failure", "minimum", "approval", "rail", "order",
        "stop",
    ]  # fmt: skip


def test_a_return_whose_order_was_stayed_does_not_go(first, world, as_superuser):
    order = CourtOrder.objects.create(
        case=world.case, number="1", issuer="court", issued_date=datetime.date(2026, 10, 5), scan_name="o.pdf",
        scan_sha256=sha("o"), permits=[], served_date=datetime.date(2026, 10, 6), registered_by=world.goto, registered_at=LONG_AGO,
    )  # fmt: skip
    OrderStanding.objects.create(order=order, standing="in_force", since=LONG_AGO, evidence_sha256=sha("s"), by=world.goto)
    with as_superuser() as cursor:
        cursor.execute("UPDATE destinations_destination SET order_id = %s", [order.pk])
    assert closed(first) == []

    OrderStanding.objects.create(order=order, standing="stayed", since=db_now(), evidence_sha256=sha("s"), by=world.goto)

    assert closed(first) == ["order"]


def test_a_batched_return_is_bound_to_its_own_destination(world, as_superuser):
    world.frozen()
    row = world.returns()[0]
    with as_superuser() as cursor:
        cursor.execute(
            "UPDATE destinations_destination SET state = 'revoked', revoked_at = now(), revoke_reason = 'x' WHERE id = %s",
            [row.destination_id],
        )
    world.give_destinations([row.claim_line.claim_id], version=2, asset=row.asset.code)

    assert "destination" in closed(row)


def test_a_frozen_batch_awaits_its_approval(world):
    batch = world.frozen()
    row = world.returns()[0]
    assert closed(row) == ["approval"]
    world.approve(batch)
    assert closed(row) == []


def test_held_returns_name_their_gate_and_go_once_it_opens(first, world):
    lien = hold(world, first.claim_line.claim)
    current = world.case.rounds.get()

    batches.hold(world.case, current, "rehearsal", by=world.goto, at=db_now())

    held = AssetReturn.objects.filter(state=ReturnState.HELD)
    assert set(held.values_list("held_by_gate", "claim_line__claim")) == {("lien", first.claim_line.claim_id)}
    Hold.objects.filter(pk=lien.pk).update(lifted_at=db_now(), lifted_by=world.goto, lift_reason="released")
    assert world.drafted().items == 12


def test_a_return_without_a_destination_waits_for_the_customer_and_then_goes(committed_world):
    world = committed_world
    world.scheduled()
    with pytest.raises(batches.NothingToBatch):
        world.drafted()
    batches.hold(world.case, world.case.rounds.get(), "rehearsal", by=world.goto, at=db_now())
    assert {row.state for row in world.returns()} == {"scheduled"}

    claim = world.case.claims.earliest("number")
    world.give_destinations([claim.pk])

    assert world.drafted().items == 3
    assert all(row.destination.claim_id == claim.pk for row in world.returns(state="batched"))


@pytest.fixture
def committed_world(committed, as_superuser):
    from tests.returns.world import build

    return build(as_superuser, claims_count=2, destinations=False)


# --- why ------------------------------------------------------------------------------------------------


def why(world, row):
    return gates.why(row.claim_line.claim.number, at=db_now())


def test_why_says_the_first_closed_gate_whose_move_it_is_and_until_when(first, world):
    hold(world, first.claim_line.claim)

    answer = why(world, first)

    assert set(answer) == {"claim", "office_sentence", "customer_sentence", "lines"}
    assert answer["office_sentence"] == "A third party's right is on the claim: attached by a creditor."
    assert answer["customer_sentence"] == "Somebody else has a right to your return; next update by 2026-12-24."
    line = answer["lines"][0]
    assert {"asset": "BTC", "gate": "lien", "owner": "office", "next_act": "Look at the attachment or pledge", "next_date": "2026-12-24"}.items() <= (
        line.items()
    )


@pytest.mark.parametrize(("kind", "confidential"), [("str", True), ("police", False), ("order", True)])
def test_a_confidential_reason_is_told_to_no_customer(first, world, kind, confidential):
    hold(world, first.claim_line.claim, kind=kind, confidential=confidential, reason="suspicious transaction report")

    answer = why(world, first)

    assert "suspicious" in answer["office_sentence"]
    assert answer["customer_sentence"] == "Your claim is under review; next update by 2026-12-24."
    shown = gates.for_customers(gates.of_claim(first.claim_line.claim, at=db_now())[0])
    assert shown["gate"] == "review"
    assert "suspicious" not in str(shown)
    assert kind not in str(shown)


def test_a_secret_hold_looks_to_the_customer_like_any_review(first, world):
    hold(world, first.claim_line.claim, kind="sanctions")
    open_answer = why(world, first)["customer_sentence"]
    hold(world, first.claim_line.claim, kind="str", confidential=True)

    assert why(world, first)["customer_sentence"] == open_answer


def test_why_follows_a_return_through_its_stages(world):
    world.scheduled()
    row = world.returns()[0]
    assert why(world, row)["customer_sentence"] == "Approved: your return will be sent with the next batch."
    world.exported()
    assert why(world, row)["office_sentence"] == "It is in batch T-1-B01-001 (exported)."
    assert why(world, row)["lines"][0]["gate"] == "batched"


def test_what_has_left_is_not_said_to_be_held_back(world):
    world.exported()
    row = world.returns()[0]
    hold(world, row.claim_line.claim)
    assert why(world, row)["lines"][0]["gate"] == "batched"


def test_a_destination_that_cools_off_is_nobodys_move(world, as_superuser):
    world.scheduled()
    row = world.returns()[0]
    with as_superuser() as cursor:
        cursor.execute(
            "UPDATE destinations_destination SET state = 'cooling', usable_from = '2099-01-02 03:00+00' WHERE id = %s",
            [row.destination_id],
        )
    answer = why(world, row)["lines"][0]
    assert (answer["gate"], answer["owner"], answer["next_date"]) == ("destination", "time", "2099-01-02")


def test_why_of_a_claim_before_its_round(world, as_superuser):
    """Nothing given, too little given, given: no return was made of any of them yet."""
    said = {}
    for given in (0, 1, 1000):
        with as_superuser() as cursor:
            cursor.execute("UPDATE books_asset SET payable_step = 2")
            cursor.execute("UPDATE register_position SET given = %s", [given])
        answer = gates.why(world.case.claims.earliest("number").number, at=db_now())
        said[given] = answer["lines"][0]["gate"], answer["customer_sentence"]
    assert said == {
        0: ("none", "Nothing has been distributed on this asset yet."),
        1: ("minimum", "The amount is too small to send now; it is added to the next round."),
        1000: ("given", "Your share is approved. The round in which it is sent is being prepared."),
    }


@pytest.mark.django_db
def test_an_unknown_claim_is_refused_with_a_sentence():
    with pytest.raises(gates.NoSuchClaim, match="There is no claim X-1"):
        gates.why("X-1", at=datetime.datetime.now(datetime.UTC))




def test_the_command_prints_the_object(first, capsys):
    call_command("why", first.claim_line.claim.number, "--json")
    assert '"gate": "scheduled"' in capsys.readouterr().out
