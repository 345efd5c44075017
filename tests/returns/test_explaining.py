"""What a line was that nothing else ends: two people say so on a paper, and what left the estate never vanishes."""

import json

import pytest
from django.db import DatabaseError, connection, transaction

from administration.audit import henkan_verify, pulls
from administration.books import books
from administration.books.models import Balance, Entry
from administration.cases import approvals
from administration.cases.appointments import NotEmpowered
from administration.cases.models import ApprovalRequest, Stop
from administration.fields import db_now
from administration.record import verify
from administration.record.models import Event
from administration.returns import (
    batches,
    corrections,
    doubt,
    explaining,
    gates,
    overpayments,
    rounds,
    settlement,
    submissions,
)
from administration.returns.models import (
    AssetReturn,
    Attempt,
    EvidenceLine,
    Explanation,
    ExplanationKind,
    Overpayment,
    Recovery,
    ReturnState,
)
from claims.register import tie_out
from claims.register.models import Position
from tests.at_once import at_once
from tests.cast import sha
from tests.returns.test_evidence import batch, line, problems, receive, settle  # noqa: F401  a fixture
from tests.returns.test_misuse import app, owner  # noqa: F401  fixtures
from tests.returns.test_said_paid import refused  # noqa: F401  a fixture
from tests.returns.world import build, done, sign, tampering

NOTHING_MOVED, NOT_OURS, PAID, TAKEN, BOOKED = ExplanationKind
ELSEWHERE = "T-1-B09-001/1"  # a part that we never sent


def propose(world, waiting, kind=NOTHING_MOVED, *, entry=None, by=None):
    return explaining.propose(
        waiting, kind, reason="the rail wrote to us", paper=b"letter of the rail", entry=entry, by=by or world.goto, at=db_now()
    )


def explain(world, waiting, kind=NOTHING_MOVED, **more):
    asked = propose(world, waiting, kind, **more)
    for user in (world.people.aoki, world.people.baba):
        sign(asked, user)
    waiting.refresh_from_db()
    return Explanation.objects.get(pk=asked.object_id)


def said(world, row, **change):
    """A line that a person must look at: by its problem."""
    receive(world, line(row, ref=900 + EvidenceLine.objects.count(), **{"key": ELSEWHERE, **change}), name=f"s{EvidenceLine.objects.count()}")
    settle(world)
    return EvidenceLine.objects.latest("pk")


def closed(row):
    return gates.closed([row.pk])[row.pk]


def position(row):
    found = Position.objects.get(claim_line=row.claim_line_id)
    return {"scheduled": found.scheduled, "in_flight": found.in_flight, "settled": found.settled}


def resume(world):
    """Sending goes on, as two people said elsewhere."""
    with tampering() as cursor:
        cursor.execute("UPDATE cases_stop SET lifted_at = clock_timestamp()")
    assert not Stop.objects.filter(lifted_at=None).exists()


def kept(world):
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    tie_out.require(world.case)
    world.proves()


def balances():
    return sorted(Balance.objects.values_list("account", "debits", "credits"))


# --- nothing moved ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [NOTHING_MOVED, NOT_OURS])
def test_what_two_people_say_never_moved_keeps_nothing_back_and_moves_no_book(world, refused, kind):  # noqa: F811
    waiting = said(world, refused)
    assert (waiting.problem, closed(refused)) == ("no_attempt", ["evidence"])
    before = balances()

    asked = propose(world, waiting, kind)
    sign(asked, world.people.aoki)
    assert closed(refused) == ["evidence"]
    sign(asked, world.people.baba)

    waiting.refresh_from_db()
    assert (waiting.problem, closed(refused), balances()) == ("explained", [], before)
    assert not Overpayment.objects.exists()
    kept(world)
    again = batches.draft(world.case, refused.round, "rehearsal", by=world.goto, at=db_now())
    assert again.items == 1


def test_an_explained_line_stays_so_however_often_the_evidence_is_looked_at(world, refused):  # noqa: F811
    waiting = said(world, refused)
    explain(world, waiting)

    assert settle(world) == {"count": 0, "queued": 0, "ties": True}
    receive(world, line(refused, ref=1, key=ELSEWHERE), name="another line says the same")
    settle(world)

    waiting.refresh_from_db()
    assert waiting.problem == "explained"
    assert sorted(problems()) == ["explained", "no_attempt"]  # each line is explained by itself
    assert settlement.queue_of(world.case) == 1
    assert closed(refused) == ["evidence"]


def test_the_record_says_all_that_was_signed_so_that_a_stranger_hashes_it_again(world, refused):  # noqa: F811
    waiting = said(world, refused)
    made = explain(world, waiting)

    body = json.loads(Event.objects.get(kind="evidence.explained").body)
    assert body == json.loads(Event.objects.get(kind="evidence.explanation_proposed").body)
    assert (body["kind"], body["problem"], body["reason"]) == ("nothing_moved", "no_attempt", "the rail wrote to us")
    assert (body["fingerprint"], body["paper_sha256"]) == (bytes(waiting.fingerprint).hex(), bytes(made.paper_sha256).hex())
    assert body["paper_sha256"] == sha("letter of the rail").hex()
    kept(world)


# --- the claimant received it ---------------------------------------------------------------------------


def test_what_the_claimant_received_counts_against_the_claim_and_no_round_pays_it_again(world, refused):  # noqa: F811
    waiting = said(world, refused)

    explain(world, waiting, PAID)

    refused.refresh_from_db()
    over = Overpayment.objects.get()
    assert (waiting.problem, refused.state) == ("overpaid", ReturnState.CANCELLED)
    assert (over.asset_return, over.amount, over.open) == (refused, refused.amount, 0)
    assert position(refused) == {"scheduled": 0, "in_flight": 0, "settled": refused.amount}
    kept(world)
    with pytest.raises(rounds.NotScheduled, match="Nothing is left to schedule"):
        world.scheduled()


def test_a_late_word_on_a_cancelled_return_is_explained_as_paid_and_counts(world, refused):  # noqa: F811
    rounds.cancel(refused, reason="x", by=world.goto, at=db_now())
    waiting = said(world, refused, key="T-1-B01-001/1")
    assert waiting.problem == "paid_after_refusal"
    asked = corrections.propose(
        world.case, Attempt.objects.get(asset_return=refused), "settled", reason="x", evidence=b"x", by=world.goto, at=db_now()
    )
    sign(asked, world.people.aoki)
    with pytest.raises(corrections.NotCorrected, match=r"was cancelled before.*explain the line"), transaction.atomic():
        sign(asked, world.people.baba)

    explain(world, waiting, PAID)

    assert (Overpayment.objects.get().open, position(refused)["settled"]) == (0, refused.amount)
    kept(world)
    with pytest.raises(rounds.NotScheduled, match="Nothing is left to schedule"):
        world.scheduled()


def test_the_return_by_which_a_cancelled_ones_amount_was_scheduled_again_waits_no_more(world, refused):  # noqa: F811
    rounds.cancel(refused, reason="x", by=world.goto, at=db_now())
    again = AssetReturn.objects.get(round=world.scheduled(), claim_line=refused.claim_line)
    waiting = said(world, refused, key="T-1-B01-001/1")
    assert closed(again) == ["evidence"]

    explain(world, waiting, PAID)

    again.refresh_from_db()
    assert again.state == ReturnState.CANCELLED
    assert position(refused) == {"scheduled": 0, "in_flight": 0, "settled": refused.amount}
    kept(world)


def test_while_a_batch_that_has_not_left_holds_the_amount_again_it_must_be_voided_first(world, refused):  # noqa: F811
    rounds.cancel(refused, reason="x", by=world.goto, at=db_now())
    world.scheduled()
    frozen = world.frozen()
    waiting = said(world, refused, key="T-1-B01-001/1")

    with pytest.raises(explaining.NotExplained, match=f"Batch {frozen}.*Void the batch first"):
        propose(world, waiting, PAID)

    batches.void(frozen, reason="x", by=world.goto, at=db_now())
    explain(world, waiting, PAID)
    assert position(refused) == {"scheduled": 0, "in_flight": 0, "settled": refused.amount}
    kept(world)


def test_what_was_received_beside_what_is_on_its_way_is_to_be_recovered(world, batch):  # noqa: F811
    row = world.returns(asset__code="JPY")[0]
    waiting = said(world, row, amount="7", key=batch.submissions.get().rail_key)
    assert waiting.problem == "other_amount"

    explain(world, waiting, PAID)

    row.refresh_from_db()
    assert (row.state, Overpayment.objects.get().open) == (ReturnState.BATCHED, 7)
    assert not Recovery.objects.exists()
    kept(world)


def test_of_a_smaller_payment_the_rest_rides_with_the_next_round(world, refused):  # noqa: F811
    waiting = said(world, refused, amount="7", key="T-1-B01-001/1")
    resume(world)

    explain(world, waiting, PAID)

    [again] = AssetReturn.objects.filter(round=world.scheduled(), claim_line=refused.claim_line)
    assert (again.amount, closed(again)) == (refused.amount - 7, [])
    assert position(refused) == {"scheduled": refused.amount - 7, "in_flight": 0, "settled": 7}
    kept(world)


def test_where_the_attempt_can_take_the_payment_it_is_corrected_and_not_explained_as_paid(world, refused):  # noqa: F811
    waiting = said(world, refused, key="T-1-B01-001/1")

    with pytest.raises(explaining.NotExplained, match="correct the attempt"):
        propose(world, waiting, PAID)
    assert PAID not in explaining.kinds(waiting)

    explain(world, waiting)  # the rail takes its word back
    assert closed(refused) == []


# --- it left, and reached nobody of ours ------------------------------------------------------------------


def test_what_somebody_took_is_a_receivable_that_no_claimant_answers_for(world, refused):  # noqa: F811
    waiting = said(world, refused)

    explain(world, waiting, TAKEN)

    over = Overpayment.objects.get()
    assert (waiting.problem, over.asset_return, over.open, closed(refused)) == ("explained", None, refused.amount, [])
    kept(world)
    assert overpayments.net_open(world.case, by=world.goto, at=db_now()) == 0
    with pytest.raises(overpayments.NotRecovered, match="No claimant of this case received it"):
        overpayments.net(over, refused.claim_line, 1, by=world.goto, at=db_now())
    with pytest.raises(overpayments.NotRecovered, match="No claimant of this case received it"):
        overpayments.ask_refund(over, channel="post", by=world.goto, at=db_now())
    overpayments.refunded(over, over.amount, paper=b"slip", by=world.goto, at=db_now())
    kept(world)


# --- booked already ---------------------------------------------------------------------------------------


def test_a_line_of_what_is_booked_already_names_exactly_that_booking_and_no_other_line_does(world, batch):  # noqa: F811
    row = world.returns(asset__code="JPY")[0]
    fee = said(world, row, reference="R0000000000", amount="440")
    assert (fee.problem, BOOKED in explaining.kinds(fee)) == ("no_such_return", True)
    for key, units in (("fee", 440), ("another", 441)):
        books.post(
            world.case, "cost_free", idem_key=key, lines=[(row.asset, units)], subject=world.case, by=world.goto, at=db_now()
        )
    booked, other = (Entry.objects.get(idem_key=key) for key in ("fee", "another"))
    assert list(explaining.bookings(fee)) == [booked]
    for entry in (None, other):
        with pytest.raises(explaining.NotExplained, match="Name the booking"):
            propose(world, fee, BOOKED, entry=entry)

    explain(world, fee, BOOKED, entry=booked)

    assert fee.problem == "explained"
    second = said(world, row, reference="R0000000000", amount="440", at="2026-11-20T11:00:00+09:00")
    assert list(explaining.bookings(second)) == []
    with pytest.raises(explaining.NotExplained, match="Name the booking"):
        propose(world, second, BOOKED, entry=booked)
    kept(world)


# --- what can be explained, by whom -----------------------------------------------------------------------


def test_a_line_is_explained_as_what_it_can_have_been(world, batch):  # noqa: F811
    row = world.returns(asset__code="JPY")[0]
    told = {
        said(world, row, reference="R0000000000").problem: {NOTHING_MOVED, NOT_OURS, TAKEN, BOOKED},
        said(world, row, asset="DOGE").problem: {NOTHING_MOVED, NOT_OURS},
        said(world, row, kind="returned", reference="R0000000000").problem: {NOTHING_MOVED, NOT_OURS, BOOKED},
        said(world, row).problem: {NOTHING_MOVED, NOT_OURS, PAID, TAKEN},
    }  # fmt: skip
    for waiting in EvidenceLine.objects.all():
        if waiting.kind == "returned" or waiting.problem != "no_such_return":
            expected = told[waiting.problem] if waiting.kind == "settled" else {NOTHING_MOVED, NOT_OURS, BOOKED}
            assert set(explaining.kinds(waiting)) == expected, waiting.problem


def test_two_others_sign_what_one_with_the_power_proposed(world, refused):  # noqa: F811
    waiting = said(world, refused)
    with pytest.raises(NotEmpowered):
        propose(world, waiting, by=world.people.fujii)
    for reason, paper in (("", b"x"), ("x", b"")):
        with pytest.raises(explaining.NotExplained, match="its reason and the paper"):
            explaining.propose(waiting, NOTHING_MOVED, reason=reason, paper=paper, by=world.goto, at=db_now())
    asked = propose(world, waiting)
    with pytest.raises(approvals.Unsigned):
        sign(asked, world.goto)
    with pytest.raises(explaining.NotExplained, match="waits for signatures already"):
        propose(world, waiting)

    approvals.reject(asked, by=world.people.baba, at=db_now(), reason="ask the bank")

    assert Explanation.objects.get().state == "given_up"
    explain(world, waiting)
    with pytest.raises(explaining.NotExplained, match="waits for no explanation"):
        propose(world, waiting)


def test_a_line_that_ended_otherwise_meanwhile_is_signed_no_more(world, batch):  # noqa: F811
    row = world.returns(asset__code="BTC")[0]
    receive(world, line(row, ref=1), line(row, ref=2))
    settle(world)
    waiting = EvidenceLine.objects.get(problem="settled_twice")
    asked = propose(world, waiting)
    sign(asked, world.people.aoki)

    overpayments.recognise(waiting, by=world.goto, at=db_now())
    _row, fresh = sign(asked, world.people.baba)

    assert not fresh
    assert ApprovalRequest.objects.get(pk=asked.pk).state == "stale"
    waiting.refresh_from_db()
    assert (waiting.problem, explaining.kinds(waiting)) == ("overpaid", [])


def test_what_was_paid_once_and_reported_twice_is_no_over_payment(world, batch):  # noqa: F811
    row = world.returns(asset__code="BTC")[0]
    receive(world, line(row, ref=1), line(row, ref=2))
    settle(world)

    explain(world, EvidenceLine.objects.get(problem="settled_twice"))

    assert (problems(), Overpayment.objects.count()) == (["explained"], 0)
    kept(world)


def test_a_part_of_which_only_an_explained_line_speaks_may_be_found_not_paid(world, monkeypatch):
    from administration.rails.interface import Unknown
    from administration.rails.rehearsal import Rehearsal
    from administration.returns import sending

    part = world.exported().submissions.get()
    monkeypatch.setattr(Rehearsal, "submit", lambda self, content, key: Unknown("no answer"))
    sending.send_one(part.batch, submissions.routes.rail("rehearsal"))
    with tampering() as cursor:
        cursor.execute("UPDATE returns_submission SET lease_until = now() - interval '1 day'")
    receive(world, line(world.returns()[0], ref=1, amount="7"))
    settle_lines(world)
    part.refresh_from_db()
    with pytest.raises(doubt.StillInDoubt, match="has spoken"):
        doubt.refuse_unless_in_doubt(part, at=db_now())

    explain(world, EvidenceLine.objects.get())

    doubt.refuse_unless_in_doubt(part, at=db_now())


def settle_lines(world):
    """Matching alone: the part stays in doubt."""
    from administration.returns import matching

    matching.run(world.case, by=world.goto, at=db_now())


# --- contradictions that a correction ends ---------------------------------------------------------------


def test_what_came_back_before_it_counted_as_paid_undoes_the_correction(world, refused):  # noqa: F811
    said(world, refused, key="T-1-B01-001/1")
    said(world, refused, kind="returned", key="T-1-B01-001/1")
    assert problems() == ["nothing_to_return", "paid_after_refusal"]
    asked = corrections.propose(
        world.case, Attempt.objects.get(asset_return=refused), "settled", reason="x", evidence=b"x", by=world.goto, at=db_now()
    )
    for user in (world.people.aoki, world.people.baba):
        sign(asked, user)
    assert position(refused)["settled"] == refused.amount

    assert settle(world)["count"] == 1

    refused.refresh_from_db()
    assert (refused.state, problems(), position(refused)["settled"]) == (ReturnState.RETURNED, [], 0)
    kept(world)


def test_a_payment_that_contradicts_a_refusal_of_the_same_day_is_corrected_too(world, batch):  # noqa: F811
    row = world.returns(asset__code="JPY")[0]
    receive(world, line(row, "refused", ref=1), line(row, ref=2))
    settle(world)
    [waiting] = EvidenceLine.objects.exclude(problem="")
    assert waiting.problem == "contradicts"
    asked = corrections.propose(
        world.case, Attempt.objects.get(asset_return=row), "settled", reason="x", evidence=b"x", by=world.goto, at=db_now()
    )
    for user in (world.people.aoki, world.people.baba):
        sign(asked, user)

    row.refresh_from_db()
    assert (row.state, problems()) == (ReturnState.SETTLED, [])
    kept(world)


def test_a_correction_in_a_batch_that_was_closed_leaves_the_record_whole(world, batch):  # noqa: F811
    row, *others = world.returns()
    receive(world, line(row, "refused", ref=1), *(line(one, ref=2 + n) for n, one in enumerate(others)))
    settle(world)
    batch.refresh_from_db()
    assert batch.state == "closed"
    receive(world, line(row, ref=90), name="later")
    settle(world)
    asked = corrections.propose(
        world.case, Attempt.objects.get(asset_return=row), "settled", reason="x", evidence=b"x", by=world.goto, at=db_now()
    )
    for user in (world.people.aoki, world.people.baba):
        sign(asked, user)

    row.refresh_from_db()
    assert row.state == ReturnState.SETTLED
    kept(world)


# --- misuse -----------------------------------------------------------------------------------------------


def test_the_database_lets_no_line_go_that_two_people_have_not_explained(world, refused, app, owner):  # noqa: F811
    waiting = said(world, refused)
    for became in ("", "explained", "overpaid", "settled_twice", "dead_file_debited", "x"):
        for refusal in (app, owner):
            refusal("line_waits_until_it_has_ended", "UPDATE returns_evidenceline SET problem = %s WHERE id = %s", became, waiting.pk)
        with pytest.raises(DatabaseError, match="line_waits_until_it_has_ended"), transaction.atomic():
            EvidenceLine.objects.filter(pk=waiting.pk).update(problem=became)
        waiting.problem = became
        with pytest.raises(DatabaseError, match="line_waits_until_it_has_ended"), transaction.atomic():
            EvidenceLine.objects.bulk_update([waiting], ["problem"])
    asked = propose(world, EvidenceLine.objects.get(pk=waiting.pk))
    sign(asked, world.people.aoki)
    app("line_waits_until_it_has_ended", "UPDATE returns_evidenceline SET problem = 'explained' WHERE id = %s", waiting.pk)
    app(
        "line_begins_unexplained",
        """INSERT INTO returns_evidenceline (evidence_id, case_id, line, fingerprint, reference, part, kind, asset_code, amount,
               at, reason, problem)
           SELECT evidence_id, case_id, 2, sha256('x'), reference, part, kind, asset_code, amount, at, reason, 'explained'
           FROM returns_evidenceline WHERE id = %s""",
        waiting.pk,
    )
    assert closed(refused) == ["evidence"]


def test_the_database_takes_an_explanation_only_as_it_was_signed(world, refused, app, owner):  # noqa: F811
    waiting = said(world, refused)
    row = {
        "case": world.case, "line": waiting, "problem": waiting.problem, "reason": "x", "paper_sha256": sha("x"), "by": world.goto,
        "at": db_now(),
    }  # fmt: skip

    def refuses(rule, **change):
        with pytest.raises(DatabaseError, match=rule), transaction.atomic():
            Explanation.objects.create(**{**row, "kind": NOTHING_MOVED, **change})

    refuses("tail_begins_proposed", state="done")
    refuses("explanation_fits_its_line", problem="contradicts")
    refuses("explanation_says_why", reason="")
    refuses("explanation_is_of_a_known_kind", kind="forgotten")
    refuses("explanation_fits_its_line|explanation_names_the_booking", kind=BOOKED)
    refuses("explanation_names_the_booking", entry=Entry.objects.all()[0])
    refuses("explanation_fits_its_line", kind=BOOKED, entry=Entry.objects.all()[0])

    asked = propose(world, waiting)
    refuses("line_is_explained_once")
    app("tail_is_signed_by_two", "UPDATE returns_explanation SET state = 'approved'")
    sign(asked, world.people.aoki)
    app("tail_is_signed_by_two", "UPDATE returns_explanation SET state = 'approved'")
    app("permission denied", "UPDATE returns_explanation SET kind = 'taken'")
    owner("tail_is_as_proposed", "UPDATE returns_explanation SET kind = 'taken'")
    owner("tail_is_as_proposed", "UPDATE returns_explanation SET reason = 'y'")
    app("append only|permission denied", "DELETE FROM returns_explanation")
    owner("append only", "DELETE FROM returns_explanation")
    with tampering() as cursor:  # signed with another hash: what was signed is not this
        cursor.execute("UPDATE cases_approvalrequest SET state = 'granted', content_sha256 = sha256('x') WHERE id = %s", [asked.pk])
    app("tail_is_signed_by_two", "UPDATE returns_explanation SET state = 'approved'")


def test_signed_and_not_ended_as_signed_it_is_not_done(world, refused, app, owner):  # noqa: F811
    waiting = said(world, refused)
    asked = propose(world, waiting, TAKEN)
    with tampering() as cursor:
        cursor.execute("UPDATE cases_approvalrequest SET state = 'granted' WHERE id = %s", [asked.pk])
    Explanation.objects.update(state="approved")

    app("explanation_fits_its_line", "UPDATE returns_explanation SET state = 'done'")
    EvidenceLine.objects.filter(pk=waiting.pk).update(problem="explained")
    owner("explanation_fits_its_line", "UPDATE returns_explanation SET state = 'done'")  # no receivable


def test_a_receivable_is_what_its_line_says_and_in_the_books(world, refused, owner):  # noqa: F811
    waiting = said(world, refused)
    row = {"case": world.case, "line": waiting, "asset": refused.asset, "amount": waiting.amount, "at": db_now()}
    other = world.returns(asset__code="JPY")[1]

    @transaction.atomic
    def commits(**change):
        Overpayment.objects.create(**{**row, **change})
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def refuses(rule, **change):
        with pytest.raises(DatabaseError, match=rule):
            commits(**change)

    refuses("overpayment_is_what_its_line_says", amount=1)
    refuses("overpayment_is_what_its_line_says", recovered=1)
    refuses("overpayment_is_what_its_line_says", asset=world.assets["BTC"])
    refuses("overpayment_is_what_its_line_says", asset_return=other)
    refuses("overpayment_is_what_its_line_says", asset_return=refused, attempt=Attempt.objects.filter(asset_return=other)[0])
    refuses("overpayment_by_an_attempt_is_of_a_return|overpayment_is_what_its_line_says", attempt=Attempt.objects.filter(asset_return=refused)[0])
    refuses("overpayment_is_in_the_books")


def test_who_explains_with_the_triggers_off_is_found_by_the_record(world, refused):  # noqa: F811
    waiting = said(world, refused)
    with tampering() as cursor:
        cursor.execute("UPDATE returns_evidenceline SET problem = 'explained' WHERE id = %s", [waiting.pk])

    assert not verify.verify(world.case)["ok"]
    with pytest.raises(henkan_verify.Misfit, match="is “explained”, but no event explains it"):
        offline(world)


def test_a_stranger_finds_an_explanation_that_is_not_the_one_signed(world, refused):  # noqa: F811
    explain(world, said(world, refused))
    offline(world)
    with tampering() as cursor:
        cursor.execute("UPDATE returns_explanation SET kind = 'not_ours'")
    assert not verify.verify(world.case)["ok"]

    read = henkan_verify.Pull("")
    read.case = world.case.reference
    body = json.loads(Event.objects.get(kind="evidence.explained").body)
    read.granted["returns.explain"] = {bytes(ApprovalRequest.objects.get(act=explaining.ACT).content_sha256).hex()}
    read.explanation(1, body)
    assert read.explained.popitem()[1][1] in read.granted["returns.explain"]
    read.explanation(1, {**body, "kind": "not_ours"})
    with pytest.raises(henkan_verify.Misfit, match="otherwise than people signed it"):
        read.events_are_read()


def offline(world):
    return henkan_verify.verify(pulls.path_of(pulls.make(world.case, format="jsonl", by=world.people.chiba, at=db_now())))


# --- races ------------------------------------------------------------------------------------------------


@pytest.fixture
def refused_in_a_database_that_commits(committed, as_superuser, monkeypatch):
    """A return that its rail took, and then refused."""
    from administration.rails.interface import Accepted
    from administration.rails.rehearsal import Rehearsal

    world = build(as_superuser, claims_count=2)
    monkeypatch.setattr(Rehearsal, "submit", lambda self, content, key: Accepted("RH-1"))
    done(submissions.submit(world.exported(), by=world.goto, at=db_now()))
    row = world.returns(asset__code="JPY")[0]
    receive(world, line(row, "refused", ref=1))
    settle(world)
    return world, row


def test_two_who_sign_at_once_explain_it_once(refused_in_a_database_that_commits):
    world, row = refused_in_a_database_that_commits
    waiting = said(world, row)
    asked = propose(world, waiting, PAID)

    outcomes = at_once(
        *(lambda user=user: approvals.sign(asked, by=user, at=db_now()) for user in (world.people.aoki, world.people.baba) * 3)
    )

    signed = [one for one in outcomes if isinstance(one, ApprovalRequest)]
    assert len(signed) == 2, outcomes
    assert all(isinstance(one, (ApprovalRequest, approvals.Unsigned)) for one in outcomes), outcomes
    assert (Overpayment.objects.count(), Event.objects.filter(kind="evidence.explained").count()) == (1, 1)
    assert position(row)["settled"] == row.amount
    tie_out.require(world.case)


def test_of_a_correction_and_an_explanation_of_one_line_signed_at_once_one_is_taken(refused_in_a_database_that_commits):
    world, row = refused_in_a_database_that_commits
    waiting = said(world, row, key="T-1-B01-001/1")
    corrected = corrections.propose(
        world.case, Attempt.objects.get(asset_return=row), "settled", reason="x", evidence=b"x", by=world.goto, at=db_now()
    )
    explained = propose(world, waiting)
    for asked in (corrected, explained):
        approvals.sign(asked, by=world.people.aoki, at=db_now())

    at_once(*(lambda asked=asked: approvals.sign(asked, by=world.people.baba, at=db_now()) for asked in (corrected, explained)))

    waiting.refresh_from_db()
    settled = position(row)["settled"]
    assert (waiting.problem, settled) in [("", row.amount), ("explained", 0)]
    assert ApprovalRequest.objects.filter(pk__in=[corrected.pk, explained.pk], state="granted").count() == 1
    tie_out.require(world.case)
