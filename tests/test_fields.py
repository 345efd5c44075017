"""Units in the database and back: whole, exact, and `int` or nothing."""

from decimal import Decimal

import pytest
from django.db.models import F, Sum, Value
from django.db.models.functions import Coalesce

from administration.distribution.models import Price, PriceTable
from administration.fields import UnitsField, db_now, units
from tests.cast import NOON, sha

LARGEST = 10**78 - 1


@pytest.fixture
def table(case):
    return PriceTable.objects.create(case=case, version=1, valuation_at=NOON, source="court", sha256=sha("x"), at=NOON)


@pytest.mark.parametrize("amount", [0, 1, 2**64, 2**256, LARGEST])
def test_units_come_back_as_the_same_int(table, assets, amount):
    price = Price.objects.create(table=table, asset=assets["BTC"], num=amount, den=1)
    price.refresh_from_db()
    assert (price.num, type(price.num)) == (amount, int)


@pytest.mark.parametrize("amount", [1.0, Decimal(1), "1", True, 1.5, Decimal("NaN")])
def test_nothing_but_an_int_goes_in(table, assets, amount):
    with pytest.raises(TypeError, match="Units are whole int"):
        Price.objects.create(table=table, asset=assets["BTC"], num=amount, den=1)
    with pytest.raises(TypeError, match="Units are whole int"):
        Price.objects.filter(num=amount).exists()
    with pytest.raises(TypeError, match="Units are whole int"):
        UnitsField().clean(amount, None)


def test_sums_and_arithmetic_come_back_as_int_through_units(table, assets):
    for number, asset in enumerate(assets.values(), start=1):
        Price.objects.create(table=table, asset=asset, num=10**70 * number, den=number)
    found = Price.objects.aggregate(sum=units(Coalesce(Sum("num"), Value(0))))["sum"]
    assert (found, type(found)) == (6 * 10**70, int)
    both = Price.objects.annotate(both=units(F("num") + F("den"))).order_by("den").values_list("both", flat=True)
    assert list(both) == [10**70 + 1, 2 * 10**70 + 2, 3 * 10**70 + 3]


def test_a_units_field_is_written_into_migrations_without_its_digits():
    assert UnitsField(default=0).deconstruct()[3] == {"default": 0}


def test_the_databases_clock_runs_within_a_transaction(db):
    assert db_now() < db_now()
