"""`WindowOperator`: windows of a keyed stream that do not merge, with any trigger and function."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, NoReturn

from millpond.datastream.functions import (
    Function,
    ProcessAllWindowFunction,
    ProcessWindowFunction,
)
from millpond.datastream.window import (
    MergingWindowAssigner,
    ProcessingTimeTrigger,
    TimestampedValue,
    Trigger,
    TriggerResult,
)
from millpond.errors import InvalidProgramError
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from millpond.operators.operator import user_code_error
from millpond.operators.results import Results
from millpond.operators.timer_service import InternalTimerService
from millpond.operators.user_function import UserFunctionOperator, method_name
from millpond.operators.window_contents import (
    EvictableContents,
    WindowContents,
    namespace_of,
    window_class_of,
)
from millpond.operators.window_context import (
    WindowAssignerContext,
    WindowEvictorContext,
    WindowFunctionContext,
    WindowStates,
    WindowTriggerContext,
)
from millpond.operators.window_function import window_results
from millpond.state.contract.keyed_backend import NO_KEY

if TYPE_CHECKING:
    from millpond.datastream.operator_spec import WindowSpec

__all__ = ("WindowOperator",)


class WindowOperator(UserFunctionOperator):
    """Assigns each record to windows, keeps them in state, and evaluates when the trigger says so.

    The rules are Flink's (WindowOperator). A window is deleted, with its trigger's and function's
    state, when time passes its end plus the allowed lateness; until then late records evaluate it
    again, after that they are late data: sent to the side output, or counted and dropped.

    Attributes:
        late_records_dropped: counts the records that came too late and had no side output.
    """

    def __init__(self, spec: WindowSpec) -> None:
        combine = spec.reduce if spec.aggregate is None else spec.aggregate
        super().__init__(combine if spec.window_function is None else spec.window_function)
        self._combine_function = combine
        self.spec = spec
        self.assigner = spec.assigner
        self.trigger: Trigger[Any, Any] = (
            spec.assigner.get_default_trigger(None) if spec.trigger is None else spec.trigger
        )
        self._is_event_time = spec.assigner.is_event_time()
        self._is_assigner_custom = not type(spec.assigner).__module__.startswith("millpond.")
        self._allowed_lateness_ms = spec.allowed_lateness_ms if self._is_event_time else 0
        # It waits for the window's end, which is also when the window is deleted.
        self._is_unasked = type(self.trigger) is ProcessingTimeTrigger and not self._is_event_time
        self._to_clean_up: dict[Any, dict[Any, None]] = {}

    def open(self) -> None:
        self._open_functions()
        backend = self.context.keyed_backend
        assert backend is not None
        self.backend = backend
        self.late_records_dropped = self.context.metric_group.counter("numLateRecordsDropped")
        namespace = namespace_of(self.assigner)
        timers = InternalTimerService(backend, self.context.clock, namespace)
        runtime_context = self.runtime_context
        states = WindowStates(self.context, namespace)
        self.timers = timers
        self.contents: WindowContents | EvictableContents
        if self.spec.evictor is None:
            self.contents = WindowContents(self.spec, backend, namespace)
        else:
            self.contents = EvictableContents(self.spec, backend, namespace)
        self.trigger_context = WindowTriggerContext(timers, states, runtime_context)
        self._assigner_context = WindowAssignerContext(timers, runtime_context)
        self._evictor_context = WindowEvictorContext(timers, runtime_context)
        self._function_context = WindowFunctionContext.of(
            timers,
            runtime_context,
            states,
            merging=isinstance(self.assigner, MergingWindowAssigner),
        )
        self._results = window_results(self.spec.window_function, self._function_context)
        self.results = Results(self.context)
        self._late: list[tuple[Any, int | None]] = []

    def close(self) -> None:
        super().close()
        function = self._combine_function
        if function is not self.function and isinstance(function, Function):
            function.close()

    def process_batch(self, batch: Batch) -> None:
        assert batch.keys is not None
        backend, process = self.backend, self.process_element
        timestamps = repeat(None) if batch.timestamps is None else batch.timestamps
        for key, value, timestamp in zip(batch.keys, batch.values, timestamps, strict=False):
            backend.current_key = key
            process(value, timestamp)
        backend.current_key = NO_KEY
        self.set_cleanup_timers()
        self.results.flush()
        if self._late:
            self._emit_late()

    def process_watermark(self, timestamp: int) -> None:
        self.timers.advance_watermark(timestamp, self.on_event_time)
        self.results.flush()
        self.output.emit_watermark(timestamp)

    def next_processing_time(self) -> int | None:
        return self.timers.next_processing_time()

    def process_processing_time(self, now_ms: int) -> None:
        self.timers.advance_processing_time(now_ms, self.on_processing_time)
        self.results.flush()

    def process_element(self, value: Any, timestamp: int | None) -> None:
        """Add a record of the current key to its windows."""
        skipped = True
        for window in self.assign(value, timestamp):
            if self.is_window_late(window):
                continue
            skipped = False
            self.add(window, value, timestamp)
            if not self._is_unasked:
                result = self.ask_trigger_on_element(value, timestamp, window)
                if result is not TriggerResult.CONTINUE:
                    self.obey(result, window, window)
            keys = self._to_clean_up.get(window)
            if keys is None:
                keys = self._to_clean_up[window] = {}
            keys[self.backend.current_key] = None
        if skipped and self.is_element_late(timestamp):
            self.put_aside(value, timestamp)

    def on_event_time(self, timestamp: int, window: Any) -> None:
        """Handle an event-time timer of the current key."""
        result = self.ask_trigger_on_time(timestamp, window, event_time=True)
        if result is not TriggerResult.CONTINUE:
            self.obey(result, window, window)
        if self._is_event_time and timestamp == self.cleanup_time(window):
            self.clear_all(window, window)

    def on_processing_time(self, timestamp: int, window: Any) -> None:
        """Handle a processing-time timer of the current key."""
        result = self.ask_trigger_on_time(timestamp, window, event_time=False)
        if result is not TriggerResult.CONTINUE:
            self.obey(result, window, window)
        if not self._is_event_time and timestamp == self.cleanup_time(window):
            self.clear_all(window, window)

    def assign(self, value: Any, timestamp: int | None) -> Sequence[Any]:
        """Return the windows of a record."""
        try:
            # The assigners say what is wrong where they need a timestamp and get none.
            windows: Any = self.assigner.assign_windows(
                value,
                timestamp,  # type: ignore[arg-type]
                self._assigner_context,
            )
        except Exception as error:
            user_code_error(error, self.context, f"{type(self.assigner).__name__}.assign_windows")
        if self._is_assigner_custom:
            self._check_windows(windows)
        return windows  # type: ignore[no-any-return]

    def _check_windows(self, windows: Any) -> None:
        kind = window_class_of(self.assigner)
        if not isinstance(windows, Sequence) or any(type(each) is not kind for each in windows):
            raise InvalidProgramError(
                f"{type(self.assigner).__name__}.assign_windows returned {windows!r}.",
                hint=f"It must return a list of {kind.__name__}, as its serializer says.",
                operator=self.context.name,
                key=repr(self.backend.current_key)[:200],
            )

    def add(self, state_window: Any, value: Any, timestamp: int | None) -> None:
        """Add a record to a window's contents."""
        try:
            self.contents.add(state_window, value, timestamp)
        except Exception as error:
            self.fail_combining(error, state_window)

    def ask_trigger_on_element(
        self, value: Any, timestamp: int | None, window: Any
    ) -> TriggerResult:
        """Ask the trigger about a record that was added."""
        context = self.trigger_context
        context.window = window
        try:
            return self.trigger.on_element(
                value, MIN_WATERMARK if timestamp is None else timestamp, window, context
            )
        except Exception as error:
            self.fail_trigger(error, "on_element", window)

    def ask_trigger_on_time(
        self, timestamp: int, window: Any, *, event_time: bool
    ) -> TriggerResult:
        """Ask the trigger about a timer."""
        context = self.trigger_context
        context.window = window
        try:
            if event_time:
                return self.trigger.on_event_time(timestamp, window, context)
            return self.trigger.on_processing_time(timestamp, window, context)
        except Exception as error:
            name = "on_event_time" if event_time else "on_processing_time"
            self.fail_trigger(error, name, window)

    def obey(self, result: TriggerResult, window: Any, state_window: Any) -> None:
        """Evaluate or purge a window, or both, as the trigger said."""
        if type(result) is not TriggerResult:
            raise InvalidProgramError(
                f"{type(self.trigger).__name__} returned {result!r}, which is no TriggerResult.",
                hint="Return TriggerResult.CONTINUE where nothing is to be done.",
                operator=self.context.name,
                key=repr(self.backend.current_key)[:200],
                window=repr(window),
            )
        if result is not TriggerResult.PURGE:
            self.evaluate(window, state_window)
        if result is not TriggerResult.FIRE:
            self.contents.clear(state_window)

    def evaluate(self, window: Any, state_window: Any) -> None:
        """Call the window function with what is kept, if anything is, and emit its results."""
        contents = self.contents
        try:
            elements = contents.get(state_window)
        except Exception as error:
            self.fail_combining(error, window)
        if elements is None:
            return
        if isinstance(contents, EvictableContents):
            self._evaluate_evicting(contents, elements, window, state_window)
        else:
            self._call_function(elements, window)

    def clear_all(self, window: Any, state_window: Any) -> None:
        """Delete everything that is kept of a window."""
        self.contents.clear(state_window)
        self.clear_trigger(window)
        self.clear_function(window)

    def clear_function(self, window: Any) -> None:
        """Have a process window function delete its state of a window."""
        function = self.function
        if isinstance(function, (ProcessWindowFunction, ProcessAllWindowFunction)):
            self._function_context.current_window = window
            try:
                function.clear(self._function_context)
            except Exception as error:
                self._fail_function(error, "clear", window)

    def clear_trigger(self, window: Any) -> None:
        """Delete the trigger's state and timers of a window."""
        context = self.trigger_context
        context.window = window
        try:
            self.trigger.clear(window, context)
        except Exception as error:
            self.fail_trigger(error, "clear", window)

    def cleanup_time(self, window: Any) -> int:
        """Return when a window is deleted, in ms; MAX_WATERMARK stands for never."""
        cleanup_time: int = window.max_timestamp() + self._allowed_lateness_ms
        return min(cleanup_time, MAX_WATERMARK)

    def register_cleanup_timer(self, window: Any) -> None:
        """Have a window of the current key deleted in time."""
        cleanup_time = self.cleanup_time(window)
        if cleanup_time == MAX_WATERMARK:
            return
        if self._is_event_time:
            self.timers.register_event_time_timer(window, cleanup_time)
        else:
            self.timers.register_processing_time_timer(window, cleanup_time)

    def set_cleanup_timers(self) -> None:
        """Have the windows that a batch added to deleted in time; before the next timer fires."""
        for window, keys in self._to_clean_up.items():
            cleanup_time = self.cleanup_time(window)
            if cleanup_time == MAX_WATERMARK:
                continue
            if self._is_event_time:
                self.timers.register_event_time_timers(window, cleanup_time, keys)
            else:
                self.timers.register_processing_time_timers(window, cleanup_time, keys)
        self._to_clean_up.clear()

    def delete_cleanup_timer(self, window: Any) -> None:
        """Take the timer of `register_cleanup_timer` back."""
        cleanup_time = self.cleanup_time(window)
        if self._is_event_time:
            self.timers.delete_event_time_timer(window, cleanup_time)
        else:
            self.timers.delete_processing_time_timer(window, cleanup_time)

    def is_window_late(self, window: Any) -> bool:
        """Return whether a window is deleted already."""
        return self._is_event_time and (
            window.max_timestamp() + self._allowed_lateness_ms <= self.timers.current_watermark
        )

    def is_element_late(self, timestamp: int | None) -> bool:
        """Return whether a record that got no window is late data."""
        return (
            self._is_event_time
            and timestamp is not None
            and timestamp + self._allowed_lateness_ms <= self.timers.current_watermark
        )

    def put_aside(self, value: Any, timestamp: int | None) -> None:
        """Send late data to the side output, or count and drop it."""
        tag = self.spec.late_data_tag
        if tag is None:
            self.late_records_dropped.inc()
        else:
            self._late.append((value, timestamp))

    def fail_combining(self, error: Exception, window: Any) -> NoReturn:
        """Raise for an exception out of the reduce or aggregate function."""
        what = "the state of the window"
        if self.spec.aggregate is not None:
            what = type(self.spec.aggregate).__name__
        elif self.spec.reduce is not None:
            what = method_name(self.spec.reduce, "reduce")
        user_code_error(error, self.context, what, window=repr(window))

    def fail_trigger(self, error: Exception, method: str, window: Any) -> NoReturn:
        """Raise for an exception out of the trigger."""
        what = f"{type(self.trigger).__name__}.{method}"
        user_code_error(error, self.context, what, window=repr(window))

    def _fail_function(self, error: Exception, method: str, window: Any) -> NoReturn:
        user_code_error(
            error, self.context, method_name(self.function, method), window=repr(window)
        )

    def _open_functions(self) -> None:
        super().open()
        function = self._combine_function
        if function is not self.function and isinstance(function, Function):
            try:
                function.open(self.runtime_context)
            except Exception as error:
                user_code_error(error, self.context, method_name(function, "open"))

    def _emit_late(self) -> None:
        tag, late = self.spec.late_data_tag, self._late
        assert tag is not None
        self._late = []
        values = [value for value, _ in late]
        timestamps = [timestamp for _, timestamp in late if timestamp is not None]
        batch = Batch(values, timestamps if len(timestamps) == len(values) else None)
        self.output.emit_side(tag.tag_id, batch)

    def _call_function(self, elements: Sequence[Any], window: Any) -> None:
        timestamp = window.max_timestamp()
        function = self._results
        if function is None:
            self.results.add(elements, timestamp)
            return
        try:
            self.results.add(function(self.backend.current_key, window, elements), timestamp)
        except Exception as error:
            method = "process" if hasattr(self.function, "process") else "apply"
            self._fail_function(error, method, window)

    def _evaluate_evicting(
        self,
        contents: EvictableContents,
        elements: Sequence[TimestampedValue],
        window: Any,
        state_window: Any,
    ) -> None:
        evictor, context = self.spec.evictor, self._evictor_context
        assert evictor is not None
        what = f"{type(evictor).__name__}.evict_before"
        try:
            kept = evictor.evict_before(elements, len(elements), window, context)
            what = "the reduce or aggregate function"
            combined = contents.combine(kept)
        except Exception as error:
            user_code_error(error, self.context, what, window=repr(window))
        if combined or self._combine_function is None:
            self._call_function(combined, window)
        what = f"{type(evictor).__name__}.evict_after"
        try:
            kept = evictor.evict_after(kept, len(kept), window, context)
        except Exception as error:
            user_code_error(error, self.context, what, window=repr(window))
        if len(kept) != len(elements):
            contents.replace(state_window, kept)
