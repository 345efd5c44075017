"""
My Work: what waits for the person who signed in, over all their cases, by due date.

Rooms' pages say what waits for a person in WAITING; this module knows what is the same for all of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import wording
from administration.cases import appointments, deadlines, securing, stops
from administration.cases.models import Case, Stop
from administration.fields import db_now
from administration.office import readable, standing, words
from administration.office.pages import base
from administration.people.models import User
from administration.returns.models import EvidenceLine, Submission, SubmissionState
from administration.work.models import Job, JobState
from claims.register.models import Dispute

SIGN_WITHIN = timedelta(days=7)
LOOK_AHEAD = timedelta(days=90)  # deadlines further away are on their own page
LOOK_BACK = timedelta(days=14)  # a deadline just missed is still said
STALLED = timedelta(seconds=60)
COUNT_MAX = 1000  # nobody counts further to decide what to do first


@dataclass(frozen=True)
class Item:
    """One thing that waits for somebody: what, where, and until when."""

    case: Case
    kind: Any  # a word: signature, deadline, exception …
    sentence: str
    address: str
    due: date | None = None
    urgent: bool = False  # stands above everything that has a date


Waiting = Callable[[Case, User, datetime], Iterable[Item]]
WAITING: list[Waiting] = []  # pages of the rooms add theirs


def waiting(function: Waiting) -> Waiting:
    """Register what waits for a person: function(case, user, at) → items."""
    WAITING.append(function)
    return function


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the admin's first page is filled with."""
    at = db_now()
    user = request.user
    assert isinstance(user, User)
    mine = base.cases_of(user, at=at)
    today = at.astimezone(readable.JST).date()
    items = my_work(user, mine, at=at)
    return {
        **context,
        "title": _("My Work"),
        "items": [(item, when(item, today)) for item in items],
        "cases": [(case, stage_of(case), appointments.live(case, at=at).filter(user=user)) for case in mine],
        "no_case": not mine,
        "at": at,
    }


def my_work(user: User, cases: list[Case], *, at: datetime) -> list[Item]:
    """Urgent first, then by due date; what has no date comes last."""
    found = [item for case in cases for source in WAITING for item in source(case, user, at)]
    return sorted(found, key=lambda item: (not item.urgent, item.due or date.max, item.case.reference))


def when(item: Item, today: date) -> str:
    """Overdue by 3 days; today; in 5 days."""
    if item.urgent:
        return _("now")
    if item.due is None:
        return _("no date")
    days = (item.due - today).days
    if days < 0:
        return ngettext("%(days)s day over", "%(days)s days over", -days) % {"days": -days}
    if days == 0:
        return _("today")
    return ngettext("in %(days)s day", "in %(days)s days", days) % {"days": days}


def stage_of(case: Case) -> Any:
    return next((stage.name for stage in standing.stages(case) if stage.state == standing.NOW), lazy("Closed"))


def address(case: Case, *names: str) -> str:
    """The first of these pages that exists; else the case's own."""
    known = {one.name for one in base.ENTRIES}
    return base.url(case, next((name for name in names if name in known), "case"))


# --- the same for every room ------------------------------------------------------------------------


@waiting
def signatures(case: Case, user: User, at: datetime) -> Iterable[Item]:
    """Approvals that wait for this person's signature."""
    from administration.office.pages.approving import name_of, waits_for

    for request in standing.open_requests(case):
        if waits_for(request, user, at=at):
            yield Item(
                case,
                _("Signature"),
                _("%(act)s: prepared by %(person)s")
                % {"act": name_of(request.act), "person": request.prepared_by.shown_name},
                base.url(case, "approval", pk=request.pk),
                due=(request.requested_at + SIGN_WITHIN).astimezone(readable.JST).date(),
            )


@waiting
def stopped(case: Case, user: User, at: datetime) -> Iterable[Item]:
    """Stops in force: everybody sees them, two can lift them."""
    for stop in Stop.objects.filter(case=case, lifted_at__isnull=True).order_by("pk"):
        yield Item(
            case,
            _("Stop"),
            _("Sending is stopped (%(where)s): %(reason)s")
            % {"where": words.of(words.RAILS, stop.rail) if stop.rail else _("every rail"), "reason": stops.reason_of(stop)},
            address(case, "stops", "board"),
            urgent=True,
        )


@waiting
def work(case: Case, user: User, at: datetime) -> Iterable[Item]:
    """Long work that failed and was not done since, or that nobody has touched for a while."""
    from administration.office.pages.working import kind_in_words

    for job in troubled_jobs(case, at=at):
        failed = job.state == JobState.FAILED
        yield Item(
            case,
            _("Work"),
            (_("%(work)s failed: %(why)s") if failed else _("%(work)s stands still since %(why)s"))
            % {
                "work": kind_in_words(job),
                "why": wording.said(job.error) if failed else readable.instant(job.beat_at or job.started_at, get_language() or "en"),
            },
            base.url(case, "job", pk=job.pk),
            urgent=True,
        )


@waiting
def due_dates(case: Case, user: User, at: datetime) -> Iterable[Item]:
    """The case's deadlines that are near."""
    today = at.astimezone(readable.JST).date()
    near = deadlines.current(case).filter(due_date__gte=today - LOOK_BACK, due_date__lte=today + LOOK_AHEAD)
    for deadline in near[:20]:
        yield Item(
            case, _("Deadline"), words.of(words.DEADLINES, deadline.kind), address(case, "deadlines"), due=deadline.due_date
        )


@waiting
def securing_items(case: Case, user: User, at: datetime) -> Iterable[Item]:
    """Until the case is secured, nothing of the ledger is taken over."""
    if case.securing_completed_at or not appointments.may(case, user, "cases.secure", at=at):
        return
    missing = len(securing.missing(case))
    yield Item(
        case,
        _("Securing"),
        ngettext("%(count)s item of the securing checklist is open", "%(count)s items of the securing checklist are open", missing)
        % {"count": missing}
        if missing
        else _("Every item of the securing checklist is done: complete it"),
        address(case, "securing"),
        due=at.astimezone(readable.JST).date(),
    )


@waiting
def exceptions(case: Case, user: User, at: datetime) -> Iterable[Item]:
    """What the machine cannot decide: disputes, outcomes unknown, lines of evidence that fit nothing."""
    if appointments.may(case, user, "claims.decide", at=at):
        open_disputes = Dispute.objects.filter(claim_line__case=case, decision__isnull=True)
        if number := open_disputes.order_by()[:COUNT_MAX].count():
            first = open_disputes.order_by("at").values_list("at", flat=True)[0]
            yield Item(
                case,
                _("Exception"),
                ngettext("%(count)s disputed claim line to decide", "%(count)s disputed claim lines to decide", number)
                % {"count": many(number)},
                address(case, "disputes", "claims"),
                due=(first + timedelta(days=30)).astimezone(readable.JST).date(),
            )
    if appointments.may(case, user, "returns.evidence", at=at):
        unknown = Submission.objects.filter(batch__case=case, state=SubmissionState.UNKNOWN)
        if number := unknown.order_by()[:COUNT_MAX].count():
            yield Item(
                case,
                _("Exception"),
                ngettext(
                    "%(count)s part was sent and its outcome is unknown", "%(count)s parts were sent and their outcome is unknown", number
                )
                % {"count": many(number)},
                address(case, "exceptions", "board"),
                due=at.astimezone(readable.JST).date(),
            )
        odd = EvidenceLine.objects.waiting().filter(case=case)
        if number := odd.order_by()[:COUNT_MAX].count():
            yield Item(
                case,
                _("Exception"),
                ngettext("%(count)s line of a statement fits nothing", "%(count)s lines of statements fit nothing", number)
                % {"count": many(number)},
                address(case, "exceptions", "evidence"),
                due=at.astimezone(readable.JST).date(),
            )


def many(number: int) -> str:
    return f"{number:,}" if number < COUNT_MAX else _("%(count)s or more") % {"count": f"{COUNT_MAX:,}"}


def troubled_jobs(case: Case, *, at: datetime) -> list[Job]:
    """The newest job of each kind and subject, where it failed or stands still."""
    newest = Job.objects.filter(case=case).order_by("kind", "subject_id", "-pk").distinct("kind", "subject_id")
    return [
        job
        for job in Job.objects.filter(pk__in=newest.values("pk")).order_by("pk")
        if job.state == JobState.FAILED
        or (job.state == JobState.WAITING and (job.beat_at or job.started_at) < at - STALLED)
    ]


