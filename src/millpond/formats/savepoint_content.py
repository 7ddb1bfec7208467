"""What a checkpoint or savepoint holds for one operator: entries and timers, taken apart.

For tools and tests: bytes are split into key, namespace and value, and decoded no further, so that
nothing is executed. Memory is bounded by the readers below it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from millpond.errors import FormatError
from millpond.formats.composite_key import prefix_length_of, split_composite_key
from millpond.formats.java_values import has_ambiguous_parts, java_skipper
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.operator_state import OperatorStateContent, read_operator_state
from millpond.formats.pyflink_serializers import timer_service_of
from millpond.formats.pyflink_values import decode_timer
from millpond.formats.state_meta import (
    NAMESPACE_SERIALIZER,
    VALUE_SERIALIZER,
    StateMeta,
    StateMetaKind,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from millpond.formats.handles import KeyedHandle, OperatorState, StreamHandle
    from millpond.formats.serializer_snapshot import SerializerSnapshot

__all__ = (
    "KeyedEntry",
    "TimerEntry",
    "read_handle_content",
    "read_keyed_content",
    "read_operator_content",
)


class KeyedEntry(NamedTuple):
    """One entry of a keyed state; `user_key` is empty unless the state is a map."""

    state: StateMeta
    key_group: int
    key: bytes
    namespace: bytes
    user_key: bytes
    value: bytes


class TimerEntry(NamedTuple):
    """One timer; `domain` is ``event`` or ``processing``, `timestamp` in ms."""

    state: StateMeta
    service: str
    domain: str
    key_group: int
    timestamp: int
    key: bytes
    namespace: bytes


def read_keyed_content(
    operator: OperatorState,
    open_stream: Callable[[StreamHandle], BinaryIO],
    *,
    check: bool = True,
) -> Iterator[KeyedEntry | TimerEntry]:
    """Iterate over the keyed state and the timers of all subtasks of an operator.

    `open_stream` opens a stream of the snapshot, seekable; streams are closed after use. `check`
    examines every entry; it can be left out where checksums vouch for the streams.

    Raises:
        FormatError: the state is damaged or of a kind that cannot be read.
    """
    for subtask in operator.subtasks.values():
        for handle in subtask.keyed:
            yield from read_handle_content(
                handle, operator.max_parallelism, open_stream, check=check
            )


def read_handle_content(
    handle: KeyedHandle,
    max_parallelism: int,
    open_stream: Callable[[StreamHandle], BinaryIO],
    *,
    key_groups: tuple[int, int] | None = None,
    check: bool = True,
) -> Iterator[KeyedEntry | TimerEntry]:
    """Iterate over the keyed state of one handle, which depends on its own streams only.

    `key_groups` is the first and the last wanted, inclusive; the rest as in `read_keyed_content`.

    Raises:
        FormatError: the state is damaged or of a kind that cannot be read.
    """
    with contextlib.ExitStack() as streams:

        def opened(stream: StreamHandle) -> BinaryIO:
            return streams.enter_context(open_stream(stream))

        reader = open_keyed_state(handle, opened, max_parallelism, check=check)
        key_serializer = reader.header.key_serializer
        splitters = [
            _splitter(meta, key_serializer, max_parallelism) for meta in reader.header.states
        ]
        for block in reader.blocks(key_groups):
            split = splitters[block.state_id]
            for key, value in block.entries:
                yield split(block.key_group, key, value)


def read_operator_content(
    operator: OperatorState, open_stream: Callable[[StreamHandle], BinaryIO]
) -> Iterator[tuple[int, OperatorStateContent]]:
    """Iterate over (subtask index, managed operator state).

    Raises:
        FormatError: the state is damaged or of a kind that cannot be read.
    """
    for index, subtask in operator.subtasks.items():
        if subtask.operator_managed is not None:
            with open_stream(subtask.operator_managed.stream) as stream:
                yield index, read_operator_state(stream, subtask.operator_managed)


def _splitter(
    meta: StateMeta, key_serializer: SerializerSnapshot | None, max_parallelism: int
) -> Callable[[int, bytes, bytes], Any]:
    if meta.kind is StateMetaKind.PRIORITY_QUEUE:
        return _timer_splitter(meta, max_parallelism)
    namespace = meta.serializers[NAMESPACE_SERIALIZER]
    assert key_serializer is not None
    prefix_length = prefix_length_of(max_parallelism)
    skip_key = java_skipper(key_serializer)
    skip_namespace = java_skipper(namespace)
    ambiguous = has_ambiguous_parts(key_serializer, namespace)

    head = b""
    last_group, key, namespace_bytes = -1, b"", b""

    def split(key_group: int, data: bytes, value: bytes) -> KeyedEntry:
        nonlocal head, last_group, key, namespace_bytes
        # The entries of a map follow each other: their keys differ behind the same head.
        if key_group != last_group or not data.startswith(head):
            parts = split_composite_key(
                data, prefix_length, skip_key, skip_namespace, ambiguous=ambiguous
            )
            if parts.key_group != key_group:
                raise FormatError(
                    "A key lies in the wrong key group.",
                    offset=0,
                    state=meta.name,
                    key_group=key_group,
                )
            last_group, key, namespace_bytes = parts[:3]
            head = data[: len(data) - len(parts.user_key)]
        return KeyedEntry(meta, key_group, key, namespace_bytes, data[len(head) :], value)

    return split


def _timer_splitter(
    meta: StateMeta, max_parallelism: int
) -> Callable[[int, bytes, bytes], TimerEntry]:
    timer = meta.serializers[VALUE_SERIALIZER]
    service = timer_service_of(meta.name)
    if service is None:
        raise FormatError("A priority queue holds no timers.", offset=0, state=meta.name)
    prefix_length = prefix_length_of(max_parallelism)
    skip_key = java_skipper(timer.nested[0])
    skip_timer = java_skipper(timer)

    def split(key_group: int, data: bytes, value: bytes) -> TimerEntry:
        wrong_group = int.from_bytes(data[:prefix_length], "big") != key_group
        if wrong_group or value or skip_timer(data, prefix_length) != len(data):
            raise FormatError("A timer is damaged.", offset=0, state=meta.name, key_group=key_group)
        timestamp, key, namespace = decode_timer(data, prefix_length, skip_key)
        return TimerEntry(meta, *service, key_group, timestamp, key, namespace)

    return split
