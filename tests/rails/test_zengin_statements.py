"""The bank's statement: read strictly; a debit settles its file, a credit is matched to a return or left to a person."""

import dataclasses
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from administration.rails.interface import ObservationKind
from administration.rails.zengin import StatementRefused
from administration.rails.zengin.returned import Finding, Sent, SentFile, match
from tests.rails.zengin_bank import DATA, DAY, movement, rail, statement

GOLDEN = (DATA / "statement.txt").read_bytes()
LATER = DAY + timedelta(days=2)

FILE = SentFile(
    "B1/1",
    DAY,
    (
        Sent("R0000000018", 1000, "ﾔﾏﾀﾞ ﾀﾛｳ", "ﾐｽﾞﾎ"),
        Sent("R0000000026", 2500, "ｽｽﾞｷ ﾊﾅｺ", "ﾐﾂﾋﾞｼﾕ-ｴﾌｼﾞｴｲ"),
        Sent("R0000000034", 2500, "ｻﾄｳ ｼﾞﾛｳ", "ﾐｽﾞﾎ"),
        Sent("R0000000042", 4000, "ｶ)ｱｻﾋｼﾖｳｶｲ", "ﾐｽﾞﾎ"),
        Sent("R0000000059", 4000, "ｶ)ｱｻﾋｼﾖｳｶｲ", "ﾐｽﾞﾎ"),
        Sent("R0000000067", 777, "ﾀﾅｶ ｲﾁﾛｳ", "ﾕｳﾁﾖ"),
    ),
)
OUT = movement(FILE.total, out=True, narrative="ｿｳｺﾞｳﾌﾘｺﾐ")


def back(amount, remitter="", sending_bank="", narrative="ﾌﾘｺﾐﾓﾄﾞｼ", day=LATER, **more):
    return movement(
        amount, out=False, day=day, remitter=remitter, sending_bank=sending_bank, narrative=narrative, **more
    )


def found(*movements, files=(FILE,)):
    """What the matcher says of each line, through the bank's bytes and back."""
    return match(rail().movements(statement(movements)), files)


# --- reading -------------------------------------------------------------------------------------------------


def test_a_statement_is_read_line_by_line():
    lines = rail().read(GOLDEN)

    assert [(line.kind, line.amount, line.at.date()) for line in lines] == [
        (ObservationKind.SETTLED, 10_000_950_000, date(2026, 12, 1)),
        (ObservationKind.SETTLED, 880, date(2026, 12, 1)),
        (ObservationKind.RETURNED, 950_000, date(2026, 12, 3)),
    ]
    assert lines[2].reason == "ﾌﾘｺﾐﾓﾄﾞｼ / ｷﾔﾘ- ﾊﾟﾐﾕ / ﾐｽﾞﾎ / ﾄｳｷﾖｳｴｲｷﾞﾖｳﾌﾞ"
    assert not any(line.reference or line.part for line in lines)


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b""])
def test_the_lines_may_end_as_the_bank_likes(end):
    assert rail().read(GOLDEN.replace(b"\r\n", end)) == rail().read(GOLDEN)
    assert rail().read(GOLDEN.replace(b"\r\n", end) + b"\x1a") == rail().read(GOLDEN)


def test_a_line_has_the_same_name_in_every_statement_that_has_it():
    rows = [movement(n, out=True, inquiry=n, day=DAY + timedelta(days=n)) for n in range(1, 6)]
    first, second = rail().read(statement(rows[:4])), rail().read(statement(rows[2:], opening=77_777))

    assert [line.line_ref for line in first[2:]] == [line.line_ref for line in second[:2]]
    assert len({line.line_ref for line in first + second}) == 5


def test_two_lines_that_say_the_same_are_two():
    same = movement(500, out=True)

    assert len({line.line_ref for line in rail().read(statement([same, same]))}) == 2


def test_a_statement_without_a_movement_is_one():
    assert rail().read(statement([])) == ()


@pytest.mark.parametrize(
    ("before", "after", "place", "said"),
    [
        (b"1030081203", b"1010081203", (1, 2), "always 03"),
        (b"1030081203", b"1031081203", (1, 4), "always 0"),
        (b"1030081203", b"1030081303", (1, 5), "no day"),
        (b"1030081203", b"1030001203", (1, 5), "no day"),
        (b"081201081203", b"081204081203", (1, 11), "after its last"),
        (b"081201081203", b"081202081203", (2, 10), "outside"),
        (b"0000098765", b"0000098766", (1, 23), "of the account"),
        (b"010000950000", b"010000950001", (5, 27), "debits"),
        (b"214010000950000", b"214000000000000", (2, 25), "nothing"),
        (b"214010000950000", b"314010000950000", (2, 22), "neither in"),
        (b"214010000950000", b"114010000950000", (5, 2), "credits"),
        (b"8000001", b"8000002", (5, 2), "credits"),
        (b"0000003  ", b"0000004  ", (5, 55), "movements"),
        (b"900000000", b"900000001", (6, 2), "records"),
        (b"00001   ", b"00002   ", (6, 12), "accounts"),
        ("ｷﾔﾘ-".encode("cp932"), b"\x8e\xd4\xd8-", (4, 82), "double-byte"),
        ("ｷﾔﾘ-".encode("cp932"), b"\xa0\xd4\xd8-", (4, 82), "JIS X 0201"),
        ("ｷﾔﾘ-".encode("cp932"), b"\x00\xd4\xd8-", (4, 82), "control"),
    ],
)
def test_a_statement_that_does_not_come_out_is_refused_whole_by_line_and_column(before, after, place, said):
    assert before in GOLDEN
    with pytest.raises(StatementRefused, match="Nothing was read") as caught:
        rail().read(GOLDEN.replace(before, after, 1))

    assert (caught.value.faults[0].line, caught.value.faults[0].column) == place
    assert said in str(caught.value)


def test_balances_must_lead_from_the_first_to_the_last():
    whole = statement([movement(100, out=True), movement(30, out=False)], opening=1000)
    with pytest.raises(StatementRefused, match="lead from 1001 to 931"):
        rail().read(whole.replace(b"00000000001000", b"00000000001001"))


def test_an_account_may_be_overdrawn():
    plus = statement([movement(100, out=True)], opening=100)
    opening, closing = b"10" + b"0" * 11 + b"100", b"1" + b"0" * 14  # 1: plus, 2: minus
    minus = plus.replace(opening, b"2" + opening[1:])

    with pytest.raises(StatementRefused, match="lead from -100 to -200"):
        rail().read(minus)
    at = minus.rindex(closing)
    assert rail().read(minus[:at] + b"2" + b"0" * 11 + b"200" + minus[at + 15 :])


@pytest.mark.parametrize("size", [0, 1, 199, 200, 201, 202, 404, 606, 900, 1010, 1200, len(GOLDEN) - 3])
def test_a_statement_that_was_cut_off_is_refused(size):
    with pytest.raises(StatementRefused):
        rail().read(GOLDEN[:size])


@given(st.binary(max_size=700))
def test_any_bytes_are_refused_and_nothing_else_happens(content):
    with pytest.raises(StatementRefused):
        rail().read(content)


@given(st.integers(0, len(GOLDEN) - 1), st.integers(0, 255))
def test_one_byte_changed_is_refused_or_read(place, byte):
    try:
        rail().read(GOLDEN[:place] + bytes([byte]) + GOLDEN[place + 1 :])
    except StatementRefused:
        return


@given(
    st.lists(
        st.tuples(
            st.integers(1, 10**12 - 1),
            st.booleans(),
            st.integers(0, 30),
            st.text("ｱﾔﾏ ﾞ-()A1", max_size=20).map(str.strip),
        ),
        max_size=12,
    )
)
def test_whatever_the_bank_writes_is_read_back(rows):
    lines = rail().movements(
        statement(
            [
                movement(amount, out=out, day=DAY + timedelta(days=late), remitter=name)
                for amount, out, late, name in rows
            ]
        )
    )

    assert [(line.amount, line.out, line.booked_on, line.remitter) for line in lines] == [
        (amount, out, DAY + timedelta(days=late), name) for amount, out, late, name in rows
    ]


# --- what a debit pays ---------------------------------------------------------------------------------------


def test_the_debit_of_its_exact_sum_settles_a_file():
    (line,) = found(OUT)

    assert (line.finding, line.part) == (Finding.FILE, "B1/1")


@pytest.mark.parametrize("difference", [-1, 1, 880])
def test_a_debit_of_another_sum_settles_nothing(difference):
    assert found(movement(FILE.total + difference, out=True))[0].finding is Finding.UNKNOWN_DEBIT


def test_a_second_debit_of_a_file_is_no_file_of_another():
    again = movement(FILE.total, out=True, inquiry=2)

    assert [line.finding for line in found(OUT, again)] == [Finding.FILE, Finding.DEBITED_TWICE]
    paid = dataclasses.replace(FILE, debited_on=DAY)
    assert found(again, files=[paid])[0].finding is Finding.DEBITED_TWICE


def test_a_debit_that_may_be_of_two_files_is_left_to_a_person():
    (line,) = found(OUT, files=[FILE, dataclasses.replace(FILE, part="B2/1")])

    assert (line.finding, line.part, line.candidates) == (Finding.AMBIGUOUS, "", ("B1/1", "B2/1"))


def test_a_debit_long_before_or_after_the_value_date_is_none_of_the_file():
    for late in (-8, 15):
        file = dataclasses.replace(FILE, value_date=DAY - timedelta(days=late))
        assert found(OUT, files=[file])[0].finding is Finding.UNKNOWN_DEBIT


# --- what a credit brings back -------------------------------------------------------------------------------


def test_three_returned_transfers_are_matched_and_an_ambiguous_pair_is_left_to_a_person():
    lines = found(
        OUT,
        back(1000, "ﾔﾏﾀﾞ ﾀﾛｳ", "ﾐｽﾞﾎｷﾞﾝｺｳ"),
        back(2500, "ｽｽﾞｷﾊﾅｺ", narrative="ｸﾐﾓﾄﾞｼ"),
        back(4000, "ｶ)ｱｻﾋｼﾖｳｶｲ", "ﾐｽﾞﾎ", inquiry=4),
        back(4000, "ｶ)ｱｻﾋｼﾖｳｶｲ", "ﾐｽﾞﾎ", inquiry=5),
        back(777),
    )

    assert [(line.finding, line.reference) for line in lines] == [
        (Finding.FILE, ""),
        (Finding.RETURNED, "R0000000018"),
        (Finding.RETURNED, "R0000000026"),
        (Finding.AMBIGUOUS, ""),
        (Finding.AMBIGUOUS, ""),
        (Finding.RETURNED, "R0000000067"),
    ]
    assert lines[3].candidates == lines[4].candidates == ("R0000000042", "R0000000059")


def test_an_unnamed_return_of_an_amount_sent_twice_is_left_to_a_person():
    (_debit, line) = found(OUT, back(2500))

    assert (line.finding, line.candidates) == (Finding.AMBIGUOUS, ("R0000000026", "R0000000034"))


def test_our_reference_in_the_banks_words_decides():
    (_debit, line) = found(OUT, back(4000, edi="R0000000059"))

    assert (line.finding, line.reference) == (Finding.RETURNED, "R0000000059")


def test_the_same_name_at_another_bank_is_another_person():
    (_debit, line) = found(OUT, back(1000, "ﾔﾏﾀﾞ ﾀﾛｳ", "ﾘｿﾅ"))

    assert line.finding is Finding.UNKNOWN_CREDIT


def test_a_return_under_a_name_that_was_not_paid_is_left_to_a_person():
    (_debit, line) = found(OUT, back(1000, "ﾔﾏﾓﾄ ﾀﾛｳ"))

    assert (line.finding, line.candidates) == (Finding.AMBIGUOUS, ("R0000000018",))


def test_a_name_cut_by_the_bank_is_still_the_name_but_three_letters_are_not():
    assert found(OUT, back(1000, "ﾔﾏﾀﾞ"))[1].reference == "R0000000018"
    assert found(OUT, back(1000, "ﾔﾏ"))[1].finding is Finding.AMBIGUOUS


def test_a_credit_that_is_no_return_is_none():
    assert found(OUT, back(1000, narrative="ｵﾘｿｸ"))[1].finding is Finding.UNKNOWN_CREDIT
    assert found(OUT, back(123_456, "ﾔﾏﾀﾞ ﾀﾛｳ"))[1].finding is Finding.UNKNOWN_CREDIT
    assert found(OUT, back(100, narrative="ﾌﾘｺﾐ", remitter="ﾔﾏﾀﾞ ﾀﾛｳ"))[1].finding is Finding.FEE_KEPT


def test_a_return_less_a_fee_is_proposed_never_matched():
    (_debit, line) = found(OUT, back(1000 - 660, "ﾔﾏﾀﾞ ﾀﾛｳ"))

    assert (line.finding, line.reference, line.candidates) == (Finding.FEE_KEPT, "", ("R0000000018",))


def test_nothing_comes_back_twice():
    once = back(1000, "ﾔﾏﾀﾞ ﾀﾛｳ")

    assert [line.finding for line in found(OUT, once, once)] == [Finding.FILE, Finding.RETURNED, Finding.UNKNOWN_CREDIT]
    gone = dataclasses.replace(
        FILE, transfers=(dataclasses.replace(FILE.transfers[0], returned=True), *FILE.transfers[1:])
    )
    assert found(OUT, once, files=[gone])[1].finding is Finding.UNKNOWN_CREDIT


def test_what_comes_back_before_its_file_was_debited_waits_for_the_debit():
    once = back(1000, "ﾔﾏﾀﾞ ﾀﾛｳ")

    assert found(once)[0].finding is Finding.WAITS
    assert found(once, files=[dataclasses.replace(FILE, debited_on=DAY)])[0].reference == "R0000000018"
    assert found(once, files=[dataclasses.replace(FILE, debited_on=LATER + timedelta(days=1))])[0].finding is (
        Finding.UNKNOWN_CREDIT
    )


def test_what_the_bank_takes_back_of_its_own_booking_is_left_to_a_person():
    assert found(movement(FILE.total, out=True, sort="19"))[0].finding is Finding.CORRECTION
    assert found(OUT, back(1000, "ﾔﾏﾀﾞ ﾀﾛｳ", sort="19"))[1].finding is Finding.CORRECTION


@given(st.permutations([back(1000, "ﾔﾏﾀﾞ ﾀﾛｳ"), back(777), back(2500, "ｻﾄｳ ｼﾞﾛｳ"), OUT, back(5, "ﾀﾅｶ")]))
def test_the_order_of_the_lines_changes_nothing(rows):
    said = {(line.finding, line.reference, line.movement.amount) for line in found(*rows)}

    assert said == {
        (Finding.FILE, "", FILE.total),
        (Finding.RETURNED, "R0000000018", 1000),
        (Finding.RETURNED, "R0000000067", 777),
        (Finding.RETURNED, "R0000000034", 2500),
        (Finding.UNKNOWN_CREDIT, "", 5),
    }
