"""No window that is over leaves a row in any store, whatever it was made of."""

from __future__ import annotations

import itertools

import pytest

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.common.types import Row
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.functions import AggregateFunction, ProcessWindowFunction, WindowFunction
from millpond.datastream.state import ListStateDescriptor, ValueStateDescriptor
from millpond.datastream.window import (
    ContinuousEventTimeTrigger,
    ContinuousProcessingTimeTrigger,
    CountEvictor,
    CountSlidingWindowAssigner,
    CountTrigger,
    CountTumblingWindowAssigner,
    DeltaEvictor,
    EventTimeSessionWindows,
    EventTimeTrigger,
    GlobalWindows,
    ProcessingTimeSessionWindows,
    PurgingTrigger,
    SessionWindowTimeGapExtractor,
    SlidingEventTimeWindows,
    SlidingProcessingTimeWindows,
    TimeEvictor,
    TumblingEventTimeWindows,
    TumblingProcessingTimeWindows,
)
from millpond.operators.batch import MAX_WATERMARK
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness


def add(a, b):
    return a + b


class Sum(AggregateFunction):
    def create_accumulator(self):
        return 0

    def add(self, value, accumulator):
        return accumulator + value

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        return acc_a + acc_b


class Apply(WindowFunction):
    def apply(self, key, window, inputs):
        return [sum(inputs)]


class Stateful(ProcessWindowFunction):
    """Keeps state of its window and deletes it in `clear`, as it must."""

    count = ValueStateDescriptor("count-of-window", Types.LONG())
    seen = ListStateDescriptor("seen-in-window", Types.LONG())

    def process(self, key, context, elements):
        state = context.window_state()
        state.get_state(self.count).update((state.get_state(self.count).value() or 0) + 1)
        state.get_list_state(self.seen).add(1)
        yield sum(elements)

    def clear(self, context):
        context.window_state().get_state(self.count).clear()
        context.window_state().get_list_state(self.seen).clear()


class Gap(SessionWindowTimeGapExtractor):
    def extract(self, element):
        return 5 + element


FUNCTIONS = {
    "reduce": {"reduce": add},
    "reduce and apply": {"reduce": add, "window_function": Apply()},
    "aggregate": {"aggregate": Sum(), "accumulator_type": Types.LONG()},
    "aggregate and process": {
        "aggregate": Sum(),
        "accumulator_type": Types.LONG(),
        "window_function": Stateful(),
    },
    "apply": {"window_function": Apply()},
    "process": {"window_function": Stateful()},
}
BY_EVENT_TIME = {
    "tumbling": TumblingEventTimeWindows(20, 3),
    "sliding": SlidingEventTimeWindows(30, 7, 2),
    "with gaps": SlidingEventTimeWindows(10, 25, 0),
    "session": EventTimeSessionWindows(8),
    "dynamic session": EventTimeSessionWindows.with_dynamic_gap(Gap()),
}
BY_THE_CLOCK = {
    "tumbling": TumblingProcessingTimeWindows(20, 3),
    "sliding": SlidingProcessingTimeWindows(30, 7, 2),
    "session": ProcessingTimeSessionWindows(8),
    "dynamic session": ProcessingTimeSessionWindows.with_dynamic_gap(Gap()),
}
FIFTEEN = Time.milliseconds(15)
TRIGGERS = {
    "default": None,
    "continuous": ContinuousEventTimeTrigger.of(FIFTEEN),
    "purging": PurgingTrigger.of(EventTimeTrigger()),
    "purging continuous": PurgingTrigger.of(ContinuousEventTimeTrigger.of(FIFTEEN)),
    "count": CountTrigger.of(2),
}
CLOCK_TRIGGERS = {
    "default": None,
    "continuous": ContinuousProcessingTimeTrigger.of(FIFTEEN),
    "purging count": PurgingTrigger.of(CountTrigger.of(2)),
}
EVICTORS = {
    "no evictor": None,
    "count": CountEvictor.of(2),
    "time, after": TimeEvictor.of(Time.milliseconds(4), True),
    "delta": DeltaEvictor.of(3, lambda old, new: abs(new - old)),
}
RECORDS = [
    ("a", 1, 0), ("b", 2, 3), ("a", 3, 14), ("a", 4, 8), ("b", 5, 40), ("c", 6, 41), ("a", 7, 45),
    ("a", 8, 30), ("c", 9, 70), ("b", 10, 52), ("a", 11, 95), ("b", 12, 5), ("a", 13, 90),
]  # fmt: skip


@pytest.fixture(params=["heap", "rocksdb"])
def harness_of(request, windows, tmp_path):
    """Return a function that makes a harness; all use one store, whose rows it counts."""
    store = HeapStateStore() if request.param == "heap" else RocksDBStateStore()
    backends = BackendHarness(store, tmp_path, key_type=Types.STRING())
    made = []

    def make(**spec):
        while made:
            backends.dismiss(made.pop())
        harness = windows(backends=backends, **{"element_type": Types.LONG(), **spec})
        made.append(harness.backend)
        return harness

    yield make
    backends.close()


def combinations(triggers):
    """Every trigger with every evictor, and in turn every function."""
    functions = itertools.cycle(FUNCTIONS.values())
    for trigger, evictor in itertools.product(triggers.values(), EVICTORS.values()):
        yield {"trigger": trigger, "evictor": evictor, **next(functions)}
    for each in FUNCTIONS.values():
        yield dict(each)


def without_window_state(spec):
    """Windows that merge have no state of their own."""
    functions = {k: v for k, v in spec.items() if not isinstance(v, Stateful)}
    return functions if len(functions) == len(spec) else {**functions, "window_function": Apply()}


@pytest.mark.parametrize("lateness_ms", [0, 25])
@pytest.mark.parametrize("kind", BY_EVENT_TIME)
def test_windows_by_event_time(harness_of, kind, lateness_ms):
    kept = 0
    for combination in combinations(TRIGGERS):
        spec = without_window_state(combination) if "session" in kind else combination
        harness = harness_of(assigner=BY_EVENT_TIME[kind], allowed_lateness_ms=lateness_ms, **spec)
        for number, record in enumerate(RECORDS):
            harness.send(record)
            if number % 3 == 2:
                harness.watermark(max(record[2] for record in RECORDS[: number + 1]) - 20)
            if number == 0:
                kept += sum(harness.rows().values())
        harness.watermark(MAX_WATERMARK)
        assert harness.rows() == {}, spec
    assert kept > 0


@pytest.mark.parametrize("kind", BY_THE_CLOCK)
def test_windows_by_the_clock(harness_of, kind):
    kept = 0
    for combination in combinations(CLOCK_TRIGGERS):
        spec = without_window_state(combination) if "session" in kind else combination
        harness = harness_of(assigner=BY_THE_CLOCK[kind], **spec)
        for number, (key, value, _) in enumerate(RECORDS):
            harness.clock.set(7 * number)
            harness.operator.process_processing_time(7 * number)
            harness.send_values([value], [key])
        kept += sum(harness.rows().values())
        for now_ms in range(90, 300, 5):
            harness.advance(now_ms)
        assert harness.rows() == {}, spec
    assert kept > 0


def test_count_windows_leave_the_count_of_each_key(harness_of):
    for assigner, left in (
        (CountTumblingWindowAssigner.of(2), "tumble-count-assigner"),
        (CountSlidingWindowAssigner.of(2, 2), "slide-count-assigner"),
    ):
        for functions in FUNCTIONS.values():
            harness = harness_of(assigner=assigner, **without_window_state(functions))
            harness.send_values([1, 2, 3, 4], "aabb")
            assert len(harness.output.take()) == 2
            ((name, rows),) = harness.rows().items()
            assert name.endswith(left)
            assert rows == 2


def test_a_purging_global_window_leaves_nothing(harness_of):
    for evictor in EVICTORS.values():
        harness = harness_of(
            assigner=GlobalWindows.create(),
            trigger=PurgingTrigger.of(CountTrigger.of(2)),
            evictor=evictor,
            window_function=Apply(),
        )
        harness.send_values([1, 2, 3, 4], "aabb", [1, 2, 3, 4])
        assert len(harness.output.take()) == 2
        assert harness.rows() == {}


@pytest.mark.parametrize("pairing", ["join", "co_group"])
@pytest.mark.parametrize("kind", ["tumbling", "sliding", "with gaps", "session"])
def test_joined_windows(harness_of, kind, pairing):
    env = StreamExecutionEnvironment.get_execution_environment()
    timed = WatermarkStrategy.for_monotonous_timestamps()
    first, second = (
        env.from_source(CollectionSource([1], [1]), timed, "numbers", Types.LONG())
        for _ in range(2)
    )
    kept = 0
    for trigger, evictor in itertools.product(TRIGGERS.values(), EVICTORS.values()):
        if isinstance(evictor, DeltaEvictor):
            continue  # its delta would be of tagged records
        joined = (
            getattr(first, pairing)(second)
            .where(lambda value: value % 3, Types.LONG())
            .equal_to(lambda value: value % 3)
            .window(BY_EVENT_TIME[kind])
            .allowed_lateness(25)
        )
        joined = joined if trigger is None else joined.trigger(trigger)
        joined = joined if evictor is None else joined.evictor(evictor)
        result = joined.apply(lambda *sides: [repr(sides)], Types.PICKLED_BYTE_ARRAY())
        harness = harness_of(**vars(result._transformation.spec))
        for number, (key, value, timestamp) in enumerate(RECORDS):
            side = (value, None) if number % 2 else (None, value)
            row = Row(side=1 if number % 2 else 2, first=side[0], second=side[1])
            harness.send((key, row, timestamp))
            if number % 4 == 3:
                harness.watermark(max(record[2] for record in RECORDS[: number + 1]) - 20)
            kept += sum(harness.rows().values()) if number == 0 else 0
        harness.watermark(MAX_WATERMARK)
        assert harness.rows() == {}, (trigger, evictor)
    assert kept > 0
