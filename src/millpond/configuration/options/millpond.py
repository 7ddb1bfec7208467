"""Options that only Millpond has."""

from __future__ import annotations

from millpond.common.config_options import ConfigOptions
from millpond.common.option_range import at_least
from millpond.configuration.registered_option import RegisteredOption, works

__all__ = ("BATCH_SIZE", "OPTIONS", "SORT_MEMORY", "SAVEPOINT_ON_SIGTERM")

BATCH_SIZE = at_least(
    ConfigOptions.key("millpond.batch-size")
    .int_type()
    .default_value(2048)
    .with_description(
        "How many records a source hands on at once. Watermarks follow batches, so a job that "
        "is to repeat its results exactly must keep the number."
    ),
    1,
)
SAVEPOINT_ON_SIGTERM = (
    ConfigOptions.key("millpond.savepoint-on-sigterm")
    .boolean_type()
    .default_value(True)
    .with_description(
        "Whether SIGTERM stops a job with a savepoint where execution.checkpointing.savepoint-dir "
        "is set. Without, the job is suspended: its latest checkpoint stays."
    )
)

SORT_MEMORY = (
    ConfigOptions.key("millpond.sort-memory")
    .memory_type()
    .default_value(64 * 1024 * 1024)
    .with_description(
        "How much memory the sort of one operator's input may take in BATCH mode, about; what "
        "exceeds it is sorted on disk."
    )
)

OPTIONS: tuple[RegisteredOption, ...] = (
    works(BATCH_SIZE, "batches of sources end at multiples of it"),
    works(SORT_MEMORY, "sorted runs go to the temporary directory beyond it"),
    works(SAVEPOINT_ON_SIGTERM, "SIGTERM stops the job with a savepoint, or only suspends it"),
)
