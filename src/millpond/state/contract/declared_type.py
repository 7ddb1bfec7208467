"""Checks, as cheap as they can be, that values fit the declared type of a state."""

from __future__ import annotations

import struct
from operator import call
from typing import TYPE_CHECKING, Any, NoReturn

from millpond.common.typeinfo import TupleTypeInfo
from millpond.errors import MillpondError, SerializationError
from millpond.serialization.coders import coder_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.serialization.coder import Coder

__all__ = ("EXACT_TYPES", "INTEGER_RANGES", "all_fit", "encoder_error", "fits", "refuse")

EXACT_TYPES: dict[str, type] = {"BOOLEAN": bool, "DOUBLE": float}
"""Types whose every instance the coder of that signature takes."""

INTEGER_RANGES: dict[str, tuple[int, int]] = {
    "BYTE": (-(1 << 7), (1 << 7) - 1),
    "SHORT": (-(1 << 15), (1 << 15) - 1),
    "INT": (-(1 << 31), (1 << 31) - 1),
    "LONG": (-(1 << 63), (1 << 63) - 1),
}
"""Smallest and largest value of the integer types."""


_ENCODE_ERRORS = (SerializationError, TypeError, ValueError, ArithmeticError, struct.error)


def fits(coder: Coder) -> Callable[[Any], bool] | None:
    """Return a check of values against a coder's type; None if everything fits (pickled).

    The check encodes the value where nothing cheaper says the same: that the coder takes it.
    """
    if coder.signature in EXACT_TYPES:
        return _exactly(EXACT_TYPES[coder.signature], coder)
    if coder.signature in INTEGER_RANGES:
        return _integer(*INTEGER_RANGES[coder.signature], coder)
    if coder.signature == "STRING":
        return _text(coder)
    if coder.signature == "PICKLED":
        return None
    type_info = getattr(coder, "type_info", None)
    if isinstance(type_info, TupleTypeInfo):
        return _tuple(type_info, coder)
    return _encodable(coder)


def all_fit(coder: Coder, values: Sequence[Any]) -> bool:
    """Return whether it is certain, without a call a value, that all of a list's values fit.

    False says nothing: each must be checked for itself.
    """
    kinds = set(map(type, values))
    if len(kinds) != 1:
        return False
    kind = kinds.pop()
    signature = coder.signature
    if signature in INTEGER_RANGES:
        low, high = INTEGER_RANGES[signature]
        return kind is int and low <= min(values) and max(values) <= high
    if signature == "STRING":
        return kind is str and all(map(str.isascii, values))
    return kind is EXACT_TYPES.get(signature)


def refuse(
    coder: Coder,
    value: Any,
    *,
    state: str,
    operator: str,
    key: Any = None,
    part: str = "value",
) -> NoReturn:
    """Raise the error for a value that does not fit; the coder's own message is kept."""
    try:
        coder.encode(value)
    except _ENCODE_ERRORS as error:
        raise encoder_error(
            error, coder, value, state=state, operator=operator, key=key, part=part
        ) from error
    raise SerializationError(
        f"A {part} of type {type(value).__name__} does not fit the declared type "
        f"{coder.signature}.",
        state=state,
        operator=operator,
        key=None if key is None else _short(key),
    )


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
    reason = error.message if isinstance(error, MillpondError) else f"{error}."
    hint = error.hint if isinstance(error, MillpondError) else None
    return SerializationError(
        f"A {part} of type {type(value).__name__} does not fit the declared type "
        f"{coder.signature}: {reason}",
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


def _takes(coder: Coder, value: Any) -> bool:
    try:
        coder.encode(value)
    except _ENCODE_ERRORS:
        return False
    return True


def _exactly(expected: type, coder: Coder) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return type(value) is expected or _takes(coder, value)

    return check


def _text(coder: Coder) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        # Other texts may hold lone surrogates, which have no bytes.
        return (type(value) is str and value.isascii()) or _takes(coder, value)

    return check


def _integer(low: int, high: int, coder: Coder) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if type(value) is int:
            return low <= value <= high
        return _takes(coder, value)

    return check


def _tuple(type_info: TupleTypeInfo, coder: Coder) -> Callable[[Any], bool]:
    checks = [fits(coder_for(field)) or _anything for field in type_info.get_field_types()]
    count = len(checks)

    def check(value: Any) -> bool:
        # Several times cheaper than encoding, which is left to what does not look right.
        return (
            type(value) is tuple and len(value) == count and all(map(call, checks, value))
        ) or _takes(coder, value)

    return check


def _anything(_value: Any) -> bool:
    return True


def _encodable(coder: Coder) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return _takes(coder, value)

    return check
