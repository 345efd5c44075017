"""
The processes of a running Henkan besides the two servers: two webs, the workers, the beat, the rehearsal rail.

Each is a child in a session of its own that dies with us, so Ctrl-C stops them in order and a SIGKILL
leaves none behind.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from django.utils.translation import gettext as _

from administration.errors import Refused
from config.servers import die_with_parent, stop_process
from config.stack import PROJECT

READY_MAX = 90  # seconds; a cold machine imports slowly


class PortIsTaken(Refused):
    """Somebody else answers there; we never talk to somebody's old server."""


class DidNotStart(Refused):
    """A process ended, or did not answer, before it was ready; its log says why."""


@dataclass
class Member:
    """One process, how it says that it is ready, and how long it may take to stop."""

    name: str
    command: list[str]
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    patience: float = 4
    is_ready: "Callable[[Member], bool]" = lambda member: True
    process: "subprocess.Popen[bytes] | None" = None
    log_from: int = 0

    def start(self) -> None:
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        self.log_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=PROJECT,
                env={**os.environ, "NO_BOOTSTRAP": "1", **self.env},
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def said(self) -> str:
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(self.log_from)
            return log.read().decode(errors="replace")
        return ""


class Household:
    """All members in the order they start; they stop in the reverse order."""

    def __init__(self, logs: Path, *, office_port: int, portal_port: int, rehearsal: tuple[str, Path, int]) -> None:
        python = sys.executable
        celery = [python, "-m", "celery", "-A", "config"]
        rehearsal_socket, truth, seed = rehearsal
        self.rehearsal_socket = Path(rehearsal_socket)
        self.members = [
            Member(
                "rehearsal",
                [
                    python, "-m", "administration.rails.rehearsal",
                    "--socket", rehearsal_socket, "--truth", str(truth), "--seed", str(seed),
                ],
                logs / "rehearsal.log",
                is_ready=lambda member: self.rehearsal_socket.exists(),
            ),
            *(
                Member(
                    f"worker {number}",
                    [*celery, "worker", "-P", "prefork", "-c", "1", "-n", f"worker{number}@%h", "--without-gossip", "--without-mingle"],
                    logs / f"worker{number}.log",
                    patience=8,
                    is_ready=lambda member: " ready." in member.said(),
                )
                for number in (1, 2)
            ),
            Member("beat", [*celery, "beat", "--pidfile="], logs / "beat.log"),
            _web("office", office_port, "henkan_app", logs),
            _web("portal", portal_port, "henkan_portal", logs),
        ]  # fmt: skip

    def start(self) -> None:
        """All at once; returns when every one is ready, or says which one is not."""
        self.rehearsal_socket.unlink(missing_ok=True)  # of a run that was killed: it would look ready
        for member in self.members:
            member.start()
        deadline = time.monotonic() + READY_MAX
        waiting = list(self.members)
        while waiting:
            for member in waiting:
                if member.has_ended or time.monotonic() > deadline:
                    raise DidNotStart(
                        _("%(name)s did not start. Its log %(log)s ends with: %(end)s")
                        % {"name": member.name, "log": member.log, "end": " | ".join(member.said().splitlines()[-4:])}
                    )
            waiting = [member for member in waiting if not member.is_ready(member)]
            time.sleep(0.1)

    def restart_the_dead(self) -> list[str]:
        """Start again whatever has ended; gives their names. Call it from the thread that called start()."""
        dead = [member for member in self.members if member.has_ended]
        for member in dead:
            member.start()
        return [member.name for member in dead]

    def stop(self) -> None:
        """Webs and beat, then the workers with time to hand their tasks back, then the rail."""
        for names in (("office", "portal", "beat"), ("worker 1", "worker 2"), ("rehearsal",)):
            leaving = [member for member in self.members if member.name in names and member.process]
            threads = [
                threading.Thread(target=stop_process, args=(member.process, signal.SIGTERM), kwargs={"patience": member.patience})
                for member in leaving
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def sessions(self) -> set[int]:
        return {member.process.pid for member in self.members if member.process}


def _web(name: str, port: int, role: str, logs: Path) -> Member:
    return Member(
        name,
        [
            sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
            "--workers", "1", "--blocking-threads", "4", "--no-access-log", "config.wsgi:application",
        ],
        logs / f"{name}.log",
        env={"HENKAN_ROLE": role},
        is_ready=lambda member: _answers(f"http://127.0.0.1:{port}/healthz"),
    )  # fmt: skip


def _answers(url: str) -> bool:
    """Ask without any proxy of the environment."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=5) as answer:
            return bool(answer.read() == b"ok\n")
    except (URLError, OSError):
        return False


def free_port(wanted: int | None, *, first: int) -> int:
    """The port asked for, if nobody has it; else the first free one from `first`."""
    for port in [wanted] if wanted else range(first, first + 200, 2):
        if _is_free(port):
            return port
    if wanted:
        raise PortIsTaken(
            _("Port %(port)s is taken by another program. Stop it, or choose another with --port.") % {"port": wanted}
        )
    raise PortIsTaken(_("No port from %(first)s on is free.") % {"first": first})


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


class PeakMemory:
    """The largest Python process of the household so far, in megabytes, seen once a second."""

    def __init__(self, sessions: Callable[[], set[int]]) -> None:
        self.megabytes = 0
        self.whose = ""
        self._sessions = sessions
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.look()
            if self._done.wait(1):
                return

    def look(self) -> None:
        ours = self._sessions()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                session = int((process / "stat").read_text().rpartition(")")[2].split()[3])
                if session not in ours and int(process.name) != os.getpid():
                    continue
                status = (process / "status").read_text()
                megabytes = int(status.partition("VmHWM:")[2].split()[0]) // 1024  # a zombie has none
                if megabytes > self.megabytes:
                    self.megabytes = megabytes
                    self.whose = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
