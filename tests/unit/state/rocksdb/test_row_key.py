from __future__ import annotations

import struct
from typing import Any

import pytest

from millpond.common import Types
from millpond.errors import FormatError, KeyGroupOutOfRangeError, SerializationError
from millpond.serialization.coders import coder_for
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.rocksdb.map_key import map_key_decoder, map_key_encoder
from millpond.state.rocksdb.row_codec import RowCodec
from millpond.state.rocksdb.row_key import composite_key_of

NUMBERS = (0, 1, 7, -1, 1 << 30, (1 << 31) - 63, (1 << 31) - 1, -(1 << 31))
LONGS = (*NUMBERS, 1 << 31, (1 << 32) + 5, (1 << 63) - 1, -(1 << 63))


def _refuse(key: Any) -> bytes:
    raise KeyGroupOutOfRangeError("not here", key=key)


def _prefixes(groups: range, max_parallelism: int) -> dict[int, bytes]:
    length = 1 if max_parallelism <= 128 else 2
    return {group: group.to_bytes(length, "big") for group in groups}


@pytest.mark.parametrize("max_parallelism", [1, 100, 128, 129, 32768])
@pytest.mark.parametrize(
    ("type_info", "keys"),
    [
        (Types.INT(), NUMBERS),
        (Types.LONG(), (*LONGS, True, False)),
        (Types.SHORT(), (0, 5, -5, 32767)),
        (Types.STRING(), ("", "a", "é", "x" * 300)),
        (Types.TUPLE([Types.INT(), Types.STRING()]), ((1, "a"), (-1, ""))),
    ],
)
def test_numbers_have_the_bytes_that_other_keys_have(
    type_info: Any, keys: tuple[Any, ...], max_parallelism: int
) -> None:
    serializer = key_serializer_for(type_info)
    prefixes = _prefixes(range(max_parallelism), max_parallelism)
    composite_key = composite_key_of(serializer, max_parallelism, prefixes, _refuse)
    for key in keys:
        group = serializer.key_group(key, max_parallelism)
        assert composite_key(key) == prefixes[group] + serializer.encode(key) + b"\0"


def test_keys_of_other_subtasks_and_types_are_refused() -> None:
    serializer = key_serializer_for(Types.INT())
    owned = _prefixes(range(64), 128)
    composite_key = composite_key_of(serializer, 128, owned, _refuse)
    for key in range(1000):
        if serializer.key_group(key, 128) in owned:
            assert composite_key(key)[1:] == struct.pack(">xix", key)
        else:
            with pytest.raises(KeyGroupOutOfRangeError):
                composite_key(key)
    for unfit in ("a", 1.5, 1 << 31, None):
        with pytest.raises(SerializationError):
            composite_key(unfit)


@pytest.mark.parametrize(
    ("type_info", "values"),
    [
        (Types.BYTE(), (0, -128, 127)),
        (Types.INT(), NUMBERS),
        (Types.LONG(), LONGS),
        (Types.FLOAT(), (0.0, -1.5, float("inf"))),
        (Types.DOUBLE(), (0.0, 1e300, -0.1)),
        (Types.STRING(), ("", "text")),
    ],
)
def test_numbers_are_packed_as_the_coder_encodes_them(
    type_info: Any, values: tuple[Any, ...]
) -> None:
    coder = coder_for(type_info)
    codec = RowCodec(coder)
    for value in values:
        data = coder.encode(value)
        row = len(data).to_bytes(4, "big") + data
        assert codec.encode(value) == codec.encode_many([value])[0] == row
        assert codec.encode_map_value(value) == b"\0" + row
        assert codec.decode(row) == codec.decode_map_value(b"\0" + row) == value
    assert codec.decode_map_value(codec.encode_map_value(None)) is None


@pytest.mark.parametrize("type_info", [Types.LONG(), Types.DOUBLE(), Types.STRING()])
def test_damaged_rows_of_numbers_are_refused(type_info: Any) -> None:
    codec = RowCodec(coder_for(type_info))
    row = codec.encode("12345678" if type_info == Types.STRING() else 7)
    damaged = (b"", row[:-1], row + b"\0", row[:3] + b"\7" + row[4:], b"\xff" + row[1:])
    for bad in damaged:
        with pytest.raises((FormatError, SerializationError)):
            codec.decode(bad)
        with pytest.raises((FormatError, SerializationError)):
            codec.decode_map_value(b"\0" + bad)
    for flag in (b"\2", b"\xff"):
        with pytest.raises(FormatError, match="null flag"):
            codec.decode_map_value(flag + row)


def test_a_number_that_does_not_fit_is_named() -> None:
    codec = RowCodec(coder_for(Types.INT()))
    for unfit in ("a", 1 << 31, 1.5):
        with pytest.raises(SerializationError, match="INT"):
            codec.encode_map_value(unfit)
    # `ValueRows` encodes one by one for the error that names the key.
    with pytest.raises(struct.error):
        codec.encode_many([1, "a"])


@pytest.mark.parametrize(
    ("type_info", "keys"),
    [
        (Types.INT(), NUMBERS),
        (Types.LONG(), LONGS),
        (Types.DOUBLE(), (0.0, -1.5)),
        (Types.STRING(), ("", "a", "é")),
        (Types.PICKLED_BYTE_ARRAY(), (1, "a", (1, 2))),
    ],
)
def test_map_keys_have_their_length_before_them(type_info: Any, keys: tuple[Any, ...]) -> None:
    coder = coder_for(type_info)
    encode, decode = map_key_encoder(coder), map_key_decoder(coder)
    for key in keys:
        data = coder.encode(key)
        assert encode(key) == len(data).to_bytes(4, "big") + data
        assert decode(b"prefix" + encode(key), 6) == key
        for bad in (b"", encode(key)[:-1], encode(key) + b"\0", b"\7" + encode(key)[1:]):
            with pytest.raises((FormatError, SerializationError, struct.error)):
                decode(b"prefix" + bad, 6)


def test_a_map_key_that_does_not_fit_is_named() -> None:
    encode = map_key_encoder(coder_for(Types.INT()))
    for unfit in ("a", 1 << 31, None):
        with pytest.raises(SerializationError, match="INT"):
            encode(unfit)
