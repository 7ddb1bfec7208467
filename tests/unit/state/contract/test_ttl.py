from __future__ import annotations

import pytest

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.state import (
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.errors import SerializationError
from millpond.serialization.coders import coder_for
from millpond.state.contract.definition import StateDefinition, StateKind
from millpond.state.contract.ttl import TtlCoder, TtlPolicy, stored_definition, unexpired


def test_pairs_are_eight_bytes_and_the_value():
    coder = TtlCoder(coder_for(Types.LONG()))
    assert coder.signature == "TTL<LONG>"
    data = coder.encode((1000, 5))
    assert data == (1000).to_bytes(8, "big") + (5).to_bytes(8, "big")
    assert coder.decode_from(b"x" + data, 1) == ((1000, 5), 17)
    assert coder.decode(coder.encode((7, None))) == (7, None)
    assert coder.copy((1, 2)) == (1, 2)
    with pytest.raises(SerializationError, match="timestamp"):
        coder.decode(b"\0\0")
    with pytest.raises(SerializationError):
        coder.encode((1, "text"))


def test_copies_of_mutable_values_are_independent():
    coder = TtlCoder(coder_for(None))
    pair = (1, [1])
    copied = coder.copy(pair)
    copied[1].append(2)
    assert pair == (1, [1])


def test_policy():
    config = (
        StateTtlConfig.new_builder(Time.seconds(2))
        .update_ttl_on_read_and_write()
        .return_expired_if_not_cleaned_up()
        .cleanup_full_snapshot()
        .cleanup_incrementally(17, False)
        .build()
    )
    assert TtlPolicy.of(config) == TtlPolicy(2000, True, True, 17, True)
    default = StateTtlConfig.new_builder(Time.milliseconds(5)).build()
    assert TtlPolicy.of(default) == TtlPolicy(5, False, False, 5, False)
    off = StateTtlConfig.new_builder(Time.milliseconds(5)).disable_cleanup_in_background().build()
    assert TtlPolicy.of(off).cleanup_size == 0


def test_stored_definitions():
    config = StateTtlConfig.new_builder(Time.seconds(2)).build()
    reducing = ReducingStateDescriptor("r", lambda a, b: a, Types.LONG())
    reducing.enable_time_to_live(config)
    definition = StateDefinition.of(reducing)
    assert definition.signature == "REDUCING<LONG> WITH TTL"
    stored = stored_definition(definition)
    assert (stored.kind, stored.signature) == (StateKind.VALUE, "VALUE<TTL<LONG>>")
    entries = MapStateDescriptor("m", Types.STRING(), Types.LONG())
    entries.enable_time_to_live(config)
    assert stored_definition(StateDefinition.of(entries)).signature == "MAP<STRING, TTL<LONG>>"
    assert StateDefinition.of(ValueStateDescriptor("v", Types.LONG())).signature == "VALUE<LONG>"


def test_unexpired():
    assert unexpired(StateKind.VALUE, (10, "v"), 9) == (10, "v")
    assert unexpired(StateKind.REDUCING, (10, "v"), 10) is None
    elements = [(10, "a"), (11, "b")]
    assert unexpired(StateKind.LIST, elements, 9) is elements
    assert unexpired(StateKind.LIST, elements, 10) == [(11, "b")]
    assert unexpired(StateKind.LIST, elements, 11) is None
    entries = {1: (10, "a"), 2: (11, "b")}
    assert unexpired(StateKind.MAP, entries, 9) is entries
    assert unexpired(StateKind.MAP, entries, 10) == {2: (11, "b")}
    assert unexpired(StateKind.MAP, entries, 11) is None
