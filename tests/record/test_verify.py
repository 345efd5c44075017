"""Seals, and what verification finds when a superuser has been at the rows with triggers off."""

import json
import random
import re
import stat
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction

from administration.errors import Refused
from administration.record import covers, heads, keys, log, merkle, tasks, verify
from administration.record.models import Head, Leaves
from tests.record.conftest import NOON, ACase, beside


def first_bad(case):
    result = verify.verify(case)
    assert result["ok"] is (result["first_bad"] is None)
    return result["first_bad"]


# --- sealing ----------------------------------------------------------------------------------


def test_a_head_seals_all_events_and_the_next_one_only_what_is_new(a_case):
    assert a_case.seal() is None
    a_case.acts(3)
    assert a_case.seal().size == 3
    assert a_case.seal() is None
    a_case.acts(4)
    head = a_case.seal()
    kept = merkle.split(b"".join(bytes(row.hashes) for row in Leaves.objects.order_by("first")))
    assert head.size == len(kept) == 7
    assert bytes(head.root) == merkle.root(kept)
    assert heads.is_signed(head)
    assert verify.verify(a_case) == {"ok": True, "events": 7, "heads": 2, "first_bad": None}


def test_kept_leaves_are_the_canonical_encoding(a_case):
    a_case.act(name="預かり \\ \n \"", nothing=None)
    a_case.seal()
    with connection.cursor() as cursor:
        cursor.execute("SELECT record_leaf(e) FROM record_event e")
        assert bytes(cursor.fetchone()[0]) == bytes(Leaves.objects.get().hashes)


def test_sealing_in_many_steps_comes_to_the_same_root(a_case, monkeypatch):
    monkeypatch.setattr(heads, "AT_ONCE", 5)
    monkeypatch.setattr(heads, "KEPT_TOGETHER", 2)
    monkeypatch.setattr(verify, "AT_ONCE", 4)
    a_case.acts(13)
    assert a_case.seal().size == 13
    assert list(Head.objects.order_by("size").values_list("size", flat=True)) == [5, 10, 13]
    assert first_bad(a_case) is None


def test_a_head_leaves_the_database_at_once(a_case, settings):
    a_case.acts(2)
    first = a_case.seal()
    a_case.acts(1)
    second = a_case.seal()
    lines = Path(settings.HEAD_LOG_FILE).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [heads.as_json(first), heads.as_json(second)]


def test_a_head_that_a_crash_kept_from_the_log_is_written_by_the_next_seal(a_case, settings):
    path = Path(settings.HEAD_LOG_FILE)
    a_case.acts(2)
    a_case.seal()
    logged = path.read_bytes()
    a_case.acts(1)
    a_case.seal()
    path.write_bytes(logged + b'{"format":"henkan-he')  # the machine died while writing
    assert first_bad(a_case) is None
    a_case.acts(1)
    a_case.seal()
    assert [int(head["size"]) for head in heads.logged(a_case)] == [2, 3, 4]
    assert first_bad(a_case) is None


def test_the_bell_seals_every_case_with_something_new(a_case, another_case):
    a_case.acts(1)
    another_case.acts(2)
    tasks.seal()
    another_case.acts(1)
    tasks.seal()
    assert list(Head.objects.order_by("case_id", "size").values_list("case_id", "size")) == [(7, 1), (8, 2), (8, 3)]


def test_sealers_and_appenders_that_race_leave_a_record_that_verifies(committed):
    case = ACase(7, "T-7")
    case.act()

    def seal_often():
        for _ in range(10):
            case.seal()

    threads = [beside(case.acts, 20), beside(case.acts, 20), beside(seal_often), beside(seal_often)]
    for thread in threads:
        thread.join(60)
    case.seal()
    assert verify.verify(case) == {"ok": True, "events": 41, "heads": Head.objects.count(), "first_bad": None}
    assert [int(head["size"]) for head in heads.logged(case)] == list(
        Head.objects.order_by("size").values_list("size", flat=True)
    )


def test_sealing_inside_an_act_is_refused(committed):
    case = ACase(7, "T-7")
    case.act()
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        case.seal()


def test_the_key_is_made_once_for_its_owner_only(tmp_path, settings):
    settings.HEAD_KEY_FILE, settings.EMBEDDED = str(tmp_path / "key.pem"), True
    key = keys.public_bytes(keys.signing_key())
    assert keys.public_bytes(keys.signing_key()) == key
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    (tmp_path / "key.pem").chmod(0o644)
    with pytest.raises(Refused, match="others can read"):
        keys.signing_key()


def test_on_a_real_server_no_key_is_made_and_the_refusal_names_the_setting(a_case, tmp_path, settings):
    a_case.acts(1)
    settings.EMBEDDED, settings.HEAD_KEY_FILE = False, str(tmp_path / "key.pem")
    with pytest.raises(Refused, match="HEAD_KEY_FILE"):
        a_case.seal()
    settings.HEAD_KEY_FILE = ""
    with pytest.raises(Refused, match="HEAD_KEY_FILE"):
        a_case.seal()
    settings.EMBEDDED, settings.HEAD_KEY_FILE, settings.HEAD_LOG_FILE = True, str(tmp_path / "key.pem"), ""
    with pytest.raises(Refused, match="HEAD_LOG_FILE"):
        a_case.seal()
    assert not Head.objects.exists()


# --- what the database refuses of seals -------------------------------------------------------

RAW_HEAD = """
INSERT INTO record_head (case_id, case_reference, size, root, frontier, signed_at, key_id, public_key, signature)
VALUES (7, %s, %s, '', '', now(), '', '', '')
"""
RAW_LEAVES = "INSERT INTO record_leaves (case_id, first, hashes) VALUES (7, %s, %s)"


@pytest.mark.parametrize(("reference", "size"), [("T-7", 3), ("T-7", 2), ("T-7", 6), ("T-9", 4), ("T-7", 4)])
def test_a_head_may_only_seal_more_events_that_are_there(a_case, as_role, reference, size):
    a_case.acts(3)
    a_case.seal()
    a_case.acts(2)
    with pytest.raises(DatabaseError, match=r"a head seals events|a head is larger"), as_role("henkan_app") as cursor:
        cursor.execute(RAW_HEAD, [reference, size])


@pytest.mark.parametrize(("first", "count"), [(3, 1), (5, 1), (4, 3), (4, 0), (4, 0.5)])
def test_leaves_follow_one_another(a_case, as_role, first, count):
    a_case.acts(3)
    a_case.seal()
    a_case.acts(2)
    with pytest.raises(DatabaseError, match="leaves follow one another"), as_role("henkan_app") as cursor:
        cursor.execute(RAW_LEAVES, [first, b"\x00" * int(32 * count)])


# --- tampering --------------------------------------------------------------------------------


@pytest.fixture
def sealed(a_case):
    for _ in range(3):
        a_case.acts(4)
        a_case.seal()
    a_case.acts(1)
    return a_case


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE record_event SET body = '{\"amount\":\"9\"}' WHERE number = 6", "Event 6 .*batch.frozen.* under head 8"),
        ("UPDATE record_event SET by = 'goto' WHERE number = 1", "Event 1 "),
        ("UPDATE record_event SET at = at - interval '1 microsecond' WHERE number = 12", "Event 12 "),
        ("UPDATE record_event SET recorded_at = now() WHERE number = 5", "Event 5 "),
        ("DELETE FROM record_event WHERE number = 3", "Event 3 of T-7 is missing"),
        ("DELETE FROM record_event WHERE number > 11", "ends with event 11, but 13"),
        (
            "DELETE FROM record_event WHERE number > 11; UPDATE record_counter SET last = 11",
            "Head 12 of T-7 was signed and logged, but the record ends with event 11",
        ),
        ("UPDATE record_counter SET last = 12", "ends with event 13, but 12"),
        (
            "UPDATE record_event SET number = 99 WHERE number = 2; UPDATE record_event SET number = 2 WHERE number = 3;"
            "UPDATE record_event SET number = 3 WHERE number = 99",
            "Event 2 ",
        ),
        ("UPDATE record_leaves SET hashes = set_byte(hashes, 33, 0) WHERE first = 5", "kept leaf of event 6"),
        ("DELETE FROM record_leaves WHERE first = 9", "kept leaf of event 9"),
        ("UPDATE record_head SET root = set_byte(root, 0, 255 - get_byte(root, 0)) WHERE size = 8", "Head 8 .*not signed"),
        ("UPDATE record_head SET signed_at = now() WHERE size = 8", "Head 8 .*not signed"),
        ("DELETE FROM record_head WHERE size = 8", "Head 8 .*no longer in the database"),
        ("DELETE FROM record_head", "Head 4 .*no longer in the database"),
        ("UPDATE record_head SET size = 7 WHERE size = 8", "Head 7 .*not signed"),
    ],
)
def test_what_a_superuser_changes_is_named(sealed, as_superuser, statement, finding):
    assert first_bad(sealed) is None
    with as_superuser() as cursor:
        for one in statement.split(";"):
            cursor.execute(one)
    assert re.search(finding, first_bad(sealed)), first_bad(sealed)


def test_an_event_changed_together_with_its_leaf_is_narrowed_to_its_head(sealed, as_superuser):
    with as_superuser() as cursor:
        cursor.execute("UPDATE record_event SET body = '{}' WHERE number = 6")
        cursor.execute(
            "UPDATE record_leaves SET hashes = overlay(hashes PLACING "
            "(SELECT record_leaf(e) FROM record_event e WHERE number = 6) FROM 33 FOR 32) WHERE first = 5"
        )
    assert first_bad(sealed) == "The events up to 8 of T-7 do not have the root that was signed for them."


def test_a_record_rebuilt_and_signed_with_another_key_is_found_by_the_head_log(sealed, as_superuser, settings, tmp_path):
    log_path = settings.HEAD_LOG_FILE
    with as_superuser() as cursor:
        cursor.execute("UPDATE record_event SET body = '{}' WHERE number = 6")
        cursor.execute("DELETE FROM record_head")
        cursor.execute("DELETE FROM record_leaves")
    settings.HEAD_KEY_FILE, settings.HEAD_LOG_FILE = str(tmp_path / "forged.pem"), str(tmp_path / "forged.log")
    sealed.seal()
    assert first_bad(sealed) is None  # by the forger's own log
    settings.HEAD_LOG_FILE = log_path
    assert "Head 4 of T-7 stands in the head log" in first_bad(sealed) or "not in the head log" in first_bad(sealed)


def test_two_hundred_changes_are_found_and_clean_records_pass(a_case, as_superuser):
    chance = random.Random(7)
    a_case.acts(40)
    a_case.seal()
    a_case.acts(40)
    a_case.seal()
    assert first_bad(a_case) is None
    columns = ["case_reference", "kind", "subject_kind", "subject_id", "by", "body"]
    for _ in range(200):
        number, column = chance.randint(1, 80), chance.choice(columns)
        with transaction.atomic():
            with as_superuser() as cursor:
                cursor.execute(f"UPDATE record_event SET {column} = {column} || ' ' WHERE number = {number}")
            assert f"Event {number} " in first_bad(a_case)
            transaction.set_rollback(True)
    assert first_bad(a_case) is None


# --- covers and derivations -------------------------------------------------------------------


@pytest.fixture
def covered(a_case, as_owner, monkeypatch):
    monkeypatch.setattr(covers, "_queries", {})
    with as_owner() as cursor:
        cursor.execute("CREATE TABLE paid (reference text, asset text, amount numeric)")
        cursor.execute("INSERT INTO paid VALUES ('R-1', 'BTC', 5), ('R-2', 'BTC', 6)")
    covers.register("paid", "SELECT reference, asset, amount::text FROM paid WHERE reference >= %(first)s ORDER BY 1")
    with transaction.atomic():
        log.append(a_case, "paid.done", subject=("x", 1), by=None, at=NOON, covers=covers.cover("paid", first="R-1"))
    a_case.seal()
    return a_case


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        ("UPDATE paid SET amount = 7 WHERE reference = 'R-2'", "BTC 11 then, 12 now"),
        ("DELETE FROM paid WHERE reference = 'R-1'", "2 rows then, 1 now"),
        ("UPDATE paid SET reference = 'R-3' WHERE reference = 'R-1'", "another content"),
    ],
)
def test_rows_that_an_event_covers_are_hashed_again(covered, as_owner, statement, difference):
    assert first_bad(covered) is None
    with as_owner() as cursor:
        cursor.execute(statement)
    assert "Event 1 of T-7 (paid.done) covers rows that were changed since" in first_bad(covered)
    assert difference in first_bad(covered)


def test_rows_that_cannot_even_be_read_are_a_finding(covered, as_owner):
    with as_owner() as cursor:
        cursor.execute("DROP TABLE paid")
    assert "Event 1 of T-7 (paid.done): relation \"paid\" does not exist" in first_bad(covered)


def test_a_derivation_that_breaks_on_tampered_rows_is_a_finding(a_case, monkeypatch):
    def broken(case):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    monkeypatch.setattr(verify, "_derivations", {"positions": broken})
    assert first_bad(a_case) == "positions: cannot be derived from the rows as they are: division by zero"


def test_derivations_of_other_rooms_are_asked(a_case, monkeypatch):
    monkeypatch.setattr(verify, "_derivations", {})
    verify.register_derivation("positions", lambda case: f"line 3 of {case.reference} holds 5, derived 4")
    assert first_bad(a_case) == "positions: line 3 of T-7 holds 5, derived 4"
