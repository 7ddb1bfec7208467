"""`RocksDBTimerQueue`: timers in a column family, with the first of each key group in memory."""

from __future__ import annotations

import struct
from bisect import bisect_left
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

from millpond.errors import KeyGroupOutOfRangeError, MillpondError, StateStoreError
from millpond.state.contract.namespace import VOID
from millpond.state.contract.timer_queue import Timer, TimerQueue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from millpond.state.contract.keyed_backend import KeyedBackendParameters
    from millpond.state.contract.namespace import NamespaceSerializer
    from millpond.state.rocksdb.database import ColumnFamily

__all__ = ("RocksDBTimerQueue", "timers_within")

_PIECE: Final = 4096
_PENDING: Final = 4096
_SPENT: Final = 1024
_PENDING_BYTES: Final = 256
_BYTES_OBJECT: Final = 56
# Of a typical timer: what a queue's share is divided by, before there is one.
_TYPICAL_BYTES: Final = 96
_FEWEST: Final = 16
_SIGN_BIT: Final = 1 << 63
_UNSIGNED_LONG: Final = struct.Struct(">Q").pack


def timers_within(size_bytes: int, key_groups: int) -> int:
    """Return how many timers of a key group may be ahead in memory, for a queue of some bytes."""
    # A group holds up to twice as many, and as many again that are spent.
    return max(_FEWEST, size_bytes // (3 * _TYPICAL_BYTES * key_groups))


@final
class _Group:
    """The first timers of one key group.

    `timers` are ascending bytes: timestamp, key, namespace. Every timer of the group that is not
    among them is greater than `bound`; None means that all are.
    """

    __slots__ = ("bound", "first", "prefix", "timers")

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self.timers: list[bytes] = []
        self.first = 0
        self.bound: bytes | None = b""


@final
class RocksDBTimerQueue(TimerQueue):
    """Timers of one service and domain (RocksDBCachingPriorityQueueSet, in batches).

    A row is key group ‖ timestamp with its sign bit flipped ‖ key ‖ namespace, without a value,
    so that rows sort by time. Changes are collected and written sorted. With `cache_size` of None
    all timers stay in memory and RocksDB only keeps what snapshots need.
    """

    def __init__(
        self,
        family: ColumnFamily,
        namespace: NamespaceSerializer,
        parameters: KeyedBackendParameters,
        cache_size: int | None,
    ) -> None:
        self._family = family
        self._namespace = namespace
        self._suffix = namespace.encode
        self._is_void = namespace is VOID
        self._serializer = parameters.key_serializer
        self._decode_key = parameters.key_serializer.decode_from
        self._max_parallelism = parameters.max_parallelism
        self._range = parameters.key_group_range
        self._operator_name = parameters.operator_name
        self._prefix_length = 1 if parameters.max_parallelism <= 128 else 2
        self._cache_size = cache_size
        self._most_spent = _SPENT if cache_size is None else min(_SPENT, cache_size)
        self._groups: dict[int, _Group] = {}
        # (first timer, key group), perhaps outdated: checked when it comes up.
        self._heads: list[tuple[bytes, int]] = []
        self._pending: dict[bytes, bytes | None] = {}
        self._last_key: Any = self  # no key
        self._last_place = (0, b"")
        self._find_groups()

    def _find_groups(self) -> None:
        """Start with the key groups that have restored timers."""
        cursor = self._family.cursor()
        row = cursor.current()
        while row is not None:
            key_group = int.from_bytes(row[0][: self._prefix_length], "big")
            if key_group in self._range:
                self._fill(key_group, self._group(key_group))
            cursor.seek((key_group + 1).to_bytes(self._prefix_length + 1, "big")[1:])
            if key_group + 1 >= 1 << (8 * self._prefix_length):
                break
            row = cursor.current()
        cursor.close()

    def add(self, timestamp: int, key: Any, namespace: Any) -> None:
        """Add a timer; adding one that is there changes nothing."""
        key_group, encoded_key = self._place(key)
        timer = _UNSIGNED_LONG(timestamp + _SIGN_BIT) + encoded_key + self._suffix(namespace)
        group = self._groups.get(key_group) or self._group(key_group)
        pending = self._pending
        pending[group.prefix + timer] = b""
        if len(pending) >= _PENDING:
            self.flush()
        timers, bound = group.timers, group.bound
        if bound is not None and timer > bound:
            return
        first = group.first
        index = bisect_left(timers, timer, first)
        if index < len(timers) and timers[index] == timer:
            return
        timers.insert(index, timer)
        if index == first:
            heappush(self._heads, (timer, key_group))
        if self._cache_size is not None and len(timers) - first > 2 * self._cache_size:
            del timers[first + self._cache_size :]
            group.bound = timers[-1]

    def add_all(self, timestamp: int, keys: Iterable[Any], namespace: Any) -> None:
        """Add a timer of each key, all with one timestamp and namespace."""
        start, suffix = _UNSIGNED_LONG(timestamp + _SIGN_BIT), self._suffix(namespace)
        added = list(keys)
        key_groups = self._serializer.key_groups(added, self._max_parallelism)
        encoded = self._serializer.encode_many(added)
        by_group: dict[int, list[bytes]] = {}
        for key_group, key, data in zip(key_groups, added, encoded, strict=True):
            if not self._range.start <= key_group <= self._range.end:
                self._refuse(key, key_group)
            by_group.setdefault(key_group, []).append(start + data + suffix)
        for key_group, timers in by_group.items():
            group = self._group(key_group)
            prefix = group.prefix
            self._pending.update([(prefix + timer, b"") for timer in timers])
            self._insert(key_group, group, timers)
            if len(self._pending) >= _PENDING:
                self.flush()

    def _insert(self, key_group: int, group: _Group, added: list[bytes]) -> None:
        """Put timers among those in memory, as far as they belong there."""
        timers, bound = group.timers, group.bound
        del timers[: group.first]
        group.first = 0
        if bound is not None:
            added = [timer for timer in added if timer <= bound]
        places = [bisect_left(timers, timer) for timer in added]
        count = len(timers)
        added = [
            timer
            for timer, place in zip(added, places, strict=True)
            if place == count or timers[place] != timer
        ]
        if not added:
            return
        first = timers[0] if timers else None
        timers += added
        timers.sort()  # two runs, nearly: the sort finds them
        if timers[0] != first:
            heappush(self._heads, (timers[0], key_group))
        if self._cache_size is not None and len(timers) > 2 * self._cache_size:
            del timers[self._cache_size :]
            group.bound = timers[-1]

    def remove(self, timestamp: int, key: Any, namespace: Any) -> None:
        """Remove a timer; removing one that is not there changes nothing."""
        key_group, encoded_key = self._place(key)
        timer = _UNSIGNED_LONG(timestamp + _SIGN_BIT) + encoded_key + self._suffix(namespace)
        group = self._groups.get(key_group) or self._group(key_group)
        timers, bound = group.timers, group.bound
        if bound is not None and timer > bound:
            self._put(group.prefix + timer, None)
            return
        index = bisect_left(timers, timer, group.first)
        if index < len(timers) and timers[index] == timer:
            self._put(group.prefix + timer, None)
            del timers[index]
            if index == group.first:
                self._announce(key_group, group)

    def head(self) -> int | None:
        """Return the smallest timestamp, or None when empty. O(1) amortized."""
        heads, groups = self._heads, self._groups
        while heads:
            timer, key_group = heads[0]
            group = groups[key_group]
            if group.first < len(group.timers) and group.timers[group.first] == timer:
                return int.from_bytes(timer[:8], "big") - _SIGN_BIT
            heappop(heads)
        return None

    def poll(self, up_to: int) -> list[Timer]:
        """Remove and return the first timers of the smallest timestamp, if it is <= `up_to`."""
        timestamp = self.head()
        if timestamp is None or timestamp > up_to:
            return []
        heads, groups, pending = self._heads, self._groups, self._pending
        start = heads[0][0][:8]
        most_spent = self._most_spent
        due: list[Timer] = []
        while heads and len(due) < _PIECE:
            timer, key_group = heads[0]
            group = groups[key_group]
            timers, first = group.timers, group.first
            if first >= len(timers) or timers[first] != timer:
                heappop(heads)  # outdated
                continue
            if not timer.startswith(start):
                break
            pending[group.prefix + timer] = None
            first += 1
            if first < len(timers) and first < most_spent:
                group.first = first
                heapreplace(heads, (timers[first], key_group))
            else:
                group.first = first
                heappop(heads)
                self._announce(key_group, group)
            due.append(self._decode(timer, timestamp, 8))
        if len(pending) >= _PENDING:
            self.flush()
        return due

    def __len__(self) -> int:
        self.flush()
        return sum(1 for _ in self._family.scan_keys())

    def __iter__(self) -> Iterator[Timer]:
        self.flush()
        start = self._prefix_length
        end = start + 8
        return (
            self._decode(row, int.from_bytes(row[start:end], "big") - _SIGN_BIT, end)
            for row in self._family.scan_keys()
        )

    @property
    def held_bytes(self) -> int:
        """About how much memory the timers in it and the changes to be written take."""
        count = sum(len(group.timers) for group in self._groups.values())
        timer_bytes = _BYTES_OBJECT + (len(self._heads[0][0]) if self._heads else 0)
        return count * timer_bytes + len(self._pending) * _PENDING_BYTES

    def flush(self) -> None:
        """Write what was added and removed, sorted."""
        if self._pending:
            self._family.write(sorted(self._pending.items()))
            self._pending.clear()

    def _put(self, row: bytes, value: bytes | None) -> None:
        self._pending[row] = value
        if len(self._pending) >= _PENDING:
            self.flush()

    def _group(self, key_group: int) -> _Group:
        group = self._groups.get(key_group)
        if group is None:
            group = _Group(key_group.to_bytes(self._prefix_length, "big"))
            # Groups that the database has rows of were made at the start.
            group.bound = None
            self._groups[key_group] = group
        return group

    def _announce(self, key_group: int, group: _Group) -> None:
        """Push the new first timer of a group; read more if none is left."""
        if group.first < len(group.timers):
            heappush(self._heads, (group.timers[group.first], key_group))
            if group.first >= self._most_spent and group.first * 2 > len(group.timers):
                del group.timers[: group.first]
                group.first = 0
        elif group.bound is not None:
            self._fill(key_group, group)
        else:
            group.timers.clear()
            group.first = 0

    def _fill(self, key_group: int, group: _Group) -> None:
        """Read the next timers behind the bound; those before it are polled or removed."""
        self.flush()
        limit = self._cache_size
        length = self._prefix_length
        start = group.prefix + (group.bound or b"")
        end = (key_group + 1).to_bytes(length + 1, "big")
        cursor = self._family.cursor(start, end[1:] if not end[0] else None)
        timers: list[bytes] = []
        group.timers, group.first = timers, 0
        for row in cursor.row_keys():
            if row == start:
                continue
            if limit is not None and len(timers) == limit:
                group.bound = timers[-1]
                break
            timers.append(row[length:])
        else:
            group.bound = None
        cursor.close()
        if timers:
            heappush(self._heads, (timers[0], key_group))

    def _place(self, key: Any) -> tuple[int, bytes]:
        """Return the key group and the bytes of a key; of the same key again, at once."""
        if key is self._last_key:
            return self._last_place
        key_group = self._serializer.key_group(key, self._max_parallelism)
        if not self._range.start <= key_group <= self._range.end:
            self._refuse(key, key_group)
        self._last_place = key_group, self._serializer.encode(key)
        self._last_key = key
        return self._last_place

    def _refuse(self, key: Any, key_group: int) -> NoReturn:
        raise KeyGroupOutOfRangeError(
            f"Key group {key_group} of a timer's key is not one of this subtask's.",
            key=repr(key)[:200],
            operator=self._operator_name,
        )

    def _decode(self, row: bytes, timestamp: int, offset: int) -> Timer:
        try:
            key, namespace_start = self._decode_key(row, offset)
            if self._is_void:
                return timestamp, key, None
            namespace, _ = self._namespace.decode_from(row, namespace_start)
        except MillpondError as error:
            raise StateStoreError(
                "A stored timer cannot be decoded.",
                hint="Restart the job from its last checkpoint.",
                operator=self._operator_name,
                state=self._family.name,
                reason=str(error),
            ) from error
        return timestamp, key, namespace
