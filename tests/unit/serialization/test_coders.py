"""Coders of state values. The bytes were written by PyFlink 2.3 into a canonical savepoint."""

# ruff: noqa: DTZ001 - SQL timestamps have no time zone

from __future__ import annotations

import array
import datetime as dt
import pickle
from decimal import Decimal

import pytest

from millpond.common import Instant, Row, RowKind, Types
from millpond.common.typeinfo import ExternalTypeInfo, LocalTimeTypeInfo
from millpond.errors import SerializationError
from millpond.serialization.coders import coder_for

STRING, LONG, INT, DOUBLE = Types.STRING(), Types.LONG(), Types.INT(), Types.DOUBLE()
BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())


def row(*values, names=None):
    made = Row(*values)
    made.set_field_names(names or [f"f{position}" for position in range(len(values))])
    return made


FLINK_BYTES = [
    (
        Types.PICKLED_BYTE_ARRAY(),
        [1, "two", (3.0,), None],
        "0000002480049519000000000000005d94284b018c0374776f9447400800000000000085944e652e",
    ),
    (
        STRING,
        "grüße 世界 \U0001f600 \x00 nul",
        "000000196772c3bcc39f6520e4b896e7958c20f09f98802000206e756c",
    ),
    (LONG, 2**63 - 1, "7fffffffffffffff"),
    (INT, -(2**31), "80000000"),
    (Types.SHORT(), -32768, "8000"),
    (Types.BYTE(), -128, "80"),
    (DOUBLE, 0.1, "3fb999999999999a"),
    (Types.FLOAT(), 1.5, "3fc00000"),
    (Types.BOOLEAN(), True, "01"),
    (Types.ROW([STRING, LONG, Types.BOOLEAN()]), row("r", None, True), "10000000017201"),
    (
        Types.ROW_NAMED(["city", "size"], [STRING, INT]),
        row("Köln", 3, names=["city", "size"]),
        "00000000054bc3b66c6e00000003",
    ),
    (Types.TUPLE([STRING, INT, DOUBLE]), ("t", 5, -0.0), "0000000174000000058000000000000000"),
    (
        Types.TUPLE([LONG, Types.ROW([STRING, Types.TUPLE([INT, INT])])]),
        (9, row("in", (1, 2))),
        "00000000000000090000000002696e0000000100000002",
    ),
    (Types.LIST(STRING), ["a", "", "c"], "000000030100000001610100000000010000000163"),
    (
        Types.MAP(STRING, LONG),
        {"x": 1, "y": None},
        "000000020000000178000000000000000001000000017901",
    ),
    (BYTES, b"\x00\xff\x7f", "0000000300ff7f"),
    (Types.PRIMITIVE_ARRAY(INT), [1, -2, 3], "0000000300000001fffffffe00000003"),
    (Types.BASIC_ARRAY(STRING), ["p", None, "q"], "0000000301000000017000010000000171"),
    (Types.BASIC_ARRAY(LONG), [5, None], "0000000201000000000000000500"),
    (Types.BIG_INT(), 2**62, "4000000000000000"),
    (
        Types.BIG_DEC(),
        Decimal("12345678901234567890.123456789"),
        "0000001e31323334353637383930313233343536373839302e313233343536373839",
    ),
    (Types.SQL_DATE(), dt.date(1969, 7, 20), "ffffff5b"),
    (Types.SQL_TIME(), dt.time(23, 59, 58, 123000), "052654ab"),
    (Types.SQL_TIMESTAMP(), dt.datetime(2021, 2, 3, 4, 5, 6, 789000), "000001776610b465"),
    (Types.CHAR(), "c", "0000000163"),
    (
        Types.OBJECT_ARRAY(STRING),
        ["p", None, "q"],
        "0000000301000000017000010000000171",
    ),
    (Types.OBJECT_ARRAY(Types.TUPLE([STRING, INT])), [("a", 1)], "0000000101000000016100000001"),
    (Types.PRIMITIVE_ARRAY(Types.BOOLEAN()), [True, False], "000000020100"),
    (Types.PRIMITIVE_ARRAY(DOUBLE), [1.5], "000000013ff8000000000000"),
    (Types.LIST(Types.LIST(INT)), [[1], []], "00000002010000000101000000010100000000"),
    (
        Types.MAP(STRING, Types.LIST(LONG)),
        {"k": [1, 2]},
        "00000001000000016b0000000002010000000000000001010000000000000002",
    ),
    (Types.INSTANT(), Instant(1_600_000_000, 123_456_789), "000000005f5e1000075bcd15"),
]


@pytest.mark.parametrize(
    ("type_info", "value", "text"), FLINK_BYTES, ids=[str(case[0]) for case in FLINK_BYTES]
)
def test_bytes_are_those_of_pyflink(type_info, value, text):
    coder = coder_for(type_info)
    data = bytes.fromhex(text)
    assert coder.encode(value) == data
    decoded, end = coder.decode_from(b"??" + data + b"rest", 2)
    assert repr(decoded) == repr(value)
    assert end == 2 + len(data)


@pytest.mark.parametrize(
    ("type_info", "value", "text"), FLINK_BYTES, ids=[str(case[0]) for case in FLINK_BYTES]
)
def test_every_cut_is_noticed(type_info, value, text):
    coder = coder_for(type_info)
    data = bytes.fromhex(text)
    for length in range(len(data)):
        with pytest.raises(SerializationError, match="do not hold a value"):
            coder.decode(data[:length])


@pytest.mark.parametrize(
    ("type_info", "value", "path", "declared", "value_type"),
    [
        (Types.BYTE(), 128, "$", "BYTE", "int"),
        (Types.SHORT(), -32769, "$", "SHORT", "int"),
        (INT, 2**31, "$", "INT", "int"),
        (LONG, 2**63, "$", "LONG", "int"),
        (Types.BIG_INT(), 2**63, "$", "BIG_INT", "int"),
        (LONG, 1.0, "$", "LONG", "float"),
        (LONG, None, "$", "LONG", "NoneType"),
        (Types.FLOAT(), 1e300, "$", "FLOAT", "float"),
        (DOUBLE, "1", "$", "DOUBLE", "str"),
        (Types.BOOLEAN(), "yes", "$", "BOOLEAN", "str"),
        (Types.BOOLEAN(), 2, "$", "BOOLEAN", "int"),
        (STRING, b"a", "$", "STRING", "bytes"),
        (STRING, "\ud800", "$", "STRING", "str"),
        (Types.CHAR(), "ab", "$", "CHAR", "str"),
        (BYTES, "a", "$", "PRIMITIVE_ARRAY<BYTE>", "str"),
        (Types.BIG_DEC(), 0.5, "$", "BIG_DEC", "float"),
        (Types.BIG_DEC(), Decimal("NaN"), "$", "BIG_DEC", "decimal.Decimal"),
        (Types.SQL_DATE(), dt.datetime(2020, 1, 1), "$", "SQL_DATE", "datetime.datetime"),
        (Types.SQL_TIME(), dt.time(1, tzinfo=dt.UTC), "$", "SQL_TIME", "datetime.time"),
        (
            Types.SQL_TIMESTAMP(),
            dt.datetime(2020, 1, 1, microsecond=1),
            "$",
            "SQL_TIMESTAMP",
            "datetime.datetime",
        ),
        (Types.INSTANT(), 5, "$", "INSTANT", "int"),
        (Types.TUPLE([LONG, LONG]), (1, "x"), "$.f1", "LONG", "str"),
        (Types.TUPLE([LONG, LONG]), (1,), "$", "TUPLE<LONG, LONG>", "tuple"),
        (Types.TUPLE([LONG, LONG]), {1: 2, 3: 4}, "$", "TUPLE<LONG, LONG>", "dict"),
        (Types.TUPLE([STRING, LONG]), "ab", "$", "TUPLE<STRING, LONG>", "str"),
        (Types.TUPLE([STRING, LONG]), ("a", None), "$.f1", "LONG", "NoneType"),
        (Types.TUPLE([STRING, LONG, LONG]), ("a", 1), "$", "TUPLE<STRING, LONG, LONG>", "tuple"),
        (Types.TUPLE([STRING, LONG, LONG]), ("a", 1, "x"), "$.f2", "LONG", "str"),
        (Types.ROW([LONG]), (1,), "$", "ROW<LONG>", "tuple"),
        (Types.ROW([LONG]), Row(1, 2), "$", "ROW<LONG>", "millpond.common.types.Row"),
        (Types.ROW_NAMED(["a"], [LONG]), Row(a="x"), "$.a", "LONG", "str"),
        (
            Types.ROW_NAMED(["a"], [LONG]),
            Row(b=1),
            "$",
            "ROW<a: LONG>",
            "millpond.common.types.Row",
        ),
        (Types.LIST(LONG), {1}, "$", "LIST<LONG>", "set"),
        (Types.LIST(LONG), [1, None, "x"], "$[2]", "LONG", "str"),
        (Types.PRIMITIVE_ARRAY(LONG), [1, None], "$[1]", "LONG", "NoneType"),
        (Types.PRIMITIVE_ARRAY(Types.BOOLEAN()), [True, 7], "$[1]", "BOOLEAN", "int"),
        (Types.MAP(STRING, LONG), {"a": "x"}, "$['a']", "LONG", "str"),
        (Types.MAP(STRING, LONG), {5: 1}, "$.key(5)", "STRING", "int"),
        (Types.MAP(STRING, LONG), [("a", 1)], "$", "MAP<STRING, LONG>", "list"),
        (
            Types.TUPLE([LONG, Types.ROW([STRING, Types.LIST(INT)])]),
            (1, Row("a", [1, 2, "x"])),
            "$.f1.f1[2]",
            "INT",
            "str",
        ),
    ],
)
def test_wrong_value_is_named(type_info, value, path, declared, value_type):
    with pytest.raises(SerializationError, match="does not fit its declared type") as caught:
        coder_for(type_info).encode(value)
    context = caught.value.context
    assert (context["path"], context["declared_type"], context["value_type"]) == (
        path,
        declared,
        value_type,
    )


@pytest.mark.parametrize(
    ("type_info", "data"),
    [
        (STRING, b"\xff\xff\xff\xff"),
        (STRING, b"\x00\x00\x00\x01\xff"),
        (BYTES, b"\x80\x00\x00\x00"),
        (Types.LIST(STRING), b"\x7f\xff\xff\xff"),
        (Types.LIST(STRING), b"\xff\xff\xff\xff"),
        (Types.PRIMITIVE_ARRAY(LONG), b"\x7f\xff\xff\xff" + bytes(64)),
        (Types.MAP(STRING, LONG), b"\x7f\xff\xff\xff" + bytes(64)),
        (Types.BIG_DEC(), b"\x00\x00\x00\x03NaN"),
        (Types.BIG_DEC(), b"\x00\x00\x00\x01x"),
        (Types.SQL_DATE(), b"\x7f\xff\xff\xff"),
        (Types.SQL_TIME(), b"\x7f\xff\xff\xff"),
        (Types.SQL_TIMESTAMP(), b"\x7f" + bytes(7)),
        (Types.INSTANT(), bytes(8) + b"\x7f\xff\xff\xff"),
        (None, b"\x00\x00\x00\x02\x80\x04"),
        (Types.MAP(Types.LIST(LONG), LONG), b"\x00\x00\x00\x01" + bytes(4) + b"\x01"),
    ],
)
def test_impossible_bytes_are_refused(type_info, data):
    with pytest.raises(SerializationError, match="do not hold a value"):
        coder_for(type_info).decode(data)


def test_no_type_means_pickled():
    coder = coder_for(None)
    assert (coder.signature, coder.pickled, coder.immutable) == ("PICKLED", True, False)
    assert coder.decode(coder.encode({"a": {1, 2}})) == {"a": {1, 2}}


def test_pickled_falls_back_to_cloudpickle():
    coder = coder_for(None)
    assert coder.decode(coder.encode(lambda number: number + 1))(1) == 2


def test_unpicklable_value_is_refused():
    import threading

    with pytest.raises(SerializationError, match="cannot be pickled") as caught:
        coder_for(None).encode(threading.Lock())
    assert "open()" in caught.value.hint


def test_attributes_are_nested():
    pickled = Types.PICKLED_BYTE_ARRAY()
    assert coder_for(Types.MAP(STRING, Types.LIST(pickled))).pickled
    assert coder_for(Types.ROW([pickled])).pickled
    assert coder_for(Types.TUPLE([LONG, pickled])).pickled
    assert not coder_for(Types.MAP(STRING, Types.ROW([LONG]))).pickled
    assert coder_for(Types.TUPLE([LONG, Types.TUPLE([STRING, BYTES])])).immutable
    assert not coder_for(Types.TUPLE([LONG, Types.LIST(STRING)])).immutable
    assert not coder_for(Types.ROW([LONG])).immutable


def test_copy_is_independent():
    coder = coder_for(Types.LIST(LONG))
    value = [1, 2]
    copied = coder.copy(value)
    assert copied == value
    assert copied is not value


def test_row_kind_and_nulls_survive():
    types = [LONG] * 9
    coder = coder_for(Types.ROW(types))
    for kind in RowKind:
        value = Row.of_kind(kind, 1, None, 3, 4, 5, 6, None, None, 9)
        data = coder.encode(value)
        assert data[0] >> 6 == {0: 0, 1: 2, 2: 1, 3: 3}[kind.value]
        assert len(data) == 2 + 6 * 8
        assert coder.decode(data) == value


def test_row_is_written_in_declared_order():
    coder = coder_for(Types.ROW_NAMED(["a", "b"], [LONG, STRING]))
    assert coder.encode(Row(b="x", a=1)) == coder.encode(Row(1, "x"))
    assert coder.decode(coder.encode(Row(b="x", a=1))).as_dict() == {"a": 1, "b": "x"}


def test_lists_pass_as_tuples_and_tuples_as_lists():
    pair = coder_for(Types.TUPLE([STRING, LONG]))
    assert pair.decode(pair.encode(["a", 1])) == ("a", 1)
    assert pair.decode(pair.encode(Row("a", 1))) == ("a", 1)
    longs = coder_for(Types.PRIMITIVE_ARRAY(LONG))
    assert longs.decode(longs.encode((1, 2))) == [1, 2]
    assert longs.decode(longs.encode(array.array("q", [1, 2]))) == [1, 2]


def test_precision_below_the_type_is_cut_off():
    times = coder_for(Types.SQL_TIME())
    assert times.decode(times.encode(dt.time(1, 2, 3, 4567))) == dt.time(1, 2, 3, 4000)
    floats = coder_for(Types.FLOAT())
    assert floats.decode(floats.encode(0.1)) == pytest.approx(0.1)


def test_timestamps_before_the_epoch():
    coder = coder_for(Types.SQL_TIMESTAMP())
    value = dt.datetime(1969, 12, 31, 23, 59, 59, 500000)
    assert coder.encode(value) == (-500).to_bytes(8, "big", signed=True)
    assert coder.decode(coder.encode(value)) == value


def test_null_instant():
    coder = coder_for(Types.INSTANT())
    assert coder.decode(coder.encode(None)) is None


def test_external_type_is_transparent():
    coder = coder_for(ExternalTypeInfo(LONG))
    assert coder.encode(1) == coder_for(LONG).encode(1)


def test_coder_survives_pickling():
    coder = pickle.loads(pickle.dumps(coder_for(Types.LIST(LONG))))
    assert coder.signature == "LIST<LONG>"
    assert coder.decode(coder.encode([1])) == [1]
    assert coder.schema() == "LIST<LONG>"


@pytest.mark.parametrize(
    "type_info", [LocalTimeTypeInfo(LocalTimeTypeInfo.TimeType.LOCAL_DATE), int, "LONG"]
)
def test_what_cannot_be_a_type(type_info):
    with pytest.raises(SerializationError) as caught:
        coder_for(type_info)
    assert "millpond.common.Types" in caught.value.hint
