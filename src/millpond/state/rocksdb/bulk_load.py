"""`BulkLoader`: fills a column family from rows that mostly come in the order of their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from millpond.state.rocksdb.database import SortedFileWriter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from millpond.state.rocksdb.database import Database

__all__ = ("BulkLoader",)

_FILE_BYTES: Final = 64 * 1024 * 1024


@final
class BulkLoader:
    """Writes rows in order to sorted files, which are moved into the family at the end.

    That is several times as fast as writing them one by one. A row whose key is not greater than
    all before it (Flink's heap writes key groups in hash order) is written the usual way. Each key
    may come once.
    """

    def __init__(self, database: Database, name: str, directory: Path) -> None:
        self._family = database.column_family(name)
        self._settings = database.family_settings(name)
        self._directory = directory
        self._writer: SortedFileWriter | None = None
        self._files: list[Path] = []
        self._last = b""
        self._bytes = 0
        self._unordered: list[tuple[bytes, bytes | None]] = []

    def load(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Add rows."""
        last = self._last
        writer = self._writer
        size = 0
        for key, value in rows:
            if key <= last:
                self._unordered.append((key, value))
                continue
            if writer is None:
                writer = self._open()
            writer.put(key, value)
            last = key
            size += len(key) + len(value)
        self._last = last
        self._bytes += size
        if self._bytes > _FILE_BYTES:
            self._close()
        if self._unordered:
            self._family.write(sorted(self._unordered))
            self._unordered.clear()

    def finish(self) -> None:
        """Make all rows visible."""
        self._close()
        if self._files:
            self._family.ingest(self._files)
            self._files = []

    def _open(self) -> SortedFileWriter:
        path = self._directory / f"load-{abs(hash(self._family.name))}-{len(self._files)}.sst"
        self._writer = SortedFileWriter(path, self._settings)
        self._files.append(path)
        return self._writer

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.finish()
            self._writer = None
            self._bytes = 0
