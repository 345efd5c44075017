from pathlib import Path

import administration.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("record", "0001_initial"),
        ("cases", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="EntryKind",
            fields=[
                ("kind", models.CharField(max_length=24, primary_key=True, serialize=False)),
                ("debit", models.CharField(max_length=12)),
                ("credit", models.CharField(max_length=12)),
                ("statement_line", models.CharField(blank=True, max_length=20)),
                ("moves_positions", models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name="AccountKind",
            fields=[
                ("kind", models.CharField(max_length=12, primary_key=True, serialize=False)),
                ("side", models.CharField(max_length=1)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("kind", "side"), name="account_kind_has_one_side")],
            },
        ),
        migrations.CreateModel(
            name="Asset",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=20)),
                ("name", models.TextField(blank=True)),
                ("scale", models.PositiveSmallIntegerField()),
                ("payable_step", administration.fields.UnitsField(default=1)),
                ("network", models.TextField(blank=True)),
                ("kind", models.CharField(max_length=10)),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="assets", to="cases.case"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=12)),
                ("side", models.CharField(max_length=1)),
                ("ref", models.TextField(blank=True, default="")),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="accounts", to="cases.case"
                    ),
                ),
                (
                    "asset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="accounts", to="books.asset"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("idem_key", models.TextField()),
                ("body_sha256", models.BinaryField(max_length=32)),
                ("n_lines", models.PositiveSmallIntegerField()),
                ("subject_kind", models.TextField()),
                ("subject_id", models.TextField()),
                ("by", models.TextField(blank=True)),
                ("at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="entries", to="cases.case"
                    ),
                ),
                (
                    "kind",
                    models.ForeignKey(
                        db_column="kind", on_delete=django.db.models.deletion.PROTECT, to="books.entrykind"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Posting",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "entry_id", "line", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("n_lines", models.PositiveSmallIntegerField()),
                ("line", models.PositiveSmallIntegerField()),
                ("side", models.CharField(max_length=1)),
                ("amount", administration.fields.UnitsField()),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="postings", to="books.account"
                    ),
                ),
                (
                    "asset",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="books.asset"),
                ),
                (
                    "entry",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="postings", to="books.entry"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Balance",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="balance",
                        serialize=False,
                        to="books.account",
                    ),
                ),
                ("side", models.CharField(max_length=1)),
                ("debits", administration.fields.UnitsField(default=0)),
                ("credits", administration.fields.UnitsField(default=0)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("debits__gte", models.F("credits")), ("side", "D")),
                            models.Q(("credits__gte", models.F("debits")), ("side", "C")),
                            _connector="OR",
                        ),
                        name="balance_is_never_overdrawn",
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="asset",
            constraint=models.UniqueConstraint(fields=("case", "code"), name="asset_code_is_unique_in_its_case"),
        ),
        migrations.AddConstraint(
            model_name="asset",
            constraint=models.UniqueConstraint(fields=("id", "case"), name="asset_has_one_case"),
        ),
        migrations.AddConstraint(
            model_name="asset",
            constraint=models.CheckConstraint(condition=models.Q(("scale__lte", 36)), name="asset_scale_is_at_most_36"),
        ),
        migrations.AddConstraint(
            model_name="asset",
            constraint=models.CheckConstraint(
                condition=models.Q(("payable_step__gte", 1)), name="asset_payable_step_is_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(fields=("case", "asset", "kind", "ref"), name="account_is_unique"),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(fields=("id", "asset"), name="account_has_one_asset"),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(fields=("id", "side"), name="account_has_one_side"),
        ),
        migrations.AddConstraint(
            model_name="entry",
            constraint=models.UniqueConstraint(fields=("case", "idem_key"), name="entry_key_posts_once"),
        ),
        migrations.AddConstraint(
            model_name="entry",
            constraint=models.UniqueConstraint(fields=("id", "n_lines"), name="entry_announces_its_lines"),
        ),
        migrations.AddConstraint(
            model_name="entry",
            constraint=models.CheckConstraint(
                condition=models.Q(("n_lines__gte", 2)), name="entry_has_at_least_two_lines"
            ),
        ),
        migrations.AddConstraint(
            model_name="posting",
            constraint=models.CheckConstraint(condition=models.Q(("amount__gt", 0)), name="posting_amount_is_positive"),
        ),
        migrations.AddConstraint(
            model_name="posting",
            constraint=models.CheckConstraint(
                condition=models.Q(("side__in", ["D", "C"])), name="posting_is_debit_or_credit"
            ),
        ),
        migrations.AddConstraint(
            model_name="posting",
            constraint=models.CheckConstraint(
                condition=models.Q(("line__gte", 1), ("line__lte", models.F("n_lines"))),
                name="posting_is_one_of_the_announced_lines",
            ),
        ),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
    ]
