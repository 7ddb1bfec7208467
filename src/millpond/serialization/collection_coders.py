"""Coders of arrays, lists and maps, byte for byte PyFlink's."""

from __future__ import annotations

import array
import struct
from typing import TYPE_CHECKING, Any

from millpond.errors import SerializationError
from millpond.serialization.basic_coders import SHORT_OF_BYTES
from millpond.serialization.function_coder import Decode, Encode, FunctionCoder
from millpond.serialization.mismatch import ENCODE_ERRORS, mismatch, nested, undecodable

if TYPE_CHECKING:
    from millpond.common.typeinfo import MapTypeInfo, PrimitiveArrayTypeInfo, TypeInformation

__all__ = ("list_coder", "map_coder", "primitive_array_coder")

_INT = struct.Struct(">i")
_SEQUENCES = (list, tuple, array.array)


def _count_reader(signature: str, minimum_size_bytes: int) -> Decode:
    """Return the reader of a count that the rest of the data can hold."""
    unpack_from = _INT.unpack_from
    minimum = max(1, minimum_size_bytes)

    def read_count(data: bytes, offset: int) -> tuple[int, int]:
        try:
            count = unpack_from(data, offset)[0]
        except struct.error as error:
            raise undecodable(signature, offset, SHORT_OF_BYTES) from error
        start = offset + 4
        if not 0 <= count * minimum <= len(data) - start:
            raise undecodable(signature, offset, f"a count of {count} is impossible")
        return count, start

    return read_count


def primitive_array_coder(
    type_info: PrimitiveArrayTypeInfo, element: FunctionCoder
) -> FunctionCoder:
    """Return the coder of arrays without None: int count, then the elements. Decodes to a list."""
    encode: Encode
    decode_from: Decode
    if element.struct_code is not None:
        encode, decode_from = _array_of_numbers(type_info.signature, element)
    else:
        encode, decode_from = _array_of_any(type_info.signature, element)
    return FunctionCoder(type_info, encode, decode_from, minimum_size_bytes=4)


def _array_of_numbers(signature: str, element: FunctionCoder) -> tuple[Encode, Decode]:
    code, size = element.struct_code, element.minimum_size_bytes
    read_count = _count_reader(signature, size)
    pack, unpack_from = struct.pack, struct.unpack_from

    def encode(value: Any) -> bytes:
        try:
            if isinstance(value, _SEQUENCES):
                count = len(value)
                return pack(f">i{count}{code}", count, *value)
        except ENCODE_ERRORS as error:
            raise _explain(signature, element, value, nullable=False) from error
        raise _explain(signature, element, value, nullable=False)

    def decode_from(data: bytes, offset: int) -> tuple[list[Any], int]:
        count, start = read_count(data, offset)
        return list(unpack_from(f">{count}{code}", data, start)), start + count * size

    return encode, decode_from


def _array_of_any(signature: str, element: FunctionCoder) -> tuple[Encode, Decode]:
    encode_element, decode_element = element.encode, element.decode_from
    read_count = _count_reader(signature, element.minimum_size_bytes)

    def encode(value: Any) -> bytes:
        try:
            if isinstance(value, _SEQUENCES):
                return _INT.pack(len(value)) + b"".join(map(encode_element, value))
        except ENCODE_ERRORS as error:
            raise _explain(signature, element, value, nullable=False) from error
        raise _explain(signature, element, value, nullable=False)

    def decode_from(data: bytes, offset: int) -> tuple[list[Any], int]:
        count, offset = read_count(data, offset)
        items = []
        for _ in range(count):
            item, offset = decode_element(data, offset)
            items.append(item)
        return items, offset

    return encode, decode_from


def list_coder(type_info: TypeInformation, element: FunctionCoder) -> FunctionCoder:
    """Return the coder of lists and boxed arrays: int count, then a flag before each element.

    The flag is 0 for None, and nothing follows it then. Decodes to a list.
    """
    signature = type_info.signature
    encode_element, decode_element = element.encode, element.decode_from
    read_count = _count_reader(signature, 1)
    pack = _INT.pack

    def encode(value: Any) -> bytes:
        try:
            if isinstance(value, _SEQUENCES):
                parts = [pack(len(value))]
                parts += [
                    b"\x00" if item is None else b"\x01" + encode_element(item) for item in value
                ]
                return b"".join(parts)
        except ENCODE_ERRORS as error:
            raise _explain(signature, element, value, nullable=True) from error
        raise _explain(signature, element, value, nullable=True)

    def decode_from(data: bytes, offset: int) -> tuple[list[Any], int]:
        count, position = read_count(data, offset)
        items: list[Any] = []
        append = items.append
        try:
            for _ in range(count):
                if data[position]:
                    item, position = decode_element(data, position + 1)
                    append(item)
                else:
                    position += 1
                    append(None)
        except IndexError as error:
            raise undecodable(signature, offset, SHORT_OF_BYTES) from error
        return items, position

    return FunctionCoder(
        type_info, encode, decode_from, minimum_size_bytes=4, pickled=element.pickled
    )


def _explain(
    signature: str, element: FunctionCoder, value: Any, *, nullable: bool
) -> SerializationError:
    if not isinstance(value, _SEQUENCES):
        return mismatch(signature, value, reason="a list or tuple is needed")
    for position, item in enumerate(list(value)):
        if item is None and nullable:
            continue
        try:
            element.encode(item)
        except SerializationError as error:
            return nested(error, f"[{position}]")
    return mismatch(signature, value)


def map_coder(
    type_info: MapTypeInfo, key: FunctionCoder, value_coder: FunctionCoder
) -> FunctionCoder:
    """Return the coder of dictionaries: int count, then key, flag, value.

    The flag is 1 for None, and no value follows it then.
    """
    signature = type_info.signature
    encode_key, decode_key = key.encode, key.decode_from
    encode_value, decode_value = value_coder.encode, value_coder.decode_from
    read_count = _count_reader(signature, key.minimum_size_bytes + 1)
    pack = _INT.pack

    def encode(value: Any) -> bytes:
        try:
            if isinstance(value, dict):
                parts = [pack(len(value))]
                for name, item in value.items():
                    parts.append(encode_key(name))
                    parts.append(b"\x01" if item is None else b"\x00" + encode_value(item))
                return b"".join(parts)
        except ENCODE_ERRORS as error:
            raise _explain_map(signature, key, value_coder, value) from error
        raise _explain_map(signature, key, value_coder, value)

    def decode_from(data: bytes, offset: int) -> tuple[dict[Any, Any], int]:
        count, position = read_count(data, offset)
        items: dict[Any, Any] = {}
        try:
            for _ in range(count):
                name, position = decode_key(data, position)
                position += 1
                if data[position - 1]:
                    items[name] = None
                else:
                    items[name], position = decode_value(data, position)
        except SerializationError:
            raise
        except IndexError as error:
            raise undecodable(signature, offset, SHORT_OF_BYTES) from error
        except TypeError as error:
            raise undecodable(signature, offset, "its keys cannot be hashed") from error
        return items, position

    return FunctionCoder(
        type_info,
        encode,
        decode_from,
        minimum_size_bytes=4,
        pickled=key.pickled or value_coder.pickled,
    )


def _explain_map(
    signature: str, key: FunctionCoder, value_coder: FunctionCoder, value: Any
) -> SerializationError:
    if not isinstance(value, dict):
        return mismatch(signature, value, reason="a dictionary is needed")
    for name, item in list(value.items()):
        try:
            key.encode(name)
        except SerializationError as error:
            return nested(error, f".key({name!r})")
        try:
            if item is not None:
                value_coder.encode(item)
        except SerializationError as error:
            return nested(error, f"[{name!r}]")
    return mismatch(signature, value)
