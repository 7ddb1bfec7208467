"""Ports as Flink writes them: a number, a range, several of these with commas."""

from __future__ import annotations

import re
from typing import Final

from millpond.errors import ConfigurationError

__all__ = ("parse_ports",)

_PORTS: Final = re.compile(r"(\d{1,5})(?:\s*-\s*(\d{1,5}))?")


def parse_ports(text: str, key: str) -> tuple[int, ...]:
    """Return the ports in their order.

    Raises:
        ConfigurationError: `text` is none of this; `key` is the option that says so.
    """
    ports: list[int] = []
    for part in text.split(","):
        found = _PORTS.fullmatch(part.strip())
        first = int(found[1]) if found else -1
        last = int(found[2] or first) if found else -1
        if not 0 <= first <= last <= 65_535:
            raise ConfigurationError(
                f"'{text}' in '{key}' is no port: a number from 0 to 65535, a range such as "
                "9250-9260, or several of these with commas.",
                option=key,
            )
        ports += range(first, last + 1)
    return tuple(ports)
