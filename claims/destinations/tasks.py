"""What cooled off becomes usable by the clock. Rows are the schedule; ringing twice is harmless."""

from celery import shared_task

from administration.cases.models import Case
from administration.fields import db_now
from claims.destinations import cooling


@shared_task(name="destinations.tick")
def tick() -> None:
    """Release what has cooled off, case by case."""
    for case in Case.objects.filter(pk__in=cooling.due()).order_by("pk"):
        cooling.release(case, at=db_now())
