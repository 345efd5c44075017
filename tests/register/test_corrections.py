"""What was corrected in the ledger after the claims were made reaches them by decisions."""

import pytest

from administration.ledger.models import ScopeDecision
from administration.record import verify
from claims.register import corrections, positions, review, schedule
from claims.register.models import ClaimLine
from claims.register.tie_out import DoesNotTie, require
from tests.cast import NOON
from tests.factories import adjusted


def correct(case, account, asset, amount, product="spot"):
    adjusted(
        case=case, ledger_account=account, asset=asset, product=product, amount=amount, reason="error", at=NOON
    )


def parts(line):
    line = ClaimLine.objects.get(pk=line.pk)
    names = ("recorded", "corrected", "admitted", "disputed", "rejected", "out_of_scope", "excess")
    return {name: value for name in names if (value := getattr(line, name))}


@pytest.mark.parametrize(
    ("amount", "after"),
    [
        (50, {"recorded": 1000, "corrected": 50, "admitted": 1050}),
        (-300, {"recorded": 1000, "corrected": -300, "admitted": 700}),
        (-1000, {"recorded": 1000, "corrected": -1000}),
    ],
)
def test_a_line_follows_its_corrected_balance(scheduled, ledger, assets, line, aoki, amount, after):
    correct(scheduled, ledger[0], assets["JPY"], amount)
    with pytest.raises(DoesNotTie, match="JPY"):
        require(scheduled)

    assert corrections.follow(scheduled, by=aoki, at=NOON) == 1
    assert corrections.follow(scheduled, by=aoki, at=NOON) == 0

    assert parts(line) == after
    require(scheduled)
    assert verify.verify(scheduled)["first_bad"] is None


def test_what_the_ledger_left_out_becomes_a_line(scheduled, ledger, assets, aoki):
    correct(scheduled, ledger[2], assets["JPY"], 77)
    corrections.follow(scheduled, by=aoki, at=NOON)

    made = ClaimLine.objects.get(claim__ledger_account=ledger[2], asset=assets["JPY"])
    assert parts(made) == {"corrected": 77, "admitted": 77}
    require(scheduled)
    assert verify.verify(scheduled)["first_bad"] is None


def test_what_goes_out_of_scope_later_is_no_longer_admitted(scheduled, ledger, line, aoki):
    ScopeDecision.objects.create(
        case=scheduled, ledger_account=ledger[0], in_scope=False, ground="own account", at=NOON
    )
    assert corrections.follow(scheduled, by=aoki, at=NOON) == 2

    assert parts(line) == {"recorded": 1000, "out_of_scope": 1000}
    require(scheduled)


def test_what_was_given_above_a_corrected_balance_is_excess(funded, ledger, assets, line, aoki):
    positions.move(funded, "declare", key="d", rows=[(line.pk, 900)], subject=funded, by=aoki, at=NOON)
    correct(funded, ledger[0], assets["JPY"], -400)
    corrections.follow(funded, by=aoki, at=NOON)

    assert parts(line) == {"recorded": 1000, "corrected": -400, "admitted": 600, "excess": 300}
    require(funded)


def test_a_dispute_is_decided_before_the_line_follows(scheduled, ledger, assets, line, goto, aoki):
    schedule.dispute(line, 1500, ground="g", by=goto, at=NOON)
    correct(scheduled, ledger[0], assets["JPY"], 50)
    with pytest.raises(corrections.StillDisputed):
        corrections.follow(scheduled, by=aoki, at=NOON)

    assert parts(line) == {"recorded": 1000, "admitted": 1000, "disputed": 500}


# --- what must be filed -------------------------------------------------------------------------


def lent(claim):
    return ClaimLine.objects.get(claim=claim, asset__code="JPY", claim_class="lending_unsecured")


def test_what_must_be_filed_still_waits_after_every_correction(scheduled, ledger, assets, line, aoki):
    """Silence admits nothing in this class: no correction of the ledger does either, however many there are."""
    for amount, disputed in ((40, 40), (7, 47), (-5, 42)):
        correct(scheduled, ledger[0], assets["JPY"], amount, product="lending")
        assert corrections.follow(scheduled, by=aoki, at=NOON) == 1

        found = lent(line.claim)
        assert (found.admitted, found.disputed) == (0, disputed)
        assert found.decision.rule == schedule.MUST_BE_FILED
    require(scheduled)
    assert verify.verify(scheduled)["first_bad"] is None


def test_what_is_ranked_apart_after_it_was_scheduled_must_be_filed(scheduled, ledger, line, aoki):
    ScopeDecision.objects.create(
        case=scheduled, ledger_account=ledger[0], in_scope=True, rank="insider", ground="a director", at=NOON
    )
    corrections.follow(scheduled, by=aoki, at=NOON)

    apart = ClaimLine.objects.filter(claim=line.claim, claim_class="own_insider")
    assert {(found.admitted, found.disputed) for found in apart} == {(0, 1000), (0, 5_0000_0000)}
    assert parts(line) == {"recorded": 1000, "corrected": -1000}
    require(scheduled)


def test_what_was_filed_and_decided_follows_the_ledger_from_then_on(scheduled, ledger, assets, line, aoki):
    correct(scheduled, ledger[0], assets["JPY"], 40, product="lending")
    corrections.follow(scheduled, by=aoki, at=NOON)
    review.decide_line(lent(line.claim), 40, reason_code="as_recorded", by=aoki, at=NOON)

    correct(scheduled, ledger[0], assets["JPY"], 2, product="lending")
    corrections.follow(scheduled, by=aoki, at=NOON)

    found = lent(line.claim)
    assert (found.admitted, found.disputed) == (42, 0)
