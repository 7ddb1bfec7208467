"""The coder of Python's own record classes: int length, then msgpack by field name.

Beyond PyFlink. Fields with a default may be added and fields may be dropped between the run that
wrote a value and the run that reads it. Nothing is ever executed to decode.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING, Any, get_type_hints, is_typeddict

import msgspec

from millpond.errors import SerializationError
from millpond.serialization.basic_coders import SHORT_OF_BYTES
from millpond.serialization.function_coder import FunctionCoder
from millpond.serialization.mismatch import mismatch, undecodable

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.typeinfo import TypedTypeInfo

__all__ = ("is_record_class", "schema_text", "typed_coder")

_INT = struct.Struct(">i")


def is_record_class(candidate: object) -> bool:
    """Say whether it is a dataclass, NamedTuple, TypedDict or msgspec Struct."""
    if not isinstance(candidate, type):
        return False
    return (
        dataclasses.is_dataclass(candidate)
        or is_typeddict(candidate)
        or issubclass(candidate, msgspec.Struct)
        or _is_named_tuple(candidate)
    )


def _is_named_tuple(candidate: type) -> bool:
    return issubclass(candidate, tuple) and hasattr(candidate, "_fields")


def typed_coder(type_info: TypedTypeInfo) -> FunctionCoder:
    """Return the coder of a record class.

    Encoding checks the types of all fields, by decoding what it wrote: a value that could not be
    read back is refused when it is written.

    Raises:
        SerializationError: it is no record class, or a field's type cannot be stored.
    """
    record_class = type_info.record_class
    signature = type_info.signature
    if not is_record_class(record_class):
        raise SerializationError(
            "Only a dataclass, NamedTuple, TypedDict or msgspec Struct can be a declared type.",
            hint="Use millpond.common.Types for numbers, strings and collections.",
            declared_type=signature,
        )
    expected: type = dict if is_typeddict(record_class) else record_class
    to_plain, load = _plain_form(record_class)
    dump = msgspec.msgpack.Encoder(enc_hook=_plain_float).encode

    def written(value: Any) -> tuple[bytes, Any]:
        if not isinstance(value, expected):
            raise mismatch(signature, value, reason=f"a {record_class.__qualname__} is needed")
        try:
            raw = dump(to_plain(value))
            return _INT.pack(len(raw)) + raw, load(raw)
        except Exception as error:
            raise mismatch(signature, value, reason=str(error)) from error

    def encode(value: Any) -> bytes:
        return written(value)[0]

    def normalize(value: Any) -> Any:
        return written(value)[1]

    def decode_from(data: bytes, offset: int) -> tuple[Any, int]:
        try:
            start = offset + 4
            end = start + _INT.unpack_from(data, offset)[0]
        except struct.error as error:
            raise undecodable(signature, offset, SHORT_OF_BYTES) from error
        if not start <= end <= len(data):
            raise undecodable(signature, offset, f"a length of {end - start} is impossible")
        try:
            return load(data[start:end]), end
        except Exception as error:
            raise undecodable(
                signature,
                offset,
                error,
                hint="Give a field that was added a default; do not change the type of a field.",
            ) from error

    return FunctionCoder(
        type_info,
        encode,
        decode_from,
        minimum_size_bytes=5,
        schema=schema_text(record_class),
        normalize=normalize,
    )


def _plain_float(value: Any) -> float:
    """Return the float that a key is, which may be of a subclass: see float_key."""
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


def _plain_form(
    record_class: type,
) -> tuple[Callable[[Any], Any], Callable[[bytes], Any]]:
    """Return the function before msgpack and the one that makes a value of msgpack."""
    try:
        if not _is_named_tuple(record_class):
            return (lambda value: value), msgspec.msgpack.Decoder(record_class).decode
        # msgspec writes a NamedTuple by position; a Struct of the same fields goes by name.
        defaults = getattr(record_class, "_field_defaults", {})
        fields: list[Any] = [
            (name, hint, defaults[name]) if name in defaults else (name, hint)
            for name, hint in _hints(record_class).items()
        ]
        twin = msgspec.defstruct(record_class.__name__, fields, kw_only=True)
        names: tuple[str, ...] = tuple(record_class._fields)  # type: ignore[attr-defined]
        decode = msgspec.msgpack.Decoder(twin).decode
    except (TypeError, NameError) as error:
        raise SerializationError(
            f"The fields of {record_class.__qualname__} cannot be stored: {error}.",
            hint="Leave the declared type out to pickle the values instead.",
        ) from error

    def load(raw: bytes) -> Any:
        found = decode(raw)
        return record_class(*[getattr(found, name) for name in names])

    return (lambda value: dict(zip(names, value, strict=True))), load


def _hints(record_class: type) -> dict[str, Any]:
    hints = get_type_hints(record_class, include_extras=True)
    names: tuple[str, ...] = getattr(record_class, "_fields", tuple(hints))
    return {name: hints.get(name, Any) for name in names}


def schema_text(record_class: type) -> str:
    """Return the fields and their types as text, for example ``Point(x: int, y: int)``."""
    try:
        hints = get_type_hints(record_class, include_extras=True)
    except NameError as error:
        raise SerializationError(
            f"The annotations of {record_class.__qualname__} name something unknown: {error}.",
            hint="Import what the annotations name at the top of the module.",
        ) from error
    fields = ", ".join(f"{name}: {_type_text(hint)}" for name, hint in hints.items())
    return f"{record_class.__qualname__}({fields})"


def _type_text(hint: Any) -> str:
    return hint.__qualname__ if isinstance(hint, type) and not _arguments(hint) else str(hint)


def _arguments(hint: Any) -> tuple[Any, ...]:
    return tuple(getattr(hint, "__args__", ()))
