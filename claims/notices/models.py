"""What we told whom, when."""

from django.db import models


class Notice(models.Model):
    """One notice to all claimants or one of them: its text by hash, channel, and the date it took effect."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="notices")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=40)  # schedule, decision, deficiency …
    claim = models.ForeignKey("register.Claim", models.PROTECT, null=True, related_name="notices")  # null: to all
    channel = models.CharField(max_length=12)  # post, portal, gazette
    title = models.TextField()
    text_sha256 = models.BinaryField(max_length=32)
    proof = models.TextField(blank=True)  # gazette page, postal receipt
    sent_at = models.DateTimeField()
    by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "number"], name="notice_number_is_used_once")]
