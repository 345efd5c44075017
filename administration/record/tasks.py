"""The bell that seals: every minute, every case with new events."""

from dataclasses import dataclass

from celery import shared_task
from django.db.models import F, Max, OuterRef, Q, Subquery

from administration.fields import db_now
from administration.record import heads
from administration.record.models import Counter, Head


@dataclass(frozen=True)
class _Record:
    pk: int
    reference: str


@shared_task(name="record.seal")
def seal() -> None:
    """Seal what is new. Ringing twice is harmless."""
    sealed = Head.objects.filter(case_id=OuterRef("case_id")).order_by().values("case_id").annotate(to=Max("size"))
    behind = Counter.objects.annotate(sealed=Subquery(sealed.values("to"))).filter(
        Q(sealed__isnull=True, last__gt=0) | Q(sealed__lt=F("last"))
    )
    for counter in behind:
        heads.seal(_Record(counter.case_id, counter.case_reference), at=db_now())
