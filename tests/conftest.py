"""Fixtures of the database: roles, and real commits."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.utils import translation

pytest_plugins = ["tests.cast", "tests.rehearsing"]

ENTER = "SET LOCAL ROLE {role}"
RawCursor = Any

# --- the databases of a session ---------------------------------------------------------------


class Server:
    """Makes databases of the test server from one migrated template and points Django's two aliases at them."""

    def __init__(self) -> None:
        params = connections["owner"].get_connection_params()
        ours = ("cursor_factory", "context", "prepare_threshold", "options")
        login = {name: value for name, value in params.items() if name not in ours}
        self.name = f"henkan_test_{os.getpid()}"
        self.made = 0
        self._connection = psycopg.connect(**{**login, "autocommit": True})
        self._url = os.environ["DATABASE_URL"]

    def execute(self, sql: str) -> None:
        self._connection.execute(sql.encode())

    def migrate(self) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
        self.execute(f"CREATE DATABASE {self.name} TEMPLATE template0 LOCALE_PROVIDER builtin LOCALE 'C.UTF-8'")
        self.point_at(self.name)
        call_command("migrate", verbosity=0)

    def clone(self) -> str:
        """A fresh copy of the template, about 0.1 s."""
        self.made += 1
        name = f"{self.name}_{self.made}"
        self.leave()
        self.execute(f"CREATE DATABASE {name} TEMPLATE {self.name}")
        return name

    def drop(self, name: str) -> None:
        self.leave()
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def leave(self) -> None:
        for alias in ("default", "owner"):
            connections[alias].close()

    def point_at(self, name: str) -> None:
        self.leave()
        for alias in ("default", "owner"):
            connections[alias].settings_dict["NAME"] = name
            connections.settings[alias]["NAME"] = name

    def url(self, name: str) -> str:
        return urlunsplit(urlsplit(self._url)._replace(path="/" + name))

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="session")
def server(django_test_environment: None) -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def django_db_setup(server: Server, django_db_blocker: Any) -> Iterator[None]:
    """Instead of pytest-django's: the template migrated once, and the tests on a clone of it."""
    with django_db_blocker.unblock():
        server.migrate()
        everyday = server.clone()
        server.point_at(everyday)
    yield
    with django_db_blocker.unblock():
        server.drop(everyday)
        server.drop(server.name)


# --- roles ------------------------------------------------------------------------------------



@contextmanager
def _in_role(role: str) -> Iterator[RawCursor]:
    """
    A cursor in another role, in a savepoint. What is deferred is checked before it ends.

    Deferrable constraints are deferred afterwards, as at the start of a transaction of ours.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        before = cursor.fetchone()[0]
        cursor.execute(ENTER.format(role=role))
        yield cursor
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute(ENTER.format(role=before))


@pytest.fixture
def as_role(request: pytest.FixtureRequest) -> Callable[[str], AbstractContextManager[RawCursor]]:
    """`with as_role("henkan_app") as cursor: cursor.execute(RAW)`: what misuse tests use."""
    _some_database(request)
    return _in_role


@pytest.fixture
def as_owner(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[RawCursor]]:
    """`with as_owner() as cursor`: what even the owner of every table is refused."""
    _some_database(request)
    return lambda: _in_role("henkan_owner")


@pytest.fixture
def as_superuser(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[RawCursor]]:
    """`with as_superuser() as cursor`: triggers off. Nothing prevents this one; the record must detect it."""
    _some_database(request)

    @contextmanager
    def tampering() -> Iterator[RawCursor]:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            before = cursor.fetchone()[0]
            cursor.execute("SET LOCAL ROLE NONE")
            cursor.execute("SET LOCAL session_replication_role = replica")
            yield cursor
            cursor.execute("SET LOCAL session_replication_role = origin")
            cursor.execute(ENTER.format(role=before))

    return tampering


def _some_database(request: pytest.FixtureRequest) -> None:
    if "committed" not in request.fixturenames:
        request.getfixturevalue("db")


# --- outside the database ---------------------------------------------------------------------


@pytest.fixture(autouse=True)
def own_head_log(tmp_path: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads outlive a rollback, as they should; so each test, with its own record, has its own head log."""
    path = str(tmp_path / "heads.log")
    settings.HEAD_LOG_FILE = path
    monkeypatch.setenv("HEAD_LOG_FILE", path)


# --- real commits -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Committed:
    """A database of this test alone, in which commits are real."""

    name: str
    database_url: str
    redis_url: str

    def env(self, **more: str) -> dict[str, str]:
        """The environment of a child process that works in it: a worker, a command."""
        return {**os.environ, "DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, "NO_BOOTSTRAP": "1", **more}


@pytest.fixture
def fresh(server: Any, django_db_setup: None, django_db_blocker: Any) -> Callable[[], AbstractContextManager[Committed]]:
    """`with fresh() as database`: a database of its own, as often as a test needs one."""

    @contextmanager
    def one() -> Iterator[Committed]:
        with django_db_blocker.unblock():
            before = connections["default"].settings_dict["NAME"]
            name = server.clone()
            server.point_at(name)
            try:
                yield Committed(name, server.url(name), _own_doorbell(server.made))
            finally:
                _ring_at(os.environ.get("REDIS_URL", ""))
                server.drop(name)
                server.point_at(before)

    return one


@pytest.fixture
def committed(fresh: Callable[[], AbstractContextManager[Committed]]) -> Iterator[Committed]:
    """Instead of `db`, for tests of races, commits and killed processes: a fresh clone, dropped afterwards."""
    with fresh() as database:
        yield database


def _own_doorbell(number: int) -> str:
    """A number of the broker that no earlier test has rung."""
    url = os.environ.get("REDIS_URL", "")
    if not url.startswith("unix://"):
        return url
    url = f"{url.split('?')[0]}?db={1 + number % 15}"
    import redis

    with redis.Redis.from_url(url) as broker:
        broker.flushdb()
    _ring_at(url)
    return url


def _ring_at(redis_url: str) -> None:
    """Point this process's own Celery app at a broker."""
    from kombu import pools

    from config.celery import app
    from config.stack import broker_url

    url = broker_url(redis_url)
    if app.conf.broker_url == url:
        return
    app.pool.force_close_all()
    pools.reset()  # kombu remembers a closed pool by its address, and addresses come round
    app.conf.broker_url = app.conf.broker_read_url = app.conf.broker_write_url = url
    app.set_current()
    app._pool = None
    app.amqp._producer_pool = None


@pytest.fixture(autouse=True)
def _nobodys_language() -> None:
    """A page that was asked for in Japanese leaves its thread Japanese; the next test begins without a language."""
    translation.deactivate()
