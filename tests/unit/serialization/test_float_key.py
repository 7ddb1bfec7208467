"""Which floats are one key."""

from __future__ import annotations

import copy
import math
import pickle
import struct
from dataclasses import dataclass

import pytest

from millpond.common import Row, Types
from millpond.errors import SerializationError
from millpond.serialization.coders import coder_for
from millpond.serialization.float_key import float_key, float_keys
from millpond.serialization.key_batch import key_batch_form
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state_processor.dump import json_text
from millpond.state_processor.rendering import as_json

OTHER_NAN = struct.unpack(">d", bytes.fromhex("fff8000000000001"))[0]


def distinct(keys):
    return len(dict.fromkeys(map(float_key, keys)))


def test_nan_is_one_key_and_the_zeros_are_two():
    assert distinct([math.nan, float("nan"), OTHER_NAN, math.inf - math.inf]) == 1
    assert distinct([0.0, -0.0, -0.0, 0.0]) == 2
    assert distinct([1.0, -1.0, 5e-324, -5e-324, math.inf, -math.inf]) == 6


def test_minus_zero_is_a_number_like_any_other():
    key = float_key(-0.0)
    assert isinstance(key, float)
    assert key == 0.0 == key
    assert not key < 0
    assert not key
    assert (repr(key), str(key), f"{key:.1f}") == ("-0.0", "-0.0", "-0.0")
    assert math.copysign(1, key) == -1
    assert copy.copy(key) is copy.deepcopy((key,))[0] is key
    back = pickle.loads(pickle.dumps(key))
    assert type(back) is float
    assert repr(back) == "-0.0"
    assert {key: 1}.get(-0.0) is None
    assert {key: 1}[float_key(-0.0)] == 1


@pytest.mark.parametrize(
    "keys",
    [[], [1.5], [1.5, 0.0], [1.5, -0.0], [1.5, math.nan], [math.inf, -math.inf], [1e308] * 3],
)
def test_lists_are_as_key_by_key(keys):
    one_by_one = [float_key(key) for key in keys]
    assert [id(a) if a != a else a for a in float_keys(list(keys))] == [
        id(a) if a != a else a for a in one_by_one
    ]
    assert list(map(hash, float_keys(list(keys)))) == list(map(hash, one_by_one))


@pytest.mark.parametrize("kind", [Types.FLOAT(), Types.DOUBLE()])
@pytest.mark.parametrize("around", ["plain", "tuple", "row", "row in a tuple"])
def test_routed_and_restored_keys_are_the_same(kind, around):
    key_type, wrap = {
        "plain": (kind, lambda key: key),
        "tuple": (Types.TUPLE([kind, Types.INT()]), lambda key: (key, 1)),
        "row": (Types.ROW([kind]), Row),
        "row in a tuple": (Types.TUPLE([Types.ROW([kind])]), lambda key: (Row(key),)),
    }[around]
    serializer = key_serializer_for(key_type)
    form = key_batch_form(key_type)
    keys = [0.0, -0.0, math.nan, float("nan"), OTHER_NAN, -0.0, 0.0]
    routed = form([wrap(key) for key in keys])
    restored = [serializer.decode(serializer.encode(wrap(key))) for key in keys]
    assert list(map(hash, routed)) == list(map(hash, restored))
    for ways in (routed, restored, routed + restored):
        assert len(dict.fromkeys(ways)) == 3
    # What is written is what Java writes: one NaN, and each zero by its sign.
    assert len({serializer.encode(key) for key in routed}) == 3
    assert len({serializer.key_group(key, 128) for key in dict.fromkeys(routed)}) == 3


@dataclass
class Seen:
    key: float


def test_minus_zero_is_written_in_records_and_dumps():
    key = float_key(-0.0)
    coder = coder_for(Types.TYPED(Seen))
    value, _ = coder.decode_from(coder.encode(Seen(key)), 0)
    assert (type(value.key), math.copysign(1, value.key)) == (float, -1)
    assert json_text({"key": as_json(key)}) == '{"key":-0.0}'
    with pytest.raises(SerializationError, match="complex is unsupported"):
        coder.encode(Seen(1j))
