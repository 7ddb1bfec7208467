"""What a snapshot of heap state is made of: one captured state each, as rows by key group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, final

from millpond.errors import SerializationError
from millpond.formats.pyflink_values import encode_chunk, encode_timer
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


class CapturedState(ABC):
    """One state at a barrier. Immutable; used by the thread that writes the snapshot.

    Attributes:
        meta: its entry in the header.
    """

    meta: StateMeta

    @abstractmethod
    def partition(self, checkpoint: Checkpoint) -> dict[int, Any]:
        """Return something for each key group that `rows` understands."""

    @abstractmethod
    def rows(self, part: Any, prefix: bytes, checkpoint: Checkpoint) -> Iterator[Row]:
        """Return the (composite key, value) rows of one key group, whose bytes are `prefix`."""

    def write(
        self,
        writer: CanonicalWriter,
        state_id: int,
        part: Any,
        prefix: bytes,
        checkpoint: Checkpoint,
    ) -> None:
        """Write the rows of one key group."""
        writer.write_entries(state_id, self.rows(part, prefix, checkpoint))


@final
class CapturedRows(CapturedState):
    """A restored state that nobody registered: its rows as they are."""

    def __init__(self, restored: RestoredState) -> None:
        self.meta = restored.meta
        self._rows = restored.rows

    def partition(self, checkpoint: Checkpoint) -> dict[int, Any]:
        """Return the rows by key group."""
        return {group: rows for group, rows in self._rows.items() if rows}

    def rows(
        self,
        part: list[Row],
        prefix: bytes,
        checkpoint: Checkpoint,
    ) -> Iterator[Row]:
        """Return the rows."""
        return iter(part)


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
        self._codec = EntryCodec(definition)
        self._is_plain = (
            definition.kind not in {StateKind.LIST, StateKind.MAP}
            and definition.namespace is VOID
            and definition.ttl is None
        )

    def partition(self, checkpoint: Checkpoint) -> dict[int, Any]:
        """Deal the entries to key groups: flat lists of table key, value, and so on."""
        parts: dict[int, list[Any]] = {}
        has_namespace = self._definition.namespace is not VOID
        entries = self._frozen.items()
        while piece := list(islice(entries, PIECE)):
            keys = [address[0] if has_namespace else address for address, _ in piece]
            for group, entry in zip(self._key_groups.of(keys), piece, strict=True):
                part = parts.get(group)
                if part is None:
                    parts[group] = list(entry)
                else:
                    part += entry
            checkpoint()
        return parts

    def rows(self, part: list[Any], prefix: bytes, checkpoint: Checkpoint) -> Iterator[Row]:
        """Encode the entries of one key group."""
        for start in range(0, len(part), 2 * PIECE):
            piece = part[start : start + 2 * PIECE]
            rows = self._plain_rows(piece, prefix) if self._is_plain else None
            yield from self._any_rows(piece, prefix) if rows is None else rows
            checkpoint()

    def _plain_rows(self, piece: list[Any], prefix: bytes) -> list[Row] | None:
        """Encode values without namespace and TTL; None if one of them does not fit."""
        encode_key, encode = self._key_groups.serializer.encode, self._definition.value_coder.encode
        void = VOID.encode(None)
        try:
            return [
                (prefix + encode_key(key) + void, encode_chunk(encode(value)))
                for key, value in zip(piece[::2], piece[1::2], strict=True)
            ]
        except SerializationError:
            return None

    def _any_rows(self, piece: list[Any], prefix: bytes) -> Iterator[Row]:
        definition = self._definition
        has_namespace = definition.namespace is not VOID
        encode_key, encode_namespace = (
            self._key_groups.serializer.encode,
            definition.namespace.encode,
        )
        until = self._expired_until_ms
        for address, stored in zip(piece[::2], piece[1::2], strict=True):
            entry = stored if until is None else unexpired(definition.kind, stored, until)
            if entry is None:
                continue
            key, namespace = address if has_namespace else (address, None)
            start = prefix + encode_key(key) + encode_namespace(namespace)
            try:
                for map_key, value in self._codec.rows(entry):
                    yield start + map_key, value
            except SerializationError as error:
                raise self._misfit(error, entry, key) from error

    def _misfit(self, error: SerializationError, entry: Any, key: Any) -> SerializationError:
        return encoder_error(
            error,
            self._definition.value_coder,
            entry,
            state=self._definition.name,
            operator=self._key_groups.operator_name,
            key=key,
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

    def rows(
        self, part: list[tuple[int, Any, Any]], prefix: bytes, checkpoint: Checkpoint
    ) -> Iterator[Row]:
        """Encode the timers of one key group."""
        encode_key = self._key_groups.serializer.encode
        encode_namespace = self._namespace.encode
        for number, (timestamp, key, namespace) in enumerate(part):
            if number % PIECE == PIECE - 1:
                checkpoint()
            timer = encode_timer(timestamp, encode_key(key), encode_namespace(namespace))
            yield prefix + timer, b""
