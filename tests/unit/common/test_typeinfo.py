"""Declared types: signatures, equality, and PyFlink's internal values."""

# ruff: noqa: DTZ001 - SQL timestamps have no time zone

from __future__ import annotations

import datetime as dt
import pickle

import pytest

from millpond.common import Instant, Row, RowKind, Types
from millpond.common.typeinfo import BasicType, ExternalTypeInfo, LocalTimeTypeInfo
from millpond.errors import UnsupportedOperationError

ALL = {
    "STRING": Types.STRING(),
    "BYTE": Types.BYTE(),
    "BOOLEAN": Types.BOOLEAN(),
    "SHORT": Types.SHORT(),
    "INT": Types.INT(),
    "LONG": Types.LONG(),
    "FLOAT": Types.FLOAT(),
    "DOUBLE": Types.DOUBLE(),
    "CHAR": Types.CHAR(),
    "BIG_INT": Types.BIG_INT(),
    "BIG_DEC": Types.BIG_DEC(),
    "INSTANT": Types.INSTANT(),
    "SQL_DATE": Types.SQL_DATE(),
    "SQL_TIME": Types.SQL_TIME(),
    "SQL_TIMESTAMP": Types.SQL_TIMESTAMP(),
    "PICKLED": Types.PICKLED_BYTE_ARRAY(),
    "ROW<STRING, LONG>": Types.ROW([Types.STRING(), Types.LONG()]),
    'ROW<city: STRING, "the size": INT>': Types.ROW_NAMED(
        ["city", "the size"], [Types.STRING(), Types.INT()]
    ),
    "TUPLE<STRING, TUPLE<INT>>": Types.TUPLE([Types.STRING(), Types.TUPLE([Types.INT()])]),
    "PRIMITIVE_ARRAY<BYTE>": Types.PRIMITIVE_ARRAY(Types.BYTE()),
    "BASIC_ARRAY<STRING>": Types.BASIC_ARRAY(Types.STRING()),
    "OBJECT_ARRAY<SQL_DATE>": Types.OBJECT_ARRAY(Types.SQL_DATE()),
    "LIST<LONG>": Types.LIST(Types.LONG()),
    "MAP<STRING, LIST<LONG>>": Types.MAP(Types.STRING(), Types.LIST(Types.LONG())),
    "TYPED<millpond.common.types.Row>": Types.TYPED(Row),
    "LOCAL_DATE": LocalTimeTypeInfo(LocalTimeTypeInfo.TimeType.LOCAL_DATE),
}


@pytest.mark.parametrize("signature", ALL)
def test_signature_identity_and_pickling(signature):
    type_info = ALL[signature]
    assert type_info.signature == signature
    again = pickle.loads(pickle.dumps(type_info))
    assert again == type_info
    assert hash(again) == hash(type_info)
    assert [other for other in ALL.values() if other == type_info] == [type_info]
    assert type_info != signature
    with pytest.raises(UnsupportedOperationError, match="JVM"):
        type_info.get_java_type_info()


def test_text_is_like_pyflink():
    row = Types.ROW_NAMED(["a", "b"], [Types.STRING(), Types.INT()])
    assert str(row) == "RowTypeInfo(a: String, b: Integer)"
    assert str(Types.TUPLE([Types.LONG(), Types.DOUBLE()])) == "TupleTypeInfo(Long, Double)"
    assert str(Types.PICKLED_BYTE_ARRAY()) == "PickledByteArrayTypeInfo"


def test_row_type_describes_its_fields():
    row = Types.ROW_NAMED(["a", "b"], [Types.STRING(), Types.INT()])
    assert row.get_field_names() == ["a", "b"]
    assert row.get_field_types() == [Types.STRING(), Types.INT()]
    assert (row.get_field_index("b"), row.get_field_index("c")) == (1, -1)
    assert Types.ROW([Types.INT()]).get_field_names() == ["f0"]
    assert Types.ROW([Types.INT()]) == Types.ROW_NAMED(["f0"], [Types.INT()])


def test_impossible_types():
    with pytest.raises(ValueError, match="1 field names for 2"):
        Types.ROW_NAMED(["a"], [Types.INT(), Types.INT()])
    with pytest.raises(ValueError, match="twice"):
        Types.ROW_NAMED(["a", "a"], [Types.INT(), Types.INT()])
    with pytest.raises(TypeError, match="primitive"):
        Types.PRIMITIVE_ARRAY(Types.STRING())
    with pytest.raises(TypeError, match="boxed"):
        Types.BASIC_ARRAY(Types.LIST(Types.INT()))


def test_parts_of_collections():
    assert Types.LIST(Types.INT()).elem_type == Types.INT()
    assert Types.OBJECT_ARRAY(Types.INT()).element_type == Types.INT()
    mapping = Types.MAP(Types.STRING(), Types.INT())
    assert (mapping.key_type_info, mapping.value_type_info) == (Types.STRING(), Types.INT())
    assert Types.STRING().basic_type is BasicType.STRING
    assert ExternalTypeInfo(Types.INT()).type_info == Types.INT()
    assert Types.TYPED(Row).record_class is Row


@pytest.mark.parametrize(
    ("type_info", "value", "internal"),
    [
        (Types.SQL_DATE(), dt.date(1970, 1, 3), 2),
        (Types.INSTANT(), Instant(-1, 5000), -999_995),
        (Types.TUPLE([Types.SQL_DATE(), Types.INT()]), (dt.date(1970, 1, 2), 7), (1, 7)),
        (
            Types.ROW([Types.SQL_DATE(), Types.STRING()]),
            Row.of_kind(RowKind.DELETE, dt.date(1970, 1, 2), "x"),
            (3, 1, "x"),
        ),
    ],
)
def test_internal_values(type_info, value, internal):
    assert type_info.need_conversion()
    assert type_info.to_internal_type(value) == internal
    assert type_info.from_internal_type(internal) == value
    assert type_info.to_internal_type(None) is None
    assert type_info.from_internal_type(None) is None


@pytest.mark.parametrize(
    ("type_info", "value"),
    [
        (Types.SQL_TIME(), dt.time(1, 2, 3, 456)),
        (Types.SQL_TIMESTAMP(), dt.datetime(2021, 7, 2, 3, 4, 5, 678901)),
    ],
)
def test_local_times_come_back(type_info, value):
    assert type_info.from_internal_type(type_info.to_internal_type(value)) == value
    assert type_info.to_internal_type(None) is None
    assert type_info.from_internal_type(None) is None


def test_zoned_times_count_from_utc():
    zone = dt.timezone(dt.timedelta(hours=2))
    assert Types.SQL_TIME().to_internal_type(dt.time(2, 0, 1, tzinfo=zone)) == 1_000_000
    stamp = dt.datetime(1970, 1, 1, 2, 0, 1, 5, tzinfo=zone)
    assert Types.SQL_TIMESTAMP().to_internal_type(stamp) == 1_000_005


def test_row_type_takes_dictionaries_and_objects():
    row = Types.ROW_NAMED(["a", "b"], [Types.INT(), Types.STRING()])

    class Thing:
        def __init__(self):
            self.a = 1

    assert row.to_internal_type({"b": "x", "a": 1}) == (0, 1, "x")
    assert row.to_internal_type(Row(b="x", a=1)) == (0, 1, "x")
    assert row.to_internal_type((1, "x")) == (0, 1, "x")
    assert row.to_internal_type(Thing()) == (0, 1, None)
    with pytest.raises(ValueError, match="does not fit"):
        row.to_internal_type(5)
    with pytest.raises(ValueError, match="does not fit"):
        Types.TUPLE([Types.INT()]).to_internal_type(5)


def test_plain_types_need_no_conversion():
    assert not Types.LONG().need_conversion()
    assert Types.LONG().to_internal_type(5) == 5
    assert Types.LONG().from_internal_type(5) == 5
    assert not Types.TUPLE([Types.LONG()]).need_conversion()
