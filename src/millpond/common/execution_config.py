"""How a job is executed, as a program sets it: parallelism, watermarks and the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, final

from millpond.common import execution_options as options
from millpond.common.configuration import Configuration
from millpond.common.restart_strategy import FallbackRestart, RestartStrategyConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.common.config_options import ConfigOption

__all__ = ("ExecutionConfig",)

T = TypeVar("T")


@final
class ExecutionConfig:
    """Execution settings of one job.

    What setters set stands in `configuration`, and only that: the engine puts it above command
    line and files. Getters see both. Switches of Java's serialization are kept and do nothing.
    """

    PARALLELISM_DEFAULT = -1
    PARALLELISM_UNKNOWN = -2

    __slots__ = ("_inherited", "_restart_strategy", "configuration")

    def __init__(
        self,
        configuration: Configuration | None = None,
        inherited: Configuration | None = None,
    ) -> None:
        """Make an execution configuration.

        Args:
            configuration: takes the options that are set in code; not copied.
            inherited: options of command line, job and files, which getters fall back to.
        """
        self.configuration = Configuration() if configuration is None else configuration
        self._inherited = Configuration() if inherited is None else inherited
        self._restart_strategy: RestartStrategyConfiguration = FallbackRestart()

    def _get(self, option: ConfigOption[T]) -> T:
        source = self.configuration if self.configuration.contains(option) else self._inherited
        return source.get(option)

    def _set(self, option: ConfigOption[T], value: T) -> ExecutionConfig:
        self.configuration.set(option, value)
        return self

    def get_parallelism(self) -> int:
        """Return the parallelism of operators that set none."""
        return self._get(options.DEFAULT_PARALLELISM)

    def set_parallelism(self, parallelism: int) -> ExecutionConfig:
        """Set the parallelism of operators that set none.

        `PARALLELISM_DEFAULT` goes back to the configuration's, `PARALLELISM_UNKNOWN` changes
        nothing.

        Raises:
            ConfigurationError: any other number below 1.
        """
        if parallelism == self.PARALLELISM_DEFAULT:
            self.configuration.remove(options.DEFAULT_PARALLELISM)
        elif parallelism != self.PARALLELISM_UNKNOWN:
            self._set(options.DEFAULT_PARALLELISM, parallelism)
        return self

    def get_max_parallelism(self) -> int:
        """Return the number of key groups; -1: derived from the parallelism."""
        return self._get(options.MAX_PARALLELISM)

    def set_max_parallelism(self, max_parallelism: int) -> ExecutionConfig:
        """Set the number of key groups.

        Raises:
            ConfigurationError: it is not from 1 to 32768.
        """
        return self._set(options.MAX_PARALLELISM, max_parallelism)

    def get_auto_watermark_interval(self) -> int:
        """Return the milliseconds between periodic watermarks."""
        return self._get(options.AUTO_WATERMARK_INTERVAL)

    def set_auto_watermark_interval(self, interval: int) -> ExecutionConfig:
        """Set the milliseconds between periodic watermarks; 0 turns them off.

        Raises:
            ConfigurationError: less than 0.
        """
        return self._set(options.AUTO_WATERMARK_INTERVAL, interval)

    def get_latency_tracking_interval(self) -> int:
        """Return the milliseconds between latency markers."""
        return self._get(options.LATENCY_INTERVAL)

    def set_latency_tracking_interval(self, interval: int) -> ExecutionConfig:
        """Set the milliseconds between latency markers."""
        return self._set(options.LATENCY_INTERVAL, interval)

    def get_task_cancellation_interval(self) -> int:
        """Return the milliseconds between attempts to interrupt a task."""
        return self._get(options.CANCELLATION_INTERVAL)

    def set_task_cancellation_interval(self, interval: int) -> ExecutionConfig:
        """Set the milliseconds between attempts to interrupt a task."""
        return self._set(options.CANCELLATION_INTERVAL, interval)

    def get_task_cancellation_timeout(self) -> int:
        """Return the milliseconds after which a cancelled task counts as stuck."""
        return self._get(options.CANCELLATION_TIMEOUT)

    def set_task_cancellation_timeout(self, timeout: int) -> ExecutionConfig:
        """Set the milliseconds after which a cancelled task counts as stuck."""
        return self._set(options.CANCELLATION_TIMEOUT, timeout)

    def enable_auto_generated_uids(self) -> None:
        """Derive the ids of operators without `uid` from the graph."""
        self._set(options.AUTO_GENERATE_UIDS, value=True)

    def disable_auto_generated_uids(self) -> None:
        """Refuse operators without `uid`."""
        self._set(options.AUTO_GENERATE_UIDS, value=False)

    def has_auto_generated_uids_enabled(self) -> bool:
        """Tell whether operators may do without `uid`."""
        return self._get(options.AUTO_GENERATE_UIDS)

    def enable_object_reuse(self) -> ExecutionConfig:
        """Pass records between chained operators without copies."""
        return self._set(options.OBJECT_REUSE, value=True)

    def disable_object_reuse(self) -> ExecutionConfig:
        """Record the wish for copies between chained operators; Millpond never makes any."""
        return self._set(options.OBJECT_REUSE, value=False)

    def is_object_reuse_enabled(self) -> bool:
        """Tell what was set."""
        return self._get(options.OBJECT_REUSE)

    def is_use_snapshot_compression(self) -> bool:
        """Tell whether full snapshots are compressed."""
        return self._get(options.SNAPSHOT_COMPRESSION)

    def set_use_snapshot_compression(self, use_snapshot_compression: bool) -> ExecutionConfig:
        """Set whether full snapshots are compressed."""
        return self._set(options.SNAPSHOT_COMPRESSION, use_snapshot_compression)

    def get_global_job_parameters(self) -> dict[str, str]:
        """Return the parameters that functions read from their runtime context."""
        parameters = self._get(options.GLOBAL_JOB_PARAMETERS)
        return dict(parameters)

    def set_global_job_parameters(
        self, global_job_parameters_dict: Mapping[str, object]
    ) -> ExecutionConfig:
        """Set the parameters that functions read from their runtime context."""
        texts = {key: str(value) for key, value in global_job_parameters_dict.items()}
        return self._set(options.GLOBAL_JOB_PARAMETERS, texts)

    def get_restart_strategy(self) -> RestartStrategyConfiguration:
        """Return the restart strategy set in code; else that of the configuration."""
        return self._restart_strategy

    def set_restart_strategy(
        self, restart_strategy_configuration: RestartStrategyConfiguration
    ) -> ExecutionConfig:
        """Set the restart strategy; it wins over the configuration's."""
        self._restart_strategy = restart_strategy_configuration
        return self

    def enable_closure_cleaner(self) -> ExecutionConfig:
        """Record the switch."""
        return self._set(options.CLOSURE_CLEANER_LEVEL, "RECURSIVE")

    def disable_closure_cleaner(self) -> ExecutionConfig:
        """Record the switch."""
        return self._set(options.CLOSURE_CLEANER_LEVEL, "NONE")

    def is_closure_cleaner_enabled(self) -> bool:
        """Tell what was set."""
        return self._get(options.CLOSURE_CLEANER_LEVEL).strip().upper() != "NONE"

    def enable_force_kryo(self) -> ExecutionConfig:
        """Record the switch."""
        return self._set(options.FORCE_KRYO, value=True)

    def disable_force_kryo(self) -> ExecutionConfig:
        """Record the switch."""
        return self._set(options.FORCE_KRYO, value=False)

    def is_force_kryo_enabled(self) -> bool:
        """Tell what was set."""
        return self._get(options.FORCE_KRYO)

    def enable_generic_types(self) -> ExecutionConfig:
        """Let keys and state without a declared type be pickled; the default."""
        return self._set(options.GENERIC_TYPES, value=True)

    def disable_generic_types(self) -> ExecutionConfig:
        """Refuse programs that would pickle keys or state."""
        return self._set(options.GENERIC_TYPES, value=False)

    def has_generic_types_disabled(self) -> bool:
        """Tell what was set."""
        return not self._get(options.GENERIC_TYPES)

    def enable_force_avro(self) -> ExecutionConfig:
        """Record the switch."""
        return self._set(options.FORCE_AVRO, value=True)

    def disable_force_avro(self) -> ExecutionConfig:
        """Record the switch."""
        return self._set(options.FORCE_AVRO, value=False)

    def is_force_avro_enabled(self) -> bool:
        """Tell what was set."""
        return self._get(options.FORCE_AVRO)

    def get_default_kryo_serializer_classes(self) -> dict[str, str]:
        """Return nothing: there is no Kryo."""
        return {}

    def get_registered_kryo_types(self) -> list[str]:
        """Return nothing: there is no Kryo."""
        return []

    def get_registered_pojo_types(self) -> list[str]:
        """Return nothing: there are no Java objects."""
        return []
