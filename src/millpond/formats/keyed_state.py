"""Opening keyed state whatever its layout: canonical, heap, increments, RocksDB, raw timers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

from millpond.formats.canonical_reader import CanonicalReader
from millpond.formats.composite_key import prefix_length_of
from millpond.formats.entry_check import EntryCheck
from millpond.formats.handles import IncrementalHandle, KeyedHandle, KeyGroupsHandle
from millpond.formats.heap_body import HeapReader
from millpond.formats.heap_increments import HeapIncrementsReader, is_heap_increments
from millpond.formats.native import NativeReader
from millpond.formats.raw_timers import RawTimersReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from millpond.formats.handles import StreamHandle
    from millpond.formats.keyed_block import KeyedBlock
    from millpond.formats.keyed_header import KeyedHeader

__all__ = ("KeyedStateReader", "open_keyed_state")


class KeyedStateReader(Protocol):
    """Reads the keyed state of one handle, in the canonical form of entries.

    Attributes:
        header: serializers and states.
    """

    header: KeyedHeader

    def blocks(self, key_groups: tuple[int, int] | None = None) -> Iterator[KeyedBlock]:
        """Iterate over the entries; `key_groups` is the first and the last wanted, inclusive.

        Raises:
            FormatError: the state is damaged or of a kind that cannot be read.
        """
        ...


def open_keyed_state(
    handle: KeyedHandle,
    open_stream: Callable[[StreamHandle], BinaryIO],
    max_parallelism: int,
    *,
    check: bool = True,
) -> KeyedStateReader:
    """Return the reader for a handle of keyed state; raw timers are states as others.

    `open_stream` opens the streams that the handle names, seekable. The reader must be used up
    before they are closed. With `check` every entry is examined (`EntryCheck`): for streams that
    no checksum vouches for.

    Raises:
        FormatError: the header of the state is damaged.
    """
    reader = _reader(handle, open_stream, max_parallelism)
    return _CheckedReader(reader, max_parallelism) if check else reader


def _reader(
    handle: KeyedHandle, open_stream: Callable[[StreamHandle], BinaryIO], max_parallelism: int
) -> KeyedStateReader:
    if isinstance(handle, IncrementalHandle):
        if is_heap_increments(handle):
            return HeapIncrementsReader(handle, open_stream)
        return NativeReader(handle, open_stream, prefix_length_of(max_parallelism))
    stream = open_stream(handle.stream)
    if handle.raw:
        return RawTimersReader(stream, handle, max_parallelism)
    if handle.savepoint or _looks_canonical(stream, handle):
        return CanonicalReader(stream, handle)
    return HeapReader(stream, handle, max_parallelism)


@final
class _CheckedReader:
    """A reader whose entries are examined before anybody gets them."""

    def __init__(self, reader: KeyedStateReader, max_parallelism: int) -> None:
        self.header = reader.header
        self._reader = reader
        self._max_parallelism = max_parallelism

    def blocks(self, key_groups: tuple[int, int] | None = None) -> Iterator[KeyedBlock]:
        examine = EntryCheck(self.header, self._max_parallelism).check
        for block in self._reader.blocks(key_groups):
            examine(block)
            yield block


def _looks_canonical(stream: BinaryIO, handle: KeyGroupsHandle) -> bool:
    """Tell the layouts apart where the handle does not: savepoints of Flink 1.12 and older.

    In heap layout every key group, empty or not, starts with its number; in canonical layout with
    a state id and the upper, always zero half of a length.
    """
    for index, offset in enumerate(handle.offsets):
        stream.seek(offset)
        if offset == 0 or stream.read(4) != (handle.first_key_group + index).to_bytes(4, "big"):
            return True
    return False
