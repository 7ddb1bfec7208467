"""Options of the dashboard's web server."""

from __future__ import annotations

from millpond.common.config_options import ConfigOptions
from millpond.common.option_range import at_least
from millpond.configuration.registered_option import RegisteredOption, works

__all__ = (
    "ADDRESS",
    "BIND_ADDRESS",
    "BIND_PORT",
    "CANCEL_ENABLED",
    "CHECKPOINTS_HISTORY",
    "OPTIONS",
    "PORT",
    "REFRESH_INTERVAL",
)

_key = ConfigOptions.key

PORT = (
    _key("rest.port")
    .int_type()
    .default_value(8081)
    .with_description("The port of `millpond dashboard` where `rest.bind-port` is not set.")
)
BIND_PORT = (
    _key("rest.bind-port")
    .string_type()
    .no_default_value()
    .with_description(
        "The port to listen on: a number, a range such as `8081-8090`, or several with `,`; the "
        "first free one is taken. `0` is any free one."
    )
)
ADDRESS = (
    _key("rest.address")
    .string_type()
    .default_value("localhost")
    .with_description(
        "The name under which browsers reach the dashboard; it stands in the URL that is printed, "
        "and requests under a name that is not known are refused."
    )
)
BIND_ADDRESS = (
    _key("rest.bind-address")
    .string_type()
    .no_default_value()
    .with_description(
        "The address to listen on; unset: that of `rest.address`. Beyond loopback every request "
        "needs the token."
    )
)
REFRESH_INTERVAL = at_least(
    _key("web.refresh-interval")
    .duration_type()
    .default_value(3_000)
    .with_description("How often the page asks for what is new."),
    100,
)
CHECKPOINTS_HISTORY = at_least(
    _key("web.checkpoints.history")
    .int_type()
    .default_value(10)
    .with_description("How many of a job's newest checkpoints are shown, 1,000 at most."),
    0,
)
CANCEL_ENABLED = (
    _key("web.cancel.enable")
    .boolean_type()
    .default_value(True)
    .with_description("Whether the page has a button that cancels a job.")
)

OPTIONS: tuple[RegisteredOption, ...] = (
    works(PORT, "`millpond dashboard` listens there; `--port` goes first"),
    works(BIND_PORT, "`millpond dashboard` listens there; `--port` goes first"),
    works(ADDRESS, "the host of the URL, and a name that requests may use"),
    works(BIND_ADDRESS, "`millpond dashboard` listens there; `--host` goes first"),
    works(REFRESH_INTERVAL, "`/config` tells it to the page"),
    works(CHECKPOINTS_HISTORY, "the dashboard asks running jobs for so many"),
    works(CANCEL_ENABLED, "`/config` tells it to the page; the API cancels all the same, as Flink"),
)
