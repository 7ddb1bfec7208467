"""Time to live: state whose values carry the time of their last use, on top of any store.

A store that is asked for a state with a TTL keeps plain state of `stored_definition`, whose
values are (milliseconds, value) pairs, and hands out what `ttl_states.ttl_state` wraps around it.
The rules are Flink's (TtlStateFactory, AbstractTtlDecorator); only processing time counts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Any, final

from millpond.datastream.state import StateTtlConfig
from millpond.errors import SerializationError
from millpond.serialization.coder import Coder
from millpond.state.contract.definition import StateDefinition, StateKind

__all__ = (
    "TtlCoder",
    "TtlPolicy",
    "stored_definition",
    "unexpired",
)

_TIMESTAMP = struct.Struct(">q")


@final
class TtlCoder(Coder):
    """Encodes (milliseconds, value): eight bytes and the value's own.

    Attributes:
        value_coder: of the value alone.
    """

    __slots__ = ("_takes_none", "immutable", "pickled", "signature", "value_coder")

    def __init__(self, value_coder: Coder) -> None:
        self.value_coder = value_coder
        self.signature = f"TTL<{value_coder.signature}>"
        self.immutable = value_coder.immutable
        self.pickled = value_coder.pickled
        self._takes_none = value_coder.signature == "PICKLED"

    def encode(self, value: Any) -> bytes:
        """Return the bytes of a pair; of None, unless it is pickled, the timestamp alone."""
        timestamp, user_value = value
        if user_value is None and not self._takes_none:
            return _TIMESTAMP.pack(timestamp)
        return _TIMESTAMP.pack(timestamp) + self.value_coder.encode(user_value)

    def decode_from(self, data: bytes, offset: int) -> tuple[Any, int]:
        """Return the pair at `offset`."""
        if offset + 8 > len(data):
            raise SerializationError("The bytes end inside a TTL timestamp.", offset=offset)
        (timestamp,) = _TIMESTAMP.unpack_from(data, offset)
        if offset + 8 == len(data):
            return (timestamp, None), offset + 8
        value, end = self.value_coder.decode_from(data, offset + 8)
        return (timestamp, value), end

    def copy(self, value: Any) -> Any:
        """Return an independent copy of a pair."""
        if self.immutable or value[1] is None:
            return value
        return value[0], self.value_coder.copy(value[1])


@dataclass(frozen=True, slots=True)
class TtlPolicy:
    """A `StateTtlConfig` in the numbers that a store needs.

    `refresh_on_read`: reads count as use. `return_expired`: what expired is returned once more
    if it is still there. `cleanup_size`: entries that incremental clean-up visits each time, 0 if
    there is none in the background. `filter_snapshots`: full snapshots leave expired entries out.
    """

    ttl_ms: int
    refresh_on_read: bool
    return_expired: bool
    cleanup_size: int
    filter_snapshots: bool

    @classmethod
    def of(cls, config: StateTtlConfig) -> TtlPolicy:
        """Read a configuration."""
        cleanup = config.get_cleanup_strategies()
        incremental = cleanup.get_incremental_cleanup_strategy()
        return cls(
            ttl_ms=config.ttl_ms,
            refresh_on_read=(config.get_update_type() == StateTtlConfig.UpdateType.OnReadAndWrite),
            return_expired=(
                config.get_state_visibility()
                == StateTtlConfig.StateVisibility.ReturnExpiredIfNotCleanedUp
            ),
            cleanup_size=0 if incremental is None else incremental.get_cleanup_size(),
            filter_snapshots=cleanup.in_full_snapshot(),
        )


def stored_definition(definition: StateDefinition) -> StateDefinition:
    """Return the definition, without TTL, of the state that holds a TTL state's entries.

    Reducing and aggregating states become value states: the wrapper calls their function.
    """
    kind = definition.kind
    if kind in {StateKind.REDUCING, StateKind.AGGREGATING}:
        kind = StateKind.VALUE
    return replace(
        definition,
        kind=kind,
        value_coder=TtlCoder(definition.value_coder),
        reduce=None,
        aggregate=None,
        ttl=None,
    )


def unexpired(kind: StateKind, entry: Any, not_after_ms: int) -> Any:
    """Return what of a stored entry was used after a time: now less the TTL.

    Returns the same object if that is everything, a new one if it is a part, None if nothing is
    left. `entry` is a pair, a list of pairs or a dictionary of pairs; it is not changed.
    """
    if kind == StateKind.LIST:
        elements = [pair for pair in entry if pair[0] > not_after_ms]
        return entry if len(elements) == len(entry) else elements or None
    if kind == StateKind.MAP:
        entries = {key: pair for key, pair in entry.items() if pair[0] > not_after_ms}
        return entry if len(entries) == len(entry) else entries or None
    return entry if entry[0] > not_after_ms else None
