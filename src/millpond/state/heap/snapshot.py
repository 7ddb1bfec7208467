"""`HeapSnapshot`: heap state captured at a barrier, written in the canonical layout."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, final

from millpond.errors import CheckpointDeclinedError
from millpond.formats.canonical_writer import CanonicalWriter
from millpond.formats.composite_key import encode_key_group
from millpond.formats.handles import KeyedHandle, KeyGroupsHandle
from millpond.formats.keyed_header import KeyedHeader
from millpond.state.contract.snapshot import (
    Snapshot,
    SnapshotOutput,
    SnapshotScope,
    SnapshotStreams,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.clock import Clock
    from millpond.formats.serializer_snapshot import SerializerSnapshot
    from millpond.state.heap.captured_state import CapturedState
    from millpond.state.heap.key_groups import KeyGroups

__all__ = ("HeapSnapshot", "WrittenSnapshot")

# A busy task takes the interpreter for 5 ms after each yield; four pieces are about 2 ms of work,
# so it keeps two thirds of its speed while a snapshot is written.
_PIECES_PER_YIELD = 4


@final
class HeapSnapshot(Snapshot[KeyedHandle | None]):
    """All keyed state and timers of one subtask. Its data never changes."""

    def __init__(
        self,
        states: Sequence[CapturedState],
        key_groups: KeyGroups,
        key_serializer: Callable[[], SerializerSnapshot],
        streams: SnapshotStreams,
        checkpoint_id: int,
        clock: Clock,
        on_release: Callable[[], None],
        *,
        compressed: bool,
        yields: bool,
    ) -> None:
        """Make the snapshot.

        `yields`: the writing thread gives the interpreter to other threads after each piece.
        """
        self._states = states
        self._key_groups = key_groups
        self._key_serializer = key_serializer
        self._streams = streams
        self._checkpoint_id = checkpoint_id
        self._clock = clock
        self._on_release = on_release
        self._compressed = compressed
        self._yields = yields
        self._pieces = 0
        self._cancelled = threading.Event()

    def write(self) -> KeyedHandle | None:
        """Write one stream; None if there is not one entry."""
        self._checkpoint()
        by_group: dict[int, list[tuple[int, Any]]] = {}
        for state_id, state in enumerate(self._states):
            for group, part in state.partition(self._checkpoint).items():
                by_group.setdefault(group, []).append((state_id, part))
        if not by_group:
            return None
        out = self._streams.open(SnapshotScope.EXCLUSIVE)
        try:
            return self._write(out, by_group)
        except BaseException:
            out.abort()
            raise

    def cancel(self) -> None:
        """Make `write` stop after its current piece."""
        self._cancelled.set()

    def release(self) -> None:
        """Let the backend merge what was frozen."""
        self._states = ()  # whoever keeps this object must not keep the state alive
        self._on_release()

    def _write(
        self, out: SnapshotOutput, by_group: dict[int, list[tuple[int, Any]]]
    ) -> KeyedHandle | None:
        groups = self._key_groups
        header = KeyedHeader(
            self._key_serializer(),
            tuple(state.meta for state in self._states),
            compressed=self._compressed,
        )
        writer = CanonicalWriter(out, header, groups.range.start, groups.range.end)
        for group in sorted(by_group):
            prefix = encode_key_group(group, groups.max_parallelism)
            writer.begin_key_group(group)
            # Taken out, so that the memory of what is written can be used again.
            for state_id, part in by_group.pop(group):
                rows = self._states[state_id].rows(part, prefix, self._checkpoint)
                writer.write_entries(state_id, rows)
            self._checkpoint()
        offsets = writer.finish()
        stream = out.finish()
        if stream is None:
            return None
        return KeyGroupsHandle(groups.range.start, offsets, stream)

    def _checkpoint(self) -> None:
        if self._cancelled.is_set():
            raise _cancelled(self._key_groups.operator_name, self._checkpoint_id)
        if self._yields:
            self._pieces += 1
            if self._pieces % _PIECES_PER_YIELD == 0:
                self._clock.sleep(0)


@final
class WrittenSnapshot(Snapshot[KeyedHandle | None]):
    """A snapshot that the task thread has written already, because it was asked to."""

    def __init__(self, handle: KeyedHandle | None, operator_name: str, checkpoint_id: int) -> None:
        self._handle = handle
        self._operator_name = operator_name
        self._checkpoint_id = checkpoint_id
        self._cancelled = False

    def write(self) -> KeyedHandle | None:
        """Return the handle."""
        if self._cancelled:
            raise _cancelled(self._operator_name, self._checkpoint_id)
        return self._handle

    def cancel(self) -> None:
        """Make `write` refuse."""
        self._cancelled = True


def _cancelled(operator_name: str, checkpoint_id: int) -> CheckpointDeclinedError:
    return CheckpointDeclinedError(
        "The snapshot of heap state was cancelled.",
        operator=operator_name,
        checkpoint=checkpoint_id,
    )
