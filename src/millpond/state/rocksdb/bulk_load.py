"""`BulkLoader`: fills a column family from rows that mostly come in the order of their keys."""

from __future__ import annotations

from itertools import islice
from operator import ge, itemgetter
from typing import TYPE_CHECKING, Final, final

from millpond.state.rocksdb.database import SortedFileWriter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from millpond.state.rocksdb.database import Database

__all__ = ("BulkLoader",)

_FILE_BYTES: Final = 64 * 1024 * 1024
_FILE_ROWS: Final = 4_000_000
_PIECE_ROWS: Final = 4096
_FIRST_PIECE_ROWS: Final = 16
_PIECE_BYTES: Final = 1024 * 1024
_key = itemgetter(0)


@final
class BulkLoader:
    """Writes rows in order to sorted files, which are moved into the family at the end.

    That is several times as fast as writing them one by one. A row whose key is not greater than
    all before it (Flink's heap writes key groups in hash order) is written the usual way. Each key
    may come once.

    Attributes:
        loaded_bytes: about how many bytes of keys and values came so far.
    """

    def __init__(self, database: Database, name: str, directory: Path) -> None:
        self._family = database.column_family(name)
        self._settings = database.family_settings(name)
        self._directory = directory
        self._writer: SortedFileWriter | None = None
        self._files: list[Path] = []
        self._last = b""
        self._bytes = 0
        self._rows = 0
        self.loaded_bytes = 0

    def load(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Add rows."""
        rows = iter(rows)
        count = _FIRST_PIECE_ROWS
        while piece := list(islice(rows, count)):
            self._load(piece)
            # The next ones are about as large; they shall not fill the memory.
            row_bytes = len(piece[-1][0]) + len(piece[-1][1])
            count = max(1, min(_PIECE_ROWS, _PIECE_BYTES // row_bytes))

    def _load(self, piece: list[tuple[bytes, bytes]]) -> None:
        last = self._last
        unordered: list[tuple[bytes, bytes | None]] = []
        ordered = piece
        # Most pieces are in order as a whole, and then need no new list.
        if piece[0][0] <= last or any(map(ge, map(_key, piece), map(_key, piece[1:]))):
            ordered = []
            for row in piece:
                if row[0] > last:
                    ordered.append(row)
                    last = row[0]
                else:
                    unordered.append(row)
        if ordered:
            self._last = ordered[-1][0]
            writer = self._writer or self._open()
            writer.put_all(ordered)
            self._rows += len(ordered)
            size = len(ordered) * (len(ordered[0][0]) + len(ordered[0][1]))
            self._bytes += size
            self.loaded_bytes += size
        if self._bytes > _FILE_BYTES or self._rows > _FILE_ROWS:
            self._close()
        if unordered:
            self._family.write(sorted(unordered))

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
            self._bytes = self._rows = 0
