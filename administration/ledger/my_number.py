"""
Individual numbers (個人番号, My Number): the law forbids us to hold them, so a file that carries a column of them is refused.

Known by the column's name in either language, or by what is in it: twelve digits of which the last is the check digit.
"""

import re
import unicodedata

_NAMES = ("個人番号", "マイナンバ", "mynumber", "individualnumber", "kojinbango", "socialsecurityandtaxnumber", "特定個人情報")
_JOINTS = re.compile(r"[\s_\-ー・.()（）]+")
_DIGITS = re.compile(r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}", re.ASCII)
LEAST = 2  # one number in eleven passes by chance: fewer than so many say nothing
SHARE = 0.8  # of the twelve-digit texts of a column that must pass


def is_name(name: str) -> bool:
    """Whether a column's name says that it carries individual numbers."""
    plain = _JOINTS.sub("", unicodedata.normalize("NFKC", name).lower())
    return any(one in plain for one in _NAMES)


def is_number(text: str) -> bool:
    """Whether a text has twelve digits and the check digit of an individual number."""
    if not 12 <= len(text) <= 14:
        return False
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    if not _DIGITS.fullmatch(text):
        return False
    digits = [int(sign) for sign in text if sign.isdigit()]
    weighted = sum(digit * (n + 1 if n <= 6 else n - 5) for n, digit in enumerate(reversed(digits[:11]), start=1))
    rest = weighted % 11
    return digits[11] == (0 if rest <= 1 else 11 - rest)


def is_shaped(text: str) -> bool:
    """Whether a text could be one by its form alone."""
    return 12 <= len(text) <= 14 and _DIGITS.fullmatch(unicodedata.normalize("NFKC", text)) is not None


class Watch:
    """Looks over the shoulder while rows are read: the first thousands, then a sample."""

    EVERY, FIRST = 37, 5_000

    def __init__(self, seen: dict[str, list[int]] | None = None) -> None:
        self.seen = seen if seen is not None else {}  # column → [of the form, with the check digit]

    def look(self, names: list[str], values: list[str]) -> None:
        for name, value in zip(names, values, strict=False):
            if 12 <= len(value) <= 14 and is_shaped(value):
                found = self.seen.setdefault(name, [0, 0])
                found[0] += 1
                found[1] += is_number(value)

    def caught(self) -> str:
        """The column that carries individual numbers, if one does."""
        for name, (shaped, passed) in self.seen.items():
            if passed >= LEAST and passed >= SHARE * shaped:
                return name
        return ""
