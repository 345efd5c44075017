"""Disputes, decisions and holds."""

import datetime

import pytest
from django.db import IntegrityError, ProgrammingError

from administration.books.models import Asset
from administration.cases.appointments import NotEmpowered
from administration.record.models import Event
from claims.register import holds, positions, review, schedule
from claims.register.models import Claim, ClaimLine, Decision, Position
from claims.register.tie_out import require
from tests.cast import NOON, open_sample_case, sha


def parts(line):
    line = ClaimLine.objects.get(pk=line.pk)
    names = ("lodged", "admitted", "disputed", "rejected", "excess")
    return {name: value for name in names if (value := getattr(line, name))}


@pytest.fixture
def disputed(line, goto):
    """The first customer says 1,500 yen where the ledger says 1,000."""
    return schedule.dispute(line, 1500, ground="deposit of 3 September", evidence=sha("slip"), by=goto, at=NOON)


def test_what_is_claimed_above_the_ledger_is_lodged_and_disputed_and_not_admitted(scheduled, line, disputed):
    assert parts(line) == {"lodged": 500, "admitted": 1000, "disputed": 500}
    assert Event.objects.last().kind == "claim.disputed"
    require(scheduled)


def test_a_lower_figure_changes_nothing_until_it_is_decided(line, goto, aoki):
    dispute = schedule.dispute(line, 400, ground="withdrawn in August", by=goto, at=NOON)
    assert parts(line) == {"admitted": 1000}

    review.decide(dispute, 400, reason_code="as_claimed", by=aoki, at=NOON)
    assert parts(line) == {"admitted": 400, "rejected": 600}


@pytest.mark.parametrize(
    ("admitted", "after"),
    [
        (1500, {"lodged": 500, "admitted": 1500}),
        (1200, {"lodged": 500, "admitted": 1200, "rejected": 300}),
        (0, {"lodged": 500, "rejected": 1500}),
    ],
)
def test_a_decision_settles_the_whole_line(scheduled, line, disputed, aoki, admitted, after):
    made = review.decide(disputed, admitted, reason_code="in_part", evidence=sha("minutes"), by=aoki, at=NOON)

    assert parts(line) == after
    disputed.refresh_from_db()
    assert disputed.decision == made == ClaimLine.objects.get(pk=line.pk).decision
    require(scheduled)


@pytest.mark.parametrize("admitted", [-1, 1501])
def test_nobody_admits_more_than_is_claimed(line, disputed, aoki, admitted):
    with pytest.raises(review.NotDecided, match="between 0 and 1500"):
        review.decide(disputed, admitted, reason_code="in_part", by=aoki, at=NOON)

    assert parts(line) == {"lodged": 500, "admitted": 1000, "disputed": 500}


def test_a_dispute_is_decided_once(disputed, aoki):
    review.decide(disputed, 1000, reason_code="as_recorded", by=aoki, at=NOON)
    with pytest.raises(review.NotDecided, match="none any more"):
        review.decide(disputed, 1500, reason_code="as_claimed", by=aoki, at=NOON)


def test_a_line_has_one_open_dispute(line, disputed, goto):
    with pytest.raises(schedule.NotADispute, match="in dispute"):
        schedule.dispute(line, 1600, ground="another", by=goto, at=NOON)


def test_what_is_claimed_as_it_stands_is_confirmed_and_not_disputed(line, goto):
    with pytest.raises(schedule.NotADispute, match="Confirm it"):
        schedule.dispute(line, 1000, ground="none", by=goto, at=NOON)


def test_who_has_no_such_power_decides_nothing(disputed, fujii):
    with pytest.raises(NotEmpowered):
        review.decide(disputed, 1000, reason_code="as_recorded", by=fujii, at=NOON)


def test_what_was_given_above_a_lowered_line_is_excess_until_it_is_withdrawn(funded, line, aoki):
    def move(kind, amount):
        positions.move(funded, kind, key=f"{kind}{amount}", rows=[(line.pk, amount)], subject=funded, by=aoki, at=NOON)

    move("declare", 900)
    review.decide_line(line, 300, reason_code="error_of_the_exchange", by=aoki, at=NOON)
    assert parts(line) == {"admitted": 300, "rejected": 700, "excess": 600}
    require(funded)

    move("withdraw", 500)
    assert parts(line)["excess"] == 100
    require(funded)
    move("withdraw", 100)
    assert "excess" not in parts(line)
    assert Position.objects.get(pk=line.pk).given == 300
    require(funded)


# --- confirmations and holds ------------------------------------------------------------------------


def test_a_claim_is_confirmed_once(scheduled, goto):
    claim = Claim.objects.first()
    schedule.confirm(claim, by=goto, at=NOON)
    with pytest.raises(schedule.AlreadyConfirmed):
        schedule.confirm(claim, by=goto, at=NOON)

    assert (claim.confirmed_at, claim.confirmed_how) == (NOON, "paper")


def test_a_hold_is_lifted_once_for_a_reason(line, goto):
    hold = holds.place(
        line.claim, "attachment", reason="order 5", next_look=datetime.date(2026, 12, 1), by=goto, at=NOON
    )
    holds.lift(hold, reason="released", by=goto, at=NOON)
    with pytest.raises(holds.NotHeld, match="before"):
        holds.lift(hold, reason="again", by=goto, at=NOON)

    assert [event.kind for event in Event.objects.order_by("-number")[:2]] == ["claim.hold_lifted", "claim.held"]


def test_somebody_looks_at_a_hold_again_on_a_day_to_come_in_japan(line, goto):
    before_six = datetime.datetime(2026, 11, 30, 20, 59, tzinfo=datetime.UTC)  # 05:59 on 1 December in Japan
    with pytest.raises(holds.NotHeld, match="a date to come"):
        holds.place(line.claim, "police", reason="r", next_look=datetime.date(2026, 11, 30), by=goto, at=before_six)
    assert holds.place(line.claim, "police", reason="r", next_look=datetime.date(2026, 12, 1), by=goto, at=before_six).pk


@pytest.mark.parametrize(("kind", "confidential"), [("police", True), ("deceased", False)])
def test_what_a_customer_must_not_know_is_confidential(line, goto, kind, confidential):
    hold = holds.place(line.claim, kind, reason="r", next_look=datetime.date(2026, 12, 1), by=goto, at=NOON)
    assert hold.confidential is confidential
    assert (kind in Event.objects.last().body) is not confidential


# --- what the database refuses ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "admitted = admitted - 1, rejected = 1",
        "admitted = 0, out_of_scope = recorded",
        "admitted = admitted + 1, lodged = lodged + 1",
    ],
)
def test_no_admitted_quantity_changes_without_a_decision(scheduled, as_role, change):
    with pytest.raises(IntegrityError, match="claim_line_changes_by_decision"), as_role("henkan_app") as cursor:
        cursor.execute(f"UPDATE register_claimline SET {change}")


def test_a_decision_of_another_figure_or_line_does_not_do(scheduled, line, as_role):
    other = ClaimLine.objects.exclude(pk=line.pk).first()
    for of, admitted in ((line, 4), (other, 5)):
        decision = Decision.objects.create(
            case=scheduled, claim_line=of, admitted=admitted, rejected=1000 - admitted, reason_code="in_part", at=NOON
        )
        with pytest.raises(IntegrityError, match="claim_line_changes_by_decision"), as_role("henkan_app") as cursor:
            cursor.execute(
                "UPDATE register_claimline SET admitted = 5, rejected = 995, decision_id = %s WHERE id = %s",
                [decision.pk, line.pk],
            )


def test_an_old_decision_is_not_used_again(line, aoki, as_role):
    first = review.decide_line(line, 5, reason_code="in_part", by=aoki, at=NOON)
    review.decide_line(line, 6, reason_code="in_part", by=aoki, at=NOON)
    with pytest.raises(IntegrityError, match="claim_line_changes_by_decision"), as_role("henkan_app") as cursor:
        cursor.execute(
            "UPDATE register_claimline SET admitted = 5, rejected = 995, decision_id = %s WHERE id = %s",
            [first.pk, line.pk],
        )


def test_excess_is_not_anybodys_word(line, as_role):
    with pytest.raises(IntegrityError, match="claim_line_excess_is_what_was_given"), as_role("henkan_app") as cursor:
        cursor.execute("UPDATE register_claimline SET excess = 1")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE register_decision SET reason = ''",
        "DELETE FROM register_decision",
        "DELETE FROM register_claim",
        "DELETE FROM register_claimline",
        "UPDATE register_claimline SET recorded = recorded + 1, admitted = admitted + 1",
        "UPDATE register_claimline SET claim_class = 'general'",
        "UPDATE register_claim SET number = ''",
        "UPDATE register_dispute SET claimed = 1",
        "UPDATE register_transfer SET fraction_num = 1",
        "UPDATE register_hold SET kind = 'str'",
    ],
)
def test_the_app_edits_nothing_of_the_register(disputed, as_role, sql):
    with pytest.raises(ProgrammingError, match="permission denied"), as_role("henkan_app") as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE register_decision SET reason = ''", "append only"),
        ("DELETE FROM register_claimline", "append only"),
        ("UPDATE register_claimline SET recorded = recorded + 1, admitted = admitted + 1", "keeps_what_was_recorded"),
        ("UPDATE register_claim SET number = 'x'", "claim_is_confirmed_once"),
        ("UPDATE register_dispute SET claimed = 1", "dispute_ends_with_a_decision_of_its_line"),
    ],
)
def test_the_owner_too_edits_nothing_of_the_register(disputed, as_owner, sql, why):
    with as_owner() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match=why), as_owner() as cursor:
        cursor.execute(sql)


NEW_LINE = """
INSERT INTO register_claimline (case_id, claim_id, asset_id, claim_class, recorded, lodged, admitted, disputed, rejected,
    out_of_scope, converted_in, converted_out, excess, decision_id)
SELECT case_id, claim_id, %s, 'general', 5, %s, 5 + %s, 0, 0, 0, 0, 0, 0, %s FROM register_claimline LIMIT 1
"""


def test_a_line_begins_as_recorded_by_a_rule_in_an_asset_of_its_case(scheduled, line, assets, as_role, aoki):
    other = open_sample_case("T-2")
    theirs = Asset.objects.create(case=other, code="JPY", name="JPY", scale=0, network="bank", kind="fiat")
    foreign = Decision.objects.create(case=other, rule="r", reason_code="scheduled", at=NOON)
    single = review.decide_line(line, 5, reason_code="in_part", by=aoki, at=NOON)
    rule = Decision.objects.exclude(rule="").get(case=scheduled)
    for asset, lodged, decision, why in [
        (theirs, 0, rule, "claim_line_is_of_the_case_of_its_asset"),
        (assets["ETH"], 0, foreign, "claim_line_begins_by_a_rule_of_its_case"),
        (assets["ETH"], 0, single, "claim_line_begins_by_a_rule_of_its_case"),
        (assets["ETH"], 3, rule, "claim_line_begins_as_recorded"),
    ]:
        with pytest.raises(IntegrityError, match=why), as_role("henkan_app") as cursor:
            cursor.execute(NEW_LINE, [asset.pk, lodged, lodged, decision.pk])
