from pathlib import Path
import administration.fields
import django.contrib.postgres.indexes
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
        ('ledger', '0001_initial'),
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
                ('lane', models.CharField(blank=True, default='', max_length=5)),
                ('canary', models.BooleanField(default=False)),
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
                ('claim_line', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='register.claimline')),
                ('destination', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='destinations.destination')),
                ('batch', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='returns.batch')),
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
                ('reason_code', models.TextField(blank=True, default='')),
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
                ('finding', models.CharField(blank=True, choices=[('paid', 'Paid'), ('not_paid', 'Not paid')], default='', max_length=8)),
                ('applied_at', models.DateTimeField(null=True)),
                ('rejected_at', models.DateTimeField(null=True)),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='corrections', to='cases.case')),
                ('under', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='followed_by', to='returns.correction')),
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
                ('correction', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='evidence', to='returns.correction')),
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
                ('asset_return', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='overpayments', to='returns.assetreturn')),
                ('attempt', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='overpayments', to='returns.attempt')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='overpayments', to='cases.case')),
                ('line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='overpayments', to='returns.evidenceline')),
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
                ('minimums', models.JSONField(default=dict)),
                ('large_from', models.JSONField(default=dict)),
                ('canary', models.PositiveIntegerField(default=0)),
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
                ('doubted_at', models.DateTimeField(null=True)),
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
            constraint=models.UniqueConstraint(condition=models.Q(('applied_at__isnull', True), ('rejected_at__isnull', True)), fields=('machine', 'object_id'), name='one_open_correction_of_a_thing'),
        ),
        migrations.AddConstraint(
            model_name='correction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finding', ''), models.Q(('from_state', 'unknown'), _negated=True)), models.Q(('finding', 'paid'), ('from_state', 'unknown'), ('machine', 'submission'), ('to_state', 'accepted')), models.Q(('finding', 'paid'), ('from_state', 'unknown'), ('machine', 'attempt'), ('to_state', 'settled')), models.Q(('finding', 'not_paid'), ('from_state', 'unknown'), ('machine', 'submission'), ('to_state__in', ['dead', 'accepted'])), models.Q(('finding', 'not_paid'), ('from_state', 'unknown'), ('machine', 'attempt'), ('to_state', 'dead')), _connector='OR'), name='finding_ends_a_doubt'),
        ),
        migrations.AddConstraint(
            model_name='correction',
            constraint=models.CheckConstraint(condition=models.Q(('applied_at__isnull', True), ('rejected_at__isnull', True), _connector='OR'), name='correction_is_applied_or_rejected'),
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
            model_name='overpayment',
            constraint=models.UniqueConstraint(fields=('line', 'attempt'), name='line_overpays_an_attempt_once'),
        ),
        migrations.AddConstraint(
            model_name='overpayment',
            constraint=models.CheckConstraint(condition=models.Q(('attempt__isnull', True), ('asset_return__isnull', False), _connector='OR'), name='overpayment_by_an_attempt_is_of_a_return'),
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
            index=django.contrib.postgres.indexes.BrinIndex(fields=['batch', 'part'], name='return_of_a_part', opclasses=['int8_minmax_multi_ops', 'int4_minmax_multi_ops'], pages_per_range=8),
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
                ('kind', models.CharField(choices=[('rate', 'Within a time'), ('part', 'In one part'), ('sign', 'With the usual signatures')], default='rate', max_length=4)),
                ('seconds', models.PositiveIntegerField()),
                ('at_most', administration.fields.UnitsField()),
                ('at', models.DateTimeField()),
                ('asset', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset')),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rail_limits', to='cases.case')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('at_most__gt', 0), models.Q(models.Q(('kind', 'rate'), ('seconds__gt', 0)), models.Q(('asset__isnull', True), ('kind', 'part'), ('seconds', 0)), models.Q(('asset__isnull', False), ('kind', 'sign'), ('seconds', 0)), _connector='OR')), name='rail_limit_lets_something_through')],
            },
        ),
        migrations.AddIndex(
            model_name='evidenceline',
            index=models.Index(condition=models.Q(('problem', ''), _negated=True), fields=['case', 'reference'], name='line_that_waits_for_a_person'),
        ),
        migrations.CreateModel(
            name='BookMove',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('transferee', models.TextField()),
                ('terms', models.CharField(choices=[('consent', 'Who consents moves'), ('opt_out', 'Who does not opt out moves')], max_length=8)),
                ('choose_by', models.DateField()),
                ('assets', models.JSONField()),
                ('contract_sha256', models.BinaryField(max_length=32)),
                ('at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Cancellation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.TextField()),
                ('anew', models.JSONField(null=True)),
                ('at', models.DateTimeField()),
                ('done_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Carried',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', administration.fields.UnitsField()),
            ],
        ),
        migrations.CreateModel(
            name='ClosedDay',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('why', models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name='GoAhead',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rail', models.CharField(max_length=20)),
                ('note', models.TextField(blank=True, default='')),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='MoveChoice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('moves', models.BooleanField()),
                ('evidence_sha256', models.BinaryField(max_length=32)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='PaceChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rail', models.CharField(max_length=20)),
                ('body', models.TextField()),
                ('sha256', models.BinaryField(max_length=32)),
                ('reason', models.TextField()),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='RailWindow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rail', models.CharField(max_length=20)),
                ('opens', models.TimeField()),
                ('closes', models.TimeField()),
                ('bank_days', models.BooleanField(default=True)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='RoundPause',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.TextField()),
                ('at', models.DateTimeField()),
                ('resumed_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='SanctionedName',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('entry', models.PositiveIntegerField()),
                ('name_key', models.TextField()),
                ('born_on', models.DateField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='SanctionsList',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.TextField()),
                ('sha256', models.BinaryField(max_length=32)),
                ('names', models.PositiveIntegerField()),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Screening',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('through_claimant_id', models.BigIntegerField()),
                ('people', models.BigIntegerField()),
                ('hits', models.BigIntegerField()),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name='bookmove',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='bookmove',
            name='case',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='book_moves', to='cases.case'),
        ),
        migrations.AddField(
            model_name='bookmove',
            name='order',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.courtorder'),
        ),
        migrations.AddField(
            model_name='cancellation',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='cancellation',
            name='round',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='cancellations', to='returns.round'),
        ),
        migrations.AddField(
            model_name='assetreturn',
            name='cancellation',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='returns.cancellation'),
        ),
        migrations.AddField(
            model_name='carried',
            name='asset',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset'),
        ),
        migrations.AddField(
            model_name='carried',
            name='claim_line',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='carried', to='register.claimline'),
        ),
        migrations.AddField(
            model_name='carried',
            name='round',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='carried', to='returns.round'),
        ),
        migrations.AddField(
            model_name='goahead',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='goahead',
            name='canary',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='go_ahead', to='returns.batch'),
        ),
        migrations.AddField(
            model_name='goahead',
            name='round',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='go_aheads', to='returns.round'),
        ),
        migrations.AddField(
            model_name='movechoice',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='movechoice',
            name='claim',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='move_choices', to='register.claim'),
        ),
        migrations.AddField(
            model_name='movechoice',
            name='move',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='choices', to='returns.bookmove'),
        ),
        migrations.AddField(
            model_name='pacechange',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='pacechange',
            name='case',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pace_changes', to='cases.case'),
        ),
        migrations.AddField(
            model_name='raillimit',
            name='change',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='limits', to='returns.pacechange'),
        ),
        migrations.AddField(
            model_name='railwindow',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='railwindow',
            name='case',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rail_windows', to='cases.case'),
        ),
        migrations.AddField(
            model_name='railwindow',
            name='change',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='windows', to='returns.pacechange'),
        ),
        migrations.AddField(
            model_name='roundpause',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='roundpause',
            name='resumed_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='roundpause',
            name='round',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pauses', to='returns.round'),
        ),
        migrations.AddField(
            model_name='sanctionslist',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='sanctionslist',
            name='case',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='sanctions_lists', to='cases.case'),
        ),
        migrations.AddField(
            model_name='sanctionedname',
            name='list',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='returns.sanctionslist'),
        ),
        migrations.AddField(
            model_name='screening',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='screening',
            name='list',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='screenings', to='returns.sanctionslist'),
        ),
        migrations.AddConstraint(
            model_name='bookmove',
            constraint=models.UniqueConstraint(fields=('case', 'number'), name='book_move_number_is_used_once'),
        ),
        migrations.AddConstraint(
            model_name='cancellation',
            constraint=models.UniqueConstraint(condition=models.Q(('done_at__isnull', True)), fields=('round',), name='round_is_cancelled_one_time_after_the_other'),
        ),
        migrations.AddConstraint(
            model_name='carried',
            constraint=models.UniqueConstraint(fields=('round', 'claim_line'), name='round_carries_a_line_once'),
        ),
        migrations.AddConstraint(
            model_name='carried',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='carried_amount_is_positive'),
        ),
        migrations.AddConstraint(
            model_name='goahead',
            constraint=models.UniqueConstraint(fields=('round', 'rail'), name='round_goes_on_once_on_a_rail'),
        ),
        migrations.AddConstraint(
            model_name='railwindow',
            constraint=models.CheckConstraint(condition=models.Q(('opens__lt', models.F('closes'))), name='rail_window_opens_before_it_closes'),
        ),
        migrations.AddConstraint(
            model_name='roundpause',
            constraint=models.UniqueConstraint(condition=models.Q(('resumed_at__isnull', True)), fields=('round',), name='round_is_paused_once'),
        ),
        migrations.AddConstraint(
            model_name='roundpause',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('resumed_at__isnull', True), ('resumed_by__isnull', True)), models.Q(('resumed_at__isnull', False), ('resumed_by__isnull', False)), _connector='OR'), name='round_is_resumed_by_somebody'),
        ),
        migrations.AddConstraint(
            model_name='sanctionslist',
            constraint=models.UniqueConstraint(fields=('case', 'version'), name='sanctions_list_version_is_used_once'),
        ),
        migrations.AddConstraint(
            model_name='sanctionedname',
            constraint=models.UniqueConstraint(fields=('list', 'name_key', 'entry'), name='sanctioned_name_is_listed_once'),
        ),
        migrations.CreateModel(
            name='DepositFiling',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('ground', models.CharField(choices=[('unreachable', 'The creditor cannot accept: unreachable'), ('refused', 'The creditor refuses to accept'), ('unknown_creditor', 'It is not known who the creditor is'), ('competing_attachments', 'Competing attachments')], max_length=24)),
                ('office', models.TextField()),
                ('facts', models.TextField()),
                ('papers', models.JSONField(default=list)),
                ('state', models.CharField(choices=[('proposed', 'Proposed'), ('approved', 'Approved'), ('done', 'Carried out'), ('given_up', 'Given up')], default='proposed', max_length=8)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='deposit_filings', to='cases.case')),
                ('order', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.courtorder')),
            ],
        ),
        migrations.CreateModel(
            name='CourtDeposit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', administration.fields.UnitsField()),
                ('office', models.TextField()),
                ('number', models.TextField(blank=True, default='')),
                ('deposited_on', models.DateField(null=True)),
                ('receipt_sha256', models.BinaryField(max_length=32, null=True)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='court_deposits', to='cases.case')),
                ('claim_line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='court_deposits', to='register.claimline')),
                ('filing', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='deposits', to='returns.depositfiling')),
            ],
        ),
        migrations.CreateModel(
            name='FailureReason',
            fields=[
                ('code', models.CharField(max_length=24, primary_key=True, serialize=False)),
                ('rail', models.CharField(blank=True, default='', max_length=20)),
                ('rank', models.PositiveSmallIntegerField(unique=True)),
                ('words', models.TextField()),
                ('policy', models.CharField(choices=[('retry', 'Try again'), ('ask', 'Ask the customer'), ('reroute', 'Another rail'), ('stop', 'Stop: people decide')], max_length=8)),
                ('tries_max', models.PositiveSmallIntegerField()),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('policy__in', ['retry', 'ask', 'reroute', 'stop'])), name='failure_reason_has_a_policy'), models.CheckConstraint(condition=models.Q(('tries_max__gte', 1)), name='failure_reason_allows_one_try')],
            },
        ),
        migrations.CreateModel(
            name='ForcedSale',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('ground', models.CharField(max_length=24)),
                ('facts', models.TextField()),
                ('state', models.CharField(choices=[('proposed', 'Proposed'), ('approved', 'Approved'), ('done', 'Carried out'), ('given_up', 'Given up')], default='proposed', max_length=8)),
                ('venue', models.TextField(blank=True, default='')),
                ('sold_at', models.DateTimeField(null=True)),
                ('gross', administration.fields.UnitsField(null=True)),
                ('fees', administration.fields.UnitsField(null=True)),
                ('evidence_sha256', models.BinaryField(max_length=32, null=True)),
                ('at', models.DateTimeField()),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset')),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='forced_sales', to='cases.case')),
                ('into', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset')),
                ('order', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.courtorder')),
            ],
        ),
        migrations.CreateModel(
            name='Forfeiture',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('facts', models.TextField()),
                ('state', models.CharField(choices=[('proposed', 'Proposed'), ('approved', 'Approved'), ('done', 'Carried out'), ('given_up', 'Given up')], default='proposed', max_length=8)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='forfeitures', to='cases.case')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.courtorder')),
                ('plan', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='distribution.plan')),
            ],
        ),
        migrations.CreateModel(
            name='ForfeitedLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', administration.fields.UnitsField()),
                ('claim_line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='forfeited', to='register.claimline')),
                ('forfeiture', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='returns.forfeiture')),
            ],
        ),
        migrations.CreateModel(
            name='Recovery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('refund', 'Paid back'), ('net', 'Netted'), ('write_off', 'Written off')], max_length=10)),
                ('amount', administration.fields.UnitsField()),
                ('reason', models.TextField(blank=True)),
                ('evidence_sha256', models.BinaryField(max_length=32, null=True)),
                ('state', models.CharField(choices=[('proposed', 'Proposed'), ('approved', 'Approved'), ('done', 'Carried out'), ('given_up', 'Given up')], default='proposed', max_length=8)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('claim_line', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='register.claimline')),
                ('overpayment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='recoveries', to='returns.overpayment')),
            ],
        ),
        migrations.CreateModel(
            name='Release',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rail', models.CharField(max_length=20)),
                ('reason', models.TextField()),
                ('state', models.CharField(choices=[('proposed', 'Proposed'), ('approved', 'Approved'), ('done', 'Carried out'), ('given_up', 'Given up')], default='proposed', max_length=8)),
                ('at', models.DateTimeField()),
                ('asset_return', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='releases', to='returns.assetreturn')),
                ('attempt', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='returns.attempt')),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Assignment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('matter', models.CharField(choices=[('part', 'A part of a batch'), ('line', 'A line of evidence'), ('return', 'A return'), ('overpayment', 'An over-payment'), ('gate', 'What one gate keeps back')], max_length=11)),
                ('thing', models.CharField(max_length=80)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assignments', to='cases.case')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['case', 'matter', 'thing'], name='assignment_of_a_thing')],
                'constraints': [models.CheckConstraint(condition=models.Q(('matter__in', ['part', 'line', 'return', 'overpayment', 'gate'])), name='assignment_is_of_a_known_matter')],
            },
        ),
        migrations.CreateModel(
            name='Residue',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('to_whom', models.TextField()),
                ('facts', models.TextField()),
                ('state', models.CharField(choices=[('proposed', 'Proposed'), ('approved', 'Approved'), ('done', 'Carried out'), ('given_up', 'Given up')], default='proposed', max_length=8)),
                ('evidence_sha256', models.BinaryField(max_length=32, null=True)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='residues', to='cases.case')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.courtorder')),
            ],
        ),
        migrations.CreateModel(
            name='ResidueLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', administration.fields.UnitsField()),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset')),
                ('residue', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='returns.residue')),
            ],
        ),
        migrations.CreateModel(
            name='RoundClosing',
            fields=[
                ('round', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='closing', serialize=False, to='returns.round')),
                ('figures', models.JSONField()),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='SaleShare',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('quantity', administration.fields.UnitsField()),
                ('proceeds', administration.fields.UnitsField(null=True)),
                ('claim_line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='sale_shares', to='register.claimline')),
                ('into_line', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='sale_proceeds', to='register.claimline')),
                ('sale', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shares', to='returns.forcedsale')),
            ],
        ),
        migrations.AddConstraint(
            model_name='depositfiling',
            constraint=models.UniqueConstraint(fields=('case', 'number'), name='deposit_filing_number_is_used_once'),
        ),
        migrations.AddConstraint(
            model_name='depositfiling',
            constraint=models.CheckConstraint(condition=models.Q(('ground__in', ['unreachable', 'refused', 'unknown_creditor', 'competing_attachments'])), name='deposit_filing_has_a_ground'),
        ),
        migrations.AddConstraint(
            model_name='depositfiling',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('office', ''), _negated=True), models.Q(('facts', ''), _negated=True)), name='deposit_filing_says_where_and_why'),
        ),
        migrations.AddConstraint(
            model_name='courtdeposit',
            constraint=models.UniqueConstraint(fields=('filing', 'claim_line'), name='deposit_filing_names_a_line_once'),
        ),
        migrations.AddConstraint(
            model_name='courtdeposit',
            constraint=models.UniqueConstraint(condition=models.Q(('number', ''), _negated=True), fields=('office', 'number'), name='court_deposit_number_is_used_once'),
        ),
        migrations.AddConstraint(
            model_name='courtdeposit',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='court_deposit_is_positive'),
        ),
        migrations.AddConstraint(
            model_name='courtdeposit',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('deposited_on__isnull', True), ('number', ''), ('receipt_sha256__isnull', True)), models.Q(models.Q(('number', ''), _negated=True), ('deposited_on__isnull', False), ('receipt_sha256__isnull', False)), _connector='OR'), name='court_deposit_has_number_day_and_receipt_together'),
        ),
        migrations.AddConstraint(
            model_name='forcedsale',
            constraint=models.UniqueConstraint(fields=('case', 'number'), name='forced_sale_number_is_used_once'),
        ),
        migrations.AddConstraint(
            model_name='forcedsale',
            constraint=models.CheckConstraint(condition=models.Q(('asset', models.F('into')), _negated=True), name='forced_sale_is_for_another_asset'),
        ),
        migrations.AddConstraint(
            model_name='forcedsale',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'done'), _negated=True), models.Q(('evidence_sha256__isnull', False), ('fees__gte', 0), ('gross__gt', models.F('fees')), ('sold_at__isnull', False), models.Q(('venue', ''), _negated=True)), _connector='OR'), name='forced_sale_says_price_place_and_time'),
        ),
        migrations.AddConstraint(
            model_name='forfeiture',
            constraint=models.UniqueConstraint(fields=('case', 'number'), name='forfeiture_number_is_used_once'),
        ),
        migrations.AddConstraint(
            model_name='forfeitedline',
            constraint=models.UniqueConstraint(fields=('forfeiture', 'claim_line'), name='forfeiture_names_a_line_once'),
        ),
        migrations.AddConstraint(
            model_name='forfeitedline',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='forfeited_line_is_positive'),
        ),
        migrations.AddConstraint(
            model_name='recovery',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='recovery_is_positive'),
        ),
        migrations.AddConstraint(
            model_name='recovery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('claim_line__isnull', False), ('kind', 'net')), models.Q(models.Q(('kind', 'net'), _negated=True), ('claim_line__isnull', True)), _connector='OR'), name='recovery_is_netted_with_a_line'),
        ),
        migrations.AddConstraint(
            model_name='recovery',
            constraint=models.CheckConstraint(condition=models.Q(('kind', 'net'), ('evidence_sha256__isnull', False), _connector='OR'), name='recovery_rests_on_a_paper'),
        ),
        migrations.AddConstraint(
            model_name='release',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['proposed', 'approved', 'done'])), fields=('attempt',), name='failure_is_released_once'),
        ),
        migrations.AddConstraint(
            model_name='residue',
            constraint=models.UniqueConstraint(fields=('case', 'number'), name='residue_number_is_used_once'),
        ),
        migrations.AddConstraint(
            model_name='residue',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('to_whom', ''), _negated=True), models.Q(('facts', ''), _negated=True)), name='residue_says_to_whom_and_why'),
        ),
        migrations.AddConstraint(
            model_name='residue',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'done'), _negated=True), ('evidence_sha256__isnull', False), _connector='OR'), name='residue_is_handed_over_by_a_paper'),
        ),
        migrations.AddConstraint(
            model_name='residueline',
            constraint=models.UniqueConstraint(fields=('residue', 'asset'), name='residue_names_an_asset_once'),
        ),
        migrations.AddConstraint(
            model_name='residueline',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='residue_line_is_positive'),
        ),
        migrations.AddConstraint(
            model_name='saleshare',
            constraint=models.UniqueConstraint(fields=('sale', 'claim_line'), name='forced_sale_names_a_line_once'),
        ),
        migrations.AddConstraint(
            model_name='saleshare',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='sale_share_is_positive'),
        ),
        migrations.AddConstraint(
            model_name='saleshare',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('into_line__isnull', True), ('proceeds__isnull', True)), models.Q(('into_line__isnull', False), ('proceeds__gte', 0)), _connector='OR'), name='sale_share_has_proceeds_and_their_line_together'),
        ),
        migrations.CreateModel(
            name='LateReturn',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('facts', models.TextField()),
                ('state', models.CharField(choices=[('proposed', 'Proposed'), ('approved', 'Approved'), ('done', 'Carried out'), ('given_up', 'Given up')], default='proposed', max_length=8)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='late_returns', to='cases.case')),
                ('order', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.courtorder')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('case', 'number'), name='late_return_number_is_used_once'), models.CheckConstraint(condition=models.Q(('facts', ''), _negated=True), name='late_return_says_what_was_looked_at')],
            },
        ),
        migrations.CreateModel(
            name='LateReturnLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', administration.fields.UnitsField()),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset')),
                ('claim_line', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='late_return', to='register.claimline')),
                ('late_return', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='returns.latereturn')),
                ('ledger_account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.ledgeraccount')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('late_return', 'ledger_account', 'asset'), name='late_return_names_an_account_once'), models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='late_return_line_is_positive')],
            },
        ),
        migrations.CreateModel(
            name='Explanation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('problem', models.TextField()),
                ('kind', models.CharField(choices=[('nothing_moved', 'Nothing moved: the rail reported it wrongly'), ('not_ours', "Somebody else's payment: nothing of the estate moved"), ('paid', 'The claimant received it, beside what we count'), ('taken', 'It left the estate and reached no claimant of ours'), ('booked', 'It is in the books already')], max_length=16)),
                ('reason', models.TextField()),
                ('paper_sha256', models.BinaryField(max_length=32)),
                ('state', models.CharField(choices=[('proposed', 'Proposed'), ('approved', 'Approved'), ('done', 'Carried out'), ('given_up', 'Given up')], default='proposed', max_length=8)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='explanations', to='cases.case')),
                ('entry', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.entry')),
                ('line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='explanations', to='returns.evidenceline')),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ['proposed', 'approved', 'done'])), fields=('line',), name='line_is_explained_once'), models.UniqueConstraint(condition=models.Q(('state__in', ['proposed', 'approved', 'done'])), fields=('entry',), name='booking_explains_one_line'), models.CheckConstraint(condition=models.Q(('kind__in', ['nothing_moved', 'not_ours', 'paid', 'taken', 'booked'])), name='explanation_is_of_a_known_kind'), models.CheckConstraint(condition=models.Q(models.Q(('entry__isnull', False), ('kind', 'booked')), models.Q(models.Q(('kind', 'booked'), _negated=True), ('entry__isnull', True)), _connector='OR'), name='explanation_names_the_booking_where_there_is_one'), models.CheckConstraint(condition=models.Q(models.Q(('reason', ''), _negated=True), models.Q(('problem', ''), _negated=True)), name='explanation_says_why')],
            },
        ),
        migrations.RunSQL((Path(__file__).parent / "failures.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "batches.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "sending.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "evidence.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "gates.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "pace.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "tail.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "after_cutoff.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "explaining.sql").read_text(), migrations.RunSQL.noop),
    ]
