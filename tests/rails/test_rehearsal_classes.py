"""The rehearsal rail's other desks: one that can only be asked, one that cannot even be asked; and how they lie."""

import json

import pytest

from administration.rails.interface import Accepted, ObservationKind, Rail, RailClass, RailDown, Unknown
from administration.rails.rehearsal import Rehearsal, RehearsalR2, RehearsalR3
from administration.rails.rehearsal.truth import Habits, Truth
from tests.rails.test_rehearsal import items, rail_process, send  # noqa: F401


def desk(process, kind=RehearsalR2):
    return kind(str(process.socket), timeout=2.0)


def everything(rail):
    lines, cursor = [], ""
    while True:
        found, cursor = rail.observe(cursor)
        if not found:
            return lines
        lines.extend(found)


def test_each_class_fits_the_door_and_says_what_it_can():
    r2, r3 = RehearsalR2("/nowhere"), RehearsalR3("/nowhere")
    assert isinstance(r2, Rail)
    assert isinstance(r3, Rail)
    assert (r2.rail_class, r2.can_observe) == (RailClass.R2, True)
    assert (r3.rail_class, r3.can_observe) == (RailClass.R3, False)
    assert {Rehearsal("").code, r2.code, r3.code} == {"rehearsal", "rehearsal-r2", "rehearsal-r3"}


@pytest.mark.parametrize("kind", [RehearsalR2, RehearsalR3])
def test_what_does_not_honour_a_key_pays_as_often_as_it_is_asked(rail_process, kind):  # noqa: F811
    rail_process.start("--refuse", "0", "--return", "0")
    rail = desk(rail_process, kind)

    assert isinstance(send(rail, "B1/1", items(3)), Accepted)
    assert isinstance(send(rail, "B1/1", items(3)), Accepted)

    assert rail_process.summary()["paid_twice"] == ["R00000", "R00001", "R00002"]


def test_the_desks_keep_books_of_their_own(rail_process):  # noqa: F811
    first = rail_process.start("--refuse", "0", "--return", "0")
    send(first, "B1/1", items(3))
    send(desk(rail_process), "B2/1", items(2, 10))

    assert [line.part for line in everything(first)] == ["B1/1"] * 3
    assert [line.part for line in everything(desk(rail_process))] == ["B2/1"] * 2


def test_what_is_hidden_was_paid_and_is_found_later(rail_process):  # noqa: F811
    """It says "not found", and has paid."""
    rail_process.start("--refuse", "0", "--return", "0", "--hide", "1", "--hide-seconds", "3600")
    rail = desk(rail_process)
    send(rail, "B1/1", items(3))

    assert everything(rail) == []
    assert rail_process.summary()["settled"] == 3
    rail_process.kill()
    rail_process.start("--refuse", "0", "--return", "0", "--hide", "1", "--hide-seconds", "3600")
    assert everything(rail) == []  # a restart forgets neither
    rail_process.ask("POST", "/days?pass=1")
    assert len(everything(rail)) == 3


def test_money_comes_back_days_later(rail_process):  # noqa: F811
    rail_process.start("--refuse", "0", "--return", "1", "--return-days", "3")
    rail = desk(rail_process)
    send(rail, "B1/1", items(20))
    assert {line.kind for line in everything(rail)} == {ObservationKind.SETTLED}

    seen = [len(everything(rail))]
    for _day in range(3):
        rail_process.ask("POST", "/days?pass=1")
        seen.append(len(everything(rail)))

    assert seen[0] < seen[1] < seen[2] < seen[3] == 40
    assert rail_process.summary()["day"] == 3
    rail_process.kill()
    rail_process.start("--refuse", "0", "--return", "1", "--return-days", "3")
    assert (rail_process.summary()["day"], len(everything(rail))) == (3, 40)


def test_a_line_said_twice_is_the_same_line(rail_process):  # noqa: F811
    rail_process.start("--refuse", "0", "--return", "0", "--repeat", "1")
    rail = desk(rail_process)
    send(rail, "B1/1", items(5))
    lines = everything(rail)

    assert len(lines) == 10
    assert len({line.line_ref for line in lines}) == 5


@pytest.mark.parametrize(("what", "booked"), [("--drop", 0), ("--lose", 3), ("--fail", 3)])
def test_no_usable_answer_is_doubt_whether_or_not_it_was_booked(rail_process, what, booked):  # noqa: F811
    rail_process.start("--refuse", "0", "--return", "0", what, "1")

    assert isinstance(send(desk(rail_process), "B1/1", items(3)), Unknown)
    assert rail_process.summary()["settled"] == booked


def test_a_rail_that_is_busy_is_down_and_says_nothing(rail_process):  # noqa: F811
    rail_process.start("--deaf", "1")
    with pytest.raises(RailDown):
        desk(rail_process).observe("")


def test_the_same_key_with_other_bytes_is_a_mismatch(rail_process):  # noqa: F811
    first = rail_process.start()
    send(first, "B1/1", items(3))
    outcome = send(first, "B1/1", items(2))
    assert isinstance(outcome, Unknown)
    assert outcome.mismatch


def test_sent_again_after_a_refusal_an_item_has_another_chance(tmp_path):
    truth = Truth(tmp_path / "truth.jsonl", Habits("7", 500_000, 0))
    truth.open()
    rail = Rehearsal("")
    for number in range(8):
        truth.book(rail.prepare(f"B{number}/1", items(1)).payload)
    kinds = [line["kind"] for line in truth.statement(0, 100)]
    assert {"settled", "refused"} == set(kinds)
    assert [Habits("7", 500_000, 0).fate("R00000", n)[0] for n in range(8)] == kinds


def test_the_truth_file_says_where_each_item_went(rail_process):  # noqa: F811
    send(rail_process.start(), "B1/1", items(2))
    (record,) = [json.loads(line) for line in rail_process.truth.read_text().splitlines()]
    assert record["to"] == [[{"bank_code": "0005"}, ""]] * 2
    assert record["desk"] == "r1"
