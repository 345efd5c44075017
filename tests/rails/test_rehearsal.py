"""The rehearsal rail against its simulator, which is a real process that is killed for real."""

import dataclasses
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from administration.rails.interface import (
    Accepted,
    AlreadyKnown,
    CannotPrepare,
    EvidenceRefused,
    Item,
    ObservationKind,
    Rail,
    RailClass,
    RailDown,
    Rejected,
    SignedRefused,
    Unknown,
)
from administration.rails.rehearsal import Rehearsal, simulator
from tests.rehearsing import ROOT, Simulator


@pytest.fixture
def rail_process():
    with tempfile.TemporaryDirectory(prefix="rail-") as folder:
        running = Simulator(Path(folder))
        yield running
        running.kill()


def items(count, start=0):
    return [Item(f"R{start + n:05d}", "JPY", 100 + n, 0, {"bank_code": "0005"}) for n in range(count)]


def statement(rail):
    lines, cursor = [], ""
    while True:
        found, cursor = rail.observe(cursor)
        if not found:
            return lines
        lines.extend(found)


def send(rail, key, what):
    prepared = rail.prepare(key, what)
    return rail.submit(prepared.payload, prepared.key)


# --- pure ----------------------------------------------------------------------------------------------------


def test_the_rehearsal_rail_fits_the_door():
    rail: Rail = Rehearsal("/nowhere")

    assert isinstance(rail, Rail)
    assert rail.rail_class is RailClass.R1
    assert rail.can_submit and rail.can_observe and not rail.needs_export


@given(st.permutations(items(6)))
def test_the_same_items_in_any_order_make_the_same_bytes(shuffled):
    rail = Rehearsal("/nowhere")

    assert rail.prepare("B1/1/1", shuffled) == rail.prepare("B1/1/1", items(6))
    assert rail.prepare("B1/1/1", shuffled).totals == {"JPY": 615}


def test_what_cannot_travel_in_one_request_is_refused():
    rail = Rehearsal("/nowhere")
    first = items(1)[0]

    for key, what in (
        ("B1", []),
        ("B1", items(501)),
        ("B1", [first, first]),
        ("B1", [dataclasses.replace(first, amount=0)]),
        ("no key", items(1)),
        ("", items(1)),
    ):
        with pytest.raises(CannotPrepare):
            rail.prepare(key, what)


def test_only_the_approved_bytes_come_back():
    rail = Rehearsal("/nowhere")
    prepared = rail.prepare("B1", items(2))

    assert rail.verify_signed(prepared, prepared.payload).content == prepared.payload
    with pytest.raises(SignedRefused):
        rail.verify_signed(prepared, prepared.payload.replace(b"100", b"900"))


@pytest.mark.parametrize(
    "evidence",
    [
        b"nonsense",
        b"[]",
        b'{"line_ref":"1"}',
        b'{"line_ref":"1","kind":"settled","asset":"JPY","amount":1.5,"at":"2026-10-01T00:00:00+09:00","reference":"R"}',
        b'{"line_ref":"1","kind":"settled","asset":"JPY","amount":"-1","at":"2026-10-01T00:00:00+09:00","reference":"R"}',
        b'{"line_ref":"1","kind":"settled","asset":"JPY","amount":"1","at":"2026-10-01T00:00:00","reference":"R"}',
        b'{"line_ref":"1","kind":"paid","asset":"JPY","amount":"1","at":"2026-10-01T00:00:00+09:00","reference":"R"}',
    ],
)
def test_a_statement_that_is_none_is_refused_whole(evidence):
    with pytest.raises(EvidenceRefused, match="Line 1"):
        Rehearsal("/nowhere").read(evidence)


@given(st.text(min_size=1, max_size=30), st.integers(0, 500_000), st.integers(0, 500_000))
def test_the_fate_of_an_item_depends_on_seed_and_reference_alone(reference, refuse, come_back):
    try:
        reference.encode()
    except UnicodeEncodeError:
        return
    one = simulator.Habits("1", refuse, come_back, lose=0).fate(reference)
    other = simulator.Habits("1", refuse, come_back, lose=900_000, late=900_000).fate(reference)

    assert one == other


def test_about_one_in_a_hundred_is_refused_and_one_in_a_hundred_comes_back():
    fates = [simulator.Habits("1").fate(f"R{n}")[0] for n in range(20_000)]

    assert 120 < fates.count("refused") < 280
    assert 120 < fates.count("returned") < 280


# --- the process ---------------------------------------------------------------------------------------------


def test_a_key_is_honoured_for_ever_even_after_the_rail_was_killed(rail_process):
    rail = rail_process.start()
    assert isinstance(send(rail, "B1/1/1", items(10)), Accepted)
    assert isinstance(send(rail, "B1/1/1", items(10)), AlreadyKnown)

    rail_process.kill()
    rail = rail_process.start()

    assert isinstance(send(rail, "B1/1/1", items(10)), AlreadyKnown)
    assert rail_process.summary()["lines"] == 10
    assert rail_process.summary()["paid_twice"] == []


def test_a_key_with_other_bytes_books_nothing_and_leaves_us_in_doubt(rail_process):
    rail = rail_process.start()
    send(rail, "B1/1/1", items(10))

    assert isinstance(send(rail, "B1/1/1", items(9)), Unknown)  # something was booked under it: no refusal

    status, answer = rail_process.ask("POST", "/payments", rail.prepare("B1/1/1", items(9)).payload)
    assert (status, json.loads(answer)["code"]) == (409, "key_reused")
    assert rail_process.summary()["lines"] == 10


def test_the_statement_names_every_item_once_and_returns_come_after_their_settlement(rail_process):
    rail = rail_process.start("--refuse", "0.2", "--return", "0.2")
    for part in range(4):
        send(rail, f"B1/{part}/1", items(100, part * 100))

    lines = statement(Rehearsal(str(rail_process.socket), page=37))

    assert [line.line_ref for line in lines] == [str(number) for number in range(1, len(lines) + 1)]
    first, later = {}, {}
    for line in lines:
        (later if line.kind is ObservationKind.RETURNED else first)[line.reference] = line
    assert set(first) == {item.reference for item in items(400)}
    assert len(first) + len(later) == len(lines)
    fate = simulator.Habits("7", 200_000, 200_000).fate
    assert {r: fate(r)[0] for r in first} == {
        r: "returned" if r in later else line.kind.value for r, line in first.items()
    }
    assert 40 < len(later) < 120
    for reference, line in later.items():
        assert int(line.line_ref) > int(first[reference].line_ref)
        assert (line.amount, line.asset) == (first[reference].amount, "JPY")
        assert line.reason
    assert lines[0].part == "B1/0/1"
    assert rail_process.summary()["to_come_back"] == 0


def test_what_the_client_reads_is_what_a_file_of_it_says(rail_process):
    rail = rail_process.start("--refuse", "0.2", "--return", "0.2")
    send(rail, "B1/1/1", items(50))
    lines = statement(rail)

    assert rail.read(b"\n".join(line.raw.encode() for line in lines)) == tuple(lines)


def test_a_lost_reply_was_booked_and_the_same_key_finds_it(rail_process):
    rail = rail_process.start("--lose", "1")

    assert isinstance(send(rail, "B1/1/1", items(3)), Unknown)
    assert rail_process.summary()["lines"] == 3

    rail_process.kill()
    rail = rail_process.start()
    assert isinstance(send(rail, "B1/1/1", items(3)), AlreadyKnown)
    assert rail_process.summary()["lines"] == 3


def test_a_late_reply_is_doubt_and_not_failure(rail_process):
    rail = dataclasses.replace(rail_process.start("--late", "1", "--late-seconds", "2"), timeout=0.2)

    assert isinstance(send(rail, "B1/1/1", items(3)), Unknown)
    assert rail_process.summary()["lines"] == 3


def test_a_torn_last_line_was_never_answered_and_is_forgotten(rail_process):
    rail = rail_process.start()
    send(rail, "B1/1/1", items(3))
    send(rail, "B1/2/1", items(3, 10))
    rail_process.kill()
    whole = rail_process.truth.read_bytes()
    rail_process.truth.write_bytes(whole[:-20])

    rail = rail_process.start()

    assert rail_process.summary()["lines"] == 3
    assert isinstance(send(rail, "B1/1/1", items(3)), AlreadyKnown)
    assert isinstance(send(rail, "B1/2/1", items(3, 10)), Accepted)
    rail_process.kill()
    rail_process.start()
    assert rail_process.summary()["lines"] == 6


def test_a_rail_that_is_down_gives_doubt_when_paying_and_says_so_when_asked(rail_process):
    rail = rail_process.start()
    rail_process.kill()

    assert isinstance(send(rail, "B1/1/1", items(1)), Unknown)
    with pytest.raises(RailDown):
        rail.observe("")


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        b"[]",
        b'{"key":"","items":[]}',
        b'{"key":"K","items":[]}',
        b'{"key":"K","items":[{"reference":"R","asset":"JPY","amount":100,"destination":{"a":"b"}}]}',
        b'{"key":"K","items":[{"reference":"R","asset":"JPY","amount":"1e3","destination":{"a":"b"}}]}',
        b'{"key":"K","items":[{"reference":"R","asset":"JPY","amount":"0","destination":{"a":"b"}}]}',
        b'{"key":"K","items":[{"reference":"R","asset":"JPY","amount":"1","destination":{}}]}',
        b'{"key":"K","items":[{"reference":"\\ud800","asset":"JPY","amount":"1","destination":{"a":"b"}}]}',
    ],
)
def test_a_wrong_request_is_refused_with_a_sentence_and_booked_nowhere(rail_process, body):
    rail = rail_process.start()

    outcome = rail.submit(body, "K")

    assert isinstance(outcome, Rejected)
    assert outcome.permanent and outcome.reason.endswith(".")
    assert rail_process.summary()["keys"] == 0


def test_the_statement_is_asked_with_whole_numbers_only(rail_process):
    rail_process.start()

    assert rail_process.ask("GET", "/statement?after=x")[0] == 400
    assert rail_process.ask("GET", "/statement?after=-1")[0] == 400
    assert rail_process.ask("GET", "/elsewhere")[0] == 404


def test_many_callers_at_once_with_one_key_are_booked_once(rail_process):
    rail = rail_process.start()
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(send(rail, "B1/1/1", items(20)))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [type(outcome) for outcome in outcomes].count(Accepted) == 1
    assert [type(outcome) for outcome in outcomes].count(AlreadyKnown) == 11
    assert rail_process.summary()["lines"] == 20


def test_two_processes_never_keep_one_truth(rail_process):
    rail_process.start()
    second = subprocess.run(
        [
            *[sys.executable, "-m", "administration.rails.rehearsal"],
            *["--socket", "/nowhere", "--seed", "7", "--truth", rail_process.truth],
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert second.returncode == 2
    assert "another process" in second.stderr


def test_the_truth_file_is_for_its_owner_only(rail_process):
    rail_process.start()

    assert rail_process.truth.stat().st_mode & 0o077 == 0
    assert rail_process.socket.stat().st_mode & 0o077 == 0
