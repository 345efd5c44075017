"""
Over-payments: more left the estate than was owed. Each is a receivable until it is paid back, netted or written off.

What came back is taken in with its paper. What the same person is still owed in the same asset is netted with it, at the
latest when the next round is scheduled. Writing the rest off takes two signatures, and is borne by what is free.

    NotRecovered   nothing was recovered
"""

from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _
from django.utils.translation import override

from administration.amounts import show
from administration.books import books
from administration.books.models import Asset
from administration.cases import appointments, approvals, archive
from administration.cases.models import ApprovalRequest, Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.returns import apart
from administration.returns.models import (
    AssetReturn,
    Attempt,
    AttemptState,
    EvidenceLine,
    Overpayment,
    Recovery,
    RecoveryKind,
    TailState,
)
from claims.notices import notices
from claims.notices.models import Notice
from claims.register import positions
from claims.register.models import ClaimClass, ClaimLine

WRITE_OFF = "returns.write_off"
REFUND_NOTICE = "refund_request"
PAID_TWICE = "settled_twice"
OVERPAID = "overpaid"


class NotRecovered(Refused):
    """Nothing was recovered."""


@transaction.atomic
def recognise(line: EvidenceLine, *, by: User, at: datetime) -> Overpayment:
    """The rail paid again what it had paid already, and its line says so: what left twice is a receivable."""
    case = line.evidence.case
    appointments.require(case, by, "returns.evidence", at=at)
    line = EvidenceLine.objects.select_for_update(no_key=True, of=("self",)).get(pk=line.pk)
    attempts = Attempt.objects.filter(asset_return__case=case, asset_return__reference=line.reference, state=AttemptState.SETTLED)
    attempt = attempts.select_related("asset_return__asset").order_by("-pk").first()
    if line.problem != PAID_TWICE or attempt is None or attempt.asset_return.asset.code != line.asset_code:
        raise NotRecovered(_("This line does not say that a settled return was paid a second time. Reload it and look again."))
    made = found(case, line, attempt.asset_return.asset, attempt.asset_return, attempt, by=by, at=at)
    EvidenceLine.objects.filter(pk=line.pk).update(problem=OVERPAID)
    tell_found(made, by=by, at=at)
    return made


def found(
    case: Case, line: EvidenceLine, asset: Asset, owed: AssetReturn | None, attempt: Attempt | None, *, by: User | None, at: datetime
) -> Overpayment:
    """What a line says that left beyond what was owed: a receivable, in the books at once. Telling it is the caller's."""
    made = Overpayment.objects.create(
        case=case, asset_return=owed, attempt=attempt, line=line, asset=asset, amount=line.amount, at=at
    )
    books.post(
        case, "overpay", idem_key=f"overpay:{bytes(line.fingerprint).hex()}", lines=[(asset, line.amount)], subject=made,
        by=by, at=at,
    )  # fmt: skip
    return made


def tell_found(made: Overpayment, *, by: User | None, at: datetime) -> None:
    log.append(
        made.case, "overpayment.found", subject=made, by=by, at=at,
        body={"reference": made.reference, "asset": made.asset.code, "amount": made.amount},
    )  # fmt: skip


# --- asking for it --------------------------------------------------------------------------------


def letter(row: Overpayment) -> tuple[str, str]:
    """Title and text of the request to pay back, in the claimant's language."""
    claim = _owed(row).claim_line.claim
    with override("en" if claim.claimant.identity.language == "en" else "ja"):
        words = {"reference": row.reference, "claim": claim.number}
        return _("A request to pay back: return %(reference)s") % words, _(
            "Return %(reference)s of your claim %(claim)s reached you more than once. Please get in touch with the "
            "administrator's office, by the telephone number or address of our first letter, to pay back what was too much. "
            "What is still due to you may be set off against it. This letter has no link to follow and no account number."
        ) % words


@transaction.atomic
def ask_refund(row: Overpayment, *, channel: str, by: User, at: datetime) -> Notice:
    """Write to whoever was paid too much."""
    if not row.open:
        raise NotRecovered(_("Nothing of this over-payment is open any more."))
    title, text = letter(row)
    return notices.issue(
        row.case, REFUND_NOTICE, title, text, channel, claim=_owed(row).claim_line.claim, by=by, at=at
    )


def asked(row: Overpayment) -> int:
    """How often a refund was asked for."""
    if row.asset_return is None:
        return 0
    return Notice.objects.filter(claim=row.asset_return.claim_line.claim, kind=REFUND_NOTICE, sent_at__gte=row.at).count()


def _owed(row: Overpayment) -> AssetReturn:
    """The return that was paid too much; or a refusal where no claimant of ours was."""
    if row.asset_return is None:
        raise NotRecovered(_("No claimant of this case received it. Write to whoever took it, and take in what comes back."))
    return row.asset_return


# --- the three ends -------------------------------------------------------------------------------


@transaction.atomic
def refunded(row: Overpayment, amount: int, *, paper: bytes, reason: str = "", by: User, at: datetime) -> Recovery:
    """So much of it came back; the bank's or custodian's paper says so."""
    appointments.require(row.case, by, "returns.evidence", at=at)
    if not paper:
        raise NotRecovered(_("What came back is taken in with the paper that shows it."))
    row = _open(row, amount)
    made = Recovery.objects.create(
        overpayment=row, kind=RecoveryKind.REFUND, amount=amount, reason=reason, evidence_sha256=archive.keep(paper),
        state=TailState.DONE, by=by, at=at,
    )  # fmt: skip
    books.post(row.case, "recover", idem_key=f"recover:{made.pk}", lines=[(row.asset, amount)], subject=made, by=by, at=at)
    tell("overpayment.refunded", row, made, by=by, at=at)
    return made


@transaction.atomic
def net(row: Overpayment, line: ClaimLine, amount: int, *, by: User, at: datetime) -> Recovery:
    """Set it off against what the same person is owed in the same asset and is in no return yet."""
    appointments.require(row.case, by, "returns.schedule", at=at)
    row = _open(row, amount)
    _owed(row)
    there = unscheduled(line)
    if amount > there:
        raise NotRecovered(
            _("Claim %(claim)s has %(there)s %(asset)s that are in no return; no more can be netted.")
            % {"claim": line.claim, "there": show(there, row.asset.scale), "asset": row.asset.code}
        )
    made = set_off(row, line, amount, by=by, at=at)
    tell("overpayment.netted", row, made, by=by, at=at)
    return made


def set_off(row: Overpayment, line: ClaimLine, amount: int, *, by: User, at: datetime) -> Recovery:
    """The netting itself. Whether there is so much, and telling it, is the caller's."""
    made = Recovery.objects.create(
        overpayment=row, kind=RecoveryKind.NET, amount=amount, claim_line=line, state=TailState.DONE, by=by, at=at
    )
    positions.move(row.case, "net", key=f"net:{made.pk}", rows=[(line.pk, amount)], subject=made, by=by, at=at)
    return made


def net_open(case: Case, *, by: User, at: datetime) -> int:
    """Before a round takes it: what people who were over-paid are owed is netted first. Returns how many nettings."""
    count = 0
    rows = case.overpayments.filter(recovered__lt=F("amount"), asset_return__isnull=False)
    for row in rows.select_related("asset", "asset_return__claim_line__claim").order_by("pk"):
        left = row.open
        claimant = _owed(row).claim_line.claim.claimant_id
        lines = ClaimLine.objects.filter(case=case, claim__claimant=claimant, asset=row.asset).select_related("claim", "asset")
        lines = lines.exclude(claim_class=ClaimClass.AFTER_CUTOFF)  # promised in full: only a person sets anything off against it
        for line in lines.order_by("claim__number", "claim_class"):
            units = min(left, unscheduled(line))
            if units > 0:
                net(row, line, units, by=by, at=at)
                left, count = left - units, count + 1
    return count


@transaction.atomic
def write_off(row: Overpayment, amount: int, *, reason: str, paper: bytes, by: User, at: datetime) -> ApprovalRequest:
    """Ask two people to give so much of it up: what is free of the asset bears it."""
    appointments.require(row.case, by, "returns.batch", at=at)
    if not reason.strip() or not paper:
        raise NotRecovered(_("A write-off needs its reason and the paper that shows why it cannot be recovered."))
    row = _open(row, amount)
    made = Recovery.objects.create(
        overpayment=row, kind=RecoveryKind.WRITE_OFF, amount=amount, reason=reason.strip(),
        evidence_sha256=archive.keep(paper), by=by, at=at,
    )  # fmt: skip
    asked = approvals.request(
        made, case=row.case, act=WRITE_OFF, content_sha256=apart.content(WRITE_OFF)(made.pk), by=by, at=at
    )
    tell("overpayment.write_off_proposed", row, made, by=by, at=at)
    return asked


def written_off(request: ApprovalRequest, by: User, at: datetime) -> None:
    """With the last signature: the receivable is gone, and so is as much of what was free."""
    made = Recovery.objects.select_related("overpayment__case", "overpayment__asset").get(pk=request.object_id)
    row = _open(made.overpayment, made.amount)
    apart.step(made, TailState.PROPOSED, TailState.APPROVED)
    books.post(
        row.case, "write_off", idem_key=f"write_off:{made.pk}", lines=[(row.asset, made.amount)], subject=made, by=by, at=at
    )
    apart.step(made, TailState.APPROVED, TailState.DONE)
    tell("overpayment.written_off", row, made, by=by, at=at)


# --- small ----------------------------------------------------------------------------------------


def _open(row: Overpayment, amount: int) -> Overpayment:
    """The over-payment, locked, with at least so much open."""
    row = Overpayment.objects.select_for_update(no_key=True, of=("self",)).select_related(
        "case", "asset", "line", "asset_return__claim_line__claim__claimant__identity"
    ).get(pk=row.pk)  # fmt: skip
    if books.whole(amount) <= 0 or amount > row.open:
        raise NotRecovered(
            _("%(open)s %(asset)s of it are open; %(amount)s cannot be recovered.")
            % {
                "open": show(row.open, row.asset.scale), "asset": row.asset.code,
                "amount": show(max(0, amount), row.asset.scale),
            }
        )  # fmt: skip
    return row


def unscheduled(line: ClaimLine) -> int:
    """What a line has been given that is in no return, on its way or gone."""
    p = line.position
    p.refresh_from_db()
    return max(0, p.given - line.excess - p.scheduled - p.in_flight - p.settled - p.deposited)


def tell(kind: str, row: Overpayment, made: Recovery, *, by: User | None, at: datetime) -> None:
    log.append(
        row.case, kind, subject=made, by=by, at=at,
        body={
            "reference": row.reference, "asset": row.asset.code, "amount": made.amount,
            "claim": made.claim_line.claim.number if made.claim_line else "", "reason": made.reason,
        },
    )  # fmt: skip
