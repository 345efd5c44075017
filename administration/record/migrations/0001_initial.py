from pathlib import Path

import administration.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Counter',
            fields=[
                ('case_id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('case_reference', models.TextField(unique=True)),
                ('last', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('pk', models.CompositePrimaryKey('case_id', 'number', blank=True, editable=False, primary_key=True, serialize=False)),
                ('case_id', models.BigIntegerField()),
                ('case_reference', models.TextField()),
                ('number', models.BigIntegerField()),
                ('kind', models.TextField()),
                ('subject_kind', models.TextField()),
                ('subject_id', models.TextField()),
                ('by', models.TextField(blank=True)),
                ('at', models.DateTimeField()),
                ('recorded_at', models.DateTimeField(db_default=administration.fields.ClockTimestamp())),
                ('body', models.TextField(default='{}')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('number__gte', 1)), name='event_numbers_begin_at_one')],
            },
        ),
        migrations.CreateModel(
            name='Leaves',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('case_id', models.BigIntegerField()),
                ('first', models.BigIntegerField()),
                ('hashes', models.BinaryField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(models.F('case_id'), models.F('first'), name='leaf_is_kept_once')],
            },
        ),
        migrations.CreateModel(
            name='Head',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('case_id', models.BigIntegerField()),
                ('case_reference', models.TextField()),
                ('size', models.BigIntegerField()),
                ('root', models.BinaryField(max_length=32)),
                ('frontier', models.BinaryField()),
                ('signed_at', models.DateTimeField()),
                ('key_id', models.TextField()),
                ('public_key', models.BinaryField(max_length=32)),
                ('signature', models.BinaryField(max_length=64)),
            ],
            options={
                'constraints': [models.UniqueConstraint(models.F('case_id'), models.F('size'), name='head_is_signed_once_for_a_size')],
            },
        ),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
    ]
