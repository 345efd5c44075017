"""Amounts and dates as a customer reads them, in both languages. Pure: whole units and instants in, words out."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language

JST = ZoneInfo("Asia/Tokyo")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS = {"en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), "ja": "月火水木金土日"}
ERAS = (
    (date(2019, 5, 1), "令和"), (date(1989, 1, 8), "平成"), (date(1926, 12, 25), "昭和"), (date(1912, 7, 30), "大正"),
)  # fmt: skip
GROUP = 3
LONG = 12  # digits


def japanese() -> bool:
    return (get_language() or "en").startswith("ja")


def era_year(day: date) -> str:
    """令和8年; the first year of an era is 元年."""
    for first, era in ERAS:
        if day >= first:
            year = day.year - first.year + 1
            return f"{era}{'元' if year == 1 else year}年"
    return f"{day.year}年"


def day(when: date | datetime | str | None) -> str:
    """2 October 2026 (Fri); 令和8年10月2日(金). Days are those of Japan."""
    found = _day(when)
    if found is None:
        return ""
    if japanese():
        return f"{era_year(found)}{found.month}月{found.day}日（{WEEKDAYS['ja'][found.weekday()]}）"
    return f"{found.day} {MONTHS[found.month - 1]} {found.year} ({WEEKDAYS['en'][found.weekday()]})"


def moment(when: datetime | str | None) -> str:
    """The day, and the time of day in Japan."""
    found = instant(when)
    if found is None:
        return ""
    local = found.astimezone(JST)
    if japanese():
        return f"{day(local)} {local.hour}時{local.minute:02d}分（日本時間）"
    return f"{day(local)}, {local:%H:%M} JST"


def instant(when: datetime | str | None) -> datetime | None:
    if not when:
        return None
    return datetime.fromisoformat(when) if isinstance(when, str) else when


def _day(when: date | datetime | str | None) -> date | None:
    if not when:
        return None
    if isinstance(when, str):
        if len(when) == len("2026-10-02"):
            return date.fromisoformat(when)
        when = datetime.fromisoformat(when)
    return when.astimezone(JST).date() if isinstance(when, datetime) else when


# --- amounts ----------------------------------------------------------------------------------


def parts(units: int, scale: int) -> tuple[str, str]:
    """Whole part with commas, and decimals without idle zeros at the end; exact."""
    sign, figures = ("−" if units < 0 else ""), str(abs(units)).rjust(scale + 1, "0")
    whole, decimals = (figures[:-scale], figures[-scale:].rstrip("0")) if scale else (figures, "")
    return f"{sign}{int(whole):,}", decimals


def amount(units: int, scale: int, code: str) -> str:
    """¥412,300 or 412,300円; 0.0412 BTC. Plain text, for sentences and for copying."""
    whole, decimals = parts(units, scale)
    return _with_unit(f"{whole}.{decimals}" if decimals else whole, code)


def amount_html(units: int, scale: int, code: str) -> SafeString:
    """
    The same with decimals in groups of three that the eye can count, and no signs in between that get copied.

    Groups may go to the next line on a narrow screen; long figures are set smaller where figures are set large.
    """
    whole, decimals = parts(units, scale)
    groups = (decimals[n : n + GROUP] for n in range(0, len(decimals), GROUP))
    figure = whole if not decimals else format_html(
        "{}.{}", whole, format_html_join("", '<span class="g">{}</span><wbr>', ((group,) for group in groups))
    )  # fmt: skip
    size = " long" if len(whole) + len(decimals) > LONG else ""
    if code == "JPY":
        shape = '<span class="amount{}">{}<small>円</small></span>' if japanese() else '<span class="amount{}">¥{}</span>'
        return format_html(shape, size, figure)
    return format_html('<span class="amount{}">{} <small>{}</small></span>', size, figure, code)


def _with_unit(figure: str, code: str) -> str:
    if code == "JPY":
        return f"{figure}円" if japanese() else f"¥{figure}"
    return f"{figure} {code}"
