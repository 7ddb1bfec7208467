from __future__ import annotations

import pickle
import threading
import traceback

import pytest

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
