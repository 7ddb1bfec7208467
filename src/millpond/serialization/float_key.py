"""Floats as keys: NaN is one key, -0.0 and 0.0 are two, as in Java's `Double.equals`."""

from __future__ import annotations

import math
from typing import Any, Final, final

__all__ = ("float_key", "float_keys")


@final
class _NegativeZero(float):
    """-0.0 in every respect but its hash, by which a dictionary tells it from 0.0.

    It still equals 0.0, as users expect of numbers. Pickled it is the usual -0.0.
    """

    __slots__ = ()

    def __hash__(self) -> int:
        return _HASH

    def __eq__(self, other: object) -> bool:
        return float.__eq__(self, other)

    def __copy__(self) -> _NegativeZero:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _NegativeZero:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return float, (-0.0,)


# Whatever: a float with this hash does not equal zero.
_HASH: Final = 0x2D302E30
_NEGATIVE_ZERO: Final = _NegativeZero(-0.0)
# One object: dictionaries find what is identical before they ask whether it is equal.
_NAN: Final = math.nan


def float_key(value: float) -> float:
    """Return the object that stands for this key in every dictionary of the process."""
    if value:
        return value if value == value else _NAN  # noqa: PLR0124 - NaN alone is not itself
    return _NEGATIVE_ZERO if math.copysign(1.0, value) < 0 else value


def float_keys(values: list[float]) -> list[float]:
    """Return what `float_key` gives for each; lists without zero and NaN cost 10 ns a key."""
    total = sum(values)
    # Infinities of both signs add up to NaN as well, and cost a closer look.
    if total == total and 0.0 not in values:  # noqa: PLR0124
        return values
    return list(map(float_key, values))
