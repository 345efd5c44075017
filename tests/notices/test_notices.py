"""What we told whom, when."""

import pytest
from django.db import IntegrityError, ProgrammingError

from administration.cases.appointments import NotEmpowered
from administration.record.models import Event
from claims.notices import notices
from claims.notices.models import Notice
from tests.cast import NOON, open_sample_case, sha


@pytest.fixture
def issue(case, goto):
    def issue(**changes):
        given = {"kind": "schedule", "title": "Your claim", "text": "It stands.", "channel": "gazette"} | changes
        return notices.issue(case, **given, by=goto, at=NOON)

    return issue


def test_notices_are_numbered_and_kept_by_their_hash(issue):
    first, second = issue(proof="gazette no. 512, p. 3"), issue(channel="post")

    assert (first.number, second.number) == (1, 2)
    assert first.text_sha256 == sha("It stands.")
    assert Event.objects.filter(kind="notice.issued").count() == 2


@pytest.mark.parametrize("missing", [{"title": " "}, {"text": ""}, {"channel": "rumour"}])
def test_a_notice_without_its_parts_is_refused(issue, missing):
    with pytest.raises(notices.NotIssued):
        issue(**missing)


def test_a_stranger_issues_no_notice(case, fujii):
    with pytest.raises(NotEmpowered):
        notices.issue(case, "schedule", "t", "t", "post", by=fujii, at=NOON)


def test_what_was_told_stays_told(issue, as_role, as_owner):
    issue()
    for sql in ("UPDATE notices_notice SET title = ''", "DELETE FROM notices_notice"):
        with pytest.raises(ProgrammingError, match="permission denied"), as_role("henkan_app") as cursor:
            cursor.execute(sql)
    with pytest.raises(IntegrityError, match="append only"), as_owner() as cursor:
        cursor.execute("UPDATE notices_notice SET title = ''")


def test_the_database_refuses_a_gap_in_the_numbers(case, issue):
    issue()
    with pytest.raises(IntegrityError, match="notice_numbers_have_no_gap"):
        Notice.objects.create(
            case=case, number=3, kind="k", channel="post", title="t", text_sha256=sha("t"), sent_at=NOON
        )


def test_each_case_numbers_its_own(issue):
    issue()
    other = open_sample_case("T-2")
    Notice.objects.create(case=other, number=1, kind="k", channel="post", title="t", text_sha256=sha("t"), sent_at=NOON)
