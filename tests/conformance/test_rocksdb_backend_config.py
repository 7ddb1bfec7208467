"""How the RocksDB backend is configured: the cases of Flink's RocksDBStateBackendConfigTest.

The names are Flink's, in Python's spelling; those of Flink 2's EmbeddedRocksDBStateBackend too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from millpond.common.configuration import Configuration
from millpond.common.typeinfo import Types
from millpond.configuration.backend_choice import BackendChoice, RocksDBChoice, choose_backend
from millpond.configuration.backend_description import StorageKind
from millpond.configuration.options import rocksdb as options
from millpond.configuration.options import rocksdb_column_family as column_family_options
from millpond.configuration.options.rocksdb import PredefinedOptions, TimerStore
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.rocksdb_options_factory import (
    ConfigurableRocksDBOptionsFactory,
    RocksDBOptionsFactory,
)
from millpond.datastream.state import ValueStateDescriptor
from millpond.datastream.state_backend import (
    EmbeddedRocksDBStateBackend,
    FsStateBackend,
    MemoryStateBackend,
    RocksDBStateBackend,
)
from millpond.errors import ConfigurationError, StateStoreError
from millpond.state.rocksdb.options import OptionLayers, load_options_factory
from millpond.state.rocksdb.settings import ColumnFamilySettings, CompressionType, DatabaseSettings
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PREFIX = "state.backend.rocksdb."
MIB = 1024 * 1024


def _configuration(**pairs: str) -> Configuration:
    return Configuration.from_dict(
        {PREFIX + name.replace("__", ".").replace("_", "-"): value for name, value in pairs.items()}
    )


def _choose(configuration: Configuration, backend: Any = None) -> BackendChoice:
    described = (backend or EmbeddedRocksDBStateBackend()).describe()
    return choose_backend(configuration, described)


def _rocksdb(configuration: Configuration, backend: Any = None) -> RocksDBChoice:
    chosen = _choose(configuration, backend).rocksdb
    assert chosen is not None
    return chosen


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    harnesses: list[BackendHarness] = []

    def open_store(store: RocksDBStateStore) -> Any:
        harness = BackendHarness(store, tmp_path)
        harnesses.append(harness)
        return harness.create()

    yield open_store
    for harness in harnesses:
        harness.close()


def test_defaults_in_sync() -> None:
    backend = EmbeddedRocksDBStateBackend()
    chosen = _choose(Configuration(), backend)
    assert chosen.rocksdb is not None
    assert backend.get_number_of_transfer_threads() == chosen.rocksdb.transfer_threads == 4
    assert backend.is_incremental_checkpoints_enabled() is chosen.is_incremental is False


# -- local directories


def test_set_db_path(tmp_path: Path) -> None:
    backend = EmbeddedRocksDBStateBackend()
    assert backend.get_db_storage_paths() is None
    backend.set_db_storage_paths(str(tmp_path / "a"))
    assert _rocksdb(Configuration(), backend).local_directories == (str(tmp_path / "a"),)
    backend.set_db_storage_paths(str(tmp_path / "a"), str(tmp_path / "b"))
    assert backend.get_db_storage_paths() == [str(tmp_path / "a"), str(tmp_path / "b")]
    backend.set_db_storage_paths(None)
    assert backend.get_db_storage_paths() is None


def test_storage_path_with_file_prefix(tmp_path: Path) -> None:
    backend = EmbeddedRocksDBStateBackend()
    backend.set_db_storage_paths(f"file:{tmp_path}", f"file://{tmp_path}/b")
    assert backend.get_db_storage_paths() == [str(tmp_path), f"{tmp_path}/b"]


def test_with_default_fs_scheme_no_storage_path(open_store: Callable[..., Any]) -> None:
    configuration = Configuration().set_string("fs.default-scheme", "s3://bucket")
    assert open_store(RocksDBStateStore(configuration)).directory.is_dir()


def test_with_default_fs_scheme_absolute_storage_path(tmp_path: Path) -> None:
    configuration = _configuration(localdir=str(tmp_path))
    configuration.set_string("fs.default-scheme", "s3://bucket")
    assert _rocksdb(configuration).local_directories == (str(tmp_path),)


def test_set_empty_paths() -> None:
    with pytest.raises(ConfigurationError, match="At least one directory is needed"):
        EmbeddedRocksDBStateBackend().set_db_storage_paths()


@pytest.mark.parametrize("path", ["s3://bucket/dir", "hdfs:///dir"])
def test_non_file_scheme_path(path: str) -> None:
    with pytest.raises(ConfigurationError, match="is not local"):
        EmbeddedRocksDBStateBackend().set_db_storage_paths(path)
    with pytest.raises(ConfigurationError, match=f"'{path}' in '{PREFIX}localdir' is not local"):
        _choose(_configuration(localdir=path))


@pytest.mark.parametrize("path", ["relative/dir", "./dir", "file:relative"])
def test_db_path_relative_paths(path: str) -> None:
    with pytest.raises(ConfigurationError, match="is no absolute path"):
        EmbeddedRocksDBStateBackend().set_db_storage_paths(path)
    with pytest.raises(ConfigurationError, match="is no absolute path"):
        _choose(_configuration(localdir=path))


def test_use_temp_directories(open_store: Callable[..., Any], tmp_path: Path) -> None:
    assert open_store(RocksDBStateStore()).directory.parent == tmp_path
    store = RocksDBStateStore(local_directories=[Path(tempfile.gettempdir())])
    assert open_store(store).directory.parent == Path(tempfile.gettempdir())


def test_fail_when_no_local_storage_dir(open_store: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateStoreError, match=r"No local storage directory is usable: .*/file:"):
        open_store(RocksDBStateStore(local_directories=[tmp_path / "file"]))


def test_continue_on_some_db_directories_missing(
    open_store: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    store = RocksDBStateStore(local_directories=[tmp_path / "file", tmp_path / "good"])
    assert open_store(store).directory.parent == tmp_path / "good"


# -- timers


def test_configure_timer_service() -> None:
    assert _rocksdb(Configuration()).timer_store is TimerStore.ROCKSDB
    heap = _configuration(timer_service__factory="heap")
    assert _rocksdb(heap).timer_store is TimerStore.HEAP
    with pytest.raises(ConfigurationError, match=r"timer-service\.factory"):
        _choose(_configuration(timer_service__factory="disk"))


def test_configure_timer_service_loading_from_application() -> None:
    store = RocksDBStateStore(
        _configuration(timer_service__factory="HEAP"), timer_store=TimerStore.ROCKSDB
    )
    assert store._settings.timer_cache_size == 128


def test_configure_rocksdb_priority_queue_cache_size() -> None:
    store = RocksDBStateStore(_configuration(timer_service__cache_size="512"))
    assert store._settings.timer_cache_size == 512
    with pytest.raises(ConfigurationError, match="greater than 0"):
        RocksDBStateStore(_configuration(timer_service__cache_size="0"))


# -- profiles, options, factories


def test_predefined_options() -> None:
    backend = EmbeddedRocksDBStateBackend()
    assert backend.get_predefined_options() is PredefinedOptions.DEFAULT
    configured = _configuration(predefined_options="FLASH_SSD_OPTIMIZED")
    flash = PredefinedOptions.FLASH_SSD_OPTIMIZED
    assert _rocksdb(configured, backend).predefined_options is flash
    backend.set_predefined_options(PredefinedOptions.SPINNING_DISK_OPTIMIZED)
    spinning = PredefinedOptions.SPINNING_DISK_OPTIMIZED
    assert _rocksdb(configured, backend).predefined_options is spinning


def test_predefined_options_enum(open_store: Callable[..., Any]) -> None:
    for profile in PredefinedOptions:
        layers = OptionLayers(Configuration(), profile)
        assert isinstance(layers.database(), DatabaseSettings)
        assert isinstance(layers.column_family(), ColumnFamilySettings)
        effective = open_store(RocksDBStateStore(predefined_options=profile)).database
        jobs = "2" if profile is PredefinedOptions.DEFAULT else "4"
        assert effective.effective_options()["DBOptions"]["max_background_jobs"] == jobs


# What each profile sets beyond the defaults, as Flink's PredefinedOptions lists it.
DISK_DATABASE = {"background_jobs": 4, "open_files": -1}
PROFILES: dict[PredefinedOptions, tuple[dict[str, Any], dict[str, Any]]] = {
    PredefinedOptions.DEFAULT: ({}, {}),
    PredefinedOptions.SPINNING_DISK_OPTIMIZED: (DISK_DATABASE, {"dynamic_level_size": True}),
    PredefinedOptions.SPINNING_DISK_OPTIMIZED_HIGH_MEM: (
        DISK_DATABASE,
        {
            "dynamic_level_size": True,
            "target_file_size_bytes": 256 * MIB,
            "level_base_size_bytes": 1024 * MIB,
            "write_buffer_size_bytes": 64 * MIB,
            "write_buffers_to_merge": 3,
            "write_buffer_count": 4,
            "block_cache_size_bytes": 256 * MIB,
            "block_size_bytes": 128 * 1024,
            "bloom_bits_per_key": 10.0,
        },
    ),
    PredefinedOptions.FLASH_SSD_OPTIMIZED: (DISK_DATABASE, {}),
}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_the_profiles_have_flinks_values(profile: PredefinedOptions) -> None:
    database, family = PROFILES[profile]
    layers = OptionLayers(Configuration(), profile)
    assert layers.database() == DatabaseSettings(**database)
    assert layers.column_family() == ColumnFamilySettings(**family)


def test_an_unknown_profile_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"FLASH_SSD\b.*did you mean FLASH_SSD_OPTIMIZED"):
        _choose(_configuration(predefined_options="FLASH_SSD"))


# Every key of RocksDBConfigurableOptions, a value, and what RocksDB then reports.
CONFIGURABLE: dict[str, tuple[str, str, str]] = {
    "thread.num": ("7", "max_background_jobs", "7"),
    "files.open": ("100", "max_open_files", "100"),
    "log.level": ("WARN_LEVEL", "info_log_level", "WARN_LEVEL"),
    "log.max-file-size": ("2mb", "max_log_file_size", str(2 * MIB)),
    "log.file-num": ("10", "keep_log_file_num", "10"),
    "compaction.style": ("UNIVERSAL", "compaction_style", "kCompactionStyleUniversal"),
    "compaction.level.use-dynamic-size": ("true", "level_compaction_dynamic_level_bytes", "true"),
    "compression.per.level": ("LZ4_COMPRESSION", "compression", "kLZ4Compression"),
    "compaction.level.target-file-size-base": ("8mb", "target_file_size_base", str(8 * MIB)),
    "compaction.level.max-size-level-base": ("128mb", "max_bytes_for_level_base", str(128 * MIB)),
    "writebuffer.count": ("4", "max_write_buffer_number", "4"),
    "writebuffer.size": ("2mb", "write_buffer_size", str(2 * MIB)),
    "block.blocksize": ("16kb", "block_size", "16384"),
    "block.metadata-blocksize": ("8kb", "metadata_block_size", "8192"),
    "use-bloom-filter": ("true", "filter_policy", "bloomfilter"),
}


@pytest.mark.parametrize("key", CONFIGURABLE)
def test_set_configurable_options(key: str, open_store: Callable[..., Any]) -> None:
    value, name, reported = CONFIGURABLE[key]
    configuration = Configuration().set_string(PREFIX + key, value)
    effective = open_store(RocksDBStateStore(configuration)).database.effective_options()
    section = "DBOptions" if name in effective["DBOptions"] else "default"
    assert effective[section][name].startswith(reported)


ILLEGAL = {
    "thread.num": ("0", "-1", "many"),
    "files.open": ("0", "-2"),
    "log.level": ("DEBUG",),
    "log.max-file-size": ("-1",),
    "log.file-num": ("0",),
    "compaction.style": ("LEV", "NONE"),
    "compaction.level.use-dynamic-size": ("1",),
    "compression.per.level": ("SNAP", ""),
    "compaction.level.target-file-size-base": ("0", "tiny"),
    "compaction.level.max-size-level-base": ("0",),
    "writebuffer.count": ("0",),
    "writebuffer.number-to-merge": ("-1",),
    "writebuffer.size": ("0",),
    "write-batch-size": ("-1",),
    "block.blocksize": ("0",),
    "block.metadata-blocksize": ("0",),
    "block.cache-size": ("0",),
    "use-bloom-filter": ("yes",),
    "bloom-filter.bits-per-key": ("0", "many"),
    "checkpoint.transfer.thread.num": ("0",),
    "memory.fixed-per-slot": ("0", "-1"),
    "memory.fixed-per-tm": ("0",),
}


@pytest.mark.parametrize("key", ILLEGAL)
def test_configurable_options_from_config(key: str) -> None:
    for value in ILLEGAL[key]:
        with pytest.raises(ConfigurationError) as raised:
            RocksDBStateStore(Configuration().set_string(PREFIX + key, value))
        assert key in str(raised.value)


class Factory(RocksDBOptionsFactory):
    def create_db_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        current_options.background_jobs = 9
        return current_options

    def create_column_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        current_options.compression = (CompressionType.NO_COMPRESSION,)
        return current_options


class Configured(ConfigurableRocksDBOptionsFactory):
    jobs = 0

    def configure(self, configuration: Configuration) -> RocksDBOptionsFactory:
        self.jobs = configuration.get_integer("my.jobs", 1)
        return self

    def create_db_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        current_options.background_jobs = self.jobs
        return current_options


def test_options_factory() -> None:
    configuration = _configuration(options_factory=f"{__name__}.Factory")
    backend = EmbeddedRocksDBStateBackend()
    assert _rocksdb(configuration, backend).options_factory == f"{__name__}.Factory"
    factory = Configured()
    backend.set_options(factory)
    assert _rocksdb(configuration, backend).options_factory is factory
    configuration.set_integer("my.jobs", 13)
    loaded = load_options_factory(factory, configuration)
    assert OptionLayers(configuration, factory=loaded).database().background_jobs == 13


def test_a_wrong_factory_ends_the_job_and_its_place_is_named() -> None:
    configuration = _configuration(options_factory="os.path.Factory").set_string(
        "state.backend.type", "rocksdb"
    )
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    keyed = environment.from_collection([1, 2], Types.LONG()).key_by(lambda value: value)
    keyed.reduce(lambda first, second: first + second).print()
    with pytest.raises(ConfigurationError, match=r"'os\.path\.Factory' cannot be imp") as raised:
        environment.execute()
    assert raised.value.context["option"] == PREFIX + "options-factory"
    assert raised.value.context["origin"] == "job configuration"


def test_predefined_and_options_factory(open_store: Callable[..., Any]) -> None:
    store = RocksDBStateStore(
        predefined_options=PredefinedOptions.SPINNING_DISK_OPTIMIZED_HIGH_MEM,
        options_factory=Factory,
    )
    effective = open_store(store).database.effective_options()
    assert effective["DBOptions"]["max_background_jobs"] == "9"
    assert effective["default"]["compression"] == "kNoCompression"
    assert effective["default"]["min_write_buffer_number_to_merge"] == "3"


def test_predefined_and_configurable_options() -> None:
    layers = OptionLayers(
        _configuration(compaction__level__max_size_level_base="8mb"),
        PredefinedOptions.SPINNING_DISK_OPTIMIZED_HIGH_MEM,
    )
    assert layers.column_family().level_base_size_bytes == 8 * MIB
    assert layers.column_family().target_file_size_bytes == 256 * MIB


def test_rocksdb_reconfiguration_copies_existing_values() -> None:
    backend = EmbeddedRocksDBStateBackend(enable_incremental_checkpointing=True)
    backend.set_db_storage_paths("/a", "/b")
    backend.set_predefined_options(PredefinedOptions.SPINNING_DISK_OPTIMIZED)
    backend.set_options(Factory)
    backend.set_number_of_transfer_threads(7)
    configuration = _configuration(
        localdir="/c",
        predefined_options="FLASH_SSD_OPTIMIZED",
        checkpoint__transfer__thread__num="3",
    ).set_string("state.backend.incremental", "false")
    chosen = _choose(configuration, backend)
    assert chosen.is_incremental
    assert chosen.rocksdb == RocksDBChoice(
        ("/a", "/b"), PredefinedOptions.SPINNING_DISK_OPTIMIZED, Factory, 7, TimerStore.ROCKSDB
    )


# -- memory


def test_default_memory_control_parameters() -> None:
    configuration = Configuration()
    assert configuration.get(options.MANAGED_MEMORY) is True
    assert configuration.get(options.FIXED_MEMORY_PER_SLOT) is None
    assert configuration.get(options.WRITE_BUFFER_RATIO) == 0.5
    assert configuration.get(options.HIGH_PRIORITY_POOL_RATIO) == 0.1
    assert configuration.get(options.PARTITIONED_INDEX_FILTERS) is False


def test_configure_managed_memory() -> None:
    store = RocksDBStateStore(
        _configuration(
            memory__fixed_per_slot="16mb",
            memory__write_buffer_ratio="0.4",
            memory__high_prio_pool_ratio="0.3",
        )
    )
    memory = store.memory.memory
    assert (memory.total_bytes, memory.write_buffer_ratio) == (16 * MIB, 0.4)
    assert memory.high_priority_pool_ratio == 0.3


@pytest.mark.parametrize(
    "pairs",
    [
        {"memory__write_buffer_ratio": "-0.1"},
        {"memory__write_buffer_ratio": "1.1"},
        {"memory__write_buffer_ratio": "0"},
        {"memory__high_prio_pool_ratio": "1"},
        {"memory__high_prio_pool_ratio": "0"},
        {"memory__write_buffer_ratio": "0.6", "memory__high_prio_pool_ratio": "0.6"},
        {"memory__write_buffer_ratio": "0.6", "memory__high_prio_pool_ratio": "0.5"},
    ],
)
def test_configure_illegal_memory_control_parameters(pairs: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="ratio"):
        RocksDBStateStore(_configuration(**pairs))


# -- storage, and what came later


def test_calls_forwarded_to_non_partitioned_backend(tmp_path: Path) -> None:
    directory = (tmp_path / "checkpoints").as_uri()
    wrapped = RocksDBStateBackend(checkpoint_stream_backend=FsStateBackend(directory))
    assert _choose(Configuration(), wrapped).checkpoint_directory == directory
    in_memory = RocksDBStateBackend(checkpoint_stream_backend=MemoryStateBackend())
    assert _choose(Configuration(), in_memory).storage is StorageKind.JOB_MANAGER


def test_rocksdb_log_directory(open_store: Callable[..., Any], tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    backend = open_store(RocksDBStateStore(_configuration(log__dir=str(logs))))
    assert list(logs.glob("*LOG"))
    assert not (backend.directory / "db" / "LOG").exists()


def test_a_log_directory_that_cannot_be_made_is_named(
    open_store: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="log cannot go to") as raised:
        open_store(RocksDBStateStore(_configuration(log__dir=str(tmp_path / "file/logs"))))
    assert raised.value.context["option"] == PREFIX + "log.dir"


def test_rocksdb_compression_per_level(open_store: Callable[..., Any]) -> None:
    configuration = _configuration(compression__per__level="NO_COMPRESSION;SNAPPY_COMPRESSION")
    effective = open_store(RocksDBStateStore(configuration)).database.effective_options()
    levels = effective["default"]["compression_per_level"]
    assert levels == "kNoCompression:kSnappyCompression"


def test_restore_overlap_ingest_and_delete_files_defaults() -> None:
    configuration = Configuration()
    assert configuration.get(options.RESTORE_OVERLAP_FRACTION) == 0.0
    assert configuration.get(options.INGEST_AT_RESCALE) is False
    assert configuration.get(options.DELETE_FILES_IN_RANGE) is False
    assert configuration.get(options.COMPACT_AFTER_RESCALE) is False
    assert configuration.get(column_family_options.LOG_FILE_COUNT) == 4


def test_merged_write_buffers_leave_one_that_takes_writes(open_store: Callable[..., Any]) -> None:
    for count, merged, reported in (("4", "2", "2"), ("2", "2", "1"), ("1", "3", "1")):
        configuration = _configuration(
            writebuffer__count=count, writebuffer__number_to_merge=merged
        )
        effective = open_store(RocksDBStateStore(configuration)).database.effective_options()
        assert effective["default"]["min_write_buffer_number_to_merge"] == reported


@pytest.mark.parametrize(
    "pairs",
    [
        {"files.open": "1"},
        {"files.open": "1000000000"},
        {"writebuffer.size": "1kb"},
        {"writebuffer.size": "64gb", "memory.managed": "false"},
        {"compaction.style": "UNIVERSAL", "compaction.level.use-dynamic-size": "true"},
        {"thread.num": "1000"},
        {"log.max-file-size": "0"},
    ],
)
def test_values_that_rocksdb_itself_clips_are_no_error(
    pairs: dict[str, str], open_store: Callable[..., Any]
) -> None:
    configuration = Configuration.from_dict({PREFIX + name: value for name, value in pairs.items()})
    assert not open_store(RocksDBStateStore(configuration)).database.closed


def test_configured_options_reach_states_made_later(open_store: Callable[..., Any]) -> None:
    backend = open_store(RocksDBStateStore(_configuration(block__blocksize="32kb")))
    state_of(backend, ValueStateDescriptor("late", Types.LONG()))
    families = backend.database.column_family_names
    effective = backend.database.effective_options()
    assert len(families) == 2
    assert {effective[name]["block_size"] for name in families} == {"32768"}
