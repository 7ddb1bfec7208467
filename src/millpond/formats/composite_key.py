"""Composite keys: key group, key, namespace and map key in one byte string.

The rules are Flink's (SerializedCompositeKeyBuilder, CompositeKeySerializationUtils): the key in
every entry of a canonical stream and in every row of Flink's RocksDB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from millpond.errors import FormatError

__all__ = (
    "CompositeKey",
    "SkipValue",
    "build_composite_key",
    "encode_key_group",
    "prefix_length_of",
    "split_composite_key",
)

SkipValue = Callable[[bytes, int], int]
"""Takes bytes and the offset of a value, returns the offset after it; raises FormatError."""


class CompositeKey(NamedTuple):
    """The parts of a composite key; `user_key` is empty unless the state is a map."""

    key_group: int
    key: bytes
    namespace: bytes
    user_key: bytes


def prefix_length_of(max_parallelism: int) -> int:
    """Return how many bytes the key group takes: 1 or 2."""
    return 1 if max_parallelism <= 128 else 2


def encode_key_group(key_group: int, max_parallelism: int) -> bytes:
    """Return the prefix that all composite keys of a key group have."""
    return key_group.to_bytes(prefix_length_of(max_parallelism), "big")


def build_composite_key(
    prefix: bytes, key: bytes, namespace: bytes, user_key: bytes = b"", *, ambiguous: bool = False
) -> bytes:
    """Return a composite key; `prefix` is the encoded key group.

    `ambiguous`: key and namespace both have a variable length, so that their lengths must follow
    them. PyFlink's namespaces have a fixed length.
    """
    if ambiguous:
        key += _encode_length(len(key))
        namespace += _encode_length(len(namespace))
    return prefix + key + namespace + user_key


def split_composite_key(
    data: bytes,
    prefix_length: int,
    skip_key: SkipValue,
    skip_namespace: SkipValue,
    *,
    ambiguous: bool = False,
) -> CompositeKey:
    """Take a composite key apart.

    `skip_key` and `skip_namespace` find the end of an encoded key and namespace.

    Raises:
        FormatError: the bytes end inside a part.
    """
    if len(data) <= prefix_length:
        raise FormatError("A composite key ends inside its key group.", offset=0, key=data.hex())
    key_group = int.from_bytes(data[:prefix_length], "big")
    key_end = skip_key(data, prefix_length)
    namespace_start = key_end
    if ambiguous:
        namespace_start = _expect_length(data, key_end, key_end - prefix_length)
    namespace_end = skip_namespace(data, namespace_start)
    user_start = namespace_end
    if ambiguous:
        user_start = _expect_length(data, namespace_end, namespace_end - namespace_start)
    return CompositeKey(
        key_group,
        data[prefix_length:key_end],
        data[namespace_start:namespace_end],
        data[user_start:],
    )


def _encode_length(length: int) -> bytes:
    # Low byte first, as many bytes as the number needs, one for zero.
    return length.to_bytes(max(1, (length.bit_length() + 7) // 8), "little")


def _expect_length(data: bytes, offset: int, length: int) -> int:
    expected = _encode_length(length)
    if data[offset : offset + len(expected)] != expected:
        raise FormatError(
            "A part of a composite key has another length.", offset=offset, key=data[:64].hex()
        )
    return offset + len(expected)
