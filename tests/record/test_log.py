"""Events: numbered without gap, in the order of commits, never changed."""

import threading

import pytest
from django.db import DatabaseError, connection, transaction

from administration.record import covers, encoding, log
from administration.record.models import Counter, Event
from tests.record.conftest import NOON, ACase, beside

RAW = """
INSERT INTO record_event (case_id, case_reference, number, kind, subject_kind, subject_id, by, at, body)
SELECT 7, 'T-7', n, 'x', 'x', 'x', '', now(), '{}' FROM unnest(%s::int[]) n
"""
REFUSED = [
    "UPDATE record_event SET body = '{}'",
    "DELETE FROM record_event",
    "TRUNCATE record_event",
    "UPDATE record_counter SET last = 9",
    "DELETE FROM record_counter",
    "TRUNCATE record_counter",
    "INSERT INTO record_counter VALUES (99, 'T-99', 5)",
    "UPDATE record_leaves SET hashes = hashes",
    "DELETE FROM record_leaves",
    "TRUNCATE record_leaves",
    "UPDATE record_head SET size = size",
    "DELETE FROM record_head",
    "TRUNCATE record_head",
    "ALTER TABLE record_event DISABLE TRIGGER ALL",
]


def test_events_are_numbered_from_one_without_a_gap_in_each_case(a_case, another_case):
    assert [a_case.act().number for _ in range(3)] == [1, 2, 3]
    assert another_case.act().number == 1
    assert Counter.objects.get(case_id=7).last == 3


def test_an_event_says_who_did_what_when(a_case):
    event = a_case.act(amount=2**200, name="預かり")
    again = Event.objects.get(case_id=7, number=1)
    assert again.body == event.body == f'{{"amount":"{2**200}","name":"預かり"}}'
    assert (again.kind, again.subject_kind, again.subject_id, again.by) == ("batch.frozen", "batch", "17", "")
    assert again.at == NOON
    assert again.recorded_at == event.recorded_at


def test_a_rolled_back_act_leaves_no_number_behind(a_case):
    a_case.act()
    with transaction.atomic():
        log.append(a_case, "x", subject=("batch", 1), by=None, at=NOON)
        transaction.set_rollback(True)
    assert a_case.act().number == 2


def test_an_event_needs_its_acts_transaction(committed):
    with pytest.raises(transaction.TransactionManagementError, match=r"transaction\.atomic"):
        log.append(ACase(7, "T-7"), "x", subject=("batch", 1), by=None, at=NOON)


def test_many_events_come_in_at_once_in_the_order_given(a_case):
    a_case.act()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT record_append_many(7, 'T-7', %s, %s, %s, 'goto', %s, %s)",
            ["a", "k", ["1", "2"], NOON, ["{}", '{"n":"2"}']],
        )
        assert cursor.fetchone() == (2,)
    assert list(Event.objects.order_by("number").values_list("number", "kind", "body"))[1:] == [
        (2, "a", "{}"),
        (3, "a", '{"n":"2"}'),
    ]


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", REFUSED)
def test_the_app_can_change_nothing_of_the_record(a_case, as_role, statement):
    a_case.act()
    with pytest.raises(DatabaseError, match=r"permission denied|must be owner"), as_role("henkan_app") as cursor:
        cursor.execute(statement)
    assert Event.objects.count() == 1


@pytest.mark.parametrize("statement", REFUSED[:-1])
def test_the_owner_of_the_tables_is_refused_too(a_case, as_owner, statement):
    a_case.act()
    a_case.seal()
    with pytest.raises(DatabaseError, match=r"append only|moves only with the events"), as_owner() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("role", ["henkan_portal", "henkan_reader"])
@pytest.mark.parametrize("statement", [RAW.replace("%s", "'{1}'"), "SELECT record_append(7,'T-7','x','x','x','',now(),'{}')",
                                       *REFUSED])  # fmt: skip
def test_portal_and_readers_write_nothing(db, as_role, role, statement):
    with pytest.raises(DatabaseError, match=r"permission denied|must be owner"), as_role(role) as cursor:
        cursor.execute(statement)


def test_the_portal_cannot_even_read_the_record(db, as_role):
    with pytest.raises(DatabaseError, match="permission denied"), as_role("henkan_portal") as cursor:
        cursor.execute("SELECT * FROM record_event")


def test_the_app_appends_by_the_function_only(a_case, as_role):
    with pytest.raises(DatabaseError, match="permission denied"), as_role("henkan_app") as cursor:
        cursor.execute(RAW, [[1]])


@pytest.mark.parametrize("numbers", [[1], [2], [4], [3, 5], [0], [-1], [3, 3], [4, 3, 6]])
def test_numbers_with_a_gap_or_repeat_are_refused_to_the_owner(a_case, as_owner, numbers):
    a_case.acts(2)
    with pytest.raises(DatabaseError, match=r"no gap and no repeat|record_event_pkey|begin_at_one"), as_owner() as cursor:
        cursor.execute(RAW, [numbers])


def test_the_owner_may_go_on_where_the_record_ends(a_case, as_owner):
    a_case.acts(2)
    with as_owner() as cursor:
        cursor.execute(RAW, [[4, 3, 5]])
    assert a_case.act().number == 6


def test_a_case_keeps_its_reference(a_case):
    a_case.act()
    for other in (ACase(7, "T-8"), ACase(9, "T-7")):
        with pytest.raises(DatabaseError, match="a case keeps its reference and no other has it"):
            other.act()


def test_two_at_once_are_numbered_in_the_order_they_commit(committed):
    case = ACase(7, "T-7")
    case.act()
    appended, go_on, order = threading.Event(), threading.Event(), []

    def first():
        with transaction.atomic():
            order.append(log.append(case, "first", subject=("x", 1), by=None, at=NOON).number)
            appended.set()
            go_on.wait(30)

    def second():
        with transaction.atomic():
            order.append(log.append(case, "second", subject=("x", 1), by=None, at=NOON).number)

    threads = [beside(first)]
    assert appended.wait(30)
    threads.append(beside(second))
    threads[1].join(0.3)
    assert order == [2]  # the second waits for the first to commit
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert order == [2, 3]
    assert list(Event.objects.order_by("number").values_list("kind", flat=True))[1:] == ["first", "second"]


def test_racing_appenders_leave_no_gap(committed):
    case = ACase(7, "T-7")

    threads = [beside(case.acts, 20) for _ in range(4)]  # the first of all among them: no counter is there yet
    for thread in threads:
        thread.join(60)
    assert list(Event.objects.order_by("number").values_list("number", flat=True)) == list(range(1, 81))
    assert Counter.objects.get().last == 80


# --- covers -----------------------------------------------------------------------------------


ROWS = """
SELECT reference, asset, amount FROM (VALUES
    ('R-1', 'BTC', %(amount)s::text), ('R-2', 'JPY', '5'), ('R-3', 'BTC', '7'), ('R-4', NULL, NULL)
) rows (reference, asset, amount) ORDER BY reference
"""


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(covers, "_queries", {})
    covers.register("some.rows", ROWS)


def test_a_cover_counts_adds_up_and_hashes_its_rows(db, registered):
    import hashlib

    cover = covers.cover("some.rows", amount=2**100)
    rows = [("R-1", "BTC", str(2**100)), ("R-2", "JPY", "5"), ("R-3", "BTC", "7"), ("R-4", None, None)]
    assert cover.count == 4
    assert cover.sums == {"": 0, "BTC": 2**100 + 7, "JPY": 5}
    assert cover.sha256 == hashlib.sha256(b"".join(map(encoding.frames, rows))).hexdigest()
    assert cover.params == {"amount": str(2**100)}


def test_a_cover_stands_in_its_events_body(a_case, registered):
    with transaction.atomic():
        cover = covers.cover("some.rows", amount=1)
        event = log.append(a_case, "x.done", subject=("x", 1), by=None, at=NOON, covers=cover, body={"note": "n"})
    assert event.body == encoding.canonical({"note": "n", "cover": cover.body()})


def test_a_query_is_registered_under_one_name_and_gives_texts(db, registered):
    covers.register("some.rows", ROWS)
    with pytest.raises(ValueError, match="Another query"):
        covers.register("some.rows", "SELECT 1")
    covers.register("numbers", "SELECT 1 AS amount")
    with pytest.raises(TypeError, match="amount is not"):
        covers.cover("numbers")
    with pytest.raises(LookupError, match="No query"):
        covers.cover("unknown")
