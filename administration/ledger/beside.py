"""
A second process that looks at bank accounts and addresses while this one does: half of each block is its.

It says only which rows are plainly good. Whatever else is to be said of a row is said here, and if it is gone, or the
machine has one core, everything is done here. It has no connection to any database and ends with whoever started it.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from administration.ledger import destinations

WORTH_IT = 4 * 1024 * 1024  # bytes of a file from which on a second process pays for its start
PROJECT = Path(__file__).resolve().parent.parent.parent
GOOD, LOOK = b"\x01", b"\x00"

_process: subprocess.Popen[bytes] | None = None
_ended = 0  # how often it was gone; after a few times it is not started again
ENDS_MAX = 3


def plainly_good(file: str, lines: Sequence[str], *, bytes_of_file: int) -> list[bool]:
    """Of each row of a table whether it is plainly good; False means: look properly."""
    if bytes_of_file < WORTH_IT or (os.cpu_count() or 1) < 2 or '"' in "".join(lines[:1]):
        return destinations.plainly_good(file, lines)
    half = len(lines) // 2
    asked = _ask(file, lines[half:])
    mine = destinations.plainly_good(file, lines[:half])
    answer = _answer(len(lines) - half) if asked else None
    return mine + (answer if answer is not None else destinations.plainly_good(file, lines[half:]))


def _ask(file: str, lines: Sequence[str]) -> bool:
    global _process
    if _ended >= ENDS_MAX or any("\n" in line for line in lines):
        return False
    if _process is None:
        code = "import sys; from administration.ledger import beside; beside.serve(sys.stdin.buffer, sys.stdout.buffer)"
        _process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT, start_new_session=True
        )
    question = "\n".join(lines).encode()
    try:
        assert _process.stdin is not None
        _process.stdin.write(f"{file} {len(question)}\n".encode() + question)
        _process.stdin.flush()
    except OSError:
        _gone()
        return False
    return True


def _answer(rows: int) -> list[bool] | None:
    assert _process is not None
    assert _process.stdout is not None
    said = _process.stdout.read(rows)
    if len(said) != rows:
        _gone()
        return None
    return [one == 1 for one in said]


def _gone() -> None:
    global _process, _ended
    _ended += 1
    if _process is not None:
        _process.kill()
        _process.wait()
        for pipe in (_process.stdin, _process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
    _process = None


def serve(questions, answers) -> None:  # type: ignore[no-untyped-def]
    """What the second process does until nobody asks any more."""
    while head := questions.readline():
        file, size = head.split()
        lines = questions.read(int(size)).decode().split("\n")
        answers.write(b"".join(GOOD if good else LOOK for good in destinations.plainly_good(file.decode(), lines)))
        answers.flush()
