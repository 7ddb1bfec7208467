"""Options that choose the state backend and where snapshots are stored."""

from __future__ import annotations

from millpond.common.config_options import ConfigOptions
from millpond.common.option_range import at_least
from millpond.configuration.registered_option import RegisteredOption, without_meaning, works

__all__ = (
    "ASYNCHRONOUS_SNAPSHOTS",
    "CHECKPOINT_DIRECTORY",
    "CHECKPOINT_STORAGE",
    "CREATE_SUBDIRECTORY",
    "DATA_INLINE_THRESHOLD",
    "INCREMENTAL_CHECKPOINTS",
    "JOB_MANAGER_MEMORY_SIZE",
    "LOCAL_BACKUP",
    "LOCAL_BACKUP_DIRECTORIES",
    "LOCAL_RECOVERY",
    "NUM_RETAINED_CHECKPOINTS",
    "OPTIONS",
    "PARALLEL_CLEANUP",
    "RPC_FRAME_SIZE",
    "SAVEPOINT_DIRECTORY",
    "STATE_BACKEND",
    "WRITE_BUFFER_SIZE",
)

_key = ConfigOptions.key

STATE_BACKEND = (
    _key("state.backend.type")
    .string_type()
    .no_default_value()
    .with_deprecated_keys("state.backend")
    .with_description(
        "Where working state lives: `jobmanager` and `filesystem` (heap), `hashmap` (heap), "
        "`rocksdb`, or the class name of a factory. Unset means the memory backend."
    )
)
CHECKPOINT_STORAGE = (
    _key("execution.checkpointing.storage")
    .string_type()
    .no_default_value()
    .with_deprecated_keys("state.checkpoint-storage")
    .with_description(
        "Where snapshots go: `jobmanager`, `filesystem` or a class name. Unset: `filesystem` when "
        "a checkpoint directory is set, else `jobmanager`. The memory, file system and 1.12 "
        "backends are their own storage."
    )
)
CHECKPOINT_DIRECTORY = (
    _key("execution.checkpointing.dir")
    .string_type()
    .no_default_value()
    .with_deprecated_keys("state.checkpoints.dir", "state.backend.fs.checkpointdir")
    .with_description("Directory or URL for checkpoint data and metadata.")
)
SAVEPOINT_DIRECTORY = (
    _key("execution.checkpointing.savepoint-dir")
    .string_type()
    .no_default_value()
    .with_deprecated_keys("state.savepoints.dir", "savepoints.state.backend.fs.dir")
    .with_description("Default directory or URL for savepoints.")
)
CREATE_SUBDIRECTORY = (
    _key("execution.checkpointing.create-subdir")
    .boolean_type()
    .default_value(True)
    .with_deprecated_keys("state.checkpoints.create-subdir")
    .with_description("Put the checkpoints of a job below a directory named by its job id.")
)
NUM_RETAINED_CHECKPOINTS = at_least(
    _key("execution.checkpointing.num-retained")
    .int_type()
    .default_value(1)
    .with_deprecated_keys("state.checkpoints.num-retained")
    .with_description("How many completed checkpoints are kept."),
    1,
)
PARALLEL_CLEANUP = (
    _key("execution.checkpointing.cleaner.parallel-mode")
    .boolean_type()
    .default_value(True)
    .with_deprecated_keys("state.checkpoint.cleaner.parallel-mode")
    .with_description("Delete the files of a discarded checkpoint in parallel.")
)
ASYNCHRONOUS_SNAPSHOTS = (
    _key("state.backend.async")
    .boolean_type()
    .default_value(True)
    .with_description("Write heap snapshots in the background; RocksDB always does.")
)
INCREMENTAL_CHECKPOINTS = (
    _key("execution.checkpointing.incremental")
    .boolean_type()
    .default_value(False)
    .with_deprecated_keys("state.backend.incremental")
    .with_description("Store only what changed since the last complete checkpoint.")
)
DATA_INLINE_THRESHOLD = (
    _key("execution.checkpointing.data-inline-threshold")
    .memory_type()
    .default_value(20 * 1024)
    .with_deprecated_keys("state.storage.fs.memory-threshold", "state.backend.fs.memory-threshold")
    .with_description("State streams up to this size go into the metadata instead of a file.")
    .with_constraint("at most 1 mb", lambda size: size <= 1024 * 1024)
)
WRITE_BUFFER_SIZE = at_least(
    _key("execution.checkpointing.write-buffer-size")
    .int_type()
    .default_value(4096)
    .with_deprecated_keys(
        "state.storage.fs.write-buffer-size", "state.backend.fs.write-buffer-size"
    )
    .with_description(
        "Write buffer of checkpoint streams in bytes; the larger of this and the inline "
        "threshold is used."
    ),
    1,
)
LOCAL_RECOVERY = (
    _key("execution.state-recovery.from-local")
    .boolean_type()
    .default_value(False)
    .with_deprecated_keys("state.backend.local-recovery")
    .with_description("Restore keyed state from a copy on the local disk.")
)
LOCAL_BACKUP = (
    _key("execution.checkpointing.local-backup.enabled")
    .boolean_type()
    .default_value(False)
    .with_fallback_keys("execution.state-recovery.from-local")
    .with_deprecated_keys("state.backend.local-recovery")
    .with_description("Keep a copy of the latest checkpoint's keyed state on the local disk.")
)
LOCAL_BACKUP_DIRECTORIES = (
    _key("execution.checkpointing.local-backup.dirs")
    .string_type()
    .no_default_value()
    .with_deprecated_keys("taskmanager.state.local.root-dirs")
    .with_description("Directories of the local copies.")
)
RPC_FRAME_SIZE = (
    _key("pekko.framesize")
    .memory_type()
    .default_value(10_485_760)
    .with_deprecated_keys("akka.framesize")
    .with_description("Largest message to the job manager; bounds the memory backend's snapshots.")
    .with_constraint("greater than 0", lambda size: size > 0)
)
JOB_MANAGER_MEMORY_SIZE = (
    _key("jobmanager.memory.heap.size")
    .memory_type()
    .default_value(1024**3)
    .with_deprecated_keys("jobmanager.heap.size")
    .with_description("Memory that the snapshots of one checkpoint in the job manager may take.")
    .with_constraint("greater than 0", lambda size: size > 0)
)

_FILE_MERGING = "execution.checkpointing.file-merging."
_NO_FILE_MERGING = (
    "the snapshot of a subtask is one stream already, and small ones stand in the metadata; there "
    "is nothing to merge"
)
OPTIONS: tuple[RegisteredOption, ...] = (
    works(STATE_BACKEND, "chooses the store and, in 1.12's spelling, the checkpoint storage"),
    works(CHECKPOINT_STORAGE, "chooses the checkpoint storage", since="1.13"),
    works(CHECKPOINT_DIRECTORY, "root of `<job id>/chk-<n>`, `shared` and `taskowned`"),
    works(SAVEPOINT_DIRECTORY, "target of savepoints that name no directory"),
    works(CREATE_SUBDIRECTORY, "leaves the job-id level out when false", since="1.20"),
    works(NUM_RETAINED_CHECKPOINTS, "older completed checkpoints are deleted"),
    without_meaning(
        PARALLEL_CLEANUP, "files are deleted in the background by one thread", since="1.20"
    ),
    works(ASYNCHRONOUS_SNAPSHOTS, "false writes heap snapshots in the task thread", until="1.13"),
    works(INCREMENTAL_CHECKPOINTS, "checkpoints write new SST files, or the keys that changed"),
    works(DATA_INLINE_THRESHOLD, "smaller state streams are stored in `_metadata`"),
    works(WRITE_BUFFER_SIZE, "buffer of checkpoint streams"),
    works(LOCAL_RECOVERY, "a replaced worker reads verified copies on this machine first"),
    works(LOCAL_BACKUP, "as `execution.state-recovery.from-local`", since="1.20"),
    works(LOCAL_BACKUP_DIRECTORIES, "the first one holds `jid_<job id>`"),
    works(RPC_FRAME_SIZE, "largest acknowledgement that the memory backend may send"),
    works(
        JOB_MANAGER_MEMORY_SIZE, "bound on all state of a checkpoint that the memory backend keeps"
    ),
    *(
        without_meaning(option, _NO_FILE_MERGING, since="1.20")
        for option in (
            _key(_FILE_MERGING + "enabled").boolean_type().default_value(False),
            _key(_FILE_MERGING + "across-checkpoint-boundary").boolean_type().default_value(False),
            _key(_FILE_MERGING + "max-file-size").memory_type().default_value(32 * 1024**2),
            _key(_FILE_MERGING + "pool-blocking").boolean_type().default_value(False),
            _key(_FILE_MERGING + "max-subtasks-per-file").int_type().default_value(4),
            _key(_FILE_MERGING + "max-space-amplification").float_type().default_value(2.0),
        )
    ),
)
