"""Leaves computed anew from the rows of a case, in order and in bounded memory."""

import hashlib
from collections.abc import Iterator
from itertools import accumulate

from django.db import connection

from administration.record.encoding import PREFIX

# Events go out a thousand at a time, each encoded as encoding.py says, with their lengths beside them: a message for
# each would cost more than its hash. An array of texts in PostgreSQL's binary form is a head of 20 bytes and then the
# frames of its texts.
TOGETHER = 1024
ENCODED = """
COPY (
    SELECT part.encoded, part.lengths FROM generate_series(%(first)s::bigint, %(last)s::bigint, %(together)s) start,
    LATERAL (
        SELECT string_agg(encoded, '') AS encoded, array_agg(octet_length(encoded)) AS lengths FROM (
            SELECT int8send(number) || timestamptz_send(at) || timestamptz_send(recorded_at)
                || substring(array_send(ARRAY[case_reference, kind, subject_kind, subject_id, by, body]) FROM 21) AS encoded
            FROM record_event
            WHERE case_id = %(case)s AND number >= start AND number < least(start + %(together)s, %(last)s + 1)
            ORDER BY number
        ) events
    ) part
) TO STDOUT (FORMAT BINARY)
"""

COPY_HEADER = 19
COPY_END = b"\xff\xff"
COLUMN_COUNT = 2


# In binary COPY each row is a count of columns in two bytes and then the columns, every one as its length in four
# bytes and its bytes: where all columns are texts, exactly their frames.
def frames(sql: str, params: object) -> Iterator[bytes]:
    """The frames of each row of a binary COPY whose columns are all texts."""
    with connection.cursor() as cursor, cursor.copy(sql, params) as copy:
        start = COPY_HEADER + COLUMN_COUNT
        for data in copy:
            if data[-2:] == COPY_END and len(data) in (len(COPY_END), COPY_HEADER + len(COPY_END)):
                continue
            yield bytes(data[start:])
            start = COLUMN_COUNT


def leaves(case_id: int, first: int, last: int) -> Iterator[list[bytes]]:
    """
    The leaves of events `first` to `last`, about a thousand at a time, while the database prepares the next.

    Fewer come back where numbers are missing. Until the last is taken, the connection can do nothing else.
    """
    sha256 = hashlib.sha256
    params = {"case": case_id, "first": first, "last": last, "together": TOGETHER}
    with connection.cursor() as cursor, cursor.copy(ENCODED, params) as copy:
        copy.set_types(["bytea", "int4[]"])
        for data, lengths in copy.rows():
            ends = list(accumulate(lengths or ()))
            yield [sha256(PREFIX + data[at:end]).digest() for at, end in zip([0, *ends], ends, strict=False)]
