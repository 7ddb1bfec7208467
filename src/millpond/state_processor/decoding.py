"""`EntryDecoder`: entries as values of JSON; executes nothing unless that is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from millpond.datastream.window import CountWindow, TimeWindow
from millpond.errors import FormatError, SerializationError
from millpond.formats import serializer_classes as classes
from millpond.formats.java_values import JavaRow, java_decoder
from millpond.formats.pyflink_serializers import BYTES, row_snapshot
from millpond.formats.state_meta import VALUE_SERIALIZER
from millpond.serialization.coders import coder_for
from millpond.serialization.pickle_names import load_pickle
from millpond.state.contract.namespace import NAMESPACE_SERIALIZERS
from millpond.state_processor.rendering import as_json
from millpond.state_processor.type_text import parse_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from millpond.formats.java_values import JavaDecoder
    from millpond.formats.serializer_snapshot import SerializerSnapshot
    from millpond.serialization.coder import Coder
    from millpond.state_processor.entries import StateEntry
    from millpond.state_processor.savepoint import OperatorContent, StoredState

__all__ = ("EntryDecoder", "split_pickles")

_PICKLED_KEY: Final = row_snapshot(BYTES)
_PLAIN: Final = frozenset({str, int})
_SINGLE_KINDS: Final = frozenset({"VALUE", "REDUCING", "AGGREGATING"})


@final
class EntryDecoder:
    """Decodes the entries of one operator.

    Values of states whose types the snapshot records (Millpond's do) or `types` gives are decoded;
    others stay bytes. Pickles stay bytes too, unless `allow_pickle`, since loading them runs code.
    """

    def __init__(
        self,
        content: OperatorContent,
        *,
        allow_pickle: bool,
        types: Mapping[str, str] | None = None,
    ) -> None:
        """Make it; `types` maps names of states to texts such as ``STRING, LONG`` for a map.

        Raises:
            FormatError: keys of this serializer cannot be decoded.
        """
        self._allow_pickle = allow_pickle
        self._types = types or {}
        serializer = content.key_serializer
        self._pickled_key = serializer == _PICKLED_KEY
        self._key = None if serializer is None else java_decoder(serializer)
        self._last_key: bytes | None = None
        self._last_value: Any = None
        self._coders: dict[str, tuple[Coder, ...] | None] = {}
        self._java: dict[str, tuple[JavaDecoder | None, JavaDecoder] | None] = {}

    def key(self, entry: StateEntry) -> Any:
        """Return the key as a value of JSON; for the same bytes, one after the other, the same."""
        if entry.key != self._last_key:
            self._last_value = self._decoded_key(entry)
            self._last_key = entry.key
        return self._last_value

    def _decoded_key(self, entry: StateEntry) -> Any:
        if self._key is None:
            return None
        try:
            value, _ = self._key(entry.key, 0)
        except FormatError:
            return as_json(entry.key)
        if isinstance(value, JavaRow) and len(value) == 1:
            value = value[0]
        if isinstance(value, bytes) and self._pickled_key and _is_pickle(value):
            return self._pickle(value)
        return as_json(value)

    def namespace(self, entry: StateEntry) -> Any:
        """Return the window as a value of JSON: [start, end], an id, or None."""
        serializer = NAMESPACE_SERIALIZERS.get(entry.state.namespace)
        if serializer is None:
            return as_json(entry.namespace)
        if not entry.namespace:
            return None
        window = serializer.decode_from(entry.namespace, 0)[0]
        if isinstance(window, TimeWindow):
            return [window.start, window.end]
        return window.id if isinstance(window, CountWindow) else None

    def map_key(self, entry: StateEntry) -> Any:
        """Return the key inside a map as a value of JSON."""
        if entry.java:
            decoders = self._java_of(entry.state)
            if decoders is None or decoders[0] is None:
                return as_json(entry.map_key)
            return self._java_value(decoders[0], entry.map_key, 0)
        coders = self._coders_of(entry.state)
        return self._values(entry.map_key, coders[0] if coders else None, single=True)

    def value(self, entry: StateEntry) -> Any:
        """Return the value as a value of JSON; a list for list state."""
        if entry.value is None:
            return None
        if entry.java:
            decoders = self._java_of(entry.state)
            if decoders is None:
                return as_json(entry.value)
            if decoders[0] is not None:
                null = entry.value[:1] == b"\1"
                return None if null else self._java_value(decoders[1], entry.value, 1)
            return self._java_value(decoders[1], entry.value, 0)
        kind = entry.state.kind
        coders = self._coders_of(entry.state)
        single = kind in _SINGLE_KINDS or bool(entry.map_key) or entry.subtask >= 0
        if kind == "LIST" and coders is None and not _all_pickles(entry.value):
            # A list of Flink may be any kind but map; only its user knows.
            return as_json(entry.value)
        return self._values(entry.value, coders[-1] if coders else None, single=single)

    def _values(self, data: bytes, coder: Coder | None, *, single: bool) -> Any:
        if single and data and coder is not None and not coder.pickled:
            try:
                value, end = coder.decode_from(data, 0)
            except (SerializationError, FormatError):
                return as_json(data)
            if end == len(data):
                return value if type(value) in _PLAIN else as_json(value)
        if coder is None or (coder.pickled and not self._allow_pickle):
            pickles = split_pickles(data)
            if pickles is None:
                return as_json(data)
            shown = [self._pickle(one) for one in pickles]
        else:
            try:
                shown = [as_json(value) for value in _decode_all(coder, data)]
            except (SerializationError, FormatError):
                return as_json(data)
        return shown[0] if single and len(shown) == 1 else shown

    def _pickle(self, data: bytes) -> Any:
        if self._allow_pickle:
            try:
                return as_json(load_pickle(data))
            except Exception as error:  # noqa: BLE001 - a pickle may raise anything
                return {"pickle": data.hex(), "error": f"{type(error).__name__}: {error}"}
        return {"pickle": data.hex()}

    def _coders_of(self, state: StoredState) -> tuple[Coder, ...] | None:
        name = state.meta.name
        if name not in self._coders:
            types = parse_types(self._types.get(state.name, state.types))
            coders = None if types is None else tuple(coder_for(each) for each in types)
            self._coders[name] = coders
        return self._coders[name]

    def _java_of(self, state: StoredState) -> tuple[JavaDecoder | None, JavaDecoder] | None:
        name = state.meta.name
        if name not in self._java:
            self._java[name] = _java_decoders(state.meta.serializers.get(VALUE_SERIALIZER))
        return self._java[name]

    def _java_value(self, decode: JavaDecoder, data: bytes, offset: int) -> Any:
        try:
            value, end = decode(data, offset)
        except FormatError:
            return as_json(data)
        if end != len(data):
            return as_json(data)
        if isinstance(value, bytes) and _is_pickle(value):
            return self._pickle(value)
        return as_json(value)


def _decode_all(coder: Coder, data: bytes) -> list[Any]:
    values: list[Any] = []
    at = 0
    while at < len(data):
        value, end = coder.decode_from(data, at)
        if end <= at:
            raise FormatError("A value takes no bytes.", offset=at)
        values.append(value)
        at = end
    return values


def _is_pickle(data: bytes) -> bool:
    return len(data) > 2 and data[0] == 0x80 and data[1] <= 5 and data[-1:] == b"."


def split_pickles(data: bytes) -> list[bytes] | None:
    """Return the pickles that length-prefixed bytes hold; None if they are something else."""
    found: list[bytes] = []
    at = 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        pickled = data[at + 4 : end]
        if end > len(data) or not _is_pickle(pickled):
            return None
        found.append(pickled)
        at = end
    return found if found and at == len(data) else None


def _all_pickles(data: bytes) -> bool:
    return split_pickles(data) is not None


def _java_decoders(
    serializer: SerializerSnapshot | None,
) -> tuple[JavaDecoder | None, JavaDecoder] | None:
    """Return the decoders of map key and value; None for the key where it is no map."""
    if serializer is None:
        return None
    nested: Sequence[SerializerSnapshot] = serializer.nested
    try:
        if serializer.class_name == classes.MAP:
            return java_decoder(nested[0]), java_decoder(nested[1])
        if serializer.class_name == classes.LIST:
            return None, _joined(java_decoder(nested[0]))
        return None, java_decoder(serializer)
    except FormatError:
        return None


def _joined(element: JavaDecoder) -> JavaDecoder:
    def decode(data: bytes, offset: int) -> tuple[list[Any], int]:
        values: list[Any] = []
        while offset < len(data):
            value, offset = element(data, offset)
            values.append(value)
            if offset < len(data):
                # RocksDB's merge operator puts a comma between elements.
                offset += 1
        return values, offset

    return decode
