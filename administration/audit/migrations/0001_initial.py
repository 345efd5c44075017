from pathlib import Path

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('record', '0001_initial'),
        ('cases', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Pull',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('format', models.CharField(max_length=6)),
                ('population', models.JSONField()),
                ('file_name', models.TextField()),
                ('sha256', models.BinaryField(max_length=32)),
                ('head_size', models.BigIntegerField()),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pulls', to='cases.case')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('case', 'number'), name='pull_number_is_used_once')],
            },
        ),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
    ]
