"""`HeapSnapshot`: heap state captured at a barrier, written in the canonical layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.formats.handles import KeyedHandle, KeyGroupsHandle
from millpond.state.contract.snapshot import Snapshot, SnapshotScope
from millpond.state.heap.keyed_stream import KeyedStreamWriter, cancelled_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from millpond.formats.state_meta import StateMeta
    from millpond.state.heap.captured_state import CapturedState

__all__ = ("HeapSnapshot", "WrittenSnapshot")


@final
class HeapSnapshot(Snapshot[KeyedHandle | None]):
    """All keyed state and timers of one subtask. Its data never changes."""

    def __init__(
        self,
        states: Sequence[CapturedState],
        writer: KeyedStreamWriter,
        on_release: Callable[[], None],
    ) -> None:
        self._states = states
        self._writer = writer
        self._on_release = on_release
        self._with_none: tuple[str, ...] = ()

    @property
    def metas(self) -> Sequence[StateMeta]:
        """Header entries of all states."""
        return [state.meta for state in self._states]

    def maps_with_none(self) -> Iterable[str]:
        """Return the names of maps with TTL in which a value is None; known after `write`."""
        return self._with_none

    def write(self) -> KeyedHandle | None:
        """Write one stream; None if there is not one entry."""
        written = self._writer.write(self._states, SnapshotScope.EXCLUSIVE)
        self._with_none = tuple(state.meta.name for state in self._states if state.holds_none)
        if written is None:
            return None
        return KeyGroupsHandle(self._writer.key_groups.range.start, *written)

    def cancel(self) -> None:
        """Make `write` stop after its current piece."""
        self._writer.cancel()

    def release(self) -> None:
        """Let the backend merge what was frozen."""
        self._states = ()  # whoever keeps this object must not keep the state alive
        self._on_release()


@final
class WrittenSnapshot(Snapshot[KeyedHandle | None]):
    """A snapshot that the task thread has written already, because it was asked to."""

    def __init__(
        self,
        handle: KeyedHandle | None,
        operator_name: str,
        checkpoint_id: int,
        maps_with_none: Iterable[str],
    ) -> None:
        self._handle = handle
        self._maps_with_none = tuple(maps_with_none)
        self._operator_name = operator_name
        self._checkpoint_id = checkpoint_id
        self._cancelled = False

    def maps_with_none(self) -> Iterable[str]:
        """Return the names of maps with TTL in which a value is None."""
        return self._maps_with_none

    def write(self) -> KeyedHandle | None:
        """Return the handle."""
        if self._cancelled:
            raise cancelled_error(self._operator_name, self._checkpoint_id)
        return self._handle

    def cancel(self) -> None:
        """Make `write` refuse."""
        self._cancelled = True
