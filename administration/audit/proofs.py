"""
Proofs of RFC 6962 over a case's record: an earlier head is the beginning of a later one; an event is under a head.

Made from the leaves as they were sealed, read in one pass. Whoever holds two heads checks them without us; `compare`
says the outcome in words for people.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from administration.errors import Refused
from administration.record import heads, merkle
from administration.record.heads import HasRecord
from administration.record.models import Head, Leaves

Range = tuple[int, int]  # leaves from (0 is the first) up to, exclusive


class NoSuchTree(Refused):
    """No tree of that size was ever sealed."""


def consistency(case: HasRecord, earlier: int, later: int) -> list[bytes]:
    """That the tree of `earlier` events is the beginning of the tree of `later` ones."""
    if not 0 < earlier <= later:
        raise NoSuchTree(_("An earlier head covers at least one event and no more than the later one."))
    return _roots(case, _consistency_ranges(earlier, later))


def inclusion(case: HasRecord, number: int, size: int) -> list[bytes]:
    """That event `number` is under the head of `size` events."""
    if not 0 < number <= size:
        raise NoSuchTree(
            _("Event %(number)s is not under a head of %(size)s events.") % {"number": number, "size": size}
        )
    return _roots(case, _inclusion_ranges(number - 1, size))


def root(case: HasRecord, size: int) -> bytes:
    """The root of the first `size` leaves as they were sealed."""
    return _roots(case, [(0, size)])[0]


@dataclass(frozen=True)
class Comparison:
    """What became of a head that somebody kept."""

    fits: bool
    sentence: str
    size: int
    newest: Head | None = None
    proof: tuple[str, ...] = ()


def compare(case: HasRecord, size: int, kept_root: bytes) -> Comparison:
    """Is a head that somebody kept the beginning of the record as it is now?"""
    newest = heads.latest(case)
    said = {"size": f"{size:,}", "case": case.reference, "newest": f"{newest.size:,}" if newest else "0"}
    if newest is None or size > newest.size:
        return Comparison(
            False,
            _("Your head is over %(size)s events, but the record of %(case)s is sealed only up to %(newest)s. Events you had seen are missing.") % said,
            size,
        )  # fmt: skip
    if not size > 0:
        raise NoSuchTree(_("A head covers at least one event."))
    proof = consistency(case, size, newest.size)
    if merkle.is_consistent(size, newest.size, earlier_root=kept_root, later_root=bytes(newest.root), proof=proof):
        if size == newest.size:
            sentence = _("Your head is the newest head of %(case)s: nothing was sealed since.") % said
        else:
            sentence = (
                _(
                    "Your head fits: the %(size)s events you had seen are the beginning of the %(newest)s of today, unchanged and in the same order."
                )
                % said
            )
        return Comparison(True, sentence, size, newest, tuple(node.hex() for node in proof))
    return Comparison(
        False,
        _("Your head does NOT fit: what stands today in the first %(size)s events of %(case)s is not what your head was signed over. Keep your head and your pull, and verify both offline.") % said,
        size,
        newest,
    )  # fmt: skip


# --- which parts of the tree a proof is made of -----------------------------------------------


def _consistency_ranges(earlier: int, later: int) -> list[Range]:
    start, end, path, whole = 0, later, [], True
    while earlier != end - start:
        width = _left_width(end - start)
        if earlier <= width:
            path.append((start + width, end))
            end = start + width
        else:
            path.append((start, start + width))
            start, earlier, whole = start + width, earlier - width, False
    if not whole:
        path.append((start, end))
    return path[::-1]


def _inclusion_ranges(index: int, size: int) -> list[Range]:
    start, end, path = 0, size, []
    while end - start > 1:
        width = _left_width(end - start)
        if index < start + width:
            path.append((start + width, end))
            end = start + width
        else:
            path.append((start, start + width))
            start += width
    return path[::-1]


def _left_width(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def _roots(case: HasRecord, ranges: list[Range]) -> list[bytes]:
    """The roots of parts that do not overlap, in the order they were asked for."""
    frontiers = {part: merkle.Frontier() for part in ranges}
    waiting = sorted(ranges)
    at = 0
    for block in _kept(case):
        leaves, taken = merkle.split(block), 0
        while waiting and taken < len(leaves):
            start, end = waiting[0]
            skipped = max(0, min(start - at, len(leaves) - taken))
            taken, at = taken + skipped, at + skipped
            more = leaves[taken : taken + max(0, end - at)] if at >= start else []
            frontiers[start, end].extend(more)
            taken, at = taken + len(more), at + len(more)
            if at >= end:
                waiting.pop(0)
        at += len(leaves) - taken
        if not waiting:
            break
    if waiting:
        raise NoSuchTree(
            _("The record of %(case)s is sealed up to event %(last)s only.") % {"case": case.reference, "last": at}
        )
    return [frontiers[part].root() for part in ranges]


def _kept(case: HasRecord) -> Iterator[bytes]:
    rows = Leaves.objects.filter(case_id=case.pk).order_by("first").values_list("hashes", flat=True)
    return map(bytes, rows.iterator(chunk_size=64))
