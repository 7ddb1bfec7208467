"""XXH3, 64 bits, seed 0: the block checksum of RocksDB since 6.27.

The package `xxhash` is used where it is installed; the Python version hashes some 20 MB a second.
"""

from __future__ import annotations

import functools
import importlib
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("xxh3_64",)

_M32 = 0xFFFFFFFF
_M64 = 0xFFFFFFFFFFFFFFFF
_P32_1: Final = 0x9E3779B1
_P32_2: Final = 0x85EBCA77
_P32_3: Final = 0xC2B2AE3D
_P64_1: Final = 0x9E3779B185EBCA87
_P64_2: Final = 0xC2B2AE3D27D4EB4F
_P64_3: Final = 0x165667B19E3779F9
_P64_4: Final = 0x85EBCA77C2B2AE63
_P64_5: Final = 0x27D4EB2F165667C5
_PRIME_MX1: Final = 0x165667919E3779F9
_PRIME_MX2: Final = 0x9FB21C651E98DF25

_SECRET: Final = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8"
    "fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364ea"
    "c5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b"
    "16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)


def xxh3_64(data: bytes) -> int:
    """Return the 64-bit XXH3 hash."""
    return _implementation()(data)


@functools.cache
def _implementation() -> Callable[[bytes], int]:
    try:
        module = importlib.import_module("xxhash")
    except ImportError:
        return _xxh3_64
    digest: Callable[[bytes], int] = module.xxh3_64_intdigest
    return digest


def _xxh3_64(data: bytes) -> int:
    length = len(data)
    if length <= 16:
        return _short(data, length)
    if length <= 128:
        return _up_to_128(data, length)
    if length <= 240:
        return _up_to_240(data, length)
    return _long(data, length)


def _u64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _fold(a: int, b: int) -> int:
    product = a * b
    return (product ^ (product >> 64)) & _M64


def _avalanche(value: int) -> int:
    value ^= value >> 37
    value = value * _PRIME_MX1 & _M64
    return value ^ (value >> 32)


def _avalanche_64(value: int) -> int:
    value ^= value >> 33
    value = value * _P64_2 & _M64
    value ^= value >> 29
    value = value * _P64_3 & _M64
    return value ^ (value >> 32)


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _M64


def _short(data: bytes, length: int) -> int:
    if length > 8:
        flip_low = _u64(_SECRET, 24) ^ _u64(_SECRET, 32)
        flip_high = _u64(_SECRET, 40) ^ _u64(_SECRET, 48)
        low = _u64(data, 0) ^ flip_low
        high = _u64(data, length - 8) ^ flip_high
        swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
        return _avalanche((length + swapped + high + _fold(low, high)) & _M64)
    if length >= 4:
        flip = _u64(_SECRET, 8) ^ _u64(_SECRET, 16)
        keyed = (_u32(data, length - 4) + (_u32(data, 0) << 32)) ^ flip
        keyed ^= _rotate(keyed, 49) ^ _rotate(keyed, 24)
        keyed = keyed * _PRIME_MX2 & _M64
        keyed ^= (keyed >> 35) + length
        keyed = keyed * _PRIME_MX2 & _M64
        return keyed ^ (keyed >> 28)
    if length:
        combined = data[0] << 16 | data[length >> 1] << 24 | data[-1] | length << 8
        return _avalanche_64(combined ^ _u32(_SECRET, 0) ^ _u32(_SECRET, 4))
    return _avalanche_64(_u64(_SECRET, 56) ^ _u64(_SECRET, 64))


def _mix_16(data: bytes, at: int, secret_at: int) -> int:
    return _fold(
        _u64(data, at) ^ _u64(_SECRET, secret_at),
        _u64(data, at + 8) ^ _u64(_SECRET, secret_at + 8),
    )


def _up_to_128(data: bytes, length: int) -> int:
    total = length * _P64_1
    for step in range((length - 1) // 32, -1, -1):
        total += _mix_16(data, 16 * step, 32 * step)
        total += _mix_16(data, length - 16 * (step + 1), 32 * step + 16)
    return _avalanche(total & _M64)


def _up_to_240(data: bytes, length: int) -> int:
    total = length * _P64_1
    for step in range(8):
        total += _mix_16(data, 16 * step, 16 * step)
    total = _avalanche(total & _M64)
    for step in range(8, length // 16):
        total += _mix_16(data, 16 * step, 16 * (step - 8) + 3)
    total += _mix_16(data, length - 16, 136 - 17)
    return _avalanche(total & _M64)


_EIGHT_LONGS = struct.Struct("<8Q")
_STRIPES_PER_BLOCK = (192 - 64) // 8
_STRIPE_SECRETS = tuple(_EIGHT_LONGS.unpack_from(_SECRET, 8 * i) for i in range(_STRIPES_PER_BLOCK))


def _accumulate(lanes: list[int], stripe: tuple[int, ...], secret: tuple[int, ...]) -> None:
    for lane in range(8):
        value = stripe[lane]
        keyed = value ^ secret[lane]
        lanes[lane ^ 1] += value
        lanes[lane] += (keyed & _M32) * (keyed >> 32)


def _long(data: bytes, length: int) -> int:
    lanes = [_P32_3, _P64_1, _P64_2, _P64_3, _P64_4, _P32_2, _P64_5, _P32_1]
    unpack = _EIGHT_LONGS.unpack_from
    stripes = (length - 1) // 64
    scramble = _EIGHT_LONGS.unpack_from(_SECRET, 192 - 64)
    for index in range(stripes):
        in_block = index % _STRIPES_PER_BLOCK
        _accumulate(lanes, unpack(data, 64 * index), _STRIPE_SECRETS[in_block])
        if in_block == _STRIPES_PER_BLOCK - 1:
            for lane in range(8):
                value = lanes[lane] & _M64
                value ^= value >> 47
                lanes[lane] = (value ^ scramble[lane]) * _P32_1 & _M64
    last_secret = _EIGHT_LONGS.unpack_from(_SECRET, 192 - 64 - 7)
    _accumulate(lanes, unpack(data, length - 64), last_secret)
    lanes = [lane & _M64 for lane in lanes]
    total = length * _P64_1
    merge_secret = _EIGHT_LONGS.unpack_from(_SECRET, 11)
    for pair in range(0, 8, 2):
        total += _fold(lanes[pair] ^ merge_secret[pair], lanes[pair + 1] ^ merge_secret[pair + 1])
    return _avalanche(total & _M64)
