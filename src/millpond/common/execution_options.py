"""The options behind `ExecutionConfig`; the registry describes them with all others."""

from __future__ import annotations

from millpond.common.config_options import ConfigOptions
from millpond.common.option_range import positive

__all__ = (
    "AUTO_GENERATE_UIDS",
    "AUTO_WATERMARK_INTERVAL",
    "CANCELLATION_INTERVAL",
    "CANCELLATION_TIMEOUT",
    "CLOSURE_CLEANER_LEVEL",
    "DEFAULT_PARALLELISM",
    "FORCE_AVRO",
    "FORCE_KRYO",
    "GENERIC_TYPES",
    "GLOBAL_JOB_PARAMETERS",
    "LATENCY_INTERVAL",
    "MAX_PARALLELISM",
    "OBJECT_REUSE",
    "SNAPSHOT_COMPRESSION",
)

_key = ConfigOptions.key

DEFAULT_PARALLELISM = positive(
    _key("parallelism.default")
    .int_type()
    .default_value(1)
    .with_description("Parallelism of operators that set none.")
)
MAX_PARALLELISM = (
    _key("pipeline.max-parallelism")
    .int_type()
    .default_value(-1)
    .with_description("Number of key groups; -1: derived from the parallelism.")
    .with_constraint("-1 or from 1 to 32768", lambda value: value == -1 or 1 <= value <= 32768)
)
AUTO_WATERMARK_INTERVAL = (
    _key("pipeline.auto-watermark-interval")
    .duration_type()
    .default_value(200)
    .with_description("Time between periodic watermarks; 0 turns them off.")
)
AUTO_GENERATE_UIDS = (
    _key("pipeline.auto-generate-uids")
    .boolean_type()
    .default_value(True)
    .with_description("Derive ids of operators without `uid` from the graph; false: refuse them.")
)
OBJECT_REUSE = (
    _key("pipeline.object-reuse")
    .boolean_type()
    .default_value(False)
    .with_description("Pass records between chained operators without copies.")
)
SNAPSHOT_COMPRESSION = (
    _key("execution.checkpointing.snapshot-compression")
    .boolean_type()
    .default_value(False)
    .with_description("Compress full snapshots with Snappy.")
)
GLOBAL_JOB_PARAMETERS = (
    _key("pipeline.global-job-parameters")
    .map_type()
    .default_value({})
    .with_description("Parameters that every function can read from its runtime context.")
)
CANCELLATION_INTERVAL = (
    _key("task.cancellation.interval")
    .duration_type()
    .default_value(30_000)
    .with_deprecated_keys("task.cancellation-interval")
    .with_description("Time between attempts to interrupt a task that is cancelled.")
)
CANCELLATION_TIMEOUT = (
    _key("task.cancellation.timeout")
    .duration_type()
    .default_value(180_000)
    .with_description("Time after which a task that is cancelled counts as stuck.")
)
LATENCY_INTERVAL = (
    _key("metrics.latency.interval")
    .duration_type()
    .default_value(0)
    .with_description("Time between latency markers; 0: none.")
)
CLOSURE_CLEANER_LEVEL = (
    _key("pipeline.closure-cleaner-level")
    .string_type()
    .default_value("RECURSIVE")
    .with_description("How Java closures are cleaned.")
)
FORCE_KRYO = _key("pipeline.force-kryo").boolean_type().default_value(False)
FORCE_AVRO = _key("pipeline.force-avro").boolean_type().default_value(False)
GENERIC_TYPES = (
    _key("pipeline.generic-types")
    .boolean_type()
    .default_value(True)
    .with_description("Let keys and state without a declared type be pickled.")
)
