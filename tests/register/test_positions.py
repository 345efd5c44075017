"""Positions move only together with the books."""

import pytest
from django.db import IntegrityError, ProgrammingError, connection

from administration.books import books
from administration.books.models import Entry
from claims.register import positions
from claims.register.models import ClaimLine, MoveKey, Position
from claims.register.tie_out import DoesNotTie, require, tie_out
from tests.cast import NOON


@pytest.fixture
def move(funded, aoki):
    def move(kind, *rows, key=None):
        key = key or f"{kind}-{MoveKey.objects.count()}"
        return positions.move(funded, kind, key=key, rows=rows, subject=funded, by=aoki, at=NOON)

    return move


def stand(line):
    p = Position.objects.get(claim_line=line)
    return {name: n for name in ("given", "scheduled", "in_flight", "settled", "deposited") if (n := getattr(p, name))}


def yen(case):
    [row] = [row for row in tie_out(case)["assets"] if row["code"] == "JPY"]
    return {name: int(row[name]) for name in ("closing", "free", "entitled", "in_flight", "settled", "bounced")}


def test_the_way_of_a_unit_from_free_to_settled_ties_at_every_step(funded, line, move):
    for kind, amount in [
        ("declare", 600),
        ("schedule", 500),
        ("take", 500),
        ("settle", 400),
        ("void", 100),
        ("bounce", 30),
    ]:
        assert move(kind, (line.pk, amount))
        require(funded)

    assert stand(line) == {"given": 600, "scheduled": 100, "settled": 370}
    assert yen(funded) == {
        "closing": 10**20 - 370, "free": 10**20 - 600, "entitled": 230, "in_flight": 0, "settled": 400, "bounced": 30,
    }  # fmt: skip


def test_one_entry_carries_the_sums_of_all_lines_moved(funded, move):
    move("declare", *((row.pk, 1) for row in ClaimLine.objects.order_by("-pk")), key="run 1")

    entry = Entry.objects.get(idem_key="run 1")
    assert [(p.asset.code, p.side, p.account.kind, p.amount) for p in entry.postings.order_by("asset__code", "-side")] == [
        ("BTC", "D", "free", 2), ("BTC", "C", "entitled", 2),
        ("ETH", "D", "free", 1), ("ETH", "C", "entitled", 1),
        ("JPY", "D", "free", 2), ("JPY", "C", "entitled", 2),
    ]  # fmt: skip


def test_the_same_move_again_changes_nothing(funded, line, move):
    assert move("declare", (line.pk, 5), key="k") is True
    assert move("declare", (line.pk, 5), key="k") is False
    assert move("schedule", (line.pk, 5), key="s") is True
    assert move("schedule", (line.pk, 5), key="s") is False

    assert stand(line) == {"given": 5, "scheduled": 5}


@pytest.mark.parametrize(("kind", "amount"), [("declare", 6), ("schedule", 5)])
def test_the_same_key_with_another_move_is_refused(line, move, kind, amount):
    move("declare", (line.pk, 5), key="k")
    with pytest.raises(books.KeyUsedTwice):
        move(kind, (line.pk, amount), key="k")

    assert stand(line) == {"given": 5}


@pytest.mark.parametrize("kind", ["schedule", "take", "settle", "bounce", "void", "unschedule", "withdraw", "deposit"])
def test_nothing_moves_that_is_not_there(funded, line, move, kind):
    with pytest.raises(books.NotPosted, match=r"position_|does not hold"):
        move(kind, (line.pk, 1))

    assert stand(line) == {}
    assert Entry.objects.count() == 1


def test_nothing_is_given_above_what_is_admitted(line, move):
    with pytest.raises(books.NotPosted, match="nothing_is_given_above_what_is_admitted"):
        move("declare", (line.pk, 1001))
    assert move("declare", (line.pk, 1000))


def test_nothing_is_declared_that_is_not_free(scheduled, line, aoki):
    with pytest.raises(books.Overdrawn):
        positions.move(scheduled, "declare", key="k", rows=[(line.pk, 1)], subject=scheduled, by=aoki, at=NOON)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "one to 5000"),
        ([(0, 1)], "not of this case"),
        ([("line", 0)], "whole number above zero"),
        ([("line", -1)], "whole number above zero"),
        ([("line", 1), ("line", 1)], "listed twice"),
        ([(n, 1) for n in range(5001)], "one to 5000"),
    ],
    ids=["nothing", "unknown line", "zero", "negative", "twice", "too many"],
)
def test_a_move_that_cannot_be_meant_is_refused(line, move, rows, why):
    with pytest.raises(books.NotPosted, match=why):
        move("declare", *[(line.pk if row == "line" else row, amount) for row, amount in rows])

    assert not MoveKey.objects.exists()


def test_lines_of_another_case_do_not_move(funded, line, aoki):
    from tests.cast import open_sample_case

    other = open_sample_case("T-2")
    with pytest.raises(books.NotPosted, match="not of this case"):
        positions.move(other, "declare", key="k", rows=[(line.pk, 1)], subject=other, by=aoki, at=NOON)


@pytest.mark.parametrize("amount", [1.0, True, "1"])
def test_only_whole_numbers_are_amounts(line, move, amount):
    with pytest.raises(TypeError):
        move("declare", (line.pk, amount))


@pytest.mark.parametrize("amount", ["'NaN'", "'Infinity'", "1.5", "NULL"])
def test_the_database_refuses_what_is_no_whole_number(funded, line, as_role, amount):
    with pytest.raises(IntegrityError, match="whole number above zero"), as_role("henkan_app") as cursor:
        cursor.execute(
            f"SELECT positions_move(%s, 'declare', 'k', ARRAY[%s]::bigint[], ARRAY[{amount}]::numeric[], '', '', '', now())",
            [funded.pk, line.pk],
        )


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE register_position SET settled = given",
        "INSERT INTO register_position SELECT * FROM register_position",
        "DELETE FROM register_position",
        "TRUNCATE register_position",
        "INSERT INTO register_movekind SELECT 'mine', 0, 0, 0, 1, 0, NULL",
        "UPDATE register_movekind SET settled = 1",
        "DELETE FROM register_movekey",
        "SELECT books_enter(1, 'declare', 'k', ARRAY[1]::bigint[], ARRAY[1]::numeric[], '', '', '', '', now())",
    ],
)
@pytest.mark.parametrize("role", ["henkan_app", "henkan_reader", "henkan_portal"])
def test_no_role_moves_a_position_except_through_its_function(funded, as_role, role, sql):
    with pytest.raises(ProgrammingError, match="permission denied"), as_role(role) as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize("role", ["henkan_reader", "henkan_portal"])
def test_only_the_app_calls_the_function(funded, line, as_role, role):
    with pytest.raises(ProgrammingError, match="permission denied"), as_role(role) as cursor:
        cursor.execute(
            "SELECT positions_move(1, 'declare', 'k', ARRAY[1]::bigint[], ARRAY[1]::numeric[], '', '', '', now())"
        )


@pytest.mark.parametrize(
    "sql", ["DELETE FROM register_position", "TRUNCATE register_position", "DELETE FROM register_movekey"]
)
def test_the_owner_too_keeps_positions_and_keys(funded, as_owner, sql):
    with as_owner() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match="append only"), as_owner() as cursor:
        cursor.execute(sql)


def test_what_a_superuser_changes_behind_the_books_does_not_tie(funded, line, move, as_superuser):
    move("declare", (line.pk, 10))
    with as_superuser() as cursor:
        cursor.execute("UPDATE register_position SET given = given + 1 WHERE claim_line_id = %s", [line.pk])

    with pytest.raises(DoesNotTie, match="JPY does not tie: the statement of assets is off by 1"):
        require(funded)
    require(funded, assets=[ClaimLine.objects.filter(asset__code="BTC").first().asset])
    assert connection.needs_rollback is False
