"""Add what sessions need for capacity, expiry and time left."""

import django.db.models.functions.comparison
from django.db import migrations, models


# Every event updates its session's row without touching an index, and every creation under a
# limit a stripe. With room left in the page PostgreSQL writes the new version beside the old one.
FILLFACTORS = {"session_mgmt_generationsession": 85, "session_mgmt_capacitystripe": 20}


def leave_room(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table, percent in FILLFACTORS.items():
            schema_editor.execute(f'ALTER TABLE "{table}" SET (fillfactor = {percent})')


CHILDREN = ("Job", "Progress", "Scene", "SessionEvent")


def set_cascade(apps, schema_editor, action):
    """Let PostgreSQL remove what belongs to a session; `on_delete` still does where it cannot."""
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    parent = apps.get_model("session_mgmt", "GenerationSession")._meta.db_table
    for name in CHILDREN:
        table = apps.get_model("session_mgmt", name)._meta.db_table
        with connection.cursor() as cursor:
            constraints = connection.introspection.get_constraints(cursor, table)
        for constraint, details in constraints.items():
            if details["foreign_key"] == (parent, "id"):
                schema_editor.execute(
                    f'ALTER TABLE "{table}" DROP CONSTRAINT "{constraint}", '
                    f'ADD CONSTRAINT "{constraint}" FOREIGN KEY ("session_id") '
                    f'REFERENCES "{parent}" ("id") {action} DEFERRABLE INITIALLY DEFERRED'
                )


def cascade(apps, schema_editor):
    set_cascade(apps, schema_editor, "ON DELETE CASCADE")


def do_not_cascade(apps, schema_editor):
    set_cascade(apps, schema_editor, "")


class Migration(migrations.Migration):

    dependencies = [
        ('session_mgmt', '0002_commit_token'),
    ]

    operations = [
        migrations.CreateModel(
            name='CapacityStripe',
            fields=[
                ('id', models.PositiveSmallIntegerField(primary_key=True, serialize=False, verbose_name='number')),
                ('free', models.PositiveIntegerField(verbose_name='free')),
                ('max_sessions', models.PositiveIntegerField(verbose_name='limit')),
                ('counted_at', models.DateTimeField(verbose_name='counted')),
            ],
            options={
                'verbose_name': 'capacity stripe',
                'verbose_name_plural': 'capacity stripes',
            },
        ),
        # First, since adding the generated column rewrites the table, with room in it then.
        migrations.RunPython(leave_room, migrations.RunPython.noop),
        migrations.AddField(
            model_name='generationsession',
            name='renewed_at',
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name='renewed'),
        ),
        migrations.AddField(
            model_name='generationsession',
            name='age_from',
            field=models.GeneratedField(db_persist=True, expression=django.db.models.functions.comparison.Coalesce('renewed_at', 'created_at'), output_field=models.DateTimeField(), verbose_name='age counted from'),
        ),
        migrations.AddIndex(
            model_name='generationsession',
            index=models.Index(fields=['status', 'age_from'], name='session_status_age_idx'),
        ),
        migrations.AddField(
            model_name='progress',
            name='rate',
            field=models.FloatField(blank=True, null=True, verbose_name='steps per second'),
        ),
        migrations.RunPython(cascade, do_not_cascade),
    ]
