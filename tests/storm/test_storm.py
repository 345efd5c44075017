"""
A short storm, and two of the seeded bugs in rotation: the engine holds, and the judge bites.

HENKAN_SEED says which seed (the day of the year otherwise decides which bugs); the long storms are the command `storm`.
"""

import datetime
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.rehearsing import ROOT
from tests.storm import bugs

SEED = os.environ.get("HENKAN_SEED", "64")
TODAY = int(os.environ.get("HENKAN_BUGS") or datetime.datetime.now(datetime.UTC).strftime("%j"))
IN_ROTATION = [sorted(bugs.NAMES)[(2 * TODAY + n) % len(bugs.NAMES)] for n in range(2)]


def storm(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "manage.py", "storm", "--json", "--seed", SEED, *arguments],
        cwd=ROOT, env={**os.environ, "NO_BOOTSTRAP": "1"}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.stdout, done.stderr[-3000:]
    print(done.stdout, done.stderr[-2000:])
    return done.returncode, json.loads(done.stdout)


def test_whatever_is_killed_everything_is_returned_once():
    code, found = storm("--returns", "150", "--kills", "8")

    assert found["caught"] == []
    assert (found["paid_twice"], found["lost"], found["wrong"], found["unowned_unknown"]) == (0, 0, 0, 0)
    assert set(found["conservation"].values()) == {"0"}
    assert found["invariants"] == dict.fromkeys([f"I{n}" for n in range(1, 11)], True)
    assert found["kills"] >= 8
    assert code == 0


@pytest.mark.parametrize("name", IN_ROTATION)
def test_a_seeded_bug_is_caught(name):
    code, found = storm("--returns", "200", "--kills", "10", "--seed-bug", name)

    assert found["caught"], f"nobody noticed that {bugs.NAMES[name]}"
    assert code == 0


def test_a_bug_that_nobody_knows_is_refused():
    done = subprocess.run(
        [sys.executable, "manage.py", "storm", "--seed-bug", "no such"],
        cwd=ROOT, env={**os.environ, "NO_BOOTSTRAP": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--list-seed-bugs" in done.stderr
