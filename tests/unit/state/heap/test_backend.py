from __future__ import annotations

import threading

import pytest

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.datastream.window import TimeWindow
from millpond.errors import (
    CheckpointDeclinedError,
    NoCurrentKeyError,
    SavepointMismatchError,
    SerializationError,
    SnapshotCorruptedError,
    StateError,
)
from millpond.formats.handles import IncrementalHandle
from millpond.formats.keyed_header import KeyedHeader, write_keyed_header
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.pyflink_serializers import LONG, keyed_state_meta, row_snapshot
from millpond.formats.state_meta import SIGNATURE
from millpond.state.contract.keyed_backend import NO_KEY
from millpond.state.contract.namespace import TIME_WINDOW, VOID, VOID_NAMESPACE
from millpond.state.contract.states import MergeableState, SupportsEntries
from millpond.state.heap.store import HeapStateStore
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

VALUE = ValueStateDescriptor("value", Types.LONG())


@pytest.fixture
def harness(tmp_path):
    harness = BackendHarness(HeapStateStore(), tmp_path)
    yield harness
    harness.close()


def rows(harness, handle):
    reader = open_keyed_state(handle, harness.snapshots.reader().open, 128)
    names = [meta.name for meta in reader.header.states]
    found = {}
    for _, state_id, entries in reader.blocks():
        found.setdefault(names[state_id], []).extend(entries)
    return reader.header, found


def test_entries_give_a_loop_the_dictionary(harness):
    backend = harness.create()
    state = state_of(backend, VALUE)
    assert isinstance(state, SupportsEntries)
    assert not isinstance(state, MergeableState)
    entries = state.entries()
    for key in [1, 2, 1]:
        entries[key] = (entries.get(key) or 0) + 10
    snapshot = harness.start_snapshot(backend)
    entries = state.entries()
    for key in [1, 3]:
        entries[key] = (entries.get(key) or 0) + 1
    handle = snapshot.write()
    snapshot.release()
    backend.end_batch()
    for key, expected in ((1, 21), (2, 10), (3, 1)):
        with at_key(backend, key):
            assert state.value() == expected
    restored = harness.create([handle])
    state = state_of(restored, VALUE)
    assert {key: state.entries()[key] for key in (1, 2)} == {1: 20, 2: 10}
    assert len(state.entries()) == 2


def test_bound_methods_stay_right_through_a_snapshot(harness):
    backend = harness.create()
    state = state_of(backend, VALUE)
    read, write = state.value, state.update
    backend.current_key = 1
    write(1)
    snapshot = harness.start_snapshot(backend)
    assert read() == 1
    write(2)
    assert read() == 2
    snapshot.cancel()
    snapshot.release()
    for _ in range(3):
        backend.end_batch()
        assert read() == 2
    write(3)
    assert read() == 3


def test_a_value_that_slipped_past_the_check_is_named_by_the_snapshot(harness):
    backend = harness.create()
    state_of(backend, VALUE).entries()[17] = "text"
    with pytest.raises(SerializationError) as caught:
        harness.snapshot(backend)
    assert caught.value.context["key"] == "17"
    assert caught.value.context["state"] == "value"
    assert "str" in caught.value.message
    assert harness.snapshots.open_streams == 0


def test_an_object_that_cannot_be_pickled_is_named_by_the_snapshot(harness):
    backend = harness.create()
    state = state_of(backend, ValueStateDescriptor("object", None))
    with at_key(backend, 5):
        state.update(threading.Lock())
    with pytest.raises(SerializationError) as caught:
        harness.snapshot(backend)
    assert caught.value.context["key"] == "5"
    assert "lock" in str(caught.value)


def test_state_of_no_key_even_when_the_table_is_empty(harness):
    backend = harness.create()
    state = state_of(backend, VALUE)
    for access in (state.value, state.clear, lambda: state.update(1), lambda: state.update(None)):
        with pytest.raises(NoCurrentKeyError):
            access()
    assert repr(NO_KEY) == "<no current key>"


def test_keys_that_cannot_be_hashed_as_map_keys(harness):
    backend = harness.create()
    state = state_of(backend, MapStateDescriptor("map", None, None))
    with at_key(backend, 1):
        with pytest.raises(SerializationError, match="hashable"):
            state.put([1], 1)
        assert state.is_empty()
        state.put(1, 1)
        with pytest.raises(SerializationError, match="hashable"):
            state.put({}, 1)


def test_a_reduce_function_that_returns_none_clears(harness):
    backend = harness.create()
    state = state_of(backend, ReducingStateDescriptor("r", lambda a, b: None, Types.LONG()))
    with at_key(backend, 1):
        state.add(1)
        state.add(2)
        assert state.get() is None
        state.add(3)
        assert state.get() == 3
        state.add(None)
        assert state.get() is None


def test_a_timer_service_has_one_kind_of_namespaces(harness):
    backend = harness.create()
    timers = backend.timer_queue("s", "event", VOID)
    assert backend.timer_queue("s", "event", VOID) is timers
    with pytest.raises(StateError, match=r"void.*time-window"):
        backend.timer_queue("s", "event", TIME_WINDOW)
    timers.add(1, 1, VOID_NAMESPACE)
    restored = harness.create([harness.snapshot(backend)])
    with pytest.raises(StateError, match="time-window"):
        restored.timer_queue("s", "event", TIME_WINDOW)


def test_unknown_states_have_no_keys(harness):
    backend = harness.create()
    for access in (
        lambda: backend.keys("none", VOID_NAMESPACE),
        lambda: backend.keys_and_namespaces("none"),
        lambda: backend.entry_count("none"),
    ):
        with pytest.raises(StateError, match="No such state"):
            access()


def test_snapshots_have_pyflink_s_shape(harness):
    backend = harness.create()
    with at_key(backend, 1):
        state_of(backend, ListStateDescriptor("list", Types.LONG())).add_all([1, 2])
        state_of(backend, MapStateDescriptor("map", Types.STRING(), Types.LONG())).put("k", None)
        state_of(backend, VALUE).update(7)
    header, found = rows(harness, harness.snapshot(backend))
    assert header.key_serializer == row_snapshot(LONG)
    assert [meta.options[SIGNATURE] for meta in header.states] == [
        "LIST<LONG>",
        "MAP<STRING, LONG>",
        "VALUE<LONG>",
    ]
    ((key, value),) = found["python-state-value"]
    assert key[1:] == b"\0" + (1).to_bytes(8, "big") + b"\0"
    assert value == (8).to_bytes(4, "big") + (7).to_bytes(8, "big")
    ((_, value),) = found["python-state-list"]
    assert value == b"\0\0\0\x10" + (1).to_bytes(8, "big") + (2).to_bytes(8, "big")
    ((map_key, value),) = found["python-state-map"]
    assert map_key == key + b"\0\0\0\5\0\0\0\1k"
    assert value == b"\1"


def test_ttl_has_pyflink_s_shape_and_full_snapshots_leave_expired_entries_out(harness):
    config = StateTtlConfig.new_builder(Time.milliseconds(100)).cleanup_full_snapshot().build()
    elements = ListStateDescriptor("list", Types.LONG())
    elements.enable_time_to_live(config)
    backend = harness.create()
    state = state_of(backend, elements)
    for key, pause in ((1, 60), (1, 60), (2, 60)):
        with at_key(backend, key):
            state.add_all([5, 6])
        harness.clock.advance(pause)
    header, found = rows(harness, harness.snapshot(backend))
    assert header.states[0] == keyed_state_meta(
        "list", is_map=False, ttl=True, signature="LIST<LONG> WITH TTL"
    )
    ((_, value),) = found["python-state-list"]
    chunk = b"\0\0\0\x10" + (5).to_bytes(8, "big") + (6).to_bytes(8, "big")
    assert value == (1_000_120).to_bytes(8, "big") + chunk


def test_long_lists_are_written_in_chunks(harness):
    elements = ListStateDescriptor("list", Types.STRING())
    backend = harness.create()
    with at_key(backend, 1):
        state_of(backend, elements).add_all(["x" * 300_000] * 9)
    handle = harness.snapshot(backend)
    _, found = rows(harness, handle)
    ((_, value),) = found["python-state-list"]
    assert len(value) == 9 * 300_004 + 3 * 4 + 2
    restored = harness.create([handle])
    with at_key(restored, 1):
        assert state_of(restored, elements).get() == ["x" * 300_000] * 9


def test_snappy(tmp_path):
    harness = BackendHarness(HeapStateStore(compressed=True), tmp_path)
    backend = harness.create()
    for key in range(100):
        with at_key(backend, key):
            state_of(backend, ValueStateDescriptor("text", Types.STRING())).update("x" * 1000)
    handle = harness.snapshot(backend)
    assert handle.size < 50_000
    restored = harness.create([handle])
    with at_key(restored, 99):
        text = state_of(restored, ValueStateDescriptor("text", Types.STRING())).value()
    assert text == "x" * 1000
    harness.close()


def test_files_of_our_rocksdb_store_are_refused(harness):
    header = KeyedHeader(
        row_snapshot(LONG), (keyed_state_meta("v", is_map=False, signature="VALUE<LONG>"),)
    )
    meta = harness.snapshots.keep(write_keyed_header(header))
    with pytest.raises(SavepointMismatchError, match="canonical"):
        harness.create([IncrementalHandle(1, "b", 0, 128, meta, (), (), 0)])


def test_a_synchronous_snapshot_is_written_at_the_barrier(tmp_path):
    harness = BackendHarness(HeapStateStore(asynchronous=False), tmp_path)
    backend = harness.create()
    state = state_of(backend, VALUE)
    with at_key(backend, 1):
        state.update(1)
    snapshot = harness.start_snapshot(backend)
    assert type(state.entries()) is dict or not state.entries()
    snapshot.cancel()
    with pytest.raises(CheckpointDeclinedError):
        snapshot.write()
    snapshot.release()
    backend.close()
    backend.close()


def test_the_pause_does_not_grow_with_the_state(harness):
    """Nothing is copied at the barrier: the frozen dictionary is the one that was written to."""
    backend = harness.create()
    state = state_of(backend, VALUE, TIME_WINDOW)
    for key in range(2000):
        with at_key(backend, key):
            state.current_namespace = TimeWindow(0, 1)
            state.update(key)
    before = state.entries()
    snapshot = harness.start_snapshot(backend)
    assert len(before) == 2000
    assert len(state.entries()) == 0
    snapshot.write()
    snapshot.release()
    with at_key(backend, 5):
        state.update(-5)
    backend.end_batch()
    assert state.entries() is before
    assert before[5, TimeWindow(0, 1)] == -5


def test_a_damaged_stream_is_named(harness):
    backend = harness.create()
    with at_key(backend, 1):
        state_of(backend, VALUE).update(1)
    handle = harness.snapshot(backend)
    data = harness.snapshots.content(handle.stream)
    for size in (0, 10, len(data) - 1):
        harness.snapshots.replace(handle.stream, data[:size])
        with pytest.raises(SnapshotCorruptedError, match="keyed state") as caught:
            harness.create([handle])
        assert caught.value.context["operator"] == "conformance"
