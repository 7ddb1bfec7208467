"""State descriptors: name, type and TTL of a state, as the user declares it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.datastream._functions.record import AggregateFunction, ReduceFunction
from millpond.datastream._functions.wrapper import ReduceFunctionWrapper
from millpond.datastream._state.ttl import StateTtlConfig
from millpond.errors import StateTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.typeinfo import TypeInformation

__all__ = (
    "AggregatingStateDescriptor",
    "ListStateDescriptor",
    "MapStateDescriptor",
    "ReducingStateDescriptor",
    "StateDescriptor",
    "ValueStateDescriptor",
)


class StateDescriptor:
    """Declares a state.

    Attributes:
        name: its name, unique in its operator.
        type_info: type of the value, list element, map value, reduced value or accumulator; a
            dataclass or the like stands for its `Types.TYPED`, None for any value that pickles.
        ttl_config: how long entries live, or None for ever.

    Raises:
        StateTypeError: the name is empty or no text, or the type is no TypeInformation.
    """

    def __init__(self, name: str, type_info: TypeInformation | type | None) -> None:
        if not isinstance(name, str) or not name:
            raise StateTypeError(f"The name of a state must be a text, not empty, not {name!r}.")
        self.name = name
        self.type_info = _checked_type(type_info, name)
        self.ttl_config: StateTtlConfig | None = None

    def get_name(self) -> str:
        """Return the state's name."""
        return self.name

    def enable_time_to_live(self, ttl_config: StateTtlConfig) -> None:
        """Let entries of the state expire.

        Raises:
            StateTypeError: it is no StateTtlConfig.
        """
        if not isinstance(ttl_config, StateTtlConfig):
            raise StateTypeError(
                f"Time to live must be a StateTtlConfig, not {ttl_config!r}.",
                hint="Write StateTtlConfig.new_builder(Time.hours(1)).build().",
                state=self.name,
            )
        self.ttl_config = ttl_config

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.type_info!r})"


@final
class ValueStateDescriptor(StateDescriptor):
    """Declares a value state."""

    def __init__(self, name: str, value_type_info: TypeInformation | type | None) -> None:
        super().__init__(name, value_type_info)


@final
class ListStateDescriptor(StateDescriptor):
    """Declares a list state by the type of its elements."""

    def __init__(self, name: str, elem_type_info: TypeInformation | type | None) -> None:
        super().__init__(name, elem_type_info)


@final
class MapStateDescriptor(StateDescriptor):
    """Declares a map state or broadcast state.

    Attributes:
        key_type_info: type of the user keys; `type_info` is that of the values.
    """

    def __init__(
        self,
        name: str,
        key_type_info: TypeInformation | type | None,
        value_type_info: TypeInformation | type | None,
    ) -> None:
        super().__init__(name, value_type_info)
        self.key_type_info = _checked_type(key_type_info, name)


@final
class ReducingStateDescriptor(StateDescriptor):
    """Declares a reducing state.

    Raises:
        StateTypeError: `reduce_function` is neither a ReduceFunction nor callable.
    """

    def __init__(
        self,
        name: str,
        reduce_function: ReduceFunction | Callable[[Any, Any], Any] | type[ReduceFunction],
        type_info: TypeInformation | type | None,
    ) -> None:
        super().__init__(name, type_info)
        self._reduce_function: ReduceFunction
        if isinstance(reduce_function, type) and issubclass(reduce_function, ReduceFunction):
            self._reduce_function = reduce_function()
        elif isinstance(reduce_function, ReduceFunction):
            self._reduce_function = reduce_function
        elif callable(reduce_function):
            self._reduce_function = ReduceFunctionWrapper(reduce_function)
        else:
            raise StateTypeError(
                f"A reducing state needs a ReduceFunction or a callable, not {reduce_function!r}.",
                state=name,
            )

    def get_reduce_function(self) -> ReduceFunction:
        """Return the reduce function; a callable is wrapped."""
        return self._reduce_function


@final
class AggregatingStateDescriptor(StateDescriptor):
    """Declares an aggregating state; `type_info` is the accumulator's type.

    Raises:
        StateTypeError: `agg_function` is no AggregateFunction.
    """

    def __init__(
        self,
        name: str,
        agg_function: AggregateFunction,
        state_type_info: TypeInformation | type | None,
    ) -> None:
        super().__init__(name, state_type_info)
        if not isinstance(agg_function, AggregateFunction):
            raise StateTypeError(
                f"An aggregating state needs an AggregateFunction, not {agg_function!r}.",
                state=name,
            )
        self._agg_function = agg_function

    def get_agg_function(self) -> AggregateFunction:
        """Return the aggregate function."""
        return self._agg_function


def _checked_type(type_info: Any, name: str) -> Any:
    if type_info is None or isinstance(type_info, type):
        return type_info
    from millpond.common.typeinfo import TypeInformation

    if not isinstance(type_info, TypeInformation):
        raise StateTypeError(
            f"The type of a state must be a TypeInformation, not {type_info!r}.",
            hint="Write Types.LONG(), Types.STRING(), Types.PICKLED_BYTE_ARRAY() and the like.",
            state=name,
        )
    return type_info
