"""The tail: deposits with the Bureau, over-payments, forced sales, what nobody claims, closing and residue."""

import csv
import datetime
import io

import pytest
from django.db import DatabaseError, connection, transaction

from administration.books import books
from administration.cases import orders
from administration.cases.models import ApprovalRequest
from administration.fields import db_now
from administration.record import verify
from administration.record.models import Event
from administration.returns import (
    apart,
    closing,
    depositing,
    failures,
    forfeiting,
    gates,
    overpayments,
    reaching,
    rounds,
    sales,
)
from administration.returns.depositing import NotDeposited, Paper
from administration.returns.models import (
    CourtDeposit,
    DepositFiling,
    EvidenceLine,
    ForcedSale,
    Overpayment,
    Recovery,
    ReturnState,
    RoundClosing,
    TailState,
)
from claims.notices.models import Notice
from claims.register import holds, positions, review, tie_out
from claims.register.models import Claim, ClaimLine, Position
from tests.returns.test_evidence import batch, line, receive, settle  # noqa: F401  a fixture
from tests.returns.test_misuse import app, owner  # noqa: F401  fixtures
from tests.returns.world import done, sign, tampering

TODAY = datetime.date(2026, 11, 20)
TENDER = Paper("tender_and_refusal", "letter.pdf", b"refused")


def kept():
    """What the database looks at when an act commits, looked at now; and both statements tie."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def refused(rule, act, *args, **said):
    """The act, or what the database looks at when it commits, is refused by that rule."""

    def whole():
        with transaction.atomic():
            act(*args, **said)
            kept()

    with pytest.raises(DatabaseError, match=rule):
        whole()


def run(sql, params):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def post(world, kind, asset, subject):
    """One unit posted beside every act: it does not last to the commit."""
    said = {"idem_key": "x", "lines": [(asset, 1)], "subject": subject, "by": world.goto, "at": db_now()}
    refused("entry_rests_on_its_row", books.post, world.case, kind, **said)


def ties(world):
    kept()
    found = tie_out.tie_out(world.case)
    assert found["ok"], found
    return {row["code"]: row for row in found["assets"]}


def approve(world, request):
    sign(request, world.people.aoki)
    sign(request, world.people.baba)
    kept()


def claims_of(world):
    return list(Claim.objects.filter(case=world.case).order_by("number"))


def an_order(world, permits):
    return orders.register(
        world.case, number=f"2026 {permits}", issuer="Tokyo District Court", issued_date=TODAY, scan=b"order", scan_name="o.pdf",
        permits=[permits], served_date=datetime.date(2026, 11, 1), by=world.goto, at=db_now(),
    )  # fmt: skip


def proposed(world, claims, **change):
    said = {"ground": "refused", "office": "東京法務局", "facts": "弁済を提供したが受領を拒まれた。", "papers": [TENDER]}
    return depositing.propose(world.case, claims, **{**said, **change}, by=world.goto, at=db_now())


def lodged(world, filing, claims):
    numbers = {claim.number: f"令和8年度金第{n}号" for n, claim in enumerate(claims, start=100)}
    depositing.lodge(filing, numbers, deposited_on=TODAY, receipt=b"receipt", by=world.goto, at=db_now())
    kept()


def silence(world, claims, days=400):
    """These claims have no destination, and were reminded three times long ago."""
    with tampering() as cursor:
        cursor.execute("UPDATE destinations_destination SET state = 'revoked', revoked_at = now(), revoke_reason = 'x',"
                       " proposed_at = proposed_at - interval '2 years' WHERE claim_id = ANY (%s)",
                       [[claim.pk for claim in claims]])  # fmt: skip
    for ago in (40, 40, days - 80):
        reaching.remind(world.case, channel="post", by=world.goto, at=db_now())
        with tampering() as cursor:
            cursor.execute("UPDATE notices_notice SET sent_at = sent_at - make_interval(days => %s)", [ago])


# --- deposit ------------------------------------------------------------------------------------------


def test_a_deposit_goes_the_whole_way(world):
    claims = claims_of(world)[:2]
    request = proposed(world, claims)
    filing = DepositFiling.objects.get()
    assert (filing.state, [d.amount for d in filing.deposits.all()]) == (TailState.PROPOSED, [1000, 1000])
    with pytest.raises(NotDeposited, match="Only an approved application goes out"):
        depositing.hand_out(filing, by=world.goto, at=db_now())

    approve(world, request)
    filing.refresh_from_db()
    lines = [d.claim_line for d in filing.deposits.all()]
    assert filing.state == TailState.APPROVED
    assert [Position.objects.get(claim_line=one).scheduled for one in lines] == [1000, 1000]
    assert world.scheduled().returns.filter(claim_line__in=lines).count() == 0

    content = depositing.hand_out(filing, by=world.goto, at=db_now())
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert (len(rows), rows[1][1], rows[1][5]) == (3, "東京法務局", "1000")
    assert content == depositing.application(filing)

    refused("tail_is_in_the_books", DepositFiling.objects.filter(pk=filing.pk).update, state="done")
    with pytest.raises(NotDeposited, match="Give the Bureau's number for each claim"):
        depositing.lodge(filing, {claims[0].number: "1"}, deposited_on=TODAY, receipt=b"r", by=world.goto, at=db_now())
    lodged(world, filing, claims)
    filing.refresh_from_db()
    assert (filing.state, Position.objects.get(claim_line=lines[0]).deposited) == (TailState.DONE, 1000)
    assert (ties(world)["JPY"]["deposited"], Event.objects.last().kind) == ("2000", "deposit.lodged")
    said = {one.asset: one for one in gates.of_claim(claims[0], at=db_now())}
    assert "令和8年度金第100号" in said["JPY"].office and said["JPY"].gate == "deposited" and said["BTC"].gate != "deposited"
    assert verify.verify(world.case)["ok"]


def test_what_waits_in_a_return_is_cancelled_for_the_deposit(world):
    world.scheduled()
    [claim] = claims_of(world)[:1]
    approve(world, proposed(world, [claim]))
    row = world.returns(claim_line__claim=claim, asset__code="JPY")[0]
    assert row.state == ReturnState.CANCELLED
    assert Position.objects.get(claim_line=row.claim_line).scheduled == 1000
    world.proves()


def test_a_deposit_is_given_up_by_two_and_the_amount_is_the_claims_again(world):
    [claim] = claims_of(world)[:1]
    approve(world, proposed(world, [claim]))
    filing = DepositFiling.objects.get()
    with pytest.raises(DatabaseError, match="tail_is_given_up_by_two"), transaction.atomic():
        DepositFiling.objects.filter(pk=filing.pk).update(state="given_up")
    approve(world, apart.ask_back(filing, depositing.ACT, reason="the Bureau refused it", by=world.goto, at=db_now()))
    filing.refresh_from_db()
    assert filing.state == TailState.GIVEN_UP
    assert Position.objects.get(claim_line=filing.deposits.get().claim_line).scheduled == 0
    ties(world)


def test_each_ground_asks_for_what_makes_it(world):
    claims = claims_of(world)
    with pytest.raises(NotDeposited, match="papers that are not here: tender_and_refusal"):
        proposed(world, claims, papers=[])
    unreachable = [Paper("notices", "n", b"n"), Paper("returned_mail", "m", b"m")]
    with pytest.raises(NotDeposited, match="does not count as unreachable yet"):
        proposed(world, claims, ground="unreachable", papers=unreachable)
    attached = [Paper("attachment_orders", "a", b"a")]
    with pytest.raises(NotDeposited, match="place the hold"):
        proposed(world, claims[:1], ground="competing_attachments", papers=attached)
    holds.place(claims[0], "attachment", reason="two orders", next_look=datetime.date(2099, 1, 1), by=world.goto, at=db_now())
    proposed(world, claims[:1], ground="competing_attachments", papers=attached)
    silence(world, claims[1:2])
    proposed(world, claims[1:2], ground="unreachable", papers=unreachable)


def test_the_database_lets_nothing_be_deposited_beside_an_application(world, app, owner):  # noqa: F811
    [claim] = claims_of(world)[:1]
    request = proposed(world, [claim])
    filing = DepositFiling.objects.get()
    moved = "SELECT positions_move(%s, 'deposit', 'k', ARRAY[%s]::bigint[], ARRAY[1]::numeric[], %s, %s, 'goto', now())"
    one = filing.deposits.get().claim_line_id
    for subject in (("depositfiling", str(filing.pk)), ("case", "1")):
        refused("entry_rests_on_its_row", run, moved, [world.case.pk, one, *subject])
    app("tail_is_signed_by_two", "UPDATE returns_depositfiling SET state = 'approved'")
    owner("tail_is_as_proposed", "UPDATE returns_depositfiling SET office = 'elsewhere'")
    app("permission denied", "UPDATE returns_courtdeposit SET amount = 1")
    app("court_deposit_is_receipted_once", "UPDATE returns_courtdeposit SET number = 'x', deposited_on = now(), receipt_sha256 = '\\x00'")
    for table in ("returns_depositfiling", "returns_recovery", "returns_forcedsale", "returns_residue", "returns_roundclosing"):
        owner("append only", f"DELETE FROM {table}")
    # One line more after the hash was taken: nobody can sign that any more.
    other = ClaimLine.objects.filter(case=world.case, asset__code="JPY").exclude(pk=one)[0]
    CourtDeposit.objects.create(filing=filing, case=world.case, claim_line=other, amount=1, office=filing.office)
    sign(request, world.people.aoki)
    assert ApprovalRequest.objects.get(pk=request.pk).state == "stale"
    coin = ClaimLine.objects.filter(case=world.case, asset__code="BTC")[0]
    with pytest.raises(DatabaseError, match="tail_line_fits"), transaction.atomic():
        CourtDeposit.objects.create(filing=filing, case=world.case, claim_line=coin, amount=1, office=filing.office)


# --- over-payments ------------------------------------------------------------------------------------


@pytest.fixture
def overpaid(world, batch):  # noqa: F811
    """A return that was refused, went out again, and was paid by the first attempt after all."""
    row = world.returns(asset__code="JPY")[0]
    receive(world, line(row, "refused", ref=1))
    settle(world)
    world.exported()
    receive(world, line(row, ref=2), name="the first one after all")
    settle(world)
    return Overpayment.objects.get()


def test_an_overpayment_is_asked_for_paid_back_and_the_rest_written_off_by_two(world, overpaid):
    overpayments.ask_refund(overpaid, channel="post", by=world.goto, at=db_now())
    assert (overpayments.asked(overpaid), Notice.objects.get().kind) == (1, "refund_request")
    with pytest.raises(overpayments.NotRecovered, match="with the paper that shows it"):
        overpayments.refunded(overpaid, 1, paper=b"", by=world.goto, at=db_now())
    overpayments.refunded(overpaid, 600, paper=b"slip", by=world.goto, at=db_now())
    overpaid.refresh_from_db()
    assert (overpaid.open, ties(world)["JPY"]["recovered"]) == (400, "600")
    with pytest.raises(overpayments.NotRecovered, match="400 JPY of it are open"):
        overpayments.refunded(overpaid, 401, paper=b"slip", by=world.goto, at=db_now())

    request = overpayments.write_off(overpaid, 400, reason="bankrupt himself", paper=b"order", by=world.goto, at=db_now())
    approve(world, request)
    overpaid.refresh_from_db()
    assert (overpaid.open, Recovery.objects.filter(state="done").count()) == (0, 2)
    assert ties(world)["JPY"]["receivable"] == "0"
    assert verify.verify(world.case)["ok"]


def test_what_the_same_person_is_owed_is_netted_before_the_next_round_takes_it(world, overpaid):
    one = overpaid.attempt.asset_return.claim_line
    with tampering() as cursor:  # a decision admitted more of it, and a run gave that
        cursor.execute("UPDATE register_claimline SET corrected = 300, admitted = admitted + 300 WHERE id = %s", [one.pk])
    positions.move(world.case, "declare", key="more", rows=[(one.pk, 300)], subject=world.case, by=world.goto, at=db_now())
    with pytest.raises(overpayments.NotRecovered, match="no more can be netted"):
        overpayments.net(overpaid, one, 301, by=world.goto, at=db_now())
    assert overpayments.net_open(world.case, by=world.goto, at=db_now()) == 1
    kept()
    overpaid.refresh_from_db()
    assert (overpaid.recovered, Position.objects.get(claim_line=one).settled) == (300, 300)
    assert overpayments.net_open(world.case, by=world.goto, at=db_now()) == 0


def test_a_second_payment_that_the_rail_states_is_recognised_once(world, batch):  # noqa: F811
    row = world.returns(asset__code="BTC")[0]
    receive(world, line(row, ref=1), line(row, ref=2))
    settle(world)
    waiting = EvidenceLine.objects.get(problem="settled_twice")
    made = overpayments.recognise(waiting, by=world.goto, at=db_now())
    assert (made.amount, ties(world)["BTC"]["receivable"]) == (row.amount, str(row.amount))
    with pytest.raises(overpayments.NotRecovered):
        overpayments.recognise(waiting, by=world.goto, at=db_now())


def test_the_database_counts_recoveries_itself(world, overpaid, app, owner):  # noqa: F811
    app("overpayment_is_counted_by_its_recoveries", "UPDATE returns_overpayment SET recovered = 5")
    said = {"overpayment": overpaid, "amount": 1, "state": "done", "by": world.goto, "at": db_now()}
    paper = {**said, "evidence_sha256": b"0" * 32}
    refused("tail_is_in_the_books", Recovery.objects.create, kind="refund", **paper)
    refused("tail_begins_proposed", Recovery.objects.create, kind="write_off", **paper)
    lines = ClaimLine.objects.filter(case=world.case, asset=overpaid.asset)
    other = lines.exclude(pk=overpaid.attempt.asset_return.claim_line_id)[0]
    refused("tail_line_fits", Recovery.objects.create, kind="net", claim_line=other, **said)
    for kind in ("recover", "write_off"):
        post(world, kind, overpaid.asset, overpaid)


# --- forced sale ----------------------------------------------------------------------------------------


def test_coins_of_the_unreachable_are_sold_and_each_keeps_the_price_it_got(world):
    claims = claims_of(world)[:3]
    silence(world, claims)
    order = an_order(world, sales.PERMITS)
    asset, yen = world.assets["BTC"], world.assets["JPY"]
    said = {"ground": "unreachable", "facts": "連絡が取れない。", "claims": claims}
    with pytest.raises(sales.NotSold, match="by an order that permits"):
        sales.propose(world.case, asset, yen, **said, by=world.goto, at=db_now())
    with pytest.raises(sales.NotSold, match="does not count as unreachable"):
        sales.propose(world.case, asset, yen, **{**said, "claims": claims_of(world)}, order=order, by=world.goto, at=db_now())
    with pytest.raises(sales.NotSold, match="can be returned in kind"):
        sales.propose(world.case, asset, yen, **{**said, "ground": "money_only"}, by=world.goto, at=db_now())
    approve(world, sales.propose(world.case, asset, yen, **said, order=order, by=world.goto, at=db_now()))
    sale = ForcedSale.objects.get()
    before = ties(world)

    sales.sold(
        sale, gross=30_000_100, fees=99, venue="Exchange X", sold_at=db_now(), paper=b"fills", by=world.goto, at=db_now()
    )
    after = ties(world)
    sale.refresh_from_db()
    assert sorted(share.proceeds for share in sale.shares.all()) == [10_000_000, 10_000_000, 10_000_001]
    assert sales.price(sale) == (30_000_100, 6 * 10**8)
    assert (after["BTC"]["conversions_out"], after["JPY"]["conversions_in"]) == (str(6 * 10**8), "30000001")
    assert int(before["BTC"]["entitled"]) - int(after["BTC"]["entitled"]) == 6 * 10**8
    into = sale.shares.order_by("pk")[0].into_line
    assert (into.asset, into.converted_in, Position.objects.get(claim_line=into).given) == (yen, sale.shares.order_by("pk")[0].proceeds, into.converted_in)
    assert verify.verify(world.case)["ok"]
    # And what they brought can be deposited.
    papers = [Paper("notices", "n", b"n"), Paper("returned_mail", "m", b"m")]
    approve(world, proposed(world, claims, ground="unreachable", papers=papers))
    filing = DepositFiling.objects.get()
    lodged(world, filing, claims)
    assert ties(world)["JPY"]["deposited"] == str(3 * 1000 + 30_000_001)


def for_sale(world, claims):
    """The BTC of these claims are proposed for sale as coins of the unreachable; their yen are of the same class."""
    with tampering() as cursor:
        cursor.execute("UPDATE register_claimline SET claim_class = 'priority_segregated' WHERE asset_id = %s", [world.assets["JPY"].pk])
    order = orders.in_force(world.case, sales.PERMITS, db_now()) or an_order(world, sales.PERMITS)
    return sales.propose(
        world.case, world.assets["BTC"], world.assets["JPY"], ground="unreachable", facts="連絡が取れない。", claims=claims, order=order,
        by=world.goto, at=db_now(),
    )  # fmt: skip


def test_proceeds_first_cover_what_their_claim_has_too_much_in_money(world):
    claims = claims_of(world)[:3]
    silence(world, claims)
    approve(world, for_sale(world, claims))
    lowered = ClaimLine.objects.get(claim=claims[0], asset=world.assets["JPY"])  # 1,000 yen were given of it
    review.decide_line(lowered, 400, reason_code="error_of_the_exchange", by=world.people.aoki, at=db_now())
    assert ClaimLine.objects.get(pk=lowered.pk).excess == 600

    sales.sold(
        ForcedSale.objects.get(), gross=3_000, fees=0, venue="Exchange X", sold_at=db_now(), paper=b"fills", by=world.goto, at=db_now()
    )
    ties(world)
    lines = ClaimLine.objects.filter(claim__in=claims, asset=world.assets["JPY"]).order_by("claim__number")
    assert [(one.admitted, one.converted_in, one.excess, one.position.given) for one in lines.select_related("position")] == [
        (400, 1_000, 0, 1_400),  # 1,000 before, and 400 of the 1,000 that its coins brought
        (1_000, 1_000, 0, 2_000),
        (1_000, 1_000, 0, 2_000),
    ]


def test_what_is_still_too_much_after_a_sale_stays_too_much(world):
    claims = claims_of(world)[:3]
    silence(world, claims)
    approve(world, for_sale(world, claims))
    for one in ClaimLine.objects.filter(claim__in=claims, asset=world.assets["JPY"]):
        review.decide_line(one, 400, reason_code="error_of_the_exchange", by=world.people.aoki, at=db_now())

    sales.sold(ForcedSale.objects.get(), gross=300, fees=0, venue="X", sold_at=db_now(), paper=b"fills", by=world.goto, at=db_now())
    ties(world)
    lines = ClaimLine.objects.filter(claim__in=claims, asset=world.assets["JPY"]).select_related("position")
    assert {(one.admitted, one.converted_in, one.excess, one.position.given) for one in lines} == {(400, 100, 500, 1_000)}


def test_coins_are_not_sold_beside_money_that_rounds_may_still_give(world):
    """500 of 1,000 yen given, and 1,000 from a sale: of a round at 60 % nothing would come, for 1,500 > 1,200; but 100 are due."""
    claims = claims_of(world)[:3]
    silence(world, claims)
    beside = ClaimLine.objects.get(claim=claims[1], asset=world.assets["JPY"])
    asked = for_sale(world, claims)
    back = {"key": "half", "rows": [(beside.pk, 500)], "subject": world.case, "by": world.people.aoki, "at": db_now()}
    positions.move(world.case, "withdraw", **back)
    with pytest.raises(sales.NotSold, match=f"Claim {claims[1].number} may still be given more JPY"):
        approve(world, asked)
    with pytest.raises(sales.NotSold, match=f"Claim {claims[1].number} may still be given more JPY"):
        for_sale(world, claims)

    positions.move(world.case, "declare", **{**back, "key": "the other half"})
    sign(asked, world.people.baba)
    assert ForcedSale.objects.get().state == TailState.APPROVED


def test_lines_are_converted_by_a_signed_sale_only(world, app):  # noqa: F811
    app("permission denied", "UPDATE register_claimline SET converted_out = 1")
    app("sale_converts", "SELECT sale_converts(1)")
    for kind in ("conversion_out", "conversion_in"):
        post(world, kind, world.assets["BTC"], world.case)


# --- what nobody claims, closing, residue ---------------------------------------------------------------


def test_what_nobody_claims_goes_to_others_by_the_plans_branch_and_an_order_only(world):
    [claim] = claims_of(world)[:1]
    order = an_order(world, forfeiting.PERMITS)
    silence(world, [claim])
    body = 'name = "n"\nkind = "interim"\n[[pool]]\nname = "p"\nassets = "every asset"\nclasses = ["trust_beneficiary"]\n'
    for unclaimed, refused in (("", "does not give to others"), ('unclaimed = "redistribute"\n', None)):
        with tampering() as cursor:
            cursor.execute("UPDATE distribution_plan SET body = %(b)s, sha256 = sha256(convert_to(%(b)s, 'UTF8'))", {"b": unclaimed + body})
        if refused:
            with pytest.raises(forfeiting.NotForfeited, match=refused):
                forfeiting.propose(world.case, [claim], facts="x", order=order, by=world.goto, at=db_now())
    with pytest.raises(forfeiting.NotForfeited, match="unreachable"):
        forfeiting.propose(world.case, claims_of(world), facts="x", order=order, by=world.goto, at=db_now())
    approve(world, forfeiting.propose(world.case, [claim], facts="x", order=order, by=world.goto, at=db_now()))
    assert {(one.admitted, one.excess > 0) for one in claim.lines.all()} == {(0, True)}
    ties(world)
    assert world.scheduled().returns.filter(claim_line__claim=claim).count() == 0


def test_a_round_closes_when_nothing_waits_and_the_residue_leaves_last(world, batch, owner):  # noqa: F811
    current = world.case.rounds.get()
    with pytest.raises(closing.NotClosed, match="12 of its returns are neither settled nor cancelled"):
        closing.close(current, by=world.goto, at=db_now())
    with pytest.raises(DatabaseError, match="round_closes_when_nothing_waits"), transaction.atomic():
        RoundClosing.objects.create(round=current, figures={}, by=world.goto, at=db_now())
    receive(world, *(line(row, ref=n) for n, row in enumerate(world.returns(), start=1)))
    settle(world)
    made = closing.close(current, by=world.goto, at=db_now())
    assert made.figures["settled"]["JPY"] == ["4", "4000"]
    with pytest.raises(closing.NotClosed, match="closed before"):
        closing.close(current, by=world.goto, at=db_now())
    owner("closed_round_takes_nothing", "INSERT INTO returns_batch (case_id, reference, rail, rail_version, round_id, state, items, totals, parts,"
          " prepared_by_id, drafted_at, lane, canary) SELECT case_id, 'x', rail, '', round_id, 'draft', 0, '{}', 0, prepared_by_id, now(), '', false FROM returns_batch")

    order = an_order(world, closing.PERMITS)
    said = {"to_whom": "破産財団", "facts": "端数", "order": order}
    with pytest.raises(closing.NotDisposed, match="not done with in ETH"):  # a bit that no rail can pay
        closing.propose(world.case, **said, by=world.goto, at=db_now())
    with tampering() as cursor:  # a last decision gave that bit up
        cursor.execute("UPDATE register_position SET given = settled; UPDATE register_claimline l SET admitted = p.given, rejected = recorded - p.given"
                       " FROM register_position p WHERE p.claim_line_id = l.id")  # fmt: skip
        cursor.execute("UPDATE books_balance b SET credits = b.debits FROM books_account a WHERE a.id = b.account_id AND a.kind = 'entitled'")
    request = closing.propose(world.case, **said, by=world.goto, at=db_now())
    residue = world.case.residues.get()
    with pytest.raises(DatabaseError, match="tail_is_signed_by_two"), transaction.atomic():
        type(residue).objects.update(state="approved")
    with tampering() as cursor:
        cursor.execute("UPDATE returns_residue SET state = 'approved'")
        cursor.execute("UPDATE cases_approvalrequest SET state = 'granted', content_sha256 = tail_content('returns.residue', object_id) WHERE id = %s", [request.pk])
    residue.refresh_from_db()
    closing.dispose(residue, paper=b"receipt", by=world.goto, at=db_now())
    kept()
    assert closing.left_over(world.case) == {}
    assert tie_out.tie_out(world.case)["assets"][2]["disposed"] == "4000"


# --- failures ---------------------------------------------------------------------------------------------


@pytest.fixture
def typed(world):
    """The rehearsal rail's failures are taken at their word."""
    with tampering() as cursor:
        cursor.execute("DELETE FROM returns_failurereason WHERE rail <> ''")


def codes(*said, rail="zengin"):
    with connection.cursor() as cursor:
        cursor.execute("SELECT failure_code(w, %s) FROM unnest(%s::text[]) WITH ORDINALITY AS t (w, n) ORDER BY n", [rail, list(said)])
        return [row[0] for row in cursor.fetchall()]


def test_each_reason_has_its_policy(world):
    assert codes("account closed", "受取人名相違", "残高不足", "Sanctions hit", "取扱不可", "", "what?", "refused") == [
        "account_closed", "name_mismatch", "insufficient_funds", "sanctions", "rail_does_not_carry", "not_said", "other",
        "refused_by_rail",
    ]  # fmt: skip
    assert codes("account closed", rail="rehearsal-r2") == ["rehearsed"]


@pytest.mark.usefixtures("typed")
def test_a_reason_to_ask_the_customer_blocks_the_destination(world, batch):  # noqa: F811
    row = world.returns(asset__code="JPY")[0]
    receive(world, line(row, "refused", ref=1))
    settle(world)
    row.refresh_from_db()
    row.destination.refresh_from_db()
    assert (row.state, row.destination.state) == (ReturnState.SCHEDULED, "revoked")
    assert "failure" not in closed_gates(row)


@pytest.mark.usefixtures("typed")
def test_a_rail_s_words_count_to_their_end(world, batch):  # noqa: F811
    said = "Rejected after compliance review: sanctions match"
    row = world.returns(asset__code="JPY")[0]
    receive(world, line(row, "refused", ref=1, reason=said))
    settle(world)
    row.refresh_from_db()
    attempt = row.attempts.get()
    assert (attempt.reason_code, failures.of(attempt).code) == (said, "sanctions")
    assert closed_gates(row) == ["failure"]


@pytest.mark.usefixtures("typed")
def test_a_reason_to_stop_keeps_the_return_back_until_two_release_it(world, batch, app):  # noqa: F811
    row = world.returns(asset__code="JPY")[0]
    receive(world, line(row, "refused", ref=1, reason="sanctions"))
    settle(world)
    row.refresh_from_db()
    assert closed_gates(row) == ["failure"]
    assert failures.kept_back(world.case, 5) == [(row.pk, row.attempts.get().pk, "sanctions")]
    request = failures.propose(row, rail="rehearsal", reason="cleared", by=world.goto, at=db_now())
    app("tail_is_signed_by_two", "UPDATE returns_release SET state = 'approved'")
    approve(world, request)
    assert closed_gates(row) == []
    second = world.exported()
    assert second.items == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT after_state, proof_id IS NOT NULL FROM returns_reissue WHERE attempt_id = %s", [row.attempts.order_by("-pk")[0].pk])
        assert cursor.fetchone() == ("refused", True)


def closed_gates(row):
    with connection.cursor() as cursor:
        cursor.execute("SELECT closed FROM returns_gates WHERE return_id = %s", [row.pk])
        return cursor.fetchone()[0]


# --- reminders --------------------------------------------------------------------------------------------


def test_reminders_follow_their_clock_and_life_starts_it_anew(world):
    [claim] = claims_of(world)[:1]
    assert reaching.clocks(world.case, at=db_now()) == []
    silence(world, [claim], days=150)
    [clock] = reaching.clocks(world.case, at=db_now())
    assert (clock.reminded, clock.next_at, clock.unreachable) == (3, None, False)
    [later] = reaching.clocks(world.case, at=db_now() + datetime.timedelta(days=30))
    assert later.unreachable
    with pytest.raises(reaching.NotReminded):
        reaching.remind(world.case, channel="post", by=world.goto, at=db_now())
    assert claim.number in reaching.letters(world.case, 1, 3)
    assert (Notice.objects.count(), Event.objects.filter(kind="notices.issued").count()) == (3, 3)
    with tampering() as cursor:
        cursor.execute("UPDATE register_claim SET confirmed_at = now() - interval '1 day' WHERE id = %s", [claim.pk])
    [anew] = reaching.clocks(world.case, at=db_now())
    assert (anew.reminded, anew.unreachable) == (0, False)


def test_a_closed_round_is_not_where_something_is_scheduled_again(world, batch):  # noqa: F811
    row = world.returns(asset__code="JPY")[0]
    receive(world, *(line(one, ref=n) for n, one in enumerate(world.returns(), start=1)), line(row, "returned", ref=99))
    settle(world)
    closing.close(world.case.rounds.get(), by=world.goto, at=db_now())
    world.give_destinations([row.claim_line.claim_id], version=2, asset="JPY")
    with pytest.raises(rounds.NotScheduled, match="closed"):
        rounds.schedule_again(world.returns(pk=row.pk)[0], by=world.goto, at=db_now())
    assert done(rounds.schedule(world.case, world.run, by=world.goto, at=db_now())).result["count"] == 1
