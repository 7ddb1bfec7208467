"""Opens the store that a backend choice names."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from millpond.common.configuration import Configuration
from millpond.configuration.backend_description import Store
from millpond.configuration.options.state_backend import STATE_BACKEND
from millpond.errors import ConfigurationError, MillpondError
from millpond.state.contract.keyed_backend import StateStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.configuration.backend_choice import BackendChoice

__all__ = ("open_state_store",)


def open_state_store(choice: BackendChoice, configuration: Mapping[str, str]) -> StateStore:
    """Make the store for one worker's slot.

    Raises:
        ConfigurationError: a third party's class cannot be loaded, or is no StateStore.
    """
    if choice.store is Store.HEAP:
        from millpond.state.heap.store import HeapStateStore

        return HeapStateStore(
            asynchronous=choice.is_asynchronous, incremental=choice.is_incremental
        )
    if choice.store is Store.ROCKSDB:
        from millpond.state.rocksdb.store import RocksDBStateStore

        rocksdb = choice.rocksdb
        assert rocksdb is not None
        return RocksDBStateStore(
            Configuration.from_dict(configuration),
            predefined_options=rocksdb.predefined_options,
            options_factory=rocksdb.options_factory,
            transfer_threads=rocksdb.transfer_threads,
            timer_store=rocksdb.timer_store,
            local_directories=[Path(directory) for directory in rocksdb.local_directories],
        )
    return _custom(choice.custom_store, configuration)


def _custom(named: object, configuration: Mapping[str, str]) -> StateStore:
    """Load ``package.module.Class`` (or ``package.module:Class``) and call it.

    A class method `from_configuration` is given the configuration; else it takes no arguments.
    """
    if isinstance(named, StateStore):
        return named
    made: object = named
    if isinstance(named, str):
        module, _, name = named.replace(":", ".").rpartition(".")
        try:
            made = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigurationError(
                f"The state backend {named!r} cannot be loaded: {error}.",
                hint="Check the import path, and that its package is installed or on PYTHONPATH.",
                option=STATE_BACKEND.key,
            ) from error
    if callable(made):
        factory = getattr(made, "from_configuration", None)
        try:
            made = made() if factory is None else factory(configuration)
        except MillpondError:
            raise
        except Exception as error:
            raise ConfigurationError(
                f"The state backend {named!r} raised {type(error).__name__}: {error}.",
                option=STATE_BACKEND.key,
            ) from error
    if not isinstance(made, StateStore):
        raise ConfigurationError(
            f"The state backend {named!r} is no StateStore.",
            hint="Name a class derived from millpond.state.contract.keyed_backend.StateStore, "
            "or a function that returns one.",
            option=STATE_BACKEND.key,
        )
    return made
