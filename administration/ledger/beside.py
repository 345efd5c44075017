"""
A second process that looks at the pieces of a file while this one does: every other piece is its.

It says of a piece whether all of it is plainly good, and then how it goes into staging; otherwise, which bank accounts and
addresses are plainly good. Whatever else is to be said of a row is said here, and if the second is gone, or the machine has
one core, everything is done here. It has no connection to any database and ends with whoever started it.

    looked(path, table, ...) -> the pieces of a table, in order, as they were looked at
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from administration.ledger import destinations, package, reading
from administration.ledger.package import Table
from administration.ledger.reading import Block, Piece

WORTH_IT = 4 * 1024 * 1024  # bytes of a file from which on a second process pays for its start
PROJECT = Path(__file__).resolve().parent.parent.parent
READY, LOOK = b"ready", b"look"

_process: subprocess.Popen[bytes] | None = None
_ended = 0  # how often it was gone; after a few times it is not started again
ENDS_MAX = 3
_mine = threading.Lock()  # who asks it: one at a time, another does everything alone
_questions = count(1)


@dataclass(slots=True)
class Looked:
    """
    A piece that was looked at: as it goes into staging, if all of it is plainly good; else its block.

    `good` says of each record of the block whether its destination is plainly good; None where the table has none.
    """

    rows: int
    end: int
    ended: bool
    lines: bytes | None
    block: Block | None = None
    good: list[bool] | None = None


def looked(path: Path, table: Table, *, key: int, offset: int, row: int, until: int, size: int) -> Iterator[Looked]:
    """The pieces of a table from byte `offset`, of which `row` is the first row, up to the one that reaches byte `until`."""
    pieces = _upto(until, reading.pieces(path, offset=offset, size=size))
    alone = path.stat().st_size < WORTH_IT or (os.cpu_count() or 1) < 2 or not _mine.acquire(blocking=False)
    try:
        for piece in pieces:
            theirs, trouble = None, None
            if not alone:
                try:
                    theirs = next(pieces, None)
                except reading.Unreadable as unreadable:  # what comes before it is read first
                    trouble = unreadable
            expected = row + piece.content.count(b"\n")
            question = theirs and _ask(path, table, theirs, key=key, row=expected)
            found = look(table, piece, key=key, row=row)
            row += found.rows
            yield found
            if theirs:
                answer = _answer(question) if question else None
                found = look(table, theirs, key=key, row=row) if answer is None or row != expected else _as_said(answer, table, theirs, row)
                row += found.rows
                yield found
            if trouble:
                raise trouble
    finally:
        if not alone:
            _mine.release()


def look(table: Table, piece: Piece, *, key: int, row: int) -> Looked:
    """Look at a piece here."""
    lines = reading.plain_lines(piece.content, table)
    checked = table.file in destinations.PROBLEMS
    good = destinations.plainly_good(table.file, lines) if checked and lines else []
    if lines and all(good):
        return Looked(len(lines), piece.end, piece.ended, _in_staging(lines, key=key, row=row, checked=checked))
    block = reading.block_of(piece, table, row, lines)
    if checked and not lines:
        good = destinations.plainly_good(table.file, [record for _row, record in block.records])
    return Looked(block.rows, piece.end, piece.ended, None, block, good if checked else None)


def _in_staging(lines: list[str], *, key: int, row: int, checked: bool) -> bytes:
    """Records as staging takes them: after the number of their package and their row; nothing is wrong with their destination."""
    end = ",\n" if checked else "\n"
    return "".join([f"{key},{number},{line}{end}" for number, line in enumerate(lines, row)]).encode()


def _upto(until: int, pieces: Iterator[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        yield piece
        if piece.end >= until:
            return


def _as_said(answer: tuple[bytes, bytes], table: Table, piece: Piece, row: int) -> Looked:
    kind, said = answer
    if kind == READY:
        return Looked(said.count(b"\n"), piece.end, piece.ended, said)
    block = reading.block_of(piece, table, row, reading.plain_lines(piece.content, table))
    good = [one == 1 for one in said] if table.file in destinations.PROBLEMS else None
    return Looked(block.rows, piece.end, piece.ended, None, block, good)


# --- asking -----------------------------------------------------------------------------------


def _ask(path: Path, table: Table, piece: Piece, *, key: int, row: int) -> int | None:
    """Ask the second process to look at a piece; the number of the question."""
    global _process
    if _ended >= ENDS_MAX:
        return None
    if _process is None:
        code = "import sys; from administration.ledger import beside; beside.serve(sys.stdin.buffer, sys.stdout.buffer)"
        _process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT, start_new_session=True
        )
    number = next(_questions)
    question = [number, os.fspath(path.resolve()), table.file, piece.begin, piece.end, piece.ended, key, row]
    try:
        assert _process.stdin is not None
        _process.stdin.write(json.dumps(question).encode() + b"\n")
        _process.stdin.flush()
    except OSError:
        _gone()
        return None
    return number


def _answer(number: int) -> tuple[bytes, bytes] | None:
    """What the second process says to a question; what it said to earlier ones, which nobody waited for, is passed over."""
    while True:
        assert _process is not None
        assert _process.stdout is not None
        head = _process.stdout.readline().split()
        if len(head) == 3 and len(said := _process.stdout.read(int(head[2]))) == int(head[2]):
            if int(head[0]) == number:
                return head[1], said
            continue
        _gone()
        return None


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


def serve(questions: Any, answers: Any) -> None:
    """What the second process does until nobody asks any more."""
    while question := questions.readline():
        number, path, file, begin, end, ended, key, row = json.loads(question)
        table = package.BY_FILE[file]
        with open(path, "rb") as source:
            source.seek(begin)
            piece = Piece(source.read(end - begin), begin, end, ended)
        found = look(table, piece, key=key, row=row)
        kind = LOOK if found.lines is None else READY
        said = bytes(found.good or ()) if found.lines is None else found.lines
        answers.write(b"%d %s %d\n" % (number, kind, len(said)) + said)
        answers.flush()
