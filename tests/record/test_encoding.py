"""The canonical encoding, held to its published vectors in Python and in SQL."""

import datetime
import json
from pathlib import Path

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from administration.record import encoding
from administration.record.encoding import canonical, frames, micros, unframe

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))["events"]
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["note"])
def test_python_encodes_as_published(vector):
    event = vector["event"]
    assert canonical(event["body"]) == vector["body_text"]
    at, recorded_at = (micros(datetime.datetime.fromisoformat(event[name])) for name in ("at", "recorded_at"))
    assert (at, recorded_at) == (vector["at_micros"], vector["recorded_at_micros"])
    names = ("case_reference", "kind", "subject_kind", "subject_id", "by")
    fields = {name: event[name] for name in names} | {
        "number": int(event["number"]), "at": at, "recorded_at": recorded_at, "body": vector["body_text"],
    }  # fmt: skip
    assert encoding.encoded(**fields).hex() == vector["encoded"]
    assert encoding.leaf(**fields).hex() == vector["leaf"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["note"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_the_database_encodes_as_published(db, vector, zone):
    event = vector["event"]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE %s", [zone])
        cursor.execute(
            "SELECT record_leaf(ROW(1, %s, %s, %s, %s, %s, %s, %s::timestamptz, %s::timestamptz, %s)::record_event)",
            [event[name] for name in ("case_reference", "number", "kind", "subject_kind", "subject_id", "by", "at",
                                      "recorded_at")] + [vector["body_text"]],
        )  # fmt: skip
        assert bytes(cursor.fetchone()[0]).hex() == vector["leaf"]


@given(st.lists(st.none() | texts))
def test_frames_can_be_taken_apart_in_one_way_only(fields):
    assert unframe(frames(fields)) == fields


def test_the_database_frames_as_python_does(db):
    fields = ["", None, "a", "返還", "\\", "\\x00", "\\\\101", "😀\n\t'\"", "x" * 70000]
    with connection.cursor() as cursor:
        for field in fields:
            cursor.execute("SELECT frame(%s::text)", [field])
            assert bytes(cursor.fetchone()[0]) == encoding.frame(field)


@given(st.datetimes(timezones=st.just(datetime.UTC)))
def test_micros_are_whole(instant):
    assert encoding.EPOCH + datetime.timedelta(microseconds=int(micros(instant))) == instant


def test_torn_frames_and_what_is_no_body_are_refused():
    with pytest.raises(ValueError, match="longer"):
        unframe(b"\x00\x00\x00\x05ab")
    with pytest.raises(TypeError, match="no time zone"):
        micros(datetime.datetime(2027, 4, 1))  # noqa: DTZ001  that is the point
    for body in ({"a": 1.5}, {"a": {1: "x"}}, {1: "x"}, {"a": object()}):
        with pytest.raises(TypeError):
            canonical(body)
    assert canonical({"b": b"\x01", "a": (1, True)}) == '{"a":["1",true],"b":"01"}'
