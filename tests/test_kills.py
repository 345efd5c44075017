"""
Workers are killed at random moments of steps 2, 5 and 7; what comes out is what an undisturbed run gives.

The workers are real Celery processes. Each kill goes to the worker that has a job in hand at that moment,
after a random pause, by SIGKILL. Compared are amounts, states and hashes by natural keys; ids, times and the
order of events may differ. HENKAN_KILLS says how many kills (20); the seed is printed.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from administration.office import demo
from administration.office import sample as handover
from tests.rehearsing import ROOT, Simulator

SEED = int(os.environ.get("HENKAN_SEED", "64"))
KILLS = int(os.environ.get("HENKAN_KILLS", "20"))
ACCOUNTS = 1_500
WORKERS = 3  # at hand, so that the next one takes over without a start

# Who holds a job now: the session that has its advisory lock, named after its process.
BUSY = """
SELECT application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted AND a.application_name LIKE 'worker-%'
"""

STATE = {
    "balances": """
        SELECT a.account_ref, s.code, b.product, b.amount, b.row FROM ledger_ledgerbalance b
        JOIN ledger_ledgeraccount a ON a.id = b.ledger_account_id JOIN books_asset s ON s.id = b.asset_id""",
    "identities": "SELECT customer_ref, name, kana, birth_or_founding_date, row FROM ledger_identity",
    "positions": """
        SELECT c.number, s.code, l.claim_class, l.recorded, l.admitted, l.disputed, l.rejected,
               p.given, p.scheduled, p.in_flight, p.settled, p.deposited
        FROM register_position p JOIN register_claimline l ON l.id = p.claim_line_id
        JOIN register_claim c ON c.id = l.claim_id JOIN books_asset s ON s.id = l.asset_id""",
    "runs": "SELECT number, state, encode(inputs_sha256, 'hex'), encode(outputs_root, 'hex') FROM distribution_run",
    "entitlements": """
        SELECT c.number, s.code, l.claim_class, e.weight, e.cumulative, e.amount FROM distribution_entitlement e
        JOIN register_claimline l ON l.id = e.claim_line_id JOIN register_claim c ON c.id = l.claim_id
        JOIN books_asset s ON s.id = e.asset_id""",
    "returns": """
        SELECT r.reference, c.number, s.code, r.amount, r.state, r.tries, encode(d.fingerprint, 'hex'),
               (SELECT string_agg(t.state, ',' ORDER BY t.id) FROM returns_attempt t WHERE t.asset_return_id = r.id)
        FROM returns_assetreturn r JOIN register_claimline l ON l.id = r.claim_line_id
        JOIN register_claim c ON c.id = l.claim_id JOIN books_asset s ON s.id = r.asset_id
        LEFT JOIN destinations_destination d ON d.id = r.destination_id""",
    "batches": "SELECT reference, state, items, totals::text, encode(manifest_sha256, 'hex') FROM returns_batch",
    "books": """
        SELECT s.code, a.kind, a.ref, b.debits, b.credits FROM books_balance b
        JOIN books_account a ON a.id = b.account_id JOIN books_asset s ON s.id = a.asset_id""",
}


def outcome() -> dict[str, list[tuple[Any, ...]]]:
    """What came of it, by natural keys."""
    found = {}
    with connection.cursor() as cursor:
        for name, sql in STATE.items():
            cursor.execute(sql)
            found[name] = sorted(cursor.fetchall(), key=str)
    return found


def paid(rail: Simulator) -> list[tuple[str, str, str, str]]:
    """What the rail itself says it did, each line once."""
    lines = [line for record in rail.paid() for line in record.get("lines", [])]
    return sorted((line["reference"], line["kind"], line["asset"], line["amount"]) for line in lines)


class Killer:
    """Keeps some workers and beat running, and kills whoever works."""

    def __init__(self, database: Any, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.random = random.Random(SEED)
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.started = self.kills = 0
        self.wanted = 0
        self.stopping = threading.Event()

    def celery(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "celery", "-A", "config", *arguments],
                cwd=ROOT, env=self.database.env(PGAPPNAME=name, HENKAN_LOG_LEVEL="WARNING"), stdout=log, stderr=log,
            )  # fmt: skip

    def keep_running(self) -> None:
        while len(self.workers) < WORKERS:
            self.started += 1
            name = f"worker-{self.started}"
            self.workers[name] = self.celery(name, "worker", "-P", "solo", "-c", "1", "-n", f"{name}@test")

    def run(self) -> None:
        with psycopg.connect(self.database.database_url, autocommit=True) as look:
            while not self.stopping.is_set():
                self.keep_running()
                busy = [row[0] for row in look.execute(BUSY) if row[0] in self.workers]
                if busy and self.kills < self.wanted:
                    time.sleep(self.random.random() ** 2 * 0.4)
                    name = self.random.choice(busy)
                    worker = self.workers.pop(name)
                    if worker.poll() is None:
                        os.kill(worker.pid, signal.SIGKILL)
                        self.kills += 1
                    worker.wait()
                else:
                    time.sleep(0.01)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        beat = self.celery("beat", "beat", "-s", str(self.folder / "beat.schedule"))
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            thread.join()
            for process in [beat, *self.workers.values()]:
                process.kill()
                process.wait()


def disturbed(step: Callable[[], object], killer: Killer, kills: int) -> None:
    killer.wanted = killer.kills + kills
    step()
    killer.wanted = killer.kills


@pytest.fixture
def package(tmp_path: Path) -> Path:
    handover.write(tmp_path / "package", accounts=ACCOUNTS, seed=SEED)
    return tmp_path / "package"


def test_killing_workers_in_steps_two_five_and_seven_changes_no_result(fresh, package, settings, monkeypatch, tmp_path):
    print(f"seed {SEED}, kills {KILLS}")
    expected, truth = the_way(fresh, package, settings, monkeypatch, tmp_path, kills=0)
    got, truth_then = the_way(fresh, package, settings, monkeypatch, tmp_path, kills=KILLS)

    for name, rows in expected.items():
        assert got[name] == rows, f"{name} differ from the undisturbed run"
    assert truth_then == truth
    assert len({line[0] for line in truth if line[1] == "settled"}) == sum(line[1] == "settled" for line in truth)


def the_way(fresh: Any, package: Path, settings: Any, monkeypatch: Any, tmp_path: Path, *, kills: int) -> Any:
    with tempfile.TemporaryDirectory(prefix="rail-") as folder, fresh() as database:
        rail = Simulator(Path(folder))
        rail.start()
        settings.REHEARSAL_URL = str(rail.socket)
        monkeypatch.setenv("REHEARSAL_URL", str(rail.socket))
        # Each way has its own heads outside: by another's, a database with fewer events looks like a restored backup.
        settings.HEAD_LOG_FILE = str(Path(folder) / "heads.log")
        monkeypatch.setenv("HEAD_LOG_FILE", settings.HEAD_LOG_FILE)
        way = demo.Way(ACCOUNTS, SEED, package=package)
        killer = Killer(database, tmp_path)
        if kills:
            settings.WORK_WHILE_WAITING = False
            with killer.at_work():
                shares = (kills * 2 // 5, kills * 3 // 10, kills - kills * 2 // 5 - kills * 3 // 10)
                for name, step in demo.STEPS:
                    wanted = {"take over": shares[0], "plan": shares[1], "carry out": shares[2]}.get(name, 0)
                    disturbed(lambda step=step: step(way), killer, wanted)  # type: ignore[misc]
            print(f"{killer.kills} workers killed, {killer.started} started")
            settings.WORK_WHILE_WAITING = True
            assert killer.kills >= kills * 2 // 3, "the work was over before the killer could strike"
        else:
            for _name, step in demo.STEPS:
                step(way)
        try:
            return outcome(), paid(rail)
        finally:
            rail.kill()
