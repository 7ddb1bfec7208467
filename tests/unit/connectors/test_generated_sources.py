"""Sources that need no files: collections, number sequences, generators."""

from __future__ import annotations

import pytest

from millpond.clock import ManualClock
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.connectors.datagen import DataGeneratorSource
from millpond.datastream.connectors.number_seq import NumberSequenceSource
from millpond.errors import InvalidProgramError, UserCodeError


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("reopen", [True, False])
def test_collection_is_read_in_order_and_from_any_position(read_all, limit, reopen):
    values = ["a", "b", "c", "d", "e", "f", "g"]
    assert read_all(CollectionSource(values), limit, reopen) == values


def test_collection_gives_timestamps_that_belong_to_the_values(clock):
    source = CollectionSource(["a", "b", "c"], [10, 20, 30])
    reader = source.open_split(source.splits(1)[0], {"index": 1}, clock)
    records = reader.read(10)
    assert (records.values, records.timestamps) == (["b", "c"], [20, 30])
    assert reader.finished


def test_empty_collection_is_finished_at_once(clock):
    source = CollectionSource([])
    reader = source.open_split(source.splits(1)[0], None, clock)
    assert reader.finished
    assert reader.read(5) is None


@pytest.mark.parametrize(("start", "end"), [(1, 1), (1, 10), (-5, 63), (0, 1000), (7, 10_000)])
def test_number_sequence_is_complete_and_ascending(read_all, start, end):
    assert read_all(NumberSequenceSource(start, end), 50) == list(range(start, end + 1))


def test_number_sequence_has_the_same_splits_at_any_parallelism():
    source = NumberSequenceSource(0, 9999)
    assert source.splits(1) == source.splits(7)


def test_number_sequence_refuses_an_end_before_the_start():
    with pytest.raises(InvalidProgramError, match="ends before it starts"):
        NumberSequenceSource(2, 1)


@pytest.mark.parametrize("split_count", [1, 3, 8])
def test_generator_gives_the_function_of_each_index_once(read_all, split_count):
    source = DataGeneratorSource(lambda index: index * index, 20, split_count=split_count)
    assert read_all(source, 4) == [index * index for index in range(20)]


def test_generator_keeps_to_its_rate_and_catches_up_by_one_second_at_most():
    clock = ManualClock(0)
    source = DataGeneratorSource(lambda index: index, records_per_second=100)
    reader = source.open_split(source.splits(1)[0], None, clock)
    assert not source.bounded
    assert reader.read(1000) is None
    clock.advance(250)
    assert reader.read(1000).values == list(range(25))
    clock.advance(60_000)
    assert len(reader.read(1000).values) == 100
    assert reader.position() == {"next": 125}
    assert not reader.finished


def test_generator_that_raises_names_the_function_and_keeps_the_cause(clock):
    source = DataGeneratorSource(lambda index: 1 // index, 3)
    reader = source.open_split(source.splits(1)[0], None, clock)
    with pytest.raises(UserCodeError, match="ZeroDivisionError") as caught:
        reader.read(2)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    "arguments",
    [
        {"count": -1},
        {"count": 5, "records_per_second": 0},
        {"count": 5, "split_count": 0},
        {"count": None, "split_count": 2},
    ],
)
def test_generator_refuses_arguments_out_of_range(arguments):
    with pytest.raises(InvalidProgramError):
        DataGeneratorSource(str, **arguments)
