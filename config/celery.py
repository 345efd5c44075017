"""
The Celery app and the whole clock of Henkan on one screen.

Celery is the doorbell, never the truth: tasks carry ids, schedules and leases are rows. Beat rings
for what is due, so a flushed broker costs seconds and loses nothing.
"""

import ctypes
import os
import signal
import sys
from typing import Any

# Read by Celery when its worker starts: SIGTERM means a soft shutdown that hands tasks back to the queue.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from celery import Celery
from celery.signals import setup_logging, worker_process_init

app = Celery("henkan")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

app.conf.beat_schedule = {
    "work.tick": {"task": "work.tick", "schedule": 2.0, "options": {"expires": 10}},
    "returns.tick": {"task": "returns.tick", "schedule": 5.0, "options": {"expires": 10}},
    "portal.send": {"task": "portal.send", "schedule": 2.0, "options": {"expires": 10}},
    "portal.forget": {"task": "portal.forget", "schedule": 3600.0, "options": {"expires": 600}},
    "office.sweep": {"task": "office.sweep", "schedule": 3600.0, "options": {"expires": 600}},
    "ledger.sweep": {"task": "ledger.sweep", "schedule": 3600.0, "options": {"expires": 600}},
    "destinations.tick": {"task": "destinations.tick", "schedule": 30.0, "options": {"expires": 60}},
    "record.seal": {"task": "record.seal", "schedule": 60.0, "options": {"expires": 120}},
}


@setup_logging.connect
def leave_logging_to_django(**_: Any) -> None:
    """Connecting this signal keeps Celery from installing its own handlers over settings.LOGGING."""


@worker_process_init.connect
def die_with_the_worker(**_: Any) -> None:
    """A pool process whose worker was killed must not go on: another worker takes its job."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
