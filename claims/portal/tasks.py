"""The bell of the portal: every two seconds, what waits to be sent."""

from celery import shared_task

from claims.portal import sending


@shared_task(name="portal.send")
def send() -> None:
    """Send what waits. Ringing twice is harmless."""
    while sending.send_waiting():
        pass


@shared_task(name="portal.forget")
def forget() -> None:
    sending.forget()
