"""Evidence as pages: received once, matched, queued with its reason, corrected only under two signatures."""

import json

from django.core.files.uploadedfile import SimpleUploadedFile

from administration.cases.models import ApprovalRequest
from administration.office.pages.approving import describe
from administration.returns import corrections
from administration.returns.models import Attempt, AttemptState, Correction, Evidence, ReturnState
from administration.work.models import Job
from claims.destinations.models import Destination
from tests.office.estate import ACCEPTED, NO_ANSWER, _estate, aoki_at, estate, goto_at, sent  # noqa: F401
from tests.returns.world import done, sign


def line(row, ref, kind="settled", **changed):
    said = {
        "line_ref": str(ref), "kind": kind, "asset": row.asset.code, "amount": str(row.amount),
        "at": "2026-11-20T10:00:00+09:00", "reference": row.reference, "key": f"{row.batch.reference}/1" if row.batch else "",
        "reason": "account closed" if kind != "settled" else "", **changed,
    }  # fmt: skip
    return json.dumps(said, sort_keys=True, separators=(",", ":")) + "\n"


def statement(*lines):
    return SimpleUploadedFile("statement.jsonl", "".join(lines).encode())


def accepted(world):
    """An exported batch whose part the rail has taken."""
    batch = world.exported()
    sent(batch, ACCEPTED)
    return batch


def settle(goto_at):  # noqa: F811
    goto_at.do("evidence/settle/")
    done(Job.objects.filter(kind="returns.settle").latest("pk"))


def test_a_statement_is_uploaded_looked_at_and_taken_in_once(goto_at):  # noqa: F811
    world = goto_at.world
    accepted(world)
    text = line(world.returns()[0], 1).encode()

    goto_at.do("evidence/receive/", rail="rehearsal", file=SimpleUploadedFile("a.jsonl", text))
    again = goto_at.look("evidence/receive/", rail="rehearsal", file=SimpleUploadedFile("b.jsonl", text))

    assert Evidence.objects.count() == 1
    assert "received before" in again.content.decode()
    assert "a.jsonl" in goto_at.see("evidence/").content.decode()


def test_a_broken_statement_is_refused_with_the_line_and_nothing_of_it_is_taken(goto_at):  # noqa: F811
    world = goto_at.world
    accepted(world)
    text = line(world.returns()[0], 1).encode()[:-20]

    answer = goto_at.do("evidence/receive/", rail="rehearsal", file=SimpleUploadedFile("cut.jsonl", text))

    assert answer.status_code == 409 and "line 1" in answer.content.decode()
    assert not Evidence.objects.exists()


def test_settling_applies_what_is_beyond_doubt_and_queues_the_rest_with_its_reason(goto_at):  # noqa: F811
    world = goto_at.world
    accepted(world)
    one, two = world.returns()[:2]
    goto_at.do("evidence/receive/", rail="rehearsal", file=statement(line(one, 1), line(two, 2, amount="1")))

    settle(goto_at)

    one.refresh_from_db()
    assert one.state == ReturnState.SETTLED
    queued = goto_at.see("evidence/lines/", match="queued").content.decode()
    assert "not that of the return" in queued and two.reference in queued
    assert one.reference in goto_at.see("evidence/lines/", match="applied").content.decode()
    row = world.case.evidence.get().lines.exclude(problem="").get()
    page = goto_at.see(f"evidence/lines/{row.pk}/").content.decode()
    assert "differs" in page and "Suggested next step" in page
    board = goto_at.see("exceptions/").content.decode()
    assert "not that of the return" in board and "Compare and decide" in board


def test_a_correction_is_proposed_with_reason_and_paper_and_its_signers_see_what_the_rail_says(goto_at):  # noqa: F811
    world = goto_at.world
    accepted(world)
    row = world.returns()[0]
    goto_at.do("evidence/receive/", rail="rehearsal", file=statement(line(row, 1, "refused")))
    settle(goto_at)
    goto_at.do("evidence/receive/", rail="rehearsal", file=statement(line(row, 2)))
    settle(goto_at)
    attempt = Attempt.objects.get(asset_return=row)
    assert attempt.state == AttemptState.REFUSED

    answer = goto_at.do(
        f"reversals/attempt/{attempt.pk}/", reason="the bank paid it", paper=SimpleUploadedFile("letter.pdf", b"letter")
    )

    request = ApprovalRequest.objects.get(act=corrections.ACT)
    assert answer["Location"] == goto_at.at(f"approvals/{request.pk}/")
    effect = describe(request, world.case)
    said = " ".join(str(value) for _label, value in effect.figures)
    assert "the bank paid it" in said and row.reference in said and effect.tables[0].rows
    assert Correction.objects.get().applied_at is None
    for signer in (world.people.aoki, world.people.baba):
        sign(request, signer)
    row.refresh_from_db()
    assert row.state == ReturnState.SETTLED
    assert "the bank paid it" in goto_at.see("reversals/").content.decode()
    story = goto_at.see(f"returns/{row.reference}/").content.decode()
    assert "Corrected under two signatures" in story


def test_a_correction_without_its_paper_is_not_asked_for(goto_at):  # noqa: F811
    world = goto_at.world
    accepted(world)
    row = world.returns()[0]
    goto_at.do("evidence/receive/", rail="rehearsal", file=statement(line(row, 1, "refused")))
    settle(goto_at)

    answer = goto_at.look(f"reversals/attempt/{Attempt.objects.get(asset_return=row).pk}/", reason="the statement has it")

    assert answer.status_code == 400
    assert not Correction.objects.exists()


def test_what_is_in_doubt_on_a_rail_that_is_called_again_is_not_for_people_yet(goto_at):  # noqa: F811
    part = sent(goto_at.world.exported(), NO_ANSWER)

    answer = goto_at.see(f"reversals/submission/{part.pk}/found/")

    assert "may still be on its way" in answer.content.decode()
    queue = goto_at.see("exceptions/").content.decode()
    assert "Unknown outcome" in queue and "Say what became of it" not in queue


def test_what_came_back_waits_for_a_person_and_is_scheduled_again_to_another_destination(goto_at):  # noqa: F811
    world = goto_at.world
    accepted(world)
    row = world.returns()[0]
    goto_at.do("evidence/receive/", rail="rehearsal", file=statement(line(row, 1), line(row, 2, "returned")))
    settle(goto_at)
    row.refresh_from_db()
    assert row.state == ReturnState.RETURNED
    before = goto_at.see("exceptions/").content.decode()
    assert "Ask the customer for another destination" in before
    assert not Destination.objects.filter(pk=row.destination_id, state="usable").exists()

    world.give_destinations([row.claim_line.claim_id], version=2, asset=row.asset.code)
    assert "Schedule it again" in goto_at.see("exceptions/").content.decode()
    goto_at.do(f"returns/{row.reference}/again/")

    story = goto_at.see(f"returns/{row.reference}/").content.decode()
    assert row.followed_by.get().reference in story and "Came back: owed again" in story


def test_the_lists_of_over_payments_and_corrections_say_when_there_is_nothing(goto_at):  # noqa: F811
    assert "Nothing here yet" in goto_at.see("overpayments/").content.decode()
    assert "Nothing here yet" in goto_at.see("reversals/").content.decode()
