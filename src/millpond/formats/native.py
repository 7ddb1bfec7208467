"""`NativeReader`: reads RocksDB files: native savepoints and incremental checkpoints.

The files of a handle are a RocksDB database with a column family for each state; this reader merges
its table files as RocksDB would, with the list operator that Flink uses (values joined by commas).
About one block of each file is in memory at a time. Millpond's own files hold a list in a row for
each element; they come out as one value too.
"""

from __future__ import annotations

import heapq
import itertools
import operator
import re
from typing import TYPE_CHECKING, final

from millpond.errors import FormatError
from millpond.formats.keyed_block import KeyedBlock
from millpond.formats.keyed_header import KeyedHeader, read_keyed_header_from
from millpond.formats.manifest import Manifest, read_manifest
from millpond.formats.sst import (
    DELETE,
    MERGE,
    PUT,
    SINGLE_DELETE,
    RangeDeletion,
    SstEntry,
    SstFile,
)
from millpond.formats.state_meta import ELEMENT_ROWS
from millpond.formats.stream_reader import read_exactly, stream_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from millpond.formats.handles import IncrementalHandle, StreamHandle

__all__ = ("NativeReader", "merge_versions")

_BLOCK_ENTRIES = 4096
_DEFAULT = "default"
_BLOCK_BYTES = 1 << 20
# The number behind the key of a list's element.
_ELEMENT_NUMBER_BYTES = 8
_SST_NAME = re.compile(r"(\d+)\.sst")


@final
class NativeReader:
    """Reads the files of one incremental handle. Used by one thread.

    Attributes:
        header: serializers and states.
    """

    def __init__(
        self,
        handle: IncrementalHandle,
        open_stream: Callable[[StreamHandle], BinaryIO],
        prefix_length: int,
    ) -> None:
        """Read the header.

        `prefix_length` is the length of the key group in front of a key, 1 or 2.

        Raises:
            FormatError: the header is damaged.
        """
        self._handle = handle
        self._open = open_stream
        self._prefix_length = prefix_length
        with open_stream(handle.meta) as stream:
            self.header: KeyedHeader
            self.header, _ = read_keyed_header_from(stream)

    def blocks(self, key_groups: tuple[int, int] | None = None) -> Iterator[KeyedBlock]:
        """Iterate over the entries, state by state, by ascending key.

        `key_groups` is the first and the last wanted, inclusive.

        Raises:
            FormatError: a file is damaged or of a kind that cannot be read.
        """
        handle = self._handle
        first, last = key_groups or (handle.first_key_group, handle.last_key_group)
        first = max(first, handle.first_key_group)
        last = min(last, handle.last_key_group)
        if last < first:
            return
        streams: list[BinaryIO] = []
        try:
            families = self._open_tables(streams)
            for state_id, state in enumerate(self.header.states):
                rows = merge_versions(families.get(state.name, []))
                if state.options.get(ELEMENT_ROWS) == "true":
                    rows = _joined_elements(rows)
                yield from self._state_blocks(state_id, rows, first, last)
        finally:
            for stream in streams:
                stream.close()

    def _state_blocks(
        self, state_id: int, rows: Iterator[tuple[bytes, bytes]], first: int, last: int
    ) -> Iterator[KeyedBlock]:
        prefix_length = self._prefix_length
        lowest = first.to_bytes(prefix_length, "big")
        highest = last.to_bytes(prefix_length, "big")
        entries: list[tuple[bytes, bytes]] = []
        current = lowest
        size = 0
        for key, value in rows:
            prefix = key[:prefix_length]
            # Files may be shared with, or cut from, databases of other key groups.
            if not lowest <= prefix <= highest or len(key) <= prefix_length:
                continue
            if entries and (
                prefix != current or len(entries) >= _BLOCK_ENTRIES or size >= _BLOCK_BYTES
            ):
                yield KeyedBlock(int.from_bytes(current, "big"), state_id, entries)
                entries = []
                size = 0
            current = prefix
            entries.append((key, value))
            size += len(key) + len(value)
        if entries:
            yield KeyedBlock(int.from_bytes(current, "big"), state_id, entries)

    def _open_tables(self, streams: list[BinaryIO]) -> dict[str, list[SstFile]]:
        """Open the live table files, by column family."""
        files = dict((*self._handle.shared, *self._handle.private))
        by_number = {int(match[1]): name for name in files if (match := _SST_NAME.fullmatch(name))}
        manifest = self._read_manifest(files)
        self._check_names(manifest)
        live = [
            (manifest.column_families[family], file.number, file.smallest_sequence)
            for family, family_files in manifest.files.items()
            for file in family_files.values()
        ]
        families: dict[str, list[SstFile]] = {}
        for family, number, sequence in live:
            name = by_number.get(number)
            if name is None:
                raise FormatError("A table file is missing.", offset=0, file=f"{number:06}.sst")
            stream = self._open(files[name])
            streams.append(stream)
            table = SstFile(stream, name, sequence)
            families.setdefault(family, []).append(table)
        return families

    def _check_names(self, manifest: Manifest) -> None:
        """A state that is looked for under another name would be empty."""
        names = {state.name for state in self.header.states}
        families = manifest.column_families
        used = {families.get(family) for family, files in manifest.files.items() if files}
        if not names <= set(families.values()) or not used - {_DEFAULT} <= names:
            raise FormatError(
                "The column families of a database are not the states of its header.",
                offset=0,
                states=sorted(names),
                column_families=sorted(families.values()),
            )

    def _read_manifest(self, files: dict[str, StreamHandle]) -> Manifest:
        names = [name for name in files if name.startswith("MANIFEST-")]
        if len(names) != 1:
            raise FormatError("A RocksDB database has one manifest.", offset=0, manifests=names)
        with self._open(files[names[0]]) as stream:
            return read_manifest(read_exactly(stream, stream_size(stream), "a manifest"))


def merge_versions(tables: list[SstFile]) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over (key, value) of the newest versions, by ascending key.

    Operands of the merge operator are joined by commas, oldest first.

    Raises:
        FormatError: a file is damaged, or holds versions of an unknown kind.
    """
    deletions = [deletion for table in tables for deletion in table.range_deletions]
    streams = [
        ((entry.key, -entry.sequence, entry) for entry in table.entries()) for table in tables
    ]
    merged = heapq.merge(*streams, key=operator.itemgetter(0, 1))
    for key, versions in itertools.groupby(merged, key=operator.itemgetter(0)):
        value = _resolve(key, (entry for _, _, entry in versions), deletions)
        if value is not None:
            yield key, value


def _joined_elements(rows: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Join the elements of each list, which stand in their order, by commas."""
    for key, same_key in itertools.groupby(rows, key=lambda row: row[0][:-_ELEMENT_NUMBER_BYTES]):
        yield key, b",".join([value for _, value in same_key])


def _resolve(
    key: bytes, versions: Iterator[SstEntry], deletions: list[RangeDeletion]
) -> bytes | None:
    """Return the value that the versions, newest first, amount to."""
    horizon = max(
        (d.sequence for d in deletions if d.start <= key < d.end),
        default=-1,
    )
    operands: list[bytes] = []
    for version in versions:
        if version.sequence < horizon:
            break
        if version.kind == MERGE:
            operands.append(version.value)
            continue
        if version.kind == PUT:
            operands.append(version.value)
        elif version.kind not in (DELETE, SINGLE_DELETE):
            raise FormatError(
                "A table file holds entries of an unknown kind.",
                offset=0,
                hint="Take a savepoint in canonical format instead.",
                kind=version.kind,
            )
        break
    if not operands:
        return None
    operands.reverse()
    return b",".join(operands)
