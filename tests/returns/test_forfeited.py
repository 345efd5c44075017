"""What nobody claims: forfeited, deposited or sold is what two people signed, what cannot be paid, and nothing else."""

import datetime

import pytest
from django.db import transaction

from administration.cases import appointments
from administration.fields import db_now
from administration.returns import depositing, forfeiting, sales
from administration.returns.depositing import NotDeposited, Paper
from administration.returns.models import DepositFiling, ForcedSale, Forfeiture, TailState
from claims.register import holds, positions
from claims.register.models import Decision, Position
from tests.returns.test_tail import an_order, approve, claims_of, proposed, silence, ties
from tests.returns.world import sign, tampering

BODY = (
    'name = "n"\nkind = "interim"\nunclaimed = "redistribute"\n[[pool]]\nname = "p"\nassets = "every asset"\nclasses = ["trust_beneficiary"]\n'
)


@pytest.fixture
def unclaimed(world):
    """A claim that nobody answers for, under a plan that gives it to the others."""
    claim = claims_of(world)[0]
    silence(world, [claim])
    with tampering() as cursor:
        cursor.execute("UPDATE distribution_plan SET body = %(b)s, sha256 = sha256(convert_to(%(b)s, 'UTF8'))", {"b": BODY})
    return claim


def forfeit(world, claim):
    order = an_order(world, forfeiting.PERMITS)
    return forfeiting.propose(world.case, [claim], facts="x", order=order, by=world.goto, at=db_now())


def test_what_a_run_gave_after_the_proposal_is_not_taken_with_it(world, unclaimed):
    line = unclaimed.lines.get(asset__code="JPY")
    positions.move(world.case, "withdraw", key="less", rows=[(line.pk, 50)], subject=world.case, by=world.goto, at=db_now())
    request = forfeit(world, unclaimed)
    positions.move(world.case, "declare", key="more", rows=[(line.pk, 50)], subject=world.case, by=world.goto, at=db_now())
    sign(request, world.people.aoki)
    with pytest.raises(forfeiting.NotForfeited, match="not any more what was signed"), transaction.atomic():
        sign(request, world.people.baba)
    assert Forfeiture.objects.get().state == TailState.PROPOSED
    line.refresh_from_db()
    assert (line.admitted, line.excess) == (1000, 0)


def test_what_a_signed_sale_set_apart_is_not_forfeited_too(world, unclaimed):
    request = forfeit(world, unclaimed)
    said = {"ground": "unreachable", "facts": "連絡が取れない。", "claims": [unclaimed], "order": an_order(world, sales.PERMITS)}
    approve(world, sales.propose(world.case, world.assets["BTC"], world.assets["JPY"], **said, by=world.goto, at=db_now()))
    sign(request, world.people.aoki)
    with pytest.raises(forfeiting.NotForfeited, match="Propose it again"):
        sign(request, world.people.baba)
    assert ForcedSale.objects.get().state == TailState.APPROVED
    line = unclaimed.lines.get(asset__code="BTC")
    assert (Position.objects.get(pk=line.pk).scheduled, line.excess) == (2 * 10**8, 0)


def test_what_was_set_apart_before_stays_the_claims(world, unclaimed):
    said = {"ground": "unreachable", "facts": "連絡が取れない。", "claims": [unclaimed], "order": an_order(world, sales.PERMITS)}
    approve(world, sales.propose(world.case, world.assets["BTC"], world.assets["JPY"], **said, by=world.goto, at=db_now()))
    bitcoin, yen = (unclaimed.lines.get(asset__code=code) for code in ("BTC", "JPY"))
    approve(world, forfeit(world, unclaimed))
    for line in (bitcoin, yen):
        line.refresh_from_db()
    assert ((bitcoin.admitted, bitcoin.excess), (yen.admitted, yen.excess)) == ((2 * 10**8, 0), (0, 1000))
    ties(world)


def test_whoever_proposes_a_forfeiture_may_decide_claims(world, unclaimed):
    with tampering() as cursor:
        cursor.execute("UPDATE cases_appointment SET powers = array_remove(powers, 'claims.decide') WHERE user_id = %s", [world.goto.pk])
    with pytest.raises(appointments.NotEmpowered, match="power “claims"):
        forfeit(world, unclaimed)


def test_the_lines_are_decided_by_the_last_signer_who_may(world, unclaimed):
    request = forfeit(world, unclaimed)
    with tampering() as cursor:  # the preparer's power ended meanwhile
        cursor.execute("UPDATE cases_appointment SET powers = array_remove(powers, 'claims.decide') WHERE user_id = %s", [world.goto.pk])
    sign(request, world.people.baba)
    sign(request, world.people.aoki)  # the office-holder
    assert Forfeiture.objects.get().state == TailState.DONE
    assert set(Decision.objects.filter(reason_code="unclaimed").values_list("by__username", flat=True)) == {"aoki"}


def test_positions_are_locked_before_the_first_event(world, unclaimed, monkeypatch):
    """Who appends an event holds the case's counter; nobody then waits for a position."""
    seen = []
    lock = positions.lock
    monkeypatch.setattr(positions, "lock", lambda lines: (seen.append(sorted(lines)), lock(lines))[1])
    approve(world, forfeit(world, unclaimed))
    assert seen[0] == sorted(unclaimed.lines.values_list("pk", flat=True))


# --- who cannot be reached loses nothing that can be paid, and nothing on which a hold lies -------------

PAPERS = [Paper("notices", "n", b"n"), Paper("returned_mail", "m", b"m")]


def can_be_paid(claim, asset):
    """The customer has shown where this asset goes, and nothing else."""
    with tampering() as cursor:
        cursor.execute(
            "UPDATE destinations_destination d SET state = 'usable', revoked_at = NULL, revoke_reason = '' FROM books_asset a"
            " WHERE a.id = d.asset_id AND a.code = %s AND d.claim_id = %s",
            [asset, claim.pk],
        )


def held(world, claim, kind="sanctions"):
    holds.place(claim, kind, reason="a list", next_look=datetime.date(2099, 1, 1), by=world.goto, at=db_now())


def deposited(world, claim):
    return proposed(world, [claim], ground="unreachable", papers=PAPERS)


def sold(world, claim):
    order = an_order(world, sales.PERMITS)
    return sales.propose(
        world.case, world.assets["BTC"], world.assets["JPY"], ground="unreachable", facts="x", claims=[claim], order=order,
        by=world.goto, at=db_now(),
    )  # fmt: skip


def test_what_can_be_paid_is_neither_forfeited_nor_deposited_nor_sold(world, unclaimed):
    can_be_paid(unclaimed, "JPY")
    forfeit(world, unclaimed)
    assert {line.claim_line.asset.code for line in Forfeiture.objects.get().lines.all()} == {"BTC", "ETH"}
    with pytest.raises(NotDeposited):
        deposited(world, unclaimed)
    can_be_paid(unclaimed, "BTC")
    with pytest.raises(sales.NotSold, match="None of these claims"):
        sold(world, unclaimed)


@pytest.mark.parametrize(("act", "asset"), [(forfeit, "JPY"), (deposited, "JPY"), (sold, "BTC")])
def test_a_destination_shown_after_the_proposal_is_heard_before_the_last_signature(world, unclaimed, act, asset):
    request = act(world, unclaimed)
    can_be_paid(unclaimed, asset)
    sign(request, world.people.aoki)
    with pytest.raises((forfeiting.NotForfeited, NotDeposited, sales.NotSold), match="Propose it again without that"):
        sign(request, world.people.baba)


@pytest.mark.parametrize("act", [forfeit, deposited, sold])
def test_nothing_on_which_a_hold_lies_is_given_away(world, unclaimed, act):
    request = act(world, unclaimed)
    held(world, unclaimed)
    sign(request, world.people.aoki)
    with pytest.raises((forfeiting.NotForfeited, NotDeposited, sales.NotSold), match="A hold lies on claim"):
        sign(request, world.people.baba)


@pytest.mark.parametrize("act", [forfeit, deposited, sold])
def test_nothing_on_which_a_hold_lies_is_even_proposed(world, unclaimed, act):
    held(world, unclaimed)
    with pytest.raises((forfeiting.NotForfeited, NotDeposited, sales.NotSold), match="A hold lies on claim"):
        act(world, unclaimed)


def test_whoever_reappears_after_the_signatures_is_not_deposited_for(world, unclaimed):
    approve(world, deposited(world, unclaimed))
    can_be_paid(unclaimed, "JPY")
    with pytest.raises(NotDeposited, match="Propose it again without that"):
        depositing.hand_out(DepositFiling.objects.get(), by=world.goto, at=db_now())
