"""
Runs: a plan computed over the claims as they are, approved under the hash of what it says, declared.

    NotReconciled   what is held was not compared with what is owed yet
    StillDeclaring  another run of the case is approved and not declared yet
    NotComputed     the run is not in the state the act needs
    Outdated        something was given, or claims were lowered, since the run was computed
"""

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import IO, Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.books.models import Asset
from administration.cases import appointments, approvals
from administration.cases.models import ApprovalRequest, Case
from administration.custody.models import Reconciliation
from administration.distribution import computing, hashes, plans
from administration.distribution.models import Plan, PoolLine, Run, RunState
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.work import jobs
from administration.work.models import Job
from claims.register import tie_out

COMPUTE = "distribution.compute"
ACT = "distribution.plan"


class NotReconciled(Refused):
    """A pool rests on a reconciliation of its asset."""


class StillDeclaring(Refused):
    """A run is computed over positions that stand still."""


class NotComputed(Refused):
    """The run is not in the state the act needs."""


class Outdated(Refused):
    """What the run was computed over has changed in a way that matters."""


# --- computing --------------------------------------------------------------------------------


@transaction.atomic
def compute(plan: Plan, *, by: User, at: datetime) -> Job:
    """Begin a run of a plan. The job's subject is the run; it is computed when the job is done."""
    run = begin(plan, by=by, at=at)
    job = jobs.start(run.case, COMPUTE, run.pk, total=len(computing.PHASES), params={"at": at.isoformat()})
    log.append(
        run.case, "run.begun", subject=run, by=by, at=at, body={"run": run.number, "plan": run.plan.version}
    )  # fmt: skip
    return job


def begin(plan: Plan, *, by: User, at: datetime) -> Run:
    """The run's row, once everything stands on which it will rest."""
    case = plan.case
    appointments.require(case, by, "distribution.plan", at=at)
    Case.objects.select_for_update().get(pk=case.pk)  # numbers follow one another
    rules = plans.read(plan.body)
    assets = [sharing.asset for sharing in plans.pairs(case, rules)]
    _require_none_declaring(case)
    tie_out.require(case, assets)
    _require_reconciled(case, assets)
    newest = Run.objects.filter(case=case).order_by("-number").first()
    return Run.objects.create(
        case=case, plan=plan, number=newest.number + 1 if newest else 1, kind=rules.kind, computed_by=by
    )


def _require_none_declaring(case: Case) -> None:
    declaring = Run.objects.filter(case=case, state=RunState.APPROVED).first()
    if declaring:
        raise StillDeclaring(
            _("Run %(run)s is approved and being declared. Compute again when that is done.")
            % {"run": declaring.number}
        )


def _require_reconciled(case: Case, assets: list[Asset]) -> None:
    done = set(Reconciliation.objects.filter(case=case).values_list("asset_id", flat=True))
    missing = [asset.code for asset in assets if asset.pk not in done]
    if missing:
        raise NotReconciled(
            _("Owed and held were not compared yet for: %(assets)s. Reconcile case %(case)s first.")
            % {"assets": ", ".join(missing), "case": case}
        )


def step(job: Job) -> jobs.Progress:
    """The next phase of the job's run. A run that cannot be computed is withdrawn, with the reason in the record."""
    try:
        return computing.step(job)
    except Refused as refusal:
        run = Run.objects.select_related("case", "computed_by").get(pk=job.subject_id)
        _withdraw(run, by=run.computed_by, at=datetime.fromisoformat(job.params["at"]), reason=str(refusal))
        raise


@contextlib.contextmanager
def what_if(case: Case, body: str, *, by: User, at: datetime) -> Iterator[Run]:
    """The run that this text would give, to look at inside the block. Nothing of it stays, not even its number."""

    class Over(Exception):
        """Ends the transaction; it never commits."""

    with contextlib.suppress(Over), computing.one_snapshot():
        run = begin(plans.draft(case, body, by=by, at=at), by=by, at=at)
        while computing.advance(run, at=at, record=False):
            run.refresh_from_db()
        yield run
        raise Over


@transaction.atomic
def withdraw(run: Run, *, by: User, at: datetime, reason: str) -> None:
    """Put a run aside that nobody has approved. What it computed stays to be seen; its number is not used again."""
    appointments.require(run.case, by, "distribution.plan", at=at)
    if not reason.strip():
        raise NotComputed(_("Say why run %(run)s is withdrawn.") % {"run": run.number})
    if Run.objects.get(pk=run.pk).state not in (RunState.COMPUTING, RunState.COMPUTED):
        raise NotComputed(
            _("Run %(run)s is approved or withdrawn already. Reload it and look again.") % {"run": run.number}
        )
    _withdraw(run, by=by, at=at, reason=reason)


@transaction.atomic
def _withdraw(run: Run, *, by: User, at: datetime, reason: str) -> None:
    moved = Run.objects.filter(pk=run.pk, state__in=[RunState.COMPUTING, RunState.COMPUTED, RunState.APPROVED]).update(
        state=RunState.WITHDRAWN
    )
    if moved:
        log.append(run.case, "run.withdrawn", subject=run, by=by, at=at, body={"run": run.number, "reason": reason})


# --- approval ---------------------------------------------------------------------------------


def content(run_id: int) -> bytes:
    """What signatures under a run bind: its number, plan, inputs and everything it says. Computed by the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT distribution_run_content(%s)", [run_id])
        (sha256,) = cursor.fetchone()
    return bytes(sha256) if sha256 else bytes(32)


@transaction.atomic
def request_approval(run: Run, *, by: User, at: datetime) -> ApprovalRequest:
    """Ask for the signatures a run needs. They bind exactly what it says now."""
    appointments.require(run.case, by, "distribution.plan", at=at)
    run.refresh_from_db()
    if run.state != RunState.COMPUTED:
        raise NotComputed(
            _("Run %(run)s is %(state)s. Only a computed run can be approved.")
            % {"run": run.number, "state": run.get_state_display().lower()}
        )
    require_current(run)
    return approvals.request(run, case=run.case, act=ACT, content_sha256=content(run.pk), by=by, at=at)


def precondition(request: ApprovalRequest) -> None:
    """What must hold before the last signature: the estate ties, and the run still stands on what it was computed over."""
    run = Run.objects.select_related("case").get(pk=request.object_id)
    tie_out.require(run.case, [line.asset for line in run.pools.select_related("asset")])
    if run.state != RunState.APPROVED:  # else a successor takes it up: part of it is declared already
        _require_none_declaring(run.case)
        require_current(run)


def require_current(run: Run) -> None:
    """Refuse a run after which something was given, or that would give more than is admitted or free by now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT distribution_moved_lines(%s)", [run.pk])
        (moved,) = cursor.fetchone()
        cursor.execute(LOWERED, [run.pk])
        (lowered,) = cursor.fetchone()
    there = computing.free(run)
    short = [
        line.asset.code
        for line in run.pools.select_related("asset")
        if line.distributed - line.withdrawn > there.get(line.asset_id, 0)
    ]
    if moved or lowered or short:
        raise Outdated(
            _(
                "Run %(run)s is out of date: %(moved)s lines were given something since it was computed, %(lowered)s "
                "claims no longer cover what it gives, not enough is free in: %(short)s. Withdraw it and compute again."
            )
            % {"run": run.number, "moved": moved, "lowered": lowered, "short": ", ".join(short) or "–"}
        )


LOWERED = """
SELECT count(*) FROM distribution_entitlement e JOIN register_claimline l ON l.id = e.claim_line_id
WHERE e.run_id = %s AND e.amount > 0 AND e.given + e.amount > l.admitted + l.converted_in - l.converted_out
"""


# --- what a run says --------------------------------------------------------------------------


def warnings(run: Run) -> list[str]:
    """What a person should look at before asking for approval."""
    found = []
    for line in run.pools.select_related("asset").order_by("pool", "asset__code"):
        words = {"asset": line.asset.code}
        if line.amount == 0:
            found.append(_("%(asset)s: nothing is there to share.") % words)
        if line.effective < min(line.amount, line.weights):
            found.append(
                _("%(asset)s: some hold more than their share already; the others catch up only in part.") % words
            )
        if line.reserved:
            found.append(_("%(asset)s: a part is reserved for claims in dispute.") % words)
        if line.withdrawn:
            found.append(_("%(asset)s: a part is taken back from claims that were lowered.") % words)
    return found


def described(run: Run) -> dict[str, Any]:
    """The run as `compute --json` prints it."""
    return {
        "ok": run.state != RunState.WITHDRAWN,
        "run": run.number,
        "inputs_sha256": bytes(run.inputs_sha256 or b"").hex(),
        "outputs_root": bytes(run.outputs_root or b"").hex(),
        "pools": [
            {
                "pool": line.pool,
                "asset": line.asset.code,
                "amount": str(line.amount),
                "distributed": str(line.distributed),
                "left": str(line.left),
            }
            for line in _pools(run)
        ],
        "entitlements": run.entitlement_count,
        "warnings": warnings(run),
    }


def _pools(run: Run) -> list[PoolLine]:
    return sorted(run.pools.select_related("asset"), key=lambda line: (line.pool.encode(), line.asset.code.encode()))


@transaction.atomic
def hand_out_inputs(run: Run, out: IO[str], *, by: User, at: datetime) -> int:
    """
    Write a run's inputs for an auditor or the court, and record to whom they went. Returns the lines.

    Whoever gets this file sees every claim, and the secret that salts the published tree: it is not for publication.
    """
    appointments.require(run.case, by, "audit.pull", at=at)
    count = export_inputs(run, out)
    log.append(
        run.case, "run.inputs_handed_out", subject=run, by=by, at=at, body={"run": run.number, "lines": count}
    )  # fmt: skip
    return count


def export_inputs(run: Run, out: IO[str]) -> int:
    """Write everything a run depends on as JSON lines; recompute.py makes the same result of it. Returns the lines."""
    if run.inputs_sha256 is None:
        raise NotComputed(_("Run %(run)s has no inputs yet. Wait until it is computed.") % {"run": run.number})
    pools = {line.asset_id: line for line in _pools(run)}
    head = {
        "format": "henkan-run-inputs/1",
        "case": run.case.reference,
        "run": run.number,
        "kind": run.kind,
        "plan": run.plan.body,
        "salt": bytes(run.case.salt).hex(),
        "inputs_sha256": bytes(run.inputs_sha256).hex(),
        "pools": [
            {
                "pool": line.pool, "asset": line.asset.code, "scale": line.asset.scale, "rounding": line.rounding,
                "free": str(line.free), "held_back": str(line.held_back),
            }
            for line in pools.values()
        ],
    }  # fmt: skip
    out.write(json.dumps(head, ensure_ascii=False) + "\n")
    count = 0
    for asset_id, line in hashes.lines(run):
        out.write(json.dumps([pools[asset_id].asset.code, *line], ensure_ascii=False) + "\n")
        count += 1
    return count
