from __future__ import annotations

import pytest

from millpond.errors import SavepointMismatchError
from millpond.formats.handles import (
    DistributionMode,
    InlineHandle,
    OperatorStateHandle,
    OperatorStatePartition,
)
from millpond.state.operator_state.redistribution import assign


def handle(number: int, **states: tuple[DistributionMode, int]) -> OperatorStateHandle:
    """Subtask `number` with so many elements a state; offsets tell subtask and element."""
    return OperatorStateHandle(
        {
            name: OperatorStatePartition(mode, tuple(number * 100 + i for i in range(count)))
            for name, (mode, count) in states.items()
        },
        InlineHandle(b"x", name=str(number)),
    )


def offsets(dealt, name):
    return [
        [
            offset
            for part in subtask
            for offset in (part.partitions[name].offsets if name in part.partitions else ())
        ]
        for subtask in dealt
    ]


SPLIT, UNION, BROADCAST = DistributionMode


def test_split_lists_stay_with_unchanged_parallelism():
    old = [handle(0, a=(SPLIT, 3)), handle(1, a=(SPLIT, 1))]
    assert offsets(assign(old, 2), "a") == [[0, 1, 2], [100]]


def test_split_lists_are_cut_into_consecutive_blocks():
    old = [handle(0, a=(SPLIT, 3)), None, handle(2, a=(SPLIT, 4))]
    assert offsets(assign(old, 2), "a") == [[0, 1, 2, 200], [201, 202, 203]]
    assert offsets(assign(old, 5), "a") == [[0, 1], [2, 200], [201], [202], [203]]
    assert offsets(assign(old, 1), "a") == [[0, 1, 2, 200, 201, 202, 203]]


def test_the_next_state_starts_where_the_remainder_ended():
    old = [handle(0, a=(SPLIT, 4), b=(SPLIT, 4), c=(SPLIT, 3))]
    dealt = assign(old, 3)
    assert offsets(dealt, "a") == [[0, 1], [2], [3]]
    assert offsets(dealt, "b") == [[3], [0, 1], [2]]
    assert offsets(dealt, "c") == [[1], [2], [0]]


@pytest.mark.parametrize("parallelism", [1, 2, 3])
def test_every_subtask_gets_a_whole_union_list(parallelism):
    old = [handle(0, u=(UNION, 2)), handle(1, u=(UNION, 1))]
    assert offsets(assign(old, parallelism), "u") == [[0, 1, 100]] * parallelism


def test_broadcast_copies_are_dealt_in_turn():
    old = [handle(0, m=(BROADCAST, 1)), handle(1, m=(BROADCAST, 1))]
    assert offsets(assign(old, 5), "m") == [[0], [100], [0], [100], [0]]
    assert offsets(assign(old, 1), "m") == [[0]]


def test_subtasks_without_elements_get_nothing():
    assert assign([None, None], 3) == [(), (), ()]
    assert offsets(assign([handle(0, a=(SPLIT, 1))], 3), "a") == [[0], [], []]


def test_one_name_with_two_modes_is_refused():
    with pytest.raises(SavepointMismatchError, match="SPLIT in one subtask and UNION in another"):
        assign([handle(0, a=(SPLIT, 1)), handle(1, a=(UNION, 1))], 2)
