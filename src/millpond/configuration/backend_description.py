"""What a program said about its state backend and checkpoint storage; None is left open."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millpond.configuration.options.rocksdb import PredefinedOptions

__all__ = ("BackendDescription", "RocksDBDescription", "StorageDescription", "StorageKind", "Store")


class Store(enum.StrEnum):
    """Where working state lives."""

    HEAP = "heap"
    ROCKSDB = "rocksdb"
    CUSTOM = "custom"


class StorageKind(enum.StrEnum):
    """Where snapshots go."""

    JOB_MANAGER = "jobmanager"
    FILE_SYSTEM = "filesystem"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class StorageDescription:
    """A checkpoint storage; `custom` is its class, an instance or an import path."""

    kind: StorageKind
    checkpoint_directory: str | None = None
    savepoint_directory: str | None = None
    max_state_size_bytes: int | None = None
    inline_threshold_bytes: int | None = None
    write_buffer_size_bytes: int | None = None
    custom: object = None


@dataclass(frozen=True, slots=True)
class RocksDBDescription:
    """Settings of the RocksDB store; `options_factory` is an import path, class or instance."""

    local_directories: tuple[str, ...] | None = None
    predefined_options: PredefinedOptions | None = None
    options_factory: object = None
    transfer_threads: int | None = None


@dataclass(frozen=True, slots=True)
class BackendDescription:
    """A state backend.

    `storage` is set for the 1.12 backends, which are their own checkpoint storage and so win over
    every other setting of it. `custom` is a store's class, an instance or an import path.
    """

    store: Store
    storage: StorageDescription | None = None
    is_incremental: bool | None = None
    is_asynchronous: bool | None = None
    rocksdb: RocksDBDescription | None = None
    custom: object = None
