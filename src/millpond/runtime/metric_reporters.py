"""Starts the metric reporters that a job's configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.common.configuration import Configuration
from millpond.configuration.reporter_choice import chosen_reporters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.clock import Clock
    from millpond.metrics.prometheus import PrometheusReporter
    from millpond.metrics.registry import MetricRegistry

__all__ = ("MetricReporters",)


@final
class MetricReporters:
    """The reporters of one worker, started when made and stopped by `close`.

    Attributes:
        running: those that were started.
    """

    def __init__(
        self, configuration: Mapping[str, str], registry: MetricRegistry, clock: Clock
    ) -> None:
        """Start all.

        Raises:
            ConfigurationError: a reporter's class or port is wrong.
            MissingDependencyError: the package that it needs is not installed.
        """
        self.running: list[PrometheusReporter] = []
        if not any(key.startswith("metrics.reporter") for key in configuration):
            return
        from millpond.metrics.prometheus import PrometheusReporter

        for choice in chosen_reporters(Configuration.from_dict(configuration)):
            self.running.append(
                PrometheusReporter(
                    registry,
                    choice.ports,
                    clock,
                    host=choice.host,
                    filters_label_values=choice.filters_label_values,
                )
            )

    def close(self) -> None:
        """Stop all; may be called twice."""
        while self.running:
            self.running.pop().close()
