"""Java names of Flink's serializer snapshot classes, and what they write besides nested ones."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

__all__ = (
    "BYTES",
    "BYTE_ARRAY_WRAPPER",
    "COMPOSITE_CLASSES",
    "COUNT_WINDOW",
    "FLINK_TUPLE",
    "GENERIC_ARRAY",
    "GLOBAL_WINDOW",
    "LIST",
    "LONG",
    "MAP",
    "ROW",
    "ROW_KIND",
    "ROW_KIND_FLAG",
    "SIMPLE_CLASSES",
    "STREAMING_TIME_WINDOW",
    "STRING",
    "TABLE_TIME_WINDOW",
    "TIMER",
    "TTL",
    "TUPLE",
    "VOID_NAMESPACE",
    "Composite",
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

FLINK_TUPLE: Final = "org.apache.flink.api.java.tuple.Tuple"
"""Java class of tuples, before the number of fields."""

ROW_KIND: Final = 3
"""Version of a row's content since which values start with the row kind."""

ROW_KIND_FLAG: Final = 4
"""Version of a row's content since which a flag says whether they do."""


class Composite(NamedTuple):
    """A snapshot class made of others.

    Attributes:
        content: what it holds besides nested snapshots.
        versions: of that content.
        nested: how many nested snapshots it has, at least and at most.
    """

    content: OuterContent
    versions: tuple[int, ...]
    nested: tuple[int, int]


_MAX_TUPLE_FIELDS = 25
_MAX_ROW_FIELDS = 1 << 15

COMPOSITE_CLASSES: Final = {
    LIST: Composite(OuterContent.NOTHING, (1,), (1, 1)),
    MAP: Composite(OuterContent.NOTHING, (1,), (2, 2)),
    TIMER: Composite(OuterContent.NOTHING, (2,), (2, 2)),
    TTL: Composite(OuterContent.NOTHING, (2,), (2, 2)),
    # Flink 1.11 wrote the row kind with values first (3), 1.13 said so in a flag (4).
    ROW: Composite(OuterContent.ROW_KIND_FLAG, (2, 3, 4), (0, _MAX_ROW_FIELDS)),
    TUPLE: Composite(OuterContent.CLASS_NAME, (2,), (1, _MAX_TUPLE_FIELDS)),
    GENERIC_ARRAY: Composite(OuterContent.CLASS_NAME, (1,), (1, 1)),
}
"""Unknown composites are taken to hold nothing besides nested snapshots."""
