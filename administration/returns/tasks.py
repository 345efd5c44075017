"""The return engine's two tasks: hands for sending, and a look at what rests. Ids in; ringing twice is harmless."""

from celery import shared_task

from administration.returns import sending


@shared_task(name=sending.TASK)
def send(batch_id: int) -> None:
    """Send parts of a batch beside the worker that has its job."""
    sending.help_send(batch_id)


@shared_task(name="returns.tick")
def tick() -> None:
    """Take up the sending that a lifted stop, a silent rail or a killed worker left behind."""
    for batch_id in sending.due():
        sending.take_up_again(batch_id)
