"""The book that moves to another exchange: the same items, the same bytes; answers customer by customer, or none."""

import dataclasses
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from administration.rails.interface import (
    AnsweringRail,
    CannotPrepare,
    CarriedRail,
    EvidenceRefused,
    Item,
    Rail,
    SignedRefused,
)
from administration.rails.papers import Wrong
from administration.rails.transferee import Transferee, answers, book, identities

RAIL = Transferee()
KEY = "T-1-B01-001/1"
AT = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)


def item(number, customer, asset="BTC", amount=200_000_000, scale=8):
    return Item(f"R{number:010d}", asset, amount, scale, {"network": "transferee", "address": customer, "memo": ""})


ITEMS = (item(3, "C-2"), item(1, "C-1"), item(2, "C-1", "JPY", 1_000, 0), item(4, "C-3", "JPY", 5, 0))
PAYLOAD = RAIL.prepare(KEY, ITEMS).payload


def said(status="acknowledged", customer="C-1", **changed):
    of_one = [one for one in ITEMS if book.customer_of(one) == customer]
    entries = tuple(answers.Entry(one.reference, one.asset, one.amount) for one in sorted(of_one, key=lambda one: one.reference))
    reason = "account refused" if status in answers.WHY else ""
    row = answers.Answer(0, KEY, json.loads(PAYLOAD)["content_sha256"], customer, status, AT, "", reason, entries)
    return dataclasses.replace(row, **changed)


def test_the_rail_fits_the_door():
    assert isinstance(RAIL, Rail) and isinstance(RAIL, CarriedRail) and isinstance(RAIL, AnsweringRail)
    assert RAIL.needs_export and not RAIL.can_submit and RAIL.value_date(AT.date()) is None


@given(st.permutations(ITEMS))
def test_the_same_items_in_any_order_make_the_same_bytes(shuffled):
    assert RAIL.prepare(KEY, shuffled).payload == PAYLOAD


def test_a_book_names_customers_by_number_and_says_what_each_has_and_its_own_hash():
    prepared = RAIL.prepare(KEY, ITEMS)
    spoken = json.loads(prepared.payload)
    assert [row["customer"] for row in spoken["book"]] == ["C-1", "C-2", "C-3"]
    assert [entry["reference"] for entry in spoken["book"][0]["entries"]] == ["R0000000001", "R0000000002"]
    assert spoken["totals"] == {"BTC": "400000000", "JPY": "1005"} and spoken["customers"] == "3"
    assert (prepared.count, dict(prepared.totals)) == (4, {"BTC": 400_000_000, "JPY": 1_005})
    assert prepared.conflict_keys == (f"transferee:{KEY}",)
    assert book.read(prepared.payload)[2] == tuple(book.in_order(ITEMS))
    assert [artifact.name for artifact in prepared.artifacts] == ["T-1-B01-001-1.json", "T-1-B01-001-1.csv"]
    assert prepared.artifacts[1].content.count(b"\r\n") == 5


def test_a_book_that_was_changed_is_none():
    for changed in (PAYLOAD.replace(b'"1000"', b'"1001"'), PAYLOAD[:-1], b"[]", b"{}", PAYLOAD + b" "):
        with pytest.raises(Wrong):
            book.read(changed)
    with pytest.raises(SignedRefused):
        RAIL.verify_signed(RAIL.prepare(KEY, ITEMS), PAYLOAD + b" ")
    assert RAIL.verify_signed(RAIL.prepare(KEY, ITEMS), PAYLOAD).content == PAYLOAD


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ((), "1 to 50000 entries"),
        ((item(1, "C-1"), item(1, "C-2")), "in it twice"),
        ((item(1, "C 1"),), "knows a customer by a number"),
        ((Item("R1", "BTC", 1, 8, {"network": "bitcoin", "address": "C-1", "memo": ""}),), "knows a customer by a number"),
        ((Item("R1", "BTC", 1, 8, {"network": "transferee", "address": "C-1", "memo": "7"}),), "knows a customer by a number"),
        ((item(1, "C-1", amount=0),), "moves 0 units"),
        ((item(1, "C-1", asset="=cmd()"),), "no asset"),
    ],
)
def test_what_no_book_can_carry_is_refused(items, why):
    with pytest.raises(CannotPrepare, match=why):
        RAIL.prepare(KEY, items)


def test_the_entries_of_a_customer_stay_in_one_book(monkeypatch):
    monkeypatch.setattr(Transferee, "max_items", 2)
    books = RAIL.split(ITEMS)
    assert [{book.customer_of(one) for one in each} for each in books] == [{"C-1"}, {"C-2", "C-3"}]


@pytest.mark.parametrize("as_csv", [False, True])
def test_each_customer_gets_an_answer(as_csv):
    given_answers = (said(), said("rejected", "C-2"), said("received", "C-3", account="0042"))
    lines = RAIL.read_answer(PAYLOAD, answers.write(given_answers, as_csv=as_csv))
    assert [(line.reference, line.kind.value, line.amount) for line in lines] == [
        ("R0000000001", "settled", 200_000_000), ("R0000000002", "settled", 1_000), ("R0000000003", "refused", 200_000_000),
        ("R0000000004", "seen", 5),
    ]  # fmt: skip
    assert {line.part for line in lines} == {KEY} and len({line.line_ref for line in lines}) == 4
    assert lines[3].reason == "account 0042" and lines[2].reason == "account refused"


WRONG = [
    (said(customer="C-9", entries=said().entries), "is not in"),
    (said(entries=said().entries[:1]), "taken over whole, or not at all"),
    (said(entries=(*said().entries, answers.Entry("R0000000003", "BTC", 200_000_000))), "is no entry of C-1"),
    (said(entries=(answers.Entry("R0000000001", "BTC", 1), said().entries[1])), "moves 200000000 units of BTC"),
    (said(key="T-1-B09-001/1"), "it answers T-1-B09-001/1"),
    (said(content_sha256="0" * 64), "it answers"),
    (said(status="taken"), "is none of"),
    (said("rejected", reason=""), "without a reason"),
    (said(reason="\x00"), "no plain text"),
    (said(entries=(said().entries[0],) * 2), "twice"),
]


@pytest.mark.parametrize("as_csv", [False, True])
@pytest.mark.parametrize(("row", "why"), WRONG)
def test_an_answer_that_does_not_fit_is_refused_whole_by_row(row, why, as_csv):
    first = said("acknowledged", "C-2", key=row.key, content_sha256=row.content_sha256)
    with pytest.raises(EvidenceRefused, match=why):
        RAIL.read_answer(PAYLOAD, answers.write((row, first), as_csv=as_csv))


def test_a_customer_is_answered_once_and_a_file_answers_one_book():
    with pytest.raises(EvidenceRefused, match="already"):
        RAIL.read(answers.write((said(), said())))
    with pytest.raises(EvidenceRefused, match="more than one book"):
        RAIL.read(answers.write((said(), said(customer="C-2", key="X/1")), as_csv=True))


def test_rows_of_a_customer_must_agree_with_each_other():
    content = answers.write((said(),), as_csv=True).decode().splitlines()
    content[2] = content[2].replace("acknowledged", "rejected")
    with pytest.raises(EvidenceRefused, match="what row 1 does not"):
        RAIL.read("\r\n".join(content).encode())


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_nothing_else_happens(content):
    with pytest.raises(EvidenceRefused):
        RAIL.read(content)


@given(st.integers(0, len(PAYLOAD) - 1), st.integers(0, 255))
def test_one_byte_changed_is_refused_or_says_the_same(place, byte):
    changed = PAYLOAD[:place] + bytes([byte]) + PAYLOAD[place + 1 :]
    if changed == PAYLOAD:
        return
    with pytest.raises(Wrong):
        book.read(changed)


def test_the_persons_file_has_what_an_account_needs_and_names_its_book():
    people = [{"customer": "C-2", "name": "山田太郎", "secret": "no"}, {"customer": "C-1", "name": "=cmd()"}]
    content = identities.write(KEY, "ab" * 32, people)
    spoken = json.loads(content)
    assert content == identities.write(KEY, "ab" * 32, people[::-1])
    assert (spoken["key"], spoken["book_sha256"], spoken["people"]) == (KEY, "ab" * 32, "2")
    assert [row["customer"] for row in spoken["customers"]] == ["C-1", "C-2"] and b"secret" not in content
    assert b"'=cmd()" in identities.as_csv(spoken["customers"])
