"""Step 6: a batch is drafted of what is free to go, on one rail and in one lane; the first few of a round apart."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.cases import orders
from administration.cases.models import CourtOrder
from administration.office import readable
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import page
from administration.office.pages.returning import (
    assets_of,
    gates_table,
    rail_choices,
    rail_name,
    rails_of,
    round_of,
)
from administration.office.pages.scheduling import newest_round
from administration.returns import batches, steering


class DraftForm(forms.Form):
    def __init__(self, *args: Any, numbers: list[int], rails: list[str], standing: list[CourtOrder], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["round"] = forms.TypedChoiceField(label=_("Round"), coerce=int, choices=[(number, number) for number in numbers])
        self.fields["rail"] = forms.ChoiceField(label=_("Rail"), choices=rail_choices(rails))
        self.fields["limit"] = forms.IntegerField(
            label=_("At most so many returns"), required=False, min_value=1, max_value=batches.ITEMS_MAX,
            help_text=_("Leave empty for all. A small first batch shows whether everything arrives."),
        )  # fmt: skip
        self.fields["lane"] = forms.ChoiceField(
            label=_("Lane"), required=False, choices=[("", _("the one whose turn it is")), ("small", _("small lane")), ("large", _("large lane"))],
        )
        self.fields["value_date"] = forms.DateField(
            label=_("Value date"), required=False, widget=forms.DateInput(attrs={"type": "date"}),
            help_text=_("For bank files only. Empty: the first day on which they can move money."),
        )
        self.fields["order"] = forms.TypedChoiceField(
            label=_("Order it rests on"), required=False, coerce=int, empty_value=None,
            choices=[("", _("none")), *((order.pk, f"{order.number} · {order.issuer}") for order in standing)],
        )  # fmt: skip


@page("draft/", name="batch-draft")
class DraftBatch(ActPage):
    """batches.draft: what is scheduled and free to go, in the order of references."""

    title = lazy("Draft a batch")
    power = "returns.batch"
    intro = lazy("A draft groups what is free to go on one rail. What has a closed gate is held back under its name. Nothing leaves yet.")
    form_class = DraftForm

    def form_arguments(self) -> dict[str, Any]:
        numbers = list(self.case.rounds.filter(scheduled_at__isnull=False).order_by("-number").values_list("number", flat=True))
        standing = [order for order in self.case.orders.order_by("-pk") if orders.stands(order, self.at)]
        return {"numbers": numbers, "rails": rails_of(self.case), "standing": standing}

    def form(self, data: Any = None, files: Any = None) -> forms.Form | None:
        if data is None and newest_round(self.case.rounds) is None:
            raise batches.NothingToBatch(_("No round is scheduled to its end yet. Schedule a round first."))
        return super().form(data, files)

    def effect(self, data: dict[str, Any]) -> Effect:
        current = round_of(self.case, data["round"])
        assets = assets_of(self.case)
        limit = min(data["limit"] or batches.ITEMS_MAX, batches.ITEMS_MAX)
        lane = batches.of_lane(current, data["rail"], data.get("lane") or "")
        if steering.wants_canary(current, data["rail"]):
            limit = min(limit, current.canary)
        found, closed = batches.would_take({**lane, "limit": limit})
        total = sum(count for _code, count, _units in found)
        if not total:
            raise batches.NothingToBatch(
                _("No return of round %(round)s on rail %(rail)s has every gate open. “Held back” says what is missing.")
                % {"round": current.number, "rail": rail_name(data["rail"])}
            )
        return Effect(
            sentence=_("%(count)s returns of round %(round)s are drafted into a batch on %(rail)s.")
            % {"count": f"{total:,}", "round": current.number, "rail": rail_name(data["rail"])},
            button=_("Draft the batch"),
            figures=[
                (_("Returns"), f"{total:,}"), (_("Kept back"), f"{sum(count for _gate, count in closed):,}"),
                *([(_("Lane"), _("large lane") if lane["lane"] == "large" else _("small lane"))] if lane["lane"] else []),
            ],
            tables=[
                Table(
                    _("By asset"), [_("Asset"), _("Returns"), _("Amount")],
                    [[code, f"{count:,}", readable.money(units, assets[code])] for code, count, units in found], frozenset({1, 2}),
                ),
                gates_table(_("Kept back, and why"), closed),
            ],
            order=self._order(data),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return batches.draft(
            self.case, round_of(self.case, data["round"]), data["rail"], by=self.user, at=self.at, limit=data["limit"],
            order=self._order(data), lane=data.get("lane") or "", value_date=data.get("value_date"),
        )  # fmt: skip

    def done(self, result: Any) -> tuple[str, str]:
        return _("Batch %(batch)s is drafted. Look at it, then freeze it.") % {"batch": result}, self.url("batch", batch=result.reference)

    def back(self) -> str:
        return self.url("batches")

    def _order(self, data: dict[str, Any]) -> CourtOrder | None:
        return self.case.orders.filter(pk=data["order"]).first() if data.get("order") else None
