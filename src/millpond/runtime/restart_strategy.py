"""Restart strategies: whether and when a failed job is tried again."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Protocol, final

from millpond.common.configuration import Configuration
from millpond.common.restart_strategy import ExponentialDelayRestart
from millpond.configuration.options import restart_strategy as options
from millpond.configuration.options.checkpointing import CHECKPOINT_INTERVAL

__all__ = (
    "ExponentialDelay",
    "FailureRate",
    "FixedDelay",
    "Never",
    "RestartStrategy",
    "restart_strategy",
)


class RestartStrategy(Protocol):
    """Decides after each failure."""

    def after_failure(self, now_ms: int) -> int | None:
        """Return how many ms to wait before the next attempt; None: give up."""
        ...


@final
class Never:
    """Gives up at the first failure."""

    def after_failure(self, now_ms: int) -> int | None:
        """Give up."""
        return None


@final
class FixedDelay:
    """Allows so many restarts, each after the same delay."""

    def __init__(self, attempts: int, delay_ms: int) -> None:
        self._left = attempts
        self._delay_ms = delay_ms

    def after_failure(self, now_ms: int) -> int | None:
        """Return the delay while attempts are left."""
        if self._left <= 0:
            return None
        self._left -= 1
        return self._delay_ms


@final
class FailureRate:
    """Gives up when there were more than `max_failures` failures within `interval_ms`."""

    def __init__(self, max_failures: int, interval_ms: int, delay_ms: int) -> None:
        self._max_failures = max_failures
        self._interval_ms = interval_ms
        self._delay_ms = delay_ms
        self._failures: deque[int] = deque()

    def after_failure(self, now_ms: int) -> int | None:
        """Return the delay unless failures come too often."""
        self._failures.append(now_ms)
        while self._failures[0] <= now_ms - self._interval_ms:
            self._failures.popleft()
        return None if len(self._failures) > self._max_failures else self._delay_ms


@final
class ExponentialDelay:
    """Waits longer after each failure, and starts anew after a calm time."""

    def __init__(self, configured: ExponentialDelayRestart, random: Random) -> None:
        self._configured = configured
        self._random = random
        self._delay_ms = float(configured.initial_backoff_ms)
        self._used = 0
        self._last_ms: int | None = None

    def after_failure(self, now_ms: int) -> int | None:
        """Return the present delay, with jitter, and make the next one longer."""
        configured = self._configured
        threshold_ms = configured.reset_threshold_ms + self._delay_ms
        if self._last_ms is not None and now_ms - self._last_ms >= threshold_ms:
            self._delay_ms = configured.initial_backoff_ms
            self._used = 0
        self._last_ms = now_ms
        if self._used >= configured.attempts:
            return None
        self._used += 1
        delay_ms = self._delay_ms
        self._delay_ms = min(delay_ms * configured.multiplier, configured.max_backoff_ms)
        jitter = self._random.uniform(-configured.jitter_factor, configured.jitter_factor)
        return max(0, round(delay_ms * (1 + jitter)))


_NONE = {"none", "off", "disable"}
_FIXED_DELAY = {"fixed-delay", "fixeddelay"}
_FAILURE_RATE = {"failure-rate", "failurerate"}


def restart_strategy(configuration: Configuration, random: Random) -> RestartStrategy:
    """Make the configured strategy.

    Unset: never without periodic checkpoints, exponential delay with them, as Flink since 1.19
    (RestartBackoffTimeStrategyFactoryLoader). Names are checked with the configuration.
    """
    get = configuration.get
    name = (get(options.RESTART_STRATEGY) or "").strip().lower()
    checkpointing = get(CHECKPOINT_INTERVAL) is not None
    if name in _NONE or (not name and not checkpointing):
        return Never()
    if name in _FIXED_DELAY:
        return FixedDelay(get(options.FIXED_DELAY_ATTEMPTS), get(options.FIXED_DELAY))
    if name in _FAILURE_RATE:
        return FailureRate(
            get(options.FAILURE_RATE_MAX_FAILURES),
            get(options.FAILURE_RATE_INTERVAL),
            get(options.FAILURE_RATE_DELAY),
        )
    return ExponentialDelay(
        ExponentialDelayRestart(
            get(options.EXPONENTIAL_INITIAL_BACKOFF),
            get(options.EXPONENTIAL_MAX_BACKOFF),
            get(options.EXPONENTIAL_MULTIPLIER),
            get(options.EXPONENTIAL_RESET_THRESHOLD),
            get(options.EXPONENTIAL_JITTER_FACTOR),
            get(options.EXPONENTIAL_ATTEMPTS),
        ),
        random,
    )
