from pathlib import Path

import administration.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("record", "0001_initial"),
        ("books", "0001_initial"),
        ("cases", "0001_initial"),
        ("register", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DestinationTransition",
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
            name="Destination",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.PositiveIntegerField()),
                ("network", models.TextField()),
                ("details", models.JSONField()),
                ("fingerprint", models.BinaryField(max_length=32)),
                (
                    "origin",
                    models.CharField(
                        choices=[
                            ("handover", "Handover"),
                            ("claimant", "Claimant Session"),
                            ("paper", "Paper"),
                            ("court_order", "Court Order"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("proposed", "Proposed"),
                            ("proved", "Proved"),
                            ("cooling", "Cooling"),
                            ("usable", "Usable"),
                            ("revoked", "Revoked"),
                        ],
                        default="proposed",
                        max_length=10,
                    ),
                ),
                ("proof_sha256", models.BinaryField(max_length=32, null=True)),
                ("proposed_at", models.DateTimeField()),
                ("proved_at", models.DateTimeField(null=True)),
                ("usable_from", models.DateTimeField(null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                ("revoke_reason", models.TextField(blank=True, default="")),
                ("recorded_at", models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
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
                    "claim",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="destinations",
                        to="register.claim",
                    ),
                ),
                (
                    "keyed_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "order",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="cases.courtorder",
                    ),
                ),
                (
                    "proved_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "second_keyed_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "cooling")), fields=["usable_from"], name="destination_cooling"
                    ),
                    models.Index(
                        condition=models.Q(("origin", "claimant"), ("state", "proposed")),
                        fields=["case", "id"],
                        name="destination_to_check",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("claim", "asset", "version"), name="destination_version_is_used_once"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "usable")),
                        fields=("claim", "asset"),
                        name="one_usable_destination_per_claim_and_asset",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("origin", "paper"), _negated=True),
                            ("state__in", ["proposed", "revoked"]),
                            models.Q(
                                ("second_keyed_by__isnull", False),
                                models.Q(("second_keyed_by", models.F("keyed_by")), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="paper_destination_is_keyed_by_two_people",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("origin__in", ["handover", "court_order"]), _negated=True),
                            ("state__in", ["proposed", "revoked"]),
                            ("order__isnull", False),
                            _connector="OR",
                        ),
                        name="handover_destination_rests_on_an_order",
                    ),
                ],
            },
        ),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
    ]
