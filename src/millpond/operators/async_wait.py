"""`AsyncWaitOperator`: calls an asynchronous function for many records at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import repeat
from typing import TYPE_CHECKING, Any, final

from millpond.common.typeinfo import Types
from millpond.datastream.functions import AsyncFunctionDescriptor
from millpond.datastream.state import ListStateDescriptor
from millpond.operators.async_loop import AsyncLoop
from millpond.operators.async_queue import (
    AsyncCall,
    AsyncQueue,
    Control,
    OrderedQueue,
    UnorderedQueue,
)
from millpond.operators.batch import MIN_WATERMARK
from millpond.operators.operator import Ending, user_code_error
from millpond.operators.results import emit_results
from millpond.operators.user_function import UserFunctionOperator, method_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.datastream.operator_spec import AsyncWaitSpec
    from millpond.operators.batch import Batch

__all__ = ("AsyncWaitOperator",)

_IN_FLIGHT = "_async_wait_operator_state_"
_WATERMARKS = ListStateDescriptor(
    "_async_wait_operator_watermarks_", Types.TUPLE([Types.LONG(), Types.INT(), Types.INT()])
)


@final
class AsyncWaitOperator(UserFunctionOperator):
    """Keeps up to `capacity` records whose results are not there yet (Flink's AsyncWaitOperator).

    Their coroutines run on the task's thread: while the operator waits for capacity, and between
    two cycles of the worker. Records in flight are in every snapshot, with the watermarks between
    them, and are asked about anew after a restore. At the end of the input what waits for its
    next try is tried once more at once, and every outcome counts from then on, as in Flink; the
    task waits for that without holding up other tasks.
    """

    def __init__(self, spec: AsyncWaitSpec) -> None:
        descriptor = spec.descriptor
        super().__init__(descriptor.async_function)
        self._capacity = descriptor.capacity
        self._timeout_ms = spec.timeout_ms
        self._strategy = descriptor.async_retry_strategy
        predicate = self._strategy.get_retry_predicate()
        self._retry_result = predicate.result_predicate()
        self._retry_exception = predicate.exception_predicate()
        ordered = descriptor.output_mode is AsyncFunctionDescriptor.OutputMode.ORDERED
        self._queue: AsyncQueue = OrderedQueue() if ordered else UnorderedQueue()
        record_type = Types.TUPLE([spec.element_type or Types.PICKLED_BYTE_ARRAY(), Types.LONG()])
        self._descriptor = ListStateDescriptor(_IN_FLIGHT, record_type)
        self._loop: AsyncLoop | None = None
        self._failure: tuple[Exception, str, Any] | None = None
        self._delayed: dict[asyncio.Future[None], None] = {}
        self._input_ended = False
        self._watermark = MIN_WATERMARK

    def initialize_state(self) -> None:
        super().initialize_state()
        state = self.context.operator_state
        self._records_state = state.get_list_state(self._descriptor)
        self._watermarks_state = state.get_list_state(_WATERMARKS)

    def open(self) -> None:
        super().open()
        self._loop = AsyncLoop(self.context.clock)
        records = list(self._records_state.get())
        # With another parallelism nobody knows what a watermark stood between.
        watermarks = [
            (position, watermark)
            for watermark, position, parallelism in self._watermarks_state.get()
            if parallelism == self.context.parallelism
        ]
        for index, (value, timestamp) in enumerate(records):
            while watermarks and watermarks[0][0] <= index:
                self.process_watermark(watermarks.pop(0)[1])
            self._start(value, None if timestamp == MIN_WATERMARK else timestamp)
        for _, watermark in watermarks:
            self.process_watermark(watermark)

    def process_batch(self, batch: Batch) -> None:
        loop, queue, capacity = self._loop, self._queue, self._capacity
        assert loop is not None
        for value, timestamp in zip(batch.values, batch.timestamps or repeat(None), strict=False):
            while queue.calls >= capacity:
                loop.wait()
                self._emit_ready()
            self._start(value, timestamp)
        self._progress()

    def process_watermark(self, timestamp: int) -> None:
        self._queue.put(Control(timestamp))
        self._emit_ready()

    def process_idle(self, *, idle: bool) -> None:
        self._queue.put(Control(idle=idle))
        self._emit_ready()

    def next_processing_time(self) -> int | None:
        # Whenever there is time: the coroutines say themselves what they wait for.
        return MIN_WATERMARK if self._queue.calls else None

    def process_processing_time(self, now_ms: int) -> None:
        self._progress()

    def prepare_snapshot(self, checkpoint_id: int) -> None:
        self._progress()

    def snapshot_state(self, checkpoint_id: int, timestamp_ms: int) -> None:
        super().snapshot_state(checkpoint_id, timestamp_ms)
        records: list[tuple[Any, int]] = []
        watermarks = []
        parallelism = self.context.parallelism
        if self._watermark != MIN_WATERMARK:
            watermarks.append((self._watermark, 0, parallelism))
        for item in self._queue.items():
            if isinstance(item, AsyncCall):
                timestamp = MIN_WATERMARK if item.timestamp is None else item.timestamp
                records.append((item.value, timestamp))
            elif item.watermark is not None:
                watermarks.append((item.watermark, len(records), parallelism))
        self._records_state.update(records)
        self._watermarks_state.update(watermarks)

    def end_input(self) -> Ending:
        self._input_ended = True
        for due in self._delayed:
            _wake(due)
        self._progress()
        return Ending.WAITING if self._queue.calls else Ending.DONE

    def close(self) -> None:
        loop, self._loop = self._loop, None
        try:
            if loop is not None:
                items = self._queue.items()
                tasks = [item.task for item in items if isinstance(item, AsyncCall) and item.task]
                loop.close(tasks)
        finally:
            super().close()

    # -- calls

    def _start(self, value: Any, timestamp: int | None) -> None:
        assert self._loop is not None
        call = AsyncCall(value, timestamp)
        self._queue.put(call)
        call.task = self._loop.start(self._call(call))
        if self._timeout_ms > 0:
            call.timeout = self._loop.call_later(self._timeout_ms, self._time_out, call)

    async def _call(self, call: AsyncCall) -> None:
        try:
            results = await self._invoke(call)
        except asyncio.CancelledError:
            # By the timeout or the end of the job; or the user's code cancelled itself.
            if call.results is None and self._loop is not None:
                self._fail(RuntimeError("The coroutine was cancelled."), "async_invoke", call)
        except Exception as error:
            self._fail(error, "async_invoke", call)
        else:
            self._complete(call, results)

    async def _invoke(self, call: AsyncCall) -> Sequence[Any]:
        invoke = self.function.async_invoke
        attempts = 1
        while True:
            failure: Exception | None = None
            results: Sequence[Any] = ()
            try:
                results = _as_results(await invoke(call.value))
            except Exception as error:
                failure = error
            if failure is None:
                if not self._is_retried(self._retry_result, results, attempts):
                    return results
            elif not self._is_retried(self._retry_exception, failure, attempts):
                raise failure
            if self._loop is None:
                raise asyncio.CancelledError
            await self._delay(self._strategy.get_backoff_time_millis(attempts))
            attempts += 1

    async def _delay(self, delay_ms: int) -> None:
        loop = asyncio.get_running_loop()
        due = loop.create_future()
        timer = loop.call_later(delay_ms / 1000, _wake, due)
        self._delayed[due] = None
        try:
            await due
        finally:
            del self._delayed[due]
            timer.cancel()

    def _is_retried(self, predicate: Any, outcome: Any, attempts: int) -> bool:
        return (
            predicate is not None
            and not self._input_ended
            and self._strategy.can_retry(attempts)
            and bool(predicate(outcome))
        )

    def _time_out(self, call: AsyncCall) -> None:
        if call.results is not None:
            return
        try:
            results = _as_results(self.function.timeout(call.value))
        except Exception as error:
            self._fail(error, "timeout", call)
        else:
            self._complete(call, results)
        assert call.task is not None
        call.task.cancel()

    def _complete(self, call: AsyncCall, results: Sequence[Any]) -> None:
        if call.results is None and self._loop is not None:
            call.results = results
            if call.timeout is not None:
                call.timeout.cancel()
            self._queue.complete(call)
            self._loop.wake()

    def _fail(self, error: Exception, method: str, call: AsyncCall) -> None:
        if self._failure is None:
            self._failure = (error, method, call.value)
        self._complete(call, ())

    # -- results

    def _progress(self) -> None:
        assert self._loop is not None
        if self._queue.calls:
            self._loop.step()
        self._emit_ready()

    def _emit_ready(self) -> None:
        if self._failure is not None:
            error, method, value = self._failure
            name = method_name(self.function, method)
            user_code_error(error, self.context, name, record=repr(value)[:200])
        values: list[Any] = []
        timestamps: list[int] = []
        for item in self._queue.ready():
            if isinstance(item, Control):
                self._emit(values, timestamps)
                values, timestamps = [], []
                self._emit_control(item)
                continue
            assert item.results is not None
            if item.timestamp is None:
                values.extend(item.results)
                continue
            if len(values) != len(timestamps):
                self._emit(values, timestamps)
                values, timestamps = [], []
            values.extend(item.results)
            timestamps.extend(repeat(item.timestamp, len(item.results)))
        self._emit(values, timestamps)

    def _emit(self, values: list[Any], timestamps: list[int]) -> None:
        if not values:
            return
        # Records with timestamps may be followed by such without, never the other way round.
        timed = len(timestamps)
        if timed:
            emit_results(values[:timed], timestamps, self.output)
        if timed < len(values):
            emit_results(values[timed:], None, self.output)

    def _emit_control(self, control: Control) -> None:
        if control.watermark is None:
            self.output.emit_idle(idle=control.idle)
        else:
            self._watermark = control.watermark
            self.output.emit_watermark(control.watermark)


def _wake(due: asyncio.Future[None]) -> None:
    if not due.done():
        due.set_result(None)


def _as_results(results: Any) -> Sequence[Any]:
    if isinstance(results, (list, tuple)) and not hasattr(results, "_fields"):
        return results
    if isinstance(results, Iterable) and not isinstance(results, (str, bytes, dict)):
        return list(results)
    raise TypeError(f"an asynchronous function must return a list of results, not {results!r}")
