"""`KeyedStreamWriter`: captured states into one canonical stream, in bounded pieces."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, final

from millpond.errors import CheckpointDeclinedError
from millpond.formats.canonical_writer import CanonicalWriter
from millpond.formats.composite_key import encode_key_group
from millpond.formats.keyed_header import KeyedHeader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.clock import Clock
    from millpond.formats.handles import StreamHandle
    from millpond.formats.serializer_snapshot import SerializerSnapshot
    from millpond.state.contract.snapshot import SnapshotOutput, SnapshotScope, SnapshotStreams
    from millpond.state.heap.captured_state import CapturedState
    from millpond.state.heap.key_groups import KeyGroups

__all__ = ("KeyedStreamWriter", "cancelled_error")

# A busy task takes the interpreter for 5 ms after each yield; four pieces are about 2 ms of work,
# so it keeps two thirds of its speed while a snapshot is written.
_PIECES_PER_YIELD = 4


@final
class KeyedStreamWriter:
    """Writes the streams of one snapshot; used by one thread but for `cancel`.

    `yields`: the writing thread gives the interpreter to other threads after each piece.
    """

    def __init__(
        self,
        key_groups: KeyGroups,
        key_serializer: Callable[[], SerializerSnapshot],
        streams: SnapshotStreams,
        checkpoint_id: int,
        clock: Clock,
        *,
        compressed: bool,
        yields: bool,
    ) -> None:
        self.key_groups = key_groups
        self.streams = streams
        self.checkpoint_id = checkpoint_id
        self._key_serializer = key_serializer
        self._clock = clock
        self._compressed = compressed
        self._yields = yields
        self._pieces = 0
        self._cancelled = threading.Event()

    def write(
        self, states: Sequence[CapturedState], scope: SnapshotScope
    ) -> tuple[tuple[int, ...], StreamHandle] | None:
        """Write one stream; return the offsets of all key groups and its handle.

        None if there is not one entry.

        Raises:
            CheckpointDeclinedError: `cancel` was called.
        """
        self._checkpoint()
        by_group: dict[int, list[tuple[int, Any]]] = {}
        for state_id, state in enumerate(states):
            for group, part in state.partition(self._checkpoint).items():
                by_group.setdefault(group, []).append((state_id, part))
        if not by_group:
            return None
        out = self.streams.open(scope)
        try:
            return self._write(out, states, by_group)
        except BaseException:
            out.abort()
            raise

    def cancel(self) -> None:
        """Make `write` stop after its current piece; any thread may call it."""
        self._cancelled.set()

    def _write(
        self,
        out: SnapshotOutput,
        states: Sequence[CapturedState],
        by_group: dict[int, list[tuple[int, Any]]],
    ) -> tuple[tuple[int, ...], StreamHandle] | None:
        groups = self.key_groups
        header = KeyedHeader(
            self._key_serializer(),
            tuple(state.meta for state in states),
            compressed=self._compressed,
        )
        writer = CanonicalWriter(out, header, groups.range.start, groups.range.end)
        for group in sorted(by_group):
            prefix = encode_key_group(group, groups.max_parallelism)
            writer.begin_key_group(group)
            # Taken out, so that the memory of what is written can be used again.
            for state_id, part in by_group.pop(group):
                states[state_id].write(writer, state_id, part, prefix, self._checkpoint)
            self._checkpoint()
        offsets = writer.finish()
        stream = out.finish()
        return None if stream is None else (offsets, stream)

    def _checkpoint(self) -> None:
        if self._cancelled.is_set():
            raise cancelled_error(self.key_groups.operator_name, self.checkpoint_id)
        if self._yields:
            self._pieces += 1
            if self._pieces % _PIECES_PER_YIELD == 0:
                self._clock.sleep(0)


def cancelled_error(operator_name: str, checkpoint_id: int) -> CheckpointDeclinedError:
    """Return the error of a cancelled snapshot."""
    return CheckpointDeclinedError(
        "The snapshot of heap state was cancelled.",
        operator=operator_name,
        checkpoint=checkpoint_id,
    )
