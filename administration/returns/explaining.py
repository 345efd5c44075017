"""
Explaining: what a line of evidence was that no other act ends. Two people say so, on a paper.

Until then the whole claim line that such a line speaks of is kept back, as it says that something was paid. An
explanation is the one way to let it go on, so it is also the one way to pay a second time by a false word: each kind
says what it does to the books and what goes out again. What left the estate never vanishes: it is a receivable, and
where the claimant received it, it counts against the claim at once.

    NotExplained   the line cannot be that, or something else ends it
"""

from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.books.models import Asset, Entry
from administration.cases import appointments, approvals, archive
from administration.cases.models import ApprovalRequest, Case, RequestState
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.returns import apart, corrections, overpayments
from administration.returns.models import (
    EXPLAINED,
    AssetReturn,
    Attempt,
    AttemptState,
    BatchState,
    EvidenceLine,
    Explanation,
    ExplanationKind,
    Overpayment,
    Recovery,
    ReturnState,
    TailState,
)
from claims.register import positions

ACT = "returns.explain"
OVERPAID = overpayments.OVERPAID
ENDED = ("", OVERPAID, EXPLAINED)
WAITING = (ReturnState.SCHEDULED, ReturnState.HELD)
UNSENT = (BatchState.DRAFT, BatchState.FROZEN, BatchState.APPROVED)
NO_BOOKING = ("opening", "opening_suspense", "settle", "bounce", "identify_entitled", "overpay")

# What two people say by their signature, and what follows if it is not so.
MEANS: dict[str, str | Promise] = {
    ExplanationKind.NOTHING_MOVED: gettext_lazy(
        "You say with your signature that nothing left the estate or reached it by this line. The books do not move, and what "
        "the line kept back goes out again: if it was paid after all, it is then paid twice."
    ),
    ExplanationKind.NOT_OURS: gettext_lazy(
        "You say with your signature that this is a payment of somebody else's, and that nothing of the estate moved by it. The "
        "books do not move, and what the line kept back goes out again: if it was paid after all, it is then paid twice."
    ),
    ExplanationKind.PAID: gettext_lazy(
        "You say with your signature that the claimant received this, beside what the house counts. It leaves the books as a "
        "receivable, and at once so much of the claim counts as returned; what the claim does not have is still to come back."
    ),
    ExplanationKind.TAKEN: gettext_lazy(
        "You say with your signature that this left the estate and that no claimant of this case received it. It is a receivable "
        "against whoever took it. What the line kept back goes out again: if the claimant received it after all, they are paid twice."
    ),
    ExplanationKind.BOOKED: gettext_lazy(
        "You say with your signature that the books have this already, by the booking named here. The books do not move, and "
        "nothing is looked for any more."
    ),
}


class NotExplained(Refused):
    """Nothing was explained."""


# --- what a line can have been ----------------------------------------------------------------------


def return_of(line: EvidenceLine) -> AssetReturn | None:
    """The return of the case that the line names."""
    if not line.reference:
        return None
    rows = AssetReturn.objects.filter(case_id=line.case_id, reference=line.reference)
    return rows.select_related("asset", "claim_line__claim", "batch").first()


def kinds(line: EvidenceLine) -> list[ExplanationKind]:
    """What two people may say that it was; nothing: it waits for no such word."""
    if line.problem in ENDED:
        return []
    found = [ExplanationKind.NOTHING_MOVED, ExplanationKind.NOT_OURS]
    row, known = return_of(line), Asset.objects.filter(case_id=line.case_id, code=line.asset_code).exists() and line.amount > 0
    if known and line.kind == "settled":
        if row is not None and attempt_to_correct(line, row) is None:
            found.append(ExplanationKind.PAID)
        found.append(ExplanationKind.TAKEN)
    if known and (line.kind == "returned" or (line.kind == "settled" and row is None)):
        found.append(ExplanationKind.BOOKED)
    return found


def attempt_to_correct(line: EvidenceLine, row: AssetReturn) -> Attempt | None:
    """The attempt that the line settles once two people correct it: then nothing is beside what we count."""
    if row.state not in WAITING:
        return None
    dead = row.attempts.filter(state__in=[AttemptState.REFUSED, AttemptState.DEAD]).select_related("asset_return__asset", "batch")
    return next((attempt for attempt in dead.order_by("pk") if corrections.line_of(attempt) == line), None)


def bookings(line: EvidenceLine) -> QuerySet[Entry]:
    """The entries that may have booked the line: exactly so much of the asset came in, or left, and explains no other line."""
    taken = Explanation.objects.exclude(state=TailState.GIVEN_UP).exclude(entry=None).values("entry")
    side = "C" if line.kind == "settled" else "D"
    return (
        Entry.objects.filter(
            case_id=line.case_id, postings__amount=line.amount, postings__asset__code=line.asset_code, postings__side=side,
            postings__account__kind="custody",
        )
        .exclude(kind__in=NO_BOOKING).exclude(pk__in=taken).order_by("-pk").distinct()
    )  # fmt: skip


def refuse_unless_possible(line: EvidenceLine, kind: str, entry: Entry | None) -> AssetReturn | None:
    """The return that the line names, if the line can have been that now."""
    row = return_of(line)
    if line.problem in ENDED:
        raise NotExplained(_("This line waits for no explanation any more. Reload it and look again."))
    if kind == ExplanationKind.PAID and row is not None and attempt_to_correct(line, row) is not None:
        raise NotExplained(
            _("%(return)s still waits, and its attempt can take this payment: have two people correct the attempt instead.")
            % {"return": row}
        )
    if kind not in kinds(line):
        raise NotExplained(_("This line cannot have been that: look at what it says, and at what it names."))
    if (kind == ExplanationKind.BOOKED) != (entry is not None) or (entry is not None and not bookings(line).filter(pk=entry.pk).exists()):
        raise NotExplained(_("Name the booking by which exactly this amount is in the books, and which explains no other line."))
    if kind == ExplanationKind.PAID and row is not None:
        _refuse_while_about_to_leave(row)
    return row


def _refuse_while_about_to_leave(row: AssetReturn) -> None:
    """What a batch holds that has not left yet would go out beside it; a batch is voided by a person."""
    about = AssetReturn.objects.filter(claim_line=row.claim_line_id, state=ReturnState.BATCHED, batch__state__in=UNSENT)
    other = about.select_related("batch").order_by("pk").first()
    if other is not None:
        raise NotExplained(
            _("Batch %(batch)s, which has not left, holds %(return)s of the same claim: it would be paid beside this. Void the "
              "batch first, then look again.")
            % {"batch": other.batch, "return": other}
        )  # fmt: skip


# --- asking -------------------------------------------------------------------------------------------


@transaction.atomic
def propose(
    line: EvidenceLine, kind: str, *, reason: str, paper: bytes, entry: Entry | None = None, by: User, at: datetime
) -> ApprovalRequest:
    """Ask two people to say what the line was. The paper is what shows it."""
    case = line.evidence.case
    appointments.require(case, by, "returns.evidence", at=at)
    line = _locked(line)
    refuse_unless_possible(line, kind, entry)
    if not reason.strip() or not paper:
        raise NotExplained(_("An explanation needs its reason and the paper that shows it."))
    for older in line.explanations.filter(state=TailState.PROPOSED):
        if case.approvals.filter(act=ACT, object_id=older.pk, state=RequestState.OPEN).exists():
            raise NotExplained(_("An explanation of this line waits for signatures already. Have it signed or rejected first."))
        apart.step(older, TailState.PROPOSED, TailState.GIVEN_UP)  # what was to be signed had changed
    made = Explanation.objects.create(
        case=case, line=line, problem=line.problem, kind=kind, reason=reason.strip(), paper_sha256=archive.keep(paper),
        entry=entry, by=by, at=at,
    )  # fmt: skip
    asked = approvals.request(made, case=case, act=ACT, content_sha256=apart.content(ACT)(made.pk), by=by, at=at)
    _tell("evidence.explanation_proposed", made, by=by, at=at)
    return asked


# --- signed -------------------------------------------------------------------------------------------


@dataclass
class Ended:
    """What ended with the line: the receivable, what of the claim waits no more, and what was set off."""

    over: Overpayment | None = None
    cancelled: list[AssetReturn] = field(default_factory=list)
    netted: Recovery | None = None


def signed(request: ApprovalRequest, by: User, at: datetime) -> None:
    """With the last signature: the line has ended, and what left the estate by it is a receivable in the same breath."""
    made = Explanation.objects.select_related("case", "line", "entry").get(pk=request.object_id)
    row = return_of(made.line)
    if row is not None:
        positions.lock([row.claim_line_id])
    line = _locked(made.line)
    if line.problem != made.problem:
        raise NotExplained(_("This line waits for no explanation any more. Reload it and look again."))
    # The booking is this explanation's own by now.
    row = refuse_unless_possible(line, made.kind, None) if made.entry is None else None
    apart.step(made, TailState.PROPOSED, TailState.APPROVED)
    ended = Ended()
    if made.kind in (ExplanationKind.PAID, ExplanationKind.TAKEN):
        asset = Asset.objects.get(case=made.case, code=line.asset_code)
        owed = row if made.kind == ExplanationKind.PAID else None
        ended.over = overpayments.found(made.case, line, asset, owed, None, by=by, at=at)
        if owed is not None:
            _count(made, ended, owed, by=by, at=at)
    now = OVERPAID if made.kind == ExplanationKind.PAID else EXPLAINED
    EvidenceLine.objects.filter(pk=line.pk, problem=made.problem).update(problem=now)
    apart.step(made, TailState.APPROVED, TailState.DONE)
    _say(made, ended, by=by, at=at)


def _count(made: Explanation, ended: Ended, row: AssetReturn, *, by: User, at: datetime) -> None:
    """
    The claimant has it: so much of the claim line is returned, and no return that waits may pay it again.

    The return that the line names goes in any case; of the others of its claim line what the rest does not cover.
    """
    over, claim_line = ended.over, row.claim_line
    assert over is not None
    list(AssetReturn.objects.filter(claim_line=claim_line, state__in=WAITING).select_for_update(of=("self",)).order_by("pk"))
    ended.cancelled, units = against_the_claim(made.line, row)
    if ended.cancelled:
        AssetReturn.objects.filter(pk__in=[one.pk for one in ended.cancelled]).update(state=ReturnState.CANCELLED)
        positions.move(
            made.case, "unschedule", key=f"explain:{made.pk}:freed",
            rows=[(claim_line.pk, sum(one.amount for one in ended.cancelled))], subject=made, by=by, at=at,
        )  # fmt: skip
    if units:
        ended.netted = overpayments.set_off(over, claim_line, units, by=by, at=at)


def against_the_claim(line: EvidenceLine, row: AssetReturn) -> tuple[list[AssetReturn], int]:
    """What of the claim line would be cancelled if the claimant received this, and how much of the claim it then takes."""
    claim_line, same = row.claim_line, row.asset.code == line.asset_code
    p, cancelled = claim_line.position, []
    p.refresh_from_db()
    free = p.given - claim_line.excess - p.scheduled - p.in_flight - p.settled - p.deposited
    waiting = AssetReturn.objects.filter(claim_line=claim_line, state__in=WAITING).select_related("asset")
    for one in sorted(waiting, key=lambda one: (one.pk != row.pk, one.pk)):
        if one.pk == row.pk or (same and free < line.amount):
            cancelled.append(one)
            free += one.amount
    return cancelled, max(0, min(line.amount, free)) if same else 0


def _locked(line: EvidenceLine) -> EvidenceLine:
    return EvidenceLine.objects.select_for_update(no_key=True, of=("self",)).get(pk=line.pk)


def _say(made: Explanation, ended: Ended, *, by: User, at: datetime) -> None:
    """The events, after everything that moves."""
    for one in ended.cancelled:
        log.append(
            made.case, "return.cancelled", subject=one, by=by, at=at,
            body={"reference": one.reference, "amount": one.amount, "reason": made.reason},
        )  # fmt: skip
    if ended.over is not None:
        overpayments.tell_found(ended.over, by=by, at=at)
        if ended.netted is not None:
            overpayments.tell("overpayment.netted", ended.over, ended.netted, by=by, at=at)
    _tell("evidence.explained", made, by=by, at=at)


def _tell(kind: str, made: Explanation, *, by: User, at: datetime) -> None:
    """All of what is signed, so that a stranger can hash it again, and what the line says."""
    line = made.line
    log.append(
        made.case, kind, subject=made, by=by, at=at,
        body={
            "fingerprint": bytes(line.fingerprint).hex(), "reference": line.reference, "part": line.part, "says": line.kind,
            "asset": line.asset_code, "amount": line.amount, "problem": made.problem, "kind": made.kind, "reason": made.reason,
            "paper_sha256": bytes(made.paper_sha256).hex(), "entry": made.entry.idem_key if made.entry else "",
        },
    )  # fmt: skip


def waits(line: EvidenceLine) -> bool:
    """Does an explanation of it wait for signatures?"""
    asked = line.explanations.filter(state=TailState.PROPOSED).values("pk")
    return ApprovalRequest.objects.filter(case_id=line.case_id, act=ACT, object_id__in=asked, state=RequestState.OPEN).exists()


def of_line(line: EvidenceLine) -> Explanation | None:
    """What two people said it was."""
    return line.explanations.filter(state=TailState.DONE).select_related("by").first()


def of_case(case: Case) -> QuerySet[Explanation]:
    return case.explanations.select_related("line__evidence", "by")
