import decimal
import struct

import pytest

from millpond.common.typeinfo import Types
from millpond.errors import FormatError
from millpond.formats import serializer_classes as classes
from millpond.formats.composite_key import (
    CompositeKey,
    build_composite_key,
    encode_key_group,
    prefix_length_of,
    split_composite_key,
)
from millpond.formats.java_type import java_serializer_snapshot, key_serializer_snapshot
from millpond.formats.java_values import (
    JavaRow,
    has_ambiguous_parts,
    has_fixed_length,
    java_decoder,
    java_skipper,
)
from millpond.formats.pyflink_serializers import (
    BYTE_ARRAY_WRAPPER,
    BYTES,
    LONG,
    NAMESPACES,
    TTL_BYTES,
    array_snapshot,
    basic_snapshot,
    list_snapshot,
    map_snapshot,
    object_array_snapshot,
    row_snapshot,
    tuple_snapshot,
)
from millpond.formats.pyflink_values import (
    decode_chunks,
    decode_map_key,
    decode_map_value,
    decode_timer,
    decode_ttl_chunks,
    decode_ttl_map_value,
    encode_chunk,
    encode_chunks,
    encode_map_key,
    encode_map_value,
    encode_timer,
    encode_ttl_chunks,
    encode_ttl_map_value,
    join_chunks,
)
from millpond.formats.serializer_snapshot import SerializerSnapshot
from millpond.serialization.key_serializer import key_serializer_for

STRING_KEY = key_serializer_snapshot(Types.STRING())


def test_a_composite_key_is_taken_apart():
    key = bytes.fromhex("00056b657932")
    data = build_composite_key(encode_key_group(28, 128), key, b"\0", b"user")
    assert data == b"\x1c" + key + b"\0user"
    split = split_composite_key(data, 1, java_skipper(STRING_KEY), java_skipper(NAMESPACES["void"]))
    assert split == CompositeKey(28, key, b"\0", b"user")


def test_lengths_follow_key_and_namespace_where_both_vary():
    key = b"\0\0\0\x03abc"
    namespace = (300).to_bytes(4, "big") + bytes(300)
    data = build_composite_key(b"\0\7", key, namespace, b"u", ambiguous=True)
    assert data == b"\0\7" + key + b"\x07" + namespace + b"\x30\x01" + b"u"
    skip = java_skipper(BYTES)
    assert split_composite_key(data, 2, skip, skip, ambiguous=True) == (7, key, namespace, b"u")
    with pytest.raises(FormatError, match="another length"):
        split_composite_key(data.replace(b"abc\x07", b"abc\x08"), 2, skip, skip, ambiguous=True)


def test_key_groups_take_one_or_two_bytes():
    assert (prefix_length_of(128), prefix_length_of(129)) == (1, 2)
    assert encode_key_group(127, 128) == b"\x7f"
    assert encode_key_group(299, 300) == b"\1\x2b"
    with pytest.raises(FormatError, match="ends inside its key group"):
        split_composite_key(b"\0", 1, java_skipper(BYTES), java_skipper(BYTES))


def test_ambiguity_needs_two_variable_lengths():
    assert not has_ambiguous_parts(STRING_KEY, NAMESPACES["void"])
    assert not has_ambiguous_parts(STRING_KEY, NAMESPACES["time-window"])
    assert has_ambiguous_parts(STRING_KEY, BYTE_ARRAY_WRAPPER)
    assert has_fixed_length(LONG)


def test_chunks():
    assert encode_chunk(b"ab") == b"\0\0\0\2ab"
    value = encode_chunks([b"ab", b"", b",c"])
    assert value == b"\0\0\0\2ab,\0\0\0\0,\0\0\0\2,c"
    assert decode_chunks(value) == [b"ab", b"", b",c"]
    assert join_chunks(value) == b"ab,c"
    assert join_chunks(encode_chunk(b"xyz")) == b"xyz"


def test_chunks_with_ttl():
    chunks = [(1_700_000_000_000, b"ab"), (-1, b"c")]
    assert decode_ttl_chunks(encode_ttl_chunks(chunks)) == chunks
    assert encode_ttl_chunks([(1, b"z")]) == b"\0\0\0\0\0\0\0\1\0\0\0\1z"


@pytest.mark.parametrize(
    "value", [b"", b"\0\0", b"\0\0\0\2a", b"\xff\xff\xff\xffab", b"\0\0\0\1a;", b"\0\0\0\1a,"]
)
def test_damaged_chunks_are_named(value):
    for decode in (decode_chunks, join_chunks):
        with pytest.raises(FormatError):
            decode(value)
    with pytest.raises(FormatError):
        decode_ttl_chunks(bytes(8) + value)


def test_map_entries():
    assert encode_map_key(b"k") == b"\0\0\0\1k"
    assert decode_map_key(b"\0\0\0\1k") == b"k"
    assert encode_map_value(b"v") == b"\0\0\0\0\1v"
    assert decode_map_value(b"\0\0\0\0\1v") == b"v"
    assert encode_map_value(None) == b"\1"
    assert decode_map_value(b"\1") is None
    assert decode_ttl_map_value(encode_ttl_map_value(5, b"v")) == (5, b"v")
    assert decode_ttl_map_value(b"\1") is None


@pytest.mark.parametrize("data", [b"", b"\0", b"\2\0\0\0\0", b"\0\0\0\0\2a", b"\0\xff\xff\xff\xff"])
def test_damaged_map_entries_are_named(data):
    for decode in (decode_map_value, decode_ttl_map_value, decode_map_key):
        with pytest.raises(FormatError):
            decode(data)


def test_timers_sort_by_timestamp():
    times = [-(1 << 63), -5, -1, 0, 1, 1_700_000_000_000, (1 << 63) - 1]
    timers = [encode_timer(time, b"\0\2k", b"\0") for time in times]
    assert timers == sorted(timers)
    skip = java_skipper(STRING_KEY)
    for time, timer in zip(times, timers, strict=True):
        assert decode_timer(b"\7" + timer, 1, skip) == (time, b"\0\2k", b"\0")
    with pytest.raises(FormatError, match="too early"):
        decode_timer(b"1234567", 0, skip)


@pytest.mark.parametrize(
    ("key_type", "keys"),
    [
        (Types.STRING(), ["", "key2", "grüße 世界 😀 \0", "x" * 500]),
        (Types.LONG(), [0, -1, 2**63 - 1]),
        (Types.INT(), [0, -(2**31)]),
        (Types.BOOLEAN(), [True, False]),
        (Types.DOUBLE(), [0.5, -1.25]),
        (Types.BIG_INT(), [0, 1, 10, -5, 2**80]),
        (Types.BIG_DEC(), [decimal.Decimal("12.50"), decimal.Decimal(0)]),
        (Types.TUPLE([Types.STRING(), Types.LONG()]), [("ü", 7)]),
    ],
)
def test_keys_are_decoded_as_they_were_encoded(key_type, keys):
    decode = java_decoder(key_serializer_snapshot(key_type))
    serializer = key_serializer_for(key_type)
    for key in keys:
        data = serializer.encode(key)
        assert decode(b"__" + data + b"__", 2) == (JavaRow((key,)), 2 + len(data))


def decoded(snapshot, data):
    value, end = java_decoder(snapshot)(data, 0)
    assert end == len(data)
    return value


@pytest.mark.parametrize(
    ("snapshot", "data", "value"),
    [
        (basic_snapshot("Boolean"), b"\1", True),
        (basic_snapshot("Byte"), b"\xff", -1),
        (basic_snapshot("Short"), b"\xff\xfe", -2),
        (basic_snapshot("Char"), b"\0A", 65),
        (basic_snapshot("Float"), struct.pack(">f", 1.5), 1.5),
        (basic_snapshot("SqlTimestamp"), struct.pack(">qi", 5, 6), (5, 6)),
        (basic_snapshot("LocalDate"), struct.pack(">ibb", 2020, 2, 3), (2020, 2, 3)),
        (basic_snapshot("Void"), b"\0", None),
        (basic_snapshot("String"), b"\0", None),
        (basic_snapshot("BigInt"), b"\0\0\0\0", None),
        (basic_snapshot("BigInt"), b"\0\0\0\6\1\0", 256),
        (basic_snapshot("BigDec"), b"\0\0\0\0", None),
        (basic_snapshot("BigDec"), b"\0\0\0\5\7\0\0\0\1", decimal.Decimal("0.7")),
        (array_snapshot("LongPrimitiveArray"), struct.pack(">iqq", 2, 1, -1), [1, -1]),
        (array_snapshot("StringArray"), b"\0\0\0\2\2a\0", ["a", None]),
        (
            object_array_snapshot("java.lang.Byte", basic_snapshot("Byte")),
            b"\0\0\0\2\1\5\0",
            [5, None],
        ),
        (list_snapshot(basic_snapshot("Byte")), b"\0\0\0\2\1\2", [1, 2]),
        (
            map_snapshot(basic_snapshot("Byte"), basic_snapshot("Byte")),
            b"\0\0\0\2\1\0\5\2\1",
            {1: 5, 2: None},
        ),
        (
            map_snapshot(list_snapshot(LONG), basic_snapshot("Byte")),
            b"\0\0\0\1\0\0\0\0\0\5",
            [([], 5)],
        ),
        (tuple_snapshot(basic_snapshot("Byte"), BYTES), b"\1\0\0\0\1x", (1, b"x")),
        (row_snapshot(basic_snapshot("Byte"), BYTES), b"\x10\1", JavaRow((1, None))),
        (TTL_BYTES, b"\0\0\0\0\0\0\0\5\0\0\0\1x", (5, b"x")),
        (SerializerSnapshot(classes.ROW, (LONG,) * 9, 2), b"\xff\x80", JavaRow((None,) * 9)),
        # Flink 1.11 and 1.12: with the row kind, without a flag that says so.
        (SerializerSnapshot(classes.ROW, (LONG,) * 9, 3), b"\x3f\xe0", JavaRow((None,) * 9)),
        (SerializerSnapshot(classes.ROW, (LONG,) * 9, 4, b"\0"), b"\xff\x80", JavaRow((None,) * 9)),
        (NAMESPACES["time-window"], struct.pack(">qq", 1, 2), (1, 2)),
        (NAMESPACES["count-window"], struct.pack(">q", 3), 3),
        (NAMESPACES["global-window"], b"\0", None),
    ],
)
def test_java_values(snapshot, data, value):
    assert decoded(snapshot, data) == value
    for size in range(len(data)):
        with pytest.raises(FormatError):
            java_decoder(snapshot)(data[:size], 0)


@pytest.mark.parametrize(
    ("snapshot", "data"),
    [
        (BYTES, b"\xff\xff\xff\xff"),
        (BYTES, b"\x7f\xff\xff\xffabc"),
        (basic_snapshot("String"), b"\xff\xff\xff\xff\xff\xff"),
        (basic_snapshot("String"), b"\x05abc"),
        (basic_snapshot("String"), b"\2\xff\xff\x7f"),
        (basic_snapshot("BigInt"), b"\xff\xff\xff\xff"),
        (list_snapshot(LONG), b"\x7f\xff\xff\xff" + bytes(64)),
        (array_snapshot("LongPrimitiveArray"), b"\x00\x00\x00\x09" + bytes(64)),
    ],
)
def test_damaged_java_values_are_named(snapshot, data):
    with pytest.raises(FormatError, match="hold no value of"):
        java_decoder(snapshot)(data, 0)


def test_values_of_other_serializers_cannot_be_decoded():
    for snapshot in (
        SerializerSnapshot("com.example.PairSerializerSnapshot", (LONG,), 1),
        SerializerSnapshot(classes.LIST, (), 1),
        java_serializer_snapshot(Types.LIST(Types.LONG())).nested[0].__class__("x.y"),
    ):
        with pytest.raises(FormatError, match="cannot be decoded"):
            java_decoder(snapshot)
