"""The plant of a storm: PostgreSQL, Valkey, the rail's simulator, the office's web, workers, beats; how each is hurt, and mended."""

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psycopg

from config import stack
from config.servers import Servers, die_with_parent, footing

ROOT = Path(__file__).resolve().parent.parent.parent
WORKERS = 4
SLEEPS_MAX = 5.0  # seconds beyond its lease that a worker sleeps though nobody has taken over what it holds
CHUNK = 500  # rows of one transaction of a job
TEMPLATE = "HENKAN_STORM_TEMPLATE"  # a directory in which the tests keep a migrated database from one storm to the next
# Who has something in hand at this moment: a job's lock, or a part that is being sent.
BUSY = """
SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted AND a.application_name ~ '^(worker|skewed)-'
UNION SELECT application_name FROM pg_stat_activity
WHERE application_name ~ '^(worker|skewed)-' AND (state <> 'idle' OR state_change > clock_timestamp() - interval '0.2 seconds')
"""


@dataclass
class Plant:
    """Everything that runs in a storm. Only the thread that started it starts processes: they die with it."""

    folder: Path
    seed: int
    bug: str = ""
    part: int = 5
    lease: int = 2
    call: int = 1
    quiet: float = 3.0  # longer than the rail hides anything
    habits: tuple[str, ...] = ()
    slow: float = 1.0  # how many seconds here are worth one of a quiet machine
    names: dict[str, int] = field(default_factory=dict)  # living workers and beats → pid
    stopped_since: dict[str, float] = field(default_factory=dict)
    killed: int = 0  # workers that died by SIGKILL
    started: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    hold: bool = False  # while true nobody is started again
    hurts: list[list[float]] = field(default_factory=list)  # from when to when the database was being taken away
    web: "subprocess.Popen[bytes] | None" = None
    web_port: int = 0
    slept: int = 0  # workers that were stopped
    looked_at: float = 0.0  # for sleepers that are due
    woken_at: float = 0.0  # the last of them

    def start(self, migrate: Callable[[], None], build: Callable[[], Any]) -> Any:
        self.servers = Servers(self.folder, durable=False)
        migrated = self._as_migrated_before()
        self.servers.start()
        os.environ.update(
            DATABASE_URL=self.servers.database_url, REDIS_URL=self.servers.redis_url, HENKAN_STATE_DIR=str(self.folder),
            HENKAN_EMBEDDED="1", HENKAN_SECRET_KEY="only-of-a-storm", NO_BOOTSTRAP="1", PGAPPNAME="office",
            HENKAN_LOG_LEVEL="WARNING", DJANGO_SETTINGS_MODULE="config.settings", HENKAN_WORK_QUIET_SECONDS="0",
            REHEARSAL_URL=str(self.folder / "rail.sock"), REHEARSAL_QUIET_SECONDS=str(self.quiet),
            PYTHONWARNINGS="ignore",
        )  # fmt: skip
        self.sql("ALTER DATABASE henkan SET synchronous_commit = on")  # a commit that was answered survives the server
        for variable, name in stack.KEPT.items():
            if variable not in ("HENKAN_SECRET_KEY", "REHEARSAL_URL"):
                os.environ[variable] = str(self.folder / name)
        (self.folder / "scale.json").write_text(
            json.dumps({
                "lease": self.lease, "call": self.call, "job_lease": self.lease + 1, "part": self.part, "bug": self.bug, "chunk": CHUNK,
            })
        )  # fmt: skip
        from tests.storm import failpoints

        self.page = failpoints.Page(self.folder / "failpoints")
        self.start_rail()
        self.nursery = Nursery(self.folder)  # before anything is connected, or a thread begun
        if not migrated:
            migrate()
            self._keep_as_migrated()
        if not self.bug:  # what is looked for then is not on a page
            self.web_port = free_port()
            self.start_web()
        built = build()  # meanwhile the nursery imports
        ready = self.nursery.stdout.readline()
        if not ready.startswith(b"ready"):
            raise RuntimeError((self.folder / "nursery.log").read_text()[-2000:])
        threading.Thread(target=self._listen, args=(self.nursery.stdout,), daemon=True).start()
        return built

    def _as_migrated_before(self) -> bool:
        """Begin with what an earlier storm of the same tests has migrated, if they keep it."""
        kept, at = Path(os.environ.get(TEMPLATE, "")), footing(self.folder)
        if not os.environ.get(TEMPLATE) or at.mode == "setuid" or not (kept / "data").exists():
            return False
        at.make_directory(at.home / "postgres")
        shutil.copytree(kept / "data", at.home / "postgres" / "data")
        (self.folder / "database_made").touch()
        return True

    def _keep_as_migrated(self) -> None:
        kept, at = Path(os.environ.get(TEMPLATE, "")), footing(self.folder)
        if not os.environ.get(TEMPLATE) or at.mode == "setuid":
            return
        assert self.servers.postgres is not None
        self.servers.postgres.send_signal(signal.SIGINT)
        self.servers.postgres.wait()
        shutil.copytree(at.home / "postgres" / "data", kept / "new")
        (kept / "new").rename(kept / "data")
        self.servers._start_postgres(at)

    def open(self) -> None:
        """Workers and the beat begin."""
        self.born("beat")
        for number in range(WORKERS):
            self.born("skewed" if number == 0 else "worker")

    # --- workers

    def born(self, kind: str) -> None:
        with self.lock:
            self.started += 1
            name = f"{kind}-{self.started}"
            self.names[name] = 0
        self.nursery.stdin.write(f"{kind} {name}\n".encode())
        self.nursery.stdin.flush()

    def _listen(self, said: IO[bytes]) -> None:
        for line in said:
            what, name, *more = line.decode().split()
            again = ""
            with self.lock:
                if what == "born":
                    self.names[name] = int(more[0])
                elif what == "stopped":
                    self.stopped_since[name] = time.monotonic()
                    self.slept += 1
                elif what == "died":
                    self.names.pop(name, None)
                    self.stopped_since.pop(name, None)
                    kind = name.partition("-")[0]
                    if int(more[0]) == signal.SIGKILL and kind in ("worker", "skewed") and not self.hold:
                        self.killed += 1
                    if not self.hold and kind != "second":
                        again = kind
            if again:
                self.born(again)

    def wake_sleepers(self) -> None:
        """Whoever was stopped goes on once its lease, and the job's, have lapsed and somebody has noticed."""
        now = time.monotonic()
        with self.lock:
            slept = {name: now - since for name, since in self.stopped_since.items()}
        if not any(seconds > self.lease + 1.5 for seconds in slept.values()) or now < self.looked_at + 0.25:
            return
        self.looked_at = now
        enough = self.lease + (1.5 if self.lapses_are_noticed() else SLEEPS_MAX)
        with self.lock:
            due = [name for name, seconds in slept.items() if seconds > enough and name in self.stopped_since]
            pids = [self.names[name] for name in due if self.names.get(name)]
            for name in due:
                del self.stopped_since[name]
                self.woken_at = now
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def all_are_awake(self) -> bool:
        """Nobody sleeps, and who did has had a moment to go on."""
        return not self.stopped_since and time.monotonic() > self.woken_at + self.slow

    def lapses_are_noticed(self) -> bool:
        """Nothing is in the hands of somebody whose lease has lapsed: then what a sleeper holds was taken over."""
        with contextlib.suppress(psycopg.Error):
            return not self.sql("SELECT FROM returns_submission WHERE state = 'submitting' AND lease_until < clock_timestamp() LIMIT 1")
        return False

    def some(self, rng: random.Random, *, busy: bool, kinds: tuple[str, ...] = ("worker", "skewed")) -> int:
        """The pid of one of them, somebody with something in hand if there is; 0 when none lives."""
        with self.lock:
            living = {name: pid for name, pid in self.names.items() if pid and name.partition("-")[0] in kinds}
        if busy:
            with contextlib.suppress(psycopg.Error):
                working = [name for (name,) in self.sql(BUSY) if name in living]
                if working:
                    return living[rng.choice(sorted(working))]
        return living[rng.choice(sorted(living))] if living else 0

    # --- the servers

    def sql(self, statement: str, *args: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.servers.database_url, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode(), args or None)
            return cursor.fetchall() if cursor.description else []

    def crash_postgres(self) -> None:
        """What `pg_ctl stop -m immediate` does: no session ends, nothing is flushed but what was committed."""
        postgres = self.servers.postgres
        assert postgres is not None
        with self.hurting():
            postgres.send_signal(signal.SIGQUIT)
            postgres.wait()
            self.servers._start_postgres(footing(self.folder))

    @contextlib.contextmanager
    def hurting(self) -> Iterator[None]:
        """Whoever needs the database meanwhile, or just after, may find it gone."""
        hurt = [time.monotonic(), float("inf")]
        self.hurts.append(hurt)
        try:
            yield
        finally:
            hurt[1] = time.monotonic() + self.slow

    def was_hurt(self, since: float, until: float) -> bool:
        return any(began < until and since < ended for began, ended in self.hurts)

    def crash_valkey(self) -> None:
        valkey = self.servers.valkey
        assert valkey is not None
        valkey.kill()
        valkey.wait()
        self.servers._start_valkey()

    def broker(self) -> Any:
        import redis

        return redis.Redis.from_url(self.servers.redis_url)

    # --- the web

    def start_web(self) -> None:
        """The office as `up` starts it, in a session of its own, so that its killer finds all of it."""
        self.web = subprocess.Popen(
            [
                sys.executable, "-W", "ignore", "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1",
                "--port", str(self.web_port), "--workers", "1", "--blocking-threads", "4", "--no-access-log",
                "config.wsgi:application",
            ],
            cwd=ROOT, env={**os.environ, "PGAPPNAME": "web"}, stdin=subprocess.DEVNULL, start_new_session=True,
            stdout=(self.folder / "web.log").open("ab"), stderr=subprocess.STDOUT, preexec_fn=die_with_parent(signal.SIGTERM),
        )  # fmt: skip

    def crash_web(self) -> None:
        if self.web is not None:
            self._end_web()
            self.start_web()

    def _end_web(self) -> None:
        if self.web is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.web.pid, signal.SIGKILL)
            self.web.wait()

    # --- the rail

    def start_rail(self) -> None:
        self.rail = subprocess.Popen(
            [
                sys.executable, "-m", "administration.rails.rehearsal", "--socket", str(self.folder / "rail.sock"),
                "--truth", str(self.folder / "truth.jsonl"), "--seed", str(self.seed), *self.habits,
            ],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=(self.folder / "rail.log").open("ab"),
        )  # fmt: skip
        assert self.rail.stdout is not None
        self.rail.stdout.readline()

    def crash_rail(self) -> None:
        self.rail.kill()
        self.rail.wait()
        self.start_rail()

    def ask_rail(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection("rail", timeout=5)
        with contextlib.closing(connection):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self.folder / "rail.sock"))
            connection.request(method, path)
            answer = connection.getresponse()
            if answer.status != 200:
                raise OSError(f"the rail answered {answer.status}")
            return answer.read()

    def truth(self) -> Iterator[dict[str, Any]]:
        """The simulator's own record, read from its file."""
        with (self.folder / "truth.jsonl").open() as file:
            for line in file:
                yield json.loads(line)

    # --- the end

    def still(self) -> None:
        """No worker moves any more, and none is born."""
        self.hold = True
        until = time.monotonic() + 10
        while self.names and time.monotonic() < until:
            with self.lock:
                pids = [pid for pid in self.names.values() if pid]
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def close(self) -> None:
        self.hold = True
        self.page.disarm()
        with self.lock:
            pids = [pid for pid in self.names.values() if pid]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._end_web()
        for process in (getattr(self, "nursery", None), getattr(self, "rail", None)):
            if process is not None:
                process.kill()
                process.wait()
        if self.servers.postgres is not None:
            self.servers.postgres.send_signal(signal.SIGQUIT)  # nobody needs these data again
        self.servers.stop()


class Nursery:
    """A child of this process that has its imports, with a pipe to it and one from it."""

    def __init__(self, folder: Path) -> None:
        import django

        django.setup()
        tie = die_with_parent(signal.SIGKILL)
        theirs, to_it = os.pipe()
        from_it, said = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            tie()
            log = os.open(folder / "nursery.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for number, end in enumerate((theirs, said, log)):
                os.dup2(end, number)
            for end in (theirs, to_it, from_it, said, log):
                os.close(end)
            from tests.storm import nursery

            nursery.serve(folder)
        os.close(theirs)
        os.close(said)
        self.stdin, self.stdout = os.fdopen(to_it, "wb"), os.fdopen(from_it, "rb")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        os.waitpid(self.pid, 0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
