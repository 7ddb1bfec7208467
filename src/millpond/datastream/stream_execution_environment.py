"""`StreamExecutionEnvironment`: where a program starts; it collects the graph and runs it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, final

from millpond.common.configuration import Configuration
from millpond.common.execution_config import ExecutionConfig
from millpond.common.typeinfo import TypeInformation, Types
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.configuration.effective_configuration import load_configuration, log_notices
from millpond.configuration.options import execution
from millpond.configuration.options import state_backend as backend_options
from millpond.configuration.registry import option_registry
from millpond.configuration.restart_choice import restart_strategy_options
from millpond.datastream.checkpoint_config import CheckpointConfig
from millpond.datastream.checkpointing_mode import CheckpointingMode
from millpond.datastream.connectors.collection import CollectionSource, declared_elements
from millpond.datastream.connectors.function_source import FunctionSource
from millpond.datastream.connectors.source import Source
from millpond.datastream.data_stream import CloseableIterator, DataStream
from millpond.datastream.engine import Program, current_launch, load_engine
from millpond.datastream.execution_plan import execution_plan
from millpond.datastream.operator_spec import COLLECT_UID, CollectSpec, OperatorSpec, SourceSpec
from millpond.datastream.state_backend import StateBackend
from millpond.datastream.stream_cache import StreamCache
from millpond.datastream.streams.function_check import check_strategy
from millpond.datastream.time_characteristic import TimeCharacteristic
from millpond.datastream.transformation import (
    Edge,
    JobDescription,
    Transformation,
    with_inputs,
)
from millpond.errors import ConfigurationError, InvalidProgramError, MillpondError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from millpond.common.job_client import JobClient
    from millpond.common.job_execution_result import JobExecutionResult
    from millpond.common.restart_strategy import RestartStrategyConfiguration
    from millpond.configuration.effective_configuration import EffectiveConfiguration
    from millpond.datastream.execution_mode import RuntimeExecutionMode
    from millpond.datastream.functions import SourceFunction
    from millpond.datastream.partitioning import KeyGroupPartitioning
    from millpond.datastream.slot_sharing_group import SlotSharingGroup

__all__ = ("StreamExecutionEnvironment",)

_DEFAULT_JOB_NAME = "Flink Streaming Job"


@final
class StreamExecutionEnvironment:
    """The program: sources, operators and sinks are added to it, and `execute` runs them.

    Used by one thread. What setters set stands above the command line, the job's configuration,
    environment variables and the configuration file, in this order.
    """

    def __init__(self, configuration: Configuration | None = None) -> None:
        self._launch = current_launch()
        self._code = Configuration()
        self._job_configuration = configuration or Configuration()
        self._outside = load_configuration(
            self._launch.config_directory, self._launch.definitions, self._job_configuration
        )
        inherited = self._outside.to_configuration()
        self._config = ExecutionConfig(self._code, inherited)
        self._checkpoint_config = CheckpointConfig(self._code, inherited)
        self._state_backend: StateBackend | None = None
        self._transformations: list[Transformation] = []
        self._last_id = 0
        self._slot_sharing_groups: dict[str, SlotSharingGroup] = {}
        self._cached_files: dict[str, str] = {}
        self._caches: list[StreamCache] = []

    @staticmethod
    def get_execution_environment(
        configuration: Configuration | None = None,
    ) -> StreamExecutionEnvironment:
        """Return a new environment.

        Raises:
            ConfigurationError: configuration file, command line or `configuration` are not valid.
        """
        return StreamExecutionEnvironment(configuration)

    # -- configuration

    def get_config(self) -> ExecutionConfig:
        """Return the execution configuration, which may be changed."""
        return self._config

    def configure(self, configuration: Configuration) -> None:
        """Take over options; they rank as if the program had set them one by one."""
        registry = option_registry()
        for key, value in configuration.to_dict().items():
            registry.assign(self._code, key, value)

    def effective_configuration(self) -> Configuration:
        """Return what counts now: code, command line, job, environment and file merged.

        Raises:
            ConfigurationError: a value is malformed, or two options contradict each other.
        """
        code = restart_strategy_options(self._config.get_restart_strategy())
        code.add_all(self._code)
        effective = self._outside.with_code(code)
        log_notices(effective)
        return effective.to_configuration()

    def set_parallelism(self, parallelism: int) -> StreamExecutionEnvironment:
        """Set the parallelism of operators that set none."""
        self._config.set_parallelism(parallelism)
        return self

    def get_parallelism(self) -> int:
        """Return the parallelism of operators that set none."""
        return self._config.get_parallelism()

    def set_max_parallelism(self, max_parallelism: int) -> StreamExecutionEnvironment:
        """Set the number of key groups of operators that set none (1 to 32768)."""
        self._config.set_max_parallelism(max_parallelism)
        return self

    def get_max_parallelism(self) -> int:
        """Return the number of key groups; -1: derived from the parallelism."""
        return self._config.get_max_parallelism()

    def get_default_local_parallelism(self) -> int:
        """Return the parallelism of local runs, which all runs are here."""
        return self._config.get_parallelism()

    def set_default_local_parallelism(self, parallelism: int) -> None:
        """Set the parallelism of local runs."""
        self._config.set_parallelism(parallelism)

    def set_runtime_mode(self, execution_mode: RuntimeExecutionMode) -> StreamExecutionEnvironment:
        """Choose streaming or batch execution."""
        self._code.set(execution.RUNTIME_MODE, execution_mode)
        return self

    def set_buffer_timeout(self, timeout_millis: int) -> StreamExecutionEnvironment:
        """Accept Flink's flush interval (-1: only full buffers); batches are handed on at once.

        Raises:
            ConfigurationError: less than -1.
        """
        if timeout_millis < -1:
            raise ConfigurationError(
                f"The buffer timeout must be -1 or more, not {timeout_millis} ms."
            )
        if timeout_millis == -1:
            self._code.set(execution.BUFFER_TIMEOUT_ENABLED, False)
        else:
            self._code.set(execution.BUFFER_TIMEOUT, timeout_millis)
        return self

    def get_buffer_timeout(self) -> int:
        """Return the flush interval in ms; -1: only full buffers."""
        configuration = self.effective_configuration()
        if not configuration.get(execution.BUFFER_TIMEOUT_ENABLED):
            return -1
        return configuration.get(execution.BUFFER_TIMEOUT)

    def disable_operator_chaining(self) -> StreamExecutionEnvironment:
        """Run every operator as a task of its own."""
        self._code.set(execution.OPERATOR_CHAINING, False)
        return self

    def is_chaining_enabled(self) -> bool:
        """Tell whether operators are chained."""
        return self.effective_configuration().get(execution.OPERATOR_CHAINING)

    def is_chaining_of_operators_with_different_max_parallelism_enabled(self) -> bool:
        """Return False: such operators run as tasks of their own."""
        return False

    def register_slot_sharing_group(
        self, slot_sharing_group: SlotSharingGroup
    ) -> StreamExecutionEnvironment:
        """Make a slot sharing group and its resources known by name."""
        self._slot_sharing_groups[slot_sharing_group.get_name()] = slot_sharing_group
        return self

    # -- checkpoints and state

    def get_checkpoint_config(self) -> CheckpointConfig:
        """Return the checkpoint configuration, which may be changed."""
        return self._checkpoint_config

    def enable_checkpointing(
        self, interval: int, mode: CheckpointingMode = CheckpointingMode.EXACTLY_ONCE
    ) -> StreamExecutionEnvironment:
        """Take a checkpoint every `interval` ms (at least 10)."""
        self._checkpoint_config.set_checkpoint_interval(interval)
        self._checkpoint_config.set_checkpointing_mode(mode)
        return self

    def get_checkpoint_interval(self) -> int:
        """Return the interval in ms, -1 when checkpointing is off."""
        return self._checkpoint_config.get_checkpoint_interval()

    def get_checkpointing_mode(self) -> CheckpointingMode:
        """Return the guarantee."""
        return self._checkpoint_config.get_checkpointing_mode()

    def get_checkpointing_consistency_mode(self) -> CheckpointingMode:
        """Return the guarantee, under its newer name."""
        return self._checkpoint_config.get_checkpointing_mode()

    def is_unaligned_checkpoints_enabled(self) -> bool:
        """Tell whether unaligned checkpoints were asked for."""
        return self._checkpoint_config.is_unaligned_checkpoints_enabled()

    def is_force_unaligned_checkpoints(self) -> bool:
        """Tell whether unaligned checkpoints were forced."""
        return self._checkpoint_config.is_force_unaligned_checkpoints()

    def set_state_backend(self, state_backend: StateBackend) -> StreamExecutionEnvironment:
        """Choose where working state lives; wins over the configuration.

        Raises:
            ConfigurationError: it is no state backend.
        """
        if not isinstance(state_backend, StateBackend):
            raise ConfigurationError(
                f"{state_backend!r} is no state backend.",
                hint="Give a MemoryStateBackend, FsStateBackend or RocksDBStateBackend.",
            )
        self._state_backend = state_backend
        return self

    def get_state_backend(self) -> StateBackend | None:
        """Return the state backend set in code, or None."""
        return self._state_backend

    def enable_changelog_state_backend(self, enabled: bool) -> StreamExecutionEnvironment:
        """Accept Flink's switch; both stores snapshot incrementally without a changelog."""
        self._code.set_string("state.changelog.enabled", str(enabled).lower())
        return self

    def is_changelog_state_backend_enabled(self) -> bool | None:
        """Return what was set, or None."""
        text = self.effective_configuration().to_dict().get("state.changelog.enabled")
        return None if text is None else text == "true"

    def set_default_savepoint_directory(self, directory: str) -> StreamExecutionEnvironment:
        """Set where savepoints go unless a request names a directory."""
        self._code.set(backend_options.SAVEPOINT_DIRECTORY, directory)
        return self

    def get_default_savepoint_directory(self) -> str | None:
        """Return where savepoints go, or None."""
        return self.effective_configuration().get(backend_options.SAVEPOINT_DIRECTORY)

    def set_restart_strategy(
        self, restart_strategy_configuration: RestartStrategyConfiguration
    ) -> StreamExecutionEnvironment:
        """Choose what happens when the job fails; wins over the configuration."""
        self._config.set_restart_strategy(restart_strategy_configuration)
        return self

    def get_restart_strategy(self) -> RestartStrategyConfiguration:
        """Return the restart strategy set in code, or the fall-back to the configuration."""
        return self._config.get_restart_strategy()

    def set_stream_time_characteristic(self, characteristic: TimeCharacteristic) -> None:
        """Accept Flink's old switch; windows and timers name their own time."""
        self._code.set_string("pipeline.time-characteristic", characteristic.name)

    def get_stream_time_characteristic(self) -> TimeCharacteristic:
        """Return what was set; event time is the default, as since Flink 1.12."""
        text = self._code.get_string("pipeline.time-characteristic", "EventTime")
        return TimeCharacteristic[text]

    # -- files and Java, which have a place in a cluster only

    def register_cached_file(self, file_path: str, name: str, executable: bool = False) -> None:
        """Make a file known by name; functions run where it is already."""
        del executable
        self._cached_files[name] = file_path

    def add_python_file(self, file_path: str) -> None:
        """Put a file, package or directory on the path of imports."""
        if file_path not in sys.path:
            sys.path.insert(0, file_path)

    def set_python_requirements(
        self, requirements_file_path: str, requirements_cache_dir: str | None = None
    ) -> None:
        """Accept PyFlink's call; functions use this process's packages."""
        self._code.set_string("python.requirements", requirements_file_path)
        del requirements_cache_dir

    def add_python_archive(self, archive_path: str, target_dir: str | None = None) -> None:
        """Accept PyFlink's call; functions read files where they are."""
        self._code.set_string("python.archives", archive_path)
        del target_dir

    def set_python_executable(self, python_exec: str) -> None:
        """Accept PyFlink's call; functions run in this interpreter."""
        self._code.set_string("python.executable", python_exec)

    def add_jars(self, *jars_path: str) -> None:
        """Accept PyFlink's call; there is no JVM that would load them."""
        self._code.set_string("pipeline.jars", ";".join(jars_path))

    def add_classpaths(self, *classpaths: str) -> None:
        """Accept PyFlink's call; there is no JVM that would load them."""
        self._code.set_string("pipeline.classpaths", ";".join(classpaths))

    # -- sources

    def from_source(
        self,
        source: Source,
        watermark_strategy: WatermarkStrategy,
        source_name: str,
        type_info: TypeInformation | None = None,
    ) -> DataStream:
        """Read a source with event time from `watermark_strategy`."""
        if not isinstance(source, Source):
            raise InvalidProgramError(f"{source!r} is no Source.")
        check_strategy(watermark_strategy)
        transformation = self.add_transformation(
            source_name,
            SourceSpec(source, watermark_strategy),
            (),
            output_type=type_info or source.produced_type(),
        )
        return DataStream(self, (Edge(transformation),))

    def add_source(
        self,
        source_func: SourceFunction | Source,
        source_name: str = "Custom Source",
        type_info: TypeInformation | None = None,
    ) -> DataStream:
        """Read a source without event time, in PyFlink's older spelling."""
        source = source_func if isinstance(source_func, Source) else FunctionSource(source_func)
        return self.from_source(source, WatermarkStrategy.no_watermarks(), source_name, type_info)

    def from_collection(
        self, collection: Iterable[Any], type_info: TypeInformation | None = None
    ) -> DataStream:
        """Read values that the program holds, by one subtask.

        With a row type, tuples and lists become rows, and rows without names get its names.

        Raises:
            InvalidProgramError: a value does not fit the declared type.
        """
        values = declared_elements(collection, type_info) if type_info else list(collection)
        stream = self.from_source(
            CollectionSource(values),
            WatermarkStrategy.no_watermarks(),
            "Collection Source",
            type_info,
        )
        stream.force_non_parallel()
        return stream

    def read_text_file(self, file_path: str, charset_name: str = "UTF-8") -> DataStream:
        """Read a text file, or the files of a directory, line by line."""
        from millpond.datastream.connectors.file_system import FileSource, StreamFormat

        source = (
            FileSource.for_record_stream_format(
                StreamFormat.text_line_format(charset_name), file_path
            )
            .process_static_file_set()
            .build()
        )
        return self.from_source(
            source, WatermarkStrategy.no_watermarks(), "Text File Source", Types.STRING()
        )

    # -- running

    def execute(self, job_name: str | None = None) -> JobExecutionResult:
        """Run the program to its end; the environment is empty afterwards.

        Raises:
            MillpondError: the program or the configuration is not valid, or the job failed.
            Exception: the user's own, where a user function raised it; a note names operator and
                key.
        """
        with _without_internals(self._outside):
            return load_engine(self._launch.engine).execute(self._take_program(job_name))

    def execute_async(self, job_name: str | None = None) -> JobClient:
        """Start the program in the background and return a handle at once."""
        with _without_internals(self._outside):
            return load_engine(self._launch.engine).execute_async(self._take_program(job_name))

    def execute_and_collect(
        self, stream: DataStream, job_name: str | None = None, limit: int | None = None
    ) -> CloseableIterator | list[Any]:
        """Run the program and return a stream's records; see `DataStream.execute_and_collect`."""
        import uuid

        collect_id = uuid.uuid4().hex
        collect = self.add_transformation("Collect", CollectSpec(collect_id), stream._edges)
        collect.parallelism = 1
        collect.uid = COLLECT_UID
        program = self._take_program(job_name)
        results = load_engine(self._launch.engine).collect(program, collect_id)
        iterator = CloseableIterator(results, lambda: _close(results))
        if limit is None:
            return iterator
        with iterator:
            return list(islice(iterator, limit))

    def get_execution_plan(self) -> str:
        """Return the program as JSON: operators, their parallelism, and what they read."""
        return execution_plan(self._transformations, self.get_parallelism())

    def close(self) -> None:
        """Forget the program and the records of cached streams."""
        self._transformations = []
        for cache in self._caches:
            cache.invalidate()

    # -- for streams

    def add_transformation(
        self,
        name: str,
        spec: OperatorSpec,
        inputs: tuple[Edge, ...],
        *,
        output_type: TypeInformation | None = None,
        keyed: KeyGroupPartitioning | None = None,
    ) -> Transformation:
        """Add an operator to the program."""
        self._last_id += 1
        transformation = Transformation(self._last_id, name, spec, inputs, output_type, keyed)
        self._transformations.append(transformation)
        return transformation

    def cache_of(self, edge: Edge, output_type: TypeInformation | None) -> StreamCache:
        """Let jobs keep the records of an output for later ones."""
        self._last_id += 1
        cache = StreamCache(self._last_id, edge, output_type)
        self._caches.append(cache)
        return cache

    def _take_program(self, job_name: str | None) -> Program:
        configuration = self.effective_configuration()
        name = job_name or configuration.get(execution.JOB_NAME) or _DEFAULT_JOB_NAME
        job = JobDescription(name, with_inputs(self._transformations))
        self._transformations = []
        return Program(
            job,
            configuration,
            self._state_backend,
            self._checkpoint_config.get_checkpoint_storage(),
            [cache for cache in self._caches if cache.is_due(job)],
        )


@contextmanager
def _without_internals(outside: EffectiveConfiguration) -> Iterator[None]:
    """Drop the engine's frames from an error (not with ``-X dev``) and say where its option is."""
    try:
        yield
    except MillpondError as error:
        if sys.flags.dev_mode:
            raise
        raise outside.located(error).with_traceback(None) from None


def _close(results: Iterator[Any]) -> None:
    close = getattr(results, "close", None)
    if close is not None:
        close()
