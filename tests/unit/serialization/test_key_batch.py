"""Keys of a batch: checked against the declared type, in the form that restored keys have."""

import datetime as dt
from decimal import Decimal

import pytest

from millpond.common import Row, Types
from millpond.errors import SerializationError
from millpond.serialization.key_batch import key_batch_form

LONG, TEXT = Types.LONG(), Types.STRING()


@pytest.mark.parametrize(
    ("declared", "keys", "expected"),
    [
        (LONG, [1, True, -(1 << 63)], [1, 1, -(1 << 63)]),
        (TEXT, ["a", "grüße"], ["a", "grüße"]),
        (Types.FLOAT(), [0.1, 1], [0.10000000149011612, 1.0]),
        (Types.DOUBLE(), [0.1, (1 << 53) + 1], [0.1, float(1 << 53)]),
        (Types.BIG_DEC(), [Decimal("1.0"), Decimal(1)], [Decimal("1.0"), Decimal(1)]),
        (Types.TUPLE([TEXT, LONG]), [("a", 1), ("a", True), ("b", 2)], [("a", 1)] * 2 + [("b", 2)]),
        (Types.ROW_NAMED(["x"], [LONG]), [Row(1), Row(x=1)], [Row(x=1)] * 2),
        (Types.SQL_TIME(), [dt.time(1, 2, 3, 4567)], [dt.time(1, 2, 3, 4000)]),
        (LONG, [], []),
    ],
)
def test_keys_have_the_form_of_restored_ones(declared, keys, expected):
    form = key_batch_form(declared)
    assert repr(form(keys)) == repr(expected).replace("1, 1, -", "1, True, -")
    assert form(keys) == expected


@pytest.mark.parametrize(
    ("declared", "key"),
    [
        (LONG, 1.0),
        (LONG, 1 << 63),
        (Types.BYTE(), 128),
        (TEXT, 5),
        (Types.FLOAT(), 1e300),
        (Types.DOUBLE(), "1"),
        (Types.TUPLE([TEXT, LONG]), ("a", 1.0)),
        (Types.TUPLE([TEXT, LONG]), ["a", []]),
        (Types.SQL_DATE(), dt.time()),
    ],
)
def test_a_key_of_another_type_is_refused(declared, key):
    good = {"LONG": 1, "STRING": "a"}.get(declared.signature)
    with pytest.raises(SerializationError, match="A key of type") as caught:
        key_batch_form(declared, "sum")([good, key] if good else [key])
    assert caught.value.context == {"operator": "sum", "key": repr(key)[:200]}
    assert caught.value.hint


def test_equal_keys_of_unequal_bytes_stay_apart():
    form = key_batch_form(Types.TUPLE([Types.BIG_DEC()]))
    assert repr(form([(Decimal("1.0"),), (Decimal(1),)])) == "[(Decimal('1.0'),), (Decimal('1'),)]"


def test_few_keys_are_remembered(monkeypatch):
    monkeypatch.setattr("millpond.serialization.key_batch._MOST_KNOWN", 2)
    form = key_batch_form(Types.TUPLE([LONG]))
    for first in range(0, 20, 4):
        keys = [(number,) for number in range(first, first + 4)]
        assert form(keys) == keys


def test_undeclared_keys_are_what_they_are():
    assert key_batch_form(None) is None
