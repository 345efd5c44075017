"""
Who holds which office in a case, for how long, with what powers.

    NotEmpowered   the person holds no live appointment with the power that the act needs
    NotAppointed   an appointment cannot be recorded or ended like that
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from administration.cases.models import Appointment, AppointmentKind, Case
from administration.cases.powers import DEFAULTS, OPENING_KINDS, POWERS, WATCHING_KINDS
from administration.errors import Refused
from administration.people.models import User
from administration.record import log


class NotEmpowered(Refused):
    """The person holds no live appointment in the case that carries the power."""


class NotAppointed(Refused):
    """The appointment cannot be recorded, or ended, like that."""


# --- asking -----------------------------------------------------------------------------------


def live(case: Case, *, at: datetime) -> QuerySet[Appointment]:
    """The appointments that run at that instant, of people who may sign in."""
    return Appointment.objects.filter(
        Q(to_at__isnull=True) | Q(to_at__gt=at), case=case, from_at__lte=at, user__is_active=True
    ).order_by("from_at", "pk")


def holders(case: Case, kind: str, at: datetime) -> list[User]:
    """The people who hold that office at that instant, the longest-serving first."""
    return [appointment.user for appointment in live(case, at=at).filter(kind=kind).select_related("user")]


def may(case: Case, user: User | None, power: str, *, at: datetime) -> bool:
    """Does a live appointment of this person carry the power?"""
    return user is not None and live(case, at=at).filter(user=user, powers__contains=[power]).exists()


def require(case: Case, user: User | None, power: str, *, at: datetime) -> Appointment:
    """The appointment by which the person may do this, or a refusal. Every act asks first."""
    found = user and live(case, at=at).filter(user=user, powers__contains=[power]).first()
    if not found:
        raise NotEmpowered(
            _(
                "%(user)s may not do this in case %(case)s: no appointment there carries the power “%(power)s” now. "
                "Ask the office-holder to grant it, or let somebody act who has it."
            )
            % {"user": user.username if user else _("Somebody who is not signed in"), "case": case, "power": power}
        )
    return found


def require_any(case: Case, user: User, *, at: datetime) -> Appointment:
    """Any live appointment at all: enough to stop, and nothing else."""
    found = live(case, at=at).filter(user=user).first()
    if not found:
        raise NotEmpowered(
            _("%(user)s holds no appointment in case %(case)s. Ask the office-holder for one.")
            % {"user": user.username, "case": case}
        )
    return found


def may_open(user: User, *, at: datetime) -> bool:
    """May this person open a case? Whoever holds the office or prepares in a case that runs, of this house."""
    return (
        Appointment.objects.filter(Q(to_at__isnull=True) | Q(to_at__gt=at), user=user, from_at__lte=at)
        .filter(kind__in=OPENING_KINDS, user__is_active=True)
        .exists()
    )


def require_opening(user: User, *, at: datetime) -> None:
    """Refuse whoever is nobody's office-holder or case officer."""
    if not may_open(user, at=at):
        raise NotEmpowered(
            _(
                "%(user)s may not open a case: that takes somebody who holds the office or is case officer in a running "
                "case. Otherwise the operator opens it, by its appointing instrument."
            )
            % {"user": user.username}
        )


# --- granting and ending ----------------------------------------------------------------------


@transaction.atomic
def grant(
    case: Case,
    *,
    user: User,
    kind: str,
    authority: str,
    instrument: str,
    instrument_sha256: bytes,
    powers: list[str] | None = None,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
    joint: bool = False,
    by: User,
    at: datetime,
) -> Appointment:
    """Record an appointment made by a court, the regulator or the office-holder. It counts from `from_at` at once."""
    if require(case, by, "appointments.grant", at=at).kind != AppointmentKind.OFFICE_HOLDER:
        raise NotEmpowered(
            _("Only the office-holder of case %(case)s records appointments, and %(user)s is not.")
            % {"case": case, "user": by.username}
        )
    return record(
        case, user=user, kind=kind, authority=authority, instrument=instrument, instrument_sha256=instrument_sha256,
        powers=powers, from_at=from_at or at, to_at=to_at, joint=joint, by=by, at=at,
    )  # fmt: skip


def record(
    case: Case,
    *,
    user: User,
    kind: str,
    authority: str,
    instrument: str,
    instrument_sha256: bytes,
    powers: list[str] | None,
    from_at: datetime,
    to_at: datetime | None,
    joint: bool,
    by: User | None,
    at: datetime,
) -> Appointment:
    """The row and its event. `by` is None only at the opening of the case and in a succession by the operator."""
    powers = DEFAULTS[AppointmentKind(kind)] if powers is None else powers
    unknown = [power for power in powers if power not in POWERS]
    if unknown:
        raise NotAppointed(
            _("There is no power “%(power)s”. The powers are: %(powers)s.")
            % {"power": unknown[0], "powers": ", ".join(POWERS)}
        )
    if by is not None and by.pk == user.pk:
        raise NotAppointed(_("Nobody appoints themselves. Another office-holder or a court order must do it."))
    if joint and kind != AppointmentKind.OFFICE_HOLDER:
        raise NotAppointed(_("Only office-holders are appointed jointly. Leave “joint” out."))
    others = live(case, at=at).filter(user=user)
    if (kind in WATCHING_KINDS and others.exists()) or others.filter(kind__in=WATCHING_KINDS).exists():
        raise NotAppointed(
            _("%(user)s cannot both act in case %(case)s and watch it. End the other appointment first.")
            % {"user": user.username, "case": case}
        )
    appointment = Appointment.objects.create(
        case=case, user=user, kind=kind, authority=authority, instrument=instrument,
        instrument_sha256=instrument_sha256, powers=powers, from_at=from_at, to_at=to_at, joint=joint, granted_by=by,
    )  # fmt: skip
    log.append(
        case,
        "appointment.granted",
        subject=appointment,
        by=by,
        at=at,
        body={
            "user": user.username,
            "kind": str(kind),
            "authority": authority,
            "instrument": instrument,
            "instrument_sha256": bytes(instrument_sha256).hex(),
            "powers": sorted(powers),
            "from_at": from_at.isoformat(),
            "to_at": to_at.isoformat() if to_at else "",
            "joint": "yes" if joint else "no",
        },
    )
    return appointment


@transaction.atomic
def end(appointment: Appointment, *, by: User, at: datetime, reason: str) -> None:
    """
    End an appointment now. By an office-holder, or by the person who leaves.

    The last office-holder leaves only by a succession: a case is never without one.
    """
    case = appointment.case
    leaves = by.pk == appointment.user_id
    if not leaves and require(case, by, "appointments.grant", at=at).kind != AppointmentKind.OFFICE_HOLDER:
        raise NotEmpowered(_("Only the office-holder of case %(case)s ends appointments.") % {"case": case})
    if appointment.kind == AppointmentKind.OFFICE_HOLDER:
        left = live(case, at=at).filter(kind=AppointmentKind.OFFICE_HOLDER).exclude(pk=appointment.pk)
        if not left.exists():
            raise NotAppointed(
                _("%(user)s is the last office-holder of case %(case)s. Name the successor by the appointing order.")
                % {"user": appointment.user.username, "case": case}
            )
    close(appointment, at=at, reason=reason)
    log.append(
        case,
        "appointment.ended",
        subject=appointment,
        by=by,
        at=at,
        body={"user": appointment.user.username, "kind": appointment.kind, "reason": reason},
    )


def close(appointment: Appointment, *, at: datetime, reason: str) -> None:
    """Set the end, once."""
    if not reason.strip():
        raise NotAppointed(_("Say why the appointment ends."))
    moved = (
        Appointment.objects.filter(Q(to_at__isnull=True) | Q(to_at__gt=at), pk=appointment.pk, end_reason="")
        .filter(from_at__lte=at)
        .update(to_at=at, end_reason=reason)
    )
    if moved != 1:
        raise NotAppointed(_("This appointment does not run any more, or not yet. Reload and look again."))
    appointment.to_at, appointment.end_reason = at, reason
