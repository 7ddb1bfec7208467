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

    __slots__ = ("_changes", "_clock", "_count", "_debt", "_next_checkpoint_id", "_piece", "_state")

    def __init__(self, state: RocksDBState, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._next_checkpoint_id = 0
        # What is still to be written until twice as much was written as was changed meanwhile.
        self._debt = self._changes = 0
        self._count = 0
        self._piece = _FIRST_PIECE

    def steps(self, checkpoint_id: int) -> Iterator[bool]:
        """Yield after each piece of a few ms; records may be processed meanwhile.

        True while less is written than twice what is changed in between, once that is enough to
        tell from the sample that it is not the same objects again.
        """
        if checkpoint_id < self._next_checkpoint_id:
            return
        self._debt = self._changes = 0
        self._count = self._state.changed_count
        try:
            yield from self._passes(checkpoint_id)
        finally:
            self._state.leave_changes(left=False)

    def _passes(self, checkpoint_id: int) -> Iterator[bool]:
        state = self._state
        at_start = state.changed_count
        before: int | None = None
        while True:
            parts = state.changed_parts()
            count = len(parts)
            if count <= _FEW or (before is not None and 4 * count > 3 * before):
                return
            state.leave_changes(left=True)
            yield False
            sample = parts[:: count // _SAMPLE + 1]
            for _ in self._write_in_pieces(sample):
                yield False
            pieces = self._write_in_pieces(parts)
            while 2 * state.count_changed(sample) <= len(sample):
                if state.changed_count > 2 * at_start:
                    # Without end: the pause would become longer and longer.
                    return
                is_behind = next(pieces, None)
                if is_behind is None:
                    break
                is_telling = 4 * self._changes > at_start
                yield is_behind and is_telling and 8 * state.count_changed(sample) < len(sample)
            else:
                if before is None:
                    self._next_checkpoint_id = checkpoint_id + 1 + _CHECKPOINTS_LEFT_OUT
                return
            before = count

    def _write_in_pieces(self, parts: list[Any]) -> Iterator[bool]:
        start = 0
        while start < len(parts):
            piece = self._piece
            self._write(parts[start : start + piece])
            start += piece
            yield self._debt > 0

    def _write(self, parts: Sequence[Any]) -> None:
        monotonic = self._clock.monotonic
        count = self._state.changed_count
        changes = max(0, count - self._count)
        self._changes += changes
        self._debt += 2 * changes
        started = monotonic()
        self._state.write_back(parts)
        took = monotonic() - started
        self._count = self._state.changed_count
        self._debt = max(0, self._debt - (count - self._count))
        # Values, and the maps and lists of a key, may be of any size.
        if took > _LONG_SECONDS:
            self._piece = max(1, self._piece // 2)
        elif took < _SHORT_SECONDS:
            self._piece = min(_LARGEST_PIECE, self._piece * 2)
