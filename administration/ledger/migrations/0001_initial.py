from pathlib import Path
import administration.fields
import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("record", "0001_initial"),
        ("books", "0001_initial"),
        ("cases", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="HandedOverPrice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("num", administration.fields.UnitsField()),
                ("den", administration.fields.UnitsField()),
                ("quoted_at", models.DateTimeField()),
                ("source", models.TextField()),
                (
                    "asset",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="books.asset"),
                ),
                (
                    "case",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="cases.case"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Identity",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("customer_ref", models.TextField()),
                ("entity_type", models.CharField(max_length=12)),
                ("name", models.TextField()),
                ("kana", models.TextField(blank=True)),
                ("romaji", models.TextField(blank=True)),
                ("birth_or_founding_date", models.DateField(null=True)),
                ("nationality", models.CharField(blank=True, max_length=2)),
                ("residence_country", models.CharField(blank=True, max_length=2)),
                ("postcode", models.TextField(blank=True)),
                ("address", models.TextField(blank=True)),
                ("address_kana", models.TextField(blank=True)),
                ("phone", models.TextField(blank=True)),
                ("email", models.TextField(blank=True)),
                ("corporate_number", models.TextField(blank=True)),
                ("kyc_status", models.CharField(blank=True, max_length=12)),
                ("language", models.CharField(blank=True, max_length=2)),
                ("row", models.BigIntegerField()),
                (
                    "case",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="cases.case",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Intake",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("manifest", models.JSONField()),
                ("package_sha256", models.BinaryField(max_length=32)),
                ("directory", models.TextField()),
                ("cutoff_at", models.DateTimeField()),
                (
                    "differences",
                    models.CharField(
                        choices=[("refuse", "Refuse"), ("suspend", "Suspend")], default="refuse", max_length=8
                    ),
                ),
                (
                    "negative_policy",
                    models.CharField(
                        choices=[("exclude", "Exclude"), ("keep", "Keep")], default="exclude", max_length=8
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("received", "Received"),
                            ("inspecting", "Inspecting"),
                            ("inspected", "Inspected"),
                            ("accepting", "Accepting"),
                            ("accepted", "Accepted"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="received",
                        max_length=12,
                    ),
                ),
                ("received_at", models.DateTimeField()),
                ("accounts", models.BigIntegerField(default=0)),
                ("balances", models.BigIntegerField(default=0)),
                ("content_sha256", models.BinaryField(max_length=32, null=True)),
                ("accepted_at", models.DateTimeField(null=True)),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="intakes", to="cases.case"
                    ),
                ),
                (
                    "received_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="HandedOverPlace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("details", models.JSONField()),
                ("amount", administration.fields.UnitsField()),
                ("row", models.BigIntegerField()),
                (
                    "asset",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="books.asset"),
                ),
                (
                    "case",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="cases.case"),
                ),
                (
                    "intake",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="places", to="ledger.intake"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Finding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=40)),
                ("severity", models.CharField(max_length=10)),
                ("file", models.TextField()),
                ("row", models.BigIntegerField(null=True)),
                ("column", models.TextField(blank=True)),
                ("reason", models.TextField()),
                ("remedy", models.TextField()),
                ("rows", models.BigIntegerField(default=1)),
                (
                    "intake",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="findings", to="ledger.intake"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ControlTotal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("asset_code", models.CharField(max_length=20)),
                ("product", models.CharField(max_length=24)),
                ("declared", administration.fields.UnitsField(null=True)),
                ("declared_accounts", models.BigIntegerField(null=True)),
                ("source", models.TextField()),
                ("computed", administration.fields.UnitsField()),
                ("computed_accounts", models.BigIntegerField()),
                ("suspense", administration.fields.UnitsField(default=0)),
                ("suspense_name", models.TextField(blank=True, default="")),
                (
                    "intake",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="control_totals", to="ledger.intake"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LedgerAccount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("account_ref", models.TextField()),
                ("capacity", models.CharField(max_length=12)),
                ("status", models.CharField(max_length=12)),
                ("opened_on", models.DateField(null=True)),
                ("row", models.BigIntegerField()),
                (
                    "case",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ledger_accounts",
                        to="cases.case",
                    ),
                ),
                (
                    "identity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="accounts", to="ledger.identity"
                    ),
                ),
                (
                    "intake",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.intake",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Adjustment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("product", models.CharField(max_length=24)),
                ("amount", administration.fields.UnitsField()),
                ("reason", models.CharField(max_length=32)),
                ("note", models.TextField(blank=True)),
                ("at", models.DateTimeField()),
                (
                    "asset",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="books.asset"),
                ),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="adjustments", to="cases.case"
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "ledger_account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="adjustments",
                        to="ledger.ledgeraccount",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ProposedAdjustment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("product", models.CharField(max_length=24)),
                ("amount", administration.fields.UnitsField()),
                ("reason", models.CharField(max_length=32)),
                ("note", models.TextField()),
                ("at", models.DateTimeField()),
                (
                    "asset",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="books.asset"),
                ),
                (
                    "case",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="cases.case"),
                ),
                (
                    "ledger_account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ledger.ledgeraccount"
                    ),
                ),
                (
                    "proposed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Aggregation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("rules", models.CharField(max_length=20)),
                (
                    "state",
                    models.CharField(
                        choices=[("running", "Running"), ("done", "Done"), ("abandoned", "Abandoned")],
                        default="running",
                        max_length=10,
                    ),
                ),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
                ("customers", models.BigIntegerField(default=0)),
                ("pairs", models.BigIntegerField(default=0)),
                ("linked", models.BigIntegerField(default=0)),
                ("crowded", models.BigIntegerField(default=0)),
                (
                    "case",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="cases.case",
                    ),
                ),
                (
                    "started_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Grouping",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("as_of", models.BigIntegerField()),
                ("persons", models.BigIntegerField()),
                ("customers", models.BigIntegerField()),
                ("sha256", models.BinaryField(max_length=32)),
                ("at", models.DateTimeField()),
                (
                    "case",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="cases.case",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PairDecision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("same", models.BooleanField()),
                ("reason", models.TextField()),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="cases.case",
                    ),
                ),
                (
                    "one",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ledger.identity"
                    ),
                ),
                (
                    "other",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ledger.identity"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Person",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("at", models.DateTimeField()),
                (
                    "case",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="cases.case",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PersonLink",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("level", models.CharField(max_length=8)),
                ("reason", models.TextField(blank=True)),
                ("at", models.DateTimeField()),
                (
                    "aggregation",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="links",
                        to="ledger.aggregation",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="cases.case",
                    ),
                ),
                (
                    "follows",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="followed_by",
                        to="ledger.personlink",
                    ),
                ),
                (
                    "identity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="person_links", to="ledger.identity"
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="links", to="ledger.person"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PersonPair",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("level", models.CharField(max_length=8)),
                ("score", models.SmallIntegerField()),
                ("place", models.BigIntegerField()),
                ("agrees", models.TextField()),
                ("against", models.TextField()),
                ("automatic", models.BooleanField()),
                (
                    "aggregation",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.aggregation",
                    ),
                ),
                (
                    "one",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.identity",
                    ),
                ),
                (
                    "other",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.identity",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="adjustment",
            name="proposal",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="adjustment",
                to="ledger.proposedadjustment",
            ),
        ),
        migrations.CreateModel(
            name="ScopeDecision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("product", models.CharField(blank=True, max_length=24)),
                ("in_scope", models.BooleanField()),
                ("ground", models.TextField()),
                ("evidence_sha256", models.BinaryField(max_length=32, null=True)),
                ("at", models.DateTimeField()),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="scope_decisions", to="cases.case"
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "ledger_account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="scope_decisions",
                        to="ledger.ledgeraccount",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SourceFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.TextField()),
                ("sha256", models.BinaryField(max_length=32)),
                ("bytes", models.BigIntegerField()),
                ("rows", models.BigIntegerField(null=True)),
                ("deliverer", models.TextField(blank=True)),
                ("received_at", models.DateTimeField()),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="source_files", to="cases.case"
                    ),
                ),
                (
                    "intake",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="files", to="ledger.intake"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LedgerBalance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("product", models.CharField(max_length=24)),
                ("amount", administration.fields.UnitsField()),
                ("row", models.BigIntegerField()),
                (
                    "asset",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="books.asset",
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="cases.case",
                    ),
                ),
                (
                    "ledger_account",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="balances",
                        to="ledger.ledgeraccount",
                    ),
                ),
                (
                    "file",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.sourcefile",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="ledgeraccount",
            name="file",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="ledger.sourcefile",
            ),
        ),
        migrations.AddField(
            model_name="identity",
            name="file",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="ledger.sourcefile",
            ),
        ),
        migrations.CreateModel(
            name="HandedOverHold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=12)),
                ("since", models.DateField()),
                ("reference", models.TextField(blank=True)),
                ("row", models.BigIntegerField()),
                (
                    "case",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="cases.case"),
                ),
                (
                    "ledger_account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="handed_over_holds",
                        to="ledger.ledgeraccount",
                    ),
                ),
                (
                    "file",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.sourcefile",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="HandedOverDestination",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("network", models.TextField()),
                ("details", models.JSONField()),
                ("valid", models.BooleanField()),
                ("problem", models.TextField(blank=True)),
                ("row", models.BigIntegerField()),
                (
                    "asset",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="books.asset",
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="cases.case",
                    ),
                ),
                (
                    "ledger_account",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="handed_over_destinations",
                        to="ledger.ledgeraccount",
                    ),
                ),
                (
                    "file",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.sourcefile",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="intake",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["received", "inspecting", "inspected", "accepting", "accepted"])),
                fields=("case",),
                name="case_has_one_live_intake",
            ),
        ),
        migrations.AddConstraint(
            model_name="controltotal",
            constraint=models.UniqueConstraint(
                fields=("intake", "asset_code", "product"), name="control_total_is_stated_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="controltotal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("suspense", 0),
                    models.Q(
                        (
                            "declared",
                            django.db.models.expressions.CombinedExpression(
                                models.F("computed"), "+", models.F("suspense")
                            ),
                        ),
                        models.Q(("suspense_name", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="suspense_is_named_and_is_the_whole_difference",
            ),
        ),
        migrations.AddConstraint(
            model_name="adjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount", 0), _negated=True), name="adjustment_changes_something"
            ),
        ),
        migrations.AddConstraint(
            model_name="sourcefile",
            constraint=models.UniqueConstraint(fields=("intake", "name"), name="source_file_is_listed_once"),
        ),
        migrations.AddConstraint(
            model_name="sourcefile",
            constraint=models.UniqueConstraint(
                condition=models.Q(("rows__isnull", False)),
                fields=("intake", "sha256"),
                name="table_is_taken_over_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerbalance",
            constraint=models.UniqueConstraint(
                fields=("ledger_account", "asset", "product"), name="balance_is_listed_once_per_account_asset_product"
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgeraccount",
            constraint=models.UniqueConstraint(fields=("case", "account_ref"), name="account_is_listed_once"),
        ),
        migrations.AddConstraint(
            model_name="identity",
            constraint=models.UniqueConstraint(fields=("case", "customer_ref"), name="customer_is_listed_once"),
        ),
        migrations.AddConstraint(
            model_name="aggregation",
            constraint=models.UniqueConstraint(fields=("case", "number"), name="aggregation_number_is_used_once"),
        ),
        migrations.AddConstraint(
            model_name="aggregation",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "running")),
                fields=("case",),
                name="one_aggregation_of_a_case_runs_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="grouping",
            constraint=models.UniqueConstraint(fields=("case", "as_of"), name="grouping_is_frozen_once"),
        ),
        migrations.AddConstraint(
            model_name="pairdecision",
            constraint=models.CheckConstraint(
                condition=models.Q(("one__lt", models.F("other"))), name="pair_decision_names_the_lower_number_first"
            ),
        ),
        migrations.AddConstraint(
            model_name="pairdecision",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="pair_decision_has_its_reason"
            ),
        ),
        migrations.AddConstraint(
            model_name="person",
            constraint=models.UniqueConstraint(fields=("case", "number"), name="person_number_is_used_once"),
        ),
        migrations.AddIndex(
            model_name="personlink",
            index=models.Index(fields=["case"], name="person_link_by_case"),
        ),
        migrations.AddConstraint(
            model_name="personlink",
            constraint=models.UniqueConstraint(
                condition=models.Q(("follows__isnull", True)), fields=("identity",), name="customer_has_one_first_link"
            ),
        ),
        migrations.AddConstraint(
            model_name="personlink",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("aggregation__isnull", False),
                        ("by__isnull", True),
                        ("follows__isnull", True),
                        ("level__in", ["exact", "strong"]),
                    ),
                    models.Q(("by__isnull", False), ("level", "decided"), models.Q(("reason", ""), _negated=True)),
                    _connector="OR",
                ),
                name="link_is_sure_and_first_or_decided_with_a_reason",
            ),
        ),
        migrations.AddIndex(
            model_name="personpair",
            index=models.Index(fields=["aggregation", "other"], name="pair_by_the_other"),
        ),
        migrations.AddConstraint(
            model_name="personpair",
            constraint=models.UniqueConstraint(fields=("aggregation", "one", "other"), name="pair_is_proposed_once"),
        ),
        migrations.AddConstraint(
            model_name="personpair",
            constraint=models.UniqueConstraint(
                fields=("aggregation", "place"), name="pair_has_its_own_place_in_the_review"
            ),
        ),
        migrations.AddConstraint(
            model_name="personpair",
            constraint=models.CheckConstraint(
                condition=models.Q(("one__lt", models.F("other"))), name="pair_names_the_lower_number_first"
            ),
        ),
        migrations.AddConstraint(
            model_name="personpair",
            constraint=models.CheckConstraint(
                condition=models.Q(("automatic", False), ("level__in", ["exact", "strong"]), _connector="OR"),
                name="only_sure_pairs_are_automatic",
            ),
        ),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "persons.sql").read_text(), migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("deliverer", models.TextField()),
                ("directory", models.TextField()),
                (
                    "state",
                    models.CharField(
                        choices=[("arriving", "Arriving"), ("complete", "Complete"), ("destroyed", "Destroyed")],
                        default="arriving",
                        max_length=10,
                    ),
                ),
                ("received_at", models.DateTimeField()),
                ("completed_at", models.DateTimeField(null=True)),
                ("destroyed_because", models.TextField(blank=True, default="")),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="deliveries", to="cases.case"
                    ),
                ),
                (
                    "received_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "destroyed"), _negated=True),
                            models.Q(("destroyed_because", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="delivery_is_destroyed_for_a_reason",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DeliveredFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.TextField()),
                ("bytes", models.BigIntegerField()),
                ("received", models.BigIntegerField(default=0)),
                ("sha256", models.BinaryField(max_length=32, null=True)),
                ("received_at", models.DateTimeField()),
                ("encoding", models.CharField(blank=True, default="", max_length=12)),
                ("encoding_at", models.DateTimeField(null=True)),
                (
                    "delivery",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="files", to="ledger.delivery"
                    ),
                ),
                (
                    "encoding_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="members", to="ledger.deliveredfile"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("delivery", "name"), name="delivered_file_has_its_own_name"),
                    models.CheckConstraint(
                        condition=models.Q(("sha256__isnull", True), ("received", models.F("bytes")), _connector="OR"),
                        name="delivered_file_with_a_hash_is_whole",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("encoding", ""),
                            models.Q(("encoding_by__isnull", False), ("sha256__isnull", False)),
                            _connector="OR",
                        ),
                        name="an_encoding_was_confirmed_by_somebody",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LedgerMapping",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.PositiveIntegerField()),
                ("text", models.TextField()),
                ("sha256", models.BinaryField(max_length=32)),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="mappings", to="cases.case"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("case", "version"), name="mapping_version_is_used_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="RowSetAside",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("file", models.TextField()),
                ("row", models.BigIntegerField()),
                ("kind", models.CharField(max_length=40)),
                ("reason", models.TextField()),
                ("origin", models.TextField(blank=True)),
                ("account_ref", models.TextField(blank=True)),
                ("asset_code", models.TextField(blank=True)),
                ("product", models.TextField(blank=True)),
                ("amount", administration.fields.UnitsField(null=True)),
                (
                    "intake",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="set_aside", to="ledger.intake"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("intake", "file", "row"), name="row_is_set_aside_once")
                ],
            },
        ),
        migrations.AddField("intake", "outcomes", models.JSONField(default=dict)),
        migrations.AddField(
            "intake",
            "delivery",
            models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="intakes", to="ledger.delivery"
            ),
        ),
        migrations.AddField(
            "intake",
            "mapping",
            models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="intakes", to="ledger.ledgermapping"
            ),
        ),
        migrations.AddField("controltotal", "aside", administration.fields.UnitsField(default=0)),
        migrations.AddField("controltotal", "aside_rows", models.BigIntegerField(default=0)),
        migrations.RunSQL((Path(__file__).parent / "deliveries.sql").read_text(), migrations.RunSQL.noop),
        migrations.CreateModel(
            name="KeptEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("account_ref", models.TextField()),
                ("number", models.TextField()),
                ("kind", models.CharField(max_length=12)),
                ("amount", administration.fields.UnitsField()),
                ("at", models.DateTimeField()),
                ("after_cutoff", models.BooleanField()),
                ("row", models.BigIntegerField()),
                ("leg", models.PositiveSmallIntegerField()),
                (
                    "asset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="books.asset"
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="cases.case"
                    ),
                ),
                (
                    "file",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ledger.sourcefile"
                    ),
                ),
                (
                    "intake",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="kept_entries", to="ledger.intake"
                    ),
                ),
                (
                    "ledger_account",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="kept_entries",
                        to="ledger.ledgeraccount",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("file", "row", "leg"), name="entry_is_kept_once"),
                    models.CheckConstraint(
                        condition=models.Q(("amount", 0), _negated=True), name="kept_entry_moves_something"
                    ),
                ],
            },
        ),
        migrations.RunSQL((Path(__file__).parent / "entries.sql").read_text(), migrations.RunSQL.noop),
        migrations.AddField(
            "scopedecision",
            "rank",
            models.CharField(
                choices=[("customer", "Customer"), ("insider", "Insider"), ("house", "House account")],
                default="customer",
                max_length=8,
            ),
        ),
        migrations.CreateModel(
            name="ScopeAppeal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("lodged", "Lodged"),
                            ("upheld", "Upheld"),
                            ("dismissed", "Dismissed"),
                            ("withdrawn", "Withdrawn"),
                        ],
                        max_length=10,
                    ),
                ),
                ("ground", models.TextField()),
                ("evidence_sha256", models.BinaryField(max_length=32, null=True)),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="cases.case"
                    ),
                ),
                (
                    "decision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="appeals", to="ledger.scopedecision"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "lodged")), fields=("decision",), name="appeal_is_lodged_once"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "lodged"), _negated=True), fields=("decision",), name="appeal_ends_once"
                    ),
                ],
            },
        ),
        migrations.RunSQL((Path(__file__).parent / "scope.sql").read_text(), migrations.RunSQL.noop),
        migrations.AddField("intake", "remark", models.TextField(blank=True, default="")),
        migrations.CreateModel(
            name="AuditedTotal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("asset_code", models.CharField(max_length=20)),
                ("as_of", models.DateField()),
                ("auditor", models.TextField()),
                ("audited", administration.fields.UnitsField()),
                ("ledger", administration.fields.UnitsField()),
                ("explanation", models.TextField(blank=True)),
                ("paper_sha256", models.BinaryField(max_length=32)),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "intake",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="audited_totals", to="ledger.intake"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("audited", models.F("ledger")), models.Q(("explanation", ""), _negated=True), _connector="OR"),
                        name="audited_total_is_met_or_explained",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("auditor", ""), _negated=True), name="audited_total_has_its_auditor"
                    ),
                ],
            },
        ),
        migrations.RunSQL((Path(__file__).parent / "audited.sql").read_text(), migrations.RunSQL.noop),
    ]
