"""Snapshots that Apache Flink wrote, restored into the heap store, with another parallelism."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from millpond.clock import ManualClock
from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.functions import AggregateFunction
from millpond.datastream.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.errors import StateTypeError
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.key_group import KeyGroupRange, key_group_range
from millpond.state.contract.keyed_backend import KeyedBackendParameters
from millpond.state.contract.namespace import TIME_WINDOW, VOID, VOID_NAMESPACE
from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.heap.store import HeapStateStore
from millpond.testing.backend_harness import at_key
from millpond.testing.memory_snapshots import MemorySnapshots

GOLDEN = Path(__file__).parents[1] / "golden"
_spec = importlib.util.spec_from_file_location("golden_fixtures", GOLDEN / "conftest.py")
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)

FOLDERS = [
    "2.3.0-hashmap-canonical",
    "2.3.0-hashmap-none-checkpoint",
    "2.3.0-hashmap-p2-max300-snappy-canonical",
    "1.20.5-rocksdb-p2-heap-timers-canonical",
    "1.20.5-rocksdb-incremental",
    "2.3.0-rocksdb-p2-heap-timers-checkpoint",
]


class Accumulator(AggregateFunction):
    """The fixtures show accumulators, so the result is the accumulator."""

    def create_accumulator(self):
        return None

    def add(self, value, accumulator):
        return accumulator

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        return acc_a


class FlinkReader:
    has_checksums = False

    def __init__(self, snapshot, memory):
        self.snapshot = snapshot
        self.memory = memory.reader()

    def open(self, handle):
        if getattr(handle, "path", "").startswith("memory:"):
            return self.memory.open(handle)
        return self.snapshot.open(handle)


def snapshots():
    for folder in FOLDERS:
        file = next((GOLDEN / "flink" / folder).glob("expected*.json"))
        snapshot = golden.Snapshot(GOLDEN / "flink", file)
        for operator in snapshot.expected["operators"]:
            yield pytest.param(snapshot, operator, id=f"{folder} {operator['name']}")


def descriptor(state):
    name, declared = state["name"], golden.declared_type(state["type"])
    made = {
        "VALUE": lambda: ValueStateDescriptor(name, declared),
        "LIST": lambda: ListStateDescriptor(name, declared),
        "MAP": lambda: MapStateDescriptor(name, golden.declared_type(state["key_type"]), declared),
        "REDUCING": lambda: ReducingStateDescriptor(name, lambda a, _: a, declared),
        "AGGREGATING": lambda: AggregatingStateDescriptor(name, Accumulator(), declared),
    }[state["kind"]]()
    if "ttl_ms" in state:
        made.enable_time_to_live(
            StateTtlConfig.new_builder(Time.milliseconds(state["ttl_ms"])).build()
        )
    return made


def content(state, kind):
    if kind == "MAP":
        return dict(state.items())
    if kind == "LIST":
        return list(state.get())
    return state.value() if kind == "VALUE" else state.get()


def timers_of(backends, domain, namespace):
    found = []
    for backend in backends:
        for timestamp, key, window in backend.timer_queue("user-timers", domain, namespace):
            timer = {"key": golden.encode(key), "timestamp": timestamp}
            if window is not None:
                timer["namespace_window"] = [window.start, window.end]
            found.append(timer)
    return golden.ordered(found)


@pytest.mark.parametrize(("snapshot", "expected"), list(snapshots()))
def test_every_entry_comes_back(snapshot, expected):
    operator = snapshot.operator(expected)
    memory = MemorySnapshots()
    handles = [h for subtask in operator.subtasks.values() for h in subtask.keyed]
    states = expected.get("keyed_state", [])
    # The first run registers nothing, so that the second sees what was carried along undecoded.
    for parallelism, registers in ((3, False), (2, True), (1, True)):
        backends = []
        for index in range(parallelism):
            groups = key_group_range(operator.max_parallelism, parallelism, index)
            backends.append(
                HeapStateStore().create_keyed_backend(
                    KeyedBackendParameters(
                        job_id="00" * 16,
                        operator_id=operator.operator_id,
                        operator_name=expected["name"],
                        subtask_index=index,
                        key_serializer=key_serializer_for(
                            golden.declared_type(expected["key_type"])
                        ),
                        key_group_range=groups,
                        max_parallelism=operator.max_parallelism,
                        clock=ManualClock(snapshot.expected["taken_between_ms"][1]),
                        reader=FlinkReader(snapshot, memory),
                        restored=[
                            handle
                            for handle in handles
                            if groups.intersect(
                                KeyGroupRange(handle.first_key_group, handle.last_key_group)
                            ).count
                        ],
                    )
                )
            )
        if registers:
            for state in states:
                assert golden.ordered(entries(backends, state)) == state["entries"]
            namespace = TIME_WINDOW if "windows" in expected else VOID
            for domain in ("event", "processing"):
                wanted = expected["timers"][f"{domain}_time"]
                assert timers_of(backends, domain, namespace) == golden.ordered(wanted)
        handles = []
        for backend in backends:
            captured = backend.snapshot(1, memory, SnapshotOptions())
            handle = captured.write()
            captured.release()
            handles += [] if handle is None else [handle]


def entries(backends, state):
    for backend in backends:
        live = backend.get_state(StateDefinition.of(descriptor(state)))
        for key in backend.keys(state["name"], VOID_NAMESPACE):
            with at_key(backend, key):
                value = content(live, state["kind"])
                yield {"key": golden.encode(key), "value": golden.encode(value)}


def test_a_list_of_flink_cannot_become_a_map():
    file = GOLDEN / "flink" / FOLDERS[0] / "expected.json"
    snapshot = golden.Snapshot(GOLDEN / "flink", file)
    expected = next(o for o in snapshot.expected["operators"] if o["uid"] == "five-kinds")
    operator = snapshot.operator(expected)
    backend = HeapStateStore().create_keyed_backend(
        KeyedBackendParameters(
            job_id="00" * 16,
            operator_id=operator.operator_id,
            operator_name="five-kinds",
            subtask_index=0,
            key_serializer=key_serializer_for(Types.STRING()),
            key_group_range=KeyGroupRange(0, 127),
            max_parallelism=128,
            clock=ManualClock(0),
            reader=FlinkReader(snapshot, MemorySnapshots()),
            restored=operator.subtasks[0].keyed_managed,
        )
    )
    with pytest.raises(StateTypeError, match=r"list of bytes.*MAP<STRING, LONG>"):
        backend.get_state(
            StateDefinition.of(MapStateDescriptor("count", Types.STRING(), Types.LONG()))
        )
    with pytest.raises(StateTypeError, match="cannot be read as VALUE<STRING>"):
        backend.get_state(StateDefinition.of(ValueStateDescriptor("count", Types.STRING())))
