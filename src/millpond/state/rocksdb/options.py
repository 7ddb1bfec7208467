"""The layers of RocksDB's options: profile, configuration, then the user's options factory.

The order is that of Flink 2.x: a configured option beats the profile, the factory beats both.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, final

from millpond.configuration.options import rocksdb_column_family as keys
from millpond.configuration.options.rocksdb import (
    OPTIONS_FACTORY,
    WRITE_BATCH_SIZE,
    PredefinedOptions,
)
from millpond.datastream.rocksdb_options_factory import (
    ConfigurableRocksDBOptionsFactory,
    RocksDBOptionsFactory,
)
from millpond.errors import ConfigurationError
from millpond.state.rocksdb.native_metrics import NativeMetricOptions, configured_metrics
from millpond.state.rocksdb.settings import (
    ColumnFamilySettings,
    DatabaseSettings,
    ReadSettings,
    WriteSettings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from millpond.common.config_options import ConfigOption
    from millpond.common.configuration import Configuration

__all__ = ("OptionLayers", "load_options_factory")

_MIB: Final = 1024 * 1024
_DISK: Final = {"background_jobs": 4, "open_files": -1}

_DATABASE_PROFILES: Final[Mapping[PredefinedOptions, Mapping[str, Any]]] = {
    PredefinedOptions.DEFAULT: {},
    PredefinedOptions.SPINNING_DISK_OPTIMIZED: _DISK,
    PredefinedOptions.SPINNING_DISK_OPTIMIZED_HIGH_MEM: _DISK,
    PredefinedOptions.FLASH_SSD_OPTIMIZED: _DISK,
}
_FAMILY_PROFILES: Final[Mapping[PredefinedOptions, Mapping[str, Any]]] = {
    PredefinedOptions.DEFAULT: {},
    PredefinedOptions.SPINNING_DISK_OPTIMIZED: {
        "compaction_style": keys.CompactionStyle.LEVEL,
        "dynamic_level_size": True,
    },
    PredefinedOptions.SPINNING_DISK_OPTIMIZED_HIGH_MEM: {
        "compaction_style": keys.CompactionStyle.LEVEL,
        "dynamic_level_size": True,
        "target_file_size_bytes": 256 * _MIB,
        "level_base_size_bytes": 1024 * _MIB,
        "write_buffer_size_bytes": 64 * _MIB,
        "write_buffers_to_merge": 3,
        "write_buffer_count": 4,
        "block_cache_size_bytes": 256 * _MIB,
        "block_size_bytes": 128 * 1024,
        "bloom_bits_per_key": 10.0,
    },
    PredefinedOptions.FLASH_SSD_OPTIMIZED: {},
}
_DATABASE_KEYS: Final[Mapping[str, ConfigOption[Any]]] = {
    "background_jobs": keys.THREADS,
    "open_files": keys.OPEN_FILES,
    "log_level": keys.LOG_LEVEL,
    "log_max_file_size_bytes": keys.LOG_MAX_FILE_SIZE,
    "log_file_count": keys.LOG_FILE_COUNT,
    "log_directory": keys.LOG_DIRECTORY,
    "write_batch_size_bytes": WRITE_BATCH_SIZE,
}
_FAMILY_KEYS: Final[Mapping[str, ConfigOption[Any]]] = {
    "compaction_style": keys.COMPACTION_STYLE,
    "dynamic_level_size": keys.DYNAMIC_LEVEL_SIZE,
    "target_file_size_bytes": keys.TARGET_FILE_SIZE_BASE,
    "level_base_size_bytes": keys.MAX_SIZE_LEVEL_BASE,
    "write_buffer_size_bytes": keys.WRITE_BUFFER_SIZE,
    "write_buffer_count": keys.WRITE_BUFFER_COUNT,
    "write_buffers_to_merge": keys.WRITE_BUFFER_NUMBER_TO_MERGE,
    "block_size_bytes": keys.BLOCK_SIZE,
    "metadata_block_size_bytes": keys.METADATA_BLOCK_SIZE,
    "block_cache_size_bytes": keys.BLOCK_CACHE_SIZE,
}
_FILTER_KEYS: Final = {"bloom_bits_per_key": keys.BLOOM_FILTER_BITS_PER_KEY}
_JAVA_NAMES: Final = {
    "createDBOptions": "create_db_options",
    "createColumnOptions": "create_column_options",
    "createNativeMetricsOptions": "create_native_metrics_options",
    "createReadOptions": "create_read_options",
    "createWriteOptions": "create_write_options",
}


@final
class OptionLayers:
    """Makes the settings of databases and column families for one job.

    Attributes:
        handles_to_close: what the factory wants closed after the last database.
    """

    def __init__(
        self,
        configuration: Configuration,
        profile: PredefinedOptions = PredefinedOptions.DEFAULT,
        factory: RocksDBOptionsFactory | None = None,
    ) -> None:
        """Check the configured options.

        Raises:
            ConfigurationError: an option has an illegal value.
        """
        self._profile = profile
        self._factory = factory
        self.handles_to_close: list[Any] = []
        self._database_layer: dict[str, Any] = dict(_DATABASE_PROFILES[profile])
        self._family_layer: dict[str, Any] = dict(_FAMILY_PROFILES[profile])
        for layer, options in (
            (self._database_layer, _DATABASE_KEYS),
            (self._family_layer, _FAMILY_KEYS),
        ):
            for name, option in options.items():
                if configuration.contains(option):
                    layer[name] = configuration.get(option)
        if configuration.contains(keys.COMPRESSION_PER_LEVEL):
            compressions: list[keys.CompressionType] = configuration.get(keys.COMPRESSION_PER_LEVEL)
            self._family_layer["compression"] = tuple(compressions)
        bits = configuration.get(keys.BLOOM_FILTER_BITS_PER_KEY)
        if configuration.contains(keys.BLOOM_FILTER):
            self._family_layer["bloom_bits_per_key"] = (
                bits if configuration.get(keys.BLOOM_FILTER) else None
            )
        _check_family(ColumnFamilySettings(**self._family_layer))
        self._configuration = configuration

    def native_metrics(self) -> NativeMetricOptions:
        """Return which native metrics are on.

        Raises:
            ConfigurationError: as `database`.
        """
        current = configured_metrics(self._configuration)
        if self._factory is None:
            return current
        create = self._factory.create_native_metrics_options
        asked: NativeMetricOptions = self._ask(create, NativeMetricOptions, current)
        return asked

    def database(self) -> DatabaseSettings:
        """Return the settings of a database.

        Raises:
            ConfigurationError: the factory failed or returned something else.
        """
        settings = DatabaseSettings(**self._database_layer)
        if self._factory is not None:
            create = self._factory.create_db_options
            settings = self._ask(create, DatabaseSettings, settings, self.handles_to_close)
            _check_factory(settings, _DATABASE_KEYS, type(self._factory).__qualname__)
            ask, handles = self._ask, self.handles_to_close
            read, write = self._factory.create_read_options, self._factory.create_write_options
            settings.read = ask(read, ReadSettings, settings.read, handles)
            settings.write = ask(write, WriteSettings, settings.write, handles)
        settings.statistics |= self.native_metrics().needs_statistics
        return settings

    def column_family(self) -> ColumnFamilySettings:
        """Return the settings of a column family; the factory is asked for each.

        Raises:
            ConfigurationError: as `database`.
        """
        settings = ColumnFamilySettings(**self._family_layer)
        if self._factory is not None:
            create = self._factory.create_column_options
            settings = self._ask(create, ColumnFamilySettings, settings, self.handles_to_close)
            name = type(self._factory).__qualname__
            _check_factory(settings, _FAMILY_KEYS, name)
            if settings.bloom_bits_per_key is not None:
                _check_factory(settings, _FILTER_KEYS, name)
            _check_family(settings)
        return settings

    def _ask(self, create: Callable[..., Any], kind: type[Any], *current: Any) -> Any:
        name = type(self._factory).__qualname__
        try:
            result = create(*current)
        except Exception as error:
            raise ConfigurationError(
                f"The RocksDB options factory {name} raised {type(error).__name__}: {error}.",
                hint="Correct its create methods.",
                option=OPTIONS_FACTORY.key,
            ) from error
        if not isinstance(result, kind):
            raise ConfigurationError(
                f"The RocksDB options factory {name} returned {type(result).__name__} instead of "
                f"{kind.__name__}.",
                hint="Change the options it is given and return them.",
                option=OPTIONS_FACTORY.key,
            )
        return result

    def close(self) -> None:
        """Close what the factory asked for."""
        while self.handles_to_close:
            self.handles_to_close.pop().close()


def load_options_factory(
    factory: object, configuration: Configuration
) -> RocksDBOptionsFactory | None:
    """Return the options factory that was given as import path, class or instance.

    A configurable factory reads the configuration first.

    Raises:
        ConfigurationError: it cannot be imported or made, or is of another class.
    """
    if factory is None:
        return None
    if isinstance(factory, str):
        factory = _import(factory)
    if isinstance(factory, type):
        try:
            factory = factory()
        except Exception as error:
            raise ConfigurationError(
                f"The RocksDB options factory {factory} could not be made: {error}.",
                hint="It needs a constructor without parameters.",
                option=OPTIONS_FACTORY.key,
            ) from error
    if not isinstance(factory, RocksDBOptionsFactory):
        raise ConfigurationError(
            f"{type(factory).__name__} is not a RocksDBOptionsFactory.",
            hint="Derive it from the class in millpond.datastream.rocksdb_options_factory.",
            option=OPTIONS_FACTORY.key,
        )
    for java, python in _JAVA_NAMES.items():
        if hasattr(factory, java):
            raise ConfigurationError(
                f"The RocksDB options factory {type(factory).__qualname__} has a method {java}, "
                "which nobody would call.",
                hint=f"Name it {python}.",
                option=OPTIONS_FACTORY.key,
            )
    if isinstance(factory, ConfigurableRocksDBOptionsFactory):
        return _configured(factory, configuration)
    return factory


def _configured(
    factory: ConfigurableRocksDBOptionsFactory, configuration: Configuration
) -> RocksDBOptionsFactory:
    name = type(factory).__qualname__
    try:
        configured: object = factory.configure(configuration)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"configure() of the RocksDB options factory {name} raised "
            f"{type(error).__name__}: {error}.",
            option=OPTIONS_FACTORY.key,
        ) from error
    if not isinstance(configured, RocksDBOptionsFactory):
        raise ConfigurationError(
            f"configure() of the RocksDB options factory {name} returned "
            f"{type(configured).__name__} instead of a RocksDBOptionsFactory.",
            hint="Return the factory to use, usually self.",
            option=OPTIONS_FACTORY.key,
        )
    return configured


def _import(path: str) -> object:
    module_name, _, name = path.replace(":", ".").rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"The RocksDB options factory '{path}' cannot be imported: {error}.",
            hint="Give the import path of a class, such as 'my_job.options.MyOptions'.",
            option=OPTIONS_FACTORY.key,
        ) from error


def _check_factory(settings: object, options: Mapping[str, ConfigOption[Any]], name: str) -> None:
    """Hold what a factory set to the types and ranges of the configuration."""
    for field, option in options.items():
        value = getattr(settings, field)
        if not _is_of_type(value, option.default):
            expected = (
                f"of type {'str' if option.default is None else type(option.default).__name__}"
            )
        elif option.constraint is not None and not option.constraint.accepts(value):
            expected = option.constraint.text
        else:
            continue
        raise ConfigurationError(
            f"The RocksDB options factory {name} set {field} to {value!r}: it must be {expected}.",
            hint="Correct its create methods.",
            option=option.key,
        )


def _is_of_type(value: object, default: object) -> bool:
    if default is None:
        return value is None or isinstance(value, str)
    if isinstance(default, float):
        return type(value) in {int, float}
    return type(value) is type(default)


def _check_family(settings: ColumnFamilySettings) -> None:
    """Refuse what the binding does not have."""
    if settings.compaction_style is keys.CompactionStyle.NONE:
        raise ConfigurationError(
            "The compaction style NONE cannot be set through RocksDB's Python binding.",
            hint="Use LEVEL, UNIVERSAL or FIFO.",
        )
    for compression in settings.compression:
        if compression not in keys.COMPRESSIONS:
            raise ConfigurationError(
                f"The compression {compression} is not available in RocksDB's Python binding.",
                hint=f"Use one of {', '.join(sorted(kind.name for kind in keys.COMPRESSIONS))}.",
            )
