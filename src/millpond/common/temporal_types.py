"""Types of dates and times: SQL's date, time and timestamp, and their java.time counterparts."""

# ruff: noqa: N802 - PyFlink's names

from __future__ import annotations

import datetime as dt
import time
from enum import Enum
from typing import Final, final

from millpond.common.type_information import TypeInformation

__all__ = (
    "DateTypeInfo",
    "LocalTimeTypeInfo",
    "SqlTimeTypeInfo",
    "TimeTypeInfo",
    "TimestampTypeInfo",
)

_MICROSECONDS = 1_000_000


def _seconds(utc: time.struct_time) -> int:
    """Return what calendar.timegm does, which would cost the import of locale."""
    return int((dt.datetime(*utc[:6]) - dt.datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001


class SqlTimeTypeInfo(TypeInformation):
    """Makes the types of SQL's date, time and timestamp."""

    @staticmethod
    def DATE() -> DateTypeInfo:
        """Return the type of `datetime.date`."""
        return DateTypeInfo()

    @staticmethod
    def TIME() -> TimeTypeInfo:
        """Return the type of `datetime.time`, to the millisecond."""
        return TimeTypeInfo()

    @staticmethod
    def TIMESTAMP() -> TimestampTypeInfo:
        """Return the type of `datetime.datetime` without time zone, to the millisecond."""
        return TimestampTypeInfo()


@final
class DateTypeInfo(SqlTimeTypeInfo):
    """The type of `datetime.date`; days since the epoch on the engine's side."""

    EPOCH_ORDINAL: Final = dt.date(1970, 1, 1).toordinal()

    @property
    def signature(self) -> str:
        """``SQL_DATE``."""
        return "SQL_DATE"

    def need_conversion(self) -> bool:
        """Return True."""
        return True

    def to_internal_type(self, obj: dt.date | None) -> int | None:
        """Return days since the epoch."""
        return None if obj is None else obj.toordinal() - self.EPOCH_ORDINAL

    def from_internal_type(self, obj: int | None) -> dt.date | None:
        """Return the date so many days after the epoch."""
        return None if obj is None else dt.date.fromordinal(obj + self.EPOCH_ORDINAL)


@final
class TimeTypeInfo(SqlTimeTypeInfo):
    """The type of `datetime.time`; microseconds of the day in UTC on the engine's side."""

    EPOCH_ORDINAL: Final = _seconds(time.localtime(0)) * _MICROSECONDS
    """Microseconds that local time was ahead of UTC at the epoch."""

    @property
    def signature(self) -> str:
        """``SQL_TIME``."""
        return "SQL_TIME"

    def need_conversion(self) -> bool:
        """Return True."""
        return True

    def to_internal_type(self, obj: dt.time | None) -> int | None:
        """Return microseconds; a time without zone counts as local time, as in PyFlink."""
        if obj is None:
            return None
        ahead = self.EPOCH_ORDINAL
        if obj.tzinfo is not None:
            offset = obj.utcoffset() or dt.timedelta()
            ahead = offset // dt.timedelta(microseconds=1)
        seconds = (obj.hour * 60 + obj.minute) * 60 + obj.second
        return seconds * _MICROSECONDS + obj.microsecond - ahead

    def from_internal_type(self, obj: int | None) -> dt.time | None:
        """Return the local time."""
        if obj is None:
            return None
        seconds, microseconds = divmod(obj + self.EPOCH_ORDINAL, _MICROSECONDS)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return dt.time(hours, minutes, seconds, microseconds)


@final
class TimestampTypeInfo(SqlTimeTypeInfo):
    """The type of `datetime.datetime`; microseconds since the epoch on the engine's side."""

    @property
    def signature(self) -> str:
        """``SQL_TIMESTAMP``."""
        return "SQL_TIMESTAMP"

    def need_conversion(self) -> bool:
        """Return True."""
        return True

    def to_internal_type(self, obj: dt.datetime | None) -> int | None:
        """Return microseconds; a timestamp without zone counts as local time, as in PyFlink."""
        if obj is None:
            return None
        if obj.tzinfo is None:
            seconds = int(time.mktime(obj.timetuple()))
        else:
            seconds = _seconds(obj.utctimetuple())
        return seconds * _MICROSECONDS + obj.microsecond

    def from_internal_type(self, obj: int | None) -> dt.datetime | None:
        """Return the timestamp in local time, without zone."""
        if obj is None:
            return None
        seconds, microseconds = divmod(obj, _MICROSECONDS)
        local = dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone()
        return local.replace(microsecond=microseconds, tzinfo=None)


@final
class LocalTimeTypeInfo(TypeInformation):
    """The types of java.time's LocalDate, LocalTime and LocalDateTime."""

    class TimeType(Enum):
        """Which of the three."""

        LOCAL_DATE = 0
        LOCAL_TIME = 1
        LOCAL_DATE_TIME = 2

    def __init__(self, time_type: LocalTimeTypeInfo.TimeType) -> None:
        self._time_type = time_type

    @property
    def time_type(self) -> LocalTimeTypeInfo.TimeType:
        """Which of the three it is."""
        return self._time_type

    @property
    def signature(self) -> str:
        """``LOCAL_DATE``, ``LOCAL_TIME`` or ``LOCAL_DATE_TIME``."""
        return self._time_type.name
