"""Add what jobs need to be cancelled, to be given back, and to go on where they were."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('session_mgmt', '0003_sessions_in_full'),
    ]

    operations = [
        migrations.AddField(
            model_name='job',
            name='cancel_requested_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='cancel requested'),
        ),
        migrations.AddField(
            model_name='job',
            name='given_back',
            field=models.PositiveIntegerField(db_default=0, default=0, verbose_name='given back'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('session__isnull', False), ('status__in', ('pending', 'running'))), fields=['session'], name='job_unfinished_idx'),
        ),
        migrations.CreateModel(
            name='JobStep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200, verbose_name='name')),
                ('result', models.JSONField(blank=True, null=True, verbose_name='result')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('job', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='steps', to='session_mgmt.job', verbose_name='job')),
            ],
            options={
                'verbose_name': 'job step',
                'verbose_name_plural': 'job steps',
                'constraints': [models.UniqueConstraint(fields=('job', 'name'), name='step_once_per_job')],
            },
        ),
    ]
