from __future__ import annotations

import pytest

from millpond.common.typeinfo import Types
from millpond.state_processor.type_text import parse_type, parse_types

TYPES = [
    Types.STRING(),
    Types.LONG(),
    Types.PICKLED_BYTE_ARRAY(),
    Types.BIG_DEC(),
    Types.INSTANT(),
    Types.ROW([Types.STRING(), Types.LONG()]),
    Types.ROW_NAMED(['a "b", <c>', "city"], [Types.STRING(), Types.LIST(Types.INT())]),
    Types.TUPLE([Types.STRING(), Types.MAP(Types.LONG(), Types.TUPLE([Types.INT()]))]),
    Types.PRIMITIVE_ARRAY(Types.BYTE()),
    Types.BASIC_ARRAY(Types.LONG()),
    Types.OBJECT_ARRAY(Types.STRING()),
]


@pytest.mark.parametrize("type_info", TYPES, ids=lambda type_info: type_info.signature)
def test_a_signature_is_read_back(type_info):
    parsed = parse_type(type_info.signature)
    assert parsed == type_info
    assert type(parsed) is type(type_info)


def test_types_of_a_map_state():
    assert parse_types("STRING, MAP<LONG, INT>") == (
        Types.STRING(),
        Types.MAP(Types.LONG(), Types.INT()),
    )


@pytest.mark.parametrize(
    "text",
    ["", "TEXT", "MAP<STRING>", "LIST<STRING", "LONG>", "ROW<a: >", "LONG,", "ROW<>", "LIST<" * 99],
)
def test_what_names_no_type(text):
    assert parse_types(text) is None
