"""Whoever verifies the record derives the books and the register anew: what was changed behind them is named."""

import pytest

from administration.record import verify
from claims.register import positions, review
from tests.cast import NOON


@pytest.fixture
def moved(funded, line, aoki):
    review.decide_line(line, 900, reason_code="in_part", by=aoki, at=NOON)
    positions.move(funded, "declare", key="run 1", rows=[(line.pk, 500)], subject=funded, by=aoki, at=NOON)
    return funded


def test_what_nobody_tampered_with_verifies(moved):
    assert verify.verify(moved)["first_bad"] is None


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("UPDATE books_posting SET amount = amount + 1 WHERE entry_id = (SELECT max(id) FROM books_entry)", "“run 1”"),
        ("UPDATE books_entry SET kind = 'withdraw' WHERE idem_key = 'run 1'", "“run 1”"),
        ("DELETE FROM books_posting WHERE entry_id = (SELECT max(id) FROM books_entry)", "“run 1”"),
        ("UPDATE books_balance SET debits = debits + 1, credits = credits + 1", "balance of its postings"),
        ("UPDATE register_position SET given = given + 1", "does not tie, by"),
        ("UPDATE register_claimline SET admitted = admitted + 1, lodged = lodged + 1", "as it was decided"),
        ("UPDATE register_decision SET admitted = 901, rejected = 99 WHERE rule = ''", "as it was decided"),
        (
            "UPDATE register_decision SET admitted = 901, rejected = 99 WHERE rule = '';"
            " UPDATE register_claimline SET admitted = 901, rejected = 99 WHERE rejected = 100",
            "not the one that was recorded",
        ),
        (
            "UPDATE register_claimline SET recorded = recorded + 1, admitted = admitted + 1 WHERE rejected = 0",
            "claims.scheduled",
        ),
    ],
)
def test_what_a_superuser_changes_is_named(moved, as_superuser, sql, named):
    with as_superuser() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is deferred was committed long ago
        cursor.execute(sql)
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")

    assert named in verify.verify(moved)["first_bad"]
