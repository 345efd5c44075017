"""
One storm on a stack of its own: `python -m tests.storm --returns N --kills K --seed S`.

One JSON object on standard output, what happens on standard error. Exit code 0 when every invariant holds; with a seeded
bug, when the judge caught it.
"""

import argparse
import contextlib
import json
import math
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATIENCE = 60.0  # seconds after the weather has passed within which the work must end by itself, and 1 for 400 returns
BUG_PATIENCE = 20.0  # with a seeded bug it may never end; then the judge looks at what there is
HABITS = ("--refuse", "0.02", "--return-days", "2", "--repeat", "0.02", "--deaf", "0.03", "--delay", "0.02")
RESUMES_WITHIN = 30.0  # seconds after the last fault, and the quiet period
HIDE_SECONDS = 2.5  # shorter than the plant's quiet period
LATE_SECONDS = 1.3  # longer than a call may take
SMALL = {"--lose": "0.2", "--late": "0.03", "--drop": "0.05", "--fail": "0.05", "--hide": "0.8", "--return": "0.06"}
LARGE = {"--lose": "0.05", "--late": "0.01", "--drop": "0.03", "--fail": "0.02", "--hide": "0.2", "--return": "0.01"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="storm", description=__doc__)
    parser.add_argument("--returns", type=int, default=2_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seed-bug", default="", metavar="NAME")
    parser.add_argument("--keep", action="store_true", help="keep the folder with its logs and say where it is")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    with kept(asked.keep) as name:
        result = storm(Path(name), returns=asked.returns, kills=asked.kills, seed=asked.seed, bug=asked.seed_bug)
        if asked.keep:
            tell(f"The logs are in {name}.")
    print(json.dumps(result, ensure_ascii=False, indent=None if asked.json else 1))
    if not asked.seed_bug and result["kills"] < asked.kills:
        tell(f"Only {result['kills']} of {asked.kills} kills found anybody.")
        return 1
    return 0 if bool(result["caught"]) == bool(asked.seed_bug) else 1


@contextlib.contextmanager
def kept(keep: bool) -> Iterator[str]:
    """A folder of its own, which stays if somebody wants to read its logs."""
    name = tempfile.mkdtemp(prefix="storm-")
    try:
        yield name
    finally:
        if not keep:
            shutil.rmtree(name, ignore_errors=True)


def storm(folder: Path, *, returns: int, kills: int, seed: int, bug: str = "") -> dict[str, Any]:
    began = time.monotonic()
    from tests.storm.plant import Plant

    small = returns <= 400
    part = 3 if small else 5 if returns <= 5_000 else 20
    rates = SMALL if small else LARGE  # few calls must meet every kind of trouble too
    slow = slowness()  # a busy machine's seconds are worth less: leases, quiet periods and patience are as much longer
    rates = {**rates, "--late-seconds": str(LATE_SECONDS * slow), "--hide-seconds": str(HIDE_SECONDS * slow)}
    plant = Plant(
        folder, seed, bug=bug, part=part, lease=math.ceil(2 * slow), call=math.ceil(slow), quiet=3 * slow, slow=slow,
        habits=(*HABITS, *(word for pair in rates.items() for word in pair)),
    )  # fmt: skip

    def migrate() -> None:
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        call_command("migrate", verbosity=0)
        connections.close_all()

    def build() -> Any:
        import django

        django.setup()
        from django.db import connection

        from tests.storm import bugs, estate, nursery, visitors

        nursery.set_scale(json.loads((folder / "scale.json").read_text()))
        world = estate.build(returns)
        visitors.let_in(world)
        if bug:
            with connection.cursor() as cursor:
                cursor.execute("SET ROLE NONE")
                bugs.in_the_database(bug, cursor)
                cursor.execute("SET ROLE henkan_app")
            bugs.in_the_office(bug)
        return world

    try:
        world = plant.start(migrate, build)
        tell(f"{time.monotonic() - began:.1f} s: an estate of {world.case.claims.count()} claims; the storm begins.")
        return rage(plant, world, kills=kills, seed=seed, began=began, slow=slow)
    finally:
        plant.close()


def rage(plant: Any, world: Any, *, kills: int, seed: int, began: float, slow: float) -> dict[str, Any]:
    from django.db import connection

    from administration.fields import db_now
    from tests.storm import judge
    from tests.storm.office import Office
    from tests.storm.visitors import Visitors
    from tests.storm.weather import Weather

    began_at = db_now()
    returns = world.case.claims.count() * 3
    weather = Weather(plant, None, kills=kills, seed=seed)
    office = Office(plant, world, seed=seed, progress=lambda: weather.progress)
    office.day_passes = 0.6 if returns <= 400 else 0.15
    office.limit = max(9, min(1_000, returns // (10 if returns <= 400 else 16)))
    weather.office = office
    set_up = time.monotonic() - began
    plant.open()
    people = threading.Thread(target=office.work, daemon=True)
    if plant.bug:  # there is no web then
        looking = threading.Thread(target=sniff, args=(plant, office, weather), daemon=True)
    else:
        office.visitors = Visitors(plant, world, seed=seed)
        looking = threading.Thread(target=office.visitors.watch, daemon=True)
    people.start()
    looking.start()
    weather.rage(until=time.monotonic() + slow * (60 + kills * 2.5))
    raged = time.monotonic() - began
    tell(f"{time.monotonic() - began:.1f} s: the weather has passed: {dict(weather.count)}, {plant.killed} workers killed.")
    office.look(f"the weather spent {({name: round(seconds, 1) for name, seconds in weather.spent.items()})}")
    patience = time.monotonic() + slow * ((BUG_PATIENCE if plant.bug else PATIENCE) + returns / 400)
    while not office.finished.wait(0.05) and time.monotonic() < patience and people.is_alive() and not weather.enough.is_set():
        plant.wake_sleepers()
    ended = time.monotonic() - began
    if office.visitors:
        office.visitors.over.set()
    weather.enough.set()
    looking.join(timeout=slow * 20)
    done = office.finished.is_set()
    tell(f"{time.monotonic() - began:.1f} s: {'all is done' if done else 'it did not end by itself'}; judging.")
    if not done:
        office.leaving.set()
        people.join(timeout=slow * PATIENCE)
        plant.still()  # what is judged does not move
        office.leaving.clear()
    connection.close()
    resumed, longest = stalls(began_at, weather.last_fault)
    took = round(time.time() - weather.last_fault, 1)
    verdict = judge.judge(plant, office, returns=returns, began_at=began_at, moving=done)
    if not done:
        verdict.finds("I3", f"the work did not end by itself after the last fault; {office.errors[-1:]}", at_the_end=True)
    if resumed > slow * (RESUMES_WITHIN + plant.quiet):
        verdict.finds("I3", f"the work went on only {resumed} s after the last fault", at_the_end=True)
    for reason in office.machine_stops:
        verdict.finds("I6", f"the engine stopped a rail by itself: {reason}")
    caught = [f"{name}: {sentence}" for name, found in verdict.findings.items() for sentence in found[:3]]
    for sentence in caught:
        tell(sentence)
    if office.errors:
        tell(f"The office last met: {office.errors[-1]}")
    return {
        "seed": seed,
        "returns": returns,
        "kills": plant.killed,
        "paid_twice": verdict.paid_twice,
        "lost": verdict.lost,
        "wrong": verdict.wrong,
        "conservation": verdict.conservation,
        "unowned_unknown": verdict.unowned_unknown,
        "resume_seconds": resumed,
        "done_seconds_after_the_last_fault": took,
        "invariants": {name: not found for name, found in verdict.findings.items()},
        "caught": caught,
        "faults": dict(sorted(weather.count.items())),
        "office": dict(sorted(office.count.items())),
        "pages": dict(sorted(office.visitors.count.items())) if office.visitors else {},
        "refusals": dict(sorted(office.refusals.items())),
        "longest_stall_seconds": longest,
        "workers_started": plant.started,
        "seconds": round(time.monotonic() - began, 1),
        "spent": {
            "on the estate": round(set_up, 1), "raging": round(raged - set_up, 1), "until all was done": round(ended - raged, 1),
            "judging": round(time.monotonic() - began - ended, 1),
        },
        "slowness": round(slow, 2),
    }  # fmt: skip


def sniff(plant: Any, office: Any, weather: Any) -> None:
    """With a seeded bug: once something smells there is no need to wait for what may never come."""
    from django.db import connection

    from tests.storm import judge

    while not weather.enough.wait(0.5 * plant.slow):
        if judge.smells(plant, office):
            weather.enough.set()
    connection.close()


def slowness() -> float:
    """How many times longer than alone a process takes here at this moment; 1 on a quiet machine."""
    began, worked = time.monotonic(), time.process_time()
    while time.process_time() - worked < 0.3:
        pass
    return min(6.0, max(1.0, (time.monotonic() - began) / 0.3))


# What workers do, not people: by these the work is seen to go on.
WORK = (
    "submission.accepted", "submission.unknown", "submission.refused", "submission.lapsed", "batch.exported", "batch.submitted",
    "evidence.received", "evidence.applied", "batch.closed",
)  # fmt: skip


def stalls(began_at: Any, last_fault: float) -> tuple[float, float]:
    """Seconds from the last fault to the first work after it, and the longest time without any, by the record."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT extract(epoch FROM min(recorded_at) FILTER (WHERE recorded_at >= to_timestamp(%(last)s))) - %(last)s,
                      extract(epoch FROM max(gap))
               FROM (SELECT recorded_at, recorded_at - lag(recorded_at) OVER (ORDER BY number) AS gap FROM record_event
                     WHERE kind = ANY (%(work)s) AND recorded_at >= %(began)s) e""",
            {"last": last_fault, "work": list(WORK), "began": began_at},
        )
        resumed, longest = cursor.fetchone()
    return round(float(resumed or 0), 1), round(float(longest or 0), 1)


def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
