"""The Merkle tree: known roots, and properties over all shapes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from administration.record import merkle
from administration.record.merkle import Frontier, leaf_hash

# Inputs and roots of the reference implementation of RFC 6962 (certificate-transparency, merkletree tests).
INPUTS = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_reference_implementation(size):
    assert merkle.root([leaf_hash(data) for data in INPUTS[:size]]).hex() == ROOTS[size - 1]


def test_the_tree_of_nothing_is_the_hash_of_nothing():
    assert merkle.root([]) == hashlib.sha256(b"").digest()


def leaves_of(count):
    return [leaf_hash(str(number).encode()) for number in range(count)]


def plain_root(leaves):
    """RFC 6962 2.1 as it is written."""
    if len(leaves) == 1:
        return leaves[0]
    width = 1
    while width * 2 < len(leaves):
        width *= 2
    return merkle.node_hash(plain_root(leaves[:width]), plain_root(leaves[width:]))


@given(st.lists(st.integers(0, 40), max_size=8))
def test_a_frontier_grows_in_any_steps_to_the_same_root(steps):
    leaves, frontier, taken = leaves_of(sum(steps)), Frontier(), 0
    for step in steps:
        frontier.extend(leaves[taken : taken + step])
        taken += step
        frontier = Frontier.load(frontier.size, frontier.dump())
        assert frontier.size == taken
        assert frontier.root() == (plain_root(leaves[:taken]) if taken else merkle.EMPTY)


@given(st.integers(1, 70), st.data())
def test_every_leaf_can_be_shown_and_no_other(size, data):
    leaves = leaves_of(size)
    root = merkle.root(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(leaves, index)
    assert merkle.is_included(leaves[index], index, size=size, root=root, proof=proof)
    assert not merkle.is_included(leaf_hash(b"another"), index, size=size, root=root, proof=proof)
    assert not merkle.is_included(leaves[index], index, size=size, root=leaf_hash(b"another"), proof=proof)
    assert not merkle.is_included(leaves[index], index, size=size, root=root, proof=[*proof, root])
    if size > 1:
        elsewhere = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
        assert not merkle.is_included(leaves[index], elsewhere, size=size, root=root, proof=proof)
    if proof:
        assert not merkle.is_included(leaves[index], index, size=size, root=root, proof=proof[:-1])


@given(st.integers(1, 70), st.data())
def test_a_later_tree_is_shown_to_begin_with_an_earlier_one(later, data):
    leaves = leaves_of(later)
    earlier = data.draw(st.integers(1, later))
    proof = merkle.consistency_proof(leaves, earlier)
    roots = {"earlier_root": merkle.root(leaves[:earlier]), "later_root": merkle.root(leaves)}
    assert merkle.is_consistent(earlier, later, **roots, proof=proof)
    changed = data.draw(st.integers(0, earlier - 1))
    other = [*leaves]
    other[changed] = leaf_hash(b"another")
    roots["earlier_root"] = merkle.root(other[:earlier])
    assert not merkle.is_consistent(earlier, later, **roots, proof=proof)
    assert not merkle.is_consistent(later + 1, later, **roots, proof=proof)


def test_a_frontier_refuses_what_is_no_tree():
    with pytest.raises(ValueError, match="perfect subtrees"):
        Frontier(3, [b"\x00" * 32])
    with pytest.raises(ValueError, match="no whole number"):
        merkle.split(b"\x00" * 33)
    with pytest.raises(IndexError):
        merkle.inclusion_proof(leaves_of(2), 2)
    with pytest.raises(IndexError):
        merkle.consistency_proof(leaves_of(2), 0)
