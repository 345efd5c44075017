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
        ("ledger", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ClaimLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('claim_class', models.CharField(choices=[('trust_beneficiary', 'Trust Beneficiary'), ('priority_segregated', 'Priority Segregated'), ('lending_unsecured', 'Lending Unsecured'), ('general', 'General'), ('own_insider', 'Own Insider'), ('after_cutoff', 'After Cut-off')], max_length=20)),
                ('recorded', administration.fields.UnitsField()),
                ('corrected', administration.fields.UnitsField(db_default=0, default=0)),
                ('lodged', administration.fields.UnitsField(default=0)),
                ('admitted', administration.fields.UnitsField(default=0)),
                ('disputed', administration.fields.UnitsField(default=0)),
                ('rejected', administration.fields.UnitsField(default=0)),
                ('out_of_scope', administration.fields.UnitsField(default=0)),
                ('converted_in', administration.fields.UnitsField(default=0)),
                ('converted_out', administration.fields.UnitsField(default=0)),
                ('excess', administration.fields.UnitsField(default=0)),
                ('asset', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset')),
                ('case', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.case')),
            ],
        ),
        migrations.CreateModel(
            name='Claimant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='claimants', to='cases.case')),
                ('identity', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='claimant', to='ledger.identity')),
            ],
        ),
        migrations.CreateModel(
            name='Claim',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.CharField(max_length=60, unique=True)),
                ('kind', models.CharField(choices=[('scheduled', 'Scheduled'), ('lodged', 'Lodged'), ('child', 'Child')], max_length=10)),
                ('fraction_num', administration.fields.UnitsField(default=1)),
                ('fraction_den', administration.fields.UnitsField(default=1)),
                ('confirmed_at', models.DateTimeField(null=True)),
                ('confirmed_how', models.CharField(blank=True, default='', max_length=10)),
                ('recorded_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='claims', to='cases.case')),
                ('ledger_account', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='claims', to='ledger.ledgeraccount')),
                ('parent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='register.claim')),
                ('claimant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='claims', to='register.claimant')),
            ],
        ),
        migrations.CreateModel(
            name='Position',
            fields=[
                ('claim_line', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='position', serialize=False, to='register.claimline')),
                ('given', administration.fields.UnitsField(default=0)),
                ('scheduled', administration.fields.UnitsField(default=0)),
                ('in_flight', administration.fields.UnitsField(default=0)),
                ('settled', administration.fields.UnitsField(default=0)),
                ('deposited', administration.fields.UnitsField(default=0)),
            ],
        ),
        migrations.AddField(
            model_name='claimline',
            name='claim',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='register.claim'),
        ),
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rule', models.TextField(blank=True)),
                ('admitted', administration.fields.UnitsField(null=True)),
                ('rejected', administration.fields.UnitsField(null=True)),
                ('reason_code', models.CharField(max_length=40)),
                ('reason', models.TextField(blank=True)),
                ('evidence_sha256', models.BinaryField(max_length=32, null=True)),
                ('at', models.DateTimeField()),
                ('recorded_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='cases.case')),
                ('claim_line', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='register.claimline')),
            ],
        ),
        migrations.AddField(
            model_name='claimline',
            name='decision',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='register.decision'),
        ),
        migrations.CreateModel(
            name='Defect',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=40)),
                ('note', models.TextField(blank=True)),
                ('cure_by', models.DateField()),
                ('noticed_at', models.DateTimeField()),
                ('cured_at', models.DateTimeField(null=True)),
                ('claim', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='defects', to='register.claim')),
            ],
        ),
        migrations.CreateModel(
            name='Dispute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('claimed', administration.fields.UnitsField()),
                ('ground', models.TextField()),
                ('how', models.CharField(max_length=10)),
                ('evidence_sha256', models.BinaryField(max_length=32, null=True)),
                ('at', models.DateTimeField()),
                ('claim_line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='register.claimline')),
                ('decision', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='dispute', to='register.decision')),
                ('received_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Hold',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=12)),
                ('confidential', models.BooleanField(default=False)),
                ('reason', models.TextField(blank=True)),
                ('next_look', models.DateField()),
                ('placed_at', models.DateTimeField()),
                ('lifted_at', models.DateTimeField(null=True)),
                ('lift_reason', models.TextField(blank=True, default='')),
                ('claim', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='holds', to='register.claim')),
                ('lifted_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('placed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='MoveKind',
            fields=[
                ('kind', models.CharField(max_length=20, primary_key=True, serialize=False)),
                ('given', models.SmallIntegerField(default=0)),
                ('scheduled', models.SmallIntegerField(default=0)),
                ('in_flight', models.SmallIntegerField(default=0)),
                ('settled', models.SmallIntegerField(default=0)),
                ('deposited', models.SmallIntegerField(default=0)),
                ('entry_kind', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='books.entrykind')),
            ],
        ),
        migrations.CreateModel(
            name='MoveKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.TextField()),
                ('body_sha256', models.BinaryField(max_length=32)),
                ('rows', models.PositiveIntegerField()),
                ('recorded_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.case')),
                ('kind', models.ForeignKey(db_column='kind', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='register.movekind')),
            ],
        ),
        migrations.CreateModel(
            name='Transfer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('ground', models.CharField(max_length=12)),
                ('fraction_num', administration.fields.UnitsField()),
                ('fraction_den', administration.fields.UnitsField()),
                ('evidence_sha256', models.BinaryField(max_length=32)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('child', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='opened_by', to='register.claim')),
                ('parent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transfers', to='register.claim')),
            ],
        ),
        migrations.AddConstraint(
            model_name='claim',
            constraint=models.UniqueConstraint(fields=('id', 'case'), name='claim_has_one_case'),
        ),
        migrations.AddConstraint(
            model_name='claim',
            constraint=models.UniqueConstraint(condition=models.Q(('kind', 'scheduled')), fields=('ledger_account',), name='account_is_scheduled_in_one_claim'),
        ),
        migrations.AddConstraint(
            model_name='claim',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'scheduled'), _negated=True), ('ledger_account__isnull', False), _connector='OR'), name='scheduled_claim_names_its_account'),
        ),
        migrations.AddConstraint(
            model_name='claim',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'child'), _negated=True), ('parent__isnull', False), _connector='OR'), name='child_claim_names_its_parent'),
        ),
        migrations.AddConstraint(
            model_name='claim',
            constraint=models.CheckConstraint(condition=models.Q(('fraction_den__gte', models.F('fraction_num')), ('fraction_num__gte', 1)), name='claim_is_a_fraction_of_at_most_the_whole'),
        ),
        migrations.AddField(
            model_name='position',
            name='asset',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='books.asset'),
        ),
        migrations.AddField(
            model_name='position',
            name='case',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cases.case'),
        ),
        migrations.AddConstraint(
            model_name='decision',
            constraint=models.UniqueConstraint(fields=('id', 'case'), name='decision_has_one_case'),
        ),
        migrations.AddConstraint(
            model_name='decision',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('admitted__isnull', True), ('claim_line__isnull', True), models.Q(('rule', ''), _negated=True)), models.Q(('admitted__isnull', False), ('claim_line__isnull', False)), _connector='OR'), name='decision_is_of_one_line_or_by_a_rule'),
        ),
        migrations.AddConstraint(
            model_name='claimline',
            constraint=models.UniqueConstraint(fields=('claim', 'asset', 'claim_class'), name='claim_line_is_listed_once'),
        ),
        migrations.AddConstraint(
            model_name='claimline',
            constraint=models.UniqueConstraint(fields=('id', 'asset'), name='claim_line_has_one_asset'),
        ),
        migrations.AddConstraint(
            model_name='claimline',
            constraint=models.CheckConstraint(condition=models.Q(('admitted__gte', 0), ('converted_in__gte', 0), ('converted_out__gte', 0), ('disputed__gte', 0), ('excess__gte', 0), ('lodged__gte', 0), ('out_of_scope__gte', 0), ('recorded__gte', 0), ('rejected__gte', 0)), name='claim_line_has_no_negative_part'),
        ),
        migrations.AddConstraint(
            model_name='claimline',
            constraint=models.CheckConstraint(condition=models.Q(('admitted', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('recorded'), '+', models.F('corrected')), '+', models.F('lodged')), '-', models.F('disputed')), '-', models.F('rejected')), '-', models.F('out_of_scope')))), name='claim_line_parts_add_up_to_what_is_claimed'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.UniqueConstraint(condition=models.Q(('decision__isnull', True)), fields=('claim_line',), name='claim_line_has_one_open_dispute'),
        ),
        migrations.AddConstraint(
            model_name='hold',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('lifted_at__isnull', True), ('lifted_by__isnull', True)), models.Q(('lifted_at__isnull', False), ('lifted_by__isnull', False), models.Q(('lift_reason', ''), _negated=True)), _connector='OR'), name='hold_is_lifted_by_somebody_for_a_reason'),
        ),
        migrations.AddConstraint(
            model_name='movekey',
            constraint=models.UniqueConstraint(fields=('case', 'key'), name='move_key_moves_once'),
        ),
        migrations.AddConstraint(
            model_name='position',
            constraint=models.CheckConstraint(condition=models.Q(('deposited__gte', 0), ('given__gte', 0), ('in_flight__gte', 0), ('scheduled__gte', 0), ('settled__gte', 0)), name='position_has_no_negative_part'),
        ),
        migrations.AddConstraint(
            model_name='position',
            constraint=models.CheckConstraint(condition=models.Q(('given__gte', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('scheduled'), '+', models.F('in_flight')), '+', models.F('settled')), '+', models.F('deposited')))), name='position_never_moves_more_than_was_given'),
        ),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "groups.sql").read_text(), migrations.RunSQL.noop),
    ]
