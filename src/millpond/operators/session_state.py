"""How sessions that were held get into the state and out of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, final

from millpond.operators.held_sessions import Session
from millpond.state.contract.states import SupportsEntries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.datastream.state import MapState
    from millpond.datastream.window import TimeWindow
    from millpond.operators.timer_service import InternalTimerService
    from millpond.operators.window_contents import WindowContents
    from millpond.state.contract.keyed_backend import KeyedStateBackend

__all__ = ("CombinedSessions", "ListedSessions", "StoredSessions")


class StoredSessions(ABC):
    """The merging window set, the timers and the contents of the current key's sessions."""

    def __init__(
        self,
        backend: KeyedStateBackend,
        timers: InternalTimerService,
        windows: MapState[TimeWindow, TimeWindow],
        contents: WindowContents,
    ) -> None:
        self._backend = backend
        self._timers = timers
        self._windows = windows
        # A key's windows are put and taken all together where the state allows it.
        self._maps = windows if isinstance(windows, SupportsEntries) else None
        self._contents = contents
        self._state: Any = contents.state

    def load(self) -> list[Session]:
        """Return what the state has of the current key."""
        key, maps = self._backend.current_key, self._maps
        entries = None if maps is None else maps.entries()
        windows = self._windows if entries is None else entries.get(key) or {}
        return [
            Session(key, window.start, window.end, state_window, window, self._read(state_window))
            for window, state_window in list(windows.items())
        ]

    def store(self, sessions: Sequence[Session]) -> None:
        """Put all sessions of the current key into the state in place of their stored forms."""
        maps = self._maps
        entries = None if maps is None else maps.entries()
        if entries is None:
            for session in sessions:
                self._store_one(session)
            return
        timers = self._timers
        for session in sessions:
            window, stored = session.window, session.stored
            if stored != window:
                timers.register_event_time_timer(window, window.end - 1)
                if stored is not None:
                    timers.delete_event_time_timer(stored, stored.end - 1)
                session.stored = window
            self._write(session)
        entries[self._backend.current_key] = {
            session.stored: session.state_window for session in sessions
        }

    def _store_one(self, session: Session) -> None:
        window, stored = session.window, session.stored
        if stored != window:
            self._windows.put(window, session.state_window)
            self._timers.register_event_time_timer(window, window.max_timestamp())
            if stored is not None:
                self._forget(stored)
            session.stored = window
        self._write(session)

    def merge(self, session: Session, other: Session) -> None:
        """Move the contents of `other`, and what the state has of it, into a session before it."""
        self._merge_contents(session, other)
        if other.stored is not None:
            self._forget(other.stored)

    def take(self, session: Session) -> Any:
        """Delete what the state has of a session and return its contents, None if it has none."""
        contents = self._all_contents(session)
        if session.stored is not None:
            self._windows.remove(session.stored)
            self._contents.clear(session.state_window)
        return contents

    def _forget(self, stored: TimeWindow) -> None:
        self._windows.remove(stored)
        self._timers.delete_event_time_timer(stored, stored.max_timestamp())

    @abstractmethod
    def _read(self, state_window: TimeWindow) -> Any: ...

    @abstractmethod
    def _write(self, session: Session) -> None: ...

    @abstractmethod
    def _merge_contents(self, session: Session, other: Session) -> None: ...

    @abstractmethod
    def _all_contents(self, session: Session) -> Any: ...


@final
class CombinedSessions(StoredSessions):
    """One value a session; `combine` makes one of two."""

    def __init__(
        self,
        backend: KeyedStateBackend,
        timers: InternalTimerService,
        windows: MapState[TimeWindow, TimeWindow],
        contents: WindowContents,
        combine: Callable[[Any, Any], Any],
    ) -> None:
        super().__init__(backend, timers, windows, contents)
        self._combine = combine

    def _read(self, state_window: TimeWindow) -> Any:
        return self._state.entries().get((self._backend.current_key, state_window))

    def _write(self, session: Session) -> None:
        if session.contents is None:
            self._contents.clear(session.state_window)
        else:
            self._state.entries()[session.key, session.state_window] = session.contents

    def _merge_contents(self, session: Session, other: Session) -> None:
        if session.contents is None:
            session.contents = other.contents
        elif other.contents is not None:
            session.contents = self._combine(session.contents, other.contents)
        if other.stored is not None:
            self._contents.clear(other.state_window)

    def _all_contents(self, session: Session) -> Any:
        return session.contents


@final
class ListedSessions(StoredSessions):
    """All records of a session; only those that came since it was stored are held."""

    def _read(self, state_window: TimeWindow) -> Any:
        return None

    def _write(self, session: Session) -> None:
        if session.contents:
            self._state.current_namespace = session.state_window
            self._state.add_all(session.contents)

    def _merge_contents(self, session: Session, other: Session) -> None:
        if other.stored is None:
            session.contents = [*(session.contents or ()), *(other.contents or ())]
            return
        if session.contents or session.stored is None:
            self._store_one(session)
        self._contents.merge(session.state_window, [other.state_window])
        session.contents = other.contents

    def _all_contents(self, session: Session) -> Any:
        if session.stored is None:
            return session.contents
        self._state.current_namespace = session.state_window
        return [*self._state.get(), *(session.contents or ())] or None
