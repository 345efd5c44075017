"""Long work as rows: whoever is free takes the next chunk; a killed worker costs one chunk."""

from django.db import models
from django.db.models import Q
from django.utils.translation import pgettext_lazy

from administration.fields import ClockTimestamp


class JobState(models.TextChoices):
    WAITING = "waiting", pgettext_lazy("job", "Waiting")
    DONE = "done", pgettext_lazy("job", "Done")
    FAILED = "failed", pgettext_lazy("job", "Failed")


class Job(models.Model):
    """
    One long piece of work, done in chunks by key range.

    Each chunk commits together with `cursor`, under `fence`: a worker whose lease was taken over by
    another finds a higher fence and its chunk is rolled back.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="jobs", null=True)
    kind = models.TextField()  # "ledger.inspect"; registered with its step
    subject_id = models.BigIntegerField()
    params = models.JSONField(default=dict)
    cursor = models.TextField(blank=True, default="")
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    phase = models.TextField(blank=True, default="")
    state = models.CharField(max_length=10, choices=JobState, default=JobState.WAITING)
    result = models.JSONField(null=True)
    error = models.TextField(blank=True, default="")
    tries = models.PositiveIntegerField(default=0)  # chunks in a row that raised
    fence = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    beat_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(db_default=ClockTimestamp())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject_id"],
                condition=Q(state=JobState.WAITING),
                name="job_of_a_kind_runs_once_at_a_time_on_a_subject",
            ),
            models.CheckConstraint(
                condition=Q(state=JobState.WAITING) | Q(finished_at__isnull=False),
                name="job_that_ended_says_when",
            ),
        ]
