"""Cases whose claims stand and whose holdings are proved, and a short way through steps 5 and its approval."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from administration.books.models import Asset
from administration.cases import approvals
from administration.cases.models import Case
from administration.custody import holdings, reconciliation
from administration.distribution import plans, runs
from administration.distribution.models import Entitlement, Run
from administration.people.models import User
from administration.work import jobs
from claims.register import schedule
from claims.register.models import ClaimLine, Position
from tests.cast import CUTOFF, NOON, Cast
from tests.factories import ledger_of

PLAN = """
name = "In kind"
kind = "interim"
[[pool]]
name = "customers"
assets = "every asset"
classes = ["trust_beneficiary", "priority_segregated"]
"""
FINAL = PLAN.replace('"interim"', '"final"') + 'rounding = "largest remainder"\n'


def done(job):
    """Do the job here and now, without waiting for a worker first."""
    jobs.advance(job.pk)
    return jobs.wait(job)


@dataclass
class Estate:
    """One case with its claims and holdings; `by` prepares, two others sign."""

    case: Case
    assets: dict[str, Asset]
    cast: Cast
    received: int = 0

    @property
    def by(self) -> User:
        return self.cast.goto

    def receive(self, **amounts: int) -> None:
        """So much of each asset is found and proved, in a place of its own."""
        for code, amount in amounts.items():
            self.received += 1
            holdings.record(
                self.case, asset=self.assets[code], kind="wallet", network=self.assets[code].network,
                locator=f"place {self.received}", tag="segregated", amount=amount,
                as_of=CUTOFF + timedelta(minutes=self.received), access="proved", proof="signed message",
                evidence=b"statement", evidence_name="statement.pdf", by=self.by, at=NOON,
            )  # fmt: skip
        reconciliation.run(self.case, by=self.by, at=NOON)

    def compute(self, body: str = PLAN) -> Run:
        plan = plans.draft(self.case, body, by=self.by, at=NOON)
        return Run.objects.get(pk=done(runs.compute(plan, by=self.by, at=NOON)).subject_id)

    def approve(self, run: Run) -> Run:
        """Signed by both, and declared."""
        request = runs.request_approval(run, by=self.by, at=NOON)
        for signer in (self.cast.baba, self.cast.aoki):
            signed = approvals.sign(request, by=signer, at=NOON)
        done(signed.followed_by)
        run.refresh_from_db()
        return run

    def round(self, body: str = PLAN) -> Run:
        return self.approve(self.compute(body))

    def line(self, holder: int, code: str) -> ClaimLine:
        """A line of the n-th customer, from 1."""
        return ClaimLine.objects.get(claim__ledger_account__account_ref=f"A{holder:04d}", asset__code=code)

    def given(self, code: str) -> list[int]:
        """What each line of an asset was given to date, in the order of claims."""
        rows = Position.objects.filter(claim_line__case=self.case, asset__code=code).order_by(
            "claim_line__claim__number"
        )
        return list(rows.values_list("given", flat=True))


def amounts(run: Run, code: str) -> list[int]:
    """What a run gives each line of an asset, in the order of claims."""
    rows = Entitlement.objects.filter(run=run, asset__code=code).order_by("claim_line__claim__number")
    return list(rows.values_list("amount", flat=True))


@pytest.fixture
def open_estate(case, assets, cast, as_superuser, tmp_path, settings) -> Any:
    """Call it with one dict of asset code → units for each customer."""
    settings.ARCHIVE_DIR = str(tmp_path)

    def open_estate(*holders: dict[str, int], **found: int) -> Estate:
        return opened(case, assets, cast, list(holders), found, as_superuser)

    return open_estate


def opened(
    case: Case, assets: dict[str, Asset], cast: Cast, holders: list[dict[str, int]], found: dict[str, int], as_superuser: Any
) -> Estate:
    ledger_of(case, assets, holders, by=cast.goto)
    with as_superuser() as cursor:
        cursor.execute("UPDATE ledger_intake SET state = 'accepted' WHERE case_id = %s", [case.pk])
    done(schedule.schedule(case, by=cast.goto, at=NOON))
    estate = Estate(case, assets, cast)
    estate.receive(**found)
    return estate
