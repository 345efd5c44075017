from pathlib import Path
import administration.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('books', '0001_initial'),
        ('cases', '0001_initial'),
        ('destinations', '0001_initial'),
        ('distribution', '0001_initial'),
        ('ledger', '0001_initial'),
        ('notices', '0001_initial'),
        ('people', '0001_initial'),
        ('record', '0001_initial'),
        ('register', '0001_initial'),
        ('returns', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Knock',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address_sha256', models.BinaryField(max_length=32)),
                ('code_sha256', models.BinaryField(max_length=32)),
                ('at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
            ],
            options={
                'indexes': [models.Index(fields=['address_sha256', 'at'], name='knock_of_an_address')],
            },
        ),
        migrations.CreateModel(
            name='Session',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('token_sha256', models.BinaryField(max_length=32, unique=True)),
                ('opened_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('seen_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('expires_at', models.DateTimeField()),
                ('fresh_until', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('claim', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='register.claim')),
                ('claimant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='register.claimant')),
            ],
        ),
        migrations.CreateModel(
            name='ClaimCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code_sha256', models.BinaryField(max_length=32, unique=True)),
                ('issued_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('claim', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='codes', to='register.claim')),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('claim',), name='claim_has_one_code_in_force')],
            },
        ),
        migrations.CreateModel(
            name='Message',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('sign_in', 'Sign In'), ('act', 'Act'), ('destination', 'Destination'), ('proved', 'Proved')], max_length=12)),
                ('channel', models.CharField(max_length=5)),
                ('language', models.CharField(max_length=2)),
                ('asset', models.CharField(blank=True, default='', max_length=20)),
                ('ask_sha256', models.BinaryField(max_length=32, null=True, unique=True)),
                ('code_mac', models.BinaryField(max_length=32, null=True)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('queued_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('expires_at', models.DateTimeField()),
                ('taken_at', models.DateTimeField(null=True)),
                ('sent_at', models.DateTimeField(null=True)),
                ('problem', models.TextField(blank=True, default='')),
                ('used_at', models.DateTimeField(null=True)),
                ('claim', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='register.claim')),
                ('session', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portal.session')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('claim__isnull', False), ('taken_at__isnull', True)), fields=['queued_at'], name='message_waiting'), models.Index(condition=models.Q(('claim__isnull', False), ('kind__in', ['destination', 'proved']), ('sent_at__isnull', True)), fields=['queued_at'], name='warning_not_sent'), models.Index(condition=models.Q(('claim__isnull', False)), fields=['claim', 'queued_at'], name='message_of_a_claim')],
            },
        ),
        migrations.RunSQL((Path(__file__).parent / "reading.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
    ]
