"""Claims made from the ledger."""

import pytest
from django.db import IntegrityError, transaction

from administration.cases.appointments import NotEmpowered
from administration.ledger.models import HandedOverHold, LedgerBalance, ScopeDecision, SourceFile
from administration.record.models import Event
from claims.register import schedule
from claims.register.models import Claim, Claimant, ClaimKind, ClaimLine, Decision, Hold, Position
from tests.cast import NOON
from tests.factories import adjusted
from tests.register.conftest import done


def lines_of(number):
    rows = ClaimLine.objects.filter(claim__number__contains=f"-C{number:07d}-").order_by("asset__code", "claim_class")
    return [(row.asset.code, row.claim_class, row.recorded, row.admitted, row.out_of_scope) for row in rows]


@pytest.fixture
def run(case, accept, goto):
    def run():
        accept()
        return done(schedule.schedule(case, by=goto, at=NOON))

    return run


def test_every_account_has_one_claim_with_a_line_for_each_asset_and_class(scheduled):
    assert [claim.number for claim in Claim.objects.order_by("number")] == [
        "T-1-C0000001-3", "T-1-C0000002-1", "T-1-C0000003-7"
    ]  # fmt: skip
    assert Claimant.objects.count() == 3
    assert lines_of(1) == [
        ("BTC", "priority_segregated", 500_000_000, 500_000_000, 0),
        ("JPY", "trust_beneficiary", 1000, 1000, 0),
    ]
    assert lines_of(3) == [("BTC", "priority_segregated", 1, 1, 0)]


def test_each_line_opens_an_empty_position(scheduled):
    assert Position.objects.count() == ClaimLine.objects.count() == 5
    assert all((p.given, p.scheduled, p.in_flight, p.settled, p.deposited) == (0,) * 5 for p in Position.objects.all())


def test_one_event_covers_all_claims(scheduled, goto):
    event = Event.objects.get(kind="claims.scheduled")
    assert event.by == "goto"
    assert '"count":"5"' in event.body
    assert '"sums":{"BTC":"500000001","ETH":"3000000000000000000","JPY":"1500"}' in event.body


def test_one_decision_by_a_rule_lets_all_lines_stand(scheduled):
    decision = Decision.objects.get()
    assert decision.rule == "scheduled_stands_until_disputed"
    assert set(ClaimLine.objects.values_list("decision", flat=True)) == {decision.pk}


def test_scheduling_again_changes_nothing(scheduled, run):
    job = run()

    assert job.result["claims"] == Claim.objects.count() == 3
    assert Event.objects.filter(kind="claims.scheduled").count() == 1


def test_a_job_that_begins_again_from_nothing_makes_no_claim_twice(scheduled, goto):
    job = schedule.schedule(scheduled, by=goto, at=NOON)
    job.cursor = ""
    with transaction.atomic():
        schedule.step(job)

    assert Claim.objects.count() == 3
    assert ClaimLine.objects.count() == 5


def test_claims_are_made_from_an_accepted_ledger_only(case, goto):
    with pytest.raises(schedule.NotAccepted, match="second person"):
        schedule.schedule(case, by=goto, at=NOON)


def test_who_has_no_such_power_schedules_nothing(case, ledger, fujii):
    with pytest.raises(NotEmpowered):
        schedule.schedule(case, by=fujii, at=NOON)


def test_products_of_one_class_add_up_and_what_must_be_filed_is_reserved_and_not_admitted(case, assets, ledger, run):
    first, file = ledger[0], SourceFile.objects.get(name="balances.csv")
    for n, (product, amount) in enumerate([("pending_withdrawal", 7), ("lending", 40)]):
        LedgerBalance.objects.create(
            case=case, ledger_account=first, asset=assets["BTC"], product=product, amount=amount, file=file, row=90 + n
        )
    run()

    assert lines_of(1)[:2] == [
        ("BTC", "lending_unsecured", 40, 0, 0),
        ("BTC", "priority_segregated", 500_000_007, 500_000_007, 0),
    ]
    lent = ClaimLine.objects.get(claim_class="lending_unsecured")
    assert (lent.disputed, lent.decision.rule) == (40, "scheduled_and_reserved_until_filed_and_decided")


def test_what_is_out_of_scope_is_recorded_and_not_admitted(case, assets, ledger, run):
    for in_scope in (True, False):
        ScopeDecision.objects.create(
            case=case, ledger_account=ledger[0], product="spot", in_scope=in_scope, ground="own", at=NOON
        )
    run()

    assert lines_of(1)[1] == ("JPY", "trust_beneficiary", 1000, 0, 1000)


def test_an_adjustment_is_part_of_what_is_recorded_and_nothing_is_left_out_silently(case, assets, ledger, run):
    adjusted(
        case=case, ledger_account=ledger[0], asset=assets["JPY"], product="spot", amount=-1000, reason="error", at=NOON
    )
    run()

    assert [code for code, *_ in lines_of(1)] == ["BTC"]


def test_a_negative_balance_must_be_adjusted_first(case, assets, ledger, run):
    adjusted(
        case=case, ledger_account=ledger[0], asset=assets["JPY"], product="spot", amount=-1001, reason="error", at=NOON
    )
    with pytest.raises(schedule.NegativeBalances, match=r"account A0001 \(JPY, spot\)"):
        run()


def test_a_hold_handed_over_is_placed_and_a_suspicious_transaction_report_is_confidential(case, ledger, run):
    file = SourceFile.objects.get(name="accounts.csv")
    for n, kind in enumerate(("attachment", "str")):
        HandedOverHold.objects.create(
            case=case, ledger_account=ledger[0], kind=kind, since="2026-01-05", reference=f"R{n}", file=file, row=n
        )
    run()

    assert list(Hold.objects.order_by("kind").values_list("kind", "confidential", "reason")) == [
        ("attachment", False, "handed over 2026-01-05 R0"),
        ("str", True, "handed over 2026-01-05 R1"),
    ]


def test_the_database_refuses_two_scheduled_claims_on_one_account(scheduled, as_role):
    claim = Claim.objects.first()
    with pytest.raises(IntegrityError, match="account_is_scheduled_in_one_claim"):
        Claim.objects.create(
            case=scheduled, number="another", kind=ClaimKind.SCHEDULED, claimant=claim.claimant,
            ledger_account=claim.ledger_account,
        )  # fmt: skip
