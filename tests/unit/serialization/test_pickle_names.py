"""Rows in pickles have PyFlink's names, and only those are translated back."""

from __future__ import annotations

import pickle
import pickletools

import pytest

from millpond.common.typeinfo import Types
from millpond.common.types import Row, RowKind
from millpond.errors import SerializationError
from millpond.serialization.coders import coder_for
from millpond.serialization.pickle_names import load_pickle, with_pyflink_names

VALUES = [
    Row(1, "a"),
    Row(name="x", n=None),
    Row.of_kind(RowKind.DELETE, 1),
    [Row(1), {"k": Row(a=Row(2))}, "millpond.common.types", RowKind.INSERT],
    ("x" * 100_000, Row(1), b"y" * 200_000, Row(2)),
    (Row(1), Row, RowKind.UPDATE_AFTER, "_create_row"),
]


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_rows_survive_under_pyflinks_names(value, protocol):
    renamed = with_pyflink_names(pickle.dumps(value, protocol))
    # A valid pickle, frames included, whose classes are named as PyFlink names them.
    names = [
        argument for opcode, argument, _ in pickletools.genops(renamed) if isinstance(argument, str)
    ]
    assert "pyflink.common.types" in names
    assert load_pickle(renamed) == value


def test_texts_and_bytes_that_look_like_names_stay():
    value = ["millpond.common.types", "Row", pickle.dumps(Row(1), 4), "_create_row"]
    pickled = pickle.dumps(value, 4)
    assert with_pyflink_names(pickled) == pickled
    assert load_pickle(pickled) == value


def test_bytes_that_hold_a_pickled_row_stay_beside_a_row():
    value = [pickle.dumps(Row(1), 4), Row(2)]
    assert load_pickle(with_pyflink_names(pickle.dumps(value, 4))) == value


def test_rows_that_pyflink_pickled_are_read():
    # pickle.dumps of the list below, 4, by PyFlink 1.20.5
    data = bytes.fromhex(
        "80049576000000000000005d94288c147079666c696e6b2e636f6d6d6f6e2e7479706573948c0b5f637265617465"
        "5f726f779493945d94288c046e616d65948c016e94658c0172944b01869468018c07526f774b696e649493944b00"
        "859452948794529468034e4e4740040000000000008694680a4b038594529487945294652e"
    )
    rows = [Row(name="r", n=1), Row.of_kind(RowKind.DELETE, None, 2.5)]
    assert load_pickle(data) == rows
    # And the very same bytes are written, so that pickled keys meet in one key group.
    assert with_pyflink_names(pickle.dumps(rows, 4)) == data


def test_damaged_pickles_of_rows_are_named_errors():
    coder = coder_for(Types.PICKLED_BYTE_ARRAY())
    encoded = coder.encode(Row(a=1))[4:-3]
    with pytest.raises(SerializationError):
        coder.decode_from(len(encoded).to_bytes(4, "big") + encoded, 0)


def test_the_coder_translates_both_ways():
    coder = coder_for(Types.PICKLED_BYTE_ARRAY())
    encoded = coder.encode({"row": Row(a=1)})
    assert b"pyflink.common.types" in encoded
    assert b"millpond" not in encoded
    assert coder.decode_from(encoded, 0)[0] == {"row": Row(a=1)}


def test_other_names_of_pyflink_are_not_translated():
    pickled = b"\x80\x04\x8c\x14pyflink.common.types\x8c\x06Exotic\x93."
    with pytest.raises(ModuleNotFoundError):
        load_pickle(pickled)
