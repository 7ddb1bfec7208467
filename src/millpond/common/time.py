"""`Duration`, `Instant` and `Time`: lengths of time and points in time as PyFlink names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

__all__ = ("Duration", "Instant", "Time")

_NANOS_PER_MILLISECOND = 1_000_000
_NANOS_PER_SECOND = 1_000_000_000


@final
@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in nanoseconds; may be negative."""

    nanos: int

    @staticmethod
    def of_days(days: int) -> Duration:
        """Return a duration of so many days of 24 hours."""
        return Duration(days * 86_400 * _NANOS_PER_SECOND)

    @staticmethod
    def of_hours(hours: int) -> Duration:
        """Return a duration of so many hours."""
        return Duration(hours * 3600 * _NANOS_PER_SECOND)

    @staticmethod
    def of_minutes(minutes: int) -> Duration:
        """Return a duration of so many minutes."""
        return Duration(minutes * 60 * _NANOS_PER_SECOND)

    @staticmethod
    def of_seconds(seconds: int) -> Duration:
        """Return a duration of so many seconds."""
        return Duration(seconds * _NANOS_PER_SECOND)

    @staticmethod
    def of_millis(millis: int) -> Duration:
        """Return a duration of so many milliseconds."""
        return Duration(millis * _NANOS_PER_MILLISECOND)

    @staticmethod
    def of_nanos(nanos: int) -> Duration:
        """Return a duration of so many nanoseconds."""
        return Duration(nanos)

    def to_millis(self) -> int:
        """Return the whole milliseconds, rounded down."""
        return int(self.nanos // _NANOS_PER_MILLISECOND)

    def __repr__(self) -> str:
        seconds, nanos = divmod(self.nanos, _NANOS_PER_SECOND)
        if nanos == 0:
            return f"Duration.of_seconds({seconds})"
        if nanos % _NANOS_PER_MILLISECOND == 0:
            return f"Duration.of_millis({self.to_millis()})"
        return f"Duration.of_nanos({self.nanos})"


@final
class Instant:
    """A point in time: seconds since the epoch and nanoseconds (0 to 999 999 999) after them."""

    __slots__ = ("nanos", "seconds")

    def __init__(self, seconds: int, nanos: int) -> None:
        self.seconds = seconds
        self.nanos = nanos

    def to_epoch_milli(self) -> int:
        """Return milliseconds since the epoch, rounded down."""
        return self.seconds * 1000 + self.nanos // _NANOS_PER_MILLISECOND

    @staticmethod
    def of_epoch_milli(epoch_milli: int) -> Instant:
        """Return the instant so many milliseconds after the epoch."""
        seconds, milliseconds = divmod(epoch_milli, 1000)
        return Instant(seconds, milliseconds * _NANOS_PER_MILLISECOND)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Instant):
            return NotImplemented
        return self.seconds == other.seconds and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash((self.seconds, self.nanos))

    def __repr__(self) -> str:
        return f"Instant<{self.seconds}, {self.nanos}>"


@final
class Time:
    """A length of time in milliseconds, as window assigners take it."""

    __slots__ = ("_milliseconds",)

    def __init__(self, milliseconds: int) -> None:
        self._milliseconds = milliseconds

    def to_milliseconds(self) -> int:
        """Return the milliseconds."""
        return self._milliseconds

    @staticmethod
    def milliseconds(milliseconds: int) -> Time:
        """Return a time of so many milliseconds."""
        return Time(milliseconds)

    @staticmethod
    def seconds(seconds: int) -> Time:
        """Return a time of so many seconds."""
        return Time(seconds * 1000)

    @staticmethod
    def minutes(minutes: int) -> Time:
        """Return a time of so many minutes."""
        return Time(minutes * 60_000)

    @staticmethod
    def hours(hours: int) -> Time:
        """Return a time of so many hours."""
        return Time(hours * 3_600_000)

    @staticmethod
    def days(days: int) -> Time:
        """Return a time of so many days of 24 hours."""
        return Time(days * 86_400_000)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        return self._milliseconds == other._milliseconds

    def __hash__(self) -> int:
        return hash(self._milliseconds)

    def __repr__(self) -> str:
        return f"Time.milliseconds({self._milliseconds})"
