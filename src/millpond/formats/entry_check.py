"""`EntryCheck`: whether entries are what their serializers write, in the key group they belong to.

Flink records no checksums. What can be known from the bytes alone is checked here: each part of a
composite key, the key group that the key's hash gives, the form of the value, and that no key
stands twice. docs/formats/damage.md says what remains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from millpond.errors import FormatError
from millpond.formats import serializer_classes as classes
from millpond.formats.composite_key import CompositeKey, prefix_length_of, split_composite_key
from millpond.formats.java_key_hash import key_group_of, key_hasher
from millpond.formats.java_values import has_ambiguous_parts, has_row_kind, java_decoder
from millpond.formats.state_meta import (
    NAMESPACE_SERIALIZER,
    VALUE_SERIALIZER,
    StateMetaKind,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.formats.java_values import JavaDecoder
    from millpond.formats.keyed_block import KeyedBlock
    from millpond.formats.keyed_header import KeyedHeader
    from millpond.formats.serializer_snapshot import SerializerSnapshot
    from millpond.formats.state_meta import StateMeta

__all__ = ("EntryCheck",)

_KEPT_KEYS: Final = 1 << 16
_DELIMITER: Final = 0x2C
_KIND_BITS: Final = 0xC0


@final
class EntryCheck:
    """Checks the blocks of one stream, in their order. Used by one thread.

    Costs some microseconds an entry. To find keys that stand twice it keeps up to 65536 keys of one
    state in one key group; of the others, only neighbours are compared.
    """

    def __init__(self, header: KeyedHeader, max_parallelism: int) -> None:
        """Make it; raises FormatError if keys of this serializer cannot be decoded."""
        self._checks = [
            _StateCheck(state, header.key_serializer, max_parallelism) for state in header.states
        ]
        self._place = (-1, -1)
        self._keys: set[bytes] = set()
        self._last = b""

    def check(self, block: KeyedBlock) -> None:
        """Check the entries of a block.

        Raises:
            FormatError: one of them is not what Flink would have written; the offset is that inside
                of its key or value.
        """
        key_group, state_id, entries = block
        if self._place != (key_group, state_id):
            self._place = (key_group, state_id)
            self._keys.clear()
            self._last = b""
        state = self._checks[state_id]
        check_key, check_value = state.key, state.value
        keys = self._keys
        last = self._last
        for key, value in entries:
            try:
                check_key(key_group, key)
                if check_value is not None:
                    check_value(value)
            except FormatError as error:
                raise state.error(error, key_group, key) from error
            if key in keys or key == last:
                raise FormatError(
                    "A key stands twice.", offset=0, state=state.name, key=key[:64].hex()
                )
            if len(keys) < _KEPT_KEYS:
                keys.add(key)
            last = key
        self._last = last


@final
class _StateCheck:
    """The checks of one state; `value` is None where values of its serializer are not known."""

    def __init__(
        self, meta: StateMeta, key_serializer: SerializerSnapshot, max_parallelism: int
    ) -> None:
        self.name = meta.name
        self._prefix_length = prefix_length_of(max_parallelism)
        self._max_parallelism = max_parallelism
        value = meta.serializers[VALUE_SERIALIZER]
        self.value: Callable[[bytes], None] | None
        if meta.kind is StateMetaKind.PRIORITY_QUEUE:
            self._key_serializer = value.nested[0]
            self._decode_timer = java_decoder(value)
            self.key = self._timer
            self.value = _nothing
        else:
            self._key_serializer = key_serializer
            namespace = meta.serializers[NAMESPACE_SERIALIZER]
            self._skip_namespace = _skipper(java_decoder(namespace))
            self._ambiguous = has_ambiguous_parts(key_serializer, namespace)
            self._user_key, self.value = _forms(value)
            self.key = self._composite
        self._decode_key = java_decoder(self._key_serializer)
        self._hash = key_hasher(self._key_serializer)
        row = self._key_serializer.class_name == classes.ROW
        self._has_kind = row and has_row_kind(self._key_serializer)

    def error(self, error: FormatError, key_group: int, key: bytes) -> FormatError:
        context = {"offset": 0, **error.context, "state": self.name, "key_group": key_group}
        return FormatError(
            f"An entry is damaged: {error.message}",
            hint=error.hint,
            **{**context, "key": key[:64].hex()},
        )

    def _composite(self, key_group: int, data: bytes) -> None:
        decoded: list[Any] = []

        def skip_key(data: bytes, offset: int) -> int:
            value, end = self._decode_key(data, offset)
            decoded.append(value)
            return end

        parts: CompositeKey = split_composite_key(
            data, self._prefix_length, skip_key, self._skip_namespace, ambiguous=self._ambiguous
        )
        self._check_group(key_group, data, decoded[0])
        if self._user_key is None:
            if parts.user_key:
                raise FormatError(
                    "Bytes are left behind a namespace.", offset=len(data) - len(parts.user_key)
                )
        else:
            self._user_key(parts.user_key)

    def _timer(self, key_group: int, data: bytes) -> None:
        (_, key, _), end = self._decode_timer(data, self._prefix_length)
        if end != len(data):
            raise FormatError("Bytes are left behind a timer.", offset=end)
        self._check_group(key_group, data, key, self._prefix_length + 8)

    def _check_group(
        self, key_group: int, data: bytes, key: object, key_offset: int | None = None
    ) -> None:
        length = self._prefix_length
        if int.from_bytes(data[:length], "big") != key_group:
            raise FormatError("A key lies in the wrong key group.", offset=0)
        at = length if key_offset is None else key_offset
        if self._has_kind and data[at] & _KIND_BITS:
            raise FormatError("A key is a row of another kind than insert.", offset=at)
        if self._hash is None:
            return
        expected = key_group_of(self._hash(key), self._max_parallelism)
        if expected != key_group:
            raise FormatError(
                "A key does not belong to the key group in which it lies.",
                offset=at,
                expected=expected,
            )


def _forms(
    serializer: SerializerSnapshot,
) -> tuple[Callable[[bytes], None] | None, Callable[[bytes], None] | None]:
    """Return the checks of user key and value; None: there is no user key, values are unknown."""
    is_map = serializer.class_name == classes.MAP
    try:
        if is_map:
            key, value = map(java_decoder, serializer.nested)
            # Under TTL Millpond leaves the time behind a null, which Flink does not read.
            times = (1, 9) if serializer.nested[1].class_name == classes.TTL else (1,)
            return _whole(key), _nullable(value, times)
        if serializer.class_name == classes.LIST:
            return None, _elements(java_decoder(serializer.nested[0]))
        return None, _whole(java_decoder(serializer))
    except FormatError:
        return ((lambda _: None) if is_map else None), None


def _skipper(decode: JavaDecoder) -> Callable[[bytes, int], int]:
    return lambda data, offset: decode(data, offset)[1]


def _nothing(data: bytes) -> None:
    if data:
        raise FormatError("A timer has a value.", offset=0)


def _whole(decode: JavaDecoder) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        _expect_end(data, decode(data, 0)[1])

    return check


def _nullable(decode: JavaDecoder, null_sizes: tuple[int, ...]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        if data[:1] == b"\0":
            _expect_end(data, decode(data, 1)[1])
        elif data[:1] != b"\1" or len(data) not in null_sizes:
            raise FormatError("A map value has an impossible form.", offset=0)

    return check


def _elements(decode: JavaDecoder) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        at = -1
        while at < len(data):
            _, at = decode(data, at + 1)
            if at < len(data) and data[at] != _DELIMITER:
                raise FormatError("Something else than a comma stands between elements.", offset=at)

    return check


def _expect_end(data: bytes, end: int) -> None:
    if end != len(data):
        raise FormatError("Bytes are left behind a value.", offset=end)
