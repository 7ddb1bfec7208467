"""`HeldPanes`: the accumulators of windows that are open, outside the state until a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from millpond.datastream.window import TimeWindow
    from millpond.operators.timer_service import InternalTimerService
    from millpond.state.contract.keyed_backend import KeyedStateBackend

__all__ = ("HeldPanes",)

_MOST = 1 << 15
_REST_BATCHES = 256


@final
class HeldPanes:
    """Accumulators by window and key, none of them older than what the state has.

    A window that ends before it is written back never enters the state and needs no timer, which
    saves most of what a window costs. Whoever is about to use the state itself, a snapshot above
    all, has them written back before. They are few, so that a snapshot does not wait for long;
    where they would be many, or the state is needed again and again, nothing is held for a while.
    """

    __slots__ = ("_backend", "_panes", "_rest", "_stored_until", "_timers")

    def __init__(self, backend: KeyedStateBackend, timers: InternalTimerService) -> None:
        self._backend = backend
        self._timers = timers
        self._panes: dict[TimeWindow, dict[Any, Any]] = {}
        self._rest = 0
        # Windows that start later are not in the state. Restored timers say that some may be.
        restored = timers.has_event_timers(MAX_WATERMARK)
        self._stored_until: int = MAX_WATERMARK if restored else MIN_WATERMARK

    def begin_batch(self) -> bool:
        """Return whether the records of a batch may be held."""
        if self._rest:
            self._rest -= 1
            self._stored_until = MAX_WATERMARK  # the batch opens windows in the state
        return not self._rest

    def of(self, window: TimeWindow) -> dict[Any, Any]:
        """Return the accumulators of a window by key, to be read and written."""
        panes = self._panes.get(window)
        if panes is None:
            panes = self._panes[window] = {}
        return panes

    def may_be_stored(self, window: TimeWindow) -> bool:
        """Whether the state may have accumulators of a window."""
        return window.start < self._stored_until

    def end_batch(self, entries: MutableMapping[Any, Any]) -> None:
        """Write back if there are too many."""
        if sum(map(len, self._panes.values())) > _MOST:
            self.make_way(entries)

    def due(self, watermark: int) -> Iterator[tuple[TimeWindow, list[tuple[Any, Any]]]]:
        """Yield and forget the windows that end by a watermark, with (key, accumulator) pairs.

        They come in the order of the timers that they would have: time, then bytes of the key.
        """
        encode = self._backend.parameters.key_serializer.encode
        for window in sorted(w for w in self._panes if w.max_timestamp() <= watermark):
            pairs = list(self._panes.pop(window).items())
            if len(pairs) > 1:
                encoded = [encode(key) for key, _ in pairs]
                order = sorted(range(len(pairs)), key=encoded.__getitem__)
                pairs = [pairs[index] for index in order]
            yield window, pairs
        if not self._timers.has_event_timers(MAX_WATERMARK):
            self._stored_until = MIN_WATERMARK

    def make_way(self, entries: MutableMapping[Any, Any]) -> None:
        """Write back, and hold nothing for a while."""
        self.write_back(entries)
        self._rest = _REST_BATCHES
        self._stored_until = MAX_WATERMARK

    def write_back(self, entries: MutableMapping[Any, Any]) -> None:
        """Put everything into the state and set its timers."""
        backend, register = self._backend, self._timers.register_event_time_timer
        for window, panes in self._panes.items():
            end = window.max_timestamp()
            entries.update([((key, window), accumulator) for key, accumulator in panes.items()])
            for backend.current_key in panes:
                register(window, end)
            if panes:
                self._stored_until = max(self._stored_until, window.end)
        self._panes.clear()
