from pathlib import Path
import administration.fields
import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("books", "0001_initial"),
        ("cases", "0001_initial"),
        ("custody", "0001_initial"),
        ("ledger", "0001_initial"),
        ("register", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="RunTransition",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "from_state", "to_state", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("from_state", models.CharField(max_length=10)),
                ("to_state", models.CharField(max_length=10)),
            ],
        ),
        migrations.CreateModel(
            name="Plan",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.PositiveIntegerField()),
                ("name", models.TextField()),
                ("body", models.TextField()),
                ("sha256", models.BinaryField(max_length=32)),
                ("drafted_at", models.DateTimeField()),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="plans", to="cases.case"
                    ),
                ),
                (
                    "drafted_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PoolLine",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("pool", models.CharField(max_length=30)),
                ("classes", models.JSONField(default=list)),
                ("rounding", models.CharField(default="floor", max_length=20)),
                ("free", administration.fields.UnitsField()),
                ("held_back", administration.fields.UnitsField(default=0)),
                ("given_before", administration.fields.UnitsField()),
                ("amount", administration.fields.UnitsField()),
                ("weights", administration.fields.UnitsField()),
                ("effective", administration.fields.UnitsField()),
                ("lines", models.BigIntegerField()),
                ("distributed", administration.fields.UnitsField()),
                ("withdrawn", administration.fields.UnitsField(default=0)),
                ("reserved", administration.fields.UnitsField(default=0)),
                ("left", administration.fields.UnitsField()),
                ("root", models.BinaryField(max_length=32, null=True)),
                (
                    "asset",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="books.asset"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PoolHolding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("access", models.CharField(default="proved", max_length=10)),
                (
                    "asset",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="books.asset"),
                ),
                (
                    "holding",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="custody.holding"
                    ),
                ),
                (
                    "pool_line",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="holdings", to="distribution.poolline"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PriceTable",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.PositiveIntegerField()),
                ("valuation_at", models.DateTimeField()),
                ("source", models.TextField()),
                ("sha256", models.BinaryField(max_length=32)),
                ("at", models.DateTimeField()),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="price_tables", to="cases.case"
                    ),
                ),
                (
                    "order",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to="cases.courtorder"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("num", administration.fields.UnitsField()),
                ("den", administration.fields.UnitsField()),
                (
                    "asset",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="books.asset"),
                ),
                (
                    "table",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="prices", to="distribution.pricetable"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("kind", models.CharField(max_length=10)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("computing", "Computing"),
                            ("computed", "Computed"),
                            ("approved", "Approved"),
                            ("declared", "Declared"),
                            ("withdrawn", "Withdrawn"),
                        ],
                        default="computing",
                        max_length=10,
                    ),
                ),
                ("inputs_sha256", models.BinaryField(max_length=32, null=True)),
                ("outputs_root", models.BinaryField(max_length=32, null=True)),
                ("entitlement_count", models.BigIntegerField(default=0)),
                ("computed_at", models.DateTimeField(null=True)),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="runs", to="cases.case"
                    ),
                ),
                (
                    "computed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "grouping",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="runs",
                        to="ledger.grouping",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="runs", to="distribution.plan"
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="poolline",
            name="run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="pools", to="distribution.run"
            ),
        ),
        migrations.CreateModel(
            name="Entitlement",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run_id", "claim_line_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("weight", administration.fields.UnitsField()),
                ("disputed", administration.fields.UnitsField()),
                ("given", administration.fields.UnitsField()),
                ("kept", administration.fields.UnitsField()),
                ("cumulative", administration.fields.UnitsField()),
                ("amount", administration.fields.UnitsField()),
                (
                    "asset",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="books.asset",
                    ),
                ),
                (
                    "claim_line",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="register.claimline",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="entitlements",
                        to="distribution.run",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.UniqueConstraint(fields=("case", "version"), name="plan_version_is_used_once"),
        ),
        migrations.AddConstraint(
            model_name="poolholding",
            constraint=models.UniqueConstraint(fields=("pool_line", "holding"), name="pool_holding_is_stated_once"),
        ),
        migrations.AddConstraint(
            model_name="poolholding",
            constraint=models.CheckConstraint(
                condition=models.Q(("access", "proved")), name="pool_rests_on_proved_holdings_only"
            ),
        ),
        migrations.AddConstraint(
            model_name="pricetable",
            constraint=models.UniqueConstraint(fields=("case", "version"), name="price_table_version_is_used_once"),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(fields=("table", "asset"), name="price_is_stated_once"),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(("den__gte", 1), ("num__gte", 0)), name="price_is_a_fraction"
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(fields=("case", "number"), name="run_number_is_used_once"),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "approved")), fields=("case",), name="one_run_at_a_time_is_being_declared"
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["interim", "final"])), name="run_is_interim_or_final"
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["computing", "withdrawn"]),
                    models.Q(
                        ("computed_at__isnull", False),
                        ("inputs_sha256__isnull", False),
                        ("outputs_root__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="computed_run_has_its_hashes",
            ),
        ),
        migrations.AddConstraint(
            model_name="poolline",
            constraint=models.UniqueConstraint(fields=("run", "asset"), name="pool_line_is_stated_once"),
        ),
        migrations.AddConstraint(
            model_name="poolline",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "amount",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                models.F("free"), "+", models.F("given_before")
                            ),
                            "-",
                            models.F("held_back"),
                        ),
                    ),
                    (
                        "amount",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    models.F("given_before"), "+", models.F("distributed")
                                ),
                                "-",
                                models.F("withdrawn"),
                            ),
                            "+",
                            models.F("left"),
                        ),
                    ),
                    ("free__gte", models.F("held_back")),
                    ("given_before__gte", 0),
                    ("held_back__gte", 0),
                    ("distributed__gte", 0),
                    ("left__gte", models.F("reserved")),
                    ("reserved__gte", 0),
                    ("withdrawn__gte", 0),
                ),
                name="pool_line_adds_up",
            ),
        ),
        migrations.AddConstraint(
            model_name="poolline",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("effective__gte", 0),
                    ("effective__lte", models.F("amount")),
                    ("effective__lte", models.F("weights")),
                ),
                name="nothing_above_the_pool_or_the_claims_is_shared",
            ),
        ),
        migrations.AddConstraint(
            model_name="poolline",
            constraint=models.CheckConstraint(
                condition=models.Q(("rounding__in", ["floor", "largest remainder"])),
                name="pool_line_rounds_by_a_known_rule",
            ),
        ),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "grouping.sql").read_text(), migrations.RunSQL.noop),
    ]
