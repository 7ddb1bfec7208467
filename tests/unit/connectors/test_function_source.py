"""`FunctionSource`: what a user's `SourceFunction` yields, and when it is handed on."""

from __future__ import annotations

import pytest

from millpond.clock import ManualClock, SystemClock
from millpond.datastream.connectors.function_source import FunctionSource
from millpond.datastream.functions import SourceFunction
from millpond.errors import InvalidProgramError


class Feed(SourceFunction):
    """Waits for each record as a live feed does."""

    def __init__(self, clock, waits_ms):
        self.clock = clock
        self.waits_ms = waits_ms

    def __deepcopy__(self, memo):
        return self

    def run(self, ctx):
        for number, wait_ms in enumerate(self.waits_ms):
            self.clock.sleep(wait_ms / 1000)
            yield number


def reader_of(function, clock, position=None):
    source = FunctionSource(function)
    return source.open_split(source.splits(1)[0], position, clock)


def test_a_slow_function_does_not_hold_records_back_until_a_batch_is_full():
    clock = ManualClock()
    reader = reader_of(Feed(clock, [0, 0, 0, 1000, 90, 90, 90, 0]), clock)
    read = []
    while not reader.finished:
        read.append(reader.read(2048).values)
    assert read == [[0, 1, 2, 3], [4, 5, 6], [7]]
    assert reader.position() == {"records": 8}


def test_a_function_that_does_not_wait_fills_batches():
    reader = reader_of(Feed(SystemClock(), [0] * 5), SystemClock())
    assert [reader.read(2).values for _ in range(3)] == [[0, 1], [2, 3], [4]]
    assert reader.finished


def test_a_cut_batch_goes_on_behind_its_last_record():
    clock = ManualClock()
    reader = reader_of(Feed(clock, [150] * 6), clock)
    assert reader.read(2048).values == [0, 1]
    again = reader_of(Feed(clock, [150] * 6), clock, reader.position())
    assert again.read(2048).values == [2, 3]


def test_a_function_that_yields_nothing_is_told_so():
    class Silent(SourceFunction):
        def run(self, ctx):
            return None

    with pytest.raises(InvalidProgramError, match=r"Silent\.run returned None.*Yield the records"):
        reader_of(Silent(), ManualClock())


def test_records_are_yielded_and_not_collected():
    class Java(SourceFunction):
        def run(self, ctx):
            ctx.collect(1)
            yield 1

    with pytest.raises(AttributeError, match=r"no 'collect': run\(\) yields its records"):
        reader_of(Java(), ManualClock()).read(1)
