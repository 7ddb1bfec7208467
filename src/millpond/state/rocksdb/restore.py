"""Restoring a RocksDB backend: from its own files, as they are or rescaled, and from savepoints."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING, final

from millpond.errors import FormatError, SavepointMismatchError
from millpond.formats.canonical_reader import CanonicalReader
from millpond.formats.handles import FileHandle, IncrementalHandle
from millpond.formats.heap_increments import is_heap_increments
from millpond.formats.keyed_block import KeyedBlock
from millpond.formats.keyed_header import KeyedHeader, read_keyed_header_from
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.long_value import LongValue, whole_value
from millpond.state.contract.key_group import KeyGroupRange
from millpond.state.rocksdb.bulk_load import BulkLoader
from millpond.state.rocksdb.database import DEFAULT_COLUMN_FAMILY, prefix_end
from millpond.state.rocksdb.list_sequence import LIST_SEQUENCE_LENGTH, ListSequence
from millpond.state.rocksdb.rescale import BackgroundCompaction
from millpond.state.rocksdb.restore_phases import RestorePhases
from millpond.state.rocksdb.row_codec import split_list
from millpond.state.rocksdb.state_table import (
    StateTable,
    has_element_rows,
    holds_list,
    holds_ttl_list,
    is_own_layout,
)
from millpond.state.rocksdb.transfer import transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from millpond.formats.handles import KeyedHandle, StreamHandle
    from millpond.formats.keyed_block import LongEntry
    from millpond.formats.keyed_state import KeyedStateReader
    from millpond.formats.serializer_snapshot import SerializerSnapshot
    from millpond.formats.state_meta import StateMeta
    from millpond.state.contract.keyed_backend import KeyedBackendParameters
    from millpond.state.rocksdb.database import Database
    from millpond.state.rocksdb.rescale import RescaleSettings

__all__ = ("Restore", "RestoredDatabase")


@final
class RestoredDatabase:
    """What a restore made.

    Attributes:
        database: open, with a column family for each state.
        tables: the states by the name in the headers.
        sequence: continues the numbers of list rows.
        backend_id: the one to use.
        shared: files that the next incremental checkpoint need not upload.
        phases: where time and bytes went.
        compaction: what still removes the rows of other subtasks in the background.
    """

    def __init__(self, database: Database, backend_id: str, phases: RestorePhases) -> None:
        self.database = database
        self.tables: dict[str, StateTable] = {}
        self.sequence = ListSequence(database.column_family(DEFAULT_COLUMN_FAMILY))
        self.backend_id = backend_id
        self.shared: dict[str, StreamHandle] = {}
        self.phases = phases
        self.compaction: BackgroundCompaction | None = None

    def table(self, meta: StateMeta, create: Callable[[str], None], operator: str) -> StateTable:
        """Return the table of a state in a header, made if it is new.

        Raises:
            FormatError: another header says something else of it.
        """
        table = self.tables.get(meta.name)
        if table is None:
            create(meta.name)
            table = StateTable(meta, self.database.column_family(meta.name))
            self.tables[meta.name] = table
        elif table.header_meta(native=False) != StateTable(meta, table.family).header_meta(
            native=False
        ):
            raise FormatError(
                "Two streams of one operator disagree on a state.",
                state=meta.name,
                operator=operator,
            )
        return table


@final
class Restore:
    """Makes the database of one backend out of handles; `open_database` opens one directory."""

    def __init__(
        self,
        directory: Path,
        parameters: KeyedBackendParameters,
        key_serializer: SerializerSnapshot,
        threads: int,
        rescale: RescaleSettings,
        open_database: Callable[[Path, Iterable[str]], Database],
        create_family: Callable[[Database, str], None],
    ) -> None:
        self._directory = directory
        self._key_groups = parameters.key_group_range
        self._max_parallelism = parameters.max_parallelism
        self._prefix_length = 1 if parameters.max_parallelism <= 128 else 2
        self._key_serializer = key_serializer
        self._reader = parameters.reader
        self._operator_name = parameters.operator_name
        self._threads = threads
        self._rescale = rescale
        self._phases = RestorePhases(parameters.clock)
        self._open_database = open_database
        self._create_family = create_family

    def run(self, handles: Sequence[KeyedHandle]) -> RestoredDatabase:
        """Restore; without handles the database is empty.

        Raises:
            SavepointMismatchError: the snapshot's keys are of another type.
            FormatError: a stream is damaged.
            SnapshotCorruptedError: a file is missing or has the wrong checksum.
        """
        wanted = [handle for handle in handles if self._overlap(handle)]
        own: list[IncrementalHandle] = []
        foreign: list[KeyedHandle] = []
        for handle in wanted:
            if isinstance(handle, IncrementalHandle) and self._is_own(handle):
                own.append(handle)
            else:
                foreign.append(handle)
        path = self._directory / "db"
        base = self._choose_base(own, is_only=len(wanted) == 1)
        if base is not None:
            result = self._open_base(base, path, is_only=len(wanted) == 1)
        else:
            with self._phases.measure("open"):
                database = self._open_database(path, ())
            result = RestoredDatabase(database, str(uuid.uuid4()), self._phases)
        try:
            for own_handle in own:
                if own_handle is not base:
                    self._copy(own_handle, result)
            for handle in foreign:
                self._load(handle, result)
        except BaseException:
            if result.compaction is not None:
                result.compaction.stop()
            result.database.close()
            raise
        return result

    def _overlap(self, handle: KeyedHandle) -> int:
        owned = KeyGroupRange(handle.first_key_group, handle.last_key_group)
        return self._key_groups.intersect(owned).count

    def _choose_base(
        self, own: Sequence[IncrementalHandle], *, is_only: bool
    ) -> IncrementalHandle | None:
        """Return whose files become the database (RocksDBIncrementalCheckpointUtils), if any."""
        if is_only and own and self._is_same_range(own[0]):
            return own[0]
        if self._rescale.ingests:
            return None
        fractions = {
            number: self._overlap(handle) / handle.key_group_count
            for number, handle in enumerate(own)
        }
        candidates = [
            number
            for number, fraction in fractions.items()
            if fraction >= self._rescale.overlap_fraction
        ]
        if not candidates:
            return None
        return own[max(candidates, key=lambda n: (self._overlap(own[n]), fractions[n]))]

    def _is_same_range(self, handle: IncrementalHandle) -> bool:
        groups = self._key_groups
        return (handle.first_key_group, handle.last_key_group) == (groups.start, groups.end)

    def _open_base(
        self, handle: IncrementalHandle, path: Path, *, is_only: bool
    ) -> RestoredDatabase:
        same = is_only and self._is_same_range(handle)
        header = self._header(handle)
        self._download(handle, path)
        with self._phases.measure("open"):
            database = self._open_database(path, [meta.name for meta in header.states])
        backend_id = handle.backend_id if same else str(uuid.uuid4())
        result = RestoredDatabase(database, backend_id, self._phases)
        for meta in header.states:
            table = result.table(meta, lambda _name: None, self._operator_name)
            table.element_rows = has_element_rows(meta)
        if same:
            # Files of one checkpoint alone, as a native savepoint's, go when it goes.
            result.shared = {
                name: file for name, file in handle.shared if isinstance(file, FileHandle)
            }
        else:
            self._clip(handle, result)
        return result

    def _clip(self, handle: IncrementalHandle, result: RestoredDatabase) -> None:
        """Delete the key groups of other subtasks that the base holds."""
        length, groups = self._prefix_length, self._key_groups
        ranges: list[tuple[bytes, bytes]] = []
        if handle.first_key_group < groups.start:
            ranges.append((bytes(length), groups.start.to_bytes(length, "big")))
        end = self._end()
        if handle.last_key_group > groups.end and end is not None:
            ranges.append((end, b"\xff" * (length + 1)))
        work = [(table.family, *each) for table in result.tables.values() for each in ranges]
        with self._phases.measure("clip"):
            for family, start, stop in work:
                family.delete_range(start, stop)
        if self._rescale.drops_foreign_rows:
            with self._phases.measure("compact"):
                for family, start, stop in work:
                    family.compact(start, stop)
        elif self._rescale.compacts_later and work:
            result.compaction = BackgroundCompaction(result.database, work)

    def _end(self) -> bytes | None:
        return prefix_end(self._key_groups.end.to_bytes(self._prefix_length, "big"))

    def _copy(self, handle: IncrementalHandle, result: RestoredDatabase) -> None:
        """Copy the rows of our key groups out of another backend's files."""
        header = self._header(handle)
        path = self._directory / f"source-{uuid.uuid4()}"
        self._download(handle, path)
        with self._phases.measure("open"):
            source = self._open_database(path, [meta.name for meta in header.states])
        try:
            counter = ListSequence(source.column_family(DEFAULT_COLUMN_FAMILY))
            result.sequence.raise_to(counter.reserve(0))
            for meta in header.states:
                table = result.table(meta, self._creator(result.database), self._operator_name)
                table.element_rows = has_element_rows(meta)
                start = self._key_groups.start.to_bytes(self._prefix_length, "big")
                cursor = source.column_family(meta.name).cursor(start, self._end())
                loader = BulkLoader(result.database, meta.name, self._directory)
                with self._phases.measure("copy rows"):
                    loader.load(cursor.rows())
                with self._phases.measure("ingest"):
                    loader.finish()
                self._phases.add("copy rows", loader.loaded_bytes)
                cursor.close()
        finally:
            source.close()
            shutil.rmtree(path, ignore_errors=True)

    def _creator(self, database: Database) -> Callable[[str], None]:
        return lambda name: self._create_family(database, name)

    def _load(self, handle: KeyedHandle, result: RestoredDatabase) -> None:
        """Load what is not our own database: canonical and heap streams, Flink's RocksDB files."""
        streams: list[BinaryIO] = []

        def open_stream(stream_handle: StreamHandle) -> BinaryIO:
            stream = self._reader.open(stream_handle)
            streams.append(stream)
            return stream

        try:
            body = open_keyed_state(
                handle, open_stream, self._max_parallelism, check=not self._reader.has_checksums
            )
            self._check_keys(body.header)
            create = self._creator(result.database)
            loads = []
            for meta in body.header.states:
                table = result.table(meta, create, self._operator_name)
                table.element_rows = table.element_rows or holds_list(meta)
                loader = BulkLoader(result.database, meta.name, self._directory)
                loads.append((table, loader))
            with self._phases.measure("read rows"):
                for block in _blocks(body, self._key_groups):
                    table, loader = loads[block.state_id]
                    if table.element_rows:
                        loader.load(element_rows(_entries(block), result.sequence, table.meta))
                    elif isinstance(block, KeyedBlock):
                        loader.load(block.entries)
                    else:
                        loader.load([(block.key, whole_value(block.value))])
            with self._phases.measure("ingest"):
                for _, loader in loads:
                    loader.finish()
                    self._phases.add("read rows", loader.loaded_bytes)
        finally:
            for stream in streams:
                stream.close()

    def _is_own(self, handle: IncrementalHandle) -> bool:
        if is_heap_increments(handle):
            return False
        return is_own_layout(self._header(handle).states)

    def _header(self, handle: IncrementalHandle) -> KeyedHeader:
        with self._reader.open(handle.meta) as stream:
            header, _ = read_keyed_header_from(stream)
        self._check_keys(header)
        return header

    def _check_keys(self, header: KeyedHeader) -> None:
        if header.states and not _same(header.key_serializer, self._key_serializer):
            raise SavepointMismatchError(
                "The keys in the snapshot are of another type.",
                hint="The key type of key_by must be the one that the snapshot was taken with.",
                snapshot=header.key_serializer.class_name,
                declared=self._key_serializer.class_name,
                operator=self._operator_name,
            )

    def _download(self, handle: IncrementalHandle, path: Path) -> None:
        path.mkdir()

        def copy(item: tuple[str, StreamHandle]) -> None:
            name, stream = item
            if "/" in name or name in {"", ".", ".."}:
                raise FormatError("A file of the snapshot has an impossible name.", name=name)
            # RocksDB removes its sorted files and never changes one; other files it appends to.
            self._reader.download(stream, path / name, may_link=name.endswith(".sst"))

        files = [*handle.shared, *handle.private]
        self._phases.add("download", sum(file.size for _, file in files))
        try:
            with self._phases.measure("download"):
                transfer(copy, files, self._threads)
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise


def _blocks(body: KeyedStateReader, groups: KeyGroupRange) -> Iterator[KeyedBlock | LongEntry]:
    if isinstance(body, CanonicalReader):
        return body.blocks_and_long_entries((groups.start, groups.end))
    return body.blocks((groups.start, groups.end))


def _entries(block: KeyedBlock | LongEntry) -> Sequence[tuple[bytes, bytes | LongValue]]:
    return block.entries if isinstance(block, KeyedBlock) else [(block.key, block.value)]


def element_rows(
    rows: Iterable[tuple[bytes, bytes | LongValue]], sequence: ListSequence, meta: StateMeta
) -> Iterator[tuple[bytes, bytes]]:
    """Yield a row for each chunk of lists that were stored as a whole."""
    ttl = holds_ttl_list(meta)
    reserve = sequence.reserve
    for key, value in rows:
        pieces = value.pieces() if isinstance(value, LongValue) else (value,)
        for chunk in split_list(pieces, ttl=ttl):
            yield key + reserve(1).to_bytes(LIST_SEQUENCE_LENGTH, "big"), chunk


def _same(found: SerializerSnapshot, declared: SerializerSnapshot) -> bool:
    """Compare classes alone: older versions of Flink recorded less beside them."""
    return (
        found.class_name == declared.class_name
        and len(found.nested) == len(declared.nested)
        and all(map(_same, found.nested, declared.nested))
    )
