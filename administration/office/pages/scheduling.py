"""Step 6, first half: rounds of returns, and what keeps a return back."""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import amounts, wording
from administration.books.models import Asset
from administration.distribution.models import Run, RunState
from administration.office import readable
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import CasePage, page
from administration.office.pages.lists import Column, Filter
from administration.office.pages.returning import (
    OWNERS,
    ButtonList,
    assets_of,
    gate_sentence,
    gates_table,
    rail_choices,
    rail_name,
    rails_in_words,
    rails_of,
    return_of,
    round_of,
    rows_of,
    sums,
)
from administration.office.pages.working import KINDS
from administration.returns import batches, gates, rounds, routes
from administration.returns.models import AssetReturn, ReturnState, Round

KINDS["returns.schedule"] = lazy("Scheduling a round of returns")

FREE = f"""
SELECT a.code, count(*) FILTER (WHERE f.units >= a.payable_step),
    coalesce(sum(f.units - mod(f.units, a.payable_step)), 0), count(*) FILTER (WHERE mod(f.units, a.payable_step) > 0),
    coalesce(sum(mod(f.units, a.payable_step)), 0)
FROM register_position p
JOIN register_claimline l ON l.id = p.claim_line_id
JOIN books_asset a ON a.id = p.asset_id
CROSS JOIN LATERAL (SELECT {rounds.FREE} AS units) f
WHERE p.case_id = %s AND f.units > 0 GROUP BY a.code ORDER BY a.code
"""  # noqa: S608 - rounds.FREE is a constant

BY_STATE = """
SELECT r.state, a.code, count(*), sum(r.amount) FROM returns_assetreturn r JOIN books_asset a ON a.id = r.asset_id
WHERE r.case_id = %s AND r.round_id = %s GROUP BY 1, 2 ORDER BY 1, 2
"""

CARRIED = """
SELECT a.code, count(*), sum(k.amount) FROM returns_carried k JOIN books_asset a ON a.id = k.asset_id
WHERE k.round_id = %s GROUP BY 1 ORDER BY 1
"""

# From the rows alone: what a look at the gates wrote down last.
KEPT_BACK = """
SELECT CASE WHEN r.state = 'held' THEN r.held_by_gate ELSE 'destination' END AS gate, count(*)
FROM returns_assetreturn r
WHERE r.case_id = %s AND (r.state = 'held' OR r.state = 'scheduled' AND r.destination_id IS NULL)
GROUP BY 1 ORDER BY 2 DESC
"""


# --- rounds -------------------------------------------------------------------------------------


@page("rounds/", name="rounds", menu="returns", icon="event_repeat", order=20)
class RoundsPage(ButtonList):
    """The rounds of a case, newest first."""

    leads = True
    title = lazy("Rounds of returns")
    intro = lazy("A round schedules one return for each claim line of what an approved run has given it and a rail can pay.")
    newest_first = True

    def rows(self) -> QuerySet[Any]:
        return self.case.rounds.select_related("run")

    def columns(self) -> list[Column]:
        language = get_language() or "en"
        return [
            Column(_("Round"), lambda row: row.number, link=lambda row: self.url("round", number=row.number)),
            Column(_("Run"), lambda row: row.run.number),
            Column(_("Record date"), lambda row: readable.instant(row.record_at, language)),
            Column(_("Value date"), lambda row: readable.day(row.value_date, language)),
            Column(_("Rails"), lambda row: rails_in_words(row.rails)),
            Column(_("Scheduled at"), lambda row: readable.instant(row.scheduled_at, language)),
        ]

    def buttons(self) -> list[tuple[Any, str]]:
        if not self.may("returns.schedule"):
            return []
        return [(_("Schedule a round"), self.url("round-schedule"))]


@page("rounds/<int:number>/", name="round")
class RoundPage(CasePage):
    """One round: its returns by state and asset, its batches, and what can be done next."""

    title = lazy("Round of returns")
    template = "office/returns/round.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        current = round_of(self.case, kwargs["number"])
        assets = assets_of(self.case)
        states = [
            (ReturnState(state).label, assets[code], count, int(units), state)
            for state, code, count, units in rows_of(BY_STATE, [self.case.pk, current.pk])
        ]
        return {
            "round": current,
            "title": _("Round %(number)s") % {"number": current.number},
            "rails": rails_in_words(current.rails),
            "value_date": readable.day(current.value_date, get_language() or "en"),
            "states": states,
            "batches": [(one, rail_name(one.rail)) for one in current.batches.order_by("-pk")[:50]],
            "may_batch": self.may("returns.batch") and current.scheduled_at is not None,
            "waiting": any(state == ReturnState.SCHEDULED for *_rest, state in states),
            "plan": plan_figures(self.case, current.minimums, current.large_from, current.canary),
            "pause": current.pauses.filter(resumed_at__isnull=True).select_related("by").first(),
            "carried": [(assets[code], count, int(units)) for code, count, units in rows_of(CARRIED, [current.pk])],
            "went_on": [(one, rail_name(one.rail)) for one in current.go_aheads.select_related("by", "canary").order_by("pk")],
            "acts": self.acts(current, [state for *_rest, state in states]),
        }


    def acts(self, current: Round, states: list[str]) -> list[tuple[Any, str]]:
        """What steers the round now."""
        if not self.may("returns.schedule") or current.scheduled_at is None:
            return []
        paused = current.pauses.filter(resumed_at__isnull=True).exists()
        found = [(_("Resume the round"), "round-resume") if paused else (_("Pause the round"), "round-pause")]
        if {ReturnState.SCHEDULED, ReturnState.HELD} & set(states):
            found.append((_("Take back what waits"), "round-cancel"))
        return [(words, self.url(name, number=current.number)) for words, name in found]


class ScheduleForm(forms.Form):
    """The run, its days, a rail for each asset, and how it goes out."""

    def __init__(self, *args: Any, runs: list[Run], assets: dict[str, Asset], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.assets = assets
        self.fields["run"] = forms.TypedChoiceField(
            label=_("Declared run"), coerce=int, choices=[(run.pk, _("Run %(number)s") % {"number": run.number}) for run in runs]
        )
        day = forms.DateInput(attrs={"type": "date"})
        self.fields["value_date"] = forms.DateField(
            label=_("Value date"), required=False, widget=day,
            help_text=_("The first day on which bank files move money: a day on which banks in Japan are open. Empty: the first one."),
        )  # fmt: skip
        self.fields["record_date"] = forms.DateField(
            label=_("Record date"), required=False, widget=forms.DateInput(attrs={"type": "date"}),
            help_text=_("Claims made or decided after this day wait for the next round. Empty: the moment you press."),
        )
        self.fields["canary"] = forms.IntegerField(
            label=_("How many go first on each rail"), required=False, min_value=0, max_value=rounds.CANARY_MAX,
            help_text=_("The others follow once these arrived, were reconciled, and a person says so. Empty: all at once."),
        )
        choices = [("", rail_name("")), *rail_choices(routes.codes())]
        for code in assets:
            self.fields[f"rail_{code}"] = forms.ChoiceField(
                label=_("Rail for %(asset)s") % {"asset": code}, choices=choices, required=False,
                initial=rounds.SAMPLE_RAILS[routes.EVERY_OTHER],
            )  # fmt: skip
        for code in assets:
            self.fields[f"minimum_{code}"] = forms.CharField(
                label=_("Least of %(asset)s for a person") % {"asset": code}, required=False, max_length=60,
                help_text=_("What a person would get less of is carried to the next round."),
            )  # fmt: skip
            self.fields[f"large_{code}"] = forms.CharField(
                label=_("Large lane of %(asset)s from") % {"asset": code}, required=False, max_length=60,
                help_text=_("Returns from here on go in batches of their own."),
            )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        super().clean()
        data = self.cleaned_data
        for name in ("minimum", "large"):
            units = {}
            for code, asset in self.assets.items():
                text = data.pop(f"{name}_{code}", "")
                if text:
                    try:
                        units[code] = amounts.parse(text, asset.scale)
                    except amounts.BadAmount as wrong:
                        self.add_error(f"{name}_{code}", wording.said(str(wrong)))
            data[name] = units
        return data


@page("rounds/schedule/", name="round-schedule")
class ScheduleRound(ActPage):
    """rounds.schedule: what can be paid now of what approved runs have given."""

    title = lazy("Schedule a round")
    power = "returns.schedule"
    intro = lazy(
        "Everything that approved runs have given, is still admitted and is not on its way is scheduled as of the moment "
        "you press. What is below the smallest step a rail can pay stays with the claim for the next round."
    )
    form_class = ScheduleForm

    def form_arguments(self) -> dict[str, Any]:
        runs = list(self.case.runs.filter(state=RunState.DECLARED).order_by("-number"))
        return {"runs": runs, "assets": assets_of(self.case)}

    def effect(self, data: dict[str, Any]) -> Effect:
        run = self._run(data)
        assets = assets_of(self.case)
        found = rows_of(FREE, [self.case.pk])
        rails, language = self._rails(data), get_language() or "en"
        rows, without = [], []
        for code, count, units, small, rest in found:
            rail = rails.get(code, "")
            rows.append([code, f"{count:,}", readable.money(int(units), assets[code]), rail_name(rail),
                         f"{small:,}", readable.money(int(rest), assets[code])])  # fmt: skip
            if not rail and count:
                without.append(code)
        warnings = [
            _("%(asset)s has no rail: its returns are scheduled and wait until a round names one.") % {"asset": code}
            for code in without
        ]
        total = sum(int(row[1]) for row in found)
        if not total:
            raise rounds.NotScheduled(_("Nothing is left to schedule in case %(case)s.") % {"case": self.case})
        return Effect(
            sentence=_("%(count)s returns are scheduled after run %(run)s. Nothing leaves yet.") % {"count": f"{total:,}", "run": run.number},
            button=_("Schedule the round"),
            figures=[
                (_("Returns"), f"{total:,}"),
                (_("Run"), run.number),
                (_("Record date"), readable.day(data["record_date"], language) if data.get("record_date") else _("the moment you press")),
                (_("Value date"), readable.day(rounds.usable_value_date(data.get("value_date"), at=self.at), language)),
                *plan_figures(self.case, data["minimum"], data["large"], data.get("canary") or 0),
            ],
            tables=[
                Table(
                    _("By asset"),
                    [_("Asset"), _("Returns"), _("Amount"), _("Rail"), _("Lines with a rest"), _("Carried to the next round")],
                    rows, frozenset({1, 2, 4, 5}),
                ),
                gates_table(_("Of what is scheduled already, kept back"), rows_of(KEPT_BACK, [self.case.pk])),
            ],
            warnings=warnings,
            content_sha256=bytes(run.outputs_root or b"").hex(),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return rounds.schedule(
            self.case, self._run(data), by=self.user, at=self.at, rails=self._rails(data), value_date=data.get("value_date"),
            record_at=end_of(data["record_date"]) if data.get("record_date") else None, minimums=data["minimum"],
            large_from=data["large"], canary=data.get("canary") or 0,
        )  # fmt: skip

    def back(self) -> str:
        return self.url("rounds")

    def _run(self, data: dict[str, Any]) -> Run:
        run = self.case.runs.filter(pk=data["run"]).first()
        if run is None:
            raise Http404
        return run

    def _rails(self, data: dict[str, Any]) -> dict[str, str]:
        return {name.removeprefix("rail_"): code for name, code in data.items() if name.startswith("rail_") and code}


def end_of(day: date) -> datetime:
    """The last instant of a day in Japan."""
    return datetime.combine(day, time.max, timezone.get_current_timezone())


def plan_figures(case: Any, minimums: Mapping[str, Any], large_from: Mapping[str, Any], canary: int) -> list[tuple[Any, Any]]:
    """How a round goes out, as far as it says anything of it."""
    found: list[tuple[Any, Any]] = []
    for label, units in ((_("Least for a person"), minimums), (_("Large lane from"), large_from)):
        if units:
            found.append((label, " · ".join(money for _code, money in sums(case, units))))
    if canary:
        found.append((_("Go first on each rail"), f"{canary:,}"))
    return found


# --- what keeps returns back --------------------------------------------------------------------


@page("held/", name="held", menu="returns", icon="front_hand", order=30)
class HeldPage(CasePage):
    """What no batch takes: each closed gate with how many returns it keeps back, its sentence and whose move it is."""

    title = lazy("Held back")
    template = "office/returns/held.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        found = dict(rows_of(KEPT_BACK, [self.case.pk]))
        order = {gate.code: place for place, gate in enumerate(gates.GATES)}
        lines = []
        for code in sorted(found, key=lambda code: order.get(code, len(order))):
            gate = gates.BY_CODE.get(code)
            lines.append(
                {
                    "code": code, "count": found[code], "sentence": gate_sentence(code),
                    "owner": OWNERS.get(gate.owner, gate.owner) if gate else "",
                    "next": gate.next_act if gate else "", "days": gate.days if gate else None,
                    "link": f"{self.url('returns')}?gate={code}",
                }
            )  # fmt: skip
        open_rounds = self.case.rounds.filter(scheduled_at__isnull=False).order_by("-number")
        looks = [
            (current, rail_name(code), self.url("round-look", number=current.number, rail=code))
            for current in open_rounds[:3] for code in sorted({code for code in current.rails.values() if code})
        ] if self.may("returns.batch") else []  # fmt: skip
        return {"lines": lines, "total": sum(found.values()), "looks": looks, "all": self.url("returns")}


@page("rounds/<int:number>/look/<str:rail>/", name="round-look")
class LookAgain(ActPage):
    """batches.hold: hold what has a closed gate under its name, let go what has none any more."""

    title = lazy("Look at the gates again")
    power = "returns.batch"

    CLOSED = """
    SELECT closed[1], count(*) FROM returns_gates
    WHERE round_id = %s AND rail = %s AND state IN ('scheduled', 'held') AND cardinality(closed) > 0
    GROUP BY 1 ORDER BY 2 DESC
    """

    def effect(self, data: dict[str, Any]) -> Effect:
        current = round_of(self.case, self.kwargs["number"])
        closed = rows_of(self.CLOSED, [current.pk, self.kwargs["rail"]])
        return Effect(
            sentence=_("Each return of round %(number)s on %(rail)s that is in no batch is held under its first closed gate, or let go.")
            % {"number": current.number, "rail": rail_name(self.kwargs["rail"])},
            button=_("Look at the gates again"),
            figures=[(_("Returns with a closed gate"), f"{sum(count for _gate, count in closed):,}")],
            tables=[gates_table(_("Closed now"), closed)],
        )

    def act(self, data: dict[str, Any]) -> Any:
        current = round_of(self.case, self.kwargs["number"])
        return batches.hold(self.case, current, self.kwargs["rail"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("%(count)s returns changed.") % {"count": f"{result:,}"}, self.url("held")


@page("returns/", name="returns", menu="returns", icon="list_alt", order=25)
class ReturnsPage(ButtonList):
    """Every return of the case, by key."""

    title = lazy("Returns")

    def rows(self) -> QuerySet[Any]:
        return AssetReturn.objects.filter(case=self.case).select_related("asset", "claim_line__claim", "batch")

    def filters(self) -> list[Filter]:
        return [
            Filter("state", _("State"), list(ReturnState.choices), lambda rows, value: rows.filter(state=value)),
            Filter(
                "gate", _("Held by"), [(gate.code, gate_sentence(gate.code)) for gate in gates.GATES if gate.code != "tax"], by_gate
            ),
            Filter(
                "asset", _("Asset"), [(code, code) for code in assets_of(self.case)],
                lambda rows, value: rows.filter(asset__code=value),
            ),
            Filter("rail", _("Rail"), rail_choices(rails_of(self.case)), lambda rows, value: rows.filter(rail=value)),
        ]  # fmt: skip

    def columns(self) -> list[Column]:
        return [
            Column(_("Reference"), lambda row: row.reference, link=lambda row: self.url("return", return_reference=row.reference)),
            Column(_("Claim"), lambda row: row.claim_line.claim.number),
            Column(_("Amount"), lambda row: readable.money(row.amount, row.asset), numeric=True),
            Column(_("State"), lambda row: row.get_state_display()),
            Column(_("Held by"), lambda row: gate_sentence(row.held_by_gate, row.asset.code) if row.held_by_gate else ""),
            Column(
                _("Batch"), lambda row: row.batch.reference if row.batch else "",
                link=lambda row: self.url("batch", batch=row.batch.reference) if row.batch else "",
            ),
            Column(_("Rail"), lambda row: rail_name(row.rail)),
        ]  # fmt: skip

    def buttons(self) -> list[tuple[Any, str]]:
        return [(_("Find by reference or claim"), self.url("find"))]


def by_gate(rows: QuerySet[Any], gate: str) -> QuerySet[Any]:
    if gate == "destination":
        return rows.filter(state=ReturnState.SCHEDULED, destination__isnull=True)
    return rows.filter(state=ReturnState.HELD, held_by_gate=gate)


# --- one return ---------------------------------------------------------------------------------


@page("returns/<str:return_reference>/again/", name="return-again")
class ScheduleAgain(ActPage):
    """rounds.schedule_again: what came back, to the claim's other usable destination."""

    title = lazy("Schedule again what came back")
    power = "returns.schedule"

    def effect(self, data: dict[str, Any]) -> Effect:
        back = return_of(self.case, self.kwargs["return_reference"])
        if back.state != ReturnState.RETURNED or back.followed_by.exists():
            raise rounds.NotScheduled(_("%(return)s did not come back, or is followed by a new return already.") % {"return": back})
        usable = back.claim_line.claim.destinations.filter(asset=back.asset, state="usable", usable_from__lte=self.at).first()
        warnings = []
        if usable is None:
            warnings.append(
                _("The claim has no other usable destination for %(asset)s yet. Ask for one; until then this is refused.")
                % {"asset": back.asset.code}
            )
        return Effect(
            sentence=_("%(amount)s of claim %(claim)s is scheduled anew. It waits for the next batch.")
            % {"amount": readable.money(back.amount, back.asset), "claim": back.claim_line.claim.number},
            button=_("Schedule it again"),
            figures=[
                (_("Came back"), back.reference),
                (_("Up to"), readable.money(back.amount, back.asset)),
                (_("New destination, version"), usable.version if usable else "–"),
            ],
            warnings=warnings,
        )

    def act(self, data: dict[str, Any]) -> Any:
        return rounds.schedule_again(return_of(self.case, self.kwargs["return_reference"]), by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("Scheduled again as %(return)s.") % {"return": result}, self.url("return", return_reference=result.reference)


class CancelForm(forms.Form):
    reason = forms.CharField(label=lazy("Why"), max_length=500, widget=forms.TextInput)


@page("returns/<str:return_reference>/cancel/", name="return-cancel")
class CancelReturn(ActPage):
    """rounds.cancel: the amount stays with the claim for a later round."""

    title = lazy("Cancel a return")
    power = "returns.schedule"
    intro = lazy("Only what waits in no batch can be cancelled. The amount stays with the claim, for a later round.")
    form_class = CancelForm

    def form_arguments(self) -> dict[str, Any]:
        return_of(self.case, self.kwargs["return_reference"])  # what is not of this case is not there
        return {}

    def effect(self, data: dict[str, Any]) -> Effect:
        row = return_of(self.case, self.kwargs["return_reference"])
        return Effect(
            sentence=_("%(return)s is cancelled: %(amount)s stays with claim %(claim)s.")
            % {"return": row, "amount": readable.money(row.amount, row.asset), "claim": row.claim_line.claim.number},
            button=_("Cancel the return"),
            figures=[(_("State now"), row.get_state_display()), (_("Amount"), readable.money(row.amount, row.asset))],
        )

    def act(self, data: dict[str, Any]) -> Any:
        row = return_of(self.case, self.kwargs["return_reference"])
        return rounds.cancel(row, reason=data["reason"], by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("return", return_reference=self.kwargs["return_reference"])


def newest_round(rows: Any) -> Round | None:
    found: Round | None = rows.filter(scheduled_at__isnull=False).order_by("-number").first()
    return found
