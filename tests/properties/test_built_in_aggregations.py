"""Built-in aggregations against their plain meaning: results, and the bytes of savepoints."""

from __future__ import annotations

import copy
import importlib.util
import pickle
from pathlib import Path

import cloudpickle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.common.typeinfo import Types
from millpond.datastream.aggregations import Aggregations, count, max_of, min_of, sum_of
from millpond.datastream.functions import AggregateFunction
from millpond.datastream.window import TumblingEventTimeWindows
from millpond.errors import SerializationError, UserCodeError
from millpond.operators.batch import MAX_WATERMARK
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness

_SPEC = importlib.util.spec_from_file_location(
    "window_harness", Path(__file__).parents[1] / "unit" / "operators" / "conftest.py"
)
_HARNESS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_HARNESS)
WindowHarness = _HARNESS.WindowHarness

CANONICAL = SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.CANONICAL)


class OneByOne(AggregateFunction):
    """Figures by the plain meaning of the built-in ones."""

    def __init__(self, *kinds):
        self.kinds = kinds

    def create_accumulator(self):
        return ()

    def add(self, value, accumulator):
        new = [1 if kind == "count" else value[1] for kind in self.kinds]
        if not accumulator:
            return tuple(new)
        pairs = zip(self.kinds, accumulator, new, strict=True)
        combine = {"min": min, "max": max}
        return tuple([combine[k](a, b) if k in combine else a + b for k, a, b in pairs])

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        raise AssertionError


FIGURES = {"count": count(), "sum": sum_of(1), "min": min_of(1), "max": max_of(1)}
NUMBERS = st.one_of(
    st.integers(-9, 9),
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)


@pytest.mark.parametrize(("store", "examples"), [(HeapStateStore, 25), (RocksDBStateStore, 4)])
@pytest.mark.parametrize(
    "kinds",
    [
        ("count",),
        ("sum",),
        ("count", "sum"),
        ("sum", "count"),
        ("count", "sum", "min"),
        ("max", "sum"),
    ],
)
def test_built_in_figures_are_those_of_one_by_one(tmp_path, store, examples, kinds):
    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        script=st.lists(
            st.one_of(
                st.lists(
                    st.tuples(
                        st.sampled_from("abc"),
                        st.one_of(st.none(), NUMBERS.map(lambda number: (0, number))),
                        st.integers(0, 60),
                    ),
                    min_size=1,
                    max_size=8,
                ),
                st.integers(0, 80),
                st.none(),
            ),
            max_size=10,
        )
    )
    def run(script):
        outcomes = []
        for function in (OneByOne(*kinds), Aggregations(*[FIGURES[kind] for kind in kinds])):
            backends = BackendHarness(store(), tmp_path, key_type=Types.STRING(), options=CANONICAL)
            harness = WindowHarness(
                backends=backends,
                assigner=TumblingEventTimeWindows(20, 0),
                aggregate=function,
                accumulator_type=Types.PICKLED_BYTE_ARRAY(),
            )
            seen = []
            for step in [*script, None, MAX_WATERMARK]:
                if step is None:
                    harness.operator.snapshot_state(1, 0)
                    backends.snapshot(harness.backend)
                elif isinstance(step, int):
                    watermark = max(step, harness.operator.timers.current_watermark)
                    seen.append(harness.watermark(watermark))
                else:
                    harness.send(*step)
            assert harness.rows() == {}
            backends.close()
            outcomes.append((repr(seen), backends.snapshots._files))
        assert outcomes[0] == outcomes[1]

    run()


@pytest.mark.parametrize("kinds", [("count", "sum"), ("count", "sum", "max")])
def test_a_record_without_the_field_fails_with_its_key(kinds):
    harness = WindowHarness(
        assigner=TumblingEventTimeWindows(20, 0),
        aggregate=Aggregations(*[FIGURES[kind] for kind in kinds]),
        accumulator_type=Types.PICKLED_BYTE_ARRAY(),
    )
    harness.send(("a", (0, 1), 1), ("b", (0, 1), 1))
    with pytest.raises(UserCodeError, match=r"Aggregations raised IndexError.*key: 'b'"):
        harness.send(("a", (0, 1), 1), ("b", (0,), 2), ("a", (0, 1), 3))


def test_a_first_figure_of_another_type_is_refused_with_its_key():
    harness = WindowHarness(
        assigner=TumblingEventTimeWindows(20, 0),
        aggregate=Aggregations(count(), sum_of(1)),
        accumulator_type=Types.TUPLE([Types.LONG(), Types.LONG()]),
    )
    harness.send(("a", (0, 1), 1))
    with pytest.raises(SerializationError, match=r"does not fit the declared type.*key: 'b'"):
        harness.send(("a", (0, 1), 1), ("b", (0, "one"), 2), ("a", (0, 1), 3))


def test_copies_are_as_fast_and_give_the_same():
    function = pickle.loads(cloudpickle.dumps(Aggregations(sum_of(2), count())))
    copied = copy.deepcopy(function)
    for each in (function, copied):
        assert "add" in vars(each)
        assert each.add((0, 0, 5), each.add((0, 0, 2), each.create_accumulator())) == (7, 2)
