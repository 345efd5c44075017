"""Corrections: steps against what the machine concluded, and what people find where no rail answers. Two sign each."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.cases.models import ApprovalRequest, Case
from administration.office import readable
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.approving import EFFECTS
from administration.office.pages.base import page
from administration.office.pages.evidencing import LINE_KINDS, match_state, money_of
from administration.office.pages.lists import Column
from administration.office.pages.returning import ButtonList, assets_of, place_of
from administration.office.pages.showing import link
from administration.returns import corrections, doubt, statements
from administration.returns.models import (
    Attempt,
    AttemptState,
    Correction,
    EvidenceLine,
    Finding,
    ReturnState,
    Submission,
    SubmissionState,
)

SHOWN = 50  # returns of a part in doubt

MACHINES: dict[str, Any] = {"attempt": Attempt, "submission": Submission}
MACHINE_WORDS: dict[str, Any] = {
    "attempt": lazy("attempt"), "submission": lazy("part"), "return": lazy("return"), "batch": lazy("batch"),
}  # fmt: skip
# The steps a person may ask two others to sign, from each state.
CORRECTIONS: dict[tuple[str, str], str] = {
    ("attempt", AttemptState.REFUSED): AttemptState.SETTLED,
    ("attempt", AttemptState.DEAD): AttemptState.SETTLED,
    ("submission", SubmissionState.DEAD): SubmissionState.ACCEPTED,
}


STATES_OF: dict[str, Any] = {"attempt": AttemptState, "submission": SubmissionState, "return": ReturnState}


def label_of(machine: str, state: str) -> str:
    return str(STATES_OF[machine](state).label)


class CorrectForm(forms.Form):
    reason = forms.CharField(label=lazy("What happened, and how you know"), max_length=2000, widget=forms.Textarea)
    paper = forms.FileField(label=lazy("The paper that shows it"), help_text=lazy("The rail's letter or statement. It is kept under its hash."))


@page("reversals/<str:machine>/<int:pk>/", name="correct")
class ProposeCorrection(ActPage):
    """corrections.propose: one step that two other people sign."""

    title = lazy("Propose a correction")
    power = "returns.evidence"
    intro = lazy("A correction takes one attempt or part to another state against what the machine concluded. You give the reason and the paper; two other people sign it.")
    form_class = CorrectForm

    def form_arguments(self) -> dict[str, Any]:
        self.thing()  # what is not of this case is not there
        return {}

    def thing(self) -> tuple[Any, Case, str]:
        """The attempt or part, and the state it would go to."""
        machine, model = self.kwargs["machine"], MACHINES.get(self.kwargs["machine"])
        found = model.objects.filter(batch__case=self.case, pk=self.kwargs["pk"]).select_related("batch").first() if model else None
        if found is None:
            raise Http404
        to = CORRECTIONS.get((machine, found.state))
        if to is None:
            raise corrections.NotCorrected(_("Nothing is to be corrected here: it is %(state)s.") % {"state": found.get_state_display().lower()})
        return found, self.case, to

    def effect(self, data: dict[str, Any]) -> Effect:
        thing, _case, to = self.thing()
        machine = self.kwargs["machine"]
        return Effect(
            sentence=_("%(what)s of batch %(batch)s goes from “%(from)s” to “%(to)s” once two people have signed.")
            % {"what": what_of(machine, thing), "batch": thing.batch.reference, "from": thing.get_state_display(), "to": label_of(machine, to)},
            button=_("Ask two people to sign the correction"),
            figures=[*figures_of(machine, thing), (_("Reason"), data["reason"]), (_("Paper, SHA-256"), data["paper"].sha256)],
        )

    def act(self, data: dict[str, Any]) -> Any:
        thing, case, to = self.thing()
        return corrections.propose(case, thing, to, reason=data["reason"], evidence=data["paper"].read(), by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("reversals")


class FindForm(forms.Form):
    finding = forms.ChoiceField(label=lazy("What became of it"), widget=forms.RadioSelect)
    reason = forms.CharField(label=lazy("What happened, and how you know"), max_length=2000, widget=forms.Textarea)
    paper = forms.FileField(
        label=lazy("The paper that shows it"),
        help_text=lazy("It must cover the whole time in which it could have been paid. It is kept under its hash."),
    )

    def __init__(self, *args: Any, findings: list[tuple[str, Any]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["finding"].choices = findings  # type: ignore[attr-defined]


@page("reversals/<str:machine>/<int:pk>/found/", name="find-out")
class FindOut(ActPage):
    """corrections.find: what became of a part, or of one return in it, of which nobody has said anything."""

    title = lazy("Say what became of it")
    power = "returns.evidence"
    intro = lazy("No rail has said what became of this, and no machine may conclude it. Ask whoever should know; then say what you found, with the paper. It counts once two other people have signed it.")
    form_class = FindForm

    def form_arguments(self) -> dict[str, Any]:
        thing = self.thing()
        doubt.refuse_unless_in_doubt(thing, at=self.at)
        of_a_bank = doubt.part_of(thing).batch.rail == statements.CODE  # its debit shows that it was paid
        return {"findings": [one for one in Finding.choices if not (of_a_bank and one[0] == Finding.PAID)]}

    def thing(self) -> Submission | Attempt:
        machine, pk = self.kwargs["machine"], self.kwargs["pk"]
        found: Submission | Attempt | None = None
        if machine == "submission":
            found = Submission.objects.filter(batch__case=self.case, pk=pk).select_related("batch__case").first()
        elif machine == "attempt":
            tries = Attempt.objects.select_related("batch", "asset_return__asset", "asset_return__claim_line__claim")
            found = tries.filter(batch__case=self.case, pk=pk).first()
        if found is None:
            raise Http404
        return found

    def effect(self, data: dict[str, Any]) -> Effect:
        thing = self.thing()
        doubt.refuse_unless_in_doubt(thing, data["finding"], at=self.at)
        what, batch = what_of(self.kwargs["machine"], thing), thing.batch.reference
        return Effect(
            sentence=found_in_words(data["finding"]) % {"what": what, "batch": batch},
            button=_("Ask two people to sign what was found"),
            figures=[
                *figures_of(self.kwargs["machine"], thing), (_("Reason"), data["reason"]),
                (_("Paper, SHA-256"), data["paper"].sha256),
            ],
            tables=open_in(thing, self.url),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return corrections.find(
            self.case, self.thing(), data["finding"], reason=data["reason"], evidence=data["paper"].read(), by=self.user, at=self.at
        )

    def back(self) -> str:
        return self.url("exceptions")


def found_in_words(finding: str) -> str:
    if finding == Finding.PAID:
        return _("%(what)s of batch %(batch)s counts as paid once two people have signed: what is open of it leaves the books for good.")
    return _("%(what)s of batch %(batch)s counts as not paid once two people have signed: what is open of it is scheduled again and goes out anew.")


def open_in(thing: Submission | Attempt, url: Any = None) -> list[Table]:
    """The returns of a part that nobody has answered for; each can be told apart."""
    if isinstance(thing, Attempt):
        return []
    rows = (
        Attempt.objects.filter(batch=thing.batch_id, part=thing.part, state__in=doubt.OPEN)
        .select_related("asset_return__asset", "asset_return__claim_line__claim").order_by("asset_return__reference")
    )  # fmt: skip
    count = rows.count()
    head = [_("Return"), _("Claim"), _("Amount"), *([""] if url else [])]
    cells = [
        [row.asset_return.reference, row.asset_return.claim_line.claim.number,
         readable.money(row.asset_return.amount, row.asset_return.asset),
         *([link(url("find-out", machine="attempt", pk=row.pk), _("Only of this one"))] if url else [])]
        for row in rows[:SHOWN]
    ]  # fmt: skip
    title = _("Open in this part: %(count)s") % {"count": f"{count:,}"}
    return [Table(title, head, cells, frozenset({2}))]


def what_of(machine: str, thing: Any) -> str:
    if machine == "attempt":
        return _("The attempt of %(return)s") % {"return": thing.asset_return.reference}
    return _("Part %(key)s") % {"key": thing.rail_key}


def figures_of(machine: str, thing: Any) -> list[tuple[Any, Any]]:
    if machine == "attempt":
        row = thing.asset_return
        return [(_("Claim"), row.claim_line.claim.number), (_("Amount"), readable.money(row.amount, row.asset)), (_("Return is now"), row.get_state_display())]
    return [(_("Returns in the part"), f"{thing.items:,}"), (_("Sent at"), readable.instant(thing.sent_at, get_language() or "en")), (_("Calls"), thing.tries)]


def describe(request: ApprovalRequest, case: Case) -> Effect:
    """What the signers of a correction are shown: the step, the thing, the reason and the paper's hash."""
    made = Correction.objects.filter(pk=request.object_id, case=case).select_related("by").first()
    if made is None:
        raise Http404
    model = MACHINES.get(made.machine)
    thing = model.objects.filter(pk=made.object_id).select_related("batch").first() if model else None
    words = {"from": label_of(made.machine, made.from_state), "to": label_of(made.machine, made.to_state)}
    figures: list[tuple[Any, Any]] = [(_("State now"), words["from"]), (_("State after"), words["to"])]
    tables: list[Table] = []
    if thing is not None:
        figures = [(_("What"), what_of(made.machine, thing)), (_("Batch"), thing.batch.reference), *figures, *figures_of(made.machine, thing)]
        lines = EvidenceLine.objects.none()
        if made.machine == "attempt":
            lines = EvidenceLine.objects.waiting().filter(case=case, reference=thing.asset_return.reference)
        else:
            lines = EvidenceLine.objects.filter(case=case, part=thing.rail_key)
        assets = assets_of(case)
        rows = [
            [place_of(line), LINE_KINDS.get(line.kind, line.kind), line.reference, money_of(assets, line.asset_code, line.amount), match_state(line)]
            for line in lines.select_related("evidence").prefetch_related("matches").order_by("pk")[:10]
        ]
        tables = [*(open_in(thing) if made.finding else []), Table(_("What the rail says of it"), [_("Line"), _("Says"), _("Reference"), _("Amount"), _("Match")], rows, frozenset({3}))]
    figures += [(_("Proposed by"), made.by.first_name or made.by.username), (_("Reason"), made.reason), (_("Paper, SHA-256"), bytes(made.evidence_sha256).hex())]
    warnings = []
    if made.finding == Finding.NOT_PAID and made.machine == "submission" and made.to_state == SubmissionState.DEAD:
        warnings.append(_("You say with your signature that nothing of this part was paid. Its returns are scheduled again and go out anew. Compare the paper: it must cover the whole time in which the part could have been paid."))
    elif made.finding == Finding.NOT_PAID:
        warnings.append(_("You say with your signature that what is open of this was not paid. It is scheduled again and goes out anew. Compare the paper: it must cover the whole time in which it could have been paid."))
    if made.machine == "submission" and made.to_state == SubmissionState.ACCEPTED and not made.finding:
        warnings.append(_("You say with your signature that the bank paid this file after all. What waits of it leaves the books for good; what went out again meanwhile was paid twice, and is to be recovered."))
    if made.to_state == AttemptState.SETTLED or made.finding == Finding.PAID:
        warnings.append(_("You say with your signature that this was paid after all. The amount leaves the books for good."))
    sentence = _("Approve a correction: from “%(from)s” to “%(to)s”.") % words
    if made.finding and thing is not None:
        sentence = found_in_words(made.finding) % {"what": what_of(made.machine, thing), "batch": thing.batch.reference}
    return Effect(
        sentence=sentence, button=_("Sign"), figures=figures, tables=tables,
        warnings=warnings, content_sha256=bytes(request.content_sha256).hex(), moves_value=True,
    )  # fmt: skip


EFFECTS[corrections.ACT] = describe


@page("reversals/", name="reversals")
class CorrectionsPage(ButtonList):
    """Every correction asked for, and whether it was taken."""

    title = lazy("Corrections")
    intro = lazy("Steps against what the machine concluded. Each is signed by two people and taken once. Propose one on the page of a line, a return or an exception.")
    newest_first = True

    def rows(self) -> QuerySet[Any]:
        return self.case.corrections.filter(under__isnull=True).select_related("by")

    def columns(self) -> list[Column]:
        language = get_language() or "en"
        asked = {
            row.object_id: row.pk for row in self.case.approvals.filter(act=corrections.ACT).order_by("pk").only("pk", "object_id")
        }
        return [
            Column(_("No."), lambda row: row.pk, link=lambda row: self.url("approval", pk=asked[row.pk]) if row.pk in asked else ""),
            Column(_("What"), lambda row: f"{MACHINE_WORDS.get(row.machine, row.machine)} {row.object_id}"),
            Column(_("Step"), lambda row: f"{label_of(row.machine, row.from_state)} → {label_of(row.machine, row.to_state)}"),
            Column(_("Reason"), lambda row: row.reason),
            Column(_("Proposed by"), lambda row: row.by.first_name or row.by.username),
            Column(_("At"), lambda row: readable.instant(row.at, language)),
            Column(_("Taken"), lambda row: _("turned down") if row.rejected_at else readable.instant(row.applied_at, language)),
        ]
