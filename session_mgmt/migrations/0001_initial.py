"""Create the tables; on PostgreSQL leave room in the pages of those that are updated in place."""

import django.db.models.deletion
import django.utils.timezone
import session_mgmt.models.base
import session_mgmt.models.fields
from django.conf import settings
from django.db import migrations, models


# Rows of these tables are updated many times without touching an index. With room left in the page
# PostgreSQL writes the new version beside the old one (a HOT update) and no index grows.
FILLFACTORS = {"session_mgmt_progress": 70, "session_mgmt_job": 80}


def leave_room(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table, percent in FILLFACTORS.items():
            schema_editor.execute(f'ALTER TABLE "{table}" SET (fillfactor = {percent})')


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='GenerationSession',
            fields=[
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated')),
                ('id', models.UUIDField(default=session_mgmt.models.base.new_id, editable=False, primary_key=True, serialize=False)),
                ('status', session_mgmt.models.fields.StatusField(choices=[('pending', 'pending'), ('processing', 'processing'), ('completed', 'completed'), ('failed', 'failed'), ('cancelled', 'cancelled')], default='pending', max_length=20, verbose_name='status')),
                ('request_data', session_mgmt.models.fields.RequestField(verbose_name='request')),
                ('error_message', models.TextField(blank=True, default='', verbose_name='error')),
                ('last_accessed', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='last accessed')),
                ('finished_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='finished')),
                ('last_event', models.PositiveIntegerField(default=0, editable=False, verbose_name='last event')),
                ('idempotency_key', models.CharField(blank=True, default='', editable=False, max_length=200, verbose_name='idempotency key')),
                ('request_fingerprint', models.CharField(blank=True, default='', editable=False, max_length=64, verbose_name='request fingerprint')),
                ('owner', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='owner')),
            ],
            options={
                'verbose_name': 'session',
                'verbose_name_plural': 'sessions',
            },
        ),
        migrations.CreateModel(
            name='Job',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated')),
                ('job_type', models.CharField(max_length=100, verbose_name='type')),
                ('target_id', models.CharField(max_length=200, verbose_name='target')),
                ('run_number', models.PositiveIntegerField(verbose_name='run')),
                ('parameters', models.JSONField(blank=True, default=dict, verbose_name='parameters')),
                ('status', session_mgmt.models.fields.StatusField(choices=[('pending', 'pending'), ('running', 'running'), ('completed', 'completed'), ('failed', 'failed'), ('cancelled', 'cancelled')], default='pending', max_length=20, verbose_name='status')),
                ('progress', models.FloatField(default=0.0, verbose_name='progress')),
                ('current_step', models.TextField(blank=True, default='', verbose_name='current step')),
                ('attempt', models.PositiveIntegerField(default=0, verbose_name='attempt')),
                ('max_retries', models.PositiveIntegerField(blank=True, null=True, verbose_name='retries')),
                ('lease_expires_at', models.DateTimeField(blank=True, null=True, verbose_name='lease expires')),
                ('run_after', models.DateTimeField(blank=True, null=True, verbose_name='run after')),
                ('dispatched_at', models.DateTimeField(blank=True, null=True, verbose_name='dispatched')),
                ('priority', models.SmallIntegerField(default=0, verbose_name='priority')),
                ('result', models.JSONField(blank=True, null=True, verbose_name='result')),
                ('error_message', models.TextField(blank=True, default='', verbose_name='error')),
                ('started_at', models.DateTimeField(blank=True, null=True, verbose_name='started')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
                ('session', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='jobs', to='session_mgmt.generationsession', verbose_name='session')),
            ],
            options={
                'verbose_name': 'job',
                'verbose_name_plural': 'jobs',
            },
        ),
        migrations.CreateModel(
            name='Scene',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated')),
                ('scene_number', models.PositiveIntegerField(verbose_name='number')),
                ('title', models.TextField(blank=True, default='', verbose_name='title')),
                ('description', models.TextField(blank=True, default='', verbose_name='description')),
                ('prompt', models.TextField(blank=True, default='', verbose_name='prompt')),
                ('metadata', models.JSONField(blank=True, default=dict, verbose_name='metadata')),
                ('session', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='scene_rows', to='session_mgmt.generationsession', verbose_name='session')),
            ],
            options={
                'verbose_name': 'scene',
                'verbose_name_plural': 'scenes',
                'ordering': ['scene_number'],
            },
        ),
        migrations.CreateModel(
            name='SessionEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('seq', models.PositiveIntegerField(verbose_name='number')),
                ('kind', models.CharField(max_length=50, verbose_name='kind')),
                ('data', models.JSONField(blank=True, default=dict, verbose_name='data')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('session', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='session_mgmt.generationsession', verbose_name='session')),
            ],
            options={
                'verbose_name': 'event',
                'verbose_name_plural': 'events',
            },
        ),
        migrations.CreateModel(
            name='Progress',
            fields=[
                ('session', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='progress_row', serialize=False, to='session_mgmt.generationsession', verbose_name='session')),
                ('current_step', models.PositiveIntegerField(verbose_name='current step')),
                ('total_steps', models.PositiveIntegerField(verbose_name='total steps')),
                ('description', models.TextField(blank=True, verbose_name='description')),
                ('updated_at', models.DateTimeField(verbose_name='updated')),
            ],
            options={
                'verbose_name': 'progress',
                'verbose_name_plural': 'progress',
                'constraints': [models.CheckConstraint(condition=models.Q(('total_steps', 0), ('current_step__lte', models.F('total_steps')), _connector='OR'), name='progress_within_total')],
            },
        ),
        migrations.AddIndex(
            model_name='generationsession',
            index=models.Index(fields=['owner', '-created_at'], name='session_of_owner_idx'),
        ),
        migrations.AddConstraint(
            model_name='generationsession',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'processing', 'completed', 'failed', 'cancelled'])), name='session_status_known'),
        ),
        migrations.AddConstraint(
            model_name='generationsession',
            constraint=models.UniqueConstraint(condition=models.Q(('owner__isnull', False), models.Q(('idempotency_key', ''), _negated=True)), fields=('owner', 'idempotency_key'), name='session_key_per_owner'),
        ),
        migrations.AddConstraint(
            model_name='generationsession',
            constraint=models.UniqueConstraint(condition=models.Q(('owner__isnull', True), models.Q(('idempotency_key', ''), _negated=True)), fields=('idempotency_key',), name='session_key_without_owner'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['dispatched_at'], name='job_pending_idx'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('status', 'running')), fields=['id'], name='job_running_idx'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.UniqueConstraint(fields=('job_type', 'target_id', 'run_number'), name='job_run_once_per_target'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'running', 'completed', 'failed', 'cancelled'])), name='job_status_known'),
        ),
        migrations.AddConstraint(
            model_name='scene',
            constraint=models.UniqueConstraint(fields=('session', 'scene_number'), name='scene_number_once_per_session'),
        ),
        migrations.AddConstraint(
            model_name='sessionevent',
            constraint=models.UniqueConstraint(fields=('session', 'seq'), name='event_seq_once_per_session'),
        ),
        migrations.RunPython(leave_room, migrations.RunPython.noop),
    ]
