"""What stores do with values at the write: refuse them, or keep them as a restore would give them.

A value must read the same before and after a restore, in every store: a FLOAT is rounded to 32
bits, a list where a tuple is declared becomes a tuple, when it is written and not later.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from millpond.common.typeinfo import (
    BasicArrayTypeInfo,
    ExternalTypeInfo,
    ListTypeInfo,
    MapTypeInfo,
    ObjectArrayTypeInfo,
    PrimitiveArrayTypeInfo,
    RowTypeInfo,
    TimeTypeInfo,
    TupleTypeInfo,
    TypedTypeInfo,
    TypeInformation,
)
from millpond.errors import MillpondError, SerializationError
from millpond.serialization.mismatch import reason_of
from millpond.state.contract.exact_value import EXACT_TYPES, INTEGER_RANGES, all_exact, exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.serialization.coder import Coder

__all__ = (
    "EXACT_TYPES",
    "INTEGER_RANGES",
    "admit",
    "all_fit",
    "encoder_error",
    "fits",
    "key_form",
    "rounds",
)

_ENCODE_ERRORS = (SerializationError, TypeError, ValueError, ArithmeticError, struct.error)


def fits(coder: Coder) -> Callable[[Any], bool] | None:
    """Return a check that a value is just as decoding would give it; None if all are (pickled).

    What does not pass goes through `admit`, which refuses it or returns its other form.
    """
    if coder.signature == "PICKLED":
        return None
    type_info = getattr(coder, "type_info", None)
    if not isinstance(type_info, TypeInformation):
        return _encodable(coder)
    return exactly(type_info) or _encodable(coder)


def all_fit(coder: Coder, values: Sequence[Any]) -> bool:
    """Return whether it is certain, without a call a value, that all of a list's values fit.

    False says nothing: each must be checked for itself.
    """
    return all_exact(coder.signature, values)


def admit(
    coder: Coder,
    value: Any,
    *,
    state: str,
    operator: str,
    key: Any = None,
    part: str = "value",
) -> Any:
    """Return a value as it reads after a restore.

    Raises:
        SerializationError: it does not fit the declared type; the coder's own message is kept.
    """
    try:
        return coder.normalize(value)
    except _ENCODE_ERRORS as error:
        raise encoder_error(
            error, coder, value, state=state, operator=operator, key=key, part=part
        ) from error


def rounds(coder: Coder) -> bool:
    """Return whether values of the declared type may be cut: FLOAT and SQL_TIME, in any depth."""
    return _contains(getattr(coder, "type_info", None), ("FLOAT",), (TimeTypeInfo,))


def key_form(coder: Coder) -> Callable[[Any], Any] | None:
    """Return what makes a map key equal to the stored one, or None if it is as it comes.

    Numbers are rounded; the class of records and the field names of rows belong to equality.
    """
    kinds = (TimeTypeInfo, RowTypeInfo, TypedTypeInfo)
    is_exact = fits(coder)
    if is_exact is None or not _contains(
        getattr(coder, "type_info", None), ("FLOAT", "DOUBLE"), kinds
    ):
        return None

    def form(key: Any) -> Any:
        try:
            return key if is_exact(key) else coder.normalize(key)
        except _ENCODE_ERRORS:
            return key  # nothing that was written equals it

    return form


def _contains(type_info: Any, signatures: tuple[str, ...], kinds: tuple[type, ...]) -> bool:
    if not isinstance(type_info, TypeInformation):
        return False
    if type_info.signature in signatures or isinstance(type_info, kinds):
        return True
    return any(_contains(inner, signatures, kinds) for inner in _inner(type_info))


def _inner(type_info: TypeInformation) -> Sequence[TypeInformation]:
    if isinstance(type_info, RowTypeInfo | TupleTypeInfo):
        return type_info.get_field_types()
    if isinstance(type_info, MapTypeInfo):
        return type_info.key_type_info, type_info.value_type_info
    if isinstance(
        type_info,
        BasicArrayTypeInfo | ListTypeInfo | ObjectArrayTypeInfo | PrimitiveArrayTypeInfo,
    ):
        return (type_info.element_type,)
    return (type_info.type_info,) if isinstance(type_info, ExternalTypeInfo) else ()


def encoder_error(
    error: BaseException,
    coder: Coder,
    value: Any,
    *,
    state: str,
    operator: str,
    key: Any = None,
    part: str = "value",
) -> SerializationError:
    """Make the error that names state, operator, key, declared type and the value's type."""
    hint = error.hint if isinstance(error, MillpondError) else None
    return SerializationError(
        f"A {part} of type {type(value).__name__} does not fit the declared type "
        f"{coder.signature}: {reason_of(error)}",
        hint=hint or "Change the value or the type that the state descriptor declares.",
        state=state,
        operator=operator,
        key=None if key is None else _short(key),
    )


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a user's repr must not hide the real error
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= 200 else f"{text[:197]}..."


def _encodable(coder: Coder) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        try:
            coder.encode(value)
        except _ENCODE_ERRORS:
            return False
        return True

    return check
