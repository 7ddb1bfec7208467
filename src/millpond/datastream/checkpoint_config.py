"""How a job takes checkpoints, as a program sets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, final

from millpond.common.configuration import Configuration
from millpond.common.time import Duration
from millpond.configuration.options import checkpointing as options
from millpond.configuration.options import state_backend as storage_options
from millpond.configuration.options.checkpointing import (
    UNLIMITED_FAILURES,
    CheckpointingMode,
    ExternalizedCheckpointRetention,
)
from millpond.datastream.checkpoint_storage import (
    CheckpointStorage,
    FileSystemCheckpointStorage,
)
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from millpond.common.config_options import ConfigOption

__all__ = ("CheckpointConfig", "ExternalizedCheckpointCleanup")

T = TypeVar("T")

ExternalizedCheckpointCleanup = ExternalizedCheckpointRetention


@final
class CheckpointConfig:
    """Checkpointing of one job.

    What setters set stands in `configuration`, and only that: the engine puts it above command
    line and files. Getters see both. Durations are milliseconds.
    """

    DEFAULT_MODE = CheckpointingMode.EXACTLY_ONCE
    DEFAULT_TIMEOUT = 10 * 60 * 1000
    DEFAULT_MIN_PAUSE_BETWEEN_CHECKPOINTS = 0
    DEFAULT_MAX_CONCURRENT_CHECKPOINTS = 1

    __slots__ = ("_inherited", "_storage", "configuration")

    def __init__(
        self,
        configuration: Configuration | None = None,
        inherited: Configuration | None = None,
    ) -> None:
        """Make a checkpoint configuration.

        Args:
            configuration: takes the options that are set in code; not copied.
            inherited: options of command line, job and files, which getters fall back to.
        """
        self.configuration = Configuration() if configuration is None else configuration
        self._inherited = Configuration() if inherited is None else inherited
        self._storage: CheckpointStorage | None = None

    def _get(self, option: ConfigOption[T]) -> T:
        source = self.configuration if self.configuration.contains(option) else self._inherited
        return source.get(option)

    def is_checkpointing_enabled(self) -> bool:
        """Tell whether an interval is set."""
        return self._get(options.CHECKPOINT_INTERVAL) is not None

    def get_checkpointing_mode(self) -> CheckpointingMode:
        """Return exactly once or at least once."""
        return self._get(options.CHECKPOINTING_MODE)

    def set_checkpointing_mode(self, checkpointing_mode: CheckpointingMode) -> CheckpointConfig:
        """Set exactly once or at least once.

        Raises:
            ConfigurationError: it is no checkpointing mode.
        """
        self.configuration.set(options.CHECKPOINTING_MODE, checkpointing_mode)
        return self

    def get_checkpointing_consistency_mode(self) -> CheckpointingMode:
        """Return exactly once or at least once."""
        return self.get_checkpointing_mode()

    def set_checkpointing_consistency_mode(
        self, checkpointing_mode: CheckpointingMode
    ) -> CheckpointConfig:
        """Set exactly once or at least once."""
        return self.set_checkpointing_mode(checkpointing_mode)

    def get_checkpoint_interval(self) -> int:
        """Return the milliseconds between checkpoints; -1 without checkpointing."""
        interval_ms = self._get(options.CHECKPOINT_INTERVAL)
        return -1 if interval_ms is None else interval_ms

    def set_checkpoint_interval(self, checkpoint_interval: int) -> CheckpointConfig:
        """Set the milliseconds between checkpoints.

        Raises:
            ConfigurationError: less than 10 ms.
        """
        self.configuration.set(options.CHECKPOINT_INTERVAL, checkpoint_interval)
        return self

    def get_checkpoint_timeout(self) -> int:
        """Return the milliseconds after which a checkpoint is aborted."""
        return self._get(options.CHECKPOINT_TIMEOUT)

    def set_checkpoint_timeout(self, checkpoint_timeout: int) -> CheckpointConfig:
        """Set the milliseconds after which a checkpoint is aborted.

        Raises:
            ConfigurationError: less than 10 ms.
        """
        self.configuration.set(options.CHECKPOINT_TIMEOUT, checkpoint_timeout)
        return self

    def get_min_pause_between_checkpoints(self) -> int:
        """Return the milliseconds between the end of a checkpoint and the next."""
        return self._get(options.MIN_PAUSE)

    def set_min_pause_between_checkpoints(
        self, min_pause_between_checkpoints: int
    ) -> CheckpointConfig:
        """Set the milliseconds between the end of a checkpoint and the next.

        Raises:
            ConfigurationError: less than 0.
        """
        self.configuration.set(options.MIN_PAUSE, min_pause_between_checkpoints)
        return self

    def get_max_concurrent_checkpoints(self) -> int:
        """Return how many checkpoints may run at once."""
        return self._get(options.MAX_CONCURRENT_CHECKPOINTS)

    def set_max_concurrent_checkpoints(self, max_concurrent_checkpoints: int) -> CheckpointConfig:
        """Set how many checkpoints may run at once.

        Raises:
            ConfigurationError: less than 1.
        """
        self.configuration.set(options.MAX_CONCURRENT_CHECKPOINTS, max_concurrent_checkpoints)
        return self

    def is_fail_on_checkpointing_errors(self) -> bool:
        """Tell whether the first failed checkpoint fails the job."""
        return self.get_tolerable_checkpoint_failure_number() == 0

    def set_fail_on_checkpointing_errors(
        self, fail_on_checkpointing_errors: bool
    ) -> CheckpointConfig:
        """Set whether the first failed checkpoint fails the job, or none ever."""
        count = 0 if fail_on_checkpointing_errors else UNLIMITED_FAILURES
        return self.set_tolerable_checkpoint_failure_number(count)

    def get_tolerable_checkpoint_failure_number(self) -> int:
        """Return how many checkpoints in a row may fail before the job does."""
        return self._get(options.TOLERABLE_FAILED_CHECKPOINTS)

    def set_tolerable_checkpoint_failure_number(
        self, tolerable_checkpoint_failure_number: int
    ) -> CheckpointConfig:
        """Set how many checkpoints in a row may fail before the job does.

        Raises:
            ConfigurationError: less than 0.
        """
        self.configuration.set(
            options.TOLERABLE_FAILED_CHECKPOINTS, tolerable_checkpoint_failure_number
        )
        return self

    def set_externalized_checkpoint_retention(
        self, retention_mode: ExternalizedCheckpointRetention
    ) -> CheckpointConfig:
        """Set what becomes of the retained checkpoints when the job is cancelled.

        Raises:
            ConfigurationError: it is no retention mode.
        """
        self.configuration.set(options.EXTERNALIZED_RETENTION, retention_mode)
        return self

    def get_externalized_checkpoint_retention(self) -> ExternalizedCheckpointRetention:
        """Return what becomes of the retained checkpoints when the job is cancelled."""
        return self._get(options.EXTERNALIZED_RETENTION)

    def is_externalized_checkpoints_enabled(self) -> bool:
        """Tell whether checkpoints may outlive the job."""
        none = ExternalizedCheckpointRetention.NO_EXTERNALIZED_CHECKPOINTS
        return self.get_externalized_checkpoint_retention() is not none

    def enable_externalized_checkpoints(
        self, cleanup_mode: ExternalizedCheckpointRetention
    ) -> CheckpointConfig:
        """Set what becomes of the retained checkpoints (name of 1.12 to 1.14)."""
        return self.set_externalized_checkpoint_retention(cleanup_mode)

    def set_externalized_checkpoint_cleanup(
        self, cleanup_mode: ExternalizedCheckpointRetention
    ) -> CheckpointConfig:
        """Set what becomes of the retained checkpoints (name of 1.15 to 1.20)."""
        return self.set_externalized_checkpoint_retention(cleanup_mode)

    def get_externalized_checkpoint_cleanup(self) -> ExternalizedCheckpointRetention | None:
        """Return what becomes of the retained checkpoints; None if they end with the job."""
        mode = self.get_externalized_checkpoint_retention()
        return mode if self.is_externalized_checkpoints_enabled() else None

    def is_prefer_checkpoint_for_recovery(self) -> bool:
        """Tell whether a newer savepoint is passed over in a recovery (1.12 to 1.14)."""
        return self._get(options.PREFER_CHECKPOINT_FOR_RECOVERY)

    def set_prefer_checkpoint_for_recovery(
        self, prefer_checkpoint_for_recovery: bool
    ) -> CheckpointConfig:
        """Set whether a newer savepoint is passed over in a recovery; it always is here."""
        self.configuration.set(
            options.PREFER_CHECKPOINT_FOR_RECOVERY, prefer_checkpoint_for_recovery
        )
        return self

    def is_unaligned_checkpoints_enabled(self) -> bool:
        """Tell whether barriers may overtake records."""
        return self._get(options.UNALIGNED)

    def enable_unaligned_checkpoints(self, enabled: bool = True) -> CheckpointConfig:
        """Let barriers overtake records, or not."""
        self.configuration.set(options.UNALIGNED, enabled)
        return self

    def disable_unaligned_checkpoints(self) -> CheckpointConfig:
        """Keep barriers behind the records before them."""
        return self.enable_unaligned_checkpoints(enabled=False)

    def set_aligned_checkpoint_timeout(self, alignment_timeout: object) -> CheckpointConfig:
        """Set the time after which an aligned checkpoint goes unaligned.

        Args:
            alignment_timeout: a timedelta, a `Duration`, or milliseconds.

        Raises:
            ConfigurationError: it is negative or no duration.
        """
        option = options.ALIGNED_CHECKPOINT_TIMEOUT
        self.configuration.set(option, option.type.read(option.format(alignment_timeout)))
        return self

    def get_aligned_checkpoint_timeout(self) -> Duration:
        """Return the time after which an aligned checkpoint goes unaligned."""
        return Duration.of_millis(self._get(options.ALIGNED_CHECKPOINT_TIMEOUT))

    def set_alignment_timeout(self, alignment_timeout: object) -> CheckpointConfig:
        """Set the time after which an aligned checkpoint goes unaligned (name of 1.13)."""
        return self.set_aligned_checkpoint_timeout(alignment_timeout)

    def get_alignment_timeout(self) -> Duration:
        """Return the time after which an aligned checkpoint goes unaligned (1.13)."""
        return self.get_aligned_checkpoint_timeout()

    def set_force_unaligned_checkpoints(
        self, force_unaligned_checkpoints: bool = True
    ) -> CheckpointConfig:
        """Allow unaligned checkpoints with custom partitioners too."""
        self.configuration.set(options.FORCE_UNALIGNED, force_unaligned_checkpoints)
        return self

    def is_force_unaligned_checkpoints(self) -> bool:
        """Tell whether unaligned checkpoints are allowed with custom partitioners."""
        return self._get(options.FORCE_UNALIGNED)

    def set_checkpoint_storage(self, storage: CheckpointStorage) -> CheckpointConfig:
        """Set where snapshots go; a 1.12 backend set in code wins over it.

        Raises:
            ConfigurationError: it is no checkpoint storage.
        """
        if not isinstance(storage, CheckpointStorage):
            raise ConfigurationError(
                f"{storage!r} is no checkpoint storage.",
                hint="Give a FileSystemCheckpointStorage or a JobManagerCheckpointStorage.",
            )
        self._storage = storage
        return self

    def set_checkpoint_storage_dir(self, checkpoint_path: str) -> CheckpointConfig:
        """Put snapshots into a directory or behind a URL.

        Raises:
            ConfigurationError: it is empty or a root directory.
        """
        return self.set_checkpoint_storage(FileSystemCheckpointStorage(checkpoint_path))

    def get_checkpoint_storage(self) -> CheckpointStorage | None:
        """Return the checkpoint storage set in code, or None."""
        return self._storage

    def get_max_retained_checkpoints(self) -> int:
        """Return how many completed checkpoints are kept."""
        return self._get(storage_options.NUM_RETAINED_CHECKPOINTS)

    def configure(self, configuration: Configuration) -> None:
        """Take over every checkpointing option that a configuration sets.

        As in Flink, a value that is present replaces one set before.

        Raises:
            ConfigurationError: a value is malformed or out of range.
        """
        for registered in options.OPTIONS:
            option = registered.option
            if configuration.contains(option):
                self.configuration.set(option, configuration.get(option))
