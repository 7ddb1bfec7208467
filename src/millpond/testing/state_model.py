"""`StateModel`: what a store of keyed state must hold, as plain dictionaries."""

from __future__ import annotations

import copy
from typing import Any, final

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.testing.keyed_state_cases import SumInPlace

__all__ = ("TTL_MS", "StateModel", "state_descriptors")

TTL_MS = 50


@final
class StateModel:
    """Entries by (state, key, namespace), and timers.

    Lists, maps and objects are plain ones; entries with TTL are kept with the time of their last
    write and looked at only if they have not expired.

    Attributes:
        entries: everything without TTL.
        expiring: (time of the last write, value), or a dictionary of them for maps.
        timers: (timestamp, key).
    """

    def __init__(self) -> None:
        self.entries: dict[tuple[str, int, Any], Any] = {}
        self.expiring: dict[tuple[str, int], Any] = {}
        self.timers: set[tuple[int, int]] = set()

    def copy(self) -> StateModel:
        """Return an independent copy."""
        return copy.deepcopy(self)

    def keys(self, state: str, namespace: Any) -> set[int]:
        """Return the keys that have a state without TTL in a namespace."""
        return {key for name, key, of in self.entries if name == state and of == namespace}

    def alive_value(self, state: str, key: int, now_ms: int) -> Any:
        """Return a value with TTL that has not expired, else None."""
        pair = self.expiring.get((state, key))
        return pair[1] if pair is not None and pair[0] + TTL_MS > now_ms else None

    def alive_map(self, state: str, key: int, now_ms: int) -> dict[Any, Any]:
        """Return the entries of a map with TTL that have not expired."""
        pairs = self.expiring.get((state, key), {})
        return {each: value for each, (time, value) in pairs.items() if time + TTL_MS > now_ms}

    def alive_list(self, state: str, key: int, now_ms: int) -> list[Any]:
        """Return the elements of a list with TTL that have not expired."""
        pairs = self.expiring.get((state, key), [])
        return [value for time, value in pairs if time + TTL_MS > now_ms]

    def alive_keys(self, state: str, now_ms: int) -> set[int]:
        """Return the keys that have something unexpired in a state with TTL."""
        keys = {key for name, key in self.expiring if name == state}
        if state.endswith("map"):
            return {key for key in keys if self.alive_map(state, key, now_ms)}
        if state.endswith("list"):
            return {key for key in keys if self.alive_list(state, key, now_ms)}
        return {key for key in keys if self.alive_value(state, key, now_ms) is not None}


def _expiring(descriptor: StateDescriptor) -> StateDescriptor:
    config = StateTtlConfig.new_builder(Time.milliseconds(TTL_MS)).cleanup_full_snapshot().build()
    descriptor.enable_time_to_live(config)
    return descriptor


def state_descriptors() -> dict[str, StateDescriptor]:
    """Return the states that the machine uses, by name."""
    return {
        "number": ValueStateDescriptor("number", Types.LONG()),
        "object": ValueStateDescriptor("object", None),
        "list": ListStateDescriptor("list", Types.LONG()),
        "map": MapStateDescriptor("map", Types.STRING(), Types.LONG()),
        "sum": ReducingStateDescriptor("sum", lambda a, b: a + b, Types.LONG()),
        "aggregate": AggregatingStateDescriptor("aggregate", SumInPlace(), None),
        "window list": ListStateDescriptor("window list", Types.PICKLED_BYTE_ARRAY()),
        "ttl value": _expiring(ValueStateDescriptor("ttl value", Types.LONG())),
        "ttl list": _expiring(ListStateDescriptor("ttl list", Types.LONG())),
        "ttl map": _expiring(MapStateDescriptor("ttl map", Types.STRING(), Types.LONG())),
    }
