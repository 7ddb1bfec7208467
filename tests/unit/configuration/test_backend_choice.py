"""Which store, storage and directories a job uses."""

from __future__ import annotations

import pytest

from millpond.common.configuration import Configuration
from millpond.configuration.backend_choice import BackendChoice, choose_backend
from millpond.configuration.backend_description import StorageKind, Store
from millpond.configuration.options.rocksdb import PredefinedOptions, TimerStore
from millpond.datastream.checkpoint_storage import (
    CheckpointStorage,
    CustomCheckpointStorage,
    FileSystemCheckpointStorage,
    JobManagerCheckpointStorage,
)
from millpond.datastream.state_backend import (
    CustomStateBackend,
    EmbeddedRocksDBStateBackend,
    FsStateBackend,
    HashMapStateBackend,
    MemoryStateBackend,
    RocksDBStateBackend,
    StateBackend,
)
from millpond.errors import ConfigurationError

DIRECTORY = "hdfs://namenode:40010/flink/checkpoints"
HEAP_IN_MEMORY = (Store.HEAP, StorageKind.JOB_MANAGER)
HEAP_IN_FILES = (Store.HEAP, StorageKind.FILE_SYSTEM)
ROCKSDB_IN_MEMORY = (Store.ROCKSDB, StorageKind.JOB_MANAGER)
ROCKSDB_IN_FILES = (Store.ROCKSDB, StorageKind.FILE_SYSTEM)


def _choose(
    options: dict[str, str] | None = None,
    backend: StateBackend | None = None,
    storage: CheckpointStorage | None = None,
) -> BackendChoice:
    return choose_backend(
        Configuration.from_dict(options or {}),
        None if backend is None else backend.describe(),
        None if storage is None else storage.describe(),
    )


def _kinds(choice: BackendChoice) -> tuple[Store, StorageKind]:
    return choice.store, choice.storage


def test_nothing_set_is_the_memory_backend() -> None:
    choice = _choose()
    assert _kinds(choice) == HEAP_IN_MEMORY
    assert choice.checkpoint_directory is None
    assert choice.max_state_size_bytes == 5 * 1024 * 1024
    assert choice.frame_size_bytes == 10_485_760
    assert choice.is_asynchronous
    assert choice.num_retained == 1


def test_an_unset_backend_stays_the_memory_backend_with_a_directory() -> None:
    choice = _choose({"state.checkpoints.dir": DIRECTORY})
    assert _kinds(choice) == HEAP_IN_MEMORY
    assert choice.checkpoint_directory == DIRECTORY


def test_an_unset_backend_with_an_explicit_storage_takes_that() -> None:
    options = {"execution.checkpointing.storage": "filesystem", "state.checkpoints.dir": DIRECTORY}
    assert _kinds(_choose(options)) == HEAP_IN_FILES


def test_the_example_of_the_page_with_the_file_system() -> None:
    choice = _choose({"state.backend": "filesystem", "state.checkpoints.dir": DIRECTORY})
    assert _kinds(choice) == HEAP_IN_FILES
    assert choice.checkpoint_directory == DIRECTORY
    assert choice.inline_threshold_bytes == 20 * 1024
    assert choice.write_buffer_size_bytes == 20 * 1024


def test_the_example_of_the_page_with_rocksdb() -> None:
    choice = _choose(
        {
            "state.backend": "rocksdb",
            "state.backend.incremental": "true",
            "state.checkpoints.dir": DIRECTORY,
        }
    )
    assert _kinds(choice) == ROCKSDB_IN_FILES
    assert choice.is_incremental
    assert choice.rocksdb is not None
    assert choice.rocksdb.timer_store is TimerStore.ROCKSDB


def test_spellings_of_flink_2_give_the_same() -> None:
    older = {
        "state.backend": "rocksdb",
        "state.backend.incremental": "true",
        "state.checkpoints.dir": DIRECTORY,
        "state.savepoints.dir": "file:///savepoints",
        "state.checkpoints.num-retained": "3",
        "state.backend.fs.memory-threshold": "1 kb",
        "state.backend.fs.write-buffer-size": "100",
        "akka.framesize": "1 mb",
    }
    newer = {
        "state.backend.type": "rocksdb",
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.dir": DIRECTORY,
        "execution.checkpointing.savepoint-dir": "file:///savepoints",
        "execution.checkpointing.num-retained": "3",
        "execution.checkpointing.data-inline-threshold": "1 kb",
        "execution.checkpointing.write-buffer-size": "100",
        "pekko.framesize": "1 mb",
    }
    choice = _choose(older)
    assert choice == _choose(newer)
    assert choice.savepoint_directory == "file:///savepoints"
    assert choice.num_retained == 3
    assert choice.inline_threshold_bytes == choice.write_buffer_size_bytes == 1024
    assert choice.frame_size_bytes == 1024**2


_FLINK = "org.apache.flink."


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("jobmanager", HEAP_IN_MEMORY),
        ("JobManager", HEAP_IN_MEMORY),
        ("filesystem", HEAP_IN_FILES),
        ("hashmap", HEAP_IN_FILES),
        ("rocksdb", ROCKSDB_IN_FILES),
        ("ROCKSDB", ROCKSDB_IN_FILES),
        (_FLINK + "runtime.state.memory.MemoryStateBackendFactory", HEAP_IN_MEMORY),
        (_FLINK + "runtime.state.filesystem.FsStateBackendFactory", HEAP_IN_FILES),
        (_FLINK + "runtime.state.hashmap.HashMapStateBackendFactory", HEAP_IN_FILES),
        (_FLINK + "contrib.streaming.state.RocksDBStateBackendFactory", ROCKSDB_IN_FILES),
        (_FLINK + "contrib.streaming.state.EmbeddedRocksDBStateBackendFactory", ROCKSDB_IN_FILES),
        (_FLINK + "state.rocksdb.EmbeddedRocksDBStateBackendFactory", ROCKSDB_IN_FILES),
        ("millpond.datastream.state_backend.RocksDBStateBackend", ROCKSDB_IN_FILES),
    ],
)
def test_names_of_backends(name: str, kinds: tuple[Store, StorageKind]) -> None:
    assert _kinds(_choose({"state.backend": name, "state.checkpoints.dir": DIRECTORY})) == kinds


@pytest.mark.parametrize("name", ["hashmap", "rocksdb"])
def test_without_directory_the_later_backends_keep_snapshots_in_memory(name: str) -> None:
    assert _choose({"state.backend": name}).storage is StorageKind.JOB_MANAGER


@pytest.mark.parametrize("name", ["rocksbd", "rocks", "file-system", "mem", "", "forst", "a b.c"])
def test_an_unknown_backend_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="names no backend"):
        _choose({"state.backend": name})


def test_the_nearest_backend_is_suggested() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'rocksdb'"):
        _choose({"state.backend": "rocksbd"})
    with pytest.raises(ConfigurationError, match="Did you mean 'RocksDBStateBackendFactory'"):
        _choose({"state.backend": _FLINK + "contrib.streaming.state.RocksDBStateBackndFactory"})


def test_the_import_path_of_a_class_is_a_custom_store() -> None:
    choice = _choose({"state.backend": "acme.stores.RedisStore"})
    assert (choice.store, choice.custom_store) == (Store.CUSTOM, "acme.stores.RedisStore")


def test_file_system_storage_without_directory_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs a checkpoint directory"):
        _choose({"state.backend": "filesystem"})
    with pytest.raises(ConfigurationError, match="needs a checkpoint directory"):
        _choose({"state.backend": "hashmap", "execution.checkpointing.storage": "filesystem"})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("jobmanager", StorageKind.JOB_MANAGER),
        ("FileSystem", StorageKind.FILE_SYSTEM),
        (_FLINK + "runtime.state.storage.FileSystemCheckpointStorage", StorageKind.FILE_SYSTEM),
    ],
)
def test_names_of_storages(name: str, kind: StorageKind) -> None:
    options = {
        "state.backend": "rocksdb",
        "state.checkpoint-storage": name,
        "state.checkpoints.dir": DIRECTORY,
    }
    assert _choose(options).storage is kind


def test_an_unknown_storage_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'filesystem'"):
        _choose({"state.backend": "rocksdb", "state.checkpoint-storage": "filesytem"})


def test_a_backend_set_in_code_wins_and_the_configuration_fills_in() -> None:
    options = {
        "state.backend": "rocksdb",
        "state.checkpoints.dir": DIRECTORY,
        "state.savepoints.dir": "file:///s",
        "state.backend.async": "false",
        "state.backend.fs.memory-threshold": "2 kb",
    }
    choice = _choose(options, FsStateBackend("file:///c"))
    assert _kinds(choice) == HEAP_IN_FILES
    assert choice.checkpoint_directory == "file:///c"
    assert choice.savepoint_directory == "file:///s"
    assert not choice.is_asynchronous
    assert choice.inline_threshold_bytes == 2048
    told = FsStateBackend("file:///c", "file:///t", 0, 10, True)
    choice = _choose(options, told)
    assert choice.savepoint_directory == "file:///t"
    assert choice.is_asynchronous
    assert (choice.inline_threshold_bytes, choice.write_buffer_size_bytes) == (0, 10)


def test_the_memory_backend_set_in_code() -> None:
    choice = _choose({"state.backend": "rocksdb"}, MemoryStateBackend(max_state_size=77))
    assert _kinds(choice) == HEAP_IN_MEMORY
    assert choice.max_state_size_bytes == 77


def test_a_1_12_backend_wins_over_any_storage() -> None:
    choice = _choose(
        {"execution.checkpointing.storage": "jobmanager"},
        FsStateBackend("file:///c"),
        JobManagerCheckpointStorage(),
    )
    assert choice.storage is StorageKind.FILE_SYSTEM
    options = {"state.backend": "jobmanager", "execution.checkpointing.storage": "filesystem"}
    assert _choose(options).storage is StorageKind.JOB_MANAGER


def test_a_storage_set_in_code_wins_over_the_configuration() -> None:
    choice = _choose(
        {"execution.checkpointing.storage": "jobmanager"},
        HashMapStateBackend(),
        FileSystemCheckpointStorage("file:///c"),
    )
    assert choice.storage is StorageKind.FILE_SYSTEM
    assert choice.checkpoint_directory == "file:///c"
    assert _kinds(_choose({}, None, FileSystemCheckpointStorage("file:///c"))) == HEAP_IN_FILES


def test_custom_backends_and_storages_of_code() -> None:
    store, storage = object(), object()
    choice = _choose({}, CustomStateBackend(store), CustomCheckpointStorage(storage))
    assert choice.custom_store is store
    assert choice.custom_storage is storage


def test_what_is_incremental() -> None:
    options = {"state.backend.incremental": "true", "state.checkpoints.dir": DIRECTORY}
    assert _choose({"state.backend": "filesystem", **options}).is_incremental
    assert not _choose({"state.backend": "jobmanager", **options}).is_incremental
    assert _choose(options, RocksDBStateBackend()).is_incremental
    assert not _choose(options, RocksDBStateBackend(None, False)).is_incremental


def test_rocksdb_is_always_asynchronous() -> None:
    assert _choose({"state.backend": "rocksdb", "state.backend.async": "false"}).is_asynchronous


def test_rocksdb_settings_of_the_configuration() -> None:
    prefix = "state.backend.rocksdb."
    choice = _choose(
        {
            "state.backend": "rocksdb",
            prefix + "localdir": "/a,/b:/c,file:///d",
            prefix + "predefined-options": "SPINNING_DISK_OPTIMIZED",
            prefix + "options-factory": "acme.Factory",
            prefix + "checkpoint.transfer.thread.num": "2",
            prefix + "timer-service.factory": "heap",
        }
    )
    assert choice.rocksdb is not None
    assert choice.rocksdb.local_directories == ("/a", "/b", "/c", "/d")
    assert choice.rocksdb.predefined_options is PredefinedOptions.SPINNING_DISK_OPTIMIZED
    assert choice.rocksdb.options_factory == "acme.Factory"
    assert choice.rocksdb.transfer_threads == 2
    assert choice.rocksdb.timer_store is TimerStore.HEAP


def test_rocksdb_settings_of_code_win() -> None:
    backend = EmbeddedRocksDBStateBackend()
    backend.set_db_storage_paths("/x")
    backend.set_predefined_options(PredefinedOptions.FLASH_SSD_OPTIMIZED)
    backend.set_options("acme.Mine")
    backend.set_number_of_transfer_threads(9)
    prefix = "state.backend.rocksdb."
    choice = _choose(
        {
            prefix + "localdir": "/a",
            prefix + "predefined-options": "SPINNING_DISK_OPTIMIZED",
            prefix + "options-factory": "acme.Factory",
            prefix + "checkpoint.transfer.thread.num": "2",
        },
        backend,
    )
    assert choice.rocksdb is not None
    assert choice.rocksdb.local_directories == ("/x",)
    assert choice.rocksdb.predefined_options is PredefinedOptions.FLASH_SSD_OPTIMIZED
    assert choice.rocksdb.options_factory == "acme.Mine"
    assert choice.rocksdb.transfer_threads == 9


def test_the_default_factory_of_1_12_is_none_here() -> None:
    key = "state.backend.rocksdb.options-factory"
    name = _FLINK + "contrib.streaming.state.DefaultConfigurableOptionsFactory"
    choice = _choose({"state.backend": "rocksdb", key: name})
    assert choice.rocksdb is not None
    assert choice.rocksdb.options_factory is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("state.checkpoints.dir", "/"),
        ("state.savepoints.dir", "file:///"),
        ("state.checkpoints.num-retained", "0"),
        ("state.backend.fs.memory-threshold", "2 mb"),
        ("state.backend.fs.write-buffer-size", "0"),
        ("state.backend.incremental", "yes"),
        ("state.backend.rocksdb.localdir", "relative"),
        ("state.backend.rocksdb.localdir", "hdfs:///a"),
        ("state.backend.rocksdb.predefined-options", "flash_ssd_optimized"),
        ("state.backend.rocksdb.timer-service.factory", "disk"),
        ("state.backend.rocksdb.checkpoint.transfer.thread.num", "0"),
        ("akka.framesize", "0"),
    ],
)
def test_values_that_cannot_be_are_refused(key: str, value: str) -> None:
    with pytest.raises(ConfigurationError):
        _choose({"state.backend": "rocksdb", key: value})
