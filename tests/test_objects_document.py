"""The examples of docs/objects.md run as they stand, and its tables say what the code does."""

import asyncio
import contextlib
import dataclasses
import io
import json
import re
import shlex
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.apps import apps
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test import RequestFactory
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from session_mgmt import StaleObjectError, StateTypeError
from session_mgmt.conf import AppSettings
from session_mgmt.db.write_behind import flush
from session_mgmt.models import StoredObject
from session_mgmt.objects import (
    InvocationResponseCode,
    OaasConfig,
    OaasObject,
    configure_oaas,
    get_global_oaas,
    oaas,
)
from tests.processes import ROOT, wait_until

DOCUMENT = (ROOT / "docs/objects.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", DOCUMENT, re.M | re.S))


class Color(Enum):
    RED = "red"


class Line(BaseModel):
    name: str = "tea"


@dataclasses.dataclass
class Point:
    x: int = 1


class Named(TypedDict):
    name: str


VALUES = {
    "bool": (bool, True),
    "int": (int, 2**62),
    "float": (float, 0.1),
    "str": (str, "tea"),
    "None": (None, None),
    "Decimal": (Decimal, Decimal("1.10")),
    "UUID": (UUID, UUID(int=5)),
    "datetime": (datetime, datetime(2025, 6, 1, 12, tzinfo=UTC)),
    "date": (date, date(2025, 6, 1)),
    "time": (time, time(12, 30)),
    "timedelta": (timedelta, timedelta(seconds=90)),
    "bytes": (bytes, b"\x00\xff\xfe"),
    "Enum": (Color, Color.RED),
    "Literal": (Literal["a", "b"], "b"),
    "list": (list[int], [1, 2]),
    "tuple": (tuple[int, str], (1, "a")),
    "set": (set[int], {1, 2}),
    "frozenset": (frozenset[int], frozenset({1, 2})),
    "dict": (dict[int, str], {1: "a"}),
    "pydantic models": (Line, Line(name="milk")),
    "dataclasses": (Point, Point(3)),
    "TypedDict": (Named, {"name": "milk"}),
    "X | Y": (int | str, "5"),
    "X | None": (int | None, None),
    "Annotated": (Annotated[int, "a price"], 5),
    "Any": (Any, {"a": [1, None]}),
}


def rows(section, title):
    """Return the cells of the table whose first head is `title`."""
    table = re.search(rf"^\| {re.escape(title)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", section, re.M)[1]
    lines = re.findall(r"^\| (.*) \|$", table, re.M)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


@pytest.fixture
def engine(transactional_db, monkeypatch):
    repo = get_global_oaas().meta_repo
    monkeypatch.setattr(repo, "cls_dict", dict(repo.cls_dict))
    configure_oaas(OaasConfig())
    yield get_global_oaas()
    configure_oaas(OaasConfig(mock_mode=True, auto_commit=False))
    flush()
    asyncio.run(sync_to_async(connections.close_all)())  # those of the thread for async code


@pytest.fixture
def examples(engine):
    """Run the examples one after another; return the names that they have made."""
    names = {"__name__": "objects_document"}
    for block in re.findall(r"```python\n(.*?)```", DOCUMENT, re.S):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(block, "docs/objects.md", "exec"), names)  # noqa: S102 # our own document
        printed = output.getvalue().splitlines()
        end = re.search(r"print\(.*?\n((?:# .*\n)+)\Z", block, re.S)
        expected = [line.removeprefix("# ") for line in end[1].splitlines()] if end else []
        assert printed == expected, block
    return names


def test_the_examples_run_and_print_what_they_say(examples):
    assert len(examples) > 10


def test_the_changes_of_the_examples_are_stored_in_the_background(examples):
    flush()
    cart = examples["cart"]
    assert StoredObject.objects.filter(object_id=cart.object_id).exists()
    assert get_global_oaas().manager.counts.waiting == 0


def test_the_view_of_the_example_stores_what_it_says(examples):
    cart = examples["Cart"].create()
    cart.session.commit()
    request = RequestFactory().post("/", {"name": "tea", "price": "3"})
    assert json.loads(examples["add_line"](request, cart.object_id).content) == {"total": 3}
    stored = StoredObject.objects.get(object_id=cart.object_id)
    assert stored.state["lines"] == ["tea"]


def test_after_a_rollback_an_object_is_stale_until_it_is_loaded(examples):
    cart = examples["Cart"].create()
    cart.session.commit()
    with transaction.atomic():
        with oaas.session_scope():
            cart.add("tea", 3)
        transaction.set_rollback(True)
    assert cart.total == 3
    with pytest.raises(StaleObjectError):
        cart.total = 4
    with oaas.session_scope():
        assert examples["Cart"].load(cart.object_id).add("tea", 3) == 3
    stored = StoredObject.objects.get(object_id=cart.object_id)
    assert stored.state["lines"] == ["tea"]


@pytest.mark.parametrize("elsewhere", [sync_to_async, partial(partial, asyncio.to_thread)])
def test_what_a_task_does_in_a_thread_is_done_in_its_session(engine, elsewhere):
    async def are_the_same():
        return oaas.get_session() is await elsewhere(oaas.get_session)()

    assert asyncio.run(are_the_same())


def test_a_list_that_is_kept_in_a_variable_is_looked_at_in_the_background(examples):
    cart = examples["Cart"].create()
    lines = cart.lines
    flush()
    lines.append("late")
    rows = StoredObject.objects.filter(object_id=cart.object_id)
    wait_until(lambda: rows.get().state["lines"] == ["late"], timeout=5)


def test_the_data_migration_of_the_example_renames_a_class(examples):
    StoredObject.objects.create(class_name="shop.Basket", object_id=1, state={"customer": "Fred"})
    with connection.schema_editor() as editor:
        examples["rename"](apps, editor)
    assert examples["Cart"].load(1).customer == "Fred"


def test_who_has_an_object_in_memory_is_told_of_a_migration_that_sets_the_writer_to_0(examples):
    cart = examples["Cart"].create()
    cart.session.commit()
    rows = StoredObject.objects.filter(object_id=cart.object_id)
    rows.update(state={"customer": "Fred"}, writer=0)
    cart.total = 1
    with pytest.raises(StaleObjectError):
        cart.session.commit()
    cart.refresh()
    assert cart.customer == "Fred"


def test_a_field_reads_what_is_stored_by_its_older_name(engine):
    @oaas.service("Renamed", package="document")
    class Renamed(OaasObject):
        customer: str = Field("", validation_alias="buyer")

    row = StoredObject.objects.create(
        class_name="document.Renamed", object_id=1, state={"buyer": "Fred"}
    )
    renamed = Renamed.load(1)
    assert renamed.customer == "Fred"
    renamed.customer = "Gina"
    renamed.session.commit()
    row.refresh_from_db()
    assert row.state == {"customer": "Gina"}


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (float, float("nan")),
        (float, float("inf")),
        (str, "\0"),
        (str, "\ud800"),
        (str, "a" * 1_000_001),
        (list, json.loads("[" * 101 + "]" * 101)),
        (Any, (1, 2)),
        (dict, {1: 2}),
        (datetime | str, "2025-06-01T12:00:00"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_the_document_says_is_refused_where_it_is_assigned(engine, hint, value):
    namespace = {"__annotations__": {"field": hint}}
    holder = oaas.service("Holder", package="document")(type("Holder", (OaasObject,), namespace))
    obj = holder.create()
    with pytest.raises(StateTypeError, match=r"^Holder\.field: "):
        obj.field = value
    assert not hasattr(obj, "field")


def test_the_command_of_the_example_prints_the_object(examples, capsys):
    (line,) = re.findall(r"^manage\.py (.*)$", DOCUMENT, re.M)
    call_command(*shlex.split(line))
    assert json.loads(capsys.readouterr().out)["state"]["customer"] == "Dora"


def test_the_table_of_types_names_those_that_are_tried_here():
    cells = " ".join(first for first, _ in rows(SECTIONS["The model"], "type of a field"))
    words = {*re.findall(r"`([^`]+)`", cells.replace("\\|", "|")), "pydantic models", "dataclasses"}
    assert words == set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_each_type_comes_back_as_it_was(engine, name):
    hint, value = VALUES[name]
    namespace = {"__annotations__": {"field": hint}}
    holder = oaas.service("Holder", package="document")(type("Holder", (OaasObject,), namespace))
    obj = holder.create()
    obj.field = value
    obj.session.commit()
    loaded = engine.new_session().load_object(holder.__cls_meta__, obj.object_id)
    assert loaded.field == value
    assert type(loaded.field) is type(value)


def test_the_table_of_statuses_says_the_numbers():
    table = rows(SECTIONS["Requests by name"], "status")
    assert {name.strip("`"): int(number) for number, name, _ in table} == {
        code.name: code.value for code in InvocationResponseCode
    }


def test_the_tables_of_settings_say_the_defaults():
    for owner, title in ((AppSettings(), "setting"), (OaasConfig(), "`OaasConfig`")):
        for cell, value, _ in rows(SECTIONS["Settings"], title):
            real = getattr(owner, cell.strip("`"))
            if isinstance(real, timedelta):
                assert value == f"{real.total_seconds():g} s"
            else:
                assert value.strip("`") == str(real)


def test_every_link_leads_somewhere():
    def anchors(text):
        titles = re.findall(r"^## (.*)$", text, re.M)
        return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}

    assert set(re.findall(r"\]\(#([\w-]+)\)", DOCUMENT)) <= anchors(DOCUMENT)
    for path, _, anchor in re.findall(r"\]\(([\w./-]+)(#([\w-]+))?\)", DOCUMENT):
        text = (ROOT / "docs" / path).read_text(encoding="utf-8")
        assert not anchor or anchor in anchors(text), (path, anchor)
