"""What a bank account check must know, and how a name comes to half-width kana without guessing."""

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from administration.rails import accounts
from administration.rails.accounts import NotKana, check, party_name

DATA = Path(__file__).parent.parent / "data"


def codes(found):
    return [remark.code for remark in found.errors]


@pytest.mark.parametrize(
    ("given_name", "sent"),
    [
        ("ヤマダ　タロウ", "ﾔﾏﾀﾞ ﾀﾛｳ"),
        ("ﾔﾏﾀﾞ ﾀﾛｳ", "ﾔﾏﾀﾞ ﾀﾛｳ"),
        ("やまだ たろう", "ﾔﾏﾀﾞ ﾀﾛｳ"),
        ("キャリー・パミュ", "ｷﾔﾘ- ﾊﾟﾐﾕ"),
        ("ガギグ", "ｶﾞｷﾞｸﾞ"),
        ("ヲノ", "ｵﾉ"),
        ("ヴィヨン", "ｳﾞｲﾖﾝ"),
        ("smith john", "SMITH JOHN"),
        ("ＡＢＣショウジ", "ABCｼﾖｳｼﾞ"),
        ("株式会社アサヒ", "ｶ)ｱｻﾋ"),
        ("アサヒ株式会社", "ｱｻﾋ(ｶ"),
        ("㈱アサヒ", "ｶ)ｱｻﾋ"),
        ("カブシキガイシャ　アサヒ", "ｶ)ｱｻﾋ"),
        ("ゴウドウガイシャミナト", "ﾄﾞ)ﾐﾅﾄ"),
        ("イッパンシャダンホウジン　ミドリ", "ｼﾔ)ﾐﾄﾞﾘ"),
        ("ｶ)ﾃｽﾄｼﾖｳｼﾞ", "ｶ)ﾃｽﾄｼﾖｳｼﾞ"),
    ],
)
def test_a_name_is_brought_to_what_a_bank_file_carries(given_name, sent):
    assert party_name(given_name) == sent


@pytest.mark.parametrize(
    "name", ["山田太郎", "ヤマダ一郎", "髙橋", "𠮷田", "O'Brien", "José", "Ким", "ヤマダ,タロウ", "ｱ_ｲ", "😀"]
)
def test_what_would_have_to_be_guessed_is_refused(name):
    with pytest.raises(NotKana):
        party_name(name)


@given(st.text(alphabet=st.characters(min_codepoint=0x30A1, max_codepoint=0x30FC), max_size=40))
def test_a_name_in_kana_stays_in_the_banks_characters_and_settles_at_once(name):
    try:
        sent = party_name(name)
    except NotKana:
        return  # iteration marks and the like
    assert party_name(sent) == sent
    assert all(len(char.encode("cp932")) == 1 for char in sent)


@given(st.text(alphabet="ｱｶﾊﾞﾟ", min_size=1, max_size=60))
def test_a_cut_name_fits_and_never_loses_only_its_voice_mark(name):
    kept = accounts.cut(name)

    assert len(kept) <= accounts.HOLDER_BYTES
    assert len(name) <= accounts.HOLDER_BYTES or not name[len(kept) :].startswith(("ﾞ", "ﾟ")) or not kept


def test_the_golden_bank_files_names_pass():
    names = {
        line[50:80].rstrip()
        for line in (DATA / "zengin_sample.txt").read_bytes().decode("cp932").splitlines()
        if line.startswith("2")
    }

    assert names == {"ﾔﾏﾀﾞ ﾀﾛｳ", "ｶ)ﾃｽﾄｼﾖｳｼﾞ"}
    assert {party_name(name) for name in names} == names


def test_an_account_at_a_real_branch_passes_in_one_spelling():
    found = check("０００５", "001", "1", "1234567", "ヤマダ　タロウ")

    assert found.ok
    assert found.normalized == {
        "bank_code": "0005",
        "branch_code": "001",
        "kind": "1",
        "number": "1234567",
        "holder_kana": "ﾔﾏﾀﾞ ﾀﾛｳ",
    }
    assert [remark.code for remark in found.warnings] == ["bank_form_respelled"]


@pytest.mark.parametrize(
    ("account", "code"),
    [
        (("9999", "001", "1", "1234567", "ﾔﾏﾀﾞ"), "unknown_bank"),
        (("0005", "999", "1", "1234567", "ﾔﾏﾀﾞ"), "unknown_branch"),
        (("5", "001", "1", "1234567", "ﾔﾏﾀﾞ"), "bank_form"),
        (("0005", "1", "1", "1234567", "ﾔﾏﾀﾞ"), "branch_form"),
        (("0005", "001", "3", "1234567", "ﾔﾏﾀﾞ"), "kind"),
        (("0005", "001", "1", "123456", "ﾔﾏﾀﾞ"), "number_form"),
        (("0005", "001", "1", "12345678", "ﾔﾏﾀﾞ"), "number_form"),
        (("0005", "001", "1", "1234567", "山田"), "holder_not_kana"),
        (("0005", "001", "1", "1234567", " "), "holder_missing"),
    ],
)
def test_what_cannot_be_paid_is_refused_for_its_reason(account, code):
    found = check(*account)

    assert codes(found) == [code]
    assert not found.normalized


def test_a_long_name_is_cut_to_thirty_bytes_and_said():
    found = check("0005", "001", "1", "1234567", "ｱ" * 29 + "ｶﾞ")

    assert found.normalized["holder_kana"] == "ｱ" * 29
    assert [remark.code for remark in found.warnings] == ["holder_cut"]


def test_a_yucho_account_is_found_from_its_symbol_and_number():
    assert accounts.from_yucho("12340", "12345671") == ("9900", "238", "1", "1234567")
    assert accounts.branch("9900", "238") is not None
    assert accounts.from_yucho("01230", "123456") == ("9900", "129", "2", "0123456")
    assert accounts.from_yucho("12345", "12345671") is None
    assert accounts.from_yucho("12340", "12345678") is None


def test_the_bank_codes_say_how_old_they_are():
    assert accounts.data_date() >= datetime.date(2026, 8, 24)
    assert len(accounts.branches()) > 25_000


def test_the_kana_of_every_bank_there_is_can_travel():
    for bank in accounts._banks().values():
        assert len(party_name(bank.kana)) <= 15
