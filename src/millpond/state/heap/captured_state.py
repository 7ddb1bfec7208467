"""What a snapshot of heap state is made of: one captured state each, as rows by key group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, final

from millpond.errors import SerializationError
from millpond.formats.framed_rows import EncodedRows
from millpond.formats.long_value import LONG_VALUE_BYTES
from millpond.formats.pyflink_serializers import MAP_OF_TTL_BYTES
from millpond.formats.pyflink_values import encode_timer
from millpond.formats.state_meta import VALUE_SERIALIZER
from millpond.serialization.encode_many import encode_many
from millpond.state.contract.declared_type import encoder_error
from millpond.state.contract.definition import StateDefinition, StateKind
from millpond.state.contract.namespace import VOID, NamespaceSerializer
from millpond.state.contract.ttl import unexpired
from millpond.state.heap.entry_codec import EntryCodec

if TYPE_CHECKING:
    from millpond.formats.canonical_writer import CanonicalWriter
    from millpond.formats.state_meta import StateMeta
    from millpond.state.heap.key_groups import KeyGroups
    from millpond.state.heap.restored_state import RestoredState
    from millpond.state.heap.table import FrozenTable

__all__ = (
    "CapturedEntries",
    "CapturedRows",
    "CapturedState",
    "CapturedTimers",
    "Row",
)

Row = tuple[bytes, bytes]
Checkpoint = Callable[[], None]
"""Called after each bounded piece of work; raises when the snapshot was cancelled."""

PIECE = 512
_FIRST_PIECE = 64
_ROW_BYTES = 100
"""What the objects of a row take beside its bytes, about."""


class CapturedState(ABC):
    """One state at a barrier. Immutable; used by the thread that writes the snapshot.

    Attributes:
        meta: its entry in the header.
        holds_none: whether it is a map with TTL in which a value is None; known when written.
    """

    meta: StateMeta
    holds_none = False

    @abstractmethod
    def partition(self, checkpoint: Checkpoint) -> dict[int, Any]:
        """Return something for each key group that `write` understands."""

    @abstractmethod
    def write(
        self,
        writer: CanonicalWriter,
        state_id: int,
        part: Any,
        prefix: bytes,
        checkpoint: Checkpoint,
    ) -> None:
        """Write the rows of one key group, whose bytes are `prefix`."""


@final
class CapturedRows(CapturedState):
    """A restored state that nobody registered: its rows as they are."""

    def __init__(self, restored: RestoredState) -> None:
        self.meta = restored.meta
        self._rows = restored.rows

    def partition(self, checkpoint: Checkpoint) -> dict[int, Any]:
        """Return the rows by key group."""
        return {group: rows for group, rows in self._rows.items() if rows}

    def write(
        self,
        writer: CanonicalWriter,
        state_id: int,
        part: list[Row],
        prefix: bytes,
        checkpoint: Checkpoint,
    ) -> None:
        """Write the rows."""
        if self.meta.serializers.get(VALUE_SERIALIZER) == MAP_OF_TTL_BYTES:
            self.holds_none |= any(value[:1] == b"\1" for _, value in part)
        writer.write_entries(state_id, part)


@final
class CapturedEntries(CapturedState):
    """A registered state. `expired_until_ms` leaves out what was not used after it."""

    def __init__(
        self,
        meta: StateMeta,
        definition: StateDefinition,
        frozen: FrozenTable,
        key_groups: KeyGroups,
        expired_until_ms: int | None,
    ) -> None:
        self.meta = meta
        self._definition = definition
        self._frozen = frozen
        self._key_groups = key_groups
        self._expired_until_ms = expired_until_ms
        self._codec = EntryCodec(definition, self._note_none)
        self._has_namespace = definition.namespace is not VOID
        self._suffix = b"" if self._has_namespace else VOID.encode(None)
        self._is_plain = (
            definition.kind not in {StateKind.LIST, StateKind.MAP} and definition.ttl is None
        )

    def partition(self, checkpoint: Checkpoint) -> dict[int, Any]:
        """Deal the entries to key groups: flat lists of table key, value, and so on."""
        first, last = self._key_groups.range
        parts: dict[int, list[Any]] = {group: [] for group in range(first, last + 1)}
        for addresses, stored in self._frozen.pieces(PIECE):
            keys = [address[0] for address in addresses] if self._has_namespace else addresses
            groups = self._key_groups.of(keys)
            entries = zip(addresses, stored, strict=True)
            deque(map(list.extend, map(parts.__getitem__, groups), entries), 0)
            checkpoint()
        return {group: part for group, part in parts.items() if part}

    def write(
        self,
        writer: CanonicalWriter,
        state_id: int,
        part: list[Any],
        prefix: bytes,
        checkpoint: Checkpoint,
    ) -> None:
        """Write the rows of one key group, many at once unless one is long."""
        for piece in self._encoded(part, checkpoint):
            if piece.longest < LONG_VALUE_BYTES:
                writer.write_rows(state_id, *piece.framed(prefix))
            else:
                writer.write_entries(state_id, piece.rows(prefix))

    def _encoded(self, part: list[Any], checkpoint: Checkpoint) -> Iterator[EncodedRows]:
        """Encode pieces of the entries, of bounded size."""
        start, count = 0, _FIRST_PIECE
        while start < len(part):
            end = start + 2 * count
            addresses, stored = part[start:end:2], part[start + 1 : end : 2]
            start = end
            size = 1
            for piece in self._pieces(addresses, stored):
                size += piece.size_bytes
                yield piece
            # As many as fill a MiB, if the next ones are alike.
            count = max(1, min(PIECE, count * LONG_VALUE_BYTES // size))
            checkpoint()

    def _pieces(self, addresses: list[Any], stored: list[Any]) -> Iterator[EncodedRows]:
        until = self._expired_until_ms
        if until is not None:
            kind = self._definition.kind
            rest = [unexpired(kind, entry, until) for entry in stored]
            addresses = [
                address for address, entry in zip(addresses, rest, strict=True) if entry is not None
            ]
            stored = [entry for entry in rest if entry is not None]
        if not addresses:
            return
        keys = self._keys(addresses)
        if not self._is_plain:
            yield from self._any_pieces(addresses, keys, stored)
            return
        try:
            values = encode_many(self._definition.value_coder, stored)
        except SerializationError:
            for address, entry in zip(addresses, stored, strict=True):
                self._check(address, entry)
            raise
        yield EncodedRows(keys, values, self._suffix, as_chunks=True)

    def _keys(self, addresses: list[Any]) -> list[bytes]:
        serializer, namespace = self._key_groups.serializer, self._definition.namespace
        if not self._has_namespace:
            return serializer.encode_many(addresses)
        keys = serializer.encode_many([key for key, _ in addresses])
        encode = namespace.encode
        return [key + encode(each[1]) for key, each in zip(keys, addresses, strict=True)]

    def _any_pieces(
        self, addresses: list[Any], starts: list[bytes], stored: list[Any]
    ) -> Iterator[EncodedRows]:
        suffix = self._suffix
        keys: list[bytes] = []
        values: list[bytes] = []
        size = 0
        for address, start, entry in zip(addresses, starts, stored, strict=True):
            try:
                for map_key, value in self._codec.rows(entry):
                    keys.append(start + suffix + map_key)
                    values.append(value)
                    size += len(map_key) + len(value) + _ROW_BYTES
                    if size >= LONG_VALUE_BYTES:
                        yield EncodedRows(keys, values, b"", as_chunks=False)
                        keys, values, size = [], [], 0
            except SerializationError as error:
                raise self._misfit(error, entry, address) from error
        if keys:
            yield EncodedRows(keys, values, b"", as_chunks=False)

    def _note_none(self) -> None:
        self.holds_none = True

    def _check(self, address: Any, entry: Any) -> None:
        try:
            self._definition.value_coder.encode(entry)
        except SerializationError as error:
            raise self._misfit(error, entry, address) from error

    def _misfit(self, error: SerializationError, entry: Any, address: Any) -> SerializationError:
        return encoder_error(
            error,
            self._definition.value_coder,
            entry,
            state=self._definition.name,
            operator=self._key_groups.operator_name,
            key=address[0] if self._has_namespace else address,
            part="stored entry",
        )


@final
class CapturedTimers(CapturedState):
    """A timer queue."""

    def __init__(
        self,
        meta: StateMeta,
        namespace: NamespaceSerializer,
        frozen: FrozenTable,
        key_groups: KeyGroups,
    ) -> None:
        self.meta = meta
        self._namespace = namespace
        self._frozen = frozen
        self._key_groups = key_groups

    def partition(self, checkpoint: Checkpoint) -> dict[int, Any]:
        """Deal the timers to key groups."""
        parts: dict[int, list[tuple[int, Any, Any]]] = {}
        timers = (
            (timestamp, key, namespace)
            for timestamp, bucket in self._frozen.items()
            for key, namespace in bucket
        )
        while piece := list(islice(timers, PIECE)):
            keys = [key for _, key, _ in piece]
            for group, timer in zip(self._key_groups.of(keys), piece, strict=True):
                parts.setdefault(group, []).append(timer)
            checkpoint()
        return parts

    def write(
        self,
        writer: CanonicalWriter,
        state_id: int,
        part: list[tuple[int, Any, Any]],
        prefix: bytes,
        checkpoint: Checkpoint,
    ) -> None:
        """Encode the timers of one key group."""
        writer.write_entries(state_id, self._rows(part, prefix, checkpoint))

    def _rows(
        self, part: list[tuple[int, Any, Any]], prefix: bytes, checkpoint: Checkpoint
    ) -> Iterator[Row]:
        encode_key = self._key_groups.serializer.encode
        encode_namespace = self._namespace.encode
        for number, (timestamp, key, namespace) in enumerate(part):
            if number % PIECE == PIECE - 1:
                checkpoint()
            timer = encode_timer(timestamp, encode_key(key), encode_namespace(namespace))
            yield prefix + timer, b""
