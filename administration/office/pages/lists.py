"""
Lists that stay fast at a million rows: pages by key, never by number, and nothing is counted.

A column is a label and a function of the row (or the name of an attribute).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, QuerySet

from administration.office.pages.base import CasePage


@dataclass(frozen=True)
class Column:
    label: Any
    value: Callable[[Any], Any]  # text, or safe HTML
    numeric: bool = False
    link: Callable[[Any], str] | None = None


@dataclass(frozen=True)
class Filter:
    """One choice above a list. `narrow` is given the rows and the chosen value."""

    name: str
    label: Any
    choices: list[tuple[str, Any]]
    narrow: Callable[[QuerySet[Any], str], QuerySet[Any]]


class ListPage(CasePage):
    """Rows in the order of their key; `?after=` is the key of the last row shown."""

    template = "office/list.html"
    page_size = 100
    newest_first = False
    key = "pk"  # a whole number that never changes and has an index
    empty: Any = ""  # what to say when there is nothing

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError

    def columns(self) -> list[Column]:
        raise NotImplementedError

    def filters(self) -> list[Filter]:
        return []

    def context(self, **kwargs: Any) -> dict[str, Any]:
        rows, chosen, asked = self.rows(), {}, self.request.GET
        filters = self.filters()
        for one in filters:
            value = asked.get(one.name, "")
            if value and value in {key for key, _label in one.choices}:
                rows, chosen[one.name] = one.narrow(rows, value), value
        after = asked.get("after", "")
        if after.isdecimal() and len(after) < 19:
            rows = rows.filter(**{f"{self.key}__{'lt' if self.newest_first else 'gt'}": int(after)})
        found: list[Model] = list(rows.order_by(f"{'-' if self.newest_first else ''}{self.key}")[: self.page_size + 1])
        more = found[: self.page_size]
        following = urlencode({**chosen, "after": getattr(more[-1], self.key)}) if len(found) > self.page_size else ""
        columns = self.columns()
        return {
            "columns": columns,
            "lines": [
                [(column, column.value(row), column.link(row) if column.link else "") for column in columns]
                for row in more
            ],
            "filters": [(one, chosen.get(one.name, "")) for one in filters],
            "first_page": urlencode(chosen) if after else None,
            "following": following,
            "empty": self.empty,
        }
