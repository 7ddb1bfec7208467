"""Types that are one field: numbers, strings, instants, and any Python object as a pickle."""

# ruff: noqa: N802 - PyFlink's names

from __future__ import annotations

from enum import Enum
from typing import Any, final

from millpond.common.time import Instant
from millpond.common.type_information import TypeInformation

__all__ = ("BasicType", "BasicTypeInfo", "InstantTypeInfo", "PickledBytesTypeInfo")


class BasicType(Enum):
    """The basic types; the values are the names that Java prints."""

    STRING = "String"
    BYTE = "Byte"
    BOOLEAN = "Boolean"
    SHORT = "Short"
    INT = "Integer"
    LONG = "Long"
    FLOAT = "Float"
    DOUBLE = "Double"
    CHAR = "Char"
    BIG_INT = "BigInteger"
    BIG_DEC = "BigDecimal"
    INSTANT = "Instant"


class BasicTypeInfo(TypeInformation):
    """The type of a number, a string or an instant."""

    def __init__(self, basic_type: BasicType) -> None:
        self._basic_type = basic_type

    @property
    def basic_type(self) -> BasicType:
        """Which basic type it is."""
        return self._basic_type

    @property
    def signature(self) -> str:
        """The name of the basic type, for example ``LONG``."""
        return self._basic_type.name

    def __repr__(self) -> str:
        return self._basic_type.value

    @staticmethod
    def STRING_TYPE_INFO() -> BasicTypeInfo:
        """Return the type of text."""
        return BasicTypeInfo(BasicType.STRING)

    @staticmethod
    def BOOLEAN_TYPE_INFO() -> BasicTypeInfo:
        """Return the type of True and False."""
        return BasicTypeInfo(BasicType.BOOLEAN)

    @staticmethod
    def BYTE_TYPE_INFO() -> BasicTypeInfo:
        """Return the type of 8-bit integers."""
        return BasicTypeInfo(BasicType.BYTE)

    @staticmethod
    def SHORT_TYPE_INFO() -> BasicTypeInfo:
        """Return the type of 16-bit integers."""
        return BasicTypeInfo(BasicType.SHORT)

    @staticmethod
    def INT_TYPE_INFO() -> BasicTypeInfo:
        """Return the type of 32-bit integers."""
        return BasicTypeInfo(BasicType.INT)

    @staticmethod
    def LONG_TYPE_INFO() -> BasicTypeInfo:
        """Return the type of 64-bit integers."""
        return BasicTypeInfo(BasicType.LONG)

    @staticmethod
    def FLOAT_TYPE_INFO() -> BasicTypeInfo:
        """Return the type of 32-bit floats."""
        return BasicTypeInfo(BasicType.FLOAT)

    @staticmethod
    def DOUBLE_TYPE_INFO() -> BasicTypeInfo:
        """Return the type of 64-bit floats."""
        return BasicTypeInfo(BasicType.DOUBLE)

    @staticmethod
    def CHAR_TYPE_INFO() -> BasicTypeInfo:
        """Return the type of one character."""
        return BasicTypeInfo(BasicType.CHAR)

    @staticmethod
    def BIG_INT_TYPE_INFO() -> BasicTypeInfo:
        """Return the type that PyFlink calls BIG_INT; its values take 64 bits."""
        return BasicTypeInfo(BasicType.BIG_INT)

    @staticmethod
    def BIG_DEC_TYPE_INFO() -> BasicTypeInfo:
        """Return the type of `decimal.Decimal`."""
        return BasicTypeInfo(BasicType.BIG_DEC)

    @staticmethod
    def INSTANT_TYPE_INFO() -> InstantTypeInfo:
        """Return the type of `Instant`."""
        return InstantTypeInfo(BasicType.INSTANT)


@final
class InstantTypeInfo(BasicTypeInfo):
    """The type of `Instant`, which is microseconds on the engine's side."""

    def need_conversion(self) -> bool:
        """Return True."""
        return True

    def to_internal_type(self, obj: Instant | None) -> int | None:
        """Return microseconds since the epoch; nanoseconds are cut off, as in PyFlink."""
        return None if obj is None else obj.seconds * 1_000_000 + obj.nanos // 1000

    def from_internal_type(self, obj: int | None) -> Instant | None:
        """Return the instant of so many microseconds since the epoch."""
        if obj is None:
            return None
        seconds, microseconds = divmod(obj, 1_000_000)
        return Instant(seconds, microseconds * 1000)


@final
class PickledBytesTypeInfo(TypeInformation):
    """The type of any Python object, stored as a pickle.

    Reading it back may run code, so tools that open foreign snapshots refuse it.
    """

    @property
    def signature(self) -> str:
        """``PICKLED``."""
        return "PICKLED"

    @staticmethod
    def PICKLED_BYTE_ARRAY_TYPE_INFO() -> PickledBytesTypeInfo:
        """Return the type."""
        return PickledBytesTypeInfo()

    def need_conversion(self) -> bool:
        """Return False."""
        return False

    def __repr__(self) -> str:
        return "PickledByteArrayTypeInfo"

    def __reduce__(self) -> tuple[Any, ...]:
        return PickledBytesTypeInfo, ()
