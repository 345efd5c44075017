"""The doorbell for real: a worker and a beat as `up` starts them, on a database of the test's own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from administration.work import bell
from administration.work.models import Job
from config import stack

CELERY = [sys.executable, "-m", "celery", "-A", "config"]


@pytest.fixture
def started(committed) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a Celery process on the test's own database and broker; whatever is left is killed."""
    processes: list[subprocess.Popen] = []

    def start(*arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [*CELERY, *arguments], cwd=stack.PROJECT, env=committed.env(), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(true: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def test_a_ring_reaches_a_worker_whose_pool_dies_with_it(started, committed):
    job = Job.objects.create(kind="of.nobody", subject_id=1)
    worker = started("worker", "-P", "prefork", "-c", "1", "--without-gossip", "--without-mingle")

    bell.ring(job.pk)  # before the worker listens: the ring waits for it

    until(lambda: Job.objects.get(pk=job.pk).fence > 0)
    pool = children(worker.pid)
    assert pool
    worker.kill()
    worker.wait()
    until(lambda: not any(lives(pid) for pid in pool), seconds=5)


def test_a_worker_told_to_stop_stops(started, committed):
    worker = started("worker", "-P", "prefork", "-c", "1", "--without-gossip", "--without-mingle")
    until(lambda: children(worker.pid))

    worker.terminate()

    worker.wait(15)


def test_beat_rings_for_what_is_due_and_writes_no_file(started, committed):
    started("beat", "--pidfile=")

    with redis.Redis.from_url(committed.redis_url) as broker:
        until(lambda: broker.llen("work"))
    assert not list(stack.PROJECT.glob("celerybeat*"))
