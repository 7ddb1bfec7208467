"""The entries of a snapshot, one by one: keyed state, timers and operator state in one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from millpond.formats.pyflink_serializers import (
    BYTES,
    LIST_OF_BYTES,
    LIST_OF_TTL_BYTES,
    MAP_OF_BYTES,
    MAP_OF_TTL_BYTES,
)
from millpond.formats.pyflink_values import (
    decode_chunks,
    decode_map_key,
    decode_map_value,
    decode_ttl_chunks,
    decode_ttl_map_value,
)
from millpond.formats.savepoint_content import (
    TimerEntry,
    read_keyed_content,
    read_operator_content,
)
from millpond.formats.state_meta import VALUE_SERIALIZER, StateMeta
from millpond.state_processor.savepoint import StoredState, user_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.formats.savepoint_content import KeyedEntry
    from millpond.state_processor.savepoint import OperatorContent, Savepoint

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
    by_name = {stored.meta.name: stored for stored in content.states}
    for entry in read_keyed_content(content.operator, savepoint.open_stream):
        stored = by_name.get(entry.state.name)
        if stored is None:
            # Raw timers stand in no header.
            stored = by_name[entry.state.name] = _timers(entry.state)
        if state is not None and stored.name != state:
            continue
        if isinstance(entry, TimerEntry):
            yield StateEntry(
                stored, entry.key, entry.namespace, b"", b"", timestamp=entry.timestamp
            )
        else:
            yield _keyed(stored, entry)
    for subtask, operator_content in read_operator_content(content.operator, savepoint.open_stream):
        for name, elements in operator_content.lists.items():
            stored = by_name[name]
            if state in {None, stored.name}:
                for element in elements:
                    yield _listed(stored, element, subtask)
        for name, pairs in operator_content.broadcasts.items():
            stored = by_name[name]
            if state in {None, stored.name}:
                for key, value in pairs:
                    is_bytes = isinstance(key, bytes) and isinstance(value, bytes)
                    yield StateEntry(
                        stored,
                        b"",
                        b"",
                        key if is_bytes else repr(key).encode(),
                        value if is_bytes else repr(value).encode(),
                        subtask=subtask,
                        java=not is_bytes,
                    )


def _timers(meta: StateMeta) -> StoredState:
    return StoredState(user_name(meta.name), "timers", "", "void", ttl=False, meta=meta)


def _listed(stored: StoredState, element: object, subtask: int) -> StateEntry:
    java = stored.meta.serializers.get(VALUE_SERIALIZER) != BYTES
    value = element if isinstance(element, bytes) else repr(element).encode()
    return StateEntry(stored, b"", b"", b"", value, subtask=subtask, java=java)


def _keyed(stored: StoredState, entry: KeyedEntry) -> StateEntry:
    serializer = entry.state.serializers.get(VALUE_SERIALIZER)
    key, namespace, data = entry.key, entry.namespace, entry.value
    if serializer == LIST_OF_BYTES:
        return StateEntry(stored, key, namespace, b"", b"".join(decode_chunks(data)))
    if serializer == MAP_OF_BYTES:
        map_key = decode_map_key(entry.user_key)
        return StateEntry(stored, key, namespace, map_key, decode_map_value(data))
    if serializer == LIST_OF_TTL_BYTES:
        chunks = decode_ttl_chunks(data)
        times = tuple(time for time, _ in chunks)
        return StateEntry(stored, key, namespace, b"", b"".join(c for _, c in chunks), times)
    if serializer == MAP_OF_TTL_BYTES:
        map_key = decode_map_key(entry.user_key)
        timed = decode_ttl_map_value(data)
        if timed is None:
            return StateEntry(stored, key, namespace, map_key, None)
        return StateEntry(stored, key, namespace, map_key, timed[1], (timed[0],))
    return StateEntry(stored, key, namespace, entry.user_key, data, java=True)
