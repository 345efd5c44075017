"""The plan: its versions, a new draft with its mistakes shown by line, and what a text would give."""

import re
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import wording
from administration.distribution import comparing, plans, runs
from administration.distribution.models import Plan, Run
from administration.errors import Refused
from administration.office import readable, words
from administration.office.pages import working
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import page
from administration.office.pages.showing import Button, Section, ShowPage, figure, link, tag, who
from administration.office.templatetags.office import jst, sha

POWER = "distribution.plan"
WHAT_IF = "what-if"
SHOWN = 100  # versions and runs on the page
ROUNDINGS = {"floor": lazy("rounded down"), "largest_remainder": lazy("by the largest remainders"), "largest remainder": lazy("by the largest remainders")}

working.KINDS[runs.COMPUTE] = lazy("Computing a run of the plan")
working.KINDS["distribution.declare"] = lazy("Declaring an approved run")


@page("plan/", name="plan", menu="plan", icon="calculate", order=1)
class PlanPage(ShowPage):
    title = lazy("Plan and runs")

    def prepare(self, **kwargs: Any) -> None:
        self.plans = list(self.case.plans.select_related("drafted_by").order_by("-version")[:SHOWN])
        self.runs = list(self.case.runs.select_related("plan", "computed_by").order_by("-number")[:SHOWN])

    def sentence(self) -> Any:
        if not self.plans:
            return _("No plan is drafted yet. A plan says what is shared, among whom, and what is kept back.")
        newest = self.runs[0] if self.runs else None
        if newest is None:
            return _("A plan is drafted and nothing is computed yet.")
        return _("Run %(run)s of plan %(plan)s is %(state)s.") % {
            "run": newest.number, "plan": newest.plan.version, "state": words.of(words.RUNS, newest.state),
        }  # fmt: skip

    def buttons(self) -> list[Button]:
        return [
            self.button(_("Draft a plan"), "plan-draft", POWER, main=True),
            self.button(_("Reconciliation"), "reconciliation"),
        ]

    def sections(self) -> list[Section]:
        drafted = Section(
            _("Versions of the plan"), head=[_("Version"), _("Name"), _("Drafted by"), _("When"), "SHA-256", ""],
            rows=[
                [
                    link(self.url("plan-version", version=row.version), f"{row.version}"), wording.said(row.name), who(row.drafted_by),
                    jst(row.drafted_at), sha(row.sha256),
                    link(self.url("run-compute", version=row.version), _("Compute")) if self.may(POWER) else "–",
                ]
                for row in self.plans
            ],
            empty=_("No plan is drafted yet."),
        )  # fmt: skip
        computed = Section(
            _("Runs"), head=[_("Run"), _("Plan"), _("Round"), _("State"), _("Claim lines"), _("Computed by"), _("When")],
            rows=[
                [
                    link(self.url("run", number=row.number), f"{row.number}"), f"{row.plan.version} · {wording.said(row.plan.name)}",
                    words.of(words.ROUNDS, row.kind), tag(words.of(words.RUNS, row.state)), f"{row.entitlement_count:,}",
                    who(row.computed_by), jst(row.computed_at),
                ]
                for row in self.runs
            ],
            numeric=frozenset({4}), empty=_("Nothing is computed yet."),
        )  # fmt: skip
        return [computed, drafted] if self.runs else [drafted]


@page("plan/<int:version>/", name="plan-version")
class PlanVersion(ShowPage):
    title = lazy("A version of the plan")
    template = "office/planning/version.html"

    def prepare(self, **kwargs: Any) -> None:
        self.plan = get_object_or_404(Plan.objects.select_related("drafted_by"), case=self.case, version=kwargs["version"])

    def sentence(self) -> Any:
        return _("Version %(version)s: %(name)s.") % {"version": self.plan.version, "name": wording.said(self.plan.name)}

    def figures(self) -> list[tuple[Any, Any]]:
        return [(_("Drafted by"), who(self.plan.drafted_by)), (_("When"), jst(self.plan.drafted_at)), ("SHA-256", sha(self.plan.sha256))]

    def buttons(self) -> list[Button]:
        return [
            self.button(_("Compute"), "run-compute", POWER, version=self.plan.version, main=True),
            Button(_("Draft a version from it"), f"{self.url('plan-draft')}?from={self.plan.version}" if self.may(POWER) else ""),
        ]

    def context(self, **kwargs: Any) -> dict[str, Any]:
        made = super().context(**kwargs)
        return made | {"lines": list(enumerate(self.plan.body.splitlines(), start=1))}


# --- drafting -------------------------------------------------------------------------------------


class Drafting(forms.Form):
    body = forms.CharField(
        label=lazy("The plan, in TOML"), strip=False, max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 32, "spellcheck": "false", "class": "plan", "wrap": "off"}),
    )  # fmt: skip

    def clean_body(self) -> str:
        return str(self.cleaned_data["body"]).replace("\r\n", "\n")


@page("plan/draft/", name="plan-draft")
class DraftPlan(ActPage):
    """Two buttons: what this text would give (nothing stays), and keeping it as the next version."""

    title = lazy("Draft a plan")
    template = "office/planning/draft.html"
    power = POWER
    form_class = Drafting
    intro = lazy("Begin from the example or the last version and change what differs. Lines that begin with # explain. “What would it give?” leaves nothing behind.")

    def form_arguments(self) -> dict[str, Any]:
        return {"initial": {"body": self.beginning()}}

    def beginning(self) -> str:
        """The text to begin from: the version asked for, the newest one, or the documented example."""
        asked = self.request.GET.get("from", "")
        rows = self.case.plans.order_by("-version")
        chosen = rows.filter(version=int(asked)).first() if asked.isdecimal() and len(asked) < 9 else rows.first()
        if chosen:
            return chosen.body
        japanese = (get_language() or "").startswith("ja")
        return (plans.EXAMPLE_JA if japanese else plans.EXAMPLE).read_text(encoding="utf-8")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.POST.get("stage") != WHAT_IF:
            return super().post(request, *args, **kwargs)
        form = Drafting(request.POST)
        if not form.is_valid():
            return self.show({"form": form, "intro": self.intro, "trouble": True}, status=400)
        try:
            return self.show({"form": form, "intro": self.intro, "would": self.would_give(form.cleaned_data["body"])})
        except Refused as refusal:
            return self.show({"form": form, "intro": self.intro, "refusal": str(refusal)}, status=409)

    def show(self, context: dict[str, Any], *, template: str = "", status: int = 200) -> HttpResponse:
        """A text with a mistake is shown again with its lines numbered, and the line that is meant marked."""
        form = context.get("form")
        if context.get("refusal") and form is not None and form.is_bound:
            body = form.data.get("body", "").replace("\r\n", "\n")
            at = line_of(body, context["refusal"])
            numbered = [(n, text, n == at) for n, text in enumerate(body.splitlines(), start=1)]
            near = [row for row in numbered if at and abs(row[0] - at) <= 3]
            context = {**context, "line": at, "near": near}
        return super().show(context, template=template, status=status)

    def would_give(self, body: str) -> dict[str, Any]:
        """What the text would give now, beside the last run. Nothing of it stays."""
        with runs.what_if(self.case, body, by=self.user, at=self.at) as run:
            return self.seen(run)
        raise AssertionError("what_if yields once")

    def seen(self, run: Run) -> dict[str, Any]:
        last = comparing.earlier(run)
        return {
            "sentence": _("It would give to %(n)s claim lines as follows. Nothing of this was kept.") % {"n": f"{run.entitlement_count:,}"},
            "warnings": runs.warnings(run),
            "sections": [pools_of(run), *([changes(run, last)] if last else [])],
        }

    def effect(self, data: dict[str, Any]) -> Effect:
        rules = plans.read(data["body"])
        sharings = plans.pairs(self.case, rules)
        newest = self.case.plans.order_by("-version").first()
        same = newest is not None and newest.body == data["body"]
        return Effect(
            _("“%(name)s” is kept as version %(version)s of the plan. Nothing is computed yet.")
            % {"name": wording.said(rules.name), "version": (newest.version + 1 if newest else 1) if not same else newest.version},  # type: ignore[union-attr]
            _("Keep the draft"),
            figures=[(_("Round"), words.of(words.ROUNDS, rules.kind)), (_("Pools"), f"{len(rules.pools)}")],
            tables=[
                Table(
                    _("What is shared, and among whom"), [_("Pool"), _("Asset"), _("Classes that share"), _("Rounding"), _("Kept back")],
                    [
                        [wording.said(one.pool.name), one.asset.code, readable.listed(words.of(words.CLASSES, name) for name in one.classes), words.of(ROUNDINGS, one.rounding),
                         one.pool.holdback.reason or "–"]
                        for one in sharings
                    ],
                )
            ],
            warnings=[_("This is the newest version already; nothing new is kept.")] if same else [],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return plans.draft(self.case, data["body"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("Version %(version)s is kept.") % {"version": result.version}, self.url("plan-version", version=result.version)


def line_of(body: str, refusal: str) -> int | None:
    """The line that a refusal of a plan speaks of: as TOML says it, or the one in which most of its quoted words stand."""
    said = re.search(r"line (\d+)", refusal)
    if said:
        return int(said[1])
    quoted = re.findall(r"[“「『](.+?)[”」』]", refusal)
    best, found = 0, None
    for n, text in enumerate(body.splitlines(), start=1):
        code = text.split("#", 1)[0]
        weight = sum((word in code) + 2 * bool(re.match(rf"\s*{re.escape(word)}\s*=", code)) for word in quoted)
        if weight > best:
            best, found = weight, n
    return found


# --- what a run says ------------------------------------------------------------------------------


def pools_of(run: Run) -> Section:
    """Per pool and asset: what is there, what is given, what is left."""
    rows = run.pools.select_related("asset").order_by("pool", "asset__code")
    return Section(
        _("Per pool and asset"), head=[
            _("Pool"), _("Asset"), _("Free"), _("Kept back"), _("Given before"), _("Claims"), _("Given by this run"), _("Taken back"),
            _("Reserved for disputes"), _("Left in the pool"), _("Of the claims"),
        ],
        rows=[
            [
                wording.said(row.pool), row.asset.code,
                *(figure(units, row.asset) for units in (
                    row.free, row.held_back, row.given_before, row.weights, row.distributed, row.withdrawn, row.reserved, row.left)),
                rate(row.effective, row.weights),
            ]
            for row in rows
        ],
        numeric=frozenset(range(2, 11)), apart=True,
    )  # fmt: skip


def rate(part: int, whole: int) -> str:
    """Hundredths of a percent, rounded down."""
    if not whole:
        return "–"
    hundredths = part * 10_000 // whole
    return f"{hundredths // 100}.{hundredths % 100:02} %"


def changes(run: Run, last: Run) -> Section:
    """Who gets more and who gets less than by the last run."""
    return Section(
        _("Beside run %(run)s (%(state)s)") % {"run": last.number, "state": words.of(words.RUNS, last.state)},
        head=[_("Asset"), _("Lines that hold more"), _("The same"), _("Less"), _("More by"), _("Less by")],
        rows=[
            [one.asset.code, f"{one.more:,}", f"{one.same:,}", f"{one.less:,}", figure(one.gained, one.asset), figure(one.lost, one.asset)]
            for one in comparing.beside(run, last)
        ],
        numeric=frozenset(range(1, 6)),
    )  # fmt: skip


