"""Batches: drafted from what is free to go, frozen under a manifest, approved by its hash."""

import hashlib
import json

import pytest
from django.db import connection

from administration.cases import approvals, stops
from administration.cases.appointments import NotEmpowered
from administration.cases.models import ApprovalRequest, RequestState
from administration.fields import db_now
from administration.rails.rehearsal import Rehearsal
from administration.record.encoding import canonical
from administration.record.models import Event
from administration.returns import batches, submissions
from administration.returns.models import AssetReturn, Attempt, Batch, BatchState, Manifest, ReturnState, Submission
from claims.register import tie_out
from claims.register.models import Position
from tests.returns.world import done, sign


def test_a_batch_holds_what_is_free_to_go_in_parts_the_rail_can_carry(world, monkeypatch):
    monkeypatch.setattr(Rehearsal, "max_items", 5)
    batch = world.drafted()

    assert (batch.items, batch.parts) == (12, 3)
    assert batch.totals == {"BTC": str(8 * 10**8), "ETH": str(12 * 10**18), "JPY": "4000"}
    rows = world.returns()
    assert [row.part for row in rows] == [1] * 5 + [2] * 5 + [3] * 2
    assert {row.state for row in rows} == {"batched"}


def test_what_does_not_fit_waits_for_the_next_batch(world):
    first, second = world.drafted(limit=7), world.drafted()

    assert (first.items, second.items) == (7, 5)
    with pytest.raises(batches.NothingToBatch, match="why CLAIM"):
        world.drafted()
    assert [batch.reference for batch in Batch.objects.order_by("pk")] == ["T-1-B01-001", "T-1-B01-002"]


def test_a_batch_looks_at_the_gates_of_few_more_returns_than_it_takes(world):
    world.scheduled()
    rows = world.returns()
    hold(world, rows[0].claim_line.claim)  # three of the twelve
    looked_at = []

    def watch(execute, sql, params, many, context):
        if sql.lstrip().startswith("WITH g AS"):
            bounds = {"reference__gt": params["after"], "reference__lte": params["through"]}
            looked_at.append([row.reference for row in world.returns(state__in=["scheduled", "held"], **bounds)])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        first = world.drafted(limit=4)
        assert looked_at == [[row.reference for row in rows[:4]], [row.reference for row in rows[4:7]]]
        second = world.drafted(limit=4)

    assert (first.items, second.items) == (4, 4)
    assert looked_at[2:] == [[row.reference for row in rows[:3] + rows[7:8]], [row.reference for row in rows[8:11]]]
    assert [(row.state, row.held_by_gate) for row in world.returns()][::3] == [
        ("held", "lien"), ("batched", ""), ("batched", ""), ("batched", "")
    ]  # fmt: skip
    assert world.drafted().items == 1


def test_the_manifest_is_canonical_json_of_everything_the_batch_says(world):
    batch = world.frozen()
    rows = AssetReturn.objects.select_related("asset", "destination", "claim_line__claim").order_by("reference")
    expected = canonical(
        {
            "case": "T-1",
            "batch": "T-1-B01-001",
            "rail": "rehearsal",
            "rail_version": "1",
            "round": 1,
            "policy": {},
            "totals": batch.totals,
            "items": [
                {
                    "reference": row.reference,
                    "claim": row.claim_line.claim.number,
                    "asset": row.asset.code,
                    "amount": row.amount,
                    "destination": bytes(row.destination.fingerprint).hex(),
                    "network": row.destination.network,
                    "part": row.part,
                }
                for row in rows
            ],
        }
    )

    body = Manifest.objects.get().body
    assert body == expected
    assert bytes(batch.manifest_sha256) == hashlib.sha256(body.encode()).digest() == batches.content(batch.pk)


def test_odd_names_are_escaped_as_json_demands(world, as_superuser):
    with as_superuser() as cursor:
        cursor.execute("UPDATE books_asset SET code = E'J\"\\\\\\u00a5\\n日' WHERE code = 'JPY'")
    world.frozen()

    body = Manifest.objects.get().body
    assert canonical(json.loads(body)) == body


def test_freezing_asks_for_approval_of_the_manifest(world):
    batch = world.frozen()

    asked = ApprovalRequest.objects.get(act="returns.batch")
    assert (asked.object_id, asked.content_sha256, asked.signers, asked.office_holder) == (
        batch.pk, batch.manifest_sha256, 2, True
    )  # fmt: skip
    assert Event.objects.filter(kind="batch.frozen").get().body.count(bytes(batch.manifest_sha256).hex()) == 1
    assert approvals.find("T-1-B01-001") == asked


def test_only_a_draft_can_be_frozen_and_by_who_drafted_it(world):
    batch = world.drafted()
    with pytest.raises(batches.NotADraft, match="drafted by goto"):
        batches.freeze(batch, by=world.people.aoki, at=db_now())
    batches.freeze(batch, by=world.goto, at=db_now())
    with pytest.raises(batches.NotADraft, match="no longer a draft"):
        batches.freeze(batch, by=world.goto, at=db_now())


def test_with_the_last_signature_the_batch_is_approved(world):
    batch = world.approved()

    assert batch.state == BatchState.APPROVED
    assert batches.can_still_move(batch.pk)


def test_nobody_signs_a_batch_that_was_tampered_with(world, as_superuser):
    batch = world.frozen()
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_assetreturn SET amount = amount - 1 WHERE id = (SELECT min(id) FROM returns_assetreturn)")

    sign(ApprovalRequest.objects.get(act="returns.batch"), world.people.aoki)

    batch.refresh_from_db()
    assert batch.state == BatchState.FROZEN
    assert ApprovalRequest.objects.get(act="returns.batch").state == RequestState.STALE


def test_a_voided_batch_gives_its_returns_back(world):
    batch = world.approved()

    batches.void(batch, reason="wrong value date", by=world.goto, at=db_now())

    assert {row.state for row in world.returns()} == {"scheduled"}
    assert world.frozen().items == 12
    tie_out.require(world.case)


def test_a_rejected_batch_is_voided(world):
    batch = world.frozen()
    asked = ApprovalRequest.objects.get(act="returns.batch")

    approvals.reject(asked, by=world.people.baba, at=db_now(), reason="one amount looks odd")

    batch.refresh_from_db()
    assert batch.state == BatchState.VOIDED
    assert {row.state for row in world.returns()} == {"scheduled"}


def test_what_has_begun_to_leave_is_not_voided(world):
    batch = world.exported()
    with pytest.raises(batches.NotVoided, match="cannot be voided"):
        batches.void(batch, reason="too late", by=world.goto, at=db_now())


def test_nothing_is_drafted_while_sending_is_stopped(world):
    world.scheduled()
    stops.stop(world.case, reason="a doubt", by=world.people.baba, at=db_now())
    with pytest.raises(stops.Stopped):
        world.drafted()


def test_batches_are_for_those_with_the_power(world):
    current = world.scheduled()
    with pytest.raises(NotEmpowered):
        batches.draft(world.case, current, "rehearsal", by=world.people.fujii, at=db_now())
    batch = world.drafted()
    for act in (batches.freeze, submissions.export):
        with pytest.raises(NotEmpowered):
            act(batch, by=world.people.fujii, at=db_now())


def test_export_makes_the_exact_bytes_and_puts_the_amounts_in_flight(world, monkeypatch):
    monkeypatch.setattr(Rehearsal, "max_items", 5)
    batch = world.exported()

    assert batch.state == BatchState.EXPORTED
    parts = list(Submission.objects.order_by("part"))
    assert [(part.items, part.state, part.rail_key) for part in parts] == [
        (5, "prepared", "T-1-B01-001/1"), (5, "prepared", "T-1-B01-001/2"), (2, "prepared", "T-1-B01-001/3")
    ]  # fmt: skip
    said = [item for part in parts for item in json.loads(bytes(part.payload))["items"]]
    assert [(item["reference"], item["amount"]) for item in said] == [(row.reference, str(row.amount)) for row in world.returns()]
    assert {item["destination"]["to"] for item in said} == {row.destination.details["to"] for row in world.returns()}
    assert Attempt.objects.filter(state="pending", holds_return_id__isnull=False).count() == 12
    assert not Position.objects.exclude(scheduled=0).exists()
    tie_out.require(world.case)


def test_only_an_approved_batch_is_exported(world):
    batch = world.frozen()
    with pytest.raises(submissions.NotExported, match="Only an approved batch"):
        submissions.export(batch, by=world.goto, at=db_now())
    assert not Attempt.objects.exists()


def test_on_single_requests_what_may_not_go_is_held_and_the_rest_goes(world):
    batch = world.approved()
    hold(world, world.returns()[0].claim_line.claim)

    done(submissions.export(batch, by=world.goto, at=db_now()))

    held = AssetReturn.objects.filter(state=ReturnState.HELD)
    assert set(held.values_list("held_by_gate", "batch")) == {("lien", None)}
    assert (held.count(), Attempt.objects.count()) == (3, 9)
    tie_out.require(world.case)


def test_a_file_goes_whole_or_not_at_all(world, monkeypatch):
    monkeypatch.setattr(Rehearsal, "needs_export", True)
    batch = world.approved()
    first = world.returns()[0]
    hold(world, first.claim_line.claim)

    with pytest.raises(submissions.NotExported, match=rf"{first.reference} \(lien\).*Void it and freeze again"):
        submissions.export(batch, by=world.goto, at=db_now())

    assert not Attempt.objects.exists()
    assert {row.state for row in world.returns()} == {"batched"}


def test_a_rail_without_signatures_takes_none(world):
    world.exported()
    with pytest.raises(submissions.NotSent, match="needs no signature"):
        submissions.import_signed(Submission.objects.get(), b"", by=world.goto, at=db_now())


def test_what_was_never_sent_can_be_declined(world, monkeypatch):
    monkeypatch.setattr(Rehearsal, "max_items", 5)
    batch = world.exported()

    assert submissions.decline(batch, reason="the successor does not want it", by=world.goto, at=db_now()) == 12

    assert set(Submission.objects.values_list("state", flat=True)) == {"dead"}
    assert set(AssetReturn.objects.values_list("state", "batch")) == {("scheduled", None)}
    assert not Attempt.objects.exclude(state="dead", holds_return_id=None).exists()
    tie_out.require(world.case)
    assert world.exported().items == 12


def hold(world, claim, **how):
    from claims.register.models import Hold

    return Hold.objects.create(
        **{
            "claim": claim, "kind": "attachment", "reason": "attached by a creditor", "next_look": "2026-12-24",
            "placed_by": world.goto, "placed_at": db_now(), **how,
        }
    )  # fmt: skip
