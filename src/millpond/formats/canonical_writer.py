"""`CanonicalWriter`: writes the body of canonical savepoints and full checkpoints.

The rules are Flink's (FullSnapshotAsyncWriter): for each key group one state after the other; the
last entry of a state carries a flag and is followed by the id of the next state.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, cast, final

from millpond.errors import FormatError
from millpond.formats.keyed_header import KeyedHeader, write_keyed_header
from millpond.formats.long_value import LONG_VALUE_BYTES, LongValue
from millpond.formats.snappy_frames import frame_stream_start, frames

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.formats.byte_output import ByteOutput

__all__ = ("CanonicalWriter",)

_pack_int = struct.Struct(">i").pack
_pack_short = struct.Struct(">H").pack
_LENGTHS = tuple(_pack_int(length) for length in range(256))
_META_FOLLOWS = 0x80
_END_OF_KEY_GROUP = 0xFFFF
# A long value is thereby flushed as soon as it is appended, so that it is the last chunk.
_FLUSH_BYTES = LONG_VALUE_BYTES


@final
class CanonicalWriter:
    """Writes one keyed-state stream: header, then key groups in ascending order.

    Used by one thread. Keeps about one MiB in memory. Nothing may be written to `out` by others
    meanwhile.
    """

    def __init__(
        self, out: ByteOutput, header: KeyedHeader, first_key_group: int, last_key_group: int
    ) -> None:
        if out.position != 0:
            raise FormatError("A keyed state stream starts its file.", offset=out.position)
        self._out = out
        self._compressed = header.compressed
        self._state_count = len(header.states)
        self._first_key_group = first_key_group
        self._offsets = [0] * (last_key_group - first_key_group + 1)
        self._key_group = first_key_group - 1
        self._state_id = -1
        # The last entry is held back until it is known whether its state goes on.
        self._held: tuple[bytes, bytes | LongValue] | None = None
        self._chunks: list[bytes | bytearray | LongValue] = []
        self._buffered = 0
        out.write(write_keyed_header(header))

    def begin_key_group(self, key_group: int) -> None:
        """Go on to a later key group; groups without entries need no call.

        Raises:
            FormatError: the group is out of range or not after the last one.
        """
        index = key_group - self._first_key_group
        if key_group <= self._key_group or index >= len(self._offsets):
            raise FormatError(
                "Key groups must ascend within the range of the stream.",
                key_group=key_group,
                previous=self._key_group,
            )
        self._end_key_group()
        self._key_group = key_group

    def write_entries(
        self, state_id: int, entries: Iterable[tuple[bytes, bytes | LongValue]]
    ) -> None:
        """Write entries (composite key, value) of one state in the current key group.

        May be called again for the same state. States may come in any order. The keys must be
        unique and begin with the key group; within a state, Flink's RocksDB writes them in byte
        order, its heap in any order, and both read both. A long value is asked for its pieces
        after the entry behind it was taken.

        Raises:
            FormatError: the header has no such state, or a key or value is longer than 2^31-1.
        """
        iterator = iter(entries)
        if self._held is None or state_id != self._state_id:
            first = next(iterator, None)
            if first is None:
                return
            self._begin_state(state_id)
            self._held = first
        held_key, held_value = self._held
        chunks = self._chunks
        append = chunks.append
        lengths = _LENGTHS
        pack = _pack_int
        size = self._buffered
        try:
            for key, value in iterator:
                key_length = len(held_key)
                value_length = len(held_value)
                append(lengths[key_length] if key_length < 256 else pack(key_length))
                append(held_key)
                append(lengths[value_length] if value_length < 256 else pack(value_length))
                append(held_value)
                held_key = key
                held_value = value
                size += key_length + value_length + 8
                if size >= _FLUSH_BYTES:
                    self._flush()
                    size = 0
        except struct.error:
            raise FormatError(
                "Flink cannot hold a key or value of more than 2^31-1 bytes.",
                hint="Use a native savepoint or incremental checkpoints, or less state a key.",
                key_bytes=len(held_key),
                value_bytes=len(held_value),
            ) from None
        self._held = (held_key, held_value)
        self._buffered = size

    def write_rows(self, state_id: int, rows: bytearray, last: int) -> None:
        """Write entries as the stream has them: int length, composite key, int length, value.

        Otherwise as `write_entries`; `last` is where the last one begins. `rows` becomes the
        writer's.
        """
        key_end = last + 4 + int.from_bytes(rows[last : last + 4], "big")
        held = bytes(rows[last + 4 : key_end]), bytes(rows[key_end + 4 :])
        if self._held is None or state_id != self._state_id:
            self._begin_state(state_id)
        else:
            key, value = self._held
            self._append(_pack_int(len(key)), key, _pack_int(len(value)), value)
            if len(value) >= _FLUSH_BYTES:
                self._flush()
        del rows[last:]
        self._append(rows)
        self._held = held
        if self._buffered >= _FLUSH_BYTES:
            self._flush()

    def finish(self) -> tuple[int, ...]:
        """Write the rest and return the offset of every key group of the range, 0 for empty ones.

        They are the `offsets` of the stream's KeyGroupsHandle. Does not finish `out`.
        """
        self._end_key_group()
        self._flush()
        return tuple(self._offsets)

    def _begin_state(self, state_id: int) -> None:
        if not 0 <= state_id < self._state_count or self._key_group < self._first_key_group:
            raise FormatError("No key group was begun, or no state has this id.", state_id=state_id)
        if self._held is None:
            self._begin_body()
            self._append(_pack_short(state_id))
        else:
            self._write_flagged(state_id)
        self._state_id = state_id

    def _begin_body(self) -> None:
        # The stream of a compressed group begins at its own file position.
        if self._compressed:
            self._flush()
        index = self._key_group - self._first_key_group
        self._offsets[index] = self._out.position + self._buffered
        if self._compressed:
            self._out.write(frame_stream_start())

    def _end_key_group(self) -> None:
        if self._held is not None:
            self._write_flagged(_END_OF_KEY_GROUP)
            self._held = None
        if self._compressed:
            self._flush()
        self._state_id = -1

    def _write_flagged(self, follower: int) -> None:
        assert self._held is not None
        key, value = self._held
        if not key or key[0] >= _META_FOLLOWS:
            raise FormatError("A key does not start with its key group.", key=key[:16].hex())
        flagged = bytes((key[0] | _META_FOLLOWS,)) + key[1:]
        self._append(_pack_int(len(key)), flagged, _pack_int(len(value)), value)
        if len(value) >= _FLUSH_BYTES:
            self._flush()
        self._append(_pack_short(follower))

    def _append(self, *pieces: bytes | bytearray | LongValue) -> None:
        self._chunks.extend(pieces)
        self._buffered += sum(map(len, pieces))

    def _flush(self) -> None:
        if self._chunks:
            last = self._chunks[-1]
            if isinstance(last, LongValue):
                self._chunks.pop()
            self._put(b"".join(cast("list[bytes]", self._chunks)))
            self._chunks.clear()
            if isinstance(last, LongValue):
                for piece in last.pieces():
                    self._put(piece)
        self._buffered = 0

    def _put(self, data: bytes) -> None:
        if self._compressed:
            for frame in frames(data):
                self._out.write(frame)
        else:
            self._out.write(data)
