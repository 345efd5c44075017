"""What auditors may read and what they pulled: each pull can be made again and verified without us."""

from django.db import models
from django.db.models import F, Q


class Token(models.Model):
    """
    One auditor's program may read one case, over one period of its record, until it expires; it can perform no act.

    The office-holder issues it; the auditor collects the secret, which is shown once and kept as a hash only. It counts
    while the appointment runs, and no longer.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="audit_tokens")
    number = models.PositiveIntegerField()
    appointment = models.ForeignKey("cases.Appointment", models.PROTECT, related_name="audit_tokens")
    purpose = models.TextField()
    period_from = models.DateTimeField(
        null=True
    )  # of the record: what was recorded from here on; null: from the first event
    period_to = models.DateTimeField(null=True)  # exclusive; null: whatever comes
    issued_by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    sha256 = models.BinaryField(max_length=32, null=True, unique=True)
    collected_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "number"], name="token_number_is_used_once"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("issued_at")), name="token_expires_after_it_was_issued"
            ),
            models.CheckConstraint(
                condition=Q(period_from__isnull=True) | Q(period_to__isnull=True) | Q(period_from__lt=F("period_to")),
                name="token_reads_a_period",
            ),
            models.CheckConstraint(
                condition=Q(sha256__isnull=True, collected_at__isnull=True)
                | Q(sha256__isnull=False, collected_at__isnull=False),
                name="token_has_a_secret_once_it_was_collected",
            ),
            models.CheckConstraint(
                condition=Q(revoked_by__isnull=True, revoked_at__isnull=True)
                | Q(revoked_by__isnull=False, revoked_at__isnull=False),
                name="token_is_revoked_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.case}-token-{self.number}"


class Reading(models.Model):
    """
    A token read one list page by page on one day: the record has one event of it, this row says how far it came.

    An event for each page would fill the log with its own reading.
    """

    token = models.ForeignKey(Token, models.PROTECT, related_name="readings")
    list = models.CharField(max_length=20)  # return-events, returns, approvals
    day = models.DateField()
    head_size = models.BigIntegerField()  # when it began
    pages = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    through = models.TextField(blank=True, default="")  # the last that was handed out

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "list", "day"], name="reading_is_one_a_day")]


class PullOf(models.TextChoices):
    WHOLE = "whole"  # the record and all it takes to verify it
    RETURNS = "returns"
    EVENTS = "events"


class Pull(models.Model):
    """
    One pull: its population, filter, format, file hash, and the head it was made under.

    A pull that is streamed is recorded before its first byte leaves; its hash follows when the last one has. Without
    a hash it was broken off.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="pulls")
    number = models.PositiveIntegerField()
    of = models.CharField(max_length=10, choices=PullOf)
    format = models.CharField(max_length=7)  # csv, jsonl, parquet
    population = models.JSONField()
    file_name = models.TextField()
    sha256 = models.BinaryField(max_length=32, null=True)
    bytes = models.BigIntegerField(null=True)
    head_size = models.BigIntegerField()
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    token = models.ForeignKey(Token, models.PROTECT, null=True, related_name="pulls")
    request_key = models.TextField(null=True)  # noqa: DJ001  the caller's own key: asked again, the same pull; null: none given
    request_sha256 = models.BinaryField(max_length=32, null=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "number"], name="pull_number_is_used_once"),
            models.UniqueConstraint(fields=["token", "request_key"], name="request_makes_one_pull"),
            models.CheckConstraint(
                condition=Q(request_key__isnull=True) | Q(token__isnull=False, request_sha256__isnull=False),
                name="request_key_belongs_to_a_token",
            ),
            models.CheckConstraint(
                condition=Q(sha256__isnull=True, bytes__isnull=True) | Q(sha256__isnull=False, bytes__isnull=False),
                name="pull_has_a_hash_once_it_is_whole",
            ),
        ]

    def __str__(self) -> str:
        return self.file_name
