"""`MergingWindowSet`: which windows of a key are in flight and where their contents are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.window import MergingWindowAssigner
from millpond.serialization.coder import Coder
from millpond.state.contract.definition import StateDefinition, StateKind

if TYPE_CHECKING:
    from millpond.datastream.state import MapState
    from millpond.state.contract.namespace import NamespaceSerializer

__all__ = ("MERGING_WINDOW_SET", "MergeFunction", "MergingWindowSet", "merging_set_definition")

MERGING_WINDOW_SET = "merging-window-set"
"""The name of the state in PyFlink."""

MergeFunction = Callable[[Any, Sequence[Any], Any, Sequence[Any]], None]
"""Given (result, merged windows, state window of the result, state windows to merge into it)."""


@final
class _WindowCoder(Coder):
    """A window as its namespace bytes, without a length, as PyFlink keeps it in the set."""

    __slots__ = ("_namespace", "immutable", "pickled", "signature")

    def __init__(self, namespace: NamespaceSerializer) -> None:
        self._namespace = namespace
        self.signature = f"WINDOW<{namespace.kind}>"
        self.immutable = True
        self.pickled = False

    def encode(self, value: Any) -> bytes:
        return self._namespace.encode(value)

    def decode_from(self, data: bytes, offset: int) -> tuple[Any, int]:
        return self._namespace.decode_from(data, offset)


def merging_set_definition(namespace: NamespaceSerializer) -> StateDefinition:
    """Return the definition of the map state, from window to state window, of a key."""
    coder = _WindowCoder(namespace)
    return StateDefinition(MERGING_WINDOW_SET, StateKind.MAP, coder, coder)


@final
class MergingWindowSet:
    """The in-flight windows of the current key, each with its state window.

    Merging two windows would have to move their contents; instead the merged window keeps the
    state window of the first, and only the others' contents move (Flink's MergingWindowSet).
    """

    __slots__ = ("_added", "_assigner", "_removed", "_state", "_windows")

    def __init__(
        self, assigner: MergingWindowAssigner[Any, Any], state: MapState[Any, Any]
    ) -> None:
        self._assigner = assigner
        self._state = state
        self._windows: dict[Any, Any] = dict(state.items())
        self._added: dict[Any, Any] = {}
        self._removed: list[Any] = []

    def state_window(self, window: Any) -> Any:
        """Return the window under which the contents are kept; None if not in flight."""
        return self._windows.get(window)

    def add_window(self, window: Any, merge_function: MergeFunction) -> Any:
        """Add a window, merge what has to be merged, and return the window it is now in."""
        windows = self._windows
        if window in windows:
            return window
        collector = _MergeCollector()
        self._assigner.merge_windows([*windows, window], collector)
        result_window = window
        merged_new_window = False
        for merge_result, to_be_merged in collector.merges:
            merged = [other for other in to_be_merged if other != window]
            if len(merged) < len(to_be_merged):
                merged_new_window = True
                result_window = merge_result
            # A new window inside one that is in flight changes nothing but that it is in it.
            if merged != [merge_result]:
                state_windows = [self._remove(other) for other in merged]
                self._put(merge_result, state_windows[0])
                merge_function(merge_result, merged, state_windows[0], state_windows[1:])
        if not merged_new_window:
            self._put(window, window)
        return result_window

    def retire_window(self, window: Any) -> None:
        """Forget a window; its contents must be gone."""
        if window in self._windows:
            self._remove(window)

    def persist(self) -> None:
        """Write what has changed to the state."""
        for window in self._removed:
            self._state.remove(window)
        self._removed.clear()
        for window, state_window in self._added.items():
            self._state.put(window, state_window)
        self._added.clear()

    def _put(self, window: Any, state_window: Any) -> None:
        self._windows[window] = self._added[window] = state_window

    def _remove(self, window: Any) -> Any:
        if self._added.pop(window, None) is None:
            self._removed.append(window)
        return self._windows.pop(window)


@final
class _MergeCollector(MergingWindowAssigner.MergeCallback[Any]):
    """Keeps what an assigner wants merged until it is through."""

    def __init__(self) -> None:
        self.merges: list[tuple[Any, list[Any]]] = []

    def merge(self, to_be_merged: Iterable[Any], merge_result: Any) -> None:
        self.merges.append((merge_result, list(to_be_merged)))
