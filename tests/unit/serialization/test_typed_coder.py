"""Record classes as declared types."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import NamedTuple, NotRequired, TypedDict

import msgspec
import pytest

from millpond.common import Types
from millpond.errors import SerializationError
from millpond.serialization.coders import coder_for


@dataclasses.dataclass
class Account:
    owner: str
    balance: int = 0
    opened: dt.date | None = None


@dataclasses.dataclass
class AccountLater:
    owner: str
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class AccountWithRequired:
    owner: str
    country: str


class Point(NamedTuple):
    x: int
    label: str = "here"


class PointLater(NamedTuple):
    label: str
    z: float = 1.5


class Event(TypedDict):
    name: str
    size: NotRequired[int]


class Order(msgspec.Struct):
    number: int
    account: Account


class Handle:
    pass


class Unstorable(NamedTuple):
    handle: Handle


class Conflicting(msgspec.Struct):
    either: Account | Order


@pytest.mark.parametrize(
    ("record_class", "value", "schema"),
    [
        (
            Account,
            Account("a", 1, dt.date(2020, 1, 2)),
            "Account(owner: str, balance: int, opened: datetime.date | None)",
        ),
        (Point, Point(3), "Point(x: int, label: str)"),
        (Event, {"name": "e"}, "Event(name: str, size: typing.NotRequired[int])"),
        (Order, Order(1, Account("b")), "Order(number: int, account: Account)"),
    ],
)
def test_round_trip(record_class, value, schema):
    coder = coder_for(record_class)
    data = coder.encode(value)
    assert coder.decode_from(b"x" + data + b"y", 1) == (value, 1 + len(data))
    assert type(coder.decode(data)) is type(value)
    assert coder.signature == f"TYPED<{record_class.__module__}.{record_class.__qualname__}>"
    assert coder.schema() == schema
    assert not coder.pickled
    assert coder_for(Types.LIST(Types.TYPED(record_class))).decode(
        coder_for(Types.LIST(Types.TYPED(record_class))).encode([value, None])
    ) == [value, None]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (Account("a", 7), AccountLater, AccountLater("a", [])),
        (Point(1, "there"), PointLater, PointLater("there", 1.5)),
    ],
)
def test_fields_may_be_added_with_defaults_and_dropped(old, new, expected):
    assert coder_for(new).decode(coder_for(type(old)).encode(old)) == expected


def test_added_field_without_default_is_explained():
    with pytest.raises(SerializationError, match="country") as caught:
        coder_for(AccountWithRequired).decode(coder_for(Account).encode(Account("a")))
    assert "default" in caught.value.hint


@pytest.mark.parametrize(
    ("record_class", "value", "message"),
    [
        (Account, Account(owner=5), "owner"),
        (Account, {"owner": "a"}, "Account is needed"),
        (Account, Account("a", balance=2**70), "fit"),
        (Point, ("a", 1), "Point is needed"),
        (Event, {"size": 1}, "name"),
    ],
)
def test_wrong_field_is_refused_when_written(record_class, value, message):
    with pytest.raises(SerializationError, match=message):
        coder_for(record_class).encode(value)


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00\x09ab", b"\x00\x00\x00\x01\xc1", b"\xff" * 9])
def test_damaged_bytes(data):
    with pytest.raises(SerializationError):
        coder_for(Account).decode(data)


def test_class_without_fields_is_refused():
    with pytest.raises(SerializationError, match="dataclass"):
        coder_for(Types.TYPED(int))


def test_unstorable_field_is_refused():
    with pytest.raises(SerializationError, match="Handle"):
        coder_for(Unstorable).encode(Unstorable(Handle()))


def test_undecidable_fields_are_refused_at_once():
    with pytest.raises(SerializationError, match="Conflicting"):
        coder_for(Conflicting)
