"""Flink's serializers of java.sql's Date, Time and Timestamp.

They hold milliseconds of a point in time, and PyFlink makes it from the JVM's time zone; the
bytes here are those of a JVM that runs in UTC.
"""

from __future__ import annotations

import datetime as dt
import struct
from typing import TYPE_CHECKING, Any

from millpond.serialization.basic_coders import SHORT_OF_BYTES
from millpond.serialization.java_hash import hash_long
from millpond.serialization.java_serializer import JavaSerializer
from millpond.serialization.mismatch import DECODE_ERRORS, undecodable
from millpond.serialization.temporal_coders import date_coder, time_coder, timestamp_coder

if TYPE_CHECKING:
    from millpond.common.typeinfo import DateTypeInfo, TimestampTypeInfo, TimeTypeInfo

__all__ = ("date_serializer", "time_serializer", "timestamp_serializer")

_INT = struct.Struct(">i")
_LONG = struct.Struct(">q")
_TIMESTAMP = struct.Struct(">qi")
_DAY_MS = 86_400_000
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - PyFlink's timestamps have no zone


def date_serializer(type_info: DateTypeInfo) -> JavaSerializer:
    """Return SqlDateSerializer: long milliseconds."""
    coder = date_coder(type_info)

    def milliseconds(value: Any) -> int:
        return int(_INT.unpack(coder.encode(value))[0]) * _DAY_MS

    def write(value: Any) -> bytes:
        return _LONG.pack(milliseconds(value))

    def read(data: bytes, offset: int) -> tuple[dt.date, int]:
        try:
            days, rest = divmod(_LONG.unpack_from(data, offset)[0], _DAY_MS)
            if not rest:
                return coder.decode(_INT.pack(days)), offset + 8
        except struct.error as error:
            raise undecodable("SQL_DATE", offset, SHORT_OF_BYTES) from error
        raise undecodable("SQL_DATE", offset, "the JVM that wrote it did not run in UTC")

    return JavaSerializer(write, read, lambda value: hash_long(milliseconds(value)))


def time_serializer(type_info: TimeTypeInfo) -> JavaSerializer:
    """Return SqlTimeSerializer: long milliseconds."""
    coder = time_coder(type_info)

    def write(value: Any) -> bytes:
        return _LONG.pack(_INT.unpack(coder.encode(value))[0])

    def read(data: bytes, offset: int) -> tuple[dt.time, int]:
        try:
            return coder.decode(_INT.pack(_LONG.unpack_from(data, offset)[0])), offset + 8
        except struct.error as error:
            raise undecodable("SQL_TIME", offset, "they are no time of day") from error

    return JavaSerializer(write, read, lambda value: hash_long(_LONG.unpack(write(value))[0]))


def timestamp_serializer(type_info: TimestampTypeInfo) -> JavaSerializer:
    """Return SqlTimestampSerializer: long milliseconds, int nanoseconds of the second."""
    coder = timestamp_coder(type_info)

    def milliseconds(value: Any) -> int:
        return int(_LONG.unpack(coder.encode(value))[0])

    def write(value: Any) -> bytes:
        whole = milliseconds(value)
        return _TIMESTAMP.pack(whole, whole % 1000 * 1_000_000)

    def read(data: bytes, offset: int) -> tuple[dt.datetime, int]:
        try:
            whole, nanos = _TIMESTAMP.unpack_from(data, offset)
            seconds = whole // 1000
            value = _EPOCH + dt.timedelta(seconds=seconds, microseconds=nanos // 1000)
        except DECODE_ERRORS as error:
            raise undecodable("SQL_TIMESTAMP", offset, "they are no timestamp") from error
        if not 0 <= nanos < 1_000_000_000:
            raise undecodable("SQL_TIMESTAMP", offset, f"{nanos} nanoseconds are impossible")
        return value, offset + 12

    return JavaSerializer(write, read, lambda value: hash_long(milliseconds(value)))
