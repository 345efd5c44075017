"""
The return engine against a small pure model: whatever is pressed, sent, lost, killed, refused, returned, stopped, restored.

After every step each return is in the state that the model says, and the rail never holds more than one payment of it.
HENKAN_MODEL=500x50 runs 500 histories of 50 steps; the suite runs 50 of 50.
"""

import json
import os
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from administration.cases import stops
from administration.cases.models import Stop
from administration.fields import db_now
from administration.rails.interface import Accepted, AlreadyKnown, Unknown
from administration.rails.rehearsal import Rehearsal
from administration.rails.rehearsal.truth import Habits, Truth
from administration.record import verify
from administration.returns import batches, evidence, quarantine, rounds, routes, sending, settlement, submissions
from administration.returns.models import AssetReturn, Batch, Home, Submission
from administration.work import jobs
from administration.work.models import JobState
from claims.register import tie_out
from tests.returns.world import found, tampering

EXAMPLES, STEPS = (int(n) for n in os.environ.get("HENKAN_MODEL", "50x50").split("x"))
PART = 2
SCHEDULED, BATCHED, SETTLED, RETURNED = "scheduled", "batched", "settled", "returned"


def done(job):
    """The job's chunks, here and now, and not a look more than they need: histories are long."""
    jobs.advance(job.pk)
    job.refresh_from_db(fields=["state", "error"])
    assert job.state == JobState.DONE, job.error


class Model:
    """What ought to be: returns by reference, batches with their parts, and what the rail has booked."""

    def __init__(self, references, habits):
        self.state = dict.fromkeys(references, SCHEDULED)
        self.habits = habits
        self.frozen, self.approved = {}, {}  # batch → its references
        self.parts = {}  # key → [references, state]: prepared, unknown, out
        self.carried = defaultdict(list)  # reference → the keys under which it was booked
        self.booked, self.read = [], 0
        self.stopped = False

    def draft(self, name, limit):
        chosen = sorted(r for r, state in self.state.items() if state == SCHEDULED)[:limit]
        self.state.update(dict.fromkeys(chosen, BATCHED))
        if chosen:
            self.frozen[name] = chosen
        return chosen

    def void(self, name):
        self.state.update(dict.fromkeys((self.frozen.pop(name, None) or self.approved.pop(name)), SCHEDULED))

    def export(self, name):
        chosen = self.approved.pop(name)
        for n in range(0, len(chosen), PART):
            self.parts[f"{name}/{n // PART + 1}"] = [chosen[n : n + PART], "prepared"]

    def book(self, key):
        if key not in self.booked:
            self.booked.append(key)
            for reference in self.parts[key][0]:
                self.carried[reference].append(key)

    def read_statement(self):
        """Everything booked and not read yet: settled, refused, or paid and come back."""
        for key in self.booked[self.read :]:
            self.parts[key][1] = "out"
            for reference in self.parts[key][0]:
                fate = self.habits.fate(reference, self.carried[reference].index(key))[0]
                self.state[reference] = {"refused": SCHEDULED, "returned": RETURNED}.get(fate, SETTLED)
        self.read = len(self.booked)


class Engine(RuleBasedStateMachine):
    """The real acts, one by one, and the model beside them."""

    def __init__(self):
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = found()
        self.truth = Truth(Path(self.folder.name) / "truth.jsonl", Habits("7", 150_000, 150_000))
        self.truth.open()
        done(rounds.schedule(self.world.case, self.world.run, by=self.world.goto, at=db_now()))
        self.model = Model([row.reference for row in self.world.returns()], self.truth.habits)
        self.mood = "answer"
        Engine.living = self

    def teardown(self):
        try:
            self.lift()
            tie_out.require(self.world.case)
            assert verify.verify(self.world.case)["first_bad"] is None
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)
            os.close(self.truth._file)
            self.folder.cleanup()

    # -- the rail, in the mood that a rule gives it

    def submit(self, content, key):
        if self.mood == "drop":
            return Unknown("nothing came back")
        said, reference = self.truth.book(content, "r1")
        if self.mood == "lose":
            return Unknown("nothing came back")
        return Accepted(reference) if said == "accepted" else AlreadyKnown(reference)

    def observe(self, cursor):
        lines = self.truth.statement(int(cursor or 0), 1000, "r1")
        text = "".join(json.dumps(line) + "\n" for line in lines).encode()
        return Rehearsal("").read(text), str(int(cursor or 0) + len(lines))

    # -- create, edit, approve

    @rule(limit=st.integers(1, 5))
    def draft_and_freeze(self, limit):
        case, current, by = self.world.case, self.world.case.rounds.get(), self.world.goto
        waiting = SCHEDULED in self.model.state.values()
        if self.model.stopped or not waiting:
            with pytest.raises((stops.Stopped, batches.NothingToBatch)):
                batches.draft(case, current, "rehearsal", by=by, at=db_now(), limit=limit)
            return
        batch = batches.draft(case, current, "rehearsal", by=by, at=db_now(), limit=limit)
        batches.freeze(batch, by=by, at=db_now())
        chosen = self.model.draft(batch.reference, limit)
        assert sorted(batch.returns.values_list("reference", flat=True)) == chosen

    @precondition(lambda self: self.model.frozen)
    @rule(data=st.data())
    def approve(self, data):
        name = data.draw(st.sampled_from(sorted(self.model.frozen)))
        self.world.approve(Batch.objects.get(reference=name))
        self.model.approved[name] = self.model.frozen.pop(name)

    @precondition(lambda self: self.model.frozen or self.model.approved)
    @rule(data=st.data())
    def edit_by_voiding(self, data):
        name = data.draw(st.sampled_from(sorted([*self.model.frozen, *self.model.approved])))
        batches.void(Batch.objects.get(reference=name), reason="made anew", by=self.world.goto, at=db_now())
        self.model.void(name)

    # -- send, reply, lose, die

    @precondition(lambda self: self.model.approved)
    @rule(data=st.data())
    def export(self, data):
        name = data.draw(st.sampled_from(sorted(self.model.approved)))
        batch = Batch.objects.get(reference=name)
        if self.model.stopped:
            with pytest.raises(stops.Stopped):
                submissions.export(batch, by=self.world.goto, at=db_now())
            return
        done(submissions.export(batch, by=self.world.goto, at=db_now()))
        self.model.export(name)

    @precondition(lambda self: any(state != "out" for _refs, state in self.model.parts.values()))
    @rule(mood=st.sampled_from(["answer", "answer", "lose", "drop", "die", "die before"]), data=st.data())
    def send(self, mood, data):
        waiting = sorted(key for key, (_refs, state) in self.model.parts.items() if state != "out")
        name = data.draw(st.sampled_from(waiting)).rpartition("/")[0]
        batch, rail = Batch.objects.select_related("case", "order").get(reference=name), routes.rail("rehearsal")
        if self.model.stopped:
            with pytest.raises(stops.Stopped):
                sending.take(batch, rail)
            return
        claim = sending.take(batch, rail)
        assert claim is not None
        part = self.model.parts[claim.rail_key]
        self.mood = "lose" if mood.startswith("die") else mood
        if mood != "die before":
            outcome = self.submit(claim.payload, claim.rail_key)
            if mood != "drop":
                self.model.book(claim.rail_key)
        if mood.startswith("die"):
            with tampering() as cursor:
                cursor.execute("UPDATE returns_submission SET lease_until = now() - interval '1 hour' WHERE id = %s", [claim.pk])
            assert sending.lapse(batch, rail) == 1
        else:
            sending.record(batch, claim, outcome, rail)
        part[1] = "out" if mood == "answer" else "unknown"

    @rule()
    def the_rail_speaks(self):
        """Its statement is read to its end, and settled: also parts whose answer was lost, and money that comes back."""
        evidence.observe_now(self.world.case, "rehearsal")
        done(settlement.settle(self.world.case, by=self.world.goto, at=db_now()))
        self.model.read_statement()

    @precondition(lambda self: RETURNED in self.model.state.values())
    @rule()
    def follow_what_came_back(self):
        back = AssetReturn.objects.filter(state="returned", followed_by=None).order_by("reference").first()
        if back is None:
            return
        claim = back.claim_line.claim
        version = claim.destinations.filter(asset=back.asset).count() + 1
        self.world.give_destinations([claim.pk], version=version, asset=back.asset.code)
        again = rounds.schedule_again(back, by=self.world.goto, at=db_now())
        self.model.state[again.reference] = SCHEDULED

    # -- stop, restore

    @precondition(lambda self: not self.model.stopped)
    @rule(rail=st.sampled_from(["", "rehearsal"]))
    def stop(self, rail):
        stops.stop(self.world.case, reason="a doubt", rail=rail, by=self.world.people.baba, at=db_now())
        self.model.stopped = True

    @precondition(lambda self: self.model.stopped)
    @rule()
    def lift(self):
        for stop in Stop.objects.filter(lifted_at=None):
            for user in (self.world.people.aoki, self.world.people.baba):
                stops.lift(stop, by=user, at=db_now())
        self.model.stopped = False

    @precondition(lambda self: Home.objects.exists())
    @rule()
    def restore(self):
        """The rows wake up in another database: all is stopped, what may have left is in doubt, the rail is asked."""
        with tampering() as cursor:
            cursor.execute("UPDATE returns_home SET identity = 'another database'")
        with pytest.raises((quarantine.NotAtHome, stops.Stopped)):
            self.take_any()
        assert Stop.objects.filter(lifted_at=None, rail="").exists()
        quarantine.look()
        self.model.stopped = True
        for key, part in self.model.parts.items():
            if part[1] != "out":
                part[1] = "out" if key in self.model.booked else "unknown"

    def take_any(self):
        batch = Batch.objects.filter(submissions__isnull=False).select_related("case", "order").first()
        sending.take(batch, routes.rail("rehearsal"))

    # -- always

    @invariant()
    def every_return_is_where_the_model_says(self):
        assert dict(AssetReturn.objects.values_list("reference", "state")) == self.model.state

    @invariant()
    def the_rail_never_holds_two_payments_of_one_return(self):
        assert self.truth.summary()["paid_twice"] == []

    @invariant()
    def every_part_is_where_the_model_says(self):
        ours = dict(Submission.objects.values_list("rail_key", "state"))
        meant = {"accepted": "out", "final": "out"}
        assert {key: meant.get(state, state) for key, state in ours.items()} == {
            key: state for key, (_refs, state) in self.model.parts.items()
        }


def test_whatever_is_done_the_engine_does_what_the_model_says(world, monkeypatch):
    monkeypatch.setattr(Rehearsal, "max_items", PART)
    monkeypatch.setattr(Rehearsal, "submit", lambda self, content, key: Engine.living.submit(content, key))
    monkeypatch.setattr(Rehearsal, "observe", lambda self, cursor: Engine.living.observe(cursor))
    monkeypatch.setattr(sending, "PAUSES", (0,))
    run_state_machine_as_test(
        Engine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
