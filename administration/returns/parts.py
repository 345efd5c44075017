"""
Parts of a rail whose files a person carries: what goes into which file, looked at before two people sign.

    NotWritable   no file can be made of the batch as it stands
"""

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from administration import wording
from administration.errors import Refused
from administration.rails.interface import CannotPrepare, CarriedRail, Item, Policy, Prepared, Rail, Snapshot
from administration.returns import limits
from administration.returns.models import Batch, Round


class NotWritable(Refused):
    """The bank, or whoever else gets the file, could not read it. Nothing was frozen."""


ITEMS = """
SELECT r.id, r.part, r.reference, a.code, r.amount, a.scale, d.details
FROM returns_assetreturn r
JOIN books_asset a ON a.id = r.asset_id
JOIN destinations_destination d ON d.id = r.destination_id
WHERE r.batch_id = %s AND r.state = 'batched'
ORDER BY r.reference
"""

ARRANGE = """
UPDATE returns_assetreturn r SET part = n.part
FROM unnest(%s::text[], %s::integer[]) AS n (reference, part)
WHERE r.batch_id = %s AND r.state = 'batched' AND r.reference = n.reference AND r.part <> n.part
"""


def value_date(current: Round, rail: Rail, wanted: date | None, *, at: datetime) -> date | None:
    """The day on which a batch drafted now can move money: the one wanted, or the first after tomorrow's beginning."""
    if not isinstance(rail, CarriedRail):
        return None
    return wanted or rail.value_date(max(current.value_date, timezone.localdate(at) + timedelta(days=1)))


def arrange(batch: Batch, rail: Rail) -> None:
    """Spread a draft over as many files as the rail's limits ask for, not only by their number."""
    if not isinstance(rail, CarriedRail):
        return
    at_most = limits.items_max(batch.case, rail)  # fewer than the rail can carry: fewer see each other
    split = rail.split([item for _part, item in _items(batch)])
    files = [file[start : start + at_most] for file in split for start in range(0, len(file), at_most)]
    references = [item.reference for file in files for item in file]
    numbers = [number for number, file in enumerate(files, start=1) for _item in file]
    with connection.cursor() as cursor:
        cursor.execute(ARRANGE, [references, numbers, batch.pk])


def refuse_unless_writable(batch: Batch, rail: Rail, *, at: datetime) -> None:
    """Make every file once, before anybody signs: what a file cannot carry is said now, by line and column."""
    if not isinstance(rail, CarriedRail):
        return
    parts: dict[int, list[Item]] = {}
    for part, item in _items(batch):
        parts.setdefault(part, []).append(item)
    for part, items in sorted(parts.items()):
        try:
            prepare(batch, rail, part, items, at=at)
        except CannotPrepare as reason:
            raise NotWritable(
                _("No file can be made of part %(part)d of %(batch)s. %(reason)s")
                % {"part": part, "batch": batch, "reason": wording.said(str(reason))}
            ) from reason


def prepare(batch: Batch, rail: Rail, part: int, items: Sequence[Item], *, at: datetime) -> Prepared:
    """One part, under what the batch's manifest says of it."""
    return rail.prepare(key_of(batch, part), items, policy=_policy(batch), snapshot=_snapshot(rail, at))


def key_of(batch: Batch, part: int) -> str:
    """The submission's key: our name for the part at the rail."""
    return f"{batch.reference}/{part}"


def _policy(batch: Batch) -> Policy:
    return {"value_date": batch.value_date.isoformat()} if batch.value_date else {}


def _snapshot(rail: Rail, at: datetime) -> Snapshot:
    return {"today": timezone.localdate(at).isoformat()} if isinstance(rail, CarriedRail) else {}


def _items(batch: Batch) -> list[tuple[int, Item]]:
    with connection.cursor() as cursor:
        cursor.execute(ITEMS, [batch.pk])
        return [
            (part, Item(reference, asset, int(amount), scale, _texts(details)))
            for _pk, part, reference, asset, amount, scale, details in cursor
        ]


def _texts(details: object) -> dict[str, str]:
    found = json.loads(details) if isinstance(details, str) else details
    assert isinstance(found, dict)
    return {str(name): str(value) for name, value in found.items()}
