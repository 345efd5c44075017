"""
Where a claim stands, in words: one answer by stage, one reason, whose move it is, and the next date.

Pure: from what the database gave of one claim (portal_claim) to what its page says. The reasons are the customer
sentences of administration.returns.gates, so that the portal, `why` and the office never differ.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from administration.cases.deadlines import next_open
from administration.returns import gates
from claims.portal import labels, readable

ARRIVES_WITHIN = 2  # bank days after which a transfer that did not come back is presumed to have arrived
CHAINS = ("bitcoin", "ethereum", "xrpl")  # final there is arrived

Facts = dict[str, Any]


class Stage(StrEnum):
    """How far one line of a claim has come."""

    RECORDED = "recorded"
    PROPOSED = "proposed"
    BACK = "back"
    APPROVED = "approved"
    SENT = "sent"
    PRESUMED = "presumed"
    ARRIVED = "arrived"


NAMES = {
    Stage.RECORDED: gettext_lazy("Recorded balance"),
    Stage.PROPOSED: gettext_lazy("Proposed, not approved"),
    Stage.BACK: gettext_lazy("Came back to us"),
    Stage.APPROVED: gettext_lazy("Approved"),
    Stage.SENT: gettext_lazy("Sent"),
    Stage.PRESUMED: gettext_lazy("Presumed arrived"),
    Stage.ARRIVED: gettext_lazy("Arrived"),
}
ANSWERS = {
    Stage.RECORDED: gettext_lazy("The exchange's ledger says you held:"),
    Stage.PROPOSED: gettext_lazy("It is proposed that you get:"),
    Stage.BACK: gettext_lazy("This came back to us and is safe with us:"),
    Stage.APPROVED: gettext_lazy("You will get:"),
    Stage.SENT: gettext_lazy("This is on its way to you:"),
    Stage.PRESUMED: gettext_lazy("This should have reached you:"),
    Stage.ARRIVED: gettext_lazy("This has reached you:"),
}
MEANINGS = {
    Stage.RECORDED: gettext_lazy("It is not yet decided how much of it comes back to you."),
    Stage.PROPOSED: gettext_lazy("It can still change until it is approved."),
    Stage.BACK: gettext_lazy("It is sent again once we know where to."),
    Stage.APPROVED: gettext_lazy("The amount is approved. It has not left us yet."),
    Stage.SENT: gettext_lazy("It has left us. We say so when the time it usually takes is over."),
    Stage.PRESUMED: gettext_lazy("It left us and did not come back. Please look at your account, and tell us if it is not there."),
    Stage.ARRIVED: gettext_lazy("The network shows it as final."),
}
# The least advanced of the stages that a claim's lines have reached is the claim's own.
ORDER = (Stage.PROPOSED, Stage.BACK, Stage.APPROVED, Stage.SENT, Stage.PRESUMED, Stage.ARRIVED, Stage.RECORDED)

MOVES = {
    "customer": gettext_lazy("It is your move."),
    "office": gettext_lazy("It is our move. You need do nothing."),
    "approvers": gettext_lazy("It is our move. You need do nothing."),
    "court": gettext_lazy("The court decides. You need do nothing."),
    "time": gettext_lazy("Nobody has to do anything: time must pass."),
    "nobody": gettext_lazy("Nothing is left to do."),
}


@dataclass(frozen=True)
class Reason:
    """Why a line is where it is, whose move that makes it, and until when."""

    code: str
    sentence: str
    owner: str
    until: date | None = None

    @property
    def move(self) -> str:
        return str(MOVES[self.owner])


@dataclass(frozen=True)
class Step:
    """One step of the tracker: done, now, to come, or the way back."""

    name: str
    state: str  # done, now, next, back
    when: str = ""
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """One line of a table: what, how much, and in words why."""

    name: str
    amount: SafeString
    note: str = ""
    strong: bool = False


@dataclass
class Line:
    """One asset and class of a claim."""

    facts: Facts
    today: date

    def units(self, name: str) -> int:
        return int(self.facts[name])

    def shown(self, units: int) -> SafeString:
        return readable.amount_html(units, self.facts["scale"], self.facts["asset"])

    def plain(self, units: int) -> str:
        return readable.amount(units, self.facts["scale"], self.facts["asset"])

    @property
    def asset(self) -> str:
        return str(self.facts["asset"])

    @property
    def class_name(self) -> str:
        return labels.label(labels.CLASSES, self.facts["class"])

    @property
    def whole(self) -> bool:
        """It came in after the cut-off: it is returned in full, in no round's share, and there is nothing to dispute."""
        return bool(self.facts["class"] == "after_cutoff")

    @property
    def claimed(self) -> int:
        return self.units("recorded") + self.units("corrected") + self.units("lodged")

    @property
    def recorded(self) -> int:
        return self.units("recorded") + self.units("corrected")

    @property
    def free(self) -> int:
        """What was given and neither stays here nor is scheduled, on its way, settled or deposited."""
        used = ("excess", "scheduled", "in_flight", "settled", "deposited")
        return self.units("given") - sum(self.units(name) for name in used)

    @property
    def newest(self) -> Facts | None:
        return self.facts["returns"][-1] if self.facts["returns"] else None

    @property
    def proposed(self) -> Facts | None:
        """A run that waits for signatures and gives this line something."""
        return next((s for s in self.facts["shares"] if not s["approved"] and int(s["amount"]) > 0), None)

    @cached_property
    def stage(self) -> Stage:
        row = self.newest
        if row is None:
            if self.proposed:
                return Stage.PROPOSED
            return Stage.APPROVED if self.units("given") else Stage.RECORDED
        if row["state"] == "returned":
            return Stage.BACK
        if row["state"] == "settled":
            if self.facts["network"] in CHAINS and row["rail"] in CHAINS:
                return Stage.ARRIVED
            return Stage.PRESUMED if self.today > (self.arrives_by or self.today) else Stage.SENT
        return Stage.SENT if row["out"] else Stage.APPROVED

    @property
    def stage_name(self) -> str:
        return str(NAMES[self.stage])

    @cached_property
    def arrives_by(self) -> date | None:
        """The day by which what was sent is usually there."""
        row = self.newest
        left = readable.instant((row["settled_at"] or row["sent_at"]) if row else None)
        if left is None:
            return None
        found = left.astimezone(readable.JST).date()
        for _n in range(ARRIVES_WITHIN):
            found = next_open(found + timedelta(days=1), ("12-31", "01-01", "01-02", "01-03"))
        return found

    @property
    def figure(self) -> int:
        """The amount that the answer names at this stage."""
        if self.newest is not None:
            return int(self.newest["amount"])
        if self.stage is Stage.APPROVED:
            return self.units("given") - self.units("settled") - self.units("deposited")
        if self.stage is Stage.PROPOSED and self.proposed:
            return int(self.proposed["amount"])
        return self.recorded

    @property
    def figure_html(self) -> SafeString:
        return self.shown(self.figure)

    @property
    def recorded_html(self) -> SafeString:
        return self.shown(self.recorded)

    @property
    def claimed_html(self) -> SafeString:
        return self.shown(self.claimed)

    @property
    def admitted_html(self) -> SafeString:
        return self.shown(self.units("admitted"))

    @property
    def given_html(self) -> SafeString:
        return self.shown(self.units("given"))

    @cached_property
    def reason(self) -> Reason:
        """As gates.why says it."""
        row = self.newest
        if row is None:
            if self.proposed:
                return Reason("proposed", str(gates.PROPOSED[1]), gates.PROPOSED[2])
            if not self.units("given"):
                return Reason("none", str(gates.NOTHING_YET[1]), gates.NOTHING_YET[2])
            if self.free < self.units("step"):
                small = gates.BY_CODE["minimum"]
                return Reason(small.code, str(small.customer), small.owner)
            given = gates.LATE if self.whole else gates.GIVEN
            return Reason("given", str(given[1]), given[2])
        if row["gate"]:
            return self._gate(row)
        words, owner = gates.STAGES[row["state"]][1], gates.STAGES[row["state"]][2]
        if self.stage is Stage.PRESUMED:
            words = _("Sent, and the days a transfer usually takes have passed.")
        return Reason(row["state"], str(words), owner)

    def _gate(self, row: Facts) -> Reason:
        code = row["gate"]
        gate = gates.BY_CODE["sanctions" if code == "review" else code]
        cooling = readable.instant(self.facts["cooling"])
        if code == "destination" and cooling:
            usable = cooling.astimezone(readable.JST).date()
            words = {"asset": self.asset, "date": readable.day(usable)}
            return Reason("cooling", str(gates.COOLING[1]) % words, gates.COOLING[2], usable)
        until = date.fromisoformat(row["gate_date"]) if row["gate_date"] else None
        if until is None and gate.days:
            until = self.today + timedelta(days=gate.days)
        words = {"asset": self.asset, "date": readable.day(until)}
        return Reason(code, str(gate.customer) % words, gate.owner, until)

    # --- the tracker --------------------------------------------------------------------------

    @cached_property
    def steps(self) -> list[Step]:
        """Accepted, in plan, approved, sent, arrived; and the way back, if it came back."""
        shares, row = self.facts["shares"], self.newest
        approved = [share for share in shares if share["approved"]]
        gone = bool(row and (row["out"] or row["state"] in ("settled", "returned")))
        there = self.stage in (Stage.PRESUMED, Stage.ARRIVED)
        rows: list[tuple[str, bool, str]] = [
            (pgettext("step", "Accepted"), self.units("admitted") > 0, readable.day(self.facts["decided_at"])),
            (_("In the plan"), bool(shares), readable.day(shares[-1]["computed_at"]) if shares else ""),
            (_("Approved"), bool(approved), readable.day(approved[-1]["approved_at"]) if approved else ""),
            (_("Sent"), gone, readable.day(row["sent_at"]) if row and gone else ""),
        ]
        if self.whole:  # no plan shares it: two people signed that it is returned
            rows[1:3] = [(_("Approved"), self.units("given") > 0, readable.day(self.facts["decided_at"]))]
        steps: list[Step] = []
        for name, done, when in rows:
            state = "done" if done else "next"
            if not done and all(step.state == "done" for step in steps):
                state = "now"
            steps.append(Step(name, state, when if done else ""))
        if row and row["state"] == "returned":
            steps.append(Step(_("Came back to us"), "back", readable.day(row["returned_at"]),
                              _("The amount is yours as before. It is sent again after a look at where it goes.")))  # fmt: skip
        arrived = str(NAMES[self.stage]) if there else _("Arrived")
        expected = self.arrives_by if row and row["state"] != "returned" else None
        note = _("Expected by %(date)s.") % {"date": readable.day(expected)} if gone and not there and expected else ""
        last = "done" if there else "now" if gone and row and row["state"] != "returned" else "next"
        steps.append(Step(arrived, last, readable.day(self.arrives_by) if there else "", note))
        return steps

    @property
    def came_back_before(self) -> list[Facts]:
        """Earlier returns of this line that came back and were followed by another."""
        return [row for row in self.facts["returns"][:-1] if row["state"] == "returned"]

    # --- why this much ------------------------------------------------------------------------

    @cached_property
    def claim_figures(self) -> list[Figure]:
        """From the recorded balance to what is accepted."""
        recorded = _("What came in after the cut-off, less what went out") if self.whole else _("Recorded in the exchange's ledger")
        rows = [Figure(recorded, self.shown(self.units("recorded")))]
        for name, words in (
            ("corrected", _("Corrections of the ledger since")),
            ("lodged", _("What you claim above it")),
        ):
            if self.units(name):
                rows.append(Figure(words, self.shown(self.units(name))))
        for name, words in (
            ("out_of_scope", _("Not part of this proceeding")),
            ("rejected", _("Not accepted")),
            ("disputed", _("Not decided yet; its share is kept back for you")),
        ):
            if self.units(name):
                rows.append(Figure(words, self.shown(-self.units(name))))
        rows.append(Figure(_("Accepted"), self.shown(self.units("admitted")), strong=True))
        return rows

    @property
    def decision(self) -> str:
        code = self.facts["reason"]
        if code == "scheduled" and not self.units("admitted") and self.units("disputed"):
            code = "must_file"
        return labels.label(labels.REASONS, code)

    @cached_property
    def share_figures(self) -> list[tuple[Facts, list[Figure]]]:
        """For each run, from what is accepted to what it gives."""
        return [(share, self._share(share)) for share in self.facts["shares"]]

    def _share(self, share: Facts) -> list[Figure]:
        weight, weights, pool = int(share["weight"]), int(share["weights"]), int(share["effective"])
        cumulative = weight * pool // weights if weights else 0
        rows = [
            Figure(_("Your accepted quantity"), self.shown(weight)),
            Figure(_("All accepted and reserved quantities together"), self.shown(weights)),
            Figure(_("Shared out among them, in all rounds so far"), self.shown(pool)),
            Figure(_("Your share: yours × shared out ÷ all, rounded down"), self.shown(cumulative)),
        ]
        if int(share["given"]):
            rows.append(Figure(_("Less what earlier rounds gave you"), self.shown(-int(share["given"]))))
        rows.append(Figure(_("This round gives you"), self.shown(int(share["amount"])), strong=True))
        return rows

    @cached_property
    def position_figures(self) -> list[Figure]:
        """Where each unit given stands."""
        given, scheduled = self.units("given"), self.units("scheduled")
        on_way, settled, deposited = self.units("in_flight"), self.units("settled"), self.units("deposited")
        rows = [
            Figure(_("To be returned to you in full") if self.whole else _("Given to you by approved rounds"), self.shown(given), strong=True),
            Figure(_("Sent and confirmed"), self.shown(settled)),
            Figure(_("On its way"), self.shown(on_way)),
            Figure(_("Prepared to be sent"), self.shown(scheduled)),
        ]
        if deposited:
            rows.append(Figure(_("Deposited with the Legal Affairs Bureau for you"), self.shown(deposited)))
        rest = given - scheduled - on_way - settled - deposited
        if rest:
            note = _("Too small to be sent now; it rides with the next round.") if self.newest else ""
            rows.append(Figure(_("Not yet prepared"), self.shown(rest), note))
        return rows


@dataclass
class Standing:
    """One claim of whoever is signed in."""

    facts: Facts
    lines: list[Line] = field(default_factory=list)

    @property
    def number(self) -> str:
        return str(self.facts["claim"]["number"])

    @cached_property
    def stage(self) -> Stage:
        reached = {line.stage for line in self.lines}
        return next((stage for stage in ORDER if stage in reached), Stage.RECORDED)

    @property
    def name(self) -> str:
        return str(NAMES[self.stage])

    @property
    def answer(self) -> str:
        return str(ANSWERS[self.stage])

    @property
    def meaning(self) -> str:
        return str(MEANINGS[self.stage])

    @cached_property
    def main(self) -> list[Line]:
        """The lines that the answer speaks of."""
        return [line for line in self.lines if line.stage is self.stage and line.figure > 0]

    @cached_property
    def rest(self) -> list[Line]:
        return [line for line in self.lines if line not in self.main]

    @cached_property
    def reason(self) -> Reason:
        """The first that somebody has to do something about, as `why` has it."""
        reasons = [line.reason for line in self.lines]
        waiting = [reason for reason in reasons if reason.owner != "nobody"]
        if waiting or reasons:
            return (waiting or reasons)[0]
        return Reason("empty", _("There is nothing recorded for you."), "nobody")

    @cached_property
    def tracked(self) -> Line | None:
        """The line whose steps stand for the claim."""
        return next(iter(self.main or self.lines), None)

    @property
    def next_date(self) -> tuple[str, str] | None:
        """What comes next and when: of the reason, or of the case."""
        if self.reason.until:
            words = _("Please do it by") if self.reason.owner == "customer" else _("Next update by")
            if self.reason.owner == "time":
                words = _("Ready from")
            return words, readable.day(self.reason.until)
        deadline = self.facts["deadline"]
        if deadline and self.stage in (Stage.RECORDED, Stage.PROPOSED):
            return labels.label(labels.DEADLINES, deadline["kind"]), readable.day(deadline["due"])
        return None

    @cached_property
    def asks_destination(self) -> list[Line]:
        """The lines for which it is the customer's move to say where they go."""
        return [line for line in self.lines if line.reason.code in ("destination", "returned")]

    @property
    def confirmed(self) -> str:
        return readable.moment(self.facts["claim"]["confirmed_at"])

    def line(self, asset: str, claim_class: str) -> Line | None:
        return next((x for x in self.lines if (x.facts["asset"], x.facts["class"]) == (asset, claim_class)), None)


def of(facts: Facts) -> Standing:
    """The standing of a claim, from what the database gave."""
    today = datetime.fromisoformat(facts["now"]).astimezone(readable.JST).date()
    return Standing(facts, [Line(line, today) for line in facts["lines"]])
