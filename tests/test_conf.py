"""Settings are checked at start-up, with a hint, and follow `override_settings`."""

from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.db import connections

from session_mgmt import ConfigurationError
from session_mgmt.checks import check_sqlite
from session_mgmt.conf import get_settings


def problems():
    return [m for m in run_checks() if m.id and m.id.startswith("session_mgmt.")]


def test_durations_may_be_seconds_or_timedeltas(settings):
    settings.SESSION_MGMT = {"LEASE": 90}
    assert timedelta(seconds=90) == get_settings().LEASE
    settings.SESSION_MGMT = {"LEASE": timedelta(minutes=2)}
    assert timedelta(minutes=2) == get_settings().LEASE


def test_defaults_hold_without_the_setting(settings):
    del settings.SESSION_MGMT
    assert get_settings().MAX_SCENES == 100
    assert problems() == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"LEESE": 5}, "did you mean 'LEASE'"),
        ({"max_scenes": 5}, "did you mean 'MAX_SCENES'"),
        ({"QQQ": 5}, "known are"),
        ({"LEASE": "soon"}, "LEASE.* must be a timedelta or seconds, more than 0"),
        ({"LEASE": 0}, "LEASE.* must be a timedelta or seconds, more than 0"),
        ({"LEASE": True}, "LEASE.* must be a timedelta or seconds, more than 0"),
        ({"LEASE": float("inf")}, "LEASE"),
        ({"LEASE": float("nan")}, "LEASE"),
        ({"MAX_SCENES": 2.5}, "MAX_SCENES.* whole number"),
        ({"MAX_SCENES": -1}, "MAX_SCENES.* whole number"),
        ({"RETRY_MAX_DELAY": -1}, "RETRY_MAX_DELAY.* 0 or more"),
        ({"RETRY_MAX_RETRIES": -1}, "RETRY_MAX_RETRIES.* 0 or more"),
        ({"RETRY_MULTIPLIER": 0.5}, "RETRY_MULTIPLIER.* 1 or more"),
        ({"RETRY_MULTIPLIER": float("nan")}, "RETRY_MULTIPLIER.* 1 or more"),
        ({"ROLLBACK_ON_4XX": "no"}, "ROLLBACK_ON_4XX.* True or False"),
        ({"ATOMIC_ALIASES": "default"}, "ATOMIC_ALIASES.* a list of database aliases"),
        ({"ATOMIC_ALIASES": ["replica"]}, "ATOMIC_ALIASES.* names no database: 'replica'"),
        ({"JOB_ENGINE": 5}, "JOB_ENGINE.* dotted path"),
        ("LEASE", "must be a dict"),
    ],
)
def test_a_wrong_setting_is_an_error_that_names_it(settings, given, message):
    settings.SESSION_MGMT = given
    with pytest.raises(ConfigurationError, match=message):
        get_settings()
    found = problems()
    assert [m.id for m in found] == ["session_mgmt.E001"]
    assert found[0].hint


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 1),
        ({"transaction_mode": "IMMEDIATE"}, 1),
        ({"timeout": 30}, 1),
        ({"transaction_mode": "IMMEDIATE", "timeout": 5}, 1),
        ({"transaction_mode": "IMMEDIATE", "timeout": 20}, 0),
    ],
)
def test_an_impatient_sqlite_is_warned_of(monkeypatch, options, count):
    database = {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": options}
    monkeypatch.setattr(connections, "settings", {"default": database})
    found = check_sqlite(None)
    assert [m.id for m in found] == ["session_mgmt.W001"] * count


def test_a_job_engine_that_cannot_be_imported_is_an_error(settings):
    settings.SESSION_MGMT = {"JOB_ENGINE": "nowhere.Engine"}
    assert [m.id for m in problems()] == ["session_mgmt.E002"]
