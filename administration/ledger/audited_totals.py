"""What the exchange's last audited accounts say customers were owed, beside the ledger."""

from django.db import models
from django.db.models import F, Q

from administration.fields import UnitsField


class AuditedTotal(models.Model):
    """
    One asset in the last audited accounts: how much was owed to customers on that day, and what the ledger says.

    Accounts are audited once a year, so the two seldom agree; what lies between them is explained, or nothing is written.
    Never edited: another statement about the same asset follows, and the newest counts.
    """

    intake = models.ForeignKey("ledger.Intake", models.PROTECT, related_name="audited_totals")
    asset_code = models.CharField(max_length=20)
    as_of = models.DateField()
    auditor = models.TextField()
    audited = UnitsField()
    ledger = UnitsField()  # what the inspected rows add up to, all products
    explanation = models.TextField(blank=True)
    paper_sha256 = models.BinaryField(max_length=32)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(audited=F("ledger")) | ~Q(explanation=""), name="audited_total_is_met_or_explained"
            ),
            models.CheckConstraint(condition=~Q(auditor=""), name="audited_total_has_its_auditor"),
        ]

    @property
    def difference(self) -> int:
        """What the ledger says above the audited accounts."""
        return int(self.ledger - self.audited)
