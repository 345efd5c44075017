"""The tamper-evident record: every act leaves one numbered event; signed heads seal them."""

from django.db import models

from administration.fields import ClockTimestamp


class Counter(models.Model):
    """The last event number of one case. Only the event table's trigger moves it, so numbers have no gap and no repeat."""

    case_id = models.BigIntegerField(primary_key=True)
    case_reference = models.TextField(unique=True)
    last = models.BigIntegerField(default=0)


class Event(models.Model):
    """
    One act, refused attempts at control included, in the order in which acts committed.

    It names what it speaks of by kind and id, without foreign keys: the record must outlive any row.
    """

    pk = models.CompositePrimaryKey("case_id", "number")
    case_id = models.BigIntegerField()
    case_reference = models.TextField()
    number = models.BigIntegerField()  # 1, 2, 3 … within the case
    kind = models.TextField()  # "batch.frozen"
    subject_kind = models.TextField()
    subject_id = models.TextField()
    by = models.TextField(blank=True)  # username; empty when the system acted
    at = models.DateTimeField()  # the legal instant
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())
    body = models.TextField(default="{}")  # canonical JSON: sorted keys, no spaces, amounts as strings

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(number__gte=1), name="event_numbers_begin_at_one"),
        ]

    def __str__(self) -> str:
        return f"{self.case_reference} #{self.number} {self.kind}"


class Leaves(models.Model):
    """
    The leaves of up to 4,096 events in a row, 32 bytes each, as they were when they were sealed.

    They prove nothing by themselves (heads do); they let the verifier name the one event that was changed
    since, and prove that an event is in the record without reading all of it.
    """

    case_id = models.BigIntegerField()
    first = models.BigIntegerField()  # the number of the first event
    hashes = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint("case_id", "first", name="leaf_is_kept_once")]


class Head(models.Model):
    """
    The Merkle tree head of one case at `size` events, signed with a key that is not in the database.

    `frontier` holds the roots of the perfect subtrees of the tree (32 bytes each, largest first), so
    that the next head needs only the leaves that came since.
    """

    case_id = models.BigIntegerField()
    case_reference = models.TextField()
    size = models.BigIntegerField()
    root = models.BinaryField(max_length=32)
    frontier = models.BinaryField()
    signed_at = models.DateTimeField()
    key_id = models.TextField()  # first 16 hex digits of SHA-256 of the public key
    public_key = models.BinaryField(max_length=32)
    signature = models.BinaryField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint("case_id", "size", name="head_is_signed_once_for_a_size")]

    def __str__(self) -> str:
        return f"{self.case_reference} at {self.size}"
