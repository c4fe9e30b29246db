"""Add the table of stored objects."""

import django.utils.timezone
from django.db import migrations, models


def leave_room(apps, schema_editor):
    """Let PostgreSQL update a row in its page, without touching the index."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE "session_mgmt_storedobject" SET (fillfactor = 80)')


class Migration(migrations.Migration):

    dependencies = [
        ('session_mgmt', '0005_steps_go_with_their_job'),
    ]

    operations = [
        migrations.CreateModel(
            name='StoredObject',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('class_name', models.CharField(max_length=200, verbose_name='class')),
                ('partition_id', models.BigIntegerField(default=0, verbose_name='partition')),
                ('object_id', models.BigIntegerField(verbose_name='object')),
                ('state', models.JSONField(default=dict, verbose_name='state')),
                ('version', models.BigIntegerField(default=1, verbose_name='version')),
                ('writer', models.BigIntegerField(default=0, editable=False, verbose_name='writer')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('updated_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='updated')),
            ],
            options={
                'verbose_name': 'stored object',
                'verbose_name_plural': 'stored objects',
                'constraints': [models.UniqueConstraint(fields=('class_name', 'partition_id', 'object_id'), name='stored_object_identity')],
            },
        ),
        migrations.RunPython(leave_room, migrations.RunPython.noop),
    ]
