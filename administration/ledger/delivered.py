"""Rows about what an exchange delivered in its own form: the files as received, how they are mapped, which rows were set aside."""

from django.db import models
from django.db.models import Q
from django.utils.translation import pgettext_lazy

from administration.fields import UnitsField


class DeliveryState(models.TextChoices):
    ARRIVING = "arriving", pgettext_lazy("delivery", "Arriving")
    COMPLETE = "complete", pgettext_lazy("delivery", "Complete")
    DESTROYED = "destroyed", pgettext_lazy("delivery", "Destroyed")


class Delivery(models.Model):
    """Files that somebody delivered together. Kept as received; a destroyed delivery keeps its row, its hashes and the reason."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="deliveries")
    deliverer = models.TextField()  # who handed them over, in what office
    directory = models.TextField()  # below ARCHIVE_DIR; files lie there under their number, never under their name
    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.ARRIVING)
    received_by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    received_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True)
    destroyed_because = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="destroyed") | ~Q(destroyed_because=""), name="delivery_is_destroyed_for_a_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class DeliveredFile(models.Model):
    """One file of a delivery, or what an archive among them held (`parent`). Without hash it is still arriving."""

    delivery = models.ForeignKey(Delivery, models.PROTECT, related_name="files")
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="members")
    name = models.TextField()  # as delivered; never used as a path
    bytes = models.BigIntegerField()  # announced while it arrives
    received = models.BigIntegerField(default=0)  # bytes that are here
    sha256 = models.BinaryField(max_length=32, null=True)
    received_at = models.DateTimeField()
    encoding = models.CharField(max_length=12, blank=True, default="")  # as a person confirmed it
    encoding_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    encoding_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["delivery", "name"], name="delivered_file_has_its_own_name"),
            models.CheckConstraint(
                condition=Q(sha256__isnull=True) | Q(received=models.F("bytes")), name="delivered_file_with_a_hash_is_whole"
            ),
            models.CheckConstraint(
                condition=Q(encoding="") | Q(encoding_by__isnull=False, sha256__isnull=False),
                name="an_encoding_was_confirmed_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class LedgerMapping(models.Model):
    """One version of a case's mapping: the text as it was saved. A change is a new version."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="mappings")
    version = models.PositiveIntegerField()
    text = models.TextField()
    sha256 = models.BinaryField(max_length=32)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "version"], name="mapping_version_is_used_once")]

    def __str__(self) -> str:
        return f"mapping {self.version}"


class RowSetAside(models.Model):
    """
    A row of a package that is not taken into the ledger, by an outcome that two people signed: named, and in no sum but its own.

    `amount` is what it says in whole units, where that can be read; the rest of its control total goes into named suspense.
    """

    intake = models.ForeignKey("ledger.Intake", models.PROTECT, related_name="set_aside")
    file = models.TextField()  # of the package
    row = models.BigIntegerField()
    kind = models.CharField(max_length=40)
    reason = models.TextField()
    origin = models.TextField(blank=True)  # where it was delivered: file and line
    account_ref = models.TextField(blank=True)
    asset_code = models.TextField(blank=True)
    product = models.TextField(blank=True)
    amount = UnitsField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["intake", "file", "row"], name="row_is_set_aside_once")]
