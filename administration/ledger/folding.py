"""
A customer's name and particulars, folded until only differences are left that tell people apart.

Pure: text in, text out. What was registered is never changed; this is only for likening. Two depths of a reading:
`kana` forgives width, hiragana, small kana, ヂ/ジ, ヅ/ズ, ヴ and spaces, as banks do; `sound` also forgives long vowels and
the spellings of romaji (Hepburn, Kunrei, oh/ou/oo), so that kana and a passport can be likened.
"""

import hashlib
import re
import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import jaconv

from administration.ledger.variants import FORMS

INDIVIDUAL = "individual"

# --- signs ------------------------------------------------------------------------------------

_HYPHENS = "‐‑‒–—―−－ｰ~〜～"
_APART = "・･·•.,､、=＝'’`´\"“”()[]{}「」/\\_　 "
_UNSEEN = dict.fromkeys((*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), 0x200B, 0x200C, 0x200D, 0xFEFF, 0x00AD))
_WRITTEN = {**FORMS, **_UNSEEN, **dict.fromkeys(map(ord, _APART), " "), **dict.fromkeys(map(ord, _HYPHENS), "-"), ord("ヶ"): "ケ"}

_SMALL = dict(zip("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ", strict=True))
_SAME = {"ヂ": "ジ", "ヅ": "ズ", "ヲ": "オ", "ヰ": "イ", "ヱ": "エ"}
_HIRAGANA = {chr(code): jaconv.hira2kata(chr(code)) for code in range(0x3041, 0x3097)}
_KANA: dict[int, str | None] = {
    **{ord(hira): _SAME.get(_SMALL.get(kata, kata), _SMALL.get(kata, kata)) for hira, kata in _HIRAGANA.items()},
    **{ord(kana): large for kana, large in _SMALL.items()},
    **{ord(kana): same for kana, same in _SAME.items()},
    **dict.fromkeys(map(ord, _HYPHENS), "ー"),
    **dict.fromkeys(map(ord, _APART), " "),
    **_UNSEEN,
}  # fmt: skip
_VU = (("ヴア", "バ"), ("ヴイ", "ビ"), ("ヴエ", "ベ"), ("ヴオ", "ボ"), ("ヴ", "ブ"))

_ROWS = {
    "": "アイウエオ", "k": "カキクケコ", "s": "サシスセソ", "t": "タチツテト", "n": "ナニヌネノ", "h": "ハヒフヘホ",
    "m": "マミムメモ", "r": "ラリルレロ", "g": "ガギグゲゴ", "z": "ザジズゼゾ", "d": "ダヂヅデド", "b": "バビブベボ",
    "p": "パピプペポ",
}  # fmt: skip
_LETTERS: dict[int, str] = {
    **{ord(kana): row + vowel for row, five in _ROWS.items() for kana, vowel in zip(five, "aiueo", strict=True)},
    **{ord(kana): letters for kana, letters in (("ヤ", "ya"), ("ユ", "yu"), ("ヨ", "yo"), ("ワ", "wa"), ("ン", "n"), ("ー", ""))},
}

# Hepburn and the spellings of passports, brought to one. In this order.
_SPELLINGS = tuple(
    (re.compile(pattern), to)
    for pattern, to in (
        (r"tch|cch", "tty"), (r"sh", "sy"), (r"ch", "ty"), (r"ts", "t"), (r"dz|dj", "z"), (r"j", "zy"), (r"ph|f", "h"),
        (r"v", "b"), (r"l", "r"), (r"c|q", "k"), (r"x", "ks"), (r"w(?=[ou])", ""), (r"m(?=[bpm])", "n"), (r"(?<=[stz])yi", "i"),
        (r"i(?=y)", ""), (r"hu(?=[aio])", "h"), (r"(?<=o)h(?![aiueoy])", ""), (r"ou|oo", "o"), (r"([a-z])\1+", r"\1"),
    )
)  # fmt: skip

# --- companies --------------------------------------------------------------------------------

# form: as written, as read (large kana), as abbreviated by banks, in Latin letters
_FORMS_OF_COMPANIES = (
    ("kk", "株式会社|株", "カブシキ[カガ]イシヤ", "カ", r"kabushiki ?kaisha|k k|kk"),
    ("yk", "有限会社|有", "ユウゲン[カガ]イシヤ", "ユ", r"yugen ?kaisha|y k|yk"),
    ("gk", "合同会社|同", "ゴウドウ[カガ]イシヤ", "ド", r"godo ?kaisha|g k|gk|llc|l l c"),
    ("gm", "合名会社|名", "ゴウメイ[カガ]イシヤ", "メ", r"gomei ?kaisha"),
    ("gs", "合資会社|資", "ゴウシ[カガ]イシヤ", "シ", r"goshi ?kaisha"),
    ("sd", "一般社団法人|公益社団法人|社団法人|社", "(?:イツパン|コウエキ)?シヤダンホウジン", "シヤ", r"association"),
    ("zd", "一般財団法人|公益財団法人|財団法人|財", "(?:イツパン|コウエキ)?ザイダンホウジン", "ザイ", r"foundation"),
    ("md", "医療法人社団|医療法人財団|医療法人|医", "イリヨウホウジン", "イ", r"medical corporation"),
)
_LTD = r"company limited|co ltd|co limited|inc|incorporated|corp|corporation|limited|ltd|company"  # says little in Japan
_COMPANY_WRITTEN = [(code, re.compile(f"{'|'.join(w for w in written.split('|') if len(w) > 1)}|[(](?:{written.split('|')[-1]})[)]")) for code, written, *_rest in _FORMS_OF_COMPANIES]  # fmt: skip
_COMPANY_KANA = [(code, re.compile(rf"{read}|^[(]?{short}[)]|[(]{short}[)]?$")) for code, _w, read, short, _l in _FORMS_OF_COMPANIES]
_COMPANY_LATIN = [*((code, re.compile(rf"\b(?:{latin})\b")) for code, *_rest, latin in _FORMS_OF_COMPANIES), ("", re.compile(rf"\b(?:{_LTD})\b"))]

# --- addresses --------------------------------------------------------------------------------

_DIGITS = dict(zip("〇一二三四五六七八九", range(10), strict=True))
_COUNTED = re.compile(r"[〇一二三四五六七八九十百]+(?=丁目|番|号|条|区画|の)")
_BLOCKS = re.compile(r"丁目|番地の?|番|号室?|(?<=\d)の(?=\d)")
_PREFECTURE = re.compile(r"^(?:東京都|北海道|(?:京都|大阪)府|(?:神奈川|和歌山|鹿児島|.{2})県)")
_HOUSE = re.compile(r"\d+(?:-\d+)+"), re.compile(r"\d+(?![\d条線区町])")  # 七条 and 北一条 are no house numbers


@dataclass(frozen=True, slots=True)
class Folded:
    """One customer, folded. What is not known is empty."""

    kind: str
    kana: str  # the reading in large katakana, words apart
    sound: str  # the reading in Latin letters, spellings forgiven
    latin: str  # the Latin spelling, folded into the same letters
    written: str  # the name as written: width, old forms and spaces forgiven
    form: str  # a company's legal form and whether it stands before or after: "kk<"
    born: date | None  # or founded
    phone: str
    email: str
    postcode: str
    place: str  # the address down to the house, without the building
    corporate_number: str
    nationality: str
    for_others: bool  # some account is held jointly, or for somebody else

    def names(self) -> tuple[str, ...]:
        """The name in each set of letters it has, word order and spaces forgiven."""
        return tuple(dict.fromkeys(letters_of(name) for name in (self.sound, self.latin) if name))


def folded(
    *,
    kind: str,
    name: str,
    kana: str = "",
    romaji: str = "",
    born: date | None = None,
    phone: str = "",
    email: str = "",
    postcode: str = "",
    address: str = "",
    corporate_number: str = "",
    nationality: str = "",
    for_others: bool = False,
) -> Folded:
    """Fold a customer as registered."""
    name, kana, romaji = (unicodedata.normalize("NFKC", text).strip() for text in (name, kana, romaji))
    form = ""
    if kind != INDIVIDUAL:
        name, form = _without_form(name, _COMPANY_WRITTEN)
        kana, read = _without_form(large_kana(kana, keep="()"), _COMPANY_KANA)
        romaji, spelt = _without_form(_plain_latin(romaji), _COMPANY_LATIN)
        if _is_latin(name):
            name, plain = _without_form(_plain_latin(name), _COMPANY_LATIN)
            form = form or plain
        form = form or read or spelt
    reading = large_kana(kana) or (large_kana(name) if _is_kana(name) else "")
    if reading and _is_latin(reading):
        romaji, reading = romaji or reading, ""
    latin = romaji or (name if _is_latin(name) else "")
    doubling = "ッ" in kana or "っ" in kana  # which letters only double, and is not to be heard here
    sounding = large_kana(re.sub("[ッっ]", "", kana)) if doubling and reading else reading
    return Folded(
        kind=kind,
        kana=reading,
        sound=" ".join(map(_spelling, sounding.translate(_LETTERS).split())),
        latin=" ".join(filter(None, map(_spelling, _plain_latin(latin).split()))),
        written=" ".join(name.translate(_WRITTEN).casefold().split()),
        form=form,
        born=born,
        phone=telephone(phone),
        email=mailbox(email),
        postcode=re.sub(r"\D", "", unicodedata.normalize("NFKC", postcode)),
        place=place(address),
        corporate_number=corporate_number.strip(),
        nationality=nationality,
        for_others=for_others,
    )


def large_kana(text: str, *, keep: str = "") -> str:
    """A reading in large katakana, words apart by one space."""
    table = {code: to for code, to in _KANA.items() if chr(code) not in keep} if keep else _KANA
    text = text.translate(table)
    if "ヴ" in text:
        for written, read in _VU:
            text = text.replace(written, read)
    return " ".join(text.split())


def letters_of(name: str) -> str:
    """The letters of a name in the order of the alphabet: which word stands first, and where words end, is forgiven."""
    return "".join(sorted(name.replace(" ", "")))


@lru_cache(maxsize=50_000)
def _spelling(word: str) -> str:
    word = re.sub(r"[^a-z]", "", word)
    for pattern, to in _SPELLINGS:
        word = pattern.sub(to, word)
    return word


def _plain_latin(text: str) -> str:
    """Lower case, without accents and signs."""
    if not text.isascii():
        text = "".join(sign for sign in unicodedata.normalize("NFD", text) if not unicodedata.combining(sign))
    return " ".join(re.sub(r"[^0-9a-zA-Z]+", " ", re.sub(r"['’-]", "", text)).lower().split())


def _is_latin(text: str) -> bool:
    return bool(text) and all(sign < "ʰ" or not sign.isalpha() for sign in text) and any(sign.isalpha() for sign in text)


def _is_kana(text: str) -> bool:
    letters = [sign for sign in text if sign.isalpha()]
    return bool(letters) and all("ぁ" <= sign <= "ヿ" for sign in letters)


def _without_form(text: str, forms: list[tuple[str, re.Pattern[str]]]) -> tuple[str, str]:
    """A company's name without its legal form; and the form, with < where it stands before the name and > after it."""
    for code, pattern in forms:
        found = pattern.search(text)
        if found:
            rest = f"{text[: found.start()]} {text[found.end() :]}".strip()
            if rest:
                return rest, f"{code}{'<' if found.start() == 0 else '>'}" if code else ""
    return text, ""


# --- particulars ------------------------------------------------------------------------------


def telephone(text: str) -> str:
    """A telephone number as dialled within its country; nothing for what cannot be one."""
    text = unicodedata.normalize("NFKC", text)
    digits = re.sub(r"\D", "", text)
    if digits.startswith("0081"):
        digits = "0" + digits[4:].removeprefix("0")
    elif digits.startswith("81") and (text.lstrip().startswith("+") or len(digits) in (11, 12)):
        digits = "0" + digits[2:].removeprefix("0")
    return digits if len(digits) >= 8 and len(set(digits[3:])) > 1 else ""


def mailbox(text: str) -> str:
    """An e-mail address without what a customer may add to it."""
    text = unicodedata.normalize("NFKC", text).strip().lower()
    name, at, host = text.rpartition("@")
    return f"{name.partition('+')[0]}@{host}" if at and name and host else ""


@lru_cache(maxsize=20_000)
def place(address: str) -> str:
    """An address down to the house: prefecture, building and the words for block and number are forgiven. None without a number."""
    text = unicodedata.normalize("NFKC", address).translate(_WRITTEN)
    if _is_latin(text):
        return re.sub(r"[^0-9a-z]", "", _plain_latin(text)) if re.search(r"\d", text) else ""
    text = _COUNTED.sub(lambda found: str(_counted(found[0])), text)
    text = _BLOCKS.sub("-", text.replace("大字", "").replace("ー", "-"))
    text = _PREFECTURE.sub("", re.sub(r"\s*-\s*", "-", text))
    text = re.sub(r"(?<!\d)\s+", "", text)
    found = _HOUSE[0].search(text) or _HOUSE[1].search(text)
    return text[: found.end()] if found else ""


def _counted(text: str) -> int:
    whole = tens = 0
    for sign in text:
        if sign in "十百":
            whole += (tens or 1) * (10 if sign == "十" else 100)
            tens = 0
        else:
            tens = tens * 10 + _DIGITS[sign]
    return whole + tens


# --- where to look for the same person ---------------------------------------------------------


def blocks(one: Folded) -> list[int]:
    """
    Under which keys a customer is filed: two customers are likened if they share one, and only then.

    So that a fault in one particular hides nobody: by birth date and the beginning of one word of the name; by telephone,
    e-mail, corporate number; by house and the beginning of a word; by name and postcode, or two parts of the birth date.
    """
    return list(dict.fromkeys(_key(text) for text in _filed(one)))


def _filed(one: Folded) -> Iterator[str]:
    words = dict.fromkeys(f"{name}"[:2] for name in (*one.sound.split(), *one.latin.split()) if name)
    written = one.written.replace(" ", "")
    begins = [*words, *([written[0]] if written else [])]
    names = [*one.names(), *([] if one.sound or one.latin else [letters_of(written)])]
    if one.born:
        day = one.born.isoformat()
        yield from (f"b{day}{begin}" for begin in begins)
        year, month, mday = day.split("-")
        for name in names:
            yield from (f"y{name}{year}-{month}", f"m{name}{month}-{mday}", f"d{name}{year}--{mday}")
    if one.phone:
        yield f"p{one.phone}"
    if one.email:
        yield f"e{one.email}"
    if one.corporate_number:
        yield f"c{one.corporate_number}"
    if one.place:
        yield from (f"a{one.place}{begin}" for begin in begins)
    if one.postcode:
        yield from (f"z{one.postcode}{name}" for name in names)
        if written:
            yield f"w{one.postcode}{letters_of(written)}"


def _key(text: str) -> int:
    return int(struct.unpack("<q", hashlib.blake2b(text.encode(), digest_size=8).digest())[0])
