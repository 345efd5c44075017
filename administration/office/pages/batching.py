"""Step 6, second half: batches are drafted, frozen under a manifest, voided; and what their approvers are shown."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.cases.models import ApprovalRequest, Case
from administration.office import readable
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.approving import EFFECTS, STATES
from administration.office.pages.base import CasePage, page
from administration.office.pages.lists import Column, Filter
from administration.office.pages.returning import (
    ButtonList,
    assets_of,
    batch_of,
    gates_table,
    in_lines,
    in_short,
    in_words,
    rail_choices,
    rail_name,
    rails_of,
    rows_of,
    sums,
    where_to,
    whole,
)
from administration.rails.interface import CarriedRail
from administration.rails.transferee import Transferee
from administration.returns import batches, halfway, hours, routes, steering
from administration.returns.models import Batch, BatchState, Manifest, Submission, SubmissionState

LARGEST = 10
CHANGED_DAYS = 30

# The largest of each asset's total: amounts of different assets are never compared, only their shares.
TOP = """
SELECT r.reference, c.number, a.code, r.amount, r.amount * 10000 / t.total, d.details
FROM returns_assetreturn r
JOIN books_asset a ON a.id = r.asset_id
JOIN register_claimline l ON l.id = r.claim_line_id JOIN register_claim c ON c.id = l.claim_id
JOIN (SELECT asset_id, sum(amount) AS total FROM returns_assetreturn WHERE batch_id = %(batch)s GROUP BY 1) t ON t.asset_id = r.asset_id
LEFT JOIN destinations_destination d ON d.id = r.destination_id
WHERE r.batch_id = %(batch)s ORDER BY r.amount / t.total DESC, r.reference LIMIT %(largest)s
"""

# Versions after the first that were proposed lately, and places that more than one claim is sent to.
LATELY = """
SELECT a.code, count(*), sum(r.amount) FROM returns_assetreturn r
JOIN destinations_destination d ON d.id = r.destination_id JOIN books_asset a ON a.id = r.asset_id
WHERE r.batch_id = %(batch)s AND d.version > 1 AND d.proposed_at > %(since)s::timestamptz - make_interval(days => %(days)s)
GROUP BY 1 ORDER BY 1
"""
SHARED = """
SELECT count(*), coalesce(sum(claims), 0) FROM (
    SELECT count(DISTINCT d.claim_id) AS claims FROM returns_assetreturn r
    JOIN destinations_destination d ON d.id = r.destination_id
    WHERE r.batch_id = %(batch)s GROUP BY d.fingerprint HAVING count(DISTINCT d.claim_id) > 1) s
"""
PEOPLE = """
SELECT count(DISTINCT c.claimant_id) FROM returns_assetreturn r
JOIN register_claimline l ON l.id = r.claim_line_id JOIN register_claim c ON c.id = l.claim_id
WHERE r.batch_id = %(batch)s
"""

# Of the same round and rail, in no batch: by the gate written down when the batch was drafted.
LEFT_OUT = """
SELECT CASE WHEN r.state = 'held' THEN r.held_by_gate WHEN r.destination_id IS NULL THEN 'destination' ELSE 'later' END, count(*)
FROM returns_assetreturn r
WHERE r.round_id = %(round)s AND r.rail = %(rail)s AND r.state IN ('scheduled', 'held')
GROUP BY 1 ORDER BY 2 DESC
"""

# --- what a batch would do, for its preparer and for whoever signs it ---------------------------


def effect_of(batch: Batch, *, sentence: Any, button: Any, sha256: bytes | None = None) -> Effect:
    """What leaves, to how many, the largest ten, what changed, and what is left out and why."""
    assets = assets_of(batch.case)
    params = {
        "batch": batch.pk, "largest": LARGEST, "since": batch.drafted_at, "days": CHANGED_DAYS, "round": batch.round_id,
        "rail": batch.rail,
    }  # fmt: skip
    (people,) = rows_of(PEOPLE, params)[0]
    top = [
        [reference, whole(claim), readable.money(int(units), assets[code]), percent(int(parts)), where_to(details)]
        for reference, claim, code, units, parts, details in rows_of(TOP, params)
    ]
    lately = rows_of(LATELY, params)
    places, claims = rows_of(SHARED, params)[0]
    left = rows_of(LEFT_OUT, params)
    figures: list[tuple[Any, Any]] = [(_("Leaves: %(asset)s") % {"asset": code}, money) for code, money in sums(batch.case, batch.totals)]
    figures += [
        (_("Returns"), f"{batch.items:,}"),
        (_("People"), f"{people:,}"),
        (_("Rail"), rail_name(batch.rail)),
        (_("Parts"), f"{batch.parts:,}"),
        (_("Round and run"), f"{batch.round.number} · {batch.round.run.number}"),
    ]
    before = _before(batch)
    if before is not None:
        figures.append((_("Batch before this on the rail"), f"{before.reference} · {before.items:,} · {in_short(batch.case, before.totals)}"))
    tables = [
        Table(
            _("The largest ten, by their share of the asset"), [_("Return"), _("Claim"), _("Amount"), _("Share"), _("Goes to")],
            top, frozenset({2, 3}),
        ),
        Table(
            _("Destinations changed in the last %(days)d days") % {"days": CHANGED_DAYS}, [_("Asset"), _("Returns"), _("Amount")],
            [[code, f"{count:,}", readable.money(int(units), assets[code])] for code, count, units in lately], frozenset({1, 2}),
        ),
        gates_table(_("Left out of this batch, and why"), [(gate, count) for gate, count in left if gate != "later"]),
    ]  # fmt: skip
    warnings = []
    if places:
        warnings.append(
            ngettext(
                "%(count)s destination is used by %(claims)s claims. Look whether they belong together.",
                "%(count)s destinations are used by %(claims)s claims. Look whether they belong together.",
                places,
            )
            % {"count": f"{places:,}", "claims": f"{int(claims):,}"}
        )
    later = dict(left).get("later", 0)
    if later:
        warnings.append(
            ngettext(
                "%(count)s return of this round is free to go and in no batch: it is for a further batch.",
                "%(count)s returns of this round are free to go and in no batch: they are for a further batch.",
                later,
            )
            % {"count": f"{later:,}"}
        )
    return Effect(
        sentence=sentence, button=button, figures=figures, tables=tables, warnings=warnings,
        content_sha256=(sha256 or b"").hex(), order=batch.order, moves_value=True,
    )  # fmt: skip


def percent(parts: int) -> str:
    """Of ten thousand: 5.70 %."""
    return f"{parts // 100}.{parts % 100:02d} %"


def _before(batch: Batch) -> Batch | None:
    older = Batch.objects.filter(case=batch.case, rail=batch.rail, pk__lt=batch.pk).exclude(state__in=[BatchState.DRAFT, BatchState.VOIDED])
    return older.order_by("-pk").first()


def describe(request: ApprovalRequest, case: Case) -> Effect:
    """What the approvers of a batch are shown."""
    batch = Batch.objects.select_related("case", "round__run", "order").get(pk=request.object_id, case=case)
    return effect_of(
        batch,
        sentence=_("Approve batch %(batch)s: %(totals)s may leave the estate, to %(count)s returns.")
        % {"batch": batch.reference, "totals": in_words(case, batch.totals), "count": f"{batch.items:,}"},
        button=_("Sign"),
        sha256=bytes(request.content_sha256),
    )


EFFECTS[batches.ACT] = describe


# --- pages --------------------------------------------------------------------------------------


@page("batches/", name="batches", menu="returns", icon="inventory_2", order=35)
class BatchesPage(ButtonList):
    """Every batch of the case, newest first."""

    leads = True
    title = lazy("Batches")
    newest_first = True

    def rows(self) -> QuerySet[Any]:
        return self.case.batches.select_related("prepared_by")

    def filters(self) -> list[Filter]:
        return [
            Filter("state", _("State"), list(BatchState.choices), lambda rows, value: rows.filter(state=value)),
            Filter("rail", _("Rail"), rail_choices(rails_of(self.case)), lambda rows, value: rows.filter(rail=value)),
        ]

    def columns(self) -> list[Column]:
        language = get_language() or "en"
        return [
            Column(_("Batch"), lambda row: row.reference, link=lambda row: self.url("batch", batch=row.reference)),
            Column(_("Rail"), lambda row: rail_name(row.rail)),
            Column(_("State"), lambda row: row.get_state_display()),
            Column(_("Returns"), lambda row: f"{row.items:,}", numeric=True),
            Column(_("Amount"), lambda row: in_lines(self.case, row.totals), numeric=True),
            Column(_("Prepared by"), lambda row: row.prepared_by.first_name or row.prepared_by.username),
            Column(_("Drafted"), lambda row: readable.instant(row.drafted_at, language)),
        ]

    def buttons(self) -> list[tuple[Any, str]]:
        if not self.may("returns.batch"):
            return []
        return [(_("Draft a batch"), self.url("batch-draft")), (_("What is held back"), self.url("held"))]


@page("batches/<str:batch>/", name="batch")
class BatchPage(CasePage):
    """One batch: what it holds, its signatures, its parts with their states, and the acts that are open now."""

    title = lazy("Batch")
    template = "office/returns/batch.html"
    shown = 50  # parts on this page; the list has all

    def context(self, **kwargs: Any) -> dict[str, Any]:
        batch = batch_of(self.case, kwargs["batch"])
        requests = list(
            self.case.approvals.filter(act__in=[batches.ACT, f"{batches.ACT}.resume"], object_id=batch.pk)
            .prefetch_related("signatures__signer").order_by("pk")
        )  # fmt: skip
        states = rows_of(
            "SELECT state, count(*), sum(items) FROM returns_submission WHERE batch_id = %s GROUP BY 1 ORDER BY 1", [batch.pk]
        )
        parts = Submission.objects.filter(batch=batch).defer("payload", "answer").order_by("part", "version")
        return {
            "batch": batch,
            "title": _("Batch %(batch)s") % {"batch": batch.reference},
            "rail": rail_name(batch.rail),
            "sums": sums(self.case, batch.totals),
            "requests": [(one, STATES[one.state]) for one in requests],
            "states": [(SubmissionState(state).label, parts_count, int(items)) for state, parts_count, items in states],
            "parts": parts[: self.shown],
            "more": batch.parts > self.shown,
            "acts": self.acts(batch),
            "value_date": readable.day(batch.value_date, get_language() or "en"),
            "opens_at": hours.opens_at(self.case, batch.rail, self.at),
            "first_few": steering.findings(batch) if batch.canary and batch.attempts.exists() else None,
            "waits": self.waits(batch),
            "files": batch.submissions.exists(),
        }

    def waits(self, batch: Batch) -> str:
        """Why it does not go on now, though it could."""
        if batch.state not in (BatchState.DRAFT, BatchState.FROZEN, BatchState.APPROVED):
            return ""
        try:
            steering.refuse_if_paused(batch.round)
            steering.refuse_before_the_canary(batch)
        except steering.NotSteered as refusal:
            return str(refusal)
        if halfway.is_one(batch) and not halfway.goes_on(batch):
            return _("Its export stopped half-way. Export it again: it goes on from there. If it cannot, void it: nothing of it was sent.")
        return ""

    def acts(self, batch: Batch) -> list[tuple[Any, str, bool]]:
        """Words, address, and whether it is the next step of the way."""
        found: list[tuple[Any, str, bool]] = []
        state, own = batch.state, {"batch": batch.reference}
        if self.may("returns.batch"):
            if state == BatchState.DRAFT and batch.prepared_by_id == self.user.pk:
                found.append((_("Freeze the batch"), self.url("batch-freeze", **own), True))
            if state in (BatchState.DRAFT, BatchState.FROZEN, BatchState.APPROVED):
                found.append((_("Void the batch"), self.url("batch-void", **own), False))
        if self.may("returns.export"):
            if state == BatchState.APPROVED:
                found.append((_("Export and send"), self.url("batch-export", **own), True))
            if state in (BatchState.EXPORTED, BatchState.SETTLING) and isinstance(routes.rail(batch.rail), CarriedRail):
                if batch.submissions.filter(state=SubmissionState.PREPARED).exists():
                    found.append((_("Carry the files out"), self.url("batch-carry", **own), True))
                if batch.submissions.exclude(state=SubmissionState.PREPARED).exists():
                    found.append((_("Download the files"), self.url("batch-files", **own), False))
                if batch.rail == Transferee.code:
                    found.append((_("The persons' file"), self.url("batch-identities", part=1, **own), False))
            elif state in (BatchState.EXPORTED, BatchState.SETTLING) and unsent(batch):
                found.append((_("Send what is left"), self.url("batch-send", **own), True))
            if state in (BatchState.EXPORTED, BatchState.SETTLING) and unsent(batch):
                found.append((_("Give up what was never sent"), self.url("batch-decline", **own), False))
            if batch.canary and state == BatchState.CLOSED and not batch.round.go_aheads.filter(rail=batch.rail).exists():
                found.append((_("Let the others follow"), self.url("batch-go-on", **own), True))
        if self.may("returns.evidence") and state in (BatchState.EXPORTED, BatchState.SETTLING):
            found.append((_("Settle by evidence"), self.url("evidence"), False))
        return found


def unsent(batch: Batch) -> bool:
    return batch.submissions.filter(state__in=[SubmissionState.PREPARED, SubmissionState.EXPORTED, SubmissionState.SIGNED]).exists()


@page("batches/<str:batch>/parts/", name="batch-parts")
class PartsPage(ButtonList):
    """Every part of a batch."""

    title = lazy("Parts")

    def rows(self) -> QuerySet[Any]:
        return Submission.objects.filter(batch=batch_of(self.case, self.kwargs["batch"])).defer("payload", "answer")

    def filters(self) -> list[Filter]:
        return [Filter("state", _("State"), list(SubmissionState.choices), lambda rows, value: rows.filter(state=value))]

    def columns(self) -> list[Column]:
        language = get_language() or "en"
        return [
            Column(_("Part"), lambda row: row.part, link=lambda row: self.url("batch-part", batch=self.kwargs["batch"], part=row.part, version=row.version)),
            Column(_("Version"), lambda row: row.version),
            Column(_("State"), lambda row: row.get_state_display()),
            Column(_("Returns"), lambda row: f"{row.items:,}", numeric=True),
            Column(_("Key at the rail"), lambda row: row.rail_key),
            Column(_("Sent at"), lambda row: readable.instant(row.sent_at, language)),
            Column(_("Calls"), lambda row: row.tries, numeric=True),
            Column(_("SHA-256 of its bytes"), lambda row: bytes(row.payload_sha256).hex()),
        ]  # fmt: skip


@page("batches/<str:batch>/parts/<int:part>/<int:version>.payload", name="batch-part")
class PartFile(CasePage):
    """The exact bytes of one part."""

    power = "returns.export"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        batch = batch_of(self.case, kwargs["batch"])
        found = batch.submissions.filter(part=kwargs["part"], version=kwargs["version"]).first()
        if found is None:
            raise Http404
        name = f"{batch.reference}-{found.part:05d}" + (f"-v{found.version}" if found.version > 1 else "")
        return attachment(bytes(found.payload), f"{name}.payload", "application/octet-stream")


@page("batches/<str:batch>/manifest.json", name="batch-manifest")
class ManifestFile(CasePage):
    """What the approvers sign, byte for byte: its SHA-256 is the batch's."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        batch = batch_of(self.case, kwargs["batch"])
        body = Manifest.objects.filter(batch=batch).values_list("body", flat=True).first()
        if body is None:
            raise Http404
        answer = StreamingHttpResponse(slices(body.encode()), content_type="application/json")
        answer["Content-Disposition"] = f'attachment; filename="{batch.reference}.manifest.json"'
        return answer


def slices(content: bytes, size: int = 1 << 20) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def attachment(content: bytes, name: str, media_type: str) -> HttpResponse:
    return HttpResponse(content, content_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


# --- acts ---------------------------------------------------------------------------------------


@page("batches/<str:batch>/freeze/", name="batch-freeze")
class FreezeBatch(ActPage):
    """batches.freeze: its manifest is built and hashed, and its approval asked for."""

    title = lazy("Freeze a batch")
    power = "returns.batch"

    def effect(self, data: dict[str, Any]) -> Effect:
        batch = batch_of(self.case, self.kwargs["batch"])
        if batch.state != BatchState.DRAFT:
            raise batches.NotADraft(_("%(batch)s is no longer a draft. Reload it and look again.") % {"batch": batch})
        effect = effect_of(
            batch,
            sentence=_("Batch %(batch)s is frozen and handed to its approvers: %(totals)s, %(count)s returns. Nothing in it changes after this.")
            % {"batch": batch.reference, "totals": in_words(self.case, batch.totals), "count": f"{batch.items:,}"},
            button=_("Freeze the batch and ask for signatures"),
        )
        effect.figures.append((_("Content hash"), _("is made when you press, and is what the approvers sign")))
        return effect

    def act(self, data: dict[str, Any]) -> Any:
        return batches.freeze(batch_of(self.case, self.kwargs["batch"]), by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("batch", batch=self.kwargs["batch"])


class VoidForm(forms.Form):
    reason = forms.CharField(label=lazy("Why"), max_length=500, widget=forms.TextInput)


@page("batches/<str:batch>/void/", name="batch-void")
class VoidBatch(ActPage):
    """batches.void: its returns are scheduled again, for another batch."""

    title = lazy("Void a batch")
    power = "returns.batch"
    intro = lazy("A batch of which nothing has left the house can be given up. Its returns are scheduled again; draft another batch then.")
    form_class = VoidForm

    def form_arguments(self) -> dict[str, Any]:
        batch_of(self.case, self.kwargs["batch"])  # what is not of this case is not there
        return {}

    def effect(self, data: dict[str, Any]) -> Effect:
        batch = batch_of(self.case, self.kwargs["batch"])
        made = batch.submissions.count() if halfway.is_one(batch) else 0
        return Effect(
            sentence=_("Batch %(batch)s is given up: its %(count)s returns are scheduled again and wait for another batch.")
            % {"batch": batch.reference, "count": f"{batch.items:,}"},
            button=_("Void the batch"),
            figures=[(_("State now"), batch.get_state_display()), (_("Returns"), f"{batch.items:,}"), (_("Amount"), in_short(self.case, batch.totals))],
            warnings=[
                _("Its export stopped half-way: %(made)s of %(parts)s parts are made. Nothing of it was sent, and nothing of it will be.")
                % {"made": f"{made:,}", "parts": f"{batch.parts:,}"}
            ] if made else [],
            content_sha256=bytes(batch.manifest_sha256 or b"").hex(),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        batch = batch_of(self.case, self.kwargs["batch"])
        if halfway.is_one(batch):
            return halfway.void(batch, reason=data["reason"], by=self.user, at=self.at)
        return batches.void(batch, reason=data["reason"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("Batch %(batch)s is void. Its returns wait for another batch.") % {"batch": result}, self.url("batch-draft")

    def back(self) -> str:
        return self.url("batch", batch=self.kwargs["batch"])
