"""A case opens by its appointing instrument, with everything it needs and nothing it does not."""

import json
import shutil
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, ProgrammingError, transaction

from administration.cases import appointments, archive, cases, opening, orders, profiles, securing
from administration.cases.models import Appointment, Case, Conversion, CourtOrder, SecuringItem
from administration.fields import db_now
from administration.people.models import User
from administration.record.models import Event
from tests.cast import CUTOFF, LONG_AGO, NOON, Cast, sha

EXAMPLE = Path(opening.__file__).with_name("example_case.toml")


@pytest.fixture
def example(tmp_path: Path) -> Path:
    for name in ("example_case.toml", "example_order.txt"):
        shutil.copy(EXAMPLE.with_name(name), tmp_path)
    return tmp_path / "example_case.toml"


def changed(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def open_one(people: User, **other: Any) -> Case:
    entries: dict[str, Any] = {
        "reference": "O-1", "name": "Sample", "regime": "JP-PSA-2020", "proceeding": "bankruptcy",
        "trigger": "REG_CANCELLED", "cutoff_at": CUTOFF, "at": NOON,
        "appointed": [cases.Appointed(people, "office_holder", "court", "order", sha("order"))],
    }  # fmt: skip
    return cases.open_case(**{**entries, **other})


@pytest.fixture
def aoki_alone(db: None) -> User:
    return User.objects.create(username="aoki")


# --- the example ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_example_opens_a_case_with_its_people_order_deadlines_and_checklist(example: Path) -> None:
    case = opening.open_from(example, at=db_now())

    office = {(row.user.username, row.kind) for row in case.appointments.all()}
    assert office == {
        ("aoki", "office_holder"), ("baba", "approver"), ("hara", "approver"), ("goto", "case_officer"),
        ("chiba", "auditor"), ("court20", "court_reader"),
    }  # fmt: skip
    assert {row.powers == [] for row in case.appointments.filter(kind="court_reader")} == {True}
    assert not User.objects.get(username="aoki").has_usable_password()
    order = case.orders.get()
    assert orders.in_force(case, "destinations.verify_handover", db_now()) == order
    assert archive.read(order.scan_sha256) == EXAMPLE.with_name("example_order.txt").read_bytes()
    assert {row.kind: row.due_date.isoformat() for row in case.deadlines.all()} == {
        "filing": "2026-10-28",
        "creditors_meeting_report": "2027-03-31",
    }
    assert securing.missing(case) == list(securing.ITEMS)
    assert len(case.salt) == 32
    events = list(Event.objects.filter(case_id=case.pk).order_by("number"))
    assert [event.kind for event in events[:2]] == ["case.opened", "appointment.granted"]
    assert {event.by for event in events} == {""}  # the operator: nobody held an office yet
    assert len(events) == 1 + 6 + 1 + 2


@pytest.mark.django_db
def test_the_command_opens_the_example_and_says_what_is_next(example: Path) -> None:
    out = StringIO()
    call_command("open_case", str(example), "--json", stdout=out)
    said = json.loads(out.getvalue())

    assert (said["ok"], said["object"], said["state"], said["count"]) == (True, "2026-118", "open", 6)
    assert said["title"] == "bankruptcy trustee"
    assert said["securing"] == list(securing.ITEMS)
    assert said["office"]["office_holder:aoki"] == "Haruka Aoki"

    with pytest.raises(CommandError, match="open already") as refusal:
        call_command("open_case", str(example), "--json", stdout=StringIO())
    assert refusal.value.returncode == 1


@pytest.mark.django_db
def test_a_second_case_leaves_the_people_of_the_first_as_they_are(example: Path) -> None:
    User.objects.create_user("aoki", password="a password of her own", first_name="H.")
    opening.open_from(example, at=db_now())

    aoki = User.objects.get(username="aoki")
    assert aoki.check_password("a password of her own") and aoki.first_name == "H."


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('regime = "JP-PSA-2020"', 'regime = "JP-PSA-1999"', "There is no profile"),
        ('trigger = "INSOLVENCY_PETITION"', 'trigger = "BAD_LUCK"', "knows no trigger"),
        ('regime = "JP-PSA-2020"', 'regime = "JP-FIEA-2026"', "in_force_from"),
        ("cutoff_at = 2026-09-30T15:00:00+09:00", "cutoff_at = 2026-09-30T15:00:00", "must say its offset"),
        ("cutoff_at = 2026-09-30T15:00:00+09:00", "cutoff_at = 2999-09-30T15:00:00+09:00", "still to come"),
        ("cooling_off_hours = 72", "cooling_off_hours = 0", "24 hours at least"),
        ("cooling_off_hours = 72", "cooling_off = 72", "means nothing here"),
        ("sample = false", 'sample = "no"', "must be bool"),
        ('kind = "office_holder"', 'kind = "case_officer"', "opens with its office-holder"),
        ('who = "aoki"', 'who = "nobody"', "not among the people"),
        ('scan = "example_order.txt"', 'scan = "missing.pdf"', "cannot be read"),
        ("issued_date = 2026-09-30", 'issued_date = "soon"', "must be date"),
        ('kind = "filing"', 'kind = "picnic"', "no rule for a deadline"),
        ("joint = false", 'joint = false\npowers = ["everything"]', "no power"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_what_and_where(example: Path, old: str, new: str, why: str) -> None:
    with pytest.raises(cases.Refused, match=why):
        opening.open_from(changed(example, old, new), at=db_now())
    assert not Case.objects.exists() and not User.objects.exists()


@pytest.mark.django_db
def test_only_a_sample_case_gets_passwords_and_no_cooling_off(example: Path) -> None:
    with pytest.raises(opening.NotReadable, match="sample"):
        opening.open_from(example, at=db_now(), password="correct horse battery")
    changed(example, "sample = false", "sample = true")
    changed(example, "cooling_off_hours = 72", "cooling_off_hours = 0")

    case = opening.open_from(example, at=db_now(), password="correct horse battery")

    assert (case.is_sample, case.cooling_off_hours) == (True, 0)
    assert User.objects.get(username="aoki").check_password("correct horse battery")


def test_the_salt_of_a_real_case_is_new_and_of_a_sample_always_the_same(aoki_alone: User) -> None:
    assert cases._salt("A", False) != cases._salt("A", False)
    assert cases._salt("A", True) == cases._salt("A", True) != cases._salt("B", True)


# --- securing ---------------------------------------------------------------------------------


def test_securing_completes_only_when_every_item_is_done(case: Case, cast: Cast) -> None:
    securing.list_items(case)
    for item in securing.ITEMS:
        with pytest.raises(securing.NotSecured, match=item):
            securing.complete(case, by=cast.goto, at=NOON)
        with pytest.raises(securing.NotSecured, match="not secured"):
            securing.require_completed(case)
        securing.do(
            case,
            item,
            owner=cast.goto,
            evidence=b"letter to the bank",
            evidence_name="letter.pdf",
            by=cast.goto,
            at=NOON,
        )

    securing.complete(case, by=cast.goto, at=NOON)

    securing.require_completed(case)
    assert Case.objects.get().securing_completed_at == NOON
    with pytest.raises(securing.NotSecured, match="secured already"):
        securing.complete(case, by=cast.goto, at=NOON)


def test_an_item_is_done_once_by_somebody_empowered_with_evidence(case: Case, cast: Cast) -> None:
    securing.list_items(case)
    done = {"owner": cast.goto, "evidence_name": "x", "at": NOON}
    with pytest.raises(securing.NotSecured, match="no item"):
        securing.do(case, "coffee", evidence=b"x", by=cast.goto, **done)
    with pytest.raises(securing.NotSecured, match="evidence"):
        securing.do(case, "keys", evidence=b"", by=cast.goto, **done)
    for stranger in (cast.fujii, cast.chiba):
        with pytest.raises(appointments.NotEmpowered):
            securing.do(case, "keys", evidence=b"x", by=stranger, **done)
    securing.do(case, "keys", evidence=b"x", by=cast.goto, **done)
    with pytest.raises(securing.NotSecured, match="done already"):
        securing.do(case, "keys", evidence=b"x", by=cast.goto, **done)


@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
def test_the_database_refuses_to_call_a_case_secured_that_is_not(case: Case, as_role: Any, role: str) -> None:
    complete = "UPDATE cases_case SET securing_completed_at = now()"
    with pytest.raises(IntegrityError, match="every item is done"), as_role(role) as cursor:
        cursor.execute(complete)  # no list at all
    securing.list_items(case)
    with pytest.raises(IntegrityError, match="every item is done"), as_role(role) as cursor:
        cursor.execute(complete)
    with pytest.raises(IntegrityError, match="owner_and_evidence"), as_role(role) as cursor:
        cursor.execute("UPDATE cases_securingitem SET done_at = now()")
    with pytest.raises((IntegrityError, ProgrammingError), match=r"append only|denied"), as_role(role) as cursor:
        cursor.execute("DELETE FROM cases_securingitem")


def test_the_database_keeps_what_was_done_and_completes_once(case: Case, cast: Cast, as_role: Any) -> None:
    test_securing_completes_only_when_every_item_is_done(case, cast)
    with pytest.raises(IntegrityError, match="done once"), transaction.atomic():
        SecuringItem.objects.update(note="changed")
    for value in ("NULL", "now()"):
        with pytest.raises(IntegrityError, match="completed once"), as_role("henkan_app") as cursor:
            cursor.execute(f"UPDATE cases_case SET securing_completed_at = {value}")


# --- the case keeps what it was opened with ---------------------------------------------------


@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
@pytest.mark.parametrize(
    "change",
    ["reference = 'X'", "cutoff_at = now()", "salt = '\\x00'", "regime = 'X'", "cooling_off_hours = 1", "is_sample = false",
     "proceeding = 'special_liquidation'"],
)  # fmt: skip
def test_the_database_refuses_changes_of_a_case(case: Case, as_role: Any, role: str, change: str) -> None:
    with pytest.raises((IntegrityError, ProgrammingError)), as_role(role) as cursor:
        cursor.execute(f"UPDATE cases_case SET {change}")
    with pytest.raises((IntegrityError, ProgrammingError), match=r"append only|denied"), as_role(role) as cursor:
        cursor.execute("DELETE FROM cases_case")


def test_the_database_refuses_a_case_that_begins_secured_and_a_hot_destination(case: Case, aoki_alone: User) -> None:
    same = {
        "regime": "JP-PSA-2020",
        "proceeding": "bankruptcy",
        "cutoff_at": CUTOFF,
        "salt": sha("s"),
        "opened_at": NOON,
    }
    with pytest.raises(IntegrityError, match="not yet secured"), transaction.atomic():
        Case.objects.create(reference="X", securing_completed_at=NOON, **same)
    with pytest.raises(IntegrityError, match="cools_destinations_off"), transaction.atomic():
        Case.objects.create(reference="X", cooling_off_hours=1, **same)


# --- from one proceeding to another -----------------------------------------------------------


def an_order(case: Case, cast: Cast, *, permits: str = "cases.convert", **other: Any) -> CourtOrder:
    entries: dict[str, Any] = {
        "number": f"2026 (mo) {permits}", "issuer": "Tokyo District Court", "issued_date": LONG_AGO.date(),
        "scan": b"%PDF " + permits.encode(), "scan_name": "order.pdf", "permits": [permits],
        "served_date": LONG_AGO.date(), "by": cast.goto, "at": NOON,
    }  # fmt: skip
    return orders.register(case, **{**entries, **other})


@pytest.fixture
def chief(case: Case, cast: Cast) -> User:
    """An office-holder with all powers of the office."""
    chief = User.objects.create(username="chief")
    appointments.grant(
        case, user=chief, kind="office_holder", authority="court", instrument="order", instrument_sha256=sha("o"),
        from_at=LONG_AGO, by=cast.aoki, at=NOON,
    )  # fmt: skip
    return chief


def test_a_case_is_converted_by_an_order_that_permits_it(case: Case, cast: Cast, chief: User) -> None:
    wrong, right = an_order(case, cast, permits="cases.succeed"), an_order(case, cast)
    with pytest.raises(cases.NotConverted, match="does not permit"):
        cases.convert(case, to="civil_rehabilitation", order=wrong, by=chief, at=NOON)
    with pytest.raises(appointments.NotEmpowered):
        cases.convert(case, to="civil_rehabilitation", order=right, by=cast.goto, at=NOON)

    cases.convert(case, to="civil_rehabilitation", order=right, by=chief, at=NOON)

    assert Case.objects.get().proceeding == "civil_rehabilitation"
    assert profiles.proceeding_of(case).title_en == "trustee (civil rehabilitation)"
    assert not profiles.class_rule(case, "general").money_only
    assert Event.objects.order_by("number").last().kind == "case.converted"
    with pytest.raises(cases.NotConverted, match="already"):
        cases.convert(case, to="civil_rehabilitation", order=right, by=chief, at=NOON)


def test_the_database_refuses_a_conversion_without_its_order(case: Case, cast: Cast) -> None:
    order = an_order(case, cast)
    for wrong in (
        {"order": an_order(case, cast, permits="other")},
        {"from_proceeding": "special_liquidation"},
        {"to_proceeding": "bankruptcy"},
        {"order": an_order(case, cast, number="unserved", served_date=None)},
    ):
        entries = {"order": order, "from_proceeding": "bankruptcy", "to_proceeding": "civil_rehabilitation", **wrong}
        with pytest.raises(IntegrityError, match="rests on an order"), transaction.atomic():
            Conversion.objects.create(case=case, by=cast.aoki, at=NOON, **entries)


# --- appointments -----------------------------------------------------------------------------


def grant(case: Case, user: User, by: User, **other: Any) -> Appointment:
    entries = {"kind": "approver", "authority": "Aoki", "instrument": "memo", "instrument_sha256": sha("memo")}
    return appointments.grant(case, user=user, by=by, **{**entries, "at": NOON, **other})


def test_a_power_is_there_from_the_grant_to_the_end_and_not_a_moment_longer(case: Case, cast: Cast) -> None:
    appointed = grant(case, cast.fujii, cast.aoki, kind="case_officer", to_at=NOON + timedelta(days=10))
    later = NOON + timedelta(days=1)

    assert not appointments.may(case, cast.fujii, "claims.decide", at=NOON - timedelta(seconds=1))
    assert appointments.may(case, cast.fujii, "claims.decide", at=NOON)
    assert not appointments.may(case, cast.fujii, "claims.decide", at=NOON + timedelta(days=10))
    assert not appointments.may(case, cast.fujii, "appointments.grant", at=NOON)

    appointments.end(appointed, by=cast.aoki, at=later, reason="no longer needed")
    assert appointments.may(case, cast.fujii, "claims.decide", at=later - timedelta(seconds=1))
    with pytest.raises(appointments.NotEmpowered, match=r"claims.decide"):
        appointments.require(case, cast.fujii, "claims.decide", at=later)
    with pytest.raises(appointments.NotAppointed, match="does not run any more"):
        appointments.end(appointed, by=cast.aoki, at=later, reason="again")


def test_powers_of_one_case_are_worth_nothing_in_another(case: Case, cast: Cast) -> None:
    from tests.cast import open_sample_case

    assert not appointments.may(open_sample_case("T-2"), cast.aoki, "claims.decide", at=NOON)


def test_whoever_cannot_sign_in_has_no_powers(case: Case, cast: Cast) -> None:
    User.objects.filter(pk=cast.goto.pk).update(is_active=False)
    assert not appointments.may(case, cast.goto, "claims.decide", at=NOON)
    assert appointments.holders(case, "case_officer", NOON) == []
    with pytest.raises(appointments.NotEmpowered, match="Somebody who is not signed in"):
        appointments.require(case, None, "claims.decide", at=NOON)


def test_only_the_office_holder_appoints_and_nobody_themselves(case: Case, cast: Cast) -> None:
    for other in (cast.baba, cast.goto, cast.chiba, cast.fujii):
        with pytest.raises(appointments.NotEmpowered):
            grant(case, User.objects.create(username=f"friend of {other.username}"), other)
    with pytest.raises(appointments.NotAppointed, match="themselves"):
        grant(case, cast.aoki, cast.aoki)
    with pytest.raises(appointments.NotAppointed, match="watch"):
        grant(case, cast.goto, cast.aoki, kind="auditor")
    with pytest.raises(appointments.NotAppointed, match="watch"):
        grant(case, cast.chiba, cast.aoki)
    with pytest.raises(appointments.NotAppointed, match="jointly"):
        grant(case, cast.fujii, cast.aoki, joint=True)


def test_a_case_is_never_without_an_office_holder(case: Case, cast: Cast) -> None:
    own = Appointment.objects.get(user=cast.aoki)
    with pytest.raises(appointments.NotAppointed, match="last office-holder"):
        appointments.end(own, by=cast.aoki, at=NOON, reason="tired")
    with pytest.raises(appointments.NotAppointed, match="why"):
        appointments.end(Appointment.objects.get(user=cast.baba), by=cast.baba, at=NOON, reason="")
    appointments.end(Appointment.objects.get(user=cast.baba), by=cast.baba, at=NOON, reason="moves away")


APPOINT = """
INSERT INTO cases_appointment (case_id, user_id, kind, authority, instrument, instrument_sha256, powers, from_at,
    joint, granted_by_id, end_reason)
VALUES (%s, %s, %s, 'court', 'order', %s, '{}', now() - interval '1 day', false, %s, '')
"""


def test_the_database_refuses_appointments_nobody_in_office_granted(case: Case, cast: Cast, as_role: Any) -> None:
    for granter, why in (
        (cast.fujii, "nobody_appoints_themselves|granted by an office-holder"),
        (cast.baba, "granted by an office-holder"),
        (cast.goto, "granted by an office-holder"),
    ):
        with pytest.raises(IntegrityError, match=why), as_role("henkan_app") as cursor:
            cursor.execute(APPOINT, [case.pk, cast.fujii.pk, "approver", sha("x"), granter.pk])
    with pytest.raises(IntegrityError, match="nobody_appoints_themselves"), as_role("henkan_app") as cursor:
        cursor.execute(APPOINT, [case.pk, cast.aoki.pk, "approver", sha("x"), cast.aoki.pk])


def test_the_database_refuses_an_appointment_without_a_grantor_once_the_case_is_open(
    committed: Any, as_role: Any
) -> None:
    from tests.cast import gather, open_sample_case

    case = open_sample_case()
    cast = gather(case)
    with pytest.raises(IntegrityError, match="at the opening only"), as_role("henkan_app") as cursor:
        cursor.execute(APPOINT, [case.pk, cast.fujii.pk, "office_holder", sha("x"), None])


@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
def test_the_database_refuses_to_stretch_widen_or_delete_an_appointment(
    case: Case, cast: Cast, as_role: Any, role: str
) -> None:
    appointments.end(Appointment.objects.get(user=cast.baba), by=cast.aoki, at=NOON, reason="left")
    for change in (
        "to_at = NULL, end_reason = ''", "to_at = now() + interval '1 year'", "end_reason = 'other'",
        "powers = '{returns.batch}'", "kind = 'office_holder'", "from_at = now()", "user_id = 1", "joint = true",
    ):  # fmt: skip
        with pytest.raises((IntegrityError, ProgrammingError)), as_role(role) as cursor:
            cursor.execute(f"UPDATE cases_appointment SET {change} WHERE user_id = %s", [cast.baba.pk])
    with pytest.raises((IntegrityError, ProgrammingError), match=r"append only|denied"), as_role(role) as cursor:
        cursor.execute("DELETE FROM cases_appointment")
