"""`HeldPanes`: what windows that are open consist of, outside the state until a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.operators.batch import MAX_WATERMARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from millpond.datastream.window import TimeWindow
    from millpond.operators.timer_service import InternalTimerService
    from millpond.state.contract.keyed_backend import KeyedStateBackend

__all__ = ("HeldPanes",)


@final
class HeldPanes:
    """Panes by window and key, none of them older than what the state has.

    A window that ends before it is stored never enters the state and needs no timer, which
    saves most of what a window costs. Whoever is about to use the state itself, a snapshot above
    all, has panes stored before. When there are more than the backend allows all are stored, so
    that a snapshot does not wait for long; then new ones are held again.
    """

    __slots__ = ("_backend", "_known", "_panes", "_restored", "_store", "_stored", "_timers")

    def __init__(
        self,
        backend: KeyedStateBackend,
        timers: InternalTimerService,
        store: Callable[[TimeWindow, dict[Any, Any], set[Any]], None],
    ) -> None:
        """Hold nothing; ``store(window, panes, known)`` puts panes into the state.

        The state had those of the keys in `known` before, and their timers.
        """
        self._backend = backend
        self._timers = timers
        self._store = store
        self._panes: dict[TimeWindow, dict[Any, Any]] = {}
        self._known: dict[TimeWindow, set[Any]] = {}
        # Windows of which the state has panes; after a restore it may have some of any.
        self._stored: set[TimeWindow] = set()
        self._restored = timers.has_event_timers(MAX_WATERMARK)

    def __len__(self) -> int:
        return sum(map(len, self._panes.values()))

    def count_elements(self) -> int:
        """Return how many elements all panes have, which are lists."""
        return sum(sum(map(len, panes.values())) for panes in self._panes.values())

    def of(self, window: TimeWindow) -> dict[Any, Any]:
        """Return the panes of a window by key, to be read and written."""
        panes = self._panes.get(window)
        if panes is None:
            panes = self._panes[window] = {}
        return panes

    def is_stored(self, window: TimeWindow) -> bool:
        """Return whether the state may have panes of a window."""
        return self._restored or window in self._stored

    def expect_stored(self, window: TimeWindow) -> None:
        """Say that somebody else puts panes of a window into the state."""
        self._stored.add(window)

    def took(self, window: TimeWindow, key: Any) -> None:
        """Say that a pane which is now held was found in the state."""
        known = self._known.get(window)
        if known is None:
            known = self._known[window] = set()
        known.add(key)

    def due(self, watermark: int) -> list[TimeWindow]:
        """Return the windows with held panes that end by a watermark, in that order."""
        return sorted(window for window in self._panes if window.max_timestamp() <= watermark)

    def take(self, window: TimeWindow) -> tuple[list[Any], list[Any]]:
        """Forget a window that was never stored; return keys and panes in the order of timers."""
        panes = self._panes.pop(window)
        keys = self._backend.parameters.key_serializer.in_order(list(panes))
        return keys, list(map(panes.__getitem__, keys))

    def store(self, window: TimeWindow) -> None:
        """Put what is held of a window into the state."""
        panes = self._panes.pop(window)
        known = self._known.pop(window, set())
        if panes:
            self._stored.add(window)
            self._store(window, panes, known)

    def store_key(self, key: Any, windows: Iterable[TimeWindow]) -> None:
        """Put what is held of a key into the state, which somebody uses for these windows."""
        for window in windows:
            panes = self._panes.get(window)
            if panes is not None and key in panes:
                self._store(window, {key: panes.pop(key)}, set())
            self._stored.add(window)

    def store_all(self) -> None:
        """Put everything into the state."""
        for window in list(self._panes):
            self.store(window)

    def fired(self, watermark: int) -> None:
        """Forget the windows that have ended; all their timers have fired."""
        if self._stored:
            self._stored = {w for w in self._stored if w.max_timestamp() > watermark}
        if self._restored:
            self._restored = self._timers.has_event_timers(MAX_WATERMARK)
