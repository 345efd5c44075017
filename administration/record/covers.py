"""
What a bulk act's one event covers: how many rows, how much of each asset, and a hash of every row.

A room registers a query under a name. Its columns are texts in natural keys (claim numbers, references, asset
codes, never ids of rows), in an order that natural keys decide; where there is value, one column is called
`asset` and one `amount`. It reads append-only or frozen rows only, so that the verifier, who runs it again,
finds the same.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from administration.record.encoding import frames

_QUERIES: dict[str, str] = {}


@dataclass(frozen=True)
class Cover:
    """The rows one event speaks for. `sha256` is over the frames of every column of every row, in order."""

    name: str
    params: dict[str, str]
    count: int
    sha256: str
    sums: dict[str, int] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """As it stands in the event's body."""
        return {
            "name": self.name,
            "params": self.params,
            "count": self.count,
            "sha256": self.sha256,
            "sums": self.sums,
        }


def register(name: str, sql: str) -> None:
    """Name a query, once, in AppConfig.ready(). `sql` has named parameters: %(run)s."""
    if _QUERIES.setdefault(name, sql) != sql:
        raise ValueError(f"Another query is already registered as {name!r}.")


def cover(name: str, **params: object) -> Cover:
    """Read the rows through once and say what they are. In bounded memory, however many."""
    with Rows(name, **params) as rows:
        return describe(name, {key: str(value) for key, value in params.items()}, rows.columns, rows)


def describe(name: str, params: dict[str, str], columns: list[str], rows: Iterable[tuple[str | None, ...]]) -> Cover:
    asset = columns.index("asset") if "asset" in columns else None
    amount = columns.index("amount") if "amount" in columns else None
    digest = hashlib.sha256()
    sums: defaultdict[str, int] = defaultdict(int)
    count = 0
    for row in rows:
        digest.update(frames(row))
        count += 1
        if asset is not None and amount is not None:
            sums[row[asset] or ""] += int(row[amount] or 0)
    return Cover(name, params, count, digest.hexdigest(), dict(sorted(sums.items())))


class Rows:
    """The rows of a registered query as tuples of texts, streamed."""

    def __init__(self, name: str, **params: object) -> None:
        if name not in _QUERIES:
            raise LookupError(f"No query is registered as {name!r}.")
        self._sql = _QUERIES[name]
        self._params = dict(params)
        self.columns: list[str] = []

    def __enter__(self) -> "Rows":
        self._cursor = connection.cursor()
        # The columns' names first: COPY does not say them.
        self._cursor.execute(f"SELECT * FROM ({self._sql}) rows LIMIT 0", self._params)
        self.columns = [column[0] for column in self._cursor.description]
        return self

    def __exit__(self, *exc: object) -> None:
        self._cursor.close()

    def __iter__(self) -> Iterator[tuple[str | None, ...]]:
        with self._cursor.copy(f"COPY ({self._sql}) TO STDOUT", self._params) as copy:
            copy.set_types(["text"] * len(self.columns))
            yield from copy.rows()
