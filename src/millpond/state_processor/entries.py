"""The entries of a snapshot, one by one: keyed state, timers and operator state in one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from millpond.formats.pyflink_serializers import (
    BYTES,
    LIST_OF_BYTES,
    LIST_OF_TTL_BYTES,
    MAP_OF_BYTES,
    MAP_OF_TTL_BYTES,
)
from millpond.formats.pyflink_values import (
    decode_map_key,
    decode_map_value,
    decode_ttl_chunks,
    decode_ttl_map_value,
    join_chunks,
)
from millpond.formats.savepoint_content import (
    TimerEntry,
    read_keyed_content,
    read_operator_content,
)
from millpond.formats.state_meta import VALUE_SERIALIZER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from millpond.formats.savepoint_content import KeyedEntry
    from millpond.state_processor.savepoint import OperatorContent, Savepoint, StoredState

__all__ = ("StateEntry", "read_entries")


class StateEntry(NamedTuple):
    """One entry; bytes as Python encoded them, taken out of what Java puts around them.

    Attributes:
        state: the state it belongs to.
        key: encoded key; empty for operator state.
        namespace: encoded window, a zero byte for none.
        map_key: encoded key of a map entry; empty otherwise.
        value: the encoded value, all elements of a list one after the other, None for a None in a
            map. Where the state is not PyFlink's, Java's bytes as they are.
        times: last access in ms, for each chunk that has a time to live.
        timestamp: of a timer, in ms; None otherwise.
        subtask: index of the subtask for operator state; -1 for keyed state.
        java: whether `map_key` and `value` are Java's bytes.
    """

    state: StoredState
    key: bytes
    namespace: bytes
    map_key: bytes
    value: bytes | None
    times: tuple[int, ...] = ()
    timestamp: int | None = None
    subtask: int = -1
    java: bool = False

    @property
    def size(self) -> int:
        """How many bytes the entry has."""
        value = 0 if self.value is None else len(self.value)
        return len(self.key) + len(self.namespace) + len(self.map_key) + value


def read_entries(
    savepoint: Savepoint, content: OperatorContent, state: str | None = None
) -> Iterator[StateEntry]:
    """Iterate over the state of one operator; `state` is the user's name of the only one wanted.

    Memory is bounded by the largest entry, and for operator state by a subtask's.

    Raises:
        FormatError: the state is damaged or of a kind that cannot be read.
        SnapshotCorruptedError: a file is not what was written.
    """
    yield from _keyed_entries(savepoint, content, state)
    yield from _operator_entries(savepoint, content, state)


def _keyed_entries(
    savepoint: Savepoint, content: OperatorContent, state: str | None
) -> Iterator[StateEntry]:
    by_name = {stored.meta.name: stored for stored in content.states}
    takers: dict[str, Callable[[StoredState, KeyedEntry], StateEntry]] = {}
    check = not savepoint.has_checksums
    for entry in read_keyed_content(content.operator, savepoint.open_stream, check=check):
        name = entry.state.name
        stored = by_name[name]
        if state is not None and stored.name != state:
            continue
        if isinstance(entry, TimerEntry):
            yield StateEntry(
                stored, entry.key, entry.namespace, b"", b"", timestamp=entry.timestamp
            )
            continue
        take = takers.get(name)
        if take is None:
            take = takers[name] = _taker(stored)
        yield take(stored, entry)


def _operator_entries(
    savepoint: Savepoint, content: OperatorContent, state: str | None
) -> Iterator[StateEntry]:
    wanted = {each.meta.name: each for each in content.states if state in {None, each.name}}
    for subtask, found in read_operator_content(content.operator, savepoint.open_stream):
        for name in (each for each in found.lists if each in wanted):
            for element in found.lists[name]:
                yield _listed(wanted[name], element, subtask)
        for name in (each for each in found.broadcasts if each in wanted):
            for key, value in found.broadcasts[name]:
                yield _broadcast(wanted[name], key, value, subtask)


def _listed(stored: StoredState, element: object, subtask: int) -> StateEntry:
    java = stored.meta.serializers.get(VALUE_SERIALIZER) != BYTES
    value = element if isinstance(element, bytes) else repr(element).encode()
    return StateEntry(stored, b"", b"", b"", value, subtask=subtask, java=java)


def _broadcast(stored: StoredState, key: object, value: object, subtask: int) -> StateEntry:
    java = not (isinstance(key, bytes) and isinstance(value, bytes))
    key_bytes = key if isinstance(key, bytes) else repr(key).encode()
    data = value if isinstance(value, bytes) else repr(value).encode()
    return StateEntry(stored, b"", b"", key_bytes, data, subtask=subtask, java=java)


def _taker(stored: StoredState) -> Callable[[StoredState, KeyedEntry], StateEntry]:
    """Return what takes entries of a state out of their layout; chosen once a state."""
    serializer = stored.meta.serializers.get(VALUE_SERIALIZER)
    for known, take in _TAKERS:
        if serializer == known:
            return take
    return _from_java


def _from_list(stored: StoredState, entry: KeyedEntry) -> StateEntry:
    return StateEntry(stored, entry.key, entry.namespace, b"", join_chunks(entry.value))


def _from_map(stored: StoredState, entry: KeyedEntry) -> StateEntry:
    map_key = decode_map_key(entry.user_key)
    return StateEntry(stored, entry.key, entry.namespace, map_key, decode_map_value(entry.value))


def _from_ttl_list(stored: StoredState, entry: KeyedEntry) -> StateEntry:
    chunks = decode_ttl_chunks(entry.value)
    times = tuple(time for time, _ in chunks)
    elements = b"".join([chunk for _, chunk in chunks])
    return StateEntry(stored, entry.key, entry.namespace, b"", elements, times)


def _from_ttl_map(stored: StoredState, entry: KeyedEntry) -> StateEntry:
    map_key = decode_map_key(entry.user_key)
    timed = decode_ttl_map_value(entry.value)
    if timed is None:
        return StateEntry(stored, entry.key, entry.namespace, map_key, None)
    time, value = timed
    return StateEntry(stored, entry.key, entry.namespace, map_key, value, (time,))


def _from_java(stored: StoredState, entry: KeyedEntry) -> StateEntry:
    return StateEntry(stored, entry.key, entry.namespace, entry.user_key, entry.value, java=True)


_TAKERS: Final = (
    (LIST_OF_BYTES, _from_list),
    (MAP_OF_BYTES, _from_map),
    (LIST_OF_TTL_BYTES, _from_ttl_list),
    (MAP_OF_TTL_BYTES, _from_ttl_map),
)
