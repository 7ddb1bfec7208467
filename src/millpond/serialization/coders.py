"""`coder_for`: from a declared type to the coder of state values, byte for byte PyFlink's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from millpond.common.typeinfo import (
    BasicArrayTypeInfo,
    BasicType,
    BasicTypeInfo,
    DateTypeInfo,
    ExternalTypeInfo,
    InstantTypeInfo,
    ListTypeInfo,
    MapTypeInfo,
    ObjectArrayTypeInfo,
    PickledBytesTypeInfo,
    PrimitiveArrayTypeInfo,
    RowTypeInfo,
    TimestampTypeInfo,
    TimeTypeInfo,
    TupleTypeInfo,
    TypedTypeInfo,
    TypeInformation,
    Types,
)
from millpond.errors import SerializationError
from millpond.serialization import basic_coders, collection_coders, temporal_coders
from millpond.serialization.pickled_coder import pickled_coder
from millpond.serialization.row_coder import row_coder
from millpond.serialization.tuple_coder import tuple_coder

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.serialization.coder import Coder
    from millpond.serialization.function_coder import FunctionCoder

__all__ = ("coder_for",)


def coder_for(type_info: TypeInformation | type | None) -> Coder:
    """Return the coder of a declared type; None means any object, pickled.

    A dataclass, NamedTuple, TypedDict or msgspec Struct may stand for ``Types.TYPED`` of itself.
    The bytes of PyFlink's types are those of PyFlink's state, so LIST has flags for None.

    Raises:
        SerializationError: values of the type cannot be stored.
    """
    if type_info is None:
        return pickled_coder(PickledBytesTypeInfo())
    if isinstance(type_info, TypeInformation):
        return _coder(type_info)
    if isinstance(type_info, type):
        return _coder(TypedTypeInfo(type_info))
    raise SerializationError(
        "A declared type must be type information or a record class.",
        hint="Use one of the types that millpond.common.Types lists.",
        declared_type=repr(type_info),
    )


def _coder(type_info: TypeInformation) -> FunctionCoder:
    make = _MAKERS.get(type(type_info))
    if make is None:
        raise SerializationError(
            f"Values of type {type_info.signature} cannot be kept in state.",
            hint="Use one of the types that millpond.common.Types lists.",
            declared_type=type_info.signature,
        )
    return make(type_info)


def _coders(type_infos: list[TypeInformation]) -> tuple[FunctionCoder, ...]:
    return tuple(_coder(type_info) for type_info in type_infos)


def _basic_coder(type_info: BasicTypeInfo) -> FunctionCoder:
    match type_info.basic_type:
        case BasicType.STRING | BasicType.CHAR:
            return basic_coders.string_coder(type_info)
        case BasicType.BOOLEAN:
            return basic_coders.boolean_coder(type_info)
        case BasicType.BIG_DEC:
            return basic_coders.big_decimal_coder(type_info)
        case BasicType.INSTANT:
            return basic_coders.instant_coder(InstantTypeInfo(BasicType.INSTANT))
        case (
            BasicType.BYTE
            | BasicType.SHORT
            | BasicType.INT
            | BasicType.LONG
            | BasicType.BIG_INT
            | BasicType.FLOAT
            | BasicType.DOUBLE
        ):
            return basic_coders.number_coder(type_info)
        case _ as unreachable:
            assert_never(unreachable)


def _primitive_array_coder(type_info: PrimitiveArrayTypeInfo) -> FunctionCoder:
    if type_info.element_type == Types.BYTE():
        return basic_coders.bytes_coder(type_info)
    element = _coder(type_info.element_type)
    return collection_coders.primitive_array_coder(type_info, element)


def _list_coder(
    type_info: ListTypeInfo | BasicArrayTypeInfo | ObjectArrayTypeInfo,
) -> FunctionCoder:
    return collection_coders.list_coder(type_info, _coder(type_info.element_type))


def _map_coder(type_info: MapTypeInfo) -> FunctionCoder:
    key, value = _coder(type_info.key_type_info), _coder(type_info.value_type_info)
    return collection_coders.map_coder(type_info, key, value)


def _tuple_coder(type_info: TupleTypeInfo) -> FunctionCoder:
    return tuple_coder(type_info, _coders(type_info.get_field_types()))


def _row_coder(type_info: RowTypeInfo) -> FunctionCoder:
    return row_coder(type_info, _coders(type_info.get_field_types()))


def _external_coder(type_info: ExternalTypeInfo) -> FunctionCoder:
    return _coder(type_info.type_info)


def _typed_coder(type_info: TypedTypeInfo) -> FunctionCoder:
    from millpond.serialization.typed_coder import typed_coder

    return typed_coder(type_info)


_MAKERS: dict[type[TypeInformation], Callable[[Any], FunctionCoder]] = {
    BasicArrayTypeInfo: _list_coder,
    BasicTypeInfo: _basic_coder,
    DateTypeInfo: temporal_coders.date_coder,
    ExternalTypeInfo: _external_coder,
    InstantTypeInfo: _basic_coder,
    ListTypeInfo: _list_coder,
    MapTypeInfo: _map_coder,
    ObjectArrayTypeInfo: _list_coder,
    PickledBytesTypeInfo: pickled_coder,
    PrimitiveArrayTypeInfo: _primitive_array_coder,
    RowTypeInfo: _row_coder,
    TimeTypeInfo: temporal_coders.time_coder,
    TimestampTypeInfo: temporal_coders.timestamp_coder,
    TupleTypeInfo: _tuple_coder,
    TypedTypeInfo: _typed_coder,
}
