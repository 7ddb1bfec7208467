"""`EarlyWriteBack`: writes changed objects before a snapshot, so that less is left for its pause.

This is pre-copy, as in the live migration of virtual machines: what is changed at the start is
written while the job goes on, then what was changed meanwhile, and so on while it becomes less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from millpond.clock import Clock
    from millpond.state.rocksdb.state import RocksDBState

__all__ = ("EarlyWriteBack",)

# So many are written in about 10 ms, which no preparation would make shorter.
_FEW: Final = 2048
_SAMPLE: Final = 256
_FIRST_PIECE: Final = 16
_LARGEST_PIECE: Final = 512
_SHORT_SECONDS: Final = 0.001
_LONG_SECONDS: Final = 0.004
_CHECKPOINTS_LEFT_OUT: Final = 3


@final
class EarlyWriteBack:
    """Decides for one state whether writing early helps.

    Objects that change all the time would be written for nothing. So a sample from all over the
    changed ones is written first and watched: once more than half of it has been changed again, the
    rest is left to the snapshot, and the next three snapshots are not prepared at all.
    """

    __slots__ = ("_clock", "_next_checkpoint_id", "_piece", "_state")

    def __init__(self, state: RocksDBState, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._next_checkpoint_id = 0
        self._piece = _FIRST_PIECE

    def steps(self, checkpoint_id: int) -> Iterator[None]:
        """Yield before each piece of a few ms; records may be processed meanwhile."""
        if checkpoint_id < self._next_checkpoint_id:
            return
        state = self._state
        before: int | None = None
        while True:
            parts = state.changed_parts()
            count = len(parts)
            if count <= _FEW or (before is not None and 2 * count > before):
                return
            yield
            sample = parts[:: count // _SAMPLE + 1]
            yield from self._write_in_pieces(sample)
            pieces = self._write_in_pieces(parts)
            while 2 * state.count_changed(sample) <= len(sample):
                if next(pieces, self) is self:
                    break
                yield
            else:
                if before is None:
                    self._next_checkpoint_id = checkpoint_id + 1 + _CHECKPOINTS_LEFT_OUT
                return
            before = count

    def _write_in_pieces(self, parts: list[Any]) -> Iterator[None]:
        start = 0
        while start < len(parts):
            piece = self._piece
            self._write(parts[start : start + piece])
            start += piece
            yield

    def _write(self, parts: Sequence[Any]) -> None:
        monotonic = self._clock.monotonic
        started = monotonic()
        self._state.write_back(parts)
        took = monotonic() - started
        # Values, and the maps and lists of a key, may be of any size.
        if took > _LONG_SECONDS:
            self._piece = max(1, self._piece // 2)
        elif took < _SHORT_SECONDS:
            self._piece = min(_LARGEST_PIECE, self._piece * 2)
