"""Incremental checkpoints of heap state: what a checkpoint builds on, and writing what changed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from millpond.formats.handles import IncrementalHandle, KeyedHandle
from millpond.formats.heap_increments import (
    HeapStream,
    HeapStreamKind,
    is_heap_increments,
    read_heap_manifest,
    write_heap_manifest,
)
from millpond.state.contract.snapshot import Snapshot, SnapshotScope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.state.contract.keyed_backend import KeyedBackendParameters
    from millpond.state.heap.captured_state import CapturedState
    from millpond.state.heap.change_log import ChangeLog
    from millpond.state.heap.keyed_stream import KeyedStreamWriter

__all__ = ("Chain", "HeapIncrementalSnapshot", "IncrementBook", "Taken", "restored_chain")

_MOST_STREAMS = 64
_MOST_PENDING = 16
_SMALL_BYTES = 1 << 16

Chain = tuple[HeapStream, ...]
"""A base and its increments, oldest first: the whole state at one checkpoint."""


@final
@dataclass(slots=True)
class Taken:
    """One checkpoint: where each log stood, and once it is written what it consists of."""

    positions: dict[ChangeLog, int]
    chain: Chain | None = None


@final
@dataclass(slots=True)
class IncrementBook:
    """Which checkpoint the next one builds on. Used by the task thread.

    Only a confirmed one may serve (Flink's rule): one that was given up loses no change, since
    the logs keep everything since the last confirmed one.
    """

    backend_id: str
    confirmed: Taken | None = None
    confirmed_id: int = -1
    pending: dict[int, Taken] = field(default_factory=dict)

    def base(self) -> Taken | None:
        """Return what an increment may build on; None when a full one is due.

        A new base is due when the increments have grown to half the size of theirs, or are many:
        so a restore reads at most one and a half times the state.
        """
        confirmed = self.confirmed
        if confirmed is None or not confirmed.chain:
            return None
        sizes = [stream.stream.size for stream in confirmed.chain]
        if len(sizes) >= _MOST_STREAMS or sum(sizes[1:]) * 2 > sizes[0] + _SMALL_BYTES:
            return None
        return confirmed

    def take(self, checkpoint_id: int, positions: dict[ChangeLog, int]) -> Taken:
        """Note a checkpoint that is being written."""
        taken = Taken(positions)
        self.pending[checkpoint_id] = taken
        if len(self.pending) > _MOST_PENDING:
            del self.pending[min(self.pending)]
        return taken

    def confirm(self, checkpoint_id: int) -> None:
        """Build on a complete checkpoint from now on; forget what it covers."""
        taken = self.pending.pop(checkpoint_id, None)
        if taken is None or taken.chain is None or checkpoint_id < self.confirmed_id:
            return
        self.confirmed = taken
        self.confirmed_id = checkpoint_id
        for log, position in taken.positions.items():
            log.forget(position)

    def restart(self) -> None:
        """Build on nothing taken so far: its rows have another form than those to come."""
        self.confirmed = None
        self.pending.clear()

    def give_up(self, checkpoint_id: int) -> None:
        """Forget a checkpoint that failed."""
        self.pending.pop(checkpoint_id, None)


@final
class HeapIncrementalSnapshot(Snapshot[KeyedHandle | None]):
    """A new base, or what changed since the checkpoint that `before` describes."""

    def __init__(
        self,
        parts: Sequence[tuple[HeapStreamKind, Sequence[CapturedState]]],
        before: Chain,
        taken: Taken,
        backend_id: str,
        writer: KeyedStreamWriter,
        on_release: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._before = before
        self._taken = taken
        self._backend_id = backend_id
        self._writer = writer
        self._on_release = on_release

    def write(self) -> KeyedHandle | None:
        """Write the streams that are not empty, and the manifest; None without any state."""
        writer = self._writer
        chain = list(self._before)
        written_bytes = 0
        for kind, states in self._parts:
            written = writer.write(states, SnapshotScope.SHARED)
            if written is not None:
                chain.append(HeapStream(kind, *written))
                written_bytes += chain[-1].stream.size
        if not chain:
            return None
        out = writer.streams.open(SnapshotScope.EXCLUSIVE)
        try:
            out.write(write_heap_manifest(tuple(chain)))
        except BaseException:
            out.abort()
            raise
        meta = out.finish()
        assert meta is not None
        self._taken.chain = tuple(chain)
        groups = writer.key_groups.range
        return IncrementalHandle(
            writer.checkpoint_id,
            self._backend_id,
            groups.start,
            groups.count,
            meta,
            tuple((each.name(number), each.stream) for number, each in enumerate(chain)),
            (),
            written_bytes + meta.size,
        )

    def cancel(self) -> None:
        """Make `write` stop after its current piece."""
        self._writer.cancel()

    def release(self) -> None:
        """Let the backend merge what was frozen."""
        self._parts = ()
        self._on_release()


def restored_chain(parameters: KeyedBackendParameters) -> tuple[str, Chain]:
    """Return the backend id and the chain to go on with after a restore; a new one without.

    Only where the key groups are the same, and the restored files are not the user's.
    """
    fresh: tuple[str, Chain] = (str(uuid.uuid4()), ())
    if len(parameters.restored) != 1 or not parameters.reuse_restored_files:
        return fresh
    handle = parameters.restored[0]
    groups = parameters.key_group_range
    if (
        not isinstance(handle, IncrementalHandle)
        or not is_heap_increments(handle)
        or (handle.first_key_group, handle.key_group_count) != (groups.start, groups.count)
    ):
        return fresh
    with parameters.reader.open(handle.meta) as stream:
        return handle.backend_id, read_heap_manifest(stream.read(), handle)
