"""What the database itself refuses of the ledger, whoever asks."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction

from administration.books.models import Asset
from administration.cases import approvals
from administration.cases.models import Case
from administration.ledger import adjustments, scope, takeover
from administration.ledger.models import (
    Adjustment,
    ControlTotal,
    Identity,
    Intake,
    LedgerAccount,
    LedgerBalance,
    ScopeDecision,
)
from administration.record.models import Event
from administration.work import jobs
from administration.work.models import Job
from tests.cast import CUTOFF, LONG_AGO, NOON, Cast, open_sample_case, sha
from tests.factories import ledger_of
from tests.ledger.helpers import inspected

FROZEN = [
    "ledger_sourcefile",
    "ledger_identity",
    "ledger_ledgeraccount",
    "ledger_ledgerbalance",
    "ledger_handedoverhold",
    "ledger_handedoverdestination",
    "ledger_handedoverprice",
    "ledger_handedoverplace",
    "ledger_finding",
    "ledger_adjustment",
    "ledger_proposedadjustment",
    "ledger_scopedecision",
    "ledger_personlink",
]


@pytest.fixture
def ledger(case: Case, assets: dict[str, Asset], cast: Cast) -> list[LedgerAccount]:
    """Two accounts, not yet accepted."""
    return ledger_of(case, assets, [{"JPY": 1000, "BTC": 5}, {"JPY": -30}], by=cast.goto)


@pytest.fixture
def accept(case: Case, as_superuser: Any) -> Callable[[], None]:
    """Call it: the ledger is accepted, as if by a second person."""

    def accepted() -> None:
        with as_superuser() as cursor:
            cursor.execute("UPDATE ledger_intake SET state = 'accepted' WHERE case_id = %s", [case.pk])

    return accepted


@pytest.mark.parametrize("table", FROZEN)
def test_not_even_the_owner_changes_what_was_taken_over(db: None, as_owner: Any, table: str):
    for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(DatabaseError, match="append only"), as_owner() as cursor:
            cursor.execute(statement)


@pytest.mark.parametrize("table", [name for name in FROZEN if name != "ledger_finding"])
def test_the_application_may_not_even_try(ledger: object, as_role: Any, table: str):
    for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        with pytest.raises(ProgrammingError, match="permission denied"), as_role("henkan_app") as cursor:
            cursor.execute(statement)


INSERTS = {
    "ledger_identity": """
        INSERT INTO ledger_identity (case_id, customer_ref, entity_type, name, kana, romaji, nationality,
            residence_country, postcode, address, address_kana, phone, email, corporate_number, kyc_status, language,
            file_id, "row")
        SELECT case_id, 'K9', entity_type, name, kana, romaji, nationality, residence_country, postcode, address,
            address_kana, phone, email, corporate_number, kyc_status, language, file_id, 99
        FROM ledger_identity LIMIT 1""",
    "ledger_ledgeraccount": """
        INSERT INTO ledger_ledgeraccount (case_id, intake_id, account_ref, identity_id, capacity, status, file_id, "row")
        SELECT case_id, intake_id, 'A9', identity_id, capacity, status, file_id, 99 FROM ledger_ledgeraccount LIMIT 1""",
    "ledger_ledgerbalance": """
        INSERT INTO ledger_ledgerbalance (case_id, ledger_account_id, asset_id, product, amount, file_id, "row")
        SELECT case_id, ledger_account_id, asset_id, 'lending', 1000000, file_id, 99 FROM ledger_ledgerbalance LIMIT 1""",
    "ledger_sourcefile": """
        INSERT INTO ledger_sourcefile (case_id, intake_id, name, sha256, bytes, deliverer, received_at)
        SELECT case_id, intake_id, 'more.csv', '\\x00', 1, '', now() FROM ledger_sourcefile LIMIT 1""",
    "ledger_handedoverhold": """
        INSERT INTO ledger_handedoverhold (case_id, ledger_account_id, kind, since, reference, file_id, "row")
        SELECT case_id, id, 'dispute', now(), '', file_id, 9 FROM ledger_ledgeraccount LIMIT 1""",
}


@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
@pytest.mark.parametrize("table", INSERTS)
def test_nothing_is_added_to_an_accepted_ledger(
    ledger: object, accept: Callable[[], None], as_role: Any, table: str, role: str
):
    with as_role(role) as cursor:
        cursor.execute(INSERTS[table])  # before, it is possible
    accept()

    with pytest.raises(DatabaseError, match="ledger_is_frozen_at_acceptance"), as_role(role) as cursor:
        cursor.execute(re.sub("'(K9|A9|lending|more.csv)'", "'another'", INSERTS[table]))


def test_no_account_customer_or_balance_stands_twice(ledger: object, as_role: Any):
    for table, constraint in {
        "ledger_identity": "customer_is_listed_once",
        "ledger_ledgeraccount": "account_is_listed_once",
        "ledger_ledgerbalance": "balance_is_listed_once_per_account_asset_product",
    }.items():
        with pytest.raises(IntegrityError, match=constraint), as_role("henkan_app") as cursor:
            cursor.execute(
                re.sub("'K9'", "customer_ref", INSERTS[table])
                .replace("'A9'", "account_ref")
                .replace("'lending'", "product")
            )


def test_the_same_file_is_not_taken_over_twice(
    case: Case, ledger: object, accept: Callable[[], None], as_superuser: Any
):
    accept()
    with as_superuser() as cursor:
        cursor.execute(
            """INSERT INTO ledger_intake (case_id, manifest, package_sha256, directory, cutoff_at, differences,
                   negative_policy, state, received_by_id, received_at, accounts, balances, outcomes, remark)
               SELECT case_id, manifest, package_sha256, directory, cutoff_at, differences, negative_policy, 'cancelled',
                   received_by_id, received_at, 0, 0, outcomes, remark FROM ledger_intake RETURNING id"""
        )
        (second,) = cursor.fetchone()

    with pytest.raises(IntegrityError, match="the_same_file_is_not_taken_over_twice"), connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO ledger_sourcefile (case_id, intake_id, name, sha256, bytes, rows, deliverer, received_at)
               SELECT case_id, %s, name, sha256, bytes, rows, deliverer, received_at FROM ledger_sourcefile""",
            [second],
        )


def test_one_table_is_not_in_a_package_under_two_names(ledger: object, as_role: Any):
    with pytest.raises(IntegrityError, match="table_is_taken_over_once"), as_role("henkan_app") as cursor:
        cursor.execute(
            """INSERT INTO ledger_sourcefile (case_id, intake_id, name, sha256, bytes, rows, deliverer, received_at)
               SELECT case_id, intake_id, 'copy.csv', sha256, bytes, rows, deliverer, received_at
               FROM ledger_sourcefile LIMIT 1"""
        )


# --- the intake -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["inspected", "accepting", "accepted", "cancelled"])
def test_an_intake_cannot_jump_ahead(ledger: object, as_owner: Any, state: str):
    with pytest.raises(DatabaseError, match="intake_moves_forward_only"), as_owner() as cursor:
        cursor.execute("UPDATE ledger_intake SET state = %s", [state])


def test_an_intake_cannot_begin_anywhere_but_at_the_beginning(case: Case, cast: Cast):
    with pytest.raises(IntegrityError, match="intake_begins_as_received"):
        Intake.objects.create(
            case=case, manifest={}, package_sha256=sha("p"), directory="", cutoff_at=CUTOFF, state="accepted",
            received_by=cast.goto, received_at=LONG_AGO,
        )  # fmt: skip


@pytest.mark.parametrize(
    "column", ["manifest = '{}'", "directory = 'elsewhere'", "cutoff_at = now()", "package_sha256 = '\\x00'"]
)
def test_an_intake_stays_what_was_received(ledger: object, as_owner: Any, accept: Callable[[], None], column: str):
    with as_owner() as cursor:
        cursor.execute("UPDATE ledger_intake SET manifest = manifest")
    with pytest.raises(DatabaseError, match="intake_stays_what_was_received"), as_owner() as cursor:
        cursor.execute(
            f"UPDATE ledger_intake SET {column.replace(chr(39) + '{}' + chr(39), chr(39) + '[1]' + chr(39))}, state = state"
        )
    accept()
    with pytest.raises(DatabaseError, match="intake_moves_forward_only"), as_owner() as cursor:
        cursor.execute("UPDATE ledger_intake SET state = 'cancelled'")
    with pytest.raises(DatabaseError, match="intake_once_inspected_is_kept"), as_owner() as cursor:
        cursor.execute("DELETE FROM ledger_intake")


def test_nothing_is_accepted_without_the_signatures_for_exactly_that(secured: Case, cast: Cast, clean_package: Path):
    intake = inspected(secured, cast, clean_package)
    takeover.accept(intake, by=cast.goto, at=NOON)

    with pytest.raises(IntegrityError, match="acceptance_needs_its_signatures"), connection.cursor() as cursor:
        cursor.execute("UPDATE ledger_intake SET state = 'accepting'")


def test_nothing_is_accepted_with_an_unexplained_difference(
    secured: Case, cast: Cast, clean_package: Path, as_superuser: Any
):
    inspected(secured, cast, clean_package)
    with as_superuser() as cursor:
        cursor.execute(
            "UPDATE ledger_controltotal SET declared = declared + 1 WHERE asset_code = 'BTC' AND product = 'spot'"
        )

    with (
        pytest.raises(IntegrityError, match="acceptance_needs_every_difference_explained"),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE ledger_intake SET state = 'accepting'")


def test_an_acceptance_that_lacks_a_row_or_a_unit_is_refused(
    secured: Case, cast: Cast, clean_package: Path, as_superuser: Any
):
    intake = inspected(secured, cast, clean_package)
    approvals.sign(takeover.accept(intake, by=cast.goto, at=NOON), by=cast.baba, at=NOON)

    with pytest.raises(IntegrityError, match="acceptance_needs_every_row"), connection.cursor() as cursor:
        cursor.execute("UPDATE ledger_intake SET state = 'accepted'")


@pytest.mark.parametrize(
    ("tampering", "why"),
    [
        ("UPDATE ledger_ledgerbalance SET amount = amount + 1 WHERE id = (SELECT min(id) FROM ledger_ledgerbalance)",
         "acceptance_needs_sums_as_stated"),
        ("DELETE FROM ledger_ledgerbalance WHERE id = (SELECT min(id) FROM ledger_ledgerbalance)",
         "acceptance_needs_sums_as_stated"),
        ("UPDATE ledger_ledgerbalance SET ledger_account_id = 0 WHERE id = (SELECT min(id) FROM ledger_ledgerbalance)",
         "acceptance_needs_every_rows_parent"),
        ("UPDATE ledger_identity SET file_id = 0", "acceptance_needs_every_rows_parent"),
        ("UPDATE ledger_handedoverdestination SET asset_id = 0", "acceptance_needs_every_rows_parent"),
    ],
)  # fmt: skip
def test_an_acceptance_whose_rows_are_not_what_was_signed_is_refused(
    secured: Case, cast: Cast, clean_package: Path, as_superuser: Any, tampering: str, why: str
):
    intake = inspected(secured, cast, clean_package)
    approvals.sign(takeover.accept(intake, by=cast.goto, at=NOON), by=cast.baba, at=NOON)
    job = jobs._take(Job.objects.get(kind=takeover.ACCEPT).pk)
    while json.loads(job.cursor or '{"stage": ""}')["stage"] != "accept":
        jobs._chunk(job)
    with as_superuser() as cursor:
        cursor.execute(tampering)

    with pytest.raises(IntegrityError, match=why), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE ledger_intake SET state = 'accepted'")
    assert Intake.objects.get().state == "accepting"


# --- control totals ---------------------------------------------------------------------------


def test_a_control_total_never_changes_and_takes_a_suspense_only_with_its_signatures(
    secured: Case, cast: Cast, clean_package: Path, as_role: Any
):
    inspected(secured, cast, clean_package)
    refused = {
        "UPDATE ledger_controltotal SET declared = declared + 1": "control_total_never_changes",
        "UPDATE ledger_controltotal SET computed = computed + 1": "control_total_never_changes",
        "UPDATE ledger_controltotal SET source = 'me'": "control_total_never_changes",
        "UPDATE ledger_controltotal SET suspense = 5, suspense_name = 'five'": "suspense_needs_its_signatures",
        "DELETE FROM ledger_controltotal": "permission denied",
    }
    for statement, why in refused.items():
        with pytest.raises(DatabaseError, match=why), as_role("henkan_app") as cursor:
            cursor.execute(statement)


def test_control_totals_are_not_added_after_the_inspection(secured: Case, cast: Cast, clean_package: Path):
    intake = inspected(secured, cast, clean_package)

    with pytest.raises(IntegrityError, match="control_totals_are_stated_at_inspection"):
        ControlTotal.objects.create(
            intake=intake, asset_code="DOGE2", product="spot", declared=0, source="me", computed=0, computed_accounts=0
        )


# --- who may read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    ["ledger_identity", "ledger_handedoverdestination", "ledger_handedoverhold", "ledger_staging_customers",
     "ledger_staging_bank_accounts"],
)  # fmt: skip
def test_personal_data_is_not_for_auditors_queries(db: None, as_role: Any, table: str):
    with pytest.raises(ProgrammingError, match="permission denied"), as_role("henkan_reader") as cursor:
        cursor.execute(f"SELECT * FROM {table}")


def test_auditors_queries_read_the_money_without_the_people(ledger: object, as_role: Any):
    with as_role("henkan_reader") as cursor:
        cursor.execute(
            "SELECT sum(amount) FROM ledger_ledgerbalance JOIN ledger_ledgeraccount a ON a.id = ledger_account_id"
        )
        assert cursor.fetchone()[0] is not None


@pytest.mark.parametrize("table", [*FROZEN, "ledger_intake", "ledger_controltotal", "ledger_staging_balances"])
def test_the_portal_sees_nothing_of_the_ledger(db: None, as_role: Any, table: str):
    with pytest.raises(ProgrammingError, match="permission denied"), as_role("henkan_portal") as cursor:
        cursor.execute(f"SELECT * FROM {table}")


def test_no_personal_data_stands_beside_the_money():
    money = {field.name for model in (LedgerAccount, LedgerBalance, Adjustment) for field in model._meta.get_fields()}

    assert not money & {"name", "kana", "address", "phone", "email", "birth_or_founding_date"}
    assert {"name", "kana", "address"} <= {field.name for field in Identity._meta.get_fields()}


# --- corrections ------------------------------------------------------------------------------


ADJUST = """
INSERT INTO ledger_adjustment (case_id, ledger_account_id, asset_id, product, amount, reason, note, at, proposal_id)
VALUES (%(case)s, %(account)s, %(asset)s, 'spot', %(amount)s, %(reason)s, 'Booked twice.', now(), %(proposal)s)
"""


@pytest.mark.parametrize(
    ("signed", "changed"),
    [
        (False, {}),  # a proposal nobody has signed
        (True, {"amount": -11}),  # another amount than was signed
        (True, {"reason": "court_order"}),
        (True, {"proposal": None}),  # no proposal at all
        (True, {"proposal": None, "reason": "negative_balance_excluded"}),  # nothing is being accepted
        (True, {}),  # what was signed, a second time
    ],
)
def test_the_database_lets_no_correction_count_otherwise_than_it_was_signed(
    ledger: list[LedgerAccount], accept: Callable[[], None], assets: dict[str, Asset], cast: Cast,
    as_role: Any, signed: bool, changed: dict[str, Any],
):  # fmt: skip
    accept()
    request = adjustments.adjust(
        ledger[0], asset=assets["JPY"], product="spot", amount=-10, reason="error", note="Booked twice.", by=cast.goto,
        at=NOON,
    )  # fmt: skip
    if signed:
        for user in (cast.baba, cast.aoki):
            approvals.sign(request, by=user, at=NOON)
    before = Adjustment.objects.count()
    row = {
        "case": ledger[0].case_id, "account": ledger[0].pk, "asset": assets["JPY"].pk, "amount": -10, "reason": "error",
        "proposal": request.object_id,
    } | changed  # fmt: skip

    with pytest.raises(IntegrityError, match=r"adjustment_was_signed|proposal_id"), as_role("henkan_app") as cursor:
        cursor.execute(ADJUST, row)

    assert Adjustment.objects.count() == before


def test_a_correction_counts_once_two_others_have_signed_it(
    ledger: list[LedgerAccount], accept: Callable[[], None], assets: dict[str, Asset], cast: Cast
):
    accept()
    request = adjustments.adjust(
        ledger[0],
        asset=assets["JPY"],
        product="spot",
        amount=-10,
        reason="error",
        note="Booked twice.",
        by=cast.goto,
        at=NOON,
    )
    assert not Adjustment.objects.exists()
    approvals.sign(request, by=cast.baba, at=NOON)
    approvals.sign(request, by=cast.aoki, at=NOON)

    made = Adjustment.objects.get()
    assert (made.amount, made.reason, made.decided_by) == (-10, "error", cast.aoki)
    assert LedgerBalance.objects.get(ledger_account=ledger[0], asset=assets["JPY"]).amount == 1000
    assert Event.objects.filter(kind="ledger.adjusted").count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 0},
        {"reason": "because"},
        {"product": "perpetual"},
        {"note": " "},
        {"reason": "negative_balance_excluded"},
    ],
)
def test_a_correction_without_amount_or_reason_is_refused(
    ledger: list[LedgerAccount],
    accept: Callable[[], None],
    assets: dict[str, Asset],
    cast: Cast,
    change: dict[str, Any],
):
    accept()
    good = {"asset": assets["JPY"], "product": "spot", "amount": -10, "reason": "error", "note": "Booked twice."}

    with pytest.raises(adjustments.NotAdjusted):
        adjustments.adjust(ledger[0], **{**good, **change}, by=cast.goto, at=NOON)


def test_a_ledger_not_accepted_is_not_corrected(ledger: list[LedgerAccount], assets: dict[str, Asset], cast: Cast):
    with pytest.raises(adjustments.NotAdjusted):
        adjustments.adjust(
            ledger[0], asset=assets["JPY"], product="spot", amount=1, reason="error", note="?", by=cast.goto, at=NOON
        )


def test_a_correction_names_an_asset_of_its_own_case(
    ledger: list[LedgerAccount], accept: Callable[[], None], cast: Cast
):
    accept()
    strange = Asset.objects.create(case=open_sample_case("T-2"), code="JPY", scale=0, kind="fiat")

    with pytest.raises(adjustments.NotAdjusted):
        adjustments.adjust(
            ledger[0], asset=strange, product="spot", amount=1, reason="error", note="?", by=cast.goto, at=NOON
        )


def test_a_decision_on_scope_has_its_ground_and_leaves_the_earlier_one(ledger: list[LedgerAccount], cast: Cast):
    scope.decide(ledger[0], in_scope=False, ground="officer of the exchange", by=cast.goto, at=NOON)
    scope.decide(
        ledger[0], in_scope=True, ground="left in 2019", evidence=b"register", product="spot", by=cast.goto, at=NOON
    )

    assert [row.in_scope for row in ScopeDecision.objects.order_by("pk")] == [False, True]
    with pytest.raises(scope.NotDecided):
        scope.decide(ledger[0], in_scope=True, ground="", by=cast.goto, at=NOON)
