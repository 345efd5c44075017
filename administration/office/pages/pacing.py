"""How fast and when rails send: limits and hours. Narrower at once; wider is asked of two people."""

from datetime import time
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import amounts, wording
from administration.books.models import Asset
from administration.cases.models import ApprovalRequest, Case
from administration.office import readable
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.approving import EFFECTS, NAMES
from administration.office.pages.base import page
from administration.office.pages.returning import assets_of, rail_choices, rail_name, rails_of
from administration.office.pages.showing import Button, Section, ShowPage, who
from administration.returns import hours, limits, pace, routes
from administration.returns.models import LimitKind, PaceChange, RailLimit

NAMES[pace.ACT] = lazy("Let a rail carry more, or at other hours")

KINDS: dict[str, Any] = {
    LimitKind.RATE: lazy("What leaves within a time"),
    LimitKind.PART: lazy("Returns in one part"),
    LimitKind.SIGN: lazy("One signature more above"),
}
TIMES: dict[int, Any] = {60: lazy("in a minute"), 3_600: lazy("in an hour"), 86_400: lazy("in a day")}


def how_much(units: int, asset: Asset | None) -> str:
    return readable.money(units, asset) if asset else _("%(count)s returns") % {"count": f"{units:,}"}


def in_what_time(seconds: int) -> str:
    if not seconds:
        return "–"
    return str(TIMES[seconds]) if seconds in TIMES else _("in %(seconds)s seconds") % {"seconds": f"{seconds:,}"}


@page("limits/", name="limits", menu="returns", icon="speed", order=60)
class LimitsPage(ShowPage):
    """What holds on each rail of the case."""

    title = lazy("Limits and hours of rails")

    def sentence(self) -> Any:
        return _("What would go over a limit, or leaves outside the hours, waits. Narrower holds at once; wider is signed by two people.")

    def notices(self) -> list[tuple[str, Any]]:
        return [
            ("warning", _("%(rail)s keeps its hours: it sends again from %(at)s.") % {"rail": rail_name(code), "at": self.instant(opens)})
            for code in self.rails()
            if (opens := hours.opens_at(self.case, code, self.at)) is not None
        ]

    def buttons(self) -> list[Button]:
        return [
            self.button(_("Change a limit"), "limit-change", "returns.stop", main=True),
            self.button(_("Set hours"), "hours-set", "returns.stop"),
        ]

    def sections(self) -> list[Section]:
        return [self.section(code) for code in self.rails()] or [Section(_("No rail is limited"), _("Every rail sends as fast as it takes."))]

    def rails(self) -> list[str]:
        used = {row.rail for row in limits.in_force(self.case)} | set(self.case.rail_windows.values_list("rail", flat=True))
        return sorted(used | set(rails_of(self.case)))

    def section(self, code: str) -> Section:
        window = hours.in_force(self.case, code)
        return Section(
            rail_name(code),
            _("Hours: %(hours)s") % {"hours": hours.in_words(window)} if window else _("Hours: any"),
            [_("Limit"), _("At most"), _("Within"), _("Since"), _("By"), _("How")],
            [
                [
                    str(KINDS[row.kind]), how_much(row.at_most, row.asset), in_what_time(row.seconds), self.instant(row.at), who(row.by),
                    _("by two people") if row.change_id else _("narrowed"),
                ]
                for row in limits.in_force(self.case, code)
            ],
            frozenset({1}),
            _("No limit: as much as the rail takes."),
        )  # fmt: skip


class LimitForm(forms.Form):
    """One limit of one rail."""

    rail = forms.ChoiceField(label=lazy("Rail"))
    kind = forms.ChoiceField(label=lazy("What is limited"), choices=list(KINDS.items()))
    asset = forms.ChoiceField(label=lazy("Asset"), required=False, help_text=lazy("Empty: the number of returns."))
    seconds = forms.TypedChoiceField(
        label=lazy("Within"), coerce=int, choices=list(TIMES.items()), initial=3_600,
        help_text=lazy("Counts for what leaves within a time only."),
    )  # fmt: skip
    at_most = forms.CharField(label=lazy("At most"), max_length=60)
    reason = forms.CharField(
        label=lazy("Why"), max_length=500, required=False, widget=forms.TextInput,
        help_text=lazy("Needed where more is to be let through than now."),
    )  # fmt: skip

    def __init__(self, *args: Any, rails: list[tuple[str, str]], assets: dict[str, Asset], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.assets = assets
        for name, choices in (("rail", rails), ("asset", [("", "–"), *((code, code) for code in assets)])):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = choices

    def clean(self) -> dict[str, Any]:
        super().clean()
        data = self.cleaned_data
        asset = self.assets.get(data.get("asset", ""))
        if data.get("kind") != LimitKind.RATE:
            data["seconds"] = 0
        try:
            if "at_most" in data:  # a field that says already what is wrong with it says it once
                data["at_most"] = amounts.parse(data["at_most"].replace(",", ""), asset.scale if asset else 0)
        except amounts.BadAmount as wrong:
            self.add_error("at_most", wording.said(str(wrong)))
        data["asset"] = asset
        return data


class Narrowing(ActPage):
    """Done at once where it narrows; asked of two people where it widens."""

    power = "returns.stop"

    def back(self) -> str:
        return self.url("limits")


@page("limits/change/", name="limit-change")
class ChangeLimit(Narrowing):
    """limits.put, or limits.ask."""

    title = lazy("Change a limit")
    form_class = LimitForm
    intro = lazy("A limit lets a mistake leave slowly enough for somebody to press stop. To let nothing through, stop the rail.")

    def form_arguments(self) -> dict[str, Any]:
        return {"rails": rail_choices(routes.codes()), "assets": assets_of(self.case)}

    def effect(self, data: dict[str, Any]) -> Effect:
        held = limits.before(self.wanted(data))
        wider = held is not None and data["at_most"] > held.at_most
        words = {"rail": rail_name(data["rail"]), "what": how_much(data["at_most"], data["asset"])}
        return Effect(
            sentence=_("%(rail)s: at most %(what)s. Two people are asked to sign it; until then what holds now stays.") % words
            if wider
            else _("%(rail)s: at most %(what)s, from the moment you press.") % words,
            button=_("Ask two people") if wider else _("Limit the rail"),
            figures=[
                (_("Limit"), str(KINDS[data["kind"]])), (_("Time"), in_what_time(data["seconds"])),
                (_("Now"), how_much(held.at_most, held.asset) if held else _("no limit")),
                (_("Then"), how_much(data["at_most"], data["asset"])), (_("Why"), data["reason"] or "–"),
            ],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        held = limits.before(self.wanted(data))
        given = {name: data[name] for name in ("at_most", "seconds", "asset", "kind")}
        if held is not None and data["at_most"] > held.at_most:
            return limits.ask(self.case, data["rail"], reason=data["reason"], by=self.user, at=self.at, **given)
        return limits.put(self.case, data["rail"], by=self.user, at=self.at, **given)

    def wanted(self, data: dict[str, Any]) -> RailLimit:
        return RailLimit(case=self.case, rail=data["rail"], kind=data["kind"], asset=data["asset"], seconds=data["seconds"])


class HoursForm(forms.Form):
    """The hours of one rail."""

    rail = forms.ChoiceField(label=lazy("Rail"))
    opens = forms.TimeField(label=lazy("From"), initial=time(9), widget=forms.TimeInput(attrs={"type": "time"}))
    closes = forms.TimeField(label=lazy("To"), initial=time(15), widget=forms.TimeInput(attrs={"type": "time"}))
    bank_days = forms.BooleanField(label=lazy("On bank days of Japan only"), required=False, initial=True)
    reason = forms.CharField(
        label=lazy("Why"), max_length=500, required=False, widget=forms.TextInput,
        help_text=lazy("Needed where the rail keeps other hours now."),
    )  # fmt: skip

    def __init__(self, *args: Any, rails: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["rail"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = rails


@page("limits/hours/", name="hours-set")
class SetHours(Narrowing):
    """hours.put, or hours.ask."""

    title = lazy("Set the hours of a rail")
    form_class = HoursForm
    intro = lazy("Outside its hours a rail sends nothing: parts wait, and go out when it opens. Hours are those of Japan.")

    def form_arguments(self) -> dict[str, Any]:
        return {"rails": rail_choices(routes.codes())}

    def effect(self, data: dict[str, Any]) -> Effect:
        held = hours.in_force(self.case, data["rail"])
        then = f"{data['opens']:%H:%M} – {data['closes']:%H:%M}"
        return Effect(
            sentence=_("%(rail)s sends from %(hours)s only.") % {"rail": rail_name(data["rail"]), "hours": then}
            + (" " + _("Two people are asked to sign it; until then what holds now stays.") if held else ""),
            button=_("Ask two people") if held else _("Set the hours"),
            figures=[
                (_("Now"), hours.in_words(held) if held else _("any hour")), (_("Then"), then),
                (_("On bank days of Japan only"), _("yes") if data["bank_days"] else _("no")), (_("Why"), data["reason"] or "–"),
            ],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        given = {"opens": data["opens"], "closes": data["closes"], "bank_days_only": data["bank_days"], "by": self.user, "at": self.at}
        if hours.in_force(self.case, data["rail"]) is not None:
            return hours.ask(self.case, data["rail"], reason=data["reason"], **given)
        return hours.put(self.case, data["rail"], **given)


def describe(request: ApprovalRequest, case: Case) -> Effect:
    """What two people sign: what holds now, and what would."""
    change = PaceChange.objects.select_related("by").get(pk=request.object_id, case=case)
    said = pace.said(change)
    if said["kind"] == "window":
        held = hours.in_force(case, change.rail)
        figures = [(_("Hours now"), hours.in_words(held) if held else _("any hour")), (_("Hours then"), f"{said['opens']} – {said['closes']}"),
                   (_("On bank days of Japan only"), _("yes") if said["bank_days"] == "yes" else _("no"))]  # fmt: skip
    else:
        asset = assets_of(case).get(said["asset"])
        row = RailLimit(case=case, rail=change.rail, kind=said["kind"], asset=asset, seconds=int(said["seconds"]))
        now = limits.before(row)
        figures = [
            (_("Limit"), str(KINDS[said["kind"]])), (_("Time"), in_what_time(row.seconds)),
            (_("Now"), how_much(now.at_most, now.asset) if now else _("no limit")), (_("Then"), how_much(int(said["at_most"]), asset)),
        ]  # fmt: skip
    return Effect(
        sentence=_("%(rail)s may carry more, or at other hours: %(why)s") % {"rail": rail_name(change.rail), "why": change.reason},
        button=_("Sign"),
        figures=[*figures, (_("Asked by"), who(change.by))],
        content_sha256=bytes(request.content_sha256).hex(),
    )


EFFECTS[pace.ACT] = describe
