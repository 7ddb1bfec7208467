"""Makes the job manager of a program: graph, storage, retained checkpoints, restart strategy."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from millpond.checkpoint.completed_store import CompletedCheckpointStore
from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.recovery_pointer import RecoveryPointer
from millpond.checkpoint.result_marker import RESULT_FILE_NAME, ResultMarker
from millpond.checkpoint.retention import CheckpointRetention
from millpond.checkpoint.shared_registry import RestoreMode
from millpond.checkpoint.storage import (
    CheckpointStorage,
    FileSystemCheckpointStorage,
    JobManagerCheckpointStorage,
)
from millpond.checkpoint.storage_failure import Retry
from millpond.common import execution_options
from millpond.configuration.backend_choice import BackendChoice, choose_backend
from millpond.configuration.backend_description import StorageKind, Store
from millpond.configuration.directory import split_local_directories
from millpond.configuration.options import checkpointing, execution
from millpond.configuration.options.execution import RecoveryClaimMode
from millpond.engines.high_availability import HighAvailability, JobIdentity
from millpond.errors import ConfigurationError
from millpond.filesystem import FileSystemResolver, get_file_system
from millpond.filesystem.path import join, scheme_of
from millpond.runtime.checkpoint_settings import CheckpointSettings
from millpond.runtime.graph_compiler import CompilerOptions, compile_job
from millpond.runtime.job_manager import JobListener, JobManager, JobParameters
from millpond.runtime.restart_strategy import restart_strategy

if TYPE_CHECKING:
    from random import Random

    from millpond.clock import Clock
    from millpond.common.configuration import Configuration
    from millpond.datastream.engine import Program
    from millpond.runtime.job_graph import JobGraph
    from millpond.runtime.worker_connection import LaunchWorker

__all__ = ("JobSetup", "compile_program", "temporary_root")

_UNLIMITED: Final = 1 << 62


def temporary_root(configuration: Configuration) -> Path | None:
    """Return the first of the configured temporary directories that works; None: the system's.

    Raises:
        ConfigurationError: none of them can be made and written; names each with its reason.
    """
    option = execution.TEMPORARY_DIRECTORIES
    directories = split_local_directories(configuration.get(option) or "", option.key)
    failures: list[str] = []
    for root in map(Path, directories):
        try:
            root.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=root).close()
        except OSError as error:
            failures.append(f"{root}: {error.strerror}")
        else:
            return root
    if not failures:
        return None
    raise ConfigurationError(
        f"No temporary directory can be used: {'; '.join(failures)}.",
        hint="Name a directory that may be written.",
        option=option.key,
    )


@final
@dataclass(frozen=True)
class JobSetup:
    """How an engine runs a program.

    A job that resumes goes on from the last checkpoint that an earlier process left under the same
    id, if there is one; otherwise such checkpoints are left alone. `in_one_process` tells whether
    tasks share this process's memory.
    """

    clock: Clock
    random: Random
    listener: JobListener
    identity: JobIdentity
    resolve: FileSystemResolver = get_file_system
    in_one_process: bool = True

    def job_manager(self, program: Program, launch: LaunchWorker) -> JobManager:
        """Make the job manager; nothing runs yet.

        Raises:
            InvalidProgramError: the program is not valid.
            ConfigurationError: an option is not valid.
            CheckpointStorageError: the checkpoint directory cannot be written.
            RestoreError: the savepoint to start from cannot be read.
        """
        configuration = program.configuration
        graph = compile_program(program)
        backend = program.state_backend
        storage = program.checkpoint_storage
        choice = choose_backend(
            configuration,
            None if backend is None else backend.describe(),
            None if storage is None else storage.describe(),
        )
        settings = CheckpointSettings.of(configuration)
        if graph.batch:
            choice = _last_checkpoint_only(choice, is_named=self.identity.is_named)
            settings = replace(
                settings, interval_ms=None, retention=CheckpointRetention.RETAIN_ON_CANCELLATION
            )
            _refuse_savepoint(configuration)
        available = None if graph.batch else HighAvailability.of(configuration)
        if available is not None and choice.checkpoint_directory is None:
            choice = replace(choice, checkpoint_directory=available.directory)
        if not self.in_one_process:
            _refuse_memory_of_another_process(choice)
        store, finished_at = self._store(
            choice,
            configuration,
            None if available is None else self._pointer(available),
            checkpointing=settings.interval_ms is not None or (graph.batch and graph.commits),
            commits=graph.commits,
        )
        return JobManager(
            JobParameters(
                self.identity.job_id,
                graph,
                configuration.to_dict(),
                choice,
                settings,
                configuration.get(execution.ALLOW_NON_RESTORED_STATE),
                finished_at,
            ),
            store,
            restart_strategy(configuration, self.random),
            launch,
            self.clock,
            self.listener,
        )

    def _store(
        self,
        choice: BackendChoice,
        configuration: Configuration,
        pointer: RecoveryPointer | None,
        *,
        checkpointing: bool,
        commits: bool,
    ) -> tuple[CompletedCheckpointStore, str | None]:
        """Return the job's checkpoints, and the file that says that it has finished already."""
        storage = self._storage(choice)
        try:
            if checkpointing:
                storage.initialize()
            return self._recovered(storage, choice, configuration, pointer, commits=commits)
        except BaseException:
            if checkpointing and storage.directory is not None:
                # A start that is refused leaves no trace.
                storage.directory.remove_if_empty()
            raise

    def _recovered(
        self,
        storage: CheckpointStorage,
        choice: BackendChoice,
        configuration: Configuration,
        pointer: RecoveryPointer | None,
        *,
        commits: bool,
    ) -> tuple[CompletedCheckpointStore, str | None]:
        marker = self._result_marker(storage)
        store = CompletedCheckpointStore(
            storage,
            retained=choice.num_retained,
            result=marker,
            pointer=pointer,
            resolve=self.resolve,
        )
        if marker is not None and self._has_finished(marker):
            store.recover()
            return store, marker.url
        if self.identity.resume:
            self._recover(store, commits=commits)
        path = configuration.get(execution.SAVEPOINT_PATH)
        if path is not None and store.latest is None:
            claimed = configuration.get(execution.CLAIM_MODE) is RecoveryClaimMode.CLAIM
            mode = RestoreMode.CLAIM if claimed else RestoreMode.NO_CLAIM
            store.restore(load_checkpoint(path, resolve=self.resolve), mode)
        return store, None

    def _pointer(self, available: HighAvailability) -> RecoveryPointer:
        url = join(available.directory, "latest", self.identity.job_id)
        return RecoveryPointer(url, resolve=self.resolve, retry=Retry(clock=self.clock))

    def _result_marker(self, storage: CheckpointStorage) -> ResultMarker | None:
        """Return it for a job with a name that a later process can know."""
        if not self.identity.is_named or storage.directory is None:
            return None
        url = f"{storage.directory.url}/{RESULT_FILE_NAME}"
        return ResultMarker(url, self.identity.job_id, resolve=self.resolve)

    def _has_finished(self, marker: ResultMarker) -> bool:
        if not self.identity.resume:
            marker.clear()
            return False
        return marker.is_finished()

    @staticmethod
    def _recover(store: CompletedCheckpointStore, *, commits: bool) -> None:
        damaged = store.recover()
        if damaged and (commits or store.latest is None):
            # To go on from an older one, or anew, would repeat what was made visible already.
            error = damaged[-1]
            error.hint = (
                "Results up to this checkpoint may be visible already. To go on from an older one "
                "all the same, name it: --from-savepoint PATH."
            )
            raise error

    def _storage(self, choice: BackendChoice) -> CheckpointStorage:
        if choice.storage is StorageKind.CUSTOM:
            raise ConfigurationError(
                f"The checkpoint storage {choice.custom_storage!r} is not known.",
                hint="Use jobmanager or filesystem; URLs of any scheme that fsspec speaks are "
                "directories of the file system storage.",
            )
        if choice.storage is StorageKind.JOB_MANAGER:
            return JobManagerCheckpointStorage(
                self.identity.job_id,
                max_state_size_bytes=choice.max_state_size_bytes,
                checkpoint_root_url=choice.checkpoint_directory,
                savepoint_directory=choice.savepoint_directory,
                resolve=self.resolve,
                random=self.random,
                retry=Retry(clock=self.clock),
            )
        assert choice.checkpoint_directory is not None
        return FileSystemCheckpointStorage(
            choice.checkpoint_directory,
            self.identity.job_id,
            savepoint_directory=choice.savepoint_directory,
            inline_threshold_bytes=choice.inline_threshold_bytes,
            write_buffer_bytes=choice.write_buffer_size_bytes,
            create_subdirectory=choice.create_subdirectory,
            resolve=self.resolve,
            random=self.random,
            retry=Retry(clock=self.clock),
        )


def compile_program(program: Program) -> JobGraph:
    """Return the job graph of a program.

    Raises:
        InvalidProgramError: the program is not valid.
        ConfigurationError: an option is not valid.
    """
    configuration = program.configuration
    return compile_job(
        program.job, _compiler_options(configuration), _job_parameters(configuration)
    )


def _compiler_options(configuration: Configuration) -> CompilerOptions:
    maximum = configuration.get(execution_options.MAX_PARALLELISM)
    return CompilerOptions(
        parallelism=configuration.get(execution_options.DEFAULT_PARALLELISM),
        max_parallelism=None if maximum == -1 else maximum,
        chaining=configuration.get(execution.OPERATOR_CHAINING),
        # What is behind a source in its chain is at work until the whole batch is: a barrier could
        # not overtake anything there.
        sources_end_chains=configuration.get(checkpointing.UNALIGNED),
        mode=configuration.get(execution.RUNTIME_MODE),
        auto_generate_uids=configuration.get(execution_options.AUTO_GENERATE_UIDS),
        generic_types=configuration.get(execution_options.GENERIC_TYPES),
    )


def _last_checkpoint_only(choice: BackendChoice, *, is_named: bool) -> BackendChoice:
    """Return what BATCH mode uses: one key at a time on the heap, as in Flink.

    There is no checkpoint but the last one, which holds what sinks are about to commit. Who starts
    the job again by its name finds it, and not those that it took in STREAMING mode.
    """
    choice = replace(choice, store=Store.HEAP, is_incremental=False)
    if choice.storage is StorageKind.CUSTOM:
        return choice
    root = choice.checkpoint_directory
    keeps = is_named and root is not None
    return replace(
        choice,
        storage=StorageKind.FILE_SYSTEM if keeps else StorageKind.JOB_MANAGER,
        checkpoint_directory=join(root, "batch") if keeps and root is not None else None,
        max_state_size_bytes=_UNLIMITED,
        frame_size_bytes=_UNLIMITED,
        memory_size_bytes=_UNLIMITED,
    )


def _refuse_memory_of_another_process(choice: BackendChoice) -> None:
    url = choice.checkpoint_directory
    if choice.storage is StorageKind.FILE_SYSTEM and url is not None and scheme_of(url) == "memory":
        raise ConfigurationError(
            "memory:// is the memory of one process, and the tasks run in a process of their own.",
            hint="Use a directory, or MemoryStateBackend, whose snapshots the parent keeps; or run "
            "the program with python instead of millpond run.",
            path=url,
        )


def _refuse_savepoint(configuration: Configuration) -> None:
    path = configuration.get(execution.SAVEPOINT_PATH)
    if path is not None:
        raise ConfigurationError(
            "A job in BATCH mode cannot start from a savepoint.",
            hint="Run it with execution.runtime-mode STREAMING.",
            path=path,
        )


def _job_parameters(configuration: Configuration) -> dict[str, str]:
    parameters: dict[str, str] = configuration.get(execution_options.GLOBAL_JOB_PARAMETERS) or {}
    return dict(parameters)
