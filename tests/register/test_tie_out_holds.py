"""Whatever allowed moves, decisions and postings come in whatever order, both statements tie at every commit."""

import contextlib
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from administration.books import books
from administration.books.models import Asset, Entry
from administration.errors import Refused
from claims.register import positions, review, schedule
from claims.register.models import ClaimLine, Dispute, MoveKey
from claims.register.tie_out import tie_out
from tests.cast import NOON

# What a move of each kind can take, at most.
THERE = {
    "declare": lambda line, p: line.admitted + line.excess - p.given,
    "withdraw": lambda line, p: p.given - p.scheduled - p.in_flight - p.settled - p.deposited,
    "schedule": lambda line, p: p.given - p.scheduled - p.in_flight - p.settled - p.deposited,
    "unschedule": lambda line, p: p.scheduled,
    "take": lambda line, p: p.scheduled,
    "void": lambda line, p: p.in_flight,
    "settle": lambda line, p: p.in_flight,
    "bounce": lambda line, p: p.settled,
    "identify": lambda line, p: p.settled,
    "deposit": lambda line, p: p.given - p.scheduled - p.in_flight - p.settled - p.deposited,
    "net": lambda line, p: p.given - p.scheduled - p.in_flight - p.settled - p.deposited,
}
POSTS = [
    "receipt", "receipt_suspense", "conversion_in", "conversion_out", "identify", "reserve", "release", "cost", "cost_free",
    "overpay", "recover", "write_off", "residue", "dispose",
]  # fmt: skip

KINDS = [*THERE, "declare", "schedule", "take", "settle", "identify", "net", *["post"] * 14, "decide", "dispute"]


def draw(dice):
    """One step: what, of which lines, how many twelfths of what is there (more than twelve ask for too much)."""
    kind = dice.choice(KINDS)
    if kind in THERE:
        return kind, dice.sample(range(5), dice.randint(1, 2)), dice.randint(1, 14)
    if kind == "post":
        return dice.choice(POSTS), dice.choice(["JPY", "BTC"]), dice.randint(1, 1000)
    return kind, dice.randrange(5), dice.randint(1, 24)


def test_any_sequence_of_allowed_moves_ties(funded, aoki, as_owner):
    with as_owner() as cursor:  # here the books are moved without the acts that their entries rest on
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE books_entry DISABLE TRIGGER entry_rests_on_its_row")
    keys = itertools.count()

    def take(kind, what, how_much):
        key = f"{next(keys)}"
        lines = list(ClaimLine.objects.order_by("pk").select_related("position"))
        if kind == "decide":
            line = lines[what]
            open_one = Dispute.objects.filter(claim_line=line, decision=None).first()
            admitted = (line.recorded + line.lodged) * how_much // 16
            review.decide_line(line, admitted, dispute=open_one, reason_code="in_part", by=aoki, at=NOON)
        elif kind == "dispute":
            schedule.dispute(lines[what], lines[what].recorded * how_much // 12, ground="g", by=aoki, at=NOON)
        elif isinstance(what, str):
            ref = "payer unknown" if kind in ("receipt_suspense", "identify") else ""
            lines = [(Asset.objects.get(code=what), how_much)]
            books.post(funded, kind, idem_key=key, lines=lines, subject=funded, by=aoki, at=NOON, ref=ref)
        else:
            chosen = [lines[n] for n in what]
            most = 50 if kind in ("net", "identify") else 10**30  # a receivable or a suspense is small
            rows = [(line.pk, max(1, min(most, THERE[kind](line, line.position) * how_much // 12))) for line in chosen]
            ref = "payer unknown" if kind == "identify" else ""
            positions.move(funded, kind, key=key, rows=rows, subject=funded, by=aoki, at=NOON, ref=ref)

    # Each example begins where the last one ended: the case lives on.
    @settings(max_examples=12)
    @given(st.randoms(use_true_random=True))
    def tie(dice):
        for step in [draw(dice) for _ in range(40)]:
            with contextlib.suppress(Refused):
                take(*step)
            found = tie_out(funded)
            assert found["ok"], (step, found)

    tie()

    # A test in which everything is refused would tie too.
    assert set(MoveKey.objects.values_list("kind", flat=True)) == set(THERE)
    assert set(Entry.objects.values_list("kind", flat=True)) >= set(POSTS)
