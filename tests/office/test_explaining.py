"""Explaining a line of evidence as pages: from the exception to the signature, in both languages."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from administration.books import books
from administration.books.models import Entry
from administration.cases.models import ApprovalRequest
from administration.fields import db_now
from administration.office.pages.approving import describe
from administration.returns import explaining
from administration.returns.models import AssetReturn, EvidenceLine, Explanation, Overpayment, ReturnState
from tests.office.estate import _estate, aoki_at, estate, goto_at  # noqa: F401
from tests.office.test_evidencing import accepted, line, settle, statement
from tests.returns.world import sign


def letter():
    return SimpleUploadedFile("letter.pdf", b"letter of the rail")


@pytest.fixture
def waiting(goto_at):  # noqa: F811
    """A return that was refused and waits again, and a line that says another part of ours paid it."""
    world = goto_at.world
    accepted(world)
    row = world.returns(asset__code="JPY")[0]
    goto_at.do("evidence/receive/", rail="rehearsal", file=statement(line(row, 1, "refused")))
    settle(goto_at)
    goto_at.do("evidence/receive/", rail="rehearsal", file=statement(line(row, 2, key="T-1-B09-001/1")))
    settle(goto_at)
    return EvidenceLine.objects.get(problem="no_attempt")


def explained(goto_at, waiting, kind, **more):  # noqa: F811
    answer = goto_at.do(f"evidence/lines/{waiting.pk}/explain/", kind=kind, reason="the rail wrote to us", paper=letter(), **more)
    request = ApprovalRequest.objects.get(act=explaining.ACT, state="open")
    assert answer["Location"] == goto_at.at(f"approvals/{request.pk}/")
    return request


def test_from_the_queue_to_the_second_signature(goto_at, aoki_at, waiting):  # noqa: F811
    assert "two people explain the line" in goto_at.see("exceptions/").content.decode()
    assert "Explain it" in goto_at.see(f"evidence/lines/{waiting.pk}/").content.decode()
    form = goto_at.see(f"evidence/lines/{waiting.pk}/explain/").content.decode()
    assert "reached no claimant of ours" in form and "The booking" not in form

    looked = goto_at.look(f"evidence/lines/{waiting.pk}/explain/", kind="paid", reason="x", paper=letter()).content.decode()
    assert "cancelled: the rest rides with the next round" in looked and "1,000 JPY" in looked
    request = explained(goto_at, waiting, "paid")
    assert "waits for signatures" in goto_at.see(f"evidence/lines/{waiting.pk}/").content.decode()

    shown = describe(request, goto_at.world.case)
    said = " ".join(str(value) for _label, value in shown.figures)
    assert waiting.reference in said and "the rail wrote to us" in said and shown.moves_value
    assert "counts as returned" in " ".join(map(str, shown.warnings))
    assert "Sign: this is what it was" in aoki_at.see(f"approvals/{request.pk}/").content.decode()
    for signer in (goto_at.world.people.aoki, goto_at.world.people.baba):
        sign(request, signer)

    assert AssetReturn.objects.get(reference=waiting.reference).state == ReturnState.CANCELLED
    page = goto_at.see(f"evidence/lines/{waiting.pk}/").content.decode()
    assert "The claimant received it" in page and "the rail wrote to us" in page and "Recover it" in page
    listed = goto_at.see("explanations/").content.decode()
    assert "The claimant received it" in listed and "Carried out" in listed
    assert aoki_at.see(f"approvals/{request.pk}/").status_code == 200


def test_what_nobody_of_ours_received_is_recovered_on_a_page_without_a_claim(goto_at, waiting):  # noqa: F811
    request = explained(goto_at, waiting, "taken")
    for signer in (goto_at.world.people.aoki, goto_at.world.people.baba):
        sign(request, signer)

    over = Overpayment.objects.get()
    page = goto_at.see(f"overpayments/{over.pk}/").content.decode()
    assert "from whoever took them" in page and "Net it" not in page and "Ask for it" not in page
    assert "whoever took it owes it back" in goto_at.see("exceptions/").content.decode()
    assert waiting.reference in goto_at.see("overpayments/").content.decode()
    assert goto_at.see(f"overpayments/{over.pk}/net/").status_code == 404
    goto_at.do(f"overpayments/{over.pk}/refund/", amount="", paper=letter())
    over.refresh_from_db()
    assert over.open == 0


def test_a_fee_is_explained_by_the_booking_that_has_it(goto_at):  # noqa: F811
    world = goto_at.world
    accepted(world)
    row = world.returns(asset__code="JPY")[0]
    goto_at.do("evidence/receive/", rail="rehearsal", file=statement(line(row, 1, reference="R0000000000", amount="440")))
    settle(goto_at)
    fee = EvidenceLine.objects.get(problem="no_such_return")
    entered = {"kind": "booked", "reason": "a fee", "paper": letter()}
    books.post(world.case, "cost_free", idem_key="fee", lines=[(row.asset, 440)], subject=world.case, by=world.goto, at=db_now())
    assert "Name the booking" in goto_at.look(f"evidence/lines/{fee.pk}/explain/", **entered).content.decode()

    request = explained(goto_at, fee, "booked", entry=Entry.objects.get(idem_key="fee").pk)

    assert "fee or cost" in " ".join(str(value) for _label, value in describe(request, world.case).figures)


def test_what_waits_for_no_explanation_has_no_such_page(goto_at, waiting):  # noqa: F811
    request = explained(goto_at, waiting, "nothing_moved")
    for signer in (goto_at.world.people.aoki, goto_at.world.people.baba):
        sign(request, signer)

    assert "waits for no explanation" in goto_at.see(f"evidence/lines/{waiting.pk}/explain/").content.decode()
    assert "Explain it" not in goto_at.see(f"evidence/lines/{waiting.pk}/").content.decode()
    assert goto_at.see("evidence/lines/999999/explain/").status_code == 404
    assert waiting.reference not in goto_at.see("evidence/lines/", match="queued").content.decode()
    assert Explanation.objects.get().state == "done"


def test_the_pages_say_it_in_japanese(goto_at, aoki_at, waiting):  # noqa: F811
    for desk in (goto_at, aoki_at):
        desk.client.cookies["office_language"] = "ja"
    assert "2名がこの行を説明します" in goto_at.see("exceptions/").content.decode()
    form = goto_at.see(f"evidence/lines/{waiting.pk}/explain/").content.decode()
    assert "それは何でしたか" in form and "本件の債権者には届いていない" in form
    request = explained(goto_at, waiting, "nothing_moved")
    page = aoki_at.see(f"approvals/{request.pk}/").content.decode()
    assert "二重の支払いになります" in page and "署名する" in page
    assert "何も動いていない" in goto_at.see("explanations/").content.decode()
