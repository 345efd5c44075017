"""Whole units in the database, and the database's clock."""

import datetime
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import connection, models
from django.db.models import Func
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _


class UnitsField(models.DecimalField):
    """
    Whole units of one asset: NUMERIC(78,0) in PostgreSQL (2**256 fits), `int` in Python.

    Refuses anything but `int` on the way in: a Decimal or float near value is a defect, not an input.
    """

    if TYPE_CHECKING:  # what assigning and reading are for the type checker
        _pyi_private_set_type: int
        _pyi_private_get_type: int  # type: ignore[assignment]

    description = _("Whole units of an asset")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_digits"], kwargs["decimal_places"] = 78, 0
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_digits"], kwargs["decimal_places"]
        return name, path, list(args), kwargs

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> int | None:
        return None if value is None else int(value)

    def to_python(self, value: Any) -> int | None:
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise TypeError(f"Units are whole int, not {type(value).__name__}: {value!r}.")

    def get_prep_value(self, value: Any) -> Any:
        # Expressions (F, Sum, subqueries) pass through; the database does their arithmetic exactly.
        if hasattr(value, "resolve_expression"):
            return value
        return self.to_python(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return value if prepared else self.get_prep_value(value)

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if hasattr(value, "as_sql"):
            return value
        return self.get_db_prep_value(value, connection)


def units(expression: Any) -> Cast:
    """Wrap an expression so that it comes back as whole `int` units: units(Sum("amount")), units(F("a") + F("b"))."""
    return Cast(expression, output_field=UnitsField())


class ClockTimestamp(Func):
    """The database's wall clock at this very statement, not the start of the transaction."""

    template = "clock_timestamp()"
    output_field = models.DateTimeField()


def db_now() -> datetime.datetime:
    """The instant by the database's clock. Faces read it once and pass it on as `at`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    assert isinstance(now, datetime.datetime)
    return now


def numbers(values: Iterable[int]) -> str:
    """An array of whole numbers as PostgreSQL writes it. Thousands, adapted one by one, cost more than their rows."""
    return "{" + ",".join(map(str, values)) + "}"
