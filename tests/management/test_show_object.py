"""`show_object` prints one object as JSON, or says what there is instead."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from session_mgmt.models import StoredObject
from tests.processes import ROOT, environment

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def make(number=42, class_name="default.Counter", **fields):
    return StoredObject.objects.create(object_id=number, class_name=class_name, **fields)


def refused(*arguments):
    with pytest.raises(CommandError) as caught:
        call_command("show_object", *arguments)
    return str(caught.value)


def test_an_object_is_one_json_object_with_sorted_keys(capsys):
    make(state={"b": 1, "aa": "Möwe"}, version=7, created_at=MOMENT, updated_at=MOMENT)
    make(43)
    call_command("show_object", "default.Counter", "42")
    output = capsys.readouterr().out
    assert list(json.loads(output).items()) == [
        ("class", "default.Counter"),
        ("created_at", "2026-01-02T03:04:05.678901+00:00"),
        ("object_id", 42),
        ("partition", 0),
        ("state", {"aa": "Möwe", "b": 1}),
        ("updated_at", "2026-01-02T03:04:05.678901+00:00"),
        ("version", 7),
    ]
    assert "Möwe" in output
    assert output.index('"aa"') < output.index('"b"')


def test_the_whole_of_a_large_state_is_printed(capsys):
    make(state={"text": "x" * 200_000})
    call_command("show_object", "default.Counter", "42")
    assert len(json.loads(capsys.readouterr().out)["state"]["text"]) == 200_000


def test_a_partition_is_looked_in_alone(capsys):
    make(state={"where": 0})
    make(state={"where": -7}, partition_id=-7)
    make(-42, state={"where": "minus"})
    for arguments, where in [((), 0), (("--partition", "-7"), -7)]:
        call_command("show_object", "default.Counter", "42", *arguments)
        assert json.loads(capsys.readouterr().out)["state"] == {"where": where}
    call_command("show_object", "default.Counter", "-42", "--database", "default")
    assert json.loads(capsys.readouterr().out)["state"] == {"where": "minus"}


def test_an_id_that_a_known_class_does_not_have_is_named():
    make()
    assert refused("default.Counter", "43") == "default.Counter 43 does not exist in partition 0."
    assert (
        refused("default.Counter", "42", "--partition=1")
        == "default.Counter 42 does not exist in partition 1."
    )


@pytest.mark.parametrize("mistaken", ["default.counter", "Counter", "default.Conter"])
def test_a_class_that_is_not_known_is_answered_with_near_names(mistaken):
    for number in range(3):
        make(number)
    make(1, "shop.Basket")
    assert refused(mistaken, "1") == (
        f"{mistaken} 1 does not exist in partition 0. "
        f"There are no objects of the class {mistaken}; did you mean default.Counter?"
    )


@pytest.mark.parametrize("class_name", ["zzz", ""])
def test_without_a_near_name_none_is_guessed(class_name):
    make()
    assert refused(class_name, "1").endswith(f"There are no objects of the class {class_name}.")


@pytest.mark.parametrize("number", [str(2**63), str(-(2**63) - 1), "9" * 100])
def test_a_number_beyond_64_bits_is_not_there(number):
    make()
    assert refused("default.Counter", number).startswith("default.Counter ")
    assert refused("default.Counter", "42", f"--partition={number}").startswith("default.Counter ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("default.Counter", "soon"), "invalid int value: 'soon'"),
        (("default.Counter",), "the following arguments are required: ID"),
        (("default.Counter", "1", "--database=nowhere"), "invalid choice: 'nowhere'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, complaint):
    assert complaint in refused(*arguments)


def test_the_names_are_read_along_the_index(django_assert_num_queries):
    StoredObject.objects.bulk_create(
        StoredObject(object_id=number, class_name=f"default.C{number % 3}") for number in range(60)
    )
    with django_assert_num_queries(3):  # the object, its class, all names
        refused("default.D0", "1")


def test_the_help_has_examples_and_exit_codes(capsys):
    with pytest.raises(SystemExit):
        call_command("show_object", "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "manage.py show_object default.Counter 42 --partition 7 | jq .state" in text
    assert "Exit codes: 0 printed, 1 there is none" in text


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL refuses such a text")
def test_half_a_surrogate_pair_is_escaped(capsys):
    make(state={"text": "\ud800"})
    call_command("show_object", "default.Counter", "42")
    assert json.loads(capsys.readouterr().out)["state"] == {"text": "\ud800"}


def test_a_database_that_is_away_is_one_sentence_and_no_secret():
    address = {"DATABASE_URL": "postgres://anna:canary@127.0.0.1:1/x"}
    done = subprocess.run(
        [sys.executable, "manage.py", "show_object", "default.Counter", "42"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment(**address),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("CommandError: The database did not answer (")
    assert done.stderr.count("\n") == 1
    assert "canary" not in done.stderr
