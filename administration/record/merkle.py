"""
The Merkle tree of RFC 6962 (section 2.1) over leaf hashes. Pure.

A leaf hash is SHA-256 of 00 and the leaf's bytes; a node is SHA-256 of 01 and its two children; the left child
covers the largest power of two of leaves that is smaller than all. The tree of no leaves is SHA-256 of nothing.
"""

import hashlib
from collections.abc import Sequence

WIDTH = 32
EMPTY = hashlib.sha256(b"").digest()
_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    return _sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return _sha256(b"\x01" + left + right).digest()


class Frontier:
    """
    A tree that only grows, kept as the roots of its perfect subtrees: at most one for each bit of its size.

    >>> frontier = Frontier()
    >>> frontier.extend([leaf_hash(b"a"), leaf_hash(b"b")])
    >>> frontier.size, frontier.root() == node_hash(leaf_hash(b"a"), leaf_hash(b"b"))
    (2, True)
    """

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        if len(roots) != size.bit_count() or any(len(root) != WIDTH for root in roots):
            raise ValueError(f"A tree of {size} leaves has {size.bit_count()} perfect subtrees, not {len(roots)}.")
        self.size = size
        self._roots = list(roots)  # largest first

    @classmethod
    def load(cls, size: int, data: bytes) -> "Frontier":
        return cls(size, split(data))

    def dump(self) -> bytes:
        return b"".join(self._roots)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add leaf hashes. Whole perfect subtrees are hashed level by level, which is what makes it quick."""
        taken = 0
        while taken < len(leaves):
            fits = 1 << ((len(leaves) - taken).bit_length() - 1)
            aligned = self.size & -self.size or fits
            width = min(fits, aligned)
            self._add(_perfect_root(leaves[taken : taken + width]), width)
            taken += width

    def _add(self, root: bytes, width: int) -> None:
        size = self.size
        self.size += width
        while size & width:
            root = node_hash(self._roots.pop(), root)
            width <<= 1
        self._roots.append(root)

    def root(self) -> bytes:
        if not self._roots:
            return EMPTY
        root = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            root = node_hash(left, root)
        return root


def split(data: bytes) -> list[bytes]:
    """Hashes kept side by side, taken apart."""
    if len(data) % WIDTH:
        raise ValueError(f"{len(data)} bytes are no whole number of hashes.")
    return [data[at : at + WIDTH] for at in range(0, len(data), WIDTH)]


def root(leaves: Sequence[bytes]) -> bytes:
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def _perfect_root(nodes: Sequence[bytes]) -> bytes:
    while len(nodes) > 1:
        pairs = iter(nodes)
        nodes = [_sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return nodes[0]


def _left_width(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


# --- one leaf is in the tree ------------------------------------------------------------------


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The siblings from the leaf up to the root."""
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    path: list[bytes] = []
    while len(leaves) > 1:
        width = _left_width(len(leaves))
        if index < width:
            path.append(root(leaves[width:]))
            leaves = leaves[:width]
        else:
            path.append(root(leaves[:width]))
            leaves, index = leaves[width:], index - width
    return path[::-1]


def is_included(leaf: bytes, index: int, *, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162 2.1.3.2, which spells out what RFC 6962 leaves to the reader."""
    if not 0 <= index < size:
        return False
    position, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and computed == root


# --- an earlier tree is the beginning of a later one ------------------------------------------


def consistency_proof(leaves: Sequence[bytes], earlier: int) -> list[bytes]:
    """That the tree of the first `earlier` leaves is the beginning of the tree of all of them."""
    if not 0 < earlier <= len(leaves):
        raise IndexError(earlier)
    path: list[bytes] = []
    whole = True
    while earlier != len(leaves):
        width = _left_width(len(leaves))
        if earlier <= width:
            path.append(root(leaves[width:]))
            leaves = leaves[:width]
        else:
            path.append(root(leaves[:width]))
            leaves, earlier, whole = leaves[width:], earlier - width, False
    if not whole:
        path.append(root(leaves))
    return path[::-1]


def is_consistent(earlier: int, later: int, *, earlier_root: bytes, later_root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162 2.1.4.2."""
    if not 0 < earlier <= later:
        return False
    if earlier == later:
        return not proof and earlier_root == later_root
    path = [earlier_root, *proof] if earlier & (earlier - 1) == 0 else list(proof)
    if not path:
        return False
    position, last = earlier - 1, later - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == earlier_root and new == later_root
