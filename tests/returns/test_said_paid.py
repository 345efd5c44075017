"""What the rail says that it paid, and nobody has explained: it is not paid again, and it stays where it can be corrected."""

import pytest

from administration.fields import db_now
from administration.record import verify
from administration.returns import apart, batches, cancelling, corrections, gates, overpayments, rounds, submissions
from administration.returns.models import AssetReturn, Attempt, EvidenceLine, Overpayment, ReturnState
from claims.register import review, tie_out
from claims.register.models import Position
from tests.returns.test_evidence import batch, line, problems, receive, settle  # noqa: F401  a fixture
from tests.returns.world import done, sign

EXPLAIN = "two people correct its attempt"


@pytest.fixture
def refused(world, batch):  # noqa: F811
    """A return whose attempt the rail refused: it is scheduled again."""
    row = world.returns(asset__code="JPY")[0]
    receive(world, line(row, "refused", ref=1))
    settle(world)
    row.refresh_from_db()
    assert row.state == ReturnState.SCHEDULED
    return row


def says_paid_after_all(world, row):
    receive(world, line(row, ref=2), name="later")
    settle(world)
    assert problems() == ["paid_after_refusal"]


def held(world, row):
    batches.hold(world.case, row.round, "rehearsal", by=world.goto, at=db_now())
    row.refresh_from_db()
    assert (row.state, row.held_by_gate) == (ReturnState.HELD, "evidence")


def cancel(world, row):
    return rounds.cancel(row, reason="x", by=world.goto, at=db_now())


def closed(row):
    return gates.closed([row.pk])[row.pk]


def corrected(world, row):
    attempt = Attempt.objects.get(asset_return=row)
    asked = corrections.propose(
        world.case, attempt, "settled", reason="the bank paid it", evidence=b"letter of the bank", by=world.goto, at=db_now()
    )
    for user in (world.people.aoki, world.people.baba):
        sign(asked, user)
    row.refresh_from_db()
    attempt.refresh_from_db()
    assert (row.state, row.batch_id, attempt.state) == (ReturnState.SETTLED, attempt.batch_id, "settled")
    assert problems() == []
    position = Position.objects.get(claim_line=row.claim_line_id)
    assert (position.scheduled, position.in_flight, position.settled) == (0, 0, row.amount)
    tie_out.require(world.case)
    assert verify.verify(world.case)["first_bad"] is None


def test_what_another_return_of_the_line_was_paid_for_is_not_paid_under_a_new_reference(world, refused):
    cancel(world, refused)
    says_paid_after_all(world, refused)

    current = world.scheduled()

    [again] = AssetReturn.objects.filter(round=current)
    assert (again.claim_line, closed(again)) == (refused.claim_line, ["evidence"])
    with pytest.raises(batches.NothingToBatch):
        batches.draft(world.case, current, "rehearsal", by=world.goto, at=db_now())


def test_what_is_a_receivable_already_closes_nothing_for_other_references(world, refused):
    done(submissions.submit(world.exported(), by=world.goto, at=db_now()))
    receive(world, line(refused, ref=2), name="the first one after all")
    settle(world)
    assert Overpayment.objects.count() == 1
    receive(world, line(refused, "refused", ref=3, key="T-1-B01-002/1"), name="the second one")
    settle(world)
    refused.refresh_from_db()
    assert closed(refused) == ["evidence", "stop"]

    cancel(world, refused)
    overpayments.refunded(Overpayment.objects.get(), refused.amount, paper=b"slip", by=world.goto, at=db_now())
    [again] = AssetReturn.objects.filter(round=world.scheduled())

    assert (again.claim_line, closed(again)) == (refused.claim_line, ["stop"])


def test_two_people_correct_what_the_evidence_itself_holds(world, refused):
    says_paid_after_all(world, refused)
    held(world, refused)

    corrected(world, refused)


def test_it_can_be_corrected_whatever_else_holds_it(world, refused):
    """Lifting the other hold would let nothing go: the evidence keeps the gate closed."""
    says_paid_after_all(world, refused)
    held(world, refused)
    AssetReturn.objects.filter(pk=refused.pk).update(held_by_gate="dispute")

    corrected(world, refused)


@pytest.mark.parametrize("looked", [False, True])
def test_it_is_not_cancelled_before_it_is_explained(world, refused, looked):
    says_paid_after_all(world, refused)
    if looked:
        held(world, refused)

    with pytest.raises(rounds.NotScheduled, match=f"{refused.reference}.*{EXPLAIN}"):
        cancel(world, refused)

    corrected(world, refused)


def test_its_round_is_not_taken_back_before_it_is_explained(world, refused):
    says_paid_after_all(world, refused)

    with pytest.raises(cancelling.NotCancelled, match=f"{refused.reference}.*{EXPLAIN}"):
        cancelling.cancel(refused.round, reason="x", by=world.goto, at=db_now())


def test_what_is_said_while_a_round_is_taken_back_stays_and_can_be_corrected(world, refused):
    other = world.returns(asset__code="BTC")[0]
    receive(world, line(other, "refused", ref=7), name="another")
    settle(world)
    job = cancelling.cancel(refused.round, reason="x", by=world.goto, at=db_now())
    says_paid_after_all(world, refused)

    assert done(job).result["count"] == 1

    other.refresh_from_db()
    assert other.state == ReturnState.CANCELLED
    corrected(world, refused)


def test_it_is_not_set_apart_before_it_is_explained(world, refused):
    says_paid_after_all(world, refused)

    with pytest.raises(apart.NotSetApart, match=f"{refused.reference}.*{EXPLAIN}"):
        apart.set_apart(
            world.case, {refused.claim_line_id: refused.amount}, key="x", reason="x", subject=world.case, by=world.goto, at=db_now()
        )


def test_a_lowered_decision_leaves_it_where_it_can_be_corrected(world, refused):
    says_paid_after_all(world, refused)

    review.decide_line(refused.claim_line, 400, reason_code="error_of_the_exchange", reason="x", by=world.goto, at=db_now())

    refused.refresh_from_db()
    assert refused.state == ReturnState.SCHEDULED
    assert "evidence" in closed(refused)
    corrected(world, refused)


def test_explained_by_two_nothing_speaks_against_the_line_any_more(world, refused):
    says_paid_after_all(world, refused)
    corrected(world, refused)
    assert not EvidenceLine.objects.exclude(problem="").exists()
    others = world.returns(state="batched")
    assert {tuple(found) for found in gates.closed([row.pk for row in others]).values()} == {()}
