"""
What a bulk act's one event covers: how many rows, how much of each asset, and a hash of every row.

A room registers a query under a name. Its columns are texts in natural keys (claim numbers, references, asset
codes, never ids of rows), in an order that natural keys decide; where there is value, one column is called
`asset` and one `amount`. It reads append-only or frozen rows only, so that the verifier, who runs it again,
finds the same.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from administration.record import stream
from administration.record.encoding import unframe

TEXTS = (25, 1043)  # the types text and varchar, as PostgreSQL numbers them

# An array of texts in PostgreSQL's binary form is a head of 20 bytes and then the frames of its texts.
SIZE = 1024
WORK_MEM = "40MB"  # for putting them in order

# The frames of a thousand rows one after the other, a message each; then how many rows there are of each asset, and how
# much. Put in order once for both.
TOGETHER = """COPY (
    WITH covered AS MATERIALIZED ({covered})
    (
        SELECT string_agg(said, ''::bytea ORDER BY n), NULL::text, count(*), NULL::text FROM (
            SELECT substring(array_send(ARRAY[{columns}]) FROM 21) AS said, row_number() OVER () AS n FROM covered
        ) rows GROUP BY n / {size} ORDER BY n / {size}
    )
    UNION ALL
    SELECT NULL, {asset}, count(*), sum({amount})::text FROM covered GROUP BY 2
) TO STDOUT (FORMAT BINARY)"""

_queries: dict[str, str] = {}


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
    if _queries.setdefault(name, sql) != sql:
        raise ValueError(f"Another query is already registered as {name!r}.")


def cover(name: str, **params: object) -> Cover:
    """Read the rows through once and say what they are. In bounded memory, however many."""
    rows = Rows(name, **params)
    digest = hashlib.sha256()
    hashed = count = 0
    sums: dict[str, int] = {}
    for encoded, asset, many, units in rows.together():
        if encoded is not None:
            digest.update(encoded)
            hashed += many
        else:
            count += many
            sums[asset or ""] = int(units or 0)
    if hashed != count:
        raise RuntimeError(f"Of the rows that {name!r} covers, {count} were added up and {hashed} hashed.")
    return Cover(name, rows.params, count, digest.hexdigest(), dict(sorted(sums.items())) if rows.value else {})


class Rows:
    """The rows of a registered query, streamed."""

    def __init__(self, name: str, **params: object) -> None:
        if name not in _queries:
            raise LookupError(f"No query is registered as {name!r}.")
        self.name = name
        self.sql = _queries[name].strip().rstrip(";")
        self.params = {key: str(value) for key, value in params.items()}
        with connection.cursor() as cursor:
            # The columns first: COPY does not say their names, and would send a number's own bytes as if they were text.
            cursor.execute("SELECT * FROM (" + self.sql + ") covered LIMIT 0", self.params)  # noqa: S608  registered code
            self.columns = [column[0] for column in cursor.description]
            wrong = [column[0] for column in cursor.description if column[1] not in TEXTS]
        if wrong:
            raise TypeError(f"The columns of {name!r} are texts, but {', '.join(wrong)} is not. Cast it.")
        self.value: tuple[int, int] | None = None
        if "asset" in self.columns and "amount" in self.columns:
            self.value = self.columns.index("asset"), self.columns.index("amount")

    def encoded(self) -> Iterator[bytes]:
        """The frames of each row."""
        return stream.frames("COPY (" + self.sql + ") TO STDOUT (FORMAT BINARY)", self.params)

    def together(self) -> Iterator[tuple[bytes | None, str | None, int, str | None]]:
        """The frames of about a thousand rows one after the other, and how many; at the end each asset with its rows and sum."""
        columns = ", ".join(connection.ops.quote_name(column) + "::text" for column in self.columns)
        asset, amount = ("coalesce(asset, '')", "coalesce(nullif(amount, ''), '0')::numeric") if self.value else ("NULL::text", "0")
        sql = TOGETHER.format(columns=columns, asset=asset, amount=amount, covered=self.sql, size=SIZE)
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEM])  # to the end of this transaction
            with cursor.copy(sql, self.params) as copy:
                copy.set_types(["bytea", "text", "int8", "text"])
                yield from copy.rows()

    def __iter__(self) -> Iterator[list[str | None]]:
        return map(unframe, self.encoded())
