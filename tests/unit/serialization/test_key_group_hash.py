from __future__ import annotations

import random
import struct

import mmh3
import pytest

from millpond.common.typeinfo import Types
from millpond.errors import SerializationError
from millpond.serialization.key_group_hash import key_groups_of_hashes
from millpond.serialization.key_serializer import key_serializer_for

EDGES = [0, 1, 62, (1 << 31) - 1, 1 << 31, (1 << 32) - 63, (1 << 32) - 62, (1 << 32) - 1]


@pytest.mark.parametrize("count", [0, 1, 7, 2047, 2048, 2049, 5000])
@pytest.mark.parametrize("max_parallelism", [1, 2, 3, 100, 128, 200, 256, 4096, 32768])
def test_key_groups_are_those_of_one_hash_after_the_other(count, max_parallelism):
    dice = random.Random(count)
    hashes = [*EDGES, *(dice.getrandbits(32) for _ in range(count))][:count]
    packed = struct.pack(f"<{count}Q", *hashes)
    for added in (0, 31, 62):
        mixed = [mmh3.hash(struct.pack("<I", h + added & 0xFFFFFFFF), 0) for h in hashes]
        expected = [(abs(value) & 0x7FFFFFFF) % max_parallelism for value in mixed]
        assert key_groups_of_hashes(packed, added, max_parallelism) == expected


def test_the_smallest_int_counts_as_zero():
    # The hash code whose murmur is -2**31, which has no opposite.
    (code,) = (h for h in _inverse_of_murmur(1 << 31))
    assert mmh3.hash(struct.pack("<I", code), 0) == -(1 << 31)
    for max_parallelism in (128, 200, 4096):
        assert key_groups_of_hashes(struct.pack("<Q", code), 0, max_parallelism) == [0]


def _inverse_of_murmur(mixed):
    mask = 0xFFFFFFFF

    def unxor(value, shift):
        found = value
        for _ in range(32 // shift + 1):
            found = value ^ found >> shift
        return found

    value = unxor(mixed, 16)
    value = unxor(value * pow(0xC2B2AE35, -1, 1 << 32) & mask, 13)
    value = unxor(value * pow(0x85EBCA6B, -1, 1 << 32) & mask, 16) ^ 4
    value = (value - 0xE6546B64) * pow(5, -1, 1 << 32) & mask
    value = (value >> 13 | value << 19) & mask
    value = value * pow(0x1B873593, -1, 1 << 32) & mask
    value = (value >> 15 | value << 17) & mask
    yield value * pow(0xCC9E2D51, -1, 1 << 32) & mask


@pytest.mark.parametrize(
    ("type_info", "bits"),
    [(Types.BYTE(), 8), (Types.SHORT(), 16), (Types.INT(), 32), (Types.LONG(), 64)],
)
def test_many_integers(type_info, bits):
    dice = random.Random(bits)
    least, most = -(1 << bits - 1), (1 << bits - 1) - 1
    keys = [least, most, -1, 0, True, *(dice.randint(least, most) for _ in range(3000))]
    serializer = key_serializer_for(type_info)
    for max_parallelism in (1, 128, 300):
        expected = [serializer.key_group(key, max_parallelism) for key in keys]
        assert serializer.key_groups(keys, max_parallelism) == expected
    for wrong in (most + 1, least - 1, 1.0, "1", None):
        with pytest.raises(SerializationError):
            serializer.key_groups([*keys[:100], wrong], 128)


@pytest.mark.parametrize("type_info", [Types.STRING(), Types.DOUBLE(), Types.PICKLED_BYTE_ARRAY()])
def test_many_other_keys(type_info):
    of = {"STRING": str, "DOUBLE": float}.get(type_info.signature, lambda number: (number, "é"))
    keys = [of(number) for number in range(-50, 3000, 7)]
    serializer = key_serializer_for(type_info)
    expected = [serializer.key_group(key, 128) for key in keys]
    assert serializer.key_groups(keys, 128) == expected


@pytest.mark.parametrize("longest", [0, 1, 8, 9, 16, 63, 64, 65, 200])
@pytest.mark.parametrize("count", [1, 33, 1024, 1500])
def test_many_texts(longest, count):
    dice = random.Random(longest)
    alphabet = "abcXYZ09\0 ~\x7f"
    keys = ["".join(dice.choices(alphabet, k=dice.randint(0, longest))) for _ in range(count)]
    serializer = key_serializer_for(Types.STRING())
    for odd in ([], ["é" * longest], ["\U0001f600"], ["\ud800"]):
        texts = [*keys, *odd]
        expected = [serializer.key_group(key, 128) for key in texts]
        assert serializer.key_groups(texts, 128) == expected
        assert serializer.encode_many(texts) == [serializer.encode(key) for key in texts]


def test_a_text_that_is_none():
    serializer = key_serializer_for(Types.STRING())
    for wrong in (5, b"a", None):
        with pytest.raises(SerializationError):
            serializer.key_groups([*map(str, range(100)), wrong], 128)
        with pytest.raises(SerializationError):
            serializer.encode_many(["a", wrong])
