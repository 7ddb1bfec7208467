from __future__ import annotations

import pytest

from millpond.common.typeinfo import Types
from millpond.errors import SerializationError
from millpond.serialization.coders import coder_for
from millpond.state.contract.declared_type import admit, fits


@pytest.mark.parametrize(
    ("declared", "right", "wrong"),
    [
        (Types.LONG(), [0, -(1 << 63), (1 << 63) - 1], [1 << 63, "x", 1.5, None]),
        (Types.INT(), [(1 << 31) - 1], [1 << 31, -(1 << 31) - 1]),
        (Types.SHORT(), [-(1 << 15)], [1 << 15]),
        (Types.BYTE(), [127], [128]),
        (Types.BOOLEAN(), [True, False], ["x", None]),
        (Types.DOUBLE(), [1.5, float("nan")], ["x", None]),
        (Types.STRING(), ["", "grüße", "😀"], ["\ud800", 5, b"x"]),
        (Types.TUPLE([Types.LONG(), Types.STRING()]), [(1, "a")], [("a", 1), (1,), 5]),
        (Types.LIST(Types.LONG()), [[1, 2], []], [["a"], 5]),
    ],
)
def test_the_check_says_what_the_coder_does(declared, right, wrong):
    check = fits(coder_for(declared))
    assert all(check(value) for value in right)
    assert not any(check(value) for value in wrong)


def test_anything_fits_a_pickled_state():
    assert fits(coder_for(None)) is None


def test_the_error_says_what_and_where():
    with pytest.raises(SerializationError) as caught:
        admit(coder_for(Types.LONG()), "text", state="s", operator="o", key="k", part="map value")
    error = caught.value
    assert error.context == {"state": "s", "operator": "o", "key": "'k'"}
    assert "map value of type str does not fit the declared type LONG" in error.message


def test_a_key_with_a_broken_repr_does_not_hide_the_error():
    class Broken:
        def __repr__(self):
            raise ValueError("no text")

    with pytest.raises(SerializationError, match="Broken whose repr raised ValueError"):
        admit(coder_for(Types.LONG()), "text", state="s", operator="o", key=Broken())
