"""
The case as a TOML file: see example_case.toml, which says what every entry means.

    NotReadable   the file is not what the example shows
"""

import tomllib
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from django.db import transaction
from django.utils.translation import gettext as _

from administration.cases import archive, orders, succession
from administration.cases.cases import Appointed, Due, Ordered, open_case
from administration.cases.models import Case, CourtOrder, Succession
from administration.errors import Refused
from administration.people import users
from administration.people.models import User

T = TypeVar("T")


class NotReadable(Refused):
    """The file is not what the example shows."""


class Entries:
    """One table of the file. Every entry is asked for by name and type; what nobody asked for is refused."""

    def __init__(self, table: dict[str, Any], where: str, file: Path) -> None:
        self._table, self._where, self._file, self._asked = dict(table), where, file, set[str]()

    def get(self, name: str, kind: type[T], default: T | None = None) -> T:
        self._asked.add(name)
        value = self._table.get(name, default)
        if value is None:
            raise self._refused(_("“%(name)s” is missing") % {"name": name})
        wrong = isinstance(value, bool) and kind is not bool
        if wrong or not isinstance(value, kind) or (kind is date and isinstance(value, datetime)):
            raise self._refused(_("“%(name)s” must be %(kind)s") % {"name": name, "kind": kind.__name__})
        return value

    def maybe(self, name: str, kind: type[T]) -> T | None:
        self._asked.add(name)
        return self.get(name, kind) if name in self._table else None

    def moment(self, name: str) -> datetime:
        value = self.get(name, datetime)
        if value.tzinfo is None:
            raise self._refused(_("“%(name)s” must say its offset, as in 2026-09-30T15:00:00+09:00") % {"name": name})
        return value

    def maybe_moment(self, name: str) -> datetime | None:
        self._asked.add(name)
        return self.moment(name) if name in self._table else None

    def scan(self, name: str) -> bytes:
        path = self._file.parent / self.get(name, str)
        try:
            return path.read_bytes()
        except OSError as error:
            raise self._refused(
                _("%(path)s cannot be read (%(error)s)") % {"path": path, "error": error.strerror}
            ) from error

    def tables(self, name: str, read: Callable[["Entries"], T]) -> list[T]:
        rows = []
        for number, row in enumerate(self.get(name, list, []), start=1):
            entries = Entries(row, f"{name} {number}", self._file)
            rows.append(read(entries))
            entries.done()
        return rows

    def table(self, name: str) -> "Entries":
        return Entries(self.get(name, dict), name, self._file)

    def done(self) -> None:
        unknown = sorted(set(self._table) - self._asked)
        if unknown:
            raise self._refused(_("“%(name)s” means nothing here") % {"name": unknown[0]})

    def _refused(self, why: str) -> NotReadable:
        return NotReadable(
            _("%(file)s, %(where)s: %(why)s. Compare it with administration/cases/example_case.toml.")
            % {"file": self._file.name, "where": self._where, "why": why}
        )


def read(path: Path) -> Entries:
    """The file's entries."""
    try:
        with open(path, "rb") as file:
            return Entries(tomllib.load(file), _("top level"), path)
    except OSError as error:
        raise NotReadable(
            _("%(path)s cannot be read (%(error)s).") % {"path": path, "error": error.strerror}
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NotReadable(_("%(path)s is no TOML file: %(error)s.") % {"path": path, "error": error}) from error


# --- open_case --------------------------------------------------------------------------------


@transaction.atomic
def open_from(path: Path, *, at: datetime, password: str | None = None) -> Case:
    """Open the case a file describes. `password` is for the sign-ins of a sample case, and refused otherwise."""
    file = read(path)
    case = file.table("case")
    is_sample = case.get("sample", bool, False)
    if password is not None and not is_sample:
        raise NotReadable(_("Only the sign-ins of a sample case get a password from the command line."))
    people = {user.username: user for user in file.tables("people", lambda row: _person(row, password))}
    appointed = file.tables("appointments", lambda row: _appointed(row, people))
    ordered = file.tables("orders", _ordered)
    due = file.tables("deadlines", _due)
    opened = open_case(
        reference=case.get("reference", str), name=case.get("name", str), regime=case.get("regime", str),
        proceeding=case.get("proceeding", str), trigger=case.get("trigger", str), court=case.get("court", str, ""),
        court_number=case.get("court_number", str, ""), cutoff_at=case.moment("cutoff_at"),
        cooling_off_hours=case.get("cooling_off_hours", int, 72), is_sample=is_sample, appointed=appointed,
        ordered=ordered, due=due, at=at,
    )  # fmt: skip
    case.done()
    file.done()
    return opened


def _person(row: Entries, password: str | None) -> User:
    return users.ensure(
        row.get("sign_in", str), first_name=row.get("first_name", str, ""), last_name=row.get("last_name", str, ""),
        email=row.get("email", str, ""), password=password,
    )  # fmt: skip


def _appointed(row: Entries, people: dict[str, User]) -> Appointed:
    name = row.get("who", str)
    user = people.get(name) or User.objects.filter(username=name).first()
    if user is None:
        raise NotReadable(_("“%(name)s” is appointed but not among the people.") % {"name": name})
    return Appointed(
        user=user, kind=row.get("kind", str), authority=row.get("authority", str), instrument=row.get("instrument", str),
        instrument_sha256=archive.keep(row.scan("scan")), powers=row.maybe("powers", list),
        from_at=row.maybe_moment("from"), to_at=row.maybe_moment("to"), joint=row.get("joint", bool, False),
    )  # fmt: skip


def _ordered(row: Entries) -> Ordered:
    return Ordered(
        number=row.get("number", str), issuer=row.get("issuer", str), issued_date=row.get("issued_date", date),
        scan=row.scan("scan"), scan_name=Path(row.get("scan", str)).name, permits=row.get("permits", list, []),
        limits=row.get("limits", dict, {}), served_date=row.maybe("served_date", date),
        final=row.get("final", bool, False),
    )  # fmt: skip


def _due(row: Entries) -> Due:
    return Due(
        kind=row.get("kind", str), counted_from=row.get("counted_from", date),
        counted_from_what=row.get("counted_from_what", str, ""), period=row.get("period", str, ""),
        provenance=row.get("provenance", str, ""), order=row.get("order", str, ""),
    )  # fmt: skip


# --- succeed_case -----------------------------------------------------------------------------


@transaction.atomic
def succeed_from(path: Path, *, at: datetime) -> Succession:
    """
    The operator's way to a successor, by a file: case, predecessor, successor, approvers left, and the order.

    Refused while two approvers are left: they sign a proposal instead.
    """
    file = read(path)
    reference = file.get("case", str)
    case = Case.objects.filter(reference=reference).first()
    if case is None:
        raise NotReadable(_("There is no case %(reference)s.") % {"reference": reference})
    successor = file.table("successor")
    new = _person(successor, None)
    successor.done()
    order = _order(case, file.table("order"), new, at)
    made = succession.succeed(
        case, order=order, predecessor=_known(file.get("predecessor", str)), successor=new,
        approvers=[_known(name) for name in file.get("approvers", list, [])], by=None, at=at,
    )  # fmt: skip
    file.done()
    return made


def _known(name: str) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        raise NotReadable(_("Nobody signs in as “%(name)s”.") % {"name": name})
    return user


def _order(case: Case, table: Entries, successor: User, at: datetime) -> CourtOrder:
    """The appointing order: registered already, or now, from its scan."""
    number = table.get("number", str)
    found = case.orders.filter(number=number).first()
    if found is not None:
        return found
    row = _ordered(table)
    table.done()
    return orders.enter(
        case, number=row.number, issuer=row.issuer, issued_date=row.issued_date, scan=row.scan, scan_name=row.scan_name,
        permits=row.permits, limits=row.limits, served_date=row.served_date, final=row.final, by=successor,
        operator=True, at=at,
    )  # fmt: skip
