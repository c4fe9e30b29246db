"""A request is always answered, whatever goes wrong, and an answer tells no secrets."""

import json
from datetime import UTC, datetime
from typing import Any, Optional

import pydantic
import pytest
from asgiref.sync import async_to_sync
from django.db import DatabaseError, OperationalError

from session_mgmt.models import StoredObject
from session_mgmt.objects import (
    InvocationRequest,
    InvocationResponse,
    InvocationResponseCode,
    OaasObject,
    OaasService,
    ObjectInvocationRequest,
    get_global_oaas,
    oaas,
)

OKAY, INVALID, APP, SYSTEM = InvocationResponseCode


class Order(pydantic.BaseModel):
    name: str
    count: int = 1


class UnshowableError(Exception):
    def __str__(self):
        raise RuntimeError("this error cannot be shown")


@oaas.service("Rpc", package="tests")
class Rpc(OaasObject):
    count: int = 0

    @oaas.method
    def add(self, by: int = 1) -> int:
        self.count += by
        return self.count

    @oaas.method
    async def add_async(self, by: int) -> int:
        return self.add(by)

    @oaas.method
    def order(self, order: Order) -> Order:
        return Order(name=order.name.upper(), count=order.count + 1)

    @oaas.method
    def two(self, order: Order, when: datetime, times: Optional[int] = None) -> list[Any]:  # noqa: UP045
        return [order, when, times]

    @oaas.method
    def raw(self, data: bytes) -> bytes:
        return data[::-1]

    @oaas.method
    def text(self, data: str = "none") -> str:
        return data.upper()

    @oaas.method
    def request(self, req: ObjectInvocationRequest, by: int = 1) -> str:
        return f"{req.options.get('who')} {req.fn_id} {by}"

    @oaas.method
    def either(self, req: InvocationRequest | ObjectInvocationRequest) -> InvocationResponse:
        return InvocationResponse(req.payload, 7, {"kind": "own"})

    @oaas.method
    def untyped(self, value):
        return {"value": value}

    @oaas.method(name="other-name")
    def renamed(self) -> None: ...

    @oaas.method
    def fail(self, how: str) -> None:
        self.count += 1
        errors = {
            "value": ValueError("wrong, with password=hunter2 in it"),
            "url": OSError("no answer from postgres://anna:hunter2@db/app"),
            "database": DatabaseError("relation does not exist"),
            "lost": OperationalError("server closed the connection: password=hunter2"),
            "bad": UnshowableError(),
            "nul": KeyError("\x00\ud800" + "x" * 10**6),
            "group": ExceptionGroup("several", [ValueError("one")]),
        }
        if how in errors:
            raise errors[how]
        self.count = how  # type: ignore[assignment]

    @oaas.method
    def returns(self, what: str) -> Any:
        return {"object": object(), "nan": [float("nan")], "self": self, "bytes": [b"\xff"]}[what]

    def hidden(self) -> str:
        return "never"


def called(fn_id, payload=b"", *, object_id=0, how="sync", cls_id="tests.Rpc", **more):
    """Return what a request for the object, or for a new one, is answered."""
    session = OaasService.get_session()
    request = (
        ObjectInvocationRequest(cls_id, fn_id, object_id, payload=payload, **more)
        if object_id is not None
        else InvocationRequest(cls_id, fn_id, payload=payload, **more)
    )
    if how == "sync":
        return session.invoke_local(request)
    if how == "rpc":
        return (session.fn_rpc if object_id is None else session.obj_rpc)(request)
    call = session.fn_rpc_async if object_id is None else session.obj_rpc_async
    return async_to_sync(call)(request)


@pytest.fixture
def rpc(store):
    obj = Rpc.create()
    obj.session.commit()
    return obj


HOWS = pytest.mark.parametrize("how", ["sync", "rpc", "async"])


@HOWS
@pytest.mark.parametrize(
    ("fn_id", "payload", "result"),
    [
        ("add", b"5", b"5"),
        ("add", b"", b"1"),
        ("order", b'{"name": "x"}', b'{"name":"X","count":2}'),
        (
            "two",
            b'{"order": {"name": "x"}, "when": "2024-01-01T00:00:00Z"}',
            b'[{"name":"x","count":1},"2024-01-01T00:00:00Z",null]',
        ),
        ("raw", b"\xff\x00", b"\x00\xff"),
        ("raw", b"", b""),
        ("text", "ä".encode(), "Ä".encode()),
        ("text", b"", b"NONE"),
        ("request", b"", b"None request 1"),
        ("request", b"4", b"None request 4"),
        ("untyped", b"[1, null]", b'{"value":[1,null]}'),
        ("other-name", b"", b""),
        ("returns", b"nan", b"[null]"),
        ("returns", b"bytes", b'["_w=="]'),
    ],
)
def test_a_method_is_called_with_what_the_payload_says(rpc, how, fn_id, payload, result):
    response = called(fn_id, payload, object_id=rpc.object_id, how=how)
    assert (response.status, response.payload) == (OKAY, result)


def test_a_function_may_answer_by_itself(rpc):
    response = called("either", b"x", object_id=rpc.object_id)
    assert response == InvocationResponse(b"x", 7, {"kind": "own"})


def test_options_reach_the_function_that_takes_the_request(rpc):
    response = called("request", object_id=rpc.object_id, options={"who": "Anna"})
    assert response.payload == b"Anna request 1"


def test_coroutine_functions_are_for_the_async_calls(rpc):
    assert called("add_async", b"3", object_id=rpc.object_id, how="async").payload == b"3"
    refused = called("add_async", b"3", object_id=rpc.object_id)
    assert refused.status == INVALID
    assert b"invoke_local_async" in refused.payload


@HOWS
@pytest.mark.parametrize(
    ("fn_id", "payload", "more", "told"),
    [
        ("add", b"", {"cls_id": "tests.Nobody"}, b"tests.Nobody"),
        ("nothing", b"", {}, b"nothing"),
        ("hidden", b"", {}, b"hidden"),
        ("add", b"", {"object_id": 12345}, b"does not exist"),
        ("add", b"", {"object_id": 2**70}, b"obj_id"),
        ("add", b"", {"object_id": "x"}, b"obj_id"),
        ("add", b"", {"partition_id": 7}, b"partition_id"),
        ("add", b'"x"', {}, b"by: "),
        ("add", b"\xff", {}, b"by: "),
        ("add", b"[" * 10_000, {}, b"by: "),
        ("text", b"\xff", {}, b"data: "),
        ("order", b"", {}, b"order: "),
        ("order", b'{"count": 1}', {}, b"order.name: "),
        ("two", b'{"order": {"name": "x"}}', {}, b"when: "),
        ("two", b'{"order": {}, "when": 5}', {}, b"order.name: "),
        ("two", b'{"wrong": 1}', {}, b"wrong: "),
        ("two", b"[]", {}, b"payload: "),
    ],
)
def test_a_request_that_fits_nothing_is_refused(by_hand, how, fn_id, payload, more, told):  # noqa: PLR0917
    obj = Rpc.create()
    obj.session.commit()
    response = called(fn_id, payload, how=how, **{"object_id": obj.object_id, **more})
    assert response.status == INVALID
    assert told in response.payload
    assert obj.count == 0


@pytest.mark.parametrize(
    "request_", [None, 5, InvocationRequest(None, None), InvocationRequest([], {})]
)
def test_what_is_no_request_is_answered_too(store, request_):
    session = OaasService.get_session()
    for response in (
        session.invoke_local(request_),
        async_to_sync(session.obj_rpc_async)(request_),
    ):
        assert response.status in {INVALID, SYSTEM}
        assert response.payload


@HOWS
@pytest.mark.parametrize(
    ("way", "status", "told"),
    [
        ("value", APP, b"ValueError: wrong"),
        ("url", APP, b"OSError: no answer"),
        ("database", SYSTEM, b"relation"),
        ("lost", SYSTEM, b"server closed"),
        ("nul", APP, b"KeyError: "),
        ("group", APP, b"several"),
        ("assign", APP, b"Rpc.count: "),
    ],
)
def test_a_function_that_raises_is_answered_without_its_secrets(rpc, how, way, status, told):
    response = called("fail", way.encode(), object_id=rpc.object_id, how=how)
    assert response.status == status
    assert told in response.payload
    assert b"hunter2" not in response.payload
    assert b"\x00" not in response.payload
    assert len(response.payload) < 100_000


@HOWS
@pytest.mark.parametrize("what", ["object", "self"])
def test_a_result_that_is_no_json_is_an_error(rpc, how, what):
    response = called("returns", what.encode(), object_id=rpc.object_id, how=how)
    assert response.status == APP
    assert b"Unable to serialize" in response.payload


@HOWS
def test_a_function_on_a_new_object_keeps_it_if_it_sets_a_field(by_hand, how):
    assert called("text", b"x", object_id=None, how=how).payload == b"X"
    OaasService.get_session().commit()
    assert not StoredObject.objects.exists()
    assert called("add", b"5", object_id=None, how=how).payload == b"5"
    OaasService.get_session().commit()
    assert StoredObject.objects.get().state == {"count": 5}


def test_a_database_that_fails_is_answered(by_hand, monkeypatch):
    obj = Rpc.create()
    obj.session.commit()

    def fail(*args):
        raise OperationalError("connection refused: password=hunter2")

    monkeypatch.setattr(get_global_oaas().store, "read", fail)
    for how in ("sync", "async"):
        response = called("add", object_id=obj.object_id, how=how)
        assert response.status == SYSTEM
        assert b"hunter2" not in response.payload


def test_times_and_models_travel_as_json(rpc):
    payload = json.dumps({"order": {"name": "x"}, "when": "2024-01-01T00:00:00+00:00", "times": 2})
    result = json.loads(called("two", payload.encode(), object_id=rpc.object_id).payload)
    assert datetime.fromisoformat(result[1]) == datetime(2024, 1, 1, tzinfo=UTC)
    assert result[2] == 2


@oaas.service("RpcExtra", package="tests")
class Extra(OaasObject):
    items: list[int] = []

    @oaas.method
    def stop(self):
        raise StopIteration

    @oaas.method
    def unprintable(self):
        class Odd(Exception):  # noqa: N818 # it is odd
            def __str__(self):
                raise ValueError

        raise Odd

    @oaas.method
    def put(self, number: int):
        self.items.append(number)

    @oaas.method(stateless=True)
    def put_nowhere(self, number: int):
        self.items.append(number)

    @oaas.method
    def put_and_fail(self, number: int):
        self.items.append(number)
        raise ValueError

    @oaas.method
    def joined(self, parts: list[bytes]) -> bytes:
        return b"".join(parts)

    @oaas.method
    def any_number(self, *parts: int):
        pass


@pytest.mark.parametrize("name", ["stop", "unprintable"])
def test_whatever_a_function_raises_is_an_answer(store, name):
    session = get_global_oaas().new_session()
    request = InvocationRequest("tests.RpcExtra", name)
    answers = [session.invoke_local(request), async_to_sync(session.invoke_local_async)(request)]
    assert {answer.status for answer in answers} == {InvocationResponseCode.APP_ERROR}


@pytest.mark.parametrize(("name", "kept"), [("put", 1), ("put_nowhere", 0), ("put_and_fail", 0)])
def test_a_call_keeps_an_object_only_if_it_succeeds_and_left_something_in_it(by_hand, name, kept):
    session = get_global_oaas().new_session()
    session.fn_rpc(InvocationRequest("tests.RpcExtra", name, payload=b"5"))
    session.commit()
    rows = StoredObject.objects.of_class("tests.RpcExtra")
    assert [row.state for row in rows] == [{"items": [5]}] * kept


def test_bytes_inside_of_arguments_are_base64_as_in_results(store):
    session = get_global_oaas().new_session()
    answer = session.fn_rpc(
        InvocationRequest("tests.RpcExtra", "joined", payload=b'["AP8=","AQ=="]')
    )
    assert answer.payload == b"\x00\xff\x01"


def test_parameters_that_a_request_cannot_name_are_refused(store):
    session = get_global_oaas().new_session()
    answer = session.fn_rpc(InvocationRequest("tests.RpcExtra", "any_number", payload=b"[1]"))
    assert answer.status == InvocationResponseCode.INVALID_REQUEST
    assert b"parts" in answer.payload
