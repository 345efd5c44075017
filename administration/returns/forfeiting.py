"""
What nobody claimed goes to the others: only where the plan says so and a court has ordered it.

The plan's branch is its key “unclaimed”: “deposit” (with the Legal Affairs Bureau), or “redistribute”. With the last
signature under a forfeiture the lines are admitted for what they received, no more; the part that was set aside for them is
excess, which the next run takes back and shares among the others, up to what each is admitted for.

    NotForfeited   nothing was forfeited
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext as _

from administration.cases import appointments, approvals, orders
from administration.cases.models import ApprovalRequest, Case, CourtOrder
from administration.distribution import plans
from administration.distribution.models import Run, RunState
from administration.errors import Refused
from administration.people.models import User
from administration.record import covers, log
from administration.returns import apart, reaching
from administration.returns.models import ForfeitedLine, Forfeiture, ReturnState, TailState
from claims.register import positions, review, tie_out
from claims.register.models import Claim, ClaimClass, ClaimLine, Position

ACT = "returns.forfeit"
COVER = "returns.forfeited"
PERMITS = "returns.forfeit"
DECIDES = "claims.decide"
REDISTRIBUTE = "redistribute"
REASON = "unclaimed"


class NotForfeited(Refused):
    """Nothing was forfeited."""


def lines_of(case: Case, claims: Iterable[Claim]) -> dict[ClaimLine, int]:
    """
    What these claims have that is not on its way, settled or deposited, and cannot be paid as the customer's move is missing.

    Without what is in no pool and can go to nobody else.
    """
    shared = ClaimLine.objects.filter(case=case, claim__in=list(claims)).exclude(claim_class=ClaimClass.AFTER_CUTOFF)
    lines = list(
        shared.select_related("asset", "claim").order_by("claim__number", "asset__code")
    )
    lines = reaching.lacking(lines)
    there = apart.available(lines)
    return {line: there[line.pk] for line in lines if there.get(line.pk)}


@transaction.atomic
def propose(
    case: Case, claims: Iterable[Claim], *, facts: str, order: CourtOrder, by: User, at: datetime
) -> ApprovalRequest:
    """Name the claims whose undistributed part goes to the others, and ask two people to sign."""
    appointments.require(case, by, "returns.batch", at=at)
    appointments.require(case, by, DECIDES, at=at)  # the last signature decides the lines, in this name if the signer may not
    last = Run.objects.filter(case=case, state=RunState.DECLARED).select_related("plan").order_by("-number").first()
    if last is None or plans.read(last.plan.body).unclaimed != REDISTRIBUTE:
        raise NotForfeited(
            _("The plan does not give to others what nobody claims. Deposit it instead, or have a plan approved whose “unclaimed” is “redistribute”.")
        )
    if PERMITS not in order.permits or not facts.strip():
        raise NotForfeited(_("What is somebody's is given to others by an order that permits “%(permits)s” only, and for a reason.") % {"permits": PERMITS})
    orders.require(order, at)
    wanted = list(claims)
    _refuse_the_reachable(case, wanted, at=at)
    amounts = lines_of(case, wanted)
    if not amounts or len(amounts) > apart.LINES_MAX:
        raise NotForfeited(
            _("These claims have nothing that waits.") if not amounts else
            _("One forfeiture takes up to %(most)s lines. Make several.") % {"most": f"{apart.LINES_MAX:,}"}
        )  # fmt: skip
    made = Forfeiture.objects.create(
        case=case, number=apart.following(Forfeiture, case), facts=facts.strip(), order=order, plan=last.plan, by=by, at=at
    )
    ForfeitedLine.objects.bulk_create(ForfeitedLine(forfeiture=made, claim_line=line, amount=units) for line, units in amounts.items())
    asked = approvals.request(made, case=case, act=ACT, content_sha256=apart.content(ACT)(made.pk), order=order, by=by, at=at)
    cover = covers.cover(COVER, case=case.reference, forfeiture=made.number)
    log.append(case, "forfeiture.proposed", subject=made, by=by, at=at, body={"forfeiture": str(made), "order": order.number}, covers=cover)
    return asked


def _refuse_the_reachable(case: Case, claims: list[Claim], *, at: datetime) -> None:
    reached = {row.claim_id for row in reaching.clocks(case, at=at, claims=claims) if row.unreachable}
    held = apart.held(claims, but=[apart.ORDER_HOLD])
    if held is not None:
        raise NotForfeited(_("A hold lies on claim %(claim)s: nothing of it is given to others before it is lifted.") % {"claim": held})
    for claim in claims:
        if claim.pk not in reached:
            raise NotForfeited(
                _("Claim %(claim)s does not count as unreachable yet. Send the reminders and wait for their clock.") % {"claim": claim}
            )


def precondition(request: ApprovalRequest) -> None:
    made = Forfeiture.objects.select_related("case").get(pk=request.object_id)
    _refuse_the_reachable(made.case, list(Claim.objects.filter(lines__forfeited__forfeiture=made).distinct()), at=request.requested_at)
    payable = reaching.payable(ClaimLine.objects.filter(forfeited__forfeiture=made).select_related("claim", "asset").order_by("pk"))
    if payable is not None:
        raise NotForfeited(
            _("The customer of claim %(claim)s has shown where %(asset)s goes. Propose it again without that.")
            % {"claim": payable.claim, "asset": payable.asset}
        )
    tie_out.require(made.case)


def signed(request: ApprovalRequest, by: User, at: datetime) -> None:
    """With the last signature: each line is admitted for what it received; the next run shares the rest among the others."""
    made = Forfeiture.objects.select_related("case", "order").get(pk=request.object_id)
    apart.step(made, TailState.PROPOSED, TailState.APPROVED)
    rows = list(made.lines.select_related("claim_line__claim", "claim_line__case", "claim_line__asset").order_by("claim_line_id"))
    positions.lock([row.claim_line_id for row in rows])  # all of them before the first event, as every other act does
    there = apart.available([row.claim_line for row in rows])
    stays = {row.claim_line_id: _stays(row.claim_line) for row in rows}  # before any decision voids a batch
    decides = by if appointments.may(made.case, by, DECIDES, at=at) else request.prepared_by
    for row in rows:
        line = row.claim_line
        if there[line.pk] != row.amount:
            raise NotForfeited(_("What waits for claim %(claim)s is not any more what was signed. Propose it again.") % {"claim": line.claim})
        line.refresh_from_db()
        keeps = max(0, stays[line.pk] + line.converted_out - line.converted_in)
        review.decide_line(
            line, min(keeps, line.admitted), reason_code=REASON, reason=_("By order %(order)s.") % {"order": made.order.number},
            by=decides, at=at,
        )  # fmt: skip
    apart.step(made, TailState.APPROVED, TailState.DONE)
    log.append(made.case, "forfeiture.carried_out", subject=made, by=by, at=at, body={"forfeiture": str(made)})


def _stays(line: ClaimLine) -> int:
    """What is on its way, gone, in a batch, or set apart by another signed act: two people signed none of that away here."""
    p = Position.objects.get(pk=line.pk)
    waiting = line.returns.filter(state__in=[ReturnState.SCHEDULED, ReturnState.HELD]).aggregate(units=Sum("amount"))["units"]
    return p.scheduled - int(waiting or 0) + p.in_flight + p.settled + p.deposited
