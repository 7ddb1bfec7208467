"""Restored rows into tables: decoding with the declared types, and refusing other ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.errors import FormatError, SerializationError, SerializerIncompatibleError
from millpond.formats.composite_key import prefix_length_of
from millpond.formats.pyflink_values import join_chunks
from millpond.state.contract.definition import StateDefinition, StateKind
from millpond.state.contract.namespace import VOID, NamespaceSerializer
from millpond.state.contract.restored_signature import check_restored, check_restored_timers
from millpond.state.heap.entry_codec import EntryCodec

if TYPE_CHECKING:
    from millpond.serialization.coder import Coder
    from millpond.serialization.function_coder import Decode
    from millpond.state.contract.keyed_backend import KeyedBackendParameters
    from millpond.state.heap.restored_state import RestoredState
    from millpond.state.heap.timer_queue import HeapTimerQueue

__all__ = ("load_entries", "load_timers")


def load_entries(
    restored: RestoredState,
    definition: StateDefinition,
    entries: dict[Any, Any],
    parameters: KeyedBackendParameters,
) -> None:
    """Decode a state's rows into an empty dictionary.

    Raises:
        StateTypeError: the snapshot holds the state as another kind.
        SerializerIncompatibleError: it holds another type, or bytes that do not decode.
    """
    operator = parameters.operator_name
    check_restored(restored.meta, definition, operator)
    codec = EntryCodec(definition)
    is_plain = (
        definition.kind not in {StateKind.LIST, StateKind.MAP}
        and definition.namespace is VOID
        and definition.ttl is None
    )
    prefix_length = prefix_length_of(parameters.max_parallelism)
    decode_key = parameters.key_serializer.decode_from
    decode_namespace = definition.namespace.decode_from
    has_namespace = definition.namespace is not VOID
    is_map = definition.kind == StateKind.MAP
    load = codec.load
    try:
        if is_plain:
            _load_plain(restored, definition.value_coder, entries, prefix_length, decode_key)
            return
        for row_key, value in restored.all_rows():
            key, offset = decode_key(row_key, prefix_length)
            namespace, offset = decode_namespace(row_key, offset)
            address = (key, namespace) if has_namespace else key
            map_key = row_key[offset:]
            if map_key and not is_map:
                raise FormatError("Bytes are left behind a namespace.", bytes=len(map_key))
            entries[address] = load(entries.get(address) if is_map else None, map_key, value)
    except (SerializationError, FormatError) as error:
        raise _unreadable(error, definition.name, definition.signature, operator) from error


def _load_plain(
    restored: RestoredState,
    coder: Coder,
    entries: dict[Any, Any],
    prefix_length: int,
    decode_key: Decode,
) -> None:
    """Decode values without namespace and TTL, the commonest state, with less work a row."""
    decode = coder.decode_from
    for row_key, chunk in restored.all_rows():
        key, offset = decode_key(row_key, prefix_length)
        data = join_chunks(chunk)
        value, end = decode(data, 0)
        if offset + 1 != len(row_key) or end != len(data):
            raise FormatError("Bytes are left behind a key or a value.", key=row_key[:64].hex())
        entries[key] = value


def load_timers(
    restored: RestoredState,
    namespace: NamespaceSerializer,
    queue: HeapTimerQueue,
    parameters: KeyedBackendParameters,
) -> None:
    """Decode a timer queue's rows into an empty queue.

    Raises:
        SerializerIncompatibleError: the snapshot's timers have other namespaces or do not decode.
    """
    operator = parameters.operator_name
    check_restored_timers(restored.meta, namespace, operator)
    prefix_length = prefix_length_of(parameters.max_parallelism)
    decode_key = parameters.key_serializer.decode_from
    try:
        for row_key, _ in restored.all_rows():
            timestamp = timer_timestamp(row_key, prefix_length)
            key, offset = decode_key(row_key, prefix_length + 8)
            window, _ = namespace.decode_from(row_key, offset)
            queue.add(timestamp, key, window)
    except (SerializationError, FormatError) as error:
        raise _unreadable(error, restored.meta.name, "a timer queue", operator) from error


def timer_timestamp(row_key: bytes, offset: int) -> int:
    """Return a timer's timestamp; its sign bit is flipped in the bytes."""
    if offset + 8 > len(row_key):
        raise FormatError("A timer ends too early.", bytes=len(row_key))
    return int.from_bytes(row_key[offset : offset + 8], "big") - (1 << 63)


def _unreadable(
    error: SerializationError | FormatError, state: str, declared: str, operator: str
) -> SerializerIncompatibleError:
    return SerializerIncompatibleError(
        f"Restored bytes cannot be read as {declared}: {error.message}",
        hint="Declare the state with the type that the snapshot was taken with.",
        state=state,
        operator=operator,
    )
