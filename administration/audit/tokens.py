"""
Tokens by which an auditor's program reads the record: issued, collected, revoked, recognised.

    NotIssued   a token cannot be issued, collected or revoked like that

Whoever issues a token never sees its secret, so what a token reads was read by the person it was issued to.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q
from django.utils.translation import gettext as _

from administration.audit.models import Token
from administration.cases import appointments
from administration.cases.models import Appointment, AppointmentKind, Case
from administration.cases.powers import WATCHING_KINDS
from administration.errors import Refused
from administration.people.models import User
from administration.record import log

MARK = "henkan_"  # so that a secret left lying about is known for what it is
LONGEST = timedelta(days=366)


class NotIssued(Refused):
    """The token cannot be issued, collected or revoked like that."""


@transaction.atomic
def issue(
    case: Case,
    *,
    appointment: Appointment,
    purpose: str,
    expires_at: datetime,
    period_from: datetime | None = None,
    period_to: datetime | None = None,
    by: User,
    at: datetime,
) -> Token:
    """Let an auditor's or court reader's program read the case until `expires_at`. They collect the secret themselves."""
    _office_holder(case, by, at)
    held = appointments.live(case, at=at).filter(pk=appointment.pk, kind__in=WATCHING_KINDS).first()
    if held is None:
        raise NotIssued(_("A token is issued to an auditor or court reader whose appointment in the case runs."))
    if not purpose.strip():
        raise NotIssued(_("Say what the token is for."))
    if not at < expires_at <= at + LONGEST:
        raise NotIssued(_("A token expires later than now and within a year."))
    if period_from and period_to and period_from >= period_to:
        raise NotIssued(_("The period of a token begins before it ends."))
    Case.objects.select_for_update(no_key=True, of=("self",)).get(pk=case.pk)
    last = Token.objects.filter(case=case).aggregate(last=Max("number"))["last"] or 0
    token = Token.objects.create(
        case=case, number=last + 1, appointment=held, purpose=purpose.strip(), period_from=period_from, period_to=period_to,
        expires_at=expires_at, issued_by=by, issued_at=at,
    )  # fmt: skip
    log.append(
        case,
        "token.issued",
        subject=token,
        by=by,
        at=at,
        body={
            "number": token.number,
            "to": held.user.username,
            "purpose": token.purpose,
            "period_from": period_from.isoformat() if period_from else "",
            "period_to": period_to.isoformat() if period_to else "",
            "expires_at": expires_at.isoformat(),
        },
    )
    return token


@transaction.atomic
def collect(token: Token, *, by: User, at: datetime) -> str:
    """The secret, once, for the person the token was issued to."""
    if token.appointment.user_id != by.pk or not appointments.live(token.case, at=at).filter(pk=token.appointment_id):
        raise NotIssued(_("Only the person a token was issued to collects it, while their appointment runs."))
    secret = MARK + secrets.token_urlsafe(32)
    moved = Token.objects.filter(pk=token.pk, sha256__isnull=True, revoked_at__isnull=True, expires_at__gt=at).update(
        sha256=_hashed(secret), collected_at=at
    )
    if moved != 1:
        raise NotIssued(_("This token was collected, was revoked or has expired. Ask the office-holder for a new one."))
    log.append(token.case, "token.collected", subject=token, by=by, at=at, body={"number": token.number})
    return secret


@transaction.atomic
def revoke(token: Token, *, by: User, at: datetime) -> None:
    """The token counts no more. By an office-holder, or by the person it was issued to."""
    if token.appointment.user_id != by.pk:
        _office_holder(token.case, by, at)
    elif not appointments.live(token.case, at=at).filter(pk=token.appointment_id):
        raise NotIssued(_("Your appointment in case %(case)s has ended, and the token with it.") % {"case": token.case})
    if Token.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=at, revoked_by=by) != 1:
        raise NotIssued(_("This token was revoked already."))
    log.append(token.case, "token.revoked", subject=token, by=by, at=at, body={"number": token.number})


def recognise(secret: str, *, at: datetime) -> Token | None:
    """The token with that secret if it counts at this instant: collected, not revoked or expired, its appointment running."""
    return (
        Token.objects.filter(
            Q(appointment__to_at__isnull=True) | Q(appointment__to_at__gt=at),
            sha256=_hashed(secret),
            revoked_at__isnull=True,
            expires_at__gt=at,
            appointment__from_at__lte=at,
            appointment__user__is_active=True,
        )
        .select_related("case", "appointment__user")
        .first()
    )


def _hashed(secret: str) -> bytes:
    """256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def _office_holder(case: Case, by: User, at: datetime) -> None:
    if appointments.require(case, by, "appointments.grant", at=at).kind != AppointmentKind.OFFICE_HOLDER:
        raise NotIssued(_("Only the office-holder of case %(case)s issues and revokes tokens.") % {"case": case})
