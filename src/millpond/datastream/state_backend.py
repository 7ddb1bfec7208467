"""Where a job's working state lives, as a program describes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, final

from millpond.configuration.backend_description import (
    BackendDescription,
    RocksDBDescription,
    StorageDescription,
    StorageKind,
    Store,
)
from millpond.configuration.directory import checked_directory, checked_local_directory
from millpond.configuration.options.rocksdb import PredefinedOptions
from millpond.datastream.checkpoint_storage import (
    MAX_FILE_STATE_THRESHOLD,
    checked_state_size,
    checked_threshold,
    checked_write_buffer_size,
    optional_directory,
)
from millpond.datastream.rocksdb_options_factory import RocksDBOptionsFactory
from millpond.errors import ConfigurationError

__all__ = (
    "CustomStateBackend",
    "EmbeddedRocksDBStateBackend",
    "FsStateBackend",
    "HashMapStateBackend",
    "MemoryStateBackend",
    "PredefinedOptions",
    "RocksDBStateBackend",
    "StateBackend",
)


class StateBackend(ABC):
    """Root of the state backends."""

    @abstractmethod
    def describe(self) -> BackendDescription:
        """Return what the program said; None where it left the configuration a say."""


@final
class HashMapStateBackend(StateBackend):
    """Working state lives as objects on the heap; the checkpoint storage is chosen apart."""

    def describe(self) -> BackendDescription:
        """Return what the program said."""
        return BackendDescription(Store.HEAP)


@final
class MemoryStateBackend(StateBackend):
    """Working state on the heap, snapshots in the job manager's memory (Flink 1.12).

    For small state and for tests: one state stream may have 5 MiB, and an acknowledgement must
    fit into a message (`pekko.framesize`).
    """

    DEFAULT_MAX_STATE_SIZE = 5 * 1024 * 1024

    def __init__(
        self,
        checkpoint_path: str | None = None,
        savepoint_path: str | None = None,
        max_state_size: int | None = None,
        using_asynchronous_snapshots: bool | None = None,
    ) -> None:
        """Describe the backend.

        Args:
            checkpoint_path: directory or URL for the metadata of checkpoints.
            savepoint_path: default directory or URL of savepoints.
            max_state_size: limit of one state stream in bytes.
            using_asynchronous_snapshots: False writes snapshots in the task thread.

        Raises:
            ConfigurationError: the size is not positive, or a path is empty or a root.
        """
        self._asynchronous = using_asynchronous_snapshots
        self._storage = StorageDescription(
            StorageKind.JOB_MANAGER,
            checkpoint_directory=optional_directory(checkpoint_path, "checkpoint_path"),
            savepoint_directory=optional_directory(savepoint_path, "savepoint_path"),
            max_state_size_bytes=checked_state_size(max_state_size),
        )

    def get_checkpoint_path(self) -> str | None:
        """Return the directory for the metadata of checkpoints."""
        return self._storage.checkpoint_directory

    def get_savepoint_path(self) -> str | None:
        """Return the default directory of savepoints."""
        return self._storage.savepoint_directory

    def get_max_state_size(self) -> int:
        """Return the limit of one state stream in bytes."""
        return self._storage.max_state_size_bytes or self.DEFAULT_MAX_STATE_SIZE

    def is_using_asynchronous_snapshots(self) -> bool:
        """Tell whether snapshots are written in the background; the default."""
        return self._asynchronous is not False

    def describe(self) -> BackendDescription:
        """Return what the program said."""
        return BackendDescription(
            Store.HEAP, storage=self._storage, is_asynchronous=self._asynchronous
        )


@final
class FsStateBackend(StateBackend):
    """Working state on the heap, snapshots in a directory or behind a URL (Flink 1.12)."""

    MAX_FILE_STATE_THRESHOLD = MAX_FILE_STATE_THRESHOLD

    def __init__(
        self,
        checkpoint_directory_uri: str | None = None,
        default_savepoint_directory_uri: str | None = None,
        file_state_size_threshold: int | None = None,
        write_buffer_size: int | None = None,
        using_asynchronous_snapshots: bool | None = None,
    ) -> None:
        """Describe the backend.

        Args:
            checkpoint_directory_uri: directory or URL of checkpoints.
            default_savepoint_directory_uri: default directory or URL of savepoints.
            file_state_size_threshold: state streams up to this size stand in the metadata;
                -1 or None takes it from the configuration.
            write_buffer_size: buffer of checkpoint streams in bytes; -1 or None likewise.
            using_asynchronous_snapshots: False writes snapshots in the task thread.

        Raises:
            ConfigurationError: the directory is missing, empty or a root, or a size is out of
                range.
        """
        if checkpoint_directory_uri is None:
            raise ConfigurationError("The parameter 'checkpoint_directory_uri' is required.")
        self._asynchronous = using_asynchronous_snapshots
        self._storage = StorageDescription(
            StorageKind.FILE_SYSTEM,
            checkpoint_directory=checked_directory(
                checkpoint_directory_uri, "checkpoint_directory_uri"
            ),
            savepoint_directory=optional_directory(
                default_savepoint_directory_uri, "default_savepoint_directory_uri"
            ),
            inline_threshold_bytes=checked_threshold(file_state_size_threshold),
            write_buffer_size_bytes=checked_write_buffer_size(write_buffer_size),
        )

    def get_checkpoint_path(self) -> str:
        """Return the directory of checkpoints."""
        return self._storage.checkpoint_directory or ""

    def get_savepoint_path(self) -> str | None:
        """Return the default directory of savepoints."""
        return self._storage.savepoint_directory

    def get_min_file_size_threshold(self) -> int:
        """Return the size in bytes up to which state stands in the metadata; 20 KiB by default."""
        threshold = self._storage.inline_threshold_bytes
        return 20 * 1024 if threshold is None else threshold

    def get_write_buffer_size(self) -> int:
        """Return the buffer of checkpoint streams in bytes; 4 KiB by default."""
        return self._storage.write_buffer_size_bytes or 4096

    def is_using_asynchronous_snapshots(self) -> bool:
        """Tell whether snapshots are written in the background; the default."""
        return self._asynchronous is not False

    def describe(self) -> BackendDescription:
        """Return what the program said."""
        return BackendDescription(
            Store.HEAP, storage=self._storage, is_asynchronous=self._asynchronous
        )


class _RocksDBSettings(StateBackend):
    """The settings that both RocksDB backends have."""

    def __init__(self, *, enable_incremental_checkpointing: bool | None) -> None:
        self._incremental = enable_incremental_checkpointing
        self._paths: tuple[str, ...] | None = None
        self._predefined_options: PredefinedOptions | None = None
        self._options_factory: object = None
        self._transfer_threads: int | None = None

    def set_db_storage_paths(self, *paths: str | None) -> None:
        """Set the local directories of the databases; None goes back to the default.

        Raises:
            ConfigurationError: no path is given, or one is relative or remote.
        """
        if not paths:
            raise ConfigurationError("At least one directory is needed for the databases.")
        if all(path is None for path in paths):
            self._paths = None
            return
        self._paths = tuple(
            checked_local_directory(path or "", "db storage path") for path in paths
        )

    def get_db_storage_paths(self) -> list[str] | None:
        """Return the local directories of the databases, or None for the default."""
        return None if self._paths is None else list(self._paths)

    def is_incremental_checkpoints_enabled(self) -> bool:
        """Tell whether checkpoints are incremental; False unless the program said so."""
        return self._incremental is True

    def set_predefined_options(self, options: PredefinedOptions) -> None:
        """Set the option profile; it wins over the configuration's.

        Raises:
            ConfigurationError: `options` is no profile.
        """
        if not isinstance(options, PredefinedOptions):
            raise ConfigurationError(f"{options!r} is no member of PredefinedOptions.")
        self._predefined_options = options

    def get_predefined_options(self) -> PredefinedOptions:
        """Return the option profile."""
        return self._predefined_options or PredefinedOptions.DEFAULT

    def set_options(
        self,
        options_factory_class_name: str | type[RocksDBOptionsFactory] | RocksDBOptionsFactory,
    ) -> None:
        """Set the options factory, by import path, class or instance.

        Raises:
            ConfigurationError: it is none of these.
        """
        self._options_factory = _checked_factory(options_factory_class_name)

    def get_options(self) -> str | None:
        """Return the import path of the options factory, or None."""
        factory = self._options_factory
        if factory is None or isinstance(factory, str):
            return factory
        kind = factory if isinstance(factory, type) else type(factory)
        return f"{kind.__module__}.{kind.__qualname__}"

    def _set_transfer_threads(self, count: int) -> None:
        if count <= 0:
            raise ConfigurationError(
                f"The number of transfer threads must be greater than 0, not {count}."
            )
        self._transfer_threads = count

    def _get_transfer_threads(self) -> int:
        return self._transfer_threads or 4

    def _description(self) -> RocksDBDescription:
        return RocksDBDescription(
            local_directories=self._paths,
            predefined_options=self._predefined_options,
            options_factory=self._options_factory,
            transfer_threads=self._transfer_threads,
        )


def _checked_factory(factory: object) -> object:
    if isinstance(factory, RocksDBOptionsFactory):
        return factory
    if isinstance(factory, type) and issubclass(factory, RocksDBOptionsFactory):
        return factory
    if isinstance(factory, str) and "." in factory.replace(":", "."):
        return factory
    raise ConfigurationError(
        f"{factory!r} is no options factory.",
        hint="Give a subclass of RocksDBOptionsFactory, an instance of one, or its import path "
        "such as 'my_job.options.MyOptions'.",
    )


@final
class EmbeddedRocksDBStateBackend(_RocksDBSettings):
    """Working state in RocksDB; the checkpoint storage is chosen apart."""

    def __init__(self, enable_incremental_checkpointing: bool | None = None) -> None:
        super().__init__(enable_incremental_checkpointing=enable_incremental_checkpointing)

    def get_number_of_transfer_threads(self) -> int:
        """Return how many threads copy files."""
        return self._get_transfer_threads()

    def set_number_of_transfer_threads(self, number_of_transfering_threads: int) -> None:
        """Set how many threads copy files.

        Raises:
            ConfigurationError: the number is not positive.
        """
        self._set_transfer_threads(number_of_transfering_threads)

    def describe(self) -> BackendDescription:
        """Return what the program said."""
        return BackendDescription(
            Store.ROCKSDB, is_incremental=self._incremental, rocksdb=self._description()
        )


@final
class RocksDBStateBackend(_RocksDBSettings):
    """Working state in RocksDB, snapshots in a directory or behind a URL (Flink 1.12)."""

    def __init__(
        self,
        checkpoint_data_uri: str | None = None,
        enable_incremental_checkpointing: bool | None = None,
        checkpoint_stream_backend: StateBackend | None = None,
    ) -> None:
        """Describe the backend.

        Args:
            checkpoint_data_uri: directory or URL of checkpoints; unset: the configuration's.
            enable_incremental_checkpointing: store only what changed since the last checkpoint.
            checkpoint_stream_backend: the backend whose checkpoint storage is used instead.

        Raises:
            ConfigurationError: the directory is empty or a root, or the other backend is not one
                of the Memory and Fs backends.
        """
        super().__init__(enable_incremental_checkpointing=enable_incremental_checkpointing)
        self._stream_backend: StateBackend | None = checkpoint_stream_backend
        if checkpoint_data_uri is not None:
            self._stream_backend = FsStateBackend(checkpoint_data_uri)
        elif not isinstance(checkpoint_stream_backend, FsStateBackend | MemoryStateBackend | None):
            raise ConfigurationError(
                f"{type(checkpoint_stream_backend).__name__} is no checkpoint storage.",
                hint="Give a FsStateBackend or a MemoryStateBackend.",
            )

    def get_checkpoint_backend(self) -> StateBackend | None:
        """Return the backend whose checkpoint storage is used; None: the configuration's."""
        return self._stream_backend

    def get_number_of_transfering_threads(self) -> int:
        """Return how many threads copy files."""
        return self._get_transfer_threads()

    def set_number_of_transfering_threads(self, number_of_transfering_threads: int) -> None:
        """Set how many threads copy files.

        Raises:
            ConfigurationError: the number is not positive.
        """
        self._set_transfer_threads(number_of_transfering_threads)

    def describe(self) -> BackendDescription:
        """Return what the program said."""
        stream_backend = self._stream_backend
        return BackendDescription(
            Store.ROCKSDB,
            storage=None if stream_backend is None else stream_backend.describe().storage,
            is_incremental=self._incremental,
            rocksdb=self._description(),
        )


@final
class CustomStateBackend(StateBackend):
    """A third party's store, by class, instance or import path of a `StateStore`."""

    def __init__(self, custom_state_backend: Any) -> None:
        self._custom = custom_state_backend

    def describe(self) -> BackendDescription:
        """Return what the program said."""
        return BackendDescription(Store.CUSTOM, custom=self._custom)
