"""
The doorbell: tells a free worker that there may be work.

A lost ring costs seconds, never work: beat rings for every waiting job again (tasks.tick).
"""

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


def ring(job_id: int) -> None:
    """Once this transaction commits, tell the workers of this job. Without a broker it is only logged."""
    transaction.on_commit(lambda: _send(job_id))


def _send(job_id: int) -> None:
    try:
        # A ring nobody heard within a minute is stale: beat has rung again by then.
        current_app.send_task("work.run_job", args=[job_id], expires=60, retry=False)
    except (OperationalError, OSError) as trouble:
        log.warning("The doorbell did not ring for job %s (%s); beat will ring again.", job_id, trouble)
