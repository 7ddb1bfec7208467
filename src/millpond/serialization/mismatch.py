"""What serialization says when a value does not fit its declared type or bytes do not decode."""

from __future__ import annotations

import struct

from millpond.errors import MillpondError, SerializationError

__all__ = ("DECODE_ERRORS", "ENCODE_ERRORS", "mismatch", "nested", "reason_of", "undecodable")

ENCODE_ERRORS = (
    struct.error,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    LookupError,
    RuntimeError,
)
"""What packing a wrong value may raise; RuntimeError is a container changed while it is read."""

_MISMATCH = "A value does not fit its declared type"

DECODE_ERRORS = (struct.error, TypeError, ValueError, ArithmeticError, LookupError, AttributeError)
"""What unpacking damaged bytes may raise."""


def mismatch(
    declared: str, value: object, *, reason: str | None = None, hint: str | None = None
) -> SerializationError:
    """Return the error for a value that does not fit its declared type."""
    why = f": {reason}" if reason else ""
    return SerializationError(
        f"{_MISMATCH}{why}.",
        hint=hint,
        declared_type=declared,
        value_type=_name(type(value)),
        path="$",
    )


def nested(error: SerializationError, step: str) -> SerializationError:
    """Return the error as the enclosing value's: `step` is the way from there, like ``.f1``."""
    path = str(error.context.get("path", "$"))
    context = error.context | {"path": f"${step}{path[1:]}"}
    return SerializationError(error.message, hint=error.hint, **context)


def reason_of(error: BaseException) -> str:
    """Return why a value does not fit, for a sentence that says already that it does not."""
    if not isinstance(error, MillpondError):
        return f"{error}."
    reason = error.message.removeprefix(f"{_MISMATCH}: ")
    path = str(error.context.get("path", "$"))
    return reason if path == "$" else f"{reason[:-1]} at {path[1:]}."


def undecodable(
    declared: str, offset: int, reason: object, *, hint: str | None = None
) -> SerializationError:
    """Return the error for bytes that do not hold a value of the declared type."""
    return SerializationError(
        f"The bytes do not hold a value of the declared type: {reason}.",
        hint=hint,
        declared_type=declared,
        offset=offset,
    )


def _name(kind: type) -> str:
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
