"""
How an exchange writes days, instants, numbers and texts, as far as a mapping declares it; nothing else is understood.

Each grammar turns the delivered text into the form of the package, exactly, or raises NotInGrammar with the kind of fault.
Pure: knows no file and no database.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import jaconv

Convert = Callable[[str], str]


class NotInGrammar(ValueError):
    """The text is not written as declared; `kind` is one of unconverted.KINDS."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


# --- days and instants ------------------------------------------------------------------------

# First day of each era. Meiji took the Gregorian calendar with its 6th year.
ERAS = {
    "令和": date(2019, 5, 1), "平成": date(1989, 1, 8), "昭和": date(1926, 12, 25), "大正": date(1912, 7, 30),
    "明治": date(1868, 10, 23),
}  # fmt: skip
_ERA_OF = {
    **{name: name for name in ERAS}, "R": "令和", "H": "平成", "S": "昭和", "T": "大正", "M": "明治", "令": "令和", "平": "平成",
    "昭": "昭和", "大": "大正", "明": "明治", "㋿": "令和", "㍻": "平成", "㍼": "昭和", "㍽": "大正", "㍾": "明治",
}  # fmt: skip
_LAST_DAYS = {
    "平成": date(2019, 4, 30), "昭和": date(1989, 1, 7), "大正": date(1926, 12, 24), "明治": date(1912, 7, 29),
}  # fmt: skip
_NUMBER = r"([0-9]{1,2})"
_DAYS = {
    "iso": re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII),
    "slash": re.compile(r"([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})", re.ASCII),
    "dot": re.compile(r"([0-9]{4})\.([0-9]{1,2})\.([0-9]{1,2})", re.ASCII),
    "compact": re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII),
    "kanji": re.compile(r"([0-9]{4})年([0-9]{1,2})月([0-9]{1,2})日", re.ASCII),
    "day first": re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", re.ASCII),
    "month first": re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", re.ASCII),
}
_WAREKI = re.compile(
    rf"({'|'.join(map(re.escape, _ERA_OF))})\s?(元|[0-9]{{1,2}})(?:年\s?{_NUMBER}月\s?{_NUMBER}日|[./-]{_NUMBER}[./-]{_NUMBER})", re.ASCII
)
DAY_GRAMMARS = (*_DAYS, "wareki")
_INSTANT = re.compile(
    r"(.+?)[T ]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,6})?)? ?(Z|[+-][0-9]{2}:[0-9]{2})?", re.ASCII
)


def day(text: str, grammars: tuple[str, ...], *, full_width: bool = False) -> str:
    """A day in ISO form. It must be written in one of the grammars; if two read it differently, it is ambiguous."""
    if full_width and not text.isascii():
        text = _narrow(text)
    found = {_day(text, grammar) for grammar in grammars} - {None}
    if len(found) != 1:
        raise NotInGrammar("bad_date")
    return str(found.pop())


def _day(text: str, grammar: str) -> str | None:
    if grammar == "wareki":
        return _wareki(text)
    match = _DAYS[grammar].fullmatch(text)
    if match is None:
        return None
    year, month, nth = match.groups()
    if grammar == "day first":
        year, month, nth = nth, month, year
    elif grammar == "month first":
        year, month, nth = nth, year, month
    try:
        return date(int(year), int(month), int(nth)).isoformat()
    except ValueError:
        raise NotInGrammar("bad_date") from None


def _wareki(text: str) -> str | None:
    match = _WAREKI.fullmatch(text)
    if match is None:
        return None
    era = _ERA_OF[match[1]]
    year = 1 if match[2] == "元" else int(match[2])
    if year == 0:
        raise NotInGrammar("bad_date")
    try:
        found = date(ERAS[era].year + year - 1, int(match[3] or match[5]), int(match[4] or match[6]))
    except ValueError:
        raise NotInGrammar("bad_date") from None
    if not ERAS[era] <= found <= _LAST_DAYS.get(era, date.max):
        raise NotInGrammar("era_does_not_fit")
    return found.isoformat()


_TIME = re.compile(r"[0-9:.時分秒 ]*(?:AM|PM|am|pm|午前|午後)?[0-9:.時分秒 ]*")  # of a day, without an offset


def day_of(text: str, grammars: tuple[str, ...], offset: str, *, full_width: bool = False) -> str:
    """The day of an instant whose time is cut. One that says its offset falls on the day it had at the mapping's `offset`."""
    written, _space, time = text.replace("T", " ", 1).partition(" ")
    if _TIME.fullmatch(_narrow(time) if full_width else time):
        return day(written, grammars, full_width=full_width)
    if not offset:  # midnight in Japan is the day before in UTC: which day is meant must be said
        raise NotInGrammar("bad_date")
    try:
        at = datetime.fromisoformat(instant(text, grammars, ""))
        return at.astimezone(datetime.fromisoformat(f"2000-01-01T00:00:00{offset}").tzinfo).date().isoformat()
    except (NotInGrammar, OverflowError):
        raise NotInGrammar("bad_date") from None


def instant(text: str, grammars: tuple[str, ...], offset: str) -> str:
    """An instant with its offset. `offset` is what the mapping declares for texts that carry none; empty: they must."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise NotInGrammar("bad_instant")
    try:
        on = day(match[1], grammars)
    except NotInGrammar:
        raise NotInGrammar("bad_instant") from None
    zone = match[6] or offset
    if not zone:
        raise NotInGrammar("bad_instant")
    made = f"{on}T{int(match[2]):02}:{match[3]}:{match[4] or '00'}{match[5] or ''}{zone}"
    try:
        datetime.fromisoformat(made)
    except ValueError:
        raise NotInGrammar("bad_instant") from None
    return made


# --- numbers ----------------------------------------------------------------------------------

PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
GROUPED = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?", re.ASCII)
_EXPONENT = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?[eE][+-]?[0-9]+", re.ASCII)
NEGATIVES = ("△", "▲", "()", "−", "－", "trailing -")
_SIGNS = {"△": "△", "▲": "▲", "−": "−", "－": "－"}


@dataclass(frozen=True, slots=True)
class Number:
    """How numbers are written in one column."""

    decimal: str = "."
    thousands: str = ""
    negative: tuple[str, ...] = ()  # beside a leading hyphen, which is always one
    full_width: bool = False
    around: tuple[str, ...] = ()  # what may stand before or after: ¥, 円, BTC
    minor_units: bool = False  # whole smallest units: 150000000 is 1.5 BTC

    def read(self, text: str) -> str:
        """Plain decimal text, digit for digit."""
        if PLAIN.fullmatch(text) and not (self.decimal == "," and "." in text) and not (self.minor_units and "." in text):
            return text
        return self._read(text)

    def _read(self, text: str) -> str:
        given = text
        if self.thousands == "," and self.decimal == "." and not self.minor_units and GROUPED.fullmatch(text):
            return text.replace(",", "")
        if not text.isascii() and self.full_width:
            text = "".join(_FULL_WIDTH.get(sign, sign) for sign in text)
        for mark in self.around:
            text = text.removeprefix(mark).removesuffix(mark).strip(" ")
        text, below = self._sign(text, given)
        if self.thousands and self.thousands in text:
            text = self._ungrouped(text)
        if self.decimal != ".":
            if "." in text:
                raise NotInGrammar(kind_of(given))
            text = text.replace(self.decimal, ".", 1)
        if not PLAIN.fullmatch(text) or (below and text.startswith("-")) or (self.minor_units and "." in text):
            raise NotInGrammar(kind_of(given))
        return "-" + text if below else text

    def _sign(self, text: str, given: str) -> tuple[str, bool]:
        for sign in self.negative:
            if sign == "()" and text.startswith("(") and text.endswith(")"):
                return self._bare(text[1:-1]), True
            if sign == "trailing -" and text.endswith("-"):
                return self._bare(text[:-1]), True
            if sign in _SIGNS and text.startswith(sign):
                return self._bare(text[1:]), True
        if text[:1] in _SIGNS or (text.startswith("(") and text.endswith(")")) or (text.endswith("-") and len(text) > 1):
            raise NotInGrammar("negative_not_declared")
        return text, False

    def _bare(self, text: str) -> str:
        for mark in self.around:
            text = text.removeprefix(mark).removesuffix(mark).strip(" ")
        return text.strip(" ")

    def _ungrouped(self, text: str) -> str:
        """Without its thousands separators, which must stand where thousands end."""
        whole, point, rest = text.partition(self.decimal)
        groups = whole.removeprefix("-").split(self.thousands)
        regular = 1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:]) and self.thousands not in rest
        if not regular:
            raise NotInGrammar("not_a_number")
        return whole.replace(self.thousands, "") + point + rest


_FULL_WIDTH = {chr(0xFF10 + n): str(n) for n in range(10)} | {"．": ".", "，": ",", "（": "(", "）": ")", "－": "-", "￥": "¥"}


def kind_of(text: str) -> str:
    """Which fault a text is that should be a number."""
    if _EXPONENT.fullmatch(text):
        return "exponent"
    if any(sign in _FULL_WIDTH and _FULL_WIDTH[sign].isdigit() for sign in text):
        return "full_width_digits"
    return "not_a_number"


def in_whole_coins(text: str, scale: int) -> str:
    """Whole smallest units as decimal text: ("150000000", 8) is 1.50000000."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    digits = digits.rjust(scale + 1, "0")
    return sign + (f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits)


# --- texts ------------------------------------------------------------------------------------

_KANA_HALF = re.compile(r"[\uff61-\uff9f]+")


def _narrow(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def full_width_kana(text: str) -> str:
    """Half-width kana in full width (ﾀﾅｶ → タナカ); everything else stays."""
    return _KANA_HALF.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)


def half_width_kana(text: str) -> str:
    """Katakana, digits and Latin letters in half width, as a bank writes names."""
    return str(jaconv.z2h(text, kana=True, ascii=True, digit=True)).replace("　", " ")


def half_width_digits(text: str) -> str:
    return "".join(_FULL_WIDTH.get(sign, sign) if "０" <= sign <= "９" else sign for sign in text)


TEXTS: dict[str, Convert] = {
    "full-width kana": full_width_kana,
    "half-width kana": half_width_kana,
    "half-width digits": half_width_digits,
    "trimmed": lambda text: text.strip(" \u3000\t"),
    "without hyphens": lambda text: text.replace("-", ""),
    "NFC": lambda text: unicodedata.normalize("NFC", text),
    "capitals": str.upper,
    "small letters": str.lower,
}


def zero_padded(text: str, width: int) -> str:
    """Leading zeros that a spreadsheet dropped, put back; nothing is cut off."""
    if len(text) > width:
        raise NotInGrammar("too_wide")
    return text.rjust(width, "0")
