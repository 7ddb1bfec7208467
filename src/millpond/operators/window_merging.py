"""`MergingWindowOperator`: windows that grow into one another, such as sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from millpond.datastream.window import MergingWindowAssigner, TriggerResult
from millpond.errors import StateError, UnsupportedOperationError
from millpond.operators.merging_window_set import MergingWindowSet, merging_set_definition
from millpond.operators.operator import user_code_error
from millpond.operators.window_contents import namespace_of
from millpond.operators.window_operator import WindowOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.datastream.operator_spec import WindowSpec
    from millpond.datastream.state import MapState

__all__ = ("MergingWindowOperator",)


class MergingWindowOperator(WindowOperator):
    """A window operator whose windows merge with their contents, triggers and timers.

    Contents are kept under a state window, timers and trigger state under the window itself
    (Flink's MergingWindowSet). A session that ended leaves nothing behind.

    Attributes:
        set_state: the map, from window to state window, of the current key.
    """

    def __init__(self, spec: WindowSpec) -> None:
        super().__init__(spec)
        self._merging_assigner = cast("MergingWindowAssigner[Any, Any]", spec.assigner)

    def open(self) -> None:
        super().open()
        definition = merging_set_definition(namespace_of(self.assigner))
        self.set_state = cast("MapState[Any, Any]", self.backend.get_state(definition))

    def process_element(self, value: Any, timestamp: int | None) -> None:
        skipped = True
        windows = self._windows_of_key()
        for assigned in self.assign(value, timestamp):
            window = self._add_window(windows, assigned)
            if self.is_window_late(window):
                windows.retire_window(window)
                continue
            skipped = False
            state_window = windows.state_window(window)
            if state_window is None:
                raise StateError("A window is not in flight after it was added.", window=window)
            self.add(state_window, value, timestamp)
            result = self.ask_trigger_on_element(value, timestamp, window)
            if result is not TriggerResult.CONTINUE:
                self.obey(result, window, state_window)
            self.register_cleanup_timer(window)
        windows.persist()
        if skipped and self.is_element_late(timestamp):
            self.put_aside(value, timestamp)

    def on_event_time(self, timestamp: int, window: Any) -> None:
        self._on_time(timestamp, window, event_time=True)

    def on_processing_time(self, timestamp: int, window: Any) -> None:
        self._on_time(timestamp, window, event_time=False)

    def _on_time(self, timestamp: int, window: Any, *, event_time: bool) -> None:
        windows = self._windows_of_key()
        state_window = windows.state_window(window)
        if state_window is None:
            return  # merged into another window after the timer was set
        result = self.ask_trigger_on_time(timestamp, window, event_time=event_time)
        if result is not TriggerResult.CONTINUE:
            self.obey(result, window, state_window)
        if event_time is self._is_event_time and timestamp == self.cleanup_time(window):
            self.clear_all(window, state_window)
            windows.retire_window(window)
        windows.persist()

    def _windows_of_key(self) -> MergingWindowSet:
        return MergingWindowSet(self._merging_assigner, self.set_state)

    def _add_window(self, windows: MergingWindowSet, window: Any) -> Any:
        try:
            return windows.add_window(window, self._merge)
        except Exception as error:
            what = f"{type(self.assigner).__name__}.merge_windows"
            user_code_error(error, self.context, what, window=repr(window))

    def _merge(
        self, result: Any, merged: Sequence[Any], state_window: Any, state_windows: Sequence[Any]
    ) -> None:
        self._check_not_past(result)
        context = self.trigger_context
        context.window = result
        others = [window for window in merged if window != result]
        context.merged_windows = others
        try:
            self.trigger.on_merge(result, context)
        except Exception as error:
            self.fail_trigger(error, "on_merge", result)
        context.merged_windows = ()
        for window in others:
            self.clear_trigger(window)
            self.delete_cleanup_timer(window)
        try:
            self.contents.merge(state_window, state_windows)
        except Exception as error:
            self.fail_combining(error, result)

    def _check_not_past(self, window: Any) -> None:
        if self._is_event_time:
            now, is_past = self.timers.current_watermark, self.is_window_late(window)
        else:
            now = self.timers.current_processing_time()
            is_past = window.max_timestamp() <= now
        if is_past:
            raise UnsupportedOperationError(
                f"The end of {window!r} cannot become earlier than the present, {now} ms, by "
                "merging.",
                hint="merge_windows must return windows that contain those that it merges.",
                operator=self.context.name,
            )
