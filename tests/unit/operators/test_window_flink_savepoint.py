"""Window operators go on from savepoints that PyFlink's window operators wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from millpond.checkpoint.loading import load_checkpoint
from millpond.common.typeinfo import Types
from millpond.datastream.functions import ProcessWindowFunction
from millpond.datastream.window import EventTimeSessionWindows, TumblingEventTimeWindows
from millpond.operators.batch import MAX_WATERMARK
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness

GOLDEN = Path(__file__).parents[2] / "golden" / "flink"
KEY_TYPES = {"STRING": Types.STRING(), "LONG": Types.LONG()}


class Fired(ProcessWindowFunction):
    def process(self, key, context, elements):
        return [(key, context.window().start, context.window().end, list(elements))]


def spec_of(operator):
    """Return the WindowSpec's fields for an operator of the fixture job."""
    size = operator["window"]["size_or_gap_ms"]
    is_tumbling = operator["window"]["assigner"] == "tumbling"
    spec = {
        "assigner": TumblingEventTimeWindows(size, 0)
        if is_tumbling
        else EventTimeSessionWindows(size),
        "element_type": Types.TUPLE([KEY_TYPES[operator["key_type"]], Types.LONG()]),
        "window_function": Fired(),
    }
    if operator["function"] == "reduce":
        spec["reduce"] = lambda a, b: (a[0], a[1] + b[1])
    return spec


def contents_of(window):
    contents = window["contents"]
    elements = contents.get("list", [contents])
    return [tuple(element["tuple"]) for element in elements]


@pytest.mark.parametrize("store", [HeapStateStore, RocksDBStateStore])
@pytest.mark.parametrize(
    "savepoint", ["2.3.0-hashmap-canonical", "2.3.0-hashmap-p2-max300-snappy-canonical"]
)
def test_windows_of_flink_fire_here(windows, tmp_path, savepoint, store):
    expected = json.loads((GOLDEN / savepoint / "expected.json").read_text())
    loaded = load_checkpoint(str(GOLDEN / savepoint / expected["savepoint"]))
    states = {state.operator_id.hex(): state for state in loaded.metadata.operators}
    operators = [operator for operator in expected["operators"] if "window" in operator]
    assert operators
    for operator in operators:
        backends = BackendHarness(
            store(),
            tmp_path,
            key_type=KEY_TYPES[operator["key_type"]],
            max_parallelism=operator["max_parallelism"],
        )
        backends.snapshots = _Reading(loaded.reader)
        subtasks = states[operator["operator_id"]].subtasks.values()
        handles = [handle for subtask in subtasks for handle in subtask.keyed_managed]
        harness = windows(backends=backends, restored=handles, **spec_of(operator))
        assert sorted(harness.watermark(MAX_WATERMARK)) == sorted(
            (window["key"], *window["window"], contents_of(window))
            for window in operator["windows"]
        )
        assert harness.backend.entry_count("window-contents") == 0
        backends.close()


class _Reading:
    """Stands for `MemorySnapshots` where only a reader is needed."""

    def __init__(self, reader):
        self.reader = lambda: reader
