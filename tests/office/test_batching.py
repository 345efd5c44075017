"""Batches as pages: what leaves, to how many, the largest ten, what is left out; frozen, signed, sent, voided."""

import hashlib

from django.urls import reverse

from administration.cases.models import ApprovalRequest
from administration.office.pages.approving import describe
from administration.returns import batches
from administration.returns.models import AssetReturn, Batch, BatchState, ReturnState
from administration.work.models import Job
from claims.destinations.models import Destination
from claims.register.models import Hold
from tests.cast import NOON
from tests.office.estate import _estate, aoki_at, estate, goto_at  # noqa: F401
from tests.returns.world import done


def draft_of(world, **changed):
    return {"round": "1", "rail": "rehearsal", "limit": "", "order": "", **changed}


def test_a_draft_says_what_it_would_take_and_what_it_would_keep_back_and_why(goto_at):  # noqa: F811
    world = goto_at.world
    world.scheduled()
    Destination.objects.filter(asset__code="JPY").update(state="revoked", revoked_at=NOON, revoke_reason="x")

    page = goto_at.look("draft/", **draft_of(world)).content.decode()

    assert "8 returns of round 1 are drafted" in page
    assert "no usable destination" in page
    assert not Batch.objects.exists()


def test_from_a_draft_to_the_request_for_signatures(goto_at):  # noqa: F811
    world = goto_at.world
    world.scheduled()

    drafted = goto_at.do("draft/", **draft_of(world))
    batch = Batch.objects.get()
    frozen = goto_at.do(f"batches/{batch.reference}/freeze/")

    request = ApprovalRequest.objects.get(act=batches.ACT)
    batch.refresh_from_db()
    assert drafted["Location"] == goto_at.at(f"batches/{batch.reference}/")
    assert frozen["Location"] == goto_at.at(f"approvals/{request.pk}/")
    assert batch.state == BatchState.FROZEN and batch.items == 12


def test_the_effect_of_a_batch_names_sums_people_the_largest_and_shared_destinations(goto_at):  # noqa: F811
    world = goto_at.world
    batch = world.drafted()

    page = goto_at.see(f"batches/{batch.reference}/freeze/").content.decode()

    assert "4,000 JPY" in page and "12.000\u202f000" in page
    assert "25.00 %" in page  # each of four claims has a quarter of each asset
    assert page.count("R0000") >= 10


def test_the_approvers_of_a_batch_are_shown_the_same_effect_with_the_hash_they_sign(goto_at):  # noqa: F811
    batch = goto_at.world.frozen()
    request = ApprovalRequest.objects.get(act=batches.ACT)

    effect = describe(request, goto_at.world.case)

    assert effect.content_sha256 == bytes(batch.manifest_sha256).hex()
    assert effect.moves_value
    assert ("Leaves: JPY", "4,000 JPY") in [(str(label), str(value)) for label, value in effect.figures]


def test_the_manifest_is_handed_out_byte_for_byte(goto_at):  # noqa: F811
    batch = goto_at.world.frozen()

    answer = goto_at.see(f"batches/{batch.reference}/manifest.json")

    assert hashlib.sha256(b"".join(answer.streaming_content)).digest() == bytes(batch.manifest_sha256)


def test_the_page_of_a_batch_offers_what_is_open_now_and_nothing_else(goto_at, aoki_at):  # noqa: F811
    world = goto_at.world
    batch = world.frozen()

    before = goto_at.see(f"batches/{batch.reference}/").content.decode()
    world.approve(batch)
    after = goto_at.see(f"batches/{batch.reference}/").content.decode()

    assert "Void the batch" in before and "Export and send" not in before
    assert "Export and send" in after and after.count("Aoki") + after.count("aoki") >= 1
    assert goto_at.see("batches/").status_code == 200


def test_an_approved_batch_is_exported_and_sent_by_one_press(goto_at):  # noqa: F811
    batch = goto_at.world.approved()

    shown = goto_at.see(f"batches/{batch.reference}/export/").content.decode()
    goto_at.do(f"batches/{batch.reference}/export/")

    assert "leaves the estate" in shown
    job = Job.objects.get(kind="returns.export")
    assert job.params["submit"] is True
    done(job)
    batch.refresh_from_db()
    assert batch.state == BatchState.EXPORTED
    page = goto_at.see(f"batches/{batch.reference}/").content.decode()
    assert "Send what is left" in page and "Hash over the exact bytes" in page
    part = batch.submissions.get()
    assert goto_at.see(f"batches/{batch.reference}/parts/1/1.payload").content == bytes(part.payload)
    assert goto_at.see(f"batches/{batch.reference}/parts/").status_code == 200
    assert goto_at.see(f"batches/{batch.reference}/send/").status_code == 200


def test_a_gate_that_closed_since_is_named_before_anything_is_exported(goto_at):  # noqa: F811
    world = goto_at.world
    batch = world.approved()
    claim = world.returns()[0].claim_line.claim
    Hold.objects.create(claim=claim, kind="attachment", reason="attached", next_look=NOON.date(), placed_by=world.goto, placed_at=NOON)

    page = goto_at.see(f"batches/{batch.reference}/export/").content.decode()

    assert "A gate has closed since the approval" in page and claim.number in page


def test_a_file_whose_gate_closed_is_refused_by_name_and_the_way_on_is_offered(goto_at, monkeypatch):  # noqa: F811
    world = goto_at.world
    batch = world.approved()
    claim = world.returns()[0].claim_line.claim
    Hold.objects.create(claim=claim, kind="attachment", reason="attached", next_look=NOON.date(), placed_by=world.goto, placed_at=NOON)
    monkeypatch.setattr("administration.rails.rehearsal.Rehearsal.needs_export", True)

    answer = goto_at.see(f"batches/{batch.reference}/export/")

    page = answer.content.decode()
    assert world.returns()[0].reference in page and "Void it and freeze again without them" in page
    assert not Job.objects.filter(kind="returns.export").exists()


def test_a_voided_batch_gives_its_returns_back_and_leads_to_the_next_draft(goto_at):  # noqa: F811
    batch = goto_at.world.approved()

    answer = goto_at.do(f"batches/{batch.reference}/void/", reason="a destination is doubted")

    batch.refresh_from_db()
    assert batch.state == BatchState.VOIDED
    assert answer["Location"] == goto_at.at("draft/")
    assert AssetReturn.objects.filter(state=ReturnState.SCHEDULED).count() == 12


def test_a_batch_of_another_case_does_not_exist(goto_at):  # noqa: F811
    assert goto_at.see("batches/OTHER-B01-001/").status_code == 404
    assert reverse("office:batch", kwargs={"reference": "T-1", "batch": "x"})
