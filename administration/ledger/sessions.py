"""
Something done in a database session of its own while this one does something else: a server works for each on its own core.

What it writes commits by itself, so it must be such that whoever comes later sees what is written already. It must wait for
nothing that this session holds: this one waits for it, and the database cannot see that circle.
"""

import logging
import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import connection

log = logging.getLogger(__name__)
T = TypeVar("T")
LOCK_SECONDS = 60


def are_worth_it() -> bool:
    return (os.cpu_count() or 1) > 1


class Meanwhile(Generic[T]):
    """
    `with Meanwhile(act) as other:` does the act in another session meanwhile, and waits for its end.

    Then `other.result` is what came of it; None if it failed, which is logged and undone: whoever needs it does it anew. An act
    that goes on and on looks at `other.enough`.
    """

    def __init__(self, act: Callable[["Meanwhile[T]"], T]) -> None:
        self.act = act
        self.result: T | None = None
        self.enough = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Meanwhile[T]":
        self._thread.start()
        return self

    def __exit__(self, *_trouble: object) -> None:
        self.enough.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with connection.cursor() as cursor:  # should it wait for this session after all, it gives up, and the first does it
                cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_SECONDS}s"])
            self.result = self.act(self)
        except Exception:
            log.warning("What a second session was to do is done by the first.", exc_info=True)
        finally:
            connection.close()  # this thread's own
