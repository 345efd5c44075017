"""The claims register: what each customer is owed, decided line by line, and where each unit of it stands."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import pgettext_lazy

from administration.fields import ClockTimestamp, UnitsField


class Claimant(models.Model):
    """Whoever claims: a customer of the ledger, or an heir, assignee or fund that came in their place."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="claimants")
    identity = models.OneToOneField("ledger.Identity", models.PROTECT, related_name="claimant")


class ClaimKind(models.TextChoices):
    SCHEDULED = "scheduled", pgettext_lazy("claim", "Scheduled")  # made from the ledger
    LODGED = "lodged", pgettext_lazy("claim", "Lodged")  # not in the ledger
    CHILD = "child", pgettext_lazy("claim", "Child")  # by transfer or succession


class Claim(models.Model):
    """One claim. One scheduled claim per account of the ledger; a transfer or succession opens a child with its fraction."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="claims")
    number = models.CharField(max_length=60, unique=True)  # "<case>-C0000012-7": row of accounts.csv, check digit
    kind = models.CharField(max_length=10, choices=ClaimKind)
    claimant = models.ForeignKey(Claimant, models.PROTECT, related_name="claims")
    ledger_account = models.ForeignKey("ledger.LedgerAccount", models.PROTECT, null=True, related_name="claims")
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="children")
    fraction_num = UnitsField(default=1)
    fraction_den = UnitsField(default=1)
    confirmed_at = models.DateTimeField(null=True)
    confirmed_how = models.CharField(max_length=10, blank=True, default="")  # paper, portal
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["id", "case"], name="claim_has_one_case"),
            models.UniqueConstraint(
                fields=["ledger_account"], condition=Q(kind="scheduled"), name="account_is_scheduled_in_one_claim"
            ),
            models.CheckConstraint(
                condition=~Q(kind="scheduled") | Q(ledger_account__isnull=False),
                name="scheduled_claim_names_its_account",
            ),
            models.CheckConstraint(
                condition=~Q(kind="child") | Q(parent__isnull=False), name="child_claim_names_its_parent"
            ),
            models.CheckConstraint(
                condition=Q(fraction_num__gte=1, fraction_den__gte=F("fraction_num")),
                name="claim_is_a_fraction_of_at_most_the_whole",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class ClaimClass(models.TextChoices):
    """Classes of claim (domain law: Bankruptcy Act, PSA 63-19-2, Trust Act); how each ranks is the profile's data."""

    TRUST_BENEFICIARY = "trust_beneficiary", pgettext_lazy("class of claim", "Trust Beneficiary")  # yen in trust
    PRIORITY_SEGREGATED = "priority_segregated", pgettext_lazy("class of claim", "Priority Segregated")  # coins, PSA art. 63-19-2
    LENDING_UNSECURED = "lending_unsecured", pgettext_lazy("class of claim", "Lending Unsecured")  # coins lent to the exchange: no preferential right
    GENERAL = "general", pgettext_lazy("class of claim", "General")
    OWN_INSIDER = "own_insider", pgettext_lazy("class of claim", "Own Insider")
    AFTER_CUTOFF = "after_cutoff", pgettext_lazy("class of claim", "After Cut-off")  # ranks nowhere: returned in full, by a signed act


SHARING = tuple(name for name in ClaimClass.values if name != ClaimClass.AFTER_CUTOFF)  # the classes that share in pools


class ClaimLine(models.Model):
    """
    One asset and class of one claim. recorded + corrected + lodged = admitted + disputed + rejected + out_of_scope.

    `recorded` is the ledger's balance with its adjustments when the claim was made, and never changes;
    `corrected` (signed) is what the ledger was adjusted by since; `lodged` is what the customer claims above both.
    A line of what came in after the cut-off says what the exchange's entries say, and nobody decides it otherwise.
    """

    # The database holds claim, asset and decision to the line's case in its own way (first migration).
    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="+", db_constraint=False)
    claim = models.ForeignKey(Claim, models.PROTECT, related_name="lines", db_index=False, db_constraint=False)
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    claim_class = models.CharField(max_length=20, choices=ClaimClass)
    recorded = UnitsField()
    corrected = UnitsField(default=0, db_default=0)
    lodged = UnitsField(default=0)
    admitted = UnitsField(default=0)
    disputed = UnitsField(default=0)
    rejected = UnitsField(default=0)
    out_of_scope = UnitsField(default=0)
    converted_in = UnitsField(default=0)
    converted_out = UnitsField(default=0)
    excess = UnitsField(default=0)  # given that admitted no longer covers
    decision = models.ForeignKey(  # the newest; bulk or single
        "register.Decision", models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["claim", "asset", "claim_class"], name="claim_line_is_listed_once"),
            models.UniqueConstraint(fields=["id", "asset"], name="claim_line_has_one_asset"),
            models.CheckConstraint(
                condition=Q(
                    recorded__gte=0,
                    lodged__gte=0,
                    admitted__gte=0,
                    disputed__gte=0,
                    rejected__gte=0,
                    out_of_scope__gte=0,
                    converted_in__gte=0,
                    converted_out__gte=0,
                    excess__gte=0,
                ),
                name="claim_line_has_no_negative_part",
            ),
            models.CheckConstraint(
                condition=Q(
                    admitted=F("recorded")
                    + F("corrected")
                    + F("lodged")
                    - F("disputed")
                    - F("rejected")
                    - F("out_of_scope")
                ),
                name="claim_line_parts_add_up_to_what_is_claimed",
            ),
        ]


class Position(models.Model):
    """
    Where each unit given to one claim line stands. Moved only by positions_move, together with the books.

    given: by approved runs to date; the rest of given is entitled but not yet scheduled.
    """

    # Opened by the database with its line; neither is ever deleted.
    claim_line = models.OneToOneField(
        ClaimLine, models.PROTECT, primary_key=True, related_name="position", db_constraint=False
    )
    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    given = UnitsField(default=0)
    scheduled = UnitsField(default=0)
    in_flight = UnitsField(default=0)
    settled = UnitsField(default=0)
    deposited = UnitsField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(given__gte=0, scheduled__gte=0, in_flight__gte=0, settled__gte=0, deposited__gte=0),
                name="position_has_no_negative_part",
            ),
            models.CheckConstraint(
                condition=Q(given__gte=F("scheduled") + F("in_flight") + F("settled") + F("deposited")),
                name="position_never_moves_more_than_was_given",
            ),
        ]


class MoveKind(models.Model):
    """What a kind of move adds to (+1) or takes from (−1) each part of a position, and which entry it posts (rows of the first migration)."""

    kind = models.CharField(max_length=20, primary_key=True)
    given = models.SmallIntegerField(default=0)
    scheduled = models.SmallIntegerField(default=0)
    in_flight = models.SmallIntegerField(default=0)
    settled = models.SmallIntegerField(default=0)
    deposited = models.SmallIntegerField(default=0)
    entry_kind = models.ForeignKey("books.EntryKind", models.PROTECT, null=True)  # null: nothing to post


class MoveKey(models.Model):
    """One call of positions_move: the same key never moves twice; the same key with another body is refused."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="+")
    key = models.TextField()
    kind = models.ForeignKey(MoveKind, models.PROTECT, db_column="kind", related_name="+")
    body_sha256 = models.BinaryField(max_length=32)
    rows = models.PositiveIntegerField()
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "key"], name="move_key_moves_once")]


class Decision(models.Model):
    """
    An admission, in whole or part, or a denial: of one line, or (claim_line empty) in bulk by a rule over many.

    Append-only: a later decision on the same line follows, nothing is overwritten.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="decisions")
    claim_line = models.ForeignKey(ClaimLine, models.PROTECT, null=True, related_name="decisions")
    rule = models.TextField(blank=True)  # bulk: "scheduled_stands_by_silence"
    admitted = UnitsField(null=True)  # the whole admitted quantity after it; empty in bulk
    rejected = UnitsField(null=True)
    reason_code = models.CharField(max_length=40)
    reason = models.TextField(blank=True)
    evidence_sha256 = models.BinaryField(max_length=32, null=True)
    by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["id", "case"], name="decision_has_one_case"),
            models.CheckConstraint(
                condition=Q(claim_line__isnull=True, admitted__isnull=True) & ~Q(rule="")
                | Q(claim_line__isnull=False, admitted__isnull=False),
                name="decision_is_of_one_line_or_by_a_rule",
            ),
        ]


class Defect(models.Model):
    """Something a claimant must cure in a claim by a date."""

    claim = models.ForeignKey(Claim, models.PROTECT, related_name="defects")
    kind = models.CharField(max_length=40)
    note = models.TextField(blank=True)
    cure_by = models.DateField()
    noticed_at = models.DateTimeField()
    cured_at = models.DateTimeField(null=True)


class Dispute(models.Model):
    """A claimant's own figure for one line, with evidence; open until a decision."""

    claim_line = models.ForeignKey(ClaimLine, models.PROTECT, related_name="disputes")
    claimed = UnitsField()  # the whole figure the claimant says is right
    ground = models.TextField()
    how = models.CharField(max_length=10)  # paper, portal
    evidence_sha256 = models.BinaryField(max_length=32, null=True)
    received_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()
    decision = models.OneToOneField(Decision, models.PROTECT, null=True, related_name="dispute")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["claim_line"], condition=Q(decision__isnull=True), name="claim_line_has_one_open_dispute"
            )
        ]


class Transfer(models.Model):
    """All or part of a claim went to another person, by assignment or succession, confirmed by both sides."""

    parent = models.ForeignKey(Claim, models.PROTECT, related_name="transfers")
    child = models.OneToOneField(Claim, models.PROTECT, related_name="opened_by")
    ground = models.CharField(max_length=12)  # assignment, succession, subrogation
    fraction_num = UnitsField()
    fraction_den = UnitsField()
    evidence_sha256 = models.BinaryField(max_length=32)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()


class Hold(models.Model):
    """
    A reason not to pay one claim for now. Confidential kinds show the customer only "under review".

    Telling a customer of a suspicious-transaction report can be an offence (Act on Prevention of
    Transfer of Criminal Proceeds, art. 8).
    """

    claim = models.ForeignKey(Claim, models.PROTECT, related_name="holds")
    kind = models.CharField(max_length=12)  # attachment, dispute, sanctions, deceased, str, police, order
    confidential = models.BooleanField(default=False)
    reason = models.TextField(blank=True)
    next_look = models.DateField()
    placed_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    placed_at = models.DateTimeField()
    lifted_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    lifted_at = models.DateTimeField(null=True)
    lift_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True, lifted_by__isnull=True)
                | Q(lifted_at__isnull=False, lifted_by__isnull=False) & ~Q(lift_reason=""),
                name="hold_is_lifted_by_somebody_for_a_reason",
            )
        ]
