"""What is really held, where, proved by what; and how it compares with what is owed."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import pgettext_lazy

from administration.fields import ClockTimestamp, UnitsField


class PlaceKind(models.TextChoices):
    WALLET = "wallet", pgettext_lazy("place", "Wallet")
    BANK = "bank", pgettext_lazy("place", "Bank")
    TRUST = "trust", pgettext_lazy("place", "Trust")


class Tag(models.TextChoices):
    """Whose it is meant to be."""

    SEGREGATED = "segregated", pgettext_lazy("holding", "Segregated")  # the customers', kept apart
    GUARANTEE = "guarantee", pgettext_lazy("holding", "Guarantee")  # the exchange's own coins that stand behind the customers' hot ones
    OWN = "own", pgettext_lazy("holding", "Own")  # the exchange's own: never part of the customers' pool


POOLED = (Tag.SEGREGATED, Tag.GUARANTEE)


class HoldingPlace(models.Model):
    """A wallet, bank account or trust where one asset of the case lies. What changes there are its holdings."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="holding_places")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=PlaceKind)
    network = models.TextField(blank=True)
    locator = models.TextField()  # address, account number, trust contract
    temperature = models.CharField(max_length=4, blank=True)  # hot, cold
    tag = models.CharField(max_length=12, choices=Tag)
    controller = models.TextField(blank=True)  # who could move it when it was first listed
    custodian = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "asset", "network", "locator"], name="holding_place_is_listed_once"),
            models.UniqueConstraint(fields=["id", "case", "asset"], name="holding_place_has_one_asset"),
            models.CheckConstraint(condition=Q(kind__in=PlaceKind.values), name="holding_place_is_of_a_known_kind"),
            models.CheckConstraint(condition=Q(tag__in=Tag.values), name="holding_place_says_whose_it_is"),
            models.CheckConstraint(condition=~Q(locator=""), name="holding_place_says_where_it_is"),
        ]

    def __str__(self) -> str:
        return self.locator


class Access(models.TextChoices):
    PROVED = "proved", pgettext_lazy("access", "Proved")
    PARTIAL = "partial", pgettext_lazy("access", "Partial")
    UNPROVED = "unproved", pgettext_lazy("access", "Unproved")
    LOST = "lost", pgettext_lazy("access", "Lost")
    CONTESTED = "contested", pgettext_lazy("access", "Contested")


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
            models.CheckConstraint(condition=~Q(evidence_name=""), name="holding_names_its_evidence"),
            models.CheckConstraint(condition=Q(as_of__lte=F("at")), name="holding_is_not_of_the_future"),
            models.CheckConstraint(condition=Q(access__in=Access.values), name="holding_says_whether_it_can_be_moved"),
            models.CheckConstraint(
                condition=~Q(access="proved") | ~Q(proof=""), name="proved_holding_says_how_control_was_proved"
            ),
            models.UniqueConstraint(fields=["place", "as_of"], name="holding_is_recorded_once_for_an_instant"),
            models.UniqueConstraint(fields=["id", "access", "asset"], name="holding_has_one_access"),
        ]


class MovementKind(models.TextChoices):
    RECEIPT = "receipt", pgettext_lazy("movement", "Receipt")
    RECOVERY = "recovery", pgettext_lazy("movement", "Recovery")  # what had been taken from the estate came back
    FEE = "fee", pgettext_lazy("movement", "Fee")  # of a network or a bank
    COST = "cost", pgettext_lazy("movement", "Cost")  # of the proceeding
    SWEEP = "sweep", pgettext_lazy("movement", "Sweep")  # between places of the case: one row at each of them


COMING = (MovementKind.RECEIPT, MovementKind.RECOVERY)
GOING = (MovementKind.FEE, MovementKind.COST)


class Movement(models.Model):
    """A change of what is held at one place, other than returns to customers; signed, with its reason and evidence."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="movements")
    place = models.ForeignKey(HoldingPlace, models.PROTECT, related_name="movements")
    kind = models.CharField(max_length=12, choices=MovementKind)
    amount = UnitsField()  # signed
    reason = models.TextField()
    evidence_name = models.TextField()
    evidence_sha256 = models.BinaryField(max_length=32)
    order = models.ForeignKey("cases.CourtOrder", models.PROTECT, null=True)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=COMING, amount__gt=0)
                | Q(kind__in=GOING, amount__lt=0)
                | (Q(kind=MovementKind.SWEEP) & ~Q(amount=0)),
                name="movement_has_the_sign_of_its_kind",
            ),
            models.CheckConstraint(condition=~Q(evidence_name="") & ~Q(reason=""), name="movement_says_why_and_by_what"),
        ]


class Reconciliation(models.Model):
    """Owed, held and difference of one asset at one instant, frozen."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="reconciliations")
    number = models.PositiveIntegerField()
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    ledger = UnitsField()
    adjustments = UnitsField()
    after_cutoff = UnitsField(default=0, db_default=0)  # what came in later and is none of the exchange's own: it is held too
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
                condition=Q(owed=F("ledger") + F("adjustments") + F("after_cutoff"))
                & Q(difference=F("held_proved") - F("owed")),
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
