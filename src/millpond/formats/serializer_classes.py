"""Java names of Flink's serializer snapshot classes, and what they write besides nested ones."""

from __future__ import annotations

import enum
from typing import Final

__all__ = (
    "BYTES",
    "BYTE_ARRAY_WRAPPER",
    "COMPOSITE_CLASSES",
    "COUNT_WINDOW",
    "GENERIC_ARRAY",
    "GLOBAL_WINDOW",
    "LIST",
    "LONG",
    "MAP",
    "ROW",
    "SIMPLE_CLASSES",
    "STREAMING_TIME_WINDOW",
    "STRING",
    "TABLE_TIME_WINDOW",
    "TIMER",
    "TTL",
    "TUPLE",
    "VOID_NAMESPACE",
    "OuterContent",
    "array_class",
    "basic_class",
)

_BASE = "org.apache.flink.api.common.typeutils.base"
_RUNTIME = "org.apache.flink.api.java.typeutils.runtime"
_STREAMING_WINDOWS = "org.apache.flink.streaming.api.windowing.windows"
_TABLE_WINDOWS = "org.apache.flink.table.runtime.operators.window"


class OuterContent(enum.Enum):
    """What a composite snapshot holds besides its nested snapshots."""

    NOTHING = enum.auto()
    CLASS_NAME = enum.auto()
    ROW_KIND_FLAG = enum.auto()


def basic_class(name: str) -> str:
    """Return the snapshot class of a basic serializer, for example ``Long``."""
    return f"{_BASE}.{name}Serializer${name}SerializerSnapshot"


def array_class(name: str) -> str:
    """Return the snapshot class of an array serializer, for example ``IntPrimitiveArray``."""
    return f"{_BASE}.array.{name}Serializer${name}SerializerSnapshot"


STRING: Final = basic_class("String")
LONG: Final = basic_class("Long")
BYTES: Final = array_class("BytePrimitiveArray")
BYTE_ARRAY_WRAPPER: Final = (
    "org.apache.flink.streaming.api.utils."
    "ByteArrayWrapperSerializer$ByteArrayWrapperSerializerSnapshot"
)
VOID_NAMESPACE: Final = (
    "org.apache.flink.runtime.state.VoidNamespaceSerializer$VoidNamespaceSerializerSnapshot"
)
TABLE_TIME_WINDOW: Final = f"{_TABLE_WINDOWS}.TimeWindow$Serializer$TimeWindowSerializerSnapshot"
COUNT_WINDOW: Final = f"{_TABLE_WINDOWS}.CountWindow$Serializer$CountWindowSerializerSnapshot"
STREAMING_TIME_WINDOW: Final = (
    f"{_STREAMING_WINDOWS}.TimeWindow$Serializer$TimeWindowSerializerSnapshot"
)
GLOBAL_WINDOW: Final = (
    f"{_STREAMING_WINDOWS}.GlobalWindow$Serializer$GlobalWindowSerializerSnapshot"
)

LIST: Final = f"{_BASE}.ListSerializerSnapshot"
MAP: Final = f"{_BASE}.MapSerializerSnapshot"
GENERIC_ARRAY: Final = f"{_BASE}.GenericArraySerializerSnapshot"
ROW: Final = f"{_RUNTIME}.RowSerializer$RowSerializerSnapshot"
TUPLE: Final = f"{_RUNTIME}.TupleSerializerSnapshot"
TIMER: Final = "org.apache.flink.streaming.api.operators.TimerSerializerSnapshot"
TTL: Final = "org.apache.flink.runtime.state.ttl.TtlStateFactory$TtlSerializerSnapshot"

_BASIC_NAMES = (
    "BigDec BigInt Boolean BooleanValue Byte ByteValue Char CharValue Date Double DoubleValue "
    "Float FloatValue Instant Int IntValue LocalDate LocalDateTime LocalTime Long LongValue "
    "NullValue Short ShortValue SqlDate SqlTime SqlTimestamp String StringValue Void"
)
_ARRAY_NAMES = (
    "BooleanPrimitiveArray BytePrimitiveArray CharPrimitiveArray DoublePrimitiveArray "
    "FloatPrimitiveArray IntPrimitiveArray LongPrimitiveArray ShortPrimitiveArray StringArray"
)

SIMPLE_CLASSES: Final = frozenset(
    {
        *map(basic_class, _BASIC_NAMES.split()),
        *map(array_class, _ARRAY_NAMES.split()),
        BYTE_ARRAY_WRAPPER,
        VOID_NAMESPACE,
        TABLE_TIME_WINDOW,
        COUNT_WINDOW,
        STREAMING_TIME_WINDOW,
        GLOBAL_WINDOW,
    }
)
"""Snapshot classes without content."""

COMPOSITE_CLASSES: Final = {
    LIST: OuterContent.NOTHING,
    MAP: OuterContent.NOTHING,
    TIMER: OuterContent.NOTHING,
    TTL: OuterContent.NOTHING,
    ROW: OuterContent.ROW_KIND_FLAG,
    TUPLE: OuterContent.CLASS_NAME,
    GENERIC_ARRAY: OuterContent.CLASS_NAME,
}
"""Snapshot classes made of others. Unknown ones are taken to hold nothing else."""
