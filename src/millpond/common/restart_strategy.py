"""What happens when a job fails: the restart strategies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from millpond.errors import ConfigurationError

__all__ = (
    "ExponentialDelayRestart",
    "FailureRateRestart",
    "FallbackRestart",
    "FixedDelayRestart",
    "NoRestart",
    "RestartStrategies",
    "RestartStrategyConfiguration",
)


class RestartStrategyConfiguration(ABC):
    """Root of the restart strategies."""

    __slots__ = ()

    @abstractmethod
    def get_description(self) -> str:
        """Return the strategy in words."""


def _require(name: str, value: float, minimum: float) -> None:
    if value < minimum:
        raise ConfigurationError(f"{name} must be at least {minimum:g}, not {value}.")


@final
@dataclass(frozen=True, slots=True)
class NoRestart(RestartStrategyConfiguration):
    """The first failure is final."""

    def get_description(self) -> str:
        """Return the strategy in words."""
        return "Restart deactivated."


@final
@dataclass(frozen=True, slots=True)
class FallbackRestart(RestartStrategyConfiguration):
    """The configuration decides."""

    def get_description(self) -> str:
        """Return the strategy in words."""
        return "The restart strategy of the configuration."


@final
@dataclass(frozen=True, slots=True)
class FixedDelayRestart(RestartStrategyConfiguration):
    """So many restarts, each after the same delay.

    Raises:
        ConfigurationError: a number is negative.
    """

    attempts: int
    delay_ms: int

    def __post_init__(self) -> None:
        _require("The number of restarts", self.attempts, 0)
        _require("The delay between restarts", self.delay_ms, 0)

    def get_description(self) -> str:
        """Return the strategy in words."""
        return f"Restart with fixed delay ({self.delay_ms} ms). #{self.attempts} restart attempts."


@final
@dataclass(frozen=True, slots=True)
class FailureRateRestart(RestartStrategyConfiguration):
    """A restart after every failure, until there are too many of them within an interval.

    Raises:
        ConfigurationError: a number is negative, or the interval is 0.
    """

    max_failures: int
    interval_ms: int
    delay_ms: int

    def __post_init__(self) -> None:
        _require("The number of failures", self.max_failures, 0)
        _require("The interval in which failures are counted", self.interval_ms, 1)
        _require("The delay between restarts", self.delay_ms, 0)

    def get_description(self) -> str:
        """Return the strategy in words."""
        return (
            f"Failure rate restart with maximum of {self.max_failures} failures within interval "
            f"{self.interval_ms} ms and fixed delay {self.delay_ms} ms."
        )


@final
@dataclass(frozen=True, slots=True)
class ExponentialDelayRestart(RestartStrategyConfiguration):
    """Restarts after delays that grow, until the job ran calmly for a while.

    `jitter_factor` is the share of a delay that is added or taken at random; `attempts` restarts
    without a calm time of `reset_threshold_ms` are followed by failure.

    Raises:
        ConfigurationError: a number is out of its range, or the bounds are the wrong way round.
    """

    initial_backoff_ms: int = 1000
    max_backoff_ms: int = 60_000
    multiplier: float = 1.5
    reset_threshold_ms: int = 3_600_000
    jitter_factor: float = 0.1
    attempts: int = 2**31 - 1

    def __post_init__(self) -> None:
        _require("The first delay", self.initial_backoff_ms, 1)
        _require("The longest delay", self.max_backoff_ms, self.initial_backoff_ms)
        _require("The multiplier", self.multiplier, 1)
        _require("The time that resets the delay", self.reset_threshold_ms, 1)
        _require("The number of restarts", self.attempts, 0)
        if not 0 <= self.jitter_factor <= 1:
            raise ConfigurationError(
                f"The jitter factor must be from 0 to 1, not {self.jitter_factor}."
            )

    def get_description(self) -> str:
        """Return the strategy in words."""
        return (
            f"Restart with exponential delay from {self.initial_backoff_ms} ms to "
            f"{self.max_backoff_ms} ms, multiplier {self.multiplier}, jitter "
            f"{self.jitter_factor}, reset after {self.reset_threshold_ms} ms."
        )


@final
class RestartStrategies:
    """Makes restart strategies, as PyFlink names them; times are milliseconds."""

    NoRestartStrategyConfiguration = NoRestart
    FixedDelayRestartStrategyConfiguration = FixedDelayRestart
    FailureRateRestartStrategyConfiguration = FailureRateRestart
    FallbackRestartStrategyConfiguration = FallbackRestart

    @staticmethod
    def no_restart() -> NoRestart:
        """Fail at the first failure."""
        return NoRestart()

    @staticmethod
    def fall_back_restart() -> FallbackRestart:
        """Leave it to the configuration."""
        return FallbackRestart()

    @staticmethod
    def fixed_delay_restart(
        restart_attempts: int, delay_between_attempts: int
    ) -> FixedDelayRestart:
        """Restart so many times, each after the same delay."""
        return FixedDelayRestart(restart_attempts, delay_between_attempts)

    @staticmethod
    def failure_rate_restart(
        failure_rate: int, failure_interval: int, delay_interval: int
    ) -> FailureRateRestart:
        """Restart until there are more than `failure_rate` failures within an interval."""
        return FailureRateRestart(failure_rate, failure_interval, delay_interval)

    @staticmethod
    def exponential_delay_restart(
        initial_backoff: int,
        max_backoff: int,
        backoff_multiplier: float,
        reset_backoff_threshold: int,
        jitter_factor: float,
    ) -> ExponentialDelayRestart:
        """Restart after delays that grow."""
        return ExponentialDelayRestart(
            initial_backoff,
            max_backoff,
            backoff_multiplier,
            reset_backoff_threshold,
            jitter_factor,
        )
