"""PyFlink's module path for rows as JSON objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

import msgspec

from millpond.common.composite_types import RowTypeInfo
from millpond.common.serialization import DeserializationSchema, SerializationSchema
from millpond.datastream.formats._json_schema import type_of_json_schema
from millpond.datastream.formats._json_values import (
    decode_json,
    encode_json,
    reader_of,
    writer_of,
)
from millpond.errors import InvalidProgramError, SerializationError

if TYPE_CHECKING:
    from millpond.common.type_information import TypeInformation

__all__ = ("JsonRowDeserializationSchema", "JsonRowSerializationSchema")


@final
class JsonRowDeserializationSchema(DeserializationSchema):
    """Makes rows of JSON objects; get one from `builder`. Flink: JsonRowDeserializationSchema."""

    def __init__(
        self, type_info: RowTypeInfo, *, fail_on_missing_field: bool, ignore_parse_errors: bool
    ) -> None:
        self._type_info = type_info
        self._missing_fails = fail_on_missing_field
        self._ignores_errors = ignore_parse_errors
        self._read = reader_of(type_info, missing_fails=fail_on_missing_field)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self._type_info, self._missing_fails, self._ignores_errors)

    @staticmethod
    def builder() -> JsonRowDeserializationSchema.Builder:
        """Return a builder."""
        return JsonRowDeserializationSchema.Builder()

    def deserialize(self, message: bytes) -> Any:
        """Return the row; None for a message that is ignored.

        Raises:
            SerializationError: the bytes are no JSON, or a field does not fit its type.
        """
        try:
            return self._read(decode_json(message))
        except (msgspec.DecodeError, UnicodeError, ValueError) as error:
            if self._ignores_errors:
                return None
            raise SerializationError(
                f"A message does not fit {self._type_info.signature}: {error}."
            ) from error

    def get_produced_type(self) -> TypeInformation:
        """Return the rows' type."""
        return self._type_info

    @final
    class Builder:
        """Builds a `JsonRowDeserializationSchema`; the type is needed."""

        def __init__(self) -> None:
            self._type_info: TypeInformation | None = None
            self._missing_fails = False
            self._ignores_errors = False

        def type_info(self, type_info: TypeInformation) -> Self:
            """Set the type; its field names are the names in the objects."""
            self._type_info = type_info
            return self

        def json_schema(self, json_schema: str) -> Self:
            """Set the type by a JSON schema of an object.

            Raises:
                TypeError: it is None.
                InvalidProgramError: it is no schema that a type follows from.
            """
            if json_schema is None:
                raise TypeError("The json_schema must not be None.")
            self._type_info = type_of_json_schema(json_schema)
            return self

        def fail_on_missing_field(self) -> Self:
            """Refuse objects without one of the fields, which is None otherwise."""
            self._missing_fails = True
            return self

        def ignore_parse_errors(self) -> Self:
            """Pass over messages that cannot be read."""
            self._ignores_errors = True
            return self

        def build(self) -> JsonRowDeserializationSchema:
            """Return the schema.

            Raises:
                InvalidProgramError: the type is missing, no row, or has no form in JSON; or
                    missing fields are to fail and errors to be ignored.
            """
            if self._missing_fails and self._ignores_errors:
                raise InvalidProgramError(
                    "fail_on_missing_field() and ignore_parse_errors() exclude each other."
                )
            return _rebuild(_row(self._type_info), self._missing_fails, self._ignores_errors)


@final
class JsonRowSerializationSchema(SerializationSchema):
    """Makes JSON objects of rows; get one from `builder`. Flink: JsonRowSerializationSchema."""

    def __init__(self, type_info: RowTypeInfo) -> None:
        self._type_info = type_info
        self._write = writer_of(type_info)

    def __reduce__(self) -> tuple[object, ...]:
        return JsonRowSerializationSchema, (self._type_info,)

    @staticmethod
    def builder() -> JsonRowSerializationSchema.Builder:
        """Return a builder."""
        return JsonRowSerializationSchema.Builder()

    def serialize(self, element: Any) -> bytes:
        """Return the JSON object. Raises SerializationError."""
        try:
            return encode_json(self._write(element))
        except (ValueError, TypeError, AttributeError, msgspec.MsgspecError) as error:
            raise SerializationError(
                f"A value does not fit {self._type_info.signature}: {error}."
            ) from error

    @final
    class Builder:
        """Builds a `JsonRowSerializationSchema`; the type is needed."""

        def __init__(self) -> None:
            self._type_info: TypeInformation | None = None

        def with_type_info(self, type_info: TypeInformation) -> Self:
            """Set the type; its field names are the names in the objects."""
            self._type_info = type_info
            return self

        def build(self) -> JsonRowSerializationSchema:
            """Return the schema.

            Raises:
                TypeError: the type is missing.
                InvalidProgramError: it is no row, or has no form in JSON.
            """
            if self._type_info is None:
                raise TypeError("Typeinfo should be set.")
            return JsonRowSerializationSchema(_row(self._type_info))


def _row(type_info: TypeInformation | None) -> RowTypeInfo:
    if not isinstance(type_info, RowTypeInfo):
        raise InvalidProgramError(
            f"A JSON schema of rows needs a row type, not {type_info}.",
            hint="Use Types.ROW_NAMED([...], [...]).",
        )
    return type_info


def _rebuild(
    type_info: RowTypeInfo, missing_fails: bool, ignores_errors: bool
) -> JsonRowDeserializationSchema:
    return JsonRowDeserializationSchema(
        type_info, fail_on_missing_field=missing_fails, ignore_parse_errors=ignores_errors
    )
