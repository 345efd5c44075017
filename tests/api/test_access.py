"""Who may read by the API, for how long, and how everybody else is answered."""

import datetime
import json

import pytest
from django.db import DatabaseError, connection
from django.test import Client

from administration.audit import tokens
from administration.audit.api import access, views
from administration.audit.models import Token
from administration.cases import appointments
from administration.cases.models import Appointment, AppointmentKind
from administration.errors import Refused
from administration.fields import db_now
from administration.record.models import Event
from tests.api.conftest import A_DAY, Bearer, a_token, appoint
from tests.returns.world import build

LISTS = ("", "return-events", "returns", "approvals", "heads", "pulls", "return-events.csv", "returns.jsonl")


def is_problem(response, status):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    said = response.json()
    assert said["status"] == status
    assert {"type", "title", "detail", "instance"} <= set(said)
    return said


def test_without_a_token_that_counts_nothing_is_read(estate):
    token, secret = a_token(estate)
    for name in LISTS:
        unknown = Bearer("henkan_" + "x" * 43).get(name)
        assert is_problem(Client().get(f"/api/v1/{name}"), 401)["title"]
        assert "does not count" in is_problem(unknown, 401)["detail"]
        assert unknown["WWW-Authenticate"].startswith("Bearer")
    assert Bearer(secret).get("").status_code == 200

    tokens.revoke(token, by=estate.people.aoki, at=db_now())
    is_problem(Bearer(secret).get(""), 401)


def test_a_session_of_the_office_opens_nothing_here(estate):
    client = Client()
    client.force_login(estate.people.chiba)
    is_problem(client.get("/api/v1/return-events"), 401)


def test_a_token_counts_only_while_it_and_the_appointment_run(estate, as_superuser):
    token, secret = a_token(estate)
    appointments.end(token.appointment, by=estate.people.aoki, at=db_now(), reason="the engagement is over")
    is_problem(Bearer(secret).get(""), 401)

    appoint(estate, "reader", AppointmentKind.COURT_READER)
    later, secret = a_token(estate, "reader")
    assert Bearer(secret).json("")["reader"] == "reader"
    with as_superuser() as cursor:
        cursor.execute("UPDATE audit_token SET issued_at = issued_at - interval '3 days', expires_at = now() - interval '1 second'")
    is_problem(Bearer(secret).get(""), 401)
    assert later.pk


def test_a_token_is_issued_by_the_office_holder_and_collected_once_by_whom_it_is_for(estate):
    people = estate.people
    theirs = Appointment.objects.get(case=estate.case, user=people.chiba)
    wanted = {"appointment": theirs, "purpose": "audit", "expires_at": db_now() + A_DAY}
    for name in ("baba", "goto", "chiba", "fujii"):
        with pytest.raises(Refused):
            tokens.issue(estate.case, **wanted, by=getattr(people, name), at=db_now())
    officer = Appointment.objects.get(case=estate.case, user=people.goto)
    with pytest.raises(tokens.NotIssued, match="auditor or court reader"):
        tokens.issue(estate.case, **{**wanted, "appointment": officer}, by=people.aoki, at=db_now())
    with pytest.raises(tokens.NotIssued, match="within a year"):
        tokens.issue(estate.case, **{**wanted, "expires_at": db_now() + 400 * A_DAY}, by=people.aoki, at=db_now())

    token = tokens.issue(estate.case, **wanted, by=people.aoki, at=db_now())
    with pytest.raises(tokens.NotIssued, match="Only the person"):
        tokens.collect(token, by=people.aoki, at=db_now())
    secret = tokens.collect(token, by=people.chiba, at=db_now())
    with pytest.raises(tokens.NotIssued, match="was collected"):
        tokens.collect(token, by=people.chiba, at=db_now())

    kinds = [event.kind for event in Event.objects.filter(kind__startswith="token.").order_by("number")]
    assert kinds == ["token.issued", "token.collected"]
    assert secret not in json.dumps(list(Token.objects.values_list("purpose", flat=True)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_token WHERE audit_token::text LIKE %s", [f"%{secret}%"])
        assert cursor.fetchone() == (0,)


RAW = [
    ("UPDATE audit_token SET purpose = 'all'", "permission denied", "keeps what it was issued for"),
    ("UPDATE audit_token SET expires_at = expires_at + interval '1 day'", "permission denied", "keeps what it was issued for"),
    ("UPDATE audit_token SET sha256 = sha256('x'), collected_at = now()", "collected once", "collected once"),
    ("DELETE FROM audit_token", "permission denied", "append only"),
    ("""INSERT INTO audit_token (case_id, number, appointment_id, purpose, issued_by_id, issued_at, expires_at)
        SELECT case_id, 9, appointment_id, 'more', (SELECT id FROM people_user WHERE username = 'goto'), now(), now() + interval '1 day'
        FROM audit_token LIMIT 1""", "issued by an office-holder", "issued by an office-holder"),
    ("""INSERT INTO audit_token (case_id, number, appointment_id, purpose, issued_by_id, issued_at, expires_at)
        SELECT t.case_id, 9, a.id, 'more', t.issued_by_id, now(), now() + interval '1 day'
        FROM audit_token t, cases_appointment a WHERE a.kind = 'case_officer' LIMIT 1""", "auditor or court reader", "auditor or court reader"),
    ("""INSERT INTO audit_token (case_id, number, appointment_id, purpose, issued_by_id, issued_at, expires_at)
        SELECT case_id, 9, appointment_id, 'more', issued_by_id, now(), now() + interval '2 years'
        FROM audit_token LIMIT 1""", "a year at most", "a year at most"),
]  # fmt: skip


def test_the_database_refuses_other_tokens_too(estate, as_role, as_owner):
    a_token(estate)
    for statement, to_app, to_owner in RAW:
        with pytest.raises(DatabaseError, match=to_app), as_role("henkan_app") as cursor:
            cursor.execute(statement)
        with pytest.raises(DatabaseError, match=to_owner), as_owner() as cursor:
            cursor.execute(statement)
    with pytest.raises(DatabaseError, match="permission denied"), as_role("henkan_reader") as cursor:
        cursor.execute("SELECT sha256 FROM audit_token")


def test_another_case_is_not_there(estate, as_superuser, bearer):
    other = build(as_superuser, claims_count=1, reference="T-2")
    other.frozen()
    assert bearer.json("returns", case="T-1")["results"]
    mine = Bearer(a_token(other)[1])
    number = mine.json("approvals")["results"][0]["number"]
    batch = other.case.batches.get().reference
    for address in (f"approvals/{number}", "approvals/999999", "heads/7777", "pulls/1", "pulls/1/file", "return-events/99999", "returns/R0000000999"):
        is_problem(bearer.get(address), 404)
    for name in LISTS:
        is_problem(bearer.get(name, case="T-2"), 404)
        is_problem(bearer.get(name, case="NONE"), 404)
    is_problem(bearer.get("returns", batch=batch), 400)
    assert {row["case"] for row in bearer.json("return-events", limit=1000)["results"]} == {"T-1"}
    cursor = mine.json("return-events", limit=1)["last"]
    is_problem(bearer.get("return-events", after=cursor), 400)


def test_nothing_can_be_changed_here(estate, bearer):
    before = Event.objects.count()
    for name in ("return-events", "returns", "approvals", "heads", "returns.csv", "pulls/1", "returns/R0000000018"):
        for method in ("put", "patch", "delete", "post"):
            response = getattr(bearer.client, method)(f"/api/v1/{name}", headers={"Authorization": f"Bearer {bearer.secret}"})
            assert "GET" in response["Allow"]
            is_problem(response, 405)
    assert Event.objects.count() == before


def test_every_error_is_a_problem(estate, bearer, monkeypatch):
    is_problem(bearer.get("nowhere"), 404)
    is_problem(Client().get("/api/elsewhere"), 404)
    is_problem(bearer.get("returns", limit=5000), 400)
    is_problem(bearer.get("returns", after="nonsense"), 400)
    is_problem(bearer.get("returns", colour="red"), 400)
    is_problem(bearer.get("returns", state="lost"), 400)
    is_problem(bearer.get("returns", from_="yesterday"), 400)
    is_problem(bearer.client.post("/api/v1/pulls", "x", content_type="text/plain", headers={"Authorization": f"Bearer {bearer.secret}", "Idempotency-Key": "k"}), 415)
    is_problem(bearer.post("pulls", {"of": "everything"}, Idempotency_Key="k"), 400)
    is_problem(bearer.post("pulls", {"of": "whole"}), 400)
    is_problem(bearer.post("pulls", {"of": "whole", "format": "csv"}, Idempotency_Key="k"), 409)
    japanese = bearer.client.get("/api/v1/returns", headers={"Accept-Language": "ja"})
    assert "トークン" in is_problem(japanese, 401)["title"]

    def broken(*args, **kwargs):
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr(views.heads, "latest", broken)
    assert "secret" not in json.dumps(is_problem(bearer.get(""), 500))


def test_who_asks_too_often_waits(estate, bearer, monkeypatch):
    monkeypatch.setattr(access.TokenThrottle, "rate", "3/min")
    monkeypatch.setattr(access.StrangerThrottle, "rate", "2/min")
    assert [bearer.get("").status_code for _ in range(3)] == [200] * 3
    slow = bearer.get("")
    is_problem(slow, 429)
    assert int(slow["Retry-After"]) >= 1
    stranger = Bearer("henkan_no")
    assert [stranger.get("").status_code for _ in range(3)] == [401, 401, 429]


def test_a_token_reads_its_period_and_no_more(estate):
    events = list(Event.objects.filter(case_id=estate.case.pk).order_by("number"))
    middle = events[len(events) // 2]
    microsecond = datetime.timedelta(microseconds=1)
    early = Bearer(a_token(estate, period_to=middle.recorded_at)[1])
    late = Bearer(a_token(estate, period_from=middle.recorded_at)[1])
    none = Bearer(a_token(estate, period_from=middle.recorded_at, period_to=middle.recorded_at + microsecond)[1])

    numbers = [int(row["number"]) for row in early.json("return-events", limit=1000)["results"]]
    assert numbers == list(range(1, middle.number))
    numbers = [int(row["number"]) for row in late.json("return-events", limit=1000)["results"]]
    assert numbers[0] == middle.number
    assert numbers == list(range(middle.number, middle.number + len(numbers)))
    assert [row["number"] for row in none.json("return-events")["results"]] == [str(middle.number)]
    is_problem(late.get("return-events/1"), 404)
    assert late.json(f"return-events/{middle.number}")["number"] == str(middle.number)
    is_problem(late.post("pulls", {"of": "whole"}, Idempotency_Key="k"), 409)
    before = early.post("pulls", {"of": "events"}, Idempotency_Key="k").json()["population"]
    assert before["events"]["last"] == str(middle.number - 1)
    assert set(before["period"]) == {"to"}
