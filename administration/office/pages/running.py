"""One run of a plan: computed, looked at, signed or put aside; its inputs handed out on record."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import wording
from administration.cases import approvals
from administration.distribution import comparing, declaring, plans, runs
from administration.distribution.models import Plan, Run, RunState
from administration.office import readable, words
from administration.office.entering import Reason
from administration.office.pages import working
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import CasePage, page
from administration.office.pages.planning import POWER, changes, pools_of
from administration.office.pages.reconciling import percent
from administration.office.pages.showing import Button, Section, ShowPage, who
from administration.office.templatetags.office import jst, sha
from administration.work.models import Job, JobState

HAND_OUT = "audit.pull"
HANDED_FOR = 3600  # seconds in which what was handed out can be fetched


def latest_job(run: Run, kind: str) -> Job | None:
    return Job.objects.filter(kind=kind, subject_id=run.pk).order_by("-pk").first()


@page("plan/<int:version>/compute/", name="run-compute")
class ComputeRun(ActPage):
    title = lazy("Compute a run of the plan")
    tried = True
    power = POWER

    def plan(self) -> Plan:
        return get_object_or_404(Plan.objects.select_related("case"), case=self.case, version=self.kwargs["version"])

    def effect(self, data: dict[str, Any]) -> Effect:
        plan = self.plan()
        sharings = plans.pairs(self.case, plans.read(plan.body))
        last = self.case.runs.order_by("-number").first()
        return Effect(
            _("Version %(version)s (%(name)s) is computed over the claims as they are now. Nothing is given until it is approved.")
            % {"version": plan.version, "name": wording.said(plan.name)},
            _("Compute"),
            figures=[
                (_("Assets that are shared"), ", ".join(one.asset.code for one in sharings) or "–"),
                (_("Last run"), f"{last.number}, {words.of(words.RUNS, last.state)}" if last else _("none")),
            ],
            content_sha256=bytes(plan.sha256).hex(),
        )

    def act(self, data: dict[str, Any]) -> Any:
        return runs.compute(self.plan(), by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        run = Run.objects.get(pk=result.subject_id)
        return _("Run %(run)s is being computed; this page follows it.") % {"run": run.number}, self.url("run", number=run.number)

    def back(self) -> str:
        return self.url("plan")


@page("runs/<int:number>/", name="run")
class RunPage(ShowPage):
    title = lazy("A run of the plan")
    template = "office/planning/run.html"

    def prepare(self, **kwargs: Any) -> None:
        self.run = get_object_or_404(Run.objects.select_related("plan", "computed_by", "case"), case=self.case, number=kwargs["number"])
        signed = self.run.state in (RunState.APPROVED, RunState.DECLARED)
        self.job = latest_job(self.run, declaring.DECLARE if signed else runs.COMPUTE)
        self.running = self.job is not None and self.job.state == JobState.WAITING
        self.pools = [] if self.run.state == RunState.COMPUTING else list(self.run.pools.select_related("asset").order_by("pool", "asset__code"))
        self.asked = self.case.approvals.filter(act=runs.ACT, object_id=self.run.pk).order_by("-pk").first()

    def context(self, **kwargs: Any) -> dict[str, Any]:
        made, job = super().context(**kwargs), self.job
        return made | {
            "running": self.running,
            "job": job,
            "job_words": working.progress(job, self.at) if job else "",
            "job_total": max(job.total, job.done, 1) if job else 1,
            "job_kind": working.kind_in_words(job) if job else "",
            "address": self.url("run", number=self.run.number),
            "boards": [bars(line) for line in self.pools],
        }

    def sentence(self) -> Any:
        return _("Run %(run)s of plan %(plan)s (%(name)s) is %(state)s.") % {
            "run": self.run.number, "plan": self.run.plan.version, "name": wording.said(self.run.plan.name), "state": words.of(words.RUNS, self.run.state),
        }  # fmt: skip

    def notices(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        if self.job is not None and self.job.state == JobState.FAILED:
            found.append(("refusal", wording.said(self.job.error)))
        if self.asked is not None and self.asked.state == "rejected":
            found.append(("warning", _("The approval was rejected: %(reason)s") % {"reason": self.asked.reason}))
        if self.pools:
            found += [("warning", sentence) for sentence in runs.warnings(self.run)]
        return found

    def figures(self) -> list[tuple[Any, Any]]:
        run = self.run
        found: list[tuple[Any, Any]] = [(_("Round"), words.of(words.ROUNDS, run.kind)), (_("Computed by"), who(run.computed_by))]
        if run.computed_at:
            found += [
                (_("Computed"), jst(run.computed_at)),
                (_("Claim lines"), f"{run.entitlement_count:,}"),
                (_("Hash of the inputs"), sha(run.inputs_sha256)),
                (_("Root of what it says"), sha(run.outputs_root)),
            ]
        return found

    def buttons(self) -> list[Button]:
        run, asked, number = self.run, self.asked, self.run.number
        found = []
        if declaring.failed(run) and approvals.granted(self.case, runs.ACT, run.pk):
            found.append(self.button(_("Go on declaring"), "run-go-on", POWER, number=number, main=True))
        if asked is not None and asked.state in ("open", "granted"):
            found.append(Button(_("Look at the approval"), self.url("approval", pk=asked.pk), main=asked.state == "open"))
        elif run.state == RunState.COMPUTED:
            found.append(self.button(_("Ask for approval"), "run-approve", POWER, number=number, main=True))
        if run.state in (RunState.COMPUTING, RunState.COMPUTED):
            found.append(self.button(_("Put the run aside"), "run-withdraw", POWER, number=number))
        if run.inputs_sha256 is not None:
            found.append(self.button(_("Hand out the inputs"), "run-inputs", HAND_OUT, number=number))
        if run.state == RunState.DECLARED:
            found.append(self.button(_("Schedule returns"), "round-schedule", "returns.schedule", main=True))
        return found

    def sections(self) -> list[Section]:
        if not self.pools:
            return []
        last = comparing.earlier(self.run)
        return [pools_of(self.run), *([changes(self.run, last)] if last else [])]


def bars(line: Any) -> dict[str, Any]:
    """One asset of a run as bars: claims, what is given before and now, what is reserved and left."""
    longest = max(line.weights, line.amount, 1)
    given = line.given_before + line.distributed - line.withdrawn
    steps = [
        (_("Claims"), line.weights, 0, "owed"),
        (_("Put aside for them"), line.amount, 0, "own"),
        (_("Given before"), line.given_before, 0, "given"),
        (_("Given by this run"), line.distributed, line.given_before, "given"),
        (_("Reserved for disputes"), line.reserved, given, "kept"),
        (_("Left in the pool"), line.left, given, "correction"),
        (_("Short of the claims"), max(0, line.weights - line.amount), min(line.weights, line.amount), "short"),
    ]
    return {
        "asset": line.asset,
        "pool": wording.said(line.pool),
        "steps": [
            (label, units, percent(max(start, 0), longest), percent(units, longest), kind)
            for label, units, start, kind in steps
            if units or kind in ("owed", "own")
        ],
    }


# --- approval, withdrawal ---------------------------------------------------------------------------


class OfRun(ActPage):
    """An act on one run of the case."""

    power = POWER

    def run(self) -> Run:
        return get_object_or_404(Run.objects.select_related("case", "plan"), case=self.case, number=self.kwargs["number"])

    def form_arguments(self) -> dict[str, Any]:
        self.run()
        return {}

    def back(self) -> str:
        return self.url("run", number=self.kwargs["number"])

    def gives(self, run: Run) -> list[tuple[Any, Any]]:
        return [
            (_("Given of %(asset)s") % {"asset": line.asset.code}, readable.money(line.distributed, line.asset))
            for line in run.pools.select_related("asset").order_by("asset__code")
        ]


@page("runs/<int:number>/approve/", name="run-approve")
class AskApproval(OfRun):
    title = lazy("Ask for approval of a run")
    tried = True

    def effect(self, data: dict[str, Any]) -> Effect:
        run = self.run()
        return Effect(
            _("The signatures that a run needs are asked for. They bind exactly what run %(run)s says now.") % {"run": run.number},
            _("Ask for approval"),
            figures=[(_("Claim lines"), f"{run.entitlement_count:,}"), *self.gives(run)],
            warnings=runs.warnings(run), content_sha256=runs.content(run.pk).hex(),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return runs.request_approval(self.run(), by=self.user, at=self.at)


@page("runs/<int:number>/withdraw/", name="run-withdraw")
class WithdrawRun(OfRun):
    title = lazy("Put a run aside")
    form_class = Reason
    intro = lazy("What it computed stays to be seen; its number is not used again.")

    def effect(self, data: dict[str, Any]) -> Effect:
        run = self.run()
        return Effect(
            _("Run %(run)s is put aside. Nothing is given by it.") % {"run": run.number}, _("Put the run aside"),
            figures=[(_("State"), words.of(words.RUNS, run.state)), (_("Why"), data["reason"])],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return runs.withdraw(self.run(), by=self.user, at=self.at, reason=data["reason"])

    def done(self, result: Any) -> tuple[str, str]:
        return _("The run was put aside."), self.back()


@page("runs/<int:number>/go-on/", name="run-go-on")
class GoOnDeclaring(OfRun):
    title = lazy("Go on declaring a run")
    tried = True

    def effect(self, data: dict[str, Any]) -> Effect:
        run = self.run()
        stopped = declaring.failed(run)
        return Effect(
            _("The declaration of run %(run)s goes on where it stopped. No line is given anything twice.") % {"run": run.number},
            _("Go on declaring"),
            figures=[(_("Why it stopped"), wording.said(stopped.error) if stopped else "–"), *self.gives(run)],
            content_sha256=runs.content(run.pk).hex(),
        )

    def act(self, data: dict[str, Any]) -> Any:
        return declaring.go_on(self.run(), by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("It goes on; this page follows it."), self.back()


# --- handing out the inputs -------------------------------------------------------------------------


@page("runs/<int:number>/inputs/", name="run-inputs")
class HandOutInputs(OfRun):
    title = lazy("Hand out the inputs of a run")
    power = HAND_OUT

    def effect(self, data: dict[str, Any]) -> Effect:
        run = self.run()
        return Effect(
            _("Everything run %(run)s depends on is written into one file for an auditor or the court, and the record says that you took it.")
            % {"run": run.number},
            _("Hand out the inputs"),
            figures=[(_("Claim lines"), f"{run.entitlement_count:,}")],
            warnings=[_("The file shows every claim, and the secret that salts the published tree. It is not for publication.")],
            content_sha256=bytes(run.inputs_sha256 or b"").hex(),
        )

    def act(self, data: dict[str, Any]) -> Any:
        run = self.run()
        path = handed_out(run, self.user.pk)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("w", encoding="utf-8") as out:
            runs.hand_out_inputs(run, out, by=self.user, at=self.at)
        return signing.dumps({"r": run.pk, "u": self.user.pk}, salt="office.inputs")

    def done(self, result: Any) -> tuple[str, str]:
        return (
            _("The inputs are written. Fetch the file within an hour."),
            f"{self.url('run-inputs-file', number=self.kwargs['number'])}?token={result}",
        )


def handed_out(run: Run, user: int) -> Path:
    return Path(settings.ARCHIVE_DIR) / "handed-out" / f"run-{run.pk}-{user}.jsonl"


@page("runs/<int:number>/inputs.jsonl", name="run-inputs-file")
class InputsFile(CasePage):
    """The file, for the one person to whom the record says it was handed out."""

    power = HAND_OUT

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        run = get_object_or_404(Run.objects.select_related("case"), case=self.case, number=kwargs["number"])
        try:
            said = signing.loads(request.GET.get("token", ""), salt="office.inputs", max_age=HANDED_FOR)
        except signing.BadSignature:
            raise Http404 from None
        path = handed_out(run, self.user.pk)
        if said != {"r": run.pk, "u": self.user.pk} or not path.exists():
            raise Http404
        return FileResponse(path.open("rb"), as_attachment=True, filename=f"{run}-inputs.jsonl", content_type="application/jsonl")
