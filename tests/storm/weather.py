"""Which fault comes when. The seed says which and in what order; when each strikes depends on who is busy."""

import base64
import contextlib
import json
import os
import random
import signal
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import psycopg

from tests.storm.office import Office
from tests.storm.plant import Plant

GAP = 0.2  # seconds between faults, on average
ARMED = 0.6  # seconds an armed point may wait for somebody to pass it
AHEAD = 0.2  # how much further than the people the weather may be
WAITS = 4.0  # seconds that it waits for them before a fault
FEW = 40  # so few faults that none may be wasted
WHILE_SCHEDULING = 4  # of the kills of a few
CHANCE = 6.0  # seconds that one of few waits for somebody it can hurt, and the next until who sleeps is awake
HEARD_MAX = 200


def message(task: str, *args: Any, version: str = "") -> bytes:
    """As Celery puts it into the queue."""
    body = base64.b64encode(json.dumps([args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]).encode())
    name = str(uuid.uuid4())
    return json.dumps({
        "body": body.decode(), "content-encoding": "utf-8", "content-type": version or "application/json",
        "headers": {"lang": "py", "task": task, "id": name, "root_id": name, "argsrepr": "", "kwargsrepr": "{}"},
        "properties": {"correlation_id": name, "delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "work"},
                       "priority": 0, "body_encoding": "base64", "delivery_tag": name},
    }).encode()  # fmt: skip


POISON: tuple[Callable[[], bytes], ...] = (
    lambda: b"not even json",
    lambda: b"{}",
    lambda: message("a.task.of.another.version", 1),
    lambda: message("returns.send", "no number"),
    lambda: message("returns.send", 10**15),
    lambda: message("work.run_job"),
    lambda: message("work.run_job", 1, version="application/x-python-serialize"),
    lambda: message("work.run_job", "x" * 2_000_000),
)


def faults_of(kills: int, rng: random.Random) -> list[str]:
    """The faults in their order: so many kills, and the others in proportion."""
    other = {
        "stop and go on": max(1, kills // 10),
        "flush the broker": max(1, kills // 25),
        "kill the broker": 1 + kills // 60,
        "crash the database": 1 + kills // 21,
        "end sessions": max(1, kills // 12),
        "second beat": 1 + kills // 100,
        "kill the beat": 1 + kills // 50,
        "messages thrice": max(1, kills // 12),
        "poison": 1 + kills // 25,
        "kill the rail": 1 + kills // 60,
        "kill the web": 1 + kills // 60,
        "emergency stop": 1 + kills // 50,
    }
    early: list[str] = []  # while there is still much to send
    if kills <= 10:  # ten kills leave little time
        other = {name: 1 for name in other if name not in ("kill the broker", "second beat", "poison", "kill the beat", "kill the web")}
        early = ["stop and go on", "stop and go on"]
        del other["emergency stop"], other["stop and go on"]
    else:
        other["poison"] = max(len(POISON), other["poison"])
    order = ["kill"] * kills + [name for name, many in other.items() for _n in range(many)]
    rng.shuffle(order)
    for name in early:
        order.insert(rng.randrange(len(order) // 2), name)
    return ["emergency stop", *order] if early else order  # of the first that is about to leave


class Weather:
    """Hurts one thing after the other, in the thread that owns the plant."""

    def __init__(self, plant: Plant, office: Office | None, *, kills: int, seed: int) -> None:
        self.plant, self.kills = plant, kills
        self.office = office
        self.rng = random.Random(seed)
        self.faults = faults_of(kills, self.rng)
        self.done = 0
        self.count: Counter[str] = Counter()
        self.spent: dict[str, float] = defaultdict(float)  # seconds on each kind of fault, and on waiting
        self.last_fault = 0.0
        self.heard: list[bytes] = []  # messages that waited or were in hand at some time
        self.poisoned = 0
        self.passed = threading.Event()
        self.enough = threading.Event()  # what it was made for has been seen
        self.few = len(self.faults) < FEW
        self.waits_for_a_call = False

    @property
    def scheduled(self) -> bool:
        return bool(self.office and self.office.scheduled)

    @property
    def progress(self) -> float:
        """How far it has come, from 0 to 1; the people may be as far. A fault that needs somebody at work lets them go ahead."""
        if self.passed.is_set():
            return 1.0
        return min(0.99, self.done / len(self.faults) + 0.3 * self.waits_for_a_call)

    def rage(self, *, until: float) -> None:
        """All of it, one after the other; `until` is when the patience of the harness ends."""
        if self.few:  # none is wasted: the first while the round is scheduled, the others once something is to be sent
            while self.faults.count("kill") > self.kills - WHILE_SCHEDULING and not self.scheduled:
                self.faults.remove("kill")
                before = self.plant.killed
                self.plant.page.arm(signal.SIGKILL, self.rng.randint(1, 14))
                self.wait_for(lambda before=before: self.plant.killed > before or self.scheduled, CHANCE * self.plant.slow)
                self.plant.page.disarm()
                self.count["kill"] += 1
            while self.faults[0] == "emergency stop":
                self.emergency_stop()
                self.count[self.faults.pop(0)] += 1
            self.wait_for(lambda: bool(self.office and self.office.count["batches"]), until - time.monotonic())
        for fault in self.faults:
            if time.monotonic() > until or self.enough.is_set():
                break
            self.breathe(self.rng.expovariate(1 / GAP))
            began = time.monotonic()
            self.keep_step()
            if self.few:  # nobody is killed, or loses its connection, with an answer that it should come back with
                self.wait_for(lambda: self.plant.all_are_awake(), CHANCE * self.plant.slow)
            self.spent["waiting for people"] += time.monotonic() - began
            if self.office:
                self.office.look(fault)
            began = time.monotonic()
            getattr(self, fault.replace(" ", "_"))()
            self.spent[fault] += time.monotonic() - began
            self.count[fault] += 1
            self.done += 1
        while self.plant.killed < self.kills and time.monotonic() < until and not self.enough.is_set():  # an armed point nobody passed
            self.kill()
            self.breathe(0.1)
        self.plant.page.disarm()
        self.last_fault = time.time()
        self.passed.set()

    def keep_step(self) -> None:
        """Faults are for those at work: if the people are behind, the weather waits a little."""
        if self.office and not self.few:
            office = self.office
            self.wait_for(lambda: office.share + AHEAD >= self.done / len(self.faults), WAITS * self.plant.slow)

    def wait_for(self, what: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not what() and time.monotonic() < until and not self.enough.is_set():
            self.breathe(0.03)

    def breathe(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            self.plant.wake_sleepers()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))

    # --- workers

    def kill(self) -> None:
        """Half of them from outside, whoever has something in hand; half at a point where something is committed or sent."""
        before = self.plant.killed
        if self.rng.random() < 0.5:
            self.plant.page.arm(signal.SIGKILL, self.rng.randint(1, 12))
            self.until_died(before, ARMED * self.plant.slow)
        if self.plant.killed == before:
            self.plant.page.disarm()
            pid = self.plant.some(self.rng, busy=True)
            if pid:
                self.breathe(self.rng.random() ** 2 * 0.1)
                self.signal(pid, signal.SIGKILL)
                self.until_died(before, 1.0)

    def until_died(self, before: int, seconds: float) -> None:
        self.wait_for(lambda: self.plant.killed > before, seconds)

    def stop_and_go_on(self) -> None:
        """Asleep past its lease, then awake again with what it had in hand."""
        before = self.plant.slept
        with_an_answer = self.few or self.rng.random() < 0.7  # in its hands, and not yet written down
        self.plant.page.arm(signal.SIGSTOP, 1 if with_an_answer else self.rng.randint(1, 8), after_a_call=with_an_answer)
        self.waits_for_a_call = self.few
        self.wait_for(lambda: self.plant.slept > before, (CHANCE if self.few else 2 * ARMED) * self.plant.slow)
        self.waits_for_a_call = False
        self.plant.page.disarm()
        if self.plant.slept == before:
            pid = self.plant.some(self.rng, busy=True)
            if pid:
                self.signal(pid, signal.SIGSTOP)

    def signal(self, pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    # --- the servers

    def flush_the_broker(self) -> None:
        self.plant.broker().flushall()

    def kill_the_broker(self) -> None:
        self.plant.crash_valkey()

    def crash_the_database(self) -> None:
        self.plant.crash_postgres()

    def end_sessions(self) -> None:
        with contextlib.suppress(psycopg.Error), self.plant.hurting():
            self.plant.sql(
                "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND backend_type = 'client backend' ORDER BY random() LIMIT 3) s"
            )

    # --- the doorbell

    def second_beat(self) -> None:
        self.plant.born("second")

    def kill_the_beat(self) -> None:
        pid = self.plant.some(self.rng, busy=False, kinds=("beat",))
        if pid:
            self.signal(pid, signal.SIGKILL)

    def messages_thrice(self) -> None:
        """Every message that waits or is in somebody's hands, and some of long ago, three times and in any order."""
        broker = self.plant.broker()
        now = self.listen(broker)
        said = (now + self.rng.sample(self.heard, min(20, len(self.heard)))) * 3
        self.rng.shuffle(said)
        if said:
            broker.rpush("work", *said)

    def listen(self, broker: Any) -> list[bytes]:
        """The messages that wait, and those that a worker has taken and not yet done with."""
        now: list[bytes] = list(broker.lrange("work", 0, 30))
        for taken in list(broker.hvals("unacked"))[:30]:
            with contextlib.suppress(ValueError, IndexError, TypeError):
                now.append(json.dumps(json.loads(taken)[0]).encode())
        self.heard = [*self.heard, *now][-HEARD_MAX:]
        return now

    def poison(self) -> None:
        """In the order of the list, so that a storm of any length meets each."""
        self.plant.broker().lpush("work", POISON[self.poisoned % len(POISON)]())
        self.poisoned += 1

    # --- the rail and the people

    def kill_the_web(self) -> None:
        self.plant.crash_web()

    def kill_the_rail(self) -> None:
        self.plant.crash_rail()

    def emergency_stop(self) -> None:
        if self.office:
            self.office.asked_to_stop += 1
