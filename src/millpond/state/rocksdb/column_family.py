"""`ColumnFamily`: one ordered map of bytes to bytes in a database; holds one state."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final, final

from millpond.errors import StateSizeExceededError
from millpond.state.rocksdb.cursor import ClosedObject, Cursor, prefix_end
from millpond.state.rocksdb.database_error import store_error
from millpond.state.rocksdb.native_options import NO_MORE_FILTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from millpond.errors import StateStoreError
    from millpond.state.rocksdb.database import Database

__all__ = ("MAX_ROW_BYTES", "ColumnFamily", "RowTooLargeError")

_BATCH_ROWS: Final = 500
_LOOK_AFTER_BATCHES: Final = 64
MAX_ROW_BYTES: Final = (1 << 31) - 1
"""Savepoints and Flink cannot hold a longer key or value."""


@final
class RowTooLargeError(StateSizeExceededError):
    """A row that must not be written; state objects raise what names state and key instead."""

    def __init__(self, key: bytes, size_bytes: int) -> None:
        super().__init__("A key or value is larger than 2^31-1 bytes.", size_bytes=size_bytes)
        self.key = key
        self.size_bytes = size_bytes


@final
class ColumnFamily:
    """A handle on one column family; valid until its database is closed.

    Attributes:
        name: the name of the state.
        raw_get: `get` without words for its errors: after one, call `get`.
    """

    __slots__ = (
        "_batches",
        "_database",
        "_family",
        "_filtered_keys",
        "_handle",
        "_short_read",
        "name",
        "raw_get",
    )

    def __init__(self, name: str, family: Any, handle: Any, database: Database) -> None:
        self.name = name
        self._family = family
        self.raw_get: Callable[[bytes], bytes | None] = family.get
        self._handle = handle
        self._database = database
        self._batches = 0
        self._filtered_keys: int | None = None
        self._short_read: Any = None

    def bound_filters(self, keys: int | None) -> None:
        """Make filters of new files for as long as there are at most so many keys.

        None is for ever. Large filters would push everything else out of a small cache, and read
        anew for every look-up. What files have stays.
        """
        self._filtered_keys = keys
        self._look_at_keys()

    def _look_at_keys(self) -> None:
        most = self._filtered_keys
        if most is not None and (self.number("rocksdb.estimate-num-keys") or 0) > most:
            self._filtered_keys = None
            try:
                self._family.set_options(NO_MORE_FILTERS)
            except Exception as error:
                raise self._error(error, "ending the filters") from error

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key."""
        try:
            value: bytes | None = self._family.get(key)
        except Exception as error:
            raise self._error(error, "reading a row") from error
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of several keys, in their order; lets other threads run meanwhile."""
        try:
            return list(self._family.get(list(keys)))
        except Exception as error:
            raise self._error(error, "reading rows") from error

    def write(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Put rows; a value of None deletes. Sorted rows are written faster.

        Never blocks inside RocksDB: where it would stall, this sleeps and tries again, so that
        other threads go on.

        Raises:
            StateStoreError: the disk is full, or writes were refused for five minutes.
            RowTooLargeError: a key or value is larger than 2^31-1 bytes.
        """
        limit = self._database.settings.write_batch_size_bytes or 1 << 62
        listed = rows if isinstance(rows, list) else list(rows)
        for start in range(0, len(listed), _BATCH_ROWS):
            batch = listed[start : start + _BATCH_ROWS]
            size = sum(map(len, filter(None, chain.from_iterable(batch))))
            if size < limit:
                self._write_batch(batch, size)
            else:
                self._write_large(batch, limit)

    def _write_large(self, rows: Iterable[tuple[bytes, bytes | None]], limit: int) -> None:
        batch: list[tuple[bytes, bytes | None]] = []
        size = 0
        for row in rows:
            batch.append(row)
            key, value = row
            size += len(key) if value is None else len(key) + len(value)
            if size >= limit:
                self._write_batch(batch, size)
                batch = []
                size = 0
        if batch:
            self._write_batch(batch, size)

    def _write_batch(self, batch: Sequence[tuple[bytes, bytes | None]], size: int) -> None:
        if size > MAX_ROW_BYTES:
            self._check_sizes(batch)
        self._database.write_batch(self._handle, batch)
        self._batches += 1
        if not self._batches % _LOOK_AFTER_BATCHES:
            self._look_at_keys()

    def _check_sizes(self, batch: Sequence[tuple[bytes, bytes | None]]) -> None:
        for key, value in batch:
            size = max(len(key), len(value or b""))
            if size > MAX_ROW_BYTES:
                raise RowTooLargeError(key, size)

    def delete_range(self, start: bytes, end: bytes) -> None:
        """Delete all rows from `start` up to `end`, exclusive, by one tombstone."""
        self._database.write_batch(self._handle, [(start, end)], ranges=True)

    def read(self, start: bytes, end: bytes | None, count: int) -> list[tuple[bytes, bytes]]:
        """Return the first rows from `start` to `end`, exclusive, at most so many.

        Cheaper than a cursor, which takes note of itself. For the thread that writes.
        """
        if end is None:
            return self.cursor(start).read(count)
        options = self._short_read
        if options is None:
            options = self._short_read = self._database.read_options(end)
        # The iterator of the last time is gone, so that its bound may be replaced.
        options.set_iterate_upper_bound(end)
        rows: list[tuple[bytes, bytes]] = []
        try:
            iterator = self._family.iter(options)
            iterator.seek(start)
            while len(rows) < count and iterator.valid():
                rows.append((iterator.key(), iterator.value()))
                iterator.next()
            if len(rows) < count:
                # An iteration that met a damaged block looks like one that ended, except here.
                iterator.status()
        except Exception as error:
            raise self._error(error, "reading rows") from error
        return rows

    def cursor(self, start: bytes = b"", end: bytes | None = None) -> Cursor:
        """Open a cursor at the first row at or after `start`; `end` is exclusive."""
        options = None if end is None else self._database.read_options(end)
        try:
            iterator = self._family.iter(options)
            iterator.seek(start)
        except Exception as error:
            raise self._error(error, "opening an iterator") from error
        return self._database.track(Cursor(iterator, options, self._database.path))

    def scan(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows that start with `prefix`, as of now, in key order."""
        return self.cursor(prefix, prefix_end(prefix)).rows()

    def scan_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the keys that start with `prefix`, as of now, in order."""
        return self.cursor(prefix, prefix_end(prefix)).row_keys()

    def ingest(self, files: Sequence[Path]) -> None:
        """Move finished sorted files into the family; they win over rows that are there."""
        try:
            self._database.ingest(self._family, files)
        except Exception as error:
            raise self._error(error, "ingesting sorted files") from error

    def has_unflushed_rows(self) -> bool:
        """Return whether a memtable holds rows or deletions."""
        return bool(
            self.number("rocksdb.num-entries-active-mem-table")
            or self.number("rocksdb.num-immutable-mem-table")
        )

    def flush(self) -> None:
        """Write the memtable to a file; lets other threads run meanwhile."""
        try:
            self._family.flush()
        except Exception as error:
            raise self._error(error, "flushing to disk") from error

    def compact(self, start: bytes | None = None, end: bytes | None = None) -> None:
        """Merge the files with keys from `start` to `end`; lets other threads run meanwhile."""
        try:
            self._family.compact_range(start, end)
        except Exception as error:
            raise self._error(error, "compacting") from error

    def number(self, name: str) -> int | None:
        """Return an integer property, for example ``rocksdb.estimate-num-keys``."""
        try:
            value: int | None = self._family.property_int_value(name)
        except Exception as error:
            raise self._error(error, f"reading {name}") from error
        return value

    def _error(self, error: Exception, operation: str) -> StateStoreError:
        return store_error(error, f"{operation} of state '{self.name}'", self._database.path)

    def release(self) -> None:
        """Close the handle; only the database calls it."""
        family, self._family = self._family, ClosedObject(self._database.path)
        # The other handle too: either would keep a closed database and its lock alive.
        self._handle = None
        self.raw_get = self.get
        family.close()

    def disown(self, kept: list[object], closed: ClosedObject) -> None:
        """Close without running native destructors, in a forked child."""
        kept.extend((self._family, self._handle))
        self._family = closed
        self.raw_get = self.get
