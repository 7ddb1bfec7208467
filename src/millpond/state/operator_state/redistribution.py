"""How operator state is dealt to the subtasks of a restored operator.

The rules are Flink's (RoundRobinOperatorStateRepartitioner).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from millpond.errors import SavepointMismatchError
from millpond.formats.handles import (
    DistributionMode,
    OperatorState,
    OperatorStateHandle,
    OperatorStatePartition,
    StreamHandle,
)
from millpond.state.operator_state.restored_state import (
    RestoredOperatorState,
    join_restored,
    read_restored,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from millpond.state.contract.snapshot import SnapshotReader

__all__ = ("assign", "redistribute")

_Part = tuple[StreamHandle, tuple[int, ...]]


def redistribute(
    state: OperatorState | None, parallelism: int, reader: SnapshotReader
) -> list[RestoredOperatorState]:
    """Read an operator's state and return what each new subtask gets of it; see `assign`.

    `state` is None where the snapshot had nothing of the operator. Every stream is read once.

    Raises:
        SavepointMismatchError: as `assign`, or a state is not made of bytes.
        SnapshotCorruptedError: a stream is missing or damaged.
    """
    if state is None:
        return [RestoredOperatorState({}) for _ in range(parallelism)]
    old = [
        subtask.operator_managed if (subtask := state.subtasks.get(index)) is not None else None
        for index in range(state.parallelism)
    ]
    contents = {
        id(handle.stream): read_restored(handle, reader) for handle in old if handle is not None
    }
    return [
        join_restored([(handle, contents[id(handle.stream)]) for handle in handles])
        for handles in assign(old, parallelism)
    ]


def assign(
    old: Sequence[OperatorStateHandle | None], parallelism: int
) -> list[tuple[OperatorStateHandle, ...]]:
    """Return, for each new subtask, the handles that its operator state is restored from.

    `old` has one element a subtask of the snapshot, in order, None where there was no state.

    - Split lists stay where they are if the parallelism is the same. Else all elements, in the
      order of subtasks, are cut into consecutive blocks whose lengths differ by at most one; the
      next state goes on with the subtask where the longer blocks of this one ended.
    - Every subtask gets all elements of a union list.
    - Subtask i gets the broadcast state of subtask ``i % len(old)`` (of those that have it).

    Raises:
        SavepointMismatchError: one name has several distribution modes.
    """
    parts: dict[str, list[tuple[int, _Part]]] = {}
    modes: dict[str, DistributionMode] = {}
    for index, handle in enumerate(old):
        if handle is None:
            continue
        for name, partition in handle.partitions.items():
            if modes.setdefault(name, partition.mode) != partition.mode:
                raise SavepointMismatchError(
                    f"An operator state is {modes[name].name} in one subtask and "
                    f"{partition.mode.name} in another.",
                    state=name,
                )
            parts.setdefault(name, []).append((index, (handle.stream, partition.offsets)))
    dealt: list[list[tuple[str, DistributionMode, _Part]]] = [[] for _ in range(parallelism)]
    first = 0
    for name, mode in modes.items():
        if mode == DistributionMode.UNION:
            received = [[part for _, part in parts[name]]] * parallelism
        elif mode == DistributionMode.BROADCAST:
            copies = [part for _, part in parts[name]]
            received = [[copies[index % len(copies)]] for index in range(parallelism)]
        elif parallelism == len(old):
            received = [[part for at, part in parts[name] if at == i] for i in range(parallelism)]
        else:
            received, first = _split([part for _, part in parts[name]], parallelism, first)
        for index, subtask_parts in enumerate(received):
            dealt[index].extend((name, mode, part) for part in subtask_parts)
    order = [handle.stream for handle in old if handle is not None]
    return [_handles(subtask, order) for subtask in dealt]


def _split(parts: list[_Part], parallelism: int, first: int) -> tuple[list[list[_Part]], int]:
    """Cut the elements into blocks; return them with the first receiver of the next state."""
    elements = _elements(parts)
    base, longer = divmod(sum(len(offsets) for _, offsets in parts), parallelism)
    received: list[list[_Part]] = [[] for _ in range(parallelism)]
    for turn in range(parallelism):
        block = islice(elements, base + (turn < longer))
        received[(first + turn) % parallelism] = _grouped(block)
    return received, (first + longer) % parallelism


def _elements(parts: list[_Part]) -> Iterator[tuple[StreamHandle, int]]:
    for stream, offsets in parts:
        for offset in offsets:
            yield stream, offset


def _grouped(elements: Iterator[tuple[StreamHandle, int]]) -> list[_Part]:
    grouped: list[tuple[StreamHandle, list[int]]] = []
    for stream, offset in elements:
        if not grouped or grouped[-1][0] is not stream:
            grouped.append((stream, []))
        grouped[-1][1].append(offset)
    return [(stream, tuple(offsets)) for stream, offsets in grouped]


def _handles(
    parts: list[tuple[str, DistributionMode, _Part]], order: Sequence[StreamHandle]
) -> tuple[OperatorStateHandle, ...]:
    """Join the parts of one subtask into one handle a stream; the streams in their old order."""
    by_stream: dict[int, dict[str, OperatorStatePartition]] = {}
    for name, mode, (stream, offsets) in parts:
        by_stream.setdefault(id(stream), {})[name] = OperatorStatePartition(mode, offsets)
    return tuple(
        OperatorStateHandle(by_stream[id(stream)], stream)
        for stream in order
        if id(stream) in by_stream
    )
