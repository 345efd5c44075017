"""The Merkle sum tree: what is given to one is proved to be in the total given to all."""

import hashlib
import random

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from administration.distribution import hashes, sumtree
from administration.distribution.models import Entitlement
from administration.distribution.sumtree import BOUND, BadSum, Builder, Node, make, prove, root_of, verify

amounts_given = st.lists(st.integers(0, 10**60), min_size=1, max_size=40)


def leaf(number: int, amount: int) -> Node:
    return sumtree.leaf(bytes(16), claim=f"T-1-C{number}", asset="BTC", claim_class="general", amount=amount)


def leaves_of(units):
    return [leaf(number, amount) for number, amount in enumerate(units)]


@given(amounts_given)
def test_every_leaf_is_proved_into_the_root_and_the_root_sums_them_all(units):
    leaves = leaves_of(units)
    top = make(leaves)
    assert top.total == sum(units)
    for index, node in enumerate(leaves):
        assert verify(node, prove(leaves, index)) == top


@given(amounts_given, st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_proof_fits_one_amount_at_one_place_only(units, at, more):
    leaves = leaves_of(units)
    top, index = make(leaves), at % len(leaves)
    proof = prove(leaves, index)
    assert verify(leaf(index, units[index] + more), proof) != top
    for other in range(len(leaves)):
        if other != index:
            moved = sumtree.Proof(other, proof.size, proof.siblings)
            assert verify(leaves[index], moved) != top
    for size in (proof.size - 1, proof.size + 1, 2 * proof.size):
        found = verify(leaves[index], sumtree.Proof(index, size, proof.siblings))
        assert root_of("p", "BTC", size, found) != root_of("p", "BTC", len(leaves), top)


def test_proofs_that_do_not_fit_their_own_place_lead_nowhere():
    leaves = leaves_of([1, 2, 3])
    proof = prove(leaves, 0)
    assert verify(leaves[0], sumtree.Proof(0, 3, proof.siblings[:1])) is None
    assert verify(leaves[0], sumtree.Proof(0, 3, (*proof.siblings, leaves[1]))) is None
    assert verify(leaves[0], sumtree.Proof(3, 3, proof.siblings)) is None
    assert verify(leaves[0], sumtree.Proof(-1, 3, proof.siblings)) is None


def test_a_negative_or_unbounded_sum_is_refused_wherever_it_stands():
    """Otherwise a negative sibling would hide what somebody else was given."""
    leaves = leaves_of([1, 2])
    proof = prove(leaves, 0)
    for total in (-2, BOUND):
        forged = sumtree.Proof(0, 2, (Node(proof.siblings[0].hash, total),))
        assert verify(leaves[0], forged) is None
    for amount in (-1, BOUND + 1, True, 1.0):
        with pytest.raises(BadSum):
            leaf(0, amount)


def test_the_same_leaves_under_another_pool_size_or_total_have_another_root():
    top = make(leaves_of([1, 2, 3]))
    said = {root_of("a", "BTC", 3, top), root_of("b", "BTC", 3, top), root_of("a", "ETH", 3, top)}
    said |= {root_of("a", "BTC", 4, top), root_of("a", "BTC", 3, Node(top.hash, 7)), root_of("a", "BTC", 0, None)}
    assert len(said) == 6


@given(amounts_given)
def test_leaf_by_leaf_gives_the_same_as_level_by_level(units):
    level = leaves = leaves_of(units)
    while len(level) > 1:
        above = [sumtree.parent(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = above + level[2 * len(above) :]
    assert make(leaves) == level[0]


@pytest.mark.parametrize("size", [1023, 1024, 1025, 2047, 3072, 5000])
def test_whole_subtrees_at_once_give_the_same_as_leaf_by_leaf(size):
    leaves, one_by_one, at_once = leaves_of(range(size)), Builder(), Builder()
    for node in leaves:
        one_by_one.add(node)
    at = 0
    for step in (1, 1024, 700, 324, size):  # also where they do not begin at a multiple
        part = leaves[at : at + step]
        at_once.extend([node.hash for node in part], [node.total for node in part])
        at += step
    assert (at_once.top(), at_once.size) == (one_by_one.top(), one_by_one.size)
    assert sumtree.make(leaves) == one_by_one.top()
    for forged in (-1, BOUND):
        with pytest.raises(BadSum):
            Builder().extend([bytes(32)] * 1024, [1] * 1023 + [forged])


IN_SQL = """SELECT distribution_leaf(hmac_pad(%s, 54) || %s, hmac_pad(%s, 92), claim, asset, 'general', amount)
            FROM unnest(%s::text[], %s::text[], %s::text[]) AS l (claim, asset, amount)"""


@pytest.mark.parametrize("secret", [b"", bytes(range(32)), bytes(64), bytes(range(200))])
def test_the_database_makes_the_same_leaves(db, secret):
    inputs, rng = bytes(range(32)), random.Random(11)
    rows = [
        ("", "", "0"),
        ("T-1-C髙1", "BTC", str(BOUND)),
        *((f"C{rng.random()}", "E" * rng.randrange(9), str(rng.randrange(10**30))) for _ in range(50)),
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            IN_SQL,
            [secret, b"".join(map(sumtree.frame, ("leaf", inputs.hex()))), secret, *map(list, zip(*rows, strict=True))],
        )
        found = [bytes(leaf) for (leaf,) in cursor.fetchall()]
    for (claim, asset, amount), hashed in zip(rows, found, strict=True):
        who = {"claim": claim, "asset": asset, "claim_class": "general"}
        salt = sumtree.salt_of(secret, inputs_sha256=inputs, **who)
        assert hashed == sumtree.leaf(salt, **who, amount=int(amount)).hash


def test_the_builder_holds_a_few_nodes_however_many_leaves_come():
    builder = Builder()
    for number in range(5000):
        builder.add(leaf(number, number))
        assert len(builder._waiting) <= 13
    assert builder.top().total == sum(range(5000))
    assert make([]) is None


def test_the_encoding_does_not_change():
    """Published roots are compared years later: these bytes stand for good."""
    node = sumtree.leaf(bytes(range(16)), claim="T-1-C0000001-3", asset="BTC", claim_class="general", amount=150)
    said = (
        b"\x00" + bytes(range(16)) + b"\x00\x00\x00\x0eT-1-C0000001-3" + b"\x00\x00\x00\x03BTC"
        + b"\x00\x00\x00\x07general" + b"\x00\x00\x00\x03150"
    )  # fmt: skip
    assert node.hash == hashlib.sha256(said).digest()
    both = b"\x01\x00\x00\x00\x03150" + node.hash + b"\x00\x00\x00\x03150" + node.hash
    assert sumtree.parent(node, node) == (hashlib.sha256(both).digest(), 300)
    top = b"\x02\x00\x00\x00\x01p\x00\x00\x00\x03BTC\x00\x00\x00\x011\x00\x00\x00\x03150" + node.hash
    assert root_of("p", "BTC", 1, node) == hashlib.sha256(top).digest()


def test_a_runs_roots_are_those_of_its_entitlements_and_each_customer_can_check(open_estate):
    units = random.Random(7).sample(range(1, 1000), 9)
    estate = open_estate(*({"BTC": amount, "ETH": 5} for amount in units), BTC=sum(units) // 2, ETH=7)
    run = estate.compute()
    for line in run.pools.select_related("asset"):
        rows = Entitlement.objects.filter(run=run, asset=line.asset).order_by("claim_line__claim__number")
        leaves = []
        for row in rows.select_related("claim_line__claim"):
            who = {
                "claim": row.claim_line.claim.number, "asset": line.asset.code, "claim_class": row.claim_line.claim_class,
            }  # fmt: skip
            salt = sumtree.salt_of(bytes(run.case.salt), inputs_sha256=bytes(run.inputs_sha256), **who)
            leaves.append(sumtree.leaf(salt, **who, amount=row.amount))
        top = make(leaves)
        assert (top.total, len(leaves)) == (line.distributed, line.lines)
        assert bytes(line.root) == root_of(line.pool, line.asset.code, len(leaves), top)
        assert verify(leaves[3], prove(leaves, 3)) == top
    assert hashes.roots(run)[estate.assets["BTC"].pk][1:] == (9, run.pools.get(asset__code="BTC").distributed)
