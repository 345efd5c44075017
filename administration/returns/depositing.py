"""
Deposit with a Legal Affairs Bureau (供託): for who cannot be found, refuses, is not known, or is attached by several.

One application names its ground, the Bureau, its papers, and everything the named claims have in money. Two people sign
it; from then on the amounts are set apart. The application goes out as a file; the Bureau's numbers and receipt carry it
out: then positions say deposited, and the money has left the books. Coins are sold first (sales.py): a Bureau takes money.
What the law asks of each ground is the profile's data, most of it to be confirmed.

    NotDeposited   the application cannot be made, or carried out, like that
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from administration.amounts import show
from administration.cases import appointments, approvals, archive, orders, profiles, stops
from administration.cases.models import ApprovalRequest, Case, CourtOrder
from administration.errors import Refused
from administration.people.models import User
from administration.record import covers, log
from administration.returns import apart, reaching
from administration.returns.models import CourtDeposit, DepositFiling, Ground, TailState
from claims.register import positions, tie_out
from claims.register.models import Claim, ClaimLine, Hold

ACT = "returns.deposit"
COVER, DEPOSITED = "returns.deposit", "returns.deposited"
NUMBER_MAX = 60

# What must be on the claim for a ground that somebody else's act makes.
HOLDS: dict[str, tuple[str, ...]] = {
    Ground.COMPETING_ATTACHMENTS: ("attachment",),
    Ground.UNKNOWN_CREDITOR: ("dispute", "deceased"),
}


class NotDeposited(Refused):
    """Nothing was deposited."""


@dataclass(frozen=True, slots=True)
class Paper:
    """One paper of an application: which of the profile's it is, and its bytes."""

    paper: str
    name: str
    content: bytes


def lines_of(case: Case, claims: Iterable[Claim], ground: str) -> dict[ClaimLine, int]:
    """What these claims have in money that can be deposited now; for who cannot be reached, only what cannot be paid."""
    lines = list(
        ClaimLine.objects.filter(case=case, claim__in=list(claims), asset__kind="fiat")
        .select_related("asset", "claim").order_by("claim__number", "asset__code", "claim_class")
    )  # fmt: skip
    if ground == Ground.UNREACHABLE:
        lines = reaching.lacking(lines)
    there = apart.available(lines)
    return {line: there[line.pk] for line in lines if there.get(line.pk)}


def refuse_unless_grounded(case: Case, ground: str, claims: Iterable[Claim], *, at: datetime, by_order: bool = False) -> None:
    """The ground holds for every claim: the clock of notices has run, or the hold that makes it is there; and no other hold is."""
    wanted = list(claims)
    held = apart.held(wanted, but=[*HOLDS.get(ground, ()), *([apart.ORDER_HOLD] if by_order else [])])
    if held is not None:
        raise NotDeposited(_("A hold lies on claim %(claim)s: nothing of it is deposited before it is lifted.") % {"claim": held})
    if ground == Ground.UNREACHABLE:
        reached = {row.claim_id for row in reaching.clocks(case, at=at, claims=wanted) if row.unreachable}
        for claim in wanted:
            if claim.pk not in reached:
                raise NotDeposited(
                    _("Claim %(claim)s does not count as unreachable yet. Send the reminders and wait for their clock.")
                    % {"claim": claim}
                )
    kinds = HOLDS.get(ground)
    if kinds:
        there = set(Hold.objects.filter(claim__in=wanted, kind__in=kinds, lifted_at__isnull=True).values_list("claim", flat=True))
        for claim in wanted:
            if claim.pk not in there:
                raise NotDeposited(
                    _("Nothing on claim %(claim)s makes this ground: place the hold (%(kinds)s) with its reason first.")
                    % {"claim": claim, "kinds": ", ".join(kinds)}
                )


@transaction.atomic
def propose(
    case: Case, claims: Iterable[Claim], *, ground: str, office: str, facts: str, papers: Iterable[Paper],
    order: CourtOrder | None = None, by: User, at: datetime,
) -> ApprovalRequest:  # fmt: skip
    """Make one application of everything these claims have in money, and ask two people to sign it."""
    appointments.require(case, by, "returns.batch", at=at)
    known = profiles.proceeding_of(case).deposit_grounds.get(ground)
    if known is None or not office.strip() or not facts.strip():
        raise NotDeposited(_("An application names a ground of the profile, the Legal Affairs Bureau, and the facts that make the ground."))
    given = list(papers)
    missing = [name for name in known.papers if name not in {one.paper for one in given if one.content}]
    if missing:
        raise NotDeposited(_("The ground asks for papers that are not here: %(papers)s.") % {"papers": ", ".join(missing)})
    wanted = list(claims)
    refuse_unless_grounded(case, ground, wanted, at=at, by_order=order is not None)
    amounts = lines_of(case, wanted, ground)
    if not amounts or len(amounts) > apart.LINES_MAX:
        raise NotDeposited(
            _("There is nothing in money that can be deposited for these claims.") if not amounts else
            _("One application takes up to %(most)s lines. Make several.") % {"most": f"{apart.LINES_MAX:,}"}
        )  # fmt: skip
    if order is not None:
        orders.require(order, at)
    made = DepositFiling.objects.create(
        case=case, number=apart.following(DepositFiling, case), ground=ground, office=office.strip(), facts=facts.strip(),
        papers=[{"paper": one.paper, "name": one.name, "sha256": archive.keep(one.content).hex()} for one in given],
        order=order, by=by, at=at,
    )  # fmt: skip
    CourtDeposit.objects.bulk_create(
        CourtDeposit(filing=made, case=case, claim_line=line, amount=units, office=made.office) for line, units in amounts.items()
    )
    asked = approvals.request(made, case=case, act=ACT, content_sha256=apart.content(ACT)(made.pk), order=order, by=by, at=at)
    log.append(case, "deposit.proposed", subject=made, by=by, at=at, body=_body(made), covers=_cover(made))
    return asked


def precondition(request: ApprovalRequest) -> None:
    """Before the last signature: the ground still holds, and what is deposited ties."""
    filing = DepositFiling.objects.select_related("case").get(pk=request.object_id)
    _refuse_unless_still_grounded(filing, at=request.requested_at)
    tie_out.require(filing.case, {line.asset for line in _lines(filing)})


def _refuse_unless_still_grounded(filing: DepositFiling, *, at: datetime) -> None:
    claims = list(Claim.objects.filter(lines__court_deposits__filing=filing).distinct())
    refuse_unless_grounded(filing.case, filing.ground, claims, at=at, by_order=filing.order_id is not None)
    payable = reaching.payable(_lines(filing)) if filing.ground == Ground.UNREACHABLE else None
    if payable is not None:
        raise NotDeposited(
            _("The customer of claim %(claim)s has shown where %(asset)s goes. Propose it again without that.")
            % {"claim": payable.claim, "asset": payable.asset}
        )


def signed(request: ApprovalRequest, by: User, at: datetime) -> None:
    """With the last signature: what is to be deposited is set apart; nothing else can take it any more."""
    filing = DepositFiling.objects.select_related("case").get(pk=request.object_id)
    apart.step(filing, TailState.PROPOSED, TailState.APPROVED)
    reason = f"deposit {filing}"
    apart.set_apart(filing.case, _rows(filing), key=_key(filing), reason=reason, subject=filing, by=by, at=at)
    log.append(filing.case, "deposit.approved", subject=filing, by=by, at=at, body=_body(filing))


def given_up(request: ApprovalRequest, by: User, at: datetime) -> None:
    """Two people took it back: the amounts are the claims' again."""
    filing = DepositFiling.objects.select_related("case").get(pk=request.object_id)
    apart.step(filing, TailState.APPROVED, TailState.GIVEN_UP)
    apart.let_go(filing.case, _rows(filing), key=_key(filing), subject=filing, by=by, at=at)
    log.append(filing.case, "deposit.given_up", subject=filing, by=by, at=at, body=_body(filing))


# --- carrying it out ------------------------------------------------------------------------------

HEAD = (
    "整理番号", "供託所", "供託者", "被供託者氏名", "被供託者住所", "供託金額", "通貨", "法令条項", "供託の原因たる事実", "債権番号",
)  # fmt: skip


@transaction.atomic
def hand_out(filing: DepositFiling, *, by: User, at: datetime) -> bytes:
    """The application as a file for the Bureau, one line for each creditor. It holds names: every handing out is in the record."""
    appointments.require(filing.case, by, "returns.export", at=at)
    stops.check(filing.case)
    if filing.state != TailState.APPROVED:
        raise NotDeposited(_("Only an approved application goes out. %(filing)s is %(state)s.") % {
            "filing": filing, "state": filing.get_state_display().lower()})  # fmt: skip
    _refuse_unless_still_grounded(filing, at=at)  # whoever reappears after the signatures is not deposited for
    approvals.require(filing.case, ACT, filing.pk, content_sha256=apart.content(ACT)(filing.pk), at=at)
    content = application(filing)
    log.append(
        filing.case, "deposit.handed_out", subject=filing, by=by, at=at,
        body={"filing": str(filing), "sha256": archive.keep(content).hex(), "lines": filing.deposits.count()},
    )  # fmt: skip
    return content


def application(filing: DepositFiling) -> bytes:
    """The file: CSV as offices here read it (UTF-8 with its mark, CRLF), the same bytes from the same rows."""
    case = filing.case
    ground = profiles.proceeding_of(case).deposit_grounds[filing.ground]
    depositor = f"{case.name} {profiles.proceeding_of(case).title_ja}"
    law = f"{ground.ja}（{ground.law_ja}）" + ("" if ground.confirmed else "（要確認）")
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\r\n")
    out.writerow(HEAD)
    deposits = filing.deposits.select_related("claim_line__claim__claimant__identity", "claim_line__asset")
    for n, one in enumerate(deposits.order_by("claim_line__claim__number", "pk"), start=1):
        line = one.claim_line
        person = line.claim.claimant.identity
        row = [
            f"{filing}-{n:04d}", filing.office, depositor, person.name, f"{person.postcode} {person.address}".strip(),
            show(one.amount, line.asset.scale), line.asset.code, law, filing.facts, line.claim.number,
        ]  # fmt: skip
        out.writerow([_plain(cell) for cell in row])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _plain(cell: str) -> str:
    """No cell begins a formula where the file is opened in a spreadsheet."""
    return f"'{cell}" if cell[:1] in "=+-@\t\r" else cell


@transaction.atomic
def lodge(
    filing: DepositFiling, numbers: Mapping[str, str], *, deposited_on: date, receipt: bytes, by: User, at: datetime
) -> None:
    """The Bureau took it: its number for each claim, the day, and its receipt. The money has left."""
    case = filing.case
    appointments.require(case, by, "returns.export", at=at)
    filing = DepositFiling.objects.select_for_update(of=("self",)).select_related("case").get(pk=filing.pk)
    if filing.state != TailState.APPROVED:
        raise NotDeposited(_("Only an approved application is carried out. %(filing)s is %(state)s.") % {
            "filing": filing, "state": filing.get_state_display().lower()})  # fmt: skip
    if not receipt or deposited_on > timezone.localdate(at):
        raise NotDeposited(_("A deposit is recorded with the Bureau's receipt, and not for a day to come."))
    deposits = list(filing.deposits.select_related("claim_line__claim", "claim_line__asset").order_by("claim_line_id"))
    wanted = {one.claim_line.claim.number for one in deposits}
    given = {claim: number.strip() for claim, number in numbers.items() if number.strip()}
    if set(given) != wanted or any(len(number) > NUMBER_MAX for number in given.values()):
        off = sorted(wanted ^ set(given))
        raise NotDeposited(
            _("Give the Bureau's number for each claim of the application, and no other. It does not fit for: %(claims)s.")
            % {"claims": ", ".join(off[:5]) or "–"}
        )
    sha256 = archive.keep(receipt)
    for one in deposits:
        number = given[one.claim_line.claim.number]
        several = [other for other in deposits if other.claim_line.claim_id == one.claim_line.claim_id]
        if len(several) > 1:  # several lines of one claim under one number
            number = f"{number} #{several.index(one) + 1}"
        if CourtDeposit.objects.filter(office=one.office, number=number).exists():
            raise NotDeposited(_("%(office)s gave number %(number)s to another deposit already.") % {"office": one.office, "number": number})
        CourtDeposit.objects.filter(pk=one.pk, number="").update(number=number, deposited_on=deposited_on, receipt_sha256=sha256)
    rows = _rows(filing)
    positions.move(case, "unschedule", key=f"{_key(filing)}:out", rows=sorted(rows.items()), subject=filing, by=by, at=at)
    positions.move(case, "deposit", key=_key(filing), rows=sorted(rows.items()), subject=filing, by=by, at=at)
    apart.step(filing, TailState.APPROVED, TailState.DONE)
    log.append(
        case, "deposit.lodged", subject=filing, by=by, at=at, covers=_cover(filing, DEPOSITED),
        body={**_body(filing), "deposited_on": deposited_on.isoformat(), "receipt_sha256": sha256.hex()},
    )  # fmt: skip


# --- small ----------------------------------------------------------------------------------------


def find(text: str) -> int | None:
    """The application a person means by "2027-031-D2"."""
    reference, dash, number = text.rpartition("-D")
    if not dash or not number.isdecimal():
        return None
    return DepositFiling.objects.filter(case__reference=reference, number=int(number)).values_list("pk", flat=True).first()


def _key(filing: DepositFiling) -> str:
    return f"deposit:{filing.pk}"


def _rows(filing: DepositFiling) -> dict[int, int]:
    return dict(filing.deposits.values_list("claim_line_id", "amount"))


def _lines(filing: DepositFiling) -> list[ClaimLine]:
    return list(ClaimLine.objects.filter(court_deposits__filing=filing).select_related("asset", "claim"))


def _cover(filing: DepositFiling, name: str = COVER) -> covers.Cover:
    return covers.cover(name, case=filing.case.reference, filing=filing.number)


def _body(filing: DepositFiling) -> dict[str, object]:
    return {"filing": str(filing), "ground": filing.ground, "office": filing.office, "order": filing.order.number if filing.order else ""}
