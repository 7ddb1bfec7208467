"""`RestSettings`: what the dashboard takes from the configuration and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millpond.configuration.options import rest as options
from millpond.configuration.port_list import parse_ports

if TYPE_CHECKING:
    from millpond.common.configuration import Configuration

__all__ = ("RestSettings",)

_MOST_CHECKPOINTS = 1_000
_ALL = ("0.0.0.0", "::", "[::]")  # noqa: S104 - recognised, not chosen


@dataclass(frozen=True, slots=True)
class RestSettings:
    """Where the dashboard listens, the first of `ports` that is free, and what it shows.

    `address` is the name in its URL; `checkpoints` of each job are shown.
    """

    bind_address: str = "localhost"
    address: str = "localhost"
    ports: tuple[int, ...] = (8081,)
    refresh_interval_ms: int = 3_000
    checkpoints: int = 10
    cancel_enabled: bool = True

    @classmethod
    def of(
        cls, configuration: Configuration, *, host: str | None = None, port: int | None = None
    ) -> RestSettings:
        """Read them; `host` and `port` of the command line go first.

        Raises:
            ConfigurationError: a value is out of its range.
        """
        get = configuration.get
        # An address that stands for all is no name for a URL.
        address = (get(options.ADDRESS) if host in {None, *_ALL} else host or "").strip()
        ports = get(options.BIND_PORT)
        if port is not None:
            found: tuple[int, ...] = (port,)
        elif ports is not None:
            found = parse_ports(ports, options.BIND_PORT.key)
        else:
            found = parse_ports(str(get(options.PORT)), options.PORT.key)
        return cls(
            bind_address=(host or get(options.BIND_ADDRESS) or address).strip(),
            address=address,
            ports=found,
            refresh_interval_ms=get(options.REFRESH_INTERVAL),
            checkpoints=min(get(options.CHECKPOINTS_HISTORY), _MOST_CHECKPOINTS),
            cancel_enabled=get(options.CANCEL_ENABLED),
        )
