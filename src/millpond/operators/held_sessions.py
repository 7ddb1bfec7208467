"""`HeldSessions`: sessions that are open, outside the state until a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Protocol, final

from millpond.datastream.window import TimeWindow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from millpond.state.contract.keyed_backend import KeyedStateBackend

__all__ = ("HeldSessions", "Session", "SessionState")

# More keys than these are not remembered one by one.
_MOST_STORED_KEYS = 1 << 17


@final
@dataclass(slots=True, eq=False)
class Session:
    """One session of a key, as it is now.

    `state_window` is what its contents are stored under; `stored` is the window under which the
    state knows it and has a timer, which may be an earlier form, or None. `contents` is None where
    there are none.
    """

    key: Any
    start: int
    end: int
    state_window: TimeWindow
    stored: TimeWindow | None = None
    contents: Any = None
    is_merged: bool = False
    watched: int = 0

    @property
    def window(self) -> TimeWindow:
        """The window as it is now."""
        return TimeWindow(self.start, self.end)


class SessionState(Protocol):
    """How sessions get into the state and out of it; the current key is the session's."""

    def load(self) -> list[Session]:
        """Return what the state has of the current key."""
        ...

    def store(self, sessions: Sequence[Session]) -> None:
        """Put all sessions of the current key into the state in place of their stored forms."""
        ...

    def merge(self, session: Session, other: Session) -> None:
        """Move the contents of `other`, and what the state has of it, into a session before it."""
        ...


@final
class HeldSessions:
    """The sessions of keys that are in use; a key's sessions are all here or all in the state.

    A session that grows would move its timer with every record. Here it is looked at when its
    first end is reached, and again at the end that it has then. `store` puts sessions into the
    state, with the timers that there must be.

    Attributes:
        newest: the last session of each key that is held.
    """

    __slots__ = (
        "_backend",
        "_calendar",
        "_in_times",
        "_older",
        "_restored",
        "_state",
        "_stored",
        "_times",
        "newest",
    )

    def __init__(self, backend: KeyedStateBackend, state: SessionState, *, restored: bool) -> None:
        self._backend = backend
        self._state = state
        self.newest: dict[Any, Session] = {}
        self._older: dict[Any, list[Session]] = {}
        # Sessions by when they are looked at, and a heap of these times, perhaps of more.
        self._calendar: dict[int, dict[Session, None]] = {}
        self._times: list[int] = []
        self._in_times: set[int] = set()
        # Keys that have sessions in the state; after a restore all may have.
        self._stored: set[Any] = set()
        self._restored = restored

    def __len__(self) -> int:
        return len(self.newest)

    def __iter__(self) -> Iterator[Session]:
        for older in self._older.values():
            yield from older
        yield from self.newest.values()

    def expect_stored(self, key: Any) -> None:
        """Say that the state has, or is about to get, sessions of a key that is not held."""
        self._stored.add(key)
        if len(self._stored) > _MOST_STORED_KEYS:
            self._restored = True
            self._stored.clear()

    def drained(self) -> None:
        """Say that the state has no sessions but those that are held."""
        self._restored = False
        self._stored.clear()

    def load(self, key: Any) -> None:
        """Hold what the state has of a key that is not held."""
        if not self._restored and key not in self._stored:
            return
        self._stored.discard(key)
        self._backend.current_key = key
        sessions = self._state.load()
        if sessions:
            self._set(key, sorted(sessions, key=_start))
            for session in sessions:
                self._watch(session)

    def join(self, key: Any, start: int, end: int, watermark: int) -> Session | None:
        """Return the session of a record that alone would be one from `start` to `end`.

        It is a new one, or one that grew, perhaps by others. None if the record is late.
        """
        if key not in self.newest:
            self.load(key)
        newest: Session | None = self.newest.get(key)
        if newest is None:
            if end - 1 <= watermark:
                return None
            only = self.newest[key] = Session(key, start, end, TimeWindow(start, end))
            self._watch(only)
            return only
        sessions: list[Session] = [*self._older.get(key, ()), newest]
        joined = [each for each in sessions if each.start <= end and each.end >= start]
        if not joined:
            if end - 1 <= watermark:
                return None
            new = Session(key, start, end, TimeWindow(start, end))
            self._watch(new)
            self._set(key, sorted([*sessions, new], key=_start))
            return new
        session, others = joined[0], joined[1:]
        session.start = min(start, session.start)
        session.end = max(end, *[each.end for each in joined])
        if others:
            self.newest[key] = session  # for the error if merging fails
            self._merge(session, others)
        self._set(key, [each for each in sessions if not each.is_merged])
        return session

    def _merge(self, session: Session, others: list[Session]) -> None:
        self._backend.current_key = session.key
        second, *rest = others
        # As state merges namespaces: what is merged is combined first.
        for other in rest:
            self._state.merge(second, other)
        self._state.merge(session, second)
        for other in others:
            other.is_merged = True
            self._unwatch(other)

    def due(self, watermark: int) -> list[Session]:
        """Let go of the sessions that end by a watermark; in the order of their timers."""
        times, due = self._times, []
        while times and times[0] <= watermark:
            time = heappop(times)
            self._in_times.discard(time)
            for session in self._calendar.pop(time, ()):
                if session.end - 1 <= watermark:
                    due.append(session)
                    self._forget(session)
                else:
                    self._watch(session)
        if len(due) < 2:
            return due
        encoded = self._backend.parameters.key_serializer.encode_many([each.key for each in due])
        ends, starts = [each.end for each in due], [each.start for each in due]
        order = sorted(zip(ends, encoded, starts, range(len(due)), strict=True))
        return [due[place] for _, _, _, place in order]

    def store(self, most: int) -> None:
        """Put sessions into the state until only so many keys are held.

        The keys that came last go: were it the first, keys that come in turn would never be found.
        """
        backend, newest, store = self._backend, self.newest, self._state.store
        while len(newest) > most:
            key, last = newest.popitem()
            sessions = (*self._older.pop(key, ()), last)
            backend.current_key = key
            store(sessions)
            for session in sessions:
                self._unwatch(session)
            self.expect_stored(key)

    def _watch(self, session: Session) -> None:
        time = session.watched = session.end - 1
        sessions = self._calendar.get(time)
        if sessions is not None:
            sessions[session] = None
            return
        self._calendar[time] = {session: None}
        if time not in self._in_times:
            self._in_times.add(time)
            heappush(self._times, time)

    def _unwatch(self, session: Session) -> None:
        sessions = self._calendar[session.watched]
        del sessions[session]
        if not sessions:
            del self._calendar[session.watched]

    def _forget(self, session: Session) -> None:
        key = session.key
        older = self._older.get(key)
        if older is None:
            del self.newest[key]
        else:
            self._set(key, [each for each in (*older, self.newest[key]) if each is not session])

    def _set(self, key: Any, sessions: list[Session]) -> None:
        self.newest[key] = sessions[-1]
        if len(sessions) > 1:
            self._older[key] = sessions[:-1]
        else:
            self._older.pop(key, None)


def _start(session: Session) -> int:
    return session.start
