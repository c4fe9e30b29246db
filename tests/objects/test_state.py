"""What is annotated is kept, with its type; what could not be kept is refused at once."""

import copy
import dataclasses
import enum
import math
import pickle
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional, Union
from uuid import UUID
from zoneinfo import ZoneInfo

import pydantic
import pytest
from typing_extensions import TypedDict

from session_mgmt import StateTypeError
from session_mgmt.models import StoredObject
from session_mgmt.objects import OaasObject, get_global_oaas, oaas


class Color(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 2


class Mood(enum.StrEnum):
    GOOD = "good"


class Address(pydantic.BaseModel):
    city: str = "Rome"
    rooms: list[int] = []
    ratio: float | None = None


class Palace(Address):
    towers: int = 3


@dataclasses.dataclass
class Point:
    x: int
    tags: list[str] = dataclasses.field(default_factory=list)


class Movie(TypedDict):
    title: str
    year: int


def new(hint, *default):
    """Return an object with one field of a type."""
    namespace = {"__annotations__": {"field": hint}, "__module__": __name__}
    if default:
        namespace["field"] = default[0]
    cls = oaas.service("StateOne", package="tests")(type("One", (OaasObject,), namespace))
    return cls.create()


def fresh(obj):
    """Return the object as a session of its own reads it."""
    session = get_global_oaas().new_session(obj.partition_id)
    return session.load_object(type(obj).__cls_meta__, obj.object_id)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


KEPT = [
    *((int, one) for one in [0, -1, 2**63 - 1, 2**63, -(10**40), 10**4299]),
    *((float, one) for one in [1.0, -0.5, 5e-324, 1e16, 1e22, 1e23, 1.7976931348623157e308]),
    *((Any, one) for one in [1e22, 1e300, {"a": [1, 1.0, None, True, "1e22"]}, "NaN", "[" * 999]),
    *((bool, one) for one in [True, False]),
    *((str, one) for one in ["", "ä€😀", "\n\t\x01\u2028", '\\u0000 "', "7" * 5_000, "x" * 2_000]),
    *((bytes, one) for one in [b"", b"\xff\x00\xfe", bytes(range(256))]),
    (datetime, datetime(2024, 2, 29, 1, 2, 3, 4)),  # noqa: DTZ001 # a naive one
    (datetime, datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC)),
    (datetime, datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=-5, minutes=-30)))),
    (datetime, datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))),
    *((date, one) for one in [date.min, date.max]),
    *((time, one) for one in [time(1, 2, 3, 4), time(1, tzinfo=UTC)]),
    *((timedelta, one) for one in [timedelta(days=-1, microseconds=1), timedelta(days=99_999)]),
    (UUID, UUID("12e45678-1234-5678-1234-567812345678")),
    *((Decimal, Decimal(one)) for one in ["0.10", "-1E+400", "123456789012345678901234567890.5"]),
    *((type(one), one) for one in [Color.RED, Size.BIG, Mood.GOOD]),
    *((list, one) for one in [[], [1, "a", [None]]]),
    (list[float], [1e22, 1.5]),
    (list[list[bytes]], [[b"\xff"]]),
    (dict, {"a": {"x": [1.5]}, "b": 1}),
    (dict[int, str], {1: "a", -2: "b"}),
    (dict[UUID, list[Mood]], {UUID(int=5): [Mood.GOOD]}),
    (set[int], {3, 1}),
    (frozenset[str], frozenset({"a"})),
    (set[tuple[int, str]], {(1, "a")}),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2, 3)),
    *((Optional[int], one) for one in [None, 5]),  # noqa: UP045 # the older form
    *((Union[int, str], one) for one in [5, "5"]),  # noqa: UP007 # the older form
    *((int | float | bool | None, one) for one in [1, 1.0, True, None, 1e22]),
    *((Decimal | float, one) for one in [Decimal("1.5"), 1.5]),
    *((str | datetime, one) for one in ["x", "2024-01-01T00:00:00"]),
    *((Literal["a", 1], one) for one in ["a", 1]),
    (Annotated[int, pydantic.Field(gt=0)], 5),
    (Address, Address(city="Paris", rooms=[1], ratio=1e22)),
    (list[Address], [Address(), Address(city="Oslo")]),
    (dict[str, Address | None], {"a": Address(), "b": None}),
    (Point, Point(1, ["a"])),
    (Movie, {"title": "M", "year": 1931}),
]


@pytest.mark.parametrize(("hint", "value"), KEPT)
def test_a_value_comes_back_as_it_was_with_its_type(store, hint, value):
    obj = new(hint)
    obj.field = value
    assert obj.field == value
    obj.session.commit()
    found = fresh(obj).field
    assert found == value
    assert type(found) is type(value)
    assert repr(found) == repr(value) or "datetime" in repr(value)  # types inside
    obj.refresh()
    assert obj._record.change() is None


SURROGATE = "\ud800"
REFUSED = [
    *((int, one) for one in ["5", 1.0, True, None, 10**5_000, -(10**4_300), [1]]),
    *((float, one) for one in ["1", math.nan, math.inf, -math.inf]),
    *((str, one) for one in [5, b"x", "a\x00b", SURROGATE, "x" * 1_000_001]),
    *((bytes, one) for one in ["x", b"x" * 1_000_000]),
    (bool, 1),
    (datetime, "2024-01-01T00:00:00"),
    (datetime, datetime(1890, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))),  # 53 minutes, 28 seconds
    (Decimal, Decimal("NaN")),
    (Decimal, 1.5),
    (Color, "red"),
    (Mood, "good"),
    (Literal["a"], "b"),
    *((list[int], one) for one in [(1,), {1}, ["1"], [1, None], [10**5_000], [True]]),
    *((list[float], one) for one in [[1.0, math.nan], [math.inf]]),
    *((dict[str, int], one) for one in [{1: 1}, {"a\x00": 1}, {SURROGATE: 1}, {"a": "1"}]),
    *((dict[float, int], one) for one in [{math.nan: 1}]),
    (dict[tuple[int, int], str], {(1, 2): "a"}),
    (dict[str | int, int], {1: 2}),
    *(
        (Any, one)
        for one in [math.nan, [math.inf], {"a": [math.nan]}, "\x00", [SURROGATE], 10**5_000]
    ),
    *(
        (Any, one)
        for one in [(1, 2), {1}, {1: 2}, datetime(2024, 1, 1, tzinfo=UTC), b"x", object(), len]
    ),
    *((Any, one) for one in [nested(101), nested(5_000), "x" * 1_000_001, Address(), [Mood.GOOD]]),
    *((list, one) for one in [[(1,)], [object()], nested(5_000)]),
    *((datetime | str, one) for one in ["2024-01-01T00:00:00"]),
    *((str | datetime, one) for one in [datetime(2024, 1, 1, tzinfo=UTC)]),
    *((Address, one) for one in [{"city": 5}, Palace(), Address(ratio=math.nan)]),
    (Address, Address.model_construct(city=5)),
    (list[Address], [Palace()]),
    (pydantic.SecretStr, pydantic.SecretStr("x")),
    (Annotated[int, pydantic.Field(gt=0)], 0),
    (Annotated[str, pydantic.AfterValidator(lambda text: text + "!")], "x"),
]


@pytest.mark.parametrize(("hint", "value"), REFUSED, ids=lambda one: repr(type(one)))
def test_what_a_field_cannot_keep_is_refused_when_it_is_assigned(hint, value):
    obj = new(hint)
    with pytest.raises(StateTypeError, match=r"^One\.field: ") as caught:
        obj.field = value
    assert (caught.value.class_name, caught.value.field) == ("One", "field")
    assert isinstance(caught.value, TypeError)
    assert "field" not in obj._record.state


def test_a_field_keeps_its_value_when_another_one_is_refused():
    obj = new(list[int], [1])
    with pytest.raises(StateTypeError, match=r"field: 1: Input should be a valid integer, not str"):
        obj.field = [1, "x"]
    assert obj.field == [1]


def test_a_list_that_holds_itself_is_refused():
    value: list[Any] = []
    value.append(value)
    for hint in (Any, list):
        with pytest.raises(StateTypeError):
            new(hint).field = value


IN_PLACE = [
    (list[int], [1], lambda field: field.append("x")),
    (list[int], [1], lambda field: field.append(10**5_000)),
    (list[Annotated[int, pydantic.Field(gt=0)]], [1], lambda field: field.append(-1)),
    (list[float], [1.0], lambda field: field.append(math.nan)),
    (list[Decimal], [], lambda field: field.append(Decimal("NaN"))),
    (list[Mood], [], lambda field: field.append("bad")),
    (list[str], [], lambda field: field.append("\x00")),
    (dict[int, str], {}, lambda field: field.update(a="x")),
    (dict[str, list[int]], {"a": []}, lambda field: field["a"].append(None)),
    (set[int], {1}, lambda field: field.add("x")),
    (Any, {"a": []}, lambda field: field["a"].append(math.inf)),
    (Any, [], lambda field: field.append((1, 2))),
    (list, [], lambda field: field.append(field)),
    (list, [], lambda field: field.append(nested(5_000))),
    (list, [], lambda field: field.append(object())),
    (Address, Address(), lambda field: setattr(field, "city", 5)),
    (Address, Address(), lambda field: field.rooms.append("x")),
    (list[Address], [], lambda field: field.append(Palace())),
    (Point, Point(1), lambda field: setattr(field, "x", "y")),
]


@pytest.mark.parametrize(("hint", "value", "spoil"), IN_PLACE)
def test_a_wrong_value_put_inside_is_refused_by_the_commit_and_nothing_is_written(
    by_hand, hint, value, spoil
):
    obj, other = new(hint, value), new(int, 0)
    obj.session.commit()
    rows = list(StoredObject.objects.order_by("object_id").values())
    other.field = 5
    spoil(obj.field)
    with pytest.raises(StateTypeError, match=r"^One\.field: "):
        obj.session.commit()
    assert list(StoredObject.objects.order_by("object_id").values()) == rows
    obj.field = value
    obj.session.commit()
    assert fresh(obj).field == value
    assert fresh(other).field == 5


def test_fields_that_are_too_large_together_are_refused_by_the_commit(store):
    obj = new(list[str], [])
    obj.session.commit()
    obj.field.extend(["x" * 600_000, "y" * 600_000])
    with pytest.raises(StateTypeError, match=r"One\.field: is 1,200,\d+ bytes of JSON"):
        obj.session.commit()
    assert fresh(obj).field == []


CHANGES = [
    (list, [], lambda field: field.append({"a": 1})),
    (list[int], [1], lambda field: field.clear()),
    (dict[str, list[int]], {"a": []}, lambda field: field["a"].append(5)),
    (set[int], {1}, lambda field: field.add(2)),
    (Any, {"a": {"b": []}}, lambda field: field["a"]["b"].append(1)),
    (tuple[list[int], int], ([], 1), lambda field: field[0].append(1)),
    (tuple, ([],), lambda field: field[0].append(1)),
    (Address, Address(), lambda field: setattr(field, "city", "Oslo")),
    (Address, Address(), lambda field: field.rooms.append(5)),
    (dict[str, list[Address]], {"a": [Address()]}, lambda field: field["a"][0].rooms.append(5)),
    (Point, Point(1), lambda field: field.tags.append("x")),
    (Movie, {"title": "M", "year": 1931}, lambda field: field.update(year=5)),
]


@pytest.mark.parametrize(("hint", "value", "change"), CHANGES)
def test_a_change_inside_is_noticed_by_the_commit(store, hint, value, change):
    if hint is tuple:
        value = (value[0], "x")
    obj = new(hint) if hint is tuple else new(hint, value)
    if hint is tuple:
        with pytest.raises(StateTypeError):
            obj.field = [1]
        obj.field = value
    obj.session.commit()
    before = copy.deepcopy(obj.field)
    change(obj.field)
    assert obj.field != before
    obj.session.commit()
    assert fresh(obj).field == obj.field
    assert new(hint, value).field == before  # the default is another one


def test_what_was_assigned_is_not_shared(store):
    for hint, value in [(list[int], [1]), (Any, [1]), (list, [[1]]), (dict[str, Any], {"a": [1]})]:
        obj = new(hint)
        given = copy.deepcopy(value)
        obj.field = given
        obj.session.commit()
        given.clear()
        obj.session.commit()
        assert obj.field == fresh(obj).field == value
    obj = new(Address)
    obj.field = given = Address()
    given.rooms.append(5)
    assert obj.field.rooms == []


def test_a_default_is_copied_for_each_object_and_a_factory_runs_for_each():
    for default in (
        [[1]],
        pydantic.Field(default=[[1]]),
        pydantic.Field(default_factory=lambda: [[1]]),
    ):
        one = new(list[list[int]], default)
        one.field[0].append(2)
        assert type(one).create().field == [[1]]
    numbers = iter(range(9))
    one = new(int, pydantic.Field(default_factory=lambda: next(numbers)))
    assert [one.field, type(one).create().field, type(one).create().field] == [0, 1, 2]
    with pytest.raises(StateTypeError, match=r"One\.field"):
        new(int, pydantic.Field(default_factory=lambda: "x"))


def test_constraints_hold_wherever_they_are_written():
    for obj in (
        new(int, pydantic.Field(default=5, gt=0, lt=9)),
        new(Annotated[int, pydantic.Field(gt=0, lt=9)], 5),
        new(Annotated[int, pydantic.Field(default=5, gt=0)], pydantic.Field(lt=9)),
    ):
        assert obj.field == 5 or "field" not in obj._record.state
        for wrong in (0, 9):
            with pytest.raises(StateTypeError):
                obj.field = wrong
        obj.field = 8


def test_a_field_without_a_default_has_no_value_until_it_gets_one(store):
    obj = new(int)
    with pytest.raises(AttributeError, match=r"One\.field has no value yet"):
        obj.field  # noqa: B018
    obj.session.commit()
    assert not hasattr(fresh(obj), "field")
    with pytest.raises(AttributeError, match="assign another value"):
        del obj.field


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_an_object_cannot_be_copied_or_pickled(duplicate):
    obj = new(int, 1)
    for one in (obj, [obj]):
        if duplicate is copy.copy and one is not obj:
            continue
        with pytest.raises(TypeError, match="pass its object_id and load it"):
            duplicate(one)
