"""Where returns go: proposed, proved, cooled off, used; and what the database refuses of that."""

import pytest
from django.db import IntegrityError, ProgrammingError

from administration.cases.appointments import NotEmpowered
from administration.cases.models import OrderStanding
from administration.cases.orders import NotInForce
from administration.record.models import Event
from claims.destinations import cooling, handover, paper, proving
from claims.destinations.models import Destination
from claims.destinations.tasks import tick
from claims.register.models import Claim
from config.celery import app
from tests.cast import NOON, sha
from tests.destinations.conftest import ADDRESS, BANK


def states():
    rows = Destination.objects.order_by("claim__number", "asset__code", "version")
    return [(row.claim.number[-3], row.asset.code, row.version, row.state) for row in rows]


@pytest.fixture
def verified(scheduled, order, goto):
    handover.verify_by_order(scheduled, order, by=goto, at=NOON)
    return scheduled


@pytest.fixture
def slow(scheduled, as_superuser):
    """The same case, where destinations cool off for three days."""
    with as_superuser() as cursor:
        cursor.execute("UPDATE cases_case SET cooling_off_hours = 72 WHERE id = %s", [scheduled.pk])
    scheduled.refresh_from_db()
    return scheduled


@pytest.fixture
def claim(scheduled):
    return Claim.objects.order_by("number").first()


# --- from the exchange's files --------------------------------------------------------------------


def test_what_the_files_name_is_proposed_if_it_could_be_paid(scheduled):
    assert states() == [
        ("1", "BTC", 1, "proposed"), ("1", "JPY", 1, "proposed"),
        ("3", "BTC", 1, "proposed"), ("3", "BTC", 2, "proposed"),
    ]  # fmt: skip


def test_an_order_proves_what_is_the_only_one_known(scheduled, order, goto):
    assert handover.verify_by_order(scheduled, order, by=goto, at=NOON) == 2

    assert states()[:2] == [("1", "BTC", 1, "cooling"), ("1", "JPY", 1, "cooling")]
    assert states()[2:] == [("3", "BTC", 1, "proposed"), ("3", "BTC", 2, "proposed")]
    assert '"count":"2"' in Event.objects.get(kind="destinations.verified").body


def test_verifying_again_changes_nothing(verified, order, goto):
    assert handover.verify_by_order(verified, order, by=goto, at=NOON) == 0


def test_another_order_proves_nothing(scheduled, other_order, goto):
    with pytest.raises(handover.NotPermitted):
        handover.verify_by_order(scheduled, other_order, by=goto, at=NOON)


def test_a_stayed_order_proves_nothing(scheduled, order, aoki, goto):
    OrderStanding.objects.create(order=order, standing="stayed", since=NOON, evidence_sha256=sha("stay"), by=aoki)
    with pytest.raises(NotInForce):
        handover.verify_by_order(scheduled, order, by=goto, at=NOON)


def test_a_stranger_proves_nothing(scheduled, order, fujii):
    with pytest.raises(NotEmpowered):
        handover.verify_by_order(scheduled, order, by=fujii, at=NOON)


# --- cooling off ----------------------------------------------------------------------------------


def test_what_has_cooled_off_becomes_usable(verified):
    assert cooling.release(verified, at=NOON) == 2
    assert cooling.release(verified, at=NOON) == 0

    assert [state for *_, state in states()] == ["usable", "usable", "proposed", "proposed"]
    assert Event.objects.filter(kind="destinations.cooled_off").count() == 1


def test_the_clock_releases_what_has_cooled_off_and_nothing_else_and_says_so_once(verified):
    tick()
    tick()

    assert [state for *_, state in states()] == ["usable", "usable", "proposed", "proposed"]
    assert Event.objects.get(kind="destinations.cooled_off").by == ""
    assert app.conf.beat_schedule["destinations.tick"]["task"] == tick.name


def test_the_clock_leaves_what_still_cools_off(slow, order, goto):
    handover.verify_by_order(slow, order, by=goto, at=NOON)
    tick()

    assert cooling.due() == []
    assert {state for *_, state in states()} == {"cooling", "proposed"}


def test_what_still_cools_off_is_not_released(slow, order, goto):
    handover.verify_by_order(slow, order, by=goto, at=NOON)
    assert cooling.release(slow, at=NOON) == 0


def test_the_database_refuses_use_before_its_time(slow, order, goto, as_role):
    handover.verify_by_order(slow, order, by=goto, at=NOON)
    with (
        pytest.raises(IntegrityError, match="destination_is_not_used_before_its_time"),
        as_role("henkan_app") as cursor,
    ):
        cursor.execute("UPDATE destinations_destination SET state = 'usable' WHERE state = 'cooling'")


def test_the_database_refuses_to_cool_off_for_less_than_the_case_says(slow, order, as_role):
    with as_role("henkan_app") as cursor:
        cursor.execute(
            "UPDATE destinations_destination SET state = 'proved', proved_at = now(), order_id = %s WHERE version = 1",
            [order.pk],
        )
    with pytest.raises(IntegrityError, match="destination_cools_off_for_as_long"), as_role("henkan_app") as cursor:
        cursor.execute(
            "UPDATE destinations_destination SET state = 'cooling', usable_from = now() + interval '71 hours'"
            " WHERE state = 'proved'"
        )


def test_a_new_version_replaces_the_usable_one(verified, claim, assets, aoki, goto):
    cooling.release(verified, at=NOON)
    moved = BANK | {"number": "7654321"}
    new = paper.propose(claim, assets["JPY"], network="bank", details=moved, evidence=sha("p"), by=goto, at=NOON)
    paper.second_key(new, network="bank", details=moved, by=aoki, at=NOON)
    assert cooling.release(verified, at=NOON) == 1

    old = Destination.objects.get(claim=claim, asset=assets["JPY"], version=1)
    assert (old.state, old.revoke_reason) == ("revoked", "replaced by version 2")
    new.refresh_from_db()
    assert new.state == "usable"


def test_a_revoked_version_stays_revoked(verified, goto):
    destination = Destination.objects.filter(state="cooling").first()
    cooling.revoke(destination, reason="veto", by=goto, at=NOON)
    with pytest.raises(cooling.NotLive):
        cooling.revoke(destination, reason="veto", by=goto, at=NOON)

    assert Destination.objects.get(pk=destination.pk).state == "revoked"
    assert Event.objects.last().kind == "destination.revoked"


# --- signed paper ---------------------------------------------------------------------------------


@pytest.fixture
def proposed(claim, assets, goto):
    return paper.propose(claim, assets["JPY"], network="bank", details=BANK, evidence=sha("paper"), by=goto, at=NOON)


def test_two_people_read_the_same_paper(proposed, aoki):
    paper.second_key(proposed, network="bank", details=BANK, by=aoki, at=NOON)

    assert proposed.state == "cooling"
    assert (proposed.keyed_by.username, proposed.second_keyed_by.username) == ("goto", "aoki")


def test_one_person_cannot_key_a_paper_twice(proposed, goto):
    with pytest.raises(paper.SamePerson):
        paper.second_key(proposed, network="bank", details=BANK, by=goto, at=NOON)


def test_the_database_refuses_a_paper_keyed_by_one_person(proposed, goto, as_role):
    two_people = "paper_destination_is_keyed_by_two_people"
    for second in (goto.pk, None):
        with pytest.raises(IntegrityError, match=two_people), as_role("henkan_app") as cursor:
            cursor.execute(
                "UPDATE destinations_destination SET state = 'proved', proved_at = now(), second_keyed_by_id = %s"
                " WHERE id = %s",
                [second, proposed.pk],
            )


def test_what_two_people_read_differently_is_not_proved(proposed, aoki):
    with pytest.raises(paper.NotTheSame):
        paper.second_key(proposed, network="bank", details=BANK | {"number": "1234568"}, by=aoki, at=NOON)


def test_what_no_rail_could_pay_is_not_taken_down(claim, assets, goto):
    with pytest.raises(paper.NotPayable):
        paper.propose(
            claim, assets["BTC"], network="bitcoin", details=ADDRESS | {"address": ADDRESS["address"][:-1] + "5"},
            evidence=sha("paper"), by=goto, at=NOON,
        )  # fmt: skip


# --- what the database refuses ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("state = 'proved', proved_at = now()", "handover_destination_rests_on_an_order"),
        ("state = 'cooling', usable_from = now()", "destination_moves_forward|rests_on_an_order"),
        ("state = 'usable'", "destination_moves_forward|rests_on_an_order"),
        ("state = 'proposed'", "destination_moves_forward"),
        ("state = 'revoked'", "each_step_with_its_own_moment"),
        ("usable_from = now() - interval '1 year'", "destination_moves_forward"),
    ],
)
def test_a_step_that_is_not_in_the_table_is_refused(scheduled, as_role, change, why):
    with pytest.raises(IntegrityError, match=why), as_role("henkan_app") as cursor:
        cursor.execute(f"UPDATE destinations_destination SET {change}")


def test_the_database_refuses_an_order_that_does_not_permit_it(scheduled, other_order, as_role):
    change = "UPDATE destinations_destination SET state = 'proved', proved_at = now(), order_id = %s"
    for order in (other_order.pk, 0):
        with pytest.raises(IntegrityError, match="on_an_order_that_permits_it"), as_role("henkan_app") as cursor:
            cursor.execute(change, [order])


@pytest.mark.parametrize(
    "change", ["details = '{}'", "fingerprint = '\\x00'", "origin = 'paper'", "keyed_by_id = NULL"]
)
def test_the_app_edits_no_destination(scheduled, as_role, change):
    with pytest.raises(ProgrammingError, match="permission denied"), as_role("henkan_app") as cursor:
        cursor.execute(f"UPDATE destinations_destination SET {change}")


def test_the_owner_too_edits_no_destination(scheduled, as_owner):
    with pytest.raises(IntegrityError, match="destination_never_changes"), as_owner() as cursor:
        cursor.execute("UPDATE destinations_destination SET version = version + 10")
    with pytest.raises(IntegrityError, match="append only"), as_owner() as cursor:
        cursor.execute("DELETE FROM destinations_destination")


PORTAL_ONLY = "claimant_destination_is_written_by_the_portal"
NEW = """
INSERT INTO destinations_destination (case_id, claim_id, asset_id, version, network, details, fingerprint, origin, state,
    keyed_by_id, proposed_at, proved_at, usable_from, revoke_reason)
SELECT case_id, claim_id, asset_id, 9, network, details, {fingerprint}, {origin}, {state}, {keyed}, now(), NULL, NULL, ''
FROM destinations_destination LIMIT 1
"""


def new(**changes):
    return NEW.format(
        **({"fingerprint": "fingerprint", "origin": "'handover'", "state": "'proposed'", "keyed": "NULL"} | changes)
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": "'usable'"}, "destination_begins_as_proposed|rests_on_an_order"),
        ({"fingerprint": "sha256('x')"}, "destination_has_the_fingerprint_of_its_details"),
        ({"origin": "'paper'"}, "paper_destination_names_who_keyed_it"),
        ({"origin": "'court_order'"}, "destination_of_an_order_names_it"),
    ],
)
def test_a_destination_begins_as_proposed_and_as_what_it_says(scheduled, as_role, changes, why):
    with pytest.raises(IntegrityError, match=why), as_role("henkan_app") as cursor:
        cursor.execute(new(**changes))


def test_the_office_cannot_write_what_a_customer_says(scheduled, as_role):
    with pytest.raises(ProgrammingError, match=PORTAL_ONLY), as_role("henkan_app") as cursor:
        cursor.execute(new(origin="'claimant'"))


def test_the_portals_role_writes_nothing_without_a_claimants_fresh_session_and_never_more_than_a_customer_says(
    scheduled, as_role, as_owner
):
    for origin in ("'claimant'", "'handover'"):
        with pytest.raises(ProgrammingError, match=r"permission denied|row-level security"), as_role("henkan_portal") as cursor:
            cursor.execute(new(origin=origin))
    with as_owner() as cursor:  # should somebody open its doors, the trigger still knows whose words are whose
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE destinations_destination DISABLE ROW LEVEL SECURITY")
        cursor.execute("GRANT SELECT, INSERT ON destinations_destination TO henkan_portal")
        cursor.execute("GRANT USAGE ON SEQUENCE destinations_destination_id_seq TO henkan_portal")
        cursor.execute("GRANT EXECUTE ON FUNCTION destination_fingerprint(text, jsonb) TO henkan_portal")
        cursor.execute("GRANT EXECUTE ON FUNCTION frame(text) TO henkan_portal")
    with pytest.raises(ProgrammingError, match=PORTAL_ONLY), as_role("henkan_portal") as cursor:
        cursor.execute(new())
    with as_role("henkan_portal") as cursor:
        cursor.execute(new(origin="'claimant'"))


# --- what a customer gave, proved by the office ---------------------------------------------------


@pytest.fixture
def given(scheduled, as_superuser):
    """The first claim's bitcoin address, as if the customer had given it in a session of the portal."""
    with as_superuser() as cursor:
        cursor.execute(new(origin="'claimant'") + " RETURNING id")
        (made,) = cursor.fetchone()
    return Destination.objects.get(pk=made)


def test_what_a_customer_gave_is_proved_on_a_paper_and_then_cools_off(given, goto):
    how = proving.ways(given)[0]
    proving.prove(given, how=how, evidence=sha("a paper"), by=goto, at=NOON)

    assert (given.state, given.proved_by, bytes(given.proof_sha256)) == ("cooling", goto, sha("a paper"))
    assert f'"how":"{how}"' in Event.objects.get(kind="destination.proved").body
    with pytest.raises(proving.NotProved, match="no proof any more"):
        proving.prove(given, how=how, evidence=sha("a paper"), by=goto, at=NOON)


def test_the_office_proves_only_what_a_customer_gave_and_only_so_as_it_can_be_shown(given, goto, fujii):
    handed_over = Destination.objects.filter(origin="handover").first()
    wrong = next(how for how in proving.How if how not in proving.ways(given))
    for row, how in ((handed_over, proving.ways(handed_over)[0]), (given, wrong), (given, "")):
        with pytest.raises(proving.NotProved):
            proving.prove(row, how=how, evidence=sha("a paper"), by=goto, at=NOON)
    with pytest.raises(NotEmpowered):
        proving.prove(given, how=proving.ways(given)[0], evidence=sha("a paper"), by=fujii, at=NOON)

    assert list(proving.waiting(given.case)) == [given]


@pytest.mark.parametrize("change", ["", ", proved_by_id = {goto}", ", proof_sha256 = sha256('x')"])
def test_the_database_refuses_a_customers_destination_without_who_proved_it_and_on_what(given, goto, as_role, change):
    with pytest.raises(IntegrityError, match="destination_of_a_claimant_is_proved_on_evidence"), as_role("henkan_app") as cursor:
        cursor.execute(
            "UPDATE destinations_destination SET state = 'cooling', proved_at = now(), usable_from = clock_timestamp()"
            + change.format(goto=goto.pk) + " WHERE id = %s", [given.pk],
        )  # fmt: skip
