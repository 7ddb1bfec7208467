"""Adding records to panes that are held: one loop for each kind of contents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.functions import ReduceFunction
from millpond.operators.user_function import bound_method
from millpond.state.contract.declared_type import admit, all_fit, fits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from millpond.datastream.functions import AggregateFunction
    from millpond.datastream.window import TimeWindow
    from millpond.operators.held_panes import HeldPanes
    from millpond.operators.window_contents import WindowContents
    from millpond.state.contract.keyed_backend import KeyedStateBackend

__all__ = (
    "AggregatedPanes",
    "CountedPanes",
    "ListedPanes",
    "PaneAdditions",
    "ReducedPanes",
)


class PaneAdditions(ABC):
    """Adds records to the held panes of a window; what the state would refuse is refused.

    Attributes:
        entries: of the state, for one batch.
    """

    entries: Mapping[Any, Any]

    def __init__(
        self, panes: HeldPanes, contents: WindowContents, backend: KeyedStateBackend
    ) -> None:
        self._panes = panes
        self._contents = contents
        self._backend = backend
        self._fits = fits(contents.definition.value_coder)

    def exceed(self, limit: int) -> bool:
        """Return whether more is held than `limit` entries."""
        return len(self._panes) > limit

    @abstractmethod
    def add(self, window: TimeWindow, keys: Sequence[Any], values: Sequence[Any]) -> None:
        """Add records in order; the backend's current key is that of one that was refused."""

    def _stored(self, window: TimeWindow, key: Any) -> Any:
        """Return what the state has of a pane that is not held."""
        if not self._panes.is_stored(window):
            return None
        stored = self.entries.get((key, window))
        if stored is not None:
            self._panes.took(window, key)
        return stored

    def _begin(self, window: TimeWindow, key: Any, first: Any) -> None:
        """Hold a pane's first value, in its declared type; None clears the pane."""
        self._backend.current_key = key
        if first is None:
            self._panes.of(window).pop(key, None)
            self._contents.clear(window)
            return
        if self._fits is not None and not self._fits(first):
            definition = self._contents.definition
            name = self._backend.parameters.operator_name
            first = admit(
                definition.value_coder, first, state=definition.name, operator=name, key=key
            )
        self._panes.of(window)[key] = first


class AggregatedPanes(PaneAdditions):
    """Accumulators of an aggregate function."""

    def __init__(
        self,
        panes: HeldPanes,
        contents: WindowContents,
        backend: KeyedStateBackend,
        function: AggregateFunction,
    ) -> None:
        super().__init__(panes, contents, backend)
        self._function = function

    def add(self, window: TimeWindow, keys: Sequence[Any], values: Sequence[Any]) -> None:
        add, create = self._function.add, self._function.create_accumulator
        accumulators, fits = self._panes.of(window), self._fits or _any
        is_stored = self._panes.is_stored(window)
        get, key = accumulators.get, None
        try:
            for key, value in zip(keys, values, strict=True):
                accumulator = get(key)
                if accumulator is None or value is None:
                    if is_stored or value is None:
                        self._begin(window, key, self._first(window, key, value))
                        continue
                    accumulator = add(value, create())
                    if accumulator is not None and fits(accumulator):
                        accumulators[key] = accumulator
                    else:
                        self._begin(window, key, accumulator)
                    continue
                accumulator = add(value, accumulator)
                if accumulator is None:
                    self._begin(window, key, None)
                else:
                    accumulators[key] = accumulator
        except Exception:
            self._backend.current_key = key
            raise

    def _first(self, window: TimeWindow, key: Any, value: Any) -> Any:
        if value is None:
            return None
        accumulator = self._stored(window, key)
        if accumulator is None:
            accumulator = self._function.create_accumulator()
        return self._function.add(value, accumulator)


@final
class CountedPanes(AggregatedPanes):
    """A count and a sum, without a call a record."""

    def __init__(
        self,
        panes: HeldPanes,
        contents: WindowContents,
        backend: KeyedStateBackend,
        function: AggregateFunction,
        position: int,
    ) -> None:
        super().__init__(panes, contents, backend, function)
        self._position = position

    def add(self, window: TimeWindow, keys: Sequence[Any], values: Sequence[Any]) -> None:
        position, accumulators = self._position, self._panes.of(window)
        fits, is_stored = self._fits or _any, self._panes.is_stored(window)
        get, key = accumulators.get, None
        try:
            for key, value in zip(keys, values, strict=True):
                accumulator = get(key)
                if accumulator is None or value is None:
                    if is_stored or value is None or not fits(first := (1, value[position])):
                        self._begin(window, key, self._first(window, key, value))
                    else:
                        accumulators[key] = first
                    continue
                number, total = accumulator
                accumulators[key] = (number + 1, total + value[position])
        except Exception:
            self._backend.current_key = key
            raise


@final
class ReducedPanes(PaneAdditions):
    """What a reduce function made of the records."""

    def __init__(
        self,
        panes: HeldPanes,
        contents: WindowContents,
        backend: KeyedStateBackend,
        function: Callable[[Any, Any], Any] | ReduceFunction,
    ) -> None:
        super().__init__(panes, contents, backend)
        self._reduce = bound_method(function, ReduceFunction, "reduce")

    def add(self, window: TimeWindow, keys: Sequence[Any], values: Sequence[Any]) -> None:
        reduce, reductions = self._reduce, self._panes.of(window)
        fits, is_stored = self._fits or _any, self._panes.is_stored(window)
        get, key = reductions.get, None
        try:
            for key, value in zip(keys, values, strict=True):
                reduced = get(key)
                if reduced is None or value is None:
                    if is_stored or value is None or not fits(value):
                        self._begin(window, key, self._first(window, key, value))
                    else:
                        reductions[key] = value
                    continue
                reduced = reduce(reduced, value)
                if reduced is None:
                    self._begin(window, key, None)
                else:
                    reductions[key] = reduced
        except Exception:
            self._backend.current_key = key
            raise

    def _first(self, window: TimeWindow, key: Any, value: Any) -> Any:
        reduced = None if value is None else self._stored(window, key)
        return value if reduced is None else self._reduce(reduced, value)


@final
class ListedPanes(PaneAdditions):
    """The records themselves; in the state they come behind those that are there."""

    def __init__(
        self, panes: HeldPanes, contents: WindowContents, backend: KeyedStateBackend
    ) -> None:
        super().__init__(panes, contents, backend)
        self._at_most = 0

    def add(self, window: TimeWindow, keys: Sequence[Any], values: Sequence[Any]) -> None:
        self._at_most += len(values)
        lists = self._panes.of(window)
        get, key = lists.get, None
        try:
            for key, value in zip(keys, values, strict=True):
                elements = get(key)
                if elements is None:
                    lists[key] = [value]
                else:
                    elements.append(value)
        except Exception:
            self._backend.current_key = key
            raise

    def exceed(self, limit: int) -> bool:
        """Return whether more records are held than `limit`."""
        if self._at_most > limit:
            self._at_most = self._panes.count_elements()
        return self._at_most > limit

    def all_fit(self, values: Sequence[Any]) -> bool:
        """Return whether the state would take all records as they are."""
        check = self._fits
        if check is None or all_fit(self._contents.definition.value_coder, values):
            return True
        return all(map(check, values))


def _any(_value: Any) -> bool:
    return True
