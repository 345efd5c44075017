"""The case at a glance, and the lists that are about the case as a whole: its record and its work."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import wording
from administration.cases import deadlines
from administration.office import dashboard, happenings, readable, standing, words
from administration.office.pages import base
from administration.office.pages.base import CasePage, page
from administration.office.pages.lists import Column, Filter, ListPage
from administration.office.pages.working import kind_in_words, progress
from administration.record.models import Event, Head
from administration.work.models import Job, JobState

LATEST = 12  # events on the dashboard
DEADLINES = 6
STAGE_PAGES = {  # where each stage is worked on: these pages, or the first of this group of the menu
    "takeover": (("takeover",), "ledger"),
    "reconcile": ((), "held"),
    "claims": ((), "claims"),
    "plan": ((), "plan"),
    "approve": (("approvals",), ""),
    "return": (("board",), "returns"),
    "close": ((), "account"),
}
JOB_STATES: dict[str, Any] = {
    JobState.WAITING: lazy("going on"),
    JobState.DONE: lazy("done"),
    JobState.FAILED: lazy("failed"),
}


@page("", name="case", menu="case", icon="dashboard", order=1)
class CaseDashboard(CasePage):
    """Every figure here is one of tie_out's. Refreshes itself while work is going on."""

    title = lazy("The case at a glance")
    template = "office/case.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        names = happenings.people()
        figures = standing.figures(self.case, at=self.at)
        today = self.at.astimezone(readable.JST).date()
        near = [
            dashboard.Item(self.case, "", words.of(words.DEADLINES, one.kind), dashboard.address(self.case, "deadlines"), one.due_date)
            for one in deadlines.current(self.case).filter(due_date__gte=today)[:DEADLINES]
        ]
        running = list(Job.objects.filter(case=self.case, state=JobState.WAITING).order_by("pk"))
        return {
            "stages": [(stage, self.page_of(stage.code)) for stage in standing.stages(self.case)],
            "figures": figures,
            "bars": [self.bars(line) for line in figures.lines],
            "claims": shares(standing.claim_lines(self.case)),
            "returns": shares(standing.returns(self.case)),
            "deadlines": [(item, dashboard.when(item, today)) for item in near],
            "light": standing.light(self.case),
            "may_verify": self.may("audit.pull"),
            "events": [
                (event, happenings.told(event.kind), happenings.by_whom(event, names))
                for event in Event.objects.filter(case_id=self.case.pk).order_by("-number")[:LATEST]
            ],
            "jobs": [
                (job, kind_in_words(job), progress(job, self.at), max(job.total, job.done, 1), self.url("job", pk=job.pk))
                for job in running
            ],
            "stops": self.case.stops.filter(lifted_at__isnull=True).order_by("pk"),
            "requests": [
                (request, dashboard_name(request.act), self.url("approval", pk=request.pk))
                for request in standing.open_requests(self.case)
            ],
            "troubled": [
                (job, kind_in_words(job), self.url("job", pk=job.pk)) for job in dashboard.troubled_jobs(self.case, at=self.at)
            ],
        }

    def page_of(self, stage: str) -> str:
        names, group = STAGE_PAGES[stage]
        of_group = sorted((one for one in base.ENTRIES if group and one.menu == group), key=lambda one: one.order)
        known = {one.name for one in base.ENTRIES}
        name = next((name for name in names if name in known), of_group[0].name if of_group else "")
        return self.url(name) if name else ""

    def bars(self, line: standing.Line) -> dict[str, Any]:
        """Owed above held, each to the scale of the larger."""
        owed = line.owed if line.owed is not None else line.recorded
        held = line.held if line.held is not None else line.closing
        most = max(owed, held, line.returned, 1)
        return {
            "line": line,
            "owed": owed,
            "held": held,
            "owed_width": width(owed, most),
            "held_width": width(held, most),
            "returned_width": width(line.returned, most),
        }


def dashboard_name(act: str) -> str:
    from administration.office.pages.approving import name_of

    return name_of(act)


def width(part: int, whole: int) -> str:
    """A share of the bar, in tenths of a percent; what is not nothing can be seen."""
    return "0" if part <= 0 else f"{max(3, part * 1000 // whole) / 10:.1f}"


def shares(counted: list[tuple[str, Any, int]]) -> dict[str, Any]:
    """A stacked bar: each part with its words, count and width."""
    total = sum(count for _code, _words, count in counted)
    return {"total": total, "parts": [(code, said, count, width(count, total or 1)) for code, said, count in counted if count]}


@page("jobs/", name="jobs", menu="case", icon="pending_actions", order=60)
class Jobs(ListPage):
    """All long work of the case, the newest first."""

    title = lazy("Long work")
    newest_first = True
    empty = lazy("No long work was done in this case yet.")

    def rows(self) -> Any:
        return Job.objects.filter(case=self.case)

    def columns(self) -> list[Column]:
        return [
            Column(_("Work"), kind_in_words, link=lambda job: self.url("job", pk=job.pk)),
            Column(_("State"), lambda job: JOB_STATES[job.state]),
            Column(_("Done"), lambda job: f"{job.done:,}", numeric=True),
            Column(_("Of"), lambda job: f"{max(job.total, job.done):,}", numeric=True),
            Column(_("Began"), lambda job: self.instant(job.started_at)),
            Column(_("Ended"), lambda job: self.instant(job.finished_at)),
            Column(_("What went wrong"), lambda job: wording.said(job.error) or "–"),
        ]

    def filters(self) -> list[Filter]:
        states = list(JOB_STATES.items())
        return [Filter("state", _("State"), states, lambda rows, value: rows.filter(state=value))]


@page("record/", name="record", menu="account", icon="history", order=60)
class Record(ListPage):
    """The record as it is: every event, the newest first, by its number."""

    title = lazy("Record")
    newest_first = True
    key = "number"
    empty = lazy("Nothing is in the record yet.")

    def rows(self) -> Any:
        return Event.objects.filter(case_id=self.case.pk)

    def columns(self) -> list[Column]:
        names = happenings.people()
        return [
            Column(_("No."), lambda event: event.number, numeric=True),
            Column(_("When"), lambda event: self.instant(event.at)),
            Column(_("What"), lambda event: happenings.told(event.kind)),
            Column(_("Code"), lambda event: event.kind),
            Column(_("By"), lambda event: happenings.by_whom(event, names)),
            Column(_("About"), lambda event: f"{words.of(words.SUBJECTS, event.subject_kind)} {event.subject_id}"),
        ]

    def filters(self) -> list[Filter]:
        kinds = sorted(((kind, said) for kind, said in happenings.EVENTS.items()), key=lambda pair: str(pair[1]))
        return [Filter("kind", _("What"), kinds, lambda rows, value: rows.filter(kind=value))]


@page("record/heads/", name="heads", menu="account", icon="verified", order=70)
class Heads(ListPage):
    """The signed heads of the record, the newest first."""

    title = lazy("Signed heads")
    newest_first = True
    key = "size"
    empty = lazy("Nothing was sealed yet. The beat seals every minute.")

    def rows(self) -> Any:
        return Head.objects.filter(case_id=self.case.pk)

    def columns(self) -> list[Column]:
        return [
            Column(_("Events"), lambda head: f"{head.size:,}", numeric=True),
            Column(_("Signed at"), lambda head: self.instant(head.signed_at)),
            Column(_("Root"), lambda head: bytes(head.root).hex()),
            Column(_("Key"), lambda head: head.key_id),
        ]
