"""What the database refuses of what is held, whoever asks."""

import pytest
from django.db import IntegrityError, ProgrammingError, connection
from django.utils.dateparse import parse_date

from administration.custody.models import Policy, Reconciliation, ReserveEntry
from administration.custody.movements import record as move
from tests.cast import NOON, open_sample_case, sha

TABLES = ["holdingplace", "holding", "movement", "reconciliation", "reserveentry", "policy"]
ROLES = ["henkan_app", "henkan_owner"]


@pytest.fixture
def rows(case, assets, hold, goto):
    """One row of each."""
    holding = hold(amount=10)
    move(
        holding.place, kind="receipt", amount=1, reason="found", evidence=b"p", evidence_name="p", by=goto, at=NOON
    )
    Reconciliation.objects.create(
        case=case, number=1, asset=assets["BTC"], ledger=1, adjustments=0, owed=1, held_proved=1, held_other=0,
        difference=0, by=goto, at=NOON,
    )  # fmt: skip
    ReserveEntry.objects.create(
        case=case, kind="accrual", amount=1, fiscal_year=2026, legal_basis="law", evidence_sha256=sha("e"), by=goto, at=NOON
    )
    Policy.objects.create(
        case=case, insurer="i", number="1", limit=1, from_date=parse_date("2026-01-01"), to_date=parse_date("2027-01-01"),
        evidence_sha256=sha("e"),
    )  # fmt: skip
    connection.check_constraints()  # as at a commit: nothing is left to be checked
    return holding


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["UPDATE {} SET case_id = case_id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
@pytest.mark.parametrize("role", ROLES)
def test_nobody_changes_what_was_stated(rows, as_role, role, statement, table):
    refusal = "permission denied" if role == "henkan_app" else "append only"
    with (
        pytest.raises((IntegrityError, ProgrammingError), match=refusal),
        as_role(role) as cursor,
    ):
        cursor.execute(statement.format(f"custody_{table}"))


INSERTED = {
    "case_id": "%(case)s", "place_id": "%(place)s", "asset_id": "%(asset)s", "amount": "1",
    "as_of": "%(noon)s::timestamptz - interval '1 hour'", "access": "'proved'", "proof": "'message'",
    "evidence_name": "'paper'", "evidence_sha256": "sha256('paper')", "by_id": "%(by)s", "at": "%(noon)s",
}  # fmt: skip


def insert(cursor, table, given, **columns):
    """A row of honest columns, but for those named."""
    cursor.execute(f"INSERT INTO custody_{table} ({', '.join(columns)}) VALUES ({', '.join(columns.values())})", given)


@pytest.fixture
def given(rows, assets, goto):
    return {
        "case": rows.case_id, "place": rows.place_id, "asset": rows.asset_id, "eth": assets["ETH"].pk, "by": goto.pk,
        "noon": NOON, "other": open_sample_case("T-2").pk,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"evidence_name": "''"}, "holding_names_its_evidence"),
        ({"evidence_sha256": "''::bytea"}, "holding_has_its_evidence"),
        ({"evidence_sha256": "NULL"}, "evidence_sha256"),
        ({"proof": "''"}, "proved_holding_says_how_control_was_proved"),
        ({"amount": "-1"}, "holding_is_not_negative"),
        ({"access": "'hoped'"}, "holding_says_whether_it_can_be_moved"),
        ({"as_of": "%(noon)s::timestamptz + interval '1 second'"}, "holding_is_not_of_the_future"),
        ({"asset_id": "%(eth)s"}, "holding_is_of_the_asset_of_its_place"),
        ({"case_id": "%(other)s"}, "holding_is_of_the_asset_of_its_place"),
    ],
    ids=str,
)
@pytest.mark.parametrize("role", ROLES)
def test_a_holding_that_cannot_be_is_refused(given, as_role, role, wrong, name):
    with pytest.raises(IntegrityError, match=name), as_role(role) as cursor:
        insert(cursor, "holding", given, **(INSERTED | wrong))


def test_the_same_holding_with_honest_columns_is_taken(given, as_role):
    with as_role("henkan_app") as cursor:
        insert(cursor, "holding", given, **INSERTED)


def test_a_place_is_of_the_case_of_its_asset(given, as_role):
    with pytest.raises(IntegrityError, match="holding_place_is_of_the_case_of_its_asset"), as_role("henkan_app") as cursor:
        insert(
            cursor, "holdingplace", given, case_id="%(other)s", asset_id="%(asset)s", kind="'wallet'", network="''",
            locator="'x'", temperature="''", tag="'own'", controller="''", custodian="''",
        )  # fmt: skip


MOVED = {
    "case_id": "%(case)s", "place_id": "%(place)s", "kind": "'receipt'", "amount": "1", "reason": "'found'",
    "evidence_name": "'paper'", "evidence_sha256": "sha256('paper')", "by_id": "%(by)s", "at": "%(noon)s",
}  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"amount": "-1"}, "movement_has_the_sign_of_its_kind"),
        ({"kind": "'fee'"}, "movement_has_the_sign_of_its_kind"),
        ({"kind": "'sweep'", "amount": "0"}, "movement_has_the_sign_of_its_kind"),
        ({"kind": "'gift'"}, "movement_has_the_sign_of_its_kind"),
        ({"reason": "''"}, "movement_says_why_and_by_what"),
        ({"evidence_sha256": "''::bytea"}, "movement_has_its_evidence"),
        ({"case_id": "%(other)s"}, "movement_is_at_a_place_of_its_case"),
        ({"order_id": "0"}, "movement_rests_on_an_order_of_its_case"),
    ],
    ids=str,
)
def test_a_movement_that_cannot_be_is_refused(given, as_role, wrong, name):
    with pytest.raises(IntegrityError, match=name), as_role("henkan_app") as cursor:
        insert(cursor, "movement", given, **(MOVED | wrong))


def test_a_movement_follows_a_proved_holding(given, hold, as_role):
    given["place"] = hold(access="unproved", locator="bc1-old").place_id
    with pytest.raises(IntegrityError, match="movement_follows_a_proved_holding"), as_role("henkan_app") as cursor:
        insert(cursor, "movement", given, **MOVED)


STATED = {
    "case_id": "%(case)s", "number": "2", "asset_id": "%(asset)s", "ledger": "5", "adjustments": "-1", "owed": "4",
    "held_proved": "3", "held_other": "0", "difference": "-1", "at": "%(noon)s",
}  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"owed": "5"}, "reconciliation_adds_up"),
        ({"difference": "0"}, "reconciliation_adds_up"),
        ({"number": "1"}, "reconciliation_states_an_asset_once"),
        ({"case_id": "%(other)s"}, "reconciliation_is_of_the_case_of_its_asset"),
    ],
    ids=str,
)
def test_a_reconciliation_that_does_not_add_up_is_refused(given, as_role, wrong, name):
    with pytest.raises(IntegrityError, match=name), as_role("henkan_app") as cursor:
        insert(cursor, "reconciliation", given, **(STATED | wrong))


@pytest.mark.parametrize("role", ["henkan_portal", "henkan_reader"])
@pytest.mark.parametrize("table", TABLES)
def test_other_roles_write_nothing(rows, as_role, role, table):
    with pytest.raises(ProgrammingError, match="permission denied"), as_role(role) as cursor:
        cursor.execute(f"INSERT INTO custody_{table} (id) VALUES (DEFAULT)")
