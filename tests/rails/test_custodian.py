"""The custodian's neutral files: a manifest with its hash, and answers that are held against it."""

import csv
import dataclasses
import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from administration.rails.custodian import Custodian, manifest, results
from administration.rails.custodian.manifest import Wrong
from administration.rails.custodian.results import COLUMNS, Result
from administration.rails.interface import (
    CannotPrepare,
    EvidenceRefused,
    Item,
    ObservationKind,
    Rail,
    RailClass,
    RailDown,
    SignedRefused,
    Unknown,
    Verdict,
)

AT = datetime(2026, 12, 1, 3, 4, 5, tzinfo=UTC)
BTC = {"network": "bitcoin", "address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "memo": ""}
BANK = {"bank_code": "0001", "branch_code": "001", "kind": "1", "number": "0012345", "holder_kana": "ﾔﾏﾀﾞ ﾀﾛｳ"}
ITEMS = [
    Item("R0000000026", "BTC", 123_456_789, 8, BTC),
    Item("R0000000018", "BTC", 5, 8, BTC, "=HYPERLINK(1)"),
    Item("R0000000034", "JPY", 9_500_000, 4, BANK),
]
ASKED = Custodian().prepare("B1/1", ITEMS)
KEY, DIGEST, _ITEMS = manifest.read(ASKED.payload)


def result(n=0, status="settled", **changed):
    item = ITEMS[n]
    reason = "no such account" if status == "refused" else ""
    said = Result(n + 1, KEY, DIGEST, item.reference, status, item.asset, item.amount, AT, "", reason)
    return dataclasses.replace(said, **changed)


def answer(*rows, as_csv=False):
    return results.write(rows, as_csv=as_csv)


def refusal(content, asked=None):
    with pytest.raises(EvidenceRefused, match="Nothing was read") as caught:
        Custodian().read_answer(asked, content) if asked else Custodian().read(content)
    return str(caught.value)


# --- the manifest --------------------------------------------------------------------------------------------


def test_the_rail_fits_the_door():
    rail: Rail = Custodian()

    assert isinstance(rail, Rail)
    assert rail.rail_class is RailClass.R2
    assert rail.needs_export and not rail.can_submit and not rail.can_observe
    assert isinstance(rail.submit(b"", "B1/1"), Unknown)
    with pytest.raises(RailDown):
        rail.observe("")


@given(st.permutations(ITEMS))
def test_the_same_items_in_any_order_make_the_same_bytes(shuffled):
    assert Custodian().prepare("B1/1", shuffled) == ASKED


def test_a_manifest_says_what_is_paid_where_and_its_own_hash():
    said = json.loads(ASKED.payload)

    assert said["totals"] == {"BTC": "123456794", "JPY": "9500000"}
    assert [row["amount"] for row in said["items"]] == ["0.00000005", "1.23456789", "950.0000"]
    assert said["items"][2]["destination"] == BANK
    assert manifest.read(ASKED.payload) == (
        "B1/1",
        said["content_sha256"],
        tuple(sorted(ITEMS, key=lambda item: item.reference)),
    )
    assert ASKED.totals == {"BTC": 123_456_794, "JPY": 9_500_000} and ASKED.count == 3


def test_a_manifest_that_was_changed_is_none():
    for before, after in (
        (b'"123456789"', b'"123456788"'),
        (b"bc1q", b"bc1p"),
        (b'"key":"B1/1"', b'"key":"B1/2"'),
        (b'"count":"3"', b'"count":"4"'),
    ):
        with pytest.raises(Wrong, match="changed"):
            manifest.read(ASKED.payload.replace(before, after, 1))


def test_a_manifest_hashed_anew_but_with_other_sums_is_none():
    said = json.loads(ASKED.payload)
    said.pop("content_sha256")
    for change in (
        {"count": "4"},
        {"totals": {"BTC": "1"}},
        {"items": said["items"][::-1]},
        {"items": [{}]},
        {"items": 3},
    ):
        other = {**said, **change}
        other["content_sha256"] = manifest.sha256(manifest.canonical(other)).hexdigest()
        with pytest.raises(Wrong):
            manifest.read(manifest.canonical(other))


def test_only_the_approved_manifest_is_handed_over():
    assert Custodian().verify_signed(ASKED, ASKED.payload).final_ids == ("B1/1",)
    with pytest.raises(SignedRefused):
        Custodian().verify_signed(ASKED, ASKED.payload + b" ")


def test_a_spreadsheet_leaves_every_cell_as_it_is():
    rows = list(csv.reader(io.StringIO(ASKED.artifacts[1].content.decode("utf-8-sig"), newline="")))

    assert tuple(rows[0]) == manifest.COLUMNS
    assert all(cell[:1] not in ("=", "+", "-", "@", "\t", "\r") for row in rows for cell in row)
    cells = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    assert [row["note"] for row in cells] == ["'=HYPERLINK(1)", "", ""]
    assert cells[2]["bank_code"] == "'0001" and cells[2]["number"] == "'0012345"
    assert {row["content_sha256"] for row in cells} == {DIGEST}


@given(st.text(max_size=30))
def test_a_cell_made_safe_means_what_it_meant(text):
    safe = manifest.safe(text)

    assert manifest.plain(safe) == text
    assert safe[:1] not in ("=", "+", "-", "@", "\t", "\r")


@given(
    st.lists(
        st.builds(
            Item,
            reference=st.from_regex(r"R[0-9]{10}", fullmatch=True),
            asset=st.sampled_from(["BTC"]),
            amount=st.integers(1, 10**77),
            scale=st.integers(0, 18),
            destination=st.just(BTC),
            memo=st.text(max_size=20).filter(lambda text: text.isprintable()),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda item: item.reference,
    )
)
def test_whatever_is_asked_reads_back(items):
    _key, _digest, found = manifest.read(Custodian().prepare("B1/1", items).payload)

    assert sorted(found, key=lambda item: item.reference) == sorted(items, key=lambda item: item.reference)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "1 to 1000"),
        (ITEMS * 400, "1 to 1000"),
        ([ITEMS[0], ITEMS[0]], "twice"),
        ([dataclasses.replace(ITEMS[0], amount=0)], "pays 0 units"),
        ([dataclasses.replace(ITEMS[0], destination={})], "neither"),
        ([dataclasses.replace(ITEMS[0], destination={"to": "him"})], "neither"),
        ([dataclasses.replace(ITEMS[0], destination={**BTC, "address": BTC["address"][:-1] + "5"})], "R0000000026"),
        ([dataclasses.replace(ITEMS[2], destination={**BANK, "branch_code": "999"})], "no branch 999"),
        ([dataclasses.replace(ITEMS[0], reference="with space")], "no reference"),
    ],
)
def test_what_no_custodian_can_be_asked_is_refused(items, said):
    with pytest.raises(CannotPrepare, match=said):
        Custodian().prepare("B1/1", items)


def test_no_key_or_credential_has_a_place_in_a_manifest():
    for name in ("walletPassphrase", "xprv", "prv", "apiKey"):
        with pytest.raises(CannotPrepare):
            Custodian().prepare("B1/1", [dataclasses.replace(ITEMS[0], destination={**BTC, name: "x"})])
    with pytest.raises(CannotPrepare):
        Custodian().prepare("no key", ITEMS)


# --- the answer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_csv", [False, True])
def test_each_reference_gets_its_answer(as_csv):
    content = answer(result(0, "settled", txid="ab12"), result(1, "refused"), result(2, "unknown"), as_csv=as_csv)

    lines = Custodian().read_answer(ASKED.payload, content)

    assert [(line.reference, line.part, line.kind) for line in lines] == [
        ("R0000000026", "B1/1", ObservationKind.SETTLED),
        ("R0000000018", "B1/1", ObservationKind.REFUSED),
        ("R0000000034", "B1/1", ObservationKind.SEEN),
    ]
    assert lines[0].reason == "ab12 by the custodian's word"
    assert lines[2].reason == "unknown to the custodian"
    assert lines == Custodian().read(content)


def test_the_same_answer_in_two_files_is_one_line():
    first = Custodian().read(answer(result(0, "accepted"), result(1, "accepted")))
    second = Custodian().read(answer(result(1, "accepted"), result(0, "settled")))

    assert {line.line_ref for line in first + second} == {
        "B1/1/R0000000026/accepted", "B1/1/R0000000018/accepted", "B1/1/R0000000026/settled",
    }  # fmt: skip


def test_accepted_then_settled_then_returned_is_a_story():
    lines = [
        Custodian().read(answer(result(0, status)))[0] for status in ("accepted", "unknown", "settled", "returned")
    ]

    assert Custodian().judge(ITEMS[0], lines[:2], now=AT).verdict is Verdict.PENDING
    assert Custodian().judge(ITEMS[0], lines[:3], now=AT).verdict is Verdict.SETTLED
    assert Custodian().judge(ITEMS[0], lines, now=AT).verdict is Verdict.RETURNED


@pytest.mark.parametrize("as_csv", [False, True])
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([result(0), result(0)], "Row 2: R0000000026 stands in row 1 already"),
        ([result(0), result(0, "refused")], "stands in row 1 already"),
        ([result(0), result(1, reference="R0000000042")], "Row 2: R0000000042 is not in B1/1"),
        ([result(0, units=123_456_788)], "Row 1: R0000000026 was to be paid 123456789 units of BTC"),
        ([result(0, asset="ETH")], "units of BTC"),
        ([result(0, content_sha256="0" * 64)], "it answers B1/1"),
        ([result(0, key="B2/1")], "it answers B2/1"),
        ([result(0, status="paid")], "none of accepted"),
        ([result(0, status="refused", reason="")], "without a reason"),
        ([result(0, units=0)], "no amount"),
        ([result(0, at=AT.replace(tzinfo=None))], "no offset"),
        ([result(0, reason="a\u202eb")], "no plain text"),
        ([result(0, reason="x" * 500)], "no plain text"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_whole_by_row(rows, said, as_csv):
    assert said in refusal(answer(*rows, as_csv=as_csv), ASKED.payload)


def test_one_file_answers_one_manifest():
    mixed = answer(result(0), result(1, key="B2/1"), as_csv=True)

    assert "more than one" in refusal(mixed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"format":"henkan-custodian-results/1"}',
        b'{"format":"henkan-custodian-results/1","key":"B1/1","content_sha256":"","results":[]}',
        b'{"format":"henkan-custodian-results/1","key":"B1/1","content_sha256":"","results":{}}',
        b'{"format":"henkan-custodian-results/1","key":"B1/1","content_sha256":"","results":[1]}',
        b'{"format":"x","format":"y"}',
        b'{"format":1.5}',
        b'{"format":NaN}',
        b"{" + b'"a":{' * 100_000,
        b'{"format":' + b"9" * 10_000 + b"}",
        ",".join(COLUMNS).encode(),
        ",".join(COLUMNS).encode() + b"\r\n1,2,3",
        ",".join(COLUMNS).encode() + b'\r\n"1,2,3',
        (",".join(COLUMNS) + "\r\n" + ",".join("a" * 9)).encode(),
        (";".join(COLUMNS)).encode(),
    ],
)
def test_what_is_no_answer_is_refused(content):
    assert refusal(content)


def test_a_lone_half_of_a_character_is_refused():
    content = answer(result(0, reason="here")).replace(b'"here"', b'"\\ud800"')

    assert "no plain text" in refusal(content)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_nothing_else_happens(content):
    assert refusal(content)


@given(st.sampled_from([False, True]), st.data())
def test_one_byte_changed_is_refused_or_read(as_csv, data):
    whole = answer(result(0, txid="ab12"), result(1, "refused"), as_csv=as_csv)
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:place] + bytes([data.draw(st.integers(0, 255))]) + whole[place + 1 :]
    try:
        Custodian().read_answer(ASKED.payload, changed)
    except EvidenceRefused:
        return


@given(st.sampled_from([False, True]), st.text(max_size=40), st.sampled_from(sorted(results.KINDS)))
def test_whatever_a_custodian_says_reads_back(as_csv, words, status):
    row = result(0, status, reason=words or "none", txid="-0" + str(len(words)))
    content = answer(row, as_csv=as_csv) if words.isprintable() else b""
    if content:
        assert results.read(content) == (row,)
