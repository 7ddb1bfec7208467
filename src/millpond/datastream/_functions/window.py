"""Functions over the contents of a window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar, final

from millpond.datastream._functions.function import Function

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.datastream._functions.function import KeyedStateStore

__all__ = (
    "AllWindowFunction",
    "PassThroughAllWindowFunction",
    "PassThroughWindowFunction",
    "ProcessAllWindowFunction",
    "ProcessWindowFunction",
    "WindowFunction",
)

IN = TypeVar("IN")
OUT = TypeVar("OUT")
KEY = TypeVar("KEY")
W = TypeVar("W")
W2 = TypeVar("W2")


class WindowFunction(Function, Generic[IN, OUT, KEY, W]):
    """Computes results from the contents of one key's window."""

    @abstractmethod
    def apply(self, key: KEY, window: W, inputs: Iterable[IN]) -> Iterable[OUT] | None:
        """Yield or return the results; called at each firing of the window."""


class AllWindowFunction(Function, Generic[IN, OUT, W]):
    """Computes results from the contents of a window of a stream without a key."""

    @abstractmethod
    def apply(self, window: W, inputs: Iterable[IN]) -> Iterable[OUT] | None:
        """Yield or return the results; called at each firing of the window."""


class _WindowContext(ABC, Generic[W2]):
    @abstractmethod
    def window(self) -> W2:
        """Return the window."""

    @abstractmethod
    def window_state(self) -> KeyedStateStore:
        """Return the state of this key and this window; `clear` must clear it.

        Its methods raise UnsupportedOperationError for windows that merge.
        """

    @abstractmethod
    def global_state(self) -> KeyedStateStore:
        """Return the state of this key that all its windows share."""


class ProcessWindowFunction(Function, Generic[IN, OUT, KEY, W]):
    """Window function with access to time and state.

    A result ``(output_tag, value)`` goes to that side output.
    """

    class Context(_WindowContext[W2]):
        """What the methods may ask."""

        @abstractmethod
        def current_processing_time(self) -> int:
            """Return the processing time in ms."""

        @abstractmethod
        def current_watermark(self) -> int:
            """Return the watermark in ms."""

    @abstractmethod
    def process(
        self, key: KEY, context: ProcessWindowFunction.Context[W], elements: Iterable[IN]
    ) -> Iterable[OUT] | None:
        """Yield or return the results; called at each firing of the window."""

    def clear(self, context: ProcessWindowFunction.Context[W]) -> None:
        """Delete the window's state; called once when the window expires."""


class ProcessAllWindowFunction(Function, Generic[IN, OUT, W]):
    """Window function with access to state, for a stream without a key."""

    class Context(_WindowContext[W2]):
        """What the methods may ask."""

        @abstractmethod
        def current_processing_time(self) -> int:
            """Return the processing time in ms (beyond PyFlink)."""

        @abstractmethod
        def current_watermark(self) -> int:
            """Return the watermark in ms (beyond PyFlink)."""

    @abstractmethod
    def process(
        self, context: ProcessAllWindowFunction.Context[W], elements: Iterable[IN]
    ) -> Iterable[OUT] | None:
        """Yield or return the results; called at each firing of the window."""

    def clear(self, context: ProcessAllWindowFunction.Context[W]) -> None:
        """Delete the window's state; called once when the window expires."""


@final
class PassThroughWindowFunction(WindowFunction[IN, IN, KEY, W]):
    """Hands the contents on as they are."""

    def apply(self, key: KEY, window: W, inputs: Iterable[IN]) -> Iterable[IN]:
        """Return the contents."""
        return inputs


@final
class PassThroughAllWindowFunction(AllWindowFunction[IN, IN, W]):
    """Hands the contents on as they are."""

    def apply(self, window: W, inputs: Iterable[IN]) -> Iterable[IN]:
        """Return the contents."""
        return inputs
