"""`StateDefinition`: what a store must know of a state; made from a descriptor."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millpond.datastream.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.errors import StateTypeError
from millpond.serialization.coders import coder_for
from millpond.state.contract.namespace import VOID, NamespaceSerializer

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.datastream.functions import AggregateFunction
    from millpond.serialization.coder import Coder

__all__ = ("StateDefinition", "StateKind")


class StateKind(enum.StrEnum):
    """The kinds of keyed state."""

    VALUE = "VALUE"
    LIST = "LIST"
    MAP = "MAP"
    REDUCING = "REDUCING"
    AGGREGATING = "AGGREGATING"


@dataclass(frozen=True, slots=True)
class StateDefinition:
    """One named keyed state.

    `value_coder` is for the value, list element, map value, reduced value or accumulator;
    `map_key_coder` only for maps. `reduce` is ReducingState's function (two values to one),
    `aggregate` AggregatingState's.
    """

    name: str
    kind: StateKind
    value_coder: Coder
    map_key_coder: Coder | None = None
    reduce: Callable[[Any, Any], Any] | None = None
    aggregate: AggregateFunction | None = None
    namespace: NamespaceSerializer = VOID
    ttl: StateTtlConfig | None = None

    @property
    def signature(self) -> str:
        """Kind and types as text: ``MAP<STRING, LONG>``; recorded in snapshots."""
        types = [c.signature for c in (self.map_key_coder, self.value_coder) if c is not None]
        suffix = " WITH TTL" if self.ttl is not None else ""
        return f"{self.kind}<{', '.join(types)}>{suffix}"

    @classmethod
    def of(
        cls, descriptor: StateDescriptor, namespace: NamespaceSerializer = VOID
    ) -> StateDefinition:
        """Make the definition that a user's descriptor asks for.

        Raises:
            StateTypeError: the descriptor is of no known kind.
        """
        name = descriptor.get_name()
        ttl = descriptor.ttl_config
        if ttl is not None and not ttl.is_enabled():
            ttl = None
        coder = coder_for(descriptor.type_info)
        if isinstance(descriptor, MapStateDescriptor):
            key_coder = coder_for(descriptor.key_type_info)
            return cls(name, StateKind.MAP, coder, key_coder, namespace=namespace, ttl=ttl)
        if isinstance(descriptor, ReducingStateDescriptor):
            reduce = descriptor.get_reduce_function().reduce
            return cls(name, StateKind.REDUCING, coder, reduce=reduce, namespace=namespace, ttl=ttl)
        if isinstance(descriptor, AggregatingStateDescriptor):
            aggregate = descriptor.get_agg_function()
            return cls(
                name,
                StateKind.AGGREGATING,
                coder,
                aggregate=aggregate,
                namespace=namespace,
                ttl=ttl,
            )
        if isinstance(descriptor, ListStateDescriptor):
            return cls(name, StateKind.LIST, coder, namespace=namespace, ttl=ttl)
        if isinstance(descriptor, ValueStateDescriptor):
            return cls(name, StateKind.VALUE, coder, namespace=namespace, ttl=ttl)
        raise StateTypeError(
            f"{type(descriptor).__name__} is no descriptor of keyed state.", state=name
        )
