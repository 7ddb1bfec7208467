"""`store_error`: RocksDB's error texts as `StateStoreError` with cause, path and advice."""

from __future__ import annotations

from typing import Final

from millpond.errors import StateStoreError

__all__ = ("is_write_stall", "store_error")

_KNOWN: Final = (
    (
        ("No space left on device", "NoSpace"),
        "The disk under the RocksDB database is full",
        "Free space or set state.backend.rocksdb.localdir to a larger disk; checkpoints are safe.",
    ),
    (
        ("lock hold by current process", "While lock file", "No locks available"),
        "The RocksDB database is in use by another database object or process",
        "Each database belongs to one subtask; check that no other job uses this directory.",
    ),
    (
        ("Corruption", "checksum mismatch", "truncated record", "Bad table magic number"),
        "The RocksDB database is damaged",
        "The local database is disposable: restart the job from its last checkpoint.",
    ),
    (
        ("Permission denied", "Read-only file system"),
        "The directory of the RocksDB database may not be written",
        "Set state.backend.rocksdb.localdir to a directory that this user may write.",
    ),
    (
        ("Too many open files",),
        "RocksDB has too many files open",
        "Raise the limit of open files (ulimit -n) or set state.backend.rocksdb.files.open.",
    ),
    (
        ("No such file or directory",),
        "A file of the RocksDB database is missing",
        "Something else deleted it; restart the job from its last checkpoint.",
    ),
)


def is_write_stall(error: Exception) -> bool:
    """Whether a write was refused because compactions or flushes are behind."""
    return "Write stall" in str(error)


def store_error(error: Exception, operation: str, path: object) -> StateStoreError:
    """Return the error to raise for an exception of the binding, which are all bare ones."""
    if isinstance(error, StateStoreError):
        return error
    text = str(error)
    for needles, message, hint in _KNOWN:
        if any(needle in text for needle in needles):
            return StateStoreError(
                f"{message}: {operation} failed.", hint=hint, path=path, reason=text
            )
    return StateStoreError(f"RocksDB could not do this: {operation}.", path=path, reason=text)
