"""What the database refuses of plans, runs and entitlements, whoever asks."""

import pytest
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction

from administration.cases import approvals
from administration.distribution import computing, plans, runs
from administration.distribution.models import Entitlement, Plan, PoolHolding, PoolLine, Run
from tests.cast import NOON
from tests.distribution.conftest import PLAN, amounts

APP, OWNER = "henkan_app", "henkan_owner"


@pytest.fixture
def estate(open_estate):
    return open_estate({"BTC": 6, "JPY": 5}, {"BTC": 6}, BTC=10, JPY=3)


@pytest.fixture
def computed(estate):
    return estate.compute()


@pytest.fixture
def computing_run(estate):
    """A run whose entitlements are written and not frozen yet, with its hashes and roots."""
    job = runs.compute(plans.draft(estate.case, PLAN, by=estate.by, at=NOON), by=estate.by, at=NOON)
    for _ in range(3):
        run = Run.objects.select_related("case", "plan", "computed_by").get(pk=job.subject_id)
        computing.advance(run, at=NOON)
    run.refresh_from_db()
    assert run.state == "computing"
    return run


def refused(match, *kinds):
    return pytest.raises(kinds or (IntegrityError, ProgrammingError), match=match)


# --- what is frozen ---------------------------------------------------------------------------

TABLES = ["plan", "run", "poolline", "poolholding", "entitlement"]


@pytest.mark.parametrize("role", [APP, OWNER])
@pytest.mark.parametrize("table", [*TABLES, "runtransition"])
def test_no_role_deletes_or_truncates(computed, as_role, role, table):
    for sql in (f"DELETE FROM distribution_{table}", f"TRUNCATE distribution_{table} CASCADE"):
        with refused("append only|permission denied"), transaction.atomic(), as_role(role) as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(sql)
    assert Run.objects.get().state == "computed"


@pytest.mark.parametrize("role", [APP, OWNER])
@pytest.mark.parametrize(
    "change",
    [
        "distribution_plan SET body = 'x'",
        "distribution_entitlement SET amount = amount + 1",
        "distribution_entitlement SET amount = 0, cumulative = 0",
        "distribution_poolholding SET asset_id = asset_id",
        "distribution_poolline SET distributed = distributed + 1",
        "distribution_poolline SET root = sha256('x')",
        "distribution_run SET inputs_sha256 = sha256('x')",
        "distribution_run SET outputs_root = sha256('x')",
        "distribution_run SET entitlement_count = 1",
        "distribution_run SET number = 9",
        "distribution_run SET kind = 'final'",
        "distribution_runtransition SET to_state = 'declared'",
    ],
)
def test_nothing_a_computed_run_says_is_edited(computed, as_role, role, change):
    said = "append only|permission denied|frozen|keeps|while computing|by_its_root_once|nothing is added"
    with refused(said), transaction.atomic(), as_role(role) as cursor:
        cursor.execute(f"UPDATE {change}")


def test_the_orm_edits_nothing_either(computed):
    with refused("permission denied"), transaction.atomic():
        Entitlement.objects.update(amount=0)
    with refused("permission denied"), transaction.atomic():
        Plan.objects.update(body="x")
    with refused("frozen"), transaction.atomic():
        Run.objects.update(outputs_root=bytes(32))
    with refused("permission denied"), transaction.atomic():
        PoolHolding.objects.all().delete()


def entitlement(run, line, **figures):
    figures = {"weight": 6, "disputed": 0, "given": 0, "kept": 0, "cumulative": 1, "amount": 1, **figures}
    return Entitlement(run=run, claim_line=line, asset=line.asset, **figures)


def add(cursor, row):
    """As somebody who switches triggers off."""
    fields = Entitlement._meta.local_concrete_fields
    names, values = [field.column for field in fields], [getattr(row, field.attname) for field in fields]
    marks = ", ".join(["%s"] * len(names))
    cursor.execute(f"INSERT INTO distribution_entitlement ({', '.join(names)}) VALUES ({marks})", values)


WRITE = (
    "SELECT distribution_entitle(%s, 'first', %s::bigint[], ARRAY['general'], ARRAY[false], ARRAY[NULL]::bigint[],"
    " ARRAY[1]::numeric[], ARRAY[1]::numeric[])"
)


def test_entitlements_come_by_their_runs_own_writing_only(computing_run, estate, as_owner):
    other = entitlement(computing_run, estate.line(1, "JPY"))
    with refused("permission denied"), transaction.atomic():
        Entitlement.objects.bulk_create([other])
    for table in ("distribution_entitlement", f"distribution_entitlement_{computing_run.pk}"):
        for sql in (
            f"INSERT INTO {table} SELECT * FROM distribution_entitlement",
            f"UPDATE {table} SET amount = 0",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
        ):
            with refused("entitlements_are_written_by_their_run_alone"), transaction.atomic(), as_owner() as cursor:
                cursor.execute(sql)
            with refused("permission denied"), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(sql)


def test_a_run_is_entitled_once_and_only_while_it_computes(computed, computing_run, estate):
    asset = [estate.assets["BTC"].pk]
    for run, match in (
        (computing_run.pk, "run_is_entitled_once"),
        (computed.pk, "run_is_frozen_once_computed: no entitlement is added to a run that is computed"),
        (10**6, "no entitlement is added to a run that is not there"),
    ):
        with refused(match), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(WRITE, [run, asset])


def test_no_pool_line_or_holding_comes_after_the_run_is_computed(computed):
    line = PoolLine.objects.first()
    with refused("run_is_frozen_once_computed"), transaction.atomic():
        line.pk, line.asset_id = None, line.asset_id
        line.save(force_insert=True)
    holding = PoolHolding.objects.first()
    with refused("run_is_frozen_once_computed"), transaction.atomic():
        PoolHolding.objects.bulk_create(
            [PoolHolding(pool_line=holding.pool_line, holding=holding.holding, asset=holding.asset)]
        )


# --- what is wrong is not frozen --------------------------------------------------------------


def close(run):
    computing._close(run, at=NOON, record=False)


def test_a_claim_line_is_entitled_once_in_a_run(computing_run, estate, as_superuser):
    with refused(f"distribution_entitlement_{computing_run.pk}_pkey"), transaction.atomic(), as_superuser() as cursor:
        add(cursor, entitlement(computing_run, estate.line(2, "BTC"), cumulative=6, amount=6))


@pytest.mark.parametrize("asset", ["BTC", "ETH"])
def test_an_entitlement_without_a_claim_line_of_its_asset_is_not_frozen(computing_run, estate, as_superuser, asset):
    stray = entitlement(computing_run, estate.line(1, "BTC"))
    stray.claim_line_id, stray.asset_id = 10**9, estate.assets[asset].pk
    with as_superuser() as cursor:
        add(cursor, stray)
    with pytest.raises(computing.NotRight, match="run_entitles_claim_lines_of_its_case"):
        close(computing_run)
    assert Run.objects.get().state == "computing"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("cumulative = 7, amount = 7", "run_adds_up_to_its_pools"),
        ("amount = amount + 1", "entitlement_is_what_the_share_raises"),
        ("weight = -1, cumulative = -1, amount = 0", "entitlement_is_what_the_share_raises"),
        ("disputed = -1", "entitlement_is_what_the_share_raises"),
        ("kept = 1", "entitlement_is_what_the_share_raises"),
        ("given = 3, kept = 5, amount = 2", "entitlement_is_what_the_share_raises"),
        ("given = -3, kept = -3, amount = cumulative + 3", "entitlement_is_what_the_share_raises"),
        ("given = 3, kept = 3, amount = cumulative", "entitlement_is_what_the_share_raises"),
        ("weight = weight + 1", "Claims were lowered"),
    ],
)
def test_a_row_that_contradicts_itself_or_its_claim_is_not_frozen(computing_run, as_superuser, change, match):
    with as_superuser() as cursor:
        cursor.execute(f"UPDATE distribution_entitlement SET {change} WHERE weight = 6 AND claim_line_id = ("
                       " SELECT max(claim_line_id) FROM distribution_entitlement WHERE weight = 6)")  # fmt: skip
    with pytest.raises(computing.NotRight, match=match):
        close(computing_run)


def test_units_that_changed_hands_between_two_claims_are_found(computing_run, as_superuser):
    """Every sum is right, and each row adds up; but two shares are not by the rule."""
    with as_superuser() as cursor:
        cursor.execute("""
            UPDATE distribution_entitlement e SET cumulative = cumulative + d, amount = amount + d FROM (
                SELECT claim_line_id, CASE row_number() OVER (ORDER BY claim_line_id) WHEN 1 THEN 1 ELSE -1 END AS d
                FROM distribution_entitlement WHERE weight = 6) x
            WHERE x.claim_line_id = e.claim_line_id""")
    with pytest.raises(computing.NotRight, match="run_shares_by_its_rule"):
        close(computing_run)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("UPDATE distribution_entitlement SET cumulative = cumulative - 1, amount = amount - 1 WHERE amount > 1",
         "run_adds_up_to_its_pools"),
        ("UPDATE distribution_poolline SET effective = effective - 1", "run_shares_by_its_rule"),
        ("UPDATE distribution_poolline SET lines = lines + 1", "run_adds_up_to_its_pools"),
        ("UPDATE distribution_poolline SET weights = weights + 1", "run_adds_up_to_its_pools"),
        ("UPDATE distribution_poolline SET root = NULL", "run_adds_up_to_its_pools"),
        ("DELETE FROM distribution_poolline WHERE id = (SELECT max(id) FROM distribution_poolline)",
         "run_adds_up_to_its_pools"),
        ("DELETE FROM distribution_entitlement WHERE weight = 5", "run_adds_up_to_its_pools"),
    ],
)  # fmt: skip
def test_a_run_whose_rows_do_not_fit_is_not_frozen(computing_run, as_superuser, change, match):
    with as_superuser() as cursor:
        cursor.execute("DELETE FROM distribution_poolholding")
        cursor.execute(change)
    with pytest.raises(computing.NotRight, match=match):
        close(computing_run)


def test_a_claim_lowered_while_the_run_was_computed_stops_it(computing_run, estate):
    from claims.register import review

    review.decide_line(estate.line(1, "BTC"), 1, reason_code="duplicate", by=estate.by, at=NOON)
    with pytest.raises(computing.NotRight, match="were lowered while run 1 was computed"):
        close(computing_run)


# --- steps of a run ---------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["declared", "computing", "approved"])
def test_a_run_takes_listed_steps_only_and_is_approved_by_signatures_only(computed, as_role, state):
    said = "run_takes_listed_steps_only|run_is_approved_by_signatures"
    with refused(said), transaction.atomic(), as_role(APP) as cursor:
        cursor.execute("UPDATE distribution_run SET state = %s", [state])


def test_signatures_under_something_else_do_not_approve_a_run(computed, estate, as_superuser):
    request = runs.request_approval(computed, by=estate.by, at=NOON)
    with as_superuser() as cursor:
        cursor.execute(
            "UPDATE cases_approvalrequest SET state = 'granted', decided_at = now(), content_sha256 = sha256('other')"
        )
    with refused("run_is_approved_by_signatures"), transaction.atomic():
        Run.objects.filter(pk=computed.pk).update(state="approved")
    assert request.act == "distribution.plan"


def test_a_run_begins_computing_and_empty(estate, as_role):
    plan = plans.draft(estate.case, PLAN, by=estate.by, at=NOON)
    for values in ("'computed', NULL, NULL", "'computing', sha256('x'), NULL", "'approved', sha256('x'), sha256('x')"):
        with refused("run_begins_computing"), transaction.atomic(), as_role(APP) as cursor:
            cursor.execute(
                "INSERT INTO distribution_run (case_id, plan_id, number, kind, state, inputs_sha256, outputs_root,"
                f" entitlement_count, computed_by_id) VALUES (%s, %s, 1, 'interim', {values}, 0, %s)",
                [estate.case.pk, plan.pk, estate.by.pk],
            )


def test_only_one_run_of_a_case_is_being_declared(estate, as_superuser):
    first, second = estate.compute(), estate.compute()
    requests = [runs.request_approval(run, by=estate.by, at=NOON) for run in (first, second)]
    for signer in (estate.cast.baba, estate.cast.aoki):
        approvals.sign(requests[0], by=signer, at=NOON)
    approvals.sign(requests[1], by=estate.cast.baba, at=NOON)
    with pytest.raises(runs.StillDeclaring):
        approvals.sign(requests[1], by=estate.cast.aoki, at=NOON)
    with refused("one_run_at_a_time_is_being_declared"), transaction.atomic(), as_superuser() as cursor:
        cursor.execute("UPDATE distribution_run SET state = 'approved'")


def test_a_run_that_gave_more_than_its_entitlements_is_not_called_declared(estate, as_superuser):
    run = estate.compute()
    request = runs.request_approval(run, by=estate.by, at=NOON)
    for signer in (estate.cast.baba, estate.cast.aoki):
        approvals.sign(request, by=signer, at=NOON)
    with as_superuser() as cursor:
        cursor.execute("UPDATE register_position SET given = given + 6 WHERE asset_id = %s", [estate.assets["BTC"].pk])
    with refused("run_declares_no_more_than_its_entitlements"), transaction.atomic():
        Run.objects.filter(pk=run.pk).update(state="declared")


# --- plans and holdings -----------------------------------------------------------------------


def test_a_plans_hash_is_of_its_text(estate):
    with refused("plan_hash_is_of_its_text"), transaction.atomic():
        Plan.objects.create(
            case=estate.case, version=1, name="x", body="x", sha256=bytes(32), drafted_by=estate.by, drafted_at=NOON
        )


def test_a_pool_rests_on_proved_holdings_only(computing_run, as_superuser):
    named = PoolHolding.objects.first()
    with as_superuser() as cursor:
        cursor.execute("DELETE FROM distribution_poolholding")
        cursor.execute("UPDATE custody_holding SET access = 'unproved'")
    named.pk = None
    with refused("pool_holding_is_a_holding_proved"), transaction.atomic():
        named.save(force_insert=True)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    named.access = "unproved"
    with refused("pool_rests_on_proved_holdings_only"), transaction.atomic():
        named.save(force_insert=True)


def test_the_portal_reads_and_writes_nothing_here(computed, as_role):
    for table in TABLES:
        with refused("permission denied", DatabaseError), transaction.atomic(), as_role("henkan_portal") as cursor:
            cursor.execute(f"SELECT * FROM distribution_{table}")


def test_after_all_attempts_the_run_says_what_it_said(computed):
    assert amounts(computed, "BTC") == [5, 5]
