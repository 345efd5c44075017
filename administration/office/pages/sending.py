"""Step 7: an approved batch is exported and sent. From the export on its money counts as on its way."""

from typing import Any

from django import forms
from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from administration.office import readable
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import page
from administration.office.pages.batching import effect_of
from administration.office.pages.returning import (
    assets_of,
    batch_of,
    gate_sentence,
    in_words,
    rail_name,
    rows_of,
    whole,
)
from administration.office.pages.working import KINDS
from administration.returns import routes, submissions
from administration.returns.models import Batch, BatchState, SubmissionState

KINDS["returns.export"] = lazy("Exporting a batch: attempts and exact bytes")
KINDS["returns.submit"] = lazy("Sending a batch")
NAMED = 50

SHUT = """
SELECT g.reference, c.number, a.code, r.amount, g.closed[1] FROM returns_gates g
JOIN returns_assetreturn r ON r.id = g.return_id JOIN books_asset a ON a.id = r.asset_id
JOIN register_claimline l ON l.id = r.claim_line_id JOIN register_claim c ON c.id = l.claim_id
WHERE g.batch_id = %s AND g.state = 'batched' AND cardinality(g.closed) > 0 ORDER BY g.reference LIMIT %s
"""


@page("batches/<str:batch>/export/", name="batch-export")
class ExportBatch(ActPage):
    """submissions.export: every gate is looked at again; then attempts, bytes, and on rails that can be called, sending."""

    title = lazy("Export and send a batch")
    power = "returns.export"
    shut = False

    def effect(self, data: dict[str, Any]) -> Effect:
        batch = batch_of(self.case, self.kwargs["batch"])
        if batch.state != BatchState.APPROVED:
            raise submissions.NotExported(
                _("%(batch)s is %(state)s. Only an approved batch can be exported.")
                % {"batch": batch, "state": batch.get_state_display().lower()}
            )
        rail = routes.rail(batch.rail)
        if rail.needs_export:
            self.shut = True
            submissions.refuse_if_shut(batch)
            self.shut = False
        sends = rail.can_submit
        words = {"batch": batch.reference, "totals": in_words(self.case, batch.totals), "count": f"{batch.items:,}", "rail": rail_name(batch.rail)}
        effect = effect_of(
            batch,
            sentence=_("%(totals)s leaves the estate on %(rail)s, to %(count)s returns of batch %(batch)s.") % words if sends
            else _("The files of batch %(batch)s are made: %(totals)s, %(count)s returns. A person carries them to %(rail)s.") % words,
            button=_("Export and send") if sends else _("Export the files"),
            sha256=bytes(batch.manifest_sha256 or b""),
        )  # fmt: skip
        closed = self._closed(batch)
        if closed:
            effect.tables.insert(0, closed)
            effect.warnings.append(_("A gate has closed since the approval. What it concerns is held back; everything else goes."))
        return effect

    def act(self, data: dict[str, Any]) -> Any:
        batch = batch_of(self.case, self.kwargs["batch"])
        self.shut = routes.rail(batch.rail).needs_export
        return submissions.export(batch, by=self.user, at=self.at, submit=True)

    def back(self) -> str:
        return self.url("batch", batch=self.kwargs["batch"])

    def refused(self, sentence: str, *, status: int = 409) -> HttpResponse:
        """A file goes whole or not at all: where a gate has closed, the way on is offered at once."""
        if not self.shut:
            return super().refused(sentence, status=status)
        batch = batch_of(self.case, self.kwargs["batch"])
        return self.show(
            {"sentence": sentence, "batch": batch, "closed": self._closed(batch), "may_void": self.may("returns.batch")},
            template="office/returns/shut.html", status=status,
        )  # fmt: skip

    def _closed(self, batch: Batch) -> Table | None:
        assets = assets_of(self.case)
        rows = [
            [reference, whole(claim), readable.money(int(units), assets[code]), gate_sentence(gate, code)]
            for reference, claim, code, units, gate in rows_of(SHUT, [batch.pk, NAMED])
        ]
        if not rows:
            return None
        return Table(_("Gates that have closed since"), [_("Return"), _("Claim"), _("Amount"), _("Why")], rows, frozenset({2}))


@page("batches/<str:batch>/send/", name="batch-send")
class SendBatch(ActPage):
    """submissions.submit: take up the sending of what an export left unsent."""

    title = lazy("Send what is left")
    power = "returns.export"

    def effect(self, data: dict[str, Any]) -> Effect:
        batch = batch_of(self.case, self.kwargs["batch"])
        return Effect(
            sentence=_("The parts of batch %(batch)s that were never sent go out on %(rail)s.")
            % {"batch": batch.reference, "rail": rail_name(batch.rail)},
            button=_("Send"),
            figures=_unsent(batch),
            content_sha256=bytes(batch.manifest_sha256 or b"").hex(),
            order=batch.order,
            moves_value=True,
        )

    def act(self, data: dict[str, Any]) -> Any:
        return submissions.submit(batch_of(self.case, self.kwargs["batch"]), by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("batch", batch=self.kwargs["batch"])


class DeclineForm(forms.Form):
    reason = forms.CharField(label=lazy("Why"), max_length=500, widget=forms.TextInput)


@page("batches/<str:batch>/decline/", name="batch-decline")
class DeclineParts(ActPage):
    """submissions.decline: give up the parts that never left; what may have left awaits its evidence."""

    title = lazy("Give up what was never sent")
    power = "returns.export"
    intro = lazy("Parts of which nothing was ever sent are given up, and their returns scheduled again. Stop the rail first.")
    form_class = DeclineForm

    def form_arguments(self) -> dict[str, Any]:
        batch_of(self.case, self.kwargs["batch"])  # what is not of this case is not there
        return {}

    def effect(self, data: dict[str, Any]) -> Effect:
        batch = batch_of(self.case, self.kwargs["batch"])
        return Effect(
            sentence=_("The parts of batch %(batch)s that were never sent are given up. What may have left stays and awaits its evidence.")
            % {"batch": batch.reference},
            button=_("Give up what was never sent"),
            figures=_unsent(batch),
        )

    def act(self, data: dict[str, Any]) -> Any:
        batch = batch_of(self.case, self.kwargs["batch"])
        return submissions.decline(batch, reason=data["reason"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        sentence = ngettext("%(count)s return is scheduled again.", "%(count)s returns are scheduled again.", result)
        return sentence % {"count": f"{result:,}"}, self.back()

    def back(self) -> str:
        return self.url("batch", batch=self.kwargs["batch"])


def _unsent(batch: Batch) -> list[tuple[Any, Any]]:
    parts, items = rows_of(
        "SELECT count(*), coalesce(sum(items), 0) FROM returns_submission WHERE batch_id = %s AND state = ANY (%s) AND tries = 0",
        [batch.pk, [SubmissionState.PREPARED, SubmissionState.EXPORTED, SubmissionState.SIGNED]],
    )[0]
    return [(_("Parts never sent"), f"{parts:,}"), (_("Returns in them"), f"{items:,}")]
