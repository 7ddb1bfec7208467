"""The user's key in a row of a map: an int length and the encoded key."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from millpond.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.serialization.coder import Coder

__all__ = ("map_key_decoder", "map_key_encoder")

_INT: Final = struct.Struct(">i")


def map_key_encoder(coder: Coder) -> Callable[[Any], bytes]:
    """Return a function of a key to its bytes; numbers take one step."""
    encode_key, pack_length = coder.encode, _INT.pack

    def encode(key: Any) -> bytes:
        data = encode_key(key)
        return pack_length(len(data)) + data

    code = getattr(coder, "struct_code", None)
    if code is None:
        return encode
    packer = struct.Struct(f">i{code}")
    pack, size = packer.pack, packer.size - _INT.size

    def encode_number(key: Any) -> bytes:
        try:
            return pack(size, key)
        except (struct.error, OverflowError):
            return encode(key)

    return encode_number


def map_key_decoder(coder: Coder) -> Callable[[bytes, int], Any]:
    """Return a function of a row's key, and where the user's part begins, to the user's key.

    It raises FormatError, or what the coder raises, if the bytes are no key.
    """
    decode_from, unpack_length = coder.decode_from, _INT.unpack_from

    def decode(row: bytes, offset: int) -> Any:
        length = unpack_length(row, offset)[0]
        if length != len(row) - offset - 4:
            raise FormatError("A map key has an impossible length.", bytes=len(row) - offset)
        return decode_from(row, offset + 4)[0]

    code = getattr(coder, "struct_code", None)
    if code is None:
        return decode
    packer = struct.Struct(f">i{code}")
    unpack_from, size = packer.unpack_from, packer.size

    def decode_number(row: bytes, offset: int) -> Any:
        if len(row) - offset == size:
            length, key = unpack_from(row, offset)
            if length == size - 4:
                return key
        return decode(row, offset)

    return decode_number
