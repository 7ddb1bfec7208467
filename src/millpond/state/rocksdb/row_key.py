"""`composite_key_of`: the bytes that all rows of a slot start with, in the cheapest way."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import mmh3

from millpond.common.typeinfo import BasicType, BasicTypeInfo
from millpond.state.contract.namespace import VOID, VOID_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from millpond.serialization.key_serializer import KeySerializer

__all__ = ("VOID_BYTES", "composite_key_of", "number_key_packer")

VOID_BYTES: Final = VOID.encode(VOID_NAMESPACE)
_HASH = struct.Struct("<I")
_CODES: Final = {BasicType.INT: "i", BasicType.LONG: "q"}
_LARGEST: Final = 0x7FFFFFFF


def composite_key_of(
    serializer: KeySerializer,
    max_parallelism: int,
    prefixes: Mapping[int, bytes],
    refuse: Callable[[Any], bytes],
) -> Callable[[Any], bytes]:
    """Return a function of a key without namespace to the start of its rows.

    `prefixes` has the bytes of every key group that is owned; of other keys `refuse` is called.
    """
    encode, group_of = serializer.encode, serializer.key_group

    def composite_key(key: Any) -> bytes:
        prefix = prefixes.get(group_of(key, max_parallelism))
        if prefix is None:
            return refuse(key)
        return prefix + encode(key) + VOID_BYTES

    pack = number_key_packer(serializer, max_parallelism)
    if pack is None:
        return composite_key

    # An integer of up to 31 bits is its own hash code, to which the Row around it adds 62; the
    # rest is `KeySerializer.key_group` and `encode`, without a call each.
    pack_hash, murmur, void = _HASH.pack, mmh3.hash, VOID_BYTES

    def composite_number(key: Any) -> bytes:
        if type(key) is int and 0 <= key <= _LARGEST:
            group = (abs(murmur(pack_hash(key + 62), 0)) & _LARGEST) % max_parallelism
            if group in prefixes:
                return pack(group, key, void)
        return composite_key(key)

    return composite_number


def number_key_packer(
    serializer: KeySerializer, max_parallelism: int
) -> Callable[[int, int, bytes], bytes] | None:
    """Return a function of key group, key and namespace's bytes to the start of rows.

    None if keys are no numbers. The namespace is VOID, whose length the function knows.
    """
    type_info = serializer.type_info
    code = _CODES.get(type_info.basic_type) if isinstance(type_info, BasicTypeInfo) else None
    if code is None:
        return None
    group_code = "B" if max_parallelism <= 128 else "H"
    return struct.Struct(f">{group_code}x{code}{len(VOID_BYTES)}s").pack
