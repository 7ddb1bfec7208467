"""Keys as Flink's JVM holds them. Bytes and key groups come from savepoints of PyFlink 2.3."""

# ruff: noqa: DTZ001 - SQL timestamps have no time zone

from __future__ import annotations

import datetime as dt
import pickle
from decimal import Decimal
from typing import NamedTuple

import pytest

from millpond.common import Instant, Row, RowKind, Types
from millpond.errors import SerializationError
from millpond.serialization.key_serializer import key_serializer_for

STRING, LONG, INT = Types.STRING(), Types.LONG(), Types.INT()
PAIR = Types.TUPLE([STRING, LONG])
BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())


class Name(NamedTuple):
    first: str
    last: str


FLINK_KEYS = [
    (STRING, "\U0001f600", "0003bdb00380bc03", 19),
    (STRING, "", "0001", 33),
    (STRING, "key-2", "00066b65792d32", 41),
    (STRING, "grüße", "00066772fc01df0165", 49),
    (STRING, "世界", "0003969c01ccea01", 127),
    (INT, 5, "0000000005", 17),
    (INT, -3, "00fffffffd", 86),
    (LONG, -1, "00ffffffffffffffff", 33),
    (LONG, 1, "000000000000000001", 44),
    (LONG, 2**63 - 1, "007fffffffffffffff", 122),
    (LONG, -(2**63), "008000000000000000", 122),
    (PAIR, ("x", 1), "0002780000000000000001", 37),
    (PAIR, ("", -1), "0001ffffffffffffffff", 33),
    (PAIR, ("ü", 2**40), "0002fc010000010000000000", 127),
    (None, ("pair", -5), "000000001a8005950f000000000000008c0470616972944afbffffff86942e", 21),
    (None, 42, "000000000580054b2a2e", 64),
    (None, 2.5, "00000000158005950a000000000000004740040000000000002e", 65),
    (None, "text", "000000001380059508000000000000008c0474657874942e", 111),
]


@pytest.mark.parametrize(("type_info", "key", "text", "key_group"), FLINK_KEYS)
def test_bytes_and_key_groups_are_those_of_flink(type_info, key, text, key_group):
    serializer = key_serializer_for(type_info)
    data = bytes.fromhex(text)
    assert serializer.encode(key) == data
    assert serializer.decode_from(b"?" + data + b"rest", 1) == (key, 1 + len(data))
    assert serializer.key_group(key, 128) == key_group
    assert serializer.key_groups([key, key], 128) == [key_group, key_group]


def test_known_key_groups():
    serializer = key_serializer_for(STRING)
    assert serializer.key_groups(["key0", "key1", "key2"], 128) == [75, 35, 28]


def java_row_hash(field_hash):
    return (62 + field_hash) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("type_info", "key", "data", "field_hash"),
    [
        (Types.BOOLEAN(), True, "01", 1231),
        (Types.BOOLEAN(), False, "00", 1237),
        (Types.BYTE(), -1, "ff", -1),
        (Types.SHORT(), 300, "012c", 300),
        (Types.CHAR(), "ü", "00fc", 252),
        (Types.DOUBLE(), 1.0, "3ff0000000000000", 1072693248),
        (Types.DOUBLE(), -0.0, "8000000000000000", -(2**31)),
        (Types.FLOAT(), 1.5, "3fc00000", 1069547520),
        (BYTES, b"\x00\xff", "0000000200ff", 960),
        (Types.BIG_INT(), 10, "00000003", 10),
        (Types.BIG_INT(), -128, "0000000580", -128),
        (Types.BIG_INT(), 128, "000000060080", 128),
        (Types.BIG_INT(), 2**32 + 5, "000000090100000005", 36),
        (Types.BIG_DEC(), Decimal("1.5"), "000000050f00000001", 466),
        (Types.BIG_DEC(), Decimal(0), "0000000100000000", 0),
        (Types.SQL_DATE(), dt.date(1970, 1, 2), "0000000005265c00", 86_400_000),
        (Types.SQL_TIME(), dt.time(0, 0, 1), "00000000000003e8", 1000),
        (
            Types.SQL_TIMESTAMP(),
            dt.datetime(1970, 1, 1, 0, 0, 1, 5000),
            "00000000000003ed004c4b40",
            1005,
        ),
        (Types.INSTANT(), Instant(1, 2), "000000000000000100000002", 103),
        (Types.TUPLE([INT, INT]), (2, 3), "0000000200000003", 65),
    ],
)
def test_java_serializers(type_info, key, data, field_hash):
    serializer = key_serializer_for(type_info)
    assert serializer.encode(key).hex() == "00" + data
    assert repr(serializer.decode(bytes.fromhex("00" + data))) == repr(key)
    assert serializer.java_hash(key) == java_row_hash(field_hash)


def test_row_key_hashes_deeply():
    serializer = key_serializer_for(Types.ROW([INT, STRING]))
    # A Row of a Row: 31 + (31 * kind + array hash), and the array hashes a field as 31 + hash.
    array_hash = 31 * (31 + (31 + 5)) + (31 + 97)
    assert serializer.java_hash(Row(5, "a")) == 31 + array_hash
    assert serializer.java_hash(Row(5, None)) == 31 + 31 * (31 + (31 + 5))
    deleted = Row.of_kind(RowKind.DELETE, 5, "a")
    assert serializer.java_hash(deleted) == 31 + 31 * 3 + array_hash
    assert serializer.encode(Row(5, None)).hex() == "001000000005"


def test_row_key_is_normalized():
    serializer = key_serializer_for(Types.ROW_NAMED(["a", "b"], [INT, STRING]))
    assert (
        serializer.normalize(Row(b="x", a=1))
        == Row(a=1, b="x")
        == serializer.normalize(Row(1, "x"))
    )
    assert key_serializer_for(STRING).normalize is None
    assert key_serializer_for(Types.TUPLE([Types.ROW([INT])])).normalize is not None


@pytest.mark.parametrize("length", [63, 64, 65, 126, 127, 128, 200, 16383, 16384])
@pytest.mark.parametrize("character", ["a", "\x7f", "é", "世", "\U0001f600"])
def test_long_strings(length, character):
    text = character * length
    serializer = key_serializer_for(STRING)
    expected = 0
    units = text.encode("utf-16-be")
    for position in range(0, len(units), 2):
        unit = int.from_bytes(units[position : position + 2], "big")
        expected = (31 * expected + unit) & 0xFFFFFFFF
    assert serializer.java_hash(text) == java_row_hash(expected)
    assert serializer.decode(serializer.encode(text)) == text


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 129])
def test_long_byte_arrays(length):
    data = bytes(range(256))[-length:] if length else b""
    expected = 1
    for byte in data:
        expected = (31 * expected + (byte - 256 if byte > 127 else byte)) & 0xFFFFFFFF
    assert key_serializer_for(BYTES).java_hash(data) == java_row_hash(expected)


def test_equal_pickled_keys_have_equal_bytes():
    serializer = key_serializer_for(None)
    shared = "user-" + str(12)
    other = "user-" + str(12)
    assert shared is not other
    for one, two in [
        ((shared, shared), (shared, other)),
        ((shared, (shared, 1)), (shared, (other, 1))),
        (Name(shared, shared), Name(shared, other)),
    ]:
        assert one == two
        assert serializer.encode(one) == serializer.encode(two)
        decoded = serializer.decode(serializer.encode(two))
        assert decoded == two
        assert type(decoded) is type(two)
    # Equal numbers of different types must stay what they are.
    assert repr(serializer.decode(serializer.encode(((1,), (1.0,), (True,))))) == (
        "((1,), (1.0,), (True,))"
    )


@pytest.mark.parametrize("key", [frozenset({"a"}), ("a", frozenset({1}))])
def test_sets_cannot_be_keys(key):
    with pytest.raises(SerializationError, match="set") as caught:
        key_serializer_for(None).encode(key)
    assert "sorted" in caught.value.hint


@pytest.mark.parametrize(
    ("type_info", "key"),
    [
        (STRING, 5),
        (STRING, None),
        (STRING, b"a"),
        (LONG, "a"),
        (LONG, 2**63),
        (INT, 2**31),
        (Types.BYTE(), 128),
        (LONG, 1.5),
        (LONG, None),
        (Types.DOUBLE(), "x"),
        (Types.BOOLEAN(), 1),
        (Types.CHAR(), "ab"),
        (BYTES, "a"),
        (PAIR, ("a", "b")),
        (PAIR, ("a",)),
        (PAIR, None),
        (Types.ROW([INT]), (1,)),
        (Types.ROW([INT]), Row(1, 2)),
        (Types.ROW([INT]), Row("x")),
        (Types.BIG_DEC(), 1),
        (Types.BIG_INT(), "1"),
        (Types.INSTANT(), 1),
        (Types.SQL_DATE(), "2020"),
    ],
)
def test_wrong_key_is_refused(type_info, key):
    serializer = key_serializer_for(type_info)
    for use in (serializer.encode, serializer.java_hash, lambda key: serializer.key_group(key, 8)):
        with pytest.raises(SerializationError) as caught:
            use(key)
        assert "declared_type" in caught.value.context


def test_wrong_field_has_its_path():
    with pytest.raises(SerializationError) as caught:
        key_serializer_for(Types.TUPLE([LONG, PAIR])).encode((1, ("a", "b")))
    assert caught.value.context["path"] == "$.f1.f1"


@pytest.mark.parametrize(
    "type_info",
    [
        Types.LIST(LONG),
        Types.MAP(STRING, LONG),
        Types.PRIMITIVE_ARRAY(INT),
        Types.TUPLE([STRING, Types.LIST(LONG)]),
        Types.TYPED(Row),
    ],
)
def test_types_that_cannot_be_keys(type_info):
    with pytest.raises(SerializationError, match="cannot be keys"):
        key_serializer_for(type_info)


@pytest.mark.parametrize(
    ("type_info", "data"),
    [
        (LONG, ""),
        (LONG, "00"),
        (LONG, "20"),
        (LONG, "400000000000000000"),
        (STRING, "00"),
        (STRING, "0000"),
        (STRING, "0005" + "61"),
        (STRING, "0003" + "ff"),
        (STRING, "00ffffffffff01"),
        (STRING, "0002ffff7f"),
        (None, "00ffffffff"),
        (None, "0000000001ff"),
        (Types.BIG_INT(), "0000000004"),
        (Types.SQL_DATE(), "000000000000000001"),
    ],
)
def test_damaged_bytes(type_info, data):
    with pytest.raises(SerializationError):
        key_serializer_for(type_info).decode(bytes.fromhex(data))


def test_attributes():
    serializer = key_serializer_for(Types.TUPLE([STRING, Types.PICKLED_BYTE_ARRAY()]))
    assert serializer.pickled
    assert serializer.signature == "TUPLE<STRING, PICKLED>"
    assert not key_serializer_for(PAIR).pickled
    again = pickle.loads(pickle.dumps(serializer))
    assert again.encode(("a", 1)) == serializer.encode(("a", 1))


class _Long(bytes):
    """Says that it has 2**31 bytes, without having them."""

    def __len__(self):
        return 1 << 31


def test_a_key_of_more_bytes_than_java_holds_is_refused_by_name():
    serializer = key_serializer_for(Types.PRIMITIVE_ARRAY(Types.BYTE()))
    with pytest.raises(SerializationError, match=r"2\*\*31 bytes or more"):
        serializer.encode(_Long())
    with pytest.raises(SerializationError, match=r"2\*\*31 bytes or more"):
        serializer.key_group(_Long(), 128)


@pytest.mark.parametrize(
    ("type_info", "keys"),
    [
        (Types.LONG(), [5, 1 << 40, 0, 3, (1 << 63) - 1]),
        (Types.LONG(), [5, -1, 0, -(1 << 63), 256]),
        (Types.INT(), [70_000, 3, 255]),
        (Types.STRING(), ["b", "aa", "é", "", "a"]),
        (Types.PICKLED_BYTE_ARRAY(), [(1, 2), "x", 300]),
    ],
)
def test_keys_come_in_the_order_of_their_bytes(type_info, keys):
    serializer = key_serializer_for(type_info)
    assert serializer.in_order(keys) == sorted(keys, key=serializer.encode)


@pytest.mark.parametrize("keys", [[1, "2"], [1, 1 << 31], [True, 2.5]])
def test_keys_of_another_type_are_refused_when_they_are_put_in_order(keys):
    with pytest.raises(SerializationError):
        key_serializer_for(Types.INT()).in_order(keys)
