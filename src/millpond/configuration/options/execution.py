"""Options of execution and pipeline: mode, parallelism, watermarks, chaining, recovery."""

from __future__ import annotations

import enum

from millpond.common.config_options import ConfigOptions
from millpond.common.execution_options import (
    AUTO_GENERATE_UIDS,
    AUTO_WATERMARK_INTERVAL,
    CLOSURE_CLEANER_LEVEL,
    DEFAULT_PARALLELISM,
    FORCE_AVRO,
    FORCE_KRYO,
    GENERIC_TYPES,
    GLOBAL_JOB_PARAMETERS,
    LATENCY_INTERVAL,
    MAX_PARALLELISM,
    OBJECT_REUSE,
)
from millpond.configuration.registered_option import (
    RegisteredOption,
    without_meaning,
    works,
)

__all__ = (
    "ALLOW_NON_RESTORED_STATE",
    "AUTO_GENERATE_UIDS",
    "AUTO_WATERMARK_INTERVAL",
    "BUFFER_TIMEOUT",
    "BUFFER_TIMEOUT_ENABLED",
    "CLAIM_MODE",
    "DEFAULT_PARALLELISM",
    "GLOBAL_JOB_PARAMETERS",
    "JOB_NAME",
    "MAX_PARALLELISM",
    "OBJECT_REUSE",
    "OPERATOR_CHAINING",
    "OPTIONS",
    "RUNTIME_MODE",
    "SAVEPOINT_PATH",
    "TEMPORARY_DIRECTORIES",
    "RecoveryClaimMode",
    "RuntimeExecutionMode",
)

_key = ConfigOptions.key


class RuntimeExecutionMode(enum.Enum):
    """How a job is executed: continuously, or in stages over bounded input."""

    STREAMING = 0
    BATCH = 1
    AUTOMATIC = 2


class RecoveryClaimMode(enum.Enum):
    """Who owns the snapshot that a job starts from."""

    CLAIM = 0
    NO_CLAIM = 1
    LEGACY = 2


RUNTIME_MODE = (
    _key("execution.runtime-mode")
    .enum_type(RuntimeExecutionMode)
    .default_value(RuntimeExecutionMode.STREAMING)
    .with_description("How the job is executed.")
)
BUFFER_TIMEOUT = (
    _key("execution.buffer-timeout.interval")
    .duration_type()
    .default_value(100)
    .with_deprecated_keys("execution.buffer-timeout")
    .with_description("Time after which a batch that is not full is passed on.")
)
BUFFER_TIMEOUT_ENABLED = (
    _key("execution.buffer-timeout.enabled")
    .boolean_type()
    .default_value(True)
    .with_description("Pass on batches that are not full after the interval.")
)
OPERATOR_CHAINING = (
    _key("pipeline.operator-chaining.enabled")
    .boolean_type()
    .default_value(True)
    .with_deprecated_keys("pipeline.operator-chaining")
    .with_description("Run consecutive operators as one task.")
)
JOB_NAME = (
    _key("pipeline.name")
    .string_type()
    .no_default_value()
    .with_description("Name of the job, where the program gives none.")
)
TEMPORARY_DIRECTORIES = (
    _key("io.tmp.dirs")
    .string_type()
    .no_default_value()
    .with_deprecated_keys("taskmanager.tmp.dirs")
    .with_description("Temporary directories; unset: the system's.")
)
SAVEPOINT_PATH = (
    _key("execution.state-recovery.path")
    .string_type()
    .no_default_value()
    .with_deprecated_keys("execution.savepoint.path")
    .with_description("Savepoint or retained checkpoint to start from.")
)
ALLOW_NON_RESTORED_STATE = (
    _key("execution.state-recovery.ignore-unclaimed-state")
    .boolean_type()
    .default_value(False)
    .with_deprecated_keys("execution.savepoint.ignore-unclaimed-state")
    .with_description("Drop state of the snapshot that no operator of the job claims.")
)
CLAIM_MODE = (
    _key("execution.state-recovery.claim-mode")
    .enum_type(RecoveryClaimMode)
    .default_value(RecoveryClaimMode.NO_CLAIM)
    .with_deprecated_keys("execution.savepoint-restore-mode")
    .with_description("Who owns the snapshot that the job starts from.")
)

_NO_CHANNEL_STATE = "snapshots of Millpond hold no records in flight"
_NO_JAVA = "it shapes Java's serialization, which Millpond does not use"
_NO_BUFFER = "a source hands on what it has read at once; no record waits for a batch to fill"
_ONE_STORE = "bounded jobs run on the same stores and operators as unbounded ones"

OPTIONS: tuple[RegisteredOption, ...] = (
    works(RUNTIME_MODE, "BATCH sorts the input of keyed operators and gives final results only"),
    works(DEFAULT_PARALLELISM, "parallelism of the job graph"),
    works(MAX_PARALLELISM, "number of key groups of every operator"),
    works(
        AUTO_WATERMARK_INTERVAL,
        "0 turns watermarks off, but those a generator emits for a record; else they follow source "
        "positions, not the clock, so that a recovered run equals a calm one; a generator of the "
        "user's is called at this interval while no records come",
        default_in_1_12="0 s",
    ),
    works(AUTO_GENERATE_UIDS, "false refuses operators without uid when the graph is made"),
    without_meaning(
        OBJECT_REUSE, "records are never copied between chained operators, as with true in Flink"
    ),
    works(OPERATOR_CHAINING, "chains of the job graph"),
    without_meaning(
        _key("pipeline.time-characteristic").string_type().default_value("EventTime"),
        "every operator says itself whether it works in event or processing time",
        until="1.20",
        default_in_1_12="ProcessingTime",
    ),
    works(GLOBAL_JOB_PARAMETERS, "`RuntimeContext.get_job_parameter`"),
    works(JOB_NAME, "name of the job in output and snapshots", since="1.12"),
    without_meaning(BUFFER_TIMEOUT, _NO_BUFFER),
    without_meaning(BUFFER_TIMEOUT_ENABLED, _NO_BUFFER, since="1.16"),
    works(TEMPORARY_DIRECTORIES, "where databases go unless RocksDB has its own directories"),
    works(SAVEPOINT_PATH, "the snapshot that is restored at the start"),
    works(ALLOW_NON_RESTORED_STATE, "unclaimed state is dropped instead of refused"),
    works(
        CLAIM_MODE,
        "whether old files may be deleted. `LEGACY` is `NO_CLAIM`: a job never needs the files of "
        "a snapshot that it does not own",
        since="1.15",
    ),
    without_meaning(
        _key("execution.state-recovery.approximate-local-recovery")
        .boolean_type()
        .default_value(False)
        .with_deprecated_keys("execution.checkpointing.approximate-local-recovery"),
        "recovery is always exact",
    ),
    without_meaning(
        _key("execution.state-recovery.without-channel-state.checkpoint-id")
        .long_type()
        .default_value(-1)
        .with_deprecated_keys(
            "execution.checkpointing.recover-without-channel-state.checkpoint-id"
        ),
        _NO_CHANNEL_STATE,
        since="1.14",
    ),
    without_meaning(
        _key("execution.batch-state-backend.enabled").boolean_type().default_value(True),
        _ONE_STORE,
    ),
    without_meaning(
        _key("execution.sorted-inputs.enabled").boolean_type().default_value(True),
        _ONE_STORE,
    ),
    *(
        without_meaning(option, _NO_JAVA)
        for option in (CLOSURE_CLEANER_LEVEL, FORCE_KRYO, FORCE_AVRO)
    ),
    works(
        GENERIC_TYPES,
        "false refuses keys and state that would be pickled: what the program and its functions "
        "hold when the graph is made, descriptors that `open` makes before the first record",
    ),
    without_meaning(LATENCY_INTERVAL, "there are no latency markers"),
)
