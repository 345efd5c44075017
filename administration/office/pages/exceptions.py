"""What needs a person: unknown, returned, held, mismatched, unmatched; each with its owner, age and next step."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import F
from django.http import Http404
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import wording
from administration.office import readable
from administration.office.entering import OfCase, offer
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import CasePage, page
from administration.office.pages.evidencing import LINE_KINDS, STEPS, money_of
from administration.office.pages.returning import (
    OWNERS,
    assets_of,
    gate_sentence,
    people_in_charge,
    place_of,
    rail_name,
    rows_of,
)
from administration.office.pages.scheduling import KEPT_BACK
from administration.people.models import User
from administration.rails.interface import AnsweringRail, CarriedRail, RailClass
from administration.returns import doubt, failures, gates, matching, owners, routes, sending
from administration.returns.models import AssetReturn, Attempt, EvidenceLine, Match, Matter, Submission, SubmissionState

SHOWN = 50  # of each kind; the lists have all
# What a rail or bank did of which nothing of ours is the cause.
ORPHANED = ("no_such_return", "not_sent", "no_attempt", "unknown_debit", "unknown_credit")

NEXT_FOR: dict[str, Any] = {
    RailClass.R1: lazy("The house calls again with the same key. If the rail stays silent, call the rail."),
    RailClass.R2: lazy("The rail is asked after its quiet period, and sent to again only on “not found”. If it stays silent, call it."),
    RailClass.R3: lazy("Get the rail's statement and receive it here. If it shows that nothing was paid, propose the correction; two people sign."),
    RailClass.R4: lazy("The same signed bytes are broadcast again. Wait for the depth that makes it final."),
}

# A custodian or another exchange answers by file, when it is asked.
NEXT_FOR_CARRIED = lazy("Nobody has answered for it in the time in which an answer is due. Ask whoever got the file, and receive the answer here. If none comes, find out whether it was paid, and say so with the paper; two people sign.")

RETURNED = """
SELECT r.reference, c.number, a.code, r.amount, m.applied_at, e.id, e.reason, EXISTS (
    SELECT FROM destinations_destination d
    WHERE d.claim_id = l.claim_id AND d.asset_id = r.asset_id AND d.state = 'usable' AND d.usable_from <= clock_timestamp())
FROM returns_assetreturn r
JOIN books_asset a ON a.id = r.asset_id
JOIN register_claimline l ON l.id = r.claim_line_id JOIN register_claim c ON c.id = l.claim_id
JOIN LATERAL (
    SELECT m.applied_at, m.line_id FROM returns_attempt t JOIN returns_match m ON m.attempt_id = t.id
    WHERE t.asset_return_id = r.id ORDER BY m.id DESC LIMIT 1) m ON true
JOIN returns_evidenceline e ON e.id = m.line_id
WHERE r.case_id = %s AND r.state = 'returned'
  AND NOT EXISTS (SELECT FROM returns_assetreturn n WHERE n.after_id = r.id)
ORDER BY m.applied_at LIMIT %s
"""


# Since when, at the latest, something of each gate is kept back: since its round was scheduled.
SINCE = """
SELECT CASE WHEN r.state = 'held' THEN r.held_by_gate ELSE 'destination' END, min(o.scheduled_at)
FROM returns_assetreturn r JOIN returns_round o ON o.id = r.round_id
WHERE r.case_id = %s AND (r.state = 'held' OR r.state = 'scheduled' AND r.destination_id IS NULL)
GROUP BY 1
"""


@dataclass(frozen=True)
class Waiting:
    """One thing that waits for a person."""

    what: str
    detail: str
    owner: str
    since: datetime | None
    age: str
    step: str
    acts: list[tuple[Any, str]] = field(default_factory=list)
    beside: list[tuple[str, str]] = field(default_factory=list)  # lines of evidence: words, address
    about: tuple[str, str] = ("", "")  # what it can be assigned by: Matter, name


@page("exceptions/", name="exceptions", menu="returns", icon="report", order=15)
class Exceptions(CasePage):
    """Oldest first in each kind."""

    title = lazy("Exceptions")
    template = "office/board/exceptions.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        self.assets = assets_of(self.case)
        self.charge = people_in_charge(self.case, self.at)
        kinds = [
            ("unknown", _("Unknown outcome"), self.unknown()),
            ("mismatch", _("Evidence that does not fit"), self.lines(orphaned=False)),
            ("orphaned", _("Orphaned: nothing of ours explains it"), self.lines(orphaned=True)),
            ("failed", _("Failed, and kept back"), self.failed()),
            ("returned", _("Came back"), self.returned()),
            ("held", _("Held back"), self.held()),
            ("overpaid", _("Over-paid, not recovered yet"), self.overpaid()),
        ]
        owners_now, may = owners.of(self.case, at=self.at), self.may(owners.POWER)
        kinds = [(key, heading, [self.owned(one, owners_now, may=may) for one in found]) for key, heading, found in kinds]
        return {"kinds": kinds, "shown": SHOWN, "count": sum(len(found) for _key, _title, found in kinds)}

    def owned(self, one: Waiting, owners_now: dict[tuple[str, str], User], *, may: bool) -> Waiting:
        """With the person who was named for it, and the act that names one."""
        person = owners_now.get(one.about)
        matter, thing = one.about
        acts = [*one.acts, (_("Assign it"), self.url("exception-assign", matter=matter, thing=thing))] if may else one.acts
        return replace(one, owner=called(person) if person else one.owner, acts=acts)

    def age(self, since: datetime | None) -> str:
        return readable.seconds(max(0.0, (self.at - since).total_seconds())) if since else "–"

    def unknown(self) -> list[Waiting]:
        parts = (
            Submission.objects.filter(batch__case=self.case, state=SubmissionState.UNKNOWN, batch__state__in=["exported", "settling"])
            .select_related("batch").defer("payload").order_by("sent_at", "pk")[:SHOWN]
        )  # fmt: skip
        may = self.may("returns.evidence")
        found = []
        for part in parts:
            rail = routes.rail(part.batch.rail) if routes.known(part.batch.rail) else None
            carried = isinstance(rail, CarriedRail)
            said = wording.said(str((part.answer or {}).get("reason", ""))) or (self.last_word(part) if carried else _("no answer"))
            acts: list[tuple[Any, str]] = [(_("Batch"), self.url("batch", batch=part.batch.reference))]
            if may and rail is not None:
                if rail.can_observe:
                    acts.insert(0, (_("Ask the rail"), self.url("observe")))
                else:
                    acts.insert(0, (_("Receive its statement"), self.url("evidence-receive")))
                if rail.rail_class == RailClass.R3 or carried or not sending.stands(part.batch, self.at):
                    acts.append((_("Say what became of it"), self.url("find-out", machine="submission", pk=part.pk)))
            told = EvidenceLine.objects.filter(case=self.case, part=part.rail_key).select_related("evidence").order_by("-pk")
            lines = (told if carried else told.waiting())[:5]
            still = part.batch.attempts.filter(part=part.part, state__in=doubt.OPEN).count()
            found.append(
                Waiting(
                    _("%(key)s: %(count)s returns on %(rail)s")
                    % {"key": part.rail_key, "count": f"{still:,}", "rail": rail_name(part.batch.rail)},
                    said, self.charge, part.sent_at, self.age(part.sent_at),
                    str(NEXT_FOR_CARRIED if isinstance(rail, AnsweringRail) else NEXT_FOR[rail.rail_class]) if rail else "", acts, [self.beside(line) for line in lines],
                    (Matter.PART, part.rail_key),
                )
            )  # fmt: skip
        return found

    def last_word(self, part: Submission) -> str:
        """When the rail last said anything of a file that somebody carried to it."""
        told = EvidenceLine.objects.filter(case=self.case, part=part.rail_key, evidence__correction__isnull=True)
        last = told.select_related("evidence").order_by("-evidence__received_at", "-pk").first()
        if last is None:
            return _("no answer")
        return _("the last word of %(at)s: %(says)s") % {
            "at": readable.instant(last.evidence.received_at, get_language() or "en"), "says": LINE_KINDS.get(last.kind, last.kind),
        }  # fmt: skip

    def lines(self, *, orphaned: bool) -> list[Waiting]:
        found = EvidenceLine.objects.waiting().filter(case=self.case).select_related("evidence")
        rows = (found.filter(problem__in=ORPHANED) if orphaned else found.exclude(problem__in=(*ORPHANED, "overpaid"))).order_by("pk")[:SHOWN]
        return [
            Waiting(
                matching.sentence(line), f"{line.reference or '–'} · {money_of(self.assets, line.asset_code, line.amount)}",
                self.charge, line.evidence.received_at, self.age(line.evidence.received_at), str(STEPS.get(line.problem, "")),
                [(_("Compare and decide"), self.url("evidence-line", pk=line.pk))], [self.beside(line)], (Matter.LINE, str(line.pk)),
            )
            for line in rows
        ]  # fmt: skip

    def failed(self) -> list[Waiting]:
        kept = failures.kept_back(self.case, SHOWN)
        rows = AssetReturn.objects.in_bulk([row for row, _attempt, _code in kept])
        tried = Attempt.objects.select_related("batch", "asset_return__asset", "asset_return__claim_line__claim").in_bulk([attempt for _row, attempt, _code in kept])
        lines: dict[int, EvidenceLine] = {}
        for match in Match.objects.filter(attempt__in=tried).select_related("line__evidence").order_by("pk"):
            lines[match.attempt_id] = match.line
        found = []
        for pk, attempt_id, code in kept:
            row, attempt = rows[pk], tried[attempt_id]
            what, step = failures.in_words(code)
            acts: list[tuple[Any, str]] = [(_("Its story"), self.url("return", return_reference=row.reference))]
            if self.may("returns.evidence"):
                acts.insert(0, (_("Ask two people to release it"), self.url("return-release", return_reference=row.reference)))
            line = lines.get(attempt_id)
            since = line.evidence.received_at if line else attempt.recorded_at
            found.append(
                Waiting(
                    f"{row.reference} · {readable.money(row.amount, attempt.asset_return.asset)}",
                    _("%(what)s · tries: %(tries)s, the last on %(rail)s") % {"what": what, "tries": row.tries, "rail": rail_name(attempt.batch.rail)},
                    self.charge, since, self.age(since), step, acts, [self.beside(line)] if line else [], (Matter.RETURN, row.reference),
                )
            )  # fmt: skip
        return found

    def beside(self, line: EvidenceLine) -> tuple[str, str]:
        says = LINE_KINDS.get(line.kind, line.kind)
        words = f"{place_of(line)} · {says} · {line.reference or '–'} · {money_of(self.assets, line.asset_code, line.amount)}"
        return words, self.url("evidence-line", pk=line.pk)

    def returned(self) -> list[Waiting]:
        found = []
        for reference, claim, code, units, since, line, reason, usable in rows_of(RETURNED, [self.case.pk, SHOWN]):
            acts: list[tuple[Any, str]] = [(_("Its story"), self.url("return", return_reference=reference))]
            if usable and self.may("returns.schedule"):
                acts.insert(0, (_("Schedule it again"), self.url("return-again", return_reference=reference)))
            step = _("The claim has another usable destination: schedule it again.") if usable else _(
                "Ask the customer for another destination, and have it proved. The old one is blocked."
            )
            found.append(
                Waiting(
                    f"{reference} · {readable.money(int(units), self.assets[code])}",
                    _("Claim %(claim)s · the rail says: %(reason)s") % {"claim": claim, "reason": failures.told(reason) or "–"},
                    str(OWNERS["office"] if usable else OWNERS["customer"]) + f" · {self.charge}", since, self.age(since), step, acts,
                    [(_("The line that says so"), self.url("evidence-line", pk=line))], (Matter.RETURN, reference),
                )
            )  # fmt: skip
        return found

    def held(self) -> list[Waiting]:
        found = []
        oldest: dict[str, datetime | None] = {row[0]: row[1] for row in rows_of(SINCE, [self.case.pk])}
        for code, count in rows_of(KEPT_BACK, [self.case.pk]):
            gate = gates.BY_CODE.get(code)
            owner = str(OWNERS.get(gate.owner, gate.owner)) if gate else str(OWNERS["office"])
            found.append(
                Waiting(
                    gate_sentence(code), _("%(count)s returns") % {"count": f"{count:,}"},
                    f"{owner} · {self.charge}" if owner != str(OWNERS["customer"]) else owner, oldest.get(code), self.age(oldest.get(code)),
                    str(gate.next_act) if gate else "", [(_("Show them"), f"{self.url('returns')}?gate={code}"), (_("Held back"), self.url("held"))], [], (Matter.GATE, code),
                )
            )  # fmt: skip
        return found

    def overpaid(self) -> list[Waiting]:
        rows = self.case.overpayments.filter(recovered__lt=F("amount")).select_related("asset", "asset_return", "line__evidence").order_by("pk")
        found = []
        for row in rows[:SHOWN]:
            acts: list[tuple[Any, str]] = [(_("Recover it"), self.url("overpayment", pk=row.pk))]
            what, step = _("no claimant of ours received it: whoever took it owes it back"), STEPS["taken"]
            if row.asset_return:
                acts.append((_("Its story"), self.url("return", return_reference=row.asset_return.reference)))
                what, step = _("paid beside what the claim is owed"), STEPS["overpaid"]
            found.append(
                Waiting(
                    f"{row.reference or '–'} · {readable.money(row.amount - row.recovered, row.asset)}", what,
                    self.charge, row.at, self.age(row.at), str(step), acts, [self.beside(row.line)], (Matter.OVERPAYMENT, str(row.pk)),
                )
            )  # fmt: skip
        return found


def called(user: User) -> str:
    return user.first_name or user.username


class Assigning(OfCase):
    owner = forms.ChoiceField(label=lazy("Who looks after it"))


@page("exceptions/<str:matter>/<path:thing>/assign/", name="exception-assign")
class AssignException(ActPage):
    """owners.assign"""

    title = lazy("Assign what waits to a person")
    power = owners.POWER
    form_class = Assigning
    intro = lazy("Whoever is named sees to it that it ends. The record says who had it when.")

    def form_arguments(self) -> dict[str, Any]:
        if self.kwargs["matter"] not in Matter.values or not owners.there_is(self.case, self.kwargs["matter"], self.kwargs["thing"]):
            raise Http404
        return {"case": self.case}

    def form(self, data: Any = None, files: Any = None) -> Any:
        made = super().form(data, files)
        offer(made, "owner", [(user.username, called(user)) for user in owners.able(self.case, at=self.at)])  # type: ignore[arg-type]
        return made

    def effect(self, data: dict[str, Any]) -> Effect:
        before = owners.of(self.case, at=self.at).get((self.kwargs["matter"], self.kwargs["thing"]))
        return Effect(
            _("From now on %(person)s looks after it.") % {"person": called(User.objects.get(username=data["owner"]))}, _("Assign it"),
            figures=[
                (Matter(self.kwargs["matter"]).label, self.named()),
                (_("Owner until now"), called(before) if before else people_in_charge(self.case, self.at)),
            ],
        )  # fmt: skip

    def named(self) -> str:
        return gate_sentence(self.kwargs["thing"]) if self.kwargs["matter"] == Matter.GATE else self.kwargs["thing"]

    def act(self, data: dict[str, Any]) -> Any:
        owner = User.objects.get(username=data["owner"])
        return owners.assign(self.case, self.kwargs["matter"], self.kwargs["thing"], owner=owner, by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("exceptions")
