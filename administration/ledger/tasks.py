"""Once an hour: files of deliveries and packages that no row speaks for go."""

from celery import shared_task

from administration.ledger import leftovers


@shared_task(name="ledger.sweep")
def sweep() -> None:
    """Ringing twice is harmless."""
    leftovers.sweep()
