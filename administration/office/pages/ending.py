"""The tail in one place: customers not reached, rounds to close, what nobody claims, and what is left at the end."""

import json
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from administration.cases import profiles
from administration.cases.models import ApprovalRequest, Case, CourtOrder
from administration.office import readable, words
from administration.office.entering import OfCase, OneOf, PaperField, WordsField, offer
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import CasePage, page
from administration.office.pages.depositing import BATCH, EXPORT, ClaimsField, Why, claims_named, request_of
from administration.office.pages.papers import paper
from administration.office.pages.returning import round_of
from administration.office.pages.showing import Button, Section, ShowPage, link, tag
from administration.office.pages.what_is_signed import describes
from administration.office.templatetags.office import jst
from administration.record import log
from administration.record.models import Event
from administration.returns import apart, closing, forfeiting, reaching
from administration.returns.models import Forfeiture, Residue, ReturnState, Round, TailState

NOTICES, SCHEDULE = "claims.schedule", "returns.schedule"
SHOWN = 200


# --- customers not reached ------------------------------------------------------------------------


@page("reaching/", name="reaching", menu="returns", icon="contact_mail", order=58)
class Reaching(ShowPage):
    title = lazy("Customers not reached")

    def prepare(self, **kwargs: Any) -> None:
        self.clocks = reaching.clocks(self.case, at=self.at)
        self.due = [clock for clock in self.clocks if clock.next_at is not None and clock.next_at <= self.at]

    def sentence(self) -> Any:
        return ngettext(
            "%(count)s claim has something set aside and waits for its customer: no usable destination, or no verified identity.",
            "%(count)s claims have something set aside and wait for their customers: no usable destination, or no verified identity.",
            len(self.clocks),
        ) % {"count": f"{len(self.clocks):,}"}

    def notices(self) -> list[tuple[str, Any]]:
        tail = profiles.proceeding_of(self.case).tail
        if tail.confirmed:
            return []
        return [("warning", _("How often to remind, and how long to wait, is not laid down: these numbers follow practice (to be confirmed)."))]

    def figures(self) -> list[tuple[Any, Any]]:
        tail = profiles.proceeding_of(self.case).tail
        return [
            (_("Due for a reminder now"), f"{len(self.due):,}"),
            (_("Count as unreachable"), f"{sum(clock.unreachable for clock in self.clocks):,}"),
            (_("Reminders before that"), tail.reminders), (_("Days between two"), tail.reminder_days), (_("Days after the last"), tail.wait_days),
        ]  # fmt: skip

    def buttons(self) -> list[Button]:
        found = [self.button(_("Send the reminders"), "remind", NOTICES, main=True)] if self.due else []
        unreachable = [clock.number for clock in self.clocks if clock.unreachable]
        if unreachable:
            found += [
                self.button(_("Deposit for who is unreachable"), "deposit-propose", BATCH),
                self.button(_("Sell their coins"), "sale-propose", BATCH),
                self.button(_("Give it to the others"), "forfeit", BATCH),
            ]
        return found

    def sections(self) -> list[Section]:
        rows = [
            [link(self.url("claim", number=clock.number), clock.number), clock.reminded, jst(clock.last) if clock.last else "–",
             jst(clock.next_at) if clock.next_at else "–",
             tag(_("unreachable")) if clock.unreachable else jst(clock.counts_at) if clock.counts_at else "–"]
            for clock in sorted(self.clocks, key=lambda one: (not one.unreachable, one.number))[:SHOWN]
        ]  # fmt: skip
        sent = Event.objects.filter(case_id=self.case.pk, kind="notices.issued").order_by("-number")[:10]
        letters = []
        for event in sent:
            body = json.loads(event.body)
            if body.get("kind") == reaching.KIND:
                letters.append([
                    jst(event.at), f"{body['first']}–{body['last']}", words.of(words.CHANNELS, str(body["channel"])),
                    link(f"{self.url('reminder-letters')}?first={body['first']}&last={body['last']}", _("Letters for the printer")),
                ])  # fmt: skip
        return [
            Section(
                _("Whose move is the customer's"), _("The newest sign of life starts the clock anew."),
                head=[_("Claim"), _("Reminders"), _("Last"), _("Next"), _("Counts as unreachable")], rows=rows, numeric=frozenset({1}),
                empty=_("Nobody is waited for."),
            ),
            Section(_("Reminders sent"), head=[_("When"), _("Numbers"), _("Channel"), ""], rows=letters, empty=_("None yet.")),
        ]  # fmt: skip


class Channel(OfCase):
    channel = forms.ChoiceField(label=lazy("Channel"), choices=words.choices(words.CHANNELS, ["post", "email", "portal"]))


@page("reaching/remind/", name="remind")
class Remind(ActPage):
    """reaching.remind"""

    title = lazy("Send the reminders")
    power = NOTICES
    form_class = Channel
    intro = lazy("One numbered notice to each claim that is due. No amounts, no link to follow.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        due = [clock for clock in reaching.clocks(self.case, at=self.at) if clock.next_at is not None and clock.next_at <= self.at]
        if not due:
            raise reaching.NotReminded(_("Nobody is due for a reminder now."))
        title, text = reaching.letter(self.case, due[0].number, due[0].language)
        return Effect(
            ngettext("%(count)s claim is reminded.", "%(count)s claims are reminded.", len(due)) % {"count": f"{min(len(due), reaching.CHUNK):,}"},
            _("Send the reminders"),
            figures=[(_("Channel"), words.of(words.CHANNELS, data["channel"])), (_("Title"), title), (_("Text"), text)],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return reaching.remind(self.case, channel=data["channel"], by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("reaching")


@page("reaching/letters/", name="reminder-letters")
class Letters(CasePage):
    """The letters with their addresses, for the printer."""

    power = NOTICES
    http_method_names = ["get"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        asked = [request.GET.get(name, "") for name in ("first", "last")]
        if not all(one.isascii() and one.isdecimal() and len(one) < 10 for one in asked):
            raise reaching.NotReminded(_("Say which reminders: their first and last number."))
        first, last = (int(one) for one in asked)
        if not first <= last < first + reaching.CHUNK:
            raise Http404
        text = reaching.letters(self.case, first, last)
        if not text:
            raise Http404
        body = {"first": first, "last": last}
        log.append(self.case, "notices.letters_taken", subject=self.case, by=self.user, at=self.at, body=body)
        answer = HttpResponse(text.encode(), content_type="text/plain; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{self.case.reference}-reminders-{first}-{last}.txt"'
        answer["X-Content-Type-Options"] = "nosniff"
        return answer


# --- what nobody claims ---------------------------------------------------------------------------


class Forfeiting(OfCase):
    claims = ClaimsField(label=lazy("Claims"), help_text=lazy("Their numbers, one a line."))
    facts = WordsField(label=lazy("What was done to reach them"), max_length=2000)
    order = OneOf(CourtOrder.objects.none(), label=lazy("Order"))

    def prepare(self) -> None:
        offer(self, "order", self.case.orders.filter(permits__contains=[forfeiting.PERMITS]).order_by("-issued_date"))

    def clean_claims(self) -> Any:
        return claims_named(self, self.cleaned_data["claims"])


@page("reaching/forfeit/", name="forfeit")
class Forfeit(ActPage):
    """forfeiting.propose"""

    title = lazy("Give to the others what nobody claims")
    power = BATCH
    form_class = Forfeiting
    intro = lazy("Only where the plan says so and a court has ordered it. The claims are admitted for what they received; the next run shares the rest among the others.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        amounts = forfeiting.lines_of(self.case, data["claims"])
        return Effect(
            _("%(count)s lines of claims lose what waits for them, once two people have signed.") % {"count": f"{len(amounts):,}"},
            _("Ask two people to sign"), figures=[(_("Facts"), data["facts"])], tables=[_lost(amounts.items())], order=data["order"],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return forfeiting.propose(self.case, data["claims"], facts=data["facts"], order=data["order"], by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("reaching")


def _lost(rows: Any) -> Table:
    first = [[line.claim.number, readable.money(units, line.asset)] for line, units in list(rows)[:10]]
    return Table(_("The first ten"), [_("Claim"), _("Amount")], first, frozenset({1}))


@describes(forfeiting.ACT)
def what_is_forfeited(request: ApprovalRequest, case: Case) -> Effect:
    made = Forfeiture.objects.filter(case=case, pk=request.object_id).select_related("order", "plan").first()
    if made is None:
        raise Http404
    rows = [(row.claim_line, row.amount) for row in made.lines.select_related("claim_line__claim", "claim_line__asset").order_by("pk")]
    return Effect(
        _("%(count)s lines of claims lose what waits for them; the next run gives it to the others.") % {"count": f"{len(rows):,}"}, _("Sign"),
        figures=[(_("Facts"), made.facts), (_("Plan"), f"{made.plan.name} ({made.plan})")], tables=[_lost(rows)],
        content_sha256=bytes(request.content_sha256).hex(), order=made.order, moves_value=True,
    )  # fmt: skip


# --- rounds and residue ---------------------------------------------------------------------------


@page("ending/", name="ending", menu="returns", icon="flag", order=64)
class Ending(ShowPage):
    title = lazy("Closing rounds, and what is left")

    def sections(self) -> list[Section]:
        rounds = []
        for one in self.case.rounds.select_related("run", "closing").order_by("-number"):
            closed = getattr(one, "closing", None)
            waits = [] if closed else closing.what_waits(one)
            rounds.append([
                link(self.url("round", number=one.number), one.number), tag(_("closed") if closed else _("open")), _figures(self.case, one),
                jst(closed.at) if closed else " ".join(waits) or _("Nothing of it waits."),
                "" if closed else link(self.url("round-close", number=one.number), _("Close it")) if self.may(SCHEDULE) and not waits else "",
            ])  # fmt: skip
        left = closing.left_over(self.case)
        residues = []
        for row in self.case.residues.select_related("order").order_by("-number"):
            request = request_of(self.case, closing.ACT, row.pk)
            acts: list[Any] = [link(self.url("approval", pk=request.pk), _("Signatures"))] if request else []
            if row.state == TailState.APPROVED and self.may(EXPORT):
                acts.append(link(self.url("residue-dispose", pk=row.pk), _("It was handed over")))
            if row.state == TailState.APPROVED and self.may(BATCH):
                acts.append(link(self.url("residue-back", pk=row.pk), _("Give it up")))
            if row.evidence_sha256:
                acts.append(paper(self, row.evidence_sha256, _("receipt")))
            residues.append([str(row), tag(row.get_state_display()), row.to_whom, _of(row), row.order.number, _join(acts)])
        return [
            Section(
                _("Rounds"), head=[_("Round"), _("State"), _("Returns"), _("Closed, or what waits"), ""], rows=rounds, empty=_("No round yet.")
            ),
            Section(
                _("What is left"), " ".join(closing.what_stands_in_the_way(self.case)) or _("Everything was returned, deposited or spent; this is the residue."),
                head=[_("Asset"), _("Free")], rows=[[asset.code, readable.money(units, asset)] for asset, units in left.items()], numeric=frozenset({1}),
                empty=_("Nothing is left."), buttons=[self.button(_("Propose what becomes of it"), "residue-propose", BATCH)],
            ),
            Section(
                _("Residue"), head=[_("No."), _("State"), _("To whom"), _("Amount"), _("Order"), ""], rows=residues, empty=_("None yet.")
            ),
        ]  # fmt: skip


def _join(parts: list[Any]) -> Any:
    return format_html_join(" · ", "{}", ((part,) for part in parts))


def _of(row: Residue) -> str:
    return " + ".join(readable.money(one.amount, one.asset) for one in row.lines.select_related("asset").order_by("asset__code"))


def _figures(case: Case, current: Round) -> str:
    found = closing.figures(current)
    return readable.listed(
        f"{ReturnState(state).label} {sum(int(many) for many, _units in assets.values()):,}" for state, assets in sorted(found.items())
    ) or "–"  # fmt: skip


@page("rounds/<int:number>/close/", name="round-close")
class CloseRound(ActPage):
    """closing.close"""

    title = lazy("Close a round")
    power = SCHEDULE

    def effect(self, data: dict[str, Any]) -> Effect:
        current = round_of(self.case, self.kwargs["number"])
        waits = closing.what_waits(current)
        if waits:
            raise closing.NotClosed(_("Round %(number)s stays open.") % {"number": current.number} + " " + " ".join(waits))
        rows = [
            [str(ReturnState(state).label), code, f"{int(many):,}"] for state, assets in sorted(closing.figures(current).items())
            for code, (many, _units) in sorted(assets.items())
        ]  # fmt: skip
        return Effect(
            _("Round %(number)s is over. What comes back later is taken up by the next round.") % {"number": current.number}, _("Close the round"),
            tables=[Table(_("Returns of this round"), [_("State"), _("Asset"), _("Returns")], rows, frozenset({2}))],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return closing.close(round_of(self.case, self.kwargs["number"]), by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("ending")


class Leaving(OfCase):
    to_whom = forms.CharField(label=lazy("To whom"), max_length=200)
    facts = WordsField(label=lazy("Why"), max_length=2000)
    order = OneOf(CourtOrder.objects.none(), label=lazy("Order"))

    def prepare(self) -> None:
        offer(self, "order", self.case.orders.filter(permits__contains=[closing.PERMITS]).order_by("-issued_date"))


@page("ending/residue/", name="residue-propose")
class ProposeResidue(ActPage):
    """closing.propose"""

    title = lazy("Propose what becomes of the residue")
    power = BATCH
    form_class = Leaving
    intro = lazy("What is free of every asset when everything was returned or deposited. A court says to whom it goes; two other people sign.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        waits = closing.what_stands_in_the_way(self.case)
        if waits:
            raise closing.NotDisposed(_("It is too early for the residue.") + " " + " ".join(waits))
        rows = [[asset.code, readable.money(units, asset)] for asset, units in closing.left_over(self.case).items()]
        return Effect(
            _("What is left goes to %(whom)s, once two people have signed.") % {"whom": data["to_whom"]}, _("Ask two people to sign"),
            figures=[(_("Why"), data["facts"])], tables=[Table(_("What is left"), [_("Asset"), _("Amount")], rows, frozenset({1}))], order=data["order"],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return closing.propose(self.case, to_whom=data["to_whom"], facts=data["facts"], order=data["order"], by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("ending")


def residue_of(case: Case, pk: int) -> Residue:
    found = Residue.objects.filter(case=case, pk=pk).select_related("case", "order").first()
    if found is None:
        raise Http404
    return found


def effect_of(row: Residue, sentence: Any, button: Any, sha256: str = "") -> Effect:
    return Effect(
        sentence, button, figures=[(_("Amount"), _of(row)), (_("To whom"), row.to_whom), (_("Why"), row.facts)], order=row.order,
        content_sha256=sha256, moves_value=True,
    )  # fmt: skip


@describes(closing.ACT)
def what_residue_is_given(request: ApprovalRequest, case: Case) -> Effect:
    row = residue_of(case, request.object_id)
    return effect_of(row, _("Approve: what is left goes to %(whom)s.") % {"whom": row.to_whom}, _("Sign"), bytes(request.content_sha256).hex())


@describes(closing.ACT + apart.BACK)
def what_residue_is_given_up(request: ApprovalRequest, case: Case) -> Effect:
    row = residue_of(case, request.object_id)
    return effect_of(row, _("Give residue %(residue)s up: it was not handed over.") % {"residue": row}, _("Sign"), bytes(request.content_sha256).hex())


class OfResidue(ActPage):
    def object(self) -> Residue:
        return residue_of(self.case, self.kwargs["pk"])

    def form_arguments(self) -> dict[str, Any]:
        self.object()
        return {}

    def facts(self) -> list[tuple[Any, Any]]:
        row = self.object()
        return [(_("Residue"), row), (_("Amount"), _of(row)), (_("To whom"), row.to_whom), (_("Why"), row.facts)]

    def back(self) -> str:
        return self.url("ending")


class Handed(forms.Form):
    paper = PaperField(label=lazy("The receipt"))


@page("ending/residue/<int:pk>/dispose/", name="residue-dispose")
class Dispose(OfResidue):
    """closing.dispose"""

    title = lazy("The residue was handed over")
    power = EXPORT
    form_class = Handed

    def effect(self, data: dict[str, Any]) -> Effect:
        row = self.object()
        return effect_of(row, _("It leaves the books; nothing of the estate is left."), _("Record it"))

    def act(self, data: dict[str, Any]) -> Any:
        return closing.dispose(self.object(), paper=data["paper"].read(), by=self.user, at=self.at)


@page("ending/residue/<int:pk>/give-up/", name="residue-back")
class GiveResidueUp(OfResidue):
    title = lazy("Give a residue up")
    power = BATCH
    form_class = Why

    def effect(self, data: dict[str, Any]) -> Effect:
        row = self.object()
        return effect_of(row, _("Two people are asked to give residue %(residue)s up.") % {"residue": row}, _("Ask two people"))

    def act(self, data: dict[str, Any]) -> Any:
        return apart.ask_back(self.object(), closing.ACT, reason=data["reason"], by=self.user, at=self.at)
