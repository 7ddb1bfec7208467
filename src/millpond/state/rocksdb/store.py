"""`RocksDBStateStore`: makes the RocksDB backends of a slot, which share memory and options."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, final

from millpond.common.configuration import Configuration
from millpond.configuration.container_memory import container_memory_bytes
from millpond.configuration.options.memory import NUMBER_OF_SLOTS
from millpond.configuration.options.rocksdb import (
    PREDEFINED_OPTIONS,
    TIMER_CACHE_SIZE,
    TIMER_STORE,
    TRANSFER_THREADS,
    PredefinedOptions,
    TimerStore,
)
from millpond.configuration.rocksdb_memory import RocksDBMemory, rocksdb_memory
from millpond.state.contract.keyed_backend import StateStore
from millpond.state.rocksdb.backend import BackendSettings, RocksDBKeyedStateBackend
from millpond.state.rocksdb.high_priority_pool import announce_pool
from millpond.state.rocksdb.local_directory import InstanceDirectories
from millpond.state.rocksdb.memory import SlotMemories, StoreMemory
from millpond.state.rocksdb.options import OptionLayers, load_options_factory
from millpond.state.rocksdb.rescale import RescaleSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from millpond.state.contract.keyed_backend import KeyedBackendParameters

__all__ = ("RocksDBStateStore",)

_COMPRESSION: Final = "execution.checkpointing.snapshot-compression"


@final
class RocksDBStateStore(StateStore):
    """Keyed state in RocksDB; needs nothing but a local directory.

    What code set wins over the configuration: pass it by parameter, None where nothing was set.
    """

    uses_managed_memory = True

    def __init__(
        self,
        configuration: Configuration | None = None,
        *,
        predefined_options: PredefinedOptions | None = None,
        options_factory: object = None,
        transfer_threads: int | None = None,
        timer_store: TimerStore | None = None,
        local_directories: Sequence[Path] = (),
        memory: RocksDBMemory | None = None,
        first_directory: int = 0,
    ) -> None:
        """Read the options and reserve the memory.

        Args:
            configuration: the effective configuration of the job.
            predefined_options: the profile.
            options_factory: import path, class or instance of a RocksDBOptionsFactory.
            transfer_threads: threads that copy files of one backend.
            timer_store: where timers live.
            local_directories: where databases go, in turn; else those of a backend's parameters.
            memory: memory of the slot; else by the configuration's rules.
            first_directory: index of the directory to begin with.

        Raises:
            ConfigurationError: an option, ratio or the factory is wrong.
        """
        self._configuration = configuration = configuration or Configuration()
        profile = predefined_options or configuration.get(PREDEFINED_OPTIONS)
        factory = load_options_factory(options_factory, configuration)
        timers = timer_store or configuration.get(TIMER_STORE)
        timer_cache_size: int | None = configuration.get(TIMER_CACHE_SIZE)
        if memory is None:
            memory = rocksdb_memory(configuration, default_total_bytes=container_memory_bytes())
        self._memories = SlotMemories(memory, configuration.get(NUMBER_OF_SLOTS))
        announce_pool(memory, configuration)
        self._layers = OptionLayers(configuration, profile, factory)
        self._local_directories = tuple(local_directories)
        self._directories = InstanceDirectories(first_directory)
        self._backends: list[RocksDBKeyedStateBackend] = []
        self._settings = BackendSettings(
            layers=self._layers,
            memory=self.memory,
            timer_cache_size=None if timers is TimerStore.HEAP else timer_cache_size,
            rescale=RescaleSettings.of(configuration),
            transfer_threads=transfer_threads or configuration.get(TRANSFER_THREADS),
            compressed=configuration.get_string(_COMPRESSION, "false").strip().lower() == "true",
        )

    @property
    def memory(self) -> StoreMemory:
        """The memory of the first slot, which is all of it unless there are several."""
        return self._memories.of_subtask(0)

    def create_keyed_backend(self, parameters: KeyedBackendParameters) -> RocksDBKeyedStateBackend:
        """Make the backend of one subtask; see `StateStore.create_keyed_backend`."""
        directory = self._directories.create(
            self._local_directories or parameters.local_directories,
            parameters.job_id,
            f"{parameters.operator_id.hex()}_{parameters.subtask_index}",
        )
        memory = self._memories.of_subtask(parameters.subtask_index)
        settings = replace(self._settings, memory=memory)
        backend = RocksDBKeyedStateBackend(parameters, settings, directory)
        self._backends.append(backend)
        return backend

    def close(self) -> None:
        """Close all backends and what the options factory made."""
        backends: list[Any] = self._backends
        while backends:
            backends.pop().close()
        self._memories.close()
        self._layers.close()
