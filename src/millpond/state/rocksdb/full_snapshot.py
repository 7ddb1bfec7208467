"""`FullSnapshot`: all rows of a RocksDB backend at a barrier, written in the canonical layout."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, final

from millpond.errors import CheckpointDeclinedError, StateSizeExceededError
from millpond.formats.canonical_writer import CanonicalWriter
from millpond.formats.framed_rows import EncodedRows
from millpond.formats.handles import KeyedHandle, KeyGroupsHandle
from millpond.formats.long_value import LONG_VALUE_BYTES, LongValue
from millpond.state.contract.snapshot import Snapshot, SnapshotScope
from millpond.state.rocksdb.column_family import MAX_ROW_BYTES
from millpond.state.rocksdb.cursor import prefix_end
from millpond.state.rocksdb.list_sequence import LIST_SEQUENCE_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from millpond.clock import Clock
    from millpond.formats.keyed_header import KeyedHeader
    from millpond.formats.state_meta import StateMeta
    from millpond.state.contract.key_group import KeyGroupRange
    from millpond.state.contract.snapshot import SnapshotOutput, SnapshotStreams
    from millpond.state.rocksdb.database import Cursor

__all__ = ("CapturedRows", "FullSnapshot")

_PIECE_ENTRIES: Final = 2048
_PIECE_ROWS: Final = 512


@final
@dataclass(slots=True)
class CapturedRows:
    """The rows of one state: a cursor opened at the barrier.

    `is_expired` says of a row's value that a snapshot leaves it out. `notes_none` is set for a map
    with TTL, in whose values a first byte of 1 means None.
    """

    name: str
    cursor: Cursor
    element_rows: bool
    is_expired: Callable[[bytes], bool] | None = None
    notes_none: bool = False


@final
class _Entries:
    """Writes a captured state, a row an entry, key group by key group, many rows at a time.

    Attributes:
        first_key: of the next row, which was not written yet; None at the end.
        holds_none: whether a map with TTL had None among what was read.
    """

    def __init__(self, state: CapturedRows, pause: Callable[[], None]) -> None:
        self._state = state
        self._pause = pause
        self._keys: list[bytes] = []
        self._values: list[bytes] = []
        self.holds_none = False
        self._load()

    @property
    def first_key(self) -> bytes | None:
        return self._keys[0] if self._keys else None

    def write_group(self, writer: CanonicalWriter, state_id: int, prefix: bytes) -> None:
        """Write the rows that start with the bytes of a key group."""
        end = prefix_end(prefix)
        while self._keys:
            keys, values = self._keys, self._values
            count = len(keys) if end is None else bisect_left(keys, end)
            rows = EncodedRows(keys[:count], values[:count], b"", as_chunks=False)
            if not rows.keys:
                return
            if rows.longest < LONG_VALUE_BYTES:
                writer.write_rows(state_id, *rows.framed(b""))
            else:
                writer.write_entries(state_id, rows.rows(b""))
            if count < len(keys):
                del keys[:count], values[:count]
                return
            self._load()

    def _load(self) -> None:
        state = self._state
        is_expired = state.is_expired
        while True:
            keys, values = state.cursor.read_columns(_PIECE_ENTRIES, LONG_VALUE_BYTES)
            if not keys:
                break
            self._pause()
            if is_expired is not None:
                kept = [at for at, value in enumerate(values) if not is_expired(value)]
                keys, values = [keys[at] for at in kept], [values[at] for at in kept]
            if keys:
                break
        if state.notes_none and not self.holds_none:
            self.holds_none = any(value[:1] == b"\1" for value in values)
        self._keys, self._values = keys, values


@final
class _Lists:
    """Writes a captured state with a row for each element of a list, as `_Entries` does."""

    holds_none = False

    def __init__(self, state: CapturedRows, pause: Callable[[], None]) -> None:
        self._state = state
        self._pause = pause
        self._rows = self._unexpired(state.cursor.rows())
        self._first = next(self._rows, None)

    @property
    def first_key(self) -> bytes | None:
        return None if self._first is None else self._first[0]

    def write_group(self, writer: CanonicalWriter, state_id: int, prefix: bytes) -> None:
        """Write the lists that start with the bytes of a key group."""
        writer.write_entries(state_id, self._lists(prefix))

    def _unexpired(self, rows: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        is_expired, pause = self._state.is_expired, self._pause
        number = 0
        for row in rows:
            number += 1
            if number == _PIECE_ROWS:
                number = 0
                pause()
            if is_expired is None or not is_expired(row[1]):
                yield row

    def _lists(self, prefix: bytes) -> Iterator[tuple[bytes, bytes | LongValue]]:
        """Join the rows of each list by commas; of a long one only the size is found out here."""
        rows, row = self._rows, self._first
        while row is not None and row[0].startswith(prefix):
            first = row[0]
            key = first[:-LIST_SEQUENCE_LENGTH]
            chunks = [row[1]]
            size = len(row[1])
            count = 1
            length = len(first)
            row = next(rows, None)
            while row is not None and len(row[0]) == length and row[0].startswith(key):
                size += len(row[1]) + 1
                count += 1
                if size < LONG_VALUE_BYTES:
                    chunks.append(row[1])
                elif size > MAX_ROW_BYTES:
                    self._refuse(size)
                row = next(rows, None)
            if size < LONG_VALUE_BYTES or count == 1:
                yield key, b",".join(chunks) if count > 1 else chunks[0]
            else:
                chunks.clear()
                yield key, LongValue(size, partial(self._again, first, count))
        self._first = row

    def _again(self, first: bytes, count: int) -> Iterator[bytes]:
        """Yield a list's rows joined by commas, in pieces; the cursor stands where it was then."""
        cursor = self._state.cursor
        here = cursor.current()
        cursor.seek(first)
        piece: list[bytes] = []
        size = 0
        for _, chunk in islice(self._unexpired(cursor.rows()), count):
            piece.append(chunk)
            size += len(chunk)
            if size >= LONG_VALUE_BYTES:
                yield b",".join(piece)
                # Joined to the next piece by a comma.
                piece = [b""]
                size = 0
        yield b",".join(piece)
        if here is not None:
            cursor.seek(here[0])

    def _refuse(self, size_bytes: int) -> None:
        raise StateSizeExceededError(
            f"A list of more than {size_bytes} bytes does not fit a canonical snapshot, "
            "whose values end at 2^31-1 bytes.",
            hint="Use incremental checkpoints and native savepoints, which store each element.",
            state=self._state.name,
        )


@final
class FullSnapshot(Snapshot[KeyedHandle | None]):
    """Everything in one stream. Cursors keep the view of the barrier until `release`."""

    def __init__(
        self,
        header: KeyedHeader,
        states: Sequence[CapturedRows],
        key_groups: KeyGroupRange,
        prefix_length: int,
        streams: SnapshotStreams,
        checkpoint_id: int,
        operator_name: str,
        clock: Clock,
    ) -> None:
        self._header = header
        self._states = states
        self._key_groups = key_groups
        self._prefix_length = prefix_length
        self._streams = streams
        self._checkpoint_id = checkpoint_id
        self._operator_name = operator_name
        self._clock = clock
        self._cancelled = threading.Event()
        self._with_none: tuple[str, ...] = ()

    @property
    def metas(self) -> Sequence[StateMeta]:
        """Header entries of all states."""
        return self._header.states

    def maps_with_none(self) -> Iterable[str]:
        """Return the names of maps with TTL in which a value is None; known after `write`."""
        return self._with_none

    def write(self) -> KeyedHandle | None:
        """Write one stream; None if there is not one row."""
        self._pause()
        states = [
            _Lists(state, self._pause) if state.element_rows else _Entries(state, self._pause)
            for state in self._states
        ]
        if all(state.first_key is None for state in states):
            return None
        out = self._streams.open(SnapshotScope.EXCLUSIVE)
        try:
            return self._write(out, states)
        except BaseException:
            out.abort()
            raise

    def _write(
        self, out: SnapshotOutput, states: Sequence[_Entries | _Lists]
    ) -> KeyedHandle | None:
        first, last = self._key_groups
        writer = CanonicalWriter(out, self._header, first, last)
        length = self._prefix_length
        while keys := [state.first_key for state in states if state.first_key is not None]:
            prefix = min(keys)[:length]
            writer.begin_key_group(int.from_bytes(prefix, "big"))
            for state_id, state in enumerate(states):
                state.write_group(writer, state_id, prefix)
            self._pause()
        self._with_none = tuple(
            captured.name
            for captured, rows in zip(self._states, states, strict=True)
            if rows.holds_none
        )
        offsets = writer.finish()
        stream = out.finish()
        return None if stream is None else KeyGroupsHandle(first, offsets, stream)

    def cancel(self) -> None:
        """Make `write` stop after its current piece."""
        self._cancelled.set()

    def release(self) -> None:
        """Let RocksDB drop what the cursors pin."""
        for state in self._states:
            state.cursor.close()

    def _pause(self) -> None:
        if self._cancelled.is_set():
            raise CheckpointDeclinedError(
                "The snapshot of RocksDB state was cancelled.",
                operator=self._operator_name,
                checkpoint=self._checkpoint_id,
            )
        # Reading rows holds the interpreter: the task thread gets its turn after each piece.
        self._clock.sleep(0)
