"""The doorbell's two tasks. Rows are the schedule; ringing twice is harmless."""

from celery import shared_task

from administration.work import bell, jobs


@shared_task(name="work.run_job")
def run_job(job_id: int) -> None:
    """Take the next chunks of a job."""
    jobs.advance(job_id)


@shared_task(name="work.tick")
def tick() -> None:
    """Ring for every waiting job that nobody has touched for a moment."""
    for job_id in jobs.due():
        bell.ring(job_id)
