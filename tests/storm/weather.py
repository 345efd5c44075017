"""Which fault comes when. The seed says which and in what order; when each strikes depends on who is busy."""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from typing import Any

import psycopg

from tests.storm.office import Office
from tests.storm.plant import Plant

GAP = 0.22  # seconds between faults, on average
POISON = (
    b"not even json",
    b"{}",
    json.dumps({"body": "W10=", "content-encoding": "utf-8", "content-type": "application/json", "headers": {},
                "properties": {"delivery_tag": "x", "delivery_info": {"exchange": "", "routing_key": "work"}}}).encode(),
)  # fmt: skip


def faults_of(kills: int, rng: random.Random) -> list[str]:
    """The faults in their order: so many kills, and the others in proportion."""
    other = {
        "stop and go on": max(1, kills // 10),
        "flush the broker": max(1, kills // 25),
        "kill the broker": 1 + kills // 60,
        "crash the database": 1 + kills // 60,
        "end sessions": max(1, kills // 12),
        "second beat": 1 + kills // 100,
        "kill the beat": 1 + kills // 50,
        "messages thrice": max(1, kills // 12),
        "poison": 1 + kills // 25,
        "kill the rail": 1 + kills // 60,
        "emergency stop": 1 + kills // 50,
    }
    if kills <= 10:  # ten kills leave little time
        other = {name: 1 for name in other if name not in ("kill the broker", "second beat", "poison", "kill the beat")}
        other["stop and go on"] = 2
    order = ["kill"] * kills + [name for name, many in other.items() for _n in range(many)]
    rng.shuffle(order)
    return order


class Weather:
    """Hurts one thing after the other, in the thread that owns the plant."""

    def __init__(self, plant: Plant, office: Office | None, *, kills: int, seed: int) -> None:
        self.plant, self.kills = plant, kills
        self.office = office
        self.rng = random.Random(seed)
        self.faults = faults_of(kills, self.rng)
        self.done = 0
        self.count: Counter[str] = Counter()
        self.last_fault = 0.0
        self.passed = threading.Event()

    @property
    def progress(self) -> float:
        return 1.0 if self.passed.is_set() else min(0.99, self.done / len(self.faults))

    def rage(self, *, until: float) -> None:
        """All of it, one after the other; `until` is when the patience of the harness ends."""
        if len(self.faults) < 40 and self.plant.bug != "early cursor":  # few faults: none is wasted on a round not even scheduled
            while not (self.office and self.office.count["batches"]) and time.monotonic() < until:
                self.breathe(0.05)
        for fault in self.faults:
            if time.monotonic() > until:
                break
            self.breathe(self.rng.expovariate(1 / GAP))
            getattr(self, fault.replace(" ", "_"))()
            self.count[fault] += 1
            self.done += 1
        while self.plant.killed < self.kills and time.monotonic() < until:  # an armed point nobody passed
            self.kill()
            self.breathe(0.1)
        self.plant.page.disarm()
        self.last_fault = time.time()
        self.passed.set()

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
            self.until_died(before, 1.5)
        if self.plant.killed == before:
            self.plant.page.disarm()
            pid = self.plant.some(self.rng, busy=True)
            if pid:
                self.breathe(self.rng.random() ** 2 * 0.1)
                self.signal(pid, signal.SIGKILL)
                self.until_died(before, 1.0)

    def until_died(self, before: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self.plant.killed == before and time.monotonic() < until:
            self.breathe(0.02)

    def stop_and_go_on(self) -> None:
        """Asleep past its lease, then awake again with what it had in hand."""
        self.plant.page.arm(signal.SIGSTOP, self.rng.randint(1, 8))
        until = time.monotonic() + 1.5
        while self.plant.page.armed and time.monotonic() < until:
            self.breathe(0.02)
        self.plant.page.disarm()

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
        with contextlib.suppress(psycopg.Error):
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
        """Every message that waits, three times, in any order."""
        broker = self.plant.broker()
        waiting: list[Any] = broker.lrange("work", 0, -1) * 3
        self.rng.shuffle(waiting)
        if waiting:
            broker.rpush("work", *waiting)

    def poison(self) -> None:
        self.plant.broker().rpush("work", self.rng.choice(POISON))

    # --- the rail and the people

    def kill_the_rail(self) -> None:
        self.plant.crash_rail()

    def emergency_stop(self) -> None:
        if self.office:
            self.office.asked_to_stop += 1
