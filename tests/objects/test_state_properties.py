"""Whatever value a field takes comes back from a commit as it was."""

import enum
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from session_mgmt import StateTypeError
from session_mgmt.objects import OaasConfig, OaasObject, configure_oaas, get_global_oaas, oaas


class Color(enum.Enum):
    RED = "red"
    NONE = 0


class Part(pydantic.BaseModel):
    name: str = ""
    weights: list[float] = []


@oaas.service("AllKinds", package="tests")
class AllKinds(OaasObject):
    a_int: int = 0
    a_float: float = 0.0
    a_bool: bool = False
    a_str: str = ""
    a_bytes: bytes = b""
    a_datetime: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    a_date: date = date(2024, 1, 1)
    a_time: time = time(1)
    a_timedelta: timedelta = timedelta(0)
    a_uuid: UUID = UUID(int=0)
    a_decimal: Decimal = Decimal(0)
    a_color: Color = Color.RED
    a_list: list[float] = []
    a_dict: dict[str, bytes] = {}
    numbered: dict[int, str | None] = {}
    a_set: set[int] = set()
    frozen: frozenset[str] = frozenset()
    a_tuple: tuple[int, str | None] = (0, None)
    either: int | float | str | bool | None = None
    anything: Any = None
    part: Part = Part()
    parts: list[Part] = []


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
INTS = st.integers() | st.integers(-(10**60), 10**60)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
JSON = st.recursive(
    st.none() | st.booleans() | INTS | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
PARTS = st.builds(Part, name=TEXT, weights=st.lists(FLOATS, max_size=3))
VALUES = {
    "a_int": INTS,
    "a_float": FLOATS,
    "a_bool": st.booleans(),
    "a_str": TEXT,
    "a_bytes": st.binary(max_size=30),
    "a_datetime": st.datetimes() | st.datetimes(timezones=ZONES),
    "a_date": st.dates(),
    "a_time": st.times() | st.times(timezones=ZONES),
    "a_timedelta": st.timedeltas(),
    "a_uuid": st.uuids(),
    "a_decimal": st.decimals(allow_nan=False, allow_infinity=False),
    "a_color": st.sampled_from(Color),
    "a_list": st.lists(FLOATS, max_size=4),
    "a_dict": st.dictionaries(TEXT, st.binary(max_size=9), max_size=3),
    "numbered": st.dictionaries(INTS, st.none() | TEXT, max_size=3),
    "a_set": st.sets(INTS, max_size=4),
    "frozen": st.frozensets(TEXT, max_size=4),
    "a_tuple": st.tuples(INTS, st.none() | TEXT),
    "either": INTS | FLOATS | TEXT | st.booleans() | st.none(),
    "anything": JSON,
    "part": PARTS,
    "parts": st.lists(PARTS, max_size=2),
}
assert VALUES.keys() == AllKinds._schema.hints.keys()


def typed(value):
    """Return something that is equal for equal values of equal types only."""
    if isinstance(value, dict):
        return {key: typed(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return (type(value), [typed(one) for one in value])
    if isinstance(value, pydantic.BaseModel):
        return (type(value), typed(dict(value)))
    if isinstance(value, datetime | time):
        return (type(value), value.isoformat())
    return (type(value), value)


def comes_back(values):
    obj = AllKinds.create()
    for name, value in values.items():
        setattr(obj, name, value)
        assert typed(getattr(obj, name)) == typed(value)
    obj.session.commit()
    session = get_global_oaas().new_session()
    found = session.load_object(AllKinds.__cls_meta__, obj.object_id)
    for name, value in values.items():
        assert typed(getattr(found, name)) == typed(value), name
    assert found._record.change() is None
    found.refresh()
    found.a_bool = not found.a_bool
    session.commit()  # what was loaded can be written again


@given(st.fixed_dictionaries({}, optional=VALUES))
@settings(deadline=None, max_examples=150)
def test_any_values_come_back_in_memory(values):
    configure_oaas(OaasConfig(mock_mode=True, auto_commit=False))
    comes_back(values)


@pytest.mark.usefixtures("by_hand")
@given(st.fixed_dictionaries(VALUES))
@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_values_come_back_from_the_database(values):
    comes_back(values)


ODD = (
    JSON | st.binary() | st.datetimes() | st.floats() | st.text() | st.tuples(INTS) | st.sets(INTS)
)
ODD |= st.dictionaries(st.none() | INTS | st.text(max_size=3), st.floats(), max_size=3)


@given(st.sampled_from([*VALUES]), ODD | st.lists(ODD, max_size=2))
@settings(deadline=None, max_examples=400)
def test_any_value_is_refused_with_a_type_error_or_comes_back(name, value):
    configure_oaas(OaasConfig(mock_mode=True, auto_commit=False))
    obj = AllKinds.create()
    before = typed(getattr(obj, name))
    try:
        setattr(obj, name, value)
    except StateTypeError:
        assert typed(getattr(obj, name)) == before
        return
    comes_back({name: getattr(obj, name)})
    assert not isinstance(value, float) or math.isfinite(value)
