"""Let PostgreSQL remove a job's steps; apart, since 0004 adds their foreign key only at its end."""

from django.db import migrations


def set_cascade(apps, schema_editor, action):
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    parent = apps.get_model("session_mgmt", "Job")._meta.db_table
    table = apps.get_model("session_mgmt", "JobStep")._meta.db_table
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, table)
    for constraint, details in constraints.items():
        if details["foreign_key"] == (parent, "id"):
            schema_editor.execute(
                f'ALTER TABLE "{table}" DROP CONSTRAINT "{constraint}", '
                f'ADD CONSTRAINT "{constraint}" FOREIGN KEY ("job_id") '
                f'REFERENCES "{parent}" ("id") {action} DEFERRABLE INITIALLY DEFERRED'
            )


def cascade(apps, schema_editor):
    set_cascade(apps, schema_editor, "ON DELETE CASCADE")


def do_not_cascade(apps, schema_editor):
    set_cascade(apps, schema_editor, "")


class Migration(migrations.Migration):

    dependencies = [
        ('session_mgmt', '0004_jobs_in_full'),
    ]

    operations = [migrations.RunPython(cascade, do_not_cascade)]
