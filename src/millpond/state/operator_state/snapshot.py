"""`OperatorStateSnapshot`: captured operator state, to be written by a background thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from millpond.errors import CheckpointDeclinedError
from millpond.formats.handles import OperatorStateHandle
from millpond.formats.operator_state import OperatorStateHeader, write_operator_state
from millpond.formats.state_meta import StateMeta, StateMetaKind
from millpond.state.contract.snapshot import Snapshot, SnapshotScope, SnapshotStreams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ("CapturedState", "OperatorStateSnapshot")


@dataclass(frozen=True, slots=True)
class CapturedState:
    """One state: immutable elements with their encoder, or bytes where that is None.

    A broadcast state's elements are (key, value) pairs, and its encoder takes both.
    """

    meta: StateMeta
    elements: Sequence[Any]
    encode: Callable[..., Any] | None

    def encoded(self) -> Iterator[Any]:
        """Return the bytes of the elements, one after the other."""
        encode = self.encode
        if encode is None:
            return iter(self.elements)
        if self.meta.kind is StateMetaKind.BROADCAST:
            return (encode(key, value) for key, value in self.elements)
        return map(encode, self.elements)


@final
class OperatorStateSnapshot(Snapshot[OperatorStateHandle | None]):
    """All operator states of one subtask at a barrier."""

    def __init__(
        self,
        states: Sequence[CapturedState],
        streams: SnapshotStreams,
        operator_name: str,
        checkpoint_id: int,
    ) -> None:
        self._states = states
        self._streams = streams
        self._operator = operator_name
        self._checkpoint_id = checkpoint_id
        self._cancelled = threading.Event()

    @property
    def metas(self) -> Sequence[StateMeta]:
        """Header entries of the states that hold something."""
        return [state.meta for state in self._states if state.elements]

    def broadcasts_with_none(self) -> Iterator[str]:
        """Yield the names of broadcast states in which a value is None."""
        for state in self._states:
            # Restored state that nobody registered is bytes; None there is no bytes at all.
            nothing = b"" if state.encode is None else None
            if state.meta.kind is StateMetaKind.BROADCAST and any(
                value == nothing for _, value in state.elements
            ):
                yield state.meta.name

    def write(self) -> OperatorStateHandle | None:
        """Write one stream."""
        self._check()
        if not self._states:
            return None
        lists = [state for state in self._states if state.meta.kind is StateMetaKind.OPERATOR]
        maps = [state for state in self._states if state.meta.kind is StateMetaKind.BROADCAST]
        header = OperatorStateHeader(
            tuple(state.meta for state in lists), tuple(state.meta for state in maps)
        )
        out = self._streams.open(SnapshotScope.EXCLUSIVE)
        try:
            partitions = write_operator_state(
                out,
                header,
                {state.meta.name: self._watched(state.encoded()) for state in lists},
                {state.meta.name: list(self._watched(state.encoded())) for state in maps},
            )
            self._check()
            stream = out.finish()
        except BaseException:
            out.abort()
            raise
        return None if stream is None else OperatorStateHandle(partitions, stream)

    def cancel(self) -> None:
        """Make `write` stop at the next element."""
        self._cancelled.set()

    def _watched(self, elements: Iterator[Any]) -> Iterator[Any]:
        for element in elements:
            self._check()
            yield element

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise CheckpointDeclinedError(
                "The snapshot of operator state was cancelled.",
                operator=self._operator,
                checkpoint=self._checkpoint_id,
            )
