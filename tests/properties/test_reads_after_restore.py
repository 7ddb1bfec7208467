"""A value reads the same before and after a restore, whatever its form was when it was written."""

from __future__ import annotations

import array
import datetime as dt
import enum
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, TypedDict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.common import Instant, Row, Time, Types
from millpond.common.typeinfo import ExternalTypeInfo
from millpond.datastream.functions import AggregateFunction
from millpond.datastream.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.errors import SerializationError
from millpond.serialization.coders import coder_for
from millpond.state.contract.declared_type import fits
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.state import RocksDBState
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key, state_of


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


@dataclass
class Point:
    x: float
    tags: tuple[str, ...] = ()


@dataclass
class NamedPoint(Point):
    name: str = ""


class Pair(NamedTuple):
    left: int
    right: list[int]


class Options(TypedDict):
    size: int


FLOAT, LONG, TEXT = Types.FLOAT(), Types.LONG(), Types.STRING()
NUMBERS = [0, 1, -7, True, 0.1, -0.0, 1e300, 1e-50, 1 << 40, (1 << 53) + 1, Level.HIGH]
NUMBERS += [float("nan"), float("inf"), np.float32(0.1), np.float64(0.1), np.int64(5), "1", None]
STAMP = dt.datetime(2024, 2, 29, 12, 30, 15, 123_456)  # noqa: DTZ001 - SQL timestamps have no zone
SEQUENCES = [[], [1, 2], (1, 2), [0.1, None], (0.1, 0.2), [True], array.array("d", [0.1]), {1}]
TYPES = [
    *[(make(), NUMBERS) for make in (Types.BYTE, Types.SHORT, Types.INT, Types.LONG)],
    *[(make(), NUMBERS) for make in (Types.FLOAT, Types.DOUBLE, Types.BIG_INT, Types.BOOLEAN)],
    (Types.BIG_DEC(), [Decimal("1.10"), Decimal("1E+3"), Decimal("-0"), 5, True, 0.1]),
    (Types.CHAR(), ["a", "ä", "😀", "\ud800", Text("b"), "ab"]),
    (TEXT, ["", "grüße", "\ud800", Text("b"), np.str_("n"), b"x"]),
    (Types.INSTANT(), [Instant(5, 6), Instant(True, 0), Instant(0, 1_000_000_000)]),
    (Types.SQL_DATE(), [STAMP.date(), STAMP]),
    (Types.SQL_TIME(), [STAMP.time(), dt.time(1, fold=1), dt.time(1, tzinfo=dt.UTC)]),
    (Types.SQL_TIMESTAMP(), [STAMP, STAMP.replace(microsecond=5000), STAMP.astimezone()]),
    (Types.PRIMITIVE_ARRAY(Types.BYTE()), [b"", b"ab", bytearray(b"x")]),
    *[(Types.PRIMITIVE_ARRAY(make()), SEQUENCES) for make in (Types.INT, Types.FLOAT)],
    (Types.PRIMITIVE_ARRAY(Types.DOUBLE()), SEQUENCES),
    *[(Types.BASIC_ARRAY(make()), SEQUENCES) for make in (Types.INT, Types.FLOAT)],
    (Types.OBJECT_ARRAY(Types.TUPLE([FLOAT])), [[(0.1,)], [[0.5]], ((0.5,),)]),
    (Types.LIST(FLOAT), SEQUENCES),
    (Types.LIST(LONG), SEQUENCES),
    (Types.LIST(Types.LIST(FLOAT)), [[[0.1]], [(0.5,)], [None]]),
    (Types.MAP(TEXT, FLOAT), [{"a": 0.1}, {"a": None}, OrderedDict(b=0.5), {}]),
    (Types.MAP(FLOAT, TEXT), [{0.1: "a"}, {1: "b"}]),
    (Types.MAP(TEXT, Types.LIST(LONG)), [{"a": (1, True)}, {"a": [1]}]),
    (Types.TUPLE([TEXT, FLOAT]), [("a", 0.1), ["a", 0.5], Row("a", 0.25), ("a",)]),
    (Types.TUPLE([LONG, LONG]), [(1, 2), (True, 2), Pair(1, 2), [1, 2]]),
    (Types.ROW([TEXT, FLOAT]), [Row("a", 0.1), Row(f1=0.5, f0="a"), Row("a", None), ("a", 1.0)]),
    (Types.ROW_NAMED(["n", "m"], [LONG, LONG]), [Row(1, 2), Row(m=True, n=1), Row(n=1, m=2)]),
    (ExternalTypeInfo(FLOAT), [0.1, 0.5]),
    (Types.TYPED(Point), [Point(0.1), Point(1), Point(0.5, ["a"]), NamedPoint(1.0, (), "p")]),
    (Types.TYPED(Pair), [Pair(1, [2]), Pair(True, [2]), Pair(1, (2,))]),
    (Types.TYPED(Options), [{"size": 1}, {"size": 1, "more": 2}]),
    (None, [0.1, (1, [2]), {"a": {1}}, Row(1)]),
]


class Last(AggregateFunction):
    def create_accumulator(self):
        return "nothing"

    def add(self, value, accumulator):
        return value

    def get_result(self, accumulator):
        return [accumulator]

    def merge(self, a, b):
        return a


def last(a, b):
    return b


def hashable(value):
    try:
        hash(value)
    except TypeError:
        return False
    return value == value  # NaN is never found again


FEW = [TYPES[index] for index in (3, 4, 5, 10, 13, 17, 22, 25, 27, 29, 32)]


def descriptors(types):
    ttl = StateTtlConfig.new_builder(Time.hours(1)).build()
    for number, (declared, values) in enumerate(types):
        kinds = [
            ValueStateDescriptor("value", declared),
            ListStateDescriptor("list", declared),
            MapStateDescriptor("map", TEXT, declared),
            MapStateDescriptor("keys", declared, LONG),
            ReducingStateDescriptor("reducing", last, declared),
            AggregatingStateDescriptor("aggregating", Last(), declared),
        ]
        # On RocksDB each state is a column family, which takes its time.
        for descriptor in kinds if types is TYPES else (kinds[0], kinds[1], kinds[3]):
            for with_ttl in (False, True) if types is TYPES else (False,):
                kind = descriptor.get_name()
                named = type(descriptor).__new__(type(descriptor))
                named.__dict__.update(vars(descriptor))
                named.name = f"{kind} {number} {with_ttl}"
                if with_ttl:
                    named.enable_time_to_live(ttl)
                yield kind, named, [v for v in values if kind != "keys" or hashable(v)]


def write(state, kind, value):
    try:
        if kind == "value":
            state.update(value)
        elif kind == "list":
            state.add_all([value, value])
        elif kind == "map":
            state.put("k", value)
        elif kind == "keys":
            state.put(value, 1)
            assert state.contains(value), value
        else:
            state.add(value)
            state.add(value)
    except (SerializationError, ValueError):
        return "refused"
    except Exception as error:
        if "None cannot be" not in str(error):
            raise
        return "refused"
    return "written"


def read(state, kind):
    if kind == "value":
        return repr(state.value())
    if kind in {"map", "keys"}:
        return repr(list(state.items()))
    return repr(list(state.get() or ()) if kind != "reducing" else state.get())


@pytest.fixture(params=["heap", "rocksdb", "rocksdb without a cache"])
def harness(request, tmp_path, monkeypatch):
    if request.param == "rocksdb without a cache":
        monkeypatch.setattr("millpond.state.rocksdb.state._SMALLEST_CACHE", 0)
        limit = RocksDBState.limit_cache
        monkeypatch.setattr(RocksDBState, "limit_cache", lambda state, _: limit(state, 0))
    heap = request.param == "heap"
    store = HeapStateStore() if heap else RocksDBStateStore()
    harness = BackendHarness(store, tmp_path)
    yield harness, TYPES if heap else FEW
    harness.close()


def test_reads_are_the_same_before_and_after_a_restore(harness):
    harness, types = harness
    backend = harness.create()
    live = {}
    states = [(kind, d, state_of(backend, d), values) for kind, d, values in descriptors(types)]
    for kind, descriptor, state, values in states:
        for key, value in enumerate(values):
            with at_key(backend, key):
                outcome = write(state, kind, value)
                live[descriptor.name, key] = outcome, read(state, kind)
    again = harness.restored(backend)
    for kind, descriptor, values in descriptors(types):
        state = state_of(again, descriptor)
        for key, value in enumerate(values):
            with at_key(again, key):
                assert read(state, kind) == live[descriptor.name, key][1], (descriptor.name, value)


def test_stores_refuse_and_read_the_same(harness):
    """What heap holds is what every store holds: the expectation is made by the coder alone."""
    harness, types = harness
    backend = harness.create()
    for kind, descriptor, values in descriptors(types):
        if kind != "value":
            continue
        state, coder = state_of(backend, descriptor), coder_for(descriptor.type_info)
        for key, value in enumerate(values):
            try:
                expected = repr(None if value is None else coder.decode(coder.encode(value)))
            except SerializationError:
                expected = "None"
            with at_key(backend, key):
                write(state, kind, value)
                assert read(state, kind) == expected, (descriptor.name, value)


SLOPPY = st.recursive(
    st.sampled_from([value for _, values in TYPES[:15] for value in values])
    | st.floats()
    | st.integers()
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.lists(inner, min_size=1, max_size=3).map(lambda items: Row(*items))
    ),
    max_leaves=4,
)


@given(st.sampled_from([t for t, _ in TYPES if t is not None]), SLOPPY)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_passes_the_check_is_what_decoding_gives(declared, value):
    coder = coder_for(declared)
    if fits(coder)(value) and value is not None:
        assert repr(coder.decode(coder.encode(value))) == repr(value)
        assert repr(coder.normalize(value)) == repr(value)
