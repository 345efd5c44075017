from pathlib import Path
import administration.fields
import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('books', '0001_initial'),
        ('cases', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='HoldingPlace',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('wallet', 'Wallet'), ('bank', 'Bank'), ('trust', 'Trust')], max_length=10)),
                ('network', models.TextField(blank=True)),
                ('locator', models.TextField()),
                ('temperature', models.CharField(blank=True, max_length=4)),
                ('tag', models.CharField(choices=[('segregated', 'Segregated'), ('guarantee', 'Guarantee'), ('own', 'Own')], max_length=12)),
                ('controller', models.TextField(blank=True)),
                ('custodian', models.TextField(blank=True)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='holding_places', to='cases.case')),
            ],
        ),
        migrations.CreateModel(
            name='Holding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', administration.fields.UnitsField()),
                ('as_of', models.DateTimeField()),
                ('access', models.CharField(choices=[('proved', 'Proved'), ('partial', 'Partial'), ('unproved', 'Unproved'), ('lost', 'Lost'), ('contested', 'Contested')], max_length=10)),
                ('proof', models.TextField(blank=True)),
                ('evidence_name', models.TextField()),
                ('evidence_sha256', models.BinaryField(max_length=32)),
                ('at', models.DateTimeField()),
                ('recorded_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset')),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='holdings', to='cases.case')),
                ('place', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='holdings', to='custody.holdingplace')),
            ],
        ),
        migrations.CreateModel(
            name='Movement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('receipt', 'Receipt'), ('recovery', 'Recovery'), ('fee', 'Fee'), ('cost', 'Cost'), ('sweep', 'Sweep')], max_length=12)),
                ('amount', administration.fields.UnitsField()),
                ('reason', models.TextField()),
                ('evidence_name', models.TextField()),
                ('evidence_sha256', models.BinaryField(max_length=32)),
                ('at', models.DateTimeField()),
                ('recorded_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='movements', to='cases.case')),
                ('order', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='cases.courtorder')),
                ('place', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='movements', to='custody.holdingplace')),
            ],
        ),
        migrations.CreateModel(
            name='Policy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('insurer', models.TextField()),
                ('number', models.TextField()),
                ('limit', administration.fields.UnitsField()),
                ('covers', models.JSONField(default=dict)),
                ('from_date', models.DateField()),
                ('to_date', models.DateField()),
                ('evidence_sha256', models.BinaryField(max_length=32)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='insurance', to='cases.case')),
            ],
        ),
        migrations.CreateModel(
            name='Reconciliation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('ledger', administration.fields.UnitsField()),
                ('adjustments', administration.fields.UnitsField()),
                ('after_cutoff', administration.fields.UnitsField(db_default=0, default=0)),
                ('owed', administration.fields.UnitsField()),
                ('held_proved', administration.fields.UnitsField()),
                ('held_other', administration.fields.UnitsField()),
                ('difference', administration.fields.UnitsField()),
                ('at', models.DateTimeField()),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reconciliations', to='cases.case')),
            ],
        ),
        migrations.CreateModel(
            name='ReserveEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=16)),
                ('amount', administration.fields.UnitsField()),
                ('fiscal_year', models.PositiveSmallIntegerField()),
                ('approval_ref', models.TextField(blank=True)),
                ('legal_basis', models.TextField()),
                ('evidence_sha256', models.BinaryField(max_length=32)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reserve_entries', to='cases.case')),
            ],
        ),
        migrations.AddConstraint(
            model_name='holdingplace',
            constraint=models.UniqueConstraint(fields=('case', 'asset', 'network', 'locator'), name='holding_place_is_listed_once'),
        ),
        migrations.AddConstraint(
            model_name='holdingplace',
            constraint=models.UniqueConstraint(fields=('id', 'case', 'asset'), name='holding_place_has_one_asset'),
        ),
        migrations.AddConstraint(
            model_name='holdingplace',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['wallet', 'bank', 'trust'])), name='holding_place_is_of_a_known_kind'),
        ),
        migrations.AddConstraint(
            model_name='holdingplace',
            constraint=models.CheckConstraint(condition=models.Q(('tag__in', ['segregated', 'guarantee', 'own'])), name='holding_place_says_whose_it_is'),
        ),
        migrations.AddConstraint(
            model_name='holdingplace',
            constraint=models.CheckConstraint(condition=models.Q(('locator', ''), _negated=True), name='holding_place_says_where_it_is'),
        ),
        migrations.AddConstraint(
            model_name='holding',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gte', 0)), name='holding_is_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='holding',
            constraint=models.CheckConstraint(condition=models.Q(('evidence_name', ''), _negated=True), name='holding_names_its_evidence'),
        ),
        migrations.AddConstraint(
            model_name='holding',
            constraint=models.CheckConstraint(condition=models.Q(('as_of__lte', models.F('at'))), name='holding_is_not_of_the_future'),
        ),
        migrations.AddConstraint(
            model_name='holding',
            constraint=models.CheckConstraint(condition=models.Q(('access__in', ['proved', 'partial', 'unproved', 'lost', 'contested'])), name='holding_says_whether_it_can_be_moved'),
        ),
        migrations.AddConstraint(
            model_name='holding',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('access', 'proved'), _negated=True), models.Q(('proof', ''), _negated=True), _connector='OR'), name='proved_holding_says_how_control_was_proved'),
        ),
        migrations.AddConstraint(
            model_name='holding',
            constraint=models.UniqueConstraint(fields=('place', 'as_of'), name='holding_is_recorded_once_for_an_instant'),
        ),
        migrations.AddConstraint(
            model_name='holding',
            constraint=models.UniqueConstraint(fields=('id', 'access', 'asset'), name='holding_has_one_access'),
        ),
        migrations.AddConstraint(
            model_name='movement',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('amount__gt', 0), ('kind__in', ('receipt', 'recovery'))), models.Q(('amount__lt', 0), ('kind__in', ('fee', 'cost'))), models.Q(('kind', 'sweep'), models.Q(('amount', 0), _negated=True)), _connector='OR'), name='movement_has_the_sign_of_its_kind'),
        ),
        migrations.AddConstraint(
            model_name='movement',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('evidence_name', ''), _negated=True), models.Q(('reason', ''), _negated=True)), name='movement_says_why_and_by_what'),
        ),
        migrations.AddConstraint(
            model_name='reconciliation',
            constraint=models.UniqueConstraint(fields=('case', 'number', 'asset'), name='reconciliation_states_an_asset_once'),
        ),
        migrations.AddConstraint(
            model_name='reconciliation',
            constraint=models.CheckConstraint(condition=models.Q(('owed', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('ledger'), '+', models.F('adjustments')), '+', models.F('after_cutoff'))), ('difference', django.db.models.expressions.CombinedExpression(models.F('held_proved'), '-', models.F('owed')))), name='reconciliation_adds_up'),
        ),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
    ]
