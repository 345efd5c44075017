"""The inspected ledger is tied to the last audited accounts, and a remark is signed with the acceptance."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError

from administration.cases import approvals
from administration.cases.appointments import NotEmpowered
from administration.cases.archive import read
from administration.cases.models import Case
from administration.ledger import audited, takeover
from administration.ledger.audited import NotTied
from administration.ledger.audited_totals import AuditedTotal
from administration.ledger.models import Intake
from administration.record.models import Event
from administration.work.models import Job
from tests.cast import NOON, Cast
from tests.ledger.helpers import inspected, work

YEAR_END = date(2026, 3, 31)
PAGE = b"Page 12 of the audited accounts."


@pytest.fixture
def intake(secured: Case, cast: Cast, clean_package: Path) -> Intake:
    return inspected(secured, cast, clean_package)


def tie(intake: Intake, cast: Cast, **changes: Any) -> AuditedTotal:
    said = {
        "asset_code": "JPY", "as_of": YEAR_END, "audited": audited.in_ledger(intake, "JPY"), "auditor": "Asagiri Audit LLC",
        "explanation": "", "paper": PAGE, "by": cast.goto, "at": NOON,
    }  # fmt: skip
    return audited.tie(intake, **said | changes)


def test_an_asset_that_agrees_with_the_audited_accounts_needs_no_explanation(intake: Intake, cast: Cast):
    made = tie(intake, cast)

    assert (made.difference, made.explanation) == (0, "")
    assert made.ledger == sum(total.computed for total in intake.control_totals.filter(asset_code="JPY"))
    assert read(made.paper_sha256) == PAGE
    assert Event.objects.get(kind="ledger.tied_to_audited_accounts").by == "goto"


def test_what_lies_between_is_explained_or_nothing_is_written(intake: Intake, cast: Cast):
    there = audited.in_ledger(intake, "JPY")
    with pytest.raises(NotTied, match="what lies between"):
        tie(intake, cast, audited=there - 5, explanation="  ")

    assert tie(intake, cast, audited=there - 5, explanation="Deposits of April to September.").difference == 5


def test_of_two_statements_about_an_asset_the_newest_counts_and_both_stay(intake: Intake, cast: Cast):
    tie(intake, cast, auditor="The first")
    tie(intake, cast, auditor="The second")
    tie(intake, cast, asset_code="BTC", audited=audited.in_ledger(intake, "BTC"))

    assert [(row.asset_code, row.auditor) for row in audited.newest(intake)] == [("BTC", "Asagiri Audit LLC"), ("JPY", "The second")]
    assert AuditedTotal.objects.count() == 3


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"asset_code": "ZZZ"}, "lists no asset"),
        ({"as_of": date(2026, 12, 31)}, "before the cut-off"),
        ({"auditor": " "}, "who audited"),
        ({"paper": b""}, "add the page"),
    ],
)
def test_a_statement_names_its_asset_its_day_its_auditor_and_its_page(intake: Intake, cast: Cast, changes: dict[str, Any], why: str):
    with pytest.raises(NotTied, match=why):
        tie(intake, cast, **changes)


def test_only_who_may_take_over_ties_the_ledger(intake: Intake, cast: Cast):
    with pytest.raises(NotEmpowered):
        tie(intake, cast, by=cast.chiba)


def test_a_tie_made_after_the_acceptance_was_asked_for_makes_the_request_stale(intake: Intake, cast: Cast):
    request = takeover.accept(intake, by=cast.goto, at=NOON)
    tie(intake, cast)

    with pytest.raises(approvals.StaleContent):
        approvals.sign(request, by=cast.baba, at=NOON)


def test_an_accepted_ledger_is_not_tied_any_more(intake: Intake, cast: Cast):
    approvals.sign(takeover.accept(intake, by=cast.goto, at=NOON), by=cast.baba, at=NOON)

    with pytest.raises(NotTied, match="nobody has accepted"):
        tie(intake, cast)
    with pytest.raises(DatabaseError, match="before_acceptance"):
        AuditedTotal.objects.create(
            intake=intake, asset_code="JPY", as_of=YEAR_END, auditor="x", audited=0, ledger=0, paper_sha256=bytes(32), by=cast.goto, at=NOON
        )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ledger": 1, "audited": 1}, "audited_total_stands_beside_the_ledger"),
        ({"audited": 1}, "audited_total_is_met_or_explained"),
        ({"auditor": ""}, "audited_total_has_its_auditor"),
    ],
)
def test_the_database_refuses_a_statement_that_is_not_beside_the_ledger(intake: Intake, cast: Cast, changes: dict[str, Any], why: str):
    there = audited.in_ledger(intake, "JPY")
    said = {"audited": there, "ledger": there, "auditor": "x"} | changes
    with pytest.raises(IntegrityError, match=why):
        AuditedTotal.objects.create(
            intake=intake, asset_code="JPY", as_of=YEAR_END, paper_sha256=bytes(32), by=cast.goto, at=NOON, **said
        )


def test_not_even_the_owner_changes_a_statement(db: None, as_owner: Any):
    for statement in ("UPDATE ledger_auditedtotal SET id = id", "DELETE FROM ledger_auditedtotal", "TRUNCATE ledger_auditedtotal"):
        with pytest.raises(DatabaseError, match="append only"), as_owner() as cursor:
            cursor.execute(statement)


def test_a_remark_is_signed_with_the_acceptance_and_stays(intake: Intake, cast: Cast, as_owner: Any):
    plain = takeover.acceptance_content(intake.pk)
    request = takeover.accept(intake, by=cast.goto, at=NOON, remark="The negative balance is a fee of the last day.")
    assert bytes(request.content_sha256) != plain

    approvals.sign(request, by=cast.baba, at=NOON)
    with pytest.raises(DatabaseError, match="intake_stays_what_was_received"), as_owner() as cursor:
        cursor.execute("UPDATE ledger_intake SET state = 'accepted', remark = 'Nothing.'")
    work(Job.objects.get(kind=takeover.ACCEPT))
    assert "a fee of the last day" in Event.objects.get(kind="ledger.accepted").body
