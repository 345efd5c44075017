"""
Requests and signatures, bound to the hash of exactly what is approved.

    Unsigned              nothing was signed
    ├── SamePerson        the preparer does not sign, and nobody signs twice
    ├── NotASigner        no live appointment as office-holder or approver
    ├── NotOpen           the request was decided already
    └── StaleContent      what was to be signed has changed
    NotRequested          the request cannot be made like that
    NotApproved           an act needs an approval that it does not have

A room registers its act in AppConfig.ready(): what the content's hash is now, what must hold before the last
signature, and what follows it in the same transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from administration.cases import appointments, orders, policies
from administration.cases.models import (
    Appointment,
    AppointmentKind,
    ApprovalRequest,
    Case,
    CourtOrder,
    RequestState,
    Signature,
    Succession,
)
from administration.cases.powers import SIGNING_KINDS
from administration.errors import Refused
from administration.people.models import User
from administration.record import log

RESUME = ".resume"  # the act by which a successor takes up what the predecessor had approved


class Unsigned(Refused):
    """Nothing was signed."""


class SamePerson(Unsigned):
    """The preparer does not sign, and nobody signs twice."""


class NotASigner(Unsigned):
    """Only the office-holder and approvers sign, while their appointment runs."""


class NotOpen(Unsigned):
    """The request was decided already."""


class StaleContent(Unsigned):
    """What was to be signed is not what it was."""


class NotRequested(Refused):
    """An approval cannot be asked for like that."""


class NotApproved(Refused):
    """The act needs an approval that it does not have, or no longer has."""


# --- what rooms register ----------------------------------------------------------------------

Content = Callable[[int], str | bytes]
Precondition = Callable[[ApprovalRequest], object]
Follow = Callable[[ApprovalRequest, User, datetime], object]
Signer = Callable[[ApprovalRequest, User, datetime], object]


@dataclass(frozen=True)
class Approvable:
    """What approvals know of an act of another room."""

    content: Content
    precondition: Precondition | None
    after: Follow | None
    rejected: Follow | None
    signer: Signer | None
    live: Callable[[int], bool] | None
    find: Callable[[str], int | None] | None
    resumed: Follow | None
    declined: Follow | None


_registered: dict[str, Approvable] = {}


def register(
    act: str,
    *,
    content: Content,
    precondition: Precondition | None = None,
    after: Follow | None = None,
    rejected: Follow | None = None,
    signer: Signer | None = None,
    live: Callable[[int], bool] | None = None,
    find: Callable[[str], int | None] | None = None,
    resumed: Follow | None = None,
    declined: Follow | None = None,
) -> None:
    """
    Say how one act is approved.

    content(object_id) is the hash of the object as it is now. precondition(request) may refuse the last
    signature; signer(request, by, at) may refuse one person's. after and rejected(request, by, at) run in the transaction of the decision and touch the database
    only; what takes long starts a job, which `after` returns. live(object_id): could the approved act still move
    something? Then a succession suspends it; resumed and declined follow the successor's word on it.
    find(text) is the object's id if the text is its reference.
    """
    _registered[act] = Approvable(content, precondition, after, rejected, signer, live, find, resumed, declined)


def registered(act: str) -> Approvable:
    try:
        return _registered[act.removesuffix(RESUME)]
    except KeyError:
        raise LookupError(f"No room has registered the approval of “{act}”.") from None


def content_now(act: str, object_id: int) -> bytes:
    """The hash of the object as it is at this moment, by the room that owns it."""
    return as_bytes(registered(act).content(object_id))


def as_bytes(sha256: str | bytes | memoryview) -> bytes:
    """A SHA-256, given as hex digits or as bytes."""
    value = bytes.fromhex(sha256) if isinstance(sha256, str) else bytes(sha256)
    if len(value) != 32:
        raise ValueError("A SHA-256 has 32 bytes.")
    return value


# --- asking -----------------------------------------------------------------------------------


@transaction.atomic
def request(
    obj: Model | int,
    *,
    case: Case,
    act: str,
    content_sha256: str | bytes,
    by: User,
    at: datetime,
    order: CourtOrder | None = None,
    more: int = 0,
) -> ApprovalRequest:
    """
    Ask for signatures under an object's content. `by` prepared it and will not sign; `order`: what the act rests on.

    `more` people than the policy says sign, where the object is larger than the usual.
    """
    registered(act)
    object_id = obj if isinstance(obj, int) else int(obj.pk)
    content = as_bytes(content_sha256)
    if case.state != "open":
        raise NotRequested(_("Case %(case)s is closed. Nothing is approved in it any more.") % {"case": case})
    if order is not None:
        orders.require(order, at)
    policy = policies.of(case, act.removesuffix(RESUME))
    if act.endswith(RESUME):  # the successor and one approver at least
        policy = policies.Policy(max(policy.signers, 2), True)
    if policy.office_holder:
        _refuse_if_the_office_holder_prepared(case, by, at)
    for older in ApprovalRequest.objects.select_for_update(of=("self",)).filter(
        case=case, act=act, object_id=object_id, state__in=[RequestState.OPEN, RequestState.GRANTED]
    ):
        if bytes(older.content_sha256) == content or older.state == RequestState.GRANTED:
            raise NotRequested(
                _("The same is asked for already: request %(number)s, %(state)s.")
                % {"number": older.pk, "state": older.get_state_display().lower()}
            )
        _mark_stale(older, by=by, at=at, content=content)
    made = ApprovalRequest.objects.create(
        case=case, act=act, object_id=object_id, content_sha256=content, prepared_by=by, signers=policy.signers + more,
        office_holder=policy.office_holder, order=order, requested_at=at,
    )  # fmt: skip
    needs = {"signers": made.signers, "office_holder": "yes" if made.office_holder else "no"}
    log.append(case, "approval.requested", subject=made, by=by, at=at, body={**_body(made), **needs})
    return made


def _refuse_if_the_office_holder_prepared(case: Case, by: User, at: datetime) -> None:
    office = appointments.live(case, at=at).filter(kind=AppointmentKind.OFFICE_HOLDER)
    own = [appointment for appointment in office if appointment.user_id == by.pk]
    if own and (any(appointment.joint for appointment in own) or len(office) == len(own)):
        raise NotRequested(
            _(
                "%(user)s must sign this and therefore cannot prepare it. Let the case officer prepare it, "
                "so that the office-holder can sign."
            )
            % {"user": by.username}
        )


def granted(case: Case, act: str, object_id: int, at: datetime | None = None) -> ApprovalRequest | None:
    """
    The approval that stands for an act on an object, the successor's resumption included; or None.

    With `at`, one whose order does not stand at that instant does not count either.
    """
    found = (
        ApprovalRequest.objects.filter(
            case=case, act__in=[act, act + RESUME], object_id=object_id, state=RequestState.GRANTED
        )
        .select_related("order")
        .order_by("-pk")
        .first()
    )
    if found and at and found.order and not orders.stands(found.order, at):
        return None
    return found


def require(case: Case, act: str, object_id: int, *, content_sha256: str | bytes, at: datetime) -> ApprovalRequest:
    """The approval of exactly this content, its order in force; or a refusal. Ask it before carrying anything out."""
    found = granted(case, act, object_id)
    if found is None:
        raise NotApproved(
            _("This is not approved. Ask for the signatures it needs.")
        )
    if bytes(found.content_sha256) != as_bytes(content_sha256):
        raise NotApproved(
            _("What was approved by request %(number)s is not what is to be carried out. Ask for approval anew.")
            % {"number": found.pk}
        )
    if found.order:
        orders.require(found.order, at)
    return found


def is_live(request: ApprovalRequest) -> bool:
    """Could what was approved still move something? The room that registered the act knows."""
    room = _registered.get(request.act.removesuffix(RESUME))
    return bool(room and room.live and room.live(request.object_id))


def awaiting(request: ApprovalRequest, *, at: datetime) -> list[str]:
    """The sign-ins of those who could sign an open request now."""
    if request.state != RequestState.OPEN:
        return []
    done = set(request.signatures.values_list("signer", flat=True)) | {request.prepared_by_id}
    people = appointments.live(request.case, at=at).filter(kind__in=SIGNING_KINDS).exclude(user__in=done)
    return sorted(set(people.values_list("user__username", flat=True)))


def find(text: str) -> ApprovalRequest:
    """The request a person means: its number, “act:object number”, or a reference some room knows; open ones first."""
    candidates = ApprovalRequest.objects.none()
    act, colon, number = text.partition(":")
    if text.isdecimal():
        candidates = ApprovalRequest.objects.filter(pk=int(text))
    elif colon and act.removesuffix(RESUME) in _registered and number.isdecimal():
        candidates = ApprovalRequest.objects.filter(act__in=[act, act + RESUME], object_id=int(number))
    else:
        for name, known in _registered.items():
            object_id = known.find(text) if known.find else None
            if object_id is not None:
                candidates |= ApprovalRequest.objects.filter(act__in=[name, name + RESUME], object_id=object_id)
    found = sorted(candidates, key=lambda row: (row.state == RequestState.OPEN, row.pk))
    if not found:
        raise Refused(
            _("Nothing called “%(text)s” awaits approval. Give the request's number or the object's reference.")
            % {"text": text}
        )
    return found[-1]


# --- deciding ---------------------------------------------------------------------------------


def sign(
    request: ApprovalRequest, *, by: User, at: datetime, content_sha256: str | bytes | None = None
) -> ApprovalRequest:
    """
    Sign the content of a request. With the last signature the approved act follows in the same transaction.

    `content_sha256` is what the signer was shown. If the object is not any more what the request says, the
    request becomes stale and stays so: that is committed before the refusal is raised, so no transaction may
    be open around this.
    """
    if content_sha256 is not None and as_bytes(content_sha256) != bytes(request.content_sha256):
        raise StaleContent(_("What you were shown is not what this request is about. Reload it and look again."))
    with transaction.atomic(durable=True):
        row, fresh = _sign(request.pk, by=by, at=at)
    if not fresh:
        raise StaleContent(
            _(
                "What request %(number)s asks to approve has changed since, so it was closed unsigned. "
                "Reload the object and have a new request made."
            )
            % {"number": row.pk}
        )
    return row


def _sign(pk: int, *, by: User, at: datetime) -> tuple[ApprovalRequest, bool]:
    row = _locked(pk)
    signing = _signing_appointment(row.case, by, at)
    if row.prepared_by_id == by.pk:
        raise SamePerson(_("%(user)s prepared this and cannot sign it. Another person must.") % {"user": by.username})
    if row.signatures.filter(signer=by).exists():
        raise SamePerson(_("%(user)s has signed this already. Another person must.") % {"user": by.username})
    _require_open(row)
    if Succession.objects.filter(case=row.case, successor=by, accepted_at__isnull=True).exists():
        raise NotASigner(_("%(user)s signs after accepting the office.") % {"user": by.username})
    if row.order:
        orders.require(row.order, at)
    room = registered(row.act)
    if room.signer:
        room.signer(row, by, at)
    now = content_now(row.act, row.object_id)
    if now != bytes(row.content_sha256):
        _mark_stale(row, by=by, at=at, content=now)
        return row, False

    last = _complete(row, signing, at)
    if last and room.precondition:
        room.precondition(row)
    Signature.objects.create(
        request=row, case=row.case, prepared_by=row.prepared_by, content_sha256=bytes(row.content_sha256), signer=by,
        appointment=signing, signed_at=at,
    )  # fmt: skip
    if last:
        _decide(row, RequestState.GRANTED, at=at)
        follow = room.resumed if row.act.endswith(RESUME) else room.after
        row.followed_by = follow(row, by, at) if follow else None
    log.append(
        row.case, "approval.signed", subject=row, by=by, at=at,
        body={**_body(row), "appointment": signing.pk, "as": signing.kind},
    )  # fmt: skip
    if last:
        signers = row.signatures.order_by("pk").values_list("signer__username", flat=True)
        log.append(
            row.case, "approval.granted", subject=row, by=by, at=at,
            body={**_body(row), "signers": list(signers)},
        )  # fmt: skip
    return row, True


@transaction.atomic
def reject(request: ApprovalRequest, *, by: User, at: datetime, reason: str) -> ApprovalRequest:
    """Turn an open request down, with the reason. One of those who could sign is enough."""
    row = _locked(request.pk)
    _signing_appointment(row.case, by, at)
    _require_open(row)
    if not reason.strip():
        raise Unsigned(_("Say why the request is rejected: the preparer has to mend it."))
    _decide(row, RequestState.REJECTED, at=at, reason=reason)
    room = registered(row.act)
    follow = room.declined if row.act.endswith(RESUME) else room.rejected
    if follow:
        row.followed_by = follow(row, by, at)
    log.append(row.case, "approval.rejected", subject=row, by=by, at=at, body={**_body(row), "reason": reason})
    return row


def _locked(pk: int) -> ApprovalRequest:
    return (
        ApprovalRequest.objects.select_for_update(of=("self",))
        .select_related("case", "prepared_by", "order")
        .get(pk=pk)
    )


def _signing_appointment(case: Case, by: User, at: datetime) -> Appointment:
    """The office by which this person signs; held still until the signature is in."""
    own = appointments.live(case, at=at).filter(user=by, kind__in=SIGNING_KINDS)
    found = sorted(own.select_for_update(of=("self",), no_key=True), key=lambda a: SIGNING_KINDS.index(a.kind))
    if not found:
        raise NotASigner(
            _("%(user)s may not sign in case %(case)s: only the office-holder and the approvers do, during their term.")
            % {"user": by.username, "case": case}
        )
    return found[0]


def _require_open(row: ApprovalRequest) -> None:
    if row.state != RequestState.OPEN:
        raise NotOpen(
            _("Request %(number)s is %(state)s already. Reload it and look again.")
            % {"number": row.pk, "state": row.get_state_display().lower()}
        )


def _complete(row: ApprovalRequest, signing: Appointment, at: datetime) -> bool:
    """
    Is the request complete once this appointment's holder signs?

    A signature counts while the appointment behind it runs: the word of somebody who has left does not.
    """
    live = {appointment.pk: appointment for appointment in appointments.live(row.case, at=at)}
    by = [live[pk] for pk in row.signatures.values_list("appointment", flat=True) if pk in live] + [signing]
    if len({appointment.user_id for appointment in by}) < row.signers:
        return False
    if not row.office_holder:
        return True
    signed = {appointment.user_id for appointment in by if appointment.kind == AppointmentKind.OFFICE_HOLDER}
    joint = {
        appointment.user_id
        for appointment in live.values()
        if appointment.kind == AppointmentKind.OFFICE_HOLDER and appointment.joint
    }
    return bool(signed) and joint <= signed


def _decide(row: ApprovalRequest, state: str, *, at: datetime, reason: str = "") -> None:
    moved = ApprovalRequest.objects.filter(pk=row.pk, state=RequestState.OPEN).update(
        state=state, decided_at=at, reason=reason
    )
    if moved != 1:
        raise NotOpen(_("Request %(number)s was decided meanwhile. Reload it and look again.") % {"number": row.pk})
    row.state, row.decided_at, row.reason = state, at, reason


def _mark_stale(row: ApprovalRequest, *, by: User, at: datetime, content: bytes) -> None:
    _decide(row, RequestState.STALE, at=at, reason=f"content is now {content.hex()}")
    log.append(
        row.case, "approval.stale", subject=row, by=by, at=at, body={**_body(row), "content_now_sha256": content.hex()}
    )


def _body(row: ApprovalRequest) -> dict[str, str | int]:
    return {
        "act": row.act,
        "object_id": row.object_id,
        "content_sha256": bytes(row.content_sha256).hex(),
        "prepared_by": row.prepared_by.username,
    }
