"""The workers of the benchmark of returns: Henkan's own, with a rail that accepts at once, and the naive design's task."""

import os
from importlib import import_module

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from administration.office.benchmarks.returns import PAY, QUEUE, accept_at_once, pay  # noqa: E402

app = import_module("config.celery").app  # wiring, which nobody below it imports
app.conf.task_default_queue = QUEUE
app.conf.worker_enable_remote_control = True  # the benchmark asks whether they are there
app.task(pay, name=PAY)
accept_at_once()
