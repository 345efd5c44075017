"""The days on which Japanese banks carry transfers out: not weekends, public holidays, or 31 December to 3 January."""

from collections.abc import Collection
from datetime import date, timedelta
from functools import cache
from typing import cast

import holidays

NEW_YEAR = ((12, 31), (1, 1), (1, 2), (1, 3))
SATURDAY = 5


@cache
def _public_holidays(year: int) -> frozenset[date]:
    days = holidays.country_holidays("JP", years=year)
    return frozenset(cast("Collection[date]", days.keys()))


def why_closed(day: date) -> str:
    """In words, why banks are closed that day; "" when they are open."""
    if day.weekday() >= SATURDAY:
        return "a Saturday" if day.weekday() == SATURDAY else "a Sunday"
    if (day.month, day.day) in NEW_YEAR:
        return "in the banks' new year's rest"
    return "a public holiday" if day in _public_holidays(day.year) else ""


def is_open(day: date) -> bool:
    return not why_closed(day)


def next_open(day: date) -> date:
    """That day, or the first one after it on which banks are open."""
    while not is_open(day):
        day += timedelta(days=1)
    return day


def closed_weekdays(year: int) -> list[tuple[date, str]]:
    """The days of a year from Monday to Friday on which banks are closed, each with its reason."""
    first = date(year, 1, 1)
    days = (first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days))
    return [(day, why_closed(day)) for day in days if day.weekday() < SATURDAY and not is_open(day)]


def after(day: date, count: int) -> date:
    """The bank day `count` bank days after that one."""
    for _day in range(count):
        day = next_open(day + timedelta(days=1))
    return day
