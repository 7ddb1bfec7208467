"""Heap snapshots byte for byte, against a writer that takes one entry after the other."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.properties.test_coders import KEYABLE, TYPES

from millpond.clock import SystemClock
from millpond.common.time import Time
from millpond.common.typeinfo import BasicTypeInfo, Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.datastream.window import CountWindow, TimeWindow
from millpond.errors import SerializationError
from millpond.formats.canonical_writer import CanonicalWriter
from millpond.formats.composite_key import encode_key_group
from millpond.formats.keyed_header import KeyedHeader
from millpond.formats.pyflink_serializers import LONG, keyed_state_meta, row_snapshot
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.key_group import KeyGroupRange
from millpond.state.contract.namespace import COUNT_WINDOW, TIME_WINDOW, VOID
from millpond.state.contract.snapshot import SnapshotScope
from millpond.state.contract.ttl import unexpired
from millpond.state.heap.capture import captured_entries
from millpond.state.heap.entry_codec import EntryCodec
from millpond.state.heap.key_groups import KeyGroups
from millpond.state.heap.keyed_stream import KeyedStreamWriter
from millpond.state.heap.table import HeapTable
from millpond.testing.memory_snapshots import MemorySnapshots

SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
META = keyed_state_meta("state", is_map=False)
INTEGER_KEYS = KEYABLE[2:6]
FIXED = [case for case in KEYABLE if isinstance(case[0], BasicTypeInfo)][1:8]
FIXED_TUPLES = st.lists(st.sampled_from(FIXED), min_size=1, max_size=3).map(
    lambda cases: (Types.TUPLE([case[0] for case in cases]), st.tuples(*[c[1] for c in cases]))
)
VALUES = st.one_of(st.sampled_from(FIXED), FIXED_TUPLES, TYPES)
NAMESPACES = {
    VOID: None,
    TIME_WINDOW: st.builds(TimeWindow, st.integers(-5, 5), st.integers(6, 9)),
    COUNT_WINDOW: st.builds(CountWindow, st.integers(-5, 5)),
}
TTL = StateTtlConfig.new_builder(Time.seconds(5)).build()


class Collected(bytearray):
    def write(self, data):
        self += data

    @property
    def position(self):
        return len(self)


def one_by_one(definition, frozen, groups, until):
    dealt = {}
    for address, stored in frozen.items():
        key = address if definition.namespace is VOID else address[0]
        dealt.setdefault(groups.serializer.key_group(key, groups.max_parallelism), []).append(
            (address, stored)
        )
    out = Collected()
    header = KeyedHeader(row_snapshot(LONG), (META,), compressed=False)
    writer = CanonicalWriter(out, header, *groups.range)
    for group in sorted(dealt):
        writer.begin_key_group(group)
        prefix = encode_key_group(group, groups.max_parallelism)
        for address, stored in dealt[group]:
            key, namespace = (address, None) if definition.namespace is VOID else address
            start = prefix + groups.serializer.encode(key) + definition.namespace.encode(namespace)
            entry = stored if until is None else unexpired(definition.kind, stored, until)
            if entry is not None:
                rows = EntryCodec(definition).rows(entry)
                writer.write_entries(0, [(start + map_key, value) for map_key, value in rows])
    return writer.finish(), bytes(out)


def as_written(definition, frozen, groups, until):
    snapshots = MemorySnapshots()
    writer = KeyedStreamWriter(
        groups,
        lambda: row_snapshot(LONG),
        snapshots,
        1,
        SystemClock(),
        compressed=False,
        yields=False,
    )
    captured = captured_entries(META, definition, frozen, groups, until)
    offsets, handle = writer.write([captured], SnapshotScope.EXCLUSIVE)
    with snapshots.reader().open(handle) as stream:
        return offsets, stream.read()


def key_groups(key_type, max_parallelism):
    whole = KeyGroupRange(0, max_parallelism - 1)
    return KeyGroups(key_serializer_for(key_type), max_parallelism, whole, "test")


@SETTINGS
@given(
    st.data(),
    st.sampled_from([*INTEGER_KEYS, *INTEGER_KEYS, *KEYABLE]),
    VALUES,
    st.sampled_from(list(NAMESPACES)),
    st.sampled_from([1, 3, 128, 200, 1000]),
)
def test_all_types(data, key_case, value_case, namespace, max_parallelism):
    (key_type, keys), (value_type, values) = key_case, value_case
    stored = values
    with_ttl = data.draw(st.booleans())
    if with_ttl:
        stored = st.tuples(st.integers(0, 9), values)
    kind = data.draw(st.sampled_from(["value", "value", "list", "map"]))
    if kind == "value":
        descriptor = ValueStateDescriptor("state", value_type)
    elif kind == "list":
        descriptor = ListStateDescriptor("state", value_type)
        stored = st.lists(stored, min_size=1, max_size=3)
    else:
        descriptor = MapStateDescriptor("state", Types.LONG(), value_type)
        if not with_ttl:
            stored = st.none() | stored
        stored = st.dictionaries(st.integers(0, 9), stored, min_size=1, max_size=3)
    if with_ttl:
        descriptor.enable_time_to_live(TTL)
    definition = StateDefinition.of(descriptor, namespace)
    addresses = keys if namespace is VOID else st.tuples(keys, NAMESPACES[namespace])
    table = HeapTable(None)
    for _ in range(data.draw(st.integers(1, 3))):
        for address, value in data.draw(st.lists(st.tuples(addresses, st.none() | stored))):
            if value is None:
                table.active.pop(address, None)
            else:
                table.active[address] = value
        frozen = table.freeze()
    if not list(frozen.items()):
        return
    until = data.draw(st.none() | st.integers(0, 9)) if with_ttl else None
    groups = key_groups(key_type, max_parallelism)
    expected = one_by_one(definition, frozen, groups, until)
    assert as_written(definition, frozen, groups, until) == expected


@pytest.mark.parametrize("max_parallelism", [1, 128, 300, 32768])
@pytest.mark.parametrize(
    ("key_type", "value_type", "value_of"),
    [
        (Types.LONG(), Types.LONG(), lambda dice: dice.getrandbits(63)),
        (Types.INT(), Types.TUPLE([Types.DOUBLE(), Types.BOOLEAN()]), lambda d: (d.random(), True)),
        (Types.LONG(), Types.TUPLE([Types.LONG()]), lambda dice: (dice.getrandbits(5),)),
        (Types.LONG(), Types.STRING(), lambda dice: "é" * dice.randrange(300)),
        (Types.STRING(), Types.LONG(), lambda dice: dice.getrandbits(63)),
    ],
)
def test_many_entries(key_type, value_type, value_of, max_parallelism):
    dice = random.Random(3)
    key_of = str if key_type == Types.STRING() else int
    table = HeapTable(None)
    for _ in range(2):
        for _ in range(6000):
            table.active[key_of(dice.randrange(-(1 << 20), 1 << 20))] = value_of(dice)
        frozen = table.freeze()
    definition = StateDefinition.of(ValueStateDescriptor("state", value_type))
    groups = key_groups(key_type, max_parallelism)
    assert as_written(definition, frozen, groups, None) == one_by_one(
        definition, frozen, groups, None
    )


@pytest.mark.parametrize("kind", ["value", "list", "map"])
def test_long_values(kind):
    lengths = [5, 1 << 20, 100, (1 << 20) - 1, 3 << 20, 0]
    texts = {key: "x" * lengths[key % len(lengths)] for key in range(40)}
    if kind == "value":
        descriptor, of = ValueStateDescriptor("state", Types.STRING()), str
    elif kind == "list":
        descriptor, of = ListStateDescriptor("state", Types.STRING()), lambda text: [text, text]
    else:
        descriptor = MapStateDescriptor("state", Types.LONG(), Types.STRING())

        def of(text):
            return dict.fromkeys(range(3), text)

    table = HeapTable(None)
    table.active.update({key: of(text) for key, text in texts.items()})
    frozen = table.freeze()
    groups = key_groups(Types.LONG(), 3)
    definition = StateDefinition.of(descriptor)
    expected = one_by_one(definition, frozen, groups, None)
    assert as_written(definition, frozen, groups, None) == expected


@pytest.mark.parametrize(
    ("value_type", "odd", "refused"),
    [
        (Types.LONG(), "x", True),
        (Types.LONG(), 1.0, True),
        (Types.BOOLEAN(), 1, False),
        (Types.BOOLEAN(), 2, True),
        (Types.TUPLE([Types.LONG(), Types.LONG()]), [1, 2], False),
        (Types.TUPLE([Types.LONG(), Types.LONG()]), b"ab", True),
        (Types.TUPLE([Types.LONG(), Types.LONG()]), (1, 2, 3), True),
        (Types.TUPLE([Types.LONG(), Types.LONG()]), 7, True),
    ],
)
def test_values_of_another_class(value_type, odd, refused):
    usual = {"LONG": 5, "BOOLEAN": True}.get(value_type.signature, (3, 4))
    table = HeapTable(None)
    table.active.update(dict.fromkeys(range(100), usual) | {7: odd})
    frozen = table.freeze()
    definition = StateDefinition.of(ValueStateDescriptor("state", value_type))
    groups = key_groups(Types.LONG(), 128)
    if refused:
        with pytest.raises(SerializationError, match="stored entry") as caught:
            as_written(definition, frozen, groups, None)
        assert caught.value.context["state"] == "state"
        assert caught.value.context["key"] == "7"
    else:
        assert as_written(definition, frozen, groups, None) == one_by_one(
            definition, frozen, groups, None
        )
