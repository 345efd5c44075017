"""Whole lists in one answer: each is a pull, with its statement, on record, and the same again from the archive."""

import csv
import io
import json

import pytest

from administration.audit import archive, henkan_verify
from administration.audit.models import Pull
from administration.cases.models import AppointmentKind
from administration.record.models import Event
from administration.returns.models import AssetReturn
from tests.api.conftest import Bearer, a_token, appoint
from tests.at_once import at_once


def rows_of(response):
    return list(csv.DictReader(io.StringIO(response.getvalue().decode())))


def test_a_stream_of_returns_is_a_pull(estate, bearer):
    response = bearer.get("returns.csv")
    content = response.getvalue()
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [row["reference"] for row in rows] == sorted(AssetReturn.objects.values_list("reference", flat=True))

    pull = Pull.objects.get()
    said = bearer.json("pulls/1")
    assert response["Link"] == '<http://testserver/api/v1/pulls/1>; rel="describedby"'
    assert (said["of"], said["format"], said["broken_off"], said["bytes"]) == ("returns", "csv", False, str(len(content)))
    assert archive.path_of(pull).read_bytes() == content
    assert bearer.get("pulls/1/file").getvalue() == content
    population = said["population"]
    assert (population["returns"]["count"], population["filter"], population["returns"]["gaps"]) == ("12", "none", "none")
    for line in population["returns"]["sums"]:
        same = [row for row in rows if (row["asset"], row["state"]) == (line["asset"], line["state"])]
        assert (str(len(same)), str(sum(int(row["amount"]) for row in same))) == (line["count"], line["amount"])
    kinds = [event.kind for event in Event.objects.filter(kind__startswith="pull.").order_by("number")]
    assert kinds == ["pull.begun", "pull.made", "pull.handed_out"]
    last = json.loads(Event.objects.get(kind="pull.made").body)
    assert (last["sha256"], last["token"]) == (said["sha256"], "1")


def test_a_filter_is_applied_and_stated(estate, bearer):
    rows = rows_of(bearer.get("returns.csv", asset="BTC", state="scheduled"))
    assert rows
    assert {(row["asset"], row["state"]) for row in rows} == {("BTC", "scheduled")}
    population = bearer.json("pulls/1")["population"]
    assert population["filter"] == {"asset": "BTC", "state": "scheduled"}
    assert population["returns"]["count"] == str(len(rows))
    assert {(line["asset"], line["state"]) for line in population["returns"]["sums"]} == {("BTC", "scheduled")}
    assert rows_of(bearer.get("returns.csv", dated="scheduled", to="2020-01-01")) == []
    assert len(rows_of(bearer.get("returns.csv", from_="2020-01-01"))) == 12


@pytest.mark.parametrize("name", ["return-events", "returns"])
def test_a_jsonl_stream_begins_with_its_statement_and_ends_with_its_end(estate, bearer, name):
    lines = [json.loads(line) for line in bearer.get(f"{name}.jsonl").getvalue().splitlines()]
    population, *rows, end = lines
    assert population == bearer.json("pulls/1")["population"]
    assert end == {"type": "end", "lines": str(len(lines))}
    if name == "returns":
        assert [row["reference"] for row in rows] == sorted(AssetReturn.objects.values_list("reference", flat=True))
        return
    numbers = [int(row["number"]) for row in rows]
    assert numbers == list(range(1, len(numbers) + 1))
    assert (population["events"]["first"], population["events"]["last"]) == ("1", str(len(numbers)))
    assert (population["events"]["gaps"], population["events"]["unsealed"]) == ("none", "0")
    assert sum(int(many) for many in population["events"]["kinds"].values()) == len(numbers)
    paged = {row["number"]: row for row in bearer.json("return-events", limit=1000)["results"]}
    for row in rows:
        assert {**row, "case": "T-1"} == {**paged[row["number"]], "type": "event"}


def test_events_by_kind_say_that_the_filter_leaves_numbers_out(estate, bearer):
    rows = rows_of(bearer.get("return-events.csv", kind="batch."))
    assert {row["kind"] for row in rows} == {"batch.drafted", "batch.frozen"}
    assert bearer.json("pulls/1")["population"]["events"]["gaps"] == "numbers left out by the filter"


def test_a_stream_that_is_broken_off_is_on_record_all_the_same(estate, bearer):
    response = bearer.get("returns.csv")
    response.close()
    said = bearer.json("pulls/1")
    assert (said["broken_off"], said["sha256"]) == (True, None)
    assert [event.kind for event in Event.objects.filter(kind__startswith="pull.")] == ["pull.begun"]
    assert bearer.get("pulls/1/file").status_code == 409
    assert not list(archive.directory().iterdir())


def test_a_pull_of_the_whole_is_verified_offline(estate, bearer):
    made = bearer.post("pulls", {"of": "whole"}, Idempotency_Key="one")
    assert made.status_code == 201
    content = bearer.get("pulls/1/file").getvalue()
    path = archive.directory().parent / "mine.jsonl"
    path.write_bytes(content)
    assert henkan_verify.verify(path)["returns"] == 12


def test_the_same_request_makes_one_pull(estate, bearer):
    first = bearer.post("pulls", {"of": "returns", "format": "csv", "filter": {"asset": "ETH"}}, Idempotency_Key="one")
    events = Event.objects.count()
    again = bearer.post("pulls", {"filter": {"asset": "ETH"}, "format": "csv", "of": "returns"}, Idempotency_Key="one")
    assert (first.status_code, again.status_code, again["Idempotent-Replayed"]) == (201, 200, "true")
    assert first.json() == again.json()
    other = bearer.post("pulls", {"of": "returns", "format": "csv"}, Idempotency_Key="one")
    assert (other.status_code, other["Content-Type"]) == (422, "application/problem+json")
    assert (Pull.objects.count(), Event.objects.count()) == (1, events)


def test_the_same_request_many_times_at_once_makes_one_pull(estate, bearer):
    def ask():
        return bearer.post("pulls", {"of": "returns", "format": "csv"}, Idempotency_Key="at once")

    answers = at_once(*[ask] * 6)
    assert {answer.status_code for answer in answers} <= {200, 201}, answers
    assert len({answer.json()["sha256"] for answer in answers}) == 1
    assert Pull.objects.count() == 1
    assert Event.objects.filter(kind="pull.made").count() == 1


def test_pulls_of_others_are_not_there(estate, bearer):
    appoint(estate, "hara", AppointmentKind.AUDITOR)
    theirs = Bearer(a_token(estate, "hara")[1])
    theirs.get("returns.csv").getvalue()
    assert bearer.json("pulls")["results"] == []
    assert [bearer.get(address).status_code for address in ("pulls/1", "pulls/1/file")] == [404, 404]
    assert len(theirs.json("pulls")["results"]) == 1
