"""Rows as JSON objects, by declared types and JSON schemas."""

from __future__ import annotations

import datetime as dt
import pickle
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.common import Row, Types
from millpond.datastream.formats.json import (
    JsonRowDeserializationSchema,
    JsonRowSerializationSchema,
)
from millpond.errors import InvalidProgramError, SerializationError

_BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
_INNER = Types.ROW_NAMED(["city", "size"], [Types.STRING(), Types.INT()])
_TYPES = {
    "flag": Types.BOOLEAN(),
    "byte": Types.BYTE(),
    "short": Types.SHORT(),
    "int": Types.INT(),
    "long": Types.LONG(),
    "double": Types.DOUBLE(),
    "text": Types.STRING(),
    "decimal": Types.BIG_DEC(),
    "big": Types.BIG_INT(),
    "date": Types.SQL_DATE(),
    "time": Types.SQL_TIME(),
    "timestamp": Types.SQL_TIMESTAMP(),
    "bytes": _BYTES,
    "array": Types.OBJECT_ARRAY(Types.STRING()),
    "list": Types.LIST(Types.LONG()),
    "map": Types.MAP(Types.STRING(), Types.DOUBLE()),
    "row": _INNER,
}
_ROW = Types.ROW_NAMED(list(_TYPES), list(_TYPES.values()))


def _reading(type_info, **settings):
    builder = JsonRowDeserializationSchema.builder().type_info(type_info)
    for name in settings:
        getattr(builder, name)()
    return builder.build()


def _writing(type_info):
    return JsonRowSerializationSchema.builder().with_type_info(type_info).build()


def _one(type_info):
    return Types.ROW_NAMED(["f"], [type_info])


def _integers(bits):
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


_VALUES = {
    "flag": st.booleans(),
    "byte": _integers(8),
    "short": _integers(16),
    "int": _integers(32),
    "long": _integers(64),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "text": st.text(),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False),
    "big": _integers(64),
    "date": st.dates(),
    "time": st.times(),
    "timestamp": st.datetimes(),
    "bytes": st.binary(),
    "array": st.lists(st.text() | st.none()),
    "list": st.lists(_integers(64)),
    "map": st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    "row": st.builds(lambda city, size: Row(city=city, size=size), st.text(), _integers(32)),
}


@settings(max_examples=25)
@given(st.tuples(*(values | st.none() for values in _VALUES.values())))
def test_what_is_written_is_read_back(values):
    row = Row(*values)
    row.set_field_names(list(_TYPES))
    again = _reading(_ROW).deserialize(_writing(_ROW).serialize(row))
    assert again == row
    assert again.as_dict().keys() == _TYPES.keys()


def test_the_bytes_are_those_of_flink():
    row = Row(
        flag=True, byte=1, short=2, int=3, long=4, double=1.5, text="ä", decimal=Decimal("1.50"),
        big=7, date=dt.date(2026, 1, 2), time=dt.time(3, 4, 5),
        timestamp=dt.datetime.fromisoformat("2026-01-02T03:04:05"), bytes=b"\x00\x01",
        array=["x", None], list=[1], map={"k": 0.5}, row=Row(city="Ulm", size=None),
    )  # fmt: skip
    assert _writing(_ROW).serialize(row).decode() == (
        '{"flag":true,"byte":1,"short":2,"int":3,"long":4,"double":1.5,"text":"ä",'
        '"decimal":1.50,"big":7,"date":"2026-01-02","time":"03:04:05Z",'
        '"timestamp":"2026-01-02T03:04:05Z","bytes":"AAE=","array":["x",null],"list":[1],'
        '"map":{"k":0.5},"row":{"city":"Ulm","size":null}}'
    )


@pytest.mark.parametrize(
    ("type_info", "text", "value"),
    [
        (Types.STRING(), "5", "5"),
        (Types.STRING(), '{"a": [1.50]}', '{"a":[1.50]}'),
        (Types.INT(), '" 7 "', 7),
        (Types.DOUBLE(), '"1e3"', 1000.0),
        (Types.BOOLEAN(), '"TRUE"', True),
        (Types.BOOLEAN(), '"yes"', False),
        (Types.BIG_DEC(), "0.10", Decimal("0.10")),
        (Types.LONG(), "null", None),
        (Types.LIST(Types.INT()), "[1, null]", [1, None]),
    ],
)
def test_values_are_converted_as_flink_converts_them(type_info, text, value):
    row = _reading(_one(type_info)).deserialize(b'{"f": ' + text.encode() + b"}")
    assert row == Row(f=value)
    assert type(row[0]) is type(value)


@pytest.mark.parametrize(
    ("type_info", "text", "reason"),
    [
        (Types.INT(), b'{"f": 2147483648}', "field 'f': 2147483648 is out of range"),
        (Types.INT(), b'{"f": true}', "True is no number"),
        (Types.INT(), b'{"f": 1.5}', "invalid literal"),
        (Types.DOUBLE(), b'{"f": false}', "False is no number"),
        (Types.BIG_DEC(), b'{"f": "x"}', "field 'f'"),
        (Types.SQL_DATE(), b'{"f": "soon"}', "field 'f'"),
        (_BYTES, b'{"f": "?"}', "field 'f'"),
        (_INNER, b'{"f": [1]}', r"\[1\] is no object"),
        (Types.LIST(Types.INT()), b'{"f": 1}', "1 is no array"),
        (Types.INT(), b"{", "truncated"),
        (Types.INT(), b'{"f": "\xff"}', "can't decode"),
        (Types.INT(), b"7", "7 is no object"),
    ],
)
def test_messages_that_do_not_fit_are_refused_or_passed_over(type_info, text, reason):
    with pytest.raises(SerializationError, match=rf"A message does not fit ROW<.*{reason}"):
        _reading(_one(type_info)).deserialize(text)
    assert _reading(_one(type_info), ignore_parse_errors=True).deserialize(text) is None


def test_a_missing_field_is_none_unless_it_must_be_there():
    assert _reading(_one(_INNER)).deserialize(b'{"f": {"size": 1}, "more": 2}') == Row(
        f=Row(city=None, size=1)
    )
    strict = _reading(_one(_INNER), fail_on_missing_field=True)
    for schema in (strict, pickle.loads(pickle.dumps(strict))):
        with pytest.raises(SerializationError, match="field 'f': there is no field 'city'"):
            schema.deserialize(b'{"f": {"size": 1}}')
        assert schema.get_produced_type() == _one(_INNER)


def test_schemas_can_be_pickled():
    schema = pickle.loads(pickle.dumps(_writing(_one(Types.INT()))))
    assert schema.serialize(Row(1)) == b'{"f":1}'


@pytest.mark.parametrize("value", [Row(f="x"), Row(1, 2), "text", (True,), [None, None]])
def test_rows_that_do_not_fit_are_refused(value):
    type_info = _one(Types.DOUBLE())
    if value == (True,):
        type_info = _one(_BYTES)
    with pytest.raises(SerializationError, match=r"A value does not fit ROW<"):
        _writing(type_info).serialize(value)


def test_tuples_are_rows():
    assert _writing(_one(Types.INT())).serialize((3,)) == b'{"f":3}'


def test_builders_refuse_what_has_no_form_in_json():
    for build in (_reading, _writing):
        with pytest.raises(InvalidProgramError, match=r"needs a row type, not .*ROW_NAMED"):
            build(Types.INT())
        with pytest.raises(InvalidProgramError, match=r"no form in JSON. \[type: PICKLED"):
            build(_one(Types.PICKLED_BYTE_ARRAY()))
        with pytest.raises(InvalidProgramError, match="Keys of JSON objects are texts"):
            build(_one(Types.MAP(Types.INT(), Types.INT())))
    with pytest.raises(TypeError, match="should be set"):
        JsonRowSerializationSchema.builder().build()
    with pytest.raises(InvalidProgramError, match="needs a row type, not None"):
        JsonRowDeserializationSchema.builder().build()
    with pytest.raises(InvalidProgramError, match="exclude each other"):
        _reading(_one(Types.INT()), fail_on_missing_field=True, ignore_parse_errors=True)


def test_a_json_schema_is_a_row_type():
    schema = """{"type": "object", "definitions": {"place": {"type": "object", "properties":
        {"city": {"type": "string"}}}}, "properties": {
        "id": {"type": "integer"}, "price": {"type": ["number", "null"]},
        "paid": {"type": "boolean"}, "day": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"}, "blob":
        {"type": "string", "contentEncoding": "base64"}, "tags":
        {"type": "array", "items": {"type": "string"}},
        "place": {"$ref": "#/definitions/place"}}}"""
    built = JsonRowDeserializationSchema.builder().json_schema(schema).build()
    assert built.get_produced_type().signature == (
        "ROW<id: BIG_INT, price: BIG_DEC, paid: BOOLEAN, day: SQL_DATE, at: SQL_TIMESTAMP, "
        f"blob: {_BYTES.signature}, tags: {Types.OBJECT_ARRAY(Types.STRING()).signature}, "
        "place: ROW<city: STRING>>"
    )
    message = b'{"id": 1, "price": 2.50, "place": {"city": "Ulm"}}'
    assert built.deserialize(message)[:2] == [1, Decimal("2.50")]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("{", "is no JSON"),
        ("7", "it is no object"),
        ("{}", "'type' is missing"),
        ('{"type": "object"}', "needs 'properties'"),
        ('{"type": "array"}', "needs 'items'"),
        ('{"type": "tree"}', "'tree' is unknown"),
        ('{"type": ["string", "number"]}', "more or less than one type"),
        ('{"$ref": "other.json"}', "another document"),
        ('{"$ref": "#/nowhere"}', "leads nowhere"),
        ('{"$ref": "#"}', "refers to itself"),
    ],
)
def test_json_schemas_without_a_type_are_refused(schema, reason):
    with pytest.raises(InvalidProgramError, match=reason):
        JsonRowDeserializationSchema.builder().json_schema(schema)


def test_a_json_schema_is_not_none():
    with pytest.raises(TypeError, match="must not be None"):
        JsonRowDeserializationSchema.builder().json_schema(None)
