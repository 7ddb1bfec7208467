"""State backends as a program describes them."""

from __future__ import annotations

import pytest

from millpond.configuration.backend_description import StorageKind, Store
from millpond.datastream.rocksdb_options_factory import RocksDBOptionsFactory
from millpond.datastream.state_backend import (
    CustomStateBackend,
    EmbeddedRocksDBStateBackend,
    FsStateBackend,
    HashMapStateBackend,
    MemoryStateBackend,
    PredefinedOptions,
    RocksDBStateBackend,
)
from millpond.errors import ConfigurationError


class LargeBlocks(RocksDBOptionsFactory):
    """A user's factory."""


def test_memory_backend_defaults() -> None:
    backend = MemoryStateBackend()
    assert backend.get_max_state_size() == MemoryStateBackend.DEFAULT_MAX_STATE_SIZE == 5_242_880
    assert backend.is_using_asynchronous_snapshots()
    described = backend.describe()
    assert described.store is Store.HEAP
    assert described.storage is not None
    assert described.storage.kind is StorageKind.JOB_MANAGER
    assert described.storage.max_state_size_bytes is None
    assert described.is_asynchronous is None


def test_memory_backend_keeps_what_it_is_told() -> None:
    backend = MemoryStateBackend("file:///c", "file:///s", 1024, False)
    assert backend.get_checkpoint_path() == "file:///c"
    assert backend.get_savepoint_path() == "file:///s"
    assert backend.get_max_state_size() == 1024
    assert not backend.is_using_asynchronous_snapshots()
    assert backend.describe().is_asynchronous is False


@pytest.mark.parametrize("size", [0, -1])
def test_a_state_size_that_allows_nothing_is_refused(size: int) -> None:
    with pytest.raises(ConfigurationError, match="greater than 0"):
        MemoryStateBackend(max_state_size=size)


def test_fs_backend_defaults() -> None:
    backend = FsStateBackend("file:///var/checkpoints/")
    assert backend.get_checkpoint_path() == "file:///var/checkpoints/"
    assert backend.get_min_file_size_threshold() == 20_480
    assert backend.get_write_buffer_size() == 4096
    assert backend.is_using_asynchronous_snapshots()
    described = backend.describe()
    assert described.storage is not None
    assert described.storage.kind is StorageKind.FILE_SYSTEM
    assert described.storage.inline_threshold_bytes is None


def test_fs_backend_keeps_what_it_is_told() -> None:
    backend = FsStateBackend("file:///c", "file:///s", 0, 100, True)
    assert backend.get_savepoint_path() == "file:///s"
    assert backend.get_min_file_size_threshold() == 0
    assert backend.get_write_buffer_size() == 100


@pytest.mark.parametrize("path", ["", " ", "/", "file:///", "hdfs://namenode:9000/", "///"])
def test_an_empty_or_root_directory_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="empty or a root directory"):
        FsStateBackend(path)


def test_a_directory_may_be_a_path_and_nothing_else(tmp_path):
    for backend in (MemoryStateBackend(tmp_path), FsStateBackend(tmp_path)):
        assert backend.get_checkpoint_path() == str(tmp_path)
    with pytest.raises(ConfigurationError, match="1000 cannot be the directory"):
        MemoryStateBackend(1000)


def test_fs_backend_needs_a_directory() -> None:
    with pytest.raises(ConfigurationError, match="required"):
        FsStateBackend()


@pytest.mark.parametrize("threshold", [-2, 1024 * 1024 + 1])
def test_a_threshold_out_of_range_is_refused(threshold: int) -> None:
    with pytest.raises(ConfigurationError, match="from 0 to 1048576"):
        FsStateBackend("file:///c", file_state_size_threshold=threshold)


def test_minus_one_takes_sizes_from_the_configuration() -> None:
    storage = FsStateBackend("file:///c", None, -1, -1).describe().storage
    assert storage is not None
    assert storage.inline_threshold_bytes is None
    assert storage.write_buffer_size_bytes is None


def test_an_impossible_write_buffer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 1 byte"):
        FsStateBackend("file:///c", write_buffer_size=0)


def test_rocksdb_backend_brings_its_storage_along() -> None:
    backend = RocksDBStateBackend("file:///c", True)
    assert backend.is_incremental_checkpoints_enabled()
    described = backend.describe()
    assert described.store is Store.ROCKSDB
    assert described.storage is not None
    assert described.storage.checkpoint_directory == "file:///c"
    stream = MemoryStateBackend()
    backend = RocksDBStateBackend(checkpoint_stream_backend=stream)
    assert backend.get_checkpoint_backend() is stream
    described = backend.describe()
    assert described.storage is not None
    assert described.storage.kind is StorageKind.JOB_MANAGER
    assert RocksDBStateBackend().describe().storage is None


def test_another_rocksdb_backend_is_no_storage() -> None:
    with pytest.raises(ConfigurationError, match="no checkpoint storage"):
        RocksDBStateBackend(checkpoint_stream_backend=HashMapStateBackend())


def test_rocksdb_settings() -> None:
    backend = RocksDBStateBackend("file:///c")
    assert backend.get_number_of_transfering_threads() == 4
    assert backend.get_predefined_options() is PredefinedOptions.DEFAULT
    assert backend.get_options() is None
    assert backend.get_db_storage_paths() is None
    assert not backend.is_incremental_checkpoints_enabled()
    backend.set_number_of_transfering_threads(8)
    backend.set_predefined_options(PredefinedOptions.FLASH_SSD_OPTIMIZED)
    backend.set_db_storage_paths("/a", "file:///b", "file:/c")
    assert backend.get_number_of_transfering_threads() == 8
    assert backend.get_predefined_options() is PredefinedOptions.FLASH_SSD_OPTIMIZED
    assert backend.get_db_storage_paths() == ["/a", "/b", "/c"]
    described = backend.describe().rocksdb
    assert described is not None
    assert described.transfer_threads == 8
    backend.set_db_storage_paths(None)
    assert backend.get_db_storage_paths() is None


@pytest.mark.parametrize("path", ["relative", "hdfs:///a", "s3://bucket/a", "", "file:a", "/\0"])
def test_database_directories_are_absolute_and_local(path: str) -> None:
    with pytest.raises(ConfigurationError):
        EmbeddedRocksDBStateBackend().set_db_storage_paths(path)


def test_no_database_directory_at_all_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="At least one"):
        EmbeddedRocksDBStateBackend().set_db_storage_paths()


@pytest.mark.parametrize("count", [0, -1])
def test_transfer_threads_are_positive(count: int) -> None:
    with pytest.raises(ConfigurationError, match="greater than 0"):
        EmbeddedRocksDBStateBackend().set_number_of_transfer_threads(count)


def test_options_factories_by_path_class_and_instance() -> None:
    backend = EmbeddedRocksDBStateBackend(enable_incremental_checkpointing=True)
    assert backend.is_incremental_checkpoints_enabled()
    for factory in ("my_job.LargeBlocks", LargeBlocks, LargeBlocks()):
        backend.set_options(factory)
        described = backend.describe().rocksdb
        assert described is not None
        assert described.options_factory is factory
        assert (backend.get_options() or "").endswith("LargeBlocks")


@pytest.mark.parametrize("factory", [int, 3, "LargeBlocks", None])
def test_what_is_no_options_factory_is_refused(factory: object) -> None:
    with pytest.raises(ConfigurationError, match="no options factory"):
        EmbeddedRocksDBStateBackend().set_options(factory)  # type: ignore[arg-type]


def test_a_profile_must_be_a_profile() -> None:
    with pytest.raises(ConfigurationError, match="no member of PredefinedOptions"):
        EmbeddedRocksDBStateBackend().set_predefined_options("DEFAULT")  # type: ignore[arg-type]


def test_a_factory_without_overrides_changes_nothing() -> None:
    current = object()
    factory = LargeBlocks()
    assert factory.create_db_options(current, []) is current
    assert factory.create_column_options(current, []) is current
    assert factory.create_native_metrics_options(current) is current
    assert factory.create_write_options(current, []) is current
    assert factory.create_read_options(current, []) is current


def test_heap_and_custom_backends() -> None:
    assert HashMapStateBackend().describe().storage is None
    described = CustomStateBackend("acme.Store").describe()
    assert (described.store, described.custom) == (Store.CUSTOM, "acme.Store")
