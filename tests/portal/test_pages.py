"""The running portal: coming in without an oracle, who sees what, replays, and fifty at once."""

import json
import re
import threading
from datetime import date

import pytest
from django.core import mail
from django.db import connection
from django.urls import get_resolver

from administration.cases import approvals
from administration.fields import db_now
from administration.record.models import Event
from administration.returns import after_cutoff
from claims.destinations import proving
from claims.portal import entering, sending
from claims.register.models import Claim, Dispute
from tests.cast import sha
from tests.portal.conftest import BORN, Browser, as_portal, claim, code_sent, letter, signed_in
from tests.returns.late import came_in

DATE = {"year": str(BORN.year), "month": str(BORN.month), "day": str(BORN.day), "channel": "email"}


def address(number: int) -> str:
    """A claim of its own for each test: its claim page in English."""
    return f"/en/claims/{claim(number).number}/"


# --- coming in --------------------------------------------------------------------------------


def test_code_date_and_mailed_code_together_lead_in_and_nothing_less_does(browser, committed_estate):
    mine = claim(20)
    answer = browser.post("/en/find/", code=letter(mine, committed_estate).lower(), **DATE)
    assert (answer.status, answer.header("location")) == (302, "/en/find/code/")

    code = code_sent()
    assert mail.outbox[-1].to == [mine.claimant.identity.email]
    assert "http" not in mail.outbox[-1].body
    wrong = browser.post("/en/find/code/", code="00000000" if code != "00000000" else "11111111")
    assert (wrong.status, "portal_session" in browser.cookies) == (422, False)

    assert browser.post("/en/find/code/", code=f"{code[:4]} {code[4:]}").status == 302
    assert f"<span class=\"number\">{mine.number}" in browser.get(address(20)).body
    used = Browser(browser.port, {"portal_ask": browser.cookies.get("portal_ask", "")})
    assert used.post("/en/find/code/", code=code).status in (302, 422) and "portal_session" not in used.cookies


@pytest.mark.parametrize(
    ("known", "born"), [(True, BORN), (True, date(1970, 1, 1)), (False, BORN)], ids=["known", "wrong date", "unknown"]
)
def test_what_comes_back_is_the_same_whether_there_is_such_a_claim_or_not(browser, committed_estate, known, born):
    code = letter(claim(19), committed_estate) if known else "0000-0000-0000-0000"
    page = browser.get("/en/find/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.body)[1]
    asked = {**DATE, "year": str(born.year), "month": str(born.month), "day": str(born.day)}
    answer = browser.post("/en/find/", token=token, code=code, **asked)

    told = [(key.lower(), re.sub(r"portal_ask=[^;]+|expires=[^;]+", "", value)) for key, value in answer.headers if key.lower() != "date"]
    assert (answer.status, answer.body) == (302, "")
    assert ("location", "/en/find/code/") in told and len([1 for key, _v in told if key == "set-cookie"]) == 1
    assert len(browser.cookies["portal_ask"]) == 43
    after = browser.post("/en/find/code/", code="12345678")
    assert after.status == 422 and "This is not the code that we sent." in after.body


def test_a_code_nobody_has_is_never_sent_and_looks_like_any_other_row(browser, committed_estate):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(claim_id) FROM portal_message")
        before = cursor.fetchone()
    browser.post("/en/find/", code="0000-0000-0000-0001", **DATE)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(claim_id) FROM portal_message")
        assert cursor.fetchone() == (before[0] + 1, before[1])


def test_five_wrong_codes_end_a_code_and_a_sixth_right_one_is_too_late(browser, committed_estate):
    browser.post("/en/find/", code=letter(claim(18), committed_estate), **DATE)
    code = code_sent()
    for _n in range(5):
        browser.post("/en/find/code/", code=f"{(int(code) + 1) % 10**8:08d}")
    answer = browser.post("/en/find/code/", code=code)
    assert "cannot be used any more" in answer.body and "portal_session" not in browser.cookies


def test_who_knocks_too_often_waits_and_the_claimant_elsewhere_does_not(committed_estate):
    mine = claim(17)
    code = letter(mine, committed_estate)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE henkan_portal")
        try:
            said = [entering.ask(code, BORN, channel="email", language="en", address="192.0.2.1").outcome for _n in range(8)]
            nobodys = [entering.ask("0" * 15 + "2", BORN, channel="email", language="en", address="192.0.2.2").outcome for _n in range(8)]
            elsewhere = entering.ask(code, BORN, channel="email", language="en", address="192.0.2.3").outcome
        finally:
            cursor.execute("SET ROLE henkan_app")
    assert said == nobodys == ["asked"] * 6 + ["wait"] * 2
    assert elsewhere == "asked"


def test_by_letter_the_code_goes_to_the_printer(browser, committed_estate, settings, tmp_path):
    settings.ARCHIVE_DIR = str(tmp_path)
    mine = claim(16)
    browser.post("/ja/find/", code=letter(mine, committed_estate), **{**DATE, "channel": "post", "year": "昭和40"})
    sending.send_waiting()
    [file] = tmp_path.glob("letters/T-1-codes-*.csv")
    row = next(line for line in file.read_text().splitlines() if line.startswith(mine.number))
    assert browser.post("/ja/find/code/", code=row.rpartition(",")[2]).status == 302
    assert mine.claimant.identity.email not in [message.to[0] for message in mail.outbox]
    assert file.stat().st_mode & 0o077 == 0


# --- who sees what ----------------------------------------------------------------------------


def routes(language: str = "en") -> list[str]:
    """Every pattern of the portal's address table."""
    found = []

    def walk(patterns, prefix):
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if hasattr(pattern, "url_patterns"):
                walk(pattern.url_patterns, route)
            else:
                found.append(route)

    walk(get_resolver("config.portal_urls").url_patterns, "")
    return sorted(found)


# What each route is to somebody signed in, for an own claim: the status of a GET.
PUBLIC = {"": 302, "healthz": 200, "en/": 200, "en/cases/<str:reference>/": 200, "en/find/": 200, "en/find/code/": 302}
OWN = {
    "en/claims/": 302,
    "en/claims/<str:number>/": 200,
    "en/claims/<str:number>/data.json": 200,
    "en/claims/<str:number>/confirm/": 200,
    "en/claims/<str:number>/destinations/<str:asset>/": 302,
    "en/claims/<str:number>/destinations/<str:asset>/code/": 200,
    "en/claims/<str:number>/lines/<str:asset>/<str:claim_class>/": 200,
    "en/claims/<str:number>/lines/<str:asset>/<str:claim_class>/dispute/": 200,
}
POST_ONLY = {"en/leave/", "en/claims/<str:number>/destinations/<str:asset>/stop/"}


def filled(route: str, number: str, case: str = "T-1") -> str:
    values = {"number": number, "reference": case, "asset": "BTC", "claim_class": "priority_segregated"}
    return "/" + re.sub(r"<str:(\w+)>", lambda m: values[m[1]], route)


def test_no_route_is_missing_from_the_matrix():
    assert set(routes()) == set(PUBLIC) | set(OWN) | POST_ONLY


@pytest.mark.parametrize("route", sorted(OWN))
def test_every_route_to_every_customer_of_both_cases(browser, route):
    doi, endo, other = claim(15), claim(14), claim(1, "T-2")
    numbers = {"doi": doi.number, "endo": endo.number, "other case": other.number, "nobody": "T-1-C9999999-9"}
    who = {
        "doi": Browser(browser.port).sign_in(signed_in(doi)),
        "other case": Browser(browser.port).sign_in(signed_in(other)),
        "stranger": Browser(browser.port),
        "expired": Browser(browser.port).sign_in(signed_in(doi, left=-1)),
    }
    for name, one in who.items():
        for whose, number in numbers.items():
            answer = one.get(filled(route, number))
            if name in ("stranger", "expired"):
                assert answer.status == 302 and answer.header("location").startswith("/en/find/"), (name, whose)
            elif "<str:number>" not in route or name == whose:
                assert answer.status == OWN[route], (name, whose)
            else:
                assert answer.status == 404, (name, whose)
                assert 'class="amount' not in answer.body


@pytest.mark.parametrize("route", sorted(PUBLIC))
def test_what_is_public_names_no_claim(browser, route):
    answer = browser.get(filled(route, ""))
    assert answer.status == PUBLIC[route]
    assert not re.search(r"T-\d-C\d{7}", answer.body)


@pytest.mark.parametrize("route", sorted(r for r in {*PUBLIC, *OWN} if "<str" in r))
def test_a_nul_in_an_address_names_nothing(browser, route):
    answer = browser.get(re.sub("<str:[a-z_]+>", "%00", f"/{route}"))
    assert answer.status == 404 and "<html" in answer.body


def test_a_cookie_with_a_nul_is_nobodys(browser):
    browser.cookies["portal_session"] = r'"a\000b"'
    assert browser.get(address(13)).header("location") == "/en/find/"
    assert browser.get("/en/").status == 200
    browser.cookies["portal_ask"] = r'"a\000b"'
    assert browser.get("/en/find/code/").status == 302


def test_pages_of_a_claim_are_kept_by_no_cache_and_load_nothing_from_elsewhere(browser):
    answer = browser.sign_in(signed_in(claim(13))).get(address(13))
    assert "no-store" in answer.header("cache-control") and "private" in answer.header("cache-control")
    policy = answer.header("content-security-policy")
    assert "script-src 'none'" in policy and "unsafe" not in policy
    assert "<script" not in answer.body and "style=" not in answer.body
    assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.body)


# --- acts -------------------------------------------------------------------------------------


def test_a_line_is_disputed_once_and_sending_the_form_again_changes_nothing(browser):
    browser.sign_in(signed_in(claim(12)))
    path = f"{address(12)}lines/JPY/trust_beneficiary/dispute/"
    assert browser.post(path, claimed="abc", ground="").status == 422
    assert browser.post(path, claimed="1000", ground="the same").status == 422
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(path).body)[1]
    events = Event.objects.count()
    assert browser.post(path, token=token, claimed="１，５００円", ground='入金が "漏れ"ている\n\x07').status == 302
    again = browser.post(path, token=token, claimed="1500", ground="again")
    assert again.status == 409 and "Nothing was changed" in again.body

    found = Dispute.objects.get(claim_line__claim=claim(12))
    assert (found.claimed, found.how, found.received_by) == (1500, "portal", None)
    line = found.claim_line
    assert (line.lodged, line.disputed, line.admitted) == (500, 500, 1000)
    event = Event.objects.get(kind="claim.disputed", subject_id=str(found.pk))
    body = json.loads(event.body)
    assert (body["claimed"], body["ground"], event.by) == ("1500", found.ground, "")
    assert event.body == json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert Event.objects.count() == events + 1


def test_fifty_confirm_at_once_and_one_is_recorded(browser):
    session = signed_in(claim(11))
    path = f"{address(11)}confirm/"
    first = Browser(browser.port).sign_in(session)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', first.get(path).body)[1]
    results, ready = [], threading.Barrier(50)

    def press():
        one = Browser(browser.port, dict(first.cookies))
        ready.wait(30)
        results.append(one.post(path, token=token))

    threads = [threading.Thread(target=press) for _n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.status for answer in results) == [302] + [409] * 49
    assert all("Nothing was changed" in answer.body for answer in results if answer.status == 409)
    assert Event.objects.filter(kind="claim.confirmed", subject_id=str(claim(11).pk)).count() == 1
    assert Claim.objects.get(pk=claim(11).pk).confirmed_how == "portal"


def test_a_form_from_elsewhere_is_refused(browser):
    browser.sign_in(signed_in(claim(10)))
    answer = browser.post(f"{address(10)}confirm/", token="x" * 64)
    assert answer.status == 403 and "Nothing was changed" in answer.body
    assert Claim.objects.get(pk=claim(10).pk).confirmed_at is None


def test_signing_out_ends_the_session_everywhere(browser):
    session = signed_in(claim(9))
    browser.sign_in(session)
    other = Browser(browser.port).sign_in(session)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(address(9)).body)[1]
    assert browser.post("/en/leave/", token=token).status == 302
    assert other.get(address(9)).header("location") == "/en/find/?ended"


# --- where returns go -------------------------------------------------------------------------

ADDRESS = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"


def test_a_place_is_given_after_a_fresh_code_told_by_mail_and_stopped_without_one(browser, committed_estate):
    mine = claim(8)
    browser.sign_in(signed_in(mine))
    path = f"{address(8)}destinations/BTC/"
    assert browser.get(path).header("location") == path + "code/"
    assert browser.post(path + "code/", ask="yes").status == 302
    assert browser.post(path + "code/", code=code_sent()).header("location") == path

    secret = browser.post(path, address="L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1")
    assert secret.status == 422 and "L4rK1" not in secret.body and "but a secret" in secret.body
    assert ADDRESS in browser.post(path, address=ADDRESS).body
    assert not mine.destinations.filter(origin="claimant").exists()
    assert browser.post(path, address=ADDRESS, checked="yes").status == 302
    assert browser.post(path, address=ADDRESS, checked="yes").status == 409

    given = mine.destinations.get(origin="claimant")
    assert (given.state, given.version, given.details["address"]) == ("proposed", 2, ADDRESS)
    mail.outbox.clear()
    sending.send_waiting()
    assert "If it was not you" in mail.outbox[-1].body and ADDRESS not in mail.outbox[-1].body

    # The office finds it proved: the waiting time begins, the claimant hears of it, and can stop it still.
    proving.prove(given, how="signed_message", evidence=sha("a paper"), by=committed_estate.goto, at=db_now())
    with pytest.raises(proving.NotProved, match="no proof any more"):
        proving.prove(given, how="provider", evidence=sha("another"), by=committed_estate.goto, at=db_now())
    mail.outbox.clear()
    sending.send_waiting()
    assert "waiting time" in mail.outbox[-1].subject and ADDRESS not in mail.outbox[-1].body
    assert given.state == "cooling" and given.usable_from is not None

    line = f"{address(8)}lines/BTC/priority_segregated/"
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(line).body)[1]
    assert browser.post(path + "stop/", token=token).header("location").endswith("?done=stopped")
    given.refresh_from_db()
    assert given.state == "revoked"


def test_a_bank_account_is_looked_at_before_it_is_taken(browser):
    mine = claim(7)
    browser.sign_in(signed_in(mine, fresh=True))
    path = f"{address(7)}destinations/JPY/"
    account = {"bank_code": "0001", "branch_code": "001", "kind": "1", "number": "１２３４５６７", "holder_kana": "ドイ ハナ"}
    wrong = browser.post(path, **{**account, "bank_code": "9999", "number": "12"})
    assert wrong.status == 422 and "has 7 digits" in wrong.body
    assert browser.post(path, **account, checked="yes").status == 302
    assert mine.destinations.get(origin="claimant").details["number"] == "1234567"


def test_what_came_in_after_the_cut_off_stands_there_in_plain_words_and_is_not_disputed(browser, committed_estate):
    world, mine = committed_estate, claim(21)
    account = mine.ledger_account.account_ref
    came_in(world.case, (account, "JPY", 700))
    request = after_cutoff.propose(world.case, facts="x", by=world.goto, at=db_now())
    for signer in (world.people.aoki, world.people.baba):
        approvals.sign(request, by=signer, at=db_now())
    browser.sign_in(signed_in(mine))
    page = browser.get(address(21)).body
    assert page.count("Received after the cut-off: returned in full") == 1
    assert "it is returned to you in full. The round in which it is sent is being prepared." in page
    line = f"{address(21)}lines/JPY/after_cutoff/"
    why = browser.get(line).body
    assert "What came in after the cut-off, less what went out" in why and "All of it: no round shares it out." in why
    assert "To be returned to you in full" in why and "dispute it" not in why and "In the plan" not in why
    assert browser.get(f"{line}dispute/").status == 404
    with as_portal():
        assert entering.dispute(browser.cookies["portal_session"], mine.number, "JPY", "after_cutoff", claimed=9, ground="x") == "unknown"
    others = browser.get(f"/en/claims/{claim(22).number}/")
    assert others.status == 404
