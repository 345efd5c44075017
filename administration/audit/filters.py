"""
Which returns or events a pull or a page is about: what was asked for, and over which period the asker may read.

    BadFilter   there is nothing that could be filtered like that

Every population statement says its filter back in these words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, time
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from administration.audit.models import Token
from administration.cases.models import Case
from administration.errors import Refused
from administration.record.encoding import micros
from administration.returns.models import ReturnState

DATES = {  # what a date can be of → its column in lines.py
    "scheduled": "o.scheduled_at",
    "frozen": "b.frozen_at",
    "settled": "s.settled_at",
    "returned": "s.returned_at",
}


class BadFilter(Refused):
    """Nothing can be filtered like that; the message says what can."""


@dataclass(frozen=True)
class Filter:
    """Of returns: asset, state, batch, and dates (`until` is exclusive). Of events: the beginning of their kind, and dates."""

    asset: str = ""
    state: str = ""
    batch: str = ""
    dated: str = ""
    since: datetime | None = None
    until: datetime | None = None
    kind: str = ""

    def __bool__(self) -> bool:
        return self != Filter()

    def stated(self) -> dict[str, str] | str:
        """As it stands in the population statement."""
        said = {field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name)}
        return {name: micros(value) if isinstance(value, datetime) else value for name, value in said.items()} or "none"

    def of_returns(self) -> tuple[list[str], dict[str, Any]]:
        """Conditions on the rows of lines.py and their parameters."""
        given = {"asset": "a.code", "state": "r.state", "batch": "b.reference"}
        where = [f"{column} = %(only_{name})s" for name, column in given.items() if getattr(self, name)]
        params: dict[str, Any] = {f"only_{name}": getattr(self, name) for name in given if getattr(self, name)}
        column = DATES[self.dated or "scheduled"]
        if self.since:
            where.append(f"{column} >= %(since)s")
            params["since"] = self.since
        if self.until:
            where.append(f"{column} < %(until)s")
            params["until"] = self.until
        return where, params

    def of_events(self) -> tuple[list[str], dict[str, Any]]:
        where: list[str] = []
        params: dict[str, Any] = {}
        if self.kind:
            where.append("starts_with(e.kind, %(kind)s)")
            params["kind"] = self.kind
        if self.since:
            where.append("e.recorded_at >= %(since)s")
            params["since"] = self.since
        if self.until:
            where.append("e.recorded_at < %(until)s")
            params["until"] = self.until
        return where, params


@dataclass(frozen=True)
class Period:
    """The part of the record that somebody may read: all of it, or what a token says."""

    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def of(cls, token: Token | None) -> "Period":
        return cls(token.period_from, token.period_to) if token else cls()

    def stated(self) -> dict[str, str] | str:
        said = {"from": self.since, "to": self.until}
        return {name: micros(value) for name, value in said.items() if value} or "the whole record"

    def of_returns(self) -> tuple[list[str], dict[str, Any]]:
        """What was scheduled before the period ended and not finished before it began."""
        where: list[str] = []
        params: dict[str, Any] = {}
        if self.since:
            where.append("coalesce(s.returned_at, s.settled_at, 'infinity') >= %(period_from)s")
            params["period_from"] = self.since
        if self.until:
            where.append("o.scheduled_at < %(period_to)s")
            params["period_to"] = self.until
        return where, params

    def of_events(self) -> tuple[list[str], dict[str, Any]]:
        """Numbers and instants of recording rise together, so a period of the record has no gap either."""
        where: list[str] = []
        params: dict[str, Any] = {}
        if self.since:
            where.append("e.recorded_at >= %(period_from)s")
            params["period_from"] = self.since
        if self.until:
            where.append("e.recorded_at < %(period_to)s")
            params["period_to"] = self.until
        return where, params


RETURNS = ("asset", "state", "batch", "dated", "from", "to")
EVENTS = ("kind", "from", "to")


def read(case: Case, given: Mapping[str, str], *, names: tuple[str, ...]) -> Filter:
    """The filter that somebody gave as texts; only `names` can be filtered by."""
    asked = {name: value.strip() for name, value in given.items() if value and value.strip()}
    for name in asked:
        if name not in names:
            raise BadFilter(
                _("Nothing here can be filtered by “%(name)s”, but by: %(names)s.")
                % {"name": name, "names": ", ".join(names)}
            )
    state, dated = asked.get("state", ""), asked.get("dated", "")
    if state and state not in ReturnState.values:
        raise BadFilter(
            _("There is no state “%(state)s” of a return. The states are: %(states)s.")
            % {"state": state, "states": ", ".join(ReturnState.values)}
        )
    if dated and dated not in DATES:
        raise BadFilter(
            _("A return has no date “%(dated)s”. Its dates are: %(dates)s.")
            % {"dated": dated, "dates": ", ".join(DATES)}
        )
    for name, there in (
        ("asset", case.assets.filter(code=asked.get("asset"))),
        ("batch", case.batches.filter(reference=asked.get("batch"))),
    ):
        if name in asked and not there.exists():
            raise BadFilter(
                _("Case %(case)s has no %(name)s “%(value)s”.") % {"case": case, "name": name, "value": asked[name]}
            )
    return Filter(
        asset=asked.get("asset", ""), state=state, batch=asked.get("batch", ""), dated=dated,
        since=instant(asked.get("from")), until=instant(asked.get("to")), kind=asked.get("kind", ""),
    )  # fmt: skip


def instant(text: str | None) -> datetime | None:
    """A day, which begins at midnight in Japan, or an instant with its zone."""
    if not text:
        return None
    try:
        if len(text) == len("2027-01-31"):
            return timezone.make_aware(datetime.combine(date.fromisoformat(text), time.min))
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadFilter(
            _("“%(text)s” is no date. Write a day as 2027-01-31 or an instant as 2027-01-31T15:00:00+09:00.")
            % {"text": text}
        )
    return found
