"""A page that shows: a sentence, what can be done from here, figures and small tables."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from administration.books.models import Asset
from administration.office import readable
from administration.office.pages.base import CasePage
from administration.office.templatetags.office import amount
from administration.people.models import User


def link(address: str, words: Any) -> SafeString:
    """A link for a cell of a table."""
    return format_html('<a href="{}">{}</a>', address, words)


def day(on: date | None) -> str:
    """A day with its weekday; in Japanese with the era."""
    return readable.day(on, get_language() or "en")


def figure(units: int, asset: Asset) -> SafeString | str:
    """An amount in a wide table: nothing is a plain 0, not eighteen of them."""
    return amount(units, asset) if units else "0"


def tag(words: Any) -> SafeString:
    """A state in a word."""
    return format_html('<span class="tag">{}</span>', words)


def who(user: User | None) -> str:
    """A person by name; a dash for nobody, or the system."""
    return user.shown_name if user else "–"


@dataclass(frozen=True)
class Button:
    """One thing that can be done from a page. Without an address it is greyed, and `why_not` says why."""

    label: Any
    address: str = ""
    main: bool = False
    grave: bool = False
    why_not: Any = ""
    more: bool = False  # seldom pressed: behind “Other acts”


@dataclass(frozen=True)
class Section:
    """A heading, words, and a table if there is one."""

    title: Any = ""
    words: Any = ""
    head: list[Any] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    numeric: frozenset[int] = frozenset()
    empty: Any = ""
    buttons: list[Button] = field(default_factory=list)
    anchor: str = ""
    apart: bool = False  # more long amounts in a row than a screen is wide: each row by itself


class ShowPage(CasePage):
    """Says where something stands. A subclass gives sentence(), buttons(), sections()."""

    template = "office/showing.html"

    def sentence(self) -> Any:
        return ""

    def notices(self) -> list[tuple[str, Any]]:
        """(good | warning | refusal, sentence), loudest first."""
        return []

    def figures(self) -> list[tuple[Any, Any]]:
        return []

    def buttons(self) -> list[Button]:
        return []

    def sections(self) -> list[Section]:
        return []

    def prepare(self, **kwargs: Any) -> None:
        """Read what the address names; Http404 for another case's."""

    def context(self, **kwargs: Any) -> dict[str, Any]:
        self.prepare(**kwargs)
        return {
            "sentence": self.sentence(),
            "notices": self.notices(),
            "figures": self.figures(),
            "buttons": [button for button in self.buttons() if button.address or button.why_not],
            "sections": self.sections(),
        }

    def button(self, label: Any, name: str, power: str = "", **options: Any) -> Button:
        """A button to a page of the case; greyed for who lacks the power it needs."""
        keys = {key: options.pop(key) for key in list(options) if key not in ("main", "grave", "why_not")}
        if power and not self.may(power):
            return Button(label)
        return Button(label, self.url(name, **keys), **options)
