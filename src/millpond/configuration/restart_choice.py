"""A restart strategy of a program, written as the options that mean the same."""

from __future__ import annotations

from millpond.common.configuration import Configuration
from millpond.common.restart_strategy import (
    ExponentialDelayRestart,
    FailureRateRestart,
    FallbackRestart,
    FixedDelayRestart,
    RestartStrategyConfiguration,
)
from millpond.configuration.options import restart_strategy as options

__all__ = ("restart_strategy_options",)


def restart_strategy_options(strategy: RestartStrategyConfiguration) -> Configuration:
    """Return the options of a strategy; none for a `FallbackRestart`."""
    configuration = Configuration()
    match strategy:
        case FallbackRestart():
            return configuration
        case FixedDelayRestart():
            configuration.set(options.RESTART_STRATEGY, "fixed-delay")
            configuration.set(options.FIXED_DELAY_ATTEMPTS, strategy.attempts)
            configuration.set(options.FIXED_DELAY, strategy.delay_ms)
        case FailureRateRestart():
            configuration.set(options.RESTART_STRATEGY, "failure-rate")
            configuration.set(options.FAILURE_RATE_MAX_FAILURES, strategy.max_failures)
            configuration.set(options.FAILURE_RATE_INTERVAL, strategy.interval_ms)
            configuration.set(options.FAILURE_RATE_DELAY, strategy.delay_ms)
        case ExponentialDelayRestart():
            configuration.set(options.RESTART_STRATEGY, "exponential-delay")
            configuration.set(options.EXPONENTIAL_INITIAL_BACKOFF, strategy.initial_backoff_ms)
            configuration.set(options.EXPONENTIAL_MAX_BACKOFF, strategy.max_backoff_ms)
            configuration.set(options.EXPONENTIAL_MULTIPLIER, strategy.multiplier)
            configuration.set(options.EXPONENTIAL_RESET_THRESHOLD, strategy.reset_threshold_ms)
            configuration.set(options.EXPONENTIAL_JITTER_FACTOR, strategy.jitter_factor)
            configuration.set(options.EXPONENTIAL_ATTEMPTS, strategy.attempts)
        case _:
            configuration.set(options.RESTART_STRATEGY, "none")
    return configuration
