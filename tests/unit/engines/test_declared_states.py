"""What counts as a change of a state's bytes, and what does not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from millpond.common import Time, Types
from millpond.datastream.state import ListStateDescriptor, StateTtlConfig
from millpond.engines.declared_states import _changes_bytes
from millpond.formats.pyflink_values import encode_chunks, encode_ttl_chunks
from millpond.serialization.coders import coder_for
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.namespace import VOID, VOID_NAMESPACE

KEYS = key_serializer_for(Types.LONG())
PARAMETERS = SimpleNamespace(max_parallelism=128, key_serializer=KEYS)
ROW_KEY = b"\0" + KEYS.encode(1) + VOID.encode(VOID_NAMESPACE)
ONE, TWO = map(coder_for(Types.LONG()).encode, (1, 2))


def changes(value, element_type, *, ttl=False):
    descriptor = ListStateDescriptor("list", element_type)
    if ttl:
        descriptor.enable_time_to_live(StateTtlConfig.new_builder(Time.hours(1)).build())
    sample = SimpleNamespace(all_rows=lambda: [(ROW_KEY, value)])
    return _changes_bytes(sample, StateDefinition.of(descriptor, VOID), PARAMETERS)


@pytest.mark.parametrize("chunks", [[ONE, TWO], [ONE + TWO]])
def test_how_elements_are_grouped_is_no_change(chunks):
    assert not changes(encode_chunks(chunks), Types.LONG())
    timed = encode_ttl_chunks([(5, chunk) for chunk in chunks] + [(6, ONE)])
    assert not changes(timed, Types.LONG(), ttl=True)


def test_other_bytes_of_an_element_are_a_change():
    # True is 1 in any byte but 0, and is written as 1.
    assert changes(encode_chunks([b"\1", b"\2"]), Types.BOOLEAN())
    assert not changes(encode_chunks([b"\1", b"\0"]), Types.BOOLEAN())
