"""Which metric reporters a job starts, by Flink's keys."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from millpond.configuration.options.metrics import REPORTER, REPORTERS
from millpond.configuration.port_list import parse_ports
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from millpond.common.configuration import Configuration

__all__ = ("PrometheusChoice", "chosen_reporters")

DEFAULT_PORT: Final = 9249
DEFAULT_HOST: Final = "127.0.0.1"
_PREFIX: Final = REPORTER.key + "."
_CLASS_KEYS: Final = ("factory.class", "class")
_PROMETHEUS_FACTORY: Final = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
_PROMETHEUS: Final = frozenset(
    {
        _PROMETHEUS_FACTORY,
        "org.apache.flink.metrics.prometheus.PrometheusReporter",
        "millpond.metrics.prometheus.PrometheusReporter",
    }
)

_logger = logging.getLogger("millpond.configuration")


@dataclass(frozen=True, slots=True)
class PrometheusChoice:
    """A reporter that answers Prometheus on the first free one of `ports`."""

    name: str
    ports: tuple[int, ...]
    host: str = DEFAULT_HOST
    filters_label_values: bool = True


def chosen_reporters(configuration: Configuration) -> list[PrometheusChoice]:
    """Return the reporters to start.

    Raises:
        ConfigurationError: a reporter without class, of an unknown class, or a port that is none.
    """
    settings: dict[str, dict[str, str]] = {}
    for key, value in configuration.to_dict().items():
        if key.startswith(_PREFIX):
            name, _, setting = key.removeprefix(_PREFIX).partition(".")
            settings.setdefault(name, {})[setting] = value
    listed = configuration.get(REPORTERS)
    names = list(settings)
    if listed is not None and listed.strip():
        names = [name.strip() for name in re.split("[,;]", listed) if name.strip()]
    chosen = (_choice(name, settings.get(name, {}), list(settings)) for name in names)
    return [choice for choice in chosen if choice is not None]


def _choice(name: str, settings: dict[str, str], known: list[str]) -> PrometheusChoice | None:
    key = f"{_PREFIX}{name}.{_CLASS_KEYS[0]}"
    class_name = next((settings[each] for each in _CLASS_KEYS if each in settings), None)
    if class_name is None:
        import difflib

        close = difflib.get_close_matches(name, known, n=1)
        meant = f" Did you mean '{close[0]}'?" if close and close[0] != name else ""
        raise ConfigurationError(
            f"The metric reporter '{name}' has no class: '{key}' is not set.{meant}",
            hint=f"Set it to {_PROMETHEUS_FACTORY}.",
            option=REPORTERS.key,
        )
    if class_name.strip() not in _PROMETHEUS:
        if class_name.startswith("org.apache.flink."):
            _logger.warning(
                "The metric reporter '%s' is not started: Millpond has none of class %s.",
                name,
                class_name,
            )
            return None
        raise ConfigurationError(
            f"'{class_name}' in '{key}' is no metric reporter of Millpond.",
            hint=f"Use {_PROMETHEUS_FACTORY}.",
            option=key,
        )
    filters = settings.get("filterLabelValueCharacters", "true").strip().lower()
    if filters not in {"true", "false"}:
        raise ConfigurationError(
            f"'{_PREFIX}{name}.filterLabelValueCharacters' must be true or false, not '{filters}'.",
            option=f"{_PREFIX}{name}.filterLabelValueCharacters",
        )
    port_key = f"{_PREFIX}{name}.port"
    ports = parse_ports(settings.get("port", str(DEFAULT_PORT)), port_key)
    host = settings.get("host", DEFAULT_HOST).strip()
    return PrometheusChoice(name, ports, host, filters == "true")
