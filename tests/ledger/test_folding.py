"""Names as registers have them, folded until only differences are left that tell people apart; and how alike two are."""

import datetime
from typing import Any

import pytest

from administration.ledger import folding, likeness
from administration.ledger.folding import Folded

BORN = datetime.date(1980, 1, 2)
PLAIN = {
    "kind": "individual", "name": "高崎 翔太", "kana": "タカサキ ショウタ", "romaji": "TAKASAKI SHOTA", "born": BORN,
    "phone": "+819012345678", "email": "shota@example.com", "postcode": "100-0005",
    "address": "東京都千代田区丸の内1-2-3", "nationality": "JP",
}  # fmt: skip


def customer(**changed: Any) -> Folded:
    return folding.folded(**{**PLAIN, **changed})


def company(**changed: Any) -> Folded:
    plain = {
        "kind": "corporate", "name": "株式会社あさひ商事", "kana": "カブシキガイシャアサヒショウジ", "romaji": "ASAHI SHOJI CO., LTD.",
        "born": BORN, "corporate_number": "1234567890123", "nationality": "JP", "phone": "0312345678",
    }  # fmt: skip
    return folding.folded(**{**plain, **changed})


def like(**changed: Any) -> likeness.Likeness | None:
    """How alike the plain customer and a changed one are; the same whichever comes first."""
    found = likeness.likened(customer(), customer(**changed))
    assert found == likeness.likened(customer(**changed), customer())
    return found


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "髙﨑翔太"},
        {"kana": "ﾀｶｻｷ ｼﾖｳﾀ"},
        {"kana": "たかさき しょうた"},
        {"kana": "タカサキショウタ"},
        {"kana": "ショウタ タカサキ", "name": "翔太 高崎"},
        {"name": "高\ufe00崎　翔太"},
        {"romaji": "Takasaki Shouta"},
        {"phone": "090-1234-5678", "email": "SHOTA+coins@example.com"},
        {"address": "千代田区丸の内一丁目２番３号　コーポ青葉101"},
        {"kana": "", "romaji": "TAKASAKI SHOHTA"},
    ],
)
def test_a_name_written_differently_is_the_same_name(changed):
    found = like(**changed)
    assert found is not None
    assert (found.level, found.automatic, found.against) == ("exact", True, ())


def test_both_spellings_of_the_same_kanji_fold_to_one():
    for old, new in ("髙高", "﨑崎", "澤沢", "邊辺", "邉辺", "齋斎", "𠮷吉", "濵浜", "惠恵", "龍竜", "國国", "廣広", "眞真"):
        assert customer(name=old).written == customer(name=new).written


@pytest.mark.parametrize(
    ("kana", "romaji"),
    [
        ("オオノ ジュンイチ", "ONO JUN'ICHI"), ("オオノ ジュンイチ", "Ohno Junichi"), ("ツチヤ ヨウコ", "TSUCHIYA YOKO"),
        ("ホッタ フミコ", "HOTTA FUMIKO"), ("サンペイ チヅ", "SAMPEI CHIZU"), ("キョウゴク ユウト", "KYOUGOKU YUUTO"),
        ("シンジョウ ジョウジ", "Sinzyo Zyozi"),
    ],
)  # fmt: skip
def test_kana_and_a_passport_sound_the_same(kana, romaji):
    one = customer(kana=kana, romaji=romaji)
    assert one.sound == one.latin


def test_large_and_small_houses_of_one_reading_are_not_one_name():
    """小野 and 大野 are ONO in a passport, and two names."""
    found = likeness.likened(
        customer(name="小野 涼", kana="オノ リョウ", romaji="ONO RYO"), customer(name="大野 涼", kana="オオノ リョウ", romaji="ONO RYO")
    )
    assert found is not None
    assert (found.level, found.automatic) == ("review", False)


@pytest.mark.parametrize(
    ("changed", "level", "automatic"),
    [
        ({}, "exact", True),
        ({"phone": ""}, "strong", True),  # the e-mail and the house agree
        ({"phone": "", "email": "", "address": "大阪府大阪市北区梅田9-9-9"}, "strong", False),  # a stranger may be called so
        ({"born": None}, "review", False),
        ({"born": datetime.date(1980, 2, 1)}, "review", False),
        ({"born": datetime.date(1955, 6, 7)}, "review", False),  # kana and telephone
        ({"name": "高崎 祥大"}, "exact", False),  # other kanji: a person looks
        ({"nationality": "BR"}, "exact", False),
        ({"for_others": True}, "exact", False),
        ({"kana": "タカサキ ショウマ", "name": "高崎 翔馬"}, "review", False),  # a slip, or a twin
        ({"kana": "ヤマダ ショウタ", "name": "山田 翔太", "romaji": ""}, "review", False),  # married
    ],
)
def test_what_agrees_decides_the_level_and_no_machine_links_in_doubt(changed, level, automatic):
    found = like(**changed)
    assert found is not None
    assert (found.level, found.automatic) == (level, automatic)


@pytest.mark.parametrize(
    "changed",
    [
        {"kana": "スズキ イチロウ", "name": "鈴木 一郎", "romaji": "SUZUKI ICHIRO"},  # another tenant of the telephone number
        {"born": datetime.date(1955, 6, 7), "phone": "", "email": "", "address": "大阪府大阪市北区梅田9-9-9"},
        {"kind": "corporate"},
    ],
)
def test_who_has_too_little_in_common_is_not_proposed(changed):
    assert like(**changed) is None


def test_nothing_is_automatic_without_a_known_and_equal_date():
    for one in (None, BORN):
        for other in (None, datetime.date(1980, 1, 3)):
            for changed in ({}, {"name": "髙﨑 翔太"}, {"kana": "ﾀｶｻｷ ｼﾖｳﾀ"}):
                found = likeness.likened(customer(born=one), customer(born=other, **changed))
                assert found is None or not found.automatic


@pytest.mark.parametrize(
    ("changed", "automatic"),
    [
        ({"name": "㈱あさひ商事", "kana": "カ)アサヒショウジ"}, True),
        ({"name": "（株）あさひ商事", "kana": "ｶﾌﾞｼｷｶﾞｲｼﾔ ｱｻﾋ ｼﾖｳｼﾞ", "romaji": "Asahi Shoji K.K."}, True),
        ({"name": "あさひ商事株式会社", "kana": "アサヒショウジ（カ"}, False),  # the form stands elsewhere: another company perhaps
        ({"name": "合同会社あさひ商事", "kana": "ド)アサヒショウジ"}, False),
        ({"corporate_number": ""}, False),
        ({"born": None}, False),
    ],
)
def test_a_company_is_the_same_by_its_number_with_its_legal_form_kept_apart(changed, automatic):
    found = likeness.likened(company(), company(**changed))
    assert found is not None
    assert found.automatic is automatic


def test_two_corporate_numbers_are_two_companies():
    assert likeness.likened(company(), company(corporate_number="9999999999999")) is None


def test_who_shares_anything_that_counts_is_filed_together():
    plain = set(folding.blocks(customer()))
    elsewhere = {"phone": "", "email": "", "postcode": "", "address": ""}
    for changed in (
        {**elsewhere, "kana": "タカサキ ショウマ"},  # the day and the family name
        {**elsewhere, "kana": "ヤマダ ショウタ", "name": "山田 翔太"},
        {**elsewhere, "born": datetime.date(1980, 2, 2)},  # the name and two parts of the day
        {"kana": "タカザキ ショウ", "born": None, "phone": "", "email": ""},  # the house
        {"born": None, "kana": "イトウ ハナ", "address": "", "postcode": "", "email": ""},  # the telephone
    ):
        assert plain & set(folding.blocks(customer(**changed))), changed
    assert not plain & set(folding.blocks(customer(**elsewhere, born=None, kana="イトウ ハナ", name="伊藤 花", romaji="")))


def test_a_foreigner_registered_by_ear_and_by_passport_is_looked_at():
    by_ear = customer(name="スミス ジェームズ", kana="スミス ジェームズ", romaji="", nationality="US")
    passport = customer(name="JAMES SMITH", kana="", romaji="JAMES SMITH", nationality="US", phone="", address="", postcode="")
    found = likeness.likened(by_ear, passport)
    assert found is not None
    assert (found.level, found.automatic) == ("review", False)
    assert likeness.likened(by_ear, customer(name="JAMES SMITH", kana="", romaji="JAMES SMITH", phone="", email="", address="")) is None


def test_placeholders_are_no_telephone_numbers():
    assert folding.telephone("000-0000-0000") == folding.telephone("0900000000000"[:11]) == folding.telephone("123") == ""
    assert folding.telephone("+81 (0)90-1234-5678") == folding.telephone("０９０１２３４５６７８") == "09012345678"
    assert folding.telephone("+1 415 555 0100") == "14155550100"
