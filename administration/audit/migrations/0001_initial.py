from pathlib import Path
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('cases', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Token',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('purpose', models.TextField()),
                ('period_from', models.DateTimeField(null=True)),
                ('period_to', models.DateTimeField(null=True)),
                ('issued_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('sha256', models.BinaryField(max_length=32, null=True, unique=True)),
                ('collected_at', models.DateTimeField(null=True)),
                ('revoked_at', models.DateTimeField(null=True)),
                ('appointment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='audit_tokens', to='cases.appointment')),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='audit_tokens', to='cases.case')),
                ('issued_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('revoked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Reading',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('list', models.CharField(max_length=20)),
                ('day', models.DateField()),
                ('head_size', models.BigIntegerField()),
                ('pages', models.BigIntegerField(default=0)),
                ('rows', models.BigIntegerField(default=0)),
                ('through', models.TextField(blank=True, default='')),
                ('token', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='readings', to='audit.token')),
            ],
        ),
        migrations.CreateModel(
            name='Pull',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('of', models.CharField(choices=[('whole', 'Whole'), ('returns', 'Returns'), ('events', 'Events')], max_length=10)),
                ('format', models.CharField(max_length=7)),
                ('population', models.JSONField()),
                ('file_name', models.TextField()),
                ('sha256', models.BinaryField(max_length=32, null=True)),
                ('bytes', models.BigIntegerField(null=True)),
                ('head_size', models.BigIntegerField()),
                ('request_key', models.TextField(null=True)),
                ('request_sha256', models.BinaryField(max_length=32, null=True)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pulls', to='cases.case')),
                ('token', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='pulls', to='audit.token')),
            ],
        ),
        migrations.AddConstraint(
            model_name='token',
            constraint=models.UniqueConstraint(fields=('case', 'number'), name='token_number_is_used_once'),
        ),
        migrations.AddConstraint(
            model_name='token',
            constraint=models.CheckConstraint(condition=models.Q(('expires_at__gt', models.F('issued_at'))), name='token_expires_after_it_was_issued'),
        ),
        migrations.AddConstraint(
            model_name='token',
            constraint=models.CheckConstraint(condition=models.Q(('period_from__isnull', True), ('period_to__isnull', True), ('period_from__lt', models.F('period_to')), _connector='OR'), name='token_reads_a_period'),
        ),
        migrations.AddConstraint(
            model_name='token',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('collected_at__isnull', True), ('sha256__isnull', True)), models.Q(('collected_at__isnull', False), ('sha256__isnull', False)), _connector='OR'), name='token_has_a_secret_once_it_was_collected'),
        ),
        migrations.AddConstraint(
            model_name='token',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('revoked_at__isnull', True), ('revoked_by__isnull', True)), models.Q(('revoked_at__isnull', False), ('revoked_by__isnull', False)), _connector='OR'), name='token_is_revoked_by_somebody'),
        ),
        migrations.AddConstraint(
            model_name='reading',
            constraint=models.UniqueConstraint(fields=('token', 'list', 'day'), name='reading_is_one_a_day'),
        ),
        migrations.AddConstraint(
            model_name='pull',
            constraint=models.UniqueConstraint(fields=('case', 'number'), name='pull_number_is_used_once'),
        ),
        migrations.AddConstraint(
            model_name='pull',
            constraint=models.UniqueConstraint(fields=('token', 'request_key'), name='request_makes_one_pull'),
        ),
        migrations.AddConstraint(
            model_name='pull',
            constraint=models.CheckConstraint(condition=models.Q(('request_key__isnull', True), models.Q(('request_sha256__isnull', False), ('token__isnull', False)), _connector='OR'), name='request_key_belongs_to_a_token'),
        ),
        migrations.AddConstraint(
            model_name='pull',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('bytes__isnull', True), ('sha256__isnull', True)), models.Q(('bytes__isnull', False), ('sha256__isnull', False)), _connector='OR'), name='pull_has_a_hash_once_it_is_whole'),
        ),
        migrations.RunSQL((Path(__file__).parent / "refusals.sql").read_text(), migrations.RunSQL.noop),
    ]
