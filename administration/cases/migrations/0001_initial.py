from pathlib import Path
import administration.fields
import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('record', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Case',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.CharField(max_length=40, unique=True)),
                ('name', models.TextField()),
                ('regime', models.CharField(max_length=20)),
                ('proceeding', models.CharField(max_length=30)),
                ('trigger', models.CharField(max_length=40)),
                ('court', models.TextField(blank=True)),
                ('court_number', models.TextField(blank=True)),
                ('cutoff_at', models.DateTimeField()),
                ('base_currency', models.CharField(default='JPY', max_length=10)),
                ('cooling_off_hours', models.PositiveIntegerField(default=72)),
                ('is_sample', models.BooleanField(default=False)),
                ('salt', models.BinaryField(max_length=32)),
                ('state', models.CharField(choices=[('open', 'Open'), ('closed', 'Closed')], default='open', max_length=10)),
                ('securing_completed_at', models.DateTimeField(null=True)),
                ('opened_at', models.DateTimeField()),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('is_sample', True), ('cooling_off_hours__gte', 24), _connector='OR'), name='case_cools_destinations_off_for_a_day_at_least')],
            },
        ),
        migrations.CreateModel(
            name='Appointment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('office_holder', 'Office Holder'), ('beneficiary_agent', 'Beneficiary Agent'), ('case_officer', 'Case Officer'), ('approver', 'Approver'), ('auditor', 'Auditor'), ('court_reader', 'Court Reader')], max_length=20)),
                ('authority', models.TextField()),
                ('instrument', models.TextField()),
                ('instrument_sha256', models.BinaryField(max_length=32)),
                ('powers', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ('from_at', models.DateTimeField()),
                ('to_at', models.DateTimeField(null=True)),
                ('joint', models.BooleanField(default=False)),
                ('recorded_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('end_reason', models.TextField(blank=True, default='')),
                ('granted_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='appointments', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='appointments', to='cases.case')),
            ],
        ),
        migrations.CreateModel(
            name='CourtOrder',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.TextField()),
                ('issuer', models.TextField()),
                ('issued_date', models.DateField()),
                ('scan_name', models.TextField()),
                ('scan_sha256', models.BinaryField(max_length=32)),
                ('permits', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ('limits', models.JSONField(default=dict)),
                ('served_date', models.DateField(null=True)),
                ('registered_at', models.DateTimeField()),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='orders', to='cases.case')),
                ('registered_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Conversion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_proceeding', models.CharField(max_length=30)),
                ('to_proceeding', models.CharField(max_length=30)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='conversions', to='cases.case')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='cases.courtorder')),
            ],
        ),
        migrations.CreateModel(
            name='ApprovalRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('act', models.CharField(max_length=40)),
                ('object_id', models.BigIntegerField()),
                ('content_sha256', models.BinaryField(max_length=32)),
                ('signers', models.PositiveSmallIntegerField()),
                ('office_holder', models.BooleanField()),
                ('state', models.CharField(choices=[('open', 'Open'), ('granted', 'Granted'), ('rejected', 'Rejected'), ('stale', 'Stale'), ('suspended', 'Suspended')], default='open', max_length=10)),
                ('requested_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(null=True)),
                ('reason', models.TextField(blank=True, default='')),
                ('prepared_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='approvals', to='cases.case')),
                ('order', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.courtorder')),
            ],
        ),
        migrations.CreateModel(
            name='Deadline',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=40)),
                ('rule', models.TextField()),
                ('counted_from', models.DateField()),
                ('counted_from_what', models.TextField()),
                ('due_date', models.DateField()),
                ('provenance', models.TextField()),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='deadlines', to='cases.case')),
                ('order', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='cases.courtorder')),
                ('supersedes', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='superseded_by', to='cases.deadline')),
            ],
        ),
        migrations.CreateModel(
            name='OrderStanding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('standing', models.CharField(choices=[('in_force', 'In Force'), ('final', 'Final'), ('stayed', 'Stayed'), ('reversed', 'Reversed')], max_length=10)),
                ('since', models.DateTimeField()),
                ('evidence_sha256', models.BinaryField(max_length=32)),
                ('recorded_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='standings', to='cases.courtorder')),
            ],
        ),
        migrations.CreateModel(
            name='PolicyOverride',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('act', models.CharField(max_length=40)),
                ('signers', models.PositiveSmallIntegerField()),
                ('office_holder', models.BooleanField()),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='policies', to='cases.case')),
            ],
        ),
        migrations.CreateModel(
            name='SecuringItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('item', models.CharField(max_length=40)),
                ('done_at', models.DateTimeField(null=True)),
                ('note', models.TextField(blank=True)),
                ('evidence_name', models.TextField(blank=True)),
                ('evidence_sha256', models.BinaryField(max_length=32, null=True)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='securing_items', to='cases.case')),
                ('owner', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Signature',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('content_sha256', models.BinaryField(max_length=32)),
                ('signed_at', models.DateTimeField()),
                ('recorded_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('appointment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='signatures', to='cases.appointment')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.case')),
                ('prepared_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('request', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='signatures', to='cases.approvalrequest')),
                ('signer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='signatures', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Stop',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rail', models.CharField(blank=True, default='', max_length=20)),
                ('reason', models.TextField()),
                ('told', models.TextField(blank=True, db_default='', default='')),
                ('at', models.DateTimeField()),
                ('lifted_at', models.DateTimeField(null=True)),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='stops', to='cases.case')),
            ],
        ),
        migrations.CreateModel(
            name='StopLift',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('stop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lifts', to='cases.stop')),
            ],
        ),
        migrations.CreateModel(
            name='Succession',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('by_operator', models.BooleanField(default=False)),
                ('account', models.JSONField()),
                ('account_sha256', models.BinaryField(max_length=32)),
                ('at', models.DateTimeField()),
                ('accepted_at', models.DateTimeField(null=True)),
                ('reservations', models.TextField(blank=True, default='')),
                ('approvers', models.ManyToManyField(related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='successions', to='cases.case')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='cases.courtorder')),
                ('predecessor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('request', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, to='cases.approvalrequest')),
                ('stop', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, to='cases.stop')),
                ('successor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='SuccessionProposal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.case')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.courtorder')),
                ('predecessor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('successor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddConstraint(
            model_name='appointment',
            constraint=models.CheckConstraint(condition=models.Q(('to_at__isnull', True), ('to_at__gte', models.F('from_at')), _connector='OR'), name='appointment_ends_after_it_begins'),
        ),
        migrations.AddConstraint(
            model_name='appointment',
            constraint=models.CheckConstraint(condition=models.Q(('granted_by__isnull', True), models.Q(('granted_by', models.F('user')), _negated=True), _connector='OR'), name='nobody_appoints_themselves'),
        ),
        migrations.AddConstraint(
            model_name='courtorder',
            constraint=models.UniqueConstraint(fields=('case', 'number'), name='order_is_registered_once'),
        ),
        migrations.AddConstraint(
            model_name='approvalrequest',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['open', 'granted'])), fields=('case', 'act', 'object_id'), name='one_live_approval_for_an_act_on_an_object'),
        ),
        migrations.AddConstraint(
            model_name='approvalrequest',
            constraint=models.UniqueConstraint(fields=('id', 'case', 'prepared_by', 'content_sha256'), name='approval_request_is_what_was_signed'),
        ),
        migrations.AddConstraint(
            model_name='approvalrequest',
            constraint=models.CheckConstraint(condition=models.Q(('signers__gte', 1)), name='approval_needs_a_signer'),
        ),
        migrations.AddConstraint(
            model_name='securingitem',
            constraint=models.UniqueConstraint(fields=('case', 'item'), name='securing_item_is_listed_once'),
        ),
        migrations.AddConstraint(
            model_name='securingitem',
            constraint=models.CheckConstraint(condition=models.Q(('done_at__isnull', True), models.Q(('evidence_sha256__isnull', False), ('owner__isnull', False)), _connector='OR'), name='securing_item_is_done_with_owner_and_evidence'),
        ),
        migrations.AddConstraint(
            model_name='signature',
            constraint=models.UniqueConstraint(fields=('request', 'signer'), name='signature_is_given_once_by_a_person'),
        ),
        migrations.AddConstraint(
            model_name='signature',
            constraint=models.CheckConstraint(condition=models.Q(('signer', models.F('prepared_by')), _negated=True), name='signature_is_not_the_preparers'),
        ),
        migrations.AddConstraint(
            model_name='stoplift',
            constraint=models.UniqueConstraint(fields=('stop', 'by'), name='stop_is_lifted_once_by_a_person'),
        ),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
    ]
