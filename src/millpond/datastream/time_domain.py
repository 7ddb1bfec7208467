"""`TimeDomain`: which time fired a timer."""

from __future__ import annotations

import enum

__all__ = ("TimeDomain",)


class TimeDomain(enum.Enum):
    """Event time (the watermark) or processing time (the machine's clock)."""

    EVENT_TIME = 0
    PROCESSING_TIME = 1
