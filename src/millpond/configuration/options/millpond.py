"""Options that only Millpond has."""

from __future__ import annotations

from millpond.common.config_options import ConfigOptions
from millpond.common.option_range import at_least
from millpond.configuration.registered_option import RegisteredOption, works

__all__ = ("BATCH_SIZE", "OPTIONS")

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

OPTIONS: tuple[RegisteredOption, ...] = (
    works(BATCH_SIZE, "batches of sources end at multiples of it"),
)
