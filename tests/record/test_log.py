"""Events: numbered without gap, in the order of commits, never changed."""

import datetime
import hashlib

import pytest
from django.db import DatabaseError, IntegrityError, InternalError, ProgrammingError, connection, transaction

from administration.record import encoding, log
from administration.record.models import Counter, Event

NOON = datetime.datetime(2027, 4, 1, 3, 0, tzinfo=datetime.UTC)


class ACase:
    pk = 7
    reference = "T-7"


def append(kind="case.opened", **body):
    with transaction.atomic():
        return log.append(ACase(), kind, subject=("case", 7), by=None, at=NOON, body=body)


def test_events_are_numbered_from_one_without_a_gap(db):
    assert [append().number for _ in range(3)] == [1, 2, 3]
    assert Counter.objects.get().last == 3


def test_the_leaf_is_the_canonical_encoding(db):
    event = append(name="預かり", amount=2**200, list=[1, {"b": None, "a": "x"}])
    assert event.body == '{"amount":"%d","list":["1",{"a":"x","b":null}],"name":"預かり"}' % 2**200
    with connection.cursor() as cursor:
        cursor.execute("SELECT record_leaf(e) FROM record_event e")
        (leaf,) = cursor.fetchone()
    assert bytes(leaf) == encoding.leaf(
        case_reference="T-7", number=1, kind="case.opened", subject_kind="case", subject_id="7", by="",
        at=encoding.micros(NOON), recorded_at=encoding.micros(event.recorded_at), body=event.body,
    )  # fmt: skip
