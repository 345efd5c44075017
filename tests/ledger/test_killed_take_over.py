"""
A worker, the office's web and PostgreSQL are killed in the middle of a take-over: it ends as if nothing had happened.

The long form, twenty kills in a larger ledger: `python -m tests.ledger.killing --kills 20 --seed 1 --accounts 20000`.
"""

import json
import os
import subprocess
import sys

from tests.rehearsing import ROOT

SEED = os.environ.get("HENKAN_SEED", "64")


def test_whoever_is_killed_the_ledger_is_taken_over_row_by_row_as_undisturbed():
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL", "HENKAN_STATE_DIR")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.ledger.killing", "--kills", "3", "--seed", SEED, "--accounts", "2000"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.stdout, done.stderr[-3000:]
    print(done.stdout)
    found = json.loads(done.stdout)
    assert (found["differ"], found["left"], found["wrong"]) == ([], [], [])
    assert found["kills"] == 3
    assert {line.split()[0] for line in found["struck"]} == {"worker", "web", "postgres"}
    assert found["rows"]["accounts"] == 2_000
