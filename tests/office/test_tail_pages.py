"""The tail as pages: deposits, over-payments, forced sales, reminders, rounds closed, failed returns released."""

import datetime

from django.core.files.uploadedfile import SimpleUploadedFile

from administration.cases import orders
from administration.cases.models import ApprovalRequest
from administration.fields import db_now
from administration.office.pages.approving import describe
from administration.returns import after_cutoff, closing, depositing, failures, forfeiting, overpayments, sales
from administration.returns.models import DepositFiling, ForcedSale, Overpayment
from claims.notices.models import Notice
from tests.office.estate import _estate, aoki_at, estate, goto_at  # noqa: F401
from tests.office.test_evidencing import accepted, line, settle, statement
from tests.returns.late import came_in
from tests.returns.world import sign, tampering


def paper(name="paper.pdf"):
    return SimpleUploadedFile(name, b"a paper")


def approve(world, act):
    """What the signers are shown says its figures; then both sign."""
    request = ApprovalRequest.objects.filter(case=world.case, act=act, state="open").latest("pk")
    shown = describe(request, world.case)
    assert shown.figures and shown.content_sha256
    for user in (world.people.aoki, world.people.baba):
        sign(request, user)


def test_an_application_goes_from_the_form_to_the_receipt(goto_at):  # noqa: F811
    world = goto_at.world
    claim = world.case.claims.order_by("number")[0]
    said = {"ground": "refused", "claims": claim.number, "office": "東京法務局", "facts": "refused", "first_paper": paper()}
    looked = goto_at.look("deposits/propose/", **said).content.decode()
    assert "to be confirmed" in looked and "JPY" in looked
    goto_at.do("deposits/propose/", **{**said, "first_paper": paper()})
    filing = DepositFiling.objects.get()
    approve(world, depositing.ACT)
    assert goto_at.client.get(goto_at.at(f"deposits/{filing.pk}/file/")).status_code == 404
    goto_at.do(f"deposits/{filing.pk}/hand-out/")
    answer = goto_at.client.get(goto_at.at(f"deposits/{filing.pk}/file/"))
    assert claim.number in answer.content.decode("utf-8-sig")
    wrong = goto_at.do(f"deposits/{filing.pk}/lodge/", numbers="C1 5", deposited_on="2026-11-20", receipt=paper())
    assert wrong.status_code == 409
    goto_at.do(
        f"deposits/{filing.pk}/lodge/", numbers=f"{claim.number} 令和8年度金第12号", deposited_on="2026-11-20", receipt=paper()
    )
    page = goto_at.see(f"deposits/{filing.pk}/").content.decode()
    assert "令和8年度金第12号" in page and "Carried out" in page
    assert "1,000 JPY" in goto_at.see("deposits/").content.decode()


def test_an_overpayment_is_recovered_on_its_page(goto_at):  # noqa: F811
    world = goto_at.world
    accepted(world)
    row = world.returns(asset__code="JPY")[0]
    goto_at.do("evidence/receive/", rail="rehearsal", file=statement(line(row, 1), line(row, 2)))
    settle(goto_at)
    waiting = world.case.evidence.get().lines.get(problem="settled_twice")
    assert "Record the over-payment" in goto_at.see(f"evidence/lines/{waiting.pk}/").content.decode()
    goto_at.do(f"evidence/lines/{waiting.pk}/recognise/")
    made = Overpayment.objects.get()
    goto_at.do(f"overpayments/{made.pk}/ask/", channel="post")
    goto_at.do(f"overpayments/{made.pk}/refund/", amount="600", paper=paper())
    refused = goto_at.look(f"overpayments/{made.pk}/refund/", amount="1.5", paper=paper())
    assert "is not an amount of JPY" in refused.content.decode()
    goto_at.do(f"overpayments/{made.pk}/write-off/", reason="gone", paper=paper())
    approve(world, overpayments.WRITE_OFF)
    made.refresh_from_db()
    assert (made.open, Notice.objects.get().kind) == (0, "refund_request")
    assert "Written off" in goto_at.see(f"overpayments/{made.pk}/").content.decode()
    assert "Net it" not in goto_at.see(f"overpayments/{made.pk}/").content.decode()


def test_who_is_not_reached_is_reminded_and_their_coins_are_sold_by_order(goto_at):  # noqa: F811
    world = goto_at.world
    claim = world.case.claims.order_by("number")[0]
    with tampering() as cursor:
        cursor.execute(
            "UPDATE destinations_destination SET state = 'revoked', revoked_at = now(), revoke_reason = 'x',"
            " proposed_at = proposed_at - interval '2 years' WHERE claim_id = %s",
            [claim.pk],
        )
    for _n in range(3):
        goto_at.do("reaching/remind/", channel="post")
        with tampering() as cursor:
            cursor.execute("UPDATE notices_notice SET sent_at = sent_at - interval '100 days'")
    page = goto_at.see("reaching/").content.decode()
    assert claim.number in page and "unreachable" in page and "Letters for the printer" in page
    assert claim.number in goto_at.client.get(goto_at.at("reaching/letters/?first=1&last=3")).content.decode()

    order = orders.register(
        world.case, number="7", issuer="Court", issued_date=datetime.date(2026, 11, 1), scan=b"o", scan_name="o.pdf",
        permits=[sales.PERMITS, forfeiting.PERMITS, closing.PERMITS], served_date=datetime.date(2026, 11, 1), by=world.goto, at=db_now(),
    )  # fmt: skip
    said = {"asset": world.assets["BTC"].pk, "into": world.assets["JPY"].pk, "ground": "unreachable", "claims": claim.number, "facts": "x"}
    goto_at.do("sales/propose/", **said, order=order.pk)
    approve(world, sales.ACT)
    sale = ForcedSale.objects.get()
    goto_at.do(f"sales/{sale.pk}/sold/", gross="20000001", fees="1", venue="X", sold_at="2026-11-20T10:00", paper=paper())
    page = goto_at.see(f"sales/{sale.pk}/").content.decode()
    assert "20,000,001 JPY" in page and "10,000,000 JPY" in page
    assert f"/sales/{sale.pk}/" in goto_at.see("sales/").content.decode()
    refused = goto_at.do("reaching/forfeit/", claims=claim.number, facts="x", order=order.pk)
    assert refused.status_code == 409


def test_a_round_is_closed_on_its_page_and_a_failed_return_released(goto_at):  # noqa: F811
    world = goto_at.world
    accepted(world)
    with tampering() as cursor:
        cursor.execute("DELETE FROM returns_failurereason WHERE rail <> ''")
    rows = world.returns()
    said = [line(row, n) for n, row in enumerate(rows[1:], start=2)]
    goto_at.do("evidence/receive/", rail="rehearsal", file=statement(line(rows[0], 1, "refused", reason="sanctions"), *said))
    settle(goto_at)
    page = goto_at.see("exceptions/").content.decode()
    assert rows[0].reference in page and "Stopped by sanctions" in page and "Ask two people to release it" in page
    assert "neither settled nor cancelled" in goto_at.see("ending/").content.decode()
    assert goto_at.see(f"rounds/{world.case.rounds.get().number}/close/").status_code == 200
    goto_at.do(f"returns/{rows[0].reference}/release/", rail="rehearsal", reason="cleared")
    approve(world, failures.ACT)
    accepted(world)
    assert "Tried again after" in goto_at.see(f"returns/{rows[0].reference}/").content.decode()
    goto_at.do("evidence/receive/", rail="rehearsal", file=statement(line(world.returns()[0], 50)))
    settle(goto_at)
    goto_at.do(f"rounds/{world.case.rounds.get().number}/close/")
    page = goto_at.see("ending/").content.decode()
    assert "closed" in page and "Propose what becomes of it" in page


def test_what_came_in_after_the_cut_off_goes_back_from_its_page(goto_at):  # noqa: F811
    world = goto_at.world
    came_in(world.case, ("A0001", "JPY", 3000), ("A0002", "BTC", -5), ("A99", "JPY", 1))
    shown = goto_at.see("around-cutoff/").content.decode()
    assert "Return it in full" in shown and "3,000" in shown
    assert "Nobody lists this account" in shown and "nothing is set off" in shown

    said = {"assets": [world.assets["JPY"].pk], "facts": "looked at the bank"}
    looked = goto_at.look("around-cutoff/return/", **said).content.decode()
    assert "3,000 JPY go back in full" in looked and "4,000 JPY" in looked and "1,000 JPY" in looked
    goto_at.do("around-cutoff/return/", **said)
    assert "L1" in goto_at.see("around-cutoff/").content.decode()
    approve(world, after_cutoff.ACT)
    shown = goto_at.see("around-cutoff/").content.decode()
    assert "Carried out" in shown and "Return it in full" not in shown
    claim = world.case.claims.get(ledger_account__account_ref="A0001")
    page = goto_at.see(f"claims/{claim.number}/").content.decode()
    assert "received after the cut-off: returned in full" in page and "the round that sends it is not scheduled yet" in page
    came_in(world.case, ("A0003", "JPY", 9999))
    assert "are short" in goto_at.look("around-cutoff/return/", **said).content.decode()
