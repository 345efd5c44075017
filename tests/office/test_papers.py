"""Papers are opened from where their hash stands: as downloads, by whoever may, and the record says so."""

import pytest

from administration.cases import archive
from administration.cases.models import CourtOrder
from administration.record.models import Event
from claims.register import schedule
from claims.register.models import Claim, ClaimLine
from tests.cast import NOON
from tests.office.estate import _estate, estate, goto_at  # noqa: F401  fixtures
from tests.office.pressing import press, said
from tests.office.test_pages import signed_in

SCAN, LETTER = b"%PDF-1.4 <script>alert(1)</script>", b"<html>the customer's own letter</html>"


@pytest.fixture
def papers(estate, settings, tmp_path):  # noqa: F811
    settings.ARCHIVE_DIR = str(tmp_path)
    line = ClaimLine.objects.filter(case=estate.case).order_by("pk")[0]
    schedule.dispute(line, line.recorded + 1, ground="more", evidence=archive.keep(LETTER), by=estate.goto, at=NOON)
    CourtOrder.objects.create(
        case=estate.case, number="order 9", issuer="Tokyo District Court", issued_date="2026-10-05", scan_name="o.pdf",
        scan_sha256=archive.keep(SCAN), permits=[], registered_by=estate.goto, registered_at=NOON,
    )  # fmt: skip
    return {name: f"/admin/case/T-1/papers/{archive.keep(content).hex()}/" for name, content in (("scan", SCAN), ("letter", LETTER))}


def test_a_paper_is_a_download_whatever_it_says_it_is_and_the_record_says_who_opened_it(estate, papers):  # noqa: F811
    for name, content, kind in (("scan", SCAN, "pdf"), ("letter", LETTER, "txt")):
        answer = signed_in(estate.goto).get(papers[name])

        assert (answer.status_code, answer.content) == (200, content)
        assert answer["Content-Type"] == "application/octet-stream" and answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Disposition"].startswith("attachment;") and answer["Content-Disposition"].endswith(f'.{kind}"')
        assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert "no-store" in answer["Cache-Control"]
    opened = Event.objects.filter(kind="paper.opened").order_by("number")
    assert [event.by for event in opened] == ["goto", "goto"]


def test_a_customers_paper_opens_only_for_who_works_on_claims_and_no_paper_for_strangers(estate, papers):  # noqa: F811
    seen = {
        name: [signed_in(person).get(papers[paper]).status_code for paper in ("scan", "letter")]
        for name, person in (("chiba", estate.people.chiba), ("fujii", estate.people.fujii))
    }
    assert seen == {"chiba": [200, 404], "fujii": [404, 404]}
    nothing = [f"/admin/case/T-1/papers/{text}/" for text in ("00" * 32, "ab", "x" * 64)]
    assert [signed_in(estate.goto).get(address).status_code for address in nothing] == [404, 404, 404]


def test_a_paper_that_was_changed_in_the_archive_is_not_shown(estate, papers):  # noqa: F811
    archive.path_of(archive.keep(SCAN)).write_bytes(b"another order")
    answer = signed_in(estate.goto).get(papers["scan"])
    assert "its hash is another" in said(answer) and b"another order" not in answer.content


def test_the_claims_selected_in_the_queue_are_confirmed_together_or_not_at_all(estate):  # noqa: F811
    client, address = signed_in(estate.goto), "/admin/case/T-1/claims-confirm/"
    numbers = list(Claim.objects.filter(case=estate.case).order_by("number").values_list("number", flat=True)[:3])
    page = client.get("/admin/case/T-1/claims/").content.decode()
    assert all(f'value="{number}"' in page for number in numbers) and "keys.js" in page

    assert press(client, f"{address}?claim={numbers[0]}&claim={numbers[1]}").status_code == 302
    assert Claim.objects.filter(case=estate.case, confirmed_at__isnull=False, confirmed_how="paper").count() == 2
    assert Event.objects.filter(kind="claim.confirmed").count() == 2

    again = press(client, f"{address}?claim={numbers[1]}&claim={numbers[2]}")
    assert "was confirmed before" in said(again)
    assert Claim.objects.get(number=numbers[2]).confirmed_at is None
    assert "No claim is selected" in said(client.get(address))
