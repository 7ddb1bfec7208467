"""Windows that do not go by time: by the count of records, and the global window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from millpond.datastream._state.descriptor import ValueStateDescriptor
from millpond.datastream._windows.assigner import WindowAssigner
from millpond.datastream._windows.standard_trigger import CountTrigger, NeverTrigger, PurgingTrigger
from millpond.datastream._windows.window import CountWindow, GlobalWindow
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from millpond.common.serializer import TypeSerializer
    from millpond.datastream._windows.trigger import Trigger

__all__ = ("CountSlidingWindowAssigner", "CountTumblingWindowAssigner", "GlobalWindows")

T = TypeVar("T")


class _CountWindows(WindowAssigner[T, CountWindow]):
    _window_size: int

    def __init__(self, state_name: str) -> None:
        from millpond.common.typeinfo import Types

        self._count_descriptor = ValueStateDescriptor(state_name, Types.LONG())

    def _next_count(self, context: WindowAssigner.WindowAssignerContext) -> int:
        state = context.get_runtime_context().get_state(self._count_descriptor)
        count: int = state.value() or 0
        state.update(count + 1)
        return count

    def get_default_trigger(self, env: Any) -> Trigger[T, Any]:
        """Return the trigger that evaluates a window when it is full.

        It purges too: a full window gets no record any more and would stay for ever.
        """
        return PurgingTrigger(CountTrigger(self._window_size))

    def get_window_serializer(self) -> TypeSerializer[CountWindow]:
        """Return the serializer of count windows."""
        from millpond.datastream._windows.serializer import CountWindowSerializer

        return CountWindowSerializer()

    def is_event_time(self) -> bool:
        """Return False."""
        return False


class CountTumblingWindowAssigner(_CountWindows[T]):
    """Windows of so many records of a key, one after the other.

    Raises:
        InvalidProgramError: the size is not above 0.
    """

    def __init__(self, window_size: int) -> None:
        _check(window_size, "size")
        super().__init__("tumble-count-assigner")
        self._window_size = window_size

    @staticmethod
    def of(window_size: int) -> CountTumblingWindowAssigner[Any]:
        """Return windows of so many records."""
        return CountTumblingWindowAssigner(window_size)

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[CountWindow]:
        """Return the one window of the key's next record."""
        return [CountWindow(self._next_count(context) // self._window_size)]

    def __repr__(self) -> str:
        return f"CountTumblingWindowAssigner({self._window_size})"


class CountSlidingWindowAssigner(_CountWindows[T]):
    """Windows of so many records of a key that start at every slide.

    Raises:
        InvalidProgramError: size or slide is not above 0.
    """

    def __init__(self, window_size: int, window_slide: int) -> None:
        _check(window_size, "size")
        _check(window_slide, "slide")
        super().__init__("slide-count-assigner")
        self._window_size = window_size
        self._window_slide = window_slide

    @staticmethod
    def of(window_size: int, window_slide: int) -> CountSlidingWindowAssigner[Any]:
        """Return windows of so many records that start at every slide."""
        return CountSlidingWindowAssigner(window_size, window_slide)

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[CountWindow]:
        """Return the windows of the key's next record, the latest first."""
        count = self._next_count(context)
        slide = self._window_slide
        first = max(0, (count - self._window_size) // slide + 1)
        return [CountWindow(number) for number in range(count // slide, first - 1, -1)]

    def __repr__(self) -> str:
        return f"CountSlidingWindowAssigner({self._window_size}, {self._window_slide})"


class GlobalWindows(WindowAssigner[T, GlobalWindow]):
    """One window for all records of a key; give it a trigger, for its default never fires."""

    @staticmethod
    def create() -> GlobalWindows[Any]:
        """Return it."""
        return GlobalWindows()

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[GlobalWindow]:
        """Return the global window."""
        return [GlobalWindow.get()]

    def get_default_trigger(self, env: Any) -> Trigger[T, GlobalWindow]:
        """Return a `NeverTrigger`."""
        return NeverTrigger()

    def get_window_serializer(self) -> TypeSerializer[GlobalWindow]:
        """Return the serializer of the global window."""
        from millpond.datastream._windows.serializer import GlobalWindowSerializer

        return GlobalWindowSerializer()

    def is_event_time(self) -> bool:
        """Return False."""
        return False

    def __repr__(self) -> str:
        return "GlobalWindows()"


def _check(count: int, what: str) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or count <= 0:
        raise InvalidProgramError(
            f"The {what} of a count window is {count!r}.", hint="It must be a number above 0."
        )
