"""Pages: in the order of numbers, none missed and none twice, whoever writes meanwhile."""

import json
import threading

from django.db import connections, transaction

from administration.audit.models import Reading
from administration.fields import db_now
from administration.record import heads, log, merkle
from administration.record.encoding import leaf
from administration.record.models import Event
from tests.api.conftest import Bearer, a_token

WRITERS, EACH = 6, 40


def test_no_event_is_missed_or_read_twice_while_others_write(estate, bearer):
    """Writers commit for real, some after a while and some not at all."""
    done = threading.Event()

    def write(name):
        try:
            for n in range(EACH):
                with transaction.atomic():
                    log.append(estate.case, "case.noted", subject=estate.case, by=None, at=db_now(), body={"by": name, "n": n})
                    if n % 7 == 3:
                        transaction.set_rollback(True)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=[f"w{n}"]) for n in range(WRITERS)]
    waiter = threading.Thread(target=lambda: ([thread.join() for thread in threads], done.set()))
    for thread in (*threads, waiter):
        thread.start()

    read, after, pages, leaving = [], "", 0, False
    while True:
        leaving = done.is_set()
        page = bearer.json("return-events", limit=7, **({"after": after} if after else {}))
        read += [int(row["number"]) for row in page["results"]]
        pages, after = pages + 1, page["last"] or after
        if leaving and page["next"] is None:
            break
    waiter.join()

    assert read == list(range(1, Event.objects.filter(case_id=estate.case.pk).count() + 1))
    assert len(read) > WRITERS * EACH * 0.8
    assert pages > len(read) // 7


def test_pages_follow_next_and_a_full_page_never_changes(estate, bearer):
    heads.seal(estate.case, at=db_now())
    first = bearer.get("return-events", limit=5)
    page = first.json()
    assert [row["number"] for row in page["results"]] == ["1", "2", "3", "4", "5"]
    assert "immutable" in first["Cache-Control"]
    assert first["Link"] == f'<{page["next"]}>; rel="next"'
    assert bearer.json(page["next"])["results"][0]["number"] == "6"
    head = heads.latest(estate.case)
    assert (first["Henkan-Head-Size"], first["Henkan-Head-Root"]) == (str(head.size), bytes(head.root).hex())

    with transaction.atomic():
        log.append(estate.case, "case.noted", subject=estate.case, by=None, at=db_now())
    again = bearer.get("return-events", limit=5)
    assert (again.content, again["ETag"]) == (first.content, first["ETag"])
    known = bearer.get("return-events", limit=5, headers={"If-None-Match": first["ETag"]})
    assert (known.status_code, known.content) == (304, b"")

    open_page = bearer.get("return-events", limit=1000)
    assert open_page.json()["next"] is None
    assert "immutable" not in open_page["Cache-Control"]


def test_every_event_can_be_checked_by_who_reads_it(estate, bearer):
    heads.seal(estate.case, at=db_now())
    head = bearer.json("heads")["results"][-1]
    size = int(head["size"])
    rows = bearer.json("return-events", limit=1000)["results"][:size]
    leaves = []
    for row in rows:
        fields = {name: row[name] for name in ("kind", "subject_kind", "subject_id", "by", "at", "recorded_at", "body")}
        leaves.append(leaf(case_reference=row["case"], number=int(row["number"]), **fields))
        assert leaves[-1].hex() == row["leaf"]
    assert merkle.root(leaves).hex() == head["root"]

    for number in (1, size // 2, size):
        proof = bearer.json(f"return-events/{number}/inclusion", size=size)
        nodes = [bytes.fromhex(node) for node in proof["proof"]]
        assert merkle.is_included(leaves[number - 1], number - 1, size=size, root=bytes.fromhex(proof["root"]), proof=nodes)


def test_an_earlier_head_is_proved_to_be_the_beginning_of_a_later_one(estate, bearer):
    heads.seal(estate.case, at=db_now())
    for _ in range(3):
        bearer.get("returns.csv").getvalue()
        heads.seal(estate.case, at=db_now())
    signed = bearer.json("heads")["results"]
    assert len(signed) >= 3
    for earlier in signed:
        for later in signed[signed.index(earlier) :]:
            proof = bearer.json(f"heads/{later['size']}/consistency", earlier=earlier["size"])
            assert merkle.is_consistent(
                int(earlier["size"]), int(later["size"]), earlier_root=bytes.fromhex(earlier["root"]),
                later_root=bytes.fromhex(later["root"]), proof=[bytes.fromhex(node) for node in proof["proof"]],
            )  # fmt: skip


def test_returns_come_with_their_story_and_by_filter(estate, bearer):
    rows = bearer.json("returns", limit=1000)["results"]
    assert [row["reference"] for row in rows] == sorted(row["reference"] for row in rows)
    assert len(rows) == 12
    read, address = [], {"limit": 5}
    while True:
        page = bearer.json("returns", **address)
        read += page["results"]
        if not page["next"]:
            break
        address = {"limit": 5, "after": page["last"]}
    assert read == rows
    assert {row["asset"] for row in bearer.json("returns", asset="BTC")["results"]} == {"BTC"}
    batch = estate.case.batches.get().reference
    frozen = bearer.json("returns", batch=batch, state="batched")["results"]
    assert (len(frozen), {row["state"] for row in frozen}) == (6, {"batched"})
    assert bearer.json("returns", dated="frozen", to="2020-01-01")["results"] == []
    assert all(isinstance(row["amount"], str) for row in rows)
    one = bearer.json(f"returns/{frozen[0]['reference']}")
    assert {**frozen[0], "attempts": [], "evidence": []} == one


def test_approvals_say_who_signed(estate, bearer):
    (request,) = bearer.json("approvals")["results"]
    assert (request["act"], request["state"], request["signatures"]) == ("returns.batch", "open", [])
    estate.approve(estate.case.batches.get())
    (request,) = bearer.json("approvals")["results"]
    assert [one["signer"] for one in request["signatures"]] == ["aoki", "baba"]
    assert request == bearer.json(f"approvals/{request['number']}")


def test_reading_is_on_record_once_a_day_for_each_list(estate, bearer):
    for _ in range(3):
        bearer.json("return-events", limit=4)
        bearer.json("returns", limit=4)
    events = [json.loads(event.body) for event in Event.objects.filter(kind="log.read").order_by("number")]
    assert [said["list"] for said in events] == ["return-events", "returns"]
    assert {said["token"] for said in events} == {"1"}
    reading = Reading.objects.get(list="return-events")
    assert (reading.pages, reading.rows, reading.through) == (3, 12, "4")
    another = Bearer(a_token(estate)[1])
    another.json("returns")
    assert Event.objects.filter(kind="log.read").count() == 3
