"""`AsyncDataStream`: puts an asynchronous function into a stream."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, final

from millpond.datastream._milliseconds import milliseconds
from millpond.datastream.async_retry_strategies import NoRetryStrategy
from millpond.datastream.functions import (
    AsyncFunction,
    AsyncFunctionDescriptor,
    AsyncRetryStrategy,
)
from millpond.datastream.operator_spec import AsyncWaitSpec
from millpond.datastream.streams.function_check import function_of
from millpond.datastream.streams.plain import DataStream
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from millpond.common.typeinfo import TypeInformation

__all__ = ("AsyncDataStream",)

_OutputMode = AsyncFunctionDescriptor.OutputMode


@final
class AsyncDataStream:
    """Calls an `AsyncFunction` for many records at the same time, on one asyncio event loop.

    At most `capacity` records a subtask wait for results; further ones are not read before one is
    done. A call that takes longer than `timeout` gives what `AsyncFunction.timeout` returns, which
    raises unless it is overridden; a timeout of 0 waits for ever. Records in flight are part of
    every checkpoint and are asked about again when the job recovers from it.

    Ordered results keep the order of the records. Unordered ones come as they are ready, but never
    on the other side of a watermark.

    All methods raise InvalidProgramError for a function, time or capacity that cannot be.
    """

    @staticmethod
    def unordered_wait(
        data_stream: DataStream,
        async_function: AsyncFunction[Any, Any],
        timeout: Any,
        capacity: int = 100,
        output_type: TypeInformation | None = None,
    ) -> DataStream:
        """Emit results as they come; `timeout` is a Time, Duration, timedelta or number of ms."""
        return _wait(data_stream, async_function, timeout, None, capacity, output_type)

    @staticmethod
    def unordered_wait_with_retry(
        data_stream: DataStream,
        async_function: AsyncFunction[Any, Any],
        timeout: Any,
        async_retry_strategy: AsyncRetryStrategy,
        capacity: int = 100,
        output_type: TypeInformation | None = None,
    ) -> DataStream:
        """Emit results as they come; `timeout`, above 0, covers all tries of a call together."""
        return _wait(
            data_stream, async_function, timeout, async_retry_strategy, capacity, output_type
        )

    @staticmethod
    def ordered_wait(
        data_stream: DataStream,
        async_function: AsyncFunction[Any, Any],
        timeout: Any,
        capacity: int = 100,
        output_type: TypeInformation | None = None,
    ) -> DataStream:
        """Emit results in the order of the records."""
        return _wait(
            data_stream,
            async_function,
            timeout,
            None,
            capacity,
            output_type,
            mode=_OutputMode.ORDERED,
        )

    @staticmethod
    def ordered_wait_with_retry(
        data_stream: DataStream,
        async_function: AsyncFunction[Any, Any],
        timeout: Any,
        async_retry_strategy: AsyncRetryStrategy,
        capacity: int = 100,
        output_type: TypeInformation | None = None,
    ) -> DataStream:
        """Emit results in the order of the records; `timeout` covers all tries together."""
        return _wait(
            data_stream,
            async_function,
            timeout,
            async_retry_strategy,
            capacity,
            output_type,
            mode=_OutputMode.ORDERED,
        )


def _wait(
    data_stream: DataStream,
    function: AsyncFunction[Any, Any],
    timeout: Any,
    strategy: AsyncRetryStrategy | None,
    capacity: int,
    output_type: TypeInformation | None,
    *,
    mode: AsyncFunctionDescriptor.OutputMode = _OutputMode.UNORDERED,
) -> DataStream:
    if not isinstance(data_stream, DataStream):
        raise InvalidProgramError(
            f"An AsyncDataStream is made of a DataStream, not {data_stream!r}."
        )
    function_of(function, AsyncFunction, "AsyncDataStream")
    name = type(function).__name__
    if not inspect.iscoroutinefunction(function.async_invoke):
        raise InvalidProgramError(
            f"{name}.async_invoke is no coroutine function.", hint="Write `async def async_invoke`."
        )
    timeout_ms = milliseconds(timeout, "timeout")
    if timeout_ms < 0 or (strategy is not None and timeout_ms == 0):
        raise InvalidProgramError(
            f"The timeout of {name} is {timeout_ms} ms.",
            hint="It must be above 0 with retries, and not below 0 without.",
        )
    if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1:
        raise InvalidProgramError(f"The capacity of {name} must be 1 or more, not {capacity!r}.")
    if strategy is not None and not isinstance(strategy, AsyncRetryStrategy):
        raise InvalidProgramError(f"{strategy!r} is no AsyncRetryStrategy.")
    descriptor = AsyncFunctionDescriptor(
        function, timeout, capacity, strategy or NoRetryStrategy(), mode
    )
    spec = AsyncWaitSpec(descriptor, timeout_ms, data_stream.get_type())
    # Never keyed, also behind key_by: which calls are in flight is operator state.
    return DataStream._add(data_stream, "async wait operator", spec, output_type)
