"""Types of records: rows, tuples, and Python's own classes with fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.common.type_information import TypeInformation
from millpond.common.types import Row, RowKind

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("ExternalTypeInfo", "RowTypeInfo", "TupleTypeInfo", "TypedTypeInfo")


@final
class RowTypeInfo(TypeInformation):
    """The type of a `Row`; fields without given names are called f0, f1 and so on.

    Raises:
        ValueError: there are not as many names as types, or a name occurs twice.
    """

    def __init__(
        self, field_types: Sequence[TypeInformation], field_names: Sequence[str] | None = None
    ) -> None:
        default_names = [f"f{position}" for position in range(len(field_types))]
        names = default_names if field_names is None else list(field_names)
        if len(names) != len(field_types):
            raise ValueError(f"{len(names)} field names for {len(field_types)} field types.")
        if len(set(names)) != len(names):
            raise ValueError(f"A field name occurs twice in {names}.")
        self._field_types = tuple(field_types)
        self._field_names = names
        fields = [type_info.signature for type_info in field_types]
        if names != default_names:
            fields = [f"{_quoted(n)}: {field}" for n, field in zip(names, fields, strict=True)]
        self._signature = f"ROW<{', '.join(fields)}>"

    @property
    def signature(self) -> str:
        """For example ``ROW<STRING, LONG>`` or ``ROW<city: STRING, size: INT>``."""
        return self._signature

    def get_field_names(self) -> list[str]:
        """Return the names, in order."""
        return list(self._field_names)

    def get_field_index(self, field_name: str) -> int:
        """Return the position of a field, -1 if there is none of that name."""
        return self._field_names.index(field_name) if field_name in self._field_names else -1

    def get_field_types(self) -> list[TypeInformation]:
        """Return the types, in order."""
        return list(self._field_types)

    def need_conversion(self) -> bool:
        """Return True."""
        return True

    def to_internal_type(self, obj: Any) -> tuple[Any, ...] | None:
        """Return the number of the row kind followed by the fields' internal values.

        Raises:
            ValueError: `obj` is no row, tuple, list, dictionary or object with attributes.
        """
        if obj is None:
            return None
        kind = obj.get_row_kind() if isinstance(obj, Row) else RowKind.INSERT
        values = [
            type_info.to_internal_type(value)
            for type_info, value in zip(self._field_types, self._values_of(obj), strict=False)
        ]
        return (kind.value, *values)

    def _values_of(self, obj: Any) -> Sequence[Any]:
        if isinstance(obj, Row):
            return obj.get_fields_by_names(self._field_names)
        if isinstance(obj, dict):
            return [obj.get(name) for name in self._field_names]
        if isinstance(obj, (list, tuple)):
            return obj
        if hasattr(obj, "__dict__"):
            return [vars(obj).get(name) for name in self._field_names]
        raise ValueError(f"{obj!r} does not fit {self.signature}.")

    def from_internal_type(self, obj: tuple[Any, ...] | None) -> Row | None:
        """Return the row with names."""
        if obj is None:
            return None
        kind, *values = obj
        row = Row.of_kind(
            RowKind(kind),
            *[
                type_info.from_internal_type(value)
                for type_info, value in zip(self._field_types, values, strict=True)
            ],
        )
        row.set_field_names(self._field_names)
        return row

    def __repr__(self) -> str:
        fields = zip(self._field_names, self._field_types, strict=True)
        return f"RowTypeInfo({', '.join(f'{name}: {kind}' for name, kind in fields)})"


def _quoted(name: str) -> str:
    if name.isidentifier():
        return name
    import json

    return json.dumps(name)


@final
class TupleTypeInfo(TypeInformation):
    """The type of a tuple with as many fields as types."""

    def __init__(self, field_types: Sequence[TypeInformation]) -> None:
        self._field_types = tuple(field_types)
        self._signature = f"TUPLE<{', '.join(field.signature for field in field_types)}>"
        self._need_conversion = any(field.need_conversion() for field in field_types)

    @property
    def signature(self) -> str:
        """For example ``TUPLE<STRING, LONG>``."""
        return self._signature

    def get_field_types(self) -> list[TypeInformation]:
        """Return the types, in order."""
        return list(self._field_types)

    def need_conversion(self) -> bool:
        """Say whether a field needs it."""
        return self._need_conversion

    def to_internal_type(self, obj: Any) -> tuple[Any, ...] | None:
        """Return the fields' internal values.

        Raises:
            ValueError: `obj` is no row, tuple or list.
        """
        if obj is None:
            return None
        if not isinstance(obj, (list, tuple, Row)):
            raise ValueError(f"{obj!r} does not fit {self.signature}.")  # noqa: TRY004
        pairs = zip(self._field_types, obj, strict=False)
        return tuple(type_info.to_internal_type(value) for type_info, value in pairs)

    def from_internal_type(self, obj: Any) -> tuple[Any, ...] | None:
        """Return the tuple of the fields' values."""
        if obj is None:
            return None
        pairs = zip(self._field_types, obj, strict=True)
        return tuple(type_info.from_internal_type(value) for type_info, value in pairs)

    def __repr__(self) -> str:
        return f"TupleTypeInfo({', '.join(map(str, self._field_types))})"


@final
class ExternalTypeInfo(TypeInformation):
    """The type of what it wraps; in PyFlink it marks values of the Table API."""

    def __init__(self, type_info: TypeInformation) -> None:
        self._type_info = type_info

    @property
    def type_info(self) -> TypeInformation:
        """The wrapped type."""
        return self._type_info

    @property
    def signature(self) -> str:
        """The wrapped type's."""
        return self._type_info.signature


@final
class TypedTypeInfo(TypeInformation):
    """The type of a class with annotated fields: dataclass, NamedTuple, TypedDict, msgspec Struct.

    Beyond PyFlink. Values are stored by field name, so fields with a default may be added and
    fields may be dropped between two runs of a job.
    """

    def __init__(self, record_class: type) -> None:
        self._record_class = record_class

    @property
    def record_class(self) -> type:
        """The class."""
        return self._record_class

    @property
    def signature(self) -> str:
        """``TYPED<package.module.Class>``."""
        return f"TYPED<{self._record_class.__module__}.{self._record_class.__qualname__}>"
