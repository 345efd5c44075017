"""Several at the same time, each on a connection of its own."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import connections


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Start all of them together; what each returned, or the exception it ended with."""
    results: list[Any] = [None] * len(acts)
    ready = threading.Barrier(len(acts))

    def run(n: int, act: Callable[[], Any]) -> None:
        try:
            connections["default"].ensure_connection()
            ready.wait(timeout=30)
            results[n] = act()
        except Exception as error:  # noqa: BLE001 - what it is, is the result
            results[n] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return results
