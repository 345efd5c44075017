"""
What was kept in English, in the language of whoever reads it.

What the house writes down is data, in one wording: the refusal that ended a job, what a rail found wrong with a file.
Where people read it, the sentence is recognised among those of the catalogue and said in their language, with what it
names. One that is not there is shown as it was kept.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache

from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation.trans_real import DjangoTranslation, translation

PLACE = re.compile(r"%\((\w+)\)[sd]")
COUNTED = re.compile(r"(%\(\w+\))d")  # a number that was kept in a sentence is text by now
OWN_LETTERS = 8  # a form with fewer letters of its own would fit too much
FAULT = re.compile(
    r"(?:(?P<what>Line|Item|Entry) (?P<line>\d+)(?: \((?P<return>[^()]+)\))?(?: column (?P<column>\d+))?|The file): (?P<reason>.+)",
    re.DOTALL,
)
# Several faults of one file, kept one after the other.
BETWEEN = re.compile(r"(?<=[.”]) (?=(?:Line|Item|Entry) \d+|The file: |And [\d,]+ more\.)")


def said(text: str) -> str:
    """A sentence, or several faults of a file, in the reader's language."""
    language = get_language() or "en"
    if language.startswith("en") or not text:
        return text
    return _said(text, language)


@lru_cache(maxsize=4096)
def _said(text: str, language: str) -> str:
    if text in _literal(language):
        return _(text)
    if (fault := FAULT.fullmatch(text)) and len(parts := BETWEEN.split(text)) > 1:
        return "".join(_said(part, language) for part in parts)
    if fault:
        return _fault(fault) % {**fault.groupdict(), "reason": _said(fault["reason"], language)}
    for source, letters in _forms(language):
        if all(part in text for part in letters) and (found := _shape(source).fullmatch(text)):
            return COUNTED.sub(r"\1s", _(source)) % {name: _named(value, language) for name, value in found.groupdict().items()}
    return "".join(_said(part, language) for part in parts) if len(parts := BETWEEN.split(text)) > 1 else text


def _fault(fault: re.Match[str]) -> str:
    if not fault["line"]:
        return _("The file: %(reason)s")
    if fault["what"] == "Item":
        return _("Item %(line)s (%(return)s): %(reason)s")
    if fault["what"] == "Entry":
        return _("Entry %(line)s (%(return)s): %(reason)s")
    if fault["return"]:
        return (
            _("Line %(line)s (%(return)s) column %(column)s: %(reason)s")
            if fault["column"]
            else _("Line %(line)s (%(return)s): %(reason)s")
        )
    return _("Line %(line)s column %(column)s: %(reason)s") if fault["column"] else _("Line %(line)s: %(reason)s")


def _named(value: str, language: str) -> str:
    """What a sentence names: a sentence again, a word of the catalogue, a field of a bank's file, or as it is."""
    if value.endswith("."):
        return _said(value, language)
    field = re.fullmatch(r"[a-z0-9 ]+ \((\w[^()]*(?:\([^()]*\))?)\)", value)
    if field and not value.isascii():
        return field[1]
    return _(value) if " " in value or value.islower() else value


@cache
def _shape(source: str) -> re.Pattern[str]:
    parts = PLACE.split(source)  # text, name, text, name, text
    named: set[str] = set()

    def place(name: str) -> str:
        if name in named:
            return f"(?P={name})"
        named.add(name)
        return f"(?P<{name}>.+?)"

    return re.compile("".join(place(part) if n % 2 else re.escape(part) for n, part in enumerate(parts)), re.DOTALL)


@cache
def _literal(language: str) -> frozenset[str]:
    return frozenset(source for source in _sources(language) if not PLACE.search(source))


@cache
def _forms(language: str) -> list[tuple[str, list[str]]]:
    """The sentences with places in them, and the letters between these; those with most letters of their own first."""
    forms = [(source, [part for part in PLACE.split(source)[::2] if part]) for source in _sources(language)]
    wanted = [
        (source, letters) for source, letters in forms if PLACE.search(source) and len("".join(letters)) >= OWN_LETTERS
    ]
    return sorted(wanted, key=lambda form: -len("".join(form[1])))


def _sources(language: str) -> Iterator[str]:
    """Every English sentence of the catalogue that stands in no context."""
    found = translation(language)
    assert isinstance(found, DjangoTranslation)
    for key in found._catalog.keys():  # type: ignore[attr-defined]  # noqa: SLF001, SIM118 - a catalogue cannot be listed otherwise
        source = key if isinstance(key, str) else key[0]
        if source and "\x04" not in source:
            yield source
