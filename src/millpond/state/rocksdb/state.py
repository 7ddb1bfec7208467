"""What all state objects of the RocksDB store share: where their rows are, and their errors."""

from __future__ import annotations

import struct
from abc import abstractmethod
from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, final

from millpond.errors import (
    KeyGroupOutOfRangeError,
    MillpondError,
    StateError,
    StateSizeExceededError,
    StateStoreError,
)
from millpond.state.contract.declared_type import admit, encoder_error
from millpond.state.contract.namespace import VOID, VOID_NAMESPACE
from millpond.state.rocksdb.column_family import MAX_ROW_BYTES, RowTooLargeError
from millpond.state.rocksdb.row_codec import RowCodec
from millpond.state.rocksdb.row_key import VOID_BYTES, composite_key_of, number_key_packer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from millpond.serialization.coder import Coder
    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.rocksdb.database import ColumnFamily

__all__ = ("MISSING", "RocksDBState", "delete_rows")

MISSING: Any = object()
"""What a dictionary gives for a slot that it knows nothing about; None is "absent"."""

_POINT_DELETES = 256
_LONGEST_NAMED_KEY = 1 << 20
_row_key = itemgetter(0)
_SMALLEST_CACHE = 64
# What an entry of a dictionary with its key and value takes beside what its bytes say.
_OBJECT_BYTES = 256
_SAMPLE = 256
_BYTES_IN_MEMORY_PER_BYTE = 2
# Assumed until the first write teaches the true size, so that long values cannot pile up before.
_FIRST_ENTRY_BYTES = 4096
_FIRST_CACHE_BYTES = 8 << 20


class _Scope(Protocol):
    """What knows the slot to use; the backend itself where there is no namespace."""

    @property
    def current_key(self) -> Any: ...


@final
class _NamespacedScope:
    """Pairs the backend's current key with the state's current namespace."""

    __slots__ = ("_backend", "_state")

    def __init__(self, backend: KeyedStateBackend, state: RocksDBState) -> None:
        self._backend = backend
        self._state = state

    @property
    def current_key(self) -> tuple[Any, Any]:
        namespace = self._state.current_namespace
        if namespace is None:
            self._state.refuse_namespace()
        return self._backend.current_key, namespace


class RocksDBState:
    """One state object: a column family with a write-back cache of decoded objects in front.

    A slot is what the cache is keyed by: the user's key, or (key, namespace) for state of windows.
    Objects that a state returns are the cached ones themselves: a change in place without `update`
    or `put` may be seen for a while, and is never stored.

    Attributes:
        current_namespace: set by window operators; VOID_NAMESPACE for other state.
        cache_entries: how many changed objects the cache may hold.
        composite_key: slot to the bytes that its rows start with, key group, key and namespace.
            Raises KeyGroupOutOfRangeError if the key belongs to another subtask.
    """

    composite_key: Callable[[Any], bytes]

    __slots__ = (
        "_backend",
        "_cache_bytes",
        "_encode_key_bytes",
        "_entry_bytes",
        "_family",
        "_key_group",
        "_key_groups",
        "_max_parallelism",
        "_operator_name",
        "_pack_key",
        "_prefix_length",
        "_prefixes",
        "_scope",
        "_void",
        "_void_key",
        "cache_entries",
        "codec",
        "composite_key",
        "current_namespace",
        "definition",
    )

    def __init__(
        self, definition: StateDefinition, family: ColumnFamily, backend: KeyedStateBackend
    ) -> None:
        parameters = backend.parameters
        self.definition = definition
        self.codec = RowCodec(definition.value_coder)
        self.current_namespace: Any = VOID_NAMESPACE
        self._entry_bytes = _FIRST_ENTRY_BYTES
        self.limit_cache(_FIRST_CACHE_BYTES)
        self._backend = backend
        self._family = family
        self._operator_name = parameters.operator_name
        self._max_parallelism = parameters.max_parallelism
        self._prefix_length = 1 if parameters.max_parallelism <= 128 else 2
        serializer = parameters.key_serializer
        self._encode_key_bytes = serializer.encode
        self._key_group = serializer.key_group
        self._key_groups = serializer.key_groups
        start, end = parameters.key_group_range
        self._prefixes = {
            group: group.to_bytes(self._prefix_length, "big") for group in range(start, end + 1)
        }
        self._void = definition.namespace is VOID
        of_key = composite_key_of(
            serializer, self._max_parallelism, self._prefixes, self._refuse_key
        )
        self._void_key = of_key
        self._pack_key = number_key_packer(serializer, self._max_parallelism)
        self.composite_key = of_key if self._void else self._namespaced_key
        # The idiom of all accesses: self._dirty.get(self._scope.current_key).
        self._scope: _Scope = backend if self._void else _NamespacedScope(backend, self)

    @abstractmethod
    def flush(self) -> None:
        """Write what the cache holds back; the objects stay cached."""

    @property
    @abstractmethod
    def changed_count(self) -> int:
        """How many slots have changes that are not written. O(1)."""

    @abstractmethod
    def changed_parts(self) -> list[Any]:
        """Return what `flush` would write, in parts: slots, or pieces of what a large one holds."""

    @abstractmethod
    def count_changed(self, parts: Iterable[Any]) -> int:
        """Return how many of the parts have changes that are not written."""

    @abstractmethod
    def write_back(self, parts: Iterable[Any]) -> None:
        """Write the changes of some parts; the objects stay cached. Those without are left out."""

    def leave_changes(self, *, left: bool) -> None:
        """Say whether somebody else sees to it that not too many changes wait for a snapshot."""

    @abstractmethod
    def evict(self) -> None:
        """Flush and drop objects that were not written since the last time."""

    def limit_cache(self, size_bytes: int) -> None:
        """Set about how much memory the cached objects may take, dirty and clean ones together."""
        self._cache_bytes = size_bytes
        self._set_entries()

    def _set_entries(self) -> None:
        # As many again may be clean.
        self.cache_entries = self._entries_within(self._cache_bytes // 2)

    def _entries_within(self, size_bytes: int) -> int:
        return max(_SMALLEST_CACHE, size_bytes // self._entry_bytes)

    def end_batch(self) -> None:
        """Do what is due once a batch."""

    def _write_rows(self, rows: list[tuple[bytes, bytes | None]]) -> None:
        """Write rows, sorted, and learn from them how large the cached objects are."""
        if not rows:
            return
        rows.sort(key=_row_key)
        try:
            self._family.write(rows)
        except RowTooLargeError as error:
            self._refuse_row(error)
        self._learn_rows(rows)

    def _learn_rows(self, rows: list[tuple[bytes, bytes | None]]) -> None:
        sample = rows[:: len(rows) // _SAMPLE + 1]
        size = sum(len(key) + (len(value) if value is not None else 0) for key, value in sample)
        self._entry_bytes = _OBJECT_BYTES + _BYTES_IN_MEMORY_PER_BYTE * size // len(sample)
        self.limit_cache(self._cache_bytes)

    def _learn(self, row: bytes) -> None:
        """Let a row that was read and is longer than what is known count, little by little."""
        found = _OBJECT_BYTES + _BYTES_IN_MEMORY_PER_BYTE * len(row)
        self._entry_bytes += (found - self._entry_bytes) // 16 + 1
        self.limit_cache(self._cache_bytes)

    def _refuse_row(self, error: RowTooLargeError) -> NoReturn:
        row = error.key[self._prefix_length :]
        # To decode and print a key of gibibytes would take several times as many.
        small = len(row) < _LONGEST_NAMED_KEY
        key = self._backend.parameters.key_serializer.decode(row) if small else row[:64]
        self.refuse_size(key, error.size_bytes)

    def at(self, namespace: Any) -> Any:
        """Return the slot of the current key and a namespace."""
        if self._void:
            return self._backend.current_key
        if namespace is None:
            self.refuse_namespace()
        return self._backend.current_key, namespace

    def _key_of(self, slot: Any) -> Any:
        return slot if self._void else slot[0]

    def _namespaced_key(self, slot: tuple[Any, Any]) -> bytes:
        of_key = self._void_key(slot[0])[: -len(VOID_BYTES)]
        return of_key + self.definition.namespace.encode(slot[1])

    def composite_keys(self, slots: Iterable[Any]) -> list[bytes]:
        """Return the composite key of each slot; cheaper than one by one."""
        encode, prefixes = self._encode_key_bytes, self._prefixes
        listed = list(slots)
        keys = listed if self._void else [slot[0] for slot in listed]
        groups = self._key_groups(keys, self._max_parallelism)
        pack, types = self._pack_key, set(map(type, keys))
        if (
            pack is not None
            and self._void
            and types == {int}
            and self._prefixes.keys() >= set(groups)
        ):
            # What does not fit was refused by `_key_groups`.
            return list(map(pack, groups, keys, repeat(VOID_BYTES)))
        try:
            starts = [
                prefixes[group] + encode(key) for group, key in zip(groups, keys, strict=True)
            ]
        except KeyError:
            for key in keys:
                if self._key_group(key, self._max_parallelism) not in prefixes:
                    self._refuse_key(key)
            raise
        if self._void:
            return [start + VOID_BYTES for start in starts]
        encode_namespace = self.definition.namespace.encode
        return [
            start + encode_namespace(slot[1]) for start, slot in zip(starts, listed, strict=True)
        ]

    def _refuse_key(self, key: Any) -> NoReturn:
        start, end = self._backend.parameters.key_group_range
        raise KeyGroupOutOfRangeError(
            f"A key belongs to a key group that is not one of this subtask's ({start} to {end}).",
            hint="The key selector must return the same key for a record every time.",
            key=repr(key)[:200],
            state=self.definition.name,
            operator=self._operator_name,
        )

    def slots(self, *, with_user_keys: bool = False) -> Iterator[tuple[Any, Any, int]]:
        """Flush, then yield (key, namespace, end of their bytes in the row) of each row of now.

        Rows that differ only in what follows come once, unless `with_user_keys`.
        """
        self.flush()
        # Opened here and not at the first step: the rows are those of the moment of the call.
        return self._slots(self._family.scan_keys(), with_user_keys=with_user_keys)

    def _slots(
        self, rows: Iterator[bytes], *, with_user_keys: bool
    ) -> Iterator[tuple[Any, Any, int]]:
        decode_key = self._backend.parameters.key_serializer.decode_from
        decode_namespace = self.definition.namespace.decode_from
        before = b""
        for row in rows:
            if before and not with_user_keys and row.startswith(before):
                continue
            try:
                key, namespace_start = decode_key(row, self._prefix_length)
                namespace, end = decode_namespace(row, namespace_start)
            except MillpondError as error:
                raise self.damaged(error) from error
            before = row[:end]
            yield key, namespace, end

    def encode(self, slot: Any, value: Any) -> bytes:
        """Return the row of a value; the error names state and key."""
        try:
            return self.codec.encode(value)
        except struct.error:
            self.refuse_size(self._key_of(slot), MAX_ROW_BYTES + 1)
        except Exception as error:
            raise self.unencodable(error, slot, value) from error

    def unencodable(self, error: Exception, slot: Any, value: Any) -> Exception:
        """Return the error for a value that could not be encoded when it was written back."""
        return encoder_error(
            error,
            self.definition.value_coder,
            value,
            state=self.definition.name,
            operator=self._operator_name,
            key=self._key_of(slot),
        )

    def damaged(self, error: Exception) -> StateStoreError:
        """Return the error for rows that cannot be decoded."""
        return StateStoreError(
            "A stored row cannot be decoded with the declared type.",
            hint="The local database is disposable: restart the job from its last checkpoint.",
            state=self.definition.name,
            operator=self._operator_name,
            declared=self.definition.signature,
            reason=str(error),
        )

    def admit(self, value: Any, coder: Coder, part: str = "value") -> Any:
        """Return a value as it reads after a restore, or refuse it; see `declared_type.admit`."""
        return admit(
            coder,
            value,
            state=self.definition.name,
            operator=self._operator_name,
            key=self._backend.current_key,
            part=part,
        )

    def refuse_none(self, what: str) -> NoReturn:
        """Raise the error for None where the kind of state forbids it."""
        raise StateError(
            f"None cannot be {what}.", state=self.definition.name, operator=self._operator_name
        )

    def refuse_namespace(self) -> NoReturn:
        """Raise the error for state of a window that was used without a window."""
        raise StateError(
            f"State with {self.definition.namespace.kind} namespaces was used without a namespace.",
            hint="Set the state's current_namespace first.",
            state=self.definition.name,
            operator=self._operator_name,
        )

    def refuse_size(self, key: Any, size_bytes: int) -> NoReturn:
        """Raise the error for a key or value that RocksDB and savepoints cannot hold."""
        raise StateSizeExceededError(
            f"A single key or value of at least {size_bytes} bytes is larger than 2^31-1.",
            hint="Use a list or map state, which store each element for itself.",
            state=self.definition.name,
            operator=self._operator_name,
            key=repr(key)[:200],
        )


def delete_rows(
    family: ColumnFamily, prefix: bytes, kept: Iterable[bytes] = ()
) -> list[tuple[bytes, bytes | None]]:
    """Return the deletions of all rows that start with a prefix, except those in `kept`.

    Many rows are deleted here and now by one range tombstone, which costs later reads something,
    so that few are deleted one by one.
    """
    from millpond.state.rocksdb.database import prefix_end

    keep = set(kept)
    deletions: list[tuple[bytes, bytes | None]] = []
    for row in family.scan_keys(prefix):
        if row in keep:
            continue
        deletions.append((row, None))
        if len(deletions) > _POINT_DELETES:
            end = prefix_end(prefix)
            if end is not None:
                family.delete_range(prefix, end)
                return []
    return deletions
