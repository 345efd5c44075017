"""While the first ledger is written, its tables' keys are laid aside; nothing is accepted before they are back."""

from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection

from administration.cases import approvals
from administration.cases.models import Case
from administration.ledger import acceptance, takeover
from administration.ledger.models import IntakeState
from administration.work import jobs
from administration.work.models import Job
from tests.cast import NOON, Cast, gather, open_sample_case
from tests.ledger.helpers import accepted, inspected, secure, work

TABLES = list(acceptance.KEPT_TABLES)


def keys() -> set[str]:
    """Every constraint, index and trigger of the ledger's large tables, as it stands."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
               WHERE conrelid = ANY(%s::regclass[])
               UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = ANY(%s::regclass[])
               UNION ALL SELECT tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text FROM pg_trigger
               WHERE tgrelid = ANY(%s::regclass[]) AND NOT tgisinternal""",
            [TABLES, TABLES, TABLES],
        )
        return {one for (one,) in cursor.fetchall()}


def begun(case: Case, cast: Cast, folder: Path) -> Job:
    """A signed acceptance whose first step is done."""
    intake = inspected(case, cast, folder)
    approvals.sign(takeover.accept(intake, by=cast.goto, at=NOON), by=cast.baba, at=NOON)
    job = jobs._take(Job.objects.get(kind=takeover.ACCEPT, subject_id=intake.pk).pk)
    jobs._chunk(job)
    jobs._let_go(job)
    return job


def test_every_key_is_laid_aside_while_rows_are_written_and_stands_again_as_it_was(
    secured: Case, cast: Cast, clean_package: Path
):
    before = keys()
    job = begun(secured, cast, clean_package)

    meanwhile = keys()
    assert not any("balance_is_listed_once" in one for one in meanwhile)
    assert not any("account_is_listed_once" in one for one in meanwhile)
    assert any("ledger_ledgeraccount_pkey" in one for one in meanwhile)  # others refer to it
    assert "ledger_ledgerbalance ledger_balance_frozen D" in meanwhile
    work(job)
    assert keys() == before


def test_nothing_is_accepted_while_a_key_is_laid_aside(secured: Case, cast: Cast, clean_package: Path):
    begun(secured, cast, clean_package)

    with pytest.raises(IntegrityError, match="acceptance_needs_every_key"), connection.cursor() as cursor:
        cursor.execute("UPDATE ledger_intake SET state = 'accepted'")


def test_a_second_ledger_in_the_same_database_is_written_under_its_keys(secured: Case, cast: Cast, clean_package: Path):
    accepted(secured, cast, clean_package)
    before = keys()
    other = open_sample_case("T-2")
    people = gather(other)
    secure(other, people)

    job = begun(other, people, clean_package)
    assert keys() == before
    work(job)
    assert other.intakes.get().state == IntakeState.ACCEPTED


@pytest.mark.parametrize("table", ["ledger_intake", "books_posting", "record_event"])
def test_of_no_other_table_keys_are_laid_aside(db: None, table: str):
    with pytest.raises(DatabaseError, match="only_the_ledger_is_written_so"), connection.cursor() as cursor:
        cursor.execute("SELECT ledger_lay_aside(%s)", [table])


def test_nothing_is_laid_aside_where_no_ledger_is_being_written(db: None):
    before = keys()
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute("SELECT ledger_lay_aside(%s)", [table])
    assert keys() == before


def test_the_application_cannot_say_what_is_put_back(db: None, as_role: Any):
    with pytest.raises(DatabaseError, match="permission denied"), as_role("henkan_app") as cursor:
        cursor.execute("INSERT INTO ledger_laid_aside (of_table, put_back) VALUES ('x', 'DROP TABLE cases_case')")
