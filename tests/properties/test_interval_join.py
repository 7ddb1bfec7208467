"""Interval joins against a model that compares all pairs, with restores, on both stores."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.clock import ManualClock
from millpond.common.typeinfo import Types
from millpond.datastream.functions import ProcessJoinFunction
from millpond.datastream.operator_spec import IntervalJoinSpec
from millpond.datastream.output_tag import OutputTag
from millpond.metrics.registry import MetricRegistry
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from millpond.operators.interval_join import IntervalJoinOperator
from millpond.operators.operator import OperatorContext
from millpond.state.contract.namespace import VOID
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness

LATE = OutputTag("late", Types.INT())


class Pair(ProcessJoinFunction):
    def process_element(self, left, right, ctx):
        assert ctx.get_timestamp() == max(ctx.get_left_timestamp(), ctx.get_right_timestamp())
        yield (left, right, ctx.get_left_timestamp(), ctx.get_right_timestamp())


class Seen:
    """What the operator emits."""

    def __init__(self):
        self.pairs = []
        self.late = []
        self.watermark = MIN_WATERMARK

    def emit(self, batch):
        for pair, timestamp in zip(batch.values, batch.timestamps, strict=True):
            assert timestamp == max(pair[2:])
            # No result may come behind the watermark that follows from its records.
            self.pairs.append(pair)

    def emit_watermark(self, timestamp):
        self.watermark = timestamp

    def emit_side(self, tag_id, batch):
        assert tag_id == LATE.tag_id
        self.late.extend(batch.values)


class Joining:
    def __init__(self, store, directory, lower, upper):
        self.backends = BackendHarness(store, directory, key_type=Types.STRING())
        self.spec = IntervalJoinSpec(
            Pair(), lower, upper, Types.INT(), None, left_late_tag=LATE, right_late_tag=None
        )
        self.seen = Seen()
        self.open(self.backends.create())

    def open(self, backend):
        self.backend = backend
        self.operator = IntervalJoinOperator(self.spec)
        self.operator.setup(
            OperatorContext(
                job_id="0" * 32,
                job_name="job",
                operator_id=b"o" * 16,
                name="join",
                subtask_index=0,
                parallelism=1,
                max_parallelism=128,
                attempt=0,
                clock=ManualClock(),
                output=self.seen,
                metric_group=MetricRegistry().group({}),
                operator_state=None,
                keyed_backend=backend,
            )
        )
        self.operator.initialize_state()
        self.operator.open()

    def restore(self):
        dropped = self.operator.late_records_dropped.get_count()
        self.open(self.backends.restored(self.backend))
        self.operator.late_records_dropped.inc(dropped)
        # The sources say again where event time was.
        self.operator.process_watermark(self.seen.watermark)

    def rows(self):
        names = ("LEFT_BUFFER", "RIGHT_BUFFER")
        timers = len(self.backend.timer_queue("user-timers", "event", VOID))
        return timers + sum(self.backend.entry_count(name) for name in names)


sends = st.tuples(
    st.booleans(),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(-30, 60)), min_size=1, max_size=5),
)
steps = st.lists(st.one_of(sends, st.integers(-40, 70), st.just("restore")), max_size=14)
bounds = st.tuples(st.integers(-25, 25), st.integers(0, 30)).map(lambda b: (b[0], b[0] + b[1]))


def check(store, directory, interval, script):
    lower, upper = interval
    joining = Joining(store, directory, lower, upper)
    kept = {True: [], False: []}
    late = {True: [], False: []}
    watermark, number = MIN_WATERMARK, 0
    for step in [*script, MAX_WATERMARK]:
        if step == "restore":
            joining.restore()
        elif isinstance(step, int):
            watermark = max(watermark, step)
            joining.operator.process_watermark(watermark)
        else:
            is_left, records = step
            numbered = list(enumerate(records, number))
            number += len(records)
            for value, (key, timestamp) in numbered:
                target = late if timestamp < watermark else kept
                target[is_left].append((value, key, timestamp))
            operator = joining.operator
            process = operator.process_first if is_left else operator.process_second
            values = [value for value, _ in numbered]
            process(Batch(values, [time for _, time in records], [key for key, _ in records]))
    expected = Counter(
        (left, right, left_time, right_time)
        for left, left_key, left_time in kept[True]
        for right, right_key, right_time in kept[False]
        if left_key == right_key and lower <= right_time - left_time <= upper
    )
    assert Counter(joining.seen.pairs) == expected
    assert joining.seen.late == [value for value, _, _ in late[True]]
    assert joining.operator.late_records_dropped.get_count() == len(late[False])
    assert joining.rows() == 0
    joining.backends.close()


@settings(max_examples=100, deadline=None)
@given(bounds, steps)
def test_all_pairs_on_the_heap_and_nothing_is_left(interval, script):
    check(HeapStateStore(), Path(), interval, script)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(interval=bounds, script=steps)
def test_all_pairs_in_rocksdb_and_nothing_is_left(tmp_path_factory, interval, script):
    check(RocksDBStateStore(), tmp_path_factory.mktemp("join"), interval, script)
