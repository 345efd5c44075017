"""Amounts and instants as people read them, for pages in both languages."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from administration import amounts
from administration.books.models import Asset

JST = ZoneInfo("Asia/Tokyo")
WEEKDAYS = "月火水木金土日"
IN_A_SENTENCE = 4  # amounts a person can read one after the other
REIWA = 2018  # 令和n年 is 2018 + n


def parts(units: int, scale: int) -> tuple[str, str]:
    """("1,234", ".000 000 01"): the whole part grouped, the fraction in threes by narrow spaces."""
    whole, _point, fraction = amounts.show(units, scale).partition(".")
    sign, digits = ("−", whole[1:]) if whole.startswith("-") else ("", whole)
    threes = "\u202f".join(fraction[n : n + 3] for n in range(0, len(fraction), 3))
    return f"{sign}{int(digits):,}", f".{threes}" if threes else ""


def money(units: int, asset: Asset) -> str:
    """"1,234.000 000 01 BTC": plain text, for figures and sentences."""
    return f"{''.join(parts(units, asset.scale))} {asset.code}"


def instant(at: datetime | None, language: str) -> str:
    """2026-10-02 (Fri) 15:00 JST; 2026年10月2日（金）15:00（令和8年）."""
    if at is None:
        return "–"
    try:
        here, zone = at.astimezone(JST), "JST"
    except OverflowError:  # the last hours of the year 9999 have no Japanese time
        here, zone = at.astimezone(UTC), "UTC"
    if language.startswith("ja"):
        return f"{day(here.date(), language)} {here:%H:%M}" + (" UTC" if zone == "UTC" else "")
    return f"{here:%Y-%m-%d (%a) %H:%M} {zone}"


def day(on: date | None, language: str) -> str:
    """2026-10-02 (Fri); 令和8年10月2日（金）."""
    if on is None:
        return "–"
    if language.startswith("ja"):
        year = f"令和{on.year - REIWA}年" if on.year > REIWA + 1 else f"{on.year}年"
        return f"{year}{on.month}月{on.day}日（{WEEKDAYS[on.weekday()]}）"
    return f"{on:%Y-%m-%d (%a)}"


def listed(things: Iterable[Any]) -> str:
    """Several things in one cell: first; second. In Japanese 、 between them."""
    return ("、" if (get_language() or "").startswith("ja") else "; ").join(map(str, things))


def in_a_sentence(amounts: list[str]) -> str:
    """Amounts of a few assets as they are; of many, how many: each stands by itself below the sentence."""
    return " + ".join(amounts) if len(amounts) <= IN_A_SENTENCE else _("what is listed below (%(n)s assets)") % {"n": len(amounts)}


def seconds(count: float) -> str:
    """A span a person can plan by: 12 s, 4 min, 3 h."""
    if count < 90:
        return _("%(n)d s") % {"n": count}
    if count < 5400:
        return _("%(n)d min") % {"n": round(count / 60)}
    return _("%(n)d h") % {"n": round(count / 3600)}
