"""
What the database sends as CSV, written as Parquet while it comes.

Every column is text: an amount may have 78 digits, more than any decimal of Parquet holds, and nothing may be
rounded on the way. A missing value is null; an empty text stays an empty text. The population statement is in the
file's own metadata under "henkan.population". Memory holds one row group, whatever the number of rows.
"""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

POPULATION = b"henkan.population"
ROW_GROUP = 4 << 20  # bytes of CSV that make one


def pieces(messages: Iterator[Any], *, population: dict[str, Any]) -> Iterator[bytes]:
    """
    The Parquet file of a CSV whose messages hold one row each, the header first; in pieces as they are ready.
    """
    import pyarrow
    from pyarrow import csv as arrow
    from pyarrow import parquet

    names = next(csv.reader([bytes(next(messages)).decode()]))
    said = {POPULATION: json.dumps(population, ensure_ascii=False, sort_keys=True).encode()}
    schema = pyarrow.schema([(name, pyarrow.string()) for name in names], metadata=said)
    how = {
        "read_options": arrow.ReadOptions(column_names=names, use_threads=False, block_size=2 * ROW_GROUP),
        "parse_options": arrow.ParseOptions(newlines_in_values=True),
        "convert_options": arrow.ConvertOptions(
            column_types=dict.fromkeys(names, pyarrow.string()), null_values=[""], strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    }  # fmt: skip
    sink = _Taken()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for rows in _together(messages):
            table = arrow.read_csv(pyarrow.py_buffer(rows), **how)
            writer.write_table(table.cast(schema))
            yield from sink.given()
    yield from sink.given()


def _together(messages: Iterator[Any]) -> Iterator[bytearray]:
    """Whole rows, as many as make a row group."""
    rows = bytearray()
    for data in messages:
        rows += data
        if len(rows) >= ROW_GROUP:
            yield rows
            rows = bytearray()
    if rows:
        yield rows


class _Taken(io.RawIOBase):
    """A file that is only written; what was written since is given away."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(self._pieces[-1])

    def given(self) -> list[bytes]:
        pieces, self._pieces = self._pieces, []
        return pieces
