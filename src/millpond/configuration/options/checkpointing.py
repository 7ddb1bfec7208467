"""Options of the checkpoint life cycle."""

from __future__ import annotations

import enum

from millpond.common.config_options import ConfigOptions
from millpond.common.execution_options import SNAPSHOT_COMPRESSION
from millpond.common.option_range import at_least
from millpond.configuration.registered_option import (
    RegisteredOption,
    without_meaning,
    works,
)

__all__ = (
    "ALIGNED_CHECKPOINT_TIMEOUT",
    "CHECKPOINTING_MODE",
    "CHECKPOINTS_AFTER_TASKS_FINISH",
    "CHECKPOINT_INTERVAL",
    "CHECKPOINT_TIMEOUT",
    "EXTERNALIZED_RETENTION",
    "FORCE_UNALIGNED",
    "MAX_CONCURRENT_CHECKPOINTS",
    "MIN_PAUSE",
    "OPTIONS",
    "PREFER_CHECKPOINT_FOR_RECOVERY",
    "SNAPSHOT_COMPRESSION",
    "TOLERABLE_FAILED_CHECKPOINTS",
    "UNALIGNED",
    "UNLIMITED_FAILURES",
    "CheckpointingMode",
    "ExternalizedCheckpointRetention",
)

_key = ConfigOptions.key
_PREFIX = "execution.checkpointing."

UNLIMITED_FAILURES = 2**31 - 1


class CheckpointingMode(enum.Enum):
    """What a checkpoint guarantees after a recovery."""

    EXACTLY_ONCE = 0
    AT_LEAST_ONCE = 1


class ExternalizedCheckpointRetention(enum.Enum):
    """What becomes of the retained checkpoints when a job ends other than by finishing."""

    DELETE_ON_CANCELLATION = 0
    RETAIN_ON_CANCELLATION = 1
    NO_EXTERNALIZED_CHECKPOINTS = 2


CHECKPOINT_INTERVAL = at_least(
    _key(_PREFIX + "interval")
    .duration_type()
    .no_default_value()
    .with_description("Time between checkpoints; unset: no checkpoints."),
    10,
    "ms",
)
CHECKPOINTING_MODE = (
    _key(_PREFIX + "mode")
    .enum_type(CheckpointingMode)
    .default_value(CheckpointingMode.EXACTLY_ONCE)
    .with_description("The guarantee: exactly once or at least once.")
)
CHECKPOINT_TIMEOUT = at_least(
    _key(_PREFIX + "timeout")
    .duration_type()
    .default_value(600_000)
    .with_description("A checkpoint that takes longer is aborted."),
    10,
    "ms",
)
MAX_CONCURRENT_CHECKPOINTS = at_least(
    _key(_PREFIX + "max-concurrent-checkpoints")
    .int_type()
    .default_value(1)
    .with_description("How many checkpoints may run at once; a minimum pause makes it 1."),
    1,
)
MIN_PAUSE = (
    _key(_PREFIX + "min-pause")
    .duration_type()
    .default_value(0)
    .with_description("Time between the end of a checkpoint and the start of the next.")
)
PREFER_CHECKPOINT_FOR_RECOVERY = (
    _key(_PREFIX + "prefer-checkpoint-for-recovery")
    .boolean_type()
    .default_value(False)
    .with_description("Recover from the latest checkpoint even if a savepoint is newer.")
)
TOLERABLE_FAILED_CHECKPOINTS = at_least(
    _key(_PREFIX + "tolerable-failed-checkpoints")
    .int_type()
    .default_value(0)
    .with_description(
        f"How many checkpoints in a row may fail before the job does; {UNLIMITED_FAILURES} means "
        "any number."
    ),
    0,
)
EXTERNALIZED_RETENTION = (
    _key(_PREFIX + "externalized-checkpoint-retention")
    .enum_type(ExternalizedCheckpointRetention)
    .default_value(ExternalizedCheckpointRetention.NO_EXTERNALIZED_CHECKPOINTS)
    .with_description("What becomes of the retained checkpoints when the job is cancelled.")
)
UNALIGNED = (
    _key(_PREFIX + "unaligned.enabled")
    .boolean_type()
    .default_value(False)
    .with_deprecated_keys("execution.checkpointing.unaligned")
    .with_description("Barriers overtake records; only with exactly once.")
)
ALIGNED_CHECKPOINT_TIMEOUT = (
    _key(_PREFIX + "aligned-checkpoint-timeout")
    .duration_type()
    .default_value(0)
    .with_deprecated_keys("execution.checkpointing.alignment-timeout")
    .with_description("Start aligned and go unaligned after this time; 0 means at once.")
)
FORCE_UNALIGNED = (
    _key(_PREFIX + "unaligned.forced")
    .boolean_type()
    .default_value(False)
    .with_description("Allow unaligned checkpoints with custom partitioners.")
)
CHECKPOINTS_AFTER_TASKS_FINISH = (
    _key(_PREFIX + "checkpoints-after-tasks-finish")
    .boolean_type()
    .default_value(True)
    .with_deprecated_keys("execution.checkpointing.checkpoints-after-tasks-finish.enabled")
    .with_description("Go on taking checkpoints when some tasks have finished.")
)

_DRAINED = "channels of one process are queues of batches, written in one piece for each subtask"

OPTIONS: tuple[RegisteredOption, ...] = (
    works(CHECKPOINT_INTERVAL, "the coordinator's period"),
    without_meaning(
        _key(_PREFIX + "interval-during-backlog")
        .duration_type()
        .no_default_value()
        .with_description("Time between checkpoints while a source reports a backlog."),
        "no source of Millpond reports a backlog",
        since="1.19",
    ),
    works(CHECKPOINTING_MODE, "with at least once, barriers block no channel"),
    works(CHECKPOINT_TIMEOUT, "the coordinator aborts the checkpoint"),
    works(MAX_CONCURRENT_CHECKPOINTS, "further triggers wait"),
    works(MIN_PAUSE, "the coordinator's pause between checkpoints"),
    without_meaning(
        PREFER_CHECKPOINT_FOR_RECOVERY,
        "recovery never uses a savepoint except the one the job started from, as since Flink 1.15",
        until="1.14",
    ),
    works(TOLERABLE_FAILED_CHECKPOINTS, "more failures in a row fail the job"),
    works(
        EXTERNALIZED_RETENTION,
        "which checkpoints outlive a cancelled or failed job",
        default_in_1_12="(none)",
    ),
    works(UNALIGNED, "checkpoints are taken in the middle of a cycle, with what channels hold"),
    works(ALIGNED_CHECKPOINT_TIMEOUT, "from this age on a checkpoint overtakes records"),
    works(
        FORCE_UNALIGNED,
        "custom partitioners do not keep checkpoints aligned",
        default_in_1_12="true",
    ),
    without_meaning(
        _key(_PREFIX + "unaligned.interruptible-timers.enabled")
        .boolean_type()
        .default_value(False),
        _DRAINED,
        since="1.20",
    ),
    without_meaning(
        _key(_PREFIX + "unaligned.max-subtasks-per-channel-state-file").int_type().default_value(5),
        _DRAINED,
        since="1.17",
    ),
    without_meaning(
        _key(_PREFIX + "unaligned.recover-output-on-downstream.enabled")
        .boolean_type()
        .default_value(False),
        _DRAINED,
        since="2.0",
    ),
    without_meaning(
        _key(_PREFIX + "during-recovery.enabled").boolean_type().default_value(False),
        "recovery restores no channel state, so it is over before the first checkpoint",
        since="2.0",
    ),
    without_meaning(
        CHECKPOINTS_AFTER_TASKS_FINISH,
        "a task whose input has ended stays and takes part in every checkpoint",
        since="1.14",
    ),
    without_meaning(
        _key("pipeline.sources.pause-until-first-checkpoint").boolean_type().default_value(False),
        "sources are replayable, so the time before the first checkpoint is safe",
        since="2.0",
    ),
    works(SNAPSHOT_COMPRESSION, "key groups of full snapshots are Snappy streams"),
)
