"""Where returns go: bank accounts and addresses as versions that are proved, cool off, and only then are used."""

from django.db import models
from django.db.models import Q
from django.utils.translation import pgettext_lazy

from administration.fields import ClockTimestamp


class Origin(models.TextChoices):
    HANDOVER = "handover", pgettext_lazy("destination's origin", "Handover")  # from the exchange's files, verified by an order
    CLAIMANT_SESSION = "claimant", pgettext_lazy("destination's origin", "Claimant Session")  # written by the portal's role only
    PAPER = "paper", pgettext_lazy("destination's origin", "Paper")  # signed paper, keyed by two people
    COURT_ORDER = "court_order", pgettext_lazy("destination's origin", "Court Order")


class DestinationState(models.TextChoices):
    PROPOSED = "proposed", pgettext_lazy("destination", "Proposed")
    PROVED = "proved", pgettext_lazy("destination", "Proved")
    COOLING = "cooling", pgettext_lazy("destination", "Cooling")
    USABLE = "usable", pgettext_lazy("destination", "Usable")
    REVOKED = "revoked", pgettext_lazy("destination", "Revoked")


class Destination(models.Model):
    """
    One version of where one claim's returns of one asset go. What it says never changes; its state moves forward.

    `fingerprint` is SHA-256 of network and details, framed (jsonb's own text): the same account or address
    has the same.
    """

    # The database holds claim, asset and order to the case in its own way (first migration).
    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    claim = models.ForeignKey(
        "register.Claim", models.PROTECT, related_name="destinations", db_index=False, db_constraint=False
    )
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    version = models.PositiveIntegerField()
    network = models.TextField()
    details = models.JSONField()
    fingerprint = models.BinaryField(max_length=32)
    origin = models.CharField(max_length=12, choices=Origin)
    state = models.CharField(max_length=10, choices=DestinationState, default=DestinationState.PROPOSED)
    # handover and court_order rest on it; a trigger looks that it is the case's and permits it
    order = models.ForeignKey(
        "cases.CourtOrder", models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    keyed_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+", db_index=False)
    second_keyed_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+", db_index=False)
    # of what a claimant gave in a session: who found it proved, and on which paper
    proved_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+", db_index=False)
    proof_sha256 = models.BinaryField(max_length=32, null=True)
    proposed_at = models.DateTimeField()
    proved_at = models.DateTimeField(null=True)
    usable_from = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoke_reason = models.TextField(blank=True, default="")
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        indexes = [
            models.Index(fields=["usable_from"], condition=Q(state="cooling"), name="destination_cooling"),
            models.Index(fields=["case", "id"], condition=Q(origin="claimant", state="proposed"), name="destination_to_check"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["claim", "asset", "version"], name="destination_version_is_used_once"),
            models.UniqueConstraint(
                fields=["claim", "asset"],
                condition=Q(state="usable"),
                name="one_usable_destination_per_claim_and_asset",
            ),
            models.CheckConstraint(
                condition=~Q(origin="paper")
                | Q(state__in=["proposed", "revoked"])
                | Q(second_keyed_by__isnull=False) & ~Q(second_keyed_by=models.F("keyed_by")),
                name="paper_destination_is_keyed_by_two_people",
            ),
            models.CheckConstraint(
                condition=~Q(origin__in=["handover", "court_order"])
                | Q(state__in=["proposed", "revoked"])
                | Q(order__isnull=False),
                name="handover_destination_rests_on_an_order",
            ),
        ]


class DestinationTransition(models.Model):
    """A step a destination may take (rows of the first migration)."""

    pk = models.CompositePrimaryKey("from_state", "to_state")
    from_state = models.CharField(max_length=10)
    to_state = models.CharField(max_length=10)
