"""
Corrections: the steps backwards, each signed by two people, each taken once.

What was settled was not (a recalled transfer, a deep reorganisation of a chain); what was refused or dead was paid
after all. The database takes such a step only with its signed correction.

    NotCorrected   the correction cannot be asked for, or taken
"""

from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.cases import appointments, approvals, archive
from administration.cases.models import ApprovalRequest, Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.returns.models import (
    AssetReturn,
    Attempt,
    AttemptState,
    Correction,
    ReturnState,
    Submission,
    Transition,
)

ACT = "returns.correct"
MACHINES = {"return": AssetReturn, "attempt": Attempt, "submission": Submission}


class NotCorrected(Refused):
    """A correction that cannot be."""


@transaction.atomic
def propose(
    case: Case, thing: AssetReturn | Attempt | Submission, to_state: str, *, reason: str, evidence: bytes, by: User, at: datetime
) -> ApprovalRequest:
    """Ask two people for one step backwards, with the paper that says why."""
    appointments.require(case, by, "returns.evidence", at=at)
    machine = next(name for name, model in MACHINES.items() if isinstance(thing, model))
    listed = Transition.objects.filter(machine=machine, from_state=thing.state, to_state=to_state, people__gte=2)
    if not listed.exists():
        raise NotCorrected(
            _("From %(from)s to %(to)s is no step that two people can sign.") % {"from": thing.state, "to": to_state}
        )
    if not reason.strip() or not evidence:
        raise NotCorrected(_("A correction needs its reason and the paper that shows it."))
    made = Correction.objects.create(
        case=case, machine=machine, object_id=thing.pk, from_state=thing.state, to_state=to_state, reason=reason,
        evidence_sha256=archive.keep(evidence), by=by, at=at,
    )  # fmt: skip
    asked = approvals.request(made, case=case, act=ACT, content_sha256=content(made.pk), by=by, at=at)
    log.append(
        case, "correction.proposed", subject=made, by=by, at=at,
        body={"machine": machine, "from": made.from_state, "to": to_state, "reason": reason},
    )  # fmt: skip
    return asked


def content(correction_id: int) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT correction_sha256(c) FROM returns_correction c WHERE id = %s", [correction_id])
        (sha256,) = cursor.fetchone()
    return bytes(sha256)


def signed(request: ApprovalRequest, by: User, at: datetime) -> None:
    """With the last signature: take the step, and move what hangs on it."""
    made = Correction.objects.select_related("case").get(pk=request.object_id)
    if made.machine == "submission":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT submission_step(ARRAY[%s]::bigint[], %s, %s)", [made.object_id, made.from_state, made.to_state]
            )
            (moved,) = cursor.fetchone()
    elif made.machine == "attempt":
        moved = _attempt(made, at=at)
    else:
        raise NotCorrected(_("Correct the attempt; its return follows."))
    if moved != 1:
        raise NotCorrected(_("It is not %(from)s any more. Look again.") % {"from": made.from_state})
    log.append(
        made.case, "correction.applied", subject=made, by=by, at=at,
        body={"machine": made.machine, "from": made.from_state, "to": made.to_state, "reason": made.reason},
    )  # fmt: skip


def _attempt(made: Correction, *, at: datetime) -> int:
    """
    Refused or dead → settled: it was paid. The return waits in no batch, so it takes the attempt's place again and
    its scheduled amount goes out through take and settle, as if it had never come back.
    """
    attempt = Attempt.objects.select_related("asset_return", "asset_return__case", "batch").get(pk=made.object_id)
    row = attempt.asset_return
    if made.to_state != AttemptState.SETTLED:
        raise NotCorrected(_("No rail of this version takes a settlement back. It comes back as a return."))
    if row.state != ReturnState.SCHEDULED:
        raise NotCorrected(
            _("%(return)s is %(state)s. Void or settle what holds it first; then this is an over-payment.")
            % {"return": row, "state": row.get_state_display().lower()}
        )
    raise NotCorrected(
        _("%(return)s: the step scheduled → settled needs its own correction. Not offered in this version.") % {"return": row}
    )
