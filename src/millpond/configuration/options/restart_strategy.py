"""Options of the restart strategies."""

from __future__ import annotations

from millpond.common.config_options import ConfigOptions
from millpond.common.option_range import at_least
from millpond.configuration.registered_option import RegisteredOption, works

__all__ = (
    "EXPONENTIAL_ATTEMPTS",
    "EXPONENTIAL_INITIAL_BACKOFF",
    "EXPONENTIAL_JITTER_FACTOR",
    "EXPONENTIAL_MAX_BACKOFF",
    "EXPONENTIAL_MULTIPLIER",
    "EXPONENTIAL_RESET_THRESHOLD",
    "FAILURE_RATE_DELAY",
    "FAILURE_RATE_INTERVAL",
    "FAILURE_RATE_MAX_FAILURES",
    "FIXED_DELAY",
    "FIXED_DELAY_ATTEMPTS",
    "OPTIONS",
    "RESTART_STRATEGY",
)

_key = ConfigOptions.key
_FIXED = "restart-strategy.fixed-delay."
_RATE = "restart-strategy.failure-rate."
_EXPONENTIAL = "restart-strategy.exponential-delay."

RESTART_STRATEGY = (
    _key("restart-strategy.type")
    .string_type()
    .no_default_value()
    .with_deprecated_keys("restart-strategy")
    .with_description(
        "`none`, `off` or `disable`; `fixed-delay`; `failure-rate`; `exponential-delay`. Unset: "
        "no restart without checkpoints, `exponential-delay` with them."
    )
)
FIXED_DELAY_ATTEMPTS = at_least(
    _key(_FIXED + "attempts")
    .int_type()
    .default_value(1)
    .with_description("How often the job is restarted."),
    0,
)
FIXED_DELAY = (
    _key(_FIXED + "delay")
    .duration_type()
    .default_value(1000)
    .with_description("Time before each restart.")
)
FAILURE_RATE_MAX_FAILURES = at_least(
    _key(_RATE + "max-failures-per-interval")
    .int_type()
    .default_value(1)
    .with_description("Failures within the interval that are followed by a restart."),
    0,
)
FAILURE_RATE_INTERVAL = at_least(
    _key(_RATE + "failure-rate-interval")
    .duration_type()
    .default_value(60_000)
    .with_description("The interval in which failures are counted."),
    1,
    "ms",
)
FAILURE_RATE_DELAY = (
    _key(_RATE + "delay")
    .duration_type()
    .default_value(1000)
    .with_description("Time before each restart.")
)
EXPONENTIAL_INITIAL_BACKOFF = at_least(
    _key(_EXPONENTIAL + "initial-backoff")
    .duration_type()
    .default_value(1000)
    .with_description("Time before the first restart."),
    1,
    "ms",
)
EXPONENTIAL_MAX_BACKOFF = at_least(
    _key(_EXPONENTIAL + "max-backoff")
    .duration_type()
    .default_value(60_000)
    .with_description("Longest time before a restart."),
    1,
    "ms",
)
EXPONENTIAL_MULTIPLIER = at_least(
    _key(_EXPONENTIAL + "backoff-multiplier")
    .double_type()
    .default_value(1.5)
    .with_description("Factor from one restart to the next."),
    1,
)
EXPONENTIAL_RESET_THRESHOLD = at_least(
    _key(_EXPONENTIAL + "reset-backoff-threshold")
    .duration_type()
    .default_value(3_600_000)
    .with_description("Time without failure after which the first delay applies again."),
    1,
    "ms",
)
EXPONENTIAL_JITTER_FACTOR = (
    _key(_EXPONENTIAL + "jitter-factor")
    .double_type()
    .default_value(0.1)
    .with_description("Share of the delay that is added or taken at random.")
    .with_constraint("from 0 to 1", lambda value: 0 <= value <= 1)
)
EXPONENTIAL_ATTEMPTS = at_least(
    _key(_EXPONENTIAL + "attempts-before-reset-backoff")
    .int_type()
    .default_value(2**31 - 1)
    .with_description("Restarts without such a calm time before the job fails."),
    0,
)

OPTIONS: tuple[RegisteredOption, ...] = (
    works(RESTART_STRATEGY, "the job manager's restarts after a failure"),
    works(FIXED_DELAY_ATTEMPTS, "fixed delay: number of restarts"),
    works(FIXED_DELAY, "fixed delay: the delay"),
    works(FAILURE_RATE_MAX_FAILURES, "failure rate: one failure more in the interval is final"),
    works(FAILURE_RATE_INTERVAL, "failure rate: the interval"),
    works(FAILURE_RATE_DELAY, "failure rate: the delay"),
    works(EXPONENTIAL_INITIAL_BACKOFF, "exponential delay: the first delay", since="1.13"),
    works(EXPONENTIAL_MAX_BACKOFF, "exponential delay: the bound", since="1.13"),
    works(EXPONENTIAL_MULTIPLIER, "exponential delay: the factor", since="1.13"),
    works(EXPONENTIAL_RESET_THRESHOLD, "exponential delay: calm time that resets", since="1.13"),
    works(EXPONENTIAL_JITTER_FACTOR, "exponential delay: the random share", since="1.13"),
    works(EXPONENTIAL_ATTEMPTS, "exponential delay: number of restarts", since="1.19"),
)
