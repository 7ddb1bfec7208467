from __future__ import annotations

import pytest

from millpond.common import Types
from millpond.datastream.partitioning import (
    BroadcastPartitioning,
    CustomPartitioning,
    ForwardPartitioning,
    KeyGroupPartitioning,
    RebalancePartitioning,
    RescalePartitioning,
    ShufflePartitioning,
)
from millpond.errors import InvalidProgramError, UserCodeError
from millpond.operators.batch import Batch
from millpond.runtime.partitioner import partitioner_for
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.key_group import operator_index


def deal(partitioning, values, *, index=0, sources=1, targets=3, maximum=128, timestamps=None):
    partition = partitioner_for(
        partitioning,
        source_index=index,
        source_parallelism=sources,
        target_parallelism=targets,
        target_max_parallelism=maximum,
        target="the target",
    )
    return list(partition(Batch(list(values), timestamps)))


def values(dealt):
    return {channel: batch.values for channel, batch in dealt}


def test_forward_keeps_the_index():
    assert values(deal(ForwardPartitioning(), "ab", index=2)) == {2: ["a", "b"]}


def test_broadcast_reaches_all():
    assert values(deal(BroadcastPartitioning(), "a")) == {0: ["a"], 1: ["a"], 2: ["a"]}


def test_rebalance_deals_in_turn_and_keeps_timestamps():
    dealt = deal(RebalancePartitioning(), range(7), timestamps=list(range(10, 17)))
    assert values(dealt) == {0: [0, 3, 6], 1: [1, 4], 2: [2, 5]}
    assert dealt[1][1].timestamps == [11, 14]


@pytest.mark.parametrize("partitioning", [RebalancePartitioning(), ShufflePartitioning()])
def test_the_trickle_of_a_slow_stream_reaches_all(partitioning):
    partition = partitioner_for(
        partitioning,
        source_index=0,
        source_parallelism=1,
        target_parallelism=3,
        target_max_parallelism=128,
        target="the target",
    )
    reached = {channel for value in range(60) for channel, _ in partition(Batch([value]))}
    assert reached == {0, 1, 2}


@pytest.mark.parametrize(
    ("sources", "targets", "index", "expected"),
    [(2, 4, 0, {0, 1}), (2, 4, 1, {2, 3}), (4, 2, 1, {0}), (4, 2, 2, {1}), (1, 3, 0, {0, 1, 2})],
)
def test_rescale_deals_within_a_group(sources, targets, index, expected):
    dealt = deal(RescalePartitioning(), range(12), sources=sources, targets=targets, index=index)
    assert set(values(dealt)) == expected


def test_every_target_of_a_rescale_is_reached():
    for sources in range(1, 7):
        for targets in range(1, 7):
            reached = set()
            for index in range(sources):
                dealt = deal(
                    RescalePartitioning(), range(9), sources=sources, targets=targets, index=index
                )
                assert sum(len(batch) for _, batch in dealt) == 9
                reached |= set(values(dealt))
            assert reached == set(range(targets)), (sources, targets)


def test_shuffle_is_the_same_in_every_run():
    first = values(deal(ShufflePartitioning(), range(50)))
    assert first == values(deal(ShufflePartitioning(), range(50)))
    assert sorted(value for part in first.values() for value in part) == list(range(50))
    assert len(first) == 3


@pytest.mark.parametrize("targets", [1, 2, 5])
@pytest.mark.parametrize("maximum", [5, 128, 300])
def test_keys_go_to_the_subtask_that_owns_their_group(targets, maximum):
    partitioning = KeyGroupPartitioning(lambda value: value % 40, Types.LONG())
    dealt = deal(partitioning, range(200), targets=targets, maximum=maximum)
    serializer = key_serializer_for(Types.LONG())
    for channel, batch in dealt:
        assert batch.keys == [value % 40 for value in batch.values]
        for group in serializer.key_groups(batch.keys, maximum):
            assert operator_index(group, maximum, targets) == channel
    assert sum(len(batch) for _, batch in dealt) == 200


def test_custom_and_its_errors():
    good = CustomPartitioning(lambda key, count: key % count, lambda value: value)
    assert values(deal(good, range(4))) == {0: [0, 3], 1: [1], 2: [2]}
    bad = CustomPartitioning(lambda key, count: -1, lambda value: value)
    with pytest.raises(InvalidProgramError, match=r"returned -1.*the target"):
        deal(bad, [1])
    for broken in (
        CustomPartitioning(lambda key, count: 1 // 0, lambda value: value),
        CustomPartitioning(lambda key, count: 0, lambda value: 1 // 0),
        KeyGroupPartitioning(lambda value: 1 // 0, None),
    ):
        for targets in (1, 3):
            with pytest.raises(UserCodeError, match=r"ZeroDivisionError.*the target") as caught:
                deal(broken, [1], targets=targets)
            assert isinstance(caught.value.__cause__, ZeroDivisionError)
