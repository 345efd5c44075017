"""The rehearsal rail's simulator as a real process: its truth file is the judge of what was paid."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from administration.rails.rehearsal import Rehearsal

ROOT = Path(__file__).parent.parent


class Simulator:
    """One simulator process after another on the same truth file."""

    def __init__(self, folder: Path) -> None:
        self.socket, self.truth = folder / "rail.sock", folder / "truth.jsonl"
        self.process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str, seed: str = "7") -> Rehearsal:
        self.process = subprocess.Popen(
            [
                *[sys.executable, "-m", "administration.rails.rehearsal"],
                *["--socket", self.socket, "--truth", self.truth, "--seed", seed, *arguments],
            ],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout
        assert "listening" in self.process.stdout.readline()
        return Rehearsal(str(self.socket), timeout=5.0)

    def kill(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            assert self.process.stdout
            self.process.stdout.close()
            self.process = None

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        with contextlib.closing(http.client.HTTPConnection("rail", timeout=5)) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self.socket))
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def summary(self) -> dict[str, object]:
        return json.loads(self.ask("GET", "/truth/summary")[1])

    def paid(self) -> list[dict[str, Any]]:
        """Every line of the truth file, in the order in which it was booked."""
        return [json.loads(line) for line in self.truth.read_text().splitlines()]


@pytest.fixture
def rehearsal(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A running simulator that this process, and the children it starts, send to."""
    with tempfile.TemporaryDirectory(prefix="rail-") as folder:
        running = Simulator(Path(folder))
        running.start()
        settings.REHEARSAL_URL = str(running.socket)
        monkeypatch.setenv("REHEARSAL_URL", str(running.socket))
        yield running
        running.kill()
