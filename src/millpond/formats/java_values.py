"""Decoding what Java's serializers wrote, as a serializer snapshot describes it.

`java_decoder` makes a function of (bytes, offset) for one snapshot: it returns the value and the
offset after it. That is how keys, namespaces and heap state are found whose lengths are nowhere
recorded.
"""

from __future__ import annotations

import decimal
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from millpond.errors import FormatError
from millpond.formats import serializer_classes as classes

if TYPE_CHECKING:
    from millpond.formats.serializer_snapshot import SerializerSnapshot

__all__ = (
    "JavaDecoder",
    "JavaRow",
    "has_ambiguous_parts",
    "has_fixed_length",
    "has_row_kind",
    "java_decoder",
    "java_skipper",
)

JavaDecoder = Callable[[bytes, int], tuple[Any, int]]
"""Raises FormatError where the bytes do not hold a value."""

_MIN_LONG = -(1 << 63)


class JavaRow(tuple[Any, ...]):
    """The fields of a Java Row; tuples of Java's Tuple classes are plain tuples."""

    __slots__ = ()


_NO_VALUE: Final = (struct.error, IndexError, RecursionError, UnicodeDecodeError)


def java_decoder(snapshot: SerializerSnapshot) -> JavaDecoder:
    """Return the decoder for values of a serializer.

    Values are Python's: int, float, bool, str, bytes, list, dict (list of pairs where a key is not
    hashable), tuple, `JavaRow`, Decimal; dates and times are the numbers that Java writes, windows
    (start, end) or their id, a TTL value (last access in ms, value), a timer (timestamp, key,
    namespace). Decoding executes nothing.

    Raises:
        FormatError: values of this serializer cannot be decoded.
    """
    decode = _decoder(snapshot)

    def checked(data: bytes, offset: int) -> tuple[Any, int]:
        try:
            value, end = decode(data, offset)
        except _NO_VALUE:
            end = -1
            value = None
        if not offset < end <= len(data):
            raise FormatError(f"The bytes hold no value of {snapshot}.", offset=offset)
        return value, end

    return checked


def java_skipper(snapshot: SerializerSnapshot) -> Callable[[bytes, int], int]:
    """Return a function that finds the end of the value at an offset; errors as `java_decoder`."""
    decode = _decoder(snapshot)

    def skip(data: bytes, offset: int) -> int:
        try:
            end = decode(data, offset)[1]
        except _NO_VALUE:
            end = -1
        if not offset < end <= len(data):
            raise FormatError(f"The bytes hold no value of {snapshot}.", offset=offset)
        return end

    return skip


def has_fixed_length(snapshot: SerializerSnapshot) -> bool:
    """Whether Flink counts a serializer's values as of fixed length (its getLength())."""
    name = snapshot.class_name
    return name in _FIXED or name in _BOOLEANS or name in _ZEROS or name in _VOIDS


def has_ambiguous_parts(key: SerializerSnapshot, namespace: SerializerSnapshot) -> bool:
    """Whether composite keys of such keys and namespaces hold the lengths of both."""
    return not has_fixed_length(key) and not has_fixed_length(namespace)


def _decoder(snapshot: SerializerSnapshot) -> JavaDecoder:
    name = snapshot.class_name
    fixed = _FIXED.get(name)
    if fixed is not None:
        return _fixed(fixed)
    special = _SPECIAL.get(name)
    if special is not None:
        return special
    element = _ARRAYS.get(name)
    if element is not None:
        return _primitive_array(element)
    make, arity = _COMPOSITES.get(name, (None, None))
    nested = snapshot.nested
    if make is None or (arity is not None and len(nested) != arity):
        raise FormatError(
            "Values of this serializer cannot be decoded.", offset=0, serializer=str(snapshot)
        )
    if make is _row:
        return _row(nested, has_row_kind(snapshot))
    return make(*map(_decoder, nested))


def has_row_kind(snapshot: SerializerSnapshot) -> bool:
    """Whether a row's values start with its kind: since version 3, unless a flag denies it."""
    version = snapshot.outer_version or 0
    return version >= classes.ROW_KIND and snapshot.outer_content != b"\0"


def _fixed(layout: str) -> JavaDecoder:
    codec = struct.Struct(">" + layout)
    unpack = codec.unpack_from
    size = codec.size
    if len(layout) > 1:
        return lambda data, offset: (unpack(data, offset), offset + size)
    return lambda data, offset: (unpack(data, offset)[0], offset + size)


def _bytes(data: bytes, offset: int) -> tuple[bytes, int]:
    start = offset + 4
    end = start + _int(data, offset)
    if not start <= end <= len(data):
        raise IndexError
    return data[start:end], end


def _int(data: bytes, offset: int) -> int:
    value: int = struct.unpack_from(">i", data, offset)[0]
    return value


def _count(data: bytes, offset: int) -> int:
    count = _int(data, offset)
    # Every element takes a byte at least.
    if not 0 <= count <= len(data) - offset:
        raise IndexError
    return count


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise IndexError  # Java writes as few bytes as a number needs
            return value, offset
        shift += 7
        if shift > 28:
            raise IndexError


def _string(data: bytes, offset: int) -> tuple[str | None, int]:
    length, at = data[offset], offset + 1
    if length >= 0x80:
        length, at = _varint(data, offset)
    if length == 0:
        return None, at
    length -= 1
    if length > len(data) - at:
        raise IndexError
    plain = data[at : at + length]
    if plain.isascii():
        return plain.decode("ascii"), at + length
    units = bytearray()
    for _ in range(length):
        unit, at = _varint(data, at)
        if unit > 0xFFFF:
            raise IndexError
        units += unit.to_bytes(2, "big")
    return units.decode("utf-16-be", "surrogatepass"), at


def _void(data: bytes, offset: int) -> tuple[None, int]:
    if offset >= len(data):
        raise IndexError
    return None, offset + 1


def _zero(data: bytes, offset: int) -> tuple[None, int]:
    if data[offset] != 0:
        raise IndexError
    return None, offset + 1


def _boolean(data: bytes, offset: int) -> tuple[bool, int]:
    return _flag(data, offset), offset + 1


def _flag(data: bytes, offset: int) -> bool:
    if data[offset] > 1:
        raise IndexError
    return data[offset] == 1


def _big_integer(data: bytes, offset: int) -> tuple[int | None, int]:
    length = _int(data, offset)
    if 0 <= length < 4:
        return (None, 0, 1, 10)[length], offset + 4
    end = offset + length
    if length < 0 or end > len(data):
        raise IndexError
    value = int.from_bytes(data[offset + 4 : end], "big", signed=True)
    # As short as it can be; 0, 1 and 10 have forms of their own.
    shortest = (value.bit_length() if value >= 0 else (~value).bit_length()) // 8 + 1
    if value in (0, 1, 10) or shortest != length - 4:
        raise IndexError
    return value, end


def _big_decimal(data: bytes, offset: int) -> tuple[decimal.Decimal | None, int]:
    unscaled, at = _big_integer(data, offset)
    if unscaled is None:
        return None, at
    scale = _int(data, at)
    digits = decimal.Decimal(unscaled).as_tuple()
    return decimal.Decimal((digits.sign, digits.digits, -scale)), at + 4


def _primitive_array(layout: str) -> JavaDecoder:
    size = struct.calcsize(">" + layout)

    def decode(data: bytes, offset: int) -> tuple[Any, int]:
        count = _count(data, offset)
        end = offset + 4 + count * size
        if layout == "?" and max(data[offset + 4 : end], default=0) > 1:
            raise IndexError
        return list(struct.unpack_from(f">{count}{layout}", data, offset + 4)), end

    return decode


def _string_array(data: bytes, offset: int) -> tuple[list[Any], int]:
    return _list(_string)(data, offset)


def _list(element: JavaDecoder) -> JavaDecoder:
    def decode(data: bytes, offset: int) -> tuple[Any, int]:
        values: list[Any] = []
        at = offset + 4
        for _ in range(_count(data, offset)):
            start = at
            value, at = element(data, start)
            if at == start:
                raise IndexError  # a million of nothing would take no bytes
            values.append(value)
        return values, at

    return decode


def _object_array(element: JavaDecoder) -> JavaDecoder:
    def decode_or_null(data: bytes, offset: int) -> tuple[Any, int]:
        return element(data, offset + 1) if _flag(data, offset) else (None, offset + 1)

    return _list(decode_or_null)


def _map(key: JavaDecoder, value: JavaDecoder) -> JavaDecoder:
    def pair(data: bytes, offset: int) -> tuple[Any, int]:
        map_key, at = key(data, offset)
        if _flag(data, at):
            return (map_key, None), at + 1
        map_value, at = value(data, at + 1)
        return (map_key, map_value), at

    pairs = _list(pair)

    def decode(data: bytes, offset: int) -> tuple[Any, int]:
        entries, at = pairs(data, offset)
        try:
            return dict(entries), at
        except TypeError:
            return entries, at

    return decode


def _tuple(*fields: JavaDecoder) -> JavaDecoder:
    def decode(data: bytes, offset: int) -> tuple[Any, int]:
        values: list[Any] = []
        for field in fields:
            value, offset = field(data, offset)
            values.append(value)
        return tuple(values), offset

    return decode


def _row(nested: tuple[SerializerSnapshot, ...], with_kind: bool) -> JavaDecoder:
    fields = [_decoder(snapshot) for snapshot in nested]
    first = 2 if with_kind else 0
    mask_size = (first + len(fields) + 7) // 8
    unused = (1 << mask_size * 8 - first - len(fields)) - 1

    def decode(data: bytes, offset: int) -> tuple[Any, int]:
        at = offset + mask_size
        if at > len(data) or (unused and data[at - 1] & unused):
            raise IndexError
        values: list[Any] = []
        for index, field in enumerate(fields, first):
            if data[offset + index // 8] & (0x80 >> index % 8):
                values.append(None)
            else:
                value, at = field(data, at)
                values.append(value)
        return JavaRow(values), at

    return decode


def _timer(key: JavaDecoder, namespace: JavaDecoder) -> JavaDecoder:
    def decode(data: bytes, offset: int) -> tuple[Any, int]:
        timestamp = struct.unpack_from(">Q", data, offset)[0] + _MIN_LONG
        key_value, at = key(data, offset + 8)
        namespace_value, at = namespace(data, at)
        return (timestamp, key_value, namespace_value), at

    return decode


_FIXED: Final = {
    **{classes.basic_class(name): "b" for name in ("Byte", "ByteValue")},
    **{classes.basic_class(name): "h" for name in ("Short", "ShortValue")},
    **{classes.basic_class(name): "H" for name in ("Char", "CharValue")},
    **{classes.basic_class(name): "i" for name in ("Int", "IntValue")},
    **{classes.basic_class(name): "q" for name in ("Long", "LongValue")},
    **{classes.basic_class(name): "q" for name in ("Date", "SqlDate", "SqlTime")},
    **{classes.basic_class(name): "qi" for name in ("SqlTimestamp", "Instant")},
    **{classes.basic_class(name): "f" for name in ("Float", "FloatValue")},
    **{classes.basic_class(name): "d" for name in ("Double", "DoubleValue")},
    classes.basic_class("LocalDate"): "ibb",
    classes.basic_class("LocalTime"): "bbbi",
    classes.basic_class("LocalDateTime"): "ibbbbbi",
    classes.TABLE_TIME_WINDOW: "qq",
    classes.STREAMING_TIME_WINDOW: "qq",
    classes.COUNT_WINDOW: "q",
}

_BOOLEANS: Final = {classes.basic_class("Boolean"), classes.basic_class("BooleanValue")}
_ZEROS: Final = {classes.VOID_NAMESPACE, classes.GLOBAL_WINDOW}
_VOIDS: Final = {classes.basic_class("Void"), classes.basic_class("NullValue")}

_SPECIAL: Final[dict[str, JavaDecoder]] = {
    **dict.fromkeys(_ZEROS, _zero),
    **dict.fromkeys(_VOIDS, _void),
    **dict.fromkeys(_BOOLEANS, _boolean),
    classes.STRING: _string,
    classes.basic_class("StringValue"): _string,
    classes.BYTES: _bytes,
    classes.BYTE_ARRAY_WRAPPER: _bytes,
    classes.basic_class("BigInt"): _big_integer,
    classes.basic_class("BigDec"): _big_decimal,
    classes.array_class("StringArray"): _string_array,
}

_ARRAYS: Final = {
    classes.array_class(f"{name}PrimitiveArray"): layout
    for name, layout in {
        "Boolean": "?",
        "Char": "H",
        "Short": "h",
        "Int": "i",
        "Long": "q",
        "Float": "f",
        "Double": "d",
    }.items()
}

_COMPOSITES: Final[dict[str, tuple[Callable[..., JavaDecoder], int | None]]] = {
    classes.LIST: (_list, 1),
    classes.MAP: (_map, 2),
    classes.GENERIC_ARRAY: (_object_array, 1),
    classes.ROW: (_row, None),
    classes.TUPLE: (_tuple, None),
    classes.TTL: (_tuple, 2),
    classes.TIMER: (_timer, 2),
}
