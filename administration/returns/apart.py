"""
What is set apart of claim lines by a signed act of the tail, until the act is carried out or given up.

Set apart it is in no return and no round takes it: it cannot be paid a second time meanwhile.

    NotSetApart   there is not that much to set apart
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import connection, models
from django.db.models import Max
from django.utils.translation import gettext as _

from administration.amounts import show
from administration.cases import approvals
from administration.cases.models import ApprovalRequest, Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.returns import unexplained
from administration.returns.models import AssetReturn, ReturnState, TailState
from claims.register import positions
from claims.register.models import Claim, ClaimLine, Hold

ORDER_HOLD = "order"  # an act that rests on a court's order may follow it in spite of a hold by one
BACK = "_back"  # the act by which two people take back what they signed
LINES_MAX = 1_000  # of one act: more are several acts


class NotSetApart(Refused):
    """Nothing was set apart."""


class NotGivenUp(Refused):
    """It cannot be given up like that."""


# What a line has that is neither on its way nor gone: in no return, or in one that is in no batch.
AVAILABLE = """
SELECT p.claim_line_id, greatest(0, p.given - l.excess - p.scheduled - p.in_flight - p.settled - p.deposited + coalesce((
    SELECT sum(r.amount) FROM returns_assetreturn r
    WHERE r.claim_line_id = p.claim_line_id AND r.state IN ('scheduled', 'held')), 0))
FROM register_position p JOIN register_claimline l ON l.id = p.claim_line_id
WHERE p.claim_line_id = ANY (%s)
"""


def available(lines: Iterable[ClaimLine]) -> dict[int, int]:
    """How much of each line could be set apart now, in whole payable steps."""
    steps = {line.pk: line.asset.payable_step for line in lines}
    with connection.cursor() as cursor:
        cursor.execute(AVAILABLE, [list(steps)])
        return {pk: int(units) - int(units) % steps[pk] for pk, units in cursor.fetchall()}


def held(claims: Iterable[Claim], *, but: Iterable[str] = ()) -> Claim | None:
    """One of these claims on which a hold lies that is none of these kinds: nothing of it is given away or set apart."""
    live = Hold.objects.filter(claim__in=list(claims), lifted_at__isnull=True).exclude(kind__in=list(but))
    found = live.select_related("claim").order_by("claim__number").first()
    return found.claim if found else None


def following(model: type[models.Model], case: Case) -> int:
    """The next number of such a thing in its case; the case's row keeps two of them apart."""
    Case.objects.select_for_update(no_key=True, of=("self",)).get(pk=case.pk)
    last: Any = model._default_manager.filter(case=case).aggregate(last=Max("number"))["last"]
    return int(last or 0) + 1


def set_apart(
    case: Case, rows: Mapping[int, int], *, key: str, reason: str, subject: models.Model, by: User | None, at: datetime
) -> None:
    """Take these amounts of these lines out of what rounds and batches can take: returns that wait are cancelled first."""
    lines = sorted(rows)
    positions.lock(lines)
    said_paid = unexplained.why_not(case, lines)
    if said_paid:
        raise NotSetApart(said_paid)
    waiting = AssetReturn.objects.filter(claim_line__in=lines, state__in=[ReturnState.SCHEDULED, ReturnState.HELD])
    taken = list(waiting.select_for_update(of=("self",)).order_by("pk"))
    back: dict[int, int] = {}
    for row in taken:
        back[row.claim_line_id] = back.get(row.claim_line_id, 0) + row.amount
    if taken:
        AssetReturn.objects.filter(pk__in=[row.pk for row in taken]).update(state=ReturnState.CANCELLED)
        positions.move(case, "unschedule", key=f"{key}:freed", rows=sorted(back.items()), subject=subject, by=by, at=at)
    there = available(ClaimLine.objects.filter(pk__in=lines).select_related("asset"))
    for line in ClaimLine.objects.filter(pk__in=lines).select_related("asset", "claim").order_by("pk"):
        if rows[line.pk] > there[line.pk]:
            raise NotSetApart(
                _("Claim %(claim)s has %(there)s %(asset)s that can be set apart, not %(asked)s. Look at it again.")
                % {
                    "claim": line.claim, "asset": line.asset.code, "there": show(there[line.pk], line.asset.scale),
                    "asked": show(rows[line.pk], line.asset.scale),
                }
            )  # fmt: skip
    positions.move(case, "schedule", key=f"{key}:apart", rows=sorted(rows.items()), subject=subject, by=by, at=at)
    for row in taken:
        log.append(
            case, "return.cancelled", subject=row, by=by, at=at,
            body={"reference": row.reference, "amount": row.amount, "reason": reason},
        )  # fmt: skip


def let_go(case: Case, rows: Mapping[int, int], *, key: str, subject: models.Model, by: User | None, at: datetime) -> None:
    """Give back to the lines what was set apart of them."""
    positions.move(case, "unschedule", key=f"{key}:back", rows=sorted(rows.items()), subject=subject, by=by, at=at)


# --- what is signed -------------------------------------------------------------------------------


def content(act: str) -> Callable[[int], bytes]:
    """The hash of what two people sign for that act, as the database states it."""

    def of(pk: int) -> bytes:
        with connection.cursor() as cursor:
            cursor.execute("SELECT tail_content(%s, %s)", [act.removesuffix(BACK), pk])
            (sha256,) = cursor.fetchone()
        return bytes(sha256)

    return of


def step(row: Any, before: str, after: str, **values: Any) -> None:
    """Take one step, guarded by the state it was read in."""
    moved = type(row).objects.filter(pk=row.pk, state=before).update(state=after, **values)
    if moved != 1:
        raise NotSetApart(_("This is not %(state)s any more. Reload it and look again.") % {"state": TailState(before).label.lower()})
    row.refresh_from_db()


def ask_back(row: Any, act: str, *, reason: str, by: User, at: datetime) -> ApprovalRequest:
    """Ask two people to take back what was signed and not carried out. Whoever asks says how they know that it was not."""
    if row.state != TailState.APPROVED:
        raise NotGivenUp(_("Only what is approved and not carried out can be given up. It is %(state)s.") % {
            "state": row.get_state_display().lower()})  # fmt: skip
    if not reason.strip():
        raise NotGivenUp(_("Say why it is given up, and how you know that it was not carried out."))
    asked = approvals.request(row, case=row.case, act=act + BACK, content_sha256=content(act)(row.pk), by=by, at=at)
    log.append(row.case, "tail.giving_up_asked", subject=row, by=by, at=at, body={"act": act, "reason": reason})
    return asked


def rejected(model: type[models.Model]) -> approvals.Follow:
    """What follows when somebody turns a proposal down: it is given up."""

    def follow(request: ApprovalRequest, by: User, at: datetime) -> None:
        model._default_manager.filter(pk=request.object_id, state=TailState.PROPOSED).update(state=TailState.GIVEN_UP)

    return follow


def is_live(model: type[models.Model]) -> Callable[[int], bool]:
    def live(pk: int) -> bool:
        return model._default_manager.filter(pk=pk, state=TailState.APPROVED).exists()

    return live
