"""One return's whole story, from the claim to the line of the rail's statement; and finding it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.distribution.models import Entitlement
from administration.office import readable, words
from administration.office.pages.base import CasePage, page
from administration.office.pages.evidencing import LINE_KINDS, money_of
from administration.office.pages.returning import assets_of, place_of, rail_name, return_of, rows_of, where_to
from administration.returns import batches, doubt, failures, gates, matching, statements
from administration.returns.models import (
    AssetReturn,
    Attempt,
    AttemptState,
    Correction,
    EvidenceLine,
    Match,
    ReturnState,
    Submission,
    SubmissionState,
)
from claims.register.models import Claim

FOUND_MAX = 100


@dataclass(frozen=True)
class Moment:
    """One thing that happened to a return, in the order of the way."""

    at: datetime | None
    what: str
    detail: str = ""
    link: str = ""
    order: int = 0


@page("returns/<str:return_reference>/", name="return")
class Story(CasePage):
    """claim line → decision → run → round → batch → signatures → part → line of evidence → settlement."""

    title = lazy("A return's story")
    template = "office/board/story.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        row = return_of(self.case, kwargs["return_reference"])
        self.assets = assets_of(self.case)
        moments = [*self.before(row), *self.attempts(row), *self.unmatched(row), *self.after(row)]
        moments.sort(key=lambda one: (one.at is None, one.at or row.round.record_at, one.order))
        why = next((one for one in gates.of_claim(row.claim_line.claim, at=self.at) if one.reference == row.reference), None)
        return {
            "title": _("Return %(return)s") % {"return": row.reference},
            "row": row,
            "rail": rail_name(row.rail),
            "goes_to": where_to(row.destination.details) if row.destination else "–",
            "moments": moments,
            "why": why,
            "acts": self.acts(row),
        }

    def acts(self, row: AssetReturn) -> list[tuple[Any, str]]:
        own = {"return_reference": row.reference}
        found: list[tuple[Any, str]] = []
        if self.may("returns.schedule"):
            if row.state == ReturnState.RETURNED and not row.followed_by.exists():
                found.append((_("Schedule it again"), self.url("return-again", **own)))
            if row.state in (ReturnState.SCHEDULED, ReturnState.HELD):
                found.append((_("Cancel it"), self.url("return-cancel", **own)))
        if self.may("returns.evidence"):
            if row.tries and rows_of("SELECT failure_keeps_back(%s, %s, %s)", [row.pk, row.tries, row.rail])[0][0]:
                found.append((_("Ask two people to release it"), self.url("return-release", **own)))
            in_doubt = row.attempts.filter(state=AttemptState.UNKNOWN).first()
            if in_doubt and row.rail != statements.CODE and doubt.part_of(in_doubt).state == SubmissionState.UNKNOWN:
                found.append((_("Say what became of it"), self.url("find-out", machine="attempt", pk=in_doubt.pk)))
            over = row.attempts.filter(state__in=[AttemptState.REFUSED, AttemptState.DEAD]).order_by("pk")
            if EvidenceLine.objects.waiting().filter(case=self.case, reference=row.reference, kind="settled").exists():
                found += [(_("Propose a correction"), self.url("correct", machine="attempt", pk=attempt.pk)) for attempt in over]
        return found

    def before(self, row: AssetReturn) -> list[Moment]:
        """The claim line, its newest decision, what the round's run gave it, and the scheduling."""
        line, asset = row.claim_line, row.asset
        claim = line.claim

        def say(units: int) -> str:
            return readable.money(units, asset)

        found = [
            Moment(
                claim.recorded_at, _("Claim %(claim)s, %(asset)s") % {"claim": claim.number, "asset": asset.code},
                _("Recorded %(recorded)s, admitted %(admitted)s.") % {"recorded": say(line.recorded + line.corrected), "admitted": say(line.admitted)},
                order=1,
            )
        ]  # fmt: skip
        for decision in line.decisions.select_related("by").order_by("pk"):
            who = (decision.by.first_name or decision.by.username) if decision.by else "–"
            found.append(
                Moment(
                    decision.at, _("Decided: %(admitted)s admitted") % {"admitted": say(int(decision.admitted or 0))},
                    f"{words.of(words.REASONS, decision.reason)} · {who}", order=2,
                )
            )  # fmt: skip
        run = row.round.run
        given = Entitlement.objects.filter(run=run, claim_line=line, asset=asset).values_list("amount", flat=True).first()
        detail = _("This line's share in it: %(amount)s.") % {"amount": say(int(given))} if given is not None else ""
        found.append(Moment(run.computed_at, _("Run %(number)s of the plan was computed") % {"number": run.number}, detail, order=3))
        if row.after:
            again = _("Scheduled again after %(return)s came back") % {"return": row.after.reference}
            found.append(Moment(None, again, say(row.amount), self.url("return", return_reference=row.after.reference), order=4))
        else:
            found.append(
                Moment(
                    row.round.scheduled_at, _("Scheduled in round %(number)s") % {"number": row.round.number}, say(row.amount),
                    self.url("round", number=row.round.number), order=4,
                )
            )  # fmt: skip
        return found

    def attempts(self, row: AssetReturn) -> list[Moment]:
        """Each batch that held it: its freezing and signatures, its part, what the rail said, and what was applied."""
        found: list[Moment] = []
        tries = list(Attempt.objects.filter(asset_return=row).select_related("batch").order_by("pk"))
        held_in = {attempt.batch_id: attempt.batch for attempt in tries}
        if row.batch_id and row.batch is not None:
            held_in.setdefault(row.batch_id, row.batch)
        for batch in held_in.values():
            link = self.url("batch", batch=batch.reference)
            found.append(Moment(batch.drafted_at, _("Drafted into batch %(batch)s") % {"batch": batch.reference}, rail_name(batch.rail), link, 5))
            if batch.frozen_at:
                digest = bytes(batch.manifest_sha256 or b"").hex()
                found.append(Moment(batch.frozen_at, _("Batch %(batch)s was frozen") % {"batch": batch.reference}, f"SHA-256 {digest}", link, 6))
            asked = self.case.approvals.filter(act__in=[batches.ACT, f"{batches.ACT}.resume"], object_id=batch.pk)
            for request in asked.prefetch_related("signatures__signer"):
                address = self.url("approval", pk=request.pk)
                for signature in request.signatures.all():
                    who = signature.signer.first_name or signature.signer.username
                    found.append(Moment(signature.signed_at, _("%(user)s signed batch %(batch)s") % {"user": who, "batch": batch.reference}, "", address, 7))
        for attempt in tries:
            found += self.reissue(attempt)
            parts = Submission.objects.filter(batch_id=attempt.batch_id, part=attempt.part).defer("payload").order_by("version")
            for part in parts:
                if part.sent_at:
                    said = part.answer or {}
                    calls = _("calls")
                    detail = f"{part.get_state_display()} · {calls} {part.tries}" + (f" · {said['rail_reference']}" if said.get("rail_reference") else "")
                    found.append(
                        Moment(part.sent_at, _("Sent in part %(key)s") % {"key": part.rail_key}, detail, self.url("batch", batch=attempt.batch.reference), 8)
                    )
            matches = Match.objects.filter(attempt=attempt).select_related("line__evidence").order_by("pk")
            for match in matches:
                line = match.line
                words = f"{LINE_KINDS.get(line.kind, line.kind)} · {money_of(self.assets, line.asset_code, line.amount)}"
                found.append(
                    Moment(line.at, _("The rail says: %(what)s") % {"what": words}, place_of(line) + (f" · {failures.told(line.reason)}" if line.reason else ""),
                           self.url("evidence-line", pk=line.pk), 9)
                )  # fmt: skip
                if match.applied_at:
                    found.append(Moment(match.applied_at, applied_words(line.kind), _("positions and books together"), "", 10))
            found += self.corrected("attempt", attempt.pk)
        return found

    def reissue(self, attempt: Attempt) -> list[Moment]:
        """A later try names the one before it, which is proved dead, and by which line."""
        rows = rows_of("SELECT after_id, after_state, proof_id FROM returns_reissue WHERE attempt_id = %s", [attempt.pk])
        if not rows:
            return []
        after, state, proof = rows[0]
        before = Attempt.objects.select_related("batch").get(pk=after)
        reason = failures.of(before)
        what = failures.in_words(reason.code)[0] if reason else str(AttemptState(state).label)
        words = _("Tried again after the try in batch %(batch)s, which let go of it") % {"batch": before.batch.reference}
        link = self.url("evidence-line", pk=proof) if proof else self.url("batch", batch=before.batch.reference)
        return [Moment(attempt.recorded_at, words, what, link, 7)]

    def corrected(self, machine: str, pk: int) -> list[Moment]:
        rows = Correction.objects.filter(case=self.case, machine=machine, object_id=pk, applied_at__isnull=False)
        return [Moment(one.applied_at, _("Corrected under two signatures"), one.reason, self.url("reversals"), 11) for one in rows]

    def unmatched(self, row: AssetReturn) -> list[Moment]:
        lines = EvidenceLine.objects.waiting().filter(case=self.case, reference=row.reference).select_related("evidence")
        return [
            Moment(line.at, _("A line that waits for a person"), matching.sentence(line), self.url("evidence-line", pk=line.pk), 9)
            for line in lines
        ]

    def after(self, row: AssetReturn) -> list[Moment]:
        follower = row.followed_by.first()
        if follower is None:
            return []
        return [Moment(None, _("Followed by %(return)s") % {"return": follower.reference}, follower.get_state_display(), self.url("return", return_reference=follower.reference), 12)]


def applied_words(kind: str) -> str:
    return {
        "settled": _("Settled"),
        "refused": _("Refused: scheduled again"),
        "dead": _("Dead: scheduled again"),
        "returned": _("Came back: owed again, its destination blocked"),
    }.get(kind, kind)


@page("find/", name="find", menu="returns", icon="search", order=50)
class Find(CasePage):
    """By a return's reference or a claim's number, or the beginning of one."""

    title = lazy("Find a return")
    template = "office/board/find.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        asked = request.GET.get("q", "").strip().upper()
        if asked and AssetReturn.objects.filter(case=self.case, reference=asked).exists():
            return redirect(self.url("return", return_reference=asked))
        return self.show({"q": asked, **self.found(asked)})

    def found(self, asked: str) -> dict[str, Any]:
        if not asked:
            return {}
        claims = list(Claim.objects.filter(case=self.case, number__istartswith=asked).order_by("number")[:20]) or list(
            Claim.objects.filter(case=self.case, number__iendswith=asked).order_by("number")[:20]
        )
        rows = AssetReturn.objects.filter(case=self.case, claim_line__claim__in=claims).select_related("asset", "claim_line__claim")
        return {"rows": rows.order_by("reference")[:FOUND_MAX], "claims": claims}

