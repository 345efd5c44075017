"""
Invented customers among whom some are registered twice or more, and who they really are: to test and measure name aggregation.

A double differs as registers differ: half-width kana, hiragana, missing or exchanged words, old kanji, a slip of the
finger, another romaji, a name before marriage, a move, a new telephone, a birth date misread or not given. Around them
stand those who are easily taken for one person and are not: twins, families with one telephone, strangers of one name born
on one day, companies of one name in another legal form, placeholders. A double that nothing in the register connects (new
name, home, telephone and e-mail at once) is no *known* one, and is not made. From one seed always the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any

import jaconv

from administration.office.sample import names

BORN_FIRST, FOUNDED_FIRST, DAYS = date(1936, 1, 1), date(1950, 1, 1), 26_000
PLACEHOLDER_BORN, PLACEHOLDER_PHONE = date(1970, 1, 1), "+819000001234"
DOUBLED, TREBLED = 0.05, 0.006  # of persons
FOREIGN, COMPANY = 0.08, 0.04


@dataclass(frozen=True, slots=True)
class Registered:
    """One customer as registered, and which person that really is."""

    person: int
    entity_type: str
    name: str
    kana: str
    romaji: str
    born: date | None
    nationality: str
    postcode: str
    address: str
    phone: str
    email: str
    corporate_number: str = ""


# --- names: common ones often, many others seldom -----------------------------------------------

_FIRST = "山ヤマ 川カワ 田タ 中ナカ 松マツ 藤フジ 石イシ 木キ 小コ 大オオ 高タカ 西ニシ 東ヒガシ 北キタ 南ミナミ 上ウエ 下シモ 前マエ 森モリ 竹タケ 杉スギ 梅ウメ 桜サクラ 谷タニ 沢サワ 池イケ 岩イワ 黒クロ 白シラ 青アオ 赤アカ 金カネ 長ナガ 永ナガ 平ヒラ 広ヒロ 深フカ 浅アサ 新アラ 古フル 吉ヨシ 福フク 富トミ 安ヤス 宮ミヤ 神カミ 村ムラ 島シマ 濱ハマ 澤サワ"
_LAST = "山ヤマ 川カワ 田ダ 村ムラ 本モト 島シマ 崎ザキ 﨑サキ 野ノ 原ハラ 沢ザワ 澤ザワ 谷タニ 井イ 木ギ 口グチ 橋ハシ 塚ツカ 岡オカ 尾オ 内ウチ 林バヤシ 森モリ 池イケ 浦ウラ 瀬セ 津ツ 倉クラ 葉バ 藤トウ 邊ベ"
_GIVEN_FIRST = "健ケン 大ダイ 翔ショウ 悠ユウ 裕ユウ 祐ユウ 隆タカ 和カズ 正マサ 雅マサ 直ナオ 英ヒデ 秀ヒデ 信ノブ 義ヨシ 明アキ 昭アキ 浩ヒロ 博ヒロ 智トモ 友トモ 美ミ 真マ 由ユ 恵ケイ 千チ 奈ナ 沙サ 里リ 久ヒサ 幸ユキ 淳ジュン 京キョウ 龍リュウ 眞マ 惠ケイ"
_GIVEN_LAST = "太タ 介スケ 郎ロウ 一イチ 二ジ 樹キ 也ヤ 人ト 司シ 彦ヒコ 雄オ 夫オ 男オ 子コ 美ミ 香カ 代ヨ 恵エ 奈ナ 江エ 紀キ 穂ホ 輝キ 平ヘイ 吾ゴ 志シ"


def _composed(first: str, last: str) -> list[tuple[str, str]]:
    return [(a[0] + b[0], a[1:] + b[1:]) for a in first.split() for b in last.split() if a[0] != b[0]]


SURNAMES = [(kanji, kana) for kanji, kana, _romaji in names.SURNAMES] + _composed(_FIRST, _LAST)
GIVEN = [(kanji, kana) for kanji, kana, _romaji in names.GIVEN_NAMES] + _composed(_GIVEN_FIRST, _GIVEN_LAST)
MISCONVERTED = str.maketrans("裕祐和一太郎介子美博浩智友斎藤伊東", "祐裕一和大朗助子実浩博友智斉籐井藤")

_HEPBURN = {
    "キャ": "KYA", "キュ": "KYU", "キョ": "KYO", "シャ": "SHA", "シュ": "SHU", "ショ": "SHO", "チャ": "CHA", "チュ": "CHU",
    "チョ": "CHO", "ニャ": "NYA", "ニュ": "NYU", "ニョ": "NYO", "ヒャ": "HYA", "ヒュ": "HYU", "ヒョ": "HYO", "ミャ": "MYA",
    "ミュ": "MYU", "ミョ": "MYO", "リャ": "RYA", "リュ": "RYU", "リョ": "RYO", "ギャ": "GYA", "ギュ": "GYU", "ギョ": "GYO",
    "ジャ": "JA", "ジュ": "JU", "ジョ": "JO", "シ": "SHI", "チ": "CHI", "ツ": "TSU", "フ": "FU", "ジ": "JI", "ヂ": "JI", "ヅ": "ZU",
    "ヤ": "YA", "ユ": "YU", "ヨ": "YO", "ワ": "WA", "ヲ": "O", "ン": "N", "ー": "",
}  # fmt: skip
for _row, _five in (
    ("", "アイウエオ"), ("K", "カキクケコ"), ("S", "サシスセソ"), ("T", "タチツテト"), ("N", "ナニヌネノ"), ("H", "ハヒフヘホ"),
    ("M", "マミムメモ"), ("R", "ラリルレロ"), ("G", "ガギグゲゴ"), ("Z", "ザジズゼゾ"), ("D", "ダヂヅデド"), ("B", "バビブベボ"),
    ("P", "パピプペポ"),
):  # fmt: skip
    for _sign, _vowel in zip(_five, "AIUEO", strict=True):
        _HEPBURN.setdefault(_sign, _row + _vowel)


def hepburn(kana: str, *, long: str = "") -> str:
    """A reading as a passport has it; `long`: "OU" or "OH" keep long o, as some people asked for theirs."""
    found, at = "", 0
    while at < len(kana):
        sign = kana[at : at + 2] if kana[at : at + 2] in _HEPBURN else kana[at]
        if sign == "ッ" and at + 1 < len(kana):
            found += _HEPBURN.get(kana[at + 1 : at + 3], _HEPBURN.get(kana[at + 1], " "))[:1]
        else:
            found += _HEPBURN.get(sign, " " if sign == " " else "")
        at += len(sign)
    if long == "OH":
        return found.replace("OU ", "OH ").replace("OO", "OH")
    return found if long == "OU" else found.replace("OU", "O").replace("OO", "O").replace("UU", "U")


class Invented:
    """Customers in the order of persons; draw with `customers(count)`."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"doubles/{seed}")  # a sample that can be made again
        self.person = 0
        self.seen: list[Registered] = []  # a window of earlier persons, to be mistaken for

    def customers(self, count: int) -> Iterator[Registered]:
        made = 0
        while made < count:
            for one in self._somebody():
                if made < count:
                    made += 1
                    yield one

    def _somebody(self) -> list[Registered]:
        self.person += 1
        first = self._mistakable() or self._new()
        if len(self.seen) < 2_000:
            self.seen.append(first)
        else:
            self.seen[self.random.randrange(2_000)] = first
        chance = self.random.random()
        more = 2 if chance < TREBLED else 1 if chance < TREBLED + DOUBLED else 0
        all_of_one = [first]
        for _time in range(more):
            all_of_one.append(self._double(all_of_one))
        return all_of_one

    # --- persons -------------------------------------------------------------------------------

    def _new(self) -> Registered:
        chance = self.random.random()
        if chance < COMPANY:
            return self._company()
        if chance < COMPANY + FOREIGN:
            country, families, givens = self.random.choice(names.FOREIGN)
            family, given = self.random.choice(families), self.random.choice(givens)
            name = f"{family[0]} {given[0]}"
            middle = self.random.choice(["", "", " A", " B", " C", " D", " E", " F"])  # so that not all have the same few names
            return self._registered(
                name=name + middle, kana=f"{family[1]} {given[1]}{middle and ' ' + middle.strip()}", romaji=name + middle,
                nationality=country,
            )  # fmt: skip
        (family_name, family_kana), (given_name, given_kana) = self._drawn(SURNAMES), self._drawn(GIVEN)
        kana = f"{family_kana} {given_kana}"
        return self._registered(name=f"{family_name} {given_name}", kana=kana, romaji=hepburn(kana) if self._one_in(2) else "")

    def _drawn(self, some: list[tuple[str, str]]) -> tuple[str, str]:
        """The first are common, the last rare."""
        return some[int(len(some) * self.random.random() ** 2.2)]

    def _registered(self, **known: Any) -> Registered:
        postcode, address = self._home()
        born = BORN_FIRST + timedelta(days=self.random.randrange(DAYS))
        return Registered(**{
            "person": self.person, "entity_type": "individual", "born": PLACEHOLDER_BORN if self._one_in(300) else born,
            "nationality": "JP", "postcode": postcode, "address": address, "phone": self._phone(), "email": self._email(), **known,
        })  # fmt: skip

    def _company(self) -> Registered:
        name, kana, romaji = self.random.choice(names.COMPANIES)
        area = self.random.choice(names.PLACES)[3].split(",")[0].upper()
        trade_name, trade_kana, trade_romaji = self.random.choice(names.TRADES)
        form, form_kana, form_romaji, *_short = self.random.choice(names.FORMS)
        before = self._one_in(2)
        number = "".join(self.random.choices("0123456789", k=13))
        serial = self.random.choice(["", "", "第一", "第二", "新", "東", "西", "南", "北"])
        read = {"第一": "ダイイチ", "第二": "ダイニ", "新": "シン", "東": "ヒガシ", "西": "ニシ", "南": "ミナミ", "北": "キタ"}.get(serial, "")
        core, core_kana = f"{serial}{name}{trade_name}", f"{read}{kana}{trade_kana}"
        return self._registered(
            entity_type="corporate", name=f"{form}{core}" if before else f"{core}{form}",
            kana=f"{form_kana}{core_kana}" if before else f"{core_kana}{form_kana}",
            romaji=f"{area if self._one_in(9) else ''} {romaji} {trade_romaji} {form_romaji}".strip(),
            born=FOUNDED_FIRST + timedelta(days=self.random.randrange(DAYS)), corporate_number=number,
        )  # fmt: skip

    def _home(self) -> tuple[str, str]:
        postcode, town, _kana, _romaji = self.random.choice(names.PLACES)
        block, house, number = self.random.randrange(1, 60), self.random.randrange(1, 40), self.random.randrange(1, 60)
        flat = self.random.choice(["", "", f" {self.random.choice(names.BUILDINGS)}{self.random.randrange(101, 1500)}"])
        return postcode, f"{town}{block}-{house}-{number}{flat}"

    def _phone(self) -> str:
        if self._one_in(400):
            return PLACEHOLDER_PHONE
        return f"+81{self.random.choice(['90', '80', '70'])}{self.random.randrange(10_000_000, 99_999_999)}"

    def _email(self) -> str:
        return f"{self.random.randbytes(5).hex()}@{self.random.choice(names.MAIL_HOSTS)}"

    def _one_in(self, many: int) -> bool:
        return self.random.randrange(many) == 0

    # --- who is easily taken for another --------------------------------------------------------

    def _mistakable(self) -> Registered | None:
        """Another person than one seen before, and much like it; seldom."""
        if not self.seen or not self._one_in(12):
            return None
        like, own = self.random.choice(self.seen), self.person
        fresh = self._registered(name="", kana="", romaji="")
        if like.entity_type == "corporate":  # one name, another legal form or another place for it; its own number
            other = like.name.replace("株式会社", "合同会社") if "株式会社" in like.name else f"株式会社{like.name}"
            return replace(
                like, person=own, name=other, kana=like.kana.replace("カブシキ", "ゴウドウ"), phone=fresh.phone, email=fresh.email,
                corporate_number="".join(self.random.choices("0123456789", k=13)),
            )  # fmt: skip
        given, given_kana = self._drawn(GIVEN)
        family, family_kana = like.name.split(" ")[0], like.kana.split(" ")[0]
        kin: dict[str, Any] = {"name": f"{family} {given}", "kana": f"{family_kana} {given_kana}", "romaji": ""}
        if kin["kana"] == like.kana:
            return None
        home: dict[str, Any] = {"postcode": like.postcode, "address": like.address}
        kind = self.random.randrange(8)
        if kind == 0:  # a twin
            return replace(fresh, **kin, **home, person=own, born=like.born, phone=like.phone if self._one_in(3) else fresh.phone)
        if kind == 1:  # a stranger of the same name, born on the same day
            return replace(fresh, person=own, name=like.name, kana=like.kana, romaji=like.romaji, born=like.born)
        if kind == 2 and like.nationality == "JP":  # a stranger of the same reading in other kanji
            return replace(fresh, person=own, name=like.name.translate(MISCONVERTED), kana=like.kana)
        # a family: one home, and often one telephone or one e-mail
        shared: dict[str, Any] = {"phone": like.phone} if self._one_in(2) else {"email": like.email} if self._one_in(2) else {}
        return replace(fresh, **kin, **home, **shared, person=own)

    # --- registered again -----------------------------------------------------------------------

    def _double(self, before: list[Registered]) -> Registered:
        while True:
            again = self._particulars(before[0])
            again = self._company_again(again) if again.entity_type == "corporate" else self._name_again(again)
            if all(_is_known(again, one) for one in before):
                return again

    def _particulars(self, first: Registered) -> Registered:
        """A move, a new telephone or e-mail, the same number in another form, a birth date misread or not given."""
        changed: dict[str, Any] = {}
        if self._one_in(3):
            changed["postcode"], changed["address"] = self._home()
        elif self._one_in(2):
            changed["address"] = self._address_again(first.address)
        if self._one_in(3):
            changed["phone"] = self._phone() if self._one_in(2) else ""
        if first.phone == PLACEHOLDER_PHONE:
            changed["phone"] = self._phone()
        if self._one_in(2):
            changed["email"] = self._email()
        if self._one_in(25):
            changed["born"] = None
        elif self._one_in(25) and first.born:
            changed["born"] = self._misread(first.born)
        return replace(first, **changed)

    def _address_again(self, address: str) -> str:
        head, _space, building = address.partition(" ")
        if self._one_in(3):
            return head  # the building left out
        return jaconv.h2z(head, digit=True, ascii=True) + ("　" + building if building else "") if self._one_in(2) else address

    def _misread(self, born: date) -> date:
        wrong = [born.replace(year=born.year + by) for by in (1, -1, 10, -10) if born.day < 29]
        wrong += [born.replace(day=born.day + 1)] if born.day not in (9, 19, 28, 29, 30, 31) else []
        if born.day <= 12:
            wrong.append(born.replace(month=born.day, day=born.month))
        return self.random.choice(wrong or [born])

    def _name_again(self, one: Registered) -> Registered:
        """The same name as another clerk, form or year wrote it."""
        name, kana, romaji = one.name, one.kana, one.romaji
        how = self.random.randrange(16)
        if how == 0:
            kana = jaconv.z2h(kana, kana=True)
        elif how == 1:
            kana = jaconv.kata2hira(kana)
        elif how == 2:
            name, kana = name.replace(" ", ""), kana.replace(" ", "")
        elif how == 3 and " " in kana:
            name, kana = (" ".join(reversed(text.split(" "))) for text in (name, kana))
        elif how == 4:
            name = name.translate(names.OTHER_SPELLING)
        elif how == 5:
            kana = kana.translate(str.maketrans("ャュョッァィェォ", "ヤユヨツアイエオ")).replace(" ", "")
        elif how == 6:
            kana = kana.translate(str.maketrans("ヅヂヲ", "ズジオ")).replace("オウ", "オオ")
        elif how in (7, 8):
            kana = self._slip(kana)
        elif how == 9 and one.nationality == "JP":
            romaji = hepburn(kana, long=self.random.choice(["OU", "OH", ""]))
            kana = ""
        elif how == 10 and one.nationality != "JP":
            kana, romaji = "", " ".join(reversed(romaji.split(" ")))
            name = romaji
        elif how == 11 and one.nationality != "JP":
            name, romaji = kana, ""  # registered once from a passport, once by ear
        elif how == 11:
            name = name.translate(MISCONVERTED)
        elif how == 12 and one.nationality == "JP" and " " in kana:
            family, family_kana = self._drawn(SURNAMES)
            name, kana, romaji = f"{family} {name.split(' ')[-1]}", f"{family_kana} {kana.split(' ')[-1]}", ""
        return replace(one, name=name, kana=kana, romaji=romaji)

    def _company_again(self, one: Registered) -> Registered:
        how, name, kana, romaji = self.random.randrange(5), one.name, one.kana, one.romaji
        if how == 0:
            name = name.replace("株式会社", "㈱").replace("有限会社", "㈲")
        elif how == 1:
            name = name.replace("株式会社", "（株）").replace("合同会社", "合同会社 ")
        elif how == 2:
            kana = jaconv.z2h(kana.replace("カブシキガイシャ", "カ）" if kana.startswith("カブ") else "（カ"), kana=True)
        elif how == 3:
            kana = self._slip(kana)
        else:
            romaji = romaji.replace("CO., LTD.", "Co.,Ltd.").title()
        number = "" if self._one_in(3) else one.corporate_number
        return replace(one, name=name, kana=kana, romaji=romaji, corporate_number=number)

    def _slip(self, kana: str) -> str:
        """One sign wrong, left out, doubled or changed with its neighbour; not the first of a word, which people look at."""
        at = self.random.randrange(1, max(2, len(kana) - 1))
        if at + 1 >= len(kana) or " " in kana[at - 1 : at + 2]:
            return kana
        how = self.random.randrange(3)
        if how == 0:
            return kana[:at] + self.random.choice("アカサタナハマラシキコトノ") + kana[at + 1 :]
        if how == 1:
            return kana[:at] + kana[at + 1 :]
        return kana[:at] + kana[at + 1] + kana[at] + kana[at + 2 :]


def _is_known(again: Registered, one: Registered) -> bool:
    """Whether the register itself connects the two; what nobody could find is not counted as missed."""
    if again.corporate_number and again.corporate_number == one.corporate_number:
        return True
    reached = sum((bool(one.phone) and again.phone == one.phone, again.email == one.email, _house(again) == _house(one)))
    same_name = again.kana.replace(" ", "") == one.kana.replace(" ", "") or again.name == one.name
    if again.born == one.born and one.born:
        return same_name or reached > 0
    return reached >= (1 if same_name else 2)


def _house(one: Registered) -> str:
    return jaconv.z2h(one.address.replace("　", " ").partition(" ")[0], digit=True, ascii=True, kana=False)
