"""Once an hour: what was uploaded and never used goes."""

from celery import shared_task

from administration.office import uploads


@shared_task(name="office.sweep")
def sweep() -> None:
    """Ringing twice is harmless."""
    uploads.sweep()
