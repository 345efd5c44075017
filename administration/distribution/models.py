"""Plans, runs and entitlements: who gets how much, computed to the last unit and frozen."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import pgettext_lazy

from administration.fields import UnitsField


class PriceTable(models.Model):
    """One version of the prices used in thresholds and reports, each two integers with source and instant."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="price_tables")
    version = models.PositiveIntegerField()
    valuation_at = models.DateTimeField()
    source = models.TextField()
    order = models.ForeignKey("cases.CourtOrder", models.PROTECT, null=True)
    sha256 = models.BinaryField(max_length=32)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "version"], name="price_table_version_is_used_once")]


class Price(models.Model):
    """One asset's price in the base currency: num/den base units per whole coin. A missing price is a hold, not zero."""

    table = models.ForeignKey(PriceTable, models.PROTECT, related_name="prices")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    num = UnitsField()
    den = UnitsField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["table", "asset"], name="price_is_stated_once"),
            models.CheckConstraint(condition=Q(num__gte=0, den__gte=1), name="price_is_a_fraction"),
        ]


class Plan(models.Model):
    """One version of how the estate is shared, as data: TOML text, bound by its hash."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="plans")
    version = models.PositiveIntegerField()
    name = models.TextField()
    body = models.TextField()
    sha256 = models.BinaryField(max_length=32)
    drafted_by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    drafted_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "version"], name="plan_version_is_used_once")]

    def __str__(self) -> str:
        return f"{self.case.reference}-P{self.version}"


class RunState(models.TextChoices):
    COMPUTING = "computing", pgettext_lazy("run", "Computing")
    COMPUTED = "computed", pgettext_lazy("run", "Computed")
    APPROVED = "approved", pgettext_lazy("run", "Approved")
    DECLARED = "declared", pgettext_lazy("run", "Declared")  # positions and books carry it
    WITHDRAWN = "withdrawn", pgettext_lazy("run", "Withdrawn")


class Run(models.Model):
    """
    One computation of a plan over frozen inputs. The step computing → computed checks it set-based; then it is frozen.

    `inputs_sha256` covers everything the result depends on; `outputs_root` everything it says.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="runs")
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="runs")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=10)  # interim, final
    state = models.CharField(max_length=10, choices=RunState, default=RunState.COMPUTING)
    inputs_sha256 = models.BinaryField(max_length=32, null=True)
    outputs_root = models.BinaryField(max_length=32, null=True)
    entitlement_count = models.BigIntegerField(default=0)
    # Who is one person with whom, as it was when the run began; the database sets it and keeps it.
    grouping = models.ForeignKey("ledger.Grouping", models.PROTECT, null=True, related_name="runs")
    computed_by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    computed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "number"], name="run_number_is_used_once"),
            models.UniqueConstraint(
                fields=["case"], condition=Q(state="approved"), name="one_run_at_a_time_is_being_declared"
            ),
            models.CheckConstraint(condition=Q(kind__in=["interim", "final"]), name="run_is_interim_or_final"),
            models.CheckConstraint(
                condition=Q(state__in=["computing", "withdrawn"])
                | Q(inputs_sha256__isnull=False, outputs_root__isnull=False, computed_at__isnull=False),
                name="computed_run_has_its_hashes",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.case.reference}-R{self.number}"


class RunTransition(models.Model):
    """A step a run may take (rows of the first migration)."""

    pk = models.CompositePrimaryKey("from_state", "to_state")
    from_state = models.CharField(max_length=10)
    to_state = models.CharField(max_length=10)


class PoolLine(models.Model):
    """
    What one run shares out of one asset: what is there, the total of weights, P′, what is given and what is left.

    `root` is set once, while its run computes; nothing else of it ever changes.
    """

    run = models.ForeignKey(Run, models.PROTECT, related_name="pools")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    pool = models.CharField(max_length=30)  # the plan's name for it
    classes = models.JSONField(default=list)  # claim classes that share in it
    rounding = models.CharField(max_length=20, default="floor")  # floor, largest remainder
    free = UnitsField()  # in the books when the run was computed, less what came in after the cut-off
    held_back = UnitsField(default=0)  # of that, by the plan
    given_before = UnitsField()  # to the lines that share, by earlier runs
    amount = UnitsField()  # ever put aside for these lines: free + given before − held back
    weights = UnitsField()  # Σ of weights, disputed quantities as if admitted
    effective = UnitsField()  # P′
    lines = models.BigIntegerField()
    distributed = UnitsField()  # Σ entitlements of this run
    withdrawn = UnitsField(default=0)  # from lines whose claim was lowered
    reserved = UnitsField(default=0)  # of what is left: the shares of disputed quantities
    left = UnitsField()
    root = models.BinaryField(max_length=32, null=True)  # of the Merkle sum tree over its entitlements

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "asset"], name="pool_line_is_stated_once"),
            models.CheckConstraint(
                condition=Q(amount=F("free") + F("given_before") - F("held_back"))
                & Q(amount=F("given_before") + F("distributed") - F("withdrawn") + F("left"))
                & Q(held_back__gte=0, free__gte=F("held_back"), given_before__gte=0)
                & Q(distributed__gte=0, withdrawn__gte=0, reserved__gte=0, left__gte=F("reserved")),
                name="pool_line_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(effective__gte=0, effective__lte=F("amount")) & Q(effective__lte=F("weights")),
                name="nothing_above_the_pool_or_the_claims_is_shared",
            ),
            models.CheckConstraint(
                condition=Q(rounding__in=["floor", "largest remainder"]), name="pool_line_rounds_by_a_known_rule"
            ),
        ]


class PoolHolding(models.Model):
    """A holding whose value a run's pool rests on. An unproved holding cannot be one."""

    pool_line = models.ForeignKey(PoolLine, models.PROTECT, related_name="holdings")
    holding = models.ForeignKey("custody.Holding", models.PROTECT, related_name="+")
    access = models.CharField(max_length=10, default="proved")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pool_line", "holding"], name="pool_holding_is_stated_once"),
            models.CheckConstraint(condition=Q(access="proved"), name="pool_rests_on_proved_holdings_only"),
        ]


class Entitlement(models.Model):
    """
    What one run gives one claim line, in whole units, beside everything it follows from. Frozen with its run.

    `amount` is what the line gets now: its cumulative share, or what it keeps if that is more, less what it
    was given. A row stands for every line that shares, also if it gets nothing. Rows are written once, by a function of
    the first migration, in a partition for each run; whether they are right is checked for all of them at once.
    """

    pk = models.CompositePrimaryKey("run_id", "claim_line_id")
    run = models.ForeignKey(Run, models.DO_NOTHING, related_name="entitlements", db_constraint=False, db_index=False)
    claim_line = models.ForeignKey(
        "register.ClaimLine", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    asset = models.ForeignKey("books.Asset", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    weight = UnitsField()  # what the line claims: admitted, less what was converted away
    disputed = UnitsField()  # reserved as if admitted
    given = UnitsField()  # by earlier runs
    kept = UnitsField()  # of that, what stays whatever the share is: all, unless the claim was lowered
    cumulative = UnitsField()  # floor(weight · P′ / T); in a final round by largest remainder perhaps one more
    amount = UnitsField()  # given by this run
