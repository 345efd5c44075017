"""The bank's file of transfers: exactly its layout, the same bytes every time, and nothing guessed."""

import dataclasses
import tomllib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from administration.rails import accounts
from administration.rails.interface import CannotPrepare, Item, Rail, RailClass, RailDown, SignedRefused, Unknown
from administration.rails.zengin import FileRefused, NotSetUp, Zengin, bank_days, kana, profiles, read_house, transfers
from administration.rails.zengin.kana import Characters
from administration.rails.zengin.layout import Wrong, layout
from administration.rails.zengin.transfers import Transfer
from tests.rails.zengin_bank import DATA, DAY, POLICY, item, rail, to

GOLDEN = (DATA / "golden.txt").read_bytes()
ITEMS = [
    Item("R0000000034", "JPY", 9_999_999_999, 0, to("Smith John A.", "9900", "018", number="1234567")),
    Item("R0000000018", "JPY", 950_000, 0, to("キャリー　パミュ")),
    Item(
        "R0000000026", "JPY", 10_000, 4, to("ｶ)ﾃｽﾄｼﾖｳｼﾞ", "0005", "001", "2", "7654321")
    ),  # one yen, in ten-thousandths
]
NAMES = st.text(alphabet="ｱｶﾊﾝ-ﾞ.()AZ09 ", min_size=1, max_size=40).filter(
    lambda name: any(c.isalnum() for c in name) and not kana.half_width(name)[1]
)


def refusal(items, policy=POLICY, profile="standard", **more):
    with pytest.raises(FileRefused) as caught:
        rail(profile).prepare("B1/1", items, policy=policy, **more)
    return caught.value


def places(refused):
    return [(fault.line, fault.column) for fault in refused.faults]


# --- the layout ----------------------------------------------------------------------------------------------


def test_the_rail_fits_the_door():
    door: Rail = rail()

    assert isinstance(door, Rail)
    assert door.rail_class is RailClass.R3
    assert door.needs_export and not door.can_submit and not door.can_observe
    assert len(door.version) <= 10
    assert isinstance(door.submit(b"", "B1/1"), Unknown)
    with pytest.raises(RailDown):
        door.observe("")


@pytest.mark.parametrize(("name", "length"), [("transfers", 120), ("statement", 200)])
def test_every_record_is_filled_to_its_last_byte_without_a_gap(name, length):
    for record in layout(name).records.values():
        assert [field.offset for field in record.fields] == [
            sum(field.length for field in record.fields[:place]) for place in range(len(record.fields))
        ]
        assert sum(field.length for field in record.fields) == length


def test_a_file_is_byte_for_byte_the_golden_one():
    assert rail().prepare("B1/1", ITEMS, policy=POLICY).payload == GOLDEN


def test_the_published_sample_is_read_and_written_back_byte_for_byte():
    sample = (DATA.parent / "zengin_sample.txt").read_bytes()
    file = transfers.read(sample)

    assert [transfer.payee for transfer in file.transfers] == ["ﾔﾏﾀﾞ ﾀﾛｳ", "ｶ)ﾃｽﾄｼﾖｳｼﾞ"]
    assert (file.month, file.day, file.total) == (3, 31, 950_001)
    with_names = dataclasses.replace(profiles.known()["standard"], names=True)
    assert transfers.write(file.payer, date(2026, 3, 31), file.transfers, with_names) == sample


@given(st.permutations(ITEMS))
def test_the_same_items_in_any_order_make_the_same_bytes(shuffled):
    assert rail().prepare("B1/1", shuffled, policy=POLICY) == rail().prepare("B1/1", ITEMS, policy=POLICY)


def test_what_is_prepared_says_count_sum_and_hash_of_the_file():
    prepared = rail().prepare("B1/1", ITEMS, policy=POLICY)

    assert prepared.count == 3
    assert prepared.totals == {"JPY": 950_000 + 10_000 + 9_999_999_999}
    assert prepared.commitment == prepared.artifacts[0].sha256
    assert prepared.conflict_keys == ("zengin:0005-001-1-0098765:B1/1",)


def test_only_the_approved_file_is_uploaded():
    prepared = rail().prepare("B1/1", ITEMS, policy=POLICY)

    assert rail().verify_signed(prepared, prepared.payload).content == GOLDEN
    with pytest.raises(SignedRefused):
        rail().verify_signed(prepared, prepared.payload.replace(b"950000", b"950001"))


def test_a_file_of_ten_thousand_lines_reads_back_to_the_same_returns():
    branches = accounts.branches()
    house = rail("unbroken")
    house = dataclasses.replace(house, profile=dataclasses.replace(house.profile, records_max=10_000))
    items = [
        item(n, f"ﾀﾅｶ {n:05d}", 1 + n * 7919 % 1_000_000, bank=branches[n % len(branches)][0],
             branch=branches[n % len(branches)][1], number=f"{n:07d}")
        for n in range(1, 10_001)
    ]  # fmt: skip

    content = house.prepare("B1/1", items, policy=POLICY).payload

    assert len(content) == 10_003 * 120
    assert [
        (reference, sent.bank_code, sent.branch_code, sent.kind, sent.number, sent.payee, sent.amount)
        for reference, sent in house.references(content)
    ] == [
        (one.reference, *(one.destination[name] for name in ("bank_code", "branch_code", "kind", "number", "holder_kana")), one.amount)
        for one in items
    ]  # fmt: skip


# --- the kinds of banks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(profiles.known()))
def test_every_profiles_file_reads_back(name):
    house = rail(name)
    found = house.references(house.prepare("B1/1", ITEMS, policy=POLICY).payload)

    assert [(reference, sent.amount) for reference, sent in found] == [
        ("R0000000018", 950_000),
        ("R0000000026", 1),
        ("R0000000034", 9_999_999_999),
    ]


def test_line_ends_and_the_mark_of_the_end_are_the_banks_wish():
    def made(profile):
        return rail(profile).prepare("B1/1", ITEMS, policy=POLICY).payload

    assert made("standard").count(b"\r\n") == 6
    assert made("unbroken") == GOLDEN.replace(b"\r\n", b"")
    assert made("marked").endswith(b" \r\n\x1a")
    assert b"R0000000018         7Y" in made("edi")
    assert "ﾐｽﾞﾎ".encode("cp932") in made("edi") and "ﾐｽﾞﾎ".encode("cp932") not in made("standard")


def test_every_bank_and_branch_there_is_has_a_name_that_fits_but_for_a_few_that_stay_blank():
    blank = set()
    for bank, branch in accounts.branches():
        for name in (accounts.bank_kana(bank), accounts.branch_kana(bank, branch)):
            half, strange = kana.half_width(name, Characters.BANK)
            assert half or strange, (bank, branch, name)
            if strange:
                blank.add(name)

    assert len(blank) < 200
    assert rail("edi").prepare("B1/1", [item(1, bank="0421")], policy=POLICY).count == 1


def test_another_payer_or_profile_is_another_version():
    versions = {rail(name).version for name in profiles.known()}
    other = dataclasses.replace(rail().payer, number="0098766")

    assert len(versions) == len(profiles.known())
    assert Zengin(other, rail().profile).version != rail().version


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff", "UTF-8"),
        (b"profile = 'nobodys'", "payer"),
        (b"[payer]\ncode = '1'", "missing"),
        (b"[payer]\ncode = 1", "text"),
        (b"unknown = 1\n[payer]\ncode = '1'", "table"),
    ],
)
def test_a_house_that_is_not_set_up_is_said(text, said):
    with pytest.raises(NotSetUp, match=said):
        read_house(text)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"0012345678"', '"12345678"', "10 digits"),
        ("ﾊｻﾝｻｲﾄﾞｳｼﾔ", "破産再生者", "kanji"),
        ('"standard"', '"nobodys"', "no profile"),
        ('kind = "1"', 'kind = "4"', "kind of account"),
        ('profile = "standard"', "profile.payee_max = 99", "payee_max"),
        ('profile = "standard"', "profile.names = 1", "bool"),
        ('profile = "standard"', 'profile.wings = "two"', "wings"),
        ('profile = "standard"', 'profile.line_end = "none of these"', "none of these"),
    ],
)
def test_a_payer_or_profile_that_no_file_can_carry_is_refused(before, after, said):
    text = (DATA / "house.toml").read_text()
    assert before in text
    with pytest.raises(NotSetUp, match=said):
        read_house(text.replace(before, after).encode())


def test_a_profile_of_ones_own_says_only_what_differs():
    text = (DATA / "house.toml").read_text().replace('profile = "standard"', "")
    _payer, profile = read_house((text + '[profile]\nlike = "unbroken"\nrecords_max = 100\n').encode())

    assert profile == dataclasses.replace(profiles.known()["unbroken"], records_max=100)
    assert set(tomllib.loads((Path(profiles.__file__).parent / "profiles.toml").read_text())) == set(profiles.known())


# --- several files -------------------------------------------------------------------------------------------


def test_more_than_a_file_holds_goes_in_several():
    house = rail()
    house = dataclasses.replace(house, profile=dataclasses.replace(house.profile, records_max=4, total_max=10_000))
    items = [item(n, amount=1000 + n) for n in range(1, 11)] + [item(11, amount=9_500)]

    files = house.split(list(reversed(items)))

    assert [one for file in files for one in file] == items
    assert all(len(file) <= 4 and sum(one.amount for one in file) <= 10_000 for file in files)
    for number, file in enumerate(files, start=1):
        house.prepare(f"B1/{number}", file, policy=POLICY)
    refusal([item(n) for n in range(1, 10_001)])


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=40),
    st.integers(1, 9),
    st.integers(4, 30),
)
def test_no_two_files_of_several_payments_have_the_same_sum(amounts, records, total):
    house = rail()
    house = dataclasses.replace(house, profile=dataclasses.replace(house.profile, records_max=records, total_max=total))
    items = [item(n, amount=amount) for n, amount in enumerate(amounts, start=1)]

    files = house.split(items)

    assert [one for file in files for one in file] == items
    assert all(1 <= len(file) <= records and sum(one.amount for one in file) <= total for file in files)
    sums = [sum(one.amount for one in file) for file in files]
    for place, (file, total) in enumerate(zip(files, sums, strict=True)):
        assert len(file) == 1 or total not in sums[:place]


# --- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "place", "reason"),
    [
        ("山田太郎", 1, "kanji"),
        ("ヤマダ一郎", 4, "kanji"),
        ("髙橋", 1, "kanji"),
        ("𠮷田", 1, "kanji"),
        ("ヤマダ々", 4, "kanji"),
        ("O'BRIEN", 2, "no bank file"),
        ("JOSÉ", 4, "no bank file"),
        ("ким", 1, "small letter"),
        ("ßA", 1, "small letter"),
        ("ｱ,ｲ", 2, "comma"),
        ("ｱ、ｲ", 2, "comma"),
        ("ｱ_ｲ", 2, "no bank file"),
        ("ｱ&ｲ", 2, "no bank file"),
        ("ｱ/ｲ", 2, "no bank file"),
        ("ヰﾁﾛｳ", 1, "full-width"),
        ("㈱アサヒ", 1, "full-width"),
        ("ｱ\x00ｲ", 2, "control"),
        ("ｱ\u202eｲ", 2, "control"),
        ("ｱ\tｲ", 2, "control"),
        ("ｱ\u200bｲ", 2, "control"),
        ("ｱﾞ", 2, "voiced"),
        ("ﾞｱ", 1, "voiced"),
        ("ﾀﾞﾞ", 3, "voiced"),
        ("ｱ😀", 2, "full-width"),
        ("\ue000ｱ", 1, "kanji"),
        ("١٢٣", 1, "no bank file"),
    ],
)
def test_every_character_that_would_be_a_guess_is_refused_with_line_place_and_reason(name, place, reason):
    refused = refusal([item(1), item(2, name)])

    assert refused.faults[0].line == 3 and refused.faults[0].of == "R0000000002"
    assert f"in place {place}, " in str(refused)
    assert reason in str(refused)


@pytest.mark.parametrize(
    ("given_name", "carried"),
    [
        ("ァィゥェォッャュョヮヵヶ", "ｱｲｳｴｵﾂﾔﾕﾖﾜｶｹ"),
        ("ｧｨｩｪｫｯｬｭｮ", "ｱｲｳｴｵﾂﾔﾕﾖ"),
        ("ー－‐―−", "-----"),
        ("ガパヴ", "ｶﾞﾊﾟｳﾞ"),
        ("カ\u3099ハ\u309a", "ｶﾞﾊﾟ"),
        ("やまだ・たろう", "ﾔﾏﾀﾞ ﾀﾛｳ"),
        ("ＡＢＣ（１．２）", "ABC(1.2)"),
        ("ヲｦを", "ｵｵｵ"),
        ("abc", "ABC"),
    ],
)
def test_what_means_the_same_is_carried_as_the_bank_writes_it(given_name, carried):
    assert kana.half_width(given_name) == (carried, ())


@given(st.text(max_size=30), st.sampled_from([Characters.PARTY, Characters.BANK, Characters.EDI]))
def test_a_text_is_either_carried_whole_or_named_as_strange(text, allowed):
    half, strange = kana.half_width(text, allowed)

    assert not kana.look(half, allowed)
    if not strange:
        assert kana.half_width(half, allowed) == (half, ())
        assert len(kana.encode(half)) == len(half)
        assert kana.decode(kana.encode(half)) == (half, ())
    for one in strange:
        assert text[one.column - 1] == one.character and one.reason


def test_all_that_is_wrong_is_said_at_once_by_line_and_column():
    refused = refusal(
        [
            item(1, "ｱ" * 31),
            item(2, bank="0001", branch="999"),
            item(3, bank="9998"),
            item(4, kind="5"),
            item(5, number="123"),
            item(6, amount=0),
            item(7, amount=10**10),
            Item("R0000000008", "BTC", 1, 0, to("ｱ")),
            Item("R0000000009", "JPY", 5, 1, to("ｱ")),
            item(10, ""),
            Item("X1", "JPY", 5, 0, to("ｱ")),
            item(12),
            item(12),
        ],
        {"value_date": "2026-11-29"},
    )

    assert places(refused) == [
        (1, 55), (2, 81), (3, 21), (4, 2), (5, 43), (6, 44), (7, 81), (8, 81), (9, 81), (10, 81), (11, 51), (13, 0), (14, 92),
    ]  # fmt: skip
    assert "Line 1 column 55: Banks are closed on 2026-11-29: a Sunday. The next open day is 2026-11-30." in str(
        refused
    )
    assert "Line 2 (R0000000001) column 81: The payee's name" in str(refused)
    assert "has no branch '999'" in str(refused)


@pytest.mark.parametrize(
    ("day", "why"),
    [
        ("2026-11-28", "Saturday"),
        ("2026-11-29", "Sunday"),
        ("2026-11-23", "public holiday"),
        ("2026-12-31", "new year"),
        ("2027-01-01", "new year"),
        ("2028-01-03", "new year"),
        ("2027-03-22", "public holiday"),  # a substitute
        ("2026-09-22", "public holiday"),  # between two
        ("1-2-3", "no value date"),
        ("", "no value date"),
    ],
)
def test_a_day_on_which_banks_are_closed_is_no_value_date(day, why):
    assert why in str(refusal([item(1)], {"value_date": day}))


def test_a_value_date_past_or_too_far_ahead_is_refused_where_today_is_known():
    assert "past" in str(refusal([item(1)], snapshot={"today": "2026-12-02"}))
    assert "days ahead" in str(refusal([item(1)], snapshot={"today": "2026-10-01"}))
    assert rail().prepare("B1/1", [item(1)], policy=POLICY, snapshot={"today": "2026-12-01"}).count == 1


def test_bank_days_are_counted_over_the_new_year():
    assert bank_days.next_open(date(2026, 12, 31)) == date(2027, 1, 4)
    assert bank_days.after(date(2026, 12, 30), 2) == date(2027, 1, 5)


def test_nothing_is_no_file_and_no_key_is_no_file():
    assert "no transfer" in str(refusal([]))
    with pytest.raises(CannotPrepare):
        rail().prepare("no key", ITEMS, policy=POLICY)


def test_a_destination_is_checked_as_the_file_will_carry_it():
    assert rail().check_destination("JPY", to("ヤマダ　タロウ")).normalized["holder_kana"] == "ﾔﾏﾀﾞ ﾀﾛｳ"
    assert rail().check_destination("BTC", to("ｱ")).errors[0].code == "not_yen"
    assert rail().check_destination("JPY", {"address": "1abc"}).errors
    assert not rail().check_destination("JPY", to("山田")).ok


# --- a file read back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "place", "said"),
    [
        (b"80000030", b"80000040", (5, 2), "counts 4"),
        (b"010000950000 ", b"010000950001 ", (5, 8), "sum"),
        (b"0000950000", b"0000950001", (5, 8), "sum"),
        (b"0000950000", b"0000000000", (2, 81), "nothing"),
        (b"0000950000", b"00009500 0", (2, 89), "digit"),
        (b"12100", b"12110", (1, 4), "always 0"),
        (b"12100", b"11100", (1, 2), "always 21"),
        (b"1201", b"0230", (1, 55), "no day"),
        (b"1201", b"1301", (1, 55), "no day"),
        ("ｷﾔﾘ-".encode("cp932"), "ｷﾔﾘｰ".encode("cp932"), (2, 54), "long vowel"),
        ("ｷﾔﾘ-".encode("cp932"), "ｷｬﾘ-".encode("cp932"), (2, 52), "small kana"),
        ("ｷﾔﾘ-".encode("cp932"), "ｷ山-".encode("cp932"), (2, 52), "double-byte"),
        ("ｷﾔﾘ-".encode("cp932"), "ｷﾔﾘ,".encode("cp932"), (2, 54), "comma"),
        ("ｷﾔﾘ-".encode("cp932"), b"\xb7\xd4\xd8\xa0", (2, 54), "JIS X 0201"),
        (b"7        \r\n", b"7      X \r\n", (2, 119), "only spaces"),
        (b"\r\n80", b"\r\n70", (5, 1), "begins no record"),
        (b"\r\n80", b"\r\n90", (5, 1), "an end after"),
        (b"\r\n9", b"\r\n9\r\n9", (6, 0), "1 bytes"),
    ],
)
def test_a_file_that_was_changed_is_refused_by_line_and_column(before, after, place, said):
    assert before in GOLDEN
    with pytest.raises(Wrong) as caught:
        transfers.read(GOLDEN.replace(before, after, 1))

    assert (caught.value.faults[0].line, caught.value.faults[0].column) == place
    assert said in str(caught.value)


@pytest.mark.parametrize("size", [0, 1, 119, 120, 121, 122, 244, 500, 610, len(GOLDEN) - 122, len(GOLDEN) - 3])
def test_a_file_that_was_cut_off_is_refused(size):
    with pytest.raises(Wrong):
        transfers.read(GOLDEN[:size])


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(content):
    with pytest.raises(FileRefused):
        rail().references(content)


@given(st.integers(0, len(GOLDEN) - 1), st.integers(0, 255))
def test_one_byte_changed_is_refused_or_shows(place, byte):
    changed = GOLDEN[:place] + bytes([byte]) + GOLDEN[place + 1 :]
    try:
        found = transfers.read(changed)
    except Wrong:
        return
    assert changed == GOLDEN or found != transfers.read(GOLDEN)


@given(
    st.lists(
        st.builds(
            Transfer,
            bank_code=st.from_regex(r"[0-9]{4}", fullmatch=True),
            branch_code=st.from_regex(r"[0-9]{3}", fullmatch=True),
            kind=st.sampled_from("1249"),
            number=st.from_regex(r"[0-9]{7}", fullmatch=True),
            payee=NAMES.map(lambda name: kana.cut(kana.half_width(name)[0], 30)).filter(
                lambda name: any(c.isalnum() for c in name)
            ),
            amount=st.integers(1, 10**10 - 1),
            code_1=st.from_regex(r"([1-9][0-9]{0,9})?", fullmatch=True),
            code_2=st.from_regex(r"([1-9][0-9]{0,9})?", fullmatch=True),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(sorted(profiles.known())),
)
def test_whatever_is_written_is_read_back(sent, name):
    house = rail(name)
    file = transfers.read(transfers.write(house.payer, DAY, sent, house.profile))

    assert file.transfers == tuple(sent)
    assert (file.month, file.day, file.payer) == (DAY.month, DAY.day, house.payer)
