"""The Java serializers that PyFlink chooses for a declared type, as snapshots.

They matter for keys alone: values are bytes to Java. The rules are PyFlink's and Flink's
(get_java_type_info, createSerializer of the type information classes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from millpond.common.basic_types import BasicType, BasicTypeInfo, PickledBytesTypeInfo
from millpond.common.collection_types import (
    BasicArrayTypeInfo,
    ListTypeInfo,
    MapTypeInfo,
    ObjectArrayTypeInfo,
    PrimitiveArrayTypeInfo,
)
from millpond.common.composite_types import (
    ExternalTypeInfo,
    RowTypeInfo,
    TupleTypeInfo,
)
from millpond.common.temporal_types import (
    DateTypeInfo,
    LocalTimeTypeInfo,
    TimestampTypeInfo,
    TimeTypeInfo,
)
from millpond.errors import FormatError
from millpond.formats.pyflink_serializers import (
    BYTES,
    array_snapshot,
    basic_snapshot,
    list_snapshot,
    map_snapshot,
    object_array_snapshot,
    row_snapshot,
    tuple_snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.type_information import TypeInformation
    from millpond.formats.serializer_snapshot import SerializerSnapshot

__all__ = ("java_serializer_snapshot", "key_serializer_snapshot")

_BASIC: Final = {
    BasicType.STRING: ("String", "java.lang.String"),
    BasicType.BOOLEAN: ("Boolean", "java.lang.Boolean"),
    BasicType.BYTE: ("Byte", "java.lang.Byte"),
    BasicType.SHORT: ("Short", "java.lang.Short"),
    BasicType.INT: ("Int", "java.lang.Integer"),
    BasicType.LONG: ("Long", "java.lang.Long"),
    BasicType.FLOAT: ("Float", "java.lang.Float"),
    BasicType.DOUBLE: ("Double", "java.lang.Double"),
    BasicType.CHAR: ("Char", "java.lang.Character"),
    BasicType.BIG_INT: ("BigInt", "java.math.BigInteger"),
    BasicType.BIG_DEC: ("BigDec", "java.math.BigDecimal"),
    BasicType.INSTANT: ("Instant", "java.time.Instant"),
}
"""Short name of the serializer, and the class of its values."""


def key_serializer_snapshot(key_type: TypeInformation) -> SerializerSnapshot:
    """Return the key serializer of a PyFlink keyed stream: a row of one field.

    Raises:
        FormatError: Flink has no serializer for such keys that could be written.
    """
    return row_snapshot(java_serializer_snapshot(key_type))


def java_serializer_snapshot(type_info: TypeInformation) -> SerializerSnapshot:
    """Return the serializer that Java uses for values of a declared type.

    Raises:
        FormatError: there is none that could be written.
    """
    for kind, make in _MAKERS.items():
        if isinstance(type_info, kind):
            snapshot: SerializerSnapshot = make(type_info)
            return snapshot
    raise _no_serializer(type_info)


def _array(
    type_info: PrimitiveArrayTypeInfo | BasicArrayTypeInfo | ObjectArrayTypeInfo,
) -> SerializerSnapshot:
    element = type_info.element_type
    if not isinstance(element, BasicTypeInfo):
        raise _no_serializer(type_info)
    name, java_class = _BASIC[element.basic_type]
    if isinstance(type_info, PrimitiveArrayTypeInfo):
        return array_snapshot(f"{name}PrimitiveArray")
    if isinstance(type_info, BasicArrayTypeInfo) and name == "String":
        return array_snapshot("StringArray")
    return object_array_snapshot(java_class, basic_snapshot(name))


def _no_serializer(type_info: TypeInformation) -> FormatError:
    return FormatError(
        f"Keys of type {type_info.signature} cannot be written in Flink's format.",
        hint="Use a basic type, a tuple, a row or Types.PICKLED_BYTE_ARRAY() as key type.",
    )


_LOCAL_TIMES: Final = {
    LocalTimeTypeInfo.TimeType.LOCAL_DATE: "LocalDate",
    LocalTimeTypeInfo.TimeType.LOCAL_TIME: "LocalTime",
    LocalTimeTypeInfo.TimeType.LOCAL_DATE_TIME: "LocalDateTime",
}


def _fields(type_info: RowTypeInfo | TupleTypeInfo) -> list[SerializerSnapshot]:
    return [java_serializer_snapshot(field) for field in type_info.get_field_types()]


def _map(type_info: MapTypeInfo) -> SerializerSnapshot:
    return map_snapshot(
        java_serializer_snapshot(type_info.key_type_info),
        java_serializer_snapshot(type_info.value_type_info),
    )


_MAKERS: Final[dict[type[TypeInformation], Callable[[Any], SerializerSnapshot]]] = {
    PickledBytesTypeInfo: lambda _: BYTES,
    BasicTypeInfo: lambda info: basic_snapshot(_BASIC[info.basic_type][0]),
    DateTypeInfo: lambda _: basic_snapshot("SqlDate"),
    TimeTypeInfo: lambda _: basic_snapshot("SqlTime"),
    TimestampTypeInfo: lambda _: basic_snapshot("SqlTimestamp"),
    LocalTimeTypeInfo: lambda info: basic_snapshot(_LOCAL_TIMES[info.time_type]),
    ExternalTypeInfo: lambda info: java_serializer_snapshot(info.type_info),
    RowTypeInfo: lambda info: row_snapshot(*_fields(info)),
    TupleTypeInfo: lambda info: tuple_snapshot(*_fields(info)),
    ListTypeInfo: lambda info: list_snapshot(java_serializer_snapshot(info.element_type)),
    MapTypeInfo: _map,
    PrimitiveArrayTypeInfo: _array,
    BasicArrayTypeInfo: _array,
    ObjectArrayTypeInfo: _array,
}
