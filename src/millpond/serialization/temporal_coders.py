"""Coders of dates, times and timestamps, byte for byte PyFlink's."""

from __future__ import annotations

import datetime as dt
import struct
from typing import Any

from millpond.common.typeinfo import DateTypeInfo, TimestampTypeInfo, TimeTypeInfo
from millpond.serialization.function_coder import FunctionCoder
from millpond.serialization.mismatch import DECODE_ERRORS, mismatch, undecodable

__all__ = ("date_coder", "time_coder", "timestamp_coder")

_INT = struct.Struct(">i")
_LONG = struct.Struct(">q")
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - PyFlink's timestamps have no zone
_EPOCH_ORDINAL = DateTypeInfo.EPOCH_ORDINAL
_MILLISECOND = dt.timedelta(milliseconds=1)


def date_coder(type_info: DateTypeInfo) -> FunctionCoder:
    """Return the coder of dates: int days since the epoch."""
    pack, unpack_from = _INT.pack, _INT.unpack_from
    from_ordinal = dt.date.fromordinal

    def encode(value: Any) -> bytes:
        if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
            raise mismatch("SQL_DATE", value, reason="a dt.date is needed")
        return pack(value.toordinal() - _EPOCH_ORDINAL)

    def decode_from(data: bytes, offset: int) -> tuple[dt.date, int]:
        try:
            return from_ordinal(unpack_from(data, offset)[0] + _EPOCH_ORDINAL), offset + 4
        except DECODE_ERRORS as error:
            raise undecodable("SQL_DATE", offset, "they are no date") from error

    return FunctionCoder(type_info, encode, decode_from, minimum_size_bytes=4, immutable=True)


def time_coder(type_info: TimeTypeInfo) -> FunctionCoder:
    """Return the coder of times: int milliseconds of the day.

    Microseconds below a millisecond are cut off: the type has no more digits.
    """
    pack, unpack_from = _INT.pack, _INT.unpack_from

    def encode(value: Any) -> bytes:
        if not isinstance(value, dt.time) or value.tzinfo is not None:
            reason = "a dt.time without time zone is needed"
            raise mismatch("SQL_TIME", value, reason=reason)
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        return pack(seconds * 1000 + value.microsecond // 1000)

    def decode_from(data: bytes, offset: int) -> tuple[dt.time, int]:
        try:
            seconds, milliseconds = divmod(unpack_from(data, offset)[0], 1000)
            minutes, seconds = divmod(seconds, 60)
            hours, minutes = divmod(minutes, 60)
            return dt.time(hours, minutes, seconds, milliseconds * 1000), offset + 4
        except DECODE_ERRORS as error:
            raise undecodable("SQL_TIME", offset, "they are no time of day") from error

    return FunctionCoder(type_info, encode, decode_from, minimum_size_bytes=4, immutable=True)


def timestamp_coder(type_info: TimestampTypeInfo) -> FunctionCoder:
    """Return the coder of timestamps: long milliseconds since the epoch, as if in UTC."""
    pack, unpack_from = _LONG.pack, _LONG.unpack_from

    def encode(value: Any) -> bytes:
        if not isinstance(value, dt.datetime) or value.tzinfo is not None:
            raise mismatch(
                "SQL_TIMESTAMP",
                value,
                reason="a dt.datetime without time zone is needed",
                hint="Use Types.INSTANT() for points in time.",
            )
        milliseconds, rest = divmod(value - _EPOCH, _MILLISECOND)
        if rest:
            raise mismatch(
                "SQL_TIMESTAMP",
                value,
                reason="its microseconds are no whole milliseconds",
                hint="Cut them off, or use Types.INSTANT() or Types.PICKLED_BYTE_ARRAY().",
            )
        return pack(milliseconds)

    def decode_from(data: bytes, offset: int) -> tuple[dt.datetime, int]:
        try:
            return _EPOCH + unpack_from(data, offset)[0] * _MILLISECOND, offset + 8
        except DECODE_ERRORS as error:
            raise undecodable("SQL_TIMESTAMP", offset, "they are no timestamp") from error

    return FunctionCoder(type_info, encode, decode_from, minimum_size_bytes=8, immutable=True)
