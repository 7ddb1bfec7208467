"""`CapturedFixedRows`: a state whose keys and values are numbers, written many entries at a time.

An entry is encoded when its key group is found out, in the order of the table, which is about the
order in memory; kept are its numbers alone, 16 bytes for two longs.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, Any, final

from millpond.errors import SerializationError
from millpond.formats.composite_key import prefix_length_of
from millpond.formats.fixed_rows import FixedRowLayout
from millpond.serialization.encode_many import number_columns, pack_rows
from millpond.serialization.function_coder import FunctionCoder
from millpond.serialization.mismatch import ENCODE_ERRORS
from millpond.state.contract.declared_type import encoder_error
from millpond.state.contract.definition import StateDefinition, StateKind
from millpond.state.contract.namespace import VOID
from millpond.state.heap.captured_state import CapturedState, Checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from millpond.formats.canonical_writer import CanonicalWriter
    from millpond.formats.state_meta import StateMeta
    from millpond.state.heap.key_groups import KeyGroups
    from millpond.state.heap.table import FrozenTable

__all__ = ("CapturedFixedRows", "has_fixed_rows")

_PIECE = 1024
_WRITTEN_PIECE = 4096
_LOOSE_RECORDS = 16 * _PIECE
"""Records wait as objects until there are so many, and 8 a key group; then they are joined."""

_pack_int = struct.Struct(">i").pack
_PackParts = dict[int, bytearray]


def has_fixed_rows(definition: StateDefinition, key_groups: KeyGroups) -> bool:
    """Return whether all rows of a state have one length."""
    return (
        definition.kind not in {StateKind.LIST, StateKind.MAP}
        and key_groups.serializer.struct_code is not None
        and isinstance(definition.value_coder, FunctionCoder)
        and bool(definition.value_coder.struct_codes)
    )


@final
class CapturedFixedRows(CapturedState):
    """A registered state for which `has_fixed_rows`. `expired_until_ms` as in CapturedEntries."""

    def __init__(
        self,
        meta: StateMeta,
        definition: StateDefinition,
        frozen: FrozenTable,
        key_groups: KeyGroups,
        expired_until_ms: int | None,
    ) -> None:
        assert isinstance(definition.value_coder, FunctionCoder)
        self.meta = meta
        self._definition = definition
        self._coder = definition.value_coder
        self._frozen = frozen
        self._key_groups = key_groups
        self._expired_until_ms = expired_until_ms
        self._has_namespace = definition.namespace is not VOID
        self._layout = _layout(definition, self._coder.struct_codes, key_groups)

    def partition(self, checkpoint: Checkpoint) -> dict[int, Any]:
        """Encode the entries and deal them to key groups."""
        first, last = self._key_groups.range
        loose: list[list[bytes]] = [[] for _ in range(last + 1)]
        parts: _PackParts = {}
        most = max(_LOOSE_RECORDS, 8 * len(loose))
        is_empty = True
        count = 0
        for piece in self._frozen.pieces(_PIECE):
            is_empty = False
            addresses, stored = self._unexpired(*piece)
            keys = [address[0] for address in addresses] if self._has_namespace else addresses
            groups = self._key_groups.of(keys)
            records = self._records(keys, addresses, stored)
            deque(map(list.append, map(loose.__getitem__, groups), records), 0)
            count += len(records)
            if count >= most:
                _join(loose, parts)
                count = 0
            checkpoint()
        _join(loose, parts)
        # Where all entries expired, the stream still says that there is such a state.
        return parts if parts or is_empty else {first: bytearray()}

    def write(
        self,
        writer: CanonicalWriter,
        state_id: int,
        part: bytearray,
        prefix: bytes,
        checkpoint: Checkpoint,
    ) -> None:
        """Write the rows of one key group."""
        for rows in self._written(part, prefix):
            writer.write_rows(state_id, rows, len(rows) - self._layout.row_bytes)
            checkpoint()

    def _written(self, part: bytearray, prefix: bytes) -> Iterator[bytearray]:
        step = _WRITTEN_PIECE * self._layout.record_bytes
        for start in range(0, len(part), step):
            yield self._layout.rows(part[start : start + step], prefix, 4)

    def _unexpired(self, addresses: list[Any], stored: list[Any]) -> tuple[list[Any], list[Any]]:
        until_ms = self._expired_until_ms
        if until_ms is None:
            return addresses, stored
        kept = [at for at, (timestamp, _) in enumerate(stored) if timestamp > until_ms]
        return [addresses[at] for at in kept], [stored[at] for at in kept]

    def _records(
        self, keys: Sequence[Any], addresses: Sequence[Any], stored: Sequence[Any]
    ) -> Sequence[bytes]:
        if not keys:
            return ()
        columns: list[Sequence[Any]] = [keys]
        if self._has_namespace:
            namespaces = [address[1] for address in addresses]
            columns += self._definition.namespace.columns(namespaces)
        values = stored
        if self._definition.ttl is not None:
            columns.append([timestamp for timestamp, _ in stored])
            values = [value for _, value in stored]
        try:
            columns += number_columns(self._coder, values)
            return pack_rows(self._layout.codes, columns)
        except ENCODE_ERRORS:
            return list(map(self._record, addresses, stored))

    def _record(self, address: Any, stored: Any) -> bytes:
        """Encode one entry, which may be of a kind that only the coder knows, or not fit."""
        key, namespace = address if self._has_namespace else (address, None)
        record = self._key_groups.serializer.encode(key)[1:]
        if self._definition.namespace.struct_codes:
            record += self._definition.namespace.encode(namespace)
        value = stored
        if self._definition.ttl is not None:
            timestamp, value = stored
            record += struct.pack(">q", timestamp)
        try:
            return record + self._coder.encode(value)
        except SerializationError as error:
            raise encoder_error(
                error,
                self._coder,
                stored,
                state=self._definition.name,
                operator=self._key_groups.operator_name,
                key=key,
                part="stored entry",
            ) from error


def _layout(definition: StateDefinition, value_codes: str, groups: KeyGroups) -> FixedRowLayout:
    key_code, namespace = groups.serializer.struct_code, definition.namespace
    assert key_code is not None
    prefix_bytes = prefix_length_of(groups.max_parallelism)
    value_bytes = struct.calcsize(f">{value_codes}")
    key_bytes = prefix_bytes + 1 + struct.calcsize(f">{key_code}") + namespace.length
    chunk: list[bytes | str] = [_pack_int(value_bytes + 4), _pack_int(value_bytes)]
    if definition.ttl is not None:
        chunk = [_pack_int(value_bytes + 12), "q", _pack_int(value_bytes)]
    return FixedRowLayout(
        [
            _pack_int(key_bytes) + bytes(prefix_bytes) + b"\0",
            key_code,
            namespace.struct_codes or bytes(namespace.length),
            *chunk,
            value_codes,
        ]
    )


def _join(loose: list[list[bytes]], parts: _PackParts) -> None:
    """Move records to one buffer a key group, which takes a third of their memory."""
    for group, records in enumerate(loose):
        if records:
            joined = b"".join(records)
            records.clear()
            part = parts.get(group)
            if part is None:
                parts[group] = bytearray(joined)
            else:
                part += joined
