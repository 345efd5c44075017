"""How the portal's templates say dates, hashes and fields."""

from django import template
from django.forms import BoundField

from claims.portal import readable

register = template.Library()

register.filter("day", readable.day)
register.filter("moment", readable.moment)


@register.filter
def grouped(text: str) -> list[str]:
    """A hash in groups of four, to be compared with paper by eye."""
    return [text[n : n + 4] for n in range(0, len(text), 4)]


@register.filter
def described(field: BoundField, hint: str = "") -> str:
    """The ids of what describes a field: its hint, and its error if it has one."""
    ids = [f"{field.html_name}-hint"] if hint else []
    return " ".join([*ids, f"{field.html_name}-error"] if field.errors else ids)
