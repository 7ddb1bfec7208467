"""Asynchronous functions and how their calls are retried."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, final

from millpond.datastream._functions.function import Function
from millpond.errors import ConfigurationError

__all__ = (
    "AsyncFunction",
    "AsyncFunctionDescriptor",
    "AsyncRetryPredicate",
    "AsyncRetryStrategy",
    "ExponentialBackoffDelayRetryStrategy",
    "FixedDelayRetryStrategy",
    "NoRetryStrategy",
    "RetryPredicate",
)

IN = TypeVar("IN")
OUT = TypeVar("OUT")
ResultPredicate = Callable[[list[Any]], bool]
ExceptionPredicate = Callable[[Exception], bool]


class AsyncRetryPredicate(ABC):
    """Says which outcomes of an asynchronous call are tried again."""

    @abstractmethod
    def result_predicate(self) -> ResultPredicate | None:
        """Return the predicate over results, or None when every result is good."""

    @abstractmethod
    def exception_predicate(self) -> ExceptionPredicate | None:
        """Return the predicate over exceptions, or None when none is tried again."""


class AsyncRetryStrategy(ABC):
    """Says whether and when an asynchronous call is tried again."""

    @abstractmethod
    def can_retry(self, current_attempts: int) -> bool:
        """Return whether another try is allowed after so many tries."""

    @abstractmethod
    def get_backoff_time_millis(self, current_attempts: int) -> int:
        """Return how many ms to wait before the next try."""

    @abstractmethod
    def get_retry_predicate(self) -> AsyncRetryPredicate:
        """Return which outcomes are tried again."""

    @staticmethod
    def no_restart() -> AsyncRetryStrategy:
        """Return the strategy that never tries again."""
        return NoRetryStrategy()

    @staticmethod
    def fixed_delay(
        max_attempts: int,
        backoff_time_millis: int,
        result_predicate: ResultPredicate | None,
        exception_predicate: ExceptionPredicate | None,
    ) -> AsyncRetryStrategy:
        """Return the strategy that waits equally long before each try."""
        return FixedDelayRetryStrategy(
            max_attempts, backoff_time_millis, result_predicate, exception_predicate
        )

    @staticmethod
    def exponential_backoff(
        max_attempts: int,
        initial_delay: int,
        max_retry_delay: int,
        multiplier: float,
        result_predicate: ResultPredicate | None,
        exception_predicate: ExceptionPredicate | None,
    ) -> AsyncRetryStrategy:
        """Return the strategy that waits longer before each try."""
        return ExponentialBackoffDelayRetryStrategy(
            max_attempts,
            initial_delay,
            max_retry_delay,
            multiplier,
            result_predicate,
            exception_predicate,
        )


@final
class RetryPredicate(AsyncRetryPredicate):
    """Two predicates in one object."""

    def __init__(
        self,
        result_predicate: ResultPredicate | None,
        exception_predicate: ExceptionPredicate | None,
    ) -> None:
        self._result_predicate = result_predicate
        self._exception_predicate = exception_predicate

    def result_predicate(self) -> ResultPredicate | None:
        """Return the predicate over results."""
        return self._result_predicate

    def exception_predicate(self) -> ExceptionPredicate | None:
        """Return the predicate over exceptions."""
        return self._exception_predicate


@final
class NoRetryStrategy(AsyncRetryStrategy):
    """Never tries again."""

    def can_retry(self, current_attempts: int) -> bool:
        """Return False."""
        return False

    def get_backoff_time_millis(self, current_attempts: int) -> int:
        """Return -1: there is no next try."""
        return -1

    def get_retry_predicate(self) -> AsyncRetryPredicate:
        """Return the predicate that nothing fulfils."""
        return RetryPredicate(None, None)


@final
class FixedDelayRetryStrategy(AsyncRetryStrategy):
    """Waits equally long before each try.

    Raises:
        ConfigurationError: no try is allowed, or the delay is negative.
    """

    def __init__(
        self,
        max_attempts: int,
        backoff_time_millis: int,
        result_predicate: ResultPredicate | None,
        exception_predicate: ExceptionPredicate | None,
    ) -> None:
        _check(max_attempts, backoff_time_millis)
        self._max_attempts = max_attempts
        self._backoff_time_millis = backoff_time_millis
        self._predicate = RetryPredicate(result_predicate, exception_predicate)

    def can_retry(self, current_attempts: int) -> bool:
        """Return whether the tries are not used up."""
        return current_attempts <= self._max_attempts

    def get_backoff_time_millis(self, current_attempts: int) -> int:
        """Return the delay."""
        return self._backoff_time_millis

    def get_retry_predicate(self) -> AsyncRetryPredicate:
        """Return which outcomes are tried again."""
        return self._predicate


@final
class ExponentialBackoffDelayRetryStrategy(AsyncRetryStrategy):
    """Multiplies the delay from try to try, up to a maximum.

    Raises:
        ConfigurationError: no try is allowed, a delay is negative or the multiplier below 1.
    """

    def __init__(
        self,
        max_attempts: int,
        initial_delay: int,
        max_retry_delay: int,
        multiplier: float,
        result_predicate: ResultPredicate | None,
        exception_predicate: ExceptionPredicate | None,
    ) -> None:
        _check(max_attempts, initial_delay)
        if multiplier < 1:
            raise ConfigurationError(f"The retry multiplier {multiplier} is below 1.")
        if max_retry_delay < initial_delay:
            raise ConfigurationError(
                f"The maximum retry delay {max_retry_delay} ms is below the initial delay "
                f"{initial_delay} ms."
            )
        self._max_attempts = max_attempts
        self._initial_delay = initial_delay
        self._max_retry_delay = max_retry_delay
        self._multiplier = multiplier
        self._predicate = RetryPredicate(result_predicate, exception_predicate)

    def can_retry(self, current_attempts: int) -> bool:
        """Return whether the tries are not used up."""
        return current_attempts <= self._max_attempts

    def get_backoff_time_millis(self, current_attempts: int) -> int:
        """Return the delay before the try that follows so many tries, the first being 1."""
        delay = self._initial_delay * self._multiplier ** max(0, current_attempts - 1)
        return int(min(delay, self._max_retry_delay))

    def get_retry_predicate(self) -> AsyncRetryPredicate:
        """Return which outcomes are tried again."""
        return self._predicate


class AsyncFunction(Function, Generic[IN, OUT]):
    """Turns a record into results by a coroutine; many run at the same time."""

    @abstractmethod
    async def async_invoke(self, value: IN) -> Iterable[OUT]:
        """Return the results for a record; an exception fails the task or is retried."""

    def timeout(self, value: IN) -> Iterable[OUT]:
        """Return the results for a record whose coroutine took too long.

        Raises:
            TimeoutError: unless overridden.
        """
        raise TimeoutError(f"The asynchronous call for {value!r} took too long.")


@final
class AsyncFunctionDescriptor:
    """An asynchronous function with its settings."""

    class OutputMode(enum.Enum):
        """Whether results keep the order of the records."""

        ORDERED = 0
        UNORDERED = 1

    def __init__(
        self,
        async_function: AsyncFunction[Any, Any],
        timeout: Any,
        capacity: int,
        async_retry_strategy: AsyncRetryStrategy,
        output_mode: AsyncFunctionDescriptor.OutputMode,
    ) -> None:
        self.async_function = async_function
        self.timeout = timeout
        self.capacity = capacity
        self.async_retry_strategy = async_retry_strategy
        self.output_mode = output_mode


def _check(max_attempts: int, delay_ms: int) -> None:
    if max_attempts < 1:
        raise ConfigurationError(f"{max_attempts} retry attempts: at least 1 is needed.")
    if delay_ms < 0:
        raise ConfigurationError(f"The retry delay {delay_ms} ms is negative.")
