"""My Work and the case at a glance: what waits, and figures equal to tie_out's."""

import datetime

import pytest
from django.test.utils import CaptureQueriesContext

from administration.cases import deadlines, stops
from administration.office import dashboard, standing, tallies
from administration.work.models import Job
from claims.register import tie_out
from tests.cast import LONG_AGO, NOON
from tests.office.test_pages import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def counted_anew():
    tallies.forget()
    yield
    tallies.forget()


def kinds(user, case):
    return [str(item.kind) for item in dashboard.my_work(user, [case], at=NOON)]


def test_whoever_has_no_case_is_told_so(fujii):
    said = signed_in(fujii).get("/admin/").content.decode()

    assert "You are not appointed in any case" in said


def test_where_nothing_waits_that_is_said(case, chiba):
    said = signed_in(chiba).get("/admin/").content.decode()

    assert "Nothing waits for you" in said


def test_stops_and_failed_work_stand_above_what_has_a_date(case, goto):
    deadlines.set(
        case, "filing", counted_from=NOON.date(), counted_from_what="service", period="P1M", provenance="order 1",
        by=goto, at=NOON,
    )  # fmt: skip
    Job.objects.create(
        case=case, kind="ledger.inspect", subject_id=1, state="failed", error="The file broke off.", finished_at=NOON
    )
    stops.stop(case, reason="Somebody called.", by=goto, at=NOON)

    assert kinds(goto, case)[:2] == ["Stop", "Work"]
    assert kinds(goto, case)[-1] == "Deadline"
    said = signed_in(goto).get("/admin/").content.decode()
    assert "Somebody called." in said and "The file broke off." in said


def test_work_that_was_done_since_is_no_trouble_any_more(case):
    for state in ("failed", "done"):
        Job.objects.create(case=case, kind="ledger.inspect", subject_id=1, state=state, error="x", finished_at=NOON)

    assert dashboard.troubled_jobs(case, at=NOON) == []


def test_work_that_stands_still_is_said(case):
    Job.objects.create(case=case, kind="ledger.inspect", subject_id=1, beat_at=LONG_AGO)

    assert [job.kind for job in dashboard.troubled_jobs(case, at=NOON)] == ["ledger.inspect"]


def test_a_day_is_said_as_a_person_counts_it(case):
    def said(days):
        due = NOON.date() + datetime.timedelta(days=days)
        return dashboard.when(dashboard.Item(case, "", "", "", due), NOON.date())

    assert [said(days) for days in (-2, -1, 0, 1, 11)] == ["2 days over", "1 day over", "today", "in 1 day", "in 11 days"]


def test_a_new_case_stands_at_its_take_over(case):
    states = [stage.state for stage in standing.stages(case)]

    assert states == [standing.NOW] + [standing.TO_COME] * 6


def test_every_figure_at_a_glance_is_one_of_tie_outs(case, assets):
    found = tie_out.tie_out(case)
    books, claims = ({row["code"]: row for row in found[name]} for name in ("assets", "claims"))

    for line in standing.figures(case, at=NOON).lines:
        code = line.asset.code
        assert str(line.closing) == books[code]["closing"]
        for name in ("recorded", "admitted", "disputed", "undeclared", "entitled", "in_flight", "settled", "deposited"):
            assert str(getattr(line, name)) == claims[code][name]


def test_the_page_asks_the_database_a_bounded_number_of_questions(
    case, assets, goto, django_assert_max_num_queries
):
    client = signed_in(goto)
    client.get(f"/admin/case/{case.reference}/")

    with django_assert_max_num_queries(60):
        assert client.get(f"/admin/case/{case.reference}/").status_code == 200


def test_the_record_and_the_jobs_are_read_by_key_and_never_counted(case, goto):
    from django.db import connection

    for number in range(3):
        stops.stop(case, reason=f"Stop {number}.", by=goto, at=NOON, rail=f"r{number}")
    client = signed_in(goto)
    for address in ("record/", "jobs/", "approvals/", "record/heads/"):
        with CaptureQueriesContext(connection) as asked:
            assert client.get(f"/admin/case/{case.reference}/{address}").status_code == 200
        assert not [one for one in asked if "COUNT(" in one["sql"].upper()], address


def test_another_page_of_the_record_begins_after_the_last_event_shown(case, goto, monkeypatch):
    from administration.office.pages.case import Record

    monkeypatch.setattr(Record, "page_size", 2)
    for number in range(3):
        stops.stop(case, reason=f"Stop {number}.", by=goto, at=NOON, rail=f"r{number}")
    client = signed_in(goto)
    first = client.get(f"/admin/case/{case.reference}/record/").context
    assert [line[0][1] for line in first["lines"]] == [3, 2] and first["following"] == "after=2"

    second = client.get(f"/admin/case/{case.reference}/record/?{first['following']}").context
    assert [line[0][1] for line in second["lines"]] == [1] and second["following"] == ""
