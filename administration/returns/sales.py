"""
Forced sale of coins: where the proceeding pays money only, or where coins cannot be deposited for who cannot be reached.

Two people sign whose coins and how many are sold; they are set apart. Somebody sells them outside the house, and the
venue's paper carries the sale out: the net proceeds are shared to the last unit by quantity, each claim line keeps the
price it got, and its claim goes on in money.

A line that later rounds could still give more coins is not sold: what it was given then counts as if it had received it.
Nor is one whose claim later rounds could give more money: they would count the proceeds as given by them.

    NotSold   the sale cannot be proposed, or carried out, like that
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.amounts import largest_remainder
from administration.books import books
from administration.books.models import Asset
from administration.cases import appointments, approvals, archive, orders, profiles
from administration.cases.models import ApprovalRequest, Case, CourtOrder
from administration.distribution.models import Run, RunState
from administration.errors import Refused
from administration.people.models import User
from administration.record import covers, log
from administration.returns import after_cutoff, apart, reaching
from administration.returns.models import ForcedSale, SaleShare, TailState
from claims.register import positions, tie_out
from claims.register.models import Claim, ClaimClass, ClaimLine, Decision

ACT = "returns.sale"
COVER, SHARED = "returns.sale", "returns.sold"
PERMITS = "returns.force_sale"  # what an order permits, where the proceeding could return coins
MONEY_ONLY, UNREACHABLE = "money_only", "unreachable"
RULE = "opened_for_sale_proceeds"


class NotSold(Refused):
    """Nothing was sold."""


def lines_of(case: Case, asset: Asset, claims: Iterable[Claim] | None, ground: str) -> dict[ClaimLine, int]:
    """What these claims (all of them, if none are named) have in that asset and could be sold now on that ground."""
    lines = ClaimLine.objects.filter(case=case, asset=asset).select_related("asset", "claim", "position")
    if claims is not None:
        lines = lines.filter(claim__in=list(claims))
    found = list(lines.filter(position__given__gt=0).order_by("claim__number", "claim_class"))
    if ground == UNREACHABLE:
        found = reaching.lacking(found)
    there = apart.available(found)
    return {line: there[line.pk] for line in found if there.get(line.pk)}


@transaction.atomic
def propose(
    case: Case, asset: Asset, into: Asset, *, ground: str, facts: str, claims: Iterable[Claim] | None = None,
    order: CourtOrder | None = None, by: User, at: datetime,
) -> ApprovalRequest:  # fmt: skip
    """Name the lines whose coins are sold, everything of each, and ask two people to sign."""
    appointments.require(case, by, "returns.batch", at=at)
    if asset.case_id != case.pk or into.case_id != case.pk or asset.kind == "fiat" or into.kind != "fiat" or not facts.strip():
        raise NotSold(_("A forced sale turns coins of the case into its money, and says why."))
    wanted = None if claims is None else list(claims)
    amounts = lines_of(case, asset, wanted, ground)
    if not amounts or len(amounts) > apart.LINES_MAX:
        raise NotSold(
            _("None of these claims has %(asset)s that could be sold.") % {"asset": asset.code} if not amounts else
            _("One sale takes up to %(most)s lines. Make several.") % {"most": f"{apart.LINES_MAX:,}"}
        )  # fmt: skip
    _refuse_unless_grounded(case, ground, amounts, order, named=wanted or (), at=at)
    _refuse_what_rounds_may_still_give(case, asset, into, amounts)
    if any(line.claim_class == ClaimClass.AFTER_CUTOFF for line in amounts) and any(one.asset == into for one in after_cutoff.waiting(case)):
        raise NotSold(
            _("%(asset)s that came in after the cut-off waits to be returned. Return it before coins that came in then are sold.") % {"asset": into.code}
        )
    made = ForcedSale.objects.create(
        case=case, number=apart.following(ForcedSale, case), asset=asset, into=into, ground=ground, facts=facts.strip(),
        order=order, by=by, at=at,
    )  # fmt: skip
    SaleShare.objects.bulk_create(SaleShare(sale=made, claim_line=line, quantity=units) for line, units in amounts.items())
    asked = approvals.request(made, case=case, act=ACT, content_sha256=apart.content(ACT)(made.pk), order=order, by=by, at=at)
    log.append(case, "sale.proposed", subject=made, by=by, at=at, body=_body(made), covers=_cover(made))
    return asked


def _refuse_unless_grounded(
    case: Case, ground: str, amounts: dict[ClaimLine, int], order: CourtOrder | None, *, named: Iterable[Claim] = (), at: datetime
) -> None:
    """No hold lies on any; and the proceeding pays these classes in money only, or an order permits the sale for who cannot be reached."""
    held = apart.held({line.claim for line in amounts}, but=[apart.ORDER_HOLD] if order is not None else [])
    if held is not None:
        raise NotSold(_("A hold lies on claim %(claim)s: nothing of it is sold before it is lifted.") % {"claim": held})
    if ground == MONEY_ONLY:
        for line in amounts:
            if not profiles.class_rule(case, line.claim_class).money_only:
                raise NotSold(
                    _("In this proceeding claims of class “%(class)s” (%(claim)s) can be returned in kind. Their coins are not sold.")
                    % {"class": line.get_claim_class_display(), "claim": line.claim}
                )
        return
    if ground != UNREACHABLE:
        raise NotSold(_("A forced sale has one of two grounds: the proceeding pays money only, or the customer is unreachable."))
    if order is None or PERMITS not in order.permits:
        raise NotSold(_("Coins of unreachable customers are sold by an order that permits “%(permits)s” only.") % {"permits": PERMITS})
    orders.require(order, at)
    claims = {line.claim for line in amounts} | set(named)
    reached = {row.claim_id for row in reaching.clocks(case, at=at, claims=claims) if row.unreachable}
    for claim in sorted(claims, key=lambda claim: claim.number):
        if claim.pk not in reached:
            raise NotSold(
                _("Claim %(claim)s does not count as unreachable yet. Send the reminders and wait for their clock.") % {"claim": claim}
            )
    payable = reaching.payable(amounts)
    if payable is not None:
        raise NotSold(
            _("The customer of claim %(claim)s has shown where %(asset)s goes. Propose it again without that.")
            % {"claim": payable.claim, "asset": payable.asset}
        )


def _refuse_what_rounds_may_still_give(case: Case, asset: Asset, into: Asset, amounts: dict[ClaimLine, int]) -> None:
    """
    Neither the coins nor the money that these claims have beside them may still grow by rounds.

    Proceeds weigh and count as given in full. A money line that got half of 1,000, and then 1,000 from a sale, would stand
    at 1,500 of 2,000 and get nothing more of a round at 60 %: its hundred would go to the others.
    """
    if not _is_final(case, asset):
        for line in amounts:
            if line.position.given + line.converted_out < line.admitted + line.converted_in:
                raise NotSold(
                    _("Claim %(claim)s may still be given more %(asset)s: its coins are sold after the final round in it.")
                    % {"claim": line.claim, "asset": asset.code}
                )
    if not _is_final(case, into):
        theirs = {(line.claim_id, line.claim_class) for line in amounts}
        beside = ClaimLine.objects.filter(case=case, asset=into, claim__in={claim for claim, _class in theirs})
        for line in beside.select_related("claim", "position").order_by("claim__number", "claim_class"):
            due = line.admitted + line.disputed + line.converted_in
            if (line.claim_id, line.claim_class) in theirs and line.position.given + line.converted_out < due:
                raise NotSold(
                    _("Claim %(claim)s may still be given more %(asset)s by a round, which would count what its coins bring: they are sold after the final round in %(asset)s.")
                    % {"claim": line.claim, "asset": into.code}
                )


def _is_final(case: Case, asset: Asset) -> bool:
    last = Run.objects.filter(case=case, state=RunState.DECLARED, pools__asset=asset).order_by("-number").first()
    return last is not None and last.kind == "final"


def precondition(request: ApprovalRequest) -> None:
    sale = ForcedSale.objects.select_related("case", "asset", "into", "order").get(pk=request.object_id)
    tie_out.require(sale.case, [sale.asset, sale.into])
    amounts = {share.claim_line: share.quantity for share in sale.shares.select_related("claim_line__claim", "claim_line__position")}
    _refuse_unless_grounded(sale.case, sale.ground, amounts, sale.order, at=request.requested_at)
    _refuse_what_rounds_may_still_give(sale.case, sale.asset, sale.into, amounts)


def signed(request: ApprovalRequest, by: User, at: datetime) -> None:
    """With the last signature: the coins are set apart for the sale."""
    sale = ForcedSale.objects.select_related("case").get(pk=request.object_id)
    apart.step(sale, TailState.PROPOSED, TailState.APPROVED)
    apart.set_apart(sale.case, _rows(sale), key=_key(sale), reason=f"sale {sale}", subject=sale, by=by, at=at)
    log.append(sale.case, "sale.approved", subject=sale, by=by, at=at, body=_body(sale))


def given_up(request: ApprovalRequest, by: User, at: datetime) -> None:
    sale = ForcedSale.objects.select_related("case").get(pk=request.object_id)
    apart.step(sale, TailState.APPROVED, TailState.GIVEN_UP)
    apart.let_go(sale.case, _rows(sale), key=_key(sale), subject=sale, by=by, at=at)
    log.append(sale.case, "sale.given_up", subject=sale, by=by, at=at, body=_body(sale))


# --- carrying it out ------------------------------------------------------------------------------


def shares_of(sale: ForcedSale, net: int) -> dict[int, int]:
    """What each share brings of the net proceeds: by quantity, to the last unit, ties by the hash of sale and claim."""
    named = {f"{share.claim_line.claim.number}|{share.claim_line.claim_class}": share for share in
             sale.shares.select_related("claim_line__claim")}  # fmt: skip
    shares = largest_remainder(
        {name: (share.quantity, 0) for name, share in named.items()}, pool=net,
        tie=lambda name: hashlib.sha256(f"{sale.case.reference}|{sale}|{name}".encode()).digest(),
    )  # fmt: skip
    return {named[name].pk: units for name, units in shares.items()}


@transaction.atomic
def sold(
    sale: ForcedSale, *, gross: int, fees: int, venue: str, sold_at: datetime, paper: bytes, by: User, at: datetime
) -> None:
    """The coins were sold: what they brought, less the venue's fees, goes to their claims in money."""
    case = sale.case
    appointments.require(case, by, "returns.evidence", at=at)
    sale = ForcedSale.objects.select_for_update(of=("self",)).select_related("case", "asset", "into").get(pk=sale.pk)
    if sale.state != TailState.APPROVED:
        raise NotSold(_("Only an approved sale is carried out. %(sale)s is %(state)s.") % {
            "sale": sale, "state": sale.get_state_display().lower()})  # fmt: skip
    if not paper or not venue.strip() or sold_at > at or not 0 <= books.whole(fees) < books.whole(gross):
        raise NotSold(_("A sale says where and when it was made, what it brought, the fees within that, and the venue's paper."))
    net = gross - fees
    shares = list(sale.shares.select_related("claim_line__claim").order_by("claim_line_id"))
    brings = shares_of(sale, net)
    into = _lines_in(sale, [share.claim_line for share in shares], by=by, at=at)
    positions.lock({*into, *into.values()})  # of coins and money, before any of their lines: as whoever declares a run
    for share in shares:
        SaleShare.objects.filter(pk=share.pk, proceeds__isnull=True).update(
            proceeds=brings[share.pk], into_line_id=into[share.claim_line_id]
        )
    rows = _rows(sale)
    positions.move(case, "unschedule", key=f"{_key(sale)}:out", rows=sorted(rows.items()), subject=sale, by=by, at=at)
    positions.move(case, "withdraw", key=f"{_key(sale)}:withdraw", rows=sorted(rows.items()), subject=sale, by=by, at=at)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sale_converts(%s)", [sale.pk])
    books.post(case, "conversion_out", idem_key=f"{_key(sale)}:coins", lines=[(sale.asset, sum(rows.values()))], subject=sale, by=by, at=at)
    books.post(case, "conversion_in", idem_key=f"{_key(sale)}:money", lines=[(sale.into, net)], subject=sale, by=by, at=at)
    if due := _due(shares, brings, into):
        positions.move(case, "declare", key=f"{_key(sale)}:declare", rows=due, subject=sale, by=by, at=at)
    apart.step(
        sale, TailState.APPROVED, TailState.DONE, gross=gross, fees=fees, venue=venue.strip(), sold_at=sold_at,
        evidence_sha256=archive.keep(paper),
    )  # fmt: skip
    log.append(
        case, "sale.carried_out", subject=sale, by=by, at=at, covers=_cover(sale, SHARED),
        body={**_body(sale), "gross": gross, "fees": fees, "venue": sale.venue, "sold_at": sold_at.isoformat()},
    )  # fmt: skip


def _due(shares: list[SaleShare], brings: dict[int, int], into: dict[int, int]) -> list[tuple[int, int]]:
    """What each money line is given of what it brought, now that it is converted: what it had too much is had already."""
    brought: dict[int, int] = {}
    for share in shares:
        line = into[share.claim_line_id]
        brought[line] = brought.get(line, 0) + brings[share.pk]
    lines = ClaimLine.objects.filter(pk__in=brought).select_related("position").order_by("pk")
    covered = {line.pk: line.admitted + line.converted_in - line.converted_out - line.position.given for line in lines}
    return [(pk, due) for pk, room in covered.items() if (due := min(brought[pk], room)) > 0]


def _lines_in(sale: ForcedSale, lines: list[ClaimLine], *, by: User, at: datetime) -> dict[int, int]:
    """The line in money of each claim and class; an empty one is opened where there is none."""
    key = {(line.claim_id, line.claim_class) for line in lines}
    rows = ClaimLine.objects.filter(case=sale.case, asset=sale.into, claim__in={claim for claim, _class in key})
    found = {(row.claim_id, row.claim_class): row.pk for row in rows}
    missing = sorted(key - set(found))
    if missing:
        rule = Decision.objects.create(case=sale.case, rule=RULE, reason_code=RULE, by=by, at=at)
        ClaimLine.objects.bulk_create(
            ClaimLine(case=sale.case, claim_id=claim, asset=sale.into, claim_class=name, recorded=0, decision=rule)
            for claim, name in missing
        )
        found = {(row.claim_id, row.claim_class): row.pk for row in rows.all()}
    return {line.pk: found[line.claim_id, line.claim_class] for line in lines}


# --- small ----------------------------------------------------------------------------------------


def price(sale: ForcedSale) -> tuple[int, int]:
    """The price as two whole numbers: units of money for units of coin, before fees."""
    return int(sale.gross or 0), sum(sale.shares.values_list("quantity", flat=True))


def find(text: str) -> int | None:
    """The sale a person means by "2027-031-S2"."""
    reference, dash, number = text.rpartition("-S")
    if not dash or not number.isdecimal():
        return None
    return ForcedSale.objects.filter(case__reference=reference, number=int(number)).values_list("pk", flat=True).first()


def _key(sale: ForcedSale) -> str:
    return f"sale:{sale.pk}"


def _rows(sale: ForcedSale) -> dict[int, int]:
    return dict(sale.shares.values_list("claim_line_id", "quantity"))


def _cover(sale: ForcedSale, name: str = COVER) -> covers.Cover:
    return covers.cover(name, case=sale.case.reference, sale=sale.number)


def _body(sale: ForcedSale) -> dict[str, object]:
    return {
        "sale": str(sale), "asset": sale.asset.code, "into": sale.into.code, "ground": sale.ground,
        "order": sale.order.number if sale.order else "",
    }  # fmt: skip
