"""Long work as people watch it: n of N, rate, what is left, the phase, and since when it has stood still."""

from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.office import readable
from administration.office.pages.base import CasePage, page
from administration.work.models import Job, JobState

STALLED_AFTER = 15  # seconds without a beat


@page("jobs/<int:pk>/", name="job")
class JobPage(CasePage):
    """One job, read from its row. Refreshes itself; without script by a link."""

    title = lazy("Work in progress")
    template = "office/job.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        job = Job.objects.filter(case=self.case, pk=kwargs["pk"]).first()
        if job is None:
            raise Http404
        return {
            "job": job,
            "what": kind_in_words(job),
            "total": max(job.total, job.done, 1),
            "words": progress(job, self.at),
            "onward": self.url(ONWARD.get(job.kind, "case")),
        }


ONWARD: dict[str, str] = {  # job kind -> the page where its outcome is shown; else the case
    "ledger.inspect": "takeover",
    "ledger.accept": "takeover",
    "claims.schedule": "claims",
    "distribution.compute": "plan",
    "distribution.declare": "plan",
    "returns.schedule": "rounds",
    "returns.export": "batches",
    "returns.submit": "board",
    "returns.settle": "board",
}
PHASES: dict[str, Any] = {  # what a job says it is at, in words
    "entitlements": lazy("computing entitlements"),
    "inputs": lazy("hashing the inputs"),
    "roots": lazy("building the trees"),
    "closing": lazy("closing checks"),
    "declare": lazy("giving"),
    "withdraw": lazy("taking back"),
    "declared": lazy("declared"),
    "claims": lazy("claims"),
    "concluded": lazy("concluded"),
    "reading the rail's statement": lazy("reading the rail's statement"),
    "scheduling": lazy("scheduling"),
    "sending": lazy("sending"),
    "sent": lazy("sent"),
    "waiting for the rail": lazy("waiting for the rail"),
    "waiting for its time": lazy("waiting for the rail's hours, or for the round to be resumed"),
    "waiting for a limit": lazy("waiting until a limit of the rail lets more through"),
    "taking back": lazy("taking back"),
    "taken back": lazy("taken back"),
    "giving destinations": lazy("giving destinations"),
    "destinations given": lazy("destinations given"),
    "matching evidence": lazy("matching evidence"),
    "settling": lazy("settling"),
    "preparing parts": lazy("preparing parts"),
    "scheduled": lazy("scheduled"),
    "settled": lazy("settled"),
    "exported": lazy("exported"),
    "what was read": lazy("looking at what was read"),
    "customers": lazy("checking customers"),
    "accounts": lazy("checking accounts"),
    "balances": lazy("checking balances"),
    "destinations": lazy("checking destinations"),
    "wallets, holds, prices": lazy("checking wallets, holds and prices"),
    "entries": lazy("checking entries"),
    "the case": lazy("comparing with the case"),
    "what is unlikely": lazy("looking for what is unlikely"),
    "rows set aside": lazy("setting rows aside"),
    "entries and balances": lazy("comparing entries and balances"),
    "assets": lazy("writing assets"),
    "rows": lazy("writing rows"),
    "read again": lazy("reading again what was written"),
    "negatives": lazy("adjusting negative balances"),
    "accept": lazy("accepting"),
}
KINDS: dict[str, Any] = {}  # job kind -> lazy words; each page module adds its own


def kind_in_words(job: Job) -> str:
    return str(KINDS.get(job.kind, job.kind))


def progress(job: Job, now: Any) -> str:
    """412 of 1,000 · 80 a second · about 8 s left · phase."""
    words = [_("%(done)s of %(total)s") % {"done": f"{job.done:,}", "total": f"{max(job.total, job.done):,}"}]
    if job.state == JobState.WAITING:
        spent = max((now - job.started_at).total_seconds(), 0.001)
        if job.done and job.total > job.done:
            rate = job.done / spent
            words.append(_("%(rate)s a second") % {"rate": f"{rate:,.0f}" if rate >= 1 else f"{rate:.1f}"})
            words.append(_("about %(span)s left") % {"span": readable.seconds((job.total - job.done) / rate)})
        quiet = (now - (job.beat_at or job.started_at)).total_seconds()
        if quiet > STALLED_AFTER:
            words.append(_("stalled since %(span)s") % {"span": readable.seconds(quiet)})
    if job.phase:
        words.append(str(PHASES.get(job.phase, job.phase)))
    return " · ".join(words)
