"""A declaration that failed: the run's page says why, and one button goes on with it."""

import pytest

from administration.books import books
from administration.cases import approvals
from administration.distribution import declaring, runs
from administration.work import jobs
from administration.work.models import Job
from tests.cast import NOON
from tests.distribution.conftest import done, open_estate  # noqa: F401  a fixture
from tests.office.estate import Desk

WHY = "does not hold that much"


@pytest.fixture
def stopped(open_estate):  # noqa: F811
    """All but one of what the run gives was spent between the last signature and its declaration."""
    estate = open_estate({"BTC": 6}, {"BTC": 6}, BTC=10)
    request = runs.request_approval(estate.compute(), by=estate.by, at=NOON)
    for signer in (estate.cast.baba, estate.cast.aoki):
        request = approvals.sign(request, by=signer, at=NOON)
    books.post(estate.case, "cost_free", idem_key="c", lines=[(estate.assets["BTC"], 9)], subject=estate.case, by=estate.by, at=NOON)
    with pytest.raises(jobs.JobFailed, match=WHY):
        done(request.followed_by)
    return estate


def test_a_failed_declaration_says_why_and_goes_on_by_one_button(stopped):
    desk = Desk(stopped, stopped.by)
    page = desk.see("runs/1/").content.decode()
    assert WHY in page and "Go on declaring" in page
    assert WHY in desk.see("runs/1/go-on/").content.decode()
    assert Job.objects.filter(kind=declaring.DECLARE).count() == 1  # looking starts nothing

    stopped.receive(BTC=9)
    assert desk.do("runs/1/go-on/").status_code == 302
    assert "Go on declaring" not in desk.see("runs/1/").content.decode()  # it goes on
    refused = desk.see("runs/1/go-on/").content.decode()
    assert "There is no failed declaration of run 1" in refused and 'value="do"' not in refused

    done(Job.objects.get(kind=declaring.DECLARE, state="waiting"))
    assert stopped.given("BTC") == [5, 5]
    assert "Go on declaring" not in desk.see("runs/1/").content.decode()


def test_who_may_not_ask_for_a_run_does_not_go_on_with_it(stopped):
    desk = Desk(stopped, stopped.cast.chiba)
    assert desk.at("runs/1/go-on/") not in desk.see("runs/1/").content.decode()
    assert desk.see("runs/1/go-on/").status_code == 403
