"""The return engine's two tasks: hands for sending, and a look at what rests. Ids in; ringing twice is harmless."""

from celery import shared_task

from administration.returns import quarantine, sending, unanswered


@shared_task(name=sending.TASK)
def send(batch_id: int) -> None:
    """Send parts of a batch beside the worker that has its job."""
    sending.help_send(batch_id)


@shared_task(name="returns.tick")
def tick() -> None:
    """
    The janitor: look where we are, let lapsed leases go, doubt what nobody answered, take up what a lifted stop or a silent
    rail left behind.
    """
    quarantine.look()
    sending.lapse_all()
    unanswered.look()
    for batch_id in sending.due():
        sending.take_up_again(batch_id)
