"""Entries without checksums are examined: each part of them, and where they lie."""

import pytest

from millpond.common.typeinfo import Types
from millpond.errors import FormatError
from millpond.formats import serializer_classes as classes
from millpond.formats.composite_key import build_composite_key
from millpond.formats.entry_check import EntryCheck
from millpond.formats.java_key_hash import key_group_of, key_hasher
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.java_values import java_decoder
from millpond.formats.keyed_block import KeyedBlock
from millpond.formats.keyed_header import KeyedHeader
from millpond.formats.pyflink_serializers import (
    BYTES,
    NAMESPACES,
    basic_snapshot,
    keyed_state_meta,
    list_snapshot,
    timer_state_meta,
    tuple_snapshot,
)
from millpond.formats.pyflink_values import (
    encode_chunks,
    encode_map_key,
    encode_map_value,
    encode_timer,
    encode_ttl_map_value,
)
from millpond.formats.serializer_snapshot import SerializerSnapshot
from millpond.formats.state_meta import StateMeta, StateMetaKind
from millpond.serialization.key_serializer import key_serializer_for

KEYS = key_serializer_for(Types.STRING())
SNAPSHOT = key_serializer_snapshot(Types.STRING())
STATES = (
    keyed_state_meta("list", is_map=False, namespace="time-window"),
    keyed_state_meta("map", is_map=True),
    keyed_state_meta("ttl", is_map=True, ttl=True),
    timer_state_meta("user-timers", "event", SNAPSHOT),
    StateMeta(
        "value",
        StateMetaKind.KEY_VALUE,
        {"KEYED_STATE_TYPE": "VALUE"},
        {"VALUE_SERIALIZER": basic_snapshot("Long"), "NAMESPACE_SERIALIZER": NAMESPACES["void"]},
    ),
)
HEADER = KeyedHeader(SNAPSHOT, STATES)
WINDOW = bytes(15) + b"\5"
GROUP = KEYS.key_group("key", 300)
KEY = KEYS.encode("key")
PREFIX = GROUP.to_bytes(2, "big")
VOID = build_composite_key(PREFIX, KEY, b"\0")
MAP_KEY = VOID + encode_map_key(b"user")
GOOD = (
    (0, build_composite_key(PREFIX, KEY, WINDOW), encode_chunks([b"a", b"bc"])),
    (1, MAP_KEY, encode_map_value(b"value")),
    (1, MAP_KEY, encode_map_value(None)),
    (2, MAP_KEY, encode_ttl_map_value(5, b"value")),
    (2, MAP_KEY, b"\1" + bytes(8)),
    (3, PREFIX + encode_timer(7, KEY, b"\0"), b""),
    (4, VOID, bytes(8)),
)


def check(state_id, *entries, group=GROUP, header=HEADER):
    EntryCheck(header, 300).check(KeyedBlock(group, state_id, list(entries)))


@pytest.mark.parametrize(("state_id", "key", "value"), GOOD)
def test_good_entries_pass(state_id, key, value):
    check(state_id, (key, value))


@pytest.mark.parametrize(("state_id", "key", "value"), GOOD)
def test_another_key_group_is_noticed(state_id, key, value):
    with pytest.raises(FormatError, match="wrong key group"):
        check(state_id, (key, value), group=GROUP + 1)
    other = (GROUP + 1).to_bytes(2, "big")
    with pytest.raises(FormatError, match="does not belong to the key group") as raised:
        check(state_id, (other + key[2:], value), group=GROUP + 1)
    assert raised.value.context["expected"] == GROUP
    assert "offset" in raised.value.context


@pytest.mark.parametrize(("state_id", "key", "value"), GOOD)
def test_bytes_too_many_or_too_few_are_noticed(state_id, key, value):
    for damaged in ((key + b"x", value), (key[:-1], value), (key, value + b"x")):
        with pytest.raises(FormatError, match="An entry is damaged"):
            check(state_id, damaged)
    if value:
        with pytest.raises(FormatError, match="An entry is damaged"):
            check(state_id, (key, value[:-1]))


def test_a_comma_stands_between_elements():
    key = GOOD[0][1]
    with pytest.raises(FormatError, match="than a comma"):
        check(0, (key, encode_chunks([b"a", b"bc"]).replace(b",", b";")))
    with pytest.raises(FormatError, match="damaged"):
        check(0, (key, encode_chunks([b"a"]) + b","))


def test_null_flags_are_0_or_1():
    with pytest.raises(FormatError, match="impossible form"):
        check(1, (MAP_KEY, b"\2"))
    with pytest.raises(FormatError, match="impossible form"):
        check(1, (MAP_KEY, b"\1" + bytes(8)))
    with pytest.raises(FormatError, match="impossible form"):
        check(2, (MAP_KEY, b"\1" + bytes(7)))


def test_a_key_is_a_row_that_was_inserted():
    key = PREFIX + bytes([KEY[0] | 0x80]) + VOID[3:]
    with pytest.raises(FormatError, match="another kind than insert"):
        check(4, (key, bytes(8)))
    timer = GOOD[5][1]
    with pytest.raises(FormatError, match="another kind than insert"):
        check(3, (timer[:10] + bytes([timer[10] | 0x40]) + timer[11:], b""))


def test_keys_that_stand_twice_are_noticed():
    rows = [
        (MAP_KEY, encode_map_value(b"1")),
        (VOID + encode_map_key(b"u2"), encode_map_value(b"2")),
    ]
    check(1, *rows)
    with pytest.raises(FormatError, match="stands twice"):
        check(1, *rows, rows[0])
    examine = EntryCheck(HEADER, 300).check
    examine(KeyedBlock(GROUP, 1, rows[:1]))
    with pytest.raises(FormatError, match="stands twice"):
        examine(KeyedBlock(GROUP, 1, rows[:1]))


def test_of_very_many_keys_neighbours_are_compared(monkeypatch):
    monkeypatch.setattr("millpond.formats.entry_check._KEPT_KEYS", 1)
    rows = [
        (VOID + encode_map_key(str(number).encode()), encode_map_value(b"")) for number in range(3)
    ]
    check(1, *rows)
    check(1, *rows, rows[1])
    with pytest.raises(FormatError, match="stands twice"):
        check(1, *rows, rows[2])


def test_values_of_unknown_serializers_are_left_alone():
    unknown = SerializerSnapshot("org.example.PojoSnapshot", (), 1)
    serializers = {"VALUE_SERIALIZER": unknown, "NAMESPACE_SERIALIZER": NAMESPACES["void"]}
    state = StateMeta("pojo", StateMetaKind.KEY_VALUE, {"KEYED_STATE_TYPE": "VALUE"}, serializers)
    header = KeyedHeader(SNAPSHOT, (state,))
    check(0, (VOID, b"anything"), header=header)
    with pytest.raises(FormatError, match="behind a namespace"):
        check(0, (VOID + b"x", b"anything"), header=header)


@pytest.mark.parametrize(
    ("type_info", "keys"),
    [
        (Types.STRING(), ["", "a", "key-1", "ä€😀", "x" * 100]),
        (Types.LONG(), [0, -1, 2**40, -(2**63)]),
        (Types.INT(), [0, -1, 2**31 - 1]),
        (Types.SHORT(), [-5, 7]),
        (Types.BYTE(), [-128, 7]),
        (Types.BOOLEAN(), [True, False]),
        (Types.DOUBLE(), [0.0, -1.5, float("nan")]),
        (Types.FLOAT(), [0.5, -2.0]),
        (Types.CHAR(), ["x", "€"]),
        (Types.BIG_INT(), [0, 1, 2, 10, -(10**30), 2**64]),
        (Types.PICKLED_BYTE_ARRAY(), ["text", (1, None)]),
        (Types.TUPLE([Types.STRING(), Types.LONG()]), [("a", 5), ("", -1)]),
    ],
)
def test_key_groups_are_those_of_the_declared_type(type_info, keys):
    serializer = key_serializer_for(type_info)
    snapshot = key_serializer_snapshot(type_info)
    decode, hash_code = java_decoder(snapshot), key_hasher(snapshot)
    for key in keys:
        value, _ = decode(serializer.encode(key), 0)
        for maximum in (1, 128, 300, 32768):
            assert key_group_of(hash_code(value), maximum) == serializer.key_group(key, maximum)


def test_keys_without_hash_code_are_not_guessed():
    assert key_hasher(list_snapshot(BYTES)) is None
    assert key_hasher(BYTES) is None
    assert key_hasher(tuple_snapshot(BYTES)) is None
    assert key_hasher(SerializerSnapshot(classes.ROW, (list_snapshot(BYTES),), 4, b"\1")) is None
