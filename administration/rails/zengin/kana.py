"""
The characters of bank files: JIS X 0201, one byte each, and of them only what each kind of field may hold.

`half_width` brings a text to them where nothing has to be guessed: full width to half width, small kana to large, every
long vowel mark to -, ｦ to ｵ. Anything else is a fault with its column and its reason; nothing is ever replaced or left
out.
"""

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import jaconv

DIGITS = "0123456789"
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
KANA = "".join(map(chr, range(0xFF71, 0xFF9E)))  # ｱ to ﾝ
MARKS = "ﾞﾟ"
VOICED, HALF_VOICED = "ｳｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾊﾋﾌﾍﾎ", "ﾊﾋﾌﾍﾎ"
SINGLE_BYTES = {byte: chr(byte) for byte in range(0x20, 0x7F)} | {
    byte: chr(0xFEC0 + byte) for byte in range(0xA1, 0xE0)
}
_KNOWN = bytes(SINGLE_BYTES)
_OF_BYTE = {byte: SINGLE_BYTES.get(byte, "?") for byte in range(256)}


class Characters(StrEnum):
    """What a field may hold, by its kind."""

    BANK = "bank"  # names of banks and branches
    PARTY = "party"  # names of payers and payees; banks still refuse ｦ here
    EDI = "edi"  # words between payer and payee
    TEXT = "text"  # what a bank writes into a statement: any single byte
    CODE = "code"  # Y or nothing


ALLOWED = {
    Characters.BANK: frozenset(" -" + DIGITS + CAPITALS + KANA + MARKS),
    Characters.PARTY: frozenset(" ().-" + DIGITS + CAPITALS + KANA + MARKS),
    Characters.EDI: frozenset(" \\()-/.｢｣ｦ" + DIGITS + CAPITALS + KANA + MARKS),
    Characters.TEXT: frozenset(SINGLE_BYTES.values()),
    Characters.CODE: frozenset("Y "),
}

# Written one way, carried another, and meaning the same.
_SMALL = dict(zip("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ", strict=True))
_SMALL |= dict(zip("ｧｨｩｪｫｯｬｭｮ", "ｱｲｳｴｵﾂﾔﾕﾖ", strict=True))
_DASHES = dict.fromkeys("ーｰ‐‑‒–—―−－─━", "-")
_COMBINING = {"\u3099": "ﾞ", "\u309a": "ﾟ", "゛": "ﾞ", "゜": "ﾟ"}
_SPACES = dict.fromkeys("\u3000・･", " ")


@dataclass(frozen=True, slots=True)
class Strange:
    """One character that a field cannot hold. `column` counts the characters of the text from 1."""

    column: int
    character: str
    reason: str


@cache
def carried(character: str, allowed: Characters) -> str:
    """What a file carries for one character, or "" where that would be a guess."""
    if character in ALLOWED[allowed]:
        return character
    plain = _SMALL.get(character, character)
    plain = _DASHES.get(plain) or _COMBINING.get(plain) or _SPACES.get(plain) or plain
    plain = str(jaconv.hira2kata(plain))
    plain = str(jaconv.z2h(_SMALL.get(plain, plain), kana=True, ascii=True, digit=True))
    if plain.isascii():
        plain = plain.upper()  # of other small letters the capitals are guesses: ß, ı
    if allowed is not Characters.EDI:
        plain = plain.replace("ｦ", "ｵ")
    return plain if plain and all(half in ALLOWED[allowed] for half in plain) else ""


def half_width(text: str, allowed: Characters = Characters.PARTY) -> tuple[str, tuple[Strange, ...]]:
    """The text as a file carries it, and what in it no file can carry. Only without the latter is the former whole."""
    found, strange, before = [], [], ""
    for column, character in enumerate(text, start=1):
        half = carried(character, allowed)
        if not half:
            strange.append(Strange(column, character, why_not(character)))
        elif half in MARKS and not _takes(before, half):
            strange.append(Strange(column, character, "a voiced mark after a character that takes none"))
        found.append(half)
        before = half[-1:]
    return "".join(found).strip(), tuple(strange)


def look(text: str, allowed: Characters) -> tuple[Strange, ...]:
    """What in a text stands as it may not stand in a file. Nothing is converted: for files already written."""
    if ALLOWED[allowed].issuperset(text):
        return ()
    return tuple(
        Strange(column, character, why_not(character))
        for column, character in enumerate(text, start=1)
        if character not in ALLOWED[allowed]
    )


def encode(text: str) -> bytes:
    """The single bytes of a text that `look` finds nothing in."""
    return text.encode("cp932")


def decode(content: bytes) -> tuple[str, tuple[Strange, ...]]:
    """The text of single bytes, and the bytes that are none of JIS X 0201. Columns count from 1."""
    text = content.decode("latin-1").translate(_OF_BYTE)
    if not content.translate(None, _KNOWN):
        return text, ()
    return text, tuple(
        Strange(column, f"\\x{byte:02x}", _why_not_byte(byte))
        for column, byte in enumerate(content, start=1)
        if byte not in SINGLE_BYTES
    )


def cut(text: str, size: int) -> str:
    """The first `size` characters, never parting a kana from its mark."""
    if len(text) <= size:
        return text
    while size and text[size] in MARKS:
        size -= 1
    return text[:size].rstrip()


def why_not(character: str) -> str:
    """In words, what a character is that a bank file cannot carry."""
    name = unicodedata.name(character, "")
    if name.startswith("CJK") or 0xE000 <= ord(character) <= 0xF8FF or character in "々〆":
        return "a kanji; its reading is never guessed"
    if character in ",、，":
        return "a comma, which no bank file carries"
    if unicodedata.category(character).startswith("C"):
        return "a control character"
    if character in "ｧｨｩｪｫｬｭｮｯ":
        return "a small kana; files carry the large one"
    if character == "ｰ":
        return "a long vowel mark; files carry - for it"
    if character == "ｦ":
        return "ｦ, which banks refuse in names; files carry ｵ"
    if unicodedata.east_asian_width(character) in "FW":
        return "a full-width character that has no half-width one"
    if character.islower():
        return "a small letter"
    return "a character no bank file can carry here"


def _takes(before: str, mark: str) -> bool:
    return bool(before) and before in (VOICED if mark == "ﾞ" else HALF_VOICED)


def _why_not_byte(byte: int) -> str:
    if byte in (0x1A, 0x0A, 0x0D):
        return "an end of line or file inside a record"
    if byte < 0x20 or byte == 0x7F:
        return "a control character"
    if 0x81 <= byte <= 0x9F or 0xE0 <= byte <= 0xFC:
        return "half of a double-byte character"
    return "no character of JIS X 0201"
