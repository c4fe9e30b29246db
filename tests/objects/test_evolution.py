"""Classes change and rows stay; a class that cannot work is refused when it is made."""

from __future__ import annotations

import enum
from typing import Any, ClassVar, Generic, TypeVar

import pydantic
import pytest

from session_mgmt import ConfigurationError, StateTypeError
from session_mgmt.models import StoredObject
from session_mgmt.objects import BaseObject, OaasObject, get_global_oaas, oaas

T = TypeVar("T")


class Address(pydantic.BaseModel):
    city: str = "Rome"


def declared(hints, /, *bases, _called="Evolving", **defaults):
    """Return a class as it would be written with these fields."""
    namespace = {"__annotations__": hints, "__module__": __name__, **defaults}
    return oaas.service(_called, package="tests")(type(_called, bases or (OaasObject,), namespace))


def stored(cls, /, **values):
    """Return the id of an object that was committed with some values."""
    obj = cls.create()
    for name, value in values.items():
        setattr(obj, name, value)
    obj.session.commit()
    return obj.object_id


def loaded(cls, object_id):
    return get_global_oaas().new_session().load_object(cls.__cls_meta__, object_id)


def test_a_field_that_came_later_has_its_default_in_old_rows(store):
    object_id = stored(declared({"a": "int"}, a=1), a=5)
    later = declared(
        {"a": "int", "b": "list[str]", "c": "list[int]"},
        a=1,
        b=["x"],
        c=pydantic.Field(default_factory=lambda: [3]),
    )
    obj = loaded(later, object_id)
    assert (obj.a, obj.b, obj.c) == (5, ["x"], [3])
    obj.b.append("y")
    obj.session.commit()
    assert loaded(later, object_id).b == ["x", "y"]
    assert later.create().b == ["x"]


def test_a_field_that_came_later_without_a_default_has_no_value_in_old_rows(store):
    object_id = stored(declared({"a": "int"}, a=1))
    obj = loaded(declared({"a": "int", "b": "int"}, a=1), object_id)
    with pytest.raises(AttributeError, match=r"Evolving\.b has no value yet"):
        obj.b  # noqa: B018
    obj.b = 5
    obj.session.commit()


def test_the_data_of_a_removed_field_is_kept_and_there_again_with_the_field(store):
    values = {"gone": {"x": [1, 1e22, None]}, "when": Address(city="Oslo"), "raw": b"\xff"}
    hints = {"a": "int", "gone": "Any", "when": "Address", "raw": "bytes"}
    old = declared(hints, a=1)
    object_id = stored(old, **values)
    new = declared({"a": "int"}, a=1)
    for number in (2, 3):
        obj = loaded(new, object_id)
        assert not hasattr(obj, "gone")
        obj.a = number
        obj.session.commit()
    back = loaded(old, object_id)
    assert {name: getattr(back, name) for name in values} == values
    assert back.a == 3


@pytest.mark.parametrize(
    ("hint", "value", "other"), [("str", "x", "int"), ("list[int]", [1], "dict[str, int]")]
)
def test_a_changed_type_is_told_by_the_load_with_class_and_field(store, hint, value, other):
    object_id = stored(declared({"a": "int", "field": hint}, a=1), field=value)
    with pytest.raises(
        StateTypeError, match=r"^Evolving\.field: the stored value does not"
    ) as caught:
        loaded(declared({"a": "int", "field": other}, a=1), object_id)
    assert (caught.value.class_name, caught.value.field) == ("Evolving", "field")
    assert loaded(declared({"a": "int", "field": f"{hint} | None"}, a=1), object_id).field == value


@pytest.mark.parametrize(
    "alias",
    [
        {"validation_alias": "old"},
        {"validation_alias": pydantic.AliasChoices("older", "old")},
        {"alias": "old"},
    ],
)
def test_a_renamed_field_takes_over_what_the_old_name_has(store, alias):
    object_id = stored(declared({"old": "list[int]"}, old=[]), old=[5])
    renamed = declared({"new": "list[int]"}, new=pydantic.Field(default=[], **alias))
    obj = loaded(renamed, object_id)
    assert obj.new == [5]
    obj.new.append(6)
    obj.session.commit()
    assert loaded(renamed, object_id).new == [5, 6]
    assert not hasattr(obj, "old")
    with pytest.raises(StateTypeError):
        obj.new = ["x"]
    plain = loaded(declared({"new": "list[int]", "old": "list[int]"}, old=[]), object_id)
    assert (plain.new, plain.old) == ([5, 6], [])


def test_a_row_that_is_no_object_is_told(by_hand):
    cls = declared({"a": "int"}, a=1)
    object_id = stored(cls)
    StoredObject.objects.update(state=[1])
    with pytest.raises(StateTypeError, match="does not fit"):
        loaded(cls, object_id)


OURS = {name for cls in (BaseObject, OaasObject) for name in vars(cls) if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(OURS | {"session"}))
def test_a_name_that_every_object_has_is_no_field(name):
    with pytest.raises(ConfigurationError, match=rf"Evolving\.{name} cannot be a field"):
        declared({name: "int"})


NAMES = ["json", "copy", "schema", "model_config", "dict", "list", "int", "class_name", "state"]
NAMES += ["version", "fields", "items", "keys", "name", "type", "id", "objects", "self", "cls"]
NAMES += ["model_fields", "model_extra", "validate", "values", "kind", "writer", "owner", "errors"]


def test_other_names_are_fields(store):
    for name in NAMES:
        cls = declared({name: "int | str", "other": "dict[str, int]"}, **{name: 1}, other={})
        object_id = stored(cls, **{name: "x"}, other={"a": 1})
        obj = loaded(cls, object_id)
        assert (getattr(obj, name), obj.other) == ("x", {"a": 1})


def test_class_variables_and_private_names_are_no_fields():
    class Kept(OaasObject):
        a: int = 1
        shared: ClassVar[list[int]] = []
        other: "ClassVar[Unknown]" = 5  # noqa: F821, UP037
        _private: "Unknown" = 7  # noqa: F821, UP037
        plain = 5

    assert [*Kept._schema.hints] == ["a"]
    assert (Kept.shared, Kept.other, Kept._private, Kept.plain) == ([], 5, 7, 5)


def test_fields_are_inherited_with_their_defaults_and_can_be_overridden(store):
    class Named:
        name: str = "?"
        tags: list[str] = []

    class First(OaasObject):
        a: int = pydantic.Field(default=1, gt=0)
        b: Address = Address()
        c: int = 3

    class Second(Named, First):
        a = 2
        c: str = "x"

        def __init_subclass__(cls, **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)

    class Local(pydantic.BaseModel):
        x: int = 5

    @oaas.service("EvolvingThird", package="tests")
    class Third(Second):
        d: Local = Local()
        b: ClassVar[int] = 9

    found = loaded(Third, stored(Third))
    assert {name: getattr(found, name) for name in Third._schema.hints} == {
        **{"a": 2, "c": "x", "name": "?", "tags": [], "d": Local()},
    }
    assert Third.b == 9
    for name, wrong in [("a", 0), ("c", 5), ("name", 5), ("d", Address())]:
        with pytest.raises(StateTypeError, match=rf"Third\.{name}"):
            setattr(found, name, wrong)
    assert declared({}, First).create().c == 3


def test_a_class_that_was_made_elsewhere_can_be_inherited(store):
    def made():
        class Hidden(pydantic.BaseModel):
            x: int = 1

        class Parent(OaasObject):
            hidden: Hidden = Hidden()

        return Parent

    cls = declared({"a": "int"}, made(), a=1)
    obj = loaded(cls, stored(cls))
    assert obj.hidden.x == 1


def test_a_generic_class_has_the_type_that_its_subclass_gives(store):
    class Box(OaasObject, Generic[T]):
        value: T
        values: list[T] = []

    @oaas.service("EvolvingIntBox", package="tests")
    class IntBox(Box[int]):
        pass

    obj = loaded(IntBox, stored(IntBox, value=5, values=[1]))
    assert (obj.value, obj.values) == (5, [1])
    for name, wrong in [("value", "x"), ("values", ["x"])]:
        with pytest.raises(StateTypeError, match=rf"IntBox\.{name}"):
            setattr(obj, name, wrong)


class Odd(enum.Enum):
    PAIR = (1, 2)


@pytest.mark.parametrize(
    ("hint", "default"),
    [
        ("int", "x"),
        ("int", None),
        ("list[int]", [1, "x"]),
        ("float", float("nan")),
        ("str", "a\x00b"),
        ("Any", object()),
        ("Any", (1, 2)),
        ("Odd", Odd.PAIR),
        ("int", pydantic.Field(default=0, gt=0)),
    ],
)
def test_a_default_that_the_field_cannot_have_is_refused_when_the_class_is_made(hint, default):
    with pytest.raises(ConfigurationError, match=r"^The default of Evolving\.field: "):
        declared({"a": "int", "field": hint}, field=default)


@pytest.mark.parametrize(
    "hint",
    [
        "OaasObject",  # keep its object_id
        "object()",
        "Unknown",
        "list['Unknown']",
        "list[int",
        "Address.missing",
        "pydantic.fields.FieldInfo",
        "pydantic.constr(pattern='(')",
        "pydantic.conint(multiple_of='x')",
    ],
)
def test_a_type_that_cannot_be_kept_is_refused_when_the_class_is_made(hint):
    with pytest.raises(ConfigurationError, match=r"^Evolving\.field cannot be a field: "):
        declared({"a": "int", "field": hint}, a=1)


def test_an_inherited_default_that_does_not_fit_a_new_type_is_refused():
    with pytest.raises(ConfigurationError, match=r"^The default of Evolving\.a: "):
        declared({"a": "str"}, declared({"a": "int"}, _called="EvolvingParent", a=1))
