"""The one place that decides which store, storage and directories a job uses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from millpond.configuration.backend_description import (
    BackendDescription,
    RocksDBDescription,
    StorageDescription,
    StorageKind,
    Store,
)
from millpond.configuration.directory import checked_directory, split_local_directories
from millpond.configuration.options import rocksdb as rocksdb_options
from millpond.configuration.options import state_backend as options
from millpond.configuration.options.execution import TEMPORARY_DIRECTORIES
from millpond.configuration.rocksdb_memory import rocksdb_memory
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.config_options import ConfigOption
    from millpond.common.configuration import Configuration
    from millpond.configuration.options.rocksdb import PredefinedOptions, TimerStore

__all__ = (
    "DEFAULT_MAX_STATE_SIZE_BYTES",
    "BackendChoice",
    "RocksDBChoice",
    "check_backend",
    "choose_backend",
)

T = TypeVar("T")

DEFAULT_MAX_STATE_SIZE_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RocksDBChoice:
    """Settings of the RocksDB store.

    `local_directories` is empty where nothing is set and there is one temporary directory at most:
    a worker's own directory in it then.
    `options_factory` is None, an import path, a class or an instance. The memory settings stand
    in `rocksdb_memory`, the column family options in the configuration.
    """

    local_directories: tuple[str, ...]
    predefined_options: PredefinedOptions
    options_factory: object
    transfer_threads: int
    timer_store: TimerStore


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """Everything an engine must know to make the backends and the storage of a job.

    Attributes:
        store: the kind of working store; `custom_store` tells which, for a custom one.
        storage: the kind of checkpoint storage; `custom_storage` likewise.
        checkpoint_directory: URL or path; always set with file system storage. With job manager
            storage the metadata is written there, with all state inline.
        savepoint_directory: URL or path, or None.
        create_subdirectory: whether checkpoints stand below a directory named by the job id.
        num_retained: how many completed checkpoints are kept.
        is_incremental: never with heap state in the job manager's memory.
        is_asynchronous: whether heap snapshots are written in the background.
        max_state_size_bytes: limit of one state stream with job manager storage.
        frame_size_bytes: limit of one acknowledgement with job manager storage.
        memory_size_bytes: limit of all state of one checkpoint with job manager storage.
        inline_threshold_bytes: streams up to this size go into the metadata.
        write_buffer_size_bytes: effective buffer of checkpoint streams.
        rocksdb: set with the RocksDB store.
    """

    store: Store
    storage: StorageKind
    checkpoint_directory: str | None
    savepoint_directory: str | None
    create_subdirectory: bool
    num_retained: int
    is_incremental: bool
    is_asynchronous: bool
    max_state_size_bytes: int
    frame_size_bytes: int
    memory_size_bytes: int
    inline_threshold_bytes: int
    write_buffer_size_bytes: int
    rocksdb: RocksDBChoice | None = None
    custom_store: object = None
    custom_storage: object = None


def choose_backend(
    configuration: Configuration,
    backend: BackendDescription | None = None,
    storage: StorageDescription | None = None,
) -> BackendChoice:
    """Decide by Flink's rules (StateBackendLoader, CheckpointStorageLoader).

    A backend set in code wins over the configuration, which fills in only what the program left
    open. The 1.12 backends bring their storage along; else a storage set in code wins over
    ``execution.checkpointing.storage``. No backend at all means the memory backend.

    Args:
        configuration: the effective configuration.
        backend: the backend that the program set.
        storage: the checkpoint storage that the program set.

    Raises:
        ConfigurationError: unknown name, illegal value, or a checkpoint directory is missing.
    """
    chosen = backend or _configured_backend(configuration, storage)
    stored = _filled_storage(configuration, chosen.storage or _storage(configuration, storage))
    if stored.kind is StorageKind.FILE_SYSTEM and stored.checkpoint_directory is None:
        raise ConfigurationError(
            "The file system checkpoint storage needs a checkpoint directory, and none is set.",
            hint=f"Set '{options.CHECKPOINT_DIRECTORY.key}' (in Flink 1.12 'state.checkpoints.dir')"
            " or give the directory to the backend in code.",
        )
    is_incremental = _first(chosen.is_incremental, configuration, options.INCREMENTAL_CHECKPOINTS)
    threshold = _first(stored.inline_threshold_bytes, configuration, options.DATA_INLINE_THRESHOLD)
    buffer = _first(stored.write_buffer_size_bytes, configuration, options.WRITE_BUFFER_SIZE)
    return BackendChoice(
        store=chosen.store,
        storage=stored.kind,
        checkpoint_directory=stored.checkpoint_directory,
        savepoint_directory=stored.savepoint_directory,
        create_subdirectory=configuration.get(options.CREATE_SUBDIRECTORY),
        num_retained=configuration.get(options.NUM_RETAINED_CHECKPOINTS),
        is_incremental=is_incremental and _has_files(chosen.store, stored.kind),
        is_asynchronous=chosen.store is Store.ROCKSDB
        or _first(chosen.is_asynchronous, configuration, options.ASYNCHRONOUS_SNAPSHOTS),
        max_state_size_bytes=stored.max_state_size_bytes or DEFAULT_MAX_STATE_SIZE_BYTES,
        frame_size_bytes=configuration.get(options.RPC_FRAME_SIZE),
        memory_size_bytes=configuration.get(options.JOB_MANAGER_MEMORY_SIZE),
        inline_threshold_bytes=threshold,
        write_buffer_size_bytes=max(buffer, threshold),
        rocksdb=_rocksdb(configuration, chosen.rocksdb) if chosen.store is Store.ROCKSDB else None,
        custom_store=chosen.custom,
        custom_storage=stored.custom,
    )


def _has_files(store: Store, storage: StorageKind) -> bool:
    """Tell whether checkpoints can share files: increments in memory would be of no use."""
    return store is not Store.HEAP or storage is not StorageKind.JOB_MANAGER


def check_backend(configuration: Configuration) -> None:
    """Check the names and directories that the configuration gives, whatever the program says.

    Raises:
        ConfigurationError: an unknown backend or storage, a directory that cannot be one, or no
            memory for RocksDB.
    """
    if _configured_backend(configuration, None).store is Store.ROCKSDB:
        rocksdb_memory(configuration)
    _filled_storage(configuration, _storage(configuration, None))
    _rocksdb(configuration, None)


def _first(value: T | None, configuration: Configuration, option: ConfigOption[T]) -> T:
    return configuration.get(option) if value is None else value


_MEMORY = BackendDescription(Store.HEAP, StorageDescription(StorageKind.JOB_MANAGER))
_FILE_SYSTEM = BackendDescription(Store.HEAP, StorageDescription(StorageKind.FILE_SYSTEM))
_HASH_MAP = BackendDescription(Store.HEAP)
_ROCKSDB = BackendDescription(Store.ROCKSDB)

_SHORTCUTS = {
    "jobmanager": _MEMORY,
    "filesystem": _FILE_SYSTEM,
    "hashmap": _HASH_MAP,
    "rocksdb": _ROCKSDB,
}

# Flink's factories and PyFlink's and our classes; the package before the class does not matter.
_CLASS_NAMES = {
    "MemoryStateBackend": _MEMORY,
    "MemoryStateBackendFactory": _MEMORY,
    "FsStateBackend": _FILE_SYSTEM,
    "FsStateBackendFactory": _FILE_SYSTEM,
    "HashMapStateBackend": _HASH_MAP,
    "HashMapStateBackendFactory": _HASH_MAP,
    "RocksDBStateBackend": _ROCKSDB,
    "RocksDBStateBackendFactory": _ROCKSDB,
    "EmbeddedRocksDBStateBackend": _ROCKSDB,
    "EmbeddedRocksDBStateBackendFactory": _ROCKSDB,
}
_STORAGE_CLASS_NAMES = {
    "JobManagerCheckpointStorage": StorageKind.JOB_MANAGER,
    "JobManagerCheckpointStorageFactory": StorageKind.JOB_MANAGER,
    "FileSystemCheckpointStorage": StorageKind.FILE_SYSTEM,
    "FileSystemCheckpointStorageFactory": StorageKind.FILE_SYSTEM,
}
_KNOWN_PACKAGES = ("org.apache.flink.", "pyflink.", "millpond.")


def _configured_backend(
    configuration: Configuration, storage: StorageDescription | None
) -> BackendDescription:
    name = configuration.get(options.STATE_BACKEND)
    if name is None:
        # The page's rule: no backend is the memory backend, unless a storage was asked for.
        explicit = storage is not None or configuration.contains(options.CHECKPOINT_STORAGE)
        return _HASH_MAP if explicit else _MEMORY
    shortcut = _SHORTCUTS.get(name.strip().lower())
    if shortcut is not None:
        return shortcut
    return _named(
        name.strip(),
        _CLASS_NAMES,
        tuple(_SHORTCUTS),
        options.STATE_BACKEND.key,
        lambda path: BackendDescription(Store.CUSTOM, custom=path),
    )


def _named(
    name: str,
    class_names: dict[str, T],
    shortcuts: tuple[str, ...],
    key: str,
    custom: Callable[[str], T],
) -> T:
    package, _, class_name = name.replace(":", ".").rpartition(".")
    if package and f"{package}.".startswith(_KNOWN_PACKAGES):
        if class_name in class_names:
            return class_names[class_name]
    elif package and all(part.isidentifier() for part in (*package.split("."), class_name)):
        return custom(name)
    candidates = class_names if package else shortcuts
    import difflib

    close = difflib.get_close_matches(class_name if package else name.lower(), candidates, n=1)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    raise ConfigurationError(
        f"'{name}' in '{key}' names no backend or storage that Millpond knows.{meant}",
        hint=f"Use one of {', '.join(shortcuts)}, or the import path of a class.",
        option=key,
    )


def _storage(
    configuration: Configuration, storage: StorageDescription | None
) -> StorageDescription:
    if storage is not None:
        return storage
    name = configuration.get(options.CHECKPOINT_STORAGE)
    if name is None:
        directory = configuration.get(options.CHECKPOINT_DIRECTORY)
        kind = StorageKind.JOB_MANAGER if directory is None else StorageKind.FILE_SYSTEM
        return StorageDescription(kind)
    shortcuts = (StorageKind.JOB_MANAGER, StorageKind.FILE_SYSTEM)
    if name.strip().lower() in shortcuts:
        return StorageDescription(StorageKind(name.strip().lower()))
    kinds = {
        class_name: StorageDescription(kind) for class_name, kind in _STORAGE_CLASS_NAMES.items()
    }
    return _named(
        name.strip(),
        kinds,
        tuple(shortcuts),
        options.CHECKPOINT_STORAGE.key,
        lambda path: StorageDescription(StorageKind.CUSTOM, custom=path),
    )


def _filled_storage(
    configuration: Configuration, storage: StorageDescription
) -> StorageDescription:
    return replace(
        storage,
        checkpoint_directory=storage.checkpoint_directory
        or _directory(configuration, options.CHECKPOINT_DIRECTORY),
        savepoint_directory=storage.savepoint_directory
        or _directory(configuration, options.SAVEPOINT_DIRECTORY),
    )


def _directory(configuration: Configuration, option: ConfigOption[str | None]) -> str | None:
    text = configuration.get(option)
    return None if text is None else checked_directory(text, option.key)


def _rocksdb(configuration: Configuration, described: RocksDBDescription | None) -> RocksDBChoice:
    said = described or RocksDBDescription()
    local = said.local_directories
    if local is None:
        option = rocksdb_options.LOCAL_DIRECTORIES
        local = split_local_directories(configuration.get(option) or "", option.key)
    if not local:
        temporary = configuration.get(TEMPORARY_DIRECTORIES) or ""
        spread = split_local_directories(temporary, TEMPORARY_DIRECTORIES.key)
        # Of a single one the worker has a directory of its own, which goes when it ends.
        local = spread if len(spread) > 1 else ()
    factory: object = said.options_factory
    if factory is None:
        path = configuration.get(rocksdb_options.OPTIONS_FACTORY)
        # 1.12's default factory only applies the configured options, which happens anyway.
        factory = None if (path or "").endswith(".DefaultConfigurableOptionsFactory") else path
    return RocksDBChoice(
        local_directories=local,
        predefined_options=_first(
            said.predefined_options, configuration, rocksdb_options.PREDEFINED_OPTIONS
        ),
        options_factory=factory,
        transfer_threads=_first(
            said.transfer_threads, configuration, rocksdb_options.TRANSFER_THREADS
        ),
        timer_store=configuration.get(rocksdb_options.TIMER_STORE),
    )
