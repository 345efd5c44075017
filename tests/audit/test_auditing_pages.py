"""The auditor's pages: scope, pull with counts first, verify, compare with a kept head, tokens."""

import datetime
import re

import pytest
from django.test import Client

from administration.audit import archive, henkan_verify
from administration.audit.models import Pull, Token
from administration.fields import db_now
from administration.record import heads
from administration.record.models import Event
from tests.api.conftest import Bearer, estate  # noqa: F401  a fixture
from tests.office.pressing import did, look, press, said, work
from tests.office.test_pages import signed_in

BASE = "/admin/case/T-1/auditing/"


@pytest.fixture
def chiba(estate):  # noqa: F811
    return signed_in(estate.people.chiba)


@pytest.fixture
def aoki(estate, as_superuser):  # noqa: F811
    return signed_in(estate.people.aoki)


def test_an_auditor_sees_the_scope_and_that_nothing_can_be_changed(chiba, estate):  # noqa: F811
    text = chiba.get(BASE).content.decode()
    for words in ("Read only", "T-1", "the whole record", "You have pulled nothing yet", "henkan_verify.py"):
        assert words in text, words
    assert signed_in(estate.people.fujii).get(BASE).status_code == 404
    assert Client().get(BASE).status_code == 302


def test_counts_and_sums_are_shown_before_anything_is_pulled(chiba):
    shown = look(chiba, BASE + "pull/", of="returns", format="csv", asset="BTC", state="batched").context["effect"]
    figures = {str(label): str(value) for label, value in shown.figures}
    assert figures["Returns"] == str(sum(int(row[2]) for row in shown.tables[0].rows))
    assert {row[0] for row in shown.tables[0].rows} == {"BTC"}
    assert not Pull.objects.exists()

    where = did(chiba, BASE + "pull/", of="returns", format="csv", asset="BTC", state="batched")
    pull = Pull.objects.get()
    assert where == f"{BASE}pulls/{pull.number}/"
    assert pull.population["filter"] == {"asset": "BTC", "state": "batched"}
    assert pull.file_name in chiba.get(BASE).content.decode()
    page = chiba.get(where).content.decode()
    assert pull.population["head"]["root"] in page
    file = chiba.get(where + "file")
    assert file.getvalue() == archive.path_of(pull).read_bytes()
    assert Event.objects.latest("number").kind == "pull.handed_out"


def test_everything_pulled_here_verifies_with_the_program_offered_here(chiba, tmp_path):
    where = did(chiba, BASE + "pull/", of="whole", format="jsonl")
    pull, program = tmp_path / "pull.jsonl", chiba.get(BASE + "henkan_verify.py").content
    pull.write_bytes(chiba.get(where + "file").getvalue())
    assert program.decode().startswith('"""\nVerify a pull')
    assert henkan_verify.verify(pull)["returns"] == 12


def test_events_are_pulled_while_others_go_on(chiba, estate):  # noqa: F811
    shown = look(chiba, BASE + "pull/", of="events", format="jsonl", kind="batch.")
    heads.seal(estate.case, at=db_now())
    signed_in(estate.people.goto)
    assert "batch" in str(shown.context["effect"].tables[0].rows).lower()
    did(chiba, BASE + "pull/", of="events", format="jsonl", kind="batch.")
    wrong = look(chiba, BASE + "pull/", of="events", format="jsonl", asset="BTC")
    assert wrong.status_code == 400
    assert "Asset" in str(wrong.context["form"].non_field_errors())


def test_a_pull_of_somebody_else_is_not_there(chiba, aoki, estate):  # noqa: F811
    did(chiba, BASE + "pull/", of="returns", format="csv")
    for address in ("pulls/1/", "pulls/1/file"):
        assert aoki.get(BASE + address).status_code == 404


def test_verifying_says_what_was_found_and_leaves_an_event(chiba, estate, as_superuser):  # noqa: F811
    heads.seal(estate.case, at=db_now())
    press(chiba, BASE + "verify/")
    work(estate.case)
    assert "signed heads fit" in chiba.get(BASE).content.decode()
    assert Event.objects.get(kind="record.verified").by == "chiba"
    with as_superuser() as cursor:
        cursor.execute("UPDATE record_event SET by = 'baba' WHERE number = 2")
    press(chiba, BASE + "verify/")
    work(estate.case)
    assert "Event 2 of T-1" in chiba.get(BASE).content.decode()


def test_a_kept_head_is_compared_in_words(chiba, estate, as_superuser):  # noqa: F811
    kept = heads.seal(estate.case, at=db_now())
    did(chiba, BASE + "pull/", of="returns", format="csv")
    heads.seal(estate.case, at=db_now())
    root = bytes(kept.root).hex()
    fits = chiba.post(BASE + "compare/", {"size": kept.size, "root": root.upper()})
    assert fits.context["found"].fits and "are the beginning" in fits.content.decode()
    other = chiba.post(BASE + "compare/", {"size": kept.size, "root": "0" * 64})
    assert not other.context["found"].fits and "does NOT fit" in other.content.decode()
    larger = chiba.post(BASE + "compare/", {"size": 99_999, "root": root})
    assert "are missing" in larger.content.decode()
    assert chiba.post(BASE + "compare/", {"size": 1, "root": "abc"}).status_code == 400


def test_the_office_holder_issues_a_token_and_the_auditor_alone_sees_its_secret(chiba, aoki, estate, as_superuser):  # noqa: F811
    theirs = estate.case.appointments.get(user=estate.people.chiba)
    day = (db_now() + datetime.timedelta(days=30)).date().isoformat()
    given = {"appointment": theirs.pk, "purpose": "annual audit", "expires": day}
    assert look(chiba, BASE + "tokens/issue/", **given).status_code == 403
    assert did(aoki, BASE + "tokens/issue/", **given) == BASE + "tokens/"
    token = Token.objects.get()

    assert "Collect" in chiba.get(BASE + "tokens/").content.decode()
    assert "Only the person" in said(aoki.post(BASE + "tokens/1/collect/"))
    answer = chiba.post(BASE + "tokens/1/collect/")
    secret = re.search(r"henkan_[\w-]{43}", answer.content.decode())[0]
    assert answer["Cache-Control"] == "no-store"
    assert Bearer(secret).json("")["purpose"] == "annual audit"
    assert chiba.post(BASE + "tokens/1/collect/").status_code == 409
    assert secret not in chiba.get(BASE + "tokens/").content.decode()

    did(aoki, f"{BASE}tokens/{token.number}/revoke/")
    assert Bearer(secret).get("").status_code == 401
    assert "revoked" in chiba.get(BASE + "tokens/").content.decode()
