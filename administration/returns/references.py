"""
References of returns: "R", nine digits, a check digit. Short enough for every bank's field, safe in kana and capitals.

The number counts the returns of a case in the order of their claims' numbers and assets, so that a round which was
killed and resumed gives the same references as one that was not. The database counts alike (return_reference).
"""

import re

from django.utils.translation import gettext as _

from administration.errors import Refused

PATTERN = re.compile(r"R([0-9]{9})([0-9])", re.ASCII)
HIGHEST = 999_999_999


class NoSuchReference(Refused):
    """The text is not a reference of ours; a digit may be wrong."""


def check_digit(number: int) -> int:
    """Luhn: catches every wrong digit and nearly every swap of neighbours."""
    total = 0
    for place, digit in enumerate(map(int, reversed(str(number)))):
        doubled = digit * 2 if place % 2 == 0 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return -total % 10


def make(number: int) -> str:
    """The reference of the `number`th return of a case."""
    if not 0 <= number <= HIGHEST:
        raise ValueError(f"A case has at most {HIGHEST} returns.")
    return f"R{number:09d}{check_digit(number)}"


def number_of(reference: str) -> int:
    """The number in a reference. Raises NoSuchReference when it is misspelt."""
    found = PATTERN.fullmatch(reference)
    if found is None or check_digit(int(found[1])) != int(found[2]):
        raise NoSuchReference(
            _("%(reference)s is not a reference of a return. Check its digits.") % {"reference": reference}
        )
    return int(found[1])
