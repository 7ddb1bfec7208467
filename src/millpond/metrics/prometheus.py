"""`PrometheusReporter`: answers Prometheus with all metrics of a worker, under Flink's names."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final, final

from millpond.errors import MissingDependencyError
from millpond.metrics.registry import Counter, Distribution, Gauge, Meter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from millpond.clock import Clock
    from millpond.metrics.registry import MetricRegistry, RegisteredMetric

__all__ = ("PrometheusReporter",)

_PREFIX: Final = "flink_taskmanager_job_task_operator_"
_FOREIGN: Final = re.compile(r"[^a-zA-Z0-9:_]")
_LABELS: Final = {"job": "job_name", "operator": "operator_name", "subtask": "subtask_index"}
_QUANTILES: Final = (0.5, 0.75, 0.95, 0.98, 0.99, 0.999)

_logger = logging.getLogger("millpond.metrics")


@final
class PrometheusReporter:
    """Serves ``http://<host>:<port>/metrics`` on a thread of its own until `close`.

    Names, labels and kinds are those of Flink's reporter: counters, gauges and meters are gauges
    (a meter is its rate since the last look), distributions are summaries.

    Attributes:
        port: the one it listens on; None if none of those given was free, which is logged.
    """

    def __init__(
        self,
        registry: MetricRegistry,
        ports: Sequence[int],
        clock: Clock,
        *,
        host: str = "127.0.0.1",
        filters_label_values: bool = True,
    ) -> None:
        """Start to listen on the first port that is free; 0 is any.

        Only this machine reaches the default host; Flink's reporter listens to all.

        Raises:
            MissingDependencyError: prometheus-client is not installed.
        """
        try:
            import prometheus_client
            from prometheus_client.registry import CollectorRegistry
        except ImportError as error:
            raise MissingDependencyError(
                "The Prometheus reporter needs a package that is not installed.",
                hint="pip install 'millpond[prometheus]'",
            ) from error
        self._registry = registry
        self._clock = clock
        self._filters = filters_label_values
        self._families: Any = prometheus_client.metrics_core
        self._meters: dict[tuple[str, tuple[str, ...]], tuple[int, float]] = {}
        self._server: Any = None
        self._thread: Any = None
        self.port: int | None = None
        collectors = CollectorRegistry(auto_describe=False)
        collectors.register(self)
        for port in ports:
            try:
                self._server, self._thread = prometheus_client.start_http_server(
                    port,
                    host,
                    collectors,
                )
            except OSError:
                continue
            self.port = self._server.server_address[1]
            _logger.info("Prometheus finds metrics on port %d.", self.port)
            return
        _logger.error("No metrics for Prometheus: none of the ports %s is free.", list(ports))

    def collect(self) -> Iterator[Any]:
        """Yield the metrics of now; called by prometheus_client for each request."""
        families: dict[str, Any] = {}
        for registered in self._registry:
            labels = self._labels(registered)
            name = _PREFIX + _clean(registered.logical_name)
            family = families.get(name)
            if family is None:
                family = families[name] = self._family(name, registered)
            if isinstance(registered.metric, Distribution) is (family.type == "summary"):
                self._add(family, name, labels, registered)
        yield from families.values()

    def _family(self, name: str, registered: RegisteredMetric) -> Any:
        text = f"{registered.logical_name} (scope: taskmanager_job_task_operator)"
        kind = "summary" if isinstance(registered.metric, Distribution) else "gauge"
        return self._families.Metric(name, text, kind)

    def _add(
        self, family: Any, name: str, labels: dict[str, str], registered: RegisteredMetric
    ) -> None:
        metric = registered.metric
        if isinstance(metric, Distribution):
            family.add_sample(name + "_count", labels, metric.count)
            for fraction in _QUANTILES:
                quantile = {**labels, "quantile": str(fraction)}
                family.add_sample(name, quantile, metric.quantile(fraction))
            return
        value = self._value(name, labels, metric)
        if value is not None:
            family.add_sample(name, labels, value)

    def _value(self, name: str, labels: dict[str, str], metric: object) -> float | None:
        if isinstance(metric, Counter):
            return metric.get_count()
        if isinstance(metric, Meter):
            return self._rate((name, tuple(labels.values())), metric.get_count())
        if isinstance(metric, Gauge):
            try:
                return float(metric.get_value())
            except Exception as error:  # noqa: BLE001 - a user's gauge must not hide the others
                _logger.debug("The gauge %s raised %r.", name, error)
        return None

    def _rate(self, key: tuple[str, tuple[str, ...]], count: int) -> float:
        now = self._clock.monotonic()
        before, then = self._meters.get(key, (count, now))
        self._meters[key] = count, now
        return (count - before) / (now - then) if now > then else 0.0

    def _labels(self, registered: RegisteredMetric) -> dict[str, str]:
        return {
            _clean(_LABELS.get(name, name.strip("<>"))): _clean(value) if self._filters else value
            for name, value in registered.scope.items()
        }

    def close(self) -> None:
        """Stop listening; may be called twice."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None


def _clean(text: str) -> str:
    return _FOREIGN.sub("_", text)
