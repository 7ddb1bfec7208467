"""Options of metric reporters."""

from __future__ import annotations

from millpond.common.config_options import ConfigOptions
from millpond.configuration.registered_option import RegisteredOption, works

__all__ = ("OPTIONS", "REPORTER", "REPORTERS")

_key = ConfigOptions.key

REPORTERS = (
    _key("metrics.reporters")
    .string_type()
    .no_default_value()
    .with_description(
        "Names of the reporters to start, separated by `,`; unset: all that `metrics.reporter` "
        "describes."
    )
)
REPORTER = (
    _key("metrics.reporter")
    .map_type()
    .default_value({})
    .with_description(
        "Settings of the reporters, one key each: `metrics.reporter.<name>.factory.class` (older: "
        "`.class`), `.port` (a port, a range such as `9250-9260`, or several with `,`; 9249 by "
        "default), `.host` (the address to listen on, `127.0.0.1` by default; `0.0.0.0` lets other "
        "machines look) and `.filterLabelValueCharacters` (`true` by default)."
    )
)

OPTIONS: tuple[RegisteredOption, ...] = (
    works(REPORTERS, "the worker starts them with the job"),
    works(
        REPORTER,
        "the class must be Flink's Prometheus reporter or its factory, and needs the extra "
        "`prometheus`; reporters of other systems are passed over with a warning",
    ),
)
