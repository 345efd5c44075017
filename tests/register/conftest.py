"""An accepted ledger of three customers, and their claims."""

import pytest

from administration.books import books
from administration.work import jobs
from claims.register import schedule
from claims.register.models import Claim, ClaimLine
from tests.cast import NOON
from tests.factories import ledger_of

HOLDERS = [{"JPY": 1000, "BTC": 5_0000_0000}, {"JPY": 500, "ETH": 3 * 10**18}, {"BTC": 1}]


def done(job):
    """Do the job here and now, without waiting for a worker first."""
    jobs.advance(job.pk)
    return jobs.wait(job)


@pytest.fixture
def accept(case, as_superuser):
    """Call it: the ledger is accepted, as if by a second person."""

    def accept():
        with as_superuser() as cursor:
            cursor.execute("UPDATE ledger_intake SET state = 'accepted' WHERE case_id = %s", [case.pk])

    return accept


@pytest.fixture
def ledger(case, assets, goto):
    return ledger_of(case, assets, HOLDERS, by=goto)


@pytest.fixture
def scheduled(case, ledger, accept, goto):
    """The case, with a claim for each of its three accounts."""
    accept()
    done(schedule.schedule(case, by=goto, at=NOON))
    return case


@pytest.fixture
def line(scheduled):
    """The first customer's 1,000 yen."""
    return ClaimLine.objects.get(claim=Claim.objects.order_by("number").first(), asset__code="JPY")


@pytest.fixture
def funded(scheduled, assets, aoki):
    """The same case, with enough of everything in custody."""
    lines = [(assets[code], 10**20) for code in ("JPY", "BTC", "ETH")]
    books.post(scheduled, "opening", idem_key="opening", lines=lines, subject=scheduled, by=aoki, at=NOON)
    return scheduled
