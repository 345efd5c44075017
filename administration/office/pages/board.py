"""The returns board: where every return is now, how fast it goes, whether the money ties, and the way to stop it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from administration.amounts import show
from administration.cases import stops
from administration.cases.models import Stop
from administration.cases.powers import SIGNING_KINDS
from administration.office import readable, tallies
from administration.office.pages.base import CasePage, page
from administration.office.pages.returning import assets_of, rail_name, rails_of
from administration.office.pages.working import kind_in_words, progress
from administration.returns import settlement
from administration.work.models import Job, JobState

# The parts of a rail's bar, in the order of the way; each has its own pattern as well as its colour.
STAGES: tuple[tuple[str, tuple[str, ...], Any], ...] = (
    ("settled", ("settled",), lazy("settled")),
    ("sent", ("sent",), lazy("sent")),
    ("waiting", ("scheduled", "ready"), lazy("waiting")),
    ("held", ("held",), lazy("held back")),
    ("unknown", ("unknown",), lazy("unknown")),
    ("returned", ("returned",), lazy("came back")),
)
RECENT_JOBS = 5
WIDTH, HEIGHT, FOOT = 720, 120, 16


@dataclass(frozen=True)
class RailLine:
    """One rail as the board shows it."""

    code: str
    name: str
    total: int
    parts: list[tuple[str, Any, int, str]]  # stage, words, count, share of the bar
    words: str
    stopped: Stop | None


@page("board/", name="board", menu="returns", icon="monitoring", order=10)
class Board(CasePage):
    """Read from rows each time: right whatever worker has just died. `?live` is only the part that changes."""

    title = lazy("Returns board")
    template = "office/board/board.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        template = "office/board/live.html" if "live" in request.GET else self.template
        return self.show(self.context(**kwargs), template=template)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        counted = tallies.counts(self.case)
        open_stops = list(self.case.stops.filter(lifted_at__isnull=True).select_related("by").prefetch_related("lifts__by").order_by("pk"))
        everything = next((stop for stop in open_stops if not stop.rail), None)
        rails = [self.line(rail, open_stops) for rail in counted.rails]
        sums = {key: sum(rail.count(*stages) for rail in counted.rails) for key, stages, _words in STAGES}
        minutes = tallies.settled_by_minute(self.case, now=self.at)
        oldest = min((rail.oldest_unknown for rail in counted.rails if rail.oldest_unknown), default=None)
        return {
            "rails": rails,
            "sums": [(key, words, sums[key]) for key, _stages, words in STAGES],
            "oldest": readable.seconds((self.at - oldest).total_seconds()) if oldest else "",
            "money": self.money(),
            "jobs": self.jobs(),
            "stops": [(stop, stops.reason_of(stop), self.lifts(stop)) for stop in open_stops],
            "stopped": everything is not None,
            "signs": self.appointment.kind in SIGNING_KINDS,
            "form": StopForm(rails=rails_of(self.case)),
            "chart": chart(minutes),
            "minutes": [(f"{at:%H:%M}", settled, back) for at, settled, back in minutes if settled or back],
            "needs": self.needs(sums),
            "clock": f"{self.at.astimezone(readable.JST):%H:%M:%S}",
            "counted": readable.seconds(max(0.0, (self.at - counted.at).total_seconds())),
            "old": (self.at - counted.at).total_seconds() > 2,
        }

    def line(self, rail: tallies.Rail, open_stops: list[Stop]) -> RailLine:
        total = rail.total
        parts = [
            (key, words, rail.count(*stages), f"{rail.count(*stages) * 100 / total:.3f}" if total else "0")
            for key, stages, words in STAGES
        ]
        words = [_("%(done)s of %(total)s settled") % {"done": f"{rail.count('settled'):,}", "total": f"{total:,}"}]
        if rail.rate:
            words.append(_("%(rate)s a second leave") % {"rate": f"{rail.rate:,.1f}"})
        if rail.seconds_left is not None:
            words.append(_("all out in about %(span)s") % {"span": readable.seconds(rail.seconds_left)})
        if rail.oldest_unknown:
            words.append(_("oldest unknown %(span)s") % {"span": readable.seconds((self.at - rail.oldest_unknown).total_seconds())})
        stopped = next((stop for stop in open_stops if stop.rail == rail.code), None)
        return RailLine(rail.code, rail_name(rail.code), total, parts, " · ".join(words), stopped)

    def money(self) -> dict[str, Any]:
        """The books' own equation, read now; and both whole statements as they were proved last."""
        assets = assets_of(self.case)
        now = tallies.balances(self.case)
        proved = tallies.tied(self.case)
        worst: dict[str, int] = {}
        for code, _statement, difference in proved.differences:
            worst[code] = worst.get(code) or difference
        rows = []
        for code, asset in assets.items():
            off, flying, owed = now.get(asset.pk, (0, 0, 0))
            rows.append((asset, off or worst.get(code, 0), flying, owed))
        bad = [f"{asset.code} {show(off, asset.scale)}" for asset, off, _flying, _owed in rows if off]
        return {
            "rows": rows, "ok": not bad and proved.ok, "bad": ", ".join(bad),
            "age": readable.seconds(max(0.0, (self.at - proved.at).total_seconds())),
        }  # fmt: skip

    def jobs(self) -> list[tuple[Job, str, str, str]]:
        """Work under way, and the newest that failed."""
        mine = Job.objects.filter(case=self.case, kind__startswith="returns.")
        live = list(mine.filter(state=JobState.WAITING).order_by("-pk")[:RECENT_JOBS])
        failed = list(mine.filter(state=JobState.FAILED).order_by("-pk")[:1])
        if failed and mine.filter(kind=failed[0].kind, subject_id=failed[0].subject_id, pk__gt=failed[0].pk).exists():
            failed = []  # it was begun anew since
        return [(job, kind_in_words(job), progress(job, self.at), self.url("job", pk=job.pk)) for job in [*live, *failed]]

    def needs(self, sums: dict[str, int]) -> list[tuple[str, str]]:
        """What waits for a person, in words, and where."""
        queued = settlement.queue_of(self.case)
        exceptions = self.url("exceptions")
        found = []
        if sums["unknown"]:
            words = ngettext("%(count)s return has an unknown outcome", "%(count)s returns have an unknown outcome", sums["unknown"])
            found.append((words % {"count": f"{sums['unknown']:,}"}, f"{exceptions}#unknown"))
        if queued:
            words = ngettext("%(count)s line of evidence does not fit", "%(count)s lines of evidence do not fit", queued)
            found.append((words % {"count": f"{queued:,}"}, f"{exceptions}#lines"))
        if sums["returned"]:
            words = ngettext("%(count)s return came back", "%(count)s returns came back", sums["returned"])
            found.append((words % {"count": f"{sums['returned']:,}"}, f"{exceptions}#returned"))
        if sums["held"]:
            words = ngettext("%(count)s return is held back", "%(count)s returns are held back", sums["held"])
            found.append((words % {"count": f"{sums['held']:,}"}, self.url("held")))
        return found

    def lifts(self, stop: Stop) -> str:
        said = ", ".join(lift.by.first_name or lift.by.username for lift in stop.lifts.all())
        return _("%(people)s says it may resume; one more person must.") % {"people": said} if said else ""


# --- stopping: one press, at once ---------------------------------------------------------------


class StopForm(forms.Form):
    """What is to stop, and why."""

    def __init__(self, *args: Any, rails: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.auto_id = "stop-%s"
        self.fields["rail"] = forms.ChoiceField(
            label=_("Stop"), required=False, choices=[("", _("everything in this case")), *((code, rail_name(code)) for code in rails)]
        )
        self.fields["reason"] = forms.CharField(label=_("Why, in one sentence"), max_length=500, widget=forms.TextInput)


@page("stop/", name="stop", menu="returns", icon="dangerous", order=12)
class StopNow(CasePage):
    """
    stops.stop in one step: an emergency does not wait for a second page, and two people can undo it.

    A second press finds what it would stop stopped already, and does nothing.
    """

    title = lazy("STOP sending")
    template = "office/board/stop.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        chosen = {"rail": self.request.GET.get("rail", "")}
        return {"form": StopForm(rails=rails_of(self.case), initial=chosen)}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = StopForm(request.POST, rails=rails_of(self.case))
        if not form.is_valid():
            return self.show({"form": form, "trouble": True}, status=400)
        rail = form.cleaned_data["rail"]
        standing = self.case.stops.filter(rail=rail, lifted_at__isnull=True).first()
        if standing is None:
            stops.stop(self.case, reason=form.cleaned_data["reason"], by=self.user, at=self.at, rail=rail)
            messages.success(request, _("Stopped: nothing more leaves on %(where)s. Two people can resume it.") % {"where": where(rail)})
        else:
            messages.info(request, _("It was stopped already. Nothing leaves on %(where)s.") % {"where": where(rail)})
        return redirect(self.url("board"))


def where(rail: str) -> str:
    return rail_name(rail) if rail else _("every rail")


# --- the picture --------------------------------------------------------------------------------


def chart(minutes: list[tuple[datetime, int, int]]) -> SafeString | str:
    """Settled, and came back, minute by minute: an SVG of bars, with patterns besides colours. Its twin is the table."""
    most = max((settled + back for _at, settled, back in minutes), default=0)
    if not most:
        return ""
    step = WIDTH / len(minutes)
    bars = []
    for n, (_at, settled, back) in enumerate(minutes):
        tall, short = (settled * (HEIGHT - FOOT) / most, back * (HEIGHT - FOOT) / most)
        x, wide, floor = f"{n * step + 2:.1f}", f"{step - 4:.1f}", HEIGHT - FOOT
        if settled:
            bars.append((x, f"{floor - tall:.1f}", wide, f"{tall:.1f}", "settled"))
        if back:
            bars.append((x, f"{floor - tall - short:.1f}", wide, f"{short:.1f}", "returned"))
    return format_html(
        '<svg class="minutes" viewBox="0 0 {w} {h}" role="img" aria-label="{label}" preserveAspectRatio="none">'
        '<line x1="0" y1="{f}" x2="{w}" y2="{f}" class="axis"></line>{bars}</svg>'
        '<p class="ends"><span>{first}</span><span>{most}</span><span>{last}</span></p>',
        w=WIDTH, h=HEIGHT, f=HEIGHT - FOOT,
        label=_("Settled and come back, minute by minute; the table below says the same"),
        bars=format_html_join("", '<rect x="{}" y="{}" width="{}" height="{}" class="{}"></rect>', bars),
        first=f"{minutes[0][0]:%H:%M}", last=f"{minutes[-1][0]:%H:%M}",
        most=_("at most %(count)s a minute") % {"count": f"{most:,}"},
    )  # fmt: skip
