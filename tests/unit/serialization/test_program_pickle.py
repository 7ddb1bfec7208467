from __future__ import annotations

import dataclasses
import pickle
import sys
import threading
import traceback
from typing import NamedTuple, TypedDict

import cloudpickle
import msgspec
import pytest

from millpond.common.typeinfo import Types
from millpond.errors import SerializationError
from millpond.serialization.coders import coder_for
from millpond.serialization.program_pickle import pickle_program


def test_code_keeps_its_file_and_lines():
    def broken(value):
        inner = lambda: 1 // value  # noqa: E731
        return inner()

    copy = pickle.loads(pickle_program(broken))
    assert copy is not broken
    with pytest.raises(ZeroDivisionError) as caught:
        copy(0)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert [frame.filename for frame in frames] == [__file__] * 3
    assert frames[-1].line == "inner = lambda: 1 // value  # noqa: E731"


def test_classes_of_a_program_are_copied_with_their_methods():
    class Function:
        def call(self):
            return [self.factor * number for number in range(3)]

    function = Function()
    function.factor = 2
    copy = pickle.loads(pickle_program(function))
    assert copy.call() == [0, 2, 4]
    assert type(copy).call.__code__.co_filename == __file__


def test_what_cannot_be_pickled_raises_as_pickle_does():
    lock = threading.Lock()
    with pytest.raises(TypeError, match="lock"):
        pickle_program(lambda: lock)


def test_a_field_without_default_has_none_in_the_copy():
    @dataclasses.dataclass
    class Record:
        name: str
        needed: int

    copy = pickle.loads(pickle_program(Record))
    assert dataclasses.fields(copy)[1].default is dataclasses.MISSING
    coder = coder_for(Types.TYPED(copy))
    short = b"\x00\x00\x00\x08\x81\xa4name\xa1n"
    with pytest.raises(SerializationError, match="needed"):
        coder.decode_from(short[:3] + bytes([len(short) - 4]) + short[4:], 0)


class Point(NamedTuple):
    x: int


class Place(TypedDict):
    x: int


class Spot(msgspec.Struct):
    x: int


@dataclasses.dataclass
class Pair:
    x: int


@pytest.mark.parametrize(
    ("record_class", "value"),
    [(Point, Point(1)), (Place, {"x": 1}), (Spot, Spot(1)), (Pair, Pair(1))],
    ids=["NamedTuple", "TypedDict", "Struct", "dataclass"],
)
def test_record_classes_are_copied_after_a_coder_was_made_for_them(record_class, value):
    # As the classes of a program that is run a second time, or of a notebook.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        assert coder_for(Types.TYPED(record_class)).encode(value)
        pickled = pickle_program(record_class)
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    # By value, or nothing would have been tried.
    assert b"_make_skeleton_class" in pickled or b"_builtin_type" in pickled
    assert coder_for(Types.TYPED(record_class)).encode(value)
