"""Entries of the exchange's books that are kept: those after the cut-off, and those of the last days before it."""

from django.db import models

from administration.fields import UnitsField


class KeptEntry(models.Model):
    """
    One side of one entry, as the exchange booked it. What is after the cut-off is in no balance and in no pool.

    `account_ref` is as delivered; where no account of that number was taken over, `ledger_account` is empty.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="+")
    intake = models.ForeignKey("ledger.Intake", models.PROTECT, related_name="kept_entries")
    ledger_account = models.ForeignKey("ledger.LedgerAccount", models.PROTECT, null=True, related_name="kept_entries")
    account_ref = models.TextField()
    number = models.TextField()  # the exchange's own
    kind = models.CharField(max_length=12)  # deposit, withdrawal, trade, fee …
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    amount = UnitsField()  # signed: what the account gained
    at = models.DateTimeField()
    after_cutoff = models.BooleanField()
    file = models.ForeignKey("ledger.SourceFile", models.PROTECT, related_name="+")
    row = models.BigIntegerField()
    leg = models.PositiveSmallIntegerField()  # of a trade: what was gained, what was paid, the fee

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["file", "row", "leg"], name="entry_is_kept_once"),
            models.CheckConstraint(condition=~models.Q(amount=0), name="kept_entry_moves_something"),
        ]
