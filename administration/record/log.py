"""Append to the record: the last statement of every act, in the act's own transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Model
from django.db.transaction import TransactionManagementError

from administration.record.covers import Cover
from administration.record.encoding import canonical
from administration.record.models import Event

if TYPE_CHECKING:
    from administration.cases.models import Case
    from administration.people.models import User

APPEND = "SELECT number, recorded_at FROM record_append(%s, %s, %s, %s, %s, %s, %s, %s)"
FIELDS = [
    "case_id", "case_reference", "number", "kind", "subject_kind", "subject_id", "by", "at", "recorded_at", "body",
]  # fmt: skip


def append(
    case: "Case",
    kind: str,
    *,
    subject: Model | tuple[str, object],
    by: "User | None",
    at: datetime,
    body: Mapping[str, Any] | None = None,
    covers: Cover | None = None,
) -> Event:
    """
    Leave one event. From here to the commit the case's counter is locked, so this comes last.

    `by` is None when the system acted. `covers` says which rows a bulk act's one event speaks for.
    """
    if not connection.in_atomic_block:
        raise TransactionManagementError(
            "An event belongs to its act's transaction; open it with transaction.atomic()."
        )
    content = dict(body or {})
    if covers is not None:
        content["cover"] = covers.body()
    subject_kind, subject_id = named(subject)
    username = by.get_username() if by is not None else ""
    text = canonical(content)
    with connection.cursor() as cursor:
        cursor.execute(APPEND, [case.pk, case.reference, kind, subject_kind, subject_id, username, at, text])
        number, recorded_at = cursor.fetchone()
    return Event.from_db(
        connection.alias,
        FIELDS,
        [case.pk, case.reference, number, kind, subject_kind, subject_id, username, at, recorded_at, text],
    )


def named(subject: Model | tuple[str, object]) -> tuple[str, str]:
    """What an event calls the thing it speaks of: ("batch", "17")."""
    if isinstance(subject, tuple):
        return str(subject[0]), str(subject[1])
    return subject._meta.model_name or "", str(subject.pk)
