"""
Reading page by page is on record too: one event for a token, a list and a day, with the head it began under.

How far the reading came is counted in its row. (A download of a whole list is a pull and has events of its own.)
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F

from administration.audit.models import Reading, Token
from administration.record import heads, log

JAPAN = ZoneInfo("Asia/Tokyo")


@transaction.atomic
def note(token: Token, name: str, *, rows: int, through: str, at: datetime) -> None:
    """A page of `rows` was read, `through` the last of them. Called before the page leaves."""
    day = at.astimezone(JAPAN).date()
    grown = Reading.objects.filter(token=token, list=name, day=day)
    if not _grow(grown, rows, through):
        head = heads.latest(token.case)
        size = head.size if head else 0
        Reading.objects.bulk_create([Reading(token=token, list=name, day=day, head_size=size)], ignore_conflicts=True)
        made = grown.select_for_update().get()
        _grow(grown, rows, through)
        if made.pages == 0:  # of two first pages at once, one records the reading
            log.append(
                token.case, "log.read", subject=token, by=token.appointment.user, at=at,
                body={"token": token.number, "list": name, "day": day.isoformat(), "head_size": size},
            )  # fmt: skip


def _grow(readings: "object", rows: int, through: str) -> int:
    return readings.update(pages=F("pages") + 1, rows=F("rows") + rows, through=through)  # type: ignore[attr-defined, no-any-return]
