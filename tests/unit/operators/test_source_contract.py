"""What the source operator asks of a source beyond splits: readers, beginnings, checkpoints."""

from __future__ import annotations

from millpond.clock import ManualClock
from millpond.common import Types, WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.source import Records, Source, Split, SplitReader
from millpond.datastream.operator_spec import SourceSpec
from millpond.operators.source import SourceOperator, _SplitProgress


class _Reader(SplitReader):
    def __init__(self, values, start):
        self._values, self._next = values, start

    def read(self, limit):
        values = self._values[self._next : self._next + limit]
        self._next += len(values)
        return Records(values) if values else None

    @property
    def finished(self):
        return self._next >= len(self._values)

    def position(self):
        return {"next": self._next}


class _Names(Source):
    """Splits of a letter each; the letter says who reads it."""

    def __init__(self, splits=2):
        self.bounded = False
        self.stops = True
        self.splits_listed = splits
        self.begun = []
        self.completed = []

    def splits(self, parallelism):
        return [Split(name) for name in "ab"[: self.splits_listed]]

    def subtask_of(self, split, index, parallelism):
        return (ord(split.split_id) - ord("a")) % parallelism

    def begin(self, splits, *, first):
        self.begun += [(split.split_id, first) for split in splits]
        return [Split(split.split_id, {"size": 4}) for split in splits]

    def open_split(self, split, position, clock):
        values = [f"{split.split_id}{n}" for n in range(split.payload["size"])]
        return _Reader(values, position["next"] if position else 0)

    def checkpoint_complete(self, positions):
        self.completed += [(split.split_id, dict(position)) for split, position in positions]

    def produced_type(self):
        return Types.STRING()


def _run(source, parallelism=1, interval_ms=None):
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(parallelism)
    if interval_ms is not None:
        env.enable_checkpointing(interval_ms)
    stream = env.from_source(source, WatermarkStrategy.no_watermarks(), "names")
    assert stream.get_type() == Types.STRING()
    with stream.execute_and_collect() as results:
        return sorted(results)


def test_a_source_that_stops_ends_with_its_splits_at_any_parallelism():
    wanted = [f"{name}{n}" for name in "ab" for n in range(4)]
    for parallelism in (1, 2, 3):
        assert _run(_Names(), parallelism) == wanted


def test_splits_begin_once():
    source = _Names()
    _run(source)
    assert source.begun == [("a", True), ("b", True)]


def test_positions_of_complete_checkpoints_reach_the_source():
    source = _Names()
    _run(source, interval_ms=10_000)
    assert source.completed == [("a", {"next": 4}), ("b", {"next": 4})]


def test_without_checkpoints_no_position_does():
    source = _Names()
    _run(source)
    assert source.completed == []


def test_restored_splits_do_not_begin_again_and_later_ones_are_not_the_first():
    source = _Names(splits=1)
    restored = SourceOperator(SourceSpec(source, None))
    restored.context = _Context(ManualClock(0))
    restored._event_time = _NoTime()
    restored._restored = {"a": _progress("a")}
    restored._discover(first=False)
    source.splits_listed = 2
    restored._discover(first=False)
    assert source.begun == [("b", False)]
    assert [progress.split for progress in restored._splits] == [
        Split("a", {"size": 7}),
        Split("b", {"size": 4}),
    ]


def _progress(name):
    return _SplitProgress(Split(name, {"size": 7}), 3, {"next": 3})


class _Context:
    parallelism = 1
    subtask_index = 0

    def __init__(self, clock):
        self.clock = clock


class _NoTime:
    def watch_splits(self, splits):
        pass
