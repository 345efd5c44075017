"""
Verify the record of a case against its rows, its heads, and the head log outside the database.

Leaves are computed anew from the rows; nothing the database says about itself is believed. What is found is
named in a sentence; the first finding ends the search, because all that follows it may follow from it.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from django.db import DatabaseError, connection, transaction
from django.utils.translation import gettext as _

from administration.record import covers, heads, merkle, stream
from administration.record.heads import HasRecord
from administration.record.models import Counter, Event, Head, Leaves

AT_ONCE = 1 << 16
COVERED = "SELECT number, kind, body FROM record_event WHERE case_id = %s AND body LIKE '%%\"cover\":%%' ORDER BY number"

Derivation = Callable[[Any], str | None]
_derivations: dict[str, Derivation] = {}


def register_derivation(name: str, derivation: Derivation) -> None:
    """`derivation(case)` derives something of the case anew, compares, and says what differs or None."""
    if _derivations.setdefault(name, derivation) is not derivation:
        raise ValueError(f"Another derivation is already registered as {name!r}.")


def verify(case: HasRecord) -> dict[str, Any]:
    """What `verify_record` prints: whether all fits, how much was looked at, and the first that does not fit."""
    counter = Counter.objects.filter(case_id=case.pk).first()
    return {
        "ok": (first_bad := next(_findings(case, counter), None)) is None,
        "events": counter.last if counter else 0,
        "heads": Head.objects.filter(case_id=case.pk).count(),
        "first_bad": first_bad,
    }


def _findings(case: HasRecord, counter: Counter | None) -> Iterator[str]:
    last = counter.last if counter else 0
    signed = list(Head.objects.filter(case_id=case.pk).order_by("size"))
    yield from _numbers(case, last)
    yield from _signatures(case, signed)
    yield from _log(case, signed, last)
    yield from _leaves(case, signed, last)
    yield from _covers(case)
    for name, derivation in sorted(_derivations.items()):
        if finding := _derived(derivation, case):
            yield _("%(name)s: %(finding)s") % {"name": name, "finding": finding}


def _derived(derivation: Derivation, case: HasRecord) -> str | None:
    """Rows that were tampered with may not even be readable; that is a finding too."""
    try:
        with transaction.atomic():
            return derivation(case)
    except DatabaseError as error:
        return _("cannot be derived from the rows as they are: %(error)s") % {"error": str(error).splitlines()[0]}


def _numbers(case: HasRecord, last: int) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(number) FROM record_event WHERE case_id = %s", [case.pk])
        (highest,) = cursor.fetchone()
    if (highest or 0) != last:
        yield _("The record of %(case)s ends with event %(highest)s, but %(last)s events were counted.") % {
            "case": case.reference, "highest": highest or 0, "last": last,
        }  # fmt: skip


def _signatures(case: HasRecord, signed: list[Head]) -> Iterator[str]:
    for head in signed:
        if head.case_reference != case.reference or not heads.is_signed(head):
            yield _("Head %(size)s of %(case)s is not signed by the key it names.") % {
                "size": head.size, "case": case.reference,
            }  # fmt: skip


def _log(case: HasRecord, signed: list[Head], last: int) -> Iterator[str]:
    """The log outside the database knows every head but perhaps the newest ones, and only those."""
    logged = {int(line["size"]): line for line in heads.logged(case)}
    for size in sorted(logged):
        if size > last:
            yield _("Head %(size)s of %(case)s was signed and logged, but the record ends with event %(last)s.") % {
                "size": size, "case": case.reference, "last": last,
            }  # fmt: skip
    known = set(logged)
    newest = max(logged, default=0)
    for head in signed:
        if head.size in known:
            known.discard(head.size)
            if heads.as_json(head) != logged[head.size]:
                yield _("Head %(size)s of %(case)s is not the one that was logged when it was signed.") % {
                    "size": head.size, "case": case.reference,
                }  # fmt: skip
        elif head.size < newest or not logged:
            yield _("Head %(size)s of %(case)s is not in the head log.") % {"size": head.size, "case": case.reference}
    for size in sorted(known):
        yield _("Head %(size)s of %(case)s stands in the head log but no longer in the database.") % {
            "size": size, "case": case.reference,
        }  # fmt: skip


def _leaves(case: HasRecord, signed: list[Head], last: int) -> Iterator[str]:
    """One pass over all events: against the leaves as they were sealed, and against every head at its size."""
    frontier = merkle.Frontier()
    sealed = signed[-1].size if signed else 0
    kept = _Kept(case.pk)
    suspect: int | None = None
    waiting = list(reversed(signed))
    for first in range(1, last + 1, AT_ONCE):
        upto = min(first + AT_ONCE - 1, last)
        before = kept.take(min(upto, sealed) - first + 1)
        misfit: tuple[Head, bool] | None = None
        # While leaves come in, the connection can do nothing else: what is found is said afterwards.
        for leaves in stream.leaves(case.pk, first, upto):
            start = frontier.size + 1
            if len(leaves) < min(stream.TOGETHER, upto - start + 1):
                break
            if suspect is None:
                part = before[(start - first) * merkle.WIDTH : (start - first + len(leaves)) * merkle.WIDTH]
                suspect = _first_difference(leaves, part, start)
            taken = 0
            while waiting and waiting[-1].size < start + len(leaves) and misfit is None:
                head = waiting.pop()
                frontier.extend(leaves[taken : head.size - start + 1])
                taken = head.size - start + 1
                fits = frontier.root() == bytes(head.root) and frontier.dump() == bytes(head.frontier)
                if not fits or (suspect is not None and suspect <= head.size):
                    misfit = head, fits
            frontier.extend(leaves[taken:])
            if misfit:
                break
        if misfit:
            yield _misfit(case, *misfit, suspect)
        elif frontier.size != upto:
            yield _("Event %(number)s of %(case)s is missing.") % {
                "number": _first_missing(case, first, upto), "case": case.reference,
            }  # fmt: skip
        if misfit or frontier.size != upto:
            return


def _misfit(case: HasRecord, head: Head, fits: bool, suspect: int | None) -> str:
    what = {"case": case.reference, "size": head.size, "number": suspect}
    if suspect is None or suspect > head.size:
        return _("The events up to %(size)s of %(case)s do not have the root that was signed for them.") % what
    if fits:
        return _("The kept leaf of event %(number)s of %(case)s was changed; the event itself fits its head.") % what
    return _("Event %(number)s of %(case)s (%(kind)s) is not what was sealed under head %(size)s.") % {
        **what, "kind": _kind(case, suspect),
    }  # fmt: skip


class _Kept:
    """The leaves as they were sealed, in order."""

    def __init__(self, case_id: int) -> None:
        rows = Leaves.objects.filter(case_id=case_id).order_by("first").values_list("hashes", flat=True)
        self._rows = rows.iterator(chunk_size=64)
        self._rest = bytearray()

    def take(self, count: int) -> bytes:
        wanted = max(0, count) * merkle.WIDTH
        while len(self._rest) < wanted and (row := next(self._rows, None)) is not None:
            self._rest += row
        taken = bytes(self._rest[:wanted])
        del self._rest[:wanted]
        return taken.ljust(wanted, b"\x00")


def _first_difference(leaves: list[bytes], kept: bytes, first: int) -> int | None:
    sealed = leaves[: len(kept) // merkle.WIDTH]
    if b"".join(sealed) == kept:
        return None
    return first + next(at for at, (new, old) in enumerate(zip(sealed, merkle.split(kept), strict=True)) if new != old)


def _first_missing(case: HasRecord, first: int, last: int) -> int:
    there = set(
        Event.objects.filter(case_id=case.pk, number__range=(first, last)).values_list("number", flat=True)
    )
    return next(number for number in range(first, last + 1) if number not in there)


def _kind(case: HasRecord, number: int) -> str:
    return Event.objects.filter(case_id=case.pk, number=number).values_list("kind", flat=True).get()


def _covers(case: HasRecord) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(COVERED, [case.pk])
        rows = cursor.fetchall()
    for number, kind, body in rows:
        stated = json.loads(body)["cover"]
        try:
            with transaction.atomic():
                found = covers.cover(stated["name"], **stated["params"])
        except (LookupError, DatabaseError, psycopg.Error) as error:
            yield _("Event %(number)s of %(case)s (%(kind)s): %(error)s") % {
                "number": number, "case": case.reference, "kind": kind, "error": str(error).splitlines()[0],
            }  # fmt: skip
            continue
        if difference := _difference(stated, found):
            yield _("Event %(number)s of %(case)s (%(kind)s) covers rows that were changed since: %(difference)s.") % {
                "number": number, "case": case.reference, "kind": kind, "difference": difference,
            }  # fmt: skip


def _difference(stated: dict[str, Any], found: covers.Cover) -> str | None:
    if int(stated["count"]) != found.count:
        return _("%(stated)s rows then, %(found)s now") % {"stated": stated["count"], "found": found.count}
    for asset in sorted({*stated["sums"], *found.sums}):
        before, now = int(stated["sums"].get(asset, 0)), found.sums.get(asset, 0)
        if before != now:
            return _("%(asset)s %(stated)s then, %(found)s now") % {"asset": asset, "stated": before, "found": now}
    if stated["sha256"] != found.sha256:
        return _("equal count and sums, another content")
    return None
