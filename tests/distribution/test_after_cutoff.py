"""What came in after the cut-off is in no pool: no run shares it, and no plan names its class."""

import pytest
from django.db import IntegrityError, connection, transaction

from administration.cases import approvals
from administration.cases.models import ApprovalRequest
from administration.distribution import runs
from administration.distribution.models import Run
from administration.returns import after_cutoff
from administration.work import jobs
from tests.cast import NOON
from tests.distribution.conftest import amounts
from tests.returns.late import came_in
from tests.returns.world import tampering


def pool(run, code):
    return run.pools.get(asset__code=code)


def give_back(estate):
    request = after_cutoff.propose(estate.case, facts="x", by=estate.by, at=NOON)
    for signer in (estate.cast.baba, estate.cast.aoki):
        approvals.sign(request, by=signer, at=NOON)


def test_a_run_shares_the_same_before_it_is_returned_and_after(open_estate):
    estate = open_estate({"BTC": 600}, {"BTC": 400}, BTC=530)
    came_in(estate.case, ("A0001", "BTC", 25), ("A77", "BTC", 5))
    first = estate.compute()
    assert (pool(first, "BTC").free, amounts(first, "BTC")) == (500, [300, 200])

    give_back(estate)
    second = estate.round()
    assert (pool(second, "BTC").free, amounts(second, "BTC")) == (500, [300, 200])
    assert bytes(pool(second, "BTC").root) != b"" and second.entitlement_count == first.entitlement_count == 2
    assert sorted(estate.given("BTC")) == [25, 200, 300]

    estate.receive(BTC=500)
    last = estate.compute()
    assert (pool(last, "BTC").free, amounts(last, "BTC")) == (500, [300, 200])


def test_a_run_that_would_share_it_is_not_approved(open_estate):
    estate = open_estate({"BTC": 1000}, BTC=500)
    run = estate.compute()
    request = runs.request_approval(run, by=estate.by, at=NOON)
    came_in(estate.case, ("A0001", "BTC", 1))

    approvals.sign(request, by=estate.cast.baba, at=NOON)
    with pytest.raises(runs.Outdated, match="not enough is free in: BTC"):
        approvals.sign(request, by=estate.cast.aoki, at=NOON)
    with tampering():
        ApprovalRequest.objects.filter(pk=request.pk).update(state="granted")
    with pytest.raises(IntegrityError, match="run_leaves_what_came_after_the_cut_off"), transaction.atomic():
        Run.objects.filter(pk=run.pk).update(state="approved")


def test_no_run_entitles_a_line_of_it(open_estate):
    estate = open_estate({"BTC": 6}, BTC=10)
    plan = estate.compute().plan
    job = runs.compute(plan, by=estate.by, at=NOON)
    with pytest.raises(IntegrityError, match="what_came_after_the_cut_off_is_in_no_pool"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT distribution_entitle(%s, 'first', %s::bigint[], ARRAY['after_cutoff'], ARRAY[false], ARRAY[NULL]::bigint[],"
            " ARRAY[1]::numeric[], ARRAY[1]::numeric[])",
            [job.subject_id, [estate.assets["BTC"].pk]],
        )
    while jobs.advance(job.pk):
        pass
