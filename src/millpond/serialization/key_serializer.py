"""`KeySerializer`: keys as Flink's JVM holds them, their bytes, hash codes and key groups.

PyFlink wraps every key into a Row of one field; the JVM writes it with RowSerializer and deals it
to a key group by Row.hashCode().
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, final

import mmh3

from millpond.common.typeinfo import (
    BasicType,
    BasicTypeInfo,
    DateTypeInfo,
    ExternalTypeInfo,
    InstantTypeInfo,
    PickledBytesTypeInfo,
    PrimitiveArrayTypeInfo,
    RowTypeInfo,
    TimestampTypeInfo,
    TimeTypeInfo,
    TupleTypeInfo,
    TypeInformation,
    Types,
)
from millpond.errors import SerializationError
from millpond.serialization.basic_coders import NUMBERS
from millpond.serialization.encode_many import pack_rows
from millpond.serialization.java_composite import row_serializer, tuple_serializer
from millpond.serialization.java_hash import INT_MASK, hash_bytes, hash_string
from millpond.serialization.java_serializer import (
    HashCode,
    JavaSerializer,
    basic_serializer,
    bytes_serializer,
)
from millpond.serialization.java_string import read_string, write_string
from millpond.serialization.java_temporal import (
    date_serializer,
    time_serializer,
    timestamp_serializer,
)
from millpond.serialization.key_group_hash import key_groups_of_hashes, key_groups_of_longs
from millpond.serialization.mismatch import ENCODE_ERRORS, mismatch, undecodable
from millpond.serialization.pickle_names import load_pickle
from millpond.serialization.pickled_coder import key_pickle
from millpond.serialization.text_hash import text_hashes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.serialization.function_coder import Decode, Encode

__all__ = ("KeySerializer", "key_serializer_for")

_INSERTED: Final = b"\x00"
_NULL_BIT: Final = 0x20
_LITTLE_INT = struct.Struct("<I")
_POSITIVE: Final = 0x7FFFFFFF
_AROUND: Final = 62
_AROUND_ROW: Final = 31
"""What Row.hashCode() of a Row of one field adds to the field's."""
_INTEGERS: Final = (BasicType.BYTE, BasicType.SHORT, BasicType.INT, BasicType.LONG)
_MANY: Final = 32
_TEXT_HEADS: Final = tuple(bytes((0, length + 1)) for length in range(127))
"""In front of an ASCII text of some length: the Row's mask, and the length as Flink writes it."""


@final
class KeySerializer:
    """Bytes, hash codes and key groups of the keys of one declared type.

    Has no state; several threads may use it.

    Attributes:
        type_info: the declared type; PICKLED if none was declared.
        signature: the same as text.
        pickled: decoding may run code.
        encode: key to bytes. Raises SerializationError if it does not fit the type.
        decode_from: data and offset to key and the offset after it. Raises SerializationError if
            there is no key.
        java_hash: key to the hash code of the Row around it, 0 to 2**32 - 1.
        normalize: key to the equal key that decoding gives, or None if keys may be used as they
            are. Rows need it: the field names belong to their equality.
        struct_code: the code in Python's `struct` of what follows the first byte, which is 0; None
            if keys are no whole numbers.
    """

    __slots__ = (
        "_around",
        "_is_text",
        "decode_from",
        "encode",
        "java_hash",
        "normalize",
        "pickled",
        "signature",
        "struct_code",
        "type_info",
    )

    encode: Encode
    decode_from: Decode
    java_hash: HashCode
    normalize: Callable[[Any], Any] | None

    def __init__(self, type_info: TypeInformation) -> None:
        self.type_info = type_info
        self.signature = type_info.signature
        self.pickled = _contains(type_info, PickledBytesTypeInfo)
        field = _serializer(type_info)
        self.encode = _encode_row(type_info, field.write)
        self.decode_from = _decode_row(self.signature, field.read)
        self._around = _AROUND_ROW if field.is_row else _AROUND
        self.java_hash = _hash_row(type_info, field, self._around)
        self.struct_code = _integer_code(type_info)
        self._is_text = _is_text(type_info)
        self.normalize = self._decoded if _contains(type_info, RowTypeInfo) else None

    def _decoded(self, key: Any) -> Any:
        return self.decode_from(self.encode(key), 0)[0]

    def decode(self, data: bytes) -> Any:
        """Return the key that `data` starts with."""
        return self.decode_from(data, 0)[0]

    def key_group(self, key: Any, max_parallelism: int) -> int:
        """Return the key group of a key.

        Raises:
            SerializationError: the key does not fit the type.
        """
        mixed = mmh3.hash(_LITTLE_INT.pack(self.java_hash(key)), 0)
        # Flink takes -x for a negative x, and 0 for the smallest, which has no opposite.
        return (abs(mixed) & _POSITIVE) % max_parallelism

    def key_groups(self, keys: Sequence[Any], max_parallelism: int) -> list[int]:
        """Return the key group of each key; the same as `key_group`, with less work per key."""
        java_hash = self.java_hash
        if len(keys) < _MANY:
            pack, murmur = _LITTLE_INT.pack, mmh3.hash
            return [
                (abs(murmur(pack(java_hash(key)), 0)) & _POSITIVE) % max_parallelism for key in keys
            ]
        packed = None
        if self.struct_code is not None:
            packed = _packed_longs(keys, self.struct_code)
        elif self._is_text and set(map(type, keys)) == {str}:
            packed = text_hashes(keys)
        if packed is None:
            packed = struct.pack(f"<{len(keys)}Q", *[java_hash(key) for key in keys])
            return key_groups_of_hashes(packed, 0, max_parallelism)
        # The hash code of a shorter integer is its lower half.
        dealt = key_groups_of_longs if self.struct_code == "q" else key_groups_of_hashes
        return dealt(packed, self._around, max_parallelism)

    def encode_many(self, keys: Sequence[Any]) -> list[bytes]:
        """Return the bytes of each key; the same as `encode`, with less work per key."""
        try:
            if self.struct_code is not None:
                return list(pack_rows(f"x{self.struct_code}", [keys]))
            if self._is_text and set(map(type, keys)) == {str} and "".join(keys).isascii():
                heads = _TEXT_HEADS
                return [heads[len(key)] + key.encode() for key in keys]
        except (IndexError, *ENCODE_ERRORS):
            pass  # one by one: a text may be longer, and a wrong key is found
        return list(map(self.encode, keys))

    def in_order(self, keys: list[Any]) -> list[Any]:
        """Return keys in the order of their bytes.

        Raises:
            SerializationError: a key does not fit the type.
        """
        if len(keys) < 2:
            return keys
        largest = _LARGEST.get(self.struct_code, 0)
        # The order of numbers that are not negative is that of their bytes.
        if largest and set(map(type, keys)) == {int} and min(keys) >= 0 and max(keys) <= largest:
            return sorted(keys)
        encoded = self.encode_many(keys)
        return [keys[place] for place in sorted(range(len(keys)), key=encoded.__getitem__)]

    def __reduce__(self) -> tuple[Any, ...]:
        return KeySerializer, (self.type_info,)

    def __repr__(self) -> str:
        return f"<key serializer of {self.signature}>"


def key_serializer_for(type_info: TypeInformation | None) -> KeySerializer:
    """Return the serializer of keys of a declared type; None means any object, pickled.

    Raises:
        SerializationError: values of the type cannot be keys.
    """
    if type_info is None:
        return KeySerializer(PickledBytesTypeInfo())
    while isinstance(type_info, ExternalTypeInfo):
        type_info = type_info.type_info
    if not isinstance(type_info, TypeInformation):
        raise SerializationError(
            "A key type must be type information.",
            hint="Use one of the types that millpond.common.Types lists.",
            declared_type=repr(type_info),
        )
    return KeySerializer(type_info)


def _encode_row(type_info: TypeInformation, write: Encode) -> Encode:
    def encode(key: Any) -> bytes:
        return _INSERTED + write(key)

    def encode_string(key: Any) -> bytes:
        if type(key) is str and key.isascii() and len(key) < 127:
            return _TEXT_HEADS[len(key)] + key.encode()
        return encode(key)

    def encode_number(key: Any) -> bytes:
        try:
            return pack(key)
        except ENCODE_ERRORS:
            return encode(key)

    if _is_text(type_info):
        return encode_string
    basic_type = type_info.basic_type if isinstance(type_info, BasicTypeInfo) else None
    if basic_type in NUMBERS and basic_type is not BasicType.BIG_INT:
        pack = struct.Struct(f">x{NUMBERS[basic_type][0]}").pack
        return encode_number
    return encode


def _decode_row(signature: str, read: Decode) -> Decode:
    def decode_from(data: bytes, offset: int) -> tuple[Any, int]:
        head = data[offset : offset + 1]
        if head == _INSERTED:
            return read(data, offset + 1)
        if head and head[0] & _NULL_BIT:
            raise undecodable(signature, offset, "the key is null")
        raise undecodable(signature, offset, "the Row around the key is missing or changed")

    return decode_from


def _hash_row(type_info: TypeInformation, field: JavaSerializer, around: int) -> HashCode:
    hash_code, write = field.hash_code, field.write
    largest = 0
    if isinstance(type_info, BasicTypeInfo):
        largest = _HASHED_AS_THEMSELVES.get(type_info.basic_type, 0)

    def java_hash(key: Any) -> int:
        try:
            return (around + hash_code(key)) & INT_MASK
        except Exception as error:
            write(key)
            raise mismatch(type_info.signature, key, reason=str(error)) from error

    def java_hash_small(key: Any) -> int:
        # The hash code of an integer of up to 31 bits is the integer itself.
        return key + around if type(key) is int and 0 <= key <= largest else java_hash(key)

    return java_hash_small if largest else java_hash


def _packed_longs(keys: Sequence[Any], code: str) -> bytes | None:
    try:
        if code != "q":
            struct.pack(f"<{len(keys)}{code}", *keys)  # for its check of the range
        return struct.pack(f"<{len(keys)}q", *keys)
    except ENCODE_ERRORS:
        return None


def _is_text(type_info: TypeInformation) -> bool:
    return isinstance(type_info, BasicTypeInfo) and type_info.basic_type is BasicType.STRING


def _integer_code(type_info: TypeInformation) -> str | None:
    if isinstance(type_info, BasicTypeInfo) and type_info.basic_type in _INTEGERS:
        return NUMBERS[type_info.basic_type][0]
    return None


def _contains(type_info: TypeInformation, kind: type[TypeInformation]) -> bool:
    if isinstance(type_info, kind):
        return True
    if isinstance(type_info, (RowTypeInfo, TupleTypeInfo)):
        return any(_contains(field, kind) for field in type_info.get_field_types())
    return False


def _serializer(type_info: TypeInformation) -> JavaSerializer:
    make = _MAKERS.get(type(type_info))
    if make is None or (make is bytes_serializer and type_info != _BYTES):
        raise SerializationError(
            f"Values of type {type_info.signature} cannot be keys.",
            hint="Key by a number, a string, bytes, a tuple or a row, or leave the type out.",
            declared_type=type_info.signature,
        )
    return make(type_info)


def _basic_serializer(type_info: BasicTypeInfo) -> JavaSerializer:
    if type_info.basic_type is BasicType.STRING:
        return JavaSerializer(write_string, read_string, hash_string)
    return basic_serializer(type_info, type_info.basic_type)


def _tuple_serializer(type_info: TupleTypeInfo) -> JavaSerializer:
    fields = [_serializer(field) for field in type_info.get_field_types()]
    return tuple_serializer(type_info, fields)


def _row_serializer(type_info: RowTypeInfo) -> JavaSerializer:
    fields = [_serializer(field) for field in type_info.get_field_types()]
    return row_serializer(type_info, fields)


def _external_serializer(type_info: ExternalTypeInfo) -> JavaSerializer:
    return _serializer(type_info.type_info)


def _pickled_serializer(type_info: PickledBytesTypeInfo) -> JavaSerializer:
    raw = bytes_serializer(type_info)

    def write(key: Any) -> bytes:
        return raw.write(key_pickle(key))

    def read(data: bytes, offset: int) -> tuple[Any, int]:
        pickled, end = raw.read(data, offset)
        try:
            return load_pickle(pickled), end
        except Exception as error:
            reason = f"unpickling failed ({type(error).__name__}: {error})"
            raise undecodable("PICKLED", offset, reason) from error

    def hash_code(key: Any) -> int:
        return hash_bytes(key_pickle(key))

    return JavaSerializer(write, read, hash_code)


_HASHED_AS_THEMSELVES: Final = {BasicType.INT: _POSITIVE, BasicType.LONG: _POSITIVE}
_LARGEST: Final[dict[str | None, int]] = {"i": (1 << 31) - 1, "q": (1 << 63) - 1}
_BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
_MAKERS: dict[type[TypeInformation], Callable[[Any], JavaSerializer]] = {
    BasicTypeInfo: _basic_serializer,
    DateTypeInfo: date_serializer,
    ExternalTypeInfo: _external_serializer,
    InstantTypeInfo: _basic_serializer,
    PickledBytesTypeInfo: _pickled_serializer,
    PrimitiveArrayTypeInfo: bytes_serializer,
    RowTypeInfo: _row_serializer,
    TimeTypeInfo: time_serializer,
    TimestampTypeInfo: timestamp_serializer,
    TupleTypeInfo: _tuple_serializer,
}
