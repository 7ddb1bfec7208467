"""`WindowAssigner`: which windows a record belongs to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from millpond.common.serializer import TypeSerializer
    from millpond.datastream._functions.function import RuntimeContext
    from millpond.datastream._windows.trigger import Trigger

__all__ = ("MergingWindowAssigner", "SessionWindowTimeGapExtractor", "WindowAssigner")

T = TypeVar("T")
W = TypeVar("W")
W2 = TypeVar("W2")


class _WindowAssignerContext(ABC):
    @abstractmethod
    def get_current_processing_time(self) -> int:
        """Return the processing time in ms."""

    @abstractmethod
    def get_runtime_context(self) -> RuntimeContext:
        """Return the operator's runtime context, with state of the record's key."""


class WindowAssigner(ABC, Generic[T, W]):
    """Assigns windows to records and says by which time they go."""

    WindowAssignerContext: TypeAlias = _WindowAssignerContext

    @abstractmethod
    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> Collection[W]:
        """Return the windows of a record; none drops it."""

    @abstractmethod
    def get_default_trigger(self, env: Any) -> Trigger[T, W]:
        """Return the trigger to use where the program names none."""

    @abstractmethod
    def get_window_serializer(self) -> TypeSerializer[W]:
        """Return the serializer of the windows."""

    @abstractmethod
    def is_event_time(self) -> bool:
        """Return whether windows go by event time."""


class _MergeCallback(ABC, Generic[W2]):
    @abstractmethod
    def merge(self, to_be_merged: Iterable[W2], merge_result: W2) -> None:
        """Merge windows into `merge_result`."""


class MergingWindowAssigner(WindowAssigner[T, W]):
    """Assigns windows that grow into one another, such as sessions."""

    MergeCallback: TypeAlias = _MergeCallback

    @abstractmethod
    def merge_windows(
        self, windows: Iterable[W], callback: MergingWindowAssigner.MergeCallback[W]
    ) -> None:
        """Call `callback.merge` for every group of windows that must become one."""


class SessionWindowTimeGapExtractor(ABC):
    """Gives each record its own session gap."""

    @abstractmethod
    def extract(self, element: Any) -> int:
        """Return the gap after this record in ms; it must be above 0."""
