"""Real database errors to order, and repetitions without waits."""

import sqlite3
from contextlib import closing

import pytest
from django.db import connection


@pytest.fixture(autouse=True)
def no_waits(settings):
    settings.SESSION_MGMT = {"RETRY_MAX_DELAY": 0}


@pytest.fixture
def on_postgresql():
    if connection.vendor != "postgresql":
        pytest.skip("only a server can end a connection")


def fail_transiently():
    """Make the database itself refuse a statement because of a rival."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "DO $$ BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END $$"
            )
        return
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as rival:
        rival.execute("BEGIN IMMEDIATE")
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 0")
            try:
                cursor.execute("BEGIN IMMEDIATE")
            finally:
                cursor.execute("PRAGMA busy_timeout = 20000")


def lose_connection():
    """Let the server end this very connection while it runs a statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
