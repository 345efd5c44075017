"""Step 8: what the rails say, matched to what was sent, and applied once."""

from typing import Any

from django import forms
from django.db.models import Prefetch, QuerySet
from django.http import Http404
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.amounts import show
from administration.office import readable
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import CasePage, page
from administration.office.pages.lists import Column, Filter
from administration.office.pages.returning import (
    ButtonList,
    assets_of,
    file_of,
    fresh_lines,
    place_of,
    rail_choices,
    rail_name,
    rails_of,
)
from administration.office.pages.working import KINDS
from administration.returns import evidence, explaining, failures, matching, routes, settlement, statements
from administration.returns.models import (
    EXPLAINED,
    Attempt,
    AttemptState,
    Evidence,
    EvidenceLine,
    Match,
    Submission,
    SubmissionState,
)

KINDS["returns.settle"] = lazy("Matching evidence and settling")
for _code in routes.codes():
    KINDS[evidence.job_of(_code)] = lazy("Reading the rail's statement")

LINE_KINDS: dict[str, Any] = {
    "seen": lazy("seen, not final"),
    "settled": lazy("paid"),
    "refused": lazy("refused"),
    "returned": lazy("came back"),
    "dead": lazy("can never be paid"),
}
# What to do about a line that waits for a person.
STEPS: dict[str, Any] = {
    "no_such_return": lazy("Ask the rail whose payment it is; nothing of it was applied. Then two people explain the line."),
    "other_amount": lazy("Compare the rail's paper with the batch, then two people explain the line. The rail stays stopped until two people resume it."),
    "not_sent": lazy("Find out who sent it, then two people explain the line. Do not resume the rail before."),
    "no_attempt": lazy("Ask the rail for the payment's details, then two people explain the line."),
    "settled_twice": lazy("Record the over-payment and recover it. If it was paid once and reported twice, two people explain the line."),
    "contradicts": lazy("Ask the rail in writing which of its words holds. If it paid, propose the correction; otherwise two people explain the line."),
    "paid_after_refusal": lazy("Propose the correction: the attempt was paid after all, and two people sign it. If the rail takes its word back, or the return was cancelled meanwhile, two people explain the line."),
    "overpaid": lazy("Recover it, or let the next round net it."),
    "taken": lazy("Recover it from whoever took it."),
    "nothing_to_return": lazy("Wait for the settlement it undoes, or ask the rail. If nothing came, two people explain the line."),
    "ambiguous": lazy("Ask the bank which payment it is, then choose one of the candidates. If it is none of them, two people explain the line."),
    "fee_kept": lazy("Ask the bank what it kept and for which payment. If it is none of ours, two people explain the line."),
    "debited_twice": lazy("Have two people explain the line: what the bank took a second time it owes back. The rail stays stopped until two people resume it."),
    "dead_file_debited": lazy("Ask the bank what it paid. If it was this file, void the batches that hold its returns and propose the correction; two people sign it. If it took the debit back, two people explain the line. Do not resume the rail before."),
    "unknown_debit": lazy("If it is a fee, book it as a cost and have two people explain the line by that booking. Otherwise ask the bank at once."),
    "unknown_credit": lazy("Ask the bank who sent it and why. Book what came in, and have two people explain the line by that booking."),
    "correction": lazy("Ask the bank what it corrects. Choose what it speaks of, or have two people explain the line."),
}


def money_of(case_assets: dict[str, Any], code: str, units: int) -> str:
    """An amount of a statement's line: its asset may be none of ours."""
    asset = case_assets.get(code)
    return readable.money(units, asset) if asset else f"{show(units, 0)} {code}"


# --- what was received --------------------------------------------------------------------------


@page("evidence/", name="evidence", menu="returns", icon="fact_check", order=40)
class EvidencePage(ButtonList):
    """Every statement, report and observation as received, newest first."""

    title = lazy("Evidence")
    leads = True
    intro = lazy("Only evidence settles a return. The same bytes twice are no news; a broken file is refused whole.")
    newest_first = True

    def rows(self) -> QuerySet[Any]:
        return self.case.evidence.select_related("received_by")

    def filters(self) -> list[Filter]:
        codes = rail_choices(rails_of(self.case))
        return [Filter("rail", _("Rail"), codes, lambda rows, value: rows.filter(rail=value))]

    def columns(self) -> list[Column]:
        language = get_language() or "en"
        return [
            Column(_("Name"), lambda row: file_of(row), link=lambda row: f"{self.url('evidence-lines')}?file={row.pk}"),
            Column(_("Rail"), lambda row: rail_name(row.rail)),
            Column(_("Received"), lambda row: readable.instant(row.received_at, language)),
            Column(_("By"), lambda row: (row.received_by.first_name or row.received_by.username) if row.received_by else _("asked by the house")),
            Column(_("New lines"), lambda row: f"{row.lines_count:,}", numeric=True),
            Column(_("Bytes"), lambda row: f"{row.bytes:,}", numeric=True),
            Column("SHA-256", lambda row: f"{bytes(row.sha256).hex()[:16]}…"),
        ]  # fmt: skip

    def buttons(self) -> list[tuple[Any, str]]:
        found: list[tuple[Any, str]] = []
        if self.may("returns.evidence"):
            found = [(_("Ask the rail"), self.url("observe")), (_("Receive a file"), self.url("evidence-receive"))]
            found.insert(0 if fresh_lines(self.case) else 2, (_("Settle"), self.url("settle")))
        return [
            *found,
            (_("All lines"), self.url("evidence-lines")),
            (_("Lines that wait for a person"), f"{self.url('evidence-lines')}?match=queued"),
            (_("Over-payments"), self.url("overpayments")),
            (_("Corrections"), self.url("reversals")),
            (_("Explanations"), self.url("explanations")),
        ]


@page("evidence/lines/", name="evidence-lines")
class LinesPage(ButtonList):
    """Lines of evidence with what became of each: matched, applied, or waiting for a person and why."""

    title = lazy("Lines of evidence")
    newest_first = True

    def rows(self) -> QuerySet[Any]:
        matches = Match.objects.select_related("attempt__asset_return")
        rows = EvidenceLine.objects.filter(case=self.case).select_related("evidence").prefetch_related(Prefetch("matches", matches))
        file = self.request.GET.get("file", "")
        return rows.filter(evidence_id=int(file)) if file.isdecimal() and len(file) < 19 else rows

    def filters(self) -> list[Filter]:
        return [
            Filter(
                "match", _("Match"),
                [("queued", _("waits for a person")), ("applied", _("applied")), ("matched", _("matched, not applied")), ("open", _("not matched yet"))],
                narrowed,
            ),
            Filter("kind", _("Says"), list(LINE_KINDS.items()), lambda rows, value: rows.filter(kind=value)),
        ]  # fmt: skip

    def columns(self) -> list[Column]:
        language, assets = get_language() or "en", assets_of(self.case)
        return [
            Column(_("Line"), lambda row: place_of(row), link=lambda row: self.url("evidence-line", pk=row.pk)),
            Column(_("Says"), lambda row: LINE_KINDS.get(row.kind, row.kind)),
            Column(_("Reference"), lambda row: row.reference, link=self.story),
            Column(_("Amount"), lambda row: money_of(assets, row.asset_code, row.amount), numeric=True),
            Column(_("At"), lambda row: readable.instant(row.at, language)),
            Column(_("Match"), match_state),
        ]

    def story(self, row: EvidenceLine) -> str:
        known = any(match.attempt.asset_return.reference == row.reference for match in row.matches.all())
        return self.url("return", return_reference=row.reference) if known else ""


def narrowed(rows: QuerySet[Any], value: str) -> QuerySet[Any]:
    if value == "queued":
        return rows.exclude(problem="").exclude(problem=EXPLAINED)
    if value == "open":
        return rows.filter(problem="", matches__isnull=True).exclude(kind="seen")
    return rows.filter(matches__applied_at__isnull=value != "applied", matches__isnull=False)


def match_state(line: EvidenceLine) -> str:
    if line.problem:
        return matching.sentence(line)
    if line.kind == "seen":
        return _("decides nothing yet")
    found = list(line.matches.all())
    if not found:
        return _("not matched yet")
    return _("applied") if all(match.applied_at for match in found) else _("matched, not applied")


@page("evidence/lines/<int:pk>/", name="evidence-line")
class LinePage(CasePage):
    """One line beside what we sent: the two sides that a person compares, and the steps that are open."""

    title = lazy("Line of evidence")
    template = "office/returns/line.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        line = EvidenceLine.objects.filter(case=self.case, pk=kwargs["pk"]).select_related("evidence").first()
        if line is None:
            raise Http404
        assets = assets_of(self.case)
        attempts = (
            Attempt.objects.filter(asset_return__case=self.case, asset_return__reference=line.reference)
            .select_related("asset_return__asset", "asset_return__claim_line__claim", "batch").order_by("pk")
        ) if line.reference else []  # fmt: skip
        may = self.may("returns.evidence")
        ours = []
        for attempt in attempts:
            row = attempt.asset_return
            ours.append(
                {
                    "attempt": attempt, "row": row, "money": readable.money(row.amount, row.asset),
                    "same": row.amount == line.amount and row.asset.code == line.asset_code,
                    "link": self.url("return", return_reference=row.reference),
                    "correct": self.url("correct", machine="attempt", pk=attempt.pk)
                    if may and line.problem and attempt.state in (AttemptState.REFUSED, AttemptState.DEAD) else "",
                }
            )  # fmt: skip
        return {
            "line": line, "place": place_of(line), "reason": failures.told(line.reason), "says": LINE_KINDS.get(line.kind, line.kind), "money": money_of(assets, line.asset_code, line.amount),
            "state": match_state(line), "step": STEPS.get(line.problem, ""), "ours": ours,
            "stops": list(self.case.stops.filter(lifted_at__isnull=True)), "answers": self.answers(line) if may else [],
            "explained": explaining.of_line(line), "asked": explaining.waits(line), "explanations": self.url("explanations"),
        }  # fmt: skip


    def answers(self, line: EvidenceLine) -> list[tuple[Any, str]]:
        """What a person can answer here, beside a correction."""
        found: list[tuple[Any, str]] = []
        if line.problem in ("ambiguous", "correction", "fee_kept"):
            found.append((_("Choose which one it is"), self.url("evidence-line-decide", pk=line.pk)))
        if line.problem == "dead_file_debited":
            dead = Submission.objects.filter(rail_key__in=statements.candidates(line), state=SubmissionState.DEAD)
            found += [
                (_("It paid %(part)s after all") % {"part": part.rail_key}, self.url("correct", machine="submission", pk=part.pk))
                for part in dead.order_by("rail_key")
            ]
        if line.problem == "settled_twice":
            found.append((_("Record the over-payment"), self.url("line-recognise", pk=line.pk)))
        if over := self.case.overpayments.filter(line=line).first():
            found.append((_("Recover it"), self.url("overpayment", pk=over.pk)))
        if explaining.kinds(line) and not explaining.waits(line):
            found.append((_("Explain it"), self.url("evidence-line-explain", pk=line.pk)))
        return found


# --- acts ---------------------------------------------------------------------------------------


class ReceiveForm(forms.Form):
    def __init__(self, *args: Any, rails: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["rail"] = forms.ChoiceField(label=_("Rail"), choices=rail_choices(rails))
        self.fields["file"] = forms.FileField(label=_("Statement or report"), help_text=_("As the rail gave it, unchanged."))


@page("evidence/receive/", name="evidence-receive")
class ReceiveEvidence(ActPage):
    """evidence.receive: a file, kept as it is, counted once."""

    title = lazy("Receive a file")
    power = "returns.evidence"
    intro = lazy("The file is kept under its hash and read line by line. Lines that were in an earlier file count once.")
    form_class = ReceiveForm

    def form_arguments(self) -> dict[str, Any]:
        return {"rails": rails_of(self.case) or routes.codes()}

    def effect(self, data: dict[str, Any]) -> Effect:
        file, rail = data["file"], data["rail"]
        known = Evidence.objects.filter(case=self.case, sha256=bytes.fromhex(file.sha256)).first()
        warnings = []
        if known:
            warnings.append(_("These bytes were received before, as “%(name)s”. Nothing new comes of them.") % {"name": file_of(known)})
        return Effect(
            sentence=_("%(name)s is taken in as evidence of %(rail)s. Nothing settles before you press “Settle”.")
            % {"name": file.name, "rail": rail_name(rail)},
            button=_("Take it in"),
            figures=[(_("Bytes"), f"{file.size:,}"), ("SHA-256", file.sha256)],
            warnings=warnings,
        )

    def act(self, data: dict[str, Any]) -> Any:
        file = data["file"]
        return evidence.receive(self.case, data["rail"], name=file.name, data=file.path, by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        sentence = ngettext("%(count)s new line was taken in.", "%(count)s new lines were taken in.", result.lines_count)
        return sentence % {"count": f"{result.lines_count:,}"}, f"{self.url('evidence-lines')}?file={result.pk}"

    def back(self) -> str:
        return self.url("evidence")


class ObserveForm(forms.Form):
    def __init__(self, *args: Any, rails: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["rail"] = forms.ChoiceField(label=_("Rail"), choices=rail_choices(rails))


@page("evidence/observe/", name="observe")
class Observe(ActPage):
    """evidence.observe: ask the rail for its statement, page after page."""

    title = lazy("Ask the rail")
    power = "returns.evidence"
    intro = lazy("The rail is asked for its statement from where the last look ended. Asking moves nothing.")
    form_class = ObserveForm

    def form_arguments(self) -> dict[str, Any]:
        return {"rails": [code for code in rails_of(self.case) if routes.known(code) and routes.rail(code).can_observe]}

    def effect(self, data: dict[str, Any]) -> Effect:
        last = self.case.evidence.filter(rail=data["rail"]).exclude(cursor="").order_by("-pk").first()
        return Effect(
            sentence=_("%(rail)s is asked for its statement.") % {"rail": rail_name(data["rail"])},
            button=_("Ask the rail"),
            figures=[(_("Last look"), readable.instant(last.received_at, get_language() or "en") if last else "–")],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return evidence.observe(self.case, data["rail"], by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("evidence")


@page("evidence/settle/", name="settle")
class Settle(ActPage):
    """settlement.settle: match what is new, apply what is matched, close what is done, prove that both statements tie."""

    title = lazy("Settle")
    power = "returns.evidence"

    def effect(self, data: dict[str, Any]) -> Effect:
        fresh = fresh_lines(self.case)
        waiting = Match.objects.filter(line__case=self.case, applied_at__isnull=True, pk__gt=0).count()
        return Effect(
            sentence=_("What is beyond doubt in the evidence is applied once: attempts, returns, positions and books together. The rest is queued for a person."),
            button=_("Settle"),
            figures=[
                (_("New lines to look at"), f"{fresh:,}"),
                (_("Matched, not applied"), f"{waiting:,}"),
                (_("Wait for a person already"), f"{settlement.queue_of(self.case):,}"),
            ],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return settlement.settle(self.case, by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("evidence")
