"""Plans, runs and entitlements: who gets how much, computed to the last unit and frozen."""

from django.db import models
from django.db.models import F, Q

from administration.fields import ClockTimestamp, UnitsField


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


class RunState(models.TextChoices):
    COMPUTING = "computing"
    COMPUTED = "computed"
    APPROVED = "approved"
    DECLARED = "declared"  # positions and books carry it
    WITHDRAWN = "withdrawn"


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
    computed_by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    computed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "number"], name="run_number_is_used_once"),
            models.CheckConstraint(
                condition=Q(state__in=["computing", "withdrawn"])
                | Q(inputs_sha256__isnull=False, outputs_root__isnull=False),
                name="computed_run_has_its_hashes",
            ),
        ]


class RunTransition(models.Model):
    """A step a run may take (rows of the first migration)."""

    pk = models.CompositePrimaryKey("from_state", "to_state")
    from_state = models.CharField(max_length=10)
    to_state = models.CharField(max_length=10)


class PoolLine(models.Model):
    """What one run shares out of one asset and pool: the pool, the total of weights, P′, what was distributed and what is left."""

    run = models.ForeignKey(Run, models.PROTECT, related_name="pools")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    pool = models.CharField(max_length=30)  # the plan's name for it
    classes = models.JSONField(default=list)  # claim classes that share in it
    amount = UnitsField()  # ever put aside for these lines, what was given before included
    weights = UnitsField()  # Σ of weights, disputed lines as if admitted
    effective = UnitsField()  # P′
    given_before = UnitsField()
    distributed = UnitsField()  # Σ entitlements of this run
    reserved = UnitsField(default=0)  # for disputed lines
    left = UnitsField()
    root = models.BinaryField(max_length=32)  # of the Merkle sum tree of this pool line

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "asset", "pool"], name="pool_line_is_stated_once"),
            models.CheckConstraint(
                condition=Q(amount=F("given_before") + F("distributed") + F("left"), left__gte=0, distributed__gte=0),
                name="pool_line_adds_up",
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
    """What one run gives one claim line, in whole units. Written while the run computes, then frozen with it."""

    pk = models.CompositePrimaryKey("run_id", "claim_line_id")
    run = models.ForeignKey(Run, models.DO_NOTHING, related_name="entitlements", db_constraint=False, db_index=False)
    claim_line = models.ForeignKey(
        "register.ClaimLine", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    asset = models.ForeignKey("books.Asset", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    weight = UnitsField()
    cumulative = UnitsField()  # floor(weight · P′ / T)
    amount = UnitsField()  # given by this run

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(amount__gte=0), name="entitlement_is_not_negative")]
