"""The order in which locks are taken: parts, then their attempts; and nobody waits for another look at the statistics."""

import threading
import time

import psycopg
from django.db import connection, connections, transaction

from administration.fields import db_now
from administration.rails.interface import Accepted
from administration.rails.rehearsal import Rehearsal
from administration.returns import cancelling, matching, sales, settlement, submissions
from claims.register import tie_out
from tests.returns.test_evidence import line, receive
from tests.returns.test_tail import an_order, claims_of, silence
from tests.returns.world import build, done, sign

LOOK = "SELECT returns_look_at_statistics(%s)"


def test_settling_waits_for_a_part_before_it_holds_its_attempts(committed, as_superuser, monkeypatch):
    """Whoever writes down what came of a call holds the part, and then wants its attempts: so does whoever settles."""
    monkeypatch.setattr(Rehearsal, "submit", lambda self, content, key: Accepted("RH-1"))
    world = build(as_superuser)
    batch = world.exported()
    done(submissions.submit(batch, by=world.goto, at=db_now()))
    receive(world, *(line(row, ref=n) for n, row in enumerate(world.returns(), start=1)))
    matching.run(world.case, by=None, at=db_now())

    def settle():
        with transaction.atomic():
            settlement.apply(world.case, 0, by=None, at=db_now())

    waits_for(committed, settle, first="SELECT FROM returns_submission", free="SELECT FROM returns_attempt")

    assert {row.state for row in world.returns()} == {"settled"}


def test_taking_a_round_back_waits_for_a_position_before_it_holds_its_returns(committed, as_superuser):
    """A decision that lowers a claim holds its position, and then wants its returns: so does whoever takes a round back."""
    world = build(as_superuser)
    current = world.scheduled()
    lowered = world.returns()[0]
    job = cancelling.cancel(current, reason="another rail", by=world.goto, at=db_now())

    position = f"SELECT FROM register_position WHERE claim_line_id = {lowered.claim_line_id}"
    waits_for(committed, lambda: done(job), first=position, free="SELECT FROM returns_assetreturn")

    assert {row.state for row in world.returns()} == {"cancelled"}
    tie_out.require(world.case)


def test_coins_that_were_sold_wait_for_a_position_in_money_before_they_hold_a_line(committed, as_superuser):
    """A run that is declared holds a line's position, and then wants the line: so does whoever shares what a sale brought."""
    world = build(as_superuser)
    claims = claims_of(world)[:1]
    silence(world, claims)
    said = {"ground": "unreachable", "facts": "-", "claims": claims, "order": an_order(world, sales.PERMITS)}
    yen = world.assets["JPY"]

    def approved(coin):
        asked = sales.propose(world.case, world.assets[coin], yen, **said, by=world.goto, at=db_now())
        for signer in (world.people.aoki, world.people.baba):
            sign(asked, signer)
        return world.case.forced_sales.get(pk=asked.object_id)

    def sold():
        fills = {"gross": 100, "fees": 0, "venue": "X", "paper": b"fills", "sold_at": db_now()}
        sales.sold(sale, **fills, by=world.goto, at=db_now())

    sale = approved("ETH")
    sold()  # the claim has a line in money of that class now
    sale = approved("BTC")
    line_in_money = "SELECT into_line_id FROM returns_saleshare WHERE into_line_id IS NOT NULL"
    position = f"SELECT FROM register_position WHERE claim_line_id IN ({line_in_money})"
    waits_for(committed, sold, first=position, free="SELECT FROM register_claimline")

    sale.refresh_from_db()
    assert sale.state == "done"
    tie_out.require(world.case)


def test_looks_at_the_statistics_do_not_wait_for_each_other(committed):
    """The lock of one lasts until its commit: waiting for it could close a circle."""
    tables = ("assetreturn", "attempt", "evidenceline", "match")
    with transaction.atomic(), connection.cursor() as cursor:
        for of in tables:
            cursor.execute(LOOK, [of])
        with psycopg.connect(committed.database_url, options="-c role=henkan_app -c lock_timeout=2s") as other:
            for of in tables:
                other.execute(LOOK, [of])


def waits_for(committed, act, *, first: str, free: str) -> None:
    """The act waits for the rows of `first`, which somebody holds, before it holds any of `free`; then it goes through."""

    def acting():
        act()
        connections.close_all()

    thread = threading.Thread(target=acting)
    with psycopg.connect(committed.database_url) as somebody:
        somebody.execute(f"{first} FOR NO KEY UPDATE")
        thread.start()
        until = time.monotonic() + 20
        while time.monotonic() < until and not waiting():
            time.sleep(0.02)
        assert waiting() and thread.is_alive()
        with psycopg.connect(committed.database_url) as other:
            other.execute(f"{free} FOR UPDATE NOWAIT")
            other.rollback()
        somebody.rollback()
    thread.join(timeout=30)
    assert not thread.is_alive()


def waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])
