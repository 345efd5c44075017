"""A declaration that was stopped goes on where it stopped, whatever stopped it; and who works beside it does not stop it."""

import json
import threading
import time
from datetime import timedelta

import pytest
from django.db import transaction

from administration.books.models import Asset
from administration.cases import appointments, approvals, succession
from administration.cases.appointments import NotEmpowered
from administration.cases.approvals import NotApproved
from administration.distribution import declaring, runs
from administration.people.models import User
from administration.record import verify
from administration.record.models import Event
from administration.returns.models import ForcedSale, SaleShare
from administration.work import jobs
from administration.work.models import Job
from claims.register import positions, review, tie_out
from claims.register.models import MoveKey
from tests.at_once import at_once
from tests.cases.test_succession import an_order
from tests.cast import LONG_AGO, NOON, gather, open_sample_case, sha
from tests.distribution.conftest import amounts, done, opened
from tests.returns.test_locks import waiting

LATER = NOON + timedelta(days=1)


def signed(estate, run):
    """Both have signed; the job that declares it waits for a worker."""
    request = runs.request_approval(run, by=estate.by, at=NOON)
    for signer in (estate.cast.baba, estate.cast.aoki):
        request = approvals.sign(request, by=signer, at=NOON)
    run.refresh_from_db()
    return request.followed_by


def chunks(job, many):
    """A worker does so many chunks and goes away."""
    taken = jobs._take(job.pk)
    for _n in range(many):
        jobs._chunk(taken)
    jobs._let_go(taken)
    return Job.objects.get(pk=job.pk)


def fails(job, match):
    with pytest.raises(jobs.JobFailed, match=match):
        done(job)


def lower(estate, holder, admitted):
    review.decide_line(estate.line(holder, "BTC"), admitted, reason_code="duplicate", by=estate.by, at=NOON)


def schedule(estate, holder, units):
    """As a round of an earlier run does it."""
    rows = [(estate.line(holder, "BTC").pk, units)]
    positions.move(estate.case, "schedule", key=f"schedule {units}", rows=rows, subject=("test", 1), by=None, at=NOON)


# --- the office passes on ---------------------------------------------------------------------


def successor(estate):
    """The office passes on, and the successor accepts it."""
    case, cast = estate.case, estate.cast
    hara, endo = User.objects.create(username="hara"), User.objects.create(username="endo")
    appointments.grant(
        case, user=hara, kind="approver", authority="Aoki", instrument="memo", instrument_sha256=sha("memo"),
        from_at=LONG_AGO, by=cast.aoki, at=NOON,
    )  # fmt: skip
    order = an_order(case, cast.goto)
    asked = succession.propose(case, order=order, predecessor=cast.aoki, successor=endo, by=cast.goto, at=NOON)
    for signer in (cast.baba, hara):
        approvals.sign(asked, by=signer, at=NOON)
    succession.accept(case, by=endo, at=LATER)
    return endo


def test_a_run_declared_in_part_when_the_office_passes_on_gives_each_line_what_it_would_have_given(open_estate, monkeypatch):
    """Most of each claim is given, so nobody could be given their amount once more."""
    monkeypatch.setattr(positions, "ROWS_MAX", 2)
    estate = open_estate(*({"BTC": 4 * n} for n in range(1, 8)), BTC=84)
    run = estate.compute()
    undisturbed = [3 * n for n in range(1, 8)]
    assert amounts(run, "BTC") == undisturbed
    job = chunks(signed(estate, run), 3)  # nothing to take back; two chunks of two lines
    assert estate.given("BTC") == [3, 6, 9, 12, 0, 0, 0]

    endo = successor(estate)
    fails(job, "not approved")
    with pytest.raises(NotApproved):  # nobody but the successor sets it going
        declaring.go_on(run, by=estate.by, at=LATER)
    again = succession.resume(estate.case, runs.ACT, run.pk, by=estate.by, at=LATER)
    for signer in (estate.cast.baba, endo):
        again = approvals.sign(again, by=signer, at=LATER)
    job = done(again.followed_by)

    run.refresh_from_db()
    assert (run.state, estate.given("BTC")) == ("declared", undisturbed)
    assert (job.done, job.total) == (7, 7)
    assert json.loads(Event.objects.get(kind="run.declared").body)["declare"] == {"BTC": "84"}
    keys = MoveKey.objects.filter(kind="declare").order_by("pk").values_list("key", flat=True)
    assert list(keys) == [f"declare:{run.pk}:{n}" for n in range(4)]
    tie_out.require(estate.case)
    assert verify.verify(estate.case)["ok"]


# --- what was refused and mended --------------------------------------------------------------


@pytest.fixture
def short(open_estate, monkeypatch):
    """
    The last line cannot be given its amount.

    The run takes back 34 of the first line and gives 33 to others; while it is signed, four of the 34 are scheduled.
    """
    monkeypatch.setattr(positions, "ROWS_MAX", 1)
    estate = open_estate({"BTC": 100}, {"BTC": 50}, {"BTC": 50}, BTC=100)
    estate.round()
    assert estate.given("BTC") == [50, 25, 25]
    lower(estate, 1, 20)
    run = estate.compute()
    assert amounts(run, "BTC") == [0, 16, 16]
    job = signed(estate, run)
    schedule(estate, 1, 20)
    return estate, run, job


def test_a_refused_chunk_goes_on_once_what_stood_in_its_way_is_mended(short):
    estate, run, job = short
    fails(job, "does not hold that much")
    assert estate.given("BTC") == [20, 41, 25]
    fails(declaring.go_on(run, by=estate.by, at=LATER), "does not hold that much")  # too early: nothing was mended
    assert estate.given("BTC") == [20, 41, 25]

    estate.receive(BTC=10)
    done(declaring.go_on(run, by=estate.by, at=LATER))

    run.refresh_from_db()
    assert (run.state, estate.given("BTC")) == ("declared", [20, 41, 41])
    said = Event.objects.filter(kind="run.declaring_resumed")
    assert [json.loads(event.body)["error"] for event in said] == [job.error for job in Job.objects.filter(state="failed")]
    tie_out.require(estate.case)
    estate.compute()  # the next one is not blocked


def test_only_a_failed_declaration_is_gone_on_with_and_by_who_may_ask_for_one(short):
    estate, run, job = short
    with pytest.raises(declaring.NotStopped, match="no failed declaration of run 2"):
        declaring.go_on(run, by=estate.by, at=LATER)  # its job waits for a worker
    fails(job, "does not hold that much")
    with pytest.raises(NotEmpowered):
        declaring.go_on(run, by=estate.cast.chiba, at=LATER)
    estate.receive(BTC=10)
    done(declaring.go_on(run, by=estate.by, at=LATER))
    with pytest.raises(declaring.NotStopped):
        declaring.go_on(run, by=estate.by, at=LATER)
    with pytest.raises(declaring.NotStopped):
        declaring.go_on(estate.compute(), by=estate.by, at=LATER)
    assert Event.objects.filter(kind="run.declaring_resumed").count() == 1


def test_coins_sold_while_a_run_is_declared_do_not_keep_it_from_its_end(open_estate, as_superuser):
    """A sale gives its proceeds to a line of the run, above what the run says and covered by what was converted."""
    estate = open_estate({"BTC": 6, "JPY": 6}, {"JPY": 6}, BTC=6, JPY=10)
    run = estate.compute()
    job = signed(estate, run)
    coin, yen = estate.line(1, "BTC"), estate.line(1, "JPY")
    with as_superuser() as cursor:  # as sales.sold leaves it
        sale = ForcedSale.objects.create(
            case=estate.case, number=1, asset=coin.asset, into=yen.asset, ground="money_only", facts="-", state="done",
            venue="X", sold_at=NOON, gross=100, fees=0, evidence_sha256=bytes(32), by=estate.by, at=NOON,
        )  # fmt: skip
        SaleShare.objects.create(sale=sale, claim_line=coin, quantity=1, proceeds=100, into_line=yen)
        cursor.execute("UPDATE register_claimline SET converted_in = 100 WHERE id = %s", [yen.pk])
        cursor.execute("UPDATE register_position SET given = 100 WHERE claim_line_id = %s", [yen.pk])

    done(job)

    run.refresh_from_db()
    assert (run.state, estate.given("JPY")) == ("declared", [105, 5])


# --- beside others ----------------------------------------------------------------------------


@pytest.fixture
def two(committed, as_superuser, tmp_path, settings):
    """Two with a hundred each and half of it given, in a database in which commits are real."""
    settings.ARCHIVE_DIR = str(tmp_path)
    case = open_sample_case()
    coin = Asset.objects.create(case=case, code="BTC", name="BTC", scale=8, payable_step=1, network="bitcoin", kind="coin")
    estate = opened(case, {"BTC": coin}, gather(case), [{"BTC": 100}, {"BTC": 100}], {"BTC": 100}, as_superuser)
    estate.round()
    assert estate.given("BTC") == [50, 50]
    return estate


def beside(change, job):
    """The job meets somebody's change that is not committed yet, waits for it, and goes on."""
    begun = threading.Event()

    def somebody():
        with transaction.atomic():
            change()
            begun.set()
            until = time.monotonic() + 20
            while time.monotonic() < until and not waiting():
                time.sleep(0.02)
            assert waiting()

    def worker():
        begun.wait(30)
        return done(job).state

    assert at_once(somebody, worker) == [None, "done"]


def test_a_decision_that_lowers_a_line_while_it_is_declared_does_not_stop_the_declaration(two):
    two.receive(BTC=60)
    run = two.compute()
    assert amounts(run, "BTC") == [30, 30]

    beside(lambda: lower(two, 1, 55), signed(two, run))

    run.refresh_from_db()
    assert (run.state, two.given("BTC")) == ("declared", [55, 80])


def test_what_is_scheduled_while_it_would_be_taken_back_stays_and_does_not_stop_the_declaration(two):
    lower(two, 1, 20)
    run = two.compute()
    assert run.pools.get().withdrawn == 34
    job = signed(two, run)
    two.receive(BTC=10)

    beside(lambda: schedule(two, 1, 20), job)

    run.refresh_from_db()
    assert (run.state, two.given("BTC")) == ("declared", [20, 83])
    tie_out.require(two.case)


def test_two_who_go_on_at_once_start_one_job(two):
    lower(two, 1, 20)
    run = two.compute()
    job = signed(two, run)
    schedule(two, 1, 20)
    fails(job, "does not hold that much")

    found = at_once(*[lambda: declaring.go_on(run, by=two.by, at=LATER)] * 2)

    assert sorted(type(one).__name__ for one in found) == ["Job", "NotStopped"]
    assert Job.objects.filter(kind=declaring.DECLARE, subject_id=run.pk, state="waiting").count() == 1
    assert Event.objects.filter(kind="run.declaring_resumed").count() == 1
