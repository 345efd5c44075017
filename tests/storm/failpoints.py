"""
Failpoints: places in a worker at which it kills or stops itself when the weather says so.

The weather arms one at a time, in a page of memory that all workers share: a signal, after how many passings, and whether
anywhere or only where a call was made and nothing of it is written down yet.
"""

import mmap
import os
import signal
import struct
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

LAYOUT = struct.Struct("=iii")  # the signal, how many passings are left, whether only just after a call
NOTHING = LAYOUT.pack(0, 0, 0)


class Page:
    """The shared page. Two workers may both see the last passing; then both are hurt, which does no harm here."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(b"\0" * mmap.PAGESIZE)
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def arm(self, number: int, passings: int, *, after_a_call: bool = False) -> None:
        self._memory[: LAYOUT.size] = LAYOUT.pack(number, passings, after_a_call)

    def disarm(self) -> None:
        self._memory[: LAYOUT.size] = NOTHING

    @property
    def armed(self) -> bool:
        return bool(LAYOUT.unpack(self._memory[: LAYOUT.size])[0])

    def passed(self, *, may_stop: bool = True, after_a_call: bool = False) -> None:
        number, passings, only_there = LAYOUT.unpack(self._memory[: LAYOUT.size])
        if not number or (number == signal.SIGSTOP and not may_stop) or (only_there and not after_a_call):
            return
        if passings > 1:
            self._memory[: LAYOUT.size] = LAYOUT.pack(number, passings - 1, only_there)
            return
        self.disarm()
        os.kill(os.getpid(), number)


def lay(page: Page) -> None:
    """
    Around everything that commits or calls out.

    Between the last look before a call and the call itself nobody is put to sleep: that gap of microseconds is the one
    that no look can close, and a whole quiet period would have to pass in it.
    """
    from administration.rails.rehearsal import Rehearsal
    from administration.record import log
    from administration.returns import evidence, rounds, sending, settlement, submissions
    from administration.work import jobs
    from claims.register import positions

    def around(module: Any, name: str, *, sleepless: bool = False, after_only: bool = False) -> None:
        inner: Callable[..., Any] = getattr(module, name)

        @wraps(inner)
        def outer(*args: Any, **kwargs: Any) -> Any:
            if not after_only:
                page.passed(may_stop=not sleepless)
            result = inner(*args, **kwargs)
            page.passed(may_stop=not sleepless, after_a_call=name == "submit")
            return result

        setattr(module, name, outer)

    around(sending, "take")
    around(sending, "may_go", sleepless=True)
    around(Rehearsal, "submit", after_only=True)
    around(sending, "record")
    around(sending, "lapse")
    around(sending, "let_go")
    around(submissions, "_make")
    around(settlement, "apply")
    around(settlement, "close")
    around(evidence, "take_page")
    around(evidence, "receive")
    around(positions, "move")
    around(rounds, "_last_number")
    around(log, "append")
    around(jobs, "_advance_to")
    around(jobs, "_take")
