"""Orders permit up to something while they stand; anyone appointed stops, two resume."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from administration.cases import appointments, archive, orders, stops
from administration.cases.models import Case, CourtOrder, OrderStanding, Stop, StopLift
from administration.record.models import Event
from tests.cast import LONG_AGO, NOON, Cast, gather, open_sample_case


def register(case: Case, cast: Cast, **other: Any) -> CourtOrder:
    entries: dict[str, Any] = {
        "number": "1", "issuer": "Tokyo District Court", "issued_date": LONG_AGO.date(), "scan": b"%PDF 1",
        "scan_name": "1.pdf", "permits": ["returns.sell"], "served_date": LONG_AGO.date(), "by": cast.goto, "at": NOON,
    }  # fmt: skip
    return orders.register(case, **{**entries, **other})


def test_an_order_is_kept_with_its_scan_and_in_force_from_the_day_it_was_served(case: Case, cast: Cast) -> None:
    order = register(case, cast)

    assert archive.read(order.scan_sha256) == b"%PDF 1"
    assert orders.in_force(case, "returns.sell", NOON) == order
    assert orders.in_force(case, "returns.gift", NOON) is None
    assert not orders.stands(order, LONG_AGO - timedelta(days=1))
    assert Event.objects.get().kind == "order.registered"


def test_an_order_that_was_not_served_is_not_in_force_until_it_is(case: Case, cast: Cast) -> None:
    order = register(case, cast, served_date=None)
    with pytest.raises(orders.NotInForce, match="not been served"):
        orders.require(order, NOON)
    with pytest.raises(orders.NotInForce, match="Register the order"):
        orders.require_permission(case, "returns.sell", NOON)

    orders.stand(order, "in_force", since=NOON, evidence=b"%PDF proof of service", by=cast.goto, at=NOON)
    orders.require(order, NOON)


def test_a_stay_freezes_from_its_own_date_and_a_final_order_thaws(case: Case, cast: Cast) -> None:
    order = register(case, cast)
    hour = timedelta(hours=1)
    orders.stand(order, "stayed", since=NOON, evidence=b"stay", by=cast.goto, at=NOON + hour)
    assert orders.stands(order, NOON - hour) and not orders.stands(order, NOON)
    with pytest.raises(orders.NotInForce, match="stayed"):
        orders.require(order, NOON + hour)
    orders.stand(order, "final", since=NOON + 2 * hour, evidence=b"certificate", by=cast.goto, at=NOON + 2 * hour)
    assert orders.stands(order, NOON + 2 * hour) and not orders.stands(order, NOON + hour)


def test_an_order_permits_up_to_its_limits_and_nothing_of_what_it_does_not_name(case: Case, cast: Cast) -> None:
    register(case, cast, limits={"BTC": 10**20})
    permitted = {
        units: orders.within(case, "returns.sell", code, units, NOON)
        for code, units in (("BTC", 10**20), ("BTC", 10**20 + 1), ("ETH", 1))
    }
    assert permitted == {10**20: True, 10**20 + 1: False, 1: False}
    register(case, cast, number="2")
    assert orders.within(case, "returns.sell", "ETH", 10**30, NOON)  # the second order has no limits


def test_an_order_without_scan_twice_or_with_a_broken_limit_is_refused(case: Case, cast: Cast) -> None:
    register(case, cast)
    with pytest.raises(orders.OrderRefused, match="already"):
        register(case, cast)
    with pytest.raises(orders.OrderRefused, match="scan"):
        register(case, cast, number="2", scan=b"")
    for limit in (-1, 1.5, True):
        with pytest.raises(orders.OrderRefused, match="whole number"):
            register(case, cast, number="2", limits={"BTC": limit})
    with pytest.raises(appointments.NotEmpowered):
        register(case, cast, number="2", by=cast.chiba)


def test_a_scan_that_was_changed_on_disk_is_not_given_out(case: Case, cast: Cast) -> None:
    order = register(case, cast, scan=b"%PDF to be forged", number="9")
    archive.path_of(order.scan_sha256).write_bytes(b"%PDF forged")
    with pytest.raises(ValueError, match="has changed"):
        archive.read(order.scan_sha256)


@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
def test_the_database_keeps_orders_and_what_became_of_them(case: Case, cast: Cast, as_role: Any, role: str) -> None:
    register(case, cast)
    for statement in (
        "UPDATE cases_courtorder SET limits = '{}'", "DELETE FROM cases_courtorder",
        "UPDATE cases_orderstanding SET standing = 'final'", "DELETE FROM cases_orderstanding",
    ):  # fmt: skip
        with pytest.raises((IntegrityError, ProgrammingError), match=r"append only|denied"), as_role(role) as cursor:
            cursor.execute(statement)
    with pytest.raises((IntegrityError, ProgrammingError)), transaction.atomic():
        OrderStanding.objects.all().update(standing="final")


# --- stops ------------------------------------------------------------------------------------


def test_anyone_appointed_stops_at_once_and_a_stranger_does_not(case: Case, cast: Cast) -> None:
    stops.check(case, "zengin")
    for who in (cast.aoki, cast.baba, cast.goto, cast.chiba):
        stops.stop(case, rail="zengin", reason="Two files look alike.", by=who, at=NOON)
    with pytest.raises(appointments.NotEmpowered):
        stops.stop(case, reason="because", by=cast.fujii, at=NOON)
    with pytest.raises(stops.NotLifted, match="why"):
        stops.stop(case, reason="", by=cast.aoki, at=NOON)


def test_a_rails_stop_stops_that_rail_and_a_cases_stop_every_rail(case: Case, cast: Cast) -> None:
    stops.stop(case, rail="zengin", reason="Two files look alike.", by=cast.goto, at=NOON)
    stops.check(case, "bitcoin")
    stops.check(case)
    with pytest.raises(stops.Stopped, match="Two files look alike"):
        stops.check(case, "zengin")

    stops.stop(case, reason="The ledger does not tie.", by=cast.goto, at=NOON)
    for rail in ("bitcoin", None):
        with pytest.raises(stops.Stopped, match="does not tie"):
            stops.check(case, rail)


def test_two_people_in_office_resume_and_one_never_does(case: Case, cast: Cast) -> None:
    stop = stops.stop(case, reason="Look first.", by=cast.baba, at=NOON)
    for who in (cast.goto, cast.chiba, cast.fujii):
        with pytest.raises(stops.NotLifted, match="two of"):
            stops.lift(stop, by=who, at=NOON)
    stops.lift(stop, by=cast.baba, at=NOON)
    with pytest.raises(stops.NotLifted, match="second person"):
        stops.lift(stop, by=cast.baba, at=NOON)
    with pytest.raises(stops.Stopped):
        stops.check(case)

    stops.lift(stop, by=cast.aoki, at=NOON)

    stops.check(case)
    with pytest.raises(stops.NotLifted, match="already"):
        stops.lift(stop, by=cast.aoki, at=NOON)
    assert [event.kind for event in Event.objects.order_by("number")] == [
        "stop.made",
        "stop.lift_signed",
        "stop.lifted",
    ]


@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
def test_the_database_refuses_to_lift_a_stop_with_one_word_or_a_strangers(
    case: Case, cast: Cast, as_role: Any, role: str
) -> None:
    stop = stops.stop(case, reason="Look first.", by=cast.baba, at=NOON)
    lift = "UPDATE cases_stop SET lifted_at = now()"
    StopLift.objects.create(stop=stop, by=cast.aoki, at=NOON)
    StopLift.objects.create(stop=stop, by=cast.fujii, at=NOON)
    StopLift.objects.create(stop=stop, by=cast.goto, at=NOON)
    with pytest.raises(IntegrityError, match="two people in office"), as_role(role) as cursor:
        cursor.execute(lift)
    with pytest.raises(IntegrityError, match="stop_is_lifted_once_by_a_person"), transaction.atomic():
        StopLift.objects.create(stop=stop, by=cast.aoki, at=NOON)
    for statement in ("UPDATE cases_stop SET rail = 'x'", "DELETE FROM cases_stop", "DELETE FROM cases_stoplift"):
        with pytest.raises((IntegrityError, ProgrammingError)), as_role(role) as cursor:
            cursor.execute(statement)
    with pytest.raises(IntegrityError, match="begins unlifted"), transaction.atomic():
        Stop.objects.create(case=case, reason="x", at=NOON, lifted_at=NOON)
    assert Stop.objects.get().lifted_at is None


def test_once_a_stop_returns_nothing_that_passed_the_check_before_is_still_on_its_way(committed: Any) -> None:
    case = open_sample_case()
    cast = gather(case)
    passed, order = threading.Event(), list[str]()

    def export() -> None:
        with transaction.atomic():
            stops.check(case, "zengin")
            passed.set()
            time.sleep(0.3)
            order.append("exported")
        connection.close()

    out = threading.Thread(target=export)
    out.start()
    passed.wait(30)
    stops.stop(case, reason="Look first.", by=cast.goto, at=NOON)
    order.append("stopped")
    out.join(30)

    assert order == ["exported", "stopped"]
