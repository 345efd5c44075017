"""
The database of the tests, and the rules they run under.

Loaded by `-p tests.plugin`, before Django reads its settings: a conftest would be too late. Starts a
throwaway stack unless DATABASE_URL names a server (whose login must then be a superuser).
"""

import atexit
import contextlib
import os
import socket
from typing import Any

import pytest

from config import stack

_until_the_end = contextlib.ExitStack()
atexit.register(_until_the_end.close)  # also when pytest ends before it is configured


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    if "help" in early_config.known_args_namespace and early_config.known_args_namespace.help:
        return
    state = _until_the_end.enter_context(stack.temporary_state())
    os.environ["HENKAN_STATE_DIR"] = str(state)
    os.environ.setdefault("HENKAN_SECRET_KEY", "only-of-the-tests")
    os.environ.setdefault("HENKAN_HTTPS", "no")  # the tests ask for pages plainly; how it is on real servers has a test
    os.environ.setdefault("HENKAN_WORK_QUIET_SECONDS", "0")  # no workers: whoever waits works at once
    for name, variable in (("archive", "ARCHIVE_DIR"), ("head_key.pem", "HEAD_KEY_FILE"), ("heads.log", "HEAD_LOG_FILE")):
        os.environ[variable] = str(state / name)
    if not os.environ.get("DATABASE_URL"):
        own = _until_the_end.enter_context(stack.running(state, alone=True, durable=False))
        os.environ.update(own.environment())


def pytest_unconfigure() -> None:
    _until_the_end.close()


def pytest_configure(config: pytest.Config) -> None:
    from hypothesis import settings

    settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


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
