"""Moving positions, and the books with them: the only way a customer's unit goes from one place to the next."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection, transaction

from administration.books.books import Subject, refusing, whole
from administration.cases.models import Case
from administration.fields import numbers
from administration.people.models import User
from administration.record.log import named

ROWS_MAX = 5000  # positions_move takes no more in one call

MOVE = "SELECT positions_move(%s, %s, %s, %s::bigint[], %s::numeric[], %s, %s, %s, %s, %s)"


def lock(lines: Iterable[int]) -> None:
    """Lock the positions of these lines, in their order, until the transaction ends: before the lines themselves."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT positions_lock(%s::bigint[])", [numbers(lines)])


def move(
    case: Case,
    kind: str,
    *,
    key: str,
    rows: Iterable[tuple[int, int]],
    subject: Subject,
    by: User | None,
    at: datetime,
    ref: str = "",
) -> bool:
    """
    Move `rows` of (claim line number, units) and post one entry with their sums per asset.

    The same key with the same rows changes nothing and returns False; with other rows it is refused.
    `ref` names the suspense, for the kind that has one (identify).
    """
    lines, amounts = [], []
    for line, amount in rows:
        lines.append(line)
        amounts.append(whole(amount))
    subject_kind, subject_id = named(subject)
    who = by.username if by else ""
    with refusing(kind), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(MOVE, [case.pk, kind, key, numbers(lines), numbers(amounts), subject_kind, subject_id, who, at, ref])
        (moved,) = cursor.fetchone()
    return bool(moved)
