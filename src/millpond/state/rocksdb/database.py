"""`Database`: one RocksDB database of raw bytes; the only module that imports rocksdict.

The binding has traps, each of which is closed here and has a test of its own that notices when a
later release behaves differently (`tests/unit/state/rocksdb/test_rocksdict_traps.py`).
"""

from __future__ import annotations

import contextlib
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from millpond.configuration.options.rocksdb_column_family import LOG_DIRECTORY
from millpond.errors import ConfigurationError, StateStoreError
from millpond.state.rocksdb.column_family import ColumnFamily
from millpond.state.rocksdb.cursor import ClosedObject, Cursor, prefix_end
from millpond.state.rocksdb.database_error import is_write_stall, store_error
from millpond.state.rocksdb.deferred_links import DeferredLinks
from millpond.state.rocksdb.native_options import (
    UPPER_FILTER_BITS,
    column_family_options,
    database_options,
)
from millpond.state.rocksdb.options_file import read_options_file
from millpond.state.rocksdb.settings import (
    ColumnFamilySettings,
    DatabaseSettings,
    ReadSettings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from millpond.clock import Clock

__all__ = (
    "DEFAULT_COLUMN_FAMILY",
    "ColumnFamily",
    "Cursor",
    "Database",
    "SharedBuffers",
    "SortedFileWriter",
    "column_families_on_disk",
    "prefix_end",
)

DEFAULT_COLUMN_FAMILY: Final = "default"
_FIRST_STALL_PAUSE_SECONDS: Final = 0.001
_LONGEST_STALL_PAUSE_SECONDS: Final = 0.05
_LONGEST_STALL_SECONDS: Final = 300.0
# Filters of all keys of a family would take this part of the cache; most keys have none.
_FILTER_SHARE: Final = 8

_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_left_to_the_parent: list[object] = []


@final
class SharedBuffers:
    """One block cache and one write buffer manager, charged to it, for several databases.

    Attributes:
        capacity_bytes: of the cache.
    """

    def __init__(self, cache_size_bytes: int, write_buffer_size_bytes: int) -> None:
        import rocksdict

        self.capacity_bytes = cache_size_bytes
        self.cache = rocksdict.Cache(cache_size_bytes)
        self.write_buffer_manager = (
            rocksdict.WriteBufferManager.new_write_buffer_manager_with_cache(
                write_buffer_size_bytes, allow_stall=False, cache=self.cache
            )
        )

    def cache_usage_bytes(self) -> int:
        """Return the bytes in the cache, write buffers included."""
        return int(self.cache.get_usage())

    def write_buffer_usage_bytes(self) -> int:
        """Return the bytes in write buffers."""
        return int(self.write_buffer_manager.get_usage())


@final
class SortedFileWriter:
    """Writes one sorted file for `ColumnFamily.ingest`; keys must ascend strictly."""

    def __init__(self, path: Path, settings: ColumnFamilySettings) -> None:
        import rocksdict

        self.path = path
        self._writer = rocksdict.SstFileWriter(column_family_options(rocksdict, settings, None))
        try:
            self._writer.open(str(path))
        except Exception as error:
            raise store_error(error, "creating a sorted file", path) from error

    def put_all(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Append rows."""
        writer = self._writer
        try:
            for key, value in rows:
                writer[key] = value
        except Exception as error:
            raise store_error(error, "writing a sorted file", self.path) from error

    def finish(self) -> None:
        """Complete the file."""
        try:
            self._writer.finish()
        except Exception as error:
            raise store_error(error, "finishing a sorted file", self.path) from error


def column_families_on_disk(path: Path) -> list[str]:
    """Return the names of the families of a database that is not open."""
    import rocksdict

    try:
        return list(rocksdict.Rdict.list_cf(str(path)))
    except Exception as error:
        raise store_error(error, "listing column families", path) from error


@final
class Database:
    """A disposable RocksDB database: no write-ahead log, no sync; only checkpoints are durable.

    One task thread writes; cursors may be read by other threads. A forked child process cannot
    use it: every operation raises there.

    Attributes:
        path: its directory.
        settings: the settings it was opened with.
    """

    def __init__(
        self,
        path: Path,
        settings: DatabaseSettings,
        families: Mapping[str, ColumnFamilySettings],
        clock: Clock,
        buffers: SharedBuffers | None = None,
    ) -> None:
        """Open, or create, with the given families; those that the disk lacks are created.

        Raises:
            StateStoreError: locked, damaged or not writable; or a family on disk is not named in
                `families`, or its options did not take effect.
        """
        import rocksdict

        self._binding: Any = rocksdict
        self.path = path
        self.settings = settings
        self._clock = clock
        self._buffers = buffers
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()
        self._families: dict[str, ColumnFamily] = {}
        self._deferred: DeferredLinks | None = None
        self._family_settings = {DEFAULT_COLUMN_FAMILY: ColumnFamilySettings(), **families}
        self._check_families_named()
        options = {
            name: column_family_options(rocksdict, family, buffers)
            for name, family in self._family_settings.items()
        }
        default = self._family_settings[DEFAULT_COLUMN_FAMILY]
        self._options = database_options(rocksdict, settings, default, buffers)
        _make_log_directory(settings)
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._database: Any = rocksdict.Rdict(str(path), self._options, column_families=options)
        except Exception as error:
            raise store_error(error, "opening the database", path) from error
        self._write_options = self._binding.WriteOptions()
        # A property, although the binding's type stub declares a method.
        self._write_options.disable_wal = True
        self._write_options.no_slowdown = True
        self._write_options.low_pri = settings.write.low_priority
        self._write_options.memtable_insert_hint_per_batch = settings.write.hints_inserts
        for name in self._family_settings:
            self._attach(name)
        self._check_effective_options()
        for name, family in self._families.items():
            self._bound_filters(family, self._family_settings[name])
        _open_databases.add(self)

    def _check_families_named(self) -> None:
        if not (self.path / "CURRENT").exists():
            return
        missing = set(column_families_on_disk(self.path)) - set(self._family_settings)
        if missing:
            raise StateStoreError(
                "The RocksDB database holds column families that were not asked for: "
                f"{', '.join(sorted(missing))}.",
                hint="Open it with settings for each, or RocksDB resets theirs silently.",
                path=self.path,
            )

    def _check_effective_options(self) -> None:
        effective = self.effective_options()
        shared = self._buffers is not None
        expectations = {"DBOptions": self.settings.expected_effective()} | {
            name: settings.expected_effective(shared_memory=shared)
            for name, settings in self._family_settings.items()
        }
        for section, expected in expectations.items():
            actual = effective.get(section, {})
            for option, value in expected.items():
                if actual.get(option) != value:
                    self.close()
                    raise StateStoreError(
                        f"RocksDB did not take over an option of '{section}': "
                        f"{option} is {actual.get(option)}, not {value}.",
                        hint="This is a defect of Millpond or of the installed rocksdict.",
                        path=self.path,
                    )

    def _attach(self, name: str) -> ColumnFamily:
        family = self._database.get_column_family(name)
        if self.settings.read != ReadSettings():
            family.set_read_options(self._new_read_options())
        handle = self._database.get_column_family_handle(name)
        result = self._families[name] = ColumnFamily(name, family, handle, self)
        return result

    def column_family(self, name: str) -> ColumnFamily:
        """Return a family that exists."""
        return self._families[name]

    @property
    def column_family_names(self) -> tuple[str, ...]:
        """The names of all families, the default one included."""
        return tuple(self._families)

    def family_settings(self, name: str) -> ColumnFamilySettings:
        """Return the settings of a family."""
        return self._family_settings[name]

    def create_column_family(self, name: str, settings: ColumnFamilySettings) -> ColumnFamily:
        """Create a family.

        Raises:
            StateStoreError: it exists, or the disk is full.
        """
        self._settle()
        options = column_family_options(self._binding, settings, self._buffers)
        try:
            self._database.create_column_family(name, options)
        except Exception as error:
            raise store_error(error, f"creating column family '{name}'", self.path) from error
        self._family_settings[name] = settings
        family = self._attach(name)
        self._bound_filters(family, settings)
        return family

    def _bound_filters(self, family: ColumnFamily, settings: ColumnFamilySettings) -> None:
        if self._buffers is not None and settings.has_upper_filters(shared_memory=True):
            share_bytes = self._buffers.capacity_bytes // _FILTER_SHARE
            family.bound_filters(share_bytes * 8 // UPPER_FILTER_BITS)

    def drop_column_family(self, name: str) -> None:
        """Drop a family and its rows."""
        self._settle()
        # In this order: closing the handle of a dropped family raises.
        self._families.pop(name).release()
        del self._family_settings[name]
        try:
            self._database.drop_column_family(name)
        except Exception as error:
            raise store_error(error, f"dropping column family '{name}'", self.path) from error

    def write_batch(
        self, handle: Any, rows: Sequence[tuple[bytes, bytes | None]], *, ranges: bool = False
    ) -> None:
        """Write one batch; `ColumnFamily.write` and `delete_range` call it."""
        self._settle()
        pause_seconds = _FIRST_STALL_PAUSE_SECONDS
        waited_seconds = 0.0
        while True:
            # A batch cannot be written twice, so each attempt builds its own.
            batch = self._batch(handle, rows, ranges=ranges)
            try:
                self._database.write(batch, self._write_options)
            except Exception as error:
                if not is_write_stall(error) or waited_seconds >= _LONGEST_STALL_SECONDS:
                    raise store_error(error, "writing rows", self.path) from error
            else:
                return
            self._clock.sleep(pause_seconds)
            waited_seconds += pause_seconds
            pause_seconds = min(2 * pause_seconds, _LONGEST_STALL_PAUSE_SECONDS)

    def _batch(
        self, handle: Any, rows: Sequence[tuple[bytes, bytes | None]], *, ranges: bool
    ) -> Any:
        batch = self._binding.WriteBatch(raw_mode=True)
        batch.set_default_column_family(handle)
        if ranges:
            for start, end in rows:
                # Range deletions ignore the default family of the batch.
                batch.delete_range(start, end, handle)
            return batch
        put, delete = batch.put, batch.delete
        for key, value in rows:
            if value is None:
                delete(key)
            else:
                put(key, value)
        return batch

    def read_options(self, end: bytes) -> Any:
        """Return options for an iterator that ends before `end`."""
        options = self._new_read_options()
        # There is no use for the lower bound: the binding sets it as another upper bound.
        options.set_iterate_upper_bound(end)
        return options

    def _new_read_options(self) -> Any:
        options, read = self._binding.ReadOptions(), self.settings.read
        options.set_verify_checksums(read.verify_checksums)
        options.set_readahead_size(read.readahead_bytes)
        options.set_async_io(read.asynchronous)
        return options

    def ingest(self, family: Any, files: Sequence[Path]) -> None:
        """Move sorted files into a family; `ColumnFamily.ingest` calls it."""
        self._settle()
        options = self._binding.IngestExternalFileOptions()
        options.set_move_files(True)
        family.ingest_external_file([str(file) for file in files], options)

    def checkpoint_later(self, path: Path) -> DeferredLinks:
        """Promise what `checkpoint` does, as of now; what writes to the database waits for it."""
        self._settle()
        self._deferred = DeferredLinks(path, self.checkpoint, self._clock)
        return self._deferred

    @property
    def is_held(self) -> bool:
        """Whether the next write would have to wait for `checkpoint_later`."""
        return self._deferred is not None and not self._deferred.is_over

    def _settle(self) -> None:
        deferred = self._deferred
        if deferred is not None:
            deferred.settle()
            self._deferred = None

    def checkpoint(self, path: Path) -> None:
        """Make a consistent copy of all files by hard links, in a directory that does not exist.

        Each family is flushed first, which lets other threads run; the copy itself does not.
        """
        for family in self._families.values():
            if family.has_unflushed_rows():
                family.flush()
        try:
            self._binding.Checkpoint(self._database).create_checkpoint(str(path))
        except Exception as error:
            raise store_error(error, "creating a checkpoint", path) from error

    def live_files(self) -> list[dict[str, Any]]:
        """Return name, size, level and key range of every sorted file."""
        return list(self._database.live_files())

    def effective_options(self) -> dict[str, dict[str, str]]:
        """Return what RocksDB itself reports: sections ``DBOptions`` and one a family."""
        return read_options_file(self.path)

    def statistics(self) -> str:
        """Return RocksDB's text of statistics; empty unless the settings turn them on."""
        text: str | None = self._options.get_statistics()
        return text or ""

    def stop_background_work(self) -> None:
        """End flushes and compactions for good; the database can only be closed afterwards."""
        self._database.cancel_all_background(True)

    def track(self, cursor: Cursor) -> Cursor:
        """Remember a cursor, to close it before the database."""
        self._cursors.add(cursor)
        return cursor

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return isinstance(self._database, ClosedObject)

    def close(self) -> None:
        """Close cursors, families and database, in this order; may be called twice.

        Memtables are dropped, not flushed. Errors are swallowed: with a full disk closing fails,
        and nothing in the directory is needed any more.
        """
        if self.closed:
            return
        _open_databases.discard(self)
        if self._deferred is not None:
            self._deferred.cancel()
        for cursor in list(self._cursors):
            cursor.close()
        # A handle that stays open would keep the database and its lock alive.
        for family in self._families.values():
            _close_quietly(family.release)
        database, self._database = self._database, ClosedObject(self.path)
        _close_quietly(database.close)

    def disown(self) -> None:
        """In a forked child, close without native destructors: RocksDB's threads are missing."""
        closed = ClosedObject(
            self.path, "A RocksDB database cannot be used in a forked child process."
        )
        for family in self._families.values():
            family.disown(_left_to_the_parent, closed)
        for cursor in list(self._cursors):
            cursor.disown(_left_to_the_parent)
        _left_to_the_parent.append(self._database)
        self._database = closed


def _make_log_directory(settings: DatabaseSettings) -> None:
    if settings.log_directory is None:
        return
    try:
        Path(settings.log_directory).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"RocksDB's log cannot go to '{settings.log_directory}': {error.strerror}.",
            hint="Name a directory that may be written.",
            option=LOG_DIRECTORY.key,
        ) from error


def _close_quietly(close: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):
        close()


def _disown_after_fork() -> None:
    for database in list(_open_databases):
        database.disown()


os.register_at_fork(after_in_child=_disown_after_fork)
