"""
The people of a storm: they schedule, sign, export, read statements, decide what is in doubt, stop and resume.

They press again when a page says that the database is gone, as people do, and nothing they press is ever certain to have
worked. The decisions about doubt are theirs: a part on a rail that can be asked nothing is declared unpaid only from a
statement that covers the day.
"""

import contextlib
import os
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from celery import current_app
from django.db import InterfaceError, OperationalError, connection, connections, transaction
from kombu.exceptions import OperationalError as BrokerError

from administration.cases import approvals, stops
from administration.cases.models import ApprovalRequest, Stop
from administration.errors import Refused
from administration.fields import db_now
from administration.record.models import Event
from administration.returns import batches, corrections, evidence, rounds, sending, settlement, submissions
from administration.returns.models import AssetReturn, Attempt, Batch, Submission
from administration.work.models import Job
from claims.destinations.models import Destination
from tests.returns.world import World
from tests.storm.estate import RAILS
from tests.storm.plant import Plant
from tests.storm.visitors import Visitors

R3 = "rehearsal-r3"
PAGE = 5_000
PATIENCE = 40.0  # seconds that a person waits for a job before looking again
EXPORTS = 10.0  # seconds in which a small batch is exported, whoever is killed meanwhile
REFUSED = 6.0  # seconds in which a worker has come for what was stopped
GLANCE = 0.8  # seconds that people wait for what they began in a day, while other batches can be prepared
OVERLAP = 40  # lines of an earlier statement that the next one says again


class Office:
    """One thread of people. `progress` says how far the weather has come, from 0 to 1."""

    def __init__(self, plant: Plant, world: World, *, seed: int, progress: Callable[[], float]) -> None:
        self.plant, self.world, self.progress = plant, world, progress
        self.rng = random.Random(seed)
        self.limit = 20
        self.day_passes = 0.15  # how often a day goes by at the rail while one goes by here
        self.shares: dict[str, float] = {}  # rail → how much of what is to go on it has been put into batches
        self.count: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.wrongly_accepted: list[str] = []  # replays and stale approvals that were let through
        self.stop_windows: list[tuple[str, str, str]] = []  # rail, pressed at, lifted at: by the database's clock
        self.machine_stops: list[str] = []
        self.asked_to_stop = 0
        self.scheduled = False  # the round, to its end
        self.errors: list[str] = []
        self.finished = threading.Event()
        self.leaving = threading.Event()
        self.visitors: Visitors | None = None  # who press on pages, where there is a web
        self.paper = b""  # the whole statement of the rail that cannot be asked, as far as it was fetched
        self.taken = 0  # lines of it that were imported

    def look(self, what: str) -> None:
        """Where the day stands, for whoever wants to see where a storm spends its time."""
        if os.environ.get("STORM_DIARY"):
            print(f"{time.monotonic():.2f} {self.progress():.2f} {what} {self.count['batches']} {self.count['scheduled again']}", file=sys.stderr, flush=True)

    @property
    def many(self) -> bool:
        """Whether there is so much to send that what is begun goes on for a while."""
        return self.limit > 50

    @property
    def share(self) -> float:
        """How far the people have come, from 0 to 1."""
        return sum(self.shares.values()) / len(RAILS)

    # --- pressing

    def press(self, act: Callable[[], Any]) -> Any:
        """Do an act as a person at a screen does: again when the database was gone; a refusal is read and noted."""
        while not self.leaving.is_set():
            try:
                return act()
            except Refused as refusal:
                self.refusals[type(refusal).__name__] += 1
                return None
            except (OperationalError, InterfaceError) as gone:
                self.count["deadlock" if "deadlock" in str(gone) else "database gone"] += 1
                self.errors.append(f"{type(gone).__name__}: {str(gone).splitlines()[0]}")
                for alias in connections:
                    connections[alias].close()
                time.sleep(0.2)
        return None

    def wait(self, job: Job | None, seconds: float = PATIENCE) -> Job | None:
        """Until the job ended, or patience does. Workers do the work, not the person."""
        if job is None:
            return None
        until = time.monotonic() + seconds * self.plant.slow
        while time.monotonic() < until and not self.leaving.is_set():
            found = self.press(lambda: Job.objects.filter(pk=job.pk).values_list("state", flat=True).first())
            if found != "waiting":
                return job
            time.sleep(0.05)
        self.count["impatient"] += seconds == PATIENCE
        return job

    def glance(self, begun: list[Job | None]) -> None:
        """Wait a little for all of these together; what is not done goes on while something else is looked at."""
        until = time.monotonic() + GLANCE
        for job in begun:
            self.wait(job, max(0.0, until - time.monotonic()) / self.plant.slow)

    # --- the days

    def work(self) -> None:
        try:
            while not self.leaving.is_set():
                self.a_day()
                if self.progress() >= 1 and self.press(self.is_done):
                    self.finished.set()
                    return
        except Exception as error:
            import traceback

            self.errors.append(traceback.format_exc())
            raise error
        finally:
            connections.close_all()

    def a_day(self) -> None:
        by = self.world.goto
        self.look("morning")
        if not self.press(lambda: self.world.case.rounds.filter(scheduled_at__isnull=False).exists()):
            self.wait(self.press(lambda: rounds.schedule(self.world.case, self.world.run, rails=RAILS, by=by, at=db_now())))
            return
        self.scheduled = True
        self.lift_what_the_machine_stopped()
        ready = [batch for rail in RAILS.values() for batch in self.make_ready(rail)]
        stopping = self.asked_to_stop and sum(batch.items for batch in ready) > (0 if self.many else 2 * self.plant.part)
        begun = [self.send(batch, submit=self.many or not stopping) for batch in ready]
        self.look("begun")
        if stopping and any(begun):
            self.asked_to_stop -= 1
            if self.many:
                time.sleep(self.rng.random() * 0.5)
                self.stop_and_resume()
            else:
                self.stop_what_is_about_to_leave(ready, begun)
        begun += [
            self.press(lambda rail=rail: evidence.observe(self.world.case, rail, by=by, at=db_now()))
            for rail in ("rehearsal", "rehearsal-r2")
        ]
        self.read_the_paper_statement()
        begun.append(self.press(lambda: settlement.settle(self.world.case, by=by, at=db_now())))
        self.look("asked")
        self.glance(begun)
        self.look("glanced")
        self.press(self.decide_doubt)
        self.press(self.follow_what_came_back)
        if self.rng.random() < 0.3:
            self.replay_an_approval()
            if self.visitors:
                self.press(lambda: self.visitors and self.visitors.press_again(1))
        time.sleep(0.05)

    def make_ready(self, rail: str) -> list[Batch]:
        """A batch at a time, signed, while the weather lasts: the last ones are kept until it has passed."""
        case, by = self.world.case, self.world.goto

        def waiting() -> tuple[int, int]:
            rows = AssetReturn.objects.filter(case=case, rail=rail, after=None)
            return rows.filter(state="scheduled", tries=0).count(), rows.count()

        left, total = self.press(waiting) or (0, 1)
        self.shares[rail] = (total - left) / total
        if left and total - left > total * (self.progress() + 0.1):
            return []
        unsigned = self.press(lambda: list(Batch.objects.filter(case=case, rail=rail, state__in=["draft", "frozen", "approved"])))
        if unsigned:
            return [batch for batch in unsigned if self.sign(batch)]
        current = self.press(lambda: case.rounds.latest("number"))
        batch = self.press(lambda: batches.draft(case, current, rail, by=by, at=db_now(), limit=self.limit))
        self.look("drafted")
        return [batch] if batch is not None and self.sign(batch) else []

    def sign(self, batch: Batch) -> bool:
        """Freeze and sign; whatever of that was done already is refused and passed over."""
        by = self.world.goto
        batch = self.press(lambda: Batch.objects.get(pk=batch.pk)) or batch
        if batch.state == "draft":
            self.press(lambda: batches.freeze(batch, by=by, at=db_now()))
            self.look("frozen")
        if batch.state in ("draft", "frozen"):
            request = self.press(lambda: ApprovalRequest.objects.filter(act=batches.ACT, object_id=batch.pk).last())
            if request is None:
                return False
            self.show_a_stale_hash(request)
            self.press(lambda: approvals.sign(request, by=self.world.people.aoki, at=db_now()))
            if not (self.visitors and (self.rng.random() < 0.2 or not self.visitors.captured) and self.visitors.sign(request)):
                self.press(lambda: approvals.sign(request, by=self.world.people.baba, at=db_now()))
            self.look("signed")
        return True

    def send(self, batch: Batch, *, submit: bool = True) -> Job | None:
        """Export a signed batch, and let it be sent."""
        job = self.press(lambda: submissions.export(batch, by=self.world.goto, at=db_now(), submit=submit))
        if job is not None:
            self.count["batches"] += 1
        return job if isinstance(job, Job) else None

    # --- statements

    def read_the_paper_statement(self) -> None:
        """The statement of the rail that cannot be asked, fetched by a person: sometimes cut off, sometimes twice."""
        try:
            whole = self.paper_statement()
        except OSError:
            return
        lines = whole.splitlines(keepends=True)
        since = 0 if len(lines) < 2_000 or self.rng.random() < 0.03 else max(0, self.taken - OVERLAP)
        data = b"".join(lines[since:])
        if not data:
            return
        case, by = self.world.case, self.world.goto
        if len(data) > 200 and (self.rng.random() < 0.2 or not self.count["truncated statements"]):
            cut = data[: self.rng.randrange(100, len(data) - 1)]
            if not cut.endswith(b"\n"):
                got = self.press(lambda: evidence.receive(case, R3, name="cut off", data=cut, by=by, at=db_now()))
                self.count["truncated statements"] += 1
                if got is not None:
                    self.wrongly_accepted.append("a truncated statement")
        twice = self.rng.random() < 0.2 or not self.count["duplicate statements"]
        for _time in range(1 + twice):
            got = self.press(lambda: evidence.receive(case, R3, name="statement", data=data, by=by, at=db_now()))
            self.count["statements"] += 1
            self.taken = len(lines) if got is not None else self.taken
        self.count["duplicate statements"] += twice

    def paper_statement(self) -> bytes:
        """The whole statement of the rail that cannot be asked. What it said it goes on saying; so only the rest is fetched."""
        while True:
            page = self.plant.ask_rail("GET", f"/r3/statement?after={lines_of(self.paper)}&limit={PAGE}")
            if not page:
                return self.paper
            self.paper += page

    # --- doubt

    def decide_doubt(self) -> None:
        """A part whose outcome nobody can ask for: the bank's day is closed, and its whole statement does not name it."""
        case = self.world.case
        parts = list(Submission.objects.filter(batch__case=case, batch__rail=R3, state="unknown").order_by("pk"))
        parts = [part for part in parts if part.lease_until is None or part.lease_until < db_now()]
        if not parts:
            return
        try:
            self.plant.ask_rail("POST", "/days?pass=1")
            statement = self.paper_statement()
        except OSError:
            return
        self.read_the_paper_statement()
        self.press(lambda: settlement.settle(case, by=self.world.goto, at=db_now()))
        for part in parts:
            if f'"{part.rail_key}"'.encode() in statement:
                continue
            asked = self.press(
                lambda part=part: corrections.find(
                    case, part, "not_paid", reason="not on the statement of the closed day", evidence=statement or b"empty",
                    by=self.world.goto, at=db_now(),
                )
            )  # fmt: skip
            if asked is None:
                asked = self.open_correction(part)
            if asked is None:
                continue
            for user in (self.world.people.aoki, self.world.people.baba):
                self.press(lambda user=user, asked=asked: approvals.sign(asked, by=user, at=db_now()))
            self.count["declared unpaid"] += 1

    def open_correction(self, part: Submission) -> ApprovalRequest | None:
        found = self.press(
            lambda: ApprovalRequest.objects.filter(act=corrections.ACT, state="open", case=self.world.case).order_by("-pk").first()
        )
        return found if isinstance(found, ApprovalRequest) else None

    def follow_what_came_back(self) -> None:
        """Another destination for what came back, and a new return; days go by so that what will come back does."""
        case = self.world.case
        back = list(
            AssetReturn.objects.filter(case=case, state="returned", followed_by=None).select_related("claim_line", "asset")
        )
        self.press(lambda: self.give_others(back))
        for row in back:
            self.press(lambda row=row: rounds.schedule_again(row, by=self.world.goto, at=db_now()))
            self.count["scheduled again"] += 1
        waiting = Attempt.objects.filter(batch__case=case, state__in=["pending", "unknown"])
        if self.rng.random() < self.day_passes or self.progress() >= 1 or not waiting.exists():
            with contextlib.suppress(OSError):
                self.plant.ask_rail("POST", "/days?pass=1")

    def give_others(self, back: list[AssetReturn]) -> None:
        """Another destination for each of these that has none any more, in the version whose turn it is."""
        lacking: dict[tuple[str, int], list[int]] = defaultdict(list)
        theirs: dict[tuple[int, int], list[str]] = defaultdict(list)
        found = Destination.objects.filter(claim__in={row.claim_line.claim_id for row in back})
        for claim, asset_id, state in found.values_list("claim", "asset", "state"):
            theirs[claim, asset_id].append(state)
        for row in back:
            states = theirs[row.claim_line.claim_id, row.asset_id]
            if "usable" not in states:
                lacking[row.asset.code, len(states) + 1].append(row.claim_line.claim_id)
        for (asset, version), claims in lacking.items():
            self.world.give_destinations(claims, version=version, asset=asset)

    # --- stops

    def stop_what_is_about_to_leave(self, ready: list[Batch], begun: list[Job | None]) -> None:
        """
        A small batch is out in no time. So each is exported first, all are let go, and stop is pressed in the same breath.

        It stays pressed until a worker has come for them: it must be refused, and whoever sends then is found out.
        """
        for job in begun:
            self.wait(job, EXPORTS)
        by = self.world.goto
        leaving = [self.press(lambda batch=batch: submissions.submit(batch, by=by, at=db_now())) for batch in ready]

        def was_refused() -> None:
            for job in leaving:
                self.wait(job, REFUSED)
            for batch in ready:
                with contextlib.suppress(BrokerError, OSError):  # a helper was rung for before, and comes now
                    current_app.send_task(sending.TASK, args=[batch.pk], retry=False)

        self.stop_and_resume(meanwhile=was_refused)

    def stop_and_resume(self, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Somebody presses stop in the middle of it; two resume a few seconds later."""
        rail = self.rng.choice(["", *RAILS.values()]) if self.many else ""
        case, people = self.world.case, self.world.people
        stop = None
        if self.many and self.visitors and self.visitors.stop(rail):
            stop = self.press(lambda: Stop.objects.filter(case=case, rail=rail, by=people.baba, lifted_at=None).last())
            self.count["stops on the page"] += stop is not None
        if stop is None:
            stop = self.press(lambda: stops.stop(case, reason="a doubt", rail=rail, by=people.baba, at=db_now()))
        if stop is None:
            return
        # Written down once whoever had passed the check before it was through: nothing may be claimed after this instant.
        pressed = self.press(lambda: Event.objects.get(kind="stop.made", subject_id=str(stop.pk)).recorded_at)
        self.count["emergency stops"] += 1
        self.look("stopped")
        meanwhile()
        time.sleep(3.0 * (1 if self.many else self.plant.slow))
        lifted = self.press(db_now)
        for user in (people.aoki, people.baba):
            self.press(lambda user=user: stops.lift(stop, by=user, at=db_now()))
        if pressed and lifted:
            self.stop_windows.append((rail, pressed.isoformat(), lifted.isoformat()))

    def lift_what_the_machine_stopped(self) -> None:
        found = self.press(lambda: list(Stop.objects.filter(case=self.world.case, lifted_at=None)))
        for stop in found or []:
            if stop.by_id is None:
                self.machine_stops.append(stop.reason)
            for user in (self.world.people.aoki, self.world.people.baba):
                self.press(lambda user=user, stop=stop: stops.lift(stop, by=user, at=db_now()))

    # --- replays

    def replay_an_approval(self) -> None:
        """A captured request sent again: the same signature on what was decided long ago."""
        granted = self.press(lambda: list(ApprovalRequest.objects.filter(state="granted").order_by("pk")))
        if not granted:
            return
        request = self.rng.choice(granted)
        self.count["approvals replayed"] += 1
        if self.press(lambda: approvals.sign(request, by=self.world.people.aoki, at=db_now())) is not None:
            self.wrongly_accepted.append(f"a replayed signature on request {request.pk}")

    def show_a_stale_hash(self, request: ApprovalRequest) -> None:
        """Somebody signs what an old page showed: the hash of another batch. It must be refused."""
        older = self.press(
            lambda: ApprovalRequest.objects.filter(act=batches.ACT).exclude(pk=request.pk).order_by("-pk").first()
        )
        if older is None or self.rng.random() < 0.5 or request.state != "open":
            return
        self.count["stale hashes shown"] += 1
        signed = self.press(
            lambda: approvals.sign(
                request, by=self.world.people.baba, at=db_now(), content_sha256=bytes(older.content_sha256)
            )
        )
        if signed is not None:
            self.wrongly_accepted.append(f"a stale hash on request {request.pk}")

    # --- the end

    def is_done(self) -> bool:
        """Everything that was scheduled is settled, or came back and was followed; nothing is open anywhere."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                """SELECT NOT EXISTS (SELECT FROM returns_assetreturn r WHERE r.case_id = %(case)s AND (
                              r.state NOT IN ('settled', 'returned')
                              OR r.state = 'returned' AND NOT EXISTS (
                                  SELECT FROM returns_assetreturn n WHERE n.after_id = r.id)))
                      AND NOT EXISTS (SELECT FROM returns_batch b
                                      WHERE b.case_id = %(case)s AND b.state NOT IN ('closed', 'voided'))
                      AND EXISTS (SELECT FROM returns_assetreturn)""",
                {"case": self.world.case.pk},
            )
            (done,) = cursor.fetchone()
        if not done:
            return False
        summary = self.plant.ask_rail("GET", "/truth/summary")
        import json

        state = json.loads(summary)
        return not state["to_come_back"] and not state["hidden"]


def lines_of(data: bytes) -> int:
    return data.count(b"\n")
