"""Metrics: counters, gauges, meters and distributions by scope; the registry of one worker."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = (
    "Counter",
    "Distribution",
    "Gauge",
    "Meter",
    "Metric",
    "MetricGroup",
    "MetricRegistry",
    "RegisteredMetric",
)


class Metric:
    """Root of the metrics."""

    __slots__ = ()


@final
class Counter(Metric):
    """A number that is counted up and down."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def inc(self, n: int = 1) -> None:
        """Add `n`."""
        self._count += n

    def dec(self, n: int = 1) -> None:
        """Take `n` away."""
        self._count -= n

    def get_count(self) -> int:
        """Return the number."""
        return self._count


@final
class Gauge(Metric):
    """A number that is asked for when somebody looks."""

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read

    def get_value(self) -> float:
        """Return the number now."""
        return self._read()


@final
class Meter(Metric):
    """Events, counted; whoever reads it makes a rate of two readings."""

    __slots__ = ("_count", "time_span_seconds")

    def __init__(self, time_span_seconds: int) -> None:
        self._count = 0
        self.time_span_seconds = time_span_seconds

    def mark_event(self, value: int = 1) -> None:
        """Count events."""
        self._count += value

    def get_count(self) -> int:
        """Return the number of events so far."""
        return self._count


@final
class Distribution(Metric):
    """The last 1,024 of many numbers, with sum and count of all."""

    __slots__ = ("_count", "_sum", "_values")

    def __init__(self) -> None:
        self._values: deque[int] = deque(maxlen=1024)
        self._count = 0
        self._sum = 0

    def update(self, value: int) -> None:
        """Add a number."""
        self._values.append(value)
        self._count += 1
        self._sum += value

    @property
    def count(self) -> int:
        """How many numbers came."""
        return self._count

    @property
    def sum(self) -> int:
        """The sum of all numbers."""
        return self._sum

    def quantile(self, fraction: float) -> float:
        """Return the smallest recent number that so large a fraction does not exceed; 0 if none."""
        ordered = sorted(self._values)
        if not ordered:
            return 0.0
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


_MetricT = TypeVar("_MetricT", Counter, Gauge, Meter, Distribution)


@final
class MetricGroup:
    """Metrics under one scope, with PyFlink's methods. The task thread writes, others may read."""

    def __init__(
        self,
        registry: MetricRegistry,
        scope: Mapping[str, str],
        path: str = "",
        logical_path: str = "",
    ) -> None:
        self._registry = registry
        self._scope = dict(scope)
        self._path = path
        self._logical_path = logical_path

    def add_group(self, name: str, extra: str | None = None) -> MetricGroup:
        """Return a group below; with `extra` the name is a variable and `extra` its value."""
        logical = f"{self._logical_path}{name}."
        if extra is None:
            return MetricGroup(self._registry, self._scope, f"{self._path}{name}.", logical)
        scope = {**self._scope, name: extra}
        return MetricGroup(self._registry, scope, f"{self._path}{name}.{extra}.", logical)

    def counter(self, name: str) -> Counter:
        """Register a counter."""
        return self._register(name, Counter())

    def gauge(self, name: str, obj: Callable[[], float]) -> Self:
        """Register a function that is called when somebody looks."""
        self._register(name, Gauge(obj))
        return self

    def meter(self, name: str, time_span_in_seconds: int = 60) -> Meter:
        """Register a meter."""
        return self._register(name, Meter(time_span_in_seconds))

    def distribution(self, name: str) -> Distribution:
        """Register a distribution."""
        return self._register(name, Distribution())

    def _register(self, name: str, metric: _MetricT) -> _MetricT:
        self._registry.register(
            RegisteredMetric(self._scope, self._path + name, metric, self._logical_path + name)
        )
        return metric


class RegisteredMetric(NamedTuple):
    """A metric with its place.

    Attributes:
        scope: variables such as job, operator and subtask.
        name: the groups' names and the metric's, with dots; unique within the scope.
        logical_name: the same without the values of variables, for systems that have labels.
    """

    scope: Mapping[str, str]
    name: str
    metric: Metric
    logical_name: str


@final
class MetricRegistry:
    """All metrics of one worker. Metrics may be registered and read at any time."""

    def __init__(self) -> None:
        self._metrics: dict[tuple[tuple[tuple[str, str], ...], str], RegisteredMetric] = {}

    def group(self, scope: Mapping[str, str]) -> MetricGroup:
        """Return the group of a scope: variables such as job, operator and subtask."""
        return MetricGroup(self, scope)

    def register(self, registered: RegisteredMetric) -> None:
        """Add a metric; one of the same name and scope is replaced."""
        key = tuple(sorted(registered.scope.items())), registered.name
        self._metrics[key] = registered

    def __iter__(self) -> Iterator[RegisteredMetric]:
        """Iterate over the metrics of now."""
        return iter(list(self._metrics.values()))
