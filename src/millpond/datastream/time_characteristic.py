"""`TimeCharacteristic`: the time that windows and timers go by, as PyFlink 1.12 programs set it."""

from __future__ import annotations

import enum

__all__ = ("TimeCharacteristic",)


class TimeCharacteristic(enum.Enum):
    """The time that a program goes by.

    Event time needs no setting any more: a window assigner or timer says which time it means.
    """

    ProcessingTime = 0
    IngestionTime = 1
    EventTime = 2
