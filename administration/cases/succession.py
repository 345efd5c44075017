"""
One office-holder follows another: by an appointing order, and without any help from the predecessor.

propose() writes down who follows whom; two approvers who are neither sign it; with the second signature the
succession is carried out: the predecessor's appointments and sessions end, what was approved and could still move
is suspended, sending stops, the state is frozen in an account. The successor accepts, with reservations if there
are any, and signs anew (resume) what is to go on.

    NotSucceeded   the succession cannot be proposed, carried out or accepted like that
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from administration.cases import appointments, approvals, deadlines, orders, stops
from administration.cases.models import (
    Appointment,
    AppointmentKind,
    ApprovalRequest,
    Case,
    CourtOrder,
    RequestState,
    Stop,
    Succession,
    SuccessionProposal,
)
from administration.cases.powers import WATCHING_KINDS
from administration.errors import Refused
from administration.people import users
from administration.people.models import User
from administration.record import log
from administration.record.encoding import canonical

ACT = "cases.succeed"
APPROVERS_NEEDED = 2


class NotSucceeded(Refused):
    """The succession cannot be proposed, carried out or accepted like that."""


# --- the account ------------------------------------------------------------------------------

_accounts: dict[str, Callable[[Case], dict[str, Any]]] = {}


def register_account(name: str, account: Callable[[Case], dict[str, Any]]) -> None:
    """Say what a room puts into the account of the state: figures as they stand, amounts as strings."""
    _accounts[name] = account


def account_of(case: Case, *, at: datetime) -> dict[str, Any]:
    """The state of the case as every room accounts for it."""
    return {"cases": _own_account(case, at), **{name: _account_of_room(name, case) for name in sorted(_accounts)}}


def _account_of_room(name: str, case: Case) -> dict[str, Any]:
    """A room that cannot account for itself says so: that must not keep the predecessor in office."""
    try:
        with transaction.atomic():
            return _accounts[name](case)
    except Exception as error:  # noqa: BLE001  whatever it is, the succession goes on
        return {"no_account": f"{type(error).__name__}: {error}"}


def _own_account(case: Case, at: datetime) -> dict[str, Any]:
    return {
        "at": at.isoformat(),
        "case": case.reference,
        "proceeding": case.proceeding,
        "secured": case.securing_completed_at.isoformat() if case.securing_completed_at else "",
        "appointments": [
            {
                "user": row.user.username,
                "kind": row.kind,
                "since": row.from_at.isoformat(),
                "granted_by": row.granted_by.username if row.granted_by else "",
            }
            for row in appointments.live(case, at=at).select_related("user", "granted_by")
        ],
        "approvals": [
            {
                "request": row.pk,
                "act": row.act,
                "object_id": row.object_id,
                "content_sha256": bytes(row.content_sha256).hex(),
                "state": row.state,
                "signers": list(row.signatures.order_by("pk").values_list("signer__username", flat=True)),
            }
            for row in case.approvals.filter(state__in=["open", "granted", "suspended"]).order_by("pk")
        ],
        "stops": [
            {"rail": row.rail, "reason": row.reason, "since": row.at.isoformat()}
            for row in case.stops.filter(lifted_at__isnull=True).order_by("pk")
        ],
        "orders": [
            {"number": row.number, "permits": row.permits, "stands": "yes" if orders.stands(row, at) else "no"}
            for row in case.orders.order_by("pk")
        ],
        "deadlines": [
            {"kind": row.kind, "due_date": row.due_date.isoformat()} for row in deadlines.current(case)
        ],
    }  # fmt: skip


# --- proposing and signing --------------------------------------------------------------------


@transaction.atomic
def propose(
    case: Case, *, order: CourtOrder, predecessor: User, successor: User, by: User, at: datetime
) -> ApprovalRequest:
    """Propose a succession. Two approvers other than `by`, predecessor and successor sign it; then it happens."""
    if appointments.require_any(case, by, at=at).kind in WATCHING_KINDS or by == successor:
        raise NotSucceeded(_("%(user)s cannot propose this succession. Another appointed person must.") % {"user": by})
    _require_founded(case, order, predecessor, successor, at)
    proposal = SuccessionProposal.objects.create(
        case=case, order=order, predecessor=predecessor, successor=successor, by=by, at=at
    )
    return approvals.request(
        proposal, case=case, act=ACT, content_sha256=content(proposal.pk), by=by, at=at, order=order
    )


def content(proposal_id: int) -> str:
    """The hash of what the approvers sign: who follows whom in which case, by which order."""
    row = SuccessionProposal.objects.select_related("case", "order", "predecessor", "successor").get(pk=proposal_id)
    text = canonical(
        {
            "case": row.case.reference,
            "order": row.order.number,
            "scan_sha256": bytes(row.order.scan_sha256).hex(),
            "predecessor": row.predecessor.username,
            "successor": row.successor.username,
        }
    )
    return hashlib.sha256(text.encode()).hexdigest()


def may_sign(request: ApprovalRequest, by: User, at: datetime) -> None:
    """Only approvers sign a succession, and neither of the two it is about."""
    proposal = SuccessionProposal.objects.get(pk=request.object_id)
    if by.pk in (proposal.predecessor_id, proposal.successor_id) or by not in appointments.holders(
        request.case, AppointmentKind.APPROVER, at
    ):
        raise approvals.NotASigner(
            _("%(user)s cannot sign this succession: two approvers who are neither predecessor nor successor do.")
            % {"user": by.username}
        )


def carry_out(request: ApprovalRequest, by: User, at: datetime) -> Succession:
    """What follows the second approver's signature."""
    proposal = SuccessionProposal.objects.select_related("order", "predecessor", "successor").get(pk=request.object_id)
    signers = [signature.signer for signature in request.signatures.select_related("signer").order_by("pk")]
    return succeed(
        request.case, order=proposal.order, predecessor=proposal.predecessor, successor=proposal.successor,
        approvers=signers, by=by, at=at, request=request,
    )  # fmt: skip


# --- carrying out -----------------------------------------------------------------------------


@transaction.atomic
def succeed(
    case: Case,
    *,
    order: CourtOrder,
    predecessor: User,
    successor: User,
    approvers: Sequence[User],
    by: User | None,
    at: datetime,
    request: ApprovalRequest | None = None,
) -> Succession:
    """
    End one office and begin another. The predecessor need not help, and cannot hinder.

    Without a request signed by two approvers this is the operator's way (`by` is None): only where two
    approvers are not left, never past the last one, and the record says so.
    """
    _require_founded(case, order, predecessor, successor, at)
    _require_consent(case, predecessor, successor, approvers, by, request, at)

    # Requests first, then appointments: in the order in which signing locks them.
    list(case.approvals.select_for_update(of=("self",)).filter(state__in=["open", "granted"]).order_by("pk"))
    ended = _end_appointments(case, predecessor, order, at)
    suspended = _suspend(case, at)
    stop = stops.put(
        case, reason=gettext_noop("The office passes on by order %(order)s."), words={"order": order.number}, by=by, at=at
    )  # fmt: skip
    account = account_of(case, at=at)
    account_sha256 = hashlib.sha256(canonical(account).encode()).digest()
    made = Succession.objects.create(
        case=case, request=request, order=order, predecessor=predecessor, successor=successor,
        by_operator=request is None, account=account, account_sha256=account_sha256, stop=stop, at=at,
    )  # fmt: skip
    made.approvers.set(approvers)
    joint = any(appointment.joint for appointment in ended)
    appointments.record(
        case, user=successor, kind=AppointmentKind.OFFICE_HOLDER, authority=order.issuer, instrument=order.number,
        instrument_sha256=bytes(order.scan_sha256), powers=None, from_at=at, to_at=None, joint=joint, by=by, at=at,
    )  # fmt: skip
    sessions = users.end_sessions(predecessor)
    if not _holds_any_office(predecessor, at):
        sessions += users.shut_out(predecessor)
    log.append(
        case,
        "case.succeeded",
        subject=made,
        by=by,
        at=at,
        body={
            "order": order.number,
            "predecessor": predecessor.username,
            "successor": successor.username,
            "approvers": [user.username for user in approvers],
            "by_operator": "yes" if request is None else "no",
            "suspended": suspended,
            "sessions_ended": sessions,
            "account_sha256": account_sha256.hex(),
        },
    )
    return made


def _require_founded(case: Case, order: CourtOrder, predecessor: User, successor: User, at: datetime) -> None:
    orders.require(order, at)
    if order.case_id != case.pk or ACT not in order.permits:
        raise NotSucceeded(
            _("Order %(order)s does not appoint a successor in case %(case)s (permits “cases.succeed”). "
              "Register the appointing order.")
            % {"order": order, "case": case}
        )  # fmt: skip
    if predecessor == successor:
        raise NotSucceeded(_("Predecessor and successor are one person."))
    if not case.appointments.filter(user=predecessor, kind=AppointmentKind.OFFICE_HOLDER, from_at__lte=at).exists():
        raise NotSucceeded(
            _("%(user)s never was an office-holder of case %(case)s.") % {"user": predecessor.username, "case": case}
        )
    if not successor.is_active:
        raise NotSucceeded(_("%(user)s cannot sign in and so cannot hold the office.") % {"user": successor.username})


def _require_consent(
    case: Case,
    predecessor: User,
    successor: User,
    approvers: Sequence[User],
    by: User | None,
    request: ApprovalRequest | None,
    at: datetime,
) -> None:
    left = [
        user
        for user in appointments.holders(case, AppointmentKind.APPROVER, at)
        if user not in (predecessor, successor)
    ]
    named = [user for user in left if user in approvers]
    if request is not None:
        if len(named) < APPROVERS_NEEDED or request.state != RequestState.GRANTED or request.act != ACT:
            raise NotSucceeded(_("A succession needs the signatures of two approvers who are neither of the two."))
    elif by is not None:
        raise NotSucceeded(_("Propose the succession; when two approvers have signed it, it is carried out."))
    elif len(left) >= APPROVERS_NEEDED or len(named) < len(left):
        raise NotSucceeded(
            _("%(users)s can still approve in case %(case)s. Propose the succession and have it signed.")
            % {"users": ", ".join(user.username for user in left), "case": case}
        )


def _end_appointments(case: Case, predecessor: User, order: CourtOrder, at: datetime) -> list[Appointment]:
    running = list(
        case.appointments.select_for_update(of=("self",))
        .filter(Q(to_at__isnull=True) | Q(to_at__gt=at), user=predecessor, end_reason="")
        .order_by("pk")
    )
    case.appointments.filter(pk__in=[row.pk for row in running]).update(
        to_at=Greatest(F("from_at"), at), end_reason=f"succession by order {order.number}"
    )
    return running


def _suspend(case: Case, at: datetime) -> list[int]:
    """Suspend what was approved and could still move something. The successor signs it anew, or it goes nowhere."""
    suspended = []
    for request in case.approvals.filter(state=RequestState.GRANTED).exclude(act=ACT).order_by("pk"):
        if approvals.is_live(request):
            case.approvals.filter(pk=request.pk, state=RequestState.GRANTED).update(
                state=RequestState.SUSPENDED, reason="succession"
            )
            suspended.append(request.pk)
    return suspended


def _holds_any_office(user: User, at: datetime) -> bool:
    return Appointment.objects.filter(Q(to_at__isnull=True) | Q(to_at__gt=at), user=user, end_reason="").exists()


# --- accepting and resuming -------------------------------------------------------------------


@transaction.atomic
def accept(case: Case, *, by: User, at: datetime, reservations: str = "") -> Succession:
    """The successor accepts the office as the account states it, save for the reservations. Sending may resume."""
    pending = list(case.successions.select_for_update(of=("self",)).filter(accepted_at__isnull=True).order_by("pk"))
    if not pending or pending[-1].successor_id != by.pk:
        raise NotSucceeded(
            _("No succession in case %(case)s awaits %(user)s's acceptance.") % {"case": case, "user": by.username}
        )
    appointments.require(case, by, "returns.stop", at=at)
    for succession in pending:  # an earlier one that was never accepted ends with this one
        succession.accepted_at = at
        succession.reservations = reservations if succession == pending[-1] else _("passed on unaccepted")
        succession.save(update_fields=["accepted_at", "reservations"])
        Stop.objects.filter(pk=succession.stop_id, lifted_at__isnull=True).update(lifted_at=at)
    accepted = pending[-1]
    log.append(
        case,
        "succession.accepted",
        subject=accepted,
        by=by,
        at=at,
        body={"reservations": reservations, "account_sha256": bytes(accepted.account_sha256).hex()},
    )
    return accepted


def suspended(case: Case) -> list[ApprovalRequest]:
    """What a succession suspended and nobody has taken up again or declined yet, oldest first."""
    rows = case.approvals.filter(state=RequestState.SUSPENDED).order_by("pk")
    return [row for row in rows if not _taken_up(row)]


def _taken_up(row: ApprovalRequest) -> bool:
    base = row.act.removesuffix(approvals.RESUME)
    return (
        ApprovalRequest.objects.filter(
            case=row.case, act=base + approvals.RESUME, object_id=row.object_id, pk__gt=row.pk
        )
        .exclude(state=RequestState.STALE)
        .exists()
    )


@transaction.atomic
def resume(case: Case, act: str, object_id: int, *, by: User, at: datetime) -> ApprovalRequest:
    """
    Ask the successor and one approver to sign again what was suspended, under the same content.

    Granted, it goes on; rejected, what was not sent yet goes dead.
    """
    appointments.require_any(case, by, at=at)
    base = act.removesuffix(approvals.RESUME)
    if case.successions.filter(accepted_at__isnull=True).exists():
        raise NotSucceeded(_("The successor has not accepted the office of case %(case)s yet.") % {"case": case})
    found = [
        row for row in suspended(case) if row.object_id == object_id and row.act in (base, base + approvals.RESUME)
    ]
    if not found:
        raise NotSucceeded(
            _("Nothing of it is suspended, or it was taken up already.")
        )
    row = found[-1]
    if approvals.content_now(base, object_id) != bytes(row.content_sha256):
        raise approvals.StaleContent(
            _("What was approved by request %(number)s has changed since and is not taken up again.")
            % {"number": row.pk}
        )
    return approvals.request(
        object_id, case=case, act=base + approvals.RESUME, content_sha256=bytes(row.content_sha256), by=by, at=at,
        order=row.order,
    )  # fmt: skip
