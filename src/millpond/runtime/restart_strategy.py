"""Restart strategies: whether and when a failed job is tried again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol, final

from millpond.common.restart_strategy import ExponentialDelayRestart
from millpond.configuration.options import restart_strategy as options
from millpond.configuration.options.checkpointing import CHECKPOINT_INTERVAL

if TYPE_CHECKING:
    from random import Random

    from millpond.common.configuration import Configuration

__all__ = (
    "ExponentialDelay",
    "FailureRate",
    "FixedDelay",
    "Never",
    "RestartStrategy",
    "WhileProgressing",
    "restart_strategy",
)


class RestartStrategy(Protocol):
    """Decides after each failure."""

    def after_failure(self, now_ms: int, *, progressed: bool) -> int | None:
        """Return how many ms to wait before the next attempt; None: give up.

        `progressed` says whether a checkpoint was completed since the failure before.
        """
        ...


@final
class Never:
    """Gives up at the first failure."""

    def after_failure(self, now_ms: int, *, progressed: bool) -> int | None:
        """Give up."""
        return None


@final
class FixedDelay:
    """Allows so many restarts, each after the same delay."""

    def __init__(self, attempts: int, delay_ms: int) -> None:
        self._left = attempts
        self._delay_ms = delay_ms

    def after_failure(self, now_ms: int, *, progressed: bool) -> int | None:
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

    def after_failure(self, now_ms: int, *, progressed: bool) -> int | None:
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

    def after_failure(self, now_ms: int, *, progressed: bool) -> int | None:
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


@final
class WhileProgressing:
    """What applies where nothing is configured: go on as long as it leads somewhere.

    Delays grow as Flink's default does; but a job that fails so often without completing a
    checkpoint in between fails for the same reason each time, and its user should hear of it.
    """

    def __init__(self, delays: ExponentialDelay, failures: int) -> None:
        self._delays = delays
        self._failures = failures
        self._in_a_row = 0

    def after_failure(self, now_ms: int, *, progressed: bool) -> int | None:
        """Return the delay, or None when the job does not come further."""
        self._in_a_row = 1 if progressed else self._in_a_row + 1
        if self._in_a_row > self._failures:
            return None
        return self._delays.after_failure(now_ms, progressed=progressed)


_FAILURES_WITHOUT_PROGRESS = 3
_NONE = {"none", "off", "disable"}
_FIXED_DELAY = {"fixed-delay", "fixeddelay"}
_FAILURE_RATE = {"failure-rate", "failurerate"}


def restart_strategy(configuration: Configuration, random: Random) -> RestartStrategy:
    """Make the configured strategy.

    Unset: never without periodic checkpoints; with them exponential delay, as Flink since 1.19
    (RestartBackoffTimeStrategyFactoryLoader), but only while checkpoints complete in between.
    Names are checked with the configuration.
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
    delays = ExponentialDelay(
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
    return delays if name else WhileProgressing(delays, _FAILURES_WITHOUT_PROGRESS)
