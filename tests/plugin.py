"""
The database of the tests, and the rules they run under.

Loaded by `-p tests.plugin`, before Django reads its settings: a conftest would be too late. Starts a
throwaway stack unless DATABASE_URL names a server (whose login must then be a superuser). Where files run side by
side (`-n 2`), each process that runs tests has a stack of its own; they load this module by PYTEST_PLUGINS.
"""

import atexit
import contextlib
import os
import socket
from typing import Any

import pytest

from config import stack

OURS = "HENKAN_TESTS_OWN_STACK"
# Each takes a minute or more. They begin first, so that no process runs one while the other has nothing left to do.
LONG = (
    "tests/test_kills.py", "tests/browser/test_whole_way.py", "tests/test_routes.py", "tests/storm/test_storm.py",
    "tests/config/test_up.py", "tests/portal/test_journey.py", "tests/returns/test_model.py", "tests/browser/test_office.py",
)  # fmt: skip

_until_the_end = contextlib.ExitStack()
atexit.register(_until_the_end.close)  # also when pytest ends before it is configured


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    if "help" in early_config.known_args_namespace and early_config.known_args_namespace.help:
        return
    os.environ["PYTEST_PLUGINS"] = __name__
    if os.environ.get(OURS):  # a process beside others: what the first one started is not for it
        for name in ("DATABASE_URL", "REDIS_URL"):
            os.environ.pop(name, None)
    state = _until_the_end.enter_context(stack.temporary_state())
    os.environ["HENKAN_STATE_DIR"] = str(state)
    os.environ.setdefault("HENKAN_SECRET_KEY", "only-of-the-tests")
    os.environ.setdefault("HENKAN_HTTPS", "no")  # the tests ask for pages plainly; how it is on real servers has a test
    os.environ.setdefault("HENKAN_WORK_QUIET_SECONDS", "0")  # no workers: whoever waits works at once
    for name, variable in (("archive", "ARCHIVE_DIR"), ("head_key.pem", "HEAD_KEY_FILE"), ("heads.log", "HEAD_LOG_FILE")):
        os.environ[variable] = str(state / name)
    if not os.environ.get("DATABASE_URL"):
        own = _until_the_end.enter_context(stack.running(state, alone=True, durable=False))
        os.environ.update({**own.environment(), OURS: "yes"})


def pytest_unconfigure() -> None:
    _until_the_end.close()


def pytest_configure(config: pytest.Config) -> None:
    from hypothesis import settings

    settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, the others as they come."""
    rank = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.nodeid.split("::")[0], len(LONG)))


# --- no network -------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unix sockets and this machine only. What would leave it fails at once, with the address."""
    connect = socket.socket.connect

    def only_here(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"A test tried to reach {address}.")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)
