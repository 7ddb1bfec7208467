"""`Cursor`: reads the rows of a column family in key order, on the state of one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from millpond.errors import StateStoreError
from millpond.state.rocksdb.database_error import store_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ("ClosedObject", "Cursor", "prefix_end")

_NEXT: Final = tuple(bytes((byte + 1,)) for byte in range(255))


def prefix_end(prefix: bytes) -> bytes | None:
    """Return the smallest bytes above all that start with `prefix`; None if there are none."""
    if prefix and prefix[-1] != 255:
        return prefix[:-1] + _NEXT[prefix[-1]]
    stripped = prefix.rstrip(b"\xff")
    if not stripped:
        return None
    return stripped[:-1] + bytes((stripped[-1] + 1,))


@final
class ClosedObject:
    """Stands for an object of the binding that must not be used any more."""

    def __init__(self, path: Path, message: str = "The RocksDB database was closed.") -> None:
        self._message = message
        self._path = path

    def __getattr__(self, name: str) -> Any:
        raise StateStoreError(self._message, path=self._path)


@final
class Cursor:
    """Steps through rows in key order, on the state of the moment it was opened.

    Later writes, flushes and compactions do not change what it shows. It may be used by another
    thread than the one that opened it, by one at a time. It pins memory and files until `close`.
    """

    __slots__ = ("__weakref__", "_iterator", "_options", "_path")

    def __init__(self, iterator: Any, options: Any, path: Path) -> None:
        self._iterator = iterator
        # The binding frees the bound with its options, while the iterator still reads it.
        self._options = options
        self._path = path

    def seek(self, key: bytes) -> None:
        """Go to the first row at or after `key`."""
        self._iterator.seek(key)

    def current(self) -> tuple[bytes, bytes] | None:
        """Return the row under the cursor, None past the end.

        Raises:
            StateStoreError: the end came early because a block is damaged.
        """
        iterator = self._iterator
        if iterator.valid():
            return iterator.key(), iterator.value()
        self._check(iterator)
        return None

    def advance(self) -> None:
        """Go to the next row."""
        self._iterator.next()

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows from where the cursor is.

        Raises:
            StateStoreError: the end came early because a block is damaged.
        """
        iterator = self._iterator
        valid, key_of, value_of = iterator.valid, iterator.key, iterator.value
        advance = iterator.next
        while valid():
            yield key_of(), value_of()
            advance()
        # An iteration that met a damaged block looks like one that ended, except here.
        self._check(iterator)

    def read(self, count: int) -> list[tuple[bytes, bytes]]:
        """Return the next rows, fewer at the end, and step behind them.

        Raises:
            StateStoreError: the end came early because a block is damaged.
        """
        iterator = self._iterator
        valid, key_of, value_of = iterator.valid, iterator.key, iterator.value
        advance = iterator.next
        rows: list[tuple[bytes, bytes]] = []
        append = rows.append
        while len(rows) < count and valid():
            append((key_of(), value_of()))
            advance()
        if len(rows) < count:
            self._check(iterator)
        return rows

    def read_columns(self, count: int, size_bytes: int) -> tuple[list[bytes], list[bytes]]:
        """Return keys and values of the next rows and step behind them; none at the end.

        There are at most `count`, and none after values of `size_bytes` together.

        Raises:
            StateStoreError: the end came early because a block is damaged.
        """
        iterator = self._iterator
        valid, key_of, value_of = iterator.valid, iterator.key, iterator.value
        advance = iterator.next
        keys: list[bytes] = []
        values: list[bytes] = []
        for _ in range(count):
            if not valid():
                self._check(iterator)
                break
            value = value_of()
            keys.append(key_of())
            values.append(value)
            advance()
            size_bytes -= len(value)
            if size_bytes <= 0:
                break
        return keys, values

    def row_keys(self) -> Iterator[bytes]:
        """Yield keys only; otherwise as `rows`."""
        iterator = self._iterator
        valid, key_of, advance = iterator.valid, iterator.key, iterator.next
        while valid():
            yield key_of()
            advance()
        self._check(iterator)

    def _check(self, iterator: Any) -> None:
        try:
            iterator.status()
        except Exception as error:
            raise store_error(error, "reading rows", self._path) from error

    def close(self) -> None:
        """Let go of what is pinned; may be called twice."""
        if not isinstance(self._iterator, ClosedObject):
            self._iterator = ClosedObject(self._path)

    def disown(self, kept: list[object]) -> None:
        """Close without running the native destructor: in a forked child it would hang."""
        kept.append(self._iterator)
        self.close()
