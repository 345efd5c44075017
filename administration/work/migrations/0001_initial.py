from pathlib import Path

import administration.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('record', '0001_initial'),
        ('cases', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Job',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.TextField()),
                ('subject_id', models.BigIntegerField()),
                ('params', models.JSONField(default=dict)),
                ('cursor', models.TextField(blank=True, default='')),
                ('done', models.BigIntegerField(default=0)),
                ('total', models.BigIntegerField(default=0)),
                ('phase', models.TextField(blank=True, default='')),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('done', 'Done'), ('failed', 'Failed')], default='waiting', max_length=10)),
                ('result', models.JSONField(null=True)),
                ('error', models.TextField(blank=True, default='')),
                ('tries', models.PositiveIntegerField(default=0)),
                ('fence', models.BigIntegerField(default=0)),
                ('lease_until', models.DateTimeField(null=True)),
                ('beat_at', models.DateTimeField(null=True)),
                ('started_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('finished_at', models.DateTimeField(null=True)),
                ('case', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='jobs', to='cases.case')),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('kind', 'subject_id'), name='job_of_a_kind_runs_once_at_a_time_on_a_subject'), models.CheckConstraint(condition=models.Q(('state', 'waiting'), ('finished_at__isnull', False), _connector='OR'), name='job_that_ended_says_when')],
            },
        ),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
    ]
