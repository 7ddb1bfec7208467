from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from millpond.common.configuration import Configuration
from millpond.configuration.options.rocksdb import PredefinedOptions
from millpond.datastream.rocksdb_options_factory import (
    ConfigurableRocksDBOptionsFactory,
    RocksDBOptionsFactory,
)
from millpond.errors import ConfigurationError
from millpond.state.rocksdb.options import OptionLayers, load_options_factory
from millpond.state.rocksdb.settings import (
    ColumnFamilySettings,
    CompactionStyle,
    CompressionType,
    DatabaseSettings,
    InfoLogLevel,
    ReadSettings,
)
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024
PREFIX = "state.backend.rocksdb."


def _set(pairs: dict[str, str]) -> Configuration:
    configuration = Configuration()
    for name, value in pairs.items():
        configuration.set_string(PREFIX + name, value)
    return configuration


def test_predefined_options_enum() -> None:
    for profile in PredefinedOptions:
        layers = OptionLayers(Configuration(), profile)
        assert isinstance(layers.database(), DatabaseSettings)
        assert isinstance(layers.column_family(), ColumnFamilySettings)


def test_predefined_options() -> None:
    layers = OptionLayers(Configuration(), PredefinedOptions.SPINNING_DISK_OPTIMIZED_HIGH_MEM)
    assert layers.database().background_jobs == 4
    assert layers.column_family() == ColumnFamilySettings(
        dynamic_level_size=True,
        target_file_size_bytes=256 * MIB,
        level_base_size_bytes=1024 * MIB,
        write_buffer_size_bytes=64 * MIB,
        write_buffers_to_merge=3,
        write_buffer_count=4,
        block_cache_size_bytes=256 * MIB,
        block_size_bytes=128 * 1024,
        bloom_bits_per_key=10.0,
    )
    flash = OptionLayers(Configuration(), PredefinedOptions.FLASH_SSD_OPTIMIZED)
    assert flash.column_family() == ColumnFamilySettings()
    assert flash.database().background_jobs == 4
    assert OptionLayers(Configuration()).database() == DatabaseSettings()


def test_configurable_options_from_config() -> None:
    configuration = _set(
        {
            "thread.num": "7",
            "files.open": "100",
            "log.level": "WARN_LEVEL",
            "log.max-file-size": "1mb",
            "log.file-num": "2",
            "write-batch-size": "1mb",
            "compaction.style": "UNIVERSAL",
            "compaction.level.use-dynamic-size": "true",
            "compression.per.level": "NO_COMPRESSION;LZ4_COMPRESSION",
            "compaction.level.target-file-size-base": "8mb",
            "compaction.level.max-size-level-base": "128mb",
            "writebuffer.size": "16mb",
            "writebuffer.count": "4",
            "writebuffer.number-to-merge": "2",
            "block.blocksize": "8kb",
            "block.metadata-blocksize": "16kb",
            "block.cache-size": "64mb",
            "use-bloom-filter": "true",
            "bloom-filter.bits-per-key": "12.5",
        }
    )
    layers = OptionLayers(configuration)
    assert layers.database() == DatabaseSettings(
        background_jobs=7,
        open_files=100,
        log_level=InfoLogLevel.WARN_LEVEL,
        log_max_file_size_bytes=MIB,
        log_file_count=2,
        write_batch_size_bytes=MIB,
    )
    assert layers.column_family() == ColumnFamilySettings(
        compaction_style=CompactionStyle.UNIVERSAL,
        dynamic_level_size=True,
        compression=(CompressionType.NO_COMPRESSION, CompressionType.LZ4_COMPRESSION),
        target_file_size_bytes=8 * MIB,
        level_base_size_bytes=128 * MIB,
        write_buffer_size_bytes=16 * MIB,
        write_buffer_count=4,
        write_buffers_to_merge=2,
        block_size_bytes=8 * 1024,
        metadata_block_size_bytes=16 * 1024,
        block_cache_size_bytes=64 * MIB,
        bloom_bits_per_key=12.5,
    )


def test_predefined_and_configurable_options() -> None:
    layers = OptionLayers(
        _set({"writebuffer.count": "9"}), PredefinedOptions.SPINNING_DISK_OPTIMIZED_HIGH_MEM
    )
    assert layers.column_family().write_buffer_count == 9
    assert layers.column_family().write_buffers_to_merge == 3


class Factory(RocksDBOptionsFactory):
    closed = 0

    def close(self) -> None:
        Factory.closed += 1

    def create_db_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        handles_to_close.append(self)
        current_options.background_jobs = 11
        return current_options

    def create_column_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        current_options.write_buffer_count = 3
        return current_options


def test_predefined_and_options_factory() -> None:
    layers = OptionLayers(
        _set({"writebuffer.count": "9", "thread.num": "5"}),
        PredefinedOptions.SPINNING_DISK_OPTIMIZED_HIGH_MEM,
        Factory(),
    )
    assert layers.column_family().write_buffer_count == 3
    assert layers.column_family().write_buffers_to_merge == 3
    assert layers.database().background_jobs == 11
    before = Factory.closed
    layers.close()
    assert Factory.closed == before + 1


class Configurable(ConfigurableRocksDBOptionsFactory):
    def configure(self, configuration: Configuration) -> RocksDBOptionsFactory:
        self.jobs = int(configuration.get_string("my.jobs", "0"))
        return self

    def create_db_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        current_options.background_jobs = self.jobs
        return current_options


def test_options_factory() -> None:
    configuration = Configuration()
    configuration.set_string("my.jobs", "6")
    factory = load_options_factory(Configurable, configuration)
    assert OptionLayers(configuration, factory=factory).database().background_jobs == 6
    by_path = load_options_factory(
        "millpond.datastream.rocksdb_options_factory.RocksDBOptionsFactory", configuration
    )
    assert type(by_path) is RocksDBOptionsFactory
    assert load_options_factory(None, configuration) is None


class Broken(RocksDBOptionsFactory):
    def create_db_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        raise ZeroDivisionError("oh")

    def create_column_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        return None


def test_a_broken_factory_is_named() -> None:
    layers = OptionLayers(Configuration(), factory=Broken())
    with pytest.raises(ConfigurationError, match=r"Broken raised ZeroDivisionError: oh"):
        layers.database()
    with pytest.raises(ConfigurationError, match=r"Broken returned NoneType"):
        layers.column_family()
    for wrong in (int, 5, "os.path", "no_such_module.Thing"):
        with pytest.raises(ConfigurationError):
            load_options_factory(wrong, Configuration())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("thread.num", "0"),
        ("writebuffer.count", "-1"),
        ("writebuffer.number-to-merge", "0"),
        ("writebuffer.size", "0"),
        ("block.blocksize", "0"),
        ("compaction.style", "SIDEWAYS"),
        ("compaction.style", "NONE"),
        ("compression.per.level", "XPRESS_COMPRESSION"),
        ("log.level", "LOUD"),
    ],
)
def test_illegal_values_are_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError):
        OptionLayers(_set({name: value}))


def test_options_reach_every_column_family(tmp_path: Path) -> None:
    configuration = _set({"use-bloom-filter": "true", "block.blocksize": "16kb"})
    configuration.set_string(PREFIX + "memory.partitioned-index-filters", "true")
    harness = BackendHarness(RocksDBStateStore(configuration, options_factory=Factory), tmp_path)
    backend: Any = harness.create()
    effective = backend.database.effective_options()
    assert effective["DBOptions"]["max_background_jobs"] == "11"
    for family in backend.database.column_family_names:
        assert effective[family]["block_size"] == "16384"
        assert effective[family]["max_write_buffer_number"] == "3"
        assert effective[family]["index_type"] == "kTwoLevelIndexSearch"
    harness.close()


class JavaSpelling(RocksDBOptionsFactory):
    def createDBOptions(self, current_options: Any, handles_to_close: list[Any]) -> Any:  # noqa: N802
        return current_options


class BadConfigure(ConfigurableRocksDBOptionsFactory):
    result: Any = None

    def configure(self, configuration: Configuration) -> RocksDBOptionsFactory:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_a_method_in_java_s_spelling_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a method createDBOptions") as raised:
        load_options_factory(JavaSpelling, Configuration())
    assert raised.value.hint == "Name it create_db_options."


def test_a_broken_configure_is_named() -> None:
    factory = BadConfigure()
    with pytest.raises(ConfigurationError, match="BadConfigure returned NoneType instead of a"):
        load_options_factory(factory, Configuration())
    factory.result = OSError("gone")
    with pytest.raises(ConfigurationError, match=r"BadConfigure raised OSError: gone\."):
        load_options_factory(factory, Configuration())
    factory.result = ConfigurationError("mine")
    with pytest.raises(ConfigurationError, match="mine"):
        load_options_factory(factory, Configuration())


def test_a_factory_that_cannot_be_imported_names_the_key() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_options_factory("no.such.Factory", Configuration())
    assert raised.value.context["option"] == PREFIX + "options-factory"


class Reading(RocksDBOptionsFactory):
    value: Any = None

    def create_read_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        current_options.verify_checksums = False
        current_options.readahead_bytes = 1 << 20
        return current_options

    def create_write_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
        current_options.low_priority = True
        return self.value or current_options


def test_read_and_write_options_of_a_factory(tmp_path: Path) -> None:
    harness = BackendHarness(RocksDBStateStore(options_factory=Reading), tmp_path)
    backend: Any = harness.create()
    database = backend.database
    assert database.settings.read == ReadSettings(verify_checksums=False, readahead_bytes=1 << 20)
    assert database._write_options.low_pri is True
    family = database.column_family("default")
    family.write([(b"a", b"1"), (b"b", b"2")])
    assert family.get(b"a") == b"1"
    assert list(family.scan()) == [(b"a", b"1"), (b"b", b"2")]
    assert list(family.scan(b"b")) == [(b"b", b"2")]
    harness.close()
    factory = Reading()
    factory.value = "no settings"
    with pytest.raises(ConfigurationError, match="Reading returned str instead of WriteSettings"):
        OptionLayers(Configuration(), factory=factory).database()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("background_jobs", 0, "from 1 to 1024"),
        ("background_jobs", True, "of type int"),
        ("log_file_count", 0, "greater than 0"),
        ("log_directory", "relative", "an absolute path"),
        ("open_files", 0, "-1 or greater than 0"),
        ("write_batch_size_bytes", -1, "at least 0"),
        ("block_size_bytes", 1 << 32, "greater than 0 and less than 4 gb"),
        ("block_size_bytes", 4096.0, "of type int"),
        ("write_buffer_size_bytes", (64 << 30) + 1, "greater than 0 and at most 64 gb"),
        ("bloom_bits_per_key", 0.1, "from 0.5 to 100"),
        ("compaction_style", "LEVEL", "of type CompactionStyle"),
    ],
)
def test_a_factory_may_not_set_what_cannot_be(name: str, value: Any, expected: str) -> None:
    class Illegal(RocksDBOptionsFactory):
        def create_db_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
            return self._set(current_options)

        def create_column_options(self, current_options: Any, handles_to_close: list[Any]) -> Any:
            return self._set(current_options)

        def _set(self, options: Any) -> Any:
            if hasattr(options, name):
                setattr(options, name, value)
            return options

    layers = OptionLayers(Configuration(), factory=Illegal())
    with pytest.raises(ConfigurationError, match=f"must be {expected}") as raised:
        layers.database(), layers.column_family()
    assert f"Illegal set {name} to {value!r}" in str(raised.value)
    assert PREFIX in str(raised.value)
