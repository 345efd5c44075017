"""What is really held, where, proved by what; and how it compares with what is owed."""

from django.db import models
from django.db.models import Q

from administration.fields import ClockTimestamp, UnitsField


class HoldingPlace(models.Model):
    """A wallet, bank account or trust where assets of the case lie."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="holding_places")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10)  # wallet, bank, trust
    network = models.TextField(blank=True)
    locator = models.TextField()  # address, account number, trust contract
    temperature = models.CharField(max_length=4, blank=True)  # hot, cold
    tag = models.CharField(max_length=12)  # segregated, guarantee, own
    controller = models.TextField(blank=True)
    custodian = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "asset", "locator"], name="holding_place_is_listed_once")
        ]


class Access(models.TextChoices):
    PROVED = "proved"
    PARTIAL = "partial"
    UNPROVED = "unproved"
    LOST = "lost"
    CONTESTED = "contested"


class Holding(models.Model):
    """A snapshot: so much at this place at this instant, by this evidence, and whether we can move it."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="holdings")
    place = models.ForeignKey(HoldingPlace, models.PROTECT, related_name="holdings")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    amount = UnitsField()
    as_of = models.DateTimeField()
    access = models.CharField(max_length=10, choices=Access)
    proof = models.TextField(blank=True)  # how control was proved: signed message, test transfer, trust bank's certificate
    evidence_name = models.TextField()
    evidence_sha256 = models.BinaryField(max_length=32)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gte=0), name="holding_is_not_negative"),
            models.CheckConstraint(
                condition=~Q(evidence_name="") , name="holding_names_its_evidence"
            ),
            models.CheckConstraint(
                condition=~Q(access="proved") | ~Q(proof=""), name="proved_holding_says_how_control_was_proved"
            ),
            models.UniqueConstraint(fields=["place", "as_of"], name="holding_is_recorded_once_for_an_instant"),
            models.UniqueConstraint(fields=["id", "access", "asset"], name="holding_has_one_access"),
        ]


class Movement(models.Model):
    """A change of what is held, other than returns to customers: sweep, sale, fee, fork, airdrop, recovery."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="movements")
    place = models.ForeignKey(HoldingPlace, models.PROTECT, related_name="movements")
    kind = models.CharField(max_length=12)
    amount = UnitsField()  # signed
    reason = models.TextField()
    evidence_name = models.TextField()
    evidence_sha256 = models.BinaryField(max_length=32)
    order = models.ForeignKey("cases.CourtOrder", models.PROTECT, null=True)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()


class Reconciliation(models.Model):
    """Owed, held and difference of one asset at one instant, frozen."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="reconciliations")
    number = models.PositiveIntegerField()
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    ledger = UnitsField()
    adjustments = UnitsField()
    owed = UnitsField()
    held_proved = UnitsField()
    held_other = UnitsField()
    difference = UnitsField()  # held_proved − owed
    by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "number", "asset"], name="reconciliation_states_an_asset_once"),
            models.CheckConstraint(
                condition=Q(owed=models.F("ledger") + models.F("adjustments"))
                & Q(difference=models.F("held_proved") - models.F("owed")),
                name="reconciliation_adds_up",
            ),
        ]


class ReserveEntry(models.Model):
    """One movement of the liability reserve (accrual, release, draw, recovery, replenishment), with its ground."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="reserve_entries")
    kind = models.CharField(max_length=16)
    amount = UnitsField()
    fiscal_year = models.PositiveSmallIntegerField()
    approval_ref = models.TextField(blank=True)
    legal_basis = models.TextField()
    evidence_sha256 = models.BinaryField(max_length=32)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()


class Policy(models.Model):
    """One insurance policy that may meet part of the reserve or a loss: insurer, limit, terms as documents say."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="insurance")
    insurer = models.TextField()
    number = models.TextField()
    limit = UnitsField()  # yen
    covers = models.JSONField(default=dict)
    from_date = models.DateField()
    to_date = models.DateField()
    evidence_sha256 = models.BinaryField(max_length=32)
