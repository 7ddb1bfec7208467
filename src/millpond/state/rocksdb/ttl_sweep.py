"""`TtlSweep`: removes expired rows that nobody touches, bit by bit.

RocksDB's binding has no compaction filter; this walks over the rows instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from millpond.state.contract.ttl import TtlPolicy
    from millpond.state.rocksdb.database import ColumnFamily, Cursor
    from millpond.state.rocksdb.state import RocksDBState

__all__ = ("TtlSweep",)

_VISITS_PER_CLEANUP_SIZE: Final = 100
_LONGEST_PAUSE_MS: Final = 60_000


@final
class TtlSweep:
    """Walks over the rows of a state again and again, so many after each batch.

    A walk begins with writing the state's cache back, so that it sees everything.

    After a walk it rests for half the TTL, at most a minute: a row is gone after one and a half
    TTL and the time of a walk, as long as there are batches. Rows that changed since the walk
    began are looked at again before they are deleted; what the cache holds is not affected,
    since state objects with TTL check what they read.
    """

    __slots__ = ("_codec", "_cursor", "_family", "_is_map", "_next_ms", "_policy", "_stored")

    def __init__(
        self, family: ColumnFamily, stored: RocksDBState, policy: TtlPolicy, *, is_map: bool
    ) -> None:
        self._family = family
        self._stored = stored
        self._codec = stored.codec
        self._policy = policy
        self._is_map = is_map
        self._cursor: Cursor | None = None
        self._next_ms: int | None = None

    def step(self, now_ms: int) -> None:
        """Visit the next rows, or start a walk if it is time."""
        if self._cursor is None:
            if self._next_ms is None:
                self._next_ms = now_ms + min(self._policy.ttl_ms, _LONGEST_PAUSE_MS)
            if now_ms < self._next_ms:
                return
            self._stored.flush()
            self._cursor = self._family.cursor()
        cursor, until = self._cursor, now_ms - self._policy.ttl_ms
        expired, is_map = self._codec.expired, self._is_map
        deletions: list[tuple[bytes, bytes | None]] = []
        for _ in range(self._policy.cleanup_size * _VISITS_PER_CLEANUP_SIZE):
            row = cursor.current()
            if row is None:
                self.stop()
                self._next_ms = now_ms + min(max(1, self._policy.ttl_ms // 2), _LONGEST_PAUSE_MS)
                break
            if expired(row[1], until, is_map=is_map):
                now = self._family.get(row[0])
                if now is not None and expired(now, until, is_map=is_map):
                    deletions.append((row[0], None))
            cursor.advance()
        self._family.write(deletions)

    def stop(self) -> None:
        """End the walk."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None
