"""`up` itself: everything answers, nothing survives, Ctrl-C is heard."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import stack
from tests.config.test_servers import STOPPED_MAX, processes_of, wait_until_gone

ROUND = {**os.environ, "NO_BOOTSTRAP": "1", "PYTHONDONTWRITEBYTECODE": "1"}
for name in ("DATABASE_URL", "REDIS_URL", "HENKAN_EMBEDDED", "DJANGO_SETTINGS_MODULE", *stack.KEPT):
    ROUND.pop(name, None)


@pytest.fixture
def state() -> Iterator[Path]:
    with stack.temporary_state() as path:
        yield path


@pytest.fixture
def up(state: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts `up`; whatever a failed test has left of it is killed."""
    started: list[subprocess.Popen] = []

    def start(*arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--accounts", "20", *arguments],
            cwd=stack.PROJECT, env={**ROUND, "HENKAN_STATE_DIR": str(state)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def wait_for_sign_ins(process: subprocess.Popen) -> str:
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("Ctrl-C"):
            return said
    raise AssertionError(said + process.communicate()[1])


def manage(state: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=stack.PROJECT, env={**ROUND, "HENKAN_STATE_DIR": str(state)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def test_up_answers_survives_a_killed_worker_leaves_no_orphan_and_stops_on_ctrl_c(state, up):
    first = up()
    said = wait_for_sign_ins(first)
    found = json.loads(manage(state, "stack", "--json").stdout)
    assert {"database_url", "redis_url", "office_url", "portal_url", "pid"} == set(found)
    assert found["pid"] == first.pid
    assert found["office_url"] in said
    assert get(found["office_url"] + "healthz") == "ok\n"
    assert get(found["portal_url"] + "healthz") == "ok\n"
    assert "<h1" in get(found["portal_url"])
    assert "csrfmiddlewaretoken" in get(found["office_url"] + "admin/")

    refused = up()
    assert "A stack is already running" in refused.communicate()[1]
    assert refused.returncode == 1

    first.kill()
    first.communicate()
    port = found["office_url"].rsplit(":", 1)[1].strip("/")
    wait_until_gone(state)
    second = up("--port", port)  # the same port is free again: no old web answers there
    wait_for_sign_ins(second)
    assert stack.running_in(state)["pid"] == second.pid

    began = time.monotonic()
    second.send_signal(signal.SIGINT)
    assert "Stopping" in second.communicate(timeout=60)[1]
    assert time.monotonic() - began < STOPPED_MAX
    assert second.returncode == 0
    assert processes_of(state) == []
    assert manage(state, "stack").returncode == 1


def test_a_port_somebody_has_is_refused_with_a_sentence():
    import socket

    from administration.office.household import PortIsTaken, free_port

    with socket.socket() as old_server:
        old_server.bind(("127.0.0.1", 0))
        old_server.listen()
        port = old_server.getsockname()[1]
        with pytest.raises(PortIsTaken, match=f"Port {port} is taken"):
            free_port(port, first=8000)
        assert free_port(None, first=port) != port
    assert free_port(port, first=8000) == port
