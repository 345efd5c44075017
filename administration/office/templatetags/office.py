"""How the office's pages say amounts, times and hashes."""

import re
from datetime import date, datetime
from typing import Any

from django import template
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from administration import wording
from administration.books.models import Asset
from administration.cases import stops
from administration.cases.models import Stop
from administration.office import readable, words

register = template.Library()


@register.filter
def amount(units: int | None, asset: Asset) -> SafeString | str:
    """{{ units|amount:asset }}: grouped, every decimal place, the fraction in threes so that 18 places can be read."""
    if units is None:
        return "–"
    whole, fraction = readable.parts(units, asset.scale)
    return format_html('<span class="amount">{}<span class="fraction">{}</span></span> {}', whole, fraction, asset.code)


@register.filter
def difference(units: int | None, asset: Asset) -> str:
    """{{ gap|difference:asset }}: with its sign in text, so that colour is never alone."""
    if units is None:
        return "–"
    return f"+{readable.money(units, asset)}" if units > 0 else readable.money(units, asset)


@register.filter
def day(on: date | None) -> str:
    """{{ row.due_date|day }}: 2026-10-02 (Fri); in Japanese with the era."""
    return readable.day(on, get_language() or "en")


@register.filter
def breaking(value: Any) -> SafeString:
    """{{ value|breaking }}: a long amount goes on in the next line between its groups of digits, not within one."""
    return SafeString(conditional_escape(value).replace("\u202f", "\u202f<wbr>"))


@register.filter
def dated(sentence: str) -> str:
    """{{ why.office|dated }}: a sentence as `why` says it, with its days as people read them."""
    return re.sub(r"\b\d{4}-\d\d-\d\d\b", lambda found: day(date.fromisoformat(found[0])), sentence)


@register.filter
def rail(code: str) -> str:
    """{{ stop.rail|rail }}: what people call a rail; every rail where none is named."""
    return words.of(words.RAILS, code) if code else _("every rail")


@register.filter
def reason(stop: Stop) -> str:
    """{{ stop|reason }}: why sending was stopped."""
    return stops.reason_of(stop)


@register.filter
def said(text: str) -> str:
    """{{ job.error|said }}: what was kept in English, in the reader's language."""
    return wording.said(text)


@register.filter
def jst(at: datetime | None) -> str:
    """{{ at|jst }}: 2026-10-02 (Fri) 15:00 JST; in Japanese with the era, as court papers have it."""
    return readable.instant(at, get_language() or "en")


@register.filter
def sha(value: Any) -> SafeString:
    """{{ row.sha256|sha }}: the first and last digits, the whole in the title."""
    text = bytes(value).hex() if isinstance(value, (bytes, memoryview)) else str(value or "")
    short = f"{text[:8]}…{text[-8:]}" if len(text) > 20 else text
    return format_html('<code title="{}">{}</code>', text, short)


@register.filter
def grouped(number: Any) -> str:
    """{{ 1234567|grouped }}: 1,234,567."""
    return f"{number:,}" if isinstance(number, int) else str(number)


@register.filter
def share(part: Any, whole: Any) -> str:
    """{{ done|share:total }}: whole percent from 0 to 100, for bars."""
    return str(min(100, max(0, int(part) * 100 // int(whole)))) if whole else "0"


@register.filter
def person(user: Any) -> str:
    """{{ row.by|person }}: the name people know, or the sign-in; the system where nobody acted."""
    return user.get_full_name() or user.username if user else _("the system")


@register.filter
def office_name(kind: str) -> str:
    """{{ appointment.kind|office_name }}: the office in words."""
    return words.of(words.OFFICES, kind)


@register.filter
def in_eights(text: str) -> str:
    """A hash in groups of eight, as one compares it by eye."""
    return " ".join(text[n : n + 8] for n in range(0, len(text), 8))


@register.filter
def in_fours(text: str) -> str:
    """A key in groups of four, as one types it."""
    return " ".join(text[n : n + 4] for n in range(0, len(text), 4))


@register.filter
def at(cells: Any, number: int) -> Any:
    """{{ head|at:forloop.counter0 }}: the cell of that column; on a phone it stands beside each value."""
    return cells[number] if number < len(cells) else ""
