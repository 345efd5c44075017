"""
Orders of courts and regulators: what they permit, up to what, and whether they stand.

An order takes effect when it is served. A stay or reversal freezes what rests on it, from its own date.

    OrderRefused   the order cannot be registered like that
    NotInForce     what was asked rests on an order that does not stand now
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from administration.cases import appointments, archive
from administration.cases.models import Case, CourtOrder, OrderStanding, OrderStandingKind
from administration.errors import Refused
from administration.people.models import User
from administration.record import log

STANDING = (OrderStandingKind.IN_FORCE, OrderStandingKind.FINAL)


class OrderRefused(Refused):
    """The order, or what became of it, cannot be registered like that."""


class NotInForce(Refused):
    """The order was not served, or was stayed or reversed, or permits something else."""


# --- asking -----------------------------------------------------------------------------------


def stands(order: CourtOrder, at: datetime) -> bool:
    """Is the order in force at that instant? The newest standing until then counts."""
    newest = order.standings.filter(since__lte=at).order_by("-since", "-pk").first()
    return newest is not None and newest.standing in STANDING


def require(order: CourtOrder, at: datetime) -> None:
    """Refuse unless the order is in force. Approval and export ask this of what they rest on."""
    newest = order.standings.filter(since__lte=at).order_by("-since", "-pk").first()
    if newest is None:
        raise NotInForce(
            _("Order %(order)s is not in force: it has not been served. Register its service first.") % {"order": order}
        )
    if newest.standing not in STANDING:
        raise NotInForce(
            _("Order %(order)s is %(standing)s since %(since)s; what rests on it is frozen until it stands again.")
            % {
                "order": order,
                "standing": newest.get_standing_display().lower(),
                "since": newest.since.date().isoformat(),
            }
        )


def in_force(case: Case, permits: str, at: datetime) -> CourtOrder | None:
    """The newest order in force that permits this, if there is one."""
    orders = case.orders.filter(permits__contains=[permits]).order_by("-issued_date", "-pk")
    return next((order for order in orders if stands(order, at)), None)


def require_permission(case: Case, permits: str, at: datetime) -> CourtOrder:
    """The newest order in force that permits this, or a refusal."""
    order = in_force(case, permits, at)
    if order is None:
        raise NotInForce(
            _("No order in force in case %(case)s permits “%(permits)s”. Register the order that does.")
            % {"case": case, "permits": permits}
        )
    return order


def limit(order: CourtOrder, asset_code: str) -> int | None:
    """Up to how many units the order permits of one asset; None: no limit. With limits, an asset not named has none left."""
    return None if not order.limits else int(order.limits.get(asset_code, "0"))


def within(case: Case, permits: str, asset_code: str, units: int, at: datetime) -> bool:
    """Does an order in force permit this, up to at least so many units of the asset?"""
    for order in case.orders.filter(permits__contains=[permits]):
        most = limit(order, asset_code)
        if (most is None or units <= most) and stands(order, at):
            return True
    return False


# --- registering ------------------------------------------------------------------------------


@transaction.atomic
def register(
    case: Case,
    *,
    number: str,
    issuer: str,
    issued_date: date,
    scan: bytes,
    scan_name: str,
    permits: Iterable[str] = (),
    limits: Mapping[str, int] | None = None,
    served_date: date | None = None,
    final: bool = False,
    by: User,
    at: datetime,
) -> CourtOrder:
    """Register an order with its scan. Served, it is in force from that day; otherwise once stand() says so."""
    appointments.require(case, by, "orders.register", at=at)
    return enter(
        case, number=number, issuer=issuer, issued_date=issued_date, scan=scan, scan_name=scan_name,
        permits=permits, limits=limits, served_date=served_date, final=final, by=by, operator=False, at=at,
    )  # fmt: skip


def enter(
    case: Case,
    *,
    number: str,
    issuer: str,
    issued_date: date,
    scan: bytes,
    scan_name: str,
    permits: Iterable[str],
    limits: Mapping[str, int] | None,
    served_date: date | None,
    final: bool,
    by: User,
    operator: bool,
    at: datetime,
) -> CourtOrder:
    """The rows and their event. `operator`: at the opening and in an operator's succession, in the name of `by`."""
    if not scan:
        raise OrderRefused(_("An order is registered with its scan, and this file is empty."))
    if case.orders.filter(number=number).exists():
        raise OrderRefused(
            _("Order %(number)s is registered in case %(case)s already.") % {"number": number, "case": case}
        )
    for code, units in (limits or {}).items():
        if isinstance(units, bool) or not isinstance(units, int) or units < 0:
            raise OrderRefused(
                _("The limit for %(asset)s must be a whole number of its smallest units.") % {"asset": code}
            )
    order = CourtOrder.objects.create(
        case=case, number=number, issuer=issuer, issued_date=issued_date, scan_name=scan_name,
        scan_sha256=archive.keep(scan), permits=sorted(set(permits)),
        limits={code: str(units) for code, units in (limits or {}).items()}, served_date=served_date,
        registered_by=by, registered_at=at,
    )  # fmt: skip
    if served_date is not None:
        OrderStanding.objects.create(
            order=order,
            standing=OrderStandingKind.FINAL if final else OrderStandingKind.IN_FORCE,
            since=_start_of(served_date),
            evidence_sha256=order.scan_sha256,
            by=by,
        )
    log.append(
        case,
        "order.registered",
        subject=order,
        by=None if operator else by,
        at=at,
        body={
            "number": number,
            "issuer": issuer,
            "issued_date": issued_date.isoformat(),
            "scan_sha256": bytes(order.scan_sha256).hex(),
            "permits": order.permits,
            "limits": order.limits,
            "served_date": served_date.isoformat() if served_date else "",
            "final": "yes" if final else "no",
        },
    )
    return order


@transaction.atomic
def stand(
    order: CourtOrder, standing: str, *, since: datetime, evidence: bytes, by: User, at: datetime
) -> OrderStanding:
    """Record what became of an order: served and in force, final, stayed or reversed, with the paper that says so."""
    appointments.require(order.case, by, "orders.register", at=at)
    if not evidence:
        raise OrderRefused(_("What becomes of an order is registered with the paper that says so."))
    row = OrderStanding.objects.create(
        order=order, standing=OrderStandingKind(standing), since=since, evidence_sha256=archive.keep(evidence), by=by
    )
    log.append(
        order.case,
        "order.stood",
        subject=order,
        by=by,
        at=at,
        body={
            "number": order.number,
            "standing": str(row.standing),
            "since": since.isoformat(),
            "evidence_sha256": bytes(row.evidence_sha256).hex(),
        },
    )
    return row


def _start_of(day: date) -> datetime:
    """Midnight in Japan, where the day of service begins."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(settings.TIME_ZONE))
