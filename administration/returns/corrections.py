"""
Corrections: the steps backwards, each signed by two people, each taken once.

What was settled was not (a recalled transfer, a deep reorganisation of a chain); what was refused or dead was paid
after all. The database takes such a step only with its signed correction. And steps forwards: what became of a part, or
of one return in it, whose outcome nobody answers for (doubt.py).

    NotCorrected   the correction cannot be asked for, or taken
"""

from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from administration.cases import appointments, approvals, archive
from administration.cases.models import ApprovalRequest, Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.returns import debited, doubt
from administration.returns.models import (
    AssetReturn,
    Attempt,
    AttemptState,
    Correction,
    EvidenceLine,
    Match,
    ReturnState,
    Submission,
    Transition,
)
from claims.register import positions

ACT = "returns.correct"
PAID_AFTER_ALL = ("paid_after_refusal", "contradicts")  # of a line that says paid: refused or dead it was for us already
MACHINES = {"return": AssetReturn, "attempt": Attempt, "submission": Submission}


class NotCorrected(Refused):
    """A correction that cannot be."""


@transaction.atomic
def propose(
    case: Case, thing: AssetReturn | Attempt | Submission, to_state: str, *, reason: str, evidence: bytes, by: User, at: datetime
) -> ApprovalRequest:
    """Ask two people for one step backwards, with the paper that says why."""
    listed = Transition.objects.filter(machine=_machine(thing), from_state=thing.state, to_state=to_state, people__gte=2)
    if isinstance(thing, Submission) and (thing.state, to_state) == debited.STEP:
        debited.refuse_unless_debited(thing)
    elif isinstance(thing, Submission):
        raise NotCorrected(_("No rail of this version takes a settlement back. It comes back as a return."))
    elif not listed.exists():
        raise NotCorrected(
            _("From %(from)s to %(to)s is no step that two people can sign.") % {"from": thing.state, "to": to_state}
        )
    return _ask(case, thing, to_state, "", reason=reason, evidence=evidence, by=by, at=at)


@transaction.atomic
def find(
    case: Case, thing: Attempt | Submission, finding: str, *, reason: str, evidence: bytes, by: User, at: datetime
) -> ApprovalRequest:
    """Ask two people to sign what became of something in doubt, with the paper that shows it."""
    doubt.refuse_unless_in_doubt(thing, finding, at=at)
    return _ask(case, thing, doubt.step(thing, finding), finding, reason=reason, evidence=evidence, by=by, at=at)


def _ask(
    case: Case, thing: AssetReturn | Attempt | Submission, to_state: str, finding: str, *, reason: str, evidence: bytes,
    by: User, at: datetime,
) -> ApprovalRequest:  # fmt: skip
    appointments.require(case, by, "returns.evidence", at=at)
    machine = _machine(thing)
    if not reason.strip() or not evidence:
        raise NotCorrected(_("A correction needs its reason and the paper that shows it."))
    with connection.cursor() as cursor:  # pressed twice at once: the second waits, and is told
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [f"returns.correct.{machine}", thing.pk])
    if Correction.objects.filter(machine=machine, object_id=thing.pk, applied_at__isnull=True, rejected_at__isnull=True).exists():
        raise NotCorrected(_("A correction of this waits for signatures already. Have it signed or turned down first."))
    made = Correction.objects.create(
        case=case, machine=machine, object_id=thing.pk, from_state=thing.state, to_state=to_state, finding=finding, reason=reason,
        evidence_sha256=archive.keep(evidence), by=by, at=at,
    )  # fmt: skip
    asked = approvals.request(made, case=case, act=ACT, content_sha256=content(made.pk), by=by, at=at)
    log.append(
        case, "correction.proposed", subject=made, by=by, at=at,
        body={"machine": machine, "from": made.from_state, "to": to_state, "finding": finding, "reason": reason},
    )  # fmt: skip
    return asked


def _machine(thing: AssetReturn | Attempt | Submission) -> str:
    return next(name for name, model in MACHINES.items() if isinstance(thing, model))


def rejected(request: ApprovalRequest, by: User, at: datetime) -> None:
    """Turned down: nobody takes the step, and another may be asked for."""
    Correction.objects.filter(pk=request.object_id, applied_at__isnull=True).update(rejected_at=at)


def content(correction_id: int) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT correction_sha256(c) FROM returns_correction c WHERE id = %s", [correction_id])
        (sha256,) = cursor.fetchone()
    return bytes(sha256)


def signed(request: ApprovalRequest, by: User, at: datetime) -> None:
    """With the last signature: take the step, and move what hangs on it."""
    made = Correction.objects.select_related("case").get(pk=request.object_id)
    if made.finding:
        moved = doubt.declare(made, by=by, at=at)
    elif made.machine == "submission":
        moved = debited.correct(made, by=by, at=at)
    elif made.machine == "attempt":
        moved = _attempt(made, by=by, at=at)
    else:
        raise NotCorrected(_("Correct the attempt; its return follows."))
    if moved != 1:
        raise NotCorrected(_("It is not %(from)s any more. Look again.") % {"from": made.from_state})
    log.append(
        made.case, "correction.applied", subject=made, by=by, at=at,
        body={
            "machine": made.machine, "from": made.from_state, "to": made.to_state, "finding": made.finding, "reason": made.reason,
            **_of_what(made), "signed_for": content(made.pk).hex(),
        },
    )  # fmt: skip


def _of_what(made: Correction) -> dict[str, str]:
    """In names that a stranger to our rows knows: of which batch, and of which return where it is not of a whole part."""
    if made.machine == "submission":
        return {"batch": Submission.objects.select_related("batch").get(pk=made.object_id).batch.reference, "return": ""}
    attempt = Attempt.objects.select_related("batch", "asset_return").get(pk=made.object_id)
    return {"batch": attempt.batch.reference, "return": attempt.asset_return.reference}


def _attempt(made: Correction, *, by: User, at: datetime) -> int:
    """
    Refused or dead → settled: it was paid after all, and a line of evidence says so.

    The return, which waits in no batch, held or not, takes the attempt's place again; what is scheduled of it goes out and settles
    in the books at once, as if it had never come back.
    """
    attempt = Attempt.objects.select_related("asset_return", "batch").get(pk=made.object_id)
    positions.lock([attempt.asset_return.claim_line_id])
    row = AssetReturn.objects.select_for_update(of=("self",)).get(pk=attempt.asset_return_id)
    if made.to_state != AttemptState.SETTLED:
        raise NotCorrected(_("No rail of this version takes a settlement back. It comes back as a return."))
    line = line_of(attempt)
    if line is None:
        raise NotCorrected(_("No line of evidence says that %(return)s was paid in this attempt.") % {"return": row})
    if row.state == ReturnState.HELD:  # the very line that explains it closes a gate: nothing else would ever let it go
        AssetReturn.objects.filter(pk=row.pk, state=ReturnState.HELD).update(state=ReturnState.SCHEDULED, held_by_gate="")
        row.refresh_from_db()
    if row.state == ReturnState.CANCELLED:
        raise NotCorrected(
            _("%(return)s was cancelled before the rail said so: its amount went back to the claim. Have two people explain the "
              "line instead: the claimant received it, and it counts against the claim.")
            % {"return": row}
        )  # fmt: skip
    if row.state != ReturnState.SCHEDULED:
        raise NotCorrected(
            _("%(return)s is %(state)s. Void the batch that holds it, then correct.")
            % {"return": row, "state": row.get_state_display().lower()}
        )
    match = Match.objects.filter(line=line, attempt=attempt, applied_at__isnull=True).first()  # found before the rail contradicted it
    match = match or Match.objects.create(line=line, attempt=attempt, amount=row.amount, by=made.by)
    Correction.objects.create(
        case=made.case, machine="return", object_id=row.pk, from_state=row.state, to_state=ReturnState.SETTLED,
        reason=made.reason, evidence_sha256=bytes(made.evidence_sha256), by=made.by, at=at, under=made,
    )  # fmt: skip
    moved = Attempt.objects.filter(pk=attempt.pk, state=made.from_state).update(
        state=AttemptState.SETTLED, holds_return_id=row.pk
    )
    AssetReturn.objects.filter(pk=row.pk, state=ReturnState.SCHEDULED).update(
        state=ReturnState.SETTLED, batch=attempt.batch, part=attempt.part, destination_id=_went_to(attempt)
    )
    for kind in ("take", "settle"):
        positions.move(
            made.case, kind, key=f"correct:{made.pk}:{kind}", rows=[(row.claim_line_id, row.amount)],
            subject=("return", row.reference), by=made.by, at=at,
        )  # fmt: skip
    debited.applied(made.case, [match.pk], by=by, at=at)
    EvidenceLine.objects.filter(pk=line.pk).update(problem="")
    # What came back of it before it counted as paid is looked at again: with the next settling it undoes this.
    came_back = EvidenceLine.objects.filter(case=row.case, reference=row.reference, kind="returned", problem="nothing_to_return")
    came_back.filter(Q(part="") | Q(part__in=_keys(attempt))).update(problem="")
    return moved


WENT_TO = """
SELECT d.id
FROM returns_manifest m
CROSS JOIN LATERAL jsonb_array_elements(m.body::jsonb -> 'items') i
JOIN returns_assetreturn r ON r.id = %s AND r.reference = i ->> 'reference'
JOIN register_claimline l ON l.id = r.claim_line_id
JOIN destinations_destination d ON d.claim_id = l.claim_id AND d.asset_id = r.asset_id
    AND d.fingerprint = decode(i ->> 'destination', 'hex')
WHERE m.batch_id = %s ORDER BY d.version DESC LIMIT 1
"""


def _went_to(attempt: Attempt) -> int:
    """The destination that was approved with the attempt; the return may have been given another since."""
    with connection.cursor() as cursor:
        cursor.execute(WENT_TO, [attempt.asset_return_id, attempt.batch_id])
        return int(cursor.fetchone()[0])


def line_of(attempt: Attempt) -> EvidenceLine | None:
    """The queued line that says this attempt paid."""
    row = attempt.asset_return
    return (
        EvidenceLine.objects.filter(
            Q(part="") | Q(part__in=_keys(attempt)), case=row.case, reference=row.reference, kind="settled", amount=row.amount,
            asset_code=row.asset.code, problem__in=PAID_AFTER_ALL,
        )
        .order_by("pk")
        .first()
    )  # fmt: skip


def _keys(attempt: Attempt) -> QuerySet[Any, Any]:
    """What the rail calls the part in which it was tried."""
    return Submission.objects.filter(batch=attempt.batch, part=attempt.part).values("rail_key")
