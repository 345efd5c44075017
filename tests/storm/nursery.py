"""
The nursery: has imported everything and forks Celery workers and beats, so that a killed one is back in no time.

Reads commands from standard input, one a line ("worker NAME", "skewed NAME", "beat NAME"), and says on standard output what
happens ("born NAME PID", "died NAME SIGNAL", "stopped NAME"). Dies with its parent, and its children with it.
"""

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

SKEW = timedelta(days=1, hours=3)
# What a worker would import only once it runs.
AHEAD = (
    "celery.apps.worker", "celery.apps.beat", "celery.bin.celery", "celery.bin.worker", "celery.bin.beat", "celery.beat",
    "celery.concurrency.solo", "celery.fixups.django", "celery.worker.autoscale", "celery.worker.components",
    "celery.worker.consumer", "celery.worker.strategy", "celery.worker.state", "celery.events", "celery.backends.base",
    "kombu.transport.redis", "redis", "administration.returns.tasks", "administration.work.tasks",
)  # fmt: skip


def serve(folder: Path) -> NoReturn:
    """The rest of a forked process's life."""
    code = 1
    try:
        raise_workers(folder)
        code = 0
    except BaseException:  # noqa: BLE001 - it goes into the log, and the process ends
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def raise_workers(folder: Path) -> None:
    scale = json.loads((folder / "scale.json").read_text())
    from config.celery import app
    from tests.storm import bugs, failpoints

    set_scale(scale)
    app.conf.beat_schedule = {
        "work.tick": {"task": "work.tick", "schedule": 0.5, "options": {"expires": 5}},
        "returns.tick": {"task": "returns.tick", "schedule": 0.7, "options": {"expires": 5}},
        "record.seal": {"task": "record.seal", "schedule": 5.0, "options": {"expires": 30}},
    }
    app.loader.import_default_modules()
    app.finalize()
    for module in AHEAD:
        importlib.import_module(module)
    failpoints.lay(failpoints.Page(folder / "failpoints"))
    if scale["bug"]:
        bugs.in_a_worker(scale["bug"])

    children: dict[int, str] = {}
    waiting = b""
    say("ready", str(os.getpid()))
    while True:
        ready, _w, _x = select.select([0], [], [], 0.02)
        if ready:
            chunk = os.read(0, 4096)
            if not chunk:
                for pid in children:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                return
            waiting += chunk
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                kind, name = line.decode().split()
                pid = fork(kind, name, folder, app)
                children[pid] = name
                say("born", name, str(pid))
        while children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                break
            if not pid:
                break
            if os.WIFSTOPPED(status):
                say("stopped", children[pid])
            else:
                number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
                say("died", children.pop(pid), str(number))


def set_scale(scale: dict[str, Any]) -> None:
    """A storm's time is short: leases, pauses and quiet periods of seconds. Everybody in it goes by the same."""
    from administration.rails.rehearsal import Rehearsal
    from administration.returns import matching, rounds, sending, settlement, submissions
    from administration.work import jobs

    for module in (rounds, submissions, matching, settlement):
        module.CHUNK = scale["chunk"]  # done between two faults, or nothing large would ever be done

    sending.LEASE_SECONDS = scale["lease"]
    sending.CALL_SECONDS = scale["call"]
    sending.PAUSES = (1,)
    sending.STEP_SECONDS = 0.5
    sending.TRIES_MAX = 1_000
    jobs.LEASE_SECONDS = scale["job_lease"]
    jobs.TRIES_MAX = 1_000  # the servers come and go
    Rehearsal.max_items = scale["part"]
    timeout = scale["call"] * 0.9
    original = Rehearsal.__init__

    def patient(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **{"timeout": timeout, **kwargs})

    Rehearsal.__init__ = patient  # type: ignore[method-assign]


def fork(kind: str, name: str, folder: Path, app: Any) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        log = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ["PGAPPNAME"] = name
        from django.db import connections

        for alias in ("default", "owner"):
            connections[alias].close()
            connections[alias].settings_dict["OPTIONS"]["application_name"] = name
        if kind == "skewed":
            skew()
        if kind in ("beat", "second"):
            app.start(["beat", "--pidfile=", "-l", "WARNING"])
        else:
            app.worker_main(
                ["worker", "-P", "solo", "-c", "1", "-n", f"{name}@storm", "-l", "WARNING", "--without-gossip",
                 "--without-mingle", "--without-heartbeat"]
            )  # fmt: skip
        code = 0
    except SystemExit:
        code = 0
    except BaseException:  # noqa: BLE001 - it goes into the log, and the process ends
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def skew() -> None:
    """This worker's own clock is a day ahead. No decision may depend on it."""
    from django.utils import timezone

    real, now = time.time, timezone.now
    time.time = lambda: real() + SKEW.total_seconds()
    timezone.now = lambda: now() + SKEW


def say(*words: str) -> None:
    print(*words, flush=True)
