"""
The end: a round is closed when nothing of it waits; and what is left of the estate when everything was returned goes where
a court says.

    NotClosed     something of the round still waits
    NotDisposed   the residue cannot be given away like that
"""

from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, F, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from administration.amounts import show
from administration.books import books
from administration.books.models import Balance
from administration.cases import appointments, approvals, archive, orders
from administration.cases.models import ApprovalRequest, Case, CourtOrder
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.returns import after_cutoff, apart
from administration.returns.models import (
    EXPLAINED,
    Batch,
    BatchState,
    EvidenceLine,
    Residue,
    ResidueLine,
    ReturnState,
    Round,
    RoundClosing,
    TailState,
)
from claims.register import tie_out

ACT = "returns.residue"
PERMITS = "returns.dispose_residue"
OVER = (ReturnState.SETTLED, ReturnState.CANCELLED, ReturnState.RETURNED)


class NotClosed(Refused):
    """The round stays open."""


class NotDisposed(Refused):
    """The residue stays."""


# --- a round --------------------------------------------------------------------------------------


def figures(current: Round) -> dict[str, dict[str, list[str]]]:
    """What became of the round's returns: state → asset → [how many, units as text]."""
    found: dict[str, dict[str, list[str]]] = {}
    rows = current.returns.values("state", "asset__code").annotate(many=Count("pk"), units=Sum("amount")).order_by("state", "asset__code")
    for row in rows:
        found.setdefault(row["state"], {})[row["asset__code"]] = [str(row["many"]), str(int(row["units"]))]
    return found


def what_waits(current: Round) -> list[str]:
    """Why the round cannot be closed yet, each as a sentence; empty: it can."""
    found = []
    if current.scheduled_at is None:
        found.append(_("It is still being scheduled."))
    waiting = current.returns.exclude(state__in=OVER).count()
    if waiting:
        found.append(
            ngettext(
                "%(count)s of its returns is neither settled nor cancelled. Send it, deposit it, or cancel it: what is cancelled is carried into the next round.",
                "%(count)s of its returns are neither settled nor cancelled. Send them, deposit them, or cancel them: what is cancelled is carried into the next round.",
                waiting,
            )
            % {"count": f"{waiting:,}"}
        )
    batches = Batch.objects.filter(round=current).exclude(state__in=[BatchState.CLOSED, BatchState.VOIDED]).count()
    if batches:
        found.append(
            ngettext("%(count)s of its batches is still open.", "%(count)s of its batches are still open.", batches) % {"count": batches}
        )
    lines = (
        EvidenceLine.objects.filter(case=current.case, reference__in=current.returns.values("reference"))
        .exclude(problem__in=["", "overpaid", EXPLAINED]).count()
    )  # fmt: skip
    if lines:
        found.append(
            ngettext(
                "%(count)s line of evidence about it waits for a person.", "%(count)s lines of evidence about it wait for a person.", lines
            )
            % {"count": lines}
        )
    return found


@transaction.atomic
def close(current: Round, *, by: User, at: datetime) -> RoundClosing:
    """The round is over. What came back later, or was cancelled, is taken up by the next one."""
    case = current.case
    appointments.require(case, by, "returns.schedule", at=at)
    Case.objects.select_for_update(no_key=True, of=("self",)).get(pk=case.pk)
    if RoundClosing.objects.filter(round=current).exists():
        raise NotClosed(_("Round %(number)s was closed before. Nothing was changed.") % {"number": current.number})
    waits = what_waits(current)
    if waits:
        raise NotClosed(_("Round %(number)s stays open.") % {"number": current.number} + " " + " ".join(waits))
    tie_out.require(case)
    said = figures(current)
    made = RoundClosing.objects.create(round=current, figures=said, by=by, at=at)
    log.append(case, "round.closed", subject=current, by=by, at=at, body={"number": current.number, "figures": said})
    return made


# --- the residue ----------------------------------------------------------------------------------

OPEN_LINES = """
SELECT c.number, a.code FROM register_position p
JOIN register_claimline l ON l.id = p.claim_line_id JOIN register_claim c ON c.id = l.claim_id JOIN books_asset a ON a.id = l.asset_id
WHERE p.case_id = %s AND (p.given <> p.settled + p.deposited OR l.disputed > 0) ORDER BY c.number, a.code LIMIT 1
"""


# A line that a later round could still give more of an asset: until a final run in it, what is free is the lines'.
STILL_OWED = """
SELECT c.number, a.code FROM register_position p
JOIN register_claimline l ON l.id = p.claim_line_id JOIN register_claim c ON c.id = l.claim_id JOIN books_asset a ON a.id = l.asset_id
WHERE p.case_id = %s AND a.id = ANY (%s::bigint[]) AND p.given + l.converted_out < l.admitted + l.converted_in
  AND (SELECT u.kind FROM distribution_run u WHERE u.case_id = p.case_id AND u.state = 'declared'
       AND EXISTS (SELECT FROM distribution_poolline o WHERE o.run_id = u.id AND o.asset_id = a.id)
       ORDER BY u.number DESC LIMIT 1) IS DISTINCT FROM 'final'
ORDER BY c.number, a.code LIMIT 1
"""


def left_over(case: Case) -> dict[Any, int]:
    """What is free of each asset, less what came in after the cut-off and can be given to nobody yet: it is somebody's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT asset_id, units FROM register_apart_after_cutoff(%s)", [case.pk])
        kept = {asset: int(units) for asset, units in cursor.fetchall()}
    rows = Balance.objects.filter(account__case=case, account__kind="free").select_related("account__asset")
    left = {row.account.asset: row.credits - row.debits for row in rows.order_by("account__asset__code")}
    return {asset: units - kept.get(asset.pk, 0) for asset, units in left.items() if units > kept.get(asset.pk, 0)}


def what_stands_in_the_way(case: Case) -> list[str]:
    """Why what is left is no residue yet, each as a sentence."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(OPEN_LINES, [case.pk])
        row = cursor.fetchone()
    if row:
        found.append(
            _("Claim %(claim)s is not done with in %(asset)s: what it was given is not returned or deposited yet, or it is disputed.")
            % {"claim": row[0], "asset": row[1]}
        )
    with connection.cursor() as cursor:
        cursor.execute(STILL_OWED, [case.pk, [asset.pk for asset in left_over(case)]])
        row = cursor.fetchone()
    if row:
        found.append(
            _("Claim %(claim)s is admitted for more %(asset)s than it was given: what is free is shared by a final run in it first.")
            % {"claim": row[0], "asset": row[1]}
        )
    late = [one.asset.code for one in after_cutoff.waiting(case)]
    if late:
        found.append(_("What came in after the cut-off is not returned yet: %(assets)s.") % {"assets": ", ".join(late)})
    opened = case.rounds.filter(closing__isnull=True).order_by("number").values_list("number", flat=True)
    if opened:
        found.append(_("These rounds are not closed: %(rounds)s.") % {"rounds": ", ".join(str(number) for number in opened)})
    if case.overpayments.filter(recovered__lt=F("amount")).exists():
        found.append(_("Over-payments are still open: recover them or write them off."))
    other = (
        Balance.objects.filter(account__case=case, account__kind__in=["suspense", "reserved"], credits__gt=F("debits"))
        .select_related("account__asset").order_by("account__asset__code").first()
    )  # fmt: skip
    if other is not None:
        found.append(
            _("There is still %(asset)s in suspense or reserved: find out whose it is, or release it.") % {"asset": other.account.asset.code}
        )
    return found


@transaction.atomic
def propose(case: Case, *, to_whom: str, facts: str, order: CourtOrder, by: User, at: datetime) -> ApprovalRequest:
    """Name what is left, and to whom the order gives it; two people sign."""
    appointments.require(case, by, "returns.batch", at=at)
    Case.objects.select_for_update(no_key=True, of=("self",)).get(pk=case.pk)
    if PERMITS not in order.permits or not to_whom.strip() or not facts.strip():
        raise NotDisposed(_("What is left goes where an order says that permits “%(permits)s”: name to whom, and why.") % {"permits": PERMITS})
    orders.require(order, at)
    _refuse_early(case)
    if case.residues.filter(state__in=[TailState.PROPOSED, TailState.APPROVED]).exists():
        raise NotDisposed(_("A residue is proposed already. Have it decided first."))
    amounts = left_over(case)
    if not amounts:
        raise NotDisposed(_("Nothing is left: every unit was returned, deposited or spent."))
    made = Residue.objects.create(
        case=case, number=apart.following(Residue, case), to_whom=to_whom.strip(), facts=facts.strip(), order=order, by=by, at=at
    )
    ResidueLine.objects.bulk_create(ResidueLine(residue=made, asset=asset, amount=units) for asset, units in amounts.items())
    asked = approvals.request(made, case=case, act=ACT, content_sha256=apart.content(ACT)(made.pk), order=order, by=by, at=at)
    log.append(case, "residue.proposed", subject=made, by=by, at=at, body=_body(made))
    return asked


def _refuse_early(case: Case) -> None:
    waits = what_stands_in_the_way(case)
    if waits:
        raise NotDisposed(_("It is too early for the residue.") + " " + " ".join(waits))


def precondition(request: ApprovalRequest) -> None:
    residue = Residue.objects.select_related("case").get(pk=request.object_id)
    _refuse_early(residue.case)
    _refuse_unless_as_signed(residue)
    tie_out.require(residue.case)


def signed(request: ApprovalRequest, by: User, at: datetime) -> None:
    residue = Residue.objects.select_related("case").get(pk=request.object_id)
    apart.step(residue, TailState.PROPOSED, TailState.APPROVED)
    log.append(residue.case, "residue.approved", subject=residue, by=by, at=at, body=_body(residue))


def given_up(request: ApprovalRequest, by: User, at: datetime) -> None:
    residue = Residue.objects.select_related("case").get(pk=request.object_id)
    apart.step(residue, TailState.APPROVED, TailState.GIVEN_UP)
    log.append(residue.case, "residue.given_up", subject=residue, by=by, at=at, body=_body(residue))


def _refuse_unless_as_signed(residue: Residue) -> None:
    there = {asset.code: units for asset, units in left_over(residue.case).items()}
    signed_for = {row.asset.code: row.amount for row in residue.lines.select_related("asset")}
    if there != signed_for:
        raise NotDisposed(_("What is left is not any more what was signed. Give this residue up and propose it again."))


@transaction.atomic
def dispose(residue: Residue, *, paper: bytes, by: User, at: datetime) -> None:
    """It was handed over, as the receipt shows: it leaves the books, which are empty of it from now on."""
    case = residue.case
    appointments.require(case, by, "returns.export", at=at)
    residue = Residue.objects.select_for_update(of=("self",)).select_related("case", "order").get(pk=residue.pk)
    if residue.state != TailState.APPROVED or not paper:
        raise NotDisposed(_("An approved residue is handed over with the receipt for it. This one is %(state)s.") % {
            "state": residue.get_state_display().lower()})  # fmt: skip
    orders.require(residue.order, at)
    _refuse_early(case)
    _refuse_unless_as_signed(residue)
    lines = [(row.asset, row.amount) for row in residue.lines.select_related("asset").order_by("asset__code")]
    books.post(case, "residue", idem_key=f"residue:{residue.pk}", lines=lines, subject=residue, by=by, at=at)
    books.post(case, "dispose", idem_key=f"dispose:{residue.pk}", lines=lines, subject=residue, by=by, at=at)
    sha256 = archive.keep(paper)
    apart.step(residue, TailState.APPROVED, TailState.DONE, evidence_sha256=sha256)
    log.append(case, "residue.disposed", subject=residue, by=by, at=at, body={**_body(residue), "receipt_sha256": sha256.hex()})


def _body(residue: Residue) -> dict[str, object]:
    rows = residue.lines.select_related("asset").order_by("asset__code")
    return {
        "residue": str(residue), "to_whom": residue.to_whom, "order": residue.order.number,
        "amounts": {row.asset.code: show(row.amount, row.asset.scale) for row in rows},
    }  # fmt: skip
