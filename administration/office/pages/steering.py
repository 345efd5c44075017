"""Steering a round: paused, resumed, taken back, planned anew, gone on with; and files carried out of the house."""

import io
import zipfile
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import CasePage, page
from administration.office.pages.batching import attachment
from administration.office.pages.returning import (
    assets_of,
    batch_of,
    in_short,
    rail_choices,
    rail_name,
    round_of,
    rows_of,
)
from administration.office.pages.working import KINDS
from administration.office.readable import money
from administration.rails.interface import CarriedRail
from administration.returns import cancelling, routes, steering, submissions
from administration.returns.models import Batch, BatchState, Round, SubmissionState

KINDS["returns.cancel"] = lazy("Taking back what waits of a round")

WAITING = """
SELECT a.code, count(*), sum(r.amount) FROM returns_assetreturn r JOIN books_asset a ON a.id = r.asset_id
WHERE r.case_id = %s AND r.round_id = %s AND r.state IN ('scheduled', 'held') GROUP BY 1 ORDER BY 1
"""


class Why(forms.Form):
    reason = forms.CharField(label=lazy("Why"), max_length=500, widget=forms.TextInput)


class OfRound(ActPage):
    """An act on one round of the case."""

    power = "returns.schedule"

    def round(self) -> Round:
        return round_of(self.case, self.kwargs["number"])

    def form_arguments(self) -> dict[str, Any]:
        self.round()  # what is not of this case is not there
        return {}

    def about(self) -> str:
        return _("Round %(number)s") % {"number": self.kwargs["number"]}

    def back(self) -> str:
        return self.url("round", number=self.kwargs["number"])


@page("rounds/<int:number>/pause/", name="round-pause")
class PauseRound(OfRound):
    """steering.pause"""

    title = lazy("Pause a round")
    form_class = Why
    intro = lazy("Nothing of a paused round is batched, exported or sent. What is on its way goes on. To stop at once and for safety, press stop.")

    def effect(self, data: dict[str, Any]) -> Effect:
        current = self.round()
        return Effect(
            sentence=_("Round %(round)s is paused: %(reason)s") % {"round": current.number, "reason": data["reason"]},
            button=_("Pause the round"),
            figures=[(_("Why"), data["reason"])],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return steering.pause(self.round(), reason=data["reason"], by=self.user, at=self.at)


@page("rounds/<int:number>/resume/", name="round-resume")
class ResumeRound(OfRound):
    """steering.resume"""

    title = lazy("Resume a round")

    def effect(self, data: dict[str, Any]) -> Effect:
        current = self.round()
        paused = current.pauses.filter(resumed_at__isnull=True).first()
        if paused is None:
            raise steering.NotSteered(_("Round %(round)s is not paused.") % {"round": current.number})
        return Effect(
            sentence=_("Round %(round)s goes on where it was.") % {"round": current.number},
            button=_("Resume the round"),
            figures=[(_("Paused since"), self.instant(paused.at)), (_("Why"), paused.reason)],
        )

    def act(self, data: dict[str, Any]) -> Any:
        steering.resume(self.round(), by=self.user, at=self.at)


class CancelForm(Why):
    """Why, and whether a new round follows by other rails."""

    anew = forms.BooleanField(label=lazy("Schedule what is taken back anew, on these rails"), required=False)

    def __init__(self, *args: Any, codes: list[str], rails: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["value_date"] = forms.DateField(
            label=_("Value date"), required=False, widget=forms.DateInput(attrs={"type": "date"}),
            help_text=_("Of the new round. Empty: the first day on which banks are open."),
        )  # fmt: skip
        choices = [("", rail_name("")), *rail_choices(routes.codes())]
        for code in codes:
            self.fields[f"rail_{code}"] = forms.ChoiceField(
                label=_("Rail for %(asset)s") % {"asset": code}, choices=choices, required=False,
                initial=routes.of_asset(code, rails),
            )  # fmt: skip


@page("rounds/<int:number>/cancel/", name="round-cancel")
class CancelRound(OfRound):
    """cancelling.cancel, with or without a plan for a new round"""

    title = lazy("Take back what waits of a round")
    form_class = CancelForm
    intro = lazy("What waits in no batch is taken back: the amounts stay with their claims. What is batched, void first if it is to be taken back too.")

    def form_arguments(self) -> dict[str, Any]:
        return {"codes": list(assets_of(self.case)), "rails": self.round().rails}

    def effect(self, data: dict[str, Any]) -> Effect:
        current, assets = self.round(), assets_of(self.case)
        rows = rows_of(WAITING, [self.case.pk, current.pk])
        total = sum(count for _code, count, _units in rows)
        if not total:
            raise cancelling.NotCancelled(_("Nothing of round %(round)s waits in no batch.") % {"round": current.number})
        said = _("%(count)s returns of round %(round)s are taken back.") % {"count": f"{total:,}", "round": current.number}
        rails = self.rails(data)
        follows = _("A new round of the same run follows.")
        return Effect(
            sentence=f"{said} {follows}" if data["anew"] else said,
            button=_("Take back and schedule anew") if data["anew"] else _("Take back what waits"),
            figures=[(_("Returns"), f"{total:,}"), (_("Why"), data["reason"])],
            tables=[
                Table(
                    _("By asset"), [_("Asset"), _("Returns"), _("Amount"), _("Rail of the new round")],
                    [
                        [code, f"{count:,}", money(int(units), assets[code]), rail_name(rails.get(code, "")) if data["anew"] else "–"]
                        for code, count, units in rows
                    ],
                    frozenset({1, 2}),
                )
            ],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        anew = {"rails": self.rails(data), "value_date": data["value_date"]} if data["anew"] else None
        return cancelling.cancel(self.round(), reason=data["reason"], by=self.user, at=self.at, anew=anew)

    def rails(self, data: dict[str, Any]) -> dict[str, str]:
        return {name.removeprefix("rail_"): code for name, code in data.items() if name.startswith("rail_") and code}


# --- of a batch -----------------------------------------------------------------------------------------


class OfBatch(ActPage):
    """An act on one batch of the case."""

    power = "returns.export"

    def batch(self) -> Batch:
        return batch_of(self.case, self.kwargs["batch"])

    def form_arguments(self) -> dict[str, Any]:
        self.batch()
        return {}

    def about(self) -> str:
        return _("Batch %(batch)s") % {"batch": self.kwargs["batch"]}

    def back(self) -> str:
        return self.url("batch", batch=self.kwargs["batch"])


class NoteForm(forms.Form):
    note = forms.CharField(
        label=lazy("Why the others may follow, where not all arrived"), max_length=500, required=False, widget=forms.TextInput
    )


@page("batches/<str:batch>/go-on/", name="batch-go-on")
class GoOn(OfBatch):
    """steering.go_on: the first few arrived."""

    title = lazy("Let the others follow")
    form_class = NoteForm
    intro = lazy("Look at what became of the first few. The others of the round leave on this rail after you press.")

    def effect(self, data: dict[str, Any]) -> Effect:
        batch = self.batch()
        if not batch.canary:
            raise steering.NotSteered(_("%(batch)s is not the first few of its round.") % {"batch": batch})
        found = steering.findings(batch)
        return Effect(
            sentence=_("After batch %(batch)s the others of round %(round)s may leave on %(rail)s.")
            % {"batch": batch.reference, "round": batch.round.number, "rail": rail_name(batch.rail)},
            button=_("Let the others follow"),
            figures=[
                (_("Arrived"), found["settled"]), (_("Not yet"), found["open"]), (_("Did not arrive"), found["lost"]),
                (_("Lines of evidence that wait for a person"), found["queued"]),
                (_("Lines of the bank that speak of no return"), found["unnamed"]), (_("Note"), data["note"] or "–"),
            ],
            moves_value=True,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return steering.go_on(self.batch(), note=data["note"], by=self.user, at=self.at)


@page("batches/<str:batch>/carry/", name="batch-carry")
class CarryOut(OfBatch):
    """submissions.carry_out: from here on the files may be paid."""

    title = lazy("Carry the files out")

    def effect(self, data: dict[str, Any]) -> Effect:
        batch = self.batch()
        inside = batch.submissions.filter(state=SubmissionState.PREPARED).count()
        if not isinstance(routes.rail(batch.rail), CarriedRail) or not inside:
            raise submissions.NotSent(_("No file of %(batch)s waits to be carried.") % {"batch": batch})
        return Effect(
            sentence=_("The files of batch %(batch)s leave the house in your hands: %(totals)s. From then on they may be paid.")
            % {"batch": batch.reference, "totals": in_short(self.case, batch.totals)},
            button=_("Carry the files out"),
            figures=[(_("Files inside"), f"{inside:,}"), (_("Returns"), f"{batch.items:,}"), (_("Rail"), rail_name(batch.rail))],
            content_sha256=bytes(batch.artifact_sha256 or b"").hex(),
            order=batch.order,
            moves_value=True,
        )

    def act(self, data: dict[str, Any]) -> Any:
        return submissions.carry_out(self.batch(), by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("%(count)s files are out of the house. Download and carry them now.") % {"count": f"{result:,}"}, self.back()


@page("batches/<str:batch>/files.zip", name="batch-files")
class CarriedFiles(CasePage):
    """The files of a batch that were carried out, as one archive: the same bytes whenever asked for."""

    power = "returns.export"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        batch = batch_of(self.case, kwargs["batch"])
        rail = routes.rail(batch.rail)
        rows = batch.submissions.exclude(state=SubmissionState.PREPARED).order_by("part", "version")
        if not isinstance(rail, CarriedRail) or batch.state == BatchState.VOIDED or not rows.exists():
            raise Http404
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for key, payload in rows.values_list("rail_key", "payload").iterator(chunk_size=20):
                for file in rail.carried(key, bytes(payload)):
                    archive.writestr(zipfile.ZipInfo(file.name), file.content)
        return attachment(target.getvalue(), f"{batch.reference}.zip", "application/zip")
