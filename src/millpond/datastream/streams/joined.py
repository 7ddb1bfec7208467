"""Window joins and co-groups: two streams, one key, one window."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Self, final

from millpond.common.typeinfo import Types
from millpond.common.types import Row
from millpond.datastream._functions.adapter import FunctionAdapter
from millpond.datastream._milliseconds import milliseconds
from millpond.datastream.functions import (
    CoGroupFunction,
    FlatJoinFunction,
    JoinFunction,
    KeySelector,
    WindowFunction,
)
from millpond.datastream.operator_spec import MapSpec
from millpond.datastream.streams.function_check import function_or_callable
from millpond.datastream.streams.plain import DataStream
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from millpond.common.typeinfo import TypeInformation
    from millpond.datastream.window import Evictor, Trigger, WindowAssigner

__all__ = ("CoGroupedStreams", "JoinedStreams")


@dataclasses.dataclass(frozen=True)
class _Description:
    """What was said so far about two streams; one of `co_group` and join."""

    first: DataStream
    second: DataStream
    co_group: bool
    where: Callable[[Any], Any] | None = None
    equal_to: Callable[[Any], Any] | None = None
    key_type: TypeInformation | None = None
    assigner: WindowAssigner[Any, Any] | None = None
    trigger: Trigger[Any, Any] | None = None
    evictor: Evictor | None = None
    allowed_lateness_ms: int = 0


class _PairedStreams:
    """Two streams before their keys are known."""

    _co_group = False

    class Where:
        """Two streams; the key of the first is known."""

        def __init__(self, description: _Description) -> None:
            self._description = description

        def equal_to(
            self,
            key_selector: Callable[[Any], Any] | KeySelector,
            key_type: TypeInformation | None = None,
        ) -> _PairedStreams.EqualTo:
            """Say what the key of the second stream is.

            Raises:
                InvalidProgramError: it has another type than that of the first.
            """
            before = self._description
            if None not in {before.key_type, key_type} and before.key_type != key_type:
                raise InvalidProgramError(
                    f"The keys of the two inputs differ: {before.key_type} and {key_type}."
                )
            return _PairedStreams.EqualTo(
                dataclasses.replace(
                    before,
                    equal_to=_selector(key_selector, "equal_to"),
                    key_type=before.key_type or key_type,
                )
            )

    class EqualTo:
        """Two streams whose keys are known."""

        def __init__(self, description: _Description) -> None:
            self._description = description

        def window(self, assigner: WindowAssigner[Any, Any]) -> _PairedStreams.WithWindow:
            """Bring together what has the same key and the same window."""
            return _PairedStreams.WithWindow(
                dataclasses.replace(self._description, assigner=assigner)
            )

    class WithWindow:
        """Two streams with keys and windows; what is computed is still to be said.

        Custom triggers and evictors see a record as Row(side, first, second): side is 1 or 2, and
        the field of the other side is None.
        """

        def __init__(self, description: _Description) -> None:
            self._description = description

        def trigger(self, trigger: Trigger[Any, Any]) -> Self:
            """Replace the assigner's default trigger."""
            self._description = dataclasses.replace(self._description, trigger=trigger)
            return self

        def evictor(self, evictor: Evictor) -> Self:
            """Drop records of a window before or after the function."""
            self._description = dataclasses.replace(self._description, evictor=evictor)
            return self

        def allowed_lateness(self, lateness: Any) -> Self:
            """Keep windows so much longer: a Time, Duration, timedelta or number of ms."""
            lateness_ms = milliseconds(lateness, "allowed lateness")
            self._description = dataclasses.replace(
                self._description, allowed_lateness_ms=lateness_ms
            )
            return self

        def apply(self, function: Any, output_type: TypeInformation | None = None) -> DataStream:
            """Compute: with a JoinFunction or FlatJoinFunction of pairs, or a CoGroupFunction.

            A plain callable takes the place of JoinFunction.join or CoGroupFunction.co_group.

            Raises:
                InvalidProgramError: the function is of another kind, or the window cannot be.
            """
            return _apply(self._description, function, output_type)

    def __init__(self, first: DataStream, second: DataStream) -> None:
        for stream in (first, second):
            if not isinstance(stream, DataStream):
                raise InvalidProgramError(f"{stream!r} is no DataStream.")
        self._description = _Description(first, second, co_group=self._co_group)

    def where(
        self,
        key_selector: Callable[[Any], Any] | KeySelector,
        key_type: TypeInformation | None = None,
    ) -> _PairedStreams.Where:
        """Say what the key of the first stream is; without `key_type` keys are pickled."""
        selector = _selector(key_selector, "where")
        return _PairedStreams.Where(
            dataclasses.replace(self._description, where=selector, key_type=key_type)
        )


@final
class JoinedStreams(_PairedStreams):
    """An inner join of two streams (Java Flink's JoinedStreams).

    ``a.join(b).where(key).equal_to(key).window(assigner).apply(function)``: the function is given
    every pair of records with equal keys in the same window. Both sides of a window are kept in
    state until it is over, and results have the window's last timestamp.
    """


@final
class CoGroupedStreams(_PairedStreams):
    """Two streams grouped by key and window (Java Flink's CoGroupedStreams).

    The function is given both sides of each window, also where one is empty.
    """

    _co_group = True


def _selector(key_selector: Any, method: str) -> Callable[[Any], Any]:
    selector: Any = function_or_callable(key_selector, KeySelector, method)
    return selector.get_key if isinstance(selector, KeySelector) else selector


def _apply(
    description: _Description, function: Any, output_type: TypeInformation | None
) -> DataStream:
    window_function: _Pairs
    if description.co_group:
        function = function_or_callable(function, CoGroupFunction, "apply")
        window_function = _Groups(function, "co_group")
    elif isinstance(function, FlatJoinFunction):
        window_function = _FlatPairs(function, "join")
    else:
        window_function = _Pairs(function_or_callable(function, JoinFunction, "apply"), "join")
    first, second = description.first, description.second
    types = [stream.get_type() or Types.PICKLED_BYTE_ARRAY() for stream in (first, second)]
    tagged_type = Types.ROW_NAMED(["side", "first", "second"], [Types.BYTE(), *types])
    where, equal_to = description.where, description.equal_to
    assert where is not None
    assert equal_to is not None
    assert description.assigner is not None
    name = "Co-Group" if description.co_group else "Join"
    both = [
        DataStream._add(stream, f"{name} Input {side}", MapSpec(tag), tagged_type)
        for side, stream, tag in ((1, first, _tag_first), (2, second, _tag_second))
    ]
    windows = (
        both[0]
        .union(both[1])
        .key_by(_TaggedKey(where, equal_to), description.key_type)
        .window(description.assigner)
        .allowed_lateness(description.allowed_lateness_ms)
    )
    if description.trigger is not None:
        windows.trigger(description.trigger)
    if description.evictor is not None:
        windows.evictor(description.evictor)
    result = windows.apply(window_function, output_type)
    return result.name(f"{type(description.assigner).__name__}, {name}")


def _tag_first(value: Any) -> Row:
    return Row(1, value, None)


def _tag_second(value: Any) -> Row:
    return Row(2, None, value)


@final
class _TaggedKey(KeySelector):
    def __init__(self, first: Callable[[Any], Any], second: Callable[[Any], Any]) -> None:
        self._first = first
        self._second = second

    def get_key(self, value: Row) -> Any:
        return self._first(value[1]) if value[0] == 1 else self._second(value[2])


class _Pairs(FunctionAdapter, WindowFunction[Any, Any, Any, Any]):
    """A window function that gives a join function every pair of the window."""

    def apply(self, key: Any, window: Any, inputs: Iterable[Any]) -> Iterable[Any] | None:
        first, second = _sides(inputs)
        join = self._method()
        return [join(left, right) for left in first for right in second]

    def _method(self) -> Callable[[Any, Any], Any]:
        function: Any = self.function
        method: Callable[[Any, Any], Any] = getattr(function, self.method, function)
        return method


@final
class _FlatPairs(_Pairs):
    def apply(self, key: Any, window: Any, inputs: Iterable[Any]) -> Iterable[Any] | None:
        first, second = _sides(inputs)
        join = self._method()
        return [result for left in first for right in second for result in join(left, right) or ()]


@final
class _Groups(_Pairs):
    def apply(self, key: Any, window: Any, inputs: Iterable[Any]) -> Iterable[Any] | None:
        results: Iterable[Any] | None = self._method()(*_sides(inputs))
        return results


def _sides(inputs: Iterable[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    first: list[Any] = []
    second: list[Any] = []
    for row in inputs:
        if row[0] == 1:
            first.append(row[1])
        else:
            second.append(row[2])
    return first, second
