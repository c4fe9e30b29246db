"""Seed 000: its examples as they stand, its names and arguments, and what it says in words."""

import ast
import asyncio
import inspect
import re
import threading

import pytest

from session_mgmt import objects
from session_mgmt.db.write_behind import flush
from session_mgmt.models import StoredObject
from session_mgmt.objects import (
    AutoSessionManager,
    BaseObject,
    ClsMeta,
    LegacySessionAdapter,
    OaasConfig,
    OaasObject,
    OaasService,
    Oparaca,
    Session,
    configure_oaas,
    get_global_oaas,
    new_session,
    oaas,
)
from tests.processes import wait_until
from tests.seeds.seed_000 import EXAMPLES, MIGRATIONS

# The signatures of its API reference, without annotations and defaults.
REFERENCE = {
    AutoSessionManager: """
        __init__(self, oparaca)
        get_session(self, partition_id)
        create_object(self, cls_meta, obj_id, local, partition_id)
        load_object(self, cls_meta, obj_id, partition_id)
        schedule_commit(self, obj)
        commit_all(self)
        async commit_all_async(self)
        cleanup_session(self, thread_id)
        shutdown(self)
        session_scope(self, partition_id)
    """,
    LegacySessionAdapter: """
        __init__(self, auto_session_manager, partition_id)
        create_object(self, cls_meta, obj_id, local)
        load_object(self, cls_meta, obj_id)
        delete_object(self, cls_meta, obj_id, partition_id)
        commit(self)
        async commit_async(self)
        obj_rpc(self, req)
        async obj_rpc_async(self, req)
        fn_rpc(self, req)
        async fn_rpc_async(self, req)
        invoke_local(self, req)
        async invoke_local_async(self, req)
    """,
    OaasService: """
        commit_all()
        async commit_all_async()
        get_session(partition_id)
        session_scope(partition_id)
        cleanup_session(thread_id)
        shutdown()
        service(name, package)
    """,
    objects: """
        new_session(partition_id)
        get_global_oaas()
        configure_oaas(config)
        enable_auto_commit()
        disable_auto_commit()
        set_auto_commit_interval(seconds)
    """,
}
PROPERTIES = (
    "local_obj_dict",
    "remote_obj_dict",
    "delete_obj_set",
    "partition_id",
    "rpc_manager",
    "data_manager",
    "meta_repo",
    "local_only",
)
SIGNATURES = [
    (owner, *re.match(r"(async )?(\w+)\((.*)\)", line.strip()).groups(default=""))
    for owner, lines in REFERENCE.items()
    for line in lines.strip().splitlines()
]


@pytest.fixture(
    params=["mock mode", pytest.param("database", marks=pytest.mark.django_db(transaction=True))]
)
def mock(request):
    """Whether the examples run as they stand, in mock mode, or in the database."""
    yield request.param == "mock mode"
    configure_oaas(OaasConfig(mock_mode=True, auto_commit=False))


def run(source, names, *, mock):
    """Run an example; it may use `await` as at a prompt."""
    if not mock:
        source = source.replace("mock_mode=True", "mock_mode=False")
    code = compile(source, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    async def awaited():
        await eval(code, names)  # noqa: S307 # the seed's own lines

    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(awaited())
    else:
        exec(code, names)  # noqa: S102 # the seed's own lines


def stored(mock):
    """Return the states that are committed, whatever they belong to."""
    flush()
    if not mock:
        return list(StoredObject.objects.values_list("class_name", "state"))
    rows = get_global_oaas().store._rows
    return [(key[0], ast.literal_eval(row.state)) for key, row in rows.items()]


@pytest.mark.parametrize(
    ("owner", "kind", "name", "arguments"), SIGNATURES, ids=lambda value: str(value)[:40]
)
def test_the_signature_is_that_of_the_seed(owner, kind, name, arguments):
    function = getattr(owner, name)
    names = list(inspect.signature(function).parameters)
    assert names == [one.strip() for one in arguments.split(",") if one.strip()]
    assert inspect.iscoroutinefunction(function) is bool(kind)


@pytest.mark.parametrize("name", PROPERTIES)
def test_the_adapter_has_the_properties_of_a_session(name, mock):
    configure_oaas(OaasConfig(mock_mode=mock))
    assert isinstance(inspect.getattr_static(LegacySessionAdapter, name), property)
    legacy, session = new_session(3), get_global_oaas().new_session(3)
    assert type(getattr(legacy, name)) is type(getattr(session, name))
    assert legacy.partition_id == 3
    assert legacy.local_only is mock


def test_all_examples_run_one_after_another(mock, capsys):
    names = {}
    for title, source in EXAMPLES.items():
        run(source, names, mock=mock)
        if title == "Basic Auto Session Management":
            assert stored(mock) == [("default.MyService", {"counter": 1})]
        if title == "Thread-Safe Session Management":
            assert all(thread.name for thread in names["threads"])
        if title == "Manual Session Control":
            assert (names["obj1"].counter, names["obj2"].counter) == (1, 1)
            states = [state for name, state in stored(mock) if name == "default.MyService"]
            assert states.count({"counter": 1}) >= 2
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Counter: 1"
    assert sorted(printed[1:]) == sorted(
        f"Thread {ident}: Thread-{ident}"
        for ident in (line.split()[1].removesuffix(":") for line in printed[1:])
    )
    assert len(printed) == 6
    assert names["obj"].legacy_method() == "Still works!"
    assert names["obj2"].legacy_method() == "Still works!"


def test_the_threads_of_the_example_store_what_each_has_written(mock):
    run(EXAMPLES["Thread-Safe Session Management"], {}, mock=mock)
    data = [state["thread_data"] for _, state in stored(mock)]
    assert len(data) == 5
    assert all(text.startswith("Thread-") for text in data)


@pytest.mark.parametrize("title", MIGRATIONS)
def test_both_sides_of_the_migration_guide_run(title, mock):
    configure_oaas(OaasConfig(mock_mode=mock))
    config = OaasConfig(mock_mode=mock)
    oparaca = Oparaca(config=config)
    cls_meta = oparaca.new_cls("Migrated")

    @cls_meta
    class Migrated(BaseObject):
        number: int = 4

    @oaas.service("MyService")
    class MyService(OaasObject):
        counter: int = 0

    names = {**vars(objects), "config": config, "oparaca": oparaca, "cls_meta": cls_meta}
    names["MyService"] = MyService
    run(MIGRATIONS[title], names, mock=mock)
    flush()
    engine = names.get("global_oaas", oparaca)
    if title == "manual sessions, after" or "the session API, after" in title:
        engine = get_global_oaas()
    obj = names["obj"]
    loaded = engine.new_session().load_object(type(obj).__cls_meta__, obj.object_id)
    assert loaded.object_id == obj.object_id
    assert obj._record.is_stored


def test_each_thread_gets_a_session_of_its_own(mock):
    configure_oaas(OaasConfig(mock_mode=mock))
    sessions = {threading.get_ident(): OaasService.get_session()}

    def note():
        sessions["other"] = OaasService.get_session()

    thread = threading.Thread(target=note)
    thread.start()
    thread.join()
    assert OaasService.get_session() is sessions[threading.get_ident()]
    assert sessions["other"] is not OaasService.get_session()
    assert isinstance(sessions["other"], Session)


def test_changes_are_committed_in_the_background_without_another_call(mock):
    configure_oaas(OaasConfig(mock_mode=mock, auto_commit=True))

    @oaas.service("Background", package="seed")
    class Background(OaasObject):
        items: list[int] = []

    obj = Background.create()
    obj.items.append(1)
    meta = Background.__cls_meta__
    read = get_global_oaas().store.read
    wait_until(
        lambda: (
            '"items":[1]'
            in next(iter(read(meta.cls_id, 0, [obj.object_id]).values()), ("",))[0].replace(" ", "")
        )
    )


def test_a_class_is_registered_with_and_without_its_package(mock):
    configure_oaas(OaasConfig(mock_mode=mock))

    @oaas.service("Plain")
    class Plain(OaasObject):
        pass

    @oaas.service("Plain", package="other")
    class OtherPlain(OaasObject):
        @oaas.method()
        def with_parentheses(self):
            return 1

        @oaas.method
        def without(self):
            return 2

    assert isinstance(Plain.__cls_meta__, ClsMeta)
    assert (Plain.__cls_meta__.cls_id, OtherPlain.__cls_meta__.cls_id) == (
        "default.Plain",
        "other.Plain",
    )
    obj = OtherPlain.create()
    assert (obj.with_parentheses(), obj.without()) == (1, 2)


def test_ids_of_one_process_grow_and_fit_into_63_bits(mock):
    configure_oaas(OaasConfig(mock_mode=mock, auto_commit=False))

    @oaas.service("Numbered", package="seed")
    class Numbered(OaasObject):
        pass

    ids = [Numbered.create().object_id for _ in range(5_000)]
    assert ids == sorted(set(ids))
    assert 0 < ids[0] < ids[-1] < 2**63
    OaasService.cleanup_session()
