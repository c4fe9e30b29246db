"""The migrations match the models, can be undone, and leave room in the pages of hot tables."""

import pytest
from django.core.management import call_command
from django.db import connection

from session_mgmt.models import Progress

TABLES = "session_mgmt_"


def tables():
    return [name for name in connection.introspection.table_names() if name.startswith(TABLES)]


@pytest.mark.django_db
def test_no_change_of_a_model_lacks_its_migration():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_the_tables_can_be_taken_away_and_brought_back():
    assert len(tables()) == 9
    call_command("migrate", "session_mgmt", "zero", verbosity=0)
    try:
        assert tables() == []
    finally:
        call_command("migrate", "session_mgmt", verbosity=0)
    assert len(tables()) == 9


def actions_of_foreign_keys_to(table):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT confdeltype FROM pg_constraint WHERE contype = 'f' AND condeferred"
            " AND confrelid = %s::regclass",
            [f"session_mgmt_{table}"],
        )
        return [action for (action,) in cursor.fetchall()]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite keeps Django's own")
@pytest.mark.parametrize(
    ("table", "children", "before"), [("generationsession", 4, "0002"), ("job", 1, "0004")]
)
@pytest.mark.django_db(transaction=True)
def test_foreign_keys_cascade_and_the_migration_can_be_undone(table, children, before):
    cascade, nothing = "c", "a"
    assert actions_of_foreign_keys_to(table) == [cascade] * children
    call_command("migrate", "session_mgmt", before, verbosity=0)
    try:
        assert actions_of_foreign_keys_to(table) == [nothing] * children
    finally:
        call_command("migrate", "session_mgmt", verbosity=0)
    assert actions_of_foreign_keys_to(table) == [cascade] * children


@pytest.mark.django_db
def test_pages_of_progress_keep_room_for_updates_in_place_where_there_are_pages():
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            table = Progress._meta.db_table
            cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [table])
            assert cursor.fetchone() == (["fillfactor=70"],)
