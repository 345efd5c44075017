"""What auditors pulled: each pull can be made again and verified without us."""

from django.db import models


class Pull(models.Model):
    """One pull of the return log: its population, format, file hash, and the head it was made under."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="pulls")
    number = models.PositiveIntegerField()
    format = models.CharField(max_length=6)  # csv, jsonl
    population = models.JSONField()
    file_name = models.TextField()
    sha256 = models.BinaryField(max_length=32)
    head_size = models.BigIntegerField()
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "number"], name="pull_number_is_used_once")]

    def __str__(self) -> str:
        return self.file_name
