"""`CanonicalReader`: reads the body of canonical savepoints and full checkpoints.

It is a stream: about one MiB, or one entry if that is larger and not read in pieces, is in memory
at a time.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, final

from millpond.errors import FormatError
from millpond.formats.keyed_block import KeyedBlock, LongEntry
from millpond.formats.keyed_header import KeyedHeader, read_keyed_header_from
from millpond.formats.long_value import LONG_VALUE_BYTES, LongValue, whole_value
from millpond.formats.snappy_frames import read_frame, skip_stream_identifier
from millpond.formats.stream_reader import read_exactly, stream_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from millpond.formats.handles import KeyGroupsHandle

__all__ = ("CanonicalReader", "read_canonical")

_unpack_int = struct.Struct(">i").unpack_from
_META_FOLLOWS = 0x80
_END_OF_KEY_GROUP = 0xFFFF
_PIECE = 1 << 20


def read_canonical(
    stream: BinaryIO, handle: KeyGroupsHandle, key_groups: tuple[int, int] | None = None
) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Iterate over (key group, state id, composite key, value) of a canonical stream.

    `key_groups` is the first and the last group that is wanted, inclusive; all by default.

    Raises:
        FormatError: the stream is damaged.
    """
    for key_group, state_id, entries in CanonicalReader(stream, handle).blocks(key_groups):
        for key, value in entries:
            yield key_group, state_id, key, value


@final
class CanonicalReader:
    """Reads one keyed-state stream in canonical layout. Used by one thread.

    Attributes:
        header: serializers and states.
    """

    def __init__(self, stream: BinaryIO, handle: KeyGroupsHandle) -> None:
        """Read the header.

        Raises:
            FormatError: the header is damaged.
        """
        self._stream = stream
        self._handle = handle
        stream.seek(0)
        self.header: KeyedHeader
        self.header, self._body = read_keyed_header_from(stream)
        self._size = stream_size(stream)
        self._data = b""
        self._at = 0
        self._start = 0
        # Bytes of a long value that were not handed out yet.
        self._unread = 0
        self._long_key_group = 0

    def blocks(self, key_groups: tuple[int, int] | None = None) -> Iterator[KeyedBlock]:
        """Iterate over the entries; `key_groups` is the first and the last wanted, inclusive.

        A state's entries of one group come in one or more lists of about one MiB.

        Raises:
            FormatError: the stream is damaged.
        """
        for block in self.blocks_and_long_entries(key_groups):
            if isinstance(block, LongEntry):
                entries = [(block.key, whole_value(block.value))]
                yield KeyedBlock(block.key_group, block.state_id, entries)
            else:
                yield block

    def blocks_and_long_entries(
        self, key_groups: tuple[int, int] | None = None
    ) -> Iterator[KeyedBlock | LongEntry]:
        """Iterate as `blocks` does, in bounded memory: long values come in pieces.

        Raises:
            FormatError: the stream is damaged.
        """
        handle = self._handle
        first, last = key_groups or (handle.first_key_group, handle.last_key_group)
        # Groups follow each other without a gap. Where the last one ended is not known (None) if it
        # was passed over; then the next one starts behind it at least.
        end: int | None = self._body
        lowest = self._body
        for index, offset in enumerate(handle.offsets):
            if offset == 0:
                continue
            key_group = handle.first_key_group + index
            if offset < lowest or (end is not None and offset != end):
                raise FormatError(
                    "Key groups overlap in the stream, or leave a gap.",
                    key_group=key_group,
                    offset=offset,
                    expected=lowest if end is None else end,
                )
            end = None
            lowest = offset + 1
            if first <= key_group <= last:
                self._go_to(offset)
                yield from self._key_group(key_group)
                end = self._stream.tell() if self.header.compressed else self._start + self._at
                lowest = end
        if end is not None and end != self._size:
            raise FormatError(
                "Bytes are left after the last key group.", offset=end, stream_bytes=self._size
            )

    def _go_to(self, offset: int) -> None:
        inside = offset - self._start
        if not self.header.compressed and 0 <= inside <= len(self._data):
            self._at = inside
            return
        self._stream.seek(offset)
        self._data = b""
        self._at = 0
        self._start = offset
        if self.header.compressed:
            skip_stream_identifier(self._stream)

    def _key_group(self, key_group: int) -> Iterator[KeyedBlock | LongEntry]:
        state_id = self._read_state_id(key_group)
        states = set(range(len(self.header.states)))
        while True:
            if state_id not in states:
                raise self._error(
                    "An entry belongs to no state, or a state stands twice.",
                    key_group,
                    state_id=state_id,
                )
            entries, ended = self._entries(key_group)
            if entries:
                yield KeyedBlock(key_group, state_id, entries)
            elif not ended:
                key, ended = self._begin_long_entry(key_group)
                value = LongValue(self._unread, self._pieces)
                yield LongEntry(key_group, state_id, key, value)
                for _ in self._pieces():
                    pass
            if ended:
                states.remove(state_id)
                state_id = self._read_state_id(key_group)
                if state_id == _END_OF_KEY_GROUP:
                    break
        if self.header.compressed and self._at != len(self._data):
            raise self._error("Bytes are left after a key group.", key_group)

    def _entries(self, key_group: int) -> tuple[list[tuple[bytes, bytes]], bool]:
        """Read what is in memory; nothing if a long entry is next. Say whether the state ended."""
        data = self._data
        at = self._at
        limit = len(data) - 2
        entries: list[tuple[bytes, bytes]] = []
        append = entries.append
        unpack = _unpack_int
        while True:
            # Two bytes follow every entry: of the next one, or of a state id.
            if at + 8 <= limit:
                key_end = at + 4 + unpack(data, at)[0]
                if at + 4 < key_end <= limit - 4:
                    value_end = key_end + 4 + unpack(data, key_end)[0]
                    if key_end + 4 <= value_end <= limit:
                        key = data[at + 4 : key_end]
                        at_value = key_end + 4
                        at = value_end
                        if key[0] < _META_FOLLOWS:
                            append((key, data[at_value:value_end]))
                            continue
                        key = bytes((key[0] & 0x7F,)) + key[1:]
                        append((key, data[at_value:value_end]))
                        self._at = at
                        return entries, True
            self._at = at
            if entries or not self._read_entry_whole(key_group):
                return entries, False
            data = self._data
            at = self._at
            limit = len(data) - 2

    def _read_entry_whole(self, key_group: int) -> bool:
        """Read on until the entry at the current position is in memory, unless it is long."""
        self._require(4, key_group)
        key_bytes: int = _unpack_int(self._data, self._at)[0]
        if key_bytes <= 0:
            raise self._error("Impossible length of a key.", key_group, length=key_bytes)
        self._require(key_bytes + 8, key_group)
        value_bytes: int = _unpack_int(self._data, self._at + 4 + key_bytes)[0]
        if value_bytes < 0:
            raise self._error("Impossible length of a value.", key_group, length=value_bytes)
        if value_bytes >= LONG_VALUE_BYTES:
            self._check_rest(key_bytes + value_bytes + 10, key_group)
            return False
        self._require(key_bytes + value_bytes + 10, key_group)
        return True

    def _begin_long_entry(self, key_group: int) -> tuple[bytes, bool]:
        """Go to the value of the entry; return its key and whether it is the state's last one."""
        key_end = self._at + 4 + _unpack_int(self._data, self._at)[0]
        key = self._data[self._at + 4 : key_end]
        self._unread = _unpack_int(self._data, key_end)[0]
        self._at = key_end + 4
        self._long_key_group = key_group
        if key[0] < _META_FOLLOWS:
            return key, False
        return bytes((key[0] & 0x7F,)) + key[1:], True

    def _pieces(self) -> Iterator[bytes]:
        while self._unread:
            self._require(1, self._long_key_group)
            end = min(len(self._data), self._at + self._unread)
            piece = self._data[self._at : end]
            self._unread -= end - self._at
            self._at = end
            yield piece

    def _read_state_id(self, key_group: int) -> int:
        self._require(2, key_group)
        at = self._at
        self._at = at + 2
        return int.from_bytes(self._data[at : at + 2], "big")

    def _require(self, size: int, key_group: int) -> None:
        """Have at least `size` bytes in memory from the current position on."""
        have = len(self._data) - self._at
        if have >= size:
            return
        pieces = [self._data[self._at :]]
        if not self.header.compressed:
            self._start += self._at
        self._at = 0
        if self.header.compressed:
            # A damaged length could ask for more than there is; frames end with the file.
            while have < size:
                pieces.append(read_frame(self._stream))
                have += len(pieces[-1])
        else:
            position = self._start + have
            self._data = pieces[0]
            self._check_rest(size, key_group)
            self._stream.seek(position)
            wanted = min(max(_PIECE, size - have), self._size - position)
            pieces.append(read_exactly(self._stream, wanted, "an entry"))
        self._data = b"".join(pieces)

    def _check_rest(self, size: int, key_group: int) -> None:
        """Check that the file is long enough for so many bytes from the current position on."""
        # Compressed pieces do not tell; they end with the file.
        if not self.header.compressed and self._start + self._at + size > self._size:
            raise self._error("The stream ends inside an entry.", key_group)

    def _error(self, message: str, key_group: int, **context: int) -> FormatError:
        # Of a compressed group only the beginning has a place in the file.
        offset = self._start if self.header.compressed else self._start + self._at
        return FormatError(message, hint=None, offset=offset, key_group=key_group, **context)
