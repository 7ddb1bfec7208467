"""`refuse_pickled_state`: the rule of ``pipeline.generic-types: false`` for one state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.datastream.state import MapStateDescriptor
from millpond.errors import InvalidProgramError
from millpond.serialization.coders import coder_for

if TYPE_CHECKING:
    from millpond.datastream.state import StateDescriptor

__all__ = ("refuse_pickled_state",)


def refuse_pickled_state(descriptor: StateDescriptor, operator: str) -> None:
    """Check that a state's values, and a map's keys, have types that need no pickle.

    Raises:
        InvalidProgramError: they have not (as Flink's GenericTypeInfo does).
    """
    types = [descriptor.type_info]
    if isinstance(descriptor, MapStateDescriptor):
        types.append(descriptor.key_type_info)
    for type_info in types:
        coder = coder_for(type_info)
        if coder.pickled:
            raise InvalidProgramError(
                f"Values of type {coder.signature} would be pickled, which "
                "pipeline.generic-types: false forbids.",
                hint="Declare a type of millpond.common.Types, or a dataclass or the like.",
                state=descriptor.get_name(),
                operator=operator,
            )
