"""`StateTtlConfig`: how long entries of a state live and how expired ones are removed."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, TypeAlias, final

from millpond.datastream._milliseconds import milliseconds
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from millpond.common.time import Duration, Time

__all__ = ("StateTtlConfig",)

_THIRTY_DAYS_MS = 30 * 24 * 3600 * 1000


class _UpdateType(enum.Enum):
    """What renews the time to live."""

    Disabled = 0
    OnCreateAndWrite = 1
    OnReadAndWrite = 2


class _StateVisibility(enum.Enum):
    """Whether an expired entry that is still there may be returned once more."""

    ReturnExpiredIfNotCleanedUp = 0
    NeverReturnExpired = 1


class _TtlTimeCharacteristic(enum.Enum):
    """The time that the time to live is measured in."""

    ProcessingTime = 0


class _Strategies(enum.Enum):
    """The ways to remove expired entries that nobody reads."""

    FULL_STATE_SCAN_SNAPSHOT = 0
    INCREMENTAL_CLEANUP = 1
    ROCKSDB_COMPACTION_FILTER = 2


class _CleanupStrategy:
    """Root of the settings of a strategy."""


@final
class _EmptyCleanupStrategy(_CleanupStrategy):
    """Settings of a strategy that has none."""


@final
class _IncrementalCleanupStrategy(_CleanupStrategy):
    """Settings of the incremental clean-up of heap state."""

    def __init__(self, cleanup_size: int, run_cleanup_for_every_record: bool) -> None:
        if cleanup_size <= 0:
            raise ConfigurationError(f"The incremental clean-up size {cleanup_size} is below 1.")
        self._cleanup_size = cleanup_size
        self._run_cleanup_for_every_record = run_cleanup_for_every_record

    def get_cleanup_size(self) -> int:
        """Return how many entries each step looks at."""
        return self._cleanup_size

    def run_cleanup_for_every_record(self) -> bool:
        """Return whether each record makes a step, even one that touches no state."""
        return self._run_cleanup_for_every_record


@final
class _RocksdbCompactFilterCleanupStrategy(_CleanupStrategy):
    """Settings of RocksDB's clean-up in the background."""

    def __init__(
        self, query_time_after_num_entries: int, periodic_compaction_time_ms: int = _THIRTY_DAYS_MS
    ) -> None:
        if periodic_compaction_time_ms < 0:
            raise ConfigurationError(
                f"The periodic compaction time {periodic_compaction_time_ms} ms is negative."
            )
        self._query_time_after_num_entries = query_time_after_num_entries
        self._periodic_compaction_time_ms = periodic_compaction_time_ms

    def get_query_time_after_num_entries(self) -> int:
        """Return after how many entries the clock is read again."""
        return self._query_time_after_num_entries

    def get_periodic_compaction_time(self) -> Duration:
        """Return the age after which every entry has been looked at again."""
        from millpond.common.time import Duration

        return Duration.of_millis(self._periodic_compaction_time_ms)


_EMPTY_STRATEGY = _EmptyCleanupStrategy()
_DEFAULT_INCREMENTAL = _IncrementalCleanupStrategy(5, run_cleanup_for_every_record=False)
_DEFAULT_COMPACT_FILTER = _RocksdbCompactFilterCleanupStrategy(1000)


@final
class _CleanupStrategies:
    """The chosen strategies; those in the background are on unless switched off."""

    EMPTY_STRATEGY = _EMPTY_STRATEGY
    Strategies: TypeAlias = _Strategies
    CleanupStrategy: TypeAlias = _CleanupStrategy
    EmptyCleanupStrategy: TypeAlias = _EmptyCleanupStrategy
    IncrementalCleanupStrategy: TypeAlias = _IncrementalCleanupStrategy
    RocksdbCompactFilterCleanupStrategy: TypeAlias = _RocksdbCompactFilterCleanupStrategy

    def __init__(
        self, strategies: dict[_Strategies, _CleanupStrategy], is_cleanup_in_background: bool
    ) -> None:
        self._strategies = dict(strategies)
        self._is_cleanup_in_background = is_cleanup_in_background

    def is_cleanup_in_background(self) -> bool:
        """Return whether strategies that were not chosen run with their defaults."""
        return self._is_cleanup_in_background

    def in_full_snapshot(self) -> bool:
        """Return whether full snapshots leave expired entries out."""
        return _Strategies.FULL_STATE_SCAN_SNAPSHOT in self._strategies

    def get_incremental_cleanup_strategy(self) -> _IncrementalCleanupStrategy | None:
        """Return the settings for heap state, or None when it is off."""
        chosen = self._strategies.get(_Strategies.INCREMENTAL_CLEANUP)
        if isinstance(chosen, _IncrementalCleanupStrategy):
            return chosen
        return _DEFAULT_INCREMENTAL if self._is_cleanup_in_background else None

    def get_rocksdb_compact_filter_cleanup_strategy(
        self,
    ) -> _RocksdbCompactFilterCleanupStrategy | None:
        """Return the settings for RocksDB, or None when it is off."""
        chosen = self._strategies.get(_Strategies.ROCKSDB_COMPACTION_FILTER)
        if isinstance(chosen, _RocksdbCompactFilterCleanupStrategy):
            return chosen
        return _DEFAULT_COMPACT_FILTER if self._is_cleanup_in_background else None


@final
class _Builder:
    """Builds a `StateTtlConfig`; each method returns the builder."""

    def __init__(self, ttl: Any) -> None:
        self._ttl = ttl
        self._update_type = _UpdateType.OnCreateAndWrite
        self._state_visibility = _StateVisibility.NeverReturnExpired
        self._ttl_time_characteristic = _TtlTimeCharacteristic.ProcessingTime
        self._strategies: dict[_Strategies, _CleanupStrategy] = {}
        self._is_cleanup_in_background = True

    def set_update_type(self, update_type: _UpdateType) -> _Builder:
        """Say what renews the time to live."""
        self._update_type = update_type
        return self

    def update_ttl_on_create_and_write(self) -> _Builder:
        """Renew when an entry is written."""
        return self.set_update_type(_UpdateType.OnCreateAndWrite)

    def update_ttl_on_read_and_write(self) -> _Builder:
        """Renew when an entry is read or written."""
        return self.set_update_type(_UpdateType.OnReadAndWrite)

    def set_state_visibility(self, state_visibility: _StateVisibility) -> _Builder:
        """Say whether an expired entry may be returned once more."""
        self._state_visibility = state_visibility
        return self

    def return_expired_if_not_cleaned_up(self) -> _Builder:
        """Let an expired entry be returned once more."""
        return self.set_state_visibility(_StateVisibility.ReturnExpiredIfNotCleanedUp)

    def never_return_expired(self) -> _Builder:
        """Never return an expired entry."""
        return self.set_state_visibility(_StateVisibility.NeverReturnExpired)

    def set_ttl_time_characteristic(
        self, ttl_time_characteristic: _TtlTimeCharacteristic
    ) -> _Builder:
        """Say which time is measured; there is only processing time."""
        self._ttl_time_characteristic = ttl_time_characteristic
        return self

    def use_processing_time(self) -> _Builder:
        """Measure processing time."""
        return self.set_ttl_time_characteristic(_TtlTimeCharacteristic.ProcessingTime)

    def cleanup_full_snapshot(self) -> _Builder:
        """Leave expired entries out of full snapshots."""
        self._strategies[_Strategies.FULL_STATE_SCAN_SNAPSHOT] = _EMPTY_STRATEGY
        return self

    def cleanup_incrementally(
        self, cleanup_size: int, run_cleanup_for_every_record: bool
    ) -> _Builder:
        """Look at so many entries of heap state at each access, or at each record.

        Raises:
            ConfigurationError: `cleanup_size` is below 1.
        """
        self._strategies[_Strategies.INCREMENTAL_CLEANUP] = _IncrementalCleanupStrategy(
            cleanup_size, run_cleanup_for_every_record
        )
        return self

    def cleanup_in_rocksdb_compact_filter(
        self,
        query_time_after_num_entries: int,
        periodic_compaction_time: Duration | Time | None = None,
    ) -> _Builder:
        """Let RocksDB's clean-up run, reading the clock after so many entries.

        `periodic_compaction_time` defaults to 30 days.
        """
        periodic_ms = (
            _THIRTY_DAYS_MS
            if periodic_compaction_time is None
            else milliseconds(periodic_compaction_time, "periodic compaction time")
        )
        self._strategies[_Strategies.ROCKSDB_COMPACTION_FILTER] = (
            _RocksdbCompactFilterCleanupStrategy(query_time_after_num_entries, periodic_ms)
        )
        return self

    def disable_cleanup_in_background(self) -> _Builder:
        """Switch off what was not chosen."""
        self._is_cleanup_in_background = False
        return self

    def set_ttl(self, ttl: Time | Duration) -> _Builder:
        """Set the time to live."""
        self._ttl = ttl
        return self

    def build(self) -> StateTtlConfig:
        """Return the configuration.

        Raises:
            ConfigurationError: the time to live is below 1 ms.
        """
        return StateTtlConfig(
            self._update_type,
            self._state_visibility,
            self._ttl_time_characteristic,
            self._ttl,
            _CleanupStrategies(self._strategies, self._is_cleanup_in_background),
        )


@final
class StateTtlConfig:
    """How long entries of a state live.

    Attributes:
        ttl_ms: the time to live in ms.

    Raises:
        ConfigurationError: the time to live is below 1 ms.
    """

    UpdateType: TypeAlias = _UpdateType
    StateVisibility: TypeAlias = _StateVisibility
    TtlTimeCharacteristic: TypeAlias = _TtlTimeCharacteristic
    CleanupStrategies: TypeAlias = _CleanupStrategies
    Builder: TypeAlias = _Builder

    def __init__(
        self,
        update_type: _UpdateType,
        state_visibility: _StateVisibility,
        ttl_time_characteristic: _TtlTimeCharacteristic,
        ttl: Time | Duration,
        cleanup_strategies: _CleanupStrategies,
    ) -> None:
        self.ttl_ms = milliseconds(ttl, "time to live")
        if self.ttl_ms <= 0:
            raise ConfigurationError(
                f"The time to live is {self.ttl_ms} ms.", hint="It must be at least 1 ms."
            )
        self._update_type = update_type
        self._state_visibility = state_visibility
        self._ttl_time_characteristic = ttl_time_characteristic
        self._ttl = ttl
        self._cleanup_strategies = cleanup_strategies

    @staticmethod
    def new_builder(ttl: Time | Duration) -> _Builder:
        """Return a builder for this time to live."""
        return _Builder(ttl)

    def get_update_type(self) -> _UpdateType:
        """Return what renews the time to live."""
        return self._update_type

    def get_state_visibility(self) -> _StateVisibility:
        """Return whether an expired entry may be returned once more."""
        return self._state_visibility

    def get_ttl(self) -> Time | Duration:
        """Return the time to live as it was given."""
        return self._ttl

    def get_ttl_time_characteristic(self) -> _TtlTimeCharacteristic:
        """Return which time is measured."""
        return self._ttl_time_characteristic

    def is_enabled(self) -> bool:
        """Return whether entries expire at all."""
        return self._update_type is not _UpdateType.Disabled

    def get_cleanup_strategies(self) -> _CleanupStrategies:
        """Return how expired entries are removed."""
        return self._cleanup_strategies

    def __repr__(self) -> str:
        return (
            f"StateTtlConfig<update_type={self._update_type}, "
            f"state_visibility={self._state_visibility}, "
            f"ttl_time_characteristic={self._ttl_time_characteristic}, ttl={self._ttl!r}>"
        )


for _owner, _nested in (
    (
        StateTtlConfig,
        (_UpdateType, _StateVisibility, _TtlTimeCharacteristic, _CleanupStrategies, _Builder),
    ),
    (
        _CleanupStrategies,
        (
            _Strategies,
            _CleanupStrategy,
            _EmptyCleanupStrategy,
            _IncrementalCleanupStrategy,
            _RocksdbCompactFilterCleanupStrategy,
        ),
    ),
):
    for _class in _nested:
        # Pickle and error messages must find the classes under their public names.
        _class.__name__ = _class.__name__.removeprefix("_")
        _class.__qualname__ = f"{_owner.__qualname__}.{_class.__name__}"
