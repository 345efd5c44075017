from pathlib import Path
import administration.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('books', '0001_initial'),
        ('cases', '0001_initial'),
        ('destinations', '0001_initial'),
        ('distribution', '0001_initial'),
        ('register', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Batch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.CharField(max_length=40, unique=True)),
                ('rail', models.CharField(max_length=20)),
                ('rail_version', models.CharField(blank=True, max_length=10)),
                ('value_date', models.DateField(null=True)),
                ('state', models.CharField(choices=[('draft', 'Draft'), ('frozen', 'Frozen'), ('approved', 'Approved'), ('exported', 'Exported'), ('settling', 'Settling'), ('closed', 'Closed'), ('voided', 'Voided')], default='draft', max_length=10)),
                ('items', models.BigIntegerField(default=0)),
                ('totals', models.JSONField(default=dict)),
                ('parts', models.PositiveIntegerField(default=0)),
                ('manifest_sha256', models.BinaryField(max_length=32, null=True)),
                ('artifact_sha256', models.BinaryField(max_length=32, null=True)),
                ('drafted_at', models.DateTimeField()),
                ('frozen_at', models.DateTimeField(null=True)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='batches', to='cases.case')),
                ('order', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='cases.courtorder')),
                ('prepared_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Transition',
            fields=[
                ('pk', models.CompositePrimaryKey('machine', 'from_state', 'to_state', blank=True, editable=False, primary_key=True, serialize=False)),
                ('machine', models.CharField(max_length=10)),
                ('from_state', models.CharField(max_length=10)),
                ('to_state', models.CharField(max_length=10)),
                ('people', models.PositiveSmallIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='AssetReturn',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.CharField(max_length=40)),
                ('amount', administration.fields.UnitsField()),
                ('rail', models.CharField(max_length=20)),
                ('state', models.CharField(choices=[('scheduled', 'Scheduled'), ('held', 'Held'), ('batched', 'Batched'), ('settled', 'Settled'), ('returned', 'Returned'), ('cancelled', 'Cancelled')], default='scheduled', max_length=10)),
                ('part', models.PositiveIntegerField(null=True)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('held_by_gate', models.CharField(blank=True, default='', max_length=20)),
                ('after', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='followed_by', to='returns.assetreturn')),
                ('asset', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset')),
                ('case', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='cases.case')),
                ('claim_line', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='register.claimline')),
                ('destination', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='destinations.destination')),
                ('batch', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='returns.batch')),
            ],
        ),
        migrations.CreateModel(
            name='Manifest',
            fields=[
                ('batch', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='manifest', serialize=False, to='returns.batch')),
                ('body', models.TextField()),
                ('sha256', models.BinaryField(max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name='Attempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('part', models.PositiveIntegerField()),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('unknown', 'Unknown'), ('settled', 'Settled'), ('refused', 'Refused'), ('dead', 'Dead'), ('returned', 'Returned')], default='pending', max_length=10)),
                ('holds_return_id', models.BigIntegerField(null=True, unique=True)),
                ('reason_code', models.CharField(blank=True, default='', max_length=30)),
                ('recorded_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('asset_return', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='attempts', to='returns.assetreturn')),
                ('batch', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='attempts', to='returns.batch')),
            ],
        ),
        migrations.CreateModel(
            name='ConflictKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.TextField()),
                ('part', models.PositiveIntegerField()),
                ('released_at', models.DateTimeField(null=True)),
                ('batch', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='conflict_keys', to='returns.batch')),
            ],
        ),
        migrations.CreateModel(
            name='Correction',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('machine', models.CharField(max_length=10)),
                ('object_id', models.BigIntegerField()),
                ('from_state', models.CharField(max_length=10)),
                ('to_state', models.CharField(max_length=10)),
                ('reason', models.TextField()),
                ('evidence_sha256', models.BinaryField(max_length=32)),
                ('at', models.DateTimeField()),
                ('applied_at', models.DateTimeField(null=True)),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='corrections', to='cases.case')),
                ('under', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='followed_by', to='returns.correction')),
            ],
        ),
        migrations.CreateModel(
            name='CourtDeposit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', administration.fields.UnitsField()),
                ('office', models.TextField()),
                ('number', models.TextField()),
                ('ground', models.CharField(max_length=24)),
                ('evidence_sha256', models.BinaryField(max_length=32)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='court_deposits', to='cases.case')),
                ('claim_line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='court_deposits', to='register.claimline')),
                ('order', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='cases.courtorder')),
            ],
        ),
        migrations.CreateModel(
            name='Evidence',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rail', models.CharField(max_length=20)),
                ('name', models.TextField()),
                ('sha256', models.BinaryField(max_length=32)),
                ('bytes', models.BigIntegerField()),
                ('lines_count', models.BigIntegerField(default=0)),
                ('cursor', models.TextField(blank=True, default='')),
                ('received_at', models.DateTimeField()),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='evidence', to='cases.case')),
                ('received_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='EvidenceLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.BigIntegerField()),
                ('fingerprint', models.BinaryField(max_length=32)),
                ('reference', models.TextField(blank=True)),
                ('part', models.TextField(blank=True, default='')),
                ('kind', models.CharField(max_length=10)),
                ('asset_code', models.CharField(max_length=20)),
                ('amount', administration.fields.UnitsField()),
                ('at', models.DateTimeField()),
                ('reason', models.TextField(blank=True, default='')),
                ('problem', models.TextField(blank=True, default='')),
                ('case', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.case')),
                ('evidence', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='returns.evidence')),
            ],
        ),
        migrations.CreateModel(
            name='Match',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', administration.fields.UnitsField()),
                ('applied_at', models.DateTimeField(null=True)),
                ('attempt', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='matches', to='returns.attempt')),
                ('by', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('line', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='matches', to='returns.evidenceline')),
            ],
        ),
        migrations.CreateModel(
            name='Overpayment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', administration.fields.UnitsField()),
                ('recovered', administration.fields.UnitsField(default=0)),
                ('at', models.DateTimeField()),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset')),
                ('attempt', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='overpayments', to='returns.attempt')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='overpayments', to='cases.case')),
                ('line', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='overpayment', to='returns.evidenceline')),
            ],
        ),
        migrations.CreateModel(
            name='Round',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('record_at', models.DateTimeField()),
                ('value_date', models.DateField()),
                ('rails', models.JSONField(default=dict)),
                ('scheduled_at', models.DateTimeField(null=True)),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rounds', to='cases.case')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rounds', to='distribution.run')),
            ],
        ),
        migrations.AddField(
            model_name='batch',
            name='round',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='batches', to='returns.round'),
        ),
        migrations.AddField(
            model_name='assetreturn',
            name='round',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='returns.round'),
        ),
        migrations.CreateModel(
            name='Submission',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('part', models.PositiveIntegerField()),
                ('version', models.PositiveIntegerField(default=1)),
                ('kind', models.CharField(choices=[('pay', 'Pay'), ('replace', 'Replace'), ('void', 'Void')], default='pay', max_length=8)),
                ('state', models.CharField(choices=[('prepared', 'Prepared'), ('exported', 'Exported'), ('signed', 'Signed'), ('submitting', 'Submitting'), ('accepted', 'Accepted'), ('unknown', 'Unknown'), ('refused', 'Refused'), ('final', 'Final'), ('dead', 'Dead')], default='prepared', max_length=10)),
                ('rail_key', models.TextField(unique=True)),
                ('payload', models.BinaryField()),
                ('payload_sha256', models.BinaryField(max_length=32)),
                ('items', models.PositiveIntegerField()),
                ('fence', models.BigIntegerField(default=0)),
                ('lease_until', models.DateTimeField(null=True)),
                ('sent_at', models.DateTimeField(null=True)),
                ('tries', models.PositiveIntegerField(default=0)),
                ('answer', models.JSONField(null=True)),
                ('batch', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='submissions', to='returns.batch')),
            ],
        ),
        migrations.AddConstraint(
            model_name='attempt',
            constraint=models.UniqueConstraint(fields=('batch', 'part', 'asset_return'), name='batch_tries_a_return_once'),
        ),
        migrations.AddConstraint(
            model_name='attempt',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('holds_return_id__isnull', True), ('state__in', ['refused', 'dead', 'returned'])), models.Q(models.Q(('state__in', ['refused', 'dead', 'returned']), _negated=True), ('holds_return_id', models.F('asset_return')), ('holds_return_id__isnull', False)), _connector='OR'), name='attempt_holds_its_return_exactly_while_it_may_have_paid'),
        ),
        migrations.AddConstraint(
            model_name='conflictkey',
            constraint=models.UniqueConstraint(condition=models.Q(('released_at__isnull', True)), fields=('key',), name='conflict_key_is_in_one_live_batch'),
        ),
        migrations.AddConstraint(
            model_name='conflictkey',
            constraint=models.UniqueConstraint(fields=('batch', 'part', 'key'), name='part_lists_a_conflict_key_once'),
        ),
        migrations.AddConstraint(
            model_name='correction',
            constraint=models.UniqueConstraint(condition=models.Q(('applied_at__isnull', True)), fields=('machine', 'object_id'), name='one_open_correction_of_a_thing'),
        ),
        migrations.AddConstraint(
            model_name='courtdeposit',
            constraint=models.UniqueConstraint(fields=('office', 'number'), name='court_deposit_number_is_used_once'),
        ),
        migrations.AddConstraint(
            model_name='courtdeposit',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='court_deposit_is_positive'),
        ),
        migrations.AddConstraint(
            model_name='evidence',
            constraint=models.UniqueConstraint(fields=('case', 'sha256'), name='evidence_is_received_once'),
        ),
        migrations.AddConstraint(
            model_name='evidenceline',
            constraint=models.UniqueConstraint(fields=('case', 'fingerprint'), name='evidence_line_counts_once'),
        ),
        migrations.AddConstraint(
            model_name='evidenceline',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gte', 0)), name='evidence_line_amount_is_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='match',
            constraint=models.UniqueConstraint(fields=('line', 'attempt'), name='line_matches_an_attempt_once'),
        ),
        migrations.AddConstraint(
            model_name='match',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='match_amount_is_positive'),
        ),
        migrations.AddConstraint(
            model_name='overpayment',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0), ('recovered__gte', 0), ('recovered__lte', models.F('amount'))), name='overpayment_recovers_at_most_itself'),
        ),
        migrations.AddConstraint(
            model_name='round',
            constraint=models.UniqueConstraint(fields=('case', 'number'), name='round_number_is_used_once'),
        ),
        migrations.AddConstraint(
            model_name='batch',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['draft', 'voided']), ('manifest_sha256__isnull', False), _connector='OR'), name='frozen_batch_has_a_manifest'),
        ),
        migrations.AddIndex(
            model_name='assetreturn',
            index=models.Index(condition=models.Q(('batch__isnull', False)), fields=['batch', 'part'], name='return_of_a_part'),
        ),
        migrations.AddConstraint(
            model_name='assetreturn',
            constraint=models.UniqueConstraint(fields=('case', 'reference'), name='return_reference_is_used_once'),
        ),
        migrations.AddConstraint(
            model_name='assetreturn',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='return_amount_is_positive'),
        ),
        migrations.AddConstraint(
            model_name='assetreturn',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['batched', 'settled']), _negated=True), models.Q(('batch__isnull', False), ('part__isnull', False)), _connector='OR'), name='batched_return_is_in_a_batch'),
        ),
        migrations.AddConstraint(
            model_name='assetreturn',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['batched', 'settled']), _negated=True), ('destination__isnull', False), _connector='OR'), name='batched_return_has_a_destination'),
        ),
        migrations.AddConstraint(
            model_name='assetreturn',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['scheduled', 'held', 'cancelled']), _negated=True), models.Q(('batch__isnull', True), ('part__isnull', True)), _connector='OR'), name='waiting_return_is_in_no_batch'),
        ),
        migrations.AddConstraint(
            model_name='assetreturn',
            constraint=models.UniqueConstraint(condition=models.Q(('after__isnull', True)), fields=('round', 'claim_line'), name='round_owes_a_line_one_return'),
        ),
        migrations.AddConstraint(
            model_name='assetreturn',
            constraint=models.UniqueConstraint(condition=models.Q(('after__isnull', False)), fields=('after',), name='return_is_followed_by_one'),
        ),
        migrations.AddConstraint(
            model_name='submission',
            constraint=models.UniqueConstraint(fields=('batch', 'part', 'version'), name='submission_version_is_made_once'),
        ),
        migrations.CreateModel(
            name='Home',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('identity', models.TextField()),
                ('previous', models.TextField(blank=True, default='')),
                ('reason', models.TextField(blank=True, default='')),
                ('since', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('compared_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='RailLimit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rail', models.CharField(max_length=20)),
                ('seconds', models.PositiveIntegerField()),
                ('at_most', administration.fields.UnitsField()),
                ('at', models.DateTimeField()),
                ('asset', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset')),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rail_limits', to='cases.case')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('at_most__gt', 0), ('seconds__gt', 0)), name='rail_limit_lets_something_through')],
            },
        ),
        migrations.AddIndex(
            model_name='evidenceline',
            index=models.Index(condition=models.Q(('problem', ''), _negated=True), fields=['case', 'reference'], name='line_that_waits_for_a_person'),
        ),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
    ]
