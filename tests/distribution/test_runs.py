"""Runs: what each line gets, round after round."""

import io
import json
from datetime import datetime

import pytest
from django.core.management import CommandError, call_command

from administration.books import books
from administration.cases import approvals
from administration.cases.appointments import NotEmpowered
from administration.distribution import computing, declaring, plans, runs
from administration.distribution.models import Entitlement, Plan, PoolHolding, PoolLine, Run
from administration.record import covers
from administration.record.models import Event
from administration.work.jobs import JobFailed
from administration.work.models import Job
from claims.register import positions, review, schedule
from claims.register.models import Position
from tests.cast import NOON
from tests.distribution.conftest import FINAL, PLAN, amounts, done


def pool(run, code):
    return run.pools.get(asset__code=code)


# --- shares -----------------------------------------------------------------------------------


def test_an_interim_round_gives_each_line_its_share_rounded_down(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, {"BTC": 2}, BTC=10)
    run = estate.compute()

    assert run.state == "computed"
    assert amounts(run, "BTC") == [4, 4, 1]
    line = pool(run, "BTC")
    assert (line.amount, line.weights, line.effective, line.distributed, line.left) == (10, 14, 10, 9, 1)


def test_rounds_add_up_and_none_goes_backwards(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, {"BTC": 2}, BTC=10)
    estate.round()
    estate.receive(BTC=1)
    estate.round()
    assert estate.given("BTC") == [4, 4, 1]
    estate.receive(BTC=3)
    run = estate.round()
    assert estate.given("BTC") == [6, 6, 2]
    assert run.state == "declared"


def test_each_asset_is_shared_by_itself_in_its_own_units(open_estate):
    estate = open_estate({"BTC": 100, "JPY": 9}, {"ETH": 10**18, "JPY": 1}, BTC=50, ETH=10**17, JPY=5)
    run = estate.compute()
    assert (amounts(run, "BTC"), amounts(run, "ETH"), amounts(run, "JPY")) == ([50], [10**17], [4, 0])


def test_nobody_gets_more_than_is_admitted_however_much_is_there(open_estate):
    run = open_estate({"BTC": 5}, {"BTC": 7}, BTC=100).compute()
    assert amounts(run, "BTC") == [5, 7]
    assert (pool(run, "BTC").effective, pool(run, "BTC").left) == (12, 88)


def test_amounts_beyond_any_machine_word_are_exact(open_estate):
    huge = 10**60
    claims = [huge + 1, 3 * huge + 7, 5]
    found = 2 * huge + 11
    run = open_estate(*({"ETH": claim} for claim in claims), ETH=found).compute()
    assert amounts(run, "ETH") == [claim * found // sum(claims) for claim in claims]


def test_a_line_that_shares_gets_a_row_also_if_it_gets_nothing(open_estate):
    run = open_estate({"BTC": 1}, {"BTC": 1_000_000}, BTC=10).compute()
    assert amounts(run, "BTC") == [0, 9]
    assert run.entitlement_count == 2


def test_an_asset_of_which_nothing_is_there_gives_nothing_and_says_so(open_estate):
    run = open_estate({"BTC": 5, "JPY": 5}, JPY=5).compute()
    assert amounts(run, "BTC") == [0]
    assert runs.warnings(run) == ["BTC: nothing is there to share."]


def test_what_is_held_back_is_kept_of_everything_ever_put_aside(open_estate):
    """A fifth stays back in every round: not a fifth of each time what is left."""
    held = PLAN + 'holdback = { num = 1, den = 5, reason = "costs" }\n'
    estate = open_estate({"BTC": 100}, {"BTC": 100}, BTC=100)
    assert amounts(estate.round(held), "BTC") == [40, 40]
    assert amounts(estate.round(held), "BTC") == [0, 0]
    estate.receive(BTC=50)
    run = estate.round(held)
    assert estate.given("BTC") == [60, 60]
    assert (pool(run, "BTC").held_back, pool(run, "BTC").left) == (30, 0)


def test_classes_that_the_plan_does_not_name_do_not_share(open_estate):
    estate = open_estate({"BTC": 5, "JPY": 5}, BTC=5, JPY=5)
    run = estate.compute(PLAN.replace('"trust_beneficiary", ', ""))
    assert list(run.pools.values_list("asset__code", flat=True)) == ["BTC"]


# --- disputes, late admissions, lowered claims ------------------------------------------------


def test_a_disputed_quantity_is_reserved_as_if_admitted_and_not_given(open_estate):
    estate = open_estate({"BTC": 100}, {"BTC": 100}, BTC=100)
    schedule.dispute(estate.line(1, "BTC"), 200, ground="a deposit is missing", by=estate.by, at=NOON)
    run = estate.round()
    assert amounts(run, "BTC") == [33, 33]
    line = pool(run, "BTC")
    assert (line.weights, line.effective, line.reserved, line.left) == (300, 100, 33, 34)


def test_a_claim_admitted_after_a_dispute_catches_up_in_one_round(open_estate):
    estate = open_estate({"BTC": 100}, {"BTC": 100}, BTC=100)
    dispute = schedule.dispute(estate.line(1, "BTC"), 200, ground="a deposit is missing", by=estate.by, at=NOON)
    estate.round()
    review.decide(dispute, 200, reason_code="deposit_found", by=estate.by, at=NOON)
    run = estate.round()
    assert estate.given("BTC") == [66, 33]
    assert pool(run, "BTC").reserved == 0


def test_a_claim_rejected_after_a_dispute_frees_its_reserve_for_all(open_estate):
    estate = open_estate({"BTC": 100}, {"BTC": 100}, BTC=100)
    dispute = schedule.dispute(estate.line(1, "BTC"), 200, ground="a deposit is missing", by=estate.by, at=NOON)
    estate.round()
    review.decide(dispute, 100, reason_code="not_in_any_record", by=estate.by, at=NOON)
    estate.round()
    assert estate.given("BTC") == [50, 50]


def test_where_others_hold_more_than_their_share_a_late_claim_gets_what_is_left(open_estate):
    unreserved = PLAN + "reserve_disputed = false\n"
    estate = open_estate({"BTC": 100}, {"BTC": 100}, BTC=120)
    dispute = schedule.dispute(estate.line(1, "BTC"), 300, ground="a deposit is missing", by=estate.by, at=NOON)
    estate.round(unreserved)
    assert estate.given("BTC") == [60, 60]
    review.decide(dispute, 300, reason_code="deposit_found", by=estate.by, at=NOON)
    estate.receive(BTC=30)
    run = estate.round(unreserved)
    assert estate.given("BTC") == [90, 60]
    # The share of the whole pool would be 112 and 37: P′ is the most that leaves the second line what it has.
    assert pool(run, "BTC").effective == 121
    assert pool(run, "BTC").left == 0
    assert "BTC: some hold more than their share already" in runs.warnings(run)[0]


def lower(estate, holder, code, admitted):
    review.decide_line(estate.line(holder, code), admitted, reason_code="duplicate", by=estate.by, at=NOON)


def test_from_a_lowered_claim_the_next_run_takes_back_what_is_above_its_share(open_estate):
    estate = open_estate({"BTC": 100}, {"BTC": 100}, BTC=100)
    estate.round()
    lower(estate, 1, "BTC", 20)
    run = estate.round()
    # 100 of 120 for everyone: 16 of 20 and 83 of 100.
    assert estate.given("BTC") == [16, 83]
    line = pool(run, "BTC")
    assert (line.withdrawn, line.distributed, line.left) == (34, 33, 1)
    assert amounts(run, "BTC") == [0, 33]


def test_what_has_left_the_house_is_not_taken_back(open_estate):
    estate = open_estate({"BTC": 100}, {"BTC": 100}, BTC=100)
    estate.round()
    for kind in ("schedule", "take"):
        positions.move(
            estate.case, kind, key=kind, rows=[(estate.line(1, "BTC").pk, 40)], subject=("test", 1), by=None, at=NOON
        )
    lower(estate, 1, "BTC", 20)
    run = estate.round()
    assert estate.given("BTC") == [40, 60]
    assert pool(run, "BTC").withdrawn == 10
    assert estate.line(1, "BTC").excess == 20


def test_a_claim_that_others_dilute_keeps_what_it_has(open_estate):
    """Only a decision on the claim itself takes anything back."""
    unreserved = PLAN + "reserve_disputed = false\n"
    estate = open_estate({"BTC": 100}, {"BTC": 100}, BTC=100)
    dispute = schedule.dispute(estate.line(1, "BTC"), 900, ground="a deposit is missing", by=estate.by, at=NOON)
    estate.round(unreserved)
    review.decide(dispute, 900, reason_code="deposit_found", by=estate.by, at=NOON)
    run = estate.round(unreserved)
    assert estate.given("BTC") == [50, 50]
    assert pool(run, "BTC").withdrawn == 0


# --- the final round --------------------------------------------------------------------------


def test_a_final_round_gives_out_the_last_unit_if_the_plan_says_so(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, {"BTC": 2}, BTC=10)
    assert sum(amounts(estate.compute(FINAL), "BTC")) == 10
    assert sum(amounts(estate.compute(FINAL.replace("largest remainder", "floor")), "BTC")) == 9


def test_without_a_word_of_the_plan_the_proceeding_decides_how_a_final_round_is_rounded(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, {"BTC": 2}, BTC=10)
    run = estate.compute(PLAN.replace('"interim"', '"final"'))
    assert pool(run, "BTC").rounding == "floor"
    assert sum(amounts(run, "BTC")) == 9


def test_a_final_round_waits_for_every_dispute(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    schedule.dispute(estate.line(1, "BTC"), 9, ground="a deposit is missing", by=estate.by, at=NOON)
    with pytest.raises(JobFailed, match="still disputed"):
        estate.compute(FINAL + "reserve_disputed = false\n")
    assert Run.objects.get().state == "withdrawn"
    assert Event.objects.order_by("number").last().kind == "run.withdrawn"


# --- what a run rests on ----------------------------------------------------------------------


def test_the_same_inputs_give_the_same_bytes(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6, "JPY": 3}, BTC=10, JPY=2)
    first, second = estate.compute(), estate.compute()
    assert bytes(first.inputs_sha256) == bytes(second.inputs_sha256)
    assert bytes(first.outputs_root) == bytes(second.outputs_root)


def test_any_other_claim_or_amount_gives_other_hashes(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    first = estate.compute()
    estate.receive(BTC=1)
    second = estate.compute()
    lower(estate, 2, "BTC", 5)
    third = estate.compute()
    assert len({bytes(run.inputs_sha256) for run in (first, second, third)}) == 3
    assert len({bytes(run.outputs_root) for run in (first, second, third)}) == 3


def test_a_pool_names_the_proved_holdings_behind_it(open_estate):
    run = open_estate({"BTC": 6}, BTC=10).compute()
    (named,) = PoolHolding.objects.filter(pool_line__run=run)
    assert (named.holding.asset.code, named.holding.amount, named.access) == ("BTC", 10, "proved")


def test_value_that_no_proved_holding_stands_behind_is_not_shared(open_estate):
    estate = open_estate({"BTC": 6}, JPY=1)
    lines = [(estate.assets["BTC"], 5)]
    books.post(estate.case, "receipt", idem_key="odd", lines=lines, subject=estate.case, by=estate.by, at=NOON)
    with pytest.raises(JobFailed, match="no proved holding stands behind it"):
        estate.compute()


def test_only_who_may_plan_computes(open_estate):
    estate = open_estate({"BTC": 6}, BTC=10)
    plan = plans.draft(estate.case, PLAN, by=estate.by, at=NOON)
    with pytest.raises(NotEmpowered):
        runs.compute(plan, by=estate.cast.fujii, at=NOON)
    assert not Run.objects.exists()


def test_nothing_is_computed_before_owed_and_held_were_compared(open_estate, as_superuser):
    estate = open_estate({"BTC": 6}, BTC=10)
    with as_superuser() as cursor:
        cursor.execute("DELETE FROM custody_reconciliation")
    with pytest.raises(runs.NotReconciled, match="BTC"):
        estate.compute()


def test_nothing_is_computed_while_the_estate_does_not_tie(open_estate, as_superuser):
    estate = open_estate({"BTC": 6}, BTC=10)
    with as_superuser() as cursor:
        cursor.execute("UPDATE books_balance SET debits = debits + 1 WHERE side = 'D'")
    with pytest.raises(Exception, match="does not tie"):
        estate.compute()


def test_a_run_goes_on_where_it_was_cut_short(open_estate):
    """Each phase leaves rows; whoever comes next looks at them."""
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    undisturbed = estate.compute()
    job = runs.compute(plans.draft(estate.case, PLAN, by=estate.by, at=NOON), by=estate.by, at=NOON)
    phases = []
    while True:
        run = Run.objects.select_related("case", "plan", "computed_by").get(pk=job.subject_id)
        phase = computing.advance(run, at=datetime.fromisoformat(job.params["at"]))
        if phase is None:
            break
        phases.append(phase)
    assert phases == list(computing.PHASES)
    assert bytes(run.outputs_root) == bytes(undisturbed.outputs_root)
    assert Event.objects.filter(kind="run.computed").count() == 2
    assert done(job).result == {"run": run.number, "state": "computed"}


def test_what_if_shows_the_result_and_leaves_nothing(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    events = Event.objects.count()
    with runs.what_if(estate.case, PLAN, by=estate.by, at=NOON) as run:
        seen = runs.described(run)
        assert amounts(run, "BTC") == [5, 5]
    assert seen["pools"] == [
        {"pool": "customers", "asset": "BTC", "amount": "10", "distributed": "10", "left": "0"}
    ]  # fmt: skip
    assert not any(model.objects.exists() for model in (Plan, Run, PoolLine, Entitlement))
    assert not Job.objects.filter(kind=runs.COMPUTE).exists()
    assert Event.objects.count() == events
    assert runs.described(estate.compute())["outputs_root"] == seen["outputs_root"]


# --- approval and declaration -----------------------------------------------------------------


def test_a_run_is_declared_after_two_signatures_and_not_before(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    run = estate.compute()
    request = runs.request_approval(run, by=estate.by, at=NOON)
    approvals.sign(request, by=estate.cast.baba, at=NOON)
    run.refresh_from_db()
    assert (run.state, estate.given("BTC")) == ("computed", [0, 0])
    signed = approvals.sign(request, by=estate.cast.aoki, at=NOON)
    run.refresh_from_db()
    assert (run.state, estate.given("BTC")) == ("approved", [0, 0])
    done(signed.followed_by)
    run.refresh_from_db()
    assert (run.state, estate.given("BTC")) == ("declared", [5, 5])


def test_signatures_bind_everything_the_run_says(open_estate, as_superuser):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    run = estate.compute()
    before = runs.content(run.pk)
    with as_superuser() as cursor:
        cursor.execute("UPDATE distribution_poolline SET distributed = distributed + 1, withdrawn = withdrawn + 1")
    assert runs.content(run.pk) != before


def test_a_run_computed_before_another_was_declared_cannot_be_approved(open_estate):
    """It would give the same money once more."""
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    second = estate.compute()
    estate.round()
    with pytest.raises(runs.Outdated, match="2 lines were given something"):
        runs.request_approval(second, by=estate.by, at=NOON)


def test_a_run_that_gives_more_than_is_admitted_by_now_cannot_be_approved(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    run = estate.compute()
    lower(estate, 1, "BTC", 2)
    with pytest.raises(runs.Outdated, match="1 claims no longer cover"):
        runs.request_approval(run, by=estate.by, at=NOON)


def test_a_claim_lowered_between_signature_and_declaration_gets_no_more_than_it_covers(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    run = estate.compute()
    request = runs.request_approval(run, by=estate.by, at=NOON)
    for signer in (estate.cast.baba, estate.cast.aoki):
        signed = approvals.sign(request, by=signer, at=NOON)
    lower(estate, 1, "BTC", 2)
    done(signed.followed_by)
    run.refresh_from_db()
    assert (run.state, estate.given("BTC")) == ("declared", [2, 5])
    assert json.loads(Event.objects.get(kind="run.declared").body)["declare"] == {"BTC": "7"}


def test_while_a_run_is_being_declared_no_other_is_computed(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    request = runs.request_approval(estate.compute(), by=estate.by, at=NOON)
    for signer in (estate.cast.baba, estate.cast.aoki):
        approvals.sign(request, by=signer, at=NOON)
    with pytest.raises(runs.StillDeclaring):
        estate.compute()


def test_a_withdrawn_run_cannot_be_approved(open_estate):
    estate = open_estate({"BTC": 6}, BTC=10)
    run = estate.compute()
    runs.withdraw(run, by=estate.by, at=NOON, reason="another plan")
    with pytest.raises(runs.NotComputed):
        runs.request_approval(run, by=estate.by, at=NOON)
    with pytest.raises(runs.NotComputed):
        runs.withdraw(run, by=estate.by, at=NOON, reason="again")


def test_the_record_covers_every_entitlement(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6, "JPY": 3}, BTC=10, JPY=2)
    run = estate.round()
    for kind, count in (("run.computed", 3), ("run.declared", 3)):
        said = json.loads(Event.objects.get(kind=kind).body)["cover"]
        again = covers.cover(said["name"], **said["params"])
        assert (said["sha256"], said["count"]) == (again.sha256, str(count))
        assert said["sums"] == {"BTC": "10", "JPY": "2"}
    assert run.state == "declared"


def test_a_declaration_in_many_chunks_gives_the_same_as_in_one(open_estate, monkeypatch):
    monkeypatch.setattr(positions, "ROWS_MAX", 2)
    estate = open_estate(*({"BTC": n} for n in range(1, 8)), BTC=14)
    estate.round()
    assert estate.given("BTC") == [n // 2 for n in range(1, 8)]
    assert Position.objects.filter(given=0).count() == 1


def approved(estate):
    """A run with both signatures, whose declaration nobody has begun."""
    run = estate.compute()
    request = runs.request_approval(run, by=estate.by, at=NOON)
    for signer in (estate.cast.baba, estate.cast.aoki):
        request = approvals.sign(request, by=signer, at=NOON)
    run.refresh_from_db()
    return run, request


def test_a_run_the_successor_declines_is_withdrawn_if_nothing_of_it_is_declared(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    run, request = approved(estate)
    declaring.declined(request, estate.cast.aoki, NOON)
    done(request.followed_by)
    run.refresh_from_db()
    assert (run.state, estate.given("BTC")) == ("withdrawn", [0, 0])
    estate.round()
    assert estate.given("BTC") == [5, 5]


def test_of_a_run_the_successor_declines_halfway_what_is_declared_stands(open_estate, monkeypatch):
    monkeypatch.setattr(positions, "ROWS_MAX", 1)
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    run, request = approved(estate)
    job = request.followed_by
    for _ in range(2):  # the pass that takes back has nothing to do; then one line of two is declared
        progress = declaring.step(job)
        job.cursor, job.done = progress.cursor, progress.done
    declaring.declined(request, estate.cast.aoki, NOON)
    run.refresh_from_db()
    assert (run.state, estate.given("BTC")) == ("declared", [5, 0])
    estate.round()
    assert estate.given("BTC") == [5, 5]


def test_a_run_the_successor_stands_by_is_declared_to_the_end(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    run, request = approved(estate)
    assert declaring.is_live(run.pk)
    done(declaring.resumed(request, estate.cast.aoki, NOON))
    assert estate.given("BTC") == [5, 5]
    assert not declaring.is_live(run.pk)
    assert declaring.resumed(request, estate.cast.aoki, NOON) is None


def test_a_person_finds_a_run_by_its_reference(open_estate):
    run = open_estate({"BTC": 6}, BTC=10).compute()
    assert str(run) == "T-1-R1"
    assert declaring.find("T-1-R1") == run.pk
    assert declaring.find("T-1-R2") is declaring.find("nonsense") is None


def test_inputs_are_handed_to_who_may_pull_and_the_record_says_so(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    run = estate.compute()
    with pytest.raises(NotEmpowered):
        runs.hand_out_inputs(run, io.StringIO(), by=estate.cast.fujii, at=NOON)
    assert runs.hand_out_inputs(run, io.StringIO(), by=estate.cast.chiba, at=NOON) == 2
    assert Event.objects.order_by("number").last().kind == "run.inputs_handed_out"


# --- the command ------------------------------------------------------------------------------


def test_the_command_prints_the_object_of_the_design(open_estate, tmp_path, capsys):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    call_command("compute", "T-1", str(path), "--what-if", "--json")
    said = json.loads(capsys.readouterr().out)
    assert sorted(said) == ["entitlements", "inputs_sha256", "ok", "outputs_root", "pools", "run", "warnings"]
    assert said["pools"] == [
        {"pool": "customers", "asset": "BTC", "amount": "10", "distributed": "10", "left": "0"}
    ]  # fmt: skip
    assert not Run.objects.exists()
    path.write_text("name = 1")
    with pytest.raises(CommandError):
        call_command("compute", "T-1", str(path), "--json")
    assert estate.given("BTC") == [0, 0]
