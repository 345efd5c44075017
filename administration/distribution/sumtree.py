"""
The Merkle sum tree over what one run gives of one pool line: hashes bind the figures, sums bind the total.

A leaf is SHA-256 of

    00 ‖ salt (16 bytes) ‖ frames(claim number, asset, class, amount)

and carries its amount. A node is SHA-256 of both children's sums and both hashes

    01 ‖ frame(sum of the left) ‖ hash of the left ‖ frame(sum of the right) ‖ hash of the right

and carries the sum of both. A level with an odd last entry passes it up unchanged, which is the shape of
RFC 6962. The root that is published also binds what the tree is of, its number of leaves and its total:

    02 ‖ frames(pool, asset, leaves, total) ‖ hash of the top node (nothing, if there is no leaf)

Amounts are plain decimal text. A frame is four bytes of length, then UTF-8. Without its salt nobody can guess a
leaf's amount from its hash. A proof names the sibling on each level; on which side a sibling stands follows
from the leaf's index and the number of leaves alone, so one path fits one place. Every addend must be a
whole number from 0 to BOUND: a negative or wrapped sum could hide what somebody else was given.

Pure. `make`, `prove`, `verify` are for one tree in memory; `Builder` takes any number of leaves in order and
keeps one node per level. hashes.py feeds it the rows of a run; recompute.py has a copy of its own.
"""

import hmac
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

BOUND = 10**78 - 1  # the largest amount the database holds
SALT_BYTES = 16
TOGETHER = 1024  # leaves of a subtree that is hashed level by level
LENGTH = [struct.pack(">I", digits) for digits in range(80)]  # frames' lengths of amounts


class BadSum(ValueError):
    """An amount that no sum tree may hold."""


class Node(NamedTuple):
    """A hash and the sum of everything below it."""

    hash: bytes
    total: int


@dataclass(frozen=True, slots=True)
class Proof:
    """The siblings on the way from leaf `index` of `size` to the top, the lowest first."""

    index: int
    size: int
    siblings: tuple[Node, ...]


def frame(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">I", len(data)) + data


def bounded(amount: int) -> int:
    if type(amount) is not int or not 0 <= amount <= BOUND:
        raise BadSum(f"{amount!r} is not a whole number from 0 to 10^78 - 1.")
    return amount


def salt_of(secret: bytes, *, inputs_sha256: bytes, claim: str, asset: str, claim_class: str) -> bytes:
    """One leaf's own salt, from the case's secret and the inputs: the same inputs give the same tree."""
    said = b"".join(map(frame, ("leaf", inputs_sha256.hex(), claim, asset, claim_class)))
    return hmac.digest(secret, said, "sha256")[:SALT_BYTES]


def leaf(salt: bytes, *, claim: str, asset: str, claim_class: str, amount: int) -> Node:
    said = b"".join(map(frame, (claim, asset, claim_class, str(bounded(amount)))))
    return Node(sha256(b"\x00" + salt + said).digest(), amount)


def parent(left: Node, right: Node) -> Node:
    """The node over two. Written out, for there are as many as leaves: a tree of a million is built at every run."""
    (left_hash, left_sum), (right_hash, right_sum) = left, right
    total = left_sum + right_sum
    if left_sum < 0 or right_sum < 0 or total > BOUND:
        raise BadSum(f"{left_sum} + {right_sum} is not a sum from 0 to 10^78 - 1.")
    left_text, right_text = b"%d" % left_sum, b"%d" % right_sum
    said = b"\x01%b%b%b%b%b%b" % (
        LENGTH[len(left_text)], left_text, left_hash, LENGTH[len(right_text)], right_text, right_hash,
    )  # fmt: skip
    return Node(sha256(said).digest(), total)


def root_of(pool: str, asset: str, size: int, top: Node | None) -> bytes:
    """What is published of one tree: 32 bytes that bind the pool, the asset, the number of leaves and their total."""
    total = bounded(top.total) if top else 0
    said = b"".join(map(frame, (pool, asset, str(size), str(total))))
    return sha256(b"\x02" + said + (top.hash if top else b"")).digest()


class Builder:
    """Takes leaves in order and keeps only the roots of the perfect subtrees so far: a few dozen nodes."""

    def __init__(self) -> None:
        self.size = 0
        self._waiting: list[Node] = []  # the larger subtree first

    def add(self, node: Node) -> None:
        self._join(node, 1)

    def extend(self, hashes: Sequence[bytes], sums: Sequence[int]) -> None:
        """Add leaves in order. Whole subtrees of TOGETHER leaves are hashed level by level, which is what makes it quick."""
        at = 0
        while at < len(hashes):
            if self.size % TOGETHER or len(hashes) - at < TOGETHER:
                self.add(Node(hashes[at], bounded(sums[at])))
                at += 1
            else:
                self._join(perfect(hashes[at : at + TOGETHER], sums[at : at + TOGETHER]), TOGETHER)
                at += TOGETHER

    def _join(self, node: Node, leaves: int) -> None:
        """Put a whole subtree after those so far; as many of these are complete with it as `size` ends in ones."""
        size = self.size // leaves
        while size & 1:
            node = parent(self._waiting.pop(), node)
            size >>= 1
        self._waiting.append(node)
        self.size += leaves

    def top(self) -> Node | None:
        """The node over all leaves so far; None over none. More leaves may follow."""
        top: Node | None = None
        for node in reversed(self._waiting):
            top = node if top is None else parent(node, top)
        return top


def perfect(hashes: Sequence[bytes], sums: Sequence[int]) -> Node:
    """The top node over leaves whose number is a power of two: parent(), for whole levels at once."""
    if min(sums) < 0 or sum(sums) > BOUND:
        raise BadSum(f"{len(sums)} amounts are no sum from 0 to 10^78 - 1.")
    while len(sums) > 1:
        texts = [b"%d" % total for total in sums]
        said = [LENGTH[len(text)] + text + below for text, below in zip(texts, hashes, strict=True)]
        hashes = [sha256(b"\x01" + left + right).digest() for left, right in zip(said[::2], said[1::2], strict=True)]
        sums = [left + right for left, right in zip(sums[::2], sums[1::2], strict=True)]
    return Node(hashes[0], sums[0])


def make(leaves: Iterable[Node]) -> Node | None:
    """The top node over these leaves."""
    builder = Builder()
    for node in leaves:
        builder.add(node)
    return builder.top()


def prove(leaves: Sequence[Node], index: int) -> Proof:
    """The proof of leaf `index`."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"There is no leaf {index} among {len(leaves)}.")
    level, at, siblings = list(leaves), index, []
    while len(level) > 1:
        beside = at ^ 1
        if beside < len(level):
            siblings.append(level[beside])
        above = [parent(*pair) for pair in zip(level[::2], level[1::2], strict=False)]
        level, at = above + level[2 * len(above) :], at >> 1
    return Proof(index, len(leaves), tuple(siblings))


def verify(node: Node, proof: Proof) -> Node | None:
    """
    The top node that this leaf and proof lead to, or None if the proof does not fit its own index and size.

    The caller compares root_of() of it with the published root.
    """
    if not 0 <= proof.index < proof.size:
        return None
    at, last, siblings = proof.index, proof.size - 1, list(proof.siblings)
    try:
        bounded(node.total)
        while last:
            if at ^ 1 <= last:
                beside = siblings.pop(0)
                node = parent(beside, node) if at & 1 else parent(node, beside)
            at, last = at >> 1, last >> 1
    except (BadSum, IndexError):
        return None
    return None if siblings else node
