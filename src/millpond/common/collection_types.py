"""Types of arrays, lists and maps."""

from __future__ import annotations

from typing import final

from millpond.common.basic_types import BasicType, BasicTypeInfo
from millpond.common.type_information import TypeInformation

__all__ = (
    "BasicArrayTypeInfo",
    "ListTypeInfo",
    "MapTypeInfo",
    "ObjectArrayTypeInfo",
    "PrimitiveArrayTypeInfo",
)

_PRIMITIVES = frozenset(
    {
        BasicType.BOOLEAN,
        BasicType.BYTE,
        BasicType.SHORT,
        BasicType.INT,
        BasicType.LONG,
        BasicType.FLOAT,
        BasicType.DOUBLE,
        BasicType.CHAR,
    }
)


class _ElementsTypeInfo(TypeInformation):
    """What arrays and lists share: the type of their elements."""

    _name = ""

    def __init__(self, element_type: TypeInformation) -> None:
        self._element_type = element_type
        self._signature = f"{self._name}<{element_type.signature}>"

    @property
    def element_type(self) -> TypeInformation:
        """The type of the elements."""
        return self._element_type

    @property
    def signature(self) -> str:
        """For example ``LIST<STRING>``."""
        return self._signature


@final
class PrimitiveArrayTypeInfo(_ElementsTypeInfo):
    """The type of an array of numbers without None; of BYTE it is `bytes`.

    Raises:
        TypeError: the element type is no primitive one.
    """

    _name = "PRIMITIVE_ARRAY"

    def __init__(self, element_type: TypeInformation) -> None:
        basic = element_type.basic_type if isinstance(element_type, BasicTypeInfo) else None
        if basic not in _PRIMITIVES:
            raise TypeError(f"A primitive array cannot have elements of type {element_type}.")
        super().__init__(element_type)


@final
class BasicArrayTypeInfo(_ElementsTypeInfo):
    """The type of an array of numbers or strings that may be None.

    Raises:
        TypeError: the element type is neither primitive nor STRING.
    """

    _name = "BASIC_ARRAY"

    def __init__(self, element_type: TypeInformation) -> None:
        basic = element_type.basic_type if isinstance(element_type, BasicTypeInfo) else None
        if basic not in _PRIMITIVES and basic is not BasicType.STRING:
            raise TypeError(f"A boxed array cannot have elements of type {element_type}.")
        super().__init__(element_type)


@final
class ObjectArrayTypeInfo(_ElementsTypeInfo):
    """The type of an array of elements of any type, which may be None."""

    _name = "OBJECT_ARRAY"


@final
class ListTypeInfo(_ElementsTypeInfo):
    """The type of a list, whose elements may be None."""

    _name = "LIST"

    @property
    def elem_type(self) -> TypeInformation:
        """PyFlink's name for `element_type`."""
        return self._element_type


@final
class MapTypeInfo(TypeInformation):
    """The type of a dictionary; values may be None, keys not."""

    def __init__(self, key_type_info: TypeInformation, value_type_info: TypeInformation) -> None:
        self._key_type_info = key_type_info
        self._value_type_info = value_type_info
        self._signature = f"MAP<{key_type_info.signature}, {value_type_info.signature}>"

    @property
    def key_type_info(self) -> TypeInformation:
        """The type of the keys."""
        return self._key_type_info

    @property
    def value_type_info(self) -> TypeInformation:
        """The type of the values."""
        return self._value_type_info

    @property
    def signature(self) -> str:
        """For example ``MAP<STRING, LONG>``."""
        return self._signature
