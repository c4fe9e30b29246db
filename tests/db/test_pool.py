"""The DATABASES entry from the environment, and the pool that it makes."""

import os
import subprocess
import sys
import traceback
from pathlib import Path

import environ
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from example_project.configuration import database
from session_mgmt.db.pool import SEED_003_POOL, SEED_004_POOL, database_config
from tests.processes import ROOT

CANARY = "canary-5ecret"
URL = f"postgres://anna:{CANARY}@db.example:5433/stories"
PARTS = {
    "POSTGRES_HOST": "db.example",
    "POSTGRES_USER": "anna",
    "POSTGRES_PASSWORD": CANARY,
    "POSTGRES_DATABASE": "stories",
}
ADDRESS = ("HOST", "PORT", "USER", "PASSWORD", "NAME")


def address(env, **arguments):
    entry = database_config(env, **arguments)
    return tuple(entry[name] for name in ADDRESS)


def refusal(env, **arguments):
    """Return the message of the refusal, in which, and behind which, no password is."""
    with pytest.raises(ImproperlyConfigured) as caught:
        database_config(env, **arguments)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None or CANARY not in repr(error.__context__)
    assert CANARY not in "".join(traceback.format_exception(error))
    return str(error)


def test_the_url_comes_before_the_uri_and_that_before_the_parts():
    everything = PARTS | {
        "DATABASE_URL": "postgres://u:p@first:1/one",
        "POSTGRES_URI": "postgresql://u:p@second:2/two",
    }
    assert address(everything) == ("first", 1, "u", "p", "one")
    del everything["DATABASE_URL"]
    assert address(everything) == ("second", 2, "u", "p", "two")
    del everything["POSTGRES_URI"]
    assert address(everything) == ("db.example", 5432, "anna", CANARY, "stories")
    assert address(PARTS | {"POSTGRES_PORT": "5433"}, default="sqlite://")[1] == 5433


def test_the_environment_may_be_an_env_a_mapping_or_the_process(monkeypatch):
    expected = ("db.example", 5433, "anna", CANARY, "stories")
    assert address({"DATABASE_URL": URL}) == expected
    env = environ.Env()
    env.ENVIRON = {"DATABASE_URL": URL}
    assert address(env) == expected
    env.ENVIRON, env.prefix = {"DATABASE_URL": "nonsense", "MY_DATABASE_URL": URL}, "MY_"
    assert address(env) == expected
    monkeypatch.setenv("DATABASE_URL", URL)
    assert address(None) == address(environ.Env()) == expected


def test_what_is_empty_is_not_set():
    env = {"DATABASE_URL": "", "POSTGRES_URI": "", "POSTGRES_HOST": "", "DB_POOL_SIZE": ""}
    assert address(env, default=URL) == ("db.example", 5433, "anna", CANARY, "stories")


def test_nothing_set_and_no_default_lists_the_names():
    message = refusal({})
    for name in ("DATABASE_URL", "POSTGRES_URI", "POSTGRES_PORT", *PARTS):
        assert name in message


@pytest.mark.parametrize("missing", PARTS)
def test_a_missing_part_is_named_even_beside_a_default(missing):
    env = {name: value for name, value in PARTS.items() if name != missing}
    message = refusal(env, default="sqlite://")
    assert message.startswith(f"{missing} must be set as well")


def test_several_missing_parts_are_named_and_a_lone_port_is_not_enough():
    message = refusal({"POSTGRES_PORT": "5432"})
    assert message.startswith(", ".join(PARTS))


def test_an_empty_password_says_that_none_is_needed():
    assert address(PARTS | {"POSTGRES_PASSWORD": ""})[3] == ""


@pytest.mark.parametrize("port", ["0", "65536", "-1", "five", "\u0665", CANARY])
def test_a_bad_port_among_the_parts_is_named(port):
    assert "POSTGRES_PORT must be a number" in refusal(PARTS | {"POSTGRES_PORT": port})


@pytest.mark.parametrize(
    "url",
    [
        CANARY,
        f"anna:{CANARY}@h/db",
        f"mysql://u:{CANARY}@h/db",
        f"postgresql+psycopg2://u:{CANARY}@h/db",
        f"postgres://u:{CANARY}@h:port/db",
        f"postgres://u:{CANARY}@h:0/db",
        f"postgres://u:{CANARY}@h:65536/db",
        f"postgres://u:{CANARY}@h1:5432,h2:port/db",
        f"postgres://u:{CANARY}@h",
        f"postgres://u:{CANARY}@h/",
        f"postgres://u:{CANARY}@h/?sslmode=require",
        f"postgres://u:{CANARY}@[::1/db",
        f"postgres://u:{CANARY}@::1]/db",
        f"postgres://u:[{CANARY}@h/db",
        f"postgres://u:{CANARY}]@h/db",
        f"postgres://u:{CANARY} @h/db",
        f"postgres://u:{CANARY}\n@h/db",
        f" postgres://u:{CANARY}@h/db",
        f"postgres://u:{CANARY}%@h/db",
        f"postgres://u:{CANARY}%zz@h/db",
        f"postgres://u:{CANARY}%ff@h/db",
        f"postgres://u:{CANARY}%00@h/db",
        f"postgres://u:{CANARY}/more@h/db",
        f"postgres://u:{CANARY}?more@h/db",
        f"postgres://u:{CANARY}#more@h/db",
        f"postgres://u:12/{CANARY}@h/db",
        f"postgres://u:12/{CANARY}@h",
        f"postgres://u:12/x?{CANARY}@h/db",
        f"postgres://u:12/x#{CANARY}@h/db",
        f"postgres://u:{CANARY}@%2Frun%2Fpostgresql/db",
        f"postgres://u:{CANARY}@h\u2100/db",
        f"postgres://u:{CANARY}@h/db?atomic_requests=maybe",
        f"sqlite://u:{CANARY}@h/db",
    ],
)
def test_a_malformed_url_is_refused_by_its_variable_without_being_shown(url):
    assert refusal({"DATABASE_URL": url}).startswith("DATABASE_URL ")
    assert refusal({"POSTGRES_URI": url}).startswith("POSTGRES_URI ")
    assert refusal({}, default=url).startswith("The default of database_config")


def test_what_environ_fails_on_is_not_shown_either(monkeypatch):
    def fail(url):
        raise RuntimeError(url)

    monkeypatch.setattr(environ.Env, "db_url_config", fail)
    assert "DATABASE_URL cannot be understood" in refusal({"DATABASE_URL": URL})


def test_a_password_may_have_any_character_when_it_is_encoded():
    encoded = "%3A%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%25%20%22%C3%A9"
    entry = database_config({"DATABASE_URL": f"postgres://us%40er:{encoded}@h/my%2Ddb"})
    assert entry["PASSWORD"] == ":/?#[]@!$&'()*+,;=% \"é"
    assert (entry["USER"], entry["NAME"]) == ("us@er", "my-db")


def test_parameters_of_the_url_are_kept_as_they_were_written():
    parameters = "host=/run/pg&port=5433&sslmode=require&password=007&conn_health_checks=false"
    entry = database_config({"DATABASE_URL": f"postgres://u@/db?{parameters}&connect_timeout=9"})
    options = {"host": "/run/pg", "port": 5433, "sslmode": "require", "password": "007"}
    assert entry["OPTIONS"].items() >= (options | {"connect_timeout": 9}).items()
    assert entry["CONN_HEALTH_CHECKS"] is False
    assert (entry["HOST"], entry["PORT"], entry["NAME"]) == ("", "", "db")


def test_a_url_may_name_several_hosts_an_ipv6_address_or_a_socket():
    assert address({"DATABASE_URL": "postgres://u:p@a:1,b:2/db"})[:2] == ("a,b", "1,2")
    assert address({"DATABASE_URL": "postgres://u:p@[::1]:5433/db"})[:2] == ("::1", 5433)
    assert address({"DATABASE_URL": "postgres:////run/pg/db"})[0] == "/run/pg"


@pytest.mark.parametrize("name", ["pool", "server_side_binding", "prepare_threshold"])
def test_a_url_cannot_say_what_a_variable_says(name):
    assert f"cannot say {name}; set DB_P" in refusal({"DATABASE_URL": f"{URL}?{name}=1"})


def test_a_pool_and_conn_max_age_exclude_each_other():
    url = {"DATABASE_URL": f"{URL}?conn_max_age=60"}
    assert "DB_POOL_SIZE=0" in refusal(url)
    assert database_config(url, pool_size=0)["CONN_MAX_AGE"] == 60


def test_the_seeds_pools_become_psycopgs():
    pool = database_config({"DATABASE_URL": URL})["OPTIONS"]["pool"]
    assert pool.items() >= {"min_size": 5, "max_size": 15, "timeout": 30}.items()
    assert pool["max_lifetime"] == 1800
    assert database_config({"DATABASE_URL": URL}, **SEED_004_POOL)["OPTIONS"]["pool"] == pool
    entry = database_config({"DATABASE_URL": URL}, **SEED_003_POOL)
    pool = entry["OPTIONS"]["pool"]
    assert pool.items() >= {"min_size": 10, "max_size": 30, "timeout": 30}.items()
    assert pool["max_lifetime"] == 3600
    assert (entry["CONN_HEALTH_CHECKS"], entry["CONN_MAX_AGE"]) == (True, 0)


def test_variables_win_over_arguments():
    env = {"DATABASE_URL": URL, "DB_POOL_SIZE": "2", "DB_MAX_OVERFLOW": "0"}
    env |= {"DB_POOL_TIMEOUT": "1.5", "DB_POOL_RECYCLE": "60", "DB_POOL_PRE_PING": "no"}
    entry = database_config(env, **SEED_003_POOL)
    pool = entry["OPTIONS"]["pool"]
    assert (pool["min_size"], pool["max_size"]) == (2, 2)
    assert (pool["timeout"], pool["max_lifetime"]) == (1.5, 60)
    assert entry["CONN_HEALTH_CHECKS"] is False


def test_a_pool_of_size_0_is_none():
    assert "pool" not in database_config({"DATABASE_URL": URL}, pool_size=0)["OPTIONS"]
    env = {"DATABASE_URL": URL, "DB_POOL_SIZE": "0"}
    assert "pool" not in database_config(env)["OPTIONS"]


def test_statements_are_prepared_unless_a_proxy_is_in_between():
    entry = database_config({"DATABASE_URL": URL})
    assert entry["OPTIONS"]["server_side_binding"] is True
    assert entry["OPTIONS"]["prepare_threshold"] == 5
    assert entry["DISABLE_SERVER_SIDE_CURSORS"] is False
    by_variable = database_config({"DATABASE_URL": URL, "DB_PREPARED": "false"})
    assert by_variable["OPTIONS"]["server_side_binding"] is False
    assert by_variable["OPTIONS"]["prepare_threshold"] is None
    assert by_variable["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert by_variable == database_config({"DATABASE_URL": URL}, prepared=False)


@pytest.mark.parametrize(
    ("argument", "variable", "wrong", "accepted"),
    [
        ("pool_size", "DB_POOL_SIZE", ["-1", "2.5", "many"], "1 or more, or 0 for no pool"),
        ("max_overflow", "DB_MAX_OVERFLOW", ["-1", "2.5", "all"], "0 or more; there is no"),
        ("pool_timeout", "DB_POOL_TIMEOUT", ["0", "-1", "inf", "nan", "soon"], "more than 0"),
        ("pool_recycle", "DB_POOL_RECYCLE", ["0", "-1", "inf", "nan", "never"], "more than 0"),
        ("pre_ping", "DB_POOL_PRE_PING", ["2", "maybe"], "true or false"),
        ("prepared", "DB_PREPARED", ["2", "maybe"], "true or false"),
    ],
)
@pytest.mark.parametrize("url", [URL, "sqlite://:memory:"])
def test_a_wrong_value_names_its_variable_or_argument(argument, variable, wrong, accepted, url):
    for value in wrong:
        message = refusal({"DATABASE_URL": url, variable: value})
        assert message.startswith(f"{variable} must be ")
        assert accepted in message
        assert value in message
    for value in (None, [], *wrong):
        assert refusal({"DATABASE_URL": url}, **{argument: value}).startswith(f"{argument} must")
    if argument not in {"pre_ping", "prepared"}:
        assert refusal({"DATABASE_URL": url}, **{argument: True}).startswith(f"{argument} must")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///db.sqlite3", "db.sqlite3"),
        ("sqlite:////srv/my files/db.sqlite3", "/srv/my files/db.sqlite3"),
        ("sqlite://:memory:", ":memory:"),
        ("sqlite://", ":memory:"),
    ],
)
def test_sqlite_waits_and_has_no_pool(url, name):
    entry = database_config({"DATABASE_URL": url})
    assert entry["NAME"] == name
    assert entry["OPTIONS"] == {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }
    patient = database_config({"DATABASE_URL": "sqlite:///db?timeout=60"})
    assert patient["OPTIONS"]["timeout"] == 60


def test_the_example_sites_pools_fit_its_own_server(monkeypatch, tmp_path):
    monkeypatch.delenv("DB_POOL_SIZE")
    pool = database(URL, tmp_path)["OPTIONS"]["pool"]
    processes = 4  # the demo, its web server, worker and rescuer
    assert processes * pool["max_size"] <= 100 - 3
    assert database("sqlite:///demo.db", tmp_path)["NAME"] == str(tmp_path / "demo.db")
    assert database("sqlite://:memory:", tmp_path)["NAME"] == ":memory:"


def test_tests_have_no_pool():
    assert "pool" not in connection.settings_dict["OPTIONS"]


BARE = """
import sys
for name in ("environ", "psycopg", "psycopg_pool"):
    sys.modules[name] = None  # as if it were not installed
from django.conf import settings
from session_mgmt.db.pool import database_config
parts = {f"POSTGRES_{name}": "x" for name in ("HOST", "USER", "PASSWORD", "DATABASE")}
assert database_config(parts)["OPTIONS"]["pool"]["min_size"] == 5
assert not settings.configured
assert "session_mgmt.models" not in sys.modules
database_config({"DATABASE_URL": "sqlite:///x"})
"""


def test_it_needs_no_settings_and_names_the_extra_that_reads_urls():
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", BARE], cwd=ROOT, capture_output=True, text=True, check=False, env=env
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "django.core.exceptions.ImproperlyConfigured: "
        "To read a database URL, pip install 'django-session-mgmt[env]'"
    )


def test_the_package_declares_that_extra():
    text = Path(ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '\nenv = [\n    "django-environ>=' in text
