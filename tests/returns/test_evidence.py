"""Evidence: taken whole or not at all, counted once, matched only where there is no doubt."""

import json

import pytest

from administration.cases import approvals, stops
from administration.cases.appointments import NotEmpowered
from administration.cases.models import Stop
from administration.fields import db_now
from administration.record.models import Event
from administration.returns import corrections, evidence, matching, settlement, submissions
from administration.returns.models import (
    AssetReturn,
    Attempt,
    AttemptState,
    Correction,
    Evidence,
    EvidenceLine,
    Match,
    Overpayment,
    ReturnState,
)
from claims.register import tie_out
from claims.register.models import Position
from tests.returns.world import done, sign


@pytest.fixture
def batch(world, monkeypatch):
    """A batch whose one part the rail has accepted."""
    batch = world.exported()
    from administration.rails.interface import Accepted
    from administration.rails.rehearsal import Rehearsal

    monkeypatch.setattr(Rehearsal, "submit", lambda self, content, key: Accepted("RH-1"))
    done(submissions.submit(batch, by=world.goto, at=db_now()))
    return batch


def line(row, kind="settled", *, ref, key="T-1-B01-001/1", **change):
    said = {
        "line_ref": str(ref), "reference": row.reference, "key": key, "kind": kind, "asset": row.asset.code,
        "amount": str(row.amount), "at": "2026-11-20T10:00:00+09:00", "reason": "account closed" if kind != "settled" else "",
    }  # fmt: skip
    return {**said, **change}


def receive(world, *lines, name="statement"):
    data = "".join(json.dumps(said) + "\n" for said in lines).encode()
    return evidence.receive(world.case, "rehearsal", name=name, data=data, by=world.goto, at=db_now())


def settle(world):
    return done(settlement.settle(world.case, by=world.goto, at=db_now())).result


def problems():
    return sorted(EvidenceLine.objects.exclude(problem="").values_list("problem", flat=True))


def untouched(world):
    assert {row.state for row in world.returns()} == {"batched"}
    assert not Match.objects.exists()
    tie_out.require(world.case)


# --- receiving ------------------------------------------------------------------------------------------


def test_the_same_bytes_are_no_news(world, batch):
    row = world.returns()[0]
    first = receive(world, line(row, ref=1))
    events = Event.objects.count()

    assert receive(world, line(row, ref=1), name="the same under another name") == first
    assert Event.objects.count() == events


def test_overlapping_statements_count_each_line_once(world, batch):
    one, two, three = world.returns()[:3]
    receive(world, line(one, ref=1), line(two, ref=2))
    second = receive(world, line(two, ref=2), line(three, ref=3))

    assert second.lines_count == 1
    assert EvidenceLine.objects.count() == 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b'{"line_ref": "1"}\n', "Line 1 is no statement line"),
        (b"not json\n", "Line 1 is no statement line"),
        (b'{"line_ref"', "line 1: the file is cut off"),
    ],
)
def test_a_broken_statement_is_refused_with_its_line_and_nothing_of_it_is_taken(world, batch, data, said):
    with pytest.raises(evidence.NotReceived, match=said):
        evidence.receive(world.case, "rehearsal", name="bad.jsonl", data=data, by=world.goto, at=db_now())
    assert not Evidence.objects.exists()
    assert not EvidenceLine.objects.exists()


@pytest.mark.parametrize("break_it", [b"garbage\n", b'{"half":', b"\xff\xfe\n"])
def test_a_statement_broken_far_inside_is_refused_whole(world, batch, tmp_path, monkeypatch, break_it):
    monkeypatch.setattr(evidence, "BLOCK", 2)
    good = [json.dumps(line(row, ref=n)).encode() + b"\n" for n, row in enumerate(world.returns()[:5], start=1)]
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"".join(good) + break_it)

    with pytest.raises(evidence.NotReceived, match=r"[Ll]ine 6"):
        evidence.receive(world.case, "rehearsal", name="s.jsonl", data=path, by=world.goto, at=db_now())
    assert not EvidenceLine.objects.exists()


@pytest.mark.parametrize("change", [{"amount": "1.5"}, {"amount": "-1"}, {"amount": "NaN"}, {"amount": 5}, {"at": "2026-11-20"},
                                    {"kind": "paid"}, {"at": "2026-11-20T10:00:00"}])  # fmt: skip
def test_a_line_that_says_no_amount_or_time_is_refused(world, batch, change):
    with pytest.raises(evidence.NotReceived):
        receive(world, line(world.returns()[0], ref=1, **change))


def test_evidence_is_for_those_with_the_power(world, batch):
    with pytest.raises(NotEmpowered):
        evidence.receive(world.case, "rehearsal", name="s", data=b"x\n", by=world.people.fujii, at=db_now())


def test_the_event_covers_every_line(world, batch):
    row = world.returns()[0]
    receive(world, line(row, ref=1))
    event = Event.objects.get(kind="evidence.received")
    assert '"count":"1"' in event.body
    assert f'"{row.asset.code}":"{row.amount}"' in event.body


# --- matching -------------------------------------------------------------------------------------------


def test_settled_refused_and_returned_are_applied(world, batch):
    one, two, three, *_rest = world.returns()
    receive(world, line(one, ref=1), line(two, "refused", ref=2), line(three, ref=3), line(three, "returned", ref=4))

    assert settle(world) == {"count": 4, "queued": 0, "ties": True}
    states = dict(AssetReturn.objects.values_list("reference", "state"))
    assert [states[row.reference] for row in (one, two, three)] == ["settled", "scheduled", "returned"]
    assert Attempt.objects.get(asset_return=two).reason_code == "account closed"


def test_a_return_that_is_told_before_its_settlement_waits_for_it(world, batch):
    row = world.returns()[0]
    receive(world, line(row, "returned", ref=2))
    assert settle(world)["count"] == 0
    assert problems() == []

    receive(world, line(row, ref=1), name="later")

    assert settle(world)["count"] == 2
    assert AssetReturn.objects.get(pk=row.pk).state == ReturnState.RETURNED


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"amount": "7"}, "other_amount"),
        ({"asset": "DOGE"}, "other_amount"),
        ({"reference": "R0000000000"}, "no_such_return"),
        ({"key": "T-1-B09-001/1"}, "no_attempt"),
    ],
)
def test_what_does_not_fit_is_queued_with_a_sentence_and_applied_to_nothing(world, batch, change, problem):
    receive(world, line(world.returns()[0], ref=1, **change))

    assert settle(world)["queued"] == 1
    assert problems() == [problem]
    assert matching.sentence(EvidenceLine.objects.get()).endswith(".")
    untouched(world)


def test_a_wrong_amount_stops_the_rail(world, batch):
    receive(world, line(world.returns()[0], ref=1, amount="7"))
    settle(world)
    assert Stop.objects.get().rail == "rehearsal"
    with pytest.raises(stops.Stopped):
        stops.check(world.case, "rehearsal")


def test_a_second_settlement_of_one_attempt_is_queued(world, batch):
    row = world.returns()[0]
    receive(world, line(row, ref=1), line(row, ref=2))

    assert settle(world) == {"count": 1, "queued": 1, "ties": True}
    assert problems() == ["settled_twice"]
    receive(world, line(row, ref=3), name="once more")
    settle(world)
    assert problems() == ["settled_twice"] * 2
    assert Position.objects.get(claim_line=row.claim_line).settled == row.amount


def test_the_rail_speaking_of_what_we_have_not_sent_stops_it(world):
    world.exported()
    receive(world, line(world.returns()[0], ref=1))
    settle(world)
    assert problems() == ["not_sent"]
    assert Stop.objects.exists()
    untouched(world)


def test_refused_after_settled_contradicts(world, batch):
    row = world.returns()[0]
    receive(world, line(row, ref=1))
    settle(world)
    receive(world, line(row, "refused", ref=2), name="later")
    settle(world)
    assert problems() == ["contradicts"]
    assert AssetReturn.objects.get(pk=row.pk).state == ReturnState.SETTLED


def test_a_payment_of_what_was_refused_waits_for_two_people(world, batch):
    row = world.returns()[0]
    receive(world, line(row, "refused", ref=1))
    settle(world)
    receive(world, line(row, ref=2), name="later")
    settle(world)
    assert problems() == ["paid_after_refusal"]
    assert Attempt.objects.get(asset_return=row).state == AttemptState.REFUSED


def test_two_people_correct_a_refusal_that_was_paid(world, batch):
    row = world.returns()[0]
    receive(world, line(row, "refused", ref=1))
    settle(world)
    receive(world, line(row, ref=2), name="later")
    settle(world)
    attempt = Attempt.objects.get(asset_return=row)

    asked = corrections.propose(
        world.case, attempt, "settled", reason="the bank paid it", evidence=b"letter of the bank", by=world.goto, at=db_now()
    )
    sign(asked, world.people.aoki)
    attempt.refresh_from_db()
    assert attempt.state == AttemptState.REFUSED
    sign(asked, world.people.baba)

    attempt.refresh_from_db()
    row.refresh_from_db()
    assert (attempt.state, row.state, row.batch) == ("settled", "settled", batch)
    assert problems() == []
    assert Position.objects.get(claim_line=row.claim_line).settled == row.amount
    assert not Correction.objects.filter(applied_at=None).exists()
    tie_out.require(world.case)


def test_a_step_that_is_not_two_peoples_is_not_corrected(world, batch):
    attempt = Attempt.objects.all()[0]
    with pytest.raises(corrections.NotCorrected, match="no step that two people can sign"):
        corrections.propose(world.case, attempt, "settled", reason="x", evidence=b"x", by=world.goto, at=db_now())


def test_a_payment_beside_the_attempt_that_holds_the_return_is_an_overpayment(world, batch):
    row = world.returns()[0]
    receive(world, line(row, "refused", ref=1))
    settle(world)
    second = world.exported()
    assert second.items == 1
    receive(world, line(row, ref=2), name="the first one after all")
    settle(world)

    made = Overpayment.objects.get()
    assert (made.attempt.batch, made.amount, made.asset) == (batch, row.amount, row.asset)
    assert problems() == ["overpaid"]
    [statement] = [found for found in tie_out.tie_out(world.case)["assets"] if found["code"] == row.asset.code]
    assert (statement["overpaid"], statement["receivable"], statement["difference"]) == (str(row.amount), str(row.amount), "0")


def test_evidence_of_a_part_whose_reply_was_lost_says_it_was_accepted(world, monkeypatch):
    from administration.rails.interface import Unknown
    from administration.rails.rehearsal import Rehearsal
    from administration.returns import sending

    batch = world.exported()
    monkeypatch.setattr(Rehearsal, "submit", lambda self, content, key: Unknown("no answer"))
    sending.send_one(batch, evidence.routes.rail("rehearsal"))
    assert batch.submissions.get().state == "unknown"
    receive(world, *(line(row, ref=n) for n, row in enumerate(world.returns(), start=1)))

    assert settle(world)["count"] == 12
    assert batch.submissions.get().state == "final"


def test_nothing_of_a_suspended_approval_is_asked_of_evidence(world, batch, as_superuser):
    """What left the house settles whatever became of its approval: evidence tells what happened."""
    with as_superuser() as cursor:
        cursor.execute("UPDATE cases_approvalrequest SET state = 'suspended'")
    assert approvals.granted(world.case, "returns.batch", batch.pk) is None
    receive(world, *(line(row, ref=n) for n, row in enumerate(world.returns(), start=1)))
    assert settle(world)["count"] == 12
