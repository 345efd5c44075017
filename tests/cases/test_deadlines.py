"""Known dates: Civil Code arts. 138-143, Japan's holidays, the courts' year end."""

from datetime import date

import pytest
from django.db import IntegrityError, ProgrammingError, transaction

from administration.cases import deadlines
from administration.cases.models import Case, Deadline
from administration.cases.profiles import NoSuchProfile
from administration.record.models import Event
from tests.cast import NOON, Cast

YEAR_END = ["12-29", "12-30", "12-31", "01-01", "01-02", "01-03"]


@pytest.mark.parametrize(
    ("period", "counted_from", "due"),
    [
        ("P2W", "2026-11-02", "2026-11-16"),  # Monday to Monday
        ("P4W", "2026-11-02", "2026-11-30"),
        ("P14D", "2026-11-02", "2026-11-16"),
        ("P1M", "2026-11-05", "2026-12-07"),  # 5 December is a Saturday
        ("P1M", "2028-01-30", "2028-02-29"),  # a leap year: the last day, a Tuesday
        ("P1M", "2028-01-31", "2028-02-29"),
        ("P1M", "2027-01-30", "2027-03-01"),  # not a leap year: 28 February is a Sunday
        ("P1M", "2025-02-28", "2025-03-31"),  # begins on 1 March: the whole of March
        ("P2M", "2026-06-30", "2026-08-31"),
        ("P1Y", "2028-02-29", "2029-02-28"),
        ("P1Y", "2027-02-28", "2028-02-29"),  # begins on 1 March 2027: to the end of February 2028
        ("P6M", "2026-09-30", "2027-03-31"),
        ("P1W", "2027-04-26", "2027-05-06"),  # 3 May to 5 May are holidays
        ("P2W", "2026-04-22", "2026-05-07"),  # 6 May 2026: substitute for Sunday, 3 May
        ("P2W", "2026-09-08", "2026-09-24"),  # 22 September 2026 lies between two holidays
        ("P2W", "2026-12-15", "2027-01-04"),  # 29 December: courts are closed until 3 January
        ("P1M", "2026-12-01", "2027-01-04"),  # 1 January
        ("P1D", "2026-11-20", "2026-11-24"),  # Saturday, Sunday, Labour Thanksgiving Day
    ],
)
def test_a_period_ends_on_the_day_the_law_says(period: str, counted_from: str, due: str) -> None:
    computed = deadlines.compute(period, date.fromisoformat(counted_from), closed=YEAR_END)

    assert computed.due_date == date.fromisoformat(due)
    assert period in computed.rule and "first day not counted" in computed.rule


def test_a_period_that_begins_at_midnight_counts_its_first_day() -> None:
    assert deadlines.compute("P2W", date(2026, 11, 2), from_midnight=True).due_date == date(
        2026, 11, 16
    )  # 15th: Sunday
    assert deadlines.compute("P1M", date(2026, 12, 1), from_midnight=True).due_date == date(2026, 12, 31)


def test_without_the_courts_closed_days_the_year_end_is_open() -> None:
    assert deadlines.compute("P2W", date(2026, 12, 15)).due_date == date(2026, 12, 29)


@pytest.mark.parametrize("period", ["", "4W", "P0D", "P1H", "P-1W", "P1W2D", "four weeks", "P10000D"])
def test_what_is_no_period_is_refused(period: str) -> None:
    with pytest.raises(deadlines.NotComputed, match="is no period"):
        deadlines.compute(period, date(2026, 11, 2))


def test_the_profiles_rule_gives_period_and_provenance(case: Case, cast: Cast) -> None:
    filing = deadlines.set(case, "filing", counted_from=date(2026, 11, 2), by=cast.goto, at=NOON)

    assert filing.due_date == date(2026, 11, 30)
    assert "Bankruptcy Act art. 31" in filing.provenance and "to be confirmed" in filing.provenance
    assert filing.counted_from_what == "order"
    assert Event.objects.get().kind == "deadline.set"


def test_a_deadline_no_rule_knows_needs_its_period_and_provenance(case: Case, cast: Cast) -> None:
    with pytest.raises(NoSuchProfile, match="no rule for a deadline"):
        deadlines.set(case, "picnic", counted_from=date(2026, 11, 2), by=cast.goto, at=NOON)
    with pytest.raises(deadlines.NotComputed, match="where the period is laid down"):
        deadlines.set(case, "picnic", period="P1W", counted_from=date(2026, 11, 2), by=cast.goto, at=NOON)


def test_a_deadline_is_replaced_once_and_both_stay(case: Case, cast: Cast) -> None:
    first = deadlines.set(case, "filing", counted_from=date(2026, 11, 2), by=cast.goto, at=NOON)
    second = deadlines.set(
        case, "filing", period="P2M", counted_from=date(2026, 11, 2), provenance="order no. 5", supersedes=first,
        by=cast.goto, at=NOON,
    )  # fmt: skip

    assert list(deadlines.current(case)) == [second]
    assert Deadline.objects.count() == 2
    with pytest.raises(deadlines.NotComputed, match="replaced already"):
        deadlines.set(case, "filing", counted_from=date(2026, 11, 9), supersedes=first, by=cast.goto, at=NOON)
    with pytest.raises(deadlines.NotComputed, match="own kind"):
        deadlines.set(case, "appeal", counted_from=date(2026, 11, 9), supersedes=second, by=cast.goto, at=NOON)


def test_the_database_keeps_deadlines_as_they_were(case: Case, cast: Cast, as_role) -> None:
    first = deadlines.set(case, "filing", counted_from=date(2026, 11, 2), by=cast.goto, at=NOON)
    for role in ("henkan_app", "henkan_owner"):
        for statement in ("UPDATE cases_deadline SET due_date = '2030-01-01'", "DELETE FROM cases_deadline"):
            with (
                pytest.raises((IntegrityError, ProgrammingError), match=r"append only|denied"),
                as_role(role) as cursor,
            ):
                cursor.execute(statement)
    with pytest.raises((IntegrityError, ProgrammingError)), transaction.atomic():
        Deadline.objects.update(due_date=date(2030, 1, 1))
    replacing = {
        field.attname: getattr(first, field.attname) for field in Deadline._meta.fields if field.attname != "id"
    }
    with pytest.raises(IntegrityError, match="its own kind"), transaction.atomic():
        Deadline.objects.create(**{**replacing, "kind": "appeal", "supersedes_id": first.pk})
    Deadline.objects.create(**{**replacing, "supersedes_id": first.pk})
    with pytest.raises(IntegrityError, match="supersedes"), transaction.atomic():
        Deadline.objects.create(**{**replacing, "supersedes_id": first.pk})
