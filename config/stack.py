"""
The embedded stack: a real PostgreSQL and a real Valkey in a private directory.

With neither DATABASE_URL nor REDIS_URL set, a command that needs rows finds the stack that runs in
the state directory, or starts one for as long as it lasts. Both servers listen on unix sockets in
a directory only we may enter, and die with the process that started them.

Standard library only: it runs before anything is installed, and anyone may import it.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn
from urllib.parse import parse_qs, urlsplit

from config.servers import NoStack, Servers, footing, make_private

PROJECT = Path(__file__).resolve().parent.parent

# These need no rows; everything else gets a database.
WITHOUT_ROWS = {
    "check", "collectstatic", "compilemessages", "diffsettings", "findstatic", "help", "makemessages",
    "makemigrations", "sample_handover", "stack", "startapp", "storm", "version",
}  # fmt: skip

# What the embedded stack keeps in its state directory, unless the environment says where.
KEPT = {
    "HENKAN_SECRET_KEY": "secret_key",
    "ARCHIVE_DIR": "archive",
    "HANDOVER_INBOX": "inbox",
    "HEAD_KEY_FILE": "head_key.pem",
    "HEAD_LOG_FILE": "heads.log",
    "REHEARSAL_URL": "rehearsal.sock",
}


# --- addresses --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Addresses:
    """Where rows and doorbell are. `embedded` says whether both are ours to start and stop."""

    database_url: str
    redis_url: str
    embedded: bool


NOWHERE = Addresses("postgresql://henkan@%2Fno%2Fstack%2Fis%2Frunning:5432/henkan", "", embedded=False)


def state_dir() -> Path:
    return Path(os.environ.get("HENKAN_STATE_DIR") or PROJECT / ".state").absolute()


def addresses() -> Addresses:
    """From the environment; else those of the stack running in the state directory; else nowhere. Starts nothing."""
    database_url, redis_url = os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", "")
    if database_url:
        return Addresses(database_url, redis_url, embedded=bool(os.environ.get("HENKAN_EMBEDDED")))
    running = running_in(state_dir())
    if running is None:
        return NOWHERE
    return Addresses(running["database_url"], running["redis_url"], embedded=True)


def broker_url(redis_url: str) -> str:
    """The spelling kombu wants. With no Redis at all, a bell nobody hears: jobs are then worked by who waits."""
    if not redis_url:
        return "memory://"
    parts = urlsplit(redis_url)
    if parts.scheme == "unix":
        return f"redis+socket://{parts.path}?virtual_host={parse_qs(parts.query).get('db', ['0'])[0]}"
    if parts.scheme in ("redis", "rediss"):
        return redis_url
    raise NoStack(f"REDIS_URL begins with {parts.scheme}://. Use redis://, rediss:// or unix://.")


# --- the stack of one command -----------------------------------------------------------------


@contextlib.contextmanager
def for_command(arguments: list[str], *, migrate: Callable[[], None]) -> Iterator[None]:
    """
    The stack for one manage.py command, in os.environ, its database migrated.

    `up` insists on its own; others share what runs. Who started the stack stays until the others are done.
    """
    command = arguments[0] if arguments else "help"
    embedded = not (os.environ.get("DATABASE_URL") or os.environ.get("REDIS_URL"))
    if not embedded and not os.environ.get("DATABASE_URL"):
        raise NoStack("REDIS_URL is set and DATABASE_URL is not. Set both, or neither for the embedded stack.")
    if command in WITHOUT_ROWS or command.startswith("-") or {"--help", "-h"} & set(arguments):
        yield
        return
    if not embedded:
        with _borrowed_place() if command == "up" else contextlib.nullcontext():
            yield
        return

    def prepare(stack: Running) -> None:
        os.environ.update(stack.environment())
        if command != "migrate" and not _is_migrated(stack.state):
            migrate()
            (stack.state / "migrated").write_text(_migrations_sha256())

    with contextlib.ExitStack() as open_until_done:
        if command == "up" and "--check" in arguments and not os.environ.get("HENKAN_STATE_DIR"):
            os.environ["HENKAN_STATE_DIR"] = str(open_until_done.enter_context(temporary_state()))
        stack = open_until_done.enter_context(running(state_dir(), alone=command == "up", prepare=prepare))
        os.environ.update(stack.environment())
        yield


@contextlib.contextmanager
def _borrowed_place() -> Iterator[None]:
    """`up` on real servers: what the environment does not name lasts as long as the command, and nothing is kept."""
    with temporary_state() as path:
        os.environ["HENKAN_STATE_DIR"] = str(path)
        for variable, name in KEPT.items():
            if not os.environ.get(variable):
                print(f"henkan: {variable} is not set; a temporary one is used and removed at the end.", file=sys.stderr)
                os.environ[variable] = secrets.token_urlsafe(48) if variable == "HENKAN_SECRET_KEY" else str(path / name)
        yield


@contextlib.contextmanager
def temporary_state() -> Iterator[Path]:
    """A state directory that is gone afterwards, with whatever of it had to lie elsewhere."""
    path = Path(tempfile.mkdtemp(prefix="henkan-"))
    try:
        yield path
    finally:
        with contextlib.suppress(OSError, NoStack):
            shutil.rmtree(footing(path).home, ignore_errors=True)
        shutil.rmtree(path, ignore_errors=True)


def _migrations_sha256() -> str:
    digest = hashlib.sha256()
    for path in sorted([*PROJECT.glob("*/*/migrations/*.*"), PROJECT / "administration/people/roles.py"]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _is_migrated(state: Path) -> bool:
    with contextlib.suppress(OSError):
        return (state / "migrated").read_text() == _migrations_sha256()
    return False


def secret_key(state: Path) -> str:
    """Made once, readable by its owner only. Of several processes making it, all get the first one's."""
    path, mine = state / "secret_key", state / f"secret_key.{os.getpid()}"
    if not path.exists():
        with open(mine, "w", opener=_private) as made:
            made.write(secrets.token_urlsafe(48))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(mine)
        mine.unlink()
    return path.read_text()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


# --- one state directory, one owner -----------------------------------------------------------


@dataclass(frozen=True)
class Running:
    """A stack that runs: ours, or another process's that waits for us to be done with it."""

    state: Path
    addresses: Addresses
    ours: bool

    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.addresses.database_url,
            "REDIS_URL": self.addresses.redis_url,
            "HENKAN_STATE_DIR": str(self.state),
            "HENKAN_EMBEDDED": "1",
        }


@contextlib.contextmanager
def running(
    state: Path, *, alone: bool = False, durable: bool = True, prepare: Callable[[Running], None] = lambda stack: None
) -> Iterator[Running]:
    """
    The stack of this state directory: ours while the block lasts, or that of the process that has it.

    A stack of ours is prepared before others hear of it.
    """
    make_private(state)
    with (state / "lock").open("a") as lock, (state / "visitors").open("a") as visitors:
        while not _locked(lock, patience=1 if alone else 0):
            if alone:
                owner = running_in(state)
                who = f" (process {owner['pid']})" if owner else ""
                raise NoStack(f"A stack is already running in {state}{who}. Stop it first, or set HENKAN_STATE_DIR.")
            if visited := _visit(state, lock, visitors):
                yield visited
                return

        servers = Servers(state, durable=durable)
        with terminable():
            try:
                servers.start()
                stack = Running(state, Addresses(servers.database_url, servers.redis_url, embedded=True), ours=True)
                prepare(stack)
                found = {"database_url": servers.database_url, "redis_url": servers.redis_url, "pid": os.getpid()}
                write_down(state, {**found, "office_url": None, "portal_url": None})
                yield stack
                if not alone:
                    fcntl.flock(visitors, fcntl.LOCK_EX)  # others may still be reading and writing
            finally:
                with uninterrupted():
                    (state / "stack.json").unlink(missing_ok=True)
                    servers.stop()


def write_down(state: Path, found: dict[str, Any]) -> None:
    """For `stack`, and for other commands."""
    fresh = state / "stack.json.new"
    with open(fresh, "w", opener=_private) as note:
        json.dump(found, note, indent=1)
    fresh.rename(state / "stack.json")


def _visit(state: Path, lock: IO[str], visitors: IO[str]) -> Running | None:
    """Wait until the other's stack is up. None when it has gone meanwhile, and the place is free."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        fcntl.flock(visitors, fcntl.LOCK_SH)  # the owner waits for those who hold this
        found = running_in(state)
        if found:
            return Running(state, Addresses(found["database_url"], found["redis_url"], embedded=True), ours=False)
        fcntl.flock(visitors, fcntl.LOCK_UN)
        if _locked(lock):
            fcntl.flock(lock, fcntl.LOCK_UN)
            return None
        time.sleep(0.1)
    raise NoStack(f"The stack in {state} has not come up within a minute. See {state / 'postgres.log'}.")


def running_in(state: Path) -> dict[str, Any] | None:
    """What the running stack wrote down, if its launcher still lives."""
    try:
        found: dict[str, Any] = json.loads((state / "stack.json").read_text())
        os.kill(found["pid"], 0)
        with (state / "lock").open("r") as lock:
            if _locked(lock, shared=True):  # nobody has it: the note is a dead process's
                return None
    except PermissionError:
        return None
    except (OSError, ValueError, KeyError):
        return None
    return found


def _locked(handle: IO[str], *, shared: bool = False, patience: float = 0) -> bool:
    deadline = time.monotonic() + patience  # somebody may only be looking whether a stack runs
    while True:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.1)
        else:
            return True


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends Python without `finally`, and a shell's background job ignores SIGINT, unless we say otherwise."""

    def leave(signum: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + signum)

    before = signal.signal(signal.SIGTERM, leave), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """A second Ctrl-C does not cut short an orderly end."""
    before = {sign: signal.signal(sign, signal.SIG_IGN) for sign in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            # None: a handler that was not set from Python cannot be put back from here
            signal.signal(sign, signal.SIG_DFL if handler is None else handler)


if __name__ == "__main__":  # the stack alone, for a test or a look: prints its addresses, runs until it is stopped
    with running(Path(sys.argv[1]).absolute(), alone=True, durable="--throwaway" not in sys.argv) as own:
        print(json.dumps(own.environment()), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
